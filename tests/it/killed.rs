//! Real processes of the built program, killed at many moments of a booking's life, and started again.
//!
//! Whatever the moment, in the end there is one appointment, one patient, and one confirmation that names them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{Datelike, Days, NaiveDateTime};
use connectors::partners::healthengine::sim::{HealthengineSim, PatientDetails, SimState};
use connectors::practices::demo;
use connectors::sim::faults::{Fault, FaultRule};
use domain::ports::clock::Clock;
use mysql_async::prelude::Queryable;
use tests::companion::{Companion, Linked, Running, simulator};
use tests::mariadb::Server;
use tests::openemr::{Clinic, Size, Version};
use tests::real_time::{SystemClock, pause};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const PRACTICE: &str = "killed";
const HORIZON_DAYS: u32 = 6;
const ZONE: domain::time::PracticeZone = domain::time::PracticeZone(chrono_tz::Australia::Melbourne);
/// Longer than the longest settle time, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// What `interface.md` gives a process that is asked to end.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Longer than any test looks.
const VERY_LONG: u64 = 600_000;
/// How many processes run beside one another.
const AT_ONCE: usize = 6;

const POLL: (&str, &str) = ("GET", "/requests");
const LIST: (&str, &str) = ("GET", "/requests/bookings");
const CONFIRM: (&str, &str) = ("POST", "/bookings/*/confirmInsert");
const FREE_TIMES: (&str, &str) = ("POST", "/availability/snapshots");
const RESOURCES: (&str, &str) = ("POST", "/config/pmsResources/snapshot");

/// When the process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The request is on its way, and Healthengine has not seen it.
    BeforeEffect((&'static str, &'static str)),
    /// Healthengine has acted on the request, and its answer is on its way.
    BeforeAnswer((&'static str, &'static str)),
    /// So long after the booking was handed over: while it is filed, decided on, written.
    AfterHandingOver(Duration),
    /// While its insert waits for somebody else's lock.
    WaitsForLock,
    /// As soon as the appointment stands in the book.
    Written,
    /// The same, and again while the new process looks what became of it.
    WrittenAndAgain,
}

impl Moment {
    fn fault(self) -> Option<FaultRule> {
        let (fault, (method, path)) = match self {
            Moment::BeforeEffect(request) => (Fault::Slow { milliseconds: VERY_LONG }, request),
            Moment::BeforeAnswer(request) => (Fault::SlowAnswer { milliseconds: VERY_LONG }, request),
            Moment::AfterHandingOver(_)
            | Moment::WaitsForLock
            | Moment::Written
            | Moment::WrittenAndAgain => return None,
        };
        Some(FaultRule::once(fault).on(method, path))
    }

    /// Whether it comes before there is anything to book.
    fn is_at_the_start(self) -> bool {
        matches!(self, Moment::BeforeEffect(RESOURCES) | Moment::BeforeAnswer(RESOURCES))
    }
}

/// The practice's book.
enum Book {
    Sqlite(PathBuf),
    Mariadb(Box<Clinic>),
}

/// A lock on the book that somebody else holds.
enum Lock {
    Sqlite(rusqlite::Connection),
    Mariadb(Box<mysql_async::Conn>),
}

impl Book {
    fn linked(&self) -> Linked {
        let (profile, database) = match self {
            Book::Sqlite(file) => ("demo", format!("sqlite:{}", file.display())),
            Book::Mariadb(clinic) => ("openemr", clinic.server.url("root", &clinic.database)),
        };
        Linked {
            id: PRACTICE.to_owned(),
            profile,
            database,
            poll_seconds: 1,
            healthengine_poll_seconds: 1,
            horizon_days: HORIZON_DAYS,
            vald: None,
        }
    }

    fn first_resource(&self) -> i64 {
        match self {
            Book::Sqlite(_) => 1,
            Book::Mariadb(_) => tests::openemr::FIRST_PRACTITIONER,
        }
    }

    fn resources(&self) -> usize {
        match self {
            Book::Sqlite(_) => 5,
            Book::Mariadb(clinic) => usize::try_from(clinic.size.practitioners).unwrap_or(0),
        }
    }

    async fn pairs(&self, sqlite: &str, mariadb: &str) -> Result<Vec<(String, String)>> {
        match self {
            Book::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file)?;
                connection.busy_timeout(DEADLINE)?;
                let mut query = connection.prepare(sqlite)?;
                let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            }
            Book::Mariadb(clinic) => {
                let mut connection = clinic.server.connect(&clinic.database).await?;
                let rows = connection.query(mariadb).await?;
                connection.disconnect().await?;
                Ok(rows)
            }
        }
    }

    /// The appointments that carry the booking's key, with their patients.
    async fn appointments(&self, booking: i64) -> Result<Vec<(String, String)>> {
        let mark = format!("[healthengine:{booking}]");
        let sqlite = format!(
            "SELECT CAST(id AS TEXT), CAST(patient_id AS TEXT) FROM appointment \
             WHERE instr(note, '{mark}') > 0 AND status <> 'cancelled'"
        );
        let mariadb = format!(
            "SELECT CAST(pc_eid AS CHAR), pc_pid FROM openemr_postcalendar_events \
             WHERE LOCATE('{mark}', pc_hometext) > 0 AND pc_apptstatus NOT IN ('x', '%')"
        );
        self.pairs(&sqlite, &mariadb).await
    }

    /// The people of a family name.
    async fn patients(&self, last_name: &str) -> Result<Vec<String>> {
        let sqlite = format!("SELECT CAST(id AS TEXT), '' FROM patient WHERE last_name = '{last_name}'");
        let mariadb = format!("SELECT CAST(pid AS CHAR), '' FROM patient_data WHERE lname = '{last_name}'");
        Ok(self.pairs(&sqlite, &mariadb).await?.into_iter().map(|(id, _)| id).collect())
    }

    /// Somebody else writes, and takes their time.
    async fn lock(&self) -> Result<Lock> {
        match self {
            Book::Sqlite(file) => {
                let connection = rusqlite::Connection::open(file)?;
                connection.busy_timeout(DEADLINE)?;
                connection.execute_batch("BEGIN IMMEDIATE")?;
                Ok(Lock::Sqlite(connection))
            }
            Book::Mariadb(clinic) => {
                let mut connection = clinic.server.connect(&clinic.database).await?;
                connection.query_drop("START TRANSACTION").await?;
                connection.query_drop("SELECT id FROM users FOR UPDATE").await?;
                Ok(Lock::Mariadb(Box::new(connection)))
            }
        }
    }
}

impl Lock {
    async fn release(self) -> Result<()> {
        match self {
            Lock::Sqlite(connection) => Ok(connection.execute_batch("ROLLBACK")?),
            Lock::Mariadb(connection) => Ok(connection.disconnect().await?),
        }
    }
}

/// A linked practice, with no process running yet.
struct Scene {
    companion: Companion,
    simulator: HealthengineSim,
    book: Book,
    last_name: String,
}

impl Scene {
    async fn on_sqlite() -> Result<Self> {
        let companion = Companion::new()?;
        let file = companion.home().join("clinic.sqlite");
        demo::create(&file, ZONE.today(SystemClock.now()))?;
        Self::on(companion, Book::Sqlite(file)).await
    }

    async fn on_mariadb(server: Arc<Server>) -> Result<Self> {
        let today = ZONE.today(SystemClock.now());
        let monday = today - Days::new(u64::from(today.weekday().num_days_from_monday()));
        let clinic = Clinic::create(server, Version::Seven, Size::small(monday)).await?;
        Self::on(Companion::new()?, Book::Mariadb(Box::new(clinic))).await
    }

    async fn on(companion: Companion, book: Book) -> Result<Self> {
        let linked = [book.linked()];
        let simulator = simulator(&linked).await?;
        companion.link(&linked, &simulator).await?;
        Ok(Self { companion, simulator, book, last_name: "Ironbark-Sapling".to_owned() })
    }

    fn serve(&self) -> Result<Running> {
        self.companion.start(&["serve"])
    }

    async fn wait(&self, what: &str, condition: impl Fn(&SimState) -> bool) -> Result<()> {
        let waited = self.simulator.wait_until(condition, DEADLINE).await;
        waited.with_context(|| format!("{what}; the program said:\n{}", self.companion.said()))
    }

    async fn published(&self) -> Result<()> {
        let days = self.book.resources() * (HORIZON_DAYS as usize + 1);
        self.wait("publishing everything", |state| state.published_days(PRACTICE) >= days).await
    }

    /// Somebody new books the first free time from tomorrow on.
    fn book_a_time(&self) -> Result<i64> {
        let (resource, start) = self.free_time().context("nothing is free")?;
        let patient = PatientDetails { lastname: self.last_name.clone(), ..PatientDetails::default() };
        Ok(self.simulator.book(PRACTICE, &resource, start, None, &patient)?)
    }

    fn free_time(&self) -> Option<(String, NaiveDateTime)> {
        let now = SystemClock.now();
        let today = ZONE.today(now);
        (1..=u64::from(HORIZON_DAYS)).find_map(|further| {
            let day = today + Days::new(further);
            (self.book.first_resource()..).take(self.book.resources()).find_map(|resource| {
                let resource = resource.to_string();
                let free = self.simulator.inspect(|state| state.free_times(PRACTICE, &resource, day, now));
                free.first().map(|time| (resource, time.start))
            })
        })
    }

    /// Returns when Healthengine has been asked once more.
    async fn polled(&self) -> Result<()> {
        let polls = |state: &SimState| state.requests(PRACTICE, POLL.0, POLL.1);
        let before = self.simulator.inspect(polls);
        self.wait("one more poll", |state| polls(state) > before).await
    }

    /// Returns as soon as the booking was handed over.
    async fn handed_over(&self, booking: i64) -> Result<()> {
        self.wait("handing the booking over", |state| {
            let Some(booking) = state.booking(booking) else { return false };
            let lists = state.exchanges().rev().filter(|exchange| exchange.path == LIST.1);
            lists.take(1).any(|exchange| exchange.at >= booking.created_at)
        })
        .await
    }

    async fn written(&self, booking: i64) -> Result<()> {
        let began = Instant::now();
        while self.book.appointments(booking).await?.is_empty() {
            ensure!(began.elapsed() < DEADLINE, "nothing was written: {}", self.companion.said());
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Returns when a fault has struck.
    async fn struck(&self, fault: u64) -> Result<()> {
        let struck = |state: &SimState| {
            state.faults().active().iter().any(|active| active.id == fault && active.struck > 0)
        };
        self.wait("the request that is to be cut", struck).await
    }

    /// Everything that must hold once all is over, with a process running.
    async fn ends_well(&self, mut serving: Running, booking: i64) -> Result<()> {
        // Where nothing was left to do, the new process may not even listen to signals yet.
        self.polled().await?;
        self.wait("the confirmation", |state| {
            !state.confirmations_of(booking).is_empty() && state.outstanding(PRACTICE).is_empty()
        })
        .await?;
        let began = Instant::now();
        let entry = loop {
            let listed = self.companion.run(&["bookings", "--json"], DEADLINE).await?;
            let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
            let entries = listed.as_array().context("bookings --json is no list")?;
            ensure!(entries.len() == 1, "the ledger: {listed}");
            if listed[0]["state"] == "confirmed" {
                break listed[0].clone();
            }
            ensure!(began.elapsed() < DEADLINE, "the ledger: {listed}");
        };
        let status = serving.terminate(STOP_WITHIN).await?;
        ensure!(status.code() == Some(0), "asked to end, it ended with {status}: {}", self.companion.said());

        let appointments = self.book.appointments(booking).await?;
        let patients = self.book.patients(&self.last_name).await?;
        let [(appointment, patient)] = appointments.as_slice() else {
            anyhow::bail!("the book holds {appointments:?}")
        };
        ensure!(patients == [patient.clone()], "the book knows {patients:?}, the appointment is {patient}'s");
        ensure!(
            entry["pms_appointment_ids"][0] == *appointment && entry["pms_patient_id"] == *patient,
            "{entry}"
        );
        let (confirmed, complaints) = self.simulator.inspect(|state| {
            let confirmed: Vec<_> =
                state.confirmations_of(booking).iter().map(|answer| answer.body.clone()).collect();
            let complaints: Vec<_> = state.not_understood().cloned().collect();
            (confirmed, complaints)
        });
        ensure!(confirmed.windows(2).all(|two| two[0] == two[1]), "confirmed differently: {confirmed:?}");
        let known = self.simulator.inspect(|state| state.booking(booking).cloned()).context("the booking")?;
        ensure!(known.answers.len() == confirmed.len(), "answered otherwise too: {:?}", known.answers);
        ensure!(known.pms_appointment_ids == [appointment.clone()], "{:?}", known.pms_appointment_ids);
        ensure!(known.pms_patient_id.as_ref() == Some(patient), "{:?}", known.pms_patient_id);
        ensure!(complaints.is_empty(), "the simulator did not understand {complaints:?}");
        Ok(())
    }
}

/// A booking whose program is killed at `moment` and started again.
async fn survives(scene: Scene, moment: Moment) -> Result<()> {
    let mut serving = scene.serve()?;
    if moment.is_at_the_start() {
        let fault = moment.fault().map(|fault| scene.simulator.add_fault(fault));
        scene.struck(fault.context("a fault")?).await?;
        serving.kill().await?;
        scene.simulator.clear_faults();
        serving = scene.serve()?;
    }
    scene.published().await?;
    let locked = if matches!(moment, Moment::WaitsForLock) { Some(scene.book.lock().await?) } else { None };
    let fault = moment.fault().filter(|_| !moment.is_at_the_start());
    let fault = fault.map(|fault| scene.simulator.add_fault(fault));
    let booking = scene.book_a_time()?;
    match moment {
        _ if moment.is_at_the_start() => return scene.ends_well(serving, booking).await,
        Moment::BeforeEffect(_) | Moment::BeforeAnswer(_) => scene.struck(fault.context("a fault")?).await?,
        Moment::AfterHandingOver(later) => {
            scene.handed_over(booking).await?;
            pause(later).await;
        }
        Moment::WaitsForLock => {
            scene.handed_over(booking).await?;
            pause(Duration::from_millis(500)).await;
        }
        Moment::Written | Moment::WrittenAndAgain => scene.written(booking).await?,
    }
    serving.kill().await?;
    scene.simulator.clear_faults();
    if let Some(lock) = locked {
        lock.release().await?;
    }
    if let Moment::WrittenAndAgain = moment {
        let fault = FaultRule::once(Fault::SlowAnswer { milliseconds: VERY_LONG }).on(POLL.0, POLL.1);
        let fault = scene.simulator.add_fault(fault);
        let mut again = scene.serve()?;
        scene.struck(fault).await?;
        again.kill().await?;
        scene.simulator.clear_faults();
    }
    scene.ends_well(scene.serve()?, booking).await
}

/// Runs them beside one another, and tells of all that went wrong.
async fn all_survive(moments: Vec<Moment>, scene: impl AsyncFn() -> Result<Scene>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for moment in moments {
        let place = places.clone().acquire_owned().await.unwrap();
        let scene = scene().await.unwrap();
        running.spawn(async move {
            let _place = place;
            survives(scene, moment).await.with_context(|| format!("killed at {moment:?}"))
        });
    }
    let ended = running.join_all().await;
    let failed: Vec<String> =
        ended.into_iter().filter_map(|end| end.err().map(|error| format!("{error:#}"))).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_each_request() {
    let requests = [RESOURCES, POLL, LIST, CONFIRM, FREE_TIMES];
    let moments = requests.into_iter().flat_map(|one| [Moment::BeforeEffect(one), Moment::BeforeAnswer(one)]);
    all_survive(moments.collect(), Scene::on_sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_files_decides_and_writes() {
    let later = [0, 2, 4, 7, 11, 16, 22, 30, 45, 70].map(Duration::from_millis);
    let mut moments: Vec<Moment> = later.into_iter().map(Moment::AfterHandingOver).collect();
    moments.extend([Moment::WaitsForLock, Moment::Written, Moment::WrittenAndAgain]);
    all_survive(moments, Scene::on_sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_the_same_with_openemr() {
    let server = Server::shared().unwrap();
    let mut moments: Vec<Moment> =
        [3, 9, 18, 40].map(Duration::from_millis).into_iter().map(Moment::AfterHandingOver).collect();
    moments.extend([
        Moment::BeforeAnswer(LIST),
        Moment::WaitsForLock,
        Moment::Written,
        Moment::BeforeEffect(CONFIRM),
        Moment::BeforeAnswer(CONFIRM),
    ]);
    all_survive(moments, async || Scene::on_mariadb(server.clone()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_in_the_middle_it_ends_in_time() {
    // One answer comes while it waits for it, the other never does.
    for (milliseconds, request) in [(3_000, CONFIRM), (VERY_LONG, CONFIRM), (VERY_LONG, FREE_TIMES)] {
        let scene = Scene::on_sqlite().await.unwrap();
        let mut serving = scene.serve().unwrap();
        scene.published().await.unwrap();
        let rule = FaultRule::once(Fault::SlowAnswer { milliseconds }).on(request.0, request.1);
        let fault = scene.simulator.add_fault(rule);
        let booking = scene.book_a_time().unwrap();
        scene.struck(fault).await.unwrap();
        let status = serving.terminate(STOP_WITHIN).await.unwrap();
        assert_eq!(status.code(), Some(0), "{request:?}: {}", scene.companion.said());
        scene.simulator.clear_faults();
        scene.ends_well(scene.serve().unwrap(), booking).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_on_the_same_folder_is_refused_in_words() {
    let scene = Scene::on_sqlite().await.unwrap();
    let serving = scene.serve().unwrap();
    scene.published().await.unwrap();
    let second = scene.companion.run(&["serve"], DEADLINE).await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("Another Clinic Companion is already running on this data folder"), "{said}");
    assert!(second.stdout.is_empty());
    // The first one goes on as if nothing had happened, and a third may follow when it has been killed.
    let booking = scene.book_a_time().unwrap();
    scene.ends_well(serving, booking).await.unwrap();
    let mut third = scene.serve().unwrap();
    scene.polled().await.unwrap();
    third.kill().await.unwrap();
    let mut fourth = scene.serve().unwrap();
    scene.polled().await.unwrap();
    assert_eq!(fourth.terminate(STOP_WITHIN).await.unwrap().code(), Some(0));
}
