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
use std::collections::HashMap;
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

/// Collects records, and is then made a directory. Everything that many have in common is kept once, and everything else
/// in few large pieces: a large book has hundreds of thousands of records, and somebody may be waiting.
#[derive(Default)]
pub struct Collecting {
    people: Vec<Collected>,
    text: String,
    words: Numbered,
    /// Names as lists are sorted by them.
    sorted_by: Numbered,
    /// The words of everybody, by their numbers.
    names: Vec<u32>,
    /// With the place of whoever has the key, as they came.
    keys: Vec<(u32, u32)>,
}

struct Collected {
    text: u32,
    id_ends: u32,
    text_ends: u32,
    names: u32,
    names_end: u32,
    /// Family name and given name, by their numbers.
    order: (u32, u32),
    born: i32,
    inactive: bool,
    digest: u64,
}

/// Texts by numbers, as they came.
#[derive(Default)]
struct Numbered(HashMap<Box<str>, u32>);

impl Numbered {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let next = length(self.0.len());
        self.0.insert(text.into(), next);
        next
    }

    /// The texts in their order, and the place there of each number.
    fn sorted(self) -> (Vec<Box<str>>, Vec<u32>) {
        let mut texts: Vec<(Box<str>, u32)> = self.0.into_iter().collect();
        texts.sort_unstable();
        let mut places = vec![0_u32; texts.len()];
        for (place, (_, number)) in (0_u32..).zip(&texts) {
            if let Some(known) = places.get_mut(index(*number)) {
                *known = place;
            }
        }
        (texts.into_iter().map(|(text, _)| text).collect(), places)
    }
}

/// A length as directories keep it; a practice's patients stay far below what it holds.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Collecting {
    /// Adds a record.
    pub fn add(&mut self, record: &PatientRecord) {
        let details = &record.details;
        let number = record.shown_number.as_deref().unwrap_or(record.id.as_str());
        let [given, family] = [&details.first_name, &details.last_name].map(|name| plain(name.reveal()));
        let folded = [&details.first_name, &details.last_name].map(matching::folded_name);
        let names = length(self.names.len());
        for word in folded.iter().flat_map(|(words, _)| words) {
            let word = self.words.number(word);
            self.names.push(word);
        }
        let at = length(self.people.len());
        let [(_, first), (_, last)] = &folded;
        let keys = &mut self.keys;
        each_key(details, [first, last], |key| keys.push((key, at)));
        let text = length(self.text.len());
        self.text.push_str(record.id.as_str());
        let id_ends = length(self.text.len());
        for part in [number, &given, &family] {
            self.text.push(BETWEEN);
            self.text.push_str(part);
        }
        self.text.push(BETWEEN);
        let order = [family, given].map(|name| self.sorted_by.number(&name.to_lowercase()));
        self.people.push(Collected {
            text,
            id_ends,
            text_ends: length(self.text.len()),
            names,
            names_end: length(self.names.len()),
            order: order.into(),
            born: details.birth_date.reveal().map_or(0, |born| born.num_days_from_ce()),
            inactive: record.inactive || record.deceased || record.merged_into.is_some(),
            digest: digest_of(record),
        });
    }

    /// The directory of everybody who was added.
    pub fn finish(self) -> Directory {
        let Self { people, text, words, sorted_by, names, keys } = self;
        let part = |from: u32, to: u32| text.get(index(from)..index(to)).unwrap_or_default();
        // Words are numbered as they came; they are wanted in their order.
        let (words, word_places) = words.sorted();
        let letters = words.iter().map(|word| search::letters(word)).collect();
        let (_, order_places) = sorted_by.sorted();
        let order_place = |number: u32| order_places.get(index(number)).copied().unwrap_or_default();

        let mut by_id: Vec<(u32, &Collected)> = (0_u32..).zip(&people).collect();
        by_id.sort_unstable_by_key(|(_, person)| part(person.text, person.id_ends));
        let mut places = vec![0_u32; people.len()];
        for (place, (came, _)) in (0_u32..).zip(&by_id) {
            if let Some(known) = places.get_mut(index(*came)) {
                *known = place;
            }
        }
        // Of two with the same names, the one whose id comes first.
        let mut by_name: Vec<(u32, u32, u32)> = (0_u32..)
            .zip(&by_id)
            .map(|(place, (_, person))| (order_place(person.order.0), order_place(person.order.1), place))
            .collect();
        by_name.sort_unstable();
        let mut ranks = vec![0_u32; people.len()];
        for (rank, (_, _, place)) in (0_u32..).zip(by_name) {
            if let Some(known) = ranks.get_mut(index(place)) {
                *known = rank;
            }
        }
        let mut directory = Directory {
            entries: Vec::with_capacity(people.len()),
            text: String::with_capacity(text.len()),
            words,
            letters,
            names: Vec::with_capacity(names.len()),
            keys: Vec::new(),
        };
        for ((_, person), rank) in by_id.into_iter().zip(ranks) {
            directory.entries.push(Entry {
                text: length(directory.text.len()),
                names: length(directory.names.len()),
                born: person.born,
                rank,
                inactive: person.inactive,
                digest: person.digest,
            });
            directory.text.push_str(part(person.text, person.text_ends));
            let names = names.get(index(person.names)..index(person.names_end)).unwrap_or_default();
            directory.names.extend(names.iter().filter_map(|word| word_places.get(index(*word))));
        }
        let mut keys = keys;
        for (_, at) in &mut keys {
            *at = places.get(index(*at)).copied().unwrap_or_default();
        }
        keys.sort_unstable();
        keys.dedup();
        keys.shrink_to_fit();
        directory.keys = keys;
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
        let names = [&person.first_name, &person.last_name].map(matching::name);
        let [first, last] = &names;
        let mut keys = Vec::new();
        each_key(person, [first, last], |key| keys.push(key));
        let swapped = person
            .birth_date
            .reveal()
            .and_then(|born| NaiveDate::from_ymd_opt(born.year(), born.day(), born.month()));
        for key in keys.into_iter().chain(swapped.map(birth_key)) {
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

/// A name on one line, without what would be mistaken for our own sign.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for word in name.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain
}

/// Hands out what a person is found by; `names` are the folded given and family name.
fn each_key(details: &PersonDetails, mut names: [&String; 2], mut take: impl FnMut(u32)) {
    if let Some(born) = details.birth_date.reveal() {
        take(birth_key(*born));
    }
    if names.iter().all(|name| !name.is_empty()) {
        // In any order, because they change places.
        names.sort_unstable();
        take(hashed(&("names", names)));
    }
    // A landline is written with its area code or without.
    let ends = matching::phones(details);
    let ends = ends.iter().filter_map(|digits| digits.get(digits.len().checked_sub(8)?..));
    ends.for_each(|end| take(key("phone", end)));
    let email = matching::email(details);
    if !email.is_empty() {
        take(key("email", &email));
    }
    if let Some(card) = matching::medicare_card(details) {
        take(key("card", &card));
    }
}

fn birth_key(born: NaiveDate) -> u32 {
    hashed(&("born", born.num_days_from_ce()))
}

fn key(kind: &str, text: &str) -> u32 {
    hashed(&(kind, text))
}

fn hashed(what: &impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    // Half of it is plenty.
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

/// Over everything that a partner may be told of a patient: differs whenever the record does.
pub fn digest_of(record: &PatientRecord) -> u64 {
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
