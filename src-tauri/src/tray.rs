//! The tray: what it shows is a pure function of the view; the rest is Tauri.

use crate::desktop::Desk;
use crate::present::TrayFacts;
use crate::view::Headline;
use crate::windows;
use chrono::TimeDelta;
use domain::ports::store::SettingsBook;
use std::sync::Arc;
use sync::practices;
use tauri::image::Image;
use tauri::menu::{Menu, MenuBuilder, MenuItemBuilder};
use tauri::tray::{TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager, Wry};

const ID: &str = "main";
const OPEN: &str = "open";
const PAUSE: &str = "pause";
const RESUME: &str = "resume";
const RESYNC: &str = "resync";
const QUIT: &str = "quit";

/// The four states of the tray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// A round trip was proven within the last seconds.
    Ok,
    /// Somebody at the desk must decide something, or nothing is proven yet.
    Attention,
    /// Not syncing.
    Down,
    /// Switched off.
    Paused,
}

/// What the tray shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The icon.
    pub lamp: Lamp,
    /// The words beside it.
    pub words: String,
    /// Whether the menu offers to resume, or to pause; neither without a practice.
    pub paused: Option<bool>,
}

/// How long Healthengine still waits for an answer, in words that change once a minute.
fn answer_due(due: TimeDelta) -> String {
    if due <= TimeDelta::zero() {
        return "An answer to Healthengine is overdue".to_owned();
    }
    match due.num_minutes() {
        0 => "An answer to Healthengine is due within a minute".to_owned(),
        minutes => format!("An answer to Healthengine is due in {minutes} min"),
    }
}

/// What the tray shows for a view.
pub fn look(facts: &TrayFacts) -> Look {
    let (lamp, words) = match facts.headline {
        Headline::InStep => (Lamp::Ok, "Everything is in step".to_owned()),
        Headline::CatchingUp => (Lamp::Ok, "In step, catching up".to_owned()),
        Headline::NeedsYou if facts.needs_you <= 1 => (Lamp::Attention, "One thing needs you".to_owned()),
        Headline::NeedsYou => (Lamp::Attention, format!("{} things need you", facts.needs_you)),
        Headline::Starting => (Lamp::Attention, "Starting up".to_owned()),
        Headline::NotLinked => (Lamp::Attention, "No practice is linked yet".to_owned()),
        Headline::Paused => (Lamp::Paused, "Paused".to_owned()),
        Headline::Down => {
            (Lamp::Down, facts.trouble.clone().unwrap_or_else(|| "Something is not working".to_owned()))
        }
    };
    let due = facts.answer_due.map(|due| format!(". {}", answer_due(due))).unwrap_or_default();
    Look {
        lamp,
        words: format!("Clinic Companion: {}{due}", words.trim_end_matches('.')),
        paused: facts.paused,
    }
}

fn icon(lamp: Lamp) -> Option<Image<'static>> {
    let bytes: &[u8] = match lamp {
        Lamp::Ok => include_bytes!("../../icons/tray/ok.png"),
        Lamp::Attention => include_bytes!("../../icons/tray/attention.png"),
        Lamp::Down => include_bytes!("../../icons/tray/down.png"),
        Lamp::Paused => include_bytes!("../../icons/tray/paused.png"),
    };
    Image::from_bytes(bytes).ok()
}

/// Puts the tray icon up.
pub fn create(app: &AppHandle, look: &Look) -> tauri::Result<()> {
    let mut builder = TrayIconBuilder::with_id(ID)
        .menu(&menu(app, look)?)
        .tooltip(&look.words)
        .show_menu_on_left_click(false)
        .on_menu_event(|app, event| chosen(app, event.id().as_ref()))
        .on_tray_icon_event(|tray: &TrayIcon<Wry>, event| {
            if let TrayIconEvent::Click { button: tauri::tray::MouseButton::Left, .. } = event {
                windows::show(tray.app_handle());
            }
        });
    if let Some(icon) = icon(look.lamp) {
        builder = builder.icon(icon);
    }
    builder.build(app).map(drop)
}

/// Shows another look as soon as Tauri's own thread has time. Nobody waits for that: at the end that thread waits for the
/// engine, whose workers would then wait for it.
pub fn update(app: &AppHandle, look: Look) {
    let there = app.clone();
    let asked = app.run_on_main_thread(move || {
        let Some(tray) = there.tray_by_id(ID) else { return };
        let shown = tray
            .set_icon(icon(look.lamp))
            .and_then(|()| tray.set_tooltip(Some(&look.words)))
            .and_then(|()| menu(&there, &look).and_then(|menu| tray.set_menu(Some(menu))));
        if let Err(error) = shown {
            tracing::warn!(%error, "The tray icon could not be changed.");
        }
    });
    if let Err(error) = asked {
        tracing::warn!(%error, "The tray icon could not be changed.");
    }
}

fn menu(app: &AppHandle, look: &Look) -> tauri::Result<Menu<Wry>> {
    // Some desktops show no tooltip, so the words stand in the menu as well.
    let words = MenuItemBuilder::new(&look.words).enabled(false).build(app)?;
    let mut menu = MenuBuilder::new(app).item(&words).separator().text(OPEN, "Open Clinic Companion");
    menu = match look.paused {
        None => menu,
        Some(true) => menu.text(RESUME, "Resume"),
        Some(false) => menu.text(PAUSE, "Pause").text(RESYNC, "Send everything again"),
    };
    menu.separator().text(QUIT, "Quit").build()
}

fn chosen(app: &AppHandle, id: &str) {
    match id {
        OPEN => windows::show(app),
        PAUSE | RESUME | RESYNC => {
            let (desk, id) = (app.state::<Arc<Desk>>().inner().clone(), id.to_owned());
            tauri::async_runtime::spawn(async move { on_all_practices(&desk, &id).await });
        }
        QUIT => app.exit(0),
        _ => {}
    }
}

async fn on_all_practices(desk: &Desk, id: &str) {
    let Ok(running) = desk.running() else { return };
    let store = running.store();
    let now = desk.now();
    let done = async {
        for settings in store.practices().await? {
            if id == RESYNC {
                practices::resync(store.as_ref(), &settings.id, &practices::EVERYTHING, now).await?;
            } else {
                practices::set_enabled(store.as_ref(), &settings.id, id == RESUME, now).await?;
            }
        }
        Ok::<(), domain::ports::store::StoreError>(())
    };
    if let Err(error) = done.await {
        tracing::error!(cause = sync::flows::error_chain(&error), "The tray's request failed.");
    }
    running.engine.nudge(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(headline: Headline, paused: Option<bool>) -> TrayFacts {
        TrayFacts {
            headline,
            needs_you: 2,
            paused,
            answer_due: None,
            trouble: Some("Healthengine does not answer. We keep trying.".into()),
        }
    }

    #[test]
    fn each_state_has_its_lamp_and_its_words() {
        let check = |headline, lamp, words: &str, paused| {
            let look = look(&facts(headline, paused));
            assert_eq!((look.lamp, look.words.as_str(), look.paused), (lamp, words, paused));
        };
        check(Headline::InStep, Lamp::Ok, "Clinic Companion: Everything is in step", Some(false));
        check(Headline::NeedsYou, Lamp::Attention, "Clinic Companion: 2 things need you", Some(false));
        check(Headline::Paused, Lamp::Paused, "Clinic Companion: Paused", Some(true));
        check(Headline::NotLinked, Lamp::Attention, "Clinic Companion: No practice is linked yet", None);
        check(
            Headline::Down,
            Lamp::Down,
            "Clinic Companion: Healthengine does not answer. We keep trying",
            Some(false),
        );
    }

    #[test]
    fn the_answer_that_is_due_first_is_told_in_words() {
        let told = |seconds| {
            let facts = facts(Headline::NeedsYou, Some(false));
            look(&TrayFacts { answer_due: Some(TimeDelta::seconds(seconds)), ..facts }).words
        };
        let words = "Clinic Companion: 2 things need you. An answer to Healthengine is";
        assert_eq!(told(460), format!("{words} due in 7 min"));
        assert_eq!(told(59), format!("{words} due within a minute"));
        assert_eq!(told(-1), format!("{words} overdue"));
    }

    #[test]
    fn one_thing_is_one_thing() {
        for needs_you in [0, 1] {
            let look = look(&TrayFacts { needs_you, ..facts(Headline::NeedsYou, Some(false)) });
            assert_eq!(look.words, "Clinic Companion: One thing needs you");
        }
    }

    #[test]
    fn before_the_first_view_nothing_is_green() {
        let problem = crate::view::ProblemView {
            code: crate::view::ErrorCode::KeyringLocked,
            message: "The keyring is locked.".into(),
            since: None,
        };
        assert_eq!(look(&TrayFacts::at_start(None)).lamp, Lamp::Attention);
        let stopped = look(&TrayFacts::at_start(Some(&problem)));
        assert_eq!(
            (stopped.lamp, stopped.words.as_str()),
            (Lamp::Down, "Clinic Companion: The keyring is locked")
        );
    }

    #[test]
    fn every_lamp_has_a_picture() {
        for lamp in [Lamp::Ok, Lamp::Attention, Lamp::Down, Lamp::Paused] {
            assert!(icon(lamp).is_some(), "{lamp:?}");
        }
    }
}
