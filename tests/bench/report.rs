//! What a measurement says: the figure, its target, how it was taken, and on what machine.

use std::fs;
use std::io::{self, Write};

use anyhow::Result;

/// A figure beside its target.
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// What came out.
    pub measured: f64,
    /// The most it may be.
    pub target: f64,
    /// What both are counted in.
    pub unit: &'static str,
}

/// One benchmark's outcome.
pub struct Report {
    /// The benchmark.
    pub title: &'static str,
    /// What counts.
    pub figures: Vec<Figure>,
    /// What is good to know beside it.
    pub further: Vec<String>,
    /// How it was taken.
    pub how: &'static str,
}

impl Report {
    /// Prints everything, and returns whether each target is met.
    pub fn print(&self) -> Result<bool> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}", self.title)?;
        let mut all_met = true;
        for Figure { name, measured, target, unit } in &self.figures {
            let met = measured <= target;
            all_met &= met;
            let verdict = if met { "met" } else { "MISSED" };
            writeln!(out, "  {name}: {measured:.1} {unit} (target: at most {target:.0} {unit}; {verdict})")?;
        }
        for line in &self.further {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  How: {}", self.how)?;
        writeln!(out, "  Machine: {}", machine())?;
        out.flush()?;
        Ok(all_met)
    }
}

/// Processor, cores, memory, system, and how busy it was besides.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field_of(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) / 1024;
    let system = read("/etc/os-release");
    let system =
        system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown system");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let build = if cfg!(debug_assertions) { "; NOT OPTIMISED, so the figures say little" } else { "" };
    format!(
        "{}, {cores} cores, {memory} MB, {}, load {load} at the end of the measurement{build}.",
        model.trim_start_matches([' ', '\t', ':']),
        system.trim_matches('"')
    )
}

/// The number behind a field's name in the style of `/proc`.
pub fn field_of(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Sorted measurements.
pub struct Sample(Vec<f64>);

impl Sample {
    /// Takes measurements in any order.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest value that at least `percent` of a hundred values do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or(f64::NAN)
    }

    /// `half 12.0 ms, 95 % 20.1 ms, longest 33.0 ms, of 100`.
    pub fn words(&self, unit: &str) -> String {
        format!(
            "p50 {:.1} {unit}, p95 {:.1} {unit}, longest {:.1} {unit}, of {}",
            self.percentile(50),
            self.percentile(95),
            self.percentile(100),
            self.0.len()
        )
    }
}
