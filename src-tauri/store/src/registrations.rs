//! Credentials that a practice system sent, until somebody at the desk accepts or refuses them.

use crate::columns::{Columns, all, time_text};
use crate::thread::Store;
use crate::vault::{forget, keep};
use domain::ports::store::StoreError;
use domain::private::SecretString;
use domain::settings::{Registration, SecretName};
use rusqlite::named_params;

/// No clinic has more systems; whatever comes beyond that is a nuisance.
const MOST_WAITING: i64 = 5;

impl Store {
    /// Keeps credentials with their secret. The same ones stay as they first came. False where too many wait already.
    pub async fn keep_registration(
        &self,
        registration: Registration,
        secret: SecretString,
    ) -> Result<bool, StoreError> {
        let kept = self
            .write(move |tx| {
                let known = "SELECT count(*) FROM registration WHERE id = ?1";
                if tx.query_row(known, [&registration.id], |row| row.get::<_, i64>(0))? > 0 {
                    return Ok(None);
                }
                let waiting =
                    tx.query_row("SELECT count(*) FROM registration", [], |row| row.get::<_, i64>(0))?;
                if waiting >= MOST_WAITING {
                    return Ok(Some(false));
                }
                tx.execute(
                    "INSERT INTO registration (id, received_at, host, provet_id, client_id, redirect_url)
                     VALUES (:id, :received_at, :host, :provet_id, :client_id, :redirect_url)",
                    named_params! {
                        ":id": registration.id,
                        ":received_at": time_text(registration.received_at),
                        ":host": registration.host,
                        ":provet_id": registration.provet_id,
                        ":client_id": registration.client_id,
                        ":redirect_url": registration.redirect_url,
                    },
                )?;
                keep(tx, &SecretName::of_registration(&registration.id), &secret)?;
                Ok(Some(true))
            })
            .await?;
        if kept == Some(true) {
            self.announce();
        }
        Ok(kept != Some(false))
    }

    /// Those that wait, the oldest first.
    pub async fn registrations(&self) -> Result<Vec<Registration>, StoreError> {
        self.call(|conn| {
            let sql = "SELECT id, received_at, host, provet_id, client_id, redirect_url FROM registration
                       ORDER BY received_at, id";
            all(conn, sql, [], |row| {
                Ok(Registration {
                    id: row.value("id")?,
                    received_at: row.time("received_at")?,
                    host: row.value("host")?,
                    provet_id: row.value("provet_id")?,
                    client_id: row.value("client_id")?,
                    redirect_url: row.value("redirect_url")?,
                })
            })
        })
        .await
    }

    /// Forgets credentials with their secret. False where they do not wait.
    pub async fn forget_registration(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let known = self
            .write(move |tx| {
                forget(tx, &SecretName::of_registration(&id))?;
                Ok(tx.execute("DELETE FROM registration WHERE id = ?1", [&id])? > 0)
            })
            .await?;
        self.announce();
        Ok(known)
    }
}
