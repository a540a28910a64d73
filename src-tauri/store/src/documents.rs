//! Documents that patients fill in: what was offered, how far each is, and the content of those that have no
//! folder or wait for the practice system's own API.

use crate::columns::{Columns, Fault, Unreadable, all, first, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::documents::{
    DocumentEntry, DocumentKey, DocumentOffer, DocumentRefusal, DocumentState, extension_of,
};
use domain::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId,
};
use domain::ports::documents::DocumentLedger;
use domain::ports::store::StoreError;
use domain::private::Private;
use rusqlite::{Connection, Row, named_params};
use std::io::Write;
use std::path::{Path, PathBuf};

macro_rules! documents {
    ($rest:literal) => {
        concat!(
            "SELECT practice, partner, document, booking, patient, appointment, kind, name, format, size, sha1,
                    made_at, state, ticket, filed_as, refusal, content IS NOT NULL AS kept, received_at, not_before
             FROM document ",
            $rest
        )
    };
}

#[async_trait]
impl DocumentLedger for Store {
    async fn receive_document(&self, offer: &DocumentOffer, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let offer = offer.clone();
        self.write(move |tx| receive(tx, &offer, now)).await
    }

    async fn document(&self, key: &DocumentKey) -> Result<Option<DocumentEntry>, StoreError> {
        let key = key.clone();
        let sql = documents!("WHERE practice = ?1 AND partner = ?2 AND document = ?3");
        self.call(move |conn| first(conn, sql, key_params(&key), read_entry)).await
    }

    async fn move_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        to: &DocumentState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (key, from, to) = (key.clone(), from.clone(), to.clone());
        self.write(move |tx| {
            if !from.may_become(&to) {
                return Err(StoreError::Stale.into());
            }
            set_state(tx, &key, &from, &to, now)
        })
        .await
    }

    async fn hold_document(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (key, filing) = (key.clone(), DocumentState::Filing(ticket.clone()));
        self.write(move |tx| {
            set_state(tx, &key, &DocumentState::Received, &filing, now)?;
            set_content(tx, &key, &content)
        })
        .await
    }

    async fn keep_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        booking: &ForeignBookingId,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (key, from, booking) = (key.clone(), from.clone(), booking.clone());
        self.write(move |tx| {
            if !from.may_become(&DocumentState::Kept) {
                return Err(StoreError::Stale.into());
            }
            set_state(tx, &key, &from, &DocumentState::Kept, now)?;
            set_content(tx, &key, &content)?;
            tx.execute(
                "UPDATE document SET booking = ?4 WHERE practice = ?1 AND partner = ?2 AND document = ?3",
                (key.practice.as_str(), key.partner.as_str(), key.document.as_str(), booking.as_str()),
            )?;
            Ok(())
        })
        .await
    }

    async fn postpone_document(&self, key: &DocumentKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            let postponed = tx.execute(
                "UPDATE document SET not_before = ?4 WHERE practice = ?1 AND partner = ?2 AND document = ?3",
                (key.practice.as_str(), key.partner.as_str(), key.document.as_str(), time_text(until)),
            )?;
            if postponed == 0 { Err(StoreError::Missing.into()) } else { Ok(()) }
        })
        .await
    }

    async fn unfinished_documents(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        let practice = practice.to_string();
        let sql = documents!("WHERE practice = ?1 AND finished_at IS NULL ORDER BY id");
        self.call(move |conn| all(conn, sql, [practice], read_entry)).await
    }

    async fn documents_of_bookings(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        let practice = practice.to_string();
        let sql = documents!(
            "WHERE practice = ?1 AND booking IS NOT NULL AND forgotten = 0 AND state NOT IN ('rejected', 'dropped')
             ORDER BY id"
        );
        self.call(move |conn| all(conn, sql, [practice], read_entry)).await
    }

    async fn document_content(&self, key: &DocumentKey) -> Result<Option<Private<Vec<u8>>>, StoreError> {
        let key = key.clone();
        self.call(move |conn| {
            let sql = "SELECT content FROM document WHERE practice = ?1 AND partner = ?2 AND document = ?3";
            let found = first(conn, sql, key_params(&key), |row| row.value::<Option<Vec<u8>>>("content"))?;
            Ok(found.flatten().map(Private::new))
        })
        .await
    }

    async fn booking_of_patient(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<ForeignBookingId>, StoreError> {
        let (practice, partner, patient) = (practice.to_string(), partner.to_string(), patient.to_string());
        self.call(move |conn| {
            let sql = "SELECT booking FROM booking
                       WHERE practice = ?1 AND partner = ?2 AND patient = ?3 AND state IN ('inserted', 'confirmed')
                       ORDER BY starts DESC LIMIT 1";
            first(conn, sql, (practice, partner, patient), |row| {
                Ok(ForeignBookingId::new(row.text("booking")?))
            })
        })
        .await
    }
}

/// Why a document cannot be laid out for reading.
#[derive(Debug, thiserror::Error)]
pub enum LayOutError {
    /// The records.
    #[error("our records cannot be read")]
    Store(#[from] StoreError),
    /// They hold no such document, or no more.
    #[error("our records do not hold this document any more")]
    Gone,
    /// The folder.
    #[error("the document cannot be laid out for reading")]
    Io(#[from] std::io::Error),
}

impl Store {
    /// Writes what the records hold of a document into `folder`, which only its owner may look into, and returns where.
    /// The file's name tells nothing about anybody.
    pub async fn lay_out_document(&self, key: &DocumentKey, folder: &Path) -> Result<PathBuf, LayOutError> {
        let wanted = key.clone();
        let format = self.call(move |conn| {
            let sql = "SELECT format FROM document WHERE practice = ?1 AND partner = ?2 AND document = ?3";
            first(conn, sql, key_params(&wanted), |row| row.text("format"))
        });
        let format = format.await?.ok_or(LayOutError::Gone)?;
        let extension = extension_of(&format).ok_or(LayOutError::Gone)?;
        let content = self.document_content(key).await?.ok_or(LayOutError::Gone)?;
        let plain: String = key.document.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        let file = folder.join(format!("{}-document-{plain}.{extension}", key.practice));
        let (folder, path) = (folder.to_owned(), file.clone());
        let written = tokio::task::spawn_blocking(move || write_privately(&folder, &path, content.reveal()));
        written.await.map_err(std::io::Error::other)??;
        Ok(file)
    }
}

fn write_privately(folder: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(content)
}

/// Clears what is personal about documents that were finished before `before`. One of a booking goes with that
/// booking's people, and not before the appointment, for which it was filled in, is as long over.
pub(crate) fn forget(conn: &Connection, before: DateTime<Utc>) -> Result<(), Fault> {
    conn.execute(
        "UPDATE document SET kind = '', name = '', ticket = NULL, content = NULL, forgotten = 1
         WHERE forgotten = 0 AND finished_at < ?1
           AND NOT EXISTS (SELECT 1 FROM booking
                           WHERE booking.practice = document.practice AND booking.partner = document.partner
                             AND booking.booking = document.booking
                             AND (booking.people_forgotten = 0 OR booking.starts > ?1))",
        [time_text(before)],
    )?;
    Ok(())
}

fn receive(conn: &Connection, offer: &DocumentOffer, now: DateTime<Utc>) -> Result<bool, Fault> {
    let key = &offer.key;
    let added = conn
        .prepare_cached(
            "INSERT INTO document (practice, partner, document, booking, patient, appointment, kind, name, format,
                                   size, sha1, made_at, state, received_at, not_before)
             VALUES (:practice, :partner, :document, :booking, :patient, :appointment, :kind, :name, :format,
                     :size, :sha1, :made_at, 'received', :now, :now)
             ON CONFLICT (practice, partner, document) DO NOTHING",
        )?
        .execute(named_params! {
            ":practice": key.practice.as_str(),
            ":partner": key.partner.as_str(),
            ":document": key.document.as_str(),
            ":booking": offer.booking.as_ref().map(ForeignBookingId::as_str),
            ":patient": offer.patient.as_ref().map(PatientRef::as_str),
            ":appointment": offer.appointment.as_ref().map(AppointmentRef::as_str),
            ":kind": offer.kind.reveal(),
            ":name": offer.name.reveal(),
            ":format": offer.format,
            ":size": offer.size.and_then(|size| i64::try_from(size).ok()),
            ":sha1": offer.sha1,
            ":made_at": offer.made_at.map(time_text),
            ":now": time_text(now),
        })?;
    Ok(added > 0)
}

/// The columns that a state fills: its name, ticket, filed_as, refusal.
fn columns(state: &DocumentState) -> (&'static str, Option<&str>, Option<&str>, Option<&'static str>) {
    match state {
        DocumentState::Received => ("received", None, None, None),
        DocumentState::Filing(ticket) => ("filing", Some(ticket.reveal()), None, None),
        DocumentState::Kept => ("kept", None, None, None),
        DocumentState::Filed(document) => ("filed", None, document.as_ref().map(DocumentRef::as_str), None),
        DocumentState::Refused(why) => ("refused", None, None, Some(why.name())),
        DocumentState::Told(document) => ("told", None, document.as_ref().map(DocumentRef::as_str), None),
        DocumentState::Rejected(why) => ("rejected", None, None, Some(why.name())),
        DocumentState::Dropped => ("dropped", None, None, None),
    }
}

fn set_state(
    conn: &Connection,
    key: &DocumentKey,
    from: &DocumentState,
    to: &DocumentState,
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    let (before, held, ..) = columns(from);
    let (state, ticket, filed_as, refusal) = columns(to);
    let moved = conn
        .prepare_cached(
            "UPDATE document
             SET state = :state, ticket = :ticket, filed_as = coalesce(:filed_as, filed_as), refusal = :refusal,
                 not_before = :now, finished_at = :finished_at, content = iif(:lets_go, NULL, content)
             WHERE practice = :practice AND partner = :partner AND document = :document AND state = :before
               AND ticket IS :held",
        )?
        .execute(named_params! {
            ":state": state,
            ":ticket": ticket,
            ":filed_as": filed_as,
            ":refusal": refusal,
            ":now": time_text(now),
            ":lets_go": from.lets_content_go(to),
            ":finished_at": to.is_final().then(|| time_text(now)),
            ":practice": key.practice.as_str(),
            ":partner": key.partner.as_str(),
            ":document": key.document.as_str(),
            ":before": before,
            ":held": held,
        })?;
    if moved == 0 { Err(StoreError::Stale.into()) } else { Ok(()) }
}

fn set_content(conn: &Connection, key: &DocumentKey, content: &Private<Vec<u8>>) -> Result<(), Fault> {
    conn.execute(
        "UPDATE document SET content = ?4 WHERE practice = ?1 AND partner = ?2 AND document = ?3",
        (key.practice.as_str(), key.partner.as_str(), key.document.as_str(), content.reveal()),
    )?;
    Ok(())
}

fn key_params(key: &DocumentKey) -> (&str, &str, &str) {
    (key.practice.as_str(), key.partner.as_str(), key.document.as_str())
}

fn read_entry(row: &Row<'_>) -> Result<DocumentEntry, Fault> {
    let given = |column| row.value::<Option<String>>(column);
    let size = row.value::<Option<i64>>("size")?;
    Ok(DocumentEntry {
        offer: DocumentOffer {
            key: DocumentKey {
                practice: PracticeId::new(row.text("practice")?),
                partner: PartnerId::new(row.text("partner")?),
                document: ForeignDocumentId::new(row.text("document")?),
            },
            booking: given("booking")?.map(ForeignBookingId::new),
            patient: given("patient")?.map(PatientRef::new),
            appointment: given("appointment")?.map(AppointmentRef::new),
            kind: Private::new(row.text("kind")?),
            name: Private::new(row.text("name")?),
            format: row.text("format")?,
            size: size.and_then(|size| u64::try_from(size).ok()),
            sha1: given("sha1")?,
            made_at: row.time_if_given("made_at")?,
        },
        state: read_state(row)?,
        kept: row.value("kept")?,
        received_at: row.time("received_at")?,
        not_before: row.time("not_before")?,
    })
}

fn read_state(row: &Row<'_>) -> Result<DocumentState, Fault> {
    let refusal = |name: &str| DocumentRefusal::ALL.into_iter().find(|refusal| refusal.name() == name);
    let refused = || row.parsed("refusal", refusal);
    Ok(match row.text("state")?.as_str() {
        "received" => DocumentState::Received,
        "filing" => DocumentState::Filing(Private::new(row.text("ticket")?)),
        "kept" => DocumentState::Kept,
        "filed" => DocumentState::Filed(row.value::<Option<String>>("filed_as")?.map(DocumentRef::new)),
        "refused" => DocumentState::Refused(refused()?),
        "told" => DocumentState::Told(row.value::<Option<String>>("filed_as")?.map(DocumentRef::new)),
        "rejected" => DocumentState::Rejected(refused()?),
        "dropped" => DocumentState::Dropped,
        _ => return Err(Unreadable("state").into()),
    })
}
