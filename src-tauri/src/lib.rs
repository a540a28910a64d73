//! Clinic Companion: the desktop app, the command line, and what puts the rooms together.

mod bindings;
mod bookings;
mod cli;
mod clock;
mod commands;
mod compose;
mod day_book;
mod decisions;
mod demo;
mod desktop;
mod doctor;
mod inputs;
mod linking;
mod logging;
#[cfg(target_os = "linux")]
mod memory;
mod placing;
mod present;
mod presenter;
mod provision;
mod serve;
mod settings;
#[cfg(target_os = "linux")]
mod slim;
mod start_desktop;
mod status;
mod tray;
mod ui_error;
mod view;
mod webhook_path;
mod windows;

/// Does what the command line says, and returns the process's exit status.
pub fn run() -> std::process::ExitCode {
    cli::run(Some(cli::Desktop { run: start_desktop::run, run_demo: start_desktop::run_demo }))
}

/// The same without the desktop app.
pub fn run_without_window() -> std::process::ExitCode {
    cli::run(None)
}
