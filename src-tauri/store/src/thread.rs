//! The one thread that owns the connection.
//!
//! SQLite blocks, and its writers exclude each other. A single owner needs no pool and no lock, never holds a
//! connection across an `.await`, and finishes a transaction even when the caller's future is dropped.

use crate::columns::{Columns, Fault, all, first, read_time};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::ports::store::{Revision, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

enum Job {
    Run(Work),
    /// Ends the thread, and tells that the file is closed.
    Close(oneshot::Sender<()>),
}

/// The thread, which ends with its last handle.
#[derive(Debug)]
struct StoreThread {
    jobs: mpsc::Sender<Job>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for StoreThread {
    /// Waits until the file is closed. A thread that still encrypts while the process ends would find the tables of
    /// the cipher library freed under it, and crash.
    fn drop(&mut self) {
        let (done, _) = oneshot::channel();
        let Some(handle) = self.handle.take() else { return };
        // Either fails only when the thread has ended already.
        let _ = self.jobs.send(Job::Close(done));
        if handle.thread().id() != std::thread::current().id() {
            let _ = handle.join();
        }
    }
}

/// Why the thread did not do a job.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error("the store is closed")]
    Closed,
    #[error("the store's thread met a mistake of ours")]
    Panicked,
}

impl From<NotDone> for StoreError {
    fn from(error: NotDone) -> Self {
        StoreError::Failed(error.into())
    }
}

/// The records of this computer. Clones share one connection, and dropping the last of them closes it, which takes some
/// milliseconds. Opened by [`Store::open`] or [`Store::open_with`].
#[derive(Clone, Debug)]
pub struct Store {
    thread: Arc<StoreThread>,
    changes: Arc<watch::Sender<u64>>,
}

impl Store {
    /// Starts the thread. `in_use` is held locked for as long as the connection lives.
    pub(crate) fn start(mut conn: Connection, in_use: File) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let handle = std::thread::Builder::new().name("store".into()).spawn(move || {
            let mut told = None;
            for job in inbox {
                match job {
                    Job::Run(work) => work(&mut conn),
                    Job::Close(done) => {
                        told = Some(done);
                        break;
                    }
                }
            }
            drop(conn);
            drop(in_use);
            if let Some(done) = told {
                // Nobody may be waiting any more, which is fine.
                let _ = done.send(());
            }
        })?;
        let thread = Arc::new(StoreThread { jobs, handle: Some(handle) });
        Ok(Self { thread, changes: Arc::new(watch::Sender::new(0)) })
    }

    /// Runs `work` on the store's thread. It runs to its end even when the returned future is dropped.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let run: Work = Box::new(move |conn| {
            // A transaction that the panic cuts through is rolled back by its own drop.
            let result = catch_unwind(AssertUnwindSafe(|| work(conn)));
            let result =
                result.map_err(|_| NotDone::Panicked.into()).and_then(|done| done.map_err(StoreError::from));
            // The caller may have gone; the work is done all the same.
            let _ = reply.send(result);
        });
        self.thread.jobs.send(Job::Run(run)).map_err(|_| NotDone::Closed)?;
        answer.await.map_err(|_| NotDone::Closed)?
    }

    /// Runs `work` in one transaction, which takes the write lock at its beginning.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.call(move |conn| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// Says that something was written that the engine should look at.
    pub(crate) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Moves whenever this process saved settings, a secret, a wish, a consent, or a person's word on a booking. What other
    /// processes write does not show here; see [`Revision`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Checks the whole file. Returns what is wrong with it, in SQLite's words; nothing when it is sound.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.call(|conn| {
            let found = all(conn, "PRAGMA quick_check", [], |row| Ok(row.get::<_, String>(0)?))?;
            Ok(found.into_iter().filter(|line| line != "ok").collect())
        })
        .await
    }

    /// Until when new bookings are filed as ones that may stand in the book already, because the records were lost
    /// and begun anew. None when that is long past or never happened.
    pub async fn look_first_until(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.call(move |conn| look_first_until(conn, now)).await
    }

    /// Ends the connection, and returns when the file is closed. Every later call fails. To be called before the
    /// process ends while other clones live: what was answered is on the disk anyway, but a thread that still encrypts
    /// while the process ends can crash it.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.thread.jobs.send(Job::Close(done)).is_ok() {
            // An error means that the thread has ended already.
            let _ = closed.await;
        }
    }
}

#[async_trait]
impl Revision for Store {
    /// The upper half counts what other processes committed, whatever it was; the lower half counts the changes that
    /// this process announced.
    async fn revision(&self) -> Result<u64, StoreError> {
        let others: u32 =
            self.call(|conn| Ok(conn.pragma_query_value(None, "data_version", |row| row.get(0))?)).await?;
        let ours = *self.changes.borrow() & u64::from(u32::MAX);
        Ok(u64::from(others) << 32 | ours)
    }
}

/// The name in `meta`.
pub(crate) const LOOK_FIRST_UNTIL: &str = "look_first_until";

pub(crate) fn look_first_until(
    conn: &Connection,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Fault> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    let until = first(conn, sql, [LOOK_FIRST_UNTIL], |row| row.parsed("value", read_time))?;
    Ok(until.filter(|until| now < *until))
}
