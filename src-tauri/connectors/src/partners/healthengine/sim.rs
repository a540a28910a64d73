//! A Healthengine to try things on: the PMS API of the contract sheet on 127.0.0.1, and the page "Act as a
//! patient".
//!
//! It is written from the contract and speaks raw JSON, so that it shares no mistake with the client. It is
//! strict: whatever the service would refuse is refused and written down, mistakes of units included. It
//! misbehaves on request ([`crate::sim::faults`]), and everything it knows can be looked at ([`SimState`]).
//!
//! Where the contract leaves something open, this is what the simulator does:
//! - a wrong `practice-id` or `practice-key` is 401 like a wrong `api-key`; a consent that was revoked or
//!   never granted is 403 on every path;
//! - a booking that nobody answers stays `Requested` on the wire, although the patient believes in it after
//!   20 s; a rejection later than that makes it `Confirmed`;
//! - a confirmation after a timely rejection, and a rejection after a confirmation, are 400;
//! - a booked time stays hidden until a *new* snapshot of that day arrives after the booking was answered;
//! - `noPmsAppointmentChange` is 400 for a booking that was never asked about; `cancel` and `didNotAttend` are
//!   taken unasked, and also about an unknown booking that was asked about.
//!
//! What it reads into features, documents, client snapshots, subscriptions and callbacks stands in the files of
//! those names. Callbacks go to this computer only, over plain `http` too: it is a simulator on loopback.

mod attachments;
mod availability;
mod bookings;
mod client_snapshots;
mod configuration;
mod deliveries;
mod documents;
mod features;
mod health;
mod http;
mod lifecycle;
mod page;
mod patient;
mod routes;
mod rules;
mod state;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use attachments::{AttachmentAnswer, PatientDocument, SimAttachment};
pub use availability::{FreeTime, PublishedDay, ReceivedSnapshot, SimAvailabilityRequest};
pub use bookings::{
    BookRefusal, BookedPlace, BookingAnswer, BookingAnswerKind, BookingStatus, REPICK_WINDOW, SimBooking,
    SimBookingUpdate,
};
pub use client_snapshots::{ReceivedClientSnapshot, SimClientSnapshotRequest, SnapshotDateType};
pub use configuration::{ConfigurationKind, ReceivedConfiguration};
pub use deliveries::{
    CALLBACK_LIMIT, DeliveryAttempt, DeliveryResult, DeliveryState, REPEATS_AFTER_SECONDS, SimDelivery,
};
pub use documents::{SimUploadRequest, UploadAnswer, UploadedDocument};
pub use features::Feature;
pub use health::{Health, MissedDeadline, PollGap};
pub use patient::PatientDetails;
pub use rules::PublishedRange;
pub use state::{Consent, DeskRefusal, Exchange, Refusal, SimPractice, SimState};

use crate::sim::faults::FaultRule;
use crate::sim::{LoopbackServer, Observed, SimClock, WaitedTooLong};

/// What a simulator is started with.
pub struct HealthengineSimConfig {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The practices on Healthengine.
    pub practices: Vec<SimPractice>,
    /// Read at the start if it is there, and written whenever bookings, configuration, availability or
    /// consent have changed.
    pub state_file: Option<PathBuf>,
}

/// Why a simulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SimStartError {
    /// The port is taken or forbidden.
    #[error("the simulator cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The file is there and cannot be read.
    #[error("the simulator's saved state cannot be read")]
    StateFile(#[source] io::Error),
    /// The file is not one that a simulator wrote.
    #[error("the simulator's saved state is damaged")]
    DamagedState,
}

/// A running simulator. Dropping it stops it.
pub struct HealthengineSim {
    shared: Arc<http::Shared>,
    server: Option<LoopbackServer>,
    saving: Option<Beside>,
    delivering: Option<Beside>,
}

/// A task that runs beside the server.
struct Beside {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl HealthengineSim {
    /// Starts a simulator that goes by `clock`.
    ///
    /// # Errors
    /// [`SimStartError`] when the port or the saved state cannot be had.
    pub async fn start(config: HealthengineSimConfig, clock: SimClock) -> Result<Self, SimStartError> {
        let mut state = SimState::new(config.practices);
        if let Some(file) = &config.state_file {
            match tokio::fs::read(file).await {
                Ok(bytes) => {
                    let saved: Value =
                        serde_json::from_slice(&bytes).map_err(|_| SimStartError::DamagedState)?;
                    state.restore(&saved).map_err(|_| SimStartError::DamagedState)?;
                }
                Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(SimStartError::StateFile(error)),
            }
        }
        let mut shared = None;
        let server = LoopbackServer::start(config.port, |address, stopping| {
            let made = Arc::new(http::Shared { state: Observed::new(state), clock, address, stopping });
            shared = Some(Arc::clone(&made));
            page::router(made)
        })
        .await
        .map_err(SimStartError::Listen)?;
        let shared = shared.expect("a server that started has built its router");
        let saving = config.state_file.map(|file| {
            let (stop, stopped) = oneshot::channel();
            Beside { stop, task: tokio::spawn(keep_saved(Arc::clone(&shared), file, stopped)) }
        });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(deliveries::deliver(Arc::clone(&shared), stopped));
        let delivering = Some(Beside { stop, task });
        Ok(Self { shared, server: Some(server), delivering, saving })
    }

    /// What a client is configured with, such as `http://127.0.0.1:40123/pms-api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.shared.address, http::API_PATH)
    }

    /// The page "Act as a patient".
    #[must_use]
    pub fn page_url(&self) -> String {
        format!("http://{}/", self.shared.address)
    }

    /// Looks at everything that the simulator knows.
    pub fn inspect<R>(&self, look: impl FnOnce(&SimState) -> R) -> R {
        self.shared.state.read(look)
    }

    /// Returns as soon as `condition` holds. It is looked at after each change, so no test needs to sleep.
    ///
    /// # Errors
    /// [`WaitedTooLong`] when it does not hold within `timeout` of real time.
    pub async fn wait_until(
        &self,
        condition: impl Fn(&SimState) -> bool,
        timeout: Duration,
    ) -> Result<(), WaitedTooLong> {
        self.shared.state.wait_until(condition, timeout).await
    }

    /// A patient books a published free time, which is taken at once. `start` is practice-local.
    ///
    /// # Errors
    /// [`BookRefusal`] when it is not on offer.
    pub fn book(
        &self,
        practice_id: &str,
        resource_id: &str,
        start: NaiveDateTime,
        appointment_type_id: Option<&str>,
        patient: &PatientDetails,
    ) -> Result<i64, BookRefusal> {
        let now = self.now();
        self.shared
            .state
            .change(|state| state.book(practice_id, resource_id, start, appointment_type_id, patient, now))
    }

    /// Puts a booking in whose ordinary fields have `fields` laid over them (the `patient` object field by
    /// field), and which is served exactly so, whatever it says. A `bookingId` among them is kept.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn force_book(&self, practice_id: &str, fields: &Value) -> Result<i64, DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.force_book(practice_id, fields, now))
    }

    /// Puts a booking in that has these fields and no others, apart from its number.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn force_book_exactly(&self, practice_id: &str, body: Value) -> Result<i64, DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.force_book_exactly(practice_id, body, now))
    }

    /// Puts a booking update in as raw JSON; its `bookingId` may name a booking that does not exist.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn force_update(&self, practice_id: &str, body: Value) -> Result<i64, DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.force_update(practice_id, body, now))
    }

    /// The patient cancels. Returns the request id of the booking update.
    ///
    /// # Errors
    /// When there is no such booking, or it is cancelled already.
    pub fn cancel_by_patient(&self, practice_id: &str, booking_id: i64) -> Result<i64, DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.cancel_by_patient(practice_id, booking_id, now))
    }

    /// Healthengine asks for a practice-local day's availability, of one resource or of all.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_availability(
        &self,
        practice_id: &str,
        day: NaiveDate,
        resource_id: Option<&str>,
    ) -> Result<(), DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.ask_availability(practice_id, day, resource_id, now))
    }

    /// Healthengine asks for the list of resources.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_resources(&self, practice_id: &str) -> Result<(), DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.ask_resources(practice_id, now))
    }

    /// Healthengine asks for the list of appointment types.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_appointment_types(&self, practice_id: &str) -> Result<(), DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.ask_appointment_types(practice_id, now))
    }

    /// Healthengine asks whether anything happened to a booking's appointment; the number may name none.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_changes(&self, practice_id: &str, booking_id: i64) -> Result<(), DeskRefusal> {
        let now = self.now();
        self.shared.state.change(|state| state.ask_changes(practice_id, booking_id, now))
    }

    /// Switches a fault on; the account of a rule is a practice id, its paths are below the base URL.
    /// Returns the number by which it is removed.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.shared.state.change(|state| state.faults.add(rule))
    }

    /// Switches a fault off, and lets the requests go on that it holds back; false when it is not there.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.shared.state.change(|state| state.faults.remove(id))
    }

    /// Switches every fault off.
    pub fn clear_faults(&self) {
        self.shared.state.change(|state| state.faults.clear(None));
    }

    /// What the service thinks of the integration now, or nothing when there is no such practice.
    #[must_use]
    pub fn health(&self, practice_id: &str) -> Option<Health> {
        let now = self.now();
        self.inspect(|state| state.health(practice_id, now))
    }

    /// Everything that outlives a restart: bookings, requests, configuration, availability, consent.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        self.inspect(SimState::saved)
    }

    /// Goes back to a [`Self::snapshot`], also one of another simulator with the same practices.
    ///
    /// # Errors
    /// [`DeskRefusal::NotASavedState`], and then nothing has changed.
    pub fn restore(&self, saved: &Value) -> Result<(), DeskRefusal> {
        self.shared.state.change(|state| state.restore(saved))
    }

    /// Stops, and returns once the port is free and the state is saved.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        for beside in [self.delivering.take(), self.saving.take()].into_iter().flatten() {
            // A task that has ended by itself has nothing left to do.
            let _ = beside.stop.send(());
            let _ = beside.task.await;
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.now()
    }

    fn change<R>(&self, act: impl FnOnce(&mut SimState, DateTime<Utc>) -> R) -> R {
        let now = self.now();
        self.shared.state.change(|state| act(state, now))
    }
}

/// Writes the state to `file` after each change, and once more at the end. Writes that would change nothing
/// are left out, since most changes are only entries in a journal.
async fn keep_saved(shared: Arc<http::Shared>, file: PathBuf, mut stopped: oneshot::Receiver<()>) {
    let mut changes = shared.state.subscribe();
    let mut written = Vec::new();
    let mut last = false;
    while !last {
        tokio::select! {
            // The sender goes with the simulator's handle, so an error here is the end as well.
            _ = &mut stopped => last = true,
            _ = changes.changed() => {}
        }
        let bytes = shared.state.read(SimState::saved).to_string().into_bytes();
        if bytes != written {
            match replace_file(&file, &bytes).await {
                Ok(()) => written = bytes,
                Err(error) => tracing::warn!(%error, "the Healthengine simulator's state was not saved"),
            }
        }
    }
}

/// Writes beside the file and renames, so that a kill leaves the old file or the new one.
async fn replace_file(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, file).await
}
