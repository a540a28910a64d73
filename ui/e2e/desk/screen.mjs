// The windows on the screen.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { until } from "./until.mjs";

const SCRIPT = fileURLToPath(new URL("screen.py", import.meta.url));

async function screen(...words) {
  return (await promisify(execFile)("python3", [SCRIPT, ...words])).stdout;
}

const WINDOW = "Clinic Companion";
const BOX = "Open in VALD Hub";

/** The windows of this title that can be seen, as numbers. */
async function windowsCalled(title) {
  const lines = (await screen("list")).split("\n").filter((line) => line.endsWith(` ${title}`));
  return lines.map((line) => Number(line.split(" ")[0]));
}

/** The app's windows that can be seen, as numbers. */
export function appWindows() {
  return windowsCalled(WINDOW);
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

/** Presses keys one after the other, by their names in X; those joined by + are held together. */
export function press(...chords) {
  return screen("press", ...chords);
}

/** The keys that write small letters and digits. */
export function letters(text) {
  return [...text].map((letter) => (letter === " " ? "space" : letter));
}

/** The small search box over whatever is on the screen. */
export const searchBox = {
  /** Whether it can be seen. */
  async isShown() {
    return (await windowsCalled(BOX)).length > 0;
  },
  /** Waits until it is there and has the keyboard. */
  shown(seconds = 5) {
    return until("the search box has the keyboard", seconds, async () => {
      return (await this.isShown()) && (await screen("focus")).trim() === BOX;
    });
  },
  hidden(seconds = 5) {
    return until("the search box is gone", seconds, async () => !(await this.isShown()));
  },
  /** How many of its pixels have this colour, as RRGGBB. */
  async pixels(colour) {
    const [window] = await windowsCalled(BOX);
    return window === undefined ? 0 : Number(await screen("pixels", String(window), colour));
  },
  /** How high it is; it grows with what it has to say. */
  async height() {
    const [window] = await windowsCalled(BOX);
    return window === undefined ? 0 : Number(await screen("height", String(window)));
  },
  /** Writes a picture of it into a PNG file. */
  async picture(file) {
    const [window] = await windowsCalled(BOX);
    await screen("picture", String(window), file);
  },
};
