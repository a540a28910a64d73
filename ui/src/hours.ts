// Ranges of a day in minutes, as the picture of a week draws them. Pure; nothing here decides when to save.
import type { LiveHours, TimeRange } from "./backend";
import { readTimeOfDay, showTimeOfDay } from "./format";

export const DAYS = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
  "publicHolidays",
] as const satisfies readonly (keyof LiveHours)[];
export type Day = (typeof DAYS)[number];

export const DAY_NAMES: Record<Day, string> = {
  monday: "Monday",
  tuesday: "Tuesday",
  wednesday: "Wednesday",
  thursday: "Thursday",
  friday: "Friday",
  saturday: "Saturday",
  sunday: "Sunday",
  publicHolidays: "Public holidays",
};

/** The end of the day, in minutes; on the wire it is 23:59. */
export const MIDNIGHT = 1440;
const LAST_MINUTE = "23:59";
/** What one press of an arrow, and the mouse, move by, in minutes. */
export const STEP = 15;
/** What is added where there is room, in minutes. */
const OFFICE = { start: 480, end: 1080 };
const SHORTEST = 30;

/** Minutes after midnight, the end excluded. */
export interface Span {
  start: number;
  end: number;
}

/** "08:15" → 495, "23:59" as an end → 1440; null if it is no time of day. */
function minutesOf(time: string): number | null {
  if (!/^\d\d:\d\d$/.test(time)) return null;
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

export function spanOf(range: TimeRange): Span | null {
  const start = minutesOf(range.start);
  const end = range.end === LAST_MINUTE ? MIDNIGHT : minutesOf(range.end);
  return start !== null && end !== null && start < end && end <= MIDNIGHT ? { start, end } : null;
}

export function clock(minutes: number): string {
  if (minutes >= MIDNIGHT) return LAST_MINUTE;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

export function rangeOf(span: Span): TimeRange {
  return { start: clock(span.start), end: clock(span.end) };
}

/** Every range of a day; null where one of them is not a range. */
export function spansOf(ranges: TimeRange[]): Span[] | null {
  const spans = ranges.map(spanOf);
  return spans.every((each) => each !== null) ? (spans as Span[]) : null;
}

/** The same minutes in order, with those that overlap or touch made one. */
export function merged(spans: Span[]): Span[] {
  const all: Span[] = [];
  for (const next of [...spans].sort((one, other) => one.start - other.start)) {
    const last = all.at(-1);
    if (last && next.start <= last.end) last.end = Math.max(last.end, next.end);
    else all.push({ ...next });
  }
  return all;
}

/** The span of these that holds the minute. */
export function holding(spans: Span[], minute: number): number {
  return spans.findIndex((each) => each.start <= minute && minute < each.end);
}

/** How far a span may reach without running over another one, or over midnight. */
export function room(spans: Span[], index: number): Span {
  return { start: spans[index - 1]?.end ?? 0, end: spans[index + 1]?.start ?? MIDNIGHT };
}

/** The free time around a minute. */
export function gapAt(spans: Span[], minute: number): Span {
  const before = spans.filter((each) => each.end <= minute).at(-1);
  const after = spans.find((each) => each.start > minute);
  return { start: before?.end ?? 0, end: after?.start ?? MIDNIGHT };
}

/** A span that was moved by some minutes, kept whole, and apart from its neighbours. */
export function moved(spans: Span[], index: number, by: number): Span | null {
  const span = spans[index];
  if (!span) return null;
  const limit = room(spans, index);
  const first = limit.start === 0 ? 0 : limit.start + STEP;
  const last = limit.end === MIDNIGHT ? MIDNIGHT : limit.end - STEP;
  // One that is off the grid moves onto it first.
  const start =
    by < 0 ? Math.ceil((span.start + by) / STEP) * STEP : Math.floor((span.start + by) / STEP) * STEP;
  const length = span.end - span.start;
  const to = Math.min(Math.max(start, first), last - length);
  return to < first ? null : { start: to, end: to + length };
}

/** A span with one edge moved by some minutes; never shorter than a step, and not over its neighbours. */
export function resized(spans: Span[], index: number, side: "start" | "end", by: number): Span | null {
  const span = spans[index];
  if (!span) return null;
  const to =
    by < 0 ? Math.ceil((span[side] + by) / STEP) * STEP : Math.floor((span[side] + by) / STEP) * STEP;
  return stretched(spans, index, side, to);
}

/** A span with one edge put to a minute, as far as there is room. */
export function stretched(spans: Span[], index: number, side: "start" | "end", to: number): Span | null {
  const span = spans[index];
  if (!span) return null;
  const limit = room(spans, index);
  return side === "start"
    ? { start: Math.max(limit.start, Math.min(to, span.end - STEP)), end: span.end }
    : { start: span.start, end: Math.min(limit.end, Math.max(to, span.start + STEP)) };
}

/** Where a new range fits: office hours on an empty day, else in the largest gap; null if the day is full. */
export function newSpan(spans: Span[]): Span | null {
  if (spans.length === 0) return { ...OFFICE };
  const gaps = [...spans.map((each) => gapAt(spans, each.end)), gapAt(spans, 0)]
    .filter((gap) => holding(spans, gap.start) < 0)
    .map((gap) => ({
      start: gap.start === 0 ? 0 : gap.start + SHORTEST,
      end: gap.end === MIDNIGHT ? MIDNIGHT : gap.end - SHORTEST,
    }))
    .filter((gap) => gap.end - gap.start >= SHORTEST)
    .sort((one, other) => other.end - other.start - (one.end - one.start));
  const largest = gaps[0];
  if (!largest) return null;
  // In the morning it ends where the gap does, later it begins there: beside the hours that there are.
  return largest.start === 0
    ? { start: Math.max(0, largest.end - 120), end: largest.end }
    : { start: largest.start, end: Math.min(largest.end, largest.start + 120) };
}

/** What was typed as the end of a range: midnight is the end of that day. */
export function readEnd(typed: string): string | null {
  if (/^\s*(midnight|24([:.]?00)?)\s*$/i.test(typed)) return LAST_MINUTE;
  const time = readTimeOfDay(typed);
  return time === "00:00" ? LAST_MINUTE : time;
}

/** "6:00 pm", or "midnight" at the day's end */
export function showEnd(time: string): string {
  return time === LAST_MINUTE || time === "24:00" ? "midnight" : showTimeOfDay(time);
}

/** "8:00 am to 6:00 pm", "all day" */
export function rangeWords(range: TimeRange): string {
  if (range.start === "00:00" && range.end === LAST_MINUTE) return "all day";
  return `${showTimeOfDay(range.start)} to ${showEnd(range.end)}`;
}
