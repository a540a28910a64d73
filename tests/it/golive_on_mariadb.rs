//! Healthengine's go-live list (contract sheet §9): each scenario through the running engine, against the simulator and
//! OpenEMR on MariaDB. `GO-LIVE.md` beside the connector says which is which.

use chrono::TimeDelta;
use connectors::partners::healthengine::sim::{
    BookingAnswerKind, BookingStatus, ConfigurationKind, Consent, Exchange, PatientDetails, SimState,
};
use connectors::sim::faults::{Fault, FaultRule};
use domain::booking::BookingState;
use domain::failure::Refusal;
use domain::ids::{PatientRef, PracticeId};
use domain::ports::store::{Leg, ProblemKind, Vault, Wish, Wishes};
use domain::settings::{HealthengineSettings, LiveDay, SecretKind, SecretName};
use domain::time::{DayRange, MinuteOfDay};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use sync::desk::Choice;
use sync::practices::{EVERYTHING, resync, set_enabled};
use tests::openemr::{BRANCH, FIRST_PRACTITIONER, HOME};
use tests::{Make, System, World, account, start, zone};

const CONFIGURATION: [ConfigurationKind; 3] =
    [ConfigurationKind::LivenessContract, ConfigurationKind::Resources, ConfigurationKind::AppointmentTypes];
/// Promptly: the look at settings or book, and the way there.
const PROMPTLY: usize = 6;

async fn clinic() -> World {
    World::running_on(System::OpenEmr).await
}

/// A clinic whose engine runs and that is not linked to Healthengine yet, and its account.
async fn unlinked() -> (World, HealthengineSettings) {
    let mut world = World::new(Make::on(System::OpenEmr)).await;
    let account = world.stored_settings("p1").await.healthengine.unwrap();
    world.change_settings("p1", |settings| settings.healthengine = None).await;
    world.start().await;
    world.pass(10).await;
    assert_eq!(world.sim.inspect(|state| state.exchanges().count()), 0, "nobody is linked");
    (world, account)
}

async fn enter_id_and_key(world: &World, account: HealthengineSettings) {
    world.keep_keys("p1", "p1").await;
    world.change_settings("p1", |settings| settings.healthengine = Some(account)).await;
}

fn exchanges(world: &World, wanted: impl Fn(&Exchange) -> bool) -> usize {
    world.sim.inspect(|state| state.exchanges().filter(|exchange| wanted(exchange)).count())
}

fn of_account(world: &World, account: &str) -> usize {
    exchanges(world, |exchange| exchange.practice_id.as_deref() == Some(account))
}

fn polls(world: &World) -> u64 {
    world.sim.inspect(|state| state.requests(&account("p1"), "GET", "/requests"))
}

fn configurations(world: &World, account: &str) -> [usize; 3] {
    world.sim.inspect(|state| {
        CONFIGURATION.map(|kind| state.configuration(account).iter().filter(|sent| sent.kind == kind).count())
    })
}

/// How often each day of each resource was sent.
fn sent_days(world: &World) -> usize {
    world.sim.inspect(|state| state.snapshots(&account("p1")).map(|(_, kept)| kept.len()).sum())
}

fn names(list: Option<&[serde_json::Value]>, name: &str) -> Vec<String> {
    list.unwrap_or_default().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

fn resource_names(state: &SimState) -> Vec<String> {
    names(state.resources(&account("p1")), "pmsResourceName")
}

fn type_names(state: &SimState) -> Vec<String> {
    names(state.appointment_types(&account("p1")), "pmsAppointmentTypeName")
}

fn confirmed(state: &BookingState) -> bool {
    matches!(state, BookingState::Confirmed(_))
}

async fn promptly(world: &World, what: &str, condition: impl Fn(&SimState) -> bool) {
    let seconds = world.until(what, condition).await;
    assert!(seconds <= PROMPTLY, "{what}: {seconds} s");
}

async fn switch(world: &World, on: bool) {
    set_enabled(world.store.as_ref(), &PracticeId::new("p1"), on, start()).await.unwrap();
    world.pass(3).await;
}

fn unknown_booking() -> serde_json::Value {
    serde_json::json!({
        "bookingId": 4_711, "pmsAppointmentIds": [], "pmsPatientId": null,
        "updatedAt": "2026-11-20 00:00:01", "bookingStatus": "Cancelled",
    })
}

#[tokio::test]
async fn he_01_entering_id_and_key_sends_the_configuration() {
    let (world, account_settings) = unlinked().await;
    enter_id_and_key(&world, account_settings).await;
    promptly(&world, "the configuration is sent", |state| !state.configuration(&account("p1")).is_empty())
        .await;
    world.all_published("p1").await;
    world.finish().await;
}

#[tokio::test]
async fn he_02_without_consent_the_user_is_led_to_grant_it() {
    let (world, account_settings) = unlinked().await;
    world.sim.set_consent(&account("p1"), Consent::NeverGranted).unwrap();
    enter_id_and_key(&world, account_settings).await;
    world.pass(PROMPTLY).await;
    let refused = |exchange: &Exchange| exchange.path.starts_with("/config/") && exchange.status == Some(403);
    assert_eq!(exchanges(&world, refused), 1, "the configuration was tried");
    for leg in [Leg::Desk, Leg::Board] {
        let problem = world.note(leg).await.unwrap().problem.unwrap();
        assert_eq!(problem.kind, ProblemKind::Consent);
        for step in ["Practice Admin", "API consumer consent", "1300 377 639"] {
            assert!(problem.sentence.contains(step), "{}", problem.sentence);
        }
    }
    // Nobody is hammered meanwhile, and nothing is lost.
    let before = of_account(&world, &account("p1"));
    world.pass(600).await;
    let asked = of_account(&world, &account("p1")) - before;
    assert!((9..=11).contains(&asked), "{asked} requests in ten minutes");
    world.sim.set_consent(&account("p1"), Consent::Granted).unwrap();
    world.pass(125).await;
    assert_eq!(configurations(&world, &account("p1")), [1, 1, 1]);
    for leg in [Leg::Desk, Leg::Board] {
        assert_eq!(world.note(leg).await.unwrap().problem, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn he_03_locations_are_practices_of_their_own() {
    let make = Make { practices: 2, one_book: true, ..Make::on(System::OpenEmr) };
    let world = World::running_as(make).await;
    // Several pairs of id and key are stored.
    let mut keys = BTreeSet::new();
    for practice in ["p1", "p2"] {
        let name = SecretName::of(&PracticeId::new(practice), SecretKind::HealthenginePracticeKey);
        let key = world.store.secret(&name).await.unwrap().unwrap();
        keys.insert(domain::private::ExposeSecret::expose_secret(&key).to_owned());
    }
    assert_eq!(keys.len(), 2);
    // Each has the people of its own location, and their free times.
    let (home, branch) = (world.resources("p1"), world.resources("p2"));
    assert_eq!(
        (home.as_slice(), branch.as_slice()),
        (["10", "12"].map(String::from).as_slice(), ["11", "13"].map(String::from).as_slice())
    );
    let (number, patient) = world.known_patient();
    for (practice, location) in [("p1", HOME), ("p2", BRANCH)] {
        let place = world.next_free(practice);
        let booking = world.book_at(practice, &place, &patient);
        world.until("it is confirmed", |state| state.booking(booking).unwrap().confirmed_at.is_some()).await;
        let stands = world.stands_once_at(practice, booking);
        assert_eq!(stands.patient, Some(number));
        let there =
            format!("SELECT pc_facility FROM openemr_postcalendar_events WHERE pc_eid = {}", stands.id);
        assert_eq!(world.staff().number(&there), location);
    }
    // Somebody of the other location cannot be booked here.
    let (resource, starts) = world.next_free("p2");
    let fields = serde_json::json!({
        "pmsResourceId": resource,
        "pmsAppointmentTime": starts.format("%Y-%m-%d %H:%M:%S").to_string(),
        "pmsAppointmentLength": 900,
    });
    let astray = world.sim.force_book(&account("p1"), &fields).unwrap();
    world
        .until_state(astray, "it is declined", |state| {
            matches!(state, BookingState::Rejected { why: Refusal::ResourceUnknown, .. })
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn he_04_a_replaced_account_gets_nothing_more() {
    let world = World::running_as(Make { horizon_days: 59, ..Make::on(System::OpenEmr) }).await;
    // Everything is being sent to the old one, in several parts, the first of which hangs.
    let old_parts =
        || world.sim.inspect(|state| state.requests(&account("p1"), "POST", "/availability/snapshots"));
    let before = old_parts();
    let slow = Fault::Slow { milliseconds: 600_000 };
    let hanging = world.sim.add_fault(FaultRule::once(slow).on("POST", "/availability/snapshots"));
    resync(world.store.as_ref(), &PracticeId::new("p1"), &EVERYTHING, start()).await.unwrap();
    world.clock.move_by(TimeDelta::seconds(1));
    let hangs = |state: &SimState| state.faults().active().iter().any(|active| active.struck == 1);
    world.sim.wait_until(hangs, Duration::from_secs(20)).await.unwrap();
    world.keep_keys("p1", "other").await;
    world
        .change_settings("p1", |settings| {
            settings.healthengine.as_mut().unwrap().practice_id = account("other")
        })
        .await;
    // The engine has looked at its settings when it sleeps again.
    world.clock.move_by(TimeDelta::seconds(1));
    world.clock.asleep().await;
    let left_at = of_account(&world, &account("p1"));
    assert!(world.sim.remove_fault(hanging));
    world.quiet().await;
    world.until("the new one is configured", |state| state.published_days(&account("other")) == 240).await;
    assert_eq!(configurations(&world, &account("other")), [1, 1, 1]);
    assert!(world.sim.inspect(|state| state.requests(&account("other"), "GET", "/requests")) > 0);
    world.pass(60).await;
    assert!(old_parts() - before <= 1, "no part followed the one that was under way");
    assert!(of_account(&world, &account("p1")) - left_at <= 1, "the one that was under way, at most");
    world.finish().await;
}

#[tokio::test]
async fn he_05_linking_sends_hours_resources_and_types() {
    let (world, account_settings) = unlinked().await;
    enter_id_and_key(&world, account_settings).await;
    promptly(&world, "all three are there", |state| {
        let (hours, account) = (state.liveness_contract(&account("p1")), account("p1"));
        hours.is_some() && state.resources(&account).is_some() && state.appointment_types(&account).is_some()
    })
    .await;
    assert_eq!(configurations(&world, &account("p1")), [1, 1, 1]);
    assert_eq!(world.resources("p1"), ["10", "11", "12", "13"]);
    let types: BTreeSet<String> = world.sim.inspect(type_names).into_iter().collect();
    let offered = ["Initial Assessment", "Short Review", "Standard Consultation"];
    assert_eq!(types, offered.map(str::to_owned).into(), "what is not offered any more is not there");
    world.finish().await;
}

#[tokio::test]
async fn he_06_changed_live_hours_are_sent() {
    let world = clinic().await;
    let nine_to_five = DayRange::new(MinuteOfDay::clamped(540), MinuteOfDay::clamped(1020)).unwrap();
    world
        .change_settings("p1", |settings| {
            let hours = &mut settings.healthengine.as_mut().unwrap().live_hours;
            hours.weekdays = BTreeMap::from([(LiveDay::Monday, vec![nine_to_five])]);
        })
        .await;
    promptly(&world, "the new contract is there", |state| {
        let contract = &state.liveness_contract(&account("p1")).unwrap()["liveHours"];
        contract["monday"] == serde_json::json!([{"start": "09:00", "end": "17:00"}])
            && contract["tuesday"] == serde_json::json!([])
    })
    .await;
    assert_eq!(configurations(&world, &account("p1")), [2, 1, 1], "and nothing else is sent");
    world.finish().await;
}

#[tokio::test]
async fn he_07_resources_follow_the_book() {
    let world = clinic().await;
    world.staff().sql(
        "INSERT INTO users (id, username, authorized, fname, lname, title, specialty, facility_id, active, calendar)
         VALUES (20, 'prac20', 1, 'Ines', 'Abelia', 'Dr', 'Podiatrist', 3, 1, 1)",
    );
    let has = |name: &'static str| move |state: &SimState| resource_names(state).iter().any(|n| n == name);
    promptly(&world, "the new one is there", has("Ines Abelia")).await;
    world.staff().sql("UPDATE users SET lname = 'Banksia' WHERE id = 20");
    promptly(&world, "the new name is there", has("Ines Banksia")).await;
    assert!(!world.sim.inspect(has("Ines Abelia")));
    world.staff().sql("UPDATE users SET active = 0 WHERE id = 20");
    promptly(&world, "nobody of that name is there", |state| !has("Ines Banksia")(state)).await;
    assert_eq!(configurations(&world, &account("p1")), [1, 4, 1]);
    world.finish().await;
}

#[tokio::test]
async fn he_08_appointment_types_follow_the_book() {
    let world = clinic().await;
    world.staff().sql(
        "INSERT INTO openemr_postcalendar_categories (pc_catid, pc_catname, pc_duration, pc_cattype, pc_active, pc_seq)
         VALUES (30, 'Dry needling', 1200, 0, 1, 40)",
    );
    let has = |name: &'static str| move |state: &SimState| type_names(state).iter().any(|n| n == name);
    promptly(&world, "the new one is there", has("Dry needling")).await;
    world.staff().sql("UPDATE openemr_postcalendar_categories SET pc_duration = 1500 WHERE pc_catid = 30");
    promptly(&world, "its new length is there, in minutes", |state| {
        let types = state.appointment_types(&account("p1")).unwrap();
        types.iter().any(|kind| kind["pmsAppointmentTypeId"] == "30" && kind["pmsAppointmentLength"] == 25)
    })
    .await;
    world.staff().sql("UPDATE openemr_postcalendar_categories SET pc_active = 0 WHERE pc_catid = 30");
    promptly(&world, "it is gone", |state| !has("Dry needling")(state)).await;
    assert_eq!(configurations(&world, &account("p1")), [1, 1, 4]);
    world.finish().await;
}

#[tokio::test]
async fn he_09_staff_can_send_the_configuration_again() {
    let world = clinic().await;
    let days = sent_days(&world);
    world.store.wish(&PracticeId::new("p1"), &Wish::ResyncConfiguration, start()).await.unwrap();
    world.pass(PROMPTLY).await;
    assert_eq!(configurations(&world, &account("p1")), [2, 2, 2]);
    assert_eq!(sent_days(&world), days, "and nothing else");
    world.finish().await;
}

#[tokio::test]
async fn he_10_switched_on_again_it_sends_the_configuration() {
    let world = clinic().await;
    switch(&world, false).await;
    let silent = of_account(&world, &account("p1"));
    world.pass(60).await;
    assert_eq!(of_account(&world, &account("p1")), silent, "switched off, it says nothing");
    switch(&world, true).await;
    world.pass(PROMPTLY).await;
    assert_eq!(configurations(&world, &account("p1")), [2, 2, 2]);
    world.finish().await;
}

#[tokio::test]
async fn he_11_each_specialty_is_a_resource_of_its_own() {
    let world = clinic().await;
    world.staff().sql(&format!(
        "UPDATE users SET specialty = 'Physiotherapist, Hand therapist' WHERE id = {FIRST_PRACTITIONER}"
    ));
    let (physio, hands) = ("10:physiotherapist".to_owned(), "10:hand-therapist".to_owned());
    promptly(&world, "both are there", |state| {
        let ids = names(state.resources(&account("p1")), "pmsResourceId");
        ids.contains(&physio) && ids.contains(&hands) && !ids.contains(&"10".to_owned())
    })
    .await;
    let shown: BTreeSet<String> = world.sim.inspect(resource_names).into_iter().collect();
    assert_eq!(shown.len(), 5, "their names differ: {shown:?}");
    world.all_published("p1").await;
    // Whichever is booked, it is in the practitioner's book, and the time of both is taken.
    let (number, patient) = world.known_patient();
    for wanted in [&hands, &physio] {
        let day = zone().today(start()) + TimeDelta::days(3);
        let starts = world.free("p1", wanted, day).first().unwrap().start;
        let both = [(physio.clone(), starts), (hands.clone(), starts)];
        assert!(both.iter().all(|place| world.is_offered(place)));
        let booking = world.book_at("p1", &(wanted.clone(), starts), &patient);
        world.until_state(booking, "it is confirmed", confirmed).await;
        let stands = world.stands_once(booking);
        assert_eq!(stands.patient, Some(number));
        let whose = format!("SELECT pc_aid FROM openemr_postcalendar_events WHERE pc_eid = {}", stands.id);
        assert_eq!(world.staff().number(&whose), FIRST_PRACTITIONER);
        world.until_offered(&both, false).await;
        assert!(both.iter().all(|place| !world.is_published(place)));
        // Two patients at one time is what this must not lead to.
        let other = if *wanted == hands { &physio } else { &hands };
        let fields = serde_json::json!({
            "pmsResourceId": other,
            "pmsAppointmentTime": starts.format("%Y-%m-%d %H:%M:%S").to_string(),
            "pmsAppointmentLength": 900,
        });
        let beside = world.sim.force_book(&account("p1"), &fields).unwrap();
        world
            .until_state(beside, "it is declined", |state| {
                matches!(state, BookingState::Rejected { why: Refusal::SlotTaken, .. })
            })
            .await;
    }
    world.finish().await;
}

#[tokio::test]
async fn he_12_linking_looks_for_what_was_left_behind() {
    let (world, account_settings) = unlinked().await;
    // A booking of somebody who is gone, and the cancellation of another.
    let gone = serde_json::json!({"pmsResourceId": null});
    let booking = world.sim.force_book(&account("p1"), &gone).unwrap();
    let update = world.sim.force_update(&account("p1"), unknown_booking()).unwrap();
    enter_id_and_key(&world, account_settings).await;
    promptly(&world, "both are answered", |state| {
        state.booking(booking).unwrap().answered_at.is_some()
            && state.updates(&account("p1")).any(|u| u.request_id == update && u.confirmed == Some(false))
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn he_13_staff_can_send_all_free_times_again() {
    let world = clinic().await;
    let (days, configuration) = (sent_days(&world), configurations(&world, &account("p1")));
    world.store.wish(&PracticeId::new("p1"), &Wish::ResyncAvailability, start()).await.unwrap();
    world.pass(PROMPTLY).await;
    assert_eq!(sent_days(&world), days + 4 * 5, "every resource, the whole horizon");
    assert_eq!(configurations(&world, &account("p1")), configuration, "and nothing else");
    world.finish().await;
}

#[tokio::test]
async fn he_14_switched_on_again_it_sends_all_free_times() {
    let world = clinic().await;
    let days = sent_days(&world);
    switch(&world, false).await;
    world.pass(30).await;
    assert_eq!(sent_days(&world), days);
    switch(&world, true).await;
    world.pass(PROMPTLY).await;
    assert_eq!(sent_days(&world), days + 4 * 5);
    world.finish().await;
}

#[tokio::test]
async fn he_15_requests_are_polled_for_regularly() {
    let world = clinic().await;
    let before = polls(&world);
    world.pass(600).await;
    let polled = polls(&world) - before;
    assert!((120..=122).contains(&polled), "{polled} polls in ten minutes");
    let times: Vec<_> = world.sim.inspect(|state| {
        let polls = state.exchanges().filter(|exchange| exchange.path == "/requests");
        polls.map(|exchange| exchange.at).collect()
    });
    assert!(times.is_sorted());
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= TimeDelta::seconds(5), "{longest}");
    assert!(world.sim.inspect(|state| state.poll_gaps(&account("p1")).is_empty()));
    world.finish().await;
}

#[tokio::test]
async fn he_16_critical_requests_are_settled_within_ten_minutes() {
    let world = clinic().await;
    let ten_minutes = TimeDelta::minutes(10);
    // One that nobody decides is the slowest there is.
    let (_, unclear) = world.unclear_patient();
    let slow = world.book_next(&unclear);
    let (_, known) = world.known_patients().into_iter().nth(1).unwrap();
    let quick = world.book_next(&known);
    world.until_state(quick, "it is confirmed", confirmed).await;
    world.sim.cancel_by_patient(&account("p1"), quick).unwrap();
    let tomorrow = zone().today(start()) + TimeDelta::days(1);
    world.sim.ask_availability(&account("p1"), tomorrow, None).unwrap();
    world.pass(9 * 60).await;
    world.sim.inspect(|state| {
        assert_eq!(state.outstanding(&account("p1")), [""; 0]);
        for booking in state.bookings(&account("p1")) {
            assert!(
                booking.answered_at.unwrap() - booking.created_at < ten_minutes,
                "{}",
                booking.booking_id
            );
        }
        for update in state.updates(&account("p1")) {
            assert!(update.answered_at.unwrap() - update.created_at < ten_minutes);
        }
        for asked in state.availability_requests(&account("p1")) {
            assert!(asked.answered_at.unwrap() - asked.created_at < ten_minutes);
        }
    });
    world.until_state(slow, "it is confirmed", confirmed).await;
    assert!(world.sim.health(&account("p1")).unwrap().healthy);
    world.finish().await;
}

#[tokio::test]
async fn he_17_switched_on_again_it_looks_for_what_waits() {
    let world = clinic().await;
    switch(&world, false).await;
    let booking = world.book_next(&world.known_patient().1);
    let update = world.sim.force_update(&account("p1"), unknown_booking()).unwrap();
    world.pass(30).await;
    assert!(world.sim.inspect(|state| state.booking(booking).unwrap().answered_at.is_none()));
    switch(&world, true).await;
    promptly(&world, "both are answered", |state| {
        state.booking(booking).unwrap().answered_at.is_some()
            && state.updates(&account("p1")).any(|u| u.request_id == update && u.confirmed == Some(false))
    })
    .await;
    world.finish().await;
}

/// Somebody the clinic knows, and the number of their record.
fn regular(world: &World) -> (i64, PatientDetails) {
    let patient = PatientDetails {
        firstname: "Marnie".into(),
        lastname: "Okafor-Lind".into(),
        dob: "1984-11-09".parse().unwrap(),
        phone: "0491 570 737".into(),
        email: "marnie.okafor@example.com".into(),
        address: "12 Sample Street".into(),
        suburb: "Fitzroy".into(),
        state: "VIC".into(),
        postcode: "3065".into(),
        is_new_patient: false,
        ..PatientDetails::default()
    };
    (world.staff().register(&patient), patient)
}

/// Whether the booking found that record: by itself, or by asking a person who sees it first. No record is made.
async fn finds(world: &World, number: i64, patient: &PatientDetails, what: &str) -> bool {
    let patients = world.patients();
    let booking = world.book_next(patient);
    let decided = |state: &BookingState| confirmed(state) || matches!(state, BookingState::Held(_));
    world.until_state(booking, what, decided).await;
    let entry = world.entry(booking).await.unwrap();
    let by_itself = confirmed(&entry.state);
    if !by_itself {
        let candidates = entry.decision.unwrap().candidates;
        let first = &candidates.first().unwrap_or_else(|| panic!("{what}: nobody is shown")).record.id;
        assert_eq!(*first, PatientRef::new(number.to_string()), "{what}: the likeliest is shown first");
        world.decide(booking, Choice::SamePerson(first.clone())).await;
        world.until_state(booking, what, confirmed).await;
    }
    assert_eq!(world.stands_once(booking).patient, Some(number), "{what}");
    assert_eq!(world.patients(), patients, "{what}: nobody was added");
    by_itself
}

#[tokio::test]
async fn he_22_an_existing_patient_is_matched() {
    let world = clinic().await;
    let (number, patient) = regular(&world);
    assert!(finds(&world, number, &patient, "the same details").await, "nobody has to be asked");
    // Somebody else is somebody else.
    let patients = world.patients();
    let booking = world.book_next(&PatientDetails::default());
    world.until_state(booking, "a new patient", confirmed).await;
    assert_ne!(world.stands_once(booking).patient, Some(number));
    assert_eq!(world.patients(), patients + 1);
    world.finish().await;
}

#[tokio::test]
async fn he_23_a_patient_whose_details_changed_is_found() {
    let world = clinic().await;
    let (number, patient) = regular(&world);
    let moved = PatientDetails {
        address: "3 Other Road".into(),
        suburb: "Cairns".into(),
        state: "QLD".into(),
        postcode: "4870".into(),
        ..patient.clone()
    };
    assert!(finds(&world, number, &moved, "another address").await);
    let phone = PatientDetails { phone: "0491 570 110".into(), ..patient.clone() };
    assert!(finds(&world, number, &phone, "another phone").await);
    let email = PatientDetails { email: "new.address@example.com".into(), ..patient.clone() };
    assert!(finds(&world, number, &email, "another e-mail address").await);
    let married = PatientDetails { lastname: "Grevillea".into(), ..patient.clone() };
    finds(&world, number, &married, "another last name").await;
    world.finish().await;
}

#[tokio::test]
async fn he_24_odd_formats_and_small_mistakes_are_tolerated() {
    let world = clinic().await;
    let (number, patient) = regular(&world);
    let odd = PatientDetails {
        firstname: "  MARNIE ".into(),
        lastname: "okafor lind".into(),
        phone: "+61 491-570-737".into(),
        email: "Marnie.Okafor@EXAMPLE.com".into(),
        ..patient.clone()
    };
    assert!(finds(&world, number, &odd, "odd formats").await);
    let misspelt = PatientDetails { lastname: "Okafor-Lynd".into(), ..patient.clone() };
    finds(&world, number, &misspelt, "a misspelt last name").await;
    let misspelt = PatientDetails { firstname: "Marni".into(), ..patient.clone() };
    finds(&world, number, &misspelt, "a misspelt first name").await;
    // There is a margin: the name of somebody else is no misspelling.
    let patients = world.patients();
    let stranger = PatientDetails {
        firstname: "Barnaby".into(),
        lastname: "Okonkwo".into(),
        dob: "1999-01-02".parse().unwrap(),
        phone: "0491 571 266".into(),
        email: "barnaby@example.com".into(),
        ..patient
    };
    let booking = world.book_next(&stranger);
    world.until_state(booking, "a stranger", confirmed).await;
    assert_eq!(world.patients(), patients + 1);
    world.finish().await;
}

#[tokio::test]
async fn he_25_bookings_come_before_what_depends_on_them() {
    let mut world = clinic().await;
    world.stop().await;
    let patients = world.known_patients();
    let first = world.book_next(&patients[0].1);
    // Its cancellation has the lower number, and waits beside two more bookings.
    let cancelled = world.sim.cancel_by_patient(&account("p1"), first).unwrap();
    let later: Vec<i64> = patients[1..3].iter().map(|(_, patient)| world.book_next(patient)).collect();
    let unknown = world.sim.force_update(&account("p1"), unknown_booking()).unwrap();
    let tomorrow = zone().today(start()) + TimeDelta::days(1);
    world.sim.ask_availability(&account("p1"), tomorrow, None).unwrap();
    let before = world.sim.inspect(|state| state.exchanges().next_back().unwrap().number);
    world.start().await;
    world
        .until("everything is settled", |state| {
            state.outstanding(&account("p1")).is_empty()
                && later.iter().all(|booking| state.booking(*booking).unwrap().confirmed_at.is_some())
        })
        .await;
    let answers: Vec<String> = world.sim.inspect(|state| {
        let posts =
            state.exchanges().filter(|exchange| exchange.number > before && exchange.method == "POST");
        posts.map(|exchange| exchange.path.clone()).filter(|path| path.starts_with("/bookings/")).collect()
    });
    let place = |wanted: &str| answers.iter().position(|path| path.contains(wanted));
    let last_booking = answers.iter().rposition(|path| path.contains("Insert")).unwrap();
    for update in [cancelled, unknown] {
        let answered = place(&format!("Update/{update}")).unwrap();
        assert!(answered > last_booking, "{answers:?}");
    }
    let status = world.sim.inspect(|state| state.booking(first).unwrap().status);
    assert_eq!(status, BookingStatus::Cancelled);
    world.finish().await;
}

#[tokio::test]
async fn he_26_a_request_about_an_unknown_booking_is_rejected() {
    let (world, account_settings) = unlinked().await;
    let update = world.sim.force_update(&account("p1"), unknown_booking()).unwrap();
    enter_id_and_key(&world, account_settings).await;
    promptly(&world, "it is rejected", |state| {
        state.updates(&account("p1")).any(|u| u.request_id == update && u.confirmed == Some(false))
    })
    .await;
    assert_eq!(world.staff().marked(4_711), []);
    world.finish().await;
}

/// The types of one practitioner are published under a name of their own, and come back as what they are.
#[tokio::test]
async fn a_type_of_one_resource_comes_back_as_itself() {
    let mut world = World::new(Make::on(System::OpenEmr)).await;
    let shipped = connectors::practices::SHIPPED.iter().find(|(name, _)| *name == "openemr").unwrap().1;
    let own = shipped.replace(
        "SELECT pc_catid AS id, pc_catname AS name, pc_duration DIV 60 AS minutes",
        "SELECT pc_catid AS id, pc_catname AS name, pc_duration DIV 60 AS minutes, \
         IF(pc_catid = 18, '10', NULL) AS resource",
    );
    assert_ne!(own, shipped);
    std::fs::create_dir_all(world.folder().join("profiles")).unwrap();
    std::fs::write(world.folder().join("profiles/openemr.toml"), own).unwrap();
    world.staff().sql("UPDATE users SET specialty = 'Physiotherapist|Hand therapist' WHERE id = 10");
    world.start().await;
    world.all_published("p1").await;
    let ids: BTreeSet<String> = world
        .sim
        .inspect(|state| names(state.appointment_types(&account("p1")), "pmsAppointmentTypeId"))
        .into_iter()
        .collect();
    let expected = ["16", "17", "18:10:physiotherapist", "18:10:hand-therapist"];
    assert_eq!(ids, expected.map(str::to_owned).into());
    let (number, patient) = world.known_patient();
    let resource = "10:hand-therapist";
    let day = zone().today(start()) + TimeDelta::days(3);
    let free = world.free("p1", resource, day)[0].start;
    let booking =
        world.sim.book(&account("p1"), resource, free, Some("18:10:hand-therapist"), &patient).unwrap();
    world.until_state(booking, "it is confirmed", confirmed).await;
    let stands = world.stands_once(booking);
    assert_eq!(stands.patient, Some(number));
    let kind = format!("SELECT pc_catid FROM openemr_postcalendar_events WHERE pc_eid = {}", stands.id);
    assert_eq!(world.staff().number(&kind), 18);
    let answers = world.sim.inspect(|state| state.booking(booking).unwrap().answers.clone());
    assert_eq!(answers.iter().map(|answer| answer.kind).collect::<Vec<_>>(), [BookingAnswerKind::Confirmed]);
    world.finish().await;
}
