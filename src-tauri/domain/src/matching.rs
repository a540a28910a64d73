//! Which patient in the book is this?
//!
//! First form: fields are normalised and compared one by one, and a few rules decide.
//! Twins, namesakes, and father and son are never merged: a match needs the names, the birth date, and one more field
//! that agree, and nobody else who could be meant. Whatever lies between "same" and "somebody else" is asked.

use crate::ids::PatientRef;
use crate::people::{PatientPlan, PatientRecord, PersonDetails};
use crate::private::Private;
use chrono::{Datelike, NaiveDate};

/// A field that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Date of birth.
    BirthDate,
    /// Any phone number.
    Phone,
    /// E-mail address.
    Email,
    /// Postcode, and street where both have one.
    Address,
}

impl Field {
    /// All of them, in the order in which people read them.
    pub const ALL: [Field; 6] =
        [Field::FirstName, Field::LastName, Field::BirthDate, Field::Phone, Field::Email, Field::Address];

    /// The field in words, for the middle of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Field::FirstName => "first name",
            Field::LastName => "surname",
            Field::BirthDate => "birth date",
            Field::Phone => "phone",
            Field::Email => "e-mail",
            Field::Address => "address",
        }
    }

    /// How much it says; the weights add up to 1000.
    fn weight(self) -> u32 {
        match self {
            Field::FirstName => 200,
            Field::LastName => 200,
            Field::BirthDate => 300,
            Field::Phone => 140,
            Field::Email => 110,
            Field::Address => 50,
        }
    }
}

/// How a field compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The same once normalised.
    Same,
    /// A slip of the pen apart.
    Near,
    /// Something else.
    Differs,
    /// One side does not say.
    Missing,
}

/// One candidate, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The record compared with.
    pub record: PatientRecord,
    /// How each field compares, in the order of [`Field::ALL`].
    pub fields: Vec<(Field, Agreement)>,
    /// Agreement from 0 to 1000, over the fields that both sides have.
    pub score: u32,
}

impl Comparison {
    fn of(&self, field: Field) -> Agreement {
        self.fields.iter().find(|(f, _)| *f == field).map_or(Agreement::Missing, |(_, agreement)| *agreement)
    }

    /// `same birth date and phone; surname differs`. Names nobody.
    pub fn explain(&self) -> String {
        let listed = |wanted: Agreement| -> Option<String> {
            let words: Vec<&str> =
                self.fields.iter().filter(|(_, a)| *a == wanted).map(|(f, _)| f.words()).collect();
            let (last, others) = words.split_last()?;
            Some(if others.is_empty() {
                (*last).to_owned()
            } else {
                format!("{} and {last}", others.join(", "))
            })
        };
        let parts: Vec<String> = [
            listed(Agreement::Same).map(|words| format!("same {words}")),
            listed(Agreement::Near).map(|words| format!("{words} nearly the same")),
            listed(Agreement::Differs).map(|words| format!("{words} not the same")),
            listed(Agreement::Missing).map(|words| format!("{words} not known")),
        ]
        .into_iter()
        .flatten()
        .collect();
        parts.join("; ")
    }

    fn verdict(&self) -> Verdict {
        use Agreement::{Differs, Missing, Near, Same};
        let (first, last, born) =
            (self.of(Field::FirstName), self.of(Field::LastName), self.of(Field::BirthDate));
        let contacts = [self.of(Field::Phone), self.of(Field::Email), self.of(Field::Address)];
        let contact_agrees = contacts.contains(&Same);
        let reachable_agrees = self.of(Field::Phone) == Same || self.of(Field::Email) == Same;
        match (first, last, born) {
            // A slip in one name is tolerated when a contact field agrees as well; two slips are asked.
            (Same, Same | Near, Same) | (Near, Same, Same) if contact_agrees => {
                // Twins share everything but the first name, and twins' first names are often alike.
                if first == Near { Verdict::Possible } else { Verdict::Same }
            }
            (Same | Near, Same | Near, Same) => Verdict::Possible,
            // Married or changed names: the first name and birth date agree, and the phone or e-mail does.
            (Same | Near, Differs | Missing, Same) if reachable_agrees => Verdict::Possible,
            // A birth date with a slip, or none on one side.
            (Same | Near, Same | Near, Near | Missing) if reachable_agrees => Verdict::Possible,
            _ => Verdict::SomebodyElse,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Possible,
    SomebodyElse,
}

/// How the patient of a booking was decided on, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What follows.
    pub plan: PatientPlan,
    /// Agreement with the record chosen, 0 to 1000; none for a new record.
    pub score: Option<u32>,
    /// Why, in a sentence that names nobody.
    pub reason: String,
    /// The records that a person should look at, the likeliest first; empty when nobody needs to.
    pub candidates: Vec<Comparison>,
}

/// Decides which of `records` the patient is, or that it is nobody, or that a person must say.
///
/// `linked` is an earlier link that the partner remembers; it tips the balance between records that
/// would both be right, and never makes a match by itself.
pub fn decide(details: &PersonDetails, linked: Option<&PatientRef>, records: &[PatientRecord]) -> Decision {
    let mut same = Vec::new();
    let mut possible = Vec::new();
    for record in records.iter().filter(|record| !record.deceased) {
        let comparison = compare(details, record);
        match comparison.verdict() {
            Verdict::Same => same.push(comparison),
            Verdict::Possible => possible.push(comparison),
            Verdict::SomebodyElse => {}
        }
    }
    let chosen = match same.as_slice() {
        [only] if possible.is_empty() => Some(only.clone()),
        [] => None,
        several => several.iter().find(|c| Some(&c.record.id) == linked).cloned(),
    };
    if let Some(chosen) = chosen {
        return Decision {
            plan: PatientPlan::Existing(chosen.record.id.clone()),
            score: Some(chosen.score),
            reason: sentence(&chosen.explain()),
            candidates: Vec::new(),
        };
    }
    same.extend(possible);
    same.sort_by_key(|c| (std::cmp::Reverse(c.score), c.record.id.clone()));
    match same.first() {
        None => Decision {
            plan: PatientPlan::New { possible_duplicate_of: None },
            score: None,
            reason: "Nobody in the book has the same names and birth date.".into(),
            candidates: Vec::new(),
        },
        Some(best) => Decision {
            plan: PatientPlan::Undecided,
            score: Some(best.score),
            reason: match same.len() {
                1 => format!("One record could be meant: {}.", best.explain()),
                n => format!("{n} records could be meant; the nearest: {}.", best.explain()),
            },
            candidates: same,
        },
    }
}

/// The same where `records` may lack the one that is meant: then a person says, whoever it looks like.
pub fn decide_among_some(
    details: &PersonDetails,
    linked: Option<&PatientRef>,
    records: &[PatientRecord],
) -> Decision {
    let decision = decide(details, linked, records);
    let likeliest = match &decision.plan {
        PatientPlan::Existing(chosen) => records.iter().find(|record| record.id == *chosen),
        PatientPlan::New { .. } | PatientPlan::Undecided => None,
    };
    let mut candidates = decision.candidates;
    candidates.extend(likeliest.map(|record| compare(details, record)));
    Decision {
        plan: PatientPlan::Undecided,
        reason: "Too many records share what the patient gave, so some were not looked at.".into(),
        candidates,
        ..decision
    }
}

/// The decision that somebody at the desk has taken by entering the appointment for `record`, unless the two are plainly
/// different people. People enter a name and little else, so a field that is missing speaks against nobody.
pub fn entered_for(details: &PersonDetails, record: &PatientRecord) -> Option<Decision> {
    let comparison = compare(details, record);
    let agrees =
        |field| matches!(comparison.of(field), Agreement::Same | Agreement::Near | Agreement::Missing);
    let named = [Field::FirstName, Field::LastName]
        .into_iter()
        .any(|field| matches!(comparison.of(field), Agreement::Same | Agreement::Near));
    let same_names = named && [Field::FirstName, Field::LastName, Field::BirthDate].into_iter().all(agrees);
    if !same_names && comparison.verdict() == Verdict::SomebodyElse {
        return None;
    }
    Some(Decision {
        plan: PatientPlan::Existing(record.id.clone()),
        score: Some(comparison.score),
        reason: format!("Entered at the desk: {}.", comparison.explain()),
        candidates: Vec::new(),
    })
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

/// Compares a person with a record, field by field.
pub fn compare(details: &PersonDetails, record: &PatientRecord) -> Comparison {
    let there = &record.details;
    let (first, last) = compare_names(details, there);
    let fields = vec![
        (Field::FirstName, first),
        (Field::LastName, last),
        (Field::BirthDate, compare_birth_dates(*details.birth_date.reveal(), *there.birth_date.reveal())),
        (Field::Phone, compare_sets(&phones(details), &phones(there))),
        (Field::Email, compare_texts(&email(details), &email(there))),
        (Field::Address, compare_addresses(details, there)),
    ];
    let (mut reached, mut possible) = (0, 0);
    for (field, agreement) in &fields {
        match agreement {
            Agreement::Same => (reached, possible) = (reached + field.weight(), possible + field.weight()),
            Agreement::Near => {
                (reached, possible) = (reached + field.weight() * 7 / 10, possible + field.weight())
            }
            Agreement::Differs => possible += field.weight(),
            Agreement::Missing => {}
        }
    }
    let score = (reached * 1000).checked_div(possible).unwrap_or(0);
    Comparison { record: record.clone(), fields, score }
}

fn compare_names(here: &PersonDetails, there: &PersonDetails) -> (Agreement, Agreement) {
    let (first_here, last_here) = (name(&here.first_name), name(&here.last_name));
    let (first_there, last_there) = (name(&there.first_name), name(&there.last_name));
    let straight = (compare_name(&first_here, &first_there), compare_name(&last_here, &last_there));
    // People type the family name into the first field more often than one would think.
    let swapped = (compare_name(&last_here, &first_there), compare_name(&first_here, &last_there));
    if swapped == (Agreement::Same, Agreement::Same) { swapped } else { straight }
}

/// Folds a name: diacritics, case, apostrophes, hyphens, spaces and titles do not count.
pub fn name(text: &Private<String>) -> String {
    let folded = deunicode::deunicode(text.reveal()).to_lowercase();
    let words = folded.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'' && c != '`');
    let mut words: Vec<String> = words
        .map(|word| word.chars().filter(char::is_ascii_alphanumeric).collect())
        .filter(|w: &String| !w.is_empty())
        .collect();
    if words.len() > 1
        && words
            .first()
            .is_some_and(|w| ["mr", "mrs", "ms", "miss", "mx", "dr", "prof"].contains(&w.as_str()))
    {
        words.remove(0);
    }
    words.concat()
}

fn compare_name(here: &str, there: &str) -> Agreement {
    if here.is_empty() || there.is_empty() {
        return Agreement::Missing;
    }
    if here == there {
        return Agreement::Same;
    }
    // One slip in a short name makes another name (Jan, Jon), so short names have to agree.
    let shorter = here.len().min(there.len());
    let slips = strsim::damerau_levenshtein(here, there);
    if shorter >= 4 && slips <= 1 || shorter >= 8 && slips <= 2 {
        Agreement::Near
    } else {
        Agreement::Differs
    }
}

fn compare_birth_dates(here: Option<NaiveDate>, there: Option<NaiveDate>) -> Agreement {
    let (Some(here), Some(there)) = (here, there) else { return Agreement::Missing };
    if here == there {
        return Agreement::Same;
    }
    let swapped = NaiveDate::from_ymd_opt(here.year(), here.day(), here.month()) == Some(there);
    let digits = |date: NaiveDate| date.format("%Y%m%d").to_string();
    let slips = strsim::hamming(&digits(here), &digits(there)).unwrap_or(usize::MAX);
    if swapped || slips == 1 { Agreement::Near } else { Agreement::Differs }
}

/// The last nine digits of each number: what `0400 111 222` and `+61 400 111 222` share.
pub fn phones(details: &PersonDetails) -> Vec<String> {
    let digits = |phone: &Private<String>| -> Option<String> {
        let digits: Vec<char> = phone.reveal().chars().filter(char::is_ascii_digit).collect();
        let start = digits.len().checked_sub(9)?;
        Some(digits.get(start..)?.iter().collect())
    };
    details.phones.iter().filter_map(digits).collect()
}

/// The address in lower case without spaces around it.
pub fn email(details: &PersonDetails) -> String {
    details.email.reveal().trim().to_lowercase()
}

fn compare_sets(here: &[String], there: &[String]) -> Agreement {
    if here.is_empty() || there.is_empty() {
        Agreement::Missing
    } else if here.iter().any(|phone| there.contains(phone)) {
        Agreement::Same
    } else {
        Agreement::Differs
    }
}

fn compare_texts(here: &str, there: &str) -> Agreement {
    match (here.is_empty() || there.is_empty(), here == there) {
        (true, _) => Agreement::Missing,
        (false, true) => Agreement::Same,
        (false, false) => Agreement::Differs,
    }
}

fn compare_addresses(here: &PersonDetails, there: &PersonDetails) -> Agreement {
    let postcode = compare_texts(here.postcode.reveal().trim(), there.postcode.reveal().trim());
    // A postcode alone is shared by thousands.
    let street = compare_texts(&name(&here.street), &name(&there.street));
    match (street, postcode) {
        (Agreement::Missing, _) | (_, Agreement::Missing) => Agreement::Missing,
        (Agreement::Same, Agreement::Same) => Agreement::Same,
        _ => Agreement::Differs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(first: &str, last: &str, born: &str, phone: &str, email: &str) -> PersonDetails {
        PersonDetails {
            first_name: Private::new(first.into()),
            last_name: Private::new(last.into()),
            birth_date: Private::new(born.parse().ok()),
            phones: vec![Private::new(phone.into())],
            email: Private::new(email.into()),
            ..PersonDetails::default()
        }
    }

    fn record(id: &str, details: PersonDetails) -> PatientRecord {
        PatientRecord { id: PatientRef::new(id), shown_number: None, details, deceased: false }
    }

    fn plan(details: &PersonDetails, records: &[PatientRecord]) -> PatientPlan {
        decide(details, None, records).plan
    }

    const NEW: PatientPlan = PatientPlan::New { possible_duplicate_of: None };

    fn existing(id: &str) -> PatientPlan {
        PatientPlan::Existing(PatientRef::new(id))
    }

    fn ada() -> PersonDetails {
        person("Ada", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com")
    }

    #[test]
    fn the_same_person_in_other_spellings() {
        for written in [
            person("ADA", "O’Brien", "1984-11-09", "+61 400 111 222", ""),
            person("Ada ", "OBRIEN", "1984-11-09", "", "ADA@example.com"),
            person("Mrs Ada", "O Brien", "1984-11-09", "(0400) 111-222", "other@example.com"),
            person("O'Brien", "Ada", "1984-11-09", "0400111222", ""),
            person("Ada", "O'Brein", "1984-11-09", "0400111222", ""),
        ] {
            assert_eq!(plan(&written, &[record("7", ada())]), existing("7"));
        }
        let nguyen = person("Thảo", "Nguyễn", "1990-01-02", "0400 111 222", "");
        let typed = person("Thao", "Nguyen", "1990-01-02", "0400 111 222", "");
        assert_eq!(plan(&typed, &[record("8", nguyen)]), existing("8"));
        let zak = person("Łukasz", "Żak", "1990-01-02", "0400 111 222", "");
        assert_eq!(
            plan(&person("Lukasz", "Zak", "1990-01-02", "0400 111 222", ""), &[record("9", zak)]),
            existing("9")
        );
    }

    #[test]
    fn among_some_of_the_records_a_person_says() {
        let certain = [record("7", ada())];
        assert_eq!(decide(&ada(), None, &certain).plan, PatientPlan::Existing(PatientRef::new("7")));
        let asked = decide_among_some(&ada(), None, &certain);
        assert_eq!(asked.plan, PatientPlan::Undecided);
        assert_eq!(asked.candidates.first().unwrap().record.id, PatientRef::new("7"));
        let nobody = decide_among_some(&ada(), None, &[]);
        assert_eq!((nobody.plan, nobody.candidates.len()), (PatientPlan::Undecided, 0));
    }

    #[test]
    fn twins_and_namesakes_are_never_merged() {
        let twin = person("Bea", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com");
        assert_eq!(plan(&twin, &[record("7", ada())]), NEW);
        let like_named_twins = person("Karla", "Lee", "2015-03-01", "0400 111 222", "");
        let her_twin = person("Carla", "Lee", "2015-03-01", "0400 111 222", "");
        assert_eq!(plan(&like_named_twins, &[record("7", her_twin)]), PatientPlan::Undecided);
        let father = person("John", "Smith", "1955-02-03", "0400 111 222", "");
        let son = person("John", "Smith", "1985-07-21", "0400 111 222", "");
        assert_eq!(plan(&son, &[record("7", father)]), NEW);
        // A namesake born on the same day, with nothing else in common, is asked.
        let namesake = person("Ada", "O'Brien", "1984-11-09", "0499 999 999", "other@example.com");
        assert_eq!(plan(&namesake, &[record("7", ada())]), PatientPlan::Undecided);
    }

    #[test]
    fn a_changed_surname_is_asked_with_its_reason() {
        let married = person("Ada", "Lee", "1984-11-09", "0400 111 222", "");
        let decision = decide(&married, None, &[record("7", ada())]);
        assert_eq!(decision.plan, PatientPlan::Undecided);
        assert_eq!(decision.candidates.len(), 1);
        assert_eq!(
            decision.reason,
            "One record could be meant: same first name, birth date and phone; surname not the same; e-mail and address not known."
        );
    }

    #[test]
    fn a_record_twice_is_asked_unless_the_link_says_which() {
        let records = [record("7", ada()), record("8", ada())];
        assert_eq!(plan(&ada(), &records), PatientPlan::Undecided);
        assert_eq!(decide(&ada(), Some(&PatientRef::new("8")), &records).plan, existing("8"));
        assert_eq!(decide(&ada(), Some(&PatientRef::new("9")), &records).plan, PatientPlan::Undecided);
    }

    #[test]
    fn a_link_alone_is_no_match() {
        let other = person("Bob", "Lee", "1970-01-01", "0499 999 999", "");
        assert_eq!(decide(&other, Some(&PatientRef::new("7")), &[record("7", ada())]).plan, NEW);
    }

    #[test]
    fn missing_or_mistyped_birth_dates_are_asked() {
        let typed = person("Ada", "O'Brien", "1984-09-11", "0400 111 222", "");
        assert_eq!(plan(&typed, &[record("7", ada())]), PatientPlan::Undecided);
        let unknown = person("Ada", "O'Brien", "", "0400 111 222", "");
        assert_eq!(plan(&unknown, &[record("7", ada())]), PatientPlan::Undecided);
    }

    #[test]
    fn what_somebody_entered_is_recognised_by_little() {
        let name_only = record("7", person("Ada", "OBrien", "", "", ""));
        assert_eq!(entered_for(&ada(), &name_only).expect("it is her").plan, existing("7"));
        let married = record("8", person("Ada", "Lee", "1984-11-09", "0400 111 222", ""));
        assert_eq!(entered_for(&ada(), &married).expect("it is her").plan, existing("8"));
        for other in [
            person("Bea", "O'Brien", "1984-11-09", "0400 111 222", ""),
            person("Ada", "O'Brien", "1955-02-03", "0400 111 222", ""),
        ] {
            assert_eq!(entered_for(&ada(), &record("9", other)), None);
        }
    }

    #[test]
    fn the_deceased_do_not_book() {
        let mut gone = record("7", ada());
        gone.deceased = true;
        assert_eq!(plan(&ada(), &[gone]), NEW);
    }

    #[test]
    fn scores_and_reasons() {
        let decision = decide(&ada(), None, &[record("7", ada())]);
        assert_eq!(decision.score, Some(1000));
        assert_eq!(
            decision.reason,
            "Same first name, surname, birth date, phone and e-mail; address not known."
        );
    }
}
