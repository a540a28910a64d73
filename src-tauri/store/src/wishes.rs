//! What people asked the engine to do.

use crate::columns::{Columns, Fault, Unreadable, all, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::PracticeId;
use domain::ports::store::{OpenWish, StoreError, Wish, Wishes};
use rusqlite::Row;

#[async_trait]
impl Wishes for Store {
    async fn wish(&self, practice: &PracticeId, wish: &Wish, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (practice, wish) = (practice.to_string(), wish.clone());
        self.write(move |tx| {
            let (kind, detail) = match &wish {
                Wish::ResyncConfiguration => ("resync_configuration", ""),
                Wish::ResyncAvailability => ("resync_availability", ""),
                Wish::ResyncPatients => ("resync_patients", ""),
                Wish::AcceptShrink(list) => ("accept_shrink", list.as_str()),
            };
            tx.execute(
                "INSERT INTO wish (practice, kind, detail, wished_at) VALUES (?1, ?2, ?3, ?4)",
                (practice, kind, detail, time_text(now)),
            )?;
            Ok(())
        })
        .await?;
        self.announce();
        Ok(())
    }

    async fn open_wishes(&self) -> Result<Vec<OpenWish>, StoreError> {
        self.call(|conn| {
            let sql = "SELECT id, practice, kind, detail FROM wish WHERE granted_at IS NULL ORDER BY id";
            all(conn, sql, [], read)
        })
        .await
    }

    async fn granted(&self, id: i64, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE wish SET granted_at = coalesce(granted_at, ?1) WHERE id = ?2";
            if tx.execute(sql, (time_text(now), id))? == 0 {
                return Err(StoreError::Missing.into());
            }
            // Granted ones are kept for a week, for whoever wonders.
            let past = time_text(now - TimeDelta::days(7));
            tx.execute("DELETE FROM wish WHERE granted_at < ?1", [past])?;
            Ok(())
        })
        .await
    }
}

fn read(row: &Row<'_>) -> Result<OpenWish, Fault> {
    let wish = match row.text("kind")?.as_str() {
        "resync_configuration" => Wish::ResyncConfiguration,
        "resync_availability" => Wish::ResyncAvailability,
        "resync_patients" => Wish::ResyncPatients,
        "accept_shrink" => Wish::AcceptShrink(row.text("detail")?),
        _ => return Err(Unreadable("kind").into()),
    };
    Ok(OpenWish { id: row.value("id")?, practice: PracticeId::new(row.text("practice")?), wish })
}
