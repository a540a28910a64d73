//! A desk on the made-up clinic, with both simulators, for tests of what the window asks. It is a Wednesday morning
//! there, whatever day it is here, so that somebody comes.

use super::{Demo, PRACTICE};
use crate::cli::First;
use crate::clock::SystemClock;
use crate::compose::DataFolder;
use crate::desktop::{Desk, Running, Start};
use crate::logging::{self, LogFormat};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connectors::partners::vald::sim::ValdSim;
use domain::ids::{PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::store::SettingsBook;
use std::sync::Arc;
use store::Store;
use sync::state::PracticeState;

/// The clock of this computer, put to another day.
struct Moved(TimeDelta);

#[async_trait]
impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        SystemClock.sleep_until(at - self.0).await;
    }
}

/// The desk and what it works with.
pub struct MadeUp {
    pub desk: Desk,
    pub practice: PracticeId,
    demo: Demo,
    _folder: tempfile::TempDir,
}

impl MadeUp {
    /// A clinic whose engine runs.
    pub async fn running() -> Self {
        Self::start(true).await
    }

    /// A clinic that is switched off, so that nothing was sent to anybody.
    pub async fn paused() -> Self {
        Self::start(false).await
    }

    async fn start(enabled: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::choose(Some(folder.path().join("demo"))).expect("a folder");
        let wednesday = DateTime::parse_from_rfc3339("2026-11-25T10:00:00+11:00").expect("an instant");
        let clock: Arc<dyn Clock> = Arc::new(Moved(wednesday.to_utc() - SystemClock.now()));
        let (at, with) = (data.clone(), clock.clone());
        let home = tokio::task::spawn_blocking(move || Demo::open(at, with)).await.expect("no panic");
        let home = Arc::new(home.expect("opens"));
        let lock = home.lock_engine().expect("nobody else runs it");
        let demo = Demo::start(home.clone()).await.expect("starts");
        let practice = PracticeId::new(PRACTICE);
        // Nobody waits for VALD's pace here.
        demo.hub.set_conduct(|conduct| conduct.throttle = None);
        let mut settings = home.store().practices().await.expect("reads").remove(0);
        settings.enabled = enabled;
        if let Some(account) = &mut settings.vald {
            account.between_requests = TimeDelta::zero();
        }
        home.store().save_practice(&settings).await.expect("saves");
        let engine = home.start_engine(lock);
        let desk = Desk::new(Start {
            folder: data,
            running: Ok(Running { home, engine }),
            first: First::Tray,
            patient_page: Some(demo.patient_page()),
            clock,
            // Where a test says why it failed.
            logging: logging::start(None, Some(LogFormat::Text)),
        });
        Self { desk, practice, demo, _folder: folder }
    }

    pub fn store(&self) -> Arc<Store> {
        self.demo.home.store()
    }

    /// The simulated VALD Hub.
    pub fn hub(&self) -> &ValdSim {
        &self.demo.hub
    }

    /// Waits until the engine's state of the practice is so, and returns it.
    pub async fn once(&self, is_so: impl Fn(&PracticeState) -> bool) -> PracticeState {
        let mut state = self.desk.running().expect("runs").engine.state();
        let known = state
            .wait_for(|state| state.practices.get(&self.practice).is_some_and(&is_so))
            .await
            .expect("the engine runs");
        known.practices.get(&self.practice).cloned().expect("is there")
    }

    /// Somebody of the book who agreed, and somebody who was not asked.
    pub async fn two_patients(&self) -> (PatientRef, PatientRef) {
        let state = self.once(|practice| practice.people.is_some()).await;
        let people = state.people.expect("read");
        let mut patients = people.directory.patients();
        // Two of three agreed.
        let agreed = patients.next().expect("somebody");
        (agreed, patients.nth(1).expect("more"))
    }

    pub async fn stop(self) {
        if let Ok(running) = self.desk.running() {
            running.engine.stop().await;
        }
        self.demo.stop().await;
    }
}
