//! The key: keyring, key file, and what each failure says.

use super::*;
use crate::keys::{KeySource, obtain_from, read};
use crate::{KeyFileProblem, OpenError};
use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry as Slot, Error, mock};
use std::path::PathBuf;

fn slot() -> Slot {
    mock::Store::new().unwrap().build("au.cliniccompanion.desktop", "companion.db", None).unwrap()
}

fn fails_with(slot: &Slot, error: Error) -> OpenError {
    slot.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
    obtain_from(slot, false, Path::new("/data")).unwrap_err()
}

fn cause() -> Box<dyn std::error::Error + Send + Sync> {
    "the platform's own words".into()
}

#[test]
fn a_key_is_made_once_and_found_again() {
    let slot = slot();
    let made = obtain_from(&slot, false, Path::new("/data")).unwrap();
    assert_eq!(slot.get_password().unwrap(), *made.hex());
    assert_eq!(made.hex().len(), 64);
    for has_records in [false, true] {
        let found = obtain_from(&slot, has_records, Path::new("/data")).unwrap();
        assert_eq!(found.hex(), made.hex());
    }
    let other = obtain_from(&self::slot(), false, Path::new("/data")).unwrap();
    assert_ne!(other.hex(), made.hex());
    assert_eq!(format!("{made:?}"), "<key>");
}

#[test]
fn no_key_is_made_for_records_that_have_one() {
    let slot = slot();
    let refused = obtain_from(&slot, true, Path::new("/data"));
    assert!(matches!(refused, Err(OpenError::KeyMissing(dir)) if dir == Path::new("/data")));
    assert!(matches!(slot.get_password(), Err(Error::NoEntry)));
}

#[test]
fn each_trouble_with_the_keyring_has_its_own_sentence() {
    let slot = slot();
    assert!(matches!(fails_with(&slot, Error::NoStorageAccess(cause())), OpenError::KeyringLocked));
    assert!(matches!(fails_with(&slot, Error::NoDefaultStore), OpenError::KeyringUnavailable));
    assert!(matches!(fails_with(&slot, Error::PlatformFailure(cause())), OpenError::KeyringFailed(_)));
    let secret = vec![0xff, b's', b'e', b'c'];
    let bad = fails_with(&slot, Error::BadEncoding(secret));
    assert!(matches!(bad, OpenError::KeyringEntryBad) && !chain(&bad).contains("255"));
    assert!(matches!(slot.get_password(), Err(Error::NoEntry)), "no key was made");
    slot.set_password("correct horse").unwrap();
    let bad = obtain_from(&slot, false, Path::new("/data")).unwrap_err();
    assert!(matches!(bad, OpenError::KeyringEntryBad) && !chain(&bad).contains("correct horse"));
    let sentences = [
        OpenError::KeyringLocked,
        OpenError::KeyringUnavailable,
        OpenError::KeyringEntryBad,
        OpenError::KeyringFailed(cause()),
    ]
    .map(|error| error.to_string());
    for (number, sentence) in sentences.iter().enumerate() {
        assert!(sentence.ends_with('.') && !sentences[..number].contains(sentence), "{sentence}");
    }
}

struct KeyFile {
    _dir: TempDir,
    path: PathBuf,
}

impl KeyFile {
    fn new(content: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { _dir: dir, path }
    }

    fn problem(&self) -> KeyFileProblem {
        match read(&KeySource::File(self.path.clone())) {
            Err(OpenError::KeyFileBad { path, problem }) if path == self.path => problem,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_key_file_is_read() {
    let digits = "00ff".repeat(16);
    for content in [digits.clone(), format!("{}\r\n", digits.to_uppercase())] {
        let file = KeyFile::new(content.as_bytes());
        let key = read(&KeySource::File(file.path.clone())).unwrap().unwrap();
        assert_eq!(*key.hex(), digits);
    }
}

#[test]
fn each_mistake_in_a_key_file_is_named_and_never_its_content() {
    for (content, problem) in [
        (b"".to_vec(), KeyFileProblem::BadLength { found: 0 }),
        ("ab".repeat(31).into_bytes(), KeyFileProblem::BadLength { found: 62 }),
        ("ab".repeat(5000).into_bytes(), KeyFileProblem::BadLength { found: 1024 }),
        ("xy".repeat(32).into_bytes(), KeyFileProblem::NotHexadecimal),
        ([&b"+f"[..], &b"00".repeat(31)].concat(), KeyFileProblem::NotHexadecimal),
        (vec![0xff; 64], KeyFileProblem::NotHexadecimal),
    ] {
        assert_eq!(KeyFile::new(&content).problem(), problem);
    }
    let file = KeyFile::new(b"secret");
    let error = read(&KeySource::File(file.path.clone())).unwrap_err();
    assert!(!chain(&error).contains("secret") && error.to_string().ends_with('.'), "{error}");
    std::fs::remove_file(&file.path).unwrap();
    assert_eq!(file.problem(), KeyFileProblem::Missing);
    std::fs::create_dir(&file.path).unwrap();
    assert_eq!(file.problem(), KeyFileProblem::NotAFile);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_use_is_refused() {
    let file = KeyFile::new("ab".repeat(32).as_bytes());
    for mode in [0o604, 0o640, 0o660, 0o602, 0o610, 0o601, 0o777] {
        std::fs::set_permissions(&file.path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(file.problem(), KeyFileProblem::OpenToOthers { mode });
    }
    std::fs::set_permissions(&file.path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    assert!(read(&KeySource::File(file.path.clone())).unwrap().is_some());
}

#[tokio::test]
async fn a_key_file_opens_the_records_and_a_bad_one_never_falls_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = KeyFile::new("07".repeat(32).as_bytes());
    let source = KeySource::File(file.path.clone());
    let data = dir.path().join("data");
    let opened = Store::open_with(&data, &source, second(0)).unwrap();
    filed(&opened.store, "1").await;
    opened.store.close().await;
    assert!(open(&data).entry(&booking_key("1")).await.unwrap().is_some());
    std::fs::write(&file.path, "too short").unwrap();
    let refused = Store::open_with(&data, &source, second(0));
    assert!(matches!(
        refused,
        Err(OpenError::KeyFileBad { problem: KeyFileProblem::BadLength { found: 9 }, .. })
    ));
}
