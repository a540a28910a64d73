//! Which patient in the book is this?
//!
//! Fields are made comparable (`normalise`), compared in several steps each (`compare`), and weighed together
//! (`weigh`); then it is decided. Twins, namesakes, and father and son are never merged: a match is likelier by far
//! than each of them, and ahead of every other record. Whatever lies between "same" and "somebody else" is asked.

mod compare;
mod nicknames;
mod normalise;
#[cfg(any(test, feature = "population"))]
pub mod population;
#[cfg(test)]
mod tests;
mod weigh;

pub use normalise::{email, folded_name, has_names, identity, medicare_card, name, name_words, phones};

use crate::ids::PatientRef;
use crate::people::{PatientPlan, PatientRecord, PersonDetails};
use chrono::NaiveDate;
use compare::Level;
use normalise::Person;
use std::cmp::Ordering;

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
    /// Street, with suburb or postcode.
    Address,
    /// Medicare card, and the person's place on it.
    Medicare,
}

impl Field {
    /// All of them, in the order in which people read them.
    pub const ALL: [Field; 7] = [
        Field::FirstName,
        Field::LastName,
        Field::BirthDate,
        Field::Phone,
        Field::Email,
        Field::Address,
        Field::Medicare,
    ];

    /// The field in words, for the middle of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Field::FirstName => "first name",
            Field::LastName => "surname",
            Field::BirthDate => "birth date",
            Field::Phone => "phone",
            Field::Email => "e-mail",
            Field::Address => "address",
            Field::Medicare => "Medicare card",
        }
    }
}

/// How a field compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The same once normalised.
    Same,
    /// The same, but first and last name, or day and month, have changed places.
    Swapped,
    /// Another form of the same first name: Liz for Elizabeth, an initial, a second given name.
    ShortForm,
    /// A slip of the pen apart, or sounding alike.
    Near,
    /// As far as both sides say: the same suburb, the same card.
    Partly,
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
    /// How one field compares.
    pub fn of(&self, field: Field) -> Agreement {
        self.fields.iter().find(|(f, _)| *f == field).map_or(Agreement::Missing, |(_, agreement)| *agreement)
    }

    /// `same birth date and phone; surname differs`. Names nobody.
    pub fn explain(&self) -> String {
        let listed = |wanted: Agreement| -> Option<String> {
            // Few bookings bring a card, so that its absence says nothing.
            let said = |(field, agreement): &&(Field, Agreement)| {
                *agreement == wanted && (*field, wanted) != (Field::Medicare, Agreement::Missing)
            };
            let words: Vec<&str> = self.fields.iter().filter(said).map(|(field, _)| field.words()).collect();
            let (last, others) = words.split_last()?;
            Some(if others.is_empty() {
                (*last).to_owned()
            } else {
                format!("{} and {last}", others.join(", "))
            })
        };
        let swapped = |field, words: &str| (self.of(field) == Agreement::Swapped).then(|| words.to_owned());
        let parts: Vec<String> = [
            listed(Agreement::Same).map(|words| format!("same {words}")),
            swapped(Field::FirstName, "first name and surname in each other's place"),
            swapped(Field::BirthDate, "day and month of the birth date in each other's place"),
            listed(Agreement::ShortForm).map(|words| format!("another form of the same {words}")),
            listed(Agreement::Near).map(|words| format!("{words} nearly the same")),
            listed(Agreement::Partly).map(|words| format!("{words} partly the same")),
            listed(Agreement::Differs).map(|words| format!("{words} not the same")),
            listed(Agreement::Missing).map(|words| format!("{words} not known")),
        ]
        .into_iter()
        .flatten()
        .collect();
        parts.join("; ")
    }
}

/// A comparison, and how much it says.
struct Weighed {
    comparison: Comparison,
    levels: [(Field, Level); 7],
    certainty: f64,
}

impl Weighed {
    fn of(person: &Person, record: &PatientRecord) -> Self {
        let levels = compare::compare(person, &Person::of(&record.details));
        let weight = weigh::weigh(&levels);
        let fields = levels.iter().map(|(field, level)| (*field, level.agreement())).collect();
        let comparison = Comparison { record: record.clone(), fields, score: weight.score };
        Self { comparison, levels, certainty: weight.certainty }
    }

    fn level(&self, field: Field) -> Level {
        self.levels.iter().find(|(f, _)| *f == field).map_or(Level::Missing, |(_, level)| *level)
    }

    /// Whether it is one person beyond doubt. What twins, and what father and son differ in, has to agree whatever the
    /// other fields weigh; only a place on a Medicare card tells them apart as well.
    fn is_sure(&self) -> bool {
        let own_card = self.level(Field::Medicare) == Level::Same;
        let no_twin = matches!(self.level(Field::FirstName), Level::Same | Level::ShortForm | Level::Swapped);
        let no_namesake = matches!(self.level(Field::BirthDate), Level::Same | Level::Near | Level::Swapped);
        let beside = self.level(Field::Medicare) == Level::BesideOnCard;
        self.certainty >= weigh::SURE && (no_twin && no_namesake || own_card) && !beside
    }

    /// The same where nobody's birth date is kept. A family shares phone and e-mail address, so that these tell nobody
    /// apart in it: both names have to be the same letter for letter. A short form is asked about, because Alex may be
    /// Alexander's daughter Alexandra.
    fn is_sure_by_contact(&self) -> bool {
        let agrees = |field| matches!(self.level(field), Level::Same | Level::Swapped);
        let names = agrees(Field::FirstName) && agrees(Field::LastName);
        self.is_sure()
            || self.level(Field::BirthDate) == Level::Missing
                && names
                && self.is_of_the_family()
                && self.is_possible()
    }

    /// Whether it shares phone and e-mail address, as a family does.
    fn is_of_the_family(&self) -> bool {
        self.level(Field::Phone) == Level::Same && self.level(Field::Email) == Level::Same
    }

    /// Whether somebody of this first name may be meant by the other, whatever else tells them apart.
    fn may_be_called_so(&self) -> bool {
        !matches!(self.level(Field::FirstName), Level::Differs)
    }

    /// Whether a person who corrects a decision might mean it. Nobody else's details are kept with a booking.
    fn is_worth_a_look(&self) -> bool {
        self.comparison.score >= 400
    }

    fn is_possible(&self) -> bool {
        self.certainty >= weigh::POSSIBLE
    }

    /// The likeliest first.
    fn order(&self, other: &Self) -> Ordering {
        other
            .certainty
            .total_cmp(&self.certainty)
            .then_with(|| self.comparison.record.id.cmp(&other.comparison.record.id))
    }
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
    /// The records that were nearest, the likeliest first: those that a person is asked about, or could choose instead.
    pub candidates: Vec<Comparison>,
}

/// How many candidates a person can look through.
const MOST_SHOWN: usize = 8;

/// Decides which of `records` the patient is, or that it is nobody, or that a person must say.
///
/// `linked` is an earlier link that the partner remembers; it tips the balance between records that
/// would both be right, and never makes a match by itself.
pub fn decide(details: &PersonDetails, linked: Option<&PatientRef>, records: &[PatientRecord]) -> Decision {
    decide_if(Weighed::is_sure, details, linked, records)
}

/// The same where nobody's birth date is kept, as in a practice for animals: whoever has the same name, phone and e-mail
/// address is meant, where nobody else of the family could be. Less than that is asked, and so is somebody of whose
/// family the book has others only: a household is often one record there, and as often two.
pub fn decide_by_contact(
    details: &PersonDetails,
    linked: Option<&PatientRef>,
    records: &[PatientRecord],
) -> Decision {
    let decision = decide_if(Weighed::is_sure_by_contact, details, linked, records);
    let person = Person::of(details);
    let living = records.iter().filter(|record| record.can_be_meant());
    let mut family: Vec<Weighed> =
        living.map(|record| Weighed::of(&person, record)).filter(Weighed::is_of_the_family).collect();
    family.sort_by(Weighed::order);
    let reason = match &decision.plan {
        PatientPlan::New { .. } if !family.is_empty() => {
            "Somebody else with the same phone and e-mail is in the book: one of the family, or the record that the family \
             shares."
        }
        PatientPlan::Existing(chosen)
            if family.iter().any(|other| {
                other.comparison.record.id != *chosen
                    && Some(chosen) != linked
                    && other.level(Field::LastName) != Level::Differs
                    && other.may_be_called_so()
            }) =>
        {
            "Several of one family could be meant: they share phone and e-mail, and their first names are nearly the same."
        }
        PatientPlan::New { .. } | PatientPlan::Existing(_) | PatientPlan::Undecided => return decision,
    };
    Decision {
        plan: PatientPlan::Undecided,
        score: family.first().map(|nearest| nearest.comparison.score),
        reason: reason.to_owned(),
        candidates: comparisons(family),
    }
}

fn decide_if(
    is_sure: fn(&Weighed) -> bool,
    details: &PersonDetails,
    linked: Option<&PatientRef>,
    records: &[PatientRecord],
) -> Decision {
    let person = Person::of(details);
    let living = records.iter().filter(|record| record.can_be_meant());
    let mut weighed: Vec<Weighed> = living.map(|record| Weighed::of(&person, record)).collect();
    weighed.sort_by(Weighed::order);
    let chosen = match weighed.as_slice() {
        [best, others @ ..] if is_sure(best) => {
            let ahead = others.first().is_none_or(|next| best.certainty - next.certainty >= weigh::MARGIN);
            if ahead {
                Some(0)
            } else {
                weighed.iter().position(|w| is_sure(w) && Some(&w.comparison.record.id) == linked)
            }
        }
        _ => None,
    };
    if let Some(chosen) = chosen {
        weighed.get_mut(..=chosen).unwrap_or_default().rotate_right(1);
        let chosen_id = weighed.first().map(|weighed| weighed.comparison.record.id.clone());
        let candidates = comparisons(weighed.into_iter().filter(|weighed| {
            Some(&weighed.comparison.record.id) == chosen_id.as_ref() || weighed.is_worth_a_look()
        }));
        let chosen = candidates.first();
        return Decision {
            plan: chosen.map_or(PatientPlan::Undecided, |c| PatientPlan::Existing(c.record.id.clone())),
            score: chosen.map(|c| c.score),
            reason: chosen.map(|c| sentence(&c.explain())).unwrap_or_default(),
            candidates,
        };
    }
    let possible = weighed.iter().filter(|weighed| weighed.is_possible()).count();
    match (possible, weighed.first()) {
        (0, _) | (_, None) => Decision {
            plan: PatientPlan::New { possible_duplicate_of: None },
            score: None,
            reason: "Nobody in the book has the same names and birth date.".into(),
            candidates: comparisons(weighed.into_iter().filter(Weighed::is_worth_a_look)),
        },
        (_, Some(best)) => Decision {
            plan: PatientPlan::Undecided,
            score: Some(best.comparison.score),
            reason: match possible {
                1 => format!("One record could be meant: {}.", best.comparison.explain()),
                n => format!("{n} records could be meant; the nearest: {}.", best.comparison.explain()),
            },
            candidates: comparisons(weighed.into_iter().take(possible)),
        },
    }
}

fn comparisons(weighed: impl IntoIterator<Item = Weighed>) -> Vec<Comparison> {
    weighed.into_iter().take(MOST_SHOWN).map(|weighed| weighed.comparison).collect()
}

/// The same where `records` may lack the one that is meant: then a person says, whoever it looks like.
pub fn decide_among_some(
    details: &PersonDetails,
    linked: Option<&PatientRef>,
    records: &[PatientRecord],
) -> Decision {
    let decision = decide(details, linked, records);
    let candidates = match decision.plan {
        PatientPlan::Existing(_) | PatientPlan::Undecided => decision.candidates,
        PatientPlan::New { .. } => Vec::new(),
    };
    Decision {
        plan: PatientPlan::Undecided,
        reason: "Too many records share what the patient gave, so some were not looked at.".into(),
        candidates,
        ..decision
    }
}

/// Who settled earlier whose bookings these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Somebody at the desk said so.
    ByPerson,
    /// An earlier booking of the same person made the record.
    ByRecordMade,
}

/// The decision that an earlier one makes for the same person's next booking. None where the record is of somebody who
/// died since. `on` is the day in the practice's own time.
pub fn as_settled(
    details: &PersonDetails,
    record: &PatientRecord,
    settled: Settled,
    on: NaiveDate,
) -> Option<Decision> {
    if !record.can_be_meant() {
        return None;
    }
    let compared = compare(details, record);
    let day = on.format("%-d %B %Y");
    let reason = match settled {
        Settled::ByPerson => {
            format!("Somebody at the desk decided so on {day}, for an earlier booking of the same person.")
        }
        Settled::ByRecordMade => {
            format!("The record was made for an earlier booking of the same person, on {day}.")
        }
    };
    Some(Decision {
        plan: PatientPlan::Existing(record.id.clone()),
        score: Some(compared.score),
        reason,
        candidates: vec![compared],
    })
}

/// The decision that somebody at the desk has taken by entering the appointment for `record`, unless the two are plainly
/// different people. People enter a name and little else, so a field that is missing speaks against nobody.
pub fn entered_for(details: &PersonDetails, record: &PatientRecord) -> Option<Decision> {
    let weighed = Weighed::of(&Person::of(details), record);
    let differs = |field| weighed.level(field) == Level::Differs;
    let named = [Field::FirstName, Field::LastName]
        .into_iter()
        .any(|field| !matches!(weighed.level(field), Level::Differs | Level::Missing));
    let same_names = named && ![Field::FirstName, Field::LastName, Field::BirthDate].into_iter().any(differs);
    if !same_names && !weighed.is_possible() {
        return None;
    }
    let comparison = weighed.comparison;
    Some(Decision {
        plan: PatientPlan::Existing(record.id.clone()),
        score: Some(comparison.score),
        reason: format!("Entered at the desk: {}.", comparison.explain()),
        candidates: vec![comparison],
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
    Weighed::of(&Person::of(details), record).comparison
}
