//! The profile of a practice system: a TOML file with its SQL, and what its codes mean.
//!
//! Every key is documented in `profiles/openemr/profile.toml`, which uses all of them but `[consent]`: that one is a
//! clinic's own, and explained there.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::diary::AppointmentStatus;
use domain::people::Gender;
use serde::Deserialize;
use toml::Spanned;

use super::consents::{ConsentQuery, RawConsent, RawConsents};
use super::documents::DocumentWays;
use super::place::{self, Origin, OwnFile, line_and_column};
use super::statement::Statement;

/// A mistake in a profile, where it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ProfileError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Which driver speaks to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A file.
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
}

/// How working hours are written in the practice system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Rows with a date each; times that overlap add up.
    PerDate,
    /// OpenEMR: rows switch the practitioner in and out, the last one before a time decides, and rows repeat.
    Openemr,
}

/// What a column has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Any number.
    Number,
    /// Any text.
    Text,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time.
    Datetime,
    /// Bytes.
    Bytes,
}

impl Family {
    /// The name, as in the profile.
    pub fn name(self) -> &'static str {
        match self {
            Family::Number => "number",
            Family::Text => "text",
            Family::Date => "date",
            Family::Time => "time",
            Family::Datetime => "datetime",
            Family::Bytes => "bytes",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusName {
    Booked,
    Confirmed,
    Arrived,
    Completed,
    Cancelled,
    DidNotAttend,
    Other,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GenderName {
    Male,
    Female,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WriteRoute {
    Sql,
}

pub(super) type Sql = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    name: Spanned<String>,
    title: String,
    engine: Engine,
    availability: Availability,
    #[serde(default)]
    trust_duration: Option<bool>,
    #[serde(default)]
    free_cancelled: Option<bool>,
    version: RawVersion,
    fingerprint: BTreeMap<String, BTreeMap<String, Family>>,
    #[serde(default)]
    connection: RawConnection,
    #[serde(default)]
    probe: BTreeMap<String, RawProbe>,
    #[serde(default)]
    status: BTreeMap<String, StatusName>,
    #[serde(default)]
    gender: BTreeMap<String, GenderName>,
    query: RawQueries,
    #[serde(default)]
    consent: RawConsents,
    #[serde(default)]
    snapshot: Option<RawSnapshot>,
    #[serde(default)]
    write: Option<RawWrite>,
    #[serde(default)]
    documents: RawDocuments,
    #[serde(default)]
    grants: RawGrants,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVersion {
    query: Sql,
    from: Spanned<String>,
    to: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConnection {
    #[serde(default)]
    init: Vec<Sql>,
    #[serde(default)]
    time_zone: Option<Sql>,
    #[serde(default)]
    read_limits: Vec<Sql>,
    #[serde(default)]
    write_limits: Vec<Sql>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProbe {
    query: Sql,
    #[serde(default)]
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQueries {
    locations: Sql,
    resources: Sql,
    #[serde(default)]
    resource_locations: Option<Sql>,
    appointment_types: Sql,
    #[serde(default)]
    video_visit: Option<Sql>,
    entries: Vec<Sql>,
    #[serde(default)]
    series: Option<Sql>,
    stamp: Vec<Sql>,
    patient_count: Sql,
    patient: Sql,
    #[serde(default)]
    people_stamp: Option<Sql>,
    #[serde(default)]
    people: Option<Sql>,
    #[serde(default)]
    patients: Option<Sql>,
    patients_by_person: Sql,
    #[serde(default)]
    patients_by_phone: Option<Sql>,
    appointment: Sql,
    #[serde(default)]
    appointments: Option<Sql>,
    appointment_by_mark: Sql,
    #[serde(default)]
    invoices: Option<Sql>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSnapshot {
    locations: Sql,
    practitioners: Sql,
    appointment_types: Sql,
    appointments_made: Sql,
    appointment_created: Sql,
    patient: Sql,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWrite {
    routes: Vec<WriteRoute>,
    settle_seconds: u32,
    #[serde(default)]
    retry_errors: Vec<u32>,
    held_title: String,
    #[serde(default)]
    transactional: Option<Sql>,
    #[serde(default)]
    lock: Vec<Sql>,
    #[serde(default)]
    lock_appointment: Option<Sql>,
    create_patient: Sql,
    new_patient: Sql,
    #[serde(default)]
    remark: Option<Sql>,
    create_appointment: Sql,
    new_appointment: Sql,
    name_appointment: Sql,
    cancel_appointment: Sql,
    #[serde(default)]
    append_to_note: Option<Sql>,
    gender: RawGenderCodes,
    limits: BTreeMap<String, u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocuments {
    pub(super) import_folder: Option<String>,
    pub(super) import_name: Option<Spanned<String>>,
    pub(super) export_folder: Option<String>,
    pub(super) export_path: Option<Spanned<String>>,
    pub(super) api: Option<RawDocumentApi>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocumentApi {
    speaks: DocumentApiKind,
    find: Sql,
    category: Sql,
}

/// An API for documents that this program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentApiKind {
    /// OpenEMR's own, from version 7 on.
    Openemr,
}

/// A practice system's own API for documents, and what is asked of its database besides.
#[derive(Clone, Debug)]
pub(super) struct DocumentApiQueries {
    pub(super) speaks: DocumentApiKind,
    /// The document of a patient that has this name.
    pub(super) find: Statement,
    /// The categories that have this name.
    pub(super) category: Statement,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenderCodes {
    male: String,
    female: String,
    other: String,
    unknown: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrants {
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    write: Vec<String>,
}

/// A profile that was read and checked.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name, as in the settings.
    pub name: String,
    /// The name that people know.
    pub title: String,
    /// Which driver.
    pub engine: Engine,
    pub(super) availability: Availability,
    pub(super) trust_duration: bool,
    pub(super) free_cancelled: bool,
    pub(super) version: Statement,
    /// Lowest and highest version, both included, as far as they are written.
    pub(super) versions: (Vec<u32>, Vec<u32>),
    pub(super) fingerprint: BTreeMap<String, BTreeMap<String, Family>>,
    pub(super) init: Vec<Statement>,
    pub(super) time_zone: Option<Statement>,
    pub(super) read_limits: Vec<Statement>,
    pub(super) write_limits: Vec<Statement>,
    pub(super) probes: Vec<Probe>,
    pub(super) statuses: BTreeMap<String, AppointmentStatus>,
    pub(super) genders: BTreeMap<String, Gender>,
    pub(super) query: Queries,
    /// By the name of the partner who gets the details.
    pub(super) consents: BTreeMap<&'static str, ConsentQuery>,
    pub(super) snapshot: Option<SnapshotQueries>,
    pub(super) write: Option<WriteSteps>,
    pub(super) documents: DocumentWays,
    pub(super) document_api: Option<DocumentApiQueries>,
    /// What to give an account that only reads, one line each.
    pub grants_for_reading: Vec<String>,
    /// What to give an account that writes bookings, in addition.
    pub grants_for_writing: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) query: Statement,
    pub(super) default: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Queries {
    pub(super) locations: Statement,
    pub(super) resources: Statement,
    pub(super) resource_locations: Option<Statement>,
    pub(super) appointment_types: Statement,
    pub(super) video_visit: Option<Statement>,
    pub(super) entries: Vec<Statement>,
    pub(super) series: Option<Statement>,
    pub(super) stamp: Vec<Statement>,
    pub(super) patient_count: Statement,
    pub(super) patient: Statement,
    pub(super) people_stamp: Option<Statement>,
    pub(super) people: Option<Statement>,
    pub(super) patients: Option<Statement>,
    pub(super) patients_by_person: Statement,
    pub(super) patients_by_phone: Option<Statement>,
    pub(super) appointment: Statement,
    pub(super) appointments: Option<Statement>,
    pub(super) appointment_by_mark: Statement,
    pub(super) invoices: Option<Statement>,
}

#[derive(Clone, Debug)]
pub(super) struct SnapshotQueries {
    pub(super) locations: Statement,
    pub(super) practitioners: Statement,
    pub(super) appointment_types: Statement,
    pub(super) appointments_made: Statement,
    pub(super) appointment_created: Statement,
    pub(super) patient: Statement,
}

#[derive(Clone, Debug)]
pub(super) struct WriteSteps {
    pub(super) settle_seconds: u32,
    pub(super) retry_errors: Vec<u32>,
    pub(super) held_title: String,
    pub(super) transactional: Option<Statement>,
    pub(super) lock: Vec<Statement>,
    pub(super) lock_appointment: Option<Statement>,
    pub(super) create_patient: Statement,
    pub(super) new_patient: Statement,
    pub(super) remark: Option<Statement>,
    pub(super) create_appointment: Statement,
    pub(super) new_appointment: Statement,
    pub(super) name_appointment: Statement,
    pub(super) cancel_appointment: Statement,
    pub(super) append_to_note: Option<Statement>,
    pub(super) gender: [String; 4],
    pub(super) limits: BTreeMap<String, u32>,
}

const PATIENT_FIELDS: &[&str] = &[
    "first_name",
    "last_name",
    "birth_date",
    "gender",
    "mobile",
    "phone",
    "email",
    "street",
    "suburb",
    "state",
    "postcode",
    "medicare_number",
    "medicare_irn",
    "medicare_expiry",
    "resource",
    "now",
];
/// What a person is looked for by.
const PERSON_FIELDS: &[&str] = &[
    "first_name",
    "last_name",
    "birth_date",
    "birth_date_swapped",
    "email",
    "medicare_card",
    "phone_pattern",
];
const APPOINTMENT_FIELDS: &[&str] = &[
    "resource",
    "patient",
    "type",
    "title",
    "note",
    "day",
    "start_second",
    "length_second",
    "location",
    "now",
];
/// Which texts are shortened; the rest are codes and numbers of ours.
const LIMITED: &[&str] = &[
    "first_name",
    "last_name",
    "mobile",
    "phone",
    "email",
    "street",
    "suburb",
    "state",
    "postcode",
    "medicare_number",
    "medicare_irn",
    "medicare_expiry",
    "title",
    "note",
    "text",
];

/// Reads a profile's text and checks what can be checked without a database.
pub fn parse(text: &str) -> Result<Profile, ProfileError> {
    read(text, None)
}

/// The same with a clinic's own profile: each statement knows where in the file called `name` it stands.
pub fn parse_own(text: &str, name: &str) -> Result<Profile, ProfileError> {
    read(text, Some(Arc::new(OwnFile { name: name.to_owned(), text: text.to_owned() })))
}

fn read(text: &str, own: Option<Arc<OwnFile>>) -> Result<Profile, ProfileError> {
    let raw: RawProfile = toml::from_str(text).map_err(|error| {
        let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
        ProfileError { line, column, message: advice(error.message()) }
    })?;
    Reader { text, own, engine: raw.engine, probes: raw.probe.keys().cloned().collect() }.profile(raw)
}

/// Makes the parser's message say what to do.
fn advice(message: &str) -> String {
    let message = message.trim();
    if message.starts_with("missing field") {
        format!("{message}: add it")
    } else if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        format!("{message}: correct or remove it")
    } else {
        message.to_owned()
    }
}

/// Reads `7.0.3` as numbers, as far as it goes.
pub(super) fn version_numbers(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.trim().parse().ok()).collect()
}

struct Reader<'a> {
    text: &'a str,
    /// The file, where it is a clinic's own.
    own: Option<Arc<OwnFile>>,
    engine: Engine,
    probes: Vec<String>,
}

impl Reader<'_> {
    fn mistake(&self, offset: usize, message: String) -> ProfileError {
        let (line, column) = line_and_column(self.text, offset);
        ProfileError { line, column, message }
    }

    fn statement(&self, name: &str, sql: &Sql, known: &[&str]) -> Result<Statement, ProfileError> {
        let mut known = known.to_vec();
        known.extend(self.probes.iter().map(String::as_str));
        self.bare_statement(name, sql, &known)
    }

    fn bare_statement(&self, name: &str, sql: &Sql, known: &[&str]) -> Result<Statement, ProfileError> {
        let begins = sql.span().start;
        let origin = self.own.clone().map(|file| Origin { file, begins });
        match Statement::parse(name, sql.get_ref(), self.engine, known) {
            Ok(statement) => Ok(statement.with_origin(origin)),
            Err(mistake) => Err(self.mistake(place::within(self.text, begins, mistake.at), mistake.message)),
        }
    }

    fn optional(
        &self,
        name: &str,
        sql: &Option<Sql>,
        known: &[&str],
    ) -> Result<Option<Statement>, ProfileError> {
        sql.as_ref().map(|sql| self.statement(name, sql, known)).transpose()
    }

    fn several(&self, name: &str, texts: &[Sql], known: &[&str]) -> Result<Vec<Statement>, ProfileError> {
        let numbered = |at: usize| if texts.len() == 1 { name.to_owned() } else { format!("{name}[{at}]") };
        texts.iter().enumerate().map(|(at, sql)| self.statement(&numbered(at), sql, known)).collect()
    }

    fn version(&self, text: &Spanned<String>) -> Result<Vec<u32>, ProfileError> {
        let numbers = version_numbers(text.get_ref());
        if numbers.is_empty() {
            return Err(self.mistake(text.span().start, "not a version: write it like `7.0`".into()));
        }
        Ok(numbers)
    }

    fn profile(&self, raw: RawProfile) -> Result<Profile, ProfileError> {
        let name = raw.name.get_ref().clone();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(self.mistake(
                raw.name.span().start,
                "the name may hold small letters, digits and `-` only".into(),
            ));
        }
        if raw.query.series.is_none() && raw.availability == Availability::Openemr {
            return Err(self.mistake(0, "availability `openemr` needs `query.series`: add it".into()));
        }
        let mut probes = Vec::new();
        for (name, probe) in &raw.probe {
            let query = self.bare_statement(&format!("probe.{name}"), &probe.query, &[])?;
            probes.push(Probe { name: name.clone(), query, default: probe.default.clone() });
        }
        let connection = &raw.connection;
        let none: &[&str] = &[];
        let time_zone = match &connection.time_zone {
            Some(sql) => Some(self.bare_statement("connection.time_zone", sql, &["offset"])?),
            None => None,
        };
        Ok(Profile {
            name,
            title: raw.title,
            engine: raw.engine,
            availability: raw.availability,
            trust_duration: raw.trust_duration.unwrap_or(true),
            free_cancelled: raw.free_cancelled.unwrap_or(true),
            version: self.bare_statement("version.query", &raw.version.query, none)?,
            versions: (self.version(&raw.version.from)?, self.version(&raw.version.to)?),
            fingerprint: raw.fingerprint,
            init: self.several("connection.init", &connection.init, none)?,
            time_zone,
            read_limits: self.several("connection.read_limits", &connection.read_limits, none)?,
            write_limits: self.several("connection.write_limits", &connection.write_limits, none)?,
            probes,
            statuses: raw.status.into_iter().map(|(code, name)| (code, status(name))).collect(),
            genders: raw.gender.into_iter().map(|(code, name)| (code, gender(name))).collect(),
            query: self.queries(&raw.query)?,
            consents: self.consents(&raw.consent)?,
            snapshot: raw.snapshot.as_ref().map(|snapshot| self.snapshot(snapshot)).transpose()?,
            write: raw.write.as_ref().map(|write| self.write(write)).transpose()?,
            documents: DocumentWays::read(&raw.documents)
                .map_err(|(at, message)| self.mistake(at, message))?,
            document_api: raw.documents.api.as_ref().map(|api| self.document_api(api)).transpose()?,
            grants_for_reading: raw.grants.read,
            grants_for_writing: raw.grants.write,
        })
    }

    fn document_api(&self, raw: &RawDocumentApi) -> Result<DocumentApiQueries, ProfileError> {
        Ok(DocumentApiQueries {
            speaks: raw.speaks,
            find: self.statement("documents.api.find", &raw.find, &["patient", "name"])?,
            category: self.statement("documents.api.category", &raw.category, &["category"])?,
        })
    }

    fn queries(&self, raw: &RawQueries) -> Result<Queries, ProfileError> {
        let none: &[&str] = &[];
        let window: &[&str] = &["from", "to", "held_title"];
        Ok(Queries {
            locations: self.statement("locations", &raw.locations, none)?,
            resources: self.statement("resources", &raw.resources, none)?,
            resource_locations: self.optional("resource_locations", &raw.resource_locations, none)?,
            appointment_types: self.statement("appointment_types", &raw.appointment_types, none)?,
            video_visit: self.optional("video_visit", &raw.video_visit, &["appointment"])?,
            entries: self.several("entries", &raw.entries, window)?,
            series: self.optional("series", &raw.series, window)?,
            stamp: self.several("stamp", &raw.stamp, window)?,
            patient_count: self.statement("patient_count", &raw.patient_count, none)?,
            patient: self.statement("patient", &raw.patient, &["patient"])?,
            people_stamp: self.optional("people_stamp", &raw.people_stamp, none)?,
            people: self.optional("people", &raw.people, &["after", "limit"])?,
            patients: self.optional("patients", &raw.patients, &["patients"])?,
            patients_by_person: self.statement(
                "patients_by_person",
                &raw.patients_by_person,
                PERSON_FIELDS,
            )?,
            patients_by_phone: self.optional(
                "patients_by_phone",
                &raw.patients_by_phone,
                &["phone_pattern"],
            )?,
            appointment: self.statement("appointment", &raw.appointment, &["appointment"])?,
            appointments: self.optional("appointments", &raw.appointments, &["appointments"])?,
            appointment_by_mark: self.statement(
                "appointment_by_mark",
                &raw.appointment_by_mark,
                &["mark", "from", "to"],
            )?,
            invoices: self.optional("invoices", &raw.invoices, &["after", "limit"])?,
        })
    }

    fn consents(&self, raw: &RawConsents) -> Result<BTreeMap<&'static str, ConsentQuery>, ProfileError> {
        let mapped = raw.by_partner().map(|(partner, raw)| Ok((partner, self.consent(partner, raw)?)));
        mapped.collect()
    }

    fn consent(&self, partner: &str, raw: &RawConsent) -> Result<ConsentQuery, ProfileError> {
        let name = format!("consent.{partner}");
        let query = self.statement(&name, &raw.query, &["after", "limit"])?;
        let stamp = self.optional(&format!("{name}.stamp"), &raw.stamp, &[])?;
        ConsentQuery::read(&name, raw, query, stamp).map_err(|(at, message)| self.mistake(at, message))
    }

    fn snapshot(&self, raw: &RawSnapshot) -> Result<SnapshotQueries, ProfileError> {
        let none: &[&str] = &[];
        Ok(SnapshotQueries {
            locations: self.statement("snapshot.locations", &raw.locations, none)?,
            practitioners: self.statement("snapshot.practitioners", &raw.practitioners, none)?,
            appointment_types: self.statement("snapshot.appointment_types", &raw.appointment_types, none)?,
            appointments_made: self.statement(
                "snapshot.appointments_made",
                &raw.appointments_made,
                &["day"],
            )?,
            appointment_created: self.statement(
                "snapshot.appointment_created",
                &raw.appointment_created,
                &["appointment"],
            )?,
            patient: self.statement("snapshot.patient", &raw.patient, &["patient"])?,
        })
    }

    fn write(&self, raw: &RawWrite) -> Result<WriteSteps, ProfileError> {
        if raw.routes.is_empty() {
            return Err(self.mistake(
                raw.create_patient.span().start,
                "`write.routes` is empty: write `[\"sql\"]`, or leave `[write]` out".into(),
            ));
        }
        if let Some(strange) = raw.limits.keys().find(|name| !LIMITED.contains(&name.as_str())) {
            let at = self.text.find("[write.limits]").unwrap_or(0);
            let within = self.text.get(at..).and_then(|text| text.find(strange.as_str())).unwrap_or(0);
            return Err(self.mistake(
                at + within,
                format!("`{strange}` is no text that can be limited: use {}", LIMITED.join(", ")),
            ));
        }
        let held = &raw.held_title;
        let none: &[&str] = &[];
        let one: &[&str] = &["appointment", "patient", "former", "title", "now"];
        Ok(WriteSteps {
            settle_seconds: raw.settle_seconds,
            retry_errors: raw.retry_errors.clone(),
            held_title: held.clone(),
            transactional: self.optional("write.transactional", &raw.transactional, none)?,
            lock: self.several("write.lock", &raw.lock, &["resource", "day"])?,
            lock_appointment: self.optional(
                "write.lock_appointment",
                &raw.lock_appointment,
                &["appointment"],
            )?,
            create_patient: self.statement("write.create_patient", &raw.create_patient, PATIENT_FIELDS)?,
            new_patient: self.statement("write.new_patient", &raw.new_patient, none)?,
            remark: self.optional("write.remark", &raw.remark, &["patient", "text", "now"])?,
            create_appointment: self.statement(
                "write.create_appointment",
                &raw.create_appointment,
                APPOINTMENT_FIELDS,
            )?,
            new_appointment: self.statement("write.new_appointment", &raw.new_appointment, none)?,
            name_appointment: self.statement("write.name_appointment", &raw.name_appointment, one)?,
            cancel_appointment: self.statement(
                "write.cancel_appointment",
                &raw.cancel_appointment,
                &["appointment", "patient", "now"],
            )?,
            append_to_note: self.optional(
                "write.append_to_note",
                &raw.append_to_note,
                &["appointment", "mark", "line", "now"],
            )?,
            gender: [
                raw.gender.male.clone(),
                raw.gender.female.clone(),
                raw.gender.other.clone(),
                raw.gender.unknown.clone(),
            ],
            limits: raw.limits.clone(),
        })
    }
}

fn status(name: StatusName) -> AppointmentStatus {
    match name {
        StatusName::Booked => AppointmentStatus::Booked,
        StatusName::Confirmed => AppointmentStatus::Confirmed,
        StatusName::Arrived => AppointmentStatus::Arrived,
        StatusName::Completed => AppointmentStatus::Completed,
        StatusName::Cancelled => AppointmentStatus::Cancelled,
        StatusName::DidNotAttend => AppointmentStatus::DidNotAttend,
        StatusName::Other => AppointmentStatus::Other,
    }
}

fn gender(name: GenderName) -> Gender {
    match name {
        GenderName::Male => Gender::Male,
        GenderName::Female => Gender::Female,
        GenderName::Other => Gender::Other,
    }
}

impl Profile {
    /// Whether it knows how to write bookings.
    pub fn can_write(&self) -> bool {
        self.write.is_some()
    }

    /// Whether it knows the system's own API for documents.
    pub fn takes_documents(&self) -> bool {
        self.document_api.is_some()
    }

    /// What a status code means; a code that the profile does not know is `Other`, which occupies its time.
    pub(super) fn status(&self, code: Option<&str>) -> AppointmentStatus {
        let code = code.unwrap_or_default();
        self.statuses.get(code).copied().unwrap_or(AppointmentStatus::Other)
    }

    /// Every query in which something is read, for trying them one by one.
    pub(super) fn reading(&self) -> Vec<&Statement> {
        let query = &self.query;
        let mut all = vec![&query.locations, &query.resources];
        all.extend(&query.resource_locations);
        all.push(&query.appointment_types);
        all.extend(&query.video_visit);
        all.extend(&query.entries);
        all.extend(&query.series);
        all.extend(&query.stamp);
        all.extend([&query.patient_count, &query.patient, &query.patients_by_person]);
        all.extend(&query.patients_by_phone);
        all.push(&query.appointment);
        all.extend(&query.appointments);
        all.extend([&query.people_stamp, &query.people, &query.patients].into_iter().flatten());
        all.push(&query.appointment_by_mark);
        all.extend(&query.invoices);
        for consent in self.consents.values() {
            all.push(&consent.query);
            all.extend(&consent.stamp);
        }
        if let Some(api) = &self.document_api {
            all.extend([&api.find, &api.category]);
        }
        if let Some(snapshot) = &self.snapshot {
            all.extend([&snapshot.locations, &snapshot.practitioners, &snapshot.appointment_types]);
            all.extend([&snapshot.appointments_made, &snapshot.appointment_created, &snapshot.patient]);
        }
        all
    }
}

impl WriteSteps {
    /// Every statement that a booking may need, in the order of the work.
    pub(super) fn all(&self) -> Vec<&Statement> {
        let mut all: Vec<&Statement> = self.lock.iter().collect();
        all.extend([&self.create_patient, &self.new_patient]);
        all.extend(&self.remark);
        all.extend([&self.create_appointment, &self.new_appointment]);
        all.extend(&self.lock_appointment);
        all.extend([&self.name_appointment, &self.cancel_appointment]);
        all
    }
}
