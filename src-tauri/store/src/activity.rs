//! What happened, in lines for people.

use crate::columns::{Columns, all, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::booking::BOOKED_AT_UNKNOWN;
use domain::ids::PracticeId;
use domain::ports::store::{Activity, ActivityLine, StoreError};

/// How many lines of a practice are kept. Counted and not timed, so that a clock that jumps ahead loses nothing.
pub(crate) const LINES_KEPT: u32 = 5_000;

#[async_trait]
impl Activity for Store {
    async fn tell(&self, practice: &PracticeId, line: &ActivityLine) -> Result<(), StoreError> {
        let (practice, line) = (practice.to_string(), line.clone());
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO activity (practice, at, began_at, kind, text) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((
                &practice,
                time_text(line.at),
                line.began_at.map(time_text),
                &line.kind,
                &line.text,
            ))?;
            // Nothing is looked through until there are as many lines in all.
            if tx.last_insert_rowid() > i64::from(LINES_KEPT) {
                tx.prepare_cached(
                    "DELETE FROM activity WHERE practice = ?1 AND id <= (
                         SELECT id FROM activity WHERE practice = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                )?
                .execute((&practice, LINES_KEPT))?;
            }
            Ok(())
        })
        .await
    }

    async fn told(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<ActivityLine>, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            let sql = "SELECT at, began_at, kind, text FROM activity WHERE practice = ?1 AND at >= ?2 ORDER BY at, id";
            all(conn, sql, (practice, time_text(since)), |row| {
                Ok(ActivityLine {
                    at: row.time("at")?,
                    began_at: row.time_if_given("began_at")?,
                    kind: row.text("kind")?,
                    text: row.text("text")?,
                })
            })
        })
        .await
    }

    async fn round_trips(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, u32)>, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            let sql = "SELECT booked_at, answered_at FROM booking
                       WHERE practice = ?1 AND answered_at >= ?2 AND booked_at <> ?3 ORDER BY answered_at, id";
            all(conn, sql, (practice, time_text(since), time_text(BOOKED_AT_UNKNOWN)), |row| {
                let (booked_at, answered_at) = (row.time("booked_at")?, row.time("answered_at")?);
                // Two clocks are involved: a partner's clock that runs ahead makes the time zero, not negative.
                let took = (answered_at - booked_at).num_milliseconds().clamp(0, i64::from(u32::MAX));
                Ok((answered_at, u32::try_from(took).unwrap_or(u32::MAX)))
            })
        })
        .await
    }
}
