//! A clock moved by hand, and whoever cuts the program off from the world at a chosen touch.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, SendError, WriteError};
use domain::ports::clock::Clock;
use domain::ports::store::StoreError;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The time, moved by hand.
#[derive(Clone)]
pub struct HandClock(Arc<watch::Sender<DateTime<Utc>>>);

impl HandClock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    pub fn move_by(&self, by: TimeDelta) {
        self.0.send_modify(|now| *now += by);
    }

    pub fn move_to(&self, at: DateTime<Utc>) {
        self.0.send_modify(|now| *now = at);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        // A clock that is set back wakes too, as the real one does that never sleeps for long.
        let since = self.now();
        let _ = self.0.subscribe().wait_for(|now| *now >= at || *now < since).await;
    }
}

/// What happens at a touch of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, nothing happened, and nobody can tell.
    FailsBefore,
    /// It fails, and it is certain that nothing happened.
    FailsCleanly,
    /// It happens, and its answer is lost.
    FailsAfter,
    /// The program dies, and nothing happened.
    DiesBefore,
    /// The program dies, and it happened.
    DiesAfter,
    /// It fails now and happens a while later, as a statement does that outlives its connection.
    HappensLate,
    /// The same, and the program dies.
    HappensLateAndDies,
    /// Nothing fails, but a person or the patient acts in just this moment.
    SomebodyActs,
}

impl Fault {
    pub const ALL: [Fault; 8] = [
        Fault::FailsBefore,
        Fault::FailsCleanly,
        Fault::FailsAfter,
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::HappensLate,
        Fault::HappensLateAndDies,
        Fault::SomebodyActs,
    ];
}

/// A touch that did not work. `clean`: it is certain that nothing happened.
#[derive(Clone, Copy, Debug)]
pub struct Broken {
    pub clean: bool,
}

impl From<Broken> for ReadError {
    fn from(_: Broken) -> Self {
        ReadError::Unreachable("cut off".into())
    }
}

impl From<Broken> for WriteError {
    fn from(broken: Broken) -> Self {
        if broken.clean { WriteError::Untouched(broken.into()) } else { WriteError::Unknown(broken.into()) }
    }
}

impl From<Broken> for SendError {
    fn from(broken: Broken) -> Self {
        if broken.clean { SendError::NotSent(broken.into()) } else { SendError::Unknown(broken.into()) }
    }
}

impl From<Broken> for StoreError {
    fn from(_: Broken) -> Self {
        StoreError::Failed("cut off".into())
    }
}

/// Acts for people in the middle of a pass.
pub type Somebody = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Counts touches, and strikes at some of them.
#[derive(Default)]
pub struct Reaper {
    plan: Mutex<BTreeMap<usize, Fault>>,
    touches: AtomicUsize,
    dead: watch::Sender<bool>,
    somebody: Mutex<Option<Somebody>>,
}

impl Reaper {
    /// Strikes at the given touches, the first of which is 1.
    pub fn plan(&self, faults: &[(usize, Fault)]) {
        self.plan.lock().unwrap().extend(faults.iter().copied());
    }

    pub fn somebody(&self, somebody: Somebody) {
        *self.somebody.lock().unwrap() = Some(somebody);
    }

    pub fn touches(&self) -> usize {
        self.touches.load(Ordering::SeqCst)
    }

    pub async fn death(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Starts the program anew after its death.
    pub fn revive(&self) {
        self.dead.send_replace(false);
    }

    async fn die<T>(&self) -> T {
        self.dead.send_replace(true);
        std::future::pending().await
    }

    pub async fn touch<T: Send>(&self, effect: impl FnOnce() -> T + Send) -> Result<T, Broken> {
        self.touch_or_late(effect, None::<fn()>).await
    }

    /// `late` makes the effect happen a while later; a touch that gives none cannot be late.
    pub async fn touch_or_late<T: Send>(
        &self,
        effect: impl FnOnce() -> T + Send,
        late: Option<impl FnOnce() + Send>,
    ) -> Result<T, Broken> {
        let number = self.touches.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = self.plan.lock().unwrap().remove(&number);
        match fault {
            None => Ok(effect()),
            Some(Fault::SomebodyActs) => {
                let somebody = self.somebody.lock().unwrap().clone();
                if let Some(somebody) = somebody {
                    somebody().await;
                }
                Ok(effect())
            }
            Some(Fault::FailsBefore) => Err(Broken { clean: false }),
            Some(Fault::FailsCleanly) => Err(Broken { clean: true }),
            Some(Fault::FailsAfter) => {
                effect();
                Err(Broken { clean: false })
            }
            Some(Fault::DiesBefore) => self.die().await,
            Some(Fault::DiesAfter) => {
                effect();
                self.die().await
            }
            Some(fault @ (Fault::HappensLate | Fault::HappensLateAndDies)) => {
                match late {
                    Some(late) => late(),
                    None => drop(effect()),
                }
                if fault == Fault::HappensLateAndDies {
                    self.die().await
                } else {
                    Err(Broken { clean: false })
                }
            }
        }
    }
}
