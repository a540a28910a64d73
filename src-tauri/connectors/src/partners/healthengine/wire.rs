//! The JSON as it is (contract sheet §4), read so that one odd field spoils nothing but itself.

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A field that was read. Prints without its value, because it may be personal.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Lenient<T> {
    /// Missing or null.
    #[default]
    Absent,
    /// As the contract has it.
    Given(T),
    /// Of another shape.
    Odd,
}

impl<T> fmt::Debug for Lenient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Given(_) => "Given",
            Self::Odd => "Odd",
        })
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(Self::Absent);
        }
        Ok(serde_json::from_value(value).map_or(Self::Odd, Self::Given))
    }
}

/// One item of a list; nothing when it is no object at all.
pub fn item<T: DeserializeOwned>(value: &serde_json::Value) -> Option<T> {
    // serde would take an array for an object without its keys.
    value.is_object().then(|| T::deserialize(value).ok()).flatten()
}

/// A text. A number is read as its digits, because ids are written both ways in the vendor's own examples (§8).
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = value.as_str().map(str::to_owned);
        text.or_else(|| value.as_number().map(ToString::to_string))
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("neither text nor number"))
    }
}

/// A whole number. A text of digits is read as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let written = || value.as_str().and_then(|text| text.trim().parse().ok());
        value
            .as_i64()
            .or_else(written)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not a whole number"))
    }
}

/// One page of a list (§3). Items are kept apart, so that one of another shape leaves the others readable.
#[derive(Deserialize)]
pub struct Page {
    pub data: Vec<serde_json::Value>,
    #[serde(default)]
    pub page: Lenient<PageNumbers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageNumbers {
    #[serde(default)]
    pub total_pages: Lenient<Whole>,
    #[serde(default)]
    pub total: Lenient<Whole>,
}

/// A booking (§4.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Booking {
    pub booking_id: Lenient<Whole>,
    pub pms_resource_id: Lenient<Text>,
    pub pms_appointment_type_id: Lenient<Text>,
    pub pms_patient_id: Lenient<Text>,
    /// UTC, without saying so.
    pub booked_time: Lenient<Text>,
    pub booking_status: Lenient<Text>,
    /// Practice-local, without saying so.
    pub pms_appointment_time: Lenient<Text>,
    /// Seconds.
    pub pms_appointment_length: Lenient<Whole>,
    pub reason: Lenient<Text>,
    pub comments: Lenient<Text>,
    /// A [`Patient`].
    pub patient: serde_json::Value,
    pub telehealth_url: Lenient<Text>,
    pub is_new_patient: Lenient<bool>,
}

/// The patient of a booking, as typed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Patient {
    pub firstname: Lenient<Text>,
    pub lastname: Lenient<Text>,
    /// DD-MM-YYYY, unlike every other date.
    pub dob: Lenient<Text>,
    pub phone: Lenient<Text>,
    pub email: Lenient<Text>,
    pub address: Lenient<Text>,
    pub suburb: Lenient<Text>,
    pub state: Lenient<Text>,
    pub postcode: Lenient<Text>,
    pub gender: Lenient<Text>,
    pub medicare_number: Lenient<Text>,
    pub medicare_irn: Lenient<Text>,
    /// Month and year.
    pub medicare_expiry: Lenient<Text>,
}

/// A change that a patient made (§4.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BookingUpdate {
    pub request_id: Lenient<Whole>,
    pub booking_id: Lenient<Whole>,
    pub booking_status: Lenient<Text>,
}

/// Free times that are asked for again (§4.1). The deprecated twin `pms_resource_id` is ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AvailabilityRequest {
    pub day: Lenient<Text>,
    pub pms_resource_id: Lenient<Text>,
}

/// A booking about whose appointment is asked (§4.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppointmentChangesRequest {
    pub booking_id: Lenient<Whole>,
    pub pms_appointment_ids: Lenient<Vec<Lenient<Text>>>,
    pub pms_patient_id: Lenient<Text>,
}

/// A published appointment type, as far as it is read back (§4.4).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublishedType {
    pub pms_appointment_type_id: Lenient<Text>,
}

/// Answer to a booking that stands (§4.2).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmInsert<'a> {
    pub pms_appointment_ids: [&'a str; 1],
    pub pms_patient_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_appointment_link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_appointment_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practitioner_appointment_link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practitioner_appointment_description: Option<&'a str>,
}

/// Body of every "no" (§4.2). Healthengine's support reads it; patients do not.
#[derive(Debug, Serialize)]
pub struct Reason {
    pub reason: String,
}

/// Free time of one resource on one practice-local day (§4.3).
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilitySnapshot {
    pub id: String,
    /// YYYY-MM-DD, practice-local.
    pub date: String,
    pub pms_resource_id: String,
    pub availability: Vec<AvailableRange>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AvailableRange {
    /// HH:MM, practice-local.
    pub start: String,
    /// HH:MM, practice-local, 23:59 at the latest.
    pub end: String,
    /// Seconds; below 60 it would be ignored.
    pub slot_length: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pms_appointment_type_ids: Vec<String>,
}

/// How a batch of snapshots went: each entry is a snapshot's id, or its index as a text (§4.3).
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct BatchAnswer {
    pub created: Lenient<Vec<Lenient<Text>>>,
    pub existing: Lenient<Vec<Lenient<Text>>>,
    pub failed: Lenient<Vec<Lenient<Text>>>,
    pub errors: Lenient<Vec<Lenient<SnapshotError>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SnapshotError {
    pub snapshot: Lenient<Text>,
    pub error: Lenient<Text>,
}

/// A resource (§4.4).
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PmsResource {
    pub pms_resource_id: String,
    pub pms_resource_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pms_practitioner_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pms_practitioner_firstname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pms_practitioner_lastname: Option<String>,
}

/// An appointment type (§4.4).
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PmsAppointmentType {
    pub pms_appointment_type_id: String,
    pub pms_appointment_type_name: String,
    /// Minutes, unlike a booking's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pms_appointment_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pms_resource_id: Option<String>,
}

/// The liveness contract (§4.4).
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LivenessContract {
    pub live_hours: std::collections::BTreeMap<&'static str, Vec<LiveRange>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LiveRange {
    /// HH:MM, practice-local.
    pub start: String,
    /// HH:MM, practice-local, 23:59 at the latest.
    pub end: String,
}

/// An extra feature (§4.6), as far as it is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Feature {
    pub id: Lenient<Text>,
    pub enabled: Lenient<bool>,
}

/// A document that waits to be filed (§4.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachDocument {
    pub request_id: Lenient<Whole>,
    pub pms_patient_id: Lenient<Text>,
    pub pms_appointment_id: Lenient<Text>,
    pub booking_id: Lenient<Whole>,
    pub document_type: Lenient<Text>,
    pub document_name: Lenient<Text>,
    pub document_format: Lenient<Text>,
    /// Bytes.
    pub document_size: Lenient<Whole>,
    /// SHA-1 of the content.
    pub document_hash: Lenient<Text>,
    /// UTC, without saying so.
    pub created_at: Lenient<Text>,
}

/// The content of one of them (§4.6). It is long, so it is not copied where it need not be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentContent<'a> {
    #[serde(borrow, default)]
    pub document_content: Option<std::borrow::Cow<'a, str>>,
}

/// Answer to a document that was filed (§4.6).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmDocument<'a> {
    pub pms_document_id: Option<&'a str>,
}

/// A booking that documents are asked of (§4.1).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentRequest {
    pub booking_id: Lenient<Whole>,
    pub pms_document_id: Lenient<Text>,
}

/// A document that the practice has for a booking (§4.6).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentMetadata<'a> {
    pub booking_id: i64,
    pub pms_document_id: &'a str,
    /// `scripts` or `referral`.
    pub document_type: &'static str,
    pub document_name: &'a str,
    pub document_description: &'a str,
    pub document_format: &'a str,
    /// Bytes.
    pub document_size: u64,
    /// UTC.
    pub created_at: String,
    /// UTC.
    pub updated_at: String,
}

/// The same with its content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadDocument<'a> {
    #[serde(flatten)]
    pub metadata: DocumentMetadata<'a>,
    pub document_content: Base64<'a>,
}

/// Bytes that are written as base64, without a copy of the text.
pub struct Base64<'a>(pub &'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(
            self.0,
            &base64::engine::general_purpose::STANDARD,
        ))
    }
}

/// A document that will not come (§4.6).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectUpload<'a> {
    pub booking_id: i64,
    pub pms_document_id: &'a str,
    pub reason: String,
}
