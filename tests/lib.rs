//! What the tests of the whole program share.

pub mod clock;
pub mod companion;
pub mod mariadb;
pub mod openemr;
pub mod real_time;
pub mod reaper;
mod world;

pub use world::{InBook, Make, World, account, start, zone};
