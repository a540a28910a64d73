//! What the tests of simulators have in common: a clock that is moved by hand, and a plain HTTP client.

use std::sync::{Arc, Mutex, Once};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;

use super::SimClock;

/// A time that is moved by hand.
#[derive(Clone)]
pub struct Hand(Arc<Mutex<DateTime<Utc>>>);

impl Hand {
    /// A clock that stands at `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// What a simulator goes by.
    pub fn clock(&self) -> SimClock {
        let hand = self.clone();
        Arc::new(move || hand.now())
    }

    /// Moves the clock.
    pub fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }

    /// What it says.
    pub fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A client that follows nothing and goes through no proxy.
pub fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().ok();
    });
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}
