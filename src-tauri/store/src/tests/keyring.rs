//! A real Secret Service, in a session bus and a home of its own.

use super::*;
use crate::keys::{KeySource, read};
use crate::{OpenError, records_exist};
use std::process::{Command, Output};

const FOLDER: &str = "STORE_TEST_FOLDER";

/// A session with an unlocked keyring; then the same keyring, locked.
const SESSION: &str = r#"
printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null &&
"$PROGRAM" --exact tests::keyring::unlocked --ignored &&
dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
    org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login &&
"$PROGRAM" --exact tests::keyring::locked --ignored
"#;

fn data() -> std::path::PathBuf {
    Path::new(&std::env::var_os(FOLDER).unwrap()).join("data")
}

#[tokio::test]
#[ignore = "run in a session of its own by the test below"]
async fn unlocked() {
    assert!(read(&KeySource::Keyring).unwrap().is_none());
    let store = Store::open_with(&data(), &KeySource::Keyring, second(0)).unwrap().store;
    filed(&store, "1").await;
    store.close().await;
    assert!(read(&KeySource::Keyring).unwrap().is_some());
    let store = Store::open_with(&data(), &KeySource::Keyring, second(0)).unwrap().store;
    assert_eq!(store.newest(None, 9).await.unwrap().len(), 1);
    store.close().await;

    let slot = ::keyring::Entry::new(crate::keys::KEYRING_SERVICE, crate::keys::KEYRING_ACCOUNT).unwrap();
    let key = slot.get_password().unwrap();
    slot.delete_credential().unwrap();
    let refused = Store::open_with(&data(), &KeySource::Keyring, second(0));
    assert!(matches!(refused, Err(OpenError::KeyMissing(_))));
    assert!(read(&KeySource::Keyring).unwrap().is_none(), "no new key was made");
    slot.set_password(&key).unwrap();
    Store::open_with(&data(), &KeySource::Keyring, second(0)).unwrap();
}

#[test]
#[ignore = "run in a session of its own by the test below"]
fn locked() {
    assert!(records_exist(&data()));
    let refused = Store::open_with(&data(), &KeySource::Keyring, second(0));
    assert!(matches!(refused, Err(OpenError::KeyringLocked)), "{refused:?}");
}

#[test]
#[ignore = "run without a session by the test below"]
fn absent() {
    let refused = Store::open_with(&data(), &KeySource::Keyring, second(0));
    assert!(matches!(refused, Err(OpenError::KeyringUnavailable)), "{refused:?}");
    assert!(!records_exist(&data()));
}

fn run(program: &str, arguments: &[&str], home: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("PROGRAM", std::env::current_exe().unwrap());
    for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", FOLDER] {
        command.env(name, home);
    }
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"] {
        command.env_remove(name);
    }
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/nothing", home.display()));
    command.output().unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask setup` installs it"))
}

#[test]
fn the_key_lives_in_the_systems_keyring() {
    let home = tempfile::tempdir().unwrap();
    let session = run("dbus-run-session", &["--", "sh", "-c", SESSION], home.path());
    let said =
        String::from_utf8_lossy(&session.stdout).into_owned() + &String::from_utf8_lossy(&session.stderr);
    assert!(session.status.success() && said.matches("1 passed").count() == 2, "{said}");
}

#[test]
fn a_computer_without_a_keyring_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let run =
        run(program.to_str().unwrap(), &["--exact", "tests::keyring::absent", "--ignored"], home.path());
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
