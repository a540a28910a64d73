//! Running other programs: where they lie, how they are called, and how long they took.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> Result<PathBuf> {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("start this through `cargo xtask`")?;
    let root = Path::new(&xtask).parent().context("xtask has no folder above it")?;
    Ok(root.to_path_buf())
}

/// Where cargo puts what it builds; `CARGO_TARGET_DIR` wins over the folder beside `Cargo.toml`.
pub fn target_dir() -> Result<PathBuf> {
    let root = root()?;
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir)))
}

/// The app as `cargo build` leaves it.
pub fn app_binary() -> Result<PathBuf> {
    let name = format!("clinic-companion{}", std::env::consts::EXE_SUFFIX);
    Ok(target_dir()?.join("debug").join(name))
}

/// The cargo that started us, so that the same toolchain builds everything.
pub fn cargo() -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(program)
}

/// npm, in the folder of the user interface.
pub fn npm() -> Result<Command> {
    // On Windows npm is a script, which is found only under its full name.
    let mut npm = command(if cfg!(windows) { "npm.cmd" } else { "npm" })?;
    npm.current_dir(root()?.join("ui"));
    Ok(npm)
}

/// A command that runs at the root, and finds what cargo and Debian install outside an ordinary user's `PATH`.
pub fn command(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(root()?).env("PATH", std::env::join_paths(search_path())?);
    Ok(command)
}

/// The folders that programs are looked for in.
fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    folders.extend(cargo_home.map(|home| home.join("bin")));
    if cfg!(unix) {
        folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    }
    folders
}

/// Whether a program of this name can be started.
pub fn has(program: &str) -> bool {
    let suffixes: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ".bat"] } else { &[""] };
    search_path()
        .iter()
        .any(|folder| suffixes.iter().any(|suffix| folder.join(format!("{program}{suffix}")).is_file()))
}

/// Runs a command to its end, showing what it prints.
pub fn run(command: &mut Command) -> Result<()> {
    let name = words(command);
    let status = command.status().with_context(|| format!("could not start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs a command silently and says whether it succeeded.
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as a person would type it.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The steps of one command line, with how long each took and which failed.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Runs a step. A failure is told and remembered, so that the steps after it still run.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        eprintln!("\n── {name}");
        let began = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            eprintln!("{name}: {error:#}");
        }
        self.done.push((name.to_owned(), began.elapsed(), outcome.is_ok()));
        outcome.is_ok()
    }

    /// Prints how long each step took and the closing line; an error if any step failed.
    pub fn close(self) -> Result<()> {
        eprintln!();
        for (name, took, passed) in &self.done {
            eprintln!("{:>7.1} s  {}  {name}", took.as_secs_f64(), if *passed { "ok    " } else { "FAILED" });
        }
        let failed = self.done.iter().filter(|(_, _, passed)| !passed).count();
        let summary = format!("{} steps passed, {failed} failed", self.done.len() - failed);
        if failed > 0 {
            bail!("{summary}");
        }
        eprintln!("{summary}");
        Ok(())
    }
}
