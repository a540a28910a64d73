//! Everything that a change must pass, cheapest first.

use anyhow::Result;

use crate::desktop::Desktop;
use crate::process::{Steps, app_binary, cargo, has, run};
use crate::setup::{Group, setup};
use crate::ui;

/// Names the built app to the tests that start it.
pub const BINARY_VARIABLE: &str = "CLINIC_COMPANION_BINARY";

/// Runs every check and every test, goes on after a failure, and fails if anything did.
pub fn everything() -> Result<()> {
    let mut steps = Steps::default();
    if !steps.step("set-up", || setup(Group::Test)) {
        return steps.close();
    }
    steps.step("format", format);
    if steps.step("packages of the user interface", ui::install) {
        steps.step("lints of the user interface", || ui::script("lint"));
        steps.step("types of the user interface", || ui::script("check"));
        steps.step("tests of the user interface", || ui::script("test"));
        steps.step("pages of the user interface", ui::build);
    }
    steps.step("lints", clippy);
    if steps.step("build", build) {
        steps.step("tests", || tests(&[]));
        steps.step("examples in the documentation", || {
            run(cargo()?.args(["test", "--quiet", "--workspace", "--doc"]))
        });
        steps.step("end to end", || end_to_end(&[]));
    }
    steps.step("documentation", documentation);
    if has("cargo-deny") {
        // Advisories change by the day and need the network: the workflow asks for them.
        steps.step("licences and sources", || {
            run(cargo()?.args(["deny", "--all-features", "check", "bans", "licenses", "sources"]))
        });
    }
    if has("cargo-shear") {
        steps.step("unused dependencies", || run(cargo()?.arg("shear")));
    }
    steps.close()
}

/// Runs only the Rust tests that a filter names.
pub fn only(filter: &[&str]) -> Result<()> {
    setup(Group::Test)?;
    ui::build()?;
    build()?;
    tests(filter)
}

/// What is quick enough to run after every change.
pub fn check() -> Result<()> {
    let mut steps = Steps::default();
    if !steps.step("set-up", || setup(Group::Build)) {
        return steps.close();
    }
    steps.step("format", format);
    if steps.step("pages of the user interface", ui::build) {
        steps.step("types of the user interface", || ui::script("check"));
    }
    steps.step("lints", clippy);
    steps.step("invariants", || {
        run(cargo()?.args(["test", "--quiet", "--workspace", "--test", "it", "tidy::"]))
    });
    steps.close()
}

fn format() -> Result<()> {
    run(cargo()?.args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run(cargo()?.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// One build for all that follows. The app itself is in it, since tests start it.
fn build() -> Result<()> {
    run(cargo()?.args(["build", "--workspace", "--all-targets"]))
}

fn tests(filter: &[&str]) -> Result<()> {
    let mut tests = cargo()?;
    if has("cargo-nextest") {
        tests.args(["nextest", "run", "--workspace", "--no-tests=pass"]);
        if !cfg!(target_os = "linux") {
            eprintln!("Tests with MariaDB, and those that kill the app, run on Linux only.");
            tests.args(["--filterset", "not (test(mariadb) | test(/::he_[0-9]/) | test(killed))"]);
        }
    } else {
        tests.args(["test", "--workspace", "--all-targets", "--no-fail-fast", "--"]);
    }
    run(tests.args(filter).env(BINARY_VARIABLE, app_binary()?))
}

fn documentation() -> Result<()> {
    let mut doc = cargo()?;
    doc.args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Drives the app without the other checks before it.
pub fn only_end_to_end(filter: &[&str]) -> Result<()> {
    setup(Group::Test)?;
    ui::build()?;
    run(cargo()?.args(["build", "--workspace", "--bin", "clinic-companion"]))?;
    end_to_end(filter)
}

/// The built app in a real window, with a real keyring, driven as a person would.
fn end_to_end(filter: &[&str]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        eprintln!("The app in its window is driven on Linux only.");
        return Ok(());
    }
    let desktop = Desktop::new()?;
    let mut e2e = desktop.npm_script("e2e")?;
    if !filter.is_empty() {
        e2e.arg("--").args(filter);
    }
    run(e2e.env(BINARY_VARIABLE, app_binary()?))
}
