import { render, screen } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";

import App from "../src/App.svelte";
import { AppState } from "../src/app.svelte";
import { FakeBackend } from "../src/backend/fake";
import type { ScenarioName } from "../src/backend/scenarios";

/** The whole window on a scenario, with the fake backend and a person at the keyboard. */
export async function open(name: ScenarioName) {
  const fake = new FakeBackend(name);
  const app = new AppState(fake);
  const user = userEvent.setup();
  const page = render(App, { props: { app } });
  // Without a view the window shows its own name.
  const shown = name === "loading" || name === "error" ? "Clinic Companion" : /^(?!Clinic Companion)/;
  await screen.findByRole("heading", { level: 1, name: shown });
  return { fake, app, user, page };
}

/** Goes to a screen as a person does. */
export async function go(user: ReturnType<typeof userEvent.setup>, name: string) {
  await user.click(screen.getByRole("button", { name: new RegExp(`^${name}`) }));
}

/** Non-breaking spaces are for the eye; tests read plain ones. */
export function plain(text: string | null | undefined): string {
  return (text ?? "")
    .replace(/\u00a0/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}
