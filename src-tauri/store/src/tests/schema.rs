//! Migrations and what the file looks like.

use super::people::{sent, vald, yes};
use super::*;
use crate::migrations::{MigrationError, STEPS, run, version};
use crate::open::copy_before;
use crate::{files::Folder, open::unlock};
use domain::link::LinkState;
use domain::ports::store::{AuditTrail, Consents, Links, Marks, SettingsBook, Watermarks, Wishes};
use rusqlite::Connection;
use std::convert::Infallible;

fn no_copy(_: &Connection, _: usize) -> Result<(), Infallible> {
    Ok(())
}

#[test]
fn every_prefix_of_the_steps_leads_to_the_same_schema() {
    let schema = |conn: &Connection| -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut fresh = Connection::open_in_memory().unwrap();
    run(&mut fresh, STEPS, no_copy).unwrap();
    for prefix in 0..=STEPS.len() {
        let mut old = Connection::open_in_memory().unwrap();
        run(&mut old, &STEPS[..prefix], no_copy).unwrap();
        run(&mut old, STEPS, no_copy).unwrap();
        assert_eq!(schema(&old), schema(&fresh));
        assert_eq!(version(&old).unwrap(), STEPS.len());
    }
}

#[test]
fn a_failing_step_leaves_the_previous_version() {
    let mut conn = Connection::open_in_memory().unwrap();
    run(&mut conn, &[STEPS[0], "CREATE TABLE half (x) STRICT; nonsense"], no_copy).unwrap_err();
    assert_eq!(version(&conn).unwrap(), 1);
}

#[test]
fn a_newer_file_is_refused() {
    let mut conn = Connection::open_in_memory().unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    let known = STEPS.len();
    let refused = run(&mut conn, STEPS, no_copy);
    assert!(matches!(refused, Err(MigrationError::TooNew { found: 99, known: k }) if k == known));
}

#[test]
fn nothing_is_changed_unless_the_copy_succeeds() {
    let mut conn = Connection::open_in_memory().unwrap();
    run(&mut conn, &["CREATE TABLE a (x ANY) STRICT"], |_, _| Err("no copy of a new file")).unwrap();
    let steps = ["CREATE TABLE a (x ANY) STRICT", "CREATE TABLE b (x ANY) STRICT"];
    let mut asked = None;
    let failed = run(&mut conn, &steps, |_, step| {
        asked = Some(step);
        Err("the disk is full")
    });
    assert!(matches!(failed, Err(MigrationError::Copy("the disk is full"))));
    assert_eq!((asked, version(&conn).unwrap()), (Some(2), 1));
}

#[tokio::test]
async fn records_from_before_consents_and_links_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let newer = STEPS.iter().position(|sql| sql.contains("CREATE TABLE consent")).unwrap();
    let mut old = Connection::open(dir.path().join("companion.db")).unwrap();
    unlock(&old, &key()).unwrap();
    run(&mut old, &STEPS[..newer], no_copy).unwrap();
    old.execute_batch(
        "INSERT INTO practice (id, name, zone, enabled, system_profile, system_url, system_write, system_poll_seconds)
         VALUES ('richmond', 'Richmond', 'Australia/Melbourne', 1, 'openemr', 'sqlite:x', 'sql', 5);
         INSERT INTO healthengine_account (practice, base_url, practice_id, user_agent_email, environment, horizon_days,
                                           poll_seconds, features, live_hours)
         VALUES ('richmond', 'https://x.example', '1', 'a@b.example', 'UAT', 60, 5, '[]', '{}');
         INSERT INTO mark (practice, thing, digest, at)
         VALUES ('richmond', 'resources', 'd', '2026-11-20T00:00:00.000Z');
         INSERT INTO wish (practice, kind, detail, wished_at)
         VALUES ('richmond', 'resync_availability', '', '2026-11-20T00:00:00.000Z');
         INSERT INTO leg_note (practice, leg) VALUES ('richmond', 'board');",
    )
    .unwrap();
    old.close().unwrap();

    let store = open(dir.path());
    let practices = store.practices().await.unwrap();
    assert_eq!(practices.len(), 1);
    assert!(practices[0].healthengine.is_some() && practices[0].vald.is_none());
    assert_eq!(store.marks(&practice(), "").await.unwrap().len(), 1);
    assert_eq!(store.notes(&practice()).await.unwrap().len(), 1);
    assert_eq!(store.open_wishes().await.unwrap().len(), 1);
    assert_eq!(store.last_consent().await.unwrap(), 0);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    assert_eq!(store.record_consents(&[yes("7")]).await.unwrap(), 1);
    store.save_practice(&practices[0]).await.unwrap();
    assert_eq!(store.marks(&practice(), "").await.unwrap().len(), 1, "nothing was replaced");
    let copy = Folder::prepare(dir.path()).unwrap().copy_before(newer + 1);
    assert!(copy.exists());
}

#[tokio::test]
async fn consents_from_before_belong_to_the_system_that_is_linked_now() {
    let dir = tempfile::tempdir().unwrap();
    let newer = STEPS.iter().position(|sql| sql.contains("CREATE TABLE consent_system")).unwrap();
    let mut old = Connection::open(dir.path().join("companion.db")).unwrap();
    unlock(&old, &key()).unwrap();
    run(&mut old, &STEPS[..newer], no_copy).unwrap();
    old.execute_batch(
        "INSERT INTO practice (id, name, zone, enabled, system_profile, system_url, system_write, system_poll_seconds)
         VALUES ('richmond', 'Richmond', 'Australia/Melbourne', 1, 'openemr', 'sqlite:x', 'sql', 5);
         INSERT INTO consent (practice, partner, patient, given, photo_and_video, how, recorded_by, wording, at)
         VALUES ('richmond', 'vald', '7', 1, 0, 'desk', 'Kim', '', '2026-11-20T00:00:00.000Z'),
                ('richmond', 'vald', '8', 1, 0, 'desk', 'Kim', '', '2026-11-20T00:00:00.000Z'),
                ('gone', 'vald', '7', 1, 0, 'desk', 'Kim', '', '2026-11-20T00:00:00.000Z');",
    )
    .unwrap();
    old.close().unwrap();

    let store = open(dir.path());
    let fits = async |practice: &str, profile: &str| {
        store.consents_fit(&PracticeId::new(practice), profile).await.map_err(|error| error.to_string())
    };
    assert_eq!(fits("richmond", "openemr").await, Ok(()));
    assert!(fits("richmond", "demo").await.unwrap_err().contains("patients of openemr"));
    assert!(fits("gone", "openemr").await.unwrap_err().contains("not known any more"));
    assert_eq!(fits("carlton", "demo").await, Ok(()));
    let mut known = store.practices().await.unwrap();
    store.save_practice(&known.remove(0)).await.unwrap();
}

#[tokio::test]
async fn links_and_the_trail_from_before_they_were_counted_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let counted = STEPS.iter().position(|sql| sql.contains("CREATE TABLE link_count")).unwrap();
    let mut old = Connection::open(dir.path().join("companion.db")).unwrap();
    unlock(&old, &key()).unwrap();
    run(&mut old, &STEPS[..counted], no_copy).unwrap();
    // What today's program writes, in the tables of then.
    let fresh = open(tempfile::tempdir().unwrap().path());
    fresh.audit(&[sent("7"), sent("8")]).await.unwrap();
    for entry in fresh.audited(0, 10).await.unwrap() {
        old.execute(
            "INSERT INTO audit (number, at, practice, partner, patient, what, fields, consent, told_as, digest)
             VALUES (?1, '2026-11-20T00:00:03.000Z', 'richmond', 'vald', ?2, 'sent', 'givenName email', 1, ?3, ?4)",
            (
                entry.number,
                entry.line.patient.as_ref().map(ToString::to_string),
                entry.line.told_as,
                entry.digest,
            ),
        )
        .unwrap();
    }
    old.execute_batch(
        "INSERT INTO link (practice, partner, kind, local_id, told_as, state, since)
         VALUES ('richmond', 'vald', 'patient', '7', 'richmond-7', 'linked', '2026-11-20T00:00:00.000Z'),
                ('richmond', 'vald', 'patient', '8', 'richmond-8', 'failed', '2026-11-20T00:00:00.000Z');",
    )
    .unwrap();
    old.close().unwrap();

    let store = open(dir.path());
    let counts = store.link_counts(&practice(), &vald()).await.unwrap();
    assert_eq!((counts[&LinkState::Linked], counts[&LinkState::Failed]), (1, 1));
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    store.audit(&[sent("9")]).await.unwrap();
    assert_eq!(store.audited(2, 10).await.unwrap()[0].number, 3);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
}

#[tokio::test]
async fn copies_are_whole_encrypted_with_the_same_key_and_the_newest_two_are_kept() {
    let (dir, store) = fresh();
    filed(&store, "1").await;
    let folder = Folder::prepare(dir.path()).unwrap();
    std::fs::write(dir.path().join("companion.db.unfinished"), b"half a copy").unwrap();
    for step in [2, 9, 10, 10] {
        let folder = folder.clone();
        let copied = store.call(move |conn| Ok(copy_before(conn, &folder, step).is_ok())).await;
        assert!(copied.unwrap(), "{step}");
    }
    let kept = [2, 9, 10].map(|step| folder.copy_before(step).exists());
    assert_eq!(kept, [false, true, true]);
    let copy = dir.path().join("companion.db.before-10");
    let bytes = std::fs::read(&copy).unwrap();
    assert_ne!(&bytes[..6], b"SQLite");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&copy.metadata().unwrap().permissions()) & 0o777,
        0o600
    );
    let conn = Connection::open(&copy).unwrap();
    unlock(&conn, &key()).unwrap();
    let bookings: u32 = conn.query_row("SELECT count(*) FROM booking", [], |row| row.get(0)).unwrap();
    assert_eq!((bookings, version(&conn).unwrap()), (1, STEPS.len()));
}
