//! The desktop app's start-up, top to bottom, and what its commands work with.

use crate::compose::{DataFolder, Home};
use crate::present::TrayFacts;
use crate::view::{ProblemView, UiError, ViewChanged};
use crate::{bindings, presenter, serve, tray, windows};
use chrono::{DateTime, Utc};
use domain::ports::clock::Clock;
use std::sync::Arc;
use sync::engine::EngineHandle;
use tauri::{AppHandle, Manager, RunEvent};
use tauri_specta::Event as _;
use tokio::sync::{Mutex, MutexGuard, Notify};

/// What the desktop app starts from.
pub struct Start {
    /// Where everything lies.
    pub folder: DataFolder,
    /// The store with its engine, or why there is none. The window comes up either way and says so.
    pub running: Result<Running, ProblemView>,
    /// Start in the tray only.
    pub hidden: bool,
    /// The address of "Act as a patient", while the partners are simulated.
    pub patient_page: Option<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Changes how much the log says.
    pub logging: crate::logging::LogControl,
}

/// A store that opened, and the engine on it.
pub struct Running {
    /// The store, and where it lies.
    pub home: Arc<Home>,
    /// The engine.
    pub engine: EngineHandle,
}

impl Running {
    /// The store.
    pub fn store(&self) -> Arc<store::Store> {
        self.home.store()
    }
}

/// What commands, tray and presenter work with.
pub struct Desk {
    start: Start,
    look_again: Notify,
    seen: Mutex<presenter::Seen>,
}

impl Desk {
    /// The store and the engine, or why there are none.
    pub fn running(&self) -> Result<&Running, UiError> {
        self.start
            .running
            .as_ref()
            .map_err(|problem| UiError { code: problem.code, message: problem.message.clone() })
    }

    /// What stops everything.
    pub fn problem(&self) -> Option<ProblemView> {
        self.start.running.as_ref().err().cloned()
    }

    /// The instant now.
    pub fn now(&self) -> DateTime<Utc> {
        self.start.clock.now()
    }

    /// The time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.start.clock.clone()
    }

    /// Where everything lies.
    pub fn folder(&self) -> &DataFolder {
        &self.start.folder
    }

    /// The address of "Act as a patient", while the partners are simulated.
    pub fn patient_page(&self) -> Option<&str> {
        self.start.patient_page.as_deref()
    }

    /// Changes how much the log says.
    pub fn logging(&self) -> &crate::logging::LogControl {
        &self.start.logging
    }

    /// What the last view was made of.
    pub async fn seen(&self) -> MutexGuard<'_, presenter::Seen> {
        self.seen.lock().await
    }

    /// Asks for a new view: the window opened, or something outside the engine changed.
    pub fn look_again(&self) {
        self.look_again.notify_one();
    }

    /// Returns when somebody asked for a new view.
    pub async fn asked_to_look(&self) {
        self.look_again.notified().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "Tauri's context ends the process when its own checks fail")]
fn context() -> tauri::Context {
    tauri::generate_context!()
}

/// Runs the desktop app until somebody quits. Tokio's runtime is the caller's.
pub fn run(start: Start) -> anyhow::Result<()> {
    // A former run may have ended before it could.
    start.folder.clear_opened();
    let hidden = start.hidden;
    // The made-up clinic may stand beside the real one; its folder is locked by itself.
    let is_demo = start.patient_page.is_some();
    let desk = Arc::new(Desk { start, look_again: Notify::new(), seen: Mutex::default() });
    let bindings = bindings::builder();
    let mut builder = tauri::Builder::default();
    if !is_demo {
        let raise = |app: &AppHandle, _arguments, _folder| windows::show(app);
        builder = builder.plugin(tauri_plugin_single_instance::init(raise));
    }
    let app = builder
        .plugin(tauri_plugin_autostart::init(
            tauri_plugin_autostart::MacosLauncher::LaunchAgent,
            Some(vec!["--hidden"]),
        ))
        .manage(desk.clone())
        .invoke_handler(bindings.invoke_handler())
        .setup(move |app| {
            bindings.mount_events(app);
            let handle = app.handle().clone();
            let first = tray::look(&TrayFacts::at_start(desk.problem().as_ref()));
            tray::create(&handle, &first)?;
            quit_when_asked(&handle)?;
            tauri::async_runtime::spawn(presenter::run(handle.clone(), desk, first));
            if hidden {
                tauri::async_runtime::spawn(windows::rest(handle));
            } else {
                windows::show(&handle);
            }
            Ok(())
        })
        .build(context())?;
    // Returns, so that the caller can put away what it started.
    app.run_return(|app, event| {
        // The last window closed: the tray stays. Quitting carries a code.
        if let RunEvent::ExitRequested { code: None, api, .. } = &event {
            api.prevent_exit();
        }
        if let RunEvent::Exit = event {
            stop(app);
        }
    });
    Ok(())
}

/// Quits when the person logs off, or somebody presses Ctrl-C where the app was started.
fn quit_when_asked(app: &AppHandle) -> std::io::Result<()> {
    let asked = tauri::async_runtime::block_on(async { serve::asked_to_stop() })?;
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        asked.await;
        app.exit(0);
    });
    Ok(())
}

/// Finishes what is in flight before the process ends.
fn stop(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    if let Ok(running) = desk.running() {
        tauri::async_runtime::block_on(serve::put_away(&running.home, &running.engine));
    }
    desk.folder().clear_opened();
}

/// Sends a view to the window.
pub fn push(app: &AppHandle, view: crate::view::AppView) {
    if let Err(error) = ViewChanged(view).emit(app) {
        tracing::warn!(%error, "The window did not take the view.");
    }
}
