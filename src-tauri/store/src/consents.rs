//! Who agreed to what.

use crate::audit;
use crate::columns::{Columns, Fault, all, first, time_text, very_many};
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::in_practice::KeptAnswer;
use domain::consent::{Agreement, Consent, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::store::{Consents, DecidedAnswer, StoreError};
use domain::private::Private;
use rusqlite::{Connection, Transaction, named_params};

const COLUMNS: &str =
    "number, practice, partner, patient, given, guardian, photo_and_video, how, recorded_by, wording, at";

#[async_trait]
impl Consents for Store {
    async fn record_consents(&self, lines: &[ConsentLine]) -> Result<u64, StoreError> {
        let lines = lines.to_vec();
        let appended = self.write(move |tx| record(tx, &lines, None)).await?;
        if appended > 0 {
            self.announce();
        }
        Ok(appended)
    }

    async fn consents(&self, practice: &PracticeId, partner: &PartnerId) -> Result<Vec<Consent>, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.to_string());
        self.call(move |conn| {
            // The index gives the last number of each patient without a look at the lines before.
            let sql = format!(
                "SELECT {COLUMNS} FROM (SELECT max(number) AS last FROM consent WHERE practice = ?1 AND partner = ?2
                                        GROUP BY patient)
                 CROSS JOIN consent ON number = last"
            );
            let mut last = very_many(conn, &sql, (practice, partner), |row| read(row))?;
            // They come in this order already; SQLite does not know that, and would carry whole rows about.
            last.sort_by(|a, b| a.line.patient.cmp(&b.line.patient));
            Ok(last)
        })
        .await
    }

    async fn consents_since(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        after: i64,
    ) -> Result<Vec<Consent>, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.to_string());
        self.call(move |conn| {
            // The lines themselves are in the order of their numbers, so that only the new ones are read.
            let sql = format!(
                "SELECT {COLUMNS} FROM consent WHERE number IN
                     (SELECT max(number) FROM consent WHERE number > ?3 AND practice = ?1 AND partner = ?2
                      GROUP BY patient)
                 ORDER BY number"
            );
            very_many(conn, &sql, (practice, partner, after), |row| read(row))
        })
        .await
    }

    async fn consent(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<Consent>, StoreError> {
        let (practice, partner, patient) = (practice.clone(), partner.clone(), patient.clone());
        self.call(move |conn| last_about(conn, &practice, &partner, &patient)).await
    }

    async fn consent_history(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
    ) -> Result<Vec<Consent>, StoreError> {
        let (practice, patient) = (practice.to_string(), patient.to_string());
        self.call(move |conn| {
            let sql =
                format!("SELECT {COLUMNS} FROM consent WHERE practice = ?1 AND patient = ?2 ORDER BY number");
            all(conn, &sql, (practice, patient), |row| read(row))
        })
        .await
    }

    async fn last_consent(&self) -> Result<i64, StoreError> {
        self.call(|conn| {
            let sql = "SELECT coalesce(max(number), 0) AS number FROM consent";
            Ok(first(conn, sql, [], |row| row.value("number"))?.unwrap_or(0))
        })
        .await
    }

    async fn kept_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.to_string());
        self.call(move |conn| {
            let sql = "SELECT patient, yes, digest FROM practice_answer WHERE practice = ?1 AND partner = ?2";
            very_many(conn, sql, (practice, partner), |row| {
                let patient = PatientRef::new(row.text("patient")?);
                Ok(KeptAnswer { patient, yes: row.value("yes")?, digest: row.text("digest")? })
            })
        })
        .await
    }

    async fn keep_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        read_with: &str,
        answers: &[DecidedAnswer],
        now: DateTime<Utc>,
    ) -> Result<(u64, u64), StoreError> {
        let (practice, partner, answers) = (practice.clone(), partner.clone(), answers.to_vec());
        let read_with = read_with.to_owned();
        let keep = move |tx: &Transaction<'_>| {
            still_has(tx, &practice, &read_with)?;
            keep(tx, &practice, &partner, &answers, now)
        };
        let kept = self.write(keep).await?;
        if kept.0 > 0 {
            self.announce();
        }
        Ok(kept)
    }
}

/// Refuses what was read with another profile than the practice has now.
fn still_has(tx: &Transaction<'_>, practice: &PracticeId, read_with: &str) -> Result<(), Fault> {
    let sql = "SELECT system_profile FROM practice WHERE id = ?1";
    let profile = first(tx, sql, [practice.as_str()], |row| row.text("system_profile"))?;
    if profile.as_deref() == Some(read_with) { Ok(()) } else { Err(StoreError::Stale.into()) }
}

fn keep(
    tx: &Transaction<'_>,
    practice: &PracticeId,
    partner: &PartnerId,
    answers: &[DecidedAnswer],
    now: DateTime<Utc>,
) -> Result<(u64, u64), Fault> {
    let (mut lines, mut left) = (Vec::new(), 0);
    for DecidedAnswer { answer, last, line } in answers {
        let known = last_about(tx, practice, partner, &answer.patient)?;
        if known.map(|known| known.number) != *last {
            left += 1;
            continue;
        }
        tx.prepare_cached(
            "INSERT INTO practice_answer (practice, partner, patient, yes, digest)
             VALUES (:practice, :partner, :patient, :yes, :digest)
             ON CONFLICT (practice, partner, patient) DO UPDATE SET yes = excluded.yes, digest = excluded.digest",
        )?
        .execute(named_params! {
            ":practice": practice.as_str(),
            ":partner": partner.as_str(),
            ":patient": answer.patient.as_str(),
            ":yes": answer.yes,
            ":digest": answer.digest,
        })?;
        lines.extend(line.clone());
    }
    Ok((record(tx, &lines, Some(now))?, left))
}

fn last_about(
    conn: &Connection,
    practice: &PracticeId,
    partner: &PartnerId,
    patient: &PatientRef,
) -> Result<Option<Consent>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM consent WHERE practice = ?1 AND partner = ?2 AND patient = ?3
         ORDER BY number DESC LIMIT 1"
    );
    first(conn, &sql, (practice.as_str(), partner.as_str(), patient.as_str()), |row| read(row))
}

/// Appends lines. The trail says `trail_at`, or what the line says.
fn record(
    tx: &Transaction<'_>,
    lines: &[ConsentLine],
    trail_at: Option<DateTime<Utc>>,
) -> Result<u64, Fault> {
    let mut audited = Vec::new();
    for line in lines {
        let known = last_about(tx, &line.practice, &line.partner, &line.patient)?;
        if known.is_some_and(|known| known.line.said == line.said && known.line.wording == line.wording) {
            continue;
        }
        let (agreement, what) = match &line.said {
            Said::Yes(agreement) => (Some(agreement), AuditEvent::ConsentGiven),
            Said::No => (None, AuditEvent::ConsentWithdrawn),
        };
        tx.prepare_cached(
            "INSERT INTO consent (practice, partner, patient, given, guardian, photo_and_video, how, recorded_by,
                                  wording, at)
             VALUES (:practice, :partner, :patient, :given, :guardian, :photo_and_video, :how, :recorded_by, :wording,
                     :at)",
        )?
        .execute(named_params! {
            ":practice": line.practice.as_str(),
            ":partner": line.partner.as_str(),
            ":patient": line.patient.as_str(),
            ":given": agreement.is_some(),
            ":guardian": agreement.and_then(|agreement| agreement.guardian.as_ref()).map(Private::reveal),
            ":photo_and_video": agreement.is_some_and(|agreement| agreement.photo_and_video),
            ":how": line.how.name(),
            ":recorded_by": line.recorded_by.reveal(),
            ":wording": line.wording,
            ":at": time_text(line.at),
        })?;
        audited.push(AuditLine {
            at: trail_at.unwrap_or(line.at),
            practice: line.practice.clone(),
            partner: line.partner.clone(),
            patient: Some(line.patient.clone()),
            what,
            fields: Vec::new(),
            consent: Some(tx.last_insert_rowid()),
            told_as: None,
            by: Some(line.recorded_by.clone()),
        });
    }
    audit::append(tx, &audited)?;
    Ok(u64::try_from(audited.len()).unwrap_or(u64::MAX))
}

fn read(row: &impl Columns) -> Result<Consent, Fault> {
    let said = if row.value("given")? {
        Said::Yes(Agreement {
            guardian: row.value::<Option<String>>("guardian")?.map(Private::new),
            photo_and_video: row.value("photo_and_video")?,
        })
    } else {
        Said::No
    };
    Ok(Consent {
        number: row.value("number")?,
        line: ConsentLine {
            practice: PracticeId::new(row.text("practice")?),
            partner: PartnerId::new(row.text("partner")?),
            patient: PatientRef::new(row.text("patient")?),
            said,
            how: row.parsed("how", ConsentHow::named)?,
            recorded_by: Private::new(row.text("recorded_by")?),
            wording: row.text("wording")?,
            at: row.time("at")?,
        },
    })
}
