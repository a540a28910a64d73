//! A VALD Hub to try things on: the token endpoint, the profiles and tenants APIs of three regions, and the landing
//! page, each at an address of its own on 127.0.0.1.
//!
//! It is written from the contract and speaks raw JSON, so that it shares no mistake with the client. It is strict:
//! whatever the service would refuse is refused and written down, and so is what it takes silently although somebody
//! will regret it ([`SimState::mistakes`]). It misbehaves on request ([`crate::sim::faults`]), and everything it knows
//! can be looked at ([`SimState`]).
//!
//! Where the contract leaves something open, this is what the simulator does:
//! - a tenant that is unknown, lives in another region, or is not the credentials' is 403, and only 404 where its id
//!   stands in the path (`/tenants/{id}`);
//! - names in bodies and queries are told apart by upper and lower case; an unknown one is ignored and noted;
//! - everything that we must send of a profile is required, the guardian's consent of everybody under 18;
//! - bodies must not be compressed: nothing says that the service would unpack them;
//! - an import of a profile that is being merged away is taken and lost with it, and noted; when the merge has ended,
//!   the profile that is left takes the sync id over only if it had none;
//! - throttling counts the requests of one client id, those that it refuses not among them.
//!
//! A fault's account is the tenant id that a request names, for a token the client id, and the region's name where a
//! request names no tenant (`GET /tenants`, health). Paths are below the host.

mod http;
mod import;
mod landing;
mod prepare;
mod profiles;
mod routes;
mod rules;
mod state;
mod tenants;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use landing::Opened;
pub use prepare::NotThere;
pub use state::{
    Exchange, IssuedToken, Merging, Mistake, ProfileDetails, ReceivedImport, RecordedConsents, SimCategory,
    SimGroup, SimProfile, SimState, Wipe, Wiped,
};

use crate::sim::faults::FaultRule;
use crate::sim::{LoopbackServer, Observed, SimClock, WaitedTooLong};

/// Where a tenant's data lies (contract sheet §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// Australia East.
    Aue,
    /// US East.
    Use,
    /// Europe West.
    Euw,
}

impl Region {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Aue, Self::Use, Self::Euw];

    /// As it stands in the hosts' names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aue => "aue",
            Self::Use => "use",
            Self::Euw => "euw",
        }
    }
}

/// What listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// Gives tokens out, for all regions.
    Token,
    /// The profiles API of a region.
    Profiles(Region),
    /// The tenants API of a region.
    Tenants(Region),
    /// The web app, of which there is the landing page only.
    Hub,
}

/// Whether credentials work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They do.
    Good,
    /// They were given out before March 2026, and stopped working then (contract sheet §2).
    BeforeMarch2026,
    /// They worked once.
    Expired,
}

/// A client id with its secret. Both are made up.
#[derive(Debug, Clone)]
pub struct SimCredentials {
    /// Value of `client_id`.
    pub client_id: String,
    /// Value of `client_secret`.
    pub client_secret: String,
    /// Whether they work.
    pub standing: Standing,
    /// The ids of the tenants that they open.
    pub tenant_ids: Vec<String>,
}

/// An organisation at VALD.
#[derive(Debug, Clone)]
pub struct SimTenant {
    /// Its UUID, in lower case.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// One of VALD's words, such as `AlliedHealth`.
    pub sport: String,
    /// Where its data lies.
    pub region: Region,
}

/// How many requests a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// This many…
    pub requests: usize,
    /// …in any span of this length, by the simulator's clock.
    pub per: TimeDelta,
    /// Whether a refusal says in `Retry-After` when the next one would be taken.
    pub says_when: bool,
}

/// When an import shows in what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// With its 204.
    AtOnce,
    /// So much later, by the simulator's clock.
    After(TimeDelta),
    /// After this many more questions about the tenant's profiles, which still get the old answer.
    AfterQuestions(u64),
}

/// How the service conducts itself. It can be changed while it runs ([`ValdSim::set_conduct`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    /// What new tokens say in `expires_in`.
    pub token_life: TimeDelta,
    /// None: everything is taken.
    pub throttle: Option<Throttle>,
    /// When an import shows.
    pub visible: Visible,
    /// Whether an e-mail address may stand in one profile only, as an older guide had it (contract sheet §3).
    pub unique_emails: bool,
    /// The most profiles in one answer, the earliest changes first. None: all.
    pub list_cap: Option<usize>,
    /// How long a merge is under way.
    pub merge_takes: TimeDelta,
    /// What `/readiness` says.
    pub ready: bool,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            token_life: TimeDelta::hours(2),
            throttle: Some(Throttle { requests: 25, per: TimeDelta::seconds(5), says_when: true }),
            visible: Visible::AtOnce,
            unique_emails: false,
            list_cap: None,
            merge_takes: TimeDelta::minutes(5),
            ready: true,
        }
    }
}

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct ValdSimConfig {
    /// Who may fetch tokens.
    pub credentials: Vec<SimCredentials>,
    /// The organisations.
    pub tenants: Vec<SimTenant>,
    /// How it conducts itself at the start.
    pub conduct: Conduct,
    /// The path of the landing page, which VALD does not document (contract sheet §8), with its leading slash.
    pub landing_path: String,
}

impl ValdSimConfig {
    /// One tenant, and one pair of credentials that opens it.
    #[must_use]
    pub fn one_tenant(tenant: SimTenant, client_id: &str, client_secret: &str) -> Self {
        let credentials = SimCredentials {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            standing: Standing::Good,
            tenant_ids: vec![tenant.id.clone()],
        };
        Self {
            credentials: vec![credentials],
            tenants: vec![tenant],
            conduct: Conduct::default(),
            landing_path: "/hub/".to_owned(),
        }
    }
}

/// A running simulator. Dropping it stops it.
pub struct ValdSim {
    shared: Arc<http::Shared>,
    landing_path: String,
    servers: BTreeMap<Host, LoopbackServer>,
}

impl ValdSim {
    /// Starts a simulator that goes by `clock`, at free ports of 127.0.0.1.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start(config: ValdSimConfig, clock: SimClock) -> io::Result<Self> {
        let landing_path = config.landing_path.clone();
        let shared = Arc::new(http::Shared { state: Observed::new(SimState::new(config)), clock });
        let of_regions = Region::ALL.into_iter().flat_map(|at| [Host::Profiles(at), Host::Tenants(at)]);
        let mut servers = BTreeMap::new();
        for host in of_regions.chain([Host::Token, Host::Hub]) {
            let shared = Arc::clone(&shared);
            let server =
                LoopbackServer::start(0, |_, stopping| http::router(http::Desk { shared, host, stopping }));
            servers.insert(host, server.await?);
        }
        Ok(Self { shared, landing_path, servers })
    }

    /// Where tokens are fetched.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.url(Host::Token))
    }

    /// The former endpoint, which is dead (contract sheet §2).
    #[must_use]
    pub fn former_token_url(&self) -> String {
        format!("{}/connect/token", self.url(Host::Token))
    }

    /// The base address for profiles, without a slash at its end.
    #[must_use]
    pub fn profile_url(&self, region: Region) -> String {
        self.url(Host::Profiles(region))
    }

    /// The base address for tenants and groups, without a slash at its end.
    #[must_use]
    pub fn tenants_url(&self, region: Region) -> String {
        self.url(Host::Tenants(region))
    }

    /// The landing address, with `{tenantId}` and `{syncId}` to be filled in.
    #[must_use]
    pub fn hub_template(&self) -> String {
        let path = &self.landing_path;
        format!("{}{path}?tenantId={{tenantId}}&syncId={{syncId}}", self.url(Host::Hub))
    }

    fn url(&self, host: Host) -> String {
        let address = self.servers.get(&host).map(LoopbackServer::address);
        // Every host was started, and none is ever taken out.
        format!("http://{}", address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    /// Looks at everything that the simulator knows.
    pub fn inspect<R>(&self, look: impl FnOnce(&SimState) -> R) -> R {
        self.shared.state.read(look)
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

    /// Stops, and returns once every port is free.
    pub async fn stop(self) {
        for server in self.servers.into_values() {
            server.stop().await;
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.now()
    }

    fn change<R>(&self, act: impl FnOnce(&mut SimState, DateTime<Utc>) -> R) -> R {
        let now = self.now();
        self.shared.state.change(|state| act(state, now))
    }
}
