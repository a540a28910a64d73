//! How many requests an hour may be sent: some services count them by the full hour, for everybody with the same key,
//! on whichever computer.
//!
//! Our own count is the floor: it holds whatever the answers say, and where they say nothing. What an answer says of
//! others' use counts where it is worse.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::failure::ReadError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Below this part of the budget nothing more is asked (Validic sheet §7).
const KEPT_BACK: u32 = 20;
/// How many seconds after the full hour computers begin again, at most, so that they do not all begin at once.
const SCATTER: u32 = 90;

/// What all accounts with one key may still ask in this hour.
#[derive(Clone)]
pub struct Budget(Arc<Mutex<Spent>>);

struct Spent {
    per_hour: u32,
    /// The full hour that is counted.
    hour: DateTime<Utc>,
    /// How many are left in it, as far as is known.
    left: u32,
    /// Nothing is asked until then: the service said that there are none left.
    closed_until: Option<DateTime<Utc>>,
    /// How long after the full hour this process begins again.
    scatter: TimeDelta,
}

impl Budget {
    /// A budget of which nothing was spent yet, as far as is known.
    pub fn of(per_hour: u32) -> Self {
        let mut byte = [0; 1];
        // Without random numbers everybody begins at once, which is no worse than not knowing of each other.
        let _ = getrandom::fill(&mut byte);
        let scatter =
            TimeDelta::seconds(i64::from(u32::from(byte.first().copied().unwrap_or(0)) * SCATTER / 255));
        let hour = DateTime::<Utc>::MIN_UTC;
        Self(Arc::new(Mutex::new(Spent { per_hour, hour, left: per_hour, closed_until: None, scatter })))
    }

    /// Takes one request out of the budget.
    ///
    /// # Errors
    /// [`ReadError::SlowDown`] until the next full hour where too few are left.
    pub fn spend(&self, now: DateTime<Utc>) -> Result<(), ReadError> {
        let mut spent = self.spent();
        spent.turn_to(now);
        if spent.closed_until.is_none() && spent.left <= spent.per_hour / KEPT_BACK {
            spent.closed_until = Some(spent.next_hour());
        }
        if let Some(again_at) = spent.closed_until {
            return Err(ReadError::SlowDown { retry_after: Some(again_at - now) });
        }
        spent.left = spent.left.saturating_sub(1);
        Ok(())
    }

    /// Takes note of what an answer says about the budget.
    pub fn heard(&self, status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) {
        let mut spent = self.spent();
        spent.turn_to(now);
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        if let Some(limit) = number("x-ratelimit-limit").filter(|limit| *limit > 0) {
            // A smaller budget than was agreed is kept; a larger one is not counted on.
            spent.per_hour = spent.per_hour.min(limit);
        }
        if let Some(left) = number("x-ratelimit-remaining") {
            spent.left = spent.left.min(left);
        }
        if status == StatusCode::TOO_MANY_REQUESTS && !headers.contains_key(RETRY_AFTER) {
            spent.closed_until = Some(spent.next_hour());
        }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// Begins a new hour where the clock says so, also where it was set back.
    fn turn_to(&mut self, now: DateTime<Utc>) {
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
        if hour != self.hour {
            self.hour = hour;
            self.left = self.per_hour;
        }
        let far = TimeDelta::hours(1) + self.scatter;
        if self.closed_until.is_some_and(|until| until <= now || until - now > far) {
            self.closed_until = None;
        }
    }

    fn next_hour(&self) -> DateTime<Utc> {
        self.hour + TimeDelta::hours(1) + self.scatter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn spend(budget: &Budget, now: DateTime<Utc>) -> usize {
        (0..5000).filter(|_| budget.spend(now).is_ok()).count()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn waits(budget: &Budget, now: DateTime<Utc>) -> TimeDelta {
        match budget.spend(now) {
            Err(ReadError::SlowDown { retry_after }) => retry_after.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_twentieth_is_kept_back_until_the_full_hour_although_no_answer_says_anything() {
        let budget = Budget::of(2000);
        assert_eq!(spend(&budget, at(10)), 1900);
        let wait = waits(&budget, at(15));
        assert!((TimeDelta::minutes(45)..=TimeDelta::minutes(47)).contains(&wait), "{wait}");
        assert_eq!(spend(&budget, at(59)), 0);
        assert_eq!(spend(&budget, at(62)), 1900);
        // The clock was set back: nothing is known of that hour.
        assert_eq!(spend(&budget, at(10)), 1900);
    }

    #[test]
    fn what_others_spend_counts_and_more_than_was_agreed_is_not_counted_on() {
        let budget = Budget::of(2000);
        budget.spend(at(1)).unwrap();
        let said = headers(&[("x-ratelimit-limit", "2000"), ("x-ratelimit-remaining", "150")]);
        budget.heard(StatusCode::OK, &said, at(1));
        assert_eq!(spend(&budget, at(2)), 50);
        let generous = headers(&[("x-ratelimit-limit", "9000"), ("x-ratelimit-remaining", "8000")]);
        budget.heard(StatusCode::OK, &generous, at(3));
        assert_eq!(spend(&budget, at(3)), 0);
        let garbled = headers(&[("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "-1")]);
        budget.heard(StatusCode::OK, &garbled, at(61));
        assert_eq!(spend(&budget, at(62)), 1900);
    }

    #[test]
    fn a_service_that_says_no_without_saying_for_how_long_is_left_alone_until_the_full_hour() {
        let budget = Budget::of(2000);
        budget.spend(at(1)).unwrap();
        budget.heard(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), at(1));
        assert!(waits(&budget, at(2)) >= TimeDelta::minutes(58));
        assert_eq!(spend(&budget, at(62)), 1900);
        // Where it says for how long, that is what counts.
        budget.heard(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "5")]), at(122));
        assert!(budget.spend(at(122)).is_ok());
    }
}
