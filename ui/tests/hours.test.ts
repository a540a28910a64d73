import { fireEvent, screen, within } from "@testing-library/svelte";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { clock, DAYS, merged, moved, newSpan, rangeWords, readEnd, resized, spanOf } from "../src/hours";
import { go, open, plain } from "./helpers";

/** The lanes are as wide as the day is long, so that a pixel is a minute. */
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue({
    ...new DOMRect(0, 0, 1440, 36),
    left: 0,
    width: 1440,
  } as DOMRect);
});

async function openHours() {
  const opened = await open("healthy");
  await go(opened.user, "Connections");
  await opened.user.click(
    screen.getByRole("button", { name: "Change the practice system of Richmond Physiotherapy" }),
  );
  await opened.user.click(screen.getByRole("button", { name: "Change: When this PC is on" }));
  return opened;
}
type Opened = Awaited<ReturnType<typeof openHours>>;

function day(name: string) {
  return within(screen.getByRole("group", { name }));
}
function lane(name: string): HTMLElement {
  const found = screen.getByRole("group", { name }).querySelector<HTMLElement>(".lane");
  if (!found) throw new Error(`${name} has no lane`);
  return found;
}
async function drag(from: HTMLElement, start: number, end: number) {
  await fireEvent.pointerDown(from, { clientX: start, button: 0 });
  await fireEvent.pointerMove(window, { clientX: (start + end) / 2 });
  await fireEvent.pointerMove(window, { clientX: end });
  await fireEvent.pointerUp(window, { clientX: end });
}
function shows(name: string, words: string) {
  expect(plain(day(name).getByRole("button", { pressed: true }).getAttribute("aria-label"))).toBe(
    `${name}: ${words}`,
  );
}
function said(words: string) {
  const statuses = screen.getAllByRole("status").map((each) => plain(each.textContent));
  expect(statuses).toContain(words);
}
/** What would be saved. */
async function saved({ user, fake }: Opened) {
  await user.click(screen.getByRole("button", { name: "Continue" }));
  await user.click(screen.getByRole("button", { name: "Save the changes" }));
  const sent = fake.asked.findLast((each) => each.command === "updatePractice");
  return sent?.command === "updatePractice" ? sent.with[1].liveHours : null;
}

describe("the week as a picture, with the mouse", () => {
  it("draws hours by dragging, in whole quarters of an hour", async () => {
    const opened = await openHours();
    await drag(lane("Sunday"), 602, 788);
    shows("Sunday", "10:00 am to 1:15 pm");
    said("Sunday: 10:00 am to 1:15 pm.");
    // From right to left too.
    await drag(lane("Public holidays"), 720, 540);
    shows("Public holidays", "9:00 am to 12:00 pm");
    expect(await saved(opened)).toMatchObject({
      sunday: [{ start: "10:00", end: "13:15" }],
      publicHolidays: [{ start: "09:00", end: "12:00" }],
    });
  });

  it("never draws over other hours or past midnight, and joins hours that meet", async () => {
    const opened = await openHours();
    await drag(lane("Saturday"), 900, 1500);
    shows("Saturday", "8:30 am to 12:30 pm, 3:00 pm to midnight");
    await drag(lane("Saturday"), 810, 1300);
    shows("Saturday", "8:30 am to 12:30 pm, 1:30 pm to midnight");
    said("Saturday: 1:30 pm to 3:00 pm. They met, and are one now.");
    expect((await saved(opened))?.saturday).toEqual([
      { start: "08:30", end: "12:30" },
      { start: "13:30", end: "23:59" },
    ]);
  });

  it("moves a range, and its edges", async () => {
    await openHours();
    const block = day("Saturday").getByRole("button", { name: /^Saturday, / });
    await drag(block, 600, 660);
    shows("Saturday", "9:30 am to 1:30 pm");
    const edge = (side: string) =>
      lane("Saturday").querySelector<HTMLElement>(`.edge.${side}`) as HTMLElement;
    await drag(edge("end"), 810, 960);
    shows("Saturday", "9:30 am to 4:00 pm");
    await drag(edge("start"), 570, 1400);
    shows("Saturday", "3:45 pm to 4:00 pm");
  });

  it("changes nothing by a click or a drag that Escape ends, and undoes", async () => {
    const { user } = await openHours();
    await drag(lane("Saturday"), 1000, 1000);
    shows("Saturday", "8:30 am to 12:30 pm");
    await fireEvent.pointerDown(lane("Saturday"), { clientX: 900, button: 0 });
    await fireEvent.pointerMove(window, { clientX: 1000 });
    await user.keyboard("{Escape}");
    await fireEvent.pointerUp(window, { clientX: 1000 });
    shows("Saturday", "8:30 am to 12:30 pm");
    await fireEvent.click(screen.getByRole("button", { name: /^Remove 8:30.* on Saturday$/ }));
    shows("Saturday", "off");
    await user.click(screen.getByRole("button", { name: "Undo" }));
    shows("Saturday", "8:30 am to 12:30 pm");
  });
});

describe("the week as a picture, with the keyboard alone", () => {
  it("moves, resizes, adds and removes", async () => {
    const opened = await openHours();
    const { user } = opened;
    const block = () => day("Saturday").getByRole("button", { name: /^Saturday, / });
    block().focus();
    await user.keyboard("{ArrowRight}{ArrowRight}{ArrowLeft}");
    said("Saturday: 8:45 am to 12:45 pm.");
    await user.keyboard("{Shift>}{ArrowRight}{/Shift}");
    shows("Saturday", "8:45 am to 1:00 pm");
    await user.keyboard("{Control>}{ArrowLeft}{/Control}");
    shows("Saturday", "8:30 am to 1:00 pm");
    expect(block()).toHaveFocus();
    await user.keyboard("{Insert}");
    shows("Saturday", "8:30 am to 1:00 pm, 1:30 pm to 3:30 pm");
    await vi.waitFor(() =>
      expect(day("Saturday").getByRole("button", { name: /^Saturday, 1:30/ })).toHaveFocus(),
    );
    await user.keyboard("{Delete}");
    shows("Saturday", "8:30 am to 1:00 pm");
    said("Saturday: 1:30 pm to 3:30 pm removed.");
    await vi.waitFor(() => expect(day("Saturday").getByRole("button", { pressed: true })).toHaveFocus());
    await user.keyboard("{ArrowDown}{Insert}");
    shows("Sunday", "8:00 am to 6:00 pm");
    expect(await saved(opened)).toMatchObject({
      saturday: [{ start: "08:30", end: "13:00" }],
      sunday: [{ start: "08:00", end: "18:00" }],
    });
  });

  it("leads from a range to its exact times, which may be any minute", async () => {
    const { user } = await openHours();
    day("Friday")
      .getByRole("button", { name: /^Friday, / })
      .focus();
    await user.keyboard("{Enter}");
    const from = screen.getByRole("textbox", { name: "Friday from" });
    await vi.waitFor(() => expect(from).toHaveFocus());
    await user.clear(from);
    await user.type(from, "7.42");
    const to = screen.getByRole("textbox", { name: "Friday to" });
    await user.clear(to);
    await user.type(to, "midnight");
    await user.tab();
    shows("Friday", "7:42 am to midnight");
  });

  it("makes typed hours that overlap one", async () => {
    const opened = await openHours();
    const { user } = opened;
    await user.click(day("Saturday").getByRole("button", { name: "Add hours to Saturday" }));
    const from = screen.getByRole("textbox", { name: "Saturday from, range 2" });
    await user.clear(from);
    await user.type(from, "12");
    await user.tab();
    shows("Saturday", "8:30 am to 3:00 pm");
    said("Saturday: these hours met, and are one now.");
  });

  it("copies a day to others", async () => {
    const opened = await openHours();
    const { user } = opened;
    await user.click(day("Saturday").getByRole("button", { pressed: false }));
    await user.click(screen.getByRole("button", { name: "Sunday" }));
    await user.click(screen.getByRole("button", { name: "Monday to Friday" }));
    const hours = await saved(opened);
    for (const name of DAYS.filter((each) => each !== "publicHolidays")) {
      expect(hours?.[name]).toEqual([{ start: "08:30", end: "12:30" }]);
    }
    expect(hours?.publicHolidays).toEqual([]);
  });

  it("warns about a week without hours", async () => {
    const { user } = await openHours();
    const warning = /^No hours are left\./;
    expect(screen.queryByText(warning)).toBeNull();
    await user.click(day("Sunday").getByRole("button", { pressed: false }));
    for (const name of ["Monday to Friday", "Saturday"]) {
      await user.click(screen.getByRole("button", { name }));
    }
    expect(screen.getByText(warning)).toBeVisible();
  });
});

describe("ranges", () => {
  const morning = { start: 480, end: 720 };
  const evening = { start: 780, end: 1440 };

  it("keep apart while they are moved, and never leave the day", () => {
    expect(moved([morning, evening], 0, 15)).toEqual({ start: 495, end: 735 });
    expect(moved([morning, evening], 0, 600)).toEqual({ start: 525, end: 765 });
    expect(moved([morning, evening], 1, 15)).toEqual(evening);
    expect(moved([morning], 0, -600)).toEqual({ start: 0, end: 240 });
    expect(moved([{ start: 481, end: 721 }], 0, -15)).toEqual({ start: 480, end: 720 });
    expect(resized([morning, evening], 0, "end", 600)).toEqual({ start: 480, end: 780 });
    expect(resized([morning], 0, "start", 600)).toEqual({ start: 705, end: 720 });
  });

  it("are merged where they touch, and put where there is room", () => {
    expect(merged([evening, { start: 700, end: 780 }, morning])).toEqual([{ start: 480, end: 1440 }]);
    expect(newSpan([])).toEqual({ start: 480, end: 1080 });
    expect(newSpan([morning])).toEqual({ start: 750, end: 870 });
    expect(newSpan([evening])).toEqual({ start: 630, end: 750 });
    expect(newSpan([{ start: 0, end: 1440 }])).toBeNull();
  });

  it("end a full day at its last minute", () => {
    expect(clock(1440)).toBe("23:59");
    expect(spanOf({ start: "00:00", end: "23:59" })).toEqual({ start: 0, end: 1440 });
    expect(spanOf({ start: "18:00", end: "08:00" })).toBeNull();
    expect(readEnd("12 am")).toBe("23:59");
    expect(readEnd("24:00")).toBe("23:59");
    expect(readEnd("5.30 pm")).toBe("17:30");
    expect(rangeWords({ start: "00:00", end: "23:59" })).toBe("all day");
  });
});
