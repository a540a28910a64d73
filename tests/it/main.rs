//! The whole program, on real parts: store, engine, practice databases and simulators.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod availability;
mod bad_input;
mod bookings;
mod changes;
mod cli;
mod engine;
mod exactly_once;
#[cfg(unix)]
mod killed;
mod openemr_on_mariadb;
mod tidy;
mod webhooks;
