//! What bookings, requests and the health rules do over time.

use super::*;

#[tokio::test]
async fn a_booking_waits_until_it_is_confirmed_and_a_repeated_confirmation_is_fine() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    assert_eq!(bench.booking(booking).status, BookingStatus::Requested);
    assert_eq!(bench.get("/requests").await, json!(["bookings"]));
    bench.pass(TimeDelta::seconds(5));
    bench.confirm(booking).await;
    bench.confirm(booking).await;
    let confirmed = bench.booking(booking);
    assert_eq!(confirmed.status, BookingStatus::Confirmed);
    assert_eq!(confirmed.answered_at, Some(monday_morning() + TimeDelta::seconds(5)));
    assert_eq!(confirmed.pms_appointment_ids, ["884213"]);
    assert_eq!(confirmed.pms_patient_id.as_deref(), Some("P-5521"));
    assert_eq!(bench.sim.inspect(|state| state.confirmations_of(booking).len()), 2);
    assert_eq!(bench.get("/requests").await, json!([]));
    assert_eq!(bench.get("/requests/bookings").await["data"], json!([]));
    let path = format!("/bookings/{booking}/rejectInsert");
    bench.refused(&path, json!({"reason": null}), "is confirmed").await;
}

#[tokio::test]
async fn a_rejection_within_twenty_seconds_frees_the_time() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:30", "10:45"]);
    bench.pass(TimeDelta::seconds(20));
    let path = format!("/bookings/{booking}/rejectInsert");
    bench.ok(&path, json!({"reason": "slot taken by a walk-in"})).await;
    let rejected = bench.booking(booking);
    assert_eq!(rejected.status, BookingStatus::Cancelled);
    assert_eq!(rejected.answers[0].kind, BookingAnswerKind::Rejected);
    assert_eq!(rejected.answers[0].body["reason"], "slot taken by a walk-in");
    assert_eq!(rejected.patient_sees(bench.now()), "Choose another time");
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:15", "10:30", "10:45"]);
    assert_eq!(bench.get("/requests").await, json!([]));
    // The same rejection again is no news, and what was rejected cannot be confirmed.
    bench.pass(TimeDelta::minutes(1));
    bench.ok(&path, json!({"reason": null})).await;
    assert_eq!(bench.booking(booking).status, BookingStatus::Cancelled);
    let confirm = format!("/bookings/{booking}/confirmInsert");
    let body = json!({"pmsAppointmentIds": ["1"], "pmsPatientId": "P"});
    bench.refused(&confirm, body, "has been rejected").await;
}

#[tokio::test]
async fn a_later_rejection_leaves_the_patient_believing_in_the_booking() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    assert_eq!(bench.booking(booking).patient_sees(bench.now()), "Waiting for the practice");
    bench.pass(TimeDelta::seconds(21));
    assert_eq!(bench.booking(booking).patient_sees(bench.now()), "Presumed confirmed");
    assert_eq!(bench.get("/requests/bookings").await["data"][0]["bookingStatus"], "Requested");
    bench.ok(&format!("/bookings/{booking}/rejectInsert"), json!({"reason": "no room"})).await;
    let rejected = bench.booking(booking);
    assert_eq!(rejected.status, BookingStatus::Confirmed);
    assert_eq!(rejected.confirmed_at, None);
    assert_eq!(rejected.answers[0].kind, BookingAnswerKind::RejectedTooLate);
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:30", "10:45"]);
    assert_eq!(bench.get("/requests").await, json!([]));
}

#[tokio::test]
async fn only_what_is_published_and_free_can_be_booked() {
    let bench = Bench::configured().await;
    let book = |resource: &str, start, kind: Option<&str>| {
        bench.sim.book(FIRST, resource, start, kind, &PatientDetails::default())
    };
    bench.book(at(4, 10, 15));
    for (resource, start, kind) in [
        ("R-7", at(4, 10, 15), Some("STD")),
        ("R-7", at(4, 10, 10), Some("STD")),
        ("R-7", at(4, 11, 0), Some("STD")),
        ("R-7", at(5, 10, 0), Some("STD")),
        ("R-8", at(4, 10, 0), Some("STD")),
        ("R-7", at(4, 10, 0), Some("LONG:R-7")),
    ] {
        let refused = Err(BookRefusal::NotFree { resource_id: resource.to_owned(), start });
        assert_eq!(book(resource, start, kind), refused, "{resource} {start} {kind:?}");
    }
    let without_type = book("R-7", at(4, 10, 0), None).unwrap();
    assert_eq!(bench.booking(without_type).body["pmsAppointmentTypeId"], Value::Null);
    let nowhere = bench.sim.book("9", "R-7", at(4, 10, 30), None, &PatientDetails::default());
    assert_eq!(nowhere, Err(BookRefusal::UnknownPractice("9".to_owned())));
    bench.sim.set_consent(FIRST, Consent::Revoked).unwrap();
    assert_eq!(book("R-7", at(4, 10, 30), None), Err(BookRefusal::NoConsent));
    bench.sim.set_consent(FIRST, Consent::Granted).unwrap();
    // 10:30 in Melbourne on the fourth has passed by then.
    bench.pass(TimeDelta::hours(49) + TimeDelta::minutes(31));
    assert_eq!(bench.free("R-7", day(4)), ["10:45"]);
}

#[tokio::test]
async fn a_time_that_the_clock_skips_is_not_offered() {
    let bench = Bench::configured().await;
    // Melbourne's clocks go from 02:00 to 03:00 on 4 October 2026.
    let body = json!({"date": "2026-10-04", "pmsResourceId": "R-7",
                      "availability": [{"start": "01:30", "end": "03:30", "slotLength": 1800}]});
    bench.ok("/availability/snapshot", body).await;
    let october = NaiveDate::from_ymd_opt(2026, 10, 4).unwrap();
    assert_eq!(bench.free("R-7", october), ["01:30", "03:00"]);
}

#[tokio::test]
async fn a_booked_time_stays_hidden_until_the_practice_has_answered_and_published_anew() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    let without = json!({"date": "2026-03-04", "pmsResourceId": "R-7", "availability": [
        {"start": "10:00", "end": "10:15", "slotLength": 900}, {"start": "10:30", "end": "11:00", "slotLength": 900}]});
    // A snapshot that was read before the booking went in must not offer its time to somebody else.
    let mut stale = free_morning("R-7", day(4));
    stale["availability"][0]["end"] = json!("10:45");
    bench.ok("/availability/snapshot", stale).await;
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:30"]);
    bench.confirm(booking).await;
    bench.ok("/availability/snapshot", without).await;
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:30", "10:45"]);
    bench.ok("/availability/snapshot", free_morning("R-7", day(4))).await;
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:15", "10:30", "10:45"]);
    let nothing = json!({"date": "2026-03-04", "pmsResourceId": "R-7", "availability": []});
    bench.ok("/availability/snapshot", nothing).await;
    assert!(bench.free("R-7", day(4)).is_empty());
}

#[tokio::test]
async fn a_patients_cancellation_comes_as_an_update_with_rising_numbers() {
    let bench = Bench::configured().await;
    let (first, second) = (bench.book(at(4, 10, 15)), bench.book(at(4, 10, 45)));
    bench.confirm(first).await;
    bench.confirm(second).await;
    let one = bench.sim.cancel_by_patient(FIRST, second).unwrap();
    bench.pass(TimeDelta::seconds(3));
    let two = bench.sim.cancel_by_patient(FIRST, first).unwrap();
    assert!(one < two);
    assert_eq!(bench.sim.cancel_by_patient(FIRST, first), Err(DeskRefusal::AlreadyCancelled(first)));
    let list = bench.get("/requests/bookingUpdates").await;
    assert_eq!(
        list["data"][1],
        json!({"requestId": two, "bookingId": first, "pmsAppointmentIds": ["884213"], "pmsPatientId": "P-5521",
               "updatedAt": "2026-03-01 22:00:03", "bookingStatus": "Cancelled"})
    );
    assert_eq!(list["data"][0]["requestId"], one);
    let confirm = format!("/bookings/{second}/confirmUpdate/{one}");
    for _ in 0..2 {
        assert_eq!(bench.request(Method::POST, &confirm).send().await.unwrap().status(), 200);
    }
    bench.ok(&format!("/bookings/{first}/rejectUpdate/{two}"), json!({"reason": "unknown here"})).await;
    assert_eq!(bench.get("/requests").await, json!([]));
    let answers: Vec<_> =
        bench.sim.inspect(|state| state.updates(FIRST).map(|update| update.confirmed).collect());
    assert_eq!(answers, [Some(true), Some(false)]);
    let path = format!("/bookings/{second}/rejectUpdate/{one}");
    bench.refused(&path, json!({"reason": null}), "answered differently").await;
}

#[tokio::test]
async fn a_booking_cancelled_before_it_was_answered_says_so_and_stays_cancelled() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    assert_eq!(bench.get("/requests").await, json!(["bookings", "bookingUpdates"]));
    assert_eq!(bench.get("/requests/bookings").await["data"][0]["bookingStatus"], "Cancelled");
    bench.confirm(booking).await;
    assert_eq!(bench.booking(booking).status, BookingStatus::Cancelled);
    assert_eq!(bench.get("/requests").await, json!(["bookingUpdates"]));
}

#[tokio::test]
async fn an_update_may_name_a_booking_that_does_not_exist() {
    let bench = Bench::configured().await;
    let request =
        bench.sim.force_update(FIRST, json!({"bookingId": 77, "bookingStatus": "Cancelled"})).unwrap();
    assert_eq!(bench.get("/requests/bookingUpdates").await["data"][0]["requestId"], request);
    bench.ok(&format!("/bookings/77/rejectUpdate/{request}"), json!({"reason": "not known here"})).await;
    assert_eq!(bench.get("/requests").await, json!([]));
}

#[tokio::test]
async fn availability_requests_end_when_every_snapshot_they_need_has_come() {
    let bench = Bench::configured().await;
    bench.sim.ask_availability(FIRST, day(5), None).unwrap();
    bench.sim.ask_availability(FIRST, day(4), Some("R-7")).unwrap();
    let asked = bench.get("/requests/availability").await;
    assert_eq!(asked["data"][0], json!({"day": "2026-03-05"}));
    assert_eq!(asked["data"][1]["pmsResourceId"], "R-7");
    // The same content again is an answer too.
    bench.ok("/availability/snapshot", free_morning("R-7", day(4))).await;
    bench.ok("/availability/snapshot", free_morning("R-7", day(5))).await;
    assert_eq!(bench.get("/requests/availability").await["page"]["total"], 1);
    bench.ok("/availability/snapshots", json!([free_morning("R-8", day(5))])).await;
    assert_eq!(bench.get("/requests").await, json!([]));
    // A request about a resource that is gone cannot be answered by anyone.
    bench.sim.ask_availability(FIRST, day(6), Some("R-8")).unwrap();
    bench.ok("/config/pmsResources/snapshot", json!([two_resources()[0]])).await;
    assert_eq!(bench.get("/requests").await, json!([]));
    assert!(bench.sim.inspect(|state| state.published(FIRST, "R-8", day(5)).is_none()));
}

#[tokio::test]
async fn configuration_requests_end_with_the_snapshot() {
    let bench = Bench::configured().await;
    bench.sim.ask_resources(FIRST).unwrap();
    bench.sim.ask_appointment_types(FIRST).unwrap();
    bench.ok("/config/pmsResources/snapshot", two_resources()).await;
    assert_eq!(bench.get("/requests").await, json!(["pmsAppointmentTypes"]));
    bench.ok("/config/pmsAppointmentTypes/snapshot", two_types()).await;
    assert_eq!(bench.get("/requests").await, json!([]));
}

#[tokio::test]
async fn change_requests_end_with_any_of_their_three_answers() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.confirm(booking).await;
    for (action, kind) in [
        ("noPmsAppointmentChange", BookingAnswerKind::NoChange),
        ("didNotAttend", BookingAnswerKind::DidNotAttend),
        ("cancel", BookingAnswerKind::CancelledByPractice),
    ] {
        bench.sim.ask_changes(FIRST, booking).unwrap();
        let item = &bench.get("/requests/pmsAppointmentChanges").await["data"][0];
        assert_eq!(
            *item,
            json!({"bookingId": booking, "pmsAppointmentIds": ["884213"], "pmsPatientId": "P-5521"})
        );
        let path = format!("/bookings/{booking}/{action}");
        let body = if action == "noPmsAppointmentChange" { json!({}) } else { json!({"reason": null}) };
        bench.ok(&path, body).await;
        assert_eq!(bench.get("/requests").await, json!([]), "{action}");
        assert_eq!(bench.booking(booking).answers.last().unwrap().kind, kind);
    }
    assert_eq!(bench.booking(booking).status, BookingStatus::Cancelled);
    bench.sim.ask_changes(FIRST, 77).unwrap();
    bench.ok("/bookings/77/cancel", json!({"reason": "not known here"})).await;
    assert_eq!(bench.get("/requests").await, json!([]));
}

#[tokio::test]
async fn a_resource_that_was_removed_meanwhile_is_null() {
    let bench = Bench::configured().await;
    bench.book(at(4, 10, 15));
    bench.ok("/config/pmsResources/snapshot", json!([two_resources()[1]])).await;
    bench.ok("/config/pmsAppointmentTypes/snapshot", json!([two_types()[1]])).await;
    let item = &bench.get("/requests/bookings").await["data"][0];
    assert_eq!(item["pmsResourceId"], Value::Null);
    assert_eq!(item["pmsAppointmentTypeId"], Value::Null);
}

#[tokio::test]
async fn anything_can_be_forced_in() {
    let bench = Bench::configured().await;
    let odd = json!({"pmsResourceId": "R-404", "pmsAppointmentLength": -1, "pmsAppointmentTime": "soon",
                     "patient": {"firstname": "x".repeat(10_000), "lastname": "\u{202e}'; DROP TABLE patients;--"}});
    let booking = bench.sim.force_book(FIRST, &odd).unwrap();
    let exact =
        bench.sim.force_book_exactly(FIRST, json!({"bookingId": 9_500_000, "patient": null})).unwrap();
    assert_eq!(exact, 9_500_000);
    let list = bench.get("/requests/bookings").await;
    assert_eq!(list["data"][0]["bookingId"], booking);
    assert_eq!(list["data"][0]["pmsResourceId"], "R-404");
    assert_eq!(list["data"][0]["patient"]["firstname"].as_str().unwrap().len(), 10_000);
    assert_eq!(list["data"][0]["patient"]["email"], "marlow.quennell@example.com");
    assert_eq!(list["data"][1], json!({"bookingId": 9_500_000, "patient": null}));
    assert_eq!(bench.sim.force_book(FIRST, &json!({})).unwrap(), 9_500_001);
}

#[tokio::test]
async fn silence_and_unanswered_requests_make_an_integration_unhealthy() {
    let bench = Bench::configured().await;
    let reasons = || bench.sim.health(FIRST).unwrap().reasons;
    assert_eq!(reasons(), ["has not polled yet"]);
    bench.get("/requests").await;
    assert!(bench.sim.health(FIRST).unwrap().healthy);
    bench.pass(TimeDelta::minutes(11));
    assert_eq!(reasons(), ["has not polled for 11 minutes"]);
    bench.get("/requests").await;
    assert!(reasons().is_empty());
    let gaps = bench.sim.inspect(|state| state.poll_gaps(FIRST).to_vec());
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].from, gaps[0].to - gaps[0].from), (monday_morning(), TimeDelta::minutes(11)));
    bench.pass(TimeDelta::minutes(10));
    bench.get("/requests").await;
    assert_eq!(bench.sim.inspect(|state| state.poll_gaps(FIRST).len()), 1);

    let booking = bench.book(at(4, 10, 15));
    bench.sim.ask_availability(FIRST, day(4), None).unwrap();
    bench.pass(TimeDelta::minutes(10));
    bench.get("/requests").await;
    assert!(reasons().is_empty());
    bench.pass(TimeDelta::minutes(1));
    assert_eq!(
        reasons(),
        ["a booking is unanswered for 11 minutes", "an availability request is unanswered for 11 minutes"]
    );
    bench.confirm(booking).await;
    bench
        .ok("/availability/snapshots", json!([free_morning("R-7", day(4)), free_morning("R-8", day(4))]))
        .await;
    bench.get("/requests").await;
    assert!(reasons().is_empty());
}

#[tokio::test]
async fn silence_outside_the_live_hours_is_no_failure() {
    let bench = Bench::start().await;
    let contract = json!({"liveHours": {
        "monday": [{"start": "08:00", "end": "18:30"}, {"start": "17:00", "end": "18:28"}],
        "tuesday": [{"start": "08:00", "end": "18:00"}]}});
    bench.ok("/config/livenessContract", contract).await;
    // Monday 09:00 → 18:25, then nothing until Tuesday 08:04: 5 + 4 live minutes of silence.
    bench.pass(TimeDelta::hours(9) + TimeDelta::minutes(25));
    bench.get("/requests").await;
    bench.pass(TimeDelta::hours(13) + TimeDelta::minutes(39));
    assert!(bench.sim.health(FIRST).unwrap().healthy);
    bench.pass(TimeDelta::minutes(2));
    assert_eq!(bench.sim.health(FIRST).unwrap().reasons, ["has not polled for 11 minutes"]);
    bench.get("/requests").await;
    let gap = bench.sim.inspect(|state| state.poll_gaps(FIRST)[0]);
    assert_eq!(gap.live, TimeDelta::minutes(11));
}

#[tokio::test]
async fn every_request_is_counted_and_kept_in_order() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    let update = bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    bench.get("/requests").await;
    bench.get("/requests").await;
    bench.confirm(booking).await;
    bench.ok(&format!("/bookings/{booking}/confirmUpdate/{update}"), json!({})).await;
    bench.sim.inspect(|state| {
        assert_eq!(state.requests(FIRST, "GET", "/requests"), 2);
        assert_eq!(state.requests(FIRST, "POST", "/bookings/{id}/confirmInsert"), 1);
        assert_eq!(state.requests(SECOND, "GET", "/requests"), 0);
        let answers: Vec<&str> = state
            .exchanges()
            .filter(|exchange| exchange.method == "POST" && exchange.path.starts_with("/bookings"))
            .map(|exchange| exchange.path.rsplit('/').find(|part| part.starts_with("confirm")).unwrap())
            .collect();
        assert_eq!(answers, ["confirmInsert", "confirmUpdate"]);
        assert_eq!(state.last_poll_at(FIRST), Some(monday_morning()));
        assert_eq!(state.refusals().count(), 0);
    });
}

#[tokio::test]
async fn a_test_can_wait_for_what_will_happen() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    let waiting = bench.sim.wait_until(|state| !state.confirmations_of(booking).is_empty(), SOON);
    let (waited, ()) = tokio::join!(waiting, bench.confirm(booking));
    assert_eq!(waited, Ok(()));
    let short = Duration::from_millis(20);
    assert!(bench.sim.wait_until(|state| state.booking(1).is_some(), short).await.is_err());
}

#[tokio::test]
async fn the_state_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sim.json");
    let bench = Bench::with_file(Some(file.clone())).await;
    bench.ok("/config/pmsResources/snapshot", two_resources()).await;
    bench.ok("/config/pmsAppointmentTypes/snapshot", two_types()).await;
    bench.ok("/availability/snapshot", free_morning("R-7", day(4))).await;
    let booking = bench.book(at(4, 10, 15));
    bench.confirm(booking).await;
    let before = bench.sim.snapshot();
    bench.sim.stop().await;

    let bench = Bench::with_file(Some(file.clone())).await;
    assert_eq!(bench.sim.snapshot(), before);
    assert_eq!(bench.booking(booking).status, BookingStatus::Confirmed);
    assert_eq!(bench.free("R-7", day(4)), ["10:00", "10:30", "10:45"]);
    assert_eq!(bench.book(at(4, 10, 0)), booking + 1);
    bench.sim.restore(&before).unwrap();
    assert!(bench.sim.inspect(|state| state.booking(booking + 1).is_none()));
    assert_eq!(bench.sim.restore(&json!({"format": "other"})), Err(DeskRefusal::NotASavedState));
    bench.sim.stop().await;

    std::fs::write(&file, "{").unwrap();
    let config = HealthengineSimConfig { port: 0, practices: practices(), state_file: Some(file) };
    let started = HealthengineSim::start(config, Arc::new(monday_morning)).await;
    assert!(matches!(started, Err(SimStartError::DamagedState)));
}

#[tokio::test]
async fn a_port_is_free_again_after_stopping() {
    let bench = Bench::start().await;
    bench.get("/requests").await;
    let port: u16 = bench.sim.page_url().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    bench.sim.stop().await;
    let config = HealthengineSimConfig { port, practices: practices(), state_file: None };
    let again = HealthengineSim::start(config, Arc::new(monday_morning)).await.unwrap();
    assert!(again.base_url().contains(&port.to_string()));
    let config = HealthengineSimConfig { port, practices: practices(), state_file: None };
    let twice = HealthengineSim::start(config, Arc::new(monday_morning)).await;
    assert!(matches!(twice, Err(SimStartError::Listen(_))));
}
