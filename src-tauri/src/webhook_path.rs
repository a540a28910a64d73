//! The unguessable part of the address at which a practice's webhooks come in: made by us, kept among the secrets.

use domain::private::{ExposeSecret, SecretString};
use domain::settings::{PracticeSettings, SecretKind, SecretName};
use std::fmt::Write as _;
use std::io;

/// 160 bits.
const BYTES: usize = 20;

/// What has to be kept or forgotten beside these settings, where anything has: a practice with a public address has a
/// path, and one without has none, so that an address that was given up stays closed.
pub fn to_keep(
    settings: &PracticeSettings,
    kind: SecretKind,
    stored: Option<&SecretString>,
) -> io::Result<Option<(SecretName, Option<SecretString>)>> {
    let wanted = settings.webhook_url(kind).is_some();
    let name = || SecretName::of(&settings.id, kind);
    Ok(match (wanted, stored) {
        (true, None) => Some((name(), Some(new()?))),
        (false, Some(_)) => Some((name(), None)),
        (true, Some(_)) | (false, None) => None,
    })
}

/// A new one.
pub fn new() -> io::Result<SecretString> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text.into())
}

/// The whole public address at which the webhooks of these settings come in.
pub fn callback(settings: &PracticeSettings, kind: SecretKind, path: &SecretString) -> Option<SecretString> {
    let url = settings.webhook_url(kind)?;
    Some(format!("{url}/{}", path.expose_secret()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn paths_are_long_and_each_is_another() {
        let made: BTreeSet<String> =
            (0..100).map(|_| new().expect("random bytes").expose_secret().to_owned()).collect();
        assert_eq!(made.len(), 100);
        assert!(made.iter().all(|path| path.len() == 40 && path.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
