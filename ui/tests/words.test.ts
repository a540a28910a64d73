import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import type { BookingView, ErrorCode, Freshness, ReasonCode } from "../src/backend";
import { historyOf, NOW, SCENARIOS } from "../src/backend/scenarios";
import { dayProblem, hoursSummary, PracticeDraft } from "../src/draft.svelte";
import * as words from "../src/words";
import { plain } from "./helpers";

const ZONE = "Australia/Melbourne";
const now = Date.parse(NOW);

/** The members of a union of strings, read from the bindings so that none is forgotten. */
function members(type: string): string[] {
  const bindings = readFileSync("src/backend/bindings.ts", "utf8");
  const body = new RegExp(`export type ${type} =([^;]*);`).exec(bindings.replace(/\/\*\*.*?\*\//gs, ""))?.[1];
  return [...(body ?? "").matchAll(/"(\w+)"/g)].map((match) => match[1] ?? "");
}

function firstBooking(scenario: keyof typeof SCENARIOS): BookingView {
  const found = SCENARIOS[scenario]().view.openBookings[0];
  if (!found) throw new Error(`${scenario} has no open booking`);
  return found;
}

describe("error sentences", () => {
  it("say for every code what is wrong and what to do", () => {
    const codes = members("ErrorCode");
    expect(codes.length).toBeGreaterThan(20);
    for (const code of codes) {
      const sentence = words.errorSentence(code as ErrorCode);
      expect(sentence.wrong, code).toMatch(/^[A-Z].*\.$/);
      expect(sentence.todo, code).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("tell a wrong API key and a missing consent apart", () => {
    expect(words.errorSentence("partnerKeyRefused").wrong).toMatch(/API key.*\(401\)/);
    expect(words.errorSentence("partnerConsentMissing").wrong).toContain("consent");
    expect(words.errorSentence("partnerConsentMissing").todo).toContain("Practice Admin");
  });
});

describe("freshness", () => {
  const cases: [Freshness, string][] = [
    [
      { kind: "inStep", checkedAt: "2026-11-19T21:52:08Z" },
      "Healthengine shows what your book shows, checked 4 s ago",
    ],
    [{ kind: "onItsWay", changedAt: "2026-11-19T21:52:10Z" }, "a change from 8:52:10 am is on its way, 2 s"],
    [
      { kind: "behind", since: "2026-11-19T21:40:00Z" },
      "Healthengine may not show what your book shows since 8:40 am; we keep trying",
    ],
    [
      { kind: "refused", since: "2026-11-19T21:40:00Z", message: "unknown resource" },
      "Healthengine refuses these times since 8:40 am: unknown resource",
    ],
    [{ kind: "notYet" }, "nothing published yet"],
  ];
  it.each(cases)("%o", (value, sentence) =>
    expect(plain(words.freshness(value, now, ZONE, "ok"))).toBe(sentence),
  );

  it.each(["working", "down", "paused"] as const)("is told as past while the light is %s", (light) => {
    const value: Freshness = { kind: "inStep", checkedAt: "2026-11-19T21:52:08Z" };
    expect(plain(words.freshness(value, now, ZONE, light))).toBe(
      "Healthengine showed what your book shows when last checked, 4 s ago",
    );
  });
});

describe("bookings", () => {
  it("ask the question that fits", () => {
    const title = (scenario: keyof typeof SCENARIOS) => {
      const booking = firstBooking(scenario);
      if (!booking.needs) throw new Error("needs nothing");
      return words.needTitle(booking, booking.needs);
    };
    expect(title("decision")).toBe("Is this the same Sam Nguyen?");
    expect(title("twins")).toBe("Which Sam Nguyen is this?");
    expect(title("read-only")).toBe("Enter this appointment: Sam Nguyen");
    expect(title("not-placed")).toBe("Sam Nguyen could not be put into your book");
    expect(title("late")).toBe("Phone Sam Nguyen: the appointment does not stand");
    expect(title("cancel-by-hand")).toBe("Cancel this appointment: Sam Nguyen");
    expect(title("duplicate")).toBe("Is Sam Nguyen in your book twice?");
  });

  it("say which fields agree", () => {
    const booking = firstBooking("decision");
    if (!booking.needs) throw new Error("needs nothing");
    expect(plain(words.needShort(booking, booking.needs, now))).toContain("Same birth date and mobile.");
  });

  it("show a time that does not exist as it was written", () => {
    const booking = { ...firstBooking("decision"), startsAt: null, startsWritten: "2026-10-04 02:15" };
    expect(plain(words.bookingTime(booking, now))).toBe("Sun 4 Oct 2026, 2:15 am (not a time in this zone)");
  });

  it("have a name when the personal fields are gone", () => {
    expect(words.patientName({ ...firstBooking("decision"), patientName: null })).toBe("Booking 36127212");
  });

  it("give every reason in words", () => {
    for (const code of members("ReasonCode")) {
      expect(words.reason({ code: code as ReasonCode, detail: null }), code).toMatch(/^[a-z]/);
    }
    expect(words.reason({ code: "timeTaken", detail: "at 8:31" })).toBe(
      "somebody else has that time in your book: at 8:31",
    );
    expect(words.reason({ code: "other", detail: "the room is closed" })).toBe("the room is closed");
  });

  it("tell their history as a paragraph", () => {
    const booking = firstBooking("decision");
    const paragraph = plain(words.historyParagraph(booking, historyOf(booking).entries));
    expect(paragraph).toContain("Healthengine booking 36127212, Fri 20 Nov 2026, 10:30 am.");
    expect(paragraph).toContain("20 Nov 2026, 8:51:54 am: The patient booked on Healthengine.");
  });
});

describe("the top of the overview", () => {
  it("greets by the practice's own time of day", () => {
    expect(words.greeting(now, ZONE)).toBe("Good morning.");
    expect(words.greeting(now, "UTC")).toBe("Good evening.");
    expect(words.greeting(Date.parse("2026-11-20T03:00:00Z"), ZONE)).toBe("Good afternoon.");
  });

  it("says whether the PC may be switched off", () => {
    expect(words.switchOff(SCENARIOS.healthy().view)).toBe("Safe to switch off: nothing is waiting.");
    expect(words.switchOff(SCENARIOS.several().view)).toBe(
      "Please leave this PC on for a moment: 1 answer for Healthengine and 1 day of free times to publish.",
    );
  });

  it("describes the strip", () => {
    const trips = SCENARIOS.healthy().view.roundTrips;
    expect(words.roundTripsPicture(trips)).toMatch(
      /^Round trips by half hour: \d+ half hours without a hitch/,
    );
    expect(plain(words.roundTripsSummary(trips))).toBe(
      "median 2.6 s · slowest 6.1 s · 148 bookings answered",
    );
    const last = trips.outages[0];
    if (!last) throw new Error("no outage");
    expect(plain(words.outage(last, ZONE, now))).toBe(
      "2:02 pm to 2:05 pm yesterday: Healthengine does not answer. 2 bookings waited; none was lost.",
    );
  });
});

describe("live hours", () => {
  it("are summed up by days that are alike", () => {
    const hours = SCENARIOS.healthy().view.practices[0]?.setup.liveHours;
    if (!hours) throw new Error("no practice");
    expect(plain(hoursSummary(hours))).toBe("Mon–Fri 7:30 am to 6:30 pm, Sat 8:30 am to 12:30 pm");
    expect(hoursSummary({ ...hours, ...empty() })).toBe("never");
  });

  function empty() {
    const days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;
    return Object.fromEntries(days.map((day) => [day, []]));
  }

  it("are checked while they are typed", () => {
    expect(dayProblem([])).toBeNull();
    expect(dayProblem([{ start: "08:00", end: "18:00" }])).toBeNull();
    expect(dayProblem([{ start: "18:00", end: "08:00" }])).toContain("after the start");
    expect(dayProblem([{ start: "8 o'clock", end: "18:00" }])).toContain("Type times");
    expect(
      dayProblem([
        { start: "12:00", end: "18:00" },
        { start: "08:00", end: "12:30" },
      ]),
    ).toContain("overlap");
  });
});

describe("a draft", () => {
  it("keeps a stored secret when its field is left empty, and sends a typed one", () => {
    const view = SCENARIOS.healthy().view;
    const [practice] = view.practices;
    const profile = view.profiles.find((each) => each.id === "openemr");
    if (!practice || !profile) throw new Error("no practice");
    const draft = new PracticeDraft(practice, ZONE);
    expect(draft.system(profile).password).toBeNull();
    expect(draft.healthengine().practiceKey).toBeNull();
    draft.password = "made-up";
    expect(draft.system(profile).password).toBe("made-up");
    const fresh = new PracticeDraft(undefined, ZONE);
    fresh.profile = "openemr";
    expect(fresh.system(profile).password).toBe("");
  });
});

describe("Healthengine’s clocks in words", () => {
  const at = (seconds: number) => new Date(now + seconds * 1000).toISOString();
  const clock = (repick: number | null, answer: number, coarse = false) => {
    const value = { repickUntil: repick === null ? null : at(repick), answerBy: at(answer) };
    const { words: shown, tone } = words.deadline(value, now, coarse);
    return `${plain(shown)} (${tone})`;
  };

  it("say what can still be done, then what is due, then that it is overdue", () => {
    expect(clock(12, 592)).toBe("Healthengine can still offer another time for 12 s (wait)");
    expect(clock(0, 580)).toBe("answer due in 9 min 40 s (wait)");
    expect(clock(null, 460)).toBe("answer due in 7 min 40 s (wait)");
    expect(clock(-500, 120)).toBe("answer due in 2 min (stop)");
    expect(clock(-600, 0)).toBe("answer overdue (stop)");
    expect(clock(-900, -200)).toBe("answer overdue for 3 min (stop)");
  });

  it("move in minutes for people who ask for less motion", () => {
    expect(clock(12, 592, true)).toBe("Healthengine can still offer another time for a few seconds (wait)");
    expect(clock(null, 460, true)).toBe("answer due in 7 min (wait)");
    expect(clock(null, 40, true)).toBe("answer due in less than a minute (stop)");
  });
});

describe("a failure in words", () => {
  it("says each fact once", () => {
    const told = (code: ErrorCode, message: string) => {
      const { wrong, todo, detail } = words.errorWords({ code, message });
      return [wrong, todo, detail].filter(Boolean).join(" ");
    };
    expect(told("partnerUnreachable", "Healthengine does not answer. We keep trying.")).toBe(
      "Healthengine does not answer. Check this PC’s internet connection. We keep trying, and nothing is lost meanwhile.",
    );
    expect(told("appointmentNotFound", "The book does not show it yet.")).not.toContain("The book does not");
    expect(told("profileInvalid", "ours.toml, line 14")).toContain("ours.toml, line 14");
    const stopped = "Nothing has been heard from Healthengine since 09:05. Restart Clinic Companion.";
    expect(told("engineStopped", stopped)).toBe(stopped);
    expect(told("engineStopped", "")).toContain("Quit it in the tray");
    const differs = "The practice database is not one that this profile knows: column pid is missing";
    expect(told("practiceSchemaUnknown", differs)).toBe(
      `${differs} Nothing is read or written until it is checked. Send this to support.`,
    );
  });
});

describe("patients and VALD Hub", () => {
  it.each(members("ValdPatientState"))("has an icon, a word and a colour for %s", (state) => {
    const shown = words.VALD_STATES[state as keyof typeof words.VALD_STATES];
    expect(shown.word).not.toBe("");
    expect(shown.icon).not.toBe("");
    expect(shown.colour).toMatch(/^(ok|wait|stop|quiet)$/);
  });

  it.each(["linked", "pending", "needs_person", "conflict", "failed", "ended"])(
    "has words for %s",
    (state) => {
      expect(words.linkWords(state)).not.toMatch(/_/);
    },
  );

  it("counts one that needs somebody as one", () => {
    const vald = SCENARIOS.healthy().view.practices[0]?.vald;
    if (!vald) throw new Error("no VALD account");
    expect(words.valdCounts({ ...vald, needsPerson: 1, failed: 0, pending: 0 })).toBe(
      "310 profiles linked, 1 needs somebody",
    );
    expect(words.valdCounts({ ...vald, linked: 1, needsPerson: 0, failed: 0, pending: 2 })).toBe(
      "1 profile linked, 2 on their way",
    );
  });
});

describe("pressed keys", () => {
  const none = { key: "", code: "", ctrlKey: false, altKey: false, shiftKey: false, metaKey: false };

  it("are written by where they lie, so that AltGr changes nothing", () => {
    expect(words.keysOf({ ...none, key: "@", code: "KeyV", ctrlKey: true, altKey: true })).toEqual({
      kind: "keys",
      words: "Ctrl+Alt+V",
    });
    expect(words.keysOf({ ...none, key: "F9", code: "F9", metaKey: true, shiftKey: true })).toEqual({
      kind: "keys",
      words: "Shift+Super+F9",
    });
  });

  it("are not taken from every other program", () => {
    expect(words.keysOf({ ...none, key: "v", code: "KeyV" })).toEqual({ kind: "lacking", words: "V" });
  });

  it("that mean something else are left alone", () => {
    for (const code of ["Tab", "Escape", "Enter", "Backspace"])
      expect(words.keysOf({ ...none, key: code, code })).toEqual({ kind: "others" });
  });
});

describe("declining", () => {
  it("promises another choice only while Healthengine can still offer one", () => {
    const until = (seconds: number) => ({
      repickUntil: new Date(now + seconds * 1000).toISOString(),
      answerBy: new Date(now + 600_000).toISOString(),
    });
    const chooses = "Healthengine asks the patient to choose another time.";
    const cancelled = "Healthengine tells the patient that the appointment is cancelled.";
    expect(words.actionQuestion("decline", until(5), now)).toBe(chooses);
    expect(words.actionQuestion("decline", until(-1), now)).toBe(cancelled);
    expect(words.actionQuestion("decline", null, now)).toBe(cancelled);
    expect(words.actionQuestion("cancel", until(5), now)).toBe(cancelled);
    expect(words.actionQuestion("samePerson", until(5), now)).toBeNull();
  });

  it("says that nobody else tells the patient, where nobody enters the appointment in time", () => {
    const { needs } = firstBooking("read-only");
    expect(needs && words.otherwise(needs)).toContain("ask you to phone the patient");
  });
});
