//! Makes what two people typed comparable: letters without marks, numbers without spaces, one spelling of each street.

use super::nicknames;
use crate::people::PersonDetails;
use crate::private::Private;
use chrono::NaiveDate;
use std::borrow::Cow;

/// A person's fields as they are compared.
pub(super) struct Person {
    pub first: Name,
    pub last: Name,
    pub born: Option<NaiveDate>,
    pub phones: Vec<Phone>,
    pub email: String,
    pub street: Vec<String>,
    pub suburb: String,
    pub postcode: String,
    pub card: Option<Card>,
}

impl Person {
    pub fn of(details: &PersonDetails) -> Self {
        Self {
            first: Name::of(details.first_name.reveal()),
            last: Name::of(details.last_name.reveal()),
            born: *details.birth_date.reveal(),
            phones: details.phones.iter().filter_map(|phone| Phone::of(phone.reveal())).collect(),
            email: email_of(details.email.reveal()),
            street: street_of(details.street.reveal()),
            suburb: suburb_of(details.suburb.reveal()),
            postcode: postcode_of(details.postcode.reveal()),
            card: Card::of(details.medicare_number.reveal(), details.medicare_irn.reveal()),
        }
    }
}

/// Which of two namesakes of one family, where the name itself says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    Elder,
    Younger,
}

/// A given or family name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// Its words, folded; titles and generations left out.
    pub words: Vec<String>,
    /// The words without anything between them.
    pub joined: String,
    pub generation: Option<Generation>,
}

const TITLES: [&str; 14] =
    ["mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "rev", "fr", "sr", "master", "mstr", "sir"];

impl Name {
    pub fn of(text: &str) -> Self {
        let mut words = words_of(text);
        let mut generation = None;
        if words.len() > 1 && words.first().is_some_and(|word| TITLES.contains(&word.as_str())) {
            words.remove(0);
        }
        if words.len() > 1 {
            generation = words.last().and_then(|word| match word.as_str() {
                "snr" | "sr" | "senior" => Some(Generation::Elder),
                "jnr" | "jr" | "junior" | "ii" | "iii" => Some(Generation::Younger),
                _ => None,
            });
            if generation.is_some() {
                words.pop();
            }
        }
        Self { joined: words.concat(), words, generation }
    }

    pub fn is_empty(&self) -> bool {
        self.joined.is_empty()
    }

    /// Two names that are short forms of one name, and how surely.
    pub fn kinship(&self, other: &Name) -> Option<nicknames::Kinship> {
        nicknames::kinship(self.words.first()?, other.words.first()?)
    }
}

/// Folds text into words of small Latin letters and digits. An apostrophe joins, a hyphen separates.
fn words_of(text: &str) -> Vec<String> {
    // Most names need no folding, and a large book has hundreds of thousands of them.
    let folded: Cow<'_, str> = if text.is_ascii() { text.into() } else { deunicode::deunicode(text).into() };
    folded
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '\'' && c != '`')
        .map(|word| {
            let mut kept = String::with_capacity(word.len());
            kept.extend(word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()));
            kept
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// Folds a name: diacritics, case, apostrophes, hyphens, spaces and titles do not count.
pub fn name(text: &Private<String>) -> String {
    Name::of(text.reveal()).joined
}

/// The folded words of a name, titles and generations left out, and all of them as one where there are several.
pub fn name_words(text: &Private<String>) -> Vec<String> {
    folded_name(text).0
}

/// Both [`name_words`] and [`name`], for less than each by itself.
pub fn folded_name(text: &Private<String>) -> (Vec<String>, String) {
    let Name { mut words, joined, .. } = Name::of(text.reveal());
    if words.len() > 1 {
        words.push(joined.clone());
    }
    (words, joined)
}

/// An e-mail address as its mailbox is known; empty where there is none.
pub fn email(details: &PersonDetails) -> String {
    email_of(details.email.reveal())
}

/// A phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phone {
    /// Nine digits, as they follow `+61`.
    Australian(String),
    /// A landline without its area code.
    Local(String),
    /// With its country's code.
    Foreign(String),
}

impl Phone {
    /// Reads a number however it is written. None for what is no number, or a stand-in such as `0400 000 000`.
    pub fn of(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let plus = text.trim_start().starts_with(['+', '(']) && text.contains('+');
        let (international, rest) = match digits.strip_prefix("0011").or_else(|| digits.strip_prefix("00")) {
            Some(rest) if rest.len() >= 9 => (true, rest),
            _ => (plus, digits.as_str()),
        };
        let national = rest.strip_prefix("61").map(|rest| rest.strip_prefix('0').unwrap_or(rest));
        let phone = match national {
            Some(national) if national.len() == 9 && (international || rest.len() >= 11) => {
                Phone::Australian(national.to_owned())
            }
            _ if international && rest.len() >= 8 => Phone::Foreign(rest.to_owned()),
            _ => match (rest.len(), rest.strip_prefix('0')) {
                (10, Some(national)) => Phone::Australian(national.to_owned()),
                // The leading nought was lost, as spreadsheets do.
                (9, None) => Phone::Australian(rest.to_owned()),
                (8, _) => Phone::Local(rest.to_owned()),
                (length, _) if length >= 8 => Phone::Foreign(rest.to_owned()),
                _ => return None,
            },
        };
        let end = phone.digits().get(phone.digits().len().checked_sub(8)?..)?;
        let stand_in = end.chars().all(|digit| end.starts_with(digit)) || end == "12345678";
        (!stand_in).then_some(phone)
    }

    pub fn digits(&self) -> &str {
        match self {
            Phone::Australian(digits) | Phone::Local(digits) | Phone::Foreign(digits) => digits,
        }
    }

    pub fn is_same(&self, other: &Phone) -> bool {
        match (self, other) {
            (Phone::Local(local), Phone::Australian(full))
            | (Phone::Australian(full), Phone::Local(local)) => {
                !full.starts_with('4') && full.ends_with(local.as_str())
            }
            (Phone::Foreign(one), Phone::Foreign(another)) => {
                one == another
                    || one.len() >= 9 && another.ends_with(one)
                    || another.len() >= 9 && one.ends_with(another)
            }
            _ => self == other,
        }
    }
}

/// The numbers of a person that can be compared, without spaces and country codes.
pub fn phones(details: &PersonDetails) -> Vec<String> {
    details
        .phones
        .iter()
        .filter_map(|phone| Phone::of(phone.reveal()))
        .map(|phone| phone.digits().to_owned())
        .collect()
}

/// The address as its mailbox is known: what follows a plus goes to the same box, and Gmail reads no dots.
pub(super) fn email_of(text: &str) -> String {
    let lower: String = text.trim().trim_end_matches('.').to_lowercase().split_whitespace().collect();
    let Some((local, domain)) = lower.rsplit_once('@') else { return lower };
    let domain = if domain == "googlemail.com" { "gmail.com" } else { domain };
    let local = local.split('+').next().filter(|local| !local.is_empty()).unwrap_or(local);
    let local = if domain == "gmail.com" { local.replace('.', "") } else { local.to_owned() };
    format!("{local}@{domain}")
}

/// Kinds of street, as they are shortened and written out.
const STREETS: &[(&str, &str)] = &[
    ("al", "alley"),
    ("arc", "arcade"),
    ("av", "avenue"),
    ("ave", "avenue"),
    ("aven", "avenue"),
    ("blvd", "boulevard"),
    ("bvd", "boulevard"),
    ("boul", "boulevard"),
    ("cct", "circuit"),
    ("cir", "circuit"),
    ("circ", "circuit"),
    ("cl", "close"),
    ("cres", "crescent"),
    ("cr", "crescent"),
    ("crs", "crescent"),
    ("crt", "court"),
    ("ct", "court"),
    ("dr", "drive"),
    ("drv", "drive"),
    ("dve", "drive"),
    ("esp", "esplanade"),
    ("est", "estate"),
    ("gdns", "gardens"),
    ("gr", "grove"),
    ("grv", "grove"),
    ("hwy", "highway"),
    ("la", "lane"),
    ("ln", "lane"),
    ("lwr", "lower"),
    ("pde", "parade"),
    ("pl", "place"),
    ("prom", "promenade"),
    ("rd", "road"),
    ("sq", "square"),
    ("str", "street"),
    ("st", "street"),
    ("tce", "terrace"),
    ("ter", "terrace"),
    ("upr", "upper"),
    ("wk", "walk"),
    ("wy", "way"),
];

/// Words that say only that a number is one of several at an address.
const UNITS: &[&str] =
    &["unit", "u", "apt", "apartment", "flat", "fl", "suite", "no", "number", "lot", "level", "lvl"];

/// The words of a street address: `Unit 2, 14 High St.` and `2/14 High Street` come to the same.
pub(super) fn street_of(text: &str) -> Vec<String> {
    let words: Vec<String> =
        words_of(text).into_iter().filter(|word| !UNITS.contains(&word.as_str())).collect();
    let first_name = words.iter().position(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    let written_out = |(at, word): (usize, &String)| {
        // `St Kilda Road` is about a saint.
        if Some(at) == first_name {
            return if word == "st" { "saint".to_owned() } else { word.clone() };
        }
        let known = STREETS.iter().find(|(short, _)| short == word);
        known.map_or_else(|| word.clone(), |(_, long)| (*long).to_owned())
    };
    words.iter().enumerate().map(written_out).collect()
}

/// A suburb's name without spaces: `Mt. Waverley`, `Mount Waverley`.
pub(super) fn suburb_of(text: &str) -> String {
    let words = words_of(text).into_iter().map(|word| match word.as_str() {
        "st" => "saint".to_owned(),
        "mt" => "mount".to_owned(),
        "pt" => "point".to_owned(),
        "nth" | "n" => "north".to_owned(),
        "sth" | "s" => "south".to_owned(),
        "e" => "east".to_owned(),
        "w" => "west".to_owned(),
        "hts" => "heights".to_owned(),
        _ => word,
    });
    words.collect()
}

/// A postcode without the noughts at its front, which spreadsheets lose: `0800`, `800`.
pub(super) fn postcode_of(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').to_owned()
}

/// A Medicare card, and who of those on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// Eight digits and the check digit. The tenth counts issues and changes with each.
    pub number: String,
    /// The person's place on the card.
    pub place: Option<char>,
}

impl Card {
    /// Reads a card's number, with the place as eleventh digit or by itself. None where the check digit does not fit, so
    /// that a slip or a stand-in says nothing rather than something wrong.
    pub fn of(number: &str, place: &str) -> Option<Self> {
        let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
        let (card, rest) = digits.split_at_checked(9)?;
        let (identifier, check) = card.split_at_checked(8)?;
        let sum: u32 =
            identifier.iter().zip([1, 3, 7, 9, 1, 3, 7, 9]).map(|(digit, weight)| digit * weight).sum();
        let begins_well = identifier.first().is_some_and(|first| (2..=6).contains(first));
        if rest.len() > 2 || !begins_well || check.first() != Some(&(sum % 10)) {
            return None;
        }
        let given = place.chars().find(char::is_ascii_digit);
        let place = given.or_else(|| rest.get(1).and_then(|digit| char::from_digit(*digit, 10)));
        let number = card.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect();
        Some(Self { number, place: place.filter(|place| *place != '0') })
    }
}

/// The number on the front of a Medicare card as it can be looked for; none where the check digit does not fit.
pub fn medicare_card(details: &PersonDetails) -> Option<String> {
    Card::of(details.medicare_number.reveal(), "").map(|card| card.number)
}

/// Whether a name is known; names are forgotten after the retention time.
pub fn has_names(details: &PersonDetails) -> bool {
    let person = Person::of(details);
    !person.first.is_empty() || !person.last.is_empty()
}

/// Everything by which a person's next booking is known to be theirs: names, birth date, phones and e-mail as they are
/// compared. None where they say too little to tell anybody from a namesake.
pub fn identity(details: &PersonDetails) -> Option<Private<String>> {
    let person = Person::of(details);
    let born = person.born?;
    if person.first.is_empty()
        || person.last.is_empty()
        || person.phones.is_empty() && person.email.is_empty()
    {
        return None;
    }
    let mut phones: Vec<&str> = person.phones.iter().map(Phone::digits).collect();
    phones.sort_unstable();
    phones.dedup();
    let generation = match person.last.generation.or(person.first.generation) {
        Some(Generation::Elder) => "elder",
        Some(Generation::Younger) => "younger",
        None => "",
    };
    let text = [
        &person.first.joined,
        &person.last.joined,
        generation,
        &born.to_string(),
        &phones.join(","),
        &person.email,
    ]
    .join("\n");
    Some(Private::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        Name::of(text).joined
    }

    #[test]
    fn names() {
        for (written, expected) in [
            ("O’Brien", "obrien"),
            ("O' Brien", "obrien"),
            ("van der Berg", "vanderberg"),
            ("Smith-Jones", "smithjones"),
            ("Mrs. Ada", "ada"),
            ("Dr", "dr"),
            ("Nguyễn", "nguyen"),
            ("Żak", "zak"),
            ("SØREN", "soren"),
            ("Müller", "muller"),
            ("  ", ""),
        ] {
            assert_eq!(folded(written), expected);
        }
        assert_eq!(Name::of("Smith Jnr").generation, Some(Generation::Younger));
        assert_eq!(Name::of("John Snr.").joined, "john");
    }

    #[test]
    fn phone_numbers() {
        let same = |one: &str, two: &str| Phone::of(one).unwrap().is_same(&Phone::of(two).unwrap());
        for written in [
            "0491 570 156",
            "+61 491 570 156",
            "+61 (0)491 570 156",
            "0061 491570156",
            "0011 61 491 570 156",
            "61491570156",
            "491570156",
            "(0491) 570-156",
        ] {
            assert_eq!(Phone::of(written), Some(Phone::Australian("491570156".into())), "{written}");
        }
        assert!(same("(03) 7010 1234", "7010 1234") && same("7010 1234", "+61 3 7010 1234"));
        assert!(same("370101234", "03 7010 1234"));
        // Eight digits of a mobile are no landline.
        assert!(!same("0491 570 156", "9157 0156"));
        assert!(!same("03 7010 1234", "02 7010 1234"));
        assert!(same("+44 20 7946 0958", "0044 2079460958") && !same("+44 20 7946 0958", "0491 570 156"));
        for nothing in ["", "123", "0400 000 000", "0000000000", "n/a", "12345678"] {
            assert_eq!(Phone::of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn mail_addresses() {
        for written in
            ["ada.b@gmail.com", " Ada.B+physio@GMAIL.com ", "adab@googlemail.com", "a.d.a.b@gmail.com"]
        {
            assert_eq!(email_of(written), "adab@gmail.com");
        }
        assert_eq!(email_of("Ada.B@Example.com"), "ada.b@example.com");
        assert_eq!(email_of("ada.b+clinic@example.com"), "ada.b@example.com");
        assert_eq!(
            (email_of("+@example.com"), email_of(""), email_of("nobody")),
            ("+@example.com".into(), String::new(), "nobody".into())
        );
    }

    #[test]
    fn addresses() {
        for written in ["Unit 2, 14 High St.", "2/14 HIGH STREET", "U2 14 High Street", "Apt 2 / 14 high st"]
        {
            assert_eq!(street_of(written).concat().replace("u2", "2"), "214highstreet", "{written}");
        }
        assert_eq!(street_of("5 St Kilda Rd"), street_of("5 Saint Kilda Road"));
        assert_eq!(street_of("1 Mill Cres"), street_of("1 Mill Crescent"));
        assert_eq!(suburb_of("Mt. Waverley"), suburb_of("Mount Waverley"));
        assert_eq!(suburb_of("St Kilda Nth"), suburb_of("Saint Kilda North"));
        assert_eq!((postcode_of(" 3121 "), postcode_of("0800")), ("3121".into(), postcode_of("800")));
    }

    #[test]
    fn cards() {
        let card = |number: &str, place: &str| Card::of(number, place);
        let expected = Some(Card { number: "212345670".into(), place: Some('2') });
        assert_eq!(card("2123 45670 1", "2"), expected);
        assert_eq!(card("2123-45670-1/2", ""), expected);
        // A new issue of the same card.
        assert_eq!(card("2123456703", "2"), expected);
        assert_eq!(card("2123456701", "").unwrap().place, None);
        for nothing in ["", "0000000000", "2123456711", "123", "7123456701", "21234567012345"] {
            assert_eq!(card(nothing, "1"), None, "{nothing}");
        }
    }

    #[test]
    fn an_identity_is_the_same_however_it_is_typed() {
        let person = |first: &str, phone: &str, email: &str| PersonDetails {
            first_name: Private::new(first.into()),
            last_name: Private::new("O'Brien".into()),
            birth_date: Private::new("1984-11-09".parse().ok()),
            phones: vec![Private::new(phone.into())],
            email: Private::new(email.into()),
            ..PersonDetails::default()
        };
        let ada = identity(&person("Ada", "0491 570 156", "ada@example.com"));
        assert!(ada.is_some());
        assert_eq!(identity(&person("ADA ", "+61 491 570 156", "Ada@Example.com")), ada);
        assert_ne!(identity(&person("Ada", "0491 570 157", "ada@example.com")), ada);
        assert_eq!(identity(&person("Ada", "", "")), None);
        assert_eq!(identity(&person("", "0491 570 156", "")), None);
    }
}
