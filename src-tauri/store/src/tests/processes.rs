//! Two processes on one file, and one of them killed.

use super::*;
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

fn start(dir: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::processes::other_process", "--ignored", "--nocapture"])
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
    let (mut child, mut said) = start(dir.path());
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
