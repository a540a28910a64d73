//! The small search box over whatever is on screen: the keys that bring it up, and where it is shown.
//!
//! On Linux it is a window of GTK's (`native.rs`), which costs next to nothing; on Windows and macOS a page that is kept
//! ready (`page.rs`, `QuickOpen.svelte`). Both ask the same two things of the app: who matches, and to open the page.

#[cfg(target_os = "linux")]
mod native;
#[cfg_attr(
    target_os = "linux",
    expect(dead_code, reason = "compiled here too, so that what breaks it is seen where it is worked on")
)]
mod page;
#[cfg(target_os = "linux")]
mod search;

use std::sync::{Mutex, MutexGuard, PoisonError};
use tauri::AppHandle;
use tauri_plugin_global_shortcut::{GlobalShortcutExt, Modifiers, Shortcut, ShortcutState};

#[cfg(target_os = "linux")]
pub use native::show;
pub use page::close;
#[cfg(not(target_os = "linux"))]
pub use page::{keep_ready, show};

/// How far down the screen the box begins, as a part of what is left beside it.
const DOWN: f64 = 0.3;

/// The search box: its keys, and whether it is on the screen.
#[derive(Debug, Default)]
pub struct QuickOpen {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The keys as chosen; none before anything was.
    chosen: Option<String>,
    /// Why they do not work.
    problem: Option<String>,
    /// Whether the box is on the screen.
    is_shown: bool,
    /// Whether the page is there before anybody asks for it.
    readiness: page::Readiness,
}

impl State {
    fn has_keys(&self) -> bool {
        self.chosen.as_deref().is_some_and(|keys| !keys.is_empty())
    }
}

impl QuickOpen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the keys do not work; none where they do, or are switched off.
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Whether the box is on the screen.
    pub fn is_shown(&self) -> bool {
        self.state().is_shown
    }

    /// Makes these the keys, if they are not already. Empty keys switch it off.
    pub fn choose(&self, app: &AppHandle, chosen: &str) {
        {
            let state = self.state();
            if state.chosen.as_deref() == Some(chosen) && state.problem.is_none() {
                return;
            }
        }
        // Waits for the main thread, which may be waiting for the state.
        let problem = register(app, chosen).err();
        if let Some(problem) = &problem {
            tracing::warn!("{problem}");
        }
        let mut state = self.state();
        (state.chosen, state.problem) = (Some(chosen.to_owned()), problem);
    }
}

/// Keys as they are typed → as the system knows them. Keys without Ctrl, Alt or the system's own key would take a
/// letter away from every other program.
pub fn parse(typed: &str) -> Result<Option<Shortcut>, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let wrong =
        || format!("\"{}\" are no keys: write them as Ctrl+Alt+V, the letter last.", typed.escape_debug());
    let shortcut: Shortcut = typed.parse().map_err(|_| wrong())?;
    if !shortcut.mods.intersects(Modifiers::CONTROL | Modifiers::ALT | Modifiers::SUPER) {
        return Err("These keys would not reach other programs any more. Add Ctrl or Alt to them.".to_owned());
    }
    Ok(Some(shortcut))
}

fn register(app: &AppHandle, chosen: &str) -> Result<(), String> {
    let keys = app.global_shortcut();
    if let Err(error) = keys.unregister_all() {
        tracing::debug!(%error, "The former keys could not be given back.");
    }
    let Some(shortcut) = parse(chosen)? else { return Ok(()) };
    if let Some(problem) = no_keys_here() {
        return Err(problem);
    }
    keys.on_shortcut(shortcut, |app, _, event| {
        if event.state == ShortcutState::Pressed {
            show(app);
        }
    })
    .map_err(|error| {
        tracing::info!(%error, "The keys of the search box could not be registered.");
        format!("{chosen} could not be registered, most likely because another program has these keys. Choose others.")
    })
}

/// Why no program can have keys of its own in this session.
fn no_keys_here() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let advice = "Give a shortcut of the desktop the command: clinic-companion --quick-open";
    if is_set("WAYLAND_DISPLAY") {
        return Some(format!("In a Wayland session no program can have keys of its own. {advice}"));
    }
    if !is_set("DISPLAY") {
        return Some(format!("In this session no program can have keys of its own. {advice}"));
    }
    None
}

/// Where something begins that leaves this share of the room beside it before it, and is never off the screen.
#[expect(clippy::cast_possible_truncation, reason = "screens have some thousand points")]
fn beside(whole: i32, part: i32, share: f64) -> i32 {
    (f64::from((whole - part).max(0)) * share) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_in_the_middle_and_never_off_the_screen() {
        assert_eq!((beside(1920, 640, 0.5), beside(1080, 480, DOWN)), (640, 180));
        assert_eq!(beside(600, 640, 0.5), 0);
    }

    #[test]
    fn keys_are_read_as_people_write_them() {
        for good in ["Ctrl+Alt+V", "ctrl + alt + v", "Alt+Space", "Super+Shift+F2"] {
            assert!(parse(good).expect("keys").is_some(), "{good}");
        }
        assert_eq!(parse(" "), Ok(None));
        for bad in ["V", "Shift+V", "Ctrl+", "Ctrl+Alt", "V+Ctrl", "Ctrl+Ü+X", "nonsense"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
