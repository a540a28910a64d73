//! Days with their patients, for a partner that asks for them.

use super::clinic::{Clinic, Program, at, run_until, start, today};
use super::practice::resource;
use crate::flows::client_snapshots::ClientSnapshots;
use crate::flows::{Flow, FlowName};
use chrono::TimeDelta;
use domain::client_snapshot::{SnapshotAsked, SnapshotBy};
use domain::failure::ReadError;
use domain::ports::store::Leg;

fn clinic() -> Clinic {
    let mut clinic = Clinic::new();
    clinic.practice.diary(|diary| {
        diary.serves_snapshots = true;
        diary.enter("r1", at("14:00"), "p1");
    });
    if let Some(account) = &mut clinic.settings.healthengine {
        account.features.push("clientSnapshots".into());
    }
    clinic
}

fn wants(clinic: &Clinic) -> SnapshotAsked {
    let asked = SnapshotAsked { day: today(), by: SnapshotBy::Appointment };
    clinic.partner.desk(|desk| desk.days_wanted.insert(asked));
    asked
}

/// The flow, after the book was read.
async fn days_of(program: &Program) -> ClientSnapshots {
    program.availability.pass().await;
    ClientSnapshots::new(program.ports.clone()).unwrap()
}

fn told(clinic: &Clinic) -> Vec<String> {
    clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect())
}

#[tokio::test]
async fn a_day_that_is_asked_for_is_handed_over_once_and_told_in_numbers() {
    let clinic = clinic();
    let program = clinic.program();
    let asked = wants(&clinic);
    program.availability.pass().await;
    let outcome = program.pass().await;
    assert!(outcome.wake.contains(&FlowName::ClientSnapshots), "{outcome:?}");
    let days = ClientSnapshots::new(program.ports.clone()).unwrap();
    days.pass().await;
    days.pass().await;
    let taken = clinic.partner.desk(|desk| desk.days_taken.clone());
    assert_eq!(taken.iter().map(|day| (day.asked, day.appointments.len())).collect::<Vec<_>>(), [(asked, 1)]);
    let told = told(&clinic);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("20 November 2026") && told[0].contains("1 appointment"), "{told:?}");
}

#[tokio::test]
async fn nothing_leaves_without_the_feature_or_a_profile_that_serves_it() {
    let mut switched_off = clinic();
    switched_off.settings.healthengine.as_mut().unwrap().features.clear();
    assert!(ClientSnapshots::new(switched_off.ports()).is_none());
    let not_served = clinic();
    not_served.practice.diary(|diary| diary.serves_snapshots = false);
    assert!(ClientSnapshots::new(not_served.ports()).is_none());
    assert!(ClientSnapshots::new(clinic().ports()).is_some());
}

#[tokio::test]
async fn a_read_that_failed_is_never_sent() {
    let clinic = clinic();
    wants(&clinic);
    let program = clinic.program();
    let days = days_of(&program).await;
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Unreachable("gone".into())));
    let outcome = days.pass().await;
    assert!(clinic.partner.desk(|desk| desk.days_taken.is_empty()));
    assert!(program.note(Leg::System).is_some_and(|note| note.problem.is_some()));
    assert!(outcome.again_at <= start() + TimeDelta::minutes(1), "{outcome:?}");
    clinic.practice.diary(|diary| diary.fails = None);
    run_until(&clinic, &days, start() + TimeDelta::minutes(2)).await;
    assert_eq!(clinic.partner.desk(|desk| desk.days_taken.len()), 1);
}

#[tokio::test]
async fn nothing_is_sent_of_a_book_that_is_in_doubt_or_was_not_read_yet() {
    let clinic = clinic();
    clinic.practice.diary(|diary| diary.resources = ["r1", "r2", "r3"].map(resource).into());
    wants(&clinic);
    let taken = || clinic.partner.desk(|desk| desk.days_taken.len());
    let program = clinic.program();
    let days = ClientSnapshots::new(program.ports.clone()).unwrap();
    let outcome = days.pass().await;
    assert_eq!(taken(), 0, "nothing is known of the book");
    assert!(outcome.again_at <= start() + TimeDelta::minutes(1), "{outcome:?}");
    program.availability.pass().await;
    // Now most practitioners are missing, and a list without them would say that they are gone.
    let shrink_to = |left: &[&str]| {
        clinic.practice.diary(|diary| {
            diary.resources = left.iter().map(|id| resource(id)).collect();
            diary.version += 1;
        });
    };
    shrink_to(&["r1"]);
    clinic.clock.move_by(TimeDelta::seconds(60));
    program.availability.pass().await;
    days.pass().await;
    assert_eq!(taken(), 0, "the list waits for somebody");
    shrink_to(&["r1", "r2", "r3"]);
    clinic.clock.move_by(TimeDelta::seconds(60));
    program.availability.pass().await;
    days.pass().await;
    assert_eq!(taken(), 1);
}

#[tokio::test]
async fn a_refused_day_is_told_once_and_tried_every_hour() {
    let clinic = clinic();
    wants(&clinic);
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| call.starts_with("day 2").then(|| ReadError::Invalid("no".into())));
    });
    let days = days_of(&clinic.program()).await;
    for _ in 0..36 {
        days.pass().await;
        clinic.clock.move_by(TimeDelta::minutes(5));
    }
    assert_eq!(clinic.partner.desk(|desk| desk.calls("day 2").len()), 3, "three hours");
    assert_eq!(told(&clinic).len(), 1, "{:?}", told(&clinic));
}

#[tokio::test]
async fn patience_that_was_asked_for_is_kept_whoever_wakes() {
    let clinic = clinic();
    wants(&clinic);
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| {
            let retry_after = Some(TimeDelta::minutes(2));
            call.starts_with("day 2").then_some(ReadError::SlowDown { retry_after })
        });
    });
    let days = days_of(&clinic.program()).await;
    // The bookings' flow wakes it with every poll.
    for _ in 0..24 {
        days.pass().await;
        clinic.clock.move_by(TimeDelta::seconds(5));
    }
    assert_eq!(clinic.partner.desk(|desk| desk.calls("day 2").len()), 1);
    clinic.partner.desk(|desk| desk.fails = None);
    days.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.days_taken.len()), 1);
}

#[tokio::test]
async fn a_day_that_cannot_be_read_keeps_no_other_waiting() {
    let clinic = clinic();
    for day in [today(), today().succ_opt().unwrap()] {
        clinic.partner.desk(|desk| {
            desk.days_wanted.insert(SnapshotAsked { day, by: SnapshotBy::Appointment });
        });
    }
    clinic.practice.diary(|diary| diary.garbles = Some(today()));
    let days = days_of(&clinic.program()).await;
    days.pass().await;
    let taken =
        clinic.partner.desk(|desk| desk.days_taken.iter().map(|day| day.asked.day).collect::<Vec<_>>());
    assert_eq!(taken, [today().succ_opt().unwrap()]);
}
