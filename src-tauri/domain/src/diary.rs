//! The practice's book: who can be booked, for what, when they work, and what stands in it.

use crate::ids::{AppointmentRef, AppointmentTypeRef, LocationRef, PatientRef, ResourceRef};
use crate::private::Private;
use crate::time::{DayRange, Horizon, Minutes, PracticeTime};
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// A location of the practice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The practice system's key.
    pub id: LocationRef,
    /// The name people see.
    pub name: String,
}

/// A practitioner or room that can be booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The practice system's key.
    pub id: ResourceRef,
    /// The name people see; unique within the practice.
    pub name: String,
    /// `Dr`, where given.
    pub title: Option<String>,
    /// Given name, where it is a person.
    pub first_name: Option<String>,
    /// Family name, where it is a person.
    pub last_name: Option<String>,
    /// `Physiotherapist`, where given.
    pub specialty: Option<String>,
    /// Where they work by default, where the system says so.
    pub location: Option<LocationRef>,
    /// Whose calendar it goes by, where one practitioner is several resources (HE-11); none where it has its own.
    pub practitioner: Option<ResourceRef>,
}

impl Resource {
    /// As the practice system's calendar calls it. Resources that share a calendar are booked together.
    pub fn calendar(&self) -> &ResourceRef {
        self.practitioner.as_ref().unwrap_or(&self.id)
    }
}

impl Resource {
    /// The name with the title before it, where there is one and the name does not begin with it.
    pub fn titled_name(&self) -> String {
        let name = self.name.trim();
        match self.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
            Some(title)
                if !name
                    .split_whitespace()
                    .any(|word| word.trim_end_matches('.') == title.trim_end_matches('.')) =>
            {
                format!("{title} {name}")
            }
            Some(_) | None => name.to_owned(),
        }
    }
}

/// Something that can be booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppointmentType {
    /// The practice system's key; unique within the practice.
    pub id: AppointmentTypeRef,
    /// The name people see.
    pub name: String,
    /// The usual length.
    pub length: Minutes,
    /// Only for this resource, where the system has types per resource.
    pub resource: Option<ResourceRef>,
}

/// How an appointment stands, in the words that partners share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppointmentStatus {
    /// In the book.
    Booked,
    /// Confirmed by the patient.
    Confirmed,
    /// The patient is here, or with the practitioner.
    Arrived,
    /// Over.
    Completed,
    /// Cancelled.
    Cancelled,
    /// The patient did not come.
    DidNotAttend,
    /// A code that the profile does not know; it occupies its time.
    Other,
}

/// An appointment in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// The practice system's key.
    pub id: AppointmentRef,
    /// With whom.
    pub resource: ResourceRef,
    /// For whom; none while the time is only held.
    pub patient: Option<PatientRef>,
    /// For what.
    pub appointment_type: Option<AppointmentTypeRef>,
    /// When, on the practice's wall clock.
    pub starts: PracticeTime,
    /// How long.
    pub length: Minutes,
    /// How it stands.
    pub status: AppointmentStatus,
    /// When the system says it was last changed, wall clock; many systems cannot say.
    pub changed: Option<PracticeTime>,
}

/// Time in which a resource can be booked, before appointments are taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTime {
    /// When.
    pub range: DayRange,
    /// Reserved for these types; empty means any.
    pub only_types: Vec<AppointmentTypeRef>,
}

/// One resource on one practice day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookDay {
    /// Working time, exceptions and recurrences applied.
    pub open: Vec<OpenTime>,
    /// What takes time: appointments that occupy, meetings, closures; those that run past midnight included.
    pub busy: Vec<DayRange>,
}

impl BookDay {
    /// Free time: open minus busy, merged and sorted; stretches shorter than `shortest` are left out.
    pub fn free(&self, shortest: Minutes) -> Vec<OpenTime> {
        let mut free: Vec<OpenTime> = Vec::new();
        for open in &self.open {
            let mut pieces = vec![open.range];
            for busy in &self.busy {
                pieces = pieces.into_iter().flat_map(|piece| piece.without(*busy)).collect();
            }
            free.extend(
                pieces.into_iter().map(|range| OpenTime { range, only_types: open.only_types.clone() }),
            );
        }
        free.sort_by(|a, b| (a.range, &a.only_types).cmp(&(b.range, &b.only_types)));
        let mut merged: Vec<OpenTime> = Vec::with_capacity(free.len());
        for next in free {
            match merged.last_mut() {
                Some(last) if last.only_types == next.only_types && next.range.start <= last.range.end => {
                    last.range.end = last.range.end.max(next.range.end);
                }
                _ => merged.push(next),
            }
        }
        merged.retain(|open| u32::from(open.range.minutes()) >= shortest.0);
        merged
    }

    /// Whether `wanted` can be booked for `appointment_type`, and if not, whether something stands there.
    pub fn room_for(&self, wanted: DayRange, appointment_type: Option<&AppointmentTypeRef>) -> Room {
        if self.busy.iter().any(|busy| busy.overlaps(wanted)) {
            return Room::Taken;
        }
        let fits = self.free(Minutes(1)).iter().any(|free| {
            free.range.contains(wanted)
                && (free.only_types.is_empty()
                    || appointment_type.is_some_and(|t| free.only_types.contains(t)))
        });
        if fits { Room::Free } else { Room::Closed }
    }
}

/// What [`BookDay::room_for`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It can be booked.
    Free,
    /// Something stands there.
    Taken,
    /// The resource does not work then, or not for this type.
    Closed,
}

/// Where a video consultation takes place. The links open it, so they are as private as what is said there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoVisit {
    /// For the patient.
    pub patient_link: Option<Private<String>>,
    /// What the patient is told beside it.
    pub patient_description: Option<Private<String>>,
    /// For the practitioner.
    pub practitioner_link: Option<Private<String>>,
    /// What the practitioner is told beside it.
    pub practitioner_description: Option<Private<String>>,
}

/// The book of a practice over some days, read in one consistent view. A partial read is never a `Book`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The days it covers.
    pub horizon: Horizon,
    /// The grid on which appointments start, as the practice system has it.
    pub slot: Minutes,
    /// The locations, all of them.
    pub locations: Vec<Location>,
    /// The bookable resources, all of them.
    pub resources: Vec<Resource>,
    /// The bookable appointment types, all of them.
    pub appointment_types: Vec<AppointmentType>,
    /// Working and busy time. A resource and day that is missing has none.
    pub days: BTreeMap<(ResourceRef, NaiveDate), BookDay>,
    /// The patients' appointments within the horizon, whatever their status.
    pub appointments: Vec<Appointment>,
}

impl Book {
    /// Free time of one resource on one day, on the book's grid.
    pub fn free(&self, resource: &ResourceRef, day: NaiveDate) -> Vec<OpenTime> {
        self.days.get(&(resource.clone(), day)).map(|day| day.free(self.slot)).unwrap_or_default()
    }
}

/// What a practice system says of itself when it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PracticeCard {
    /// `OpenEMR 7.0.3 on MariaDB 10.11`.
    pub system: String,
    /// Number of bookable resources.
    pub resources: usize,
    /// Number of locations.
    pub locations: usize,
    /// Number of patients.
    pub patients: u64,
    /// The next appointment, and with whom.
    pub next_appointment: Option<(PracticeTime, String)>,
    /// Whether this account may write what bookings need.
    pub writable: Writable,
    /// How long after an insert began its outcome may still change: the server-side time limit, and a margin.
    pub settle_seconds: u32,
}

/// Whether bookings can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writable {
    /// Yes.
    Yes,
    /// The settings say that a person enters each booking.
    SwitchedOff,
    /// The profile cannot write to this system.
    ProfileReadsOnly,
    /// The profile has not been tried with this version, which the text names, so it only reads.
    VersionNotTried(String),
    /// The database as a whole takes no writing now.
    DatabaseReadOnly,
    /// The account lacks rights; the text is the statements that give them, one per line, in which DATABASE and
    /// ACCOUNT stand for the clinic's own.
    RightsMissing(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MinuteOfDay;

    fn range(a: i64, b: i64) -> DayRange {
        DayRange::new(MinuteOfDay::clamped(a), MinuteOfDay::clamped(b)).expect("a range")
    }

    fn open(a: i64, b: i64) -> OpenTime {
        OpenTime { range: range(a, b), only_types: Vec::new() }
    }

    #[test]
    fn free_is_open_minus_busy() {
        let day = BookDay {
            open: vec![open(540, 720), open(720, 1020)],
            busy: vec![range(600, 630), range(700, 760), range(1010, 1100)],
        };
        assert_eq!(day.free(Minutes(15)), [open(540, 600), open(630, 700), open(760, 1010)]);
        assert_eq!(day.room_for(range(540, 600), None), Room::Free);
        assert_eq!(day.room_for(range(590, 605), None), Room::Taken);
        assert_eq!(day.room_for(range(500, 545), None), Room::Closed);
    }

    #[test]
    fn slivers_are_not_offered() {
        let day = BookDay { open: vec![open(540, 600)], busy: vec![range(550, 595)] };
        assert_eq!(day.free(Minutes(10)), [open(540, 550)]);
    }

    #[test]
    fn reserved_time_is_for_its_type() {
        let new_patients = AppointmentTypeRef::new("10");
        let reserved = OpenTime { range: range(540, 600), only_types: vec![new_patients.clone()] };
        let day = BookDay { open: vec![reserved], busy: Vec::new() };
        assert_eq!(day.room_for(range(540, 570), Some(&new_patients)), Room::Free);
        assert_eq!(day.room_for(range(540, 570), Some(&AppointmentTypeRef::new("5"))), Room::Closed);
        assert_eq!(day.room_for(range(540, 570), None), Room::Closed);
    }
}
