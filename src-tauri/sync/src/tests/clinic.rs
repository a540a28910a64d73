//! One clinic: its book, its partner, its disk, and the program that runs between them.

use super::partner::FakePartner;
use super::practice::FakePractice;
use super::reaper::{HandClock, Reaper};
use super::store::FakeStore;
use crate::flows::availability::Availability;
use crate::flows::bookings::Bookings;
use crate::flows::changes::Changes;
use crate::flows::{Flow, Hurried, Outcome, Ports, Searching};
use crate::state::{PracticeState, StateBoard};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{BookingKey, BookingRequest, BookingState};
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PartnerId, PatientRef, PracticeId, ResourceRef};
use domain::people::{PatientRecord, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::store::{BookingCounts, Leg, LegNote};
use domain::private::Private;
use domain::settings::{
    AppSettings, DocumentRoutes, HealthengineSettings, LiveDay, LiveHours, PracticeSettings, SystemSettings,
    WriteMode,
};
use domain::time::{Horizon, PracticeTime, PracticeZone, Seconds};
use std::sync::Arc;

/// Eleven o'clock on a Friday in Melbourne.
pub fn start() -> DateTime<Utc> {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

pub fn today() -> NaiveDate {
    "2026-11-20".parse().unwrap()
}

/// A time of that Friday, `14:00`, on the clinic's wall clock.
pub fn at(time: &str) -> PracticeTime {
    PracticeTime(format!("2026-11-20T{time}:00").parse().unwrap())
}

pub fn key(booking: &str) -> BookingKey {
    BookingKey {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("healthengine"),
        booking: ForeignBookingId::new(booking),
    }
}

pub fn person(first: &str, last: &str, phone: &str) -> PersonDetails {
    PersonDetails {
        first_name: Private::new(first.into()),
        last_name: Private::new(last.into()),
        birth_date: Private::new("1984-11-09".parse().ok()),
        phones: vec![Private::new(phone.into())],
        ..PersonDetails::default()
    }
}

/// The patient that the clinic knows.
pub fn ada() -> PersonDetails {
    person("Ada", "Byron", "0491 570 006")
}

/// Somebody whom nobody knows.
pub fn grace() -> PersonDetails {
    person("Grace", "Murray", "0491 570 156")
}

/// Somebody with Ada's names and birth date, and another phone.
pub fn another_ada() -> PersonDetails {
    person("Ada", "Byron", "0491 570 110")
}

pub fn request(booking: &str, patient: PersonDetails, starts: PracticeTime) -> BookingRequest {
    BookingRequest {
        key: key(booking),
        resource: Some(ResourceRef::new("r1")),
        appointment_type: Some(AppointmentTypeRef::new("t1")),
        starts,
        length: Seconds(900),
        patient,
        linked_patient: None,
        says_new_patient: false,
        note: Private::new(String::new()),
        booked_at: start(),
        cancelled: false,
    }
}

pub fn settings(id: &str) -> PracticeSettings {
    PracticeSettings {
        id: PracticeId::new(id),
        name: "Richmond".into(),
        zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
        enabled: true,
        system: SystemSettings {
            profile: "memory".into(),
            url: "memory:".into(),
            write: WriteMode::Sql,
            locations: None,
            poll_seconds: 5,
            documents: DocumentRoutes::default(),
            provet: None,
        },
        healthengine: Some(HealthengineSettings {
            base_url: "http://127.0.0.1".into(),
            practice_id: "1".into(),
            user_agent_email: "desk@example.com".into(),
            environment: "DEV".into(),
            horizon_days: 1,
            poll_seconds: 5,
            features: Vec::new(),
            webhook_url: None,
            live_hours: LiveHours {
                weekdays: [(LiveDay::Monday, vec![super::practice::range(480, 1080)])].into(),
            },
        }),
        vald: None,
        accounts: std::collections::BTreeMap::new(),
    }
}

/// A clinic, and everything outside the program.
pub struct Clinic {
    pub clock: HandClock,
    pub reaper: Arc<Reaper>,
    pub practice: FakePractice,
    pub partner: FakePartner,
    pub store: FakeStore,
    pub settings: PracticeSettings,
    pub app: AppSettings,
}

/// The program between its start and its end.
pub struct Program {
    pub bookings: Bookings,
    pub availability: Availability,
    pub changes: Changes,
    pub ports: Ports,
}

impl Clinic {
    pub fn new() -> Self {
        let clock = HandClock::at(start());
        let reaper = Arc::new(Reaper::default());
        let clinic = Self {
            practice: FakePractice::new(&clock, &reaper),
            partner: FakePartner::new("first", &clock, &reaper),
            store: FakeStore::new(&reaper),
            settings: settings("richmond"),
            app: AppSettings::default(),
            clock,
            reaper,
        };
        clinic.practice.diary(|diary| {
            diary.patients.push(PatientRecord {
                id: PatientRef::new("p1"),
                shown_number: None,
                details: ada(),
                deceased: false,
                inactive: false,
                merged_into: None,
            });
        });
        clinic
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn ports(&self) -> Ports {
        let state = StateBoard::default();
        let id = self.settings.id.clone();
        let notes = self
            .store
            .disk(|disk| disk.notes.iter().map(|((_, leg), note)| (leg.clone(), note.clone())).collect());
        let shown = PracticeState::new(self.settings.clone(), notes, BookingCounts::default());
        state.change(|state| drop(state.practices.insert(id, shown)));
        Ports {
            settings: self.settings.clone(),
            app: self.app.clone(),
            practice: Arc::new(self.practice.clone()),
            partner: Some(Arc::new(self.partner.clone())),
            partners: Vec::new(),
            store: Arc::new(self.store.clone()),
            clock: Arc::new(self.clock.clone()),
            state,
            look_closely: Arc::default(),
            writes_fail: Arc::default(),
            webhooks: Arc::default(),
            book_webhooks: Arc::default(),
            hurried: Hurried::default(),
            searching: Searching::default(),
            noted: Arc::default(),
            half_hours: Arc::default(),
        }
    }

    /// Starts the program.
    pub fn program(&self) -> Program {
        let ports = self.ports();
        Program {
            bookings: Bookings::new(ports.clone()).unwrap(),
            availability: Availability::new(ports.clone()),
            changes: Changes::new(ports.clone()).unwrap(),
            ports,
        }
    }

    pub fn state(&self, booking: &str) -> BookingState {
        self.store.disk(|disk| disk.state(booking)).unwrap()
    }

    /// What somebody at the desk decides.
    pub async fn decide(&self, booking: &str, choice: crate::desk::Choice) {
        crate::desk::decide(&self.store.for_people(), &key(booking), &choice, self.now()).await.unwrap();
    }

    /// Whether the partner shows what the book shows, for the days of the horizon.
    pub fn shows_the_book(&self) -> Result<(), String> {
        let horizon = Horizon::from_day(today(), 1);
        let book = self.practice.diary(|diary| diary.book(horizon));
        let published = self.partner.desk(|desk| desk.published.clone());
        for day in horizon.days() {
            for resource in &book.resources {
                let offer = published.get(&(resource.id.clone(), day)).map(|offer| offer.free.clone());
                if offer.as_ref() != Some(&book.free(&resource.id, day)) {
                    return Err(format!("the partner shows {offer:?} for {} on {day}", resource.id));
                }
            }
        }
        Ok(())
    }
}

impl Program {
    pub async fn pass(&self) -> Outcome {
        self.bookings.pass().await
    }

    pub fn note(&self, leg: Leg) -> Option<LegNote> {
        self.ports.state.leg(self.ports.id(), leg)
    }
}

/// Runs the flow at the times it asks for, until `until`, and moves the clock along.
pub async fn run_until(clinic: &Clinic, flow: &dyn Flow, until: DateTime<Utc>) {
    loop {
        let outcome = flow.pass().await;
        if outcome.again_at > until {
            clinic.clock.move_to(until);
            return;
        }
        clinic.clock.move_to(outcome.again_at.max(clinic.now() + TimeDelta::milliseconds(1)));
    }
}
