//! What staff do in the practice, and what the partner hears of it.

use super::clinic::{Clinic, Program, ada, at, grace, request};
use super::partner::Answer;
use crate::flows::{Flow, FlowName};
use chrono::TimeDelta;
use domain::booking::{BookingState, Undoing};
use domain::diary::{Appointment, AppointmentStatus};
use domain::failure::ReadError;
use domain::ids::{PatientRef, ResourceRef};
use domain::matching::Settled;
use domain::people::PatientPlan;
use domain::ports::store::Leg;
use domain::time::Minutes;

/// A clinic in which these bookings stand, each at its time.
async fn with(bookings: &[(&str, &str)]) -> (Clinic, Program) {
    let clinic = Clinic::new();
    for (booking, time) in bookings {
        clinic.partner.desk(|desk| desk.book(request(booking, ada(), at(time))));
    }
    let program = clinic.program();
    program.pass().await;
    program.availability.pass().await;
    for (booking, _) in bookings {
        assert!(matches!(clinic.state(booking), BookingState::Confirmed(_)), "{booking}");
    }
    (clinic, program)
}

/// Lets a poll go by: the book's stamp, what it wakes, and what that wakes.
async fn poll(clinic: &Clinic, program: &Program) {
    clinic.clock.move_by(TimeDelta::seconds(5));
    if program.availability.pass().await.wake.contains(&FlowName::Changes) {
        program.changes.pass().await;
    }
    program.pass().await;
}

fn told(clinic: &Clinic) -> Vec<String> {
    let told = |name: &str| name != "waiting" && name != "bookings" && !str::starts_with(name, "publish");
    clinic
        .partner
        .desk(|desk| desk.log.iter().map(|(_, call)| call.clone()).filter(|call| told(call)).collect())
}

fn forget(clinic: &Clinic) {
    clinic.partner.desk(|desk| desk.log.clear());
}

fn lines(clinic: &Clinic) -> Vec<String> {
    clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect())
}

#[tokio::test]
async fn what_staff_do_is_told_once_and_within_a_poll() {
    let moved = Undoing::Moved { resource: ResourceRef::new("r2"), starts: at("14:00") };
    type Change = fn(&mut Appointment);
    let cases: [(Change, Undoing); 3] = [
        (|stands| stands.status = AppointmentStatus::Cancelled, Undoing::Cancelled),
        (|stands| stands.status = AppointmentStatus::DidNotAttend, Undoing::DidNotAttend),
        (|stands| stands.resource = ResourceRef::new("r2"), moved),
    ];
    for (change, how) in cases {
        let (clinic, program) = with(&[("1", "14:00")]).await;
        forget(&clinic);
        clinic.practice.diary(|diary| diary.change(at("14:00"), change));
        poll(&clinic, &program).await;
        assert_eq!(clinic.partner.desk(|desk| desk.undone("1")), Some(how.clone()));
        for _ in 0..40 {
            poll(&clinic, &program).await;
        }
        assert_eq!(told(&clinic), ["undone 1"]);
        assert!(matches!(clinic.state("1"), BookingState::Ended { how: known, .. } if known == how));
        clinic.shows_the_book().unwrap();
    }
}

#[tokio::test]
async fn what_is_deleted_is_told_as_well() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.practice.diary(|diary| diary.delete(|_| true));
    poll(&clinic, &program).await;
    assert_eq!(clinic.partner.desk(|desk| desk.undone("1")), Some(Undoing::Deleted));
    assert_eq!(lines(&clinic), [""; 0]);
}

#[tokio::test]
async fn a_move_is_put_before_the_desk_with_its_new_time() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.practice.diary(|diary| {
        diary.change(at("14:00"), |stands| {
            stands.starts = at("16:30");
            stands.resource = ResourceRef::new("r2");
        });
    });
    poll(&clinic, &program).await;
    assert_eq!(
        lines(&clinic),
        [
            "Booking 1 was moved in the book to Friday 20 November 2026, 16:30 with Room r2. Healthengine cannot move bookings, so it was cancelled there and the patient hears that. Please tell them the new time."
        ]
    );
}

#[tokio::test]
async fn another_length_type_or_no_patient_is_no_change() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    forget(&clinic);
    clinic.practice.diary(|diary| {
        diary.change(at("14:00"), |stands| {
            stands.length = Minutes(30);
            stands.appointment_type = None;
            stands.patient = None;
            stands.status = AppointmentStatus::Arrived;
        });
    });
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), [""; 0]);
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn a_merged_record_is_told_once_and_settles_the_doubt() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.partner.desk(|desk| desk.patients_are_corrected = true);
    forget(&clinic);
    let answered_at = clinic.store.disk(|disk| disk.entries.values().next().unwrap().answered_at);
    let merged = PatientRef::new("p9");
    clinic.practice.diary(|diary| diary.change(at("14:00"), |s| s.patient = Some(PatientRef::new("p9"))));
    for _ in 0..5 {
        poll(&clinic, &program).await;
    }
    assert_eq!(told(&clinic), ["confirm 1"]);
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(stands) if stands.patient == merged));
    let entry = clinic.store.disk(|disk| disk.entries.values().next().unwrap().clone());
    assert_eq!(entry.decision.unwrap().plan, PatientPlan::Existing(merged));
    assert_eq!(entry.answered_at, answered_at, "it is no new answer to the patient");
    let settled =
        clinic.store.disk(|disk| disk.settled.last().map(|(_, _, settled)| settled.clone())).unwrap();
    assert_eq!((settled.how, settled.patient), (Settled::ByPerson, Some(PatientRef::new("p9"))));
}

#[tokio::test]
async fn a_merge_that_the_partner_refuses_leaves_the_booking_as_it_stands() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.practice.diary(|diary| diary.change(at("14:00"), |s| s.patient = Some(PatientRef::new("p9"))));
    let refuses = |call: &str| call.starts_with("confirm").then(|| ReadError::Invalid("no".into()));
    clinic.partner.desk(|desk| desk.fails = Some(refuses));
    poll(&clinic, &program).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(s) if s.patient == PatientRef::new("p9")));
}

#[tokio::test]
async fn staff_and_patient_in_the_same_moment_are_told_once() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    forget(&clinic);
    clinic.practice.diary(|diary| diary.cancel_all_of(at("14:00")));
    clinic.partner.desk(|desk| desk.cancel("1"));
    for _ in 0..5 {
        poll(&clinic, &program).await;
    }
    assert_eq!(told(&clinic), ["changes", "confirm_change 1"]);
    assert!(matches!(clinic.state("1"), BookingState::Cancelled(_)));

    // Moved and cancelled: the patient may mean the old time or the new one.
    let (clinic, program) = with(&[("1", "14:00")]).await;
    forget(&clinic);
    clinic.practice.diary(|diary| diary.change(at("14:00"), |stands| stands.starts = at("16:00")));
    clinic.partner.desk(|desk| desk.cancel("1"));
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), ["changes", "confirm_change 1"]);
    assert!(lines(&clinic)[0].contains("Please ask them whether they will come."), "{:?}", lines(&clinic));
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("16:00")).len()), 1);
}

#[tokio::test]
async fn our_own_cancellation_is_not_told_back() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    forget(&clinic);
    clinic.partner.desk(|desk| desk.cancel("1"));
    for _ in 0..5 {
        program.changes.pass().await;
        poll(&clinic, &program).await;
    }
    assert_eq!(told(&clinic), ["changes", "confirm_change 1"]);
}

#[tokio::test]
async fn a_book_that_cannot_be_read_says_nothing() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    forget(&clinic);
    clinic.practice.diary(|diary| {
        diary.delete(|_| true);
        diary.fails = Some(|| ReadError::Unreachable("out".into()));
    });
    program.changes.pass().await;
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), [""; 0]);
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
}

#[tokio::test]
async fn a_partner_that_cannot_be_reached_hears_it_later() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.practice.diary(|diary| diary.cancel_all_of(at("14:00")));
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| call.starts_with("undone").then(|| ReadError::Unreachable("out".into())));
    });
    for _ in 0..10 {
        poll(&clinic, &program).await;
    }
    assert!(matches!(clinic.state("1"), BookingState::Undone { .. }));
    clinic.partner.desk(|desk| desk.fails = None);
    for _ in 0..5 {
        poll(&clinic, &program).await;
    }
    assert!(matches!(clinic.state("1"), BookingState::Ended { .. }));
}

#[tokio::test]
async fn a_telling_that_is_refused_is_put_before_the_desk() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.practice.diary(|diary| diary.cancel_all_of(at("14:00")));
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| call.starts_with("undone").then(|| ReadError::Invalid("too late".into())));
    });
    poll(&clinic, &program).await;
    poll(&clinic, &program).await;
    assert_eq!(
        lines(&clinic),
        [
            "Healthengine did not take that booking 1 was cancelled in the practice: too late. Please look at it there."
        ]
    );
    assert!(matches!(clinic.state("1"), BookingState::Ended { .. }));
}

#[tokio::test]
async fn most_of_the_book_gone_waits_for_a_person() {
    let four = [("1", "14:00"), ("2", "14:15"), ("3", "14:30"), ("4", "14:45")];
    let (clinic, program) = with(&four).await;
    forget(&clinic);
    let whole = clinic.practice.diary(|diary| diary.appointments.clone());
    let restore = |left: usize| {
        clinic.practice.diary(|diary| {
            diary.version += 1;
            diary.appointments = whole[..left].to_vec();
        });
    };
    let waits =
        || program.ports.state.shrinking(program.ports.id(), super::super::flows::changes::APPOINTMENTS);
    restore(1);
    // What else such a book says is not believed either.
    clinic.practice.diary(|diary| diary.cancel_all_of(at("14:00")));
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), [""; 0]);
    let held = waits().unwrap();
    assert_eq!((held.from, held.to, held.missing.len()), (4, 1, 3));
    assert_eq!(held.missing[0], "booking 2, 20 November 2026, 14:15");

    // The right book is back.
    restore(4);
    poll(&clinic, &program).await;
    assert_eq!((waits(), told(&clinic).len()), (None, 0));

    // And one that somebody says is right, however often the engine starts anew; another one is asked about again.
    restore(1);
    poll(&clinic, &program).await;
    let held = waits().unwrap();
    let thing = crate::flows::doubt::accepted_mark(held.list);
    let mark = domain::ports::store::Mark { thing, digest: held.digest, at: clinic.now() };
    clinic.store.disk(|disk| drop(disk.marks.insert((program.ports.id().clone(), mark.thing.clone()), mark)));
    restore(0);
    poll(&clinic, &program).await;
    assert_eq!((waits().unwrap().to, told(&clinic).len()), (0, 0));
    restore(1);
    program.changes.pass().await;
    poll(&clinic, &program).await;
    assert_eq!(waits(), None);
    assert_eq!(told(&clinic), ["undone 2", "undone 3", "undone 4"]);
}

#[tokio::test]
async fn half_of_the_book_or_a_few_may_go() {
    let (clinic, program) = with(&[("1", "14:00"), ("2", "14:15"), ("3", "14:30"), ("4", "14:45")]).await;
    clinic.practice.diary(|diary| diary.delete(|stands| stands.starts >= at("14:30")));
    poll(&clinic, &program).await;
    assert_eq!(clinic.partner.desk(|desk| desk.calls("undone").len()), 2);
    clinic.practice.diary(|diary| diary.delete(|_| true));
    poll(&clinic, &program).await;
    assert_eq!(clinic.partner.desk(|desk| desk.calls("undone").len()), 4);
}

#[tokio::test]
async fn what_is_asked_is_answered_by_the_book() {
    let (clinic, program) = with(&[("1", "14:00"), ("2", "14:15"), ("3", "14:30")]).await;
    forget(&clinic);
    // Nothing but the question makes anybody look.
    clinic.practice.diary(|diary| {
        diary.cancel_all_of(at("14:15"));
        diary.change(at("14:30"), |stands| stands.status = AppointmentStatus::DidNotAttend);
    });
    clinic.partner.desk(|desk| {
        for booking in ["1", "2", "3", "404"] {
            desk.ask_about(booking, &[]);
        }
        desk.book(request("5", grace(), at("15:00")));
    });
    clinic.clock.move_by(TimeDelta::seconds(5));
    program.pass().await;
    assert_eq!(
        told(&clinic),
        ["confirm 5", "asked_about", "nothing_changed 1", "undone 2", "undone 3", "nothing_changed 404"],
        "bookings come first (HE-25)"
    );
    assert!(clinic.partner.desk(|desk| desk.nothing_waits(clinic.now())));
    // Asked again about what is settled, the same is said again.
    forget(&clinic);
    clinic.partner.desk(|desk| ["1", "2", "3"].map(|booking| desk.ask_about(booking, &[])));
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), ["asked_about", "nothing_changed 1", "undone 2", "undone 3"]);
}

#[tokio::test]
async fn a_booking_that_only_the_book_knows_is_answered_by_it() {
    let clinic = Clinic::new();
    let program = clinic.program();
    let ids = clinic
        .practice
        .diary(|diary| ["14:00", "14:15", "14:30"].map(|time| diary.enter("r1", at(time), "p1").to_string()));
    clinic.practice.diary(|diary| {
        diary.cancel_all_of(at("14:15"));
        diary.change(at("14:30"), |stands| stands.status = AppointmentStatus::DidNotAttend);
    });
    clinic.partner.desk(|desk| {
        for (booking, id) in ["11", "12", "13"].iter().zip(&ids) {
            desk.ask_about(booking, &[id]);
        }
        desk.ask_about("14", &["nowhere"]);
    });
    program.pass().await;
    assert_eq!(
        told(&clinic),
        ["asked_about", "nothing_changed 11", "undone 12", "undone 13", "nothing_changed 14"]
    );
}

#[tokio::test]
async fn a_patients_cancellation_and_a_rejection_are_not_told_back_when_asked() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.partner.desk(|desk| desk.cancel("1"));
    clinic.partner.desk(|desk| {
        desk.book(domain::booking::BookingRequest { resource: None, ..request("2", ada(), at("15:00")) });
    });
    poll(&clinic, &program).await;
    assert!(matches!(clinic.partner.desk(|desk| desk.answer("2")), Some(Answer::Declined { .. })));
    forget(&clinic);
    clinic.partner.desk(|desk| ["1", "2"].map(|booking| desk.ask_about(booking, &[])));
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), ["asked_about", "nothing_changed 1", "nothing_changed 2"]);
}

#[tokio::test]
async fn an_answer_never_rests_on_a_book_in_doubt() {
    let (clinic, program) = with(&[("1", "14:00"), ("2", "14:15"), ("3", "14:30"), ("4", "14:45")]).await;
    forget(&clinic);
    clinic.practice.diary(|diary| diary.delete(|_| true));
    clinic.partner.desk(|desk| desk.ask_about("1", &[]));
    poll(&clinic, &program).await;
    assert_eq!(told(&clinic), ["asked_about"]);
}

#[tokio::test]
async fn a_question_that_the_book_cannot_answer_now_waits_and_hinders_nothing() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.partner.desk(|desk| desk.ask_about("1", &[]));
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Misfit("another version".into())));
    let before = clinic.now();
    let outcome = program.pass().await;
    assert_eq!(outcome.again_at, before + TimeDelta::seconds(5), "the poll is kept");
    assert!(program.note(Leg::Desk).unwrap().problem.is_none());
    clinic.practice.diary(|diary| diary.fails = None);
    poll(&clinic, &program).await;
    assert!(clinic.partner.desk(|desk| desk.nothing_waits(clinic.now())));
}

#[tokio::test]
async fn what_lies_a_week_back_is_watched_and_older_is_not() {
    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.clock.move_by(TimeDelta::days(7) - TimeDelta::hours(1));
    clinic.practice.diary(|diary| {
        diary.change(at("14:00"), |stands| stands.status = AppointmentStatus::DidNotAttend);
    });
    program.changes.pass().await;
    program.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.undone("1")), Some(Undoing::DidNotAttend));

    let (clinic, program) = with(&[("1", "14:00")]).await;
    clinic.clock.move_by(TimeDelta::days(8));
    clinic.practice.diary(|diary| diary.delete(|_| true));
    program.changes.pass().await;
    program.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.undone("1")), None);
    // Unless the partner asks.
    clinic.partner.desk(|desk| desk.ask_about("1", &[]));
    program.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.undone("1")), Some(Undoing::Deleted));
}
