//! Values that must not reach a log.

use std::fmt;

pub use secrecy::{ExposeSecret, SecretString};

/// Holds something about a person. Prints as `<private>`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Wraps the value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Reads the value. Every call is a place where personal data leaves its wrapper.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<private>")
    }
}
