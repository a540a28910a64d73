//! What left this computer, line by line, each with the digest over itself and the one before.

use crate::columns::{Columns, Fault, all, first, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use domain::audit::{AuditEntry, AuditEvent, AuditLine};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::store::{AuditTrail, StoreError};
use domain::private::Private;
use rusqlite::{Connection, Row, Transaction, named_params};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The digest before the first line.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// How many lines are looked through at once.
const PAGE: i64 = 10_000;
const COLUMNS: &str =
    "number, at, practice, partner, patient, what, fields, consent, told_as, done_by, digest";

#[async_trait]
impl AuditTrail for Store {
    async fn audit(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        let lines = lines.to_vec();
        self.write(move |tx| append(tx, &lines)).await
    }

    async fn audited(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.call(move |conn| {
            let sql = format!("SELECT {COLUMNS} FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2");
            all(conn, &sql, (after, limit), read)
        })
        .await
    }

    async fn audited_of(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (practice, patient) = (practice.to_string(), patient.to_string());
        self.call(move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE practice = ?1 AND patient = ?2 ORDER BY number DESC LIMIT ?3"
            );
            all(conn, &sql, (practice, patient, limit), read)
        })
        .await
    }

    async fn audit_broken_at(&self) -> Result<Option<i64>, StoreError> {
        self.call(|conn| {
            let sql = format!("SELECT {COLUMNS} FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2");
            let (mut number, mut before) = (0_i64, NOTHING_BEFORE.to_owned());
            loop {
                let page = all(conn, &sql, (number, PAGE), read)?;
                for entry in &page {
                    number += 1;
                    if entry.number != number || entry.digest != digest(&before, number, &entry.line) {
                        return Ok(Some(number));
                    }
                    before.clone_from(&entry.digest);
                }
                if page.is_empty() {
                    return Ok(None);
                }
            }
        })
        .await
    }
}

/// Appends lines within a transaction that does something else besides.
pub(crate) fn append(tx: &Transaction<'_>, lines: &[AuditLine]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let (mut number, mut before) = last(tx)?.unwrap_or((0, NOTHING_BEFORE.to_owned()));
    let mut statement = tx.prepare_cached(
        "INSERT INTO audit (number, at, practice, partner, patient, what, fields, consent, told_as, done_by, digest)
         VALUES (:number, :at, :practice, :partner, :patient, :what, :fields, :consent, :told_as, :done_by, :digest)",
    )?;
    for line in lines {
        number += 1;
        before = digest(&before, number, line);
        statement.execute(named_params! {
            ":number": number,
            ":at": time_text(line.at),
            ":practice": line.practice.as_str(),
            ":partner": line.partner.as_str(),
            ":patient": line.patient.as_ref().map(PatientRef::as_str),
            ":what": line.what.name(),
            ":fields": line.fields.join(" "),
            ":consent": line.consent,
            ":told_as": line.told_as,
            ":done_by": line.by.as_ref().map(Private::reveal),
            ":digest": before,
        })?;
    }
    Ok(())
}

fn last(conn: &Connection) -> Result<Option<(i64, String)>, Fault> {
    let sql = "SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1";
    first(conn, sql, [], |row| Ok((row.value("number")?, row.text("digest")?)))
}

/// As the schema describes it, so that others can check an export.
fn digest(before: &str, number: i64, line: &AuditLine) -> String {
    let mut text = String::new();
    let mut add = |value: Option<&str>| match value {
        // Writing to a string cannot fail.
        Some(value) => drop(write!(text, "{}:{value}", value.len())),
        None => text.push('-'),
    };
    add(Some(&number.to_string()));
    add(Some(&time_text(line.at)));
    add(Some(line.practice.as_str()));
    add(Some(line.partner.as_str()));
    add(line.patient.as_ref().map(PatientRef::as_str));
    add(Some(line.what.name()));
    add(Some(&line.fields.join(" ")));
    add(line.consent.map(|number| number.to_string()).as_deref());
    add(line.told_as.as_deref());
    add(line.by.as_ref().map(|by| by.reveal().as_str()));
    let hash = Sha256::new().chain_update(before).chain_update(text).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
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
