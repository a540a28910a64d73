//! VALD Hub: the measurements of the clinic's patients, under profiles that the practice's records feed.

#[cfg(feature = "sims")]
pub mod sim;
