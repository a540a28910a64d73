import { screen, within } from "@testing-library/svelte";
import { describe, expect, it, vi } from "vitest";

import { SCENARIOS, type ScenarioName } from "../src/backend/scenarios";
import { open, plain } from "./helpers";

function region(name: string) {
  return screen.getByRole("region", { name });
}

describe("overview", () => {
  it("proves that everything is in step, practitioner by practitioner", async () => {
    await open("healthy");
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Everything is in step.");
    expect(plain(region("How things stand").textContent)).toContain(
      "for all 6 practitioners, today to 19 January 2027.",
    );
    const rows = within(region("By practitioner")).getAllByText(/Healthengine shows what your book shows/);
    expect(rows).toHaveLength(6);
    expect(within(region("By practitioner")).getByText("7 of 16")).toBeVisible();
    expect(within(region("By practitioner")).getByText("not in today")).toBeVisible();
    expect(within(region("Needs you")).getByText(/^Nothing\./)).toBeVisible();
    expect(screen.getByText("Safe to switch off: nothing is waiting.")).toBeVisible();
    expect(screen.getByRole("img", { name: /^Round trips by half hour/ })).toBeVisible();
  });

  it("welcomes a person who has linked nothing yet, and leads on", async () => {
    const { user } = await open("empty");
    const buttons = screen.getAllByRole("button", { name: "Link your practice" });
    await user.click(buttons[0] as HTMLElement);
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Link your practice");
    expect(screen.getByRole("textbox", { name: "Name" })).toBeVisible();
  });

  it("says that it is still reading, and what failed", async () => {
    await open("loading");
    expect(screen.getByRole("status")).toHaveTextContent("Reading how things stand…");
  });

  it("offers to try again when the program does not answer", async () => {
    const { user, fake } = await open("error");
    expect(await screen.findByRole("alert")).toHaveTextContent("Something went wrong.");
    await user.click(screen.getByRole("button", { name: "Try again" }));
    expect(fake.asked.filter((each) => each.command === "currentView")).toHaveLength(2);
  });

  it("shows a locked store instead of an empty practice list", async () => {
    await open("locked");
    expect(screen.getByText(/keychain no longer holds the key/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Link your practice" })).toBeNull();
  });

  it("names the broken leg and leads to it", async () => {
    const { user } = await open("down");
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Something is not working.");
    expect(plain(region("How things stand").textContent)).toContain("Healthengine (Richmond Physiotherapy)");
    expect(within(region("On its way")).getByText("1 answer for Healthengine")).toBeVisible();
    await user.click(within(region("Needs you")).getByRole("button", { name: /^Open/ }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Change Richmond Physiotherapy");
  });

  it("leads from what needs a person to the very booking, with its clock", async () => {
    const { user, app } = await open("decision");
    const needs = region("Needs you");
    expect(within(needs).getByRole("timer")).toHaveTextContent(/answer in 8:1\d/);
    await user.click(within(needs).getByRole("button", { name: /^Decide/ }));
    expect(app.screen).toBe("bookings");
    const heading = screen.getByRole("heading", { name: "Is this the same Sam Nguyen?" });
    await vi.waitFor(() => expect(heading).toHaveFocus());
  });

  it("pauses and resumes everything", async () => {
    const { user, fake } = await open("healthy");
    await user.click(within(region("How things stand")).getByRole("button", { name: "Pause" }));
    expect(fake.asked.at(-1)).toEqual({ command: "setAllEnabled", with: [false] });
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Everything is paused.");
    await user.click(within(region("How things stand")).getByRole("button", { name: "Resume" }));
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Everything is in step.");
  });

  it("pauses one practice of several, and leaves paused ones out of the proof", async () => {
    const { user, fake } = await open("several");
    expect(plain(region("How things stand").textContent)).not.toContain("15 min");
    await user.click(screen.getByRole("button", { name: "Pause Burnley Hand Therapy" }));
    expect(fake.asked.at(-1)).toEqual({ command: "setPracticeEnabled", with: ["burnley", false] });
    expect(screen.getByRole("button", { name: "Resume Burnley Hand Therapy" })).toBeVisible();
  });

  it("sends again what a person chooses, and Escape closes the question", async () => {
    const { user, fake } = await open("healthy");
    await user.click(screen.getByRole("button", { name: "Resync…" }));
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("button", { name: "Free times" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "Resync…" }));
    await user.click(screen.getByRole("button", { name: "Free times" }));
    expect(fake.asked.at(-1)).toEqual({ command: "resync", with: ["richmond", "availability"] });
    expect(await screen.findByText("Free times: being sent again.")).toBeVisible();
  });

  it("shows long work with its counts, and the made-up clinic as such", async () => {
    const { user, fake } = await open("publishing");
    expect(screen.getByRole("progressbar")).toHaveAttribute("value", "120");
    expect(screen.getByText("Publishing free times: 120 of 366 days")).toBeVisible();
    expect(screen.getByText("A made-up clinic.")).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Act as a patient" }));
    expect(fake.asked.at(-1)).toEqual({ command: "openLink", with: ["patientPage"] });
  });
});

describe("what needs a person", () => {
  it("shows what happened until somebody has seen to it", async () => {
    const { user, fake } = await open("healthy");
    const at = "2026-11-20T00:01:02.345Z";
    const sentence = "Two appointments stand at 9:30 with Dr Lee.";
    fake.push(() => ({
      headline: "needsYou",
      attention: [{ kind: "notice", practiceId: "richmond", at, sentence }],
    }));
    expect(await screen.findByText(sentence)).toBeVisible();
    await user.click(screen.getByRole("button", { name: `Seen to: ${sentence}` }));
    expect(fake.asked.at(-1)).toEqual({ command: "acknowledgeNotice", with: ["richmond", at] });
    expect(screen.queryByText(sentence)).not.toBeInTheDocument();
  });

  it("names every practice that shares a trouble in one line, and leads to all of them", async () => {
    const { user, fake, app } = await open("healthy");
    fake.push((view) => {
      const practices = ["richmond", "burnley", "perth"].flatMap((id) =>
        view.practices.slice(0, 1).map((each) => ({
          ...each,
          id,
          name: `Practice ${id}`,
          healthengine: each.healthengine && {
            ...each.healthengine,
            light: "down" as const,
            problem: { code: "partnerKeyRefused" as const, message: "", since: null },
          },
        })),
      );
      return {
        headline: "down",
        practices,
        attention: [{ kind: "healthengine", practiceId: "richmond", also: ["burnley", "perth"] }],
      };
    });
    const needs = region("Needs you");
    expect(
      await within(needs).findByText(/^Practice richmond, Practice burnley and Practice perth: /),
    ).toBeVisible();
    expect(within(needs).getAllByRole("listitem")).toHaveLength(1);
    await user.click(within(needs).getByRole("button", { name: /^Open/ }));
    expect(app.screen).toBe("connections");
    expect(app.linking).toEqual({ kind: "list" });
  });

  it("says what became of the records, and that a silent program has to be restarted", async () => {
    const { fake } = await open("healthy");
    const message = "Nothing has been heard from Healthengine since 10:12. Restart Clinic Companion.";
    fake.push((view) => ({
      headline: "down",
      notices: [{ code: "storeDamaged", message: "moved aside to companion.db.damaged-1", since: null }],
      attention: [{ kind: "healthengine", practiceId: "richmond", also: [] }],
      practices: view.practices.map((each) => ({
        ...each,
        healthengine: each.healthengine && {
          ...each.healthengine,
          light: "down",
          problem: { code: "engineStopped", message, since: null },
        },
      })),
    }));
    expect(await screen.findByText("moved aside to companion.db.damaged-1")).toBeVisible();
    expect(screen.getAllByText(message)[0]).toBeVisible();
  });
});

describe("the window", () => {
  it("takes a newer view and drops an older one", async () => {
    const { fake, app } = await open("healthy");
    fake.push(() => ({ headline: "catchingUp" }));
    expect(await screen.findByRole("heading", { level: 1, name: /Catching up/ })).toBeVisible();
    app.take({ ...fake.view, revision: 1, headline: "down" });
    expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Catching up.");
  });

  it("says aloud that something needs a person", async () => {
    const { fake } = await open("healthy");
    const needing = SCENARIOS.decision().view;
    fake.push(() => ({
      headline: needing.headline,
      attention: needing.attention,
      openBookings: needing.openBookings,
    }));
    await vi.waitFor(() =>
      expect(document.querySelector("[aria-live=polite].hidden-words")).toHaveTextContent(
        "Something needs you.",
      ),
    );
    expect(screen.getByRole("button", { name: "Bookings, waiting for you: 1" })).toBeVisible();
  });

  it("goes to each screen by Alt and a digit, and puts the focus on its title", async () => {
    const { user } = await open("healthy");
    for (const [key, title] of [
      ["2", /^Today/],
      ["3", "Bookings"],
      ["4", "Patients"],
      ["5", "Connections"],
      ["6", "Settings"],
      ["1", /in step/],
    ] as const) {
      await user.keyboard(`{Alt>}[Digit${key}]{/Alt}`);
      const heading = screen.getByRole("heading", { level: 1, name: title });
      await vi.waitFor(() => expect(heading).toHaveFocus());
    }
  });

  it("has a skip link before everything else", async () => {
    const { user } = await open("healthy");
    await user.tab();
    expect(screen.getByRole("link", { name: "Skip to the content" })).toHaveFocus();
    await user.keyboard("{Enter}");
    expect(screen.getByRole("main")).toHaveFocus();
  });

  it.each(Object.keys(SCENARIOS) as ScenarioName[])("names every control in “%s”", async (name) => {
    const { user } = await open(name);
    for (const digit of ["1", "2", "3", "4"]) {
      await user.keyboard(`{Alt>}[Digit${digit}]{/Alt}`);
      expect(screen.getAllByRole("heading", { level: 1 })).toHaveLength(1);
      for (const role of ["button", "textbox", "checkbox", "combobox", "searchbox", "radio"]) {
        for (const control of screen.queryAllByRole(role)) expect(control).toHaveAccessibleName();
      }
    }
  });
});
