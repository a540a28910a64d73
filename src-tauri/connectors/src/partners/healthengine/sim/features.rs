//! The features that are off until the practice system switches them on (contract sheet §4.6).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::routes::{Answer, Operation, Refused, no_such_operation, not_found};
use super::state::{PracticeRecord, SimState};

const FEATURES: [(&str, &str, &str); 3] = [
    ("documents", "Documents", "Documents of a booking that the practice shares with the patient."),
    ("clientSnapshots", "Client snapshots", "Appointments and patients of a day, for reminders and forms."),
    ("attachDocuments", "Attach documents", "Documents from the patient, to be filed by the practice."),
];

impl SimState {
    /// The extra features that are switched on.
    #[must_use]
    pub fn features(&self, practice_id: &str) -> Option<&BTreeSet<String>> {
        self.practices.get(practice_id).map(|practice| &practice.record.features)
    }
}

pub fn features(
    record: &mut PracticeRecord,
    method: &str,
    parts: &[&str],
    operation: &Operation<'_>,
) -> Result<Answer, Refused> {
    let shown = |record: &PracticeRecord, (id, name, description): (&str, &str, &str)| json!({"id": id, "name": name, "description": description, "enabled": record.features.contains(id)});
    if let ("GET", []) = (method, parts) {
        let all: Vec<Value> = FEATURES.into_iter().map(|feature| shown(record, feature)).collect();
        return Ok(Answer::json(json!(all)));
    }
    let feature = parts
        .first()
        .and_then(|wanted| FEATURES.into_iter().find(|(id, _, _)| id == wanted))
        .ok_or_else(|| not_found("there is no such feature"))?;
    match (method, parts.get(1..).unwrap_or_default()) {
        ("GET", []) => Ok(Answer::json(shown(record, feature))),
        ("POST", ["enable"]) => {
            operation.no_body()?;
            record.features.insert(feature.0.to_owned());
            Ok(Answer::done())
        }
        ("POST", ["disable"]) => {
            operation.no_body()?;
            record.features.remove(feature.0);
            Ok(Answer::done())
        }
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}
