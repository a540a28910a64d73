//! A state behind a lock that wakes whoever waits for it to change.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A state that is read, changed, and waited for. Waiting needs no polling: every change wakes the waiters.
pub struct Observed<S> {
    state: Mutex<S>,
    changes: watch::Sender<u64>,
}

/// The condition did not come true in the time given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulator did not reach the expected state within {} ms", .0.as_millis())]
pub struct WaitedTooLong(pub Duration);

impl<S> Observed<S> {
    /// Starts with `state`.
    pub fn new(state: S) -> Self {
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    /// Looks at the state.
    pub fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and wakes everyone who waits for it.
    pub fn change<R>(&self, act: impl FnOnce(&mut S) -> R) -> R {
        let result = act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    /// Reports each change from now on.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns as soon as `condition` holds, at once if it holds already.
    ///
    /// # Errors
    /// [`WaitedTooLong`] when it does not hold within `timeout`.
    pub async fn wait_until(
        &self,
        condition: impl Fn(&S) -> bool,
        timeout: Duration,
    ) -> Result<(), WaitedTooLong> {
        let mut changes = self.subscribe();
        let watching = async {
            while !self.read(&condition) {
                // The sender lives in `self`, so the channel cannot be closed while we wait.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(timeout, watching).await.map_err(|_| WaitedTooLong(timeout))
    }
}
