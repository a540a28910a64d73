//! Listens to the engine and pushes whole views: to the tray always, to the window while it is open.

use crate::desktop::{Desk, Running, push};
use crate::present::documents::{DocumentsOfBookings, by_booking};
use crate::present::people::ValdOfBookings;
use crate::present::{self, Inputs, LastDay, instant};
use crate::view::{
    AboutView, AppView, ErrorCode, LogLevel, PracticeSetupView, ProblemView, ProfileView, RegistrationView,
    SettingsView, UiError,
};
use crate::{decisions, hookup, linking, patients, settings, tray, windows};
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::Entry;
use domain::ids::PracticeId;
use domain::ports::documents::DocumentLedger;
use domain::ports::store::{Activity, ActivityLine, Leg, Marks, Revision, SettingsBook, StoreError};
use domain::ports::webhooks::ListenerState;
use domain::settings::{AppSettings, ListenerSettings, PracticeSettings};
use domain::time::PracticeZone;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use store::Notice;
use sync::state::EngineState;
use tauri::{AppHandle, Manager};
use tauri_plugin_autostart::ManagerExt;
use tokio::sync::watch;

/// Views come no faster than this.
const BETWEEN_VIEWS: TimeDelta = TimeDelta::milliseconds(150);
/// A light that has proof no more must change although nothing happens.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(20);
/// The ledger is read again after this long although nothing is said to have moved in it.
const READ_ANEW: TimeDelta = TimeDelta::seconds(15);
/// A gap this long between two views means that the computer slept, and that every proof is old.
const SLEPT: TimeDelta = TimeDelta::seconds(60);

/// Pushes views until the program ends.
pub async fn run(app: AppHandle, desk: Arc<Desk>, mut shown: tray::Look) {
    let mut engine = desk.running().ok().map(|running| running.engine.state());
    loop {
        let view = view(&app, &desk).await;
        let look = tray::look(&present::tray_facts(&view));
        if look != shown {
            tray::update(&app, look.clone());
            shown = look;
        }
        #[cfg(not(target_os = "linux"))]
        crate::quick_open::keep_ready(&app, &desk, &view);
        if windows::is_open(&app) {
            push(&app, view);
        }
        desk.clock().sleep_until(desk.now() + BETWEEN_VIEWS).await;
        wait_for_news(&desk, &mut engine).await;
    }
}

async fn wait_for_news(desk: &Desk, engine: &mut Option<watch::Receiver<EngineState>>) {
    let clock = desk.clock();
    let news = async {
        let Some(state) = engine.as_mut() else { return std::future::pending().await };
        if state.changed().await.is_err() {
            // The engine's end is news, once.
            *engine = None;
        }
    };
    tokio::select! {
        () = news => {}
        () = desk.asked_to_look() => {}
        () = clock.sleep_until(desk.now() + LOOK_EVERY) => {}
    }
}

/// What the last view was made of, so that the next one reads only what moved.
#[derive(Default)]
pub struct Seen {
    /// Rises with every view.
    revision: u32,
    /// When the last view was made.
    looked_at: Option<DateTime<Utc>>,
    /// Since when each practice has been set up as it is.
    set_up: BTreeMap<PracticeId, (PracticeSettings, DateTime<Utc>)>,
    engine_ended_at: Option<DateTime<Utc>>,
    ledger: Option<Ledger>,
    choices: Option<Choices>,
    /// With every view, because it moves without the ledger; few bookings are open.
    at_vald: ValdOfBookings,
    profiles: Option<(Vec<FileStamp>, Vec<ProfileView>)>,
}

/// What was read of the ledger, and at which of its moves.
struct Ledger {
    moves: u64,
    half_hour: DateTime<Utc>,
    read_at: DateTime<Utc>,
    open: Vec<Entry>,
    days: BTreeMap<PracticeId, LastDay>,
    documents: DocumentsOfBookings,
    unseen: BTreeMap<PracticeId, Vec<ActivityLine>>,
}

/// What was chosen, and at which revision of the store.
struct Choices {
    revision: u64,
    settings: AppSettings,
    setups: BTreeMap<PracticeId, PracticeSetupView>,
    registrations: Vec<RegistrationView>,
    autostart: Option<bool>,
}

/// The name of a file, when it was changed, and its length.
type FileStamp = (OsString, Option<SystemTime>, u64);

impl Seen {
    /// Forgets what was read of the ledger.
    pub fn read_the_ledger_anew(&mut self) {
        self.ledger = None;
    }

    /// Notes since when each practice has been set up as it is. After a sleep all of them count from anew.
    fn note_set_up(&mut self, engine: &EngineState, now: DateTime<Utc>) {
        if self.looked_at.is_some_and(|at| now - at > SLEPT) {
            self.set_up.clear();
        }
        self.looked_at = Some(now);
        self.set_up.retain(|id, (settings, _)| {
            engine.practices.get(id).is_some_and(|practice| practice.settings == *settings)
        });
        for (id, practice) in &engine.practices {
            self.set_up.entry(id.clone()).or_insert_with(|| (practice.settings.clone(), now));
        }
    }

    fn note_whether_it_runs(&mut self, running: &Running, now: DateTime<Utc>) {
        if running.engine.state().has_changed().is_err() && self.engine_ended_at.is_none() {
            // Also when somebody quits; a panic is in the log already.
            tracing::info!("The engine has ended.");
            self.engine_ended_at = Some(now);
        }
    }

    async fn read(
        &mut self,
        app: &AppHandle,
        running: &Running,
        engine: &EngineState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let half_hour = sync::flows::half_hour(now);
        let moves = engine.ledger_moves;
        let is_current = |ledger: &Ledger| {
            let young = (TimeDelta::zero()..READ_ANEW).contains(&(now - ledger.read_at));
            ledger.moves == moves && ledger.half_hour == half_hour && young
        };
        if !self.ledger.as_ref().is_some_and(is_current) {
            let store = running.store();
            let mut ledger = Ledger {
                moves,
                half_hour,
                read_at: now,
                open: store.open_bookings().await?,
                days: BTreeMap::new(),
                documents: BTreeMap::new(),
                unseen: BTreeMap::new(),
            };
            for id in engine.practices.keys() {
                ledger.days.insert(id.clone(), last_day(&store, id, now).await?);
                by_booking(&mut ledger.documents, store.documents_of_bookings(id).await?);
                ledger.unseen.insert(id.clone(), decisions::unseen(&store, id, now).await?);
            }
            self.ledger = Some(ledger);
        }
        let store = running.store();
        let open = self.ledger.iter().flat_map(|ledger| &ledger.open);
        self.at_vald = patients::of_bookings(&store, engine, open, now).await?;
        let revision = store.revision().await?;
        if self.choices.as_ref().is_none_or(|choices| choices.revision != revision) {
            self.choices = Some(Choices {
                revision,
                settings: store.app_settings().await?,
                setups: linking::setups(store.as_ref()).await?,
                registrations: hookup::waiting(store.as_ref()).await?,
                autostart: app.autolaunch().is_enabled().ok(),
            });
        }
        Ok(())
    }

    /// What can be linked. The files are read again where one of them was changed.
    fn profiles(&mut self, folder: &Path) -> Vec<ProfileView> {
        let stamps = stamps(folder);
        match &self.profiles {
            Some((known, profiles)) if *known == stamps => profiles.clone(),
            Some(_) | None => {
                let profiles = linking::profiles(folder);
                self.profiles = Some((stamps, profiles.clone()));
                profiles
            }
        }
    }
}

fn stamps(folder: &Path) -> Vec<FileStamp> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let stamp = |entry: std::fs::DirEntry| {
        let found = entry.metadata().ok()?;
        Some((entry.file_name(), found.modified().ok(), found.len()))
    };
    let mut stamps: Vec<FileStamp> = entries.filter_map(|entry| stamp(entry.ok()?)).collect();
    stamps.sort();
    stamps
}

async fn last_day(store: &store::Store, id: &PracticeId, now: DateTime<Utc>) -> Result<LastDay, StoreError> {
    let since = now - TimeDelta::hours(24);
    let proven = store.marks(id, &sync::flows::proven_marks(&Leg::Desk)).await?;
    Ok(LastDay {
        round_trips: store.round_trips(id, since).await?,
        proven: proven.iter().map(|mark| sync::flows::half_hour(mark.at)).collect(),
        activity: store.told(id, since).await?,
    })
}

/// The view as it is now.
pub async fn view(app: &AppHandle, desk: &Desk) -> AppView {
    let mut seen = desk.seen().await;
    let now = desk.now();
    let mut problem = desk.problem();
    let mut engine = EngineState::default();
    let mut notices: Vec<ProblemView> = desk.told().into_iter().collect();
    if let Ok(running) = desk.running() {
        engine = running.engine.state().borrow().clone();
        notices.extend(running.home.notices().iter().map(notice_view));
        seen.note_set_up(&engine, now);
        seen.note_whether_it_runs(running, now);
        if let Err(error) = seen.read(app, running, &engine, now).await {
            let error = UiError::from(error);
            problem = Some(ProblemView { code: error.code, message: error.message, since: None });
        }
    }
    let profiles = seen.profiles(&desk.folder().profiles());
    seen.revision = seen.revision.wrapping_add(1);
    let set_up_at = seen.set_up.iter().map(|(id, (_, at))| (id.clone(), *at)).collect();
    let (no_days, nothing_unseen, no_setups, no_documents) = Default::default();
    let ledger = seen.ledger.as_ref();
    let choices = seen.choices.as_ref();
    let no_choices = AppSettings::default();
    present::app_view(Inputs {
        revision: seen.revision,
        now,
        engine: &engine,
        engine_ended_at: seen.engine_ended_at,
        set_up_at: &set_up_at,
        open: ledger.map_or(&[], |ledger| &ledger.open),
        unseen: ledger.map_or(&nothing_unseen, |ledger| &ledger.unseen),
        documents: ledger.map_or(&no_documents, |ledger| &ledger.documents),
        at_vald: &seen.at_vald,
        days: ledger.map_or(&no_days, |ledger| &ledger.days),
        setups: choices.map_or(&no_setups, |choices| &choices.setups),
        registrations: choices.map(|choices| choices.registrations.clone()).unwrap_or_default(),
        settings: settings_view(
            desk,
            choices.map_or(&no_choices, |choices| &choices.settings),
            choices.and_then(|choices| choices.autostart),
            engine.listener.as_ref(),
        ),
        profiles,
        about: AboutView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_folder: desk.folder().to_string(),
        },
        problem,
        notices,
        demo: desk.patient_page().is_some(),
        own_zone: own_zone(),
    })
}

fn notice_view(notice: &Notice) -> ProblemView {
    let code = match notice {
        Notice::DamagedMovedAside(_) => ErrorCode::StoreDamaged,
        Notice::RecordsGone => ErrorCode::StoreGone,
    };
    ProblemView { code, message: notice.to_string(), since: None }
}

/// This computer's zone, where it says one that we know.
fn own_zone() -> Option<String> {
    let name = iana_time_zone::get_timezone().ok()?;
    PracticeZone::parse(&name).map(|zone| zone.name().to_owned())
}

fn settings_view(
    desk: &Desk,
    settings: &AppSettings,
    autostart: Option<bool>,
    listening: Option<&ListenerState>,
) -> SettingsView {
    let listener = settings.listener.as_ref().map(|chosen| present::listener_view(chosen, listening));
    SettingsView {
        autostart,
        retention_days: settings.retention_days,
        minutes_to_decide: settings.decide_minutes,
        log_level: log_level(&settings.log_level),
        logs_folder: desk.logging().folder().display().to_string(),
        listener,
        offered_listener: settings::listener_view(&ListenerSettings::at(ListenerSettings::ADDRESS)),
        quick_open_keys: settings.quick_open_keys.clone(),
        quick_open_problem: desk.quick_open().problem(),
    }
}

/// The level in the store → the view's.
pub fn log_level(level: &str) -> LogLevel {
    match level {
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        _ => LogLevel::Info,
    }
}

/// The view for a window that has just opened.
pub async fn first_view(app: &AppHandle) -> AppView {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    tracing::debug!(at = instant(desk.now()), "A window asks for its first view.");
    view(app, &desk).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_again_when_a_file_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut seen = Seen::default();
        let own = |profiles: &[ProfileView]| profiles.iter().filter(|profile| profile.own).count();
        assert_eq!(own(&seen.profiles(folder.path())), 0);
        std::fs::write(folder.path().join("ours.toml"), "name = 1").expect("writes");
        let shown = seen.profiles(folder.path());
        assert_eq!(own(&shown), 1);
        let said = |profiles: &[ProfileView]| {
            profiles
                .iter()
                .filter_map(|profile| profile.problem.clone())
                .map(|p| p.message)
                .collect::<Vec<_>>()
        };
        std::fs::write(folder.path().join("ours.toml"), "a longer mistake = [").expect("writes");
        assert_ne!(said(&seen.profiles(folder.path())), said(&shown));
    }

    #[test]
    fn what_happened_to_the_records_has_its_own_words() {
        assert_eq!(notice_view(&Notice::RecordsGone).code, ErrorCode::StoreGone);
        let moved = notice_view(&Notice::DamagedMovedAside("/data/companion.db.damaged-1".into()));
        assert_eq!(moved.code, ErrorCode::StoreDamaged);
        assert!(moved.message.contains("companion.db.damaged-1"));
    }
}
