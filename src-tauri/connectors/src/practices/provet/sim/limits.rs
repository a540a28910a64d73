//! How many requests of each kind are taken (sheet §4): a window of 60 seconds that moves along.

use chrono::{DateTime, TimeDelta, Utc};

use super::state::SimState;

/// The rows of a page where nobody asks for more.
pub const DEFAULT_PAGE: usize = 50;

fn budget(endpoint: &str, kind: &str) -> usize {
    match (endpoint, kind) {
        ("client", "list") => 125,
        ("client", "create") => 300,
        ("client", "get") => 500,
        ("client", "patch") => 200,
        ("patient", "list") => 300,
        ("patient", "create" | "patch") => 250,
        ("patient", "get") => 1200,
        ("phonenumber", "get") => 3600,
        ("phonenumber", "delete") => 300,
        ("phonenumber", _) => 900,
        ("appointment", "list") => 300,
        ("appointment", "create" | "patch") => 500,
        ("appointment", "get") => 900,
        ("department", "list") => 300,
        ("department", _) => 1200,
        (_, "list" | "other") => 100,
        _ => 300,
    }
}

/// Counts a request of this weight; says after how many seconds to come back where there were too many.
pub fn spend(
    state: &mut SimState,
    endpoint: &str,
    kind: &str,
    weight: usize,
    now: DateTime<Utc>,
) -> Result<(), u64> {
    if !state.conduct.throttles {
        return Ok(());
    }
    let most = budget(endpoint, kind);
    let spent = state.spent.entry((endpoint.to_owned(), kind.to_owned())).or_default();
    let window = TimeDelta::seconds(60);
    while spent.front().is_some_and(|at| now - *at >= window) {
        spent.pop_front();
    }
    if spent.len() + weight <= most {
        spent.extend(std::iter::repeat_n(now, weight));
        return Ok(());
    }
    state.throttled += 1;
    let wait = spent.front().map_or(window, |oldest| window - (now - *oldest));
    Err(u64::try_from(wait.num_milliseconds().max(0)).unwrap_or_default().div_ceil(1000).max(1))
}
