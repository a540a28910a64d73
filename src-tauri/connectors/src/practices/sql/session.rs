//! One connection to a practice database, and the statements that run on it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use mysql_async::prelude::Queryable;
use rusqlite::types::ValueRef;

use super::failure::SqlError;
use super::statement::{Spot, Statement};
use super::value::{Parameters, Rows, Value};

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long an idle connection may take to show that it still stands.
const PING_LIMIT: Duration = Duration::from_secs(2);
/// How long SQLite waits for another program's lock; below every settle time.
const SQLITE_BUSY_LIMIT: Duration = Duration::from_millis(2_500);
/// How long a program waits for another one of ours to finish its booking, in seconds.
const ADVISORY_LOCK_SECONDS: u32 = 3;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One consistent view.
    Read,
    /// A booking.
    Write,
}

/// What was found out about the database on a connection.
#[derive(Clone, Debug)]
pub struct Known {
    /// When.
    pub at: DateTime<Utc>,
    /// The values of the profile's probes.
    pub probes: Parameters,
    /// The practice system's version.
    pub version: String,
    /// Whether the profile was tried with that version.
    pub version_supported: bool,
}

/// A connection. Dropping it closes it, and with it any transaction that is open.
pub struct Session {
    driver: Driver,
    advisory_lock: bool,
    /// What was found out on this connection.
    pub known: Option<Known>,
    /// The offset from UTC that was last set, `+10:00`.
    pub offset: Option<String>,
    /// Whose time limits were last set.
    pub limits: Option<Mode>,
}

enum Driver {
    Mysql(Box<mysql_async::Conn>),
    Sqlite(Arc<Mutex<rusqlite::Connection>>),
}

impl Session {
    /// Connects to a MySQL or MariaDB server.
    pub async fn mysql(options: mysql_async::Opts) -> Result<Self, SqlError> {
        let connecting = mysql_async::Conn::new(options);
        let connection = tokio::time::timeout(CONNECT_LIMIT, connecting).await.map_err(too_long)?;
        Ok(Self::new(Driver::Mysql(Box::new(connection.map_err(mysql_error)?))))
    }

    /// Opens an SQLite file that is there already.
    pub async fn sqlite(path: &Path, may_write: bool) -> Result<Self, SqlError> {
        let path = path.to_owned();
        let opening = move || {
            let flags =
                rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = rusqlite::Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(SQLITE_BUSY_LIMIT)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "query_only", !may_write)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        };
        let connection = blocking(opening).await?.map_err(sqlite_error)?;
        Ok(Self::new(Driver::Sqlite(Arc::new(Mutex::new(connection)))))
    }

    fn new(driver: Driver) -> Self {
        Self { driver, advisory_lock: false, known: None, offset: None, limits: None }
    }

    /// Whether the connection still stands.
    pub async fn is_alive(&mut self) -> bool {
        match &mut self.driver {
            Driver::Mysql(connection) => {
                matches!(tokio::time::timeout(PING_LIMIT, connection.ping()).await, Ok(Ok(())))
            }
            Driver::Sqlite(_) => true,
        }
    }

    /// Runs a query and returns all its rows.
    pub async fn query(&mut self, statement: &Statement, values: &Parameters) -> Result<Rows, SqlError> {
        let bound = statement.bind(values);
        match &mut self.driver {
            Driver::Mysql(connection) => mysql_query(connection, statement, bound).await,
            Driver::Sqlite(connection) => {
                let sql = statement.sql.clone();
                let run = move |connection: &mut rusqlite::Connection| sqlite_query(connection, &sql, bound);
                let (columns, rows) = sqlite_call(connection, run).await?;
                Ok(Rows::of(statement, columns, rows))
            }
        }
    }

    /// Runs a statement that changes something, and returns how many rows it changed.
    pub async fn execute(&mut self, statement: &Statement, values: &Parameters) -> Result<u64, SqlError> {
        let bound = statement.bind(values);
        match &mut self.driver {
            Driver::Mysql(connection) => {
                let result = connection.exec_drop(statement.sql.as_str(), mysql_parameters(bound)).await;
                result.map_err(mysql_error)?;
                Ok(connection.affected_rows())
            }
            Driver::Sqlite(connection) => {
                let sql = statement.sql.clone();
                let run = move |connection: &mut rusqlite::Connection| {
                    let mut prepared = connection.prepare_cached(&sql)?;
                    let changed =
                        prepared.execute(rusqlite::params_from_iter(bound.iter().map(sqlite_value)))?;
                    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
                };
                sqlite_call(connection, run).await
            }
        }
    }

    /// Lets the database check a statement, its tables, columns and rights, without running it.
    pub async fn prepare(&mut self, statement: &Statement) -> Result<(), SqlError> {
        match &mut self.driver {
            Driver::Mysql(connection) => {
                let prepared = connection.prep(statement.sql.as_str()).await.map_err(mysql_error)?;
                connection.close(prepared).await.map_err(mysql_error)
            }
            Driver::Sqlite(connection) => {
                let sql = statement.sql.clone();
                sqlite_call(connection, move |connection| connection.prepare(&sql).map(|_| ())).await
            }
        }
    }

    /// Begins a transaction. For writing, takes a lock among our own programs first, so that one wins even where
    /// tables know no locks.
    pub async fn begin(&mut self, mode: Mode) -> Result<(), SqlError> {
        let is_mysql = matches!(self.driver, Driver::Mysql(_));
        match (is_mysql, mode) {
            (true, Mode::Read) => self.command("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await,
            (true, Mode::Write) => {
                self.take_advisory_lock().await?;
                self.command("START TRANSACTION").await
            }
            (false, Mode::Read) => self.command("BEGIN").await,
            (false, Mode::Write) => self.command("BEGIN IMMEDIATE").await,
        }
    }

    /// Makes what was written stand.
    pub async fn commit(&mut self) -> Result<(), SqlError> {
        self.command("COMMIT").await
    }

    /// Undoes what was written, where tables can.
    pub async fn roll_back(&mut self) -> Result<(), SqlError> {
        self.command("ROLLBACK").await
    }

    /// Lets our other programs go on.
    pub async fn release(&mut self) -> Result<(), SqlError> {
        if !self.advisory_lock {
            return Ok(());
        }
        self.command(&format!("DO RELEASE_LOCK({ADVISORY_LOCK_NAME})")).await?;
        self.advisory_lock = false;
        Ok(())
    }

    async fn take_advisory_lock(&mut self) -> Result<(), SqlError> {
        let Driver::Mysql(connection) = &mut self.driver else { return Ok(()) };
        let sql = format!("SELECT GET_LOCK({ADVISORY_LOCK_NAME}, {ADVISORY_LOCK_SECONDS})");
        let taken: Option<Option<i64>> = connection.query_first(sql).await.map_err(mysql_error)?;
        if taken.flatten() != Some(1) {
            return Err(SqlError::Unreachable(
                "another program is writing a booking and does not finish".into(),
            ));
        }
        self.advisory_lock = true;
        Ok(())
    }

    /// Whether the server or file takes no writing at all, whatever the account may do.
    pub async fn is_read_only(&mut self) -> Result<bool, SqlError> {
        match &mut self.driver {
            Driver::Mysql(connection) => {
                let flag: Option<i64> =
                    connection.query_first("SELECT @@global.read_only").await.map_err(mysql_error)?;
                Ok(flag.is_some_and(|flag| flag != 0))
            }
            Driver::Sqlite(connection) => {
                sqlite_call(connection, |connection| connection.is_readonly("main")).await
            }
        }
    }

    /// The database's own name and version: `MariaDB 10.11.19`.
    pub async fn engine_version(&mut self) -> Result<String, SqlError> {
        match &mut self.driver {
            Driver::Mysql(connection) => {
                let version: Option<String> =
                    connection.query_first("SELECT VERSION()").await.map_err(mysql_error)?;
                let version = version.unwrap_or_default();
                let number = version.split('-').next().unwrap_or_default();
                let name = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
                Ok(format!("{name} {number}"))
            }
            Driver::Sqlite(_) => Ok(format!("SQLite {}", rusqlite::version())),
        }
    }

    async fn command(&mut self, sql: &str) -> Result<(), SqlError> {
        match &mut self.driver {
            Driver::Mysql(connection) => connection.query_drop(sql).await.map_err(mysql_error),
            Driver::Sqlite(connection) => {
                let sql = sql.to_owned();
                sqlite_call(connection, move |connection| connection.execute_batch(&sql)).await
            }
        }
    }
}

/// One lock per practice database, since a server may hold several; hashed, because names of locks are short.
const ADVISORY_LOCK_NAME: &str = "CONCAT('clinic_companion_', MD5(DATABASE()))";

async fn mysql_query(
    connection: &mut mysql_async::Conn,
    statement: &Statement,
    bound: Vec<Value>,
) -> Result<Rows, SqlError> {
    let mut result =
        connection.exec_iter(statement.sql.as_str(), mysql_parameters(bound)).await.map_err(mysql_error)?;
    let columns = result.columns().map(|columns| columns.to_vec()).unwrap_or_default();
    let columns = columns.iter().map(|column| column.name_str().into_owned()).collect();
    // Row by row: a large book is not to be in memory twice.
    let translated = result.map(|row| row.unwrap().into_iter().map(from_mysql).collect()).await;
    let rows = translated.map_err(mysql_error)?;
    result.drop_result().await.map_err(mysql_error)?;
    Ok(Rows::of(statement, columns, rows))
}

fn mysql_parameters(bound: Vec<Value>) -> mysql_async::Params {
    if bound.is_empty() {
        return mysql_async::Params::Empty;
    }
    let to_mysql = |value| match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Integer(number) => mysql_async::Value::Int(number),
        Value::Real(number) => mysql_async::Value::Double(number),
        Value::Text(text) => mysql_async::Value::Bytes(text.into_bytes()),
    };
    mysql_async::Params::Positional(bound.into_iter().map(to_mysql).collect())
}

fn from_mysql(value: mysql_async::Value) -> Value {
    use mysql_async::Value as M;
    match value {
        M::NULL => Value::Null,
        M::Bytes(bytes) => Value::Text(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        M::Int(number) => Value::Integer(number),
        M::UInt(number) => {
            i64::try_from(number).map_or_else(|_| Value::Text(number.to_string()), Value::Integer)
        }
        M::Float(number) => Value::Real(f64::from(number)),
        M::Double(number) => Value::Real(number),
        // Zero dates are how some systems write "none".
        M::Date(0, ..) | M::Date(_, 0, ..) | M::Date(_, _, 0, ..) => Value::Null,
        M::Date(year, month, day, 0, 0, 0, 0) => Value::Text(format!("{year:04}-{month:02}-{day:02}")),
        M::Date(year, month, day, hour, minute, second, _) => {
            Value::Text(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
        }
        M::Time(negative, days, hours, minutes, seconds, _) => {
            let total = i64::from(days) * 86_400
                + i64::from(hours) * 3_600
                + i64::from(minutes) * 60
                + i64::from(seconds);
            Value::Integer(if negative { -total } else { total })
        }
    }
}

fn too_long(_: tokio::time::error::Elapsed) -> SqlError {
    SqlError::Unreachable("it took too long to connect".into())
}

/// Sorts the driver's failures. What the server says about data may quote it, so it is not kept.
fn mysql_error(error: mysql_async::Error) -> SqlError {
    let server = match error {
        mysql_async::Error::Server(server) => server,
        mysql_async::Error::Io(error) => return SqlError::Unreachable(error.into()),
        mysql_async::Error::Driver(mysql_async::DriverError::StmtParamsMismatch { .. }) => {
            return SqlError::Statement {
                words: "the server counts other parameters than the profile".into(),
                spot: None,
            };
        }
        // The rest is a connection that broke in an odd way; its text may hold a packet.
        mysql_async::Error::Driver(_) | mysql_async::Error::Other(_) | mysql_async::Error::Url(_) => {
            return SqlError::Unreachable("the connection broke".into());
        }
    };
    match server.code {
        1044 | 1045 | 1698 | 1820 | 1862 | 3118 | 4151 => SqlError::AccessDenied,
        1040
        | 1041
        | 1042
        | 1047
        | 1053
        | 1080
        | 1129
        | 1130
        | 1152..=1161
        | 1184
        | 1203
        | 1226
        | 1317
        | 1836
        | 1927
        | 1969
        | 2006
        | 2013
        | 3024
        | 4031 => SqlError::Unreachable(format!("the server answered with error {}", server.code).into()),
        1142 | 1143 | 1227 | 1290 | 1370 | 1792 => {
            SqlError::RightMissing { right: missing_right(&server.message) }
        }
        1049 => SqlError::NoDatabase("the server has no such database"),
        1064 => syntax_error(server.message),
        1051 | 1052 | 1054 | 1060 | 1072 | 1109 | 1111 | 1115 | 1128 | 1140 | 1146 | 1176 | 1193 | 1205
        | 1210 | 1213 | 1222 | 1241 | 1242 | 1305 | 1364 | 1582 | 1630 => match server.code {
            code @ (1193 | 1205 | 1213) => SqlError::Server { code: u32::from(code) },
            _ => SqlError::Statement { words: server.message, spot: None },
        },
        code => SqlError::Server { code: u32::from(code) },
    }
}

/// A syntax error with its place, out of `You have an error in your SQL syntax; … to use near 'SELEKT …' at line 1`. That
/// line is the SQL's, and would be taken for the file's.
fn syntax_error(message: String) -> SqlError {
    let spot = message.split_once(" near '").and_then(|(_, rest)| {
        let (text, line) = rest.rsplit_once("' at line ")?;
        Some(Spot::Near { text: text.to_owned(), line: line.trim().parse().ok()? })
    });
    let words = match &spot {
        Some(Spot::Near { text, .. }) if text.trim().is_empty() => "syntax error at its end".to_owned(),
        Some(Spot::Near { text, .. }) => {
            let shown: String = text.trim().lines().next().unwrap_or_default().chars().take(40).collect();
            format!("syntax error near `{}`", shown.trim_end())
        }
        Some(Spot::Byte(_)) | None => message,
    };
    SqlError::Statement { words, spot }
}

/// `INSERT on patient_data`, out of `INSERT command denied to user 'x'@'y' for table `db`.`patient_data``.
fn missing_right(message: &str) -> String {
    let right = message.split(" command denied").next().unwrap_or_default();
    if right.len() == message.len() {
        return "to write at all: the server is read-only or demands a special privilege".into();
    }
    let after = |word: &str| message.rsplit_once(word).map(|(_, rest)| rest);
    let table = after(" for table ").map(|rest| {
        let name = rest.rsplit('.').next().unwrap_or(rest);
        name.trim_matches(|c| c == '`' || c == '\'').to_owned()
    });
    let column = message
        .split_once(" for column '")
        .and_then(|(_, rest)| rest.split('\'').next())
        .map(|column| format!("({column})"))
        .unwrap_or_default();
    let table = table.or_else(|| after(" in table '").map(|rest| rest.trim_matches('\'').to_owned()));
    match table {
        Some(table) => format!("{right}{column} on {table}"),
        None => right.to_owned(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SqlError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| SqlError::Unreachable("the thread that speaks to the database stopped".into()))
}

async fn sqlite_call<T: Send + 'static>(
    connection: &Arc<Mutex<rusqlite::Connection>>,
    work: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, SqlError> {
    let connection = Arc::clone(connection);
    let run = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
    blocking(run).await?.map_err(sqlite_error)
}

fn sqlite_query(
    connection: &mut rusqlite::Connection,
    sql: &str,
    bound: Vec<Value>,
) -> rusqlite::Result<(Vec<String>, Vec<Vec<Value>>)> {
    let mut prepared = connection.prepare_cached(sql)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let mut rows = Vec::new();
    let mut cursor = prepared.query(rusqlite::params_from_iter(bound.iter().map(sqlite_value)))?;
    while let Some(row) = cursor.next()? {
        let cell = |at| -> rusqlite::Result<Value> {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    Value::Text(String::from_utf8_lossy(bytes).into_owned())
                }
            })
        };
        rows.push((0..width).map(cell).collect::<rusqlite::Result<Vec<Value>>>()?);
    }
    Ok((columns, rows))
}

fn sqlite_value(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(number) => rusqlite::types::Value::Integer(*number),
        Value::Real(number) => rusqlite::types::Value::Real(*number),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
    }
}

fn sqlite_error(error: rusqlite::Error) -> SqlError {
    use rusqlite::ErrorCode as C;
    // Its own words quote the whole SQL.
    if let rusqlite::Error::SqlInputError { msg, offset, .. } = error {
        return SqlError::Statement { words: msg, spot: usize::try_from(offset).ok().map(Spot::Byte) };
    }
    let rusqlite::Error::SqliteFailure(failure, words) = error else {
        return SqlError::Statement { words: error.to_string(), spot: None };
    };
    let is_gone = [
        C::DatabaseBusy,
        C::DatabaseLocked,
        C::SystemIoFailure,
        C::DiskFull,
        C::CannotOpen,
        C::FileLockingProtocolFailed,
        C::OperationInterrupted,
    ];
    if is_gone.contains(&failure.code) {
        SqlError::Unreachable(failure.to_string().into())
    } else if [C::PermissionDenied, C::AuthorizationForStatementDenied].contains(&failure.code) {
        SqlError::AccessDenied
    } else if failure.code == C::ReadOnly {
        SqlError::RightMissing { right: "to write into the file".into() }
    } else if failure.code == C::NotADatabase {
        SqlError::NoDatabase("the file is no SQLite database")
    } else {
        match words {
            // SQLite's messages about statements name tables and columns, never what is in them.
            Some(words) if failure.code == C::Unknown => SqlError::Statement { words, spot: None },
            Some(_) | None => {
                SqlError::Server { code: u32::try_from(failure.extended_code).unwrap_or_default() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_says_where_and_not_in_which_line_of_the_sql() {
        let said = |near: &str| {
            let manual = "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB \
                          server version for the right syntax to use";
            let error = syntax_error(format!("{manual}{near}"));
            let SqlError::Statement { words, spot } = error else { panic!("{error:?}") };
            (words, spot)
        };
        let (words, spot) = said(" near 'SELEKT id, name\n  FROM facility WHERE x = 'y'' at line 2");
        assert_eq!(words, "syntax error near `SELEKT id, name`");
        let text = "SELEKT id, name\n  FROM facility WHERE x = 'y'".to_owned();
        assert_eq!(spot, Some(Spot::Near { text, line: 2 }));
        let (words, spot) = said(" near '' at line 3");
        assert_eq!(words, "syntax error at its end");
        assert_eq!(spot, Some(Spot::Near { text: String::new(), line: 3 }));
        let (words, spot) = said(" elsewhere");
        assert!(words.ends_with("to use elsewhere") && spot.is_none());
    }
}
