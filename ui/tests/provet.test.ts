import { screen, within } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import type { RegistrationView } from "../src/backend";
import { go, open, plain } from "./helpers";

const REGISTRATION: RegistrationView = {
  id: "made-up-digest",
  receivedAt: "2026-11-20T02:00:00.000Z",
  host: "https://us.provetcloud.com",
  provetId: "9999",
  clientId: "made-up-client",
  practice: null,
};

async function toForm() {
  const opened = await open("empty");
  await go(opened.user, "Connections");
  await opened.user.click(screen.getByRole("button", { name: "Link your practice" }));
  await opened.user.type(screen.getByRole("textbox", { name: "Name" }), "Harbour Vets");
  await opened.user.selectOptions(screen.getByRole("combobox"), "Hobart");
  await opened.user.click(screen.getByRole("button", { name: "Continue" }));
  await opened.user.click(screen.getByRole("radio", { name: /^Provet Cloud/ }));
  return opened;
}

async function withRegistration(changes: Partial<RegistrationView> = {}) {
  const opened = await open("empty");
  opened.fake.push(() => ({ registrations: [{ ...REGISTRATION, ...changes }] }));
  await go(opened.user, "Connections");
  const row = within(await screen.findByRole("region", { name: "Registration of Provet Cloud" }));
  return { ...opened, row };
}

describe("a practice at Provet Cloud", () => {
  it("is tried with what was typed, and a number that is none is said at the field", async () => {
    const { user, fake } = await toForm();
    const test = screen.getByRole("button", { name: "Test" });
    expect(test).toBeDisabled();
    await user.type(screen.getByRole("textbox", { name: "Provet id" }), "99x");
    expect(screen.getByText("A number, such as 9999.")).toBeVisible();
    await user.clear(screen.getByRole("textbox", { name: "Provet id" }));
    await user.type(screen.getByRole("textbox", { name: "Provet id" }), "9999");
    await user.type(screen.getByRole("textbox", { name: "Client id" }), "made-up-client");
    await user.type(screen.getByLabelText("Client secret", { selector: "input" }), "made-up");
    await user.click(test);
    const asked = fake.asked.find((each) => each.command === "testPracticeSystem");
    expect(asked?.with[1]).toMatchObject({
      profile: "provet",
      password: "made-up",
      registration: null,
      address: {
        engine: "provet",
        host: "https://provetcloud.com",
        provetId: "9999",
        clientId: "made-up-client",
        webhookUrl: "",
      },
    });
  });

  it("is filled in from a registration that is pasted, and what is wrong with one is said", async () => {
    const { user } = await toForm();
    await user.click(screen.getByText(/^Paste the registration/));
    const text = screen.getByRole("textbox", { name: "Registration" });
    await user.click(text);
    await user.paste('{"client_id": "x"}');
    await user.click(screen.getByRole("button", { name: "Fill in the form" }));
    expect(await screen.findByText(/"provet_id" is missing/)).toBeInTheDocument();
    await user.clear(text);
    await user.click(text);
    await user.paste('{"provet_id": 9999, "client_secret": "made-up"}');
    await user.click(screen.getByRole("button", { name: "Fill in the form" }));
    expect(await screen.findByDisplayValue("a-client")).toBeVisible();
    expect(screen.getByLabelText("Client secret", { selector: "input" })).toHaveValue("made-up");
    expect(text).toHaveValue("");
  });

  it("shows where Provet may send a registration to", async () => {
    const { user, fake } = await toForm();
    await user.click(screen.getByText(/^For your IT: let Provet/));
    const show = screen.getByRole("button", { name: /^Show where Provet may send/ });
    expect(show).toBeDisabled();
    await user.type(screen.getByRole("textbox", { name: "Public address" }), "https://clinic.example/hook");
    await user.click(show);
    expect(await screen.findByText(/^https:\/\/clinic\.example\/hook\/[0-9a-f]{40}$/)).toBeVisible();
    expect(fake.asked.at(-1)).toEqual({ command: "hookupAddress", with: ["https://clinic.example/hook"] });
  });
});

describe("a registration that came in", () => {
  it("says whose it is, and the form begins with it", async () => {
    const { user, fake, row } = await withRegistration();
    expect(row.getByText("https://us.provetcloud.com/9999/")).toBeVisible();
    expect(row.getByText("made-up-client")).toBeVisible();
    await user.click(row.getByRole("button", { name: "Accept" }));
    await user.type(await screen.findByRole("textbox", { name: "Name" }), "Harbour Vets");
    await user.selectOptions(screen.getByRole("combobox"), "Hobart");
    await user.click(screen.getByRole("button", { name: "Continue" }));
    expect(screen.getByRole("textbox", { name: "Provet id" })).toHaveValue("9999");
    expect(screen.getByLabelText("Client secret", { selector: "input" })).toHaveValue("");
    await user.click(screen.getByRole("button", { name: "Test" }));
    const asked = fake.asked.find((each) => each.command === "testPracticeSystem");
    expect(asked?.with[1]).toMatchObject({ registration: "made-up-digest", password: "" });
  });

  it("is forgotten when it is refused", async () => {
    const { user, fake, row } = await withRegistration();
    await user.click(row.getByRole("button", { name: "Refuse" }));
    expect(fake.asked.at(-1)).toEqual({ command: "refuseRegistration", with: ["made-up-digest"] });
    expect(screen.queryByRole("region", { name: "Registration of Provet Cloud" })).toBeNull();
  });

  it("renews the credentials of the practice that is linked", async () => {
    const { user, row } = await withRegistration({ practice: "Harbour Vets" });
    expect(plain(row.getByText(/would go on/).textContent)).toContain("Harbour Vets");
    await user.click(row.getByRole("button", { name: "Accept" }));
    expect(screen.queryByRole("region", { name: "Registration of Provet Cloud" })).toBeNull();
  });
});
