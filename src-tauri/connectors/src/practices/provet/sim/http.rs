//! The door: faults first, then how the request is made, then what it asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use base64::Engine as _;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::filters::narrowed;
use super::limits::{self, DEFAULT_PAGE};
use super::rules::{self, Ruled};
use super::sign_in;
use super::state::{Exchange, Mistake, SimState, Table, is_yes};
use crate::sim::door::{Reply, Struck, header_text, is_media_type};
use crate::sim::faults::Fault;
use crate::sim::{ConnectionCut, Observed, SimClock, Stopping, read_body};

const JSON: &str = "application/json";
/// The most rows that a page may have (sheet §3).
const LARGEST_PAGE: usize = 1000;

/// What the door and the simulator share.
pub struct Shared {
    pub state: Observed<SimState>,
    pub clock: SimClock,
}

impl Shared {
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

struct Desk {
    shared: Arc<Shared>,
    stopping: Stopping,
}

/// Everything that is answered.
pub fn router(shared: Arc<Shared>, stopping: Stopping) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(Desk { shared, stopping }))
}

/// A request as it stands before the door.
struct Arrival {
    method: String,
    /// Below `/{provet_id}`.
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    is_ours: bool,
}

impl Arrival {
    /// Below the API's address, as faults and journals name it.
    fn below(&self) -> &str {
        self.path.strip_prefix("/api/0.1").unwrap_or(&self.path)
    }
}

/// What the service makes of a request.
pub struct Outcome {
    pub status: u16,
    pub headers: Vec<(HeaderName, String)>,
    body: Value,
    reasons: Vec<String>,
}

impl Outcome {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body, reasons: Vec::new() }
    }

    pub fn refused(status: u16, body: Value, reason: &str) -> Self {
        Self { reasons: vec![reason.to_owned()], ..Self::new(status, body) }
    }
}

async fn handle(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let shared = &desk.shared;
    let arrival = arrive(shared, request).await;
    let strikes = shared.state.change(|state| {
        let account = state.config.provet_id.to_string();
        state.faults.strike(Some(&account), &arrival.method, arrival.below())
    });
    let struck = Struck::new(&shared.state, &desk.stopping, connection, strikes);
    struck.before_effect().await;
    let now = shared.now();
    let mut outcome = match struck.instead_of_effect() {
        Some(instead) => {
            let status = instead.status;
            shared.state.change(|state| note(state, &arrival, status, now));
            let detail = json!({"detail": "something went wrong"});
            Outcome { headers: instead.headers, ..Outcome::new(status.unwrap_or_default(), detail) }
        }
        None => shared.state.change(|state| act(state, &arrival, now)),
    };
    for fault in struck.faults() {
        if *fault == Fault::DuplicateItems
            && let Some(Value::Array(rows)) = outcome.body.get_mut("results")
        {
            *rows = rows.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
        }
    }
    struck.after_effect().await;
    let text = if outcome.body.is_null() { String::new() } else { outcome.body.to_string() };
    let reply = Reply { status: outcome.status, headers: outcome.headers, content_type: JSON, text };
    struck.respond(reply, r#"{"results": [{"id": "#, shared.now())
}

async fn arrive(shared: &Shared, request: Request) -> Arrival {
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await.unwrap_or_default();
    let prefix = format!("/{}", shared.state.read(|state| state.config.provet_id));
    let path = parts.uri.path();
    let ours = path.strip_prefix(&prefix).filter(|rest| rest.starts_with('/'));
    Arrival {
        method: parts.method.to_string(),
        path: ours.unwrap_or(path).to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        is_ours: ours.is_some(),
    }
}

fn note(state: &mut SimState, arrival: &Arrival, status: Option<u16>, at: DateTime<Utc>) {
    state.note_exchange(Exchange {
        at,
        method: arrival.method.clone(),
        path: arrival.below().to_owned(),
        query: arrival.query.clone(),
        status,
    });
}

fn act(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    let outcome = answer(state, arrival, now);
    note(state, arrival, Some(outcome.status), now);
    for reason in &outcome.reasons {
        state.note_mistake(Mistake {
            method: arrival.method.clone(),
            path: arrival.below().to_owned(),
            status: outcome.status,
            reason: reason.clone(),
        });
    }
    outcome
}

fn answer(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    if !arrival.is_ours {
        return Outcome::refused(
            404,
            json!({"detail": "Not found."}),
            "the practice's number is not in the address",
        );
    }
    if !arrival.path.ends_with('/') {
        let mut outcome = Outcome::refused(301, Value::Null, "the slash at the end is missing");
        outcome.headers.push((header::LOCATION, format!("{}/", arrival.path)));
        return outcome;
    }
    if header_text(&arrival.headers, header::CONTENT_ENCODING).is_some() {
        return Outcome::refused(400, json!({"detail": "Malformed request."}), "the body is compressed");
    }
    if arrival.path == "/oauth2/token/" {
        return token(state, arrival, now);
    }
    if arrival.path == "/oauth2/authorize/" && arrival.method == "GET" {
        return sign_in::authorize(state, &arrival.query, now);
    }
    if !arrival.path.starts_with("/api/0.1/") {
        return Outcome::refused(404, json!({"detail": "Not found."}), "there is nothing here");
    }
    let sent = header_text(&arrival.headers, header::AUTHORIZATION).unwrap_or_default();
    let good = sent
        .strip_prefix("Bearer ")
        .and_then(|token| state.tokens.get(token))
        .is_some_and(|ends| now < *ends);
    if !good {
        let mut outcome =
            Outcome::new(401, json!({"detail": "Authentication credentials were not provided."}));
        outcome.headers.push((header::WWW_AUTHENTICATE, "Bearer realm=\"api\"".to_owned()));
        return outcome;
    }
    route(state, arrival, now)
}

fn token(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    let refused = |status, error: &str, reason| Outcome::refused(status, json!({"error": error}), reason);
    if arrival.method != "POST" {
        return refused(405, "invalid_request", "a token is asked for with POST");
    }
    let content_type = header_text(&arrival.headers, header::CONTENT_TYPE).unwrap_or_default();
    if !is_media_type(content_type, "application/x-www-form-urlencoded") {
        return refused(400, "invalid_request", "the body must be form encoded");
    }
    let basic =
        header_text(&arrival.headers, header::AUTHORIZATION).and_then(|sent| sent.strip_prefix("Basic "));
    let plain = basic.and_then(|sent| base64::engine::general_purpose::STANDARD.decode(sent).ok());
    let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&arrival.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("client_secret").is_some() {
        return refused(400, "invalid_request", "the secret belongs into the header");
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (id, secret) =
        plain.split_once(':').map(|(id, secret)| (decoded(id), decoded(secret))).unwrap_or_default();
    // A public client has no secret, and says its name in the form.
    let id = if basic.is_none() { field("client_id").unwrap_or_default().to_owned() } else { id };
    if id != state.config.client_id || secret != state.config.client_secret {
        return Outcome::new(401, json!({"error": "invalid_client"}));
    }
    match field("grant_type") {
        Some("client_credentials") if !state.config.client_secret.is_empty() => {}
        Some("authorization_code") if state.config.redirect_url.is_some() => {
            return sign_in::exchange(state, field, now);
        }
        Some("refresh_token") if state.config.redirect_url.is_some() => {
            return sign_in::renew(state, field, now);
        }
        _ => return refused(400, "unsupported_grant_type", "this grant is not offered"),
    }
    if field("scope") != Some("restapi") {
        return refused(400, "invalid_scope", "the scope must be restapi");
    }
    Outcome::new(200, Value::Object(give_token(state, now)))
}

/// A token, as it is answered.
pub fn give_token(state: &mut SimState, now: DateTime<Utc>) -> Map<String, Value> {
    let life = state.conduct.token_life;
    let token = format!("provet-sim-token-{:06}", state.tokens.len());
    state.tokens.insert(token.clone(), now + life);
    [
        ("access_token", json!(token)),
        ("expires_in", json!(life.num_seconds())),
        ("token_type", json!("Bearer")),
        ("scope", json!("restapi")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

fn route(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    let path = arrival.path.trim_start_matches("/api/0.1/").trim_end_matches('/');
    let method = arrival.method.as_str();
    if path == "user/current/active_permissions" && method == "GET" {
        let missing = &state.conduct.missing_rights;
        let all: std::collections::BTreeSet<&str> = Table::ALL.into_iter().filter_map(Table::right).collect();
        let given: Vec<&str> =
            all.into_iter().filter(|right| !missing.iter().any(|missing| missing == right)).collect();
        return Outcome::new(200, json!({"permissions": given}));
    }
    // The longest name first, so that `hook/webhook` is not a row of `hook`.
    let found = Table::ALL.into_iter().find_map(|table| {
        let rest = path.strip_prefix(table.path())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| (table, rest.trim_start_matches('/')))
    });
    let Some((table, rest)) = found else {
        return Outcome::refused(404, json!({"detail": "Not found."}), "there is no such endpoint");
    };
    let kind = match (method, rest) {
        ("GET", "") => "list",
        ("GET", _) => "get",
        ("POST", "") => "create",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        _ => "other",
    };
    let weight = if kind == "list" { page_size(&arrival.query).div_ceil(DEFAULT_PAGE) } else { 1 };
    if let Err(seconds) = limits::spend(state, table.path(), kind, weight, now) {
        let mut outcome = Outcome::new(429, json!({"detail": "Request was throttled."}));
        outcome.headers.push((header::RETRY_AFTER, seconds.to_string()));
        return outcome;
    }
    if table.right().is_some_and(|right| state.conduct.missing_rights.iter().any(|missing| missing == right))
    {
        return Outcome::new(403, json!({"detail": "You do not have permission to perform this action."}));
    }
    match kind {
        "list" => list(state, table, &arrival.query),
        "get" => match shown(state, table, rest) {
            Some(row) => Outcome::new(200, row.clone()),
            None => Outcome::new(404, json!({"detail": "Not found."})),
        },
        "create" => written(state, arrival, 201, table, |state, body| rules::create(state, table, body, now)),
        "patch" => match shown(state, table, rest).and_then(|row| row.get("id")?.as_u64()) {
            Some(id) => {
                written(state, arrival, 200, table, |state, body| rules::amend(state, table, id, body, now))
            }
            None => Outcome::new(404, json!({"detail": "Not found."})),
        },
        "delete" if matches!(table, Table::PhoneNumber | Table::Shift | Table::Hook) => {
            let gone = rest.parse().is_ok_and(|id| state.delete(table, id));
            Outcome::new(if gone { 204 } else { 404 }, Value::Null)
        }
        "other" if table == Table::Appointment && rest.ends_with("/cancel_appointment") => {
            let id = rest.split('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
            if state.change(table, id, &json!({"active": 0}), now) {
                Outcome::new(200, state.row(table, id).cloned().unwrap_or_default())
            } else {
                Outcome::new(404, json!({"detail": "Not found."}))
            }
        }
        _ => Outcome::refused(405, json!({"detail": "Method not allowed."}), "this cannot be done here"),
    }
}

fn shown<'s>(state: &'s SimState, table: Table, id: &str) -> Option<&'s Value> {
    let row = state.row(table, id.parse().ok()?)?;
    (!is_yes(row.get("archived"))).then_some(row)
}

fn written(
    state: &mut SimState,
    arrival: &Arrival,
    status: u16,
    table: Table,
    write: impl FnOnce(&mut SimState, &Map<String, Value>) -> Ruled,
) -> Outcome {
    let content_type = header_text(&arrival.headers, header::CONTENT_TYPE).unwrap_or_default();
    if !is_media_type(content_type, JSON) {
        return Outcome::refused(415, json!({"detail": "Unsupported media type."}), "the body must be JSON");
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&arrival.body) else {
        return Outcome::refused(400, json!({"detail": "JSON parse error"}), "the body is no JSON object");
    };
    let (ruled, reasons) = write(state, &body);
    let outcome = match ruled {
        Ok(id) => Outcome::new(status, state.row(table, id).cloned().unwrap_or_default()),
        Err(said) => Outcome::new(400, said),
    };
    Outcome { reasons, ..outcome }
}

fn number(query: &str, name: &str) -> Option<usize> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok())
}

fn page_size(query: &str) -> usize {
    number(query, "page_size").unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE)
}

fn list(state: &SimState, table: Table, query: &str) -> Outcome {
    let (ids, ignored) = narrowed(state, table, query);
    let (size, page) = (page_size(query), number(query, "page").unwrap_or(1).max(1));
    let pages = ids.len().div_ceil(size).max(1);
    if page > pages {
        return Outcome { reasons: ignored, ..Outcome::new(404, json!({"detail": "Invalid page."})) };
    }
    let there = ids.iter().skip((page - 1) * size).take(size);
    let rows: Vec<&Value> = there.filter_map(|id| state.row(table, *id)).collect();
    let address = |page: usize| {
        let mut to = url::form_urlencoded::Serializer::new(String::new());
        to.extend_pairs(url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "page"));
        to.append_pair("page", &page.to_string());
        let (host, id, path) = (&state.host, state.config.provet_id, table.path());
        format!("{host}/{id}/api/0.1/{path}/?{}", to.finish())
    };
    let body = json!({
        "count": ids.len(), "num_pages": pages,
        "next": (page < pages).then(|| address(page + 1)),
        "previous": (page > 1).then(|| address(page - 1)),
        "results": rows,
    });
    Outcome { reasons: ignored, ..Outcome::new(200, body) }
}
