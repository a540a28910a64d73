//! What to do next, and doing it through the domain's ports.
//!
//! One loop ([`engine`]) wakes flows; a flow's pass takes no input, may be repeated, and never retries inside.

pub mod desk;
mod digest;
pub mod engine;
pub mod flows;
pub mod health;
pub mod pace;
pub mod practices;
pub mod record_desk;
pub mod shown;
pub mod state;
#[cfg(test)]
mod tests;
pub mod webhooks;
