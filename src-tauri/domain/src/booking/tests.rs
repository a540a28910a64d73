//! No history of a booking acts blind.

use super::*;
use crate::failure::Refusal;
use crate::people::PatientPlan;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn appointment() -> AppointmentRef {
    AppointmentRef::new("a1")
}

fn plan() -> impl Strategy<Value = PatientPlan> {
    prop_oneof![
        Just(PatientPlan::Existing(PatientRef::new("p1"))),
        Just(PatientPlan::New { possible_duplicate_of: None }),
        Just(PatientPlan::Undecided),
    ]
}

fn event() -> impl Strategy<Value = BookingEvent> {
    prop_oneof![
        plan().prop_map(BookingEvent::InsertBegan),
        Just(BookingEvent::FoundInPractice(Held {
            appointment: appointment(),
            patient: Some(PatientRef::new("p1"))
        })),
        Just(BookingEvent::FoundInPractice(Held { appointment: appointment(), patient: None })),
        Just(BookingEvent::AbsentFromPractice),
        Just(BookingEvent::Refused(Refusal::SlotTaken)),
        Just(BookingEvent::RefusedLate(Refusal::SlotTaken)),
        Just(BookingEvent::HandedToDesk),
        plan().prop_map(BookingEvent::PatientDecided),
        Just(BookingEvent::PatientStays(Refusal::AlreadyBegun)),
        Just(BookingEvent::CalledOff(Refusal::DeclinedAtDesk)),
        Just(BookingEvent::TimeRanOut),
        Just(BookingEvent::PartnerKnows),
        Just(BookingEvent::GaveUp("test".into())),
        Just(BookingEvent::TriedAgain),
        Just(BookingEvent::SeenTo),
        any::<bool>().prop_map(|by_hand| BookingEvent::CancelAsked { by_hand }),
        Just(BookingEvent::Cancelled),
        Just(BookingEvent::CancelRefused(Refusal::AlreadyBegun)),
    ]
}

/// Whether the practice may hold the booking after `event`.
fn may_be_held(before: bool, event: &BookingEvent) -> bool {
    let becomes = matches!(event, BookingEvent::InsertBegan(_) | BookingEvent::FoundInPractice(_));
    let ceases = matches!(
        event,
        BookingEvent::AbsentFromPractice | BookingEvent::Refused(_) | BookingEvent::RefusedLate(_)
    );
    becomes || before && !ceases
}

proptest! {
    /// No history begins an insert, or tells the partner "no", while the practice may hold the booking.
    #[test]
    fn never_acts_blind(events in prop::collection::vec(event(), 0..60)) {
        let mut state = BookingState::NEW;
        let mut held = false;
        for event in &events {
            let Ok(next) = state.next(event) else { continue };
            prop_assert!(!held || !matches!(event, BookingEvent::InsertBegan(_)), "{events:?}");
            held = may_be_held(held, event);
            let blind = matches!(next.step(), Step::Insert | Step::DeclineToPartner);
            prop_assert!(!held || !blind, "{next:?} after {events:?}");
            state = next;
        }
    }
}

#[test]
fn every_event_has_a_sentence_that_ends() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let event = event().new_tree(&mut runner).expect("an event").current();
        assert!(event.sentence().ends_with('.'), "{event:?}");
    }
}

/// A correction of the patient never loses what the partner was told, whatever becomes of it.
#[test]
fn a_corrected_patient_keeps_the_booking() {
    let stands = |patient| Inserted { appointment: appointment(), patient: PatientRef::new(patient) };
    let confirmed = BookingState::Confirmed(stands("p1"));
    let to = |patient| BookingEvent::PatientDecided(PatientPlan::Existing(PatientRef::new(patient)));
    let correcting = confirmed.next(&to("p2")).expect("it can be corrected");
    assert_eq!(correcting.step(), Step::NamePatient);
    assert_eq!(correcting.held().expect("it stands").patient, Some(PatientRef::new("p1")));
    let found = BookingEvent::FoundInPractice(Held {
        appointment: appointment(),
        patient: Some(PatientRef::new("p2")),
    });
    let corrected = correcting.next(&found).expect("it was corrected");
    assert_eq!(corrected, BookingState::Inserted(stands("p2")));
    assert_eq!(corrected.step(), Step::ConfirmToPartner);
    assert_eq!(correcting.next(&BookingEvent::PatientStays(Refusal::AlreadyBegun)), Ok(confirmed.clone()));
    for event in [
        BookingEvent::AbsentFromPractice,
        BookingEvent::CalledOff(Refusal::PatientCancelled),
        BookingEvent::GaveUp("it cannot be said".into()),
        BookingEvent::Refused(Refusal::SlotTaken),
        to("p3"),
    ] {
        assert!(correcting.next(&event).is_err(), "{event:?}");
    }
    assert!(confirmed.next(&BookingEvent::PatientDecided(PatientPlan::Undecided)).is_err());
    assert!(BookingState::Cancelled(stands("p1")).next(&to("p2")).is_err());
}
