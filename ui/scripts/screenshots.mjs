// Pictures of the fake build: each screen in each scenario that changes it, light and dark, wide and narrow.
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const site = join(here, "../node_modules/.fake-dist");
const out = join(here, "../../screenshots/fake");
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const only = process.argv[2] ?? "";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
// The same policy as the program's window.
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'";

if (!existsSync(browserPath)) {
  console.error(
    `There is no browser at ${browserPath}. Install Debian's chromium, or name another one in CHROMIUM.`,
  );
  process.exit(1);
}

const server = createServer(async (request, response) => {
  const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
  if (path === "/favicon.ico") return void response.writeHead(204).end();
  const file = join(site, path === "/" ? "index.html" : path);
  try {
    let body = await readFile(file);
    // Text at twice its size, as a person sets it in the system.
    if (request.url?.includes("large=1")) {
      body = body.toString().replace("</head>", "<style>:root { font-size: 200% }</style></head>");
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-security-policy": POLICY,
    });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/`;

const screen = (name) => async (page) => {
  await page
    .getByRole("navigation")
    .getByRole("button", { name: new RegExp(`^${name}`) })
    .click();
};
const bookings = screen("Bookings");
const connections = screen("Connections");
const settings = screen("Settings");
const overview = async () => {};
const why = async (page) => {
  await bookings(page);
  await page
    .getByRole("button", { name: /^Why\?/ })
    .first()
    .click();
  await page.getByText("Copy as a paragraph").waitFor();
};
const link = async (page) => {
  await connections(page);
  await page.getByRole("button", { name: "Link your practice" }).click();
};
const system = async (page) => {
  await link(page);
  await page.getByRole("textbox", { name: "Name" }).fill("Richmond Physiotherapy");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("radio", { name: "OpenEMR" }).check();
};
const fillSystem = async (page, user) => {
  await system(page);
  await page.getByRole("textbox", { name: "Server" }).fill("reception-server");
  await page.getByRole("textbox", { name: "Database", exact: true }).fill("openemr");
  await page.getByRole("textbox", { name: "Database account" }).fill(user);
  await page.getByRole("textbox", { name: "Password" }).fill("made-up");
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByText("14,310 patients").first().waitFor();
};
const tested = (page) => fillSystem(page, "companion");
const readsOnly = (page) => fillSystem(page, "reader");
const keys = async (page) => {
  await tested(page);
  await page.getByRole("radio", { name: "Read and write" }).check();
  await page.getByRole("button", { name: "Continue" }).click();
};
const fillKeys = async (page, practiceKey) => {
  await keys(page);
  await page.getByRole("textbox", { name: "Practice id" }).fill("1234567");
  await page.getByRole("textbox", { name: "Practice key" }).fill(practiceKey);
  await page.getByRole("textbox", { name: "API key" }).fill("made-up");
  await page.getByRole("textbox", { name: "Contact e-mail" }).fill("desk@example.com.au");
  await page.getByRole("button", { name: "Test", exact: true }).click();
};
const refused = async (page) => {
  await fillKeys(page, "wrong");
  await page.getByText("(403)").waitFor();
};
const who = async (page) => {
  await fillKeys(page, "made-up");
  await page.getByRole("button", { name: "Continue" }).click();
};
const hours = async (page) => {
  await who(page);
  await page.getByRole("button", { name: "Continue" }).click();
};
const review = async (page) => {
  await hours(page);
  await page.getByRole("button", { name: "Continue" }).click();
};

const day = async (page) => {
  await page.getByRole("button", { name: "Day of Ana Petrović beside Healthengine" }).click();
  await page.getByRole("heading", { name: "Ana Petrović, today" }).waitFor();
};
const dayWhy = async (page) => {
  await day(page);
  await page.getByRole("button", { name: /^Why\? 2:15/ }).click();
  await page.getByText("Copy as a paragraph").waitFor();
};
const dayBooked = async (page) => {
  await day(page);
  await page.getByRole("button", { name: /Dr Mei Lee$/ }).click();
  await page.getByRole("button", { name: /^Why\? 10:30/ }).click();
  await page.getByText("Copy as a paragraph").waitFor();
};
const today = async (page) => {
  await screen("Today")(page);
  await page.getByRole("heading", { name: "Dr Mei Lee" }).waitFor();
};
const todayAsk = async (page) => {
  await today(page);
  await page.getByRole("button", { name: "Ask Alice Nagangu for consent" }).click();
};
const patients = async (page) => {
  await screen("Patients")(page);
  await page.getByRole("searchbox").fill("ngu");
  await page
    .getByText(/no. 1207|are being read|does not answer/)
    .first()
    .waitFor();
};
const card = (name) => async (page) => {
  await screen("Patients")(page);
  await page.getByRole("searchbox").fill(name);
  await page.getByRole("search").getByRole("button").first().click();
  await page.getByRole("heading", { name: "What left this PC" }).waitFor();
};
const quick = (typed) => async (page) => {
  await page.keyboard.type(typed);
  await page.getByRole("option").first().waitFor();
};
const quickRefused = async (page) => {
  await quick("alice")(page);
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
};
const vald = (button) => async (page) => {
  await connections(page);
  await page.getByRole("button", { name: new RegExp(`^${button} VALD Hub`) }).click();
};
const valdTested = async (page) => {
  await vald("Change")(page);
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByRole("checkbox", { name: "This is our organisation" }).check();
  await page.getByRole("button", { name: "Add a group for some patients only" }).click();
};
const compare = (name) => async (page) => {
  await card(name)(page);
  await page.getByRole("textbox", { name: "Recorded by" }).last().fill("Kim");
  await page.getByRole("button", { name: "Compare the records" }).click();
  await page.getByRole("group").first().waitFor();
};
const joining = async (page) => {
  await connections(page);
  await page.getByRole("button", { name: /^Change Hint/ }).click();
  await page.getByRole("textbox", { name: "Recorded by" }).fill("Kim");
  await page.getByRole("button", { name: "Practitioners and invoices" }).click();
  await page.getByRole("button", { name: /links of a former program/ }).click();
  await page
    .getByText(/an be carried over/)
    .first()
    .waitFor();
};
const noHours = async (page) => {
  await hours(page);
  await page.getByRole("button", { name: "Sunday: off" }).click();
  await page.getByRole("button", { name: "Monday to Friday" }).click();
};

const WIDE = { width: 1180, height: 820 };
const SMALL = { width: 900, height: 600 };
/** As large as the program makes the search box. */
const BOX = { width: 640, height: 420 };
const PHONE = { width: 360, height: 740 };

/** Name, scenario, the way there, sizes besides the wide one, and the size of the search box where it is that. */
const PICTURES = [
  ["overview", "healthy", overview, { small: SMALL, phone: PHONE, large: SMALL }],
  ["overview", "empty", overview, { phone: PHONE }],
  ["overview", "starting", overview],
  ["overview", "publishing", overview],
  ["overview", "decision", overview, { small: SMALL, phone: PHONE }],
  ["overview", "down", overview, { phone: PHONE }],
  ["overview", "revoked", overview],
  ["overview", "paused", overview],
  ["overview", "several", overview],
  ["overview", "shrunk", overview],
  ["overview", "locked", overview],
  ["overview", "error", overview],
  ["overview", "loading", overview],
  ["day", "healthy", day],
  ["day-why", "on-its-way", dayWhy, { phone: PHONE, large: SMALL }],
  ["day-booked", "healthy", dayBooked],
  ["day", "list-error", async (page) => page.getByRole("button", { name: /^Day of Ana/ }).click()],
  ["bookings", "healthy", bookings, { phone: PHONE }],
  ["bookings-why", "healthy", why, { phone: PHONE }],
  ["bookings", "empty", bookings],
  ["bookings", "decision", bookings, { small: SMALL, phone: PHONE, large: SMALL }],
  ["bookings", "twins", bookings],
  ["bookings", "read-only", bookings, { phone: PHONE }],
  ["bookings", "not-placed", bookings],
  ["bookings", "placing", bookings, { small: SMALL, phone: PHONE, large: SMALL }],
  ["bookings", "placing-read-only", bookings],
  ["bookings", "placing-overdue", bookings],
  ["bookings", "told", bookings],
  ["overview", "placing", overview, { phone: PHONE }],
  ["bookings", "stuck", bookings],
  ["bookings", "cancel-by-hand", bookings],
  ["bookings", "late", bookings],
  ["bookings", "duplicate", bookings],
  ["bookings", "several", bookings],
  ["bookings", "list-error", bookings],
  ["connections", "healthy", connections, { phone: PHONE }],
  ["connections", "empty", connections],
  ["connections", "several", connections],
  ["connections", "shrunk", connections],
  ["connections", "revoked", connections],
  ["link-1-practice", "empty", link],
  ["link-2-system", "empty", system],
  ["link-2-tested", "empty", tested, { phone: PHONE }],
  ["link-2-reads-only", "empty", readsOnly],
  ["link-3-keys", "empty", keys],
  ["link-3-refused", "empty", refused, { large: SMALL }],
  ["link-4-who", "empty", who],
  ["link-5-hours", "empty", hours, { phone: PHONE, large: SMALL }],
  ["link-5-hours-none", "empty", noHours],
  ["link-6-review", "empty", review],
  ["settings", "healthy", settings, { phone: PHONE }],
  ["overview", "vald-sending", overview],
  ["overview", "vald-refused", overview],
  ["today", "healthy", today, { small: SMALL, phone: PHONE, large: SMALL }],
  ["today-ask", "healthy", todayAsk, { phone: PHONE }],
  ["today", "several", today],
  ["today", "no-vald", today],
  ["today", "book-unreachable", today],
  ["patients", "healthy", patients, { small: SMALL, phone: PHONE, large: SMALL }],
  ["patients", "several", patients],
  ["patients", "reading-people", patients],
  ["patients", "list-error", patients],
  ["patient-card", "healthy", card("sam"), { phone: PHONE, large: SMALL }],
  ["patient-card-minor", "healthy", card("alice")],
  ["patient-card-right-to-left", "healthy", card("כהן")],
  ["patient-card-long", "healthy", card("feather"), { phone: PHONE }],
  ["quick-open", "healthy", quick("ngu"), {}, BOX],
  ["quick-open", "several", quick("ngu"), {}, BOX],
  ["quick-open-right-to-left", "healthy", quick("80"), {}, BOX],
  ["quick-open-refused", "healthy", quickRefused, {}, BOX],
  ["connections", "joining", connections, { phone: PHONE }],
  ["link-hint", "joining", joining, { phone: PHONE, large: SMALL }],
  ["patient-card-undecided", "joining", compare("jo"), { phone: PHONE, large: SMALL }],
  ["patient-card-conflict", "joining", compare("1207")],
  ["patient-card-joined", "joining", compare("raman")],
  ["vald", "no-vald", vald("Link"), { phone: PHONE }],
  ["vald-tested", "healthy", valdTested, { phone: PHONE, large: SMALL }],
];

if (!only) await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
let taken = 0;
const complaints = [];
for (const colorScheme of ["light", "dark"]) {
  for (const [name, scenario, way, others = {}, box = null] of PICTURES) {
    for (const [size, viewport] of Object.entries({ wide: box ?? WIDE, ...others })) {
      const title = [name, scenario, colorScheme, ...(size === "wide" ? [] : [size])].join("-");
      if (only && !title.includes(only)) continue;
      const context = await browser.newContext({
        viewport,
        colorScheme,
        locale: "en-AU",
        reducedMotion: "reduce",
      });
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(`${title}: ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error") complaints.push(`${title}: ${message.text()}`);
      });
      const asked = `fake=${scenario}${size === "large" ? "&large=1" : ""}${box ? "&quick" : ""}`;
      await page.goto(`${address}?${asked}`);
      await page.locator(box ? "input" : "main h1").waitFor();
      await way(page);
      const wider = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wider > 0) complaints.push(`${title}: ${wider} px wider than the window`);
      // The window is made as tall as the page, so that what sticks to its top stays there.
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      await page.setViewportSize({ width: viewport.width, height: Math.max(height, viewport.height) });
      await page.evaluate(() => window.scrollTo(0, 0));
      await page.screenshot({ path: join(out, `${title}.png`), fullPage: true });
      await context.close();
      taken += 1;
    }
  }
}
await browser.close();
server.close();
console.log(`${taken} pictures in screenshots/fake`);
if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exit(1);
}
