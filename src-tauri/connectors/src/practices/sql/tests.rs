//! The engine on the demo clinic's SQLite file, and what is said about profiles with mistakes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm, reason = "tests")]

use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveTime};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked, SnapshotBy};
use domain::diary::{AppointmentStatus, OpenTime};
use domain::failure::Refusal;
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PartnerId, PatientRef, PracticeId};
use domain::people::Gender;
use domain::private::Private;
use domain::records::{InvoiceFacts, LocalInvoice};
use domain::time::{DayRange, MinuteOfDay, Minutes, PracticeTime};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::profile::{parse, parse_own};
use super::*;
use crate::practices::{SHIPPED, demo};

struct StoppedClock(DateTime<Utc>);

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

const MELBOURNE: PracticeZone = PracticeZone(chrono_tz::Australia::Melbourne);

/// A Monday, ten in the morning in Melbourne.
fn clock() -> Arc<dyn Clock> {
    Arc::new(StoppedClock("2026-08-03T00:00:00Z".parse().unwrap()))
}

fn today() -> NaiveDate {
    MELBOURNE.today(clock().now())
}

fn shipped(name: &str) -> &'static str {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap().1
}

struct Clinic {
    folder: TempDir,
}

impl Clinic {
    fn new() -> Self {
        let clinic = Self { folder: TempDir::new().unwrap() };
        demo::create(&clinic.path(), today()).unwrap();
        clinic
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("book.db")
    }

    fn tool(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn change(&self, sql: &str) {
        self.tool().execute_batch(sql).unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        self.tool().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn text(&self, sql: &str) -> String {
        self.tool().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn practice(&self, write: WriteMode) -> SqlPractice {
        link(shipped("demo"), &self.path(), write)
    }

    /// The first stretch of at least `minutes` that practitioner 2 has free from `day` on.
    async fn free_time(&self, minutes: u16) -> PracticeTime {
        let horizon = Horizon::from_day(today().succ_opt().unwrap(), 20);
        let book = self.practice(WriteMode::None).book(horizon).await.unwrap();
        for day in horizon.days() {
            for free in book.free(&ResourceRef::new("2"), day) {
                if free.range.minutes() >= minutes {
                    return at(day, free.range.start.minutes());
                }
            }
        }
        panic!("a clinic with no free time");
    }
}

fn link(profile: &str, path: &Path, write: WriteMode) -> SqlPractice {
    let url = format!("sqlite:{}", path.display());
    SqlPractice::link(parse(profile).unwrap(), &url, None, MELBOURNE, write, None, clock()).unwrap()
}

/// The same with a clinic's own profile.
fn link_own(profile: &str, path: &Path, write: WriteMode) -> SqlPractice {
    let url = format!("sqlite:{}", path.display());
    let profile = parse_own(profile, "profiles/own.toml").unwrap();
    SqlPractice::link(profile, &url, None, MELBOURNE, write, None, clock()).unwrap()
}

/// Line and column at which something first stands in a file.
fn place_of(text: &str, what: &str) -> (usize, usize) {
    let before = &text[..text.find(what).unwrap()];
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap().chars().count() + 1)
}

fn at(day: NaiveDate, minute: u16) -> PracticeTime {
    PracticeTime(day.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute)))
}

fn key(booking: &str) -> BookingKey {
    BookingKey {
        practice: PracticeId::new("demo"),
        partner: PartnerId::new("healthengine"),
        booking: ForeignBookingId::new(booking),
    }
}

fn private(text: &str) -> Private<String> {
    Private::new(text.to_owned())
}

fn person(first: &str, last: &str) -> PersonDetails {
    PersonDetails {
        first_name: private(first),
        last_name: private(last),
        birth_date: Private::new(NaiveDate::from_ymd_opt(1984, 11, 9)),
        phones: vec![private("+61 491 570 156")],
        email: private("someone@example.com"),
        gender: Private::new(Some(Gender::Female)),
        ..PersonDetails::default()
    }
}

fn order(booking: &str, starts: PracticeTime) -> AppointmentOrder {
    AppointmentOrder {
        key: key(booking),
        resource: ResourceRef::new("2"),
        appointment_type: Some(AppointmentTypeRef::new("1")),
        starts,
        length: Minutes(30),
        patient: PatientPlan::New { possible_duplicate_of: None },
        details: person("Ada", "Wattle"),
        note: private("sore knee"),
        beside: false,
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, WriteError>) -> Refusal {
    match result.unwrap_err() {
        WriteError::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn shipped_profiles_are_sound() {
    for (name, text) in SHIPPED {
        let profile = parse(text).unwrap_or_else(|mistake| panic!("{name}: {mistake}"));
        assert_eq!(profile.name, *name);
        assert!(profile.write.is_some());
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let sound = shipped("demo");
    for (right, wrong, found_at, message) in [
        ("title = \"Demo clinic\"", "titel = \"Demo clinic\"", "titel", "unknown field `titel`"),
        ("title = \"Demo clinic\"", "title = 7", "7", "invalid type: integer `7`, expected a string"),
        ("engine = \"sqlite\"", "engine = \"oracle\"", "\"oracle\"", "unknown variant `oracle`"),
        ("booked = \"booked\"", "booked = \"bookd\"", "\"bookd\"", "unknown variant `bookd`"),
        ("settle_seconds = 10", "settle_seconds = -1", "-1", "invalid value: integer `-1`, expected u32"),
        ("locations = \"SELECT", "locatoins = \"SELECT", "locatoins", "unknown field `locatoins`"),
        (
            "d.day BETWEEN a.first_day",
            "d.day BETWEEN :frm",
            ":frm",
            "unknown parameter `:frm`: it takes :from",
        ),
        (
            "FROM patient WHERE id = :patient_number",
            "FROM patient WHERE id = ?",
            "?",
            "name the parameter, like `:day`",
        ),
        ("version = \"text\"", "version = \"string\"", "\"string\"", "unknown variant `string`"),
        ("to = \"1\"", "to = \"new\"", "\"new\"", "not a version: write it like `7.0`"),
        ("mobile = 40", "mobil = 40", "mobil = 40", "`mobil` is no text that can be limited"),
        ("name = \"demo\"", "name = \"my demo\"", "\"my demo\"", "small letters, digits and `-` only"),
        ("[write.gender]", "[write.gendre]", "gendre", "unknown field `gendre`"),
        ("status]\nbooked", "status]\nbooked = = 3\nbooked", "= 3", ""),
    ] {
        assert_eq!(sound.matches(right).count(), 1, "{right}");
        let broken = sound.replace(right, wrong);
        let mistake = parse(&broken).expect_err(wrong);
        assert!(mistake.message.contains(message), "{wrong}: {mistake}");
        assert_eq!((mistake.line, mistake.column), place_of(&broken, found_at), "{wrong}: {mistake}");
    }
    let start = sound.find("patient_count = ").unwrap();
    let end = start + sound[start..].find('\n').unwrap();
    let missing = parse(&sound.replacen(&sound[start..end], "", 1)).unwrap_err();
    assert!(missing.message.contains("missing field `patient_count`: add it"), "{missing}");
    assert_eq!(missing.line, place_of(sound, "[query]").0);
}

#[tokio::test]
async fn sql_that_the_database_refuses_is_named() {
    let clinic = Clinic::new();
    for (right, wrong, query, words) in [
        (
            "SELECT id, name FROM location",
            "SELEKT id, name FROM location",
            "locations",
            "near \"SELEKT\": syntax error",
        ),
        (
            "COUNT(*) AS patients FROM patient\"",
            "COUNT(*) AS patients FROM pateint\"",
            "patient_count",
            "no such table: pateint",
        ),
    ] {
        assert_eq!(shipped("demo").matches(right).count(), 1, "{right}");
        let practice = link(&shipped("demo").replace(right, wrong), &clinic.path(), WriteMode::Sql);
        let tried = practice.try_queries().await;
        let failed: Vec<_> = tried.iter().filter(|(_, result, _)| result.is_err()).collect();
        assert_eq!(failed.len(), 1, "{tried:?}");
        assert_eq!(failed[0].0, query);
        assert!(failed[0].1.as_ref().unwrap_err().contains(words), "{failed:?}");
        let error = practice.check().await.unwrap_err();
        assert!(
            matches!(&error, ReadError::Misfit(text) if text.contains(query) && text.contains(words)),
            "{error}"
        );
    }
    let practice = link(
        &shipped("demo").replace("SELECT id, name, minutes FROM", "SELECT id, name, minutes AS length FROM"),
        &clinic.path(),
        WriteMode::Sql,
    );
    let error = practice.book(Horizon::from_day(today(), 1)).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Misfit(text) if text == "query `appointment_types` does not return the column `minutes`"),
        "{error}"
    );
}

#[tokio::test]
async fn bad_sql_in_a_clinics_own_profile_is_named_with_its_place() {
    let clinic = Clinic::new();
    for (right, wrong, found_at, query, words) in [
        (
            "SELECT id, name FROM location",
            "SELEKT id, name FROM location",
            "SELEKT",
            "locations",
            "near \"SELEKT\": syntax error",
        ),
        (
            "SELECT id, name, minutes FROM",
            "SELECT id, name,\n  minuets AS minutes FROM",
            "minuets",
            "appointment_types",
            "no such column: minuets",
        ),
        (
            "COUNT(*) AS patients FROM patient\"",
            "COUNT(*) AS patients FROM pateint\"",
            "SELECT COUNT(*) AS patients FROM pateint",
            "patient_count",
            "no such table: pateint",
        ),
        (
            "SELECT id, name, minutes FROM",
            "SELECT id, name, minutes AS length FROM",
            "SELECT id, name, minutes AS length",
            "appointment_types",
            "it does not return the column `minutes`",
        ),
        (
            "create_patient = \"\"\"\nINSERT INTO",
            "create_patient = \"\"\"\nINSRT INTO",
            "INSRT",
            "write.create_patient",
            "near \"INSRT\": syntax error",
        ),
        (
            "SELECT slot_minutes AS value FROM clinic",
            "SELECT slot_minuets AS value FROM clinic",
            "slot_minuets",
            "probe.slot_minutes",
            "no such column: slot_minuets",
        ),
    ] {
        assert_eq!(shipped("demo").matches(right).count(), 1, "{right}");
        let text = shipped("demo").replace(right, wrong);
        let (line, column) = place_of(&text, found_at);
        let said = format!("`profiles/own.toml`, line {line}, column {column}, in `{query}`: {words}");
        let practice = link_own(&text, &clinic.path(), WriteMode::Sql);
        let error = practice.check().await.unwrap_err();
        assert!(matches!(&error, ReadError::OwnProfile(text) if *text == said), "{said}: {error}");
        let tried = practice.try_queries().await;
        let failed: Vec<_> = tried.into_iter().filter_map(|(_, result, _)| result.err()).collect();
        if !words.starts_with("it does not return") {
            assert_eq!(failed, [said]);
        }
    }
    // What is wrong with the database is not the profile's mistake.
    let letter = clinic.folder.path().join("letter.db");
    std::fs::write(&letter, "Dear clinic,".repeat(100)).unwrap();
    let error = link_own(shipped("demo"), &letter, WriteMode::Sql).check().await.unwrap_err();
    assert!(matches!(&error, ReadError::Misfit(text) if text == "the file is no SQLite database"), "{error}");
}

#[tokio::test]
async fn every_statement_of_the_demo_profile_works() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let tried = practice.try_queries().await;
    assert!(tried.len() > 25, "{tried:?}");
    assert!(tried.iter().all(|(_, result, _)| result.is_ok()), "{tried:?}");
    let card = practice.check().await.unwrap();
    assert!(card.system.starts_with("Demo clinic 1 on SQLite 3."), "{}", card.system);
    assert_eq!((card.resources, card.locations, card.patients), (5, 1, 400));
    assert_eq!(card.writable, Writable::Yes);
    assert!(card.next_appointment.is_some_and(|(time, name)| time.day() >= today() && !name.is_empty()));
    let reading = clinic.practice(WriteMode::None);
    assert_eq!(reading.check().await.unwrap().writable, Writable::SwitchedOff);
    assert_eq!(refusal(reading.insert(&order("1", clinic.free_time(30).await)).await), Refusal::ReadOnly);
}

/// Free minutes, worked out row by row and minute by minute from the tables.
fn free_minutes(clinic: &Clinic, practitioner: i64, day: NaiveDate) -> Vec<bool> {
    use chrono::Datelike;
    let book = clinic.tool();
    let mut minutes = vec![false; 1440];
    let mut set = |sql: &str, values: &[&dyn rusqlite::ToSql], free: bool| {
        let mut statement = book.prepare(sql).unwrap();
        let mut rows = statement.query(values).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (start, end): (u16, u16) = (row.get(0).unwrap(), row.get(1).unwrap());
            minutes[usize::from(start)..usize::from(end.min(1440))].fill(free);
        }
    };
    let weekday = i64::from(day.weekday().num_days_from_sunday());
    let day = day.to_string();
    set(
        "SELECT start_minute, end_minute FROM weekly_hours WHERE practitioner_id = ? AND weekday = ?",
        params![practitioner, weekday],
        true,
    );
    set(
        "SELECT start_minute, end_minute FROM weekly_break WHERE practitioner_id = ? AND weekday = ?",
        params![practitioner, weekday],
        false,
    );
    set(
        "SELECT start_minute, start_minute + minutes FROM appointment
         WHERE practitioner_id = ? AND day = ? AND status <> 'cancelled'",
        params![practitioner, day],
        false,
    );
    set(
        "SELECT 0, 1440 FROM absence WHERE (practitioner_id = ? OR practitioner_id IS NULL) AND ? BETWEEN first_day AND last_day",
        params![practitioner, day],
        false,
    );
    minutes
}

#[tokio::test]
async fn free_time_is_what_the_tables_say() {
    let clinic = Clinic::new();
    clinic.change("INSERT INTO absence (practitioner_id, first_day, last_day, reason) VALUES (NULL, '2026-08-20', '2026-08-21', 'Closed')");
    let horizon = Horizon::from_day(today(), 60);
    let book = clinic.practice(WriteMode::None).book(horizon).await.unwrap();
    let mut free_in_all = 0;
    for resource in &book.resources {
        for day in horizon.days() {
            let mut wanted = free_minutes(&clinic, resource.id.as_str().parse().unwrap(), day);
            let day_plan = book.days.get(&(resource.id.clone(), day)).cloned().unwrap_or_default();
            let mut found = vec![false; 1440];
            for free in day_plan.free(Minutes(1)) {
                found[usize::from(free.range.start.minutes())..usize::from(free.range.end.minutes())]
                    .fill(true);
            }
            free_in_all += found.iter().filter(|free| **free).count();
            assert_eq!(found, wanted, "{resource:?} {day}");
            wanted.clear();
        }
    }
    assert!(free_in_all > 10_000);
    assert_eq!(book.resources[0].name, "Zoë Banksia");
    assert!(book.appointments.iter().any(|a| a.status == AppointmentStatus::Cancelled));
}

#[tokio::test]
async fn a_booking_is_written_once_found_named_and_cancelled() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let order = order("77", clinic.free_time(30).await);
    let horizon = Horizon::from_day(today(), 60);
    let stamp = practice.stamp(horizon).await.unwrap();
    assert_eq!(practice.stamp(horizon).await.unwrap(), stamp);
    assert_eq!(practice.find(&order.key).await.unwrap(), None);

    let held = practice.insert(&order).await.unwrap();
    assert_eq!(practice.insert(&order).await.unwrap(), held);
    assert_eq!(clinic.number("SELECT count(*) FROM appointment WHERE instr(note, '[healthengine:77]')"), 1);
    assert_eq!(clinic.number("SELECT count(*) FROM patient"), 401);
    assert_eq!(practice.find(&order.key).await.unwrap(), Some(held.clone()));
    assert_eq!(practice.find(&key("7")).await.unwrap(), None);
    assert_ne!(practice.stamp(horizon).await.unwrap(), stamp);
    assert_eq!(
        clinic.text("SELECT title || '|' || note FROM appointment ORDER BY id DESC LIMIT 1"),
        "Standard consultation|[healthengine:77]\nsore knee"
    );
    let listed = practice.appointments_with_patients(&order.resource, order.starts.day()).await.unwrap();
    let (listed, record) = listed.iter().find(|(appointment, _)| appointment.id == held.appointment).unwrap();
    assert_eq!((listed.starts, listed.length), (order.starts, order.length));
    assert_eq!(record.as_ref().unwrap().details.email, order.details.email);

    let mut other = order.clone();
    other.key = key("78");
    assert_eq!(refusal(practice.insert(&other).await), Refusal::SlotTaken);
    practice.cancel(&held).await.unwrap();
    practice.cancel(&held).await.unwrap();
    assert_eq!(practice.find(&order.key).await.unwrap(), None);

    // The time is free again, and can be held for somebody who is not decided on yet.
    other.patient = PatientPlan::Undecided;
    let held = practice.insert(&other).await.unwrap();
    assert_eq!(held.patient, None);
    let book = practice.book(horizon).await.unwrap();
    let range = other.starts.range(other.length).unwrap();
    let day = &book.days[&(other.resource.clone(), other.starts.day())];
    assert!(day.busy.iter().any(|busy| busy.contains(range)));
    let shown = book.appointments.iter().find(|a| a.id == held.appointment).unwrap();
    assert_eq!(shown.patient, None);
    let plan = PatientPlan::New { possible_duplicate_of: Some(PatientRef::new("12")) };
    let named =
        practice.name_patient(&held.appointment, &other.key, &plan, None, &other.details).await.unwrap();
    assert_eq!(named.patient, Some(PatientRef::new("402")));
    let again =
        practice.name_patient(&held.appointment, &other.key, &plan, None, &other.details).await.unwrap();
    assert_eq!(again, named);
    assert!(
        clinic
            .text("SELECT remark FROM patient WHERE id = 402")
            .contains("Possible duplicate of patient 12.")
    );
    practice.cancel(&held).await.unwrap();
    let gone = practice.name_patient(&held.appointment, &other.key, &plan, None, &other.details).await;
    assert_eq!(refusal(gone), Refusal::BookingUnknown);
    clinic.change("DELETE FROM appointment WHERE instr(note, '[healthengine:78]')");
    practice.cancel(&named).await.unwrap();
}

#[tokio::test]
async fn a_line_is_added_to_a_note_once_and_folders_lie_beside_the_file() {
    let clinic = Clinic::new();
    let practice = link(shipped("demo"), &clinic.path(), WriteMode::Sql);
    let order = order("77", clinic.free_time(30).await);
    let held = practice.insert(&order).await.unwrap();
    let mark = "[healthengine-document:91]";
    for _ in 0..2 {
        practice.add_to_note(&held.appointment, mark, &format!("{mark} A document\ncame in.")).await.unwrap();
    }
    let note = "SELECT note FROM appointment ORDER BY id DESC LIMIT 1";
    assert_eq!(
        clinic.text(note),
        "[healthengine:77]\nsore knee\n[healthengine-document:91] A document came in."
    );
    assert_eq!(practice.find(&order.key).await.unwrap(), Some(held.clone()), "our own mark stays in front");
    let gone = practice.add_to_note(&AppointmentRef::new("999999"), mark, "x").await;
    assert_eq!(refusal(gone), Refusal::BookingUnknown);
    let reader = clinic.practice(WriteMode::None);
    assert_eq!(refusal(reader.add_to_note(&held.appointment, "[x]", "[x]").await), Refusal::ReadOnly);

    let title = practice.document_inbox().unwrap().title();
    let beside = clinic.folder.path().join("demo-documents/for-the-practice");
    assert_eq!(title, format!("The folder {}", beside.display()));
    assert!(practice.document_source().is_some());
    let own = DocumentRoutes { inward: Some("/srv/import".into()), ..DocumentRoutes::default() };
    let practice = practice.with_document_folders(&own);
    assert_eq!(practice.document_inbox().unwrap().title(), "The folder /srv/import");
    let (profile, url) = (parse(shipped("openemr")).unwrap(), "mysql://a@127.0.0.1:1/b");
    let openemr = SqlPractice::link(profile, url, None, MELBOURNE, WriteMode::None, None, clock()).unwrap();
    assert!(openemr.document_inbox().is_none() && openemr.document_source().is_none());
}

#[tokio::test]
async fn a_pattern_with_a_mistake_is_named_with_its_place() {
    let text = shipped("demo").replace("[documents]", "[documents]\nimport_name = \"{name}.{ext}\"");
    let mistake = parse(&text).unwrap_err();
    assert!(mistake.message.contains("{patient_id}"), "{mistake}");
    assert!(text.lines().nth(mistake.line - 1).unwrap().starts_with("import_name"), "{mistake}");
}

#[tokio::test]
async fn a_wrong_patient_is_corrected_while_the_appointment_is_to_come() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let mut order = order("81", clinic.free_time(30).await);
    order.patient = PatientPlan::New { possible_duplicate_of: None };
    let held = practice.insert(&order).await.unwrap();
    let made = held.patient.clone().unwrap();
    assert_eq!(practice.patient(&made).await.unwrap().unwrap().id, made);
    assert_eq!(practice.patient(&PatientRef::new("99999")).await.unwrap(), None);

    let correct = async |key: &BookingKey, plan: &PatientPlan, from: &PatientRef| {
        practice.name_patient(&held.appointment, key, plan, Some(from), &order.details).await
    };
    let twelve = PatientRef::new("12");
    let to_twelve = PatientPlan::Existing(twelve.clone());
    let corrected = correct(&order.key, &to_twelve, &made).await.unwrap();
    assert_eq!(corrected.patient, Some(twelve.clone()));
    assert_eq!(practice.find(&order.key).await.unwrap(), Some(corrected.clone()));
    // Doing it again, or with a patient that it has no more, changes nothing.
    assert_eq!(correct(&order.key, &to_twelve, &made).await.unwrap(), corrected);
    let to_new = PatientPlan::New { possible_duplicate_of: None };
    assert_eq!(correct(&order.key, &to_new, &made).await.unwrap(), corrected);
    // A new record, and not one that is there already.
    let anew = correct(&order.key, &to_new, &twelve).await.unwrap();
    assert!(anew.patient.as_ref().is_some_and(|patient| *patient != made && *patient != twelve));
    assert_eq!(correct(&order.key, &to_new, &twelve).await.unwrap(), anew);
    // Only what carries the booking's own mark, and only until the book says that somebody came.
    let other = correct(&key("82"), &to_twelve, &made).await;
    assert_eq!(refusal(other), Refusal::BookingUnknown);
    let now = anew.patient.clone().unwrap();
    let gone = correct(&order.key, &PatientPlan::Existing(PatientRef::new("99999")), &now).await;
    assert!(matches!(refusal(gone), Refusal::Other(_)));
    clinic.change("UPDATE appointment SET status = 'arrived' WHERE instr(note, '[healthengine:81]')");
    assert_eq!(refusal(correct(&order.key, &to_twelve, &now).await), Refusal::AlreadyBegun);
    clinic.change(
        "UPDATE appointment SET status = 'booked', day = '2020-01-06' WHERE instr(note, '[healthengine:81]')",
    );
    let late = correct(&order.key, &to_twelve, &now).await.unwrap();
    assert_eq!(late.patient, Some(twelve), "nobody came yet, so it is corrected whatever the time");
    clinic.change("UPDATE appointment SET status = 'cancelled' WHERE instr(note, '[healthengine:81]')");
    assert_eq!(refusal(correct(&order.key, &to_twelve, &now).await), Refusal::BookingUnknown);
}

#[tokio::test]
async fn what_has_begun_is_not_cancelled() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let held = practice.insert(&order("5", clinic.free_time(30).await)).await.unwrap();
    for status in ["arrived", "completed"] {
        clinic.change(&format!("UPDATE appointment SET status = '{status}' WHERE id = {}", held.appointment));
        assert_eq!(refusal(practice.cancel(&held).await), Refusal::AlreadyBegun);
    }
    clinic.change(&format!(
        "UPDATE appointment SET status = 'booked', patient_id = 3 WHERE id = {}",
        held.appointment
    ));
    assert!(matches!(refusal(practice.cancel(&held).await), Refusal::Other(_)));
}

#[tokio::test]
async fn refusals_say_why() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let free = clinic.free_time(30).await;
    let refused = async |change: &dyn Fn(&mut AppointmentOrder)| {
        let mut order = order("9", free);
        change(&mut order);
        refusal(practice.insert(&order).await)
    };
    let day = free.day();
    assert_eq!(refused(&|o| o.resource = ResourceRef::new("99")).await, Refusal::ResourceUnknown);
    assert_eq!(refused(&|o| o.resource = ResourceRef::new("2 OR 1=1")).await, Refusal::ResourceUnknown);
    assert_eq!(
        refused(&|o| o.appointment_type = Some(AppointmentTypeRef::new("99"))).await,
        Refusal::TypeUnknown
    );
    assert_eq!(refused(&|o| o.starts = at(day, 5 * 60)).await, Refusal::OutsideHours);
    assert_eq!(refused(&|o| o.starts = at(day, 23 * 60 + 50)).await, Refusal::OutsideHours);
    assert_eq!(refused(&|o| o.starts = at(day, 13 * 60)).await, Refusal::SlotTaken);
    assert_eq!(refused(&|o| o.length = Minutes(0)).await, Refusal::BadLength);
    assert_eq!(refused(&|o| o.length = Minutes(100_000)).await, Refusal::BadLength);
    let skipped: NaiveDate = "2026-10-04".parse().unwrap();
    assert_eq!(refused(&|o| o.starts = at(skipped, 2 * 60 + 15)).await, Refusal::TimeDoesNotExist);
    assert!(matches!(
        refused(&|o| o.patient = PatientPlan::Existing(PatientRef::new("9999"))).await,
        Refusal::Other(_)
    ));
    assert_eq!(clinic.number("SELECT count(*) FROM appointment WHERE note <> ''"), 0);
    assert_eq!(clinic.number("SELECT count(*) FROM patient"), 400);

    // No type at all takes the first of the same length.
    let mut untyped = order("10", free);
    untyped.appointment_type = None;
    let held = practice.insert(&untyped).await.unwrap();
    assert_eq!(clinic.number(&format!("SELECT type_id FROM appointment WHERE id = {}", held.appointment)), 1);
}

#[tokio::test]
async fn what_a_person_wants_beside_something_is_written_there_once() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let starts = clinic.free_time(30).await;
    practice.insert(&order("1", starts)).await.unwrap();
    let mut beside = order("2", starts);
    assert_eq!(refusal(practice.insert(&beside).await), Refusal::SlotTaken);
    beside.beside = true;
    let held = practice.insert(&beside).await.unwrap();
    assert_eq!(practice.insert(&beside).await.unwrap(), held);
    assert_eq!(practice.find(&beside.key).await.unwrap(), Some(held.clone()));
    assert_eq!(clinic.number("SELECT count(*) FROM appointment WHERE instr(note, '[healthengine:2]')"), 1);
    assert!(practice.overlapped(&beside, &held.appointment).await.unwrap());

    // Everything but the free time is looked at as ever.
    let mut wrong = order("3", at(starts.day(), 5 * 60));
    wrong.beside = true;
    assert_eq!(refusal(practice.insert(&wrong).await), Refusal::OutsideHours);
    wrong.starts = starts;
    wrong.resource = ResourceRef::new("99");
    assert_eq!(refusal(practice.insert(&wrong).await), Refusal::ResourceUnknown);
    wrong.resource = ResourceRef::new("2");
    wrong.appointment_type = Some(AppointmentTypeRef::new("99"));
    assert_eq!(refusal(practice.insert(&wrong).await), Refusal::TypeUnknown);
    assert_eq!(clinic.number("SELECT count(*) FROM appointment WHERE instr(note, '[healthengine:3]')"), 0);
    // Lunch stands in the book like an appointment, and a person may know better.
    wrong.appointment_type = Some(AppointmentTypeRef::new("1"));
    wrong.starts = at(starts.day(), 13 * 60);
    practice.insert(&wrong).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_wins() {
    let clinic = Clinic::new();
    for round in 0..5 {
        let starts = clinic.free_time(30).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(4));
        let tries = (0..4).map(|number| {
            let (practice, barrier) = (clinic.practice(WriteMode::Sql), Arc::clone(&barrier));
            let order = order(&format!("{round}-{number}"), starts);
            tokio::spawn(async move {
                barrier.wait().await;
                practice.insert(&order).await
            })
        });
        let mut won = 0;
        for result in futures_util::future::join_all(tries).await {
            match result.unwrap() {
                Ok(_) => won += 1,
                Err(WriteError::Refused(Refusal::SlotTaken)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
    assert_eq!(clinic.number("SELECT count(*) FROM patient"), 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_inserted_many_times_at_once_stands_once() {
    let clinic = Clinic::new();
    let starts = clinic.free_time(30).await;
    let tries = (0..4).map(|_| {
        let practice = clinic.practice(WriteMode::Sql);
        tokio::spawn(async move { practice.insert(&order("same", starts)).await })
    });
    let results = futures_util::future::join_all(tries).await;
    let held: Vec<Held> = results.into_iter().map(|result| result.unwrap().unwrap()).collect();
    assert!(held.iter().all(|other| *other == held[0]), "{held:?}");
    assert_eq!(clinic.number("SELECT count(*) FROM patient"), 401);
}

#[tokio::test]
async fn strange_text_is_stored_and_does_no_harm() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    for (number, text) in [
        "👩🏽‍⚕️ Zoë",
        "مرحبا שלום",
        "'; DROP TABLE patient; --",
        "\" OR \"\"=\"",
        "a\0b\u{1b}[31m\r\nc\u{202E}d",
        &"Ŵ".repeat(10_000),
        "\\' OR 1=1 -- \\",
        "${x} %s {{y}}",
    ]
    .into_iter()
    .enumerate()
    {
        let starts = clinic.free_time(30).await;
        let mut order = order(&format!("t{number}"), starts);
        let value = private(text);
        let mut details = order.details.clone();
        details.first_name = value.clone();
        details.last_name = value.clone();
        details.email = value.clone();
        details.phones = vec![value.clone(), value.clone()];
        details.street = value.clone();
        details.suburb = value.clone();
        details.state = value.clone();
        details.postcode = value.clone();
        details.medicare_number = value.clone();
        order.details = details;
        order.note = private(&format!("{text} [healthengine:1]"));
        let held = practice.insert(&order).await.unwrap();
        assert_eq!(practice.find(&order.key).await.unwrap(), Some(held.clone()));
        assert_eq!(practice.find(&key("1")).await.unwrap(), None, "a patient's words passed for a mark");
        let records = practice.appointments_with_patients(&order.resource, starts.day()).await.unwrap();
        let record = records.into_iter().find(|(a, _)| a.id == held.appointment).unwrap().1.unwrap();
        let name = record.details.first_name.reveal().clone();
        assert!(name.chars().count() <= 200 && !name.chars().any(char::is_control), "{number}");
        let plain = !text.contains('\0') && text.chars().count() < 200;
        assert!(!plain || name == text, "{number}: {name}");
        practice.find_patients(&order.details).await.unwrap();
        let found = practice.find_patients(&record.details).await.unwrap().records;
        assert!(found.iter().any(|found| found.id == record.id), "{number}");
    }
}

#[tokio::test]
async fn patients_are_found_by_any_of_what_is_known() {
    let clinic = Clinic::new();
    clinic.change(
        "INSERT INTO patient (id, first_name, last_name, birth_date, mobile, email) VALUES
         (901, 'Thảo', 'Nguyễn', '1990-05-25', '0491 570 006', 'thao@example.com'),
         (902, 'John', 'Smyth', NULL, '', '')",
    );
    let practice = clinic.practice(WriteMode::None);
    let found = async |details: PersonDetails| {
        let found = practice.find_patients(&details).await.unwrap().records;
        found
            .iter()
            .map(|record| record.id.as_str().parse::<i64>().unwrap())
            .filter(|id| *id > 900)
            .collect::<Vec<_>>()
    };
    let empty = PersonDetails::default;
    let born = Private::new(NaiveDate::from_ymd_opt(1990, 5, 25));
    assert_eq!(found(PersonDetails { birth_date: born, ..empty() }).await, [901]);
    assert_eq!(found(PersonDetails { phones: vec![private("+61491570006")], ..empty() }).await, [901]);
    assert_eq!(found(PersonDetails { email: private(" THAO@example.com "), ..empty() }).await, [901]);
    let named = PersonDetails { first_name: private("john"), last_name: private("SMYTH"), ..empty() };
    assert_eq!(found(named).await, [902]);
    assert_eq!(found(empty()).await, [] as [i64; 0]);
}

#[tokio::test]
async fn a_crowd_that_shares_a_stand_in_is_told_as_such() {
    let clinic = Clinic::new();
    clinic.change(
        "INSERT INTO patient (id, first_name, last_name, birth_date, mobile, email)
         WITH RECURSIVE n (n) AS (SELECT 10001 UNION ALL SELECT n + 1 FROM n WHERE n < 10500)
         SELECT n, 'Crowd', 'Of ' || n, '1900-01-01', '0491 570 999', '' FROM n;
         INSERT INTO patient (id, first_name, last_name, birth_date, mobile, email)
         VALUES (20001, 'Ida', 'Behind', '1900-01-01', '', '')",
    );
    let practice = clinic.practice(WriteMode::None);
    let born = Private::new(NaiveDate::from_ymd_opt(1900, 1, 1));
    let ida = PersonDetails {
        first_name: private("Ida"),
        last_name: private("Behind"),
        birth_date: born,
        ..PersonDetails::default()
    };
    let found = practice.find_patients(&ida).await.unwrap();
    assert!(!found.complete && found.records.iter().any(|record| record.id.as_str() == "20001"));
    let phone = PersonDetails { phones: vec![private("0491 570 999")], ..PersonDetails::default() };
    let found = practice.find_patients(&phone).await.unwrap();
    assert!(found.complete && found.records.len() == 500);
    clinic.change("UPDATE patient SET mobile = '0491570999' WHERE id = 20001");
    assert!(!practice.find_patients(&phone).await.unwrap().complete);
}

#[tokio::test]
async fn an_unknown_schema_is_neither_read_nor_written() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let order = order("3", clinic.free_time(30).await);
    clinic.change("ALTER TABLE appointment RENAME COLUMN start_minute TO begins; DROP TABLE absence");
    let differs = |error: ReadError| match error {
        ReadError::Misfit(text) => text,
        other => panic!("{other:?}"),
    };
    let words = "the table `absence` is missing, or the account may not read it; `appointment` has no column `start_minute`";
    assert_eq!(differs(practice.book(Horizon::from_day(today(), 1)).await.unwrap_err()), words);
    assert_eq!(differs(practice.check().await.unwrap_err()), words);
    match practice.insert(&order).await.unwrap_err() {
        WriteError::Untouched(error) => assert_eq!(differs(error), words),
        other => panic!("{other:?}"),
    }
    let clinic = Clinic::new();
    clinic.change("UPDATE clinic SET version = '2'");
    let practice = clinic.practice(WriteMode::Sql);
    assert!(practice.book(Horizon::from_day(today(), 1)).await.is_ok());
    assert!(
        matches!(practice.check().await.unwrap().writable, Writable::VersionNotTried(text) if text.ends_with('2'))
    );
    assert_eq!(refusal(practice.insert(&order).await), Refusal::ReadOnly);
}

#[tokio::test]
async fn files_that_are_missing_or_something_else() {
    let folder = TempDir::new().unwrap();
    let missing = link(shipped("demo"), &folder.path().join("none.db"), WriteMode::Sql);
    assert!(matches!(missing.check().await.unwrap_err(), ReadError::Unreachable(_)));
    let path = folder.path().join("letter.db");
    std::fs::write(&path, "Dear clinic,".repeat(100)).unwrap();
    assert!(matches!(
        link(shipped("demo"), &path, WriteMode::Sql).check().await.unwrap_err(),
        ReadError::Misfit(_)
    ));
    let linked = |url: &str, write| {
        SqlPractice::link(parse(shipped("demo")).unwrap(), url, None, MELBOURNE, write, None, clock())
            .map(|_| ())
    };
    assert!(matches!(linked("mysql://a@b/c", WriteMode::Sql), Err(LinkError::WrongScheme { .. })));
    assert!(matches!(linked("sqlite:", WriteMode::Sql), Err(LinkError::BadAddress(_))));
    assert!(matches!(linked("sqlite:x", WriteMode::Api), Err(LinkError::WriteNotOffered { .. })));
}

#[tokio::test]
async fn a_book_that_somebody_else_is_writing_is_not_written() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let order = order("4", clinic.free_time(30).await);
    let tool = clinic.tool();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(practice.book(Horizon::from_day(today(), 1)).await.is_ok());
    assert!(matches!(practice.insert(&order).await, Err(WriteError::Untouched(ReadError::Unreachable(_)))));
    tool.execute_batch("COMMIT").unwrap();
    practice.insert(&order).await.unwrap();
}

#[tokio::test]
async fn each_kind_of_edit_changes_the_stamp() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::None);
    let horizon = Horizon::from_day(today(), 60);
    let mut before = practice.stamp(horizon).await.unwrap();
    let next = "(SELECT min(id) FROM appointment WHERE day > '2026-08-04')";
    for edit in [
        format!("UPDATE appointment SET start_minute = start_minute + 5 WHERE id = {next}"),
        format!("UPDATE appointment SET status = 'cancelled' WHERE id = {next}"),
        format!("DELETE FROM appointment WHERE id = {next}"),
        "UPDATE weekly_hours SET end_minute = end_minute - 15 WHERE id = 1".into(),
        "DELETE FROM weekly_break WHERE id = 1".into(),
        "INSERT INTO absence (first_day, last_day, reason) VALUES ('2026-08-09', '2026-08-09', 'Closed')"
            .into(),
        "UPDATE practitioner SET bookable = 0 WHERE id = 3".into(),
        "UPDATE appointment_type SET name = 'Standard' WHERE id = 1".into(),
        "UPDATE location SET name = 'Wattle Street' WHERE id = 1".into(),
    ] {
        clinic.change(&edit);
        let after = practice.stamp(horizon).await.unwrap();
        assert_ne!(after, before, "{edit}");
        before = after;
    }
    clinic.change("UPDATE patient SET first_name = 'Someone' WHERE id = 1");
    assert_eq!(practice.stamp(horizon).await.unwrap(), before);
}

#[tokio::test]
async fn a_day_with_its_patients_by_both_kinds_of_date() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::None);
    assert!(practice.serves_snapshots());
    clinic.change(
        "DELETE FROM appointment WHERE day = '2026-08-05';
         INSERT INTO appointment (id, practitioner_id, patient_id, type_id, day, start_minute, minutes, status, created_at)
         VALUES (9001, 2, 7, 1, '2026-08-05', 600, 30, 'booked', '2026-08-01 09:30:00'),
                (9002, 2, 7, 1, '2026-08-05', 660, 30, 'cancelled', '2026-08-02 09:30:00'),
                (9003, 2, NULL, 1, '2026-08-05', 720, 30, 'booked', '2026-08-01 09:31:00'),
                (9004, 2, 8, NULL, '2026-08-05', 780, 30, 'booked', '2026-08-01 09:32:00'),
                (9005, 3, 9, 2, '2026-08-09', 780, 60, 'booked', '2026-08-01 23:59:59');
         UPDATE patient SET birth_date = '2012-01-01', created_at = NULL WHERE id = 7;
         UPDATE practitioner SET bookable = 0 WHERE id = 3;",
    );
    let asked = |by| SnapshotAsked { day: "2026-08-05".parse().unwrap(), by };
    let day = practice.client_snapshot(asked(SnapshotBy::Appointment)).await.unwrap();
    let ids = |day: &ClientSnapshot| -> Vec<String> {
        day.appointments.iter().map(|appointment| appointment.id.to_string()).collect()
    };
    assert_eq!(ids(&day), ["9001", "9002"], "what is nobody's, or nothing, is left out");
    assert_eq!(day.appointments[1].status, AppointmentStatus::Cancelled);
    assert_eq!(day.appointments[0].created, PracticeTime("2026-08-01T09:30:00".parse().unwrap()));
    assert_eq!(day.patients.len(), 1, "each once");
    assert_eq!(day.patients[0].sixteen_or_younger, Some(true));
    assert_eq!(day.patients[0].created, day.appointments[0].created, "known since then at least");
    let active: Vec<bool> = day.practitioners.iter().map(|listed| listed.active).collect();
    assert_eq!(active, [true, true, false, true, true], "all there are");
    let made = SnapshotAsked { day: "2026-08-01".parse().unwrap(), by: SnapshotBy::Creation };
    let made = practice.client_snapshot(made).await.unwrap();
    assert_eq!(ids(&made), ["9001", "9005"], "whenever they take place");
}

#[test]
fn the_hour_that_a_day_lacks_is_not_offered() {
    let rows = |kind, day: &str, start: i64, length: i64| day::CalendarRow {
        id: "1".into(),
        resource: Some("2".into()),
        kind,
        patient: None,
        appointment_type: None,
        location: None,
        day: day.parse().unwrap(),
        start,
        length,
        status: AppointmentStatus::Booked,
        only_type: None,
        changed: None,
        held: false,
        series: None,
    };
    let rules = Rules {
        availability: profile::Availability::Openemr,
        trust_duration: true,
        free_cancelled: true,
        slot: 15,
        day_end: 86_400,
        weekend: vec![6, 0],
        locations: None,
        zone: MELBOURNE,
    };
    let range = |a: i64, b: i64| DayRange::new(MinuteOfDay::clamped(a), MinuteOfDay::clamped(b)).unwrap();
    let free = |rows: &[day::CalendarRow], day: &str| -> Vec<OpenTime> {
        let day: NaiveDate = day.parse().unwrap();
        let resource = ResourceRef::new("2");
        let plan = day::plan(
            rows,
            &[day::Calendar { resource: &resource, name: &resource }],
            Horizon { first: day, last: day },
            &rules,
        );
        plan.get(&(resource, day)).map(|day| day.book_day().free(Minutes(1))).unwrap_or_default()
    };
    let open = |range| OpenTime { range, only_types: Vec::new() };
    use day::Kind::{Closes, Opens, Takes};
    let night = rows(Opens, "2026-10-04", 3_600, 3 * 3_600);
    assert_eq!(free(&[night], "2026-10-04"), [open(range(60, 120)), open(range(180, 240))]);
    let night = rows(Opens, "2026-04-05", 3_600, 3 * 3_600);
    assert_eq!(free(&[night], "2026-04-05"), [open(range(60, 240))]);
    // Ends are rounded so that nothing is offered that is not wholly free; yesterday reaches into today.
    let day = [
        rows(Opens, "2026-08-04", 30, 0),
        rows(Takes, "2026-08-04", 36_059, 1_800),
        rows(Takes, "2026-08-03", 85_500, 1_830),
        rows(Closes, "2026-08-04", 61_259, 0),
    ];
    assert_eq!(free(&day, "2026-08-04"), [open(range(16, 600)), open(range(631, 1020))]);
    // Closing wins at the same second, and an opening in between ends the one before.
    let day = [
        rows(Opens, "2026-08-04", 32_400, 28_800),
        rows(Opens, "2026-08-04", 36_000, 3_600),
        rows(Opens, "2026-08-04", 43_200, 3_600),
        rows(Closes, "2026-08-04", 43_200, 0),
    ];
    assert_eq!(free(&day, "2026-08-04"), [open(range(540, 660))]);
}

fn watched(booking: &str, held: &Held, place: Option<(&str, PracticeTime)>) -> Watched {
    Watched {
        key: key(booking),
        appointment: held.appointment.clone(),
        patient: held.patient.clone(),
        place: place.map(|(resource, starts)| (ResourceRef::new(resource), starts)),
    }
}

fn stands(appointment: &AppointmentRef, resource: &str, starts: PracticeTime, patient: &str) -> Standing {
    Standing::Stands {
        appointment: appointment.clone(),
        resource: Some(ResourceRef::new(resource)),
        starts: Some(starts),
        patient: Some(PatientRef::new(patient)),
    }
}

#[tokio::test]
async fn what_became_of_an_appointment_is_seen() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let starts = clinic.free_time(30).await;
    let held = practice.insert(&order("1", starts)).await.unwrap();
    let (patient, one) = (held.patient.clone().unwrap(), watched("1", &held, Some(("2", starts))));
    let now = async || practice.standings(std::slice::from_ref(&one)).await.unwrap().remove(0);
    let set =
        |what: &str| clinic.change(&format!("UPDATE appointment SET {what} WHERE id = {}", held.appointment));
    let as_booked = stands(&held.appointment, "2", starts, patient.as_str());
    assert_eq!(now().await, as_booked);
    for (status, expected) in [
        ("no_show", Standing::DidNotAttend),
        ("cancelled", Standing::Cancelled),
        ("arrived", as_booked.clone()),
        ("their own word", as_booked.clone()),
        ("booked", as_booked.clone()),
    ] {
        set(&format!("status = '{status}'"));
        assert_eq!(now().await, expected, "{status}");
    }
    // A length or a type is nobody's business, a place is.
    set("minutes = 45, type_id = 2");
    assert_eq!(now().await, as_booked);
    let later = PracticeTime(starts.0 + TimeDelta::days(1));
    set(&format!("practitioner_id = 3, day = '{}'", later.day()));
    assert_eq!(now().await, stands(&held.appointment, "3", later, patient.as_str()));
    // A record that was merged, and at the same time a note without its mark is no longer known by anything.
    set("patient_id = 5");
    assert_eq!(now().await, stands(&held.appointment, "3", later, "5"));
    set("note = 'moved, patient rang'");
    assert_eq!(now().await, Standing::Gone);
    // Without the mark the same place or the same patient is enough.
    set(&format!("practitioner_id = 2, day = '{}'", starts.day()));
    assert_eq!(now().await, stands(&held.appointment, "2", starts, "5"));
    set(&format!("patient_id = {patient}, practitioner_id = 3"));
    assert_eq!(now().await, stands(&held.appointment, "3", starts, patient.as_str()));
    // But not with another booking's.
    set("note = '[healthengine:2] another one', practitioner_id = 2");
    assert_eq!(now().await, Standing::Gone);
}

#[tokio::test]
async fn what_is_deleted_is_gone_unless_it_was_entered_anew() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::Sql);
    let starts = clinic.free_time(30).await;
    let held = practice.insert(&order("1", starts)).await.unwrap();
    let one = watched("1", &held, Some(("2", starts)));
    clinic.change(&format!("DELETE FROM appointment WHERE id = {}", held.appointment));
    assert_eq!(practice.standings(std::slice::from_ref(&one)).await.unwrap(), [Standing::Gone]);
    // The number is given out again, to somebody else.
    let enter = |note: &str, id: &str, patient: &str| {
        clinic.change(&format!(
            "INSERT INTO appointment (id, practitioner_id, patient_id, type_id, title, day, start_minute, minutes, note)
             VALUES ({id}, 4, {patient}, 1, '', '{}', 600, 15, '{note}')",
            starts.day()
        ));
    };
    enter("", held.appointment.as_str(), "7");
    assert_eq!(practice.standings(std::slice::from_ref(&one)).await.unwrap(), [Standing::Gone]);
    enter("see [healthengine:1]", "990001", "8");
    let anew = stands(&AppointmentRef::new("990001"), "4", at(starts.day(), 600), "8");
    assert_eq!(practice.standings(&[one]).await.unwrap(), [anew]);
}

#[tokio::test]
async fn many_appointments_are_asked_about_at_once_and_in_order() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::None);
    let rows = clinic.number("SELECT count(*) FROM appointment");
    assert!(rows > 250, "more than two lists: {rows}");
    let ask = |id: i64| Watched {
        key: key(&id.to_string()),
        appointment: AppointmentRef::new(id.to_string()),
        patient: Some(PatientRef::new(
            clinic
                .number(&format!("SELECT coalesce((SELECT patient_id FROM appointment WHERE id = {id}), 0)"))
                .to_string(),
        )),
        place: None,
    };
    clinic.change("DELETE FROM appointment WHERE patient_id IS NULL");
    let all: Vec<Watched> = (1..=250).map(ask).chain([ask(999_999)]).collect();
    let told = practice.standings(&all).await.unwrap();
    assert_eq!(told.len(), all.len());
    assert_eq!(told.last(), Some(&Standing::Gone));
    for (one, told) in all.iter().zip(&told) {
        if let Standing::Stands { appointment, patient, .. } = told {
            assert_eq!((appointment, patient), (&one.appointment, &one.patient));
        }
    }
    assert!(told.iter().filter(|told| matches!(told, Standing::Stands { .. })).count() > 150);

    // A profile of somebody's own may have no such query.
    let start = shipped("demo").find("appointments = \"\"\"").unwrap();
    let end = start + shipped("demo")[start..].find("appointment_by_mark").unwrap();
    let older = shipped("demo").replacen(&shipped("demo")[start..end], "", 1);
    let older = link(&older, &clinic.path(), WriteMode::None);
    assert_eq!(older.standings(&all).await.unwrap(), told);

    // Nothing is concluded from a book that cannot be read.
    clinic.change("ALTER TABLE appointment RENAME TO elsewhere");
    assert!(practice.standings(&all).await.is_err());
}

#[tokio::test]
async fn one_of_several_specialties_is_not_a_move() {
    let clinic = Clinic::new();
    clinic.change("UPDATE practitioner SET specialty = 'Physio, Hands' WHERE id = 2");
    let practice = clinic.practice(WriteMode::Sql);
    let horizon = Horizon::from_day(today().succ_opt().unwrap(), 20);
    let book = practice.book(horizon).await.unwrap();
    let hands = ResourceRef::new("2:hands");
    let free = horizon.days().find_map(|day| {
        let free = book.free(&hands, day).into_iter().find(|free| free.range.minutes() >= 30)?;
        Some(at(day, free.range.start.minutes()))
    });
    let starts = free.unwrap();
    let held = practice.insert(&AppointmentOrder { resource: hands, ..order("1", starts) }).await.unwrap();
    let one = watched("1", &held, Some(("2:hands", starts)));
    let patient = held.patient.clone().unwrap();
    let now = async || practice.standings(std::slice::from_ref(&one)).await.unwrap().remove(0);
    let with = |resource: Option<&str>| Standing::Stands {
        appointment: held.appointment.clone(),
        resource: resource.map(ResourceRef::new),
        starts: Some(starts),
        patient: Some(patient.clone()),
    };
    assert_eq!(now().await, with(Some("2:hands")));
    clinic.change(&format!("UPDATE appointment SET practitioner_id = 3 WHERE id = {}", held.appointment));
    assert_eq!(now().await, with(Some("3")));
    // A specialty that is gone leaves open with whom it was.
    clinic.change("UPDATE practitioner SET specialty = 'Physio' WHERE id = 2");
    clinic.change(&format!("UPDATE appointment SET practitioner_id = 2 WHERE id = {}", held.appointment));
    assert_eq!(now().await, with(None));
}

/// The made-up clinic with a column for consent, as its own profile says.
const CONSENT: &str = r#"
[consent.vald]
yes = ["Yes", "with photos"]
no = ["no"]
unknown = ["?"]
query = """
SELECT id AS patient, agreed AS answer, agreed_on AS since, guardian, agreed = 'with photos' AS photo_and_video, form AS wording
  FROM patient WHERE id > :after_number AND id < 8 ORDER BY id LIMIT :limit_number"""
stamp = "SELECT id, agreed FROM patient WHERE agreed <> '' ORDER BY id"
"#;

fn with_consent(clinic: &Clinic, consent: &str) -> SqlPractice {
    link(&format!("{}\n{consent}", shipped("demo")), &clinic.path(), WriteMode::None)
}

fn holding_consents() -> Clinic {
    let clinic = Clinic::new();
    clinic.change(
        "ALTER TABLE patient ADD COLUMN agreed TEXT; ALTER TABLE patient ADD COLUMN agreed_on TEXT;
         ALTER TABLE patient ADD COLUMN guardian TEXT; ALTER TABLE patient ADD COLUMN form TEXT;
         UPDATE patient SET agreed = ' YES ', agreed_on = '2026-07-01', form = '2' WHERE id = 1;
         UPDATE patient SET agreed = 'with photos', agreed_on = '2026-07-01 09:30:00', guardian = ' A parent ' WHERE id = 2;
         UPDATE patient SET agreed = 'No', agreed_on = 'last year' WHERE id = 3;
         UPDATE patient SET agreed = '?' WHERE id = 4;
         UPDATE patient SET agreed = 'ja' WHERE id = 5;
         UPDATE patient SET agreed = '' WHERE id = 6;",
    );
    clinic
}

#[tokio::test]
async fn a_made_up_book_of_an_older_version_is_brought_up_to_date() {
    let clinic = Clinic::new();
    clinic.change(
        "ALTER TABLE patient DROP COLUMN merged_into; ALTER TABLE patient DROP COLUMN inactive;
         ALTER TABLE appointment DROP COLUMN created_at;
         DROP TRIGGER patient_inserted; DROP TRIGGER patient_updated; DROP TRIGGER patient_deleted;
         DROP TABLE patients_changed; DROP TABLE invoice;",
    );
    let horizon = Horizon::from_day(today(), 3);
    assert!(matches!(clinic.practice(WriteMode::None).book(horizon).await, Err(ReadError::Misfit(_))));
    for _ in 0..2 {
        demo::bring_up_to_date(&clinic.path()).unwrap();
        clinic.practice(WriteMode::None).book(horizon).await.unwrap();
    }
    assert_eq!(clinic.number("SELECT COUNT(*) FROM appointment WHERE created_at IS NULL"), 0);
    let stamp = clinic.practice(WriteMode::None).people_stamp().await.unwrap();
    clinic.change("UPDATE patient SET inactive = 1 WHERE id = 1");
    assert_ne!(clinic.practice(WriteMode::None).people_stamp().await.unwrap(), stamp);
}

#[tokio::test]
async fn invoices_are_read_page_by_page_to_the_cent() {
    let clinic = Clinic::new();
    clinic.change(
        "DELETE FROM invoice;
         INSERT INTO invoice VALUES (3, 5, ' 1003 ', '2026-11-02', 9550), (12, 6, '', '2026-11-03', 0),
           (100, 7, '1100', '2026-11-04', -200);",
    );
    let practice = clinic.practice(WriteMode::None);
    let book = practice.invoice_book().expect("the profile says where they stand");
    let first = book.invoices(None, 2).await.unwrap();
    let facts = InvoiceFacts {
        number: Some("1003".into()),
        date: NaiveDate::from_ymd_opt(2026, 11, 2),
        total_in_cents: Some(9550),
        patient: Some("5".into()),
    };
    assert_eq!(first[0], LocalInvoice { id: "3".into(), facts });
    assert_eq!((first.len(), first[1].facts.number.as_ref()), (2, None));
    let rest = book.invoices(Some("12"), 2).await.unwrap();
    assert_eq!(rest.iter().map(|invoice| invoice.id.as_str()).collect::<Vec<_>>(), ["100"]);
}

#[tokio::test]
async fn consents_are_read_as_the_profile_explains_them() {
    use domain::consent::Agreement;
    use domain::consent::in_practice::Answered;
    let clinic = holding_consents();
    let practice = with_consent(&clinic, CONSENT);
    let vald = PartnerId::new("vald");
    assert_eq!(practice.consents_held().len(), 1);
    assert!(clinic.practice(WriteMode::None).consents_held().is_empty(), "no shipped profile maps any");
    let mut read = Vec::new();
    for after in [None, Some("3"), Some("6")] {
        let after = after.map(PatientRef::new);
        read.extend(practice.consents(&vald, after.as_ref(), 3).await.unwrap());
    }
    let said: Vec<(&str, &Answered)> =
        read.iter().map(|answer| (answer.patient.as_str(), &answer.said)).collect();
    let guarded = Agreement { guardian: Some(private("A parent")), photo_and_video: true };
    assert_eq!(
        said,
        [
            ("1", &Answered::Yes(Agreement::default())),
            ("2", &Answered::Yes(guarded)),
            ("3", &Answered::No),
            ("4", &Answered::Nothing),
            ("5", &Answered::Nothing),
            ("6", &Answered::Nothing),
            ("7", &Answered::Nothing),
        ]
    );
    let strange: Vec<_> = read.iter().filter_map(|answer| answer.undeclared.as_ref()).collect();
    assert_eq!(strange, [&private("ja")]);
    assert_eq!(read[0].wording, "2");
    // A day lasts from midnight to midnight in Melbourne, a moment a second; what is no date tells nothing.
    let since = |at: usize| {
        read[at].since.map(|since| (since.from.to_rfc3339(), (since.before - since.from).num_seconds()))
    };
    assert_eq!(since(0), Some(("2026-06-30T14:00:00+00:00".into(), 86_400)));
    assert_eq!(since(1), Some(("2026-06-30T23:30:00+00:00".into(), 1)));
    assert_eq!(since(2), None);
    let stamp = practice.consents_stamp(&vald).await.unwrap();
    clinic.change("UPDATE patient SET email = 'new@example.com' WHERE id = 1");
    assert_eq!(practice.consents_stamp(&vald).await.unwrap(), stamp);
    clinic.change("UPDATE patient SET agreed = 'no' WHERE id = 1");
    assert_ne!(practice.consents_stamp(&vald).await.unwrap(), stamp);
    let tried = practice.try_queries().await;
    assert!(
        tried.iter().any(|(name, result, _)| name == "consent.vald" && result.is_ok()),
        "doctor tries it too"
    );
}

#[tokio::test]
async fn pages_in_no_order_are_refused() {
    let clinic = holding_consents();
    let practice = with_consent(&clinic, &CONSENT.replace("ORDER BY id LIMIT", "ORDER BY id DESC LIMIT"));
    let error = practice.consents(&PartnerId::new("vald"), None, 3).await.unwrap_err();
    assert!(matches!(&error, ReadError::Misfit(words) if words.contains("add ORDER BY")), "{error:?}");
}

#[test]
fn mistakes_in_a_mapping_of_consents_are_named_with_their_place() {
    for (right, wrong, found_at, message) in [
        ("[consent.vald]", "[consent.valid]", "valid]", "unknown field `valid`"),
        ("unknown = [\"?\"]", "unsure = [\"?\"]", "unsure", "unknown field `unsure`"),
        (
            "yes = [\"Yes\", \"with photos\"]",
            "yes = []",
            "\"\"\"\nSELECT id AS patient, agreed",
            "`consent.vald.yes` is empty",
        ),
        (
            "no = [\"no\"]",
            "no = [\"no\", \"YES\"]",
            "\"YES\"",
            "`YES` stands in `consent.vald.yes` and in `consent.vald.no`",
        ),
        ("unknown = [\"?\"]", "unknown = [\" \"]", "\" \"]", "nobody was asked; remove it"),
        (
            "id > :after_number",
            "id > :afetr",
            ":afetr",
            "unknown parameter `:afetr`: it takes :after, :limit",
        ),
        (
            " ORDER BY id LIMIT :limit_number",
            "",
            "\"\"\"\nSELECT id AS patient, agreed",
            "reads everybody at once",
        ),
    ] {
        assert_eq!(CONSENT.matches(right).count(), 1, "{right}");
        let broken = format!("{}\n{}", shipped("demo"), CONSENT.replace(right, wrong));
        let mistake = parse(&broken).expect_err(wrong);
        assert!(mistake.message.contains(message), "{wrong}: {mistake}");
        let before = &broken[..broken.find(found_at).unwrap()];
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        assert_eq!(
            (mistake.line, mistake.column),
            (before.matches('\n').count() + 1, column),
            "{wrong}: {mistake}"
        );
    }
}

#[tokio::test]
async fn whatever_changes_a_patient_changes_the_stamp_and_nothing_else_does() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::None);
    let mut stamps = vec![practice.people_stamp().await.unwrap().unwrap()];
    for change in [
        "INSERT INTO patient (id, first_name, last_name) VALUES (9001, 'Ida', 'Wattle')",
        "UPDATE patient SET remark = 'a word' WHERE id = 9001",
        "INSERT OR REPLACE INTO patient (id, first_name, last_name) VALUES (9001, 'Ida', 'Boronia')",
        "DELETE FROM patient WHERE id = 9001",
        // The same patients as in the beginning, as nobody can know who did not compare them.
        "UPDATE patient SET first_name = first_name WHERE id = 1",
    ] {
        clinic.change(change);
        stamps.push(practice.people_stamp().await.unwrap().unwrap());
        let different: std::collections::BTreeSet<&String> = stamps.iter().collect();
        assert_eq!(different.len(), stamps.len(), "{change}");
    }
    clinic.change("UPDATE appointment SET note = 'a word'");
    assert_eq!(practice.people_stamp().await.unwrap(), stamps.pop());
}

#[tokio::test]
async fn records_that_were_put_away_or_merged_are_told_and_change_the_stamp() {
    let clinic = Clinic::new();
    let practice = clinic.practice(WriteMode::None);
    let stamp = practice.people_stamp().await.unwrap();
    assert!(stamp.is_some());
    clinic.change(
        "UPDATE patient SET inactive = 1 WHERE id = 1; UPDATE patient SET merged_into = 3 WHERE id = 2;",
    );
    assert_ne!(practice.people_stamp().await.unwrap(), stamp);
    let ids = ["1", "2", "3"].map(PatientRef::new);
    let mut records = practice.patients(&ids).await.unwrap();
    records.sort_by(|one, other| one.id.cmp(&other.id));
    let told: Vec<_> = records.iter().map(|record| (record.inactive, record.merged_into.clone())).collect();
    assert_eq!(told, [(true, None), (false, Some(ids[2].clone())), (false, None)]);
}
