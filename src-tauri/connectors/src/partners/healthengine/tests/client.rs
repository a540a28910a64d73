//! The client against the simulator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use domain::booking::{AskedAbout, BookingRequest, ChangeKind, Inserted, Undoing};
use domain::diary::{AppointmentType, OpenTime, Resource};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{
    AppointmentRef, AppointmentTypeRef, ForeignBookingId, ForeignChangeId, PatientRef, PracticeId,
    ResourceRef,
};
use domain::ports::partner::{AvailabilityBoard, BookingDesk, DayOffer, Incoming, Partner, Waiting};
use domain::private::SecretString;
use domain::settings::{HealthengineSettings, LiveDay, LiveHours};
use domain::time::{DayRange, MinuteOfDay, Minutes, PracticeTime, PracticeZone, Seconds};
use serde_json::{Value, json};
use tracing_subscriber::util::SubscriberInitExt;

use super::super::sim::{
    BookingAnswerKind, BookingStatus, Consent, HealthengineSim, HealthengineSimConfig, PatientDetails,
    SimPractice, SimState,
};
use super::super::{BASE_URL, CARD, Healthengine, SetupError};
use crate::contract::{self, Log, Subject};
use crate::http::{Deadlines, EndpointError, Http};
use crate::sim::SimClock;
use crate::sim::faults::{Fault, FaultRule};

const PRACTICE: &str = "7001";
const API_KEY: &str = "vendor-key-of-the-test";
const PRACTICE_KEY: &str = "practice-key-of-the-test";

/// The connector, its simulator, and a clock that is moved by hand.
struct Bench {
    healthengine: Healthengine,
    sim: HealthengineSim,
    now: Arc<Mutex<DateTime<Utc>>>,
}

fn settings(base_url: &str) -> HealthengineSettings {
    HealthengineSettings {
        base_url: base_url.to_owned(),
        practice_id: PRACTICE.to_owned(),
        user_agent_email: "it@example.com".to_owned(),
        environment: "DEV".to_owned(),
        horizon_days: 60,
        poll_seconds: 5,
        features: Vec::new(),
        webhook_url: None,
        live_hours: LiveHours::default(),
    }
}

fn connector(
    settings: &HealthengineSettings,
    api_key: &str,
    practice_key: &str,
    deadlines: Deadlines,
) -> Result<Healthengine, SetupError> {
    Healthengine::new(
        settings,
        PracticeId::new("richmond"),
        PracticeZone::parse("Australia/Melbourne").unwrap(),
        &SecretString::from(api_key),
        &SecretString::from(practice_key),
        &Http::with_deadlines(deadlines),
    )
}

impl Bench {
    async fn start() -> Self {
        Self::with(Deadlines::default()).await
    }

    async fn with(deadlines: Deadlines) -> Self {
        // Monday, 2 March 2026, 09:00 in Melbourne.
        let now = Arc::new(Mutex::new(Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap()));
        let hand = Arc::clone(&now);
        let clock: SimClock = Arc::new(move || *hand.lock().unwrap());
        let practice = SimPractice {
            name: "Richmond".to_owned(),
            practice_id: PRACTICE.to_owned(),
            practice_key: PRACTICE_KEY.to_owned(),
            api_key: API_KEY.to_owned(),
            time_zone: chrono_tz::Australia::Melbourne,
            consent: Consent::Granted,
        };
        let config = HealthengineSimConfig { port: 0, practices: vec![practice], state_file: None };
        let sim = HealthengineSim::start(config, clock).await.unwrap();
        let healthengine = connector(&settings(&sim.base_url()), API_KEY, PRACTICE_KEY, deadlines).unwrap();
        Self { healthengine, sim, now }
    }

    /// Another connector for the same account, as after a restart.
    fn restarted(&self) -> Healthengine {
        connector(&settings(&self.sim.base_url()), API_KEY, PRACTICE_KEY, Deadlines::default()).unwrap()
    }

    /// Publishes two practitioners, a type for both and a type of the first.
    async fn configured() -> Self {
        let bench = Self::start().await;
        bench.healthengine.publish_resources(&resources()).await.unwrap();
        bench.healthengine.publish_appointment_types(&types()).await.unwrap();
        bench
    }

    fn pass(&self, time: TimeDelta) {
        *self.now.lock().unwrap() += time;
    }

    fn force_book(&self, fields: &Value) -> ForeignBookingId {
        ForeignBookingId::new(self.sim.force_book(PRACTICE, fields).unwrap().to_string())
    }

    fn status_of(&self, booking: &ForeignBookingId) -> (BookingStatus, Vec<BookingAnswerKind>) {
        let number = booking.as_str().parse().unwrap();
        self.sim.inspect(|state| {
            let booking = state.booking(number).unwrap();
            (booking.status, booking.answers.iter().map(|answer| answer.kind).collect())
        })
    }

    async fn bookings(&self) -> Vec<BookingRequest> {
        let incoming = self.healthengine.bookings().await.unwrap();
        incoming
            .into_iter()
            .map(|incoming| match incoming {
                Incoming::Booking(request) => *request,
                Incoming::Unreadable { booking, why } => panic!("{booking}: {why}"),
            })
            .collect()
    }

    fn understood_everything(&self) {
        let refused: Vec<_> =
            self.sim.inspect(|state| state.not_understood().map(|refusal| refusal.reason.clone()).collect());
        assert_eq!(refused, Vec::<String>::new());
    }
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, number).unwrap()
}

fn open(start: i64, end: i64, only: &[&str]) -> OpenTime {
    OpenTime {
        range: DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end)).unwrap(),
        only_types: only.iter().copied().map(AppointmentTypeRef::new).collect(),
    }
}

fn offer(resource: &str, day: NaiveDate, free: Vec<OpenTime>) -> DayOffer {
    DayOffer { resource: ResourceRef::new(resource), day, free, slot: Minutes(15) }
}

fn resources() -> Vec<Resource> {
    let resource = |id: &str, specialty: &str| Resource {
        id: ResourceRef::new(id),
        name: "Dr Lee".to_owned(),
        title: Some("Dr".to_owned()),
        first_name: Some("Wen".to_owned()),
        last_name: Some("Lee".to_owned()),
        specialty: Some(specialty.to_owned()),
        location: None,
        practitioner: None,
    };
    vec![resource("4", "Physiotherapist"), resource("5:2", "Podiatrist")]
}

fn types() -> Vec<AppointmentType> {
    let kind = |id: &str, name: &str, resource: Option<&str>| AppointmentType {
        id: AppointmentTypeRef::new(id),
        name: name.to_owned(),
        length: Minutes(30),
        resource: resource.map(ResourceRef::new),
    };
    vec![kind("9", "Standard", None), kind("10", "Long", Some("4"))]
}

fn held() -> Inserted {
    Inserted { appointment: AppointmentRef::new("884213"), patient: PatientRef::new("77") }
}

#[async_trait]
impl Subject for Bench {
    fn partner(&self) -> &dyn Partner {
        &self.healthengine
    }

    fn strike(&self, rule: FaultRule) {
        self.sim.add_fault(rule);
    }

    fn calm(&self) {
        self.sim.clear_faults();
    }

    async fn read(&self) -> Result<(), ReadError> {
        assert_eq!(self.healthengine.bookings().await?.len(), 1);
        Ok(())
    }

    async fn write(&self) -> Result<(), WriteError> {
        self.healthengine.confirm(&ForeignBookingId::new("5001"), &held()).await
    }

    fn stands(&self) -> bool {
        self.sim.inspect(|state| !state.confirmations_of(5001).is_empty())
    }

    fn private(&self) -> Vec<String> {
        let patient = PatientDetails::default();
        let rest = ["1988-07-14", "14-07-1988", "Sore knee", API_KEY, PRACTICE_KEY].map(str::to_owned);
        [patient.firstname, patient.lastname, patient.phone, patient.email, patient.address]
            .into_iter()
            .chain(rest)
            .collect()
    }
}

#[tokio::test]
async fn the_contract_of_every_partner_holds() {
    contract::holds(async |deadlines| {
        let bench = Bench::with(deadlines).await;
        bench.force_book(&json!({"bookingId": 5001, "reason": "Sore knee", "pmsResourceId": "4"}));
        bench
    })
    .await;
}

#[tokio::test]
async fn from_configuration_to_confirmation() {
    let bench = Bench::configured().await;
    let hours = LiveHours { weekdays: BTreeMap::from([(LiveDay::Monday, vec![open(480, 1440, &[]).range])]) };
    bench.healthengine.publish_live_hours(&hours).await.unwrap();
    let offers = [offer("4", day(3), vec![open(540, 600, &[]), open(600, 660, &["10", "9"])])];
    assert_eq!(bench.healthengine.publish(&offers).await.unwrap(), [Ok(())]);
    assert_eq!(bench.healthengine.waiting().await.unwrap(), Waiting::default());

    let start = day(3).and_hms_opt(10, 0, 0).unwrap();
    let number = bench.sim.book(PRACTICE, "4", start, Some("10:4"), &PatientDetails::default()).unwrap();
    let waiting = bench.healthengine.waiting().await.unwrap();
    assert_eq!(waiting, Waiting { bookings: true, ..Waiting::default() });
    let [request] = bench.bookings().await.try_into().unwrap();
    assert_eq!(request.key.mark(), format!("[healthengine:{number}]"));
    assert_eq!(request.resource, Some(ResourceRef::new("4")));
    assert_eq!(request.appointment_type, Some(AppointmentTypeRef::new("10")));
    assert_eq!((request.starts.0, request.length), (start, Seconds(900)));
    assert_eq!(request.booked_at, *bench.now.lock().unwrap());
    assert_eq!(request.patient.birth_date.reveal(), &NaiveDate::from_ymd_opt(1988, 7, 14));

    for _ in 0..2 {
        bench.healthengine.confirm(&request.key.booking, &held()).await.unwrap();
    }
    let confirmation = bench.sim.inspect(|state| state.confirmations_of(number)[0].body.clone());
    assert_eq!(confirmation, json!({"pmsAppointmentIds": ["884213"], "pmsPatientId": "77"}));
    assert!(bench.bookings().await.is_empty());
    bench.understood_everything();
}

#[tokio::test]
async fn cancellations_come_in_order_and_can_be_answered() {
    let bench = Bench::configured().await;
    let first = bench.force_book(&json!({"pmsResourceId": "4"}));
    let second = bench.force_book(&json!({"pmsResourceId": "4"}));
    for booking in [&second, &first] {
        bench.healthengine.confirm(booking, &held()).await.unwrap();
        bench.sim.cancel_by_patient(PRACTICE, booking.as_str().parse().unwrap()).unwrap();
    }
    let changes = bench.healthengine.changes().await.unwrap();
    assert_eq!(changes.iter().map(|change| &change.booking).collect::<Vec<_>>(), [&second, &first]);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Cancelled));
    for _ in 0..2 {
        bench.healthengine.confirm_change(&second, &changes[0].id).await.unwrap();
        bench.healthengine.decline_change(&first, &changes[1].id, &Refusal::BookingUnknown).await.unwrap();
    }
    let answers: Vec<_> =
        bench.sim.inspect(|state| state.updates(PRACTICE).map(|update| update.confirmed).collect());
    assert_eq!(answers, [Some(true), Some(false)]);
    assert!(!bench.healthengine.waiting().await.unwrap().changes);
    bench.understood_everything();
}

#[tokio::test]
async fn declining_in_time_and_too_late() {
    let bench = Bench::configured().await;
    let in_time = bench.force_book(&json!({}));
    bench.healthengine.decline(&in_time, &Refusal::SlotTaken, false).await.unwrap();
    assert_eq!(bench.status_of(&in_time), (BookingStatus::Cancelled, vec![BookingAnswerKind::Rejected]));
    let reason = bench
        .sim
        .inspect(|state| state.booking(in_time.as_str().parse().unwrap()).unwrap().answers[0].body.clone());
    assert_eq!(reason, json!({"reason": "the time is taken"}));

    let late = bench.force_book(&json!({}));
    bench.pass(TimeDelta::seconds(21));
    for _ in 0..2 {
        bench.healthengine.decline(&late, &Refusal::DeclinedAtDesk, true).await.unwrap();
    }
    let (status, answers) = bench.status_of(&late);
    assert_eq!(status, BookingStatus::Cancelled);
    assert_eq!(answers[..2], [BookingAnswerKind::RejectedTooLate, BookingAnswerKind::CancelledByPractice]);
    assert!(bench.bookings().await.is_empty());
}

#[tokio::test]
async fn what_healthengine_does_not_know_is_said_so() {
    let bench = Bench::configured().await;
    let (booking, change) = (ForeignBookingId::new("404404"), ForeignChangeId::new("1"));
    let why = Refusal::SlotTaken;
    for answer in [
        bench.healthengine.confirm(&booking, &held()).await,
        bench.healthengine.decline(&booking, &why, false).await,
        bench.healthengine.decline(&booking, &why, true).await,
        bench.healthengine.confirm_change(&booking, &change).await,
        bench.healthengine.decline_change(&booking, &change, &why).await,
    ] {
        assert!(matches!(answer, Err(WriteError::Refused(Refusal::UnknownToPartner))), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_is_seen_and_settled() {
    let bench = Bench::configured().await;
    bench.sim.ask_availability(PRACTICE, day(4), Some("5:2")).unwrap();
    bench.sim.ask_availability(PRACTICE, day(5), None).unwrap();
    bench.sim.ask_resources(PRACTICE).unwrap();
    bench.sim.ask_appointment_types(PRACTICE).unwrap();
    bench.sim.ask_changes(PRACTICE, 1).unwrap();
    let waiting = bench.healthengine.waiting().await.unwrap();
    let expected = Waiting {
        availability: true,
        resources: true,
        appointment_types: true,
        appointment_changes: true,
        ..Waiting::default()
    };
    assert_eq!(waiting, expected);
    let asked: Vec<_> = bench
        .healthengine
        .asked()
        .await
        .unwrap()
        .into_iter()
        .map(|asked| (asked.day, asked.resource))
        .collect();
    assert_eq!(asked, [(day(4), Some(ResourceRef::new("5:2"))), (day(5), None)]);

    bench.healthengine.publish_resources(&resources()).await.unwrap();
    bench.healthengine.publish_appointment_types(&types()).await.unwrap();
    let offers = [("5:2", 4), ("4", 5), ("5:2", 5)].map(|(who, when)| offer(who, day(when), Vec::new()));
    bench.healthengine.publish(&offers).await.unwrap();
    assert_eq!(
        bench.healthengine.waiting().await.unwrap(),
        Waiting { appointment_changes: true, ..Waiting::default() }
    );
    bench.understood_everything();
}

#[tokio::test]
async fn what_staff_did_is_told_asked_or_unasked() {
    let bench = Bench::configured().await;
    let moved = Undoing::Moved {
        resource: ResourceRef::new("4"),
        starts: PracticeTime(day(4).and_hms_opt(9, 0, 0).unwrap()),
    };
    let cases = [
        (Some(Undoing::Cancelled), BookingAnswerKind::CancelledByPractice),
        (Some(Undoing::Deleted), BookingAnswerKind::CancelledByPractice),
        (Some(moved), BookingAnswerKind::CancelledByPractice),
        (Some(Undoing::DidNotAttend), BookingAnswerKind::DidNotAttend),
        (None, BookingAnswerKind::NoChange),
    ];
    for (how, expected) in &cases {
        for asked in [true, false] {
            // That nothing changed is an answer, and never said unasked.
            if !asked && how.is_none() {
                continue;
            }
            let booking = bench.force_book(&json!({}));
            bench.healthengine.confirm(&booking, &held()).await.unwrap();
            if asked {
                bench.sim.ask_changes(PRACTICE, booking.as_str().parse().unwrap()).unwrap();
                let about = AskedAbout {
                    booking: booking.clone(),
                    appointments: vec![held().appointment],
                    patient: Some(held().patient),
                };
                assert_eq!(bench.healthengine.asked_about().await.unwrap(), [about]);
            }
            // Twice, as after an answer that got lost.
            for _ in 0..2 {
                match how {
                    Some(how) => bench.healthengine.undone(&booking, how).await.unwrap(),
                    None => bench.healthengine.nothing_changed(&booking).await.unwrap(),
                }
            }
            assert_eq!(bench.healthengine.waiting().await.unwrap(), Waiting::default());
            assert_eq!(bench.status_of(&booking).1[1..], [*expected, *expected]);
        }
    }
    // One that nobody knows can be answered as well, and is then asked about no more.
    bench.sim.ask_changes(PRACTICE, 404_404).unwrap();
    let unknown = ForeignBookingId::new("404404");
    bench.healthengine.nothing_changed(&unknown).await.unwrap();
    assert_eq!(bench.healthengine.asked_about().await.unwrap(), []);
    bench.understood_everything();
}

#[tokio::test]
async fn each_day_of_a_batch_has_its_own_answer() {
    let bench = Bench::configured().await;
    let long = |resource| {
        vec![
            open(540, 600, &[]),
            OpenTime { only_types: vec![AppointmentTypeRef::new("10")], ..open(700, 760, &[resource]) },
        ]
    };
    let mut offers: Vec<DayOffer> =
        (3..=28).flat_map(|n| ["4", "5:2"].map(|who| offer(who, day(n), Vec::new()))).collect();
    offers.extend((3..=28).map(|n| offer("5:2", day(n), vec![open(540, 600, &[])])));
    offers.extend((3..=28).map(|n| offer("4", day(n), long("4"))));
    offers.insert(1, offer("gone", day(3), vec![open(540, 600, &[])]));
    // Time that is reserved for a type which is not there is not offered, and spoils nothing.
    offers.insert(99, offer("4", day(29), vec![open(540, 600, &["gone"])]));
    assert!(offers.len() > bench.healthengine.batch_size());
    // A connector that has not published the types itself asks which there are.
    let answers = bench.restarted().publish(&offers).await.unwrap();
    assert_eq!(answers.len(), offers.len());
    let refused: Vec<usize> =
        answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).map(|(index, _)| index).collect();
    assert_eq!(refused, [1]);
    let types = bench.sim.inspect(|state| {
        state.published(PRACTICE, "4", day(5)).unwrap().ranges[1].appointment_type_ids.clone()
    });
    assert_eq!(types, Some(vec!["10:4".to_owned()]));
    assert!(bench.sim.inspect(|state| state.published(PRACTICE, "4", day(29)).unwrap().ranges.is_empty()));
    assert_eq!(bench.sim.inspect(|state| state.requests(PRACTICE, "POST", "/availability/snapshots")), 2);
}

#[tokio::test]
async fn every_page_is_read_and_nothing_twice() {
    let bench = Bench::configured().await;
    let numbers: Vec<ForeignBookingId> =
        (0..250).map(|_| bench.force_book(&json!({"pmsResourceId": "4"}))).collect();
    let read = async || {
        let requests = bench.bookings().await;
        requests.into_iter().map(|request| request.key.booking).collect::<Vec<_>>()
    };
    let pages =
        || bench.sim.inspect(|state: &SimState| state.requests(PRACTICE, "GET", "/requests/bookings"));
    assert_eq!(read().await, numbers);
    assert_eq!(pages(), 3);
    bench.sim.add_fault(FaultRule::once(Fault::DuplicateItems).on("GET", "/requests/bookings").after(0, 3));
    assert_eq!(read().await, numbers);
    // Too many pages end with the first that brings nothing, too few bring at least what they show.
    bench.sim.clear_faults();
    bench.sim.add_fault(FaultRule::always(Fault::WrongPageTotals { total_pages: 9999, total: 1 }));
    assert_eq!(read().await, numbers);
    bench.sim.clear_faults();
    bench.sim.add_fault(FaultRule::always(Fault::WrongPageTotals { total_pages: -1, total: 250 }));
    assert_eq!(read().await, numbers[..100]);
    // A page that fails fails the read: what is missing must not be taken for answered.
    bench.sim.clear_faults();
    bench.sim.add_fault(FaultRule::once(Fault::ServerError).on("GET", "/requests/bookings").after(2, 1));
    assert!(matches!(bench.healthengine.bookings().await, Err(ReadError::Unreachable(_))));
}

#[tokio::test]
async fn pages_that_change_under_the_reader_hide_nothing() {
    let bench = Bench::configured().await;
    let numbers: Vec<ForeignBookingId> =
        (0..250).map(|_| bench.force_book(&json!({"pmsResourceId": "4"}))).collect();
    let pages =
        || bench.sim.inspect(|state: &SimState| state.requests(PRACTICE, "GET", "/requests/bookings"));
    // While the second page is on its way, somebody on the first is answered.
    let slow = Fault::Slow { milliseconds: 500 };
    bench.sim.add_fault(FaultRule::once(slow).on("GET", "/requests/bookings").after(1, 1));
    let meanwhile = async {
        let first_page = |state: &SimState| state.requests(PRACTICE, "GET", "/requests/bookings") > 0;
        bench.sim.wait_until(first_page, Duration::from_secs(10)).await.unwrap();
        bench.restarted().confirm(&numbers[0], &held()).await.unwrap();
    };
    let (read, ()) = tokio::join!(bench.bookings(), meanwhile);
    let read: Vec<ForeignBookingId> = read.into_iter().map(|request| request.key.booking).collect();
    assert!(pages() > 3, "what slipped by is looked for at once");
    for number in &numbers {
        assert_eq!(read.iter().filter(|read| *read == number).count(), 1, "{number}");
    }
}

#[tokio::test]
async fn one_odd_booking_spoils_no_other() {
    let bench = Bench::configured().await;
    let log = Log::default();
    let listening =
        tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish().set_default();
    let fine = bench.force_book(&json!({"pmsResourceId": "4"}));
    let odd = bench.force_book(&json!({"pmsAppointmentTime": "soon", "patient": {"firstname": "Ottoline"}}));
    bench.force_book(&json!({"bookingId": "no-9", "patient": {"firstname": "Ottoline"}}));
    bench.sim.force_book_exactly(PRACTICE, json!("Ottoline")).unwrap();
    bench.healthengine.bookings().await.unwrap();
    let incoming = bench.healthengine.bookings().await.unwrap();
    drop(listening);
    let [Incoming::Booking(read), Incoming::Unreadable { booking, why }] = &incoming[..] else {
        panic!("{incoming:?}")
    };
    assert_eq!((&read.key.booking, booking), (&fine, &odd));
    assert_eq!(why, &Refusal::Unreadable("pmsAppointmentTime".to_owned()));
    let log = log.text();
    assert!(log.contains("unreadable=2") && log.contains("practice=richmond"), "{log}");
    assert_eq!(log.lines().count(), 1, "the same news twice: {log}");
    assert!(!log.contains("Ottoline") && !log.contains("no-9"), "{log}");
}

#[tokio::test]
async fn keys_and_consent_are_told_apart() {
    let bench = Bench::start().await;
    bench.healthengine.check().await.unwrap();
    let good = settings(&bench.sim.base_url());
    let other = HealthengineSettings { practice_id: "7002".to_owned(), ..good.clone() };
    for (settings, api_key, practice_key) in
        [(&good, "wrong", PRACTICE_KEY), (&good, API_KEY, "wrong"), (&other, API_KEY, PRACTICE_KEY)]
    {
        let wrong = connector(settings, api_key, practice_key, Deadlines::default()).unwrap();
        assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)));
        assert!(matches!(
            wrong.publish_resources(&resources()).await,
            Err(WriteError::Untouched(ReadError::NotAuthorised))
        ));
    }
    bench.sim.set_consent(PRACTICE, Consent::Revoked).unwrap();
    assert!(matches!(bench.healthengine.check().await, Err(ReadError::NoConsent)));
    assert!(matches!(
        bench.healthengine.publish_resources(&resources()).await,
        Err(WriteError::Untouched(ReadError::NoConsent))
    ));
}

#[tokio::test]
async fn a_refused_list_says_why() {
    let bench = Bench::configured().await;
    let mut seconds_by_mistake = types();
    seconds_by_mistake[0].length = Minutes(1800);
    let refused = bench.healthengine.publish_appointment_types(&seconds_by_mistake).await;
    let Err(WriteError::Untouched(ReadError::Invalid(why))) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "pmsAppointmentLength must be 1 to 480 minutes");
}

#[test]
fn an_account_is_told_apart_by_all_that_makes_it_up() {
    let good = settings("http://127.0.0.1:1/v1");
    let account = |settings: &HealthengineSettings, api_key: &str, practice_key: &str| {
        connector(settings, api_key, practice_key, Deadlines::default()).unwrap().account()
    };
    let first = account(&good, API_KEY, PRACTICE_KEY);
    assert_eq!(first, account(&good, &format!(" {API_KEY}\n"), PRACTICE_KEY));
    assert_eq!(
        first,
        account(&HealthengineSettings { poll_seconds: 9, ..good.clone() }, API_KEY, PRACTICE_KEY)
    );
    assert!(first.len() == 32 && !first.contains(PRACTICE));
    let elsewhere = HealthengineSettings { base_url: "http://127.0.0.1:2/v1".to_owned(), ..good.clone() };
    let other = HealthengineSettings { practice_id: "7002".to_owned(), ..good.clone() };
    for different in [
        account(&elsewhere, API_KEY, PRACTICE_KEY),
        account(&other, API_KEY, PRACTICE_KEY),
        account(&good, "other", PRACTICE_KEY),
        account(&good, API_KEY, "other"),
        account(&good, PRACTICE_KEY, API_KEY),
    ] {
        assert_ne!(first, different);
    }
}

#[test]
fn settings_that_cannot_be_right_are_named() {
    let good = settings("http://127.0.0.1:1/v1");
    let refused = |settings: HealthengineSettings, key: &str| {
        connector(&settings, key, PRACTICE_KEY, Deadlines::default()).err().unwrap()
    };
    for email in ["", "it", "it@example.com (at work)", "it@exa mple.com", "it@example.com\r\nx: y"] {
        let wrong = HealthengineSettings { user_agent_email: email.to_owned(), ..good.clone() };
        assert!(matches!(refused(wrong, API_KEY), SetupError::BadEmail), "{email}");
    }
    let wrong = HealthengineSettings { environment: "prod".to_owned(), ..good.clone() };
    assert!(matches!(refused(wrong, API_KEY), SetupError::BadEnvironment));
    let wrong = HealthengineSettings { base_url: "http://example.com".to_owned(), ..good.clone() };
    assert!(matches!(refused(wrong, API_KEY), SetupError::Endpoint(EndpointError::NotEncrypted)));
    assert_eq!(refused(good, "two\nlines").to_string(), "the API key has characters that it cannot have");
}

#[test]
fn the_card_tells_where_everything_is() {
    for field in CARD.fields {
        assert!(!field.where_to_find.is_empty(), "{}", field.key);
        assert!(field.where_to_find.iter().all(|step| step.ends_with('.')), "{}", field.key);
    }
    let secret: Vec<_> =
        CARD.fields.iter().filter(|field| field.is_secret()).map(|field| field.key).collect();
    assert_eq!(secret, ["api_key", "practice_key"]);
    assert_eq!(CARD.field("base_url").and_then(|field| field.default), Some(BASE_URL));
    assert!(CARD.field("tenant_id").is_none());
    assert!(crate::partners::cards().any(|card| *card == CARD));
}
