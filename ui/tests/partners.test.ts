import { screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import { go, open, plain } from "./helpers";

describe("a partner whose form is drawn from its card", () => {
  it("is linked only after its fields were tested, and what was typed since has to be tested again", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Link Validic to Richmond Physiotherapy" }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Validic for Richmond Physiotherapy");
    const link = screen.getByRole("button", { name: "Link" });
    const test = screen.getByRole("button", { name: "Test" });
    expect(test).toBeDisabled();
    await user.type(screen.getByLabelText("Organisation id"), " 60c76d42 ");
    expect(test).toBeDisabled();
    await user.type(screen.getByLabelText("Token"), "new");
    expect(link).toBeDisabled();
    await user.click(test);
    expect(await screen.findByText(/Accepted/)).toBeVisible();
    await user.type(screen.getByLabelText("Token"), "er");
    expect(link).toBeDisabled();
    await user.click(screen.getByRole("button", { name: "Test" }));
    await user.click(await screen.findByRole("button", { name: "Link" }));
    expect(fake.asked.find((each) => each.command === "saveAccount")?.with).toEqual([
      "richmond",
      {
        partner: "validic",
        fields: { organization_id: "60c76d42", api: "inform-v2", base_url: "" },
        secrets: { token: "newer" },
      },
    ]);
    expect(await screen.findByRole("heading", { level: 1, name: "Connections" })).toBeVisible();
  });

  it("says where each of its fields is found, and when it refuses them", async () => {
    const { user } = await open("healthy");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Link Validic to Richmond Physiotherapy" }));
    expect(
      screen.getByText("It stands in the Validic dashboard beside the organisation id."),
    ).toBeInTheDocument();
    await user.type(screen.getByLabelText("Organisation id"), "60c76d42");
    await user.type(screen.getByLabelText("Token"), "wrong");
    await user.click(screen.getByRole("button", { name: "Test" }));
    expect(await screen.findByText(/Validic refuses what it was given to sign in with/)).toBeVisible();
  });

  it("keeps a secret that is stored, and is unlinked with a word on what becomes of it", async () => {
    const { user, fake } = await open("devices");
    await go(user, "Connections");
    const links = screen.getByRole("region", { name: "Richmond Physiotherapy" });
    expect(plain(links.textContent)).toContain("Validic 12 linked");
    await user.click(screen.getByRole("button", { name: "Change Validic of Richmond Physiotherapy" }));
    expect(screen.getByLabelText("Organisation id")).toHaveValue("60c76d42c31ed70001926000");
    expect(screen.getByLabelText("Token")).toHaveValue("");
    await user.click(screen.getByRole("button", { name: "Test" }));
    await screen.findByText(/Accepted/);
    expect(fake.asked.find((each) => each.command === "testAccount")?.with[1].secrets).toEqual({});
    await user.click(screen.getByRole("button", { name: "Unlink Validic" }));
    expect(screen.getByText(/Patients stay registered at Validic/)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Unlink" }));
    expect(fake.asked.find((each) => each.command === "unlinkAccount")?.with).toEqual([
      "richmond",
      "validic",
    ]);
    expect(
      await screen.findByRole("button", { name: "Link Validic to Richmond Physiotherapy" }),
    ).toBeVisible();
  });

  it("stands under what needs somebody when it does not work", async () => {
    const { user } = await open("validic-silent");
    const needs = screen.getByRole("region", { name: "Needs you" });
    expect(plain(needs.textContent)).toContain("Validic does not answer. We keep trying.");
    await user.click(within(needs).getByRole("button", { name: /Open/ }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Validic for Richmond Physiotherapy");
  });
});

describe("a patient's devices", () => {
  async function card(name: string, row: RegExp) {
    const opened = await open("devices");
    await go(opened.user, "Patients");
    await opened.user.type(screen.getByRole("searchbox"), name);
    await opened.user.click(await screen.findByRole("button", { name: row }));
    return { ...opened, section: await screen.findByRole("region", { name: "Devices at Validic" }) };
  }

  it("are connected by a code that is shown only when somebody asks for it", async () => {
    const { user, fake, section } = await card("sam", /Nguyen, Sam/);
    expect(plain(section.textContent)).toContain("Nothing is registered until a device is to be connected");
    expect(within(section).queryByRole("img")).toBeNull();
    await user.click(within(section).getByRole("button", { name: "Connect a device" }));
    expect(await within(section).findByRole("img", { name: "Code for the patient’s phone" })).toBeVisible();
    expect(within(section).getByLabelText("The same as an address")).toHaveValue(
      "https://syncmydevice.com/?token=made-up-1",
    );
    expect(fake.asked.filter((each) => each.command === "connectDevice").map((each) => each.with)).toEqual([
      ["richmond", "5521", "validic", false],
    ]);
    await user.click(within(section).getByRole("button", { name: "Make a new code" }));
    await waitFor(() =>
      expect(within(section).getByLabelText("The same as an address")).toHaveValue(
        "https://syncmydevice.com/?token=made-up-2",
      ),
    );
    await user.click(within(section).getByRole("button", { name: "Done" }));
    expect(within(section).queryByRole("img")).toBeNull();
    expect(section.textContent).not.toContain("made-up");
    expect(await within(section).findByText("Withings")).toBeVisible();
  });

  it("need consent of their own, and are gone when it is withdrawn", async () => {
    const { user, fake, section } = await card("כהן", /כהן/);
    expect(within(section).queryByRole("button", { name: "Connect a device" })).toBeNull();
    await user.click(within(section).getByRole("button", { name: "Record consent for Validic" }));
    const form = screen.getByRole("form", { name: /for Validic/ });
    expect(plain(form.textContent)).toContain("It learns neither who the patient is");
    expect(within(form).queryByText("Photos and videos too")).toBeNull();
    await user.type(within(form).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(form).getByRole("button", { name: "Record consent" }));
    expect(fake.asked.find((each) => each.command === "giveConsent")?.with[2]).toBe("validic");
    expect(await within(section).findByRole("button", { name: "Connect a device" })).toBeVisible();
    await user.click(within(section).getByRole("button", { name: "Withdraw consent for Validic" }));
    expect(within(section).getByText(/removed at Validic for good/)).toBeVisible();
    await user.click(within(section).getByRole("button", { name: "Record the withdrawal" }));
    expect(fake.asked.find((each) => each.command === "withdrawConsent")?.with).toEqual([
      "richmond",
      "80",
      "validic",
      "Kim",
    ]);
    expect(await within(section).findByText("Consent was refused or withdrawn.")).toBeVisible();
  });
});
