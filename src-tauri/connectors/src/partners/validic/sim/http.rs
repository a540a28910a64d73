//! The door: faults first, then the budget and the token, then what is asked for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::state::{Received, SimState};
use super::{Shape, page, routes};
use crate::sim::door::{Reply, Struck};
use crate::sim::{ConnectionCut, Observed, SimClock, Stopping, read_body};

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// What the handler needs.
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
    pub path: String,
    pub query: String,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Arrival {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The pieces of the path.
    pub fn pieces(&self) -> Vec<&str> {
        self.path.trim_matches('/').split('/').collect()
    }

    /// The organisation that the path names.
    fn organisation(&self) -> &str {
        let pieces = self.pieces();
        let at = pieces.iter().position(|piece| *piece == "organizations");
        at.and_then(|at| pieces.get(at + 1).copied()).unwrap_or_default()
    }
}

/// What the service makes of a request.
pub enum Answer {
    Json(u16, Value),
    Refused(Refused),
    Page(u16, String),
    Elsewhere(String),
}

/// A refusal.
pub struct Refused {
    pub status: u16,
    pub words: &'static str,
    /// The field that it is about.
    pub field: Option<&'static str>,
}

impl Refused {
    pub fn because(status: u16, words: &'static str) -> Answer {
        Answer::Refused(Self { status, words, field: None })
    }

    pub fn about(field: &'static str, status: u16, words: &'static str) -> Answer {
        Answer::Refused(Self { status, words, field: Some(field) })
    }

    /// The body in a shape: JSON, or text.
    fn body(&self, shape: Shape) -> Result<Value, String> {
        let Self { status, words, field } = self;
        let shape = match (shape, status) {
            (Shape::AsDocumented, 400) => Shape::Plain,
            (Shape::AsDocumented, 403) => Shape::Message,
            (Shape::AsDocumented, 422) if field.is_some() => Shape::ByField,
            (Shape::AsDocumented, 422) => Shape::Message,
            (Shape::AsDocumented, _) => Shape::List,
            (shape, _) => shape,
        };
        match shape {
            Shape::AsDocumented | Shape::List => Ok(json!({ "errors": [words] })),
            Shape::ByField => Ok(json!({ "errors": { field.unwrap_or("base"): [words] } })),
            Shape::StatusAndError => Ok(json!({ "status": status, "error": words })),
            Shape::Message => Ok(json!({ "message": words })),
            Shape::Plain => Err((*words).to_owned()),
        }
    }
}

async fn handle(
    State(desk): State<Desk>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let shared = &desk.shared;
    let arrival = arrive(request).await;
    let account = arrival.organisation().to_owned();
    let strikes =
        shared.state.change(|state| state.faults.strike(Some(&account), &arrival.method, &arrival.path));
    let struck = Struck::new(&shared.state, &desk.stopping, connection, strikes);
    struck.before_effect().await;
    let now = (shared.clock)();
    let (answer, more) = match struck.instead_of_effect() {
        Some(instead) => {
            let status = instead.status.unwrap_or_default();
            (Refused::because(status, "struck by a fault"), instead.headers)
        }
        None => (shared.state.change(|state| act(state, &arrival, now)), Vec::new()),
    };
    let mut reply = shared.state.change(|state| {
        let reply = reply(state, &answer, &arrival, now);
        state.note(Received {
            at: now,
            method: arrival.method.clone(),
            path: arrival.path.clone(),
            query: arrival.query.clone(),
            headers: arrival.headers.clone(),
            body: arrival.body.clone(),
            status: reply.status,
        });
        reply
    });
    reply.headers.extend(more);
    struck.after_effect().await;
    struck.respond(reply, r#"{"data": [{"uid": "#, (shared.clock)())
}

async fn arrive(request: Request) -> Arrival {
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await.unwrap_or_default();
    Arrival {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: lines(&parts.headers),
        body,
    }
}

fn lines(headers: &HeaderMap) -> String {
    let line = |(name, value): (&HeaderName, &axum::http::HeaderValue)| {
        format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
    };
    headers.iter().map(line).collect()
}

fn act(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    if let Some(answer) = page::answer(state, arrival, now) {
        return answer;
    }
    let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    if state.spent.0 != hour {
        state.spent = (hour, 0);
    }
    state.spent.1 += 1;
    if state.spent.1 > state.conduct.per_hour {
        state.beyond += 1;
        return Refused::because(429, "Rate limit exceeded");
    }
    let legacy = arrival.pieces().first() == Some(&"v1");
    let token = match legacy {
        false => arrival.parameter("token"),
        true => arrival
            .parameter("access_token")
            .or_else(|| Some(arrival.json()?.get("access_token")?.as_str()?.to_owned())),
    };
    if token.as_ref() != Some(&state.token) {
        return Refused::because(403, "Invalid authentication credentials");
    }
    if arrival.organisation() != state.organization_id {
        return Refused::because(401, "Token is not authorized to access organization");
    }
    if legacy { routes::legacy(state, arrival, now) } else { routes::inform(state, arrival, now) }
}

fn reply(state: &SimState, answer: &Answer, arrival: &Arrival, now: DateTime<Utc>) -> Reply {
    let mut headers = Vec::new();
    let of_api = arrival.path.contains("/organizations/");
    if state.conduct.says_budget && of_api {
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
        let spent = if state.spent.0 == hour { state.spent.1 } else { 0 };
        let left = state.conduct.per_hour.saturating_sub(spent);
        headers.push((HeaderName::from_static("x-ratelimit-limit"), state.conduct.per_hour.to_string()));
        headers.push((HeaderName::from_static("x-ratelimit-remaining"), left.to_string()));
    }
    let reply = |status, content_type, text| Reply { status, headers: Vec::new(), content_type, text };
    let mut reply = match answer {
        Answer::Json(status, body) => reply(*status, JSON, body.to_string()),
        Answer::Refused(refused) => match refused.body(state.conduct.shape) {
            Ok(body) if state.conduct.json_as_text => reply(refused.status, TEXT, body.to_string()),
            Ok(body) => reply(refused.status, JSON, body.to_string()),
            Err(text) => reply(refused.status, TEXT, text),
        },
        Answer::Page(status, text) => reply(*status, HTML, text.clone()),
        Answer::Elsewhere(to) => {
            headers.push((axum::http::header::LOCATION, to.clone()));
            reply(303, TEXT, String::new())
        }
    };
    reply.headers = headers;
    reply
}
