//! The partners: one line each.

use crate::card::Card;

pub mod healthengine;
pub mod hint;
pub mod vald;

/// How every partner introduces itself, in the order in which people see them.
pub const CARDS: &[&Card] = &[&healthengine::CARD, &vald::CARD];
