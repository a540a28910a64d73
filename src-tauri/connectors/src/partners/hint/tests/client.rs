//! The client against the simulator.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{TimeDelta, TimeZone, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{PracticeId, SyncId};
use domain::link::LinkKind;
use domain::people::PersonDetails;
use domain::ports::partner::Partner;
use domain::ports::records::RecordRegister;
use domain::private::{Private, SecretString};
use domain::records::ForeignRecord;
use domain::settings::PartnerAccount;
use domain::time::PracticeZone;
use serde_json::{Value, json};

use super::super::super::{Account, SetupError, linkable};
use super::super::sim::{Conduct, HintSim, HintSimConfig, KeyFamily, Kind, Spans};
use super::super::{Hint, HintAccount};
use crate::contract::{self, Subject};
use crate::http::{Deadlines, EndpointError, Http};
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::Hand;

const TOKEN: &str = "token-of-the-test";
const PRACTICE: &str = "pra-EXAMPLE1";

/// The connector, its simulator with one patient, and a clock that is moved by hand.
struct Bench {
    hint: Hint,
    sim: HintSim,
    hand: Hand,
    http: Http,
    ravi: String,
}

fn account(sim: &HintSim) -> HintAccount {
    HintAccount { between_requests: TimeDelta::zero(), ..HintAccount::at(sim.base_url()) }
}

fn connect(account: &HintAccount, token: &str, http: &Http) -> Hint {
    Hint::new(account, PracticeId::new("harbour"), &token.into(), http).unwrap()
}

impl Bench {
    async fn start() -> Self {
        Self::with(Deadlines::default(), |_| {}).await
    }

    async fn conducting(change: impl FnOnce(&mut Conduct)) -> Self {
        Self::with(Deadlines::default(), change).await
    }

    async fn with(deadlines: Deadlines, change: impl FnOnce(&mut Conduct)) -> Self {
        // Monday, 2 March 2026, 09:00 in Melbourne.
        let hand = Hand::at(Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap());
        let mut config = HintSimConfig::one_practice(PRACTICE, "Harbour Direct Care", TOKEN);
        config.conduct.requests_per_second = None;
        config.keys.push(("a-partners-key".to_owned(), KeyFamily::Partner));
        change(&mut config.conduct);
        let sim = HintSim::start(config, hand.clock()).await.unwrap();
        let ravi = sim.add_patient(
            "Ravi",
            "Calloway",
            Some("1979-01-30"),
            &json!({
                "email": "ravi@example.test",
                "phones": [{ "number": "5550102030", "type": "mobile", "us_formattable": true }],
            }),
        );
        let http = Http::with_deadlines(deadlines);
        let hint = connect(&account(&sim), TOKEN, &http);
        Self { hint, sim, hand, http, ravi }
    }

    async fn read_one(&self, name: &str) -> ForeignRecord {
        self.hint.record(LinkKind::Patient, name).await.unwrap().unwrap()
    }

    fn there(&self) -> Value {
        self.sim.record(Kind::Patient, &self.ravi).unwrap()
    }

    fn requests(&self) -> usize {
        self.sim.inspect(|state| state.exchanges().count())
    }

    fn understood_everything(&self) {
        let mistakes: Vec<String> =
            self.sim.inspect(|state| state.mistakes().map(|mistake| mistake.reason.clone()).collect());
        assert_eq!(mistakes, Vec::<String>::new());
    }
}

#[async_trait]
impl Subject for Bench {
    fn partner(&self) -> &dyn Partner {
        &self.hint
    }

    fn strike(&self, rule: FaultRule) {
        self.sim.add_fault(rule);
    }

    fn calm(&self) {
        self.sim.clear_faults();
    }

    async fn read(&self) -> Result<(), ReadError> {
        let found = self.hint.record(LinkKind::Patient, &self.ravi).await?;
        assert!(found.is_some());
        Ok(())
    }

    async fn write(&self) -> Result<(), WriteError> {
        let record = ForeignRecord {
            kind: LinkKind::Patient,
            id: domain::ids::ForeignRecordId::new(self.ravi.clone()),
            told_as: None,
            former: Vec::new(),
            details: ravi(),
            invoice: None,
            archived: false,
            merged_into: None,
            updated_at: None,
            page: None,
            shows_problem: false,
        };
        self.hint.link(&record, &SyncId::new("harbour-77"), "77").await
    }

    fn stands(&self) -> bool {
        self.there()["integration_record_id"] == "harbour-77"
    }

    fn private(&self) -> Vec<String> {
        let told = ["Ravi", "Calloway", "1979-01-30", "ravi@example.test", "5550102030", "harbour-77", TOKEN];
        told.map(str::to_owned).into_iter().chain([self.ravi.clone()]).collect()
    }
}

fn ravi() -> PersonDetails {
    PersonDetails {
        first_name: Private::new("Ravi".into()),
        last_name: Private::new("Calloway".into()),
        birth_date: Private::new("1979-01-30".parse().ok()),
        phones: vec![Private::new("555 010 2030".into())],
        email: Private::new("ravi@example.test".into()),
        ..PersonDetails::default()
    }
}

#[tokio::test]
async fn the_contract_of_every_partner_holds() {
    contract::holds(async |deadlines| Bench::with(deadlines, |_| {}).await).await;
}

#[tokio::test]
async fn from_linking_to_either_name_and_back() {
    let bench = Bench::start().await;
    bench.hint.check().await.unwrap();
    let practice = bench.hint.practice().await.unwrap();
    assert_eq!((practice.id.as_str(), practice.name.as_str()), (PRACTICE, "Harbour Direct Care"));
    let found = bench.hint.matching(&ravi()).await.unwrap();
    assert_eq!(found.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), [bench.ravi.as_str()]);
    let told_as = bench.hint.told_as("77");
    for _ in 0..2 {
        bench.hint.link(&bench.read_one(&bench.ravi).await, &told_as, "77").await.unwrap();
    }
    // Either name finds it now, for reading and for writing.
    assert_eq!(bench.read_one(told_as.as_str()).await, bench.read_one(&bench.ravi).await);
    let by_ours = ForeignRecord {
        id: domain::ids::ForeignRecordId::new(told_as.as_str()),
        ..bench.read_one(told_as.as_str()).await
    };
    bench.hint.show_problem(&by_ours, Some("It is taken.")).await.unwrap();
    assert_eq!(bench.there()["integration_error_message"], "It is taken.");
    assert!(bench.read_one(&bench.ravi).await.shows_problem);
    bench.hint.show_problem(&by_ours, None).await.unwrap();
    assert_eq!(bench.there()["integration_error_message"], Value::Null);
    for _ in 0..2 {
        bench.hint.unlink(&bench.read_one(&bench.ravi).await).await.unwrap();
    }
    assert_eq!(bench.there()["integration_record_id"], Value::Null);
    assert_eq!(bench.hint.record(LinkKind::Patient, told_as.as_str()).await.unwrap(), None);
    assert_eq!(bench.hint.record(LinkKind::Patient, "pat-nobody").await.unwrap(), None);
    bench.understood_everything();
}

#[tokio::test]
async fn hints_own_spelling_stays_whatever_ours_is() {
    let bench = Bench::start().await;
    let spelt = json!({ "first_name": "RAVI ", "last_name": "Calloway-O’Neill" });
    bench.sim.edit(Kind::Patient, &bench.ravi, &spelt).unwrap();
    let record = bench.read_one(&bench.ravi).await;
    bench.hint.link(&record, &SyncId::new("harbour-77"), "77").await.unwrap();
    assert_eq!(
        (&bench.there()["first_name"], &bench.there()["last_name"]),
        (&spelt["first_name"], &spelt["last_name"])
    );
    bench.understood_everything();
}

#[tokio::test]
async fn our_page_is_shown_where_there_is_one() {
    let bench = Bench::start().await;
    let page = Some("https://book.example.test/p/{patientId}".to_owned());
    let hint = connect(&HintAccount { patient_page: page, ..account(&bench.sim) }, TOKEN, &bench.http);
    hint.link(&bench.read_one(&bench.ravi).await, &SyncId::new("harbour-77"), "77").await.unwrap();
    assert_eq!(bench.there()["integration_web_link"], "https://book.example.test/p/77");
    assert!(hint.linked_by(LinkKind::Patient).contains(&"integration_web_link"));
    bench.understood_everything();
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_refusal_and_changes_nothing() {
    let bench = Bench::start().await;
    bench.sim.add_patient("Ida", "Stone", None, &json!({ "integration_record_id": "harbour-77" }));
    let linked = bench.hint.link(&bench.read_one(&bench.ravi).await, &SyncId::new("harbour-77"), "77").await;
    let Err(WriteError::Refused(Refusal::Other(why))) = linked else { panic!("{linked:?}") };
    assert_eq!(why, "Validation failed: integration record id has already been taken");
    assert_eq!(bench.there()["integration_record_id"], Value::Null);
    let gone = bench.read_one(&bench.ravi).await;
    bench.sim.remove(Kind::Patient, &bench.ravi).unwrap();
    let linked = bench.hint.link(&gone, &SyncId::new("harbour-78"), "78").await;
    assert!(matches!(linked, Err(WriteError::Refused(Refusal::UnknownToPartner))), "{linked:?}");
}

#[tokio::test]
async fn practitioners_and_invoices_are_linked_too() {
    let bench = Bench::start().await;
    let lee = bench.sim.add_practitioner("Jo Lee");
    let invoice = bench.sim.add_invoice(&bench.ravi, "1042", "2026-05-01", 12_050);
    for (kind, place, id) in
        [(LinkKind::Practitioner, Kind::Practitioner, lee), (LinkKind::Invoice, Kind::Invoice, invoice)]
    {
        let read = bench.hint.records(kind, None).await.unwrap();
        assert!(read.whole && read.records.len() == 1, "{read:?}");
        bench.hint.link(&read.records[0], &SyncId::new("harbour-9"), "9").await.unwrap();
        assert_eq!(bench.sim.record(place, "harbour-9").unwrap()["id"], id);
        let linked = bench.hint.record(kind, "harbour-9").await.unwrap().unwrap();
        bench.hint.show_problem(&linked, Some("nobody sees it")).await.unwrap();
        bench.hint.unlink(&linked).await.unwrap();
        assert_eq!(bench.sim.record(place, "harbour-9"), None);
    }
    bench.understood_everything();
}

/// Patients `p0`, `p1`, …, one a minute, every seventh of them put away.
fn many(bench: &Bench, count: usize) {
    for number in 0..count {
        bench.hand.pass(TimeDelta::minutes(1));
        let status = if number % 7 == 0 { "archived" } else { "active" };
        bench.sim.add_patient("Many", &format!("p{number}"), None, &json!({ "membership_status": status }));
    }
}

fn ids(records: &[ForeignRecord]) -> BTreeSet<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

#[tokio::test]
async fn everybody_is_read_page_by_page_those_put_away_as_well() {
    for (sorts, counts) in [(true, true), (true, false)] {
        let bench = Bench::conducting(|conduct| {
            conduct.sorts = sorts;
            conduct.counts = counts;
        })
        .await;
        many(&bench, 250);
        let read = bench.hint.records(LinkKind::Patient, None).await.unwrap();
        assert!(read.whole);
        assert_eq!((read.records.len(), ids(&read.records).len()), (251, 251));
        assert_eq!(read.records.iter().filter(|record| record.archived).count(), 36);
        assert_eq!(bench.requests(), 3);
        bench.understood_everything();
    }
}

#[tokio::test]
async fn a_list_without_an_order_is_never_taken_for_whole_when_something_is_missing() {
    let bench = Bench::conducting(|conduct| conduct.sorts = false).await;
    many(&bench, 250);
    match bench.hint.records(LinkKind::Patient, None).await {
        Ok(read) => assert!(!read.whole || read.records.len() == 251, "{}", read.records.len()),
        Err(error) => assert!(matches!(error, ReadError::Unreachable(_)), "{error}"),
    }
}

#[tokio::test]
async fn what_changed_is_read_whichever_spelling_is_understood() {
    for (spans, fewest) in [(Spans::Brackets, 1), (Spans::Json, 1), (Spans::Ignored, 1), (Spans::Refused, 3)]
    {
        let bench = Bench::conducting(|conduct| conduct.spans = spans).await;
        many(&bench, 250);
        let before = bench.requests();
        let since = bench.hand.now() - TimeDelta::minutes(4);
        let read = bench.hint.records(LinkKind::Patient, Some(since)).await.unwrap();
        let changed: Vec<&ForeignRecord> =
            read.records.iter().filter(|record| record.updated_at >= Some(since)).collect();
        assert_eq!(changed.len(), 5, "{spans:?}");
        assert!(!read.whole, "{spans:?}");
        // A list that is not narrowed falls, so that the first page is enough.
        assert_eq!(bench.requests() - before, fewest, "{spans:?}");
    }
}

#[tokio::test]
async fn where_nothing_is_narrowed_and_nothing_sorted_everybody_is_read() {
    let bench = Bench::conducting(|conduct| {
        conduct.sorts = false;
        conduct.spans = Spans::Ignored;
    })
    .await;
    many(&bench, 60);
    let read = bench.hint.records(LinkKind::Patient, Some(bench.hand.now())).await.unwrap();
    assert_eq!((read.records.len(), read.whole), (61, true));
}

#[tokio::test]
async fn one_odd_row_hides_no_other_and_all_odd_rows_are_no_empty_list() {
    let bench = Bench::start().await;
    bench.sim.add_patient("Odd", "Row", None, &json!({ "phones": "none" }));
    let read = bench.hint.records(LinkKind::Patient, None).await.unwrap();
    assert_eq!((ids(&read.records), read.whole), ([bench.ravi.clone()].into(), false));
    bench.sim.remove(Kind::Patient, &bench.ravi).unwrap();
    let read = bench.hint.records(LinkKind::Patient, None).await;
    assert!(matches!(read, Err(ReadError::Garbled(_))), "{read:?}");
}

#[tokio::test]
async fn keys_of_the_wrong_kind_are_told() {
    let bench = Bench::start().await;
    for key in ["a-partners-key", "nobodys-key"] {
        let refused = connect(&account(&bench.sim), key, &bench.http).check().await;
        assert!(matches!(refused, Err(ReadError::NotAuthorised)), "{refused:?}");
    }
    bench.sim.set_key(TOKEN, KeyFamily::Revoked);
    assert!(matches!(bench.hint.check().await, Err(ReadError::NotAuthorised)));
}

#[tokio::test]
async fn haste_is_answered_with_patience_that_grows_and_is_forgotten() {
    let bench = Bench::start().await;
    let fault = bench.sim.add_fault(FaultRule::always(Fault::TooManyRequests { retry_after_seconds: None }));
    let mut told = Vec::new();
    for _ in 0..12 {
        let Err(ReadError::SlowDown { retry_after: Some(wait) }) = bench.hint.check().await else {
            panic!("nobody was hasty")
        };
        told.push(wait);
    }
    for (times, wait) in told.iter().enumerate() {
        let least = TimeDelta::seconds(1 << times.min(8));
        assert!(least <= *wait && *wait <= least * 2, "{times}: {wait}");
    }
    // Chance sees to it that not everybody comes back at once.
    let apart: BTreeSet<i64> = told.iter().skip(8).map(|wait| wait.num_milliseconds() - 256_000).collect();
    assert!(apart.len() > 1, "{apart:?}");
    bench.sim.remove_fault(fault);
    bench.hint.check().await.unwrap();
    bench.sim.add_fault(FaultRule::once(Fault::TooManyRequests { retry_after_seconds: None }));
    let Err(ReadError::SlowDown { retry_after: Some(wait) }) = bench.hint.check().await else { panic!() };
    assert!(wait <= TimeDelta::seconds(2), "{wait}");
}

#[tokio::test]
async fn requests_go_one_at_a_time_at_the_pace_that_was_chosen() {
    let bench = Bench::start().await;
    let paced = HintAccount { between_requests: TimeDelta::milliseconds(20), ..account(&bench.sim) };
    // Two practices share Hint's limit.
    let [one, other] = [TOKEN, TOKEN].map(|token| connect(&paced, token, &bench.http));
    let began = std::time::Instant::now();
    let ask = async |hint: &Hint| {
        for _ in 0..3 {
            hint.check().await.unwrap();
        }
    };
    futures_util::future::join(ask(&one), ask(&other)).await;
    assert!(began.elapsed() >= Duration::from_millis(5 * 20));
    assert_eq!(HintAccount::at("https://api.hint.com/api").between_requests, TimeDelta::milliseconds(500));
}

#[tokio::test]
async fn a_retired_account_sends_nothing() {
    let bench = Bench::start().await;
    let record = bench.read_one(&bench.ravi).await;
    let before = bench.requests();
    bench.hint.retire();
    assert!(matches!(bench.hint.check().await, Err(ReadError::Unreachable(_))));
    let linked = bench.hint.link(&record, &SyncId::new("harbour-77"), "77").await;
    assert!(matches!(linked, Err(WriteError::Untouched(ReadError::Unreachable(_)))), "{linked:?}");
    assert_eq!(bench.requests(), before);
}

#[tokio::test]
async fn accounts_are_told_apart_without_being_told() {
    let bench = Bench::start().await;
    let ours = bench.hint.account();
    assert_eq!(ours, connect(&account(&bench.sim), &format!(" {TOKEN}\n"), &bench.http).account());
    assert_ne!(ours, connect(&account(&bench.sim), "another", &bench.http).account());
    assert!(!ours.contains(TOKEN));
}

#[test]
fn settings_that_cannot_be_right_are_named() {
    let set_up = |address: &str, token: &str| {
        let account = HintAccount::at(address);
        Hint::new(&account, PracticeId::new("harbour"), &token.into(), &Http::default()).map(drop)
    };
    set_up("https://api.hint.com/api", TOKEN).unwrap();
    let sandbox = set_up("https://api.hint.com/api", "sbx-made-up");
    let Err(SetupError::Field(wrong)) = sandbox else { panic!("{sandbox:?}") };
    assert!(wrong.key == Some("access_token") && wrong.why.contains("begins with sbx-"), "{wrong}");
    for page in
        ["book.example.test/{patientId}", "https://book.example.test/", "https://b.example.test/ {patientId}"]
    {
        let account =
            HintAccount { patient_page: Some(page.into()), ..HintAccount::at("https://api.hint.com/api") };
        let refused = Hint::new(&account, PracticeId::new("harbour"), &TOKEN.into(), &Http::default());
        assert!(matches!(refused.map(drop), Err(SetupError::Field(_))), "{page}");
    }
    let plain = set_up("http://api.example.test/api", TOKEN);
    assert!(matches!(plain, Err(SetupError::Endpoint(EndpointError::NotEncrypted))));
    for token in [" ", "a\nb", "ä"] {
        let words = set_up("https://api.hint.com/api", token).unwrap_err().to_string();
        assert_eq!(words, "the access token has characters that it cannot have");
    }
}

#[tokio::test]
async fn an_account_is_opened_as_its_card_asks_for_it_and_introduces_itself() {
    let bench = Bench::start().await;
    let hint = linkable("hint").unwrap();
    let typed = [("base_url".to_owned(), bench.sim.base_url())].into();
    let settings = PartnerAccount { fields: hint.card.read(&typed).unwrap() };
    let secrets: std::collections::BTreeMap<&str, SecretString> = [("access_token", TOKEN.into())].into();
    let practice = PracticeId::new("harbour");
    let zone = PracticeZone::parse("Australia/Melbourne").unwrap();
    let open = |secrets| {
        (hint.open)(&Account { practice: &practice, zone, settings: &settings, secrets }, &bench.http)
    };
    let partner = open(&secrets).unwrap();
    assert_eq!(partner.introduce().await.unwrap().as_deref(), Some("Harbour Direct Care"));
    assert!(partner.record_register().is_some());
    let without = open(&std::collections::BTreeMap::new());
    assert!(matches!(without.map(drop), Err(SetupError::SecretMissing("Access token"))));
}
