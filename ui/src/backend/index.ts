// The seam between the screens and the program: the only importer of `@tauri-apps` and of the generated bindings.
import { commands, events, type AppView, type UiError } from "./bindings";

export type * from "./bindings";

/** Everything the screens may ask, exactly as the program declares it. */
export type Commands = typeof commands;

/** What a command answers. */
export type Answer<T> = { status: "ok"; data: T } | { status: "error"; error: UiError };

/** The program, or the fake one. */
export interface Backend {
  commands: Commands;
  /** Calls back with every pushed view; resolves to the function that ends it. */
  onViewChanged(listener: (view: AppView) => void): Promise<() => void>;
}

const program: Backend = {
  commands,
  onViewChanged: (listener) => events.viewChanged.listen((event) => listener(event.payload)),
};

/** The fake one exists only in the fake build; the condition is settled while building. */
export async function openBackend(): Promise<Backend> {
  if (import.meta.env.MODE === "fake") {
    const { fakeFromAddress } = await import("./fake");
    return fakeFromAddress(window.location.search);
  }
  return program;
}
