//! Opening the records: the key, the file, its condition, and its schema.

use crate::columns::{Fault, Trouble, harmless, time_text};
use crate::files::Folder;
use crate::keys::{self, KeyCheck, KeySource, StoreKey};
use crate::migrations::{self, MigrationError};
use crate::thread::{LOOK_FIRST_UNTIL, Store};
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::Cause;
use domain::ports::store::StoreError;
use rusqlite::{Connection, OpenFlags};
use secrecy::zeroize::Zeroizing;
use std::cmp::Ordering;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For how long, after the records were lost and begun anew, a booking that is new to them is first looked for in
/// the book. Anything that a partner still asks about after that was made after the loss.
pub const LOOK_FIRST_HOURS: i64 = 24;

/// How long to wait for another process that is writing.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);

/// Why the records cannot be opened, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key is not the one that the records were written with. They are left as they are.
    #[error(
        "The key does not open our records. Sign in as the user who set Clinic Companion up, or name the key file that belongs to this data folder."
    )]
    WrongKey,
    /// The keyring is locked, or its question for the password was not answered.
    #[error(
        "This computer's keyring is locked. Unlock it, or sign in again, and then start Clinic Companion again."
    )]
    KeyringLocked,
    /// There is no keyring: a service account, a server, a session without one.
    #[error(
        "This computer offers no keyring to keep the key to our records in. Sign in to a desktop session, or name a key file in CLINIC_COMPANION_KEY_FILE."
    )]
    KeyringUnavailable,
    /// There is a keyring, and it failed.
    #[error(
        "This computer's keyring does not work. Sign out and in again, and then start Clinic Companion again."
    )]
    KeyringFailed(#[source] Cause),
    /// What the keyring holds under our name is no key.
    #[error(
        "What this computer's keyring keeps for Clinic Companion is not a key. Bring back the entry companion.db of au.cliniccompanion.desktop, 64 hexadecimal digits."
    )]
    KeyringEntryBad,
    /// There are records, and the keyring holds no key. No new one is made.
    #[error(
        "This computer's keyring no longer holds the key to our records. Sign in as the user who set Clinic Companion up. If the key is lost for good, move companion.db out of {}, and set up again.",
        .0.display()
    )]
    KeyMissing(PathBuf),
    /// The key file cannot be used.
    #[error("The key file {} cannot be used: {problem}.", path.display())]
    KeyFileBad {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: KeyFileProblem,
    },
    /// A newer program has been here.
    #[error("Our records were written by a newer version of Clinic Companion. Please update this one.")]
    TooNew {
        /// How many migration steps the file has taken.
        found: usize,
        /// How many this program knows.
        known: usize,
    },
    /// The disk is full.
    #[error(
        "The disk is full. Free some space, and then start Clinic Companion again; nothing that was recorded is lost."
    )]
    DiskFull,
    /// The folder, or a file in it, cannot be written.
    #[error(
        "The data folder {} cannot be written. Give this user the right to write there, or choose another folder with --data-dir.",
        .0.display()
    )]
    ReadOnlyFolder(PathBuf),
    /// The folder is not there and cannot be made.
    #[error("The data folder {} is not there. Check that its drive is connected, or choose another folder with --data-dir.", .0.display())]
    FolderMissing(PathBuf),
    /// A file stands where the folder should be.
    #[error("{} is a file, not a folder. Choose another folder with --data-dir.", .0.display())]
    NotAFolder(PathBuf),
    /// The records are damaged, and cannot be moved aside while another process uses them.
    #[error(
        "Our records are damaged, and another Clinic Companion uses them. Quit it, and then start again."
    )]
    DamagedInUse,
    /// They are damaged, and were only looked at.
    #[error(
        "Our records are damaged. Start Clinic Companion: it moves them aside, begins new ones, and says what to do."
    )]
    Damaged,
    /// They are of an older version, and were only looked at.
    #[error("Our records are of an older version. Start Clinic Companion once: it brings them up to date.")]
    TooOld,
    /// Another process keeps the records to itself.
    #[error("Another program holds our records. Wait a moment, or quit it, and then start again.")]
    Busy,
    /// Anything else.
    #[error("Our records cannot be opened. The log has the details.")]
    Failed(#[source] Cause),
}

/// What is wrong with a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileProblem {
    /// It does not exist.
    #[error("there is no such file")]
    Missing,
    /// A folder, a pipe or a device.
    #[error("it is not an ordinary file")]
    NotAFile,
    /// Others than its owner may read or write it.
    #[error("others than its owner may use it (its mode is {mode:03o}); run chmod 600 on it")]
    OpenToOthers {
        /// Its permissions.
        mode: u32,
    },
    /// The wrong number of digits.
    #[error("it holds {found} characters where 64 hexadecimal digits belong")]
    BadLength {
        /// How many characters it holds; reading stops at 1024.
        found: usize,
    },
    /// Something else than hexadecimal digits.
    #[error("it holds something other than hexadecimal digits")]
    NotHexadecimal,
    /// It is there and cannot be read.
    #[error("this user may not read it")]
    Unreadable,
}

/// Something that people should be told about the opened records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// The records were damaged. They were moved aside, and new ones were begun: the practices have to be linked again.
    #[error(
        "Our records were damaged and have been moved aside to {}. New ones were begun: please link your practices again. Bookings that come in are looked for in the book before anything is written.",
        .0.display()
    )]
    DamagedMovedAside(PathBuf),
    /// The records were here once and are gone. New ones were begun.
    #[error(
        "Our records are gone from the data folder. New ones were begun: please link your practices again. Bookings that come in are looked for in the book before anything is written."
    )]
    RecordsGone,
}

/// The opened records.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What people should be told.
    pub notices: Vec<Notice>,
}

impl Opened {
    /// Whether the records were lost, so that these began empty at this start. For the hours after it,
    /// see [`Store::look_first_until`].
    pub fn started_empty_after_damage(&self) -> bool {
        !self.notices.is_empty()
    }
}

impl Store {
    /// Opens the records in `dir` with `key`, or creates them. Blocks; call it before there is anything to block.
    pub fn open(dir: &Path, key: &StoreKey, now: DateTime<Utc>) -> Result<Opened, OpenError> {
        let folder = Folder::prepare(dir)?;
        let _others_wait = folder.lock_opening()?;
        open_in(&folder, key, now)
    }

    /// The same with the key from `source`. A key is made only in the keyring, and only when there are no records yet.
    pub fn open_with(dir: &Path, source: &KeySource, now: DateTime<Utc>) -> Result<Opened, OpenError> {
        let folder = Folder::prepare(dir)?;
        let _others_wait = folder.lock_opening()?;
        let key = keys::obtain(source, &folder)?;
        open_in(&folder, &key, now)
    }

    /// Opens records that are there for looking at them. Nothing is created, brought up to date, repaired or moved, and
    /// whatever would write through this store fails. Blocks.
    pub fn look(dir: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        if !dir.is_dir() {
            return Err(OpenError::FolderMissing(dir.to_owned()));
        }
        let folder = Folder::prepare(dir)?;
        let in_use = folder.in_use()?;
        in_use.lock_shared().map_err(|error| folder.trouble(error))?;
        let conn = match only_look(&folder, key) {
            Ok(conn) => conn,
            Err(Obstacle::Damaged) => return Err(OpenError::Damaged),
            Err(Obstacle::Error(error)) => return Err(error),
        };
        Store::start(conn, in_use).map_err(|error| OpenError::Failed(error.into()))
    }
}

fn only_look(folder: &Folder, key: &StoreKey) -> Result<Connection, Obstacle> {
    let sorted = |error| obstacle(folder, error);
    // For writing, because a reader of a write-ahead log has to be able to write beside the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(folder.database(), flags).map_err(sorted)?;
    unlock(&conn, key).map_err(sorted)?;
    read_schema(&conn, folder, key)?;
    conn.execute_batch("PRAGMA query_only = ON;").map_err(sorted)?;
    let (found, known) = (migrations::version(&conn).map_err(sorted)?, migrations::STEPS.len());
    match found.cmp(&known) {
        Ordering::Less => Err(OpenError::TooOld.into()),
        Ordering::Greater => Err(OpenError::TooNew { found, known }.into()),
        Ordering::Equal => {
            check_condition(&conn, folder)?;
            Ok(conn)
        }
    }
}

/// Reads the first page, which is where a key that does not fit shows.
fn read_schema(conn: &Connection, folder: &Folder, key: &StoreKey) -> Result<(), Obstacle> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(|error| {
        let locked_out = Trouble::of(&error) == Trouble::NotADatabase && !is_damage(folder, key);
        if locked_out { OpenError::WrongKey.into() } else { obstacle(folder, error) }
    })
}

fn open_in(folder: &Folder, key: &StoreKey, now: DateTime<Utc>) -> Result<Opened, OpenError> {
    let in_use = folder.in_use()?;
    let mut notices = Vec::new();
    // The key check is written after the first successful start, so with it there must have been records.
    if !folder.has_records() && folder.key_check().exists() {
        match move_aside(folder, &in_use, now)? {
            to if to.exists() => notices.push(Notice::DamagedMovedAside(to)),
            _ => notices.push(Notice::RecordsGone),
        }
    }
    in_use.lock_shared().map_err(|error| folder.trouble(error))?;
    let mut conn = match connect(folder, key) {
        Err(Obstacle::Damaged) => {
            let to = move_aside(folder, &in_use, now)?;
            notices.push(Notice::DamagedMovedAside(to));
            in_use.lock_shared().map_err(|error| folder.trouble(error))?;
            connect(folder, key)
        }
        other => other,
    }
    .map_err(|obstacle| match obstacle {
        Obstacle::Damaged => OpenError::Failed(Box::new(StillDamaged)),
        Obstacle::Error(error) => error,
    })?;
    if !notices.is_empty() {
        look_first(&mut conn, now).map_err(|fault| after_opening(folder, fault))?;
    }
    keys::note(folder, key)?;
    let store = Store::start(conn, in_use).map_err(|error| OpenError::Failed(error.into()))?;
    Ok(Opened { store, notices })
}

#[derive(Debug, thiserror::Error)]
#[error("new records were damaged at once")]
struct StillDamaged;

/// Why a connection did not come about.
#[derive(Debug)]
enum Obstacle {
    /// The key is right and the file cannot be read.
    Damaged,
    Error(OpenError),
}

impl From<OpenError> for Obstacle {
    fn from(error: OpenError) -> Self {
        Obstacle::Error(error)
    }
}

fn connect(folder: &Folder, key: &StoreKey) -> Result<Connection, Obstacle> {
    folder.create_database()?;
    let sorted = |error| obstacle(folder, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(folder.database(), flags).map_err(sorted)?;
    unlock(&conn, key).map_err(sorted)?;
    read_schema(&conn, folder, key)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;",
    )
    .map_err(sorted)?;
    conn.set_prepared_statement_cache_capacity(64);
    let version = migrations::version(&conn).map_err(sorted)?;
    if (1..=migrations::STEPS.len()).contains(&version) {
        check_condition(&conn, folder)?;
    }
    migrations::run(&mut conn, migrations::STEPS, |conn, step| copy_before(conn, folder, step)).map_err(
        |error| match error {
            MigrationError::TooNew { found, known } => OpenError::TooNew { found, known }.into(),
            MigrationError::Copy(error) => error.into(),
            MigrationError::Sqlite(error) => obstacle(folder, error),
        },
    )?;
    Ok(conn)
}

/// Hands the key over. The log level comes first: SQLCipher would write to stderr about a wrong key.
pub(crate) fn unlock(conn: &Connection, key: &StoreKey) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    conn.execute_batch(&Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", *key.hex())))?;
    conn.busy_timeout(BUSY_PATIENCE)
}

/// Reads every page once, which finds damage before it spreads: 20,000 bookings take a tenth of a second unoptimised.
fn check_condition(conn: &Connection, folder: &Folder) -> Result<(), Obstacle> {
    let found: rusqlite::Result<String> = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match found {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(_) => Err(Obstacle::Damaged),
        Err(error) => Err(obstacle(folder, error)),
    }
}

fn obstacle(folder: &Folder, error: rusqlite::Error) -> Obstacle {
    match Trouble::of(&error) {
        Trouble::NotADatabase | Trouble::Damaged => Obstacle::Damaged,
        Trouble::DiskFull | Trouble::ReadOnly | Trouble::Busy | Trouble::Other => {
            opening_error(folder, error).into()
        }
    }
}

/// Sorts a failure of SQLite by what people can do about it.
pub(crate) fn opening_error(folder: &Folder, error: rusqlite::Error) -> OpenError {
    match Trouble::of(&error) {
        Trouble::DiskFull => OpenError::DiskFull,
        Trouble::ReadOnly => OpenError::ReadOnlyFolder(folder.dir().to_owned()),
        Trouble::Busy => OpenError::Busy,
        Trouble::NotADatabase | Trouble::Damaged | Trouble::Other => OpenError::Failed(harmless(error)),
    }
}

fn after_opening(folder: &Folder, fault: Fault) -> OpenError {
    match fault.into() {
        StoreError::DiskFull => OpenError::DiskFull,
        StoreError::ReadOnly => OpenError::ReadOnlyFolder(folder.dir().to_owned()),
        error @ (StoreError::Stale
        | StoreError::Illegal(_)
        | StoreError::Missing
        | StoreError::ConsentsOfOthers { .. }
        | StoreError::Failed(_)) => OpenError::Failed(error.into()),
    }
}

/// Whether a file that the key does not open is damaged, rather than written with another key. See [`crate::keys`].
fn is_damage(folder: &Folder, key: &StoreKey) -> bool {
    match keys::check(folder, key) {
        KeyCheck::Right => true,
        KeyCheck::Wrong => false,
        KeyCheck::Unknown => {
            let mut page = Vec::new();
            let read = File::open(folder.database()).and_then(|file| file.take(4096).read_to_end(&mut page));
            read.is_ok() && (page.len() < 4096 || page.iter().all(|byte| *byte == 0))
        }
    }
}

/// Moves the records aside, unless another process holds them open.
fn move_aside(folder: &Folder, in_use: &File, now: DateTime<Utc>) -> Result<PathBuf, OpenError> {
    in_use.unlock().map_err(|error| folder.trouble(error))?;
    match in_use.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::DamagedInUse),
        Err(TryLockError::Error(error)) => return Err(folder.trouble(error)),
    }
    let to = folder.move_aside(now).map_err(|error| folder.trouble(error))?;
    in_use.unlock().map_err(|error| folder.trouble(error))?;
    tracing::warn!("the records were lost or damaged; what was left of them was moved aside");
    Ok(to)
}

/// Notes that bookings which are new to these records may stand in the book already.
fn look_first(conn: &mut Connection, now: DateTime<Utc>) -> Result<(), Fault> {
    let until = time_text(now + TimeDelta::hours(LOOK_FIRST_HOURS));
    conn.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (LOOK_FIRST_UNTIL, until),
    )?;
    Ok(())
}

/// Copies the whole file, under the same key, before a migration step. A copy that was begun and not finished does not
/// carry the final name.
pub(crate) fn copy_before(conn: &Connection, folder: &Folder, step: usize) -> Result<(), OpenError> {
    let target = folder.copy_before(step);
    let unfinished = target.with_extension("unfinished");
    let trouble = |error| folder.trouble(error);
    let mut file = crate::files::create(&unfinished).map_err(trouble)?;
    file.set_len(0).and_then(|()| file.rewind()).map_err(trouble)?;
    let path = unfinished.to_string_lossy();
    conn.execute("VACUUM INTO ?1", [path.as_ref()]).map_err(|error| opening_error(folder, error))?;
    file.sync_all().map_err(trouble)?;
    drop(file);
    fs::rename(&unfinished, &target).map_err(trouble)?;
    folder.drop_old_copies().map_err(trouble)
}
