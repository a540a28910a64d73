//! Who is in the practice's book, in memory: for finding a patient while somebody types, for finding candidates without
//! reading every row, and for knowing whose record changed.
//!
//! It is as old as its reading. Whoever decides by it asks the book first whether it is still true
//! ([`crate::ports::practice::PracticeSystem::people_stamp`]).

mod search;
#[cfg(test)]
mod tests;

pub use search::Hit;

use crate::ids::PatientRef;
use crate::matching;
use crate::people::{Gender, PatientRecord, PersonDetails};
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Stands between the parts of an entry's text; no name holds it.
const BETWEEN: char = '\u{1f}';

/// One practice's patients. Some 130 bytes for each.
pub struct Directory {
    /// In the order of their ids.
    entries: Vec<Entry>,
    /// Id, number, given name and family name of each, one after the other, each with a [`BETWEEN`] behind it.
    text: String,
    /// The folded words of names, each once, sorted.
    words: Vec<Box<str>>,
    /// The letters of each word, a bit for each.
    letters: Vec<u32>,
    /// Whose names have which words.
    names: Vec<u32>,
    /// What candidates are found by, hashed, with the entry's place. Two things with one hash only make a candidate more.
    keys: Vec<(u32, u32)>,
}

/// One patient.
struct Entry {
    /// Where its text begins.
    text: u32,
    /// Where its words begin in `names`.
    names: u32,
    /// Days of the Common Era; zero where the birth date is not known.
    born: i32,
    /// Its place in the order of family and given names.
    rank: u32,
    /// Whether the record is inactive, merged or of somebody deceased.
    inactive: bool,
    /// Differs whenever the record does.
    digest: u64,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory of {} patients", self.entries.len())
    }
}

/// Collects records, and is then made a directory.
#[derive(Default)]
pub struct Collecting {
    people: Vec<Collected>,
    words: BTreeMap<Box<str>, u32>,
    keys: Vec<(u32, u32)>,
}

struct Collected {
    text: Box<str>,
    words: Vec<u32>,
    born: i32,
    inactive: bool,
    digest: u64,
    keys: Vec<u32>,
}

impl Collecting {
    /// Adds a record.
    pub fn add(&mut self, record: &PatientRecord) {
        let details = &record.details;
        let number = record.shown_number.as_deref().unwrap_or(record.id.as_str());
        let names = [&details.first_name, &details.last_name].map(|name| plain(name.reveal()));
        let mut words = Vec::new();
        for word in matching::name_words(&details.first_name)
            .into_iter()
            .chain(matching::name_words(&details.last_name))
        {
            let next = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
            words.push(*self.words.entry(word.into()).or_insert(next));
        }
        let [given, family] = names;
        self.people.push(Collected {
            text: format!("{}{BETWEEN}{number}{BETWEEN}{given}{BETWEEN}{family}{BETWEEN}", record.id).into(),
            words,
            born: details.birth_date.reveal().map_or(0, |born| born.num_days_from_ce()),
            inactive: record.inactive || record.deceased || record.merged_into.is_some(),
            digest: digest_of(record),
            keys: keys_of(details),
        });
    }

    /// The directory of everybody who was added.
    pub fn finish(mut self) -> Directory {
        let id = |text: &str| text.split(BETWEEN).next().unwrap_or_default().to_owned();
        self.people.sort_by_cached_key(|person| id(&person.text));
        // Words are numbered as they came; they are wanted in their order.
        let mut place = vec![0_u32; self.words.len()];
        for (sorted, came) in (0_u32..).zip(self.words.values()) {
            if let Some(place) = usize::try_from(*came).ok().and_then(|came| place.get_mut(came)) {
                *place = sorted;
            }
        }
        let words: Vec<Box<str>> = self.words.into_keys().collect();
        let letters = words.iter().map(|word| search::letters(word)).collect();
        let mut directory = Directory {
            entries: Vec::with_capacity(self.people.len()),
            text: String::with_capacity(self.people.iter().map(|person| person.text.len()).sum()),
            words,
            letters,
            names: Vec::with_capacity(self.people.iter().map(|person| person.words.len()).sum()),
            keys: self.keys,
        };
        let mut by_name: Vec<usize> = (0..self.people.len()).collect();
        by_name.sort_by_cached_key(|at| self.people.get(*at).map(|person| name_order(&person.text)));
        let mut ranks = vec![0_u32; self.people.len()];
        for (rank, at) in (0_u32..).zip(by_name) {
            if let Some(place) = ranks.get_mut(at) {
                *place = rank;
            }
        }
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        for ((at, rank), person) in (0_u32..).zip(ranks).zip(self.people) {
            directory.entries.push(Entry {
                text: length(directory.text.len()),
                names: length(directory.names.len()),
                born: person.born,
                rank,
                inactive: person.inactive,
                digest: person.digest,
            });
            directory.text.push_str(&person.text);
            let sorted = |came: &u32| usize::try_from(*came).ok().and_then(|came| place.get(came).copied());
            directory.names.extend(person.words.iter().filter_map(sorted));
            directory.keys.extend(person.keys.into_iter().map(|key| (key, at)));
        }
        directory.keys.sort_unstable();
        directory.keys.dedup();
        directory.keys.shrink_to_fit();
        directory
    }
}

impl Directory {
    /// How many patients there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Differs whenever the patient's record does; none where there is no such patient.
    pub fn digest(&self, patient: &PatientRef) -> Option<u64> {
        let place = self.entries.binary_search_by(|entry| self.id(entry).cmp(patient.as_str())).ok()?;
        self.entries.get(place).map(|entry| entry.digest)
    }

    /// Every patient's key with what differs whenever the record does, in the order of the keys.
    pub fn digests(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|entry| (self.id(entry), entry.digest))
    }

    /// Differs whenever any patient's record does.
    pub fn digest_of_all(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for entry in &self.entries {
            entry.digest.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Every patient's key, in order.
    pub fn patients(&self) -> impl Iterator<Item = PatientRef> + '_ {
        self.entries.iter().map(|entry| PatientRef::new(self.id(entry)))
    }

    /// Everybody who could be this person: who shares the birth date, also with day and month in each other's place,
    /// both names in any order, a phone number, the e-mail address or the Medicare card.
    pub fn candidates(&self, person: &PersonDetails) -> Vec<PatientRef> {
        let mut found: Vec<u32> = Vec::new();
        let swapped = person
            .birth_date
            .reveal()
            .and_then(|born| NaiveDate::from_ymd_opt(born.year(), born.day(), born.month()));
        for key in keys_of(person).into_iter().chain(swapped.map(birth_key)) {
            let from = self.keys.partition_point(|(known, _)| *known < key);
            let same = self.keys.iter().skip(from).take_while(|(known, _)| *known == key);
            found.extend(same.map(|(_, entry)| *entry));
        }
        found.sort_unstable();
        found.dedup();
        let entry = |at: u32| usize::try_from(at).ok().and_then(|at| self.entries.get(at));
        found.into_iter().filter_map(entry).map(|entry| PatientRef::new(self.id(entry))).collect()
    }

    fn id(&self, entry: &Entry) -> &str {
        self.parts(entry).next().unwrap_or_default()
    }

    /// Id, number, given name and family name.
    fn parts(&self, entry: &Entry) -> impl Iterator<Item = &str> {
        let from = usize::try_from(entry.text).unwrap_or(usize::MAX);
        self.text.get(from..).unwrap_or_default().split(BETWEEN).take(4)
    }
}

/// Family name and given name, as lists are sorted.
fn name_order(text: &str) -> (String, String) {
    let mut parts = text.split(BETWEEN).skip(2).map(str::to_lowercase);
    let given = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), given)
}

/// A name on one line, without what would be mistaken for our own sign.
fn plain(name: &str) -> String {
    name.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a person is found by.
fn keys_of(details: &PersonDetails) -> Vec<u32> {
    let mut keys = Vec::new();
    keys.extend(details.birth_date.reveal().map(birth_key));
    let mut names = [&details.first_name, &details.last_name].map(matching::name);
    if names.iter().all(|name| !name.is_empty()) {
        // In any order, because they change places.
        names.sort_unstable();
        keys.push(key("names", &names.join(" ")));
    }
    // A landline is written with its area code or without.
    let ends = matching::phones(details);
    let ends = ends.iter().filter_map(|digits| digits.get(digits.len().checked_sub(8)?..));
    keys.extend(ends.map(|end| key("phone", end)));
    let email = matching::email(details);
    if !email.is_empty() {
        keys.push(key("email", &email));
    }
    keys.extend(matching::medicare_card(details).map(|card| key("card", &card)));
    keys
}

fn birth_key(born: NaiveDate) -> u32 {
    key("born", &born.num_days_from_ce().to_string())
}

fn key(kind: &str, text: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (kind, text).hash(&mut hasher);
    // Half of it is plenty.
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

/// Over everything that a partner may be told of a patient.
fn digest_of(record: &PatientRecord) -> u64 {
    let PatientRecord { id, shown_number, details, deceased, inactive, merged_into } = record;
    let mut hasher = DefaultHasher::new();
    (id.as_str(), shown_number, deceased, inactive, merged_into.as_ref().map(PatientRef::as_str))
        .hash(&mut hasher);
    for text in [
        &details.first_name,
        &details.last_name,
        &details.email,
        &details.street,
        &details.suburb,
        &details.state,
        &details.postcode,
        &details.medicare_number,
        &details.medicare_irn,
        &details.medicare_expiry,
    ] {
        text.reveal().hash(&mut hasher);
    }
    for phone in &details.phones {
        phone.reveal().hash(&mut hasher);
    }
    let gender = details.gender.reveal().map(|gender| match gender {
        Gender::Male => 1_u8,
        Gender::Female => 2,
        Gender::Other => 3,
    });
    (details.birth_date.reveal(), gender).hash(&mut hasher);
    hasher.finish()
}
