//! The guards around a booking: what must not happen when several things go wrong at once.

use super::clinic::*;
use super::partner::Answer;
use super::practice::resource;
use crate::desk::Choice;
use crate::flows::Flow;
use crate::health::{Health, of_leg};
use crate::state::PracticeState;
use chrono::{Days, TimeDelta};
use domain::booking::{BookingRequest, BookingState};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::ResourceRef;
use domain::ports::partner::OfferAsked;
use domain::ports::store::{BookingCounts, Leg};
use std::collections::BTreeMap;

#[tokio::test]
async fn what_a_person_has_dealt_with_is_answered_as_the_book_stands() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.fails = Some(|call| call.starts_with("confirm").then(|| ReadError::Invalid("no".into())));
    });
    let program = clinic.program();
    program.pass().await;
    clinic.decide("1", Choice::SeenTo).await;
    assert_eq!(clinic.state("1"), BookingState::Closed);
    clinic.partner.desk(|desk| desk.fails = None);
    clinic.clock.move_to(clinic.now() + TimeDelta::seconds(5));
    program.pass().await;
    let answer = clinic.partner.desk(|desk| desk.answer("1"));
    assert!(matches!(answer, Some(Answer::Confirmed(_))), "{answer:?}");
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 1);
}

#[tokio::test]
async fn a_slow_clock_does_not_make_a_late_rejection_early() {
    let clinic = Clinic::new();
    // By this computer's clock the booking was made in the future.
    let booked_at = start() + TimeDelta::seconds(45);
    clinic.partner.desk(|desk| {
        desk.book_at(BookingRequest { booked_at, ..request("1", ada(), at("14:00")) }, start());
    });
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Unreachable("out".into())));
    let program = clinic.program();
    run_until(&clinic, &program.bookings, start() + TimeDelta::seconds(40)).await;
    clinic.practice.diary(|diary| {
        diary.fails = None;
        diary.enter("r1", at("14:00"), "p9");
    });
    run_until(&clinic, &program.bookings, start() + TimeDelta::seconds(60)).await;
    assert!(
        matches!(clinic.state("1"), BookingState::Unplaced(Refusal::SlotTaken)),
        "{:?}",
        clinic.state("1")
    );
}

#[tokio::test]
async fn a_book_that_became_read_only_sends_the_booking_to_the_desk() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.practice.diary(|diary| {
        diary.refuses_inserting = Some(|| WriteError::Refused(Refusal::ReadOnly));
    });
    let program = clinic.program();
    program.pass().await;
    assert_eq!(clinic.state("1"), BookingState::Entering);
    assert_eq!(clinic.partner.desk(|desk| desk.answer("1")), None);
}

#[tokio::test]
async fn writes_that_fail_while_reading_works_turn_the_light_and_are_not_hammered() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.practice.diary(|diary| {
        diary.refuses_inserting = Some(|| WriteError::Untouched(ReadError::Garbled("no right".into())));
    });
    let program = clinic.program();
    for _ in 0..60 {
        program.pass().await;
        program.availability.pass().await;
        clinic.clock.move_to(clinic.now() + TimeDelta::seconds(5));
    }
    assert_eq!(of_leg(program.note(Leg::System).as_ref(), clinic.now()), Health::Down);
    let tries = clinic.store.disk(|disk| {
        disk.history.iter().filter(|(_, line)| line.what.starts_with("Writing it into the book")).count()
    });
    assert!((2..=30).contains(&tries), "{tries} tries in five minutes");
    clinic.practice.diary(|diary| diary.refuses_inserting = None);
    run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(2)).await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    program.availability.pass().await;
    assert_eq!(of_leg(program.note(Leg::System).as_ref(), clinic.now()), Health::Ok);
}

#[tokio::test]
async fn a_cancellation_outlives_our_records_where_the_book_has_the_mark() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.program().pass().await;
    clinic.store.disk(|disk| disk.entries.clear());
    clinic.partner.desk(|desk| desk.cancel("1"));
    let program = clinic.program();
    program.pass().await;
    assert!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).is_empty()));
    assert_eq!(clinic.partner.desk(|desk| desk.changes[0].applied.clone()), Some(Ok(())));
}

#[tokio::test]
async fn free_times_asked_for_beyond_the_horizon_or_of_nobody_are_answered_as_empty() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    let far = today().checked_add_days(Days::new(200)).unwrap();
    let (known, gone) = (ResourceRef::new("r1"), ResourceRef::new("gone"));
    clinic.partner.desk(|desk| {
        desk.asked.push(OfferAsked { day: far, resource: Some(known.clone()) });
        desk.asked.push(OfferAsked { day: today(), resource: Some(gone.clone()) });
    });
    program.pass().await;
    clinic.partner.desk(|desk| {
        for shown in [(known.clone(), far), (gone.clone(), today())] {
            assert!(desk.published.get(&shown).is_some_and(|offer| offer.free.is_empty()), "{shown:?}");
        }
    });
}

#[tokio::test]
async fn free_times_of_whoever_is_missing_from_a_doubtful_list_are_not_answered_as_empty() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| diary.resources = ["r1", "r2", "r3"].map(resource).into());
    let program = clinic.program();
    program.availability.pass().await;
    let offered = (ResourceRef::new("r3"), today());
    let shown = || clinic.partner.desk(|desk| desk.published.get(&offered).cloned());
    assert!(shown().is_some_and(|offer| !offer.free.is_empty()));
    clinic.practice.diary(|diary| {
        diary.resources = vec![resource("r1")];
        diary.version += 1;
    });
    clinic.clock.move_by(TimeDelta::seconds(60));
    program.availability.pass().await;
    let asked = OfferAsked { day: today(), resource: Some(offered.0.clone()) };
    clinic.partner.desk(|desk| desk.asked.push(asked));
    program.pass().await;
    assert!(shown().is_some_and(|offer| !offer.free.is_empty()), "what was accepted stays");
    // Other settings do not settle the doubt.
    program.ports.state.change_practice(program.ports.id(), |practice| {
        let anew = PracticeState::new(practice.settings.clone(), BTreeMap::new(), BookingCounts::default());
        *practice = practice.clone().renewed(anew);
    });
    program.pass().await;
    assert!(shown().is_some_and(|offer| !offer.free.is_empty()));
}

#[tokio::test]
async fn what_staff_enter_in_the_same_moment_is_told() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.practice.diary(|diary| {
        diary.care = super::practice::Care::Blind;
        diary.enter("r1", at("14:00"), "p9");
    });
    let program = clinic.program();
    program.pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Confirmed(_)));
    let told: Vec<String> =
        clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.kind.clone()).collect());
    assert_eq!(told, ["look/overlap"]);
}

#[tokio::test]
async fn patience_asked_for_by_one_change_holds_for_all() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        for booking in ["7", "8", "9"] {
            desk.cancel(booking);
        }
        desk.fails = Some(|call| {
            call.starts_with("decline_change").then_some(ReadError::SlowDown { retry_after: None })
        });
    });
    clinic.program().pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.calls("decline_change").len()), 1);
}

#[tokio::test]
async fn an_overlap_that_could_not_be_looked_for_is_looked_for_again() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| desk.book(request("1", ada(), at("14:00"))));
    clinic.practice.diary(|diary| {
        diary.care = super::practice::Care::Blind;
        diary.enter("r1", at("14:00"), "p9");
        diary.refuses_looking_for_overlaps = true;
    });
    let program = clinic.program();
    program.pass().await;
    assert!(clinic.store.disk(|disk| disk.told.is_empty()));
    clinic.practice.diary(|diary| diary.refuses_looking_for_overlaps = false);
    program.pass().await;
    assert_eq!(clinic.store.disk(|disk| disk.told.len()), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_booking() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.book(request("1", ada(), at("14:00")));
        desk.book(request("2", another_ada(), at("15:00")));
    });
    clinic.practice.diary(|diary| diary.swallows_inserts = true);
    let program = clinic.program();
    program.pass().await;
    assert!(matches!(clinic.state("1"), BookingState::Inserting { .. }), "{:?}", clinic.state("1"));
    clinic.practice.diary(|diary| diary.swallows_inserts = false);
    clinic.clock.move_to(clinic.now() - TimeDelta::hours(1));
    run_until(&clinic, &program.bookings, clinic.now() + TimeDelta::minutes(10)).await;
    for booking in ["1", "2"] {
        assert!(matches!(clinic.state(booking), BookingState::Confirmed(_)), "{:?}", clinic.state(booking));
    }
}
