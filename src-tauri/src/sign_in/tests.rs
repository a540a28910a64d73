//! A person signs in from the linking screen, and registrations come in for a practice that is linked.

use crate::demo::made_up::MadeUp;
use crate::view::{ErrorCode, LiveHours, PracticeInput, RightState, SystemAddress, SystemInput};
use crate::{hookup, linking, system_open};
use connectors::practices::provet::sim::{ProvetSim, ProvetSimConfig};
use domain::ids::PracticeId;
use domain::ports::store::{Leg, ProblemKind, SettingsBook, Vault};
use domain::private::ExposeSecret;
use domain::settings::{Registration, SecretKind, SecretName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECRET: &str = "a-secret";

struct Clinic {
    made_up: MadeUp,
    sim: ProvetSim,
}

impl Clinic {
    async fn new(provet_id: u64, client_secret: &str) -> Self {
        let made_up = MadeUp::paused().await;
        let config = ProvetSimConfig {
            provet_id,
            client_id: "a-client".into(),
            client_secret: client_secret.into(),
            redirect_url: Some("http://127.0.0.1/back".into()),
            time_zone: chrono_tz::Australia::Melbourne,
        };
        let clock = made_up.desk.clock();
        let sim = ProvetSim::start(config, std::sync::Arc::new(move || clock.now())).await.expect("starts");
        let today = made_up.desk.now().date_naive();
        sim.staff(|state, now| state.fill(today, now - chrono::TimeDelta::days(30)));
        Self { made_up, sim }
    }

    fn input(&self, password: &str, redirect_url: &str) -> SystemInput {
        SystemInput {
            profile: "provet".into(),
            address: SystemAddress::Provet {
                host: self.sim.host(),
                provet_id: self.sim.inspect(|state| state.provet_id()).to_string(),
                client_id: "a-client".into(),
                webhook_url: String::new(),
                redirect_url: redirect_url.into(),
            },
            password: Some(password.into()),
            write: true,
            locations: Vec::new(),
            documents_in: String::new(),
            documents_out: String::new(),
            documents_api: None,
            registration: None,
        }
    }

    fn practice(system: SystemInput) -> PracticeInput {
        PracticeInput {
            name: "Harbour Vets".into(),
            time_zone: "Australia/Melbourne".into(),
            system,
            healthengine: None,
            vald: None,
            live_hours: LiveHours::default(),
        }
    }

    /// The browser: goes where the program sends it, and where the service sends it on.
    async fn browser(&self) {
        let host = self.sim.host();
        let page = loop {
            let opened = system_open::opened().into_iter().rev().find(|address| address.starts_with(&host));
            match opened {
                Some(page) => break page,
                None => tokio::task::yield_now().await,
            }
        };
        let answer = get(&page).await;
        let back = answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("sent on");
        assert!(get(back.trim()).await.contains("You can close this window"));
    }

    async fn kept(&self, practice: &str, kind: SecretKind) -> Option<String> {
        let name = SecretName::of(&PracticeId::new(practice), kind);
        let kept = self.made_up.store().secret(&name).await.expect("reads");
        kept.map(|secret| secret.expose_secret().to_owned())
    }

    async fn registration_waits(&self, id: &str, secret: &str, redirect_url: Option<&str>) {
        let registration = Registration {
            id: id.into(),
            received_at: self.made_up.desk.now(),
            host: self.sim.host(),
            provet_id: self.sim.inspect(|state| state.provet_id()).try_into().expect("a number"),
            client_id: "a-client".into(),
            redirect_url: redirect_url.map(str::to_owned),
        };
        assert!(self.made_up.store().keep_registration(registration, secret.into()).await.expect("keeps"));
    }
}

async fn get(address: &str) -> String {
    let url = url::Url::parse(address).expect("an address");
    let port = url.port().expect("a port");
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let path = url.as_str().splitn(4, '/').nth(3).expect("a path");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answers");
    String::from_utf8(answer).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practice_is_linked_by_a_person_who_signs_in_and_is_told_every_right() {
    let clinic = Clinic::new(9101, "").await;
    let desk = &clinic.made_up.desk;
    let input = clinic.input("", "http://127.0.0.1/back");
    let zone = "Australia/Melbourne";
    let early = linking::test_system(desk, None, &input, zone).await.expect_err("nobody signed in");
    assert_eq!(early.code, ErrorCode::SignInNeeded);
    let unsaved = linking::link(desk, Clinic::practice(input.clone())).await.expect_err("nobody signed in");
    assert_eq!(unsaved.code, ErrorCode::SignInNeeded);

    let (signed_in, ()) = tokio::join!(linking::sign_in_to_system(desk, None, &input), clinic.browser());
    signed_in.expect("signs in");
    clinic.sim.conduct(|conduct| conduct.missing_rights = vec!["Calendar: Shifts".into()]);
    let lacking = linking::test_system(desk, None, &input, zone).await;
    assert!(
        lacking.is_err()
            || lacking.is_ok_and(|test| test.rights.iter().any(|right| right.state == RightState::Missing))
    );
    clinic.sim.conduct(|conduct| conduct.missing_rights.clear());

    let mut other = input.clone();
    if let SystemAddress::Provet { client_id, .. } = &mut other.address {
        *client_id = "another-client".into();
    }
    let other = linking::test_system(desk, None, &other, zone).await.expect_err("not for that account");
    assert_eq!(other.code, ErrorCode::SignInNeeded);

    let id = linking::link(desk, Clinic::practice(input.clone())).await.expect("links");
    let kept = clinic.kept(&id, SecretKind::SystemSignIn).await.expect("kept");
    assert!(kept.contains("provet-sim-refresh-"));
    let tested = linking::test_system(desk, Some(&id), &input, zone).await.expect("works");
    assert_eq!(tested.rights.len(), 8, "all of them, not only those that are missing");
    assert!(tested.rights.iter().all(|right| right.state == RightState::Works && !right.gains.is_empty()));

    // As the integration's own account there is no sign-in to keep.
    let mut own = Clinic::practice(clinic.input("x", ""));
    own.system.write = false;
    linking::update(desk, &id, own).await.expect("saves");
    assert_eq!(clinic.kept(&id, SecretKind::SystemSignIn).await, None);
    clinic.sim.stop().await;
    clinic.made_up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_ended_is_told_as_something_for_a_person_and_the_next_one_mends_it() {
    let clinic = Clinic::new(9105, "").await;
    let desk = &clinic.made_up.desk;
    let input = clinic.input("", "http://127.0.0.1/back");
    let (signed_in, ()) = tokio::join!(linking::sign_in_to_system(desk, None, &input), clinic.browser());
    signed_in.expect("signs in");
    let id = PracticeId::new(linking::link(desk, Clinic::practice(input.clone())).await.expect("links"));
    let mut state = desk.running().expect("runs").engine.state();
    let problem = |state: &sync::state::EngineState| {
        let leg = state.practices.get(&id).and_then(|practice| practice.legs.get(&Leg::System));
        leg.map(|leg| leg.problem.as_ref().map(|problem| problem.kind))
    };
    state.wait_for(|state| problem(state) == Some(None)).await.expect("the book is read");
    clinic.sim.staff(|state, _| state.end_sign_ins());
    let ended = state.wait_for(|state| problem(state) == Some(Some(ProblemKind::SignIn))).await;
    drop(ended.expect("the engine says so"));
    let before = system_open::opened().len();
    let again = async {
        while system_open::opened().len() == before {
            tokio::task::yield_now().await;
        }
        clinic.browser().await;
    };
    let (signed_in, ()) = tokio::join!(linking::sign_in_to_system(desk, Some(id.as_str()), &input), again);
    signed_in.expect("signs in again");
    drop(state.wait_for(|state| problem(state) == Some(None)).await.expect("it goes on"));
    clinic.sim.stop().await;
    clinic.made_up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_is_given_up_ends_at_once_and_gives_the_port_back() {
    let clinic = Clinic::new(9102, "").await;
    let desk = &clinic.made_up.desk;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let way_back = format!("http://{}/back", free.local_addr().expect("an address"));
    drop(free);
    let input = clinic.input("", &way_back);
    let host = clinic.sim.host();
    let gives_up = async {
        while !system_open::opened().iter().any(|address| address.starts_with(&host)) {
            tokio::task::yield_now().await;
        }
        desk.sign_ins().cancel();
    };
    let (ended, ()) = tokio::join!(linking::sign_in_to_system(desk, None, &input), gives_up);
    assert_eq!(ended.expect_err("given up").code, ErrorCode::SignInNeeded);
    let port = way_back.trim_start_matches("http://").trim_end_matches("/back");
    std::net::TcpListener::bind(port).expect("free again");
    clinic.sim.stop().await;
    clinic.made_up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_practice_takes_up_a_registration_only_where_it_works() {
    let clinic = Clinic::new(9103, SECRET).await;
    let desk = &clinic.made_up.desk;
    let id = linking::link(desk, Clinic::practice(clinic.input(SECRET, ""))).await.expect("links");
    clinic.registration_waits("wrong", "another-secret", None).await;
    hookup::accept(desk, "wrong").await.expect_err("these do not work");
    assert_eq!(clinic.kept(&id, SecretKind::SystemPassword).await.as_deref(), Some(SECRET), "as before");
    assert_eq!(clinic.made_up.store().registrations().await.expect("reads").len(), 1, "it waits on");
    hookup::refuse(desk, "wrong").await.expect("refuses");

    clinic.registration_waits("right", SECRET, None).await;
    let path = SecretName::of_hookup_path();
    clinic.made_up.store().keep_secret(&path, "a-path".into()).await.expect("keeps");
    assert_eq!(hookup::accept(desk, "right").await.expect("works"), None);
    assert_eq!(clinic.kept(&id, SecretKind::SystemPassword).await.as_deref(), Some(SECRET));
    assert!(clinic.made_up.store().registrations().await.expect("reads").is_empty());
    assert!(clinic.made_up.store().secret(&path).await.expect("reads").is_none(), "the door is closed");
    hookup::accept(desk, "right").await.expect_err("it is gone");
    clinic.sim.stop().await;
    clinic.made_up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_practice_takes_up_a_registration_for_people_once_somebody_has_signed_in() {
    let clinic = Clinic::new(9104, SECRET).await;
    let desk = &clinic.made_up.desk;
    let id = linking::link(desk, Clinic::practice(clinic.input(SECRET, ""))).await.expect("links");
    clinic.registration_waits("person", SECRET, Some("http://127.0.0.1/back")).await;
    let (accepted, ()) = tokio::join!(hookup::accept(desk, "person"), clinic.browser());
    assert_eq!(accepted.expect("works"), None);
    assert!(clinic.kept(&id, SecretKind::SystemSignIn).await.is_some());
    let practices = clinic.made_up.store().practices().await.expect("reads");
    let linked = practices.iter().find(|practice| practice.id.as_str() == id).expect("linked");
    let account = linked.system.provet.as_ref().expect("an account");
    assert_eq!(account.redirect_url.as_deref(), Some("http://127.0.0.1/back"));
    clinic.sim.stop().await;
    clinic.made_up.stop().await;
}
