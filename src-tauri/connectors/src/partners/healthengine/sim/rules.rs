//! What the service refuses: the shape and the units of everything that is posted to it (contract sheet §3,
//! §4 and §8).
//!
//! Each function reads raw JSON and answers with what it means, or with the sentence that the service would
//! give as its reason.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A slot length below this many seconds is accepted and not used (contract sheet §4.3).
pub const SHORTEST_USED_SLOT_SECONDS: i64 = 60;
/// No appointment lasts longer than this many minutes; a larger number was meant as seconds.
pub const LONGEST_APPOINTMENT_MINUTES: i64 = 480;
/// A slot longer than a day was meant as milliseconds.
const LONGEST_SLOT_SECONDS: i64 = 86_400;

const LIVE_DAYS: [&str; 8] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "publicHolidays"];

/// One published range of a day, times practice-local.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedRange {
    /// First minute.
    pub start: NaiveTime,
    /// Where it ends, exclusive.
    pub end: NaiveTime,
    /// Seconds. Below 60 it is ignored.
    pub slot_length_seconds: i64,
    /// Restricts the range to these types. Absent: every type.
    pub appointment_type_ids: Option<Vec<String>>,
}

/// An availability snapshot that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailabilitySnapshot {
    /// Practice-local date.
    pub date: NaiveDate,
    /// The resource.
    pub resource_id: String,
    /// Its ranges, as sent.
    pub ranges: Vec<PublishedRange>,
}

/// The object in `value`.
pub fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} must be an object"))
}

/// Refuses fields that the contract does not have, so that a misspelt one is noticed.
pub fn only_fields(object: &Map<String, Value>, known: &[&str], what: &str) -> Result<(), String> {
    object
        .keys()
        .find(|key| !known.contains(&key.as_str()))
        .map_or(Ok(()), |key| Err(format!("{what} has an unknown field {key}")))
}

/// The items of the list in `value`.
pub fn list<'v>(value: Option<&'v Value>, what: &str) -> Result<&'v [Value], String> {
    value.and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| format!("{what} must be an array"))
}

/// A string that must be there and say something. A number is not a string (contract sheet §3).
pub fn required_text<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v str, String> {
    match object.get(key).map(Value::as_str) {
        Some(Some(text)) if !text.trim().is_empty() => Ok(text),
        Some(Some(_)) => Err(format!("{key} must not be empty")),
        Some(None) => Err(format!("{key} must be a string")),
        None => Err(format!("{key} is required")),
    }
}

/// A string that may be left out, but may not be anything else.
pub fn optional_text<'v>(object: &'v Map<String, Value>, key: &str) -> Result<Option<&'v str>, String> {
    match object.get(key) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| format!("{key} must be a string")),
    }
}

/// A string or null, which may be left out.
pub fn nullable_text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| format!("{key} must be a string"))
        }
    }
}

/// A string that must be there, and may be empty.
pub fn present_text<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v str, String> {
    optional_text(object, key)?.ok_or_else(|| format!("{key} is required"))
}

/// An integer that must be there. A string of digits is not one (contract sheet §3).
pub fn required_integer(object: &Map<String, Value>, key: &str) -> Result<i64, String> {
    let value = object.get(key).ok_or_else(|| format!("{key} is required"))?;
    value.as_i64().ok_or_else(|| format!("{key} must be an integer"))
}

/// A media type such as `application/pdf`.
pub fn media_type(object: &Map<String, Value>, key: &str) -> Result<(), String> {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let text = required_text(object, key)?;
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    match essence.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Ok(()),
        Some(_) | None => Err(format!("{key} must be a media type such as application/pdf")),
    }
}

/// `YYYY-MM-DD HH:MM:SS`, exactly; without a zone.
pub fn parse_date_time(text: &str) -> Option<NaiveDateTime> {
    let text = Some(text).filter(|text| text.len() == 19)?;
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()
}

/// A date and time that must be there.
pub fn date_time(object: &Map<String, Value>, key: &str) -> Result<NaiveDateTime, String> {
    parse_date_time(required_text(object, key)?)
        .ok_or_else(|| format!("{key} must be a time such as 2026-03-04 10:15:00"))
}

/// A date and time in UTC that has passed. Practice-local times are hours ahead, and are noticed by that.
pub fn utc_time(object: &Map<String, Value>, key: &str, now: DateTime<Utc>) -> Result<NaiveDateTime, String> {
    let time = date_time(object, key)?;
    // Clocks differ a little.
    if time.and_utc() > now + TimeDelta::minutes(5) {
        return Err(format!("{key} lies in the future; it is UTC"));
    }
    Ok(time)
}

/// The list of non-empty strings in `value`.
pub fn texts(value: &Value, what: &str) -> Result<Vec<String>, String> {
    list(Some(value), what)?
        .iter()
        .map(|item| {
            item.as_str()
                .filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
                .ok_or_else(|| format!("{what} must hold non-empty strings only"))
        })
        .collect()
}

/// `YYYY-MM-DD`, exactly.
pub fn date(text: &str, what: &str) -> Result<NaiveDate, String> {
    Some(text)
        .filter(|text| text.len() == 10)
        .and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .ok_or_else(|| format!("{what} must be a date such as 2026-03-04"))
}

/// `HH:MM`, exactly; 24:00 does not exist.
fn time_of_day(object: &Map<String, Value>, key: &str) -> Result<NaiveTime, String> {
    Some(required_text(object, key)?)
        .filter(|text| text.len() == 5)
        .and_then(|text| NaiveTime::parse_from_str(text, "%H:%M").ok())
        .ok_or_else(|| format!("{key} must be a time of day from 00:00 to 23:59"))
}

fn start_and_end(object: &Map<String, Value>) -> Result<(NaiveTime, NaiveTime), String> {
    let (start, end) = (time_of_day(object, "start")?, time_of_day(object, "end")?);
    if start < end { Ok((start, end)) } else { Err("start must be before end".to_owned()) }
}

/// The body of confirmInsert: the appointment ids and the patient id.
pub fn confirmation(body: &Value) -> Result<(Vec<String>, String), String> {
    let body = object(body, "the body")?;
    only_fields(
        body,
        &[
            "pmsAppointmentIds",
            "pmsPatientId",
            "patientAppointmentLink",
            "patientAppointmentDescription",
            "practitionerAppointmentLink",
            "practitionerAppointmentDescription",
        ],
        "the body",
    )?;
    let ids =
        texts(body.get("pmsAppointmentIds").ok_or("pmsAppointmentIds is required")?, "pmsAppointmentIds")?;
    if ids.is_empty() {
        return Err("pmsAppointmentIds must not be empty".to_owned());
    }
    let patient = required_text(body, "pmsPatientId")?.to_owned();
    for key in [
        "patientAppointmentLink",
        "patientAppointmentDescription",
        "practitionerAppointmentLink",
        "practitionerAppointmentDescription",
    ] {
        optional_text(body, key)?;
    }
    Ok((ids, patient))
}

/// The body `{"reason": string|null}`.
pub fn reason(body: &Value) -> Result<Option<String>, String> {
    let body = object(body, "the body")?;
    only_fields(body, &["reason"], "the body")?;
    nullable_text(body, "reason")
}

/// One availability snapshot, its shape and units only; whether the ids exist is the caller's to know.
pub fn availability(value: &Value) -> Result<AvailabilitySnapshot, String> {
    let snapshot = object(value, "a snapshot")?;
    only_fields(snapshot, &["id", "date", "pmsResourceId", "availability"], "the snapshot")?;
    optional_text(snapshot, "id")?;
    let date = date(required_text(snapshot, "date")?, "date")?;
    let resource_id = required_text(snapshot, "pmsResourceId")?.to_owned();
    let ranges =
        list(snapshot.get("availability"), "availability")?.iter().map(range).collect::<Result<_, _>>()?;
    Ok(AvailabilitySnapshot { date, resource_id, ranges })
}

fn range(value: &Value) -> Result<PublishedRange, String> {
    let range = object(value, "a range of availability")?;
    only_fields(range, &["start", "end", "slotLength", "pmsAppointmentTypeIds"], "the range")?;
    let (start, end) = start_and_end(range)?;
    let slot_length_seconds = range
        .get("slotLength")
        .ok_or("slotLength is required")?
        .as_i64()
        .ok_or("slotLength must be an integer number of seconds")?;
    if !(0..=LONGEST_SLOT_SECONDS).contains(&slot_length_seconds) {
        return Err("slotLength is not a number of seconds within a day".to_owned());
    }
    let appointment_type_ids =
        range.get("pmsAppointmentTypeIds").map(|ids| texts(ids, "pmsAppointmentTypeIds")).transpose()?;
    Ok(PublishedRange { start, end, slot_length_seconds, appointment_type_ids })
}

/// The complete list of resources; returns their ids.
pub fn resources(body: &Value) -> Result<BTreeSet<String>, String> {
    unique_items(body, "pmsResourceId", "pmsResourceName", |item| {
        only_fields(
            item,
            &[
                "pmsResourceId",
                "pmsResourceName",
                "pmsPractitionerTitle",
                "pmsPractitionerFirstname",
                "pmsPractitionerLastname",
            ],
            "the resource",
        )?;
        for key in ["pmsPractitionerTitle", "pmsPractitionerFirstname", "pmsPractitionerLastname"] {
            optional_text(item, key)?;
        }
        Ok(())
    })
}

/// The complete list of appointment types; returns their ids.
pub fn appointment_types(body: &Value) -> Result<BTreeSet<String>, String> {
    unique_items(body, "pmsAppointmentTypeId", "pmsAppointmentTypeName", |item| {
        only_fields(
            item,
            &["pmsAppointmentTypeId", "pmsAppointmentTypeName", "pmsAppointmentLength", "pmsResourceId"],
            "the appointment type",
        )?;
        if item.contains_key("pmsResourceId") {
            required_text(item, "pmsResourceId")?;
        }
        match item.get("pmsAppointmentLength").map(Value::as_i64) {
            None => Ok(()),
            Some(Some(1..=LONGEST_APPOINTMENT_MINUTES)) => Ok(()),
            Some(Some(_)) => {
                Err(format!("pmsAppointmentLength must be 1 to {LONGEST_APPOINTMENT_MINUTES} minutes"))
            }
            Some(None) => Err("pmsAppointmentLength must be an integer number of minutes".to_owned()),
        }
    })
}

fn unique_items(
    body: &Value,
    id_field: &str,
    name_field: &str,
    check: impl Fn(&Map<String, Value>) -> Result<(), String>,
) -> Result<BTreeSet<String>, String> {
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for item in list(Some(body), "the body")? {
        let item = object(item, "an entry")?;
        let (id, name) = (required_text(item, id_field)?, required_text(item, name_field)?);
        check(item)?;
        if !ids.insert(id.to_owned()) {
            return Err(format!("{id_field} {id} is not unique"));
        }
        if !names.insert(name) {
            return Err(format!("{name_field} {name} is not unique"));
        }
    }
    Ok(ids)
}

/// The liveness contract. Overlapping and unsorted ranges are accepted, as the service's own example has them.
pub fn liveness_contract(body: &Value) -> Result<(), String> {
    let body = object(body, "the body")?;
    only_fields(body, &["liveHours"], "the body")?;
    let hours = object(body.get("liveHours").ok_or("liveHours is required")?, "liveHours")?;
    only_fields(hours, &LIVE_DAYS, "liveHours")?;
    for (day, ranges) in hours {
        for range in list(Some(ranges), day)? {
            let range = object(range, "a range of live hours")?;
            only_fields(range, &["start", "end"], "the range")?;
            start_and_end(range)?;
        }
    }
    Ok(())
}

/// A subscription to create (contract sheet §4.5).
pub fn subscription(body: &Value) -> Result<(), String> {
    let body = object(body, "the body")?;
    only_fields(body, &["id", "clientId", "topic", "callbackUrl", "startAt", "expireAt"], "the body")?;
    let topic = required_text(body, "topic")?;
    let known = topic
        .strip_prefix("requests.")
        .is_some_and(|kind| kind == "*" || super::routes::REQUEST_KINDS.contains(&kind));
    if !known {
        return Err("topic is not one that can be subscribed to".to_owned());
    }
    let callback = required_text(body, "callbackUrl")?;
    let is_web_address = url::Url::parse(callback)
        .is_ok_and(|address| matches!(address.scheme(), "https" | "http") && address.has_host());
    if !is_web_address {
        return Err("callbackUrl must be a web address".to_owned());
    }
    nullable_text(body, "clientId")?;
    let time = |key: &str| {
        let given = nullable_text(body, key)?;
        given
            .map(|text| {
                parse_date_time(&text)
                    .ok_or_else(|| format!("{key} must be a time such as 2026-03-04 10:15:00"))
            })
            .transpose()
    };
    match (time("startAt")?, time("expireAt")?) {
        (Some(start), Some(end)) if end <= start => Err("expireAt must be after startAt".to_owned()),
        (_, _) => Ok(()),
    }
}

/// `NAME (EMAIL) DEV|UAT|PROD` (contract sheet §2).
pub fn is_proper_user_agent(text: &str) -> bool {
    let Some((vendor, environment)) = text.rsplit_once(") ") else { return false };
    let Some((name, email)) = vendor.rsplit_once(" (") else { return false };
    let proper_email = email.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !email.contains(char::is_whitespace)
    });
    !name.trim().is_empty() && proper_email && matches!(environment, "DEV" | "UAT" | "PROD")
}
