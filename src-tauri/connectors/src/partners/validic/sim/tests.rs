//! The simulator, by plain HTTP.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Shape, ValidicSim, ValidicSimConfig};
use crate::sim::testing::{Hand, client};

const ORG: &str = "60c76d42c31ed70001926000";
const TOKEN: &str = "a-token-of-a-made-up-organisation";

fn start() -> DateTime<Utc> {
    "2026-11-27T01:10:00Z".parse().unwrap()
}

async fn sim() -> (ValidicSim, Hand) {
    let hand = Hand::at(start());
    (ValidicSim::start(ValidicSimConfig::one(ORG, TOKEN), hand.clock()).await.unwrap(), hand)
}

async fn ask(sim: &ValidicSim, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
    let request = client().request(method, format!("{}{path}", sim.base_url()));
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn of(path: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("/organizations/{ORG}{path}{sign}token={TOKEN}")
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_user_is_made_once_found_by_name_and_removed_for_good() {
    let (sim, _) = sim().await;
    let user =
        json!({ "uid": "vc-made-up", "location": { "timezone": "Australia/Perth", "country_code": "AU" } });
    let (status, made) = ask(&sim, Method::POST, &of("/users"), Some(user.clone())).await;
    assert_eq!(status, 201, "{made}");
    let made = json_of(&made);
    assert_eq!((&made["uid"], &made["location"]["country_code"]), (&json!("vc-made-up"), &json!("AU")));
    let (status, again) = ask(&sim, Method::POST, &of("/users"), Some(user)).await;
    assert_eq!((status, again.as_str()), (422, r#"{"errors":{"uid":["already exists"]}}"#));
    assert_eq!(ask(&sim, Method::GET, &of("/users/vc-made-up"), None).await.0, 200);
    let by_id = of(&format!("/users/{}", made["id"].as_str().unwrap()));
    assert_eq!(ask(&sim, Method::GET, &by_id, None).await, (404, r#"{"errors":["not found"]}"#.into()));
    let (status, gone) = ask(&sim, Method::DELETE, &of("/users/vc-made-up"), None).await;
    assert!(status == 200 && json_of(&gone)["deleted_at"].is_string(), "{gone}");
    assert_eq!(ask(&sim, Method::DELETE, &of("/users/vc-made-up"), None).await.0, 404);
}

#[tokio::test]
async fn a_page_number_is_a_page_number_and_users_in_a_list_have_no_sources() {
    let (sim, _) = sim().await;
    for number in 0..5 {
        let user = json!({ "uid": format!("vc-number-{number}") });
        assert_eq!(ask(&sim, Method::POST, &of("/users"), Some(user)).await.0, 201);
    }
    let (_, page) = ask(&sim, Method::GET, &of("/users?limit=2&offset=1"), None).await;
    let page = json_of(&page);
    let uids: Vec<&str> =
        page["data"].as_array().unwrap().iter().map(|user| user["uid"].as_str().unwrap()).collect();
    assert_eq!(uids, ["vc-number-2", "vc-number-3"]);
    assert_eq!(page["meta"]["total"], 5);
    assert!(page["data"][0].get("sources").is_none() && page["data"][0].get("marketplace").is_none());
}

#[tokio::test]
async fn a_new_page_ends_the_former_one_and_devices_stay() {
    let (sim, _) = sim().await;
    let (_, made) = ask(&sim, Method::POST, &of("/users"), Some(json!({ "uid": "vc-made-up" }))).await;
    let page = json_of(&made)["marketplace"]["url"].as_str().unwrap().to_owned();
    let token = json_of(&made)["marketplace"]["token"].as_str().unwrap().to_owned();
    assert_eq!(client().get(&page).send().await.unwrap().status(), StatusCode::OK);
    let pressed =
        client().post(format!("{}/page/{token}/connect/garmin", sim.base_url())).send().await.unwrap();
    assert_eq!(pressed.status(), StatusCode::SEE_OTHER);
    let (status, renewed) = ask(&sim, Method::POST, &of("/users/vc-made-up/marketplace"), None).await;
    assert_eq!(status, 201);
    assert_eq!(client().get(&page).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let renewed = json_of(&renewed)["marketplace"]["url"].as_str().unwrap().to_owned();
    assert!(client().get(renewed).send().await.unwrap().text().await.unwrap().contains("Disconnect"));
    let (_, user) = ask(&sim, Method::GET, &of("/users/vc-made-up"), None).await;
    assert_eq!(json_of(&user)["sources"][0]["type"], "garmin");
}

#[tokio::test]
async fn a_wrong_token_a_wrong_organisation_and_a_spent_hour_are_told_apart() {
    let (sim, hand) = sim().await;
    let path = |org: &str, token: &str| format!("/organizations/{org}/users?limit=1&token={token}");
    let (status, said) = ask(&sim, Method::GET, &path(ORG, "wrong"), None).await;
    assert_eq!((status, said.as_str()), (403, r#"{"message":"Invalid authentication credentials"}"#));
    let (status, said) = ask(&sim, Method::GET, &path("another", TOKEN), None).await;
    assert_eq!(status, 401);
    assert!(said.starts_with(r#"{"errors":["Token is not authorized"#), "{said}");
    sim.set_conduct(|conduct| conduct.per_hour = 4);
    let left = async || {
        let answer = client().get(format!("{}{}", sim.base_url(), of("/users"))).send().await.unwrap();
        (answer.status().as_u16(), answer.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned())
    };
    assert_eq!([left().await, left().await, left().await].map(|(status, _)| status), [200, 200, 429]);
    assert_eq!(sim.read(|state| state.beyond), 1);
    hand.pass(TimeDelta::hours(1));
    assert_eq!(left().await, (200, "3".to_owned()));
}

#[tokio::test]
async fn refusals_come_in_every_shape() {
    let (sim, _) = sim().await;
    let mut shapes = std::collections::BTreeSet::new();
    for shape in Shape::ALL {
        sim.set_conduct(|conduct| conduct.shape = shape);
        let (status, said) = ask(&sim, Method::POST, &of("/users"), Some(json!({ "uid": "-" }))).await;
        assert_eq!(status, 422);
        assert!(said.contains("is invalid"), "{said}");
        shapes.insert(said);
    }
    assert_eq!(shapes.len(), 5, "{shapes:?}");
}

#[tokio::test]
async fn connections_of_the_whole_organisation_come_by_the_days_of_utc() {
    let (sim, hand) = sim().await;
    for uid in ["vc-first", "vc-second"] {
        ask(&sim, Method::POST, &of("/users"), Some(json!({ "uid": uid }))).await;
        assert!(sim.connect(uid, "fitbit"));
    }
    hand.pass(TimeDelta::days(1));
    assert!(sim.disconnect("vc-first", "fitbit"));
    let asked = async |query: &str| {
        json_of(&ask(&sim, Method::GET, &of(&format!("/connections{query}")), None).await.1)
    };
    let both = asked("?start_date=2026-11-27&end_date=2026-11-28").await;
    assert_eq!(both["meta"]["total"], 3);
    assert_eq!(both["connections"][2]["action"], "delete");
    assert_eq!(asked("").await["meta"]["total"], 1, "today alone");
    let (status, _) =
        ask(&sim, Method::GET, &of("/connections?start_date=2026-10-28&end_date=2026-11-27"), None).await;
    assert_eq!(status, 400, "31 days");
}

#[tokio::test]
async fn the_form_of_2015_takes_its_token_in_the_body_and_names_things_otherwise() {
    let (sim, hand) = sim().await;
    let path = format!("/v1/organizations/{ORG}/users.json");
    let user = json!({ "user": { "uid": "vc-made-up" }, "access_token": TOKEN });
    let (status, made) = ask(&sim, Method::POST, &path, Some(user.clone())).await;
    assert_eq!(status, 201);
    let id = json_of(&made)["user"]["_id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&sim, Method::POST, &path, Some(user.clone())).await.0, 409);
    let refresh = format!("/v1/organizations/{ORG}/users/{id}/refresh_token.json?access_token={TOKEN}");
    let (status, renewed) = ask(&sim, Method::GET, &refresh, None).await;
    assert!(status == 200 && json_of(&renewed)["user"]["authentication_token"].is_string(), "{renewed}");
    let removal = format!("/v1/organizations/{ORG}/users/{id}.json");
    assert_eq!(ask(&sim, Method::DELETE, &removal, Some(json!({ "access_token": TOKEN }))).await.0, 200);
    assert_eq!(ask(&sim, Method::POST, &path, Some(user.clone())).await.0, 409, "reserved for five minutes");
    hand.pass(TimeDelta::minutes(6));
    assert_eq!(ask(&sim, Method::POST, &path, Some(user)).await.0, 201);
}
