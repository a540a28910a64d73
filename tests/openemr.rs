//! A made-up clinic in OpenEMR's tables, and an account of its free time that is worked out day by day from the
//! clinic's habits, without the rules that the rows are written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::mariadb::Server;

const SCHEMA_7: &str = include_str!("../src-tauri/connectors/src/practices/sql/profiles/openemr/tables.sql");
const SCHEMA_8: &str =
    include_str!("../src-tauri/connectors/src/practices/sql/profiles/openemr/tables-8.sql");

/// Which OpenEMR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 7.0.3: zero dates.
    Seven,
    /// 8.1: NULL in their place.
    Eight,
}

/// How large the clinic is, and which days it covers.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// From 10 upwards, as `users.id`.
    pub practitioners: i64,
    /// From 2 upwards in steps of two, as `pid`.
    pub patients: i64,
    /// The first day of the account; a Monday.
    pub first: NaiveDate,
    /// How many days follow it.
    pub days: u64,
}

impl Size {
    /// Four practitioners, sixty days.
    pub fn small(first: NaiveDate) -> Self {
        Self { practitioners: 4, patients: 60, first, days: 60 }
    }
}

/// The grid of `globals.calendar_interval`, in minutes.
pub const SLOT: usize = 15;
/// The first practitioner's `users.id`.
pub const FIRST_PRACTITIONER: i64 = 10;
/// The category of standard consultations, half an hour.
pub const STANDARD: i64 = 17;
/// The location of practitioners with an even id.
pub const HOME: i64 = 3;
/// The location of the others.
pub const BRANCH: i64 = 4;

/// The minutes of a day.
pub type Minutes = Vec<bool>;

/// What is free, minute by minute, per practitioner and day.
#[derive(Default)]
pub struct Account {
    open: BTreeMap<(i64, NaiveDate), Minutes>,
    taken: BTreeMap<(i64, NaiveDate), Minutes>,
}

impl Account {
    fn fill(map: &mut BTreeMap<(i64, NaiveDate), Minutes>, key: (i64, NaiveDate), from: usize, to: usize) {
        let minutes = map.entry(key).or_insert_with(|| vec![false; 1440]);
        minutes.iter_mut().take(to).skip(from).for_each(|minute| *minute = true);
    }

    fn open(&mut self, practitioner: i64, day: NaiveDate, from: usize, to: usize) {
        Self::fill(&mut self.open, (practitioner, day), from, to);
    }

    /// Takes time, on into the following day.
    fn take(&mut self, practitioner: i64, day: NaiveDate, from: usize, to: usize) {
        Self::fill(&mut self.taken, (practitioner, day), from, to.min(1440));
        if to > 1440 {
            Self::fill(&mut self.taken, (practitioner, day + Days::new(1)), 0, to - 1440);
        }
    }

    /// Whether each minute is free.
    pub fn free(&self, practitioner: i64, day: NaiveDate) -> Minutes {
        let Some(open) = self.open.get(&(practitioner, day)) else { return vec![false; 1440] };
        match self.taken.get(&(practitioner, day)) {
            Some(taken) => open.iter().zip(taken).map(|(open, taken)| *open && !*taken).collect(),
            None => open.clone(),
        }
    }
}

/// The clinic, in a database.
pub struct Clinic {
    /// The server.
    pub server: Arc<Server>,
    /// The name of the database.
    pub database: String,
    /// Its free time.
    pub account: Account,
    /// Its size.
    pub size: Size,
}

impl Clinic {
    /// Makes the tables and fills them.
    pub async fn create(server: Arc<Server>, version: Version, size: Size) -> Result<Self> {
        let database = create_tables(&server, version).await?;
        let mut book = Book::new(version);
        book.fill(size);
        server.run(&database, &format!("SET SESSION sql_mode = ''; {}", book.sql())).await?;
        Ok(Self { server, database, account: book.account, size })
    }

    /// The account that a clinic's IT makes for the program: `grants` are the profile's lines.
    pub async fn create_account(&self, name: &str, password: &str, grants: &[String]) -> Result<()> {
        let account = format!("'{name}'@'127.0.0.1'");
        let mut sql = format!("CREATE OR REPLACE USER {account} IDENTIFIED BY '{password}';");
        for grant in grants {
            sql.push_str(&grant.replace("DATABASE", &self.database).replace("ACCOUNT", &account));
        }
        self.server.run(&self.database, &sql).await
    }
}

/// An empty database with OpenEMR's tables.
pub async fn create_tables(server: &Server, version: Version) -> Result<String> {
    let database = server.create_database().await?;
    server.run(&database, SCHEMA_7).await?;
    if version == Version::Eight {
        server.run(&database, SCHEMA_8).await?;
    }
    Ok(database)
}

/// A row of the calendar, as the tests write it.
#[derive(Clone)]
pub struct Row<'a> {
    /// `pc_catid`.
    pub category: i64,
    /// `pc_aid`; 0 is the whole clinic.
    pub practitioner: i64,
    /// `pc_pid`; 0 is nobody.
    pub patient: i64,
    /// `pc_eventDate`.
    pub day: NaiveDate,
    /// `pc_endDate`, of a series.
    pub last: Option<NaiveDate>,
    /// `pc_startTime` in seconds.
    pub start: Option<usize>,
    /// `pc_duration`.
    pub length: usize,
    /// `pc_recurrtype`.
    pub repeats: u32,
    /// `pc_recurrspec`.
    pub rule: String,
    /// `pc_apptstatus`.
    pub status: &'a str,
    /// `pc_prefcatid`.
    pub only: i64,
}

impl Row<'_> {
    /// A row that happens once; times in minutes.
    pub fn once(category: i64, practitioner: i64, day: NaiveDate, from: usize, to: usize) -> Self {
        Row {
            category,
            practitioner,
            patient: 0,
            day,
            last: None,
            start: Some(from * 60),
            length: (to - from) * 60,
            repeats: 0,
            rule: rule("", "", ["1", "0", "0"], ""),
            status: "-",
            only: 0,
        }
    }

    fn repeating(mut self, repeats: u32, rule: String, last: NaiveDate) -> Self {
        (self.repeats, self.rule, self.last) = (repeats, rule, Some(last));
        self
    }
}

/// `pc_recurrspec` as PHP writes it.
pub fn rule(frequency: &str, unit: &str, on: [&str; 3], except: &str) -> String {
    let [number, day, months] = on;
    let fields = [
        ("event_repeat_freq", frequency),
        ("event_repeat_freq_type", unit),
        ("event_repeat_on_num", number),
        ("event_repeat_on_day", day),
        ("event_repeat_on_freq", months),
        ("exdate", except),
    ];
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("s:{}:\"{name}\";s:{}:\"{value}\";", name.len(), value.len()))
        .collect();
    format!("a:6:{{{fields}}}")
}

struct Book {
    version: Version,
    account: Account,
    events: Vec<String>,
    other: String,
    dice: u64,
}

impl Book {
    fn new(version: Version) -> Self {
        Self { version, account: Account::default(), events: Vec::new(), other: String::new(), dice: 7 }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap_or(0) % limit
    }

    fn add(&mut self, row: &Row<'_>) {
        let no_end = if self.version == Version::Eight { "NULL" } else { "'0000-00-00'" };
        let last = row.last.map_or_else(|| no_end.to_owned(), |day| format!("'{day}'"));
        let start = row.start.map_or_else(|| "NULL".to_owned(), |second| format!("SEC_TO_TIME({second})"));
        let patient = if row.patient == 0 { String::new() } else { row.patient.to_string() };
        let location = location_of(row.practitioner);
        self.events.push(format!(
            "({}, 0, '{}', '{patient}', 'x', '2026-01-01 08:00:00', '', '1', '{}', {last}, {}, {}, '{}', {start}, 1, 1, '{}', {}, {location})",
            row.category, row.practitioner, row.day, row.length, row.repeats, row.rule, row.status, row.only
        ));
    }

    fn sql(&self) -> String {
        let mut sql = self.other.clone();
        for rows in self.events.chunks(500) {
            sql.push_str(&format!(
                "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_time, \
                 pc_hometext, pc_informant, pc_eventDate, pc_endDate, pc_duration, pc_recurrtype, pc_recurrspec, \
                 pc_startTime, pc_eventstatus, pc_sharing, pc_apptstatus, pc_prefcatid, pc_facility) VALUES {};\n",
                rows.join(", ")
            ));
        }
        sql
    }

    fn fill(&mut self, size: Size) {
        self.people_and_lists(size);
        let last = size.first + Days::new(size.days);
        let anchor = size.first - Days::new(28);
        for practitioner in FIRST_PRACTITIONER..FIRST_PRACTITIONER + size.practitioners {
            match (practitioner - FIRST_PRACTITIONER) % 4 {
                0 => self.every_workday(practitioner, size, anchor, last),
                1 => self.set_of_weekdays(practitioner, size, anchor, last),
                2 => self.two_weekly_rows(practitioner, size, anchor, last),
                _ => self.fortnight_and_saturdays(practitioner, size, anchor, last),
            }
            self.leave(practitioner, size);
            self.appointments(practitioner, size);
        }
        self.whole_clinic(size, anchor, last);
        self.nights(size);
    }

    fn people_and_lists(&mut self, size: Size) {
        let mut sql = String::from(
            "INSERT INTO globals (gl_name, gl_value) VALUES ('calendar_interval', '15'), ('schedule_end', '19'), \
             ('weekend_days', '6,0');\n\
             INSERT INTO facility (id, name, service_location, inactive) VALUES (3, 'Banksia Street', 1, 0), \
             (4, 'Wattle Road', 1, 0), (5, 'Billing office', 0, 0), (6, 'Closed branch', 1, 1);\n\
             INSERT INTO openemr_postcalendar_categories (pc_catid, pc_catname, pc_duration, pc_cattype, pc_active, pc_seq) \
             VALUES (1, 'No Show', 0, 0, 1, 1), (2, 'In Office', 0, 1, 1, 2), (3, 'Out Of Office', 0, 1, 1, 3), \
             (4, 'Vacation', 0, 1, 1, 4), (6, 'Holidays', 86400, 2, 1, 6), (8, 'Lunch', 3600, 1, 1, 8), \
             (11, 'Reserved', 900, 1, 1, 11), (16, 'Initial Assessment', 3600, 0, 1, 21), \
             (17, 'Standard Consultation', 1800, 0, 1, 20), (18, 'Short Review', 900, 0, 1, 22), \
             (19, 'Old special', 1800, 0, 0, 23);\n\
             INSERT INTO users (id, username, authorized, fname, lname, active, calendar) VALUES \
             (1, 'admin', 1, '', 'Administrator', 1, 0), (3, 'companion', 0, 'Companion', 'App', 1, 0), \
             (900, 'retired', 1, 'Left', 'Practice', 0, 1), (901, '', 0, 'Gerald', 'Practitioner', 1, 1);\n",
        );
        for id in FIRST_PRACTITIONER..FIRST_PRACTITIONER + size.practitioners {
            sql.push_str(&format!(
                "INSERT INTO users (id, username, authorized, fname, lname, title, specialty, facility_id, active, calendar) \
                 VALUES ({id}, 'prac{id}', 1, 'Zoë', 'Nguyễn-{id}', 'Dr', 'Physiotherapist', {}, 1, 1);\n",
                location_of(id)
            ));
        }
        for number in 1..=size.patients {
            let born = match number % 20 {
                0 => "NULL".to_owned(),
                1 => "'0000-00-00'".to_owned(),
                _ => format!("'19{:02}-{:02}-{:02}'", 40 + number % 50, 1 + number % 12, 1 + number % 28),
            };
            let died = match number % 30 {
                0 => "'2025-03-04 00:00:00'",
                1 => "'0000-00-00 00:00:00'",
                _ => "NULL",
            };
            sql.push_str(&format!(
                "INSERT INTO patient_data (pid, pubpid, fname, lname, DOB, sex, phone_cell, email, deceased_date) VALUES \
                 ({pid}, 'AAH{number:05}', 'Siobhán', 'O’Connor-{number}', {born}, 'Female', '0491 570 {number:03}', \
                 'p{number}@example.com', {died});\n",
                pid = number * 2
            ));
        }
        self.other = sql;
    }

    fn work(
        &mut self,
        size: Size,
        practitioner: i64,
        wanted: impl Fn(NaiveDate) -> bool,
        hours: (usize, usize),
        lunch: (usize, usize),
    ) {
        for day in days(size).filter(|day| wanted(*day)) {
            self.account.open(practitioner, day, hours.0, hours.1);
            self.account.take(practitioner, day, lunch.0, lunch.1);
        }
    }

    /// Monday to Friday, In Office without a length and an Out Of Office row; one Tuesday left out.
    fn every_workday(&mut self, practitioner: i64, size: Size, anchor: NaiveDate, last: NaiveDate) {
        let skipped = size.first + Days::new(8);
        let rule_of = |except: &str| rule("1", "4", ["1", "0", "0"], except);
        let except = skipped.format("%Y%m%d").to_string();
        for (category, from, to, except) in
            [(2, 480, 480, except.as_str()), (3, 1020, 1020, except.as_str()), (8, 720, 765, "")]
        {
            let row = Row::once(category, practitioner, anchor, from, to);
            self.add(&row.repeating(1, rule_of(except), last));
        }
        let works = |day: NaiveDate| is_workday(day) && day != skipped;
        self.work(size, practitioner, works, (480, 1020), (720, 765));
        // Every third workday from the anchor on: paperwork.
        let paperwork = Row::once(11, practitioner, anchor, 960, 980);
        self.add(&paperwork.repeating(1, rule("3", "4", ["1", "0", "0"], ""), last));
        let workdays = anchor.iter_days().take_while(|day| *day <= last).filter(|day| is_workday(*day));
        for day in workdays.step_by(3).collect::<Vec<_>>() {
            self.account.take(practitioner, day, 960, 980);
        }
    }

    /// Monday, Wednesday and Friday in one row, In Office with a length; one Wednesday left out.
    fn set_of_weekdays(&mut self, practitioner: i64, size: Size, anchor: NaiveDate, last: NaiveDate) {
        let skipped = size.first + Days::new(9);
        let except = skipped.format("%Y%m%d").to_string();
        let hours = Row::once(2, practitioner, anchor, 540, 1050);
        self.add(&hours.repeating(3, rule("2,4,6", "6", ["1", "0", "0"], &except), last));
        let lunch = Row::once(8, practitioner, anchor, 780, 810);
        self.add(&lunch.repeating(3, rule("2,4,6", "6", ["1", "0", "0"], ""), last));
        let weekdays = [Weekday::Mon, Weekday::Wed, Weekday::Fri];
        let works = |day: NaiveDate| weekdays.contains(&day.weekday()) && day != skipped;
        self.work(size, practitioner, works, (540, 1050), (780, 810));
        // A patient every Monday at 15:00, one of them moved away.
        let moved = size.first + Days::new(14);
        let mut visits = Row::once(STANDARD, practitioner, size.first, 900, 930);
        visits.patient = 4;
        let except = moved.format("%Y%m%d").to_string();
        self.add(&visits.repeating(1, rule("1", "1", ["1", "0", "0"], &except), last));
        for day in days(size).filter(|day| day.weekday() == Weekday::Mon && *day != moved) {
            self.account.take(practitioner, day, 900, 930);
        }
    }

    /// Tuesdays and Thursdays in a row each, with a length and an Out Of Office row.
    fn two_weekly_rows(&mut self, practitioner: i64, size: Size, anchor: NaiveDate, last: NaiveDate) {
        let weekly = "a:6:{s:17:\"event_repeat_freq\";i:1;s:22:\"event_repeat_freq_type\";i:1;\
                      s:19:\"event_repeat_on_num\";s:1:\"1\";s:19:\"event_repeat_on_day\";s:1:\"0\";\
                      s:20:\"event_repeat_on_freq\";s:1:\"0\";s:6:\"exdate\";N;}";
        for offset in [1, 3] {
            let first = anchor + Days::new(offset);
            for (category, from, to) in [(2, 420, 900), (3, 900, 900), (8, 705, 735)] {
                let row = Row::once(category, practitioner, first, from, to);
                self.add(&row.repeating(1, weekly.to_owned(), last));
            }
        }
        let weekdays = [Weekday::Tue, Weekday::Thu];
        self.work(size, practitioner, |day| weekdays.contains(&day.weekday()), (420, 900), (705, 735));
    }

    /// Every other Wednesday, and the first Saturday of the month.
    fn fortnight_and_saturdays(&mut self, practitioner: i64, size: Size, anchor: NaiveDate, last: NaiveDate) {
        let wednesday = anchor + Days::new(2);
        let fortnightly = rule("2", "1", ["1", "0", "0"], "");
        let hours = Row::once(2, practitioner, wednesday, 600, 1140);
        self.add(&hours.repeating(1, fortnightly.clone(), last));
        self.add(&Row::once(8, practitioner, wednesday, 750, 780).repeating(1, fortnightly, last));
        let works = |day: NaiveDate| day.weekday() == Weekday::Wed && (day - wednesday).num_days() % 14 == 0;
        self.work(size, practitioner, works, (600, 1140), (750, 780));
        let saturday = Row::once(2, practitioner, anchor, 540, 720);
        self.add(&saturday.repeating(2, rule("0", "0", ["1", "6", "1"], ""), last));
        let first_saturday = |day: &NaiveDate| day.weekday() == Weekday::Sat && day.day() <= 7;
        for day in days(size).filter(first_saturday) {
            self.account.open(practitioner, day, 540, 720);
        }
    }

    /// Three days off, as one daily row or as three single ones.
    fn leave(&mut self, practitioner: i64, size: Size) {
        let first = size.first + Days::new(16);
        if practitioner % 2 == 0 {
            let row = Row::once(4, practitioner, first, 0, 1440);
            self.add(&row.repeating(1, rule("1", "0", ["1", "0", "0"], ""), first + Days::new(2)));
        }
        for day in first.iter_days().take(3) {
            if practitioner % 2 != 0 {
                self.add(&Row::once(4, practitioner, day, 0, 1440));
            }
            self.account.take(practitioner, day, 0, 1440);
        }
    }

    fn appointments(&mut self, practitioner: i64, size: Size) {
        for day in days(size) {
            if !self.account.open.contains_key(&(practitioner, day)) {
                continue;
            }
            for _ in 0..6 + self.below(8) {
                let from = 420 + self.below(140) * 5;
                let length = [0, 10, 15, 30, 45, 60].get(self.below(6)).copied().unwrap_or(30);
                let seconds = if self.below(6) == 0 { 59 } else { 0 };
                let statuses = ["-", "-", "*", "SMS", "x", "%", "?", "@", ">", "^", "ZZ", "!"];
                let status = statuses.get(self.below(statuses.len())).copied().unwrap_or("-");
                let patients = usize::try_from(size.patients).unwrap_or(1);
                let mut row = Row::once(STANDARD, practitioner, day, from, from + length);
                row.start = Some(from * 60 + seconds);
                row.patient = i64::try_from(1 + self.below(patients)).unwrap_or(1) * 2;
                row.status = status;
                self.add(&row);
                if status != "x" && status != "%" {
                    let to = from + length.max(SLOT) + usize::from(seconds > 0);
                    self.account.take(practitioner, day, from, to);
                }
            }
        }
    }

    /// A public holiday as OpenEMR imports it, and a meeting of everyone on the last Friday of the month.
    fn whole_clinic(&mut self, size: Size, anchor: NaiveDate, last: NaiveDate) {
        let holiday = size.first + Days::new(22);
        let mut row = Row::once(6, 0, holiday, 0, 1440);
        row.start = None;
        self.add(&row);
        let meeting = Row::once(11, 0, anchor, 690, 720);
        self.add(&meeting.repeating(2, rule("0", "0", ["5", "5", "1"], ""), last));
        for practitioner in FIRST_PRACTITIONER..FIRST_PRACTITIONER + size.practitioners {
            self.account.take(practitioner, holiday, 0, 1440);
            for day in days(size) {
                if day.weekday() == Weekday::Fri && (day + Days::new(7)).month() != day.month() {
                    self.account.take(practitioner, day, 690, 720);
                }
            }
        }
        if self.version == Version::Seven {
            // What a broken import left behind: rows on no day.
            self.other.push_str(
                "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_startTime, pc_duration) \
                 VALUES (5, 0, '10', '09:00:00', 36000);\n",
            );
        }
    }

    /// On the Sundays on which the clocks change somebody is on call from midnight to four; the evening before has
    /// an appointment that runs past midnight.
    fn nights(&mut self, size: Size) {
        let practitioner = FIRST_PRACTITIONER;
        for day in days(size) {
            let sunday = day.weekday() == Weekday::Sun && day.day() <= 7;
            if !sunday || !matches!(day.month(), 4 | 10) {
                continue;
            }
            self.add(&Row::once(2, practitioner, day, 0, 240));
            self.account.open(practitioner, day, 0, 240);
            let mut late = Row::once(STANDARD, practitioner, day - Days::new(1), 1425, 1485);
            late.patient = 8;
            self.add(&late);
            self.account.take(practitioner, day - Days::new(1), 1425, 1485);
            let mut night = Row::once(STANDARD, practitioner, day, 135, 165);
            night.patient = 8;
            self.add(&night);
            self.account.take(practitioner, day, 135, 165);
            if day.month() == 10 {
                // From two to three there is no time at all.
                self.account.take(practitioner, day, 120, 180);
            }
        }
    }
}

fn days(size: Size) -> impl Iterator<Item = NaiveDate> {
    size.first.iter_days().take(usize::try_from(size.days).unwrap_or(0) + 1)
}

fn is_workday(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn location_of(practitioner: i64) -> i64 {
    if practitioner % 2 == 0 { HOME } else { BRANCH }
}
