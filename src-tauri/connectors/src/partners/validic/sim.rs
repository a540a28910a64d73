//! A Validic to try things on: users, their pages, what they connect, the budget of an hour, in the form of Inform v2 and
//! in that of the guide of 2015, on 127.0.0.1.
//!
//! It is written from the contract and speaks raw JSON, so that it shares no mistake with the client. It keeps every byte
//! that it received ([`SimState::received`]), so that a test can look for what must never be sent. It misbehaves on
//! request ([`crate::sim::faults`]); the account of a fault is the organisation's id.
//!
//! Where the contract leaves something open, this is what the simulator does:
//! - a name that is there already gets the status of [`Conduct::name_taken`], and refusals come in the shape of
//!   [`Conduct::shape`];
//! - requests of a token are counted by the full hour, whatever they get, and those beyond the budget get 429 without
//!   `Retry-After`;
//! - pages of connections are given out by `page` and `limit` where [`Conduct::pages`] says so, and else the first page
//!   comes whatever is asked for;
//! - the form of 2015 lists users with their names, as [`Conduct::lists_names`] says, and leaves `offset` of them out;
//! - a name that was removed may be used again after five minutes;
//! - the page of a patient is served here, with a button for each of some devices.

mod http;
mod page;
mod routes;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use state::{Received, SimConnection, SimState, SimUser};

use crate::sim::faults::FaultRule;
use crate::sim::{LoopbackServer, Observed, SimClock, WaitedTooLong};

/// The shapes in which a refusal may come (contract sheet §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Whatever the sheet shows for the status.
    AsDocumented,
    /// `{"errors": ["…"]}`
    List,
    /// `{"errors": {"field": ["…"]}}`
    ByField,
    /// `{"status": …, "error": "…"}`
    StatusAndError,
    /// `{"message": "…"}`
    Message,
    /// Text.
    Plain,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::AsDocumented, Self::List, Self::ByField, Self::StatusAndError, Self::Message, Self::Plain];
}

/// How the service conducts itself. It can be changed while it runs ([`ValidicSim::set_conduct`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    /// The status of a name that is there already: 409 or 422.
    pub name_taken: u16,
    /// In which shape refusals come.
    pub shape: Shape,
    /// How many requests a token may make in each full hour.
    pub per_hour: u32,
    /// Whether answers say how many are left.
    pub says_budget: bool,
    /// Whether connections come page by page.
    pub pages: bool,
    /// How many connections one answer holds at most.
    pub page_size: usize,
    /// Whether the answer to a new user, and to a question about one, holds the page.
    pub tells_page: bool,
    /// Whether the list of users of the form of 2015 says their names.
    pub lists_names: bool,
    /// Whether refusals are JSON that says to be text.
    pub json_as_text: bool,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            name_taken: 422,
            shape: Shape::AsDocumented,
            per_hour: 2000,
            says_budget: true,
            pages: true,
            page_size: 100,
            tells_page: true,
            lists_names: true,
            json_as_text: false,
        }
    }
}

/// What a simulator is started with. All of it is made up.
#[derive(Debug, Clone)]
pub struct ValidicSimConfig {
    /// The organisation's id.
    pub organization_id: String,
    /// Its token.
    pub token: String,
    /// How it conducts itself at the start.
    pub conduct: Conduct,
}

impl ValidicSimConfig {
    /// One organisation.
    #[must_use]
    pub fn one(organization_id: &str, token: &str) -> Self {
        Self {
            organization_id: organization_id.to_owned(),
            token: token.to_owned(),
            conduct: Conduct::default(),
        }
    }
}

/// A running simulator. Dropping it stops it.
pub struct ValidicSim {
    shared: Arc<http::Shared>,
    server: LoopbackServer,
}

impl ValidicSim {
    /// Starts a simulator that goes by `clock`, at a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(config: ValidicSimConfig, clock: SimClock) -> io::Result<Self> {
        let shared = Arc::new(http::Shared { state: Observed::new(SimState::new(config)), clock });
        let served = Arc::clone(&shared);
        let server = LoopbackServer::start(0, move |address, stopping| {
            served.state.change(|state| state.address = format!("http://{address}"));
            http::router(served, stopping)
        });
        Ok(Self { server: server.await?, shared })
    }

    /// The base address, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Looks at what it knows.
    pub fn read<R>(&self, look: impl FnOnce(&SimState) -> R) -> R {
        self.shared.state.read(look)
    }

    /// Changes how it conducts itself.
    pub fn set_conduct(&self, change: impl FnOnce(&mut Conduct)) {
        self.shared.state.change(|state| change(&mut state.conduct));
    }

    /// Switches a fault on, and answers its number.
    pub fn strike(&self, rule: FaultRule) -> u64 {
        self.shared.state.change(|state| state.faults.add(rule))
    }

    /// Switches every fault off.
    pub fn calm(&self) {
        self.shared.state.change(|state| state.faults.clear(None));
    }

    /// A patient connects a kind of device, as on the page; false where nobody has that name.
    pub fn connect(&self, uid: &str, kind: &str) -> bool {
        let now = (self.shared.clock)();
        self.shared.state.change(|state| state.connect(uid, kind, true, now))
    }

    /// A patient disconnects one.
    pub fn disconnect(&self, uid: &str, kind: &str) -> bool {
        let now = (self.shared.clock)();
        self.shared.state.change(|state| state.connect(uid, kind, false, now))
    }

    /// Somebody removes a user in the dashboard; false where nobody has that name.
    pub fn remove_user(&self, uid: &str) -> bool {
        let now = (self.shared.clock)();
        self.shared.state.change(|state| state.remove(uid, now).is_some())
    }

    /// Waits until what it knows is as wanted.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_until(
        &self,
        wanted: impl Fn(&SimState) -> bool,
        within: Duration,
    ) -> Result<(), WaitedTooLong> {
        self.shared.state.wait_until(wanted, within).await
    }

    /// Stops, and returns once the port is free.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
