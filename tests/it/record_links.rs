//! Consenting patients are linked with Hint, on the real store, the real engine, the book and the simulator.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use connectors::partners::healthengine::sim::PatientDetails;
use connectors::partners::hint::NAME;
use connectors::partners::hint::sim::{HintSim, HintSimConfig, Kind};
use connectors::partners::linkable;
use domain::audit::AuditEvent;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{ForeignRecordId, PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Consents, Leg, Links, SettingsBook, Vault, Watermarks};
use domain::private::{Private, SecretString};
use domain::settings::{PartnerAccount, SecretKind, SecretName};
use serde_json::{Value, json};
use sync::record_desk::{Choice, decide};
use tests::{System, World};

on_both!(
    who_agreed_is_linked_and_either_name_finds_them,
    what_is_not_certain_waits_and_what_is_foreign_is_left_alone,
);

const TOKEN: &str = "token-of-the-test";

fn practice() -> PracticeId {
    PracticeId::new("p1")
}

fn hint() -> PartnerId {
    PartnerId::new(NAME)
}

/// A clinic with a Hint account, its engine running.
async fn linked(system: System) -> (World, HintSim) {
    let mut world = World::new(tests::Make::on(system)).await;
    let clock = world.clock.clone();
    let config = HintSimConfig::one_practice("pra-EXAMPLE1", "Harbour Direct Care", TOKEN);
    let sim = HintSim::start(config, std::sync::Arc::new(move || clock.now())).await.unwrap();
    // The clinic's clock stands still while requests go out.
    sim.set_conduct(|conduct| conduct.requests_per_second = None);
    let secret = SecretKind::Account { partner: NAME, key: "access_token" };
    let name = SecretName::of(&practice(), secret);
    world.store.keep_secret(&name, SecretString::from(TOKEN)).await.unwrap();
    let typed = [("base_url".to_owned(), sim.base_url())].into();
    let fields = linkable(NAME).unwrap().card.read(&typed).unwrap();
    let mut settings = world.stored_settings("p1").await;
    settings.accounts.insert(hint(), PartnerAccount { fields });
    world.store.save_practice(&settings).await.unwrap();
    world.start().await;
    world.all_published("p1").await;
    (world, sim)
}

/// Somebody of the book at Hint, with these fields over what the book says. Returns Hint's id.
fn member(sim: &HintSim, details: &PatientDetails, fields: &Value) -> String {
    let mut own =
        json!({ "email": details.email, "phones": [{ "number": details.phone, "type": "mobile" }] });
    own.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let born = details.dob.to_string();
    sim.add_patient(&details.firstname, &details.lastname, Some(&born), &own)
}

/// A patient of the book's own joins.
fn joins(world: &World, sim: &HintSim, place: usize, fields: Value) -> (PatientRef, String) {
    let (number, details) = world.known_patients().into_iter().nth(place).expect("somebody");
    (PatientRef::new(number.to_string()), member(sim, &details, &fields))
}

fn line(at: DateTime<Utc>, patient: &PatientRef, said: Said) -> ConsentLine {
    ConsentLine {
        practice: practice(),
        partner: hint(),
        patient: patient.clone(),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: String::new(),
        at,
    }
}

async fn says(world: &World, patient: &PatientRef, said: Said) {
    world.store.record_consents(&[line(world.clock.now(), patient, said)]).await.unwrap();
}

fn key(patient: &PatientRef) -> LinkKey {
    LinkKey { practice: practice(), partner: hint(), kind: LinkKind::Patient, local_id: patient.to_string() }
}

async fn becomes(world: &World, patient: &PatientRef, state: LinkState) -> Link {
    for _ in 0..600 {
        let link = world.store.link(&key(patient)).await.unwrap();
        if let Some(link) = link.filter(|link| link.state == state) {
            return link;
        }
        world.pass(1).await;
    }
    let link = world.store.link(&key(patient)).await.unwrap();
    panic!("{:?} and not {state:?}", link.map(|link| (link.state, link.reason)));
}

fn understood_everything(sim: &HintSim) {
    let mistakes: Vec<String> =
        sim.inspect(|state| state.mistakes().map(|mistake| mistake.reason.clone()).collect());
    assert_eq!(mistakes, Vec::<String>::new());
}

async fn who_agreed_is_linked_and_either_name_finds_them(system: System) {
    let (mut world, sim) = linked(system).await;
    let (patient, id) = joins(&world, &sim, 0, json!({}));
    let (silent, _) = joins(&world, &sim, 1, json!({}));
    says(&world, &patient, Said::Yes(Agreement::default())).await;
    let link = becomes(&world, &patient, LinkState::Linked).await;
    assert_eq!((link.told_as, link.partner_id.as_deref()), (format!("p1-{patient}"), Some(id.as_str())));
    let by = |name: &str| sim.record(Kind::Patient, name).unwrap();
    assert_eq!(by(&format!("p1-{patient}")), by(&id));
    assert_eq!(by(&id)["integration_sync_status"], "synced");
    assert_eq!(world.store.link(&key(&silent)).await.unwrap(), None, "without consent nobody is linked");
    let written = sim.inspect(|state| state.requests("PATCH", "/provider/patients/{id}"));
    assert_eq!((written, sim.inspect(|state| state.requests("POST", "/provider/patients/matching"))), (1, 1));
    let audited = world.store.audited(0, 100).await.unwrap();
    let sent: Vec<_> = audited.iter().filter(|entry| entry.line.what == AuditEvent::Sent).collect();
    assert_eq!(sent.len(), 2, "what matching was told, and the link");
    assert!(sent.iter().all(|entry| entry.line.consent.is_some()));
    let notes = world.store.notes(&practice()).await.unwrap();
    let note = notes.into_iter().find(|(leg, _)| *leg == Leg::Account(hint())).unwrap().1;
    assert!(note.problem.is_none() && note.proven_at.is_some());

    world.stop().await;
    world.start().await;
    world.pass(120).await;
    assert_eq!(sim.inspect(|state| state.requests("PATCH", "/provider/patients/{id}")), 1);

    says(&world, &patient, Said::No).await;
    becomes(&world, &patient, LinkState::Ended).await;
    world.pass(60).await;
    sim.wait_until(
        |state| state.find(Kind::Patient, &format!("p1-{patient}")).is_none(),
        std::time::Duration::from_secs(20),
    )
    .await
    .unwrap();
    understood_everything(&sim);
    world.finish().await;
}

async fn what_is_not_certain_waits_and_what_is_foreign_is_left_alone(system: System) {
    let (world, sim) = linked(system).await;
    let (foreign, _) = joins(&world, &sim, 0, json!({ "integration_record_id": "former-1" }));
    let (renamed, id) = joins(&world, &sim, 1, json!({ "last_name": "Somebody-Else" }));
    for patient in [&foreign, &renamed] {
        says(&world, patient, Said::Yes(Agreement::default())).await;
    }
    let link = becomes(&world, &foreign, LinkState::Conflict).await;
    assert!(link.reason.unwrap().contains("linked to something else"));
    becomes(&world, &renamed, LinkState::NeedsPerson).await;
    assert_eq!(sim.inspect(|state| state.requests("PATCH", "/provider/patients/{id}")), 0);

    let choice = Choice::Same(ForeignRecordId::new(id.clone()));
    let by = Private::new("Kim".to_owned());
    decide(world.store.as_ref(), &key(&renamed), &choice, &by, world.clock.now()).await.unwrap();
    let link = becomes(&world, &renamed, LinkState::Linked).await;
    assert_eq!(link.partner_id.as_deref(), Some(id.as_str()));
    assert_eq!(
        sim.record(Kind::Patient, &id).unwrap()["last_name"],
        "Somebody-Else",
        "Hint's spelling stays"
    );
    assert!(sim.record(Kind::Patient, "former-1").is_some());
    assert!(link.since > tests::start() - TimeDelta::days(1));
    understood_everything(&sim);
    world.finish().await;
}

/// What has to become of somebody among the thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// Linked by themselves, to this record and no other.
    Linked,
    /// On the list for a person.
    Listed,
    Conflict,
    /// Waits for a record to come.
    Waits,
}

/// One of the thousand, whose names, birth date, phone and e-mail address are nobody else's.
fn one_of_a_thousand(number: u32) -> PatientDetails {
    let word = |number: u32| -> String {
        [1, 26, 26 * 26]
            .map(|place| char::from(b'a' + u8::try_from(number / place % 26).unwrap()))
            .iter()
            .collect()
    };
    PatientDetails {
        firstname: format!("Given{}", word(number)),
        lastname: format!("Family{}", word(number * 7 + 3)),
        dob: NaiveDate::from_ymd_opt(1940, 1, 1).unwrap() + TimeDelta::days(i64::from(number) * 23),
        phone: format!("0491{:06}", number + 100),
        email: format!("member{number}@example.com"),
        ..PatientDetails::default()
    }
}

/// What Hint has of them, by the traps of old lists (Hint sheet §7, §8). Returns the record that is theirs.
fn with_a_trap(sim: &HintSim, number: u32, patient: &PatientRef, person: &PatientDetails) -> (String, Ends) {
    let is = |fields: Value, ends| (member(sim, person, &fields), ends);
    match number % 12 {
        // A twin, at Hint alone.
        0 => is(json!({ "first_name": format!("Twin{}", person.firstname) }), Ends::Listed),
        // Married since.
        1 => is(json!({ "last_name": "Newname" }), Ends::Listed),
        // Put away there.
        2 => is(json!({ "membership_status": "archived" }), Ends::Listed),
        // Merged there, with the record that is left.
        3 => {
            let left = member(sim, person, &json!({}));
            member(sim, person, &json!({ "merged_into": { "id": left } }));
            (left, Ends::Linked)
        }
        4 => is(json!({ "integration_record_id": format!("former-{number}") }), Ends::Conflict),
        // Twice there.
        5 => {
            member(sim, person, &json!({}));
            is(json!({}), Ends::Listed)
        }
        6 => is(json!({ "dob": null }), Ends::Listed),
        // A former program's field, which decides nothing by itself.
        7 => is(json!({ "external_link_id": "1" }), Ends::Linked),
        8 => (String::new(), Ends::Waits),
        // As before our own records were lost.
        9 => is(json!({ "integration_record_id": format!("p1-{patient}") }), Ends::Linked),
        // Moved: neither phone nor e-mail is known there.
        10 => is(json!({ "email": null, "phones": [] }), Ends::Listed),
        _ => is(json!({}), Ends::Linked),
    }
}

#[tokio::test]
async fn a_thousand_with_every_trap_end_linked_listed_or_in_conflict_and_none_wrongly() {
    let (world, sim) = linked(System::Demo).await;
    let mut thousand = Vec::new();
    for number in 0..1000 {
        let person = one_of_a_thousand(number);
        let patient = PatientRef::new(world.staff().register(&person).to_string());
        let (id, ends) = with_a_trap(&sim, number, &patient, &person);
        thousand.push((number % 12, patient, id, ends));
    }
    let at = world.clock.now();
    let agreed: Vec<ConsentLine> =
        thousand.iter().map(|(_, patient, ..)| line(at, patient, Said::Yes(Agreement::default()))).collect();
    world.store.record_consents(&agreed).await.unwrap();
    let waiting = thousand.iter().filter(|(.., ends)| *ends == Ends::Waits).count();
    let mut links = BTreeMap::new();
    for _ in 0..90 {
        world.pass(60).await;
        let all = world.store.links(&practice(), Some(&hint())).await.unwrap();
        links = all.into_iter().map(|link| (link.key.local_id.clone(), link)).collect::<BTreeMap<_, _>>();
        let open = links.values().filter(|link| link.state == LinkState::Pending).count();
        if links.len() == thousand.len() && open == waiting {
            break;
        }
    }
    let mut wrong = Vec::new();
    for (trap, patient, id, ends) in &thousand {
        let link = links.get(patient.as_str());
        let ended = match link.map(|link| link.state) {
            Some(LinkState::Linked) => Ends::Linked,
            Some(LinkState::NeedsPerson) => Ends::Listed,
            Some(LinkState::Conflict) => Ends::Conflict,
            _ => Ends::Waits,
        };
        let is_theirs = ended != Ends::Linked || link.and_then(|link| link.partner_id.as_ref()) == Some(id);
        if ended != *ends || !is_theirs {
            wrong.push((trap, patient, ends, link.map(|link| (link.state, &link.partner_id, &link.reason))));
        }
    }
    assert!(wrong.is_empty(), "{} of 1000: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    // Hint has our name at whoever is linked, and at nobody else; what stood there before stands still.
    let named = sim.inspect(|state| {
        let named = state.records(Kind::Patient).filter_map(|record| {
            Some((record["id"].as_str()?.to_owned(), record["integration_record_id"].as_str()?.to_owned()))
        });
        named.collect::<BTreeMap<String, String>>()
    });
    let should_be = (0..).zip(&thousand).filter_map(|(number, (_, patient, id, ends))| match ends {
        Ends::Linked => Some((id.clone(), format!("p1-{patient}"))),
        Ends::Conflict => Some((id.clone(), format!("former-{number}"))),
        Ends::Listed | Ends::Waits => None,
    });
    assert_eq!(named, should_be.collect());
    understood_everything(&sim);
    world.finish().await;
}

#[tokio::test]
async fn no_animal_at_provet_is_looked_for_at_hint_whoever_says_yes() {
    let (world, sim) = linked(System::Provet).await;
    let animals = crate::provet::animals(&world);
    assert!(!animals.is_empty());
    for (animal, name) in &animals {
        sim.add_patient(name, "Animal", Some("2020-01-30"), &json!({}));
        says(&world, animal, Said::Yes(Agreement::default())).await;
    }
    let (owner, _) = world.known_patient();
    let owner = PatientRef::new(owner.to_string());
    says(&world, &owner, Said::Yes(Agreement::default())).await;
    // Of nobody here a birth date is known, so that a person is asked about the owner.
    becomes(&world, &owner, LinkState::NeedsPerson).await;
    for (animal, name) in &animals {
        assert_eq!(world.store.link(&key(animal)).await.unwrap(), None, "{name}");
    }
    for (method, path) in [("POST", "/provider/patients/matching"), ("PATCH", "/provider/patients/{id}")] {
        assert_eq!(sim.inspect(|state| state.requests(method, path)), 0, "{path}");
    }
    world.finish().await;
}
