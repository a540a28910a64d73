//! Faults that a simulator can be told to have: what goes wrong, for whom, on which requests, how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What goes wrong. "Effect" is what the partner does with the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// The connection is closed before the effect.
    Refuse,
    /// The effect happens, and the answer is lost with the connection.
    CutAfterEffect,
    /// The request waits before the effect. A caller that gives up in time leaves no effect.
    Slow {
        /// How long, in real milliseconds.
        milliseconds: u64,
    },
    /// The effect happens at once, and the answer waits.
    SlowAnswer {
        /// How long, in real milliseconds.
        milliseconds: u64,
    },
    /// 401, no effect.
    Unauthorised,
    /// 403, no effect.
    Forbidden,
    /// 429, no effect; with `Retry-After` when given.
    TooManyRequests {
        /// Value of the header, in seconds.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// 500, no effect.
    ServerError,
    /// 503, no effect; with `Retry-After` when given.
    Unavailable {
        /// Value of the header, in seconds.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// The effect happens, and the answer is not JSON although it says so.
    GarbledJson,
    /// The effect happens, and the connection ends in the middle of the answer.
    TruncatedBody,
    /// Every item of a paged list is delivered twice.
    DuplicateItems,
    /// A paged list lies about how much there is.
    WrongPageTotals {
        /// What `totalPages` says.
        total_pages: i64,
        /// What `total` says.
        total: i64,
    },
    /// 302 to somewhere else, no effect.
    Redirect {
        /// Value of `Location`.
        to: String,
    },
    /// A webhook is never sent. This and the next two strike what the simulator sends, not what it gets;
    /// a rule's path is then the list that the webhook points to, such as `/requests/bookings`.
    LostCallback,
    /// A webhook is sent twice.
    DuplicateCallback,
    /// A webhook is kept back until a later one for the same listener has been sent.
    OvertakenCallback,
}

/// A fault, and the requests that it strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// Only the requests of this account (for Healthengine: practice id; for VALD: what its simulator says).
    /// Absent: everyone's.
    #[serde(default)]
    pub account: Option<String>,
    /// Only requests with this method. Absent: any.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths like this, below the base URL; `*` stands for any run of characters. Absent: any.
    #[serde(default)]
    pub path: Option<String>,
    /// This many matching requests pass unharmed first; 2 strikes from the third on.
    #[serde(default)]
    pub skip: u32,
    /// It strikes this many times, and is spent then. Absent: until it is removed.
    #[serde(default)]
    pub times: Option<u32>,
}

impl FaultRule {
    /// Strikes every request until it is removed.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { fault, account: None, method: None, path: None, skip: 0, times: None }
    }

    /// Strikes the next matching request only.
    #[must_use]
    pub fn once(fault: Fault) -> Self {
        Self { times: Some(1), ..Self::always(fault) }
    }

    /// Narrows it to one account.
    #[must_use]
    pub fn for_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Narrows it to a method and a path pattern.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// Lets `skip` matching requests pass first, and strikes `times` times then.
    #[must_use]
    pub fn after(mut self, skip: u32, times: u32) -> Self {
        self.skip = skip;
        self.times = Some(times);
        self
    }

    fn matches(&self, account: Option<&str>, method: &str, path: &str) -> bool {
        self.account.as_deref().is_none_or(|wanted| account == Some(wanted))
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|pattern| path_matches(pattern, path))
    }
}

/// A rule that is switched on, with its number and what it has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Names the rule when it is removed.
    pub id: u64,
    /// The rule.
    pub rule: FaultRule,
    /// How many requests it has struck.
    pub struck: u32,
    seen: u32,
}

/// A fault that strikes a request, and the rule that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// The rule's number.
    pub rule: u64,
    /// What goes wrong.
    pub fault: Fault,
}

/// All faults that are switched on.
#[derive(Debug, Clone, Default)]
pub struct FaultSwitches {
    active: Vec<ActiveFault>,
    last_id: u64,
}

impl FaultSwitches {
    /// Switches a fault on and returns the number by which it is removed.
    pub fn add(&mut self, rule: FaultRule) -> u64 {
        self.last_id += 1;
        self.active.push(ActiveFault { id: self.last_id, rule, struck: 0, seen: 0 });
        self.last_id
    }

    /// Switches one off; false when it is not there.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    /// Switches all off, or all of one account.
    pub fn clear(&mut self, account: Option<&str>) {
        self.active.retain(|active| account.is_some() && active.rule.account.as_deref() != account);
    }

    /// What is switched on, oldest first. A rule that is spent stays listed until it is removed.
    #[must_use]
    pub fn active(&self) -> &[ActiveFault] {
        &self.active
    }

    /// Counts a request, and returns the faults that strike it, in the order in which they were added.
    pub fn strike(&mut self, account: Option<&str>, method: &str, path: &str) -> Vec<Strike> {
        self.strike_those(|rule| !rule.fault.is_of_callbacks() && rule.matches(account, method, path))
    }

    /// Counts a webhook, and returns the faults that strike it, in the order in which they were added.
    pub fn strike_callback(&mut self, account: Option<&str>, method: &str, path: &str) -> Vec<Strike> {
        self.strike_those(|rule| rule.fault.is_of_callbacks() && rule.matches(account, method, path))
    }

    fn strike_those(&mut self, matches: impl Fn(&FaultRule) -> bool) -> Vec<Strike> {
        let mut strikes = Vec::new();
        for active in &mut self.active {
            if !matches(&active.rule) {
                continue;
            }
            active.seen = active.seen.saturating_add(1);
            let spent = active.rule.times.is_some_and(|times| active.struck >= times);
            if active.seen > active.rule.skip && !spent {
                active.struck = active.struck.saturating_add(1);
                strikes.push(Strike { rule: active.id, fault: active.rule.fault.clone() });
            }
        }
        strikes
    }

    /// True while the rule is still there, spent or not.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.active.iter().any(|active| active.id == id)
    }
}

impl Fault {
    /// True for the faults that strike what the simulator sends of itself.
    fn is_of_callbacks(&self) -> bool {
        matches!(self, Self::LostCallback | Self::DuplicateCallback | Self::OvertakenCallback)
    }

    /// For the faults that only take time: how much.
    #[must_use]
    pub fn delay_before_effect(&self) -> Option<Duration> {
        if let Self::Slow { milliseconds } = self { Some(Duration::from_millis(*milliseconds)) } else { None }
    }

    /// For the faults that hold the answer back: how long.
    #[must_use]
    pub fn delay_after_effect(&self) -> Option<Duration> {
        if let Self::SlowAnswer { milliseconds } = self {
            Some(Duration::from_millis(*milliseconds))
        } else {
            None
        }
    }
}

/// Compares a path with a pattern in which `*` stands for any run of characters.
fn path_matches(pattern: &str, path: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let Some(last) = pattern.contains('*').then(|| pieces.next_back()).flatten() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for piece in pieces {
        let Some(found) = rest.split_once(piece) else { return false };
        rest = found.1;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_paths_it_describes_and_no_others() {
        for (pattern, path, expected) in [
            ("/requests", "/requests", true),
            ("/requests", "/requests/bookings", false),
            ("/requests*", "/requests/bookings", true),
            ("/bookings/*/confirmInsert", "/bookings/12/confirmInsert", true),
            ("/bookings/*/confirmInsert", "/bookings/12/rejectInsert", false),
            ("/bookings/*/confirmUpdate/*", "/bookings/1/confirmUpdate/7", true),
            ("*", "/anything", true),
            ("/a*/b*/c", "/aa/bb/cc", false),
        ] {
            assert_eq!(path_matches(pattern, path), expected, "{pattern} against {path}");
        }
    }

    #[test]
    fn a_rule_strikes_the_nth_request_as_often_as_it_says() {
        let mut switches = FaultSwitches::default();
        let id = switches.add(FaultRule::always(Fault::ServerError).on("GET", "/requests").after(1, 2));
        let mut strikes = || !switches.strike(Some("1"), "GET", "/requests").is_empty();
        assert_eq!([strikes(), strikes(), strikes(), strikes()], [false, true, true, false]);
        assert!(switches.strike(Some("1"), "POST", "/requests").is_empty());
        assert!(switches.contains(id));
        assert!(switches.remove(id));
        assert!(!switches.remove(id));
    }

    #[test]
    fn faults_of_webhooks_and_of_requests_do_not_count_for_one_another() {
        let mut switches = FaultSwitches::default();
        switches.add(FaultRule::once(Fault::LostCallback));
        switches.add(FaultRule::once(Fault::Refuse));
        let struck =
            |strikes: Vec<Strike>| strikes.into_iter().map(|strike| strike.fault).collect::<Vec<_>>();
        assert_eq!(struck(switches.strike(None, "GET", "/requests")), [Fault::Refuse]);
        assert_eq!(
            struck(switches.strike_callback(None, "POST", "/requests/bookings")),
            [Fault::LostCallback]
        );
        assert!(switches.strike_callback(None, "POST", "/requests/bookings").is_empty());
    }

    #[test]
    fn clearing_one_account_leaves_the_others() {
        let mut switches = FaultSwitches::default();
        switches.add(FaultRule::always(Fault::Refuse).for_account("1"));
        switches.add(FaultRule::always(Fault::Refuse).for_account("2"));
        switches.clear(Some("1"));
        assert!(switches.strike(Some("1"), "GET", "/x").is_empty());
        assert_eq!(switches.strike(Some("2"), "GET", "/x").len(), 1);
        switches.clear(None);
        assert!(switches.active().is_empty());
    }

    #[test]
    fn a_rule_is_written_as_the_page_writes_it() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"fault": {"kind": "tooManyRequests", "retryAfterSeconds": 9}, "times": 2}"#,
        )
        .unwrap();
        assert_eq!(rule.fault, Fault::TooManyRequests { retry_after_seconds: Some(9) });
        assert_eq!(rule.times, Some(2));
        assert!(
            serde_json::from_str::<FaultRule>(r#"{"fault": {"kind": "refuse"}, "sometimes": 1}"#).is_err()
        );
    }
}
