//! What the tests of the whole program share.

pub mod books;
pub mod clock;
pub mod companion;
pub mod mariadb;
pub mod openemr;
pub mod real_time;
pub mod reaper;
mod ward;
mod world;

pub use books::{AtProvet, Book, InBook, System};
pub use ward::{Ward, Work};
pub use world::{Make, World, account, start, zone};
