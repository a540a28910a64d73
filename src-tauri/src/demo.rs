//! `demo`: a made-up clinic on SQLite with Healthengine, VALD Hub, Validic and Hint simulated on loopback, in a folder of
//! its own.
//!
//! | file in the folder | what for |
//! |---|---|
//! | `demo.key` | the key of the demo's own records; no keyring is needed |
//! | `clinic.sqlite` | the clinic's book, made on the first start |
//! | `healthengine.json` | what the simulator remembers between two starts |
//! | `healthengine.port` | where the simulator listened, so that a bookmark of its page stays good |
//!
//! The simulated VALD Hub remembers nothing between two starts, so that every start sends it the profiles anew. Neither
//! do the simulated Validic and Hint, so that nobody is registered or linked there at a start.

mod hint;
#[cfg(test)]
pub mod made_up;
mod vald;
mod validic;

use crate::cli::Failure;
use crate::compose::{self, DataFolder, Home};
use crate::present::people::{AtVald, patient_view};
use crate::serve;
use chrono_tz::Tz;
use connectors::partners::healthengine::sim::{
    Consent, HealthengineSim, HealthengineSimConfig, SimPractice, SimStartError,
};
use connectors::partners::hint::sim::HintSim;
use connectors::partners::vald::sim::ValdSim;
use connectors::partners::validic::sim::ValidicSim;
use connectors::practices::demo as clinic;
use connectors::sim::SimClock;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::store::{Consents, Leg, SettingsBook};
use domain::private::{Private, SecretString};
use domain::settings::{
    DocumentRoutes, Feature, HealthengineSettings, LiveDay, LiveHours, PracticeSettings, SecretKind,
    SecretName, SystemSettings, WriteMode,
};
use domain::time::{DayRange, MinuteOfDay, PracticeZone};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::KeySource;
use sync::flows::people::read_everybody;
use sync::health;

/// The made-up practice's local key, and its id at the simulator.
const PRACTICE: &str = "demo";
const NAME: &str = "Wattle Street Allied Health";
const ZONE: Tz = chrono_tz::Australia::Melbourne;
/// These open nothing but the simulator, which listens on this computer only.
const API_KEY: &str = "demo-api-key";
const PRACTICE_KEY: &str = "demo-practice-key";
/// For how many days free times are published.
const HORIZON_DAYS: u32 = 60;

/// The made-up clinic, its simulator running.
pub struct Demo {
    home: Arc<Home>,
    simulator: HealthengineSim,
    hub: ValdSim,
    devices: ValidicSim,
    memberships: HintSim,
}

impl Demo {
    /// Opens the demo's own store, with a key beside it. Blocks.
    pub fn open(folder: DataFolder, clock: Arc<dyn Clock>) -> Result<Home, Failure> {
        folder.create()?;
        let key = folder.path().join("demo.key");
        if !key.exists() {
            make_key(&key)?;
        }
        Ok(Home::open(folder, &KeySource::File(key), clock)?)
    }

    /// Makes the clinic where it is missing, starts the simulator on the current runtime, and links the two. To be
    /// called with the engine's lock in hand, so that no other process plays with the same files.
    pub async fn start(home: Arc<Home>) -> Result<Self, Failure> {
        let folder = home.folder().path().to_owned();
        let book = folder.join("clinic.sqlite");
        let today = PracticeZone(ZONE).today(home.clock().now());
        if !book.exists() {
            // Made beside it and renamed, so that a first start that is cut short leaves no half clinic.
            let unfinished = folder.join("clinic.unfinished");
            let (target, source) = (book.clone(), unfinished.clone());
            let made = tokio::task::spawn_blocking(move || -> Result<(), Failure> {
                drop(std::fs::remove_file(&source));
                clinic::create(&source, today)?;
                std::fs::rename(&source, &target)?;
                Ok(())
            });
            made.await.map_err(|_| {
                Failure::new("The made-up clinic could not be made. The log has the details.")
            })??;
        } else {
            let book = book.clone();
            let kept = tokio::task::spawn_blocking(move || clinic::bring_up_to_date(&book));
            kept.await.map_err(|_| {
                Failure::new("The made-up clinic could not be opened. The log has the details.")
            })??;
        }
        let simulator = start_simulator(&home).await?;
        link(&home, &book, &simulator).await?;
        let hub = vald::start(&home).await?;
        vald::link(&home, &PracticeId::new(PRACTICE), &hub).await?;
        let devices = validic::start(&home).await?;
        validic::link(&home, &PracticeId::new(PRACTICE), &devices).await?;
        let memberships = hint::start(&home).await?;
        hint::link(&home, &PracticeId::new(PRACTICE), &memberships).await?;
        Ok(Self { home, simulator, hub, devices, memberships })
    }

    /// The address of the page "Act as a patient".
    pub fn patient_page(&self) -> String {
        self.simulator.page_url()
    }

    /// Stops the simulators, and returns when they have saved what they know.
    pub async fn stop(self) {
        self.memberships.stop().await;
        self.devices.stop().await;
        self.hub.stop().await;
        self.simulator.stop().await;
    }
}

/// Writes a key that only its owner may read, beside its final name first, so that no half key is left behind.
fn make_key(path: &Path) -> std::io::Result<()> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let mut line: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    line.push('\n');
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)
}

/// Runs the demo without its window until Ctrl-C or SIGTERM.
pub fn run_headless(home: Home, tell: impl FnOnce(&str) -> std::io::Result<()>) -> Result<(), Failure> {
    let home = Arc::new(home);
    let lock = home.lock_engine()?;
    let runtime = compose::runtime()?;
    let ended = runtime.block_on(async {
        let stop = serve::asked_to_stop()?;
        let demo = Demo::start(home.clone()).await?;
        tell(&demo.patient_page())?;
        let engine = demo.home.start_engine(lock);
        let ended = serve::until_stopped(&home, &engine, stop).await;
        demo.stop().await;
        ended
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    ended
}

async fn start_simulator(home: &Home) -> Result<HealthengineSim, Failure> {
    let folder = home.folder().path();
    let port_file = folder.join("healthengine.port");
    let last_port = std::fs::read_to_string(&port_file).ok().and_then(|text| text.trim().parse().ok());
    let config = |port| HealthengineSimConfig {
        port,
        practices: vec![SimPractice {
            name: NAME.to_owned(),
            practice_id: PRACTICE.to_owned(),
            practice_key: PRACTICE_KEY.to_owned(),
            api_key: API_KEY.to_owned(),
            time_zone: ZONE,
            consent: Consent::Granted,
        }],
        state_file: Some(folder.join("healthengine.json")),
    };
    let clock = home.clock();
    let clock: SimClock = Arc::new(move || clock.now());
    let simulator = match HealthengineSim::start(config(last_port.unwrap_or(0)), clock.clone()).await {
        // Somebody else has the port now. Any other will do.
        Err(SimStartError::Listen(_)) if last_port.is_some() => {
            HealthengineSim::start(config(0), clock).await?
        }
        started => started?,
    };
    if let Some(port) = url::Url::parse(&simulator.page_url()).ok().and_then(|url| url.port()) {
        std::fs::write(port_file, port.to_string())?;
    }
    Ok(simulator)
}

/// Links the clinic with the simulator. What somebody changed in the meantime stays, but for the simulator's address.
async fn link(home: &Home, book: &Path, simulator: &HealthengineSim) -> Result<(), Failure> {
    let store = home.store();
    let id = PracticeId::new(PRACTICE);
    let known = store.practices().await?.into_iter().find(|settings| settings.id == id);
    let wanted = match known.clone() {
        Some(mut settings) => {
            if let Some(account) = &mut settings.healthengine {
                account.base_url = simulator.base_url();
            }
            settings
        }
        None => settings(id.clone(), book.to_owned(), simulator.base_url()),
    };
    if known.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let keep = |kind, secret: &str| (SecretName::of(&id, kind), Some(SecretString::from(secret)));
    let secrets = vec![
        keep(SecretKind::HealthengineApiKey, API_KEY),
        keep(SecretKind::HealthenginePracticeKey, PRACTICE_KEY),
    ];
    Ok(store.link_practice(&wanted, secrets).await?)
}

fn settings(id: PracticeId, book: PathBuf, base_url: String) -> PracticeSettings {
    let open = DayRange::new(MinuteOfDay::clamped(7 * 60), MinuteOfDay::clamped(19 * 60));
    let day = |day| (day, open.into_iter().collect());
    PracticeSettings {
        id,
        name: NAME.to_owned(),
        zone: PracticeZone(ZONE),
        enabled: true,
        system: SystemSettings {
            profile: clinic::NAME.to_owned(),
            url: format!("sqlite:{}", book.display()),
            write: WriteMode::Sql,
            locations: None,
            poll_seconds: 5,
            documents: DocumentRoutes::default(),
            provet: None,
        },
        healthengine: Some(HealthengineSettings {
            base_url,
            practice_id: PRACTICE.to_owned(),
            user_agent_email: "support@example.com".to_owned(),
            environment: "DEV".to_owned(),
            horizon_days: HORIZON_DAYS,
            poll_seconds: 5,
            // The folders for documents lie beside the made-up clinic.
            features: Feature::ALL.map(|feature| feature.name().to_owned()).to_vec(),
            webhook_url: None,
            live_hours: LiveHours {
                weekdays: LiveDay::ALL
                    .into_iter()
                    .filter(|day| *day != LiveDay::PublicHolidays)
                    .map(day)
                    .collect(),
            },
        }),
        vald: None,
        accounts: BTreeMap::new(),
    }
}

/// Who is said to have recorded the consents that are there at the start.
const RECORDED_BY: &str = "The demo";

/// Records that some of the patients agreed, by their number in the book.
async fn give_consents(
    home: &Home,
    settings: &PracticeSettings,
    partner: PartnerId,
    agrees: impl Fn(usize) -> bool,
) -> Result<(), Failure> {
    let now = home.clock().now();
    let today = settings.zone.today(now);
    let takes_photos = partner.as_str() == connectors::partners::vald::NAME;
    let book = home.connections().practice_system(settings).await?;
    let people = read_everybody(book.as_ref())
        .await
        .map_err(|error| Failure::new(health::problem(Leg::System, &error).sentence))?;
    let agreed = people.patients().enumerate().filter(|(number, _)| agrees(*number));
    let line = |number: usize, patient| {
        let person = people.patient(&patient);
        let minor =
            person.is_some_and(|person| patient_view(settings, &person, &AtVald::default(), today).minor);
        let guardian = minor.then(|| Private::new("A parent".to_owned()));
        ConsentLine {
            practice: settings.id.clone(),
            partner: partner.clone(),
            patient,
            said: Said::Yes(Agreement {
                guardian,
                photo_and_video: takes_photos && number.is_multiple_of(2),
            }),
            how: ConsentHow::CollectedBefore,
            recorded_by: Private::new(RECORDED_BY.to_owned()),
            wording: "2026-1".to_owned(),
            at: now,
        }
    };
    let lines: Vec<ConsentLine> = agreed.map(|(number, patient)| line(number, patient)).collect();
    home.store().record_consents(&lines).await?;
    Ok(())
}
