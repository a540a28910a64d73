//! The outside: partners over HTTP, and practice systems.
//!
//! One folder per connector with the same file names in each, one line in a list. Connectors are stateless; the core
//! remembers.

pub mod card;
#[cfg(all(test, feature = "sims"))]
mod contract;
pub mod http;
pub mod listener;
pub mod partners;
pub mod practices;
#[cfg(feature = "sims")]
pub mod sim;
