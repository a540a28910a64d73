//! Consenting patients reach VALD Hub, on the real store, the real engine, the book and the simulator.

use chrono::{DateTime, Utc};
use connectors::partners::vald::sim::{Region as SimRegion, SimTenant, ValdSim, ValdSimConfig};
use connectors::partners::vald::{AUDIENCE, landing};
use domain::audit::AuditEvent;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkState};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Consents, Links, SettingsBook, Vault};
use domain::private::{Private, SecretString};
use domain::settings::{SecretKind, SecretName, ValdSettings};
use tests::{System, World, start};

on_both!(
    who_agreed_has_a_profile_that_follows_the_book_until_consent_is_withdrawn,
    a_restart_sends_nothing_again,
);

pub(crate) const TENANT: &str = "11111111-2222-4333-8444-555555555555";

pub(crate) fn practice() -> PracticeId {
    PracticeId::new("p1")
}

pub(crate) fn vald() -> PartnerId {
    PartnerId::new("vald")
}

/// A clinic with a VALD account, its engine running.
pub(crate) async fn linked(system: System) -> (World, ValdSim) {
    linked_in(World::new(tests::Make::on(system)).await).await
}

/// The same in a world that was prepared.
pub(crate) async fn linked_in(mut world: World) -> (World, ValdSim) {
    let clock = world.clock.clone();
    let tenant = SimTenant {
        id: TENANT.into(),
        name: "Richmond Physiotherapy Group".into(),
        sport: "AlliedHealth".into(),
        region: SimRegion::Aue,
    };
    let config = ValdSimConfig::one_tenant(tenant, "client", "secret");
    let sim = ValdSim::start(config, std::sync::Arc::new(move || clock.now())).await.unwrap();
    for (kind, secret) in [(SecretKind::ValdClientId, "client"), (SecretKind::ValdClientSecret, "secret")] {
        let name = SecretName::of(&practice(), kind);
        world.store.keep_secret(&name, SecretString::from(secret)).await.unwrap();
    }
    let mut settings = world.stored_settings("p1").await;
    settings.vald = Some(ValdSettings {
        tenant_id: TENANT.into(),
        region: "aue".into(),
        token_url: sim.token_url(),
        audience: AUDIENCE.into(),
        profile_url: sim.profile_url(SimRegion::Aue),
        tenants_url: sim.tenants_url(SimRegion::Aue),
        hub_url: Some(sim.hub_template()),
        groups: Vec::new(),
        between_requests: chrono::TimeDelta::zero(),
        sync_prefix: "p1".into(),
        staff_are_adults: true,
    });
    world.store.save_practice(&settings).await.unwrap();
    world.start().await;
    world.all_published("p1").await;
    (world, sim)
}

pub(crate) async fn says(world: &World, patient: &PatientRef, said: Said) {
    let at: DateTime<Utc> = world.clock.now();
    let line = ConsentLine {
        practice: practice(),
        partner: vald(),
        patient: patient.clone(),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: String::new(),
        at,
    };
    world.store.record_consents(&[line]).await.unwrap();
}

pub(crate) async fn link(world: &World, patient: &PatientRef) -> Option<Link> {
    let links = world.store.links(&practice(), Some(&vald())).await.unwrap();
    links.into_iter().find(|link| link.key.local_id == patient.as_str())
}

pub(crate) async fn becomes(world: &World, patient: &PatientRef, state: LinkState) -> Link {
    // A book that cannot tell whether anybody changed is read again after ten minutes.
    for _ in 0..700 {
        if let Some(link) = link(world, patient).await.filter(|link| link.state == state) {
            return link;
        }
        world.pass(1).await;
    }
    panic!("{:?} and not {state:?}", link(world, patient).await.map(|link| (link.state, link.reason)));
}

async fn who_agreed_has_a_profile_that_follows_the_book_until_consent_is_withdrawn(system: System) {
    let (world, sim) = linked(system).await;
    let (number, details) = world.known_patient();
    let patient = PatientRef::new(number.to_string());
    says(&world, &patient, Said::Yes(Agreement::default())).await;
    let linked = becomes(&world, &patient, LinkState::Linked).await;
    assert_eq!(linked.told_as, format!("p1-{number}"));
    let kept =
        sim.inspect(|state| state.imports(TENANT).map(|import| import.body.clone()).collect::<Vec<_>>());
    assert_eq!(kept.len(), 1, "one import, of one patient");
    assert_eq!(kept[0]["givenName"], details.firstname.as_str());
    assert_eq!(sim.inspect(|state| state.mistakes().count()), 0);

    // The page that opens names the right patient, and its address names nobody.
    let address = landing::address(&sim.hub_template(), TENANT, &linked.told_as).unwrap();
    assert!(!address.as_str().contains(&details.lastname), "{address}");

    let audited = world.store.audited(0, 100).await.unwrap();
    let sent: Vec<_> = audited.iter().filter(|entry| entry.line.what == AuditEvent::Sent).collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].line.fields.contains(&"dateOfBirth".to_owned()) && sent[0].line.consent.is_some());
    assert_eq!(world.store.audit_broken_at().await.unwrap(), None);

    says(&world, &patient, Said::No).await;
    let ended = becomes(&world, &patient, LinkState::Ended).await;
    assert!(ended.reason.unwrap().contains("by hand"));
    world.pass(120).await;
    assert_eq!(sim.inspect(|state| state.imports(TENANT).count()), 1, "nothing more was sent");
    world.finish().await;
}

async fn a_restart_sends_nothing_again(system: System) {
    let (mut world, sim) = linked(system).await;
    let patients: Vec<PatientRef> = world
        .known_patients()
        .iter()
        .take(3)
        .map(|(number, _)| PatientRef::new(number.to_string()))
        .collect();
    for patient in &patients {
        says(&world, patient, Said::Yes(Agreement::default())).await;
    }
    for patient in &patients {
        becomes(&world, patient, LinkState::Linked).await;
    }
    let before = sim.inspect(|state| state.imports(TENANT).count());
    assert_eq!(before, patients.len());
    world.stop().await;
    world.start().await;
    world.pass(180).await;
    assert_eq!(sim.inspect(|state| state.imports(TENANT).count()), before);
    assert!(world.clock.now() > start());
    world.finish().await;
}
