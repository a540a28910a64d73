//! Documents on their way between patients and practice, and the features that bring them.

use crate::documents::{
    DocumentEntry, DocumentKey, DocumentOffer, DocumentOrder, DocumentRefusal, DocumentState,
    PracticeDocument,
};
use crate::failure::{Cause, ReadError, WriteError};
use crate::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId,
};
use crate::ports::store::StoreError;
use crate::private::Private;
use crate::settings::Feature;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Features of a partner, which are off until they are switched on (HE sheet §4.6).
#[async_trait]
pub trait FeatureSwitch: Send + Sync {
    /// Those that are on. Ones that this program does not know are left out.
    async fn switched_on(&self) -> Result<BTreeSet<Feature>, ReadError>;

    /// Switches one on or off. Doing it twice is fine.
    async fn switch(&self, feature: Feature, on: bool) -> Result<(), WriteError>;
}

/// A document as it was fetched.
pub enum Fetched {
    /// Its content, whole: size and hash are what was announced.
    Content(Private<Vec<u8>>),
    /// It came, and cannot be used.
    Unusable(DocumentRefusal),
    /// It was dealt with before, or has expired (410).
    Gone,
}

/// A booking whose documents the partner asks about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentsAsked {
    /// The booking.
    pub booking: ForeignBookingId,
    /// The document that is wanted; none where only the list is.
    pub document: Option<DocumentRef>,
}

/// Passes documents on (HE sheet §4.1, §4.6).
#[async_trait]
pub trait DocumentDesk: Send + Sync {
    /// Documents that wait to be filed, without their content.
    async fn offered(&self) -> Result<Vec<DocumentOffer>, ReadError>;

    /// One document with its content. Never more than [`crate::documents::LARGEST_BYTES`] are held in memory.
    async fn fetch(&self, offer: &DocumentOffer) -> Result<Fetched, ReadError>;

    /// Tells that a document was filed. Telling it twice is fine;
    /// [`crate::failure::Refusal::UnknownToPartner`] means that nobody waits for it any more.
    async fn filed(
        &self,
        document: &ForeignDocumentId,
        filed_as: Option<&DocumentRef>,
    ) -> Result<(), WriteError>;

    /// Tells that a document will not be filed; likewise.
    async fn not_filed(&self, document: &ForeignDocumentId, why: DocumentRefusal) -> Result<(), WriteError>;

    /// Bookings of which the partner wants to know what documents there are.
    async fn asked(&self) -> Result<Vec<DocumentsAsked>, ReadError>;

    /// Documents that the partner wants.
    async fn wanted(&self) -> Result<Vec<DocumentsAsked>, ReadError>;

    /// Says what documents there are for some bookings. Telling it twice is fine.
    async fn announce(&self, documents: &[(ForeignBookingId, PracticeDocument)]) -> Result<(), WriteError>;

    /// Hands a document over. Doing it twice is fine.
    async fn upload(
        &self,
        booking: &ForeignBookingId,
        document: &PracticeDocument,
        content: &Private<Vec<u8>>,
    ) -> Result<(), WriteError>;

    /// Says that a document will not come. Telling it twice is fine.
    async fn not_uploaded(
        &self,
        booking: &ForeignBookingId,
        document: &DocumentRef,
        why: DocumentRefusal,
    ) -> Result<(), WriteError>;
}

/// A folder, or whatever else takes documents, that did not work. Tried again by itself. Names no file.
#[derive(Debug, thiserror::Error)]
pub enum FilingError {
    /// Nobody answers: a service that is off, or a network in between.
    #[error("does not answer: check that it runs, and that this computer reaches it")]
    NoAnswer(#[source] Cause),
    /// Somebody has to set it up otherwise; the text says how, as the rest of a sentence without its stop.
    #[error("{0}")]
    SetUp(&'static str),
    /// It is not there: a drive that is not connected, a server that is off.
    #[error("is not there: check that its drive is connected, or name another one")]
    Missing,
    /// It cannot be read or written.
    #[error("may not be used by this program: give it the right to read and write there")]
    NotAllowed,
    /// No room is left.
    #[error("is full: free some space")]
    Full,
    /// Anything else.
    #[error("does not work")]
    Failed(#[source] Cause),
}

/// A document that was made ready to be put into place.
#[derive(Debug)]
pub struct Staged {
    /// Where it is to be put, to be recorded before it is tried.
    pub ticket: Private<String>,
    /// Its content, to be held in our own records until it is in place; none where it lies ready elsewhere.
    pub hold: Option<Private<Vec<u8>>>,
}

/// What became of a document that was to be put into place.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    /// The practice has it, as whatever its system calls it, where that is known.
    Stands(Option<DocumentRef>),
    /// Something else has its place, or it is to be tried anew; the text is to be recorded before it is tried.
    TryInstead(Private<String>),
    /// An earlier try may still take effect; look again later.
    NotSettled,
    /// The practice does not have it, and its system will not take it.
    TurnedAway,
}

/// Takes documents in, in two steps, so that a crash between any two instants leaves one document and not two or none.
#[async_trait]
pub trait DocumentInbox: Send + Sync {
    /// What people call it, for sentences: `The folder /srv/import`.
    fn title(&self) -> String;

    /// Tries whether documents could be filed, and leaves nothing behind.
    async fn check(&self) -> Result<(), FilingError>;

    /// Whether content lies ready in our own records ([`Staged::hold`]), so that it can be made ready whether or not
    /// the practice system can be reached.
    fn stages_in_our_records(&self) -> bool {
        false
    }

    /// Makes content ready, where the practice does not see it, and returns where it is to be put. Doing it again
    /// begins anew; nothing is left of the former time.
    async fn stage(&self, order: &DocumentOrder, content: Private<Vec<u8>>) -> Result<Staged, FilingError>;

    /// Puts what lies ready, or what our records hold, into its place. Done before, it tells the same again, also when
    /// the practice has moved the document elsewhere since.
    async fn place(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        held: Option<Private<Vec<u8>>>,
    ) -> Result<Placed, FilingError>;

    /// Takes away what lies ready.
    async fn discard(&self, key: &DocumentKey) -> Result<(), FilingError>;
}

/// Gives out documents that the practice has for its patients.
#[async_trait]
pub trait DocumentSource: Send + Sync {
    /// What people call it, for sentences.
    fn title(&self) -> String;

    /// Tries whether documents could be read.
    async fn check(&self) -> Result<(), FilingError>;

    /// Those of one appointment.
    async fn documents(
        &self,
        appointment: &AppointmentRef,
        patient: &PatientRef,
    ) -> Result<Vec<PracticeDocument>, FilingError>;

    /// The content of one of them; none when it is gone, or grew beyond [`crate::documents::LARGEST_BYTES`].
    async fn content(
        &self,
        appointment: &AppointmentRef,
        patient: &PatientRef,
        document: &DocumentRef,
    ) -> Result<Option<Private<Vec<u8>>>, FilingError>;
}

/// The documents that were offered, and how far each is. Only the engine writes here.
#[async_trait]
pub trait DocumentLedger: Send + Sync {
    /// Records `offer` unless it is known. Returns whether it was new.
    async fn receive_document(&self, offer: &DocumentOffer, now: DateTime<Utc>) -> Result<bool, StoreError>;

    /// One document.
    async fn document(&self, key: &DocumentKey) -> Result<Option<DocumentEntry>, StoreError>;

    /// Moves a document on, durable when this returns. Fails with `Stale` where it is not at `from`, and where `to` may
    /// not follow.
    async fn move_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        to: &DocumentState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Holds the content of a document that is `Received` and makes it `Filing`, in one transaction. It is held until
    /// the document is `Filed`.
    async fn hold_document(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Keeps the content of a document that is at `from`, under a booking, and makes it `Kept`, in one transaction.
    async fn keep_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        booking: &ForeignBookingId,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Puts the next look off.
    async fn postpone_document(&self, key: &DocumentKey, until: DateTime<Utc>) -> Result<(), StoreError>;

    /// Those with something left to do, oldest first.
    async fn unfinished_documents(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError>;

    /// Those of bookings that the practice got or is getting, and that are not forgotten yet, oldest first.
    async fn documents_of_bookings(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError>;

    /// What our own records hold of one document.
    async fn document_content(&self, key: &DocumentKey) -> Result<Option<Private<Vec<u8>>>, StoreError>;

    /// The newest booking that stands for this patient.
    async fn booking_of_patient(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<ForeignBookingId>, StoreError>;
}
