//! Starts the desktop app on an opened store, or without one where it cannot be opened.

use crate::cli::{Failure, First};
use crate::compose::{self, DataFolder, Home, StartError};
use crate::demo::Demo;
use crate::desktop::{self, Running, Start};
use crate::logging::LogControl;
use crate::serve;
use crate::view::{ErrorCode, ProblemView};
use domain::ports::clock::Clock;
use domain::ports::store::SettingsBook;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use store::{KeyFileProblem, OpenError};
use sync::flows::error_chain;

/// The desktop app, until somebody quits it. The window comes up even where the store cannot be opened, and says why.
pub fn run(
    folder: DataFolder,
    first: First,
    clock: Arc<dyn Clock>,
    logging: LogControl,
) -> Result<(), Failure> {
    let opened = Home::open(folder.clone(), &compose::key_source(), clock.clone());
    let runtime = compose::runtime()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let running = opened.map_err(|error| of_opening(&error)).and_then(|home| {
        let lock = home.lock_engine().map_err(|error| of_starting(&error))?;
        let _entered = runtime.enter();
        let engine = home.start_engine(lock);
        Ok(Running { home: Arc::new(home), engine })
    });
    if let Ok(running) = &running
        && let Ok(settings) = runtime.block_on(running.store().app_settings())
    {
        logging.set_level(&settings.log_level);
    }
    let shown = show(Start { folder, running, first, patient_page: None, clock, logging });
    runtime.shutdown_timeout(serve::LAST_MOMENT);
    shown
}

/// The desktop app on the made-up clinic, until somebody quits it.
pub fn run_demo(home: Home, clock: Arc<dyn Clock>, logging: LogControl) -> Result<(), Failure> {
    let folder = home.folder().clone();
    let home = Arc::new(home);
    let lock = home.lock_engine()?;
    let runtime = compose::runtime()?;
    tauri::async_runtime::set(runtime.handle().clone());
    // The simulator comes first, so that the engine finds it at once.
    let demo = runtime.block_on(Demo::start(home.clone()))?;
    let engine = {
        let _entered = runtime.enter();
        home.start_engine(lock)
    };
    let patient_page = Some(demo.patient_page());
    let running = Ok(Running { home, engine });
    let shown = show(Start { folder, running, first: First::Window, patient_page, clock, logging });
    runtime.block_on(demo.stop());
    runtime.shutdown_timeout(serve::LAST_MOMENT);
    shown
}

fn show(start: Start) -> Result<(), Failure> {
    let not_here = |cause| Failure {
        sentence:
            "The desktop app cannot be shown here. Start it in a desktop session, or run the serve command."
                .to_owned(),
        cause,
    };
    // Where there is no display, some systems' windows do not fail but panic.
    match std::panic::catch_unwind(AssertUnwindSafe(|| desktop::run(start))) {
        Ok(shown) => shown.map_err(|error| not_here(Some(format!("{error:#}")))),
        Err(_) => Err(not_here(None)),
    }
}

fn of_starting(error: &StartError) -> ProblemView {
    ProblemView { code: ErrorCode::FileFailed, message: error.to_string(), since: None }
}

fn of_opening(error: &OpenError) -> ProblemView {
    tracing::error!(cause = error_chain(error), "The records cannot be opened.");
    let code = match error {
        OpenError::WrongKey | OpenError::KeyMissing(_) | OpenError::KeyringEntryBad => {
            ErrorCode::StoreWrongKey
        }
        OpenError::KeyringLocked => ErrorCode::KeyringLocked,
        OpenError::KeyringUnavailable | OpenError::KeyringFailed(_) => ErrorCode::KeyringMissing,
        OpenError::KeyFileBad { problem: KeyFileProblem::OpenToOthers { .. }, .. } => {
            ErrorCode::KeyFileTooOpen
        }
        OpenError::TooNew { .. } => ErrorCode::StoreTooNew,
        OpenError::DiskFull => ErrorCode::DiskFull,
        OpenError::ReadOnlyFolder(_) | OpenError::FolderMissing(_) | OpenError::NotAFolder(_) => {
            ErrorCode::FolderReadOnly
        }
        OpenError::Damaged | OpenError::DamagedInUse => ErrorCode::StoreDamaged,
        OpenError::KeyFileBad { .. } => ErrorCode::StoreWrongKey,
        OpenError::TooOld | OpenError::Busy | OpenError::Failed(_) => ErrorCode::Unknown,
    };
    ProblemView { code, message: error.to_string(), since: None }
}
