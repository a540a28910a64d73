//! What the service knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Conduct, ValidicSimConfig};
use crate::sim::door::Faulty;
use crate::sim::faults::FaultSwitches;
use crate::sim::journal::push_within;

/// How many requests are kept.
const RECEIVED_KEPT: usize = 5000;
/// How long a name that was removed stays reserved (contract sheet §9).
const RESERVED_FOR: TimeDelta = TimeDelta::minutes(5);

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimUser {
    /// The service's own id.
    pub id: String,
    /// The name that we chose.
    pub uid: String,
    /// What opens the user's page.
    pub token: String,
    /// Where the user is, as it was sent; New York where it was not.
    pub timezone: String,
    /// The country, likewise.
    pub country_code: Option<String>,
    /// What is connected, and since when.
    pub sources: BTreeMap<String, DateTime<Utc>>,
    /// When the user was made.
    pub created_at: DateTime<Utc>,
    /// When anything about the user changed last.
    pub updated_at: DateTime<Utc>,
}

/// Something was connected or disconnected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimConnection {
    /// Its number.
    pub id: u64,
    /// Whether it was connected.
    pub connected: bool,
    /// The kind of device.
    pub kind: String,
    /// Whose, by the service's id.
    pub user_id: String,
    /// Whose, by the name that we chose.
    pub uid: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A request as it came, every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub at: DateTime<Utc>,
    /// `GET`
    pub method: String,
    /// The path.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// Every header, a line each.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer; 0 where there was none.
    pub status: u16,
}

/// Everything that the service knows.
pub struct SimState {
    /// Where it listens.
    pub address: String,
    /// The organisation's id.
    pub organization_id: String,
    /// Its token.
    pub token: String,
    /// How it conducts itself.
    pub conduct: Conduct,
    /// Faults.
    pub faults: FaultSwitches,
    /// Who is there, by name.
    pub users: BTreeMap<String, SimUser>,
    /// Every name that ever was there, and how often it was made.
    pub made: BTreeMap<String, u32>,
    /// Everything that was ever connected and disconnected.
    pub connections: Vec<SimConnection>,
    /// What came in, oldest first.
    pub received: VecDeque<Received>,
    /// Requests in the full hour that is counted.
    pub spent: (DateTime<Utc>, u32),
    /// Requests that came although the budget was spent.
    pub beyond: u32,
    /// Names that were removed, and when.
    pub removed: BTreeMap<String, DateTime<Utc>>,
    /// The tokens of pages that do not work any more.
    pub former_tokens: BTreeSet<String>,
    numbers: u64,
}

impl Faulty for SimState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

impl SimState {
    pub(super) fn new(config: ValidicSimConfig) -> Self {
        Self {
            address: String::new(),
            organization_id: config.organization_id,
            token: config.token,
            conduct: config.conduct,
            faults: FaultSwitches::default(),
            users: BTreeMap::new(),
            made: BTreeMap::new(),
            connections: Vec::new(),
            received: VecDeque::new(),
            spent: (DateTime::<Utc>::MIN_UTC, 0),
            beyond: 0,
            removed: BTreeMap::new(),
            former_tokens: BTreeSet::new(),
            numbers: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn note(&mut self, received: Received) {
        push_within(&mut self.received, received, RECEIVED_KEPT);
    }

    /// Every byte that came in, as text.
    #[must_use]
    pub fn everything_received(&self) -> String {
        let whole = |received: &Received| {
            let body = String::from_utf8_lossy(&received.body);
            let Received { method, path, query, headers, .. } = received;
            format!("{method} {path}?{query}\n{headers}\n{body}\n")
        };
        self.received.iter().map(whole).collect()
    }

    /// Makes a user; none where the name is there, or was until a moment ago.
    pub(super) fn make(
        &mut self,
        uid: &str,
        (timezone, country_code): (Option<&str>, Option<&str>),
        now: DateTime<Utc>,
    ) -> Option<&SimUser> {
        let reserved = self.removed.get(uid).is_some_and(|at| now - *at < RESERVED_FOR);
        if self.users.contains_key(uid) || reserved {
            return None;
        }
        let user = SimUser {
            id: format!("{:024x}", self.number()),
            uid: uid.to_owned(),
            token: self.new_token(),
            timezone: timezone.unwrap_or("America/New_York").to_owned(),
            country_code: country_code.map(str::to_owned),
            sources: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        *self.made.entry(uid.to_owned()).or_default() += 1;
        self.users.insert(uid.to_owned(), user);
        self.users.get(uid)
    }

    fn new_token(&mut self) -> String {
        format!("page-token-{:032x}", self.number())
    }

    pub(super) fn renew(&mut self, uid: &str, now: DateTime<Utc>) -> Option<&SimUser> {
        let token = self.new_token();
        let user = self.users.get_mut(uid)?;
        self.former_tokens.insert(std::mem::replace(&mut user.token, token));
        user.updated_at = now;
        Some(user)
    }

    pub(super) fn remove(&mut self, uid: &str, now: DateTime<Utc>) -> Option<SimUser> {
        let user = self.users.remove(uid)?;
        self.removed.insert(uid.to_owned(), now);
        Some(user)
    }

    pub(super) fn connect(&mut self, uid: &str, kind: &str, connected: bool, now: DateTime<Utc>) -> bool {
        let id = self.number();
        let Some(user) = self.users.get_mut(uid) else { return false };
        let moved = match connected {
            true => user.sources.insert(kind.to_owned(), now).is_none(),
            false => user.sources.remove(kind).is_some(),
        };
        if moved {
            let (user_id, uid) = (user.id.clone(), user.uid.clone());
            let connection = SimConnection { id, connected, kind: kind.to_owned(), user_id, uid, at: now };
            self.connections.push(connection);
        }
        true
    }
}
