import { screen, waitFor, within } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import { go, open, plain } from "./helpers";

async function card(name: string, row: RegExp) {
  const opened = await open("joining");
  await go(opened.user, "Patients");
  await opened.user.type(screen.getByRole("searchbox"), name);
  await opened.user.click(await screen.findByRole("button", { name: row }));
  return { ...opened, section: await screen.findByRole("region", { name: "Record at Hint" }) };
}

async function connection() {
  const opened = await open("joining");
  await go(opened.user, "Connections");
  return opened;
}

describe("a patient's record at a partner that joins records", () => {
  it("is compared field by field, and linked on somebody's word", async () => {
    const { user, fake, section } = await card("jo", /^O’Brien, /);
    expect(plain(section.textContent)).toContain("Somebody has to say who is meant.");
    expect(within(section).queryByRole("table")).toBeNull();
    await user.click(within(section).getByRole("button", { name: "Compare the records" }));
    const candidate = await within(section).findByRole("group", { name: "Hint record pat-78" });
    expect(plain(candidate.textContent)).toContain("same birth date; surname not the same");
    expect(within(candidate).getByRole("cell", { name: "Jo O’Brien-Holt" })).toBeVisible();
    // Whoever decides says who they are.
    expect(within(candidate).getByRole("button", { name: "Same person" })).toBeDisabled();
    await user.type(within(section).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(candidate).getByRole("button", { name: "Same person" }));
    const choice = { partner: "hint", kind: "patient", localId: "78", recordId: "pat-78", same: true };
    expect(fake.asked.find((each) => each.command === "decideJoined")?.with).toEqual([
      "richmond",
      choice,
      "Kim",
    ]);
    expect(await within(section).findByRole("button", { name: "Open in Hint" })).toBeVisible();
  });

  it("is never linked over what stands there, and shows it", async () => {
    const { user, section } = await card("nguyen", /^Nguyễn, /);
    expect(plain(section.textContent)).toContain("linked to something else of ours already");
    await user.type(within(section).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(section).getByRole("button", { name: "Compare the records" }));
    expect(plain((await within(section).findByRole("group")).textContent)).toContain(
      "Linked there to something else: old-clinic-31.",
    );
    expect(within(section).getByRole("button", { name: "Same person" })).toBeDisabled();
    await user.click(within(section).getByRole("button", { name: "Not the same" }));
    expect(await within(section).findByText("Consent is recorded. The record is looked for.")).toBeVisible();
  });

  it("is opened there, and unlinked", async () => {
    const { user, fake, section } = await card("raman", /^Raman, /);
    await user.click(within(section).getByRole("button", { name: "Open in Hint" }));
    expect(fake.asked.find((each) => each.command === "openAtPartner")?.with).toEqual([
      "richmond",
      "77",
      "hint",
    ]);
    await user.type(within(section).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(section).getByRole("button", { name: "Compare the records" }));
    await user.click(await within(section).findByRole("button", { name: "Not the same: unlink" }));
    await user.click(within(section).getByRole("button", { name: "Unlink" }));
    await waitFor(() => expect(within(section).queryByRole("button", { name: "Open in Hint" })).toBeNull());
    expect(fake.asked.find((each) => each.command === "decideJoined")?.with[1].same).toBe(false);
  });

  it("is asked for only with consent, which says what goes there", async () => {
    const { user, fake, section } = await card("כהן", /כהן/);
    expect(within(section).queryByRole("button", { name: "Compare the records" })).toBeNull();
    await user.click(within(section).getByRole("button", { name: "Record consent for Hint" }));
    const form = screen.getByRole("form", { name: /for Hint/ });
    expect(plain(form.textContent)).toContain("name, birth date, e-mail address and phone numbers go there");
    await user.type(within(form).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(form).getByRole("button", { name: "Record consent" }));
    await user.click(await within(section).findByRole("button", { name: "Withdraw consent for Hint" }));
    expect(within(section).getByText(/Our number is taken away/)).toBeVisible();
    await user.click(within(section).getByRole("button", { name: "Record the withdrawal" }));
    expect(fake.asked.find((each) => each.command === "withdrawConsent")?.with).toEqual([
      "richmond",
      "80",
      "hint",
      "Kim",
    ]);
  });
});

describe("what is joined, on Connections", () => {
  it("is shown while it goes on", async () => {
    await connection();
    const links = screen.getByRole("region", { name: "Richmond Physiotherapy" });
    expect(plain(links.textContent)).toContain("41 linked, 12 on their way, 3 need somebody");
    expect(plain(links.textContent)).toContain("Joining with Hint: 44 of 56 patients");
    expect(plain(links.textContent)).toContain("Hint has 60 patients, 5 links of a former program");
  });

  it("lets somebody look at what a former program left before it is carried over", async () => {
    const { user, fake } = await connection();
    await user.click(screen.getByRole("button", { name: "Change Hint of Richmond Physiotherapy" }));
    const section = screen.getByRole("region", { name: "What is joined" });
    await user.click(within(section).getByRole("button", { name: /links of a former program/ }));
    const list = await within(section).findByRole("list", { name: "What was found" });
    expect(plain(list.textContent)).toContain(
      "Can be carried over, because the name leads to the same person in your book: 2",
    );
    expect(plain(list.textContent)).toContain("wait for the patient’s consent: 1");
    expect(
      within(section).getByRole("row", { name: /Casey Examplar Priya Raman.*may be somebody else/ }),
    ).toBeVisible();
    expect(within(section).getByRole("button", { name: "Carry over 2 links" })).toBeDisabled();
    await user.type(within(section).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(section).getByRole("button", { name: "Carry over 2 links" }));
    await user.click(within(section).getByRole("button", { name: "Carry over" }));
    expect(fake.asked.find((each) => each.command === "carryOverFormerNames")?.with).toEqual([
      "richmond",
      "hint",
      "Kim",
    ]);
  });

  it("asks which practitioner and which invoice is meant, and proposes none by itself", async () => {
    const { user, fake } = await connection();
    await user.click(screen.getByRole("button", { name: "Change Hint of Richmond Physiotherapy" }));
    const section = screen.getByRole("region", { name: "What is joined" });
    await user.type(within(section).getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(within(section).getByRole("button", { name: "Practitioners and invoices" }));
    const choice = await within(section).findByRole("combobox", { name: "Who Dr Mei Lee is at Hint" });
    expect(choice).toHaveValue("");
    expect(within(section).getByRole("button", { name: "Link: Dr Mei Lee" })).toBeDisabled();
    expect(within(choice).getByRole("option", { name: /Robin Examplar/ })).toBeDisabled();
    await user.selectOptions(choice, "pct-1");
    await user.click(within(section).getByRole("button", { name: "Link: Dr Mei Lee" }));
    expect(fake.asked.find((each) => each.command === "decideJoined")?.with[1]).toEqual({
      partner: "hint",
      kind: "practitioner",
      localId: "12",
      recordId: "pct-1",
      same: true,
    });
    expect(plain(section.textContent)).toContain("Invoice no. 1001, 2 Nov 2026, 95.00");
  });
});
