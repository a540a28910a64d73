// Pictures of every screen of the real app on the made-up clinic, light and dark, into screenshots/. A word on the
// command line, "light" or "dark", takes only those.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Book, PatientPage } from "./desk/clinic.mjs";
import { folder } from "./desk/processes.mjs";
import { letters, press, searchBox } from "./desk/screen.mjs";
import { until } from "./desk/until.mjs";
import { Window } from "./desk/window.mjs";

const OUT = fileURLToPath(new URL("../../screenshots", import.meta.url));
const NARROW = 400;
/** A rejection helps the patient for twenty seconds. */
const TOO_LATE_MS = 21_000;
/** WebKit follows the theme of GTK; browsers are told. */
const SCHEMES = [
  { scheme: "light", theme: "Adwaita" },
  { scheme: "dark", theme: "Adwaita:dark" },
];
const KEYS = { practiceId: "demo", practiceKey: "demo-practice-key", apiKey: "demo-api-key" };

async function keep(name, scheme, picture) {
  const file = join(OUT, `${name}-${scheme}.png`);
  await rm(file, { force: true });
  await writeFile(file, picture);
  console.log(`${name}-${scheme}.png`);
}

/** The clinic's day: bookings, somebody whom only a person can tell apart, and two kinds of trouble. */
async function everyday(window, patients, book, take) {
  await window.shows("Everything is in step.", 60);
  await take("overview-in-step");
  await take("overview-narrow", NARROW);

  const people = [
    { firstname: "Orla", lastname: "Testerton", dob: "1991-02-03" },
    { firstname: "Wren", lastname: "Holdfast", dob: "1979-11-30" },
    { firstname: "Ines", lastname: "Example", dob: "1966-06-06" },
  ];
  const ids = [];
  for (const person of people) {
    ids.push(await patients.book(await patients.freeTime(30, ids.length * 5), person));
    await patients.confirmed(ids.at(-1));
  }
  await patients.cancel(ids[1]);
  await window.screen(3, "Bookings");
  await window.shows("cancelled: the patient cancelled", 30);
  await take("bookings");
  await window.press(/^Why\? Orla/);
  await window.shows("Copy as a paragraph", 10);
  await take("bookings-why");
  await window.keys("Escape");

  const [twice] = await book.rows(
    `SELECT a.* FROM patient a JOIN patient b ON b.id > a.id AND b.first_name = a.first_name
        AND b.last_name = a.last_name AND b.birth_date = a.birth_date
      WHERE NOT a.deceased AND NOT b.deceased ORDER BY a.id LIMIT 1`,
  );
  await patients.book(await patients.freeTime(30, 20), {
    firstname: twice.first_name,
    lastname: twice.last_name,
    dob: twice.birth_date,
    phone: twice.phone,
    email: "somebody.else@example.com",
  });
  await window.shows("Which ", 30);
  await take("bookings-decide");
  await take("bookings-decide-narrow", NARROW);
  await window.screen(1, "Overview");
  await window.shows("Something needs you.", 10);
  await take("overview-needs-you");
  await window.press(/^Decide/);
  await window.press(/^New patient$/);
  await window.screen(1, "Overview");
  await window.shows("Everything is in step.", 60);

  await unplaced(window, patients, book, take);
  await window.press(/^Day of /);
  await window.shows("Healthengine shows this day as your book has it.", 30);
  await take("day");
  await take("day-narrow", NARROW);
  await window.press(/^Why\? .* taken in your book/);
  await window.shows("Copy as a paragraph", 10);
  await take("day-why");

  await window.screen(2, "Today");
  await window.shows("VALD Hub", 30);
  await take("today");
  await take("today-narrow", NARROW);
  await window.screen(4, "Patients");
  await window.fill(/^Find a patient$/, "ngu");
  await window.shows(/Nguy[^\n]*\n?[^\n]*linked/, 120);
  await take("patients");
  await window.press(/^Nguy.*linked$/);
  await window.shows("What left this PC", 30);
  await take("patient-card");
  await take("patient-card-narrow", NARROW);

  await window.screen(5, "Connections");
  await take("connections");
  await window.press(/^(Change|Link) VALD Hub/);
  await window.shows("Links of a former system", 10);
  await take("link-vald");
  await window.press(/^Back to Connections$/);
  await window.press(/^Change Validic/);
  await window.shows("Form of the API", 10);
  await window.press(/^Where to find it: Token$/);
  await take("link-validic");
  await take("link-validic-narrow", NARROW);
  await devices(window, book, take);
  await memberships(window, book, take);
  await window.screen(6, "Settings");
  await take("settings");

  await window.screen(1, "Overview");
  await window.press(/^Pause$/);
  await window.shows("Everything is paused.", 30);
  await take("overview-paused");
  await window.press(/^Resume$/);
  await window.shows("Everything is in step.", 60);
  await patients.fault({ fault: { kind: "refuse" } });
  await window.shows("No answer just now from Healthengine", 60);
  await take("overview-no-answer");
  await patients.heal();
  await patients.consent("revoked");
  await window.shows("Something is not working.", 60);
  await take("overview-consent-revoked");
}

/** Memberships at Hint: who is joined, who needs somebody, and what a former program left. */
async function memberships(window, book, take) {
  await window.screen(5, "Connections");
  if ((await window.text()).includes("Back to Connections")) await window.press(/^Back to Connections$/);
  await window.press(/^Change Hint/);
  await window.shows("What is joined", 10);
  await window.fill(/^Recorded by$/, "Kim");
  // They are looked at when no patient waits any more, at two requests a second.
  await until("practitioners and invoices were looked at", 240, async () => {
    await window.press(/[Pp]ractitioners and invoices$/);
    return (await window.text()).includes("say which invoice it is");
  });
  await window.press(/^Look at the links of a former program$/);
  await window.shows(/[Cc]an be carried over/, 20);
  await take("link-hint");
  await take("link-hint-narrow", NARROW);

  await window.screen(4, "Patients");
  if ((await window.text()).includes("Back to the search")) await window.press(/^Back to the search$/);
  await window.shows("Needs somebody", 20);
  await take("patients-needing");
  const compare = async (id) => {
    const [{ name }] = await book.rows(
      `SELECT first_name || ' ' || last_name AS name FROM patient WHERE id = ${id}`,
    );
    await window.press(new RegExp(`^Show ${name}$`));
    await window.press(/^Compare the records$/);
    await window.shows("Same person", 20);
  };
  // The one who has another family name at Hint.
  await compare(45);
  await take("patient-card-hint");
  await take("patient-card-hint-narrow", NARROW);
  // And one who is linked there to something else.
  await window.press(/^Back to the search$/);
  await window.shows("Needs somebody", 20);
  await compare(85);
  await window.shows("Linked there to something else", 10);
  await take("patient-card-hint-conflict");
}

/** Somebody who agreed to Validic, with the code for the phone. */
async function devices(window, book, take) {
  const people = await book.rows(
    `SELECT first_name, last_name FROM patient
      WHERE NOT deceased AND birth_date < '1990-01-01' AND last_name NOT GLOB '*[^A-Za-z]*' ORDER BY id LIMIT 20`,
  );
  for (const { first_name: first, last_name: last } of people) {
    await window.screen(4, "Patients");
    if ((await window.text()).includes("Back to the search")) await window.press(/^Back to the search$/);
    await window.fill(/^Find a patient$/, `${first} ${last}`);
    await window.press(new RegExp(`^${last}, ${first}`), 30);
    if ((await window.shows("Devices at Validic", 30)).includes("Connect a device")) break;
  }
  await window.press(/^Connect a device$/);
  await window.shows("scan this code", 20);
  await take("patient-devices");
  await take("patient-devices-narrow", NARROW);
  await window.press(/^Done$/);
  await window.fill(/^Recorded by$/, "Kim");
  await window.press(/^Withdraw consent for Validic$/);
  await window.press(/^Record the withdrawal$/);
  await window.shows("Consent was refused or withdrawn.", 20);
  await take("patient-devices-withdrawn");
}

/** A booking whose time was given away at the desk while the line was down, too late for Healthengine to ask again. */
async function unplaced(window, patients, book, take) {
  const time = await patients.freeTime(30, 12);
  await patients.fault({ fault: { kind: "refuse" } });
  await patients.book(time, {
    firstname: "Theo",
    lastname: "Sample",
    dob: "1988-08-08",
    phone: "0491 570 157",
  });
  await book.take(time);
  const booked = performance.now();
  await until("it is too late for a rejection", 30, async () => performance.now() - booked > TOO_LATE_MS);
  await patients.heal();
  await window.screen(3, "Bookings");
  await window.shows("Theo Sample could not be put into your book", 60);
  await window.shows("Put it at another time", 10);
  await take("bookings-place");
  await take("bookings-place-narrow", NARROW);
  await window.screen(1, "Overview");
  await take("overview-deadline");
  await window.screen(3, "Bookings");
  await window.press(/^Put it beside/);
  await window.screen(1, "Overview");
  await window.shows("Everything is in step.", 60);
}

/** A fresh computer, up to the last step before Start. */
async function linking(window, apiUrl, take) {
  await window.shows("Welcome.", 30);
  await take("first-run");
  await window.press(/^Link your practice$/);
  await window.fill(/^Name$/, "Kookaburra Street Physiotherapy");
  await window.tabTo(/^Time zone/);
  await window.type("Melbourne");
  await take("link-1-practice");
  await window.choose(/^Continue$/);
  await window.focused(/^Your practice system$/);
  await window.pick(/Demo clinic|OpenEMR/, /^OpenEMR/);
  await take("link-2-openemr");
  await window.press(/^Provet Cloud/);
  await window.fill(/^Address$/, "https://provetcloud.com");
  await window.fill(/^Provet id$/, "4321");
  await window.fill(/^Client id$/, "companion");
  await window.press(/^Sign in as me/);
  await window.press(/^Paste the registration/);
  await take("link-2-provet");
  await take("link-2-provet-narrow", NARROW);
  await window.press(/^OpenEMR/);
  await window.press(/^For your IT: ways for documents$/);
  await window.fill(/^Instead of a folder: OpenEMR’s own API$/, "https://emr.example.com/openemr");
  await window.shows("The user’s password", 10);
  await take("link-2-documents-api");
  await window.press(/^Demo clinic/);
  await window.choose(/^Test$/);
  await window.shows("400 patients", 20);
  await window.pick(/^Read only/, /^Read and write/);
  await take("link-2-tested");
  await window.choose(/^Continue$/);
  await window.focused(/^Your Healthengine practice$/);
  await take("link-3-keys");
  await window.fill(/^Practice id$/, KEYS.practiceId);
  await window.fill(/^Practice key$/, KEYS.practiceKey);
  await window.fill(/^API key$/, "not-the-key");
  await window.fill(/^Contact e-mail$/, "desk@example.com.au");
  await window.choose(/^For your IT/);
  await window.fill(/^Address$/, apiUrl);
  await window.choose(/^Test$/);
  await window.shows("(401)", 20);
  await take("link-3-refused");
  await window.fill(/^API key$/, KEYS.apiKey);
  await window.choose(/^(Test|Try again)$/);
  await window.shows("Healthengine accepts these keys.", 20);
  await take("link-3-accepted");
  await window.choose(/^Continue$/);
  await window.focused(/^Who can be booked$/);
  await take("link-4-who");
  await window.choose(/^Continue$/);
  await window.focused(/^When this PC is on$/);
  await take("link-5-hours");
  await window.choose(/^Continue$/);
  await window.focused(/^Review$/);
  await take("link-6-review");
}

async function patientPage(address, scheme) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({
      colorScheme: scheme,
      locale: "en-AU",
      viewport: { width: 1180, height: 820 },
    });
    await page.goto(address);
    await page.getByText("Orla Testerton").first().waitFor();
    await keep("act-as-a-patient", scheme, await page.screenshot({ fullPage: true }));
  } finally {
    await browser.close();
  }
}

/** The search box over the window, with three letters that find several. */
async function quickOpen(book, scheme) {
  const [{ three }] = await book.rows(
    `SELECT lower(substr(last_name, 1, 3)) AS three FROM patient WHERE NOT deceased
      GROUP BY three HAVING three NOT GLOB '*[^a-z]*' ORDER BY count(DISTINCT last_name) DESC, three LIMIT 1`,
  );
  await press("Control_L+Alt_L+v");
  await searchBox.shown();
  const empty = await searchBox.height();
  await press(...letters(three));
  await until("somebody is found", 10, async () => (await searchBox.height()) > empty);
  await searchBox.picture(join(OUT, `quick-open-${scheme}.png`));
  console.log(`quick-open-${scheme}.png`);
  await press("Escape");
  await searchBox.hidden();
}

async function inScheme(scheme, theme) {
  const [clinic, fresh] = [await folder(), await folder()];
  const environment = { GTK_THEME: theme };
  const windows = [];
  const open = async (...words) => {
    const window = await Window.open(words, environment);
    windows.push(window);
    const dark = await window.run("return matchMedia('(prefers-color-scheme: dark)').matches");
    if (dark !== (scheme === "dark")) throw new Error(`the window is not ${scheme}`);
    return window;
  };
  const take = (window) => async (name, width) => keep(name, scheme, await window.picture(width));
  try {
    const window = await open("--data-dir", clinic.path, "demo");
    const patients = await PatientPage.of(clinic.path);
    const book = new Book(clinic.path);
    await everyday(window, patients, book, take(window));
    await quickOpen(book, scheme);
    await patients.consent("granted");
    await patientPage(patients.address, scheme);
    const { apiUrl } = await patients.state(1);
    const first = await open("--data-dir", fresh.path);
    await linking(first, apiUrl, take(first));
  } finally {
    for (const window of windows) await window.close();
    await clinic.clear();
    await fresh.clear();
  }
}

await mkdir(OUT, { recursive: true });
const only = process.argv[2] ?? "";
for (const { scheme, theme } of SCHEMES.filter((each) => each.scheme.includes(only)))
  await inScheme(scheme, theme);
