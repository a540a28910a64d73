//! The time of day, and waiting for it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// The time. In tests it is moved by hand.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> DateTime<Utc>;

    /// Returns at `at` or a little after, and at once when that is past. May return early; callers look again.
    async fn sleep_until(&self, at: DateTime<Utc>);
}
