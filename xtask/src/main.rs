//! What a person runs on this project: `cargo xtask COMMAND`.
//!
//! Plain Rust with hardly a dependency, so that a fresh machine needs nothing but cargo and npm to begin.
#![expect(clippy::print_stderr, reason = "this is a command-line program for developers")]

mod app;
mod desktop;
mod process;
mod setup;
mod test;
mod ui;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A command as typed, what may follow it, and what it does.
struct Explained(&'static str, &'static str, &'static str);

const COMMANDS: &[Explained] = &[
    Explained(
        "demo",
        "[-- ARGUMENTS]",
        "builds the app and runs it on a made-up clinic with simulated partners",
    ),
    Explained("clean-demo", "", "forgets the made-up clinic, so that the next demo starts afresh"),
    Explained(
        "test",
        "[FILTER]",
        "everything that a change must pass; with FILTER, only the Rust tests it names",
    ),
    Explained("check", "", "format, lints, the project's invariants, types of the user interface"),
    Explained(
        "e2e",
        "[FILTER]",
        "drives the built app in a real window; with FILTER, only the tests it names",
    ),
    Explained(
        "bench",
        "[NAME]",
        "measures booking, change, availability, find, matching, profiles, pace, idle; all without NAME",
    ),
    Explained("bindings", "", "writes ui/src/backend/bindings.ts from the app's commands and views"),
    Explained("screenshots", "", "takes pictures of every screen, light and dark, into screenshots/"),
    Explained("setup", "", "installs what the machine lacks, and nothing else"),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut words = words.iter().map(String::as_str);
    let command = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    match dispatch(command, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[&str]) -> Result<()> {
    match (command, rest) {
        ("demo", ["--", arguments @ ..] | arguments) => app::demo(arguments),
        ("clean-demo", []) => app::clean_demo(),
        ("test", []) => test::everything(),
        ("test", filter) => test::only(filter),
        ("check", []) => test::check(),
        ("e2e", filter) => test::only_end_to_end(filter),
        ("bench", names) => app::bench(names),
        ("bindings", []) => app::bindings(),
        ("screenshots", []) => app::screenshots(),
        ("setup", []) => setup::setup(setup::Group::Test),
        ("" | "help" | "--help", _) => {
            explain();
            Ok(())
        }
        _ => {
            explain();
            bail!("\"{}\" is not one of them", [&[command], rest].concat().join(" "))
        }
    }
}

fn explain() {
    eprintln!("cargo xtask COMMAND");
    for Explained(name, arguments, does) in COMMANDS {
        let words = format!("{name} {arguments}");
        eprintln!("  {words:<20} {does}");
    }
}
