import { fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import QuickOpen from "../src/QuickOpen.svelte";
import type { Answer, PatientHits } from "../src/backend";
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

  it("show the best hit with Enter", async () => {
    const { user } = await find("ngu");
    await screen.findByRole("button", { name: /Nguyen, Sam/ });
    await user.keyboard("{Enter}");
    expect(await screen.findByRole("heading", { level: 1, name: "Sam Nguyen" })).toHaveFocus();
  });

  it("keep the order of their numbers beside names that are written from right to left", async () => {
    await find("80");
    const hit = await screen.findByRole("button", { name: /כהן/ });
    const names = [...hit.querySelectorAll("bdi")].map((each) => each.textContent);
    expect(names).toEqual(["כהן", "יעל"]);
    expect(plain(hit.textContent)).toContain("5 May 1975 · no. 80");
  });

  it("say what failed, and try again", async () => {
    const { user, fake } = await open("list-error");
    await go(user, "Patients");
    await user.type(screen.getByRole("searchbox", { name: "Find a patient" }), "ngu");
    await waitFor(() => expect(screen.getAllByRole("alert")).toHaveLength(2));
    expect(screen.getByRole("search")).toHaveTextContent(/practice system.*not answer/i);
    const before = fake.asked.length;
    await user.click(within(screen.getByRole("search")).getByRole("button", { name: "Try again" }));
    expect(fake.asked.at(before)?.command).toBe("findPatients");
  });

  it("may still be read, which is not the same as nobody", async () => {
    const { user } = await open("reading-people");
    await go(user, "Patients");
    await user.type(screen.getByRole("searchbox", { name: "Find a patient" }), "ngu");
    expect(await screen.findByText(/are being read; more may be found/)).toBeVisible();
    expect(screen.queryByText(/^Nobody/)).toBeNull();
  });

  it("show what left this PC, by the names of fields and under which consent", async () => {
    const { user } = await find("sam");
    await user.click(await screen.findByRole("button", { name: /Nguyen, Sam/ }));
    const left = await screen.findByRole("region", { name: "What left this PC" });
    expect(plain(left.textContent)).toContain("givenName, familyName, dateOfBirth, sex under consent no. 12");
    const consents = screen.getByRole("region", { name: "Consents" });
    expect(plain(consents.textContent)).toContain("asked at the desk, recorded by Kim");
  });

  it("show a line that cannot be read as such, beside all the others", async () => {
    const { user } = await find("raman");
    await user.click(await screen.findByRole("button", { name: /Raman, Priya/ }));
    const left = await screen.findByRole("region", { name: "What left this PC" });
    expect(plain(left.textContent)).toContain("givenName, familyName");
    expect(
      within(left).getAllByText(/^A line that cannot be read: it was changed, .* \(no\. 3[01]\)$/),
    ).toHaveLength(2);
  });

  it("open in VALD Hub with one press", async () => {
    const { user, fake } = await find("sam");
    await user.click(await screen.findByRole("button", { name: /Nguyen, Sam/ }));
    await user.click(await screen.findByRole("button", { name: "Open Sam Nguyen in VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openInVald", with: ["richmond", "5521", false] });
  });

  it("open in VALD Hub from their row, where there is a page", async () => {
    const { user, fake } = await find("ng");
    await user.click(await screen.findByRole("button", { name: "Open Sam Nguyen in VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openInVald", with: ["richmond", "5521", false] });
    // The row of one who is on the way links instead.
    expect(screen.getByRole("button", { name: "Link Thị Lan Nguyễn now" })).toBeVisible();
    expect(screen.queryByRole("button", { name: "Open Thị Lan Nguyễn in VALD Hub" })).toBeNull();
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
      "vald",
      { guardian: "A parent", photoAndVideo: false, how: "atDesk", wording: "", recordedBy: "Kim" },
    ]);
    expect(await screen.findByText("on its way")).toBeVisible();
  });

  it("who refuse are recorded as such, and are not asked again by the list", async () => {
    const { user, fake } = await find("כהן");
    await user.click(await screen.findByRole("button", { name: /כהן/ }));
    await user.click(await screen.findByRole("button", { name: "Record consent" }));
    const refuse = screen.getByRole("button", { name: "Record a refusal" });
    expect(refuse).toBeDisabled();
    await user.type(screen.getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(refuse);
    expect(fake.asked.find((each) => each.command === "withdrawConsent")?.with).toEqual([
      "richmond",
      "80",
      "vald",
      "Kim",
    ]);
    expect(await screen.findByText("consent refused or withdrawn")).toBeVisible();
    expect(screen.getByRole("heading", { level: 1 })).toHaveFocus();
  });

  it("remember who records consent while the window is open", async () => {
    const { user } = await find("כהן");
    await user.click(await screen.findByRole("button", { name: /כהן/ }));
    await user.click(await screen.findByRole("button", { name: "Record consent" }));
    expect(screen.getByRole("combobox", { name: "How" })).toHaveFocus();
    await user.type(screen.getByRole("textbox", { name: "Recorded by" }), "Kim");
    await user.click(screen.getByRole("button", { name: "Not now" }));
    await waitFor(() => expect(screen.getByRole("button", { name: "Record consent" })).toHaveFocus());
    await go(user, "Today");
    await user.click(await screen.findByRole("button", { name: "Ask Alice Nagangu for consent" }));
    expect(screen.getByRole("textbox", { name: "Recorded by" })).toHaveValue("Kim");
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
      "vald",
      "Kim",
    ]);
    expect(await screen.findAllByText(/remove the profile in VALD Hub by hand/)).not.toHaveLength(0);
  });

  it("list who needs somebody, with the reason", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Patients");
    const needs = await screen.findByRole("region", { name: "Needs somebody" });
    expect(plain(needs.textContent)).toContain("The record has no birth date.");
    expect(plain(needs.textContent)).toContain("GivenName: must not be empty");
    // The page of whoever has one opens from here; the other has none.
    expect(within(needs).queryByRole("button", { name: "Open Zoë Wärn in VALD Hub" })).toBeNull();
    await user.click(within(needs).getByRole("button", { name: "Open Jo O’Brien in VALD Hub" }));
    expect(fake.asked.find((each) => each.command === "openInVald")?.with).toEqual(["richmond", "78", false]);
    await go(user, "Today");
    expect(await screen.findByRole("button", { name: "Open Jo O’Brien in VALD Hub" })).toBeVisible();
  });
});

describe("today", () => {
  it("says who has no link, and links all who consented with one press", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Today");
    expect(plain((await screen.findByRole("region", { name: "VALD Hub" })).textContent)).toContain(
      "2 of 8 linked 6 of 8 patients have no link. 1 of them consented. The list says what the others lack.",
    );
    await user.click(screen.getByRole("button", { name: "Link the 1 who consented" }));
    expect(fake.asked.find((each) => each.command === "linkPatients")?.with).toEqual(["richmond", ["1207"]]);
    expect(await screen.findByText("1 patient on the way to VALD Hub.")).toBeVisible();
    expect(await screen.findByText("3 of 8 linked")).toBeVisible();
  });

  it("asks for consent in the row", async () => {
    const { user } = await open("healthy");
    await go(user, "Today");
    await user.click(await screen.findByRole("button", { name: "Ask Alice Nagangu for consent" }));
    const form = screen.getByRole("form", { name: "Consent of Alice Nagangu" });
    expect(within(form).getByRole("textbox", { name: "Guardian who agrees" })).toHaveFocus();
    await user.keyboard("A parent");
    await user.type(within(form).getByRole("textbox", { name: "Recorded by" }), "Kim{Enter}");
    await waitFor(() => expect(screen.queryByRole("form")).toBeNull());
    await waitFor(() => expect(screen.getByRole("button", { name: "Alice Nagangu" })).toHaveFocus());
    expect(screen.getByRole("button", { name: "Link Alice Nagangu now" })).toBeVisible();
  });

  it("names the day, and what is missing in each row", async () => {
    const { user } = await open("healthy");
    await go(user, "Today");
    expect(
      await screen.findByRole("heading", { level: 1, name: /^Today, Friday 20\sNovember$/ }),
    ).toBeVisible();
    expect(screen.getByText("Under 18: a guardian has to agree.")).toBeVisible();
    expect(screen.getByText("The record has no birth date.")).toBeVisible();
    expect(screen.getByRole("button", { name: "Open Sam Nguyen in VALD Hub" })).toBeVisible();
    expect(plain(screen.getByText(/^Anywhere/).textContent)).toBe(
      "Anywhere: Ctrl Alt V finds a patient and opens VALD Hub.",
    );
  });

  it("says that the book does not answer, and how old what it shows is", async () => {
    const { user } = await open("book-unreachable");
    await go(user, "Today");
    expect(await screen.findByText(/^Below is what your book said 31\smin ago\.$/)).toBeVisible();
    expect(screen.getByRole("button", { name: "Alice Nagangu" })).toBeVisible();
  });

  it("shows who comes without a word about VALD where it is not linked", async () => {
    const { user } = await open("no-vald");
    await go(user, "Today");
    expect(await screen.findByRole("button", { name: "Alice Nagangu" })).toBeVisible();
    expect(screen.queryByRole("heading", { name: "VALD Hub" })).toBeNull();
    expect(screen.queryByRole("button", { name: /^Ask/ })).toBeNull();
  });

  it("leads from a practitioner to the day beside Healthengine", async () => {
    const { user, app } = await open("healthy");
    await go(user, "Today");
    await user.click(await screen.findByRole("button", { name: "Dr Mei Lee: the day beside Healthengine" }));
    expect(app.day).toEqual({ practiceId: "richmond", practitionerId: "11" });
    expect(app.screen).toBe("overview");
  });

  it("says in the row why a page could not be opened", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Today");
    fake.commands.openInVald = () =>
      Promise.resolve({ status: "error", error: { code: "valdUnreachable", message: "" } });
    await user.click(await screen.findByRole("button", { name: "Open Sam Nguyen in VALD Hub" }));
    const row = screen.getByRole("button", { name: "Sam Nguyen" }).closest("li");
    expect(await within(row as HTMLElement).findByRole("alert")).toHaveTextContent("VALD does not answer.");
  });

  it("shows one practice at a time, and never the people of another one", async () => {
    const { user, fake } = await open("several");
    await go(user, "Today");
    await screen.findByRole("button", { name: "Sam Nguyen" });
    await user.selectOptions(screen.getByRole("combobox", { name: "Practice" }), "Burnley Hand Therapy");
    expect(fake.asked.at(-1)).toEqual({ command: "today", with: ["burnley"] });
    expect(await screen.findByRole("heading", { name: "Jo O’Brien" })).toBeVisible();
    expect(screen.queryByRole("heading", { name: "Dr Mei Lee" })).toBeNull();
  });
});

describe("quick open", () => {
  function box() {
    const fake = new FakeBackend("healthy");
    render(QuickOpen, { props: { backend: fake } });
    return { fake, user: userEvent.setup() };
  }

  /** Keeps the answers back until they are given, the last one first. */
  function hold(fake: FakeBackend) {
    const find = fake.commands.findPatients;
    const given: (() => void)[] = [];
    fake.commands.findPatients = (query) =>
      new Promise<Answer<PatientHits>>((resolve) => given.push(() => void find(query).then(resolve)));
    return {
      give: async () => {
        for (const answer of given.reverse()) answer();
        await Promise.resolve();
      },
    };
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
    expect(await screen.findByText(/This patient is not linked yet/)).toBeVisible();
    expect(fake.asked.map((each) => each.command)).not.toContain("closeQuickOpen");
  });

  it("names nobody once it left the screen, also while a page is still on its way", async () => {
    const { fake, user } = box();
    let opened = () => {};
    fake.commands.openInVald = () =>
      new Promise((resolve) => (opened = () => resolve({ status: "ok", data: null })));
    await user.keyboard("ngu");
    await screen.findByRole("option", { selected: true });
    await user.keyboard("{Enter}");
    expect(await screen.findByText(/^Opening /)).toBeVisible();
    fireEvent.blur(window);
    await waitFor(() => expect(screen.getByRole("status")).toBeEmptyDOMElement());
    fireEvent.focus(window);
    await user.keyboard("thi");
    await screen.findByRole("option", { selected: true });
    opened();
    await Promise.resolve();
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

  it("never opens somebody whom what was typed before found", async () => {
    const { fake, user } = box();
    await user.keyboard("ngu");
    await screen.findByRole("option", { selected: true });
    const answers = hold(fake);
    await user.keyboard("y{Enter}");
    expect(fake.asked.map((each) => each.command)).not.toContain("openInVald");
    // Two fit: somebody has to look which is meant.
    await answers.give();
    await screen.findByRole("option", { selected: true });
    expect(fake.asked.map((each) => each.command)).not.toContain("openInVald");
  });

  it("opens at once where Enter came before the answer and only one fits", async () => {
    const { fake, user } = box();
    const answers = hold(fake);
    await user.keyboard("priya{Enter}");
    await answers.give();
    await waitFor(() =>
      expect(fake.asked).toContainEqual({ command: "openInVald", with: ["richmond", "77", false] }),
    );
  });

  it("drops answers that come late", async () => {
    const { fake, user } = box();
    const answers = hold(fake);
    await user.keyboard("pri");
    await user.clear(screen.getByRole("combobox"));
    await user.keyboard("sam");
    await answers.give();
    expect(await screen.findByRole("option")).toHaveTextContent(/Nguyen, Sam/);
  });

  it("marks what was typed, also within a name", async () => {
    const { user } = box();
    await user.keyboard("ngu");
    await screen.findByRole("option", { selected: true });
    expect([...document.querySelectorAll("mark")].map((each) => each.textContent)).toEqual(["Ngu", "Ngu"]);
  });

  it("walks with the arrows, and says of the highlighted line what the keys do", async () => {
    const { user } = box();
    await user.keyboard("ngu");
    await screen.findByRole("option", { selected: true });
    await user.keyboard("{ArrowDown}");
    const line = screen.getByRole("option", { selected: true });
    expect(screen.getByRole("combobox")).toHaveAttribute("aria-activedescendant", line.id);
    expect(plain(line.textContent)).toContain("Nguyễn, Thị Lan 2 Feb 1970 · no. 1207");
    expect(plain(line.textContent)).toContain("Ctrl Enter links first");
    await user.clear(screen.getByRole("combobox"));
    await user.keyboard("9001");
    await waitFor(() => expect(screen.getByRole("option")).toHaveTextContent(/guardian not asked/));
  });

  it("still says what failed while nobody saw it", async () => {
    const { fake, user } = box();
    await user.keyboard("alice");
    await screen.findByRole("option", { selected: true });
    let fail = () => {};
    fake.commands.openInVald = () =>
      new Promise((resolve) => {
        fail = () => resolve({ status: "error", error: { code: "valdUnreachable", message: "" } });
      });
    await user.keyboard("{Control>}{Enter}{/Control}");
    expect(screen.getByRole("status")).toHaveTextContent("Linking Alice Nagangu first…");
    fireEvent.blur(window);
    fail();
    fireEvent.focus(window);
    expect(await screen.findByRole("alert")).toHaveTextContent("VALD does not answer.");
  });

  it("names the practices where who is found is of several", async () => {
    render(QuickOpen, { props: { backend: new FakeBackend("several") } });
    await userEvent.setup().keyboard("priya");
    await waitFor(() =>
      expect(screen.getAllByRole("option").map((each) => plain(each.textContent))).toEqual([
        expect.stringContaining("no. 77 · Richmond Physiotherapy"),
        expect.stringContaining("no. 77 · Burnley Hand Therapy"),
        expect.stringContaining("no. 77 · Fremantle Physio"),
      ]),
    );
  });

  it("asks again by itself while the book is being read", async () => {
    const { fake, user } = box();
    const find = fake.commands.findPatients;
    fake.commands.findPatients = () =>
      Promise.resolve({ status: "ok", data: { hits: [], reading: true, patients: 0 } });
    await user.keyboard("sam");
    await waitFor(() => expect(screen.getByRole("status")).toHaveTextContent(/are being read/));
    fake.commands.findPatients = find;
    expect(await screen.findByRole("option", {}, { timeout: 3000 })).toHaveTextContent(/Nguyen, Sam/);
  });

  it("asks nothing for one letter, and closes with Escape", async () => {
    const { fake, user } = box();
    await user.keyboard("n");
    expect(fake.asked).toEqual([]);
    await user.keyboard("{Escape}");
    expect(fake.asked).toEqual([{ command: "closeQuickOpen", with: [] }]);
  });
});
