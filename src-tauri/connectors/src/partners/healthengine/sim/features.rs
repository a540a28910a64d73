//! The features that are off until the practice system switches them on (contract sheet §4.6).
//!
//! The requests of a feature appear only while it is on, and its calls are refused while it is off: with 403
//! where the contract lists that status for the call, else with 400.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::routes::{Answer, Operation, Refused, no_such_operation, not_found};
use super::state::{PracticeRecord, SimState};

/// A feature, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `documents`.
    Documents,
    /// `clientSnapshots`.
    ClientSnapshots,
    /// `attachDocuments`.
    AttachDocuments,
}

impl Feature {
    const ALL: [Self; 3] = [Self::Documents, Self::ClientSnapshots, Self::AttachDocuments];

    /// The feature's id on the wire.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::ClientSnapshots => "clientSnapshots",
            Self::AttachDocuments => "attachDocuments",
        }
    }

    fn name_and_description(self) -> (&'static str, &'static str) {
        match self {
            Self::Documents => {
                ("Documents", "Documents of a booking that the practice shares with the patient.")
            }
            Self::ClientSnapshots => {
                ("Client snapshots", "Appointments and patients of a day, for reminders and forms.")
            }
            Self::AttachDocuments => {
                ("Attach documents", "Documents from the patient, to be filed by the practice.")
            }
        }
    }

    /// The feature that a kind of request belongs to, if it needs one.
    pub(super) fn of_requests(kind: &str) -> Option<Self> {
        match kind {
            "availableDocuments" | "uploadDocuments" => Some(Self::Documents),
            "clientSnapshots" => Some(Self::ClientSnapshots),
            "attachDocuments" => Some(Self::AttachDocuments),
            _ => None,
        }
    }

    fn shown(self, record: &PracticeRecord) -> Value {
        let (name, description) = self.name_and_description();
        json!({"id": self.id(), "name": name, "description": description, "enabled": record.has(self)})
    }
}

impl PracticeRecord {
    /// Whether a feature is on.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(feature.id())
    }

    /// Whether requests of a kind appear, as far as features go.
    pub fn shows(&self, kind: &str) -> bool {
        Feature::of_requests(kind).is_none_or(|feature| self.has(feature))
    }

    /// Refuses a call whose feature is off, with the status that the contract has for that call.
    pub fn require(&self, feature: Feature, status: u16) -> Result<(), Refused> {
        if self.has(feature) {
            return Ok(());
        }
        Err(Refused { status, reason: format!("the feature {} is not enabled", feature.id()) })
    }
}

impl SimState {
    /// The ids of the features that are switched on.
    #[must_use]
    pub fn features(&self, practice_id: &str) -> Option<&BTreeSet<String>> {
        self.practices.get(practice_id).map(|practice| &practice.record.features)
    }

    /// Whether a feature is switched on.
    #[must_use]
    pub fn has_feature(&self, practice_id: &str, feature: Feature) -> bool {
        self.practices.get(practice_id).is_some_and(|practice| practice.record.has(feature))
    }
}

pub fn features(
    record: &mut PracticeRecord,
    method: &str,
    parts: &[&str],
    operation: &Operation<'_>,
) -> Result<Answer, Refused> {
    if let ("GET", []) = (method, parts) {
        let all: Vec<Value> = Feature::ALL.into_iter().map(|feature| feature.shown(record)).collect();
        return Ok(Answer::json(json!(all)));
    }
    let feature = parts
        .first()
        .and_then(|wanted| Feature::ALL.into_iter().find(|feature| feature.id() == *wanted))
        .ok_or_else(|| not_found("there is no such feature"))?;
    match (method, parts.get(1..).unwrap_or_default()) {
        ("GET", []) => Ok(Answer::json(feature.shown(record))),
        ("POST", ["enable"]) => {
            operation.no_body()?;
            record.features.insert(feature.id().to_owned());
            Ok(Answer::done())
        }
        ("POST", ["disable"]) => {
            operation.no_body()?;
            record.features.remove(feature.id());
            Ok(Answer::done())
        }
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}
