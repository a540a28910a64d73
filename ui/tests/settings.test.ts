import { screen } from "@testing-library/svelte";
import { describe, expect, it } from "vitest";

import { go, open } from "./helpers";

async function openSettings(name: Parameters<typeof open>[0]) {
  const opened = await open(name);
  await go(opened.user, "Settings");
  return opened;
}

describe("settings", () => {
  it("save what was changed, all at once", async () => {
    const { user, fake } = await openSettings("healthy");
    expect(screen.getByRole("button", { name: "Save" })).toBeDisabled();
    await user.click(screen.getByRole("checkbox", { name: /Start with this PC/ }));
    const minutes = screen.getByRole("textbox", { name: "Minutes to decide" });
    await user.clear(minutes);
    await user.type(minutes, "5");
    await user.selectOptions(screen.getByRole("combobox", { name: "How much they say" }), "Problems only");
    await user.click(screen.getByRole("button", { name: "Save" }));
    expect(fake.asked.at(-1)).toEqual({
      command: "changeSettings",
      with: [
        {
          autostart: false,
          retentionDays: 30,
          minutesToDecide: 5,
          logLevel: "warn",
          listener: null,
          quickOpenKeys: "Ctrl+Alt+V",
        },
      ],
    });
    expect(await screen.findByText("Saved.")).toBeVisible();
  });

  it.each(["", "0", "10", "8.5", "eight"])("refuse “%s” minutes", async (typed) => {
    const { user } = await openSettings("healthy");
    const minutes = screen.getByRole("textbox", { name: "Minutes to decide" });
    await user.clear(minutes);
    if (typed) await user.type(minutes, typed);
    expect(screen.getByText("A whole number from 1 to 9.")).toBeVisible();
    expect(screen.getByRole("button", { name: "Save" })).toBeDisabled();
  });

  it("open and export the logs", async () => {
    const { user, fake } = await openSettings("healthy");
    await user.click(screen.getByRole("button", { name: "Open the folder" }));
    expect(fake.asked.at(-1)?.command).toBe("openLogsFolder");
    await user.click(screen.getByRole("button", { name: "Export as one file" }));
    expect(await screen.findByText(/Written to .*clinic-companion-logs\.zip/)).toBeVisible();
  });

  it("say why the logs could not be exported", async () => {
    const { user } = await openSettings("list-error");
    await user.click(screen.getByRole("button", { name: "Export as one file" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("This computer’s disk is full.");
  });

  it("take the keys of quick open by pressing them, and let them be cleared", async () => {
    const { user, fake } = await openSettings("healthy");
    const keys = screen.getByRole("textbox", { name: "Keys of quick open" });
    expect(keys).toHaveValue("Ctrl+Alt+V");
    await user.click(keys);
    await user.keyboard("{Shift>}h{/Shift}");
    expect(
      screen.getByText("Shift+H alone is needed by other programs. Hold Ctrl or Alt with it."),
    ).toBeVisible();
    expect(keys).toHaveValue("Ctrl+Alt+V");
    await user.keyboard("{Control>}{Shift>}h{/Shift}{/Control}");
    expect(keys).toHaveValue("Ctrl+Shift+H");
    await user.click(screen.getByRole("button", { name: "Save" }));
    expect(fake.asked.at(-1)).toMatchObject({
      command: "changeSettings",
      with: [{ quickOpenKeys: "Ctrl+Shift+H" }],
    });
    await user.click(screen.getByRole("button", { name: "Clear Keys of quick open" }));
    expect(keys).toHaveValue("");
    expect(keys).toHaveFocus();
    await user.tab();
    expect(keys).not.toHaveFocus();
    await user.click(screen.getByRole("button", { name: "Save" }));
    expect(fake.asked.at(-1)).toMatchObject({ command: "changeSettings", with: [{ quickOpenKeys: "" }] });
  });

  it("choose keys with Alt and a digit without leaving for another screen", async () => {
    const { user, app } = await openSettings("healthy");
    await user.click(screen.getByRole("textbox", { name: "Keys of quick open" }));
    await user.keyboard("{Alt>}1{/Alt}");
    expect(screen.getByRole("textbox", { name: "Keys of quick open" })).toHaveValue("Alt+1");
    expect(app.screen).toBe("settings");
  });

  it("say why the keys do not work, until others are chosen", async () => {
    const { user, fake } = await openSettings("healthy");
    const problem = "Ctrl+Alt+V could not be registered, most likely because another program has these keys.";
    fake.push((view) => ({ settings: { ...view.settings, quickOpenProblem: problem } }));
    expect(await screen.findByText(problem)).toBeVisible();
    const keys = screen.getByRole("textbox", { name: "Keys of quick open" });
    expect(keys).toBeInvalid();
    await user.click(keys);
    await user.keyboard("{Control>}{Alt>}k{/Alt}{/Control}");
    expect(keys).toHaveValue("Ctrl+Alt+K");
    expect(screen.queryByText(problem)).toBeNull();
  });

  it("export what left this PC, and say why they could not", async () => {
    const { user, fake } = await openSettings("healthy");
    const button = screen.getByRole("button", { name: "Export what left this PC" });
    await user.click(button);
    expect(await screen.findByText(/Written to .*what-left\.csv/)).toBeVisible();
    fake.commands.exportAudit = () =>
      Promise.resolve({ status: "error", error: { code: "diskFull", message: "" } });
    await user.click(button);
    expect(await screen.findByRole("alert")).toHaveTextContent("This computer’s disk is full.");
    expect(screen.queryByText(/what-left\.csv/)).toBeNull();
  });
});
