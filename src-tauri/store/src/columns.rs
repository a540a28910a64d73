//! How values stand in columns, and how rows are read without any of their content reaching an error.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use domain::failure::Cause;
use domain::ports::store::StoreError;
use rusqlite::{Connection, ErrorCode, Params, Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

/// Text that does not mean what its column says. The text itself stays out, because it may be personal.
#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds something unreadable")]
pub(crate) struct Unreadable(pub &'static str);

/// What can go wrong on the store's thread.
#[derive(Debug)]
pub(crate) enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

impl From<Unreadable> for Fault {
    fn from(error: Unreadable) -> Self {
        Fault::Store(StoreError::Failed(error.into()))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Sqlite(error) => match Trouble::of(&error) {
                Trouble::DiskFull => StoreError::DiskFull,
                Trouble::ReadOnly => StoreError::ReadOnly,
                Trouble::NotADatabase | Trouble::Damaged | Trouble::Busy | Trouble::Other => {
                    StoreError::Failed(harmless(error))
                }
            },
        }
    }
}

/// SQLite's failures, sorted by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    DiskFull,
    ReadOnly,
    NotADatabase,
    Damaged,
    Busy,
    Other,
}

impl Trouble {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Trouble::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Trouble::ReadOnly
            }
            Some(ErrorCode::NotADatabase) => Trouble::NotADatabase,
            Some(ErrorCode::DatabaseCorrupt) => Trouble::Damaged,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
            _ => Trouble::Other,
        }
    }
}

/// The error without anything that came out of a column. SQLite's own messages name tables and columns, never values.
pub(crate) fn harmless(error: rusqlite::Error) -> Cause {
    if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) {
        return Box::new(Unreadable("of a row"));
    }
    Box::new(error)
}

/// RFC 3339 in UTC with milliseconds. Clamped to the years 0 to 9999, outside of which such texts do not sort.
pub(crate) fn time_text(at: DateTime<Utc>) -> String {
    let edge = |year, month, day, time| {
        NaiveDate::from_ymd_opt(year, month, day)
            .map(|date| Utc.from_utc_datetime(&NaiveDateTime::new(date, time)))
    };
    let last_moment = NaiveTime::from_hms_milli_opt(23, 59, 59, 999).unwrap_or(NaiveTime::MIN);
    let first = edge(0, 1, 1, NaiveTime::MIN).unwrap_or(at);
    let last = edge(9999, 12, 31, last_moment).unwrap_or(at);
    at.max(first).min(last).to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn json<T: Serialize>(value: &T, column: &'static str) -> Result<String, Unreadable> {
    serde_json::to_string(value).map_err(|_| Unreadable(column))
}

pub(crate) const WALL_CLOCK: &str = "%Y-%m-%dT%H:%M:%S%.f";

/// Reads the columns of one row, by name.
pub(crate) trait Columns {
    fn value<T: FromSql>(&self, column: &'static str) -> Result<T, Fault>;

    fn text(&self, column: &'static str) -> Result<String, Fault> {
        self.value(column)
    }

    /// Text through a reader of its own, which may say that it means nothing.
    fn parsed<T>(&self, column: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        Ok(read(&self.text(column)?).ok_or(Unreadable(column))?)
    }

    /// The same, where the column may be empty.
    fn parsed_if_given<T>(
        &self,
        column: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        match self.value::<Option<String>>(column)? {
            None => Ok(None),
            Some(text) => Ok(Some(read(&text).ok_or(Unreadable(column))?)),
        }
    }

    fn time(&self, column: &'static str) -> Result<DateTime<Utc>, Fault> {
        self.parsed(column, read_time)
    }

    fn time_if_given(&self, column: &'static str) -> Result<Option<DateTime<Utc>>, Fault> {
        self.parsed_if_given(column, read_time)
    }

    fn json_value<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        self.parsed(column, |text| serde_json::from_str(text).ok())
    }

    fn json_if_given<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        self.parsed_if_given(column, |text| serde_json::from_str(text).ok())
    }
}

impl Columns for Row<'_> {
    fn value<T: FromSql>(&self, column: &'static str) -> Result<T, Fault> {
        self.get(column).map_err(|error| {
            if matches!(error, rusqlite::Error::InvalidColumnName(_)) {
                return Fault::Sqlite(error);
            }
            Unreadable(column).into()
        })
    }
}

/// A row whose columns are found among names that were read once. To search by name in SQLite costs as much as all the
/// rest of reading a row, which shows where there are hundreds of thousands of them.
pub(crate) struct Named<'a> {
    row: &'a Row<'a>,
    names: &'a [String],
}

impl Columns for Named<'_> {
    fn value<T: FromSql>(&self, column: &'static str) -> Result<T, Fault> {
        let place = self.names.iter().position(|name| name == column);
        let place = place.ok_or_else(|| rusqlite::Error::InvalidColumnName(column.to_owned()))?;
        self.row.get(place).map_err(|_| Unreadable(column).into())
    }
}

/// Every row of a query that may have hundreds of thousands, read.
pub(crate) fn very_many<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Named<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Named { row, names: &names })?);
    }
    Ok(found)
}

pub(crate) fn read_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}

/// Every row of a query, read.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a query, read, where there is one.
pub(crate) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}
