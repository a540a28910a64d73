//! The practice's own system: the book that everyone in the clinic looks at.

use crate::booking::{AppointmentOrder, BookingKey, Held, Standing, Watched};
use crate::client_snapshot::{ClientSnapshot, SnapshotAsked};
use crate::consent::in_practice::{Answer, Mapping};
use crate::diary::{Appointment, Book, PracticeCard, VideoVisit};
use crate::failure::{ReadError, Refusal, WriteError};
use crate::ids::{AppointmentRef, PartnerId, PatientRef, ResourceRef};
use crate::people::{PatientPlan, PatientRecord, PersonDetails};
use crate::ports::documents::{DocumentInbox, DocumentSource};
use crate::ports::records::InvoiceBook;
use crate::ports::webhooks::{BookNews, WebhookDesk};
use crate::time::Horizon;
use async_trait::async_trait;
use chrono::NaiveDate;

/// Records that could be a person's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// The records.
    pub records: Vec<PatientRecord>,
    /// Whether these are all. Where hundreds share what was looked for, some may be left out, and nobody may be chosen
    /// among the rest without a person.
    pub complete: bool,
}

/// A practice system, reached however it is reached.
#[async_trait]
pub trait PracticeSystem: Send + Sync {
    /// Tries everything that normal work needs and changes nothing: connection, schema, rights.
    async fn check(&self) -> Result<PracticeCard, ReadError>;

    /// A short text that differs whenever anything that [`Self::book`] would return may differ. Cheap enough for
    /// every few seconds.
    async fn stamp(&self, horizon: Horizon) -> Result<String, ReadError>;

    /// The whole book in one consistent view, or an error. Never a part.
    async fn book(&self, horizon: Horizon) -> Result<Book, ReadError>;

    /// Whether it keeps people's birth dates. Where none are kept, people are known by their names with their phone and
    /// e-mail address ([`crate::matching::decide_by_contact`]).
    fn keeps_birth_dates(&self) -> bool {
        true
    }

    /// Every record that could be this person; generous, because [`crate::matching`] decides.
    async fn find_patients(&self, person: &PersonDetails) -> Result<Candidates, ReadError>;

    /// A short text that differs whenever any patient's record may differ. None where the system cannot tell just now;
    /// a moment later it may. Cheap enough for every few seconds, and before each decision on whose a booking is.
    async fn people_stamp(&self) -> Result<Option<String>, ReadError>;

    /// Records behind `after`, in an order of the system's own that stays the same, at most `limit`; fewer only where
    /// these are the last. Read page by page, so that nobody holds everybody twice; not one consistent view.
    async fn people(&self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<PatientRecord>, ReadError>;

    /// Some records by their keys; those that are gone are missing. In no order.
    async fn patients(&self, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError>;

    /// One record by its key; none where it is gone.
    async fn patient(&self, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError>;

    /// The partners for whom the practice holds consents in its system.
    fn consents_held(&self) -> Vec<Mapping> {
        Vec::new()
    }

    /// A short text that differs whenever any answer of [`Self::consents`] may. None where the system cannot tell just
    /// now. Cheap enough for every few seconds.
    async fn consents_stamp(&self, _partner: &PartnerId) -> Result<Option<String>, ReadError> {
        Ok(None)
    }

    /// What the system says about consent of the patients behind `after`, in an order of its own that stays the same, at
    /// most `limit`; fewer only where these are the last. Of whom it says nothing may be missing.
    async fn consents(
        &self,
        _partner: &PartnerId,
        _after: Option<&PatientRef>,
        _limit: u32,
    ) -> Result<Vec<Answer>, ReadError> {
        Ok(Vec::new())
    }

    /// The appointments of one resource on one day, with their patients. For finding what a person entered.
    async fn appointments_with_patients(
        &self,
        resource: &ResourceRef,
        day: NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, ReadError>;

    /// Writes the appointment with `order.key` beside it, its patient where new, in one transaction, only if the time
    /// is still free. A key that stands there already returns what stands there.
    async fn insert(&self, order: &AppointmentOrder) -> Result<Held, WriteError>;

    /// Whether something besides `appointment` takes time across the order's time for its resource now. Practice
    /// systems let people write without a check, so both can stand there after [`Self::insert`] found the time free.
    /// Reads once and answers within 3 seconds.
    async fn overlapped(
        &self,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, ReadError>;

    /// Looks for the appointment that carries `key`, cancelled ones left out.
    async fn find(&self, key: &BookingKey) -> Result<Option<Held>, ReadError>;

    /// How these appointments stand now, in their order and one consistent view, or an error; never a part. What
    /// stands under an appointment's key is it if it carries the booking's mark, or, without any mark, has the same
    /// patient or the same place; a key that is free is looked for by the mark. Cheap for hundreds.
    async fn standings(&self, watched: &[Watched]) -> Result<Vec<Standing>, ReadError>;

    /// Gives a held appointment its patient, or, with `instead_of`, the one that has that patient another. Doing it again
    /// returns what stands there, and so does an appointment that somebody gave to a third patient; one that is gone
    /// or cancelled is [`crate::failure::Refusal::BookingUnknown`]. With `instead_of`, only an appointment that carries
    /// `key` and is still to come is changed.
    async fn name_patient(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError>;

    /// Where the video consultation of an appointment takes place; none where it is none, or the system does not say.
    /// Answers within 3 seconds, because the partner waits for the confirmation.
    async fn video_visit(&self, appointment: &AppointmentRef) -> Result<Option<VideoVisit>, ReadError> {
        let _it_does_not_say = appointment;
        Ok(None)
    }

    /// Whether it can tell what a [`ClientSnapshot`] needs.
    fn serves_snapshots(&self) -> bool {
        false
    }

    /// The day with its patients, in one consistent view, or an error; never a part. A system that does not serve them
    /// ([`Self::serves_snapshots`]) says that it does not fit.
    async fn client_snapshot(&self, asked: SnapshotAsked) -> Result<ClientSnapshot, ReadError>;

    /// Cancels an appointment. One that is cancelled or gone already is done.
    async fn cancel(&self, held: &Held) -> Result<(), WriteError>;

    /// Takes documents in, where the practice system has a way for it.
    fn document_inbox(&self) -> Option<&dyn DocumentInbox> {
        None
    }

    /// Holds documents for patients, where the practice system has a way to give them out.
    fn document_source(&self) -> Option<&dyn DocumentSource> {
        None
    }

    /// Tells of invoices, where the practice system has them.
    fn invoice_book(&self) -> Option<&dyn InvoiceBook> {
        None
    }

    /// Tells an address of what changes in the book, where the practice system has a way for it.
    fn webhook_desk(&self) -> Option<&dyn WebhookDesk> {
        None
    }

    /// Hears that something may have changed, which is looked at with the next question. Returns whether it is worth
    /// asking at once: our own writing comes back this way, and is known already.
    fn heard(&self, _news: &BookNews) -> bool {
        false
    }

    /// Adds a line to an appointment's note, behind what stands there. `mark` is a part of the line; where the note has
    /// it already, nothing is written. A practice that may only be read refuses with
    /// [`crate::failure::Refusal::ReadOnly`], an appointment that is gone with
    /// [`crate::failure::Refusal::BookingUnknown`].
    async fn add_to_note(
        &self,
        _appointment: &AppointmentRef,
        _mark: &str,
        _line: &str,
    ) -> Result<(), WriteError> {
        Err(WriteError::Refused(Refusal::ReadOnly))
    }
}
