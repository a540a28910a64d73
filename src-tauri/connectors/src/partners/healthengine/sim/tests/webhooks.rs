//! Subscriptions and their callbacks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::Notify;

use super::*;
use crate::sim::LoopbackServer;

/// A listener that answers as it is told: with a status, or not at all until it stops.
struct Listener {
    server: LoopbackServer,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    bodies: Mutex<Vec<Value>>,
    answers: Mutex<VecDeque<Option<u16>>>,
    came: Notify,
}

async fn hear(State(heard): State<Arc<Heard>>, body: String) -> StatusCode {
    heard.bodies.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    heard.came.notify_waiters();
    let answer = heard.answers.lock().unwrap().pop_front().unwrap_or(Some(200));
    match answer {
        Some(status) => StatusCode::from_u16(status).unwrap(),
        None => std::future::pending().await,
    }
}

impl Listener {
    async fn start(answers: &[Option<u16>]) -> Self {
        let heard = Arc::new(Heard::default());
        heard.answers.lock().unwrap().extend(answers);
        let shared = Arc::clone(&heard);
        let router = |_: SocketAddr, _| Router::new().route("/hook", post(hear)).with_state(shared);
        Self { server: LoopbackServer::start(0, router).await.unwrap(), heard }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.server.address())
    }

    fn bodies(&self) -> Vec<Value> {
        self.heard.bodies.lock().unwrap().clone()
    }
}

impl Bench {
    async fn subscribe(&self, topic: &str, url: &str) -> String {
        let wish = json!({"topic": topic, "callbackUrl": url, "clientId": "desk"});
        let response = self.post("/subscription", wish).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn delivered(&self) {
        self.sim.wait_until(SimState::deliveries_are_done, SOON).await.unwrap();
    }

    async fn attempted(&self, attempts: usize) {
        let done = |state: &SimState| {
            let is_done =
                |one: &SimDelivery| one.attempts.len() == attempts && one.state != DeliveryState::Sending;
            state.deliveries(FIRST).all(is_done)
        };
        self.sim.wait_until(done, SOON).await.unwrap();
    }

    fn states(&self) -> Vec<DeliveryState> {
        self.sim.inspect(|state| state.deliveries(FIRST).map(|one| one.state).collect())
    }
}

#[tokio::test]
async fn each_new_request_is_told_to_those_who_want_to_hear_of_it() {
    let bench = Bench::configured().await;
    let (all, bookings) = (Listener::start(&[]).await, Listener::start(&[]).await);
    let all_id = bench.subscribe("requests.*", &all.url()).await;
    let bookings_id = bench.subscribe("requests.bookings", &bookings.url()).await;
    let booking = bench.book(at(4, 10, 15));
    bench.delivered().await;
    assert_eq!(
        bookings.bodies(),
        [
            json!({"timestamp": "2026-03-01 22:00:00", "id": bookings_id, "clientId": "desk", "topic": "requests.bookings",
                "data": {"target": "/requests/bookings", "requestType": "bookings", "bookingId": booking}})
        ]
    );
    assert_eq!((&all.bodies()[0]["id"], &all.bodies()[0]["topic"]), (&json!(all_id), &json!("requests.*")));
    let update = bench.sim.cancel_by_patient(FIRST, booking).unwrap();
    bench.delivered().await;
    assert_eq!(
        all.bodies()[1]["data"],
        json!({"target": "/requests/bookingUpdates", "requestType": "bookingUpdates", "bookingId": booking,
               "requestId": update})
    );
    bench.sim.ask_resources(FIRST).unwrap();
    bench.delivered().await;
    assert_eq!(all.bodies()[2]["data"], json!({"target": null, "requestType": "pmsResources"}));
    bench.sim.ask_appointment_types(FIRST).unwrap();
    bench.sim.ask_availability(FIRST, day(4), None).unwrap();
    // These are not called at present, or only while their feature is on.
    bench.sim.ask_changes(FIRST, booking).unwrap();
    bench.sim.attach_document(FIRST, &PatientDocument::default()).unwrap();
    bench.enable("documents").await;
    bench.enable("attachDocuments").await;
    bench.enable("clientSnapshots").await;
    bench.sim.ask_available_documents(FIRST, booking).unwrap();
    bench.sim.ask_upload(FIRST, booking, "D-1").unwrap();
    let document = bench.sim.attach_document(FIRST, &PatientDocument::default()).unwrap();
    bench.sim.ask_client_snapshot(FIRST, day(4), SnapshotDateType::Creation).unwrap();
    bench.delivered().await;
    let mut kinds: Vec<String> = all.bodies()[3..]
        .iter()
        .map(|body| body["data"]["requestType"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["attachDocuments", "availability", "clientSnapshots", "pmsAppointmentTypes"]);
    assert!(all.bodies().iter().any(|body| body["data"]["requestId"] == document));
    assert_eq!(bookings.bodies().len(), 1);
    let second = bench.sim.inspect(|state| state.deliveries(SECOND).count());
    assert_eq!(second, 0);
    assert!(bench.states().iter().all(|state| *state == DeliveryState::Acknowledged));
}

#[tokio::test]
async fn the_same_subscription_is_updated_and_there_is_no_put() {
    let bench = Bench::start().await;
    let first = bench.subscribe("requests.*", "http://127.0.0.1:9/hook").await;
    let wish = json!({"topic": "requests.*", "callbackUrl": "http://127.0.0.1:9/hook", "clientId": "desk",
                      "expireAt": "2026-03-02 22:00:00"});
    let updated: Value = bench.post("/subscription", wish.clone()).await.json().await.unwrap();
    assert_eq!((&updated["id"], &updated["expireAt"]), (&json!(first), &json!("2026-03-02 22:00:00")));
    assert_ne!(bench.subscribe("requests.bookings", "http://127.0.0.1:9/hook").await, first);
    assert_eq!(bench.sim.inspect(|state| state.subscriptions(FIRST).count()), 2);
    let put = bench.request(Method::PUT, &format!("/subscription/{first}")).json(&wish).send().await.unwrap();
    assert_eq!(put.status(), 404);
    for (field, wrong, why) in [
        ("startAt", json!("2026-03-02T22:00:00Z"), "startAt must be a time"),
        ("startAt", json!("2026-03-03 22:00:00"), "must be after startAt"),
        ("expireAt", json!(5), "must be a string"),
        ("clientId", json!(5), "must be a string"),
        ("callbackUrl", json!("ftp://127.0.0.1/"), "web address"),
        ("callbackUrl", json!("https://"), "web address"),
        ("secret", json!("x"), "unknown field"),
    ] {
        let mut body = wish.clone();
        body[field] = wrong;
        bench.refused("/subscription", body, why).await;
    }
}

#[tokio::test]
async fn a_subscription_holds_from_its_start_to_its_end() {
    let bench = Bench::configured().await;
    let listener = Listener::start(&[]).await;
    let wish = json!({"topic": "requests.bookings", "callbackUrl": listener.url(),
                      "startAt": "2026-03-01 22:10:00", "expireAt": "2026-03-01 22:20:00"});
    assert_eq!(bench.post("/subscription", wish).await.status(), 201);
    for minutes in [0, 10, 9, 1] {
        bench.pass(TimeDelta::minutes(minutes));
        bench.sim.force_book(FIRST, &json!({})).unwrap();
    }
    bench.delivered().await;
    let times: Vec<_> = listener.bodies().iter().map(|body| body["timestamp"].clone()).collect();
    assert_eq!(times.len(), 2);
    assert!(times.contains(&json!("2026-03-01 22:10:00")) && times.contains(&json!("2026-03-01 22:19:00")));
}

#[tokio::test]
async fn a_callback_that_is_not_answered_is_repeated_three_times_and_then_gone() {
    let bench = Bench::configured().await;
    bench.sim.set_callback_limit(Duration::from_millis(50));
    let listener = Listener::start(&[None, Some(500), Some(202), None]).await;
    let id = bench.subscribe("requests.bookings", &listener.url()).await;
    bench.book(at(4, 10, 15));
    bench.attempted(1).await;
    let began = bench.now();
    for (attempt, seconds) in REPEATS_AFTER_SECONDS.into_iter().enumerate() {
        bench.pass(TimeDelta::seconds(seconds));
        bench.attempted(attempt + 2).await;
    }
    assert_eq!(bench.states(), [DeliveryState::GivenUp]);
    bench.pass(TimeDelta::days(1));
    bench.delivered().await;
    assert_eq!(listener.bodies().len(), 4);
    assert!(listener.bodies().iter().all(|body| *body == listener.bodies()[0]));
    bench.sim.inspect(|state| {
        let attempts = &state.deliveries(FIRST).next().unwrap().attempts;
        let results: Vec<_> = attempts.iter().map(|attempt| attempt.result).collect();
        let expected = [
            DeliveryResult::TimedOut,
            DeliveryResult::Status(500),
            DeliveryResult::Status(202),
            DeliveryResult::TimedOut,
        ];
        assert_eq!(results, expected);
        let after: Vec<_> = attempts.iter().map(|attempt| (attempt.at - began).num_seconds()).collect();
        assert_eq!(after, [0, 10, 110, 1110]);
    });
    let log = bench.get(&format!("/subscriptionErrorLog?subscriptionId={id}")).await;
    assert_eq!(log["page"]["total"], 4);
    let entry = &log["data"][1];
    assert_eq!((&entry["attempt"], &entry["timestamp"]), (&json!(2), &json!("2026-03-01 22:00:10")));
    assert_eq!((&entry["errorType"], &entry["subscriptionId"]), (&json!("status"), &json!(id)));
    assert_eq!(entry["payload"], listener.bodies()[0]);
    let between = "/subscriptionErrorLog?from=2026-03-01%2022:00:10&to=2026-03-01%2022:01:50";
    assert_eq!(bench.get(between).await["page"]["total"], 2);
    for (query, status) in [("from=2026-03-01", 400), ("page=0", 400), ("subscriptionId=none", 404)] {
        let path = format!("/subscriptionErrorLog?{query}");
        assert_eq!(bench.request(Method::GET, &path).send().await.unwrap().status(), status, "{query}");
    }
}

#[tokio::test]
async fn a_repeat_is_accepted_and_ends_the_matter() {
    let bench = Bench::configured().await;
    let listener = Listener::start(&[Some(503)]).await;
    bench.subscribe("requests.bookings", &listener.url()).await;
    bench.book(at(4, 10, 15));
    bench.attempted(1).await;
    assert_eq!(bench.states(), [DeliveryState::Waiting]);
    bench.pass(TimeDelta::seconds(10));
    bench.delivered().await;
    assert_eq!(bench.states(), [DeliveryState::Acknowledged]);
    assert_eq!(listener.bodies().len(), 2);
    assert_eq!(CALLBACK_LIMIT, Duration::from_secs(5));
}

#[tokio::test]
async fn nobody_but_this_computer_is_called() {
    let bench = Bench::configured().await;
    bench.subscribe("requests.bookings", "http://192.0.2.1/hook").await;
    bench.subscribe("requests.bookings", "https://clinic.example.com/hook").await;
    bench.subscribe("requests.bookings", "http://127.0.0.1.example.com/hook").await;
    bench.book(at(4, 10, 15));
    bench.delivered().await;
    assert_eq!(bench.states(), [DeliveryState::GivenUp; 3]);
    let log = bench.get("/subscriptionErrorLog").await;
    assert!(log["data"].as_array().unwrap().iter().all(|entry| entry["errorType"] == "address"));
}

#[tokio::test]
async fn a_subscription_that_ends_takes_its_repeats_with_it() {
    let bench = Bench::configured().await;
    let listener = Listener::start(&[Some(500), Some(500)]).await;
    let id = bench.subscribe("requests.bookings", &listener.url()).await;
    bench.book(at(4, 10, 15));
    bench.attempted(1).await;
    bench.request(Method::DELETE, &format!("/subscription/{id}")).send().await.unwrap();
    bench.pass(TimeDelta::seconds(10));
    bench.delivered().await;
    assert_eq!(bench.states(), [DeliveryState::Dropped]);
    assert_eq!(listener.bodies().len(), 1);
    // The log of a subscription that is gone can still be read.
    assert_eq!(bench.get(&format!("/subscriptionErrorLog?subscriptionId={id}")).await["page"]["total"], 1);
    bench.subscribe("requests.bookings", &listener.url()).await;
    bench.sim.set_consent(FIRST, Consent::Revoked).unwrap();
    bench.sim.force_book(FIRST, &json!({})).unwrap();
    bench.delivered().await;
    assert_eq!(listener.bodies().len(), 1);
}

#[tokio::test]
async fn callbacks_can_be_lost_doubled_and_overtaken() {
    let bench = Bench::configured().await;
    let listener = Listener::start(&[]).await;
    bench.subscribe("requests.*", &listener.url()).await;
    let heard = || -> Vec<i64> {
        listener.bodies().iter().map(|body| body["data"]["bookingId"].as_i64().unwrap()).collect()
    };
    let book = || bench.sim.force_book(FIRST, &json!({})).unwrap();
    let add = |fault| {
        bench.sim.add_fault(FaultRule::once(fault).on("POST", "/requests/bookings").for_account(FIRST))
    };
    add(Fault::LostCallback);
    book();
    add(Fault::DuplicateCallback);
    let doubled = book();
    bench.delivered().await;
    assert_eq!(heard(), [doubled, doubled]);
    assert_eq!(bench.states()[0], DeliveryState::Lost);
    add(Fault::OvertakenCallback);
    let overtaken = book();
    let overtaking = book();
    bench.delivered().await;
    assert_eq!(heard()[2..], [overtaking, overtaken]);
    // An overtaken callback that nothing follows waits for good, and stopping does not wait for it.
    add(Fault::OvertakenCallback);
    book();
    assert!(!bench.sim.inspect(SimState::deliveries_are_done));
    tokio::time::timeout(SOON, bench.sim.stop()).await.unwrap();
}

#[tokio::test]
async fn with_webhooks_polling_once_an_hour_is_enough() {
    let bench = Bench::configured().await;
    bench.get("/requests").await;
    bench.subscribe("requests.*", "http://127.0.0.1:9/hook").await;
    bench.pass(TimeDelta::minutes(60));
    assert!(bench.sim.health(FIRST).unwrap().healthy);
    bench.pass(TimeDelta::minutes(1));
    assert_eq!(bench.sim.health(FIRST).unwrap().reasons, ["has not polled for 61 minutes"]);
    bench.get("/requests").await;
    assert_eq!(bench.sim.inspect(|state| state.poll_gaps(FIRST).len()), 1);
}
