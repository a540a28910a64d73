import { mount } from "svelte";

import "./app.css";
import App from "./App.svelte";
import { AppState } from "./app.svelte";
import { openBackend } from "./backend";
import QuickOpen from "./QuickOpen.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("The page has no place for the screens.");
const backend = await openBackend();
// The small search box is a window of its own.
if (new URLSearchParams(window.location.search).has("quick"))
  mount(QuickOpen, { target, props: { backend } });
else mount(App, { target, props: { app: new AppState(backend) } });
