//! The small search box over whatever is on screen: the keys that bring it up, and its window.

use crate::desktop::Desk;
use crate::windows;
use std::sync::{Arc, Mutex, PoisonError};
use tauri::{AppHandle, LogicalSize, Manager, PhysicalPosition, WebviewUrl, WebviewWindow, WebviewWindowBuilder};
use tauri::{Monitor, WindowEvent};
use tauri_plugin_global_shortcut::{GlobalShortcutExt, Modifiers, Shortcut, ShortcutState};

/// The window's label, named in the capabilities.
pub const LABEL: &str = "quick";
/// The page shows the box instead of the app where it is asked so.
const PAGE: &str = "index.html?quick";
const SIZE: LogicalSize<f64> = LogicalSize { width: 640.0, height: 420.0 };
/// How far down the screen the box begins, as a part of what is left beside it.
const DOWN: f64 = 0.3;

/// What is known of the keys.
#[derive(Debug, Default)]
pub struct Keys {
    /// As chosen; none before anything was.
    chosen: Option<String>,
    /// Why they do not work.
    problem: Option<String>,
}

/// The keys as they are registered, shared between the settings screen and views.
#[derive(Debug, Default)]
pub struct QuickOpen {
    keys: Mutex<Keys>,
}

impl QuickOpen {
    /// Why the keys do not work; none where they do, or are switched off.
    pub fn problem(&self) -> Option<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Makes these the keys, if they are not already. Empty keys switch it off.
    pub fn choose(&self, app: &AppHandle, chosen: &str) {
        {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.chosen.as_deref() == Some(chosen) && keys.problem.is_none() {
                return;
            }
        }
        let problem = register(app, chosen).err();
        if let Some(problem) = &problem {
            tracing::warn!("{problem}");
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *keys = Keys { chosen: Some(chosen.to_owned()), problem };
    }
}

/// Keys as they are typed → as the system knows them. Keys without Ctrl, Alt or the system's own key would take a
/// letter away from every other program.
pub fn parse(typed: &str) -> Result<Option<Shortcut>, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        format!("\"{}\" are no keys: write them as Ctrl+Alt+V, the letter last.", typed.escape_debug())
    };
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

/// Brings the box up on the screen with the pointer.
pub fn show(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let asked_at = desk.now();
    let (window, prepared) = match app.get_webview_window(LABEL) {
        Some(window) => (window, true),
        None => match build(app) {
            Ok(window) => (window, false),
            Err(error) => {
                tracing::error!(%error, "The search box could not be opened.");
                return;
            }
        },
    };
    place(&window);
    if let Err(error) = window.show().and_then(|()| window.set_focus()) {
        tracing::warn!(%error, "The search box could not be shown.");
    }
    let took = (desk.now() - asked_at).num_milliseconds();
    tracing::debug!(took, prepared, "The search box was asked for.");
}

fn build(app: &AppHandle) -> tauri::Result<WebviewWindow> {
    let window = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App(PAGE.into()))
        .title("Open in VALD Hub")
        .inner_size(SIZE.width, SIZE.height)
        .decorations(false)
        .resizable(false)
        .always_on_top(true)
        .skip_taskbar(true)
        .visible(false)
        .build()?;
    let app = app.clone();
    let closing = window.clone();
    window.on_window_event(move |event| {
        if let WindowEvent::Focused(false) = event
            && closing.is_visible().unwrap_or_default()
        {
            close(&app);
        } else if let WindowEvent::Destroyed = event {
            windows::left(&app);
        }
    });
    Ok(window)
}

/// Takes the box away.
pub fn close(app: &AppHandle) {
    let Some(window) = app.get_webview_window(LABEL) else { return };
    if let Err(error) = window.destroy() {
        tracing::warn!(%error, "The search box could not be closed.");
    }
}

/// In the middle of the screen with the pointer, a little above its half.
fn place(window: &WebviewWindow) {
    let Some(monitor) = screen_with_pointer(window) else { return };
    let (screen, corner) = (monitor.size(), monitor.position());
    let size = SIZE.to_physical::<u32>(monitor.scale_factor());
    let left = corner.x + offset(screen.width, size.width, 0.5);
    let top = corner.y + offset(screen.height, size.height, DOWN);
    if let Err(error) = window.set_position(PhysicalPosition::new(left, top)) {
        tracing::debug!(%error, "The search box stays where the desktop puts it.");
    }
}

#[expect(clippy::cast_possible_truncation, reason = "screens have some thousand points")]
fn offset(whole: u32, part: u32, share: f64) -> i32 {
    (f64::from(whole.saturating_sub(part)) * share) as i32
}

fn screen_with_pointer(window: &WebviewWindow) -> Option<Monitor> {
    let at = window.cursor_position().ok();
    let under = at.and_then(|at| window.monitor_from_point(at.x, at.y).ok().flatten());
    under.or_else(|| window.primary_monitor().ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_box_is_in_the_middle_and_never_off_the_screen() {
        assert_eq!((offset(1920, 640, 0.5), offset(1080, 420, DOWN)), (640, 198));
        assert_eq!(offset(600, 640, 0.5), 0);
    }
}
