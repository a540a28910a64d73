//! Provet Cloud's JSON as it is (contract sheet §3, §5). Only what we need is read; what is not known is left alone.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// How many there are on all pages.
    #[serde(default)]
    pub count: Option<u64>,
    /// The address of the next page.
    #[serde(default)]
    pub next: Option<String>,
    /// The rows of this one.
    pub results: Vec<T>,
}

/// The id at the end of a relation's address. The segments before it come in more than one order (sheet §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation(pub u64);

impl Relation {
    /// Reads the last segment of an address.
    pub fn of_address(address: &str) -> Option<Self> {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let last = path.split('/').rfind(|segment| !segment.is_empty())?;
        last.parse().ok().map(Self)
    }
}

impl<'de> Deserialize<'de> for Relation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Address;
        impl Visitor<'_> for Address {
            type Value = Relation;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an address that ends in a number")
            }

            fn visit_str<E: de::Error>(self, address: &str) -> Result<Relation, E> {
                // The address itself is left out of the error: it belongs to a person.
                Relation::of_address(address)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Other("an address"), &self))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Relation, E> {
                Ok(Relation(id))
            }
        }
        from.deserialize_any(Address)
    }
}

/// Yes or no, which is written as `true`, as `1` or as `"1"` (sheet §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct YesOrNo;
        impl Visitor<'_> for YesOrNo {
            type Value = Flag;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("true, false, 1 or 0")
            }

            fn visit_bool<E>(self, yes: bool) -> Result<Flag, E> {
                Ok(Flag(yes))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Flag, E> {
                match number {
                    0 => Ok(Flag(false)),
                    1 => Ok(Flag(true)),
                    other => Err(E::invalid_value(de::Unexpected::Unsigned(other), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
                match text {
                    "0" => Ok(Flag(false)),
                    "1" => Ok(Flag(true)),
                    _ => Err(E::invalid_value(de::Unexpected::Other("a text"), &self)),
                }
            }
        }
        from.deserialize_any(YesOrNo)
    }
}

/// A number that is written as a number or as text, such as an appointment's type (sheet §5).
fn loose_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Written>::deserialize(from)? {
        Some(Written::Number(number)) => Some(number),
        Some(Written::Text(text)) => text.trim().parse().ok(),
        None => None,
    })
}

/// A text that may be missing or null.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

/// A list that may be missing or null.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// A row that can be paged through and filtered.
pub trait Row {
    /// Its number.
    fn id(&self) -> u64;
    /// When it was last changed, where it says so.
    fn modified(&self) -> Option<DateTime<Utc>>;
}

macro_rules! rows {
    ($($row:ident),+) => {$(
        impl Row for $row {
            fn id(&self) -> u64 {
                self.id
            }

            fn modified(&self) -> Option<DateTime<Utc>> {
                self.modified
            }
        }
    )+};
}

rows!(Appointment, Shift, Reason, Department, User, ShiftType, Client, PhoneNumber, Animal);

/// A department of the practice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Department {
    pub id: u64,
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// Somebody who works there, or the integration itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    pub id: u64,
    #[serde(default, deserialize_with = "text")]
    pub first_name: String,
    #[serde(default, deserialize_with = "text")]
    pub last_name: String,
    #[serde(default)]
    pub is_active: Option<Flag>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// What an appointment is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reason {
    pub id: u64,
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    #[serde(default, deserialize_with = "loose_number")]
    pub duration: Option<u64>,
    #[serde(default, deserialize_with = "list")]
    pub proficient_staff: Vec<Relation>,
    #[serde(default)]
    pub available_online: Option<Flag>,
    #[serde(default)]
    pub archived: Option<Flag>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// A kind of shift.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ShiftType {
    pub id: u64,
    #[serde(default)]
    pub in_online_booking: Option<Flag>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// When somebody works.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shift {
    pub id: u64,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    #[serde(default)]
    pub user: Option<Relation>,
    #[serde(default)]
    pub department: Option<Relation>,
    #[serde(default)]
    pub shift_type: Option<Relation>,
    #[serde(default)]
    pub web: Option<Flag>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// An appointment. Its notes hold a patient's words, so that it cannot be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Appointment {
    pub id: u64,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    #[serde(default, rename = "type", deserialize_with = "loose_number")]
    pub kind: Option<u64>,
    #[serde(default)]
    pub department: Option<Relation>,
    #[serde(default)]
    pub user: Option<Relation>,
    #[serde(default, deserialize_with = "list")]
    pub additional_users: Vec<Relation>,
    #[serde(default)]
    pub client: Option<Relation>,
    #[serde(default)]
    pub reason: Option<Relation>,
    #[serde(default, deserialize_with = "text")]
    pub notes: String,
    /// 0 is cancelled; it stays in lists (sheet §8).
    #[serde(default)]
    pub active: Option<Flag>,
    #[serde(default)]
    pub consultation: Option<Relation>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// The person: whoever brings animals.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Client {
    pub id: u64,
    #[serde(default, deserialize_with = "text")]
    pub firstname: String,
    #[serde(default, deserialize_with = "text")]
    pub lastname: String,
    #[serde(default, deserialize_with = "text")]
    pub email: String,
    #[serde(default, deserialize_with = "text")]
    pub street_address: String,
    #[serde(default, deserialize_with = "text")]
    pub city: String,
    #[serde(default, deserialize_with = "text")]
    pub zip_code: String,
    #[serde(default, deserialize_with = "text")]
    pub remarks: String,
    #[serde(default)]
    pub archived: Option<Flag>,
    #[serde(default, deserialize_with = "list")]
    pub patients: Vec<Relation>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// A phone number of a client.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PhoneNumber {
    pub id: u64,
    pub client: Relation,
    #[serde(default, deserialize_with = "text")]
    pub phone_number: String,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// An animal, which Provet calls a patient. Never a person (sheet §8).
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Animal {
    pub id: u64,
    pub client: Relation,
    #[serde(default)]
    pub deceased: Option<String>,
    #[serde(default)]
    pub archived: Option<Flag>,
    #[serde(default)]
    pub modified: Option<DateTime<Utc>>,
}

/// An appointment to be made. Times carry their offset (sheet §8).
#[derive(Serialize)]
pub struct NewAppointment {
    pub start: String,
    pub end: String,
    pub title: String,
    #[serde(rename = "type")]
    pub kind: u64,
    pub department: String,
    pub user: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patients: Option<Vec<String>>,
    pub complaint: String,
    pub notes: String,
}

/// Whose an appointment becomes.
#[derive(Serialize)]
pub struct Naming {
    pub client: String,
    pub patients: Vec<String>,
}

/// A person to be made.
#[derive(Serialize)]
pub struct NewClient {
    pub firstname: String,
    pub lastname: String,
    pub customer_type: u64,
    pub email: String,
    pub street_address: String,
    pub city: String,
    pub zip_code: String,
    pub remarks: String,
    /// Must be there, although nobody is listed (sheet §5).
    pub patients: [String; 0],
}

/// A phone number to be made.
#[derive(Serialize)]
pub struct NewPhoneNumber {
    pub client: String,
    pub type_code: u64,
    pub phone_number: String,
}

/// A webhook (sheet §7). Its address opens our listener, so that it cannot be printed.
#[derive(Deserialize)]
pub struct Hook {
    /// Its number.
    pub id: u64,
    /// What sets it off.
    pub trigger: u64,
    /// Where it delivers. Kept like a secret.
    #[serde(default)]
    pub url: String,
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Whether it does.
    #[serde(default)]
    pub active: Option<Flag>,
    /// Of which department; none is the whole organisation.
    #[serde(default)]
    pub department: Option<Relation>,
}

impl Row for Hook {
    fn id(&self) -> u64 {
        self.id
    }

    fn modified(&self) -> Option<DateTime<Utc>> {
        None
    }
}

/// A webhook as it is made, for the whole organisation.
#[derive(Serialize)]
pub struct NewHook<'a> {
    /// By which we know it.
    pub name: &'a str,
    /// What sets it off.
    pub trigger: u64,
    /// Where it delivers.
    pub url: &'a str,
    /// 1 is a form.
    pub content_type: u64,
    /// Whether it does.
    pub active: bool,
}
