//! The engine behind every practice system that is reached by SQL. What differs between systems stands in a profile.

mod book;
mod client_snapshot;
mod consents;
mod database;
pub(super) mod day;
mod documents;
mod documents_api;
mod failure;
mod fingerprint;
mod invoices;
mod patients;
mod place;
pub mod profile;
mod recurrence;
mod session;
mod statement;
#[cfg(test)]
mod tests;
mod value;
mod watch;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{AppointmentOrder, BookingKey, Held, Standing, Watched};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked};
use domain::consent::in_practice::{Answer, Mapping};
use domain::diary::{Appointment, Book, PracticeCard, Resource, VideoVisit, Writable};
use domain::failure::{ReadError, WriteError};
use domain::ids::{AppointmentRef, LocationRef, PartnerId, PatientRef, ResourceRef};
use domain::people::{PatientPlan, PatientRecord, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::documents::{DocumentInbox, DocumentSource};
use domain::ports::practice::{Candidates, PracticeSystem};
use domain::ports::records::InvoiceBook;
use domain::private::{Private, SecretString};
use domain::settings::{DocumentRoutes, WriteMode};
use domain::time::{Horizon, PracticeZone};

use super::folders::FolderSource;
pub use database::LinkError;
// What is worked out from rows is the same for a system that is reached over REST.
pub(super) use book::{make_names_unique, types_of};
use database::{Database, Lease};
use day::Rules;
pub use documents_api::DocumentApiError;
use failure::{Failure, SqlError};
pub(super) use patients::{lines, one_line};
use profile::{Profile, WriteSteps, version_numbers};
use session::{Known, Mode, Session};
use statement::Statement;
use value::{Parameters, Rows, Value};
pub(super) use watch::is_known_again;
pub(super) use write::{choose_type, duplicate_sentence, mark_of, note, room, stretches};

/// How long what was found out about a database is trusted while only reading. An upgrade of the practice system
/// takes longer than that; before each write it is looked at again anyway.
const TRUST_FOR: TimeDelta = TimeDelta::seconds(60);
/// How long a reading may take before we stop waiting. Longer than the server's own limit for one statement.
const READ_LIMIT: Duration = Duration::from_secs(40);
/// How long looks besides the booking itself may take: for a double booking, for a video link. Others wait behind them.
const ASIDE_LIMIT: Duration = Duration::from_secs(3);
/// How far ahead the card looks for the next appointment.
const CARD_DAYS: u32 = 60;
/// The settle time that is told for a profile that cannot write.
const NOTHING_TO_SETTLE: u32 = 1;

/// A practice system reached by SQL, as its profile says.
#[derive(Clone)]
pub struct SqlPractice {
    profile: Profile,
    database: Arc<Database>,
    zone: PracticeZone,
    write: WriteMode,
    locations: Option<Vec<LocationRef>>,
    clock: Arc<dyn Clock>,
    inbox: Option<Arc<dyn DocumentInbox>>,
    source: Option<FolderSource>,
}

impl SqlPractice {
    /// Reads the address; connects to nothing before something is asked.
    pub fn link(
        profile: Profile,
        url: &str,
        password: Option<SecretString>,
        zone: PracticeZone,
        write: WriteMode,
        locations: Option<Vec<LocationRef>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LinkError> {
        let refused = |asked| {
            let offered = if profile.write.is_some() { "`none` or `sql`" } else { "`none`" };
            LinkError::WriteNotOffered { profile: profile.name.clone(), asked, offered }
        };
        match write {
            WriteMode::None => {}
            WriteMode::Sql if profile.write.is_some() => {}
            WriteMode::Sql => return Err(refused("by SQL")),
            WriteMode::Api => return Err(refused("through an API")),
        }
        let database = Database::new(&profile, url, password.as_ref(), write == WriteMode::Sql)?;
        let database = Arc::new(database);
        let linked = Self { profile, database, zone, write, locations, clock, inbox: None, source: None };
        Ok(linked.with_document_folders(&DocumentRoutes::default()))
    }

    /// The profile that it follows.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Tries every statement of the profile and changes nothing: queries are run with made-up values, and what
    /// writes is only checked by the server. Returns each one's name, its number of rows, and how long it took.
    pub async fn try_queries(&self) -> Vec<(String, Result<usize, String>, Duration)> {
        let began = Instant::now();
        let mut tried = Vec::new();
        let leased = self.lease(Mode::Read).await;
        let connected = leased.as_ref().map(|_| 0).map_err(words);
        tried.push(("connect".to_owned(), connected, began.elapsed()));
        let Ok(mut lease) = leased else { return tried };
        let session = &mut lease.session;
        let began = Instant::now();
        let known = self.find_out(session).await;
        tried.push(("fingerprint".to_owned(), known.as_ref().map(|_| 0).map_err(words), began.elapsed()));
        let Ok(known) = known else { return tried };
        let mut values = known.probes;
        let today = self.zone.today(self.clock.now());
        for name in ["from", "to", "day", "birth_date", "birth_date_swapped"] {
            values.set(name, Value::day(today));
        }
        for name in ["patient", "appointment", "resource", "after", "limit"] {
            values.set(name, Value::Text("0".into()));
        }
        for name in [
            "first_name",
            "last_name",
            "email",
            "medicare_card",
            "phone_pattern",
            "mark",
            "held_title",
            "name",
            "category",
        ] {
            values.set(name, Value::Text("Clinic Companion asks for nobody".into()));
        }
        for statement in self.profile.reading() {
            let began = Instant::now();
            let result = session.query(statement, &values).await;
            let result = result.map(|rows| rows.rows.len()).map_err(|error| self.said(statement, error));
            tried.push((statement.name.clone(), result, began.elapsed()));
        }
        if self.write == WriteMode::Sql {
            for statement in self.profile.write.iter().flat_map(WriteSteps::all) {
                let began = Instant::now();
                let result = session.prepare(statement).await;
                let result = result.map(|()| 0).map_err(|error| self.said(statement, error));
                tried.push((statement.name.clone(), result, began.elapsed()));
            }
        }
        self.database.give_back(lease);
        tried
    }

    fn said(&self, statement: &Statement, error: SqlError) -> String {
        words(&Failure::in_statement(statement, error))
    }

    async fn lease(&self, mode: Mode) -> Result<Lease<'_>, Failure> {
        self.database.lease(&self.profile, self.zone, self.clock.now(), mode).await
    }

    /// Compares the schema with the profile, and asks for its version and the profile's probes.
    async fn find_out(&self, session: &mut Session) -> Result<Known, Failure> {
        fingerprint::check(session, &self.profile).await?;
        let rows = run(session, &self.profile.version, &Parameters::default()).await?;
        let version = rows.rows.first().and_then(|row| Rows::text(row, rows.optional("version")));
        let version = version.ok_or_else(|| Failure::Misfit("it does not say which version it is".into()))?;
        let mut probes = Parameters::default();
        for probe in &self.profile.probes {
            let rows = run(session, &probe.query, &Parameters::default()).await?;
            let column = rows.required("value")?;
            let value = match rows.rows.first() {
                Some(row) => Value::optional_text(Rows::text(row, column).as_deref()),
                None => Value::optional_text(probe.default.as_deref()),
            };
            probes.set(probe.name.as_str(), value);
        }
        let held_title = self.profile.write.as_ref().map(|write| write.held_title.as_str());
        probes.set("held_title", Value::optional_text(held_title));
        let (numbers, (from, to)) = (version_numbers(&version), &self.profile.versions);
        let version_supported = numbers.as_slice() >= from.as_slice()
            && (numbers.starts_with(to) || numbers.as_slice() <= to.as_slice());
        let known = Known { at: self.clock.now(), probes, version, version_supported };
        session.known = Some(known.clone());
        Ok(known)
    }

    /// What is known about the database, found out again where that was long ago.
    async fn known(&self, session: &mut Session) -> Result<Known, Failure> {
        let now = self.clock.now();
        match &session.known {
            Some(known) if known.at <= now && now - known.at < TRUST_FOR => Ok(known.clone()),
            Some(_) | None => self.find_out(session).await,
        }
    }

    /// Reads in one consistent view.
    async fn reading<T>(
        &self,
        work: impl AsyncFnOnce(&mut Session, &Known) -> Result<T, Failure>,
    ) -> Result<T, ReadError> {
        let all = async {
            let mut lease = self.lease(Mode::Read).await?;
            let known = self.known(&mut lease.session).await?;
            let session = &mut lease.session;
            session.begin(Mode::Read).await.map_err(|error| Failure::of("begin", error))?;
            let read = work(session, &known).await;
            let ended = session.commit().await;
            if ended.is_ok() {
                self.database.give_back(lease);
            }
            read
        };
        match tokio::time::timeout(READ_LIMIT, all).await {
            Ok(result) => result.map_err(ReadError::from),
            Err(_) => Err(ReadError::Unreachable("the practice database took too long to answer".into())),
        }
    }

    fn rules(&self, known: &Known) -> Rules {
        let number = |name: &str, otherwise: i64| match known.probes.get(name).as_number() {
            Value::Integer(number) => number,
            Value::Null | Value::Real(_) | Value::Text(_) => otherwise,
        };
        let weekend = match known.probes.get("weekend_days") {
            Value::Text(days) => days.split(',').filter_map(|day| day.trim().parse().ok()).collect(),
            Value::Null | Value::Integer(_) | Value::Real(_) => vec![6, 0],
        };
        let slot = u32::try_from(number("slot_minutes", 15)).ok().filter(|slot| (1..=240).contains(slot));
        Rules {
            availability: self.profile.availability,
            trust_duration: self.profile.trust_duration,
            free_cancelled: self.profile.free_cancelled,
            slot: slot.unwrap_or(15),
            day_end: number("day_end_minute", 1440).clamp(0, 1440) * 60,
            weekend,
            locations: self.locations.clone(),
            zone: self.zone,
        }
    }

    /// Whether lines can be added to the notes of appointments ([`PracticeSystem::add_to_note`]), asked without writing
    /// anything. Apart from [`PracticeCard::writable`], because bookings do not need it.
    ///
    /// # Errors
    /// When the practice database cannot be asked.
    pub async fn notes_writable(&self) -> Result<Writable, ReadError> {
        let write = self.profile.write.as_ref();
        match write.and_then(|write| write.append_to_note.as_ref()) {
            Some(statement) => self.ask_rights(&[statement]).await,
            None => Ok(Writable::ProfileReadsOnly),
        }
    }

    /// Whether these statements can be run. Asked outside the transaction for reading, in which the server would refuse
    /// every statement that writes.
    async fn ask_rights(&self, statements: &[&Statement]) -> Result<Writable, ReadError> {
        let asking = async {
            let mut lease = self.lease(Mode::Read).await?;
            let known = self.known(&mut lease.session).await?;
            let writable = self.writable(&mut lease.session, &known, statements).await?;
            self.database.give_back(lease);
            Ok::<_, Failure>(writable)
        };
        let slow = |_| ReadError::Unreachable("the practice database took too long to answer".into());
        Ok(tokio::time::timeout(READ_LIMIT, asking).await.map_err(slow)??)
    }

    /// Whether these statements can be run, asked of the server without running them.
    async fn writable(
        &self,
        session: &mut Session,
        known: &Known,
        statements: &[&Statement],
    ) -> Result<Writable, Failure> {
        if self.profile.write.is_none() {
            return Ok(Writable::ProfileReadsOnly);
        }
        if self.write != WriteMode::Sql {
            return Ok(Writable::SwitchedOff);
        }
        if !known.version_supported {
            return Ok(Writable::VersionNotTried(format!("{} {}", self.profile.title, known.version)));
        }
        if session.is_read_only().await.map_err(|error| Failure::of("read_only", error))? {
            return Ok(Writable::DatabaseReadOnly);
        }
        let mut missing: Vec<String> = Vec::new();
        for statement in statements {
            match session.prepare(statement).await {
                Ok(()) => {}
                Err(SqlError::RightMissing { right }) if missing.contains(&right) => {}
                Err(SqlError::RightMissing { right }) => missing.push(right),
                Err(error) => return Err(Failure::in_statement(statement, error)),
            }
        }
        if missing.is_empty() {
            return Ok(Writable::Yes);
        }
        // A profile without statements of its own still says what is lacking.
        let grants = &self.profile.grants_for_writing;
        Ok(Writable::RightsMissing(if grants.is_empty() { missing } else { grants.clone() }.join("\n")))
    }

    async fn card(&self, session: &mut Session, known: &Known) -> Result<PracticeCard, Failure> {
        let now = self.zone.wall_clock(self.clock.now());
        let engine = session.engine_version().await.map_err(|error| Failure::of("version", error))?;
        let book = self.read_book(session, known, Horizon::from_day(now.day(), CARD_DAYS)).await?;
        let rows = run(session, &self.profile.query.patient_count, &known.probes).await?;
        let column = rows.required("patients")?;
        let patients = match rows.rows.first() {
            Some(row) => rows.integer_needed(row, column)?,
            None => 0,
        };
        let next = book.appointments.iter().find(|appointment| {
            appointment.starts >= now && appointment.status != domain::diary::AppointmentStatus::Cancelled
        });
        let named = |next: &Appointment| {
            let resource = book.resources.iter().find(|resource| resource.id == next.resource);
            (next.starts, resource.map(Resource::titled_name).unwrap_or_default())
        };
        Ok(PracticeCard {
            system: format!("{} {} on {engine}", self.profile.title, known.version),
            resources: book.resources.len(),
            locations: book.locations.len(),
            patients: u64::try_from(patients).unwrap_or_default(),
            next_appointment: next.map(named),
            writable: Writable::SwitchedOff,
            settle_seconds: self
                .profile
                .write
                .as_ref()
                .map_or(NOTHING_TO_SETTLE, |write| write.settle_seconds),
        })
    }
}

/// A failure with what lies beneath it, for the person who mends the profile.
fn words(failure: &Failure) -> String {
    match failure {
        Failure::Sql { error: SqlError::Unreachable(cause), .. } => format!("no answer: {cause}"),
        Failure::Sql { error, .. } => error.to_string(),
        Failure::Misread(misread) => misread.to_string(),
        Failure::Misfit(differs) => differs.clone(),
        Failure::OwnProfile { .. } => failure.to_string(),
    }
}

/// Runs a query; its failure knows which one it was.
async fn run(session: &mut Session, statement: &Statement, values: &Parameters) -> Result<Rows, Failure> {
    session.query(statement, values).await.map_err(|error| Failure::in_statement(statement, error))
}

/// Runs a statement that changes something, likewise.
async fn change(session: &mut Session, statement: &Statement, values: &Parameters) -> Result<u64, Failure> {
    session.execute(statement, values).await.map_err(|error| Failure::in_statement(statement, error))
}

/// A moment as the profile's SQL takes it, on the practice's wall clock.
fn moment(at: DateTime<Utc>, zone: PracticeZone) -> Value {
    Value::Text(zone.wall_clock(at).0.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[async_trait]
impl PracticeSystem for SqlPractice {
    async fn check(&self) -> Result<PracticeCard, ReadError> {
        let card = self.reading(async |session, _| {
            // Asked anew, because this is what a person waits for after an upgrade or a change of rights.
            let known = self.find_out(session).await?;
            self.card(session, &known).await
        });
        let card = card.await?;
        let needed = self.profile.write.as_ref().map(|write| write.all()).unwrap_or_default();
        let writable = self.ask_rights(&needed).await?;
        Ok(PracticeCard { writable, ..card })
    }

    async fn stamp(&self, horizon: Horizon) -> Result<String, ReadError> {
        self.reading(async |session, known| self.read_stamp(session, known, horizon).await).await
    }

    async fn book(&self, horizon: Horizon) -> Result<Book, ReadError> {
        self.reading(async |session, known| self.read_book(session, known, horizon).await).await
    }

    async fn find_patients(&self, person: &PersonDetails) -> Result<Candidates, ReadError> {
        self.reading(async |session, known| self.read_patients(session, known, person).await).await
    }

    async fn people_stamp(&self) -> Result<Option<String>, ReadError> {
        self.reading(async |session, known| self.read_people_stamp(session, known).await).await
    }

    async fn people(&self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<PatientRecord>, ReadError> {
        self.reading(async |session, known| self.read_people(session, known, after, limit).await).await
    }

    async fn patients(&self, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError> {
        self.reading(async |session, known| self.read_some_patients(session, known, patients).await).await
    }

    async fn patient(&self, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError> {
        self.reading(async |session, known| self.read_patient(session, known, patient).await).await
    }

    fn consents_held(&self) -> Vec<Mapping> {
        self.mappings()
    }

    fn invoice_book(&self) -> Option<&dyn InvoiceBook> {
        self.profile.query.invoices.as_ref().map(|_| self as &dyn InvoiceBook)
    }

    async fn consents_stamp(&self, partner: &PartnerId) -> Result<Option<String>, ReadError> {
        self.reading(async |session, known| self.read_consents_stamp(session, known, partner).await).await
    }

    async fn consents(
        &self,
        partner: &PartnerId,
        after: Option<&PatientRef>,
        limit: u32,
    ) -> Result<Vec<Answer>, ReadError> {
        self.reading(async |session, known| self.read_consents(session, known, partner, after, limit).await)
            .await
    }

    async fn appointments_with_patients(
        &self,
        resource: &ResourceRef,
        day: chrono::NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, ReadError> {
        self.reading(async |session, known| self.read_day_with_patients(session, known, resource, day).await)
            .await
    }

    async fn insert(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        self.insert_appointment(order).await
    }

    async fn overlapped(
        &self,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, ReadError> {
        let look =
            self.reading(async |session, known| self.read_overlap(session, known, order, appointment).await);
        match tokio::time::timeout(ASIDE_LIMIT, look).await {
            Ok(result) => result,
            Err(_) => Err(ReadError::Unreachable("the practice database took too long to answer".into())),
        }
    }

    async fn find(&self, key: &BookingKey) -> Result<Option<Held>, ReadError> {
        self.reading(async |session, known| {
            Ok(self.find_marked(session, known, key).await?.map(|standing| standing.held()))
        })
        .await
    }

    async fn standings(&self, watched: &[Watched]) -> Result<Vec<Standing>, ReadError> {
        if watched.is_empty() {
            return Ok(Vec::new());
        }
        self.reading(async |session, known| self.read_standings(session, known, watched).await).await
    }

    async fn name_patient(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        self.name_held_appointment(appointment, key, plan, instead_of, details).await
    }

    async fn video_visit(&self, appointment: &AppointmentRef) -> Result<Option<VideoVisit>, ReadError> {
        let Some(statement) = &self.profile.query.video_visit else { return Ok(None) };
        let look = self.reading(async |session, known| {
            let values = known.probes.clone().with("appointment", Value::Text(appointment.to_string()));
            let rows = run(session, statement, &values).await?;
            let Some(row) = rows.rows.first() else { return Ok(None) };
            let text = |name| Rows::text(row, rows.optional(name)).map(Private::new);
            let visit = VideoVisit {
                patient_link: text("patient_link"),
                patient_description: text("patient_description"),
                practitioner_link: text("practitioner_link"),
                practitioner_description: text("practitioner_description"),
            };
            Ok(Some(visit).filter(|visit| *visit != VideoVisit::default()))
        });
        match tokio::time::timeout(ASIDE_LIMIT, look).await {
            Ok(result) => result,
            Err(_) => Err(ReadError::Unreachable("the practice database took too long to answer".into())),
        }
    }

    fn serves_snapshots(&self) -> bool {
        self.profile.snapshot.is_some()
    }

    async fn client_snapshot(&self, asked: SnapshotAsked) -> Result<ClientSnapshot, ReadError> {
        self.reading(async |session, known| self.read_snapshot(session, known, asked).await).await
    }

    async fn cancel(&self, held: &Held) -> Result<(), WriteError> {
        self.cancel_appointment(held).await
    }

    fn document_inbox(&self) -> Option<&dyn DocumentInbox> {
        self.inbox.as_deref()
    }

    fn document_source(&self) -> Option<&dyn DocumentSource> {
        self.source.as_ref().map(|source| source as &dyn DocumentSource)
    }

    async fn add_to_note(
        &self,
        appointment: &AppointmentRef,
        mark: &str,
        line: &str,
    ) -> Result<(), WriteError> {
        self.append_to_note(appointment, mark, line).await
    }
}
