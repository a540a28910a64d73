//! The small search box over whatever is on screen: the keys that bring it up, and its window.
//!
//! A page that has to be loaded and drawn first takes a second or more, which is too long for somebody who sits in front
//! of a patient. So the window is made and drawn beforehand, and only hidden when it is closed, as long as pages of VALD
//! Hub can be opened from it and somebody has lately done so. The rest of the time it does not exist, because a page
//! takes 200 MB.

use crate::desktop::Desk;
use crate::view::AppView;
use crate::windows;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tauri::{
    AppHandle, LogicalSize, Manager, Monitor, PhysicalPosition, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder, WindowEvent,
};
use tauri_plugin_global_shortcut::{GlobalShortcutExt, Modifiers, Shortcut, ShortcutState};

/// The window's label, named in the capabilities.
pub const LABEL: &str = "quick";
/// The page shows the box instead of the app where it is asked so.
const PAGE: &str = "index.html?quick";
const SIZE: LogicalSize<f64> = LogicalSize { width: 640.0, height: 480.0 };
/// How far down the screen the box begins, as a part of what is left beside it.
const DOWN: f64 = 0.3;

/// For how long the box is kept ready that nobody asked for.
const READY_FOR: TimeDelta = TimeDelta::hours(4);
/// How long a page takes to be loaded and drawn for the first time, at most.
const DRAWN_WITHIN: TimeDelta = TimeDelta::seconds(5);

/// The search box: its keys, and whether it is kept ready.
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
    /// When somebody last asked for the box, or could begin to; none while no page can be opened from it.
    wanted_at: Option<DateTime<Utc>>,
    /// Whether the box is on the screen.
    is_shown: bool,
}

impl State {
    /// Whether the box is to be there before anybody asks for it.
    fn is_kept_ready(&self, now: DateTime<Utc>) -> bool {
        let has_keys = self.chosen.as_deref().is_some_and(|keys| !keys.is_empty());
        has_keys && self.wanted_at.is_some_and(|at| now - at < READY_FOR)
    }

    /// Notes whether a page can be opened now.
    fn note(&mut self, can_open: bool, now: DateTime<Utc>) {
        self.wanted_at = if can_open { self.wanted_at.or(Some(now)) } else { None };
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

/// Sees to it that the box is there beforehand while it is worth its memory, and gone while it is not.
pub fn keep_ready(app: &AppHandle, desk: &Desk, view: &AppView) {
    let can_open = view
        .practices
        .iter()
        .any(|practice| practice.enabled && practice.vald.as_ref().is_some_and(|vald| vald.can_open));
    let (ready, is_shown) = {
        let mut state = desk.quick_open().state();
        state.note(can_open, desk.now());
        (state.is_kept_ready(desk.now()), state.is_shown)
    };
    match app.get_webview_window(LABEL) {
        None if ready => match build(app) {
            Ok(window) => draw_beforehand(app, window),
            Err(error) => tracing::warn!(%error, "The search box could not be made ready."),
        },
        Some(window) if !ready && !is_shown => take_away(&window),
        None | Some(_) => {}
    }
}

/// Nothing is drawn of a window that was never on the screen; so it is there for a moment, a single point in size.
fn draw_beforehand(app: &AppHandle, window: WebviewWindow) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let there = window
        .set_size(LogicalSize::new(1.0, 1.0))
        .and_then(|()| window.set_focusable(false))
        .and_then(|()| window.show());
    if let Err(error) = there {
        tracing::debug!(%error, "The search box could not be drawn beforehand.");
    }
    tauri::async_runtime::spawn(async move {
        desk.clock().sleep_until(desk.now() + DRAWN_WITHIN).await;
        if !desk.quick_open().is_shown() {
            hide(&window);
        }
    });
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

/// Brings the box up on the screen with the pointer.
pub fn show(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let asked_at = desk.now();
    {
        let mut state = desk.quick_open().state();
        state.is_shown = true;
        // Where no page can be opened, asking for the box is no reason to keep it.
        state.wanted_at = state.wanted_at.map(|_| asked_at);
    }
    let (window, ready) = match app.get_webview_window(LABEL) {
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
    let shown = window
        .set_size(SIZE)
        .and_then(|()| window.set_focusable(true))
        .and_then(|()| window.show())
        .and_then(|()| window.set_focus());
    if let Err(error) = shown {
        tracing::warn!(%error, "The search box could not be shown.");
    }
    let took = (desk.now() - asked_at).num_milliseconds();
    tracing::debug!(took, ready, "The search box was asked for.");
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
    window.on_window_event(move |event| {
        if let WindowEvent::Focused(false) = event {
            close(&app);
        } else if let WindowEvent::Destroyed = event {
            windows::left(&app);
        }
    });
    Ok(window)
}

/// Takes the box off the screen.
pub fn close(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let ready = {
        let mut state = desk.quick_open().state();
        if !std::mem::take(&mut state.is_shown) {
            return;
        }
        state.is_kept_ready(desk.now())
    };
    let Some(window) = app.get_webview_window(LABEL) else { return };
    if ready {
        hide(&window);
        windows::left(app);
    } else {
        take_away(&window);
    }
}

fn hide(window: &WebviewWindow) {
    if let Err(error) = window.hide() {
        tracing::warn!(%error, "The search box could not be hidden.");
    }
}

fn take_away(window: &WebviewWindow) {
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
    fn the_box_is_kept_ready_while_it_is_worth_its_memory() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let mut state = State { chosen: Some("Ctrl+Alt+V".into()), ..State::default() };
        assert!(!state.is_kept_ready(at(0)), "no page can be opened");
        state.note(true, at(1));
        assert!(state.is_kept_ready(at(1)) && state.is_kept_ready(at(4)));
        state.note(true, at(4));
        assert!(!state.is_kept_ready(at(5)), "nobody asked for it");
        state.wanted_at = Some(at(5));
        assert!(state.is_kept_ready(at(8)));
        state.chosen = Some(String::new());
        assert!(!state.is_kept_ready(at(8)), "it was switched off");
        state.note(false, at(8));
        assert_eq!(state.wanted_at, None);
    }

    #[test]
    fn the_box_is_in_the_middle_and_never_off_the_screen() {
        assert_eq!((offset(1920, 640, 0.5), offset(1080, 480, DOWN)), (640, 180));
        assert_eq!(offset(600, 640, 0.5), 0);
    }
}
