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

describe("a person who signs in to Provet Cloud", () => {
  async function filledIn(clientId = "made-up-client") {
    const opened = await toForm();
    const { user } = opened;
    await user.type(screen.getByRole("textbox", { name: "Provet id" }), "9999");
    await user.type(screen.getByRole("textbox", { name: "Client id" }), clientId);
    expect(screen.queryByRole("textbox", { name: "Address for coming back" })).toBeNull();
    await user.click(screen.getByRole("radio", { name: /^Sign in as me/ }));
    return opened;
  }

  it("chooses that, sees the address to register, signs in, and is told every right", async () => {
    const { user, fake } = await filledIn();
    expect(screen.getByRole("textbox", { name: "Address for coming back" })).toHaveValue(
      "http://127.0.0.1:47311/provet/signed-in",
    );
    await user.click(screen.getByRole("button", { name: "Test" }));
    expect((await screen.findAllByText(/Nobody is signed in to your practice system/))[0]).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Sign in at Provet Cloud" }));
    expect((await screen.findAllByText(/You are signed in\./))[0]).toBeVisible();
    const asked = fake.asked.findLast((each) => each.command === "signInToSystem");
    expect(asked?.with[1]).toMatchObject({
      password: "",
      address: { redirectUrl: "http://127.0.0.1:47311/provet/signed-in" },
    });
    await user.click(screen.getByRole("button", { name: /^(Test|Try again)$/ }));
    const rights = within(await screen.findByRole("list", { name: "What the account may do" }));
    expect(rights.getAllByRole("listitem")).toHaveLength(3);
    expect(plain(rights.getByText(/^We may read appointments/).textContent)).toContain(
      "so that bookings stand in your calendar",
    );
    expect(plain(rights.getByText(/^We may not read shifts/).textContent)).toContain("“Calendar: Shifts”");
  });

  it("is told where the sign-in was declined, and whoever types another account signs in anew", async () => {
    const { user } = await filledIn("declines");
    await user.click(screen.getByRole("button", { name: "Sign in at Provet Cloud" }));
    expect(await screen.findByText(/declined in the browser/)).toBeInTheDocument();
    const client = screen.getByRole("textbox", { name: "Client id" });
    await user.clear(client);
    await user.type(client, "another");
    expect(screen.queryByText(/declined in the browser/)).toBeNull();
    await user.click(screen.getByRole("button", { name: "Sign in at Provet Cloud" }));
    expect(await screen.findByRole("button", { name: "Sign in again" })).toBeVisible();
    await user.type(client, "x");
    expect(screen.getByRole("button", { name: "Sign in at Provet Cloud" })).toBeVisible();
  });

  it("is led there by a registration that is for people", async () => {
    const { user } = await toForm();
    await user.click(screen.getByText(/^Paste the registration/));
    await user.click(screen.getByRole("textbox", { name: "Registration" }));
    await user.paste(
      '{"provet_id": 9999, "client_secret": null, "authorization_grant_type": "authorization-code"}',
    );
    await user.click(screen.getByRole("button", { name: "Fill in the form" }));
    expect(await screen.findByRole("textbox", { name: "Address for coming back" })).toHaveValue(
      "http://127.0.0.1:9000/back",
    );
    expect(screen.getByLabelText("Client secret", { selector: "input" })).toHaveValue("");
  });
});

describe("webhooks of the practice system", () => {
  it("stand on Connections with how they are doing and where they lead", async () => {
    const { user, fake } = await open("healthy");
    fake.push((view) => ({
      practices: view.practices.map((each) => ({
        ...each,
        system: {
          ...each.system,
          name: "Provet Cloud",
          webhooks: {
            state: { kind: "reliable" as const },
            askedEvery: 5,
            lastDeliveryAt: "2026-11-19T21:42:00.000Z",
            subscribedUntil: null,
            failed: [],
          },
        },
        setup: {
          ...each.setup,
          address: {
            engine: "provet" as const,
            host: "https://provetcloud.com",
            provetId: "9999",
            clientId: "a-client",
            webhookUrl: "https://hooks.harbour.example",
            redirectUrl: "",
          },
        },
      })),
    }));
    await go(user, "Connections");
    const text = plain(screen.getByRole("main").textContent);
    expect(text).toContain("Webhooks of Provet Cloud");
    expect(text).toContain("Changes are announced at once. We ask Provet Cloud every 5 s.");
    expect(text).toContain("Last delivery today 8:42 am.");
    await user.click(screen.getByRole("button", { name: /^Show where the proxy .* for Provet Cloud$/ }));
    expect(fake.asked.at(-1)).toEqual({ command: "webhookAddress", with: ["richmond", true] });
    expect(await screen.findByText(/^https:\/\/hooks\.harbour\.example\/[0-9a-f]{40}$/)).toBeVisible();
  });
});
