//! `serve`: the sync engine with no window, until somebody asks it to stop.

use crate::cli::Failure;
use crate::compose::{self, Home};
use std::time::Duration;
use sync::engine::EngineHandle;

/// How long what is in flight may take to finish once somebody asked us to stop; `interface.md` promises ten seconds.
/// The engine itself gives up a little earlier.
const STOP_WITHIN: Duration = Duration::from_secs(9);
/// How long threads may take that nothing waits for any more.
pub const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Runs the engine on an opened store until Ctrl-C or SIGTERM.
pub fn run(home: &Home) -> Result<(), Failure> {
    let lock = home.lock_engine()?;
    let runtime = compose::runtime()?;
    let ended = runtime.block_on(async {
        let mut stop = std::pin::pin!(asked_to_stop()?);
        let engine = home.start_engine(lock);
        tracing::info!(folder = %home.folder(), version = env!("CARGO_PKG_VERSION"), "Serving.");
        until_stopped(home, &engine, stop.as_mut()).await
    });
    runtime.shutdown_timeout(LAST_MOMENT);
    ended
}

/// Lets the engine run until `stop` comes, and ends it in good order.
pub async fn until_stopped(
    home: &Home,
    engine: &EngineHandle,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let mut state = engine.state();
    let broke_off = async { while state.changed().await.is_ok() {} };
    tokio::select! {
        () = stop => {
            put_away(home, engine).await;
            Ok(())
        }
        () = broke_off => Err(Failure::new("The sync engine ended by itself. The log has the details; start it again.")),
    }
}

/// Finishes what is in flight, and closes the store.
pub async fn put_away(home: &Home, engine: &EngineHandle) {
    tracing::info!("Asked to stop. Finishing what is in flight.");
    let finish = async {
        engine.stop().await;
        home.store().close().await;
    };
    if tokio::time::timeout(STOP_WITHIN, finish).await.is_err() {
        tracing::warn!("Stopped before everything had ended. It is taken up again at the next start.");
    }
    tracing::info!("Stopped.");
}

/// Returns a future that ends when the operating system or a person asks us to stop. Listens from now on.
#[cfg(unix)]
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Returns a future that ends when the operating system or a person asks us to stop. Listens from now on.
#[cfg(windows)]
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    let mut interrupted = windows::ctrl_c()?;
    let mut stopped = windows::ctrl_break()?;
    let mut closed = windows::ctrl_close()?;
    let mut shut_down = windows::ctrl_shutdown()?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = stopped.recv() => {}
            _ = closed.recv() => {}
            _ = shut_down.recv() => {}
        }
    })
}
