//! `patients find`: who matches what was typed.

use crate::patients::at_vald;
use crate::present::people::{AtVald, patient_view};
use crate::view::{PatientView, ValdPatientState};
use chrono::{DateTime, Utc};
use domain::directory::Directory;
use domain::ports::store::StoreError;
use domain::settings::PracticeSettings;
use serde::Serialize;
use std::fmt::Write as _;
use store::Store;

/// More hits than these nobody reads.
const MOST: usize = 50;

/// `patients find --json`.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Found(Vec<FoundLine>);

#[derive(Debug, Serialize)]
struct FoundLine {
    practice: String,
    patient_id: String,
    number: String,
    given_name: String,
    family_name: String,
    birth_date: Option<String>,
    inactive: bool,
    vald: Option<FoundAtVald>,
}

#[derive(Debug, Serialize)]
struct FoundAtVald {
    state: &'static str,
    reason: Option<String>,
    can_open: bool,
}

impl Found {
    /// Adds those of a practice, the best first.
    pub async fn search(
        &mut self,
        store: &Store,
        settings: &PracticeSettings,
        people: &Directory,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let today = settings.zone.today(now);
        for person in people.search(text, today, MOST) {
            let at_vald = match settings.vald {
                Some(_) => at_vald(store, &settings.id, &person.patient).await?,
                None => AtVald::default(),
            };
            self.0.push(FoundLine::of(patient_view(settings, &person, &at_vald, today)));
        }
        Ok(())
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "Nobody was found.\n".to_owned();
        }
        let mut text = String::new();
        for line in &self.0 {
            let FoundLine { practice, patient_id, number, given_name, family_name, .. } = line;
            let born = line.birth_date.as_deref().unwrap_or("not known");
            // Writing to a string cannot fail.
            let _ = write!(text, "{practice}: {given_name} {family_name}, born {born}, number {number}");
            if number != patient_id {
                let _ = write!(text, ", key {patient_id}");
            }
            if line.inactive {
                text.push_str(", inactive");
            }
            if let Some(vald) = &line.vald {
                let _ = write!(text, "; VALD Hub: {}", vald.state.replace('_', " "));
            }
            text.push('\n');
        }
        text
    }
}

impl FoundLine {
    fn of(patient: PatientView) -> Self {
        Self {
            practice: patient.practice_id,
            patient_id: patient.patient_id,
            number: patient.number,
            given_name: patient.given_name,
            family_name: patient.family_name,
            birth_date: patient.birth_date,
            inactive: patient.inactive,
            vald: patient.vald.map(|vald| FoundAtVald {
                state: state_name(vald.state),
                reason: vald.reason,
                can_open: vald.can_open,
            }),
        }
    }
}

fn state_name(state: ValdPatientState) -> &'static str {
    match state {
        ValdPatientState::NotAsked => "not_asked",
        ValdPatientState::Withdrawn => "withdrawn",
        ValdPatientState::OnItsWay => "on_its_way",
        ValdPatientState::Linked => "linked",
        ValdPatientState::NeedsPerson => "needs_person",
        ValdPatientState::Refused => "refused",
        ValdPatientState::Ended => "ended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::directory::Collecting;
    use domain::ids::PatientRef;
    use domain::people::{PatientRecord, PersonDetails};
    use domain::private::Private;
    use store::StoreKey;

    #[tokio::test]
    async fn who_is_found_has_a_line_and_one_shape() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path(), &StoreKey::new([7; 32]), now).expect("opens").store;
        let mut settings = crate::present::tests::settings();
        settings.vald = Some(crate::present::tests::vald_settings());
        let mut people = Collecting::default();
        people.add(&PatientRecord::new(
            PatientRef::new("77"),
            PersonDetails {
                first_name: Private::new("Zoë".into()),
                last_name: Private::new("Okafor".into()),
                birth_date: Private::new(chrono::NaiveDate::from_ymd_opt(1980, 3, 12)),
                ..PersonDetails::default()
            },
        ));
        let people = people.finish();
        let mut found = Found::default();
        found.search(&store, &settings, &people, "zoe oka", now).await.expect("searches");
        let expected = serde_json::json!([{
            "practice": "richmond", "patient_id": "77", "number": "77", "given_name": "Zoë", "family_name": "Okafor",
            "birth_date": "1980-03-12", "inactive": false,
            "vald": {"state": "not_asked", "reason": null, "can_open": false},
        }]);
        assert_eq!(serde_json::to_value(&found).expect("JSON"), expected);
        assert_eq!(found.text(), "richmond: Zoë Okafor, born 1980-03-12, number 77; VALD Hub: not asked\n");
        let mut nobody = Found::default();
        nobody.search(&store, &settings, &people, "xavier", now).await.expect("searches");
        assert_eq!(nobody.text(), "Nobody was found.\n");
    }
}
