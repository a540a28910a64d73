//! Short texts that differ whenever what they are made of does.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// A digest over fields, in their order, so that no two lists of fields look alike.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Adds a text.
    pub(crate) fn field(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, number: u32) {
        self.0.update(number.to_be_bytes());
    }

    /// The digest in hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        self.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
