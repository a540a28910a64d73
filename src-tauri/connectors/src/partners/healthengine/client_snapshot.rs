//! `clientSnapshots`: what is asked for, and the JSON that answers it (contract sheet §4.1, §4.6).

use domain::client_snapshot::{
    ClientSnapshot, Listed, SnapshotAppointment, SnapshotAsked, SnapshotBy, SnapshotPatient,
};
use domain::diary::AppointmentStatus;
use domain::private::Private;
use domain::time::PracticeTime;
use serde::{Deserialize, Serialize};

use super::translate::{Nameless, date, text};
use super::wire::{self, Lenient, Text};

const BY_APPOINTMENT: &str = "appt_datetime";
const BY_CREATION: &str = "appt_creation_datetime";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    date: Lenient<Text>,
    date_type: Lenient<Text>,
}

/// A day that is asked for. One whose kind cannot be told is not answered with the other kind.
pub fn asked(item: &serde_json::Value) -> Result<SnapshotAsked, Nameless> {
    let request = wire::item::<Request>(item).ok_or(Nameless)?;
    let day = text(&request.date).and_then(|day| date(day, "%Y-%m-%d")).ok_or(Nameless)?;
    let by = match text(&request.date_type) {
        Some(BY_APPOINTMENT) => SnapshotBy::Appointment,
        Some(BY_CREATION) => SnapshotBy::Creation,
        Some(_) | None => return Err(Nameless),
    };
    Ok(SnapshotAsked { day, by })
}

/// `POST /clientSnapshot`. Every list is there, also where it is empty; times are practice-local.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body<'a> {
    date: String,
    date_type: &'static str,
    locations: Vec<Location<'a>>,
    practitioners: Vec<Practitioner<'a>>,
    appointment_types: Vec<AppointmentType<'a>>,
    appointments: Vec<Appointment<'a>>,
    patients: Vec<Patient<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    pms_location_id: &'a str,
    pms_location_name: &'a str,
    pms_location_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Practitioner<'a> {
    pms_practitioner_id: &'a str,
    pms_practitioner_name: &'a str,
    pms_practitioner_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppointmentType<'a> {
    pms_appointment_type_id: &'a str,
    pms_appointment_type_name: &'a str,
    pms_appointment_type_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Appointment<'a> {
    pms_appointment_id: &'a str,
    pms_patient_id: &'a str,
    pms_practitioner_id: &'a str,
    pms_appointment_type_id: &'a str,
    pms_appointment_creation_time: String,
    pms_appointment_time: String,
    /// Minutes, unlike a booking's.
    pms_appointment_length: u32,
    pms_appointment_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Patient<'a> {
    pms_patient_id: &'a str,
    pms_patient_firstname: &'a str,
    pms_patient_lastname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pms_patient_preferred_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pms_patient_phone_mobile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pms_patient_phone_home: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pms_patient_phone_work: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pms_patient_sms_consent: Option<bool>,
    #[serde(rename = "pmsPatientAge16AndUnder", skip_serializing_if = "Option::is_none")]
    pms_patient_age_16_and_under: Option<bool>,
    pms_patient_creation_time: String,
}

/// The day, for Healthengine.
pub fn body(snapshot: &ClientSnapshot) -> Body<'_> {
    Body {
        date: snapshot.asked.day.format("%Y-%m-%d").to_string(),
        date_type: match snapshot.asked.by {
            SnapshotBy::Appointment => BY_APPOINTMENT,
            SnapshotBy::Creation => BY_CREATION,
        },
        locations: snapshot.locations.iter().map(location).collect(),
        practitioners: snapshot.practitioners.iter().map(practitioner).collect(),
        appointment_types: snapshot.appointment_types.iter().map(appointment_type).collect(),
        appointments: snapshot.appointments.iter().map(appointment).collect(),
        patients: snapshot.patients.iter().map(patient).collect(),
    }
}

fn status(listed: &Listed) -> &'static str {
    if listed.active { "active" } else { "inactive" }
}

fn location(listed: &Listed) -> Location<'_> {
    Location {
        pms_location_id: &listed.id,
        pms_location_name: &listed.name,
        pms_location_status: status(listed),
    }
}

fn practitioner(listed: &Listed) -> Practitioner<'_> {
    Practitioner {
        pms_practitioner_id: &listed.id,
        pms_practitioner_name: &listed.name,
        pms_practitioner_status: status(listed),
    }
}

fn appointment_type(listed: &Listed) -> AppointmentType<'_> {
    AppointmentType {
        pms_appointment_type_id: &listed.id,
        pms_appointment_type_name: &listed.name,
        pms_appointment_type_status: status(listed),
    }
}

fn appointment(appointment: &SnapshotAppointment) -> Appointment<'_> {
    Appointment {
        pms_appointment_id: appointment.id.as_str(),
        pms_patient_id: appointment.patient.as_str(),
        pms_practitioner_id: appointment.practitioner.as_str(),
        pms_appointment_type_id: appointment.appointment_type.as_str(),
        pms_appointment_creation_time: local(appointment.created),
        pms_appointment_time: local(appointment.starts),
        pms_appointment_length: appointment.length.0,
        pms_appointment_status: match appointment.status {
            AppointmentStatus::Booked | AppointmentStatus::Confirmed | AppointmentStatus::Other => "booked",
            AppointmentStatus::Arrived => "patient-arrived",
            AppointmentStatus::Completed => "patient-complete",
            AppointmentStatus::Cancelled => "cancelled",
            AppointmentStatus::DidNotAttend => "patient-dna",
        },
    }
}

fn patient<'a>(patient: &'a SnapshotPatient) -> Patient<'a> {
    let given = |text: &'a Private<String>| Some(text.reveal().as_str()).filter(|text| !text.is_empty());
    Patient {
        pms_patient_id: patient.id.as_str(),
        pms_patient_firstname: patient.first_name.reveal(),
        pms_patient_lastname: patient.last_name.reveal(),
        pms_patient_preferred_name: given(&patient.preferred_name),
        pms_patient_phone_mobile: given(&patient.mobile),
        pms_patient_phone_home: given(&patient.home_phone),
        pms_patient_phone_work: given(&patient.work_phone),
        pms_patient_sms_consent: patient.sms_consent,
        pms_patient_age_16_and_under: patient.sixteen_or_younger,
        pms_patient_creation_time: local(patient.created),
    }
}

fn local(time: PracticeTime) -> String {
    time.0.format("%Y-%m-%d %H:%M:%S").to_string()
}
