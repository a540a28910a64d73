//! A made-up population of a clinic, and bookings by its people and by others, with what is hard about them: twins,
//! father and son, namesakes, married names, typing errors, moves, new numbers, missing fields.
//!
//! The same seed makes the same people. Shares are what a front desk sees in a year or a little more of what is hard;
//! see [`SHARES`].

use crate::directory::{Collecting, Directory};
use crate::ids::PatientRef;
use crate::people::{PatientRecord, PersonDetails};
use crate::private::Private;
use chrono::{Datelike, Days, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};

/// What is special about a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A patient, as the record has them, in whatever format people type.
    Unchanged,
    /// Somebody whom the clinic does not know.
    Stranger,
    /// Somebody unknown, with the name of a patient and another birth date.
    Namesake,
    /// Somebody unknown, with the name and the birth date of a patient and nothing else.
    NamesakeBornThatDay,
    /// A patient's twin, unknown so far, from the same home with the same phone and e-mail.
    UnknownTwin,
    /// A patient's father or son of the same name, unknown so far, from the same home.
    UnknownNamesakeOfTheFamily,
    /// One of two twins who are both patients.
    KnownTwin,
    /// One of father and son who are both patients.
    KnownNamesakeOfTheFamily,
    /// The surname is another one.
    Married,
    /// One slip in the surname.
    SurnameMisspelt,
    /// One slip in the first name.
    FirstNameMisspelt,
    /// Another address.
    Moved,
    /// Another phone.
    NewPhone,
    /// Another e-mail.
    NewEmail,
    /// Another phone and another address.
    MovedWithNewPhone,
    /// Another phone and another e-mail.
    NewPhoneAndEmail,
    /// The record lacks some of the fields.
    RecordLacksFields,
    /// First and last name in each other's place.
    NamesSwapped,
    /// Day and month in each other's place.
    DayAndMonthSwapped,
    /// One digit of the birth date is another one.
    BirthDateMistyped,
    /// A short form of the first name.
    Nickname,
    /// Diacritics, apostrophes and hyphens left out or added.
    Accents,
}

/// How often each kind comes, of the sum of all.
pub const SHARES: &[(Kind, u32)] = &[
    (Kind::Unchanged, 480),
    (Kind::Stranger, 200),
    (Kind::Namesake, 20),
    (Kind::NamesakeBornThatDay, 1),
    (Kind::UnknownTwin, 8),
    (Kind::UnknownNamesakeOfTheFamily, 8),
    (Kind::KnownTwin, 15),
    (Kind::KnownNamesakeOfTheFamily, 15),
    (Kind::Married, 30),
    (Kind::SurnameMisspelt, 25),
    (Kind::FirstNameMisspelt, 12),
    (Kind::Moved, 50),
    (Kind::NewPhone, 40),
    (Kind::NewEmail, 30),
    (Kind::MovedWithNewPhone, 10),
    (Kind::NewPhoneAndEmail, 5),
    (Kind::RecordLacksFields, 15),
    (Kind::NamesSwapped, 6),
    (Kind::DayAndMonthSwapped, 4),
    (Kind::BirthDateMistyped, 4),
    (Kind::Nickname, 40),
    (Kind::Accents, 25),
];

impl Kind {
    /// Whether the booking is a patient's whose details have changed or are misspelt.
    pub fn is_changed(self) -> bool {
        match self {
            Kind::Unchanged
            | Kind::Stranger
            | Kind::Namesake
            | Kind::NamesakeBornThatDay
            | Kind::UnknownTwin
            | Kind::UnknownNamesakeOfTheFamily
            | Kind::KnownTwin
            | Kind::KnownNamesakeOfTheFamily => false,
            Kind::Married
            | Kind::SurnameMisspelt
            | Kind::FirstNameMisspelt
            | Kind::Moved
            | Kind::NewPhone
            | Kind::NewEmail
            | Kind::MovedWithNewPhone
            | Kind::NewPhoneAndEmail
            | Kind::RecordLacksFields
            | Kind::NamesSwapped
            | Kind::DayAndMonthSwapped
            | Kind::BirthDateMistyped
            | Kind::Nickname
            | Kind::Accents => true,
        }
    }
}

/// A booking, and whose it is.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub kind: Kind,
    /// What the patient typed.
    pub details: PersonDetails,
    /// The patient's record; none where there is none.
    pub truth: Option<PatientRef>,
}

/// Records and bookings.
pub struct Population {
    /// The practice's patients, numbered from 1.
    pub records: Vec<PatientRecord>,
    /// Bookings, in no order.
    pub bookings: Vec<Case>,
}

const WOMEN: &[&str] = &[
    "Olivia",
    "Charlotte",
    "Amelia",
    "Isla",
    "Mia",
    "Grace",
    "Ava",
    "Chloe",
    "Ella",
    "Emily",
    "Sophie",
    "Lucy",
    "Ruby",
    "Matilda",
    "Zoe",
    "Hannah",
    "Jessica",
    "Sarah",
    "Elizabeth",
    "Katherine",
    "Margaret",
    "Susan",
    "Jennifer",
    "Rebecca",
    "Stephanie",
    "Samantha",
    "Natalie",
    "Nicole",
    "Michelle",
    "Deborah",
    "Patricia",
    "Christine",
    "Alexandra",
    "Victoria",
    "Joanne",
    "Pamela",
    "Zoë",
    "Renée",
    "Siobhán",
    "Mei",
    "Thảo",
    "Priya",
    "Aisha",
    "Fatima",
    "Yuki",
    "Linh",
    "Anh",
    "Carla",
    "Karla",
    "Bella",
    "Eva",
    "Hayley",
    "Kayla",
    "Tahlia",
    "Imogen",
    "Poppy",
    "Willow",
    "Freya",
    "Anne-Marie",
    "Mary Jane",
    "Bronwyn",
    "Abigail",
    "Jacqueline",
    "Philippa",
    "Theresa",
    "Judith",
    "Vanessa",
    "Melissa",
    "Kimberley",
];

const MEN: &[&str] = &[
    "Oliver",
    "Noah",
    "Jack",
    "William",
    "Leo",
    "Henry",
    "Charlie",
    "Thomas",
    "James",
    "Lucas",
    "Harry",
    "Ethan",
    "Alexander",
    "Samuel",
    "Daniel",
    "Joshua",
    "Benjamin",
    "Matthew",
    "Michael",
    "Andrew",
    "Anthony",
    "Christopher",
    "Robert",
    "Richard",
    "Stephen",
    "Peter",
    "David",
    "John",
    "Patrick",
    "Nicholas",
    "Timothy",
    "Gregory",
    "Geoffrey",
    "Kenneth",
    "Lachlan",
    "Joseph",
    "Jayden",
    "Hayden",
    "Aidan",
    "Kai",
    "Wei",
    "Minh",
    "Raj",
    "Omar",
    "Mohammed",
    "José",
    "Łukasz",
    "Jürgen",
    "Søren",
    "Tama",
    "Nikolai",
    "Giovanni",
    "Angus",
    "Hamish",
    "Callum",
    "Declan",
    "Finn",
    "Xavier",
    "Zachary",
    "Mitchell",
    "Bradley",
    "Edward",
    "Vincent",
    "Leonard",
    "Raymond",
    "Philip",
    "Douglas",
    "Theodore",
    "Jean-Paul",
];

/// The commoner ones first.
const SURNAMES: &[&str] = &[
    "Smith",
    "Nguyen",
    "Jones",
    "Williams",
    "Brown",
    "Wilson",
    "Taylor",
    "Singh",
    "Johnson",
    "Tran",
    "Anderson",
    "Thompson",
    "Martin",
    "Lee",
    "White",
    "Walker",
    "Harris",
    "Ryan",
    "Robinson",
    "Kelly",
    "King",
    "Chen",
    "Wang",
    "Li",
    "Zhang",
    "Kaur",
    "Davis",
    "Wright",
    "Evans",
    "Thomas",
    "Roberts",
    "Green",
    "Hall",
    "Wood",
    "Jackson",
    "Clarke",
    "Patel",
    "Khan",
    "Lewis",
    "Scott",
    "Mitchell",
    "Campbell",
    "O'Brien",
    "O'Connor",
    "McDonald",
    "MacDonald",
    "D'Angelo",
    "Smith-Jones",
    "Müller",
    "García",
    "Nguyễn",
    "Petrović",
    "Żak",
    "van der Berg",
    "De Souza",
    "Papadopoulos",
    "Kowalski",
    "Rossi",
    "Ferrari",
    "Hernández",
    "Björk",
    "Łukasiewicz",
    "Schröder",
    "Baker",
    "Cooper",
    "Ward",
    "Murphy",
    "Cook",
    "Bell",
    "Bailey",
    "Collins",
    "Murray",
    "Shaw",
    "Marshall",
    "Young",
    "Graham",
    "Hughes",
    "Watson",
    "Stewart",
    "Morris",
    "Rogers",
    "Reid",
    "Simpson",
];

const BEGINNINGS: &[&str] = &[
    "Ald", "Bram", "Carr", "Dun", "Eller", "Farn", "Gar", "Hol", "Inger", "Kel", "Lang", "Mor", "Nor", "Oak",
    "Pem", "Quin", "Rad", "Sel", "Thorn", "Wex",
];
const MIDDLES: &[&str] = &["", "en", "ing", "er", "am", "is", "ow", "ast"];
const ENDINGS: &[&str] = &[
    "ton", "ford", "by", "well", "worth", "field", "ley", "more", "stone", "wick", "shaw", "grove", "dale",
    "mann", "sen",
];

const STREETS: &[&str] = &[
    "Banksia",
    "Wattle",
    "High",
    "Station",
    "Church",
    "Victoria",
    "George",
    "Railway",
    "Acacia",
    "St Kilda",
    "Beach",
    "Mill",
    "Grevillea",
    "Park",
    "Queen",
];
const TYPES: &[(&str, &str)] = &[
    ("Street", "St"),
    ("Road", "Rd"),
    ("Avenue", "Ave"),
    ("Court", "Ct"),
    ("Crescent", "Cres"),
    ("Parade", "Pde"),
    ("Drive", "Dr"),
    ("Place", "Pl"),
];
const SUBURBS: &[(&str, &str)] = &[
    ("Richmond", "3121"),
    ("Hawthorn", "3122"),
    ("Mount Waverley", "3149"),
    ("St Kilda", "3182"),
    ("Brunswick East", "3057"),
    ("Footscray", "3011"),
    ("Preston", "3072"),
    ("Box Hill North", "3129"),
    ("Carlton", "3053"),
    ("Northcote", "3070"),
];
const MAILBOXES: &[&str] =
    &["gmail.com", "gmail.com", "outlook.com", "bigpond.com", "hotmail.com", "icloud.com", "example.com.au"];

/// Whoever the record is of, before anybody typed anything.
#[derive(Clone)]
struct Somebody {
    woman: bool,
    first: String,
    last: String,
    born: NaiveDate,
    mobile: String,
    email: String,
    number: u64,
    street: usize,
    kind_of_street: usize,
    suburb: usize,
    /// Eight digits of the Medicare card and the place on it, for some.
    card: Option<(u64, u32)>,
}

struct Maker {
    state: u64,
}

impl Maker {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(1))).unwrap_or(0)
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        of.get(self.place(of.len())).expect("no list is empty")
    }

    fn first_name(&mut self, woman: bool) -> String {
        (*self.one(if woman { WOMEN } else { MEN })).to_owned()
    }

    /// A third have one of the common names, the commonest far more often than the others.
    fn surname(&mut self) -> String {
        if self.percent(35) {
            let (one, another) = (self.place(SURNAMES.len()), self.place(SURNAMES.len()));
            return SURNAMES.get(one.min(another)).copied().unwrap_or_default().to_owned();
        }
        format!("{}{}{}", self.one(BEGINNINGS), self.one(MIDDLES), self.one(ENDINGS))
    }

    fn born(&mut self) -> NaiveDate {
        let oldest = NaiveDate::from_ymd_opt(1932, 1, 1).expect("a day");
        oldest + Days::new(self.below(92 * 365))
    }

    fn mobile(&mut self) -> String {
        format!("4{:08}", self.below(100_000_000))
    }

    fn email(&mut self, first: &str, last: &str) -> String {
        let plain = |text: &str| -> String {
            deunicode::deunicode(text).to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
        };
        let number = self.below(9_000) + 10;
        format!("{}.{}{number}@{}", plain(first), plain(last), self.one(MAILBOXES))
    }

    fn home(&mut self) -> (u64, usize, usize, usize) {
        (self.below(240) + 1, self.place(STREETS.len()), self.place(TYPES.len()), self.place(SUBURBS.len()))
    }

    fn somebody(&mut self) -> Somebody {
        let woman = self.percent(52);
        let (first, last) = (self.first_name(woman), self.surname());
        let (number, street, kind_of_street, suburb) = self.home();
        let card = self.percent(60).then(|| (20_000_000 + self.below(49_999_999), 1));
        Somebody {
            woman,
            born: self.born(),
            mobile: self.mobile(),
            email: self.email(&first, &last),
            first,
            last,
            number,
            street,
            kind_of_street,
            suburb,
            card,
        }
    }

    fn twin_of(&mut self, one: &Somebody) -> Somebody {
        let mut twin = one.clone();
        while twin.first == one.first {
            twin.woman = if self.percent(70) { one.woman } else { !one.woman };
            twin.first = self.first_name(twin.woman);
        }
        // Parents like names that go together.
        if self.percent(20) && one.woman {
            twin.first = if one.first == "Karla" { "Carla".to_owned() } else { twin.first };
        }
        twin.card = one.card.map(|(card, place)| (card, place + 1));
        twin
    }

    /// Father and son: same name, same home, often the same phone and e-mail.
    fn namesake_in_the_family_of(&mut self, one: &Somebody) -> Somebody {
        let mut other = one.clone();
        let years = 20 + i32::try_from(self.below(20)).unwrap_or(0);
        let years = if one.born.year() < 1975 { years } else { -years };
        let day =
            if self.percent(10) { one.born.day() } else { 1 + u32::try_from(self.below(28)).unwrap_or(0) };
        let month =
            if self.percent(10) { one.born.month() } else { 1 + u32::try_from(self.below(12)).unwrap_or(0) };
        other.born = NaiveDate::from_ymd_opt(one.born.year() + years, month, day)
            .unwrap_or(one.born + Days::new(9_000));
        if self.percent(50) {
            other.mobile = self.mobile();
        }
        if self.percent(50) {
            other.email = self.email(&one.first, &one.last);
        }
        other.card = one.card.map(|(card, place)| (card, place + 2));
        other
    }

    /// The same text with one slip.
    fn mistyped(&mut self, text: &str) -> String {
        let letters: Vec<char> = text.chars().collect();
        let at = 1 + self.place(letters.len().saturating_sub(2));
        let mut typed: Vec<char> = letters.clone();
        match self.below(4) {
            0 if typed.len() > 3 => drop(typed.remove(at)),
            1 => typed.insert(at, letters.get(at).copied().unwrap_or('e')),
            2 if at + 1 < typed.len() && typed.get(at) != typed.get(at + 1) => typed.swap(at, at + 1),
            _ => {
                if let Some(letter) = typed.get_mut(at) {
                    *letter = if *letter == 'e' { 'a' } else { 'e' };
                }
            }
        }
        let typed: String = typed.into_iter().collect();
        if typed == text { format!("{text}e") } else { typed }
    }

    fn mobile_as_typed(&mut self, mobile: &str) -> String {
        let (a, rest) = mobile.split_at_checked(3).unwrap_or((mobile, ""));
        let (b, c) = rest.split_at_checked(3).unwrap_or((rest, ""));
        match self.below(7) {
            0 => format!("0{a} {b} {c}"),
            1 => format!("+61 {a} {b} {c}"),
            2 => format!("0061{a}{b}{c}"),
            3 => format!("0{a}-{b}-{c}"),
            4 => format!("{a}{b}{c}"),
            5 => format!("+61 (0){a} {b} {c}"),
            _ => format!("0{a}{b}{c}"),
        }
    }

    fn details(&mut self, who: &Somebody) -> PersonDetails {
        let text = |text: String| Private::new(text);
        let (long, short) = TYPES.get(who.kind_of_street).copied().unwrap_or_default();
        let street = STREETS.get(who.street).copied().unwrap_or_default();
        let (suburb, postcode) = SUBURBS.get(who.suburb).copied().unwrap_or_default();
        let number = who.number;
        let street = match self.below(4) {
            0 => format!("{number} {street} {short}"),
            1 => format!("{number} {street} {short}."),
            2 => format!("{number} {} {}", street.to_uppercase(), long.to_uppercase()),
            _ => format!("{number} {street} {long}"),
        };
        let suburb = if self.percent(20) {
            suburb.replace("Mount", "Mt").replace("North", "Nth")
        } else {
            suburb.to_owned()
        };
        let case = |maker: &mut Self, name: &str| match maker.below(12) {
            0 => name.to_uppercase(),
            1 => name.to_lowercase(),
            2 => format!(" {name} "),
            _ => name.to_owned(),
        };
        let mut first = case(self, &who.first);
        if self.percent(2) {
            first = format!("{} {first}", if who.woman { "Ms" } else { "Mr" });
        }
        let email = match self.below(8) {
            0 => who.email.to_uppercase(),
            1 if who.email.ends_with("gmail.com") => who.email.replacen('.', "", 1),
            2 => who.email.replacen('@', "+physio@", 1),
            _ => who.email.clone(),
        };
        let (number, irn) = match who.card {
            Some((card, place)) => (card_number(card), place.to_string()),
            None => (String::new(), String::new()),
        };
        PersonDetails {
            first_name: text(first),
            last_name: text(case(self, &who.last)),
            birth_date: Private::new(Some(who.born)),
            phones: vec![text(self.mobile_as_typed(&who.mobile))],
            email: text(email),
            street: text(street),
            suburb: text(suburb),
            state: text("VIC".to_owned()),
            postcode: text(postcode.to_owned()),
            medicare_number: text(number),
            medicare_irn: text(irn),
            ..PersonDetails::default()
        }
    }

    /// What the practice wrote down.
    fn record(&mut self, id: usize, who: &Somebody) -> PatientRecord {
        let mut details = self.details(who);
        let nothing = || Private::new(String::new());
        // Most practices lack the card or the e-mail of many.
        if self.percent(40) {
            (details.medicare_number, details.medicare_irn) = (nothing(), nothing());
        }
        if self.percent(10) {
            details.email = nothing();
        }
        if self.percent(10) {
            (details.street, details.suburb, details.postcode) = (nothing(), nothing(), nothing());
        }
        PatientRecord::new(PatientRef::new(id.to_string()), details)
    }

    /// What the patient typed: nobody types the card but a few.
    fn booking(&mut self, who: &Somebody) -> PersonDetails {
        let mut details = self.details(who);
        if !self.percent(15) {
            (details.medicare_number, details.medicare_irn) = (Private::default(), Private::default());
        }
        if self.percent(30) {
            (details.street, details.suburb, details.postcode) =
                (Private::default(), Private::default(), Private::default());
        }
        details
    }

    fn kind(&mut self) -> Kind {
        let sum: u32 = SHARES.iter().map(|(_, share)| share).sum();
        let mut at = self.below(u64::from(sum));
        for (kind, share) in SHARES {
            if at < u64::from(*share) {
                return *kind;
            }
            at -= u64::from(*share);
        }
        Kind::Unchanged
    }
}

/// The number with its check digit and issue.
fn card_number(eight: u64) -> String {
    let digits = format!("{eight:08}");
    let weights = [1, 3, 7, 9, 1, 3, 7, 9];
    let sum: u32 = digits
        .chars()
        .filter_map(|c| c.to_digit(10))
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    format!("{digits}{}1", sum % 10)
}

fn without_accents(name: &str) -> String {
    deunicode::deunicode(name).replace(['\'', '-'], "")
}

const SHORT: &[(&str, &str)] = &[
    ("Elizabeth", "Liz"),
    ("Katherine", "Kate"),
    ("Margaret", "Maggie"),
    ("Susan", "Sue"),
    ("Jennifer", "Jen"),
    ("Rebecca", "Bec"),
    ("Stephanie", "Steph"),
    ("Samantha", "Sam"),
    ("Natalie", "Nat"),
    ("Deborah", "Deb"),
    ("Patricia", "Trish"),
    ("Christine", "Chris"),
    ("Alexandra", "Alex"),
    ("Victoria", "Vicki"),
    ("Joanne", "Jo"),
    ("Pamela", "Pam"),
    ("Thomas", "Tom"),
    ("William", "Bill"),
    ("James", "Jim"),
    ("Alexander", "Alex"),
    ("Samuel", "Sam"),
    ("Daniel", "Dan"),
    ("Joshua", "Josh"),
    ("Benjamin", "Ben"),
    ("Matthew", "Matt"),
    ("Michael", "Mick"),
    ("Andrew", "Andy"),
    ("Anthony", "Tony"),
    ("Christopher", "Chris"),
    ("Robert", "Bob"),
    ("Richard", "Rick"),
    ("Stephen", "Steve"),
    ("Peter", "Pete"),
    ("David", "Dave"),
    ("Nicholas", "Nick"),
    ("Timothy", "Tim"),
    ("Gregory", "Greg"),
    ("Geoffrey", "Geoff"),
    ("Joseph", "Joe"),
    ("Edward", "Ted"),
    ("Vincent", "Vince"),
    ("Raymond", "Ray"),
    ("Philip", "Phil"),
    ("Oliver", "Ollie"),
];

impl Population {
    /// Makes `patients` records and `bookings` bookings; at least a thousand records, so that there are families.
    pub fn new(patients: usize, bookings: usize, seed: u64) -> Self {
        let mut maker = Maker { state: seed };
        let mut people: Vec<Somebody> = Vec::with_capacity(patients);
        let (mut twins, mut namesakes) = (Vec::new(), Vec::new());
        while people.len() < patients.max(1_000) {
            let one = maker.somebody();
            let relative = match maker.below(100) {
                0 | 1 => Some((maker.twin_of(&one), true)),
                2 | 3 => Some((maker.namesake_in_the_family_of(&one), false)),
                _ => None,
            };
            people.push(one);
            if let Some((relative, is_twin)) = relative {
                let family = if is_twin { &mut twins } else { &mut namesakes };
                family.extend([people.len() - 1, people.len()]);
                people.push(relative);
            }
        }
        let related: BTreeSet<usize> = twins.iter().chain(&namesakes).copied().collect();
        let mut records: Vec<PatientRecord> =
            people.iter().enumerate().map(|(at, who)| maker.record(at + 1, who)).collect();
        let mut used = BTreeSet::new();
        let mut cases = Vec::with_capacity(bookings);
        while cases.len() < bookings {
            let kind = maker.kind();
            let at = if kind == Kind::KnownTwin {
                *maker.one(&twins)
            } else if kind == Kind::KnownNamesakeOfTheFamily {
                *maker.one(&namesakes)
            } else {
                maker.place(people.len())
            };
            let has_family = related.contains(&at);
            let wants_family = matches!(kind, Kind::KnownTwin | Kind::KnownNamesakeOfTheFamily);
            let Some(one) = people.get(at).cloned() else { continue };
            // A record is changed at most once, and what is hard about a booking is one thing.
            if has_family != wants_family && kind != Kind::Unchanged
                || kind == Kind::RecordLacksFields && used.contains(&at)
            {
                continue;
            }
            let Some(details) = maker.case(kind, &one, records.get_mut(at)) else { continue };
            used.insert(at);
            let truth = maker.known(kind).then(|| PatientRef::new((at + 1).to_string()));
            cases.push(Case { kind, details, truth });
        }
        Self { records, bookings: cases }
    }

    /// Finds candidates for bookings, as the directory of a practice does.
    pub fn index(&self) -> Index<'_> {
        let mut collecting = Collecting::default();
        let mut by_id = BTreeMap::new();
        for record in &self.records {
            collecting.add(record);
            by_id.insert(&record.id, record);
        }
        Index { directory: collecting.finish(), by_id }
    }
}

/// Finds records by what they say.
pub struct Index<'a> {
    directory: Directory,
    by_id: BTreeMap<&'a PatientRef, &'a PatientRecord>,
}

impl Index<'_> {
    /// The candidates for a booking.
    pub fn find(&self, details: &PersonDetails) -> Vec<PatientRecord> {
        let found = self.directory.candidates(details);
        found.iter().filter_map(|id| self.by_id.get(id)).map(|record| (*record).clone()).collect()
    }
}

impl Maker {
    fn known(&self, kind: Kind) -> bool {
        !matches!(
            kind,
            Kind::Stranger
                | Kind::Namesake
                | Kind::NamesakeBornThatDay
                | Kind::UnknownTwin
                | Kind::UnknownNamesakeOfTheFamily
        )
    }

    /// What is typed for a booking of this kind; none where `one` does not lend themselves to it.
    fn case(
        &mut self,
        kind: Kind,
        one: &Somebody,
        record: Option<&mut PatientRecord>,
    ) -> Option<PersonDetails> {
        let mut who = one.clone();
        match kind {
            Kind::Unchanged | Kind::KnownTwin | Kind::KnownNamesakeOfTheFamily => {}
            Kind::Stranger => who = self.somebody(),
            Kind::Namesake | Kind::NamesakeBornThatDay => {
                who = self.somebody();
                (who.first, who.last, who.woman) = (one.first.clone(), one.last.clone(), one.woman);
                who.email = self.email(&one.first, &one.last);
                if kind == Kind::NamesakeBornThatDay {
                    who.born = one.born;
                }
            }
            Kind::UnknownTwin => who = self.twin_of(one),
            Kind::UnknownNamesakeOfTheFamily => who = self.namesake_in_the_family_of(one),
            Kind::Married => {
                while who.last == one.last {
                    let other = self.surname();
                    who.last = if self.percent(25) { format!("{}-{other}", one.last) } else { other };
                }
                if self.percent(15) {
                    (who.number, who.street, who.kind_of_street, who.suburb) = self.home();
                }
            }
            Kind::SurnameMisspelt => {
                if one.last.chars().count() < 4 {
                    return None;
                }
                who.last = self.mistyped(&one.last);
            }
            Kind::FirstNameMisspelt => {
                if one.first.chars().count() < 4 {
                    return None;
                }
                who.first = self.mistyped(&one.first);
            }
            Kind::Moved => (who.number, who.street, who.kind_of_street, who.suburb) = self.home(),
            Kind::NewPhone => who.mobile = self.mobile(),
            Kind::NewEmail => who.email = self.email(&one.first, &one.last),
            Kind::MovedWithNewPhone => {
                (who.number, who.street, who.kind_of_street, who.suburb) = self.home();
                who.mobile = self.mobile();
            }
            Kind::NewPhoneAndEmail => {
                (who.mobile, who.email) = (self.mobile(), self.email(&one.first, &one.last));
            }
            Kind::RecordLacksFields => {
                let details = &mut record?.details;
                match self.below(10) {
                    0 => details.birth_date = Private::new(None),
                    1..=3 => details.phones.clear(),
                    4..=6 => details.email = Private::default(),
                    7 => (details.phones, details.email) = (Vec::new(), Private::default()),
                    _ => {
                        (details.street, details.suburb, details.postcode) =
                            (Private::default(), Private::default(), Private::default());
                        details.email = Private::default();
                    }
                }
            }
            Kind::NamesSwapped => (who.first, who.last) = (one.last.clone(), one.first.clone()),
            Kind::DayAndMonthSwapped => {
                who.born = NaiveDate::from_ymd_opt(one.born.year(), one.born.day(), one.born.month())?;
                if who.born == one.born {
                    return None;
                }
            }
            Kind::BirthDateMistyped => {
                let slips = birth_date_slips(one.born);
                who.born = *self.one(&slips);
            }
            Kind::Nickname => {
                let (_, short) = SHORT.iter().find(|(long, _)| *long == one.first)?;
                who.first = (*short).to_owned();
            }
            Kind::Accents => {
                who.last = without_accents(&one.last);
                who.first = without_accents(&one.first);
                if (&who.first, &who.last) == (&one.first, &one.last) {
                    return None;
                }
            }
        }
        Some(self.booking(&who))
    }
}

/// The birth dates that a slip of the pen makes of one: day and month swapped, one digit off.
fn birth_date_slips(born: NaiveDate) -> Vec<NaiveDate> {
    let mut slips = Vec::new();
    slips.extend(NaiveDate::from_ymd_opt(born.year(), born.day(), born.month()));
    let digits: Vec<char> = born.format("%Y%m%d").to_string().chars().collect();
    // The first two digits are the century, which nobody mistypes unnoticed.
    for at in 2..digits.len() {
        for digit in '0'..='9' {
            let changed: String =
                digits.iter().enumerate().map(|(here, old)| if here == at { digit } else { *old }).collect();
            slips.extend(NaiveDate::parse_from_str(&changed, "%Y%m%d").ok());
        }
    }
    slips.sort_unstable();
    slips.dedup();
    slips.retain(|slip| *slip != born);
    slips
}
