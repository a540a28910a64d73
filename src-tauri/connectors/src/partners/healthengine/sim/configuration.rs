//! Configuration: resources, appointment types and the liveness contract (contract sheet §4.4).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::availability::settle_availability_requests;
use super::routes::{Answer, Operation, Refused, no_such_operation};
use super::rules;
use super::state::{DeskRefusal, Practice, PracticeRecord, SNAPSHOTS_KEPT, SimState};

/// Configuration as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedConfiguration {
    /// When.
    pub received_at: DateTime<Utc>,
    /// What it is.
    pub kind: ConfigurationKind,
    /// The body.
    pub body: Value,
}

/// The three parts of a practice's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigurationKind {
    /// livenessContract.
    LivenessContract,
    /// pmsResources.
    Resources,
    /// pmsAppointmentTypes.
    AppointmentTypes,
}

impl PracticeRecord {
    pub fn knows_resource(&self, id: &str) -> bool {
        contains_id(self.resources.as_deref(), "pmsResourceId", id)
    }

    pub fn knows_appointment_type(&self, id: &str) -> bool {
        contains_id(self.appointment_types.as_deref(), "pmsAppointmentTypeId", id)
    }

    /// The types that a resource offers, each with its length in seconds where it has one.
    pub fn types_of<'r>(&'r self, resource_id: &'r str) -> impl Iterator<Item = (&'r str, Option<i64>)> {
        self.appointment_types.iter().flatten().filter_map(move |item| {
            let only_for = item.get("pmsResourceId").and_then(Value::as_str);
            let length = item.get("pmsAppointmentLength").and_then(Value::as_i64).map(|minutes| minutes * 60);
            only_for
                .is_none_or(|only| only == resource_id)
                .then(|| item.get("pmsAppointmentTypeId").and_then(Value::as_str))
                .flatten()
                .map(|id| (id, length))
        })
    }

    pub fn type_name(&self, id: &str) -> Option<&str> {
        self.appointment_types
            .iter()
            .flatten()
            .find(|item| item.get("pmsAppointmentTypeId").and_then(Value::as_str) == Some(id))?
            .get("pmsAppointmentTypeName")?
            .as_str()
    }
}

fn contains_id(items: Option<&[Value]>, field: &str, id: &str) -> bool {
    items.into_iter().flatten().any(|item| item.get(field).and_then(Value::as_str) == Some(id))
}

impl Practice {
    pub fn keep_configuration(&mut self, kind: ConfigurationKind, body: Value, now: DateTime<Utc>) {
        if self.configuration.len() == SNAPSHOTS_KEPT {
            self.configuration.remove(0);
        }
        self.configuration.push(ReceivedConfiguration { received_at: now, kind, body });
    }
}

impl SimState {
    // ---- what Healthengine does ----

    /// Healthengine asks for the list of resources.
    pub(super) fn ask_resources(&mut self, practice_id: &str, now: DateTime<Utc>) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.resources_asked_at = Some(now);
        self.announce(practice_id, "pmsResources", None, None, now);
        Ok(())
    }

    /// Healthengine asks for the list of appointment types.
    pub(super) fn ask_appointment_types(
        &mut self,
        practice_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.appointment_types_asked_at = Some(now);
        self.announce(practice_id, "pmsAppointmentTypes", None, None, now);
        Ok(())
    }

    // ---- inspection ----

    /// Every configuration received, oldest first (the last hundred).
    #[must_use]
    pub fn configuration(&self, practice_id: &str) -> &[ReceivedConfiguration] {
        self.practices.get(practice_id).map(|practice| practice.configuration.as_slice()).unwrap_or_default()
    }

    /// The complete list of resources last accepted, or nothing if none ever was.
    #[must_use]
    pub fn resources(&self, practice_id: &str) -> Option<&[Value]> {
        self.practices.get(practice_id)?.record.resources.as_deref()
    }

    /// The complete list of appointment types last accepted, or nothing if none ever was.
    #[must_use]
    pub fn appointment_types(&self, practice_id: &str) -> Option<&[Value]> {
        self.practices.get(practice_id)?.record.appointment_types.as_deref()
    }

    /// The liveness contract last accepted.
    #[must_use]
    pub fn liveness_contract(&self, practice_id: &str) -> Option<&Value> {
        self.practices.get(practice_id)?.record.liveness_contract.as_ref()
    }
}

pub fn configuration(
    practice: &mut Practice,
    method: &str,
    parts: &[&str],
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let record = &mut practice.record;
    match (method, parts) {
        ("GET", ["livenessContract"]) => {
            let empty = || json!({"liveHours": {}});
            Ok(Answer::json(record.liveness_contract.clone().unwrap_or_else(empty)))
        }
        ("POST", ["livenessContract"]) => {
            let body = operation.json_body()?;
            rules::liveness_contract(&body)?;
            record.liveness_contract = Some(body.clone());
            practice.keep_configuration(ConfigurationKind::LivenessContract, body, now);
            Ok(Answer::done())
        }
        ("GET", ["pmsResources"]) => Ok(Answer::json(json!(record.resources.as_deref().unwrap_or_default()))),
        ("GET", ["pmsResources", "findById"]) => {
            find_by_id(record.resources.as_deref(), "pmsResourceId", operation)
        }
        ("POST", ["pmsResources", "snapshot"]) => {
            let body = operation.json_body()?;
            let ids = rules::resources(&body)?;
            record.resources = body.as_array().cloned();
            record.resources_asked_at = None;
            record.availability.retain(|id, _| ids.contains(id));
            settle_availability_requests(record, None, now);
            practice.keep_configuration(ConfigurationKind::Resources, body, now);
            Ok(Answer::done())
        }
        ("GET", ["pmsAppointmentTypes"]) => {
            Ok(Answer::json(json!(record.appointment_types.as_deref().unwrap_or_default())))
        }
        ("GET", ["pmsAppointmentTypes", "findById"]) => {
            find_by_id(record.appointment_types.as_deref(), "pmsAppointmentTypeId", operation)
        }
        ("POST", ["pmsAppointmentTypes", "snapshot"]) => {
            let body = operation.json_body()?;
            rules::appointment_types(&body)?;
            record.appointment_types = body.as_array().cloned();
            record.appointment_types_asked_at = None;
            practice.keep_configuration(ConfigurationKind::AppointmentTypes, body, now);
            Ok(Answer::done())
        }
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}

fn find_by_id(items: Option<&[Value]>, field: &str, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let id = operation.parameter("id").ok_or_else(|| Refused::from("id is required".to_owned()))?;
    let found: Vec<&Value> = items
        .into_iter()
        .flatten()
        .filter(|item| item.get(field).and_then(Value::as_str) == Some(id))
        .collect();
    Ok(Answer::json(json!(found)))
}
