//! Both directions of the translation, from our own made-up fixtures, and the client against the simulator.

#[cfg(feature = "sims")]
mod client;
mod translate;
