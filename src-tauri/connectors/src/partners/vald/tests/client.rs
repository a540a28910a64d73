//! The client against the simulator.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, WriteError};
use domain::ids::{PracticeId, ProfileGroupId, SyncId};
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
use domain::private::SecretString;
use domain::profile::Imported;
use domain::settings::ValdSettings;

use super::super::sim::{Region as SimRegion, SimTenant, Standing, ValdSim, ValdSimConfig};
use super::super::{AUDIENCE, Vald};
use super::order;
use crate::contract::{Subject, holds};
use crate::http::{Deadlines, Http};
use crate::sim::faults::{Fault, FaultRule};
use crate::sim::testing::Hand;

const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const SECRET: &str = "a-secret-that-stands-nowhere";

fn now() -> DateTime<Utc> {
    "2026-11-27T03:00:00Z".parse().unwrap()
}

struct Linked {
    sim: ValdSim,
    vald: Vald,
}

async fn linked() -> Linked {
    linked_with(Deadlines::default()).await
}

async fn linked_with(deadlines: Deadlines) -> Linked {
    let tenant = SimTenant {
        id: TENANT.into(),
        name: "Richmond Physiotherapy Group".into(),
        region: SimRegion::Aue,
        sport: "AlliedHealth".into(),
    };
    let config = ValdSimConfig::one_tenant(tenant, "client", SECRET);
    let sim = ValdSim::start(config, Hand::at(now()).clock()).await.unwrap();
    let vald = account(&sim, TENANT, SECRET, deadlines);
    Linked { sim, vald }
}

fn account(sim: &ValdSim, tenant: &str, secret: &str, deadlines: Deadlines) -> Vald {
    let settings = ValdSettings {
        tenant_id: tenant.into(),
        region: "aue".into(),
        token_url: sim.token_url(),
        audience: AUDIENCE.into(),
        profile_url: sim.profile_url(SimRegion::Aue),
        tenants_url: sim.tenants_url(SimRegion::Aue),
        hub_url: None,
        groups: Vec::new(),
        between_requests: TimeDelta::zero(),
        sync_prefix: "richmond".into(),
        staff_are_adults: true,
    };
    let (id, secret) = (SecretString::from("client"), SecretString::from(secret));
    Vald::new(&settings, PracticeId::new("richmond"), &id, &secret, &Http::with_deadlines(deadlines)).unwrap()
}

#[tokio::test]
async fn an_account_introduces_itself_and_takes_a_profile() {
    let Linked { sim, vald } = linked().await;
    vald.check().await.unwrap();
    assert_eq!(vald.tenant().await.unwrap().name, "Richmond Physiotherapy Group");
    assert_eq!(vald.groups().await.unwrap(), []);
    let odd = "richmond-4 8/2&1#é";
    assert_eq!(vald.import(&order(odd)).await.unwrap(), Imported::Accepted);
    let sync_id = SyncId::new(odd);
    let profile = vald.profile(&sync_id).await.unwrap().unwrap();
    assert_eq!(vald.profile_by_id(&profile.id).await.unwrap(), Some(profile.clone()));
    assert_eq!(vald.profile(&SyncId::new("nobody")).await.unwrap(), None);
    let listed = vald.modified_since(Some(now() - TimeDelta::hours(1))).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&profile));
    assert_eq!(vald.modified_since(Some(now() + TimeDelta::hours(1))).await.unwrap(), []);
    let category = sim.add_category(TENANT, "Programs").unwrap();
    let group = ProfileGroupId::new(sim.add_group(TENANT, &category, "Knees").unwrap());
    assert_eq!(vald.groups().await.unwrap()[0].name, "Knees");
    vald.add_to_groups(&profile.id, std::slice::from_ref(&group)).await.unwrap();
    let gone = vald.add_to_groups(&profile.id, &[ProfileGroupId::new(TENANT)]).await;
    assert!(matches!(gone, Err(WriteError::Refused(_))), "{gone:?}");
    assert_eq!(sim.inspect(|state| state.requests("POST", "/oauth/token")), 1, "one token for all of it");
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced_once() {
    let Linked { sim, vald } = linked().await;
    vald.check().await.unwrap();
    sim.revoke_tokens();
    assert_eq!(vald.import(&order("s-1")).await.unwrap(), Imported::Accepted);
    assert_eq!(sim.inspect(|state| state.requests("POST", "/oauth/token")), 2);
}

#[tokio::test]
async fn what_is_wrong_with_an_account_is_told_apart() {
    let Linked { sim, vald } = linked().await;
    let wrong = account(&sim, TENANT, "wrong", Deadlines::default());
    assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)));
    let other = account(&sim, "99999999-2222-4333-8444-555555555555", SECRET, Deadlines::default());
    assert!(matches!(other.tenant().await, Err(ReadError::NotFound)));
    let imported = other.import(&order("s-1")).await;
    assert!(matches!(imported, Err(WriteError::Untouched(ReadError::NoConsent))), "{imported:?}");
    sim.set_standing("client", Standing::BeforeMarch2026).unwrap();
    sim.revoke_tokens();
    assert!(matches!(vald.check().await, Err(ReadError::NotAuthorised)));
}

#[tokio::test]
async fn what_vald_finds_wrong_is_said_by_field() {
    let Linked { sim, vald } = linked().await;
    sim.set_conduct(|conduct| conduct.unique_emails = true);
    assert_eq!(vald.import(&order("s-1")).await.unwrap(), Imported::Accepted);
    let Imported::Refused(fields) = vald.import(&order("s-2")).await.unwrap() else { panic!("it was taken") };
    assert!(fields.iter().all(|refused| refused.field.eq_ignore_ascii_case("email")), "{fields:?}");
    assert!(!format!("{fields:?}").contains("tomasz"), "{fields:?}");
}

#[tokio::test]
async fn a_long_profile_is_sent_as_it_is() {
    let Linked { sim, vald } = linked().await;
    let mut long = order("s-1");
    long.family_name = domain::private::Private::new("Featherstonehaugh-".repeat(80));
    assert_eq!(vald.import(&long).await.unwrap(), Imported::Accepted);
    assert!(sim.inspect(|state| state.profile(TENANT, "s-1").is_some()));
}

#[tokio::test]
async fn a_refusal_of_too_many_requests_is_waited_out() {
    let Linked { sim, vald } = linked().await;
    vald.check().await.unwrap();
    sim.add_fault(FaultRule::always(Fault::TooManyRequests { retry_after_seconds: None }));
    let answer = vald.profile(&SyncId::new("s")).await;
    let Err(ReadError::SlowDown { retry_after }) = answer else { panic!("{answer:?}") };
    assert_eq!(retry_after, Some(TimeDelta::seconds(10)));
}

#[tokio::test]
async fn an_account_that_was_replaced_is_sent_nothing_more() {
    let Linked { sim, vald } = linked().await;
    vald.check().await.unwrap();
    let before = sim.inspect(|state| state.exchanges().count());
    vald.retire();
    assert!(vald.import(&order("s-1")).await.is_err());
    assert_eq!(sim.inspect(|state| state.exchanges().count()), before);
}

struct OnSim(Linked);

#[async_trait]
impl Subject for OnSim {
    fn partner(&self) -> &dyn Partner {
        &self.0.vald
    }

    fn strike(&self, rule: FaultRule) {
        self.0.sim.add_fault(rule);
    }

    fn calm(&self) {
        self.0.sim.clear_faults();
    }

    async fn read(&self) -> Result<(), ReadError> {
        self.0.vald.profile(&SyncId::new("s-0")).await.map(drop)
    }

    async fn write(&self) -> Result<(), WriteError> {
        self.0.vald.import(&order("s-1")).await.map(drop)
    }

    fn stands(&self) -> bool {
        self.0.sim.inspect(|state| state.profile(TENANT, "s-1").is_some())
    }

    fn private(&self) -> Vec<String> {
        let token = self
            .0
            .sim
            .inspect(|state| state.tokens().iter().map(|token| token.token.clone()).collect::<Vec<_>>());
        ["Tomasz", "Ferreira", "tomasz@example.test", "1991-06-17", SECRET]
            .into_iter()
            .map(str::to_owned)
            .chain(token)
            .collect()
    }
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_partner() {
    holds(|deadlines| async move {
        let linked = linked_with(deadlines).await;
        // Somebody to read about.
        linked.vald.import(&order("s-0")).await.unwrap();
        OnSim(linked)
    })
    .await;
}
