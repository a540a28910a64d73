// A clinician wants a patient's page in VALD Hub: the keys, three letters, Enter. The keys are pressed on the X server,
// and what would be the browser writes down the address it is given.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Book, PatientPage } from "./desk/clinic.mjs";
import { APP, folder, Program, webProcesses } from "./desk/processes.mjs";
import { closeWindow, letters, press, searchBox, whenWindows } from "./desk/screen.mjs";
import { until } from "./desk/until.mjs";

const run = promisify(execFile);
const KEYS = "Control_L+Alt_L+v";
/** What the line is painted with that the keys are about. */
const CHOSEN = "d8e8e9";
const BROWSER = `#!/bin/sh
printf '%s\\n' "$1" >> "$OPENED_ADDRESSES"
`;

describe("the key to a patient's page in VALD Hub", () => {
  let data;
  let app;
  let manager;
  let file;
  let people;
  before(async () => {
    data = await folder();
    file = join(data.path, "opened.txt");
    const programs = join(data.path, "programs");
    await mkdir(programs);
    await writeFile(join(programs, "xdg-open"), BROWSER, { mode: 0o755 });
    // A desktop decides who has the keyboard, so there is one.
    manager = new Program("openbox", []);
    await until("windows are managed", 10, () => run("wmctrl", ["-m"]).catch(() => false));
    app = new Program(APP, ["--data-dir", data.path, "demo"], {
      PATH: `${programs}:${process.env.PATH}`,
      OPENED_ADDRESSES: file,
    });
    await PatientPage.of(data.path);
    people = await new Book(data.path).rows(
      "SELECT id, first_name, last_name, birth_date, phone, email FROM patient WHERE NOT deceased ORDER BY id",
    );
  });
  after(async () => {
    await app?.stop();
    await manager?.stop();
    await data?.clear();
  });

  /** Asks the command line, beside the running app. */
  const ask = async (...words) => {
    const key = { ...process.env, CLINIC_COMPANION_KEY_FILE: join(data.path, "demo.key") };
    return JSON.parse((await run(APP, ["--data-dir", data.path, ...words, "--json"], { env: key })).stdout);
  };
  const links = async () =>
    (await ask("links", "--partner", "vald")).filter((each) => each.kind === "patient");
  const find = (text) => ask("patients", "find", text);

  /** A patient whom three letters of a name find first, and for whom this holds. */
  const whomThreeLettersFind = async (holds) => {
    for (const letters of new Set(people.map((each) => each.last_name.slice(0, 3).toLowerCase()))) {
      if (!/^[a-z]{3}$/.test(letters)) continue;
      const [first] = await find(letters);
      const patient = people.find((each) => String(each.id) === first?.patient_id);
      if (patient && holds(first)) return { ...patient, letters };
    }
    throw new Error("three letters find no such patient first");
  };

  const addresses = async () => (await readFile(file, "utf8").catch(() => "")).split("\n").filter(Boolean);
  /** The address that is opened after these, and the page that it shows. */
  const pageAfter = async (before, seconds) => {
    const address = await until("a page is opened", seconds, async () => (await addresses())[before.length]);
    assert.equal((await addresses()).length, before.length + 1, "one page is opened, once");
    const response = await fetch(address);
    const html = await response.text();
    const part = (id) => new RegExp(`id="${id}">([^<]*)<`).exec(html)?.[1];
    return { address, name: part("profile-name"), profile: part("profile-id"), failure: part("failure") };
  };

  const holdsNobody = (address, patient) => {
    const url = new URL(address);
    assert.deepEqual([...url.searchParams.keys()].sort(), ["syncId", "tenantId"]);
    const said = decodeURIComponent(address).toLowerCase();
    for (const detail of ["first_name", "last_name", "birth_date", "phone", "email"]) {
      const value = String(patient[detail] ?? "").toLowerCase();
      assert.ok(value === "" || !said.includes(value), `the address holds the patient's ${detail}`);
    }
  };
  const isPageOf = async (page, patient) => {
    assert.equal(page.failure, undefined);
    assert.equal(page.name, `${patient.first_name} ${patient.last_name}`);
    const link = (await links()).find((each) => each.local_id === String(patient.id));
    assert.equal(page.profile, link.partner_id);
    holdsNobody(page.address, patient);
  };
  const somebodyIsChosen = () =>
    until("a line is chosen", 10, async () => (await searchBox.pixels(CHOSEN)) > 5000);
  const bringUp = async () => {
    await press(KEYS);
    await searchBox.shown();
  };

  let one;
  let other;

  test("Enter alone opens no page that is not there, and says why; Ctrl and Enter link first", async (context) => {
    await whenWindows(1, 30);
    // Some hundred profiles are on their way, a few each second; these wait for their turn.
    const isWaiting = (found) => found.vald.can_open === false && found.vald.state === "on_its_way";
    await until("profiles are on their way", 60, async () => (await links()).length > 100);
    for (const round of [1, 2]) {
      const patient = await whomThreeLettersFind(
        (found) => isWaiting(found) && found.patient_id !== String(one?.id),
      );
      const before = await addresses();
      const began = performance.now();
      await press(KEYS);
      await searchBox.shown();
      context.diagnostic(
        `the box had the keyboard ${Math.round(performance.now() - began)} ms after the keys`,
      );
      await press(...letters(patient.letters));
      await somebodyIsChosen();
      if (round === 1) {
        const low = await searchBox.height();
        await press("Return");
        await until("it is said why", 10, async () => (await searchBox.height()) > low);
        assert.deepEqual(await addresses(), before);
      }
      await press("Control_L+Return");
      await isPageOf(await pageAfter(before, 25), patient);
      await searchBox.hidden();
      [one, other] = [patient, one];
    }
  });

  test("three letters and Enter open the page of that very patient, with no window but the tray", async () => {
    await closeWindow();
    await whenWindows(0, 10);
    await until("no web view runs", 30, async () => (await webProcesses(app.id)).length === 0);
    const before = await addresses();
    await bringUp();
    assert.deepEqual(await webProcesses(app.id), [], "the box needs no web view");
    await press(...letters(one.letters));
    await somebodyIsChosen();
    await press("Return");
    await isPageOf(await pageAfter(before, 10), one);
    await searchBox.hidden();
  });

  test("Enter before the newest answer never opens whom the letters before found", async () => {
    const before = await addresses();
    await bringUp();
    await press(...letters(one.letters));
    await somebodyIsChosen();
    // In one breath, so that the line that was chosen may still be on the screen when Enter is pressed.
    await press("Control_L+a", ...letters(other.letters), "Return");
    // Several have these letters, so that Enter opens nobody before their answer, and the first of them after it.
    await until("a page is opened", 10, async () => {
      if ((await addresses()).length > before.length) return true;
      if (await searchBox.isShown()) await press("Return");
      return false;
    });
    await isPageOf(await pageAfter(before, 10), other);
    await searchBox.hidden();
  });

  test("Escape takes it away and opens nothing, and the next time it begins anew", async () => {
    const before = await addresses();
    await bringUp();
    await press(...letters(one.letters));
    await somebodyIsChosen();
    await press("Escape");
    await searchBox.hidden();
    await bringUp();
    assert.equal(await searchBox.pixels(CHOSEN), 0);
    await press("Return", "Escape");
    await searchBox.hidden();
    assert.deepEqual(await addresses(), before);
  });
});
