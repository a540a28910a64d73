//! What the service makes of something that is written: what it requires, refuses, and stores otherwise than it was sent.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use serde_json::{Map, Value, json};

use super::state::{SimState, Table, last_number, time};

/// The most characters of a complaint (sheet §5).
const LONGEST_COMPLAINT: usize = 254;

/// What was stored, or why not, and what somebody will regret.
pub type Ruled = (Result<u64, Value>, Vec<String>);

fn required(table: Table) -> &'static [&'static str] {
    match table {
        // A create without `patients` fails, although nothing says so (sheet §5).
        Table::Client => &["patients"],
        Table::PhoneNumber => &["client", "phone_number"],
        Table::Patient => &["client", "name", "species"],
        Table::Appointment => &["start", "end", "title", "type", "department"],
        Table::Hook => &["trigger", "url"],
        Table::Shift | Table::ShiftType | Table::Reason | Table::Department | Table::User => &[],
    }
}

fn relation(table: Table, field: &str) -> Option<Table> {
    match (table, field) {
        (Table::PhoneNumber | Table::Patient | Table::Appointment, "client") => Some(Table::Client),
        (Table::Appointment, "department") | (Table::Hook, "department") => Some(Table::Department),
        (Table::Appointment, "user") => Some(Table::User),
        (Table::Appointment, "reason") => Some(Table::Reason),
        (Table::Appointment | Table::Client, "patients") => Some(Table::Patient),
        _ => None,
    }
}

fn known(table: Table) -> &'static [&'static str] {
    match table {
        Table::Client => &[
            "title",
            "firstname",
            "lastname",
            "organization_name",
            "customer_type",
            "vat_number",
            "home_department",
            "street_address",
            "street_address_2",
            "zip_code",
            "city",
            "country",
            "email",
            "alt_emails",
            "id_number",
            "old_client_id",
            "critical_notes",
            "remarks",
            "archived",
            "no_sms",
            "no_email",
            "patients",
        ],
        Table::PhoneNumber => &["client", "type_code", "phone_number", "description", "preferred_reminders"],
        Table::Patient => &[
            "client",
            "name",
            "official_name",
            "species",
            "breed",
            "gender",
            "date_of_birth",
            "deceased",
            "microchip",
            "weight",
            "archived",
            "critical_notes",
        ],
        Table::Appointment => &[
            "start",
            "end",
            "title",
            "type",
            "department",
            "user",
            "additional_users",
            "client",
            "patients",
            "reason",
            "ward",
            "resources",
            "complaint",
            "instructions",
            "notes",
            "active",
        ],
        Table::Hook => &["trigger", "url", "content_type", "department", "name", "active"],
        Table::Shift | Table::ShiftType | Table::Reason | Table::Department | Table::User => &[],
    }
}

/// Creates a row.
pub fn create(state: &mut SimState, table: Table, body: &Map<String, Value>, now: DateTime<Utc>) -> Ruled {
    let mut errors = Map::new();
    for field in required(table) {
        if body.get(*field).is_none_or(Value::is_null) {
            errors.insert((*field).to_owned(), json!(["This field is required."]));
        }
    }
    let (mut fields, regrets) = looked_at(state, table, body, &mut errors);
    if !errors.is_empty() {
        return (Err(Value::Object(errors)), regrets);
    }
    if table == Table::Appointment {
        if let Err(said) = has_room(state, &fields, None) {
            return (Err(said), regrets);
        }
        let defaults = json!({
            "additional_users": [], "client": null, "patients": [], "user": null, "reason": null, "ward": null,
            "resources": [], "complaint": "", "instructions": "", "notes": "", "active": 1, "consultation": null,
        });
        for (name, value) in defaults.as_object().into_iter().flatten() {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if table == Table::Client {
        return (Ok(state.register(&Value::Object(fields), &[], now)), regrets);
    }
    let client = last_number(fields.get("client"));
    let id = state.add(table, Value::Object(fields), now);
    let address = state.address(table, id);
    match (table, client) {
        (Table::PhoneNumber, Some(client)) => state.push(Table::Client, client, "phone_numbers", address),
        (Table::Patient, Some(client)) => state.push(Table::Client, client, "patients", address),
        _ => {}
    }
    (Ok(id), regrets)
}

/// Changes some fields of a row.
pub fn amend(
    state: &mut SimState,
    table: Table,
    id: u64,
    body: &Map<String, Value>,
    now: DateTime<Utc>,
) -> Ruled {
    let mut errors = Map::new();
    let (fields, regrets) = looked_at(state, table, body, &mut errors);
    if !errors.is_empty() {
        return (Err(Value::Object(errors)), regrets);
    }
    if table == Table::Appointment && (fields.contains_key("start") || fields.contains_key("user")) {
        let mut whole = state.row(table, id).and_then(Value::as_object).cloned().unwrap_or_default();
        whole.extend(fields.clone());
        if let Err(said) = has_room(state, &whole, Some(id)) {
            return (Err(said), regrets);
        }
    }
    state.change(table, id, &Value::Object(fields), now);
    (Ok(id), regrets)
}

fn has_room(state: &SimState, fields: &Map<String, Value>, besides: Option<u64>) -> Result<(), Value> {
    let (Some(start), Some(end)) = (time(fields.get("start")), time(fields.get("end"))) else {
        return Ok(());
    };
    let Some(user) = last_number(fields.get("user")) else { return Ok(()) };
    let taken = state.conduct.refuses_conflicts && state.is_taken(user, (start, end), besides);
    if taken || state.conduct.always_in_conflict {
        return Err(json!({"non_field_errors": ["There is already an appointment for this time slot"]}));
    }
    Ok(())
}

/// The fields as they are stored.
fn looked_at(
    state: &SimState,
    table: Table,
    body: &Map<String, Value>,
    errors: &mut Map<String, Value>,
) -> (Map<String, Value>, Vec<String>) {
    let mut fields = Map::new();
    let mut regrets = Vec::new();
    let mut wrong = |field: &str, said: &str| {
        errors.insert(field.to_owned(), json!([said]));
    };
    for (name, value) in body {
        if !known(table).contains(&name.as_str()) {
            regrets.push(format!("the field {name} is not known and was ignored"));
            continue;
        }
        let value = match (relation(table, name), name.as_str()) {
            (Some(to), _) => {
                let all: Vec<&Value> = match value {
                    Value::Null => Vec::new(),
                    Value::Array(all) => all.iter().collect(),
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![value],
                };
                for one in all {
                    match one.as_str() {
                        None => wrong(name, "Incorrect type. Expected URL string, received int."),
                        Some(address) if !address.starts_with("http") || !address.ends_with('/') => {
                            wrong(name, "Invalid hyperlink - No URL match.");
                        }
                        Some(_) if last_number(Some(one)).and_then(|id| state.row(to, id)).is_none() => {
                            wrong(name, "Invalid hyperlink - Object does not exist.");
                        }
                        Some(_) => {}
                    }
                }
                value.clone()
            }
            (None, "start" | "end") => match stored_time(state, value, &mut regrets) {
                Some(at) => json!(SimState::written(at, 0)),
                None => {
                    wrong(name, "Datetime has wrong format.");
                    continue;
                }
            },
            (None, "complaint")
                if value.as_str().is_some_and(|text| text.chars().count() > LONGEST_COMPLAINT) =>
            {
                wrong(name, "Ensure this field has no more than 254 characters.");
                continue;
            }
            (None, "type") => {
                let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                if !number.is_some_and(|number| (1..=9).contains(&number)) {
                    wrong(name, "This is not a valid choice.");
                }
                json!(number)
            }
            (None, "active") if table == Table::Appointment => match value {
                Value::Bool(yes) => json!(u8::from(*yes)),
                Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                    value.clone()
                }
            },
            (None, "email") => {
                let text = value.as_str().unwrap_or_default();
                if !text.is_empty() && !text.contains('@') {
                    wrong(name, "Enter a valid email address.");
                }
                value.clone()
            }
            (None, "phone_number") => {
                let text = value.as_str().unwrap_or_default();
                if text.chars().filter(char::is_ascii_digit).count() < 6 {
                    wrong(name, "The phone number entered is not valid.");
                }
                value.clone()
            }
            (None, "title") if table == Table::Appointment && value.as_str().is_none_or(str::is_empty) => {
                wrong(name, "This field may not be blank.");
                continue;
            }
            (None, _) => value.clone(),
        };
        fields.insert(name.clone(), value);
    }
    let times = (time(fields.get("start")), time(fields.get("end")));
    if let (Some(start), Some(end)) = times
        && end <= start
    {
        wrong("end", "The end must be after the start.");
    }
    (fields, regrets)
}

/// A time without an offset is taken as the practice's own.
fn stored_time(state: &SimState, value: &Value, regrets: &mut Vec<String>) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    regrets.push("a time has no offset".to_owned());
    state.config.time_zone.from_local_datetime(&naive).earliest().map(|at| at.with_timezone(&Utc))
}
