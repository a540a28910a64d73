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

fn undoing() -> impl Strategy<Value = Undoing> {
    let starts = crate::time::PracticeTime(chrono::NaiveDateTime::default());
    let resource = ResourceRef::new("r2");
    prop_oneof![
        Just(Undoing::Cancelled),
        Just(Undoing::Deleted),
        Just(Undoing::Moved { resource, starts }),
        Just(Undoing::DidNotAttend),
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
        Just(BookingEvent::CalledOff(Refusal::DeclinedAtDesk)),
        Just(BookingEvent::TimeRanOut),
        Just(BookingEvent::PartnerKnows),
        Just(BookingEvent::GaveUp("test".into())),
        Just(BookingEvent::TriedAgain),
        Just(BookingEvent::SeenTo),
        any::<bool>().prop_map(|by_hand| BookingEvent::CancelAsked { by_hand }),
        Just(BookingEvent::Cancelled),
        Just(BookingEvent::CancelRefused(Refusal::AlreadyBegun)),
        undoing().prop_map(BookingEvent::UndoneInPractice),
        Just(BookingEvent::Relinked(Inserted {
            appointment: AppointmentRef::new("a2"),
            patient: PatientRef::new("p2")
        })),
        Just(BookingEvent::PatientCancelledToo),
        Just(BookingEvent::NotTaken("test".into())),
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
            // What staff undid is never written again, whatever else is said about it.
            let undone = matches!(state, BookingState::Undone { .. } | BookingState::Ended { .. });
            prop_assert!(!undone || matches!(next.step(), Step::TellPartner | Step::Nothing), "{events:?}");
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
