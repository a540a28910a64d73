//! How each field of two people compares, in more steps than a person reads.

use super::nicknames::Kinship;
use super::normalise::{Name, Person, Phone};
use super::{Agreement, Field};
use chrono::{Datelike, NaiveDate};
use rphonetic::DoubleMetaphone;

/// How a field compares, as finely as it is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The same once normalised.
    Same,
    /// First name: a short form that nobody takes for another child's name, or one given name more.
    ShortForm,
    /// First name: a form that is also a name by itself.
    OtherForm,
    /// One or two slips apart, or sounding alike.
    Near,
    /// First name: an initial.
    Initial,
    /// Last name: one of two joined by a hyphen.
    Part,
    /// First and last name have changed places; in a birth date, day and month.
    Swapped,
    /// Birth date: one digit of the year differs, as it does between a father and a son.
    YearSlip,
    /// Address: the same suburb or postcode only. Medicare: the same card, and nobody says who on it.
    Around,
    /// Medicare: somebody else on the same card.
    BesideOnCard,
    /// Something else.
    Differs,
    /// One side does not say.
    Missing,
}

impl Level {
    /// What a person reads.
    pub fn agreement(self) -> Agreement {
        match self {
            Level::Same => Agreement::Same,
            Level::Swapped => Agreement::Swapped,
            Level::ShortForm | Level::OtherForm | Level::Initial => Agreement::ShortForm,
            Level::Near | Level::Part | Level::YearSlip => Agreement::Near,
            Level::Around => Agreement::Partly,
            Level::BesideOnCard | Level::Differs => Agreement::Differs,
            Level::Missing => Agreement::Missing,
        }
    }
}

/// Compares every field, in the order of [`Field::ALL`].
pub(super) fn compare(here: &Person, there: &Person) -> [(Field, Level); 7] {
    let (first, last) = names(here, there);
    [
        (Field::FirstName, first),
        (Field::LastName, last),
        (Field::BirthDate, birth_dates(here.born, there.born)),
        (Field::Phone, phones(&here.phones, &there.phones)),
        (Field::Email, emails(&here.email, &there.email)),
        (Field::Address, addresses(here, there)),
        (Field::Medicare, cards(here, there)),
    ]
}

fn names(here: &Person, there: &Person) -> (Level, Level) {
    let straight = (first_names(&here.first, &there.first), last_names(&here.last, &there.last));
    if straight.0 == Level::Same && straight.1 == Level::Same {
        return straight;
    }
    // People type the family name into the first field more often than one would think, or everything into one.
    let swapped = (first_names(&here.first, &there.last), last_names(&here.last, &there.first));
    let alike = |level| matches!(level, Level::Same | Level::Near);
    let one_is_the_same = swapped.0 == Level::Same || swapped.1 == Level::Same;
    if one_is_the_same && alike(swapped.0) && alike(swapped.1) || same_words(here, there) {
        return (Level::Swapped, Level::Swapped);
    }
    straight
}

/// Whether both people's names are made of the same words, however they are shared among the two fields.
fn same_words(here: &Person, there: &Person) -> bool {
    let sorted = |person: &Person| {
        let mut words: Vec<String> = person.first.words.iter().chain(&person.last.words).cloned().collect();
        words.sort_unstable();
        words
    };
    let words = sorted(here);
    words.len() > 1 && words == sorted(there)
}

fn first_names(here: &Name, there: &Name) -> Level {
    if here.is_empty() || there.is_empty() {
        return Level::Missing;
    }
    if let (Some(one), Some(another)) = (here.generation, there.generation)
        && one != another
    {
        return Level::Differs;
    }
    if here.joined == there.joined {
        return Level::Same;
    }
    let initial = |name: &Name| name.joined.len() == 1;
    if initial(here) || initial(there) {
        let same = here.joined.chars().next() == there.joined.chars().next();
        return if same { Level::Initial } else { Level::Differs };
    }
    let (shorter, longer) = if here.words.len() <= there.words.len() { (here, there) } else { (there, here) };
    if shorter.words.len() < longer.words.len() && longer.words.starts_with(&shorter.words) {
        return Level::ShortForm;
    }
    match here.kinship(there) {
        Some(Kinship::Sure) => Level::ShortForm,
        Some(Kinship::Possible) => Level::OtherForm,
        None if alike(&here.joined, &there.joined) => Level::Near,
        None => Level::Differs,
    }
}

fn last_names(here: &Name, there: &Name) -> Level {
    if here.is_empty() || there.is_empty() {
        return Level::Missing;
    }
    if let (Some(one), Some(another)) = (here.generation, there.generation)
        && one != another
    {
        return Level::Differs;
    }
    if here.joined == there.joined {
        return Level::Same;
    }
    if alike(&here.joined, &there.joined) {
        return Level::Near;
    }
    let (shorter, longer) = if here.words.len() <= there.words.len() { (here, there) } else { (there, here) };
    let within = shorter.words.len() < longer.words.len()
        && shorter.words.iter().all(|word| word.len() > 2 && longer.words.contains(word));
    if within { Level::Part } else { Level::Differs }
}

/// A slip of the pen apart, or sounding alike. One slip in a short name makes another name (Jan, Jon).
fn alike(here: &str, there: &str) -> bool {
    let shorter = here.len().min(there.len());
    if shorter < 3 {
        return false;
    }
    let slips = strsim::damerau_levenshtein(here, there);
    if slips == 0 || shorter >= 4 && slips <= 1 || shorter >= 7 && slips <= 2 {
        return true;
    }
    shorter >= 4 && strsim::jaro_winkler(here, there) >= 0.85 && sounds(here) == sounds(there)
}

fn sounds(name: &str) -> String {
    DoubleMetaphone::new(Some(8)).double_metaphone(name).primary()
}

fn birth_dates(here: Option<NaiveDate>, there: Option<NaiveDate>) -> Level {
    let (Some(here), Some(there)) = (here, there) else { return Level::Missing };
    if here == there {
        return Level::Same;
    }
    if NaiveDate::from_ymd_opt(here.year(), here.day(), here.month()) == Some(there) {
        return Level::Swapped;
    }
    let digits = |date: NaiveDate| date.format("%Y%m%d").to_string();
    match strsim::damerau_levenshtein(&digits(here), &digits(there)) {
        1 if here.year() == there.year() => Level::Near,
        1 => Level::YearSlip,
        _ => Level::Differs,
    }
}

fn phones(here: &[Phone], there: &[Phone]) -> Level {
    if here.is_empty() || there.is_empty() {
        return Level::Missing;
    }
    let any = |alike: &dyn Fn(&Phone, &Phone) -> bool| {
        here.iter().any(|one| there.iter().any(|two| alike(one, two)))
    };
    if any(&Phone::is_same) {
        Level::Same
    } else if any(&|one, two| {
        one.digits().len() == two.digits().len()
            && strsim::damerau_levenshtein(one.digits(), two.digits()) == 1
    }) {
        Level::Near
    } else {
        Level::Differs
    }
}

fn emails(here: &str, there: &str) -> Level {
    if here.is_empty() || there.is_empty() {
        Level::Missing
    } else if here == there {
        Level::Same
    } else if here.len().min(there.len()) >= 8 && strsim::damerau_levenshtein(here, there) == 1 {
        Level::Near
    } else {
        Level::Differs
    }
}

fn addresses(here: &Person, there: &Person) -> Level {
    let both = |one: &str, two: &str| !one.is_empty() && !two.is_empty();
    let same = |one: &str, two: &str| both(one, two) && one == two;
    let area_known = both(&here.postcode, &there.postcode) || both(&here.suburb, &there.suburb);
    let area = same(&here.postcode, &there.postcode) || same(&here.suburb, &there.suburb);
    if !area_known {
        return Level::Missing;
    }
    if here.street.is_empty() || there.street.is_empty() {
        return if area { Level::Around } else { Level::Missing };
    }
    if !area {
        return Level::Differs;
    }
    if here.street == there.street {
        return Level::Same;
    }
    let numbers = |street: &[String]| -> Vec<String> {
        street.iter().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).cloned().collect()
    };
    let words = |street: &[String]| -> String {
        street.iter().filter(|word| !word.starts_with(|c: char| c.is_ascii_digit())).cloned().collect()
    };
    let (one, two) = (words(&here.street), words(&there.street));
    let nearly = one == two || one.starts_with(&two) || two.starts_with(&one) || alike(&one, &two);
    let one_and_the_same_house =
        numbers(&here.street) == numbers(&there.street) && !one.is_empty() && !two.is_empty();
    if one_and_the_same_house && nearly { Level::Near } else { Level::Around }
}

fn cards(here: &Person, there: &Person) -> Level {
    let (Some(here), Some(there)) = (&here.card, &there.card) else { return Level::Missing };
    if here.number != there.number {
        return Level::Differs;
    }
    match (here.place, there.place) {
        (Some(one), Some(two)) if one == two => Level::Same,
        (Some(_), Some(_)) => Level::BesideOnCard,
        _ => Level::Around,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::of(text)
    }

    #[test]
    fn given_names() {
        for (one, another, level) in [
            ("Elizabeth", "Liz", Level::ShortForm),
            ("Mary Jane", "Mary", Level::ShortForm),
            ("John", "Jack", Level::OtherForm),
            ("Karla", "Carla", Level::Near),
            ("Catherine", "Katherina", Level::Near),
            ("A.", "Ada", Level::Initial),
            ("Ada", "Bea", Level::Differs),
            ("Jan", "Jon", Level::Differs),
            ("", "Ada", Level::Missing),
        ] {
            assert_eq!(first_names(&name(one), &name(another)), level, "{one} {another}");
        }
    }

    #[test]
    fn family_names() {
        for (one, another, level) in [
            ("Smyth", "Smith", Level::Near),
            ("McDonald", "MacDonald", Level::Near),
            ("Thompson", "Thomson", Level::Near),
            ("Stephenson", "Stevenson", Level::Near),
            ("Smith", "Smith-Jones", Level::Part),
            ("Lee", "Li", Level::Differs),
            ("Smith Snr", "Smith Jnr", Level::Differs),
        ] {
            assert_eq!(last_names(&name(one), &name(another)), level, "{one} {another}");
        }
    }

    #[test]
    fn dates() {
        let level = |one: &str, another: &str| birth_dates(one.parse().ok(), another.parse().ok());
        assert_eq!(level("1984-11-09", "1984-09-11"), Level::Swapped);
        assert_eq!(level("1984-11-09", "1984-11-08"), Level::Near);
        assert_eq!(level("1984-11-12", "1984-11-21"), Level::Near);
        assert_eq!(level("1984-11-09", "1954-11-09"), Level::YearSlip);
        assert_eq!(level("1984-11-09", "1985-12-09"), Level::Differs);
        assert_eq!(level("1984-11-09", ""), Level::Missing);
    }
}
