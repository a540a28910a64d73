//! OpenEMR's own REST API, by which documents reach a patient's record (`sql/profiles/openemr/NOTES.md` gives the
//! sources). Everything else about OpenEMR is read and written by SQL, as its profile says.

mod client;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(test)]
mod tests;

pub use client::{DocumentPost, Posted, category_parts};
