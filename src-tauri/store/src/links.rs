//! Things here and the same things at partners.

use crate::audit;
use crate::columns::{Columns, Fault, all, first, time_text, very_many};
use crate::thread::Store;
use async_trait::async_trait;
use domain::audit::AuditLine;
use domain::ids::{PartnerId, PracticeId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::store::{Links, StoreError};
use rusqlite::{Connection, Transaction, named_params};
use std::collections::BTreeMap;

const COLUMNS: &str = "practice, partner, kind, local_id, told_as, partner_id, state, since, reason, accepted, refused, accepted_at";

#[async_trait]
impl Links for Store {
    async fn links(
        &self,
        practice: &PracticeId,
        partner: Option<&PartnerId>,
    ) -> Result<Vec<Link>, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.map(ToString::to_string));
        self.call(move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM link WHERE practice = ?1 AND (?2 IS NULL OR partner = ?2)
                 ORDER BY partner, kind, local_id"
            );
            very_many(conn, &sql, (practice, partner), |row| read(row))
        })
        .await
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<Link>, StoreError> {
        let key = key.clone();
        self.call(move |conn| of_key(conn, &key)).await
    }

    async fn save_links(&self, links: &[Link], lines: &[AuditLine]) -> Result<(), StoreError> {
        if links.is_empty() && lines.is_empty() {
            return Ok(());
        }
        let (links, lines) = (links.to_vec(), lines.to_vec());
        self.write(move |tx| {
            for link in &links {
                save(tx, link)?;
            }
            audit::append(tx, &lines)
        })
        .await
    }

    async fn begin_link(&self, link: &Link) -> Result<Link, StoreError> {
        let link = link.clone();
        self.write(move |tx| match of_key(tx, &link.key)? {
            Some(standing) => Ok(standing),
            None => save(tx, &link).map(|()| link),
        })
        .await
    }

    async fn forget_link(&self, key: &LinkKey, lines: &[AuditLine]) -> Result<(), StoreError> {
        let (key, lines) = (key.clone(), lines.to_vec());
        self.write(move |tx| {
            tx.execute(
                "DELETE FROM link WHERE practice = ?1 AND partner = ?2 AND kind = ?3 AND local_id = ?4",
                (key.practice.as_str(), key.partner.as_str(), key.kind.name(), &key.local_id),
            )?;
            audit::append(tx, &lines)
        })
        .await
    }

    async fn link_counts(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<BTreeMap<LinkState, u32>, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.to_string());
        self.call(move |conn| {
            let sql =
                "SELECT state, links FROM link_count WHERE practice = ?1 AND partner = ?2 AND links > 0";
            let counts = all(conn, sql, (practice, partner), |row| {
                Ok((row.parsed("state", state)?, row.value("links")?))
            })?;
            Ok(counts.into_iter().collect())
        })
        .await
    }

    async fn forget_links(&self, practice: &PracticeId, partner: &PartnerId) -> Result<u64, StoreError> {
        let (practice, partner) = (practice.to_string(), partner.to_string());
        self.write(move |tx| forget(tx, &practice, Some(&partner))).await
    }
}

impl Store {
    /// The links of one thing, in the order of the partners.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn links_of(
        &self,
        practice: &PracticeId,
        kind: LinkKind,
        local_id: &str,
    ) -> Result<Vec<Link>, StoreError> {
        let (practice, local_id) = (practice.to_string(), local_id.to_owned());
        self.call(move |conn| {
            // With the few partners at hand the key is found without a look at anybody else's links.
            let sql = format!(
                "SELECT {COLUMNS} FROM link WHERE practice = ?1 AND kind = ?2 AND local_id = ?3
                 AND partner IN (SELECT DISTINCT partner FROM link_count WHERE practice = ?1) ORDER BY partner"
            );
            all(conn, &sql, (practice, kind.name(), local_id), |row| read(row))
        })
        .await
    }
}

fn of_key(conn: &Connection, key: &LinkKey) -> Result<Option<Link>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS} FROM link WHERE practice = ?1 AND partner = ?2 AND kind = ?3 AND local_id = ?4"
    );
    let values = (key.practice.as_str(), key.partner.as_str(), key.kind.name(), &key.local_id);
    first(conn, &sql, values, |row| read(row))
}

/// Forgets the links of a practice at one partner, or at all of them.
pub(crate) fn forget(conn: &Connection, practice: &str, partner: Option<&str>) -> Result<u64, Fault> {
    let sql = "DELETE FROM link WHERE practice = ?1 AND (?2 IS NULL OR partner = ?2)";
    let forgotten = conn.execute(sql, (practice, partner))?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}

fn save(tx: &Transaction<'_>, link: &Link) -> Result<(), Fault> {
    tx.prepare_cached(
        "INSERT INTO link (practice, partner, kind, local_id, told_as, partner_id, state, since, reason, accepted,
                           refused, accepted_at)
         VALUES (:practice, :partner, :kind, :local_id, :told_as, :partner_id, :state, :since, :reason, :accepted,
                 :refused, :accepted_at)
         ON CONFLICT (practice, partner, kind, local_id) DO UPDATE SET
             told_as = excluded.told_as, partner_id = excluded.partner_id, state = excluded.state,
             since = excluded.since, reason = excluded.reason, accepted = excluded.accepted,
             refused = excluded.refused, accepted_at = excluded.accepted_at",
    )?
    .execute(named_params! {
        ":practice": link.key.practice.as_str(),
        ":partner": link.key.partner.as_str(),
        ":kind": link.key.kind.name(),
        ":local_id": link.key.local_id,
        ":told_as": link.told_as,
        ":partner_id": link.partner_id,
        ":state": link.state.name(),
        ":since": time_text(link.since),
        ":reason": link.reason,
        ":accepted": link.accepted,
        ":refused": link.refused,
        ":accepted_at": link.accepted_at.map(time_text),
    })?;
    Ok(())
}

fn state(name: &str) -> Option<LinkState> {
    LinkState::ALL.into_iter().find(|state| state.name() == name)
}

fn read(row: &impl Columns) -> Result<Link, Fault> {
    Ok(Link {
        key: LinkKey {
            practice: PracticeId::new(row.text("practice")?),
            partner: PartnerId::new(row.text("partner")?),
            kind: row.parsed("kind", |name| LinkKind::ALL.into_iter().find(|kind| kind.name() == name))?,
            local_id: row.text("local_id")?,
        },
        told_as: row.text("told_as")?,
        partner_id: row.value("partner_id")?,
        state: row.parsed("state", state)?,
        since: row.time("since")?,
        reason: row.value("reason")?,
        accepted: row.value("accepted")?,
        refused: row.value("refused")?,
        accepted_at: row.time_if_given("accepted_at")?,
    })
}
