// The window comes and goes; the tray stays until somebody quits.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { APP, folder, isAlive, mappedAlone, Program, webProcesses } from "./desk/processes.mjs";
import { closeWindow, pixels, whenWindows } from "./desk/screen.mjs";
import { Tray } from "./desk/tray.mjs";
import { until } from "./desk/until.mjs";

/** The colour of the button that links a first practice, which is there once the page has asked the program. */
const BUTTON = "0b6e72";

describe("the window and the tray", () => {
  let data;
  let app;
  let tray;
  before(async () => {
    data = await folder();
  });
  after(async () => {
    await app?.stop();
    await data?.clear();
  });

  const start = (...words) => new Program(APP, ["--data-dir", data.path, ...words]);
  const quit = async () => {
    const asked = performance.now();
    await tray.choose("Quit");
    assert.equal(await app.end(10), 0, app.printed);
    return performance.now() - asked;
  };

  test("hidden, it starts in the tray without a window and without a web view", async () => {
    app = start("--hidden");
    tray = new Tray(app.id);
    await tray.has("Clinic Companion: No practice is linked yet", 30);
    await whenWindows(0, 1);
    assert.deepEqual(await webProcesses(app.id), []);
    await until("what only starting needed is let go", 30, async () => (await mappedAlone(app.id)) < 20);
  });

  test("a second start brings the first one's window up, and ends", async () => {
    const second = start();
    assert.equal(await second.end(20), 0, second.printed);
    await whenWindows(1, 20);
    await until("the web view runs", 10, async () => (await webProcesses(app.id)).length > 0);
    const third = start();
    assert.equal(await third.end(20), 0, third.printed);
    await whenWindows(1, 5);
    assert.ok(await isAlive(app.id));
  });

  test("closing the window ends the web view, gives its memory back and leaves the tray", async () => {
    await closeWindow();
    await whenWindows(0, 10);
    await until("the page's process is gone", 10, async () => {
      const left = await webProcesses(app.id);
      return !left.some((each) => each.name.startsWith("WebKitWeb"));
    });
    // WebKit keeps its network process for the next page; ours is not to wait for that.
    await until("nothing of the web view runs", 30, async () => (await webProcesses(app.id)).length === 0);
    await until("the web view's libraries are let go", 30, async () => (await mappedAlone(app.id)) < 20);
    assert.ok(await isAlive(app.id));
    await tray.has("Open Clinic Companion", 5);
  });

  test("the tray's menu opens the window again", async () => {
    await tray.choose("Open Clinic Companion");
    await whenWindows(1, 20);
    const web = await webProcesses(app.id);
    assert.equal(
      web.filter((each) => each.name.startsWith("WebKitNet")).length,
      1,
      "one network process serves all",
    );
    assert.equal(web.length, 2);
    await until("the page shows its button", 20, async () => (await pixels(BUTTON)) > 2000);
  });

  test("it opens as well right after the web view was put away, and right after it was closed", async () => {
    for (const putAway of [true, true, false, true]) {
      await closeWindow();
      await whenWindows(0, 10);
      if (putAway) {
        await until(
          "nothing of the web view runs",
          30,
          async () => (await webProcesses(app.id)).length === 0,
        );
      }
      await tray.choose("Open Clinic Companion");
      await whenWindows(1, 20);
      await until("the page shows its button", 20, async () => (await pixels(BUTTON)) > 2000);
    }
    assert.ok(await isAlive(app.id));
  });

  test("quitting ends everything within ten seconds", async (context) => {
    const web = await webProcesses(app.id);
    const took = await quit();
    await until("the web view is gone", 5, async () => {
      const alive = await Promise.all(web.map((each) => isAlive(each.id)));
      return !alive.includes(true);
    });
    context.diagnostic(`quit took ${Math.round(took)} ms`);
  });

  test("logging off ends it within ten seconds, with everything put away", async () => {
    app = start("--hidden");
    tray = new Tray(app.id);
    await tray.has("Quit", 30);
    await app.stop();
    assert.equal(app.ended, 0, app.printed);
  });
});
