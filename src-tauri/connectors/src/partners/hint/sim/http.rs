//! The door: faults first, then the key, the throttle, and what is asked for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::state::{Exchange, Mistake, SimState};
use super::{KeyFamily, Kind, lists, records};
use crate::sim::door::{Instead, Reply, Struck, header_text, is_media_type};
use crate::sim::faults::Fault;
use crate::sim::{ConnectionCut, Observed, SimClock, Stopping, read_body};

/// What the simulator is made of.
pub struct Shared {
    pub state: Observed<SimState>,
    pub clock: SimClock,
}

#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    stopping: Stopping,
}

/// Everything that is answered.
pub fn router(shared: Arc<Shared>, stopping: Stopping) -> Router {
    Router::new().fallback(handle).with_state(Desk { shared, stopping })
}

/// A request as it stands before the door.
pub struct Arrival {
    pub method: String,
    /// Below the base address, as it was sent.
    pub path: String,
    pub query: String,
    headers: HeaderMap,
    body: Result<Vec<u8>, Refused>,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// What the service says.
    pub message: String,
    /// For the list of mistakes; empty where there is none.
    pub reason: String,
}

impl Refused {
    pub fn new(status: u16, message: &str, reason: impl Into<String>) -> Self {
        Self { status, message: message.to_owned(), reason: reason.into() }
    }

    /// A field that is wrong.
    pub fn invalid(message: &str) -> Self {
        Self::new(422, &format!("Validation failed: {message}"), message)
    }
}

/// What is answered.
pub struct Outcome {
    pub status: u16,
    pub headers: Vec<(HeaderName, String)>,
    /// Null: an empty body.
    pub body: Value,
    /// What was taken although somebody will regret it.
    pub remarks: Vec<String>,
}

impl Outcome {
    pub fn json(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body, remarks: Vec::new() }
    }

    fn refusal(refused: &Refused) -> Self {
        let body = json!({ "status": refused.status, "message": refused.message });
        Self { status: refused.status, headers: Vec::new(), body, remarks: Vec::new() }
    }

    fn instead(instead: Instead) -> Self {
        let status = instead.status.unwrap_or_default();
        let message = if status == 429 { "Enhance your calm" } else { "Something went wrong" };
        let mut outcome = Self::refusal(&Refused::new(status, message, "struck by a fault"));
        outcome.headers = instead.headers;
        outcome
    }

    fn spoil(&mut self, fault: &Fault) {
        if let (Fault::DuplicateItems, Value::Array(list)) = (fault, &mut self.body) {
            *list = list.iter().flat_map(|item| [item.clone(), item.clone()]).collect();
        }
    }

    fn into_reply(self) -> Reply {
        let text = if self.body.is_null() { String::new() } else { self.body.to_string() };
        Reply { status: self.status, headers: self.headers, content_type: "application/json", text }
    }
}

async fn handle(
    State(desk): State<Desk>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let shared = &desk.shared;
    let arrival = arrive(request).await;
    let strikes = shared.state.change(|state| {
        let account = state.account();
        state.faults.strike(Some(&account), &arrival.method, &arrival.path)
    });
    let struck = Struck::new(&shared.state, &desk.stopping, connection, strikes);
    struck.before_effect().await;
    let now = (shared.clock)();
    let mut outcome = match struck.instead_of_effect() {
        Some(instead) => {
            shared.state.change(|state| state.note_exchange(arrival.exchange(now, instead.status, false)));
            Outcome::instead(instead)
        }
        None => shared.state.change(|state| act(state, &arrival, now)),
    };
    for fault in struck.faults() {
        outcome.spoil(fault);
    }
    struck.after_effect().await;
    struck.respond(outcome.into_reply(), r#"[{"id": "pat-"#, (shared.clock)())
}

async fn arrive(request: Request) -> Arrival {
    let (parts, body) = request.into_parts();
    // Nothing says that the service would unpack what is compressed.
    let packed = header_text(&parts.headers, header::CONTENT_ENCODING).is_some();
    let body = match read_body(&parts.headers, body).await {
        Ok(_) if packed => Err(Refused::new(415, "Unsupported Media Type", "the body is compressed")),
        Ok(bytes) => Ok(bytes),
        Err(refusal) => Err(Refused::new(400, "Bad Request", refusal.to_string())),
    };
    let path = parts.uri.path();
    Arrival {
        method: parts.method.to_string(),
        path: path.strip_prefix("/api").unwrap_or(path).to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    }
}

impl Arrival {
    fn exchange(&self, at: DateTime<Utc>, status: Option<u16>, took_effect: bool) -> Exchange {
        Exchange {
            number: 0,
            at,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            body: self.json().ok().flatten(),
            status,
            took_effect,
        }
    }

    /// The JSON of the body, where there is one.
    fn json(&self) -> Result<Option<Value>, Refused> {
        let body = match &self.body {
            Ok(body) if body.is_empty() => return Ok(None),
            Ok(body) => body,
            Err(refused) => return Err(refused.clone()),
        };
        let content_type = header_text(&self.headers, header::CONTENT_TYPE).unwrap_or_default();
        if !is_media_type(content_type, "application/json") {
            return Err(Refused::new(415, "Unsupported Media Type", "Content-Type must be application/json"));
        }
        let body = serde_json::from_slice(body);
        body.map(Some).map_err(|_| Refused::new(400, "Bad Request", "the body is no JSON"))
    }
}

fn act(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    let (outcome, remarks) = match answer(state, arrival, now) {
        Ok(mut outcome) => {
            let remarks = std::mem::take(&mut outcome.remarks);
            (outcome, remarks)
        }
        Err(refused) => (Outcome::refusal(&refused), vec![refused.reason]),
    };
    let status = outcome.status;
    state.note_exchange(arrival.exchange(now, Some(status), status < 400));
    // Who is too fast made no mistake in what was said, and asking for what is not there is how one finds out.
    for reason in remarks.into_iter().filter(|reason| !reason.is_empty() && status != 429) {
        let (method, path) = (arrival.method.clone(), arrival.path.clone());
        state.note_mistake(Mistake { at: now, method, path, status, reason });
    }
    outcome
}

fn answer(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Result<Outcome, Refused> {
    let key =
        header_text(&arrival.headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    match key.and_then(|key| state.keys.get(key)) {
        Some(KeyFamily::Practice) => {}
        Some(KeyFamily::Partner) => {
            return Err(Refused::new(
                428,
                "This endpoint requires a Practice",
                "a partner's key at a practice's call",
            ));
        }
        Some(KeyFamily::Revoked) | None => {
            return Err(Refused::new(401, "Unauthorized", "the key is not known"));
        }
    }
    throttle(state, now)?;
    let body = arrival.json()?;
    let parts: Vec<String> = arrival.path.trim_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.list() == name);
    match (arrival.method.as_str(), parts.as_slice()) {
        ("GET", ["provider", "practice"]) => Ok(Outcome::json(state.practice.clone())),
        ("POST", ["provider", "patients", "matching"]) => records::matching(state, body.as_ref()),
        (method, ["provider", list]) => match (method, kind(list)) {
            ("GET", Some(kind)) => lists::list(state, kind, &arrival.query),
            _ => Err(nothing_here()),
        },
        (method, ["provider", list, name]) => match (method, kind(list)) {
            ("GET", Some(kind)) => records::one(state, kind, name),
            ("PATCH" | "PUT", Some(kind)) => records::change(state, kind, name, body.as_ref(), now),
            _ => Err(nothing_here()),
        },
        _ => Err(nothing_here()),
    }
}

fn nothing_here() -> Refused {
    Refused::new(404, "Not Found", "there is nothing here that this program should ask for")
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

fn throttle(state: &mut SimState, now: DateTime<Utc>) -> Result<(), Refused> {
    let Some(most) = state.conduct.requests_per_second else { return Ok(()) };
    while state.recent.front().is_some_and(|at| now - *at >= TimeDelta::seconds(1)) {
        state.recent.pop_front();
    }
    if state.recent.len() >= most {
        state.throttled += 1;
        return Err(Refused::new(429, "Enhance your calm", "too many requests"));
    }
    state.recent.push_back(now);
    Ok(())
}
