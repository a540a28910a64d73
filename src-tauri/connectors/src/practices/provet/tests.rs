//! The practice on its simulator: what is read, what is written, and what becomes of both when something goes wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm, reason = "tests")]

mod hooks;
mod reading;
mod shapes;
mod sign_in;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{AppointmentOrder, BookingKey};
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PartnerId, PracticeId, ResourceRef};
use domain::people::{PatientPlan, PersonDetails};
use domain::ports::clock::Clock;
use domain::private::{ExposeSecret, Private, SecretString};
use domain::settings::{ProvetSettings, WriteMode};
use domain::time::{Horizon, Minutes, PracticeTime, PracticeZone};
use serde_json::Value;

use super::sim::{ProvetSim, ProvetSimConfig, SimState, Table};
use super::{Provet, Setup};
use crate::http::{Deadlines, Http};
use crate::sim::testing::Hand;

/// Eleven o'clock on a Friday in Melbourne.
pub const START: &str = "2026-11-20T00:00:00Z";

/// A clock for the connector that is the simulator's as well.
pub struct HandClock(pub Hand);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    async fn sleep_until(&self, _at: DateTime<Utc>) {
        unreachable!("nothing here waits")
    }
}

/// A filled practice, and the connector to it.
pub struct Clinic {
    pub sim: ProvetSim,
    pub hand: Hand,
    pub provet: Provet,
}

pub fn zone() -> PracticeZone {
    PracticeZone::parse("Australia/Melbourne").unwrap()
}

pub fn friday() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
}

pub fn monday() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
}

pub fn week() -> Horizon {
    Horizon::from_day(friday(), 7)
}

impl Clinic {
    pub async fn new() -> Self {
        let hand = Hand::at(START.parse().unwrap());
        let config = ProvetSimConfig {
            provet_id: 9999,
            client_id: "a-client".into(),
            client_secret: "s3cret:with%signs".into(),
            redirect_url: None,
            time_zone: zone().0,
        };
        let sim = ProvetSim::start(config, hand.clock()).await.unwrap();
        sim.staff(|state, now| state.fill(friday(), now - TimeDelta::days(30)));
        let provet = Self::link(&sim, &hand, "s3cret:with%signs");
        Self { sim, hand, provet }
    }

    pub fn link(sim: &ProvetSim, hand: &Hand, secret: &str) -> Provet {
        Self::link_through(sim, hand, secret, Http::default())
    }

    fn link_through(sim: &ProvetSim, hand: &Hand, secret: &str, http: Http) -> Provet {
        let account = ProvetSettings {
            provet_id: 9999,
            client_id: "a-client".into(),
            token_url: None,
            webhook_url: None,
            redirect_url: None,
        };
        let clock = Arc::new(HandClock(hand.clone()));
        let http = http.with_clock(clock.clone());
        let setup = Setup {
            host: &sim.host(),
            account: &account,
            client_secret: Some(&SecretString::from(secret)),
            sign_in: None,
            zone: zone(),
            write: WriteMode::Api,
            locations: None,
        };
        Provet::link(&setup, &http, clock).unwrap()
    }

    /// Another program that starts with nothing in memory.
    pub fn restarted(&self) -> Provet {
        Self::link(&self.sim, &self.hand, "s3cret:with%signs")
    }

    /// Another program that waits as long as it must for each answer.
    pub fn patient(&self) -> Provet {
        let whole = Duration::from_secs(3600);
        let deadlines = Deadlines { whole, urgent: whole, ..Deadlines::default() };
        Self::link_through(&self.sim, &self.hand, "s3cret:with%signs", Http::with_deadlines(deadlines))
    }

    pub fn pass(&self, seconds: i64) {
        self.hand.pass(TimeDelta::seconds(seconds));
    }

    /// The number of whoever has this family or last name.
    pub fn named(&self, table: Table, field: &str, text: &str) -> u64 {
        self.sim.inspect(|state| *state.whose(table, field, text).first().unwrap())
    }

    pub fn vet(&self) -> u64 {
        self.named(Table::User, "last_name", "Dubois")
    }

    pub fn department(&self) -> u64 {
        self.named(Table::Department, "name", "Harbour Vets")
    }

    /// Staff enter half an hour with the second vet.
    pub fn enter(&self, at: PracticeTime, client: Option<u64>) -> u64 {
        let (vet, department) = (self.vet(), self.department());
        self.sim.staff(|state, now| {
            state.enter((vet, department), (zone().instant(at), TimeDelta::minutes(30)), client, now)
        })
    }

    pub fn appointments(&self) -> Vec<Value> {
        self.sim.inspect(|state| state.rows(Table::Appointment).cloned().collect())
    }

    /// Nothing was sent that the service did not understand.
    pub fn nothing_was_wrong(&self) {
        let mistakes: Vec<String> = self
            .sim
            .inspect(|state: &SimState| state.mistakes().map(|mistake| format!("{mistake:?}")).collect());
        assert_eq!(mistakes, [""; 0]);
    }
}

pub fn at(day: NaiveDate, time: &str) -> PracticeTime {
    PracticeTime(format!("{day}T{time}:00").parse().unwrap())
}

pub fn key(booking: u32) -> BookingKey {
    BookingKey {
        practice: PracticeId::new("p1"),
        partner: PartnerId::new("healthengine"),
        booking: ForeignBookingId::new(booking.to_string()),
    }
}

pub fn details() -> PersonDetails {
    PersonDetails {
        first_name: Private::new("Saoirse".into()),
        last_name: Private::new("Vandermeer".into()),
        phones: vec![Private::new("0491 570 999".into())],
        email: Private::new("saoirse@example.com".into()),
        street: Private::new("12 Quay Street".into()),
        suburb: Private::new("Richmond".into()),
        postcode: Private::new("3121".into()),
        ..PersonDetails::default()
    }
}

impl Clinic {
    /// A booking of half an hour with the second vet.
    pub fn order(&self, booking: u32, starts: PracticeTime, patient: PatientPlan) -> AppointmentOrder {
        AppointmentOrder {
            key: key(booking),
            resource: ResourceRef::new(self.vet().to_string()),
            appointment_type: Some(AppointmentTypeRef::new(
                self.named(Table::Reason, "name", "Standard").to_string(),
            )),
            starts,
            length: Minutes(30),
            patient,
            details: details(),
            note: Private::new("Limping since Sunday [healthengine:7]".into()),
            beside: false,
        }
    }
}

pub const NEW: PatientPlan = PatientPlan::New { possible_duplicate_of: None };
