//! What survives a restart: one encrypted SQLite file, `companion.db`, and one thread that owns the connection to it.
//!
//! [`Store`] implements every port of `domain::ports::store`. Another process (the command line) may use the same
//! file at the same time; `domain::ports::store::Revision` tells when it wrote something.
#![warn(missing_docs)]

mod activity;
mod audit;
mod bookings;
mod columns;
mod consents;
mod documents;
mod files;
pub mod keys;
mod links;
mod marks;
mod migrations;
mod notes;
mod open;
mod people;
mod registrations;
mod settings;
mod settled;
mod state;
#[cfg(test)]
mod tests;
mod thread;
mod vault;
mod wishes;

pub use audit::AuditRow;
pub use documents::LayOutError;
pub use files::{EngineLock, records_exist};
pub use keys::{KeySource, StoreKey};
pub use open::{KeyFileProblem, LOOK_FIRST_HOURS, Notice, OpenError, Opened};
pub use thread::Store;
