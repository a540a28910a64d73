import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/svelte";
import { afterEach } from "vitest";

// A failing test should show its own words, not the whole page.
configure({ getElementError: (message) => Object.assign(new Error(message ?? ""), { name: "NotFound" }) });
afterEach(() => cleanup());
