//! Consenting patients reach VALD Hub: at which share of the pace that was agreed, and how long it takes to find out whose
//! profile changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::TimeDelta;
use connectors::http::Http;
use connectors::partners::vald::sim::{Region, SimTenant, Throttle, ValdSim, ValdSimConfig};
use connectors::partners::vald::{AUDIENCE, Vald};
use connectors::practices;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PracticeId};
use domain::link::LinkState;
use domain::matching::population::Population;
use domain::people::PatientRecord;
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{BookingCounts, Consents, Links};
use domain::private::{Private, SecretString};
use domain::settings::{
    AppSettings, DocumentRoutes, PracticeSettings, SystemSettings, ValdSettings, WriteMode,
};
use store::{Store, StoreKey};
use sync::flows::people::People;
use sync::flows::profiles::Profiles;
use sync::flows::{Flow, Ports};
use sync::state::{PracticeState, StateBoard};
use tests::mariadb::Server;
use tests::real_time::{SystemClock, pause, sim_clock};

use crate::clinic::ZONE;
use crate::matching::practice;
use crate::report::{Figure, Report};

/// How many agreed, in each book.
const AGREED: usize = 10_000;
/// How many patients the large books have.
const LARGE: usize = 200_000;
const SEED: u64 = 20_261_128;
const TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// Between two requests, as the contract sheet advises (VALD sheet §5).
const AGREED_PACE: Duration = Duration::from_millis(250);
/// What the simulator takes at that pace; at a quicker one, as much more (VALD sheet §5).
const TAKEN: (usize, Duration) = (25, Duration::from_secs(5));
/// A pace at which everybody is sent within some minutes.
const QUICK_PACE: Duration = Duration::from_millis(15);

/// How quickly some were sent.
struct Sent {
    /// The share of the requests that the pace allows.
    share: f64,
    /// The same, of the requests that carried a profile.
    imports: f64,
    /// How many were refused for haste.
    throttled: u64,
    took: Duration,
}

/// Everybody who agreed, at the pace that the contract sheet advises. Takes three quarters of an hour.
pub async fn at_agreed_pace() -> Result<Report> {
    let everybody = Population::new(AGREED, 0, SEED).records;
    let server = Server::shared()?;
    let desk = Desk::new(practice(&server, &everybody).await?, AGREED_PACE).await?;
    desk.agree(&everybody).await?;
    let sent = desk.send(AGREED, AGREED_PACE).await?;
    let lost = desk.lost();
    desk.sim.stop().await;
    Ok(Report {
        title: "pace: 10,000 consenting patients reach VALD Hub at the agreed pace",
        figures: vec![
            Figure { name: "profiles lost", measured: lost as f64, target: 0.0, unit: "profiles" },
            Figure { name: "of the pace not used", measured: 100.0 - sent.share, target: 2.0, unit: "%" },
        ],
        further: vec![words(AGREED_PACE, AGREED, &sent)],
        how: "Generated patients in OpenEMR's tables on MariaDB, all of whom agreed; the real store, the real client, and \
              the simulator, which takes 25 requests in five seconds. The share is of the requests that the pace allows \
              between the first answer and the last.",
    })
}

pub async fn measure() -> Result<Report> {
    let server = Server::shared()?;
    // A book of those who agreed, and nobody else.
    let everybody = Population::new(AGREED, 0, SEED).records;
    let book = practice(&server, &everybody).await?;
    let mut further = Vec::new();
    let mut at_agreed_pace = 0.0;
    for (pace, count) in [(AGREED_PACE, 240), (Duration::from_millis(50), 1_000)] {
        let desk = Desk::new(book.clone(), pace).await?;
        desk.agree(everybody.iter().take(count)).await?;
        let sent = desk.send(count, pace).await?;
        further.push(words(pace, count, &sent));
        if pace == AGREED_PACE {
            at_agreed_pace = sent.share;
        }
    }
    let desk = Desk::new(book, QUICK_PACE).await?;
    desk.agree(&everybody).await?;
    let sent = desk.send(AGREED, QUICK_PACE).await?;
    further.push(words(QUICK_PACE, AGREED, &sent));
    let lost = desk.lost();
    let imports = desk.imports();
    let began = Instant::now();
    let running = desk.start()?;
    running.look().await;
    let again = began.elapsed();
    let sent_again = desk.imports() - imports;
    desk.sim.stop().await;

    // Large books, of which as many agreed.
    let large = Population::new(LARGE, 0, SEED + 1).records;
    let folder = tempfile::tempdir()?;
    let mut cold = Vec::new();
    let mut unchanged = Vec::new();
    for (name, book) in
        [("MariaDB", practice(&server, &large).await?), ("SQLite", sqlite(folder.path(), &large)?)]
    {
        let desk = Desk::new(book, Duration::ZERO).await?;
        desk.agree(large.iter().step_by(LARGE / AGREED)).await?;
        desk.send(AGREED, Duration::ZERO).await?;
        let imports = desk.imports();
        let (mut times, mut read, mut worst) = (Vec::new(), Vec::new(), 0.0_f64);
        for _ in 0..3 {
            let running = Arc::new(desk.start()?);
            let (people, compared) = running.look_first().await?;
            read.push(people);
            times.push(compared);
            // The book tells nothing of a change within the last two seconds.
            pause(Duration::from_secs(3)).await;
            running.look().await;
            let began = Instant::now();
            running.look().await;
            worst = worst.max(milliseconds(began.elapsed()));
        }
        ensure!(desk.imports() == imports, "something was sent again from {name}");
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let listed =
            |times: &[f64]| times.iter().map(|time| format!("{time:.0}")).collect::<Vec<_>>().join(", ");
        further.push(format!(
            "Cold among {LARGE} in {name}, three starts: {} ms; everybody was in memory after {} ms.",
            listed(&times),
            listed(&read)
        ));
        cold.push(best);
        unchanged.push(worst);
        desk.sim.stop().await;
    }
    let ([cold_mariadb, cold_sqlite], [unchanged, unchanged_sqlite]) =
        (cold.as_slice(), unchanged.as_slice())
    else {
        anyhow::bail!("two books")
    };
    Ok(Report {
        title: "profiles: consenting patients reach VALD Hub",
        figures: vec![
            Figure { name: "profiles lost, of 10,000", measured: lost as f64, target: 0.0, unit: "profiles" },
            Figure {
                name: "of the agreed pace not used",
                measured: 100.0 - at_agreed_pace,
                target: 2.0,
                unit: "%",
            },
            Figure {
                name: "sent by the second run",
                measured: sent_again as f64,
                target: 0.0,
                unit: "profiles",
            },
            Figure { name: "the second run", measured: milliseconds(again), target: 2_000.0, unit: "ms" },
            Figure {
                name: "finding what changed among 200,000, cold, MariaDB, best of three",
                measured: *cold_mariadb,
                target: 1_500.0,
                unit: "ms",
            },
            Figure { name: "the same, SQLite", measured: *cold_sqlite, target: 1_500.0, unit: "ms" },
            Figure {
                name: "when nothing changed, MariaDB, worst of three",
                measured: *unchanged,
                target: 50.0,
                unit: "ms",
            },
            Figure { name: "the same, SQLite", measured: *unchanged_sqlite, target: 50.0, unit: "ms" },
        ],
        further,
        how: "Generated patients, 10,000 of whom agreed, in OpenEMR's tables on MariaDB and in the demo clinic's file; the \
              real store, the real client, and the simulator, which takes 25 requests in twenty times the pace, as VALD \
              is said to do at four a second. The share is of the requests that the pace allows between the first \
              answer and the last. Cold is from a start to knowing that nothing has to be sent: consents, links, and \
              the records of all who agreed read from the book and compared, while everybody is read into memory \
              beside it.",
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn words(pace: Duration, count: usize, sent: &Sent) -> String {
    format!(
        "{count} profiles, a request every {} ms: {:.1} % of the pace ({:.1} % by profiles alone), in {:.0} s; {} refused for haste.",
        pace.as_millis(),
        sent.share,
        sent.imports,
        sent.took.as_secs_f64(),
        sent.throttled,
    )
}

/// A practice with its records, and VALD.
struct Desk {
    practice: Arc<dyn PracticeSystem>,
    store: Arc<Store>,
    sim: ValdSim,
    settings: PracticeSettings,
    _folder: tempfile::TempDir,
}

/// The program between its start and its end.
struct Running {
    people: People,
    profiles: Profiles,
}

impl Running {
    /// Reads who is in the book and finds out whose profile has to be sent; sends some.
    async fn look(&self) {
        self.people.pass().await;
        self.profiles.pass().await;
    }

    /// The first time, both side by side, as they run in the program. Returns how long each of them took, in
    /// milliseconds.
    async fn look_first(self: &Arc<Self>) -> Result<(f64, f64)> {
        let began = Instant::now();
        let running = Arc::clone(self);
        let reading = tokio::spawn(async move {
            running.people.pass().await;
            began.elapsed()
        });
        self.profiles.pass().await;
        let compared = began.elapsed();
        Ok((milliseconds(reading.await?), milliseconds(compared)))
    }
}

impl Desk {
    async fn new(practice: Arc<dyn PracticeSystem>, pace: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let opened = Store::open(folder.path(), &StoreKey::new([7; 32]), SystemClock.now())?;
        let tenant = SimTenant {
            id: TENANT.into(),
            name: "Richmond".into(),
            sport: "AlliedHealth".into(),
            region: Region::Aue,
        };
        let mut config = ValdSimConfig::one_tenant(tenant, "client", "secret");
        let (requests, per) = TAKEN;
        let per = per.mul_f64(pace.as_secs_f64() / AGREED_PACE.as_secs_f64());
        config.conduct.throttle = (!pace.is_zero()).then_some(Throttle {
            requests,
            per: TimeDelta::from_std(per)?,
            says_when: true,
        });
        let sim = ValdSim::start(config, sim_clock()).await?;
        let settings = PracticeSettings {
            id: PracticeId::new("richmond"),
            name: "Richmond".into(),
            zone: ZONE,
            enabled: true,
            system: SystemSettings {
                profile: "openemr".into(),
                url: String::new(),
                write: WriteMode::None,
                locations: None,
                poll_seconds: 5,
                documents: DocumentRoutes::default(),
                provet: None,
            },
            healthengine: None,
            accounts: BTreeMap::new(),
            vald: Some(ValdSettings {
                tenant_id: TENANT.into(),
                region: "aue".into(),
                token_url: sim.token_url(),
                audience: AUDIENCE.into(),
                profile_url: sim.profile_url(Region::Aue),
                tenants_url: sim.tenants_url(Region::Aue),
                hub_url: None,
                groups: Vec::new(),
                between_requests: TimeDelta::from_std(pace)?,
                sync_prefix: "richmond".into(),
                staff_are_adults: true,
            }),
        };
        Ok(Self { practice, store: Arc::new(opened.store), sim, settings, _folder: folder })
    }

    /// These agreed, minors with a guardian.
    async fn agree(&self, patients: impl IntoIterator<Item = &PatientRecord>) -> Result<()> {
        let line = |record: &PatientRecord| ConsentLine {
            practice: self.settings.id.clone(),
            partner: PartnerId::new("vald"),
            patient: record.id.clone(),
            said: Said::Yes(Agreement {
                guardian: Some(Private::new("A parent".into())),
                photo_and_video: false,
            }),
            how: ConsentHow::CollectedBefore,
            recorded_by: Private::new("Kim".into()),
            wording: String::new(),
            at: SystemClock.now(),
        };
        let lines: Vec<ConsentLine> = patients.into_iter().map(line).collect();
        self.store.record_consents(&lines).await?;
        Ok(())
    }

    fn start(&self) -> Result<Running> {
        let account = self.settings.vald.as_ref().context("an account")?;
        let (id, secret) = (SecretString::from("client"), SecretString::from("secret"));
        let http = Http::default();
        let vald = Vald::new(account, self.settings.id.clone(), &id, &secret, &http)?;
        let state = StateBoard::default();
        let shown = PracticeState::new(self.settings.clone(), [].into(), BookingCounts::default());
        state.change(|state| drop(state.practices.insert(self.settings.id.clone(), shown)));
        let ports = Ports {
            settings: self.settings.clone(),
            app: AppSettings::default(),
            practice: self.practice.clone(),
            partner: None,
            partners: vec![Arc::new(vald)],
            store: self.store.clone(),
            clock: Arc::new(SystemClock),
            state,
            look_closely: Arc::default(),
            writes_fail: Arc::default(),
            webhooks: Arc::default(),
            book_webhooks: Arc::default(),
            hurried: sync::flows::Hurried::default(),
            searching: sync::flows::Searching::default(),
            noted: Arc::default(),
            half_hours: Arc::default(),
        };
        let profiles = Profiles::new(ports.clone()).context("an account")?;
        Ok(Running { people: People::new(ports), profiles })
    }

    /// How many of all who agreed have no profile.
    fn lost(&self) -> usize {
        AGREED - self.sim.inspect(|state| state.profiles(TENANT).count())
    }

    fn imports(&self) -> u64 {
        self.sim.inspect(|state| state.requests("POST", "/profiles/import"))
    }

    /// Sends until everybody is linked or is found to lack something.
    async fn send(&self, count: usize, pace: Duration) -> Result<Sent> {
        let running = self.start()?;
        running.people.pass().await;
        loop {
            let outcome = running.profiles.pass().await;
            let counts = self.store.link_counts(&self.settings.id, &PartnerId::new("vald")).await?;
            let linked = counts.get(&LinkState::Linked).copied().unwrap_or_default();
            let all: u32 = counts.values().sum();
            let waiting = counts.get(&LinkState::Pending).copied().unwrap_or_default();
            if waiting == 0 && usize::try_from(all)? >= count {
                ensure!(linked == all, "{linked} linked of {all}: {counts:?}");
                break;
            }
            let wait = outcome.again_at - SystemClock.now();
            pause(wait.to_std().unwrap_or_default()).await;
        }
        let (imports, requests, took) = self.sim.inspect(|state| {
            let mut imports = state.imports(TENANT);
            let (first, last) = (imports.next(), imports.next_back());
            let (first, last) = first.zip(last).context("two imports")?;
            let took = (last.at - first.at).to_std()?;
            anyhow::Ok((imports.count() + 2, last.number - first.number + 1, took))
        })?;
        // The first one is sent at the beginning.
        let allowed = took.as_secs_f64() / pace.as_secs_f64() + 1.0;
        let throttled = self.sim.inspect(|state| state.throttled());
        Ok(Sent {
            share: (requests - throttled) as f64 / allowed * 100.0,
            imports: imports as f64 / allowed * 100.0,
            throttled,
            took,
        })
    }
}

/// The demo clinic's file with these patients instead of its own.
fn sqlite(folder: &Path, records: &[PatientRecord]) -> Result<Arc<dyn PracticeSystem>> {
    let file = folder.join("book.db");
    practices::demo::create(&file, ZONE.today(SystemClock.now()))?;
    let mut book = rusqlite::Connection::open(&file)?;
    let filling = book.transaction()?;
    {
        let mut insert = filling.prepare(
            "INSERT OR REPLACE INTO patient (id, first_name, last_name, birth_date, mobile, email, street, suburb, state, \
             postcode) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'VIC', ?9)",
        )?;
        for record in records {
            let details = &record.details;
            insert.execute(rusqlite::params![
                record.id.as_str(),
                details.first_name.reveal(),
                details.last_name.reveal(),
                details.birth_date.reveal().map(|born| born.to_string()),
                details.phones.first().map(|phone| phone.reveal().clone()).unwrap_or_default(),
                details.email.reveal(),
                details.street.reveal(),
                details.suburb.reveal(),
                details.postcode.reveal(),
            ])?;
        }
    }
    filling.commit()?;
    let settings = SystemSettings {
        profile: practices::demo::NAME.to_owned(),
        url: format!("sqlite:{}", file.display()),
        write: WriteMode::None,
        locations: None,
        poll_seconds: 5,
        documents: DocumentRoutes::default(),
        provet: None,
    };
    let http = connectors::http::Http::default();
    Ok(practices::open(&settings, None, None, ZONE, folder, &http, Arc::new(SystemClock))?.system())
}
