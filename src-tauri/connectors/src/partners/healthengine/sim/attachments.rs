//! Documents from the patient that the practice files (contract sheet §4.6, feature `attachDocuments`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::HealthengineSim;
use super::bookings::lay_over;
use super::features::Feature;
use super::routes::{Answer, Operation, Refused, no_such_operation, not_found, number};
use super::rules;
use super::state::{DeskRefusal, Practice, PracticeRecord, SimState, wire_time};

/// A document that a patient sends. Everything about it can be chosen, right or wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientDocument {
    /// `documentType`, such as `NEW PATIENT FORM`.
    pub kind: String,
    /// `documentName`, also one with path characters in it.
    pub name: String,
    /// `documentDescription`.
    pub description: String,
    /// `documentFormat`, a media type.
    pub format: String,
    /// The bytes; none at all is possible.
    pub content: Vec<u8>,
    /// The booking that it belongs to; the patient and appointment are taken from it where they are absent.
    pub booking_id: Option<i64>,
    /// The practice system's patient.
    pub pms_patient_id: Option<String>,
    /// The practice system's appointment.
    pub pms_appointment_id: Option<String>,
    /// Healthengine's id of the document.
    pub document_id: Option<String>,
    /// Says this instead of the true size.
    pub claimed_size: Option<i64>,
    /// Says this instead of the true SHA-1.
    pub claimed_hash: Option<String>,
    /// Laid over the metadata in the end, whatever it says; null lays nothing over.
    pub laid_over: Value,
}

impl Default for PatientDocument {
    fn default() -> Self {
        Self {
            kind: "NEW PATIENT FORM".to_owned(),
            name: "New Patient Form".to_owned(),
            description: "Filled in before the first visit".to_owned(),
            format: "text/plain".to_owned(),
            content: b"New patient form\n\nThis is a made-up form. Nobody filled it in.\n".to_vec(),
            booking_id: None,
            pms_patient_id: None,
            pms_appointment_id: None,
            document_id: None,
            claimed_size: None,
            claimed_hash: None,
            laid_over: Value::Null,
        }
    }
}

impl PatientDocument {
    /// A document with this name, media type and content.
    #[must_use]
    pub fn new(name: &str, format: &str, content: Vec<u8>) -> Self {
        Self { name: name.to_owned(), format: format.to_owned(), content, ..Self::default() }
    }

    /// A made-up form as a PDF of one page.
    #[must_use]
    pub fn made_up_pdf() -> Self {
        Self::new("New Patient Form", "application/pdf", one_page_pdf("New patient form (made up)"))
    }

    /// The same document, for a booking.
    #[must_use]
    pub fn for_booking(self, booking_id: i64) -> Self {
        Self { booking_id: Some(booking_id), ..self }
    }

    /// The same document, for a patient of the practice system.
    #[must_use]
    pub fn for_patient(self, pms_patient_id: &str) -> Self {
        Self { pms_patient_id: Some(pms_patient_id.to_owned()), ..self }
    }

    fn metadata(&self, record: &PracticeRecord, now: DateTime<Utc>) -> Value {
        let booking = self.booking_id.and_then(|id| record.bookings.get(&id));
        let patient = self.pms_patient_id.as_ref().or(booking.and_then(|one| one.pms_patient_id.as_ref()));
        let appointment =
            self.pms_appointment_id.as_ref().or(booking.and_then(|one| one.pms_appointment_ids.first()));
        let hash = self.claimed_hash.clone().unwrap_or_else(|| {
            Sha1::digest(&self.content).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        let size = self.claimed_size.or(i64::try_from(self.content.len()).ok());
        let mut metadata = json!({
            "pmsPatientId": patient,
            "pmsAppointmentId": appointment,
            "bookingId": self.booking_id,
            "documentId": self.document_id,
            "documentType": self.kind,
            "documentName": self.name,
            "documentDescription": self.description,
            "documentFormat": self.format,
            "documentSize": size,
            "documentHash": hash,
            "createdAt": wire_time(now),
        });
        lay_over(&mut metadata, &self.laid_over);
        metadata
    }
}

/// A PDF of one page with one line in it. `line` must not hold brackets that are not closed.
fn one_page_pdf(line: &str) -> Vec<u8> {
    let drawn = format!("BT /F1 16 Tf 72 760 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R \
         /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()),
    ];
    let mut pdf = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let end =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n", objects.len() + 1, pdf.len());
    format!("{pdf}{table}{end}").into_bytes()
}

/// A document that waits to be filed, or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimAttachment {
    /// Rises in the order of creation, over all kinds of requests and all practices.
    pub request_id: i64,
    /// When it was sent, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// As it is served, without the request id.
    pub metadata: Value,
    /// In base64, as it is served.
    pub content: String,
    /// True once Healthengine has withdrawn it: 410 from then on.
    pub expired: bool,
    /// How often its content was fetched.
    pub fetched: u32,
    /// What the practice system did with it: 410 from then on.
    pub answer: Option<AttachmentAnswer>,
}

/// How a document from a patient ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentAnswer {
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// True: confirmInsert. False: rejectInsert.
    pub inserted: bool,
    /// Of a confirmation.
    pub pms_document_id: Option<String>,
    /// Of a rejection.
    pub reason: Option<String>,
}

impl SimAttachment {
    /// Neither answered nor expired.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.answer.is_none() && !self.expired
    }

    pub(super) fn item(&self) -> Value {
        let mut item = self.metadata.clone();
        if let Some(fields) = item.as_object_mut() {
            fields.insert("requestId".to_owned(), json!(self.request_id));
        }
        item
    }
}

impl HealthengineSim {
    /// A patient sends a document to the practice. Returns the request id; the request appears only while
    /// the feature `attachDocuments` is on.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn attach_document(&self, practice_id: &str, document: &PatientDocument) -> Result<i64, DeskRefusal> {
        self.change(|state, now| state.attach_document(practice_id, document, now))
    }

    /// Healthengine withdraws a document: it leaves the list, and everything about it is 410.
    ///
    /// # Errors
    /// When there is no such practice or document.
    pub fn expire_document(&self, practice_id: &str, request_id: i64) -> Result<(), DeskRefusal> {
        self.change(|state, _| {
            let record = &mut state.practice_mut(practice_id)?.record;
            let found = record.attachments.get_mut(&request_id);
            found.ok_or(DeskRefusal::UnknownRequest(request_id))?.expired = true;
            Ok(())
        })
    }
}

impl SimState {
    pub(super) fn attach_document(
        &mut self,
        practice_id: &str,
        document: &PatientDocument,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        let request_id = self.last_request_id + 1;
        let record = &mut self.practice_mut(practice_id)?.record;
        let attachment = SimAttachment {
            request_id,
            created_at: now,
            metadata: document.metadata(record, now),
            content: BASE64.encode(&document.content),
            expired: false,
            fetched: 0,
            answer: None,
        };
        record.attachments.insert(request_id, attachment);
        self.last_request_id = request_id;
        self.announce(practice_id, "attachDocuments", None, Some(request_id), now);
        Ok(request_id)
    }

    /// Every document that patients sent to a practice, by request id.
    pub fn attachments(&self, practice_id: &str) -> impl Iterator<Item = &SimAttachment> {
        let practice = self.practices.get(practice_id);
        practice.into_iter().flat_map(|practice| practice.record.attachments.values())
    }

    /// A document from a patient, in whichever practice it is.
    #[must_use]
    pub fn attachment(&self, request_id: i64) -> Option<&SimAttachment> {
        self.practices.values().find_map(|practice| practice.record.attachments.get(&request_id))
    }
}

pub fn attachments(
    practice: &mut Practice,
    method: &str,
    parts: &[&str],
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let (request_id, action) = match (method, parts) {
        ("GET", [id]) => (*id, ""),
        ("POST", [id, action @ ("confirmInsert" | "rejectInsert")]) => (*id, *action),
        (method, _) => return Err(no_such_operation(method, operation.path)),
    };
    practice.record.require(Feature::AttachDocuments, 400)?;
    let request_id = number(request_id)?;
    let attachment = practice
        .record
        .attachments
        .get_mut(&request_id)
        .ok_or_else(|| not_found(format!("there is no request {request_id}")))?;
    if !attachment.is_open() {
        let why = if attachment.expired { "expired" } else { "handled already" };
        return Err(Refused { status: 410, reason: format!("request {request_id} is {why}") });
    }
    if action.is_empty() {
        attachment.fetched = attachment.fetched.saturating_add(1);
        let mut document = attachment.metadata.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("documentContent".to_owned(), json!(attachment.content));
        }
        return Ok(Answer::json(document));
    }
    let inserted = action == "confirmInsert";
    let field = if inserted { "pmsDocumentId" } else { "reason" };
    let body = operation.json_body()?;
    let fields = rules::object(&body, "the body")?;
    rules::only_fields(fields, &[field], "the body")?;
    let said = rules::nullable_text(fields, field)?;
    let (pms_document_id, reason) = if inserted { (said, None) } else { (None, said) };
    attachment.answer = Some(AttachmentAnswer { at: now, inserted, pms_document_id, reason });
    Ok(Answer::done())
}
