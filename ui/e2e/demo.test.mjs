// The main job, seen from the window: a patient books, and everything that follows.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Book, PatientPage } from "./desk/clinic.mjs";
import { folder } from "./desk/processes.mjs";
import { until } from "./desk/until.mjs";
import { Window } from "./desk/window.mjs";

const SECONDS_TO_BE_IN_STEP = 30;
/** One poll, the work, and a machine that is busy with other things. */
const SECONDS_TO_CONFIRM = 20;
const SECONDS_TO_TURN_AMBER = 20;
/** The light is red once nothing was proven for two minutes. */
const SECONDS_TO_TURN_RED = 150;
const SECONDS_TO_RECOVER = 60;
/** A rejection helps the patient for twenty seconds. */
const TOO_LATE_MS = 21_000;

describe("the demo clinic", () => {
  let data;
  let window;
  let patients;
  let book;
  let booked;
  before(async () => {
    data = await folder();
    window = await Window.open(["--data-dir", data.path, "demo"]);
    patients = await PatientPage.of(data.path);
    book = new Book(data.path);
  });
  after(async () => {
    await window?.close();
    await data?.clear();
  });

  afterEach(() => patients.heal());

  const numbers = (rows) => rows.map((each) => String(each.id));

  test("the window comes up and says that everything is in step", async () => {
    const text = await window.shows("Everything is in step.", SECONDS_TO_BE_IN_STEP);
    assert.match(text, /Healthengine shows what your book shows/);
    assert.match(text, /A made-up clinic/);
    assert.match(text, /Safe to switch off: nothing is waiting\./);
  });

  test("a booking stands in the window, in the book exactly once, and is confirmed", async (context) => {
    await window.screen(3, "Bookings");
    const time = await patients.freeTime();
    const began = performance.now();
    const bookingId = await patients.book(time, {
      firstname: "Orla",
      lastname: "Testerton",
      dob: "1991-02-03",
    });
    booked = { bookingId, time };
    const confirmed = await patients.confirmed(bookingId, SECONDS_TO_CONFIRM);
    context.diagnostic(
      `confirmed ${Math.round(performance.now() - began)} ms after the patient pressed Book`,
    );
    const standing = await book.at(time);
    assert.equal(standing.length, 1);
    assert.deepEqual(confirmed.pmsAppointmentIds, numbers(standing));
    assert.equal(confirmed.pmsPatientId, String(standing[0].patient_id));
    assert.deepEqual(
      [standing[0].first_name, standing[0].last_name, standing[0].birth_date],
      ["Orla", "Testerton", "1991-02-03"],
    );
    await window.shows(/Orla Testerton[^]*confirmed after/, 5);
    const [row] = (await window.rows()).filter((each) => each.includes("Orla Testerton"));
    assert.match(row, /new patient, no\. \d+/);
    await until("the time is no longer offered", 10, async () => {
      const state = await patients.state();
      const offered = state.resources.find((each) => each.id === time.resourceId);
      const times = offered.days.flatMap((day) => day.times.map((each) => each.start));
      return !times.includes(time.start);
    });
  });

  test("its history says what happened, to the millisecond", async () => {
    await window.press(/^Why\? Orla Testerton/);
    const text = await window.shows("Copy as a paragraph", 10);
    assert.match(text, /\d:\d\d:\d\d\.\d{3}/);
    await window.keys("Escape");
    await window.hides("Copy as a paragraph", 5);
  });

  test("the patient cancels: the book and the window follow, and the time is offered again", async () => {
    await patients.cancel(booked.bookingId);
    await window.shows(/Orla Testerton[^]*cancelled: the patient cancelled/, SECONDS_TO_CONFIRM);
    assert.deepEqual(await book.at(booked.time), []);
    const hers = (await book.everAt(booked.time)).filter((each) => each.last_name === "Testerton");
    assert.deepEqual(
      hers.map((each) => each.status),
      ["cancelled"],
    );
    await until("the time is offered again", 20, async () => {
      const state = await patients.state();
      const offered = state.resources.find((each) => each.id === booked.time.resourceId);
      return offered.days.some((day) => day.times.some((each) => each.start === booked.time.start));
    });
  });

  test("who could be two people is decided with the keyboard alone", async () => {
    // Somebody whom the clinic once registered twice.
    const [twice] = await book.rows(
      `SELECT a.*, b.id AS other FROM patient a JOIN patient b ON b.id > a.id AND b.first_name = a.first_name
          AND b.last_name = a.last_name AND b.birth_date = a.birth_date
        WHERE NOT a.deceased AND NOT b.deceased ORDER BY a.id LIMIT 1`,
    );
    const time = await patients.freeTime(30, 3);
    const bookingId = await patients.book(time, {
      firstname: twice.first_name,
      lastname: twice.last_name,
      dob: twice.birth_date,
      phone: twice.phone,
      email: "somebody.else@example.com",
    });
    await window.screen(1, "Overview");
    const text = await window.shows(/Something needs you\./, SECONDS_TO_CONFIRM);
    assert.match(text, new RegExp(`Which ${twice.first_name} ${twice.last_name} is this\\?`));
    // The time is held meanwhile, and the patient has no answer yet.
    const held = await book.at(time);
    assert.deepEqual(
      held.map((each) => each.patient_id),
      [null],
    );
    assert.equal((await patients.booking(bookingId)).confirmedAt, null);

    await window.tabTo(/^Decide/);
    await window.keys("Enter");
    await until("the question has the focus", 5, async () => /^Which /.test(await window.focus()));
    await window.tabTo(new RegExp(`^Same person, no\\. ${twice.other}$`));
    await window.keys("Enter");

    const confirmed = await patients.confirmed(bookingId, SECONDS_TO_CONFIRM);
    assert.equal(confirmed.pmsPatientId, String(twice.other));
    const standing = await book.at(time);
    assert.deepEqual(
      standing.map((each) => each.patient_id),
      [twice.other],
    );
    assert.deepEqual(confirmed.pmsAppointmentIds, numbers(standing));
    await window.shows(new RegExp(`existing patient, no\\. ${twice.other}`), 5);
    await window.screen(1, "Overview");
    await window.shows("Everything is in step.", SECONDS_TO_CONFIRM);
  });

  test("without the network the light turns amber, then red, a booking waits, and everything recovers by itself", async (context) => {
    await window.screen(1, "Overview");
    await patients.fault({ fault: { kind: "refuse" } });
    const broken = performance.now();
    const since = (then) => `${((performance.now() - then) / 1000).toFixed(1)} s`;
    const amber = await window.shows("Catching up.", SECONDS_TO_TURN_AMBER);
    context.diagnostic(`amber after ${since(broken)}`);
    assert.match(amber, /No answer just now from Healthengine/);
    assert.match(amber, /Healthengine does not answer\./);
    const time = await patients.freeTime(10, 6);
    const bookingId = await patients.book(time, {
      firstname: "Wren",
      lastname: "Holdfast",
      dob: "1979-11-30",
    });
    const red = await window.shows("Something is not working.", SECONDS_TO_TURN_RED);
    context.diagnostic(`red after ${since(broken)}`);
    assert.match(red, /Not working: Healthengine/);
    assert.doesNotMatch(red, /Healthengine shows what your book shows/);
    await patients.heal();
    const healed = performance.now();
    await patients.confirmed(bookingId, SECONDS_TO_RECOVER);
    await window.shows("Everything is in step.", SECONDS_TO_RECOVER);
    context.diagnostic(`in step ${since(healed)} after the network was mended`);
    assert.equal((await book.at(time)).length, 1);
  });

  test("a booking whose time was given away while the line was down is placed by hand, in one click", async () => {
    const time = await patients.freeTime(10, 12);
    await patients.fault({ fault: { kind: "refuse" } });
    const bookingId = await patients.book(time, {
      firstname: "Theo",
      lastname: "Sample",
      dob: "1988-08-08",
    });
    await book.take(time);
    const booked = performance.now();
    await until("it is too late for a rejection", 30, () => performance.now() - booked > TOO_LATE_MS);
    await patients.heal();
    await window.screen(3, "Bookings");
    const text = await window.shows("Theo Sample could not be put into your book", SECONDS_TO_RECOVER);
    assert.match(text, /Put it at another time/);
    // Nothing was written beside the walk-in before somebody said so.
    assert.equal((await book.at(time)).length, 1);
    assert.equal((await patients.booking(bookingId)).confirmedAt, null);
    await window.press(/^Put it beside/);
    await patients.confirmed(bookingId, SECONDS_TO_CONFIRM);
    const standing = await book.at(time);
    assert.equal(standing.length, 2);
    assert.equal(standing.filter((each) => each.last_name === "Sample").length, 1);
    await window.screen(1, "Overview");
    await window.shows("Everything is in step.", SECONDS_TO_RECOVER);
  });

  test("the day shows book and Healthengine side by side, and why a time is taken", async () => {
    await window.screen(1, "Overview");
    await window.press(/^Day of /);
    await window.shows("Healthengine shows this day as your book has it.", 30);
    await window.press(/^Why\? .* taken in your book/);
    await window.shows("Copy as a paragraph", 10);
    await window.keys("Escape");
    await window.hides("Copy as a paragraph", 5);
  });

  test("pausing stops the sync in words, and resuming takes it up", async () => {
    await window.screen(1, "Overview");
    await window.press(/^Pause$/);
    await window.shows("Everything is paused.", 10);
    const time = await patients.freeTime(10, 9);
    const bookingId = await patients.book(time, {
      firstname: "Ines",
      lastname: "Patient",
      dob: "1966-06-06",
    });
    await window.press(/^Resume$/);
    await patients.confirmed(bookingId, 30);
    await window.shows("Everything is in step.", 30);
  });
});
