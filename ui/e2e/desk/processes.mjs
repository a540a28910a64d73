// The programs that the tests start, in folders of their own, and what Linux says about them.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { until } from "./until.mjs";

/** The built app. `cargo xtask e2e` names it. */
export const APP = process.env.CLINIC_COMPANION_BINARY ?? "";
if (!existsSync(APP)) {
  throw new Error("CLINIC_COMPANION_BINARY must name the built app: run `cargo xtask e2e`");
}

/** A folder that is removed by `clear`. */
export async function folder() {
  const path = await mkdtemp(join(tmpdir(), "clinic-companion-e2e-"));
  return { path, clear: () => rm(path, { recursive: true, force: true }) };
}

/** A port that nobody listens on now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A started program, with everything it printed. */
export class Program {
  #child;
  printed = "";
  /** The exit status, or the signal that ended it; null while it runs. */
  ended = null;

  constructor(program, words, environment = {}) {
    this.name = program;
    this.#child = spawn(program, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.printed += text));
    }
    this.#child.once("error", (error) => (this.ended = error.message));
    this.#child.once("exit", (status, signal) => {
      this.ended ??= status ?? signal;
      // What it started may live on and hold the pipes open; that must not keep us.
      for (const stream of [this.#child.stdout, this.#child.stderr]) stream.unref();
    });
  }

  get id() {
    return this.#child.pid;
  }

  /** The exit status or signal, once it has ended. */
  async end(seconds) {
    await until(`${this.name} ends`, seconds, () => this.ended !== null);
    return this.ended;
  }

  /** Asks it to end, and makes it after ten seconds. */
  async stop() {
    if (this.ended !== null) return;
    this.#child.kill("SIGTERM");
    try {
      await this.end(10);
    } catch {
      this.#child.kill("SIGKILL");
      await this.end(5);
    }
  }
}

/**
 * How much of its libraries a process keeps in memory that no other process uses, in megabytes. The app's own code is
 * left out: a development build has much of it, and comes back to it every few seconds.
 */
export async function mappedAlone(id) {
  const program = await readlink(`/proc/${id}/exe`);
  const maps = (await readFile(`/proc/${id}/smaps`, "utf8")).split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const libraries = maps.filter((each) => !each.slice(0, each.indexOf("\n")).endsWith(program));
  const clean = libraries.map((each) => Number(/^Private_Clean: +(\d+) kB$/m.exec(each)?.[1] ?? 0));
  return clean.reduce((sum, each) => sum + each, 0) / 1000;
}

/** Every process below this one, as `{ id, name }`. */
export async function descendants(id) {
  const all = await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(describe));
  const found = [];
  let parents = new Set([id]);
  while (parents.size > 0) {
    const children = all.filter((each) => each && parents.has(each.parent));
    found.push(...children.map((each) => ({ id: each.id, name: each.name })));
    parents = new Set(children.map((each) => each.id));
  }
  return found;
}

async function describe(id) {
  try {
    const text = await readFile(`/proc/${id}/stat`, "utf8");
    const [, name, rest] = /^\d+ \((.*)\) (.*)/s.exec(text) ?? [];
    const [state, parent] = rest.split(" ");
    return state === "Z" ? null : { id: Number(id), parent: Number(parent), name };
  } catch {
    return null;
  }
}

/** The web view's processes below this one. */
export async function webProcesses(id) {
  return (await descendants(id)).filter((each) => each.name.startsWith("WebKit"));
}

export async function isAlive(id) {
  return (await describe(id)) !== null;
}
