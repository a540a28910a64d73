// The tray's menu, as a panel reads it: the canonical D-Bus menu that the app puts on the session's bus.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { until } from "./until.mjs";

const run = promisify(execFile);

async function send(destination, path, member, ...values) {
  const words = [
    "--session",
    "--print-reply",
    "--reply-timeout=500",
    `--dest=${destination}`,
    path,
    member,
    ...values,
  ];
  return (await run("dbus-send", words)).stdout;
}

/** The connection of the process on the session's bus that carries a menu, and where on it. */
async function menuOf(processId) {
  const bus = "org.freedesktop.DBus";
  const names = await send(bus, "/", `${bus}.ListNames`);
  for (const [, name] of names.matchAll(/string "(:[^"]+)"/g)) {
    const owner = await send(bus, "/", `${bus}.GetConnectionUnixProcessID`, `string:${name}`).catch(() => "");
    if (!owner.includes(`uint32 ${processId}\n`)) continue;
    const base = "/org/ayatana/NotificationItem";
    const found = await send(name, base, `${bus}.Introspectable.Introspect`).catch(() => "");
    const item = /<node name="([^"]+)"/.exec(found)?.[1];
    if (item) return { name, path: `${base}/${item}/Menu` };
  }
  return null;
}

/** The tray of a running app. */
export class Tray {
  #processId;

  constructor(processId) {
    this.#processId = processId;
  }

  /** Its menu as `{ label, number }`. */
  async entries() {
    const menu = await menuOf(this.#processId);
    if (!menu) return [];
    const layout = await send(
      menu.name,
      menu.path,
      "com.canonical.dbusmenu.GetLayout",
      "int32:0",
      "int32:-1",
      "array:string:label",
    );
    const entries = [
      ...layout.matchAll(
        /int32 (\d+)\s+array \[\s+dict entry\(\s+string "label"\s+variant\s+string "([^"]*)"/g,
      ),
    ];
    return entries.map(([, number, label]) => ({ label, number: Number(number) }));
  }

  /** Waits until the menu has an entry of this name. */
  async has(label, seconds) {
    let entries = [];
    try {
      return await until(`the tray's menu has "${label}"`, seconds, async () => {
        entries = await this.entries();
        return entries.find((each) => each.label === label);
      });
    } catch (error) {
      throw new Error(`${error.message}; it has ${JSON.stringify(entries)}`, { cause: error });
    }
  }

  async choose(label, seconds = 10) {
    const { number } = await this.has(label, seconds);
    const menu = await menuOf(this.#processId);
    const values = [`int32:${number}`, "string:clicked", "variant:string:", "uint32:0"];
    await send(menu.name, menu.path, "com.canonical.dbusmenu.Event", ...values);
  }
}
