import { screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import { go, open, plain } from "./helpers";

/** The fields of the account that is linked already. */
async function change() {
  const opened = await open("healthy");
  await go(opened.user, "Connections");
  await opened.user.click(screen.getByRole("button", { name: "Change VALD Hub of Richmond Physiotherapy" }));
  return opened;
}

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

  it("is unlinked until somebody links it, and says where each of its fields is found", async () => {
    const { user, fake } = await open("no-vald");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Link VALD Hub of Richmond Physiotherapy" }));
    expect(screen.getByText(/The link works for seven days/)).toBeVisible();
    expect(screen.getByText(/from before March 2026 do not work/)).toBeVisible();
    expect(screen.getByRole("button", { name: "Link" })).toBeDisabled();
    expect(screen.queryByRole("heading", { name: "Links of a former system" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Link VALD Hub later" }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Connections");
    expect(fake.asked.map((each) => each.command)).not.toContain("updatePractice");
  });

  it("puts new profiles into groups of everybody, of a practitioner or of a location", async () => {
    const { user, fake } = await change();
    await user.click(screen.getByRole("button", { name: "Test" }));
    const confirm = await screen.findByRole("checkbox", { name: "This is our organisation" });
    await waitFor(() => expect(confirm).toHaveFocus());
    await user.click(confirm);
    await user.click(screen.getByRole("checkbox", { name: "All clients" }));
    const add = screen.getByRole("button", { name: "Add a group for some patients only" });
    await user.click(add);
    await user.selectOptions(screen.getByRole("combobox", { name: "Group of rule 1" }), "Knees");
    await user.selectOptions(
      screen.getByRole("combobox", { name: "Whose patients of rule 1" }),
      "who see Tom Okafor",
    );
    await user.click(add);
    await user.selectOptions(
      screen.getByRole("combobox", { name: "Whose patients of rule 2" }),
      "who come to Burnley",
    );
    await user.click(add);
    await user.click(screen.getByRole("button", { name: "Remove rule 3" }));
    await user.click(screen.getByRole("button", { name: "Save the changes" }));
    const all = "99999999-0000-4000-8000-000000000001";
    const knees = "99999999-0000-4000-8000-000000000002";
    expect(fake.asked.find((each) => each.command === "updatePractice")?.with).toMatchObject([
      "richmond",
      {
        vald: {
          groups: [
            { group: all, resourceId: null, locationId: null },
            { group: knees, resourceId: "12", locationId: null },
            { group: all, resourceId: null, locationId: "4" },
          ],
        },
      },
    ]);
  });

  it("has to be tested again when a field is changed after its test", async () => {
    const { user } = await change();
    await user.click(screen.getByRole("button", { name: "Test" }));
    await user.click(await screen.findByRole("checkbox", { name: "This is our organisation" }));
    expect(screen.getByRole("button", { name: "Save the changes" })).toBeEnabled();
    await user.type(screen.getByRole("textbox", { name: "Organisation id" }), "6");
    expect(screen.queryByRole("checkbox", { name: "This is our organisation" })).toBeNull();
    expect(screen.getByRole("button", { name: "Save the changes" })).toBeDisabled();
  });

  it("takes no answer for fields that were typed while it was tested", async () => {
    const { user, fake } = await change();
    let answer = () => {};
    const test = fake.commands.testVald;
    fake.commands.testVald = (practiceId, account) =>
      new Promise((resolve) => {
        answer = () => void test(practiceId, account).then(resolve);
      });
    await user.click(screen.getByRole("button", { name: "Test" }));
    await user.type(screen.getByRole("textbox", { name: "Organisation id" }), "6");
    answer();
    await waitFor(() => expect(screen.getByRole("button", { name: "Test" })).toBeEnabled());
    expect(screen.queryByText("Richmond Physiotherapy Group")).toBeNull();
  });

  it("tries its landing address with a patient who is linked", async () => {
    const { user, fake } = await change();
    const address = screen.getByRole("textbox", { name: "Landing address" });
    await user.clear(address);
    await user.type(address, "https://hub.valdperformance.com/open?tenant={{tenantId}");
    expect(screen.getByText(/It needs {tenantId} and {syncId}/)).toBeVisible();
    expect(screen.getByRole("button", { name: "Open the page" })).toBeDisabled();
    expect(screen.getByRole("button", { name: "Save the changes" })).toBeDisabled();
    await user.type(address, "&sync={{syncId}");
    await user.selectOptions(screen.getByRole("combobox", { name: "Try it with" }), "Priya Raman");
    await user.click(screen.getByRole("button", { name: "Open the page" }));
    expect(fake.asked.at(-1)).toEqual({
      command: "checkLanding",
      with: [
        "richmond",
        "https://hub.valdperformance.com/open?tenant={tenantId}&sync={syncId}",
        "11111111-2222-4333-8444-555555555555",
        "77",
      ],
    });
    expect(await screen.findByText(/See that it shows this patient/)).toBeVisible();
  });

  it("tries its landing address with anybody who is linked", async () => {
    const { user, fake } = await change();
    const search = await screen.findByRole("textbox", { name: "Find somebody who is linked" });
    const offered = () =>
      within(screen.getByRole("combobox", { name: "Try it with" }))
        .queryAllByRole("option")
        .map((each) => plain(each.textContent));
    await user.type(search, "ng");
    await waitFor(() => expect(offered()).toEqual(["Sam Nguyen · 9 Nov 1984"]));
    expect(fake.asked.at(-1)).toEqual({
      command: "findPatients",
      with: [{ practiceId: "richmond", text: "ng", limit: 50 }],
    });
    await user.click(screen.getByRole("button", { name: "Open the page" }));
    expect(fake.asked.at(-1)).toMatchObject({ command: "checkLanding" });
    expect(fake.asked.at(-1)?.with.at(-1)).toBe("5521");
    await user.clear(search);
    await user.type(search, "nagangu");
    expect(await screen.findByText("Nobody who is linked fits that.")).toBeVisible();
    expect(screen.getByRole("button", { name: "Open the page" })).toBeDisabled();
    await user.clear(search);
    await waitFor(() => expect(offered()).toEqual(["Sam Nguyen", "Priya Raman"]));
  });

  it("removes the links of a former system only when the organisation’s name is typed", async () => {
    const { user, fake } = await change();
    await user.click(screen.getByRole("button", { name: "Test" }));
    await screen.findByText("Richmond Physiotherapy Group");
    const remove = screen.getByRole("button", { name: "Remove the links of a former system" });
    await user.type(screen.getByRole("textbox", { name: "Removed by" }), "Kim");
    await user.type(screen.getByRole("textbox", { name: "Name of the organisation" }), "Richmond");
    expect(remove).toBeDisabled();
    await user.type(
      screen.getByRole("textbox", { name: "Name of the organisation" }),
      " Physiotherapy Group",
    );
    await user.click(remove);
    expect(fake.asked.at(-1)).toEqual({
      command: "removeFormerLinks",
      with: ["richmond", "Richmond Physiotherapy Group", "Kim"],
    });
    expect(await screen.findByText(/of the former system are removed/)).toBeVisible();
  });

  it("shows its progress on the overview, and leads to those who need somebody", async () => {
    const { user } = await open("vald-sending");
    expect(
      screen.getByRole("heading", { level: 2, name: "Patients are on their way to VALD Hub" }),
    ).toBeVisible();
    const sheet = screen.getByRole("region", { name: "By practitioner" });
    expect(plain(sheet.textContent)).toContain("1,204 profiles linked, 7,106 on their way, 2 need somebody");
    expect(
      within(sheet).getByRole("progressbar", {
        name: "Bringing patients to VALD Hub: 1,204 of 8,310 patients",
      }),
    ).toBeVisible();
    await user.click(within(sheet).getByRole("button", { name: "Who needs somebody in VALD Hub" }));
    expect(screen.getByRole("heading", { level: 1, name: "Patients" })).toBeVisible();
  });

  it("says on the overview that it does not work, and leads to its fields", async () => {
    const { user } = await open("vald-refused");
    const sheet = screen.getByRole("region", { name: "By practitioner" });
    // Free times are as they were.
    const stands = screen.getByRole("region", { name: "How things stand" });
    expect(plain(stands.textContent)).toMatch(
      /^Patients are not brought to VALD Hub Checked 3 s ago for all/,
    );
    expect(sheet).toHaveTextContent(/VALD refuses this client id and secret/);
    expect(sheet).toHaveTextContent("VALD has no group Shoulders.");
    const needs = screen.getByRole("region", { name: "Needs you" });
    await user.click(within(needs).getByRole("button", { name: /^Open/ }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent(
      "VALD Hub for Richmond Physiotherapy",
    );
  });

  it("can be sent every patient again", async () => {
    const { user, fake } = await open("healthy");
    await user.click(screen.getByRole("button", { name: "Resync…" }));
    await user.click(screen.getByRole("button", { name: "Patients to VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "resync", with: ["richmond", "patients"] });
  });
});
