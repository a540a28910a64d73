//! The demo clinic's book: made-up people in an SQLite file, the same ones for the same day.
//!
//! Everybody is invented. Mobile and landline numbers are from the ranges that ACMA keeps free for fiction, and
//! e-mail addresses are at example.com.

use std::path::Path;

use chrono::{Datelike, Days, NaiveDate};
use rusqlite::{Connection, Transaction, params};

/// The profile that reads the made-up clinic.
pub const NAME: &str = "demo";
/// How many patients the book has.
pub const PATIENTS: usize = 400;
/// For how many days from the first one on there are appointments.
pub const DAYS_AHEAD: u64 = 60;
const DAYS_BACK: u64 = 14;

/// Why the demo clinic's book could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is a file already, which may hold what somebody tried out.
    #[error("there is a book already")]
    Exists,
    /// The file could not be written.
    #[error("the demo clinic's book could not be written")]
    Database(#[from] rusqlite::Error),
}

const SCHEMA: &str = include_str!("sql/profiles/demo/tables.sql");
/// What tells that patients changed, without a look at all of them.
const PATIENTS_CHANGED: &str = include_str!("sql/profiles/demo/patients_changed.sql");

/// Title, given name, family name, specialty, working days (0 is Sunday), and hours and lunch in minutes.
type Practitioner = (&'static str, &'static str, &'static str, &'static str, &'static [u32], [i64; 4]);

const PRACTITIONERS: &[Practitioner] = &[
    (
        "Dr",
        "Mei-Ling",
        "Lee",
        "Physiotherapist",
        &[1, 2, 3, 4, 5],
        [8 * 60, 17 * 60, 12 * 60 + 30, 13 * 60 + 15],
    ),
    ("", "Tadhg", "O'Rourke", "Physiotherapist", &[1, 2, 4, 5], [9 * 60, 18 * 60, 13 * 60, 13 * 60 + 30]),
    ("", "Zoë", "Banksia", "Podiatrist", &[1, 3, 5, 6], [8 * 60 + 30, 16 * 60, 12 * 60, 12 * 60 + 30]),
    ("", "Thảo", "Nguyễn", "Exercise physiologist", &[2, 3, 4], [7 * 60, 15 * 60, 11 * 60 + 30, 12 * 60]),
    ("", "Arjun", "Waratah", "Myotherapist", &[1, 2, 3, 4, 5], [11 * 60, 19 * 60, 15 * 60, 15 * 60 + 30]),
];

const TYPES: &[(&str, i64)] = &[
    ("Standard consultation", 30),
    ("Initial assessment", 60),
    ("Long consultation", 45),
    ("Short review", 15),
    ("Telehealth consultation", 30),
];

const FIRST_NAMES: &[(&str, &str)] = &[
    ("Amelia", "F"),
    ("Charlotte", "F"),
    ("Zoë", "F"),
    ("Siobhán", "F"),
    ("Małgorzata", "F"),
    ("Linh", "F"),
    ("Priya", "F"),
    ("Fatima", "F"),
    ("Mary-Anne", "F"),
    ("Renée", "F"),
    ("Kirra", "F"),
    ("Beryl", "F"),
    ("Oliver", "M"),
    ("Jack", "M"),
    ("Søren", "M"),
    ("José", "M"),
    ("Łukasz", "M"),
    ("Minh", "M"),
    ("Harpreet", "M"),
    ("Mohammed", "M"),
    ("Jean-Luc", "M"),
    ("Seán", "M"),
    ("Yarran", "M"),
    ("Trevor", "M"),
];

const LAST_NAMES: &[&str] = &[
    "Wattle",
    "Grevillea",
    "Bottlebrush",
    "Kurrajong",
    "Coolabah",
    "Paperbark",
    "Boronia",
    "Magpie",
    "Currawong",
    "Rosella",
    "Bellbird",
    "Lyrebird",
    "Nguyễn",
    "Nguyen",
    "O'Wombat",
    "D'Acacia",
    "Müller-Quoll",
    "Van der Quokka",
    "St. Bilby",
    "Šimić",
    "Đặng",
    "Wójcik",
    "Fernández",
    "Þórsdóttir",
    "Smith",
    "Jones",
    "Lee",
    "Singh",
    "Haddad",
    "Papadopoulos",
];

const SUBURBS: &[(&str, &str)] = &[
    ("Richmond", "3121"),
    ("Fitzroy", "3065"),
    ("Brunswick East", "3057"),
    ("Box Hill", "3128"),
    ("St Kilda", "3182"),
];

/// The mobiles that ACMA keeps free for fiction.
const MOBILES: &[&str] = &[
    "0491 570 006",
    "0491 570 156",
    "0491570157",
    "+61 491 570 158",
    "0491 570 159",
    "0491 570 110",
    "0491-570-313",
    "0491 570 737",
    "0491 571 266",
    "+61491571491",
    "0491 571 804",
    "0491 572 549",
    "0491 572 665",
    "0491 572 983",
    "0491573770",
    "0491 573 087",
    "0491 574 118",
    "0491 574 632",
    "+61 491 575 254",
    "0491 575 789",
    "0491 576 398",
    "0491 576 801",
    "0491 577 426",
    "0491 577 644",
    "0491 578 957",
    "0491 578 148",
    "0491 578 888",
    "0491 579 212",
    "0491 579 760",
    "0491 579 455",
];

/// A small generator of numbers, so that the same day makes the same clinic everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Makes the book in a new file, with appointments from two weeks before `today` to [`DAYS_AHEAD`] days after it.
pub fn create(path: &Path, today: NaiveDate) -> Result<(), DemoError> {
    if path.exists() {
        return Err(DemoError::Exists);
    }
    let mut connection = Connection::open(path)?;
    // Other SQLite tools can then read and write while the app does.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(PATIENTS_CHANGED)?;
    fill(&transaction, today)?;
    transaction.commit()?;
    Ok(())
}

/// Which columns and tables there are since the first version, and how a book from before is brought up to them.
const SINCE: &[(&str, &str, &str)] = &[
    (
        "appointment",
        "created_at",
        "ALTER TABLE appointment ADD COLUMN created_at TEXT; UPDATE appointment SET created_at = changed_at;",
    ),
    ("patient", "inactive", "ALTER TABLE patient ADD COLUMN inactive INTEGER NOT NULL DEFAULT 0;"),
    ("patient", "merged_into", "ALTER TABLE patient ADD COLUMN merged_into INTEGER REFERENCES patient (id);"),
    ("patients_changed", "stamp", PATIENTS_CHANGED),
    (
        "invoice",
        "id",
        "CREATE TABLE invoice (id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patient (id),
           number TEXT NOT NULL, day TEXT NOT NULL, total_in_cents INTEGER NOT NULL);",
    ),
];

/// Brings a book that an older version made up to date.
pub fn bring_up_to_date(path: &Path) -> Result<(), DemoError> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    let knows = "SELECT COUNT(*) FROM pragma_table_info(?1) WHERE name = ?2";
    for (table, column, change) in SINCE {
        if transaction.query_row(knows, [table, column], |row| row.get::<_, i64>(0))? == 0 {
            transaction.execute_batch(change)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn fill(book: &Transaction<'_>, today: NaiveDate) -> rusqlite::Result<()> {
    book.execute("INSERT INTO clinic VALUES ('Wattle Street Allied Health', '1', 15)", [])?;
    book.execute("INSERT INTO location VALUES (1, 'Wattle Street Allied Health')", [])?;
    for (position, (name, minutes)) in TYPES.iter().enumerate() {
        book.execute(
            "INSERT INTO appointment_type (id, name, minutes, position) VALUES (?1, ?2, ?3, ?1)",
            params![number(position + 1), name, minutes],
        )?;
    }
    for (at, (title, first, last, specialty, weekdays, [start, end, lunch, back])) in
        PRACTITIONERS.iter().enumerate()
    {
        let id = number(at + 1);
        book.execute(
            "INSERT INTO practitioner (id, title, first_name, last_name, specialty, location_id)
             VALUES (?1, nullif(?2, ''), ?3, ?4, ?5, 1)",
            params![id, title, first, last, specialty],
        )?;
        for weekday in *weekdays {
            book.execute(
                "INSERT INTO weekly_hours (practitioner_id, weekday, start_minute, end_minute) VALUES (?1, ?2, ?3, ?4)",
                params![id, weekday, start, end],
            )?;
            book.execute(
                "INSERT INTO weekly_break (practitioner_id, weekday, start_minute, end_minute) VALUES (?1, ?2, ?3, ?4)",
                params![id, weekday, lunch, back],
            )?;
        }
    }
    let leave = leave_day(today);
    book.execute(
        "INSERT INTO absence (practitioner_id, first_day, last_day, reason) VALUES (1, ?1, ?1, 'Leave')",
        params![leave.to_string()],
    )?;
    let mut dice = Dice(u64::from(today.num_days_from_ce().unsigned_abs()));
    patients(book, &mut dice, today)?;
    invoices(book, today)?;
    appointments(book, &mut dice, today, leave)
}

/// The first Wednesday at least a week away: a day on which Dr Lee is on leave.
fn leave_day(today: NaiveDate) -> NaiveDate {
    let wednesday = |day: &NaiveDate| day.weekday() == chrono::Weekday::Wed;
    today.iter_days().skip(7).find(wednesday).unwrap_or(today)
}

fn patients(book: &Transaction<'_>, dice: &mut Dice, today: NaiveDate) -> rusqlite::Result<()> {
    let mut insert = book.prepare(
        "INSERT INTO patient (id, first_name, last_name, birth_date, gender, mobile, phone, email, street, suburb, state,
                              postcode, deceased, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'VIC', ?11, ?12, ?13)",
    )?;
    let mut before: Option<(String, String, Option<NaiveDate>, String)> = None;
    for id in 1..=PATIENTS {
        let (first, gender) = dice.pick(FIRST_NAMES).copied().unwrap_or_default();
        let mut first = first.to_owned();
        let mut last = dice.pick(LAST_NAMES).copied().unwrap_or_default().to_owned();
        let age = u64::try_from(dice.below(33_000)).unwrap_or(0);
        let mut born = today.checked_sub_days(Days::new(age));
        let mut phone = format!("(03) 5550 {:04}", 1_000 + id);
        match (id % 40, before.take()) {
            // Twins: the family name, the birth date and the phone are the same.
            (7, Some((other, family, birth, number))) if other != first => {
                (last, born, phone) = (family, birth, number);
            }
            // A namesake, born on another day.
            (13, Some((other, family, ..))) => (first, last) = (other, family),
            // Somebody who was registered twice.
            (21, Some((other, family, birth, number))) => {
                (first, last, born, phone) = (other, family, birth, number)
            }
            // Somebody whose birth date nobody asked for.
            (33, _) => born = None,
            _ => {}
        }
        let mobile = MOBILES.get(id - 1).copied().unwrap_or_default();
        let email = if id % 6 == 0 { String::new() } else { format!("patient{id}@example.com") };
        let (suburb, postcode) = dice.pick(SUBURBS).copied().unwrap_or_default();
        insert.execute(params![
            number(id),
            first,
            last,
            born.map(|day| day.to_string()),
            gender,
            mobile,
            phone,
            email,
            format!("{} Kookaburra Street", 1 + dice.below(200)),
            suburb,
            postcode,
            i64::from(id % 97 == 0),
            format!("{} 09:00:00", today.checked_sub_days(Days::new(300)).unwrap_or(today)),
        ])?;
        before = Some((first, last, born, phone));
    }
    Ok(())
}

/// An invoice for some, of the weeks before `today`.
fn invoices(book: &Transaction<'_>, today: NaiveDate) -> rusqlite::Result<()> {
    let mut insert = book.prepare(
        "INSERT INTO invoice (id, patient_id, number, day, total_in_cents) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, patient) in (5..=PATIENTS).step_by(16).enumerate() {
        let ago = u64::try_from(1 + place).unwrap_or(1);
        let day = today.checked_sub_days(Days::new(ago)).unwrap_or(today);
        let number_shown = format!("{}", 1_001 + place);
        insert.execute(params![
            number(place + 1),
            number(patient),
            number_shown,
            day.to_string(),
            number(9_500 + 50 * place)
        ])?;
    }
    Ok(())
}

fn appointments(
    book: &Transaction<'_>,
    dice: &mut Dice,
    today: NaiveDate,
    leave: NaiveDate,
) -> rusqlite::Result<()> {
    let mut insert = book.prepare(
        "INSERT INTO appointment (practitioner_id, patient_id, type_id, title, day, start_minute, minutes, status,
                                  changed_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?;
    let first = today.checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(today);
    let days = first.iter_days().take(usize::try_from(DAYS_BACK + DAYS_AHEAD).unwrap_or(0) + 1);
    let changed = format!("{} 08:00:00", first.pred_opt().unwrap_or(first));
    for day in days {
        for (at, (.., weekdays, [start, end, lunch, back])) in PRACTITIONERS.iter().enumerate() {
            let practitioner = at + 1;
            let away = practitioner == 1 && day == leave;
            if away || !weekdays.contains(&day.weekday().num_days_from_sunday()) {
                continue;
            }
            let mut minute = *start;
            while minute < *end {
                let kind = dice.below(TYPES.len());
                let (title, minutes) = TYPES.get(kind).copied().unwrap_or(("Short review", 15));
                let until = minute + minutes;
                if minute < *back && until > *lunch {
                    minute = *back;
                    continue;
                }
                if until > *end {
                    break;
                }
                // The nearer the day, the fuller the book.
                let ahead = usize::try_from((day - today).num_days().max(0)).unwrap_or(0);
                if dice.below(100) < 70_usize.saturating_sub(ahead) {
                    let status = match dice.below(20) {
                        0 => "cancelled",
                        1 if day < today => "no_show",
                        _ if day < today => "completed",
                        2..=6 => "confirmed",
                        _ => "booked",
                    };
                    let patient = 1 + dice.below(PATIENTS);
                    insert.execute(params![
                        number(practitioner),
                        number(patient),
                        number(kind + 1),
                        title,
                        day.to_string(),
                        minute,
                        minutes,
                        status,
                        changed
                    ])?;
                }
                minute = until;
            }
        }
    }
    Ok(())
}
