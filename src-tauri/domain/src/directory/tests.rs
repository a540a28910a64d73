//! The directory, on a few patients and on many made-up ones.

use super::{Collecting, Directory};
use crate::ids::PatientRef;
use crate::people::{PatientRecord, PersonDetails};
use crate::private::Private;
use chrono::NaiveDate;

fn today() -> NaiveDate {
    "2026-11-27".parse().unwrap()
}

fn record(id: &str, given: &str, family: &str, born: &str) -> PatientRecord {
    let details = PersonDetails {
        first_name: Private::new(given.into()),
        last_name: Private::new(family.into()),
        birth_date: Private::new(born.parse().ok()),
        phones: vec![Private::new(format!("0491 570 {id:0>3}"))],
        ..PersonDetails::default()
    };
    PatientRecord { shown_number: Some(format!("N{id}")), ..PatientRecord::new(PatientRef::new(id), details) }
}

fn clinic() -> Vec<PatientRecord> {
    vec![
        record("7", "Sam", "Nguyen", "1984-11-09"),
        record("12", "Thị Lan", "Nguyễn", "1970-02-02"),
        record("90", "Alice", "Nagangu", "2012-06-30"),
        record("3", "Brendan", "O’Brien", "1980-03-12"),
        record("41", "Zoë", "Wärn-Smythe", "1980-12-03"),
        record("5", "Nguyet", "Tran", "1955-01-01"),
    ]
}

fn directory(records: &[PatientRecord]) -> Directory {
    let mut collecting = Collecting::default();
    for record in records {
        collecting.add(record);
    }
    collecting.finish()
}

fn found(directory: &Directory, typed: &str) -> Vec<String> {
    directory.search(typed, today(), 10).into_iter().map(|hit| hit.patient.to_string()).collect()
}

#[test]
fn three_letters_find_by_any_name_without_its_marks() {
    let directory = directory(&clinic());
    assert_eq!(found(&directory, "ngu"), ["7", "12", "5"], "by family name, whoever's name begins so");
    assert_eq!(found(&directory, "nguyễn"), ["7", "12", "5"]);
    assert_eq!(found(&directory, "LAN"), ["12"]);
    assert_eq!(found(&directory, "sam ngu"), ["7"]);
    assert_eq!(found(&directory, "ngu, sam"), ["7"]);
    assert_eq!(found(&directory, "zoe warn"), ["41"]);
    assert_eq!(found(&directory, "smythe"), ["41"]);
    assert_eq!(found(&directory, "wärnsmythe"), ["41"]);
    for typed in ["obrien", "o'brien", "o brien", "O’Bri"] {
        assert_eq!(found(&directory, typed), ["3"], "{typed}");
    }
}

#[test]
fn slips_are_forgiven_behind_what_fits() {
    let directory = directory(&clinic());
    assert_eq!(found(&directory, "nguyne"), ["7", "12", "5"]);
    assert_eq!(found(&directory, "brenden"), ["3"]);
    assert_eq!(found(&directory, "smithe"), ["41"]);
    assert_eq!(found(&directory, "nguyet"), ["5", "7", "12"], "who fits comes before who nearly does");
    assert!(found(&directory, "sim").is_empty(), "three letters say too little for a slip");
}

#[test]
fn birth_dates_are_read_as_people_write_them() {
    let directory = directory(&clinic());
    for typed in [
        "12/3/1980",
        "12.03.80",
        "12-3-1980",
        "12031980",
        "1980-03-12",
        "12 03 1980",
        "12/3",
        "brendan 12/3/80",
    ] {
        assert_eq!(found(&directory, typed), ["3"], "{typed}");
    }
    assert_eq!(found(&directory, "30/6/12"), ["90"], "a short year is the latest that has been");
    assert!(found(&directory, "31/2/1980").is_empty());
}

#[test]
fn numbers_and_phones_find_exactly_one() {
    let directory = directory(&clinic());
    assert_eq!(found(&directory, "n41"), ["41"]);
    assert_eq!(found(&directory, "N4"), ["41"]);
    assert_eq!(found(&directory, "0491 570 012"), ["12"]);
    assert_eq!(found(&directory, "+61491570012"), ["12"]);
}

#[test]
fn too_little_finds_nobody() {
    let directory = directory(&clinic());
    for typed in ["", " ", "n", "-", "'"] {
        assert!(found(&directory, typed).is_empty(), "{typed:?}");
    }
    assert!(found(&Collecting::default().finish(), "ngu").is_empty());
}

#[test]
fn who_does_not_come_any_more_is_shown_last() {
    let mut records = clinic();
    records[0].inactive = true;
    assert_eq!(found(&directory(&records), "nguyen"), ["12", "7", "5"]);
}

#[test]
fn a_digest_differs_when_the_record_does() {
    let mut records = clinic();
    let before = directory(&records);
    let of = |directory: &Directory, id: &str| directory.digest(&PatientRef::new(id));
    records[1].details.email = Private::new("lan@example.test".into());
    let after = directory(&records);
    assert_ne!(of(&before, "12"), of(&after, "12"));
    assert_eq!(of(&before, "7"), of(&after, "7"));
    assert_eq!(
        of(&after, "7"),
        records.iter().find(|record| record.id.as_str() == "7").map(super::digest_of)
    );
    assert_eq!(
        after.patients().map(|id| id.to_string()).collect::<Vec<_>>(),
        ["12", "3", "41", "5", "7", "90"]
    );
}

#[test]
fn candidates_share_something_that_tells_people_apart() {
    let directory = directory(&clinic());
    let candidates = |change: &dyn Fn(&mut PersonDetails)| {
        let mut person = PersonDetails::default();
        change(&mut person);
        directory.candidates(&person).into_iter().map(|id| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        candidates(&|person| person.birth_date = Private::new("1980-03-12".parse().ok())),
        ["3", "41"]
    );
    assert_eq!(candidates(&|person| person.phones = vec![Private::new("+61 491 570 012".into())]), ["12"]);
    let named = |given: &str, family: &str| {
        candidates(&|person| {
            person.first_name = Private::new(given.into());
            person.last_name = Private::new(family.into());
        })
    };
    assert_eq!(named("nguyen", "SAM"), ["7"], "in each other's place");
    assert_eq!(named("Sam", "Nobody"), [""; 0]);
    assert!(candidates(&|_| {}).is_empty());
}

#[test]
fn nobody_is_in_what_it_prints() {
    assert_eq!(format!("{:?}", directory(&clinic())), "Directory of 6 patients");
}
