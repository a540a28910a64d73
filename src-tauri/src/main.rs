//! The program. Everything is in the library, so that tests reach it.

use std::process::ExitCode;

/// The C library's own allocator keeps what reading a large book took, for each thread that ever read one.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clinic_companion::run()
}
