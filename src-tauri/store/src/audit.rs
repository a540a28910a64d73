//! What left this computer, line by line, each with the digest over itself and the one before.

use crate::columns::{Columns, Fault, Unreadable, all, first, time_text};
use crate::keys::hex;
use crate::thread::Store;
use async_trait::async_trait;
use domain::audit::{AuditEntry, AuditEvent, AuditLine};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::store::{AuditTrail, StoreError};
use domain::private::Private;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Transaction, params_from_iter};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;

/// The digest before the first line.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// How many lines are checked at once, so that nobody else waits for the whole trail.
const PAGE: u32 = 10_000;
const COLUMNS: &str =
    "number, at, practice, partner, patient, what, fields, consent, told_as, done_by, digest";
/// How many of them, from the first on, a digest covers.
const COVERED: usize = 10;

#[async_trait]
impl AuditTrail for Store {
    async fn audit(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        let lines = lines.to_vec();
        self.write(move |tx| append(tx, &lines)).await
    }

    async fn audited(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.call(move |conn| all(conn, &after_sql(), (after, limit), read)).await
    }

    async fn audit_broken_at(&self) -> Result<Option<i64>, StoreError> {
        let mut checked = (0, NOTHING_BEFORE.to_owned());
        loop {
            match self.call(move |conn| check(conn, checked)).await? {
                ControlFlow::Continue(further) => checked = further,
                ControlFlow::Break(broken_at) => return Ok(broken_at),
            }
        }
    }
}

/// A line of the trail as its columns hold it, whether or not anybody can make sense of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub number: i64,
    /// The columns from `number` to `digest`, in the schema's order, as text; none where one holds nothing, or no text.
    pub columns: [Option<Private<String>>; COVERED + 1],
    /// What it says; none where it means nothing to this version of the program.
    pub entry: Option<AuditEntry>,
}

impl Store {
    /// The lines with a greater number than `after`, oldest first, at most `limit`, as they stand there: one that was
    /// changed, or that a newer version wrote, holds back no other.
    ///
    /// # Errors
    /// When the records cannot be read at all.
    pub async fn audit_rows(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.call(move |conn| all(conn, &after_sql(), (after, limit), as_it_stands)).await
    }

    /// The lines about one patient, newest first, at most `limit`, as they stand there.
    ///
    /// # Errors
    /// When the records cannot be read at all.
    pub async fn audit_rows_of(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let (practice, patient) = (practice.to_string(), patient.to_string());
        self.call(move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE practice = ?1 AND patient = ?2 ORDER BY number DESC LIMIT ?3"
            );
            all(conn, &sql, (practice, patient, limit), as_it_stands)
        })
        .await
    }
}

fn as_it_stands(row: &Row<'_>) -> Result<AuditRow, Fault> {
    let mut columns = [const { None }; COVERED + 1];
    let mut is_text = true;
    for (place, column) in columns.iter_mut().enumerate() {
        let text = match row.get_ref(place)? {
            ValueRef::Null => continue,
            ValueRef::Integer(value) => Some(value.to_string()),
            ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            ValueRef::Blob(_) | ValueRef::Real(_) => None,
        };
        is_text &= text.is_some();
        *column = text.map(Private::new);
    }
    let entry = if is_text { read(row).ok() } else { None };
    Ok(AuditRow { number: row.value("number")?, columns, entry })
}

fn after_sql() -> String {
    format!("SELECT {COLUMNS} FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2")
}

/// Checks the lines after one that fits, whose number and digest are given. Continues with the last line of the page, or
/// ends with the number of the first one that does not fit, or with none. Looks at what stands in the columns, whatever
/// it may mean.
fn check(
    conn: &Connection,
    (mut number, mut before): (i64, String),
) -> Result<ControlFlow<Option<i64>, (i64, String)>, Fault> {
    let since = number;
    let mut statement = conn.prepare_cached(&after_sql())?;
    let mut rows = statement.query((number, PAGE))?;
    while let Some(row) = rows.next()? {
        number += 1;
        let mut line = Chained::after(&before);
        for place in 0..COVERED {
            match row.get_ref(place)? {
                ValueRef::Null => line.add(None),
                ValueRef::Integer(value) => line.add(Some(value.to_string().as_bytes())),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => line.add(Some(bytes)),
                // No column of the table takes one.
                ValueRef::Real(_) => return Ok(ControlFlow::Break(Some(number))),
            }
        }
        before = line.digest();
        let is_next = row.value::<i64>("number")? == number;
        if !is_next || row.get_ref("digest")?.as_bytes().ok() != Some(before.as_bytes()) {
            return Ok(ControlFlow::Break(Some(number)));
        }
    }
    if number > since {
        return Ok(ControlFlow::Continue((number, before)));
    }
    let missing = last(conn)?.0 > number;
    Ok(ControlFlow::Break(missing.then_some(number + 1)))
}

/// Appends lines within a transaction that does something else besides.
pub(crate) fn append(tx: &Transaction<'_>, lines: &[AuditLine]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let (mut number, mut before) = last(tx)?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO audit (number, at, practice, partner, patient, what, fields, consent, told_as, done_by, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for line in lines {
        number += 1;
        let values = covered(number, line);
        let mut chained = Chained::after(&before);
        for value in &values {
            chained.add(value.as_deref().map(str::as_bytes));
        }
        before = chained.digest();
        let digest = Some(before.clone());
        statement.execute(params_from_iter(values.iter().chain([&digest])))?;
    }
    Ok(())
}

/// The last number that was given out, also where its line is not there any more; and the digest of the last line.
fn last(conn: &Connection) -> Result<(i64, String), Fault> {
    let sql = "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0),
                          coalesce((SELECT max(number) FROM audit), 0)) AS number,
                      coalesce((SELECT digest FROM audit ORDER BY number DESC LIMIT 1), ?1) AS digest";
    let found = first(conn, sql, [NOTHING_BEFORE], |row| Ok((row.value("number")?, row.text("digest")?)))?;
    Ok(found.ok_or(Unreadable("digest"))?)
}

/// What stands in the columns that the digest covers, in their order.
fn covered(number: i64, line: &AuditLine) -> [Option<String>; COVERED] {
    [
        Some(number.to_string()),
        Some(time_text(line.at)),
        Some(line.practice.to_string()),
        Some(line.partner.to_string()),
        line.patient.as_ref().map(ToString::to_string),
        Some(line.what.name().to_owned()),
        Some(line.fields.join(" ")),
        line.consent.map(|number| number.to_string()),
        line.told_as.clone(),
        line.by.as_ref().map(|by| by.reveal().clone()),
    ]
}

/// A digest in the making, as the schema describes it for those who check an export.
struct Chained(Sha256);

impl Chained {
    fn after(before: &str) -> Self {
        Self(Sha256::new().chain_update(before))
    }

    fn add(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.0.update("-"),
            Some(bytes) => {
                self.0.update(format!("{}:", bytes.len()));
                self.0.update(bytes);
            }
        }
    }

    fn digest(self) -> String {
        hex(&self.0.finalize())
    }
}

fn read(row: &Row<'_>) -> Result<AuditEntry, Fault> {
    let fields = row.text("fields")?;
    Ok(AuditEntry {
        number: row.value("number")?,
        line: AuditLine {
            at: row.time("at")?,
            practice: PracticeId::new(row.text("practice")?),
            partner: PartnerId::new(row.text("partner")?),
            patient: row.value::<Option<String>>("patient")?.map(PatientRef::new),
            what: row
                .parsed("what", |name| AuditEvent::ALL.into_iter().find(|event| event.name() == name))?,
            fields: fields.split(' ').filter(|field| !field.is_empty()).map(str::to_owned).collect(),
            consent: row.value("consent")?,
            told_as: row.value("told_as")?,
            by: row.value::<Option<String>>("done_by")?.map(Private::new),
        },
        digest: row.text("digest")?,
    })
}
