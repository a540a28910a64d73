//! Credentials and tokens.

use super::*;

#[tokio::test]
async fn a_token_is_given_out_for_the_form_that_the_contract_shows() {
    let bench = Bench::start().await;
    let answer: Value = bench.ask_token(&form()).await.json().await.unwrap();
    assert_eq!((answer["token_type"].as_str(), answer["expires_in"].as_i64()), (Some("Bearer"), Some(7200)));
    let issued = bench.sim.inspect(|state| state.tokens().to_vec());
    assert_eq!(issued.len(), 2);
    assert_eq!(answer["access_token"], issued[1].token);
    assert_eq!(issued[1].expires_at, bench.hand.now() + TimeDelta::hours(2));
    assert_eq!(bench.sim.inspect(|state| state.requests_of(CLIENT, "POST", "/oauth/token")), 2);
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn whatever_is_wrong_with_the_form_gets_little_explanation() {
    let bench = Bench::start().await;
    let replaced = |name: &str, value: &'static str| {
        let pairs = form().into_iter();
        pairs.map(|(key, old)| (key, if key == name { value } else { old })).collect::<Vec<_>>()
    };
    let without = |name: &str| {
        let mut pairs = form();
        pairs.retain(|(key, _)| *key != name);
        pairs
    };
    let twice = [form(), vec![("audience", "vald-api-external")]].concat();
    for (form, status, why) in [
        (replaced("client_secret", "other"), 401, "secret is wrong"),
        (replaced("client_id", "other"), 401, "secret is wrong"),
        (replaced("client_id", "old"), 401, "before March 2026"),
        (replaced("client_id", "expired"), 401, "have expired"),
        (without("audience"), 403, "audience is missing"),
        (replaced("audience", "vald-api"), 403, "audience is not"),
        (without("grant_type"), 400, "Grant_type"),
        (replaced("grant_type", "password"), 400, "client_credentials"),
        (without("client_secret"), 400, "Client_secret"),
        (twice, 400, "given once"),
    ] {
        let response = bench.ask_token(&form).await;
        assert_eq!(response.status(), status, "{form:?}");
        let told = response.text().await.unwrap();
        assert!(!told.contains(why), "{told} explains it");
        let noted = bench.last_mistake();
        assert!(noted.reason.contains(why), "{noted:?} does not say {why:?}");
        assert_eq!((noted.status, noted.host), (status, Host::Token));
    }
    assert_eq!(bench.sim.inspect(|state| state.tokens().len()), 1);
}

#[tokio::test]
async fn only_a_form_at_the_right_address_is_heard() {
    let bench = Bench::start().await;
    let body = json!(form().into_iter().collect::<BTreeMap<_, _>>());
    assert_eq!(status_of(bench.http.post(bench.sim.token_url()).json(&body)).await, 400);
    let form = "grant_type=client_credentials&audience=vald-api-external";
    let basic = bench.http.post(bench.sim.token_url()).basic_auth(CLIENT, Some(SECRET)).body(form);
    let basic = basic.header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(status_of(basic).await, 401);
    assert!(bench.last_mistake().reason.contains("belong into the form"));
    assert_eq!(status_of(bench.http.post(bench.sim.former_token_url()).body(form)).await, 401);
    assert!(bench.last_mistake().reason.contains("dead"));
    assert_eq!(status_of(bench.http.get(bench.sim.token_url())).await, 405);
    let scoped = bench.ask_token(&[super::form(), vec![("scope", "all")]].concat()).await;
    assert_eq!(scoped.status(), 200);
    assert!(bench.last_mistake().reason.contains("scope is not a parameter"));
}

#[tokio::test]
async fn a_token_ends_with_its_time_or_when_it_is_revoked() {
    let mut bench = Bench::conducting(|conduct| conduct.token_life = TimeDelta::seconds(90)).await;
    let status = async |bench: &Bench| status_of(bench.tenants(Method::GET, "/tenants")).await;
    bench.hand.pass(TimeDelta::seconds(89));
    assert_eq!(status(&bench).await, 200);
    bench.hand.pass(TimeDelta::seconds(1));
    assert_eq!(status(&bench).await, 401);
    assert!(bench.last_mistake().reason.contains("expired"));
    bench.token = bench.new_token().await;
    assert_eq!(status(&bench).await, 200);
    bench.sim.revoke_tokens();
    assert_eq!(status(&bench).await, 401);
    assert!(bench.last_mistake().reason.contains("revoked"));
    bench.token = bench.new_token().await;
    assert_eq!(status(&bench).await, 200);
}

#[tokio::test]
async fn credentials_that_end_leave_their_tokens_alone() {
    let bench = Bench::start().await;
    bench.sim.set_standing(CLIENT, Standing::Expired).unwrap();
    assert_eq!(bench.ask_token(&form()).await.status(), 401);
    assert_eq!(status_of(bench.tenants(Method::GET, "/tenants")).await, 200);
    bench.sim.set_standing(CLIENT, Standing::Good).unwrap();
    bench.sim.replace_secret(CLIENT, "another").unwrap();
    assert_eq!(bench.ask_token(&form()).await.status(), 401);
    assert!(bench.sim.set_standing("nobody", Standing::Good).is_err());
}

#[tokio::test]
async fn every_call_needs_a_bearer_token() {
    let mut bench = Bench::start().await;
    let url = format!("{}/profiles?TenantId={TENANT}", bench.sim.profile_url(Region::Aue));
    let bare = bench.http.get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()["www-authenticate"], "Bearer");
    assert_eq!(bare.json::<Value>().await.unwrap()["title"], "Unauthorized");
    let basic = bench.http.get(&url).basic_auth(CLIENT, Some(SECRET));
    assert_eq!(status_of(basic).await, 401);
    for (token, why) in [("${accessToken}", "placeholder"), ("made-up", "never given out")] {
        bench.token = token.to_owned();
        for path in ["/profiles", "/version", "/liveness"] {
            assert_eq!(status_of(bench.profiles(Method::GET, path)).await, 401, "{path}");
        }
        assert_eq!(status_of(bench.tenants(Method::GET, "/tenants")).await, 401);
        assert!(bench.last_mistake().reason.contains(why));
    }
}
