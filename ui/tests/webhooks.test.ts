import { screen } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import type { WebhooksView } from "../src/backend";
import { failedDeliveries, listenerState, webhooks, webhooksLight } from "../src/words";
import { go, open, plain } from "./helpers";

const ZONE = "Australia/Melbourne";
const NOW = Date.parse("2026-11-19T21:52:12.000Z");

function text(): string {
  return plain(screen.getByRole("main").textContent);
}

describe("webhooks on Connections", () => {
  it("are not mentioned where there is no public address", async () => {
    const { user } = await open("healthy");
    await go(user, "Connections");
    expect(text()).not.toContain("Webhooks");
  });

  it("say when the last one arrived, and where the proxy has to lead", async () => {
    const { user, fake } = await open("webhooks");
    await go(user, "Connections");
    expect(text()).toContain("Bookings are announced at once. We ask Healthengine every 1 h.");
    expect(text()).toContain("Last delivery today 8:42 am.");
    expect(text()).not.toContain("0f3c9a51");
    await user.click(screen.getByRole("button", { name: /^Show where the proxy/ }));
    expect(fake.asked.at(-1)).toEqual({ command: "webhookAddress", with: ["richmond", false] });
    expect(
      await screen.findByText(
        "https://hooks.richmond-physio.example/0f3c9a517be24d0886a2c4e1f95d7b3a60c8e214",
      ),
    ).toBeVisible();
    expect(screen.getByText("http://127.0.0.1:8765")).toBeVisible();
    await user.click(screen.getByRole("button", { name: /^Hide where the proxy/ }));
    expect(text()).not.toContain("0f3c9a51");
  });

  it("say since when they are silent and what failed, newest first", async () => {
    const { user } = await open("webhooks-silent");
    await go(user, "Connections");
    expect(text()).toContain("Silent since 8:30 am: a booking was found by asking.");
    expect(text()).toContain("We ask Healthengine every 5 s. Nothing is lost.");
    const said = text();
    expect(said).toContain("3 deliveries failed since yesterday 12:52 pm, the last today 8:31 am: time-out");
    expect(said.indexOf("3 deliveries")).toBeLessThan(said.indexOf("1 delivery failed"));
  });

  it("are given a public address on the linking screen", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Connections");
    await user.click(screen.getByRole("button", { name: "Change Healthengine of Richmond Physiotherapy" }));
    await user.click(screen.getByRole("button", { name: /Your Healthengine practice/ }));
    await user.click(screen.getByText(/^For your IT/));
    await user.type(
      screen.getByRole("textbox", { name: "Public address for webhooks" }),
      "https://hooks.example",
    );
    await user.click(screen.getByRole("button", { name: "Test" }));
    await screen.findByText(/accepts these keys/, { selector: "p *" });
    const sent = fake.asked.findLast((each) => each.command === "testHealthengine");
    expect(sent?.with[1]).toMatchObject({ webhookUrl: "https://hooks.example" });
  });
});

describe("the listener in Settings", () => {
  it("is off, is switched on with what is offered, and off again", async () => {
    const { user, fake } = await open("healthy");
    await go(user, "Settings");
    expect(screen.queryByRole("textbox", { name: "Address on this PC" })).toBeNull();
    await user.click(screen.getByRole("checkbox", { name: "Receive webhooks" }));
    expect(screen.getByRole("textbox", { name: "Address on this PC" })).toHaveValue("127.0.0.1:8765");
    await user.click(screen.getByRole("button", { name: "Save" }));
    expect(await screen.findByText("Saved.")).toBeVisible();
    const saved = () => fake.asked.findLast((each) => each.command === "changeSettings")?.with[0];
    expect(saved()).toMatchObject({
      listener: { address: "127.0.0.1:8765", checkSources: true, sources: { length: 3 } },
    });
    expect(screen.getByRole("button", { name: "Save" })).toBeDisabled();
    await user.click(screen.getByRole("checkbox", { name: "Receive webhooks" }));
    await user.click(screen.getByRole("button", { name: "Save" }));
    expect(saved()).toMatchObject({ listener: null });
  });

  it("warns of an address that others can reach, and counts whom it turned away", async () => {
    const { user } = await open("webhooks-silent");
    await go(user, "Settings");
    expect(text()).toContain("Other computers can connect to this address.");
    expect(text()).toContain("14 deliveries turned away since the start");
  });
});

describe("words about webhooks", () => {
  const value = (state: WebhooksView["state"]): WebhooksView => ({
    state,
    askedEvery: 5,
    lastDeliveryAt: null,
    subscribedUntil: null,
    failed: [],
  });

  it.each<[WebhooksView["state"], string, string]>([
    [{ kind: "listenerOff" }, "attention", "switch that on in Settings"],
    [{ kind: "notReceiving", message: "Port 8765 is taken." }, "attention", "Port 8765 is taken."],
    [{ kind: "notSubscribed", message: null }, "unknown", "is being asked to send them"],
    [{ kind: "notSubscribed", message: "No consent." }, "unknown", "No consent."],
    [{ kind: "unproven" }, "unknown", "with the next booking"],
    [{ kind: "reliable" }, "ok", "announced at once"],
    [{ kind: "silent", since: "2026-11-19T21:30:00Z" }, "attention", "Silent since 8:30 am"],
  ])("of %o", (state, light, sentence) => {
    expect(webhooksLight(value(state))).toBe(light);
    expect(plain(webhooks(value(state), ZONE).sentence)).toContain(sentence);
    expect(plain(webhooks(value(state), ZONE).sentence)).toContain("We ask Healthengine every 5 s.");
  });

  it("count failures with and without a reason", () => {
    const one = { count: 1, firstAt: "2026-11-19T21:30:00Z", lastAt: "2026-11-19T21:30:00Z", why: "" };
    expect(plain(failedDeliveries(one, ZONE, NOW))).toBe("1 delivery failed today 8:30 am");
  });

  it("say nothing of a listener that is well", () => {
    const chosen = { address: "127.0.0.1:8765", sources: [], checkSources: true };
    expect(listenerState({ chosen, openToOthers: false, problem: null, wrongSources: 0 })).toEqual([]);
  });
});
