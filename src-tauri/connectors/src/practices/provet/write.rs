//! Writing bookings. Nothing can be undone and there is no transaction, so that each step is looked for before it is
//! done: the appointment by its mark, the person by the mark in their remarks, a phone number by its digits.
//!
//! The time is taken first and named afterwards: a person without an appointment helps nobody, and somebody else could
//! take the time meanwhile.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{AppointmentOrder, BookingKey, Held};
use domain::diary::AppointmentStatus;
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, PatientRef};
use domain::people::{PatientPlan, PersonDetails};
use domain::settings::WriteMode;
use domain::time::{Horizon, Meaning};
use serde_json::{Value, json};

use super::client::{Client, Resource, Spending, number};
use super::copy::{Contents, Wanted};
use super::{Provet, SETTLE_SECONDS, held, people, translate, wire};
use crate::http::Answered;
use crate::practices::sql::{
    choose_type, duplicate_sentence, mark_of, note, one_line, room, stretches, types_of,
};

/// An appointment that was booked online (sheet §5, `type`).
const ONLINE_BOOKING: u64 = 2;
/// The kind of phone number that Provet itself uses (sheet §5, seen).
const PHONE_TYPE: u64 = 1;

/// What became of something that was sent.
type Sent<T> = Result<Answered<T, Value>, WriteError>;

/// Whether anything that cannot be undone was sent.
#[derive(Default)]
struct Progress(AtomicBool);

impl Progress {
    fn begun(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Sends something. From then on it may have been done, also where nobody waits for the end, until it is known that it
    /// was not.
    async fn send<T>(&self, sending: impl Future<Output = Sent<T>>) -> Sent<T> {
        let before = self.0.swap(true, Ordering::Relaxed);
        let ended = sending.await;
        match &ended {
            Ok(Answered::Done(_)) | Err(WriteError::Unknown(_)) => {}
            Ok(Answered::Refused(_)) | Err(WriteError::Refused(_) | WriteError::Untouched(_)) => {
                self.0.store(before, Ordering::Relaxed);
            }
        }
        ended
    }

    fn failed(&self, error: ReadError) -> WriteError {
        if self.0.load(Ordering::Relaxed) { WriteError::Unknown(error) } else { WriteError::Untouched(error) }
    }

    /// What was written before stands, whatever is known of the last step.
    fn stopped(&self, error: WriteError) -> WriteError {
        match error {
            WriteError::Untouched(beneath) => self.failed(beneath),
            WriteError::Refused(_) | WriteError::Unknown(_) => error,
        }
    }
}

/// An appointment that stands, and whose it becomes.
struct Naming<'a> {
    appointment: &'a AppointmentRef,
    key: &'a BookingKey,
    plan: &'a PatientPlan,
    instead_of: Option<&'a PatientRef>,
    details: &'a PersonDetails,
}

impl Provet {
    pub(super) async fn insert_appointment(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        if self.shape.zone.meaning(order.starts) == Meaning::Never {
            return Err(WriteError::Refused(Refusal::TimeDoesNotExist));
        }
        if !(1..=1440).contains(&order.length.0) {
            return Err(WriteError::Refused(Refusal::BadLength));
        }
        let placed = self.in_time(async |progress| self.place(progress, order).await).await?;
        if placed.patient.is_some() || !matches!(order.patient, PatientPlan::New { .. }) {
            return Ok(placed);
        }
        let naming = Naming {
            appointment: &placed.appointment,
            key: &order.key,
            plan: &order.patient,
            instead_of: None,
            details: &order.details,
        };
        // Should the person not come about, the time is held without a name, which is told as such.
        match self.in_time(async |progress| self.name(progress, &naming).await).await {
            Ok(named) => Ok(named),
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                let appointment = &placed.appointment;
                tracing::warn!(%appointment, error, "the appointment stands, but its client could not be written");
                Ok(placed)
            }
        }
    }

    pub(super) async fn name_appointment(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        let naming = Naming { appointment, key, plan, instead_of, details };
        self.in_time(async |progress| self.name(progress, &naming).await).await
    }

    pub(super) async fn cancel_appointment(&self, held: &Held) -> Result<(), WriteError> {
        self.in_time(async |progress| self.withdraw(progress, held).await).await
    }

    /// Writes, one at a time, within half of the settle time.
    async fn in_time<T>(
        &self,
        work: impl AsyncFnOnce(&Progress) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        if self.write != WriteMode::Api {
            return Err(WriteError::Refused(Refusal::ReadOnly));
        }
        let progress = Progress::default();
        let limit = Duration::from_secs(u64::from(SETTLE_SECONDS) / 2);
        let working = async {
            let _alone = self.writing.lock().await;
            work(&progress).await.map_err(|error| progress.stopped(error))
        };
        match tokio::time::timeout(limit, working).await {
            Ok(result) => result,
            Err(_) => {
                Err(progress.failed(ReadError::Unreachable("Provet Cloud took too long to write".into())))
            }
        }
    }

    async fn place(&self, progress: &Progress, order: &AppointmentOrder) -> Result<Held, WriteError> {
        let refused = |refusal| Err(WriteError::Refused(refusal));
        let stretches = stretches(order).map_err(WriteError::Refused)?;
        let day = order.starts.day();
        let horizon = Horizon { first: day, last: stretches.last().map_or(day, |(day, _)| *day) };
        let (mut contents, _) = self.contents(horizon, Wanted::Now).await.map_err(WriteError::Untouched)?;
        if let Some(standing) = Self::marked(&contents, &order.key) {
            return Ok(held(standing));
        }
        if self.look_at_what_stands_there(&contents, order).await.map_err(WriteError::Untouched)? {
            contents = self.copy.lock().await.contents();
        }
        let resources = translate::resources(&contents, &self.shape);
        let Some(resource) = resources.iter().find(|resource| resource.id == order.resource) else {
            return refused(Refusal::ResourceUnknown);
        };
        let Some(user) = number(resource.id.as_str()) else { return refused(Refusal::ResourceUnknown) };
        let types = types_of(translate::types(&contents), &resources);
        let planned = translate::planned(&contents, &self.shape, &resource.id, horizon, None);
        let chosen = choose_type(order, &types, &planned, &stretches).map_err(WriteError::Refused)?;
        let Some(reason) = number(chosen.id.as_str()) else { return refused(Refusal::TypeUnknown) };
        let at = (day, order.starts.minute());
        let department = translate::department(&contents, &self.shape, &planned, resource, at);
        let Some(department) = department else {
            return refused(Refusal::Other("Provet Cloud has no department for it".into()));
        };
        let person = match &order.patient {
            PatientPlan::Existing(patient) => Some(self.standing_client(patient).await?),
            PatientPlan::New { .. } | PatientPlan::Undecided => None,
        };
        let patients = match &person {
            Some(person) => Some(self.animals_of(person).await.map_err(WriteError::Untouched)?),
            None => None,
        };
        let starts = self.shape.zone.instant(order.starts);
        let ends = starts + TimeDelta::minutes(i64::from(order.length.0));
        let address = |what, id| self.client.address(what, id);
        let wanted = wire::NewAppointment {
            start: translate::with_offset(starts, self.shape.zone),
            end: translate::with_offset(ends, self.shape.zone),
            title: one_line(&chosen.name),
            kind: ONLINE_BOOKING,
            department: address(Resource::Department, department),
            user: address(Resource::User, user),
            reason: address(Resource::Reason, reason),
            client: person.as_ref().map(|person| address(Resource::Client, person.id)),
            patients,
            complaint: translate::complaint(order),
            notes: note(order),
        };
        let sending = self.client.create::<wire::Appointment>(Resource::Appointment, &wanted);
        let made = match progress.send(sending).await? {
            Answered::Done(made) => made,
            Answered::Refused(said) => return Err(self.refused(order, &said).await),
        };
        let as_ordered = made.start == starts
            && made.end == ends
            && made.user.map(|made| made.0) == Some(user)
            && made.notes.contains(&mark_of(&order.key));
        let now = self.client.now();
        let placed = held(&made);
        self.wrote(made, now).await;
        if as_ordered {
            return Ok(placed);
        }
        // It is found by its mark, and where staff see it is told as a move.
        Err(WriteError::Unknown(ReadError::Misfit("it stored another time than it was given".into())))
    }

    /// Asks by their numbers for those that stand in the way: what is deleted leaves no trace in a list of changes.
    /// Returns whether anything was gone.
    async fn look_at_what_stands_there(
        &self,
        contents: &Contents,
        order: &AppointmentOrder,
    ) -> Result<bool, ReadError> {
        let starts = self.shape.zone.instant(order.starts);
        let ends = starts + TimeDelta::minutes(i64::from(order.length.0));
        let user = number(order.resource.as_str());
        let in_the_way = contents.appointments.values().filter(|there| {
            let mut users = there.user.iter().chain(&there.additional_users);
            there.start < ends
                && starts < there.end
                && translate::status(there) != AppointmentStatus::Cancelled
                && users.any(|theirs| Some(theirs.0) == user)
        });
        let mut any_gone = false;
        for there in in_the_way {
            let now = self.client.now();
            if self.client.get::<wire::Appointment>(Resource::Appointment, there.id).await?.is_none() {
                self.copy.lock().await.heard_gone(there.id, now);
                any_gone = true;
            }
        }
        Ok(any_gone)
    }

    /// Why an appointment was refused. Provet has one word for a time that is taken, in whatever language it speaks, so
    /// that the book is looked at as well.
    async fn refused(&self, order: &AppointmentOrder, said: &Value) -> WriteError {
        let Ok(stretches) = stretches(order) else { return WriteError::Refused(Refusal::BadLength) };
        let horizon = Horizon {
            first: order.starts.day(),
            last: stretches.last().map_or(order.starts.day(), |(day, _)| *day),
        };
        // A look that does not work leaves Provet's own words.
        let taken = match self.contents(horizon, Wanted::Now).await {
            Ok((contents, _)) => {
                let planned = translate::planned(&contents, &self.shape, &order.resource, horizon, None);
                let alone = AppointmentOrder { beside: false, ..order.clone() };
                room(&planned, &alone, &stretches, None) == domain::diary::Room::Taken
            }
            Err(_) => false,
        };
        WriteError::Refused(if taken || is_conflict(said) { Refusal::SlotTaken } else { in_words(said) })
    }

    async fn name(&self, progress: &Progress, naming: &Naming<'_>) -> Result<Held, WriteError> {
        let (contents, _) =
            self.contents(self.on(self.today()), Wanted::Now).await.map_err(WriteError::Untouched)?;
        let id = number(naming.appointment.as_str());
        let by_number = match (id, naming.instead_of) {
            // What was confirmed is only changed where it still carries our mark.
            (Some(id), None) => self
                .client
                .get::<wire::Appointment>(Resource::Appointment, id)
                .await
                .map_err(WriteError::Untouched)?,
            (Some(_) | None, _) => None,
        };
        let standing = by_number
            .filter(|standing| translate::status(standing) != AppointmentStatus::Cancelled)
            .or_else(|| Self::marked(&contents, naming.key).cloned())
            .ok_or(WriteError::Refused(Refusal::BookingUnknown))?;
        let patient = translate::patient_of(&standing);
        // A third patient was given by somebody in the practice, or by this very change before its answer got lost.
        let another = patient.is_some() && patient.as_ref() != naming.instead_of;
        if another || *naming.plan == PatientPlan::Undecided {
            return Ok(held(&standing));
        }
        // Of a visit there are notes, which Provet would leave with the former client.
        if naming.instead_of.is_some() && standing.consultation.is_some() {
            return Err(WriteError::Refused(Refusal::AlreadyBegun));
        }
        let person = match naming.plan {
            PatientPlan::Existing(patient) => self.standing_client(patient).await?,
            PatientPlan::New { possible_duplicate_of } => {
                let others = [possible_duplicate_of.as_ref(), naming.instead_of];
                self.new_client(progress, naming.key, naming.details, others).await?
            }
            PatientPlan::Undecided => return Ok(held(&standing)),
        };
        let patients = self.animals_of(&person).await.map_err(WriteError::Untouched)?;
        let body = wire::Naming { client: self.client.address(Resource::Client, person.id), patients };
        let sending = self.client.amend::<wire::Appointment>(Resource::Appointment, standing.id, &body);
        let named = match progress.send(sending).await? {
            Answered::Done(named) => named,
            Answered::Refused(said) => return Err(WriteError::Refused(in_words(&said))),
        };
        let is_theirs = named.client.map(|client| client.0) == Some(person.id);
        let result = held(&named);
        let now = self.client.now();
        self.wrote(named, now).await;
        if is_theirs {
            return Ok(result);
        }
        Err(WriteError::Unknown(ReadError::Misfit("it stored another client than it was given".into())))
    }

    async fn withdraw(&self, progress: &Progress, ours: &Held) -> Result<(), WriteError> {
        let Some(id) = number(ours.appointment.as_str()) else { return Ok(()) };
        let standing = self.client.get::<wire::Appointment>(Resource::Appointment, id).await;
        let now = self.client.now();
        let Some(standing) = standing.map_err(WriteError::Untouched)? else {
            self.copy.lock().await.heard_gone(id, now);
            return Ok(());
        };
        if translate::status(&standing) == AppointmentStatus::Cancelled {
            self.copy.lock().await.heard_of(standing, now);
            return Ok(());
        }
        if let (Some(ours), Some(there)) = (&ours.patient, translate::patient_of(&standing))
            && *ours != there
        {
            return Err(WriteError::Refused(Refusal::Other(
                "the appointment has another patient now".into(),
            )));
        }
        self.may_still_change(&standing)?;
        let cancelled = json!({"active": 0});
        let sending = self.client.amend::<wire::Appointment>(Resource::Appointment, id, &cancelled);
        match progress.send(sending).await? {
            Answered::Done(cancelled) => {
                let done = translate::status(&cancelled) == AppointmentStatus::Cancelled;
                self.wrote(cancelled, now).await;
                let stands = || ReadError::Misfit("it did not cancel the appointment".into());
                if done { Ok(()) } else { Err(WriteError::Unknown(stands())) }
            }
            Answered::Refused(said) => Err(WriteError::Refused(in_words(&said))),
        }
    }

    /// Takes in what we wrote, which comes back as news and is none.
    async fn wrote(&self, appointment: wire::Appointment, now: DateTime<Utc>) {
        self.hints.wrote(appointment.id, now);
        self.copy.lock().await.heard_of(appointment, now);
    }

    /// Whether it is still to come.
    fn may_still_change(&self, standing: &wire::Appointment) -> Result<(), WriteError> {
        let begun = standing.start <= self.client.now() || standing.consultation.is_some();
        if begun { Err(WriteError::Refused(Refusal::AlreadyBegun)) } else { Ok(()) }
    }

    async fn standing_client(&self, patient: &PatientRef) -> Result<wire::Client, WriteError> {
        let gone =
            || WriteError::Refused(Refusal::Other("the patient's record is not there any more".into()));
        let id = number(patient.as_str()).ok_or_else(gone)?;
        let found = self.client.get::<wire::Client>(Resource::Client, id).await;
        found.map_err(WriteError::Untouched)?.ok_or_else(gone)
    }

    /// The animal that an appointment is for: the only one that its owner has. Of several, only staff know which.
    async fn animals_of(&self, person: &wire::Client) -> Result<Vec<String>, ReadError> {
        let [wire::Relation(only)] = person.patients.as_slice() else { return Ok(Vec::new()) };
        let found = self.client.get::<wire::Animal>(Resource::Patient, *only).await;
        let animal = match found {
            Ok(animal) => animal,
            // Without the right to see animals, the appointment names its owner alone.
            Err(ReadError::Invalid(_)) => None,
            Err(error) => return Err(error),
        };
        let lives = animal.filter(|animal| {
            animal.client.0 == person.id
                && animal.deceased.as_deref().unwrap_or_default().is_empty()
                && animal.archived != Some(wire::Flag(true))
        });
        Ok(lives.map(|animal| self.client.address(Resource::Patient, animal.id)).into_iter().collect())
    }

    /// A new client with their phone numbers, or the one that an earlier try made for this booking.
    async fn new_client(
        &self,
        progress: &Progress,
        key: &BookingKey,
        details: &PersonDetails,
        others: [Option<&PatientRef>; 2],
    ) -> Result<wire::Client, WriteError> {
        let mut remarks = format!("{} Made for an online booking.", mark_of(key));
        if let Some(other) = others.into_iter().flatten().next() {
            remarks = format!(
                "{remarks}\n{} Merge the two if they are the same person.",
                duplicate_sentence(other)
            );
        }
        let wanted = translate::new_client(details, remarks);
        let earlier = made_earlier(&self.client, key, &wanted).await.map_err(WriteError::Untouched)?;
        let person = match earlier {
            Some(person) => person,
            None => self.make_client(progress, key, &wanted).await?,
        };
        progress.begun();
        let known = people::phones_of(&self.client, person.id).await.map_err(WriteError::Untouched)?;
        let mut known: Vec<String> = known.into_iter().map(|phone| phone.phone_number).collect();
        for phone in &details.phones {
            let phone = translate::international(phone.reveal());
            let is_known = |known: &String| {
                *known == phone
                    || translate::last_digits(known)
                        .is_some_and(|digits| Some(digits) == translate::last_digits(&phone))
            };
            if phone.is_empty() || known.iter().any(is_known) {
                continue;
            }
            let body = wire::NewPhoneNumber {
                client: self.client.address(Resource::Client, person.id),
                type_code: PHONE_TYPE,
                phone_number: phone.clone(),
            };
            let sending = self.client.create::<Value>(Resource::PhoneNumber, &body);
            match progress.send(sending).await? {
                Answered::Done(_) => known.push(phone),
                Answered::Refused(_) => self.note_phone(progress, &person, &phone).await?,
            }
        }
        Ok(person)
    }

    /// Makes a client, unless one that is not there yet may still come about.
    async fn make_client(
        &self,
        progress: &Progress,
        key: &BookingKey,
        wanted: &wire::NewClient,
    ) -> Result<wire::Client, WriteError> {
        let settle = TimeDelta::seconds(i64::from(SETTLE_SECONDS));
        let now = self.client.now();
        let unsettled = self.unsettled(|unsettled| {
            unsettled.retain(|_, at| (TimeDelta::zero()..settle).contains(&(now - *at)));
            unsettled.get(key).copied()
        });
        if let Some(at) = unsettled {
            return Err(WriteError::Untouched(ReadError::SlowDown { retry_after: Some(at + settle - now) }));
        }
        self.unsettled(|unsettled| unsettled.insert(key.clone(), now));
        let sent = progress.send(self.client.create::<wire::Client>(Resource::Client, wanted)).await;
        if !matches!(sent, Err(WriteError::Unknown(_))) {
            self.unsettled(|unsettled| unsettled.remove(key));
        }
        match sent? {
            Answered::Done(person) => Ok(person),
            Answered::Refused(said) => Err(WriteError::Refused(in_words(&said))),
        }
    }

    fn unsettled<T>(&self, use_it: impl FnOnce(&mut BTreeMap<BookingKey, DateTime<Utc>>) -> T) -> T {
        use_it(&mut self.unsettled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number that Provet does not take as one is kept where staff see it.
    async fn note_phone(
        &self,
        progress: &Progress,
        person: &wire::Client,
        phone: &str,
    ) -> Result<(), WriteError> {
        if person.remarks.contains(phone) {
            return Ok(());
        }
        let remarks = format!("{}\nPhone as given: {phone}", person.remarks);
        let remarks = json!({"remarks": remarks});
        let sending = self.client.amend::<Value>(Resource::Client, person.id, &remarks);
        match progress.send(sending).await? {
            Answered::Done(_) => Ok(()),
            Answered::Refused(said) => Err(WriteError::Refused(in_words(&said))),
        }
    }
}

/// The client that an earlier try made for this booking. Known by the booking's mark alone: somebody may have looked, and
/// said that whoever has the same names and numbers is another person.
async fn made_earlier(
    client: &Client,
    key: &BookingKey,
    wanted: &wire::NewClient,
) -> Result<Option<wire::Client>, ReadError> {
    let mut asked = Vec::new();
    for (filter, text) in
        [("firstname__icontains", &wanted.firstname), ("lastname__icontains", &wanted.lastname)]
    {
        if !text.is_empty() {
            asked.push((filter, text.clone()));
        }
    }
    let holds = |field: &str, wanted: &str| field.to_lowercase().contains(&wanted.to_lowercase());
    let fits = |row: &wire::Client| {
        holds(&row.firstname, &wanted.firstname) && holds(&row.lastname, &wanted.lastname)
    };
    let mark = mark_of(key);
    let same = client.all(Resource::Client, &asked, fits, Spending::Urgent).await?;
    Ok(same.into_values().find(|row| row.remarks.contains(&mark)))
}

/// Whether Provet says that the time is taken (sheet §5). Its words are the only sign there is.
fn is_conflict(said: &Value) -> bool {
    let general = said.get("non_field_errors").and_then(Value::as_array);
    let mut texts = general.into_iter().flatten().filter_map(Value::as_str);
    texts.any(|text| {
        let text = text.to_lowercase();
        text.contains("already an appointment") || text.contains("time slot")
    })
}

/// What Provet refused, by the names of the fields. Its sentences may repeat what we sent.
fn in_words(said: &Value) -> Refusal {
    let fields: Vec<String> = said
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .filter(|name| *name != "non_field_errors" && name.len() <= 40)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .map(|name| format!("\"{name}\""))
        .collect();
    Refusal::Other(if fields.is_empty() {
        "Provet Cloud refused it and did not say which field is wrong".to_owned()
    } else {
        format!("Provet Cloud does not accept {}", fields.join(" and "))
    })
}
