//! The made-up person who books.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a patient types into the booking form. Nothing here is anyone's: the defaults use example.com and
/// the telephone numbers that ACMA keeps for fiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PatientDetails {
    /// First name.
    pub firstname: String,
    /// Last name.
    pub lastname: String,
    /// Date of birth; the wire has it as DD-MM-YYYY.
    pub dob: NaiveDate,
    /// Telephone, as typed.
    pub phone: String,
    /// E-mail.
    pub email: String,
    /// Street and number.
    pub address: String,
    /// Suburb.
    pub suburb: String,
    /// State.
    pub state: String,
    /// Postcode.
    pub postcode: String,
    /// `Male`, `Female`, `Other`, or nothing.
    pub gender: Option<String>,
    /// Medicare card number.
    pub medicare_number: Option<String>,
    /// Number on the card.
    pub medicare_irn: Option<String>,
    /// `m/Y`, such as 05/2028.
    pub medicare_expiry: Option<String>,
    /// Reason for the visit; may have several lines.
    pub reason: String,
    /// The patient's own claim.
    pub is_new_patient: bool,
    /// The practice system's id from an earlier booking, if there was one.
    pub pms_patient_id: Option<String>,
    /// Address of a video consultation, if Healthengine gives one.
    pub telehealth_url: Option<String>,
}

impl Default for PatientDetails {
    fn default() -> Self {
        Self {
            firstname: "Marlow".to_owned(),
            lastname: "Quennell".to_owned(),
            dob: NaiveDate::from_ymd_opt(1988, 7, 14).unwrap_or_default(),
            phone: "0491 570 006".to_owned(),
            email: "marlow.quennell@example.com".to_owned(),
            address: "4 Sample Street".to_owned(),
            suburb: "Richmond".to_owned(),
            state: "VIC".to_owned(),
            postcode: "3121".to_owned(),
            gender: None,
            medicare_number: None,
            medicare_irn: None,
            medicare_expiry: None,
            reason: String::new(),
            is_new_patient: true,
            pms_patient_id: None,
            telehealth_url: None,
        }
    }
}

impl PatientDetails {
    /// The `patient` object of a booking (contract sheet §4.1).
    pub(super) fn as_json(&self) -> Value {
        json!({
            "firstname": self.firstname,
            "lastname": self.lastname,
            "dob": self.dob.format("%d-%m-%Y").to_string(),
            "phone": self.phone,
            "email": self.email,
            "address": self.address,
            "suburb": self.suburb,
            "state": self.state,
            "postcode": self.postcode,
            "gender": self.gender,
            "medicareNumber": self.medicare_number,
            "medicareIrn": self.medicare_irn,
            "medicareExpiry": self.medicare_expiry,
        })
    }
}
