//! The search box on Windows and macOS: a page in a window of its own.
//!
//! A page that has to be loaded and drawn first takes a second or more, which is too long for somebody who sits in front
//! of a patient. So the window is made and drawn beforehand, and only hidden when it is closed, as long as pages of VALD
//! Hub can be opened from it and somebody has lately done so. The rest of the time it does not exist, because a page
//! takes 200 MB.

use super::{DOWN, beside};
use crate::desktop::Desk;
use crate::view::AppView;
use crate::windows;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use tauri::{
    AppHandle, LogicalSize, Manager, Monitor, PhysicalPosition, WebviewUrl, WebviewWindow,
    WebviewWindowBuilder, WindowEvent,
};

/// The window's label, named in the capabilities.
const LABEL: &str = "quick";
/// The page shows the box instead of the app where it is asked so.
const PAGE: &str = "index.html?quick";
const SIZE: LogicalSize<f64> = LogicalSize { width: 640.0, height: 480.0 };

/// For how long the box is kept ready that nobody asked for.
const READY_FOR: TimeDelta = TimeDelta::hours(4);
/// How long a page takes to be loaded and drawn for the first time, at most.
const DRAWN_WITHIN: TimeDelta = TimeDelta::seconds(5);

/// Whether the box is worth its memory.
#[derive(Debug, Default)]
pub struct Readiness {
    /// When somebody last asked for the box, or could begin to; none while no page can be opened from it.
    wanted_at: Option<DateTime<Utc>>,
}

impl Readiness {
    /// Whether the box is to be there before anybody asks for it.
    fn is_kept_ready(&self, now: DateTime<Utc>) -> bool {
        self.wanted_at.is_some_and(|at| now - at < READY_FOR)
    }

    /// Notes whether there are keys to ask for it with, and a page that can be opened.
    fn note(&mut self, can_open: bool, now: DateTime<Utc>) {
        self.wanted_at = if can_open { self.wanted_at.or(Some(now)) } else { None };
    }

    /// Somebody asked for it. Where no page can be opened that is no reason to keep it.
    fn note_asked(&mut self, now: DateTime<Utc>) {
        self.wanted_at = self.wanted_at.map(|_| now);
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
        let has_keys = state.has_keys();
        state.readiness.note(can_open && has_keys, desk.now());
        (state.readiness.is_kept_ready(desk.now()), state.is_shown)
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

/// Brings the box up on the screen with the pointer.
pub fn show(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let asked_at = desk.now();
    {
        let mut state = desk.quick_open().state();
        state.is_shown = true;
        state.readiness.note_asked(asked_at);
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
        state.readiness.is_kept_ready(desk.now())
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
    let size = SIZE.to_physical::<i32>(monitor.scale_factor());
    let screen = screen.cast::<i32>();
    let left = corner.x + beside(screen.width, size.width, 0.5);
    let top = corner.y + beside(screen.height, size.height, DOWN);
    if let Err(error) = window.set_position(PhysicalPosition::new(left, top)) {
        tracing::debug!(%error, "The search box stays where the desktop puts it.");
    }
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
    fn the_box_is_kept_ready_while_it_is_worth_its_memory() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let mut state = Readiness::default();
        state.note_asked(at(0));
        assert!(!state.is_kept_ready(at(0)), "no page can be opened");
        state.note(true, at(1));
        assert!(state.is_kept_ready(at(1)) && state.is_kept_ready(at(4)));
        state.note(true, at(4));
        assert!(!state.is_kept_ready(at(5)), "nobody asked for it");
        state.note_asked(at(5));
        assert!(state.is_kept_ready(at(8)));
        state.note(false, at(8));
        assert!(!state.is_kept_ready(at(8)), "it was switched off, or VALD was");
    }
}
