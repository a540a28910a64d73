//! Both directions of the translation, from our own made-up fixtures, and the client against the simulator.

#[cfg(feature = "sims")]
mod client;
mod translate;

use chrono::NaiveDate;
use domain::ids::SyncId;
use domain::people::Gender;
use domain::private::Private;
use domain::profile::ProfileOrder;

/// The patient of the fixtures.
pub fn tomasz() -> ProfileOrder {
    ProfileOrder {
        sync_id: SyncId::new("harbour-77"),
        given_name: Private::new("Tomasz".into()),
        family_name: Private::new("Ferreira".into()),
        birth_date: Private::new(NaiveDate::from_ymd_opt(1991, 6, 17).unwrap()),
        sex: Private::new(Some(Gender::Male)),
        email: Private::new("tomasz@example.test".into()),
        shown_number: Some("48213".into()),
        recorded_by_adult: true,
        guardian_agreed: None,
        photo_and_video: false,
    }
}
