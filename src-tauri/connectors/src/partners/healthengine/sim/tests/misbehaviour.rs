//! Faults, each seen from the client's side and from the simulator's.

use super::*;

const SNAPSHOT: &str = "/availability/snapshot";

async fn publish(bench: &Bench) -> reqwest::Result<Response> {
    bench.request(Method::POST, SNAPSHOT).json(&free_morning("R-7", day(9))).send().await
}

fn is_published(bench: &Bench) -> bool {
    bench.sim.inspect(|state| state.published(FIRST, "R-7", day(9)).is_some())
}

#[tokio::test]
async fn a_refused_connection_has_no_effect() {
    let bench = Bench::configured().await;
    bench.sim.add_fault(FaultRule::once(Fault::Refuse));
    assert!(publish(&bench).await.is_err());
    assert!(!is_published(&bench));
    let last = bench.sim.inspect(|state| state.exchanges().next_back().cloned()).unwrap();
    assert_eq!((last.status, last.took_effect), (None, false));
    assert_eq!(publish(&bench).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_effect() {
    let bench = Bench::configured().await;
    bench.sim.add_fault(FaultRule::once(Fault::CutAfterEffect).on("POST", "/availability/*"));
    bench.get("/requests").await;
    assert!(publish(&bench).await.is_err());
    assert!(is_published(&bench));
    let last = bench.sim.inspect(|state| state.exchanges().next_back().cloned()).unwrap();
    assert_eq!((last.status, last.took_effect), (Some(200), true));
}

#[tokio::test]
async fn statuses_come_without_effect() {
    let bench = Bench::configured().await;
    for (fault, status) in [
        (Fault::Unauthorised, 401),
        (Fault::Forbidden, 403),
        (Fault::TooManyRequests { retry_after_seconds: Some(7) }, 429),
        (Fault::ServerError, 500),
        (Fault::Unavailable { retry_after_seconds: None }, 503),
        (Fault::Redirect { to: "http://127.0.0.1:9/".to_owned() }, 302),
    ] {
        bench.sim.add_fault(FaultRule::once(fault.clone()));
        let response = publish(&bench).await.unwrap();
        assert_eq!(response.status(), status);
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("retry-after"), (status == 429).then_some("7"));
        assert_eq!(header("location"), (status == 302).then_some("http://127.0.0.1:9/"));
    }
    assert!(!is_published(&bench));
    assert_eq!(bench.sim.inspect(|state| state.requests(FIRST, "POST", SNAPSHOT)), 7);
    assert_eq!(bench.sim.inspect(|state| state.refusals().count()), 0);
}

#[tokio::test]
async fn garbled_and_truncated_answers_cannot_be_read() {
    let bench = Bench::configured().await;
    bench.book(at(4, 10, 15));
    bench.sim.add_fault(FaultRule::once(Fault::GarbledJson));
    let garbled = bench.request(Method::GET, "/requests/bookings").send().await.unwrap();
    assert_eq!(garbled.status(), 200);
    assert!(garbled.json::<Value>().await.unwrap_err().is_decode());

    bench.sim.add_fault(FaultRule::once(Fault::TruncatedBody));
    let truncated = bench.request(Method::GET, "/requests/bookings").send().await.unwrap();
    assert_eq!(truncated.status(), 200);
    assert!(truncated.bytes().await.is_err());

    bench.sim.add_fault(FaultRule::once(Fault::TruncatedBody));
    let truncated = publish(&bench).await.unwrap();
    assert!(truncated.bytes().await.is_err());
    assert!(is_published(&bench));
}

#[tokio::test]
async fn lists_can_lie() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.sim.add_fault(FaultRule::once(Fault::DuplicateItems));
    bench.sim.add_fault(FaultRule::once(Fault::WrongPageTotals { total_pages: 9, total: 812 }));
    let list = bench.get("/requests/bookings").await;
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|item| &item["bookingId"]).collect();
    assert_eq!(ids, [booking, booking]);
    assert_eq!(list["page"], json!({"currentPage": 1, "totalPages": 9, "perPage": 100, "total": 812}));
}

#[tokio::test]
async fn a_caller_that_gives_up_on_a_slow_request_leaves_no_effect() {
    let bench = Bench::configured().await;
    bench.sim.add_fault(FaultRule::always(Fault::Slow { milliseconds: 60_000 }).on("POST", SNAPSHOT));
    let request = bench
        .request(Method::POST, SNAPSHOT)
        .json(&free_morning("R-7", day(9)))
        .timeout(Duration::from_millis(100));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert!(!is_published(&bench));
}

#[tokio::test]
async fn switching_a_slow_fault_off_lets_the_request_go_on() {
    let bench = Bench::configured().await;
    let id = bench.sim.add_fault(FaultRule::always(Fault::Slow { milliseconds: 60_000 }));
    let struck = async {
        let waiting = |state: &SimState| state.faults().active()[0].struck == 1;
        bench.sim.wait_until(waiting, SOON).await.unwrap();
        assert!(!is_published(&bench));
        assert!(bench.sim.remove_fault(id));
    };
    let (response, ()) = tokio::join!(publish(&bench), struck);
    assert_eq!(response.unwrap().status(), 200);
    assert!(is_published(&bench));
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_effect_and_stopping_does_not_wait_for_it() {
    let bench = Bench::configured().await;
    bench.sim.add_fault(FaultRule::always(Fault::SlowAnswer { milliseconds: 60_000 }));
    let request = bench.request(Method::POST, SNAPSHOT).json(&free_morning("R-7", day(9))).send();
    let sending = tokio::spawn(request);
    let published = |state: &SimState| state.published(FIRST, "R-7", day(9)).is_some();
    bench.sim.wait_until(published, SOON).await.unwrap();
    tokio::time::timeout(SOON, bench.sim.stop()).await.unwrap();
    assert!(sending.await.unwrap().is_err());
}

#[tokio::test]
async fn a_fault_strikes_one_practice_and_the_nth_request_only() {
    let bench = Bench::configured().await;
    bench.sim.add_fault(
        FaultRule::always(Fault::ServerError).for_account(FIRST).on("GET", "/requests").after(1, 1),
    );
    let poll = async |practice: &str| {
        bench.request_of(practice, Method::GET, "/requests").send().await.unwrap().status().as_u16()
    };
    assert_eq!(poll(FIRST).await, 200);
    assert_eq!(poll(SECOND).await, 200);
    assert_eq!(poll(FIRST).await, 500);
    assert_eq!(poll(FIRST).await, 200);
    bench.sim.add_fault(FaultRule::always(Fault::Refuse));
    bench.sim.clear_faults();
    assert_eq!(poll(FIRST).await, 200);
}
