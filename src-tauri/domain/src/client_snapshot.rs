//! A day of the practice with its patients, as a partner asks for it (sheet §4.6, `clientSnapshots`).

use crate::diary::AppointmentStatus;
use crate::ids::{AppointmentRef, AppointmentTypeRef, PatientRef, ResourceRef};
use crate::private::Private;
use crate::time::{Minutes, PracticeTime};
use chrono::NaiveDate;

/// Which appointments belong to a snapshot's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotBy {
    /// Those that take place on it.
    Appointment,
    /// Those that were made on it, whenever they take place.
    Creation,
}

/// A snapshot that a partner asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotAsked {
    /// The day, on the practice's calendar.
    pub day: NaiveDate,
    /// Which appointments belong to it.
    pub by: SnapshotBy,
}

/// A location, practitioner or appointment type, past ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The practice system's key.
    pub id: String,
    /// The name people see.
    pub name: String,
    /// Whether it is in use.
    pub active: bool,
}

/// An appointment of a snapshot's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotAppointment {
    /// The practice system's key.
    pub id: AppointmentRef,
    /// Whose it is.
    pub patient: PatientRef,
    /// With whom: the person, whatever they can be booked as.
    pub practitioner: ResourceRef,
    /// For what.
    pub appointment_type: AppointmentTypeRef,
    /// When it was made, on the practice's wall clock.
    pub created: PracticeTime,
    /// When it takes place, on the practice's wall clock.
    pub starts: PracticeTime,
    /// How long; never zero.
    pub length: Minutes,
    /// How it stands.
    pub status: AppointmentStatus,
}

/// A patient of a snapshot's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPatient {
    /// The practice system's key.
    pub id: PatientRef,
    /// Given name.
    pub first_name: Private<String>,
    /// Family name.
    pub last_name: Private<String>,
    /// What they want to be called; empty where not known, as are the numbers.
    pub preferred_name: Private<String>,
    /// Mobile number.
    pub mobile: Private<String>,
    /// Number at home.
    pub home_phone: Private<String>,
    /// Number at work.
    pub work_phone: Private<String>,
    /// Whether they agreed to text messages; none where nobody asked them.
    pub sms_consent: Option<bool>,
    /// Whether they are sixteen or younger on the snapshot's day; none where the birth date is not known.
    pub sixteen_or_younger: Option<bool>,
    /// When the record was made, on the practice's wall clock.
    pub created: PracticeTime,
}

/// A day of the practice. Locations, practitioners and types are all there are: what is missing counts as deleted.
/// Appointments and patients are those of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSnapshot {
    /// What was asked for.
    pub asked: SnapshotAsked,
    /// The locations, all of them.
    pub locations: Vec<Listed>,
    /// The practitioners, all of them.
    pub practitioners: Vec<Listed>,
    /// The appointment types, all of them.
    pub appointment_types: Vec<Listed>,
    /// The day's appointments.
    pub appointments: Vec<SnapshotAppointment>,
    /// Their patients, each once.
    pub patients: Vec<SnapshotPatient>,
}
