//! What people at the desk decide about bookings.

use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingEvent, BookingKey, BookingState, Entry, Placement};
use domain::failure::Refusal;
use domain::ids::PatientRef;
use domain::matching::{self, Decision, Settled};
use domain::people::PatientPlan;
use domain::ports::store::{Store, StoreError};
use domain::settings::{PracticeSettings, WriteMode};

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
    /// Put it into the book there.
    Place(Placement),
    /// Somebody told the patient that it stands elsewhere than the partner says.
    PatientTold,
    /// Somebody has entered it into the book, or cancelled it there: look now.
    Entered,
    /// Somebody has dealt with it: told the patient, or checked the book.
    SeenTo,
    /// The booking stands for the wrong patient: it is this record's, or a new one's where none is given.
    NotThisPatient(Option<PatientRef>),
}

/// For how long after a booking came in its patient can be corrected.
pub const CORRECTABLE_FOR: TimeDelta = TimeDelta::days(30);

/// Why the patient of a booking cannot be corrected here. The practice system still can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncorrectable {
    /// It does not stand, or something else is under way with it.
    #[error("this booking does not stand in the book")]
    NotStanding,
    /// It came in too long ago.
    #[error("this booking came in more than 30 days ago")]
    TooOld,
    /// The practice may only be read.
    #[error("Clinic Companion may only read this practice's book")]
    ReadOnly,
    /// It is the patient's already.
    #[error("this appointment is that patient's already")]
    SamePatient,
}

/// Whether the patient of a booking can still be corrected, and if not, why.
pub fn is_correctable(
    entry: &Entry,
    practice: &PracticeSettings,
    now: DateTime<Utc>,
) -> Result<(), Uncorrectable> {
    if !matches!(entry.state, BookingState::Confirmed(_)) {
        return Err(Uncorrectable::NotStanding);
    }
    if practice.system.write == WriteMode::None {
        return Err(Uncorrectable::ReadOnly);
    }
    // What the patient typed is forgotten by then at the latest, and a new record needs it.
    let known = matching::has_names(&entry.request.patient);
    if now - entry.received_at > CORRECTABLE_FOR || !known {
        return Err(Uncorrectable::TooOld);
    }
    Ok(())
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
    /// Its patient cannot be corrected here.
    #[error("the patient can only be changed in the practice system: {0}")]
    Uncorrectable(#[source] Uncorrectable),
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
    if let Choice::NotThisPatient(patient) = choice {
        may_be_corrected(store, &entry, patient.as_ref(), now).await?;
    }
    let Some(event) = event(&entry, choice).ok_or(ChoiceError::TooLate)? else {
        return store.postpone(key, now).await.map_err(ChoiceError::Store);
    };
    let decision = decision(&entry, &event);
    match store.record(&entry, &event, decision.as_ref(), now).await {
        // Only a convenience follows: where it fails, somebody is asked once more.
        Ok(_) => {
            if let BookingEvent::PatientDecided(plan) = &event {
                let patient = if let PatientPlan::Existing(patient) = plan { Some(patient) } else { None };
                remember(store, &entry, patient, now).await;
            }
            Ok(())
        }
        Err(StoreError::Stale | StoreError::Illegal(_)) => Err(ChoiceError::TooLate),
        Err(error) => Err(ChoiceError::Store(error)),
    }
}

async fn may_be_corrected(
    store: &dyn Store,
    entry: &Entry,
    patient: Option<&PatientRef>,
    now: DateTime<Utc>,
) -> Result<(), ChoiceError> {
    let practices = store.practices().await.map_err(ChoiceError::Store)?;
    let practice = practices.iter().find(|practice| practice.id == entry.request.key.practice);
    let practice = practice.ok_or(ChoiceError::Uncorrectable(Uncorrectable::NotStanding))?;
    is_correctable(entry, practice, now).map_err(ChoiceError::Uncorrectable)?;
    let stands = entry.state.held().and_then(|held| held.patient);
    if patient.is_some() && stands.as_ref() == patient {
        return Err(ChoiceError::Uncorrectable(Uncorrectable::SamePatient));
    }
    Ok(())
}

/// The same person's next booking is decided as a person has decided this one: it is this record's, or a new one's.
pub(crate) async fn remember(
    store: &dyn Store,
    entry: &Entry,
    patient: Option<&PatientRef>,
    now: DateTime<Utc>,
) {
    let Some(person) = matching::identity(&entry.request.patient) else { return };
    let practice = &entry.request.key.practice;
    if let Err(error) = store.settle(practice, &person, Settled::ByPerson, patient, now).await {
        let cause = crate::flows::error_chain(&error);
        tracing::warn!(practice.id = %practice, cause, "A decision is not remembered for the next booking.");
    }
}

/// The decision on the patient as a person has made it: it replaces the one that was open.
fn decision(entry: &Entry, event: &BookingEvent) -> Option<Decision> {
    let BookingEvent::PatientDecided(plan) = event else { return None };
    let open = entry.decision.clone()?;
    let corrected = matches!(entry.state, BookingState::Confirmed(_));
    let chosen = match plan {
        PatientPlan::Existing(patient) => {
            open.candidates.iter().find(|candidate| candidate.record.id == *patient)
        }
        PatientPlan::New { .. } | PatientPlan::Undecided => None,
    };
    Some(Decision {
        plan: plan.clone(),
        score: chosen.map(|candidate| candidate.score),
        reason: if corrected {
            "Somebody at the desk corrected the patient.".into()
        } else {
            "Somebody at the desk compared the records.".into()
        },
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
        Choice::Place(placement) => BookingEvent::PlacedByPerson(placement.clone()),
        Choice::PatientTold if entry.has_to_tell_place() => {
            let told = BookingEvent::PatientTold;
            return state.next(&told).is_ok().then_some(Some(told));
        }
        Choice::PatientTold => return None,
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
        // Checked by itself, because nothing waits for it.
        Choice::NotThisPatient(patient) => {
            let plan = match patient {
                Some(patient) => PatientPlan::Existing(patient.clone()),
                None => PatientPlan::New { possible_duplicate_of: None },
            };
            return Some(Some(BookingEvent::PatientDecided(plan)));
        }
    };
    // Received and Inserting are ours, not the desk's: a decision on them comes too early or too late.
    if !state.needs_person() || state.next(&event).is_err() {
        return None;
    }
    Some(Some(event))
}
