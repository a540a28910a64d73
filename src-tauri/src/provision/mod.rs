//! `apply`: makes the settings what a provisioning file says.

mod file;
mod plan;
mod secret;
#[cfg(test)]
mod tests;

pub use file::{Mistake, same_account};
pub use plan::{Plan, PlanError};

use crate::compose::Sockets;
use domain::settings::PracticeSettings;
use file::WantedFile;
use secret::SecretSources;
use std::path::{Path, PathBuf};

/// More than this is no provisioning file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Why a file cannot be read as one that says what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// It is not there, or may not be read.
    #[error("The provisioning file {} cannot be read. Check its path and its permissions.", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is far too long.
    #[error("{} is too long for a provisioning file. Check its path.", .0.display())]
    TooLong(PathBuf),
    /// It is in another encoding.
    #[error("The provisioning file {} is not UTF-8 text. Save it as UTF-8 and apply it again.", .0.display())]
    NotText(PathBuf),
    /// Something in it is wrong. Nothing was changed.
    #[error("{}, {mistake}. Nothing was changed.", path.display())]
    Mistake {
        /// Which file.
        path: PathBuf,
        /// What, and where.
        mistake: Mistake,
    },
}

/// Reads the file and everything that it points to, beside the practices that are linked already. Changes nothing.
pub fn read(
    path: &Path,
    sockets: &Sockets,
    stored: &[PracticeSettings],
) -> Result<WantedFile, ProvisionError> {
    let unreadable = |cause| ProvisionError::Unreadable { path: path.to_owned(), cause };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(unreadable(std::io::ErrorKind::InvalidInput.into()));
    }
    if found.len() > LARGEST_FILE {
        return Err(ProvisionError::TooLong(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| ProvisionError::NotText(path.to_owned()))?;
    // Relative paths in it start where it lies, wherever it is applied from.
    let whole = std::path::absolute(path).map_err(unreadable)?;
    let folder = whole.parent().unwrap_or(Path::new(""));
    let sources = SecretSources { variable: &|name| std::env::var_os(name), folder };
    file::read(text, folder, &sources, sockets, stored)
        .map_err(|mistake| ProvisionError::Mistake { path: path.to_owned(), mistake })
}
