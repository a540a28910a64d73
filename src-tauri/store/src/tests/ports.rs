//! The other ports.

use super::people::{link, sent, yes};
use super::*;
use crate::activity::LINES_KEPT;
use domain::ports::store::{
    Activity, ActivityLine, Consents, Leg, LegNote, Links, Mark, Marks, OpenWish, Problem, ProblemKind,
    Revision, SettingsBook, StoreError, Vault, Watermarks, Wish, Wishes,
};
use domain::settings::{
    AppSettings, DocumentRoutes, ListenerSettings, PracticeSettings, SecretKind, SecretName, SystemSettings,
    WriteMode,
};
use domain::time::PracticeZone;
use secrecy::{ExposeSecret, SecretString};

pub(super) fn settings(id: &str) -> PracticeSettings {
    PracticeSettings {
        id: PracticeId::new(id),
        name: "Richmond Physiotherapy".into(),
        zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
        enabled: true,
        system: SystemSettings {
            profile: "openemr".into(),
            url: "mysql://openemr@127.0.0.1:3306/openemr".into(),
            write: WriteMode::Sql,
            locations: None,
            poll_seconds: 5,
            documents: DocumentRoutes::default(),
            provet: None,
        },
        healthengine: None,
        vald: None,
        accounts: std::collections::BTreeMap::new(),
    }
}

fn mark(thing: &str, digest: &str) -> Mark {
    Mark { thing: thing.into(), digest: digest.into(), at: second(1) }
}

#[tokio::test]
async fn marks_by_prefix() {
    let (_dir, store) = fresh();
    let all = [mark("availability/2026-11-20/7", "a"), mark("availability_%/x", "b"), mark("resources", "c")];
    store.set_marks(&practice(), &all).await.unwrap();
    store.set_marks(&practice(), &[]).await.unwrap();
    store.set_marks(&PracticeId::new("carlton"), &all[..1]).await.unwrap();
    assert_eq!(store.marks(&practice(), "").await.unwrap(), all);
    assert_eq!(store.marks(&practice(), "availability/").await.unwrap(), all[..1]);
    assert_eq!(store.marks(&practice(), "availability_%").await.unwrap(), all[1..2]);
    assert_eq!(store.marks(&practice(), "z").await.unwrap(), []);
    store.set_marks(&practice(), &[mark("resources", "d")]).await.unwrap();
    assert_eq!(store.marks(&practice(), "res").await.unwrap(), [mark("resources", "d")]);
    assert_eq!(store.forget_marks(&practice(), "availability").await.unwrap(), 2);
    assert_eq!(store.marks(&practice(), "").await.unwrap(), [mark("resources", "d")]);
    assert_eq!(store.marks(&PracticeId::new("carlton"), "").await.unwrap(), all[..1]);
}

#[tokio::test]
async fn the_last_note_of_each_leg() {
    let (_dir, store) = fresh();
    let note = |kind| LegNote {
        proven_at: Some(second(1)),
        failing_since: Some(second(2)),
        problem: Some(Problem { kind, sentence: "Healthengine has not answered since 10:42.".into() }),
    };
    for kind in ProblemKind::ALL {
        store.note(&practice(), Leg::Desk, &note(kind)).await.unwrap();
        assert_eq!(store.notes(&practice()).await.unwrap(), [(Leg::Desk, note(kind))]);
    }
    let well = LegNote { proven_at: None, failing_since: None, problem: None };
    let accounts = ["hint", "validic"].map(|name| Leg::Account(PartnerId::new(name)));
    let all: Vec<Leg> = Leg::ALL.into_iter().chain(accounts).collect();
    for leg in all.iter().rev() {
        store.note(&practice(), leg.clone(), &well).await.unwrap();
    }
    let expected: Vec<_> = all.into_iter().map(|leg| (leg, well.clone())).collect();
    assert_eq!(store.notes(&practice()).await.unwrap(), expected);
    assert_eq!(store.notes(&PracticeId::new("carlton")).await.unwrap(), []);
    let synchronous = |conn: &mut rusqlite::Connection| {
        Ok(conn.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(store.call(synchronous).await.unwrap(), 2, "everything else waits for the disk");
}

#[tokio::test]
async fn wishes_wait_until_granted() {
    let (_dir, store) = fresh();
    let wishes = [
        Wish::ResyncConfiguration,
        Wish::ResyncAvailability,
        Wish::ResyncPatients,
        Wish::AcceptShrink("resources".into()),
    ];
    for wish in &wishes {
        store.wish(&practice(), wish, second(1)).await.unwrap();
    }
    let open = store.open_wishes().await.unwrap();
    let expected: Vec<OpenWish> = (1..)
        .zip(&wishes)
        .map(|(id, wish)| OpenWish { id, practice: practice(), wish: wish.clone() })
        .collect();
    assert_eq!(open, expected);
    store.granted(open[1].id, second(2)).await.unwrap();
    store.granted(open[1].id, second(3)).await.unwrap();
    assert_eq!(store.open_wishes().await.unwrap(), [open[0].clone(), open[2].clone(), open[3].clone()]);
    assert!(matches!(store.granted(99, second(2)).await, Err(StoreError::Missing)));
}

#[tokio::test]
async fn unlinking_takes_everything_but_the_bookings() {
    let (_dir, store) = fresh();
    let (kept, gone) = (settings("richmond-2"), settings("richmond"));
    for practice in [&kept, &gone] {
        store.save_practice(practice).await.unwrap();
        let name = SecretName::of(&practice.id, SecretKind::SystemPassword);
        store.keep_secret(&name, SecretString::from("hunter2")).await.unwrap();
        store.set_marks(&practice.id, &[mark("resources", "d")]).await.unwrap();
        let well = LegNote { proven_at: None, failing_since: None, problem: None };
        store.note(&practice.id, Leg::Board, &well).await.unwrap();
        store.wish(&practice.id, &Wish::ResyncAvailability, second(1)).await.unwrap();
    }
    filed(&store, "1").await;
    assert_eq!(store.practices().await.unwrap(), [gone.clone(), kept.clone()]);

    assert!(store.remove_practice(&gone.id).await.unwrap());
    assert_eq!(store.practices().await.unwrap(), std::slice::from_ref(&kept));
    let secret = async |id| store.secret(&SecretName::of(id, SecretKind::SystemPassword)).await.unwrap();
    assert!(secret(&gone.id).await.is_none() && secret(&kept.id).await.is_some());
    assert_eq!(store.marks(&gone.id, "").await.unwrap(), []);
    assert_eq!(store.notes(&gone.id).await.unwrap(), []);
    assert_eq!(store.marks(&kept.id, "").await.unwrap().len(), 1);
    assert_eq!(store.open_wishes().await.unwrap().len(), 1);
    assert_eq!(store.newest(Some(&gone.id), 9).await.unwrap().len(), 1);

    // A pass that was in flight leaves a mark; the practice linked again begins without it.
    store.set_marks(&gone.id, &[mark("resources", "late")]).await.unwrap();
    store.save_practice(&gone).await.unwrap();
    assert_eq!(store.marks(&gone.id, "").await.unwrap(), []);
    store.set_marks(&gone.id, &[mark("resources", "d")]).await.unwrap();
    store.save_practice(&PracticeSettings { enabled: false, ..gone.clone() }).await.unwrap();
    assert_eq!(store.marks(&gone.id, "").await.unwrap().len(), 1);
}

#[tokio::test]
async fn app_settings_have_defaults() {
    let (dir, store) = fresh();
    assert_eq!(store.app_settings().await.unwrap(), AppSettings::default());
    let chosen = AppSettings {
        retention_days: 7,
        decide_minutes: 5,
        log_level: "debug".into(),
        listener: Some(ListenerSettings { check_sources: false, ..ListenerSettings::at("127.0.0.1:1") }),
        quick_open_keys: String::new(),
    };
    store.save_app_settings(&chosen).await.unwrap();
    store.close().await;
    assert_eq!(open(dir.path()).app_settings().await.unwrap(), chosen);
}

#[tokio::test]
async fn secrets_are_kept_and_forgotten_and_never_shown() {
    let (dir, store) = fresh();
    let name = SecretName::of(&practice(), SecretKind::HealthenginePracticeKey);
    assert!(store.secret(&name).await.unwrap().is_none());
    for value in ["first", "", "correct-horse-battery-staple-é"] {
        store.keep_secret(&name, SecretString::from(value)).await.unwrap();
        let secret = store.secret(&name).await.unwrap().unwrap();
        assert_eq!(secret.expose_secret(), value);
        assert!(!format!("{store:?} {secret:?} {name:?} {:?}", key()).contains("correct-horse"));
    }
    filed(&store, "1").await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for plain in ["correct-horse", "Wolliwhistle", "CREATE TABLE", "SQLite format"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "{plain}");
        }
    }
    store.forget_secret(&name).await.unwrap();
    store.forget_secret(&name).await.unwrap();
    assert!(store.secret(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_practice_and_its_secrets_are_linked_together_or_not_at_all() {
    let (_dir, store) = fresh();
    let [kept, replaced, dropped, ..] = SecretKind::ALL.map(|kind| SecretName::of(&practice(), kind));
    for name in [&kept, &replaced, &dropped] {
        store.keep_secret(name, "old".into()).await.unwrap();
    }
    let news = || vec![(replaced.clone(), Some(SecretString::from("new"))), (dropped.clone(), None)];
    let sql = "CREATE TRIGGER no_practice BEFORE INSERT ON practice BEGIN SELECT raise(FAIL, 'no'); END";
    store.call(move |conn| Ok(conn.execute_batch(sql)?)).await.unwrap();
    let read = async || {
        let mut values = Vec::new();
        for name in [&kept, &replaced, &dropped] {
            let secret = store.secret(name).await.unwrap();
            values.push(secret.map(|secret| secret.expose_secret().to_owned()));
        }
        values
    };
    let some = |text: &str| Some(text.to_owned());
    store.link_practice(&settings("richmond"), news()).await.unwrap_err();
    assert_eq!(read().await, [some("old"), some("old"), some("old")]);
    store.call(|conn| Ok(conn.execute_batch("DROP TRIGGER no_practice")?)).await.unwrap();
    store.link_practice(&settings("richmond"), news()).await.unwrap();
    assert_eq!(read().await, [some("old"), some("new"), None]);
    assert_eq!(store.practices().await.unwrap(), [settings("richmond")]);
}

#[tokio::test]
async fn activity_is_told_since_and_does_not_grow_for_ever() {
    let (_dir, store) = fresh();
    let line = |seconds, text: &str| ActivityLine {
        at: second(seconds),
        began_at: Some(second(seconds - 1)).filter(|_| seconds > 1),
        kind: "outage".into(),
        text: text.into(),
    };
    for line in [line(1, "a"), line(3, "c"), line(2, "b")] {
        store.tell(&practice(), &line).await.unwrap();
    }
    assert_eq!(store.told(&practice(), second(2)).await.unwrap(), [line(2, "b"), line(3, "c")]);
    assert_eq!(store.told(&PracticeId::new("carlton"), second(0)).await.unwrap(), []);
    store
        .write(|tx| {
            for _ in 0..LINES_KEPT + 10 {
                tx.prepare_cached(
                    "INSERT INTO activity (practice, at, kind, text) VALUES ('richmond', '2026', '', '')",
                )?
                .execute([])?;
            }
            Ok(())
        })
        .await
        .unwrap();
    store.tell(&practice(), &line(4, "d")).await.unwrap();
    let count = |conn: &mut rusqlite::Connection| {
        Ok(conn.query_row("SELECT count(*) FROM activity", [], |row| row.get::<_, u32>(0))?)
    };
    assert_eq!(store.call(count).await.unwrap(), LINES_KEPT);
    assert_eq!(store.told(&practice(), second(0)).await.unwrap(), [line(4, "d")]);
}

#[tokio::test]
async fn the_revision_moves_with_what_the_engine_must_look_at() {
    let (dir, store) = fresh();
    let other = open(dir.path());
    let mut last = store.revision().await.unwrap();
    let mut moved = async |what: &str, expected: bool| {
        let now = store.revision().await.unwrap();
        assert_eq!(now != last, expected, "{what}");
        last = now;
    };
    moved("nothing", false).await;
    other.save_practice(&settings("richmond")).await.unwrap();
    moved("another process saves a practice", true).await;
    moved("nothing again", false).await;
    let changes = store.changes();
    store.save_practice(&settings("richmond")).await.unwrap();
    assert!(changes.has_changed().unwrap());
    moved("we save a practice", true).await;
    store.wish(&practice(), &Wish::ResyncAvailability, second(1)).await.unwrap();
    moved("we wish", true).await;
    store.keep_secret(&SecretName::of(&practice(), SecretKind::SystemPassword), "x".into()).await.unwrap();
    moved("we keep a secret", true).await;
    let entry = filed(&store, "1").await;
    store.set_marks(&practice(), &[mark("resources", "d")]).await.unwrap();
    store.save_links(&[link("7")], &[sent("7")]).await.unwrap();
    moved("the engine's own work", false).await;
    other.record_consents(&[yes("7")]).await.unwrap();
    moved("another process records a consent", true).await;
    store.record_consents(&[yes("7")]).await.unwrap();
    moved("what is known already", false).await;
    store.record_consents(&[yes("8")]).await.unwrap();
    moved("we record a consent", true).await;
    store.record(&entry, &domain::booking::BookingEvent::HandedToDesk, None, second(1)).await.unwrap();
    moved("a person's word on a booking", true).await;
    store.save_app_settings(&AppSettings::default()).await.unwrap();
    moved("app settings", true).await;
}
