//! The program without its window: the command line and `serve`, linked without the web view's libraries.

use std::process::ExitCode;

fn main() -> ExitCode {
    clinic_companion::run_without_window()
}
