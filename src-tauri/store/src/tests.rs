//! Every test opens real encrypted files.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod documents;
#[cfg(target_os = "linux")]
mod keyring;
mod keys;
mod ledger;
mod opening;
mod people;
mod ports;
mod processes;
mod round_trip;
mod schema;
mod settled;

use crate::{Opened, Store, StoreKey};
use chrono::{DateTime, NaiveDate, Utc};
use domain::booking::{BookingKey, BookingRequest, Entry};
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PartnerId, PatientRef, PracticeId, ResourceRef};
use domain::people::{Gender, PersonDetails};
use domain::ports::store::BookingLedger;
use domain::private::Private;
use domain::time::{PracticeTime, Seconds};
use std::path::Path;
use tempfile::TempDir;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// 20 November 2026, 00:00:00 UTC, and some seconds.
fn second(seconds: i64) -> DateTime<Utc> {
    at("2026-11-20T00:00:00Z") + chrono::TimeDelta::seconds(seconds)
}

fn key() -> StoreKey {
    StoreKey::new([7; 32])
}

fn open(dir: &Path) -> Store {
    let Opened { store, notices } = Store::open(dir, &key(), second(0)).unwrap();
    assert_eq!(notices, []);
    store
}

fn fresh() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (dir, store)
}

fn practice() -> PracticeId {
    PracticeId::new("richmond")
}

fn private(text: &str) -> Private<String> {
    Private::new(text.to_owned())
}

fn booking_key(booking: &str) -> BookingKey {
    BookingKey {
        practice: practice(),
        partner: PartnerId::new("healthengine"),
        booking: ForeignBookingId::new(booking),
    }
}

fn request(booking: &str) -> BookingRequest {
    BookingRequest {
        key: booking_key(booking),
        resource: Some(ResourceRef::new("4")),
        appointment_type: Some(AppointmentTypeRef::new("9")),
        starts: PracticeTime(NaiveDate::from_ymd_opt(2026, 11, 23).unwrap().and_hms_opt(9, 30, 0).unwrap()),
        length: Seconds(900),
        patient: PersonDetails {
            first_name: private("Zébulon-Quirine"),
            last_name: private("O'Wolliwhistle"),
            birth_date: Private::new(NaiveDate::from_ymd_opt(1984, 11, 9)),
            phones: vec![private("0400 111 222"), private("03 9999 8888")],
            email: private("zebulon@wolliwhistle.example"),
            street: private("77 Quibbler Lane"),
            suburb: private("Richmond"),
            state: private("VIC"),
            postcode: private("3121"),
            gender: Private::new(Some(Gender::Other)),
            medicare_number: private("2950197221"),
            medicare_irn: private("1"),
            medicare_expiry: private("08/2028"),
        },
        linked_patient: Some(PatientRef::new("77")),
        says_new_patient: true,
        note: private("Sore \u{202e}knee; DROP TABLE booking; 🦵"),
        booked_at: second(-2),
        cancelled: false,
    }
}

async fn filed(store: &Store, booking: &str) -> Entry {
    assert!(store.file(&request(booking), second(0)).await.unwrap());
    store.entry(&booking_key(booking)).await.unwrap().unwrap()
}

/// Everything that an error would put into a log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!(" / {error}"));
        next = error.source();
    }
    text
}
