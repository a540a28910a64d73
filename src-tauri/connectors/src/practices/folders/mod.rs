//! Documents through folders: one that the practice system picks up from, and one that the practice lays documents
//! into for its patients.

mod inbox;
mod names;
mod source;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use domain::ports::documents::FilingError;

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

/// Runs what waits for a disk, or for a server that holds the folder, beside everything else.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilingError> + Send + 'static,
) -> Result<T, FilingError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(FilingError::Failed(Box::new(error))),
    }
}
