//! Commands that run the app, or something built from it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::desktop::Desktop;
use crate::process::{app_binary, cargo, command, root, run, target_dir};
use crate::setup::{Group, setup};
use crate::{test, ui};

/// What `cargo xtask bench` can measure. The code is in `tests/bench`.
const BENCHES: &[&str] =
    &["booking", "change", "availability", "find", "matching", "profiles", "pace", "idle"];

/// Builds the app and hands over to it.
pub fn demo(arguments: &[&str]) -> Result<()> {
    setup(Group::Build)?;
    ui::build()?;
    run(cargo()?.args(["build", "--workspace", "--bin", "clinic-companion"]))?;
    let folder = demo_folder()?;
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut app = command(app_binary()?)?;
    app.arg("--data-dir").arg(folder).arg("demo").args(arguments);
    if !has_display() && !arguments.contains(&"--headless") {
        eprintln!("There is no display here, so the demo runs without its window.");
        app.arg("--headless");
    }
    hand_over(&mut app)
}

/// Removes what the demo has stored.
pub fn clean_demo() -> Result<()> {
    let folder = demo_folder()?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))?;
        eprintln!("The made-up clinic is gone.");
    } else {
        eprintln!("There is no made-up clinic.");
    }
    Ok(())
}

/// Measures, in a release build.
pub fn bench(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.contains(name)) {
        bail!("there is no benchmark \"{unknown}\"; there are {}", BENCHES.join(", "));
    }
    setup(Group::Test)?;
    ui::build()?;
    run(cargo()?.args(["build", "--release", "--workspace", "--bins"]))?;
    let release = target_dir()?.join("release");
    let bench = release.join(format!("bench{}", std::env::consts::EXE_SUFFIX));
    let bench = bench.to_str().context("the target folder's name is not Unicode")?;
    let desktop = Desktop::new()?;
    for name in if names.is_empty() { BENCHES } else { names } {
        let mut measure = if cfg!(target_os = "linux") {
            desktop.command(&[bench, name])?
        } else {
            let mut measure = command(bench)?;
            measure.arg(name);
            measure
        };
        let app = release.join(format!("clinic-companion{}", std::env::consts::EXE_SUFFIX));
        run(measure.env(test::BINARY_VARIABLE, app))?;
    }
    Ok(())
}

/// Writes the typed bindings of the user interface.
pub fn bindings() -> Result<()> {
    setup(Group::Build)?;
    ui::build()?;
    let mut generate = cargo()?;
    generate.args(["test", "--package", "clinic-companion", "--lib", "bindings"]).env("UPDATE_BINDINGS", "1");
    run(&mut generate)
}

/// Takes pictures of every screen.
pub fn screenshots() -> Result<()> {
    setup(Group::Test)?;
    ui::build()?;
    run(cargo()?.args(["build", "--workspace", "--bin", "clinic-companion"]))?;
    let desktop = Desktop::new()?;
    run(desktop.npm_script("screenshots")?.env(test::BINARY_VARIABLE, app_binary()?))?;
    eprintln!("The pictures are in {}.", root()?.join("screenshots").display());
    Ok(())
}

fn demo_folder() -> Result<PathBuf> {
    Ok(target_dir()?.join("demo"))
}

fn has_display() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Becomes the program, so that signals and the exit status are its own.
#[cfg(unix)]
fn hand_over(program: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(program.exec()).context("could not start the app")
}

#[cfg(not(unix))]
fn hand_over(program: &mut Command) -> Result<()> {
    run(program)
}
