// The last view, as runes, and the way to ask for something. Nothing here decides anything.
import { getContext, setContext } from "svelte";

import type { Answer, AppView, Backend, Commands, PracticeView, SystemAddress, UiError } from "./backend";

export const SCREENS = ["overview", "today", "bookings", "patients", "connections", "settings"] as const;
export type ScreenName = (typeof SCREENS)[number];

/** What the linking screen shows: nothing, a new practice, the change of one, or its account with a partner. */
export type Linking =
  | { kind: "list" }
  | { kind: "new"; accepted?: { registration: string; address: SystemAddress } }
  | { kind: "change"; practiceId: string }
  | { kind: "vald"; practiceId: string }
  | { kind: "partner"; practiceId: string; partner: string };

export class AppState {
  /** The newest view; null until the first one came. */
  view = $state.raw<AppView | null>(null);
  /** Why there is no view. */
  failure = $state.raw<UiError | null>(null);
  /** The engine's clock, in milliseconds; it runs on between views. */
  now = $state(0);
  screen = $state<ScreenName>("overview");
  linking = $state.raw<Linking>({ kind: "list" });
  /** The booking that a row elsewhere asked to show. */
  wantedBooking = $state<string | null>(null);
  /** Whether this person asks for less motion: clocks then move in minutes. */
  readonly lessMotion = globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;
  /** The day beside Healthengine that the overview shows in its place: of which practice, beginning with whom. */
  day = $state.raw<{ practiceId: string; practitionerId: string } | null>(null);
  /** The patient whose card a row elsewhere asked to show. */
  wantedPatient = $state.raw<{ practiceId: string; patientId: string } | null>(null);
  /** Who records consent, remembered while the window is open. */
  recorder = $state("");
  /** Said aloud by screen readers. */
  spoken = $state("");

  readonly commands: Commands;
  readonly #backend: Backend;
  #aheadOfUs = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
    this.commands = backend.commands;
  }

  /** Listens first and asks then, so that no view is missed. Resolves to the function that ends it. */
  async start(): Promise<() => void> {
    const tick = setInterval(() => this.tick(), 500);
    let stopListening: (() => void) | undefined;
    try {
      stopListening = await this.#backend.onViewChanged((view) => this.take(view));
    } catch (error) {
      this.failure = asUiError(error);
    }
    await this.reload();
    return () => {
      clearInterval(tick);
      stopListening?.();
    };
  }

  async reload(): Promise<void> {
    const answer = await ask(this.commands.currentView());
    if (answer.status === "ok") {
      this.failure = null;
      this.take(answer.data);
    } else {
      this.failure = answer.error;
    }
  }

  take(view: AppView): void {
    if (this.view && view.revision < this.view.revision) return;
    this.view = view;
    this.failure = null;
    this.#aheadOfUs = Date.parse(view.now) - Date.now();
    this.tick();
  }

  tick(): void {
    this.now = Date.now() + this.#aheadOfUs;
  }

  go(screen: ScreenName): void {
    this.screen = screen;
    this.linking = { kind: "list" };
    this.wantedBooking = null;
    this.wantedPatient = null;
    this.day = null;
  }

  showPatient(practiceId: string, patientId: string): void {
    this.go("patients");
    this.wantedPatient = { practiceId, patientId };
  }

  showDay(practiceId: string, practitionerId: string): void {
    this.go("overview");
    this.day = { practiceId, practitionerId };
  }

  showBooking(practiceId: string, bookingId: string): void {
    this.go("bookings");
    this.wantedBooking = bookingName(practiceId, bookingId);
  }

  practice(id: string): PracticeView | undefined {
    return this.view?.practices.find((each) => each.id === id);
  }

  say(sentence: string): void {
    this.spoken = sentence;
  }
}

/** Names a booking on the page, over all practices. */
export function bookingName(practiceId: string, bookingId: string): string {
  return `${practiceId}-${bookingId}`;
}

/** A command that could not even be carried to the program is an error like any other. */
export async function ask<T>(question: Promise<Answer<T>>): Promise<Answer<T>> {
  try {
    return await question;
  } catch (error) {
    return { status: "error", error: asUiError(error) };
  }
}

function asUiError(error: unknown): UiError {
  return { code: "unknown", message: error instanceof Error ? error.message : String(error) };
}

/** One thing that a person asked for: at most one at a time, with its failure beside it. */
export class Errand {
  busy = $state(false);
  failure = $state.raw<UiError | null>(null);

  async run<T>(question: () => Promise<Answer<T>>): Promise<{ data: T } | null> {
    if (this.busy) return null;
    this.busy = true;
    this.failure = null;
    const answer = await ask(question());
    this.busy = false;
    if (answer.status === "ok") return { data: answer.data };
    this.failure = answer.error;
    return null;
  }

  clear(): void {
    this.failure = null;
  }
}

const KEY = Symbol("app");

export function provideApp(app: AppState): void {
  setContext(KEY, app);
}

export function useApp(): AppState {
  return getContext<AppState>(KEY);
}
