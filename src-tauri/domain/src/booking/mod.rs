//! A booking, from the partner asking for it to the partner knowing how it went.

mod ledger;
mod placing;
#[cfg(test)]
mod tests;
mod undoing;

pub use ledger::{BookingEvent, BookingState, IllegalEvent, Stage, Step};
pub use placing::{ANSWER_WITHIN, Moved, Placement, REPICK_WITHIN};
pub use undoing::{AskedAbout, Difference, Standing, Undoing, Watched};

use crate::failure::Refusal;
use crate::ids::{
    AppointmentRef, AppointmentTypeRef, ForeignBookingId, ForeignChangeId, PartnerId, PatientRef, PracticeId,
    ResourceRef,
};
use crate::matching::Decision;
use crate::people::{PatientPlan, PersonDetails};
use crate::private::Private;
use crate::time::{Minutes, PracticeTime, Seconds};
use chrono::{DateTime, Utc};

/// Names a booking for good. Written into the practice system beside the appointment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookingKey {
    /// The practice that it was made at.
    pub practice: PracticeId,
    /// The partner that took it.
    pub partner: PartnerId,
    /// As the partner calls it.
    pub booking: ForeignBookingId,
}

impl BookingKey {
    /// The text that stands beside the appointment in the book: `[healthengine:36127212]`.
    /// It leaves the practice out, because a book belongs to one.
    pub fn mark(&self) -> String {
        format!("[{}:{}]", self.partner, self.booking)
    }
}

/// Stands for a time of booking that is not known. It lies so far back that nothing counts as early because of it.
pub const BOOKED_AT_UNKNOWN: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

/// What a patient asked for, as the partner sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingRequest {
    /// Its name.
    pub key: BookingKey,
    /// With whom; none when the resource was removed in between.
    pub resource: Option<ResourceRef>,
    /// For what.
    pub appointment_type: Option<AppointmentTypeRef>,
    /// When, on the practice's wall clock.
    pub starts: PracticeTime,
    /// How long.
    pub length: Seconds,
    /// Who.
    pub patient: PersonDetails,
    /// A previous link; a hint, never a substitute for matching.
    pub linked_patient: Option<PatientRef>,
    /// The patient's own claim.
    pub says_new_patient: bool,
    /// The patient's reason and the partner's comment; goes to the appointment's note.
    pub note: Private<String>,
    /// When the patient booked; [`BOOKED_AT_UNKNOWN`] where the partner does not say it readably.
    pub booked_at: DateTime<Utc>,
    /// Whether the partner says that it is cancelled already.
    pub cancelled: bool,
}

impl BookingRequest {
    /// When the patient booked, where that is known.
    pub fn known_booked_at(&self) -> Option<DateTime<Utc>> {
        Some(self.booked_at).filter(|booked_at| *booked_at != BOOKED_AT_UNKNOWN)
    }

    /// What can be said against the request without looking at the book.
    pub fn refusal_on_sight(&self) -> Option<Refusal> {
        if self.cancelled {
            return Some(Refusal::PatientCancelled);
        }
        if self.resource.is_none() {
            return Some(Refusal::ResourceMissing);
        }
        if self.length.sensible_minutes().is_none() {
            return Some(Refusal::BadLength);
        }
        let nameless = |name: &Private<String>| !name.reveal().chars().any(char::is_alphanumeric);
        if nameless(&self.patient.first_name) && nameless(&self.patient.last_name) {
            return Some(Refusal::NameMissing);
        }
        None
    }
}

/// A change that a patient made to a booking, as the partner sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingChange {
    /// As the partner calls the change; changes are applied in this order (sheet §7).
    pub id: ForeignChangeId,
    /// The booking it is about.
    pub booking: ForeignBookingId,
    /// What became of the booking.
    pub kind: ChangeKind,
}

/// What a change says of its booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is cancelled; nothing else can be applied by us.
    Cancelled,
    /// It stands as before.
    Stands,
    /// It cannot be told. It is declined, because a cancellation that was confirmed unapplied would be lost.
    Unreadable,
}

/// What the practice now holds for a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The appointment.
    pub appointment: AppointmentRef,
    /// Its patient; none while the time is held without a name.
    pub patient: Option<PatientRef>,
}

/// What the practice holds, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The appointment.
    pub appointment: AppointmentRef,
    /// Its patient.
    pub patient: PatientRef,
}

/// What to write into the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppointmentOrder {
    /// Goes beside the appointment, so that it can be found again.
    pub key: BookingKey,
    /// With whom.
    pub resource: ResourceRef,
    /// For what.
    pub appointment_type: Option<AppointmentTypeRef>,
    /// When, on the practice's wall clock.
    pub starts: PracticeTime,
    /// How long.
    pub length: Minutes,
    /// Whose record it is written to.
    pub patient: PatientPlan,
    /// For a new record.
    pub details: PersonDetails,
    /// For the appointment's note.
    pub note: Private<String>,
    /// A person wants it there although something else stands there. Nothing else is left unchecked.
    pub beside: bool,
}

/// One booking in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was asked for.
    pub request: BookingRequest,
    /// How far it is.
    pub state: BookingState,
    /// How the patient was decided on, once tried.
    pub decision: Option<Decision>,
    /// Where a person put it, where that was needed; see [`Entry::placed`].
    pub placement: Option<Placement>,
    /// Whether the patient has to hear where it was put, because the partner tells them another time.
    pub tell_place: bool,
    /// Rises with every event.
    pub revision: u32,
    /// When we first saw it.
    pub received_at: DateTime<Utc>,
    /// When the partner had our first answer; a patient corrected later is told anew without moving it.
    pub answered_at: Option<DateTime<Utc>>,
    /// When the current state began.
    pub state_since: DateTime<Utc>,
    /// When to look at it next.
    pub not_before: DateTime<Utc>,
}

/// One line of a booking's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// When.
    pub at: DateTime<Utc>,
    /// A sentence without anybody's name.
    pub what: String,
}
