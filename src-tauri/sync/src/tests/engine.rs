//! The engine: several practices side by side, settings and wishes taken up, sleep, panics, stopping.

use super::clinic::{ada, at, request, settings, start};
use super::partner::FakePartner;
use super::practice::{FakePractice, resource};
use super::reaper::{HandClock, Reaper};
use super::register::FakeRegister;
use super::store::FakeStore;
use crate::engine::{Connect, Connected, EngineHandle, Foundations, start as start_engine};
use crate::practices::{resync, set_enabled};
use crate::state::EngineState;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::booking::{BookingKey, BookingRequest};
use domain::ids::{PatientRef, PracticeId};
use domain::people::PatientRecord;
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::store::{Leg, Problem, ProblemKind, SettingsBook, StoreError, Wish, Wishes};
use domain::settings::{AppSettings, PracticeSettings};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Connects each practice to what the test has prepared for it, by practice and account.
#[derive(Default)]
struct Switchboard {
    practices: Mutex<BTreeMap<PracticeId, FakePractice>>,
    partners: Mutex<BTreeMap<(PracticeId, String), FakePartner>>,
    /// By tenant.
    registers: Mutex<BTreeMap<String, FakeRegister>>,
    fails: Mutex<Option<(Leg, Problem)>>,
}

#[async_trait]
impl Connect for Switchboard {
    async fn connect(&self, settings: &PracticeSettings) -> Result<Connected, (Leg, Problem)> {
        if let Some(failure) = self.fails.lock().unwrap().clone() {
            return Err(failure);
        }
        let account = settings.healthengine.as_ref().unwrap().practice_id.clone();
        let practice = self.practices.lock().unwrap()[&settings.id].clone();
        let partner = self.partners.lock().unwrap()[&(settings.id.clone(), account)].clone();
        let registers = self.registers.lock().unwrap();
        let register = settings.vald.as_ref().map(|vald| registers[&vald.tenant_id].clone());
        let partners = register.into_iter().map(|register| Arc::new(register) as Arc<dyn Partner>).collect();
        let callback =
            settings.healthengine.as_ref().unwrap().webhook_url.as_ref().map(|url| url.as_str().into());
        Ok(Connected {
            practice: Arc::new(practice),
            partner: Some(Arc::new(partner)),
            partners,
            troubles: Vec::new(),
            callback,
            book_callback: None,
        })
    }

    async fn signature(&self, settings: &PracticeSettings) -> Result<String, StoreError> {
        Ok(format!("{settings:?}"))
    }
}

/// An engine, and everything around it.
pub(super) struct House {
    pub(super) clock: HandClock,
    reaper: Arc<Reaper>,
    pub(super) store: FakeStore,
    switchboard: Arc<Switchboard>,
    pub(super) engine: Option<EngineHandle>,
}

impl House {
    pub(super) fn new() -> Self {
        let reaper = Arc::new(Reaper::default());
        Self {
            clock: HandClock::at(start()),
            store: FakeStore::new(&reaper),
            switchboard: Arc::default(),
            reaper,
            engine: None,
        }
    }

    /// Adds a practice with an account of its own.
    pub(super) async fn practice(&self, id: &str) -> (FakePractice, FakePartner) {
        let practice = FakePractice::new(&self.clock, &self.reaper);
        practice.diary(|diary| {
            let details = ada();
            diary.patients.push(PatientRecord {
                id: PatientRef::new("p1"),
                shown_number: None,
                details,
                deceased: false,
                inactive: false,
                merged_into: None,
            });
        });
        self.switchboard.practices.lock().unwrap().insert(PracticeId::new(id), practice.clone());
        let partner = self.account(id, "1");
        self.store.for_people().save_practice(&settings(id)).await.unwrap();
        (practice, partner)
    }

    /// Adds a partner that keeps profiles, by its tenant.
    pub(super) fn register(&self, tenant: &str) -> FakeRegister {
        let register = FakeRegister::new(&self.clock, &self.reaper).of_account(tenant);
        self.switchboard.registers.lock().unwrap().insert(tenant.to_owned(), register.clone());
        register
    }

    pub(super) fn account(&self, id: &str, account: &str) -> FakePartner {
        let partner = FakePartner::new(account, &self.clock, &self.reaper);
        let key = (PracticeId::new(id), account.to_owned());
        self.switchboard.partners.lock().unwrap().insert(key, partner.clone());
        partner
    }

    pub(super) async fn start(&mut self) {
        self.engine = Some(start_engine(Foundations {
            store: Arc::new(self.store.clone()),
            clock: Arc::new(self.clock.clone()),
            connect: self.switchboard.clone(),
        }));
        self.settle().await;
    }

    pub(super) fn engine(&self) -> &EngineHandle {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn state(&self) -> EngineState {
        self.engine().state().borrow().clone()
    }

    /// Lets everything run that can run without the clock. Nothing here waits for anything else but the clock and the
    /// test, and one thread runs it all in turn, so that a number of turns is enough.
    pub(super) async fn settle(&self) {
        for _ in 0..300 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock in steps of a second.
    pub(super) async fn run(&self, seconds: i64) {
        for _ in 0..seconds {
            self.clock.move_by(TimeDelta::seconds(1));
            self.settle().await;
        }
    }

    pub(super) fn booking(&self, practice: &str, booking: &str) -> BookingRequest {
        let plain = request(booking, ada(), at("14:00"));
        let key = BookingKey { practice: PracticeId::new(practice), ..plain.key };
        BookingRequest { key, booked_at: self.clock.now(), ..plain }
    }

    pub(super) async fn change(&self, id: &str, change: impl FnOnce(&mut PracticeSettings)) {
        let mut changed = self.store.disk(|disk| disk.practices[&PracticeId::new(id)].clone());
        change(&mut changed);
        self.store.for_people().save_practice(&changed).await.unwrap();
    }
}

fn confirmed(partner: &FakePartner, booking: &str) -> bool {
    matches!(partner.desk(|desk| desk.answer(booking)), Some(super::partner::Answer::Confirmed(_)))
}

pub(super) fn calls(partner: &FakePartner) -> Vec<String> {
    partner.desk(|desk| std::mem::take(&mut desk.log).into_iter().map(|(_, call)| call).collect())
}

#[tokio::test]
async fn a_practice_that_hangs_delays_no_other() {
    let mut house = House::new();
    let (hanging, hanging_partner) = house.practice("alpha").await;
    let (_, partner) = house.practice("beta").await;
    hanging.answers.send_replace(false);
    hanging_partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.start().await;
    partner.desk(|desk| desk.book(house.booking("beta", "2")));
    house.run(5).await;
    assert!(confirmed(&partner, "2"));
    assert!(!confirmed(&hanging_partner, "1"));
    assert_eq!(partner.desk(|desk| desk.published.len()), 4);
    house.run(60).await;
    let polls = partner.desk(|desk| desk.calls("waiting").len());
    assert!((13..=15).contains(&polls), "{polls}");
    hanging.answers.send_replace(true);
    house.run(6).await;
    assert!(confirmed(&hanging_partner, "1"));
    assert_eq!(hanging_partner.desk(|desk| desk.published.len()), 4);
}

#[tokio::test]
async fn a_nudge_is_heard_at_once() {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    let (_, other) = house.practice("beta").await;
    house.start().await;
    house.run(1).await;
    calls(&partner);
    calls(&other);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.engine().nudge(Some(PracticeId::new("alpha")));
    house.settle().await;
    assert!(confirmed(&partner, "1"), "without the clock having moved");
    assert_eq!(calls(&other), [""; 0]);
    house.engine().nudge(None);
    house.settle().await;
    assert_eq!(calls(&other), ["waiting"]);
}

#[tokio::test]
async fn free_times_follow_a_booking_at_once() {
    let mut house = House::new();
    let (practice, partner) = house.practice("alpha").await;
    house.start().await;
    house.run(4).await;
    calls(&partner);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.run(1).await;
    assert_eq!(calls(&partner), ["waiting", "bookings", "confirm 1", "publish 1"]);
    assert_eq!(practice.diary(|diary| diary.active_at(at("14:00")).len()), 1);
}

#[tokio::test]
async fn settings_are_taken_up_within_two_seconds() {
    let mut house = House::new();
    house.start().await;
    assert!(house.state().practices.is_empty());
    let (_, partner) = house.practice("alpha").await;
    house.run(2).await;
    assert_eq!(calls(&partner), ["waiting", "live_hours", "resources", "types", "publish 4", "features"]);
    house.change("alpha", |settings| settings.healthengine.as_mut().unwrap().horizon_days = 2).await;
    house.run(2).await;
    assert_eq!(partner.desk(|desk| desk.published.len()), 6);
    house.change("alpha", |settings| settings.name = "Carlton".into()).await;
    house.run(2).await;
    assert_eq!(house.state().practices[&PracticeId::new("alpha")].settings.name, "Carlton");
    house.store.for_people().remove_practice(&PracticeId::new("alpha")).await.unwrap();
    house.run(2).await;
    calls(&partner);
    house.run(20).await;
    assert!(house.state().practices.is_empty());
    assert_eq!(calls(&partner), [""; 0]);
}

#[tokio::test]
async fn a_changed_time_to_decide_is_taken_up() {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    let unclear = BookingRequest { patient: super::clinic::another_ada(), ..house.booking("alpha", "1") };
    partner.desk(|desk| desk.book(unclear));
    house.start().await;
    house.run(100).await;
    assert!(!confirmed(&partner, "1"));
    let app = AppSettings { decide_minutes: 1, ..AppSettings::default() };
    house.store.for_people().save_app_settings(&app).await.unwrap();
    house.run(7).await;
    assert!(confirmed(&partner, "1"));
}

#[tokio::test]
async fn wishes_are_granted() {
    let mut house = House::new();
    let (practice, partner) = house.practice("alpha").await;
    house.start().await;
    house.run(2).await;
    let alpha = PracticeId::new("alpha");
    for (wish, expected) in [
        (Wish::ResyncAvailability, vec!["publish 4"]),
        (Wish::ResyncConfiguration, vec!["live_hours", "resources", "types"]),
    ] {
        house.run(6).await;
        calls(&partner);
        resync(&house.store.for_people(), &alpha, &[wish], house.clock.now()).await.unwrap();
        house.run(2).await;
        let sent: Vec<String> = calls(&partner).into_iter().filter(|call| call != "waiting").collect();
        assert_eq!(sent, expected);
    }
    assert!(house.store.disk(|disk| disk.wishes.iter().all(|(_, granted)| *granted)));

    // A list may shrink to nothing when somebody says so, and only then.
    practice.diary(|diary| {
        diary.resources.clear();
        diary.version += 1;
    });
    house.run(10).await;
    assert_eq!(partner.desk(|desk| desk.resources.as_ref().map(Vec::len)), Some(2));
    assert_eq!(house.state().practices[&alpha].shrinking.len(), 1);
    let wish = Wish::AcceptShrink("resources".into());
    house.store.for_people().wish(&alpha, &wish, house.clock.now()).await.unwrap();
    house.run(2).await;
    assert_eq!(partner.desk(|desk| desk.resources.as_ref().map(Vec::len)), Some(0));
    assert_eq!(house.state().practices[&alpha].shrinking.len(), 0);
    // The next suspicious list waits again.
    practice.diary(|diary| {
        diary.resources = (1..=9).map(|n| resource(&format!("r{n}"))).collect();
        diary.version += 1;
    });
    house.run(6).await;
    practice.diary(|diary| {
        diary.resources.truncate(2);
        diary.version += 1;
    });
    house.run(6).await;
    assert_eq!(partner.desk(|desk| desk.resources.as_ref().map(Vec::len)), Some(9));
}

#[tokio::test]
async fn a_pass_that_panics_is_run_again_and_hurts_nobody() {
    let mut house = House::new();
    let (practice, partner) = house.practice("alpha").await;
    let (_, other) = house.practice("beta").await;
    practice.diary(|diary| diary.panics_once = true);
    house.start().await;
    house.run(5).await;
    assert_eq!(partner.desk(|desk| desk.published.len()), 0);
    assert_eq!(other.desk(|desk| desk.published.len()), 4);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.run(5).await;
    assert!(confirmed(&partner, "1"), "bookings go on beside it");
    house.run(60).await;
    assert_eq!(partner.desk(|desk| desk.published.len()), 4);
}

#[tokio::test]
async fn after_a_sleep_everything_is_checked_at_once() {
    let mut house = House::new();
    let (practice, partner) = house.practice("alpha").await;
    house.start().await;
    house.run(10).await;
    calls(&partner);
    let read = practice.diary(|diary| diary.books_read);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.clock.move_by(TimeDelta::minutes(100));
    house.settle().await;
    assert!(confirmed(&partner, "1"));
    assert!(practice.diary(|diary| diary.books_read) > read, "the book is read whatever its stamp says");
    let told: Vec<String> =
        house.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect());
    assert_eq!(told, ["This computer was asleep for an hour. Everything was checked at once."]);
    // A clock that is set back does not stop the polls.
    house.clock.move_by(TimeDelta::hours(-5));
    house.settle().await;
    calls(&partner);
    house.run(10).await;
    assert!(calls(&partner).iter().filter(|call| *call == "waiting").count() >= 2);
}

#[tokio::test]
async fn stopping_waits_for_what_is_in_flight() {
    let mut house = House::new();
    let (practice, partner) = house.practice("alpha").await;
    house.start().await;
    practice.answers.send_replace(false);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.run(5).await;
    let engine = house.engine.take().unwrap();
    let stopping = tokio::spawn(async move { engine.stop().await });
    house.settle().await;
    assert!(!stopping.is_finished(), "an insert is on its way");
    practice.answers.send_replace(true);
    stopping.await.unwrap();
    assert!(confirmed(&partner, "1"));
    calls(&partner);
    house.run(20).await;
    assert_eq!(calls(&partner), [""; 0]);
}

#[tokio::test]
async fn a_practice_that_is_switched_off_does_nothing_and_is_sent_everything_when_switched_on() {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    let alpha = PracticeId::new("alpha");
    house.start().await;
    house.run(6).await;
    let people = house.store.for_people();
    assert_eq!(set_enabled(&people, &alpha, false, house.clock.now()).await.unwrap(), Some(true));
    assert_eq!(set_enabled(&people, &alpha, false, house.clock.now()).await.unwrap(), Some(false));
    assert_eq!(set_enabled(&people, &PracticeId::new("x"), false, house.clock.now()).await.unwrap(), None);
    house.run(2).await;
    calls(&partner);
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    house.run(60).await;
    assert_eq!(calls(&partner), [""; 0]);
    assert!(!house.state().practices[&alpha].settings.enabled);
    set_enabled(&people, &alpha, true, house.clock.now()).await.unwrap();
    house.run(2).await;
    let sent = calls(&partner);
    for expected in ["live_hours", "resources", "types", "publish 4", "waiting", "confirm 1"] {
        assert!(sent.iter().any(|call| call == expected), "{expected} in {sent:?}");
    }
}

#[tokio::test]
async fn a_new_account_is_sent_everything_and_the_old_one_nothing_more() {
    let mut house = House::new();
    let (practice, old) = house.practice("alpha").await;
    let new = house.account("alpha", "2");
    house.start().await;
    house.run(6).await;
    // The account is changed while a pass for the old one is under way.
    practice.answers.send_replace(false);
    practice.diary(|diary| drop(diary.enter("r1", at("15:00"), "p1")));
    house.run(6).await;
    house.change("alpha", |settings| settings.healthengine.as_mut().unwrap().practice_id = "2".into()).await;
    house.run(3).await;
    assert_eq!(new.desk(|desk| desk.log.len()), 0, "not before the old passes have ended");
    practice.answers.send_replace(true);
    house.run(2).await;
    calls(&old);
    let sent = calls(&new);
    for expected in ["live_hours", "resources", "types", "publish 4", "waiting"] {
        assert!(sent.iter().any(|call| call == expected), "{expected} in {sent:?}");
    }
    house.run(60).await;
    assert_eq!(calls(&old), [""; 0]);
}

#[tokio::test]
async fn a_practice_that_cannot_be_set_up_says_why_and_is_tried_again() {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    let sentence = "There is no profile named openemrr.".to_owned();
    *house.switchboard.fails.lock().unwrap() =
        Some((Leg::System, Problem { kind: ProblemKind::Other, sentence: sentence.clone() }));
    house.start().await;
    house.run(5).await;
    let shown = house.state().practices[&PracticeId::new("alpha")].legs[&Leg::System].problem.clone();
    assert_eq!(shown.unwrap().sentence, sentence);
    assert_eq!(calls(&partner), [""; 0]);
    *house.switchboard.fails.lock().unwrap() = None;
    house.run(60).await;
    assert_eq!(partner.desk(|desk| desk.published.len()), 4);
}

#[tokio::test]
async fn a_store_that_fails_is_shown_and_comes_back() {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    house.start().await;
    house.run(1).await;
    let next = house.reaper.touches();
    let faults: Vec<_> = (next + 1..next + 4).map(|n| (n, super::reaper::Fault::FailsBefore)).collect();
    house.reaper.plan(&faults);
    house.run(1).await;
    assert!(house.state().store_problem.is_some());
    house.run(10).await;
    assert_eq!(house.state().store_problem, None);
    assert!(partner.desk(|desk| desk.calls("waiting").len()) >= 2);
    // Old personal data is looked for from time to time.
    let before = house.store.disk(|disk| disk.people_forgotten_before);
    assert_eq!(before, Some(start() - TimeDelta::days(30)));
}
