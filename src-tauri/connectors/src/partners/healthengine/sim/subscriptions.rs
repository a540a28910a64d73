//! Subscriptions, and what is noted when their callbacks fail (contract sheet §4.5).
//!
//! Our reading: the same `clientId`, `topic` and `callbackUrl` are the same subscription, which a further
//! `POST` updates; there is no `PUT`. Any web address is accepted, plain `http` too, because the service's
//! own example has one and this simulator calls nobody but this computer ([`super::deliveries`]).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::routes::{Answer, Operation, Refused, no_such_operation, not_found, paged};
use super::rules;
use super::state::{Practice, PracticeRecord, SimState, wire_time};

impl PracticeRecord {
    /// The subscriptions that are told about a kind of request at `now`, by id.
    pub fn listeners<'r>(
        &'r self,
        kind: &'r str,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (&'r String, &'r Value)> {
        self.subscriptions.iter().filter(move |(_, subscription)| {
            is_live(subscription, now)
                && text(subscription, "topic")
                    .strip_prefix("requests.")
                    .is_some_and(|topic| topic == "*" || topic == kind)
        })
    }

    /// Whether webhooks stand in for frequent polling: every critical kind of request has a listener.
    pub fn is_told_of_critical_requests(&self, now: DateTime<Utc>) -> bool {
        ["bookings", "bookingUpdates", "availability"]
            .into_iter()
            .all(|kind| self.listeners(kind, now).next().is_some())
    }
}

/// Whether a subscription has started and not expired.
pub fn is_live(subscription: &Value, now: DateTime<Utc>) -> bool {
    let time = |field| rules::parse_date_time(text(subscription, field)).map(|time| time.and_utc());
    time("startAt").is_none_or(|start| start <= now) && time("expireAt").is_none_or(|end| now < end)
}

pub fn text<'v>(subscription: &'v Value, field: &str) -> &'v str {
    subscription.get(field).and_then(Value::as_str).unwrap_or_default()
}

impl SimState {
    /// A practice's subscriptions as they are served, those that have not started or have expired included.
    pub fn subscriptions(&self, practice_id: &str) -> impl Iterator<Item = &Value> {
        let practice = self.practices.get(practice_id);
        practice.into_iter().flat_map(|practice| practice.record.subscriptions.values())
    }
}

/// Creates a subscription, or updates the one that differs in its times only. `serial` names a new one.
pub fn subscribe(
    record: &mut PracticeRecord,
    mut body: Value,
    serial: &mut u64,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    rules::subscription(&body)?;
    let same = |field: &str, other: &Value| {
        body.get(field).unwrap_or(&Value::Null) == other.get(field).unwrap_or(&Value::Null)
    };
    let existing = record
        .subscriptions
        .iter()
        .find(|(_, other)| ["clientId", "topic", "callbackUrl"].into_iter().all(|field| same(field, other)));
    let id = existing.map(|(id, _)| id.clone()).unwrap_or_else(|| {
        *serial += 1;
        format!("00000000-0000-4000-8000-{serial:012x}")
    });
    if let Some(fields) = body.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.entry("clientId").or_insert(Value::Null);
        if fields.get("startAt").is_none_or(Value::is_null) {
            fields.insert("startAt".to_owned(), json!(wire_time(now)));
        }
        fields.entry("expireAt").or_insert(Value::Null);
    }
    record.subscriptions.insert(id, body.clone());
    Ok(Answer { status: 201, ..Answer::json(body) })
}

pub fn subscriptions(
    record: &mut PracticeRecord,
    method: &str,
    parts: &[&str],
    operation: &Operation<'_>,
) -> Result<Answer, Refused> {
    let unknown = || not_found("there is no such subscription");
    match (method, parts) {
        ("GET", []) => Ok(Answer::json(json!(record.subscriptions.values().collect::<Vec<_>>()))),
        ("GET", [id]) => {
            record.subscriptions.get(*id).map(|found| Answer::json(found.clone())).ok_or_else(unknown)
        }
        ("DELETE", [id]) => record
            .subscriptions
            .remove(*id)
            .map(|_| Answer { status: 204, ..Answer::done() })
            .ok_or_else(unknown),
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}

/// The failed attempts, oldest first; `from` and `to` are included.
pub fn error_log(practice: &Practice, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let time = |name: &str| {
        operation
            .parameter(name)
            .map(|given| {
                rules::parse_date_time(given).ok_or_else(|| {
                    Refused::from(format!("{name} must be a time such as 2026-03-04 10:15:00"))
                })
            })
            .transpose()
    };
    let (from, to) = (time("from")?, time("to")?);
    let wanted = operation.parameter("subscriptionId");
    let is_of = |entry: &&Value| wanted.is_none_or(|id| text(entry, "subscriptionId") == id);
    let has_log = practice.callback_errors.iter().any(|entry| is_of(&entry));
    if wanted.is_some_and(|id| !practice.record.subscriptions.contains_key(id)) && !has_log {
        return Err(not_found("there is no such subscription"));
    }
    let entries = practice
        .callback_errors
        .iter()
        .filter(is_of)
        .filter(|entry| {
            let at = rules::parse_date_time(text(entry, "timestamp"));
            at.is_some_and(|at| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to))
        })
        .cloned()
        .collect();
    Ok(Answer::json(paged(entries, operation.page()?)))
}
