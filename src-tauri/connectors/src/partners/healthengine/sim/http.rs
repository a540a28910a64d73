//! The service's door: faults first, then headers, keys and consent, then the operation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::routes::{self, Operation, Refused};
use super::rules;
use super::state::{Consent, Refusal, SimState};
use crate::sim::door::{Instead, Reply, Struck, header_text, is_media_type};
use crate::sim::faults::Fault;
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

    /// What is answered in the service's place; in its words where it has any.
    fn instead(instead: Instead) -> Self {
        let reason = match instead.status {
            Some(401) => "the API key is not valid",
            Some(403) => "the practice has not given its consent",
            Some(429) => "too many requests",
            Some(500) => "something went wrong",
            Some(503) => "the service is not available",
            status => {
                return Self { status: status.unwrap_or_default(), body: None, headers: instead.headers };
            }
        };
        Self { headers: instead.headers, ..Self::error(instead.status.unwrap_or_default(), reason) }
    }

    fn into_reply(self) -> Reply {
        Reply {
            status: self.status,
            headers: self.headers,
            content_type: "application/json; charset=utf-8",
            text: self.body.map(|body| body.to_string()).unwrap_or_default(),
        }
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
    let struck = Struck::new(&shared.state, &shared.stopping, connection, strikes);
    struck.before_effect().await;
    let mut outcome = match struck.instead_of_effect() {
        Some(instead) => {
            shared.state.change(|state| {
                let practice = arrival.practice_id.as_deref();
                let status = instead.status;
                state.note_exchange(shared.now(), practice, &arrival.method, &arrival.path, status, false);
            });
            Outcome::instead(instead)
        }
        None => shared.state.change(|state| act(state, &arrival, body, shared.now())),
    };
    for fault in struck.faults() {
        spoil_list(&mut outcome, fault);
    }
    struck.after_effect().await;
    struck.respond(outcome.into_reply(), r#"{"data": [{"bookingId": 9001, "#, shared.now())
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

/// True for `application/json`, with or without parameters.
pub fn is_json(content_type: &str) -> bool {
    is_media_type(content_type, "application/json")
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
