//! The bookings' flow.

use super::clinic::{Clinic, Program, ada, another_ada, at, person, request, run_until, start};
use super::partner::{Answer, Booked};
use crate::desk::{Choice, ChoiceError, decide};
use crate::flows::FlowName;
use crate::health::{Health, of_leg};
use crate::state::Asked;
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingRequest, BookingState, ChangeKind, Placement};
use domain::diary::AppointmentStatus;
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PatientRef, ResourceRef};
use domain::ports::partner::Incoming;
use domain::ports::store::{Leg, ProblemKind};
use domain::private::Private;
use domain::settings::WriteMode;
use domain::time::{PracticeTime, Seconds};

fn seconds(n: i64) -> TimeDelta {
    TimeDelta::seconds(n)
}

/// A request that the book refuses.
fn refused_by_the_book(booking: &str) -> BookingRequest {
    BookingRequest { resource: Some(ResourceRef::new("gone")), ..request(booking, ada(), at("14:00")) }
}

async fn pass_after(clinic: &Clinic, program: &Program, wait: i64) {
    clinic.clock.move_by(seconds(wait));
    program.pass().await;
}

/// The kinds of what was told.
fn told(clinic: &Clinic) -> Vec<String> {
    clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.kind.clone()).collect())
}

fn unplaced(clinic: &Clinic) -> bool {
    matches!(clinic.state("1"), BookingState::Unplaced(_))
}

fn rejected(clinic: &Clinic, tell: bool) -> bool {
    matches!(clinic.state("1"), BookingState::Rejected { tell_patient, .. } if tell_patient == tell)
}

#[tokio::test]
async fn a_booking_of_a_known_patient() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let outcome = clinic.program().pass().await;
    assert!(outcome.wake.contains(&FlowName::Availability), "the taken time has to be published");
    let Some(Answer::Confirmed(told)) = clinic.partner.desk(|desk| desk.answer("1")) else {
        panic!("not confirmed")
    };
    assert_eq!(told.patient, PatientRef::new("p1"));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 1);
    let history: Vec<String> =
        clinic.store.disk(|disk| disk.history.iter().map(|(_, l)| l.what.clone()).collect());
    assert_eq!(
        history,
        [
            "Writing it into the book, to the patient's record.",
            "In the book as appointment a1, patient p1.",
            "Our answer has arrived."
        ]
    );
}

#[tokio::test]
async fn what_can_be_refused_on_sight_is_answered_and_never_written() {
    let plain = || request("1", ada(), at("14:00"));
    let cases = [
        (BookingRequest { resource: None, ..plain() }, Refusal::ResourceMissing),
        (BookingRequest { cancelled: true, ..plain() }, Refusal::PatientCancelled),
        (BookingRequest { length: Seconds(0), ..plain() }, Refusal::BadLength),
        (BookingRequest { length: Seconds(-900), ..plain() }, Refusal::BadLength),
        (BookingRequest { length: Seconds(i64::MAX), ..plain() }, Refusal::BadLength),
        (BookingRequest { patient: person(" ", "?!", ""), ..plain() }, Refusal::NameMissing),
        (BookingRequest { starts: at("10:00"), ..plain() }, Refusal::TimeHasPassed),
        (
            BookingRequest {
                starts: domain::time::PracticeTime("2027-10-03T02:30:00".parse().unwrap()),
                ..plain()
            },
            Refusal::TimeDoesNotExist,
        ),
    ];
    for (request, expected) in cases {
        let clinic = Clinic::new();
        clinic.partner.desk(|desk| desk.book(request));
        clinic.program().pass().await;
        let answer = clinic.partner.desk(|desk| desk.answer("1"));
        assert_eq!(answer, Some(Answer::Declined { why: expected, cancelled_too: false }));
        assert!(clinic.practice.diary(|diary| diary.appointments.is_empty()));
    }
}

#[tokio::test]
async fn a_time_that_comes_twice_is_booked() {
    let clinic = Clinic::new();
    let twice = domain::time::PracticeTime("2027-04-04T02:30:00".parse().unwrap());
    clinic.practice.diary(|diary| diary.opens = super::practice::range(0, 1440));
    clinic.partner.desk(|desk| desk.book(request("1", ada(), twice)));
    clinic.program().pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(twice).len()), 1);
}

#[tokio::test]
async fn early_and_late_with_a_right_clock() {
    for (age, early) in [(1, true), (18, true), (19, false), (600, false)] {
        let clinic = Clinic::new();
        clinic.partner.desk(|desk| desk.book(refused_by_the_book("1")));
        clinic.clock.move_by(seconds(age));
        clinic.program().pass().await;
        assert_eq!(unplaced(&clinic), !early, "{age} s");
    }
}

#[tokio::test]
async fn a_wrong_clock_does_not_matter_once_we_have_looked_before() {
    for wrong_by in [TimeDelta::hours(1), TimeDelta::hours(-1), seconds(25), seconds(-25)] {
        let clinic = Clinic::new();
        let program = clinic.program();
        program.pass().await;
        let made_at = clinic.now() + seconds(3);
        let claim = BookingRequest { booked_at: made_at + wrong_by, ..refused_by_the_book("1") };
        clinic.partner.desk(|desk| desk.book_at(claim, made_at));
        pass_after(&clinic, &program, 5).await;
        assert!(rejected(&clinic, false), "{wrong_by}: {:?}", clinic.state("1"));
        assert!(!clinic.partner.desk(|desk| desk.bookings[&ForeignBookingId::new("1")].declined_late));
    }
}

#[tokio::test]
async fn a_wrong_clock_makes_the_first_look_cautious() {
    for wrong_by in [TimeDelta::hours(1), TimeDelta::hours(-1)] {
        let clinic = Clinic::new();
        let claim = BookingRequest { booked_at: start() + wrong_by, ..refused_by_the_book("1") };
        clinic.partner.desk(|desk| desk.book_at(claim, start()));
        clinic.program().pass().await;
        assert!(unplaced(&clinic), "{wrong_by}");
    }
}

#[tokio::test]
async fn two_looks_far_apart_prove_nothing() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.pass().await;
    let made_at = clinic.now() + seconds(1);
    let claim = BookingRequest { booked_at: made_at, ..refused_by_the_book("1") };
    clinic.partner.desk(|desk| desk.book(claim));
    pass_after(&clinic, &program, 30).await;
    assert!(unplaced(&clinic));
}

#[tokio::test]
async fn a_refusal_that_could_not_be_delivered_in_time_is_told_by_a_person() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(refused_by_the_book("1"));
        desk.fails = Some(|call| call.starts_with("decline").then(|| ReadError::Unreachable("out".into())));
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(60)).await;
    assert!(matches!(clinic.state("1"), BookingState::Refused { tell_patient: false, .. }));
    clinic.partner.desk(|desk| (desk.fails, desk.log) = (None, Vec::new()));
    run_until(&clinic, &program.bookings, start() + seconds(180)).await;
    assert!(rejected(&clinic, true), "{:?}", clinic.state("1"));
    assert_eq!(clinic.partner.desk(|desk| desk.calls("decline").len()), 1, "what it took is not sent again");
    clinic.decide("1", Choice::SeenTo).await;
    assert!(rejected(&clinic, false));
}

#[tokio::test]
async fn nobody_decides_about_what_cannot_be_placed() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(refused_by_the_book("1")));
    clinic.clock.move_by(seconds(60));
    let program = clinic.program();
    program.pass().await;
    assert!(unplaced(&clinic));
    run_until(&clinic, &program.bookings, clinic.now() + seconds(470)).await;
    assert!(unplaced(&clinic), "eight minutes are a person's");
    run_until(&clinic, &program.bookings, clinic.now() + seconds(20)).await;
    assert!(rejected(&clinic, true));
}

#[tokio::test]
async fn a_decision_that_comes_too_late_says_so() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", another_ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    clinic.decide("1", Choice::Decline).await;
    let store = clinic.store.for_people();
    let again = decide(&store, &super::clinic::key("1"), &Choice::NewPatient, clinic.now()).await;
    assert!(matches!(again, Err(ChoiceError::TooLate)));
    let unknown = decide(&store, &super::clinic::key("9"), &Choice::NewPatient, clinic.now()).await;
    assert!(matches!(unknown, Err(ChoiceError::Unknown)));
    // Declined early: the patient can choose again, so nothing has to be cancelled there.
    program.pass().await;
    assert!(rejected(&clinic, false));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 0);
}

#[tokio::test]
async fn declined_at_the_desk_after_the_partner_confirmed_by_itself_is_cancelled_there() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", another_ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    clinic.clock.move_by(seconds(60));
    clinic.decide("1", Choice::Decline).await;
    program.pass().await;
    let answer = clinic.partner.desk(|desk| desk.answer("1"));
    assert_eq!(answer, Some(Answer::Declined { why: Refusal::DeclinedAtDesk, cancelled_too: true }));
}

#[tokio::test]
async fn bookings_come_before_changes_and_changes_in_their_order() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.book(request("2", ada(), at("15:00")));
        desk.cancel("2");
        desk.cancel("1");
        desk.cancel("777");
        desk.change("1", ChangeKind::Stands);
        desk.change("2", ChangeKind::Unreadable);
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(30)).await;
    let answers: Vec<String> = clinic.partner.desk(|desk| {
        let answers = desk.log.iter().map(|(_, call)| call.clone());
        answers.filter(|call| call.starts_with("confirm") || call.starts_with("decline")).collect()
    });
    assert_eq!(
        answers,
        [
            "confirm 1",
            "confirm 2",
            "confirm_change 1",
            "confirm_change 2",
            "decline_change 3",
            "confirm_change 4",
            "decline_change 5"
        ]
    );
    let unknown = clinic.partner.desk(|desk| desk.changes[2].applied.clone());
    assert_eq!(unknown, Some(Err(Refusal::BookingUnknown)));
    assert!(clinic.practice.diary(|diary| diary.appointments.iter().all(|stands| !stands.active())));
}

#[tokio::test]
async fn a_cancellation_that_the_book_refuses_is_declined_and_told() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    clinic.practice.diary(|diary| diary.refuses_cancelling = Some(Refusal::Series));
    clinic.partner.desk(|desk| desk.cancel("1"));
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    let applied = clinic.partner.desk(|desk| desk.changes[0].applied.clone());
    assert_eq!(applied, Some(Err(Refusal::Series)));
    assert!(
        clinic.store.disk(|disk| disk.told.iter().any(|(_, line)| line.text.contains("stands in the book")))
    );
}

/// The book refuses a cancellation, and the answer about it gets lost: it is told once, whatever is restarted meanwhile.
/// Where we may only read, and the patient of the appointment at 14:00 cancelled.
async fn cancelled_by_hand() -> (Clinic, Program) {
    let mut clinic = Clinic::new();
    clinic.settings.system.write = WriteMode::None;
    let program = clinic.program();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    pass_after(&clinic, &program, 5).await;
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p1")));
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)), "{:?}", clinic.state("1"));
    clinic.partner.desk(|desk| desk.cancel("1"));
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Cancelling { by_hand: true, .. }));
    (clinic, program)
}

#[tokio::test]
async fn who_moves_an_appointment_has_not_cancelled_it() {
    let (clinic, program) = cancelled_by_hand().await;
    clinic.practice.diary(|diary| {
        diary.change(at("14:00"), |appointment| {
            appointment.starts = PracticeTime(at("15:00").0 + TimeDelta::days(7));
        });
    });
    pass_after(&clinic, &program, 10).await;
    assert!(
        matches!(clinic.state("1"), BookingState::Cancelling { by_hand: true, .. }),
        "{:?}",
        clinic.state("1")
    );
    clinic.practice.diary(|diary| diary.delete(|_| true));
    pass_after(&clinic, &program, 10).await;
    assert!(matches!(clinic.state("1"), BookingState::Cancelled(_)), "{:?}", clinic.state("1"));
}

#[tokio::test]
async fn an_appointment_to_which_nobody_came_waits_for_no_cancelling() {
    let (clinic, program) = cancelled_by_hand().await;
    clinic.practice.diary(|diary| {
        diary.change(at("14:00"), |appointment| appointment.status = AppointmentStatus::DidNotAttend);
    });
    pass_after(&clinic, &program, 10).await;
    assert!(matches!(clinic.state("1"), BookingState::Cancelled(_)), "{:?}", clinic.state("1"));
}

#[tokio::test]
async fn a_cancellation_that_the_book_refuses_is_told_once_however_often_its_answer_is_lost() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    clinic.practice.diary(|diary| diary.refuses_cancelling = Some(Refusal::Series));
    clinic.partner.desk(|desk| {
        desk.cancel("1");
        desk.fails =
            Some(|call| call.starts_with("decline_change").then(|| ReadError::Unreachable("out".into())));
    });
    let told = || {
        clinic.store.disk(|disk| {
            disk.told.iter().filter(|(_, line)| line.kind.starts_with("look/cancellation")).count()
        })
    };
    let asked_of_the_book = || {
        clinic.store.disk(|disk| {
            disk.history
                .iter()
                .filter(|(_, line)| line.what.starts_with("The patient cancelled, but"))
                .count()
        })
    };
    for _ in 0..3 {
        pass_after(&clinic, &program, 60).await;
    }
    assert_eq!((told(), asked_of_the_book()), (1, 1));
    // A program that starts anew asks the book again, because it may let go by now, and tells nobody twice.
    let program = clinic.program();
    pass_after(&clinic, &program, 60).await;
    assert_eq!((told(), asked_of_the_book()), (1, 2));
    clinic.partner.desk(|desk| desk.fails = None);
    pass_after(&clinic, &program, 60).await;
    assert_eq!((told(), asked_of_the_book()), (1, 2));
    let applied = clinic.partner.desk(|desk| desk.changes[0].applied.clone());
    assert_eq!(applied, Some(Err(Refusal::Series)));
}

fn place(resource: &str, starts: &str, beside: bool) -> Choice {
    Choice::Place(Placement {
        resource: ResourceRef::new(resource),
        starts: at(starts),
        appointment_type: Some(AppointmentTypeRef::new("t1")),
        beside,
    })
}

/// A booking for 14:00 with r1, where somebody else stands already, too late for a rejection.
async fn taken_too_late() -> (Clinic, Program) {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p9")));
    clinic.clock.move_by(seconds(60));
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    assert!(unplaced(&clinic));
    (clinic, program)
}

#[tokio::test]
async fn somebody_puts_a_booking_beside_what_stands_there_and_nobody_is_told_of_an_overlap() {
    let (clinic, program) = taken_too_late().await;
    clinic.decide("1", place("r1", "14:00", true)).await;
    pass_after(&clinic, &program, 5).await;
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 2);
    assert!(clinic.store.disk(|disk| disk.told.is_empty()));
    let again =
        decide(&clinic.store, &super::clinic::key("1"), &place("r2", "15:00", false), clinic.now()).await;
    assert!(matches!(again, Err(ChoiceError::TooLate)));
}

#[tokio::test]
async fn somebody_puts_a_booking_elsewhere_and_has_to_tell_the_patient() {
    let (clinic, program) = taken_too_late().await;
    clinic.decide("1", place("r2", "15:30", false)).await;
    pass_after(&clinic, &program, 5).await;
    let stands = clinic.practice.diary(|diary| diary.active_at(at("15:30"))[0].appointment.clone());
    assert_eq!(stands.resource, ResourceRef::new("r2"));
    let Some(Answer::Confirmed(told)) = clinic.partner.desk(|desk| desk.answer("1")) else {
        panic!("not confirmed")
    };
    assert_eq!(told.appointment, stands.id);
    let entry = || clinic.store.disk(|disk| disk.entries[&super::clinic::key("1")].clone());
    assert!(entry().has_to_tell_place());
    clinic.decide("1", Choice::PatientTold).await;
    assert!(!entry().has_to_tell_place());
    let twice = decide(&clinic.store, &super::clinic::key("1"), &Choice::PatientTold, clinic.now()).await;
    assert!(matches!(twice, Err(ChoiceError::TooLate)));
    // The patient cancels, and it goes where it stands.
    clinic.partner.desk(|desk| desk.cancel("1"));
    pass_after(&clinic, &program, 5).await;
    assert!(clinic.practice.diary(|diary| diary.active_at(at("15:30")).is_empty()));
}

#[tokio::test]
async fn whoever_loses_the_time_that_they_chose_chooses_again() {
    let (clinic, program) = taken_too_late().await;
    clinic.clock.move_by(TimeDelta::minutes(7));
    clinic.practice.diary(|diary| drop(diary.enter("r2", at("15:30"), "p9")));
    clinic.decide("1", place("r2", "15:30", false)).await;
    pass_after(&clinic, &program, 70).await;
    // Eight minutes are over, but the choice was lost only now.
    assert!(unplaced(&clinic), "{:?}", clinic.state("1"));
    clinic.decide("1", place("r2", "16:00", false)).await;
    pass_after(&clinic, &program, 5).await;
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("16:00")).len()), 1);
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn where_we_may_only_read_a_chosen_time_is_what_somebody_enters() {
    let (clinic, program) = taken_too_late().await;
    clinic.practice.diary(|diary| diary.refuses_inserting = Some(|| WriteError::Refused(Refusal::ReadOnly)));
    clinic.decide("1", place("r2", "15:30", false)).await;
    pass_after(&clinic, &program, 5).await;
    assert_eq!(clinic.state("1"), BookingState::Entering);
    clinic.practice.diary(|diary| drop(diary.enter("r2", at("15:30"), "p1")));
    pass_after(&clinic, &program, 5).await;
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)), "{:?}", clinic.state("1"));
}

#[tokio::test]
async fn people_see_since_when_the_partner_waits() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.pass().await;
    let looked_at = clinic.now();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| call.starts_with("confirm").then(|| ReadError::Unreachable("out".into())));
    });
    pass_after(&clinic, &program, 5).await;
    let shown = || program.ports.state.subscribe().borrow().practices[program.ports.id()].clone();
    assert_eq!(shown().made_after.get(&ForeignBookingId::new("1")), Some(&looked_at));
    clinic.partner.desk(|desk| desk.cancel("1"));
    pass_after(&clinic, &program, 5).await;
    let first_seen = clinic.now();
    pass_after(&clinic, &program, 60).await;
    assert_eq!(shown().asked_since.get(&Asked::Changes), Some(&first_seen));
    clinic.partner.desk(|desk| desk.fails = None);
    for _ in 0..4 {
        pass_after(&clinic, &program, 60).await;
    }
    assert_eq!((shown().made_after.len(), shown().asked_since.len()), (0, 0));
}

/// A booking that becomes confirmed only while its cancellation is being looked at must be cancelled, not declined.
#[tokio::test]
async fn a_confirmation_in_the_last_moment_does_not_decline_the_cancellation() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| (call == "confirm 1").then(|| ReadError::Unreachable("out".into())));
    });
    let program = clinic.program();
    program.pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Inserted(_)));
    // The booking is due again between the two looks of the next pass, because the list of changes takes its time.
    let (clock, desk) = (clinic.clock.clone(), clinic.partner.desk.clone());
    clinic.partner.desk(|desk| {
        desk.cancel("1");
        desk.fails = None;
    });
    let lines = clinic.store.disk(|disk| {
        let entry = disk.entries.values_mut().next().unwrap();
        entry.not_before = clock_after(&clock);
        disk.history.len()
    });
    clinic.reaper.plan(&[(clinic.reaper.touches() + 7, super::reaper::Fault::SomebodyActs)]);
    clinic.reaper.somebody(std::sync::Arc::new(move || {
        clock.move_by(seconds(2));
        Box::pin(async {})
    }));
    run_until(&clinic, &program.bookings, start() + seconds(60)).await;
    assert!(matches!(clinic.state("1"), BookingState::Cancelled(_)), "{:?}", clinic.state("1"));
    assert_eq!(desk.lock().unwrap().changes[0].applied, Some(Ok(())));
    assert!(clinic.store.disk(|disk| disk.history.len()) > lines);
}

fn clock_after(clock: &super::reaper::HandClock) -> DateTime<Utc> {
    use domain::ports::clock::Clock;
    clock.now() + seconds(1)
}

#[tokio::test]
async fn a_refused_key_or_a_missing_consent_is_tried_once_a_minute() {
    let refused: [fn(&str) -> Option<ReadError>; 3] = [
        |_| Some(ReadError::NotAuthorised),
        |_| Some(ReadError::NoConsent),
        |call| call.starts_with("confirm").then_some(ReadError::NotAuthorised),
    ];
    for (number, fails) in refused.into_iter().enumerate() {
        let clinic = Clinic::new();
        clinic.partner.desk(|desk| {
            desk.book(request("1", ada(), at("14:00")));
            desk.fails = Some(fails);
        });
        let program = clinic.program();
        run_until(&clinic, &program.bookings, start() + seconds(600)).await;
        let asked = clinic.partner.desk(|desk| desk.calls("waiting"));
        assert!((10..=11).contains(&asked.len()), "{number}: {asked:?}");
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= seconds(60)), "{number}: {asked:?}");
        let note = program.note(Leg::Desk).unwrap();
        let expected = if number == 1 { ProblemKind::Consent } else { ProblemKind::Credentials };
        assert_eq!(note.problem.map(|problem| problem.kind), Some(expected));
        // And it all goes on by itself.
        clinic.partner.desk(|desk| desk.fails = None);
        run_until(&clinic, &program.bookings, start() + seconds(720)).await;
        assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)), "{number}");
        assert_eq!(program.note(Leg::Desk).unwrap().problem, None);
    }
}

#[tokio::test]
async fn the_poll_is_kept_and_patience_grows_with_an_outage() {
    let clinic = Clinic::new();
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(60)).await;
    let asked = clinic.partner.desk(|desk| desk.calls("waiting"));
    assert_eq!(asked.len(), 13);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] == seconds(5)));

    clinic.partner.desk(|desk| {
        desk.log.clear();
        desk.fails = Some(|_| Some(ReadError::Unreachable("out".into())));
    });
    run_until(&clinic, &program.bookings, start() + seconds(1260)).await;
    let asked = clinic.partner.desk(|desk| desk.calls("waiting"));
    let gaps: Vec<i64> = asked.windows(2).map(|pair| (pair[1] - pair[0]).num_seconds()).collect();
    assert!(gaps.is_sorted() && gaps[0] == 5 && gaps.last() == Some(&15), "{gaps:?}");
    assert_eq!(of_leg(program.note(Leg::Desk).as_ref(), clinic.now()), Health::Down);

    clinic.partner.desk(|desk| desk.fails = None);
    run_until(&clinic, &program.bookings, start() + seconds(1330)).await;
    assert_eq!(of_leg(program.note(Leg::Desk).as_ref(), clinic.now()), Health::Ok);
    let told: Vec<String> =
        clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("11:01–11:2") && told[0].ends_with("It has caught up."), "{told:?}");
}

#[tokio::test]
async fn retry_after_is_honoured_when_asking_and_when_answering() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.fails = Some(|_| Some(ReadError::SlowDown { retry_after: Some(seconds(42)) }));
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(130)).await;
    let asked = clinic.partner.desk(|desk| desk.calls("waiting"));
    assert_eq!(asked.len(), 4);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= seconds(42)));

    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| {
            call.starts_with("confirm").then_some(ReadError::SlowDown { retry_after: Some(seconds(42)) })
        });
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(100)).await;
    let told = clinic.partner.desk(|desk| desk.calls("confirm"));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= seconds(42)));
    // Patience is asked for by the partner as a whole, so asking waits as well.
    assert_eq!(clinic.partner.desk(|desk| desk.calls("waiting").len()), 3);
}

#[tokio::test]
async fn a_practice_that_is_down_loses_no_booking() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Unreachable("out".into())));
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(180)).await;
    assert!(matches!(clinic.state("1"), BookingState::Received { .. }));
    assert!(program.note(Leg::System).unwrap().problem.is_some());
    clinic.practice.diary(|diary| diary.fails = None);
    run_until(&clinic, &program.bookings, start() + seconds(250)).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn a_poll_that_fails_does_not_keep_what_is_on_its_way_from_the_book() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Unreachable("out".into())));
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    clinic.practice.diary(|diary| diary.fails = None);
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| (call == "waiting").then(|| ReadError::Unreachable("out".into())));
    });
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn a_full_disk_is_shown_and_passes() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    let program = clinic.program();
    clinic.reaper.plan(&[(3, super::reaper::Fault::FailsBefore)]);
    program.pass().await;
    let shown = || program.ports.state.subscribe().borrow().store_problem.clone();
    assert!(shown().is_some());
    assert!(clinic.practice.diary(|diary| diary.appointments.is_empty()));
    pass_after(&clinic, &program, 5).await;
    assert_eq!(shown(), None);
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn an_unreadable_booking_never_spoils_the_others() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        let booking = ForeignBookingId::new("0");
        let why = Refusal::Unreadable("dob".into());
        let incoming = Incoming::Unreadable { booking: booking.clone(), why };
        desk.bookings.insert(
            booking,
            Booked { incoming, booked_at: start(), answer: None, declined_late: false, undone: None },
        );
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| (call == "decline 0").then(|| ReadError::Invalid("no".into())));
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(30)).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    assert_eq!(clinic.partner.desk(|desk| desk.calls("waiting").len()), 7, "the poll goes on as before");
    assert_eq!(told(&clinic), ["look/unreadable", "look/refused-answer"], "each is told once");
    clinic.partner.desk(|desk| desk.fails = None);
    pass_after(&clinic, &program, 3600).await;
    assert!(matches!(clinic.partner.desk(|desk| desk.answer("0")), Some(Answer::Declined { .. })));
}

#[tokio::test]
async fn a_request_of_an_unknown_kind_is_told_once_and_stops_nothing() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.unknown_kinds.insert("teleportations".into());
        desk.book(request("1", ada(), at("14:00")));
    });
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + seconds(30)).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    let told: Vec<String> =
        clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("teleportations"), "{told:?}");
}

#[tokio::test]
async fn a_change_whose_answer_is_refused_keeps_no_other_waiting() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.book(request("2", ada(), at("15:00")));
    });
    let program = clinic.program();
    program.pass().await;
    clinic.partner.desk(|desk| {
        desk.cancel("1");
        desk.cancel("2");
        desk.fails = Some(|call| (call == "confirm_change 1").then(|| ReadError::Invalid("no".into())));
    });
    run_until(&clinic, &program.bookings, clinic.now() + seconds(10)).await;
    assert_eq!(clinic.partner.desk(|desk| desk.changes[1].applied.clone()), Some(Ok(())));
}

#[tokio::test]
async fn an_answer_that_the_partner_calls_wrong_is_told_once_and_repeated_every_hour() {
    let clinic = Clinic::new();
    for (booking, time) in [("1", "14:00"), ("2", "15:00"), ("3", "16:00")] {
        clinic.partner.desk(|desk| desk.book(request(booking, ada(), at(time))));
    }
    let program = clinic.program();
    program.pass().await;
    let answers = ["confirm 1", "confirm_change 1", "nothing_changed 3"];
    clinic.partner.desk(|desk| {
        // Its answer got lost there; it is cancelled; it is asked about.
        desk.bookings.get_mut(&ForeignBookingId::new("1")).unwrap().answer = None;
        desk.cancel("2");
        desk.ask_about("3", &[]);
        desk.log.clear();
        desk.fails = Some(|call| {
            ["confirm 1", "confirm_change 1", "nothing_changed 3"]
                .contains(&call)
                .then(|| ReadError::Invalid("no".into()))
        });
    });
    for (minutes, times) in [(55, 1), (10, 2)] {
        run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(minutes)).await;
        for answer in answers {
            assert_eq!(clinic.partner.desk(|desk| desk.calls(answer).len()), times, "{answer}");
        }
    }
    assert_eq!(told(&clinic), ["look/refused-answer"; 3]);
}

#[tokio::test]
async fn a_confirmation_that_the_partner_refuses_goes_to_a_person() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| call.starts_with("confirm").then(|| ReadError::Invalid("no".into())));
    });
    let program = clinic.program();
    program.pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Stuck { .. }));
    run_until(&clinic, &program.bookings, start() + TimeDelta::hours(1)).await;
    assert!(matches!(clinic.state("1"), BookingState::Stuck { .. }), "the clock decides nothing here");
    clinic.partner.desk(|desk| desk.fails = None);
    clinic.decide("1", Choice::TryAgain).await;
    run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(2)).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 1);
}

#[tokio::test]
async fn an_answer_that_the_partner_lost_is_given_again() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.book(refused_by_the_book("2"));
    });
    let program = clinic.program();
    program.pass().await;
    let answers = || clinic.partner.desk(|desk| (desk.answer("1"), desk.answer("2")));
    let before = answers();
    clinic.partner.desk(|desk| {
        desk.bookings.values_mut().for_each(|booked| booked.answer = None);
        desk.book(BookingRequest {
            resource: Some(ResourceRef::new("r2")),
            ..request("3", ada(), at("16:00"))
        });
        // Even a refused answer to one of them keeps the new one from nothing.
        desk.fails = Some(|call| (call == "decline 2").then(|| ReadError::Invalid("no".into())));
    });
    pass_after(&clinic, &program, 5).await;
    assert!(matches!(clinic.state("3"), BookingState::Confirmed(_)));
    clinic.partner.desk(|desk| desk.fails = None);
    pass_after(&clinic, &program, 3600).await;
    assert_eq!(answers(), before);
    assert_eq!(clinic.practice.diary(|diary| diary.appointments.len()), 2);
}

#[tokio::test]
async fn a_booking_that_disappears_between_two_polls_is_kept_and_goes_to_a_person() {
    // Before it could be written, and between the writing and the answer.
    for written in [false, true] {
        let clinic = Clinic::new();
        clinic.partner.desk(|desk| {
            desk.book(request("1", ada(), at("14:00")));
            desk.fails =
                Some(|call| call.starts_with("confirm").then(|| ReadError::Unreachable("out".into())));
        });
        let down: Option<fn() -> ReadError> = Some(|| ReadError::Unreachable("out".into()));
        clinic.practice.diary(|diary| diary.fails = down.filter(|_| !written));
        let program = clinic.program();
        program.pass().await;
        let there = || clinic.practice.diary(|diary| diary.active_at(at("14:00")).len());
        assert_eq!(there(), usize::from(written));
        let gone = clinic.partner.desk(|desk| {
            desk.fails = None;
            std::mem::take(&mut desk.bookings)
        });
        clinic.practice.diary(|diary| diary.fails = None);
        run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(2)).await;
        // The patient may well come: the time is kept, and somebody finds out.
        assert_eq!(there(), 1, "{written}");
        assert!(matches!(clinic.state("1"), BookingState::Stuck { .. }), "{written}");
        // A list that was short of one entry: it is back, and is confirmed without a second appointment.
        clinic.partner.desk(|desk| desk.bookings = gone);
        clinic.decide("1", Choice::TryAgain).await;
        run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(2)).await;
        assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)), "{written}");
        assert_eq!(there(), 1, "{written}");
    }
}

#[tokio::test]
async fn a_rejection_of_what_the_partner_forgot_is_done() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(refused_by_the_book("1"));
        desk.fails = Some(|call| call.starts_with("decline").then(|| ReadError::Unreachable("out".into())));
    });
    let program = clinic.program();
    program.pass().await;
    clinic.partner.desk(|desk| {
        desk.fails = None;
        desk.bookings.clear();
    });
    run_until(&clinic, &program.bookings, clinic.now() + seconds(30)).await;
    assert!(matches!(clinic.state("1"), BookingState::Rejected { .. }));
}

#[tokio::test]
async fn a_book_that_never_answers_clearly_goes_to_a_person_in_the_end() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.practice.diary(|diary| diary.swallows_inserts = true);
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + TimeDelta::minutes(20)).await;
    assert!(matches!(clinic.state("1"), BookingState::Stuck { .. }), "{:?}", clinic.state("1"));
    assert!(clinic.practice.diary(|diary| diary.appointments.is_empty()));
    let began = clinic.store.disk(|disk| {
        disk.history.iter().filter(|(_, line)| line.what.starts_with("Writing it into the book")).count()
    });
    assert_eq!(began, 6);
}

#[tokio::test]
async fn the_note_and_the_names_reach_the_book_as_they_are() {
    let clinic = Clinic::new();
    let odd = "Zo\u{eb} \u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f9b7} Robert'); DROP TABLE patients;--";
    let mut booked = request("1", person(odd, &"x".repeat(10_000), "0491 570 157"), at("14:00"));
    booked.note = Private::new("line\nline\u{7}".into());
    clinic.partner.desk(|desk| desk.book(booked));
    clinic.program().pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    let written = clinic.practice.diary(|diary| diary.patients.last().unwrap().details.clone());
    assert_eq!(written.first_name.reveal(), odd);
    assert_eq!(written.last_name.reveal().len(), 10_000);
}
