//! A Provet Cloud to try things on: the token endpoint and the REST API of one practice, at one address on 127.0.0.1.
//!
//! It is written from the contract and speaks raw JSON, so that it shares no mistake with the client. It is strict:
//! whatever the service would refuse is refused and written down, and so is what it takes silently although somebody
//! will regret it ([`SimState::mistakes`]). It misbehaves on request ([`crate::sim::faults`]), and everything it knows
//! can be looked at and changed as staff change it ([`SimState`]).
//!
//! Where the contract leaves something open, this is what the simulator does:
//! - rows come by number, and in the other direction where [`Conduct::newest_first`] says so;
//! - a time without an offset is read in the practice's own zone, and noted;
//! - a filter that is not known, or whose value cannot be read, is ignored, and noted;
//! - an appointment overlaps where one of the same user is active at that time, and is refused with 400;
//! - whoever is archived is 404 by number, and stands in lists;
//! - a refusal for haste says in `Retry-After` when the next request would be taken.
//!
//! - a person who is asked to sign in agrees at once, unless [`Conduct::person_declines`];
//! - a refresh token is good for one use, and for 30 days after the latest access token.
//!
//! A fault's account is the number of the practice. Paths are below `/api/0.1`; the token's is `/oauth2/token/`.

mod clinic;
mod filters;
mod http;
mod limits;
mod rules;
mod sign_in;
mod state;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub use state::{Exchange, Mistake, SimState, Table, is_yes, last_number, time};

use crate::sim::faults::FaultRule;
use crate::sim::{LoopbackServer, Observed, SimClock, WaitedTooLong};

/// How the service conducts itself. It can be changed while it runs.
#[derive(Debug, Clone)]
pub struct Conduct {
    /// What new tokens say in `expires_in`.
    pub token_life: TimeDelta,
    /// Whether budgets are counted.
    pub throttles: bool,
    /// Whether an appointment is refused where its user has another one.
    pub refuses_conflicts: bool,
    /// Whether every appointment is refused as if its time were taken, as where something stands there that we cannot see.
    pub always_in_conflict: bool,
    /// Whether lists begin with the highest number.
    pub newest_first: bool,
    /// Filters that are ignored without a word.
    pub ignored_filters: Vec<String>,
    /// Whether a person who is asked to sign in says no.
    pub person_declines: bool,
    /// Rights that the integration's user lacks, by the name that Provet gives them.
    pub missing_rights: Vec<String>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            token_life: TimeDelta::hours(10),
            throttles: true,
            refuses_conflicts: true,
            always_in_conflict: false,
            newest_first: false,
            ignored_filters: Vec::new(),
            person_declines: false,
            missing_rights: Vec::new(),
        }
    }
}

/// What a simulator is started with. The credentials are made up.
#[derive(Debug, Clone)]
pub struct ProvetSimConfig {
    /// The number of the practice.
    pub provet_id: u64,
    /// The name of the credentials.
    pub client_id: String,
    /// Their secret; none where the client is a public one.
    pub client_secret: String,
    /// Where the browser may be sent back to after a sign-in; none where people cannot sign in.
    pub redirect_url: Option<String>,
    /// The practice's time zone.
    pub time_zone: Tz,
}

/// A running simulator. Dropping it stops it.
pub struct ProvetSim {
    shared: Arc<http::Shared>,
    server: LoopbackServer,
}

impl ProvetSim {
    /// Starts a simulator that goes by `clock`, at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start(config: ProvetSimConfig, clock: SimClock) -> io::Result<Self> {
        let shared = Arc::new(http::Shared { state: Observed::new(SimState::new(config)), clock });
        let desk = Arc::clone(&shared);
        let server = LoopbackServer::start(0, move |address, stopping| {
            desk.state.change(|state| state.host = format!("http://{address}"));
            http::router(desk, stopping)
        });
        Ok(Self { server: server.await?, shared })
    }

    /// The host, as settings have it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Looks at everything that the simulator knows.
    pub fn inspect<R>(&self, look: impl FnOnce(&SimState) -> R) -> R {
        self.shared.state.read(look)
    }

    /// Changes it as staff do, now.
    pub fn staff<R>(&self, act: impl FnOnce(&mut SimState, DateTime<Utc>) -> R) -> R {
        let now = self.shared.now();
        self.shared.state.change(|state| act(state, now))
    }

    /// Changes how it conducts itself.
    pub fn conduct(&self, change: impl FnOnce(&mut Conduct)) {
        self.shared.state.change(|state| change(&mut state.conduct));
    }

    /// Returns as soon as `condition` holds.
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

    /// Switches a fault off; false when it is not there.
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
