//! A practice system in memory.

use super::reaper::{HandClock, Reaper};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{AppointmentOrder, BookingKey, Held, Standing, Watched};
use domain::client_snapshot::{ClientSnapshot, SnapshotAppointment, SnapshotAsked};
use domain::consent::in_practice::{Answer, Mapping};
use domain::diary::{
    Appointment, AppointmentStatus, AppointmentType, Book, BookDay, OpenTime, PracticeCard, Resource, Room,
    Writable,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, AppointmentTypeRef, PartnerId, PatientRef, ResourceRef};
use domain::people::{PatientPlan, PatientRecord, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::documents::{DocumentInbox, DocumentSource};
use domain::ports::practice::{Candidates, PracticeSystem};
use domain::ports::records::InvoiceBook;
use domain::records::LocalInvoice;
use domain::time::{DayRange, Horizon, MinuteOfDay, Minutes, PracticeTime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How much a practice system does of what makes an insert safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Finds the key of an insert that was made already, and refuses time that is taken.
    KnowsKeys,
    /// Refuses time that is taken, but knows no keys.
    KnowsTimes,
    /// Writes whatever it is told.
    Blind,
}

/// An appointment as it stands in the book.
#[derive(Clone, Debug)]
pub struct Stands {
    pub appointment: Appointment,
    pub key: Option<BookingKey>,
}

impl Stands {
    pub fn active(&self) -> bool {
        self.appointment.status != AppointmentStatus::Cancelled
    }
}

/// What the clinic's own database holds.
pub struct Diary {
    pub care: Care,
    pub resources: Vec<Resource>,
    pub types: Vec<AppointmentType>,
    pub opens: DayRange,
    pub appointments: Vec<Stands>,
    pub patients: Vec<PatientRecord>,
    /// The invoices, where the system tells of them.
    pub invoices: Option<Vec<LocalInvoice>>,
    /// How many appointments were ever written.
    pub written: usize,
    /// Patients that inserts and namings created, with what they may be a duplicate of.
    pub created: Vec<(PatientRef, Option<PatientRef>)>,
    /// Inserts that will happen later.
    pub late: Vec<(DateTime<Utc>, AppointmentOrder)>,
    /// Whether an insert was late at any time.
    pub was_late: bool,
    /// Rises with every change.
    pub version: u64,
    pub settle_seconds: u32,
    /// A deliberate mistake: the key of an insert cannot be found again.
    pub loses_keys: bool,
    pub refuses_cancelling: Option<Refusal>,
    pub refuses_correcting: Option<Refusal>,
    /// Taken time is refused even by a practice system that otherwise writes whatever it is told.
    pub refuses_taken_time: bool,
    /// Inserts have no effect, and nobody can tell.
    pub swallows_inserts: bool,
    /// Inserts are answered with this while it is set; reading works.
    pub refuses_inserting: Option<fn() -> WriteError>,
    /// Looking for overlaps fails; everything else works.
    pub refuses_looking_for_overlaps: bool,
    /// Answers with this error while it is set.
    pub fails: Option<fn() -> ReadError>,
    /// The next pass that reads the book panics.
    pub panics_once: bool,
    /// Whether it can tell what a day with its patients needs.
    pub serves_snapshots: bool,
    /// This day cannot be read for a partner.
    pub garbles: Option<NaiveDate>,
    /// Every book that was read.
    pub books_read: usize,
    /// How often every row was searched for a person.
    pub searches: usize,
    /// Cannot tell whether anybody's record changed.
    pub forgets_changes: bool,
    /// The consents that it holds; none where it holds none.
    pub consents: Option<super::consents_held::Held>,
    pub shelf: super::documents::Shelf,
    pub violations: Vec<String>,
}

pub fn resource(id: &str) -> Resource {
    Resource {
        id: ResourceRef::new(id),
        name: format!("Room {id}"),
        title: None,
        first_name: None,
        last_name: None,
        specialty: None,
        location: None,
        practitioner: None,
    }
}

pub fn appointment_type(id: &str) -> AppointmentType {
    AppointmentType {
        id: AppointmentTypeRef::new(id),
        name: format!("Type {id}"),
        length: Minutes(15),
        resource: None,
    }
}

pub fn range(start: i64, end: i64) -> DayRange {
    DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end)).unwrap()
}

impl Diary {
    pub fn new() -> Self {
        Self {
            care: Care::KnowsKeys,
            resources: vec![resource("r1"), resource("r2")],
            types: vec![appointment_type("t1")],
            opens: range(540, 1020),
            appointments: Vec::new(),
            patients: Vec::new(),
            invoices: None,
            written: 0,
            created: Vec::new(),
            late: Vec::new(),
            was_late: false,
            version: 0,
            settle_seconds: 45,
            loses_keys: false,
            refuses_cancelling: None,
            refuses_correcting: None,
            refuses_taken_time: false,
            swallows_inserts: false,
            refuses_inserting: None,
            refuses_looking_for_overlaps: false,
            fails: None,
            panics_once: false,
            serves_snapshots: false,
            garbles: None,
            books_read: 0,
            searches: 0,
            forgets_changes: false,
            consents: None,
            shelf: super::documents::Shelf::default(),
            violations: Vec::new(),
        }
    }

    fn appointments_of(&self, asked: SnapshotAsked) -> Vec<SnapshotAppointment> {
        let of_the_day = |stands: &&Stands| stands.appointment.starts.day() == asked.day;
        let told = |stands: &Stands| {
            let Appointment { id, resource, patient, starts, length, status, .. } =
                stands.appointment.clone();
            let appointment_type = AppointmentTypeRef::new("t1");
            Some(SnapshotAppointment {
                id,
                patient: patient?,
                practitioner: resource,
                appointment_type,
                created: starts,
                starts,
                length,
                status,
            })
        };
        self.appointments.iter().filter(of_the_day).filter_map(told).collect()
    }

    /// Writes an appointment as somebody at the desk does, without any key.
    pub fn enter(&mut self, resource: &str, starts: PracticeTime, patient: &str) -> AppointmentRef {
        self.put(None, &ResourceRef::new(resource), starts, Minutes(15), Some(PatientRef::new(patient)))
    }

    fn put(
        &mut self,
        key: Option<BookingKey>,
        resource: &ResourceRef,
        starts: PracticeTime,
        length: Minutes,
        patient: Option<PatientRef>,
    ) -> AppointmentRef {
        self.version += 1;
        self.written += 1;
        let id = AppointmentRef::new(format!("a{}", self.written));
        let appointment = Appointment {
            id: id.clone(),
            resource: resource.clone(),
            patient,
            appointment_type: None,
            starts,
            length,
            status: AppointmentStatus::Booked,
            changed: None,
        };
        self.appointments.push(Stands { appointment, key });
        id
    }

    pub fn cancel_all_of(&mut self, starts: PracticeTime) {
        self.version += 1;
        for stands in self.appointments.iter_mut().filter(|stands| stands.appointment.starts == starts) {
            stands.appointment.status = AppointmentStatus::Cancelled;
        }
    }

    /// Staff change an appointment; none that is there.
    pub fn change(&mut self, starts: PracticeTime, change: impl Fn(&mut Appointment)) {
        self.version += 1;
        for stands in self.appointments.iter_mut().filter(|stands| stands.appointment.starts == starts) {
            change(&mut stands.appointment);
        }
    }

    /// Staff take appointments out of the book.
    pub fn delete(&mut self, gone: impl Fn(&Appointment) -> bool) {
        self.version += 1;
        self.appointments.retain(|stands| !gone(&stands.appointment));
    }

    fn standing(&self, watched: &Watched) -> Standing {
        let found = self.appointments.iter().find(|stands| {
            stands.appointment.id == watched.appointment
                && stands.key.as_ref().is_none_or(|key| *key == watched.key)
        });
        match found.map(|stands| &stands.appointment) {
            None => Standing::Gone,
            Some(appointment) if appointment.status == AppointmentStatus::Cancelled => Standing::Cancelled,
            Some(appointment) if appointment.status == AppointmentStatus::DidNotAttend => {
                Standing::DidNotAttend
            }
            Some(appointment) => Standing::Stands {
                appointment: appointment.id.clone(),
                resource: Some(appointment.resource.clone()),
                starts: Some(appointment.starts),
                patient: appointment.patient.clone(),
            },
        }
    }

    pub fn active_at(&self, starts: PracticeTime) -> Vec<&Stands> {
        self.appointments
            .iter()
            .filter(|stands| stands.active() && stands.appointment.starts == starts)
            .collect()
    }

    fn held(stands: &Stands) -> Held {
        Held { appointment: stands.appointment.id.clone(), patient: stands.appointment.patient.clone() }
    }

    fn by_key(&self, key: &BookingKey) -> Option<&Stands> {
        self.appointments.iter().find(|stands| stands.active() && stands.key.as_ref() == Some(key))
    }

    fn day(&self, resource: &ResourceRef, day: NaiveDate) -> BookDay {
        let busy = self
            .appointments
            .iter()
            .filter(|stands| stands.active() && stands.appointment.resource == *resource)
            .filter(|stands| stands.appointment.starts.day() == day)
            .filter_map(|stands| stands.appointment.starts.range(stands.appointment.length))
            .collect();
        BookDay { open: vec![OpenTime { range: self.opens, only_types: Vec::new() }], busy }
    }

    pub fn book(&self, horizon: Horizon) -> Book {
        let days: BTreeMap<_, _> = horizon
            .days()
            .flat_map(|day| self.resources.iter().map(move |resource| (resource.id.clone(), day)))
            .map(|(resource, day)| ((resource.clone(), day), self.day(&resource, day)))
            .collect();
        Book {
            horizon,
            slot: Minutes(15),
            locations: Vec::new(),
            resources: self.resources.clone(),
            appointment_types: self.types.clone(),
            days,
            appointments: self.appointments.iter().map(|stands| stands.appointment.clone()).collect(),
        }
    }

    fn patient_for(&mut self, plan: &PatientPlan, details: &PersonDetails) -> Option<PatientRef> {
        match plan {
            PatientPlan::Existing(patient) => Some(patient.clone()),
            PatientPlan::New { possible_duplicate_of } => {
                let id = PatientRef::new(format!("p{}", self.patients.len() + 1));
                self.patients.push(PatientRecord {
                    id: id.clone(),
                    shown_number: None,
                    details: details.clone(),
                    deceased: false,
                    inactive: false,
                    merged_into: None,
                });
                self.created.push((id.clone(), possible_duplicate_of.clone()));
                Some(id)
            }
            PatientPlan::Undecided => None,
        }
    }

    pub fn insert(&mut self, order: &AppointmentOrder) -> Result<Held, Refusal> {
        if self.care == Care::KnowsKeys
            && let Some(stands) = self.by_key(&order.key)
        {
            return Ok(Self::held(stands));
        }
        if !self.resources.iter().any(|known| known.id == order.resource) {
            return Err(Refusal::ResourceUnknown);
        }
        if self.care != Care::Blind || self.refuses_taken_time {
            let wanted = order.starts.range(order.length).ok_or(Refusal::BadLength)?;
            let mut day = self.day(&order.resource, order.starts.day());
            if order.beside {
                day.busy.clear();
            }
            match day.room_for(wanted, None) {
                Room::Free => {}
                Room::Taken => return Err(Refusal::SlotTaken),
                Room::Closed => return Err(Refusal::OutsideHours),
            }
        }
        if self.by_key(&order.key).is_some() {
            self.violations.push(format!("{} was inserted again while it stood", order.key.booking));
        }
        let patient = self.patient_for(&order.patient, &order.details);
        let appointment =
            self.put(Some(order.key.clone()), &order.resource, order.starts, order.length, patient.clone());
        Ok(Held { appointment, patient })
    }

    /// Lets the inserts happen whose time has come.
    pub fn catch_up(&mut self, now: DateTime<Utc>) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        let due: Vec<(DateTime<Utc>, AppointmentOrder)> = due;
        for (_, order) in due {
            let _ = self.insert(&order);
        }
    }

    fn name(
        &mut self,
        appointment: &AppointmentRef,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, Refusal> {
        if let Some(why) = self.refuses_correcting.clone().filter(|_| instead_of.is_some()) {
            return Err(why);
        }
        let position = self
            .appointments
            .iter()
            .position(|stands| stands.appointment.id == *appointment && stands.active())
            .ok_or(Refusal::BookingUnknown)?;
        if self.appointments[position].appointment.patient.as_ref() == instead_of {
            let patient = self.patient_for(plan, details);
            self.appointments[position].appointment.patient = patient;
            self.version += 1;
        }
        Ok(Self::held(&self.appointments[position]))
    }

    fn cancel(&mut self, appointment: &AppointmentRef) -> Result<(), Refusal> {
        if let Some(why) = &self.refuses_cancelling {
            return Err(why.clone());
        }
        self.version += 1;
        for stands in self.appointments.iter_mut().filter(|stands| stands.appointment.id == *appointment) {
            stands.appointment.status = AppointmentStatus::Cancelled;
        }
        Ok(())
    }
}

/// How this program reaches the diary.
#[derive(Clone)]
pub struct FakePractice {
    pub diary: Arc<Mutex<Diary>>,
    pub clock: HandClock,
    pub reaper: Arc<Reaper>,
    /// Nothing answers while this is false.
    pub answers: Arc<watch::Sender<bool>>,
}

/// How long after its answer was lost a late insert happens; within the settle time.
const LATE_BY: TimeDelta = TimeDelta::seconds(40);

impl FakePractice {
    pub fn new(clock: &HandClock, reaper: &Arc<Reaper>) -> Self {
        Self {
            diary: Arc::new(Mutex::new(Diary::new())),
            clock: clock.clone(),
            reaper: reaper.clone(),
            answers: Arc::new(watch::Sender::new(true)),
        }
    }

    pub fn diary<T>(&self, use_it: impl FnOnce(&mut Diary) -> T) -> T {
        use_it(&mut self.diary.lock().unwrap())
    }

    async fn ask<T: Send>(&self, use_it: impl FnOnce(&mut Diary) -> T + Send) -> Result<T, ReadError> {
        let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
        if let Some(fails) = self.diary(|diary| diary.fails) {
            return Err(fails());
        }
        Ok(self.reaper.touch(|| self.diary(use_it)).await?)
    }

    async fn tell<T: Send>(
        &self,
        use_it: impl FnOnce(&mut Diary) -> Result<T, Refusal> + Send,
    ) -> Result<T, WriteError> {
        let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
        if let Some(fails) = self.diary(|diary| diary.fails) {
            return Err(WriteError::Untouched(fails()));
        }
        self.reaper.touch(|| self.diary(use_it)).await?.map_err(WriteError::Refused)
    }
}

#[async_trait]
impl InvoiceBook for FakePractice {
    async fn invoices(&self, after: Option<&str>, limit: u32) -> Result<Vec<LocalInvoice>, ReadError> {
        self.ask(|diary| {
            let mut invoices = diary.invoices.clone().unwrap_or_default();
            invoices.sort_by(|one, other| one.id.cmp(&other.id));
            invoices.retain(|invoice| after.is_none_or(|after| invoice.id.as_str() > after));
            invoices.truncate(usize::try_from(limit).unwrap());
            invoices
        })
        .await
    }
}

#[async_trait]
impl PracticeSystem for FakePractice {
    fn serves_snapshots(&self) -> bool {
        self.diary(|diary| diary.serves_snapshots)
    }

    async fn client_snapshot(&self, asked: SnapshotAsked) -> Result<ClientSnapshot, ReadError> {
        if self.diary(|diary| diary.garbles == Some(asked.day)) {
            return Err(ReadError::Garbled("half a row".into()));
        }
        self.ask(|diary| ClientSnapshot {
            asked,
            locations: Vec::new(),
            practitioners: Vec::new(),
            appointment_types: Vec::new(),
            appointments: diary.appointments_of(asked),
            patients: Vec::new(),
        })
        .await
    }

    async fn check(&self) -> Result<PracticeCard, ReadError> {
        self.ask(|diary| PracticeCard {
            system: "In memory".into(),
            resources: diary.resources.len(),
            locations: 0,
            patients: 0,
            next_appointment: None,
            writable: Writable::Yes,
            settle_seconds: diary.settle_seconds,
        })
        .await
    }

    async fn stamp(&self, horizon: Horizon) -> Result<String, ReadError> {
        self.ask(|diary| format!("{}/{horizon:?}", diary.version)).await
    }

    async fn book(&self, horizon: Horizon) -> Result<Book, ReadError> {
        if self.diary(|diary| std::mem::take(&mut diary.panics_once)) {
            panic!("a pass that panics on purpose");
        }
        self.ask(|diary| {
            diary.books_read += 1;
            diary.book(horizon)
        })
        .await
    }

    async fn find_patients(&self, _: &PersonDetails) -> Result<Candidates, ReadError> {
        self.ask(|diary| {
            diary.searches += 1;
            Candidates { records: diary.patients.clone(), complete: true }
        })
        .await
    }

    async fn people_stamp(&self) -> Result<Option<String>, ReadError> {
        self.ask(|diary| {
            (!diary.forgets_changes).then(|| format!("{}/{}", diary.version, diary.patients.len()))
        })
        .await
    }

    async fn people(&self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<PatientRecord>, ReadError> {
        self.ask(|diary| {
            let mut behind: Vec<PatientRecord> = diary
                .patients
                .iter()
                .filter(|record| after.is_none_or(|after| record.id > *after))
                .cloned()
                .collect();
            behind.sort_by(|one, other| one.id.cmp(&other.id));
            behind.truncate(usize::try_from(limit).unwrap());
            behind
        })
        .await
    }

    fn consents_held(&self) -> Vec<Mapping> {
        self.diary(|diary| diary.consents.iter().map(|held| held.mapping.clone()).collect())
    }

    async fn consents_stamp(&self, _: &PartnerId) -> Result<Option<String>, ReadError> {
        self.ask(|diary| diary.consents.as_ref().and_then(|held| held.stamp())).await
    }

    async fn consents(
        &self,
        _: &PartnerId,
        after: Option<&PatientRef>,
        limit: u32,
    ) -> Result<Vec<Answer>, ReadError> {
        self.ask(|diary| diary.consents.as_mut().unwrap().page(after, limit)).await?
    }

    async fn patients(&self, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError> {
        self.ask(|diary| {
            diary.patients.iter().filter(|record| patients.contains(&record.id)).cloned().collect()
        })
        .await
    }

    async fn patient(&self, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError> {
        self.ask(|diary| diary.patients.iter().find(|record| record.id == *patient).cloned()).await
    }

    async fn appointments_with_patients(
        &self,
        resource: &ResourceRef,
        day: NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, ReadError> {
        self.ask(|diary| {
            let there = diary.appointments.iter().map(|stands| &stands.appointment);
            there
                .filter(|appointment| appointment.resource == *resource && appointment.starts.day() == day)
                .map(|appointment| {
                    let record = diary.patients.iter().find(|p| Some(&p.id) == appointment.patient.as_ref());
                    (appointment.clone(), record.cloned())
                })
                .collect()
        })
        .await
    }

    async fn insert(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
        if let Some(fails) = self.diary(|diary| diary.fails) {
            return Err(WriteError::Untouched(fails()));
        }
        if let Some(refuses) = self.diary(|diary| diary.refuses_inserting) {
            return Err(refuses());
        }
        if self.diary(|diary| diary.swallows_inserts) {
            return Err(WriteError::Unknown(ReadError::Unreachable("swallowed".into())));
        }
        let late = || {
            let at = self.clock.now() + LATE_BY;
            self.diary(|diary| {
                diary.late.push((at, order.clone()));
                diary.was_late = true;
            });
        };
        let inserted =
            self.reaper.touch_or_late(|| self.diary(|diary| diary.insert(order)), Some(late)).await?;
        inserted.map_err(WriteError::Refused)
    }

    async fn overlapped(
        &self,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, ReadError> {
        if self.diary(|diary| diary.refuses_looking_for_overlaps) {
            return Err(ReadError::Unreachable("out".into()));
        }
        self.ask(|diary| {
            let wanted = order.starts.range(order.length);
            diary.appointments.iter().any(|stands| {
                let other = &stands.appointment;
                let at_once =
                    other.starts.range(other.length).zip(wanted).is_some_and(|(a, b)| a.overlaps(b));
                stands.active()
                    && other.id != *appointment
                    && other.resource == order.resource
                    && other.starts.day() == order.starts.day()
                    && at_once
            })
        })
        .await
    }

    async fn find(&self, key: &BookingKey) -> Result<Option<Held>, ReadError> {
        self.ask(|diary| if diary.loses_keys { None } else { diary.by_key(key).map(Diary::held) }).await
    }

    async fn standings(&self, watched: &[Watched]) -> Result<Vec<Standing>, ReadError> {
        self.ask(|diary| watched.iter().map(|one| diary.standing(one)).collect()).await
    }

    async fn name_patient(
        &self,
        appointment: &AppointmentRef,
        _: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        self.tell(|diary| diary.name(appointment, plan, instead_of, details)).await
    }

    async fn cancel(&self, held: &Held) -> Result<(), WriteError> {
        self.tell(|diary| diary.cancel(&held.appointment)).await
    }

    fn document_inbox(&self) -> Option<&dyn DocumentInbox> {
        self.diary(|diary| diary.shelf.has_folder).then_some(self as &dyn DocumentInbox)
    }

    fn document_source(&self) -> Option<&dyn DocumentSource> {
        self.diary(|diary| diary.shelf.gives_out).then_some(self as &dyn DocumentSource)
    }

    fn invoice_book(&self) -> Option<&dyn InvoiceBook> {
        self.diary(|diary| diary.invoices.is_some()).then_some(self as &dyn InvoiceBook)
    }

    async fn add_to_note(
        &self,
        appointment: &AppointmentRef,
        mark: &str,
        line: &str,
    ) -> Result<(), WriteError> {
        self.tell(|diary| diary.shelf.note(appointment, mark, line)).await
    }
}
