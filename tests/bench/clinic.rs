//! A large clinic on MariaDB, linked by the built program to a simulated Healthengine.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime};
use connectors::partners::healthengine::sim::HealthengineSim;
use domain::ports::clock::Clock;
use domain::time::PracticeZone;
use tests::companion::{Companion, Linked, Running, simulator};
use tests::mariadb::Server;
use tests::openemr::{Clinic, FIRST_PRACTITIONER, Size, Version};
use tests::real_time::SystemClock;

/// The clinic's time zone.
pub const ZONE: PracticeZone = PracticeZone(chrono_tz::Australia::Melbourne);
/// How many people work there.
pub const PRACTITIONERS: i64 = 24;
/// How many patients it has.
pub const PATIENTS: i64 = 20_000;
/// For how many days after today free times are published.
pub const HORIZON_DAYS: u32 = 60;
/// How long publishing everything for the first time may take.
const FIRST_PUBLICATION: Duration = Duration::from_secs(120);

/// The last Monday, so that the book covers the whole horizon from today on.
pub fn first_day() -> NaiveDate {
    let today = ZONE.today(SystemClock.now());
    today - Days::new(u64::from(today.weekday().num_days_from_monday()))
}

/// A clinic of two months with recurring hours, leave, meetings, and about 10 appointments a day and practitioner.
pub async fn large(server: Arc<Server>) -> Result<Clinic> {
    let days = u64::from(HORIZON_DAYS) + 7;
    let size = Size { practitioners: PRACTITIONERS, patients: PATIENTS, first: first_day(), days };
    Clinic::create(server, Version::Seven, size).await.context("filling the practice database")
}

/// How `clinic` is linked under `id`.
pub fn linked(id: &str, clinic: &Clinic, poll_seconds: u32) -> Linked {
    Linked {
        id: id.to_owned(),
        profile: "openemr",
        database: clinic.server.url("root", &clinic.database),
        poll_seconds,
        healthengine_poll_seconds: poll_seconds,
        horizon_days: HORIZON_DAYS,
        vald: None,
    }
}

/// The running program with its practices, everything published.
pub struct Linking {
    /// The program's folder.
    pub companion: Companion,
    /// Healthengine.
    pub simulator: HealthengineSim,
    /// `serve`.
    pub serving: Running,
}

/// Starts the program, and returns when every free time is published.
pub async fn serve(practices: &[Linked]) -> Result<Linking> {
    let companion = Companion::new()?;
    let simulator = simulator(practices).await?;
    companion.link(practices, &simulator).await?;
    let serving = companion.start(&["serve"])?;
    for practice in practices {
        published(&simulator, &practice.id)
            .await
            .with_context(|| format!("publishing the first time; the program said:\n{}", companion.said()))?;
    }
    Ok(Linking { companion, simulator, serving })
}

/// Returns when every day of every practitioner is published.
pub async fn published(simulator: &HealthengineSim, practice: &str) -> Result<()> {
    let days = usize::try_from(PRACTITIONERS)? * (usize::try_from(HORIZON_DAYS)? + 1);
    Ok(simulator.wait_until(|state| state.published_days(practice) >= days, FIRST_PUBLICATION).await?)
}

/// A time that is on offer, with another practitioner and on another day each time.
pub fn free_time(
    simulator: &HealthengineSim,
    practice: &str,
    number: usize,
) -> Option<(String, NaiveDateTime)> {
    let now = SystemClock.now();
    let today = ZONE.today(now);
    let number = u64::try_from(number).ok()?;
    let practitioners = u64::try_from(PRACTITIONERS).ok()?;
    // Whoever is not there that day is passed over.
    (0..practitioners * 60).find_map(|further| {
        let at = number * 7 + further;
        let resource = (u64::try_from(FIRST_PRACTITIONER).ok()? + at % practitioners).to_string();
        let day = today + Days::new(1 + (number + further / practitioners) % 55);
        let times = simulator.inspect(|state| state.free_times(practice, &resource, day, now));
        times.first().map(|time| (resource, time.start))
    })
}
