//! The page and the JSON behind it.

use super::*;

#[tokio::test]
async fn the_page_is_whole_and_asks_for_nothing_from_elsewhere() {
    let bench = Bench::start().await;
    let response = bench.http.get(bench.sim.page_url()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
    );
    let page = response.text().await.unwrap();
    assert!(page.contains("Act as a patient"));
    assert!(page.contains(r#"lang="en-AU""#));
    for elsewhere in ["https://", "http://", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "the page holds {elsewhere}");
    }
}

#[tokio::test]
async fn a_patient_books_and_cancels_on_the_page() {
    let bench = Bench::configured().await;
    let state = async || {
        let url = format!("{}sim/state?days=3", bench.sim.page_url());
        bench.http.get(url).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let practice = &state().await["practices"][0];
    assert_eq!(practice["practiceId"], FIRST);
    assert_eq!(practice["localNow"], "2026-03-02T09:00:00");
    assert_eq!(practice["resources"][0]["name"], "Dr Imogen Lee");
    assert_eq!(practice["resources"][0]["days"].as_array().unwrap().len(), 3);
    assert_eq!(
        practice["resources"][0]["days"][2]["times"][1],
        json!({"start": "2026-03-04T10:15:00", "lengthSeconds": 900, "appointmentTypeIds": ["STD"]})
    );
    let wish = json!({"practiceId": FIRST, "resourceId": "R-7", "start": "2026-03-04T10:15",
                      "appointmentTypeId": "STD", "patient": {"firstname": "Zoë", "dob": "2001-02-03"}});
    let (status, made) = bench.desk("book", wish.clone()).await;
    assert_eq!(status, 200, "{made}");
    let booking = made["bookingId"].as_i64().unwrap();
    assert_eq!(bench.booking(booking).body["patient"]["dob"], "03-02-2001");
    let (status, refused) = bench.desk("book", wish).await;
    assert_eq!(status, 409);
    assert!(refused["error"].as_str().unwrap().contains("not free"));
    let shown = &state().await["practices"][0]["bookings"][0];
    assert_eq!(
        (shown["patientSees"].as_str(), shown["patientName"].as_str()),
        (Some("Waiting for the practice"), Some("Zoë Quennell"))
    );
    let (status, _) = bench.desk("cancel", json!({"practiceId": FIRST, "bookingId": booking})).await;
    assert_eq!(status, 200);
    let (status, _) = bench.desk("cancel", json!({"practiceId": FIRST, "bookingId": booking})).await;
    assert_eq!(status, 409);
    let (status, _) = bench.desk("cancel", json!({"practiceId": FIRST, "bookingId": 1})).await;
    assert_eq!(status, 404);
    assert_eq!(state().await["practices"][0]["bookings"][0]["status"], "Cancelled");
    let keys = state().await.to_string();
    assert!(!keys.contains("vendor-key") && !keys.contains("key-of-"));
}

#[tokio::test]
async fn everything_else_on_the_page_works() {
    let bench = Bench::configured().await;
    let (status, _) =
        bench.desk("book", json!({"practiceId": FIRST, "force": {"pmsResourceId": null}})).await;
    assert_eq!(status, 200);
    let ask = |what: Value| bench.desk("ask", what);
    assert_eq!(ask(json!({"practiceId": FIRST, "what": "availability", "day": "2026-03-04"})).await.0, 200);
    assert_eq!(ask(json!({"practiceId": FIRST, "what": "configuration"})).await.0, 200);
    assert_eq!(ask(json!({"practiceId": FIRST, "what": "changes", "bookingId": 1})).await.0, 200);
    assert_eq!(ask(json!({"practiceId": "9", "what": "configuration"})).await.0, 404);
    assert_eq!(ask(json!({"practiceId": FIRST, "what": "money"})).await.0, 400);
    assert_eq!(bench.sim.inspect(|state| state.outstanding(FIRST).len()), 5);
    for date_type in ["appt_datetime", "appt_creation_datetime"] {
        let wish = json!({"practiceId": FIRST, "what": "clientSnapshot", "date": "2026-03-04", "dateType": date_type});
        assert_eq!(ask(wish).await.0, 200);
    }
    let asked: Vec<_> = bench.sim.inspect(|state| {
        state.client_snapshot_requests(FIRST).iter().map(|asked| (asked.date, asked.date_type)).collect()
    });
    assert_eq!(asked, [(day(4), SnapshotDateType::Appointment), (day(4), SnapshotDateType::Creation)]);

    let faults = |wish: Value| bench.desk("faults", wish);
    let (status, added) = faults(json!({"add": {"fault": {"kind": "serverError"}, "account": FIRST}})).await;
    assert_eq!(status, 200);
    assert_eq!(bench.request(Method::GET, "/requests").send().await.unwrap().status(), 500);
    assert_eq!(faults(json!({"remove": added["id"]})).await.0, 200);
    assert_eq!(faults(json!({"remove": added["id"]})).await.0, 404);
    assert_eq!(faults(json!({"add": {"fault": {"kind": "earthquake"}}})).await.0, 400);
    faults(json!({"add": {"fault": {"kind": "refuse"}}})).await;
    assert_eq!(faults(json!({"clear": null})).await.0, 200);
    assert_eq!(faults(json!({"consent": {"practiceId": FIRST, "is": "revoked"}})).await.0, 200);
    assert_eq!(bench.request(Method::GET, "/requests").send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_patient_sends_a_form_on_the_page() {
    let bench = Bench::configured().await;
    bench.enable("attachDocuments").await;
    let booking = bench.book(at(4, 10, 15));
    let send = |booking: i64, format: &'static str| {
        bench.desk("document", json!({"practiceId": FIRST, "bookingId": booking, "format": format}))
    };
    let (status, sent) = send(booking, "pdf").await;
    assert_eq!(status, 200, "{sent}");
    assert_eq!(send(booking, "text").await.0, 200);
    assert_eq!(send(booking, "tiff").await.0, 400);
    assert_eq!(send(77, "pdf").await.0, 404);
    let request = sent["requestId"].as_i64().unwrap();
    assert_eq!(bench.get(&format!("/attachDocuments/{request}")).await["documentFormat"], "application/pdf");
    bench.ok(&format!("/attachDocuments/{request}/confirmInsert"), json!({"pmsDocumentId": null})).await;
    let state = bench.http.get(format!("{}sim/state", bench.sim.page_url())).send().await.unwrap();
    let practice = &state.json::<Value>().await.unwrap()["practices"][0];
    assert_eq!(practice["features"], json!(["attachDocuments"]));
    let documents = practice["bookings"][0]["documents"].as_array().unwrap();
    let states: Vec<_> = documents.iter().map(|document| document["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["filed", "waiting"]);
}

#[tokio::test]
async fn a_page_from_elsewhere_cannot_reach_in() {
    let bench = Bench::configured().await;
    let url = format!("{}sim/state", bench.sim.page_url());
    for (host, status) in [
        ("clinic.example.com", 403),
        ("127.0.0.1.example.com:80", 403),
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
    ] {
        let response = bench.http.get(&url).header("Host", host).send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
    }
    // A form of another page can send text/plain without asking first, and is refused for it.
    let plain = bench
        .http
        .post(format!("{}sim/faults", bench.sim.page_url()))
        .header("Content-Type", "text/plain")
        .body(r#"{"clear": null}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), 400);
    assert!(plain.headers().get("access-control-allow-origin").is_none());
}
