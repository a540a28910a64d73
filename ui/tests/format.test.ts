import { describe, expect, it } from "vitest";

import * as format from "../src/format";
import { plain } from "./helpers";

const MELBOURNE = "Australia/Melbourne";
const NOW = Date.parse("2026-11-19T21:52:12Z");

describe("instants in the practice's zone", () => {
  it("shows Australian times of day", () => {
    expect(plain(format.timeOfDay("2026-11-19T23:30:00Z", MELBOURNE))).toBe("10:30 am");
    expect(plain(format.timeOfDay("2026-11-19T23:30:00Z", "Australia/Perth"))).toBe("7:30 am");
    expect(plain(format.timeWithSeconds("2026-11-20T02:00:07Z", MELBOURNE))).toBe("1:00:07 pm");
    expect(plain(format.timeToTheMillisecond("2026-11-20T02:00:07.041Z", MELBOURNE))).toBe("1:00:07.041 pm");
  });

  it("names days near and far", () => {
    expect(plain(format.dayAndTime("2026-11-19T23:30:00Z", MELBOURNE, NOW))).toBe("today 10:30 am");
    expect(plain(format.dayAndTime("2026-11-20T23:30:00Z", MELBOURNE, NOW))).toBe("tomorrow 10:30 am");
    expect(plain(format.dayAndTime("2026-11-18T23:30:00Z", MELBOURNE, NOW))).toBe("yesterday 10:30 am");
    expect(plain(format.dayAndTime("2026-11-22T22:00:00Z", MELBOURNE, NOW))).toBe("Mon 23 Nov, 9:00 am");
    expect(plain(format.dayAndTime("2027-01-10T22:00:00Z", MELBOURNE, NOW))).toBe("Mon 11 Jan 2027, 9:00 am");
  });

  it("takes the day from the zone, not from UTC", () => {
    expect(format.localDate("2026-11-19T21:52:12Z", MELBOURNE)).toBe("2026-11-20");
    expect(format.localDate("2026-11-19T21:52:12Z", "UTC")).toBe("2026-11-19");
  });

  it("keeps apart the two halves of the hour that exists twice", () => {
    expect(plain(format.timeOfDay("2026-04-04T15:30:00Z", MELBOURNE))).toBe("2:30 am");
    expect(plain(format.timeOfDay("2026-04-04T16:30:00Z", MELBOURNE))).toBe("2:30 am");
    expect(plain(format.timeOfDay("2026-04-04T17:30:00Z", MELBOURNE))).toBe("3:30 am");
  });

  it("writes dates out", () => {
    expect(plain(format.longDate("2027-01-19", "2026-11-20"))).toBe("19 January 2027");
    expect(plain(format.longDate("2026-12-19", "2026-11-20"))).toBe("19 December");
    expect(format.plainDate("1984-11-09")).toBe("9 Nov 1984");
    expect(format.plainDate("09-11-1984")).toBe("09-11-1984");
    expect(plain(format.wallClock("2026-10-04 02:15"))).toBe("Sun 4 Oct 2026, 2:15 am");
    expect(format.wallClock("soon")).toBe("soon");
  });
});

describe("lengths of time", () => {
  it("counts back in whole units", () => {
    const cases: [number, string][] = [
      [0.4, "just now"],
      [4, "4 s ago"],
      [59.9, "59 s ago"],
      [60, "1 min ago"],
      [3599, "59 min ago"],
      [7200, "2 h ago"],
      [86_400, "1 day ago"],
      [259_200, "3 days ago"],
      [-5, "just now"],
    ];
    for (const [seconds, words] of cases) {
      expect(plain(format.ago(new Date(NOW - seconds * 1000).toISOString(), NOW))).toBe(words);
    }
  });

  it("says durations as people do", () => {
    expect(plain(format.duration(340))).toBe("340 ms");
    expect(plain(format.duration(2600))).toBe("2.6 s");
    expect(plain(format.duration(59_960))).toBe("1 min");
    expect(plain(format.duration(65_000))).toBe("1 min 5 s");
  });

  it("counts down and stops at nought", () => {
    expect(format.secondsLeft("2026-11-19T22:00:24Z", NOW)).toBe(492);
    expect(format.secondsLeft("2026-11-19T21:00:00Z", NOW)).toBe(0);
    expect(format.countdown(492)).toBe("8:12");
    expect(format.countdown(9)).toBe("0:09");
    expect(format.countdown(3723)).toBe("1:02:03");
  });
});

describe("numbers and lists", () => {
  it("groups thousands and minds the plural", () => {
    expect(format.counted(14_310, "patient")).toBe("14,310 patients");
    expect(format.counted(1, "patient")).toBe("1 patient");
    expect(format.counted(2, "entry", "entries")).toBe("2 entries");
    expect(format.listed(["a"])).toBe("a");
    expect(format.listed(["a", "b", "c"])).toBe("a, b and c");
    expect(format.listed([])).toBe("");
    expect(format.zoneName("Australia/Lord_Howe")).toBe("Lord Howe");
  });
});

describe("times as typed", () => {
  it.each([
    ["8", "08:00"],
    ["8:30", "08:30"],
    ["0830", "08:30"],
    ["8.30", "08:30"],
    ["5:30 pm", "17:30"],
    ["12 am", "00:00"],
    ["12pm", "12:00"],
    [" 23:59 ", "23:59"],
  ])("reads %s", (typed, read) => expect(format.readTimeOfDay(typed)).toBe(read));

  it.each(["", "24:00", "8:60", "13 pm", "0 am", "noon", "8-9"])("refuses %s", (typed) =>
    expect(format.readTimeOfDay(typed)).toBeNull(),
  );

  it("shows what it can and leaves the rest", () => {
    expect(plain(format.showTimeOfDay("17:30"))).toBe("5:30 pm");
    expect(format.showTimeOfDay("half past")).toBe("half past");
  });
});

describe("names with what was typed", () => {
  const marked = (name: string, typed: string) =>
    format
      .typedParts(name, typed)
      .map((part) => (part.typed ? `[${part.text}]` : part.text))
      .join("");

  it("are marked where a word begins, else within it, whatever marks its letters carry", () => {
    expect(marked("Nguyễn", "ngu")).toBe("[Ngu]yễn");
    expect(marked("Nguyễn", "nguye")).toBe("[Nguyễ]n");
    expect(marked("Thị Lan", "lan thi")).toBe("[Thị] [Lan]");
    expect(marked("Nangu", "ngu")).toBe("Na[ngu]");
    expect(marked("O’Brien", "o'br")).toBe("[O’Br]ien");
    expect(marked("כהן", "כה")).toBe("[כה]ן");
  });

  it("stay whole where nothing of it was typed", () => {
    expect(marked("Featherstonehaugh-Cholmondeley", "ngyuen")).toBe("Featherstonehaugh-Cholmondeley");
    expect(marked("Sam", "")).toBe("Sam");
    expect(marked("", "sam")).toBe("");
  });

  it("keep a mark that stands alone with its letter", () => {
    expect(marked("שָׁלוֹם", "ש")).toMatch(/^\[ש\p{M}*\]/u);
  });
});

describe("days", () => {
  it("are named with their weekday", () => {
    expect(plain(format.longDay("2026-11-20", "2026-11-20"))).toBe("Friday 20 November");
    expect(plain(format.longDay("2028-01-19", "2026-11-20"))).toBe("Wednesday 19 January 2028");
  });
});
