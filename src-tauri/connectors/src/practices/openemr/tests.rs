//! The client, on a practice of its own.

#[cfg(feature = "sims")]
mod client;
