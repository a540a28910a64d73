//! The flows and the engine, on ports that live in memory and misbehave on request.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should stop where it stands"
)]

mod availability;
mod bookings;
mod changes;
mod client_snapshots;
mod clinic;
mod consents_held;
mod documents;
mod engine;
mod enrolments;
mod guards;
mod keeper;
mod kill;
mod partner;
mod people;
mod practice;
mod profiles;
mod reaper;
mod record_links;
mod register;
mod store;
mod webhooks;
mod whose;
