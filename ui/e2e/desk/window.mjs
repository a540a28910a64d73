// The app's window, driven through tauri-driver by W3C WebDriver.
import { basename } from "node:path";

import { APP, descendants, freePort, isAlive, Program } from "./processes.mjs";
import { until } from "./until.mjs";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const KEYS = {
  Tab: "\uE004",
  Enter: "\uE007",
  Escape: "\uE00C",
  Space: " ",
  Down: "\uE015",
  Shift: "\uE008",
  Control: "\uE009",
  Alt: "\uE00A",
};

/** Runs in the page: the words by which a person, or a screen reader, knows an element. */
const NAME_OF = `
  const nameOf = (element) => {
    const label = element.getAttribute("aria-label");
    const labels = [...(element.labels ?? [])].map((each) => each.textContent);
    const text = label ?? (labels.length > 0 ? labels.join(" ") : element.textContent);
    return text.replace(/\\s+/g, " ").trim();
  };`;

/** An app with its window. */
export class Window {
  #driver;
  #address;
  #session;

  /** Starts the app with these words on its command line, and returns once its window is there. */
  static async open(words, environment = {}) {
    const [port, nativePort] = [await freePort(), await freePort()];
    const ports = ["--port", String(port), "--native-port", String(nativePort)];
    const window = new Window();
    window.#driver = new Program("tauri-driver", ports, environment);
    window.#address = `http://127.0.0.1:${port}`;
    await until("tauri-driver listens", 20, () => {
      if (window.#driver.ended !== null) throw new Error(`tauri-driver: ${window.#driver.printed}`);
      return window.#call("GET", "/status").catch(() => false);
    });
    const capabilities = { alwaysMatch: { "tauri:options": { application: APP, args: words } } };
    try {
      window.#session = (await window.#call("POST", "/session", { capabilities })).sessionId;
    } catch (error) {
      await window.#driver.stop();
      throw new Error(`the window did not come up: ${window.#driver.printed}`, { cause: error });
    }
    return window;
  }

  async close() {
    // The driver would kill the app; it is to end as it does when somebody logs off.
    const app = (await descendants(this.#driver.id)).find((each) => basename(APP).startsWith(each.name));
    if (app) {
      process.kill(app.id, "SIGTERM");
      await until("the app ends", 10, async () => !(await isAlive(app.id)));
    }
    await this.#call("DELETE", `/session/${this.#session}`).catch(() => {});
    await this.#driver.stop();
  }

  async #call(method, path, body) {
    const response = await fetch(this.#address + path, {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  #ask(method, path, body) {
    return this.#call(method, `/session/${this.#session}${path}`, body);
  }

  /** Runs a function body in the page. */
  run(script, ...args) {
    return this.#ask("POST", "/execute/sync", { script, args });
  }

  /** What a person can read. */
  text() {
    return this.run("return document.body.innerText");
  }

  /** Waits until the page shows the words, or matches the expression. Returns the text. */
  async shows(wanted, seconds) {
    const matches = (text) => (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text));
    let text = "";
    try {
      return await until(String(wanted), seconds, async () => {
        text = await this.text();
        return matches(text) && text;
      });
    } catch (error) {
      throw new Error(`the window does not show ${wanted} after ${seconds} s; it shows:\n${text}`, {
        cause: error,
      });
    }
  }

  /** Waits until the page no longer shows the words. */
  hides(wanted, seconds) {
    return until(`the window hides ${wanted}`, seconds, async () => !(await this.text()).includes(wanted));
  }

  /** The visible elements of a selector whose name matches. */
  #find(selector, name) {
    const script = `${NAME_OF}
      const wanted = new RegExp(arguments[1]);
      return [...document.querySelectorAll(arguments[0])].filter(
        (each) => each.checkVisibility() && wanted.test(nameOf(each)));`;
    return this.run(script, selector, name.source);
  }

  /** Presses a button, link or choice with the pointer. */
  async press(name, seconds = 10) {
    const selector = "button, a, summary, input[type=radio], input[type=checkbox]";
    const [element] = await until(`there is ${name} to press`, seconds, async () => {
      const found = await this.#find(selector, name);
      return found.length > 0 && found;
    });
    await this.run("arguments[0].scrollIntoView({ block: 'center' })", element);
    await this.#ask("POST", `/element/${element[ELEMENT]}/click`, {});
  }

  /** Presses keys one after the other; what stands in one array is held down together. */
  async keys(...chords) {
    const actions = [];
    for (const chord of chords) {
      const values = [chord].flat().map((key) => KEYS[key] ?? key);
      actions.push(...values.map((value) => ({ type: "keyDown", value })));
      actions.push(...values.reverse().map((value) => ({ type: "keyUp", value })));
    }
    await this.#ask("POST", "/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  type(text) {
    return this.keys(...text);
  }

  /** The name of what has the focus. */
  focus() {
    return this.run(`${NAME_OF} return nameOf(document.activeElement);`);
  }

  /** Presses Tab until something of this name has the focus, as somebody without a mouse would. */
  async tabTo(name, most = 60) {
    const passed = [];
    for (let step = 0; step < most; step += 1) {
      await this.keys("Tab");
      const now = await this.focus();
      if (name.test(now)) return;
      passed.push(now.slice(0, 40));
    }
    throw new Error(`Tab does not reach ${name}; it passes ${passed.join(" | ")}`);
  }

  /** Goes to a field by Tab and types; what stood there is replaced. */
  async fill(name, text) {
    await this.tabTo(name);
    await this.keys(["Control", "a"]);
    await this.type(text);
  }

  /** Goes to a button by Tab and presses it. */
  async choose(name) {
    await this.tabTo(name);
    await this.keys("Enter");
  }

  /** Goes to a group of choices by Tab, and to one of them by the arrows. */
  async pick(group, name) {
    await this.tabTo(group);
    await this.keys("Space");
    for (let step = 0; step < 10 && !name.test(await this.focus()); step += 1) await this.keys("Down");
  }

  focused(name, seconds = 15) {
    return until(`${name} has the focus`, seconds, async () => name.test(await this.focus()));
  }

  /** Goes to a screen by its key, and waits for its title. */
  async screen(number, title) {
    await this.keys(["Alt", String(number)]);
    await until(`the screen "${title}"`, 10, () =>
      this.run("return document.title.startsWith(arguments[0])", title),
    );
  }

  /** The rows of lists, as text. */
  rows() {
    return this.run(
      "return [...document.querySelectorAll('main li .row')].map((each) => each.innerText.replace(/\\s+/g, ' '))",
    );
  }

  /** A picture of the whole page, as PNG. The window is made as tall as the page first. */
  async picture(width = 1180, least = 820) {
    await this.#resize(width, least);
    const height = await this.run("return document.documentElement.scrollHeight");
    await this.#resize(width, Math.max(least, height));
    await this.run("window.scrollTo(0, 0)");
    // The size is known before the page is painted in it: two pictures in a row must agree. A page that counts something
    // never stands still; the fifth of it is painted as well.
    const taken = [];
    const settled = await until("the page is painted", 60, async () => {
      await this.#painted();
      taken.push(await this.#ask("GET", "/screenshot"));
      return (taken.at(-1) === taken.at(-2) || taken.length === 5) && taken.at(-1);
    });
    return Buffer.from(settled, "base64");
  }

  async #painted() {
    const script = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))";
    await this.#ask("POST", "/execute/async", { script, args: [] });
  }

  async #resize(width, height) {
    await this.#ask("POST", "/window/rect", { width, height });
    await until(`the window is ${width} × ${height}`, 10, () =>
      this.run("return innerWidth === arguments[0] && innerHeight === arguments[1]", width, height),
    );
  }
}
