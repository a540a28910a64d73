//! Raw requests against the simulator: each refusal and each behaviour of the contract sheet.

use chrono::{NaiveDate, TimeZone};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::{Hand, client};

const SOON: Duration = Duration::from_secs(5);
const CLIENT: &str = "clinic-client";
const SECRET: &str = "clinic-secret";
/// In Australia, opened by the client.
const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// In the United States, opened by the client.
const ABROAD: &str = "22222222-2222-4333-8444-555555555555";
/// In Australia, somebody else's.
const FOREIGN: &str = "33333333-2222-4333-8444-555555555555";
const NOBODY: &str = "99999999-0000-4000-8000-000000000001";

/// A simulator with three tenants, a clock that is moved by hand, and a plain HTTP client with a token.
struct Bench {
    sim: ValdSim,
    hand: Hand,
    http: Client,
    token: String,
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn config() -> ValdSimConfig {
    let tenant = |id: &str, name: &str, region| SimTenant {
        id: id.to_owned(),
        name: name.to_owned(),
        sport: "AlliedHealth".to_owned(),
        region,
    };
    let mut config =
        ValdSimConfig::one_tenant(tenant(TENANT, "Harbour <Physio> & Co", Region::Aue), CLIENT, SECRET);
    config.credentials[0].tenant_ids.push(ABROAD.to_owned());
    config.tenants.push(tenant(ABROAD, "Boston Physio", Region::Use));
    config.tenants.push(tenant(FOREIGN, "Somebody else", Region::Aue));
    for (client_id, standing) in [("old", Standing::BeforeMarch2026), ("expired", Standing::Expired)] {
        config.credentials.push(SimCredentials {
            client_id: client_id.to_owned(),
            client_secret: SECRET.to_owned(),
            standing,
            tenant_ids: vec![TENANT.to_owned()],
        });
    }
    config
}

fn form() -> Vec<(&'static str, &'static str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", SECRET),
        ("audience", "vald-api-external"),
    ]
}

/// An import that is right in everything.
fn tomasz() -> Value {
    json!({
        "tenantId": TENANT,
        "syncId": "clinic7-48213",
        "givenName": "Tomasz",
        "familyName": "Ferreira",
        "dateOfBirth": "1991-06-17T00:00:00Z",
        "sex": "Male",
        "email": "tomasz@example.test",
        "externalId": "48213",
        "isCreatedByUserOver18YearsOld": true,
        "isGuardianConsentGiven": null,
        "isPhotoVideoConsentGiven": false,
    })
}

/// The same with other fields laid over it.
fn tomasz_but(fields: Value) -> Value {
    let mut body = tomasz();
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The same without a field.
fn tomasz_without(field: &str) -> Value {
    let mut body = tomasz();
    body.as_object_mut().unwrap().remove(field).unwrap();
    body
}

impl Bench {
    async fn start() -> Self {
        Self::conducting(|_| {}).await
    }

    async fn conducting(change: impl FnOnce(&mut Conduct)) -> Self {
        // Monday, 2 March 2026, 09:00 in Melbourne.
        let hand = Hand::at(Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap());
        let mut config = config();
        config.conduct.throttle = None;
        change(&mut config.conduct);
        let sim = ValdSim::start(config, hand.clock()).await.unwrap();
        let mut bench = Self { sim, hand, http: client(), token: String::new() };
        bench.token = bench.new_token().await;
        bench
    }

    async fn ask_token(&self, form: &[(&str, &str)]) -> Response {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(self.sim.token_url());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form).send().await.unwrap()
    }

    async fn new_token(&self) -> String {
        let response = self.ask_token(&form()).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn profiles(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.profiles_in(Region::Aue, method, path)
    }

    fn profiles_in(&self, region: Region, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sim.profile_url(region));
        self.http.request(method, url).bearer_auth(&self.token)
    }

    fn tenants(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.tenants_in(Region::Aue, method, path)
    }

    fn tenants_in(&self, region: Region, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sim.tenants_url(region));
        self.http.request(method, url).bearer_auth(&self.token)
    }

    async fn import(&self, body: &Value) -> Response {
        self.profiles(Method::POST, "/profiles/import").json(body).send().await.unwrap()
    }

    async fn imported(&self, body: &Value) {
        assert_eq!(self.import(body).await.status(), 204, "{body}");
    }

    /// Imports what must be refused with 400, and checks that `field` is named and says `why`.
    async fn import_refused(&self, body: &Value, field: &str, why: &str) {
        let response = self.import(body).await;
        assert_eq!(response.status(), 400, "{body} was taken");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["title"], "One or more validation errors occurred.");
        let texts = problem["errors"][field].to_string();
        assert!(texts.contains(why), "{body}: {problem} does not say {why:?} of {field}");
    }

    /// The profiles of the first tenant that a query finds.
    async fn found(&self, query: &str) -> Vec<Value> {
        let path = format!("/profiles?TenantId={TENANT}{query}");
        let response = self.profiles(Method::GET, &path).send().await.unwrap();
        if response.status() == 204 {
            return Vec::new();
        }
        assert_eq!(response.status(), 200, "{path}");
        let mut answer: Value = response.json().await.unwrap();
        answer["profiles"].as_array_mut().unwrap().drain(..).collect()
    }

    async fn id_of(&self, sync_id: &str) -> String {
        let found = self.found(&format!("&SyncId={sync_id}")).await;
        found[0]["profileId"].as_str().unwrap().to_owned()
    }

    async fn by_id(&self, profile_id: &str) -> Value {
        let path = format!("/profiles/{profile_id}?tenantId={TENANT}");
        json_of(self.profiles(Method::GET, &path)).await
    }

    async fn groups_call(&self, method: Method, profile_id: &str, group_ids: &[&str]) -> StatusCode {
        let body = json!({"tenantId": TENANT, "profileId": profile_id, "groupIds": group_ids});
        status_of(self.profiles(method, "/profiles/groups").json(&body)).await
    }

    async fn merge(&self, from: &str, into: &str) -> StatusCode {
        let body = json!({"tenantId": TENANT, "fromProfileId": from, "toProfileId": into});
        status_of(self.profiles(Method::POST, "/profiles/merge").json(&body)).await
    }

    fn last_mistake(&self) -> Mistake {
        self.sim.inspect(|state| state.mistakes().next_back().cloned()).expect("a mistake was noted")
    }

    fn mistakes(&self) -> usize {
        self.sim.inspect(|state| state.mistakes().count())
    }
}

async fn status_of(request: reqwest::RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

mod groups;
mod imports;
mod landing;
mod merging;
mod misbehaviour;
mod profiles;
mod refusals;
mod tokens;
