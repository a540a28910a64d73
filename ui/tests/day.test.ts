import { screen, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";

import type { DayBookView, DayColumnsView, StoryEntryView, StretchView } from "../src/backend";
import { SCENARIOS, type ScenarioName } from "../src/backend/scenarios";
import {
  cells,
  cellWords,
  dayFrame,
  daysToShow,
  readWords,
  standing,
  standingWords,
  storyParagraph,
  storyWords,
} from "../src/day";
import { open, plain } from "./helpers";

const NOW = Date.parse("2026-11-19T21:52:12.000Z");
const ZONE = "Australia/Melbourne";

async function openDay(name: ScenarioName, of: string) {
  const opened = await open(name);
  await opened.user.click(screen.getByRole("button", { name: `Day of ${of} beside Healthengine` }));
  return opened;
}
function picture(of: string) {
  return within(screen.getByRole("group", { name: `${of}, times of the day` }));
}
function time(of: string, start: string) {
  return picture(of).getByRole("button", { name: new RegExp(`^Why\\? ${start}`) });
}
function why() {
  return within(screen.getByRole("region", { name: /^Why\?/ }));
}

describe("the day beside Healthengine", () => {
  it("is reached from a practitioner and says that both are the same, and how that is known", async () => {
    const { user, fake } = await openDay("healthy", "Dr Mei Lee");
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Your book beside Healthengine");
    await vi.waitFor(() => expect(screen.getByRole("heading", { level: 1 })).toHaveFocus());
    expect(fake.asked.find((each) => each.command === "dayBook")?.with).toEqual(["richmond", "2026-11-20"]);
    const day = within(await screen.findByRole("region", { name: "Dr Mei Lee, today" }));
    expect(day.getByText("Healthengine shows this day as your book has it.")).toBeVisible();
    expect(plain(day.getByText(/^All days/).textContent)).toMatch(
      /Healthengine shows what your book shows, checked \d+ s ago\. Your book was read 3 min ago and has not changed since, checked \d+ s ago\. Healthengine last accepted this day at 8:46:01 am\./,
    );
    expect(plain(time("Dr Mei Lee", "9:30").getAttribute("aria-label"))).toBe(
      "Why? 9:30 am to 9:45 am: free in your book, Healthengine offers it",
    );
    expect(plain(time("Dr Mei Lee", "10:30").getAttribute("aria-label"))).toBe(
      "Why? 10:30 am to 10:45 am: taken in your book, Healthengine does not offer it; Sam Nguyen, 10:30 am to 11:00 am",
    );
    await user.click(screen.getByRole("button", { name: "Back to Overview" }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Everything is in step.");
  });

  it("marks what differs, in words and not by colour alone", async () => {
    await openDay("on-its-way", "Ana Petrović");
    const day = within(await screen.findByRole("region", { name: "Ana Petrović, today" }));
    expect(plain(day.getByText(/^1 time differs/).textContent)).toMatch(
      /^1 time differs, noticed \d+ s ago\.$/,
    );
    expect(day.getByText("still offered")).toBeVisible();
    expect(plain(time("Ana Petrović", "2:15").getAttribute("aria-label"))).toBe(
      "Why? 2:15 pm to 2:30 pm: taken in your book, Healthengine offers it; the two differ",
    );
    expect(screen.getByRole("button", { name: "differs from your book Ana Petrović" })).toBeVisible();
    expect(screen.getByRole("button", { name: "as in your book Tom Okafor" })).toBeVisible();
  });

  it("claims nothing green while a connection is down", async () => {
    await openDay("down", "Ana Petrović");
    await screen.findByRole("region", { name: "Ana Petrović, today" });
    expect(screen.queryByText("in step")).toBeNull();
    const others = screen.getByRole("group", { name: "Practitioner" });
    expect(others.querySelectorAll(".ok")).toHaveLength(0);
  });

  it("tells why, from the change to the answer, and copies it", async () => {
    const { user, fake } = await openDay("healthy", "Dr Mei Lee");
    await screen.findByRole("region", { name: "Dr Mei Lee, today" });
    await user.click(time("Dr Mei Lee", "10:45"));
    expect(fake.asked.at(-1)).toEqual({
      command: "slotStory",
      with: ["richmond", "11", "2026-11-20", "10:45", "11:00"],
    });
    expect(await why().findByText("Booking 36127212: The appointment stands in the book.")).toBeVisible();
    const lines = why()
      .getAllByRole("listitem")
      .map((each) => plain(each.textContent));
    expect(lines.at(-3)).toBe("8:45:58.198 am Seen in your book: 10:30 am to 11:00 am is not free any more.");
    expect(lines.at(-1)).toBe("8:45:58.349 am Healthengine accepted them, 151 ms after the change was seen.");
    await user.click(why().getByRole("button", { name: "Copy as a paragraph" }));
    expect(await why().findByText("Copied.")).toBeVisible();
    expect(plain(await navigator.clipboard.readText())).toMatch(
      /^Dr Mei Lee, 20 Nov 2026, 10:45 am to 11:00 am: taken in your book, Healthengine does not offer it\. 20 Nov 2026, 8:45:54 am: Booking 36127212: The patient booked/,
    );
    await user.click(why().getByRole("button", { name: "Close" }));
    await vi.waitFor(() => expect(time("Dr Mei Lee", "10:45")).toHaveFocus());
    expect(screen.getByText(/^Press any time of the day/)).toBeVisible();
  });

  it("opens the page in VALD Hub of whoever stands in the book", async () => {
    const { user, fake, app } = await openDay("healthy", "Dr Mei Lee");
    await screen.findByRole("region", { name: "Dr Mei Lee, today" });
    await user.click(time("Dr Mei Lee", "10:45"));
    await user.click(await why().findByRole("button", { name: "Open Sam Nguyen in VALD Hub" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openInVald", with: ["richmond", "5521", false] });
    await user.click(why().getByRole("button", { name: "Card of Sam Nguyen" }));
    expect(app.wantedPatient).toEqual({ practiceId: "richmond", patientId: "5521" });
  });

  it("is walked through by the keyboard, with one stop for the Tab key", async () => {
    const { user } = await openDay("on-its-way", "Ana Petrović");
    await screen.findByRole("region", { name: "Ana Petrović, today" });
    const stops = picture("Ana Petrović")
      .getAllByRole("button")
      .filter((each) => each.tabIndex === 0);
    expect(stops).toEqual([time("Ana Petrović", "2:00")]);
    stops[0]?.focus();
    await user.keyboard("{ArrowDown}{ArrowDown}{ArrowUp}");
    await vi.waitFor(() => expect(time("Ana Petrović", "2:15")).toHaveFocus());
    await user.keyboard("{Enter}");
    expect(await why().findByText(/^Seen in your book: 2:00/)).toBeVisible();
    expect(time("Ana Petrović", "2:15")).toHaveAttribute("aria-pressed", "true");
    await user.keyboard("{Escape}");
    expect(screen.getByText(/^Press any time of the day/)).toBeVisible();
    await vi.waitFor(() => expect(time("Ana Petrović", "2:15")).toHaveFocus());
    await user.keyboard("{Home}");
    await vi.waitFor(() => expect(time("Ana Petrović", "8:00")).toHaveFocus());
  });

  it("goes to other days and people, within what is published", async () => {
    const { user, fake } = await openDay("healthy", "Dr Mei Lee");
    await screen.findByRole("region", { name: "Dr Mei Lee, today" });
    expect(screen.getByRole("button", { name: "Earlier" })).toBeDisabled();
    await user.click(screen.getByRole("button", { name: "Later" }));
    expect(await screen.findByRole("region", { name: "Dr Mei Lee, tomorrow" })).toBeVisible();
    const days = screen.getByRole("combobox", { name: "Day" });
    expect(within(days).getAllByRole("option")).toHaveLength(61);
    await user.selectOptions(days, "2027-01-19");
    expect(await screen.findByRole("region", { name: "Dr Mei Lee, Tue 19 Jan 2027" })).toBeVisible();
    expect(screen.getByRole("button", { name: "Later" })).toBeDisabled();
    expect(fake.asked.at(-1)?.with).toEqual(["richmond", "2027-01-19"]);
    await user.click(screen.getByRole("button", { name: /Tom Okafor$/ }));
    expect(screen.getByRole("region", { name: "Tom Okafor, Tue 19 Jan 2027" })).toBeVisible();
    await user.selectOptions(days, "2026-11-20");
    await user.click(screen.getByRole("button", { name: /Zoë Wärn$/ }));
    expect(await screen.findByText("No working time on this day, and nothing is offered.")).toBeVisible();
  });

  it("follows what happens, and asks again after a failure", async () => {
    const { fake } = await openDay("on-its-way", "Ana Petrović");
    await screen.findByText("still offered");
    fake.push((view) => ({ practices: SCENARIOS.healthy().view.practices, now: view.now }));
    await vi.waitFor(() => expect(screen.queryByText("still offered")).toBeNull());
    expect(await screen.findByText("Healthengine shows this day as your book has it.")).toBeVisible();
  });

  it("draws nothing of a book that was not read yet", async () => {
    const { fake } = await openDay("healthy", "Ana Petrović");
    await screen.findByRole("region", { name: "Ana Petrović, today" });
    fake.push((view) => ({
      practices: view.practices.map((each) => ({ ...each, system: { ...each.system, lastReadAt: null } })),
    }));
    expect(await screen.findByText(/^Your book has not been read since/)).toBeVisible();
    expect(screen.queryByRole("group", { name: "Ana Petrović, times of the day" })).toBeNull();
    expect(screen.queryByText(/^No working time/)).toBeNull();
  });

  it("says what failed", async () => {
    const { user, fake } = await openDay("list-error", "Ana Petrović");
    expect(await screen.findByRole("alert")).toHaveTextContent("Something went wrong.");
    const asked = () => fake.asked.filter((each) => each.command === "dayBook").length;
    const before = asked();
    await user.click(screen.getByRole("button", { name: "Try again" }));
    expect(asked()).toBe(before + 1);
  });
});

describe("a day in words", () => {
  const part = (start: string, end: string, kind: StretchView["kind"] = "free"): StretchView => ({
    start,
    end,
    kind,
    onlyTypes: [],
  });
  const column = (given: Partial<DayColumnsView> = {}): DayColumnsView => ({
    id: "11",
    name: "Dr Lee",
    book: [part("09:00", "09:40"), part("09:40", "09:50", "tooShort"), part("09:50", "24:00", "taken")],
    offered: [part("09:00", "09:40")],
    acceptedAt: "2026-11-19T21:51:00.000Z",
    inDoubt: false,
    differences: [],
    differsSince: null,
    bookings: [],
    ...given,
  });
  const book = (one: DayColumnsView): DayBookView => ({
    practiceId: "richmond",
    day: "2026-11-20",
    readAt: "2026-11-19T21:52:00.000Z",
    slotMinutes: 15,
    practitioners: [one],
  });
  const practice = () => {
    const found = SCENARIOS.healthy().view.practices[0];
    if (!found) throw new Error("no practice");
    return found;
  };

  it("has a row for each time, from whole hours to midnight", () => {
    const frame = dayFrame(book(column()));
    expect(frame).toEqual({ from: 540, to: 1440 });
    const rows = cells(column(), 15, frame);
    expect(rows).toHaveLength(60);
    expect(rows.slice(0, 4).map((row) => [row.inBook, row.offered])).toEqual([
      ["free", "offered"],
      ["free", "offered"],
      ["partly", "partly"],
      ["taken", "notOffered"],
    ]);
    expect(plain(cellWords(rows.at(-1) as never))).toBe(
      "11:45 pm to midnight: taken in your book, Healthengine does not offer it",
    );
    // A grid of five minutes would give rows that nobody can press.
    expect(cells(column(), 5, frame)).toHaveLength(60);
    expect(cells(column(), 60, frame)).toHaveLength(15);
    expect(dayFrame({ ...book(column()), practitioners: [] })).toEqual({ from: 480, to: 1080 });
  });

  it("never says more than is known", () => {
    const words = (given: Partial<DayColumnsView>, of: Partial<DayBookView> = {}) => {
      const one = column(given);
      const whole = { ...book(one), ...of };
      return [standing(one, whole), plain(standingWords(one, whole, practice(), NOW))];
    };
    expect(words({})).toEqual(["same", "Healthengine shows this day as your book has it."]);
    const paused = { ...practice(), enabled: false };
    expect(standingWords(column(), book(column()), paused, NOW)).toBe(
      "Healthengine showed this day as your book had it when they were last compared.",
    );
    expect(words({ offered: null })[0]).toBe("unknown");
    expect(words({ offered: null, differsSince: "2026-11-19T21:52:10.000Z" })).toEqual([
      "differs",
      "This day is on its way to Healthengine; what it shows until then is not known.",
    ]);
    expect(words({}, { readAt: null })).toEqual([
      "unknown",
      "Your book has not been read since Clinic Companion was started.",
    ]);
    const doubtful = { inDoubt: true, differsSince: "2026-11-19T21:52:10.000Z" };
    expect(words(doubtful)[1]).toBe(
      "This day is being sent, noticed 2 s ago. It was sent, and Healthengine’s answer is not known; we send it again.",
    );
    const unlinked = { ...practice(), healthengine: null };
    expect(standingWords(column(), book(column()), unlinked, NOW)).toContain("not linked yet");
  });

  it("does not say that a book holds that could not be looked at", () => {
    const down = { ...practice(), system: { ...practice().system, light: "down" as const } };
    expect(plain(readWords(book(column()), down, NOW))).toBe("Your book was read 12 s ago.");
    expect(plain(readWords(book(column()), practice(), NOW))).toContain("has not changed since");
  });

  it("tells each step of a story", () => {
    const entries: StoryEntryView[] = [
      {
        at: "2026-11-19T21:41:07.000Z",
        what: { kind: "changed", start: "09:00", end: "24:00", change: "freed" },
      },
      { at: "2026-11-19T21:41:07.200Z", what: { kind: "sent" } },
      { at: "2026-11-19T21:41:08.300Z", what: { kind: "accepted" } },
      { at: "2026-11-19T21:51:00.000Z", what: { kind: "dayAccepted" } },
      { at: "2026-11-19T21:52:00.000Z", what: { kind: "unanswered" } },
    ];
    const told = entries.map((_, index) => plain(storyWords(entries, index)));
    expect(told).toEqual([
      "Seen in your book: 9:00 am to midnight is free again.",
      "The day’s free times were sent to Healthengine.",
      "Healthengine accepted them, 1.3 s after the change was seen.",
      "Healthengine accepted the whole day, with this time as it was.",
      "The day’s free times were sent. Healthengine’s answer is not known, or it refused; we send them again.",
    ]);
    const [row] = cells(column(), 15, { from: 540, to: 600 });
    const paragraph = storyParagraph(row as never, "Dr Lee", "2026-11-20", entries, ZONE);
    expect(plain(paragraph)).toContain("20 Nov 2026, 8:41:07 am: Seen in your book: 9:00 am to midnight");
  });

  it("shows the days that are published, and before that those that will be", () => {
    expect(daysToShow(practice(), NOW).at(-1)).toBe("2027-01-19");
    const fresh = { ...practice(), publishedTo: null };
    expect(daysToShow(fresh, NOW)).toHaveLength(61);
    expect(daysToShow(fresh, NOW)[0]).toBe("2026-11-20");
  });
});
