//! The OpenEMR profile on a real MariaDB server.
#![allow(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests: what was measured is shown, and whatever is not expected fails"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use connectors::practices::sql::SqlPractice;
use connectors::practices::{self, sql::profile::parse};
use domain::booking::{AppointmentOrder, BookingKey, Held, Standing, Watched};
use domain::client_snapshot::{SnapshotAsked, SnapshotBy};
use domain::diary::{AppointmentStatus, Book, Writable};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{
    AppointmentRef, AppointmentTypeRef, ForeignBookingId, LocationRef, PartnerId, PatientRef, PracticeId,
    ResourceRef,
};
use domain::people::{PatientPlan, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::private::{Private, SecretString};
use domain::settings::WriteMode;
use domain::time::{Horizon, Minutes, PracticeTime, PracticeZone};
use mysql_async::prelude::Queryable;
use tests::mariadb::Server;
use tests::openemr::{BRANCH, Clinic, FIRST_PRACTITIONER, HOME, Row, STANDARD, Size, Version, rule};
use tests::real_time::pause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MELBOURNE: PracticeZone = PracticeZone(chrono_tz::Australia::Melbourne);

struct StoppedClock(DateTime<Utc>);

#[async_trait::async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Noon in Melbourne on the clinic's first day.
fn clock(first: NaiveDate) -> Arc<dyn Clock> {
    let noon = PracticeTime(first.and_hms_opt(12, 0, 0).unwrap());
    Arc::new(StoppedClock(MELBOURNE.instant(noon)))
}

fn shipped() -> &'static str {
    practices::SHIPPED.iter().find(|(name, _)| *name == "openemr").unwrap().1
}

fn link(url: &str, profile: &str, password: Option<&str>, write: WriteMode, first: NaiveDate) -> SqlPractice {
    let password = password.map(SecretString::from);
    SqlPractice::link(parse(profile).unwrap(), url, password, MELBOURNE, write, None, clock(first)).unwrap()
}

fn practice(clinic: &Clinic, write: WriteMode) -> SqlPractice {
    let url = clinic.server.url("root", &clinic.database);
    link(&url, shipped(), None, write, clinic.size.first)
}

async fn clinic(version: Version) -> Clinic {
    let first = day("2026-09-07");
    Clinic::create(Server::shared().unwrap(), version, Size::small(first)).await.unwrap()
}

async fn texts(clinic: &Clinic, sql: &str) -> Vec<String> {
    let mut connection = clinic.server.connect(&clinic.database).await.unwrap();
    let rows: Vec<Option<String>> = connection.query(sql).await.unwrap();
    rows.into_iter().map(Option::unwrap_or_default).collect()
}

async fn number(clinic: &Clinic, sql: &str) -> i64 {
    texts(clinic, sql).await[0].parse().unwrap()
}

async fn change(clinic: &Clinic, sql: &str) {
    clinic.server.run(&clinic.database, &format!("SET SESSION sql_mode = ''; {sql}")).await.unwrap();
}

fn key(booking: &str) -> BookingKey {
    BookingKey {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("healthengine"),
        booking: ForeignBookingId::new(booking),
    }
}

fn private(text: &str) -> Private<String> {
    Private::new(text.to_owned())
}

fn at(day: NaiveDate, minute: usize) -> PracticeTime {
    PracticeTime(day.and_hms_opt(0, 0, 0).unwrap() + TimeDelta::minutes(i64::try_from(minute).unwrap()))
}

fn order(booking: &str, practitioner: i64, starts: PracticeTime) -> AppointmentOrder {
    AppointmentOrder {
        key: key(booking),
        resource: ResourceRef::new(practitioner.to_string()),
        appointment_type: Some(AppointmentTypeRef::new(STANDARD.to_string())),
        starts,
        length: Minutes(30),
        patient: PatientPlan::New { possible_duplicate_of: None },
        details: PersonDetails {
            first_name: private("Ada"),
            last_name: private("O'Brien"),
            birth_date: Private::new(NaiveDate::from_ymd_opt(1984, 11, 9)),
            phones: vec![private("(03) 5550 1234"), private("+61 491 570 156")],
            email: private("ada@example.com"),
            ..PersonDetails::default()
        },
        note: private("sore knee"),
        beside: false,
    }
}

/// The first half hour that the clinic's own account says is free, from the second day on; each call gives a later one.
fn free_times(clinic: &Clinic, practitioner: i64) -> impl Iterator<Item = PracticeTime> {
    (1..clinic.size.days).flat_map(move |offset| {
        let day = clinic.size.first + Days::new(offset);
        let free = clinic.account.free(practitioner, day);
        (0..48)
            .map(|half| half * 30)
            .filter(|start| free[*start..start + 30].iter().all(|free| *free))
            .map(|start| at(day, start))
            .collect::<Vec<_>>()
    })
}

fn free_minutes(book: &Book, practitioner: &str, day: NaiveDate) -> Vec<bool> {
    let mut minutes = vec![false; 1440];
    if let Some(planned) = book.days.get(&(ResourceRef::new(practitioner), day)) {
        for free in planned.free(Minutes(1)) {
            minutes[usize::from(free.range.start.minutes())..usize::from(free.range.end.minutes())]
                .fill(true);
        }
    }
    minutes
}

fn refusal<T: std::fmt::Debug>(result: Result<T, WriteError>) -> Refusal {
    match result.unwrap_err() {
        WriteError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Runs each order at the same moment on a connection of its own.
async fn all_at_once(
    practices: Vec<SqlPractice>,
    orders: Vec<AppointmentOrder>,
) -> Vec<Result<Held, WriteError>> {
    let barrier = Arc::new(tokio::sync::Barrier::new(orders.len()));
    let tasks: Vec<_> = practices
        .into_iter()
        .zip(orders)
        .map(|(practice, order)| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                // Connections first, so that the race is about the book.
                practice.find(&order.key).await.unwrap();
                barrier.wait().await;
                practice.insert(&order).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test]
async fn mariadb_free_time_is_the_clinics_own_account_of_it() {
    for (version, first) in
        [(Version::Seven, "2026-09-07"), (Version::Eight, "2026-09-07"), (Version::Seven, "2026-03-02")]
    {
        let size = Size::small(day(first));
        let clinic = Clinic::create(Server::shared().unwrap(), version, size).await.unwrap();
        let book = practice(&clinic, WriteMode::None).book(Horizon::from_day(size.first, 60)).await.unwrap();
        assert_eq!(book.resources.len(), 4);
        let mut free = 0;
        for practitioner in FIRST_PRACTITIONER..FIRST_PRACTITIONER + size.practitioners {
            for day in book.horizon.days() {
                let wanted = clinic.account.free(practitioner, day);
                let found = free_minutes(&book, &practitioner.to_string(), day);
                let differs: Vec<usize> =
                    (0..1440).filter(|minute| wanted[*minute] != found[*minute]).collect();
                assert!(differs.is_empty(), "{version:?}, {practitioner} on {day}: minutes {differs:?}");
                free += found.iter().filter(|free| **free).count();
            }
        }
        assert!(free > 15_000, "{free}");
        assert!(book.appointments.iter().any(|a| a.status == AppointmentStatus::Other));
        assert!(book.appointments.iter().all(|a| size.first <= a.starts.day()));
        let series: Vec<_> = book.appointments.iter().filter(|a| a.id.as_str().contains('@')).collect();
        assert!(series.len() > 5);
    }
}

#[tokio::test]
async fn mariadb_a_day_with_its_patients_by_both_kinds_of_date() {
    let clinic = clinic(Version::Seven).await;
    change(
        &clinic,
        "SET SESSION time_zone = '+00:00';
         INSERT INTO uuid_registry (uuid, created) VALUES (UNHEX(REPEAT('0a', 16)), '2026-09-02 00:00:00');
         UPDATE openemr_postcalendar_events SET pc_time = NULL WHERE pc_time IS NOT NULL;
         INSERT INTO openemr_postcalendar_events (pc_eid, pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_time,
            pc_eventDate, pc_duration, pc_startTime, pc_eventstatus, pc_sharing, pc_apptstatus, pc_facility, uuid)
         VALUES (900001, 17, 0, '10', '2', 'x', '2026-09-03 10:00:00', '2026-12-24', 1800, '10:00', 1, 1, '-', 3,
                 UNHEX(REPEAT('0a', 16))),
                (900002, 17, 0, '11', '2', 'x', '2026-09-02 23:59:59', '2026-12-24', 1800, '11:00', 1, 1, '?', 4, NULL),
                (900003, 17, 0, '10', '4', 'x', NULL, '2026-12-24', 900, '12:00', 1, 1, 'x', 3, NULL);
         UPDATE patient_data SET hipaa_allowsms = 'YES', regdate = '2020-02-02 02:02:02' WHERE pid = 2;",
    )
    .await;
    let practice = practice(&clinic, WriteMode::None);
    let asked = SnapshotAsked { day: day("2026-12-24"), by: SnapshotBy::Appointment };
    let snapshot = practice.client_snapshot(asked).await.unwrap();
    let mut told: Vec<(String, String)> = snapshot
        .appointments
        .iter()
        .filter(|appointment| appointment.id.as_str().starts_with("9000"))
        .map(|appointment| (appointment.id.to_string(), appointment.created.0.to_string()))
        .collect();
    told.sort();
    let expected = [
        ("900001", "2026-09-02 10:00:00"),
        ("900002", "2026-09-02 23:59:59"),
        // Nobody knows when it was made: before now.
        ("900003", "2026-09-07 12:00:00"),
    ];
    assert_eq!(told, expected.map(|(id, at)| (id.to_owned(), at.to_owned())));
    let patient = snapshot.patients.iter().find(|patient| patient.id.as_str() == "2").unwrap();
    assert_eq!(patient.sms_consent, Some(true));
    assert_eq!(patient.created.0.to_string(), "2020-02-02 02:02:02");
    let made = SnapshotAsked { day: day("2026-09-02"), by: SnapshotBy::Creation };
    let made = practice.client_snapshot(made).await.unwrap();
    let ids: Vec<&str> = made.appointments.iter().map(|appointment| appointment.id.as_str()).collect();
    assert_eq!(ids, ["900001", "900002"]);
    assert_eq!(made.locations, snapshot.locations, "the lists are always whole");
    assert_eq!(made.practitioners, snapshot.practitioners);
    assert_eq!(made.appointment_types, snapshot.appointment_types);
}

#[tokio::test]
async fn mariadb_profile_options_and_locations() {
    let clinic = clinic(Version::Seven).await;
    let (sunday, practitioner) = (day("2026-09-13"), FIRST_PRACTITIONER);
    let insert = |row: &Row<'_>| {
        format!(
            "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_eventDate, pc_duration, \
             pc_startTime, pc_apptstatus, pc_prefcatid, pc_facility) VALUES ({}, 0, '{}', '{}', '{}', {}, \
             SEC_TO_TIME({}), '{}', {}, {});",
            row.category,
            row.practitioner,
            row.patient,
            row.day,
            row.length,
            row.start.unwrap(),
            row.status,
            row.only,
            if row.only == 18 { BRANCH } else { HOME },
        )
    };
    let mut sql = insert(&Row::once(2, practitioner, sunday, 540, 720));
    sql += &insert(&Row { only: 16, ..Row::once(2, practitioner, sunday, 720, 780) });
    sql += &insert(&Row { only: 18, ..Row::once(2, practitioner, sunday, 840, 900) });
    // Reserved for a category that is not offered, so for nobody; and nothing before it runs on through it.
    sql += &insert(&Row { only: 1, ..Row::once(2, practitioner, sunday, 930, 960) });
    sql += &insert(&Row { status: "x", patient: 2, ..Row::once(17, practitioner, sunday, 570, 600) });
    change(&clinic, &sql).await;
    let url = clinic.server.url("root", &clinic.database);
    let horizon = Horizon { first: sunday, last: sunday };
    let free = async |profile: String, locations: Option<Vec<LocationRef>>| {
        let profile = parse(&profile).unwrap();
        let practice = SqlPractice::link(
            profile,
            &url,
            None,
            MELBOURNE,
            WriteMode::None,
            locations,
            clock(clinic.size.first),
        );
        let book = practice.unwrap().book(horizon).await.unwrap();
        let free = book.free(&ResourceRef::new(practitioner.to_string()), sunday);
        let found: Vec<(u16, u16, usize)> = free
            .iter()
            .map(|open| (open.range.start.minutes(), open.range.end.minutes(), open.only_types.len()))
            .collect();
        (found, book.resources.len(), book.locations.len())
    };
    let usual = free(shipped().to_owned(), None).await;
    assert_eq!(usual, (vec![(540, 720, 0), (720, 780, 1), (840, 900, 1)], 4, 2));
    let home = free(shipped().to_owned(), Some(vec![LocationRef::new(HOME.to_string())])).await;
    assert_eq!(home, (vec![(540, 720, 0), (720, 780, 1)], 2, 1));
    let as_openemr = shipped()
        .replace("trust_duration = true", "trust_duration = false")
        .replace("free_cancelled = true", "free_cancelled = false");
    let loose = free(as_openemr, None).await;
    assert_eq!(loose.0, [(540, 570, 0), (600, 720, 0), (720, 840, 1), (840, 930, 1)]);
    // Somebody who also works elsewhere belongs there too.
    change(&clinic, "INSERT INTO users_facility (tablename, table_id, facility_id) VALUES ('users', 10, 4)")
        .await;
    assert_eq!(free(shipped().to_owned(), Some(vec![LocationRef::new(BRANCH.to_string())])).await.1, 3);
}

#[tokio::test]
async fn mariadb_a_booking_is_written_as_openemr_would() {
    for version in [Version::Seven, Version::Eight] {
        let clinic = clinic(version).await;
        let practice = practice(&clinic, WriteMode::Sql);
        let horizon = Horizon::from_day(clinic.size.first, 60);
        let stamp = practice.stamp(horizon).await.unwrap();
        assert_eq!(practice.stamp(horizon).await.unwrap(), stamp);
        let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
        let order = order("36127212", FIRST_PRACTITIONER, starts);
        assert_eq!(practice.find(&order.key).await.unwrap(), None);
        let held = practice.insert(&order).await.unwrap();
        assert_eq!(held.patient, Some(PatientRef::new("121")), "MAX(pid) + 1, not the row number");
        assert_eq!(practice.insert(&order).await.unwrap(), held);
        assert_eq!(practice.find(&order.key).await.unwrap(), Some(held.clone()));
        assert_ne!(practice.stamp(horizon).await.unwrap(), stamp);
        let row = texts(
            &clinic,
            "SELECT CONCAT_WS('|', pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_time, pc_hometext, pc_informant, \
             COALESCE(pc_endDate, 'NULL'), pc_duration, pc_recurrtype, pc_alldayevent, pc_eventstatus, pc_sharing, \
             pc_apptstatus, pc_prefcatid, pc_facility, pc_billing_location, uuid IS NULL, \
             TIMEDIFF(pc_endTime, pc_startTime)) FROM openemr_postcalendar_events ORDER BY pc_eid DESC LIMIT 1",
        )
        .await;
        let no_end = if version == Version::Seven { "0000-00-00" } else { "NULL" };
        assert_eq!(
            row[0],
            format!(
                "17|0|10|121|Standard Consultation|2026-09-07 12:00:00|[healthengine:36127212]\nsore knee|3|{no_end}\
                 |1800|0|0|1|1|-|0|3|3|1|00:30:00"
            )
        );
        let patient = texts(
            &clinic,
            "SELECT CONCAT_WS('|', pubpid, fname, lname, DOB, sex, phone_cell, phone_home, email, hipaa_allowsms, \
             regdate, created_by) FROM patient_data WHERE pid = 121",
        )
        .await;
        assert_eq!(
            patient[0],
            "121|Ada|O'Brien|1984-11-09|UNK|+61 491 570 156|(03) 5550 1234|ada@example.com|NO|2026-09-07 12:00:00|3"
        );
        let found = practice.find_patients(&order.details).await.unwrap().records;
        let found = found.iter().find(|record| record.id == PatientRef::new("121")).unwrap();
        assert_eq!(found.details.last_name, order.details.last_name);
        let listed = practice.appointments_with_patients(&order.resource, starts.day()).await.unwrap();
        assert!(
            listed
                .iter()
                .any(|(a, p)| a.id == held.appointment && p.as_ref().is_some_and(|p| p.id == found.id))
        );
        let taken = AppointmentOrder { key: key("2"), ..order.clone() };
        assert_eq!(refusal(practice.insert(&taken).await), Refusal::SlotTaken);
        // Staff move it to another day: it is still the same booking.
        change(
            &clinic,
            &format!(
                "UPDATE openemr_postcalendar_events SET pc_eventDate = '2020-01-01' WHERE pc_eid = {}",
                held.appointment
            ),
        )
        .await;
        assert_eq!(practice.insert(&order).await.unwrap(), held);
    }
}

/// Somebody at the desk of two computers says "beside": it stands there once, beside what stood there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mariadb_a_booking_wanted_beside_something_is_written_once_by_two_writers() {
    for version in [Version::Seven, Version::Eight] {
        let clinic = clinic(version).await;
        let first = practice(&clinic, WriteMode::Sql);
        let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
        let stands = first.insert(&order("1", FIRST_PRACTITIONER, starts)).await.unwrap();
        let mut beside = order("2", FIRST_PRACTITIONER, starts);
        assert_eq!(refusal(first.insert(&beside).await), Refusal::SlotTaken);
        beside.beside = true;
        let barrier = Arc::new(tokio::sync::Barrier::new(2));
        let writers = (0..2).map(|_| {
            let (practice, barrier) = (practice(&clinic, WriteMode::Sql), Arc::clone(&barrier));
            let beside = beside.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                practice.insert(&beside).await.unwrap()
            })
        });
        let mut held = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            held.push(writer.await.unwrap());
        }
        assert_eq!(held[0], held[1]);
        assert_ne!(held[0].appointment, stands.appointment);
        assert_eq!(first.find(&beside.key).await.unwrap().as_ref(), held.first());
        let there = first.appointments_with_patients(&beside.resource, starts.day()).await.unwrap();
        let there: Vec<_> =
            there.into_iter().filter(|(appointment, _)| appointment.starts == starts).collect();
        assert_eq!(there.len(), 2, "{there:?}");
        // Outside the working hours nothing is written, whoever wants it.
        let mut night =
            order("3", FIRST_PRACTITIONER, PracticeTime(starts.day().and_hms_opt(3, 0, 0).unwrap()));
        night.beside = true;
        assert_eq!(refusal(first.insert(&night).await), Refusal::OutsideHours);
    }
}

#[tokio::test]
async fn mariadb_a_line_is_added_to_an_appointments_note_once() {
    for version in [Version::Seven, Version::Eight] {
        let clinic = clinic(version).await;
        let practice = practice(&clinic, WriteMode::Sql);
        let order = order("77", 11, free_times(&clinic, 11).next().unwrap());
        let held = practice.insert(&order).await.unwrap();
        let mark = "[healthengine-document:91]";
        for _ in 0..2 {
            practice.add_to_note(&held.appointment, mark, &format!("{mark} A document.")).await.unwrap();
        }
        let sql = "SELECT pc_hometext FROM openemr_postcalendar_events WHERE LOCATE('healthengine:77', pc_hometext)";
        let note = texts(&clinic, sql).await.remove(0);
        assert!(
            note.starts_with("[healthengine:77]")
                && note.ends_with("\n[healthengine-document:91] A document."),
            "{note}"
        );
        assert_eq!(note.matches(mark).count(), 1, "{note}");
        assert_eq!(practice.find(&order.key).await.unwrap(), Some(held));
        let gone = practice.add_to_note(&AppointmentRef::new("999999"), mark, mark).await;
        assert_eq!(refusal(gone), Refusal::BookingUnknown);
    }
}

#[tokio::test]
async fn mariadb_held_times_are_named_or_let_go() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::Sql);
    let mut times = free_times(&clinic, 11);
    let mut order = order("1", 11, times.next().unwrap());
    order.patient = PatientPlan::Undecided;
    let held = practice.insert(&order).await.unwrap();
    assert_eq!(held.patient, None);
    let title = format!(
        "SELECT CONCAT(pc_title, '|', pc_pid, '|', pc_apptstatus) FROM openemr_postcalendar_events WHERE pc_eid = {}",
        held.appointment
    );
    assert_eq!(texts(&clinic, &title).await[0], "Held for an online booking||-");
    let book = practice.book(Horizon { first: order.starts.day(), last: order.starts.day() }).await.unwrap();
    assert!(book.appointments.iter().any(|a| a.id == held.appointment && a.patient.is_none()));
    let other = AppointmentOrder { key: key("2"), ..order.clone() };
    assert_eq!(refusal(practice.insert(&other).await), Refusal::SlotTaken);

    let plan = PatientPlan::New { possible_duplicate_of: Some(PatientRef::new("8")) };
    let named =
        practice.name_patient(&held.appointment, &order.key, &plan, None, &order.details).await.unwrap();
    assert_eq!(named.patient, Some(PatientRef::new("121")));
    assert_eq!(
        practice.name_patient(&held.appointment, &order.key, &plan, None, &order.details).await.unwrap(),
        named
    );
    assert_eq!(texts(&clinic, &title).await[0], "Standard Consultation|121|-");
    let remark = texts(&clinic, "SELECT CONCAT(pid, '|', user, '|', body) FROM pnotes").await;
    assert!(
        remark[0].starts_with("121|companion|2026-09-07 12:00 (companion) Possible duplicate of patient 8."),
        "{remark:?}"
    );

    // The wrong patient after all: it is another record's, and then nobody's whom the clinic knows.
    let (ours, made, eight) = (&order.key, PatientRef::new("121"), PatientRef::new("8"));
    let to_eight = PatientPlan::Existing(eight.clone());
    let to_new = PatientPlan::New { possible_duplicate_of: None };
    let correct = async |plan, from| {
        practice
            .name_patient(&held.appointment, ours, plan, Some(from), &order.details)
            .await
            .unwrap()
            .patient
    };
    assert_eq!(correct(&to_eight, &made).await, Some(eight.clone()));
    assert_eq!(texts(&clinic, &title).await[0], "Standard Consultation|8|-");
    assert_eq!(correct(&to_new, &made).await, Some(eight.clone()), "it is not that patient's any more");
    assert_eq!(correct(&to_new, &eight).await, Some(PatientRef::new("122")));
    assert_eq!(correct(&to_eight, &PatientRef::new("122")).await, Some(eight.clone()));
    assert_eq!(practice.patient(&eight).await.unwrap().unwrap().id, eight);
    assert_eq!(practice.patient(&PatientRef::new("9999")).await.unwrap(), None);
    let named = Held { patient: Some(eight), ..named };

    // More than a day ahead it is cancelled, within a day it is cancelled late; then the time is free again.
    practice.cancel(&named).await.unwrap();
    practice.cancel(&named).await.unwrap();
    assert_eq!(practice.find(&order.key).await.unwrap(), None);
    assert_eq!(texts(&clinic, &title).await[0], "Standard Consultation|8|x");
    let gone = practice.name_patient(&held.appointment, &order.key, &plan, None, &order.details).await;
    assert_eq!(refusal(gone), Refusal::BookingUnknown);
    let held = practice.insert(&other).await.unwrap();
    let move_to = |day: &str| {
        format!(
            "UPDATE openemr_postcalendar_events SET pc_eventDate = '{day}', pc_startTime = '11:30:00' WHERE pc_eid = {}",
            held.appointment
        )
    };
    change(&clinic, &move_to("2026-09-08")).await;
    practice.cancel(&held).await.unwrap();
    let status =
        format!("SELECT pc_apptstatus FROM openemr_postcalendar_events WHERE pc_eid = {}", held.appointment);
    assert_eq!(texts(&clinic, &status).await, ["%"]);

    // What has begun, repeats, or belongs to somebody else by now is left alone.
    let existing = AppointmentOrder {
        key: key("3"),
        starts: times.next().unwrap(),
        patient: PatientPlan::Existing(PatientRef::new("8")),
        ..order.clone()
    };
    let held = practice.insert(&existing).await.unwrap();
    assert_eq!(held.patient, Some(PatientRef::new("8")));
    let set = |what: &str| {
        format!("UPDATE openemr_postcalendar_events SET {what} WHERE pc_eid = {}", held.appointment)
    };
    change(&clinic, &set("pc_apptstatus = '@'")).await;
    assert_eq!(refusal(practice.cancel(&held).await), Refusal::AlreadyBegun);
    change(&clinic, &set("pc_apptstatus = '-', pc_recurrtype = 1")).await;
    assert_eq!(refusal(practice.cancel(&held).await), Refusal::Series);
    change(&clinic, &set("pc_recurrtype = 0, pc_pid = '10'")).await;
    assert!(matches!(refusal(practice.cancel(&held).await), Refusal::Other(_)));
    change(&clinic, &format!("DELETE FROM openemr_postcalendar_events WHERE pc_eid = {}", held.appointment))
        .await;
    practice.cancel(&held).await.unwrap();
    let occurrence = Held { appointment: AppointmentRef::new("5@2026-09-14"), patient: None };
    assert_eq!(refusal(practice.cancel(&occurrence).await), Refusal::Series);
}

#[tokio::test]
async fn mariadb_what_staff_do_to_an_appointment_is_seen() {
    for version in [Version::Seven, Version::Eight] {
        let clinic = clinic(version).await;
        let practice = practice(&clinic, WriteMode::Sql);
        let starts = free_times(&clinic, 11).next().unwrap();
        let order = AppointmentOrder {
            patient: PatientPlan::Existing(PatientRef::new("8")),
            ..order("1", 11, starts)
        };
        let held = practice.insert(&order).await.unwrap();
        let one = Watched {
            key: order.key.clone(),
            appointment: held.appointment.clone(),
            patient: held.patient.clone(),
            place: Some((order.resource.clone(), starts)),
        };
        let now = async || practice.standings(std::slice::from_ref(&one)).await.unwrap().remove(0);
        let set = async |what: &str| {
            let id = &held.appointment;
            change(&clinic, &format!("UPDATE openemr_postcalendar_events SET {what} WHERE pc_eid = {id}"))
                .await;
        };
        let stands = |resource: &str, starts, patient: &str| Standing::Stands {
            appointment: held.appointment.clone(),
            resource: Some(ResourceRef::new(resource)),
            starts: Some(starts),
            patient: Some(PatientRef::new(patient)),
        };
        assert_eq!(now().await, stands("11", starts, "8"));
        for (status, expected) in [
            ("x", Standing::Cancelled),
            ("%", Standing::Cancelled),
            ("?", Standing::DidNotAttend),
            ("!", Standing::DidNotAttend),
            ("@", stands("11", starts, "8")),
            (">", stands("11", starts, "8")),
            ("OWN", stands("11", starts, "8")),
            ("-", stands("11", starts, "8")),
        ] {
            set(&format!("pc_apptstatus = '{status}'")).await;
            assert_eq!(now().await, expected, "{version:?} {status}");
        }
        // As OpenEMR's own merging of records and its calendar dialog do it.
        set("pc_pid = '10', pc_duration = 3600, pc_catid = 16").await;
        assert_eq!(now().await, stands("11", starts, "10"));
        set("pc_aid = '12', pc_eventDate = '2026-10-01', pc_startTime = '16:15:00'").await;
        assert_eq!(now().await, stands("12", at(day("2026-10-01"), 16 * 60 + 15), "10"));
        // The number is another's by now; and gone for good.
        set("pc_hometext = '[healthengine:2]'").await;
        assert_eq!(now().await, Standing::Gone);
        let delete = format!("DELETE FROM openemr_postcalendar_events WHERE pc_eid = {}", held.appointment);
        change(&clinic, &delete).await;
        assert_eq!(now().await, Standing::Gone);
        // Three lists at once, in order, among them numbers that are none.
        let ask = |id: String| Watched { appointment: AppointmentRef::new(id), ..one.clone() };
        let many: Vec<Watched> =
            (1..=220).map(|id| ask(id.to_string())).chain([ask("nonsense".into())]).collect();
        assert_eq!(practice.standings(&many).await.unwrap().len(), 221);
    }
}

#[tokio::test]
async fn mariadb_refusals_write_nothing() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::Sql);
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    let count =
        "SELECT (SELECT COUNT(*) FROM patient_data) * 100000 + COUNT(*) FROM openemr_postcalendar_events";
    let before = number(&clinic, count).await;
    let refused = async |change: &dyn Fn(&mut AppointmentOrder)| {
        let mut order = order("9", FIRST_PRACTITIONER, starts);
        change(&mut order);
        refusal(practice.insert(&order).await)
    };
    for (unknown, what) in [
        ("900", "retired"),
        ("901", "address book"),
        ("1", "no calendar"),
        ("x' OR '1'='1", "SQL"),
        ("", "empty"),
    ] {
        assert_eq!(
            refused(&|o| o.resource = ResourceRef::new(unknown)).await,
            Refusal::ResourceUnknown,
            "{what}"
        );
    }
    for unknown in ["19", "2", "6", "999", ""] {
        let wanted = Some(AppointmentTypeRef::new(unknown));
        assert_eq!(
            refused(&|o| o.appointment_type = wanted.clone()).await,
            Refusal::TypeUnknown,
            "{unknown}"
        );
    }
    assert_eq!(refused(&|o| o.starts = at(starts.day(), 300)).await, Refusal::OutsideHours);
    assert_eq!(refused(&|o| o.starts = at(day("2026-09-13"), 600)).await, Refusal::OutsideHours);
    assert_eq!(refused(&|o| o.starts = at(day("2026-09-29"), 600)).await, Refusal::SlotTaken, "holiday");
    assert_eq!(refused(&|o| o.starts = at(day("2026-10-04"), 130)).await, Refusal::TimeDoesNotExist);
    assert_eq!(
        refused(&|o| o.starts = at(day("2026-10-04"), 105)).await,
        Refusal::OutsideHours,
        "into the lost hour"
    );
    assert_eq!(refused(&|o| o.length = Minutes(0)).await, Refusal::BadLength);
    let gone = PatientPlan::Existing(PatientRef::new("9999"));
    assert!(matches!(refused(&|o| o.patient = gone.clone()).await, Refusal::Other(_)));
    assert_eq!(number(&clinic, count).await, before);
    let mut untyped = order("10", FIRST_PRACTITIONER, starts);
    untyped.appointment_type = None;
    untyped.length = Minutes(15);
    let held = practice.insert(&untyped).await.unwrap();
    let kind =
        format!("SELECT pc_catid FROM openemr_postcalendar_events WHERE pc_eid = {}", held.appointment);
    assert_eq!(number(&clinic, &kind).await, 18, "the type of that length");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mariadb_of_many_at_once_one_wins() {
    for engine in ["InnoDB", "MyISAM"] {
        let clinic = clinic(Version::Seven).await;
        for table in ["openemr_postcalendar_events", "users", "patient_data", "pnotes"] {
            change(&clinic, &format!("ALTER TABLE {table} ENGINE = {engine}")).await;
        }
        let practices =
            |count: usize| (0..count).map(|_| practice(&clinic, WriteMode::Sql)).collect::<Vec<_>>();
        for (round, starts) in free_times(&clinic, FIRST_PRACTITIONER).step_by(9).take(4).enumerate() {
            let orders = (0..4).map(|n| order(&format!("{round}-{n}"), FIRST_PRACTITIONER, starts)).collect();
            let results = all_at_once(practices(4), orders).await;
            let won = results.iter().filter(|result| result.is_ok()).count();
            assert_eq!(won, 1, "{engine}: {results:?}");
            let lost = |result: &Result<Held, WriteError>| {
                matches!(result, Ok(_) | Err(WriteError::Refused(Refusal::SlotTaken)))
            };
            assert!(results.iter().all(lost), "{engine}: {results:?}");
            assert!(results.iter().flatten().all(|held| held.patient.is_some()));
        }
        let patients = "SELECT COUNT(*) FROM patient_data";
        // Without transactions a record that is there to the letter is taken for one that an earlier try left behind.
        let (four, five) = if engine == "InnoDB" { (64, 65) } else { (61, 61) };
        assert_eq!(number(&clinic, patients).await, four, "{engine}");
        // One key from everywhere at once stands once.
        let starts = free_times(&clinic, 12).next().unwrap();
        let same = |_| order("same", 12, starts);
        let results = all_at_once(practices(4), (0..4).map(same).collect()).await;
        let appointments: Vec<_> =
            results.iter().map(|result| &result.as_ref().unwrap().appointment).collect();
        assert!(appointments.iter().all(|one| *one == appointments[0]), "{engine}: {results:?}");
        let marked =
            "SELECT COUNT(*) FROM openemr_postcalendar_events WHERE pc_hometext LIKE '%[healthengine:same]%'";
        assert_eq!(number(&clinic, marked).await, 1, "{engine}");
        assert_eq!(number(&clinic, patients).await, five, "{engine}");
        // Different times at once all succeed.
        let times: Vec<_> = free_times(&clinic, 10).skip(60).step_by(7).take(4).collect();
        let orders =
            times.iter().enumerate().map(|(n, starts)| order(&format!("d{n}"), 10, *starts)).collect();
        for result in all_at_once(practices(4), orders).await {
            result.unwrap();
        }
        let pids = "SELECT COUNT(DISTINCT pid) - COUNT(*) FROM patient_data";
        assert_eq!(number(&clinic, pids).await, 0);
    }
}

#[tokio::test]
async fn mariadb_without_transactions_a_naming_that_is_tried_again_makes_one_patient() {
    let clinic = clinic(Version::Seven).await;
    for table in ["openemr_postcalendar_events", "users", "patient_data", "pnotes"] {
        change(&clinic, &format!("ALTER TABLE {table} ENGINE = MyISAM")).await;
    }
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON openemr_postcalendar_events FOR EACH ROW \
                  SIGNAL SQLSTATE '45000'";
    change(&clinic, refuse).await;
    let practice = practice(&clinic, WriteMode::Sql);
    let order = order("1", FIRST_PRACTITIONER, free_times(&clinic, FIRST_PRACTITIONER).next().unwrap());
    let held = practice.insert(&order).await.unwrap();
    assert_eq!(held.patient, None, "the time is held all the same");
    let name = async || {
        practice.name_patient(&held.appointment, &order.key, &order.patient, None, &order.details).await
    };
    for _ in 0..2 {
        let result = name().await;
        assert!(matches!(result, Err(WriteError::Unknown(_))), "{result:?}");
    }
    change(&clinic, "DROP TRIGGER refuse").await;
    assert_eq!(name().await.unwrap().patient, Some(PatientRef::new("121")));
    assert_eq!(number(&clinic, "SELECT COUNT(*) FROM patient_data").await, 61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_staff_who_write_at_the_same_time_wait_for_the_day_and_we_for_them() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::Sql);
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    let mut staff = clinic.server.connect(&clinic.database).await.unwrap();
    staff.query_drop("SET SESSION sql_mode = ''; START TRANSACTION").await.unwrap();
    let time = starts.0.time();
    let insert = format!(
        "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_eventDate, pc_startTime, \
         pc_duration) VALUES (17, 0, '10', '2', '{}', '{time}', 1800)",
        starts.day()
    );
    staff.query_drop(insert).await.unwrap();
    // While staff have not finished, the day is theirs; our server-side limit ends the wait, and nothing is written.
    let result = practice.insert(&order("1", FIRST_PRACTITIONER, starts)).await;
    assert!(matches!(result, Err(WriteError::Untouched(_))), "{result:?}");
    staff.query_drop("COMMIT").await.unwrap();
    assert_eq!(refusal(practice.insert(&order("1", FIRST_PRACTITIONER, starts)).await), Refusal::SlotTaken);
}

/// Passes everything on, but holds each packet that contains one of the words until it is let through.
async fn gated_proxy(port: u16, words: &'static [&'static str]) -> (u16, Vec<Gate>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let gates: Vec<Gate> = words.iter().map(|_| Gate::default()).collect();
    let mut waiting: Vec<_> = words.iter().copied().zip(gates.clone()).collect();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let mut buffer = vec![0; 65_536];
        while let Ok(count) = from_client.read(&mut buffer).await
            && count > 0
        {
            let packet = &buffer[..count];
            if let Some((word, gate)) = waiting.first()
                && packet.windows(word.len()).any(|part| part == word.as_bytes())
            {
                gate.reached.notify_one();
                gate.open.notified().await;
                waiting.remove(0);
            }
            to_server.write_all(packet).await.unwrap();
        }
    });
    (own, gates)
}

#[derive(Clone, Default)]
struct Gate {
    reached: Arc<tokio::sync::Notify>,
    open: Arc<tokio::sync::Notify>,
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// OpenEMR asks nobody when it saves, so both stand in the book in the end; staff have to hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_staff_who_enter_something_in_the_same_second_are_seen() {
    let clinic = clinic(Version::Seven).await;
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    let order = order("1", FIRST_PRACTITIONER, starts);
    let (port, gates) = gated_proxy(clinic.server.port(), &["COMMIT"]).await;
    let url = format!("mysql://root@127.0.0.1:{port}/{}", clinic.database);
    let practice = Arc::new(link(&url, shipped(), None, WriteMode::Sql, clinic.size.first));
    let (inserts, ordered) = (Arc::clone(&practice), order.clone());
    let inserting = tokio::spawn(async move { inserts.insert(&ordered).await });
    gates[0].reached.notified().await;
    // OpenEMR's own insert has to wait for the day, and goes in all the same.
    let staff_insert = format!(
        "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_eventDate, pc_startTime, \
         pc_duration) VALUES (17, 0, '10', '2', '{}', '{}', 1800)",
        starts.day(),
        starts.0.time()
    );
    let (server, database) = (Arc::clone(&clinic.server), clinic.database.clone());
    let staff = tokio::spawn(async move {
        server.run(&database, &format!("SET SESSION sql_mode = ''; {staff_insert}")).await.unwrap();
    });
    until_running(&clinic.server, "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_eventDate, pc_startTime").await;
    assert!(!staff.is_finished());
    gates[0].open.notify_one();
    let held = inserting.await.unwrap().unwrap();
    assert_eq!(held.patient, Some(PatientRef::new("121")));
    staff.await.unwrap();
    let other = self::practice(&clinic, WriteMode::Sql);
    assert!(other.overlapped(&order, &held.appointment).await.unwrap());

    // What staff take out again, or what stands elsewhere in the day, is no double booking.
    let undo = "UPDATE openemr_postcalendar_events SET pc_apptstatus = 'x' WHERE pc_pid = '2'";
    clinic.server.run(&clinic.database, undo).await.unwrap();
    assert!(!other.overlapped(&order, &held.appointment).await.unwrap());
}

/// The only test here that listens to the log, which is the whole process's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_nobody_is_named_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::info!("the log is listened to");
    let clinic = clinic(Version::Seven).await;
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    let held =
        practice(&clinic, WriteMode::Sql).insert(&order("1", FIRST_PRACTITIONER, starts)).await.unwrap();
    assert_eq!(held.patient, Some(PatientRef::new("121")));
    let logged = log.text();
    assert!(logged.contains("the log is listened to"), "{logged}");
    for private in ["Ada", "O'Brien", "ada@example.com", "491 570 156", "sore knee"] {
        assert!(!logged.contains(private), "{private} in the log");
    }
}

#[tokio::test]
async fn mariadb_accounts_and_their_rights() {
    let clinic = clinic(Version::Seven).await;
    let profile = parse(shipped()).unwrap();
    let (reading, writing) = (profile.grants_for_reading.clone(), profile.grants_for_writing.clone());
    clinic.create_account("reader", "one two", &reading).await.unwrap();
    let both: Vec<String> = reading.iter().chain(&writing).cloned().collect();
    clinic.create_account("companion", "three", &both).await.unwrap();
    let linked = |account: &str, password: &str, write| {
        link(
            &clinic.server.url(account, &clinic.database),
            shipped(),
            Some(password),
            write,
            clinic.size.first,
        )
    };
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    let order = order("1", FIRST_PRACTITIONER, starts);

    let reader = linked("reader", "one two", WriteMode::Sql);
    let card = reader.check().await.unwrap();
    assert!(card.system.starts_with("OpenEMR 7.0.3 on MariaDB "), "{}", card.system);
    assert_eq!((card.resources, card.locations, card.patients), (4, 2, 60));
    assert!(card.next_appointment.is_some());
    assert_eq!(card.writable, Writable::RightsMissing(writing.join("\n")));
    let error = reader.insert(&order).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Untouched(ReadError::Misfit(text)) if text.contains("INSERT")),
        "{error:?}"
    );
    assert_eq!(
        linked("reader", "one two", WriteMode::None).check().await.unwrap().writable,
        Writable::SwitchedOff
    );

    assert_eq!(reader.notes_writable().await.unwrap(), Writable::RightsMissing(writing.join("\n")));
    // An account from before documents: bookings go in, and the note cannot say that a document came.
    let earlier: Vec<String> = both.iter().map(|grant| grant.replace(", pc_hometext)", ")")).collect();
    assert_ne!(earlier, both);
    clinic.create_account("earlier", "four", &earlier).await.unwrap();
    let earlier = linked("earlier", "four", WriteMode::Sql);
    assert_eq!(earlier.check().await.unwrap().writable, Writable::Yes);
    assert_eq!(earlier.notes_writable().await.unwrap(), Writable::RightsMissing(writing.join("\n")));
    let notes = linked("earlier", "four", WriteMode::None).notes_writable().await;
    assert_eq!(notes.unwrap(), Writable::SwitchedOff);

    let wrong = linked("reader", "one", WriteMode::Sql);
    assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)));
    assert!(matches!(wrong.insert(&order).await, Err(WriteError::Untouched(ReadError::NotAuthorised))));

    let companion = linked("companion", "three", WriteMode::Sql);
    assert_eq!(companion.check().await.unwrap().writable, Writable::Yes);
    assert_eq!(companion.notes_writable().await.unwrap(), Writable::Yes);
    let tried = companion.try_queries().await;
    assert!(tried.len() > 30);
    assert!(tried.iter().all(|(_, result, _)| result.is_ok()), "{tried:?}");
    let held = companion.insert(&order).await.unwrap();
    companion.cancel(&held).await.unwrap();
    let undecided = AppointmentOrder { patient: PatientPlan::Undecided, key: key("2"), ..order.clone() };
    let held = companion.insert(&undecided).await.unwrap();
    let plan = PatientPlan::New { possible_duplicate_of: Some(PatientRef::new("2")) };
    companion.name_patient(&held.appointment, &undecided.key, &plan, None, &order.details).await.unwrap();

    let nobody = link(
        &clinic.server.url("companion", "mysql"),
        shipped(),
        Some("three"),
        WriteMode::Sql,
        clinic.size.first,
    );
    assert!(matches!(nobody.check().await, Err(ReadError::NotAuthorised)));
}

#[tokio::test]
async fn mariadb_unknown_schemas_and_versions() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::Sql);
    let starts = free_times(&clinic, FIRST_PRACTITIONER).next().unwrap();
    change(&clinic, "UPDATE version SET v_major = 9").await;
    let card = practice.check().await.unwrap();
    assert!(matches!(card.writable, Writable::VersionNotTried(text) if text == "OpenEMR 9.0.3"));
    assert_eq!(refusal(practice.insert(&order("1", 10, starts)).await), Refusal::ReadOnly);
    // An upgrade while we are running: written is nothing, at once; read is nothing, after the next look.
    change(
        &clinic,
        "UPDATE version SET v_major = 7; ALTER TABLE openemr_postcalendar_events CHANGE pc_aid pc_provider INT; \
         ALTER TABLE patient_data MODIFY DOB VARCHAR(10); DROP TABLE users_facility",
    )
    .await;
    let words = "`openemr_postcalendar_events` has no column `pc_aid`; `patient_data`.`DOB` is varchar where date is \
                 expected; the table `users_facility` is missing, or the account may not read it";
    let error = practice.insert(&order("1", 10, starts)).await.unwrap_err();
    assert!(matches!(&error, WriteError::Untouched(ReadError::Misfit(text)) if text == words), "{error:?}");
    let error = practice.check().await.unwrap_err();
    assert!(matches!(&error, ReadError::Misfit(text) if text == words), "{error:?}");
    let empty = clinic.server.create_database().await.unwrap();
    let other = link(&clinic.server.url("root", &empty), shipped(), None, WriteMode::None, clinic.size.first);
    let error = other.book(Horizon::from_day(clinic.size.first, 1)).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Misfit(text) if text.contains("`facility` is missing") && text.ends_with("more")),
        "{error:?}"
    );
    let missing =
        link(&clinic.server.url("root", "nowhere"), shipped(), None, WriteMode::None, clinic.size.first);
    assert!(matches!(missing.check().await, Err(ReadError::Misfit(_))));
}

#[tokio::test]
async fn mariadb_strange_text_and_strict_servers() {
    let server = Arc::new(
        Server::start(&["--sql-mode=STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES"]).unwrap(),
    );
    let clinic = Clinic::create(server, Version::Seven, Size::small(day("2026-09-07"))).await.unwrap();
    let practice = practice(&clinic, WriteMode::Sql);
    let times = free_times(&clinic, FIRST_PRACTITIONER).step_by(2);
    for (number, (text, starts)) in [
        "👩🏽‍⚕️ Zoë Nguyễn",
        "مرحبا שלום",
        "'; DROP TABLE patient_data; -- ",
        "\" OR \"\"=\"",
        "a\0b\u{1b}[31m\r\nc\u{202E}d",
        &"Ŵ".repeat(10_000),
        "\\",
        "%_%",
    ]
    .into_iter()
    .zip(times)
    .enumerate()
    {
        let mut order = order(&format!("t{number}"), FIRST_PRACTITIONER, starts);
        let value = private(text);
        order.details = PersonDetails {
            first_name: value.clone(),
            last_name: value.clone(),
            phones: vec![value.clone(), value.clone()],
            email: value.clone(),
            street: value.clone(),
            suburb: value.clone(),
            state: value.clone(),
            postcode: value.clone(),
            ..order.details.clone()
        };
        order.note = private(&format!("{text}[healthengine:1]"));
        let held = practice.insert(&order).await.unwrap();
        assert_eq!(practice.find(&order.key).await.unwrap(), Some(held.clone()));
        assert_eq!(practice.find(&key("1")).await.unwrap(), None);
        let listed = practice.appointments_with_patients(&order.resource, starts.day()).await.unwrap();
        let record = listed.into_iter().find(|(a, _)| a.id == held.appointment).unwrap().1.unwrap();
        let name = record.details.first_name.reveal();
        assert!(name.chars().count() <= 255 && !name.chars().any(char::is_control));
        let plain = !text.contains('\0') && text.chars().count() <= 255;
        assert!(!plain || name == text.trim(), "{text}: {name}");
        let found = practice.find_patients(&record.details).await.unwrap().records;
        assert!(found.iter().any(|found| found.id == record.id), "{text}");
    }
    for booking in ["%", "_1", "a'b", "]", "\\"] {
        assert_eq!(practice.find(&key(booking)).await.unwrap(), None, "{booking}");
    }
}

#[tokio::test]
async fn mariadb_patients_with_zero_dates_and_other_oddities() {
    let clinic = clinic(Version::Seven).await;
    change(
        &clinic,
        "INSERT INTO patient_data (pid, fname, lname, DOB, phone_home, email, deceased_date) VALUES \
         (500, 'Thảo', 'Nguyễn', '1990-05-25', '(03) 9555-1234 (mum)', ' THAO@example.com', NULL), \
         (502, 'Old', 'Friend', '0000-00-00', '', '', '0000-00-00 00:00:00'), \
         (504, 'Late', 'Friend', '1930-01-01', '', '', '2020-01-01 00:00:00')",
    )
    .await;
    let practice = practice(&clinic, WriteMode::None);
    let found = async |details: PersonDetails| {
        let records = practice.find_patients(&details).await.unwrap().records;
        records.into_iter().filter(|r| r.id.as_str().starts_with("50")).collect::<Vec<_>>()
    };
    let empty = PersonDetails::default;
    let by_phone = found(PersonDetails { phones: vec![private("+61 3 9555 1234")], ..empty() }).await;
    assert_eq!(by_phone.len(), 1);
    let by_mail = found(PersonDetails { email: private("thao@example.com"), ..empty() }).await;
    assert_eq!(by_mail, by_phone);
    assert_eq!(*by_mail[0].details.birth_date.reveal(), NaiveDate::from_ymd_opt(1990, 5, 25));
    let friend =
        |first: &str| PersonDetails { first_name: private(first), last_name: private("Friend"), ..empty() };
    let old = found(friend("Old")).await;
    assert_eq!((old[0].deceased, *old[0].details.birth_date.reveal()), (false, None));
    assert!(found(friend("Late")).await[0].deceased);
    assert!(found(empty()).await.is_empty());
}

#[tokio::test]
async fn mariadb_each_kind_of_edit_changes_the_stamp() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::None);
    let horizon = Horizon::from_day(clinic.size.first, 60);
    let mut before = practice.stamp(horizon).await.unwrap();
    let one = "pc_recurrtype = 0 AND pc_pid <> '' AND pc_eventDate > '2026-09-10' ORDER BY pc_eid LIMIT 1";
    let series = "pc_recurrtype > 0 AND pc_catid = 2 ORDER BY pc_eid LIMIT 1";
    let swap = "UPDATE openemr_postcalendar_events SET pc_aid = CASE pc_aid WHEN '10' THEN '11' ELSE '10' END \
                WHERE pc_aid IN ('10', '11') AND pc_recurrtype = 0 AND pc_pid <> ''";
    let mut edits: Vec<String> = [
        "pc_startTime = '10:10:00'",
        "pc_duration = pc_duration + 60",
        "pc_apptstatus = 'AVM'",
        "pc_pid = '6'",
        "pc_aid = '12'",
        "pc_catid = 18",
        "pc_facility = 9",
        "pc_time = '2026-01-01 00:00:01'",
        "pc_title = 'y'",
    ]
    .iter()
    .map(|set| format!("UPDATE openemr_postcalendar_events SET {set} WHERE {one}"))
    .collect();
    edits.extend(
        ["pc_endDate = '2026-10-01'", "pc_recurrspec = ''", "pc_prefcatid = 10", "pc_startTime = '07:00:00'"]
            .map(|set| format!("UPDATE openemr_postcalendar_events SET {set} WHERE {series}")),
    );
    edits.extend(
        [
            swap,
            "DELETE FROM openemr_postcalendar_events WHERE pc_catid = 6",
            "UPDATE users SET active = 0 WHERE id = 13",
            "UPDATE users SET fname = 'Zoe' WHERE id = 10",
            "UPDATE openemr_postcalendar_categories SET pc_duration = 2400 WHERE pc_catid = 17",
            "UPDATE facility SET name = 'Banksia St' WHERE id = 3",
            "UPDATE globals SET gl_value = '10' WHERE gl_name = 'calendar_interval'",
        ]
        .map(str::to_owned),
    );
    for edit in edits {
        change(&clinic, &edit).await;
        let after = practice.stamp(horizon).await.unwrap();
        assert_ne!(after, before, "{edit}");
        before = after;
    }
    change(&clinic, "UPDATE patient_data SET fname = 'Somebody' WHERE pid = 2").await;
    assert_eq!(practice.stamp(horizon).await.unwrap(), before);
}

/// Waits until a statement that contains `words` stands in the server's list of what it is doing.
async fn until_running(server: &Server, words: &str) {
    let mut watcher = server.connect("mysql").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%{words}%' AND id <> CONNECTION_ID()"
    );
    while watcher.query_first::<i64, _>(&sql).await.unwrap() == Some(0) {
        assert!(Instant::now() < deadline, "nobody runs {words}");
    }
}

/// The stamp of the patients, once the server can tell it: a change within the last two seconds says nothing.
async fn people_stamp(practice: &SqlPractice) -> String {
    let began = Instant::now();
    loop {
        if let Some(stamp) = practice.people_stamp().await.unwrap() {
            return stamp;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the server never tells");
        pause(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_any_change_of_a_patient_changes_the_stamp_or_silences_it() {
    let clinic = clinic(Version::Eight).await;
    let practice = practice(&clinic, WriteMode::None);
    let mut known = people_stamp(&practice).await;
    assert_eq!(people_stamp(&practice).await, known, "nobody changed");
    for sql in [
        "UPDATE patient_data SET phone_cell = '0491 570 110' WHERE pid = 6",
        "INSERT INTO patient_data (pid, pubpid, fname, lname, DOB) VALUES (90001, '90001', 'New', 'Comer', '1990-01-02')",
        "DELETE FROM patient_data WHERE pid = 90001",
    ] {
        change(&clinic, sql).await;
        assert_ne!(practice.people_stamp().await.unwrap().as_ref(), Some(&known), "right after {sql}");
        let now = people_stamp(&practice).await;
        assert_ne!(now, known, "{sql}");
        known = now;
    }
    let mut staff = clinic.server.connect(&clinic.database).await.unwrap();
    staff.query_drop("SET SESSION sql_mode = ''; START TRANSACTION").await.unwrap();
    staff.query_drop("UPDATE patient_data SET lname = 'Slowly' WHERE pid = 4").await.unwrap();
    // Whatever the server says meanwhile, it must not say the same once the change can be read.
    let meanwhile = people_stamp(&practice).await;
    staff.query_drop("COMMIT").await.unwrap();
    assert_ne!(practice.people_stamp().await.unwrap(), Some(meanwhile), "right after it can be read");
    let record = practice.patient(&PatientRef::new("4")).await.unwrap().unwrap();
    assert_eq!(record.details.last_name.reveal(), "Slowly");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_everybody_is_read_once_page_by_page() {
    let clinic = clinic(Version::Seven).await;
    let practice = practice(&clinic, WriteMode::None);
    let (mut pages, mut ids) = (0, Vec::new());
    loop {
        let after = ids.last().map(|id: &i64| PatientRef::new(id.to_string()));
        let page = practice.people(after.as_ref(), 25).await.unwrap();
        ids.extend(page.iter().map(|record| record.id.as_str().parse::<i64>().unwrap()));
        pages += 1;
        if page.len() < 25 {
            break;
        }
    }
    assert!(pages > 1 && ids.is_sorted(), "{pages} pages");
    let there = texts(&clinic, "SELECT CAST(pid AS CHAR) FROM patient_data ORDER BY pid").await;
    assert_eq!(ids.iter().map(i64::to_string).collect::<Vec<_>>(), there);
    let wanted: Vec<PatientRef> = there.iter().take(130).map(PatientRef::new).collect();
    let gone = PatientRef::new("99999999");
    let asked: Vec<PatientRef> = wanted.iter().cloned().chain([gone]).collect();
    let mut read: Vec<PatientRef> =
        practice.patients(&asked).await.unwrap().into_iter().map(|record| record.id).collect();
    read.sort_by_key(|id| id.as_str().parse::<i64>().unwrap());
    assert_eq!(read, wanted);
    let one = practice.patient(&wanted[0]).await.unwrap().unwrap();
    assert_eq!(practice.people(None, 1).await.unwrap(), [one], "every query tells the same of a record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_stopped_in_the_middle_of_a_reading() {
    let server = Arc::new(Server::start(&[]).unwrap());
    let clinic = Clinic::create(server, Version::Seven, Size::small(day("2026-09-07"))).await.unwrap();
    let practice = Arc::new(practice(&clinic, WriteMode::Sql));
    let horizon = Horizon::from_day(clinic.size.first, 60);
    let whole = practice.book(horizon).await.unwrap();
    let mut locker = clinic.server.connect(&clinic.database).await.unwrap();
    locker.query_drop("LOCK TABLES openemr_postcalendar_events WRITE").await.unwrap();
    let reading = tokio::spawn({
        let practice = Arc::clone(&practice);
        async move { practice.book(horizon).await }
    });
    until_running(&clinic.server, "AS start_second").await;
    clinic.server.kill();
    assert!(matches!(reading.await.unwrap(), Err(ReadError::Unreachable(_))));
    assert!(matches!(practice.stamp(horizon).await, Err(ReadError::Unreachable(_))));
    let order = order("1", FIRST_PRACTITIONER, free_times(&clinic, FIRST_PRACTITIONER).next().unwrap());
    assert!(matches!(practice.insert(&order).await, Err(WriteError::Untouched(ReadError::Unreachable(_)))));
    clinic.server.start_again().unwrap();
    assert_eq!(practice.book(horizon).await.unwrap(), whole);
    practice.insert(&order).await.unwrap();
}

/// Passes everything on between a client and the server, until the client sends `word`. Then both ends are cut, with
/// or without that last packet having been passed on.
async fn cutting_proxy(port: u16, word: &'static str, pass_on: bool) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move {
                    let _ended = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut buffer = vec![0; 65_536];
                while let Ok(count) = from_client.read(&mut buffer).await {
                    let packet = &buffer[..count];
                    let last = packet.windows(word.len()).any(|part| part == word.as_bytes());
                    if last {
                        back.abort();
                    }
                    let passed =
                        if pass_on || !last { to_server.write_all(packet).await.is_ok() } else { false };
                    if !passed || last || count == 0 {
                        break;
                    }
                }
            });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_connections_cut_in_the_middle_of_a_booking() {
    let clinic = clinic(Version::Seven).await;
    let direct = practice(&clinic, WriteMode::Sql);
    let mut times = free_times(&clinic, FIRST_PRACTITIONER).step_by(3);
    for (number, (word, pass_on, unknown, stands)) in [
        ("FOR UPDATE", true, false, false),
        ("INSERT INTO patient_data", true, false, false),
        ("INSERT INTO openemr_postcalendar_events", false, false, false),
        ("COMMIT", false, true, false),
        ("COMMIT", true, true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let order = order(&format!("cut{number}"), FIRST_PRACTITIONER, times.next().unwrap());
        let port = cutting_proxy(clinic.server.port(), word, pass_on).await;
        let url = format!("mysql://root@127.0.0.1:{port}/{}", clinic.database);
        let cut = link(&url, shipped(), None, WriteMode::Sql, clinic.size.first);
        let result = cut.insert(&order).await;
        match &result {
            Err(WriteError::Unknown(ReadError::Unreachable(_))) => assert!(unknown, "{word}"),
            Err(WriteError::Untouched(ReadError::Unreachable(_))) => assert!(!unknown, "{word}"),
            other => panic!("{word}: {other:?}"),
        }
        // The server notices a moment later; the advisory lock is free once it has.
        let held = direct
            .insert(&AppointmentOrder {
                key: key("probe"),
                starts: at(day("2026-09-13"), 600),
                ..order.clone()
            })
            .await;
        assert_eq!(refusal(held), Refusal::OutsideHours);
        assert_eq!(direct.find(&order.key).await.unwrap().is_some(), stands, "{word} {pass_on}");
        direct.insert(&order).await.unwrap();
        let marked = format!(
            "SELECT COUNT(*) FROM openemr_postcalendar_events WHERE pc_hometext LIKE '{}%'",
            order.key.mark()
        );
        assert_eq!(texts(&clinic, &marked).await, ["1"]);
    }
    let patients = texts(&clinic, "SELECT COUNT(*) FROM patient_data").await;
    assert_eq!(patients, ["65"], "one for each booking");
}

#[tokio::test]
async fn mariadb_rules_that_cannot_be_read_do_not_stop_the_book() {
    let clinic = clinic(Version::Seven).await;
    let mut sql = String::new();
    for (kind, broken) in [
        (1, rule("0", "0", ["1", "0", "0"], "")),
        (3, rule("", "6", ["1", "0", "0"], "")),
        (2, "rubbish".into()),
        (8, String::new()),
    ] {
        sql += &format!(
            "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_eventDate, pc_endDate, pc_startTime, \
             pc_duration, pc_recurrtype, pc_recurrspec) VALUES (11, 0, '10', '2026-09-08', '2030-01-01', '08:00:00', 3600, \
             {kind}, '{broken}');"
        );
    }
    change(&clinic, &sql).await;
    let book =
        practice(&clinic, WriteMode::None).book(Horizon::from_day(clinic.size.first, 60)).await.unwrap();
    let busy = |text: &str| {
        book.days[&(ResourceRef::new("10"), day(text))]
            .busy
            .iter()
            .any(|busy| busy.start.minutes() <= 480 && busy.end.minutes() >= 540)
    };
    assert!(busy("2026-09-08"));
    let free: usize = free_minutes(&book, "10", day("2026-09-09")).iter().filter(|free| **free).count();
    assert_eq!(free, clinic.account.free(10, day("2026-09-09")).iter().filter(|free| **free).count());
}

/// The figures of a full-size clinic; `cargo xtask bench` reports them from an optimised build.
#[tokio::test]
async fn mariadb_two_months_of_a_large_clinic_are_read_quickly() {
    let size = Size { practitioners: 24, patients: 500, first: day("2026-09-07"), days: 60 };
    let clinic = Clinic::create(Server::shared().unwrap(), Version::Seven, size).await.unwrap();
    let practice = practice(&clinic, WriteMode::Sql);
    let horizon = Horizon::from_day(size.first, 60);
    practice.stamp(horizon).await.unwrap();
    let began = Instant::now();
    let book = practice.book(horizon).await.unwrap();
    let read = began.elapsed();
    let began = Instant::now();
    practice.stamp(horizon).await.unwrap();
    let stamped = began.elapsed();
    let starts = free_times(&clinic, FIRST_PRACTITIONER).nth(3).unwrap();
    let began = Instant::now();
    practice.insert(&order("1", FIRST_PRACTITIONER, starts)).await.unwrap();
    let inserted = began.elapsed();
    println!(
        "{} appointments; book {read:?}, stamp {stamped:?}, insert {inserted:?}",
        book.appointments.len()
    );
    assert_eq!(book.resources.len(), 24);
    assert!(read < Duration::from_secs(5) && stamped < Duration::from_secs(2), "{read:?} {stamped:?}");
}

/// With `CLINIC_COMPANION_PMS_REFERENCE` naming a folder that holds OpenEMR's own table definitions and a generator of
/// clinics with its account of free time, our reading is checked against that as well.
#[tokio::test]
async fn mariadb_agrees_with_the_reference_where_there_is_one() {
    let Some(folder) = std::env::var_os("CLINIC_COMPANION_PMS_REFERENCE") else {
        println!("CLINIC_COMPANION_PMS_REFERENCE is not set, so there is nothing to compare with");
        return;
    };
    for version in [7, 8] {
        compare_with_reference(Path::new(&folder), version).await;
    }
}

#[derive(Default)]
struct Expected {
    open: Vec<(usize, usize)>,
    taken: Vec<(usize, usize)>,
    cancelled: Vec<(usize, usize)>,
}

fn expected(row: &serde_json::Value) -> Expected {
    let ranges = |name: &str| -> Vec<(usize, usize)> {
        let list = row[name].as_array().unwrap();
        let number = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        list.iter().map(|range| (number(&range[0]), number(&range[1]))).collect()
    };
    let taken = ranges("busy").into_iter().chain(ranges("clinic_busy")).collect();
    Expected { open: ranges("open"), taken, cancelled: ranges("cancelled") }
}

async fn compare_with_reference(folder: &Path, version: u32) {
    let server = Server::shared().unwrap();
    let output = tempfile::TempDir::new().unwrap();
    let (seed, truth) = (output.path().join("seed.sql"), output.path().join("truth.json"));
    let made = std::process::Command::new("python3")
        .arg(folder.join("generate.py"))
        .args([
            "--target",
            "openemr",
            "--seed",
            "19",
            "--patients",
            "900",
            "--practitioners",
            "8",
            "--truth-days",
            "90",
        ])
        .args(["--openemr-version", &version.to_string(), "--batch", "100"])
        .arg("--out")
        .arg(&seed)
        .arg("--truth")
        .arg(&truth)
        .status()
        .unwrap();
    assert!(made.success());
    let database = server.create_database().await.unwrap();
    let mut files = vec![folder.join("openemr-schema.sql")];
    if version == 8 {
        files.push(folder.join("openemr-8.1-delta.sql"));
    }
    files.push(seed);
    for file in files {
        server.run(&database, &std::fs::read_to_string(file).unwrap()).await.unwrap();
    }
    let truth: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(truth).unwrap()).unwrap();
    let first = day(truth["today"].as_str().unwrap());
    for (free_cancelled, profile) in [
        (true, shipped().to_owned()),
        (false, shipped().replace("free_cancelled = true", "free_cancelled = false")),
    ] {
        let practice = link(&server.url("root", &database), &profile, None, WriteMode::Sql, first);
        assert_eq!(practice.check().await.unwrap().writable, Writable::Yes);
        let tried = practice.try_queries().await;
        assert!(tried.iter().all(|(_, result, _)| result.is_ok()), "{tried:?}");
        let book = practice.book(Horizon::from_day(first, 89)).await.unwrap();
        let days: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(truth["days"].clone()).unwrap();
        let mut free = 0;
        for (date, practitioners) in &days {
            for (practitioner, row) in practitioners.as_object().unwrap() {
                let expected = expected(row);
                let mut wanted = vec![false; 1440];
                for (start, end) in expected.open {
                    wanted[start..end].fill(true);
                }
                let cancelled = if free_cancelled { Vec::new() } else { expected.cancelled };
                for (start, end) in expected.taken.into_iter().chain(cancelled) {
                    wanted[start..end.min(1440)].fill(false);
                }
                let found = free_minutes(&book, practitioner, day(date));
                let differs: Vec<usize> =
                    (0..1440).filter(|minute| wanted[*minute] != found[*minute]).collect();
                assert!(differs.is_empty(), "OpenEMR {version}, {practitioner} on {date}: {differs:?}");
                free += found.iter().filter(|free| **free).count();
            }
        }
        assert!(free > 10_000);
        println!("OpenEMR {version}: {} days agree, {free} free minutes", days.len());
    }
}
