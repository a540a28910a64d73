//! What the simulated service knows of its practices, and what came in.
//!
//! What each subject adds, and what can be inspected of it, stands in that subject's file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attachments::SimAttachment;
use super::availability::{PublishedDay, ReceivedSnapshot, SimAvailabilityRequest};
use super::bookings::{BookingAnswer, SimBooking, SimBookingUpdate};
use super::client_snapshots::{ReceivedClientSnapshot, SimClientSnapshotRequest};
use super::configuration::ReceivedConfiguration;
use super::deliveries::Deliveries;
use super::documents::{SimUploadRequest, UploadedDocument};
use super::health::PollGap;
use crate::sim::door::Faulty;
use crate::sim::faults::FaultSwitches;
use crate::sim::journal::{RequestCounts, counted_as, push_bounded};

/// Raw snapshots kept for each resource and day.
pub(super) const SNAPSHOTS_KEPT: usize = 100;

/// Whether the practice lets us work for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Consent {
    /// Everything is answered.
    Granted,
    /// Was granted once; everything is answered with 403.
    Revoked,
    /// Everything is answered with 403.
    NeverGranted,
}

/// A practice that the simulator plays Healthengine for. The keys are made up.
#[derive(Clone)]
pub struct SimPractice {
    /// Shown on the page.
    pub name: String,
    /// Value of the `practice-id` header.
    pub practice_id: String,
    /// Value of the `practice-key` header.
    pub practice_key: String,
    /// Value of the `api-key` header.
    pub api_key: String,
    /// In which all practice-local times are.
    pub time_zone: Tz,
    /// How things stand at the start.
    pub consent: Consent,
}

/// A request that the simulator refused because of what it said (injected faults are not among them).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// When.
    pub at: DateTime<Utc>,
    /// Value of the `practice-id` header, if there was one.
    pub practice_id: Option<String>,
    /// Method.
    pub method: String,
    /// Path below the base URL.
    pub path: String,
    /// The status it was answered with; 200 for a part of a batch that was not accepted.
    pub status: u16,
    /// Why.
    pub reason: String,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Rises with each request, over all practices.
    pub number: u64,
    /// When it was handled, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// Value of the `practice-id` header, if there was one.
    pub practice_id: Option<String>,
    /// Method.
    pub method: String,
    /// Path below the base URL.
    pub path: String,
    /// What the service answered, or would have: a fault after the effect does not change it.
    pub status: Option<u16>,
    /// True when the service saw the request and acted on it.
    pub took_effect: bool,
}

/// Why a booking could not be cancelled, or something could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskRefusal {
    /// No such practice.
    #[error("there is no practice {0}")]
    UnknownPractice(String),
    /// No such booking.
    #[error("there is no booking {0}")]
    UnknownBooking(i64),
    /// No such request.
    #[error("there is no request {0}")]
    UnknownRequest(i64),
    /// It has been cancelled before.
    #[error("booking {0} is cancelled already")]
    AlreadyCancelled(i64),
    /// The saved state is not one of ours.
    #[error("this is not a saved state of the Healthengine simulator")]
    NotASavedState,
}

/// What is kept of a practice over a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PracticeRecord {
    pub consent: Consent,
    pub liveness_contract: Option<Value>,
    pub resources: Option<Vec<Value>>,
    pub appointment_types: Option<Vec<Value>>,
    pub availability: BTreeMap<String, BTreeMap<NaiveDate, PublishedDay>>,
    pub bookings: BTreeMap<i64, SimBooking>,
    pub updates: BTreeMap<i64, SimBookingUpdate>,
    pub availability_requests: Vec<SimAvailabilityRequest>,
    pub change_requests: BTreeMap<i64, DateTime<Utc>>,
    pub resources_asked_at: Option<DateTime<Utc>>,
    pub appointment_types_asked_at: Option<DateTime<Utc>>,
    pub features: BTreeSet<String>,
    pub subscriptions: BTreeMap<String, Value>,
    /// Bookings that were asked about and answered, so that an answer that was lost can be repeated.
    #[serde(default)]
    pub changes_told: BTreeSet<i64>,
    #[serde(default)]
    pub client_snapshot_requests: Vec<SimClientSnapshotRequest>,
    #[serde(default)]
    pub available_requests: BTreeMap<i64, DateTime<Utc>>,
    #[serde(default)]
    pub available_documents: BTreeMap<String, Value>,
    #[serde(default)]
    pub upload_requests: Vec<SimUploadRequest>,
    #[serde(default)]
    pub attachments: BTreeMap<i64, SimAttachment>,
}

pub(super) struct Practice {
    pub settings: SimPractice,
    pub record: PracticeRecord,
    pub last_poll_at: Option<DateTime<Utc>>,
    pub poll_gaps: Vec<PollGap>,
    pub snapshots: BTreeMap<(String, NaiveDate), Vec<ReceivedSnapshot>>,
    pub configuration: Vec<ReceivedConfiguration>,
    pub client_snapshots: Vec<ReceivedClientSnapshot>,
    pub uploads: Vec<UploadedDocument>,
    /// What was said about bookings that Healthengine does not have either.
    pub answers_about_unknown: Vec<(i64, BookingAnswer)>,
    pub callback_errors: VecDeque<Value>,
}

/// Everything that the simulator knows. Read it through `HealthengineSim::inspect`.
pub struct SimState {
    pub(super) practices: BTreeMap<String, Practice>,
    pub(super) last_booking_id: i64,
    pub(super) last_request_id: i64,
    pub(super) last_subscription: u64,
    pub(super) faults: FaultSwitches,
    pub(super) refused_api_keys: BTreeSet<String>,
    pub(super) deliveries: Deliveries,
    counts: RequestCounts,
    exchanges: VecDeque<Exchange>,
    exchange_count: u64,
    refusals: VecDeque<Refusal>,
}

impl Faulty for SimState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

impl PracticeRecord {
    fn new(consent: Consent) -> Self {
        Self {
            consent,
            liveness_contract: None,
            resources: None,
            appointment_types: None,
            availability: BTreeMap::new(),
            bookings: BTreeMap::new(),
            updates: BTreeMap::new(),
            availability_requests: Vec::new(),
            change_requests: BTreeMap::new(),
            resources_asked_at: None,
            appointment_types_asked_at: None,
            features: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            changes_told: BTreeSet::new(),
            client_snapshot_requests: Vec::new(),
            available_requests: BTreeMap::new(),
            available_documents: BTreeMap::new(),
            upload_requests: Vec::new(),
            attachments: BTreeMap::new(),
        }
    }
}

impl Practice {
    fn new(settings: SimPractice) -> Self {
        let record = PracticeRecord::new(settings.consent);
        Self {
            settings,
            record,
            last_poll_at: None,
            poll_gaps: Vec::new(),
            snapshots: BTreeMap::new(),
            configuration: Vec::new(),
            client_snapshots: Vec::new(),
            uploads: Vec::new(),
            answers_about_unknown: Vec::new(),
            callback_errors: VecDeque::new(),
        }
    }
}

impl SimState {
    pub(super) fn new(practices: Vec<SimPractice>) -> Self {
        Self {
            practices: practices
                .into_iter()
                .map(|settings| (settings.practice_id.clone(), Practice::new(settings)))
                .collect(),
            last_booking_id: 9_001_000,
            last_request_id: 500,
            last_subscription: 0,
            faults: FaultSwitches::default(),
            refused_api_keys: BTreeSet::new(),
            deliveries: Deliveries::default(),
            counts: RequestCounts::default(),
            exchanges: VecDeque::new(),
            exchange_count: 0,
            refusals: VecDeque::new(),
        }
    }

    pub(super) fn practice_mut(&mut self, practice_id: &str) -> Result<&mut Practice, DeskRefusal> {
        self.practices
            .get_mut(practice_id)
            .ok_or_else(|| DeskRefusal::UnknownPractice(practice_id.to_owned()))
    }

    pub(super) fn note_exchange(
        &mut self,
        at: DateTime<Utc>,
        practice_id: Option<&str>,
        method: &str,
        path: &str,
        status: Option<u16>,
        took_effect: bool,
    ) {
        self.exchange_count += 1;
        self.counts.count(practice_id.unwrap_or_default(), counted_as(method, path, is_number));
        push_bounded(
            &mut self.exchanges,
            Exchange {
                number: self.exchange_count,
                at,
                practice_id: practice_id.map(str::to_owned),
                method: method.to_owned(),
                path: path.to_owned(),
                status,
                took_effect,
            },
        );
    }

    pub(super) fn note_refusal(&mut self, refusal: Refusal) {
        push_bounded(&mut self.refusals, refusal);
    }

    // ---- inspection ----

    /// The practices' ids.
    pub fn practice_ids(&self) -> impl Iterator<Item = &str> {
        self.practices.keys().map(String::as_str)
    }

    /// What `GET /requests` would answer, without counting as a poll.
    #[must_use]
    pub fn outstanding(&self, practice_id: &str) -> Vec<&'static str> {
        self.practices
            .get(practice_id)
            .map(|practice| super::routes::outstanding(&practice.record))
            .unwrap_or_default()
    }

    /// How many requests of a kind a practice has sent, those struck by a fault included. Numbers in the
    /// path count as `{id}`: `requests("1", "POST", "/bookings/{id}/confirmInsert")`.
    #[must_use]
    pub fn requests(&self, practice_id: &str, method: &str, path: &str) -> u64 {
        self.counts.of(practice_id, method, path)
    }

    /// Every request and what became of it, oldest first (the last ten thousand).
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Every request that was refused because of what it said, oldest first (the last ten thousand).
    pub fn refusals(&self) -> impl DoubleEndedIterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// The refusals that mean a mistake in the client: not 401 and 403, which a test may well provoke, nor 410, which a
    /// document's answer gets that is given again because it was lost.
    pub fn not_understood(&self) -> impl DoubleEndedIterator<Item = &Refusal> {
        self.refusals.iter().filter(|refusal| !matches!(refusal.status, 401 | 403 | 410))
    }

    /// The faults that are switched on.
    #[must_use]
    pub fn faults(&self) -> &FaultSwitches {
        &self.faults
    }

    // ---- saving ----

    pub(super) fn saved(&self) -> Value {
        let practices: BTreeMap<&str, &PracticeRecord> =
            self.practices.iter().map(|(id, practice)| (id.as_str(), &practice.record)).collect();
        json!({
            "format": SAVED_FORMAT,
            "lastBookingId": self.last_booking_id,
            "lastRequestId": self.last_request_id,
            "lastSubscription": self.last_subscription,
            "practices": practices,
        })
    }

    /// Takes a saved state over. Practices that are no longer configured are dropped.
    pub(super) fn restore(&mut self, saved: &Value) -> Result<(), DeskRefusal> {
        let number = |key: &str| saved.get(key).and_then(Value::as_i64).ok_or(DeskRefusal::NotASavedState);
        if saved.get("format").and_then(Value::as_str) != Some(SAVED_FORMAT) {
            return Err(DeskRefusal::NotASavedState);
        }
        let (booking, request) = (number("lastBookingId")?, number("lastRequestId")?);
        let subscription =
            u64::try_from(number("lastSubscription")?).map_err(|_| DeskRefusal::NotASavedState)?;
        let records = saved.get("practices").cloned().ok_or(DeskRefusal::NotASavedState)?;
        let records: BTreeMap<String, PracticeRecord> =
            serde_json::from_value(records).map_err(|_| DeskRefusal::NotASavedState)?;
        for (id, record) in records {
            if let Some(practice) = self.practices.get_mut(&id) {
                practice.record = record;
            }
        }
        self.last_booking_id = booking;
        self.last_request_id = request;
        self.last_subscription = subscription;
        Ok(())
    }
}

const SAVED_FORMAT: &str = "healthengine-simulator-1";

/// `YYYY-MM-DD HH:MM:SS` in UTC, without a zone, as the service writes instants.
pub(super) fn wire_time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// What was given out is a number, and everything else in a path is a word.
fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}
