//! The app's window. Closing it destroys it, so that a web view takes memory only while somebody looks.

use crate::desktop::Desk;
use chrono::TimeDelta;
use std::sync::Arc;
use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindowBuilder, WindowEvent};

/// The window's label, named in the capabilities.
pub const MAIN: &str = "main";

/// People who closed a window by mistake open it again within this time.
const CLOSED_FOR_GOOD: TimeDelta = TimeDelta::seconds(10);
/// WebKit's network process ends within this time once it was asked to, and it is looked this often whether it has.
#[cfg(target_os = "linux")]
const ENDS_WITHIN: TimeDelta = TimeDelta::seconds(10);
#[cfg(target_os = "linux")]
const LOOK_EVERY: TimeDelta = TimeDelta::milliseconds(200);

/// Brings the window up, making it where there is none.
pub fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(MAIN) {
        let raised = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
        if let Err(error) = raised {
            tracing::warn!(%error, "The window could not be raised.");
        }
        return;
    }
    let built = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::App("index.html".into()))
        .title("Clinic Companion")
        .inner_size(1180.0, 820.0)
        .min_inner_size(360.0, 480.0)
        .build();
    match built {
        Ok(window) => {
            let desk = app.state::<Arc<Desk>>().inner().clone();
            desk.look_again();
            let closed = app.clone();
            window.on_window_event(move |event| {
                if let WindowEvent::Destroyed = event {
                    tracing::debug!("The window was closed; the tray stays.");
                    left(&closed);
                }
            });
        }
        Err(error) => tracing::error!(%error, "The window could not be opened."),
    }
}

/// A window was closed.
pub fn left(app: &AppHandle) {
    tauri::async_runtime::spawn(rest(app.clone()));
}

/// Once nobody has looked for a while, gives back the memory that starting up or a window needed.
pub async fn rest(app: AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let at = desk.now() + CLOSED_FOR_GOOD;
    while desk.now() < at {
        desk.clock().sleep_until(at).await;
    }
    #[cfg(target_os = "linux")]
    if !is_open(&app) && !desk.quick_open().is_shown() {
        // Windows are made on the main thread, so that none can be under way there meanwhile.
        let asked = app.clone().run_on_main_thread(move || {
            if !has_page(&app) {
                crate::memory::end_network_process();
            }
        });
        if let Err(error) = asked {
            tracing::debug!(%error, "The main loop has ended.");
        }
        let gone_by = desk.now() + ENDS_WITHIN;
        while crate::memory::has_network_process() && desk.now() < gone_by {
            desk.clock().sleep_until(desk.now() + LOOK_EVERY).await;
        }
        crate::memory::give_back();
    }
}

/// Whether somebody looks.
pub fn is_open(app: &AppHandle) -> bool {
    app.get_webview_window(MAIN).is_some()
}

/// Whether there is a page, on the screen or kept ready.
#[cfg(target_os = "linux")]
fn has_page(app: &AppHandle) -> bool {
    !app.webview_windows().is_empty()
}
