//! A whole clinic: the real encrypted store, the real practice database engine on SQLite or MariaDB, the real
//! Healthengine client against its simulator over loopback, the real engine, and a clock moved by hand.

use crate::books::{AtProvet, Book, InBook, OpenEmr, System};
use crate::clock::HandClock;
use crate::mariadb::Server;
use crate::openemr::{BRANCH, Clinic, HOME, Size, Version};
use async_trait::async_trait;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use connectors::http::{Deadlines, Http};
use connectors::partners::healthengine::Healthengine;
use connectors::partners::healthengine::sim::{
    Consent, FreeTime, HealthengineSim, HealthengineSimConfig, PatientDetails, SimPractice, SimState,
};
use connectors::partners::hint::{self, Hint, HintAccount};
use connectors::partners::vald::Vald;
use connectors::partners::{self, Account, Linkable};
use connectors::practices;
use connectors::practices::openemr::sim::OpenEmrSim;
use domain::booking::{BookingKey, BookingState, Entry, Step};
use domain::ids::{ForeignBookingId, LocationRef, PartnerId, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{
    Activity, ActivityLine, BookingLedger, Leg, LegNote, Problem, ProblemKind, SettingsBook, StoreError,
    Vault, Watermarks,
};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{
    DocumentRoutes, HealthengineSettings, LiveDay, LiveHours, PracticeSettings, SecretKind, SecretName,
    SystemSettings, WriteMode,
};
use domain::time::{DayRange, MinuteOfDay, PracticeZone};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Store, StoreKey};
use sync::desk::Choice;
use sync::engine::{Connect, Connected, EngineHandle, Foundations};
use tempfile::TempDir;

/// Nothing here takes this long in real time, unless it never comes.
const DEADLINE: Duration = Duration::from_secs(30);

/// No condition takes longer than this to come true, in seconds of the clinic's time.
const PATIENCE: usize = 1200;

/// How a world is made.
pub struct Make {
    /// Practices, with books and accounts of their own: `p1`, `p2`, ….
    pub practices: usize,
    /// Who enters bookings.
    pub write: WriteMode,
    /// Today and this many days on.
    pub horizon_days: u32,
    /// How long requests may take, in real time.
    pub deadlines: Deadlines,
    /// Which practice system keeps the books.
    pub system: System,
    /// Whether `p1` and `p2` are two locations of one OpenEMR.
    pub one_book: bool,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            practices: 1,
            write: WriteMode::Sql,
            horizon_days: 4,
            deadlines: Deadlines::default(),
            system: System::Demo,
            one_book: false,
        }
    }
}

impl Make {
    /// The same with the books in this practice system.
    pub fn on(system: System) -> Self {
        Self { system, ..Self::default() }
    }
}

/// Connects practices as the app does, with the store's secrets.
pub struct Wiring {
    store: Arc<Store>,
    clock: HandClock,
    http: Http,
    profiles: PathBuf,
}

impl Wiring {
    /// The practice system of some settings.
    pub fn practice(&self, settings: &PracticeSettings) -> Result<Arc<dyn PracticeSystem>, Problem> {
        let clock = Arc::new(self.clock.clone());
        let secret = settings.system.provet.as_ref().map(|_| SecretString::from(AtProvet::SECRET));
        let other = |sentence: String| Problem { kind: ProblemKind::Other, sentence };
        let practice =
            practices::open(&settings.system, secret, None, settings.zone, &self.profiles, &self.http, clock)
                .map_err(|error| other(error.to_string()))?;
        let practice = match &settings.system.documents.api {
            None => practice,
            Some(api) => {
                let (secret, password) = (OpenEmrSim::CLIENT_SECRET.into(), OpenEmrSim::PASSWORD.into());
                practice
                    .with_document_api(api, Some(&secret), Some(&password), &self.http)
                    .map_err(|error| other(error.to_string()))?
            }
        };
        Ok(practice.system())
    }

    /// The Healthengine account of some settings.
    pub async fn partner(&self, settings: &PracticeSettings) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = &settings.healthengine else { return Ok(None) };
        let other = |sentence: String| Problem { kind: ProblemKind::Other, sentence };
        let mut keys = Vec::new();
        for kind in [SecretKind::HealthengineApiKey, SecretKind::HealthenginePracticeKey] {
            let secret = self.store.secret(&SecretName::of(&settings.id, kind)).await;
            keys.push(secret.map_err(|error| other(error.to_string()))?.unwrap_or_default());
        }
        let [api_key, practice_key] = keys.as_slice() else { return Ok(None) };
        Healthengine::new(account, settings.id.clone(), settings.zone, api_key, practice_key, &self.http)
            .map(|partner| Some(Arc::new(partner) as Arc<dyn Partner>))
            .map_err(|error| other(error.to_string()))
    }

    /// The VALD account of some settings.
    async fn vald(&self, settings: &PracticeSettings) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = &settings.vald else { return Ok(None) };
        let other = |sentence: String| Problem { kind: ProblemKind::Other, sentence };
        let mut secrets = Vec::new();
        for kind in [SecretKind::ValdClientId, SecretKind::ValdClientSecret] {
            let secret = self.store.secret(&SecretName::of(&settings.id, kind)).await;
            secrets.push(secret.map_err(|error| other(error.to_string()))?.unwrap_or_default());
        }
        let [id, secret] = secrets.as_slice() else { return Ok(None) };
        Vald::new(account, settings.id.clone(), id, secret, &self.http)
            .map(|partner| Some(Arc::new(partner) as Arc<dyn Partner>))
            .map_err(|error| other(error.to_string()))
    }

    /// An account that is drawn from its card.
    pub async fn account(
        &self,
        linkable: &Linkable,
        settings: &PracticeSettings,
    ) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = settings.accounts.get(&linkable.id()) else { return Ok(None) };
        let other = |sentence: String| Problem { kind: ProblemKind::Other, sentence };
        let mut secrets = BTreeMap::new();
        for field in linkable.card.secret_fields() {
            let kind = SecretKind::Account { partner: linkable.card.name, key: field.key };
            let secret = self.store.secret(&SecretName::of(&settings.id, kind)).await;
            secrets.insert(field.key, secret.map_err(|error| other(error.to_string()))?.unwrap_or_default());
        }
        let account =
            Account { practice: &settings.id, zone: settings.zone, settings: account, secrets: &secrets };
        if let (hint::NAME, Some(token)) = (linkable.card.name, secrets.get("access_token")) {
            // Its pace is real time, and the clinic's clock stands still while requests go out.
            let unpaced = HintAccount {
                between_requests: TimeDelta::zero(),
                ..HintAccount::at(account.text("base_url"))
            };
            let opened = Hint::new(&unpaced, settings.id.clone(), token, &self.http);
            return opened
                .map(|hint| Some(Arc::new(hint) as Arc<dyn Partner>))
                .map_err(|error| other(error.to_string()));
        }
        (linkable.open)(&account, &self.http).map(Some).map_err(|error| other(error.to_string()))
    }

    /// The address at which webhooks come in; none where the practice has no public address.
    async fn callback(
        &self,
        settings: &PracticeSettings,
        kind: SecretKind,
    ) -> Result<Option<SecretString>, Problem> {
        let Some(url) = settings.webhook_url(kind) else { return Ok(None) };
        let name = SecretName::of(&settings.id, kind);
        let path = self
            .store
            .secret(&name)
            .await
            .map_err(|error| Problem { kind: ProblemKind::Other, sentence: error.to_string() })?;
        Ok(path.map(|path| format!("{url}/{}", path.expose_secret()).into()))
    }
}

#[async_trait]
impl Connect for Wiring {
    async fn connect(&self, settings: &PracticeSettings) -> Result<Connected, (Leg, Problem)> {
        let practice = self.practice(settings).map_err(|problem| (Leg::System, problem))?;
        let partner = self.partner(settings).await.map_err(|problem| (Leg::Desk, problem))?;
        let callback = self
            .callback(settings, SecretKind::HealthengineWebhookPath)
            .await
            .map_err(|problem| (Leg::Desk, problem))?;
        let book_callback = self
            .callback(settings, SecretKind::SystemWebhookPath)
            .await
            .map_err(|problem| (Leg::System, problem))?;
        let vald = self.vald(settings).await.map_err(|problem| (Leg::Profiles, problem))?;
        let mut partners: Vec<Arc<dyn Partner>> = vald.into_iter().collect();
        for linkable in partners::LINKABLE {
            let account = self.account(linkable, settings).await;
            partners.extend(account.map_err(|problem| (Leg::Account(linkable.id()), problem))?);
        }
        Ok(Connected { practice, partner, partners, troubles: Vec::new(), callback, book_callback })
    }

    fn surroundings(&self) -> String {
        practices::own_profiles_stamp(&self.profiles)
    }

    async fn signature(&self, settings: &PracticeSettings) -> Result<String, StoreError> {
        let own = practices::own_profile_text(&settings.system.profile, &self.profiles);
        let mut text = format!("{settings:?}{own:?}");
        for kind in SecretKind::ALL.into_iter().chain(SecretKind::PATHS).chain(partners::secrets()) {
            let secret = self.store.secret(&SecretName::of(&settings.id, kind)).await?;
            text.push_str(secret.as_ref().map_or("", |secret| secret.expose_secret()));
        }
        Ok(text)
    }
}

/// A whole clinic. It has to be [finished](World::finish).
pub struct World {
    /// The time.
    pub clock: HandClock,
    /// Healthengine.
    pub sim: HealthengineSim,
    /// The records.
    pub store: Arc<Store>,
    /// Connects practices.
    pub wiring: Arc<Wiring>,
    /// The engine, while it runs.
    pub engine: Option<EngineHandle>,
    books: BTreeMap<String, Arc<Book>>,
    folder: TempDir,
    finished: AtomicBool,
}

/// Eleven o'clock on a Friday in Melbourne.
pub fn start() -> DateTime<Utc> {
    "2026-11-20T00:00:00Z".parse().expect("a time")
}

/// The practices' zone.
pub fn zone() -> PracticeZone {
    PracticeZone::parse("Australia/Melbourne").expect("a zone")
}

/// A practice's id on Healthengine.
pub fn account(practice: &str) -> String {
    format!("{practice}-at-healthengine")
}

fn sim_practice(practice: &str) -> SimPractice {
    SimPractice {
        name: format!("Practice {practice}"),
        practice_id: account(practice),
        practice_key: format!("{practice}-key"),
        api_key: "api-key".into(),
        time_zone: zone().0,
        consent: Consent::Granted,
    }
}

impl World {
    /// A clinic with its engine running, and everything published.
    pub async fn running() -> Self {
        Self::running_as(Make::default()).await
    }

    /// The same with the books in this practice system.
    pub async fn running_on(system: System) -> Self {
        Self::running_as(Make::on(system)).await
    }

    /// The same, made otherwise.
    pub async fn running_as(make: Make) -> Self {
        let practices = make.practices;
        let mut world = Self::new(make).await;
        world.start().await;
        for number in 1..=practices {
            world.all_published(&format!("p{number}")).await;
        }
        world
    }

    /// A clinic whose engine does not run yet.
    pub async fn new(make: Make) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = HandClock::at(start());
        let names: Vec<String> = (1..=make.practices).map(|n| format!("p{n}")).collect();
        let config = HealthengineSimConfig {
            port: 0,
            practices: names.iter().map(|name| sim_practice(name)).chain([sim_practice("other")]).collect(),
            state_file: None,
        };
        let sim_clock = clock.clone();
        let sim =
            HealthengineSim::start(config, Arc::new(move || sim_clock.now())).await.expect("a simulator");
        let opened =
            Store::open(&folder.path().join("data"), &StoreKey::new([7; 32]), start()).expect("a store");
        let store = Arc::new(opened.store);
        let wiring = Arc::new(Wiring {
            store: store.clone(),
            clock: clock.clone(),
            http: Http::with_deadlines(make.deadlines).with_clock(Arc::new(clock.clone())),
            profiles: folder.path().join("profiles"),
        });
        let mut world = Self {
            clock,
            sim,
            store,
            wiring,
            engine: None,
            books: BTreeMap::new(),
            folder,
            finished: AtomicBool::new(false),
        };
        for name in &names {
            let shared = world.books.get("p1").filter(|_| make.one_book).cloned();
            let book = match shared {
                Some(shared) => shared,
                None => Arc::new(world.new_book(name, make.system).await),
            };
            world.books.insert(name.clone(), book);
            let settings = world.settings(name, &make);
            world.keep_keys(name, name).await;
            world.store.save_practice(&settings).await.expect("saved");
        }
        world
    }

    async fn new_book(&self, practice: &str, system: System) -> Book {
        let today = zone().today(start());
        match system {
            System::Demo => {
                let file = self.book_file(practice);
                practices::demo::create(&file, today).expect("a book");
                Book::Demo(file)
            }
            System::OpenEmr => {
                let server = Server::shared().expect("a server");
                let monday = today - TimeDelta::days(i64::from(today.weekday().num_days_from_monday()));
                let clinic = Clinic::create(server.clone(), Version::Seven, Size::small(monday)).await;
                Book::OpenEmr(OpenEmr::connect(server, clinic.expect("a clinic").database))
            }
            System::Provet => {
                let clock = self.clock.clone();
                Book::Provet(Box::new(AtProvet::start(Arc::new(move || clock.now()), today).await))
            }
        }
    }

    fn settings(&self, practice: &str, make: &Make) -> PracticeSettings {
        let all_day = DayRange { start: MinuteOfDay::START, end: MinuteOfDay::END };
        PracticeSettings {
            id: PracticeId::new(practice),
            name: format!("Practice {practice}"),
            zone: zone(),
            enabled: true,
            system: SystemSettings {
                profile: self.staff_of(practice).profile().into(),
                url: self.staff_of(practice).url(),
                write: match (make.write, self.staff_of(practice)) {
                    (WriteMode::Sql, Book::Provet(_)) => WriteMode::Api,
                    (write, _) => write,
                },
                locations: make.one_book.then(|| {
                    let location = if practice == "p1" { HOME } else { BRANCH };
                    vec![LocationRef::new(location.to_string())]
                }),
                poll_seconds: 5,
                documents: DocumentRoutes::default(),
                provet: self.staff_of(practice).provet_account(),
            },
            healthengine: Some(HealthengineSettings {
                base_url: self.sim.base_url(),
                practice_id: account(practice),
                user_agent_email: "desk@example.com".into(),
                environment: "DEV".into(),
                horizon_days: make.horizon_days,
                poll_seconds: 5,
                features: Vec::new(),
                webhook_url: None,
                live_hours: LiveHours { weekdays: LiveDay::ALL.map(|day| (day, vec![all_day])).into() },
            }),
            vald: None,
            accounts: BTreeMap::new(),
        }
    }

    /// Puts the keys of `account` into the vault of `practice`.
    pub async fn keep_keys(&self, practice: &str, account: &str) {
        for (kind, key) in [
            (SecretKind::HealthengineApiKey, "api-key".to_owned()),
            (SecretKind::HealthenginePracticeKey, format!("{account}-key")),
        ] {
            let name = SecretName::of(&PracticeId::new(practice), kind);
            self.store.keep_secret(&name, SecretString::from(key)).await.expect("kept");
        }
    }

    /// Changes the settings of a practice, as the settings screen does.
    pub async fn change_settings(&self, practice: &str, change: impl FnOnce(&mut PracticeSettings)) {
        let mut settings = self.stored_settings(practice).await;
        change(&mut settings);
        self.store.save_practice(&settings).await.expect("saved");
    }

    /// The settings of a practice.
    pub async fn stored_settings(&self, practice: &str) -> PracticeSettings {
        let all = self.store.practices().await.expect("settings");
        all.into_iter().find(|settings| settings.id.as_str() == practice).expect("a practice")
    }

    /// The book of `p1`, as staff use it.
    pub fn staff(&self) -> &Book {
        self.staff_of("p1")
    }

    /// The same for another practice.
    pub fn staff_of(&self, practice: &str) -> &Book {
        self.books.get(practice).expect("a book")
    }

    /// Where the demo clinic's book of a practice lies.
    pub fn book_file(&self, practice: &str) -> PathBuf {
        self.folder.path().join(format!("{practice}.db"))
    }

    /// The folder in which everything lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the engine.
    pub async fn start(&mut self) {
        self.engine = Some(sync::engine::start(Foundations {
            store: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
            connect: self.wiring.clone(),
        }));
        self.quiet().await;
    }

    /// Stops the engine, if it runs.
    pub async fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            tokio::time::timeout(DEADLINE, engine.stop()).await.expect("the engine stops");
        }
    }

    /// Returns when the engine waits for the clock and nothing is under way.
    pub async fn quiet(&self) {
        let engine = self.engine.as_ref().expect("a running engine");
        let mut running = engine.passes_under_way();
        let settled = async {
            loop {
                self.clock.asleep().await;
                let _ = running.wait_for(|running| *running == 0).await;
                if self.clock.is_asleep() {
                    return;
                }
            }
        };
        tokio::time::timeout(DEADLINE, settled).await.expect("the engine comes to rest");
    }

    /// Lets `seconds` pass, one by one.
    pub async fn pass(&self, seconds: usize) {
        for _ in 0..seconds {
            self.clock.move_by(TimeDelta::seconds(1));
            self.quiet().await;
        }
    }

    /// Lets time pass until `condition` holds at Healthengine. Returns how many seconds that took.
    pub async fn until(&self, what: &str, condition: impl Fn(&SimState) -> bool) -> usize {
        for second in 0..PATIENCE {
            if self.sim.inspect(&condition) {
                return second;
            }
            self.pass(1).await;
        }
        let exchanges: Vec<String> = self.sim.inspect(|state| {
            state
                .exchanges()
                .rev()
                .take(12)
                .map(|e| format!("{} {} {:?}", e.method, e.path, e.status))
                .collect()
        });
        panic!("{what}: not within {PATIENCE} s; the last requests: {exchanges:?}");
    }

    /// Lets time pass until every one of these times is offered to patients, or none.
    pub async fn until_offered(&self, places: &[(String, NaiveDateTime)], offered: bool) {
        for _ in 0..PATIENCE {
            if places.iter().all(|place| self.is_offered(place) == offered) {
                return;
            }
            self.pass(1).await;
        }
        panic!("{places:?} should be offered: {offered}");
    }

    /// Lets time pass until the ledger's entry is as wanted. Returns how many seconds that took.
    pub async fn until_state(
        &self,
        booking: i64,
        what: &str,
        wanted: impl Fn(&BookingState) -> bool,
    ) -> usize {
        for second in 0..PATIENCE {
            if self.entry(booking).await.is_some_and(|entry| wanted(&entry.state)) {
                return second;
            }
            self.pass(1).await;
        }
        let state = self.entry(booking).await.map(|entry| entry.state);
        panic!("{what}: not within {PATIENCE} s, but {state:?}");
    }

    /// Lets time pass until the partner has what the book has.
    pub async fn all_published(&self, practice: &str) {
        let settings = self.stored_settings(practice).await;
        let days = settings.healthengine.expect("an account").horizon_days as usize + 1;
        let account = account(practice);
        self.until("everything is published", |state| {
            let resources = state.resources(&account).map_or(0, <[_]>::len);
            resources > 0 && state.published_days(&account) == resources * days
        })
        .await;
    }

    /// The name of a booking in the ledger of `p1`.
    pub fn key(booking: i64) -> BookingKey {
        Self::key_at("p1", booking)
    }

    /// The name of a booking in the ledger of a practice.
    pub fn key_at(practice: &str, booking: i64) -> BookingKey {
        BookingKey {
            practice: PracticeId::new(practice),
            partner: PartnerId::new("healthengine"),
            booking: ForeignBookingId::new(booking.to_string()),
        }
    }

    /// The ledger's entry.
    pub async fn entry(&self, booking: i64) -> Option<Entry> {
        self.store.entry(&Self::key(booking)).await.expect("the ledger")
    }

    /// What somebody at the desk decides; the engine is told.
    pub async fn decide(&self, booking: i64, choice: Choice) {
        let now = self.clock.now();
        sync::desk::decide(self.store.as_ref(), &Self::key(booking), &choice, now).await.expect("decided");
        if let Some(engine) = &self.engine {
            engine.nudge(Some(PracticeId::new("p1")));
        }
    }

    /// The last note of a leg of `p1`.
    pub async fn note(&self, leg: Leg) -> Option<LegNote> {
        let notes = self.store.notes(&PracticeId::new("p1")).await.expect("notes");
        notes.into_iter().find(|(of, _)| *of == leg).map(|(_, note)| note)
    }

    /// What was told at the desk of `p1`.
    pub async fn told(&self) -> Vec<ActivityLine> {
        self.store.told(&PracticeId::new("p1"), start() - TimeDelta::days(1)).await.expect("activity")
    }

    /// Uses the demo clinic's book of `p1` with another SQLite tool.
    pub fn book<T>(&self, use_it: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> T {
        self.book_of("p1", use_it)
    }

    /// The same for another practice.
    pub fn book_of<T>(
        &self,
        practice: &str,
        use_it: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> T {
        let connection = rusqlite::Connection::open(self.book_file(practice)).expect("the book");
        connection.busy_timeout(Duration::from_secs(5)).expect("patience");
        use_it(&connection).expect("the book")
    }

    /// Every appointment that carries the mark of a booking, in the book of `p1`.
    pub fn in_book(&self, booking: i64) -> Vec<InBook> {
        self.in_book_of("p1", booking)
    }

    /// The same for another practice.
    pub fn in_book_of(&self, practice: &str, booking: i64) -> Vec<InBook> {
        self.staff_of(practice).marked(booking)
    }

    /// How many patients the book of `p1` has.
    pub fn patients(&self) -> i64 {
        self.staff().patients()
    }

    /// A patient of the book, as they would fill in the form. Only one record has these names.
    pub fn known_patient(&self) -> (i64, PatientDetails) {
        self.known_patients().into_iter().next().expect("somebody with names of their own")
    }

    /// The patients who are sure to be recognised, and the numbers of their records.
    pub fn known_patients(&self) -> Vec<(i64, PatientDetails)> {
        self.staff().known_patients()
    }

    /// Somebody with the names and the birth date of a known patient, and nothing else of theirs.
    pub fn unclear_patient(&self) -> (i64, PatientDetails) {
        let (number, known) = self.known_patient();
        let known = PatientDetails { email: "somebody.else@example.com".into(), ..known };
        // Where no birth dates are kept, a name alone means nobody.
        let phone = match self.staff() {
            Book::Provet(_) => known.phone.clone(),
            Book::Demo(_) | Book::OpenEmr(_) => "0491 570 110".to_owned(),
        };
        (number, PatientDetails { phone, ..known })
    }

    /// The free times that a patient sees on a day.
    pub fn free(&self, practice: &str, resource: &str, day: NaiveDate) -> Vec<FreeTime> {
        let now = self.clock.now();
        self.sim.inspect(|state| state.free_times(&account(practice), resource, day, now))
    }

    /// The ids of the resources that Healthengine has, in their order.
    pub fn resources(&self, practice: &str) -> Vec<String> {
        let id = |resource: &serde_json::Value| resource.get("pmsResourceId")?.as_str().map(str::to_owned);
        self.sim.inspect(|state| {
            state.resources(&account(practice)).unwrap_or_default().iter().filter_map(id).collect()
        })
    }

    /// The first free time from tomorrow on, with whomever.
    pub fn next_free(&self, practice: &str) -> (String, NaiveDateTime) {
        let today = zone().today(self.clock.now());
        let resources = self.resources(practice);
        let free = today.iter_days().skip(1).take(20).find_map(|day| {
            resources.iter().find_map(|resource| {
                self.free(practice, resource, day).first().map(|free| (resource.clone(), free.start))
            })
        });
        free.expect("a free time")
    }

    /// A patient books the next free time at `p1`. Returns the number of the booking.
    pub fn book_next(&self, patient: &PatientDetails) -> i64 {
        self.book_next_at("p1", patient)
    }

    /// The same at another practice.
    pub fn book_next_at(&self, practice: &str, patient: &PatientDetails) -> i64 {
        self.book_at(practice, &self.next_free(practice), patient)
    }

    /// A patient books this time for a standard consultation. Returns the number of the booking.
    pub fn book_at(
        &self,
        practice: &str,
        (resource, starts): &(String, NaiveDateTime),
        patient: &PatientDetails,
    ) -> i64 {
        let kind = self.staff_of(practice).standard_type();
        self.sim.book(&account(practice), resource, *starts, Some(&kind), patient).expect("booked")
    }

    /// The place that a booking took at Healthengine.
    pub fn place(&self, booking: i64) -> (String, NaiveDateTime) {
        self.sim.inspect(|state| {
            let place = state.booking(booking).and_then(|booking| booking.place.clone()).expect("a place");
            (place.resource_id, place.start)
        })
    }

    /// Whether a patient could book this time now.
    pub fn is_offered(&self, (resource, starts): &(String, NaiveDateTime)) -> bool {
        self.free("p1", resource, starts.date()).iter().any(|free| free.start == *starts)
    }

    /// Whether the last snapshot of the day has this time. Healthengine may hide it all the same.
    pub fn is_published(&self, (resource, starts): &(String, NaiveDateTime)) -> bool {
        self.sim.inspect(|state| {
            let published = state.published(&account("p1"), resource, starts.date());
            published.is_some_and(|day| {
                day.ranges.iter().any(|range| (range.start..range.end).contains(&starts.time()))
            })
        })
    }

    /// Enters an appointment as staff do.
    pub fn enter(&self, place: &(String, NaiveDateTime), patient: i64) {
        self.staff().enter(place, patient);
    }

    /// Asserts that a booking stands exactly once, for whom it should, and that Healthengine knows it.
    pub fn stands_once(&self, booking: i64) -> InBook {
        self.stands_once_at("p1", booking)
    }

    /// The same for another practice.
    pub fn stands_once_at(&self, practice: &str, booking: i64) -> InBook {
        let there = self.in_book_of(practice, booking);
        let [stands] = there.as_slice() else { panic!("booking {booking} is in the book as {there:?}") };
        assert_eq!(stands.status, "booked");
        let told = self.sim.inspect(|state| {
            let known = state.booking(booking).expect("a booking");
            (known.pms_appointment_ids.clone(), known.pms_patient_id.clone())
        });
        assert_eq!(told, (vec![stands.id.to_string()], stands.patient.map(|patient| patient.to_string())));
        stands.clone()
    }

    /// Ends the world, and asserts that it leaves nothing behind: no unfinished booking, no request that Healthengine
    /// did not understand, nothing that it still waits for.
    pub async fn finish(self) {
        self.finish_with(0).await;
    }

    /// The same, but for so many bookings that wait for a person.
    pub async fn finish_with(mut self, expected: usize) {
        self.stop().await;
        self.finished.store(true, Ordering::SeqCst);
        let newest = self.store.newest(None, 10_000).await.expect("the ledger");
        let unfinished: Vec<String> = newest
            .iter()
            .filter(|entry| entry.state.step() != Step::Nothing)
            .map(|entry| format!("{} {:?}", entry.request.key.booking, entry.state))
            .collect();
        assert_eq!(unfinished.len(), expected, "unfinished: {unfinished:?}");
        let refusals: Vec<String> = self.sim.inspect(|state| {
            state.not_understood().map(|r| format!("{} {}: {}", r.method, r.path, r.reason)).collect()
        });
        assert!(refusals.is_empty(), "not understood: {refusals:?}");
        for book in self.books.values() {
            if let Book::Provet(provet) = book.as_ref() {
                let mistakes: Vec<String> = provet
                    .sim
                    .inspect(|state| state.mistakes().map(|mistake| format!("{mistake:?}")).collect());
                assert!(mistakes.is_empty(), "not understood by Provet: {mistakes:?}");
                assert_eq!(provet.sim.inspect(|state| state.throttled()), 0, "asked too often");
            }
        }
        if expected == 0 {
            let accounts: Vec<String> =
                self.sim.inspect(|state| state.practice_ids().map(str::to_owned).collect());
            for account in accounts {
                let waiting = self.sim.inspect(|state| state.outstanding(&account));
                assert!(waiting.is_empty(), "{account} still waits for {waiting:?}");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let looked_at = self.finished.load(Ordering::SeqCst) || std::thread::panicking();
        assert!(looked_at, "a world has to be finished, so that it is looked at for what it leaves behind");
    }
}
