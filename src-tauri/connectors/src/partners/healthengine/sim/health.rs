//! When the service calls an integration unhealthy and hides its times (contract sheet §6).

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;

/// Silence, or an unanswered critical request, of more than this many minutes is unhealthy.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

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
pub fn live_time(contract: Option<&Value>, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> TimeDelta {
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
pub fn gap(contract: Option<&Value>, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<PollGap> {
    let live = live_time(contract, zone, from, to);
    (live > PATIENCE).then_some(PollGap { from, to, live })
}

/// Judges an integration. `unanswered` are the critical requests still open: what each is, and since when.
pub fn judge<'r>(
    contract: Option<&Value>,
    zone: Tz,
    last_poll: Option<DateTime<Utc>>,
    unanswered: impl Iterator<Item = (&'r str, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Health {
    let mut reasons = Vec::new();
    match last_poll {
        None => reasons.push("has not polled yet".to_owned()),
        Some(last) => {
            if let Some(gap) = gap(contract, zone, last, now) {
                reasons.push(format!("has not polled for {} minutes", gap.live.num_minutes()));
            }
        }
    }
    for (what, since) in unanswered {
        if now - since > PATIENCE {
            reasons.push(format!("{what} unanswered for {} minutes", (now - since).num_minutes()));
        }
    }
    Health { healthy: reasons.is_empty(), reasons }
}
