//! Whose a booking is: what is decided right, what is asked, and how long it takes against a large practice.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use connectors::practices;
use domain::matching::population::{Kind, Population};
use domain::matching::{self};
use domain::people::{PatientPlan, PatientRecord};
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::settings::{DocumentRoutes, SystemSettings, WriteMode};
use sync::flows::people;
use sync::state::PeopleReading;
use tests::mariadb::Server;
use tests::openemr::{Version, create_tables};
use tests::real_time::{SystemClock, pause};

use crate::clinic::ZONE;
use crate::report::{Figure, Report, Sample};

const PATIENTS: usize = 20_000;
const BOOKINGS: usize = 4_000;
const LARGE: usize = 200_000;
const TIMED: usize = 200;
const SEED: u64 = 20_261_120;

/// What became of the bookings of one kind.
#[derive(Default)]
struct Outcome {
    right: u32,
    asked: u32,
    missed: u32,
    merged: u32,
    /// Asked, and the right record is among those that are asked about.
    found_by_asking: u32,
}

pub async fn measure() -> Result<Report> {
    let server = Server::shared()?;
    let outcomes = decide_all(&server).await?;
    let sum = |of: &dyn Fn(&Kind, &Outcome) -> u32| {
        outcomes.iter().map(|(kind, outcome)| of(kind, outcome)).sum::<u32>()
    };
    let all = |outcome: &Outcome| outcome.right + outcome.asked + outcome.missed + outcome.merged;
    let of_all = f64::from(sum(&|_, outcome| all(outcome)));
    let changed = sum(&|kind, outcome| if kind.is_changed() { all(outcome) } else { 0 });
    let found =
        sum(&|kind, outcome| if kind.is_changed() { outcome.right + outcome.found_by_asking } else { 0 });
    let merged = sum(&|_, outcome| outcome.merged);
    let matched = sum(&|kind, outcome| if kind_is_known(*kind) { outcome.right } else { 0 });
    let asked = sum(&|_, outcome| outcome.asked);
    let Times { search, pure, whole, by_rows, reading, candidates } = time_it(&server).await?;
    let mut further = vec![
        format!(
            "Precision: {:.4} ({matched} matched rightly, {merged} wrongly). Recall of changed details and misspellings, asked counted as found: {:.4} ({found} of {changed}).",
            f64::from(matched) / f64::from((matched + merged).max(1)),
            f64::from(found) / f64::from(changed.max(1)),
        ),
        format!("Finding candidates from memory, {LARGE} patients: {}.", search.words("ms")),
        format!("Candidates for each: {}.", candidates.words("records")),
        format!("Finding them in MariaDB with OpenEMR's own indexes: {}.", by_rows.words("ms")),
        format!("Reading everybody into memory: {reading:.0} ms."),
        format!("Decision among what was found: {}.", pure.words("ms")),
        format!("Both: {}.", whole.words("ms")),
    ];
    further.extend(outcomes.iter().map(|(kind, outcome)| {
        let Outcome { right, asked, missed, merged, .. } = outcome;
        format!("{kind:?}: {right} right, {asked} asked, {missed} missed, {merged} merged wrongly.")
    }));
    Ok(Report {
        title: "matching: whose a booking is, on MariaDB with OpenEMR's tables",
        figures: vec![
            Figure { name: "false merges", measured: f64::from(merged), target: 0.0, unit: "bookings" },
            Figure {
                name: "changed details and misspellings not found",
                measured: f64::from(changed - found) / f64::from(changed.max(1)) * 100.0,
                target: 3.0,
                unit: "%",
            },
            Figure {
                name: "asked of a person",
                measured: f64::from(asked) / of_all * 100.0,
                target: 3.0,
                unit: "%",
            },
            Figure {
                name: "deciding whose a booking is, finding included, p95",
                measured: whole.percentile(95),
                target: 5.0,
                unit: "ms",
            },
        ],
        further,
        how: "20,000 generated patients, with twins, fathers and sons and namesakes among them, and 4,000 bookings of the \
              kinds listed, each decided on its own; candidates by the profile's own search in the database. The times: \
              200 bookings against 200,000 patients of the same making, found from memory after the book said that \
              nobody changed, their records read anew; what is decided is what the book's own search leads to.",
    })
}

fn kind_is_known(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Stranger
            | Kind::Namesake
            | Kind::NamesakeBornThatDay
            | Kind::UnknownTwin
            | Kind::UnknownNamesakeOfTheFamily
    )
}

async fn decide_all(server: &Arc<Server>) -> Result<BTreeMap<Kind, Outcome>> {
    let population = Population::new(PATIENTS, BOOKINGS, SEED);
    let practice = practice(server, &population.records).await?;
    let mut outcomes: BTreeMap<Kind, Outcome> = BTreeMap::new();
    for case in &population.bookings {
        let found = practice.find_patients(&case.details).await?;
        let decide = if found.complete { matching::decide } else { matching::decide_among_some };
        let decision = decide(&case.details, None, &found.records);
        let outcome = outcomes.entry(case.kind).or_default();
        match &decision.plan {
            PatientPlan::Existing(chosen) if Some(chosen) == case.truth.as_ref() => outcome.right += 1,
            PatientPlan::Existing(_) => outcome.merged += 1,
            PatientPlan::New { .. } if case.truth.is_none() => outcome.right += 1,
            PatientPlan::New { .. } => outcome.missed += 1,
            PatientPlan::Undecided => {
                outcome.asked += 1;
                let among = decision.candidates.iter().any(|c| Some(&c.record.id) == case.truth.as_ref());
                outcome.found_by_asking += u32::from(among);
            }
        }
    }
    Ok(outcomes)
}

/// How long each part took for each booking, in milliseconds.
struct Times {
    /// Finding candidates, with the book's word that memory is still true and their records read anew.
    search: Sample,
    /// Deciding among them.
    pure: Sample,
    /// Both.
    whole: Sample,
    /// Finding them in the book alone, as right after somebody was changed.
    by_rows: Sample,
    /// Reading everybody once.
    reading: f64,
    /// How many candidates there were for each booking.
    candidates: Sample,
}

async fn time_it(server: &Arc<Server>) -> Result<Times> {
    let population = Population::new(LARGE, TIMED, SEED + 1);
    let practice = practice(server, &population.records).await?;
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    // The book tells nothing of a change within the last two seconds.
    let stamp = loop {
        match practice.people_stamp().await? {
            Some(stamp) => break Some(stamp),
            None => pause(std::time::Duration::from_millis(200)).await,
        }
    };
    let began = Instant::now();
    let directory = people::read_everybody(practice.as_ref()).await?;
    let reading = milliseconds(began.elapsed());
    let digest = directory.digest_of_all();
    let people = PeopleReading { revision: 1, stamp, read_at: SystemClock.now(), digest, directory };
    let (mut search, mut pure, mut whole, mut by_rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut candidates = Vec::new();
    for case in &population.bookings {
        let began = Instant::now();
        let alone = practice.find_patients(&case.details).await?;
        by_rows.push(milliseconds(began.elapsed()));
        let began = Instant::now();
        let found = people::candidates(practice.as_ref(), Some(&people), &case.details).await?;
        let searched = began.elapsed();
        let plan = matching::decide(&case.details, None, &found.records).plan;
        let decided = began.elapsed();
        // Stand-ins such as 0400 000 000 are found in the book and not in memory; they say nothing.
        let by_book = matching::decide(&case.details, None, &alone.records).plan;
        ensure!(plan == by_book || !alone.complete, "memory decides otherwise: {:?}", case.kind);
        candidates.push(found.records.len() as f64);
        search.push(milliseconds(searched));
        pure.push(milliseconds(decided - searched));
        whole.push(milliseconds(decided));
    }
    let [search, pure, whole, by_rows, candidates] =
        [search, pure, whole, by_rows, candidates].map(Sample::new);
    Ok(Times { search, pure, whole, by_rows, reading, candidates })
}

/// A practice with these patients in OpenEMR's tables, as the built program reaches it.
pub async fn practice(server: &Arc<Server>, records: &[PatientRecord]) -> Result<Arc<dyn PracticeSystem>> {
    let database = create_tables(server, Version::Seven).await?;
    for rows in records.chunks(2_000) {
        let mut sql = String::from(
            "SET SESSION sql_mode = ''; INSERT INTO patient_data (pid, pubpid, fname, lname, DOB, phone_cell, email, \
             street, city, state, postal_code) VALUES ",
        );
        for (at, record) in rows.iter().enumerate() {
            let details = &record.details;
            let text = |text: &str| text.replace('\\', "").replace('\'', "''");
            let born =
                details.birth_date.reveal().map_or_else(|| "NULL".to_owned(), |born| format!("'{born}'"));
            write!(
                sql,
                "{}({id}, '{id}', '{}', '{}', {born}, '{}', '{}', '{}', '{}', 'VIC', '{}')",
                if at == 0 { "" } else { ", " },
                text(details.first_name.reveal()),
                text(details.last_name.reveal()),
                details.phones.first().map(|phone| text(phone.reveal())).unwrap_or_default(),
                text(details.email.reveal()),
                text(details.street.reveal()),
                text(details.suburb.reveal()),
                text(details.postcode.reveal()),
                id = record.id,
            )?;
        }
        server.run(&database, &sql).await?;
    }
    let settings = SystemSettings {
        profile: "openemr".to_owned(),
        url: server.url("root", &database),
        write: WriteMode::None,
        locations: None,
        poll_seconds: 5,
        documents: DocumentRoutes::default(),
        provet: None,
    };
    let folder = tempfile::tempdir()?;
    let http = connectors::http::Http::default();
    Ok(practices::open(&settings, None, None, ZONE, folder.path(), &http, Arc::new(SystemClock))?.system())
}
