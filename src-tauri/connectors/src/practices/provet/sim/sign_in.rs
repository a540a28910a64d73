//! People who sign in in the browser (sheet §2): the page that asks them, the code with PKCE (RFC 7636), and refresh
//! tokens that are replaced with each use.

use std::collections::BTreeMap;

use axum::http::header;
use base64::Engine as _;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::{Outcome, give_token};
use super::state::SimState;

/// A code is good for so long (RFC 6749 §4.1.2).
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);
/// A refresh token is good for so long after the latest access token.
const REFRESH_LIFE: TimeDelta = TimeDelta::days(30);

/// Codes and refresh tokens that are good.
#[derive(Default)]
pub struct SignIns {
    given: u64,
    codes: BTreeMap<String, Code>,
    refresh: BTreeMap<String, DateTime<Utc>>,
}

struct Code {
    redirect: String,
    challenge: String,
    ends_at: DateTime<Utc>,
}

impl SimState {
    /// Everybody who signed in has to do so again: an administrator took it back. Tokens end with it.
    pub fn end_sign_ins(&mut self) {
        self.sign_ins.refresh.clear();
        self.tokens.clear();
    }

    /// Every token ends, but whoever signed in can renew it.
    pub fn end_tokens(&mut self) {
        self.tokens.clear();
    }

    /// The refresh tokens that are good.
    pub fn refresh_tokens(&self) -> impl Iterator<Item = &str> {
        self.sign_ins.refresh.keys().map(String::as_str)
    }
}

fn refused(error: &str, reason: &str) -> Outcome {
    Outcome::refused(400, json!({"error": error}), reason)
}

/// The page on which a person agrees, as if somebody pressed the button at once.
pub fn authorize(state: &mut SimState, query: &str, now: DateTime<Utc>) -> Outcome {
    let asked: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let given = |key: &str| asked.get(key).map(String::as_str);
    let back = given("redirect_uri").unwrap_or_default().to_owned();
    let is_registered = state.config.redirect_url.as_deref().is_some_and(|known| is_same(known, &back));
    if given("client_id") != Some(state.config.client_id.as_str()) || !is_registered {
        // The browser is sent nowhere that nobody registered.
        return refused("invalid_request", "the client or its redirect_uri is not registered");
    }
    let send = |pairs: &[(&str, &str)]| {
        let mut answer = url::form_urlencoded::Serializer::new(String::new());
        answer.extend_pairs(pairs);
        if let Some(state) = given("state") {
            answer.append_pair("state", state);
        }
        let mut outcome = Outcome::new(302, Value::Null);
        outcome.headers.push((header::LOCATION, format!("{back}?{}", answer.finish())));
        outcome
    };
    if given("response_type") != Some("code") {
        return send(&[("error", "unsupported_response_type")]);
    }
    let challenge = given("code_challenge").filter(|challenge| challenge.len() == 43).unwrap_or_default();
    if given("code_challenge_method") != Some("S256") || challenge.is_empty() || given("state").is_none() {
        return send(&[("error", "invalid_request")]);
    }
    if given("scope") != Some("restapi") {
        return send(&[("error", "invalid_scope")]);
    }
    if state.conduct.person_declines {
        return send(&[("error", "access_denied")]);
    }
    state.sign_ins.given += 1;
    let code = format!("provet-sim-code-{:06}", state.sign_ins.given);
    let kept = Code { redirect: back.clone(), challenge: challenge.to_owned(), ends_at: now + CODE_LIFE };
    state.sign_ins.codes.insert(code.clone(), kept);
    send(&[("code", &code)])
}

/// Whether an address to come back to is the one that is registered. A registered one without a port fits any (RFC 8252
/// §7.3).
fn is_same(known: &str, back: &str) -> bool {
    let (Ok(known), Ok(back)) = (url::Url::parse(known), url::Url::parse(back)) else { return false };
    let mut at_any_port = back.clone();
    known == back || known.port().is_none() && at_any_port.set_port(None).is_ok() && known == at_any_port
}

/// Takes a code, once.
pub fn exchange<'f>(
    state: &mut SimState,
    field: impl Fn(&str) -> Option<&'f str>,
    now: DateTime<Utc>,
) -> Outcome {
    let Some(code) = field("code").and_then(|code| state.sign_ins.codes.remove(code)) else {
        return refused("invalid_grant", "the code is not known, or was used before");
    };
    let verifier = field("code_verifier").unwrap_or_default();
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    if code.ends_at <= now || challenge != code.challenge {
        return refused("invalid_grant", "the code is too old, or the verifier does not fit it");
    }
    if field("redirect_uri") != Some(code.redirect.as_str()) {
        return refused("invalid_grant", "the redirect_uri is not that of the question");
    }
    give(state, now)
}

/// Takes a refresh token, once.
pub fn renew<'f>(
    state: &mut SimState,
    field: impl Fn(&str) -> Option<&'f str>,
    now: DateTime<Utc>,
) -> Outcome {
    let token = field("refresh_token").unwrap_or_default();
    match state.sign_ins.refresh.remove(token) {
        Some(ends_at) if now < ends_at => give(state, now),
        Some(_) | None => Outcome::new(400, json!({"error": "invalid_grant"})),
    }
}

fn give(state: &mut SimState, now: DateTime<Utc>) -> Outcome {
    state.sign_ins.given += 1;
    let refresh = format!("provet-sim-refresh-{:06}", state.sign_ins.given);
    state.sign_ins.refresh.insert(refresh.clone(), now + REFRESH_LIFE);
    let mut answer = give_token(state, now);
    answer.insert("refresh_token".to_owned(), json!(refresh));
    Outcome::new(200, Value::Object(answer))
}
