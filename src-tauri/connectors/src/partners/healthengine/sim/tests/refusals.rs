//! What is refused, and with which status.

use super::*;

#[tokio::test]
async fn each_key_is_needed_and_checked() {
    let bench = Bench::start().await;
    for missing in ["api-key", "practice-id", "practice-key"] {
        let mut request = bench.request(Method::GET, "/requests").build().unwrap();
        request.headers_mut().remove(missing);
        let response = bench.http.execute(request).await.unwrap();
        assert_eq!(response.status(), 401, "without {missing}");
    }
    for wrong in ["api-key", "practice-id", "practice-key"] {
        let mut request = bench.request(Method::GET, "/requests").build().unwrap();
        request.headers_mut().insert(wrong, "other".parse().unwrap());
        let response = bench.http.execute(request).await.unwrap();
        assert_eq!(response.status(), 401, "with a wrong {wrong}");
    }
    assert_eq!(bench.sim.inspect(|state| state.refusals().count()), 6);
    assert_eq!(bench.sim.inspect(|state| state.not_understood().count()), 0);
    assert_eq!(bench.sim.inspect(|state| state.last_poll_at(FIRST)), None);
}

#[tokio::test]
async fn without_a_live_consent_every_path_is_403() {
    let bench = Bench::start().await;
    let status = async |practice: &str, path: &str| {
        bench.request_of(practice, Method::GET, path).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(THIRD, "/requests").await, 403);
    assert_eq!(status(THIRD, "/config/pmsResources").await, 403);
    assert_eq!(status(FIRST, "/requests").await, 200);
    bench.sim.set_consent(FIRST, Consent::Revoked).unwrap();
    assert_eq!(status(FIRST, "/requests").await, 403);
    assert_eq!(status(SECOND, "/requests").await, 200);
    bench.sim.set_consent(FIRST, Consent::Granted).unwrap();
    assert_eq!(status(FIRST, "/requests").await, 200);
}

#[tokio::test]
async fn the_user_agent_names_vendor_email_and_environment() {
    let bench = Bench::start().await;
    let status = async |agent: &str| {
        let mut request = bench.request(Method::GET, "/requests").build().unwrap();
        request.headers_mut().insert("User-Agent", agent.parse().unwrap());
        bench.http.execute(request).await.unwrap().status().as_u16()
    };
    for good in ["Clinic Companion (a@b.au) DEV", "Clinic Companion (a@b.au) UAT", "X (Y) (a@b.au) PROD"] {
        assert_eq!(status(good).await, 200, "{good}");
    }
    for bad in [
        "",
        "reqwest/0.13",
        "Clinic Companion (a@b.au)",
        "Clinic Companion (a@b.au) TEST",
        "Clinic Companion (nobody) DEV",
        "Clinic Companion a@b.au DEV",
        "(a@b.au) DEV",
        " (a@b.au) DEV",
    ] {
        assert_eq!(status(bad).await, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json_and_be_json() {
    let bench = Bench::configured().await;
    let send = async |content_type: Option<&str>, body: &'static str| {
        let mut request = bench.request(Method::POST, "/availability/snapshots").body(body);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(Some("application/json"), "[]").await, 200);
    assert_eq!(send(Some("application/json; charset=utf-8"), "[]").await, 200);
    assert_eq!(send(None, "[]").await, 400);
    assert_eq!(send(Some("text/plain"), "[]").await, 400);
    assert_eq!(send(Some("application/json"), "").await, 400);
    assert_eq!(send(Some("application/json"), "[1,]").await, 400);
}

#[tokio::test]
async fn gzip_is_understood_and_nothing_else() {
    let bench = Bench::configured().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(free_morning("R-8", day(5)).to_string().as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let send = async |encoding: &str, body: Vec<u8>| {
        bench
            .request(Method::POST, "/availability/snapshot")
            .header("Content-Type", "application/json")
            .header("Content-Encoding", encoding)
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(send("gzip", packed.clone()).await, 200);
    assert_eq!(bench.free("R-8", day(5)).len(), 4);
    assert_eq!(send("br", packed).await, 400);
    assert_eq!(send("gzip", b"[]".to_vec()).await, 400);
}

#[tokio::test]
async fn a_confirmation_needs_appointment_ids_and_a_patient() {
    let bench = Bench::configured().await;
    let path = format!("/bookings/{}/confirmInsert", bench.book(at(4, 10, 15)));
    for (body, why) in [
        (json!({"pmsPatientId": "P"}), "pmsAppointmentIds is required"),
        (json!({"pmsAppointmentIds": [], "pmsPatientId": "P"}), "must not be empty"),
        (json!({"pmsAppointmentIds": [12384], "pmsPatientId": "P"}), "non-empty strings"),
        (json!({"pmsAppointmentIds": [""], "pmsPatientId": "P"}), "non-empty strings"),
        (json!({"pmsAppointmentIds": "1", "pmsPatientId": "P"}), "must be an array"),
        (json!({"pmsAppointmentIds": ["1"]}), "pmsPatientId is required"),
        (json!({"pmsAppointmentIds": ["1"], "pmsPatientId": 5521}), "pmsPatientId must be a string"),
        (json!({"pmsAppointmentIds": ["1"], "pmsPatientId": null}), "pmsPatientId must be a string"),
        (json!({"pmsAppointmentIds": ["1"], "pmsPatientId": " "}), "must not be empty"),
        (json!({"WhatsAppAppointment": {"value": {}}}), "unknown field"),
        (json!(["1"]), "must be an object"),
    ] {
        bench.refused(&path, body, why).await;
    }
    assert_eq!(bench.sim.inspect(|state| state.outstanding(FIRST)), ["bookings"]);
}

#[tokio::test]
async fn rejections_and_cancellations_need_a_body() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    for action in ["rejectInsert", "cancel", "didNotAttend"] {
        let path = format!("/bookings/{booking}/{action}");
        let bare = bench.request(Method::POST, &path).send().await.unwrap();
        assert_eq!(bare.status(), 400, "{action} without a body");
        bench.refused(&path, json!({"reason": 7}), "reason must be a string").await;
        bench.refused(&path, json!({"why": "x"}), "unknown field").await;
    }
    let update = bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    let path = format!("/bookings/{booking}/confirmUpdate/{update}");
    bench.refused(&path, json!({"reason": "x"}), "takes no body").await;
    let path = format!("/bookings/{booking}/rejectUpdate/{update}");
    assert_eq!(bench.request(Method::POST, &path).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn unknown_numbers_and_operations_are_404() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    let update = bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    let confirmation = json!({"pmsAppointmentIds": ["1"], "pmsPatientId": "P"});
    for (path, body) in [
        ("/bookings/1/confirmInsert".to_owned(), confirmation.clone()),
        ("/bookings/x/confirmInsert".to_owned(), confirmation.clone()),
        ("/bookings/1/rejectInsert".to_owned(), json!({"reason": null})),
        ("/bookings/1/cancel".to_owned(), json!({"reason": null})),
        (format!("/bookings/{booking}/confirmUpdate/1"), json!({})),
        (format!("/bookings/1/confirmUpdate/{update}"), json!({})),
        (format!("/bookings/{booking}/noPmsApptChange"), json!({})),
        ("/bookings".to_owned(), json!({})),
        ("/features/teleportation/enable".to_owned(), json!({})),
        ("/requests/everything".to_owned(), json!({})),
    ] {
        assert_eq!(bench.post(&path, body).await.status(), 404, "{path}");
    }
    // A booking of one practice does not exist for another.
    let other = bench
        .request_of(SECOND, Method::POST, &format!("/bookings/{booking}/confirmInsert"))
        .json(&confirmation)
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 404);
    assert_eq!(bench.request(Method::GET, "/requests/bookings?page=0").send().await.unwrap().status(), 400);
    assert_eq!(bench.request(Method::GET, "/requests/bookings?page=x").send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn an_availability_snapshot_is_checked_to_the_last_unit() {
    let bench = Bench::configured().await;
    let range = |start: Value, end: Value, slot: Value| {
        json!({"date": "2026-03-06", "pmsResourceId": "R-7",
               "availability": [{"start": start, "end": end, "slotLength": slot}]})
    };
    for (body, why) in [
        (range(json!("09:00"), json!("10:00"), json!("900")), "slotLength must be an integer"),
        (range(json!("09:00"), json!("10:00"), json!(900.5)), "slotLength must be an integer"),
        (range(json!("09:00"), json!("10:00"), json!(900_000)), "number of seconds"),
        (range(json!("09:00"), json!("10:00"), json!(-900)), "number of seconds"),
        (range(json!("9:00"), json!("10:00"), json!(900)), "start must be a time"),
        (range(json!("09:00:00"), json!("10:00"), json!(900)), "start must be a time"),
        (range(json!("09:00"), json!("24:00"), json!(900)), "end must be a time"),
        (range(json!("10:00"), json!("10:00"), json!(900)), "start must be before end"),
        (range(json!("11:00"), json!("10:00"), json!(900)), "start must be before end"),
        (range(json!(900), json!("10:00"), json!(900)), "start must be a string"),
        (json!({"date": "06-03-2026", "pmsResourceId": "R-7", "availability": []}), "date must be a date"),
        (json!({"date": "2026-3-6", "pmsResourceId": "R-7", "availability": []}), "date must be a date"),
        (json!({"date": "2026-02-30", "pmsResourceId": "R-7", "availability": []}), "date must be a date"),
        (json!({"date": "2026-03-06", "pmsResourceId": 7, "availability": []}), "must be a string"),
        (json!({"date": "2026-03-06", "pmsResourceId": "R-404", "availability": []}), "unknown resource"),
        (json!({"date": "2026-03-06", "pmsResourceId": "R-7"}), "availability must be an array"),
        (
            json!({"date": "2026-03-06", "pmsResourceId": "R-7", "availability": [
            {"start": "09:00", "end": "10:00", "slotLength": 900, "pmsAppointmentTypeIds": ["NONE"]}]}),
            "unknown appointment type",
        ),
        (
            json!({"date": "2026-03-06", "pmsResourceId": "R-7", "availability": [
            {"start": "09:00", "end": "10:00", "slotLength": 900, "pmsAppointmentTypeIds": [1]}]}),
            "non-empty strings",
        ),
        (
            json!({"date": "2026-03-06", "pmsResourceId": "R-7", "availability": [], "id": 4}),
            "id must be a string",
        ),
        (json!({"date": "2026-03-06", "pmsResourceId": "R-7", "slots": []}), "unknown field"),
    ] {
        bench.refused("/availability/snapshot", body, why).await;
    }
    assert!(bench.sim.inspect(|state| state.published(FIRST, "R-7", day(6)).is_none()));
}

#[tokio::test]
async fn a_slot_below_a_minute_is_ignored_and_noted() {
    let bench = Bench::configured().await;
    let body = json!({"date": "2026-03-06", "pmsResourceId": "R-7",
                      "availability": [{"start": "09:00", "end": "10:00", "slotLength": 30}]});
    bench.ok("/availability/snapshot", body).await;
    let noted = bench.sim.inspect(|state| state.not_understood().next_back().cloned()).unwrap();
    assert_eq!(
        (noted.status, noted.reason.as_str()),
        (200, "slotLength 30 is below 60 seconds and is ignored")
    );
    // The types' own lengths are used in its place: four of 15 minutes, two of 30 at the same starts.
    assert_eq!(bench.free("R-7", day(6)), ["09:00", "09:00", "09:15", "09:30", "09:30", "09:45"]);
}

#[tokio::test]
async fn more_than_a_hundred_snapshots_are_refused_whole() {
    let bench = Bench::configured().await;
    let batch = |count: usize| {
        let first = day(6);
        let snapshot =
            |offset: usize| free_morning("R-7", first + chrono::Days::new(u64::try_from(offset).unwrap()));
        Value::Array((0..count).map(snapshot).collect())
    };
    bench.refused("/availability/snapshots", batch(101), "at most 100").await;
    assert_eq!(bench.sim.inspect(|state| state.published_days(FIRST)), 1);
    bench.ok("/availability/snapshots", batch(100)).await;
    assert_eq!(bench.sim.inspect(|state| state.published_days(FIRST)), 101);
    bench.refused("/availability/snapshots", json!({}), "must be an array").await;
}

#[tokio::test]
async fn lists_of_resources_and_types_are_checked() {
    let bench = Bench::start().await;
    let resource = |id: Value, name: &str| json!({"pmsResourceId": id, "pmsResourceName": name});
    for (body, why) in [
        (json!({}), "must be an array"),
        (json!([resource(json!(7), "A")]), "pmsResourceId must be a string"),
        (json!([resource(json!(""), "A")]), "pmsResourceId must not be empty"),
        (json!([{"pmsResourceId": "1"}]), "pmsResourceName is required"),
        (json!([resource(json!("1"), "A"), resource(json!("1"), "B")]), "pmsResourceId 1 is not unique"),
        (json!([resource(json!("1"), "A"), resource(json!("2"), "A")]), "pmsResourceName A is not unique"),
        (
            json!([{"pmsResourceId": "1", "pmsResourceName": "A", "pmsPractitionerTitle": null}]),
            "must be a string",
        ),
    ] {
        bench.refused("/config/pmsResources/snapshot", body, why).await;
    }
    let kind = |length: Value| json!([{"pmsAppointmentTypeId": "1", "pmsAppointmentTypeName": "A", "pmsAppointmentLength": length}]);
    for (body, why) in [
        (kind(json!("30")), "integer number of minutes"),
        (kind(json!(900)), "1 to 480 minutes"),
        (kind(json!(0)), "1 to 480 minutes"),
        (kind(json!(15.5)), "integer number of minutes"),
        (json!([{"pmsAppointmentTypeId": 1, "pmsAppointmentTypeName": "A"}]), "must be a string"),
        (
            json!([{"pmsAppointmentTypeId": "1", "pmsAppointmentTypeName": "A", "pmsResourceId": null}]),
            "string",
        ),
    ] {
        bench.refused("/config/pmsAppointmentTypes/snapshot", body, why).await;
    }
    assert_eq!(bench.sim.inspect(|state| state.resources(FIRST).map(<[Value]>::len)), None);
    bench.ok("/config/pmsAppointmentTypes/snapshot", kind(json!(480))).await;
}

#[tokio::test]
async fn the_liveness_contract_is_checked() {
    let bench = Bench::start().await;
    let hours = |ranges: Value| json!({"liveHours": {"monday": ranges}});
    for (body, why) in [
        (json!({}), "liveHours is required"),
        (json!({"liveHours": {"someday": []}}), "unknown field someday"),
        (hours(json!({})), "monday must be an array"),
        (hours(json!([{"start": "08:00", "end": "24:00"}])), "end must be a time"),
        (hours(json!([{"start": "20:00", "end": "06:00"}])), "start must be before end"),
        (hours(json!([{"start": "8", "end": "18:00"}])), "start must be a time"),
        (hours(json!([{"start": "08:00"}])), "end is required"),
    ] {
        bench.refused("/config/livenessContract", body, why).await;
    }
    let overlapping = hours(json!([{"start": "12:00", "end": "23:59"}, {"start": "08:00", "end": "13:00"}]));
    bench.ok("/config/livenessContract", overlapping.clone()).await;
    assert_eq!(bench.get("/config/livenessContract").await, overlapping);
}
