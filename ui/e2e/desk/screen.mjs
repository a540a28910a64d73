// The windows on the screen.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { until } from "./until.mjs";

const SCRIPT = fileURLToPath(new URL("screen.py", import.meta.url));

async function screen(...words) {
  return (await promisify(execFile)("python3", [SCRIPT, ...words])).stdout;
}

/** The app's windows that can be seen, as numbers. */
export async function appWindows() {
  const lines = (await screen("list")).split("\n").filter((line) => line.endsWith(" Clinic Companion"));
  return lines.map((line) => Number(line.split(" ")[0]));
}

/** Waits until the app shows this many windows. */
export function whenWindows(count, seconds) {
  return until(`the app shows ${count} windows`, seconds, async () => (await appWindows()).length === count);
}

/** How many pixels of the app's only window have this colour, as RRGGBB. */
export async function pixels(colour) {
  const [window] = await appWindows();
  return window === undefined ? 0 : Number(await screen("pixels", String(window), colour));
}

/** Closes the app's only window, as the button in its frame does. */
export async function closeWindow() {
  const [window] = await appWindows();
  await screen("close", String(window));
}
