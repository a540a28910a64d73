//! The time of this computer, for tests and measurements of real processes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connectors::sim::SimClock;
use domain::ports::clock::Clock;

/// The time that the processes beside us go by too.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a real process cannot be given another time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        pause((at - self.now()).to_std().unwrap_or(Duration::ZERO)).await;
    }
}

/// The same for a simulator.
pub fn sim_clock() -> SimClock {
    Arc::new(|| SystemClock.now())
}

/// Lets time pass where time itself is what is tried: when a process is killed, or how long it is measured. Nothing
/// is waited for this way.
pub async fn pause(time: Duration) {
    // The only way to fail is the one that is meant.
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
