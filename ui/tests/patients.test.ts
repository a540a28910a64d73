import { fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import QuickOpen from "../src/QuickOpen.svelte";
import { FakeBackend } from "../src/backend/fake";
import { go, open, plain } from "./helpers";

async function find(typed: string) {
  const opened = await open("healthy");
  await go(opened.user, "Patients");
  await opened.user.type(screen.getByRole("searchbox", { name: "Find a patient" }), typed);
  return opened;
}

describe("patients", () => {
  it("are found by a few letters, with birth date, number and state in words", async () => {
    await find("ngu");
    const hit = await screen.findByRole("button", { name: /Nguyen, Sam/ });
    expect(plain(hit.textContent)).toContain("9 Nov 1984 · no. 5521");
    expect(plain(hit.textContent)).toContain("linked");
    expect(screen.getByRole("button", { name: /Nguyễn, Thị Lan/ })).toBeVisible();
    expect(screen.queryByRole("button", { name: /Raman/ })).toBeNull();
  });

  it("are reached from the search box with the arrows", async () => {
    const { user } = await find("ngu");
    await screen.findByRole("button", { name: /Nguyen, Sam/ });
    await user.keyboard("{ArrowDown}{ArrowDown}");
    expect(document.activeElement?.textContent).toContain("Thị Lan");
    await user.keyboard("{Enter}");
    expect(await screen.findByRole("heading", { level: 1, name: "Thị Lan Nguyễn" })).toHaveFocus();
  });

  it("say so when nobody fits", async () => {
    await find("xyzzy");
    expect(await screen.findByText("Nobody among 14,310 patients fits that.")).toBeVisible();
  });

  it("show what left this PC, by the names of fields and under which consent", async () => {
    const { user } = await find("sam");
    await user.click(await screen.findByRole("button", { name: /Nguyen, Sam/ }));
    const left = await screen.findByRole("region", { name: "What left this PC" });
    expect(plain(left.textContent)).toContain("givenName, familyName, dateOfBirth, sex under consent no. 12");
    const consents = screen.getByRole("region", { name: "Consents" });
    expect(plain(consents.textContent)).toContain("asked at the desk, recorded by Kim");
  });

  it("open in VALD Hub with one press", async () => {
    const { user, fake } = await find("sam");
    await user.click(await screen.findByRole("button", { name: /Nguyen, Sam/ }));
    await user.click(await screen.findByRole("button", { name: "Open Sam Nguyen in VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openInVald", with: ["richmond", "5521", false] });
  });

  it("who are minors need a guardian before consent can be recorded", async () => {
    const { user, fake } = await find("nagangu");
    await user.click(await screen.findByRole("button", { name: /Nagangu, Alice/ }));
    await user.click(await screen.findByRole("button", { name: "Record consent" }));
    const form = screen.getByRole("form", { name: "Consent of Alice Nagangu" });
    await user.type(within(form).getByRole("textbox", { name: "Recorded by" }), "Kim");
    const record = within(form).getByRole("button", { name: "Record consent" });
    expect(record).toBeDisabled();
    await user.type(within(form).getByRole("textbox", { name: "Guardian who agrees" }), "A parent");
    await user.click(record);
    const given = fake.asked.find((each) => each.command === "giveConsent");
    expect(given?.with).toEqual([
      "richmond",
      "9001",
      { guardian: "A parent", photoAndVideo: false, how: "atDesk", wording: "", recordedBy: "Kim" },
    ]);
    expect(await screen.findByText("on its way")).toBeVisible();
  });

  it("whose consent is withdrawn are told what has to be done by hand", async () => {
    const { user, fake } = await find("sam");
    await user.click(await screen.findByRole("button", { name: /Nguyen, Sam/ }));
    expect(await screen.findByRole("button", { name: "Withdraw consent" })).toBeDisabled();
    await user.type(screen.getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(screen.getByRole("button", { name: "Withdraw consent" }));
    expect(screen.getByText(/stays there until somebody removes it in VALD Hub by hand/)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Record the withdrawal" }));
    expect(fake.asked.find((each) => each.command === "withdrawConsent")?.with).toEqual([
      "richmond",
      "5521",
      "Kim",
    ]);
  });

  it("list who needs somebody, with the reason", async () => {
    const { user } = await open("healthy");
    await go(user, "Patients");
    const needs = await screen.findByRole("region", { name: "Needs somebody" });
    expect(plain(needs.textContent)).toContain("The record has no birth date.");
    expect(plain(needs.textContent)).toContain("GivenName: must not be empty");
  });
});

describe("today", () => {
  it("says who has no link, and links all who consented with one press", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Today");
    expect(plain((await screen.findByRole("region", { name: "VALD Hub" })).textContent)).toContain(
      "2 of 8 patients linked to VALD Hub. 6 of 8 have no link; 1 of them consented.",
    );
    await user.click(screen.getByRole("button", { name: "Link the 1 who consented" }));
    expect(fake.asked.find((each) => each.command === "linkPatients")?.with).toEqual(["richmond", ["1207"]]);
  });

  it("asks for consent in the row", async () => {
    const { user } = await open("healthy");
    await go(user, "Today");
    await user.click(await screen.findByRole("button", { name: "Ask Alice Nagangu for consent" }));
    expect(screen.getByRole("form", { name: "Consent of Alice Nagangu" })).toBeVisible();
  });
});

describe("quick open", () => {
  function box() {
    const fake = new FakeBackend("healthy");
    render(QuickOpen, { props: { backend: fake } });
    return { fake, user: userEvent.setup() };
  }

  it("opens the page of whom three letters find, with Enter", async () => {
    const { fake, user } = box();
    expect(screen.getByRole("combobox")).toHaveFocus();
    await user.keyboard("ngu");
    const hit = await screen.findByRole("option", { selected: true });
    expect(plain(hit.textContent)).toContain("Nguyen, Sam 9 Nov 1984 · no. 5521");
    expect(plain(hit.textContent)).toContain("Enter opens VALD Hub");
    await user.keyboard("{Enter}");
    await waitFor(() =>
      expect(fake.asked.slice(-2)).toEqual([
        { command: "openInVald", with: ["richmond", "5521", false] },
        { command: "closeQuickOpen", with: [] },
      ]),
    );
  });

  it("links first with Ctrl and Enter", async () => {
    const { fake, user } = box();
    await user.keyboard("thi");
    await screen.findByRole("option", { selected: true });
    await user.keyboard("{Control>}{Enter}{/Control}");
    await waitFor(() =>
      expect(fake.asked).toContainEqual({ command: "openInVald", with: ["richmond", "1207", true] }),
    );
  });

  it("stays open and says why where a page cannot be opened", async () => {
    const { fake, user } = box();
    await user.keyboard("alice{Enter}");
    await screen.findByRole("option", { selected: true });
    await user.keyboard("{Enter}");
    expect(await screen.findByText(/This patient has no profile in VALD Hub yet/)).toBeVisible();
    expect(fake.asked.map((each) => each.command)).not.toContain("closeQuickOpen");
  });

  it("begins anew when it is brought up again, and holds nobody’s name meanwhile", async () => {
    const { user } = box();
    await user.keyboard("ngu");
    await screen.findByRole("option", { selected: true });
    fireEvent.blur(window);
    await waitFor(() => expect(screen.queryByRole("option")).toBeNull());
    expect(screen.getByRole("combobox")).toHaveValue("");
    fireEvent.focus(window);
    expect(screen.getByRole("combobox")).toHaveFocus();
  });

  it("asks nothing for one letter, and closes with Escape", async () => {
    const { fake, user } = box();
    await user.keyboard("n");
    expect(fake.asked).toEqual([]);
    await user.keyboard("{Escape}");
    expect(fake.asked).toEqual([{ command: "closeQuickOpen", with: [] }]);
  });
});

describe("VALD Hub", () => {
  it("is linked only after its organisation was confirmed", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Change VALD Hub of Richmond Physiotherapy" }));
    await user.type(screen.getByLabelText("Client secret"), "new");
    await user.type(screen.getByLabelText("Client id"), "new");
    const save = screen.getByRole("button", { name: "Save the changes" });
    expect(save).toBeDisabled();
    await user.click(screen.getByRole("button", { name: "Test" }));
    expect(await screen.findByText("Richmond Physiotherapy Group")).toBeVisible();
    expect(save).toBeDisabled();
    await user.click(screen.getByRole("checkbox", { name: "This is our organisation" }));
    await user.click(screen.getByRole("checkbox", { name: "Knees" }));
    await user.click(save);
    const saved = fake.asked.find((each) => each.command === "updatePractice");
    expect(saved?.with).toMatchObject([
      "richmond",
      {
        healthengine: { practiceKey: null },
        vald: {
          clientId: "new",
          region: "aue",
          groups: [{ group: "99999999-0000-4000-8000-000000000002", resourceId: null, locationId: null }],
        },
      },
    ]);
  });

  it("says when its credentials are refused", async () => {
    const { user } = await open("healthy");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Change VALD Hub of Richmond Physiotherapy" }));
    await user.type(screen.getByLabelText("Client id"), "old");
    await user.type(screen.getByLabelText("Client secret"), "wrong");
    await user.click(screen.getByRole("button", { name: "Test" }));
    expect(await screen.findByText(/VALD refuses this client id and secret/)).toBeVisible();
  });
});
