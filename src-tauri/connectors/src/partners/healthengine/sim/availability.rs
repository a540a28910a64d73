//! Availability: what the practice publishes, and what a patient can book of it (contract sheet §4.3).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::routes::{Answer, Refused};
use super::rules::{self, PublishedRange, SHORTEST_USED_SLOT_SECONDS};
use super::state::{DeskRefusal, Practice, PracticeRecord, SNAPSHOTS_KEPT, SimState};

/// The slot length used where neither the snapshot nor the appointment type gives one, in seconds.
pub const DEFAULT_SLOT_SECONDS: i64 = 900;

const LARGEST_BATCH: usize = 100;

/// The same content again within this time is "existing". The service only says "recently".
const RECENTLY: TimeDelta = TimeDelta::hours(1);

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

impl Practice {
    pub fn keep_snapshot(&mut self, resource_id: &str, day: NaiveDate, snapshot: ReceivedSnapshot) {
        let kept = self.snapshots.entry((resource_id.to_owned(), day)).or_default();
        if kept.len() == SNAPSHOTS_KEPT {
            kept.remove(0);
        }
        kept.push(snapshot);
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
    // ---- what Healthengine does ----

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
        self.announce(practice_id, "availability", None, None, now);
        Ok(())
    }

    // ---- inspection ----

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
}

pub struct Accepted {
    pub created: bool,
    pub remarks: Vec<String>,
}

pub fn accept_snapshot(
    practice: &mut Practice,
    body: &Value,
    now: DateTime<Utc>,
) -> Result<Accepted, String> {
    let snapshot = rules::availability(body)?;
    let record = &mut practice.record;
    if !record.knows_resource(&snapshot.resource_id) {
        return Err(format!("unknown resource {}", snapshot.resource_id));
    }
    let unknown_type = snapshot
        .ranges
        .iter()
        .filter_map(|range| range.appointment_type_ids.as_ref())
        .flatten()
        .find(|id| !record.knows_appointment_type(id));
    if let Some(id) = unknown_type {
        return Err(format!("unknown appointment type {id}"));
    }
    let remarks = snapshot
        .ranges
        .iter()
        .filter(|range| range.slot_length_seconds < rules::SHORTEST_USED_SLOT_SECONDS)
        .map(|range| format!("slotLength {} is below 60 seconds and is ignored", range.slot_length_seconds))
        .collect();
    let days = record.availability.entry(snapshot.resource_id.clone()).or_default();
    let created = days
        .get(&snapshot.date)
        .is_none_or(|last| last.ranges != snapshot.ranges || now - last.received_at > RECENTLY);
    if created {
        days.insert(snapshot.date, PublishedDay { received_at: now, ranges: snapshot.ranges });
        // The snapshot now tells what the book holds, so only bookings that the practice system has not
        // answered yet still need hiding.
        for booking in record.bookings.values_mut() {
            let of_that_day = booking.place.as_ref().is_some_and(|place| {
                place.resource_id == snapshot.resource_id && place.start.date() == snapshot.date
            });
            if of_that_day && booking.answered_at.is_some() {
                booking.hides_time = false;
            }
        }
    }
    settle_availability_requests(record, Some((&snapshot.resource_id, snapshot.date)), now);
    let received = ReceivedSnapshot { received_at: now, body: body.clone(), created };
    practice.keep_snapshot(&snapshot.resource_id, snapshot.date, received);
    Ok(Accepted { created, remarks })
}

/// Closes the requests for availability that have now had every snapshot they asked for. A request about a
/// resource that is gone can never be answered, and is dropped.
pub fn settle_availability_requests(
    record: &mut PracticeRecord,
    arrived: Option<(&str, NaiveDate)>,
    now: DateTime<Utc>,
) {
    let known: Vec<String> = record
        .resources
        .iter()
        .flatten()
        .filter_map(|item| item.get("pmsResourceId").and_then(Value::as_str).map(str::to_owned))
        .collect();
    for asked in record.availability_requests.iter_mut().filter(|asked| asked.answered_at.is_none()) {
        if let Some((resource_id, day)) = arrived
            && asked.day == day
        {
            asked.received.insert(resource_id.to_owned());
        }
        let answered = match &asked.resource_id {
            Some(id) => asked.received.contains(id) || (arrived.is_none() && !known.contains(id)),
            None => !known.is_empty() && known.iter().all(|id| asked.received.contains(id)),
        };
        if answered {
            asked.answered_at = Some(now);
        }
    }
}

pub fn availability_batch(
    practice: &mut Practice,
    body: &Value,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let snapshots = rules::list(Some(body), "the body")?;
    if snapshots.len() > LARGEST_BATCH {
        return Err(Refused::from(format!("at most {LARGEST_BATCH} snapshots can be sent in one call")));
    }
    let (mut created, mut existing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut errors, mut remarks) = (Vec::new(), Vec::new());
    for (index, snapshot) in snapshots.iter().enumerate() {
        let name =
            snapshot.get("id").and_then(Value::as_str).map_or_else(|| index.to_string(), str::to_owned);
        match accept_snapshot(practice, snapshot, now) {
            Ok(accepted) => {
                remarks.extend(accepted.remarks);
                if accepted.created { created.push(name) } else { existing.push(name) }
            }
            Err(error) => {
                remarks.push(format!("snapshot {name} failed: {error}"));
                errors.push(json!({"snapshot": name, "error": error}));
                failed.push(name);
            }
        }
    }
    let mut body = json!({"created": created, "existing": existing, "failed": failed});
    if let (false, Some(fields)) = (errors.is_empty(), body.as_object_mut()) {
        fields.insert("errors".to_owned(), Value::Array(errors));
    }
    Ok(Answer { remarks, ..Answer::json(body) })
}
