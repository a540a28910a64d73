//! Documents and extra features (contract sheet §4.6).

use async_trait::async_trait;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, TimeZone, Utc};
use domain::documents::{
    DocumentKey, DocumentOffer, DocumentRefusal, LARGEST_BYTES, PracticeDocument, PracticeDocumentKind,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PatientRef};
use domain::ports::documents::{DocumentDesk, DocumentsAsked, FeatureSwitch, Fetched};
use domain::private::Private;
use domain::settings::Feature;
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;

use super::Healthengine;
use super::client::unknown_there;
use super::translate::{Account, Nameless, date_and_time, text};
use super::wire::{self, Lenient, Text, Whole};
use crate::http::Haste;

/// Room in an answer for what stands beside the content.
const BESIDE_THE_CONTENT: u64 = 64 * 1024;

/// How a practice's documents are called, where nothing better is known.
const NO_DESCRIPTION: &str = "";

/// Some write base64 without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[async_trait]
impl FeatureSwitch for Healthengine {
    async fn switched_on(&self) -> Result<BTreeSet<Feature>, ReadError> {
        let items: Vec<serde_json::Value> =
            self.client.endpoint().read(&["features"], &[], Haste::Normal).await?;
        Ok(items.iter().filter_map(switched_on).collect())
    }

    async fn switch(&self, feature: Feature, on: bool) -> Result<(), WriteError> {
        let path = ["features", feature.name(), if on { "enable" } else { "disable" }];
        self.client.endpoint().write(&path, None::<&()>, Haste::Normal).await.map_err(unknown_there)
    }
}

fn switched_on(item: &serde_json::Value) -> Option<Feature> {
    let feature = wire::item::<wire::Feature>(item)?;
    let Lenient::Given(Text(id)) = &feature.id else { return None };
    let known = Feature::ALL.into_iter().find(|known| known.name() == id)?;
    (feature.enabled == Lenient::Given(true)).then_some(known)
}

#[async_trait]
impl DocumentDesk for Healthengine {
    async fn offered(&self) -> Result<Vec<DocumentOffer>, ReadError> {
        let items = self.client.list("attachDocuments").await?;
        Ok(self.readable("attachDocuments", &items, |item| offer(item, &self.account)))
    }

    async fn fetch(&self, offer: &DocumentOffer) -> Result<Fetched, ReadError> {
        // Two characters are sent for one in an escape, and four stand for three bytes.
        let announced = offer.size.unwrap_or_default().min(LARGEST_BYTES);
        let most = usize::try_from(announced * 2 + BESIDE_THE_CONTENT).unwrap_or(usize::MAX);
        let path = ["attachDocuments", offer.key.document.as_str()];
        let body = match self.client.endpoint().read_bulk(&path, most).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Fetched::Unusable(DocumentRefusal::WrongSize)),
            Err(ReadError::NotFound) => return Ok(Fetched::Gone),
            Err(error) => return Err(error),
        };
        let (size, sha1) = (offer.size, offer.sha1.clone());
        // Megabytes are decoded and digested beside whatever else is going on.
        let checked = tokio::task::spawn_blocking(move || checked(body, size, sha1.as_deref())).await;
        checked.map_err(|_| ReadError::Garbled("the document could not be looked at".into()))?
    }

    async fn filed(
        &self,
        document: &ForeignDocumentId,
        filed_as: Option<&DocumentRef>,
    ) -> Result<(), WriteError> {
        let body = wire::ConfirmDocument { pms_document_id: filed_as.map(DocumentRef::as_str) };
        let path = ["attachDocuments", document.as_str(), "confirmInsert"];
        self.client.endpoint().write(&path, Some(&body), Haste::Normal).await.map_err(unknown_there)
    }

    async fn not_filed(&self, document: &ForeignDocumentId, why: DocumentRefusal) -> Result<(), WriteError> {
        let body = wire::Reason { reason: why.to_string() };
        let path = ["attachDocuments", document.as_str(), "rejectInsert"];
        self.client.endpoint().write(&path, Some(&body), Haste::Normal).await.map_err(unknown_there)
    }

    async fn asked(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        let items = self.client.list("availableDocuments").await?;
        Ok(self.readable("availableDocuments", &items, |item| asked(item, false)))
    }

    async fn wanted(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        let items = self.client.list("uploadDocuments").await?;
        Ok(self.readable("uploadDocuments", &items, |item| asked(item, true)))
    }

    async fn announce(&self, documents: &[(ForeignBookingId, PracticeDocument)]) -> Result<(), WriteError> {
        let list = documents.iter().map(|(booking, document)| metadata(booking, document));
        let list = list.collect::<Result<Vec<_>, _>>()?;
        self.client.configure(&["documents", "available"], &list).await
    }

    async fn upload(
        &self,
        booking: &ForeignBookingId,
        document: &PracticeDocument,
        content: &Private<Vec<u8>>,
    ) -> Result<(), WriteError> {
        let body = wire::UploadDocument {
            metadata: metadata(booking, document)?,
            document_content: wire::Base64(content.reveal()),
        };
        let path = ["documents", "upload"];
        self.client.endpoint().write(&path, Some(&body), Haste::Bulk).await.map_err(unknown_there)
    }

    async fn not_uploaded(
        &self,
        booking: &ForeignBookingId,
        document: &DocumentRef,
        why: DocumentRefusal,
    ) -> Result<(), WriteError> {
        let body = wire::RejectUpload {
            booking_id: number(booking)?,
            pms_document_id: document.as_str(),
            reason: why.to_string(),
        };
        self.client.configure(&["documents", "rejectUpload"], &body).await.map_err(unknown_there)
    }
}

/// The number of a booking. Every one that came from Healthengine has one.
fn number(booking: &ForeignBookingId) -> Result<i64, WriteError> {
    booking.as_str().parse().map_err(|_| WriteError::Refused(Refusal::BookingUnknown))
}

/// A document that waits to be filed (§4.1). Only its own number is needed to answer it.
pub fn offer(item: &serde_json::Value, account: &Account) -> Result<DocumentOffer, Nameless> {
    let document = wire::item::<wire::AttachDocument>(item).ok_or(Nameless)?;
    let Lenient::Given(Whole(request)) = document.request_id else { return Err(Nameless) };
    let words = |field| Private::new(text(field).unwrap_or_default().to_owned());
    let format = text(&document.document_format).unwrap_or_default();
    let format = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let size = match document.document_size {
        Lenient::Given(Whole(bytes)) => u64::try_from(bytes).ok(),
        Lenient::Absent | Lenient::Odd => None,
    };
    // A booking that is given and cannot be read is one that nobody knows, and not none.
    let booking = match document.booking_id {
        Lenient::Given(Whole(id)) => Some(id.to_string()),
        Lenient::Odd => Some("?".to_owned()),
        Lenient::Absent => None,
    };
    let is_hash = |text: &&str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(DocumentOffer {
        key: DocumentKey {
            practice: account.practice.clone(),
            partner: account.partner.clone(),
            document: ForeignDocumentId::new(request.to_string()),
        },
        booking: booking.map(ForeignBookingId::new),
        patient: text(&document.pms_patient_id).map(PatientRef::new),
        appointment: text(&document.pms_appointment_id).map(AppointmentRef::new),
        kind: words(&document.document_type),
        name: words(&document.document_name),
        format,
        size,
        sha1: text(&document.document_hash).filter(is_hash).map(str::to_ascii_lowercase),
        made_at: text(&document.created_at).and_then(date_and_time).map(|at| Utc.from_utc_datetime(&at)),
    })
}

fn asked(item: &serde_json::Value, needs_document: bool) -> Result<DocumentsAsked, Nameless> {
    let request = wire::item::<wire::DocumentRequest>(item).ok_or(Nameless)?;
    let Lenient::Given(Whole(booking)) = request.booking_id else { return Err(Nameless) };
    let document = text(&request.pms_document_id).map(DocumentRef::new);
    if needs_document && document.is_none() {
        return Err(Nameless);
    }
    Ok(DocumentsAsked { booking: ForeignBookingId::new(booking.to_string()), document })
}

/// The content of an answer, if it is whole.
fn checked(body: Vec<u8>, size: Option<u64>, sha1: Option<&str>) -> Result<Fetched, ReadError> {
    let unusable = |why| Ok(Fetched::Unusable(why));
    let content = match serde_json::from_slice::<wire::DocumentContent<'_>>(&body) {
        Ok(wire::DocumentContent { document_content: Some(content) }) => content,
        Ok(wire::DocumentContent { document_content: None }) => return unusable(DocumentRefusal::Unreadable),
        Err(error) if error.classify() == serde_json::error::Category::Data => {
            return unusable(DocumentRefusal::Unreadable);
        }
        // Cut off, or from somebody else on the way: asked for again.
        Err(_) => return Err(ReadError::Garbled("a document that is not the expected JSON".into())),
    };
    let decoded = if content.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let dense: Vec<u8> = content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        BASE64.decode(dense)
    } else {
        BASE64.decode(content.as_bytes())
    };
    drop(content);
    drop(body);
    let Ok(bytes) = decoded else { return unusable(DocumentRefusal::Unreadable) };
    if bytes.is_empty() {
        return unusable(DocumentRefusal::Empty);
    }
    if u64::try_from(bytes.len()).ok() != size {
        return unusable(DocumentRefusal::WrongSize);
    }
    let digest: String = Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sha1 != Some(digest.as_str()) {
        return unusable(DocumentRefusal::WrongHash);
    }
    Ok(Fetched::Content(Private::new(bytes)))
}

fn metadata<'a>(
    booking: &ForeignBookingId,
    document: &'a PracticeDocument,
) -> Result<wire::DocumentMetadata<'a>, WriteError> {
    let moment = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    Ok(wire::DocumentMetadata {
        booking_id: number(booking)?,
        pms_document_id: document.id.as_str(),
        document_type: match document.kind {
            PracticeDocumentKind::Scripts => "scripts",
            PracticeDocumentKind::Referral => "referral",
        },
        document_name: document.name.reveal(),
        document_description: NO_DESCRIPTION,
        document_format: document.format,
        document_size: document.size,
        // A folder tells when a file was changed, and not when it was made.
        created_at: moment(document.changed_at),
        updated_at: moment(document.changed_at),
    })
}
