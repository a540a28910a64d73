//! The desktop app's start-up, top to bottom, and what its commands work with.

use crate::cli::{First, QUICK_OPEN};
use crate::compose::{DataFolder, Home};
use crate::present::{TrayFacts, instant};
use crate::quick_open::{self, QuickOpen};
use crate::sign_in::SignIns;
use crate::view::{ProblemView, UiError, ViewChanged};
use crate::{bindings, deep_link, presenter, serve, tray, windows};
use chrono::{DateTime, TimeDelta, Utc};
use domain::ports::clock::Clock;
use domain::ports::store::SettingsBook;
use std::sync::{Arc, PoisonError};
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
    /// What is shown first.
    pub first: First,
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
    told: std::sync::Mutex<Option<(DateTime<Utc>, UiError)>>,
    quick_open: QuickOpen,
    sign_ins: SignIns,
}

/// For how long it is said that another program's wish could not be granted.
const TOLD_FOR: TimeDelta = TimeDelta::minutes(2);

impl Desk {
    /// A desk on what was started.
    pub fn new(start: Start) -> Self {
        Self {
            start,
            look_again: Notify::new(),
            seen: Mutex::default(),
            told: std::sync::Mutex::default(),
            quick_open: QuickOpen::default(),
            sign_ins: SignIns::default(),
        }
    }

    /// The sign-ins of people in the browser.
    pub fn sign_ins(&self) -> &SignIns {
        &self.sign_ins
    }

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

    /// The keys of the search box.
    pub fn quick_open(&self) -> &QuickOpen {
        &self.quick_open
    }

    /// Says in the next views that something could not be done that was asked for outside of the window.
    pub fn tell(&self, error: UiError) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.now(), error));
        self.look_again();
    }

    /// What could not be done lately.
    pub fn told(&self) -> Option<ProblemView> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (at, UiError { code, message }) = told.filter(|(at, _)| self.now() - *at < TOLD_FOR)?;
        Some(ProblemView { code, message, since: Some(instant(at)) })
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
    // A former run may have ended before it could. Where another one runs, they are that one's.
    if start.running.is_ok() {
        start.folder.clear_opened();
    }
    let first = start.first.clone();
    // The made-up clinic may stand beside the real one; its folder is locked by itself.
    let is_demo = start.patient_page.is_some();
    let desk = Arc::new(Desk::new(start));
    let bindings = bindings::builder();
    let mut builder = tauri::Builder::default();
    if !is_demo {
        let raise = |app: &AppHandle, arguments: Vec<String>, _folder| asked_again(app, &arguments);
        builder = builder.plugin(tauri_plugin_single_instance::init(raise));
    }
    let app = builder
        .plugin(tauri_plugin_autostart::init(
            tauri_plugin_autostart::MacosLauncher::LaunchAgent,
            Some(vec!["--hidden"]),
        ))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_global_shortcut::Builder::new().build())
        .manage(desk.clone())
        .invoke_handler(bindings.invoke_handler())
        .setup(move |app| {
            bindings.mount_events(app);
            let handle = app.handle().clone();
            let first_look = tray::look(&TrayFacts::at_start(desk.problem().as_ref()));
            tray::create(&handle, &first_look)?;
            quit_when_asked(&handle)?;
            if !is_demo {
                deep_link::listen(&handle);
            }
            tauri::async_runtime::spawn(register_keys(handle.clone(), desk.clone()));
            tauri::async_runtime::spawn(presenter::run(handle.clone(), desk, first_look));
            match first {
                First::Window => windows::show(&handle),
                First::Tray => windows::left(&handle),
                First::SearchBox => quick_open::show(&handle),
                First::Page(address) => {
                    windows::left(&handle);
                    deep_link::follow(&handle, &address);
                }
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

/// What a second start asks of the first one.
fn asked_again(app: &AppHandle, arguments: &[String]) {
    if let Some(address) = arguments.iter().find(|argument| argument.starts_with(deep_link::SCHEME)) {
        deep_link::follow(app, address);
    } else if arguments.iter().any(|argument| argument == QUICK_OPEN) {
        quick_open::show(app);
    } else {
        windows::show(app);
    }
}

/// Has the system tell us of the keys of the search box, also while there is no window.
async fn register_keys(app: AppHandle, desk: Arc<Desk>) {
    let Ok(running) = desk.running() else { return };
    match running.store().app_settings().await {
        Ok(settings) => desk.quick_open().choose(&app, &settings.quick_open_keys),
        Err(error) => {
            tracing::warn!(
                cause = sync::flows::error_chain(&error),
                "The keys of the search box are not known."
            );
        }
    }
    desk.look_again();
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
