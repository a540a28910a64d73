//! The program without its window: the command line and `serve`, linked without the web view's libraries.

use std::process::ExitCode;

/// See `main.rs`.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clinic_companion::run_without_window()
}
