//! The key of the records: where it comes from, and how a wrong one is told from a damaged file.
//!
//! SQLCipher says the same of a wrong key as of a damaged first page. So `companion.key-check` lies beside the
//! database: a random salt, and the SHA-256 of that salt and the key, which tells nothing about 256 random bits. It is
//! written once the records have been opened, and asked only when they cannot be:
//!
//! - It knows this key: the key is right, so the file is damaged, and is moved aside.
//! - It knows another key: the key is wrong, and nothing is touched.
//! - It is missing or unreadable: the key is taken to be wrong, unless the file cannot be ours under any key because
//!   it is shorter than a page or begins with nothing but zeros.

use crate::files::{Folder, replace};
use crate::open::{KeyFileProblem, OpenError};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// Under these names the key stands in the operating system's keyring, as 64 hexadecimal digits.
pub const KEYRING_SERVICE: &str = "au.cliniccompanion.desktop";
/// See [`KEYRING_SERVICE`].
pub const KEYRING_ACCOUNT: &str = "companion.db";

/// How long a person has to answer the keyring's own question for its password.
const KEYRING_PATIENCE: Duration = Duration::from_secs(120);

/// Where the key comes from. Neither ever stands in for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The operating system's keyring.
    Keyring,
    /// A file of 64 hexadecimal digits that only its owner may read (`CLINIC_COMPANION_KEY_FILE`).
    File(PathBuf),
}

/// The raw 256-bit key of the records. Wipes itself from memory.
pub struct StoreKey(SecretBox<[u8; 32]>);

impl StoreKey {
    /// Wraps the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    fn random() -> Result<Self, OpenError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| OpenError::Failed(error.into()))?;
        Ok(Self::new(*bytes))
    }

    pub(crate) fn hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(self.0.expose_secret()))
    }

    fn from_hex(text: &[u8]) -> Result<Self, KeyFileProblem> {
        let text = text.trim_ascii();
        if text.len() != 64 {
            return Err(KeyFileProblem::BadLength { found: text.len() });
        }
        let mut bytes = Zeroizing::new([0; 32]);
        unhex(text, bytes.as_mut_slice()).ok_or(KeyFileProblem::NotHexadecimal)?;
        Ok(Self::new(*bytes))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<key>")
    }
}

/// Reads the key and changes nothing. None when the keyring works and holds no key.
pub fn read(source: &KeySource) -> Result<Option<StoreKey>, OpenError> {
    match source {
        KeySource::File(path) => read_file(path).map(Some),
        KeySource::Keyring => ask_keyring(read_entry),
    }
}

/// Reads the key. Where the keyring holds none, makes one if there are no records yet that it would have to open.
pub(crate) fn obtain(source: &KeySource, folder: &Folder) -> Result<StoreKey, OpenError> {
    match source {
        KeySource::File(path) => read_file(path),
        KeySource::Keyring => {
            let (has_records, dir) = (folder.has_records(), folder.dir().to_owned());
            ask_keyring(move |entry| obtain_from(entry, has_records, &dir))
        }
    }
}

/// Runs on a thread of its own, because some keyrings block, and bring a runtime that must not run within ours.
fn ask_keyring<T: Send + 'static>(
    ask: impl FnOnce(&keyring_core::Entry) -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let (reply, answer) = mpsc::channel();
    std::thread::Builder::new()
        .name("keyring".into())
        .spawn(move || {
            let asked = keyring::Entry::new(KEYRING_SERVICE, KEYRING_ACCOUNT)
                .map_err(sorted)
                .and_then(|entry| ask(&entry.inner));
            // Nobody waits any more once the patience is over.
            let _ = reply.send(asked);
        })
        .map_err(|error| OpenError::Failed(error.into()))?;
    answer.recv_timeout(KEYRING_PATIENCE).unwrap_or(Err(OpenError::KeyringLocked))
}

fn read_entry(entry: &keyring_core::Entry) -> Result<Option<StoreKey>, OpenError> {
    match entry.get_password() {
        Ok(text) => {
            let text = Zeroizing::new(text);
            StoreKey::from_hex(text.as_bytes()).map(Some).map_err(|_| OpenError::KeyringEntryBad)
        }
        Err(keyring_core::Error::NoEntry) => Ok(None),
        Err(error) => Err(sorted(error)),
    }
}

pub(crate) fn obtain_from(
    entry: &keyring_core::Entry,
    has_records: bool,
    dir: &Path,
) -> Result<StoreKey, OpenError> {
    if let Some(key) = read_entry(entry)? {
        return Ok(key);
    }
    if has_records {
        return Err(OpenError::KeyMissing(dir.to_owned()));
    }
    let key = StoreKey::random()?;
    entry.set_password(&key.hex()).map_err(sorted)?;
    // A keyring that forgets would make the records unreadable at the next start.
    match read_entry(entry)? {
        Some(kept) if kept.hex() == key.hex() => Ok(key),
        _ => Err(OpenError::KeyringEntryBad),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever a keyring may say in future is a failure of it")]
fn sorted(error: keyring_core::Error) -> OpenError {
    use keyring_core::Error;
    match error {
        Error::NoStorageAccess(_) => OpenError::KeyringLocked,
        Error::NoDefaultStore => OpenError::KeyringUnavailable,
        Error::PlatformFailure(cause) => OpenError::KeyringFailed(cause),
        // These carry what the keyring holds, which must not get any further.
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::Ambiguous(_) => OpenError::KeyringEntryBad,
        other => OpenError::KeyringFailed(other.into()),
    }
}

fn read_file(path: &Path) -> Result<StoreKey, OpenError> {
    key_in_file(path).map_err(|problem| OpenError::KeyFileBad { path: path.to_owned(), problem })
}

fn key_in_file(path: &Path) -> Result<StoreKey, KeyFileProblem> {
    let unreadable = |error: std::io::Error| {
        let missing = [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind());
        if missing { KeyFileProblem::Missing } else { KeyFileProblem::Unreadable }
    };
    // Looked at before it is opened, because opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(KeyFileProblem::NotAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileProblem::OpenToOthers { mode });
        }
    }
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    file.take(1024).read_to_end(&mut text).map_err(unreadable)?;
    StoreKey::from_hex(&text)
}

/// What `companion.key-check` says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyCheck {
    Right,
    Wrong,
    Unknown,
}

pub(crate) fn check(folder: &Folder, key: &StoreKey) -> KeyCheck {
    let mut text = Vec::new();
    let read = File::open(folder.key_check()).and_then(|file| file.take(1024).read_to_end(&mut text));
    let (mut salt, mut digest) = ([0; 16], [0; 32]);
    let text = text.trim_ascii();
    let parts = read.ok().and_then(|_| text.strip_prefix(b"1 ")).and_then(|rest| rest.split_at_checked(32));
    let Some((salt_text, digest_text)) = parts else { return KeyCheck::Unknown };
    let digest_text = digest_text.trim_ascii_start();
    if unhex(salt_text, &mut salt).is_none() || unhex(digest_text, &mut digest).is_none() {
        return KeyCheck::Unknown;
    }
    if digest == check_digest(&salt, key) { KeyCheck::Right } else { KeyCheck::Wrong }
}

/// Notes the key that opens the records. To be called once they have been opened with it.
pub(crate) fn note(folder: &Folder, key: &StoreKey) -> Result<(), OpenError> {
    if check(folder, key) == KeyCheck::Right {
        return Ok(());
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| OpenError::Failed(error.into()))?;
    let line = format!("1 {} {}\n", hex(&salt), hex(&check_digest(&salt, key)));
    replace(&folder.key_check(), line.as_bytes()).map_err(|error| folder.trouble(error))
}

fn check_digest(salt: &[u8; 16], key: &StoreKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"clinic companion key check");
    hash.update(salt);
    hash.update(key.0.expose_secret());
    hash.finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}
