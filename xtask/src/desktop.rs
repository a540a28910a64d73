//! A desk of its own for programs that need one: a screen, a session bus and an unlocked keyring.
//!
//! The folders of the person who runs this are out of reach, so that their own keyring is neither read nor changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{command, root};

/// A temporary home, removed when dropped.
pub struct Desktop {
    home: PathBuf,
}

impl Desktop {
    pub fn new() -> Result<Self> {
        // A short name: the address of a Unix socket has at most 107 bytes.
        let home = std::env::temp_dir().join(format!("clinic-companion-{}", std::process::id()));
        for folder in ["run", "data", "config", "cache"] {
            make_private_folder(&home.join(folder))?;
        }
        Ok(Self { home })
    }

    /// `npm run SCRIPT` at this desk. Elsewhere than on Linux, at the desk of the person who runs it.
    pub fn npm_script(&self, script: &str) -> Result<Command> {
        let ui = root()?.join("ui");
        if !cfg!(target_os = "linux") {
            let mut npm = crate::process::npm()?;
            npm.args(["run", "--silent", script]);
            return Ok(npm);
        }
        let mut command = self.command(&["npm", "run", "--silent", script])?;
        command.current_dir(ui);
        Ok(command)
    }

    /// A program at this desk.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = command("xvfb-run")?;
        // The keyring is unlocked with an empty password, as a log-in would unlock it; then the program takes over.
        let at_the_desk =
            "printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec \"$@\"";
        command
            .args(["--auto-servernum", "--server-args=-screen 0 1280x900x24 -noreset"])
            .args(["dbus-run-session", "--", "sh", "-c", at_the_desk, "sh"])
            .args(words)
            .env("XDG_RUNTIME_DIR", self.home.join("run"))
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("GDK_BACKEND", "x11")
            .env("NO_AT_BRIDGE", "1")
            .env_remove("WAYLAND_DISPLAY");
        Ok(command)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.home) {
            eprintln!("{} is left over: {error}", self.home.display());
        }
    }
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| folder.display().to_string())
}

#[cfg(not(unix))]
fn make_private_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_desk_has_a_screen_and_a_keyring_and_is_cleared_afterwards() {
        let desktop = Desktop::new().unwrap();
        let home = desktop.home.clone();
        let keeps_a_secret = "test -n \"$DISPLAY\" \
            && printf kept | secret-tool store --label=test name value \
            && test \"$(secret-tool lookup name value)\" = kept \
            && test -d \"$XDG_DATA_HOME/keyrings\"";
        let output = desktop.command(&["sh", "-c", keeps_a_secret]).unwrap().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(home.join("data/keyrings").is_dir());
        drop(desktop);
        assert!(!home.exists());
    }
}
