//! What the store keeps about people, as JSON: the records that a booking's patient was compared with.

use chrono::NaiveDate;
use domain::ids::PatientRef;
use domain::matching::{Agreement, Comparison, Field};
use domain::people::{Gender, PatientRecord, PersonDetails};
use domain::private::Private;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct CandidateJson {
    id: String,
    shown_number: Option<String>,
    deceased: bool,
    first_name: String,
    last_name: String,
    birth_date: Option<NaiveDate>,
    phones: Vec<String>,
    email: String,
    street: String,
    suburb: String,
    state: String,
    postcode: String,
    gender: Option<GenderJson>,
    medicare_number: String,
    medicare_irn: String,
    medicare_expiry: String,
    fields: Vec<(FieldJson, AgreementJson)>,
    score: u32,
}

/// An enum of the domain beside its name in the store.
macro_rules! named {
    ($json:ident, $domain:ty { $($variant:ident),+ }) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $json { $($variant),+ }

        impl From<$domain> for $json {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$variant => $json::$variant),+ }
            }
        }

        impl From<$json> for $domain {
            fn from(value: $json) -> Self {
                match value { $($json::$variant => <$domain>::$variant),+ }
            }
        }
    };
}

named!(GenderJson, Gender { Male, Female, Other });
named!(FieldJson, Field { FirstName, LastName, BirthDate, Phone, Email, Address, Medicare });
named!(AgreementJson, Agreement { Same, Swapped, ShortForm, Near, Partly, Differs, Missing });

impl CandidateJson {
    pub(crate) fn of(comparison: &Comparison) -> Self {
        let PatientRecord { id, shown_number, details, deceased, .. } = &comparison.record;
        let text = |text: &Private<String>| text.reveal().clone();
        Self {
            id: id.to_string(),
            shown_number: shown_number.clone(),
            deceased: *deceased,
            first_name: text(&details.first_name),
            last_name: text(&details.last_name),
            birth_date: *details.birth_date.reveal(),
            phones: phone_texts(details),
            email: text(&details.email),
            street: text(&details.street),
            suburb: text(&details.suburb),
            state: text(&details.state),
            postcode: text(&details.postcode),
            gender: details.gender.reveal().map(GenderJson::from),
            medicare_number: text(&details.medicare_number),
            medicare_irn: text(&details.medicare_irn),
            medicare_expiry: text(&details.medicare_expiry),
            fields: comparison.fields.iter().map(|(field, how)| ((*field).into(), (*how).into())).collect(),
            score: comparison.score,
        }
    }

    pub(crate) fn comparison(self) -> Comparison {
        let details = PersonDetails {
            first_name: Private::new(self.first_name),
            last_name: Private::new(self.last_name),
            birth_date: Private::new(self.birth_date),
            phones: self.phones.into_iter().map(Private::new).collect(),
            email: Private::new(self.email),
            street: Private::new(self.street),
            suburb: Private::new(self.suburb),
            state: Private::new(self.state),
            postcode: Private::new(self.postcode),
            gender: Private::new(self.gender.map(Gender::from)),
            medicare_number: Private::new(self.medicare_number),
            medicare_irn: Private::new(self.medicare_irn),
            medicare_expiry: Private::new(self.medicare_expiry),
        };
        Comparison {
            record: PatientRecord {
                shown_number: self.shown_number,
                deceased: self.deceased,
                ..PatientRecord::new(PatientRef::new(self.id), details)
            },
            fields: self.fields.into_iter().map(|(field, how)| (field.into(), how.into())).collect(),
            score: self.score,
        }
    }
}

pub(crate) fn phone_texts(details: &PersonDetails) -> Vec<String> {
    details.phones.iter().map(|phone| phone.reveal().clone()).collect()
}

pub(crate) fn gender_name(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
        Gender::Other => "other",
    }
}

pub(crate) fn read_gender(name: &str) -> Option<Gender> {
    [Gender::Male, Gender::Female, Gender::Other].into_iter().find(|gender| gender_name(*gender) == name)
}
