//! Reading a day with its patients, for a partner that asks for it (contract sheet §4.6, `clientSnapshots`).

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use domain::client_snapshot::{
    ClientSnapshot, Listed, SnapshotAppointment, SnapshotAsked, SnapshotBy, SnapshotPatient,
};
use domain::diary::Appointment;
use domain::ids::{AppointmentRef, PatientRef, ResourceRef};
use domain::private::Private;
use domain::time::{Horizon, Minutes, PracticeTime};

use super::day::{Calendar, CalendarRow, SERIES_SEPARATOR, appointments};
use super::failure::Failure;
use super::profile::SnapshotQueries;
use super::session::{Known, Session};
use super::statement::Statement;
use super::value::{Rows, Value};
use super::{SqlPractice, run};

impl SqlPractice {
    pub(super) async fn read_snapshot(
        &self,
        session: &mut Session,
        known: &Known,
        asked: SnapshotAsked,
    ) -> Result<ClientSnapshot, Failure> {
        let Some(queries) = &self.profile.snapshot else {
            return Err(Failure::Misfit("its profile has no section `snapshot`".into()));
        };
        let mut locations = listed(session, known, &queries.locations).await?;
        if let Some(ours) = &self.locations {
            locations.retain(|location| ours.iter().any(|ours| ours.as_str() == location.id));
        }
        let practitioners = listed(session, known, &queries.practitioners).await?;
        let appointment_types = listed(session, known, &queries.appointment_types).await?;
        let ids: Vec<ResourceRef> =
            practitioners.iter().map(|listed| ResourceRef::new(listed.id.as_str())).collect();
        let mut found = self.appointments_of(session, known, queries, asked, &ids).await?;
        // A time that is only held is nobody's appointment yet.
        found.retain(|appointment| appointment.patient.is_some());

        let now = self.zone.wall_clock(self.clock.now());
        // Who enters no length takes one place of the grid, here as in the free times.
        let shortest = Minutes(self.rules(known).slot);
        let mut snapshot = ClientSnapshot {
            asked,
            locations,
            practitioners,
            appointment_types,
            appointments: Vec::with_capacity(found.len()),
            patients: Vec::new(),
        };
        let mut known_since: BTreeMap<PatientRef, PracticeTime> = BTreeMap::new();
        for appointment in found {
            let (Some(patient), Some(appointment_type)) = (appointment.patient, appointment.appointment_type)
            else {
                continue;
            };
            // What is none of the listed types is no visit.
            if !snapshot.appointment_types.iter().any(|listed| listed.id == appointment_type.as_str()) {
                continue;
            }
            // Where the book does not say when it was made, that was before now, and before it takes place.
            let created = self.created(session, known, queries, &appointment.id).await?;
            let created = created.unwrap_or_else(|| now.min(appointment.starts));
            let earliest = known_since.entry(patient.clone()).or_insert(created);
            *earliest = created.min(*earliest);
            snapshot.appointments.push(SnapshotAppointment {
                id: appointment.id,
                patient,
                practitioner: appointment.resource,
                appointment_type,
                created,
                starts: appointment.starts,
                length: if appointment.length.0 == 0 { shortest } else { appointment.length },
                status: appointment.status,
            });
        }
        for (patient, since) in known_since {
            snapshot
                .patients
                .extend(self.snapshot_patient(session, known, queries, asked.day, patient, since).await?);
        }
        // An appointment whose patient's record is gone is nobody's.
        let is_known = |patient: &PatientRef| snapshot.patients.iter().any(|known| known.id == *patient);
        snapshot.appointments.retain(|appointment| is_known(&appointment.patient));
        Ok(snapshot)
    }

    async fn appointments_of(
        &self,
        session: &mut Session,
        known: &Known,
        queries: &SnapshotQueries,
        asked: SnapshotAsked,
        practitioners: &[ResourceRef],
    ) -> Result<Vec<Appointment>, Failure> {
        let (mut rows, horizon) = match asked.by {
            SnapshotBy::Appointment => {
                let horizon = Horizon { first: asked.day, last: asked.day };
                (self.read_calendar(session, known, horizon).await?, horizon)
            }
            SnapshotBy::Creation => {
                let values = known.probes.clone().with("day", Value::day(asked.day));
                let mut rows = Vec::new();
                self.read_rows(session, &queries.appointments_made, &values, &mut rows).await?;
                let days = || rows.iter().map(|row: &CalendarRow| row.day);
                let horizon = Horizon {
                    first: days().min().unwrap_or(asked.day),
                    last: days().max().unwrap_or(asked.day).succ_opt().unwrap_or(NaiveDate::MAX),
                };
                (rows, horizon)
            }
        };
        if let Some(ours) = &self.locations {
            rows.retain(|row| {
                row.location.as_ref().is_none_or(|place| ours.iter().any(|ours| ours.as_str() == place))
            });
        }
        // With whom is the person here, whatever they can be booked as.
        let own = practitioners.iter().map(|person| Calendar { resource: person, name: person });
        Ok(appointments(&rows, &own.collect::<Vec<_>>(), horizon, &self.rules(known)))
    }

    async fn created(
        &self,
        session: &mut Session,
        known: &Known,
        queries: &SnapshotQueries,
        appointment: &AppointmentRef,
    ) -> Result<Option<PracticeTime>, Failure> {
        let text = appointment.to_string();
        let row = text.split(SERIES_SEPARATOR).next().unwrap_or_default();
        let values = known.probes.clone().with("appointment", Value::Text(row.to_owned()));
        let rows = run(session, &queries.appointment_created, &values).await?;
        let created = rows.required("created")?;
        Ok(rows.rows.first().and_then(|row| Rows::moment(row, created)).map(PracticeTime))
    }

    async fn snapshot_patient(
        &self,
        session: &mut Session,
        known: &Known,
        queries: &SnapshotQueries,
        day: NaiveDate,
        patient: PatientRef,
        known_since: PracticeTime,
    ) -> Result<Option<SnapshotPatient>, Failure> {
        let values = known.probes.clone().with("patient", Value::Text(patient.to_string()));
        let rows = run(session, &queries.patient, &values).await?;
        let (first_name, last_name) = (rows.required("first_name")?, rows.required("last_name")?);
        let (birth_date, created) = (rows.required("birth_date")?, rows.required("created")?);
        let preferred_name = rows.optional("preferred_name");
        let [mobile, home_phone, work_phone] =
            ["mobile", "home_phone", "work_phone"].map(|name| rows.optional(name));
        let sms_consent = rows.optional("sms_consent");
        let Some(row) = rows.rows.first() else { return Ok(None) };
        let text = |column| Private::new(Rows::text(row, column).unwrap_or_default());
        Ok(Some(SnapshotPatient {
            first_name: text(first_name),
            last_name: text(last_name),
            preferred_name: text(preferred_name),
            mobile: text(mobile),
            home_phone: text(home_phone),
            work_phone: text(work_phone),
            sms_consent: rows.integer(row, sms_consent)?.map(|yes| yes != 0),
            sixteen_or_younger: rows.day(row, birth_date)?.map(|born| age_on(born, day) <= 16),
            created: Rows::moment(row, created).map_or(known_since, PracticeTime),
            id: patient,
        }))
    }
}

async fn listed(session: &mut Session, known: &Known, statement: &Statement) -> Result<Vec<Listed>, Failure> {
    let rows = run(session, statement, &known.probes).await?;
    let (id, name, active) = (rows.required("id")?, rows.required("name")?, rows.required("active")?);
    let mut all = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        let id = rows.text_needed(row, id)?;
        let name = Rows::text(row, name).unwrap_or_else(|| id.clone());
        all.push(Listed { name, active: rows.flag(row, active)?, id });
    }
    Ok(all)
}

/// Whole years; somebody born on 29 February has their birthday on 1 March in other years.
fn age_on(born: NaiveDate, day: NaiveDate) -> i32 {
    let had_birthday = (day.month(), day.day()) >= (born.month(), born.day());
    day.year() - born.year() - i32::from(!had_birthday)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_count_from_their_day() {
        let age = |born: &str, day: &str| age_on(born.parse().unwrap(), day.parse().unwrap());
        assert_eq!(age("2009-11-21", "2026-11-20"), 16);
        assert_eq!(age("2009-11-20", "2026-11-20"), 17);
        assert_eq!(age("2008-02-29", "2025-02-28"), 16);
        assert_eq!(age("2008-02-29", "2025-03-01"), 17);
    }
}
