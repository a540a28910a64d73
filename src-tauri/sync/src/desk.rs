//! What people at the desk decide about bookings.

use chrono::{DateTime, Utc};
use domain::booking::{BookingEvent, BookingKey, BookingState, Entry};
use domain::failure::Refusal;
use domain::ids::PatientRef;
use domain::matching::Decision;
use domain::people::PatientPlan;
use domain::ports::store::{Store, StoreError};

/// A decision of somebody at the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The patient is this record.
    SamePerson(PatientRef),
    /// The patient has no record yet.
    NewPatient,
    /// The booking is declined, and cancelled where the partner has confirmed it already.
    Decline,
    /// Try to put it into the book again.
    TryAgain,
    /// Somebody has entered it into the book, or cancelled it there: look now.
    Entered,
    /// Somebody has dealt with it: told the patient, or checked the book.
    SeenTo,
}

/// A decision that could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// It has been decided meanwhile.
    #[error("this booking does not wait for that any more")]
    TooLate,
    /// The booking is not known.
    #[error("there is no such booking")]
    Unknown,
    /// The store failed.
    #[error("the decision could not be recorded")]
    Store(#[source] StoreError),
}

/// Records a decision. The engine acts on it when it is nudged.
pub async fn decide(
    store: &dyn Store,
    key: &BookingKey,
    choice: &Choice,
    now: DateTime<Utc>,
) -> Result<(), ChoiceError> {
    let entry = store.entry(key).await.map_err(ChoiceError::Store)?.ok_or(ChoiceError::Unknown)?;
    let Some(event) = event(&entry, choice).ok_or(ChoiceError::TooLate)? else {
        return store.postpone(key, now).await.map_err(ChoiceError::Store);
    };
    let decision = decision(&entry, &event);
    match store.record(&entry, &event, decision.as_ref(), now).await {
        Ok(_) => Ok(()),
        Err(StoreError::Stale | StoreError::Illegal(_)) => Err(ChoiceError::TooLate),
        Err(error) => Err(ChoiceError::Store(error)),
    }
}

/// The decision on the patient as a person has made it: it replaces the one that was open.
fn decision(entry: &Entry, event: &BookingEvent) -> Option<Decision> {
    let BookingEvent::PatientDecided(plan) = event else { return None };
    let open = entry.decision.clone()?;
    let chosen = match plan {
        PatientPlan::Existing(patient) => {
            open.candidates.iter().find(|candidate| candidate.record.id == *patient)
        }
        PatientPlan::New { .. } | PatientPlan::Undecided => None,
    };
    Some(Decision {
        plan: plan.clone(),
        score: chosen.map(|candidate| candidate.score),
        reason: "Somebody at the desk compared the records.".into(),
        ..open
    })
}

/// What a choice means for an entry: an event, nothing but to look now, or `None` when it makes no sense any more.
fn event(entry: &Entry, choice: &Choice) -> Option<Option<BookingEvent>> {
    let state = &entry.state;
    let event = match choice {
        Choice::SamePerson(patient) => BookingEvent::PatientDecided(PatientPlan::Existing(patient.clone())),
        Choice::NewPatient => BookingEvent::PatientDecided(PatientPlan::New { possible_duplicate_of: None }),
        Choice::Decline => BookingEvent::CalledOff(Refusal::DeclinedAtDesk),
        Choice::TryAgain => BookingEvent::TriedAgain,
        Choice::Entered => match state {
            BookingState::Entering | BookingState::Cancelling { by_hand: true, .. } => return Some(None),
            BookingState::Unplaced(_) => BookingEvent::HandedToDesk,
            BookingState::Received { .. }
            | BookingState::Inserting { .. }
            | BookingState::Held(_)
            | BookingState::Naming { .. }
            | BookingState::Inserted(_)
            | BookingState::Withdrawing(_)
            | BookingState::Refused { .. }
            | BookingState::Stuck { .. }
            | BookingState::Confirmed(_)
            | BookingState::Rejected { .. }
            | BookingState::Cancelling { .. }
            | BookingState::Cancelled(_)
            | BookingState::Undone { .. }
            | BookingState::Ended { .. }
            | BookingState::Closed => return None,
        },
        Choice::SeenTo => BookingEvent::SeenTo,
    };
    // Received and Inserting are ours, not the desk's: a decision on them comes too early or too late.
    if !state.needs_person() || state.next(&event).is_err() {
        return None;
    }
    Some(Some(event))
}
