//! The secrets of the services. In memory they live only in types that cannot be printed and that wipe themselves.

use crate::columns::{Fault, Unreadable, first};
use crate::settings::save_practice;
use crate::thread::Store;
use async_trait::async_trait;
use domain::ports::store::{StoreError, Vault};
use domain::settings::{PracticeSettings, SecretName};
use rusqlite::Connection;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

#[async_trait]
impl Vault for Store {
    async fn secret(&self, name: &SecretName) -> Result<Option<SecretString>, StoreError> {
        let name = name.clone();
        self.call(move |conn| {
            first(conn, "SELECT value FROM secret WHERE name = ?1", [name.as_str()], |row| {
                let value = Zeroizing::new(row.get::<_, Vec<u8>>("value")?);
                let text = std::str::from_utf8(&value).map_err(|_| Fault::from(Unreadable("value")))?;
                Ok(SecretString::from(text))
            })
        })
        .await
    }

    async fn keep_secret(&self, name: &SecretName, secret: SecretString) -> Result<(), StoreError> {
        let name = name.clone();
        self.write(move |tx| keep(tx, &name, &secret)).await?;
        self.announce();
        Ok(())
    }

    async fn forget_secret(&self, name: &SecretName) -> Result<(), StoreError> {
        let name = name.clone();
        self.write(move |tx| forget(tx, &name)).await?;
        self.announce();
        Ok(())
    }
}

impl Store {
    /// Saves a practice together with its secrets in one transaction, so that neither an engine nor the next start ever
    /// sees a new address with an old key. A secret that is `None` is forgotten; those not named stay.
    pub async fn link_practice(
        &self,
        settings: &PracticeSettings,
        secrets: Vec<(SecretName, Option<SecretString>)>,
    ) -> Result<(), StoreError> {
        let settings = settings.clone();
        self.write(move |tx| {
            for (name, secret) in &secrets {
                match secret {
                    Some(secret) => keep(tx, name, secret)?,
                    None => forget(tx, name)?,
                }
            }
            save_practice(tx, &settings)
        })
        .await?;
        self.announce();
        Ok(())
    }
}

pub(crate) fn keep(conn: &Connection, name: &SecretName, secret: &SecretString) -> Result<(), Fault> {
    conn.execute(
        "INSERT INTO secret (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name.as_str(), secret.expose_secret().as_bytes()),
    )?;
    Ok(())
}

pub(crate) fn forget(conn: &Connection, name: &SecretName) -> Result<(), Fault> {
    conn.execute("DELETE FROM secret WHERE name = ?1", [name.as_str()])?;
    Ok(())
}
