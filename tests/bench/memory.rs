//! What the kernel says about processes: private memory and processor time.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::report::field_of;

/// Memory that would be free again if the process ended, in megabytes of a million bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Private {
    /// What it has written: nobody else has it.
    pub written: f64,
    /// Parts of programs and libraries that nobody else has mapped just now; the kernel can drop them.
    pub from_files: f64,
}

impl Private {
    /// Both.
    pub fn in_all(self) -> f64 {
        self.written + self.from_files
    }

    /// `30.1 MB (20.0 written, 10.1 of programs and libraries)`.
    pub fn words(self) -> String {
        let Private { written, from_files } = self;
        format!("{:.1} MB ({written:.1} written, {from_files:.1} of programs and libraries)", self.in_all())
    }

    /// What a process has.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| path)?;
        let megabytes = |name| field_of(&text, name).unwrap_or(0) as f64 * 1024.0 / 1e6;
        Ok(Self { written: megabytes("Private_Dirty:"), from_files: megabytes("Private_Clean:") })
    }

    /// What a process and everything that it started have.
    pub fn of_family(pid: u32) -> Result<Self> {
        let mut sum = Self::default();
        for pid in family(pid)?.keys() {
            // One that ended in between has nothing.
            let one = Self::of(*pid).unwrap_or_default();
            sum = Self { written: sum.written + one.written, from_files: sum.from_files + one.from_files };
        }
        Ok(sum)
    }
}

/// A process and everything that it started, by number and name.
pub fn family(pid: u32) -> Result<BTreeMap<u32, String>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(format!("/proc/{number}/stat")) else { continue };
        let Some((name, parent)) = name_and_parent(&stat) else { continue };
        parents.insert(number, (parent, name));
    }
    let mut family = BTreeMap::new();
    let mut further = vec![pid];
    while let Some(next) = further.pop() {
        let name = parents.get(&next).map(|(_, name)| name.clone()).unwrap_or_default();
        family.insert(next, name);
        further.extend(parents.iter().filter(|(_, (parent, _))| *parent == next).map(|(number, _)| *number));
    }
    Ok(family)
}

/// Processor time used so far, all threads together.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = after_name(&stat).context("an odd /proc/PID/stat")?;
    // utime and stime are the 14th and 15th field, the state behind the name being the third.
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let told = Command::new("getconf").arg("CLK_TCK").output()?;
    let per_second: u64 = String::from_utf8_lossy(&told.stdout).trim().parse()?;
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// What stands behind the name, which is in brackets and may hold spaces.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(") ").map(|(_, fields)| fields)
}

fn name_and_parent(stat: &str) -> Option<(String, u32)> {
    let parent = after_name(stat)?.split(' ').nth(1)?.parse().ok()?;
    let name = stat.split_once('(')?.1.rsplit_once(") ")?.0;
    Some((name.to_owned(), parent))
}
