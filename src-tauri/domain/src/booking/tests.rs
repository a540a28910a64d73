//! No history of a booking acts blind.

use super::*;
use crate::failure::Refusal;
use crate::people::PatientPlan;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn appointment() -> AppointmentRef {
    AppointmentRef::new("a1")
}

fn place(resource: &str, minute: i64, beside: bool) -> Placement {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day").and_time(chrono::NaiveTime::MIN);
    let starts = PracticeTime(day + chrono::TimeDelta::minutes(minute));
    Placement { resource: ResourceRef::new(resource), starts, appointment_type: None, beside }
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
        Just(BookingEvent::PatientStays(Refusal::AlreadyBegun)),
        Just(BookingEvent::CalledOff(Refusal::DeclinedAtDesk)),
        Just(BookingEvent::TimeRanOut),
        Just(BookingEvent::PartnerKnows),
        Just(BookingEvent::GaveUp("test".into())),
        Just(BookingEvent::TriedAgain),
        Just(BookingEvent::SeenTo),
        any::<bool>().prop_map(|beside| BookingEvent::PlacedByPerson(place("r1", 600, beside))),
        Just(BookingEvent::PatientTold),
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

fn entry(state: BookingState) -> Entry {
    let at = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
    Entry {
        request: BookingRequest {
            key: BookingKey {
                practice: PracticeId::new("richmond"),
                partner: PartnerId::new("healthengine"),
                booking: ForeignBookingId::new("1"),
            },
            resource: Some(ResourceRef::new("r1")),
            appointment_type: Some(AppointmentTypeRef::new("t1")),
            starts: place("r1", 600, false).starts,
            length: Seconds(1800),
            patient: PersonDetails::default(),
            linked_patient: None,
            says_new_patient: false,
            note: Private::default(),
            booked_at: at,
            cancelled: false,
        },
        state,
        decision: None,
        placement: None,
        tell_place: false,
        revision: 0,
        received_at: at,
        answered_at: None,
        state_since: at,
        not_before: at,
    }
}

fn after(entry: &Entry, event: BookingEvent) -> Entry {
    let Moved { state, placement, tell_place } = entry.moved(&event).expect("it follows");
    Entry { state, placement, tell_place, ..entry.clone() }
}

#[test]
fn a_place_that_a_person_chose_stays_with_the_booking() {
    let unplaced = entry(BookingState::Unplaced(Refusal::SlotTaken));
    assert_eq!(unplaced.placed(), Some((&ResourceRef::new("r1"), place("r1", 600, false).starts)));
    let chosen = place("r2", 645, false);
    let mut moved = after(&unplaced, BookingEvent::PlacedByPerson(chosen.clone()));
    assert_eq!(moved.state, BookingState::Received { tries: 0 });
    let stands = Held { appointment: appointment(), patient: Some(PatientRef::new("p1")) };
    for event in [
        BookingEvent::InsertBegan(PatientPlan::Existing(PatientRef::new("p1"))),
        BookingEvent::AbsentFromPractice,
        BookingEvent::InsertBegan(PatientPlan::Existing(PatientRef::new("p1"))),
        BookingEvent::FoundInPractice(stands),
        BookingEvent::PartnerKnows,
    ] {
        moved = after(&moved, event);
        assert_eq!(moved.placed(), Some((&chosen.resource, chosen.starts)), "{:?}", moved.state);
    }
    assert!(moved.has_to_tell_place());
    let told = after(&moved, BookingEvent::PatientTold);
    assert!(!told.has_to_tell_place());
    assert_eq!(told.placed(), Some((&chosen.resource, chosen.starts)));
    assert!(!after(&moved, BookingEvent::CancelAsked { by_hand: false }).has_to_tell_place());
}

#[test]
fn beside_needs_nobody_to_tell_the_patient_and_another_try_counts_as_asked() {
    let unplaced = entry(BookingState::Unplaced(Refusal::SlotTaken));
    let beside = after(&unplaced, BookingEvent::PlacedByPerson(place("r1", 600, true)));
    assert!(beside.is_beside() && !beside.tell_place);
    let elsewhere = after(&unplaced, BookingEvent::PlacedByPerson(place("r2", 600, false)));
    let lost = after(&elsewhere, BookingEvent::RefusedLate(Refusal::SlotTaken));
    assert!(lost.tell_place && !lost.has_to_tell_place());
    for event in [BookingEvent::TriedAgain, BookingEvent::HandedToDesk] {
        let again = after(&lost, event);
        assert_eq!((again.placement, again.tell_place), (None, false));
    }
}

#[test]
fn nothing_is_placed_that_the_book_may_hold() {
    let inserted = Inserted { appointment: appointment(), patient: PatientRef::new("p1") };
    for state in [
        BookingState::NEW,
        BookingState::Inserting { tries: 1, plan: PatientPlan::Undecided },
        BookingState::Held(appointment()),
        BookingState::Entering,
        BookingState::Stuck { why: "test".into() },
        BookingState::Confirmed(inserted),
        BookingState::Rejected { why: Refusal::SlotTaken, tell_patient: true },
    ] {
        let placed = entry(state).moved(&BookingEvent::PlacedByPerson(place("r2", 600, true)));
        assert!(placed.is_err(), "{placed:?}");
    }
}

#[test]
fn whoever_lost_the_time_they_chose_gets_a_moment_more() {
    let mut unplaced = entry(BookingState::Unplaced(Refusal::SlotTaken));
    let (eight, late) = (chrono::TimeDelta::minutes(8), chrono::TimeDelta::minutes(9));
    unplaced.state_since = unplaced.received_at + late;
    assert_eq!(unplaced.decide_by(8), unplaced.received_at + eight);
    unplaced.placement = Some(place("r2", 600, false));
    assert_eq!(unplaced.decide_by(8), unplaced.state_since + chrono::TimeDelta::minutes(1));
}

#[test]
fn wrong_clocks_shift_no_deadline_beyond_what_was_seen() {
    let seconds = chrono::TimeDelta::seconds;
    let mut entry = entry(BookingState::NEW);
    let seen = entry.received_at;
    let made_at = |entry: &Entry, before: Option<i64>| {
        (entry.made_at(before.map(|s| seen - seconds(s))) - seen).num_seconds()
    };
    entry.request.booked_at = seen - seconds(3);
    assert_eq!((made_at(&entry, None), made_at(&entry, Some(5))), (-3, -3));
    entry.request.booked_at = seen + seconds(3600);
    assert_eq!((made_at(&entry, None), made_at(&entry, Some(5))), (0, 0));
    entry.request.booked_at = seen - seconds(3600);
    assert_eq!((made_at(&entry, None), made_at(&entry, Some(5))), (-3600, -5));
    entry.request.booked_at = BOOKED_AT_UNKNOWN;
    assert_eq!((made_at(&entry, None), made_at(&entry, Some(5))), (0, 0));
}
