//! Client snapshots: the appointments and patients of a day (contract sheet §4.6, feature
//! `clientSnapshots`).
//!
//! Our reading, where the contract is silent: an appointment may only name a practitioner, a type and a
//! patient that are in the same snapshot; patients without an appointment in it are refused, because they
//! are not of that date; the three full lists are never empty; and a snapshot may be sent without having
//! been asked for.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HealthengineSim;
use super::features::Feature;
use super::routes::{Answer, Operation, Refused};
use super::rules::{self, LONGEST_APPOINTMENT_MINUTES};
use super::state::{DeskRefusal, Practice, SNAPSHOTS_KEPT, SimState};

/// By which of its two dates an appointment belongs to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SnapshotDateType {
    /// `appt_datetime`: the day on which it takes place.
    #[serde(rename = "appt_datetime")]
    Appointment,
    /// `appt_creation_datetime`: the day on which it was made.
    #[serde(rename = "appt_creation_datetime")]
    Creation,
}

impl SnapshotDateType {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "appt_datetime" => Some(Self::Appointment),
            "appt_creation_datetime" => Some(Self::Creation),
            _ => None,
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Appointment => "pmsAppointmentTime",
            Self::Creation => "pmsAppointmentCreationTime",
        }
    }
}

/// Healthengine asks for a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimClientSnapshotRequest {
    /// Practice-local date.
    pub date: NaiveDate,
    /// Which of an appointment's dates is meant.
    pub date_type: SnapshotDateType,
    /// When it was asked, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// When a snapshot of that date and type was accepted.
    pub answered_at: Option<DateTime<Utc>>,
}

impl SimClientSnapshotRequest {
    pub(super) fn item(&self) -> Value {
        json!({"date": self.date, "dateType": self.date_type})
    }
}

/// A snapshot that was accepted. Not kept over a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedClientSnapshot {
    /// When, by the simulator's clock.
    pub received_at: DateTime<Utc>,
    /// Practice-local date.
    pub date: NaiveDate,
    /// Which of an appointment's dates is meant.
    pub date_type: SnapshotDateType,
    /// Whether Healthengine had asked for it.
    pub asked: bool,
    /// The whole body.
    pub body: Value,
}

impl ReceivedClientSnapshot {
    /// The entries of one of its lists, such as `appointments`.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Value] {
        self.body.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

impl HealthengineSim {
    /// Healthengine asks for a practice-local day's appointments and patients. The request appears only
    /// while the feature `clientSnapshots` is on.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_client_snapshot(
        &self,
        practice_id: &str,
        date: NaiveDate,
        date_type: SnapshotDateType,
    ) -> Result<(), DeskRefusal> {
        self.change(|state, now| state.ask_client_snapshot(practice_id, date, date_type, now))
    }
}

impl SimState {
    pub(super) fn ask_client_snapshot(
        &mut self,
        practice_id: &str,
        date: NaiveDate,
        date_type: SnapshotDateType,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        let asked = SimClientSnapshotRequest { date, date_type, created_at: now, answered_at: None };
        self.practice_mut(practice_id)?.record.client_snapshot_requests.push(asked);
        self.announce(practice_id, "clientSnapshots", None, None, now);
        Ok(())
    }

    /// Every request for a client snapshot, answered or not, oldest first.
    #[must_use]
    pub fn client_snapshot_requests(&self, practice_id: &str) -> &[SimClientSnapshotRequest] {
        self.practices
            .get(practice_id)
            .map(|practice| practice.record.client_snapshot_requests.as_slice())
            .unwrap_or_default()
    }

    /// Every client snapshot that was accepted, oldest first (the last hundred).
    #[must_use]
    pub fn client_snapshots(&self, practice_id: &str) -> &[ReceivedClientSnapshot] {
        self.practices
            .get(practice_id)
            .map(|practice| practice.client_snapshots.as_slice())
            .unwrap_or_default()
    }

    /// What Healthengine takes for deleted: for each of the full lists, the ids that an earlier snapshot had
    /// and the latest has not, as (`locations`, id).
    #[must_use]
    pub fn deleted_by_client_snapshots(&self, practice_id: &str) -> Vec<(&'static str, String)> {
        let snapshots = self.client_snapshots(practice_id);
        let Some((last, earlier)) = snapshots.split_last() else { return Vec::new() };
        let ids = |snapshot: &ReceivedClientSnapshot, entry: &Entries| -> BTreeSet<String> {
            let ids = snapshot.list(entry.list).iter();
            ids.filter_map(|item| item.get(entry.id)?.as_str().map(str::to_owned)).collect()
        };
        FULL_LISTS
            .iter()
            .flat_map(|entry| {
                let before: BTreeSet<String> = earlier.iter().flat_map(|one| ids(one, entry)).collect();
                let now = ids(last, entry);
                before.into_iter().filter(move |id| !now.contains(id)).map(|id| (entry.list, id))
            })
            .collect()
    }
}

/// How the entries of a full list are called.
struct Entries {
    list: &'static str,
    id: &'static str,
    name: &'static str,
    status: &'static str,
}

const FULL_LISTS: [Entries; 3] = [
    Entries { list: "locations", id: "pmsLocationId", name: "pmsLocationName", status: "pmsLocationStatus" },
    Entries {
        list: "practitioners",
        id: "pmsPractitionerId",
        name: "pmsPractitionerName",
        status: "pmsPractitionerStatus",
    },
    Entries {
        list: "appointmentTypes",
        id: "pmsAppointmentTypeId",
        name: "pmsAppointmentTypeName",
        status: "pmsAppointmentTypeStatus",
    },
];

const APPOINTMENT_FIELDS: [&str; 8] = [
    "pmsAppointmentId",
    "pmsPatientId",
    "pmsPractitionerId",
    "pmsAppointmentTypeId",
    "pmsAppointmentCreationTime",
    "pmsAppointmentTime",
    "pmsAppointmentLength",
    "pmsAppointmentStatus",
];

const APPOINTMENT_STATUSES: [&str; 6] =
    ["booked", "patient-dna", "patient-arrived", "patient-in-consult", "patient-complete", "cancelled"];

const OPTIONAL_PATIENT_TEXTS: [&str; 4] =
    ["pmsPatientPreferredName", "pmsPatientPhoneMobile", "pmsPatientPhoneHome", "pmsPatientPhoneWork"];
const OPTIONAL_PATIENT_FLAGS: [&str; 2] = ["pmsPatientSmsConsent", "pmsPatientAge16AndUnder"];
const REQUIRED_PATIENT_TEXTS: [&str; 4] =
    ["pmsPatientId", "pmsPatientFirstname", "pmsPatientLastname", "pmsPatientCreationTime"];

pub fn client_snapshot(
    practice: &mut Practice,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    practice.record.require(Feature::ClientSnapshots, 403)?;
    let body = operation.json_body()?;
    let (date, date_type) = check(&body, practice.settings.time_zone, now)?;
    let mut asked = false;
    for request in &mut practice.record.client_snapshot_requests {
        if request.date == date && request.date_type == date_type {
            request.answered_at.get_or_insert(now);
            asked = true;
        }
    }
    if practice.client_snapshots.len() == SNAPSHOTS_KEPT {
        practice.client_snapshots.remove(0);
    }
    let received = ReceivedClientSnapshot { received_at: now, date, date_type, asked, body };
    practice.client_snapshots.push(received);
    Ok(Answer::done())
}

fn check(body: &Value, zone: Tz, now: DateTime<Utc>) -> Result<(NaiveDate, SnapshotDateType), String> {
    let body = rules::object(body, "the body")?;
    let known =
        ["date", "dateType", "locations", "practitioners", "appointmentTypes", "appointments", "patients"];
    rules::only_fields(body, &known, "the body")?;
    let date = rules::date(rules::required_text(body, "date")?, "date")?;
    let date_type = SnapshotDateType::parse(rules::required_text(body, "dateType")?)
        .ok_or("dateType must be appt_datetime or appt_creation_datetime")?;
    let mut known_ids = BTreeMap::new();
    for entries in &FULL_LISTS {
        known_ids.insert(entries.id, full_list(body, entries)?);
    }
    // Clocks differ a little, so what was made a moment ago may seem to come.
    let latest = (now + TimeDelta::minutes(5)).with_timezone(&zone).naive_local();
    known_ids.insert("pmsPatientId", patients(body, latest)?);
    let mut unseen = known_ids.get("pmsPatientId").cloned().unwrap_or_default();
    let mut appointment_ids = BTreeSet::new();
    for item in rules::list(body.get("appointments"), "appointments")? {
        let item = rules::object(item, "an appointment")?;
        rules::only_fields(item, &APPOINTMENT_FIELDS, "the appointment")?;
        let id = rules::required_text(item, "pmsAppointmentId")?;
        if !appointment_ids.insert(id) {
            return Err(format!("pmsAppointmentId {id} is not unique"));
        }
        for field in ["pmsPatientId", "pmsPractitionerId", "pmsAppointmentTypeId"] {
            let named = rules::required_text(item, field)?;
            if !known_ids.get(field).is_some_and(|ids| ids.contains(named)) {
                return Err(format!("{field} {named} of appointment {id} is not in the snapshot"));
            }
            if field == "pmsPatientId" {
                unseen.remove(named);
            }
        }
        appointment_times(item, date, date_type, latest)?;
        let minutes = rules::required_integer(item, "pmsAppointmentLength")?;
        if !(1..=LONGEST_APPOINTMENT_MINUTES).contains(&minutes) {
            return Err(format!("pmsAppointmentLength must be 1 to {LONGEST_APPOINTMENT_MINUTES} minutes"));
        }
        let status = rules::required_text(item, "pmsAppointmentStatus")?;
        if !APPOINTMENT_STATUSES.contains(&status) {
            return Err(format!("pmsAppointmentStatus {status} is not known"));
        }
    }
    match unseen.first() {
        Some(id) => Err(format!("patient {id} has no appointment in the snapshot")),
        None => Ok((date, date_type)),
    }
}

fn appointment_times(
    item: &Map<String, Value>,
    date: NaiveDate,
    date_type: SnapshotDateType,
    latest: NaiveDateTime,
) -> Result<(), String> {
    rules::date_time(item, "pmsAppointmentTime")?;
    if rules::date_time(item, "pmsAppointmentCreationTime")? > latest {
        return Err("pmsAppointmentCreationTime lies in the future of the practice".to_owned());
    }
    if rules::date_time(item, date_type.field())?.date() != date {
        return Err(format!("{} is not on {date}", date_type.field()));
    }
    Ok(())
}

fn full_list(body: &Map<String, Value>, entries: &Entries) -> Result<BTreeSet<String>, String> {
    let mut ids = BTreeSet::new();
    for item in rules::list(body.get(entries.list), entries.list)? {
        let item = rules::object(item, "an entry")?;
        rules::only_fields(item, &[entries.id, entries.name, entries.status], "the entry")?;
        let id = rules::required_text(item, entries.id)?;
        rules::required_text(item, entries.name)?;
        if !matches!(rules::required_text(item, entries.status)?, "active" | "inactive") {
            return Err(format!("{} must be active or inactive", entries.status));
        }
        if !ids.insert(id.to_owned()) {
            return Err(format!("{} {id} is not unique", entries.id));
        }
    }
    if ids.is_empty() { Err(format!("{} must be the full list", entries.list)) } else { Ok(ids) }
}

fn patients(body: &Map<String, Value>, latest: NaiveDateTime) -> Result<BTreeSet<String>, String> {
    let known: Vec<&str> = [REQUIRED_PATIENT_TEXTS, OPTIONAL_PATIENT_TEXTS]
        .into_iter()
        .flatten()
        .chain(OPTIONAL_PATIENT_FLAGS)
        .collect();
    let mut ids = BTreeSet::new();
    for item in rules::list(body.get("patients"), "patients")? {
        let item = rules::object(item, "a patient")?;
        rules::only_fields(item, &known, "the patient")?;
        // Some people have one name only.
        for field in REQUIRED_PATIENT_TEXTS {
            rules::present_text(item, field)?;
        }
        for field in OPTIONAL_PATIENT_TEXTS {
            rules::optional_text(item, field)?;
        }
        for field in OPTIONAL_PATIENT_FLAGS {
            if item.get(field).is_some_and(|value| !value.is_boolean()) {
                return Err(format!("{field} must be true or false"));
            }
        }
        if rules::date_time(item, "pmsPatientCreationTime")? > latest {
            return Err("pmsPatientCreationTime lies in the future of the practice".to_owned());
        }
        let id = rules::required_text(item, "pmsPatientId")?;
        if !ids.insert(id.to_owned()) {
            return Err(format!("pmsPatientId {id} is not unique"));
        }
    }
    Ok(ids)
}
