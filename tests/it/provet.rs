//! What only a practice at Provet Cloud has: webhooks of the book, and patients who are animals.

use crate::profiles;
use connectors::listener;
use connectors::practices::provet::sim::{ProvetSim, Table};
use domain::consent::{Agreement, Said};
use domain::ids::{PatientRef, PracticeId};
use domain::ports::store::{Links, SettingsBook, Vault};
use domain::private::SecretString;
use domain::settings::{ListenerSettings, SecretKind, SecretName};
use std::net::TcpListener;
use std::time::Duration;
use tests::{Book, System, World};

const PATH: &str = "89abcdef0123456789abcdef0123456789abcdef";
/// Nothing here takes this long in real time, unless it never comes.
const DEADLINE: Duration = Duration::from_secs(30);

fn provet(world: &World) -> &ProvetSim {
    match world.staff() {
        Book::Provet(provet) => &provet.sim,
        Book::Demo(_) | Book::OpenEmr(_) => panic!("not at Provet Cloud"),
    }
}

fn hooks(world: &World) -> Vec<(u64, String)> {
    provet(world).inspect(|state| {
        let read = |row: &serde_json::Value| {
            (row["trigger"].as_u64().unwrap(), row["url"].as_str().unwrap().to_owned())
        };
        state.rows(Table::Hook).map(read).collect()
    })
}

/// The newest appointment, as Provet numbers it.
fn newest(world: &World) -> u64 {
    provet(world)
        .inspect(|state| state.rows(Table::Appointment).filter_map(|row| row["id"].as_u64()).max())
        .unwrap()
}

#[tokio::test]
async fn webhooks_of_the_book_are_made_wake_at_once_and_go_when_they_are_given_up() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut world = World::new(tests::Make::on(System::Provet)).await;
    let path = SecretName::of(&PracticeId::new("p1"), SecretKind::SystemWebhookPath);
    world.store.keep_secret(&path, SecretString::from(PATH)).await.unwrap();
    let mut app = world.store.app_settings().await.unwrap();
    // Healthengine's addresses are no matter of Provet's.
    app.listener = Some(ListenerSettings::at(address.clone()));
    world.store.save_app_settings(&app).await.unwrap();
    let url = format!("http://{address}");
    world
        .change_settings("p1", |settings| {
            settings.system.poll_seconds = 300;
            settings.system.provet.as_mut().unwrap().webhook_url = Some(url.clone());
        })
        .await;
    world.start().await;
    world.all_published("p1").await;
    let engine = world.engine.as_ref().unwrap();
    let listening = tokio::spawn(listener::keep(world.store.clone(), engine.bell(), None));
    let reached = async {
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reached).await.expect("it can be reached");

    let callback = format!("{url}/{PATH}");
    let made = hooks(&world);
    assert_eq!(made.iter().map(|(trigger, _)| *trigger).collect::<Vec<_>>(), [21, 22, 28, 62, 63]);
    assert!(made.iter().all(|(_, url)| *url == callback));

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let deliver = async |body: String| {
        let form = "application/x-www-form-urlencoded";
        let sent = http.post(&callback).header("content-type", form).body(body).send();
        tokio::time::timeout(DEADLINE, sent).await.expect("an end").unwrap().status().as_u16()
    };
    let place = world.next_free("p1");
    world.enter(&place, world.known_patient().0);
    world.pass(20).await;
    assert!(world.is_published(&place), "nobody said so, and nobody asked yet");
    assert_eq!(deliver(format!("appointment_id={}", newest(&world))).await, 200);
    world.pass(4).await;
    assert!(!world.is_published(&place), "at once");
    // What cannot be understood is answered likewise, and costs nothing.
    let asked = || provet(&world).inspect(|state| state.exchanges().count());
    let before = asked();
    for body in ["", "appointment_id=x", "{", "secret=1"] {
        assert_eq!(deliver(body.to_owned()).await, 200);
    }
    world.pass(2).await;
    assert_eq!(asked(), before);

    world.change_settings("p1", |settings| settings.system.provet.as_mut().unwrap().webhook_url = None).await;
    world.pass(5).await;
    assert!(hooks(&world).is_empty(), "none is left behind");
    listening.abort();
    world.finish().await;
}

/// The numbers and names of the animals.
pub fn animals(world: &World) -> Vec<(PatientRef, String)> {
    provet(world).inspect(|state| {
        let read = |row: &serde_json::Value| {
            (PatientRef::new(row["id"].to_string()), row["name"].as_str().unwrap().to_owned())
        };
        state.rows(Table::Patient).map(read).collect()
    })
}

#[tokio::test]
async fn no_animal_reaches_a_partner_as_a_person_whoever_says_yes() {
    let (world, vald) = profiles::linked(System::Provet).await;
    let animals = animals(&world);
    assert!(!animals.is_empty());
    for (number, _) in &animals {
        profiles::says(&world, number, Said::Yes(Agreement::default())).await;
    }
    let (owner, _) = world.known_patient();
    profiles::says(&world, &PatientRef::new(owner.to_string()), Said::Yes(Agreement::default())).await;
    // Of nobody here a birth date is known, and VALD takes nobody without one.
    world.pass(700).await;
    let sent = vald.inspect(|state| {
        state
            .imports(profiles::TENANT)
            .map(|import| format!("{:?}", import.body))
            .collect::<Vec<_>>()
            .join("\n")
    });
    let links = world.store.links(&profiles::practice(), Some(&profiles::vald())).await.unwrap();
    for (number, name) in &animals {
        assert!(!sent.contains(name.as_str()), "{name} was sent as a person");
        assert!(!sent.contains(&format!("p1-{number}")), "{number} was sent as a person");
        let linked = links.iter().find(|link| link.key.local_id == number.as_str());
        assert!(linked.is_none_or(|link| link.partner_id.is_none()), "{number} is linked");
    }
    world.finish().await;
}
