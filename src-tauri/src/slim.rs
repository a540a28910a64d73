//! `serve` on Linux goes on in a program that is linked without the web view.
//!
//! The libraries behind a window take 37 MB as soon as a program that is linked with them starts, window or not, and a
//! server may not even have them.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The program's name; it lies beside ours and knows the same words.
const SLIM: &str = "clinic-companion-serve";

/// How the C library keeps free memory. Left alone, every thread that ever read a large book keeps what that took;
/// these give it back. They are read when a program starts, so only the next one can be told.
const GIVE_MEMORY_BACK: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "65536")];

/// Goes on as the slim program, where it is there. The process stays the same, for whoever waits for it or signals it.
pub fn become_slim() {
    // A build for development may have left an old one behind.
    if cfg!(debug_assertions) {
        return;
    }
    let Ok(ours) = std::env::current_exe() else { return };
    let slim = ours.with_file_name(SLIM);
    if slim.is_file() {
        // Returns only where it failed, and then we do the work ourselves.
        let _failed = Command::new(slim).args(std::env::args_os().skip(1)).envs(GIVE_MEMORY_BACK).exec();
    }
}
