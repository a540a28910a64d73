//! Opening: wrong keys, damage, other processes.

use super::*;
use crate::{EngineLock, LOOK_FIRST_HOURS, Notice, OpenError, records_exist};
use chrono::TimeDelta;
use domain::booking::BookingState;
use domain::people::PatientPlan;
use domain::ports::store::StoreError;
use rusqlite::Connection;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

/// A folder whose records hold a hundred bookings and are closed.
async fn with_bookings() -> TempDir {
    let (dir, store) = fresh();
    for number in 0..100 {
        filed(&store, &number.to_string()).await;
    }
    store.close().await;
    dir
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

fn refusal(dir: &Path) -> OpenError {
    Store::open(dir, &key(), second(0)).unwrap_err()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn opens_again_only_with_its_key_and_a_wrong_key_touches_nothing() {
    let dir = with_bookings().await;
    let database = dir.path().join("companion.db");
    let before = fs::read(&database).unwrap();
    for key_check in [true, false] {
        if !key_check {
            fs::remove_file(dir.path().join("companion.key-check")).unwrap();
        }
        let files = names(dir.path());
        let refused = Store::open(dir.path(), &StoreKey::new([8; 32]), second(0));
        assert!(matches!(refused, Err(OpenError::WrongKey)));
        assert_eq!(names(dir.path()), files);
        assert_eq!(fs::read(&database).unwrap(), before);
    }
    assert_eq!(open(dir.path()).newest(None, 1000).await.unwrap().len(), 100);
    assert!(dir.path().join("companion.key-check").exists(), "noted again");
}

#[tokio::test]
async fn damage_is_moved_aside_and_never_deleted() {
    type Damage<'a> = &'a dyn Fn(&Path);
    let damages: &[(&str, Damage<'_>)] = &[
        ("nothing but zeros", &|db| overwrite(db, 0, &vec![0; fs::read(db).unwrap().len()])),
        ("a first page of nonsense", &|db| overwrite(db, 0, &[0x5a; 4096])),
        ("another page of nonsense", &|db| overwrite(db, 5 * 4096, &[0x5a; 4096])),
        ("one bit in some page", &|db| {
            let byte = fs::read(db).unwrap()[9 * 4096 + 100];
            overwrite(db, 9 * 4096 + 100, &[byte ^ 1]);
        }),
        ("cut short", &|db| OpenOptions::new().write(true).open(db).unwrap().set_len(5000).unwrap()),
        ("empty", &|db| OpenOptions::new().write(true).open(db).unwrap().set_len(0).unwrap()),
        ("text", &|db| fs::write(db, "this is not a database").unwrap()),
    ];
    for (what, damage) in damages {
        let dir = with_bookings().await;
        damage(&dir.path().join("companion.db"));
        let left = fs::read(dir.path().join("companion.db")).unwrap();
        let opened = Store::open(dir.path(), &key(), at("2026-11-20T03:04:05Z")).unwrap();
        let aside = dir.path().join("companion.db.damaged-20261120T030405");
        assert_eq!(opened.notices, [Notice::DamagedMovedAside(aside.clone())], "{what}");
        assert_eq!(fs::read(&aside).unwrap(), left, "{what}");
        assert!(opened.started_empty_after_damage());
        assert_eq!(opened.store.newest(None, 9).await.unwrap(), [], "{what}");
        filed_as(&opened.store, "1", at("2026-11-20T03:05:00Z"), true).await;
        opened.store.close().await;
        assert_eq!(open(dir.path()).newest(None, 9).await.unwrap().len(), 1, "{what}");
    }
}

async fn filed_as(store: &Store, booking: &str, now: DateTime<Utc>, looked_for: bool) {
    assert!(store.file(&request(booking), now).await.unwrap());
    let entry = store.entry(&booking_key(booking)).await.unwrap().unwrap();
    let first = BookingState::Inserting { tries: 0, plan: PatientPlan::Undecided };
    assert_eq!(entry.state, if looked_for { first } else { BookingState::NEW });
}

#[tokio::test]
async fn after_a_loss_bookings_are_looked_for_first_for_a_day() {
    let dir = with_bookings().await;
    fs::remove_file(dir.path().join("companion.db")).unwrap();
    let lost = second(0);
    let opened = Store::open(dir.path(), &key(), lost).unwrap();
    assert_eq!(opened.notices, [Notice::RecordsGone]);
    opened.store.close().await;
    let store = open(dir.path());
    let over = lost + TimeDelta::hours(LOOK_FIRST_HOURS);
    assert_eq!(store.look_first_until(lost).await.unwrap(), Some(over));
    filed_as(&store, "1", over - TimeDelta::milliseconds(1), true).await;
    filed_as(&store, "2", over, false).await;
    assert_eq!(store.look_first_until(over).await.unwrap(), None);
    assert_eq!(store.history(&booking_key("1")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_damages_in_one_second_overwrite_nothing() {
    let dir = with_bookings().await;
    for expected in ["companion.db.damaged-20261120T000000", "companion.db.damaged-20261120T000000.2"] {
        overwrite(&dir.path().join("companion.db"), 0, &[0x5a; 4096]);
        let opened = Store::open(dir.path(), &key(), second(0)).unwrap();
        assert_eq!(opened.notices, [Notice::DamagedMovedAside(dir.path().join(expected))]);
        opened.store.close().await;
    }
}

#[tokio::test]
async fn damage_is_not_moved_away_under_another_process() {
    let dir = with_bookings().await;
    let other = open(dir.path());
    overwrite(&dir.path().join("companion.db"), 5 * 4096, &[0x5a; 4096]);
    let files = names(dir.path());
    assert!(matches!(refusal(dir.path()), OpenError::DamagedInUse));
    assert_eq!(names(dir.path()), files);
    other.close().await;
    assert_eq!(Store::open(dir.path(), &key(), second(0)).unwrap().notices.len(), 1);
}

#[tokio::test]
async fn a_sound_file_has_nothing_to_report_and_a_damaged_one_has() {
    let dir = with_bookings().await;
    let store = open(dir.path());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let sql = "PRAGMA writable_schema = ON;
               UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'booking')
               WHERE name = 'mark';";
    store.call(move |conn| Ok(conn.execute_batch(sql)?)).await.unwrap();
    store.close().await;
    let opened = Store::open(dir.path(), &key(), second(0)).unwrap();
    assert_eq!(opened.notices.len(), 1, "moved aside: pages are whole, and tables are not");
}

#[tokio::test]
async fn a_newer_file_is_refused_in_words() {
    let dir = with_bookings().await;
    set_version(dir.path(), 99).await;
    let error = refusal(dir.path());
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }));
    assert!(error.to_string().contains("update"), "{error}");
}

async fn set_version(dir: &Path, version: i64) {
    let store = open(dir);
    store.call(move |conn| Ok(conn.pragma_update(None, "user_version", version)?)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn looking_changes_nothing() {
    let dir = with_bookings().await;
    let other = open(dir.path());
    let store = Store::look(dir.path(), &key()).unwrap();
    assert_eq!(store.newest(None, 999).await.unwrap().len(), 100);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    assert!(matches!(store.file(&request("new"), second(0)).await, Err(StoreError::ReadOnly)));
    filed(&other, "new").await;
    assert_eq!(store.newest(None, 999).await.unwrap().len(), 101, "what others write is seen");
    store.close().await;
    other.close().await;

    let look = |key: StoreKey| Store::look(dir.path(), &key).unwrap_err();
    let database = dir.path().join("companion.db");
    let before = (names(dir.path()), fs::read(&database).unwrap());
    assert!(matches!(look(StoreKey::new([8; 32])), OpenError::WrongKey));
    assert_eq!((names(dir.path()), fs::read(&database).unwrap()), before);
    set_version(dir.path(), 99).await;
    assert!(matches!(look(key()), OpenError::TooNew { .. }));
    overwrite(&database, 0, &[0x5a; 4096]);
    let before = (names(dir.path()), fs::read(&database).unwrap());
    assert!(matches!(look(key()), OpenError::Damaged));
    assert_eq!((names(dir.path()), fs::read(&database).unwrap()), before);

    let empty = tempfile::tempdir().unwrap();
    Store::look(empty.path(), &key()).unwrap_err();
    assert!(!records_exist(empty.path()));
    let absent = empty.path().join("absent");
    assert!(matches!(Store::look(&absent, &key()), Err(OpenError::FolderMissing(_))));
    assert!(!absent.exists());
}

#[test]
fn folders_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refusal(&file), OpenError::NotAFolder(path) if path == file));
    assert!(matches!(refusal(&file.join("data")), OpenError::NotAFolder(_)));
    assert!(fs::read(&file).unwrap().is_empty());
    assert!(!records_exist(&file.join("data")) && !records_exist(dir.path()));
    #[cfg(target_os = "linux")]
    {
        // Even an administrator can write nothing in these two.
        let sealed = PathBuf::from("/sys/kernel");
        assert!(matches!(refusal(&sealed), OpenError::ReadOnlyFolder(path) if path == sealed));
        assert!(matches!(refusal(Path::new("/proc/clinic-companion")), OpenError::FolderMissing(_)));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_we_make() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let store = open(&dir);
    filed(&store, "1").await;
    let _lock = EngineLock::take(&dir).unwrap().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files = names(&dir);
    assert!(files.contains(&"companion.db-wal".to_owned()) && files.contains(&"engine.lock".to_owned()));
    for name in files {
        assert_eq!(mode(&dir.join(&name)), 0o600, "{name}");
    }
}

/// Failures of SQLite itself, as the store sorts them.
#[tokio::test]
async fn a_full_disk_and_a_read_only_file_are_told_apart() {
    let (dir, store) = fresh();
    filed(&store, "1").await;
    store
        .call(|conn| {
            let pages: u32 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            conn.pragma_query_value(None, "max_page_count", |_| Ok(())).unwrap();
            Ok(conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        })
        .await
        .unwrap();
    let mut big = request("2");
    big.note = private(&"Wolliwhistle".repeat(10_000));
    let full = store.file(&big, second(0)).await.unwrap_err();
    assert!(matches!(full, StoreError::DiskFull) && !chain(&full).contains("Wolliwhistle"));
    assert_eq!(store.newest(None, 9).await.unwrap().len(), 1, "what was recorded is still there");

    store.call(|conn| Ok(conn.execute_batch("PRAGMA query_only = ON")?)).await.unwrap();
    let sealed = store.file(&request("3"), second(0)).await.unwrap_err();
    assert!(matches!(sealed, StoreError::ReadOnly), "{sealed:?}");
    store.close().await;

    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = Connection::open_with_flags(dir.path().join("companion.db"), flags).unwrap();
    crate::open::unlock(&conn, &key()).unwrap();
    let error = conn.execute("DELETE FROM booking", []).unwrap_err();
    assert!(matches!(StoreError::from(crate::columns::Fault::from(error)), StoreError::ReadOnly));
}

#[test]
fn a_disk_that_is_full_at_the_first_start_is_said_so() {
    let mut conn = Connection::open_in_memory().unwrap();
    conn.query_row("PRAGMA max_page_count = 5", [], |_| Ok(())).unwrap();
    let error =
        crate::migrations::run(&mut conn, crate::migrations::STEPS, |_, _| Ok::<(), ()>(())).unwrap_err();
    let crate::migrations::MigrationError::Sqlite(error) = error else { panic!("{error:?}") };
    let folder = crate::files::Folder::prepare(&std::env::temp_dir()).unwrap();
    assert!(matches!(crate::open::opening_error(&folder, error), OpenError::DiskFull));
    let no_room = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(matches!(folder.trouble(no_room), OpenError::DiskFull));
}

#[test]
fn every_refusal_says_what_to_do_and_none_like_another() {
    let path = PathBuf::from("/data");
    let all = [
        OpenError::WrongKey,
        OpenError::KeyringLocked,
        OpenError::KeyringUnavailable,
        OpenError::KeyringFailed("x".into()),
        OpenError::KeyringEntryBad,
        OpenError::KeyMissing(path.clone()),
        OpenError::KeyFileBad { path: path.clone(), problem: crate::KeyFileProblem::Missing },
        OpenError::TooNew { found: 2, known: 1 },
        OpenError::DiskFull,
        OpenError::ReadOnlyFolder(path.clone()),
        OpenError::FolderMissing(path.clone()),
        OpenError::NotAFolder(path),
        OpenError::DamagedInUse,
        OpenError::Damaged,
        OpenError::TooOld,
        OpenError::Busy,
        OpenError::Failed("x".into()),
    ]
    .map(|error| error.to_string());
    for (number, sentence) in all.iter().enumerate() {
        assert!(sentence.ends_with('.') && !all[..number].contains(sentence), "{sentence}");
    }
}

#[tokio::test]
async fn a_job_that_panics_answers_and_leaves_the_thread_alive() {
    let (_dir, store) = fresh();
    let panicked: Result<(), StoreError> = store
        .write(|tx| {
            tx.execute("INSERT INTO meta (name, value) VALUES ('half', '')", [])?;
            panic!("Wolliwhistle")
        })
        .await;
    let error = panicked.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)) && !chain(&error).contains("Wolliwhistle"));
    let half = |conn: &mut Connection| {
        Ok(conn.query_row("SELECT count(*) FROM meta WHERE name = 'half'", [], |row| row.get::<_, u32>(0))?)
    };
    assert_eq!(store.call(half).await.unwrap(), 0);
    filed(&store, "1").await;
}

#[tokio::test]
async fn a_call_that_is_dropped_still_commits() {
    let (_dir, store) = fresh();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let filed = store.write(move |tx| {
        wait.recv().unwrap();
        Ok(tx.execute("INSERT INTO meta (name, value) VALUES ('kept', '')", [])?)
    });
    tokio::select! { biased; _ = filed => panic!("not yet"), () = std::future::ready(()) => {} }
    go.send(()).unwrap();
    let kept = |conn: &mut Connection| {
        Ok(conn.query_row("SELECT count(*) FROM meta WHERE name = 'kept'", [], |row| row.get::<_, u32>(0))?)
    };
    assert_eq!(store.call(kept).await.unwrap(), 1);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_dir, store) = fresh();
    let clone = store.clone();
    store.close().await;
    clone.close().await;
    assert!(matches!(clone.newest(None, 1).await, Err(StoreError::Failed(_))));
}

#[test]
fn one_engine_per_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = EngineLock::take(dir.path()).unwrap().unwrap();
    assert!(EngineLock::take(dir.path()).unwrap().is_none());
    drop(first);
    assert!(EngineLock::take(dir.path()).unwrap().is_some());
    assert!(EngineLock::take(&dir.path().join("absent")).is_err());
}

#[tokio::test]
async fn pulling_the_plug_loses_nothing_that_was_answered() {
    let (dir, store) = fresh();
    for number in 0..20 {
        filed(&store, &number.to_string()).await;
    }
    // What lies on the disk while the store is still open is what a power cut would leave.
    let image = tempfile::tempdir().unwrap();
    for name in ["companion.db", "companion.db-wal", "companion.key-check"] {
        fs::copy(dir.path().join(name), image.path().join(name)).unwrap();
    }
    assert_eq!(open(image.path()).newest(None, 99).await.unwrap().len(), 20);
    // A log that was torn at its end loses no more than the transaction that it was torn in.
    let torn = tempfile::tempdir().unwrap();
    for name in ["companion.db", "companion.db-wal", "companion.key-check"] {
        fs::copy(dir.path().join(name), torn.path().join(name)).unwrap();
    }
    let log = OpenOptions::new().write(true).open(torn.path().join("companion.db-wal")).unwrap();
    log.set_len(log.metadata().unwrap().len() - 10).unwrap();
    let kept = open(torn.path()).newest(None, 99).await.unwrap();
    assert_eq!(kept.len(), 19);
    assert!(kept.iter().all(|entry| entry.state == BookingState::NEW));
}
