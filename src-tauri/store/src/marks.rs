//! Digests of what a partner last accepted.

use crate::columns::{Columns, all, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use domain::ids::PracticeId;
use domain::ports::store::{Mark, Marks, StoreError};

#[async_trait]
impl Marks for Store {
    async fn marks(&self, practice: &PracticeId, prefix: &str) -> Result<Vec<Mark>, StoreError> {
        let (practice, prefix) = (practice.to_string(), prefix.to_owned());
        self.call(move |conn| {
            // The comparison lets the key's index find where the prefix begins.
            let sql = "SELECT thing, digest, at FROM mark
                       WHERE practice = ?1 AND thing >= ?2 AND substr(thing, 1, length(?2)) = ?2 ORDER BY thing";
            all(conn, sql, (practice, prefix), |row| {
                Ok(Mark { thing: row.text("thing")?, digest: row.text("digest")?, at: row.time("at")? })
            })
        })
        .await
    }

    async fn set_marks(&self, practice: &PracticeId, marks: &[Mark]) -> Result<(), StoreError> {
        if marks.is_empty() {
            return Ok(());
        }
        let (practice, marks) = (practice.to_string(), marks.to_vec());
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO mark (practice, thing, digest, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (practice, thing) DO UPDATE SET digest = excluded.digest, at = excluded.at",
            )?;
            for mark in &marks {
                statement.execute((&practice, &mark.thing, &mark.digest, time_text(mark.at)))?;
            }
            Ok(())
        })
        .await
    }

    async fn forget_marks(&self, practice: &PracticeId, prefix: &str) -> Result<u64, StoreError> {
        let (practice, prefix) = (practice.to_string(), prefix.to_owned());
        self.write(move |tx| {
            let forgotten = tx.execute(
                "DELETE FROM mark WHERE practice = ?1 AND thing >= ?2 AND substr(thing, 1, length(?2)) = ?2",
                (practice, prefix),
            )?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        })
        .await
    }
}
