//! The client against the simulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use domain::failure::{ReadError, SendError, WriteError};
use domain::ids::{ForeignProfileId, PracticeId, ProfileGroupId, SyncId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::register::LastWord;
use domain::ports::register::ProfileRegister;
use domain::private::{Private, SecretString};
use domain::profile::{ForeignProfile, Imported, ProfileOrder};
use domain::settings::ValdSettings;
use futures_util::future::join_all;

use super::super::sim::{
    Conduct, Region as Place, SimTenant, Standing, Throttle, ValdSim, ValdSimConfig, Visible, Wiped,
};
use super::super::{
    AUDIENCE, Listed, Region, SearchFailed, SetupError, TOKEN_URL, Vald, find_region, landing,
};
use super::tomasz;
use crate::contract::{self, Subject};
use crate::http::{Deadlines, EndpointError, Http};
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::{Hand, client};

const CLIENT: &str = "client-of-the-test";
const SECRET: &str = "secret-of-the-test";
/// In Australia, opened by the client.
const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// In the United States, opened by the client.
const ABROAD: &str = "22222222-2222-4333-8444-555555555555";
const NOBODY: &str = "99999999-0000-4000-8000-000000000001";
const EVERY_PROFILE: &str = "/profiles*";

/// A last word.
struct Says(AtomicBool);

impl Says {
    fn yes() -> Self {
        Self(AtomicBool::new(true))
    }

    fn no(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl LastWord for Says {
    async fn may_leave(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The connector, its simulator, and a clock that is moved by hand.
struct Bench {
    vald: Vald,
    sim: ValdSim,
    hand: Hand,
    http: Http,
}

struct HandClock(Hand);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

fn settings(sim: &ValdSim, place: Place) -> ValdSettings {
    ValdSettings {
        tenant_id: TENANT.to_owned(),
        region: place.as_str().to_owned(),
        token_url: sim.token_url(),
        audience: AUDIENCE.to_owned(),
        profile_url: sim.profile_url(place),
        tenants_url: sim.tenants_url(place),
        hub_url: None,
        groups: Vec::new(),
        between_requests: TimeDelta::zero(),
        sync_prefix: "harbour".to_owned(),
        staff_are_adults: true,
    }
}

fn connect(settings: &ValdSettings, secret: &str, http: &Http) -> Vald {
    let practice = PracticeId::new("harbour");
    Vald::new(settings, practice, &CLIENT.into(), &secret.into(), http).unwrap()
}

fn called(sync_id: &str) -> ProfileOrder {
    ProfileOrder { sync_id: SyncId::new(sync_id), ..tomasz() }
}

impl Bench {
    async fn start() -> Self {
        Self::with(Deadlines::default(), |_| {}).await
    }

    async fn conducting(change: impl FnOnce(&mut Conduct)) -> Self {
        Self::with(Deadlines::default(), change).await
    }

    /// Where refusals are remembered.
    async fn remembering() -> Self {
        let mut bench = Self::start().await;
        bench.http = Http::default().with_clock(Arc::new(HandClock(bench.hand.clone())));
        bench.vald = bench.again();
        bench
    }

    async fn with(deadlines: Deadlines, change: impl FnOnce(&mut Conduct)) -> Self {
        // Monday, 2 March 2026, 09:00 in Melbourne.
        let hand = Hand::at(Utc.with_ymd_and_hms(2026, 3, 1, 22, 0, 0).unwrap());
        let tenant = |id: &str, name: &str, region| SimTenant {
            id: id.to_owned(),
            name: name.to_owned(),
            sport: "AlliedHealth".to_owned(),
            region,
        };
        let home = tenant(TENANT, "Harbour Physio", Place::Aue);
        let mut config = ValdSimConfig::one_tenant(home, CLIENT, SECRET);
        config.credentials[0].tenant_ids.push(ABROAD.to_owned());
        config.tenants.push(tenant(ABROAD, "Boston Physio", Place::Use));
        config.conduct.throttle = None;
        change(&mut config.conduct);
        let sim = ValdSim::start(config, hand.clock()).await.unwrap();
        let http = Http::with_deadlines(deadlines);
        let vald = connect(&settings(&sim, Place::Aue), SECRET, &http);
        Self { vald, sim, hand, http }
    }

    /// Another connector for the same account, as after a change of settings.
    fn again(&self) -> Vald {
        connect(&settings(&self.sim, Place::Aue), SECRET, &self.http)
    }

    async fn import(&self, order: &ProfileOrder) {
        assert_eq!(self.vald.import(order, &Says::yes()).await.unwrap(), Imported::Accepted);
    }

    async fn found(&self, sync_id: &str) -> ForeignProfile {
        self.vald.profile(&SyncId::new(sync_id)).await.unwrap().unwrap()
    }

    fn tokens(&self) -> usize {
        self.sim.inspect(|state| state.tokens().len())
    }

    fn asked_for_tokens(&self) -> u64 {
        self.sim.inspect(|state| state.requests("POST", "/oauth/token"))
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
        &self.vald
    }

    fn strike(&self, rule: FaultRule) {
        self.sim.add_fault(rule);
    }

    fn calm(&self) {
        self.sim.clear_faults();
    }

    async fn read(&self) -> Result<(), ReadError> {
        let found = self.vald.profile(&SyncId::new("harbour-1")).await?;
        assert!(found.is_some());
        Ok(())
    }

    async fn write(&self) -> Result<(), WriteError> {
        let imported = self.vald.import(&tomasz(), &Says::yes()).await?;
        assert_eq!(imported, Imported::Accepted);
        Ok(())
    }

    fn stands(&self) -> bool {
        self.sim.inspect(|state| state.profile(TENANT, "harbour-77").is_some())
    }

    fn private(&self) -> Vec<String> {
        let told =
            ["Tomasz", "Ferreira", "1991-06-17", "tomasz@example.test", "48213", CLIENT, SECRET, "sim-token"];
        told.map(str::to_owned).into()
    }
}

#[tokio::test]
async fn the_contract_of_every_partner_holds() {
    contract::holds(async |deadlines| {
        let bench = Bench::with(deadlines, |_| {}).await;
        bench.import(&called("harbour-1")).await;
        bench
    })
    .await;
}

#[tokio::test]
async fn from_linking_to_a_profile_in_its_groups() {
    let bench = Bench::start().await;
    let category = bench.sim.add_category(TENANT, "Clinic").unwrap();
    let [knees, backs] = ["Knees", "Backs"].map(|name| bench.sim.add_group(TENANT, &category, name).unwrap());
    bench.vald.check().await.unwrap();
    assert_eq!(bench.vald.tenant().await.unwrap().name, "Harbour Physio");
    let groups: Vec<(String, String)> = bench
        .vald
        .groups()
        .await
        .unwrap()
        .into_iter()
        .map(|group| (group.id.to_string(), group.name))
        .collect();
    assert_eq!(groups, [(knees.clone(), "Knees".to_owned()), (backs.clone(), "Backs".to_owned())]);

    bench.import(&tomasz()).await;
    let profile = bench.found("harbour-77").await;
    assert_eq!(bench.vald.profile_by_id(&profile.id).await.unwrap().as_ref(), Some(&profile));
    assert_eq!(profile.modified_at, Some(bench.hand.now()));
    bench.sim.put_into_group(TENANT, profile.id.as_str(), &backs).unwrap();
    for _ in 0..2 {
        bench
            .vald
            .add_to_groups(&profile.id, &[ProfileGroupId::new(knees.clone())], &Says::yes())
            .await
            .unwrap();
    }
    bench.sim.inspect(|state| {
        let there = state.profile(TENANT, "harbour-77").unwrap();
        // Those that staff chose stay.
        assert!(there.group_ids.contains(&knees) && there.group_ids.contains(&backs));
        assert_eq!(there.details.date_of_birth.to_string(), "1991-06-17");
        assert_eq!(state.imports(TENANT).next().unwrap().body["sex"], "Male");
    });
    bench.understood_everything();
}

#[tokio::test]
async fn an_answer_without_a_body_is_an_empty_list() {
    let bench = Bench::start().await;
    assert_eq!(bench.vald.groups().await.unwrap(), []);
    assert_eq!(bench.vald.modified_since(None).await.unwrap(), []);
    assert_eq!(bench.vald.profile(&SyncId::new("nobody")).await.unwrap(), None);
    assert_eq!(bench.vald.profile_by_id(&ForeignProfileId::new(NOBODY)).await.unwrap(), None);
    bench.sim.open_tenants(CLIENT, &[]).unwrap();
    assert!(matches!(bench.vald.tenant().await, Err(ReadError::NotFound)));
    bench.understood_everything();
}

#[tokio::test]
async fn an_import_that_shows_late_is_not_there_yet() {
    let bench = Bench::conducting(|conduct| conduct.visible = Visible::AfterQuestions(1)).await;
    bench.import(&tomasz()).await;
    assert_eq!(bench.vald.profile(&SyncId::new("harbour-77")).await.unwrap(), None);
    bench.found("harbour-77").await;
}

async fn groups(vald: &Vald) {
    vald.groups().await.unwrap();
}

#[tokio::test]
async fn one_token_serves_everybody_with_the_same_credentials() {
    let bench = Bench::start().await;
    let other = bench.again();
    join_all((0..8).map(|number| groups(if number % 2 == 0 { &bench.vald } else { &other }))).await;
    assert_eq!(bench.tokens(), 1);
    // An account with other credentials has a token of its own.
    bench.sim.replace_secret(CLIENT, "another").unwrap();
    connect(&settings(&bench.sim, Place::Aue), "another", &bench.http).groups().await.unwrap();
    assert_eq!(bench.tokens(), 2);
    bench.understood_everything();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    for (life, tokens) in [(TimeDelta::hours(1), 1), (TimeDelta::seconds(60), 3)] {
        let bench = Bench::conducting(|conduct| conduct.token_life = life).await;
        for _ in 0..3 {
            bench.vald.groups().await.unwrap();
        }
        assert_eq!(bench.tokens(), tokens);
        bench.understood_everything();
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_renewed_and_the_request_repeated() {
    let bench = Bench::start().await;
    bench.vald.check().await.unwrap();
    bench.sim.revoke_tokens();
    bench.import(&tomasz()).await;
    assert_eq!(bench.tokens(), 2);
    bench.hand.pass(TimeDelta::hours(3));
    bench.found("harbour-77").await;
    assert_eq!(bench.tokens(), 3);
    // Several who notice at the same time get one new token between them.
    bench.sim.revoke_tokens();
    join_all((0..4).map(|_| bench.found("harbour-77"))).await;
    assert_eq!(bench.tokens(), 4);
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_renewed_once() {
    let bench = Bench::start().await;
    bench.sim.add_fault(FaultRule::always(Fault::Unauthorised).on("GET", EVERY_PROFILE));
    let refused = bench.vald.profile(&SyncId::new("harbour-77")).await;
    assert!(matches!(refused, Err(ReadError::NotAuthorised)), "{refused:?}");
    assert_eq!((bench.tokens(), bench.sim.inspect(|state| state.requests("GET", "/profiles"))), (2, 2));
}

#[tokio::test]
async fn a_profile_that_is_turned_away_for_its_token_has_left() {
    let bench = Bench::start().await;
    bench.sim.add_fault(FaultRule::always(Fault::Unauthorised).on("POST", "/profiles/import"));
    let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::TurnedAway(ReadError::NotAuthorised))), "{imported:?}");
    // The second token is refused, and the first try had left.
    bench.sim.clear_faults();
    let bench = Bench::start().await;
    bench.vald.check().await.unwrap();
    bench.sim.add_fault(FaultRule::always(Fault::Unauthorised).on("POST", "/profiles/import"));
    bench.sim.set_standing(CLIENT, Standing::Expired).unwrap();
    let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::TurnedAway(ReadError::NotAuthorised))), "{imported:?}");
}

#[tokio::test]
async fn refused_credentials_are_told_and_left_alone_for_a_minute() {
    for standing in [Standing::BeforeMarch2026, Standing::Expired] {
        let bench = Bench::remembering().await;
        bench.sim.set_standing(CLIENT, standing).unwrap();
        for _ in 0..5 {
            assert!(matches!(bench.vald.check().await, Err(ReadError::NotAuthorised)));
            let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
            assert!(matches!(imported, Err(SendError::NotSent(ReadError::NotAuthorised))));
        }
        assert_eq!(bench.asked_for_tokens(), 1);
        // Whoever tries again by hand is told the truth at once.
        assert!(matches!(bench.again().check().await, Err(ReadError::NotAuthorised)));
        assert_eq!(bench.asked_for_tokens(), 2);
        bench.sim.set_standing(CLIENT, Standing::Good).unwrap();
        bench.hand.pass(TimeDelta::seconds(61));
        bench.import(&tomasz()).await;
    }
    let bench = Bench::start().await;
    let wrong = connect(&settings(&bench.sim, Place::Aue), "a wrong secret", &bench.http);
    assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)));
    for change in [
        |settings: &mut ValdSettings| settings.audience = "another-api".to_owned(),
        |settings: &mut ValdSettings| {
            settings.token_url = settings.token_url.replace("/oauth/token", "/connect/token");
        },
    ] {
        let mut settings = settings(&bench.sim, Place::Aue);
        change(&mut settings);
        let vald = connect(&settings, SECRET, &bench.http);
        assert!(matches!(vald.check().await, Err(ReadError::NotAuthorised)));
    }
}

#[tokio::test]
async fn a_wrong_tenant_or_region_is_asked_for_once_a_minute() {
    let bench = Bench::remembering().await;
    let of_another = ValdSettings { tenant_id: NOBODY.to_owned(), ..settings(&bench.sim, Place::Aue) };
    for settings in [of_another, settings(&bench.sim, Place::Euw)] {
        let vald = connect(&settings, SECRET, &bench.http);
        let before = bench.sim.inspect(|state| state.requests("POST", "/profiles/import"));
        let imported = vald.import(&tomasz(), &Says::yes()).await;
        assert!(matches!(imported, Err(SendError::TurnedAway(ReadError::NoConsent))), "{imported:?}");
        for _ in 0..4 {
            let imported = vald.import(&tomasz(), &Says::yes()).await;
            assert!(matches!(imported, Err(SendError::NotSent(ReadError::NoConsent))), "{imported:?}");
        }
        assert_eq!(bench.sim.inspect(|state| state.requests("POST", "/profiles/import")), before + 1);
        bench.hand.pass(TimeDelta::seconds(61));
        assert!(vald.import(&tomasz(), &Says::yes()).await.is_err());
        assert_eq!(bench.sim.inspect(|state| state.requests("POST", "/profiles/import")), before + 2);
    }
}

#[tokio::test]
async fn haste_is_answered_with_patience_said_or_not() {
    for (says_when, expected) in [(true, 5), (false, 10)] {
        let throttle = Throttle { requests: 1, per: TimeDelta::seconds(5), says_when };
        let bench = Bench::conducting(|conduct| conduct.throttle = Some(throttle)).await;
        bench.import(&tomasz()).await;
        let Err(SendError::TurnedAway(ReadError::SlowDown { retry_after })) =
            bench.vald.import(&tomasz(), &Says::yes()).await
        else {
            panic!("the throttle did not throttle")
        };
        assert_eq!(retry_after, Some(TimeDelta::seconds(expected)));
        bench.hand.pass(TimeDelta::seconds(expected));
        bench.import(&tomasz()).await;
    }
}

#[tokio::test]
async fn sync_ids_and_names_are_kept_letter_by_letter() {
    let bench = Bench::start().await;
    for (number, sync_id) in
        ["a/b", "a b", "a&b=c", "ä–日本", "a+b", "A", "a", "%20", "#?", "..", "👩🏽‍⚕️"].into_iter().enumerate()
    {
        let order = ProfileOrder {
            given_name: Private::new("Zoë 明 \"Z\"".into()),
            family_name: Private::new("O’Neill-Łuczak".into()),
            ..called(sync_id)
        };
        bench.import(&order).await;
        let found = bench.found(sync_id).await;
        assert_eq!(found.sync_id, Some(order.sync_id));
        assert_eq!(bench.sim.inspect(|state| state.profiles(TENANT).count()), number + 1);
        let there = bench.sim.inspect(|state| state.profile(TENANT, sync_id).unwrap().details.clone());
        assert_eq!(there.given_name, "Zoë 明 \"Z\"");
        assert_eq!(there.family_name, "O’Neill-Łuczak");
    }
    bench.understood_everything();
}

#[tokio::test]
async fn what_is_wrong_with_a_profile_is_told_by_field_and_without_a_value() {
    let bench = Bench::conducting(|conduct| conduct.unique_emails = true).await;
    bench.import(&called("harbour-1")).await;
    let Imported::Refused(fields) = bench.vald.import(&tomasz(), &Says::yes()).await.unwrap() else {
        panic!("the address is somebody else's")
    };
    assert_eq!(fields.iter().map(|refused| refused.field.as_str()).collect::<Vec<_>>(), ["email"]);
    bench.import(&ProfileOrder { email: Private::default(), ..tomasz() }).await;

    let future = ProfileOrder {
        birth_date: Private::new(NaiveDate::from_ymd_opt(2031, 1, 2).unwrap()),
        email: Private::new("no address".into()),
        ..called("harbour-2")
    };
    let Imported::Refused(mut fields) = bench.vald.import(&future, &Says::yes()).await.unwrap() else {
        panic!("nobody was born in the future")
    };
    fields.sort_by(|one, other| one.field.cmp(&other.field));
    assert!(fields.iter().all(|refused| !refused.why.is_empty()));
    let named: Vec<&str> = fields.iter().map(|refused| refused.field.as_str()).collect();
    assert!(named.contains(&"dateOfBirth") && named.contains(&"email"), "{named:?}");
    let told = format!("{fields:?}");
    for private in ["2031", "no address", "Tomasz", "Ferreira", "harbour-2"] {
        assert!(!told.contains(private), "{told}");
    }
}

#[tokio::test]
async fn a_minor_goes_with_a_guardians_consent() {
    let bench = Bench::start().await;
    let minor = ProfileOrder {
        birth_date: Private::new(NaiveDate::from_ymd_opt(2015, 2, 28).unwrap()),
        guardian_agreed: Some(true),
        ..tomasz()
    };
    bench.import(&minor).await;
    let consents = bench.sim.inspect(|state| state.profile(TENANT, "harbour-77").unwrap().consents.unwrap());
    assert_eq!(
        (consents.created_by_adult, consents.guardian, consents.photo_video),
        (true, Some(true), false)
    );
    bench.understood_everything();
}

#[tokio::test]
async fn groups_that_are_gone_are_told_from_failures() {
    let bench = Bench::start().await;
    bench.import(&tomasz()).await;
    let profile = bench.found("harbour-77").await.id;
    let category = bench.sim.add_category(TENANT, "Clinic").unwrap();
    let group = bench.sim.add_group(TENANT, &category, "Knees").unwrap();
    for (profile, group) in [(profile.clone(), NOBODY.to_owned()), (ForeignProfileId::new(NOBODY), group)] {
        let added = bench.vald.add_to_groups(&profile, &[ProfileGroupId::new(group)], &Says::yes()).await;
        assert!(matches!(added, Err(SendError::TurnedAway(ReadError::NotFound))), "{added:?}");
    }
    // So many that the body would be worth compressing, which nobody promised to unpack.
    let many: Vec<ProfileGroupId> = (0..40)
        .map(|number| bench.sim.add_group(TENANT, &category, &format!("Group {number}")).unwrap())
        .map(ProfileGroupId::new)
        .collect();
    bench.vald.add_to_groups(&profile, &many, &Says::yes()).await.unwrap();
    let long = "Featherstonehaugh-".repeat(80);
    bench.import(&ProfileOrder { family_name: Private::new(long), ..tomasz() }).await;
    let there = bench.sim.inspect(|state| state.profile(TENANT, "harbour-77").unwrap().group_ids.len());
    assert_eq!(there, 40);
}

/// An account that is asked so seldom that whoever waits for a turn waits through the rest of a test.
fn slowly(bench: &Bench) -> Vald {
    let between_requests = TimeDelta::milliseconds(600);
    let account = ValdSettings { between_requests, ..settings(&bench.sim, Place::Aue) };
    connect(&account, SECRET, &bench.http)
}

#[tokio::test]
async fn the_last_word_is_asked_for_when_the_turn_has_come() {
    let bench = Bench::start().await;
    bench.import(&tomasz()).await;
    let profile = bench.found("harbour-77").await.id;
    let category = bench.sim.add_category(TENANT, "Clinic").unwrap();
    let groups = [ProfileGroupId::new(bench.sim.add_group(TENANT, &category, "Knees").unwrap())];
    let vald = slowly(&bench);
    vald.check().await.unwrap();
    let before = bench.requests();
    let said = Says::yes();
    // Whoever had asked before the wait would have heard yes.
    let order = called("harbour-1");
    let (imported, ()) = tokio::join!(vald.import(&order, &said), async { said.no() });
    assert!(matches!(imported, Err(SendError::NotSent(ReadError::Unreachable(_)))), "{imported:?}");
    let said = Says::yes();
    let (grouped, ()) = tokio::join!(vald.add_to_groups(&profile, &groups, &said), async { said.no() });
    assert!(matches!(grouped, Err(SendError::NotSent(ReadError::Unreachable(_)))), "{grouped:?}");
    assert_eq!(bench.requests(), before);
    assert!(bench.sim.inspect(|state| state.profile(TENANT, "harbour-1").is_none()));
}

#[tokio::test]
async fn the_last_word_is_asked_for_again_before_the_second_try_with_a_new_token() {
    /// Says yes once.
    struct Once(Says);

    #[async_trait]
    impl LastWord for Once {
        async fn may_leave(&self) -> bool {
            self.0.0.swap(false, Ordering::SeqCst)
        }
    }

    let bench = Bench::start().await;
    bench.sim.add_fault(FaultRule::always(Fault::Unauthorised).on("POST", "/profiles/import"));
    let imported = bench.vald.import(&tomasz(), &Once(Says::yes())).await;
    assert!(matches!(imported, Err(SendError::TurnedAway(ReadError::Unreachable(_)))), "{imported:?}");
    assert_eq!(bench.sim.inspect(|state| state.requests("POST", "/profiles/import")), 1);
}

#[tokio::test]
async fn how_far_something_came_is_told_and_never_guessed() {
    // Nobody listens there.
    let bench = Bench::start().await;
    let nowhere =
        ValdSettings { profile_url: "http://127.0.0.1:9".into(), ..settings(&bench.sim, Place::Aue) };
    let vald = connect(&nowhere, SECRET, &bench.http);
    let imported = vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::NotSent(ReadError::Unreachable(_)))), "{imported:?}");
    let removed = vald.forget_former_links().await;
    assert!(matches!(removed, Err(SendError::NotSent(ReadError::Unreachable(_)))), "{removed:?}");
    // The answer is lost after the body left.
    for (path, method) in [("/profiles/import", "POST"), ("/profiles/syncids", "DELETE")] {
        for fault in [Fault::CutAfterEffect, Fault::Refuse] {
            bench.sim.add_fault(FaultRule::always(fault).on(method, path));
        }
    }
    let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::Unknown(ReadError::Unreachable(_)))), "{imported:?}");
    let removed = bench.vald.forget_former_links().await;
    assert!(matches!(removed, Err(SendError::Unknown(ReadError::Unreachable(_)))), "{removed:?}");
    // VALD says no.
    bench.sim.clear_faults();
    for (path, method) in [("/profiles/import", "POST"), ("/profiles/syncids", "DELETE")] {
        bench.sim.add_fault(FaultRule::always(Fault::Forbidden).on(method, path));
    }
    let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::TurnedAway(ReadError::NoConsent))), "{imported:?}");
    let removed = bench.vald.forget_former_links().await;
    assert!(matches!(removed, Err(SendError::TurnedAway(ReadError::NoConsent))), "{removed:?}");
}

#[tokio::test]
async fn a_merge_is_seen_while_it_lasts_and_afterwards() {
    let bench = Bench::start().await;
    bench.import(&called("harbour-1")).await;
    bench.import(&tomasz()).await;
    let [from, into] = [bench.found("harbour-1").await.id, bench.found("harbour-77").await.id];
    let over = bench.sim.begin_merge(TENANT, from.as_str(), into.as_str()).unwrap();
    assert_eq!(bench.found("harbour-1").await.merging_into, Some(into.clone()));
    bench.hand.pass(over - bench.hand.now());
    assert_eq!(bench.vald.profile_by_id(&from).await.unwrap(), None);
    assert_eq!(bench.found("harbour-77").await.merging_into, None);
}

#[tokio::test]
async fn changes_are_walked_though_lists_are_cut_short() {
    let bench = Bench::conducting(|conduct| conduct.list_cap = Some(3)).await;
    for number in 0..8 {
        bench.import(&called(&format!("harbour-{number}"))).await;
        bench.hand.pass(TimeDelta::milliseconds(1500));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut since = None;
    loop {
        let some = bench.vald.modified_since(since).await.unwrap();
        assert!(some.len() <= 3);
        let before = seen.len();
        seen.extend(some.iter().map(|profile| profile.id.clone()));
        if seen.len() == before {
            break;
        }
        since = some.iter().filter_map(|profile| profile.modified_at).max();
    }
    assert_eq!(seen.len(), 8);
    bench.understood_everything();
}

#[tokio::test]
async fn former_links_are_those_of_profiles_only() {
    let bench = Bench::start().await;
    bench.import(&tomasz()).await;
    bench.vald.forget_former_links().await.unwrap();
    bench.sim.inspect(|state| {
        let wipes: Vec<(&str, Wiped, usize)> =
            state.wipes().iter().map(|wipe| (wipe.tenant_id.as_str(), wipe.what, wipe.removed)).collect();
        assert_eq!(wipes, [(TENANT, Wiped::Profiles, 1)]);
        assert_eq!(state.profiles(TENANT).count(), 1);
    });
    assert_eq!(bench.vald.profile(&SyncId::new("harbour-77")).await.unwrap(), None);
}

#[tokio::test]
async fn a_retired_account_sends_nothing() {
    let bench = Bench::start().await;
    bench.vald.check().await.unwrap();
    let before = bench.requests();
    bench.vald.retire();
    assert!(matches!(bench.vald.tenant().await, Err(ReadError::Unreachable(_))));
    let imported = bench.vald.import(&tomasz(), &Says::yes()).await;
    assert!(matches!(imported, Err(SendError::NotSent(ReadError::Unreachable(_)))));
    assert_eq!(bench.requests(), before);
    // Its successor goes on, with the token that is there.
    bench.again().check().await.unwrap();
    assert_eq!(bench.tokens(), 1);
}

#[tokio::test]
async fn accounts_are_told_apart_without_being_told() {
    let bench = Bench::start().await;
    let known = settings(&bench.sim, Place::Aue);
    let account = |settings: &ValdSettings, secret: &str| connect(settings, secret, &bench.http).account();
    let ours = account(&known, SECRET);
    assert_eq!(ours, account(&known, &format!(" {SECRET}\n")));
    for other in [
        ValdSettings { tenant_id: ABROAD.to_owned(), ..known.clone() },
        ValdSettings { profile_url: bench.sim.profile_url(Place::Use), ..known.clone() },
        ValdSettings { audience: "another".to_owned(), ..known.clone() },
    ] {
        assert_ne!(ours, account(&other, SECRET));
    }
    assert_ne!(ours, account(&known, "another secret"));
    assert!(!ours.contains(SECRET) && !ours.contains(CLIENT));
}

#[test]
fn settings_that_cannot_be_right_are_named() {
    let account = |change: fn(&mut ValdSettings), id: &str, secret: &str| {
        let mut settings = ValdSettings {
            tenant_id: TENANT.to_owned(),
            region: "aue".to_owned(),
            token_url: TOKEN_URL.to_owned(),
            audience: AUDIENCE.to_owned(),
            profile_url: Region::Aue.profile_url(),
            tenants_url: Region::Aue.tenants_url(),
            hub_url: None,
            groups: Vec::new(),
            between_requests: TimeDelta::milliseconds(250),
            sync_prefix: "harbour".to_owned(),
            staff_are_adults: true,
        };
        change(&mut settings);
        let (id, secret) = (SecretString::from(id), SecretString::from(secret));
        Vald::new(&settings, PracticeId::new("harbour"), &id, &secret, &Http::default()).map(drop)
    };
    account(|_| {}, CLIENT, SECRET).unwrap();
    let words = |refused: Result<(), SetupError>| refused.unwrap_err().to_string();
    assert_eq!(words(account(|_| {}, " ", SECRET)), "the client id has characters that it cannot have");
    assert_eq!(
        words(account(|_| {}, CLIENT, "a\nb")),
        "the client secret has characters that it cannot have"
    );
    for change in [
        (|settings| settings.token_url = "http://auth.example.com/oauth/token".to_owned())
            as fn(&mut ValdSettings),
        |settings| settings.profile_url = "http://api.example.com".to_owned(),
        |settings| settings.tenants_url = "http://api.example.com".to_owned(),
    ] {
        let refused = account(change, CLIENT, SECRET);
        assert!(matches!(refused, Err(SetupError::Endpoint(EndpointError::NotEncrypted))));
    }
}

#[test]
fn every_region_has_its_hosts() {
    assert_eq!(Region::Aue.profile_url(), "https://prd-aue-api-externalprofile.valdperformance.com");
    assert_eq!(Region::Euw.tenants_url(), "https://prd-euw-api-externaltenants.valdperformance.com");
    for region in Region::ALL {
        assert_eq!(Region::named(region.name()), Some(region));
    }
    assert_eq!(Region::named("mars"), None);
}

/// The same organisation in every region, as whoever links it would try.
fn everywhere(sim: &ValdSim, tenant_id: &str) -> Vec<ValdSettings> {
    let at = |place| ValdSettings { tenant_id: tenant_id.to_owned(), ..settings(sim, place) };
    Place::ALL.map(at).into()
}

async fn search(
    bench: &Bench,
    tried: &[ValdSettings],
    secret: &str,
) -> Result<(String, String), SearchFailed> {
    let practice = PracticeId::new("harbour");
    let found = find_region(tried, &practice, &CLIENT.into(), &secret.into(), &bench.http).await?;
    Ok((found.account.region, found.tenant.name))
}

#[tokio::test]
async fn an_organisation_is_found_wherever_it_is() {
    let bench = Bench::start().await;
    let place = |region: &str, name: &str| (region.to_owned(), name.to_owned());
    let home = search(&bench, &everywhere(&bench.sim, TENANT), SECRET).await.unwrap();
    assert_eq!(home, place("aue", "Harbour Physio"));
    let capitals = everywhere(&bench.sim, &ABROAD.to_uppercase());
    assert_eq!(search(&bench, &capitals, SECRET).await.unwrap(), place("use", "Boston Physio"));
    // One region that is down does not hide another.
    bench.sim.add_fault(FaultRule::always(Fault::Refuse).for_account("aue"));
    assert_eq!(search(&bench, &capitals, SECRET).await.unwrap(), place("use", "Boston Physio"));
    bench.understood_everything();
}

#[tokio::test]
async fn an_organisation_that_is_not_found_has_a_reason() {
    let bench = Bench::start().await;
    let tried = everywhere(&bench.sim, NOBODY);
    let Err(SearchFailed::NotFound(missing)) = search(&bench, &tried, SECRET).await else {
        panic!("nobody was found")
    };
    let listed = |region: &str, id: &str, name: &str| Listed {
        region: region.to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
    };
    let both = [listed("aue", TENANT, "Harbour Physio"), listed("use", ABROAD, "Boston Physio")];
    assert_eq!(missing.listed, both);
    assert!(missing.silent.is_empty());

    bench.sim.add_fault(FaultRule::always(Fault::ServerError).for_account("use"));
    bench.sim.add_fault(FaultRule::always(Fault::Forbidden).for_account("euw"));
    let Err(SearchFailed::NotFound(missing)) = search(&bench, &tried, SECRET).await else {
        panic!("nobody was found")
    };
    assert_eq!(missing.listed, both[..1]);
    let [(region, ReadError::Unreachable(_))] = missing.silent.as_slice() else {
        panic!("{:?}", missing.silent)
    };
    assert_eq!(region, "use");

    let before = bench.asked_for_tokens();
    let refused = search(&bench, &tried, "a wrong secret").await;
    assert!(matches!(refused, Err(SearchFailed::CredentialsRefused)), "{refused:?}");
    assert!(bench.asked_for_tokens() > before);
}

#[tokio::test]
async fn the_page_of_a_patient_opens_their_profile() {
    let bench = Bench::start().await;
    for sync_id in ["harbour-77", "harbour-a/b c&d=#é+"] {
        bench.import(&called(sync_id)).await;
        let page = landing::address(&bench.sim.hub_template(), TENANT, sync_id).unwrap();
        client().get(page).send().await.unwrap();
        let opened = bench.sim.inspect(|state| state.opened().next_back().unwrap().profile_id.clone());
        assert_eq!(opened.as_deref(), Some(bench.found(sync_id).await.id.as_str()));
    }
}
