//! The engine on real parts: accounts, consent, practices side by side, restarts.

use chrono::TimeDelta;
use connectors::partners::healthengine::sim::Consent;
use domain::booking::BookingState;
use domain::ids::PracticeId;
use domain::ports::store::{BookingLedger, Leg, ProblemKind, Watermarks};
use sync::practices::set_enabled;
use tests::{Make, World, account};

fn confirmed(state: &BookingState) -> bool {
    matches!(state, BookingState::Confirmed(_))
}

fn requests(world: &World, practice: &str) -> usize {
    world
        .sim
        .inspect(|state| state.exchanges().filter(|e| e.practice_id.as_deref() == Some(practice)).count())
}

#[tokio::test]
async fn three_practices_side_by_side_one_of_them_without_a_book() {
    let mut world = World::new(Make { practices: 3, ..Make::default() }).await;
    std::fs::remove_file(world.book_file("p2")).unwrap();
    world.start().await;
    for practice in ["p1", "p3"] {
        world.all_published(practice).await;
        let patient = Default::default();
        let booking = world.book_next_at(practice, &patient);
        world
            .until("it is confirmed", |state| {
                state.booking(booking).is_some_and(|b| b.confirmed_at.is_some())
            })
            .await;
        world.stands_once_at(practice, booking);
        let elsewhere = if practice == "p1" { "p3" } else { "p1" };
        assert_eq!(world.in_book_of(elsewhere, booking), []);
    }
    assert_eq!(world.sim.inspect(|state| state.published_days(&account("p2"))), 0);
    world.finish().await;
}

#[tokio::test]
async fn another_account_is_configured_and_the_old_one_left_alone() {
    let world = World::running().await;
    let before = requests(&world, &account("p1"));
    assert!(before > 0);
    world.keep_keys("p1", "other").await;
    world
        .change_settings("p1", |settings| {
            settings.healthengine.as_mut().unwrap().practice_id = account("other")
        })
        .await;
    world.pass(3).await;
    let left_at = requests(&world, &account("p1"));
    assert!(left_at <= before + 1, "a poll may have been due in that moment");
    assert_eq!(world.sim.inspect(|state| state.published_days(&account("other"))), 25);
    assert!(world.sim.inspect(|state| state.liveness_contract(&account("other")).is_some()));
    world.pass(60).await;
    assert_eq!(requests(&world, &account("p1")), left_at);
    world.finish().await;
}

#[tokio::test]
async fn a_consent_that_is_withdrawn_is_told_and_asked_for_once_a_minute() {
    let world = World::running().await;
    world.sim.set_consent(&account("p1"), Consent::Revoked).unwrap();
    world.pass(10).await;
    let polls = || world.sim.inspect(|state| state.requests(&account("p1"), "GET", "/requests"));
    let before = polls();
    world.pass(600).await;
    assert!((9..=11).contains(&(polls() - before)), "{} polls", polls() - before);
    let problem = world.note(Leg::Desk).await.unwrap().problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::Consent);
    world.sim.set_consent(&account("p1"), Consent::Granted).unwrap();
    world.pass(61).await;
    assert_eq!(world.note(Leg::Desk).await.unwrap().problem, None);
    let booking = world.book_next(&world.known_patient().1);
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.finish().await;
}

#[tokio::test]
async fn a_refused_key_stops_every_practice_that_uses_it() {
    let world = World::running_as(Make { practices: 3, ..Make::default() }).await;
    let booking = world.book_next(&world.known_patient().1);
    world.sim.refuse_api_key("api-key");
    world.pass(60).await;
    for practice in ["p1", "p2", "p3"] {
        let notes = world.store.notes(&PracticeId::new(practice)).await.unwrap();
        let desk = notes.into_iter().find(|(leg, _)| *leg == Leg::Desk).unwrap().1;
        assert_eq!(desk.problem.unwrap().kind, ProblemKind::Credentials, "{practice}");
    }
    let all = || world.sim.inspect(|state| state.exchanges().count());
    let before = all();
    world.pass(3600).await;
    let asked = all() - before;
    assert!((55..=62).contains(&asked), "{asked} requests in an hour, for all three");
    world.sim.accept_api_key("api-key");
    world.pass(125).await;
    assert!(confirmed(&world.entry(booking).await.unwrap().state), "what waited was kept");
    for practice in ["p1", "p2", "p3"] {
        let notes = world.store.notes(&PracticeId::new(practice)).await.unwrap();
        assert!(notes.iter().all(|(_, note)| note.problem.is_none()), "{practice}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_missing_consent_stops_one_practice_for_all_kinds_of_requests() {
    let world = World::running_as(Make { practices: 2, ..Make::default() }).await;
    world.sim.set_consent(&account("p1"), Consent::Revoked).unwrap();
    world.pass(60).await;
    // There is a reason to send something as well as to ask.
    world.enter(&world.next_free("p2"), 1);
    let (before, others) = (requests(&world, &account("p1")), requests(&world, &account("p2")));
    world.pass(3600).await;
    let asked = requests(&world, &account("p1")) - before;
    assert!((55..=62).contains(&asked), "{asked} requests in an hour");
    assert!(requests(&world, &account("p2")) - others >= 720, "the other practice goes on");
    // Settings that change are tried at once.
    let before = requests(&world, &account("p1"));
    world.keep_keys("p1", "p2").await;
    world.pass(2).await;
    assert!(requests(&world, &account("p1")) > before);
    world.keep_keys("p1", "p1").await;
    world.sim.set_consent(&account("p1"), Consent::Granted).unwrap();
    world.pass(10).await;
    assert_eq!(world.note(Leg::Desk).await.unwrap().problem, None);
    world.finish().await;
}

#[tokio::test]
async fn a_practice_with_a_wrong_key_of_its_own_stops_alone() {
    let world = World::running_as(Make { practices: 2, ..Make::default() }).await;
    world.keep_keys("p1", "wrong").await;
    world.pass(60).await;
    let others = requests(&world, &account("p2"));
    world.pass(600).await;
    assert!(requests(&world, &account("p2")) - others >= 120);
    world.finish().await;
}

#[tokio::test]
async fn a_corrected_profile_is_taken_up_at_the_next_look() {
    let world = World::running().await;
    let types = || world.sim.inspect(|state| state.appointment_types(&account("p1")).map_or(0, <[_]>::len));
    assert_eq!(types(), 5);
    let shipped = connectors::practices::SHIPPED.iter().find(|(name, _)| *name == "demo").unwrap().1;
    let own = shipped.replace("WHERE offered = 1", "WHERE offered = 1 AND id <> 4");
    assert_ne!(own, shipped);
    let folder = world.folder().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("demo.toml"), "name = ").unwrap();
    world.pass(3).await;
    assert_eq!(types(), 5);
    std::fs::write(folder.join("demo.toml"), own).unwrap();
    world.pass(3).await;
    assert_eq!(types(), 4);
    std::fs::remove_file(folder.join("demo.toml")).unwrap();
    world.pass(3).await;
    assert_eq!(types(), 5);
    world.finish().await;
}

#[tokio::test]
async fn a_renewed_key_is_tried_at_once() {
    let world = World::running().await;
    world.keep_keys("p1", "wrong").await;
    world.pass(8).await;
    assert_eq!(world.note(Leg::Desk).await.unwrap().problem.unwrap().kind, ProblemKind::Credentials);
    world.keep_keys("p1", "p1").await;
    world.pass(3).await;
    assert_eq!(world.note(Leg::Desk).await.unwrap().problem, None);
    world.finish().await;
}

#[tokio::test]
async fn switched_off_it_does_nothing_and_switched_on_it_sends_everything() {
    let world = World::running().await;
    let practice = PracticeId::new("p1");
    set_enabled(world.store.as_ref(), &practice, false, tests::start()).await.unwrap();
    world.pass(3).await;
    let before = requests(&world, &account("p1"));
    let booking = world.book_next(&world.known_patient().1);
    world.pass(60).await;
    assert_eq!(requests(&world, &account("p1")), before);
    let snapshots = || -> usize {
        world.sim.inspect(|state| state.snapshots(&account("p1")).map(|(_, kept)| kept.len()).sum())
    };
    let sent = snapshots();
    set_enabled(world.store.as_ref(), &practice, true, tests::start()).await.unwrap();
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.pass(6).await;
    assert!(snapshots() >= sent + 25);
    world.stands_once(booking);
    world.finish().await;
}

#[tokio::test]
async fn after_a_night_asleep_everything_is_made_up_for() {
    let world = World::running().await;
    let bookings: Vec<_> = world.known_patients().iter().take(3).map(|(_, p)| world.book_next(p)).collect();
    world.clock.move_by(TimeDelta::hours(9));
    world.quiet().await;
    for booking in bookings {
        assert!(confirmed(&world.entry(booking).await.unwrap().state));
        world.stands_once(booking);
    }
    assert!(world.told().await.iter().any(|line| line.text.contains("asleep for 9 hours")));
    world.finish().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut world = World::running().await;
    let (_, unclear) = world.unclear_patient();
    let booking = world.book_next(&unclear);
    world.until_state(booking, "it is held", |state| matches!(state, BookingState::Held(_))).await;
    let published: usize =
        world.sim.inspect(|state| state.snapshots(&account("p1")).map(|(_, kept)| kept.len()).sum());
    world.stop().await;
    world.start().await;
    world.pass(20).await;
    let again: usize =
        world.sim.inspect(|state| state.snapshots(&account("p1")).map(|(_, kept)| kept.len()).sum());
    assert!(again <= published + 1, "a restart sends nothing that was accepted");
    world.decide(booking, sync::desk::Choice::NewPatient).await;
    world.until_state(booking, "it is confirmed", confirmed).await;
    world.stands_once(booking);
    let counts = world.store.counts(&PracticeId::new("p1")).await.unwrap();
    assert_eq!((counts.confirmed, counts.attention, counts.pending), (1, 0, 0));
    world.finish().await;
}
