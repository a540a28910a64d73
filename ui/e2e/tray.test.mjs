// What the tray's menu does to the practices, with no window needed for it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { PatientPage } from "./desk/clinic.mjs";
import { APP, folder, Program } from "./desk/processes.mjs";
import { closeWindow, whenWindows } from "./desk/screen.mjs";
import { Tray } from "./desk/tray.mjs";
import { until } from "./desk/until.mjs";

const run = promisify(execFile);
const SECONDS_TO_BE_IN_STEP = 60;
const SECONDS_TO_CONFIRM = 30;

describe("the tray's menu", () => {
  let data;
  let app;
  let tray;
  let patients;
  before(async () => {
    data = await folder();
    app = new Program(APP, ["--data-dir", data.path, "demo"]);
    patients = await PatientPage.of(data.path);
    tray = new Tray(app.id);
    await whenWindows(1, 30);
    await closeWindow();
    await whenWindows(0, 10);
    await inStep();
  });
  after(async () => {
    await app?.stop();
    await data?.clear();
  });

  /** What the command line says of the practice, beside the running app. */
  const status = async () => {
    const env = { ...process.env, CLINIC_COMPANION_KEY_FILE: join(data.path, "demo.key") };
    const { stdout } = await run(APP, ["--data-dir", data.path, "status", "--json"], { env });
    return JSON.parse(stdout).practices[0];
  };
  const inStep = () =>
    until("the practice is in step", SECONDS_TO_BE_IN_STEP, async () => (await status()).health === "ok");
  const labels = async () => (await tray.entries()).map((each) => each.label);

  /** How often each practitioner's day was sent, by both. */
  const sent = async () => {
    const { resources } = await patients.state(7);
    const days = resources.flatMap(({ id, days }) =>
      days.map(({ date, snapshots }) => [`${id} ${date}`, snapshots]),
    );
    return new Map(days);
  };

  test("Pause stops the sync, and offers to resume it and nothing else", async () => {
    await tray.choose("Pause");
    await tray.has("Resume", 10);
    assert.equal((await status()).enabled, false);
    const shown = await labels();
    assert.ok(!shown.includes("Pause") && !shown.includes("Send everything again"), shown.join(", "));
    await tray.has("Clinic Companion: Paused", 10);
  });

  test("Resume takes it up, with what was booked meanwhile", async () => {
    const time = await patients.freeTime();
    const bookingId = await patients.book(time, {
      firstname: "Tilda",
      lastname: "Tray",
      dob: "1988-08-18",
    });
    assert.equal((await status()).enabled, false);
    assert.equal((await patients.booking(bookingId)).confirmedAt, null);
    await tray.choose("Resume");
    await tray.has("Pause", 10);
    assert.equal((await status()).enabled, true);
    await patients.confirmed(bookingId, SECONDS_TO_CONFIRM);
    await inStep();
  });

  test("Send everything again sends every day of everybody again", async () => {
    const before = await sent();
    assert.ok(before.size >= 5 * 7, `${before.size} days`);
    await tray.choose("Send everything again");
    await until("every day was sent once more", SECONDS_TO_BE_IN_STEP, async () => {
      const after = await sent();
      return [...before].every(([day, times]) => after.get(day) > times);
    });
    await inStep();
  });
});
