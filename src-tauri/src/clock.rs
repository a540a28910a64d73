//! The time of this computer: the only place that asks for it.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ports::clock::Clock;
use std::time::Duration;

/// Nobody sleeps longer than this at a stretch. Timers stand still while the computer sleeps, so this is how soon after
/// waking the engine notices that it is late.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// The clock of this computer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that waits for a time")]
    async fn sleep_until(&self, at: DateTime<Utc>) {
        tokio::time::sleep(nap(at - self.now())).await;
    }
}

/// A moment longer than what is left, so that nobody wakes just before the time and has to doze again.
fn nap(left: TimeDelta) -> Duration {
    left.to_std().map_or(Duration::ZERO, |left| (left + Duration::from_millis(1)).min(LONGEST_NAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_are_short_and_never_negative() {
        assert_eq!(nap(TimeDelta::seconds(-5)), Duration::ZERO);
        assert_eq!(nap(TimeDelta::milliseconds(20)), Duration::from_millis(21));
        assert_eq!(nap(TimeDelta::hours(9)), LONGEST_NAP);
    }

    #[tokio::test]
    async fn what_is_past_is_not_waited_for() {
        let clock = SystemClock;
        let deadline = Duration::from_secs(5);
        let past = clock.now() - TimeDelta::hours(1);
        tokio::time::timeout(deadline, clock.sleep_until(past)).await.expect("returns at once");
        let soon = clock.now() + TimeDelta::milliseconds(5);
        tokio::time::timeout(deadline, clock.sleep_until(soon)).await.expect("returns soon");
        assert!(clock.now() >= soon);
    }
}
