// Runs the end-to-end tests one after the other: `node e2e/run.mjs [PATTERN]`, with PATTERN only those whose name matches.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const here = import.meta.dirname;
const files = readdirSync(here)
  .filter((name) => name.endsWith(".test.mjs"))
  .sort()
  .map((name) => join(here, name));
const name = process.argv.slice(2).join(" ");
const only = name ? { testNamePatterns: [new RegExp(name)] } : {};

run({ files, concurrency: false, ...only })
  .on("test:fail", () => (process.exitCode = 1))
  .compose(spec)
  .pipe(process.stdout);
