//! Single records: reading by either name, changing a part, and Hint's own matching (contract sheet §4, §5).

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::http::{Outcome, Refused};
use super::state::{SimState, text, wire_instant};
use super::{Kind, Matching};

/// The fields of a patient that may be written and that this program has a use for.
const WRITABLE: [&str; 5] =
    ["first_name", "last_name", "integration_record_id", "integration_web_link", "integration_error_message"];

/// Announced as gone, and still in the schema (contract sheet §4).
const DEPRECATED: [&str; 3] = ["import_id", "import_source", "external_link_id"];

/// What ids of Hint's own begin with.
const LOOKS_LIKE_HINT: [&str; 9] = ["pat-", "pct-", "inv-", "pra-", "prc-", "prg-", "int-", "evt-", "sbx-"];

/// Answers one record, by Hint's id or ours.
pub fn one(state: &SimState, kind: Kind, name: &str) -> Result<Outcome, Refused> {
    let nobody = || Refused::new(404, "Not Found", "");
    state.find(kind, name).cloned().map(Outcome::json).ok_or_else(nobody)
}

fn unknown() -> Refused {
    Refused::new(404, "Not Found", "there is no such record")
}

/// Changes a part of a record.
pub fn change(
    state: &mut SimState,
    kind: Kind,
    name: &str,
    body: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Outcome, Refused> {
    let before = state.find(kind, name).cloned().ok_or_else(unknown)?;
    let body = body.and_then(Value::as_object);
    let body = body.ok_or_else(|| Refused::new(400, "Bad Request", "the body is no object"))?;
    if kind == Kind::Patient {
        for field in ["first_name", "last_name"] {
            match body.get(field).and_then(Value::as_str) {
                Some(name) if !name.trim().is_empty() => {}
                _ => return Err(Refused::invalid(&format!("{} can't be blank", field.replace('_', " ")))),
            }
        }
    }
    let mut remarks = Vec::new();
    let record_id = body.get("integration_record_id");
    match record_id {
        Some(Value::String(id)) if id.is_empty() => {
            return Err(Refused::invalid("integration record id can't be blank"));
        }
        Some(Value::String(id)) => {
            let own = text(&before, "id");
            let taken = state
                .records(kind)
                .any(|other| text(other, "integration_record_id") == id && text(other, "id") != own);
            if taken {
                return Err(Refused::invalid("integration record id has already been taken"));
            }
            remarks.extend(traps_of(id, text(&before, "integration_record_id")));
        }
        Some(Value::Null) | None => {}
        Some(_) => return Err(Refused::invalid("integration record id is invalid")),
    }
    remarks.extend(ignored(kind, body));
    for field in ["first_name", "last_name"] {
        let sent = body.get(field).and_then(Value::as_str);
        if sent.is_some_and(|sent| sent != text(&before, field)) {
            remarks.push(format!("{field} is changed, which nobody asked for"));
        }
    }
    let after = state.find_mut(kind, name).ok_or_else(unknown)?;
    if let Some(fields) = after.as_object_mut() {
        for field in WRITABLE {
            let fits = kind == Kind::Patient || field == "integration_record_id";
            if let Some(value) = body.get(field).filter(|_| fits) {
                fields.insert(field.to_owned(), value.clone());
            }
        }
        if kind == Kind::Patient && record_id.is_some() {
            let synced = fields.get("integration_record_id").is_some_and(Value::is_string);
            let status = if synced { "synced" } else { "unsynced" };
            fields.insert("integration_sync_status".to_owned(), json!(status));
            fields.insert("integration_last_synced_at".to_owned(), json!(wire_instant(now)));
        }
        fields.insert("updated_at".to_owned(), json!(wire_instant(now)));
    }
    let mut outcome = Outcome::json(after.clone());
    outcome.remarks = remarks;
    Ok(outcome)
}

/// What somebody will regret about a record id.
fn traps_of(id: &str, before: &str) -> Vec<String> {
    let mut traps = Vec::new();
    if !before.is_empty() && before != id {
        traps.push("another record id is overwritten".to_owned());
    }
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)) {
        traps.push("the record id cannot stand in a path as it is".to_owned());
    }
    if LOOKS_LIKE_HINT.iter().any(|prefix| id.starts_with(prefix)) {
        traps.push("the record id looks like one of Hint's own".to_owned());
    }
    traps
}

/// What is taken without a word and has no effect, or must never be sent.
fn ignored(kind: Kind, body: &Map<String, Value>) -> Vec<String> {
    let of = |field: &String| {
        if field == "ssn" {
            return Some("a social security number was sent".to_owned());
        }
        if DEPRECATED.contains(&field.as_str()) {
            return Some(format!("{field} was given up, and is ignored"));
        }
        let known = match kind {
            Kind::Patient => WRITABLE.contains(&field.as_str()),
            Kind::Practitioner | Kind::Invoice => field == "integration_record_id",
        };
        (!known).then(|| format!("{field} is not a field that this program should write"))
    };
    body.keys().filter_map(of).collect()
}

/// Finds patients by Hint's own matching, of which nothing is described but what goes in.
pub fn matching(state: &SimState, body: Option<&Value>) -> Result<Outcome, Refused> {
    let wanted = body.filter(|body| body.is_object());
    let wanted = wanted.ok_or_else(|| Refused::new(400, "Bad Request", "the body is no object"))?;
    for field in ["first_name", "last_name"] {
        if text(wanted, field).trim().is_empty() {
            return Err(Refused::invalid(&format!("{} can't be blank", field.replace('_', " "))));
        }
    }
    let mut remarks = Vec::new();
    let dob = text(wanted, "dob");
    if !dob.is_empty() && dob.parse::<chrono::NaiveDate>().is_err() {
        return Err(Refused::invalid("dob is invalid"));
    }
    for phone in wanted.get("phones").and_then(Value::as_array).into_iter().flatten() {
        let number = text(phone, "number");
        let ten = number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_empty() || text(phone, "type").is_empty() {
            return Err(Refused::invalid("phones need a number and a type"));
        }
        if phone.get("us_formattable").and_then(Value::as_bool) == Some(true) && !ten {
            remarks.push("a number that is not ten digits is said to be American".to_owned());
        }
    }
    let known = ["first_name", "last_name", "middle_name", "email", "dob", "phones"];
    let unknown =
        wanted.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str()));
    remarks.extend(unknown.map(|key| format!("{key} is no field of matching, and is ignored")));
    let same = |record: &Value, field: &str| {
        let here = text(wanted, field).trim();
        !here.is_empty() && here.to_lowercase() == text(record, field).trim().to_lowercase()
    };
    let found = state.records(Kind::Patient).filter(|record| {
        let away = text(record, "membership_status") == "archived"
            || record.get("merged_into").is_some_and(Value::is_object);
        let alike = same(record, "first_name") && same(record, "last_name")
            || same(record, "last_name") && same(record, "dob")
            || same(record, "email");
        match state.conduct.matching {
            Matching::Usual => alike && !away,
            Matching::WithArchived => alike,
            Matching::Nobody => false,
        }
    });
    let mut outcome = Outcome::json(found.cloned().collect());
    outcome.remarks = remarks;
    Ok(outcome)
}
