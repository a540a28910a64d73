//! The main job, end to end: from the patient's booking to the book and back to Healthengine.

use chrono::NaiveDate;
use connectors::http::Deadlines;
use connectors::partners::healthengine::sim::{BookingAnswerKind, BookingStatus, PatientDetails, SimState};
use connectors::sim::faults::{Fault, FaultRule};
use domain::booking::BookingState;
use domain::failure::Refusal;
use domain::ids::PatientRef;
use domain::settings::WriteMode;
use std::collections::BTreeMap;
use std::time::Duration;
use sync::desk::Choice;
use tests::{Make, System, World, account};

on_all!(
    a_known_patient_books,
    a_new_patient_books_and_books_again,
    many_bookings_at_once,
    time_that_somebody_took_is_refused_while_the_patient_can_choose_again,
    what_cannot_be_written_later_than_that_goes_to_a_person,
    the_patient_cancels_and_the_time_is_free_again,
    the_patient_cancels_before_we_have_seen_the_booking,
    somebody_decides_who_it_is,
    a_booking_declined_at_the_desk_after_twenty_seconds_is_cancelled_for_the_patient_too,
    nobody_decides_who_it_is,
    where_we_may_only_read_somebody_enters_it,
);

fn confirmed(state: &BookingState) -> bool {
    matches!(state, BookingState::Confirmed(_))
}

fn held(state: &BookingState) -> bool {
    matches!(state, BookingState::Held(_))
}

async fn a_known_patient_books(system: System) {
    let world = World::running_on(system).await;
    let (number, patient) = world.known_patient();
    let patients = world.patients();
    let sent_before = snapshots(&world);
    let booking = world.book_next(&patient);
    let place = world.place(booking);
    let waited = world
        .until("the booking is confirmed", |state| {
            state.booking(booking).is_some_and(|booking| booking.confirmed_at.is_some())
        })
        .await;
    assert!(waited <= 5, "{waited} s");
    world.quiet().await;
    let stands = world.stands_once(booking);
    assert_eq!(stands.patient, Some(number));
    assert_eq!(world.patients(), patients, "nobody was added");
    // The day is sent afresh once the appointment stands (sheet §7.7), and where a look fell between the booking's
    // arrival and the insert, its time was taken off before as well, for whoever else shares the calendar. A look that
    // falls while it is written has sent what stands afterwards. Nothing else is sent, and nothing offers the time.
    let sent = snapshots(&world);
    let grown: Vec<_> = sent.keys().filter(|day| sent.get(*day) != sent_before.get(*day)).collect();
    assert_eq!(grown, [&(place.0.clone(), place.1.date())]);
    let more = sent.values().sum::<usize>() - sent_before.values().sum::<usize>();
    assert!((1..=2).contains(&more), "{more} snapshots");
    assert!(!world.is_offered(&place));
    let entry = world.entry(booking).await.unwrap();
    assert!(entry.answered_at.is_some());
    assert_eq!(
        entry.decision.unwrap().plan,
        domain::people::PatientPlan::Existing(PatientRef::new(number.to_string()))
    );
    world.finish().await;
}

/// How many snapshots there were of each resource and day.
fn snapshots(world: &World) -> BTreeMap<(String, NaiveDate), usize> {
    let count = |state: &SimState| {
        state.snapshots(&account("p1")).map(|(day, kept)| (day.clone(), kept.len())).collect()
    };
    world.sim.inspect(count)
}

async fn a_new_patient_books_and_books_again(system: System) {
    let world = World::running_on(system).await;
    let patients = world.patients();
    let patient =
        PatientDetails { reason: "Sore knee\nPrefers mornings".into(), ..PatientDetails::default() };
    let first = world.book_next(&patient);
    world.until_state(first, "the first one is confirmed", confirmed).await;
    assert_eq!(world.patients(), patients + 1);
    let second = world.book_next(&patient);
    world.until_state(second, "the second one is confirmed", confirmed).await;
    assert_eq!(world.patients(), patients + 1, "the record that was made is found again");
    let (first, second) = (world.stands_once(first), world.stands_once(second));
    assert_eq!(first.patient, second.patient);
    let note = world.staff().note(first.id);
    assert!(note.contains("Sore knee\nPrefers mornings"), "{note:?}");
    world.finish().await;
}

async fn many_bookings_at_once(system: System) {
    let world = World::running_on(system).await;
    let patients: Vec<_> = world.known_patients().into_iter().take(12).collect();
    let bookings: Vec<_> =
        patients.iter().map(|(number, patient)| (*number, world.book_next(patient))).collect();
    for (number, booking) in bookings {
        world.until_state(booking, "each is confirmed", confirmed).await;
        assert_eq!(world.stands_once(booking).patient, Some(number));
    }
    world.finish().await;
}

/// Every fault of the wire on the answer, and on the question.
#[tokio::test]
async fn whatever_goes_wrong_on_the_wire_it_stands_once_and_is_confirmed() {
    let faults = [
        Fault::Refuse,
        Fault::CutAfterEffect,
        Fault::ServerError,
        Fault::Unavailable { retry_after_seconds: None },
        Fault::Unavailable { retry_after_seconds: Some(7) },
        Fault::TooManyRequests { retry_after_seconds: Some(7) },
        Fault::GarbledJson,
        Fault::TruncatedBody,
        Fault::Redirect { to: "http://127.0.0.1:9/".into() },
        Fault::Unauthorised,
        Fault::Forbidden,
    ];
    let world = World::running().await;
    for (method, path) in
        [("POST", "/bookings/*/confirmInsert"), ("GET", "/requests/bookings*"), ("GET", "/requests")]
    {
        for fault in &faults {
            let id = world.sim.add_fault(FaultRule::once(fault.clone()).on(method, path));
            let (number, patient) = world.known_patient();
            let booking = world.book_next(&patient);
            let waited = world.until_state(booking, &format!("{fault:?} on {path}"), confirmed).await;
            assert!(waited <= 70, "{fault:?} on {path}: {waited} s");
            assert_eq!(world.stands_once(booking).patient, Some(number), "{fault:?} on {path}");
            assert!(world.sim.remove_fault(id));
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_again() {
    let deadlines = Deadlines {
        whole: Duration::from_millis(400),
        urgent: Duration::from_millis(400),
        ..Deadlines::default()
    };
    let mut world = World::new(Make { deadlines, ..Make::default() }).await;
    world.start().await;
    world.all_published("p1").await;
    for fault in [Fault::Slow { milliseconds: 60_000 }, Fault::SlowAnswer { milliseconds: 60_000 }] {
        let id = world.sim.add_fault(FaultRule::once(fault).on("POST", "/bookings/*/confirmInsert"));
        let booking = world.book_next(&world.known_patient().1);
        world.until_state(booking, "it is confirmed", confirmed).await;
        world.stands_once(booking);
        assert!(world.sim.remove_fault(id));
    }
    world.finish().await;
}

#[tokio::test]
async fn lists_that_lie_about_themselves_do_no_harm() {
    let world = World::running().await;
    for fault in [
        Fault::DuplicateItems,
        Fault::WrongPageTotals { total_pages: 3, total: 1 },
        Fault::WrongPageTotals { total_pages: 0, total: 0 },
    ] {
        let id = world.sim.add_fault(FaultRule::always(fault.clone()).on("GET", "/requests/bookings*"));
        let booking = world.book_next(&world.known_patient().1);
        world.until_state(booking, &format!("{fault:?}"), confirmed).await;
        world.stands_once(booking);
        assert!(world.sim.remove_fault(id));
    }
    world.finish().await;
}

async fn time_that_somebody_took_is_refused_while_the_patient_can_choose_again(system: System) {
    let world = World::running_on(system).await;
    let (number, patient) = world.known_patient();
    let place = world.next_free("p1");
    world.enter(&place, number);
    let booking = world.book_at("p1", &place, &patient);
    world.until_state(booking, "it is refused", |state| matches!(state, BookingState::Rejected { .. })).await;
    let (kinds, status) = world.sim.inspect(|state| {
        let booking = state.booking(booking).unwrap();
        (booking.answers.iter().map(|answer| answer.kind).collect::<Vec<_>>(), booking.status)
    });
    assert_eq!((kinds, status), (vec![BookingAnswerKind::Rejected], BookingStatus::Cancelled));
    assert_eq!(world.in_book(booking), []);
    world.until_offered(std::slice::from_ref(&place), false).await;
    world.finish().await;
}

async fn what_cannot_be_written_later_than_that_goes_to_a_person(system: System) {
    let mut world = World::running_on(system).await;
    let (number, patient) = world.known_patient();
    world.stop().await;
    let place = world.next_free("p1");
    world.enter(&place, number);
    let bookings: Vec<_> = (0..2)
        .map(|at| match at {
            0 => world.book_at("p1", &place, &patient),
            _ => {
                let fields = serde_json::json!({"pmsResourceId": "99"});
                world.sim.force_book(&account("p1"), &fields).unwrap()
            }
        })
        .collect();
    world.clock.move_by(chrono::TimeDelta::seconds(45));
    world.start().await;
    for booking in &bookings {
        world
            .until_state(*booking, "a person is asked", |state| matches!(state, BookingState::Unplaced(_)))
            .await;
    }
    // Somebody makes room and tries again; nobody looks at the other one.
    world.staff().take_out(&place);
    world.decide(bookings[0], Choice::TryAgain).await;
    world.until_state(bookings[0], "it stands", confirmed).await;
    world.stands_once(bookings[0]);
    let waited = world
        .until_state(bookings[1], "it is declined", |state| {
            matches!(state, BookingState::Rejected { tell_patient: true, .. })
        })
        .await;
    assert!((420..=490).contains(&waited), "{waited} s");
    world.decide(bookings[1], Choice::SeenTo).await;
    world.finish().await;
}

async fn the_patient_cancels_and_the_time_is_free_again(system: System) {
    let world = World::running_on(system).await;
    let booking = world.book_next(&world.known_patient().1);
    let place = world.place(booking);
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.sim.cancel_by_patient(&account("p1"), booking).unwrap();
    world.until_state(booking, "it is cancelled", |state| matches!(state, BookingState::Cancelled(_))).await;
    assert_eq!(
        world.in_book(booking).iter().map(|there| there.status.as_str()).collect::<Vec<_>>(),
        ["cancelled"]
    );
    world.until_offered(std::slice::from_ref(&place), true).await;
    // Somebody else books the same time.
    let (number, patient) = world.known_patients().into_iter().nth(1).unwrap();
    let again = world.book_at("p1", &place, &patient);
    world.until_state(again, "it is confirmed", confirmed).await;
    assert_eq!(world.stands_once(again).patient, Some(number));
    world.finish().await;
}

async fn the_patient_cancels_before_we_have_seen_the_booking(system: System) {
    let mut world = World::running_on(system).await;
    world.stop().await;
    let booking = world.book_next(&world.known_patient().1);
    let place = world.place(booking);
    world.sim.cancel_by_patient(&account("p1"), booking).unwrap();
    world.start().await;
    world
        .until_state(booking, "nothing stands", |state| {
            matches!(state, BookingState::Rejected { .. } | BookingState::Cancelled(_))
        })
        .await;
    assert!(world.in_book(booking).iter().all(|there| there.status == "cancelled"));
    world.until_offered(std::slice::from_ref(&place), true).await;
    world.finish().await;
}

#[tokio::test]
async fn a_change_of_a_booking_that_nobody_knows_is_declined() {
    let world = World::running().await;
    let update = serde_json::json!({
        "bookingId": 4_711, "pmsAppointmentIds": [], "pmsPatientId": null,
        "updatedAt": "2026-11-20 00:00:01", "bookingStatus": "Cancelled",
    });
    let request = world.sim.force_update(&account("p1"), update).unwrap();
    world
        .until("it is declined", |state| {
            state.updates(&account("p1")).any(|u| u.request_id == request && u.confirmed == Some(false))
        })
        .await;
    world.finish().await;
}

async fn somebody_decides_who_it_is(system: System) {
    let world = World::running_on(system).await;
    let patients = world.patients();
    let (number, unclear) = world.unclear_patient();
    // Three people of one name and birth date, so that what is decided for one holds for none of the others.
    let three = ["0491 570 110", "0491 570 156", "0491 570 157"].map(|phone| match system {
        System::Demo | System::OpenEmr => PatientDetails { phone: phone.into(), ..unclear.clone() },
        // Where no birth dates are kept, the phone is what makes them alike.
        System::Provet => {
            let email = format!("somebody.{}@example.com", phone.replace(' ', ""));
            PatientDetails { email, ..unclear.clone() }
        }
    });
    let bookings: Vec<_> = three.iter().map(|patient| world.book_next(patient)).collect();
    let places: Vec<_> = bookings.iter().map(|booking| world.place(*booking)).collect();
    for booking in &bookings {
        world.until_state(*booking, "the time is held", held).await;
        assert_eq!(world.in_book(*booking).iter().map(|there| there.patient).collect::<Vec<_>>(), [None]);
    }
    world.until_offered(&places, false).await;
    world.decide(bookings[0], Choice::SamePerson(PatientRef::new(number.to_string()))).await;
    world.until_state(bookings[0], "it is confirmed", confirmed).await;
    assert_eq!(world.stands_once(bookings[0]).patient, Some(number));
    assert_eq!(world.patients(), patients);

    world.decide(bookings[1], Choice::NewPatient).await;
    world.until_state(bookings[1], "it is confirmed", confirmed).await;
    let new = world.stands_once(bookings[1]).patient.unwrap();
    assert_ne!(new, number);
    assert_eq!(world.patients(), patients + 1);

    // Whoever was decided on is not asked about again, and the record that was made is the one.
    for (patient, record) in [(&three[0], number), (&three[1], new)] {
        let again = world.book_next(patient);
        world.until_state(again, "it is confirmed", confirmed).await;
        assert_eq!(world.stands_once(again).patient, Some(record));
    }
    assert_eq!(world.patients(), patients + 1);

    // The wrong person after all: the appointment is moved, and Healthengine hears of it.
    world.decide(bookings[1], Choice::NotThisPatient(Some(PatientRef::new(number.to_string())))).await;
    world
        .until("the other patient is confirmed", |state| state.confirmations_of(bookings[1]).len() == 2)
        .await;
    world.until_state(bookings[1], "it is confirmed", confirmed).await;
    assert_eq!(world.stands_once(bookings[1]).patient, Some(number));
    assert_eq!(world.patients(), patients + 1);

    world.decide(bookings[2], Choice::Decline).await;
    world
        .until_state(bookings[2], "it is declined", |state| matches!(state, BookingState::Rejected { .. }))
        .await;
    assert!(world.in_book(bookings[2]).iter().all(|there| there.status == "cancelled"));
    world.until_offered(std::slice::from_ref(&places[2]), true).await;
    world.finish().await;
}

async fn a_booking_declined_at_the_desk_after_twenty_seconds_is_cancelled_for_the_patient_too(
    system: System,
) {
    let world = World::running_on(system).await;
    let booking = world.book_next(&world.unclear_patient().1);
    world.until_state(booking, "the time is held", held).await;
    world.pass(60).await;
    world.decide(booking, Choice::Decline).await;
    world
        .until_state(booking, "it is declined", |state| matches!(state, BookingState::Rejected { .. }))
        .await;
    let kinds = world.sim.inspect(|state| {
        state.booking(booking).unwrap().answers.iter().map(|answer| answer.kind).collect::<Vec<_>>()
    });
    assert_eq!(kinds, [BookingAnswerKind::RejectedTooLate, BookingAnswerKind::CancelledByPractice]);
    world.finish().await;
}

async fn nobody_decides_who_it_is(system: System) {
    let mut world = World::running_on(system).await;
    let patients = world.patients();
    let (number, unclear) = world.unclear_patient();
    let booking = world.book_next(&unclear);
    world.until_state(booking, "the time is held", held).await;
    // Eight minutes are a person's, whether or not the program is started anew in between.
    world.pass(200).await;
    world.stop().await;
    world.start().await;
    world.pass(250).await;
    assert!(held(&world.entry(booking).await.unwrap().state));
    world.until_state(booking, "it is confirmed", confirmed).await;
    let new = world.stands_once(booking).patient.unwrap();
    assert_ne!(new, number);
    assert_eq!(world.patients(), patients + 1, "exactly one record was made");
    let remark = world.staff().remarks(new);
    assert!(remark.contains(&number.to_string()), "it says whose duplicate it may be: {remark:?}");
    let answered = world.sim.inspect(|state| {
        let booking = state.booking(booking).unwrap();
        booking.answered_at.unwrap() - booking.created_at
    });
    assert!(answered.num_minutes() < 10, "inside Healthengine's ten minutes");
    world.finish().await;
}

async fn where_we_may_only_read_somebody_enters_it(system: System) {
    let mut world = World::new(Make { write: WriteMode::None, ..Make::on(system) }).await;
    world.start().await;
    world.all_published("p1").await;
    let (number, patient) = world.known_patient();
    let bookings: Vec<_> = (0..2).map(|_| world.book_next(&patient)).collect();
    let places: Vec<_> = bookings.iter().map(|booking| world.place(*booking)).collect();
    for booking in &bookings {
        world.until_state(*booking, "it waits for the desk", |state| *state == BookingState::Entering).await;
    }
    world.pass(30).await;
    assert_eq!(world.in_book(bookings[0]), [], "we wrote nothing");
    assert!(!world.is_offered(&places[0]), "its time is taken all the same");
    world.enter(&places[0], number);
    world.until_state(bookings[0], "it is confirmed", confirmed).await;
    let told = world.sim.inspect(|state| state.booking(bookings[0]).unwrap().pms_patient_id.clone());
    assert_eq!(told, Some(number.to_string()));
    // Nobody enters the other one.
    let declined = |state: &BookingState| {
        matches!(state, BookingState::Rejected { why: Refusal::NobodyDecided, tell_patient: true })
    };
    world.until_state(bookings[1], "it is declined", declined).await;
    // The first one is cancelled by the patient, and taken out of the book by hand.
    world.sim.cancel_by_patient(&account("p1"), bookings[0]).unwrap();
    world
        .until_state(bookings[0], "the desk is asked", |state| {
            matches!(state, BookingState::Cancelling { by_hand: true, .. })
        })
        .await;
    world.staff().cancel_entered(&places[0]);
    world
        .until_state(bookings[0], "it is cancelled", |state| matches!(state, BookingState::Cancelled(_)))
        .await;
    world.decide(bookings[1], Choice::SeenTo).await;
    world.pass(6).await;
    world.finish().await;
}

#[tokio::test]
async fn a_book_that_is_locked_loses_nothing() {
    let world = World::running().await;
    let other = rusqlite::Connection::open(world.book_file("p1")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let booking = world.book_next(&world.known_patient().1);
    world.pass(6).await;
    let state = world.entry(booking).await.unwrap().state;
    assert!(matches!(state, BookingState::Received { .. } | BookingState::Inserting { .. }), "{state:?}");
    other.execute_batch("ROLLBACK").unwrap();
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.stands_once(booking);
    world.finish().await;
}

#[tokio::test]
async fn a_book_that_is_gone_for_a_while_loses_nothing() {
    let world = World::running().await;
    let (here, away) = (world.book_file("p1"), world.folder().join("away.db"));
    let (_, patient) = world.known_patient();
    let place = world.next_free("p1");
    std::fs::rename(&here, &away).unwrap();
    let booking = world.book_at("p1", &place, &patient);
    world.pass(60).await;
    std::fs::rename(&away, &here).unwrap();
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.stands_once(booking);
    world.finish().await;
}

#[tokio::test]
async fn a_video_consultation_is_confirmed_with_its_links() {
    let world = World::running().await;
    let (number, patient) = world.known_patient();
    let place = world.next_free("p1");
    let patient = PatientDetails { telehealth_url: Some("https://video.example.com/room".into()), ..patient };
    let video = world.sim.book(&account("p1"), &place.0, place.1, Some("5"), &patient).unwrap();
    world.until_state(video, "it is confirmed", confirmed).await;
    let in_person = world.book_next(&patient);
    world.until_state(in_person, "it is confirmed", confirmed).await;
    let stands = world.stands_once(video);
    assert_eq!(stands.patient, Some(number));
    assert!(world.staff().note(stands.id).contains("https://video.example.com/room"));
    let said = |booking| world.sim.inspect(|state| state.booking(booking).unwrap().answers[0].body.clone());
    let answer = said(video);
    assert_eq!(answer["patientAppointmentLink"], format!("https://video.example.com/{}", stands.id));
    let practitioner = format!("https://video.example.com/{}/practitioner", stands.id);
    assert_eq!(answer["practitionerAppointmentLink"], practitioner);
    assert!(answer["patientAppointmentDescription"].is_string());
    assert!(answer.get("practitionerAppointmentDescription").is_none());
    assert_eq!(said(in_person).as_object().unwrap().len(), 2, "nothing of the kind");
    world.finish().await;
}
