import { screen, within } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import { go, open, plain } from "./helpers";

type Opened = Awaited<ReturnType<typeof open>>;

async function openConnections(name: Parameters<typeof open>[0]) {
  const opened = await open(name);
  await go(opened.user, "Connections");
  return opened;
}

/** What stands on the screen, without what is said aloud beside it. */
function main() {
  return within(screen.getByRole("main"));
}
function field(name: string) {
  return screen.getByRole("textbox", { name });
}
/** Fields for secrets have no role of their own. */
function secret(name: string) {
  return screen.getByLabelText(name, { selector: "input" });
}
async function press({ user }: Opened, name: string) {
  await user.click(screen.getByRole("button", { name }));
}

async function toSystem(opened: Opened) {
  await press(opened, "Link your practice");
  await opened.user.type(field("Name"), "Burnley Hand Therapy");
  await opened.user.selectOptions(screen.getByRole("combobox"), "Hobart");
  await press(opened, "Continue");
  await opened.user.click(screen.getByRole("radio", { name: /^OpenEMR/ }));
}
async function fillSystem(opened: Opened, host: string, account: string, password: string) {
  await opened.user.type(field("Server"), host);
  await opened.user.type(field("Database"), "openemr");
  await opened.user.type(field("Database account"), account);
  await opened.user.type(secret("Password"), password);
}

describe("linking a practice", () => {
  it("goes step by step, tests before it saves, and starts", async () => {
    const opened = await openConnections("empty");
    const { user, fake } = opened;
    await toSystem(opened);
    expect(screen.getByRole("button", { name: "Test" })).toBeDisabled();
    await fillSystem(opened, "reception-server", "companion", "made-up");
    await press(opened, "Test");
    expect(
      await main().findByText(/6 practitioners, 2 locations, 9 appointment types, 14,310 patients/),
    ).toBeVisible();
    await user.click(screen.getByRole("checkbox", { name: "Burnley" }));
    await user.click(screen.getByRole("radio", { name: /^Read and write/ }));
    await press(opened, "Continue");

    await user.type(field("Practice id"), "1234567");
    await user.type(secret("Practice key"), "made-up");
    await user.type(secret("API key"), "made-up");
    await user.type(field("Contact e-mail"), "desk@example.com.au");
    await press(opened, "Test");
    expect(await main().findByText(/Healthengine accepts these keys/)).toBeVisible();
    await press(opened, "Continue");

    expect(screen.getByText("Dr Mei Lee")).toBeVisible();
    await press(opened, "Continue");

    const from = screen.getByRole("textbox", { name: "Monday from" });
    await user.clear(from);
    await user.type(from, "7.30");
    await user.tab();
    await press(opened, "Monday to Friday");
    await press(opened, "Continue");
    expect(plain(screen.getByRole("main").textContent)).toContain("Mon–Fri 7:30 am to 6:00 pm");
    await press(opened, "Start");

    const sent = fake.asked.findLast((each) => each.command === "linkPractice");
    expect(sent?.with[0]).toMatchObject({
      name: "Burnley Hand Therapy",
      timeZone: "Australia/Hobart",
      system: {
        profile: "openemr",
        address: {
          engine: "mysql",
          host: "reception-server",
          port: 3306,
          user: "companion",
          database: "openemr",
        },
        password: "made-up",
        write: true,
        locations: ["3"],
        documentsIn: "",
        documentsOut: "",
      },
      healthengine: {
        practiceId: "1234567",
        practiceKey: "made-up",
        apiKey: "made-up",
        baseUrl: null,
        contactEmail: "desk@example.com.au",
        environment: "PROD",
        horizonDays: 60,
        features: [],
      },
      liveHours: { friday: [{ start: "07:30", end: "18:00" }], sunday: [] },
    });
    expect(await screen.findByRole("heading", { level: 1, name: /Catching up/ })).toBeVisible();
  });

  it("says in words why the practice system cannot be reached, and forgets a test after a change", async () => {
    const opened = await openConnections("empty");
    await toSystem(opened);
    await fillSystem(opened, "nowhere", "companion", "made-up");
    await press(opened, "Test");
    expect(await screen.findByRole("alert")).toHaveTextContent("Your practice system does not answer.");
    await opened.user.clear(field("Server"));
    await opened.user.type(field("Server"), "reception-server");
    expect(screen.queryByRole("alert")).toBeNull();
    await press(opened, "Test");
    await main().findByText(/14,310 patients/);
    await opened.user.type(field("Database"), "2");
    expect(main().queryByText(/14,310 patients/)).toBeNull();
    expect(screen.queryByRole("button", { name: "Continue" })).toBeNull();
  });

  it("takes an API for documents where the profile knows one, and says at once what is wrong with it", async () => {
    const opened = await openConnections("empty");
    const { user, fake } = opened;
    await toSystem(opened);
    await fillSystem(opened, "reception-server", "companion", "made-up");
    await user.click(screen.getByText("For your IT: ways for documents"));
    expect(screen.queryByRole("textbox", { name: "Client id" })).toBeNull();
    await user.type(field("Instead of a folder: OpenEMR’s own API"), "https://emr.example.com/openemr");
    await user.type(field("Client id"), "a-client");
    await user.type(secret("Client secret"), "wrong");
    await user.type(field("User"), "files");
    await user.type(secret("The user’s password"), "made-up");
    await press(opened, "Test");
    expect(await main().findByText(/does not take the client id/)).toBeVisible();
    const sent = fake.asked.findLast((each) => each.command === "testPracticeSystem");
    expect(sent?.with[1]).toMatchObject({
      documentsApi: {
        url: "https://emr.example.com/openemr",
        site: "",
        clientId: "a-client",
        clientSecret: "wrong",
        user: "files",
        password: "made-up",
        category: "",
      },
    });
    await user.click(screen.getByRole("radio", { name: /^Demo clinic/ }));
    expect(screen.queryByRole("textbox", { name: /own API/ })).toBeNull();
  });

  it("puts a refused password at its field", async () => {
    const opened = await openConnections("empty");
    await toSystem(opened);
    await fillSystem(opened, "reception-server", "companion", "wrong");
    await press(opened, "Test");
    expect(await main().findByText(/refuses this user name or password/)).toBeVisible();
    expect(secret("Password")).toHaveAttribute("aria-invalid", "true");
  });

  it("says at linking that an account may only read, with the rights that are missing", async () => {
    const opened = await openConnections("empty");
    await toSystem(opened);
    await fillSystem(opened, "reception-server", "reader", "made-up");
    await press(opened, "Test");
    expect(await main().findByText(/This account may only read/)).toBeVisible();
    expect(screen.getByLabelText("Rights for your IT")).toHaveTextContent("GRANT INSERT, UPDATE");
    expect(screen.getByRole("radio", { name: /^Read and write/ })).toBeDisabled();
    expect(screen.getByRole("radio", { name: /^Read only/ })).toBeChecked();
    expect(screen.getByRole("button", { name: "Continue" })).toBeEnabled();
  });

  it("tells a wrong API key (401) and a missing consent (403) apart, each at its field", async () => {
    const opened = await openConnections("empty");
    const { user } = opened;
    await toSystem(opened);
    await fillSystem(opened, "reception-server", "companion", "made-up");
    await press(opened, "Test");
    await main().findByText(/14,310 patients/);
    await press(opened, "Continue");
    await user.type(field("Practice id"), "1234567");
    await user.type(secret("Practice key"), "wrong");
    await user.type(secret("API key"), "made-up");
    await user.type(field("Contact e-mail"), "desk@example.com.au");
    await press(opened, "Test");
    expect(await main().findByText(/no consent of your practice/)).toBeVisible();
    expect(secret("Practice key")).toHaveAttribute("aria-invalid", "true");
    expect(secret("API key")).not.toHaveAttribute("aria-invalid");

    await user.clear(secret("API key"));
    await user.type(secret("API key"), "wrong");
    await press(opened, "Test");
    expect(await main().findByText(/does not know this API key/)).toBeVisible();
    expect(secret("API key")).toHaveAttribute("aria-invalid", "true");
    expect(secret("Practice key")).not.toHaveAttribute("aria-invalid");
  });

  it("can leave Healthengine for later", async () => {
    const opened = await openConnections("empty");
    await press(opened, "Link your practice");
    await opened.user.type(field("Name"), "Demo");
    await press(opened, "Continue");
    await opened.user.click(screen.getByRole("radio", { name: /^Demo clinic/ }));
    await press(opened, "Test");
    await main().findByText(/14,310 patients/);
    await press(opened, "Continue");
    await press(opened, "Link Healthengine later");
    await press(opened, "Continue");
    await press(opened, "Continue");
    await press(opened, "Start");
    const sent = opened.fake.asked.findLast((each) => each.command === "linkPractice");
    expect(sent?.with[0]).toMatchObject({
      system: { address: { engine: "sqlite", path: "" } },
      healthengine: null,
    });
  });

  it("shows a profile’s mistake with its line, and does not let it be chosen", async () => {
    const opened = await openConnections("empty");
    await toSystem(opened);
    expect(screen.getByText(/line 14, column 9/)).toBeVisible();
    expect(screen.getByRole("radio", { name: /^frontdesk/ })).toBeDisabled();
  });

  it("does not go on with hours that cannot be", async () => {
    const opened = await openConnections("healthy");
    await opened.user.click(
      screen.getByRole("button", { name: "Change Healthengine of Richmond Physiotherapy" }),
    );
    await opened.user.click(screen.getByRole("button", { name: "Change: When this PC is on" }));
    const until = screen.getByRole("textbox", { name: "Monday to" });
    await opened.user.clear(until);
    await opened.user.type(until, "6 am");
    await opened.user.tab();
    expect(await main().findByText("The end must come after the start.")).toBeVisible();
    expect(screen.getByRole("button", { name: "Continue" })).toBeDisabled();
  });
});

describe("linked practices", () => {
  it("are changed without typing their secrets again", async () => {
    const opened = await openConnections("healthy");
    await opened.user.click(
      screen.getByRole("button", { name: "Change the practice system of Richmond Physiotherapy" }),
    );
    await press(opened, "Change: Your practice");
    await opened.user.clear(field("Name"));
    await opened.user.type(field("Name"), "Richmond Physio");
    await press(opened, "Continue");
    await press(opened, "Save the changes");
    const sent = opened.fake.asked.findLast((each) => each.command === "updatePractice");
    expect(sent?.with).toMatchObject([
      "richmond",
      {
        name: "Richmond Physio",
        system: { password: null, write: true },
        healthengine: { practiceKey: null, apiKey: null },
      },
    ]);
    expect(await screen.findByRole("region", { name: "Richmond Physio" })).toBeVisible();
  });

  it("must be tested again once their address was changed", async () => {
    const opened = await openConnections("healthy");
    await opened.user.click(
      screen.getByRole("button", { name: "Change the practice system of Richmond Physiotherapy" }),
    );
    await press(opened, "Change: Your practice system");
    await opened.user.type(field("Server"), "2");
    await press(opened, "Open: Review");
    expect(screen.getByText("Not tested since it was changed.")).toBeVisible();
    expect(screen.getByRole("button", { name: "Save the changes" })).toBeDisabled();
  });

  it("are unlinked after one question", async () => {
    const opened = await openConnections("healthy");
    await press(opened, "Unlink…");
    await press(opened, "Keep it");
    expect(opened.fake.asked.some((each) => each.command === "unlinkPractice")).toBe(false);
    await press(opened, "Unlink…");
    await press(opened, "Unlink Richmond Physiotherapy");
    expect(await main().findByText("No practice is linked yet")).toBeVisible();
  });

  it("ask before a list that shrank is sent", async () => {
    const opened = await openConnections("shrunk");
    expect(screen.getByText(/Ana Petrović, Jo O’Brien, Zoë Wärn and Room 2/)).toBeVisible();
    await press(opened, "They have left");
    await press(opened, "Send the shorter list");
    expect(opened.fake.asked.at(-1)).toEqual({
      command: "decideShrunkList",
      with: ["richmond", "resources", "sendShorter"],
    });
    expect(main().queryByText(/Ana Petrović, Jo/)).toBeNull();
  });

  it("ask before so many consents are withdrawn", async () => {
    const opened = await openConnections("consents-gone");
    expect(screen.getByText(/has 4 consents for VALD Hub left; it had 310/)).toBeVisible();
    expect(screen.getByText(/record 19 and record 20 and 286 more/)).toBeVisible();
    expect(main().queryByRole("button", { name: "Look again" })).toBeNull();
    await press(opened, "They withdrew");
    expect(screen.getByText(/306 consents count as withdrawn/)).toBeVisible();
    await press(opened, "Withdraw them");
    expect(opened.fake.asked.at(-1)).toEqual({
      command: "decideShrunkList",
      with: ["richmond", "consents", "sendShorter"],
    });
    expect(main().queryByText(/it had 310/)).toBeNull();
  });

  it("show what is wrong with a leg", async () => {
    await openConnections("revoked");
    const sheet = screen.getByRole("region", { name: "Richmond Physiotherapy" });
    expect(within(sheet).getByText(/no consent of your practice/)).toBeVisible();
  });
});

describe("extra features of Healthengine", () => {
  it("are said to be on, or why not", async () => {
    await openConnections("healthy");
    expect(screen.getByText(/Documents from patients:/)).toHaveTextContent("Documents from patients: on");
    expect(screen.getByText(/Documents for patients:/)).toHaveTextContent("needs a folder");
    expect(screen.queryByText(/Days with their patients:/)).toBeNull();
  });
});
