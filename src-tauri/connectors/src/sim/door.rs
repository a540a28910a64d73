//! How faults strike a request: what waits, what is answered instead, what is cut off, and what is spoilt.
//!
//! What an answer says is the partner's matter; how it comes to grief is the same for all.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};

use std::time::Duration;

use super::faults::{Fault, FaultSwitches, Strike};
use super::{ConnectionCut, Observed, Stopping};

/// A simulator's state that has faults to be struck by.
pub trait Faulty {
    /// Those that are switched on.
    fn faults(&self) -> &FaultSwitches;
}

/// Everything that a service would send, before a fault spoils it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status; 0 stands for none at all, because the connection was cut.
    pub status: u16,
    /// Headers beside those that every answer has.
    pub headers: Vec<(HeaderName, String)>,
    /// Of a body that is not empty.
    pub content_type: &'static str,
    /// The body.
    pub text: String,
}

/// What is answered in the service's place, apart from its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// The HTTP status; none when the connection was cut.
    pub status: Option<u16>,
    /// `Retry-After` or `Location`.
    pub headers: Vec<(HeaderName, String)>,
}

/// A request, and the faults that strike it.
pub struct Struck<'s, S> {
    state: &'s Observed<S>,
    stopping: Stopping,
    connection: ConnectionCut,
    strikes: Vec<Strike>,
}

impl<'s, S: Faulty> Struck<'s, S> {
    /// A request that came in on `connection`, and what strikes it.
    pub fn new(
        state: &'s Observed<S>,
        stopping: &Stopping,
        connection: ConnectionCut,
        strikes: Vec<Strike>,
    ) -> Self {
        Self { state, stopping: stopping.clone(), connection, strikes }
    }

    /// The faults, in the order in which they were added.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.strikes.iter().map(|strike| &strike.fault)
    }

    /// Waits as long as the request is held back before its effect.
    pub async fn before_effect(&self) {
        for strike in &self.strikes {
            if let Some(delay) = strike.fault.delay_before_effect() {
                self.hold_back(strike.rule, delay).await;
            }
        }
    }

    /// The answer of a fault that keeps the service from seeing the request.
    pub fn instead_of_effect(&self) -> Option<Instead> {
        self.faults().find_map(|fault| self.instead_of(fault))
    }

    /// Waits as long as the answer is held back, and loses it where a fault says so.
    pub async fn after_effect(&self) {
        for strike in &self.strikes {
            if let Some(delay) = strike.fault.delay_after_effect() {
                self.hold_back(strike.rule, delay).await;
            }
            if strike.fault == Fault::CutAfterEffect {
                self.connection.cut();
            }
        }
    }

    /// The answer as it goes out. `garbled` is what a garbled one reads.
    pub fn respond(&self, reply: Reply, garbled: &str, now: DateTime<Utc>) -> Response {
        // What has no body has nothing to spoil.
        let strikes_with =
            |fault: &Fault| reply.status != 204 && self.faults().any(|strikes| strikes == fault);
        let truncated = strikes_with(&Fault::TruncatedBody);
        let text = if strikes_with(&Fault::GarbledJson) { garbled.to_owned() } else { reply.text };
        let mut response = Response::new(Body::empty());
        // Status 0 is a connection that has been cut: whatever stands here is never sent.
        *response.status_mut() =
            StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let content_type = (!text.is_empty()).then(|| (header::CONTENT_TYPE, reply.content_type.to_owned()));
        for (name, value) in reply.headers.into_iter().chain(content_type).chain([(header::DATE, date)]) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if truncated {
            let promised = text.len().max(64);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
            *response.body_mut() = half_of(text);
        } else {
            *response.body_mut() = Body::from(text);
        }
        response
    }

    /// Waits until the time is up, the fault is switched off, or the server stops (which cuts the connection).
    async fn hold_back(&self, rule: u64, delay: Duration) {
        let mut stopping = self.stopping.clone();
        let switched_off = self.state.wait_until(|state| !state.faults().contains(rule), delay);
        tokio::select! {
            // Both ends of this wait are alike: the request goes on.
            _ = switched_off => {}
            () = stopping.wait() => self.connection.cut(),
        }
    }

    fn instead_of(&self, fault: &Fault) -> Option<Instead> {
        let status = |status: u16| Some(Instead { status: Some(status), headers: Vec::new() });
        let busy = |status: u16, seconds: Option<u64>| {
            let headers = seconds.map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
            Some(Instead { status: Some(status), headers: headers.into_iter().collect() })
        };
        match fault {
            Fault::Refuse => {
                self.connection.cut();
                Some(Instead { status: None, headers: Vec::new() })
            }
            Fault::Unauthorised => status(401),
            Fault::Forbidden => status(403),
            Fault::TooManyRequests { retry_after_seconds } => busy(429, *retry_after_seconds),
            Fault::ServerError => status(500),
            Fault::Unavailable { retry_after_seconds } => busy(503, *retry_after_seconds),
            Fault::Redirect { to } => {
                Some(Instead { status: Some(302), headers: vec![(header::LOCATION, to.clone())] })
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
}

/// A header that is there and says something.
pub fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// True when a `Content-Type` is `wanted`, with or without parameters.
pub fn is_media_type(content_type: &str, wanted: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
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
