//! The practice's own book, used as staff use it: with other tools than ours, in whichever practice system it is kept.

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use connectors::partners::healthengine::sim::PatientDetails;
use connectors::practices::provet::sim::{
    ProvetSim, ProvetSimConfig, SimState, Table, is_yes, last_number, time,
};
use connectors::sim::SimClock;
use domain::settings::ProvetSettings;
use domain::time::PracticeTime;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::mariadb::Server;
use crate::openemr::STANDARD;

/// Which practice system keeps the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum System {
    /// The demo clinic, in an SQLite file.
    #[default]
    Demo,
    /// OpenEMR, on a MariaDB server.
    OpenEmr,
    /// Provet Cloud, over REST, on its simulator.
    Provet,
}

/// An appointment as it stands in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InBook {
    /// Its number.
    pub id: i64,
    /// Its patient; none while the time is held.
    pub patient: Option<i64>,
    /// How it stands, in the demo clinic's words.
    pub status: String,
}

/// A practice's book.
pub enum Book {
    /// The demo clinic's file.
    Demo(PathBuf),
    /// OpenEMR's database.
    OpenEmr(OpenEmr),
    /// A practice at Provet Cloud.
    Provet(Box<AtProvet>),
}

/// A row as text; NULL is empty.
pub type TextRow = Vec<String>;

impl Book {
    /// The address in the settings.
    pub fn url(&self) -> String {
        match self {
            Book::Demo(file) => format!("sqlite:{}", file.display()),
            Book::OpenEmr(openemr) => openemr.url.clone(),
            Book::Provet(provet) => provet.sim.host(),
        }
    }

    /// The account in the settings, where there is one.
    pub fn provet_account(&self) -> Option<ProvetSettings> {
        match self {
            Book::Demo(_) | Book::OpenEmr(_) => None,
            Book::Provet(_) => Some(AtProvet::account()),
        }
    }

    /// The shipped profile that reads it.
    pub fn profile(&self) -> &'static str {
        match self {
            Book::Demo(_) => "demo",
            Book::OpenEmr(_) => "openemr",
            Book::Provet(_) => "provet",
        }
    }

    /// The type of standard consultations, half an hour.
    pub fn standard_type(&self) -> String {
        match self {
            Book::Demo(_) => "1".to_owned(),
            Book::OpenEmr(_) => STANDARD.to_string(),
            Book::Provet(provet) => {
                provet.number_of(Table::Reason, "name", "Standard consultation").to_string()
            }
        }
    }

    /// Runs a statement in the book's own SQL and returns its rows.
    pub fn sql(&self, sql: &str) -> Vec<TextRow> {
        match self {
            Book::Demo(file) => {
                let connection = rusqlite::Connection::open(file).expect("the book");
                connection.busy_timeout(Duration::from_secs(5)).expect("patience");
                sqlite_rows(&connection, sql).expect("the book")
            }
            Book::OpenEmr(openemr) => openemr.sql(sql),
            Book::Provet(_) => panic!("Provet Cloud speaks no SQL: {sql}"),
        }
    }

    /// The first number that a statement returns.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.sql(sql);
        rows.first().and_then(|row| row.first()).and_then(|text| text.parse().ok()).expect("a number")
    }

    /// The first text that a statement returns.
    pub fn text(&self, sql: &str) -> String {
        self.sql(sql).into_iter().next().and_then(|row| row.into_iter().next()).expect("a text")
    }

    /// Every appointment that carries the mark of a booking.
    pub fn marked(&self, booking: i64) -> Vec<InBook> {
        let mark = format!("[healthengine:{booking}]");
        if let Book::Provet(provet) = self {
            return provet.marked(&mark);
        }
        let rows = self.sql(&match self {
            Book::Provet(_) => unreachable!("told above"),
            Book::Demo(_) => format!(
                "SELECT id, patient_id, status FROM appointment WHERE instr(note, '{mark}') > 0 ORDER BY id"
            ),
            Book::OpenEmr(_) => format!(
                "SELECT pc_eid, IF(pc_pid IN ('', '0'), NULL, pc_pid),
                        CASE WHEN pc_apptstatus = '-' THEN 'booked' WHEN pc_apptstatus IN ('x', '%') THEN 'cancelled'
                             ELSE pc_apptstatus END
                   FROM openemr_postcalendar_events WHERE INSTR(pc_hometext, '{mark}') > 0 ORDER BY pc_eid"
            ),
        });
        let read = |row: TextRow| {
            let [id, patient, status] = <[String; 3]>::try_from(row).expect("three columns");
            InBook { id: id.parse().expect("a number"), patient: patient.parse().ok(), status }
        };
        rows.into_iter().map(read).collect()
    }

    /// How many patients it has.
    pub fn patients(&self) -> i64 {
        self.number(match self {
            Book::Provet(provet) => return provet.count(Table::Client),
            Book::Demo(_) => "SELECT count(*) FROM patient",
            Book::OpenEmr(_) => "SELECT count(*) FROM patient_data",
        })
    }

    /// How many appointments it has, cancelled ones included.
    pub fn appointments(&self) -> i64 {
        self.number(match self {
            Book::Provet(provet) => return provet.count(Table::Appointment),
            Book::Demo(_) => "SELECT count(*) FROM appointment",
            Book::OpenEmr(_) => "SELECT count(*) FROM openemr_postcalendar_events",
        })
    }

    /// The patients who are sure to be recognised, and the numbers of their records.
    pub fn known_patients(&self) -> Vec<(i64, PatientDetails)> {
        let rows = self.sql(match self {
            Book::Provet(provet) => return provet.known_people(),
            Book::Demo(_) => {
                "SELECT id, first_name, last_name, birth_date, phone, email FROM patient AS a
                  WHERE birth_date IS NOT NULL AND email <> '' AND deceased = 0 AND NOT EXISTS
                    (SELECT 1 FROM patient AS b WHERE b.id <> a.id AND (b.birth_date = a.birth_date OR
                       b.last_name = a.last_name AND b.first_name = a.first_name))
                  ORDER BY id"
            }
            Book::OpenEmr(_) => {
                "SELECT pid, fname, lname, DATE_FORMAT(DOB, '%Y-%m-%d'), phone_cell, email FROM patient_data AS a
                  WHERE DOB > '1000-01-01' AND email <> '' AND COALESCE(deceased_date, '') < '1000-01-01' AND NOT EXISTS
                    (SELECT 1 FROM patient_data AS b WHERE b.pid <> a.pid AND (b.DOB = a.DOB OR
                       b.lname = a.lname AND b.fname = a.fname))
                  ORDER BY pid"
            }
        });
        let read = |row: TextRow| {
            let [id, firstname, lastname, dob, phone, email] =
                <[String; 6]>::try_from(row).expect("six columns");
            let dob = dob.parse().expect("a birth date");
            let details = PatientDetails {
                firstname,
                lastname,
                dob,
                phone,
                email,
                is_new_patient: false,
                ..PatientDetails::default()
            };
            (id.parse().expect("a number"), details)
        };
        rows.into_iter().map(read).collect()
    }

    /// Staff register a patient. Returns the number of the record.
    pub fn register(&self, patient: &PatientDetails) -> i64 {
        let [first, last, phone, email, street, suburb, state, postcode] = [
            &patient.firstname,
            &patient.lastname,
            &patient.phone,
            &patient.email,
            &patient.address,
            &patient.suburb,
            &patient.state,
            &patient.postcode,
        ]
        .map(|text| quoted(text));
        let born = patient.dob;
        match self {
            Book::Provet(provet) => provet.register(patient),
            Book::Demo(_) => {
                self.sql(&format!(
                    "INSERT INTO patient (first_name, last_name, birth_date, mobile, email, street, suburb, state, postcode)
                     VALUES ({first}, {last}, '{born}', {phone}, {email}, {street}, {suburb}, {state}, {postcode})"
                ));
                self.number("SELECT max(id) FROM patient")
            }
            Book::OpenEmr(_) => {
                self.sql(&format!(
                    "INSERT INTO patient_data (pid, pubpid, fname, lname, DOB, phone_cell, email, street, city, state,
                                               postal_code)
                     SELECT n, n, {first}, {last}, '{born}', {phone}, {email}, {street}, {suburb}, {state}, {postcode}
                       FROM (SELECT MAX(pid) + 1 AS n FROM patient_data) AS next"
                ));
                self.number("SELECT MAX(pid) FROM patient_data")
            }
        }
    }

    /// Staff enter a quarter of an hour.
    pub fn enter(&self, (resource, starts): &(String, NaiveDateTime), patient: i64) {
        let practitioner = practitioner(resource);
        let (day, minute) = (starts.date(), PracticeTime(*starts).minute().minutes());
        self.sql(&match self {
            Book::Provet(provet) => return provet.enter(practitioner, *starts, patient),
            Book::Demo(_) => format!(
                "INSERT INTO appointment (practitioner_id, patient_id, type_id, title, day, start_minute, minutes)
                 VALUES ({practitioner}, {patient}, 1, 'Standard consultation', '{day}', {minute}, 15)"
            ),
            Book::OpenEmr(_) => format!(
                "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_hometext,
                                                          pc_eventDate, pc_duration, pc_startTime, pc_eventstatus, pc_sharing)
                 VALUES ({STANDARD}, 0, '{practitioner}', '{patient}', 'Standard Consultation', '', '{day}', 900,
                         SEC_TO_TIME({minute} * 60), 1, 1)"
            ),
        });
    }

    /// Staff take out what they entered at that time. What we wrote stays.
    pub fn take_out(&self, (resource, starts): &(String, NaiveDateTime)) {
        let practitioner = practitioner(resource);
        let (day, minute) = (starts.date(), PracticeTime(*starts).minute().minutes());
        self.sql(&match self {
            Book::Provet(provet) => return provet.take_out(practitioner, *starts),
            Book::Demo(_) => format!(
                "DELETE FROM appointment WHERE practitioner_id = {practitioner} AND day = '{day}'
                    AND start_minute = {minute} AND note = ''"
            ),
            Book::OpenEmr(_) => format!(
                "DELETE FROM openemr_postcalendar_events WHERE pc_aid = '{practitioner}' AND pc_eventDate = '{day}'
                    AND pc_startTime = SEC_TO_TIME({minute} * 60) AND pc_hometext = ''"
            ),
        });
    }

    /// Staff cancel what they entered at that time.
    pub fn cancel_entered(&self, (resource, starts): &(String, NaiveDateTime)) {
        let practitioner = practitioner(resource);
        let (day, minute) = (starts.date(), PracticeTime(*starts).minute().minutes());
        self.sql(&match self {
            Book::Provet(provet) => return provet.cancel_entered(practitioner, *starts),
            Book::Demo(_) => format!(
                "UPDATE appointment SET status = 'cancelled' WHERE practitioner_id = {practitioner} AND day = '{day}'
                    AND start_minute = {minute} AND note = ''"
            ),
            Book::OpenEmr(_) => format!(
                "UPDATE openemr_postcalendar_events SET pc_apptstatus = 'x' WHERE pc_aid = '{practitioner}'
                    AND pc_eventDate = '{day}' AND pc_startTime = SEC_TO_TIME({minute} * 60) AND pc_hometext = ''"
            ),
        });
    }

    /// What stands beside an appointment.
    pub fn note(&self, appointment: i64) -> String {
        self.text(&match self {
            Book::Provet(provet) => return provet.text(Table::Appointment, appointment, "notes"),
            Book::Demo(_) => format!("SELECT note FROM appointment WHERE id = {appointment}"),
            Book::OpenEmr(_) => {
                format!("SELECT pc_hometext FROM openemr_postcalendar_events WHERE pc_eid = {appointment}")
            }
        })
    }

    /// Every remark in a patient's record.
    pub fn remarks(&self, patient: i64) -> String {
        let rows = self.sql(&match self {
            Book::Provet(provet) => return provet.text(Table::Client, patient, "remarks"),
            Book::Demo(_) => format!("SELECT remark FROM patient WHERE id = {patient}"),
            Book::OpenEmr(_) => format!("SELECT body FROM pnotes WHERE pid = {patient}"),
        });
        rows.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// A practice at Provet Cloud, on its simulator.
pub struct AtProvet {
    /// The service.
    pub sim: ProvetSim,
}

impl AtProvet {
    /// The secret of its credentials.
    pub const SECRET: &str = "provet-secret";

    /// Starts one, filled from `first` on.
    pub async fn start(clock: SimClock, first: NaiveDate) -> Self {
        let config = ProvetSimConfig {
            redirect_url: None,
            provet_id: u64::from(Self::account().provet_id),
            client_id: Self::account().client_id,
            client_secret: Self::SECRET.to_owned(),
            time_zone: chrono_tz::Australia::Melbourne,
        };
        let sim = ProvetSim::start(config, clock).await.expect("a simulator");
        sim.staff(|state, now| state.fill(first, now - TimeDelta::days(30)));
        Self { sim }
    }

    fn account() -> ProvetSettings {
        ProvetSettings {
            provet_id: 9999,
            client_id: "provet-client".into(),
            token_url: None,
            webhook_url: None,
            redirect_url: None,
        }
    }

    fn number_of(&self, table: Table, field: &str, text: &str) -> u64 {
        self.sim.inspect(|state| state.whose(table, field, text).first().copied()).expect("a row")
    }

    fn count(&self, table: Table) -> i64 {
        self.sim.inspect(|state| i64::try_from(state.rows(table).count()).expect("not so many"))
    }

    fn text(&self, table: Table, id: i64, field: &str) -> String {
        let id = u64::try_from(id).expect("a number");
        self.sim.inspect(|state| text_of(state.row(table, id).expect("a row"), field))
    }

    fn marked(&self, mark: &str) -> Vec<InBook> {
        let read = |row: &Value| InBook {
            id: row.get("id").and_then(Value::as_i64).expect("a number"),
            patient: last_number(row.get("client")).and_then(|id| i64::try_from(id).ok()),
            status: if is_yes(row.get("active")) { "booked" } else { "cancelled" }.to_owned(),
        };
        self.sim.inspect(|state| {
            state
                .rows(Table::Appointment)
                .filter(|row| text_of(row, "notes").contains(mark))
                .map(read)
                .collect()
        })
    }

    /// Everybody has names, a phone number and an e-mail address of their own. Birth dates are not kept.
    fn known_people(&self) -> Vec<(i64, PatientDetails)> {
        let known = |state: &SimState, row: &Value| {
            let id = row.get("id").and_then(Value::as_i64).expect("a number");
            let phone = state.rows(Table::PhoneNumber).find(|phone| {
                last_number(phone.get("client")).and_then(|client| i64::try_from(client).ok()) == Some(id)
            });
            let details = PatientDetails {
                firstname: text_of(row, "firstname"),
                lastname: text_of(row, "lastname"),
                dob: NaiveDate::from_ymd_opt(1980, 1, 1).expect("a day") + TimeDelta::days(id * 17),
                phone: phone.map(|phone| text_of(phone, "phone_number")).unwrap_or_default(),
                email: text_of(row, "email"),
                is_new_patient: false,
                ..PatientDetails::default()
            };
            (id, details)
        };
        self.sim.inspect(|state| state.rows(Table::Client).map(|row| known(state, row)).collect())
    }

    fn register(&self, patient: &PatientDetails) -> i64 {
        let fields = json!({
            "firstname": patient.firstname, "lastname": patient.lastname, "email": patient.email,
            "street_address": patient.address, "city": patient.suburb, "zip_code": patient.postcode,
        });
        let id = self.sim.staff(|state, now| state.register(&fields, &[&patient.phone], now));
        i64::try_from(id).expect("a number")
    }

    fn enter(&self, user: &str, starts: NaiveDateTime, patient: i64) {
        let department = self.number_of(Table::Department, "name", "Harbour Vets");
        let user = user.parse().expect("a number");
        let at = crate::zone().instant(PracticeTime(starts));
        self.sim.staff(|state, now| {
            let client = u64::try_from(patient).ok();
            state.enter((user, department), (at, TimeDelta::minutes(15)), client, now)
        });
    }

    /// What staff entered with somebody at that time.
    fn entered(&self, user: &str, starts: NaiveDateTime) -> Vec<u64> {
        let at = crate::zone().instant(PracticeTime(starts));
        let user = user.parse().ok();
        let fits = |row: &&Value| {
            last_number(row.get("user")) == user
                && time(row.get("start")) == Some(at)
                && text_of(row, "notes").is_empty()
        };
        self.sim.inspect(|state| {
            let rows = state.rows(Table::Appointment).filter(fits);
            rows.filter_map(|row| row.get("id")?.as_u64()).collect()
        })
    }

    fn take_out(&self, user: &str, starts: NaiveDateTime) {
        for id in self.entered(user, starts) {
            self.sim.staff(|state, _| state.delete(Table::Appointment, id));
        }
    }

    fn cancel_entered(&self, user: &str, starts: NaiveDateTime) {
        for id in self.entered(user, starts) {
            self.sim.staff(|state, now| state.change(Table::Appointment, id, &json!({"active": 0}), now));
        }
    }
}

fn text_of(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The practitioner behind a resource, who may be several: `10:podiatrist`.
fn practitioner(resource: &str) -> &str {
    resource.split(':').next().unwrap_or(resource)
}

/// A text in SQL.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn sqlite_rows(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<Vec<TextRow>> {
    use rusqlite::types::ValueRef;
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = |at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
            })
        };
        found.push((0..columns).map(cell).collect::<rusqlite::Result<TextRow>>()?);
    }
    Ok(found)
}

struct Question {
    sql: String,
    answer: mpsc::Sender<Result<Vec<TextRow>, String>>,
}

/// OpenEMR's database, and a connection to it that does not share the test's own runtime: a test asks and waits, as
/// it does with SQLite.
pub struct OpenEmr {
    url: String,
    questions: Mutex<mpsc::Sender<Question>>,
    _server: Arc<Server>,
}

impl OpenEmr {
    /// Connects to a database that is there.
    pub fn connect(server: Arc<Server>, database: String) -> Self {
        let url = server.url("root", &database);
        let (questions, inbox) = mpsc::channel::<Question>();
        let address = url.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async move {
                // The server itself belongs to the test: a thread that outlives it would leave its folder behind.
                let options = mysql_async::Opts::from_url(&address).expect("an address");
                let connection = mysql_async::Conn::new(options).await;
                let mut connection = connection.expect("a connection");
                connection.query_drop("SET SESSION sql_mode = ''").await.expect("a session");
                while let Ok(Question { sql, answer }) = inbox.recv() {
                    let rows = connection.query::<mysql_async::Row, _>(sql).await;
                    let rows = rows.map(|rows| rows.into_iter().map(text_row).collect());
                    // Whoever asked may have given up.
                    let _nobody_waits = answer.send(rows.map_err(|error| error.to_string()));
                }
            });
        });
        Self { url, questions: Mutex::new(questions), _server: server }
    }

    fn sql(&self, sql: &str) -> Vec<TextRow> {
        let (answer, answered) = mpsc::channel();
        let question = Question { sql: sql.to_owned(), answer };
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(question)
            .expect("the connection lives");
        match answered.recv().expect("an answer") {
            Ok(rows) => rows,
            Err(error) => panic!("{error}: {sql}"),
        }
    }
}

fn text_row(row: mysql_async::Row) -> TextRow {
    row.unwrap()
        .into_iter()
        .map(|value| mysql_async::from_value::<Option<String>>(value).unwrap_or_default())
        .collect()
}
