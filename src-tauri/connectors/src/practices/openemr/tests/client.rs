//! A practice that files through the API, against the simulator.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::documents::{DocumentKey, DocumentOrder};
use domain::ids::{DocumentRef, ForeignDocumentId, PartnerId, PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::documents::{FilingError, Placed};
use domain::ports::practice::PracticeSystem;
use domain::private::{Private, SecretString};
use domain::settings::{DocumentApi, WriteMode};
use domain::time::PracticeZone;
use rusqlite::Connection;

use super::super::category_parts;
use super::super::sim::{OpenEmrConduct, OpenEmrSim, OpenEmrState, SimDocument};
use crate::http::{Deadlines, Http};
use crate::practices::sql::profile::parse;
use crate::practices::sql::{DocumentApiError, SqlPractice};
use crate::practices::{SHIPPED, demo};
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::Hand;

const POST: (&str, &str) = ("POST", "/apis/default/api/patient/*/document");

struct HandsClock(Hand);

#[async_trait]
impl Clock for HandsClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

/// The demo clinic with OpenEMR's two tables for documents beside its own, the simulator that writes into them, and a
/// clock that is moved by hand.
struct Bench {
    folder: tempfile::TempDir,
    sim: OpenEmrSim,
    hand: Hand,
}

/// The demo clinic's profile, with the shipped profile's API.
fn profile() -> String {
    let of = |name| SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap().1;
    let openemr = of("openemr");
    let from = openemr.find("[documents.api]").unwrap();
    let to = from + openemr[from..].find("# What to give").unwrap();
    format!("{}\n{}", of("demo"), &openemr[from..to])
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let hand = Hand::at("2026-11-28T00:00:00Z".parse().unwrap());
    let file = folder.path().join("clinic.db");
    demo::create(&file, NaiveDate::from_ymd_opt(2026, 11, 28).unwrap()).unwrap();
    let tables = "CREATE TABLE documents (id INTEGER PRIMARY KEY, foreign_id INTEGER, name TEXT);
                  CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT, parent INTEGER);
                  INSERT INTO categories VALUES (1, 'Categories', 0), (2, 'Medical Record', 1), (3, 'New Forms', 2),
                                                (4, 'Twice', 1), (5, 'TWICE', 2);";
    Connection::open(&file).unwrap().execute_batch(tables).unwrap();
    let book = file.clone();
    let on_stored = Box::new(move |document: &SimDocument| {
        let insert = "INSERT INTO documents (id, foreign_id, name) VALUES (?1, ?2, ?3)";
        let patient: i64 = document.patient.parse().unwrap();
        let written =
            Connection::open(&book).unwrap().execute(insert, (document.id, patient, &document.name));
        assert_eq!(written, Ok(1));
    });
    let sim = OpenEmrSim::start(OpenEmrConduct::default(), hand.clock(), on_stored).await.unwrap();
    Bench { folder, sim, hand }
}

fn api(url: String) -> DocumentApi {
    DocumentApi {
        url,
        site: "default".into(),
        client_id: OpenEmrSim::CLIENT.into(),
        user: OpenEmrSim::USER.into(),
        category: "Medical Record".into(),
    }
}

impl Bench {
    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("clinic.db")
    }

    fn link(&self, api: &DocumentApi, secret: &str, password: &str) -> Result<SqlPractice, DocumentApiError> {
        // A fresh client knows no refusal of a minute ago.
        let http = Http::with_deadlines(Deadlines::default());
        link(&profile(), &self.file(), &self.hand).with_document_api(
            api,
            Some(&secret.into()),
            Some(&password.into()),
            &http,
        )
    }

    fn practice(&self) -> SqlPractice {
        self.link(&api(self.sim.url()), OpenEmrSim::CLIENT_SECRET, OpenEmrSim::PASSWORD).unwrap()
    }

    fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let all = |state: &OpenEmrState| {
            state.documents.iter().map(|one| (one.patient.clone(), one.content.clone())).collect()
        };
        self.sim.inspect(all)
    }
}

fn link(profile: &str, file: &Path, hand: &Hand) -> SqlPractice {
    let (url, clock) = (format!("sqlite:{}", file.display()), Arc::new(HandsClock(hand.clone())));
    let zone = PracticeZone(chrono_tz::Australia::Melbourne);
    SqlPractice::link(parse(profile).unwrap(), &url, None, zone, WriteMode::Sql, None, clock).unwrap()
}

fn order(document: &str) -> DocumentOrder {
    DocumentOrder {
        key: DocumentKey {
            practice: PracticeId::new("richmond"),
            partner: PartnerId::new("healthengine"),
            document: ForeignDocumentId::new(document),
        },
        patient: PatientRef::new("77"),
        appointment: None,
        booking: None,
        kind: Private::new("NEW PATIENT FORM".into()),
        name: Private::new("../Müller \"x\".pdf".into()),
        extension: "pdf",
        day: NaiveDate::from_ymd_opt(2026, 11, 27).unwrap(),
    }
}

fn content() -> Private<Vec<u8>> {
    Private::new(b"%PDF-1.7\r\n--x\r\n\r\nform".to_vec())
}

/// One document on its way, as the flow takes it: each ticket is recorded, and nothing else outlives the program.
struct OnItsWay {
    order: DocumentOrder,
    ticket: Private<String>,
}

impl OnItsWay {
    async fn begin(practice: &SqlPractice, document: &str) -> Self {
        let order = order(document);
        let staged = practice.document_inbox().unwrap().stage(&order, content()).await.unwrap();
        assert!(staged.hold.is_some(), "there is no other place to hold it");
        Self { order, ticket: staged.ticket }
    }

    /// Goes on until there is something to say that is not to be tried at once.
    async fn go_on(&mut self, practice: &SqlPractice) -> Result<Placed, FilingError> {
        loop {
            let inbox = practice.document_inbox().unwrap();
            match inbox.place(&self.order.key, &self.ticket, Some(content())).await? {
                Placed::TryInstead(ticket) => self.ticket = ticket,
                placed @ (Placed::Stands(_) | Placed::NotSettled | Placed::TurnedAway) => return Ok(placed),
            }
        }
    }
}

fn said(error: &FilingError) -> String {
    assert!(matches!(error, FilingError::SetUp(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_document_reaches_the_patients_record_with_a_name_of_its_own() {
    let bench = bench().await;
    let practice = bench.practice();
    let inbox = practice.document_inbox().unwrap();
    assert_eq!(inbox.title(), "Demo clinic at 127.0.0.1", "whose profile the test borrows");
    inbox.check().await.unwrap();
    assert_eq!(bench.stored(), [], "trying leaves nothing behind");
    for document in ["91", "92"] {
        let placed = OnItsWay::begin(&practice, document).await.go_on(&practice).await.unwrap();
        let number = if document == "91" { "341" } else { "342" };
        assert_eq!(placed, Placed::Stands(Some(DocumentRef::new(number))));
    }
    let stored = bench.sim.inspect(|state| state.documents.clone());
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].content, *content().reveal());
    assert_eq!((stored[0].patient.as_str(), stored[0].category.as_str()), ("77", "/medicalrecord"));
    assert!(stored[0].name.ends_with("_richmond_healthengine_91.pdf"), "{}", stored[0].name);
    assert!(stored.iter().all(|one| one.name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))));
    assert_eq!(bench.sim.inspect(|state| (state.tokens_given, state.mistakes.clone())), (1, Vec::new()));
}

#[tokio::test]
async fn an_answer_that_is_lost_leads_to_a_look_and_not_to_a_second_copy() {
    for fault in [Fault::CutAfterEffect, Fault::TruncatedBody, Fault::GarbledJson] {
        let bench = bench().await;
        let practice = bench.practice();
        bench.sim.add_fault(FaultRule::once(fault.clone()).on(POST.0, POST.1));
        let mut way = OnItsWay::begin(&practice, "91").await;
        assert!(way.go_on(&practice).await.is_err(), "{fault:?}");
        let placed = way.go_on(&practice).await.unwrap();
        assert_eq!(placed, Placed::Stands(Some(DocumentRef::new("341"))), "{fault:?}");
        assert_eq!(bench.stored().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_program_that_dies_after_the_post_finds_its_document_wherever_staff_put_it() {
    let bench = bench().await;
    let practice = bench.practice();
    let mut way = OnItsWay::begin(&practice, "91").await;
    // The try is recorded, the document is posted, and nobody hears of it any more.
    let recorded = {
        let inbox = practice.document_inbox().unwrap();
        let Placed::TryInstead(recorded) =
            inbox.place(&way.order.key, &way.ticket, Some(content())).await.unwrap()
        else {
            panic!("a try is recorded before it is begun")
        };
        inbox.place(&way.order.key, &recorded, Some(content())).await.unwrap();
        recorded
    };
    way.ticket = recorded;
    let anew = bench.practice();
    assert_eq!(way.go_on(&anew).await.unwrap(), Placed::Stands(Some(DocumentRef::new("341"))));
    assert_eq!(bench.stored().len(), 1);
}

#[tokio::test]
async fn a_try_that_may_still_take_effect_is_waited_for_before_another_one() {
    let bench = bench().await;
    let practice = bench.practice();
    let mut way = OnItsWay::begin(&practice, "91").await;
    let inbox = practice.document_inbox().unwrap();
    let Placed::TryInstead(recorded) =
        inbox.place(&way.order.key, &way.ticket, Some(content())).await.unwrap()
    else {
        panic!("a try is recorded before it is begun")
    };
    way.ticket = recorded;
    // It died before the post, which nobody can tell from a post that is still on its way.
    let anew = bench.practice();
    assert_eq!(way.go_on(&anew).await.unwrap(), Placed::NotSettled);
    bench.hand.pass(TimeDelta::seconds(299));
    assert_eq!(way.go_on(&anew).await.unwrap(), Placed::NotSettled);
    assert_eq!(bench.stored(), []);
    bench.hand.pass(TimeDelta::seconds(1));
    assert!(matches!(way.go_on(&anew).await.unwrap(), Placed::Stands(Some(_))));
    assert_eq!(bench.stored().len(), 1);
}

#[tokio::test]
async fn what_was_certainly_not_taken_is_tried_again_at_once() {
    let bench = bench().await;
    let practice = bench.practice();
    let mut way = OnItsWay::begin(&practice, "91").await;
    bench
        .sim
        .add_fault(FaultRule::once(Fault::TooManyRequests { retry_after_seconds: None }).on(POST.0, POST.1));
    assert!(matches!(way.go_on(&practice).await, Err(FilingError::NoAnswer(_))));
    assert!(matches!(way.go_on(&practice).await.unwrap(), Placed::Stands(_)));
    assert_eq!(bench.stored().len(), 1);
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_once() {
    let bench = bench().await;
    let practice = bench.practice();
    practice.document_inbox().unwrap().check().await.unwrap();
    bench.hand.pass(TimeDelta::hours(2));
    assert!(matches!(
        OnItsWay::begin(&practice, "91").await.go_on(&practice).await.unwrap(),
        Placed::Stands(_)
    ));
    bench.sim.revoke_tokens();
    assert!(matches!(
        OnItsWay::begin(&practice, "92").await.go_on(&practice).await.unwrap(),
        Placed::Stands(_)
    ));
    assert_eq!((bench.stored().len(), bench.sim.inspect(|state| state.tokens_given)), (2, 3));
}

#[tokio::test]
async fn what_openemr_does_not_take_is_turned_away() {
    let bench = bench().await;
    bench.sim.administer(|conduct| conduct.white_list = vec!["image/png".into()]);
    let practice = bench.practice();
    let placed = OnItsWay::begin(&practice, "91").await.go_on(&practice).await.unwrap();
    assert_eq!((placed, bench.stored()), (Placed::TurnedAway, Vec::new()));
}

#[tokio::test]
async fn each_thing_that_is_set_up_wrong_has_its_own_words() {
    type Setting = fn(&mut OpenEmrConduct);
    let settings: [(Setting, &str); 7] = [
        (|conduct| conduct.password_grant = false, "Password Grant"),
        (|conduct| conduct.client_enabled = false, "client id"),
        (|conduct| conduct.client_scopes.retain(|scope| scope != "user/document.write"), "scopes"),
        (|conduct| conduct.client_scopes.retain(|scope| scope != "api:oemr"), "ACL"),
        (|conduct| conduct.user_may_write = false, "ACL"),
        (|conduct| conduct.rest_api = false, "REST API switched off"),
        (|conduct| conduct.any_api = false, "no API at this address"),
    ];
    for (setting, word) in settings {
        let bench = bench().await;
        bench.sim.administer(setting);
        let practice = bench.practice();
        let error = practice.document_inbox().unwrap().check().await.unwrap_err();
        assert!(said(&error).contains(word), "{word}: {error}");
        // And it posts nothing either.
        let ended = OnItsWay::begin(&practice, "91").await.go_on(&practice).await;
        assert!(ended.is_err() && bench.stored().is_empty(), "{word}: {ended:?}");
    }
    let bench = bench().await;
    for (secret, password) in [("wrong", OpenEmrSim::PASSWORD), (OpenEmrSim::CLIENT_SECRET, "wrong")] {
        let practice = bench.link(&api(bench.sim.url()), secret, password).unwrap();
        let error = practice.document_inbox().unwrap().check().await.unwrap_err();
        let words = said(&error);
        assert!(words.contains("client secret") && !words.contains("wrong"), "{words}");
    }
    for (category, word) in [
        ("Nonesuch", "no such category"),
        ("Medical Record/Lab", "no such category"),
        ("New Forms/Medical Record", "no such category"),
        ("Twice", "several"),
        (" / ", "no such category"),
    ] {
        let practice = bench.link(
            &DocumentApi { category: category.into(), ..api(bench.sim.url()) },
            OpenEmrSim::CLIENT_SECRET,
            OpenEmrSim::PASSWORD,
        );
        let error = practice.unwrap().document_inbox().unwrap().check().await.unwrap_err();
        assert!(said(&error).contains(word), "{category}: {error}");
    }
    let practice = bench.link(
        &DocumentApi { category: "medical_record/New Forms".into(), ..api(bench.sim.url()) },
        OpenEmrSim::CLIENT_SECRET,
        OpenEmrSim::PASSWORD,
    );
    practice.unwrap().document_inbox().unwrap().check().await.unwrap();
}

#[tokio::test]
async fn nobody_who_answers_is_told_apart_from_something_set_up_wrong() {
    let bench = bench().await;
    let practice = bench.practice();
    bench.sim.administer(|conduct| conduct.checks_patients = true);
    practice.document_inbox().unwrap().check().await.unwrap();
    bench.sim.add_fault(FaultRule::always(Fault::ServerError).on("GET", POST.1));
    let error = practice.document_inbox().unwrap().check().await.unwrap_err();
    assert!(matches!(error, FilingError::NoAnswer(_)), "{error:?}");
    let gone = api(bench.sim.url());
    bench.sim.stop().await;
    let http = Http::default();
    let secret = SecretString::from("s");
    let practice = link(&profile(), &bench.folder.path().join("clinic.db"), &bench.hand);
    let practice = practice.with_document_api(&gone, Some(&secret), Some(&secret), &http).unwrap();
    let error = practice.document_inbox().unwrap().check().await.unwrap_err();
    assert!(matches!(error, FilingError::NoAnswer(_)), "{error:?}");
}

#[tokio::test]
async fn an_api_without_its_secrets_waits_and_one_for_another_system_is_refused() {
    let bench = bench().await;
    let (http, secret) = (Http::default(), SecretString::from("s"));
    let plain = || link(SHIPPED[0].1, &bench.file(), &bench.hand);
    let refused = plain().with_document_api(&api(bench.sim.url()), Some(&secret), Some(&secret), &http);
    assert!(matches!(refused, Err(DocumentApiError::NotOffered(name)) if name == "demo"));
    let own = || link(&profile(), &bench.file(), &bench.hand);
    let waits = own().with_document_api(&api(bench.sim.url()), Some(&secret), None, &http).unwrap();
    let error = waits.document_inbox().unwrap().check().await.unwrap_err();
    assert!(said(&error).contains("missing here"), "{error}");
    let error = OnItsWay::begin(&waits, "91").await.go_on(&waits).await.unwrap_err();
    assert!(said(&error).contains("missing here"), "{error}");
    assert!(waits.check().await.is_ok(), "bookings go on");
    for url in ["http://emr.example.com", "emr.example.com", "https://a:b@emr.example.com"] {
        let refused = own().with_document_api(&api(url.into()), Some(&secret), Some(&secret), &http);
        assert!(matches!(refused, Err(DocumentApiError::Endpoint(_))), "{url}");
    }
}

#[test]
fn categories_are_compared_as_openemr_does() {
    assert_eq!(category_parts("Patient Information/New_Forms"), ["patientinformation", "newforms"]);
    assert_eq!(category_parts("/Medical Record/"), ["medicalrecord"]);
    assert_eq!(category_parts(" / "), [""; 0]);
}
