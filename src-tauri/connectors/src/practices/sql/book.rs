//! Reading the book: who, what, when, and what stands there.

use std::collections::{BTreeMap, HashSet};

use chrono::{Days, NaiveDate};
use domain::diary::{AppointmentStatus, AppointmentType, Book, Location, Resource};
use domain::ids::{AppointmentTypeRef, LocationRef, ResourceRef};
use domain::time::{Horizon, Minutes};
use sha2::{Digest, Sha256};

use super::day::{Calendar, CalendarRow, Kind, Rules, appointments, plan};
use super::failure::Failure;
use super::recurrence::Recurrence;
use super::session::{Known, Session};
use super::statement::Statement;
use super::value::{Parameters, Rows, Value};
use super::{SqlPractice, run};

/// How many days before the horizon rows are read, because they may run past midnight.
const DAYS_BEFORE: u64 = 7;

impl SqlPractice {
    pub(super) async fn read_book(
        &self,
        session: &mut Session,
        known: &Known,
        horizon: Horizon,
    ) -> Result<Book, Failure> {
        let rules = self.rules(known);
        let locations = self.read_locations(session, known).await?;
        let resources = self.read_resources(session, known).await?;
        let appointment_types = types_of(self.read_types(session, known, &rules).await?, &resources);
        let rows = self.read_calendar(session, known, horizon).await?;
        let calendars: Vec<Calendar<'_>> = resources.iter().map(Calendar::of).collect();
        let mut days = plan(&rows, &calendars, horizon, &rules);
        // Time that is reserved for what cannot be booked from outside is nothing to offer.
        for ((resource, _), day) in &mut days {
            let is_offered = |only: &String| {
                appointment_types.iter().any(|kind| {
                    kind.id.as_str() == only && kind.resource.as_ref().is_none_or(|whose| whose == resource)
                })
            };
            day.open.retain(|piece| piece.only_type.as_ref().is_none_or(is_offered));
        }
        let appointments = appointments(&rows, &calendars, horizon, &rules);
        Ok(Book {
            horizon,
            slot: Minutes(rules.slot),
            locations,
            resources,
            appointment_types,
            days: days.into_iter().map(|(key, day)| (key, day.book_day())).collect(),
            appointments,
        })
    }

    pub(super) async fn read_stamp(
        &self,
        session: &mut Session,
        known: &Known,
        horizon: Horizon,
    ) -> Result<String, Failure> {
        let values = window(known, horizon);
        let mut digest = Sha256::new();
        digest.update(format!("{} {}\n", horizon.first, horizon.last));
        for statement in &self.profile.query.stamp {
            take_in(&mut digest, &run(session, statement, &values).await?);
        }
        Ok(short(digest))
    }

    /// The stamp of the patients; none where the profile has none, or a cell is null, which is how it says that it
    /// cannot tell just now.
    pub(super) async fn read_people_stamp(
        &self,
        session: &mut Session,
        known: &Known,
    ) -> Result<Option<String>, Failure> {
        let Some(statement) = &self.profile.query.people_stamp else { return Ok(None) };
        stamp(session, known, statement).await
    }

    async fn read_locations(&self, session: &mut Session, known: &Known) -> Result<Vec<Location>, Failure> {
        let rows = run(session, &self.profile.query.locations, &known.probes).await?;
        let (id, name) = (rows.required("id")?, rows.required("name")?);
        let mut locations = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            let id = LocationRef::new(rows.text_needed(row, id)?);
            let name = Rows::text(row, name).unwrap_or_else(|| id.to_string());
            if self.locations.as_ref().is_none_or(|ours| ours.contains(&id)) {
                locations.push(Location { id, name });
            }
        }
        Ok(locations)
    }

    /// The bookable resources of this practice's locations.
    pub(super) async fn read_resources(
        &self,
        session: &mut Session,
        known: &Known,
    ) -> Result<Vec<Resource>, Failure> {
        let rows = run(session, &self.profile.query.resources, &known.probes).await?;
        let (id, name) = (rows.required("id")?, rows.optional("name"));
        let (first, last) = (rows.required("first_name")?, rows.required("last_name")?);
        let (title, specialty) = (rows.optional("title"), rows.optional("specialty"));
        let (location, practitioner) = (rows.optional("location"), rows.optional("practitioner"));
        let further = self.read_further_locations(session, known).await?;
        let mut resources = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            let id = ResourceRef::new(rows.text_needed(row, id)?);
            let (first_name, last_name) = (Rows::text(row, first), Rows::text(row, last));
            let both =
                [first_name.as_deref(), last_name.as_deref()].map(|part| part.unwrap_or_default().trim());
            let name = Rows::text(row, name).unwrap_or_else(|| both.join(" ").trim().to_owned());
            let resource = Resource {
                name: if name.is_empty() { id.to_string() } else { name },
                title: Rows::text(row, title),
                first_name,
                last_name,
                specialty: Rows::text(row, specialty),
                location: Rows::text(row, location).map(LocationRef::new),
                practitioner: Rows::text(row, practitioner)
                    .map(ResourceRef::new)
                    .filter(|whose| *whose != id),
                id,
            };
            if self.covers(&resource, &further) {
                resources.push(resource);
            }
        }
        make_names_unique(&mut resources);
        Ok(resources)
    }

    /// How the calendar calls a resource. One that is not known is called as it is.
    pub(super) async fn calendar_of(
        &self,
        session: &mut Session,
        known: &Known,
        resource: &ResourceRef,
    ) -> Result<ResourceRef, Failure> {
        let resources = self.read_resources(session, known).await?;
        let found = resources.iter().find(|known| known.id == *resource);
        Ok(found.map_or(resource, Resource::calendar).clone())
    }

    fn covers(&self, resource: &Resource, further: &HashSet<(String, String)>) -> bool {
        let Some(ours) = &self.locations else { return true };
        let at_home = resource.location.as_ref().is_some_and(|location| ours.contains(location));
        let visits = |location: &LocationRef| {
            further.contains(&(resource.calendar().to_string(), location.to_string()))
        };
        at_home || ours.iter().any(visits)
    }

    async fn read_further_locations(
        &self,
        session: &mut Session,
        known: &Known,
    ) -> Result<HashSet<(String, String)>, Failure> {
        let Some(statement) =
            self.profile.query.resource_locations.as_ref().filter(|_| self.locations.is_some())
        else {
            return Ok(HashSet::new());
        };
        let rows = run(session, statement, &known.probes).await?;
        let (resource, location) = (rows.required("resource")?, rows.required("location")?);
        let pair = |row: &Vec<Value>| Some((Rows::text(row, resource)?, Rows::text(row, location)?));
        Ok(rows.rows.iter().filter_map(pair).collect())
    }

    pub(super) async fn read_types(
        &self,
        session: &mut Session,
        known: &Known,
        rules: &Rules,
    ) -> Result<Vec<AppointmentType>, Failure> {
        let rows = run(session, &self.profile.query.appointment_types, &known.probes).await?;
        let (id, name) = (rows.required("id")?, rows.required("name")?);
        let (minutes, resource) = (rows.required("minutes")?, rows.optional("resource"));
        let mut types = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            let id = rows.text_needed(row, id)?;
            let length = rows.integer(row, minutes)?.and_then(|minutes| u32::try_from(minutes).ok());
            types.push(AppointmentType {
                name: Rows::text(row, name).unwrap_or_else(|| id.clone()),
                id: AppointmentTypeRef::new(id),
                length: Minutes(length.filter(|minutes| *minutes > 0).unwrap_or(rules.slot)),
                resource: Rows::text(row, resource).map(ResourceRef::new),
            });
        }
        Ok(types)
    }

    /// Every calendar row that may touch the horizon.
    pub(super) async fn read_calendar(
        &self,
        session: &mut Session,
        known: &Known,
        horizon: Horizon,
    ) -> Result<Vec<CalendarRow>, Failure> {
        let values = window(known, horizon);
        let mut rows = Vec::new();
        let query = &self.profile.query;
        for statement in query.entries.iter().chain(&query.series) {
            self.read_rows(session, statement, &values, &mut rows).await?;
        }
        Ok(rows)
    }

    pub(super) async fn read_rows(
        &self,
        session: &mut Session,
        statement: &Statement,
        values: &Parameters,
        into: &mut Vec<CalendarRow>,
    ) -> Result<(), Failure> {
        let rows = run(session, statement, values).await?;
        let (id, kind) = (rows.required("id")?, rows.required("kind")?);
        let (resource, patient) = (rows.required("resource")?, rows.required("patient")?);
        let (day, last_day) = (rows.required("day")?, rows.optional("last_day"));
        let (start, length) = (rows.required("start_second")?, rows.required("length_second")?);
        let (kind_of_series, specification) = (rows.optional("series"), rows.optional("series_rule"));
        let (location, appointment_type) = (rows.optional("location"), rows.optional("type"));
        let (status, only_type) = (rows.optional("status"), rows.optional("only_type"));
        let (changed, held) = (rows.optional("changed"), rows.optional("held"));
        into.reserve(rows.rows.len());
        for row in &rows.rows {
            let id = rows.text_needed(row, id)?;
            let kind = match Rows::text(row, kind).as_deref() {
                Some("opens") => Kind::Opens,
                Some("closes") => Kind::Closes,
                // Whatever else it is, somebody put it there, so it takes its time.
                _ => Kind::Takes,
            };
            // A row on no day happens on none.
            let Some(first) = rows.day(row, day)? else { continue };
            let series = match rows.integer(row, kind_of_series)? {
                None | Some(0) => None,
                Some(kind) => {
                    let specification = Rows::text(row, specification).unwrap_or_default();
                    let recurrence = Recurrence::parse(kind, &specification);
                    if !recurrence.is_readable() {
                        tracing::debug!(row = id, "a repeating row cannot be understood and counts once");
                    }
                    Some((recurrence, rows.day(row, last_day)?.unwrap_or(first)))
                }
            };
            let status = Rows::text(row, status);
            into.push(CalendarRow {
                id,
                resource: Rows::text(row, resource),
                kind,
                patient: Rows::text(row, patient),
                appointment_type: Rows::text(row, appointment_type),
                location: Rows::text(row, location),
                day: first,
                start: rows.integer(row, start)?.unwrap_or(0),
                length: rows.integer(row, length)?.unwrap_or(0).max(0),
                status: match status {
                    None => AppointmentStatus::Other,
                    code => self.profile.status(code.as_deref()),
                },
                only_type: Rows::text(row, only_type),
                changed: Rows::moment(row, changed),
                held: rows.flag(row, held)?,
                series,
            });
        }
        Ok(())
    }
}

/// The types that can be booked with these resources. One that the practice system has for a practitioner is there for
/// each of the practitioner's resources; one for somebody who cannot be booked here is not there.
pub(in crate::practices) fn types_of(
    types: Vec<AppointmentType>,
    resources: &[Resource],
) -> Vec<AppointmentType> {
    let mut found = Vec::with_capacity(types.len());
    for kind in types {
        let Some(whose) = &kind.resource else {
            found.push(kind);
            continue;
        };
        for resource in resources {
            if resource.id == *whose || resource.calendar() == whose {
                found.push(AppointmentType { resource: Some(resource.id.clone()), ..kind.clone() });
            }
        }
    }
    found
}

/// The parameters for reading the calendar.
fn window(known: &Known, horizon: Horizon) -> Parameters {
    let from = horizon.first.checked_sub_days(Days::new(DAYS_BEFORE)).unwrap_or(NaiveDate::MIN);
    known.probes.clone().with("from", Value::day(from)).with("to", Value::day(horizon.last))
}

/// Two practitioners of one name get what tells them apart, because people choose by name.
pub(in crate::practices) fn make_names_unique(resources: &mut [Resource]) {
    let count = |resources: &[Resource]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for resource in resources {
            *counts.entry(resource.name.to_lowercase()).or_default() += 1;
        }
        counts
    };
    let counts = count(resources);
    let is_double = |counts: &BTreeMap<String, usize>, name: &str| {
        counts.get(&name.to_lowercase()).is_some_and(|count| *count > 1)
    };
    for resource in resources.iter_mut() {
        if let Some(specialty) = &resource.specialty
            && is_double(&counts, &resource.name)
        {
            resource.name = format!("{} ({specialty})", resource.name);
        }
    }
    let counts = count(resources);
    for resource in resources.iter_mut() {
        if is_double(&counts, &resource.name) {
            resource.name = format!("{} ({})", resource.name, resource.id);
        }
    }
}

/// A short text over what a stamp of the profile returns; none where it says that it cannot tell.
pub(super) async fn stamp(
    session: &mut Session,
    known: &Known,
    statement: &Statement,
) -> Result<Option<String>, Failure> {
    let rows = run(session, statement, &known.probes).await?;
    if rows.rows.iter().flatten().any(|cell| *cell == Value::Null) {
        return Ok(None);
    }
    let mut digest = Sha256::new();
    take_in(&mut digest, &rows);
    Ok(Some(short(digest)))
}

fn take_in(digest: &mut Sha256, rows: &Rows) {
    for row in &rows.rows {
        for cell in row {
            match cell {
                Value::Null => digest.update(b"-"),
                Value::Integer(number) => digest.update(number.to_le_bytes()),
                Value::Real(number) => digest.update(number.to_le_bytes()),
                Value::Text(text) => digest.update(text.as_bytes()),
            }
            digest.update(b"\0");
        }
        digest.update(b"\n");
    }
}

pub(super) fn short(digest: Sha256) -> String {
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
