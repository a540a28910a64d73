// A patient connects a device of their own through Validic, and takes the consent back: all of it in the window, and the
// page on the "phone" by plain HTTP.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Book } from "./desk/clinic.mjs";
import { APP, folder } from "./desk/processes.mjs";
import { until } from "./desk/until.mjs";
import { Window } from "./desk/window.mjs";

/** While somebody is expected to connect something, it is asked every two minutes. */
const SECONDS_TO_NOTICE = 150;
/** What opens the made-up organisation. */
const TOKEN = "demo-token";

const CONTENTS = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as bundle:
    for name in bundle.namelist():
        sys.stdout.write(bundle.read(name).decode())
`;

describe("a patient who connects a device", () => {
  let data;
  let window;
  let patient;
  let address;
  before(async () => {
    data = await folder();
    window = await Window.open(["--data-dir", data.path, "demo"]);
    [patient] = await new Book(data.path).rows(
      `SELECT id, first_name, last_name FROM patient a
        WHERE NOT deceased AND birth_date < '1990-01-01' AND last_name NOT GLOB '*[^A-Za-z]*' AND NOT EXISTS
          (SELECT 1 FROM patient b WHERE b.id <> a.id AND b.last_name = a.last_name AND b.first_name = a.first_name)
        ORDER BY id DESC LIMIT 1`,
    );
  });
  after(async () => {
    await window?.close();
    await data?.clear();
  });

  /** Asks the command line, beside the running app. */
  const ask = async (...words) => {
    const key = { ...process.env, CLINIC_COMPANION_KEY_FILE: join(data.path, "demo.key") };
    return JSON.parse(
      (await promisify(execFile)(APP, ["--data-dir", data.path, ...words, "--json"], { env: key })).stdout,
    );
  };
  const linked = async () =>
    (await ask("links", "--partner", "validic")).filter((each) => each.local_id === String(patient.id));
  const shownAddress = () =>
    window.run(
      "return [...document.querySelectorAll('input[readonly]')].map((each) => each.value).find((each) => each.startsWith('http'))",
    );

  test("is found, and consent for Validic is recorded on the card", async () => {
    await window.shows("Everything is in step.", 60);
    await window.screen(4, "Patients");
    await window.fill(/^Find a patient$/, `${patient.first_name} ${patient.last_name}`);
    await window.press(new RegExp(`^${patient.last_name}, ${patient.first_name}`), 30);
    const text = await window.shows("Devices at Validic", 30);
    if (!text.includes("Connect a device")) {
      await window.press(/^Record consent for Validic$/);
      const said = await window.shows("a random name stands for the patient", 10);
      assert.match(said, /neither who the patient is nor anything from the record/);
      await window.fill(/^Recorded by$/, "Kim");
      // The form, and not the button of the same name that opens VALD's.
      await window.keys("Enter");
    }
    await window.shows("Connect a device", 10);
    assert.deepEqual(await linked(), [], "nobody is registered before a device is to be connected");
  });

  test("gets a page of their own, as a code and as an address, shown only when it is asked for", async () => {
    assert.ok(!(await shownAddress()));
    await window.press(/^Connect a device$/);
    await window.shows("scan this code", 20);
    address = await until("the address stands there", 10, shownAddress);
    assert.ok(await window.run("return document.querySelector('svg[role=img] path').getTotalLength() > 100"));
    const page = await fetch(address);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /Connect your devices/);
    const [link] = await linked();
    assert.equal(link.state, "linked");
    assert.match(link.partner_id, /^[0-9a-f]{24}$/);
  });

  test("a new code ends the former one", async () => {
    const former = address;
    await window.press(/^Make a new code$/);
    address = await until("another address stands there", 20, async () => {
      const now = await shownAddress();
      return now !== former && now;
    });
    assert.equal((await fetch(former)).status, 404);
    assert.equal((await fetch(address)).status, 200);
  });

  test("connects a device on the phone, and the card says so by itself", async () => {
    await window.press(/^Done$/);
    await window.hides("scan this code", 10);
    const { origin, searchParams } = new URL(address);
    const token = searchParams.get("token");
    assert.ok(!(await window.run("return document.documentElement.outerHTML")).includes(token));
    const pressed = await fetch(`${origin}/page/${token}/connect/garmin`, { method: "POST" });
    assert.equal(pressed.status, 200);
    await window.shows(/Connected: 1 kind of device\.\s+Garmin/, SECONDS_TO_NOTICE);
  });

  test("takes the consent back, and is gone there and here", async () => {
    await window.fill(/^Recorded by$/, "Kim");
    await window.press(/^Withdraw consent for Validic$/);
    await window.press(/^Record the withdrawal$/);
    await window.shows("Consent was refused or withdrawn.", 20);
    await until("the page is gone", 30, async () => (await fetch(address)).status === 404);
    await until("nobody is linked", 30, async () => (await linked()).length === 0);
    await window.shows(/Consent for Validic refused or withdrawn/, 20);
  });

  test("and no token stands in the logs that are packed for support", async () => {
    await window.screen(6, "Settings");
    await window.press(/^Export as one file$/);
    await window.shows("Written to", 20);
    const bundle = (await readdir(data.path)).find((name) => /^clinic-companion-logs-.*\.zip$/.test(name));
    const { stdout: text } = await promisify(execFile)("python3", ["-c", CONTENTS, join(data.path, bundle)]);
    assert.match(text, /Set up\./);
    const logs = await readdir(join(data.path, "logs"));
    const whole = await Promise.all(logs.map((name) => readFile(join(data.path, "logs", name), "utf8")));
    const token = new URL(address).searchParams.get("token");
    for (const secret of [TOKEN, token]) {
      assert.ok(![text, ...whole].some((each) => each.includes(secret)), `${secret} stands in the logs`);
    }
  });
});
