//! Two processes on one file, and one of them killed.

use super::people::{vald, yes};
use super::*;
use domain::ports::store::{AuditTrail, Consents};
use rusqlite::functions::FunctionFlags;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "STORE_TEST_FOLDER";

/// Not a test: what the other process runs. It files bookings until it is killed, and says so after each.
#[tokio::test]
#[ignore = "started as a process of its own by the tests below"]
async fn other_process() {
    let store = open(Path::new(&std::env::var_os(FOLDER).unwrap()));
    for number in 0.. {
        filed(&store, &format!("other-{number}")).await;
        println!("filed other-{number} ");
    }
}

/// The same with consents.
#[tokio::test]
#[ignore = "started as a process of its own by the tests below"]
async fn process_that_records_consents() {
    let store = open(Path::new(&std::env::var_os(FOLDER).unwrap()));
    for number in 0.. {
        assert_eq!(store.record_consents(&[yes(&format!("other-{number}"))]).await.unwrap(), 1);
        println!("filed other-{number} ");
    }
}

/// The same, but it stops in the middle of recording a thousand consents, within the transaction.
#[tokio::test]
#[ignore = "started as a process of its own by the tests below"]
async fn process_that_stops_halfway() {
    let store = open(Path::new(&std::env::var_os(FOLDER).unwrap()));
    let stops = |conn: &mut rusqlite::Connection| {
        conn.create_scalar_function("stop", 0, FunctionFlags::empty(), |_| -> rusqlite::Result<i64> {
            println!("filed half ");
            loop {
                std::thread::park();
            }
        })?;
        let halfway = "CREATE TEMP TRIGGER halfway AFTER INSERT ON main.audit WHEN NEW.patient = 'other-500'
                       BEGIN SELECT stop(); END;";
        Ok(conn.execute_batch(halfway)?)
    };
    store.call(stops).await.unwrap();
    let lines: Vec<_> = (0..1000).map(|number| yes(&format!("other-{number}"))).collect();
    store.record_consents(&lines).await.unwrap();
}

fn start(dir: &Path, what: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tests::processes::{what}"), "--ignored", "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let filed = lines.map_while(Result::ok).filter_map(|line| {
        // The first line shares its line with what the test harness says.
        let rest = line.split_once("filed ")?.1;
        Some(rest.trim().to_owned())
    });
    (child, filed)
}

#[tokio::test]
async fn both_write_at_once_and_a_killed_one_loses_nothing_that_it_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mut child, mut said) = start(dir.path(), "other_process");
    let mut theirs = Vec::new();
    for number in 0..50 {
        filed(&store, &format!("ours-{number}")).await;
        theirs.push(said.next().unwrap());
    }
    child.kill().unwrap();
    theirs.extend(said);
    child.wait().unwrap();
    for booking in &theirs {
        let entry = store.entry(&booking_key(booking)).await.unwrap().unwrap();
        assert_eq!(entry.request, request(booking));
    }
    // It may have been killed between filing one and saying so.
    let all = store.newest(None, 1_000_000).await.unwrap().len();
    assert!((theirs.len() + 50..=theirs.len() + 51).contains(&all), "{all} of {}", theirs.len() + 50);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    filed(&store, "afterwards").await;
}

#[tokio::test]
async fn two_processes_append_to_one_trail_that_fits_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mut child, mut said) = start(dir.path(), "process_that_records_consents");
    let mut theirs = Vec::new();
    for number in 0..50 {
        assert_eq!(store.record_consents(&[yes(&format!("ours-{number}"))]).await.unwrap(), 1);
        theirs.push(said.next().unwrap());
    }
    child.kill().unwrap();
    theirs.extend(said);
    child.wait().unwrap();
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    for patient in &theirs {
        let patient = PatientRef::new(patient);
        let consent = store.consent(&practice(), &vald(), &patient).await.unwrap().unwrap();
        let audited = store.audit_rows_of(&practice(), &patient, 9).await.unwrap();
        let under: Vec<_> = audited.iter().map(|row| row.entry.as_ref().unwrap().line.consent).collect();
        assert_eq!(under, [Some(consent.number)]);
    }
    let (consents, entries) =
        (store.last_consent().await.unwrap(), store.audited(0, u32::MAX).await.unwrap());
    let numbers: Vec<i64> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=consents).collect::<Vec<_>>());
    assert!((theirs.len() + 50..=theirs.len() + 51).contains(&entries.len()));
}

#[tokio::test]
async fn what_was_half_recorded_when_the_process_was_killed_was_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.record_consents(&[yes("7")]).await.unwrap(), 1);
    let (mut child, mut said) = start(dir.path(), "process_that_stops_halfway");
    assert_eq!(said.next().as_deref(), Some("half"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.last_consent().await.unwrap(), 1);
    assert_eq!(store.record_consents(&[yes("8")]).await.unwrap(), 1);
    let entries = store.audited(0, 9).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn first_starts_at_the_same_time_agree() {
    let dir = tempfile::tempdir().unwrap();
    let openers: Vec<_> = (0..6)
        .map(|number| {
            let dir = dir.path().to_owned();
            std::thread::spawn(move || (number, open(&dir)))
        })
        .collect();
    let stores: Vec<_> = openers.into_iter().map(|opener| opener.join().unwrap()).collect();
    for (number, store) in &stores {
        filed(store, &number.to_string()).await;
    }
    for (_, store) in &stores {
        assert_eq!(store.newest(None, 99).await.unwrap().len(), 6);
    }
}
