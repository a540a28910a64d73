//! The services outside the clinic.

use crate::booking::{AskedAbout, BookingChange, BookingRequest, Inserted, Undoing};
use crate::client_snapshot::{ClientSnapshot, SnapshotAsked};
use crate::diary::{AppointmentType, OpenTime, Resource, VideoVisit};
use crate::failure::{ReadError, Refusal, WriteError};
use crate::ids::{ForeignBookingId, ForeignChangeId, PartnerId, ResourceRef};
use crate::ports::documents::{DocumentDesk, FeatureSwitch};
use crate::ports::enrolment::DeviceEnrolment;
use crate::ports::records::RecordRegister;
use crate::ports::register::ProfileRegister;
use crate::ports::webhooks::WebhookDesk;
use crate::settings::LiveHours;
use crate::time::Minutes;
use async_trait::async_trait;
use chrono::NaiveDate;
use std::collections::BTreeSet;

/// One account with one outside service. Offers some of the capabilities below.
#[async_trait]
pub trait Partner: Send + Sync {
    /// Its name, the name of its folder.
    fn id(&self) -> &PartnerId;

    /// A short text that differs whenever the account differs: another practice, another key. Never a secret itself.
    fn account(&self) -> String;

    /// Ends the account on our side: from now on nothing is sent but the end of a subscription, and every other call
    /// fails as if nobody answered. For an account that was replaced while work on it was under way (HE-04).
    fn retire(&self) {}

    /// Reports whether the account works, by the cheapest real request.
    async fn check(&self) -> Result<(), ReadError>;

    /// The same, and under which name the partner knows the account, where it has one that a person can recognise.
    async fn introduce(&self) -> Result<Option<String>, ReadError> {
        self.check().await.map(|()| None)
    }

    /// Takes bookings.
    fn booking_desk(&self) -> Option<&dyn BookingDesk> {
        None
    }

    /// Shows free times.
    fn availability_board(&self) -> Option<&dyn AvailabilityBoard> {
        None
    }

    /// Has features that are switched on one by one.
    fn feature_switch(&self) -> Option<&dyn FeatureSwitch> {
        None
    }

    /// Passes documents on between patients and practice.
    fn document_desk(&self) -> Option<&dyn DocumentDesk> {
        None
    }

    /// Tells of what waits without being asked.
    fn webhook_desk(&self) -> Option<&dyn WebhookDesk> {
        None
    }

    /// Keeps profiles of patients.
    fn profile_register(&self) -> Option<&dyn ProfileRegister> {
        None
    }

    /// Keeps our names beside its records.
    fn record_register(&self) -> Option<&dyn RecordRegister> {
        None
    }

    /// Registers patients under names that tell nobody who they are, so that they can connect devices.
    fn device_enrolment(&self) -> Option<&dyn DeviceEnrolment> {
        None
    }

    /// Reads the practice's days with their patients.
    fn snapshot_reader(&self) -> Option<&dyn SnapshotReader> {
        None
    }
}

/// Reads the practice's days with their patients, where the practice agreed to that (sheet §4.6, `clientSnapshots`).
#[async_trait]
pub trait SnapshotReader: Send + Sync {
    /// The days that it asks for.
    async fn snapshots_asked(&self) -> Result<Vec<SnapshotAsked>, ReadError>;

    /// Hands a day over. Doing it again replaces it.
    async fn take_snapshot(&self, snapshot: &ClientSnapshot) -> Result<(), WriteError>;
}

/// What a partner waits for, by kind. Bookings come before everything else (sheet §7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Bookings.
    pub bookings: bool,
    /// Changes to bookings.
    pub changes: bool,
    /// Free times of some days.
    pub availability: bool,
    /// The list of resources.
    pub resources: bool,
    /// The list of appointment types.
    pub appointment_types: bool,
    /// What became of some bookings in the practice.
    pub appointment_changes: bool,
    /// Which documents there are for some bookings.
    pub available_documents: bool,
    /// Documents themselves.
    pub upload_documents: bool,
    /// The practice's day, with its patients.
    pub client_snapshots: bool,
    /// Documents that patients filled in, for the practice to file.
    pub attach_documents: bool,
    /// Kinds that this program does not know, by the partner's names; somebody is told.
    pub unknown: BTreeSet<String>,
}

/// A booking as it came in.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// One that can be read.
    Booking(Box<BookingRequest>),
    /// One that cannot; it is declined with this reason.
    Unreadable {
        /// As the partner calls it.
        booking: ForeignBookingId,
        /// Which field, never its value.
        why: Refusal,
    },
}

impl Incoming {
    /// The booking, as the partner calls it.
    pub fn booking(&self) -> &ForeignBookingId {
        match self {
            Incoming::Booking(request) => &request.key.booking,
            Incoming::Unreadable { booking, .. } => booking,
        }
    }
}

/// Takes bookings from patients and waits to hear what became of them.
#[async_trait]
pub trait BookingDesk: Send + Sync {
    /// What waits, in one cheap request.
    async fn waiting(&self) -> Result<Waiting, ReadError>;

    /// Every booking that waits.
    async fn bookings(&self) -> Result<Vec<Incoming>, ReadError>;

    /// Every change that waits, in the order in which they are to be applied; those that cannot be read included,
    /// as [`crate::booking::ChangeKind::Unreadable`], so that they are answered.
    async fn changes(&self) -> Result<Vec<BookingChange>, ReadError>;

    /// Tells the partner that the booking stands. Telling it twice is fine.
    async fn confirm(&self, booking: &ForeignBookingId, held: &Inserted) -> Result<(), WriteError>;

    /// The same for a video consultation, with where it takes place. A partner that has no use for that is told the rest.
    async fn confirm_visit(
        &self,
        booking: &ForeignBookingId,
        held: &Inserted,
        visit: &VideoVisit,
    ) -> Result<(), WriteError> {
        let _no_use_for_it = visit;
        self.confirm(booking, held).await
    }

    /// Tells the partner that the booking fell through. Telling it twice is fine.
    /// `cancel_too` also cancels it there: for a booking that the partner has confirmed to the patient meanwhile and
    /// that somebody at the desk declined.
    async fn decline(
        &self,
        booking: &ForeignBookingId,
        why: &Refusal,
        cancel_too: bool,
    ) -> Result<(), WriteError>;

    /// Tells the partner that a change was applied. Telling it twice is fine.
    async fn confirm_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
    ) -> Result<(), WriteError>;

    /// Tells the partner that a change cannot be applied. Telling it twice is fine.
    async fn decline_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
        why: &Refusal,
    ) -> Result<(), WriteError>;

    /// Every booking about whose appointment the partner asks.
    async fn asked_about(&self) -> Result<Vec<AskedAbout>, ReadError>;

    /// Tells the partner what staff did in the practice, asked or unasked. Telling it twice is fine.
    async fn undone(&self, booking: &ForeignBookingId, how: &Undoing) -> Result<(), WriteError>;

    /// Answers the partner that staff changed nothing.
    async fn nothing_changed(&self, booking: &ForeignBookingId) -> Result<(), WriteError>;
}

/// Free time of one resource on one practice day; replaces what the partner showed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOffer {
    /// With whom.
    pub resource: ResourceRef,
    /// When, on the practice's calendar.
    pub day: NaiveDate,
    /// Free time; empty clears the day.
    pub free: Vec<OpenTime>,
    /// The grid on which bookings may start.
    pub slot: Minutes,
}

/// Free times that the partner asks for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferAsked {
    /// The day.
    pub day: NaiveDate,
    /// With whom; none means everybody.
    pub resource: Option<ResourceRef>,
}

/// Shows free times to patients, and knows who and what can be booked.
#[async_trait]
pub trait AvailabilityBoard: Send + Sync {
    /// How many days one [`Self::publish`] may hold.
    fn batch_size(&self) -> usize;

    /// Says when this computer is expected to answer.
    async fn publish_live_hours(&self, hours: &LiveHours) -> Result<(), WriteError>;

    /// Replaces the list of resources. What is missing counts as removed.
    async fn publish_resources(&self, resources: &[Resource]) -> Result<(), WriteError>;

    /// Replaces the list of appointment types. What is missing counts as removed.
    async fn publish_appointment_types(&self, types: &[AppointmentType]) -> Result<(), WriteError>;

    /// Replaces the free times of these days. Returns one answer per offer, in order: accepted, or why not.
    async fn publish(&self, offers: &[DayOffer]) -> Result<Vec<Result<(), String>>, WriteError>;

    /// The free times that the partner asks for again.
    async fn asked(&self) -> Result<Vec<OfferAsked>, ReadError>;
}
