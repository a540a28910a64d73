//! A clock that is moved by hand, and that knows when the engine sleeps.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ports::clock::Clock;
use std::sync::Arc;
use tokio::sync::watch;

/// The time, moved by hand.
#[derive(Clone)]
pub struct HandClock {
    now: Arc<watch::Sender<DateTime<Utc>>>,
    sleeper: Arc<watch::Sender<Option<DateTime<Utc>>>>,
}

impl HandClock {
    /// A clock that stands at `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now: Arc::new(watch::Sender::new(now)), sleeper: Arc::new(watch::Sender::new(None)) }
    }

    /// Moves the clock.
    pub fn move_by(&self, by: TimeDelta) {
        self.now.send_modify(|now| *now += by);
    }

    /// Moves the clock to `at`.
    pub fn move_to(&self, at: DateTime<Utc>) {
        self.now.send_modify(|now| *now = at);
    }

    /// Returns when the engine's loop sleeps until a time that has not come.
    pub async fn asleep(&self) {
        let _ = self.sleeper.subscribe().wait_for(|until| until.is_some_and(|at| at > self.now())).await;
    }

    /// Whether it does now.
    pub fn is_asleep(&self) -> bool {
        self.sleeper.borrow().is_some_and(|at| at > self.now())
    }
}

/// Takes the sleeper's name off the board when the sleep ends, whichever way.
struct Sleep<'a>(&'a HandClock);

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.0.sleeper.send_replace(None);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        let since = self.now();
        self.sleeper.send_replace(Some(at));
        let _sleep = Sleep(self);
        // A clock that is set back wakes too, as the real one does that never sleeps for long.
        let _ = self.now.subscribe().wait_for(|now| *now >= at || *now < since).await;
    }
}
