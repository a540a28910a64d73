//! Writing bookings: one transaction each, locks first, then the look whether the time is free, then the rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::NaiveDate;
use domain::booking::{AppointmentOrder, BookingKey, Held};
use domain::diary::{AppointmentStatus, AppointmentType, Resource, Room};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, AppointmentTypeRef, LocationRef, PatientRef, ResourceRef};
use domain::matching;
use domain::people::{PatientPlan, PersonDetails};
use domain::settings::WriteMode;
use domain::time::{DayRange, Horizon, Meaning, MinuteOfDay};

use super::book::types_of;
use super::day::{Calendar, Plan, SERIES_SEPARATOR, plan};
use super::failure::{Failure, Misread, SqlError};
use super::patients::{lines, one_line};
use super::profile::WriteSteps;
use super::session::{Known, Mode, Session};
use super::value::{Parameters, Rows, Value};
use super::{SqlPractice, change, moment, run};

/// How often a transaction is tried that the server broke off for another one's sake.
const MOST_TRIES: u32 = 3;
/// How far back a marked appointment is looked for first, in days; nearly all lie ahead.
pub(super) const RECENT_DAYS: u64 = 31;

/// How far from the order's day its key is looked for once more inside the locks, in days: what was written since the
/// look before them stands on that day itself.
const NEARBY_DAYS: u64 = 1;

/// No practice system writes later days.
pub(super) const END_OF_TIME: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day");
const ALL_TIME: (NaiveDate, NaiveDate) = (NaiveDate::from_ymd_opt(1000, 1, 1).expect("a day"), END_OF_TIME);

/// Why a transaction is not committed.
enum Stop {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<Misread> for Stop {
    fn from(misread: Misread) -> Self {
        Stop::Failed(misread.into())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

/// What a transaction is to do.
enum Task<'a> {
    /// Put an appointment into the book.
    Place(&'a AppointmentOrder),
    /// Give a held appointment its patient.
    Name(&'a Naming<'a>),
    /// Cancel an appointment.
    Cancel(&'a Held),
}

/// A held appointment, or one that is the wrong patient's, and whose it becomes.
struct Naming<'a> {
    appointment: &'a AppointmentRef,
    key: &'a BookingKey,
    patient: &'a PatientPlan,
    instead_of: Option<&'a PatientRef>,
    details: &'a PersonDetails,
}

/// What a transaction came to.
enum Outcome {
    /// It wrote something, which is to stand.
    Written(Placed),
    /// There was nothing to write.
    Unchanged(Placed),
}

/// What may stand in the book if we stop waiting now.
#[derive(Default)]
struct Progress {
    /// Whether what was written can be undone.
    can_undo: AtomicBool,
    wrote: AtomicBool,
    committing: AtomicBool,
}

impl Progress {
    fn can_undo(&self) -> bool {
        self.can_undo.load(Ordering::Relaxed)
    }

    fn may_stand(&self) -> bool {
        self.committing.load(Ordering::Relaxed) || self.wrote.load(Ordering::Relaxed) && !self.can_undo()
    }

    fn failed(&self, failure: Failure) -> WriteError {
        let error = ReadError::from(failure);
        if self.may_stand() { WriteError::Unknown(error) } else { WriteError::Untouched(error) }
    }
}

/// An appointment as it stands in the book.
pub(super) struct Standing {
    pub(super) id: AppointmentRef,
    pub(super) resource: Option<String>,
    pub(super) patient: Option<PatientRef>,
    appointment_type: Option<String>,
    pub(super) day: Option<NaiveDate>,
    pub(super) start: i64,
    length: i64,
    pub(super) status: AppointmentStatus,
    repeats: bool,
    /// Only where the query gives it.
    pub(super) note: Option<String>,
}

impl Standing {
    pub(super) fn held(&self) -> Held {
        Held { appointment: self.id.clone(), patient: self.patient.clone() }
    }

    fn is_cancelled(&self) -> bool {
        self.status == AppointmentStatus::Cancelled
    }
}

/// What stands, and whether its patient is still to be written.
struct Placed {
    held: Held,
    patient_to_follow: bool,
}

impl From<Held> for Placed {
    fn from(held: Held) -> Self {
        Placed { held, patient_to_follow: false }
    }
}

/// A transaction under way.
struct Work<'a> {
    session: &'a mut Session,
    known: &'a Known,
    write: &'a WriteSteps,
    progress: &'a Progress,
}

impl SqlPractice {
    pub(super) async fn insert_appointment(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        if self.zone.meaning(order.starts) == Meaning::Never {
            return Err(WriteError::Refused(Refusal::TimeDoesNotExist));
        }
        if !(1..=1440).contains(&order.length.0) {
            return Err(WriteError::Refused(Refusal::BadLength));
        }
        let placed = self.writing(&Task::Place(order)).await?;
        if !placed.patient_to_follow {
            return Ok(placed.held);
        }
        // Should the patient not come about, the time is held without a name, which is told as such.
        let appointment = &placed.held.appointment;
        match self.name_held_appointment(appointment, &order.key, &order.patient, None, &order.details).await
        {
            Ok(named) => Ok(named),
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(%appointment, error, "the appointment stands, but its patient could not be written");
                Ok(placed.held)
            }
        }
    }

    pub(super) async fn name_held_appointment(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        patient: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        if appointment.as_str().contains(SERIES_SEPARATOR) {
            return Err(WriteError::Refused(Refusal::Series));
        }
        let naming = Naming { appointment, key, patient, instead_of, details };
        Ok(self.writing(&Task::Name(&naming)).await?.held)
    }

    pub(super) async fn cancel_appointment(&self, held: &Held) -> Result<(), WriteError> {
        if held.appointment.as_str().contains(SERIES_SEPARATOR) {
            return Err(WriteError::Refused(Refusal::Series));
        }
        self.writing(&Task::Cancel(held)).await.map(|_| ())
    }

    async fn name(&self, work: &mut Work<'_>, naming: &Naming<'_>) -> Result<Outcome, Stop> {
        let Work { session, known, write, progress } = work;
        let values = known.probes.clone().with("appointment", Value::Text(naming.appointment.to_string()));
        if let Some(statement) = &write.lock_appointment {
            run(session, statement, &values).await?;
        }
        let standing = match naming.instead_of {
            None => self.read_standing(session, known, naming.appointment).await?,
            // What was confirmed is only changed where it still carries our mark.
            Some(_) => None,
        };
        let standing = match standing.filter(|standing| !standing.is_cancelled()) {
            Some(standing) => standing,
            None => self.find_marked(session, known, naming.key).await?.ok_or(Refusal::BookingUnknown)?,
        };
        // A third patient was given by somebody in the practice, or by this very change before its answer got lost.
        let another = standing.patient.is_some() && standing.patient.as_ref() != naming.instead_of;
        if another || *naming.patient == PatientPlan::Undecided {
            return Ok(Outcome::Unchanged(standing.held().into()));
        }
        if naming.instead_of.is_some() {
            self.may_be_corrected(&standing)?;
        }
        let types = self.read_types(session, known, &self.rules(known)).await?;
        let named = types.iter().find(|t| Some(t.id.as_str()) == standing.appointment_type.as_deref());
        let title = named.map(|named| one_line(&named.name)).unwrap_or_default();
        let resource = ResourceRef::new(standing.resource.clone().unwrap_or_default());
        let mut inner = Work { session, known, write, progress };
        let person = self
            .patient_for(&mut inner, naming.patient, naming.details, &resource, naming.instead_of)
            .await?;
        let values = values
            .with("former", Value::optional_text(standing.patient.as_ref().map(PatientRef::as_str)))
            .with("appointment", Value::Text(standing.id.to_string()))
            .with("patient", Value::optional_text(person.as_ref().map(PatientRef::as_str)))
            .with("title", Value::Text(write.shortened("title", title)))
            .with("now", moment(self.clock.now(), self.zone));
        progress.wrote.store(true, Ordering::Relaxed);
        change(session, &write.name_appointment, &values).await?;
        let read_back = self.read_standing(session, known, &standing.id).await?;
        match read_back.filter(|now| now.patient == person) {
            Some(now) => Ok(Outcome::Written(now.held().into())),
            None => Err(stored_otherwise().into()),
        }
    }

    /// Whether the appointment stands by itself, and the book does not say yet what became of it: of a visit there are
    /// notes, which the practice system would leave with the former patient.
    fn may_be_corrected(&self, standing: &Standing) -> Result<(), Refusal> {
        if standing.repeats {
            return Err(Refusal::Series);
        }
        let nobody_came = matches!(standing.status, AppointmentStatus::Booked | AppointmentStatus::Confirmed);
        if nobody_came { Ok(()) } else { Err(Refusal::AlreadyBegun) }
    }

    async fn withdraw(&self, work: &mut Work<'_>, held: &Held) -> Result<Outcome, Stop> {
        let Work { session, known, write, progress } = work;
        let values = known.probes.clone().with("appointment", Value::Text(held.appointment.to_string()));
        if let Some(statement) = &write.lock_appointment {
            run(session, statement, &values).await?;
        }
        let standing = self.read_standing(session, known, &held.appointment).await?;
        let Some(standing) = standing.filter(|standing| !standing.is_cancelled()) else {
            return Ok(Outcome::Unchanged(held.clone().into()));
        };
        if standing.repeats {
            return Err(Refusal::Series.into());
        }
        if let (Some(ours), Some(there)) = (&held.patient, &standing.patient)
            && ours != there
        {
            return Err(Refusal::Other("the appointment has another patient now".into()).into());
        }
        let values = values
            .with("patient", Value::optional_text(standing.patient.as_ref().map(PatientRef::as_str)))
            .with("now", moment(self.clock.now(), self.zone));
        progress.wrote.store(true, Ordering::Relaxed);
        if change(session, &write.cancel_appointment, &values).await? == 0 {
            progress.wrote.store(false, Ordering::Relaxed);
            return Err(Refusal::AlreadyBegun.into());
        }
        Ok(Outcome::Written(standing.held().into()))
    }

    /// Looks for the appointment that carries the key's mark, cancelled ones left out: first where nearly all are,
    /// then everywhere.
    pub(super) async fn find_marked(
        &self,
        session: &mut Session,
        known: &Known,
        key: &BookingKey,
    ) -> Result<Option<Standing>, Failure> {
        let today = self.zone.today(self.clock.now());
        let recent = today.checked_sub_days(chrono::Days::new(RECENT_DAYS)).unwrap_or(today);
        let found = self.find_marked_within(session, known, key, (recent, END_OF_TIME)).await?;
        if found.is_some() {
            return Ok(found);
        }
        self.find_marked_within(session, known, key, ALL_TIME).await
    }

    /// What stands for an order already, and how the calendar calls its resource. Read before the locks, because inside
    /// the transaction nothing may be read before them.
    async fn look_ahead(&self, order: &AppointmentOrder) -> Result<(Option<Standing>, ResourceRef), Failure> {
        let mut lease = self.lease(Mode::Read).await?;
        let known = self.find_out(&mut lease.session).await?;
        let found = self.find_marked_within(&mut lease.session, &known, &order.key, ALL_TIME).await?;
        let calendar = self.calendar_of(&mut lease.session, &known, &order.resource).await?;
        self.database.give_back(lease);
        Ok((found, calendar))
    }

    pub(super) async fn find_marked_within(
        &self,
        session: &mut Session,
        known: &Known,
        key: &BookingKey,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Option<Standing>, Failure> {
        let values = known
            .probes
            .clone()
            .with("mark", Value::Text(mark_of(key)))
            .with("from", Value::day(from))
            .with("to", Value::day(to));
        let rows = run(session, &self.profile.query.appointment_by_mark, &values).await?;
        Ok(self.standings_in(&rows)?.into_iter().find(|standing| !standing.is_cancelled()))
    }

    pub(super) async fn read_standing(
        &self,
        session: &mut Session,
        known: &Known,
        appointment: &AppointmentRef,
    ) -> Result<Option<Standing>, Failure> {
        let values = known.probes.clone().with("appointment", Value::Text(appointment.to_string()));
        let rows = run(session, &self.profile.query.appointment, &values).await?;
        Ok(self.standings_in(&rows)?.into_iter().next())
    }

    pub(super) fn standings_in(&self, rows: &Rows) -> Result<Vec<Standing>, Failure> {
        let (id, resource) = (rows.required("id")?, rows.required("resource")?);
        let (patient, kind) = (rows.required("patient")?, rows.required("type")?);
        let (day, start) = (rows.required("day")?, rows.required("start_second")?);
        let (length, status) = (rows.required("length_second")?, rows.required("status")?);
        let (repeats, note) = (rows.optional("series"), rows.optional("note"));
        let mut standings = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            standings.push(Standing {
                id: AppointmentRef::new(rows.text_needed(row, id)?),
                resource: Rows::text(row, resource),
                patient: Rows::text(row, patient).map(PatientRef::new),
                appointment_type: Rows::text(row, kind),
                day: rows.day(row, day)?,
                start: rows.integer(row, start)?.unwrap_or(0),
                length: rows.integer(row, length)?.unwrap_or(0),
                status: self.profile.status(Rows::text(row, status).as_deref()),
                repeats: rows.flag(row, repeats)?,
                note: Rows::text(row, note),
            });
        }
        Ok(standings)
    }

    /// The transaction of a booking, from the locks to the row read back.
    async fn place(
        &self,
        work: &mut Work<'_>,
        order: &AppointmentOrder,
        calendar: &ResourceRef,
    ) -> Result<Outcome, Stop> {
        let Work { session, known, write, progress } = work;
        let day = order.starts.day();
        let locking = known
            .probes
            .clone()
            .with("resource", Value::Text(calendar.to_string()))
            .with("day", Value::day(day));
        for statement in &write.lock {
            run(session, statement, &locking).await?;
        }
        let nearby = chrono::Days::new(NEARBY_DAYS);
        let nearby =
            (day.checked_sub_days(nearby).unwrap_or(day), day.checked_add_days(nearby).unwrap_or(day));
        if let Some(standing) = self.find_marked_within(session, known, &order.key, nearby).await? {
            return Ok(Outcome::Unchanged(standing.held().into()));
        }
        let resources = self.read_resources(session, known).await?;
        let resource = resources.iter().find(|resource| resource.id == order.resource);
        let resource = resource.ok_or(Refusal::ResourceUnknown)?;
        if resource.calendar() != calendar {
            return Err(Failure::Misfit("its practitioners changed in this moment".into()).into());
        }
        let rules = self.rules(known);
        let types = types_of(self.read_types(session, known, &rules).await?, &resources);
        let stretches = stretches(order)?;
        let last = stretches.last().map_or(day, |(day, _)| *day);
        let horizon = Horizon { first: day, last };
        let rows = self.read_calendar(session, known, horizon).await?;
        let planned = plan(&rows, &[Calendar::of(resource)], horizon, &rules);
        let chosen = choose_type(order, &types, &planned, &stretches)?;

        // Where nothing can be undone, the time is taken first and named afterwards: a patient without an
        // appointment would be created once more with the next try.
        let patient_to_follow = !progress.can_undo() && matches!(order.patient, PatientPlan::New { .. });
        let patient = if patient_to_follow {
            None
        } else {
            let mut inner = Work { session, known, write, progress };
            self.patient_for(&mut inner, &order.patient, &order.details, calendar, None).await?
        };
        let title = if patient.is_some() { chosen.name.as_str() } else { write.held_title.as_str() };
        let start = seconds_into(order);
        let values = known
            .probes
            .clone()
            .with("resource", Value::Text(calendar.to_string()))
            .with("patient", Value::optional_text(patient.as_ref().map(PatientRef::as_str)))
            .with("type", Value::Text(chosen.id.to_string()))
            .with("title", Value::Text(write.shortened("title", one_line(title))))
            .with("note", Value::Text(write.shortened("note", note(order))))
            .with("day", Value::day(day))
            .with("start_second", Value::Integer(start))
            .with("length_second", Value::Integer(order.length.seconds().0))
            .with("location", location(&planned, order, resource))
            .with("now", moment(self.clock.now(), self.zone));
        progress.wrote.store(true, Ordering::Relaxed);
        change(session, &write.create_appointment, &values).await?;
        let id = new_id(session, &write.new_appointment, &known.probes).await?;
        let read_back = self.find_marked_within(session, known, &order.key, (day, day)).await?;
        let as_ordered = |now: &Standing| {
            now.id.as_str() == id
                && now.resource.as_deref() == Some(calendar.as_str())
                && now.patient == patient
                && now.day == Some(day)
                && (now.start, now.length) == (start, order.length.seconds().0)
        };
        match read_back.filter(as_ordered) {
            Some(standing) => Ok(Outcome::Written(Placed { held: standing.held(), patient_to_follow })),
            None => Err(stored_otherwise().into()),
        }
    }

    /// The patient that the plan names: looked up, created, or none.
    async fn patient_for(
        &self,
        work: &mut Work<'_>,
        plan: &PatientPlan,
        details: &PersonDetails,
        resource: &ResourceRef,
        wrong: Option<&PatientRef>,
    ) -> Result<Option<PatientRef>, Stop> {
        let Work { session, known, write, progress } = work;
        let duplicate_of = match plan {
            PatientPlan::Undecided => return Ok(None),
            PatientPlan::Existing(patient) => {
                let record = self.read_patient(session, known, patient).await?;
                let gone = || Refusal::Other("the patient's record is not there any more".into());
                return Ok(Some(record.ok_or_else(gone)?.id));
            }
            PatientPlan::New { possible_duplicate_of } => possible_duplicate_of,
        };
        if !progress.can_undo()
            && let Some(earlier) =
                self.made_earlier(session, known, details, [duplicate_of.as_ref(), wrong]).await?
        {
            return Ok(Some(earlier));
        }
        let now = moment(self.clock.now(), self.zone);
        let mut values = known.probes.clone();
        values.set("now", now.clone()).set("resource", Value::Text(resource.to_string()));
        self.patient_values(&mut values, details);
        progress.wrote.store(true, Ordering::Relaxed);
        change(session, &write.create_patient, &values).await?;
        let id = new_id(session, &write.new_patient, &known.probes).await?;
        if let (Some(other), Some(remark)) = (duplicate_of, &write.remark) {
            let text = format!(
                "{} This record was made for an online booking; merge the two if they are the same person.",
                duplicate_sentence(other)
            );
            let values = known
                .probes
                .clone()
                .with("patient", Value::Text(id.clone()))
                .with("text", Value::Text(write.shortened("text", text)))
                .with("now", now);
            change(session, remark, &values).await?;
        }
        Ok(Some(PatientRef::new(id)))
    }

    /// The record that an earlier try made. Where nothing can be undone, it is there although that try failed.
    async fn made_earlier(
        &self,
        session: &mut Session,
        known: &Known,
        details: &PersonDetails,
        somebody_else: [Option<&PatientRef>; 2],
    ) -> Result<Option<PatientRef>, Failure> {
        let as_written = |details: &PersonDetails| {
            let mut values = Parameters::default();
            self.patient_values(&mut values, details);
            ["first_name", "last_name", "birth_date", "mobile", "phone", "email"].map(|name| values.get(name))
        };
        // Names alone are no proof: somebody may have looked, and said that this is another person.
        if details.birth_date.reveal().is_none() || matching::phones(details).is_empty() {
            return Ok(None);
        }
        let wanted = as_written(details);
        let found = self.read_patients(session, known, details).await?.records;
        let twin = found.into_iter().find(|record| {
            !somebody_else.contains(&Some(&record.id)) && as_written(&record.details) == wanted
        });
        Ok(twin.map(|record| record.id))
    }

    /// Runs a transaction, again where the server broke it off, and sorts its failure by what may stand.
    async fn writing(&self, task: &Task<'_>) -> Result<Placed, WriteError> {
        let Some(write) = self.profile.write.as_ref().filter(|_| self.write == WriteMode::Sql) else {
            return Err(WriteError::Refused(Refusal::ReadOnly));
        };
        let progress = Progress::default();
        // Half of the settle time is for the server to notice that we are gone and to undo what is open.
        let limit = Duration::from_secs(u64::from(write.settle_seconds.max(2)) / 2);
        match tokio::time::timeout(limit, self.write_in_time(write, &progress, task)).await {
            Ok(result) => result,
            Err(_) => {
                let slow = SqlError::Unreachable("the practice database took too long to write".into());
                Err(progress.failed(Failure::of("write", slow)))
            }
        }
    }

    async fn write_in_time(
        &self,
        write: &WriteSteps,
        progress: &Progress,
        task: &Task<'_>,
    ) -> Result<Placed, WriteError> {
        let failed = |failure| progress.failed(failure);
        // Staff may have moved it to any day, and looking through all of them takes too long for the locks.
        let mut calendar = ResourceRef::new("");
        if let Task::Place(order) = task {
            match self.look_ahead(order).await.map_err(failed)? {
                (Some(standing), _) => return Ok(standing.held().into()),
                (None, whose) => calendar = whose,
            }
        }
        let mut lease = self.lease(Mode::Write).await.map_err(failed)?;
        let session = &mut lease.session;
        let known = self.find_out(session).await.map_err(failed)?;
        if !known.version_supported {
            self.database.give_back(lease);
            return Err(WriteError::Refused(Refusal::ReadOnly));
        }
        let can_undo = can_undo(session, write, &known).await.map_err(failed)?;
        progress.can_undo.store(can_undo, Ordering::Relaxed);
        let mut tries = 1;
        let result = loop {
            session.begin(Mode::Write).await.map_err(|error| failed(Failure::of("begin", error)))?;
            let mut work = Work { session: &mut *session, known: &known, write, progress };
            let outcome = match task {
                Task::Place(order) => self.place(&mut work, order, &calendar).await,
                Task::Name(naming) => self.name(&mut work, naming).await,
                Task::Cancel(held) => self.withdraw(&mut work, held).await,
            };
            if let Ok(Outcome::Written(value)) = outcome {
                progress.committing.store(true, Ordering::Relaxed);
                session.commit().await.map_err(|error| failed(Failure::of("commit", error)))?;
                break Ok(value);
            }
            let undone = session.roll_back().await;
            let stop = match outcome {
                Ok(Outcome::Written(value) | Outcome::Unchanged(value)) => break Ok(value),
                Err(Stop::Refused(refusal)) => break Err(WriteError::Refused(refusal)),
                Err(Stop::Failed(failure)) => failure,
            };
            let broken_off = stop.code().is_some_and(|code| write.retry_errors.contains(&code));
            if undone.is_err() || progress.may_stand() || !broken_off || tries >= MOST_TRIES {
                // The connection is not given back, so that whatever is still open on it ends with it.
                return Err(failed(stop));
            }
            session.release().await.map_err(|error| failed(Failure::of("release", error)))?;
            tries += 1;
        };
        if session.release().await.is_ok() {
            self.database.give_back(lease);
        }
        result
    }

    /// Whether something besides the appointment takes time across the order's. Practice systems write without asking
    /// anybody, so this can be so although the insert found the time free.
    pub(super) async fn read_overlap(
        &self,
        session: &mut Session,
        known: &Known,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, Failure> {
        let Ok(stretches) = stretches(order) else { return Ok(false) };
        let day = order.starts.day();
        let horizon = Horizon { first: day, last: stretches.last().map_or(day, |(day, _)| *day) };
        let name = self.calendar_of(session, known, &order.resource).await?;
        let mut rows = self.read_calendar(session, known, horizon).await?;
        rows.retain(|row| row.id != appointment.as_str());
        let calendar = Calendar { resource: &order.resource, name: &name };
        let planned = plan(&rows, &[calendar], horizon, &self.rules(known));
        let alone = AppointmentOrder { beside: false, ..order.clone() };
        Ok(room(&planned, &alone, &stretches, None) == Room::Taken)
    }
}

async fn can_undo(session: &mut Session, write: &WriteSteps, known: &Known) -> Result<bool, Failure> {
    let Some(statement) = &write.transactional else { return Ok(true) };
    let rows = run(session, statement, &known.probes).await?;
    let column = rows.required("transactional")?;
    match rows.rows.first() {
        Some(row) => Ok(rows.flag(row, column)?),
        None => Ok(false),
    }
}

async fn new_id(
    session: &mut Session,
    statement: &super::statement::Statement,
    values: &Parameters,
) -> Result<String, Failure> {
    let rows = run(session, statement, values).await?;
    let column = rows.required("id")?;
    match rows.rows.first() {
        Some(row) => Ok(rows.text_needed(row, column)?),
        None => Err(stored_otherwise()),
    }
}

fn stored_otherwise() -> Failure {
    Failure::Misfit("the database did not store what was written; a column may be too short".into())
}

fn seconds_into(order: &AppointmentOrder) -> i64 {
    (order.starts.0 - order.starts.day().and_time(chrono::NaiveTime::MIN)).num_seconds()
}

/// The days that the appointment touches, and when on each. It may run past midnight.
pub(in crate::practices) fn stretches(
    order: &AppointmentOrder,
) -> Result<Vec<(NaiveDate, DayRange)>, Refusal> {
    let start = i64::from(order.starts.minute().minutes());
    // A start within a minute ends within one, which is taken as well.
    let spill = i64::from(seconds_into(order) % 60 != 0);
    let end = start + i64::from(order.length.0) + spill;
    let today = DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end));
    let mut stretches = vec![(order.starts.day(), today.ok_or(Refusal::BadLength)?)];
    if let Some(rest) = DayRange::new(MinuteOfDay::START, MinuteOfDay::clamped(end - 1440)) {
        stretches.push((order.starts.day().succ_opt().ok_or(Refusal::BadLength)?, rest));
    }
    Ok(stretches)
}

/// Whether there is room for the order. What a person wants beside something else needs working hours, but no free time.
pub(in crate::practices) fn room(
    planned: &Plan,
    order: &AppointmentOrder,
    stretches: &[(NaiveDate, DayRange)],
    appointment_type: Option<&AppointmentTypeRef>,
) -> Room {
    let rooms: Vec<Room> = stretches
        .iter()
        .map(|(day, range)| match planned.get(&(order.resource.clone(), *day)) {
            Some(planned) => {
                let mut day = planned.book_day();
                if order.beside {
                    day.busy.clear();
                }
                day.room_for(*range, appointment_type)
            }
            None => Room::Closed,
        })
        .collect();
    if rooms.contains(&Room::Taken) {
        Room::Taken
    } else if rooms.contains(&Room::Closed) {
        Room::Closed
    } else {
        Room::Free
    }
}

/// The type asked for, or, where none was, the first that fits: one of the same length, else the first in the
/// practice's own order. Refuses where the time is not free for it.
pub(in crate::practices) fn choose_type<'a>(
    order: &AppointmentOrder,
    types: &'a [AppointmentType],
    planned: &Plan,
    stretches: &[(NaiveDate, DayRange)],
) -> Result<&'a AppointmentType, Refusal> {
    let offered = types.iter().filter(|t| t.resource.as_ref().is_none_or(|only| *only == order.resource));
    let candidates: Vec<&AppointmentType> = match &order.appointment_type {
        Some(wanted) => offered.filter(|t| t.id == *wanted).collect(),
        None => {
            let (same, other): (Vec<_>, Vec<_>) = offered.partition(|t| t.length == order.length);
            same.into_iter().chain(other).collect()
        }
    };
    let mut rooms = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        match room(planned, order, stretches, Some(&candidate.id)) {
            Room::Free => return Ok(candidate),
            other @ (Room::Taken | Room::Closed) => rooms.push(other),
        }
    }
    match rooms.first() {
        None => Err(Refusal::TypeUnknown),
        Some(Room::Taken) => Err(Refusal::SlotTaken),
        Some(Room::Closed | Room::Free) => Err(Refusal::OutsideHours),
    }
}

/// Where the practitioner is at that time, or where they usually are.
fn location(planned: &Plan, order: &AppointmentOrder, resource: &Resource) -> Value {
    let start = order.starts.minute();
    let day = planned.get(&(order.resource.clone(), order.starts.day()));
    let piece = day
        .and_then(|day| day.open.iter().find(|piece| piece.range.start <= start && start < piece.range.end));
    let there = piece.and_then(|piece| piece.location.as_deref());
    Value::optional_text(there.or_else(|| resource.location.as_ref().map(LocationRef::as_str)))
}

/// The mark as it is written and looked for.
pub(in crate::practices) fn mark_of(key: &BookingKey) -> String {
    one_line(&key.mark())
}

pub(in crate::practices) fn duplicate_sentence(of: &PatientRef) -> String {
    format!("Possible duplicate of patient {of}.")
}

/// The mark first, so that no shortening reaches it; then what staff should know; then the patient's words.
/// Square brackets belong to marks alone, lest a patient's words pass for another booking's.
pub(in crate::practices) fn note(order: &AppointmentOrder) -> String {
    let mut note = mark_of(&order.key);
    if let PatientPlan::New { possible_duplicate_of: Some(other) } = &order.patient {
        note.push('\n');
        note.push_str(&duplicate_sentence(other));
    }
    let words = lines(order.note.reveal()).replace('[', "(").replace(']', ")");
    if !words.is_empty() {
        note.push('\n');
        note.push_str(&words);
    }
    note
}
