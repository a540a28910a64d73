//! The settings screen: autostart, retention, time to decide, logs.

use crate::desktop::Desk;
use crate::inputs;
use crate::quick_open;
use crate::ui_error::{bad_input, failure};
use crate::view::{ErrorCode, ListenerInput, LogLevel, SettingsInput, UiError};
use domain::ports::store::SettingsBook;
use domain::settings::{AppSettings, ListenerSettings};
use std::io::Write;
use std::path::{Path, PathBuf};
use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt;

/// Saves the settings and applies those that this process holds.
pub async fn change(app: &AppHandle, desk: &Desk, input: &SettingsInput) -> Result<(), UiError> {
    let running = desk.running()?;
    let settings = checked(input)?;
    desk.logging().set_level(&settings.log_level);
    let autostart = app.autolaunch();
    // Where the system cannot do it the screen does not offer it.
    if let Ok(on) = autostart.is_enabled()
        && on != input.autostart
    {
        let changed = if input.autostart { autostart.enable() } else { autostart.disable() };
        changed.map_err(|error| failure(ErrorCode::FileFailed, error.to_string()))?;
    }
    desk.quick_open().choose(app, &settings.quick_open_keys);
    // Last, since views ask about autostart again when the store has moved.
    running.store().save_app_settings(&settings).await?;
    running.engine.nudge(None);
    desk.look_again();
    Ok(())
}

fn checked(input: &SettingsInput) -> Result<AppSettings, UiError> {
    if !(1..=365).contains(&input.retention_days) {
        return Err(bad_input("Personal details are kept for 1 to 365 days."));
    }
    if !(1..=9).contains(&input.minutes_to_decide) {
        return Err(bad_input("There are 1 to 9 minutes to decide: Healthengine waits for ten."));
    }
    let quick_open_keys = input.quick_open_keys.trim();
    quick_open::parse(quick_open_keys).map_err(bad_input)?;
    Ok(AppSettings {
        quick_open_keys: quick_open_keys.to_owned(),
        listener: input.listener.as_ref().map(listener).transpose()?,
        retention_days: input.retention_days,
        decide_minutes: input.minutes_to_decide,
        log_level: match input.log_level {
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
        .to_owned(),
    })
}

fn listener(input: &ListenerInput) -> Result<ListenerSettings, UiError> {
    let wrong = |said: &str| bad_input(format!("Webhooks: {said}."));
    let address = inputs::listen_address(&input.address).map_err(wrong)?;
    let typed = input.sources.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    let sources: Vec<String> = typed
        .map(|text| inputs::source_address(text).map(|address| address.to_string()))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    if input.check_sources && sources.is_empty() {
        return Err(wrong("name the addresses from which Healthengine delivers, or do not check them"));
    }
    Ok(ListenerSettings { address: address.to_string(), sources, check_sources: input.check_sources })
}

/// What a listener begins with, and what was chosen of it.
pub fn listener_view(settings: &ListenerSettings) -> ListenerInput {
    let ListenerSettings { address, sources, check_sources } = settings.clone();
    ListenerInput { address, sources, check_sources }
}

/// Packs the logs into one file beside them.
pub async fn export_logs(desk: &Desk) -> Result<String, UiError> {
    let logs = desk.logging().folder().to_owned();
    let name = format!("clinic-companion-logs-{}.zip", desk.now().format("%Y-%m-%d-%H%M%S"));
    let file = desk.folder().path().join(name);
    let packed = {
        let file = file.clone();
        tokio::task::spawn_blocking(move || pack(&logs, &file)).await
    };
    match packed {
        Ok(Ok(())) => Ok(file.display().to_string()),
        Ok(Err(error)) => Err(failure(ErrorCode::FileFailed, error.to_string())),
        Err(error) => Err(failure(ErrorCode::Unknown, error.to_string())),
    }
}

fn pack(logs: &Path, file: &Path) -> std::io::Result<()> {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(file)?);
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(logs)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    for log in found.iter().filter(|path| path.is_file()) {
        let Some(name) = log.file_name().and_then(|name| name.to_str()) else { continue };
        zip.start_file(name, zip::write::SimpleFileOptions::default()).map_err(std::io::Error::other)?;
        std::io::copy(&mut std::fs::File::open(log)?, &mut zip)?;
    }
    zip.finish().map_err(std::io::Error::other)?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        let input = SettingsInput {
            autostart: false,
            retention_days: 30,
            minutes_to_decide: 8,
            log_level: LogLevel::Info,
            listener: None,
            quick_open_keys: " Ctrl+Alt+V".into(),
        };
        assert_eq!(checked(&input).expect("fine"), AppSettings::default());
        let keys = |keys: &str| checked(&SettingsInput { quick_open_keys: keys.into(), ..input.clone() });
        assert_eq!(keys("").expect("switched off").quick_open_keys, "");
        assert!(keys("V").expect_err("a letter").message.contains("other programs"));
        assert!(checked(&SettingsInput { retention_days: 0, ..input.clone() }).is_err());
        assert!(checked(&SettingsInput { minutes_to_decide: 10, ..input.clone() }).is_err());
        let offered = ListenerSettings::at(ListenerSettings::ADDRESS);
        let with = |change: fn(&mut ListenerInput)| {
            let mut listener = listener_view(&offered);
            change(&mut listener);
            checked(&SettingsInput { listener: Some(listener), ..input.clone() })
        };
        assert_eq!(with(|_| ()).expect("fine").listener, Some(offered.clone()));
        assert!(with(|listener| listener.address = "8765".into()).is_err());
        assert!(with(|listener| listener.sources = vec!["somewhere".into()]).is_err());
        assert!(with(|listener| listener.sources = vec![" ".into()]).is_err());
        let unchecked = with(|listener| (listener.sources, listener.check_sources) = (Vec::new(), false));
        assert!(!unchecked.expect("fine").listener.expect("on").check_sources);
    }

    #[test]
    fn logs_are_packed() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = folder.path().join("logs");
        std::fs::create_dir(&logs).expect("makes it");
        std::fs::write(logs.join("companion.2026-11-20.log"), "a line\n").expect("writes");
        let file = folder.path().join("logs.zip");
        pack(&logs, &file).expect("packs");
        let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).expect("opens")).expect("a zip");
        assert_eq!(zip.by_name("companion.2026-11-20.log").expect("in it").size(), 7);
    }
}
