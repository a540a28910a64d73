//! The files in the data folder, who may read them, and who may use them at the same time.
//!
//! | file | what for |
//! |---|---|
//! | `companion.db`, `-wal`, `-shm` | the records, encrypted |
//! | `companion.key-check` | tells a wrong key from a damaged file; see [`crate::keys`] |
//! | `companion.opening` | locked while a process opens the records, so that two never create or move them at once |
//! | `companion.in-use` | locked, shared, for as long as a process holds the records open; they are not moved then |
//! | `companion.db.before-N` | a copy from before migration step N; the newest two are kept |
//! | `companion.db.damaged-TIME` | damaged records that were moved aside; never deleted |
//! | `engine.lock` | locked by the one process that runs the engine on this folder |

use crate::open::OpenError;
use chrono::{DateTime, Utc};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Whether there are records in the folder, whatever their condition.
pub fn records_exist(dir: &Path) -> bool {
    Folder { dir: dir.to_owned() }.has_records()
}

/// The data folder.
#[derive(Clone)]
pub(crate) struct Folder {
    dir: PathBuf,
}

/// What SQLite keeps beside the database, and the database itself last: a log that stayed behind without its
/// database would be played into the next one.
const PARTS: [&str; 3] = ["-wal", "-shm", ""];

impl Folder {
    /// Makes the folder where it is missing, for its owner only.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, OpenError> {
        let folder = Self { dir: dir.to_owned() };
        match fs::metadata(dir) {
            Ok(found) if found.is_dir() => Ok(folder),
            Ok(_) => Err(OpenError::NotAFolder(folder.dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(dir).map_err(|error| folder.trouble(error))?;
                Ok(folder)
            }
            Err(error) => Err(folder.trouble(error)),
        }
    }

    /// Sorts a failure to read or write in the folder by what people can do about it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have nothing to do with folders")]
    pub(crate) fn trouble(&self, error: io::Error) -> OpenError {
        match error.kind() {
            ErrorKind::NotFound => OpenError::FolderMissing(self.dir.clone()),
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => OpenError::NotAFolder(self.dir.clone()),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnlyFolder(self.dir.clone())
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::DiskFull,
            _ => OpenError::Failed(error.into()),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("companion.db")
    }

    fn part(&self, part: &str) -> PathBuf {
        self.dir.join(format!("companion.db{part}"))
    }

    pub(crate) fn key_check(&self) -> PathBuf {
        self.dir.join("companion.key-check")
    }

    /// An empty database file holds nothing, and is what is left when the disk was full at the first start. One that
    /// cannot be looked at is there all the same.
    pub(crate) fn has_records(&self) -> bool {
        match fs::metadata(self.database()) {
            Ok(found) => found.len() > 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// Waits for any other process that is opening the records, and keeps others waiting until dropped.
    pub(crate) fn lock_opening(&self) -> Result<File, OpenError> {
        let file = create(&self.dir.join("companion.opening")).map_err(|error| self.trouble(error))?;
        file.lock().map_err(|error| self.trouble(error))?;
        Ok(file)
    }

    /// The file whose lock says that a process holds the records open.
    pub(crate) fn in_use(&self) -> Result<File, OpenError> {
        create(&self.dir.join("companion.in-use")).map_err(|error| self.trouble(error))
    }

    /// Creates the database file where it is missing, so that its owner alone may read it and what SQLite puts beside
    /// it, which gets the same permissions.
    pub(crate) fn create_database(&self) -> Result<(), OpenError> {
        create(&self.database()).map(drop).map_err(|error| self.trouble(error))
    }

    /// Moves the database and what lies beside it out of the way, under a name that is free. Returns its new path.
    pub(crate) fn move_aside(&self, now: DateTime<Utc>) -> io::Result<PathBuf> {
        let base = format!("companion.db.damaged-{}", now.format("%Y%m%dT%H%M%S"));
        let taken = |name: &str| PARTS.iter().any(|part| self.dir.join(format!("{name}{part}")).exists());
        let names = std::iter::once(base.clone()).chain((2_u32..).map(|n| format!("{base}.{n}")));
        let Some(name) = names.into_iter().find(|name| !taken(name)) else {
            return Err(ErrorKind::AlreadyExists.into());
        };
        for part in PARTS {
            match fs::rename(self.part(part), self.dir.join(format!("{name}{part}"))) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(self.dir.join(name))
    }

    /// Where the copy from before a migration step goes.
    pub(crate) fn copy_before(&self, step: usize) -> PathBuf {
        self.part(&format!(".before-{step}"))
    }

    /// Deletes all copies from before migration steps but those of the newest two.
    pub(crate) fn drop_old_copies(&self) -> io::Result<()> {
        let mut steps = Vec::new();
        for found in fs::read_dir(&self.dir)? {
            let name = found?.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix("companion.db.before-"));
            steps.extend(step.and_then(|step| step.parse::<usize>().ok()));
        }
        steps.sort_unstable();
        for old in steps.iter().rev().skip(2) {
            fs::remove_file(self.copy_before(*old))?;
        }
        Ok(())
    }
}

/// Opens a file for writing, and creates it for its owner only where it is missing.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Replaces a small file in one go: after a power cut there is the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = create(&beside)?;
    file.set_len(0)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// Held by the one process that runs the engine on a data folder. Let go of when dropped, or when the process dies.
#[derive(Debug)]
pub struct EngineLock {
    _file: File,
}

impl EngineLock {
    /// Takes the lock, or returns none when another process runs the engine here. The folder must be there.
    pub fn take(dir: &Path) -> Result<Option<Self>, io::Error> {
        let file = create(&dir.join("engine.lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
