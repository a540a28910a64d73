//! The JSON as Hint has it (contract sheet §4, §5). Anything but an id may be null or missing.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub struct Practice {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Patient {
    pub id: String,
    #[serde(default)]
    pub first_name: Option<String>,
    #[serde(default)]
    pub last_name: Option<String>,
    #[serde(default)]
    pub dob: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub phones: Option<Vec<Phone>>,
    #[serde(default)]
    pub address_line1: Option<String>,
    #[serde(default)]
    pub address_city: Option<String>,
    #[serde(default)]
    pub address_state: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub address_zip: Option<String>,
    #[serde(default)]
    pub membership_status: Option<String>,
    #[serde(default)]
    pub merged_into: Option<Value>,
    #[serde(default)]
    pub provider_web_link: Option<String>,
    #[serde(default)]
    pub integration_error_message: Option<String>,
    // The schema has them still, although they were to be gone in 2017. Read, and never written.
    #[serde(default, deserialize_with = "text")]
    pub external_link_id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub import_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Phone {
    /// A number in the description, a text in its examples.
    #[serde(default, deserialize_with = "text")]
    pub number: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Practitioner {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub email: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Invoice {
    pub id: String,
    #[serde(default, deserialize_with = "text")]
    pub invoice_number: Option<String>,
    #[serde(default)]
    pub date: Option<String>,
    #[serde(default)]
    pub total_in_cents: Option<i64>,
    #[serde(default)]
    pub amount_in_cents: Option<i64>,
    #[serde(default)]
    pub patient: Option<Association>,
    #[serde(default)]
    pub owner: Option<Association>,
    #[serde(default)]
    pub provider_web_link: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Association {
    pub id: String,
}

/// What every kind of record has.
#[derive(Debug, Deserialize)]
pub struct Linked {
    #[serde(default, deserialize_with = "text")]
    pub integration_record_id: Option<String>,
    #[serde(default)]
    pub updated_at: Option<String>,
}

/// Whom to look for.
#[derive(Debug, Serialize)]
pub struct Wanted {
    pub first_name: String,
    pub last_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dob: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<WantedPhone>,
}

#[derive(Debug, Serialize)]
pub struct WantedPhone {
    pub number: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub us_formattable: bool,
}

/// A part of a record. What is none is left alone; what is some none is emptied.
#[derive(Debug, Default, Serialize)]
pub struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration_record_id: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration_web_link: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration_error_message: Option<Option<String>>,
}

/// What is answered instead of a record.
#[derive(Debug, Default, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub message: Option<String>,
}

/// A text, also where a number stands in its place; nothing where it is empty.
fn text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let value = Option::<Value>::deserialize(value)?;
    Ok(match value {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) | None => None,
    })
}
