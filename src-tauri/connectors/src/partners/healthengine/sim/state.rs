//! What the simulated service knows, what patients do to it, and what can be inspected.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::health::{self, Health, PollGap};
use super::patient::PatientDetails;
use super::rules::{PublishedRange, SHORTEST_USED_SLOT_SECONDS};
use crate::sim::faults::FaultSwitches;

/// A rejection this soon after creation lets the patient choose another time (contract sheet §6).
pub const REPICK_WINDOW: TimeDelta = TimeDelta::seconds(20);
/// The slot length used where neither the snapshot nor the appointment type gives one, in seconds.
const DEFAULT_SLOT_SECONDS: i64 = 900;
/// Journals keep this many entries, so that a demo that runs for weeks stays small.
const JOURNAL_LENGTH: usize = 10_000;
/// Raw snapshots kept for each resource and day.
const SNAPSHOTS_KEPT: usize = 100;

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

/// Where a booking stands, in the service's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingStatus {
    /// Waits for the practice system.
    Requested,
    /// Confirmed, or presumed so.
    Confirmed,
    /// By the patient, by the practice, or rejected in time.
    Cancelled,
}

impl BookingStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Confirmed => "Confirmed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What the practice system said about a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BookingAnswerKind {
    /// confirmInsert.
    Confirmed,
    /// rejectInsert within 20 s: the time is free again and the patient chooses another.
    Rejected,
    /// rejectInsert later than that: the patient believes in the booking, staff must ring.
    RejectedTooLate,
    /// cancel.
    CancelledByPractice,
    /// didNotAttend.
    DidNotAttend,
    /// noPmsAppointmentChange.
    NoChange,
}

/// One such answer, with its body as received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingAnswer {
    /// What was said.
    pub kind: BookingAnswerKind,
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// The body; null where there was none.
    pub body: Value,
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimBooking {
    /// Its number.
    pub booking_id: i64,
    /// When the patient booked, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// Where it stands.
    pub status: BookingStatus,
    /// The item of `/requests/bookings` as it was created; status and links are laid over it when served.
    pub body: Value,
    /// Put in as raw JSON, and served exactly so.
    pub forced: bool,
    /// The resource and the practice-local start and length (seconds), for bookings made from free time.
    pub place: Option<BookedPlace>,
    /// While true the time is not offered to anyone, whatever the last snapshot says.
    pub hides_time: bool,
    /// Everything that the practice system said about it, in order.
    pub answers: Vec<BookingAnswer>,
    /// When it was first confirmed or rejected.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it was first confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// From the last confirmation.
    pub pms_appointment_ids: Vec<String>,
    /// From the last confirmation.
    pub pms_patient_id: Option<String>,
}

/// The free time that a booking took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookedPlace {
    /// The resource.
    pub resource_id: String,
    /// Practice-local start.
    pub start: NaiveDateTime,
    /// Seconds.
    pub length_seconds: i64,
}

impl SimBooking {
    fn overlaps(&self, resource_id: &str, start: NaiveDateTime, end: NaiveDateTime) -> bool {
        self.hides_time
            && self.place.as_ref().is_some_and(|place| {
                place.resource_id == resource_id
                    && place.start < end
                    && start < place.start + TimeDelta::seconds(place.length_seconds)
            })
    }

    /// The bodies of all answers of one kind, in order.
    pub fn answers_of(&self, kind: BookingAnswerKind) -> impl Iterator<Item = &BookingAnswer> {
        self.answers.iter().filter(move |answer| answer.kind == kind)
    }

    /// What the patient is shown at `now`: after 20 s without an answer, a booking counts as accepted.
    #[must_use]
    pub fn patient_sees(&self, now: DateTime<Utc>) -> &'static str {
        match self.status {
            BookingStatus::Requested if now - self.created_at > REPICK_WINDOW => "Presumed confirmed",
            BookingStatus::Requested => "Waiting for the practice",
            BookingStatus::Confirmed if self.confirmed_at.is_none() => "Presumed confirmed",
            BookingStatus::Confirmed => "Confirmed",
            BookingStatus::Cancelled if self.answers_of(BookingAnswerKind::Rejected).next().is_some() => {
                "Choose another time"
            }
            BookingStatus::Cancelled => "Cancelled",
        }
    }
}

/// A change of a booking that waits for the practice system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimBookingUpdate {
    /// Rises in the order of creation, over all practices.
    pub request_id: i64,
    /// The booking; with a forced update, one that may not exist.
    pub booking_id: i64,
    /// When, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// The item as it was created.
    pub body: Value,
    /// When it was confirmed or rejected.
    pub answered_at: Option<DateTime<Utc>>,
    /// True when it was confirmed, false when rejected.
    pub confirmed: Option<bool>,
}

/// Healthengine asks for a day's availability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimAvailabilityRequest {
    /// Practice-local day.
    pub day: NaiveDate,
    /// Absent: every resource.
    pub resource_id: Option<String>,
    /// When it was asked.
    pub created_at: DateTime<Utc>,
    /// Resources whose snapshot has arrived since.
    pub received: BTreeSet<String>,
    /// When the last one needed arrived.
    pub answered_at: Option<DateTime<Utc>>,
}

/// What was last accepted for a resource and day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedDay {
    /// When.
    pub received_at: DateTime<Utc>,
    /// The ranges, as sent.
    pub ranges: Vec<PublishedRange>,
}

/// A snapshot as it came in, accepted or found to be there already.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSnapshot {
    /// When.
    pub received_at: DateTime<Utc>,
    /// The whole snapshot.
    pub body: Value,
    /// False: nothing had changed, and it was ignored.
    pub created: bool,
}

/// Configuration as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedConfiguration {
    /// When.
    pub received_at: DateTime<Utc>,
    /// What it is.
    pub kind: ConfigurationKind,
    /// The body.
    pub body: Value,
}

/// The three parts of a practice's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigurationKind {
    /// livenessContract.
    LivenessContract,
    /// pmsResources.
    Resources,
    /// pmsAppointmentTypes.
    AppointmentTypes,
}

/// One free time, as a patient sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreeTime {
    /// Practice-local.
    pub start: NaiveDateTime,
    /// Seconds.
    pub length_seconds: i64,
    /// The appointment types that can be booked then.
    pub appointment_type_ids: BTreeSet<String>,
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

/// Why a patient could not book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookRefusal {
    /// No such practice.
    #[error("there is no practice {0}")]
    UnknownPractice(String),
    /// The practice is not on Healthengine at present.
    #[error("the practice has not given its consent")]
    NoConsent,
    /// Nothing is published there, somebody was faster, or it has passed.
    #[error("{start} with {resource_id} is not free for this kind of appointment")]
    NotFree {
        /// The resource.
        resource_id: String,
        /// Practice-local.
        start: NaiveDateTime,
    },
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
}

pub(super) struct Practice {
    pub settings: SimPractice,
    pub record: PracticeRecord,
    pub last_poll_at: Option<DateTime<Utc>>,
    pub poll_gaps: Vec<PollGap>,
    pub snapshots: BTreeMap<(String, NaiveDate), Vec<ReceivedSnapshot>>,
    pub configuration: Vec<ReceivedConfiguration>,
}

/// Everything that the simulator knows. Read it through `HealthengineSim::inspect`.
pub struct SimState {
    pub(super) practices: BTreeMap<String, Practice>,
    pub(super) last_booking_id: i64,
    pub(super) last_request_id: i64,
    pub(super) last_subscription: u64,
    pub(super) faults: FaultSwitches,
    counts: BTreeMap<(String, String), u64>,
    exchanges: VecDeque<Exchange>,
    exchange_count: u64,
    refusals: VecDeque<Refusal>,
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
        }
    }

    pub fn knows_resource(&self, id: &str) -> bool {
        contains_id(self.resources.as_deref(), "pmsResourceId", id)
    }

    pub fn knows_appointment_type(&self, id: &str) -> bool {
        contains_id(self.appointment_types.as_deref(), "pmsAppointmentTypeId", id)
    }

    /// The types that a resource offers, each with its length in seconds where it has one.
    fn types_of<'r>(&'r self, resource_id: &'r str) -> impl Iterator<Item = (&'r str, Option<i64>)> {
        self.appointment_types.iter().flatten().filter_map(move |item| {
            let only_for = item.get("pmsResourceId").and_then(Value::as_str);
            let length = item.get("pmsAppointmentLength").and_then(Value::as_i64).map(|minutes| minutes * 60);
            only_for
                .is_none_or(|only| only == resource_id)
                .then(|| item.get("pmsAppointmentTypeId").and_then(Value::as_str))
                .flatten()
                .map(|id| (id, length))
        })
    }

    fn type_name(&self, id: &str) -> Option<&str> {
        self.appointment_types
            .iter()
            .flatten()
            .find(|item| item.get("pmsAppointmentTypeId").and_then(Value::as_str) == Some(id))?
            .get("pmsAppointmentTypeName")?
            .as_str()
    }

    /// A booking as `/requests/bookings` shows it.
    pub fn booking_item(&self, booking: &SimBooking) -> Value {
        let mut item = booking.body.clone();
        let Some(fields) = item.as_object_mut() else { return item };
        if booking.status == BookingStatus::Cancelled || !booking.forced {
            fields.insert("bookingStatus".to_owned(), json!(booking.status.as_str()));
        }
        if booking.forced {
            return item;
        }
        for (field, known) in [
            ("pmsResourceId", Self::knows_resource as fn(&Self, &str) -> bool),
            ("pmsAppointmentTypeId", Self::knows_appointment_type),
        ] {
            let gone = fields.get(field).and_then(Value::as_str).is_some_and(|id| !known(self, id));
            if gone {
                fields.insert(field.to_owned(), Value::Null);
            }
        }
        item
    }

    /// The critical requests that are open, for the health rules: what each is, and since when.
    fn critical(&self) -> impl Iterator<Item = (&'static str, DateTime<Utc>)> {
        let bookings = self.bookings.values().filter(|booking| booking.answered_at.is_none());
        let updates = self.updates.values().filter(|update| update.answered_at.is_none());
        let days = self.availability_requests.iter().filter(|request| request.answered_at.is_none());
        bookings
            .map(|booking| ("a booking is", booking.created_at))
            .chain(updates.map(|update| ("a booking update is", update.created_at)))
            .chain(days.map(|request| ("an availability request is", request.created_at)))
    }
}

fn contains_id(items: Option<&[Value]>, field: &str, id: &str) -> bool {
    items.into_iter().flatten().any(|item| item.get(field).and_then(Value::as_str) == Some(id))
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
        }
    }

    /// Notes a poll of `/requests`.
    pub fn polled(&mut self, now: DateTime<Utc>) {
        if let Some(last) = self.last_poll_at.replace(now) {
            let contract = self.record.liveness_contract.as_ref();
            self.poll_gaps.extend(health::gap(contract, self.settings.time_zone, last, now));
        }
    }

    pub fn keep_snapshot(&mut self, resource_id: &str, day: NaiveDate, snapshot: ReceivedSnapshot) {
        let kept = self.snapshots.entry((resource_id.to_owned(), day)).or_default();
        if kept.len() == SNAPSHOTS_KEPT {
            kept.remove(0);
        }
        kept.push(snapshot);
    }

    pub fn keep_configuration(&mut self, kind: ConfigurationKind, body: Value, now: DateTime<Utc>) {
        if self.configuration.len() == SNAPSHOTS_KEPT {
            self.configuration.remove(0);
        }
        self.configuration.push(ReceivedConfiguration { received_at: now, kind, body });
    }

    pub fn health(&self, now: DateTime<Utc>) -> Health {
        let record = &self.record;
        health::judge(
            record.liveness_contract.as_ref(),
            self.settings.time_zone,
            self.last_poll_at,
            record.critical(),
            now,
        )
    }

    /// What a patient can book with a resource on a day: published, not taken, not past.
    pub fn free_times(&self, resource_id: &str, day: NaiveDate, now: DateTime<Utc>) -> Vec<FreeTime> {
        let Some(published) = self.record.availability.get(resource_id).and_then(|days| days.get(&day))
        else {
            return Vec::new();
        };
        let mut times: BTreeMap<(NaiveDateTime, i64), BTreeSet<String>> = BTreeMap::new();
        for range in &published.ranges {
            for (type_id, type_length) in self.record.types_of(resource_id) {
                let allowed = range
                    .appointment_type_ids
                    .as_ref()
                    .is_none_or(|allowed| allowed.iter().any(|id| id == type_id));
                if !allowed {
                    continue;
                }
                let length = if range.slot_length_seconds < SHORTEST_USED_SLOT_SECONDS {
                    type_length.unwrap_or(DEFAULT_SLOT_SECONDS)
                } else {
                    range.slot_length_seconds
                };
                for start in starts(range, length) {
                    times.entry((day.and_time(start), length)).or_default().insert(type_id.to_owned());
                }
            }
        }
        times
            .into_iter()
            .map(|((start, length_seconds), appointment_type_ids)| FreeTime {
                start,
                length_seconds,
                appointment_type_ids,
            })
            .filter(|time| self.is_open(resource_id, time, now))
            .collect()
    }

    fn is_open(&self, resource_id: &str, time: &FreeTime, now: DateTime<Utc>) -> bool {
        let end = time.start + TimeDelta::seconds(time.length_seconds);
        let exists_and_is_to_come = self
            .settings
            .time_zone
            .from_local_datetime(&time.start)
            .earliest()
            .is_some_and(|instant| instant.to_utc() > now);
        exists_and_is_to_come
            && !self.record.bookings.values().any(|booking| booking.overlaps(resource_id, time.start, end))
    }
}

/// The starts of the slots of `length` seconds that fit into a range.
fn starts(range: &PublishedRange, length: i64) -> impl Iterator<Item = NaiveTime> {
    let first = i64::from(range.start.num_seconds_from_midnight());
    let last = i64::from(range.end.num_seconds_from_midnight()) - length;
    let step = usize::try_from(length.max(1)).unwrap_or(1);
    (first..=last)
        .step_by(step)
        .filter_map(|second| NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(second).ok()?, 0))
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
            counts: BTreeMap::new(),
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
        *self
            .counts
            .entry((practice_id.unwrap_or_default().to_owned(), counted_as(method, path)))
            .or_default() += 1;
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

    // ---- what patients and Healthengine do ----

    /// A patient books a published free time. It is taken off the simulator's own view at once.
    ///
    /// # Errors
    /// [`BookRefusal`] when the time is not on offer.
    pub(super) fn book(
        &mut self,
        practice_id: &str,
        resource_id: &str,
        start: NaiveDateTime,
        appointment_type_id: Option<&str>,
        patient: &PatientDetails,
        now: DateTime<Utc>,
    ) -> Result<i64, BookRefusal> {
        let practice = self
            .practices
            .get_mut(practice_id)
            .ok_or_else(|| BookRefusal::UnknownPractice(practice_id.to_owned()))?;
        if practice.record.consent != Consent::Granted {
            return Err(BookRefusal::NoConsent);
        }
        let own_length = appointment_type_id.and_then(|wanted| {
            practice.record.types_of(resource_id).find(|(id, _)| *id == wanted).and_then(|(_, length)| length)
        });
        let offered: Vec<FreeTime> = practice
            .free_times(resource_id, start.date(), now)
            .into_iter()
            .filter(|time| time.start == start)
            .filter(|time| appointment_type_id.is_none_or(|id| time.appointment_type_ids.contains(id)))
            .collect();
        // Where several lengths begin at the same time, the one that is the type's own is meant.
        let chosen = offered
            .iter()
            .find(|time| Some(time.length_seconds) == own_length)
            .or_else(|| offered.first())
            .ok_or_else(|| BookRefusal::NotFree { resource_id: resource_id.to_owned(), start })?;
        let mut body = json!({
            "pmsResourceId": resource_id,
            "pmsAppointmentTypeId": appointment_type_id,
            "pmsAppointmentIds": [],
            "pmsPatientId": patient.pms_patient_id,
            "bookedTime": wire_time(now),
            "bookingStatus": BookingStatus::Requested.as_str(),
            "pmsAppointmentTime": start.format("%Y-%m-%d %H:%M:%S").to_string(),
            "pmsAppointmentLength": chosen.length_seconds,
            "reason": patient.reason,
            "comments": appointment_type_id.and_then(|id| practice.record.type_name(id)).unwrap_or_default(),
            "patient": patient.as_json(),
            "isNewPatient": patient.is_new_patient,
        });
        if let (Some(url), Some(fields)) = (&patient.telehealth_url, body.as_object_mut()) {
            fields.insert("telehealthUrl".to_owned(), json!(url));
        }
        let place =
            BookedPlace { resource_id: resource_id.to_owned(), start, length_seconds: chosen.length_seconds };
        Ok(self.create_booking(practice_id, body, Some(place), now))
    }

    /// Puts a booking in whose fields are the ordinary ones with `fields` laid over them (the `patient`
    /// object field by field), and which is served exactly so, whatever it says.
    pub(super) fn force_book(
        &mut self,
        practice_id: &str,
        fields: &Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        let mut body = json!({
            "pmsResourceId": null,
            "pmsAppointmentTypeId": null,
            "pmsAppointmentIds": [],
            "pmsPatientId": null,
            "bookedTime": wire_time(now),
            "bookingStatus": BookingStatus::Requested.as_str(),
            "pmsAppointmentTime": wire_time(now + TimeDelta::days(1)),
            "pmsAppointmentLength": DEFAULT_SLOT_SECONDS,
            "reason": "",
            "comments": "",
            "patient": PatientDetails::default().as_json(),
            "isNewPatient": true,
        });
        lay_over(&mut body, fields);
        Ok(self.create_booking(practice_id, body, None, now))
    }

    /// Puts a booking in that has these fields and no others, apart from its number.
    pub(super) fn force_book_exactly(
        &mut self,
        practice_id: &str,
        body: Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        Ok(self.create_booking(practice_id, body, None, now))
    }

    fn create_booking(
        &mut self,
        practice_id: &str,
        mut body: Value,
        place: Option<BookedPlace>,
        now: DateTime<Utc>,
    ) -> i64 {
        let booking_id = body.get("bookingId").and_then(Value::as_i64).unwrap_or(self.last_booking_id + 1);
        self.last_booking_id = self.last_booking_id.max(booking_id);
        if let Some(fields) = body.as_object_mut() {
            fields.entry("bookingId").or_insert_with(|| json!(booking_id));
        }
        let booking = SimBooking {
            booking_id,
            created_at: now,
            status: BookingStatus::Requested,
            body,
            forced: place.is_none(),
            hides_time: place.is_some(),
            place,
            answers: Vec::new(),
            answered_at: None,
            confirmed_at: None,
            pms_appointment_ids: Vec::new(),
            pms_patient_id: None,
        };
        if let Some(practice) = self.practices.get_mut(practice_id) {
            practice.record.bookings.insert(booking_id, booking);
        }
        booking_id
    }

    /// The patient cancels: the booking is Cancelled, and a booking update waits for the practice system.
    /// The time stays hidden until the next snapshot of that day, since only the practice knows its book.
    pub(super) fn cancel_by_patient(
        &mut self,
        practice_id: &str,
        booking_id: i64,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        let practice = self.practice_mut(practice_id)?;
        let booking =
            practice.record.bookings.get_mut(&booking_id).ok_or(DeskRefusal::UnknownBooking(booking_id))?;
        if booking.status == BookingStatus::Cancelled {
            return Err(DeskRefusal::AlreadyCancelled(booking_id));
        }
        booking.status = BookingStatus::Cancelled;
        let body = json!({
            "bookingId": booking_id,
            "pmsAppointmentIds": booking.pms_appointment_ids,
            "pmsPatientId": booking.pms_patient_id,
            "updatedAt": wire_time(now),
            "bookingStatus": BookingStatus::Cancelled.as_str(),
        });
        self.force_update(practice_id, body, now)
    }

    /// Puts a booking update in as raw JSON; its `bookingId` may name a booking that does not exist.
    pub(super) fn force_update(
        &mut self,
        practice_id: &str,
        mut body: Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        self.last_request_id += 1;
        let request_id = self.last_request_id;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("requestId".to_owned(), json!(request_id));
        }
        let booking_id = body.get("bookingId").and_then(Value::as_i64).unwrap_or_default();
        let update = SimBookingUpdate {
            request_id,
            booking_id,
            created_at: now,
            body,
            answered_at: None,
            confirmed: None,
        };
        self.practice_mut(practice_id)?.record.updates.insert(request_id, update);
        Ok(request_id)
    }

    /// Healthengine asks for a practice-local day, of one resource or of all.
    pub(super) fn ask_availability(
        &mut self,
        practice_id: &str,
        day: NaiveDate,
        resource_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.availability_requests.push(SimAvailabilityRequest {
            day,
            resource_id: resource_id.map(str::to_owned),
            created_at: now,
            received: BTreeSet::new(),
            answered_at: None,
        });
        Ok(())
    }

    /// Healthengine asks for the list of resources.
    pub(super) fn ask_resources(&mut self, practice_id: &str, now: DateTime<Utc>) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.resources_asked_at = Some(now);
        Ok(())
    }

    /// Healthengine asks for the list of appointment types.
    pub(super) fn ask_appointment_types(
        &mut self,
        practice_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.appointment_types_asked_at = Some(now);
        Ok(())
    }

    /// Healthengine asks whether anything happened to a booking's appointment; the number may name none.
    pub(super) fn ask_changes(
        &mut self,
        practice_id: &str,
        booking_id: i64,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.change_requests.insert(booking_id, now);
        Ok(())
    }

    // ---- inspection ----

    /// The practices' ids.
    pub fn practice_ids(&self) -> impl Iterator<Item = &str> {
        self.practices.keys().map(String::as_str)
    }

    /// A booking, in whichever practice it is.
    #[must_use]
    pub fn booking(&self, booking_id: i64) -> Option<&SimBooking> {
        self.practices.values().find_map(|practice| practice.record.bookings.get(&booking_id))
    }

    /// A practice's bookings, oldest number first.
    pub fn bookings(&self, practice_id: &str) -> impl Iterator<Item = &SimBooking> {
        self.practices.get(practice_id).into_iter().flat_map(|practice| practice.record.bookings.values())
    }

    /// Every confirmInsert that took effect for a booking, in order. Exactly one appointment means that all
    /// of them name the same ids.
    #[must_use]
    pub fn confirmations_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        self.booking(booking_id)
            .map(|booking| booking.answers_of(BookingAnswerKind::Confirmed).collect())
            .unwrap_or_default()
    }

    /// A practice's booking updates, in the order of their request ids.
    pub fn updates(&self, practice_id: &str) -> impl Iterator<Item = &SimBookingUpdate> {
        self.practices.get(practice_id).into_iter().flat_map(|practice| practice.record.updates.values())
    }

    /// Every availability request, answered or not.
    #[must_use]
    pub fn availability_requests(&self, practice_id: &str) -> &[SimAvailabilityRequest] {
        self.practices
            .get(practice_id)
            .map(|practice| practice.record.availability_requests.as_slice())
            .unwrap_or_default()
    }

    /// What was last accepted for a resource and day.
    #[must_use]
    pub fn published(&self, practice_id: &str, resource_id: &str, day: NaiveDate) -> Option<&PublishedDay> {
        self.practices.get(practice_id)?.record.availability.get(resource_id)?.get(&day)
    }

    /// How many days of how many resources are published.
    #[must_use]
    pub fn published_days(&self, practice_id: &str) -> usize {
        self.practices
            .get(practice_id)
            .map(|practice| practice.record.availability.values().map(BTreeMap::len).sum())
            .unwrap_or_default()
    }

    /// Every snapshot received for a resource and day, oldest first (the last hundred).
    #[must_use]
    pub fn snapshots_of(&self, practice_id: &str, resource_id: &str, day: NaiveDate) -> &[ReceivedSnapshot] {
        self.practices
            .get(practice_id)
            .and_then(|practice| practice.snapshots.get(&(resource_id.to_owned(), day)))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Every snapshot received for a practice, by resource and day.
    pub fn snapshots(
        &self,
        practice_id: &str,
    ) -> impl Iterator<Item = (&(String, NaiveDate), &[ReceivedSnapshot])> {
        self.practices
            .get(practice_id)
            .into_iter()
            .flat_map(|practice| practice.snapshots.iter().map(|(key, kept)| (key, kept.as_slice())))
    }

    /// What a patient can book with a resource on a practice-local day.
    #[must_use]
    pub fn free_times(
        &self,
        practice_id: &str,
        resource_id: &str,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Vec<FreeTime> {
        self.practices
            .get(practice_id)
            .map(|practice| practice.free_times(resource_id, day, now))
            .unwrap_or_default()
    }

    /// Every configuration received, oldest first (the last hundred).
    #[must_use]
    pub fn configuration(&self, practice_id: &str) -> &[ReceivedConfiguration] {
        self.practices.get(practice_id).map(|practice| practice.configuration.as_slice()).unwrap_or_default()
    }

    /// The complete list of resources last accepted, or nothing if none ever was.
    #[must_use]
    pub fn resources(&self, practice_id: &str) -> Option<&[Value]> {
        self.practices.get(practice_id)?.record.resources.as_deref()
    }

    /// The complete list of appointment types last accepted, or nothing if none ever was.
    #[must_use]
    pub fn appointment_types(&self, practice_id: &str) -> Option<&[Value]> {
        self.practices.get(practice_id)?.record.appointment_types.as_deref()
    }

    /// The liveness contract last accepted.
    #[must_use]
    pub fn liveness_contract(&self, practice_id: &str) -> Option<&Value> {
        self.practices.get(practice_id)?.record.liveness_contract.as_ref()
    }

    /// The extra features that are switched on.
    #[must_use]
    pub fn features(&self, practice_id: &str) -> Option<&BTreeSet<String>> {
        self.practices.get(practice_id).map(|practice| &practice.record.features)
    }

    /// Whether the practice's consent stands.
    #[must_use]
    pub fn consent(&self, practice_id: &str) -> Option<Consent> {
        self.practices.get(practice_id).map(|practice| practice.record.consent)
    }

    /// What `GET /requests` would answer, without counting as a poll.
    #[must_use]
    pub fn outstanding(&self, practice_id: &str) -> Vec<&'static str> {
        self.practices
            .get(practice_id)
            .map(|practice| super::routes::outstanding(&practice.record))
            .unwrap_or_default()
    }

    /// What the service thinks of the integration at `now`.
    #[must_use]
    pub fn health(&self, practice_id: &str, now: DateTime<Utc>) -> Option<Health> {
        self.practices.get(practice_id).map(|practice| practice.health(now))
    }

    /// When `/requests` was last polled.
    #[must_use]
    pub fn last_poll_at(&self, practice_id: &str) -> Option<DateTime<Utc>> {
        self.practices.get(practice_id)?.last_poll_at
    }

    /// Every silence between polls that was longer than ten minutes of live hours.
    #[must_use]
    pub fn poll_gaps(&self, practice_id: &str) -> &[PollGap] {
        self.practices.get(practice_id).map(|practice| practice.poll_gaps.as_slice()).unwrap_or_default()
    }

    /// How many requests of a kind a practice has sent, those struck by a fault included. Numbers in the
    /// path count as `{id}`: `requests("1", "POST", "/bookings/{id}/confirmInsert")`.
    #[must_use]
    pub fn requests(&self, practice_id: &str, method: &str, path: &str) -> u64 {
        self.counts.get(&(practice_id.to_owned(), format!("{method} {path}"))).copied().unwrap_or_default()
    }

    /// Every request and what became of it, oldest first (the last ten thousand).
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Every request that was refused because of what it said, oldest first (the last ten thousand).
    pub fn refusals(&self) -> impl DoubleEndedIterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// The refusals that mean a mistake in the client: not 401 and 403, which a test may well provoke.
    pub fn not_understood(&self) -> impl DoubleEndedIterator<Item = &Refusal> {
        self.refusals.iter().filter(|refusal| !matches!(refusal.status, 401 | 403))
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
fn wire_time(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn lay_over(body: &mut Value, fields: &Value) {
    let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) else { return };
    for (key, value) in fields {
        match (body.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(inner), Some(over)) => {
                inner.extend(
                    over.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>(),
                );
            }
            (_, _) => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
}

fn push_bounded<T>(journal: &mut VecDeque<T>, entry: T) {
    if journal.len() == JOURNAL_LENGTH {
        journal.pop_front();
    }
    journal.push_back(entry);
}

fn counted_as(method: &str, path: &str) -> String {
    let path: Vec<&str> =
        path.split('/')
            .map(|part| {
                if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) { "{id}" } else { part }
            })
            .collect();
    format!("{method} {}", path.join("/"))
}
