//! From a change in the practice's database to Healthengine having it.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Timelike;
use connectors::partners::healthengine::sim::SimState;
use domain::ports::clock::Clock;
use mysql_async::prelude::Queryable;
use tests::mariadb::Server;
use tests::openemr::STANDARD;
use tests::real_time::{SystemClock, pause};

use crate::booking::milliseconds;
use crate::clinic;
use crate::report::{Figure, Report, Sample};

const PRACTICE: &str = "large";
const CHANGES: usize = 100;
/// The shortest that can be set, so that what comes on top of it weighs most.
const POLL_SECONDS: u32 = 1;
/// What may come on top of one poll, in milliseconds.
const ON_TOP: f64 = 500.0;
const DEADLINE: Duration = Duration::from_secs(30);

pub async fn measure() -> Result<Report> {
    let clinic = clinic::large(Server::shared()?).await?;
    let mut linking = clinic::serve(&[clinic::linked(PRACTICE, &clinic, POLL_SECONDS)]).await?;
    let simulator = &linking.simulator;
    let mut staff = clinic.server.connect(&clinic.database).await?;
    staff.query_drop("SET SESSION sql_mode = ''").await?;
    let mut took = Vec::new();
    for number in 0..CHANGES / 2 {
        let (resource, start) =
            clinic::free_time(simulator, PRACTICE, number).context("nothing is free any more")?;
        let enter = format!(
            "INSERT INTO openemr_postcalendar_events (pc_catid, pc_multiple, pc_aid, pc_pid, pc_title, pc_time, \
             pc_informant, pc_eventDate, pc_duration, pc_startTime, pc_eventstatus, pc_sharing, pc_apptstatus, \
             pc_facility) VALUES ({STANDARD}, 0, '{resource}', '2', 'Visit', NOW(), '1', '{}', 900, \
             SEC_TO_TIME({}), 1, 1, '-', 3)",
            start.date(),
            start.num_seconds_from_midnight()
        );
        let cancel = "UPDATE openemr_postcalendar_events SET pc_apptstatus = 'x', pc_time = NOW() \
                      WHERE pc_eid = LAST_INSERT_ID()";
        for (further, sql) in [(0, enter.as_str()), (500, cancel)] {
            // A different moment between two polls each time.
            pause(Duration::from_millis(u64::try_from((number * 617 + further) % 1000)?)).await;
            let snapshots = |state: &SimState| state.snapshots_of(PRACTICE, &resource, start.date()).len();
            let before = simulator.inspect(snapshots);
            staff.query_drop(sql).await?;
            let changed = SystemClock.now();
            simulator
                .wait_until(|state| snapshots(state) > before, DEADLINE)
                .await
                .with_context(|| linking.companion.said())?;
            let received = |state: &SimState| {
                let snapshots = state.snapshots_of(PRACTICE, &resource, start.date());
                snapshots.get(before).map(|snapshot| snapshot.received_at)
            };
            let received = simulator.inspect(received).context("the snapshot is gone")?;
            took.push(milliseconds(received - changed));
        }
    }
    staff.disconnect().await?;
    linking.serving.terminate(Duration::from_secs(10)).await?;
    let took = Sample::new(took);
    let poll = f64::from(POLL_SECONDS) * 1000.0;
    Ok(Report {
        title: "change: changed in the practice's database → snapshot accepted by Healthengine",
        figures: vec![Figure {
            name: "with the wait for the poll (1 s), p95",
            measured: took.percentile(95),
            target: poll + ON_TOP,
            unit: "ms",
        }],
        further: vec![
            format!("With the wait for the poll: {}.", took.words("ms")),
            format!("The longest took {:.1} ms more than a whole poll.", took.percentile(100) - poll),
        ],
        how: "the released `serve` as a process of its own; 24 practitioners, 60 days, 20,000 patients; staff enter an \
              appointment into a free time by SQL and cancel it again, each at another moment between two polls of the \
              database; counted from the end of the statement to the arrival of the snapshot at the simulator.",
    })
}
