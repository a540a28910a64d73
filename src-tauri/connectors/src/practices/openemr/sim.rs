//! OpenEMR's API for documents as it behaves (`sql/profiles/openemr/NOTES.md`), in raw JSON: its authorization server
//! with the password grant, and the list and the upload of a patient's documents.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::sim::door::{Faulty, Reply, Struck, header_text, is_media_type};
use crate::sim::faults::{FaultRule, FaultSwitches};
use crate::sim::{ConnectionCut, LoopbackServer, Observed, SimClock, Stopping, read_body};

const JSON: &str = "application/json; charset=utf-8";
/// The webroot of the installation, which stands before everything.
const ROOT: &str = "/openemr";
/// How long a token lives.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);

/// What an administrator set.
#[derive(Clone, Debug)]
pub struct OpenEmrConduct {
    /// Any of the APIs is on; without one the authorization server is not there either.
    pub any_api: bool,
    /// The Standard REST API is on.
    pub rest_api: bool,
    /// The password grant is on for users.
    pub password_grant: bool,
    /// The client is enabled.
    pub client_enabled: bool,
    /// What the client is registered for.
    pub client_scopes: Vec<String>,
    /// The user may write patients' documents.
    pub user_may_write: bool,
    /// The media types on the white list.
    pub white_list: Vec<String>,
    /// Refuses a number that no patient has, as versions from August 2026 do.
    pub checks_patients: bool,
}

impl Default for OpenEmrConduct {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            any_api: true,
            rest_api: true,
            password_grant: true,
            client_enabled: true,
            client_scopes: owned(&["openid", "api:oemr", "user/document.read", "user/document.write"]),
            user_may_write: true,
            white_list: owned(&["application/pdf", "image/jpeg", "image/png", "text/plain"]),
            checks_patients: false,
        }
    }
}

/// A document in a patient's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimDocument {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub patient: String,
    /// The path of its category, as it was asked for.
    pub category: String,
    /// What it is called.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Everything that the simulator knows.
pub struct OpenEmrState {
    /// What an administrator set.
    pub conduct: OpenEmrConduct,
    /// What was stored, oldest first.
    pub documents: Vec<SimDocument>,
    /// How often tokens were given out.
    pub tokens_given: usize,
    /// What was wrong with requests, in our words.
    pub mistakes: Vec<String>,
    tokens: BTreeMap<String, (DateTime<Utc>, Vec<String>)>,
    faults: FaultSwitches,
}

impl Faulty for OpenEmrState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

/// Told of each document when it is stored, so that a test can put it where OpenEMR would: into the database.
pub type OnStored = Box<dyn Fn(&SimDocument) + Send + Sync>;

struct Shared {
    state: Observed<OpenEmrState>,
    clock: SimClock,
    on_stored: OnStored,
}

/// A running simulator with one client, one user and one site. Dropping it stops it.
pub struct OpenEmrSim {
    shared: Arc<Shared>,
    server: LoopbackServer,
}

impl OpenEmrSim {
    /// The id of the client that is registered.
    pub const CLIENT: &str = "client-of-the-sim";
    /// Its secret.
    pub const CLIENT_SECRET: &str = "client-secret-of-the-sim";
    /// The user.
    pub const USER: &str = "companion";
    /// The user's password.
    pub const PASSWORD: &str = "password-of-the-sim";

    /// Starts at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(conduct: OpenEmrConduct, clock: SimClock, on_stored: OnStored) -> io::Result<Self> {
        let state = OpenEmrState {
            conduct,
            documents: Vec::new(),
            tokens_given: 0,
            mistakes: Vec::new(),
            tokens: BTreeMap::new(),
            faults: FaultSwitches::default(),
        };
        let shared = Arc::new(Shared { state: Observed::new(state), clock, on_stored });
        let desk = Arc::clone(&shared);
        let router = |_, stopping| Router::new().fallback(handle).with_state((desk, stopping));
        Ok(Self { shared, server: LoopbackServer::start(0, router).await? })
    }

    /// Where it is opened in a browser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{ROOT}", self.server.address())
    }

    /// Looks at everything that the simulator knows.
    pub fn inspect<R>(&self, look: impl FnOnce(&OpenEmrState) -> R) -> R {
        self.shared.state.read(look)
    }

    /// Does what an administrator does.
    pub fn administer(&self, change: impl FnOnce(&mut OpenEmrConduct)) {
        self.shared.state.change(|state| change(&mut state.conduct));
    }

    /// Forgets every token that was given out, as a restart of its database would.
    pub fn revoke_tokens(&self) {
        self.shared.state.change(|state| state.tokens.clear());
    }

    /// Switches a fault on.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.shared.state.change(|state| state.faults.add(rule))
    }

    /// Switches every fault off.
    pub fn clear_faults(&self) {
        self.shared.state.change(|state| state.faults.clear(None));
    }

    /// Stops, and returns once the port is free.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

struct Arrival {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Result<Vec<u8>, String>,
}

/// A status and a body; none is `null` without a word.
type Answer = (u16, Option<Value>);

async fn handle(
    State((shared, stopping)): State<(Arc<Shared>, Stopping)>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await.map_err(|refusal| refusal.to_string());
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let arrival = Arrival {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body,
    };
    let path = arrival.path.strip_prefix(ROOT).unwrap_or_default();
    let strikes = shared.state.change(|state| state.faults.strike(None, &arrival.method, path));
    let struck = Struck::new(&shared.state, &stopping, connection, strikes);
    struck.before_effect().await;
    let now = (shared.clock)();
    let (reply, headers) = match struck.instead_of_effect() {
        Some(instead) => ((instead.status.unwrap_or_default(), None), instead.headers),
        None => (shared.state.change(|state| answer(state, &shared.on_stored, &arrival, now)), Vec::new()),
    };
    struck.after_effect().await;
    let (status, body) = reply;
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    struck.respond(Reply { status, headers, content_type: JSON, text }, "{\"tru", now)
}

fn answer(state: &mut OpenEmrState, on_stored: &OnStored, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    let parts: Vec<&str> = arrival.path.strip_prefix(ROOT).unwrap_or_default().split('/').skip(1).collect();
    match (arrival.method.as_str(), parts.as_slice()) {
        (_, ["oauth2", ..]) if !state.conduct.any_api => (404, None),
        ("POST", ["oauth2", "default", "token"]) => token(state, arrival, now),
        (_, ["apis", "default", "api", ..]) if !(state.conduct.any_api && state.conduct.rest_api) => {
            (501, None)
        }
        (method @ ("GET" | "POST"), ["apis", "default", "api", "patient", patient, "document"]) => {
            documents(state, on_stored, arrival, now, method == "POST", patient)
        }
        (method, _) => {
            state.mistakes.push(format!("{method} to nowhere"));
            (404, None)
        }
    }
}

fn refused(state: &mut OpenEmrState, status: u16, error: &str, why: &str) -> Answer {
    state.mistakes.push(why.to_owned());
    (status, Some(json!({"error": error, "error_description": "…", "message": "…"})))
}

/// The password grant; the client's secret stands in the form, as for `client_secret_post`.
fn token(state: &mut OpenEmrState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    let content_type = header_text(&arrival.headers, header::CONTENT_TYPE).unwrap_or_default();
    if !is_media_type(content_type, "application/x-www-form-urlencoded") {
        return refused(state, 400, "invalid_request", "the body is no form");
    }
    let body = arrival.body.as_deref().unwrap_or_default();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if said("grant_type") != "password" || !state.conduct.password_grant {
        return refused(state, 400, "unsupported_grant_type", "this grant is off");
    }
    if said("client_id") != OpenEmrSim::CLIENT
        || said("client_secret") != OpenEmrSim::CLIENT_SECRET
        || !state.conduct.client_enabled
    {
        return refused(state, 401, "invalid_client", "the client is not known");
    }
    let asked: Vec<String> = said("scope").split_whitespace().map(str::to_owned).collect();
    if said("user_role") != "users" {
        return refused(state, 400, "invalid_request", "user_role is missing");
    }
    if said("username") != OpenEmrSim::USER || said("password") != OpenEmrSim::PASSWORD {
        return refused(state, 400, "invalid_grant", "the user is not known");
    }
    let granted: Vec<String> =
        asked.into_iter().filter(|scope| state.conduct.client_scopes.contains(scope)).collect();
    // What holds a colon is granted and not told.
    let told: Vec<&str> = granted.iter().map(String::as_str).filter(|scope| !scope.contains(':')).collect();
    state.tokens_given += 1;
    let token = format!("sim-token-{}", state.tokens_given);
    let answer = json!({
        "id_token": "sim-id-token", "token_type": "Bearer", "expires_in": TOKEN_LIFE.num_seconds(),
        "access_token": token, "scope": told.join(" "),
    });
    state.tokens.insert(token, (now + TOKEN_LIFE, granted));
    (200, Some(answer))
}

fn documents(
    state: &mut OpenEmrState,
    on_stored: &OnStored,
    arrival: &Arrival,
    now: DateTime<Utc>,
    writes: bool,
    patient: &str,
) -> Answer {
    let sent = header_text(&arrival.headers, header::AUTHORIZATION).unwrap_or_default();
    let scopes = match sent.strip_prefix("Bearer ").and_then(|token| state.tokens.get(token)) {
        Some((until, scopes)) if now < *until => scopes.clone(),
        Some(_) | None => return refused(state, 401, "access_denied", "the token is not good"),
    };
    let needed = if writes { "user/document.write" } else { "user/document.read" };
    if !scopes.iter().any(|scope| scope == "api:oemr") {
        return refused(state, 403, "access_denied", "the token is not for this API");
    }
    if !scopes.iter().any(|scope| scope == needed) || !state.conduct.user_may_write {
        return refused(state, 401, "access_denied", "the user may not do this");
    }
    let is_patient = patient.parse::<u64>().is_ok_and(|number| number > 0);
    if !is_patient && state.conduct.checks_patients {
        return (400, Some(json!({"validationErrors": {"pid": ["Invalid pid"]}})));
    }
    let Some(category) = arrival.query.get("path").filter(|path| path.starts_with('/')).cloned() else {
        return refused(state, 404, "not_found", "there is no path");
    };
    if !writes {
        let listed: Vec<Value> = state
            .documents
            .iter()
            .filter(|document| document.patient == patient && document.category == category)
            .map(|document| json!({"id": document.id, "filename": document.name, "docdate": "2026-11-27"}))
            .collect();
        // Nothing is nothing found.
        return if listed.is_empty() { (404, None) } else { (200, Some(Value::Array(listed))) };
    }
    let (name, content) = match file_in_form(arrival) {
        Ok(file) => file,
        Err(why) => return refused(state, 400, "invalid_request", why),
    };
    let format = sniffed(&content);
    if content.is_empty() || !state.conduct.white_list.iter().any(|known| known == format) {
        state.mistakes.push(format!("{format} is not taken"));
        return (404, None);
    }
    let id = i64::try_from(state.documents.len()).unwrap_or_default() + 341;
    let document = SimDocument { id, patient: patient.to_owned(), category, name, content };
    on_stored(&document);
    state.documents.push(document);
    (200, Some(json!(true)))
}

/// The one file of a form, called `document`, with its name. Strict: every line where the standard has it.
fn file_in_form(arrival: &Arrival) -> Result<(String, Vec<u8>), &'static str> {
    let body = arrival.body.as_deref().map_err(|_| "the body did not come whole")?;
    let content_type = header_text(&arrival.headers, header::CONTENT_TYPE).unwrap_or_default();
    let boundary =
        content_type.strip_prefix("multipart/form-data; boundary=").ok_or("the body is no form")?;
    if boundary.is_empty() || boundary.len() > 70 {
        return Err("the boundary is too short or too long");
    }
    let begin = format!("--{boundary}\r\n");
    let end = format!("\r\n--{boundary}--\r\n");
    let part = body.strip_prefix(begin.as_bytes()).ok_or("the first part does not begin")?;
    let part = part.strip_suffix(end.as_bytes()).ok_or("the last part does not end")?;
    let gap = part.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the part has no headers")?;
    let (headers, content) = part.split_at(gap);
    let content = content.get(4..).unwrap_or_default();
    if content.windows(boundary.len()).any(|window| window == boundary.as_bytes()) {
        return Err("the boundary stands in the content");
    }
    let headers = std::str::from_utf8(headers).map_err(|_| "the part's headers are no text")?;
    let disposition = headers
        .lines()
        .find_map(|line| line.strip_prefix("Content-Disposition: form-data; "))
        .ok_or("the part says nothing about itself")?;
    let name =
        disposition.strip_prefix("name=\"document\"; filename=\"").and_then(|rest| rest.strip_suffix('"'));
    let name = name.ok_or("the part is not called document, or has no file name")?;
    if name.contains(['"', '/', '\\']) || !name.contains('.') || !name.is_ascii() {
        return Err("the file name cannot be used");
    }
    Ok((name.to_owned(), content.to_vec()))
}

/// What the first bytes look like, which is what OpenEMR goes by.
fn sniffed(content: &[u8]) -> &'static str {
    match content {
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [0xff, 0xd8, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'M', b'Z', ..] => "application/x-dosexec",
        _ => "text/plain",
    }
}
