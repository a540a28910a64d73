//! Whose a booking is, decided from memory where memory is still true.

use super::clinic::{Clinic, ada, at, grace, request};
use crate::flows::people::People;
use crate::flows::{Flow, FlowName};
use chrono::TimeDelta;
use domain::booking::BookingState;
use domain::ids::PatientRef;
use domain::people::PatientRecord;
use domain::ports::clock::Clock;

/// A program whose directory was read.
async fn program(clinic: &Clinic) -> super::clinic::Program {
    let program = clinic.program();
    program.ports.searching.extend(clinic.clock.now() + TimeDelta::hours(1));
    let read = People::new(program.ports.clone()).pass().await;
    assert!(read.wake.contains(&FlowName::Profiles), "whoever needs the people is told that they were read");
    program
}

async fn book(clinic: &Clinic, program: &super::clinic::Program) -> Option<PatientRef> {
    clinic.partner.desk(|desk| desk.book(request("b1", ada(), at("14:00"))));
    for _ in 0..4 {
        program.pass().await;
        clinic.clock.move_by(TimeDelta::seconds(5));
    }
    match clinic.state("b1") {
        BookingState::Confirmed(inserted) => Some(inserted.patient),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn while_the_book_says_that_nobody_changed_no_row_is_searched() {
    let clinic = Clinic::new();
    let program = program(&clinic).await;
    assert_eq!(book(&clinic, &program).await, Some(PatientRef::new("p1")));
    assert_eq!(clinic.practice.diary(|diary| diary.searches), 0);
}

#[tokio::test]
async fn whoever_was_added_or_corrected_a_moment_ago_is_found() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| diary.patients.clear());
    let program = program(&clinic).await;
    clinic.practice.diary(|diary| {
        diary.patients.push(PatientRecord::new(PatientRef::new("p9"), ada()));
        diary.version += 1;
    });
    assert_eq!(book(&clinic, &program).await, Some(PatientRef::new("p9")));
    assert_eq!(clinic.practice.diary(|diary| diary.searches), 1);
}

#[tokio::test]
async fn a_book_that_cannot_tell_is_searched() {
    let clinic = Clinic::new();
    let program = program(&clinic).await;
    clinic.practice.diary(|diary| diary.forgets_changes = true);
    assert_eq!(book(&clinic, &program).await, Some(PatientRef::new("p1")));
    assert_eq!(clinic.practice.diary(|diary| diary.searches), 1);
}

#[tokio::test]
async fn what_memory_says_of_a_record_is_never_decided_by() {
    let clinic = Clinic::new();
    let program = program(&clinic).await;
    // A system that says that nobody changed although somebody did: the record itself is read anew all the same.
    clinic.practice.diary(|diary| diary.patients[0].details = grace());
    assert_ne!(book(&clinic, &program).await, Some(PatientRef::new("p1")));
}

#[tokio::test]
async fn nobody_is_kept_in_memory_for_nothing() {
    let clinic = Clinic::new();
    let program = program(&clinic).await;
    let people = People::new(program.ports.clone());
    assert_eq!(program.ports.people().map(|reading| reading.directory.len()), Some(1));
    clinic.clock.move_by(TimeDelta::hours(2));
    people.pass().await;
    assert!(program.ports.people().is_none());
}

#[tokio::test]
async fn the_people_are_read_again_only_when_somebody_changed() {
    let clinic = Clinic::new();
    let program = program(&clinic).await;
    let people = People::new(program.ports.clone());
    let first = program.ports.people().unwrap();
    clinic.clock.move_by(TimeDelta::minutes(30));
    assert!(!people.pass().await.wake.contains(&FlowName::Profiles));
    assert_eq!(program.ports.people().unwrap().read_at, first.read_at);
    clinic.practice.diary(|diary| {
        diary.patients[0].details = grace();
        diary.version += 1;
    });
    assert!(people.pass().await.wake.contains(&FlowName::Profiles));
    assert_eq!(program.ports.people().unwrap().revision, first.revision + 1);
}
