//! The figures that the program promises, measured on the built program, a real MariaDB and the simulator.
//!
//! `cargo xtask bench NAME` builds everything for release and runs this. It fails when a target is missed.

mod availability;
mod booking;
mod change;
mod clinic;
mod find;
#[cfg(target_os = "linux")]
mod idle;
mod matching;
#[cfg(target_os = "linux")]
mod memory;
mod profiles;
mod report;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> Result<ExitCode> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all_met = true;
    for name in &names {
        all_met &= runtime.block_on(measure(name))?.print()?;
    }
    if names.is_empty() {
        bail!("name one of booking, change, availability, find, matching, profiles, pace, idle");
    }
    Ok(if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(name: &str) -> Result<report::Report> {
    match name {
        "booking" => booking::measure().await,
        "change" => change::measure().await,
        "availability" => availability::measure().await,
        "find" => find::measure().await,
        "matching" => matching::measure().await,
        "profiles" => profiles::measure().await,
        "pace" => profiles::at_agreed_pace().await,
        #[cfg(target_os = "linux")]
        "idle" => idle::measure().await,
        _ => bail!(
            "there is no benchmark \"{name}\" here; there are booking, change, availability, find, matching, profiles, pace, idle"
        ),
    }
}
