//! The service's operations (contract sheet §4), from a request that has passed the door to its answer.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::attachments::{SimAttachment, attachments};
use super::availability::{accept_snapshot, availability_batch};
use super::bookings::{booking_action, update_action};
use super::client_snapshots::{SimClientSnapshotRequest, client_snapshot};
use super::configuration::configuration;
use super::documents::documents;
use super::features::features;
use super::state::{PracticeRecord, SimState};
use super::subscriptions::{error_log, subscribe, subscriptions};

/// Every kind of entry that `/requests` may hold, in the order in which it lists them.
pub const REQUEST_KINDS: [&str; 10] = [
    "bookings",
    "bookingUpdates",
    "availability",
    "pmsAppointmentChanges",
    "pmsResources",
    "pmsAppointmentTypes",
    "availableDocuments",
    "uploadDocuments",
    "clientSnapshots",
    "attachDocuments",
];

const PER_PAGE: usize = 100;
/// A request that came with good keys from a practice whose consent stands.
pub struct Operation<'r> {
    pub method: &'r str,
    /// Below the base URL, with its leading slash.
    pub path: &'r str,
    pub query: Vec<(String, String)>,
    /// Already decompressed.
    pub body: &'r [u8],
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Absent: an empty body.
    pub body: Option<Value>,
    /// Parts that were not accepted, or not used, although the answer is a success.
    pub remarks: Vec<String>,
}

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub reason: String,
}

impl Answer {
    pub fn done() -> Self {
        Self { status: 200, body: None, remarks: Vec::new() }
    }

    pub fn json(body: Value) -> Self {
        Self { status: 200, body: Some(body), remarks: Vec::new() }
    }
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self { status: 400, reason }
    }
}

pub fn not_found(what: impl Into<String>) -> Refused {
    Refused { status: 404, reason: what.into() }
}

impl Operation<'_> {
    pub fn json_body(&self) -> Result<Value, Refused> {
        if self.body.is_empty() {
            return Err(Refused::from("a body is required".to_owned()));
        }
        serde_json::from_slice(self.body).map_err(|_| Refused::from("the body is not valid JSON".to_owned()))
    }

    pub fn no_body(&self) -> Result<(), Refused> {
        let empty = self.body.is_empty() || self.json_body()? == json!({});
        if empty { Ok(()) } else { Err(Refused::from("this operation takes no body".to_owned())) }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn page(&self) -> Result<usize, Refused> {
        match self.parameter("page").map(str::parse::<usize>) {
            None => Ok(1),
            Some(Ok(page)) if page >= 1 => Ok(page),
            Some(_) => Err(Refused::from("page must be an integer from 1".to_owned())),
        }
    }
}

/// Carries a request out.
pub fn answer(
    state: &mut SimState,
    practice_id: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let Some(practice) = state.practices.get_mut(practice_id) else {
        return Err(Refused { status: 401, reason: "unknown practice".to_owned() });
    };
    let parts: Vec<&str> = operation.path.trim_start_matches('/').split('/').collect();
    match (operation.method, parts.as_slice()) {
        ("GET", ["requests"]) => {
            practice.polled(now);
            Ok(Answer::json(json!(outstanding(&practice.record))))
        }
        ("GET", ["requests", kind]) => requests_of(&practice.record, kind, operation),
        ("POST", ["bookings", id, action]) => booking_action(practice, id, action, operation, now),
        ("POST", ["bookings", id, action @ ("confirmUpdate" | "rejectUpdate"), request_id]) => {
            update_action(practice, id, request_id, action, operation, now)
        }
        ("POST", ["availability", "snapshot"]) => {
            let body = operation.json_body()?;
            let accepted = accept_snapshot(practice, &body, now)?;
            Ok(Answer { remarks: accepted.remarks, ..Answer::done() })
        }
        ("POST", ["availability", "snapshots"]) => availability_batch(practice, &operation.json_body()?, now),
        (method, ["config", rest @ ..]) => configuration(practice, method, rest, operation, now),
        (method, ["features", rest @ ..]) => features(&mut practice.record, method, rest, operation),
        ("POST", ["subscription"]) => {
            subscribe(&mut practice.record, operation.json_body()?, &mut state.last_subscription, now)
        }
        (method, ["subscription", rest @ ..]) => subscriptions(&mut practice.record, method, rest, operation),
        ("GET", ["subscriptionErrorLog"]) => error_log(practice, operation),
        ("POST", ["documents", action]) => documents(practice, action, operation, now),
        ("POST", ["clientSnapshot"]) => client_snapshot(practice, operation, now),
        (method, ["attachDocuments", rest @ ..]) => attachments(practice, method, rest, operation, now),
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}

pub fn no_such_operation(method: &str, path: &str) -> Refused {
    not_found(format!("there is no operation {method} {path}"))
}

/// What `GET /requests` lists.
pub fn outstanding(record: &PracticeRecord) -> Vec<&'static str> {
    REQUEST_KINDS
        .into_iter()
        .filter(|kind| record.shows(kind))
        .filter(|kind| match *kind {
            "bookings" => record.bookings.values().any(|booking| booking.answered_at.is_none()),
            "bookingUpdates" => record.updates.values().any(|update| update.answered_at.is_none()),
            "availability" => record.availability_requests.iter().any(|asked| asked.answered_at.is_none()),
            "pmsAppointmentChanges" => !record.change_requests.is_empty(),
            "pmsResources" => record.resources_asked_at.is_some(),
            "pmsAppointmentTypes" => record.appointment_types_asked_at.is_some(),
            "availableDocuments" => !record.available_requests.is_empty(),
            "uploadDocuments" => record.upload_requests.iter().any(|asked| asked.answer.is_none()),
            "clientSnapshots" => {
                record.client_snapshot_requests.iter().any(|asked| asked.answered_at.is_none())
            }
            "attachDocuments" => record.attachments.values().any(SimAttachment::is_open),
            _ => false,
        })
        .collect()
}

fn requests_of(record: &PracticeRecord, kind: &str, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let page = operation.page()?;
    let items: Vec<Value> = match kind {
        kind if REQUEST_KINDS.contains(&kind) && !record.shows(kind) => Vec::new(),
        "bookings" => record
            .bookings
            .values()
            .filter(|booking| booking.answered_at.is_none())
            .map(|booking| record.booking_item(booking))
            .collect(),
        "bookingUpdates" => record
            .updates
            .values()
            .filter(|update| update.answered_at.is_none())
            .map(|update| update.body.clone())
            .collect(),
        "availability" => record
            .availability_requests
            .iter()
            .filter(|asked| asked.answered_at.is_none())
            .map(|asked| match &asked.resource_id {
                Some(id) => json!({"day": asked.day, "pmsResourceId": id, "pms_resource_id": id}),
                None => json!({"day": asked.day}),
            })
            .collect(),
        "pmsAppointmentChanges" => {
            record.change_requests.keys().map(|booking_id| record.booking_links(*booking_id)).collect()
        }
        "availableDocuments" => {
            record.available_requests.keys().map(|booking_id| record.booking_links(*booking_id)).collect()
        }
        "uploadDocuments" => record
            .upload_requests
            .iter()
            .filter(|asked| asked.answer.is_none())
            .map(|asked| {
                let mut item = record.booking_links(asked.booking_id);
                if let Some(fields) = item.as_object_mut() {
                    fields.insert("pmsDocumentId".to_owned(), json!(asked.pms_document_id));
                }
                item
            })
            .collect(),
        "clientSnapshots" => record
            .client_snapshot_requests
            .iter()
            .filter(|asked| asked.answered_at.is_none())
            .map(SimClientSnapshotRequest::item)
            .collect(),
        "attachDocuments" => record
            .attachments
            .values()
            .filter(|attachment| attachment.is_open())
            .map(SimAttachment::item)
            .collect(),
        _ => return Err(no_such_operation(operation.method, operation.path)),
    };
    Ok(Answer::json(paged(items, page)))
}

pub fn paged(items: Vec<Value>, page: usize) -> Value {
    let total = items.len();
    let skip = PER_PAGE.saturating_mul(page - 1);
    let data: Vec<Value> = items.into_iter().skip(skip).take(PER_PAGE).collect();
    json!({
        "data": data,
        "page": {
            "currentPage": page,
            "totalPages": total.div_ceil(PER_PAGE).max(1),
            "perPage": PER_PAGE,
            "total": total,
        },
    })
}

pub fn number(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| not_found(format!("{text} is not a number that was given out")))
}
