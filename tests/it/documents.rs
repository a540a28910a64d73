//! Documents through the whole program: those that patients send, the practice's own, and the days that Healthengine
//! asks for.

use chrono::{NaiveDate, TimeDelta};
use connectors::partners::healthengine::sim::{
    AttachmentAnswer, Feature as Offered, PatientDocument, SimState, SnapshotDateType,
};
use connectors::practices::SHIPPED;
use connectors::practices::openemr::sim::{OpenEmrConduct, OpenEmrSim, SimDocument};
use connectors::sim::faults::{Fault as Wire, FaultRule};
use domain::booking::BookingState;
use domain::documents::{DocumentKey, DocumentRefusal, DocumentState, LARGEST_BYTES};
use domain::ids::{DocumentRef, ForeignDocumentId, PartnerId, PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::documents::DocumentLedger;
use domain::settings::{DocumentApi, DocumentRoutes, Feature};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sync::desk::Choice;
use sync::flows::availability::Availability;
use sync::flows::bookings::Bookings;
use sync::flows::documents::Documents;
use sync::flows::{Flow, Ports};
use tests::reaper::{Fault, one_fault, two_faults};
use tests::{Make, System, Ward, World, account, zone};

on_both!(
    a_patients_document_reaches_the_folder,
    where_there_is_no_folder_it_is_kept_and_the_appointment_says_so,
    what_cannot_be_filed_is_declined_and_somebody_is_told,
    no_name_leads_out_of_the_folder,
    what_was_taken_back_is_not_filed,
    whatever_goes_wrong_on_the_wire_and_with_a_restart_it_is_filed_once,
    what_the_practice_lays_out_is_announced_handed_over_and_declined,
    days_are_handed_over_by_both_of_their_dates,
    one_fault_anywhere_leaves_one_file,
    one_fault_anywhere_leaves_one_document_in_our_records,
);

/// Where patients' documents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// Into a folder that the clinic names.
    Folder,
    /// Into our own records: there is no folder.
    Records,
    /// Into the patient's record, through the practice system's own API.
    Api,
}

/// A clinic with these features, whose engine does not run yet.
async fn unstarted(system: System, to: To, features: &[Feature]) -> World {
    let world = World::new(Make::on(system)).await;
    let folder = |name: &str| {
        let path = world.folder().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Some(path.to_str().unwrap().to_owned())
    };
    let inward = if to == To::Folder { folder("in") } else { None };
    let folders = DocumentRoutes { inward, outward: folder("out"), api: None };
    if to == To::Records {
        without_a_folder(&world);
    }
    world
        .change_settings("p1", |settings| {
            settings.system.documents = folders;
            let account = settings.healthengine.as_mut().unwrap();
            account.features = features.iter().map(|feature| feature.name().to_owned()).collect();
        })
        .await;
    world
}

/// The demo clinic's profile names a folder beside its book; the clinic's own copy of it names none.
fn without_a_folder(world: &World) {
    let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "demo").unwrap();
    let own: Vec<&str> = text.lines().filter(|line| !line.starts_with("import_folder")).collect();
    assert_eq!(own.len() + 1, text.lines().count());
    let profiles = world.folder().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("demo.toml"), own.join("\n")).unwrap();
}

/// Lets documents go through OpenEMR's own API. The demo clinic's book gets OpenEMR's tables for documents, into which
/// the API writes, and the clinic's own profile names the API as OpenEMR's does.
async fn with_api(world: &World) -> OpenEmrSim {
    let file = world.book_file("p1");
    let tables = "CREATE TABLE documents (id INTEGER PRIMARY KEY, foreign_id INTEGER, name TEXT UNIQUE);
                  CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT, parent INTEGER);
                  INSERT INTO categories VALUES (1, 'Categories', 0), (2, 'Medical Record', 1);";
    rusqlite::Connection::open(&file).unwrap().execute_batch(tables).unwrap();
    let on_stored = Box::new(move |document: &SimDocument| {
        let insert = "INSERT INTO documents (id, foreign_id, name) VALUES (?1, ?2, ?3)";
        let row = (document.id, document.patient.parse::<i64>().unwrap(), &document.name);
        // A second copy would be refused here, and loudly.
        rusqlite::Connection::open(&file).unwrap().execute(insert, row).unwrap();
    });
    let clock = world.clock.clone();
    let sim =
        OpenEmrSim::start(OpenEmrConduct::default(), std::sync::Arc::new(move || clock.now()), on_stored)
            .await
            .unwrap();
    let of = |name: &str| SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap().1;
    let (from, to) = ("[documents.api]", "# What to give");
    let api = of("openemr").split_once(from).unwrap().1.split_once(to).unwrap().0;
    let profiles = world.folder().join("profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("demo.toml"), format!("{}\n{from}{api}", of("demo"))).unwrap();
    let api = DocumentApi {
        url: sim.url(),
        site: "default".into(),
        client_id: OpenEmrSim::CLIENT.into(),
        user: OpenEmrSim::USER.into(),
        category: "Medical Record".into(),
    };
    world.change_settings("p1", |settings| settings.system.documents.api = Some(api)).await;
    sim
}

/// How often each content stands in a patient's record.
fn in_records(sim: &OpenEmrSim) -> BTreeMap<Vec<u8>, usize> {
    sim.inspect(|state| {
        let mut all = BTreeMap::new();
        for document in &state.documents {
            *all.entry(document.content.clone()).or_default() += 1;
        }
        all
    })
}

#[tokio::test]
async fn a_patients_document_reaches_the_record_through_the_practice_systems_own_api() {
    let mut world = unstarted(System::Demo, To::Api, &[Feature::AttachDocuments]).await;
    let api = with_api(&world).await;
    world.start().await;
    world.all_published("p1").await;
    let is_on = |state: &SimState| state.has_feature(&account("p1"), Offered::AttachDocuments);
    world.until("the feature is switched on", is_on).await;
    let (booking, patient) = standing(&world).await;
    let first = attach(&world, &form("first").for_booking(booking));
    assert!(answered(&world, first).await.inserted);
    assert_eq!(state_of(&world, first).await, Some(DocumentState::Told(Some(DocumentRef::new("341")))));
    assert_eq!(noted(&world, booking, first), 0, "it stands where staff look for it");
    let stands = api.inspect(|state| state.documents[0].clone());
    assert_eq!((stands.patient, stands.category), (patient.to_string(), "/medicalrecord".to_owned()));
    assert!(stands.name.contains("healthengine") && stands.name.ends_with(".pdf"), "{}", stands.name);

    // Somebody switches the API off: what comes is held in our records, also when Healthengine takes it back.
    api.administer(|conduct| conduct.rest_api = false);
    let second = attach(&world, &form("second").for_booking(booking));
    world.pass(30).await;
    assert!(matches!(state_of(&world, second).await, Some(DocumentState::Filing(_))));
    assert_eq!(kept(&world, second).await, Some(b"second".to_vec()));
    let told = world.told().await;
    let says = |word: &str| {
        told.iter().filter(|line| line.kind == "look/documents" && line.text.contains(word)).count()
    };
    assert_eq!(says("REST API switched off"), 1, "{told:?}");
    world.sim.expire_document(&account("p1"), second).unwrap();
    world.stop().await;
    world.start().await;
    api.administer(|conduct| conduct.rest_api = true);
    until_state(&world, second, &DocumentState::Told(Some(DocumentRef::new("342")))).await;
    assert_eq!(kept(&world, second).await, None);

    // What OpenEMR's white list does not hold is opened from the booking.
    api.administer(|conduct| conduct.white_list = vec!["image/png".into()]);
    let third = attach(&world, &form("third").for_booking(booking));
    assert!(answered(&world, third).await.inserted);
    assert_eq!((kept(&world, third).await, noted(&world, booking, third)), (Some(b"third".to_vec()), 1));
    assert_eq!(in_records(&api), [(b"first".to_vec(), 1), (b"second".to_vec(), 1)].into());
    assert_eq!(files(world.folder()).into_keys().filter(|name| name.ends_with(".pdf")).count(), 0);
    world.finish().await;
}

#[tokio::test]
async fn whatever_goes_wrong_at_the_api_and_with_a_restart_it_is_filed_once() {
    let mut world = unstarted(System::Demo, To::Api, &[Feature::AttachDocuments]).await;
    let api = with_api(&world).await;
    world.start().await;
    world.all_published("p1").await;
    let (booking, _) = standing(&world).await;
    for (method, path) in [
        ("POST", "/oauth2/default/token"),
        ("GET", "/apis/default/api/patient/*/document"),
        ("POST", "/apis/default/api/patient/*/document"),
    ] {
        for fault in [
            Wire::Refuse,
            Wire::CutAfterEffect,
            Wire::TruncatedBody,
            Wire::GarbledJson,
            Wire::ServerError,
            Wire::Unavailable { retry_after_seconds: Some(7) },
        ] {
            let content = format!("{method} {path} {fault:?}");
            api.revoke_tokens();
            api.add_fault(FaultRule::once(fault).on(method, path));
            let request = attach(&world, &form(&content).for_booking(booking));
            world.pass(6).await;
            world.stop().await;
            world.start().await;
            assert!(answered(&world, request).await.inserted, "{content}");
            assert_eq!(in_records(&api).get(content.as_bytes()), Some(&1), "{content}");
            assert_eq!(kept(&world, request).await, None, "{content}");
            api.clear_faults();
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn one_fault_anywhere_leaves_one_document_in_the_record() {
    walk(System::Demo, To::Api).await;
}

/// The same, running, with everything published and the features switched on.
async fn running(system: System, to: To, features: &[Feature]) -> World {
    let mut world = unstarted(system, to, features).await;
    world.start().await;
    world.all_published("p1").await;
    for feature in features {
        let offered = match feature {
            Feature::AttachDocuments => Offered::AttachDocuments,
            Feature::ClientSnapshots => Offered::ClientSnapshots,
            Feature::Documents => Offered::Documents,
        };
        world.until("the feature is switched on", |state| state.has_feature(&account("p1"), offered)).await;
    }
    world
}

/// A booking that stands, and whose it is.
async fn standing(world: &World) -> (i64, i64) {
    let (patient, details) = world.known_patient();
    let booking = world.book_next(&details);
    world.until_state(booking, "it is confirmed", |state| matches!(state, BookingState::Confirmed(_))).await;
    (booking, patient)
}

fn attach(world: &World, document: &PatientDocument) -> i64 {
    world.sim.attach_document(&account("p1"), document).unwrap()
}

/// A document whose content tells it apart.
fn form(content: &str) -> PatientDocument {
    PatientDocument::new("New Patient Form", "application/pdf", content.into())
}

fn answer_of(state: &SimState, request: i64) -> Option<AttachmentAnswer> {
    state.attachment(request).and_then(|attachment| attachment.answer.clone())
}

/// Lets time pass until Healthengine knows what became of a document.
async fn answered(world: &World, request: i64) -> AttachmentAnswer {
    world.until("the document is answered", |state| answer_of(state, request).is_some()).await;
    world.quiet().await;
    world.sim.inspect(|state| answer_of(state, request)).unwrap()
}

fn key(request: i64) -> DocumentKey {
    DocumentKey {
        practice: PracticeId::new("p1"),
        partner: PartnerId::new("healthengine"),
        document: ForeignDocumentId::new(request.to_string()),
    }
}

async fn state_of(world: &World, request: i64) -> Option<DocumentState> {
    world.store.document(&key(request)).await.unwrap().map(|entry| entry.state)
}

/// Lets time pass until a document is so far.
async fn until_state(world: &World, request: i64, wanted: &DocumentState) {
    for _ in 0..600 {
        if state_of(world, request).await.as_ref() == Some(wanted) {
            return;
        }
        world.pass(1).await;
    }
    panic!("{wanted:?}: not within 600 s, but {:?}", state_of(world, request).await);
}

fn inward(world: &World) -> PathBuf {
    world.folder().join("in")
}

/// Every file of a folder by its name, hidden ones and those of folders in it included.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path()).into_iter();
            all.extend(below.map(|(file, content)| (format!("{name}/{file}"), content)));
        } else {
            all.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// How often the appointment of a booking says that a document came in.
fn noted(world: &World, booking: i64, request: i64) -> usize {
    let there = world.in_book(booking);
    world.staff().note(there[0].id).matches(&key(request).mark()).count()
}

async fn kept(world: &World, request: i64) -> Option<Vec<u8>> {
    let content = world.store.document_content(&key(request)).await.unwrap();
    content.map(|content| content.reveal().clone())
}

async fn a_patients_document_reaches_the_folder(system: System) {
    let world = running(system, To::Folder, &[Feature::AttachDocuments]).await;
    let (booking, patient) = standing(&world).await;
    // One for the booking, one for the patient alone, one more of the same name.
    let first = attach(&world, &form("first").for_booking(booking));
    let second = attach(&world, &form("second").for_patient(&patient.to_string()));
    let third = attach(&world, &form("third").for_booking(booking));
    for request in [first, second, third] {
        assert!(answered(&world, request).await.inserted);
        assert_eq!(state_of(&world, request).await, Some(DocumentState::Told(None)));
        assert_eq!(kept(&world, request).await, None, "what is in the folder is not kept beside");
        assert_eq!(noted(&world, booking, request), 0, "the practice system takes it from the folder");
    }
    let today = zone().today(world.clock.now());
    let name = |again: &str| format!("{patient}_{today}_NEW PATIENT FORM_New Patient Form{again}.pdf");
    let expected = [("", "first"), (" (2)", "second"), (" (3)", "third")];
    let expected: BTreeMap<String, Vec<u8>> =
        expected.into_iter().map(|(again, content)| (name(again), content.into())).collect();
    assert_eq!(files(&inward(&world)), expected);
    world.finish().await;
}

async fn where_there_is_no_folder_it_is_kept_and_the_appointment_says_so(system: System) {
    let world = running(system, To::Records, &[Feature::AttachDocuments]).await;
    let (booking, patient) = standing(&world).await;
    let note = world.staff().note(world.in_book(booking)[0].id);
    let first = attach(&world, &form("first").for_booking(booking));
    // Without a booking of its own it is found under the one that the patient has.
    let second = attach(&world, &form("second").for_patient(&patient.to_string()));
    for (request, content) in [(first, "first"), (second, "second")] {
        assert!(answered(&world, request).await.inserted);
        assert_eq!(kept(&world, request).await, Some(content.into()));
        assert_eq!(noted(&world, booking, request), 1);
    }
    let noted = world.staff().note(world.in_book(booking)[0].id);
    assert!(noted.starts_with(&note), "what stood there stands: {noted:?}");
    assert!(noted.contains("Open it in Clinic Companion"), "{noted:?}");
    let beside: Vec<String> =
        files(world.folder()).into_keys().filter(|name| name.ends_with(".pdf")).collect();
    assert_eq!(beside, [""; 0], "nothing is on the disk in plain words");
    // Of a patient without a booking it could be found nowhere.
    let stranger =
        world.known_patients().into_iter().map(|(number, _)| number).find(|number| *number != patient);
    let lost = attach(&world, &form("lost").for_patient(&stranger.unwrap().to_string()));
    let answer = answered(&world, lost).await;
    assert_eq!(answer.reason, Some(DocumentRefusal::NowhereToFile.to_string()));
    // The appointment still says that it is the booking's.
    world.stands_once(booking);
    world.finish().await;
}

async fn what_cannot_be_filed_is_declined_and_somebody_is_told(system: System) {
    let world = running(system, To::Folder, &[Feature::AttachDocuments]).await;
    let (booking, _) = standing(&world).await;
    let sound = form("sound").for_booking(booking);
    let fifty = usize::try_from(2 * LARGEST_BYTES).unwrap();
    let cases = [
        (
            "a wrong hash",
            PatientDocument { claimed_hash: Some("0".repeat(40)), ..sound.clone() },
            DocumentRefusal::WrongHash,
        ),
        (
            "a wrong size",
            PatientDocument { claimed_size: Some(4), ..sound.clone() },
            DocumentRefusal::WrongSize,
        ),
        ("nothing at all", PatientDocument { content: Vec::new(), ..sound.clone() }, DocumentRefusal::Empty),
        (
            "nothing where something was announced",
            PatientDocument { content: Vec::new(), claimed_size: Some(5), ..sound.clone() },
            DocumentRefusal::Empty,
        ),
        (
            "fifty megabytes",
            PatientDocument { content: vec![b'x'; fifty], ..sound.clone() },
            DocumentRefusal::TooLarge,
        ),
        (
            "fifty megabytes that call themselves a page",
            PatientDocument { content: vec![b'x'; fifty], claimed_size: Some(1000), ..sound.clone() },
            DocumentRefusal::WrongSize,
        ),
        (
            "a program",
            PatientDocument { format: "application/x-msdownload".into(), ..sound.clone() },
            DocumentRefusal::FormatNotTaken,
        ),
        ("another patient's", sound.clone().for_patient("999999"), DocumentRefusal::OtherPatient),
        ("of an unknown booking", form("x").for_booking(999_999), DocumentRefusal::BookingUnknown),
    ];
    let mut told_before = world.told().await.len();
    for (what, document, why) in cases {
        let request = attach(&world, &document);
        let answer = answered(&world, request).await;
        assert_eq!((answer.inserted, answer.reason), (false, Some(why.to_string())), "{what}");
        assert_eq!(state_of(&world, request).await, Some(DocumentState::Rejected(why)), "{what}");
        let told = world.told().await;
        assert_eq!(told.len(), told_before + 1, "{what}: {told:?}");
        told_before = told.len();
        assert!(told.iter().any(|line| line.text.contains(&why.to_string())), "{what}: {told:?}");
        assert_eq!(files(&inward(&world)).into_keys().collect::<Vec<_>>(), [""; 0], "{what}");
    }
    // None of them keeps the next one waiting.
    let request = attach(&world, &sound);
    assert!(answered(&world, request).await.inserted);
    assert_eq!(files(&inward(&world)).len(), 1);
    world.finish().await;
}

async fn no_name_leads_out_of_the_folder(system: System) {
    let world = running(system, To::Folder, &[Feature::AttachDocuments]).await;
    let (booking, _) = standing(&world).await;
    let around = || {
        let all = files(world.folder()).into_keys();
        all.filter(|name| !name.starts_with("in/") && !name.starts_with("data/")).collect::<Vec<_>>()
    };
    let before = around();
    let long = "x".repeat(4000);
    let names = [
        "../../../../tmp/form.pdf",
        "..\\..\\Windows\\form.pdf",
        "/etc/passwd",
        "C:\\form.pdf",
        "CON",
        "a\0b",
        "..",
        "",
        ".hidden",
        "form\u{202e}fdp.exe",
        "form:stream",
        &long,
    ];
    for (number, name) in names.iter().enumerate() {
        let document = PatientDocument {
            name: (*name).to_owned(),
            kind: format!("{name}/NEW"),
            ..form(&number.to_string()).for_booking(booking)
        };
        let request = attach(&world, &document);
        assert!(answered(&world, request).await.inserted, "{name:?}");
    }
    let filed = files(&inward(&world));
    assert_eq!(filed.len(), names.len(), "{:?}", filed.keys());
    for name in filed.keys() {
        let odd = |c: char| c.is_control() || "/\\:\u{202e}".contains(c);
        assert!(name.ends_with(".pdf") && !name.starts_with('.') && !name.contains(odd), "{name:?}");
        assert!(name.len() < 200, "{name:?}");
    }
    for number in 0..names.len() {
        let content = number.to_string().into_bytes();
        assert_eq!(filed.values().filter(|filed| **filed == content).count(), 1, "{number}");
    }
    assert_eq!(around(), before, "nothing lies anywhere else");
    world.finish().await;
}

async fn what_was_taken_back_is_not_filed(system: System) {
    let world = running(system, To::Folder, &[Feature::AttachDocuments]).await;
    let place = world.next_free("p1");
    let (number, unclear) = world.unclear_patient();
    let booking = world.book_at("p1", &place, &unclear);
    world.until_state(booking, "it is held", |state| matches!(state, BookingState::Held(_))).await;
    // It waits for its booking, which waits for a person; meanwhile it is taken back: 410 when it is fetched.
    let waiting = attach(&world, &form("waiting").for_booking(booking));
    world.pass(10).await;
    assert_eq!(state_of(&world, waiting).await, Some(DocumentState::Received));
    world.sim.expire_document(&account("p1"), waiting).unwrap();
    world.decide(booking, Choice::SamePerson(PatientRef::new(number.to_string()))).await;
    world.until_state(booking, "it is confirmed", |state| matches!(state, BookingState::Confirmed(_))).await;
    until_state(&world, waiting, &DocumentState::Dropped).await;
    assert_eq!(files(&inward(&world)).len(), 0);
    // Taken back after it was filed, and before Healthengine heard of it: 410 when it is told.
    let fault = FaultRule::always(Wire::ServerError).on("POST", "/attachDocuments/*/confirmInsert");
    let fault = world.sim.add_fault(fault);
    let filed = attach(&world, &form("filed").for_booking(booking));
    until_state(&world, filed, &DocumentState::Filed(None)).await;
    world.sim.expire_document(&account("p1"), filed).unwrap();
    world.sim.remove_fault(fault);
    until_state(&world, filed, &DocumentState::Told(None)).await;
    assert_eq!(files(&inward(&world)).into_values().collect::<Vec<_>>(), [b"filed"]);
    let told: Vec<String> = world.told().await.into_iter().map(|line| line.kind).collect();
    assert!(!told.iter().any(|kind| kind.starts_with("look/")), "nobody has to do anything: {told:?}");
    world.finish().await;
}

async fn whatever_goes_wrong_on_the_wire_and_with_a_restart_it_is_filed_once(system: System) {
    let mut world = running(system, To::Folder, &[Feature::AttachDocuments]).await;
    let (booking, _) = standing(&world).await;
    let mut picked_up = BTreeMap::<Vec<u8>, usize>::new();
    for (method, path) in [
        ("GET", "/requests/attachDocuments*"),
        ("GET", "/attachDocuments/*"),
        ("POST", "/attachDocuments/*/confirmInsert"),
    ] {
        for fault in [
            Wire::Refuse,
            Wire::CutAfterEffect,
            Wire::TruncatedBody,
            Wire::Unavailable { retry_after_seconds: Some(7) },
        ] {
            let content = format!("{method} {path} {fault:?}");
            world.sim.add_fault(FaultRule::once(fault).on(method, path));
            let request = attach(&world, &form(&content).for_booking(booking));
            // Some way into its life the program is stopped and begins anew, and the practice system takes what it finds.
            world.pass(6).await;
            pick_up(&inward(&world), &mut picked_up);
            world.stop().await;
            world.start().await;
            assert!(answered(&world, request).await.inserted, "{content}");
            pick_up(&inward(&world), &mut picked_up);
            assert_eq!(picked_up.get(content.as_bytes()), Some(&1), "{content}");
            world.sim.clear_faults();
        }
    }
    assert_eq!(files(&inward(&world)).len(), 0, "nothing lies ready");
    world.finish().await;
}

/// The practice system takes away what stands in its folder, as soon as it stands there.
fn pick_up(folder: &Path, picked_up: &mut BTreeMap<Vec<u8>, usize>) {
    for (name, content) in files(folder) {
        if !name.starts_with('.') {
            std::fs::remove_file(folder.join(name)).unwrap();
            *picked_up.entry(content).or_default() += 1;
        }
    }
}

/// Staff lay a document into the folder for patients.
fn lay_out(world: &World, appointment: i64, kind: &str, name: &str, content: &[u8]) {
    let folder = world.folder().join("out").join(appointment.to_string()).join(kind);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
    // The clock of the clinic stands where the test put it, and so does the age of the file.
    let file = std::fs::File::options().write(true).open(folder.join(name)).unwrap();
    file.set_modified((world.clock.now() - TimeDelta::minutes(1)).into()).unwrap();
}

async fn what_the_practice_lays_out_is_announced_handed_over_and_declined(system: System) {
    let world = running(system, To::Folder, &[Feature::Documents]).await;
    let (booking, _) = standing(&world).await;
    let appointment = world.in_book(booking)[0].id;
    lay_out(&world, appointment, "referral", "Letter to Dr Wu.pdf", b"letter");
    // Of another appointment, of a format that nobody gives out, and of no kind.
    lay_out(&world, appointment + 1, "referral", "Not his.pdf", b"x");
    lay_out(&world, appointment, "scripts", "Tool.exe", b"x");
    lay_out(&world, appointment, "photos", "Knee.jpg", b"x");
    world.sim.ask_available_documents(&account("p1"), booking).unwrap();
    world
        .until("what there is was told", |state| {
            state.available_documents_asked(&account("p1")).next().is_none()
        })
        .await;
    let announced = |world: &World| -> Vec<Value> {
        world.sim.inspect(|state| state.available_documents_of(booking).into_iter().cloned().collect())
    };
    let [letter] = <[Value; 1]>::try_from(announced(&world)).unwrap();
    assert_eq!(letter["documentName"], "Letter to Dr Wu.pdf");
    assert_eq!((&letter["documentType"], &letter["documentSize"]), (&"referral".into(), &6.into()));
    let id = letter["pmsDocumentId"].as_str().unwrap().to_owned();
    assert!(!id.contains("Wu"), "an id names nobody");

    // What is laid out later is told of unasked.
    lay_out(&world, appointment, "scripts", "Script.pdf", b"script");
    world.until("the second one is told of", |state| state.available_documents_of(booking).len() == 2).await;
    let script = announced(&world).into_iter().find(|one| one["documentType"] == "scripts").unwrap();
    let script = script["pmsDocumentId"].as_str().unwrap().to_owned();

    world.sim.ask_upload(&account("p1"), booking, &id).unwrap();
    world.sim.ask_upload(&account("p1"), booking, "nothing-of-ours").unwrap();
    // And one that was taken away between being told of and being wanted.
    std::fs::remove_file(world.folder().join(format!("out/{appointment}/scripts/Script.pdf"))).unwrap();
    world.sim.ask_upload(&account("p1"), booking, &script).unwrap();
    let done =
        |state: &SimState| state.upload_requests(&account("p1")).iter().all(|one| one.answer.is_some());
    world.until("each is handed over or declined", done).await;
    let answers = world.sim.inspect(|state| state.upload_requests(&account("p1")).to_vec());
    let answers: Vec<_> = answers.into_iter().map(|one| one.answer.unwrap()).collect();
    assert_eq!(answers.iter().map(|answer| answer.uploaded).collect::<Vec<_>>(), [true, false, false]);
    for declined in &answers[1..] {
        assert_eq!(declined.reason, Some(DocumentRefusal::NotThere.to_string()));
    }
    let uploads: Vec<Vec<u8>> = world.sim.inspect(|state| {
        state.uploads_of(booking).into_iter().map(|upload| upload.content.clone()).collect()
    });
    assert_eq!(uploads, [b"letter"]);
    world.finish().await;
}

async fn days_are_handed_over_by_both_of_their_dates(system: System) {
    let world = running(system, To::Folder, &[Feature::ClientSnapshots]).await;
    let (booking, patient) = standing(&world).await;
    let patient = patient.to_string();
    let appointment = world.in_book(booking)[0].id.to_string();
    let takes_place = world.place(booking).1.date();
    let made = zone().today(world.clock.now());
    assert_ne!(takes_place, made);
    let asked = [
        (takes_place, SnapshotDateType::Appointment, true),
        (made, SnapshotDateType::Creation, true),
        (made, SnapshotDateType::Appointment, false),
        (takes_place, SnapshotDateType::Creation, false),
    ];
    for (day, by, _) in asked {
        world.sim.ask_client_snapshot(&account("p1"), day, by).unwrap();
    }
    let done = |state: &SimState| {
        state.client_snapshot_requests(&account("p1")).iter().all(|asked| asked.answered_at.is_some())
    };
    world.until("each day is handed over", done).await;
    let snapshots = world.sim.inspect(|state| state.client_snapshots(&account("p1")).to_vec());
    let mut lists = Vec::new();
    for (day, by, has_it) in asked {
        let of = |day: NaiveDate| snapshots.iter().filter(move |one| one.date == day && one.date_type == by);
        let [snapshot] = of(day).collect::<Vec<_>>()[..] else { panic!("{day} {by:?}: one each") };
        let found = snapshot.list("appointments").iter().find(|one| one["pmsAppointmentId"] == appointment);
        assert_eq!(found.is_some(), has_it, "{day} {by:?}");
        let named = snapshot.list("patients").iter().any(|one| one["pmsPatientId"] == patient);
        assert!(named || !has_it, "{day} {by:?}: its patient is told with it");
        lists.push(
            ["locations", "practitioners", "appointmentTypes"].map(|list| snapshot.list(list).to_vec()),
        );
    }
    lists.dedup();
    assert_eq!(lists.len(), 1, "the lists are full whatever the day");
    assert_eq!(world.sim.inspect(|state| state.deleted_by_client_snapshots(&account("p1"))), []);
    let told = world.told().await;
    let sent = told.iter().filter(|line| line.kind == "sent/client-snapshot").count();
    assert_eq!(sent, asked.len(), "what left the building is told: {told:?}");
    world.finish().await;
}

fn everything(ports: Ports) -> Vec<Box<dyn Flow>> {
    let mut all = documents(ports.clone());
    all.push(Box::new(Bookings::new(ports.clone()).unwrap()));
    all.push(Box::new(Availability::new(ports)));
    all
}

fn documents(ports: Ports) -> Vec<Box<dyn Flow>> {
    vec![Box::new(Documents::new(ports).unwrap())]
}

/// Documents in a clinic whose program can be killed.
struct Trial {
    ward: Ward,
    to: To,
    booking: i64,
    patient: i64,
    worlds: usize,
    api: Option<OpenEmrSim>,
    picked_up: BTreeMap<Vec<u8>, usize>,
}

impl Trial {
    async fn new(system: System, to: To) -> Self {
        let world = unstarted(system, to, &[Feature::AttachDocuments]).await;
        let api = if to == To::Api { Some(with_api(&world).await) } else { None };
        let mut ward = Ward::new(world, everything).await;
        ward.step().await;
        let (patient, details) = ward.world.known_patient();
        let booking = ward.world.book_next(&details);
        for _ in 0..20 {
            ward.step().await;
        }
        ward.world.stands_once(booking);
        ward.turn_to(documents).await;
        Self { ward, to, booking, patient, worlds: 0, api, picked_up: BTreeMap::new() }
    }

    /// Files two documents with faults at the given touches. Returns how many touches it had, and what is wrong.
    async fn file(&mut self, faults: &[(usize, Fault)]) -> (usize, Vec<String>) {
        self.worlds += 1;
        let contents = ["for the booking", "for the patient"].map(|what| format!("{what} {}", self.worlds));
        let world = &self.ward.world;
        let requests = [
            attach(world, &form(&contents[0]).for_booking(self.booking)),
            attach(world, &form(&contents[1]).for_patient(&self.patient.to_string())),
        ];
        // The program has just started, so that it compares the features too.
        self.ward.turn_to(documents).await;
        self.ward.reaper.plan(faults);
        // A try at the API is waited for until it has settled.
        let (steps, seconds) = if self.to == To::Api { (150, 10) } else { (60, 1) };
        for _ in 0..steps {
            self.ward.step().await;
            // The practice system is quick: nothing that is in its folder can be looked for there afterwards.
            if self.to == To::Folder {
                pick_up(&inward(&self.ward.world), &mut self.picked_up);
            }
            let mut ended = true;
            for request in requests {
                ended &= state_of(&self.ward.world, request).await.is_some_and(|state| state.is_final());
            }
            if ended {
                break;
            }
            self.ward.world.clock.move_by(TimeDelta::seconds(seconds));
        }
        let touches = self.ward.reaper.touches();
        self.ward.reaper.plan(&[]);
        let mut wrong = Vec::new();
        for (request, content) in requests.into_iter().zip(&contents) {
            wrong.extend(self.what_is_wrong(request, content).await);
        }
        (touches, wrong)
    }

    async fn what_is_wrong(&self, request: i64, content: &str) -> Vec<String> {
        let world = &self.ward.world;
        let mut wrong = Vec::new();
        let state = state_of(world, request).await;
        let is_told = match &state {
            Some(DocumentState::Told(None)) => true,
            Some(DocumentState::Told(Some(_))) => self.to == To::Api,
            _ => false,
        };
        if !is_told {
            wrong.push(format!("{content}: the ledger says {state:?}"));
        }
        let answer = world.sim.inspect(|state| answer_of(state, request));
        if !answer.as_ref().is_some_and(|answer| answer.inserted) {
            wrong.push(format!("{content}: Healthengine was told {answer:?}"));
        }
        let filed = self.api.as_ref().map_or_else(|| self.picked_up.clone(), in_records);
        let found = (
            filed.get(content.as_bytes()).copied().unwrap_or_default(),
            noted(world, self.booking, request),
            kept(world, request).await.is_some_and(|kept| kept == content.as_bytes()),
        );
        let expected = if self.to == To::Records { (0, 1, true) } else { (1, 0, false) };
        if found != expected {
            wrong.push(format!("{content}: filed, noted, kept: {found:?}"));
        }
        if self.to == To::Folder && !files(&inward(world)).is_empty() {
            wrong.push(format!("{content}: something was left lying ready"));
        }
        wrong
    }
}

#[expect(clippy::print_stdout, reason = "the number of worlds belongs into the report of a run")]
async fn walk(system: System, to: To) {
    let mut trial = Trial::new(system, to).await;
    let (touches, wrong) = trial.file(&[]).await;
    assert_eq!(wrong, [""; 0], "{to:?} goes wrong by itself");
    assert!(touches > 15, "{touches}");
    let worlds: Vec<_> = one_fault(touches).into_iter().chain(two_faults(touches, 40)).collect();
    let mut failed = Vec::new();
    for faults in &worlds {
        let (_, wrong) = trial.file(faults).await;
        if !wrong.is_empty() {
            failed.push(format!("{faults:?}: {}", wrong.join("; ")));
        }
    }
    println!("{to:?}: {} worlds over {touches} touches", worlds.len());
    assert!(
        failed.is_empty(),
        "{to:?}: {} of {} went wrong:\n{}",
        failed.len(),
        worlds.len(),
        failed.join("\n")
    );
    trial.ward.world.finish().await;
}

async fn one_fault_anywhere_leaves_one_file(system: System) {
    walk(system, To::Folder).await;
}

async fn one_fault_anywhere_leaves_one_document_in_our_records(system: System) {
    walk(system, To::Records).await;
}
