import { fireEvent, screen, within } from "@testing-library/svelte";
import { tick } from "svelte";
import { describe, expect, it, vi } from "vitest";

import type { ScenarioName } from "../src/backend/scenarios";
import { go, open, plain } from "./helpers";

async function openBookings(name: ScenarioName) {
  const opened = await open(name);
  await go(opened.user, "Bookings");
  return opened;
}

/** The row of a finished or travelling booking, by its button. */
function whyOf(name: string) {
  return { name: `Why? ${name}` };
}

function decisions(fake: Awaited<ReturnType<typeof open>>["fake"]) {
  return fake.asked.filter((each) => each.command === "decideBooking").map((each) => each.with);
}

describe("a booking that could be an existing patient", () => {
  it("compares field by field, counts down, and takes “Same person”", async () => {
    const { user, fake } = await openBookings("decision");
    const card = screen.getByRole("article", { name: "Is this the same Sam Nguyen?" });
    expect(within(card).getByRole("timer")).toHaveTextContent(/answer in 8:1\d/);
    const born = within(card).getByRole("row", { name: /Born/ });
    expect(plain(born.textContent)).toBe("Born9 Nov 19849 Nov 1984 same");
    expect(within(card).getByRole("row", { name: /^Name/ })).toHaveTextContent("differs");
    expect(within(card).getByText(/If nobody answers, we make a new record/)).toBeVisible();
    await user.click(within(card).getByRole("button", { name: "Same person" }));
    expect(decisions(fake)).toEqual([["richmond", "36127212", { kind: "samePerson", patientId: "5521" }]]);
    expect(screen.queryByRole("article")).toBeNull();
    expect(await screen.findByRole("button", whyOf("Sam Nguyen"))).toBeVisible();
  });

  it("offers each of several candidates by number", async () => {
    const { user, fake } = await openBookings("twins");
    await user.click(screen.getByRole("button", { name: "Same person, no. 5521" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "samePerson", patientId: "5521" });
  });

  it("makes a new patient", async () => {
    const { user, fake } = await openBookings("decision");
    await user.click(screen.getByRole("button", { name: "New patient" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "newPatient" });
  });

  it("asks once more before it declines, in the row itself", async () => {
    const { user, fake } = await openBookings("decision");
    fake.push((view) => ({ now: new Date(Date.parse(view.now) + 60_000).toISOString() }));
    await user.click(screen.getByRole("button", { name: "Decline" }));
    expect(
      screen.getByText("Healthengine tells the patient that the appointment is cancelled."),
    ).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Keep it" }));
    expect(decisions(fake)).toHaveLength(0);
    await user.click(screen.getByRole("button", { name: "Decline" }));
    await user.click(screen.getByRole("button", { name: "Decline" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "decline" });
  });

  it("says when somebody else was faster", async () => {
    const { user, fake } = await openBookings("decision");
    vi.spyOn(fake.commands, "decideBooking").mockResolvedValue({
      status: "error",
      error: { code: "bookingChanged", message: "" },
    });
    await user.click(screen.getByRole("button", { name: "Same person" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("This booking changed a moment ago.");
  });

  it("says when time is up", async () => {
    const { fake } = await openBookings("decision");
    fake.push((view) => ({ now: new Date(Date.parse(view.now) + 600_000).toISOString() }));
    await vi.waitFor(() => expect(screen.getByRole("timer")).toHaveTextContent("time is up"));
  });
});

describe("a booking of a read-only practice", () => {
  it("lists what to type and takes “Done”", async () => {
    const { user, fake } = await openBookings("read-only");
    const card = screen.getByRole("article", { name: "Enter this appointment: Sam Nguyen" });
    expect(plain(card.textContent)).toContain("Fri 20 Nov 2026, 10:30 am");
    expect(within(card).getByText("sam.n@example.com")).toBeVisible();
    await user.click(within(card).getByRole("button", { name: "Done" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "enteredByHand" });
  });

  it("says when the appointment is not in the book yet, and keeps the values", async () => {
    const { user } = await openBookings("read-only-missing");
    await user.click(screen.getByRole("button", { name: "Done" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "We do not see this appointment in your book yet.",
    );
    expect(screen.getByText("sam.n@example.com")).toBeVisible();
  });

  it("copies a value", async () => {
    const { user } = await openBookings("read-only");
    await user.click(screen.getByRole("button", { name: "Copy Mobile" }));
    expect(await navigator.clipboard.readText()).toBe("0491 570 156");
    expect(await screen.findByText("Mobile copied.")).toBeVisible();
  });
});

describe("a booking that could not be placed", () => {
  it("offers another time, to cancel, to try again, or to take it as entered", async () => {
    const { user, fake } = await openBookings("not-placed");
    expect(screen.getByText(/the practice system has no calendar category/)).toBeVisible();
    expect(screen.getByRole("button", { name: "I have entered it" })).toBeEnabled();
    expect(screen.queryByRole("button", { name: /^Put it beside/ })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Try again" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "tryAgain" });
  });

  it("goes beside what stands there with one press, and says before what follows", async () => {
    const { user, fake } = await openBookings("placing");
    const card = screen.getByRole("article", { name: "Sam Nguyen could not be put into your book" });
    expect(card).toHaveTextContent("beside what stands there, and is confirmed. Nobody has to be told.");
    expect(card).toHaveTextContent("Healthengine tells the patient that the appointment is cancelled.");
    const beside = screen.getByRole("button", { name: /^Put it beside/ });
    expect(plain(beside.textContent)).toBe("Put it beside, today 10:30 am");
    await user.click(beside);
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "placeBeside" });
    await vi.waitFor(() => expect(screen.queryByRole("article")).toBeNull());
  });

  it("is cancelled on Healthengine with one press", async () => {
    const { user, fake } = await openBookings("placing");
    await user.click(screen.getByRole("button", { name: "Cancel on Healthengine" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "cancel" });
  });

  it("goes elsewhere with the keyboard alone, and stays until the patient was told", async () => {
    const { user, fake } = await openBookings("placing");
    const list = await screen.findByRole("list", { name: "Put it at another time" });
    const times = within(list).getAllByRole("button");
    expect(plain(times[0]?.textContent)).toBe("today 11:15 am, Dr Mei Lee");
    expect(plain(times.at(-1)?.textContent)).toBe("today 10:30 am, Ana Petrović");
    screen.getByRole("button", { name: /^Put it beside/ }).focus();
    await user.tab();
    expect(times[0]).toHaveFocus();
    await user.keyboard("{Enter}");
    expect(decisions(fake)[0]?.[2]).toEqual({
      kind: "placeElsewhere",
      resourceId: "11",
      startsWritten: "2026-11-20 11:15",
    });
    const told = await screen.findByRole("article", { name: "Tell Sam Nguyen the new time" });
    expect(plain(told.textContent)).toContain(
      "it still shows the patient Fri 20 Nov 2026, 10:30 am, Dr Mei Lee",
    );
    expect(within(told).getByText("0491 570 156")).toBeVisible();
    await user.click(within(told).getByRole("button", { name: "I have told the patient" }));
    expect(decisions(fake)[1]?.[2]).toEqual({ kind: "patientTold" });
    await vi.waitFor(() => expect(screen.queryByRole("article")).toBeNull());
  });

  it("shows all times of another day, and says when there are none", async () => {
    const { fake } = await openBookings("placing");
    const day = await screen.findByLabelText(/All times of a day/);
    expect(day).toHaveAttribute("min", "2026-11-20");
    await fireEvent.input(day, { target: { value: "2026-11-25" } });
    expect(await screen.findByRole("button", { name: /Tom Okafor/ })).toBeVisible();
    await fireEvent.input(screen.getByLabelText("Day"), { target: { value: "2026-11-22" } });
    expect(await screen.findByText(/Nothing that fits is free then/)).toBeVisible();
    const asked = fake.asked.filter((each) => each.command === "freeTimes");
    expect(asked.map((each) => each.with[2])).toEqual([null, "2026-11-25", "2026-11-22"]);
  });

  it("says when the chosen time has just been taken, and keeps the list", async () => {
    const { user } = await openBookings("placing-taken");
    const list = await screen.findByRole("list", { name: "Put it at another time" });
    await user.click(within(list).getAllByRole("button")[0] as HTMLElement);
    expect(await screen.findByRole("alert")).toHaveTextContent("That time has been taken a moment ago.");
    expect(within(list).getAllByRole("button")[0]).toBeEnabled();
  });

  it("is entered by a person where the book may only be read", async () => {
    const { user, fake } = await openBookings("placing-read-only");
    expect(screen.getByText(/We may only read your book, so only a person can put it there/)).toBeVisible();
    expect(screen.queryByRole("button", { name: /^Put it/ })).toBeNull();
    expect(fake.asked.some((each) => each.command === "freeTimes")).toBe(false);
    await user.click(screen.getByRole("button", { name: "I have entered it" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "enteredByHand" });
  });
});

describe("Healthengine’s clocks", () => {
  it("count down by themselves, and turn red when the answer is overdue", async () => {
    const { fake, app } = await openBookings("placing");
    const clock = () => screen.getByText(/^answer (due|overdue)/);
    expect(plain(clock().textContent)).toMatch(/^answer due in 7 min (40|39|38) s$/);
    const asked = fake.asked.length;
    app.now += 60_000;
    await tick();
    expect(plain(clock().textContent)).toMatch(/^answer due in 6 min/);
    expect(fake.asked.length).toBe(asked);
    fake.push((view) => ({ now: new Date(Date.parse(view.now) + 700_000).toISOString() }));
    await vi.waitFor(() => expect(plain(clock().textContent)).toBe("answer overdue for 4 min"));
    expect(clock()).toHaveClass("stop");
  });

  it("are read aloud at a few steps, not every second", async () => {
    const { app } = await openBookings("placing");
    const spoken = () => screen.getAllByRole("status").map((each) => each.textContent);
    expect(spoken()).toContain("The answer to Healthengine is due within ten minutes.");
    const before = spoken();
    app.now += 30_000;
    await tick();
    expect(spoken()).toEqual(before);
    app.now += 150_000;
    await tick();
    expect(spoken()).toContain("The answer to Healthengine is due within five minutes.");
  });

  it("stand beside what is on its way, and under “Needs you”", async () => {
    const { user, page } = await openBookings("several");
    const row = screen.getByRole("region", { name: "On its way" });
    expect(plain(row.textContent)).toMatch(/Healthengine can still offer another time for 1\d s/);
    page.unmount();
    await open("placing");
    expect(plain(screen.getByRole("region", { name: "Needs you" }).textContent)).toMatch(
      /answer due in 7 min/,
    );
    void user;
  });
});

describe("a booking of which nobody knows whether it was written", () => {
  it("waits without a clock", async () => {
    const { user, fake } = await openBookings("stuck");
    expect(screen.getByText(/it is not known whether the appointment was written/)).toBeVisible();
    expect(screen.queryByRole("timer")).toBeNull();
    await user.click(screen.getByRole("button", { name: "I have phoned the patient" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "patientPhoned" });
  });
});

describe("a cancellation in a read-only practice", () => {
  it("lists what to look for and takes “Done”", async () => {
    const { user, fake } = await openBookings("cancel-by-hand");
    expect(screen.getByText(/The patient cancelled online/)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Done" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "cancelledByHand" });
  });
});

describe("a late refusal", () => {
  it("shows the phone number and waits for the call", async () => {
    const { user, fake } = await openBookings("late");
    const card = screen.getByRole("article", { name: /^Phone Sam Nguyen/ });
    expect(within(card).getByText("0491 570 156")).toBeVisible();
    expect(within(card).queryByRole("timer")).toBeNull();
    await user.click(within(card).getByRole("button", { name: "I have phoned the patient" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "patientPhoned" });
  });
});

describe("a possible duplicate", () => {
  it("compares both records and waits to be handled", async () => {
    const { user, fake } = await openBookings("duplicate");
    expect(screen.getByText("The new record is no. 8311.")).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Handled" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "duplicateHandled" });
  });
});

describe("finished bookings", () => {
  it("explain themselves; Escape closes the explanation", async () => {
    const { user } = await openBookings("healthy");
    const why = await screen.findByRole("button", { name: "Why? Wei Chen" });
    await user.click(why);
    expect(await screen.findByText("Healthengine has the confirmation.")).toBeVisible();
    expect(why).toHaveAttribute("aria-expanded", "true");
    await user.click(screen.getByRole("button", { name: "Copy as a paragraph" }));
    expect(await navigator.clipboard.readText()).toContain("Healthengine has the confirmation.");
    await user.keyboard("{Escape}");
    expect(screen.queryByText("Healthengine has the confirmation.")).toBeNull();
    expect(why).toHaveFocus();
  });

  it("are searched and filtered by the program", async () => {
    const { user, fake } = await openBookings("healthy");
    await screen.findByRole("button", whyOf("Priya Raman"));
    await user.type(screen.getByRole("searchbox"), "wei");
    await vi.waitFor(() => expect(screen.queryByRole("button", whyOf("Priya Raman"))).toBeNull());
    expect(screen.getByRole("button", whyOf("Wei Chen"))).toBeVisible();
    await user.selectOptions(screen.getByRole("combobox", { name: "How it ended" }), "Declined");
    expect(await screen.findByText("No finished booking matches.")).toBeVisible();
    expect(fake.asked.at(-1)).toEqual({
      command: "findBookings",
      with: [{ practiceId: null, text: "wei", state: "rejected", offset: 0, limit: 25 }],
    });
  });

  it("come again when the ledger changed", async () => {
    const { user, fake } = await openBookings("healthy");
    await screen.findByRole("button", whyOf("Priya Raman"));
    await user.click(screen.getByRole("button", whyOf("Priya Raman")));
    await screen.findByText("Healthengine has the confirmation.");
    const before = fake.asked.length;
    fake.push(() => ({ headline: "catchingUp" }));
    await tick();
    expect(fake.asked.length).toBe(before);
    fake.push((view) => ({ ledgerRevision: view.ledgerRevision + 1 }));
    await vi.waitFor(() =>
      expect(fake.asked.slice(before).map((each) => each.command)).toEqual(["findBookings"]),
    );
  });

  it("are told apart by practice where there are several", async () => {
    const { user } = await openBookings("several");
    expect(await screen.findByRole("button", whyOf("Tama Ngata"))).toBeVisible();
    expect(screen.getByRole("region", { name: "On its way" })).toHaveTextContent("Noor Haddad");
    await user.selectOptions(screen.getByRole("combobox", { name: "Practice" }), "Richmond Physiotherapy");
    await vi.waitFor(() => expect(screen.queryByRole("button", whyOf("Tama Ngata"))).toBeNull());
    expect(screen.queryByRole("button", whyOf("Noor Haddad"))).toBeNull();
  });

  it("have words for an empty list and for one that cannot be read", async () => {
    const { page } = await openBookings("publishing");
    expect(await screen.findByText(/No booking is finished yet/)).toBeVisible();
    page.unmount();
    await openBookings("list-error");
    expect(await screen.findByRole("alert")).toHaveTextContent("the store did not answer");
  });
});

describe("a booking with documents", () => {
  it("shows where each one is and opens those that are kept here", async () => {
    const { user, fake } = await openBookings("healthy");
    const list = (await screen.findAllByRole("list", { name: "Documents" }))[0] ?? document.body;
    const lines = within(list)
      .getAllByRole("listitem")
      .map((each) => plain(each.textContent));
    expect(lines).toEqual([
      "NEW PATIENT FORM · New Patient Form 240 KB, came in today 8:02 am, kept here Open",
      "REFERRAL · Knee scan.pdf 240 KB, came in today 8:02 am, in your practice system",
      "REFERRAL · Letter 240 KB, came in today 8:02 am, on its way",
    ]);
    expect(within(list).getAllByRole("button")).toHaveLength(1);
    await user.click(within(list).getByRole("button", { name: "Open NEW PATIENT FORM · New Patient Form" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openDocument", with: ["richmond", "91"] });
  });

  it("says what it cannot open", async () => {
    const { user, fake } = await openBookings("healthy");
    fake.commands.openDocument = () =>
      Promise.resolve({ status: "error", error: { code: "fileFailed", message: "gone" } });
    await user.click(await screen.findByRole("button", { name: /^Open NEW PATIENT FORM/ }));
    expect(await screen.findByRole("alert")).toBeVisible();
  });
});

describe("a booking that stands for the wrong patient", () => {
  async function opened() {
    const all = await openBookings("healthy");
    await all.user.click(await screen.findByRole("button", { name: "Why? Wei Chen" }));
    return all;
  }

  it("is moved to another record", async () => {
    const { user, fake } = await opened();
    await user.click(await screen.findByRole("button", { name: "Not this patient" }));
    await user.click(screen.getByRole("button", { name: /^It is no\. 552/ }));
    const [practice, booking, decision] = decisions(fake)[0] ?? [];
    expect(practice).toBe("richmond");
    expect(booking).toBeTruthy();
    expect(decision).toMatchObject({ kind: "notThisPatient", patientId: expect.stringMatching(/^552/) });
    expect(await screen.findByText(/^Noted: it is no\. 552/)).toBeInTheDocument();
  });

  it("gets a new record, or keeps its patient", async () => {
    const { user, fake } = await opened();
    const wrong = await screen.findByRole("button", { name: "Not this patient" });
    await user.click(wrong);
    await user.click(screen.getByRole("button", { name: "Keep the patient" }));
    expect(wrong).toHaveAttribute("aria-expanded", "false");
    await user.click(wrong);
    await user.click(screen.getByRole("button", { name: "None of these: make a new record" }));
    expect(decisions(fake)[0]?.[2]).toEqual({ kind: "notThisPatient", patientId: null });
  });

  it("says when only the practice system can change it", async () => {
    const { user, fake } = await opened();
    vi.spyOn(fake.commands, "decideBooking").mockResolvedValue({
      status: "error",
      error: { code: "patientStays", message: "" },
    });
    await user.click(await screen.findByRole("button", { name: "Not this patient" }));
    await user.click(screen.getByRole("button", { name: "None of these: make a new record" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "The patient of this booking cannot be changed here any more.",
    );
  });
});

describe("a booking’s patient", () => {
  it("has a card that is one press away", async () => {
    const { user, app } = await openBookings("healthy");
    await user.click(screen.getByRole("button", { name: "Card of Priya Raman" }));
    expect(app.screen).toBe("patients");
    expect(app.wantedPatient).toEqual({ practiceId: "richmond", patientId: "4037" });
  });

  it("is opened in VALD Hub, or the row says why not", async () => {
    const { user, fake } = await openBookings("healthy");
    await user.click(screen.getByRole("button", { name: "Open Priya Raman in VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openInVald", with: ["richmond", "4037", false] });
    expect(await screen.findByRole("alert")).toHaveTextContent("This patient is not in your book any more.");
  });

  it("is said to have no page where there is none", async () => {
    await openBookings("healthy");
    const row = screen.getByRole("button", { name: "Card of Wei Chen" }).closest("li");
    expect(row).toHaveTextContent("VALD Hub: not asked");
    expect(screen.queryByRole("button", { name: "Open Wei Chen in VALD Hub" })).toBeNull();
    expect(screen.getByRole("button", { name: "Open Priya Raman in VALD Hub" })).toBeVisible();
  });

  it("is not offered to be opened where no page can be", async () => {
    await openBookings("no-vald");
    expect(screen.getByRole("button", { name: "Card of Priya Raman" })).toBeVisible();
    expect(screen.queryByRole("button", { name: /in VALD Hub$/ })).toBeNull();
  });
});
