//! Keys, consent, and what the service holds against a practice.

use super::*;

#[tokio::test]
async fn a_refused_key_stops_every_practice_that_has_it() {
    let bench = Bench::start().await;
    let poll = async |practice: &str| {
        bench.request_of(practice, Method::GET, "/requests").send().await.unwrap().status().as_u16()
    };
    bench.sim.refuse_api_key("vendor-key");
    assert_eq!([poll(FIRST).await, poll(SECOND).await, poll(THIRD).await], [401, 401, 401]);
    bench.sim.accept_api_key("vendor-key");
    assert_eq!([poll(FIRST).await, poll(SECOND).await, poll(THIRD).await], [200, 200, 403]);
}

#[tokio::test]
async fn replaced_keys_count_at_once_and_what_came_before_and_after_is_known() {
    let bench = Bench::start().await;
    let poll = async |api_key: &str, practice_key: &str| {
        let request = bench.bare(Method::GET, "/requests").header("practice-id", FIRST);
        let request = request.header("api-key", api_key).header("practice-key", practice_key);
        request.header("User-Agent", "X (a@b.au) DEV").send().await.unwrap().status().as_u16()
    };
    assert_eq!(poll("vendor-key", "key-of-1001").await, 200);
    let last = bench.sim.inspect(SimState::last_exchange);
    bench.sim.replace_practice_key(FIRST, "new").unwrap();
    assert_eq!(poll("vendor-key", "key-of-1001").await, 401);
    assert_eq!(poll("vendor-key", "new").await, 200);
    bench.sim.replace_api_key(FIRST, "live-key").unwrap();
    assert_eq!(poll("vendor-key", "new").await, 401);
    assert_eq!(poll("live-key", "new").await, 200);
    bench.request_of(SECOND, Method::GET, "/features").send().await.unwrap();
    bench.sim.inspect(|state| {
        let after = |practice| state.exchanges_of(practice).filter(|exchange| exchange.number > last).count();
        assert_eq!((after(FIRST), after(SECOND), after(THIRD)), (4, 1, 0));
        assert_eq!(state.last_exchange(), last + 5);
    });
}

#[tokio::test]
async fn deadlines_that_were_missed_are_listed_also_when_they_were_met_later() {
    let bench = Bench::configured().await;
    let (late, met) = (bench.book(at(4, 10, 15)), bench.book(at(4, 10, 45)));
    let update = bench.sim.cancel_by_patient(FIRST, late).unwrap();
    bench.sim.ask_availability(FIRST, day(9), None).unwrap();
    bench.get("/requests").await;
    bench.pass(TimeDelta::minutes(10));
    bench.confirm(met).await;
    let missed = || {
        let now = bench.now();
        bench.sim.inspect(|state| state.missed_deadlines(FIRST, now))
    };
    assert_eq!(missed(), []);
    bench.pass(TimeDelta::seconds(1));
    bench.confirm(late).await;
    bench.pass(TimeDelta::minutes(1));
    let what: Vec<_> = missed().iter().map(|one| (one.kind, one.id, one.settled_at.is_some())).collect();
    let expected = [
        ("bookings", Some(late), true),
        ("bookingUpdates", Some(update), false),
        ("availability", None, false),
    ];
    assert_eq!(what, expected);
    let now = bench.now();
    let gaps = bench.sim.inspect(|state| (state.poll_gaps(FIRST).len(), state.poll_gaps_until(FIRST, now)));
    assert_eq!((gaps.0, gaps.1.len()), (0, 1));
    assert_eq!(gaps.1[0].live, TimeDelta::seconds(661));
}

#[tokio::test]
async fn unanswered_requests_of_a_feature_make_the_integration_unhealthy_in_the_end() {
    let bench = Bench::configured().await;
    bench.sim.attach_document(FIRST, &PatientDocument::default()).unwrap();
    bench.pass(TimeDelta::minutes(61));
    bench.get("/requests").await;
    assert!(bench.sim.health(FIRST).unwrap().healthy);
    bench.enable("attachDocuments").await;
    assert_eq!(
        bench.sim.health(FIRST).unwrap().reasons,
        ["a document from a patient is unanswered for 61 minutes"]
    );
}

#[tokio::test]
async fn documents_and_questions_outlive_a_restart() {
    let bench = Bench::configured().await;
    bench.enable("attachDocuments").await;
    let request = bench.sim.attach_document(FIRST, &PatientDocument::default()).unwrap();
    bench.sim.ask_client_snapshot(FIRST, day(2), SnapshotDateType::Creation).unwrap();
    let saved = bench.sim.snapshot();
    let other = Bench::start().await;
    other.sim.restore(&saved).unwrap();
    assert_eq!(other.get("/requests").await, json!(["attachDocuments"]));
    assert!(other.sim.inspect(|state| state.attachment(request).is_some()));
    assert_eq!(other.sim.snapshot(), saved);
    // What an earlier version saved has none of this, and is still read.
    let mut old = saved;
    let fields = old["practices"][FIRST].as_object_mut().unwrap();
    for added in [
        "changesTold",
        "clientSnapshotRequests",
        "availableRequests",
        "availableDocuments",
        "uploadRequests",
        "attachments",
    ] {
        assert!(fields.remove(added).is_some(), "{added}");
    }
    other.sim.restore(&old).unwrap();
    assert_eq!(other.get("/requests").await, json!([]));
}
