//! Patients connect devices through Validic, on the real store, the real engine, the book and the simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use connectors::partners::healthengine::sim::PatientDetails;
use connectors::partners::validic::sim::{ValidicSim, ValidicSimConfig};
use connectors::partners::{linkable, validic};
use connectors::practices::demo;
use connectors::sim::faults::{Fault, FaultRule};
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkState};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Consents, Links, SettingsBook, Vault};
use domain::private::{ExposeSecret, Private, SecretString};
use domain::settings::{PartnerAccount, SecretKind, SecretName};
use domain::time::PracticeZone;
use sync::flows::enrolments::{self, NotConnected, Register};
use tests::companion::Companion;
use tests::real_time::{SystemClock, sim_clock};
use tests::{System, World};

on_both!(
    a_patient_connects_a_device_and_is_gone_when_consent_is_withdrawn,
    an_answer_that_is_lost_makes_nobody_twice_in_either_form,
);

const ORG: &str = "60c76d42c31ed70001926000";
const TOKEN: &str = "5e1f-made-up-token-of-an-organisation";

fn practice() -> PracticeId {
    PracticeId::new("p1")
}

fn id() -> PartnerId {
    PartnerId::new(validic::NAME)
}

/// A clinic that is linked with Validic, its engine running.
async fn linked(system: System, api: &str) -> (World, ValidicSim) {
    let mut world = World::new(tests::Make::on(system)).await;
    let clock = world.clock.clone();
    let config = ValidicSimConfig::one(ORG, TOKEN);
    let sim = ValidicSim::start(config, std::sync::Arc::new(move || clock.now())).await.unwrap();
    let token = SecretName::of(&practice(), SecretKind::Account { partner: validic::NAME, key: "token" });
    world.store.keep_secret(&token, SecretString::from(TOKEN)).await.unwrap();
    let address = sim.base_url();
    let fields = [("organization_id", ORG), ("api", api), ("base_url", address.as_str())];
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
    let record = book.patient(patient).await.unwrap();
    let born = record.map(|record| record.details.birth_date).unwrap_or_default();
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
    let (world, sim) = linked(system, validic::INFORM_V2).await;
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
    tells_nothing_of(&sim, number, &details);
    let trail = world.store.audited(0, 100).await.unwrap();
    let told = trail.iter().filter(|entry| entry.line.told_as.as_ref() == Some(&linked.told_as));
    assert!(
        told.clone().count() >= 2 && told.clone().all(|entry| entry.line.patient.as_ref() == Some(&patient))
    );
    assert_eq!(world.store.audit_broken_at().await.unwrap(), None);
    sim.stop().await;
    world.finish().await;
}

/// Every byte that reached Validic, without what is known to stand there, holds nothing of a person.
fn tells_nothing_of(sim: &ValidicSim, number: i64, details: &PatientDetails) {
    let (everything, names) =
        sim.read(|state| (state.everything_received(), state.made.keys().cloned().collect::<Vec<_>>()));
    let address = sim.address().to_string();
    let known = names.iter().map(String::as_str).chain([ORG, TOKEN, address.as_str()]);
    let rest = known.fold(everything.to_lowercase(), |rest, known| rest.replace(known, " "));
    let words: BTreeSet<&str> = rest.split(|c: char| !c.is_alphanumeric()).collect();
    let born = details.dob;
    for private in [&details.firstname, &details.lastname, &details.phone, &details.email, &details.address] {
        let private = private.to_lowercase();
        assert!(private.is_empty() || !rest.contains(&private), "{private} reached Validic:\n{rest}");
    }
    for private in [details.suburb.as_str(), &details.postcode, "p1", "practice"] {
        let private = private.to_lowercase();
        let stands = !private.is_empty() && words.contains(private.as_str());
        assert!(!stands, "{private} reached Validic:\n{rest}");
    }
    // A short number stands in many a date and length by chance, but never by itself in a body or a path.
    for number in [format!("\"{number}\""), format!("/{number} "), format!("/{number}.")] {
        assert!(!rest.contains(&number), "{number} reached Validic:\n{rest}");
    }
    for form in ["%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%Y%m%d", "%Y"] {
        let written = born.format(form).to_string();
        assert!(!rest.contains(&written), "{written} reached Validic:\n{rest}");
    }
}

#[tokio::test]
async fn no_animal_at_provet_is_registered_whoever_says_yes() {
    let (world, sim) = linked(System::Provet, validic::INFORM_V2).await;
    let animals = crate::provet::animals(&world);
    assert!(!animals.is_empty());
    for (animal, name) in &animals {
        says(&world, animal, Said::Yes(Agreement::default())).await;
        assert!(matches!(press(&world, animal).await, Err(NotConnected::NotAllowed(_))), "{name}");
    }
    world.pass(700).await;
    assert!(sim.read(|state| state.made.is_empty()));
    assert_eq!(link(&world).await, None);
    sim.stop().await;
    world.finish().await;
}

async fn an_answer_that_is_lost_makes_nobody_twice_in_either_form(system: System) {
    for api in [validic::INFORM_V2, validic::LEGACY_V1] {
        let (world, sim) = linked(system, api).await;
        let (number, details) = world.known_patient();
        let patient = PatientRef::new(number.to_string());
        says(&world, &patient, Said::Yes(Agreement::default())).await;
        // The user is made, and nobody here hears of it; neither does whoever looks at once.
        sim.strike(FaultRule::always(Fault::CutAfterEffect));
        assert!(matches!(press(&world, &patient).await, Err(NotConnected::Partner(_))), "{api}");
        sim.calm();
        let page = press(&world, &patient).await.unwrap();
        let token = sim.read(|state| state.users.values().next().unwrap().token.clone());
        assert!(page.contains(&token), "{api}: the page works");
        let linked = link(&world).await.unwrap();
        assert_eq!((linked.state, linked.reason.as_deref()), (LinkState::Linked, None), "{api}");
        let made = sim.read(|state| state.made.clone());
        assert_eq!(made, BTreeMap::from([(linked.told_as.clone(), 1)]), "{api}");
        says(&world, &patient, Said::No).await;
        for _ in 0..120 {
            if link(&world).await.is_none() {
                break;
            }
            world.pass(1).await;
        }
        assert_eq!(link(&world).await, None, "{api}");
        assert!(sim.read(|state| state.users.is_empty()), "{api}");
        tells_nothing_of(&sim, number, &details);
        sim.stop().await;
        world.finish().await;
    }
}

/// Long enough for a command of the built program on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built program, what its commands said, and what lies in its folder.
struct Desk {
    program: Companion,
    said: String,
}

impl Desk {
    async fn run(&mut self, words: &[&str]) -> String {
        let output = self.program.run(words, PATIENCE).await.unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        self.said.push_str(&out);
        self.said.push_str(&String::from_utf8_lossy(&output.stderr));
        out
    }

    /// Everything that the program said, and every byte that it keeps outside the book.
    fn everything(&self) -> Vec<u8> {
        let mut all = self.said.clone().into_bytes();
        all.extend(self.program.said().into_bytes());
        let mut folders = vec![self.program.home().join("data")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    // A socket cannot be read, and holds nothing.
                    false => all.extend(std::fs::read(entry.path()).unwrap_or_default()),
                }
            }
        }
        all
    }
}

#[tokio::test]
async fn token_and_page_stand_in_no_log_no_error_and_no_file_whatever_goes_wrong() {
    let config = ValidicSimConfig::one(ORG, TOKEN);
    let sim = ValidicSim::start(config, sim_clock()).await.unwrap();
    let mut desk = Desk { program: Companion::new().unwrap(), said: String::new() };
    let book = desk.program.home().join("clinic.sqlite");
    let zone = PracticeZone(chrono_tz::Australia::Melbourne);
    demo::create(&book, zone.today(SystemClock.now())).unwrap();
    let provision = desk.program.home().join("provision.toml");
    let text = format!(
        "[[practice]]\nid = \"p1\"\nname = \"A practice\"\ntimezone = \"Australia/Melbourne\"\nenabled = true\n\
         [practice.system]\nprofile = \"demo\"\nurl = \"sqlite:{}\"\nwrite = \"sql\"\npoll_seconds = 1\n\
         [practice.validic]\norganization_id = {ORG:?}\ntoken = {TOKEN:?}\nbase_url = {:?}\n",
        book.display(),
        sim.base_url()
    );
    std::fs::write(&provision, text).unwrap();
    desk.run(&["apply", provision.to_str().unwrap()]).await;
    let whose = ["--practice", "p1", "--patient", "1"];
    let consent = [&["consent", "give"][..], &whose, &["--partner", "validic", "--by", "Kim"]].concat();
    desk.run(&[&consent[..], &["--guardian", "A parent"]].concat()).await;
    let mut serve = desk.program.start(&["serve"]).unwrap();

    // The one command that shows the page, to whoever asked for it; what it says counts for nothing else.
    let connect = [&["connect", "validic"][..], &whose].concat();
    let page = desk.run(&connect).await;
    let page = page.trim();
    assert!(page.starts_with(&sim.base_url()), "{page} {}", desk.said);
    desk.said = desk.said.replace(page, "");
    let mut pages = sim.read(|state| state.users.values().map(|user| user.token.clone()).collect::<Vec<_>>());

    for fault in [
        Fault::Unauthorised,
        Fault::Forbidden,
        Fault::GarbledJson,
        Fault::ServerError,
        Fault::CutAfterEffect,
        Fault::Redirect { to: format!("http://127.0.0.1:9/?token={TOKEN}") },
    ] {
        let number = sim.strike(FaultRule::always(fault.clone()));
        let again = [&connect[..], &["--anew"]].concat();
        for words in [&["doctor"][..], &["doctor", "--json"], &again] {
            desk.run(words).await;
        }
        assert!(number > 0);
        sim.calm();
        pages.extend(
            sim.read(|state| state.users.values().map(|user| user.token.clone()).collect::<Vec<_>>()),
        );
    }
    sim.stop().await;
    for words in [&["doctor"][..], &["status"], &["status", "--json"], &["links", "--json"], &["bookings"]] {
        desk.run(words).await;
    }
    let trail = desk.program.home().join("data").join("trail.csv");
    desk.run(&["audit", "export", trail.to_str().unwrap()]).await;
    serve.terminate(PATIENCE).await.unwrap();

    let everything = desk.everything();
    let holds = |text: &str| everything.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Set up."), "nothing was logged");
    assert!(holds("validic") && holds("FAILED"), "nothing went wrong: {}", desk.said);
    for secret in pages.iter().map(String::as_str).chain([TOKEN]) {
        assert!(!holds(secret), "{secret} stands somewhere: {}", desk.said);
    }
}
