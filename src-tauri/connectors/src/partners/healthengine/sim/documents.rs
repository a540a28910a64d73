//! Documents that the practice shares with its patients (contract sheet §4.6, feature `documents`).
//!
//! Our reading, where the contract is silent: what is announced is kept per document until it is announced
//! anew; an announcement settles the requests of the bookings that it names, and an empty one settles all,
//! since it says that there is nothing for any of them; a document may be uploaded without having been asked
//! for.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HealthengineSim;
use super::features::Feature;
use super::routes::{Answer, Operation, Refused, no_such_operation, not_found};
use super::rules;
use super::state::{DeskRefusal, Practice, SimState};

const METADATA_FIELDS: [&str; 9] = [
    "bookingId",
    "pmsDocumentId",
    "documentType",
    "documentName",
    "documentDescription",
    "documentFormat",
    "documentSize",
    "createdAt",
    "updatedAt",
];

/// Healthengine asks for the content of a document that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimUploadRequest {
    /// The booking that the document belongs to.
    pub booking_id: i64,
    /// The practice system's id of the document.
    pub pms_document_id: String,
    /// When it was asked for, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// What the practice system did about it.
    pub answer: Option<UploadAnswer>,
}

/// How a request for a document ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadAnswer {
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// False: rejectUpload.
    pub uploaded: bool,
    /// Of a rejection.
    pub reason: Option<String>,
}

/// A document that came in. Not kept over a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadedDocument {
    /// When, by the simulator's clock.
    pub received_at: DateTime<Utc>,
    /// Whether Healthengine had asked for it.
    pub asked: bool,
    /// The body without its content.
    pub metadata: Value,
    /// The content, decoded.
    pub content: Vec<u8>,
}

impl UploadedDocument {
    fn is_of(&self, booking_id: i64) -> bool {
        self.metadata.get("bookingId").and_then(Value::as_i64) == Some(booking_id)
    }
}

impl HealthengineSim {
    /// Healthengine asks which documents there are for a booking; the number may name none. The request
    /// appears only while the feature `documents` is on.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_available_documents(&self, practice_id: &str, booking_id: i64) -> Result<(), DeskRefusal> {
        self.change(|state, now| {
            state.practice_mut(practice_id)?.record.available_requests.insert(booking_id, now);
            Ok(())
        })
    }

    /// Healthengine asks for the content of a document of a booking; neither needs to be there.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn ask_upload(
        &self,
        practice_id: &str,
        booking_id: i64,
        pms_document_id: &str,
    ) -> Result<(), DeskRefusal> {
        self.change(|state, now| {
            state.practice_mut(practice_id)?.record.upload_requests.push(SimUploadRequest {
                booking_id,
                pms_document_id: pms_document_id.to_owned(),
                created_at: now,
                answer: None,
            });
            Ok(())
        })
    }
}

impl SimState {
    /// The metadata of every document announced for a booking, by document id.
    #[must_use]
    pub fn available_documents_of(&self, booking_id: i64) -> Vec<&Value> {
        let all = self.practices.values().flat_map(|practice| practice.record.available_documents.values());
        all.filter(|document| document.get("bookingId").and_then(Value::as_i64) == Some(booking_id)).collect()
    }

    /// The bookings that Healthengine waits to hear about, whether the feature is on or not.
    pub fn available_documents_asked(&self, practice_id: &str) -> impl Iterator<Item = i64> {
        let practice = self.practices.get(practice_id);
        practice.into_iter().flat_map(|practice| practice.record.available_requests.keys().copied())
    }

    /// Every request for a document's content, answered or not, oldest first.
    #[must_use]
    pub fn upload_requests(&self, practice_id: &str) -> &[SimUploadRequest] {
        self.practices
            .get(practice_id)
            .map(|practice| practice.record.upload_requests.as_slice())
            .unwrap_or_default()
    }

    /// Every document that a practice uploaded, oldest first.
    #[must_use]
    pub fn uploads(&self, practice_id: &str) -> &[UploadedDocument] {
        self.practices.get(practice_id).map(|practice| practice.uploads.as_slice()).unwrap_or_default()
    }

    /// Every document that was uploaded for a booking, oldest first.
    #[must_use]
    pub fn uploads_of(&self, booking_id: i64) -> Vec<&UploadedDocument> {
        let all = self.practices.values().flat_map(|practice| practice.uploads.iter());
        all.filter(|upload| upload.is_of(booking_id)).collect()
    }
}

pub fn documents(
    practice: &mut Practice,
    action: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    match action {
        "available" => {
            practice.record.require(Feature::Documents, 403)?;
            announced(practice, &operation.json_body()?, now)
        }
        "upload" => {
            practice.record.require(Feature::Documents, 403)?;
            uploaded(practice, operation.json_body()?, now)
        }
        "rejectUpload" => {
            practice.record.require(Feature::Documents, 400)?;
            upload_rejected(practice, &operation.json_body()?, now)
        }
        _ => Err(no_such_operation(operation.method, operation.path)),
    }
}

struct Metadata<'v> {
    booking_id: i64,
    document_id: &'v str,
    size: i64,
}

/// The fields that announcing and uploading have in common. Only the description may be left out.
fn metadata(document: &Map<String, Value>, now: DateTime<Utc>) -> Result<Metadata<'_>, String> {
    let booking_id = rules::required_integer(document, "bookingId")?;
    let document_id = rules::required_text(document, "pmsDocumentId")?;
    if !matches!(rules::required_text(document, "documentType")?, "scripts" | "referral") {
        return Err("documentType must be scripts or referral".to_owned());
    }
    rules::required_text(document, "documentName")?;
    rules::optional_text(document, "documentDescription")?;
    rules::media_type(document, "documentFormat")?;
    let size = rules::required_integer(document, "documentSize")?;
    if size < 1 {
        return Err("documentSize must be at least one byte".to_owned());
    }
    let created = rules::utc_time(document, "createdAt", now)?;
    if rules::utc_time(document, "updatedAt", now)? < created {
        return Err("updatedAt must not be before createdAt".to_owned());
    }
    Ok(Metadata { booking_id, document_id, size })
}

/// A document's id must not be used for two bookings.
fn belongs_elsewhere(practice: &Practice, found: &Metadata<'_>) -> bool {
    let before = practice.record.available_documents.get(found.document_id);
    before.is_some_and(|before| before.get("bookingId").and_then(Value::as_i64) != Some(found.booking_id))
}

fn announced(practice: &mut Practice, body: &Value, now: DateTime<Utc>) -> Result<Answer, Refused> {
    let list = rules::list(Some(body), "the body")?;
    let (mut ids, mut bookings) = (BTreeSet::new(), BTreeSet::new());
    for document in list {
        let document = rules::object(document, "a document")?;
        rules::only_fields(document, &METADATA_FIELDS, "the document")?;
        let found = metadata(document, now)?;
        if !practice.record.bookings.contains_key(&found.booking_id) {
            return Err(Refused::from(format!("there is no booking {}", found.booking_id)));
        }
        if belongs_elsewhere(practice, &found) || !ids.insert(found.document_id) {
            return Err(Refused::from(format!("pmsDocumentId {} is not unique", found.document_id)));
        }
        bookings.insert(found.booking_id);
    }
    let record = &mut practice.record;
    for document in list {
        if let Some(id) = document.get("pmsDocumentId").and_then(Value::as_str) {
            record.available_documents.insert(id.to_owned(), document.clone());
        }
    }
    let nothing_for_any = list.is_empty();
    record.available_requests.retain(|booking_id, _| !nothing_for_any && !bookings.contains(booking_id));
    Ok(Answer::done())
}

fn uploaded(practice: &mut Practice, mut body: Value, now: DateTime<Utc>) -> Result<Answer, Refused> {
    let document = rules::object(&body, "the body")?;
    let known: Vec<&str> = METADATA_FIELDS.into_iter().chain(["documentContent"]).collect();
    rules::only_fields(document, &known, "the document")?;
    let found = metadata(document, now)?;
    let content = BASE64
        .decode(rules::required_text(document, "documentContent")?)
        .map_err(|_| Refused::from("documentContent must be base64".to_owned()))?;
    if i64::try_from(content.len()) != Ok(found.size) {
        return Err(Refused::from(format!(
            "documentSize is {} and documentContent has {} bytes",
            found.size,
            content.len()
        )));
    }
    if !practice.record.bookings.contains_key(&found.booking_id) {
        return Err(not_found(format!("there is no booking {}", found.booking_id)));
    }
    if belongs_elsewhere(practice, &found) {
        return Err(Refused::from(format!("pmsDocumentId {} is not unique", found.document_id)));
    }
    let answer = UploadAnswer { at: now, uploaded: true, reason: None };
    let asked = settle(practice, found.booking_id, found.document_id, &answer)?;
    if let Some(fields) = body.as_object_mut() {
        fields.remove("documentContent");
    }
    practice.uploads.push(UploadedDocument { received_at: now, asked, metadata: body, content });
    Ok(Answer::done())
}

fn upload_rejected(practice: &mut Practice, body: &Value, now: DateTime<Utc>) -> Result<Answer, Refused> {
    let fields = rules::object(body, "the body")?;
    rules::only_fields(fields, &["bookingId", "pmsDocumentId", "reason"], "the body")?;
    let booking_id = rules::required_integer(fields, "bookingId")?;
    let document_id = rules::required_text(fields, "pmsDocumentId")?;
    let answer = UploadAnswer { at: now, uploaded: false, reason: rules::nullable_text(fields, "reason")? };
    if !settle(practice, booking_id, document_id, &answer)? {
        let reason = format!("document {document_id} of booking {booking_id} was not asked for");
        return Err(Refused::from(reason));
    }
    Ok(Answer::done())
}

/// Closes the open requests for a document. True when it has ever been asked for, so that an answer that was
/// lost can be repeated; an answer that contradicts the former one is refused.
fn settle(
    practice: &mut Practice,
    booking_id: i64,
    document_id: &str,
    answer: &UploadAnswer,
) -> Result<bool, Refused> {
    let is_meant = |request: &SimUploadRequest| {
        request.booking_id == booking_id && request.pms_document_id == document_id
    };
    let meant = || practice.record.upload_requests.iter().filter(|request| is_meant(request));
    let open = meant().any(|request| request.answer.is_none());
    let last = meant().next_back().and_then(|request| request.answer.as_ref());
    if !open && last.is_some_and(|last| last.uploaded != answer.uploaded) {
        return Err(Refused::from(format!("document {document_id} has been answered differently before")));
    }
    let asked = open || last.is_some();
    for request in practice.record.upload_requests.iter_mut().filter(|request| is_meant(request)) {
        request.answer.get_or_insert_with(|| answer.clone());
    }
    Ok(asked)
}
