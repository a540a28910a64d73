//! What the program costs while nothing happens: without a window, in the tray, and after its window was closed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use connectors::partners::healthengine::sim::{HealthengineSim, SimState};
use connectors::partners::vald::sim::{Region, SimTenant, ValdSim, ValdSimConfig};
use tests::mariadb::Server;
use tests::real_time::{pause, sim_clock};
use tokio::process::Command;

use crate::clinic;
use crate::memory::{Private, family, processor_time};
use crate::report::{Figure, Report};

const PRACTICES: [&str; 3] = ["first", "second", "third"];
const POLL_SECONDS: u32 = 5;
/// Polls until start-up counts as over, and polls that are then measured: 25 and 75 seconds.
const SETTLING: u64 = 5;
const MEASURED: u64 = 15;
const DEADLINE: Duration = Duration::from_secs(180);
/// The organisation at VALD, and the credentials for it.
const TENANT: &str = "0d3c1f6e-5a2b-4c8d-9e7f-a1b2c3d4e5f6";
const CLIENT_ID: &str = "client-of-the-bench";
const CLIENT_SECRET: &str = "secret-of-the-bench";
/// What the window and the search box are called.
const WINDOW: &str = "Clinic Companion";
const SEARCH_BOX: &str = "Open in VALD Hub";
/// What the window's processes are called.
const WEB_VIEW: &str = "WebKitWebProces";

pub async fn measure() -> Result<Report> {
    ensure!(
        std::env::var_os("DISPLAY").is_some_and(|display| !display.is_empty()),
        "the tray needs a screen: run `cargo xtask bench idle`"
    );
    let server = Server::shared()?;
    let mut practices = Vec::new();
    for id in PRACTICES {
        let clinic = clinic::large(server.clone()).await?;
        practices.push(clinic::linked(id, &clinic, POLL_SECONDS));
    }
    let mut linking = clinic::serve(&practices).await?;
    let (companion, simulator) = (&linking.companion, &linking.simulator);

    let pid = linking.serving.pid()?;
    polls(simulator, SETTLING).await?;
    let (began, used) = (Instant::now(), processor_time(pid)?);
    polls(simulator, MEASURED).await?;
    let share = (processor_time(pid)? - used).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let serving = Private::of(pid)?;
    linking.serving.terminate(Duration::from_secs(10)).await?;

    // A desktop has a window manager; without one nobody could close a window.
    let mut manager =
        Command::new("openbox").kill_on_drop(true).spawn().context("openbox is not installed")?;
    let mut tray = companion.start(&["--hidden"])?;
    let pid = tray.pid()?;
    polls(simulator, SETTLING).await.with_context(|| companion.said())?;
    let (began, used) = (Instant::now(), processor_time(pid)?);
    polls(simulator, SETTLING).await?;
    let tray_share = (processor_time(pid)? - used).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    ensure!(!shows_a_window(pid)?, "`--hidden` opened a window");
    let hidden = Private::of_family(pid)?;

    // A second start brings the first one's window up, and ends.
    let raised = companion.run(&[], Duration::from_secs(60)).await?;
    ensure!(raised.status.success(), "the second start failed: {}", String::from_utf8_lossy(&raised.stderr));
    until("the window", || shows_a_window(pid)).await?;
    polls(simulator, SETTLING).await?;
    let open = Private::of_family(pid)?;
    close(WINDOW).await?;
    until("the end of the window's processes", || Ok(!shows_a_window(pid)?)).await?;
    polls(simulator, SETTLING).await?;
    let closed = Private::of_family(pid)?;
    let left = family(pid)?;
    tray.terminate(Duration::from_secs(15)).await?;

    // The same with VALD linked, so that everybody's names are in memory and the search box has something to open.
    let hub = organisation().await?;
    for practice in &mut practices {
        practice.vald = Some(account(&hub));
    }
    companion.link(&practices, simulator).await?;
    let serving_vald = {
        let mut serving = companion.start(&["serve"])?;
        polls(simulator, SETTLING).await?;
        let used = Private::of(serving.pid()?)?;
        serving.terminate(Duration::from_secs(10)).await?;
        used
    };
    let mut tray = companion.start(&["--hidden"])?;
    let pid = tray.pid()?;
    polls(simulator, SETTLING).await?;
    let hidden_vald = Private::of_family(pid)?;
    let asked = companion.run(&["--quick-open"], Duration::from_secs(60)).await?;
    ensure!(asked.status.success(), "the search box: {}", String::from_utf8_lossy(&asked.stderr));
    shown(SEARCH_BOX).await?;
    let box_open = Private::of_family(pid)?;
    close(SEARCH_BOX).await?;
    polls(simulator, SETTLING).await?;
    let box_ready = Private::of_family(pid)?;
    tray.terminate(Duration::from_secs(15)).await?;
    hub.stop().await;
    manager.kill().await?;

    Ok(Report {
        title: "idle: three practices at 5 s against MariaDB and Healthengine, nothing happening",
        figures: vec![
            Figure {
                name: "private memory of `serve`",
                measured: serving.in_all(),
                target: 40.0,
                unit: "MB",
            },
            Figure { name: "processor time of `serve`", measured: share, target: 1.0, unit: "% of one core" },
            Figure {
                name: "private memory of the tray more than `serve`, window never opened",
                measured: hidden.in_all() - serving.in_all(),
                target: 60.0,
                unit: "MB",
            },
            Figure {
                name: "the same after its window was open and closed",
                measured: closed.in_all() - serving.in_all(),
                target: 60.0,
                unit: "MB",
            },
            Figure {
                name: "with VALD linked, search box not asked for yet: more than `serve` with VALD linked",
                measured: hidden_vald.in_all() - serving_vald.in_all(),
                target: 60.0,
                unit: "MB",
            },
            Figure {
                name: "the same after the search box was on the screen",
                measured: box_ready.in_all() - serving_vald.in_all(),
                target: 60.0,
                unit: "MB",
            },
        ],
        further: vec![
            format!("Private memory of `serve`: {}.", serving.words()),
            format!("Of the tray, window never opened: {}.", hidden.words()),
            format!("Of the tray with its window: {}.", open.words()),
            format!("Of the tray, window closed again: {}.", closed.words()),
            format!("Of `serve` with VALD linked: {}.", serving_vald.words()),
            format!("Of the tray with VALD linked: {}.", hidden_vald.words()),
            format!("Of the same with the search box on the screen: {}.", box_open.words()),
            format!("Of the same, the search box hidden again: {}.", box_ready.words()),
            format!(
                "Left after the window was closed: {}.",
                left.into_values().collect::<Vec<_>>().join(", ")
            ),
            format!(
                "Processor time of the tray's own process, window never opened: {tray_share:.1} % of one core."
            ),
        ],
        how: "the released program as a process of its own; three databases of 24 practitioners, 60 days and 20,000 \
              patients each; 25 s after everything was published for the first time, over 75 s (the tray: 25 s after \
              its start); private memory is Private_Clean and Private_Dirty of smaps_rollup, over all processes that \
              the tray started, and 1 MB is a million bytes; the processor time is that of /proc/PID/stat.",
    })
}

/// Returns when each practice has been polled this many times more.
async fn polls(simulator: &HealthengineSim, more: u64) -> Result<()> {
    let count = |state: &SimState, practice: &str| state.requests(practice, "GET", "/requests");
    let before = PRACTICES.map(|practice| simulator.inspect(|state| count(state, practice)));
    let polled = |state: &SimState| {
        PRACTICES.iter().zip(before).all(|(practice, before)| count(state, practice) >= before + more)
    };
    Ok(simulator.wait_until(polled, DEADLINE).await?)
}

fn shows_a_window(pid: u32) -> Result<bool> {
    Ok(family(pid)?.values().any(|name| name == WEB_VIEW))
}

/// Looks again and again, since nobody tells when processes come and go.
async fn until(what: &str, condition: impl Fn() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !condition()? {
        ensure!(began.elapsed() < DEADLINE, "{what} did not come");
        pause(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// An organisation at a simulated VALD Hub.
async fn organisation() -> Result<ValdSim> {
    let tenant = SimTenant {
        id: TENANT.to_owned(),
        name: "The bench".to_owned(),
        sport: "Clinic".to_owned(),
        region: Region::Aue,
    };
    let config = ValdSimConfig::one_tenant(tenant, CLIENT_ID, CLIENT_SECRET);
    Ok(ValdSim::start(config, sim_clock()).await?)
}

/// What a provisioning file says of it.
fn account(hub: &ValdSim) -> String {
    format!(
        "tenant_id = {TENANT:?}\nclient_id = {CLIENT_ID:?}\nclient_secret = {CLIENT_SECRET:?}\ntoken_url = {:?}\n\
         profile_url = {:?}\ntenants_url = {:?}\nhub_url = {:?}\n",
        hub.token_url(),
        hub.profile_url(Region::Aue),
        hub.tenants_url(Region::Aue),
        hub.hub_template(),
    )
}

/// Returns when a window of this title is on the screen.
async fn shown(title: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let listed = Command::new("wmctrl").arg("-l").output().await.context("wmctrl is not installed")?;
        if String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.ends_with(title)) {
            return Ok(());
        }
        ensure!(began.elapsed() < DEADLINE, "\"{title}\" did not come");
        pause(Duration::from_millis(100)).await;
    }
}

/// As the close button of the window with this title does.
async fn close(title: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let closed = Command::new("wmctrl").args(["-F", "-c", title]).status().await;
        if closed.context("wmctrl is not installed")?.success() {
            return Ok(());
        }
        ensure!(began.elapsed() < DEADLINE, "\"{title}\" could not be closed");
        pause(Duration::from_millis(100)).await;
    }
}
