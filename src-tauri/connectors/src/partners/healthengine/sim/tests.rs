//! Raw requests against the simulator: each refusal and each behaviour of the contract sheet.

use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use super::*;
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::{Hand, client};

const SOON: Duration = Duration::from_secs(5);
const FIRST: &str = "1001";
const SECOND: &str = "1002";
const THIRD: &str = "1003";

/// A simulator with three practices, a clock that is moved by hand, and a plain HTTP client.
struct Bench {
    sim: HealthengineSim,
    hand: Hand,
    http: Client,
}

fn practices() -> Vec<SimPractice> {
    let practice = |id: &str, zone: Tz, consent| SimPractice {
        name: format!("Practice {id}"),
        practice_id: id.to_owned(),
        practice_key: format!("key-of-{id}"),
        api_key: "vendor-key".to_owned(),
        time_zone: zone,
        consent,
    };
    vec![
        practice(FIRST, chrono_tz::Australia::Melbourne, Consent::Granted),
        practice(SECOND, chrono_tz::Australia::Perth, Consent::Granted),
        practice(THIRD, chrono_tz::Australia::Perth, Consent::NeverGranted),
    ]
}

/// Monday, 2 March 2026, 09:00 in Melbourne.
fn monday_morning() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap()
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, number).unwrap()
}

fn at(number: u32, hour: u32, minute: u32) -> NaiveDateTime {
    day(number).and_hms_opt(hour, minute, 0).unwrap()
}

impl Bench {
    async fn start() -> Self {
        Self::with_file(None).await
    }

    async fn with_file(state_file: Option<std::path::PathBuf>) -> Self {
        let hand = Hand::at(monday_morning());
        let config = HealthengineSimConfig { port: 0, practices: practices(), state_file };
        let sim = HealthengineSim::start(config, hand.clock()).await.unwrap();
        Self { sim, hand, http: client() }
    }

    /// With two resources, two types and one published day for the first practice.
    async fn configured() -> Self {
        let bench = Self::start().await;
        bench.ok("/config/pmsResources/snapshot", two_resources()).await;
        bench.ok("/config/pmsAppointmentTypes/snapshot", two_types()).await;
        bench.ok("/availability/snapshot", free_morning("R-7", day(4))).await;
        bench
    }

    fn pass(&self, time: TimeDelta) {
        self.hand.pass(time);
    }

    fn now(&self) -> DateTime<Utc> {
        self.hand.now()
    }

    fn bare(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.sim.base_url()))
    }

    fn request_of(&self, practice: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.bare(method, path)
            .header("api-key", "vendor-key")
            .header("practice-id", practice)
            .header("practice-key", format!("key-of-{practice}"))
            .header("User-Agent", "Clinic Companion (support@example.com) DEV")
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request_of(FIRST, method, path)
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().await.unwrap()
    }

    async fn ok(&self, path: &str, body: Value) {
        let response = self.post(path, body).await;
        let status = response.status();
        assert_eq!(status, 200, "{path}: {}", response.text().await.unwrap());
    }

    /// Posts what must be refused with 400, and checks that the refusal says `why` and is written down.
    async fn refused(&self, path: &str, body: Value, why: &str) {
        let response = self.post(path, body.clone()).await;
        assert_eq!(response.status(), 400, "{path} took {body}");
        let error: Value = response.json().await.unwrap();
        let reason = error["error"].as_str().unwrap().to_owned();
        assert!(reason.contains(why), "{path}: {reason:?} does not say {why:?}");
        let noted = self.sim.inspect(|state| state.not_understood().next_back().cloned()).unwrap();
        assert_eq!((noted.path.as_str(), noted.status, noted.reason), (path, 400, reason));
    }

    fn book(&self, start: NaiveDateTime) -> i64 {
        self.sim.book(FIRST, "R-7", start, Some("STD"), &PatientDetails::default()).unwrap()
    }

    async fn confirm(&self, booking: i64) {
        self.ok(
            &format!("/bookings/{booking}/confirmInsert"),
            json!({"pmsAppointmentIds": ["884213"], "pmsPatientId": "P-5521"}),
        )
        .await;
    }

    async fn enable(&self, feature: &str) {
        self.ok(&format!("/features/{feature}/enable"), json!({})).await;
    }

    fn booking(&self, booking: i64) -> SimBooking {
        self.sim.inspect(|state| state.booking(booking).cloned()).unwrap()
    }

    fn free(&self, resource: &str, date: NaiveDate) -> Vec<String> {
        let now = self.now();
        self.sim.inspect(|state| {
            state
                .free_times(FIRST, resource, date, now)
                .iter()
                .map(|time| time.start.format("%H:%M").to_string())
                .collect()
        })
    }

    async fn desk(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}sim/{path}", self.sim.page_url());
        let response = self.http.post(url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn two_resources() -> Value {
    json!([
        {"pmsResourceId": "R-7", "pmsResourceName": "Dr Imogen Lee", "pmsPractitionerTitle": "Dr",
         "pmsPractitionerFirstname": "Imogen", "pmsPractitionerLastname": "Lee"},
        {"pmsResourceId": "R-8", "pmsResourceName": "Sam Ruiz"},
    ])
}

fn two_types() -> Value {
    json!([
        {"pmsAppointmentTypeId": "STD", "pmsAppointmentTypeName": "Standard consult", "pmsAppointmentLength": 15},
        {"pmsAppointmentTypeId": "LONG:R-7", "pmsAppointmentTypeName": "Long consult", "pmsAppointmentLength": 30,
         "pmsResourceId": "R-7"},
    ])
}

fn free_morning(resource: &str, date: NaiveDate) -> Value {
    json!({"date": date, "pmsResourceId": resource,
           "availability": [{"start": "10:00", "end": "11:00", "slotLength": 900, "pmsAppointmentTypeIds": ["STD"]}]})
}

mod answers;
mod behaviour;
mod changes;
mod documents;
mod features;
mod lifecycle;
mod misbehaviour;
mod page;
mod refusals;
mod webhooks;
