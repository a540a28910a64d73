//! The service's operations (contract sheet §4), from a request that has passed the door to its answer.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::rules;
use super::state::{
    BookingAnswer, BookingAnswerKind, BookingStatus, ConfigurationKind, Practice, PracticeRecord,
    PublishedDay, REPICK_WINDOW, ReceivedSnapshot, SimState,
};

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
const LARGEST_BATCH: usize = 100;
/// The same content again within this time is "existing". The service only says "recently".
const RECENTLY: TimeDelta = TimeDelta::hours(1);

const FEATURES: [(&str, &str, &str); 3] = [
    ("documents", "Documents", "Documents of a booking that the practice shares with the patient."),
    ("clientSnapshots", "Client snapshots", "Appointments and patients of a day, for reminders and forms."),
    ("attachDocuments", "Attach documents", "Documents from the patient, to be filed by the practice."),
];

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
    fn done() -> Self {
        Self { status: 200, body: None, remarks: Vec::new() }
    }

    fn json(body: Value) -> Self {
        Self { status: 200, body: Some(body), remarks: Vec::new() }
    }
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self { status: 400, reason }
    }
}

fn not_found(what: impl Into<String>) -> Refused {
    Refused { status: 404, reason: what.into() }
}

impl Operation<'_> {
    fn json_body(&self) -> Result<Value, Refused> {
        if self.body.is_empty() {
            return Err(Refused::from("a body is required".to_owned()));
        }
        serde_json::from_slice(self.body).map_err(|_| Refused::from("the body is not valid JSON".to_owned()))
    }

    fn no_body(&self) -> Result<(), Refused> {
        let empty = self.body.is_empty() || self.json_body()? == json!({});
        if empty { Ok(()) } else { Err(Refused::from("this operation takes no body".to_owned())) }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn page(&self) -> Result<usize, Refused> {
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
            let body = operation.json_body()?;
            rules::subscription(&body)?;
            state.last_subscription += 1;
            Ok(subscribe(&mut practice.record, body, state.last_subscription, now))
        }
        (method, ["subscription", rest @ ..]) => subscriptions(&mut practice.record, method, rest),
        ("GET", ["subscriptionErrorLog"]) => Ok(Answer::json(paged(Vec::new(), operation.page()?))),
        (method, _) => Err(no_such_operation(method, operation.path)),
    }
}

fn no_such_operation(method: &str, path: &str) -> Refused {
    not_found(format!("there is no operation {method} {path}"))
}

/// What `GET /requests` lists.
pub fn outstanding(record: &PracticeRecord) -> Vec<&'static str> {
    REQUEST_KINDS
        .into_iter()
        .filter(|kind| match *kind {
            "bookings" => record.bookings.values().any(|booking| booking.answered_at.is_none()),
            "bookingUpdates" => record.updates.values().any(|update| update.answered_at.is_none()),
            "availability" => record.availability_requests.iter().any(|asked| asked.answered_at.is_none()),
            "pmsAppointmentChanges" => !record.change_requests.is_empty(),
            "pmsResources" => record.resources_asked_at.is_some(),
            "pmsAppointmentTypes" => record.appointment_types_asked_at.is_some(),
            _ => false,
        })
        .collect()
}

fn requests_of(record: &PracticeRecord, kind: &str, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let page = operation.page()?;
    let items: Vec<Value> = match kind {
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
        "pmsAppointmentChanges" => record
            .change_requests
            .keys()
            .map(|booking_id| {
                let booking = record.bookings.get(booking_id);
                json!({
                    "bookingId": booking_id,
                    "pmsAppointmentIds": booking.map(|booking| booking.pms_appointment_ids.as_slice()).unwrap_or_default(),
                    "pmsPatientId": booking.and_then(|booking| booking.pms_patient_id.as_deref()),
                })
            })
            .collect(),
        "availableDocuments" | "uploadDocuments" | "clientSnapshots" | "attachDocuments" => Vec::new(),
        _ => return Err(no_such_operation(operation.method, operation.path)),
    };
    Ok(Answer::json(paged(items, page)))
}

fn paged(items: Vec<Value>, page: usize) -> Value {
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

fn number(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| not_found(format!("{text} is not a number that was given out")))
}

fn booking_action(
    practice: &mut Practice,
    id: &str,
    action: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let known_action = matches!(
        action,
        "confirmInsert" | "rejectInsert" | "cancel" | "didNotAttend" | "noPmsAppointmentChange"
    );
    if !known_action {
        return Err(no_such_operation(operation.method, operation.path));
    }
    let id = number(id)?;
    let record = &mut practice.record;
    let asked_about = record.change_requests.contains_key(&id);
    let settles_change_request = matches!(action, "cancel" | "didNotAttend" | "noPmsAppointmentChange");
    // A request may name a booking that is not there; answering it must still be possible.
    let answerable = record.bookings.contains_key(&id) || (asked_about && settles_change_request);
    if !answerable {
        return Err(not_found(format!("there is no booking {id}")));
    }
    let body = if action == "noPmsAppointmentChange" {
        operation.no_body()?;
        Value::Null
    } else {
        operation.json_body()?
    };
    let confirmation = if action == "confirmInsert" { Some(rules::confirmation(&body)?) } else { None };
    if confirmation.is_none() && !body.is_null() {
        rules::reason(&body)?;
    }
    if settles_change_request {
        record.change_requests.remove(&id);
    }
    let Some(booking) = record.bookings.get_mut(&id) else { return Ok(Answer::done()) };
    let rejected_in_time = booking.answers_of(BookingAnswerKind::Rejected).next().is_some();
    let kind = match action {
        "confirmInsert" if rejected_in_time => {
            return Err(Refused::from(format!("booking {id} has been rejected")));
        }
        "confirmInsert" => BookingAnswerKind::Confirmed,
        "rejectInsert" if booking.confirmed_at.is_some() => {
            return Err(Refused::from(format!("booking {id} is confirmed; it can only be cancelled")));
        }
        // A repeated rejection is the same rejection, however late it is.
        "rejectInsert" if rejected_in_time || now - booking.created_at <= REPICK_WINDOW => {
            BookingAnswerKind::Rejected
        }
        "rejectInsert" => BookingAnswerKind::RejectedTooLate,
        "cancel" => BookingAnswerKind::CancelledByPractice,
        "didNotAttend" => BookingAnswerKind::DidNotAttend,
        _ => BookingAnswerKind::NoChange,
    };
    match kind {
        BookingAnswerKind::Confirmed => {
            if let Some((ids, patient)) = confirmation {
                booking.pms_appointment_ids = ids;
                booking.pms_patient_id = Some(patient);
            }
            booking.confirmed_at.get_or_insert(now);
            booking.answered_at.get_or_insert(now);
            if booking.status == BookingStatus::Requested {
                booking.status = BookingStatus::Confirmed;
            }
        }
        BookingAnswerKind::Rejected => {
            booking.answered_at.get_or_insert(now);
            booking.status = BookingStatus::Cancelled;
            booking.hides_time = false;
        }
        BookingAnswerKind::RejectedTooLate => {
            booking.answered_at.get_or_insert(now);
            if booking.status == BookingStatus::Requested {
                booking.status = BookingStatus::Confirmed;
            }
        }
        BookingAnswerKind::CancelledByPractice => booking.status = BookingStatus::Cancelled,
        BookingAnswerKind::DidNotAttend | BookingAnswerKind::NoChange => {}
    }
    booking.answers.push(BookingAnswer { kind, at: now, body });
    Ok(Answer::done())
}

fn update_action(
    practice: &mut Practice,
    booking_id: &str,
    request_id: &str,
    action: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let (booking_id, request_id) = (number(booking_id)?, number(request_id)?);
    let update = practice
        .record
        .updates
        .get_mut(&request_id)
        .filter(|update| update.booking_id == booking_id)
        .ok_or_else(|| not_found(format!("there is no request {request_id} for booking {booking_id}")))?;
    let confirmed = action == "confirmUpdate";
    if confirmed {
        operation.no_body()?;
    } else {
        rules::reason(&operation.json_body()?)?;
    }
    if update.confirmed.is_some_and(|before| before != confirmed) {
        return Err(Refused::from(format!("request {request_id} has been answered differently before")));
    }
    update.answered_at.get_or_insert(now);
    update.confirmed = Some(confirmed);
    Ok(Answer::done())
}

struct Accepted {
    created: bool,
    remarks: Vec<String>,
}

fn accept_snapshot(practice: &mut Practice, body: &Value, now: DateTime<Utc>) -> Result<Accepted, String> {
    let snapshot = rules::availability(body)?;
    let record = &mut practice.record;
    if !record.knows_resource(&snapshot.resource_id) {
        return Err(format!("unknown resource {}", snapshot.resource_id));
    }
    let unknown_type = snapshot
        .ranges
        .iter()
        .filter_map(|range| range.appointment_type_ids.as_ref())
        .flatten()
        .find(|id| !record.knows_appointment_type(id));
    if let Some(id) = unknown_type {
        return Err(format!("unknown appointment type {id}"));
    }
    let remarks = snapshot
        .ranges
        .iter()
        .filter(|range| range.slot_length_seconds < rules::SHORTEST_USED_SLOT_SECONDS)
        .map(|range| format!("slotLength {} is below 60 seconds and is ignored", range.slot_length_seconds))
        .collect();
    let days = record.availability.entry(snapshot.resource_id.clone()).or_default();
    let created = days
        .get(&snapshot.date)
        .is_none_or(|last| last.ranges != snapshot.ranges || now - last.received_at > RECENTLY);
    if created {
        days.insert(snapshot.date, PublishedDay { received_at: now, ranges: snapshot.ranges });
        // The snapshot now tells what the book holds, so only bookings that the practice system has not
        // answered yet still need hiding.
        for booking in record.bookings.values_mut() {
            let of_that_day = booking.place.as_ref().is_some_and(|place| {
                place.resource_id == snapshot.resource_id && place.start.date() == snapshot.date
            });
            if of_that_day && booking.answered_at.is_some() {
                booking.hides_time = false;
            }
        }
    }
    settle_availability_requests(record, Some((&snapshot.resource_id, snapshot.date)), now);
    let received = ReceivedSnapshot { received_at: now, body: body.clone(), created };
    practice.keep_snapshot(&snapshot.resource_id, snapshot.date, received);
    Ok(Accepted { created, remarks })
}

/// Closes the requests for availability that have now had every snapshot they asked for. A request about a
/// resource that is gone can never be answered, and is dropped.
fn settle_availability_requests(
    record: &mut PracticeRecord,
    arrived: Option<(&str, chrono::NaiveDate)>,
    now: DateTime<Utc>,
) {
    let known: Vec<String> = record
        .resources
        .iter()
        .flatten()
        .filter_map(|item| item.get("pmsResourceId").and_then(Value::as_str).map(str::to_owned))
        .collect();
    for asked in record.availability_requests.iter_mut().filter(|asked| asked.answered_at.is_none()) {
        if let Some((resource_id, day)) = arrived
            && asked.day == day
        {
            asked.received.insert(resource_id.to_owned());
        }
        let answered = match &asked.resource_id {
            Some(id) => asked.received.contains(id) || (arrived.is_none() && !known.contains(id)),
            None => !known.is_empty() && known.iter().all(|id| asked.received.contains(id)),
        };
        if answered {
            asked.answered_at = Some(now);
        }
    }
}

fn availability_batch(practice: &mut Practice, body: &Value, now: DateTime<Utc>) -> Result<Answer, Refused> {
    let snapshots = rules::list(Some(body), "the body")?;
    if snapshots.len() > LARGEST_BATCH {
        return Err(Refused::from(format!("at most {LARGEST_BATCH} snapshots can be sent in one call")));
    }
    let (mut created, mut existing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut errors, mut remarks) = (Vec::new(), Vec::new());
    for (index, snapshot) in snapshots.iter().enumerate() {
        let name =
            snapshot.get("id").and_then(Value::as_str).map_or_else(|| index.to_string(), str::to_owned);
        match accept_snapshot(practice, snapshot, now) {
            Ok(accepted) => {
                remarks.extend(accepted.remarks);
                if accepted.created { created.push(name) } else { existing.push(name) }
            }
            Err(error) => {
                remarks.push(format!("snapshot {name} failed: {error}"));
                errors.push(json!({"snapshot": name, "error": error}));
                failed.push(name);
            }
        }
    }
    let mut body = json!({"created": created, "existing": existing, "failed": failed});
    if let (false, Some(fields)) = (errors.is_empty(), body.as_object_mut()) {
        fields.insert("errors".to_owned(), Value::Array(errors));
    }
    Ok(Answer { remarks, ..Answer::json(body) })
}

fn configuration(
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

fn features(
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

fn subscribe(record: &mut PracticeRecord, mut body: Value, serial: u64, now: DateTime<Utc>) -> Answer {
    let id = format!("00000000-0000-4000-8000-{serial:012x}");
    if let Some(fields) = body.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.entry("clientId").or_insert(Value::Null);
        fields.entry("startAt").or_insert_with(|| json!(now.format("%Y-%m-%d %H:%M:%S").to_string()));
        fields.entry("expireAt").or_insert(Value::Null);
    }
    record.subscriptions.insert(id, body.clone());
    Answer { status: 201, ..Answer::json(body) }
}

fn subscriptions(record: &mut PracticeRecord, method: &str, parts: &[&str]) -> Result<Answer, Refused> {
    let unknown = || not_found("there is no such subscription");
    match (method, parts) {
        ("GET", []) => Ok(Answer::json(json!(record.subscriptions.values().collect::<Vec<_>>()))),
        ("GET", [id]) => {
            record.subscriptions.get(*id).map(|found| Answer::json(found.clone())).ok_or_else(unknown)
        }
        ("DELETE", [id]) => record
            .subscriptions
            .remove(*id)
            .map(|_| Answer { status: 204, ..Answer::done() })
            .ok_or_else(unknown),
        (method, _) => Err(no_such_operation(method, "/subscription")),
    }
}
