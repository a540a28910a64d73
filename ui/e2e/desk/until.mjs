import { setInterval as every } from "node:timers/promises";

const BETWEEN_LOOKS_MS = 50;

/**
 * The first truthy answer of `look`; after `seconds` without one, an error that says what was waited for.
 * @template T
 * @param {string} what
 * @param {number} seconds
 * @param {() => T | Promise<T>} look
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, seconds, look) {
  const deadline = performance.now() + seconds * 1000;
  let found = await look();
  if (found) return found;
  for await (const _ of every(BETWEEN_LOOKS_MS)) {
    found = await look();
    if (found) return found;
    if (performance.now() > deadline) break;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}
