// A made-up day of each practitioner, the same each time, for the fake backend.
import type {
  DayBookingView,
  DayBookView,
  DayColumnsView,
  PracticeView,
  PractitionerView,
  SlotStoryView,
  StoryEntryView,
  StretchView,
  VisitView,
} from "./index";

type Taken = [start: string, end: string];

/** What stands in each made-up book, by the place of the practitioner in the list. */
const TAKEN: Taken[][] = [
  [
    ["08:30", "09:00"],
    ["09:00", "09:30"],
    ["10:30", "11:00"],
    ["11:00", "11:20"],
    ["14:00", "14:30"],
    ["15:15", "16:45"],
  ],
  [
    ["08:00", "12:00"],
    ["13:00", "14:30"],
    ["14:45", "16:30"],
  ],
  [
    ["08:00", "08:30"],
    ["09:15", "09:45"],
    ["10:00", "12:00"],
    ["14:00", "15:00"],
  ],
  [
    ["08:00", "12:30"],
    ["13:00", "17:00"],
  ],
  [],
  [],
];
const HOURS: Taken[] = [
  ["08:00", "12:30"],
  ["13:00", "17:00"],
];

function part(start: string, end: string, kind: StretchView["kind"], onlyTypes: string[] = []): StretchView {
  return { start, end, kind, onlyTypes };
}

/** Working hours with what stands in them. */
function bookOf(taken: Taken[], isOff: boolean): StretchView[] {
  if (isOff) return [];
  const all: StretchView[] = taken.map(([start, end]) => part(start, end, "taken"));
  for (const [from, to] of HOURS) {
    let at = from;
    for (const [start, end] of [...taken, [to, to] as Taken]) {
      if (end <= at || start > to) continue;
      if (start > at) {
        const short = minutesBetween(at, start) < 15;
        const late = at >= "16:00";
        all.push(
          part(at, start, short ? "tooShort" : "free", !short && late ? ["Initial consultation"] : []),
        );
      }
      at = end;
    }
  }
  return all.sort((one, other) => one.start.localeCompare(other.start));
}

function minutesBetween(start: string, end: string): number {
  const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
  return minutes(end) - minutes(start);
}

function earlier(now: string, seconds: number): string {
  return new Date(Date.parse(now) - seconds * 1000).toISOString();
}

function columnsOf(one: PractitionerView, index: number, now: string, isToday: boolean): DayColumnsView {
  const isOff = isToday && one.freeToday === null;
  const taken = isToday ? (TAKEN[index] ?? []) : (TAKEN[(index + 2) % TAKEN.length] ?? []);
  const book = bookOf(taken, isOff);
  const free = book.filter((each) => each.kind === "free");
  const bookings: DayBookingView[] = [];
  const column: DayColumnsView = {
    id: one.id,
    name: one.name,
    book,
    offered: one.freshness.kind === "notYet" ? null : free,
    acceptedAt: one.freshness.kind === "notYet" ? null : earlier(now, 371),
    inDoubt: false,
    differences: [],
    differsSince: null,
    bookings,
  };
  if (!isToday || isOff) return column;
  if (index === 0) {
    bookings.push({
      bookingId: "36127212",
      patientName: "Sam Nguyen",
      state: "confirmed",
      start: "10:30",
      end: "11:00",
    });
  }
  // What somebody at the desk has just taken is still offered.
  const last = taken.at(-1);
  if (last && (one.freshness.kind === "onItsWay" || one.freshness.kind === "behind")) {
    const [start, end] = last;
    column.offered = [...free, part(start, end, "free")].sort((a, b) => a.start.localeCompare(b.start));
    column.differences = [{ start, end, change: "taken" }];
    column.differsSince = one.freshness.kind === "onItsWay" ? one.freshness.changedAt : one.freshness.since;
    column.inDoubt = one.freshness.kind === "behind";
  }
  return column;
}

export function fakeDay(practice: PracticeView, day: string, today: string, now: string): DayBookView {
  const read = practice.system.lastReadAt !== null;
  return {
    practiceId: practice.id,
    day,
    readAt: read ? earlier(now, 214) : null,
    slotMinutes: read ? 15 : 0,
    practitioners: practice.practitioners.map((each, index) => columnsOf(each, index, now, day === today)),
  };
}

/** What happened to a time: a booking where one stands, else a change at the desk; nothing before eight. */
export function fakeStory(
  column: DayColumnsView,
  slot: { start: string; end: string },
  now: string,
  visits: VisitView[],
): SlotStoryView {
  const touches = (each: { start: string; end: string }) => each.start < slot.end && slot.start < each.end;
  const entries: StoryEntryView[] = [];
  const add = (secondsAgo: number, what: StoryEntryView["what"]) =>
    entries.push({ at: earlier(now, secondsAgo), what });
  const booking = column.bookings.find(touches);
  const stretch = column.book.find(touches);
  if (booking) {
    const line = (sentence: string) => ({ kind: "booking" as const, bookingId: booking.bookingId, sentence });
    add(377.412, line("The patient booked on Healthengine."));
    add(374.09, line("Clinic Companion saw the booking."));
    add(374.027, line("The appointment stands in the book."));
    add(373.859, line("Healthengine has the confirmation."));
  }
  if (stretch?.kind === "taken") {
    const changed = {
      kind: "changed" as const,
      start: stretch.start,
      end: stretch.end,
      change: "taken" as const,
    };
    if (column.differences.some(touches)) {
      add(2, changed);
    } else {
      add(373.802, changed);
      add(373.77, { kind: "sent" });
      add(373.651, { kind: "accepted" });
    }
  } else if (stretch) {
    add(371, { kind: "dayAccepted" });
  }
  if (column.inDoubt) add(1, { kind: "unanswered" });
  return { entries, visits: stretch?.kind === "taken" ? visits : [] };
}
