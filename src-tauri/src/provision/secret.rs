//! How secrets are given in a provisioning file: `"env:NAME"`, `"file:PATH"`, or inline.

use domain::private::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Nobody's secret is longer; a longer file is another file.
const LARGEST_FILE: u64 = 64 * 1024;

/// A secret as the file gives it. Its own reader keeps the parser from quoting it in a message.
pub struct GivenSecret(SecretString);

impl From<&str> for GivenSecret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<'de> Deserialize<'de> for GivenSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Text {
            fn refused<E: Error>() -> E {
                E::custom("a secret stands in quotes: \"env:NAME\", \"file:PATH\", or the secret itself")
            }
        }

        impl Visitor<'_> for Text {
            type Value = GivenSecret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<GivenSecret, E> {
                Ok(GivenSecret(text.into()))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<GivenSecret, E> {
                Err(Self::refused())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<GivenSecret, E> {
                Err(Self::refused())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<GivenSecret, E> {
                Err(Self::refused())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<GivenSecret, E> {
                Err(Self::refused())
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// Why a secret cannot be had, and what to do. Names the place, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// Nothing stands between the quotes.
    #[error("the secret is empty: fill it in, or leave the line out")]
    Empty,
    /// The variable is not set.
    #[error("the environment variable {0} is not set: set it, and apply the file again")]
    NoVariable(String),
    /// The variable is set and empty, or holds something that is not text.
    #[error("the environment variable {0} holds no text: set it, and apply the file again")]
    BadVariable(String),
    /// The file is not there, or may not be read.
    #[error("the file {} cannot be read: check its path and its permissions", .0.display())]
    NoFile(PathBuf),
    /// The first line is empty, or is not text.
    #[error("the first line of the file {} holds no text: write the secret there", .0.display())]
    BadFile(PathBuf),
}

/// Where secrets are looked for.
pub struct SecretSources<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// From here relative paths start.
    pub folder: &'a Path,
}

impl SecretSources<'_> {
    /// Follows `env:` and `file:` to the secret itself.
    pub fn resolve(&self, given: &GivenSecret) -> Result<SecretString, SecretProblem> {
        let text = given.0.expose_secret();
        if let Some(name) = text.strip_prefix("env:") {
            let value = (self.variable)(name).ok_or_else(|| SecretProblem::NoVariable(name.to_owned()))?;
            return match value.into_string() {
                Ok(value) if !value.is_empty() => Ok(value.into()),
                _ => Err(SecretProblem::BadVariable(name.to_owned())),
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return first_line(self.folder.join(path));
        }
        if text.is_empty() { Err(SecretProblem::Empty) } else { Ok(given.0.clone()) }
    }
}

fn first_line(path: PathBuf) -> Result<SecretString, SecretProblem> {
    // Looked at before it is opened, because opening a pipe would wait for its other end.
    if !std::fs::metadata(&path).is_ok_and(|found| found.is_file()) {
        return Err(SecretProblem::NoFile(path));
    }
    let mut text = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text));
    if read.is_err() {
        return Err(SecretProblem::NoFile(path));
    }
    // Some editors begin a file with a mark of its encoding.
    let line = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(line) if !line.is_empty() => Ok(line.into()),
        _ => Err(SecretProblem::BadFile(path)),
    }
}
