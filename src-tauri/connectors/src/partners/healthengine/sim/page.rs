//! The page "Act as a patient", and the JSON behind it, which end-to-end tests use as well.
//!
//! Only requests whose `Host` is this computer are answered, and a POST must say `application/json`, so that
//! no web page elsewhere can reach in. Times are practice-local `YYYY-MM-DDTHH:MM:SS` unless they end in `Z`.
//! Every refusal is `{"error": "…"}` with 400, 403, 404 or 409.
//!
//! - `GET /sim/state?days=N` (7 unless given, today included) →
//!   `{now, apiUrl, faults: [{id, rule, struck, seen}], practices: [{practiceId, name, timeZone, localNow,
//!   consent, health: {healthy, reasons}, lastPollAt, outstanding: [kind], resources: [{id, name, days:
//!   [{date, times: [{start, lengthSeconds, appointmentTypeIds}]}]}], appointmentTypes: [{id, name,
//!   lengthMinutes, resourceId}], bookings: [{bookingId, status, patientSees, resourceId, start,
//!   lengthSeconds, patientName, createdAt, answeredAt, confirmedAt, pmsAppointmentIds, pmsPatientId,
//!   answers: [kind], documents: [{requestId, name, state: "waiting" | "filed" | "rejected" | "expired"}]}],
//!   features: [id], subscriptions: how many, refusals: [last 20]}]}`, bookings newest first.
//! - `POST /sim/book` `{practiceId, resourceId, start, appointmentTypeId?, patient?: {…}}` →
//!   `{bookingId}`; 409 when the time is not free. `{practiceId, force: {…}}` puts a booking in as raw JSON,
//!   laid over ordinary fields.
//! - `POST /sim/cancel` `{practiceId, bookingId}` → `{requestId}`.
//! - `POST /sim/ask` `{practiceId, what: "availability", day, resourceId?}`, `{practiceId, what:
//!   "configuration"}`, `{practiceId, what: "changes", bookingId}` or `{practiceId, what: "clientSnapshot",
//!   date, dateType: "appt_datetime" | "appt_creation_datetime"}` → `{}`.
//! - `POST /sim/document` `{practiceId, bookingId, format: "pdf" | "text"}` → `{requestId}`: the patient sends
//!   a made-up form.
//! - `POST /sim/faults` with one of `{add: RULE}` (a rule is `{fault: {kind, …}, account?, method?, path?,
//!   skip?, times?}`), `{remove: id}`, `{clear: practiceId | null}`, `{consent: {practiceId, is: "granted" |
//!   "revoked" | "neverGranted"}}` → `{id}` for an added rule, else `{}`.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attachments::{PatientDocument, SimAttachment};
use super::bookings::{BookRefusal, SimBooking};
use super::client_snapshots::SnapshotDateType;
use super::http::{API_PATH, Shared, handle, is_json};
use super::patient::PatientDetails;
use super::state::{Consent, DeskRefusal, Practice, PracticeRecord, SimState};
use crate::sim::faults::FaultRule;
use crate::sim::is_loopback_host;

const PAGE: &str = include_str!("patient_page.html");
/// The page needs its own script and style, and its own JSON, and nothing else in the world.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that the server answers: the page, its JSON, and the service itself.
pub fn router(shared: Arc<Shared>) -> Router {
    let desk = Router::new()
        .route("/", get(page))
        .route("/sim/state", get(state))
        .route("/sim/book", post(book))
        .route("/sim/cancel", post(cancel))
        .route("/sim/ask", post(ask))
        .route("/sim/document", post(document))
        .route("/sim/faults", post(faults))
        .layer(middleware::from_fn(guard));
    Router::new().merge(desk).route(&format!("{API_PATH}/{{*operation}}"), any(handle)).with_state(shared)
}

/// What a request of the page could not have.
struct Problem(StatusCode, String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<DeskRefusal> for Problem {
    fn from(refusal: DeskRefusal) -> Self {
        let status = match refusal {
            DeskRefusal::UnknownPractice(_)
            | DeskRefusal::UnknownBooking(_)
            | DeskRefusal::UnknownRequest(_) => StatusCode::NOT_FOUND,
            DeskRefusal::AlreadyCancelled(_) => StatusCode::CONFLICT,
            DeskRefusal::NotASavedState => StatusCode::BAD_REQUEST,
        };
        Self(status, refusal.to_string())
    }
}

impl From<BookRefusal> for Problem {
    fn from(refusal: BookRefusal) -> Self {
        let status = match refusal {
            BookRefusal::UnknownPractice(_) => StatusCode::NOT_FOUND,
            BookRefusal::NoConsent | BookRefusal::NotFree { .. } => StatusCode::CONFLICT,
        };
        Self(status, refusal.to_string())
    }
}

/// Why a request is not one of the page's, if it is not.
fn not_of_the_page(request: &Request) -> Option<Problem> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_loopback_host(text(header::HOST)) {
        return Some(Problem(StatusCode::FORBIDDEN, "this page is for this computer only".to_owned()));
    }
    let typed = request.method() != Method::POST || is_json(text(header::CONTENT_TYPE));
    (!typed).then(|| Problem(StatusCode::BAD_REQUEST, "the body must be application/json".to_owned()))
}

async fn guard(request: Request, next: Next) -> Response {
    if let Some(problem) = not_of_the_page(&request) {
        return problem.into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

async fn page() -> Html<&'static str> {
    Html(PAGE)
}

fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem(StatusCode::BAD_REQUEST, error.to_string()))
}

#[derive(Deserialize)]
struct StateQuery {
    days: Option<u64>,
}

/// More days than any horizon would only make the answer slow.
const MOST_DAYS: u64 = 120;

async fn state(State(shared): State<Arc<Shared>>, Query(query): Query<StateQuery>) -> Json<Value> {
    let days = query.days.unwrap_or(7).clamp(1, MOST_DAYS);
    let now = shared.now();
    let api_url = format!("http://{}{API_PATH}", shared.address);
    Json(shared.state.read(|state| {
        json!({
            "now": now,
            "apiUrl": api_url,
            "faults": state.faults.active(),
            "practices": state
                .practices
                .values()
                .map(|practice| shown_practice(state, practice, days, now))
                .collect::<Vec<_>>(),
        })
    }))
}

fn shown_practice(state: &SimState, practice: &Practice, days: u64, now: DateTime<Utc>) -> Value {
    let settings = &practice.settings;
    let local = now.with_timezone(&settings.time_zone).naive_local();
    let dates: Vec<NaiveDate> =
        (0..days).filter_map(|offset| local.date().checked_add_days(Days::new(offset))).collect();
    let resources = practice.record.resources.iter().flatten().map(|item| {
        let id = item.get("pmsResourceId").and_then(Value::as_str).unwrap_or_default();
        let received = |date| practice.snapshots.get(&(id.to_owned(), date)).map_or(0, Vec::len);
        let days = dates.iter().map(|date| {
            let times = practice.free_times(id, *date, now);
            json!({"date": date, "times": times, "snapshots": received(*date)})
        });
        json!({"id": id, "name": item.get("pmsResourceName"), "days": days.collect::<Vec<_>>()})
    });
    let types = practice.record.appointment_types.iter().flatten().map(|item| {
        json!({
            "id": item.get("pmsAppointmentTypeId"),
            "name": item.get("pmsAppointmentTypeName"),
            "lengthMinutes": item.get("pmsAppointmentLength"),
            "resourceId": item.get("pmsResourceId"),
        })
    });
    let of_practice = |refusal: &&super::state::Refusal| {
        refusal.practice_id.as_deref() == Some(settings.practice_id.as_str())
    };
    json!({
        "practiceId": settings.practice_id,
        "name": settings.name,
        "timeZone": settings.time_zone.name(),
        "localNow": local.format("%Y-%m-%dT%H:%M:%S").to_string(),
        "consent": practice.record.consent,
        "health": practice.health(now),
        "lastPollAt": practice.last_poll_at,
        "outstanding": super::routes::outstanding(&practice.record),
        "resources": resources.collect::<Vec<_>>(),
        "appointmentTypes": types.collect::<Vec<_>>(),
        "bookings": practice
            .record
            .bookings
            .values()
            .rev()
            .map(|booking| shown_booking(&practice.record, booking, now))
            .collect::<Vec<_>>(),
        "features": practice.record.features,
        "subscriptions": practice.record.subscriptions.len(),
        "refusals": state.refusals().rev().filter(of_practice).take(20).collect::<Vec<_>>(),
    })
}

fn shown_booking(record: &PracticeRecord, booking: &SimBooking, now: DateTime<Utc>) -> Value {
    let documents = record.attachments.values().filter(|attachment| {
        attachment.metadata.get("bookingId").and_then(Value::as_i64) == Some(booking.booking_id)
    });
    let patient = booking.body.get("patient");
    let name = |key| patient.and_then(|patient| patient.get(key)).and_then(Value::as_str).unwrap_or_default();
    json!({
        "bookingId": booking.booking_id,
        "status": booking.status,
        "patientSees": booking.patient_sees(now),
        "resourceId": booking.body.get("pmsResourceId"),
        "start": booking.place.as_ref().map(|place| place.start),
        "lengthSeconds": booking.body.get("pmsAppointmentLength"),
        "patientName": format!("{} {}", name("firstname"), name("lastname")).trim(),
        "createdAt": booking.created_at,
        "answeredAt": booking.answered_at,
        "confirmedAt": booking.confirmed_at,
        "pmsAppointmentIds": booking.pms_appointment_ids,
        "pmsPatientId": booking.pms_patient_id,
        "answers": booking.answers.iter().map(|answer| answer.kind).collect::<Vec<_>>(),
        "documents": documents.map(shown_document).collect::<Vec<_>>(),
    })
}

fn shown_document(attachment: &SimAttachment) -> Value {
    let state = match &attachment.answer {
        Some(answer) if answer.inserted => "filed",
        Some(_) => "rejected",
        None if attachment.expired => "expired",
        None => "waiting",
    };
    json!({
        "requestId": attachment.request_id,
        "name": attachment.metadata.get("documentName"),
        "state": state,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ForcedWish {
    practice_id: String,
    force: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BookWish {
    practice_id: String,
    resource_id: String,
    start: String,
    #[serde(default)]
    appointment_type_id: Option<String>,
    #[serde(default)]
    patient: PatientDetails,
}

async fn book(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let now = shared.now();
    let forced = parsed::<Value>(&body)?.get("force").is_some();
    let booking_id = if forced {
        let wish: ForcedWish = parsed(&body)?;
        shared.state.change(|state| state.force_book(&wish.practice_id, &wish.force, now))?
    } else {
        let wish: BookWish = parsed(&body)?;
        let start = local_start(&wish.start)?;
        let type_id = wish.appointment_type_id.as_deref();
        shared.state.change(|state| {
            state.book(&wish.practice_id, &wish.resource_id, start, type_id, &wish.patient, now)
        })?
    };
    Ok(Json(json!({"bookingId": booking_id})))
}

fn local_start(text: &str) -> Result<NaiveDateTime, Problem> {
    ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .ok_or_else(|| Problem(StatusCode::BAD_REQUEST, "start must read 2026-03-04T10:15".to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CancelWish {
    practice_id: String,
    booking_id: i64,
}

async fn cancel(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wish: CancelWish = parsed(&body)?;
    let now = shared.now();
    let request_id =
        shared.state.change(|state| state.cancel_by_patient(&wish.practice_id, wish.booking_id, now))?;
    Ok(Json(json!({"requestId": request_id})))
}

#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum AskWish {
    Availability {
        practice_id: String,
        day: NaiveDate,
        #[serde(default)]
        resource_id: Option<String>,
    },
    Configuration {
        practice_id: String,
    },
    Changes {
        practice_id: String,
        booking_id: i64,
    },
    ClientSnapshot {
        practice_id: String,
        date: NaiveDate,
        date_type: SnapshotDateType,
    },
}

async fn ask(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wish: AskWish = parsed(&body)?;
    let now = shared.now();
    shared.state.change(|state| match wish {
        AskWish::Availability { practice_id, day, resource_id } => {
            state.ask_availability(&practice_id, day, resource_id.as_deref(), now)
        }
        AskWish::Configuration { practice_id } => {
            state.ask_resources(&practice_id, now)?;
            state.ask_appointment_types(&practice_id, now)
        }
        AskWish::Changes { practice_id, booking_id } => state.ask_changes(&practice_id, booking_id, now),
        AskWish::ClientSnapshot { practice_id, date, date_type } => {
            state.ask_client_snapshot(&practice_id, date, date_type, now)
        }
    })?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DocumentWish {
    practice_id: String,
    booking_id: i64,
    format: DocumentFormat,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum DocumentFormat {
    Pdf,
    Text,
}

async fn document(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wish: DocumentWish = parsed(&body)?;
    let now = shared.now();
    let form = match wish.format {
        DocumentFormat::Pdf => PatientDocument::made_up_pdf(),
        DocumentFormat::Text => PatientDocument::default(),
    };
    let request_id = shared.state.change(|state| {
        if !state.practice_mut(&wish.practice_id)?.record.bookings.contains_key(&wish.booking_id) {
            return Err(DeskRefusal::UnknownBooking(wish.booking_id));
        }
        state.attach_document(&wish.practice_id, &form.for_booking(wish.booking_id), now)
    })?;
    Ok(Json(json!({"requestId": request_id})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum FaultWish {
    Add(FaultRule),
    Remove(u64),
    Clear(Option<String>),
    Consent(ConsentWish),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConsentWish {
    practice_id: String,
    is: Consent,
}

async fn faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<Value>, Problem> {
    let wish: FaultWish = parsed(&body)?;
    shared.state.change(|state| match wish {
        FaultWish::Add(rule) => Ok(Json(json!({"id": state.faults.add(rule)}))),
        FaultWish::Remove(id) if state.faults.remove(id) => Ok(Json(json!({}))),
        FaultWish::Remove(id) => Err(Problem(StatusCode::NOT_FOUND, format!("there is no fault {id}"))),
        FaultWish::Clear(account) => {
            state.faults.clear(account.as_deref());
            Ok(Json(json!({})))
        }
        FaultWish::Consent(wish) => {
            state.practice_mut(&wish.practice_id)?.record.consent = wish.is;
            Ok(Json(json!({})))
        }
    })
}
