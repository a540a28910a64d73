//! The service's door: faults first, then headers, keys and consent, then the operation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::routes::{self, Operation, Refused};
use super::rules;
use super::state::{Consent, Refusal, SimState};
use crate::sim::faults::{Fault, Strike};
use crate::sim::{ConnectionCut, Observed, SimClock, Stopping, read_body};

/// Where the service's paths begin.
pub const API_PATH: &str = "/pms-api/v1";

/// What every handler shares.
pub struct Shared {
    pub state: Observed<SimState>,
    pub clock: SimClock,
    pub address: SocketAddr,
    pub stopping: Stopping,
}

impl Shared {
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// A request as it stands before the door.
struct Arrival {
    method: String,
    path: String,
    practice_id: Option<String>,
    headers: HeaderMap,
    query: Vec<(String, String)>,
}

/// Everything that the service would send, before a fault spoils it.
struct Outcome {
    status: u16,
    body: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

impl Outcome {
    fn error(status: u16, reason: &str) -> Self {
        Self { status, body: Some(json!({"error": reason})), headers: Vec::new() }
    }
}

/// Handles every request below [`API_PATH`].
pub async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let arrival = Arrival {
        method: parts.method.to_string(),
        path: parts.uri.path().strip_prefix(API_PATH).unwrap_or_default().to_owned(),
        practice_id: header_text(&parts.headers, "practice-id").map(str::to_owned),
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
    };
    let body = read_body(&arrival.headers, body).await.map_err(|refusal| refusal.to_string());

    let strikes = shared
        .state
        .change(|state| state.faults.strike(arrival.practice_id.as_deref(), &arrival.method, &arrival.path));
    for strike in &strikes {
        if let Some(delay) = strike.fault.delay_before_effect() {
            hold_back(&shared, &connection, strike.rule, delay).await;
        }
    }
    let instead = strikes.iter().find_map(|strike| instead_of_effect(&strike.fault, &connection));
    let mut outcome = match instead {
        Some(outcome) => {
            let status = (outcome.status != 0).then_some(outcome.status);
            shared.state.change(|state| {
                let practice = arrival.practice_id.as_deref();
                state.note_exchange(shared.now(), practice, &arrival.method, &arrival.path, status, false);
            });
            outcome
        }
        None => shared.state.change(|state| act(state, &arrival, body, shared.now())),
    };
    for Strike { rule, fault } in &strikes {
        spoil_list(&mut outcome, fault);
        if let Some(delay) = fault.delay_after_effect() {
            hold_back(&shared, &connection, *rule, delay).await;
        }
        if *fault == Fault::CutAfterEffect {
            connection.cut();
        }
    }
    respond(outcome, &strikes, shared.now())
}

/// Waits until the time is up, the fault is switched off, or the server stops (which cuts the connection).
async fn hold_back(shared: &Shared, connection: &ConnectionCut, rule: u64, delay: Duration) {
    let mut stopping = shared.stopping.clone();
    let switched_off = shared.state.wait_until(|state| !state.faults.contains(rule), delay);
    tokio::select! {
        // Both ends of this wait are alike: the request goes on.
        _ = switched_off => {}
        () = stopping.wait() => connection.cut(),
    }
}

/// The answer of a fault that keeps the service from seeing the request. Status 0 stands for none at all.
fn instead_of_effect(fault: &Fault, connection: &ConnectionCut) -> Option<Outcome> {
    let retry_after = |seconds: u64| (header::RETRY_AFTER, seconds.to_string());
    match fault {
        Fault::Refuse => {
            connection.cut();
            Some(Outcome { status: 0, body: None, headers: Vec::new() })
        }
        Fault::Unauthorised => Some(Outcome::error(401, "the API key is not valid")),
        Fault::Forbidden => Some(Outcome::error(403, "the practice has not given its consent")),
        Fault::TooManyRequests { retry_after_seconds } => Some(Outcome {
            headers: vec![retry_after(*retry_after_seconds)],
            ..Outcome::error(429, "too many requests")
        }),
        Fault::ServerError => Some(Outcome::error(500, "something went wrong")),
        Fault::Unavailable { retry_after_seconds } => Some(Outcome {
            headers: retry_after_seconds.map(retry_after).into_iter().collect(),
            ..Outcome::error(503, "the service is not available")
        }),
        Fault::Redirect { to } => {
            Some(Outcome { status: 302, body: None, headers: vec![(header::LOCATION, to.clone())] })
        }
        Fault::CutAfterEffect
        | Fault::Slow { .. }
        | Fault::SlowAnswer { .. }
        | Fault::GarbledJson
        | Fault::TruncatedBody
        | Fault::DuplicateItems
        | Fault::WrongPageTotals { .. }
        | Fault::LostCallback
        | Fault::DuplicateCallback
        | Fault::OvertakenCallback => None,
    }
}

fn act(
    state: &mut SimState,
    arrival: &Arrival,
    body: Result<Vec<u8>, String>,
    now: DateTime<Utc>,
) -> Outcome {
    let practice = arrival.practice_id.as_deref();
    let answered = admit(state, arrival, body).and_then(|(practice_id, body)| {
        let operation = Operation {
            method: &arrival.method,
            path: &arrival.path,
            query: arrival.query.clone(),
            body: &body,
        };
        routes::answer(state, &practice_id, &operation, now)
    });
    let (method, path) = (arrival.method.as_str(), arrival.path.as_str());
    let refusal = |status: u16, reason: String| Refusal {
        at: now,
        practice_id: practice.map(str::to_owned),
        method: method.to_owned(),
        path: path.to_owned(),
        status,
        reason,
    };
    match answered {
        Ok(answer) => {
            state.note_exchange(now, practice, method, path, Some(answer.status), true);
            for remark in answer.remarks {
                state.note_refusal(refusal(answer.status, remark));
            }
            Outcome { status: answer.status, body: answer.body, headers: Vec::new() }
        }
        Err(Refused { status, reason }) => {
            state.note_exchange(now, practice, method, path, Some(status), false);
            let outcome = Outcome::error(status, &reason);
            state.note_refusal(refusal(status, reason));
            outcome
        }
    }
}

/// Checks everything that does not depend on the operation (contract sheet §2): the three keys, the consent
/// behind them, the `User-Agent`, and how the body is sent.
fn admit(
    state: &SimState,
    arrival: &Arrival,
    body: Result<Vec<u8>, String>,
) -> Result<(String, Vec<u8>), Refused> {
    let unauthorised = |reason: &str| Refused { status: 401, reason: reason.to_owned() };
    let key = |name: &str| {
        header_text(&arrival.headers, name).ok_or_else(|| unauthorised(&format!("{name} is missing")))
    };
    let (api_key, practice_id, practice_key) = (key("api-key")?, key("practice-id")?, key("practice-key")?);
    let is_given_out = state.practices.values().any(|practice| practice.settings.api_key == api_key);
    if !is_given_out || state.refused_api_keys.contains(api_key) {
        return Err(unauthorised("api-key is not valid"));
    }
    let practice = state
        .practices
        .get(practice_id)
        .filter(|practice| practice.settings.api_key == api_key)
        .ok_or_else(|| unauthorised("practice-id is not valid"))?;
    if practice.settings.practice_key != practice_key {
        return Err(unauthorised("practice-key is not valid"));
    }
    match practice.record.consent {
        Consent::Granted => {}
        Consent::Revoked | Consent::NeverGranted => {
            return Err(Refused { status: 403, reason: "the practice has not given its consent".to_owned() });
        }
    }
    let user_agent = header_text(&arrival.headers, "user-agent").unwrap_or_default();
    if !rules::is_proper_user_agent(user_agent) {
        return Err(Refused::from("User-Agent must read NAME (EMAIL) DEV|UAT|PROD".to_owned()));
    }
    let body = body?;
    let content_type = header_text(&arrival.headers, "content-type").unwrap_or_default();
    if arrival.method == "POST" && !body.is_empty() && !is_json(content_type) {
        return Err(Refused::from("Content-Type must be application/json".to_owned()));
    }
    Ok((practice_id.to_owned(), body))
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// True for `application/json`, with or without parameters.
pub fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn spoil_list(outcome: &mut Outcome, fault: &Fault) {
    let Some(body) = outcome.body.as_mut() else { return };
    match fault {
        Fault::DuplicateItems => {
            if let Some(data) = body.get_mut("data").and_then(Value::as_array_mut) {
                *data = data.iter().flat_map(|item| [item.clone(), item.clone()]).collect();
            }
        }
        Fault::WrongPageTotals { total_pages, total } => {
            if let Some(page) = body.get_mut("page").and_then(Value::as_object_mut) {
                page.insert("totalPages".to_owned(), json!(total_pages));
                page.insert("total".to_owned(), json!(total));
            }
        }
        Fault::Refuse
        | Fault::CutAfterEffect
        | Fault::Slow { .. }
        | Fault::SlowAnswer { .. }
        | Fault::Unauthorised
        | Fault::Forbidden
        | Fault::TooManyRequests { .. }
        | Fault::ServerError
        | Fault::Unavailable { .. }
        | Fault::GarbledJson
        | Fault::TruncatedBody
        | Fault::Redirect { .. }
        | Fault::LostCallback
        | Fault::DuplicateCallback
        | Fault::OvertakenCallback => {}
    }
}

fn respond(outcome: Outcome, strikes: &[Strike], now: DateTime<Utc>) -> Response {
    let text = outcome.body.map(|body| body.to_string()).unwrap_or_default();
    let garbled = strikes.iter().any(|strike| strike.fault == Fault::GarbledJson);
    let text = if garbled { r#"{"data": [{"bookingId": 9001, "#.to_owned() } else { text };

    let mut response = Response::new(Body::empty());
    // Status 0 is a connection that has been cut: whatever stands here is never sent.
    *response.status_mut() =
        StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let content_type =
        (!text.is_empty()).then(|| (header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned()));
    for (name, value) in outcome.headers.into_iter().chain(content_type).chain([(header::DATE, date)]) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if strikes.iter().any(|strike| strike.fault == Fault::TruncatedBody) {
        let promised = text.len().max(64);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
        *response.body_mut() = half_of(text);
    } else {
        *response.body_mut() = Body::from(text);
    }
    response
}

/// A body that sends the first half of `text` and then breaks the connection.
fn half_of(text: String) -> Body {
    let half: Vec<u8> = text.bytes().take(text.len() / 2).collect();
    let first = stream::once(async move { Ok(half) });
    let end = stream::once(async {
        // Yielding once lets the server write what it has; an error at once would take the half with it.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(first.chain(end))
}
