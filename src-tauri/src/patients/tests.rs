//! What the window asks about patients, on the made-up clinic with its engine.

use super::*;
use crate::demo::made_up::MadeUp;
use crate::system_open;
use crate::view::ValdPatientState;
use domain::audit::AuditEvent;

fn query(text: &str, practice: Option<&str>, limit: u32) -> PatientQuery {
    PatientQuery { practice_id: practice.map(str::to_owned), text: text.to_owned(), limit }
}

fn consent(guardian: Option<&str>, recorded_by: &str) -> ConsentInput {
    ConsentInput {
        guardian: guardian.map(str::to_owned),
        photo_and_video: false,
        how: ConsentHowView::AtDesk,
        wording: "2026-1".into(),
        recorded_by: recorded_by.into(),
    }
}

/// Waits until VALD has the patient's profile.
async fn linked(clinic: &MadeUp, patient: &PatientRef) {
    let store = clinic.store();
    let mut state = clinic.desk.running().expect("runs").engine.state();
    let key = link_key(&clinic.practice, patient);
    while store.link(&key).await.expect("reads").is_none_or(|link| link.state != LinkState::Linked) {
        state.changed().await.expect("the engine runs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_is_found_linked_first_and_opened() {
    let clinic = MadeUp::running().await;
    let (agreed, unasked) = clinic.two_patients().await;
    let (desk, practice) = (&clinic.desk, &clinic.practice);
    let state = clinic.once(|practice| practice.reading.is_some()).await;
    let directory = &state.people.as_ref().expect("read").directory;
    let name = people::full_name(&directory.patient(&agreed).expect("is there"));

    let hits = find(desk, &query(&name, None, 20)).await.expect("searches");
    assert_eq!((hits.reading, usize::try_from(hits.patients)), (false, Ok(directory.len())));
    let hit = hits.hits.iter().find(|hit| hit.patient_id == agreed.as_str()).expect("is found");
    assert!(hit.vald.is_some() && hits.hits.iter().all(|hit| hit.practice_id == practice.as_str()));
    assert_eq!(find(desk, &query(&name, Some("demo"), 1)).await.expect("searches").hits.len(), 1);
    let elsewhere = find(desk, &query(&name, Some("elsewhere"), 20)).await.expect("searches");
    assert_eq!((elsewhere.hits.len(), elsewhere.patients), (0, 0));

    // Whoever was not asked is not sent, whoever asks for it.
    assert_eq!(link(desk, practice, vec![unasked.clone()]).await, Ok(0));
    let error = hub_page::open(desk, practice, &unasked, true).await.expect_err("no page");
    assert!(error.code == ErrorCode::NotLinkedYet && error.message.contains("not recorded"), "{error:?}");
    assert_eq!(
        link(desk, practice, vec![PatientRef::new("nobody")]).await.map_err(|e| e.code),
        Err(ErrorCode::PatientUnknown)
    );

    linked(&clinic, &agreed).await;
    hub_page::open(desk, practice, &agreed, true).await.expect("opens");
    let told_as =
        clinic.store().link(&link_key(practice, &agreed)).await.expect("reads").expect("a link").told_as;
    let opened = system_open::opened();
    assert!(opened.iter().any(|address| address.ends_with(&format!("syncId={told_as}"))), "{opened:?}");
    assert_eq!(link(desk, practice, vec![agreed.clone()]).await, Ok(0));

    let shown = card(desk, practice, &agreed).await.expect("a card");
    assert_eq!(shown.patient.vald.as_ref().map(|vald| vald.state), Some(ValdPatientState::Linked));
    assert_eq!(shown.links.iter().map(|link| link.state.as_str()).collect::<Vec<_>>(), ["linked"]);
    let left = shown.left.iter().rev().filter(|line| line.partner == "vald");
    let what: Vec<&str> = left.map(|line| line.what.as_str()).collect();
    assert_eq!(what, ["consent_given", "sent", "opened"]);
    let consent = shown.consents.iter().find(|consent| consent.partner == "vald");
    assert_eq!(shown.left[1].consent, consent.map(|consent| consent.number));

    let coming = today(desk, practice).await.expect("a day");
    let visits: Vec<&VisitView> = coming.practitioners.iter().flat_map(|column| &column.visits).collect();
    assert!(coming.patients > 0 && coming.has_vald && coming.read_at.is_some(), "{coming:?}");
    assert!(visits.iter().all(|visit| visit.day == "2026-11-25" && visit.patient.is_some()));

    // An appointment knows whose it is, and a time beside it does not.
    let visit = visits.first().expect("somebody comes");
    let column = coming.practitioners.iter().find(|column| column.name == visit.resource).expect("is there");
    let at = |start: &str, end: &str| {
        let minute = |text| domain::time::MinuteOfDay::parse(text).expect("a time");
        let range = DayRange::new(minute(start), minute(end)).expect("a range");
        (ResourceRef::new(column.resource_id.as_str()), range)
    };
    let (resource, range) = at(&visit.starts, "24:00");
    let day = "2026-11-25".parse().expect("a day");
    let now = desk.now();
    let there = visits_at(&clinic.store(), &state, (&resource, day, range), now).await.expect("reads");
    let whose = |visit: &VisitView| visit.patient.as_ref().map(|patient| patient.patient_id.clone());
    let here = there.iter().find(|one| one.appointment_id == visit.appointment_id).expect("is there");
    assert_eq!(whose(here), whose(visit));
    let (_, night) = at("00:00", "05:00");
    assert_eq!(visits_at(&clinic.store(), &state, (&resource, day, night), now).await.expect("reads"), []);
    clinic.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_about_consent_is_recorded_by_somebody_and_holds_at_once() {
    let clinic = MadeUp::running().await;
    let (agreed, unasked) = clinic.two_patients().await;
    let (desk, practice) = (&clinic.desk, &clinic.practice);
    let refused = async |input: ConsentInput, patient: &PatientRef| {
        give_consent(desk, practice, patient, "vald", input).await.expect_err("refused").code
    };
    assert_eq!(refused(consent(None, "  "), &unasked).await, ErrorCode::InputInvalid);
    assert_eq!(refused(consent(None, &"m".repeat(101)), &unasked).await, ErrorCode::InputInvalid);
    assert_eq!(refused(consent(Some(&"m".repeat(101)), "Kim"), &unasked).await, ErrorCode::InputInvalid);
    let read = ConsentInput { how: ConsentHowView::PracticeSystem, ..consent(None, "Kim") };
    assert_eq!(refused(read, &unasked).await, ErrorCode::InputInvalid);
    assert_eq!(refused(consent(None, "Kim"), &PatientRef::new("nobody")).await, ErrorCode::PatientUnknown);
    assert_eq!(clinic.store().consent(practice, &vald(), &unasked).await.expect("reads"), None);

    give_consent(desk, practice, &unasked, "vald", consent(Some("A parent"), "Kim")).await.expect("records");
    linked(&clinic, &unasked).await;
    linked(&clinic, &agreed).await;
    withdraw_consent(desk, practice, &agreed, "vald", "Kim".into()).await.expect("records");
    let error = hub_page::open(desk, practice, &agreed, true).await.expect_err("no page");
    assert!(error.message.contains("withdrawn"), "{error:?}");
    let shown = card(desk, practice, &agreed).await.expect("a card");
    assert_eq!(
        shown.patient.vald.map(|vald| (vald.state, vald.can_open)),
        Some((ValdPatientState::Withdrawn, false))
    );
    // Somebody whose record is gone takes consent back all the same.
    withdraw_consent(desk, practice, &PatientRef::new("gone"), "vald", "Kim".into()).await.expect("records");
    let ended = links(desk, practice, Some("linked")).await.expect("a list");
    assert!(ended.iter().any(|link| link.patient_id == unasked.as_str()));
    assert_eq!(
        links(desk, practice, Some("nonsense")).await.map_err(|e| e.code),
        Err(ErrorCode::InputInvalid)
    );
    // Whoever needs somebody may have a page all the same, until consent is taken back.
    let needs = async || {
        let links = links(desk, practice, Some("needs_person")).await.expect("a list");
        links.into_iter().map(|link| (link.patient_id, link.can_open)).collect::<BTreeMap<_, _>>()
    };
    let open = |patient: &str, partner_id: Option<&str>| {
        let mut link = Link::new(link_key(practice, &PatientRef::new(patient)), patient.into(), desk.now());
        link.partner_id = partner_id.map(str::to_owned);
        link.becomes(LinkState::NeedsPerson, Some("The record has no birth date.".into()), desk.now());
        link
    };
    let some = [open("nobody-1", Some("a-profile")), open("nobody-2", None), open("gone", Some("another"))];
    clinic.store().save_links(&some, &[]).await.expect("saves");
    let needs = needs().await;
    assert_eq!(
        ["nobody-1", "nobody-2", "gone"].map(|patient| needs.get(patient).copied()),
        [Some(true), Some(false), Some(false)]
    );
    let trail = clinic.store().audit_rows_of(practice, &unasked, 10).await.expect("reads");
    assert!(
        trail
            .iter()
            .filter_map(|row| row.entry.as_ref())
            .any(|entry| entry.line.what == AuditEvent::ConsentGiven
                && entry.line.by == Some(Private::new("Kim".to_owned())))
    );
    clinic.stop().await;
}

#[tokio::test]
async fn a_booking_knows_whether_its_patient_has_a_page() {
    use crate::present::tests::{entry, practice, vald_settings};
    use domain::booking::{BookingState, Inserted};
    use domain::ids::AppointmentRef;
    let dir = tempfile::tempdir().expect("a folder");
    let store =
        Store::open(dir.path(), &store::StoreKey::new([7; 32]), DateTime::UNIX_EPOCH).expect("opens").store;
    let mut practice = practice(2);
    let id = practice.settings.id.clone();
    let patient = PatientRef::new("77");
    let inserted = Inserted { appointment: AppointmentRef::new("123"), patient: patient.clone() };
    let bookings = [
        entry(BookingState::Confirmed(inserted), None),
        entry(BookingState::Held(AppointmentRef::new("9")), None),
    ];
    let known = async |practice: &PracticeState, bookings: &[Entry]| {
        let practices = BTreeMap::from([(id.clone(), practice.clone())]);
        let engine = EngineState { practices, ..EngineState::default() };
        of_bookings(&store, &engine, bookings.iter(), DateTime::UNIX_EPOCH).await.expect("reads")
    };
    assert!(known(&practice, &bookings).await.is_empty(), "no account");
    let mut account = vald_settings();
    account.hub_url = Some("https://hub.vald.com/?tenantId={tenantId}&syncId={syncId}".into());
    practice.settings.vald = Some(account);
    let shown = known(&practice, &bookings).await;
    let state =
        |shown: &ValdOfBookings| shown.values().map(|vald| (vald.state, vald.can_open)).collect::<Vec<_>>();
    assert_eq!(state(&shown), [(ValdPatientState::NotAsked, false)]);
    assert!(known(&practice, &bookings[1..]).await.is_empty(), "nobody knows who it is");

    let line = ConsentLine {
        practice: id.clone(),
        partner: vald(),
        patient: patient.clone(),
        said: Said::Yes(Agreement::default()),
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: String::new(),
        at: DateTime::UNIX_EPOCH,
    };
    store.record_consents(&[line]).await.expect("records");
    let mut link =
        domain::link::Link::new(link_key(&id, &patient), "richmond-77".into(), DateTime::UNIX_EPOCH);
    link.partner_id = Some("a-profile".into());
    link.becomes(LinkState::Linked, None, DateTime::UNIX_EPOCH);
    store.save_links(&[link], &[]).await.expect("saves");
    assert_eq!(state(&known(&practice, &bookings).await), [(ValdPatientState::Linked, true)]);
}
