//! What every partner's simulator is built on: a server on loopback whose connections can be cut, faults
//! that are switched while it runs, a state that can be watched, and a clock that the caller gives.
//!
//! Nothing here knows a partner. A simulator lives in its partner's folder and speaks that partner's wire
//! format in raw JSON, so that a mistake in the client's types cannot hide in a shared definition.

mod body;
pub mod door;
pub mod faults;
pub mod journal;
mod loopback;
mod observed;
#[cfg(test)]
pub mod testing;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use body::{BodyRefusal, read_body};
pub use loopback::{ConnectionCut, LoopbackServer, Stopping, is_loopback_host};
pub use observed::{Observed, WaitedTooLong};

/// Tells a simulator what time it is, in UTC. A test moves it by hand; the demo gives the real time.
pub type SimClock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;
