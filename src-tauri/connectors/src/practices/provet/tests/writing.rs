//! What is written, how often it stands, and that whatever went wrong is looked for.

use std::time::Duration;

use domain::booking::Held;
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, PatientRef};
use domain::ports::practice::PracticeSystem;
use serde_json::json;
use tracing_subscriber::util::SubscriberInitExt;

use super::*;
use crate::contract::Log;
use crate::sim::door::Faulty;
use crate::sim::faults::{Fault, FaultRule};

fn row(clinic: &Clinic, table: Table, id: &str) -> Value {
    clinic.sim.inspect(|state| state.row(table, id.parse().unwrap()).cloned().unwrap())
}

#[tokio::test]
async fn a_known_person_is_booked_once_with_our_key_in_the_notes() {
    let clinic = Clinic::new().await;
    let owner = clinic.named(Table::Client, "email", "tadhg.");
    let order =
        clinic.order(1, at(monday(), "10:00"), PatientPlan::Existing(PatientRef::new(owner.to_string())));
    let held = clinic.provet.insert(&order).await.unwrap();
    assert_eq!(held.patient, Some(PatientRef::new(owner.to_string())));
    assert_eq!(clinic.provet.insert(&order).await.unwrap(), held, "twice is once");
    assert_eq!(clinic.restarted().insert(&order).await.unwrap(), held, "after a restart as well");
    assert_eq!(clinic.provet.find(&order.key).await.unwrap(), Some(held.clone()));
    let [made] = <[Value; 1]>::try_from(clinic.appointments()).unwrap();
    assert_eq!(made["start"], "2026-11-22T23:00:00Z");
    assert_eq!(made["end"], "2026-11-22T23:30:00Z");
    assert_eq!(made["type"], 2);
    assert_eq!(made["notes"], "[healthengine:1]\nLimping since Sunday (healthengine:7)");
    assert_eq!(made["complaint"], "Limping since Sunday (healthengine:7)");
    assert_eq!(made["title"], "Standard consultation");
    let animal = clinic.sim.inspect(|state| {
        let theirs = state.row(Table::Client, owner).unwrap()["patients"].clone();
        theirs.as_array().unwrap().clone()
    });
    assert_eq!(made["patients"].as_array().unwrap(), &animal, "the only animal of its owner");
    assert!(!clinic.provet.overlapped(&order, &held.appointment).await.unwrap());
    clinic.enter(at(monday(), "10:15"), None);
    assert!(clinic.provet.overlapped(&order, &held.appointment).await.unwrap());
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_new_person_is_made_once_with_their_phone_number() {
    let clinic = Clinic::new().await;
    let order = clinic.order(1, at(monday(), "10:00"), NEW);
    let held = clinic.provet.insert(&order).await.unwrap();
    let patient = held.patient.clone().unwrap();
    let made = row(&clinic, Table::Client, patient.as_str());
    assert_eq!((&made["firstname"], &made["lastname"]), (&json!("Saoirse"), &json!("Vandermeer")));
    assert_eq!(made["remarks"], "[healthengine:1] Made for an online booking.");
    let number = clinic.sim.inspect(|state| state.rows(Table::PhoneNumber).last().unwrap().clone());
    assert_eq!(number["phone_number"], "+61491570999");
    assert_eq!(clinic.provet.insert(&order).await.unwrap(), held);
    let record = clinic.provet.patient(&patient).await.unwrap().unwrap();
    assert_eq!(record.details.phones.len(), 1);
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_number_that_is_not_taken_as_one_is_kept_in_the_remarks() {
    let clinic = Clinic::new().await;
    let mut order = clinic.order(1, at(monday(), "10:00"), NEW);
    order.details.phones = vec![Private::new("ext 123".into())];
    let held = clinic.provet.insert(&order).await.unwrap();
    let made = row(&clinic, Table::Client, held.patient.unwrap().as_str());
    assert!(made["remarks"].as_str().unwrap().ends_with("Phone as given: ext 123"));
}

#[tokio::test]
async fn time_that_is_taken_is_refused_whoever_sees_it() {
    let clinic = Clinic::new().await;
    clinic.enter(at(monday(), "10:00"), None);
    let taken = clinic.order(1, at(monday(), "10:15"), NEW);
    let refused = clinic.provet.insert(&taken).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::SlotTaken))), "{refused:?}");
    let early = clinic.order(2, at(monday(), "07:00"), NEW);
    let refused = clinic.provet.insert(&early).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::OutsideHours))), "{refused:?}");
    // What only Provet sees is understood from its answer.
    clinic.sim.conduct(|conduct| conduct.always_in_conflict = true);
    let hidden = clinic.order(3, at(monday(), "11:00"), NEW);
    let refused = clinic.provet.insert(&hidden).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::SlotTaken))), "{refused:?}");
    assert_eq!(clinic.appointments().len(), 1);
    assert!(clinic.sim.inspect(|state| state.whose(Table::Client, "lastname", "Vandermeer").is_empty()));
}

#[tokio::test]
async fn hours_that_come_twice_or_never_are_not_guessed() {
    let clinic = Clinic::new().await;
    let october = NaiveDate::from_ymd_opt(2027, 10, 3).unwrap();
    let never = clinic.order(1, at(october, "02:30"), NEW);
    let refused = clinic.provet.insert(&never).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::TimeDoesNotExist))), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_got_lost_leaves_one_appointment_that_is_found() {
    for fault in [Fault::CutAfterEffect, Fault::GarbledJson, Fault::TruncatedBody] {
        let clinic = Clinic::new().await;
        let owner = clinic.named(Table::Client, "email", "tadhg.");
        let existing = PatientPlan::Existing(PatientRef::new(owner.to_string()));
        let order = clinic.order(1, at(monday(), "10:00"), existing);
        clinic.sim.add_fault(FaultRule::once(fault.clone()).on("POST", "/appointment/"));
        let lost = clinic.provet.insert(&order).await;
        assert!(matches!(lost, Err(WriteError::Unknown(_))), "{fault:?}: {lost:?}");
        let found = clinic.provet.find(&order.key).await.unwrap().unwrap();
        assert_eq!(clinic.restarted().find(&order.key).await.unwrap().as_ref(), Some(&found));
        assert_eq!(clinic.provet.insert(&order).await.unwrap(), found, "{fault:?}");
        assert_eq!(clinic.appointments().len(), 1, "{fault:?}");
    }
    for (fault, unknown) in [(Fault::Refuse, true), (Fault::ServerError, true), (Fault::Unauthorised, false)]
    {
        let clinic = Clinic::new().await;
        let order = clinic.order(1, at(monday(), "10:00"), NEW);
        let id = clinic.sim.add_fault(FaultRule::always(fault.clone()).on("POST", "/appointment/"));
        let failed = clinic.provet.insert(&order).await;
        assert_eq!(matches!(failed, Err(WriteError::Unknown(_))), unknown, "{fault:?}: {failed:?}");
        assert!(clinic.sim.remove_fault(id));
        clinic.pass(60);
        assert_eq!(clinic.provet.find(&order.key).await.unwrap(), None);
        clinic.provet.insert(&order).await.unwrap();
        assert_eq!(clinic.appointments().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn whatever_is_lost_while_a_person_is_made_there_is_one_of_them() {
    for (method, path) in [
        ("POST", "/client/"),
        ("POST", "/phonenumber/"),
        ("PATCH", "/appointment/*"),
        ("GET", "/phonenumber/"),
    ] {
        for fault in [Fault::CutAfterEffect, Fault::Refuse, Fault::ServerError] {
            let clinic = Clinic::new().await;
            let order = clinic.order(1, at(monday(), "10:00"), NEW);
            clinic.sim.add_fault(FaultRule::once(fault.clone()).on(method, path));
            let held = clinic.provet.insert(&order).await.unwrap();
            assert_eq!(held.patient, None, "{fault:?} on {path}: the time is held without a name");
            clinic.pass(60);
            let named =
                clinic.provet.name_patient(&held.appointment, &order.key, &NEW, None, &order.details).await;
            let named = named.unwrap();
            assert!(named.patient.is_some());
            let people = clinic.sim.inspect(|state| state.whose(Table::Client, "lastname", "Vandermeer"));
            assert_eq!(people.len(), 1, "{fault:?} on {path}");
            let phones =
                clinic.sim.inspect(|state| state.whose(Table::PhoneNumber, "phone_number", "1570999"));
            assert_eq!(phones.len(), 1, "{fault:?} on {path}");
            assert_eq!(clinic.appointments().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_is_on_its_way_when_time_runs_out_may_have_been_written() {
    for (method, path) in [("POST", "/appointment/"), ("PATCH", "/appointment/*")] {
        let clinic = Clinic::new().await;
        let provet = clinic.patient();
        let owner = clinic.named(Table::Client, "email", "tadhg.");
        let existing = PatientPlan::Existing(PatientRef::new(owner.to_string()));
        let order = clinic.order(1, at(monday(), "10:00"), existing);
        let mut held = None;
        if method == "PATCH" {
            held = Some(provet.insert(&order).await.unwrap());
        }
        clinic.sim.add_fault(FaultRule::once(Fault::SlowAnswer { milliseconds: 600_000 }).on(method, path));
        let writing = async {
            match &held {
                Some(held) => provet.cancel(held).await,
                None => provet.insert(&order).await.map(drop),
            }
        };
        let before = clinic.sim.inspect(|state| state.exchanges().count());
        let written = || {
            clinic.sim.inspect(|state| {
                let mut since = state.exchanges().skip(before);
                since.any(|exchange| exchange.method == method && exchange.path.starts_with("/appointment/"))
            })
        };
        let clock = async {
            while !written() {
                tokio::task::yield_now().await;
            }
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(31)).await;
            tokio::time::resume();
        };
        let (ended, ()) = tokio::join!(writing, clock);
        assert!(matches!(ended, Err(WriteError::Unknown(_))), "{method}: {ended:?}");
        assert_eq!(clinic.appointments().len(), 1);
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    path.starts_with(pattern.trim_end_matches('*'))
}

/// The program dies while a request is under way, and another one, which knows nothing of it, begins anew.
#[tokio::test]
async fn one_client_and_one_appointment_stand_whichever_request_the_program_dies_in() {
    let requests = [
        ("POST", "/appointment/"),
        ("POST", "/client/"),
        ("POST", "/phonenumber/"),
        ("PATCH", "/appointment/*"),
    ];
    for (method, path) in requests {
        for fault in [Fault::SlowAnswer { milliseconds: 600_000 }, Fault::Slow { milliseconds: 600_000 }] {
            let clinic = Clinic::new().await;
            let order = clinic.order(1, at(monday(), "10:00"), NEW);
            clinic.provet.stamp(week()).await.unwrap();
            let id = clinic.sim.add_fault(FaultRule::once(fault.clone()).on(method, path));
            let struck = async {
                // Of one that is slow to answer, what it did is waited for.
                let does = matches!(fault, Fault::SlowAnswer { .. });
                let before = clinic.sim.inspect(|state| state.exchanges().count());
                let goes_on = || {
                    clinic.sim.inspect(|state| {
                        let mut since = state.exchanges().skip(before);
                        let done = since.any(|done| done.method == method && path_fits(path, &done.path));
                        let rules = state.faults().active();
                        done || !does && rules.iter().any(|rule| rule.id == id && rule.struck > 0)
                    })
                };
                while !goes_on() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                ended = clinic.provet.insert(&order) => panic!("{method} {path}: {ended:?}"),
                () = struck => {}
            }
            clinic.pass(60);
            let anew = clinic.restarted();
            let held = anew.insert(&order).await.unwrap();
            let named = anew.name_patient(&held.appointment, &order.key, &NEW, None, &order.details).await;
            let story = format!("{fault:?} {method} {path}");
            assert!(named.unwrap().patient.is_some(), "{story}");
            assert_eq!(clinic.appointments().len(), 1, "{story}");
            let count =
                |table, field, text| clinic.sim.inspect(|state| state.whose(table, field, text).len());
            assert_eq!(count(Table::Client, "lastname", "Vandermeer"), 1, "{story}");
            assert_eq!(count(Table::PhoneNumber, "phone_number", "1570999"), 1, "{story}");
        }
    }
}

#[tokio::test]
async fn a_person_who_may_still_be_on_the_way_is_not_made_again_before_that_is_settled() {
    let clinic = Clinic::new().await;
    let order = clinic.order(1, at(monday(), "10:00"), NEW);
    let id = clinic.sim.add_fault(FaultRule::always(Fault::Refuse).on("POST", "/client/"));
    let held = clinic.provet.insert(&order).await.unwrap();
    assert_eq!(held.patient, None);
    assert!(clinic.sim.remove_fault(id));
    let name = || clinic.provet.name_patient(&held.appointment, &order.key, &NEW, None, &order.details);
    clinic.pass(20);
    let waits = name().await;
    let Err(WriteError::Untouched(ReadError::SlowDown { retry_after: Some(wait) })) = waits else {
        panic!("{waits:?}")
    };
    assert_eq!(clinic.sim.inspect(|state| state.whose(Table::Client, "lastname", "Vandermeer").len()), 0);
    clinic.hand.pass(wait);
    assert!(name().await.unwrap().patient.is_some());
}

#[tokio::test]
async fn a_namesake_with_the_same_numbers_is_not_taken_for_the_one_we_made() {
    let clinic = Clinic::new().await;
    let same = json!({"firstname": "Saoirse", "lastname": "Vandermeer", "email": "saoirse@example.com"});
    let there = clinic.sim.staff(|state, now| state.register(&same, &["+61491570999"], now));
    let duplicate = PatientRef::new(there.to_string());
    let plan = PatientPlan::New { possible_duplicate_of: Some(duplicate.clone()) };
    let held = clinic.provet.insert(&clinic.order(1, at(monday(), "10:00"), plan)).await.unwrap();
    let made = held.patient.unwrap();
    assert_ne!(made, duplicate);
    let remarks = row(&clinic, Table::Client, made.as_str())["remarks"].as_str().unwrap().to_owned();
    assert!(remarks.contains(&format!("Possible duplicate of patient {there}.")), "{remarks}");
}

#[tokio::test]
async fn a_cancellation_is_done_once_and_only_before_it_begins() {
    let clinic = Clinic::new().await;
    let held = clinic.provet.insert(&clinic.order(1, at(monday(), "10:00"), NEW)).await.unwrap();
    clinic.sim.add_fault(FaultRule::once(Fault::CutAfterEffect).on("PATCH", "/appointment/*"));
    let lost = clinic.provet.cancel(&held).await;
    assert!(matches!(lost, Err(WriteError::Unknown(_))), "{lost:?}");
    for _ in 0..2 {
        clinic.provet.cancel(&held).await.unwrap();
    }
    assert_eq!(row(&clinic, Table::Appointment, held.appointment.as_str())["active"], 0);
    assert_eq!(clinic.provet.find(&key(1)).await.unwrap(), None, "cancelled ones are left out");
    let gone = Held { appointment: AppointmentRef::new("424242"), patient: None };
    clinic.provet.cancel(&gone).await.unwrap();

    let begun = clinic.provet.insert(&clinic.order(2, at(monday(), "11:00"), NEW)).await.unwrap();
    let foreign = Held { patient: Some(PatientRef::new("1")), ..begun.clone() };
    assert!(matches!(clinic.provet.cancel(&foreign).await, Err(WriteError::Refused(_))));
    clinic.hand.pass(zone().instant(at(monday(), "11:05")) - clinic.hand.now());
    let refused = clinic.provet.cancel(&begun).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::AlreadyBegun))), "{refused:?}");
}

#[tokio::test]
async fn a_patient_is_corrected_only_where_our_mark_stands() {
    let clinic = Clinic::new().await;
    let [wrong, right] = ["tadhg.", "beatrix."]
        .map(|who| PatientRef::new(clinic.named(Table::Client, "email", who).to_string()));
    let order = clinic.order(1, at(monday(), "10:00"), PatientPlan::Existing(wrong.clone()));
    let held = clinic.provet.insert(&order).await.unwrap();
    let plan = PatientPlan::Existing(right.clone());
    let rename =
        || clinic.provet.name_patient(&held.appointment, &order.key, &plan, Some(&wrong), &order.details);
    assert_eq!(rename().await.unwrap().patient, Some(right.clone()));
    assert_eq!(rename().await.unwrap().patient, Some(right.clone()), "again is the same");
    let id = held.appointment.as_str().parse().unwrap();
    clinic.sim.staff(|state, now| state.change(Table::Appointment, id, &json!({"notes": ""}), now));
    clinic.pass(5);
    let refused = rename().await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::BookingUnknown))), "{refused:?}");
}

#[tokio::test]
async fn without_the_right_to_write_somebody_at_the_desk_enters_it() {
    let clinic = Clinic::new().await;
    let order = clinic.order(1, at(monday(), "10:00"), NEW);
    clinic.provet.stamp(week()).await.unwrap();
    clinic.sim.add_fault(FaultRule::always(Fault::Forbidden).on("POST", "/appointment/"));
    let refused = clinic.provet.insert(&order).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::ReadOnly))), "{refused:?}");
    clinic.pass(5);
    clinic.provet.stamp(week()).await.unwrap();
}

#[tokio::test]
async fn nothing_personal_or_secret_is_logged_or_told_in_an_error() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let listening = subscriber.set_default();
    tracing::info!("the test listens");
    let clinic = Clinic::new().await;
    let order = clinic.order(1, at(monday(), "10:00"), NEW);
    for fault in [Fault::CutAfterEffect, Fault::ServerError, Fault::GarbledJson, Fault::Unauthorised] {
        for path in ["/client/*", "/phonenumber/*", "/appointment/*"] {
            let id = clinic.sim.add_fault(FaultRule::always(fault.clone()).on("POST", path));
            log.add(&format!("{:?}", clinic.provet.insert(&order).await));
            assert!(clinic.sim.remove_fault(id));
            clinic.pass(61);
        }
    }
    let mut bad = order.clone();
    bad.key = key(2);
    bad.starts = at(monday(), "11:00");
    bad.details.email = Private::new("not an address".into());
    log.add(&format!("{:?}", clinic.provet.insert(&bad).await));
    log.add(&format!(
        "{:?}",
        clinic.provet.find_patients(&order.details).await.map(|found| found.records.len())
    ));
    drop(listening);
    let text = log.text();
    assert!(text.contains("the test listens"));
    for private in [
        "Saoirse",
        "Vandermeer",
        "1570999",
        "570 999",
        "saoirse@",
        "not an address",
        "Limping",
        "s3cret",
        "provet-sim-token",
    ] {
        assert!(!text.contains(private), "{private} is in the log:\n{text}");
    }
}
