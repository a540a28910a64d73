//! Reading patients.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use domain::diary::Appointment;
use domain::ids::{PatientRef, ResourceRef};
use domain::matching;
use domain::people::{Gender, PatientRecord, PersonDetails};
use domain::ports::practice::Candidates;
use domain::private::Private;
use domain::time::Horizon;

use super::day::{Calendar, appointments};
use super::failure::Failure;
use super::session::{Known, Session};
use super::statement::{LIST_LENGTH, list_item};
use super::value::{Parameters, Rows, Value};
use super::{SqlPractice, run};

/// How many digits at the end of a phone number have to agree: a landline without its area code.
const PHONE_DIGITS: usize = 8;

/// The profile's queries return one more at most, by which we see that there are too many to look through.
const MOST_CANDIDATES: usize = 500;

struct Found {
    records: BTreeMap<PatientRef, PatientRecord>,
    complete: bool,
}

impl Found {
    /// Adds what one query returned.
    fn add(&mut self, records: Vec<PatientRecord>) {
        self.complete &= records.len() <= MOST_CANDIDATES;
        self.records.extend(records.into_iter().map(|record| (record.id.clone(), record)));
    }
}

/// The parameters that look for a person. What is not known is null, which equals nothing.
fn asked_for(known: &Known, person: &PersonDetails) -> Parameters {
    let text = |text: &Private<String>| {
        let text = text.reveal().trim();
        Value::optional_text(Some(text).filter(|text| !text.is_empty()))
    };
    known
        .probes
        .clone()
        .with("first_name", text(&person.first_name))
        .with("last_name", text(&person.last_name))
        .with("email", text(&person.email))
        .with("birth_date", person.birth_date.reveal().map_or(Value::Null, Value::day))
        .with(
            "birth_date_swapped",
            person.birth_date.reveal().and_then(swapped).map_or(Value::Null, Value::day),
        )
        .with("medicare_card", Value::optional_text(matching::medicare_card(person).as_deref()))
        .with("phone_pattern", Value::optional_text(person.phones.iter().find_map(phone_pattern).as_deref()))
}

/// Day and month in each other's place.
fn swapped(born: NaiveDate) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(born.year(), born.day(), born.month())
}

impl SqlPractice {
    /// Everybody who shares the birth date, the e-mail address, both names, the Medicare card or a phone number. A
    /// practice's tables are seldom indexed for any of this, so that each statement reads all of them once: the first
    /// phone is looked for along with the rest where the profile does so.
    pub(super) async fn read_patients(
        &self,
        session: &mut Session,
        known: &Known,
        person: &PersonDetails,
    ) -> Result<Candidates, Failure> {
        let mut found = Found { records: BTreeMap::new(), complete: true };
        let by_person = &self.profile.query.patients_by_person;
        let rows = run(session, by_person, &asked_for(known, person)).await?;
        found.add(self.records(rows)?);
        if !found.complete {
            // A stand-in that hundreds share hides everybody else, so that each field is looked for by itself.
            let (first_name, last_name) = (person.first_name.clone(), person.last_name.clone());
            let parts = [
                PersonDetails { first_name, last_name, ..PersonDetails::default() },
                PersonDetails { email: person.email.clone(), ..PersonDetails::default() },
                PersonDetails { birth_date: person.birth_date.clone(), ..PersonDetails::default() },
                PersonDetails { medicare_number: person.medicare_number.clone(), ..PersonDetails::default() },
                PersonDetails { phones: person.phones.clone(), ..PersonDetails::default() },
            ];
            for part in &parts {
                let rows = run(session, by_person, &asked_for(known, part)).await?;
                found.add(self.records(rows)?);
            }
        }
        if let Some(statement) = &self.profile.query.patients_by_phone {
            let found_already = usize::from(by_person.uses("phone_pattern"));
            for pattern in person.phones.iter().filter_map(phone_pattern).skip(found_already) {
                let values = known.probes.clone().with("phone_pattern", Value::Text(pattern));
                found.add(self.records(run(session, statement, &values).await?)?);
            }
        }
        Ok(Candidates { records: found.records.into_values().collect(), complete: found.complete })
    }

    /// One patient by the practice system's key.
    pub(super) async fn read_patient(
        &self,
        session: &mut Session,
        known: &Known,
        patient: &PatientRef,
    ) -> Result<Option<PatientRecord>, Failure> {
        let values = known.probes.clone().with("patient", Value::Text(patient.to_string()));
        let rows = run(session, &self.profile.query.patient, &values).await?;
        Ok(self.records(rows)?.into_iter().next())
    }

    /// A page of all patients, behind one of them.
    pub(super) async fn read_people(
        &self,
        session: &mut Session,
        known: &Known,
        after: Option<&PatientRef>,
        limit: u32,
    ) -> Result<Vec<PatientRecord>, Failure> {
        let Some(statement) = &self.profile.query.people else {
            return Err(Failure::Misfit(format!(
                "the profile {} has no query `people`, so that patients cannot be searched or passed on",
                self.profile.name
            )));
        };
        // As a number and as text it stands before every key that a system gives out.
        let after = after.map_or_else(|| "-1".to_owned(), PatientRef::to_string);
        let values = known
            .probes
            .clone()
            .with("after", Value::Text(after))
            .with("limit", Value::Integer(i64::from(limit)));
        self.records(run(session, statement, &values).await?)
    }

    /// Some patients by their keys.
    pub(super) async fn read_some_patients(
        &self,
        session: &mut Session,
        known: &Known,
        patients: &[PatientRef],
    ) -> Result<Vec<PatientRecord>, Failure> {
        let mut found = Vec::with_capacity(patients.len());
        let Some(statement) = &self.profile.query.patients else {
            for patient in patients {
                found.extend(self.read_patient(session, known, patient).await?);
            }
            return Ok(found);
        };
        for some in patients.chunks(LIST_LENGTH) {
            let mut values = known.probes.clone();
            for (at, patient) in some.iter().enumerate() {
                values.set(list_item("patients", at), Value::Text(patient.to_string()));
            }
            found.extend(self.records(run(session, statement, &values).await?)?);
        }
        Ok(found)
    }

    pub(super) async fn read_day_with_patients(
        &self,
        session: &mut Session,
        known: &Known,
        resource: &ResourceRef,
        day: NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, Failure> {
        let horizon = Horizon { first: day, last: day };
        let name = self.calendar_of(session, known, resource).await?;
        let rows = self.read_calendar(session, known, horizon).await?;
        let calendar = Calendar { resource, name: &name };
        let found = appointments(&rows, &[calendar], horizon, &self.rules(known));
        let mut with_patients = Vec::with_capacity(found.len());
        for appointment in found {
            let record = match &appointment.patient {
                Some(patient) => self.read_patient(session, known, patient).await?,
                None => None,
            };
            with_patients.push((appointment, record));
        }
        Ok(with_patients)
    }

    fn records(&self, mut rows: Rows) -> Result<Vec<PatientRecord>, Failure> {
        let (id, shown_number) = (rows.required("id")?, rows.optional("shown_number"));
        let (first_name, last_name) = (rows.required("first_name")?, rows.required("last_name")?);
        let (birth_date, gender) = (rows.required("birth_date")?, rows.optional("gender"));
        let phones = ["mobile", "phone", "other_phone"].map(|name| rows.optional(name));
        let email = rows.optional("email");
        let [street, suburb, state, postcode] =
            ["street", "suburb", "state", "postcode"].map(|name| rows.optional(name));
        let [number, reference, expiry] =
            ["medicare_number", "medicare_irn", "medicare_expiry"].map(|name| rows.optional(name));
        let [deceased, inactive, merged_into] =
            ["deceased", "inactive", "merged_into"].map(|name| rows.optional(name));
        let cells = std::mem::take(&mut rows.rows);
        let mut records = Vec::with_capacity(cells.len());
        for mut row in cells {
            let row = row.as_mut_slice();
            let gender = Rows::take_text(row, gender);
            let id = rows.text_needed(row, id)?;
            let birth_date = rows.day(row, birth_date)?;
            let (deceased, inactive) = (rows.flag(row, deceased)?, rows.flag(row, inactive)?);
            let mut text = |column| Private::new(Rows::take_text(row, column).unwrap_or_default());
            let details = PersonDetails {
                first_name: text(first_name),
                last_name: text(last_name),
                birth_date: Private::new(birth_date),
                email: text(email),
                street: text(street),
                suburb: text(suburb),
                state: text(state),
                postcode: text(postcode),
                gender: Private::new(gender.and_then(|code| self.profile.genders.get(&code).copied())),
                medicare_number: text(number),
                medicare_irn: text(reference),
                medicare_expiry: text(expiry),
                phones: phones
                    .iter()
                    .filter_map(|column| Rows::take_text(row, *column))
                    .map(Private::new)
                    .collect(),
            };
            records.push(PatientRecord {
                shown_number: Rows::take_text(row, shown_number).filter(|shown| *shown != id),
                id: PatientRef::new(id),
                deceased,
                inactive,
                merged_into: Rows::take_text(row, merged_into).map(PatientRef::new),
                details,
            });
        }
        Ok(records)
    }

    /// What a new record is made of, cleaned and no longer than the columns take.
    pub(super) fn patient_values(&self, values: &mut Parameters, details: &PersonDetails) {
        let Some(write) = &self.profile.write else { return };
        let [male, female, other, unknown] = &write.gender;
        let gender = match details.gender.reveal() {
            Some(Gender::Male) => male,
            Some(Gender::Female) => female,
            Some(Gender::Other) => other,
            None => unknown,
        };
        let is_mobile = |phone: &&Private<String>| digits(phone.reveal()).is_some_and(|d| is_mobile(&d));
        let nothing = Private::new(String::new());
        let mobile = details.phones.iter().find(is_mobile).unwrap_or(&nothing);
        let phone = details.phones.iter().find(|phone| !is_mobile(phone)).unwrap_or(&nothing);
        for (name, text) in [
            ("first_name", &details.first_name),
            ("last_name", &details.last_name),
            ("mobile", mobile),
            ("phone", phone),
            ("email", &details.email),
            ("street", &details.street),
            ("suburb", &details.suburb),
            ("state", &details.state),
            ("postcode", &details.postcode),
            ("medicare_number", &details.medicare_number),
            ("medicare_irn", &details.medicare_irn),
            ("medicare_expiry", &details.medicare_expiry),
        ] {
            values.set(name, Value::Text(write.shortened(name, one_line(text.reveal()))));
        }
        values.set("gender", Value::Text(gender.clone()));
        values.set("birth_date", details.birth_date.reveal().map_or(Value::Null, Value::day));
    }
}

impl super::profile::WriteSteps {
    /// The text, no longer in characters than its column.
    pub(super) fn shortened(&self, name: &str, text: String) -> String {
        match self.limits.get(name) {
            Some(limit) => text.chars().take(usize::try_from(*limit).unwrap_or(usize::MAX)).collect(),
            None => text,
        }
    }
}

fn digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    Some(digits).filter(|digits| digits.len() >= PHONE_DIGITS)
}

/// Australian mobiles: `04…`, `614…`, or `4…` where the leading nought was lost.
fn is_mobile(digits: &str) -> bool {
    let from_the_end = digits.len().checked_sub(9).and_then(|at| digits.get(at..));
    from_the_end.is_some_and(|end| end.starts_with('4'))
}

/// Finds the number however it is spaced: `%9%1%2%3%4%5%6%7%`.
fn phone_pattern(phone: &Private<String>) -> Option<String> {
    let digits = digits(phone.reveal())?;
    let end = digits.get(digits.len().checked_sub(PHONE_DIGITS)?..)?;
    let mut pattern = String::from("%");
    for digit in end.chars() {
        pattern.push(digit);
        pattern.push('%');
    }
    Some(pattern)
}

/// Characters that only steer how text runs. Inside a name they can make it read as another.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line: control characters gone, runs of space made one.
pub(in crate::practices) fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !is_direction_control(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with its lines, but no other control characters.
pub(in crate::practices) fn lines(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', " ");
    let kept = |c: &char| *c == '\n' || !c.is_control() && !is_direction_control(*c);
    unix.chars().filter(kept).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned() {
        assert_eq!(one_line(" Ada\0\r\n  \u{202E}O'Brien\t"), "Ada O'Brien");
        assert_eq!(one_line("שלום 👋🏽 Nguyễn"), "שלום 👋🏽 Nguyễn");
        assert_eq!(lines("knee\r\nsince\tMay\u{7}\0\n"), "knee\nsince May");
    }

    #[test]
    fn phones_are_found_however_they_are_spaced() {
        let pattern = |phone: &str| phone_pattern(&Private::new(phone.into()));
        assert_eq!(pattern("+61 491 570 156").as_deref(), Some("%9%1%5%7%0%1%5%6%"));
        assert_eq!(pattern("1234"), None);
        assert!(is_mobile("61491570156") && is_mobile("0491570156") && !is_mobile("0399991234"));
    }
}
