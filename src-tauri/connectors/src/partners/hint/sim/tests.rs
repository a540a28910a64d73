//! Raw requests against the simulator: each refusal and each behaviour of the contract sheet.

use chrono::{TimeDelta, TimeZone, Utc};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use super::*;
use crate::sim::testing::{Hand, client};

const TOKEN: &str = "token-of-the-test";

struct Bench {
    sim: HintSim,
    hand: Hand,
    http: Client,
}

impl Bench {
    async fn start() -> Self {
        let hand = Hand::at(Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap());
        let mut config = HintSimConfig::one_practice("pra-EXAMPLE1", "Harbour Direct Care", TOKEN);
        config.keys.push(("partner".to_owned(), KeyFamily::Partner));
        config.keys.push(("revoked".to_owned(), KeyFamily::Revoked));
        let sim = HintSim::start(config, hand.clock()).await.unwrap();
        Self { sim, hand, http: client() }
    }

    async fn send(&self, method: Method, path: &str, key: &str, body: Option<&Value>) -> Response {
        self.hand.pass(TimeDelta::seconds(1));
        let request = self.http.request(method, format!("{}{path}", self.sim.base_url())).bearer_auth(key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.send(Method::GET, path, TOKEN, None).await).await
    }

    async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.send(Method::PATCH, path, TOKEN, Some(&body)).await).await
    }

    fn last_mistake(&self) -> String {
        self.sim
            .inspect(|state| state.mistakes().next_back().map(|mistake| mistake.reason.clone()))
            .unwrap_or_default()
    }
}

async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn keys_are_told_apart() {
    let bench = Bench::start().await;
    for (key, status) in [(TOKEN, 200), ("partner", 428), ("revoked", 401), ("nobodys", 401)] {
        let (answered, body) = read(bench.send(Method::GET, "/provider/practice", key, None).await).await;
        assert_eq!(answered, status, "{key}");
        assert!(status == 200 || body["status"] == status, "{body}");
    }
    let (_, practice) = bench.get("/provider/practice").await;
    assert_eq!((&practice["id"], &practice["name"]), (&json!("pra-EXAMPLE1"), &json!("Harbour Direct Care")));
}

#[tokio::test]
async fn lists_are_bare_ten_at_a_time_and_counted_in_headers() {
    let bench = Bench::start().await;
    for number in 0..25 {
        bench.hand.pass(TimeDelta::seconds(1));
        let status = if number < 3 { "archived" } else { "active" };
        bench.sim.add_patient("Many", &format!("p{number}"), None, &json!({ "membership_status": status }));
    }
    let answer = bench.send(Method::GET, "/provider/patients", TOKEN, None).await;
    assert_eq!(
        (&answer.headers()["x-count"], &answer.headers()["x-total-count"]),
        (&"10".parse().unwrap(), &"22".parse().unwrap())
    );
    assert_eq!(answer.json::<Vec<Value>>().await.unwrap().len(), 10);
    let names = async |query: &str| -> Vec<String> {
        let (_, rows) = bench.get(&format!("/provider/patients?{query}")).await;
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["last_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("filter=all&limit=1000").await.len(), 25);
    assert_eq!(names("filter=archived&limit=100&sort=updated_at").await, ["p0", "p1", "p2"]);
    assert_eq!(names("limit=2&offset=1&sort=-updated_at").await, ["p23", "p22"]);
    assert_eq!(names("last_name=P7&limit=5").await, ["p7"]);
    // Without an order, pages do not fit together.
    assert_ne!(names("limit=10").await, names("limit=10").await);
    assert_eq!(bench.get("/provider/patients?sort=name").await.0, 400);
    bench.get("/provider/patients?per_page=5&sort=updated_at").await;
    assert!(bench.last_mistake().contains("per_page"));
}

#[tokio::test]
async fn time_spans_are_heeded_in_one_spelling() {
    let bench = Bench::start().await;
    bench.sim.add_patient("Early", "Bird", None, &json!({}));
    bench.hand.pass(TimeDelta::hours(1));
    bench.sim.add_patient("Late", "Owl", None, &json!({}));
    let brackets = "/provider/patients?sort=updated_at&updated_at[gte]=2026-03-01T22:30:00Z";
    let json = "/provider/patients?sort=updated_at&updated_at=%7B%22gte%22:%222026-03-01T22:30:00Z%22%7D";
    for (spans, found) in [
        (Spans::Brackets, [Some(1), Some(2)]),
        (Spans::Json, [Some(2), Some(1)]),
        (Spans::Ignored, [Some(2), Some(2)]),
        (Spans::Refused, [None, None]),
    ] {
        bench.sim.set_conduct(|conduct| conduct.spans = spans);
        for (path, found) in [brackets, json].into_iter().zip(found) {
            let (status, rows) = bench.get(path).await;
            assert_eq!(found, (status == 200).then(|| rows.as_array().unwrap().len()), "{spans:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_record_id_is_unique_and_opens_the_record() {
    let bench = Bench::start().await;
    let ravi = bench.sim.add_patient("Ravi", "Calloway", None, &json!({}));
    let ida = bench.sim.add_patient("Ida", "Stone", None, &json!({}));
    let link = |first: &str, last: &str| json!({ "first_name": first, "last_name": last, "integration_record_id": "book-1" });
    let (status, body) = bench.patch(&format!("/provider/patients/{ravi}"), link("Ravi", "Calloway")).await;
    assert_eq!((status, &body["integration_sync_status"]), (200, &json!("synced")));
    assert_eq!(bench.get("/provider/patients/book-1").await.1["id"], ravi);
    let (status, body) = bench.patch(&format!("/provider/patients/{ida}"), link("Ida", "Stone")).await;
    assert_eq!(
        (status, &body["message"]),
        (422, &json!("Validation failed: integration record id has already been taken"))
    );
    // Null takes it away; the same by our own name.
    let (status, _) = bench
        .patch(
            "/provider/patients/book-1",
            json!({ "first_name": "Ravi", "last_name": "Calloway", "integration_record_id": null }),
        )
        .await;
    assert_eq!((status, bench.get("/provider/patients/book-1").await.0), (200, 404));
    let before = bench.sim.inspect(|state| state.mistakes().count());
    assert_eq!(before, 1, "the clash; asking for what is not there is none");
}

#[tokio::test]
async fn what_somebody_will_regret_is_written_down() {
    let bench = Bench::start().await;
    let ravi = bench.sim.add_patient("Ravi", "Calloway", None, &json!({ "integration_record_id": "old" }));
    let path = format!("/provider/patients/{ravi}");
    let with = |field: &str, value: Value| {
        let mut body = json!({ "first_name": "Ravi", "last_name": "Calloway" });
        body[field] = value;
        body
    };
    for (body, reason) in [
        (with("integration_record_id", json!("new")), "overwritten"),
        (with("integration_record_id", json!("pat-1")), "overwritten"),
        (with("import_id", json!("1")), "given up"),
        (with("external_link_id", json!("1")), "given up"),
        (with("ssn", json!({ "number": "1" })), "social security"),
        (with("first_name", json!("Ravinder")), "nobody asked"),
        (with("address_line_1", json!("x")), "not a field"),
    ] {
        assert_eq!(bench.patch(&path, body).await.0, 200);
        let all: Vec<String> =
            bench.sim.inspect(|state| state.mistakes().map(|mistake| mistake.reason.clone()).collect());
        assert!(all.iter().any(|known| known.contains(reason)), "{reason}: {all:?}");
    }
    assert_eq!(bench.sim.record(Kind::Patient, &ravi).unwrap()["import_id"], Value::Null, "it has no effect");
    for body in [
        json!({ "integration_record_id": "x" }),
        with("last_name", json!("")),
        with("integration_record_id", json!(7)),
    ] {
        assert_eq!(bench.patch(&path, body).await.0, 422);
    }
    let gone = bench.send(Method::DELETE, &path, TOKEN, None).await;
    assert_eq!(gone.status(), 404, "this program has no business to delete");
}

#[tokio::test]
async fn matching_needs_both_names_and_finds_nobody_put_away() {
    let bench = Bench::start().await;
    bench.sim.add_patient("Ravi", "Calloway", Some("1979-01-30"), &json!({}));
    bench.sim.add_patient(
        "Rani",
        "Calloway",
        Some("1979-01-30"),
        &json!({ "membership_status": "archived" }),
    );
    let ask = async |body: Value| {
        read(bench.send(Method::POST, "/provider/patients/matching", TOKEN, Some(&body)).await).await
    };
    let ravi = json!({ "first_name": "ravi", "last_name": "CALLOWAY", "dob": "1979-01-30" });
    assert_eq!(ask(ravi.clone()).await.1.as_array().unwrap().len(), 1);
    bench.sim.set_conduct(|conduct| conduct.matching = Matching::WithArchived);
    assert_eq!(ask(ravi.clone()).await.1.as_array().unwrap().len(), 2);
    bench.sim.set_conduct(|conduct| conduct.matching = Matching::Nobody);
    assert_eq!(ask(ravi).await.1, json!([]));
    for odd in
        [json!({ "first_name": "Ravi" }), json!({ "first_name": "R", "last_name": "C", "dob": "01/30/1979" })]
    {
        assert_eq!(ask(odd).await.0, 422);
    }
}

#[tokio::test]
async fn a_merge_moves_our_name_or_leaves_it() {
    for moves in [true, false] {
        let bench = Bench::start().await;
        let from =
            bench.sim.add_patient("Ravi", "Calloway", None, &json!({ "integration_record_id": "book-1" }));
        let into = bench.sim.add_patient("Ravi", "Calloway", None, &json!({}));
        bench.sim.merge(&from, &into, moves).unwrap();
        assert_eq!(bench.get(&format!("/provider/patients/{from}")).await.1["merged_into"]["id"], into);
        assert_eq!(
            bench.get("/provider/patients/book-1").await.1["id"],
            if moves { &into } else { &from }[..]
        );
        let (_, listed) = bench.get("/provider/patients?sort=updated_at").await;
        assert_eq!(listed.as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn haste_is_refused_without_a_word_on_when_to_come_back() {
    let bench = Bench::start().await;
    bench.sim.set_conduct(|conduct| conduct.requests_per_second = Some(1));
    bench.get("/provider/practice").await;
    let hasty = bench.http.get(format!("{}/provider/practice", bench.sim.base_url())).bearer_auth(TOKEN);
    let answer = hasty.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (429, None));
    assert_eq!(answer.json::<Value>().await.unwrap()["message"], "Enhance your calm");
    assert_eq!(bench.sim.inspect(SimState::throttled), 1);
    assert_eq!(bench.get("/provider/practice").await.0, 200);
}
