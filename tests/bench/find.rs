//! Finding a patient while somebody types, and keeping in memory who is in the book.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::Datelike;
use domain::directory::{Collecting, Directory};
use domain::matching::population::Population;
use domain::people::PatientRecord;

use crate::report::{Figure, Report, Sample};

const PATIENTS: usize = 200_000;
const SEARCHES: usize = 400;
const SEED: u64 = 20_261_127;
/// How many are shown.
const SHOWN: usize = 10;

pub async fn measure() -> Result<Report> {
    let records = Population::new(PATIENTS, 0, SEED).records;
    let today = "2026-11-27".parse()?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let began = Instant::now();
    let directory = collect(&records);
    let built = milliseconds(began.elapsed());
    let began = Instant::now();
    std::hint::black_box(directory.digest_of_all());
    let compared = milliseconds(began.elapsed());

    let (mut times, mut missed) = (Vec::new(), 0_u32);
    for (number, record) in records.iter().step_by(PATIENTS / SEARCHES).enumerate() {
        let typed = typed(record, number).context("a record without a name")?;
        let began = Instant::now();
        let hits = directory.search(&typed, today, SHOWN);
        times.push(milliseconds(began.elapsed()));
        // A few letters fit hundreds; whoever typed more than that is to see whom they meant.
        let meant = hits.iter().any(|hit| hit.patient == record.id);
        missed += u32::from(number % KINDS >= 2 && !meant);
    }
    let asked = times.len();
    let sample = Sample::new(times);
    ensure!(asked >= SEARCHES, "{asked} searches");
    Ok(Report {
        title: "find: a patient among 200,000, while somebody types",
        figures: vec![
            Figure { name: "a search, p95", measured: sample.percentile(95), target: 30.0, unit: "ms" },
            Figure {
                name: "meant by number, whole name or name with birth date, and not among the first ten",
                measured: f64::from(missed) / asked as f64 * 100.0,
                target: 3.0,
                unit: "%",
            },
        ],
        further: vec![
            format!("Each search: {}.", sample.words("ms")),
            format!(
                "Putting everybody into memory: {built:.0} ms; telling whether anybody changed: {compared:.1} ms."
            ),
        ],
        how: "200,000 generated patients, one core; searches in turn for three letters of the family name, five letters \
              with a slip, the number, the whole name, the whole name with a slip, and three letters with the birth date.",
    })
}

fn collect(records: &[PatientRecord]) -> Directory {
    let mut collecting = Collecting::default();
    for record in records {
        collecting.add(record);
    }
    collecting.finish()
}

/// How many kinds of searches there are.
const KINDS: usize = 6;

/// What somebody types who means this patient.
fn typed(record: &PatientRecord, number: usize) -> Option<String> {
    let details = &record.details;
    let (given, family) = (details.first_name.reveal(), details.last_name.reveal());
    let first = |count: usize| family.chars().take(count).collect::<String>();
    let slip = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        let last = letters.len().checked_sub(2)?;
        letters.swap(last, last + 1);
        Some(letters.into_iter().collect::<String>())
    };
    Some(match number % KINDS {
        0 => first(3),
        1 => slip(&first(5))?,
        2 => record.shown_number.clone().unwrap_or_else(|| record.id.to_string()),
        3 => format!("{given} {family}"),
        4 => format!("{given} {}", slip(family)?),
        _ => match details.birth_date.reveal() {
            Some(born) => format!("{} {}/{}/{}", first(3), born.day(), born.month(), born.year()),
            None => format!("{given} {family}"),
        },
    })
}
