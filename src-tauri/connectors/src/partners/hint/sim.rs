//! A Hint to try things on: the provider API of one practice, at an address of 127.0.0.1.
//!
//! It is written from the contract and speaks raw JSON, so that it shares no mistake with the client. It is strict:
//! whatever the service would refuse is refused and written down, and so is what it takes silently although somebody
//! will regret it ([`SimState::mistakes`]). It misbehaves on request ([`crate::sim::faults`]), and everything it knows
//! can be looked at ([`SimState`]).
//!
//! Where the contract leaves something open, this is what the simulator does:
//! - a list that is not sorted comes in another order each time;
//! - a parameter or a field that nobody described is ignored, and noted;
//! - the record id is unique for a kind in the practice, one that clashes is 422, and null clears it;
//! - a merged patient keeps our record id until somebody takes it away, unless the merge moved it;
//! - a merged patient is listed with those that were put away, and can be read and changed;
//! - throttling counts all requests within a second, and a refusal does not say how long to wait.
//!
//! A fault's account is the practice's id. Paths are below the base address.

mod http;
mod lists;
mod prepare;
mod records;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use prepare::NotThere;
pub use state::{Exchange, Mistake, SimState};

use crate::sim::faults::FaultRule;
use crate::sim::{LoopbackServer, Observed, SimClock, WaitedTooLong};

/// Whose key it is (contract sheet §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFamily {
    /// Opens the practice.
    Practice,
    /// Opens the Partner Portal's own calls, and no practice.
    Partner,
    /// Was taken back.
    Revoked,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Patients.
    Patient,
    /// Practitioners.
    Practitioner,
    /// Customer invoices.
    Invoice,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Patient, Kind::Practitioner, Kind::Invoice];

    /// As it stands in paths.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Kind::Patient => "patients",
            Kind::Practitioner => "practitioners",
            Kind::Invoice => "customer_invoices",
        }
    }
}

/// Which spelling of a time span narrows a list; the pages of the documentation differ (contract sheet §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// `updated_at[gte]=…`; the other one is ignored.
    Brackets,
    /// `updated_at={"gte":…}`; the other one is ignored.
    Json,
    /// Neither: both are ignored without a word.
    Ignored,
    /// Neither: both are refused.
    Refused,
}

/// What Hint's own matching finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// Who has the same names, or shares the birth date and the family name, or the e-mail address. Nobody put away.
    Usual,
    /// The same, and who was put away.
    WithArchived,
    /// Nobody.
    Nobody,
}

/// How the service conducts itself. It can be changed while it runs ([`HintSim::set_conduct`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    /// How many requests within a second are taken; none takes all.
    pub requests_per_second: Option<usize>,
    /// Which time spans are understood.
    pub spans: Spans,
    /// Whether `sort` is heeded.
    pub sorts: bool,
    /// Whether the headers with counts are there.
    pub counts: bool,
    /// What matching finds.
    pub matching: Matching,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            requests_per_second: Some(20),
            spans: Spans::Brackets,
            sorts: true,
            counts: true,
            matching: Matching::Usual,
        }
    }
}

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct HintSimConfig {
    /// The practice's id at Hint.
    pub practice_id: String,
    /// The name that people know.
    pub practice_name: String,
    /// Who may ask: tokens, all made up.
    pub keys: Vec<(String, KeyFamily)>,
    /// How it conducts itself at the start.
    pub conduct: Conduct,
}

impl HintSimConfig {
    /// One practice, and one token that opens it.
    #[must_use]
    pub fn one_practice(practice_id: &str, name: &str, token: &str) -> Self {
        Self {
            practice_id: practice_id.to_owned(),
            practice_name: name.to_owned(),
            keys: vec![(token.to_owned(), KeyFamily::Practice)],
            conduct: Conduct::default(),
        }
    }
}

/// A running simulator. Dropping it stops it.
pub struct HintSim {
    shared: Arc<http::Shared>,
    server: LoopbackServer,
}

impl HintSim {
    /// Starts a simulator that goes by `clock`, at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start(config: HintSimConfig, clock: SimClock) -> io::Result<Self> {
        let shared = Arc::new(http::Shared { state: Observed::new(SimState::new(config)), clock });
        let desk = Arc::clone(&shared);
        let server = LoopbackServer::start(0, |_, stopping| http::router(desk, stopping)).await?;
        Ok(Self { shared, server })
    }

    /// The base address, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api", self.server.address())
    }

    /// Looks at everything that the simulator knows.
    pub fn inspect<R>(&self, look: impl FnOnce(&SimState) -> R) -> R {
        self.shared.state.read(look)
    }

    /// A record as it stands, by Hint's id or ours.
    #[must_use]
    pub fn record(&self, kind: Kind, name: &str) -> Option<Value> {
        self.inspect(|state| state.find(kind, name).cloned())
    }

    /// Returns as soon as `condition` holds. It is looked at after each change, so no test needs to sleep.
    ///
    /// # Errors
    /// [`WaitedTooLong`] when it does not hold within `timeout` of real time.
    pub async fn wait_until(
        &self,
        condition: impl Fn(&SimState) -> bool,
        timeout: Duration,
    ) -> Result<(), WaitedTooLong> {
        self.shared.state.wait_until(condition, timeout).await
    }

    /// Switches a fault on. Returns the number by which it is removed.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.shared.state.change(|state| state.faults.add(rule))
    }

    /// Switches a fault off, and lets the requests go on that it holds back; false when it is not there.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.shared.state.change(|state| state.faults.remove(id))
    }

    /// Switches every fault off.
    pub fn clear_faults(&self) {
        self.shared.state.change(|state| state.faults.clear(None));
    }

    /// Stops, and returns once the port is free.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
