//! Patients connect devices through Validic, on the real store, the real engine, the book and the simulator.

use connectors::partners::validic::sim::{ValidicSim, ValidicSimConfig};
use connectors::partners::{linkable, validic};
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkState};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Consents, Links, SettingsBook, Vault};
use domain::private::{ExposeSecret, Private, SecretString};
use domain::settings::{PartnerAccount, SecretKind, SecretName};
use sync::flows::enrolments::{self, NotConnected, Register};
use tests::{System, World};

on_both!(a_patient_connects_a_device_and_is_gone_when_consent_is_withdrawn);

const ORG: &str = "60c76d42c31ed70001926000";
const TOKEN: &str = "a-made-up-token";

fn practice() -> PracticeId {
    PracticeId::new("p1")
}

fn id() -> PartnerId {
    PartnerId::new(validic::NAME)
}

/// A clinic that is linked with Validic, its engine running.
async fn linked(system: System) -> (World, ValidicSim) {
    let mut world = World::new(tests::Make::on(system)).await;
    let clock = world.clock.clone();
    let config = ValidicSimConfig::one(ORG, TOKEN);
    let sim = ValidicSim::start(config, std::sync::Arc::new(move || clock.now())).await.unwrap();
    let token = SecretName::of(&practice(), SecretKind::Account { partner: validic::NAME, key: "token" });
    world.store.keep_secret(&token, SecretString::from(TOKEN)).await.unwrap();
    let fields = [("organization_id", ORG), ("api", validic::INFORM_V2), ("base_url", &sim.base_url())];
    let fields = fields.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    let mut settings = world.stored_settings("p1").await;
    settings.accounts.insert(id(), PartnerAccount { fields });
    world.store.save_practice(&settings).await.unwrap();
    world.start().await;
    world.all_published("p1").await;
    (world, sim)
}

async fn says(world: &World, patient: &PatientRef, said: Said) {
    let line = ConsentLine {
        practice: practice(),
        partner: id(),
        patient: patient.clone(),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: String::new(),
        at: world.clock.now(),
    };
    world.store.record_consents(&[line]).await.unwrap();
}

async fn link(world: &World) -> Option<Link> {
    world.store.links(&practice(), Some(&id())).await.unwrap().into_iter().next()
}

/// What pressing "Connect a device" does.
async fn press(world: &World, patient: &PatientRef) -> Result<String, NotConnected> {
    let settings = world.stored_settings("p1").await;
    let partner = world.wiring.account(linkable(validic::NAME).unwrap(), &settings).await.unwrap().unwrap();
    let book = world.wiring.practice(&settings).unwrap();
    let born = book.patient(patient).await.unwrap().unwrap().details.birth_date;
    let register = Register {
        store: world.store.as_ref(),
        clock: &world.clock,
        practice: &settings,
        partner: partner.as_ref(),
        desk: partner.device_enrolment().unwrap(),
    };
    let page = enrolments::connect(register, patient, &born, false).await?;
    Ok(page.0.expose_secret().to_owned())
}

async fn a_patient_connects_a_device_and_is_gone_when_consent_is_withdrawn(system: System) {
    let (world, sim) = linked(system).await;
    let (number, details) = world.known_patient();
    let patient = PatientRef::new(number.to_string());
    assert!(matches!(press(&world, &patient).await, Err(NotConnected::NotAllowed(_))));
    says(&world, &patient, Said::Yes(Agreement::default())).await;
    world.pass(30).await;
    assert!(sim.read(|state| state.users.is_empty()), "nobody is registered before somebody asks for it");
    let page = press(&world, &patient).await.unwrap();
    let linked = link(&world).await.unwrap();
    assert_eq!(linked.state, LinkState::Linked);
    assert!(page.starts_with(&sim.base_url()), "the page as it came");

    assert!(sim.connect(&linked.told_as, "garmin"));
    let mut connected = Vec::new();
    for _ in 0..40 {
        world.pass(10).await;
        connected =
            enrolments::devices(world.store.as_ref(), &practice(), &id(), &linked.told_as).await.unwrap();
        if !connected.is_empty() {
            break;
        }
    }
    assert_eq!(connected, ["garmin"]);

    says(&world, &patient, Said::No).await;
    for _ in 0..120 {
        if link(&world).await.is_none() {
            break;
        }
        world.pass(1).await;
    }
    assert_eq!(link(&world).await, None);
    assert!(sim.read(|state| state.users.is_empty()));
    let secret = SecretName::of_patient(&practice(), &id(), patient.as_str());
    assert!(world.store.secret(&secret).await.unwrap().is_none());

    // Validic learned nothing about the person, and the trail still says who it was.
    let everything = sim.read(|state| state.everything_received());
    for private in [&details.firstname, &details.lastname, &number.to_string()] {
        let word = format!("\"{private}\"");
        assert!(!everything.contains(&word), "{private} reached Validic");
    }
    assert!(!everything.contains(&details.lastname), "a name reached Validic");
    let trail = world.store.audited(0, 100).await.unwrap();
    let told = trail.iter().filter(|entry| entry.line.told_as.as_ref() == Some(&linked.told_as));
    assert!(
        told.clone().count() >= 2 && told.clone().all(|entry| entry.line.patient.as_ref() == Some(&patient))
    );
    assert_eq!(world.store.audit_broken_at().await.unwrap(), None);
    sim.stop().await;
    world.finish().await;
}
