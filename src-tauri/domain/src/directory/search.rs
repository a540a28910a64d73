//! Finding a patient while somebody types.

use super::{BETWEEN, Directory, Entry, key};
use crate::ids::PatientRef;
use crate::matching;
use crate::private::Private;
use chrono::{Datelike, NaiveDate};

/// A patient who was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Whose record.
    pub patient: PatientRef,
    /// The number that staff know the patient by.
    pub number: String,
    /// Given name.
    pub given_name: Private<String>,
    /// Family name.
    pub family_name: Private<String>,
    /// Date of birth.
    pub birth_date: Private<Option<NaiveDate>>,
    /// Inactive, merged or deceased.
    pub inactive: bool,
}

/// A word of a name that is not wanted at all.
const NO: u8 = u8::MAX;
/// How much worse a slip is than a word that goes on.
const SLIP: u8 = 3;

/// What was typed, as one of the things that it may mean.
enum Wanted {
    /// The beginning of a word of a name, with how well each known word fits.
    Word(Vec<u8>),
    /// A birth date: year where given, month, day.
    Born { year: Option<i32>, month: u32, day: u32 },
    /// The beginning of a patient's number.
    Number(String),
    /// A phone number, by its key.
    Phone(u32),
}

impl Directory {
    /// The patients that fit what was typed, the best first, at most `limit`: the beginnings of words of their names in
    /// any order, with slips of the pen from four letters on, a birth date as it is written in Australia, or their
    /// number. `today` tells which century a short year means.
    pub fn search(&self, typed: &str, today: NaiveDate, limit: usize) -> Vec<Hit> {
        let Some(readings) = self.readings(typed, today) else { return Vec::new() };
        let mut found: Vec<(u32, &Entry)> = Vec::new();
        for (at, entry) in (0_u32..).zip(&self.entries) {
            let next = usize::try_from(at).ok().and_then(|at| self.entries.get(at + 1));
            let score = readings.iter().filter_map(|reading| self.score(at, entry, next, reading)).min();
            found.extend(score.map(|score| (score + u32::from(entry.inactive), entry)));
        }
        let order = |(score, entry): &(u32, &Entry)| (*score, entry.rank);
        if let Some(last) = limit.checked_sub(1).filter(|last| *last < found.len()) {
            // Three letters fit thousands; only those that are shown need their order.
            found.select_nth_unstable_by_key(last, order);
            found.truncate(limit);
        }
        found.sort_by_key(order);
        found.into_iter().map(|(_, entry)| self.hit(entry)).collect()
    }

    fn hit(&self, entry: &Entry) -> Hit {
        let mut parts = self.parts(entry);
        let mut part = || parts.next().unwrap_or_default().to_owned();
        Hit {
            patient: PatientRef::new(part()),
            number: part(),
            given_name: Private::new(part()),
            family_name: Private::new(part()),
            birth_date: Private::new(
                NaiveDate::from_num_days_from_ce_opt(entry.born).filter(|_| entry.born > 0),
            ),
            inactive: entry.inactive,
        }
    }

    /// One patient as the directory has them.
    pub fn patient(&self, patient: &PatientRef) -> Option<Hit> {
        let place = self.entries.binary_search_by(|entry| self.id(entry).cmp(patient.as_str())).ok()?;
        self.entries.get(place).map(|entry| self.hit(entry))
    }

    /// What was typed, in each way in which it can be read; none where it is too little to look for.
    fn readings(&self, typed: &str, today: NaiveDate) -> Option<Vec<Vec<Wanted>>> {
        let typed = typed.trim();
        if typed.chars().filter(|c| c.is_alphanumeric()).count() < 2
            && !typed.contains(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        let parts: Vec<&str> =
            typed.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty()).collect();
        let wanted = |part: &&str| self.wanted(part, today);
        let apart: Vec<Wanted> = parts.iter().flat_map(wanted).collect();
        let mut readings = vec![apart];
        let words = matching::name_words(&Private::new(typed.to_owned()));
        if parts.len() > 1 && !typed.contains(|c: char| c.is_ascii_digit()) {
            // `O Brien`, `van der Berg`: one name, written apart.
            readings.push(vec![self.word(&words.concat())]);
        }
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 8 && typed.chars().all(|c| !c.is_alphabetic()) {
            let end = digits.get(digits.len() - 8..).unwrap_or_default();
            readings.push(vec![Wanted::Phone(key("phone", end))]);
            readings.extend(born(&digits, today).map(|born| vec![born]));
        }
        readings.retain(|reading| !reading.is_empty());
        Some(readings)
    }

    fn wanted(&self, part: &str, today: NaiveDate) -> Vec<Wanted> {
        if let Some(born) = born(part, today) {
            return vec![born];
        }
        if part.contains(|c: char| c.is_ascii_digit()) {
            return vec![Wanted::Number(part.to_lowercase())];
        }
        matching::name_words(&Private::new(part.to_owned())).iter().map(|word| self.word(word)).collect()
    }

    /// How well each known word fits the beginning that was typed.
    fn word(&self, typed: &str) -> Wanted {
        let slips = match typed.chars().count() {
            0..=3 => 0,
            4..=7 => 1,
            _ => 2,
        };
        let wanted = letters(typed);
        let fit = |(word, known): (&str, &u32)| {
            if word.starts_with(typed) {
                return u8::from(word.len() > typed.len());
            }
            // Letters that the word does not have at all are slips, each.
            let missing = (wanted & !known).count_ones();
            if slips == 0 || missing > slips {
                return NO;
            }
            let found = slips_to_beginning(typed, word);
            u32::try_from(found)
                .ok()
                .filter(|found| *found <= slips)
                .map_or(NO, |found| u8::try_from(found).map_or(NO, |found| found.saturating_mul(SLIP)))
        };
        Wanted::Word(self.words.iter().map(AsRef::as_ref).zip(&self.letters).map(fit).collect())
    }

    /// How badly an entry fits; none where it does not.
    fn score(&self, at: u32, entry: &Entry, next: Option<&Entry>, reading: &[Wanted]) -> Option<u32> {
        let from = usize::try_from(entry.names).ok()?;
        let to = next.and_then(|next| usize::try_from(next.names).ok()).unwrap_or(self.names.len());
        let names = self.names.get(from..to)?;
        let mut total = 0;
        for wanted in reading {
            total += match wanted {
                Wanted::Word(fits) => {
                    let fit =
                        |name: &u32| usize::try_from(*name).ok().and_then(|name| fits.get(name).copied());
                    u32::from(names.iter().filter_map(fit).min().filter(|fit| *fit != NO)?)
                }
                Wanted::Born { year, month, day } => {
                    let born = NaiveDate::from_num_days_from_ce_opt(entry.born).filter(|_| entry.born > 0)?;
                    let fits = born.month() == *month
                        && born.day() == *day
                        && year.is_none_or(|year| born.year() == year);
                    fits.then_some(0)?
                }
                Wanted::Number(number) => {
                    let start = usize::try_from(entry.text).ok()?;
                    let text = self.text.get(start..)?;
                    let known = text.split(BETWEEN).nth(1)?;
                    let begins = known.len() >= number.len()
                        && known.get(..number.len()).is_some_and(|known| known.eq_ignore_ascii_case(number));
                    begins.then_some(u32::from(known.len() > number.len()))?
                }
                Wanted::Phone(phone) => self.keys.binary_search(&(*phone, at)).ok().map(|_| 0)?,
            };
        }
        Some(total * 2)
    }
}

/// The letters and digits of a folded word, a bit for each.
pub(super) fn letters(word: &str) -> u32 {
    word.bytes().fold(0, |bits, byte| match byte {
        b'a'..=b'z' => bits | 1 << (byte - b'a'),
        // Digits are rare in names and share what is left.
        _ => bits | 1 << 26,
    })
}

/// How many slips lead from what was typed to a beginning of the word.
fn slips_to_beginning(typed: &str, word: &str) -> usize {
    let length = typed.len();
    let ends = length.saturating_sub(1)..=length + 1;
    let beginnings = ends.filter_map(|end| word.get(..end.min(word.len())));
    beginnings.map(|beginning| strsim::osa_distance(typed, beginning)).min().unwrap_or(usize::MAX)
}

/// A date as people write a birth date: `12/3/1980`, `12.03.80`, `12-3`, `12031980`, `1980-03-12`.
fn born(text: &str, today: NaiveDate) -> Option<Wanted> {
    let parts: Vec<&str> = text.split(['/', '.', '-']).collect();
    let numbers: Vec<u32> = parts.iter().map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (year, month, day) = match (numbers.as_slice(), parts.as_slice()) {
        ([year, month, day], [written, ..]) if written.len() == 4 => (Some(*year), *month, *day),
        ([day, month, year], [.., written]) => match written.len() {
            4 => (Some(*year), *month, *day),
            2 => (Some(full_year(*year, today)), *month, *day),
            _ => return None,
        },
        ([day, month], _) => (None, *month, *day),
        ([_], [written]) if written.len() == 8 => {
            let part = |from, to| written.get(from..to).and_then(|part| part.parse().ok());
            (Some(part(4, 8)?), part(2, 4)?, part(0, 2)?)
        }
        _ => return None,
    };
    let year = year.and_then(|year| i32::try_from(year).ok());
    // A leap year tells whether such a day exists at all.
    NaiveDate::from_ymd_opt(year.unwrap_or(2000), month, day)?;
    Some(Wanted::Born { year, month, day })
}

/// The latest year with these two last digits that is not in the future.
fn full_year(short: u32, today: NaiveDate) -> u32 {
    let this = u32::try_from(today.year()).unwrap_or(2000);
    let candidate = this / 100 * 100 + short;
    if candidate > this { candidate - 100 } else { candidate }
}
