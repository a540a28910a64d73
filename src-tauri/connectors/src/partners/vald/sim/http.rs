//! The doors of all hosts: faults first, then how the request is made, then what it asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::routes::{self, Answer, Operation};
use super::rules::Refused;
use super::state::{Exchange, Mistake, SimState};
use super::{Host, Region, landing, token};
use crate::sim::door::{Instead, Reply, Struck, header_text, is_media_type};
use crate::sim::faults::Fault;
use crate::sim::{ConnectionCut, Observed, SimClock, Stopping, is_loopback_host, read_body};

const JSON: &str = "application/json; charset=utf-8";
const PROBLEM: &str = "application/problem+json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// What all hosts share.
pub struct Shared {
    pub state: Observed<SimState>,
    pub clock: SimClock,
}

impl Shared {
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// What one host's handler needs.
#[derive(Clone)]
pub struct Desk {
    pub shared: Arc<Shared>,
    pub host: Host,
    pub stopping: Stopping,
}

/// Everything that one host answers.
pub fn router(desk: Desk) -> Router {
    Router::new().fallback(handle).with_state(Arc::new(desk))
}

/// A request as it stands before the door.
struct Arrival {
    host: Host,
    account: String,
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Result<Vec<u8>, Refused>,
}

/// What the service makes of a request.
struct Outcome {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    body: Content,
}

enum Content {
    None,
    Json(Value),
    Problem(Value),
    Page(String),
}

impl Outcome {
    fn new(status: u16, body: Content) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// A refusal in the words of the host that refuses.
    fn refusal(arrival: &Arrival, refused: &Refused) -> Self {
        let body = match arrival.host {
            Host::Token => Content::Json(token::refusal(refused)),
            Host::Profiles(_) | Host::Tenants(_) => Content::Problem(refused.problem(&arrival.path)),
            Host::Hub => Content::Page(landing::not_found()),
        };
        let mut outcome = Self::new(refused.status, body);
        if refused.status == 401 {
            outcome.headers.push((header::WWW_AUTHENTICATE, "Bearer".to_owned()));
        }
        outcome
    }

    /// What is answered in the service's place, in words that could be the service's.
    fn instead(arrival: &Arrival, instead: Instead) -> Self {
        let mut outcome = match instead.status {
            Some(status) if status >= 400 => {
                Self::refusal(arrival, &Refused::unexplained(status, "struck by a fault"))
            }
            status => Self::new(status.unwrap_or_default(), Content::None),
        };
        outcome.headers.extend(instead.headers);
        outcome
    }

    fn spoil(&mut self, fault: &Fault) {
        let lists = match &mut self.body {
            Content::Json(Value::Object(body)) if *fault == Fault::DuplicateItems => body.values_mut(),
            Content::Json(_) | Content::None | Content::Problem(_) | Content::Page(_) => return,
        };
        for list in lists.filter_map(Value::as_array_mut) {
            *list = list.iter().flat_map(|item| [item.clone(), item.clone()]).collect();
        }
    }

    fn into_reply(self) -> Reply {
        let (content_type, text) = match self.body {
            Content::None => (JSON, String::new()),
            Content::Json(body) => (JSON, body.to_string()),
            Content::Problem(body) => (PROBLEM, body.to_string()),
            Content::Page(text) => (HTML, text),
        };
        let mut headers = self.headers;
        headers.push((header::CACHE_CONTROL, "no-store".to_owned()));
        if content_type == HTML {
            headers.push((header::CONTENT_SECURITY_POLICY, landing::PAGE_POLICY.to_owned()));
            headers.push((header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()));
        }
        Reply { status: self.status, headers, content_type, text }
    }
}

/// Handles every request to a host.
async fn handle(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(connection): ConnectInfo<ConnectionCut>,
    request: Request,
) -> Response {
    let shared = &desk.shared;
    let arrival = arrive(desk.host, request).await;
    let strikes = shared
        .state
        .change(|state| state.faults.strike(Some(&arrival.account), &arrival.method, &arrival.path));
    let struck = Struck::new(&shared.state, &desk.stopping, connection, strikes);
    struck.before_effect().await;
    let now = shared.now();
    let mut outcome = match struck.instead_of_effect() {
        Some(instead) => {
            shared.state.change(|state| {
                state.note_exchange(arrival.exchange(now, instead.status, false));
            });
            Outcome::instead(&arrival, instead)
        }
        None => shared.state.change(|state| act(state, &arrival, now)),
    };
    for fault in struck.faults() {
        outcome.spoil(fault);
    }
    struck.after_effect().await;
    struck.respond(outcome.into_reply(), r#"{"profiles": [{"profileId": "#, shared.now())
}

async fn arrive(host: Host, request: Request) -> Arrival {
    let (parts, body) = request.into_parts();
    // Nothing says that the service would unpack what is compressed.
    let encoding = header_text(&parts.headers, header::CONTENT_ENCODING);
    let packed = encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    let body = match read_body(&parts.headers, body).await {
        Ok(_) if packed => Err(Refused::unexplained(415, "the body is compressed")),
        Ok(bytes) => Ok(bytes),
        Err(refusal) => Err(Refused::unexplained(400, refusal.to_string())),
    };
    let mut arrival = Arrival {
        host,
        account: String::new(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    arrival.account = arrival.names_account();
    arrival
}

impl Arrival {
    /// The tenant's id that the request names, or the client's, or the region.
    fn names_account(&self) -> String {
        let parameter = |text: &str, name: &str| {
            let mut pairs = url::form_urlencoded::parse(text.as_bytes());
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
        };
        let body = self.body.as_deref().unwrap_or_default();
        let region = match self.host {
            Host::Token => {
                return parameter(&String::from_utf8_lossy(body), "client_id").unwrap_or_default();
            }
            Host::Hub => return parameter(&self.query, "tenantId").unwrap_or_default(),
            Host::Profiles(region) | Host::Tenants(region) => region,
        };
        let in_path = self.path.strip_prefix("/tenants/").and_then(|rest| rest.split('/').next());
        let in_body = || {
            let body: Value = serde_json::from_slice(body).ok()?;
            Some(body.get("tenantId")?.as_str()?.to_owned())
        };
        let named =
            in_path.map(str::to_owned).or_else(|| parameter(&self.query, "tenantId")).or_else(in_body);
        named.map_or_else(|| region.as_str().to_owned(), |tenant_id| tenant_id.to_ascii_lowercase())
    }

    fn exchange(&self, at: DateTime<Utc>, status: Option<u16>, took_effect: bool) -> Exchange {
        Exchange {
            number: 0,
            at,
            host: self.host,
            account: self.account.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
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
            return Err(Refused::unexplained(415, "Content-Type must be application/json"));
        }
        let body = serde_json::from_slice(body);
        body.map(Some).map_err(|_| Refused::explained(400, "The body is not valid JSON."))
    }
}

fn act(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Outcome {
    let number = state.next_exchange();
    let answered = answer(state, arrival, number, now);
    let (outcome, remarks) = match answered {
        Ok(answered) => answered,
        Err(refused) => (Outcome::refusal(arrival, &refused), vec![refused.reason]),
    };
    let status = outcome.status;
    state.note_exchange(arrival.exchange(now, Some(status), status < 400));
    for reason in remarks {
        state.note_mistake(Mistake {
            at: now,
            host: arrival.host,
            account: arrival.account.clone(),
            method: arrival.method.clone(),
            path: arrival.path.clone(),
            status,
            reason,
        });
    }
    outcome
}

/// What a host makes of a request, and what was taken although somebody will regret it.
type Answered = Result<(Outcome, Vec<String>), Refused>;

fn answer(state: &mut SimState, arrival: &Arrival, number: u64, now: DateTime<Utc>) -> Answered {
    match arrival.host {
        Host::Token => {
            let body = arrival.body.as_deref().map_err(Clone::clone)?;
            let (method, path) = (arrival.method.as_str(), arrival.path.as_str());
            let (body, remarks) = token::issue(state, method, path, &arrival.headers, body, now)?;
            Ok((Outcome::new(200, Content::Json(body)), remarks))
        }
        Host::Hub => open(state, arrival, now),
        Host::Profiles(region) => of_api(state, arrival, region, number, now, routes::of_profiles),
        Host::Tenants(region) => of_api(state, arrival, region, number, now, routes::of_tenants),
    }
}

fn of_api(
    state: &mut SimState,
    arrival: &Arrival,
    region: Region,
    number: u64,
    at: DateTime<Utc>,
    route: fn(&mut SimState, &Operation<'_>) -> Result<Answer, Refused>,
) -> Answered {
    let client_id = token::bearer(state, &arrival.headers, at)?;
    if let Err(seconds) = token::throttle(state, &client_id, at) {
        let mut outcome = Outcome::refusal(arrival, &Refused::unexplained(429, "too many requests"));
        outcome.headers.extend(seconds.map(|seconds| (header::RETRY_AFTER, seconds.to_string())));
        return Ok((outcome, Vec::new()));
    }
    let body = arrival.json()?;
    let operation = Operation {
        number,
        at,
        region,
        client_id: &client_id,
        method: &arrival.method,
        path: &arrival.path,
        query: &arrival.query,
        body: body.as_ref(),
    };
    let answered = route(state, &operation)?;
    let body = answered.body.map_or(Content::None, Content::Json);
    Ok((Outcome::new(answered.status, body), answered.remarks))
}

fn open(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answered {
    // A page elsewhere whose name was pointed at this computer is not shown anybody's name.
    if !is_loopback_host(header_text(&arrival.headers, header::HOST).unwrap_or_default()) {
        return Err(Refused::unexplained(403, "this page is for this computer only"));
    }
    if arrival.path == "/favicon.ico" {
        // Browsers ask for it of their own accord.
        return Ok((Outcome::new(404, Content::None), Vec::new()));
    }
    if arrival.method != "GET" || arrival.path != state.landing_path {
        return Err(Refused::unexplained(404, "this is not the landing page"));
    }
    let (page, remarks) = landing::open(state, &arrival.query, now);
    Ok((Outcome::new(200, Content::Page(page)), remarks))
}
