//! Patients, as far as this program needs to know them.

use crate::ids::PatientRef;
use crate::private::Private;
use chrono::NaiveDate;

/// What a booking or a patient's record says about a person. Empty text means not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonDetails {
    /// Given name, as typed.
    pub first_name: Private<String>,
    /// Family name, as typed.
    pub last_name: Private<String>,
    /// Date of birth.
    pub birth_date: Private<Option<NaiveDate>>,
    /// Phone numbers in any format, the most useful first.
    pub phones: Vec<Private<String>>,
    /// E-mail address.
    pub email: Private<String>,
    /// Street address.
    pub street: Private<String>,
    /// Suburb or town.
    pub suburb: Private<String>,
    /// State, `VIC`.
    pub state: Private<String>,
    /// Postcode.
    pub postcode: Private<String>,
    /// Gender, where given.
    pub gender: Private<Option<Gender>>,
    /// Medicare card number, where given.
    pub medicare_number: Private<String>,
    /// Individual reference number on the Medicare card, where given.
    pub medicare_irn: Private<String>,
    /// Medicare expiry as `MM/YYYY`, where given.
    pub medicare_expiry: Private<String>,
}

/// Gender, as Healthengine and most practice systems write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gender {
    /// Male.
    Male,
    /// Female.
    Female,
    /// Other.
    Other,
}

/// A patient in the practice's book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientRecord {
    /// The practice system's key for the patient.
    pub id: PatientRef,
    /// The number that staff see, where it differs from `id`.
    pub shown_number: Option<String>,
    /// What the record says.
    pub details: PersonDetails,
    /// Whether the record is marked as deceased. Never a match.
    pub deceased: bool,
    /// Whether staff put the record away: the patient does not come any more.
    pub inactive: bool,
    /// The record into which staff merged this one, where the system says so. Never a match: the other one is.
    pub merged_into: Option<PatientRef>,
}

impl PatientRecord {
    /// A record that stands, without a number of its own.
    pub fn new(id: PatientRef, details: PersonDetails) -> Self {
        Self { id, shown_number: None, details, deceased: false, inactive: false, merged_into: None }
    }

    /// Whether whoever books could be meant by it. Somebody whose record was put away may come again.
    pub fn can_be_meant(&self) -> bool {
        !self.deceased && self.merged_into.is_none()
    }
}

/// What a booking's patient becomes in the practice's book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatientPlan {
    /// A record that is there already.
    Existing(PatientRef),
    /// A new record.
    New {
        /// The record that it may be a duplicate of, when nobody was there to decide.
        possible_duplicate_of: Option<PatientRef>,
    },
    /// Hold the time without a name until somebody decides (`product.md`, "When nobody is there to decide").
    Undecided,
}
