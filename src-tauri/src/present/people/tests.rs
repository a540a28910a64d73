//! How it stands with a patient's profile, and who comes today.

use super::*;
use crate::present::tests::{practice, settings, vald_settings};
use chrono::{DateTime, TimeDelta, Utc};
use domain::consent::{Agreement, ConsentLine};
use domain::diary::AppointmentStatus;
use domain::ids::{AppointmentRef, AppointmentTypeRef, PartnerId};
use domain::settings::ValdSettings;
use domain::time::{Minutes, PracticeTime};
use std::sync::Arc;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn today() -> NaiveDate {
    "2027-01-15".parse().unwrap()
}

fn linked_practice() -> PracticeSettings {
    let hub_url = Some("https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}".into());
    PracticeSettings { vald: Some(ValdSettings { hub_url, ..vald_settings() }), ..settings() }
}

fn person(born: Option<&str>) -> Hit {
    Hit {
        patient: PatientRef::new("77"),
        number: "P-77".into(),
        given_name: Private::new("Zoë".into()),
        family_name: Private::new("Okafor".into()),
        birth_date: Private::new(born.map(|born| born.parse().unwrap())),
        inactive: false,
    }
}

fn consent(said: Said, seconds: i64) -> Option<Consent> {
    let line = ConsentLine {
        practice: settings().id,
        partner: PartnerId::new("vald"),
        patient: PatientRef::new("77"),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: "2026-1".into(),
        at: at(seconds),
    };
    Some(Consent { number: 4, line })
}

fn yes() -> Said {
    Said::Yes(Agreement::default())
}

fn link(state: LinkState, partner_id: Option<&str>) -> Option<Link> {
    let key = crate::patients::link_key(&settings().id, &PatientRef::new("77"));
    let mut link = Link::new(key, "richmond-77".into(), at(10));
    let reason = (!matches!(state, LinkState::Linked | LinkState::Pending)).then(|| "Because.".to_owned());
    link.becomes(state, reason, at(10));
    link.partner_id = partner_id.map(str::to_owned);
    Some(link)
}

fn shown(born: Option<&str>, consent: Option<Consent>, link: Option<Link>) -> ValdPatientView {
    let at_vald = AtVald { consent, link };
    patient_view(&linked_practice(), &person(born), &at_vald, today()).vald.expect("an account")
}

#[test]
fn each_state_says_what_can_be_done() {
    use ValdPatientState as S;
    let adult = Some("1980-03-12");
    let known = Some("a-profile");
    for (consent, link, state, can_open, can_link) in [
        (None, None, S::NotAsked, false, false),
        (consent(Said::No, 0), None, S::Withdrawn, false, false),
        (consent(Said::No, 20), link(LinkState::Linked, known), S::Withdrawn, false, false),
        (consent(yes(), 0), None, S::OnItsWay, false, true),
        (consent(yes(), 0), link(LinkState::Pending, None), S::OnItsWay, false, true),
        (consent(yes(), 0), link(LinkState::Pending, known), S::OnItsWay, true, true),
        (consent(yes(), 0), link(LinkState::Linked, known), S::Linked, true, false),
        (consent(yes(), 0), link(LinkState::NeedsPerson, None), S::NeedsPerson, false, false),
        (consent(yes(), 0), link(LinkState::NeedsPerson, known), S::NeedsPerson, true, false),
        (consent(yes(), 0), link(LinkState::Conflict, known), S::NeedsPerson, false, false),
        // What it refused is the last change; the page is there.
        (consent(yes(), 0), link(LinkState::Failed, known), S::Refused, true, false),
        (consent(yes(), 0), link(LinkState::Ended, known), S::Ended, false, false),
        // Agreed to again, and not looked at yet.
        (consent(yes(), 20), link(LinkState::Ended, known), S::OnItsWay, false, true),
    ] {
        let text = format!("{consent:?} {link:?}");
        let view = shown(adult, consent, link);
        assert_eq!((view.state, view.can_open, view.can_link), (state, can_open, can_link), "{text}");
    }
}

#[test]
fn a_minor_without_a_guardian_is_said_before_anything_is_tried() {
    let child = shown(Some("2015-01-01"), consent(yes(), 0), None);
    assert_eq!((child.state, child.can_link), (ValdPatientState::NeedsPerson, false));
    assert!(child.reason.is_some_and(|reason| reason.contains("guardian") && reason.ends_with('.')));
    let guarded =
        Said::Yes(Agreement { guardian: Some(Private::new("A parent".into())), photo_and_video: false });
    assert_eq!(shown(Some("2015-01-01"), consent(guarded, 0), None).state, ValdPatientState::OnItsWay);
    assert_eq!(shown(None, consent(yes(), 0), None).state, ValdPatientState::NeedsPerson);
    let minor = |born| patient_view(&settings(), &person(born), &AtVald::default(), today()).minor;
    assert_eq!((minor(Some("2009-01-15")), minor(Some("2009-01-16")), minor(None)), (false, true, true));
}

#[test]
fn without_an_account_or_a_landing_address_nothing_is_opened() {
    let at_vald = AtVald { consent: consent(yes(), 0), link: link(LinkState::Linked, Some("a-profile")) };
    assert_eq!(patient_view(&settings(), &person(None), &at_vald, today()).vald, None);
    let mut bare = linked_practice();
    bare.vald = Some(vald_settings());
    let view = patient_view(&bare, &person(Some("1980-03-12")), &at_vald, today()).vald.unwrap();
    assert_eq!((view.state, view.can_open), (ValdPatientState::Linked, false));
}

fn visit(id: &str, resource: &str, starts: &str, patient: &str, status: AppointmentStatus) -> Appointment {
    Appointment {
        id: AppointmentRef::new(id),
        resource: ResourceRef::new(resource),
        patient: Some(PatientRef::new(patient)),
        appointment_type: Some(AppointmentTypeRef::new("2")),
        starts: PracticeTime(starts.parse().unwrap()),
        length: Minutes(30),
        status,
        changed: None,
    }
}

#[test]
fn today_counts_each_patient_once_and_leaves_out_who_does_not_come() {
    let booked = AppointmentStatus::Booked;
    let mut state = practice(0);
    state.settings = linked_practice();
    state.reading = Some(Arc::new(BookReading {
        read_at: at(0),
        slot: Minutes(15),
        days: BTreeMap::new(),
        visits: vec![
            visit("2", "7", "2027-01-15T11:00:00", "77", booked),
            visit("1", "7", "2027-01-15T09:00:00", "77", booked),
            visit("3", "9", "2027-01-15T09:00:00", "78", booked),
            visit("4", "7", "2027-01-15T10:00:00", "79", AppointmentStatus::Cancelled),
            visit("5", "7", "2027-01-16T09:00:00", "80", booked),
            visit("6", "7", "2027-01-15T12:00:00", "81", booked),
        ],
        places: BTreeMap::new(),
    }));
    let row = |at_vald| patient_view(&state.settings, &person(Some("1980-03-12")), &at_vald, today());
    let linked = AtVald { consent: consent(yes(), 0), link: link(LinkState::Linked, Some("a-profile")) };
    let agreed = AtVald { consent: consent(yes(), 0), link: None };
    let people = BTreeMap::from([(PatientRef::new("77"), row(linked)), (PatientRef::new("78"), row(agreed))]);
    let view = today_view(&state, today(), &people);
    assert_eq!((view.patients, view.linked, view.can_link, view.has_vald), (3, 1, 1, true));
    let columns: Vec<(&str, Vec<&str>)> = view
        .practitioners
        .iter()
        .map(|column| (column.name.as_str(), column.visits.iter().map(|v| v.starts.as_str()).collect()))
        .collect();
    // A resource without a name is called by its key.
    assert_eq!(columns, [("9", vec!["09:00"]), ("Dr Lee", vec!["09:00", "11:00", "12:00"])]);
    let visits = &view.practitioners[1].visits;
    assert_eq!(visits[0].appointment_type.as_deref(), Some("Initial"));
    assert!(visits[0].patient.is_some() && visits[2].patient.is_none());
}

#[test]
fn what_left_is_told_with_its_fields_and_its_consent() {
    use domain::audit::{AuditEvent, AuditLine};
    let entry = AuditEntry {
        number: 12,
        line: AuditLine {
            at: at(0),
            practice: settings().id,
            partner: PartnerId::new("vald"),
            patient: Some(PatientRef::new("77")),
            what: AuditEvent::Sent,
            fields: vec!["givenName".into()],
            consent: Some(4),
            told_as: Some("richmond-77".into()),
            by: None,
        },
        digest: "00".into(),
    };
    let mut row = AuditRow { number: 12, columns: [const { None }; 11], entry: Some(entry) };
    let view = left_view(&row);
    assert_eq!((view.number, view.what.as_str(), view.consent), (12, "sent", Some(4)));
    assert_eq!(view.at, Some(instant(at(0))));
    row.entry = None;
    let unreadable = left_view(&row);
    assert_eq!((unreadable.number, unreadable.what.as_str(), unreadable.at), (12, "unreadable", None));
    let said = consent_view(&consent(Said::No, 0).unwrap());
    assert_eq!((said.given, said.guardian, said.recorded_by.as_str()), (false, None, "Kim"));
    let gone = link_view(&link(LinkState::NeedsPerson, None).unwrap(), None, false);
    assert_eq!((gone.patient_name.as_str(), gone.state.as_str()), ("", "needs_person"));
    let later = at(0) + TimeDelta::seconds(10);
    assert_eq!((gone.since, gone.reason.as_deref()), (instant(later), Some("Because.")));
}

#[test]
fn a_line_that_cannot_be_understood_says_so_and_stays_as_it_is() {
    let mut columns = [const { None }; 11];
    columns[0] = Some(Private::new("7".to_owned()));
    columns[5] = Some(Private::new("mended".to_owned()));
    let row = AuditRow { number: 7, columns, entry: None };
    let cells = audit_cells(&row);
    assert_eq!((cells[0], cells[1], cells[5], cells[11]), ("7", "", "mended", NOT_UNDERSTOOD));
}
