import { mount } from "svelte";

import "./app.css";
import App from "./App.svelte";
import { AppState } from "./app.svelte";
import { openBackend } from "./backend";

const target = document.getElementById("app");
if (!target) throw new Error("The page has no place for the screens.");
const app = new AppState(await openBackend());
mount(App, { target, props: { app } });
