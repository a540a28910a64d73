//! How long to wait before trying again.

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::ReadError;

/// Nobody is waited for any longer, whatever they ask for.
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Whether a pause until `until` still lasts. One that would last longer than any does not: the computer's clock was set
/// back.
pub fn is_pause(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < until && until - now <= LONGEST_PAUSE
}

/// Waits between a second and a quarter of a minute, the longer the longer it has gone wrong already.
///
/// It needs no counter: what has failed for a second is tried after a second. It has so near an end because a booking
/// that is made in the moment of recovery has to be seen within twenty seconds (sheet §6).
pub fn backoff(failing_since: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    ((now - failing_since) / 3).clamp(TimeDelta::seconds(1), TimeDelta::seconds(15))
}

/// When to try again after `error`. Refused credentials and missing consent are tried at most once a minute
/// (`interface.md`), or at once when the settings change.
pub fn after(
    error: &ReadError,
    poll: TimeDelta,
    failing_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let wait = match error {
        ReadError::NotAuthorised
        | ReadError::SignInNeeded
        | ReadError::NoConsent
        | ReadError::Misfit(_)
        | ReadError::OwnProfile(_)
        | ReadError::Invalid(_) => TimeDelta::seconds(60),
        ReadError::SlowDown { retry_after } => {
            let asked = retry_after.unwrap_or(TimeDelta::zero());
            asked.clamp(TimeDelta::zero(), LONGEST_PAUSE).max(backoff(failing_since, now)).max(poll)
        }
        ReadError::Unreachable(_) | ReadError::Garbled(_) | ReadError::NotFound => {
            poll.max(backoff(failing_since, now))
        }
    };
    now + wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_with_the_outage_and_has_an_end() {
        let start = DateTime::UNIX_EPOCH;
        let wait = |seconds: i64| backoff(start, start + TimeDelta::seconds(seconds)).num_seconds();
        assert_eq!([wait(0), wait(3), wait(30), wait(180), wait(100_000)], [1, 1, 10, 15, 15]);
    }

    #[test]
    fn what_the_other_side_asks_for_is_honoured() {
        let (poll, now) = (TimeDelta::seconds(5), DateTime::UNIX_EPOCH);
        let wait = |error: &ReadError| (after(error, poll, now, now) - now).num_seconds();
        assert_eq!(wait(&ReadError::SlowDown { retry_after: Some(TimeDelta::seconds(42)) }), 42);
        assert_eq!(wait(&ReadError::SlowDown { retry_after: None }), 5);
        assert_eq!(wait(&ReadError::SlowDown { retry_after: Some(TimeDelta::days(9)) }), 600);
        assert_eq!(wait(&ReadError::NotAuthorised), 60);
        assert_eq!(wait(&ReadError::NoConsent), 60);
        assert_eq!(wait(&ReadError::Unreachable("x".into())), 5);
    }
}
