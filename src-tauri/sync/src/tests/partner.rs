//! A partner in memory, that takes bookings and shows free times.

use super::reaper::{HandClock, Reaper};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{AskedAbout, BookingChange, BookingRequest, ChangeKind, Inserted, Undoing};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked};
use domain::diary::{AppointmentType, Resource};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, ForeignBookingId, ForeignChangeId, PartnerId, ResourceRef};
use domain::ports::clock::Clock;
use domain::ports::documents::{DocumentDesk, FeatureSwitch};
use domain::ports::partner::{
    AvailabilityBoard, BookingDesk, DayOffer, Incoming, OfferAsked, Partner, SnapshotReader, Waiting,
};
use domain::ports::webhooks::{FailedDelivery, Subscription, WebhookDesk};
use domain::settings::LiveHours;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What the partner was told about a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Confirmed(Inserted),
    Declined { why: Refusal, cancelled_too: bool },
}

/// A booking at the partner.
pub struct Booked {
    pub incoming: Incoming,
    pub booked_at: DateTime<Utc>,
    pub answer: Option<Answer>,
    /// A rejection came after the 20 s within which the patient can still choose again.
    pub declined_late: bool,
    /// What staff did to it, as it was told last.
    pub undone: Option<Undoing>,
}

/// A change at the partner, and whether it was applied.
pub struct Changed {
    pub change: BookingChange,
    pub applied: Option<Result<(), Refusal>>,
}

/// Everything that the partner knows.
#[derive(Default)]
pub struct Desk {
    pub bookings: BTreeMap<ForeignBookingId, Booked>,
    pub changes: Vec<Changed>,
    pub live_hours: Option<LiveHours>,
    pub resources: Option<Vec<Resource>>,
    pub types: Option<Vec<AppointmentType>>,
    pub published: BTreeMap<(ResourceRef, NaiveDate), DayOffer>,
    pub wants_resources: bool,
    pub wants_types: bool,
    /// Kinds of requests from a newer partner.
    pub unknown_kinds: BTreeSet<String>,
    pub documents: super::documents::Outbox,
    pub asked: Vec<OfferAsked>,
    /// Bookings about whose appointments is asked.
    pub asked_about: Vec<AskedAbout>,
    /// Subscriptions to webhooks, ours and those of others.
    pub subscriptions: Vec<Subscription>,
    /// How many were made.
    pub subscribed: usize,
    pub failed_deliveries: Vec<FailedDelivery>,
    pub days_wanted: BTreeSet<SnapshotAsked>,
    pub days_taken: Vec<ClientSnapshot>,
    /// Snapshots that are refused, as long as they are listed.
    pub refused_days: BTreeSet<(ResourceRef, NaiveDate)>,
    /// Answers with this error while it is set, where the name of the call is accepted.
    pub fails: Option<fn(&str) -> Option<ReadError>>,
    /// What is told takes effect, and its answer is lost.
    pub loses_answers: bool,
    /// Each call, and when.
    pub log: Vec<(DateTime<Utc>, String)>,
    /// Somebody at the desk corrects patients, so that a confirmation may come again with another one.
    pub patients_are_corrected: bool,
    pub violations: Vec<String>,
}

/// How long after booking a rejection lets the patient choose again (sheet §6).
const CHOOSE_AGAIN: TimeDelta = TimeDelta::seconds(20);

impl Desk {
    pub fn calls(&self, name: &str) -> Vec<DateTime<Utc>> {
        self.log.iter().filter(|(_, call)| call.starts_with(name)).map(|(at, _)| *at).collect()
    }

    pub fn book(&mut self, request: BookingRequest) {
        let booked_at = request.booked_at;
        self.book_at(request, booked_at);
    }

    /// A booking whose time of making, as the partner writes it, is not the time it is here.
    pub fn book_at(&mut self, request: BookingRequest, booked_at: DateTime<Utc>) {
        let booking = request.key.booking.clone();
        let incoming = Incoming::Booking(Box::new(request));
        self.bookings.insert(
            booking,
            Booked { incoming, booked_at, answer: None, declined_late: false, undone: None },
        );
    }

    /// The patient cancels.
    pub fn cancel(&mut self, booking: &str) {
        self.change(booking, ChangeKind::Cancelled);
    }

    pub fn change(&mut self, booking: &str, kind: ChangeKind) {
        let id = ForeignChangeId::new((self.changes.len() + 1).to_string());
        let change = BookingChange { id, booking: ForeignBookingId::new(booking), kind };
        self.changes.push(Changed { change, applied: None });
    }

    pub fn answer(&self, booking: &str) -> Option<Answer> {
        self.bookings.get(&ForeignBookingId::new(booking)).and_then(|booked| booked.answer.clone())
    }

    fn answered(
        &mut self,
        booking: &ForeignBookingId,
        answer: Answer,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let Some(booked) = self.bookings.get_mut(booking) else { return Err(Refusal::UnknownToPartner) };
        let late = now - booked.booked_at > CHOOSE_AGAIN;
        match (&booked.answer, &answer) {
            (None, _) => {
                booked.declined_late = late && matches!(answer, Answer::Declined { .. });
                booked.answer = Some(answer);
            }
            (Some(Answer::Confirmed(known)), Answer::Confirmed(told)) if known == told => {}
            (Some(Answer::Confirmed(known)), Answer::Confirmed(told))
                if self.patients_are_corrected && known.appointment == told.appointment =>
            {
                booked.answer = Some(answer);
            }
            (Some(Answer::Declined { .. }), Answer::Declined { .. }) => {}
            (Some(known), told) => {
                self.violations.push(format!("{booking} was answered {told:?} after {known:?}"));
            }
        }
        Ok(())
    }

    fn applied(&mut self, change: &ForeignChangeId, applied: Result<(), Refusal>) -> Result<(), Refusal> {
        let Some(changed) = self.changes.iter_mut().find(|changed| changed.change.id == *change) else {
            return Err(Refusal::BookingUnknown);
        };
        match &changed.applied {
            None => changed.applied = Some(applied),
            Some(known) if known.is_ok() == applied.is_ok() => {}
            Some(known) => {
                let known = known.clone();
                self.violations.push(format!("change {change} was answered {applied:?} after {known:?}"));
            }
        }
        Ok(())
    }

    /// The partner asks about a booking's appointment.
    pub fn ask_about(&mut self, booking: &str, appointments: &[&str]) {
        self.asked_about.push(AskedAbout {
            booking: ForeignBookingId::new(booking),
            appointments: appointments.iter().map(|id| AppointmentRef::new(*id)).collect(),
            patient: None,
        });
    }

    pub fn undone(&self, booking: &str) -> Option<Undoing> {
        self.bookings.get(&ForeignBookingId::new(booking)).and_then(|booked| booked.undone.clone())
    }

    fn undo(&mut self, booking: &ForeignBookingId, how: Undoing) -> Result<(), Refusal> {
        let asked = self.asked_about.iter().any(|about| about.booking == *booking);
        self.asked_about.retain(|about| about.booking != *booking);
        let Some(booked) = self.bookings.get_mut(booking) else {
            return if asked { Ok(()) } else { Err(Refusal::UnknownToPartner) };
        };
        if !matches!(booked.answer, Some(Answer::Confirmed(_))) {
            self.violations.push(format!("{booking} was undone before it stood"));
        } else if booked.undone.as_ref().is_some_and(|before| *before != how) {
            self.violations.push(format!("{booking} was undone as {how:?} after {:?}", booked.undone));
        }
        booked.undone = Some(how);
        Ok(())
    }

    fn waiting(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Booked> {
        self.bookings.values().filter(move |booked| booked.answer.is_none() && booked.booked_at <= now)
    }

    fn changes_waiting(&self) -> impl Iterator<Item = &Changed> {
        self.changes.iter().filter(|changed| changed.applied.is_none())
    }

    pub fn nothing_waits(&self, now: DateTime<Utc>) -> bool {
        self.waiting(now).next().is_none()
            && self.changes_waiting().next().is_none()
            && self.asked.is_empty()
            && self.asked_about.is_empty()
            && !self.wants_resources
            && !self.wants_types
    }
}

/// How this program reaches the partner.
#[derive(Clone)]
pub struct FakePartner {
    pub desk: Arc<Mutex<Desk>>,
    pub clock: HandClock,
    pub reaper: Arc<Reaper>,
    pub account: String,
    id: PartnerId,
}

impl FakePartner {
    pub fn new(account: &str, clock: &HandClock, reaper: &Arc<Reaper>) -> Self {
        Self {
            desk: Arc::default(),
            clock: clock.clone(),
            reaper: reaper.clone(),
            account: account.to_owned(),
            id: PartnerId::new("healthengine"),
        }
    }

    pub fn desk<T>(&self, use_it: impl FnOnce(&mut Desk) -> T) -> T {
        use_it(&mut self.desk.lock().unwrap())
    }

    fn called(&self, call: String) -> Option<ReadError> {
        let now = self.clock.now();
        self.desk(|desk| {
            let fails = desk.fails.and_then(|fails| fails(&call));
            desk.log.push((now, call));
            fails
        })
    }

    pub async fn ask<T: Send>(
        &self,
        call: String,
        use_it: impl FnOnce(&mut Desk) -> T + Send,
    ) -> Result<T, ReadError> {
        match self.called(call) {
            Some(error) => Err(error),
            None => Ok(self.reaper.touch(|| self.desk(use_it)).await?),
        }
    }

    pub async fn tell<T: Send>(
        &self,
        call: String,
        use_it: impl FnOnce(&mut Desk) -> Result<T, Refusal> + Send,
    ) -> Result<T, WriteError> {
        match self.called(call) {
            Some(error) => Err(WriteError::Untouched(error)),
            None => {
                let done = self.reaper.touch(|| self.desk(use_it)).await?;
                if self.desk(|desk| desk.loses_answers) {
                    return Err(WriteError::Unknown(ReadError::Unreachable("lost".into())));
                }
                done.map_err(WriteError::Refused)
            }
        }
    }
}

#[async_trait]
impl Partner for FakePartner {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.ask("check".into(), |_| ()).await
    }

    fn feature_switch(&self) -> Option<&dyn FeatureSwitch> {
        Some(self)
    }

    fn document_desk(&self) -> Option<&dyn DocumentDesk> {
        Some(self)
    }

    fn booking_desk(&self) -> Option<&dyn BookingDesk> {
        Some(self)
    }

    fn availability_board(&self) -> Option<&dyn AvailabilityBoard> {
        Some(self)
    }

    fn webhook_desk(&self) -> Option<&dyn WebhookDesk> {
        Some(self)
    }

    fn snapshot_reader(&self) -> Option<&dyn SnapshotReader> {
        Some(self)
    }
}

#[async_trait]
impl SnapshotReader for FakePartner {
    async fn snapshots_asked(&self) -> Result<Vec<SnapshotAsked>, ReadError> {
        self.ask("days wanted".into(), |desk| desk.days_wanted.iter().copied().collect()).await
    }

    async fn take_snapshot(&self, snapshot: &ClientSnapshot) -> Result<(), WriteError> {
        self.tell(format!("day {}", snapshot.asked.day), |desk| {
            desk.days_wanted.remove(&snapshot.asked);
            desk.days_taken.push(snapshot.clone());
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl BookingDesk for FakePartner {
    async fn waiting(&self) -> Result<Waiting, ReadError> {
        let now = self.clock.now();
        self.ask("waiting".into(), |desk| Waiting {
            bookings: desk.waiting(now).next().is_some(),
            changes: desk.changes_waiting().next().is_some(),
            availability: !desk.asked.is_empty(),
            appointment_changes: !desk.asked_about.is_empty(),
            resources: desk.wants_resources,
            appointment_types: desk.wants_types,
            attach_documents: !desk.documents.offers.is_empty(),
            client_snapshots: !desk.days_wanted.is_empty(),
            unknown: desk.unknown_kinds.clone(),
            ..Waiting::default()
        })
        .await
    }

    async fn bookings(&self) -> Result<Vec<Incoming>, ReadError> {
        let now = self.clock.now();
        self.ask("bookings".into(), |desk| desk.waiting(now).map(|booked| booked.incoming.clone()).collect())
            .await
    }

    async fn changes(&self) -> Result<Vec<BookingChange>, ReadError> {
        self.ask("changes".into(), |desk| {
            desk.changes_waiting().map(|changed| changed.change.clone()).collect()
        })
        .await
    }

    async fn confirm(&self, booking: &ForeignBookingId, held: &Inserted) -> Result<(), WriteError> {
        let now = self.clock.now();
        let answer = Answer::Confirmed(held.clone());
        self.tell(format!("confirm {booking}"), |desk| desk.answered(booking, answer, now)).await
    }

    async fn decline(
        &self,
        booking: &ForeignBookingId,
        why: &Refusal,
        cancel_too: bool,
    ) -> Result<(), WriteError> {
        let now = self.clock.now();
        let answer = Answer::Declined { why: why.clone(), cancelled_too: cancel_too };
        self.tell(format!("decline {booking}"), |desk| desk.answered(booking, answer, now)).await
    }

    async fn confirm_change(&self, _: &ForeignBookingId, change: &ForeignChangeId) -> Result<(), WriteError> {
        self.tell(format!("confirm_change {change}"), |desk| desk.applied(change, Ok(()))).await
    }

    async fn decline_change(
        &self,
        _: &ForeignBookingId,
        change: &ForeignChangeId,
        why: &Refusal,
    ) -> Result<(), WriteError> {
        let why = why.clone();
        self.tell(format!("decline_change {change}"), |desk| desk.applied(change, Err(why))).await
    }

    async fn asked_about(&self) -> Result<Vec<AskedAbout>, ReadError> {
        self.ask("asked_about".into(), |desk| desk.asked_about.clone()).await
    }

    async fn undone(&self, booking: &ForeignBookingId, how: &Undoing) -> Result<(), WriteError> {
        let how = how.clone();
        self.tell(format!("undone {booking}"), |desk| desk.undo(booking, how)).await
    }

    async fn nothing_changed(&self, booking: &ForeignBookingId) -> Result<(), WriteError> {
        self.tell(format!("nothing_changed {booking}"), |desk| {
            desk.asked_about.retain(|about| about.booking != *booking);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl AvailabilityBoard for FakePartner {
    fn batch_size(&self) -> usize {
        4
    }

    async fn publish_live_hours(&self, hours: &LiveHours) -> Result<(), WriteError> {
        let hours = hours.clone();
        self.tell("live_hours".into(), |desk| {
            desk.live_hours = Some(hours);
            Ok(())
        })
        .await
    }

    async fn publish_resources(&self, resources: &[Resource]) -> Result<(), WriteError> {
        let resources = resources.to_vec();
        self.tell("resources".into(), |desk| {
            desk.resources = Some(resources);
            desk.wants_resources = false;
            Ok(())
        })
        .await
    }

    async fn publish_appointment_types(&self, types: &[AppointmentType]) -> Result<(), WriteError> {
        let types = types.to_vec();
        self.tell("types".into(), |desk| {
            desk.types = Some(types);
            desk.wants_types = false;
            Ok(())
        })
        .await
    }

    async fn publish(&self, offers: &[DayOffer]) -> Result<Vec<Result<(), String>>, WriteError> {
        let offers = offers.to_vec();
        assert!(offers.len() <= self.batch_size(), "a batch is too long");
        self.tell(format!("publish {}", offers.len()), |desk| {
            let answers = offers.into_iter().map(|offer| {
                let place = (offer.resource.clone(), offer.day);
                if desk.refused_days.contains(&place) {
                    return Err("unknown resource".to_owned());
                }
                desk.asked.retain(|asked| {
                    asked.day != offer.day || asked.resource.as_ref().is_some_and(|r| *r != offer.resource)
                });
                desk.published.insert(place, offer);
                Ok(())
            });
            Ok(answers.collect())
        })
        .await
    }

    async fn asked(&self) -> Result<Vec<OfferAsked>, ReadError> {
        self.ask("asked".into(), |desk| desk.asked.clone()).await
    }
}
