//! Whose bookings somebody's are, once it was settled; and a patient that is corrected.

use super::clinic::{Clinic, Program, ada, another_ada, at, grace, key, person, request};
use super::partner::Answer;
use crate::desk::{Choice, ChoiceError, Uncorrectable, decide};
use chrono::TimeDelta;
use domain::booking::BookingState;
use domain::documents::{DocumentRefusal, DocumentState};
use domain::failure::Refusal;
use domain::ids::PatientRef;
use domain::people::{PatientPlan, PatientRecord, PersonDetails};
use domain::settings::WriteMode;

fn clinic() -> Clinic {
    let clinic = Clinic::new();
    let settings = clinic.settings.clone();
    clinic.store.disk(|disk| disk.practices.insert(settings.id.clone(), settings));
    clinic.partner.desk(|desk| desk.patients_are_corrected = true);
    clinic.practice.diary(|diary| {
        let (id, details) = (PatientRef::new("p2"), person("Mabel", "Stone", "0491 570 110"));
        diary.patients.push(PatientRecord::new(id, details));
    });
    clinic
}

async fn book(clinic: &Clinic, program: &Program, booking: &str, patient: PersonDetails, time: &str) {
    clinic.partner.desk(|desk| desk.book(request(booking, patient, at(time))));
    clinic.clock.move_by(TimeDelta::seconds(5));
    program.pass().await;
}

/// The patient that the book, the ledger and the partner have for a booking.
fn patient_of(clinic: &Clinic, booking: &str, time: &str) -> String {
    let BookingState::Confirmed(stands) = clinic.state(booking) else {
        panic!("{booking} is {:?}", clinic.state(booking))
    };
    let in_book =
        clinic.practice.diary(|diary| diary.active_at(at(time))[0].appointment.patient.clone().unwrap());
    assert_eq!(in_book, stands.patient);
    assert_eq!(clinic.partner.desk(|desk| desk.answer(booking)), Some(Answer::Confirmed(stands.clone())));
    stands.patient.to_string()
}

async fn correct(clinic: &Clinic, booking: &str, to: Option<&str>) -> Result<(), ChoiceError> {
    let choice = Choice::NotThisPatient(to.map(PatientRef::new));
    decide(&clinic.store.for_people(), &key(booking), &choice, clinic.now()).await
}

fn told(clinic: &Clinic, kind: &str) -> Vec<String> {
    clinic.store.disk(|disk| {
        let lines = disk.told.iter().filter(|(_, line)| line.kind == kind);
        lines.map(|(_, line)| line.text.clone()).collect()
    })
}

#[tokio::test]
async fn what_somebody_decided_holds_for_the_next_booking() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", another_ada(), "14:00").await;
    assert!(matches!(clinic.state("1"), BookingState::Held(_)));
    clinic.decide("1", Choice::SamePerson(PatientRef::new("p1"))).await;
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p1");

    book(&clinic, &program, "2", another_ada(), "15:00").await;
    assert_eq!(patient_of(&clinic, "2", "15:00"), "p1");
    let decision = clinic.store.disk(|disk| disk.entries[&key("2")].decision.clone()).unwrap();
    assert_eq!(
        decision.reason,
        "Somebody at the desk decided so on 20 November 2026, for an earlier booking of the same person."
    );
    // Somebody else is decided on by themselves.
    book(&clinic, &program, "3", person("Ada", "Byron", "0491 570 157"), "16:00").await;
    assert!(matches!(clinic.state("3"), BookingState::Held(_)));
}

#[tokio::test]
async fn what_was_decided_is_ignored_when_the_record_is_gone_or_its_patient_died() {
    for gone in [true, false] {
        let clinic = clinic();
        let program = clinic.program();
        book(&clinic, &program, "1", another_ada(), "14:00").await;
        clinic.decide("1", Choice::SamePerson(PatientRef::new("p2"))).await;
        program.pass().await;
        clinic.practice.diary(|diary| {
            if gone {
                diary.patients.retain(|record| record.id != PatientRef::new("p2"));
            } else {
                diary.patients[1].deceased = true;
            }
        });
        book(&clinic, &program, "2", another_ada(), "15:00").await;
        assert!(matches!(clinic.state("2"), BookingState::Held(_)), "{gone}");
    }
}

#[tokio::test]
async fn two_bookings_of_one_new_patient_make_one_record() {
    let clinic = clinic();
    let program = clinic.program();
    clinic.partner.desk(|desk| desk.book(request("1", grace(), at("14:00"))));
    book(&clinic, &program, "2", grace(), "15:00").await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p3");
    assert_eq!(patient_of(&clinic, "2", "15:00"), "p3");
    assert_eq!(clinic.practice.diary(|diary| diary.created.len()), 1);
}

#[tokio::test]
async fn who_is_decided_on_for_one_waiting_booking_is_decided_on_for_the_others() {
    let clinic = clinic();
    let program = clinic.program();
    clinic.partner.desk(|desk| desk.book(request("1", another_ada(), at("14:00"))));
    book(&clinic, &program, "2", another_ada(), "15:00").await;
    assert!(matches!(clinic.state("2"), BookingState::Held(_)));
    clinic.decide("1", Choice::NewPatient).await;
    program.pass().await;
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), patient_of(&clinic, "2", "15:00"));
    assert_eq!(clinic.practice.diary(|diary| diary.created.len()), 1);
}

#[tokio::test]
async fn a_patient_is_corrected_in_the_book_and_told() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p1");
    let answered = clinic.store.disk(|disk| disk.entries[&key("1")].answered_at);

    clinic.clock.move_by(TimeDelta::minutes(3));
    correct(&clinic, "1", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p2");
    let entry = clinic.store.disk(|disk| disk.entries[&key("1")].clone());
    assert_eq!(entry.answered_at, answered);
    assert_eq!(entry.decision.unwrap().plan, PatientPlan::Existing(PatientRef::new("p2")));
    let history =
        clinic.store.disk(|disk| disk.history.iter().map(|(_, l)| l.what.clone()).collect::<Vec<_>>());
    assert!(history.contains(&"Decided: it is patient p2.".to_owned()), "{history:?}");
    // What was there before was not made for it.
    assert_eq!(told(&clinic, "look/unused-record"), [""; 0]);
    // The next booking follows.
    book(&clinic, &program, "2", ada(), "15:00").await;
    assert_eq!(patient_of(&clinic, "2", "15:00"), "p2");
}

#[tokio::test]
async fn a_record_that_is_not_needed_any_more_is_named() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", grace(), "14:00").await;
    book(&clinic, &program, "2", grace(), "15:00").await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p3");
    correct(&clinic, "1", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(told(&clinic, "look/unused-record"), [""; 0], "the other booking has it");
    correct(&clinic, "2", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(told(&clinic, "look/unused-record").len(), 1);
    assert!(told(&clinic, "look/unused-record")[0].starts_with("Patient p3 was made for booking 2"));
    // A new record after all: not the one that was wrong.
    correct(&clinic, "2", None).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "2", "15:00"), "p3");
    correct(&clinic, "2", None).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "2", "15:00"), "p4");
}

#[tokio::test]
async fn documents_that_went_to_the_wrong_patient_are_named() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    for (number, booking, state, kept) in [
        ("91", "1", DocumentState::Told(None), false),
        ("92", "1", DocumentState::Told(None), true),
        ("93", "1", DocumentState::Rejected(DocumentRefusal::Empty), false),
        ("94", "2", DocumentState::Told(None), false),
    ] {
        super::documents::document(&clinic, number, booking, state, kept);
    }
    correct(&clinic, "1", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p2");
    let said = told(&clinic, "look/document");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("A document of booking 1 went to your practice system for patient p1"));
    assert!(said[0].ends_with("to patient p2."), "{said:?}");
}

#[tokio::test]
async fn a_patient_is_corrected_for_thirty_days_also_when_the_time_is_over() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    clinic.clock.move_by(TimeDelta::days(29));
    correct(&clinic, "1", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p2");
}

#[tokio::test]
async fn what_the_book_refuses_stays_and_is_told() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    clinic.practice.diary(|diary| diary.refuses_correcting = Some(Refusal::AlreadyBegun));
    correct(&clinic, "1", Some("p2")).await.unwrap();
    program.pass().await;
    assert_eq!(patient_of(&clinic, "1", "14:00"), "p1");
    assert_eq!(told(&clinic, "look/patient").len(), 1);
}

#[tokio::test]
async fn a_cancellation_waits_for_the_correction() {
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    correct(&clinic, "1", Some("p2")).await.unwrap();
    clinic.partner.desk(|desk| desk.cancel("1"));
    for _ in 0..3 {
        clinic.clock.move_by(TimeDelta::seconds(5));
        program.pass().await;
    }
    assert!(matches!(clinic.state("1"), BookingState::Cancelled(_)), "{:?}", clinic.state("1"));
}

#[tokio::test]
async fn what_can_no_longer_be_corrected_says_why() {
    let why = async |clinic: &Clinic, to| match correct(clinic, "1", to).await {
        Err(ChoiceError::Uncorrectable(why)) => why,
        other => panic!("{other:?}"),
    };
    let clinic = clinic();
    let program = clinic.program();
    book(&clinic, &program, "1", ada(), "14:00").await;
    assert_eq!(why(&clinic, Some("p1")).await, Uncorrectable::SamePatient);
    clinic.clock.move_by(TimeDelta::days(31));
    assert_eq!(why(&clinic, Some("p2")).await, Uncorrectable::TooOld);
    clinic.store.disk(|disk| {
        for practice in disk.practices.values_mut() {
            practice.system.write = WriteMode::None;
        }
    });
    assert_eq!(why(&clinic, Some("p2")).await, Uncorrectable::ReadOnly);
    clinic.partner.desk(|desk| desk.cancel("1"));
    program.pass().await;
    assert_eq!(why(&clinic, Some("p2")).await, Uncorrectable::NotStanding);
}
