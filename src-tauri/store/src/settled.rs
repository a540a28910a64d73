//! Whose record the bookings of some people go to.

use crate::columns::{Columns, Fault, Unreadable, all, first, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::booking::BookingKey;
use domain::ids::{PatientRef, PracticeId};
use domain::matching::Settled;
use domain::ports::store::{SettledPeople, SettledPerson, StoreError};
use domain::private::Private;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::Connection;
use sha2::Sha256;

/// The name in `meta` of the key that the digests are made with.
const PERSON_KEY: &str = "person_key";

#[async_trait]
impl SettledPeople for Store {
    async fn settle(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
        how: Settled,
        patient: Option<&PatientRef>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (practice, person) = (practice.to_string(), person.clone());
        let patient = patient.map(ToString::to_string);
        self.write(move |tx| {
            let digest = digest(tx, &person)?;
            tx.prepare_cached(
                "INSERT INTO settled_person (practice, person, how, patient, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (practice, person, how) DO UPDATE SET patient = excluded.patient, at = excluded.at",
            )?
            .execute((practice, digest, how_name(how), patient, time_text(now)))?;
            Ok(())
        })
        .await
    }

    async fn settled(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
    ) -> Result<Vec<SettledPerson>, StoreError> {
        let (practice, person) = (practice.to_string(), person.clone());
        self.call(move |conn| {
            let sql = "SELECT how, patient, at FROM settled_person WHERE practice = ?1 AND person = ?2 ORDER BY how";
            let digest = digest(conn, &person)?;
            all(conn, sql, (practice, digest), |row| {
                Ok(SettledPerson {
                    how: row.parsed("how", read_how)?,
                    patient: row.value::<Option<String>>("patient")?.map(PatientRef::new),
                    at: row.time("at")?,
                })
            })
        })
        .await
    }

    async fn is_made_and_unused(&self, key: &BookingKey, patient: &PatientRef) -> Result<bool, StoreError> {
        let (key, patient) = (key.clone(), patient.to_string());
        self.call(move |conn| {
            let sql = "SELECT EXISTS (SELECT 1 FROM settled_person
                                      WHERE practice = ?1 AND patient = ?2 AND how = ?3)
                          AND NOT EXISTS (SELECT 1 FROM booking
                                          WHERE practice = ?1 AND patient = ?2 AND NOT (partner = ?4 AND booking = ?5)
                                            AND state IN ('inserted', 'confirmed', 'naming', 'cancelling')) AS unused";
            let made = how_name(Settled::ByRecordMade);
            let params = (key.practice.as_str(), &patient, made, key.partner.as_str(), key.booking.as_str());
            Ok(first(conn, sql, params, |row| row.value("unused"))?.unwrap_or(false))
        })
        .await
    }
}

fn how_name(how: Settled) -> &'static str {
    match how {
        Settled::ByPerson => "by_person",
        Settled::ByRecordMade => "by_record_made",
    }
}

fn read_how(name: &str) -> Option<Settled> {
    [Settled::ByPerson, Settled::ByRecordMade].into_iter().find(|how| how_name(*how) == name)
}

/// A digest that only this store can make, so that a copy of the table cannot be searched for somebody.
fn digest(conn: &Connection, person: &Private<String>) -> Result<Vec<u8>, Fault> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    let key = first(conn, sql, [PERSON_KEY], |row| row.text("value"))?.ok_or(Unreadable("value"))?;
    let mut digest = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| Unreadable("value"))?;
    digest.update(person.reveal().as_bytes());
    Ok(digest.finalize().into_bytes().to_vec())
}
