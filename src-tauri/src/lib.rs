//! Clinic Companion: the desktop app, the command line, and what puts the rooms together.

mod audit;
mod bindings;
mod bookings;
mod cli;
mod clock;
mod commands;
mod compose;
mod day_book;
mod decisions;
mod deep_link;
mod demo;
mod desktop;
mod devices;
mod doctor;
mod found;
mod hookup;
mod hub_page;
mod inputs;
mod joined;
mod linking;
mod links;
mod logging;
#[cfg(target_os = "linux")]
mod memory;
mod patients;
mod placing;
mod present;
mod presenter;
mod provision;
mod quick_open;
mod serve;
mod settings;
mod sign_in;
#[cfg(target_os = "linux")]
mod slim;
mod start_desktop;
mod status;
mod system_open;
mod tray;
mod ui_error;
mod vald_account;
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
