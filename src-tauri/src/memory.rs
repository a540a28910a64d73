//! Gives memory back that only starting up or a window needed.
//!
//! Whatever of the web view's libraries ran once stays mapped in this process, 50 MB of it, although there is no window.
//! Linux would take it back only where memory is short; an old PC is to have it before that. WebKit's network process
//! stays too, with 11 MB of its own and libraries that nobody else maps any more.

use std::collections::BTreeSet;

use procfs::process::{MMPermissions, MMapPath, Process};
use rustix::mm::{Advice, madvise};
use rustix::process::{Pid, Signal, kill_process};

/// What WebKit's network process is called; the system keeps fifteen letters of a name.
const NETWORK_PROCESS: &str = "WebKitNetworkPr";

/// Ends the network process that WebKit keeps after its last page. For the next page it starts another one. Must not
/// be called while there is a page, or one is being made.
pub fn end_network_process() {
    for pid in network_processes() {
        let ended = kill_process(pid, Signal::TERM);
        tracing::debug!(?ended, "The web view's network process is not needed any more.");
    }
}

/// Whether WebKit's network process still runs. As long as it does, the libraries that it shares with us stay.
pub fn has_network_process() -> bool {
    !network_processes().is_empty()
}

fn network_processes() -> Vec<Pid> {
    let us = i32::try_from(std::process::id()).ok();
    match procfs::process::all_processes() {
        Ok(processes) => {
            let children = processes.filter_map(|process| process.ok()?.stat().ok());
            let ours = children.filter(|child| Some(child.ppid) == us && child.comm == NETWORK_PROCESS);
            // One that has ended and was not asked about yet has no memory any more.
            ours.filter(|child| child.state != 'Z').filter_map(|child| Pid::from_raw(child.pid)).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "Our own processes cannot be seen.");
            Vec::new()
        }
    }
}

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

    /// What is mapped from files and from nobody else, in kilobytes. Only that can be given back.
    fn mapped_alone() -> u64 {
        let rollup = Process::myself().and_then(|process| process.smaps_rollup()).expect("our own maps");
        let totals = rollup.memory_map_rollup.0.first().expect("their totals").extension.map.clone();
        totals.get("Private_Clean").copied().expect("Linux counts it") / 1024
    }

    /// Set in the copy of this program that the test starts.
    const ALONE: &str = "CLINIC_COMPANION_TEST_ALONE";

    /// In a copy of this program, because pages that the other tests' processes use too stay where they are.
    #[test]
    fn what_is_not_needed_goes_and_the_program_goes_on() {
        if std::env::var_os(ALONE).is_some() {
            let before = mapped_alone();
            give_back();
            let after = mapped_alone();
            assert!(before > 1000 && after * 2 < before, "{before} kB before, {after} kB after");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("alone");
        std::fs::copy(std::env::current_exe().expect("our own program"), &copy).expect("a copy");
        // What is not on the disk yet counts as written, and stays too.
        std::fs::File::open(&copy).and_then(|file| file.sync_all()).expect("it is on the disk");
        let ran = std::process::Command::new(copy)
            .args(["--exact", "memory::tests::what_is_not_needed_goes_and_the_program_goes_on"])
            .env(ALONE, "yes")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }
}
