//! When the service calls an integration unhealthy and hides its times (contract sheet §6).

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;

use super::state::{Practice, PracticeRecord, SimState};

/// Silence, or an unanswered critical request, of more than this many minutes is unhealthy.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
/// Where webhooks tell of every critical request, polling once an hour is enough. The requests of a feature
/// that is on must be answered "in reasonable time", which is taken for an hour as well.
const LONG_PATIENCE: TimeDelta = TimeDelta::hours(1);

/// What the service thinks of an integration at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// False: the service would hide the practice's times.
    pub healthy: bool,
    /// Why not, in words; empty when healthy.
    pub reasons: Vec<String>,
}

/// A silence between two polls of `/requests` that used up the service's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollGap {
    /// The poll before.
    pub from: DateTime<Utc>,
    /// The poll after.
    pub to: DateTime<Utc>,
    /// How much of it lay inside the live hours.
    pub live: TimeDelta,
}

/// How much of the time from `from` to `to` lies inside the live hours. Without a contract, all of it.
/// Public holidays are not known to the simulator, so their hours are never used.
fn live_time(contract: Option<&Value>, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> TimeDelta {
    let Some(hours) = contract.and_then(|contract| contract.get("liveHours")) else {
        return (to - from).max(TimeDelta::zero());
    };
    let mut total = TimeDelta::zero();
    let mut day = from.with_timezone(&zone).date_naive();
    let last = to.with_timezone(&zone).date_naive();
    while day <= last {
        // Overlapping ranges are legal, so what was counted already is not counted again.
        let mut counted_to = from;
        let mut ranges: Vec<_> = hours
            .get(day_name(day.weekday()))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|range| {
                let instant = |key: &str| {
                    let time = NaiveTime::parse_from_str(range.get(key)?.as_str()?, "%H:%M").ok()?;
                    zone.from_local_datetime(&day.and_time(time)).earliest().map(|local| local.to_utc())
                };
                Some((instant("start")?, instant("end")?))
            })
            .collect();
        ranges.sort_unstable();
        for (start, end) in ranges {
            let (start, end) = (start.max(counted_to), end.min(to));
            if start < end {
                total += end - start;
                counted_to = end;
            }
        }
        let Some(next) = day.checked_add_days(Days::new(1)) else { break };
        day = next;
    }
    total
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

/// The silence from one poll to the next, if it used up the service's patience.
fn gap(contract: Option<&Value>, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<PollGap> {
    let live = live_time(contract, zone, from, to);
    (live > PATIENCE).then_some(PollGap { from, to, live })
}

/// Judges an integration. `unanswered` are the requests still open: what each is, since when, and how long it
/// may be.
fn judge<'r>(
    contract: Option<&Value>,
    zone: Tz,
    last_poll: Option<DateTime<Utc>>,
    polling_patience: TimeDelta,
    unanswered: impl Iterator<Item = (&'r str, DateTime<Utc>, TimeDelta)>,
    now: DateTime<Utc>,
) -> Health {
    let mut reasons = Vec::new();
    match last_poll {
        None => reasons.push("has not polled yet".to_owned()),
        Some(last) => {
            let live = live_time(contract, zone, last, now);
            if live > polling_patience {
                reasons.push(format!("has not polled for {} minutes", live.num_minutes()));
            }
        }
    }
    for (what, since, patience) in unanswered {
        if now - since > patience {
            reasons.push(format!("{what} unanswered for {} minutes", (now - since).num_minutes()));
        }
    }
    Health { healthy: reasons.is_empty(), reasons }
}

/// A critical request that was not settled within ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedDeadline {
    /// `bookings`, `bookingUpdates` or `availability`.
    pub kind: &'static str,
    /// The booking's number, or the request's; availability requests have none.
    pub id: Option<i64>,
    /// When it was created, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// When it was settled, if it ever was.
    pub settled_at: Option<DateTime<Utc>>,
}

impl PracticeRecord {
    /// Every critical request there ever was.
    fn critical(&self) -> impl Iterator<Item = MissedDeadline> {
        let bookings = self.bookings.values().map(|booking| MissedDeadline {
            kind: "bookings",
            id: Some(booking.booking_id),
            created_at: booking.created_at,
            settled_at: booking.answered_at,
        });
        let updates = self.updates.values().map(|update| MissedDeadline {
            kind: "bookingUpdates",
            id: Some(update.request_id),
            created_at: update.created_at,
            settled_at: update.answered_at,
        });
        let days = self.availability_requests.iter().map(|asked| MissedDeadline {
            kind: "availability",
            id: None,
            created_at: asked.created_at,
            settled_at: asked.answered_at,
        });
        bookings.chain(updates).chain(days)
    }

    /// The requests that are open, for [`judge`].
    fn unanswered(&self) -> impl Iterator<Item = (&'static str, DateTime<Utc>, TimeDelta)> {
        let critical = self.critical().filter(|request| request.settled_at.is_none()).map(|request| {
            let what = match request.kind {
                "bookings" => "a booking is",
                "bookingUpdates" => "a booking update is",
                _ => "an availability request is",
            };
            (what, request.created_at, PATIENCE)
        });
        let available = self.available_requests.values().map(|at| ("availableDocuments", *at));
        let uploads = self.upload_requests.iter().filter(|asked| asked.answer.is_none());
        let snapshots = self.client_snapshot_requests.iter().filter(|asked| asked.answered_at.is_none());
        let attachments = self.attachments.values().filter(|attachment| attachment.is_open());
        let of_features = available
            .chain(uploads.map(|asked| ("uploadDocuments", asked.created_at)))
            .chain(snapshots.map(|asked| ("clientSnapshots", asked.created_at)))
            .chain(attachments.map(|asked| ("attachDocuments", asked.created_at)))
            .filter(|(kind, _)| self.shows(kind))
            .map(|(kind, since)| {
                let what = match kind {
                    "clientSnapshots" => "a request for a client snapshot is",
                    "attachDocuments" => "a document from a patient is",
                    _ => "a request for documents is",
                };
                (what, since, LONG_PATIENCE)
            });
        critical.chain(of_features)
    }
}

impl Practice {
    /// Notes a poll of `/requests`.
    pub fn polled(&mut self, now: DateTime<Utc>) {
        if let Some(last) = self.last_poll_at.replace(now) {
            self.poll_gaps.extend(self.gap_between(last, now));
        }
    }

    fn gap_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<PollGap> {
        gap(self.record.liveness_contract.as_ref(), self.settings.time_zone, from, to)
    }

    pub fn health(&self, now: DateTime<Utc>) -> Health {
        let record = &self.record;
        let polling_patience =
            if record.is_told_of_critical_requests(now) { LONG_PATIENCE } else { PATIENCE };
        judge(
            record.liveness_contract.as_ref(),
            self.settings.time_zone,
            self.last_poll_at,
            polling_patience,
            record.unanswered(),
            now,
        )
    }
}

impl SimState {
    /// What the service thinks of the integration at `now`. With a subscription to every critical kind of
    /// request, an hour between polls is no fault; without, ten minutes are.
    #[must_use]
    pub fn health(&self, practice_id: &str, now: DateTime<Utc>) -> Option<Health> {
        self.practices.get(practice_id).map(|practice| practice.health(now))
    }

    /// When `/requests` was last polled.
    #[must_use]
    pub fn last_poll_at(&self, practice_id: &str) -> Option<DateTime<Utc>> {
        self.practices.get(practice_id)?.last_poll_at
    }

    /// Every silence between polls that was longer than ten minutes of live hours, webhooks or not.
    #[must_use]
    pub fn poll_gaps(&self, practice_id: &str) -> &[PollGap] {
        self.practices.get(practice_id).map(|practice| practice.poll_gaps.as_slice()).unwrap_or_default()
    }

    /// [`Self::poll_gaps`], and the silence since the last poll if it is such a one by `now`.
    #[must_use]
    pub fn poll_gaps_until(&self, practice_id: &str, now: DateTime<Utc>) -> Vec<PollGap> {
        let Some(practice) = self.practices.get(practice_id) else { return Vec::new() };
        let current = practice.last_poll_at.and_then(|last| practice.gap_between(last, now));
        practice.poll_gaps.iter().copied().chain(current).collect()
    }

    /// The bookings, booking updates and availability requests that were not settled within ten minutes, or
    /// are still open after them at `now`.
    #[must_use]
    pub fn missed_deadlines(&self, practice_id: &str, now: DateTime<Utc>) -> Vec<MissedDeadline> {
        let practice = self.practices.get(practice_id);
        let all = practice.into_iter().flat_map(|practice| practice.record.critical());
        all.filter(|request| request.settled_at.unwrap_or(now) - request.created_at > PATIENCE).collect()
    }
}
