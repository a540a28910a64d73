//! `POST /oauth/token`, and what makes a token good (contract sheet §2).

use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::rules::{Query, Refused};
use super::state::{IssuedToken, SimState};
use super::{Standing, Throttle};
use crate::sim::door::{header_text, is_media_type};

/// What the tokens are for; mandatory.
const AUDIENCE: &str = "vald-api-external";

/// Gives a token out. The words of a refusal are for the list of mistakes; the service itself says little.
pub fn issue(
    state: &mut SimState,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<(Value, Vec<String>), Refused> {
    match (method, path) {
        ("POST", "/oauth/token") => {}
        ("POST", "/connect/token") => return Err(Refused::unexplained(401, "this endpoint is dead")),
        (_, "/oauth/token") => return Err(Refused::unexplained(405, "a token is asked for with POST")),
        _ => return Err(Refused::unexplained(404, "there is nothing here")),
    }
    if header_text(headers, header::AUTHORIZATION).is_some() {
        return Err(Refused::unexplained(401, "client id and secret belong into the form"));
    }
    let content_type = header_text(headers, header::CONTENT_TYPE).unwrap_or_default();
    if !is_media_type(content_type, "application/x-www-form-urlencoded") {
        return Err(Refused::unexplained(400, "the body must be form encoded"));
    }
    let mut form = Query::of(&String::from_utf8_lossy(body));
    let grant_type = form.required("grant_type");
    let client_id = form.required("client_id");
    let client_secret = form.required("client_secret");
    let audience = form.optional("audience");
    let remarks = form.unknown();
    form.errors.none().map_err(|refused| Refused::unexplained(400, refused.reason))?;
    if grant_type != "client_credentials" {
        return Err(Refused::unexplained(400, "grant_type must be client_credentials"));
    }
    let known = state.credentials.get(&client_id).filter(|known| known.client_secret == client_secret);
    let known = known.ok_or_else(|| Refused::unexplained(401, "client id or secret is wrong"))?;
    match known.standing {
        Standing::Good => {}
        Standing::BeforeMarch2026 => {
            return Err(Refused::unexplained(401, "the credentials are of before March 2026"));
        }
        Standing::Expired => return Err(Refused::unexplained(401, "the credentials have expired")),
    }
    match audience.as_deref() {
        Some(AUDIENCE) => {}
        Some(_) => return Err(Refused::unexplained(403, "the audience is not this service")),
        None => return Err(Refused::unexplained(403, "the audience is missing")),
    }
    let life = state.conduct.token_life;
    let number = state.tokens.len();
    let token = format!("sim-token-{number:06}-of-{client_id}");
    state.token_numbers.insert(token.clone(), number);
    let expires_at = now + life;
    state.tokens.push(IssuedToken { token: token.clone(), client_id, at: now, expires_at, revoked: false });
    let answer =
        json!({"access_token": token, "token_type": "Bearer", "expires_in": life.num_seconds().max(0)});
    Ok((answer, remarks))
}

/// How a refusal reads at the token endpoint.
pub fn refusal(refused: &Refused) -> Value {
    match refused.status {
        400 => json!({"error": "invalid_request"}),
        401 => json!({"error": "access_denied", "error_description": "Unauthorized"}),
        403 => json!({"error": "access_denied"}),
        _ => json!({"error": "not_found"}),
    }
}

/// The client that a bearer token was given to.
pub fn bearer(state: &SimState, headers: &HeaderMap, now: DateTime<Utc>) -> Result<String, Refused> {
    let refused = |why: &str| Refused::unexplained(401, why);
    let sent = header_text(headers, header::AUTHORIZATION).ok_or_else(|| refused("there is no token"))?;
    let token = sent.strip_prefix("Bearer ").ok_or_else(|| refused("this is no bearer token"))?;
    if token.contains('{') {
        return Err(refused("a placeholder was sent in place of a token"));
    }
    let number = state.token_numbers.get(token).ok_or_else(|| refused("the token was never given out"))?;
    let issued = state.tokens.get(*number).ok_or_else(|| refused("the token was never given out"))?;
    if issued.revoked {
        return Err(refused("the token was revoked"));
    }
    if now >= issued.expires_at {
        return Err(refused("the token has expired"));
    }
    Ok(issued.client_id.clone())
}

/// Counts a request of a client; says after how many seconds to come back when there were too many (contract
/// sheet §5).
pub fn throttle(state: &mut SimState, client_id: &str, now: DateTime<Utc>) -> Result<(), Option<u64>> {
    let Some(Throttle { requests, per, says_when }) = state.conduct.throttle else { return Ok(()) };
    let recent = state.recent.entry(client_id.to_owned()).or_default();
    while recent.front().is_some_and(|at| now - *at >= per) {
        recent.pop_front();
    }
    if recent.len() < requests {
        recent.push_back(now);
        return Ok(());
    }
    state.throttled += 1;
    let wait = recent.front().map(|oldest| per - (now - *oldest)).unwrap_or(per);
    // A whole second more is never too early.
    let seconds = u64::try_from(wait.num_milliseconds().max(0)).unwrap_or_default().div_ceil(1000).max(1);
    Err(says_when.then_some(seconds))
}
