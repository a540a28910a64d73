//! From a booking being visible at Healthengine to its confirmation being there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use connectors::partners::healthengine::sim::{PatientDetails, SimState};
use tests::mariadb::Server;
use tests::openemr::Clinic;
use tests::real_time::pause;

use crate::clinic::{self, PATIENTS};
use crate::report::{Figure, Report, Sample};

const PRACTICE: &str = "large";
const BOOKINGS: usize = 100;
/// The shortest that can be set; the wait for the poll is taken off.
const POLL_SECONDS: u32 = 1;
const DEADLINE: Duration = Duration::from_secs(30);

pub async fn measure() -> Result<Report> {
    let clinic = clinic::large(Server::shared()?).await?;
    register(&clinic).await?;
    let mut linking = clinic::serve(&[clinic::linked(PRACTICE, &clinic, POLL_SECONDS)]).await?;
    let simulator = &linking.simulator;
    let (mut worked, mut in_all) = (Vec::new(), Vec::new());
    for number in 0..BOOKINGS {
        // A different moment between two polls each time.
        pause(Duration::from_millis(u64::try_from(number * 617 % 1000)?)).await;
        let (resource, start) =
            clinic::free_time(simulator, PRACTICE, number).context("nothing is free any more")?;
        let booking = simulator.book(PRACTICE, &resource, start, None, &patient(number))?;
        let confirmed = |state: &SimState| !state.confirmations_of(booking).is_empty();
        simulator.wait_until(confirmed, DEADLINE).await.with_context(|| linking.companion.said())?;
        let (made, seen, done) =
            simulator.inspect(|state| times(state, booking)).context("no poll was seen")?;
        worked.push(milliseconds(done - seen));
        in_all.push(milliseconds(done - made));
    }
    let listed = linking.companion.run(&["bookings", "--json"], DEADLINE).await?;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    let known =
        listed.as_array().into_iter().flatten().filter(|booking| booking["patient_match"] == "existing");
    ensure!(known.count() == BOOKINGS / 2, "not every second patient was known: {listed}");
    linking.serving.terminate(Duration::from_secs(10)).await?;
    let (worked, in_all) = (Sample::new(worked), Sample::new(in_all));
    Ok(Report {
        title: "booking: visible at Healthengine → confirmed there, on MariaDB with OpenEMR's tables",
        figures: vec![Figure {
            name: "beyond the wait for the poll, p95",
            measured: worked.percentile(95),
            target: 300.0,
            unit: "ms",
        }],
        further: vec![
            format!("Beyond the wait for the poll: {}.", worked.words("ms")),
            format!("With that wait, polling every {POLL_SECONDS} s: {}.", in_all.words("ms")),
        ],
        how: "the released `serve` as a process of its own; 24 practitioners, 60 days, 20,000 patients; every second \
              patient is known to the practice, the others are new; one booking after another, each at another moment \
              between two polls; counted from the arrival of the first poll that could show the booking to the arrival \
              of its confirmation, both by the simulator's clock.",
    })
}

/// When the booking was made, when the first poll after that arrived, and when the confirmation did.
fn times(state: &SimState, booking: i64) -> Option<(DateTime<Utc>, DateTime<Utc>, DateTime<Utc>)> {
    let made = state.booking(booking)?.created_at;
    let polls = state.exchanges().filter(|exchange| exchange.method == "GET" && exchange.path == "/requests");
    let seen = polls.map(|poll| poll.at).find(|at| *at >= made)?;
    let done = state.confirmations_of(booking).first()?.at;
    Some((made, seen, done))
}

/// Every second one stands in the practice's book already, see [`register`].
fn patient(number: usize) -> PatientDetails {
    let family = family_name(number);
    let born = NaiveDate::default() + Days::new(u64::try_from(number * 97).unwrap_or(0));
    PatientDetails {
        email: format!("{}@example.com", family.to_lowercase()),
        phone: format!("03 7010 {:04}", number * 53 % 10_000),
        dob: born,
        lastname: family,
        is_new_patient: number % 2 == 1,
        ..PatientDetails::default()
    }
}

/// Writes those whom the practice is to know into its book.
async fn register(clinic: &Clinic) -> Result<()> {
    let rows = (0..BOOKINGS).step_by(2).map(|number| {
        let PatientDetails { firstname, lastname, dob, phone, email, .. } = patient(number);
        let pid = 2 * PATIENTS + 1 + i64::try_from(number).unwrap_or(0);
        format!("({pid}, '{pid}', '{firstname}', '{lastname}', '{dob}', 'Female', '{phone}', '{email}')")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let sql = "INSERT INTO patient_data (pid, pubpid, fname, lname, DOB, sex, phone_cell, email) VALUES";
    clinic.server.run(&clinic.database, &format!("{sql} {rows}")).await
}

/// Names that nobody takes for one another.
fn family_name(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "cor", "del", "fin", "gu", "ham", "jo", "kel", "mir", "tas"];
    let mixed = number * 7_919 + 104_729;
    let syllables =
        [1, 10, 100, 1_000].map(|place| SYLLABLES.get(mixed / place % 10).copied().unwrap_or_default());
    format!("Q{}", syllables.concat())
}

pub fn milliseconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64() * 1000.0
}
