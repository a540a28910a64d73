//! Bookings as no form should send them. Each gets a clear answer; nothing is lost, nothing half-written.

use connectors::partners::healthengine::sim::{BookingAnswerKind, BookingStatus, PatientDetails};
use domain::booking::BookingState;
use domain::failure::Refusal;
use domain::ports::store::BookingLedger;
use serde_json::{Value, json};
use tests::{World, account, zone};

/// How many rows the book has, table by table.
fn rows(world: &World) -> (i64, i64) {
    world.book(|book| {
        let count =
            |table: &str| book.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        Ok((count("patient")?, count("appointment")?))
    })
}

/// A free time as the fields of a booking.
fn place(world: &World) -> Value {
    let (resource, starts) = world.next_free("p1");
    json!({
        "pmsResourceId": resource,
        "pmsAppointmentTypeId": "1",
        "pmsAppointmentTime": starts.format("%Y-%m-%d %H:%M:%S").to_string(),
    })
}

fn with(mut fields: Value, more: Value) -> Value {
    let Value::Object(more) = more else { return fields };
    fields.as_object_mut().unwrap().extend(more);
    fields
}

/// The booking is declined in time, for this reason, and left no trace in the book.
async fn declined(world: &World, fields: Value, expected: Option<Refusal>) {
    let before = rows(world);
    let booking = world.sim.force_book(&account("p1"), &fields).unwrap();
    world
        .until(&format!("{fields} is declined"), |state| {
            state.booking(booking).is_some_and(|booking| booking.answered_at.is_some())
        })
        .await;
    world.quiet().await;
    let (status, answers) = world.sim.inspect(|state| {
        let booking = state.booking(booking).unwrap();
        (booking.status, booking.answers.clone())
    });
    assert_eq!(status, BookingStatus::Cancelled, "{fields}");
    assert_eq!(answers.iter().map(|answer| answer.kind).collect::<Vec<_>>(), [BookingAnswerKind::Rejected]);
    let reason = answers[0].body["reason"].as_str().unwrap();
    assert!(!reason.is_empty() && reason.len() < 300, "{reason}");
    assert_eq!(rows(world), before, "{fields}: the book is as it was");
    match expected {
        Some(why) => {
            assert_eq!(reason, why.to_string());
            let state = world.entry(booking).await.unwrap().state;
            assert_eq!(state, BookingState::Rejected { why, tell_patient: false }, "{fields}");
        }
        // What cannot be read is not filed; it is told at the desk.
        None => {
            assert!(world.entry(booking).await.is_none(), "{fields}");
            let told = world.told().await;
            assert!(told.iter().any(|line| line.text.contains(&booking.to_string())), "{fields}");
        }
    }
}

/// The booking is taken, and stands once.
async fn taken(world: &World, fields: Value) -> i64 {
    let booking = world.sim.force_book(&account("p1"), &fields).unwrap();
    let text: String = fields.to_string().chars().take(200).collect();
    world.until_state(booking, &text, |state| matches!(state, BookingState::Confirmed(_))).await;
    world.stands_once(booking);
    booking
}

#[tokio::test]
async fn bookings_that_nobody_could_keep_are_declined() {
    let world = World::running().await;
    let plain = || place(&world);
    declined(&world, with(plain(), json!({"pmsResourceId": null})), Some(Refusal::ResourceMissing)).await;
    declined(&world, with(plain(), json!({"pmsResourceId": ""})), Some(Refusal::ResourceMissing)).await;
    declined(&world, with(plain(), json!({"pmsResourceId": "999"})), Some(Refusal::ResourceUnknown)).await;
    declined(&world, with(plain(), json!({"pmsResourceId": "1 OR 1=1"})), Some(Refusal::ResourceUnknown))
        .await;
    declined(&world, with(plain(), json!({"pmsAppointmentTypeId": "999"})), Some(Refusal::TypeUnknown)).await;
    for length in [0, -900, 59, 86_401, i64::MAX, i64::MIN] {
        let fields = with(plain(), json!({"pmsAppointmentLength": length}));
        declined(&world, fields, Some(Refusal::BadLength)).await;
    }
    let past = json!({"pmsAppointmentTime": "2026-11-19 10:00:00"});
    declined(&world, with(plain(), past), Some(Refusal::TimeHasPassed)).await;
    let skipped = json!({"pmsAppointmentTime": "2027-10-03 02:30:00"});
    declined(&world, with(plain(), skipped), Some(Refusal::TimeDoesNotExist)).await;
    let at_night = json!({"pmsAppointmentTime": "2026-11-23 03:00:00"});
    declined(&world, with(plain(), at_night), Some(Refusal::OutsideHours)).await;
    for nameless in [json!({"firstname": "", "lastname": ""}), json!({"firstname": " ", "lastname": "-"})] {
        declined(&world, with(plain(), json!({"patient": nameless})), Some(Refusal::NameMissing)).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn bookings_that_cannot_be_read_are_declined_and_told() {
    let world = World::running().await;
    for odd in [
        json!({"pmsAppointmentTime": "tomorrow"}),
        json!({"pmsAppointmentTime": null}),
        json!({"pmsAppointmentTime": "2026-13-45 99:00:00"}),
        json!({"pmsAppointmentLength": "half an hour"}),
        json!({"pmsAppointmentLength": null}),
        json!({"pmsResourceId": {"id": 1}}),
        json!({"patient": "Ada"}),
        json!({"patient": {"firstname": ["Ada"], "lastname": "Byron"}}),
    ] {
        declined(&world, with(place(&world), odd), None).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn nothing_of_a_booking_but_its_number_is_declined_and_spoils_no_other() {
    let world = World::running().await;
    let bare = world.sim.force_book_exactly(&account("p1"), json!({})).unwrap();
    let plain = world.book_next(&world.known_patient().1);
    world.until_state(plain, "it is confirmed", |state| matches!(state, BookingState::Confirmed(_))).await;
    world
        .until("the bare one is declined", |state| {
            state.booking(bare).is_some_and(|booking| booking.answered_at.is_some())
        })
        .await;
    world.stands_once(plain);
    world.finish().await;
}

#[tokio::test]
async fn no_type_means_one_that_fits() {
    let world = World::running().await;
    taken(&world, with(place(&world), json!({"pmsAppointmentTypeId": null}))).await;
    taken(&world, with(place(&world), json!({"pmsAppointmentTypeId": ""}))).await;
    world.finish().await;
}

#[tokio::test]
async fn an_hour_that_comes_twice_is_booked_once() {
    let world = World::running().await;
    // Somebody works on the Sunday night on which the clocks go back.
    world.book(|book| {
        book.execute("INSERT INTO weekly_hours (practitioner_id, weekday, start_minute, end_minute) VALUES (1, 0, 0, 300)", [])
    });
    let twice = json!({"pmsAppointmentTime": "2027-04-04 02:30:00", "pmsResourceId": "1", "pmsAppointmentTypeId": "1"});
    taken(&world, twice.clone()).await;
    // The other one of the two is the same time on the wall.
    declined(&world, twice, Some(Refusal::SlotTaken)).await;
    world.finish().await;
}

#[tokio::test]
async fn whatever_people_are_called_they_get_their_appointment() {
    let world = World::running().await;
    let sql = "Robert'); DROP TABLE patient;-- \" ` \\ %_ /* */ ${x} {{x}} \u{2028}";
    let (long, emoji, rtl) = (
        "x".repeat(10_240),
        "\u{1f469}\u{200d}\u{1f9b3} \u{1f1e6}\u{1f1fa}",
        "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{202c}",
    );
    let control = "A\u{0}\u{1}\u{7}\u{8}\t\r\n\u{1b}[31mda\u{7f}";
    for name in [sql, &long, emoji, rtl, control, "é\u{301}\u{301}\u{301}", "NULL", "0", "Ωmega ﷽"] {
        let tables = rows(&world);
        let patient = json!({
            "firstname": name, "lastname": name, "phone": name, "email": name, "address": name, "suburb": name,
            "state": name, "postcode": name, "gender": name, "medicareNumber": name, "medicareIrn": name,
            "medicareExpiry": name, "dob": "09-11-1984",
        });
        let fields = with(place(&world), json!({"patient": patient, "reason": name, "comments": name}));
        let has_letters = name.chars().any(char::is_alphanumeric);
        if !has_letters {
            declined(&world, fields, Some(Refusal::NameMissing)).await;
            continue;
        }
        let booking = taken(&world, fields).await;
        let stands = world.stands_once(booking);
        assert_eq!(rows(&world).1, tables.1 + 1);
        let (first, last, note): (String, String, String) = world.book(|book| {
            let names = book.query_row(
                "SELECT first_name, last_name FROM patient WHERE id = ?1",
                [stands.patient],
                |row| Ok((row.get(0)?, row.get(1)?)),
            );
            let (first, last) = names?;
            let note =
                book.query_row("SELECT note FROM appointment WHERE id = ?1", [stands.id], |row| row.get(0))?;
            Ok((first, last, note))
        });
        assert!(first.chars().count() <= 200 && last.chars().count() <= 200);
        assert!(!first.chars().any(char::is_control), "{first:?}");
        assert!(!note.chars().any(|c| c.is_control() && c != '\n'), "{note:?}");
        let kept = first.chars().filter(|c| c.is_alphanumeric()).count();
        assert!(kept > 0, "{name:?} became {first:?}");
        if name == sql {
            assert!(first.starts_with("Robert'); DROP TABLE patient;--"), "{first:?}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn odd_words_about_a_patient_are_no_reason_to_turn_them_away() {
    let world = World::running().await;
    for patient in [
        json!({"dob": "31-02-1990"}),
        json!({"dob": null}),
        json!({"dob": ""}),
        json!({"dob": "01-01-2999"}),
        json!({"gender": "Yes"}),
        json!({"phone": null, "email": null, "address": null}),
        json!({"lastname": ""}),
    ] {
        taken(&world, with(place(&world), json!({"patient": patient}))).await;
    }
    world.finish_with(0).await;
}

#[tokio::test]
async fn a_claim_of_an_earlier_link_is_no_match() {
    let world = World::running().await;
    let (number, _) = world.known_patient();
    let stranger = PatientDetails { pms_patient_id: Some(number.to_string()), ..PatientDetails::default() };
    let booking = world.book_next(&stranger);
    world.until_state(booking, "it is confirmed", |state| matches!(state, BookingState::Confirmed(_))).await;
    assert_ne!(world.stands_once(booking).patient, Some(number));
    world.finish().await;
}

#[tokio::test]
async fn a_practitioner_who_left_after_the_booking_was_made() {
    let world = World::running().await;
    let booking = {
        let (resource, starts) = world.next_free("p1");
        world.book(|book| book.execute("UPDATE practitioner SET bookable = 0 WHERE id = ?1", [&resource]));
        world.sim.book(&account("p1"), &resource, starts, Some("1"), &PatientDetails::default()).unwrap()
    };
    world
        .until_state(booking, "it is declined", |state| matches!(state, BookingState::Rejected { .. }))
        .await;
    let entry = world.store.entry(&World::key(booking)).await.unwrap().unwrap();
    assert_eq!(entry.state, BookingState::Rejected { why: Refusal::ResourceUnknown, tell_patient: false });
    assert!(zone().name().starts_with("Australia/"));
    world.finish().await;
}
