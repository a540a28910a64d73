// The first quarter of an hour: a practice is linked through the window with the keyboard alone, and the key to its
// records is kept by a real keyring.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Book, PatientPage } from "./desk/clinic.mjs";
import { APP, folder, Program } from "./desk/processes.mjs";
import { Window } from "./desk/window.mjs";

const run = promisify(execFile);
const NAME = "Kookaburra Street Physiotherapy";
/** What the demo's simulator of Healthengine accepts. */
const KEYS = { practiceId: "demo", practiceKey: "demo-practice-key", apiKey: "demo-api-key" };

describe("linking a practice", () => {
  let elsewhere;
  let healthengine;
  let patients;
  let data;
  let window;
  let welcomed;
  before(async () => {
    elsewhere = await folder();
    healthengine = new Program(APP, ["--data-dir", elsewhere.path, "demo", "--headless"]);
    patients = await PatientPage.of(elsewhere.path);
    // Only its simulator is wanted: its own clinic must not answer for ours.
    const key = { ...process.env, CLINIC_COMPANION_KEY_FILE: join(elsewhere.path, "demo.key") };
    await run(APP, ["--data-dir", elsewhere.path, "practice", "disable", "demo"], { env: key });
    data = await folder();
    window = await Window.open(["--data-dir", data.path]);
  });
  after(async () => {
    await window?.close();
    await healthengine?.stop();
    await data?.clear();
    await elsewhere?.clear();
  });

  test("a fresh computer says what to do first", async () => {
    const text = await window.shows("Welcome.", 30);
    welcomed = performance.now();
    assert.match(text, /Link your practice/);
    assert.match(text, /Nothing is written into your book unless you choose so/);
    await window.choose(/^Link your practice$/);
    await window.shows("About five minutes.", 10);
  });

  test("the practice and its system, tested before it is saved", async () => {
    await window.fill(/^Name$/, NAME);
    await window.tabTo(/^Time zone/);
    await window.type("Melbourne");
    await window.choose(/^Continue$/);
    await window.focused(/^Your practice system$/);
    await window.shows(`${NAME}, times in Melbourne`, 5);
    await window.pick(/Demo clinic|OpenEMR/, /^Demo clinic/);
    await window.choose(/^Test$/);
    const text = await window.shows(/5 practitioners, 1 location, 5 appointment types, 400 patients/, 20);
    assert.match(text, /May Clinic Companion enter bookings\?/);
    await window.pick(/^Read only/, /^Read and write/);
    await window.choose(/^Continue$/);
    await window.focused(/^Your Healthengine practice$/);
  });

  test("a wrong key and a missing consent are told apart, in words", async () => {
    const { apiUrl } = await patients.state(1);
    await window.fill(/^Practice id$/, KEYS.practiceId);
    await window.fill(/^Practice key$/, KEYS.practiceKey);
    await window.fill(/^API key$/, "not-the-key");
    await window.fill(/^Contact e-mail$/, "desk@example.com.au");
    await window.choose(/^For your IT/);
    await window.fill(/^Address$/, apiUrl);
    await window.choose(/^Test$/);
    const unknown = await window.shows(/Healthengine does not know this API key.*\(401\)\./, 20);
    assert.match(unknown, /Copy the API key again/);

    await patients.consent("revoked");
    // Tab goes round to the field in question.
    await window.fill(/^API key$/, KEYS.apiKey);
    await window.choose(/^(Test|Try again)$/);
    const refused = /Healthengine has no consent of your practice for these keys \(403\)\./;
    assert.match(await window.shows(refused, 20), /In Practice Admin grant consent again/);
    await patients.consent("granted");
  });

  test("with the right keys the practice comes into step", async (context) => {
    await window.choose(/^(Test|Try again)$/);
    await window.shows("Healthengine accepts these keys.", 20);
    await window.choose(/^Continue$/);
    await window.focused(/^Who can be booked$/);
    assert.match(await window.text(), /Mei-Ling Lee/);
    await window.choose(/^Continue$/);
    await window.focused(/^When this PC is on$/);
    await window.choose(/^Continue$/);
    await window.focused(/^Review$/);
    const began = performance.now();
    await window.choose(/^Start$/);
    await window.shows("Everything is in step.", 60);
    context.diagnostic(`in step ${Math.round(performance.now() - began)} ms after Start`);
    // Of a person's five minutes this is the program's share, with two mistakes on the way and every key typed.
    const minutes = (performance.now() - welcomed) / 60_000;
    assert.ok(minutes < 3, `from nothing to the first published time in ${minutes.toFixed(1)} minutes`);
    assert.ok(await patients.freeTime(30), "times are offered to patients");
    assert.ok((await window.text()).includes(NAME));
  });

  test("a patient's booking reaches the book that was linked", async () => {
    const book = new Book(data.path, "demo-clinic.db");
    const time = await patients.freeTime(30);
    const bookingId = await patients.book(time, {
      firstname: "Tilda",
      lastname: "Firstly",
      dob: "1990-01-02",
    });
    await patients.confirmed(bookingId, 30);
    const standing = await book.at(time);
    assert.deepEqual(
      standing.map((each) => `${each.first_name} ${each.last_name}`),
      ["Tilda Firstly"],
    );
    assert.deepEqual(
      await new Book(elsewhere.path).rows("SELECT * FROM patient WHERE last_name = 'Firstly'"),
      [],
    );
  });

  test("the keyring holds the key, and the data folder holds no secret in plain text", async () => {
    const entry = ["service", "au.cliniccompanion.desktop", "username", "companion.db"];
    const key = (await run("secret-tool", ["lookup", ...entry])).stdout.trim();
    assert.match(key, /^[0-9a-f]{64}$/i);
    const secrets = [
      Buffer.from(key),
      Buffer.from(key.toUpperCase()),
      Buffer.from(key, "hex"),
      Buffer.from(KEYS.apiKey),
      Buffer.from(KEYS.practiceKey),
      Buffer.from("Firstly"),
    ];
    const files = (await readdir(data.path, { recursive: true, withFileTypes: true })).filter((each) =>
      each.isFile(),
    );
    assert.ok(files.some((each) => each.name === "companion.db"));
    for (const file of files) {
      // The clinic's own book is not ours to encrypt.
      if (file.name.startsWith("demo-clinic.db")) continue;
      const bytes = await readFile(join(file.parentPath ?? file.path, file.name));
      for (const [number, secret] of secrets.entries()) {
        assert.ok(!bytes.includes(secret), `${file.name} holds secret ${number} in plain text`);
      }
    }
  });
});
