//! `clientSnapshots` to the letter of the contract sheet (§4.6).

use chrono::NaiveDate;
use domain::client_snapshot::{
    ClientSnapshot, Listed, SnapshotAppointment, SnapshotAsked, SnapshotBy, SnapshotPatient,
};
use domain::diary::AppointmentStatus;
use domain::ids::{AppointmentRef, AppointmentTypeRef, PatientRef, ResourceRef};
use domain::private::Private;
use domain::time::{Minutes, PracticeTime};
use serde_json::{Value, json};

use super::super::client_snapshot::{asked, body};

fn day() -> NaiveDate {
    "2026-03-04".parse().unwrap()
}

fn time(text: &str) -> PracticeTime {
    PracticeTime(text.parse().unwrap())
}

fn listed(id: &str, active: bool) -> Vec<Listed> {
    vec![Listed { id: id.into(), name: format!("Name of {id}"), active }]
}

fn appointment(status: AppointmentStatus) -> SnapshotAppointment {
    SnapshotAppointment {
        id: AppointmentRef::new("884213"),
        patient: PatientRef::new("5521"),
        practitioner: ResourceRef::new("7"),
        appointment_type: AppointmentTypeRef::new("STD"),
        created: time("2026-02-27T16:05:00"),
        starts: time("2026-03-04T10:15:00"),
        length: Minutes(15),
        status,
    }
}

fn patient() -> SnapshotPatient {
    let private = |text: &str| Private::new(text.to_owned());
    SnapshotPatient {
        id: PatientRef::new("5521"),
        first_name: private("Marnie"),
        last_name: private("Okafor-Lind"),
        preferred_name: private(""),
        mobile: private("0491 570 156"),
        home_phone: private(""),
        work_phone: private(""),
        sms_consent: Some(false),
        sixteen_or_younger: None,
        created: time("2024-01-01T09:00:00"),
    }
}

fn snapshot(by: SnapshotBy) -> ClientSnapshot {
    ClientSnapshot {
        asked: SnapshotAsked { day: day(), by },
        locations: listed("3", true),
        practitioners: listed("7", false),
        appointment_types: listed("STD", true),
        appointments: vec![appointment(AppointmentStatus::Arrived)],
        patients: vec![patient()],
    }
}

#[test]
fn a_day_in_the_form_of_the_contract() {
    let expected = json!({
        "date": "2026-03-04",
        "dateType": "appt_datetime",
        "locations": [{"pmsLocationId": "3", "pmsLocationName": "Name of 3", "pmsLocationStatus": "active"}],
        "practitioners": [
            {"pmsPractitionerId": "7", "pmsPractitionerName": "Name of 7", "pmsPractitionerStatus": "inactive"},
        ],
        "appointmentTypes": [{
            "pmsAppointmentTypeId": "STD",
            "pmsAppointmentTypeName": "Name of STD",
            "pmsAppointmentTypeStatus": "active",
        }],
        "appointments": [{
            "pmsAppointmentId": "884213",
            "pmsPatientId": "5521",
            "pmsPractitionerId": "7",
            "pmsAppointmentTypeId": "STD",
            "pmsAppointmentCreationTime": "2026-02-27 16:05:00",
            "pmsAppointmentTime": "2026-03-04 10:15:00",
            "pmsAppointmentLength": 15,
            "pmsAppointmentStatus": "patient-arrived",
        }],
        "patients": [{
            "pmsPatientId": "5521",
            "pmsPatientFirstname": "Marnie",
            "pmsPatientLastname": "Okafor-Lind",
            "pmsPatientPhoneMobile": "0491 570 156",
            "pmsPatientSmsConsent": false,
            "pmsPatientCreationTime": "2024-01-01 09:00:00",
        }],
    });
    assert_eq!(serde_json::to_value(body(&snapshot(SnapshotBy::Appointment))).unwrap(), expected);
    let made: Value = serde_json::to_value(body(&snapshot(SnapshotBy::Creation))).unwrap();
    assert_eq!(made["dateType"], "appt_creation_datetime");
}

#[test]
fn an_empty_day_has_all_its_lists_and_a_child_is_said_to_be_one() {
    let child = SnapshotPatient { sixteen_or_younger: Some(true), ..patient() };
    let empty = ClientSnapshot {
        appointments: Vec::new(),
        locations: Vec::new(),
        practitioners: Vec::new(),
        appointment_types: Vec::new(),
        patients: vec![child],
        ..snapshot(SnapshotBy::Appointment)
    };
    let told = serde_json::to_value(body(&empty)).unwrap();
    for list in ["locations", "practitioners", "appointmentTypes", "appointments"] {
        assert_eq!(told[list], json!([]), "{list}");
    }
    assert_eq!(told["patients"][0]["pmsPatientAge16AndUnder"], true);
}

#[test]
fn statuses_are_those_of_the_contract() {
    let told = |status| {
        let day =
            ClientSnapshot { appointments: vec![appointment(status)], ..snapshot(SnapshotBy::Creation) };
        let told = serde_json::to_value(body(&day)).unwrap();
        told["appointments"][0]["pmsAppointmentStatus"].as_str().unwrap().to_owned()
    };
    for (status, expected) in [
        (AppointmentStatus::Booked, "booked"),
        (AppointmentStatus::Confirmed, "booked"),
        (AppointmentStatus::Arrived, "patient-arrived"),
        (AppointmentStatus::Completed, "patient-complete"),
        (AppointmentStatus::Cancelled, "cancelled"),
        (AppointmentStatus::DidNotAttend, "patient-dna"),
        (AppointmentStatus::Other, "booked"),
    ] {
        assert_eq!(told(status), expected);
    }
}

#[test]
fn what_is_asked_for_is_never_guessed() {
    let wanted = |by| Some(SnapshotAsked { day: day(), by });
    let read = |item: Value| asked(&item).ok();
    assert_eq!(
        read(json!({"date": "2026-03-04", "dateType": "appt_datetime"})),
        wanted(SnapshotBy::Appointment)
    );
    let made = json!({"date": "2026-03-04", "dateType": "appt_creation_datetime", "new": 1});
    assert_eq!(read(made), wanted(SnapshotBy::Creation));
    for odd in [
        json!({"date": "04-03-2026", "dateType": "appt_datetime"}),
        json!({"date": "2026-02-30", "dateType": "appt_datetime"}),
        json!({"date": "2026-03-04", "dateType": "appointments"}),
        json!({"date": "2026-03-04"}),
        json!([]),
    ] {
        assert_eq!(read(odd.clone()), None, "{odd}");
    }
}
