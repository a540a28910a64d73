//! Healthengine shows what the book shows, and hears of nothing else.

use chrono::TimeDelta;
use connectors::partners::healthengine::sim::ConfigurationKind;
use connectors::sim::faults::{Fault, FaultRule};
use domain::booking::BookingState;
use domain::ids::{PracticeId, ResourceRef};
use domain::ports::store::{Leg, Marks, ProblemKind, Wish, Wishes};
use domain::settings::WriteMode;
use domain::time::{DayRange, Horizon, Minutes, PracticeTime};
use sync::flows::availability::day_prefix;
use sync::shown::{self, Difference};
use tests::{Make, System, World, account, zone};

on_all!(everything_is_published_once_and_equals_the_book, what_healthengine_asks_for_is_sent_again);

/// Every snapshot that came in, of whichever day.
fn snapshots(world: &World) -> usize {
    world.sim.inspect(|state| state.snapshots(&account("p1")).map(|(_, kept)| kept.len()).sum())
}

fn configurations(world: &World, kind: ConfigurationKind) -> usize {
    world.sim.inspect(|state| state.configuration(&account("p1")).iter().filter(|c| c.kind == kind).count())
}

/// Asserts that what is published is what the book says, range by range, and what our records say.
async fn shows_the_book(world: &World) {
    let settings = world.stored_settings("p1").await;
    let practice = world.wiring.practice(&settings).unwrap();
    let horizon = Horizon::from_day(zone().today(domain::ports::clock::Clock::now(&world.clock)), 4);
    let book = practice.book(horizon).await.unwrap();
    for day in horizon.days() {
        for resource in &book.resources {
            let expected: Vec<(String, String)> = book
                .free(&resource.id, day)
                .iter()
                .map(|free| (free.range.start.to_string(), free.range.end.to_string()))
                .collect();
            let published: Vec<(String, String)> = world.sim.inspect(|state| {
                let published = state.published(&account("p1"), resource.id.as_str(), day);
                let ranges = published.map(|published| published.ranges.clone()).unwrap_or_default();
                let text = |time: chrono::NaiveTime| time.format("%H:%M").to_string();
                ranges.iter().map(|range| (text(range.start), text(range.end))).collect()
            });
            assert_eq!(published, expected, "{} on {day}", resource.id);
            let thing = day_prefix(day, Some(&resource.id));
            let marks = world.store.marks(&PracticeId::new("p1"), &thing).await.unwrap();
            let told = shown::read(&marks[0].digest).told.map(|told| told.free);
            assert_eq!(told, Some(book.free(&resource.id, day)), "{} on {day}", resource.id);
        }
    }
    assert!(book.slot >= Minutes(5));
}

async fn everything_is_published_once_and_equals_the_book(system: System) {
    let world = World::running_on(system).await;
    shows_the_book(&world).await;
    let (sent, people) = (snapshots(&world), world.resources("p1").len());
    assert_eq!(sent, 5 * people);
    world.pass(120).await;
    assert_eq!(snapshots(&world), sent, "nothing changed, nothing is sent");
    for kind in [
        ConfigurationKind::LivenessContract,
        ConfigurationKind::Resources,
        ConfigurationKind::AppointmentTypes,
    ] {
        assert_eq!(configurations(&world, kind), 1, "{kind:?}");
    }
    let note = world.note(Leg::Board).await.unwrap();
    assert_eq!(note.problem, None);
    world.finish().await;
}

#[tokio::test]
async fn what_staff_change_is_published_within_one_look_and_alone() {
    let world = World::running().await;
    let place = world.next_free("p1");
    let sent = snapshots(&world);
    world.enter(&place, 1);
    world.pass(6).await;
    assert_eq!(snapshots(&world), sent + 1);
    assert!(!world.is_offered(&place));
    shows_the_book(&world).await;
    let (resource, starts) = (ResourceRef::new(&*place.0), PracticeTime(place.1));
    let thing = shown::changes_mark(starts.day(), &resource);
    let marks = world.store.marks(&PracticeId::new("p1"), &thing).await.unwrap();
    let change = shown::changes(&marks[0].digest).remove(0);
    let taken = |(range, how): &(DayRange, Difference)| {
        *how == Difference::Removed && range.start <= starts.minute() && starts.minute() < range.end
    };
    assert!(change.differences.iter().any(taken), "{change:?}");
    assert!(change.noticed_at <= change.sent_at && change.sent_at <= change.accepted_at, "{change:?}");

    world.book(|book| {
        let (resource, day) = (&place.0, place.1.date().to_string());
        book.execute(
            "INSERT INTO absence (practitioner_id, first_day, last_day, reason) VALUES (?1, ?2, ?2, 'Ill')",
            (resource, day),
        )
    });
    world.pass(6).await;
    assert_eq!(snapshots(&world), sent + 2);
    shows_the_book(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn lists_follow_the_book() {
    let world = World::running().await;
    let count = || {
        world.sim.inspect(|state| {
            (
                state.resources(&account("p1")).map_or(0, <[_]>::len),
                state.appointment_types(&account("p1")).map_or(0, <[_]>::len),
            )
        })
    };
    assert_eq!(count(), (5, 5));
    world.book(|book| {
        book.execute("UPDATE practitioner SET bookable = 0 WHERE id = 5", [])?;
        book.execute("UPDATE appointment_type SET offered = 0 WHERE id = 5", [])
    });
    world.pass(6).await;
    assert_eq!(count(), (4, 4));
    world.finish().await;
}

#[tokio::test]
async fn a_list_that_shrinks_too_much_waits_for_somebody() {
    let world = World::running().await;
    let resources = || world.sim.inspect(|state| state.resources(&account("p1")).map_or(0, <[_]>::len));
    let sent = snapshots(&world);
    world.book(|book| book.execute("UPDATE practitioner SET bookable = 0 WHERE id > 1", []));
    world.pass(30).await;
    assert_eq!((resources(), snapshots(&world)), (5, sent));
    let problem = world.note(Leg::Board).await.unwrap().problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::Shrink);
    let practice = PracticeId::new("p1");
    world.store.wish(&practice, &Wish::AcceptShrink("resources".into()), tests::start()).await.unwrap();
    world.pass(3).await;
    assert_eq!(resources(), 1);
    world.book(|book| book.execute("UPDATE practitioner SET bookable = 0", []));
    world.pass(10).await;
    assert_eq!(resources(), 1);
    world.store.wish(&practice, &Wish::AcceptShrink("resources".into()), tests::start()).await.unwrap();
    world.pass(3).await;
    assert_eq!(resources(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_book_that_cannot_be_read_publishes_nothing() {
    let world = World::running().await;
    let sent = snapshots(&world);
    world.book(|book| {
        book.execute_batch("ALTER TABLE weekly_hours RENAME COLUMN end_minute TO finish_minute")
    });
    world.pass(90).await;
    assert_eq!(snapshots(&world), sent);
    let problem = world.note(Leg::System).await.unwrap().problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::Misfit, "{}", problem.sentence);
    assert!(problem.sentence.contains("end_minute"), "{}", problem.sentence);
    world.book(|book| {
        book.execute_batch("ALTER TABLE weekly_hours RENAME COLUMN finish_minute TO end_minute")
    });
    world.pass(90).await;
    assert_eq!(world.note(Leg::System).await.unwrap().problem, None);
    shows_the_book(&world).await;
    world.finish().await;
}

async fn what_healthengine_asks_for_is_sent_again(system: System) {
    let world = World::running_on(system).await;
    let tomorrow = zone().today(tests::start()) + chrono::Days::new(1);
    let sent = snapshots(&world);
    world.sim.ask_availability(&account("p1"), tomorrow, Some(&world.resources("p1")[1])).unwrap();
    world.until("it is settled", |state| state.outstanding(&account("p1")).is_empty()).await;
    assert_eq!(snapshots(&world), sent + 1);
    world.sim.ask_availability(&account("p1"), tomorrow, None).unwrap();
    world.until("it is settled", |state| state.outstanding(&account("p1")).is_empty()).await;
    assert_eq!(snapshots(&world), sent + 1 + world.resources("p1").len());
    world.sim.ask_resources(&account("p1")).unwrap();
    world.sim.ask_appointment_types(&account("p1")).unwrap();
    world.until("it is settled", |state| state.outstanding(&account("p1")).is_empty()).await;
    assert_eq!(configurations(&world, ConfigurationKind::Resources), 2);
    assert_eq!(configurations(&world, ConfigurationKind::AppointmentTypes), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_lost_answer_to_a_snapshot_leaves_no_wrong_time_behind() {
    let world = World::running().await;
    let place = world.next_free("p1");
    for fault in
        [Fault::CutAfterEffect, Fault::GarbledJson, Fault::TruncatedBody, Fault::ServerError, Fault::Refuse]
    {
        let id = world.sim.add_fault(FaultRule::once(fault).on("POST", "/availability/*"));
        world.enter(&place, 1);
        world
            .until("the snapshot is struck", |state| {
                state.faults().active().iter().all(|active| active.struck == 1)
            })
            .await;
        // The book turns back to what was accepted before.
        world.book(|book| {
            let (resource, day) = (&place.0, place.1.date().to_string());
            book.execute("DELETE FROM appointment WHERE practitioner_id = ?1 AND day = ?2 AND patient_id = 1 AND note = ''", (resource, day))
        });
        world.pass(30).await;
        shows_the_book(&world).await;
        world.sim.remove_fault(id);
    }
    world.finish().await;
}

#[tokio::test]
async fn everything_once_a_day_and_a_new_day_at_midnight() {
    let world = World::running().await;
    let sent = snapshots(&world);
    // Eleven in the morning; the clinic's midnight is thirteen hours away.
    world.clock.move_by(TimeDelta::hours(12) + TimeDelta::minutes(59));
    world.quiet().await;
    assert_eq!(snapshots(&world), sent);
    world.pass(90).await;
    assert_eq!(snapshots(&world), sent + 5, "the day that came into the horizon");
    world.clock.move_by(TimeDelta::hours(12));
    world.quiet().await;
    world.pass(10).await;
    assert_eq!(snapshots(&world), sent + 5 + 25);
    assert_eq!(configurations(&world, ConfigurationKind::LivenessContract), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_booking_on_its_way_takes_the_time_of_each_specialty() {
    let mut world = World::new(Make { write: WriteMode::None, ..Make::default() }).await;
    world.book(|book| {
        book.execute(
            "UPDATE practitioner SET specialty = 'Physiotherapist | Hand therapist' WHERE id = 1",
            [],
        )
    });
    world.start().await;
    world.all_published("p1").await;
    assert_eq!(world.resources("p1").len(), 6);
    let [hands, physio] = ["1:hand-therapist", "1:physiotherapist"].map(str::to_owned);
    let monday = zone().today(tests::start()) + TimeDelta::days(3);
    let starts = world.free("p1", &hands, monday)[0].start;
    let (number, patient) = world.known_patient();
    let booking = world.book_at("p1", &(hands.clone(), starts), &patient);
    world.until_state(booking, "it waits for the desk", |state| *state == BookingState::Entering).await;
    world.pass(6).await;
    let both = [(hands, starts), (physio, starts)];
    assert!(both.iter().all(|place| !world.is_published(place)), "nobody else is offered that time");
    world.enter(&both[0], number);
    world.until_state(booking, "it is found", |state| matches!(state, BookingState::Confirmed(_))).await;
    world.finish().await;
}
