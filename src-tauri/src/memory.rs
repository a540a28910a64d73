//! Gives memory back that only starting up or a window needed.
//!
//! Whatever of the web view's libraries ran once stays mapped in this process, 50 MB of it, although there is no window.
//! Linux would take it back only where memory is short; an old PC is to have it before that.

use std::collections::BTreeSet;

use procfs::process::{MMPermissions, MMapPath, Process};
use rustix::mm::{Advice, madvise};

/// Lets the system take back what is mapped from files and cannot be written. What is needed is read again.
pub fn give_back() {
    let maps = match Process::myself().and_then(|process| process.maps()) {
        Ok(maps) => maps,
        Err(error) => {
            tracing::debug!(%error, "What is mapped cannot be seen.");
            return;
        }
    };
    let mut refused = BTreeSet::new();
    for map in maps {
        if !matches!(map.pathname, MMapPath::Path(_)) || map.perms.contains(MMPermissions::WRITE) {
            continue;
        }
        let (start, end) = map.address;
        let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(end - start)) else {
            continue;
        };
        let start = std::ptr::with_exposed_provenance_mut(start);
        #[expect(unsafe_code, reason = "the system's call takes an address")]
        // SAFETY: `LinuxPageOut` changes no content. Pages come back from their file when they are next used, and an
        // address where nothing is mapped any more is refused.
        let advised = unsafe { madvise(start, length, Advice::LinuxPageOut) };
        if let Err(error) = advised {
            refused.insert(error.to_string());
        }
    }
    tracing::debug!(?refused, "Memory that the window needed was given back.");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_from_files() -> u64 {
        let status = Process::myself().and_then(|process| process.status()).expect("our own status");
        status.rssfile.expect("Linux counts it")
    }

    #[test]
    fn what_is_not_needed_goes_and_the_program_goes_on() {
        let before = resident_from_files();
        give_back();
        let after = resident_from_files();
        assert!(after * 4 < before * 3, "{before} kB before, {after} kB after");
    }
}
