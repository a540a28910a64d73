//! Hands over the practice's days, with their patients, that a partner asks for (sheet §4.6, `clientSnapshots`).
//!
//! Only a practice that switched the feature on is ever asked. A day that was handed over is no longer asked for, so that
//! nothing has to be remembered, and a crash in between repeats harmlessly.

use super::documents::note_failure;
use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::pace;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked, SnapshotBy};
use domain::failure::{ReadError, WriteError};
use domain::ports::partner::{Partner, SnapshotReader};
use domain::ports::store::{ActivityLine, Leg};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The bookings' flow wakes this one when something is asked for; by itself it hardly has to look.
const LOOK_EVERY: TimeDelta = TimeDelta::hours(1);

/// How soon what failed, or could not be sent yet, is tried again.
const AGAIN_AFTER: TimeDelta = TimeDelta::seconds(30);

/// A day that the partner refused is handed over again after this: somebody may have mended the book.
const REFUSED_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

/// The days of one practice.
pub struct ClientSnapshots {
    ports: Ports,
    partner: Arc<dyn Partner>,
    /// When the partner last refused a day.
    refused: Mutex<BTreeMap<SnapshotAsked, DateTime<Utc>>>,
    /// Nothing is tried before this time, because it failed.
    not_before: Mutex<Option<DateTime<Utc>>>,
}

#[async_trait]
impl Flow for ClientSnapshots {
    fn name(&self) -> FlowName {
        FlowName::ClientSnapshots
    }

    async fn pass(&self) -> Outcome {
        let (now, wake) = (self.ports.clock.now(), BTreeSet::new());
        // Whoever woke us does not know that it failed, or that the partner asked for patience.
        if let Some(until) = self.paused().filter(|until| pace::is_pause(*until, now)) {
            return Outcome { again_at: until, wake };
        }
        let again_at = match self.run().await {
            Ok(again_after) => self.ports.clock.now() + again_after,
            Err(stop) => {
                let until = self.ports.stopped(stop, AGAIN_AFTER).await;
                *self.paused() = Some(until);
                until
            }
        };
        Outcome { again_at, wake }
    }
}

impl ClientSnapshots {
    /// The flow, if the partner reads days, the practice system serves them, and the practice switched it on.
    pub fn new(ports: Ports) -> Option<Self> {
        let partner = ports.partner.clone()?;
        partner.snapshot_reader()?;
        let account = ports.settings.healthengine.as_ref()?;
        let wanted = account.features.iter().any(|feature| feature == "clientSnapshots");
        let served = ports.practice.serves_snapshots();
        (wanted && served).then(|| Self {
            ports,
            partner,
            refused: Mutex::default(),
            not_before: Mutex::default(),
        })
    }

    /// One pass. Returns after how long the next one is due.
    async fn run(&self) -> Result<TimeDelta, Stop> {
        let Some(reader) = self.partner.snapshot_reader() else { return Ok(LOOK_EVERY) };
        // What is missing from these lists counts as deleted there, so a list that waits for somebody holds them back.
        if !self.ports.state.is_beyond_doubt(self.ports.id()) {
            return Ok(AGAIN_AFTER);
        }
        let asked = reader.snapshots_asked().await.map_err(|error| Stop::Failed(Leg::Desk, error))?;
        let asked: BTreeSet<SnapshotAsked> = asked.into_iter().collect();
        let mut first_failure = None;
        for day in asked {
            let now = self.ports.clock.now();
            let lately = self.refused_days().get(&day).copied();
            if lately.is_some_and(|at| (TimeDelta::zero()..REFUSED_AGAIN_AFTER).contains(&(now - at))) {
                continue;
            }
            match self.hand_over(reader, day).await {
                // Nobody answers, so that nothing else would be answered either.
                Err(silent @ Stop::Failed(_, ReadError::Unreachable(_))) => return Err(silent),
                // One day that cannot be read, or is not taken, keeps no other waiting.
                ended => note_failure(&mut first_failure, ended)?,
            }
        }
        first_failure.map_or(Ok(LOOK_EVERY), Err)
    }

    async fn hand_over(&self, reader: &dyn SnapshotReader, asked: SnapshotAsked) -> Result<(), Stop> {
        let snapshot = self.ports.practice.client_snapshot(asked).await;
        let snapshot = snapshot.map_err(|error| Stop::Failed(Leg::System, error))?;
        match reader.take_snapshot(&snapshot).await {
            Ok(()) => {
                self.refused_days().remove(&asked);
                self.tell("sent/client-snapshot", sent(&snapshot)).await
            }
            Err(
                WriteError::Refused(_) | WriteError::Untouched(ReadError::Invalid(_) | ReadError::NotFound),
            ) => {
                let first_time = self.refused_days().insert(asked, self.ports.clock.now()).is_none();
                if !first_time {
                    return Ok(());
                }
                let text = format!(
                    "Healthengine refuses the list of appointments {} that it asked for. It is tried again every hour. \
                     If this goes on, ask Healthengine's support, or switch the feature off under Connections.",
                    of_the_day(asked)
                );
                self.tell("look/client-snapshot", text).await
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                Err(Stop::Failed(Leg::Desk, error))
            }
        }
    }

    async fn tell(&self, kind: &str, text: String) -> Result<(), Stop> {
        let line = ActivityLine { at: self.ports.clock.now(), began_at: None, kind: kind.into(), text };
        Ok(self.ports.store.tell(self.ports.id(), &line).await?)
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, Option<DateTime<Utc>>> {
        self.not_before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused_days(&self) -> std::sync::MutexGuard<'_, BTreeMap<SnapshotAsked, DateTime<Utc>>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_the_day(asked: SnapshotAsked) -> String {
    let day = asked.day.format("%-d %B %Y");
    match asked.by {
        SnapshotBy::Appointment => format!("of {day}"),
        SnapshotBy::Creation => format!("made on {day}"),
    }
}

/// What left the building, in numbers.
fn sent(snapshot: &ClientSnapshot) -> String {
    let count = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    };
    format!(
        "Healthengine asked for the appointments {} and was sent {}, with names, phone numbers and consent to text \
         messages of {}.",
        of_the_day(snapshot.asked),
        count(snapshot.appointments.len(), "appointment", "appointments"),
        count(snapshot.patients.len(), "patient", "patients"),
    )
}
