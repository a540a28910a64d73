//! What staff do in the book to bookings that stand, and what Healthengine hears of it.

use connectors::partners::healthengine::sim::{BookingAnswerKind, BookingStatus};
use domain::booking::{BookingState, Undoing};
use tests::{World, account};

fn confirmed(state: &BookingState) -> bool {
    matches!(state, BookingState::Confirmed(_))
}

async fn booked(world: &World) -> i64 {
    let booking = world.book_next(&world.known_patient().1);
    world.until_state(booking, "the booking is confirmed", confirmed).await;
    booking
}

/// Changes the appointment of a booking as staff do.
fn set(world: &World, booking: i64, what: &str) {
    let appointment = world.in_book(booking)[0].id;
    world.book(|book| book.execute(&format!("UPDATE appointment SET {what} WHERE id = ?1"), [appointment]));
}

fn answers(world: &World, booking: i64) -> Vec<BookingAnswerKind> {
    world
        .sim
        .inspect(|state| state.booking(booking).unwrap().answers.iter().map(|answer| answer.kind).collect())
}

fn status(world: &World, booking: i64) -> BookingStatus {
    world.sim.inspect(|state| state.booking(booking).unwrap().status)
}

#[tokio::test]
async fn what_staff_cancel_move_delete_or_miss_reaches_healthengine_within_a_poll() {
    use BookingAnswerKind as Kind;
    let world = World::running().await;
    let cases = [
        (Some("status = 'cancelled'"), Kind::CancelledByPractice, Undoing::Cancelled.words()),
        (Some("day = date(day, '+1 day')"), Kind::CancelledByPractice, "moved in the practice"),
        (None, Kind::CancelledByPractice, Undoing::Deleted.words()),
        (Some("status = 'no_show'"), Kind::DidNotAttend, Undoing::DidNotAttend.words()),
    ];
    for (change, expected, words) in cases {
        let booking = booked(&world).await;
        let place = world.place(booking);
        match change {
            Some(what) => set(&world, booking, what),
            None => {
                let appointment = world.in_book(booking)[0].id;
                world.book(|book| book.execute("DELETE FROM appointment WHERE id = ?1", [appointment]));
            }
        }
        let waited = world
            .until("Healthengine is told", |state| state.booking(booking).unwrap().answers.len() == 2)
            .await;
        assert!(waited <= 6, "{words}: {waited} s");
        world.pass(30).await;
        assert_eq!(answers(&world, booking), [Kind::Confirmed, expected], "{words}");
        let state = world.entry(booking).await.unwrap().state;
        assert!(matches!(&state, BookingState::Ended { how, .. } if how.words() == words), "{state:?}");
        if expected == Kind::CancelledByPractice {
            assert_eq!(status(&world, booking), BookingStatus::Cancelled);
            world.until_offered(std::slice::from_ref(&place), true).await;
        }
    }
    let lines: Vec<String> = world.told().await.into_iter().map(|line| line.text).collect();
    let moved = lines.iter().filter(|line| line.contains("Please tell them the new time.")).count();
    assert_eq!(moved, 1, "{lines:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_merged_record_reaches_healthengine_once() {
    let world = World::running().await;
    let booking = booked(&world).await;
    set(&world, booking, "patient_id = 9");
    world
        .until("the new number is there", |state| {
            state.booking(booking).unwrap().pms_patient_id.as_deref() == Some("9")
        })
        .await;
    world.pass(30).await;
    assert_eq!(answers(&world, booking), [BookingAnswerKind::Confirmed; 2]);
    assert_eq!(world.stands_once(booking).patient, Some(9));
    world.finish().await;
}

#[tokio::test]
async fn what_healthengine_asks_is_answered_and_never_left_waiting() {
    let world = World::running().await;
    let bookings = [booked(&world).await, booked(&world).await, booked(&world).await];
    let [stands, cancelled, missed] = bookings;
    set(&world, cancelled, "status = 'cancelled'");
    set(&world, missed, "status = 'no_show'");
    for booking in bookings.into_iter().chain([77_777_777]) {
        world.sim.ask_changes(&account("p1"), booking).unwrap();
    }
    world.until("nothing waits any more", |state| state.outstanding(&account("p1")).is_empty()).await;
    world.pass(10).await;
    let last = |booking| *answers(&world, booking).last().unwrap();
    assert_eq!(
        [last(stands), last(cancelled), last(missed)],
        [
            BookingAnswerKind::NoChange,
            BookingAnswerKind::CancelledByPractice,
            BookingAnswerKind::DidNotAttend
        ]
    );
    world.finish().await;
}

#[tokio::test]
async fn staff_and_patient_cancel_in_the_same_moment() {
    let world = World::running().await;
    let booking = booked(&world).await;
    set(&world, booking, "status = 'cancelled'");
    world.sim.cancel_by_patient(&account("p1"), booking).unwrap();
    world.until("nothing waits any more", |state| state.outstanding(&account("p1")).is_empty()).await;
    world.pass(60).await;
    let told = answers(&world, booking);
    let cancels = told.iter().filter(|kind| **kind == BookingAnswerKind::CancelledByPractice).count();
    assert!(cancels <= 1, "{told:?}");
    assert_eq!(status(&world, booking), BookingStatus::Cancelled);
    world.finish().await;
}

#[tokio::test]
async fn what_was_done_while_the_program_was_off_is_told_at_its_start() {
    let mut world = World::running().await;
    let booking = booked(&world).await;
    world.stop().await;
    set(&world, booking, "status = 'cancelled'");
    world.start().await;
    let waited =
        world.until("Healthengine is told", |state| state.booking(booking).unwrap().answers.len() == 2).await;
    assert!(waited <= 6, "{waited} s");
    world.finish().await;
}

#[tokio::test]
async fn an_old_backup_cancels_nothing_until_somebody_says_so() {
    let world = World::running().await;
    let mut bookings = Vec::new();
    for _ in 0..4 {
        bookings.push(booked(&world).await);
    }
    world.book(|book| {
        book.execute_batch(
            "CREATE TABLE kept AS SELECT * FROM appointment;
             DELETE FROM appointment WHERE instr(note, '[healthengine:') > 0",
        )
    });
    world.pass(60).await;
    for booking in &bookings {
        assert_eq!(answers(&world, *booking), [BookingAnswerKind::Confirmed]);
    }
    // The right book is back, and nothing has happened.
    world.book(|book| {
        book.execute_batch(
            "INSERT INTO appointment SELECT * FROM kept WHERE instr(note, '[healthengine:') > 0;
             DROP TABLE kept",
        )
    });
    world.pass(60).await;
    for booking in &bookings {
        world.stands_once(*booking);
    }
    // They really are off.
    world.book(|book| book.execute("DELETE FROM appointment WHERE instr(note, '[healthengine:') > 0", []));
    world.pass(10).await;
    let wish = domain::ports::store::Wish::AcceptShrink(sync::flows::changes::APPOINTMENTS.into());
    let practice = domain::ids::PracticeId::new("p1");
    domain::ports::store::Wishes::wish(
        world.store.as_ref(),
        &practice,
        &wish,
        domain::ports::clock::Clock::now(&world.clock),
    )
    .await
    .unwrap();
    for booking in &bookings {
        world
            .until("Healthengine is told", |state| {
                state.booking(*booking).unwrap().status == BookingStatus::Cancelled
            })
            .await;
    }
    world.finish().await;
}
