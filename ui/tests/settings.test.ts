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
});
