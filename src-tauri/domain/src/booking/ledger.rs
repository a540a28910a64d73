//! The booking's state machine.
//!
//! Three invariants carry the exactly-once promise:
//!
//! - `Received`, `Entering`, `Unplaced` and `Refused` mean that we wrote nothing into the practice for this booking,
//!   or know that it is gone.
//! - `Inserting` is recorded before the practice is written to, and is only left by learning what the practice holds.
//! - `Naming` and `Withdrawing` are recorded before what is held is changed, and repeat an act that may be repeated.
//!
//! What staff undo in the practice leaves `Confirmed` for `Undone`, is told from there and from nowhere else, and ends
//! in `Ended`; nothing leads from there back to an insert.
//!
//! A confirmed booking whose patient somebody corrects is `Naming` again, `instead_of` the one that stands there. It
//! leaves the book never: it comes back as what the book holds then, or with the patient it had.

use super::{Held, Inserted, Placement, Undoing};
use crate::failure::Refusal;
use crate::ids::{AppointmentRef, PatientRef};
use crate::people::PatientPlan;

/// How far a booking is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingState {
    /// We hold the request. The practice holds nothing.
    Received {
        /// How often an insert was begun.
        tries: u32,
    },
    /// We may have written to the practice.
    Inserting {
        /// How often an insert was begun.
        tries: u32,
        /// The patient that was to be written.
        plan: PatientPlan,
    },
    /// The time is in the book without a name, until somebody decides who it is.
    Held(AppointmentRef),
    /// The held time is being given its patient, or what was confirmed another one.
    Naming {
        /// What is held.
        appointment: AppointmentRef,
        /// Whose it becomes.
        plan: PatientPlan,
        /// Whose it was when the partner had its confirmation; none for a time that was only held.
        instead_of: Option<PatientRef>,
    },
    /// The practice may only be read: somebody at the desk enters the appointment, and we look for it.
    Entering,
    /// The practice holds it. The partner does not know yet.
    Inserted(Inserted),
    /// What may be in the book is being taken out.
    Withdrawing(Refusal),
    /// It cannot be put into the book, and declining no longer helps the patient. A person decides.
    Unplaced(Refusal),
    /// The practice does not hold it. The partner does not know yet.
    Refused {
        /// Why.
        why: Refusal,
        /// Whether somebody has to tell the patient, because the partner does not any more.
        tell_patient: bool,
    },
    /// A person has to look. The practice may hold it.
    Stuck {
        /// What went wrong, without anybody's name.
        why: String,
    },
    /// The partner knows that it stands. Final, unless it is cancelled.
    Confirmed(Inserted),
    /// The partner knows that it fell through. Final, but for telling the patient.
    Rejected {
        /// Why.
        why: Refusal,
        /// Whether somebody still has to tell the patient.
        tell_patient: bool,
    },
    /// The patient cancelled it, and it is being taken out of the book.
    Cancelling {
        /// What stands in the book.
        inserted: Inserted,
        /// Whether somebody at the desk has to do it, because the practice may only be read.
        by_hand: bool,
    },
    /// It stood, and was cancelled. Final.
    Cancelled(Inserted),
    /// Staff undid it in the practice. The partner does not know yet.
    Undone {
        /// What stood in the book.
        inserted: Inserted,
        /// What they did.
        how: Undoing,
    },
    /// Staff undid it in the practice, and the partner was told. Final.
    Ended {
        /// What stood in the book.
        inserted: Inserted,
        /// What they did.
        how: Undoing,
    },
    /// A person said that they have dealt with it. Final.
    Closed,
}

/// What can happen to a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingEvent {
    /// We are about to write to the practice.
    InsertBegan(PatientPlan),
    /// The practice holds it.
    FoundInPractice(Held),
    /// The practice holds nothing for it.
    AbsentFromPractice,
    /// It cannot be written; the practice holds nothing. Declining still lets the patient choose again.
    Refused(Refusal),
    /// The same, but later than that.
    RefusedLate(Refusal),
    /// The practice may only be read.
    HandedToDesk,
    /// Somebody decided who the patient is, or nobody did in time and the safe side was taken.
    PatientDecided(PatientPlan),
    /// The patient of what is confirmed cannot be changed any more.
    PatientStays(Refusal),
    /// Somebody at the desk, the patient, or the clock said that it will not be.
    CalledOff(Refusal),
    /// The person's time to decide ran out.
    TimeRanOut,
    /// The partner has our answer.
    PartnerKnows,
    /// We will not go on by ourselves; the reason is without anybody's name.
    GaveUp(String),
    /// Somebody at the desk asks for another try.
    TriedAgain,
    /// Somebody at the desk chose where it goes although it could not go where it was asked for.
    PlacedByPerson(Placement),
    /// Somebody told the patient where it was put.
    PatientTold,
    /// Somebody at the desk has dealt with it.
    SeenTo,
    /// The patient cancelled what stands in the book.
    CancelAsked {
        /// Whether somebody at the desk has to do it.
        by_hand: bool,
    },
    /// The appointment is cancelled in the practice.
    Cancelled,
    /// It cannot be cancelled from outside; it stands.
    CancelRefused(Refusal),
    /// Staff undid in the practice what stood there.
    UndoneInPractice(Undoing),
    /// It stands in the book, as another appointment or for another patient than the partner knows.
    Relinked(Inserted),
    /// Staff had undone it already when the patient cancelled it too.
    PatientCancelledToo,
    /// The partner refuses to hear of it; the reason is without anybody's name.
    NotTaken(String),
}

/// What to do next for a booking in some state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Decide on the patient and write the appointment.
    Insert,
    /// Look for it by its key.
    LookInPractice,
    /// Write the patient to the held appointment.
    NamePatient,
    /// Look for the appointment that a person enters.
    LookForEntry,
    /// Take out of the book what may be there.
    Withdraw,
    /// Cancel in the book what the patient cancelled, or see whether somebody has.
    CancelInPractice,
    /// Tell the partner that it stands.
    ConfirmToPartner,
    /// Tell the partner that it fell through.
    DeclineToPartner,
    /// Tell the partner what staff did.
    TellPartner,
    /// Nothing until a person, or their time running out, says more.
    WaitForPerson,
    /// Nothing more.
    Nothing,
}

/// Which part of its way a booking is on: everything before the partner's answer is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// The partner waits for our answer, or for what changed about it.
    UnderWay,
    /// The partner knows that it stands.
    Stands(&'a Inserted),
    /// The patient cancelled it, and it is being taken out of the book.
    Cancelling {
        /// What stands in the book.
        inserted: &'a Inserted,
        /// Whether somebody at the desk has to do it.
        by_hand: bool,
    },
    /// The patient cancelled it.
    Cancelled(&'a Inserted),
    /// Staff undid it in the practice.
    Undone {
        /// What stood in the book.
        inserted: &'a Inserted,
        /// What they did.
        how: &'a Undoing,
        /// Whether the partner was told.
        told: bool,
    },
    /// The partner knows that it fell through.
    Rejected(&'a Refusal),
    /// Somebody has dealt with it.
    Closed,
}

/// An event that cannot follow a state. A mistake of ours, or two at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot follow {state:?}")]
pub struct IllegalEvent {
    state: Box<BookingState>,
    event: Box<BookingEvent>,
}

impl BookingState {
    /// How every booking begins.
    pub const NEW: BookingState = BookingState::Received { tries: 0 };

    /// Returns the state after `event`, or refuses.
    pub fn next(&self, event: &BookingEvent) -> Result<BookingState, IllegalEvent> {
        use BookingEvent as E;
        use BookingState as S;

        let next = match (self, event) {
            (S::Received { tries }, E::InsertBegan(plan)) => {
                S::Inserting { tries: tries + 1, plan: plan.clone() }
            }
            (S::Received { .. }, E::HandedToDesk) => S::Entering,
            (S::Received { .. } | S::Inserting { .. }, E::Refused(why)) => {
                S::Refused { why: why.clone(), tell_patient: false }
            }
            (S::Received { .. } | S::Inserting { .. }, E::RefusedLate(why)) => S::Unplaced(why.clone()),
            (S::Received { .. }, E::CalledOff(why)) => S::Refused { why: why.clone(), tell_patient: false },

            (S::Inserting { .. } | S::Stuck { .. } | S::Withdrawing(_), E::FoundInPractice(held)) => {
                found(held)
            }
            (S::Inserting { tries, .. }, E::AbsentFromPractice) => S::Received { tries: *tries },
            (
                S::Inserting { .. } | S::Naming { instead_of: None, .. } | S::Withdrawing(_),
                E::GaveUp(why),
            ) => S::Stuck { why: why.clone() },
            (S::Inserted(_) | S::Refused { .. }, E::GaveUp(why)) => S::Stuck { why: why.clone() },

            (S::Held(appointment), E::PatientDecided(plan)) if *plan != PatientPlan::Undecided => {
                S::Naming { appointment: appointment.clone(), plan: plan.clone(), instead_of: None }
            }
            (S::Confirmed(inserted), E::PatientDecided(plan)) if *plan != PatientPlan::Undecided => {
                S::Naming {
                    appointment: inserted.appointment.clone(),
                    plan: plan.clone(),
                    instead_of: Some(inserted.patient.clone()),
                }
            }
            (S::Naming { appointment, instead_of: Some(patient), .. }, E::PatientStays(_)) => {
                S::Confirmed(Inserted { appointment: appointment.clone(), patient: patient.clone() })
            }
            (S::Naming { .. }, E::FoundInPractice(Held { appointment, patient: Some(patient) })) => {
                S::Inserted(Inserted { appointment: appointment.clone(), patient: patient.clone() })
            }
            (S::Naming { instead_of: None, .. }, E::AbsentFromPractice) => S::Received { tries: 0 },

            (S::Entering, E::FoundInPractice(Held { appointment, patient: Some(patient) })) => {
                S::Inserted(Inserted { appointment: appointment.clone(), patient: patient.clone() })
            }
            (S::Entering, E::TimeRanOut) => S::Refused { why: Refusal::NobodyDecided, tell_patient: true },

            (S::Held(_) | S::Naming { instead_of: None, .. } | S::Stuck { .. }, E::CalledOff(why)) => {
                S::Withdrawing(why.clone())
            }
            (S::Withdrawing(why), E::AbsentFromPractice) => {
                S::Refused { why: why.clone(), tell_patient: false }
            }
            (S::Entering | S::Unplaced(_), E::CalledOff(why)) => {
                S::Refused { why: why.clone(), tell_patient: false }
            }

            // Not from `Stuck`: there the book may hold it, and another place would make it two.
            (S::Unplaced(_), E::TriedAgain | E::PlacedByPerson(_)) => S::Received { tries: 0 },
            (S::Unplaced(_), E::HandedToDesk) => S::Entering,
            (S::Unplaced(why), E::TimeRanOut) => S::Refused { why: why.clone(), tell_patient: true },
            (S::Stuck { .. }, E::TriedAgain) => S::Inserting { tries: 0, plan: PatientPlan::Undecided },
            (S::Stuck { .. }, E::SeenTo) => S::Closed,

            (S::Inserted(inserted), E::PartnerKnows) => S::Confirmed(inserted.clone()),
            (S::Refused { why, tell_patient }, E::PartnerKnows) => {
                S::Rejected { why: why.clone(), tell_patient: *tell_patient }
            }
            // The rejection may have come too late for the patient to choose again.
            (S::Refused { tell_patient: false, .. }, E::RefusedLate(why)) => {
                S::Refused { why: why.clone(), tell_patient: true }
            }
            (S::Rejected { why, tell_patient: true }, E::SeenTo) => {
                S::Rejected { why: why.clone(), tell_patient: false }
            }
            // Somebody has looked at a possible duplicate; the booking stands as it did.
            (S::Confirmed(inserted), E::SeenTo | E::PatientTold) => S::Confirmed(inserted.clone()),
            (S::Confirmed(inserted), E::CancelAsked { by_hand }) => {
                S::Cancelling { inserted: inserted.clone(), by_hand: *by_hand }
            }
            (S::Confirmed(inserted) | S::Cancelling { inserted, .. }, E::Cancelled) => {
                S::Cancelled(inserted.clone())
            }
            // The practice turned out to be readable only.
            (S::Cancelling { inserted, by_hand: false }, E::CancelAsked { by_hand: true }) => {
                S::Cancelling { inserted: inserted.clone(), by_hand: true }
            }
            (S::Cancelling { inserted, .. }, E::CancelRefused(_)) => S::Confirmed(inserted.clone()),
            (S::Confirmed(inserted), E::UndoneInPractice(how)) => {
                S::Undone { inserted: inserted.clone(), how: how.clone() }
            }
            (S::Confirmed(known), E::Relinked(inserted)) if known != inserted => {
                S::Inserted(inserted.clone())
            }
            (S::Undone { inserted, how }, E::PartnerKnows | E::NotTaken(_)) => {
                S::Ended { inserted: inserted.clone(), how: how.clone() }
            }
            (S::Undone { inserted, .. }, E::PatientCancelledToo) => S::Cancelled(inserted.clone()),
            _ => return Err(IllegalEvent { state: Box::new(self.clone()), event: Box::new(event.clone()) }),
        };
        Ok(next)
    }

    /// Returns what to do about this state.
    pub fn step(&self) -> Step {
        match self {
            BookingState::Received { .. } => Step::Insert,
            BookingState::Inserting { .. } => Step::LookInPractice,
            BookingState::Naming { .. } => Step::NamePatient,
            BookingState::Entering => Step::LookForEntry,
            BookingState::Withdrawing(_) => Step::Withdraw,
            BookingState::Cancelling { .. } => Step::CancelInPractice,
            BookingState::Inserted(_) => Step::ConfirmToPartner,
            BookingState::Refused { .. } => Step::DeclineToPartner,
            BookingState::Undone { .. } => Step::TellPartner,
            BookingState::Held(_) | BookingState::Unplaced(_) | BookingState::Stuck { .. } => {
                Step::WaitForPerson
            }
            BookingState::Confirmed(_)
            | BookingState::Rejected { .. }
            | BookingState::Cancelled(_)
            | BookingState::Ended { .. }
            | BookingState::Closed => Step::Nothing,
        }
    }

    /// Whether somebody at the desk has something to do or decide.
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            BookingState::Held(_)
                | BookingState::Entering
                | BookingState::Unplaced(_)
                | BookingState::Stuck { .. }
                | BookingState::Rejected { tell_patient: true, .. }
                | BookingState::Cancelling { by_hand: true, .. }
        )
    }

    /// Which part of its way it is on.
    pub fn stage(&self) -> Stage<'_> {
        match self {
            BookingState::Received { .. }
            | BookingState::Inserting { .. }
            | BookingState::Held(_)
            | BookingState::Naming { .. }
            | BookingState::Entering
            | BookingState::Inserted(_)
            | BookingState::Withdrawing(_)
            | BookingState::Unplaced(_)
            | BookingState::Refused { .. }
            | BookingState::Stuck { .. } => Stage::UnderWay,
            BookingState::Confirmed(inserted) => Stage::Stands(inserted),
            BookingState::Cancelling { inserted, by_hand } => {
                Stage::Cancelling { inserted, by_hand: *by_hand }
            }
            BookingState::Cancelled(inserted) => Stage::Cancelled(inserted),
            BookingState::Undone { inserted, how } => Stage::Undone { inserted, how, told: false },
            BookingState::Ended { inserted, how } => Stage::Undone { inserted, how, told: true },
            BookingState::Rejected { why, .. } => Stage::Rejected(why),
            BookingState::Closed => Stage::Closed,
        }
    }

    /// What the practice holds for it, where that is known.
    pub fn held(&self) -> Option<Held> {
        match self {
            BookingState::Held(appointment) => Some(Held { appointment: appointment.clone(), patient: None }),
            BookingState::Naming { appointment, instead_of, .. } => {
                Some(Held { appointment: appointment.clone(), patient: instead_of.clone() })
            }
            BookingState::Inserted(inserted)
            | BookingState::Confirmed(inserted)
            | BookingState::Cancelling { inserted, .. }
            | BookingState::Cancelled(inserted)
            | BookingState::Undone { inserted, .. }
            | BookingState::Ended { inserted, .. } => Some(Held {
                appointment: inserted.appointment.clone(),
                patient: Some(inserted.patient.clone()),
            }),
            BookingState::Received { .. }
            | BookingState::Inserting { .. }
            | BookingState::Entering
            | BookingState::Withdrawing(_)
            | BookingState::Unplaced(_)
            | BookingState::Refused { .. }
            | BookingState::Stuck { .. }
            | BookingState::Rejected { .. }
            | BookingState::Closed => None,
        }
    }
}

fn found(held: &Held) -> BookingState {
    match &held.patient {
        Some(patient) => BookingState::Inserted(Inserted {
            appointment: held.appointment.clone(),
            patient: patient.clone(),
        }),
        None => BookingState::Held(held.appointment.clone()),
    }
}

impl BookingEvent {
    /// The event in a sentence for the booking's history. Names nobody.
    pub fn sentence(&self) -> String {
        match self {
            BookingEvent::InsertBegan(PatientPlan::Existing(_)) => {
                "Writing it into the book, to the patient's record.".into()
            }
            BookingEvent::InsertBegan(PatientPlan::New { .. }) => {
                "Writing it into the book, with a new patient record.".into()
            }
            BookingEvent::InsertBegan(PatientPlan::Undecided) => {
                "Holding the time in the book until somebody decides who the patient is.".into()
            }
            BookingEvent::FoundInPractice(held) => match &held.patient {
                Some(patient) => {
                    format!("In the book as appointment {}, patient {patient}.", held.appointment)
                }
                None => format!("The time is held in the book as appointment {}.", held.appointment),
            },
            BookingEvent::AbsentFromPractice => "The book holds nothing for it.".into(),
            BookingEvent::Refused(why) => format!("It cannot be booked: {why}."),
            BookingEvent::RefusedLate(why) => {
                format!(
                    "It cannot be booked: {why}. It is too late for the patient to be asked to choose again, so somebody at the desk has to see to it."
                )
            }
            BookingEvent::HandedToDesk => "Waiting for somebody at the desk to enter it in the book.".into(),
            BookingEvent::PatientDecided(PatientPlan::Existing(patient)) => {
                format!("Decided: it is patient {patient}.")
            }
            BookingEvent::PatientDecided(PatientPlan::New { possible_duplicate_of: Some(other) }) => {
                format!(
                    "Nobody decided in time: a new patient record, marked as a possible duplicate of {other}."
                )
            }
            BookingEvent::PatientDecided(PatientPlan::New { possible_duplicate_of: None }) => {
                "Decided: a new patient.".into()
            }
            BookingEvent::PatientDecided(PatientPlan::Undecided) => "Not decided yet.".into(),
            BookingEvent::PatientStays(why) => format!("The patient stays as it was: {why}."),
            BookingEvent::CalledOff(why) => format!("Called off: {why}."),
            BookingEvent::TimeRanOut => "Nobody decided in time.".into(),
            BookingEvent::PartnerKnows => "Our answer has arrived.".into(),
            BookingEvent::GaveUp(why) => format!("Somebody has to look: {why}."),
            BookingEvent::TriedAgain => "Somebody at the desk asked for another try.".into(),
            BookingEvent::PlacedByPerson(Placement { beside: true, .. }) => {
                "Somebody at the desk wants it beside what stands at that time.".into()
            }
            BookingEvent::PlacedByPerson(Placement { starts, .. }) => {
                format!("Somebody at the desk chose another time: {}.", starts.0.format("%d/%m/%Y %H:%M"))
            }
            BookingEvent::PatientTold => "Somebody told the patient the new time.".into(),
            BookingEvent::SeenTo => "Somebody at the desk has dealt with it.".into(),
            BookingEvent::CancelAsked { by_hand: false } => {
                "The patient cancelled. Cancelling it in the book.".into()
            }
            BookingEvent::CancelAsked { by_hand: true } => {
                "The patient cancelled. Waiting for somebody at the desk to cancel it in the book.".into()
            }
            BookingEvent::Cancelled => "Cancelled in the book.".into(),
            BookingEvent::CancelRefused(why) => format!("The patient cancelled, but it stands: {why}."),
            BookingEvent::UndoneInPractice(Undoing::Cancelled) => "Staff cancelled it in the book.".into(),
            BookingEvent::UndoneInPractice(Undoing::Deleted) => "Staff took it out of the book.".into(),
            BookingEvent::UndoneInPractice(Undoing::Moved { starts, .. }) => {
                format!("Staff moved it in the book to {}.", starts.0.format("%-d %B %Y, %H:%M"))
            }
            BookingEvent::UndoneInPractice(Undoing::DidNotAttend) => {
                "Staff noted in the book that the patient did not attend.".into()
            }
            BookingEvent::Relinked(inserted) => format!(
                "In the book it is appointment {}, patient {} now. The partner is told the new number.",
                inserted.appointment, inserted.patient
            ),
            BookingEvent::PatientCancelledToo => "The patient cancelled it as well.".into(),
            BookingEvent::NotTaken(why) => format!("The partner would not hear of it: {why}."),
        }
    }
}
