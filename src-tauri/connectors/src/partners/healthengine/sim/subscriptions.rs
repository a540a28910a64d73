//! Subscriptions (contract sheet §4.5).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::routes::{Answer, Refused, no_such_operation, not_found};
use super::state::PracticeRecord;

pub fn subscribe(record: &mut PracticeRecord, mut body: Value, serial: u64, now: DateTime<Utc>) -> Answer {
    let id = format!("00000000-0000-4000-8000-{serial:012x}");
    if let Some(fields) = body.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.entry("clientId").or_insert(Value::Null);
        fields.entry("startAt").or_insert_with(|| json!(now.format("%Y-%m-%d %H:%M:%S").to_string()));
        fields.entry("expireAt").or_insert(Value::Null);
    }
    record.subscriptions.insert(id, body.clone());
    Answer { status: 201, ..Answer::json(body) }
}

pub fn subscriptions(record: &mut PracticeRecord, method: &str, parts: &[&str]) -> Result<Answer, Refused> {
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
        (method, _) => Err(no_such_operation(method, "/subscription")),
    }
}
