//! What the clinic's work is, with no idea how any of it is stored, sent or shown.
//!
//! Nothing here does I/O or reads a clock: `now` is always an argument.
#![warn(missing_docs)]

pub mod audit;
pub mod booking;
pub mod client_snapshot;
pub mod consent;
pub mod diary;
pub mod directory;
pub mod documents;
pub mod failure;
pub mod free_times;
pub mod ids;
pub mod link;
pub mod matching;
pub mod people;
pub mod ports;
pub mod private;
pub mod profile;
pub mod records;
pub mod settings;
pub mod time;
