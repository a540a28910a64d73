//! Names that come from outside, and files that go into folders, are picked up, and come out of folders.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::names::{NamePattern, PathPattern};
use super::{Beside, DocumentFolder, FolderInbox, FolderSource};
use chrono::NaiveDate;
use domain::documents::{DocumentKey, DocumentOrder, LARGEST_BYTES, PracticeDocumentKind};
use domain::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId,
};
use domain::ports::documents::{DocumentInbox, DocumentSource, FilingError, Placed};
use domain::private::Private;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

fn order(name: &str) -> DocumentOrder {
    DocumentOrder {
        key: DocumentKey {
            practice: PracticeId::new("richmond"),
            partner: PartnerId::new("healthengine"),
            document: ForeignDocumentId::new("91"),
        },
        patient: PatientRef::new("77"),
        appointment: Some(AppointmentRef::new("4711")),
        booking: Some(ForeignBookingId::new("36127212")),
        kind: Private::new("REFERRAL".into()),
        name: Private::new(name.to_owned()),
        extension: "pdf",
        day: NaiveDate::from_ymd_opt(2026, 11, 20).unwrap(),
    }
}

fn name(pattern: &str, order: &DocumentOrder) -> String {
    NamePattern::parse(pattern).unwrap().name(order, 1)
}

#[test]
fn a_name_follows_its_pattern() {
    let pattern =
        "{patient_id}_{appointment_id}_{booking_id}_{document_id}_{date}_{document_type}_{name}.{ext}";
    let expected = "77_4711_36127212_91_2026-11-20_REFERRAL_Knee scan.pdf";
    assert_eq!(name(pattern, &order("Knee  scan.PDF")), expected);
    assert_eq!(NamePattern::parse("{patient_id}.{ext}").unwrap().name(&order("x"), 3), "77 (3).pdf");
}

#[test]
fn no_name_leaves_the_folder_or_is_refused_by_windows() {
    let pattern = "{name}-{patient_id}.{ext}";
    for evil in [
        "../../etc/passwd",
        "..\\..\\windows\\system32\\x",
        "/absolute",
        "C:\\x",
        "a\0b",
        "\u{202e}fdp.exe",
        "line\nbreak",
        "star*?<>|\"",
        "...",
        " . ",
        "",
        "CON",
        "🦵".repeat(300).as_str(),
        "a".repeat(4000).as_str(),
    ] {
        let name = name(pattern, &order(evil));
        assert!(name.ends_with(".pdf"), "{evil:?} became {name:?}");
        assert!(name.len() < 200, "{evil:?} became {name:?}");
        assert!(
            !name.starts_with('.') && !name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']),
            "{name:?}"
        );
        assert!(!name.chars().any(|c| c.is_control() || c == '\u{202e}'), "{name:?}");
        assert_eq!(Path::new(&name).components().count(), 1, "{name:?}");
    }
    let mut device = order("x");
    device.patient = PatientRef::new("NUL");
    assert_eq!(name("{patient_id}.{ext}", &device), "document.pdf");
    device.patient = PatientRef::new("../77");
    assert_eq!(name("{patient_id}.{ext}", &device), "_77.pdf");
}

#[test]
fn a_pattern_that_cannot_work_is_refused_in_words() {
    for (pattern, word) in [
        ("{patient_id}", ".{ext}"),
        ("{name}.{ext}", "{patient_id}"),
        ("{patient}.{ext}", "is not known here"),
        ("{patient_id.{ext}", "without its `}`"),
        ("{patient_id}{nam}.{ext}", "is not known here"),
        ("a/{patient_id}.{ext}", "no file's name may have"),
    ] {
        let said = NamePattern::parse(pattern).unwrap_err().to_string();
        assert!(said.contains(word), "{pattern}: {said}");
    }
    for (pattern, word) in [
        ("{document_type}/{name}", "whose"),
        ("{patient_id}/{name}", "what a document is"),
        ("{patient_id}/{document_type}", "{name}"),
        ("{patient_id}//{document_type}/{name}", "no name"),
        ("../{patient_id}/{document_type}/{name}", "no name"),
        ("{document_type}/{patient_id}{name}", "runs into"),
        ("{patient_id}{appointment_id}/{document_type}/{name}", "runs into"),
    ] {
        let said = PathPattern::parse(pattern).unwrap_err().to_string();
        assert!(said.contains(word), "{pattern}: {said}");
    }
}

struct Desk {
    _dir: tempfile::TempDir,
    path: PathBuf,
    inbox: FolderInbox,
}

fn desk() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let pattern = NamePattern::parse("{patient_id}_{name}.{ext}").unwrap();
    let inbox = FolderInbox::new(DocumentFolder { path: path.clone(), ours: false }, pattern);
    Desk { _dir: dir, path, inbox }
}

fn files(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn content(text: &str) -> Private<Vec<u8>> {
    Private::new(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_document_is_seen_whole_or_not_at_all_and_never_twice() {
    let Desk { path, inbox, _dir } = desk();
    let order = order("form");
    inbox.check().await.unwrap();
    assert_eq!(files(&path), [""; 0]);
    // Staged twice, as after a crash before it was recorded: nothing that the practice system would pick up.
    inbox.stage(&order, content("half of it")).await.unwrap();
    let ticket = inbox.stage(&order, content("all")).await.unwrap().ticket;
    assert!(files(&path).iter().all(|name| name.starts_with('.')), "{:?}", files(&path));
    assert_eq!(inbox.place(&order.key, &ticket, None).await.unwrap(), Placed::Stands(None));
    assert_eq!(files(&path), ["77_form.pdf"]);
    assert_eq!(fs::read_to_string(path.join("77_form.pdf")).unwrap(), "all");
    // Told again after a crash, and again when the practice system has taken it away.
    assert_eq!(inbox.place(&order.key, &ticket, None).await.unwrap(), Placed::Stands(None));
    fs::remove_file(path.join("77_form.pdf")).unwrap();
    assert_eq!(inbox.place(&order.key, &ticket, None).await.unwrap(), Placed::Stands(None));
    assert_eq!(files(&path), [""; 0]);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let Desk { path, inbox, _dir } = desk();
    fs::write(path.join("77_form.pdf"), "another patient's").unwrap();
    let order = order("form");
    let ticket = inbox.stage(&order, content("ours")).await.unwrap().ticket;
    // Somebody takes the second name too, between choosing and renaming.
    fs::write(path.join("77_form (2).pdf"), "a third one").unwrap();
    let Placed::TryInstead(next) = inbox.place(&order.key, &ticket, None).await.unwrap() else { panic!() };
    assert_eq!(inbox.place(&order.key, &next, None).await.unwrap(), Placed::Stands(None));
    assert_eq!(files(&path), ["77_form (2).pdf", "77_form (3).pdf", "77_form.pdf"]);
    assert_eq!(fs::read_to_string(path.join("77_form.pdf")).unwrap(), "another patient's");
    assert_eq!(fs::read_to_string(path.join("77_form (3).pdf")).unwrap(), "ours");
}

#[tokio::test]
async fn a_crash_between_linking_and_unlinking_leaves_one() {
    let Desk { path, inbox, _dir } = desk();
    let order = order("form");
    let ticket = inbox.stage(&order, content("ours")).await.unwrap().ticket;
    let ready = path.join(files(&path).remove(0));
    fs::hard_link(&ready, ticket.reveal()).unwrap();
    assert_eq!(inbox.place(&order.key, &ticket, None).await.unwrap(), Placed::Stands(None));
    assert_eq!(files(&path), ["77_form.pdf"]);
}

#[tokio::test]
async fn what_lies_ready_is_taken_away_with_the_document() {
    let Desk { path, inbox, _dir } = desk();
    let order = order("form");
    inbox.discard(&order.key).await.unwrap();
    inbox.stage(&order, content("ours")).await.unwrap();
    inbox.discard(&order.key).await.unwrap();
    assert_eq!(files(&path), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_gone_or_read_only_is_said_and_loses_nothing() {
    let Desk { path, inbox, _dir } = desk();
    let order = order("form");
    let ticket = inbox.stage(&order, content("ours")).await.unwrap().ticket;
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    assert!(matches!(inbox.check().await, Err(FilingError::Missing)));
    assert!(matches!(inbox.stage(&order, content("ours")).await, Err(FilingError::Missing)));
    // A drive that is away must not pass for a file that was picked up.
    assert!(matches!(inbox.place(&order.key, &ticket, None).await, Err(FilingError::Missing)));
    fs::rename(&away, &path).unwrap();
    assert_eq!(inbox.place(&order.key, &ticket, None).await.unwrap(), Placed::Stands(None));
    assert_eq!(files(&path), ["77_form.pdf"]);

    let file = path.join("a file");
    fs::write(&file, "").unwrap();
    let pattern = NamePattern::parse("{patient_id}.{ext}").unwrap();
    let no_folder = FolderInbox::new(DocumentFolder { path: file, ours: false }, pattern);
    assert!(matches!(no_folder.check().await, Err(FilingError::Missing)));
    let said = super::failed(std::io::ErrorKind::ReadOnlyFilesystem.into()).to_string();
    assert!(said.contains("give it the right"), "{said}");
    assert!(matches!(super::failed(std::io::ErrorKind::StorageFull.into()), FilingError::Full));
}

fn source(path: &Path, pattern: &str) -> FolderSource {
    let folder = DocumentFolder { path: path.to_owned(), ours: true };
    FolderSource::new(folder, PathPattern::parse(pattern).unwrap())
}

fn lay(path: &Path, file: &str, text: &str) {
    let file = path.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[tokio::test]
async fn documents_of_one_appointment_are_found_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let source = source(&path, "{appointment_id}/{document_type}/{name}");
    let (appointment, patient) = (AppointmentRef::new("4711"), PatientRef::new("77"));
    assert_eq!(source.documents(&appointment, &patient).await.unwrap(), []);
    assert!(path.is_dir(), "a folder of our own is made");
    lay(&path, "4711/scripts/Panadol.pdf", "script");
    lay(&path, "4711/Referrals/To Dr Lee.PDF", "referral");
    lay(&path, "4711/scripts/empty.pdf", "");
    lay(&path, "4711/scripts/run me.exe", "MZ");
    lay(&path, "4711/scripts/.hidden.pdf", "x");
    lay(&path, "4711/scripts/deeper/x.pdf", "x");
    lay(&path, "4711/letters/x.pdf", "x");
    lay(&path, "47110/scripts/x.pdf", "another appointment's");
    #[cfg(unix)]
    std::os::unix::fs::symlink(path.join("47110/scripts/x.pdf"), path.join("4711/scripts/link.pdf")).unwrap();
    let mut found = source.documents(&appointment, &patient).await.unwrap();
    found.sort_by_key(|document| document.kind);
    let told: Vec<_> = found.iter().map(|d| (d.kind, d.name.reveal().as_str(), d.format, d.size)).collect();
    assert_eq!(
        told,
        [
            (PracticeDocumentKind::Scripts, "Panadol.pdf", "application/pdf", 6),
            (PracticeDocumentKind::Referral, "To Dr Lee.PDF", "application/pdf", 8),
        ]
    );
    let read = source.content(&appointment, &patient, &found[0].id).await.unwrap().unwrap();
    assert_eq!(read.reveal(), b"script");
    let other = AppointmentRef::new("47110");
    assert!(source.content(&other, &patient, &found[0].id).await.unwrap().is_none());
    assert!(source.content(&appointment, &patient, &DocumentRef::new("?")).await.unwrap().is_none());
    let climbing = AppointmentRef::new("../out/4711");
    assert_eq!(source.documents(&climbing, &patient).await.unwrap(), []);
    assert_eq!(source.documents(&AppointmentRef::new(""), &patient).await.unwrap(), []);
}

#[tokio::test]
async fn a_pattern_of_one_level_tells_names_apart() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path(), "{patient_id}_{document_type}_{name}");
    lay(dir.path(), "77_referral_To_Dr_Lee.pdf", "x");
    lay(dir.path(), "770_referral_x.pdf", "x");
    let found = source.documents(&AppointmentRef::new("1"), &PatientRef::new("77")).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, PracticeDocumentKind::Referral);
}

#[tokio::test]
async fn a_file_that_grew_too_large_is_not_read_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path(), "{patient_id}_{document_type}_{name}");
    let file = fs::File::create(dir.path().join("77_scripts_x.pdf")).unwrap();
    file.set_len(LARGEST_BYTES * 2).unwrap();
    let (appointment, patient) = (AppointmentRef::new("1"), PatientRef::new("77"));
    let found = source.documents(&appointment, &patient).await.unwrap();
    assert_eq!(found[0].size, LARGEST_BYTES * 2);
    assert!(source.content(&appointment, &patient, &found[0].id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_is_gone_keeps_nobody_waiting_and_takes_one_thread() {
    let beside = Beside::default();
    let (back, server) = mpsc::channel::<()>();
    let hangs = beside.run_within(Duration::from_millis(20), move || {
        let _ = server.recv();
        Ok(())
    });
    assert!(matches!(hangs.await, Err(FilingError::Missing)));
    assert!(matches!(beside.run(|| Ok(())).await, Err(FilingError::Missing)), "the thread is taken");
    drop(back);
    while beside.run(|| Ok(())).await.is_err() {
        tokio::task::yield_now().await;
    }
}
