// A day of the book beside what Healthengine shows: its grid, and its words. Pure.
import type {
  DayBookingView,
  DayBookView,
  DayColumnsView,
  PracticeView,
  SlotChange,
  StoryEntryView,
  StretchView,
} from "./backend";
import {
  ago,
  counted,
  duration,
  localDate,
  plainDate,
  showTimeOfDay,
  timeOfDay,
  timeWithSeconds,
} from "./format";
import { bookingState } from "./words";

/** What a time is in the book. */
export type InBook = "free" | "taken" | "tooShort" | "off" | "partly";
/** What Healthengine does with a time, as far as is known. */
export type Offered = "offered" | "notOffered" | "partly" | "unknown";

/** One time that a person can ask about. Minutes after midnight. */
export interface Cell {
  start: number;
  end: number;
  inBook: InBook;
  offered: Offered;
  differs: boolean;
  bookings: DayBookingView[];
}

/** The shortest time that has a row of its own. */
const SHORTEST_ROW = 10;
const USUAL_ROW = 15;
const MIDNIGHT = 1440;

/** "09:15" → 555, "24:00" → 1440 */
export function minutes(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}

/** 555 → "09:15", 1440 → "24:00" */
export function time(minute: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

/** "9:15 am", "midnight" */
export function clock(written: string): string {
  return written === "24:00" ? "midnight" : showTimeOfDay(written);
}

export function between(part: { start: string; end: string }): string {
  return `${clock(part.start)} to ${clock(part.end)}`;
}

/** Whole hours around everything that happens on the day, for anybody. */
export function dayFrame(book: DayBookView): { from: number; to: number } {
  const all = book.practitioners.flatMap((each) => [...each.book, ...(each.offered ?? [])]);
  if (all.length === 0) return { from: 8 * 60, to: 18 * 60 };
  const from = Math.min(...all.map((each) => minutes(each.start)));
  const to = Math.max(...all.map((each) => minutes(each.end)));
  return { from: Math.floor(from / 60) * 60, to: Math.min(MIDNIGHT, Math.ceil(to / 60) * 60) };
}

function overlap(one: { start: string; end: string }, from: number, to: number): number {
  return Math.max(0, Math.min(minutes(one.end), to) - Math.max(minutes(one.start), from));
}

function covered(all: StretchView[], kind: StretchView["kind"], from: number, to: number): number {
  return all.filter((each) => each.kind === kind).reduce((sum, each) => sum + overlap(each, from, to), 0);
}

/** The rows of a practitioner's day. */
export function cells(
  column: DayColumnsView,
  slotMinutes: number,
  frame: { from: number; to: number },
): Cell[] {
  const step = slotMinutes >= SHORTEST_ROW ? slotMinutes : USUAL_ROW;
  const found: Cell[] = [];
  for (let start = frame.from; start < frame.to; start += step) {
    const end = Math.min(start + step, frame.to);
    const whole = end - start;
    const free = covered(column.book, "free", start, end);
    const taken = covered(column.book, "taken", start, end);
    const tooShort = covered(column.book, "tooShort", start, end);
    const offered = covered(column.offered ?? [], "free", start, end);
    found.push({
      start,
      end,
      inBook:
        free >= whole
          ? "free"
          : free > 0
            ? "partly"
            : taken > 0
              ? "taken"
              : tooShort > 0
                ? "tooShort"
                : "off",
      offered:
        column.offered === null
          ? "unknown"
          : offered >= whole
            ? "offered"
            : offered > 0
              ? "partly"
              : "notOffered",
      differs: column.differences.some((each) => overlap(each, start, end) > 0),
      bookings: column.bookings.filter((each) => overlap(each, start, end) > 0),
    });
  }
  return found;
}

const IN_BOOK: Record<InBook, string> = {
  free: "free in your book",
  taken: "taken in your book",
  tooShort: "too short for an appointment",
  off: "no working time in your book",
  partly: "partly free in your book",
};
const OFFERED: Record<Offered, string> = {
  offered: "Healthengine offers it",
  notOffered: "Healthengine does not offer it",
  partly: "Healthengine offers part of it",
  unknown: "what Healthengine shows is not known yet",
};

/** "9:15 am to 9:30 am: taken in your book, Healthengine does not offer it" */
export function cellWords(cell: Cell): string {
  const differs = cell.differs ? "; the two differ" : "";
  const at = between({ start: time(cell.start), end: time(cell.end) });
  return `${at}: ${IN_BOOK[cell.inBook]}, ${OFFERED[cell.offered]}${differs}`;
}

/** Whether a booking takes time in the picture. */
export function stands(booking: DayBookingView): boolean {
  return booking.state !== "rejected" && booking.state !== "cancelled";
}

export function bookingWords(booking: DayBookingView): string {
  const name = booking.patientName ?? `Booking ${booking.bookingId}`;
  return booking.state === "confirmed" ? name : `${name}, ${bookingState(booking.state)}`;
}

const CHANGES: Record<SlotChange, string> = {
  taken: "not free any more",
  freed: "free again",
  otherTypes: "kept for other appointment types",
};

/** How the picture of one practitioner's day compares. */
export type DayStanding = "same" | "differs" | "unknown";

export function standing(column: DayColumnsView, book: DayBookView): DayStanding {
  if (book.readAt === null || (column.offered === null && column.differsSince === null)) return "unknown";
  return column.differsSince === null && !column.inDoubt ? "same" : "differs";
}

/** Whether what was compared last still holds: every connection that it rests on has just been proven. */
export function proven(practice: PracticeView, id: string): boolean {
  const person = practice.practitioners.find((each) => each.id === id);
  if (!person || !practice.enabled) return false;
  const { kind } = person.freshness;
  return kind === "onItsWay" || (kind === "inStep" && person.light === "ok");
}

/** The sentence above the picture. */
export function standingWords(
  column: DayColumnsView,
  book: DayBookView,
  practice: PracticeView,
  now: number,
): string {
  if (!practice.healthengine) return "Healthengine is not linked yet, so only your book is shown.";
  if (book.readAt === null) return "Your book has not been read since Clinic Companion was started.";
  if (column.offered === null) {
    return column.differsSince === null
      ? "Nothing is known of what Healthengine shows on this day."
      : "This day is on its way to Healthengine; what it shows until then is not known.";
  }
  if (standing(column, book) === "same") {
    return proven(practice, column.id)
      ? "Healthengine shows this day as your book has it."
      : "Healthengine showed this day as your book had it when they were last compared.";
  }
  const since = column.differsSince ? `, noticed ${ago(column.differsSince, now)}` : "";
  const what =
    column.differences.length > 0
      ? `${counted(column.differences.length, "time differs", "times differ")}${since}.`
      : `This day is being sent${since}.`;
  return column.inDoubt
    ? `${what} It was sent, and Healthengine’s answer is not known; we send it again.`
    : what;
}

/** When the book was read, and when that was last found to hold. */
export function readWords(book: DayBookView, practice: PracticeView, now: number): string {
  if (book.readAt === null) return "";
  const read = `Your book was read ${ago(book.readAt, now)}`;
  const { lastReadAt, light } = practice.system;
  if (light !== "ok" || lastReadAt === null || Date.parse(lastReadAt) <= Date.parse(book.readAt))
    return `${read}.`;
  return `${read} and has not changed since, checked ${ago(lastReadAt, now)}.`;
}

export function acceptedWords(column: DayColumnsView, zone: string, now: number): string {
  if (column.acceptedAt === null || column.offered === null || column.inDoubt) return "";
  const today = localDate(now, zone) === localDate(column.acceptedAt, zone);
  const at = today
    ? timeWithSeconds(column.acceptedAt, zone)
    : `${timeOfDay(column.acceptedAt, zone)} on ${plainDate(localDate(column.acceptedAt, zone))}`;
  return `Healthengine last accepted this day at ${at}.`;
}

/** One line of the story of a time. An answer says how long it took from the change. */
export function storyWords(entries: StoryEntryView[], index: number): string {
  const entry = entries[index];
  if (!entry) return "";
  const { what } = entry;
  switch (what.kind) {
    case "changed":
      return `Seen in your book: ${between(what)} is ${CHANGES[what.change]}.`;
    case "sent":
      return "The day’s free times were sent to Healthengine.";
    case "accepted": {
      const changed = entries.slice(0, index).findLast((each) => each.what.kind === "changed");
      const took = changed ? Date.parse(entry.at) - Date.parse(changed.at) : null;
      return took === null
        ? "Healthengine accepted them."
        : `Healthengine accepted them, ${duration(took)} after the change was seen.`;
    }
    case "dayAccepted":
      return "Healthengine accepted the whole day, with this time as it was.";
    case "unanswered":
      return "The day’s free times were sent. Healthengine’s answer is not known, or it refused; we send them again.";
    case "booking":
      return `Booking ${what.bookingId}: ${what.sentence}`;
  }
}

/** The whole story as one paragraph, to be pasted into a message. */
export function storyParagraph(
  cell: Cell,
  name: string,
  day: string,
  entries: StoryEntryView[],
  zone: string,
): string {
  const sentences = entries.map((entry, index) => {
    const on = plainDate(localDate(entry.at, zone));
    return `${on}, ${timeWithSeconds(entry.at, zone)}: ${storyWords(entries, index)}`;
  });
  return [`${name}, ${plainDate(day)}, ${cellWords(cell)}.`, ...sentences].join(" ");
}

/** The days that can be looked at: from today to the last one that is published. */
export function daysToShow(practice: PracticeView, now: number): string[] {
  const today = localDate(now, practice.timeZone);
  const first = Date.parse(`${today}T12:00:00Z`);
  const horizon = practice.setup.healthengine?.horizonDays ?? 14;
  const last = practice.publishedTo
    ? Date.parse(`${practice.publishedTo}T12:00:00Z`)
    : first + horizon * 86_400_000;
  const days: string[] = [];
  for (let at = first; at <= last; at += 86_400_000) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}
