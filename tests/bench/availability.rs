//! Two months of a large clinic: read, computed, compared; and what one changed appointment sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::Timelike;
use connectors::http::Http;
use connectors::partners::healthengine::Healthengine;
use connectors::partners::healthengine::sim::SimState;
use connectors::practices;
use domain::ids::PracticeId;
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::private::SecretString;
use domain::settings::{
    AppSettings, DocumentRoutes, HealthengineSettings, LiveHours, PracticeSettings, SystemSettings, WriteMode,
};
use domain::time::Horizon;
use store::{Store, StoreKey};
use sync::flows::availability::Availability;
use sync::flows::{Flow, Ports};
use sync::state::{PracticeState, StateBoard};
use tests::companion::{API_KEY, practice_key, simulator};
use tests::mariadb::Server;
use tests::openemr::STANDARD;
use tests::real_time::SystemClock;

use crate::clinic::{self, HORIZON_DAYS, ZONE};
use crate::report::{Figure, Report, Sample};

const PRACTICE: &str = "large";
const PASSES: usize = 40;
const CHANGES: usize = 20;

pub async fn measure() -> Result<Report> {
    let clinic = clinic::large(Server::shared()?).await?;
    let linked = clinic::linked(PRACTICE, &clinic, 5);
    let simulator = simulator(std::slice::from_ref(&linked)).await?;
    let settings = settings(linked.database, simulator.base_url());
    let folder = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open(folder.path(), &StoreKey::new([7; 32]), clock.now())?.store;
    let practice: Arc<dyn PracticeSystem> =
        practices::open(&settings.system, None, None, ZONE, folder.path(), &Http::default(), clock.clone())?
            .system();
    let account = settings.healthengine.as_ref().context("an account was given")?;
    let keys = [API_KEY.to_owned(), practice_key(PRACTICE)].map(SecretString::from);
    let [api_key, practice_key] = &keys;
    let partner =
        Healthengine::new(account, settings.id.clone(), ZONE, api_key, practice_key, &Http::default())?;
    let state = StateBoard::default();
    let shown =
        PracticeState::new(settings.clone(), BTreeMap::new(), domain::ports::store::BookingCounts::default());
    state.change(|state| drop(state.practices.insert(settings.id.clone(), shown)));
    let ports = Ports {
        settings,
        app: AppSettings::default(),
        practice: practice.clone(),
        partner: Some(Arc::new(partner)),
        partners: Vec::new(),
        hurried: Default::default(),
        searching: Default::default(),
        store: Arc::new(store),
        clock: clock.clone(),
        state,
        look_closely: Arc::default(),
        webhooks: Default::default(),
        book_webhooks: Default::default(),
        noted: Arc::default(),
        half_hours: Arc::default(),
        writes_fail: Arc::default(),
    };
    let flow = Availability::new(ports.clone());

    let began = Instant::now();
    flow.pass().await;
    let first_time = milliseconds_since(began);
    clinic::published(&simulator, PRACTICE).await?;

    let horizon = Horizon::from_day(ZONE.today(clock.now()), HORIZON_DAYS);
    let (mut whole, mut stamps) = (Vec::new(), Vec::new());
    let sent_before = simulator.inspect(snapshots);
    for _ in 0..PASSES {
        ports.look_closely();
        let began = Instant::now();
        flow.pass().await;
        whole.push(milliseconds_since(began));
        let began = Instant::now();
        practice.stamp(horizon).await?;
        stamps.push(milliseconds_since(began));
    }
    ensure!(simulator.inspect(snapshots) == sent_before, "something was sent although nothing had changed");

    let mut most_sent = 0;
    for number in 0..CHANGES {
        let (resource, start) =
            clinic::free_time(&simulator, PRACTICE, number).context("nothing is free any more")?;
        let enter = format!(
            "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_time, \
             pc_eventDate, pc_duration, pc_startTime, pc_eventstatus, pc_sharing, pc_apptstatus, pc_facility) \
             VALUES ({STANDARD}, 0, '{resource}', '2', 'Visit', NOW(), '{}', 900, SEC_TO_TIME({}), 1, 1, '-', 3)",
            start.date(),
            start.num_seconds_from_midnight()
        );
        let before = simulator.inspect(snapshots);
        clinic.server.run(&clinic.database, &format!("SET SESSION sql_mode = ''; {enter}")).await?;
        flow.pass().await;
        let sent = simulator.inspect(snapshots) - before;
        ensure!(sent >= 1, "a changed appointment sent nothing");
        most_sent = most_sent.max(sent);
    }
    simulator.stop().await;
    let (whole, stamps) = (Sample::new(whole), Sample::new(stamps));
    Ok(Report {
        title: "availability: 24 practitioners × 61 days on MariaDB with OpenEMR's tables",
        figures: vec![
            Figure {
                name: "read, computed and compared, p95",
                measured: whole.percentile(95),
                target: 400.0,
                unit: "ms",
            },
            Figure {
                name: "sent for one changed appointment, at most",
                measured: f64::from(u32::try_from(most_sent)?),
                target: 1.0,
                unit: "snapshots",
            },
        ],
        further: vec![
            format!("Read, computed and compared: {}.", whole.words("ms")),
            format!("Only asking whether anything changed, as every poll does: {}.", stamps.words("ms")),
            format!("Read, computed and sent for the first time: {first_time:.0} ms, once."),
        ],
        how: "the availability pass itself on the real store, MariaDB and the simulator over loopback, told to look \
              closely while nothing has changed, so that it reads the whole book, computes every day and compares it \
              with what was last accepted; then 20 times one appointment more and a pass.",
    })
}

fn milliseconds_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// How many snapshots have come in, all days together.
fn snapshots(state: &SimState) -> usize {
    state.snapshots(PRACTICE).map(|(_, received)| received.len()).sum()
}

fn settings(url: String, base_url: String) -> PracticeSettings {
    PracticeSettings {
        id: PracticeId::new(PRACTICE),
        name: "Large".to_owned(),
        zone: ZONE,
        enabled: true,
        system: SystemSettings {
            profile: "openemr".to_owned(),
            url,
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
            features: Vec::new(),
            webhook_url: None,
            live_hours: LiveHours::default(),
        }),
        vald: None,
        accounts: BTreeMap::new(),
    }
}
