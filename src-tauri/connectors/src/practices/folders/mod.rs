//! Documents through folders: one that the practice system picks up from, and one that the practice lays documents
//! into for its patients.

mod inbox;
mod names;
mod source;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::ports::documents::FilingError;
use tokio::sync::Semaphore;

pub use inbox::FolderInbox;
pub use names::{NamePattern, PathPattern, PatternMistake};
pub use source::FolderSource;

/// A folder that documents go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is our own, so that we make it where it is missing. A practice system's folder that is missing is a
    /// drive that is not connected.
    pub ours: bool,
}

impl DocumentFolder {
    fn title(&self) -> String {
        format!("The folder {}", self.path.display())
    }

    /// Makes sure that it is there.
    fn ready(&self) -> Result<&Path, FilingError> {
        if self.ours {
            std::fs::create_dir_all(&self.path).map_err(failed)?;
        }
        if self.path.is_dir() { Ok(&self.path) } else { Err(FilingError::Missing) }
    }
}

/// Sorts what a disk says by what can be done about it. The name of a file is never a part of it.
fn failed(error: io::Error) -> FilingError {
    use io::ErrorKind as K;
    let kind = error.kind();
    if [K::NotFound, K::NotADirectory, K::NetworkUnreachable, K::HostUnreachable].contains(&kind) {
        FilingError::Missing
    } else if [K::PermissionDenied, K::ReadOnlyFilesystem].contains(&kind) {
        FilingError::NotAllowed
    } else if [K::StorageFull, K::QuotaExceeded].contains(&kind) {
        FilingError::Full
    } else {
        FilingError::Failed(kind.to_string().into())
    }
}

/// How long a folder may take over one document. A server that holds it may be gone, and then the operating system can
/// wait for it without an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// One thread for each folder. While what was asked of it still hangs, nothing more is asked, or one folder after the
/// other would take every thread that there is.
#[derive(Clone, Debug)]
struct Beside(Arc<Semaphore>);

impl Default for Beside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Beside {
    /// Runs what waits for a disk, or for a server that holds the folder, beside everything else. What takes too long
    /// goes on by itself, and counts as a folder that is not there.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FilingError> + Send + 'static,
    ) -> Result<T, FilingError> {
        self.run_within(PATIENCE, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> Result<T, FilingError> + Send + 'static,
    ) -> Result<T, FilingError> {
        let Ok(seat) = Arc::clone(&self.0).try_acquire_owned() else { return Err(FilingError::Missing) };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(seat);
            done
        });
        match tokio::time::timeout(patience, done).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(FilingError::Failed(Box::new(error))),
            Err(_) => Err(FilingError::Missing),
        }
    }
}
