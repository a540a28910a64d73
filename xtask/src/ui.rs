//! The user interface: its packages, its checks, its pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::process::{npm, root, run};

/// Installs the packages of the lock file, unless they are there already.
pub fn install() -> Result<()> {
    let ui = root()?.join("ui");
    let installed = modified(&ui.join("node_modules/.package-lock.json"));
    let locked = modified(&ui.join("package-lock.json")).context("ui/package-lock.json is missing")?;
    if installed.is_some_and(|installed| installed >= locked) {
        return Ok(());
    }
    eprintln!("Installing the packages of the user interface with npm.");
    run(npm()?.args(["ci", "--no-audit", "--no-fund"]))
}

/// Builds the pages into `ui/dist`, unless they are newer than everything they are made of.
///
/// The app carries the pages inside it, so building them again would compile it again.
pub fn build() -> Result<()> {
    install()?;
    let ui = root()?.join("ui");
    if let Some(built) = modified(&ui.join("dist/index.html"))
        && newest_source(&ui)?.is_some_and(|source| source < built)
    {
        return Ok(());
    }
    run(npm()?.args(["run", "build"]))
}

/// Runs a script of `package.json`.
pub fn script(name: &str) -> Result<()> {
    run(npm()?.args(["run", "--silent", name]))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// When the youngest file that the pages are made of was written.
fn newest_source(ui: &Path) -> Result<Option<SystemTime>> {
    let mut folders: Vec<PathBuf> = vec![ui.to_path_buf()];
    let mut newest = None;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name();
            let is_source_folder = folder != ui || name == "src" || name == "public";
            if entry.file_type()?.is_file() {
                newest = newest.max(modified(&entry.path()));
            } else if is_source_folder {
                folders.push(entry.path());
            }
        }
    }
    Ok(newest)
}
