//! The ledger through its port.

use super::*;
use chrono::TimeDelta;
use domain::booking::{BookingEvent as E, BookingState as S, Held, Inserted, Placement, Undoing};
use domain::failure::Refusal;
use domain::ids::AppointmentRef;
use domain::matching::decide;
use domain::people::{PatientPlan, PatientRecord};
use domain::ports::store::{Activity, BookingCounts, StoreError};

fn existing() -> PatientPlan {
    PatientPlan::Existing(PatientRef::new("77"))
}

fn held(patient: Option<&str>) -> Held {
    Held { appointment: AppointmentRef::new("1234"), patient: patient.map(PatientRef::new) }
}

async fn walk(store: &Store, booking: &str, events: &[E]) -> Entry {
    let mut entry = filed(store, booking).await;
    for event in events {
        entry = store.record(&entry, event, None, second(60)).await.unwrap();
    }
    entry
}

#[tokio::test]
async fn a_booking_from_first_sight_to_answer() {
    let (_dir, store) = fresh();
    let entry = filed(&store, "1").await;
    assert_eq!(entry.request, request("1"));
    assert_eq!(entry.state, S::NEW);
    assert_eq!((entry.revision, entry.answered_at, &entry.decision), (0, None, &None));
    assert_eq!((entry.received_at, entry.state_since, entry.not_before), (second(0), second(0), second(0)));
    assert!(!store.file(&request("1"), second(9)).await.unwrap(), "filed twice");

    let decision = decide(&entry.request.patient, None, &[]);
    let began = E::InsertBegan(existing());
    let entry = store.record(&entry, &began, Some(&decision), second(1)).await.unwrap();
    assert_eq!(entry.state, S::Inserting { tries: 1, plan: existing() });
    assert_eq!(entry.decision.as_ref(), Some(&decision));
    assert_eq!((entry.revision, entry.state_since, entry.not_before), (1, second(1), second(1)));

    store.postpone(&entry.request.key, second(30)).await.unwrap();
    store.remark(&entry.request.key, "The book was slow.", second(2)).await.unwrap();
    let postponed = store.entry(&entry.request.key).await.unwrap().unwrap();
    assert_eq!(postponed, Entry { not_before: second(30), ..entry.clone() });

    let entry = store.record(&entry, &E::FoundInPractice(held(Some("77"))), None, second(3)).await.unwrap();
    assert_eq!(entry.answered_at, None);
    assert_eq!(store.unfinished(&practice()).await.unwrap(), std::slice::from_ref(&entry));
    let entry = store.record(&entry, &E::PartnerKnows, None, second(4)).await.unwrap();
    let inserted = Inserted { appointment: AppointmentRef::new("1234"), patient: PatientRef::new("77") };
    assert_eq!(entry.state, S::Confirmed(inserted));
    assert_eq!(entry.answered_at, Some(second(4)));
    assert_eq!(store.unfinished(&practice()).await.unwrap(), []);

    let history = store.history(&entry.request.key).await.unwrap();
    let lines: Vec<_> = history.iter().map(|line| (line.at, line.what.as_str())).collect();
    assert_eq!(
        lines,
        [
            (second(0), "Received from Healthengine."),
            (second(1), decision.reason.as_str()),
            (second(1), "Writing it into the book, to the patient's record."),
            (second(2), "The book was slow."),
            (second(3), "In the book as appointment 1234, patient 77."),
            (second(4), "Our answer has arrived."),
        ]
    );
    assert_eq!(store.round_trips(&practice(), second(0)).await.unwrap(), [(second(4), 6_000)]);
    assert_eq!(store.round_trips(&practice(), second(5)).await.unwrap(), []);
}

#[tokio::test]
async fn two_writers_notice_each_other() {
    let (_dir, store) = fresh();
    let entry = filed(&store, "1").await;
    let began = E::InsertBegan(existing());
    store.record(&entry, &began, None, second(1)).await.unwrap();
    assert!(matches!(store.record(&entry, &began, None, second(1)).await, Err(StoreError::Stale)));
    assert_eq!(store.history(&entry.request.key).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_follow_or_is_not_there_changes_nothing() {
    let (_dir, store) = fresh();
    let entry = filed(&store, "1").await;
    let decision = decide(&entry.request.patient, None, &[]);
    let refused = store.record(&entry, &E::PartnerKnows, Some(&decision), second(1)).await;
    assert!(matches!(refused, Err(StoreError::Illegal(_))));
    assert_eq!(store.entry(&entry.request.key).await.unwrap(), Some(entry.clone()));
    assert_eq!(store.history(&entry.request.key).await.unwrap().len(), 1);

    let unknown = booking_key("2");
    let ghost = Entry { request: request("2"), ..entry };
    assert_eq!(store.entry(&unknown).await.unwrap(), None);
    assert!(matches!(
        store.record(&ghost, &E::HandedToDesk, None, second(1)).await,
        Err(StoreError::Missing)
    ));
    assert!(matches!(store.remark(&unknown, "x", second(1)).await, Err(StoreError::Missing)));
    assert!(matches!(store.postpone(&unknown, second(1)).await, Err(StoreError::Missing)));
    assert!(matches!(store.history(&unknown).await, Err(StoreError::Missing)));
}

#[tokio::test]
async fn orders_and_practices() {
    let (_dir, store) = fresh();
    let mut early = request("b");
    early.booked_at = second(-100);
    let mut elsewhere = request("a");
    elsewhere.key.practice = PracticeId::new("carlton");
    for request in [&request("a"), &early, &elsewhere] {
        assert!(store.file(request, second(0)).await.unwrap());
    }
    let names = |entries: Vec<Entry>| -> Vec<String> {
        let name = |entry: &Entry| format!("{}/{}", entry.request.key.practice, entry.request.key.booking);
        entries.iter().map(name).collect()
    };
    assert_eq!(names(store.unfinished(&practice()).await.unwrap()), ["richmond/b", "richmond/a"]);
    assert_eq!(names(store.newest(None, 9).await.unwrap()), ["carlton/a", "richmond/b", "richmond/a"]);
    assert_eq!(names(store.newest(Some(&practice()), 1).await.unwrap()), ["richmond/b"]);
    let mut tomorrow = request("c");
    tomorrow.starts.0 += TimeDelta::days(1);
    store.file(&tomorrow, second(0)).await.unwrap();
    let day = request("a").starts.day();
    assert_eq!(names(store.bookings_on(&practice(), day).await.unwrap()), ["richmond/a", "richmond/b"]);
    assert_eq!(names(store.bookings_on(&practice(), tomorrow.starts.day()).await.unwrap()), ["richmond/c"]);
}

#[tokio::test]
async fn what_the_desk_has_to_see_is_found_however_old_it_is() {
    let (_dir, store) = fresh();
    let confirmed = [E::InsertBegan(existing()), E::FoundInPractice(held(Some("77"))), E::PartnerKnows];
    walk(&store, "done", &confirmed).await;
    walk(&store, "stuck", &[E::InsertBegan(existing()), E::GaveUp("it answers nonsense".into())]).await;
    walk(&store, "tell", &[E::RefusedLate(Refusal::SlotTaken), E::TimeRanOut, E::PartnerKnows]).await;
    let mut twin = filed(&store, "twin").await;
    let duplicate = PatientPlan::New { possible_duplicate_of: Some(PatientRef::new("12")) };
    let decision = domain::matching::Decision { plan: duplicate, ..decide(&twin.request.patient, None, &[]) };
    for event in &confirmed {
        twin = store.record(&twin, event, Some(&decision), second(60)).await.unwrap();
    }
    filed(&store, "new").await;
    let names = || async {
        let open = store.open_bookings().await.unwrap();
        open.iter().map(|entry| entry.request.key.booking.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["stuck", "tell", "twin", "new"]);

    let seen =
        domain::matching::Decision { plan: PatientPlan::New { possible_duplicate_of: None }, ..decision };
    store.record(&twin, &E::SeenTo, Some(&seen), second(61)).await.unwrap();
    assert_eq!(names().await, ["stuck", "tell", "new"]);
}

#[tokio::test]
async fn what_stands_is_watched_from_a_day_on_and_later_answers_are_no_round_trips() {
    let (_dir, store) = fresh();
    let confirmed = [E::InsertBegan(existing()), E::FoundInPractice(held(Some("77"))), E::PartnerKnows];
    let starts = request("1").starts;
    let standing = async |from| -> Vec<String> {
        let entries = store.standing(&practice(), from).await.unwrap();
        entries.iter().map(|entry| entry.request.key.booking.to_string()).collect()
    };
    filed(&store, "new").await;
    let first = walk(&store, "first", &confirmed).await;
    let second_one = walk(&store, "second", &confirmed).await;
    assert_eq!(standing(starts).await, ["first", "second"]);
    assert_eq!(standing(PracticeTime(starts.0 + chrono::TimeDelta::seconds(1))).await, [""; 0]);
    assert_eq!(store.standing(&PracticeId::new("carlton"), starts).await.unwrap(), []);

    let relinked = Inserted { appointment: AppointmentRef::new("1234"), patient: PatientRef::new("78") };
    let first = store.record(&first, &E::Relinked(relinked.clone()), None, second(90)).await.unwrap();
    assert_eq!(standing(starts).await, ["second"]);
    let first = store.record(&first, &E::PartnerKnows, None, second(91)).await.unwrap();
    assert_eq!((&first.state, first.answered_at), (&S::Confirmed(relinked), Some(second(60))));
    let undone = E::UndoneInPractice(Undoing::Cancelled);
    let gone = store.record(&second_one, &undone, None, second(95)).await.unwrap();
    assert_eq!(store.unfinished(&practice()).await.unwrap().last(), Some(&gone));
    let gone = store.record(&gone, &E::PartnerKnows, None, second(96)).await.unwrap();
    assert_eq!(gone.answered_at, Some(second(60)));
    assert_eq!(standing(starts).await, ["first"]);
}

#[tokio::test]
async fn counts_by_public_state() {
    let (_dir, store) = fresh();
    let began = E::InsertBegan(existing());
    let found = E::FoundInPractice(held(Some("77")));
    let confirmed = [began.clone(), found.clone(), E::PartnerKnows];
    let with = |more: &[E]| [confirmed.as_slice(), more].concat();
    let stuck = [began.clone(), E::GaveUp("it answers nonsense".into())];
    let walks: &[(&str, Vec<E>)] = &[
        ("pending", vec![]),
        ("pending", vec![began.clone()]),
        ("pending", vec![began.clone(), found]),
        ("pending", vec![E::Refused(Refusal::SlotTaken)]),
        ("attention", vec![E::HandedToDesk]),
        ("attention", vec![began.clone(), E::FoundInPractice(held(None))]),
        ("attention", stuck.to_vec()),
        ("attention", vec![E::HandedToDesk, E::TimeRanOut, E::PartnerKnows]),
        ("attention", with(&[E::CancelAsked { by_hand: true }])),
        ("pending", with(&[E::CancelAsked { by_hand: false }])),
        ("confirmed", confirmed.to_vec()),
        ("cancelled", with(&[E::Cancelled])),
        ("pending", with(&[E::UndoneInPractice(Undoing::DidNotAttend)])),
        ("cancelled", with(&[E::UndoneInPractice(Undoing::Deleted), E::PartnerKnows])),
        ("confirmed", with(&[E::UndoneInPractice(Undoing::DidNotAttend), E::PartnerKnows])),
        ("rejected", vec![E::Refused(Refusal::SlotTaken), E::PartnerKnows]),
        ("rejected", [&stuck[..], &[E::SeenTo]].concat()),
    ];
    let mut expected = BookingCounts::default();
    for (number, (public, events)) in walks.iter().enumerate() {
        let entry = walk(&store, &number.to_string(), events).await;
        assert_eq!(entry.state.needs_person(), *public == "attention", "{:?}", entry.state);
        *match *public {
            "pending" => &mut expected.pending,
            "attention" => &mut expected.attention,
            "confirmed" => &mut expected.confirmed,
            "cancelled" => &mut expected.cancelled,
            _ => &mut expected.rejected,
        } += 1;
    }
    assert_eq!(store.counts(&practice()).await.unwrap(), expected);
    assert_eq!(store.counts(&PracticeId::new("carlton")).await.unwrap(), BookingCounts::default());
}

#[tokio::test]
async fn people_are_forgotten_once_nobody_needs_them() {
    let (dir, store) = fresh();
    let began = E::InsertBegan(existing());
    let found = E::FoundInPractice(held(Some("77")));
    walk(&store, "waiting", &[]).await;
    let untold = walk(&store, "untold", &[E::HandedToDesk, E::TimeRanOut, E::PartnerKnows]).await;
    let entry = filed(&store, "done").await;
    let record = PatientRecord {
        id: PatientRef::new("78"),
        shown_number: Some("P-78".into()),
        details: PersonDetails {
            phones: vec![],
            email: Private::default(),
            street: Private::default(),
            ..entry.request.patient.clone()
        },
        deceased: false,
        inactive: false,
        merged_into: None,
    };
    let decision = decide(&entry.request.patient, None, &[record]);
    assert_eq!(decision.candidates.len(), 1);
    let entry = store.record(&entry, &began, Some(&decision), second(1)).await.unwrap();
    let entry = store.record(&entry, &found, None, second(2)).await.unwrap();
    let before = store.record(&entry, &E::PartnerKnows, None, second(60)).await.unwrap();

    assert_eq!(store.forget_people(second(60)).await.unwrap(), 0, "finished just then, not before");
    assert_eq!(store.forget_people(second(61)).await.unwrap(), 1);
    assert_eq!(store.forget_people(DateTime::<Utc>::MAX_UTC).await.unwrap(), 0, "each only once");

    let after = store.entry(&booking_key("done")).await.unwrap().unwrap();
    let mut expected = before;
    expected.request.patient = PersonDetails::default();
    expected.request.note = Private::default();
    expected.decision.as_mut().unwrap().candidates.clear();
    assert_eq!(after, expected);
    for kept in ["waiting", "untold"] {
        let entry = store.entry(&booking_key(kept)).await.unwrap().unwrap();
        assert_eq!(entry.request.patient, request(kept).patient, "{kept}");
    }
    store.record(&untold, &E::SeenTo, None, second(70)).await.unwrap();
    assert_eq!(store.forget_people(second(71)).await.unwrap(), 1);
    assert_eq!(std::fs::metadata(dir.path().join("companion.db-wal")).unwrap().len(), 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_says_where_and_not_what() {
    let (_dir, store) = fresh();
    filed(&store, "1").await;
    for (column, bad) in [
        ("phones", "[\"Wolliwhistle\", 7]"),
        ("birth_date", "Wolliwhistle"),
        ("starts", "Wolliwhistle"),
        ("state", "Wolliwhistle"),
    ] {
        let sql = format!("UPDATE booking SET {column} = ?1");
        let good: String = store
            .call(move |conn| {
                let read = format!("SELECT {column} FROM booking");
                let good = conn.query_row(&read, [], |row| row.get(0))?;
                conn.execute(&sql, [bad])?;
                Ok(good)
            })
            .await
            .unwrap();
        let error = store.entry(&booking_key("1")).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains(column) && !text.contains("Wolliwhistle"), "{text}");
        let sql = format!("UPDATE booking SET {column} = ?1");
        store.call(move |conn| Ok(conn.execute(&sql, [good])?)).await.unwrap();
    }
    assert!(store.entry(&booking_key("1")).await.unwrap().is_some());
}

#[tokio::test]
async fn where_a_person_put_a_booking_survives_until_the_patient_was_told() {
    let (dir, store) = fresh();
    let unplaced = walk(&store, "1", &[E::RefusedLate(Refusal::SlotTaken)]).await;
    let starts = domain::time::PracticeTime(unplaced.request.starts.0 + TimeDelta::days(3));
    let chosen = Placement {
        resource: ResourceRef::new("9"),
        starts,
        appointment_type: Some(AppointmentTypeRef::new("std:9")),
        beside: false,
    };
    let events =
        [E::PlacedByPerson(chosen.clone()), E::InsertBegan(existing()), E::FoundInPractice(held(Some("77")))];
    let mut entry = unplaced;
    for event in events {
        entry = store.record(&entry, &event, None, second(61)).await.unwrap();
        assert_eq!(entry.placement.as_ref(), Some(&chosen), "{:?}", entry.state);
    }
    drop(store);
    let store = open(dir.path());
    let entry = store.entry(&booking_key("1")).await.unwrap().unwrap();
    assert_eq!(entry.placed(), Some((&chosen.resource, chosen.starts)));
    let entry = store.record(&entry, &E::PartnerKnows, None, second(62)).await.unwrap();
    assert_eq!(store.open_bookings().await.unwrap(), std::slice::from_ref(&entry));
    assert_eq!(store.forget_people(second(1_000)).await.unwrap(), 0);

    let on_that_day = store.bookings_on(&practice(), chosen.starts.day()).await.unwrap();
    assert_eq!(on_that_day, std::slice::from_ref(&entry));

    let told = store.record(&entry, &E::PatientTold, None, second(63)).await.unwrap();
    assert!(!told.tell_place);
    assert_eq!(store.open_bookings().await.unwrap(), []);
    assert_eq!(store.forget_people(second(1_000)).await.unwrap(), 1);
    let forgotten = store.entry(&booking_key("1")).await.unwrap().unwrap();
    assert_eq!(forgotten.placement, Some(chosen));
}
