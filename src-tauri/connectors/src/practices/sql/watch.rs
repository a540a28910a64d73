//! How appointments that bookings made stand now.

use std::collections::BTreeMap;

use chrono::{Days, NaiveTime, TimeDelta};
use domain::booking::{Standing as Told, Watched};
use domain::diary::{Appointment, AppointmentStatus, Resource};
use domain::ids::{AppointmentRef, PatientRef, ResourceRef};
use domain::time::{Horizon, PracticeTime};

use super::day::{Calendar, SERIES_SEPARATOR, appointments};
use super::failure::Failure;
use super::session::{Known, Session};
use super::statement::{LIST_LENGTH, list_item};
use super::value::Value;
use super::write::{END_OF_TIME, RECENT_DAYS, Standing, mark_of};
use super::{SqlPractice, run};

/// How many missing appointments are looked for by their mark. Each costs a look through the calendar, and where more
/// than these are missing at once nobody has entered them anew.
const MOST_SEARCHES: usize = 10;

impl SqlPractice {
    pub(super) async fn read_standings(
        &self,
        session: &mut Session,
        known: &Known,
        watched: &[Watched],
    ) -> Result<Vec<Told>, Failure> {
        let repeats = |one: &Watched| one.appointment.as_str().contains(SERIES_SEPARATOR);
        let single: Vec<&Watched> = watched.iter().filter(|one| !repeats(one)).collect();
        let mut there = BTreeMap::new();
        for some in single.chunks(LIST_LENGTH) {
            for standing in self.read_some(session, known, some).await? {
                there.insert(standing.id.clone(), standing);
            }
        }
        let resources = self.read_resources(session, known).await?;
        let mut searches = 0;
        let mut told = Vec::with_capacity(watched.len());
        for one in watched {
            let place = Place::of(one, &resources);
            if repeats(one) {
                told.push(self.read_occurrence(session, known, one, &place).await?);
                continue;
            }
            if let Some(standing) =
                there.get(&one.appointment).filter(|standing| is_it(standing, one, &place))
            {
                told.push(tell(standing, &place));
                continue;
            }
            searches += 1;
            let anew = if searches <= MOST_SEARCHES {
                let today = self.zone.today(self.clock.now());
                let recent = today.checked_sub_days(Days::new(RECENT_DAYS)).unwrap_or(today);
                self.find_marked_within(session, known, &one.key, (recent, END_OF_TIME)).await?
            } else {
                None
            };
            told.push(anew.as_ref().map_or(Told::Gone, |anew| tell(anew, &place)));
        }
        Ok(told)
    }

    async fn read_some(
        &self,
        session: &mut Session,
        known: &Known,
        some: &[&Watched],
    ) -> Result<Vec<Standing>, Failure> {
        let Some(statement) = &self.profile.query.appointments else {
            let mut found = Vec::with_capacity(some.len());
            for one in some {
                found.extend(self.read_standing(session, known, &one.appointment).await?);
            }
            return Ok(found);
        };
        let mut values = known.probes.clone();
        for (at, one) in some.iter().enumerate() {
            values.set(list_item("appointments", at), Value::Text(one.appointment.to_string()));
        }
        let rows = run(session, statement, &values).await?;
        self.standings_in(&rows)
    }

    /// One day of an appointment that repeats, which somebody at the desk entered so.
    async fn read_occurrence(
        &self,
        session: &mut Session,
        known: &Known,
        watched: &Watched,
        place: &Place<'_>,
    ) -> Result<Told, Failure> {
        let Some((resource, starts)) = &watched.place else { return Ok(Told::Gone) };
        let Some(name) = place.calendar else {
            // Nobody can say in whose calendar to look.
            let appointment = watched.appointment.clone();
            return Ok(Told::Stands { appointment, resource: None, starts: None, patient: None });
        };
        let horizon = Horizon { first: starts.day(), last: starts.day() };
        let rows = self.read_calendar(session, known, horizon).await?;
        let calendar = Calendar { resource, name };
        let that_day = appointments(&rows, &[calendar], horizon, &self.rules(known));
        let found = that_day.into_iter().find(|appointment| appointment.id == watched.appointment);
        Ok(found.map_or(Told::Gone, |appointment| {
            let Appointment { id, resource, starts, patient, status, .. } = appointment;
            by_status(status, id, Some(resource), Some(starts), patient)
        }))
    }
}

/// With whom an appointment was booked, as the calendar calls them.
struct Place<'a> {
    booked_with: Option<&'a ResourceRef>,
    /// None where that one cannot be booked any more, so that nobody can say how the calendar called them.
    calendar: Option<&'a ResourceRef>,
    resources: &'a [Resource],
}

impl<'a> Place<'a> {
    fn of(watched: &'a Watched, resources: &'a [Resource]) -> Self {
        let booked_with = watched.place.as_ref().map(|(resource, _)| resource);
        let known = resources.iter().find(|known| Some(&known.id) == booked_with);
        Self { booked_with, calendar: known.map(Resource::calendar), resources }
    }

    /// Whose calendar a row stands in, as it was booked where that is the same.
    fn resource(&self, row: &str) -> Option<ResourceRef> {
        if let Some(booked_with) = self.booked_with {
            let is_same = |whose: &ResourceRef| whose.as_str() == row;
            if is_same(booked_with) || self.calendar.is_some_and(is_same) {
                return Some(booked_with.clone());
            }
            // It may have moved, or only its former name may be gone; patients are not told on a guess.
            self.calendar?;
        }
        let there = self.resources.iter().find(|known| known.calendar().as_str() == row);
        Some(there.map_or_else(|| ResourceRef::new(row), |there| there.id.clone()))
    }
}

/// Whether what stands under the number is the appointment that is asked about: databases give numbers of deleted rows
/// out again, and a wrong database has rows of its own.
fn is_it(standing: &Standing, watched: &Watched, place: &Place<'_>) -> bool {
    let same_place = watched.place.as_ref().is_some_and(|(resource, starts)| {
        let with = standing.resource.as_deref().and_then(|row| place.resource(row));
        with.as_ref() == Some(resource) && starts_at(standing) == Some(*starts)
    });
    let note = standing.note.as_deref().unwrap_or_default();
    is_known_again(watched, note, standing.patient.as_ref(), same_place)
}

/// Whether an appointment with this note and patient, at the place where it was booked or not, is the one asked about.
pub(in crate::practices) fn is_known_again(
    watched: &Watched,
    note: &str,
    patient: Option<&PatientRef>,
    same_place: bool,
) -> bool {
    if note.contains(&mark_of(&watched.key)) {
        return true;
    }
    // Square brackets with a partner's name belong to marks alone.
    if note.contains(&format!("[{}:", watched.key.partner)) {
        return false;
    }
    let same_patient = watched.patient.is_some() && patient == watched.patient.as_ref();
    same_patient || same_place
}

fn starts_at(standing: &Standing) -> Option<PracticeTime> {
    let midnight = standing.day?.and_time(NaiveTime::MIN);
    midnight.checked_add_signed(TimeDelta::try_seconds(standing.start)?).map(PracticeTime)
}

fn tell(standing: &Standing, place: &Place<'_>) -> Told {
    let resource = standing.resource.as_deref().and_then(|row| place.resource(row));
    by_status(standing.status, standing.id.clone(), resource, starts_at(standing), standing.patient.clone())
}

fn by_status(
    status: AppointmentStatus,
    appointment: AppointmentRef,
    resource: Option<ResourceRef>,
    starts: Option<PracticeTime>,
    patient: Option<PatientRef>,
) -> Told {
    match status {
        AppointmentStatus::Cancelled => Told::Cancelled,
        AppointmentStatus::DidNotAttend => Told::DidNotAttend,
        AppointmentStatus::Booked
        | AppointmentStatus::Confirmed
        | AppointmentStatus::Arrived
        | AppointmentStatus::Completed
        | AppointmentStatus::Other => Told::Stands { appointment, resource, starts, patient },
    }
}
