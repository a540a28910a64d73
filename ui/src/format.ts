// Pure formatting. Instants come in as RFC 3339 in UTC and leave in the practice's own zone, in Australian form.

import type { PatientView } from "./backend";

const LOCALE = "en-AU";
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formatters.get(key);
  if (!found) {
    // Without a zone this computer's own one holds.
    found = new Intl.DateTimeFormat(LOCALE, { ...options, ...(zone ? { timeZone: zone } : {}) });
    formatters.set(key, found);
  }
  return found;
}

/** Engines differ in which narrow space they put before "am". */
function evenSpaces(text: string): string {
  return text.replace(/[\u202f\u2009]/g, "\u00a0").replace(/ (am|pm)/g, "\u00a0$1");
}

/** "10:30 am" */
export function timeOfDay(instant: string, zone: string): string {
  return evenSpaces(formatter(zone, { hour: "numeric", minute: "2-digit" }).format(new Date(instant)));
}

/** "10:30:07 am" */
export function timeWithSeconds(instant: string, zone: string): string {
  const options = { hour: "numeric", minute: "2-digit", second: "2-digit" } as const;
  return evenSpaces(formatter(zone, options).format(new Date(instant)));
}

/** "10:30:07.412 am" */
export function timeToTheMillisecond(instant: string, zone: string): string {
  const options = {
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  } as const;
  return evenSpaces(formatter(zone, options).format(new Date(instant)));
}

/** The practice-local date of an instant, `2026-11-20`. */
export function localDate(instant: string | number, zone: string): string {
  const parts = formatter(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(
    new Date(instant),
  );
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
}

function daysBetween(earlier: string, later: string): number {
  return Math.round((Date.parse(`${later}T00:00:00Z`) - Date.parse(`${earlier}T00:00:00Z`)) / 86_400_000);
}

/** "today", "tomorrow", "yesterday", "Mon 23 Nov", "Mon 23 Nov 2027" */
export function dayName(date: string, today: string): string {
  const days = daysBetween(today, date);
  if (days === 0) return "today";
  if (days === 1) return "tomorrow";
  if (days === -1) return "yesterday";
  const noon = new Date(`${date}T12:00:00Z`);
  const year = date.slice(0, 4) === today.slice(0, 4) ? {} : ({ year: "numeric" } as const);
  const text = formatter("UTC", { weekday: "short", day: "numeric", month: "short", ...year }).format(noon);
  return text.replace(",", "");
}

/** "today 10:30 am", "Mon 23 Nov, 9:00 am" */
export function dayAndTime(instant: string, zone: string, now: number): string {
  const day = dayName(localDate(instant, zone), localDate(now, zone));
  const time = timeOfDay(instant, zone);
  return /\d/.test(day) ? `${day}, ${time}` : `${day} ${time}`;
}

/** "Friday 20 November" or, in another year, "Friday 19 January 2028" */
export function longDay(date: string, today: string): string {
  const day = formatter("UTC", { weekday: "long" }).format(new Date(`${date}T12:00:00Z`));
  return `${day} ${longDate(date, today)}`;
}

/** "19 January" or, in another year, "19 January 2028" */
export function longDate(date: string, today: string): string {
  const year = date.slice(0, 4) === today.slice(0, 4) ? {} : ({ year: "numeric" } as const);
  const text = formatter("UTC", { day: "numeric", month: "long", ...year }).format(
    new Date(`${date}T12:00:00Z`),
  );
  return text.replaceAll(" ", "\u00a0");
}

/** "9 Nov 1984" from `1984-11-09`; anything else is left as it is. */
export function plainDate(date: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) return date;
  const noon = new Date(`${date}T12:00:00Z`);
  if (Number.isNaN(noon.getTime())) return date;
  return formatter("UTC", { day: "numeric", month: "short", year: "numeric" }).format(noon);
}

/** "Fri 20 Nov 2026, 10:30 am" from the wall clock `2026-11-20 10:30`; anything else is left as it is. */
export function wallClock(written: string): string {
  if (!/^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?$/.test(written)) return written;
  const instant = `${written.slice(0, 10)}T${written.slice(11, 16)}:00Z`;
  if (Number.isNaN(Date.parse(instant))) return written;
  const day = formatter("UTC", { weekday: "short", day: "numeric", month: "short", year: "numeric" })
    .format(new Date(instant))
    .replace(",", "");
  return `${day}, ${timeOfDay(instant, "UTC")}`;
}

/** "just now", "4 s ago", "3 min ago", "2 h ago", "3 days ago" */
export function ago(instant: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(instant)) / 1000));
  if (seconds < 1) return "just now";
  return `${span(seconds)}\u00a0ago`;
}

/** "4 s", "3 min", "2 h", "3 days" */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)}\u00a0s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}\u00a0h`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? "1\u00a0day" : `${days}\u00a0days`;
}

/** "340 ms", "2.6 s", "1 min 5 s" */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}\u00a0ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)}\u00a0s`;
  const seconds = Math.round(milliseconds / 1000);
  const rest = seconds % 60;
  const minutes = `${Math.floor(seconds / 60)}\u00a0min`;
  return rest === 0 ? minutes : `${minutes} ${rest}\u00a0s`;
}

/** Whole seconds left, never below zero. */
export function secondsLeft(until: string, now: number): number {
  return Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
}

/** "7 min 40 s", "3 min", "12 s" */
export function minutesAndSeconds(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  if (minutes === 0) return `${rest}\u00a0s`;
  return rest === 0 ? `${minutes}\u00a0min` : `${minutes}\u00a0min ${rest}\u00a0s`;
}

/** "8:12", "1:02:03" */
export function countdown(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** "14,310" */
export function count(value: number): string {
  return new Intl.NumberFormat(LOCALE).format(value);
}

/** "12 bytes", "240 KB", "3.2 MB". */
export function fileSize(bytes: number): string {
  if (bytes < 1000) return counted(bytes, "byte");
  if (bytes < 999_500) return `${count(Math.round(bytes / 1000))}\u00a0KB`;
  return `${count(Math.round(bytes / 100_000) / 10)}\u00a0MB`;
}

/** "1 patient", "14,310 patients" */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** "a, b and c" */
export function listed(words: string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

/** "Melbourne" from `Australia/Melbourne` */
export function zoneName(zone: string): string {
  return (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");
}

/** "08:00" from "8", "8:00", "800", "8 am", "8.00"; null if it is no time of day. */
export function readTimeOfDay(typed: string): string | null {
  const match = /^\s*(\d{1,2})(?:[:.]?(\d{2}))?\s*(am|pm)?\s*$/i.exec(typed);
  if (!match) return null;
  let hour = Number(match[1]);
  const minute = Number(match[2] ?? "0");
  const half = match[3]?.toLowerCase();
  if (half && (hour < 1 || hour > 12)) return null;
  if (half === "pm" && hour < 12) hour += 12;
  if (half === "am" && hour === 12) hour = 0;
  if (hour > 23 || minute > 59) return null;
  return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
}

/** "8:00 am" from `08:00`; anything else is left as it was typed. */
export function showTimeOfDay(value: string): string {
  return /^\d\d:\d\d$/.test(value) ? timeOfDay(`2026-01-01T${value}:00Z`, "UTC") : value;
}

/** The hour of the day in a zone, 0 to 23. */
export function hourOfDay(now: number, zone: string): number {
  return Number(formatter(zone, { hour: "2-digit", hourCycle: "h23" }).format(new Date(now)));
}

/** "Sam Nguyen"; one name alone where there is only one. */
export function fullName(person: { givenName: string; familyName: string }): string {
  return [person.givenName, person.familyName].filter((part) => part !== "").join(" ") || "No name";
}

/** What the button needs that opens the patient's page in VALD Hub. */
export function hubOf(patient: PatientView) {
  const { practiceId, patientId, vald } = patient;
  return { practiceId, patientId, vald, name: fullName(patient) };
}

/** A part of a name, and whether it was typed. */
export interface NamePart {
  text: string;
  typed: boolean;
}

/** A letter as it is compared: without its marks, small, with one kind of apostrophe. */
function bareLetter(letter: string): string {
  return letter.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/[‘’`]/g, "'");
}

/** A name in parts: what was typed is told apart, at the beginning of a word if it can be, else within one. */
export function typedParts(name: string, typed: string): NamePart[] {
  const wanted = [...typed.normalize("NFC")]
    .map(bareLetter)
    .join("")
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  return name
    .normalize("NFC")
    .split(/(\s+)/)
    .flatMap((word) => wordInParts(word, wanted))
    .filter((part) => part.text !== "");
}

function wordInParts(word: string, wanted: string[]): NamePart[] {
  const letters = [...word];
  // Where in the bare word each letter begins; a letter may be none or several there.
  const begins = [0];
  let bare = "";
  for (const letter of letters) {
    bare += bareLetter(letter);
    begins.push(bare.length);
  }
  const found = wanted.find((each) => bare.startsWith(each)) ?? wanted.find((each) => bare.includes(each));
  if (found === undefined) return [{ text: word, typed: false }];
  // A mark that stands alone stays with the letter before it.
  const from = Math.max(0, begins.lastIndexOf(bare.indexOf(found)));
  const to = begins.findLastIndex((begin) => begin <= bare.indexOf(found) + found.length);
  return [
    { text: letters.slice(0, from).join(""), typed: false },
    { text: letters.slice(from, to).join(""), typed: true },
    { text: letters.slice(to).join(""), typed: false },
  ];
}
