//! The shape of what is answered.

use super::*;

#[tokio::test]
async fn a_booking_looks_as_the_contract_shows_it() {
    let bench = Bench::configured().await;
    let patient = PatientDetails {
        firstname: "Marnie".to_owned(),
        lastname: "Okafor-Lind".to_owned(),
        dob: NaiveDate::from_ymd_opt(1984, 11, 9).unwrap(),
        medicare_expiry: Some("07/2028".to_owned()),
        reason: "Sore knee\nPrefers morning".to_owned(),
        ..PatientDetails::default()
    };
    let booking = bench.sim.book(FIRST, "R-7", at(4, 10, 15), Some("STD"), &patient).unwrap();
    assert_eq!(
        bench.get("/requests/bookings").await,
        json!({
            "data": [{
                "bookingId": booking,
                "pmsResourceId": "R-7",
                "pmsAppointmentTypeId": "STD",
                "pmsAppointmentIds": [],
                "pmsPatientId": null,
                "bookedTime": "2026-03-01 22:00:00",
                "bookingStatus": "Requested",
                "pmsAppointmentTime": "2026-03-04 10:15:00",
                "pmsAppointmentLength": 900,
                "reason": "Sore knee\nPrefers morning",
                "comments": "Standard consult",
                "patient": {
                    "firstname": "Marnie", "lastname": "Okafor-Lind", "dob": "09-11-1984",
                    "phone": "0491 570 006", "email": "marlow.quennell@example.com",
                    "address": "4 Sample Street", "suburb": "Richmond", "state": "VIC", "postcode": "3121",
                    "gender": null, "medicareNumber": null, "medicareIrn": null, "medicareExpiry": "07/2028",
                },
                "isNewPatient": true,
            }],
            "page": {"currentPage": 1, "totalPages": 1, "perPage": 100, "total": 1},
        })
    );
}

#[tokio::test]
async fn what_waits_is_listed_by_kind() {
    let bench = Bench::configured().await;
    assert_eq!(bench.get("/requests").await, json!([]));
    let booking = bench.book(at(4, 10, 15));
    bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    bench.sim.ask_availability(FIRST, day(4), Some("R-7")).unwrap();
    bench.sim.ask_changes(FIRST, booking).unwrap();
    bench.sim.ask_resources(FIRST).unwrap();
    bench.sim.ask_appointment_types(FIRST).unwrap();
    let all = json!([
        "bookings",
        "bookingUpdates",
        "availability",
        "pmsAppointmentChanges",
        "pmsResources",
        "pmsAppointmentTypes"
    ]);
    assert_eq!(bench.get("/requests").await, all);
    let second = bench.request_of(SECOND, Method::GET, "/requests").send().await.unwrap();
    assert_eq!(second.json::<Value>().await.unwrap(), json!([]));
}

#[tokio::test]
async fn lists_come_in_pages_of_a_hundred() {
    let bench = Bench::start().await;
    for _ in 0..205 {
        bench.sim.force_book(FIRST, &json!({})).unwrap();
    }
    let mut seen = Vec::new();
    for (page, expected) in [(1, 100), (2, 100), (3, 5), (4, 0)] {
        let body = bench.get(&format!("/requests/bookings?page={page}")).await;
        assert_eq!(body["page"], json!({"currentPage": page, "totalPages": 3, "perPage": 100, "total": 205}));
        let ids: Vec<i64> =
            body["data"].as_array().unwrap().iter().map(|item| item["bookingId"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), expected);
        seen.extend(ids);
    }
    assert!(seen.is_sorted());
    assert_eq!(bench.get("/requests/bookingUpdates").await["page"]["totalPages"], 1);
}

#[tokio::test]
async fn a_batch_says_what_became_of_each_snapshot_by_id_or_index() {
    let bench = Bench::configured().await;
    let mut named = free_morning("R-7", day(5));
    named["id"] = json!("R-7|2026-03-05");
    let batch = json!([named, free_morning("R-7", day(4)), free_morning("R-404", day(5)), "nonsense"]);
    let response = bench.post("/availability/snapshots", batch).await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["created"], json!(["R-7|2026-03-05"]));
    assert_eq!(body["existing"], json!(["1"]));
    assert_eq!(body["failed"], json!(["2", "3"]));
    assert_eq!(body["errors"][0], json!({"snapshot": "2", "error": "unknown resource R-404"}));
    assert_eq!(body["errors"][1]["snapshot"], "3");
    assert_eq!(bench.sim.inspect(|state| state.not_understood().count()), 2);
    let clean: Value = bench.post("/availability/snapshots", json!([named])).await.json().await.unwrap();
    assert_eq!(clean, json!({"created": [], "existing": ["R-7|2026-03-05"], "failed": []}));
    // What was sent longer ago than "recently" is taken again.
    bench.pass(TimeDelta::minutes(61));
    let again: Value = bench.post("/availability/snapshots", json!([named])).await.json().await.unwrap();
    assert_eq!(again["created"], json!(["R-7|2026-03-05"]));
    let kept = bench.sim.inspect(|state| {
        state.snapshots_of(FIRST, "R-7", day(5)).iter().map(|snapshot| snapshot.created).collect::<Vec<_>>()
    });
    assert_eq!(kept, [true, false, true]);
}

#[tokio::test]
async fn configuration_can_be_read_back() {
    let bench = Bench::configured().await;
    assert_eq!(bench.get("/config/pmsResources").await, two_resources());
    assert_eq!(bench.get("/config/pmsAppointmentTypes").await, two_types());
    assert_eq!(bench.get("/config/pmsResources/findById?id=R-8").await, json!([two_resources()[1]]));
    assert_eq!(bench.get("/config/pmsResources/findById?id=R-9").await, json!([]));
    let long = bench.get("/config/pmsAppointmentTypes/findById?id=LONG%3AR-7").await;
    assert_eq!(long, json!([two_types()[1]]));
    let bare = bench.request(Method::GET, "/config/pmsResources/findById").send().await.unwrap();
    assert_eq!(bare.status(), 400);
    let kinds: Vec<_> =
        bench.sim.inspect(|state| state.configuration(FIRST).iter().map(|received| received.kind).collect());
    assert_eq!(kinds, [ConfigurationKind::Resources, ConfigurationKind::AppointmentTypes]);
}

#[tokio::test]
async fn features_are_off_until_they_are_switched_on() {
    let bench = Bench::start().await;
    let features = bench.get("/features").await;
    let ids: Vec<&str> =
        features.as_array().unwrap().iter().map(|feature| feature["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["documents", "clientSnapshots", "attachDocuments"]);
    assert!(features.as_array().unwrap().iter().all(|feature| feature["enabled"] == false));
    assert_eq!(bench.request(Method::POST, "/features/documents/enable").send().await.unwrap().status(), 200);
    assert_eq!(bench.get("/features/documents").await["enabled"], true);
    assert!(bench.sim.inspect(|state| state.features(FIRST).unwrap().contains("documents")));
    bench.ok("/features/documents/disable", json!({})).await;
    assert_eq!(bench.get("/features/documents").await["enabled"], false);
    assert_eq!(bench.request(Method::GET, "/features/x").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn subscriptions_are_kept() {
    let bench = Bench::start().await;
    let wish =
        json!({"topic": "requests.bookings", "callbackUrl": "https://example.com/hook", "clientId": "desk"});
    let response = bench.post("/subscription", wish).await;
    assert_eq!(response.status(), 201);
    let made: Value = response.json().await.unwrap();
    assert_eq!(made["startAt"], "2026-03-01 22:00:00");
    let path = format!("/subscription/{}", made["id"].as_str().unwrap());
    assert_eq!(bench.get("/subscription").await, json!([made]));
    assert_eq!(bench.get(&path).await, made);
    let delete = async || bench.request(Method::DELETE, &path).send().await.unwrap().status().as_u16();
    assert_eq!(delete().await, 204);
    assert_eq!(delete().await, 404);
    for wrong in [
        json!({"topic": "requests.everything", "callbackUrl": "https://example.com"}),
        json!({"topic": "requests.bookings"}),
        json!({"topic": "requests.*", "callbackUrl": "not an address"}),
    ] {
        assert_eq!(bench.post("/subscription", wrong).await.status(), 400);
    }
    assert_eq!(bench.get("/subscriptionErrorLog").await["data"], json!([]));
}

#[tokio::test]
async fn the_date_header_is_the_simulators_time() {
    let bench = Bench::start().await;
    let response = bench.request(Method::GET, "/requests").send().await.unwrap();
    assert_eq!(response.headers()["date"], "Sun, 01 Mar 2026 22:00:00 GMT");
}
