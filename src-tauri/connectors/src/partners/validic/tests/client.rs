//! The client against the simulator: what every partner must pass, names that are there already, the budget, and what
//! never leaves or is written down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{PracticeId, SyncId};
use domain::ports::clock::Clock;
use domain::ports::enrolment::{DeviceEnrolment, Enrolled, Enrolling};
use domain::ports::partner::Partner;
use domain::private::{ExposeSecret, SecretString};
use domain::settings::PartnerAccount;
use domain::time::PracticeZone;
use tracing_subscriber::util::SubscriberInitExt;

use super::super::sim::{Conduct, Shape, SimState, ValidicSim, ValidicSimConfig};
use super::super::{INFORM_V2, LEGACY_V1, Validic};
use crate::contract::{self, Log, Subject};
use crate::http::{Deadlines, Http};
use crate::partners::{Account, SetupError};
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::Hand;

const ORG: &str = "60c76d42c31ed70001926000";
const TOKEN: &str = "5e1f-secret-token-of-a-made-up-organisation";

fn start() -> DateTime<Utc> {
    "2026-11-27T01:10:00Z".parse().unwrap()
}

fn opened(base_url: &str, api: &str, token: &str, http: &Http) -> Result<Validic, SetupError> {
    let fields = [("organization_id", ORG), ("api", api), ("base_url", base_url)];
    let fields = fields.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    let secrets = BTreeMap::from([("token", SecretString::from(token))]);
    let account = Account {
        practice: &PracticeId::new("richmond"),
        zone: PracticeZone(chrono_tz::Australia::Melbourne),
        settings: &PartnerAccount { fields },
        secrets: &secrets,
    };
    Validic::new(&account, http)
}

struct Desk {
    sim: ValidicSim,
    hand: Hand,
    validic: Validic,
}

async fn desk_with(api: &str, http: Http) -> Desk {
    let hand = Hand::at(start());
    let sim = ValidicSim::start(ValidicSimConfig::one(ORG, TOKEN), hand.clock()).await.unwrap();
    let validic = opened(&sim.base_url(), api, TOKEN, &http).unwrap();
    Desk { sim, hand, validic }
}

async fn desk(api: &str) -> Desk {
    desk_with(api, Http::default()).await
}

fn name() -> SyncId {
    SyncId::new("vc-abcdefghijklmnopqrstuvwxyz")
}

/// Who is registered when the suite begins.
fn somebody_else() -> SyncId {
    SyncId::new("vc-somebody-else")
}

fn new(enrolling: Enrolling) -> Enrolled {
    match enrolling {
        Enrolling::New(enrolled) => enrolled,
        Enrolling::NameTaken => panic!("the name is taken"),
    }
}

#[async_trait]
impl Subject for Desk {
    fn partner(&self) -> &dyn Partner {
        &self.validic
    }

    fn strike(&self, rule: FaultRule) {
        self.sim.strike(rule);
    }

    fn calm(&self) {
        self.sim.calm();
    }

    async fn read(&self) -> Result<(), ReadError> {
        self.validic.enrolled(&somebody_else()).await.map(drop)
    }

    async fn write(&self) -> Result<(), WriteError> {
        self.validic.enrol(&name()).await.map(drop)
    }

    fn stands(&self) -> bool {
        self.sim.read(|state| state.users.contains_key(name().as_str()))
    }

    fn private(&self) -> Vec<String> {
        let tokens: Vec<String> =
            self.sim.read(|state| state.users.values().map(|user| user.token.clone()).collect());
        tokens.into_iter().chain([TOKEN.to_owned(), name().to_string()]).collect()
    }

    fn forbidden_means(&self) -> &'static str {
        "not authorised"
    }
}

#[tokio::test]
async fn it_holds_what_every_partner_must() {
    contract::holds(|deadlines: Deadlines| async move {
        let desk = desk_with(INFORM_V2, Http::with_deadlines(deadlines)).await;
        desk.validic.enrol(&somebody_else()).await.unwrap();
        desk
    })
    .await;
}

#[tokio::test]
async fn the_form_of_2015_holds_it_too() {
    let desk = desk(LEGACY_V1).await;
    desk.validic.check().await.unwrap();
    let made = new(desk.validic.enrol(&name()).await.unwrap());
    let page = made.page.unwrap();
    let token = desk.sim.read(|state| state.users.values().next().unwrap().token.clone());
    assert_eq!(page.0.expose_secret(), format!("https://app.validic.com/{ORG}/{token}"));
    assert!(matches!(desk.validic.enrol(&name()).await.unwrap(), Enrolling::NameTaken));
    let renewed = desk.validic.renew_page(&name(), &made.id).await.unwrap();
    assert_ne!(renewed.0.expose_secret(), page.0.expose_secret());
    assert!(desk.validic.changes(start().date_naive(), start().date_naive()).await.unwrap().is_empty());
    assert!(matches!(desk.validic.remove(&name(), None).await, Err(WriteError::Refused(Refusal::Other(_)))));
    for _ in 0..2 {
        desk.validic.remove(&name(), Some(&made.id)).await.unwrap();
    }
    assert!(desk.sim.read(|state| state.users.is_empty()));
    // In what is written the token stands in the body alone.
    let written = |state: &SimState| {
        let writes = state.received.iter().filter(|received| received.method != "GET");
        writes.map(|received| received.query.clone()).collect::<Vec<_>>()
    };
    assert!(desk.sim.read(written).iter().all(String::is_empty));
}

#[tokio::test]
async fn the_form_of_2015_finds_a_name_among_all_of_them_where_they_are_said() {
    let desk = desk(LEGACY_V1).await;
    assert!(desk.validic.enrolled(&name()).await.unwrap().is_none());
    for number in 0..205 {
        desk.validic.enrol(&SyncId::new(format!("vb-{number:04}"))).await.unwrap();
    }
    // Behind all of them, so that it stands on the second page.
    let made = new(desk.validic.enrol(&name()).await.unwrap());
    assert!(matches!(desk.validic.enrol(&name()).await.unwrap(), Enrolling::NameTaken));
    let before = desk.sim.read(|state| state.received.len());
    let found = desk.validic.enrolled(&name()).await.unwrap().unwrap();
    assert_eq!((&found.id, found.page.is_some()), (&made.id, false));
    assert!(desk.validic.enrolled(&SyncId::new("vc-nobody")).await.unwrap().is_none());
    assert_eq!(desk.sim.read(|state| state.received.len()) - before, 2 + 3);
    desk.sim.set_conduct(|conduct| conduct.lists_names = false);
    assert!(matches!(desk.validic.enrolled(&name()).await, Err(ReadError::Invalid(_))));
}

#[tokio::test]
async fn a_name_that_is_there_is_told_apart_in_whatever_shape_it_is_said() {
    let desk = desk(INFORM_V2).await;
    desk.validic.enrol(&name()).await.unwrap();
    for name_taken in [409, 422] {
        for shape in Shape::ALL {
            for json_as_text in [false, true] {
                desk.sim.set_conduct(|conduct| {
                    *conduct = Conduct { name_taken, shape, json_as_text, ..Conduct::default() };
                });
                let told = desk.validic.enrol(&name()).await;
                assert!(matches!(told, Ok(Enrolling::NameTaken)), "{name_taken} {shape:?}: {told:?}");
            }
        }
    }
    assert_eq!(desk.sim.read(|state| state.made.clone()), BTreeMap::from([(name().to_string(), 1)]));
    let found = desk.validic.enrolled(&name()).await.unwrap().unwrap();
    assert!(found.page.is_some() && found.devices.unwrap().is_empty());
    assert!(desk.validic.enrolled(&SyncId::new("vc-nobody")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_wrong_token_and_a_wrong_organisation_are_the_same_mistake_in_every_shape() {
    let desk = desk(INFORM_V2).await;
    let wrong = opened(&desk.sim.base_url(), INFORM_V2, "another-token", &Http::default()).unwrap();
    for shape in Shape::ALL {
        desk.sim.set_conduct(|conduct| conduct.shape = shape);
        assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)), "{shape:?}");
        let refused = wrong.enrol(&name()).await;
        assert!(
            matches!(refused, Err(WriteError::Untouched(ReadError::NotAuthorised))),
            "{shape:?}: {refused:?}"
        );
        // A name that is not of its form is refused in words, and stands for nobody.
        let refused = desk.validic.enrol(&SyncId::new("-")).await;
        let Err(WriteError::Refused(Refusal::Other(words))) = refused else {
            panic!("{shape:?}: {refused:?}")
        };
        assert!(words.contains("is invalid"), "{words}");
    }
}

#[tokio::test]
async fn a_new_page_ends_the_former_one_and_whoever_is_gone_is_not_there() {
    let desk = desk(INFORM_V2).await;
    let made = new(desk.validic.enrol(&name()).await.unwrap());
    let renewed = desk.validic.renew_page(&name(), &made.id).await.unwrap();
    let page = made.page.unwrap();
    assert_ne!(page.0.expose_secret(), renewed.0.expose_secret());
    assert!(
        desk.sim.read(|state| state.former_tokens.iter().any(|token| page.0.expose_secret().contains(token)))
    );
    for _ in 0..2 {
        desk.validic.remove(&name(), Some(&made.id)).await.unwrap();
    }
    let gone = desk.validic.renew_page(&name(), &made.id).await;
    assert!(matches!(gone, Err(WriteError::Untouched(ReadError::NotFound))), "{gone:?}");
}

#[tokio::test]
async fn what_was_connected_is_read_whole_whether_or_not_there_are_pages() {
    let desk = desk(INFORM_V2).await;
    let first: NaiveDate = start().date_naive();
    for day in 0..4 {
        for number in 0..3 {
            let uid = format!("vc-day-{day}-{number}");
            desk.validic.enrol(&SyncId::new(uid.as_str())).await.unwrap();
            assert!(desk.sim.connect(&uid, "fitbit"));
        }
        desk.hand.pass(TimeDelta::days(1));
    }
    let last = first + TimeDelta::days(4);
    for (pages, page_size) in [(true, 100), (true, 5), (false, 3)] {
        desk.sim.set_conduct(|conduct| *conduct = Conduct { pages, page_size, ..Conduct::default() });
        let changes = desk.validic.changes(first, last).await.unwrap();
        let names: std::collections::BTreeSet<_> =
            changes.iter().map(|change| change.name.to_string()).collect();
        assert_eq!((names.len(), changes.len() >= 12), (12, true), "{pages} {page_size}");
    }
    // More in one day than an answer holds, and no pages: what came is taken, and nothing is asked for ever.
    desk.sim.set_conduct(|conduct| *conduct = Conduct { pages: false, page_size: 2, ..Conduct::default() });
    assert_eq!(desk.validic.changes(first, last).await.unwrap().len(), 8);
}

/// Seconds after the start, moved by hand.
#[derive(Default)]
struct Seconds(AtomicI64);

#[async_trait]
impl Clock for Seconds {
    fn now(&self) -> DateTime<Utc> {
        start() + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

#[tokio::test]
async fn the_budget_of_an_hour_is_kept_whatever_is_answered() {
    for (says_budget, shape, fault) in [
        (true, Shape::AsDocumented, None),
        (false, Shape::Plain, None),
        (false, Shape::List, Some(Fault::ServerError)),
        (false, Shape::Message, Some(Fault::GarbledJson)),
    ] {
        let clock = Arc::new(Seconds::default());
        let desk = desk_with(INFORM_V2, Http::default().with_clock(clock.clone())).await;
        desk.sim.set_conduct(|conduct| *conduct = Conduct { says_budget, shape, ..Conduct::default() });
        if let Some(fault) = fault {
            desk.sim.strike(FaultRule::always(fault));
        }
        let mut told = None;
        for _ in 0..2000 {
            if let Err(ReadError::SlowDown { retry_after }) = desk.validic.check().await {
                told = retry_after;
            }
        }
        let sent = desk.sim.read(|state| state.received.len());
        assert!((1890..=1900).contains(&sent), "{sent} {shape:?}");
        assert!(told.is_some_and(|wait| wait > TimeDelta::minutes(1)), "{told:?}");
        // Past the moment for which others are waited for after the full hour.
        clock.0.fetch_add(3700, Ordering::SeqCst);
        desk.hand.pass(TimeDelta::seconds(3700));
        let told = desk.validic.check().await;
        assert!(!matches!(told, Err(ReadError::SlowDown { .. })), "{told:?}");
        assert_eq!(desk.sim.read(|state| (state.received.len(), state.beyond)), (sent + 1, 0));
    }
}

#[tokio::test]
async fn one_who_is_told_that_the_hour_is_spent_asks_no_more_in_it() {
    let clock = Arc::new(Seconds::default());
    let desk = desk_with(INFORM_V2, Http::default().with_clock(clock.clone())).await;
    desk.sim
        .set_conduct(|conduct| *conduct = Conduct { per_hour: 3, says_budget: false, ..Conduct::default() });
    for _ in 0..50 {
        let _ = desk.validic.check().await;
    }
    assert_eq!(desk.sim.read(|state| state.received.len()), 4, "the one that was refused, and no more");
}

#[tokio::test]
async fn nothing_that_is_sent_identifies_a_person_and_names_are_random() {
    let desk = desk(INFORM_V2).await;
    let names: std::collections::BTreeSet<SyncId> =
        (0..50).map(|_| desk.validic.new_name().unwrap()).collect();
    assert_eq!(names.len(), 50);
    for name in &names {
        let made = new(desk.validic.enrol(name).await.unwrap());
        desk.validic.enrolled(name).await.unwrap();
        desk.validic.renew_page(name, &made.id).await.unwrap();
        desk.validic.remove(name, Some(&made.id)).await.unwrap();
    }
    desk.validic.changes(start().date_naive(), start().date_naive()).await.unwrap();
    // Every byte of a request is one of these, or the name itself.
    for received in desk.sim.read(|state| state.received.clone()) {
        let body = String::from_utf8(received.body.clone()).unwrap();
        let uid =
            names.iter().find(|name| received.path.contains(name.as_str()) || body.contains(name.as_str()));
        // Where no name of ours stands, none is taken out.
        let uid = uid.map_or("UID", |name| name.as_str());
        let host = desk.sim.address();
        let path = received.path.replace(uid, "UID");
        assert!(
            [
                format!("/organizations/{ORG}/users"),
                format!("/organizations/{ORG}/users/UID"),
                format!("/organizations/{ORG}/users/UID/marketplace"),
                format!("/organizations/{ORG}/connections"),
            ]
            .contains(&path),
            "{path}"
        );
        let day = start().date_naive();
        let queries =
            [format!("token={TOKEN}"), format!("start_date={day}&end_date={day}&limit=1000&token={TOKEN}")];
        assert!(queries.contains(&received.query), "{}", received.query);
        let location = r#""location":{"timezone":"Australia/Melbourne","country_code":"AU"}"#;
        assert!(body.is_empty() || body == format!(r#"{{"uid":"{uid}",{location}}}"#), "{body}");
        for line in received.headers.lines() {
            let (header, value) = line.split_once(": ").unwrap();
            let known = match header {
                "accept" | "content-type" => value == "application/json",
                "accept-encoding" => value == "gzip",
                "content-length" => value.parse::<u32>().is_ok(),
                "host" => value == host.to_string(),
                _ => false,
            };
            assert!(known, "{line}");
        }
    }
}

#[tokio::test]
async fn neither_token_nor_page_nor_name_is_ever_written_down() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let listening = subscriber.set_default();
    tracing::info!("the test listens");
    let mut pages = Vec::new();
    let note = |told: String, error: Option<&dyn std::error::Error>| {
        log.add(&told);
        let mut beneath = error;
        while let Some(error) = beneath {
            log.add(&format!("{error} {error:?}"));
            beneath = error.source();
        }
    };
    for api in [INFORM_V2, LEGACY_V1] {
        let deadlines = Deadlines { whole: std::time::Duration::from_millis(300), ..Deadlines::default() };
        let desk = desk_with(api, Http::with_deadlines(deadlines)).await;
        let made = new(desk.validic.enrol(&name()).await.unwrap());
        note(format!("{made:?}"), None);
        pages.push(made.page.clone().unwrap().0.expose_secret().to_owned());
        let faults = [
            Fault::Refuse,
            Fault::CutAfterEffect,
            Fault::Slow { milliseconds: 3_600_000 },
            Fault::Unauthorised,
            Fault::Forbidden,
            Fault::TooManyRequests { retry_after_seconds: None },
            Fault::ServerError,
            Fault::GarbledJson,
            Fault::TruncatedBody,
            Fault::Redirect { to: format!("http://127.0.0.1:9/?token={TOKEN}") },
        ];
        for fault in faults {
            desk.sim.strike(FaultRule::always(fault));
            let told = [
                desk.validic.check().await.err(),
                desk.validic.enrolled(&name()).await.err(),
                desk.validic.changes(start().date_naive(), start().date_naive()).await.err(),
            ];
            for error in told.into_iter().flatten() {
                note(format!("{error}"), Some(&error));
            }
            let told = [
                desk.validic.enrol(&somebody_else()).await.err(),
                desk.validic.renew_page(&name(), &made.id).await.err(),
                desk.validic.remove(&SyncId::new("vc-nobody"), Some(&made.id)).await.err(),
            ];
            for error in told.into_iter().flatten() {
                note(format!("{error}"), Some(&error));
            }
            desk.sim.calm();
        }
        note(desk.validic.account(), None);
        note(desk.validic.organisation(), None);
        // Nobody listens there.
        let nowhere = opened("http://127.0.0.1:9", api, TOKEN, &Http::default()).unwrap();
        let error = nowhere.check().await.unwrap_err();
        note(format!("{error}"), Some(&error));
        pages.extend(
            desk.sim.read(|state| state.users.values().map(|user| user.token.clone()).collect::<Vec<_>>()),
        );
    }
    for wrong in ["", " ", "line\nbreak-5e1f", "ümlaut-5e1f"] {
        let error = opened("http://127.0.0.1:9", INFORM_V2, wrong, &Http::default()).map(drop).unwrap_err();
        log.add(&format!("{error} {error:?}"));
    }
    drop(listening);
    let text = log.text();
    assert!(text.contains("the test listens"), "nothing was captured");
    for private in pages.iter().map(String::as_str).chain([TOKEN, "5e1f", name().as_str()]) {
        assert!(!text.contains(private), "{private:?} is written down:\n{text}");
    }
}

#[tokio::test]
async fn an_account_that_was_replaced_says_nothing_more() {
    let desk = desk(INFORM_V2).await;
    desk.validic.check().await.unwrap();
    desk.validic.retire();
    let before = desk.sim.read(|state| state.received.len());
    assert!(matches!(desk.validic.check().await, Err(ReadError::Unreachable(_))));
    assert!(matches!(desk.validic.enrol(&name()).await, Err(WriteError::Untouched(_))));
    assert_eq!(desk.sim.read(|state| state.received.len()), before);
}

#[test]
fn an_account_is_another_one_where_anything_differs_and_an_organisation_only_where_it_does() {
    let http = Http::default();
    let of = |base_url: &str, api: &str, token: &str| opened(base_url, api, token, &http).unwrap();
    let first = of("https://api.v2.validic.com", INFORM_V2, TOKEN);
    let renewed = of("https://api.v2.validic.com", INFORM_V2, "another");
    assert_ne!(first.account(), renewed.account());
    assert_eq!(first.organisation(), renewed.organisation());
    assert_eq!(first.organisation(), of("", INFORM_V2, TOKEN).organisation(), "the usual address");
    for (base_url, api) in [("https://elsewhere.example", INFORM_V2), ("", LEGACY_V1)] {
        let moved = of(base_url, api, TOKEN);
        assert_ne!(first.account(), moved.account());
        assert_eq!(first.organisation(), moved.organisation(), "a move forgets nobody");
    }
    assert!(!first.account().contains(TOKEN) && !first.organisation().contains(ORG));
    assert!(opened("http://api.validic.com", INFORM_V2, TOKEN, &http).is_err(), "not encrypted");
    assert!(opened("", "v3", TOKEN, &http).is_err());
    assert!(opened("", INFORM_V2, "", &http).is_err());
}
