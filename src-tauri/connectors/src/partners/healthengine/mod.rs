//! Healthengine: patients book online, and the practice's free times are shown there.

mod client;
mod client_snapshot;
mod documents;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(test)]
mod tests;
mod translate;
mod webhooks;
mod wire;

pub use webhooks::announced;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use async_trait::async_trait;
use domain::booking::{AskedAbout, BookingChange, Inserted, Undoing};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked};
use domain::diary::{AppointmentType, Resource, VideoVisit};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{ForeignBookingId, ForeignChangeId, PartnerId, PracticeId};
use domain::ports::documents::{DocumentDesk, FeatureSwitch};
use domain::ports::partner::{
    AvailabilityBoard, BookingDesk, DayOffer, Incoming, OfferAsked, Partner, SnapshotReader, Waiting,
};
use domain::ports::webhooks::WebhookDesk;
use domain::private::SecretString;
use domain::settings::{HealthengineSettings, LiveHours};
use domain::time::PracticeZone;
use tokio::sync::Mutex;

use crate::card::{Card, Field, FieldKind};
use crate::http::{EndpointError, Http};
use client::Client;
use translate::{Account, Nameless};

/// The name of the folder, and in settings.
pub const NAME: &str = "healthengine";

/// The only address that Healthengine documents (contract sheet §1).
pub const BASE_URL: &str = "https://healthengine.com.au/pms-api/v1";

/// How many days one batch may hold (contract sheet §4.3).
const BATCH_SIZE: usize = 100;

/// How Healthengine introduces itself (contract sheet §2).
pub const CARD: Card = Card {
    name: NAME,
    title: "Healthengine",
    purpose: "Shows your free times to patients and brings their bookings into your book.",
    fields: &[
        Field {
            key: "api_key",
            label: "API key",
            kind: FieldKind::Secret,
            default: None,
            optional: false,
            where_to_find: &[
                "The API key belongs to this program, not to your practice: whoever set the program up for you has it.",
                "If you look after the program yourself, write to integrations@healthengine.com.au and ask for one.",
            ],
        },
        Field {
            key: "practice_id",
            label: "Practice id",
            kind: FieldKind::Text,
            default: None,
            optional: false,
            where_to_find: GET_CONSENT,
        },
        Field {
            key: "practice_key",
            label: "Practice key",
            kind: FieldKind::Secret,
            default: None,
            optional: false,
            where_to_find: GET_CONSENT,
        },
        Field {
            key: "user_agent_email",
            label: "E-mail address for Healthengine",
            kind: FieldKind::Email,
            default: None,
            optional: false,
            where_to_find: &[
                "Healthengine writes to this address when something is wrong with the connection.",
                "Use one that somebody at the practice, or your IT support, reads.",
            ],
        },
        Field {
            key: "environment",
            label: "Environment",
            kind: FieldKind::Choice(client::ENVIRONMENTS),
            default: Some("PROD"),
            optional: false,
            where_to_find: &["PROD, unless Healthengine gave you keys for trying things out."],
        },
        Field {
            key: "base_url",
            label: "Address",
            kind: FieldKind::Address,
            default: Some(BASE_URL),
            optional: false,
            where_to_find: &["Leave it as it is, unless Healthengine tells you otherwise."],
        },
    ],
    consent_steps: GET_CONSENT,
    connects_devices: false,
    joins_records: false,
    when_unlinked: "Bookings stop, and your times there are not kept in step any more.",
};

const GET_CONSENT: &[&str] = &[
    "Ask Healthengine to switch on the PMS API for your practice: call 1300 377 639, or write to \
     support@healthengine.com.au.",
    "Sign in to Practice Admin at https://healthengine.com.au/appointment/admin as its administrator.",
    "Open the page for API consumer consent and grant consent to this program.",
    "Copy the practice id and the practice key that are shown there.",
];

/// Why an account cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address, or a key that cannot be sent.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The address that Healthengine is to write to.
    #[error("the e-mail address for Healthengine is not an e-mail address")]
    BadEmail,
    /// Neither `DEV`, `UAT` nor `PROD`.
    #[error("the environment must be DEV, UAT or PROD")]
    BadEnvironment,
}

/// One practice's account with Healthengine.
pub struct Healthengine {
    account: Account,
    client: Client,
    /// The ids under which Healthengine has the appointment types; none until they are needed.
    published_types: Mutex<Option<BTreeSet<String>>>,
    /// How many items of each list could not be read the last time. They come with every poll, and are news once.
    unreadable: std::sync::Mutex<BTreeMap<&'static str, usize>>,
}

impl Healthengine {
    /// An account; nothing is sent yet. Bookings come in for `practice`, whose wall clock is that of `zone`.
    ///
    /// # Errors
    /// [`SetupError`] says which setting cannot be right.
    pub fn new(
        settings: &HealthengineSettings,
        practice: PracticeId,
        zone: PracticeZone,
        api_key: &SecretString,
        practice_key: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        let client = Client::new(settings, api_key, practice_key, http)?;
        let account = Account { practice, partner: PartnerId::new(NAME), zone };
        Ok(Self {
            account,
            client,
            published_types: Mutex::default(),
            unreadable: std::sync::Mutex::default(),
        })
    }

    /// What can be read of `items`. The rest can be neither applied nor answered, so it is only counted; Healthengine
    /// keeps it waiting, and its support can see it.
    fn readable<T>(
        &self,
        what: &'static str,
        items: &[serde_json::Value],
        read: impl Fn(&serde_json::Value) -> Result<T, Nameless>,
    ) -> Vec<T> {
        let readable: Vec<T> = items.iter().filter_map(|item| read(item).ok()).collect();
        let unreadable = items.len() - readable.len();
        let mut known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(what, unreadable).unwrap_or_default();
        if unreadable > 0 && unreadable != before {
            tracing::warn!(practice = %self.account.practice, what, unreadable, "items without a usable id");
        }
        readable
    }
}

#[async_trait]
impl Partner for Healthengine {
    fn id(&self) -> &PartnerId {
        &self.account.partner
    }

    fn account(&self) -> String {
        self.client.fingerprint().to_owned()
    }

    fn retire(&self) {
        self.client.retire();
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.client.kinds().await.map(|_| ())
    }

    fn booking_desk(&self) -> Option<&dyn BookingDesk> {
        Some(self)
    }

    fn availability_board(&self) -> Option<&dyn AvailabilityBoard> {
        Some(self)
    }

    fn feature_switch(&self) -> Option<&dyn FeatureSwitch> {
        Some(self)
    }

    fn document_desk(&self) -> Option<&dyn DocumentDesk> {
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
impl SnapshotReader for Healthengine {
    async fn snapshots_asked(&self) -> Result<Vec<SnapshotAsked>, ReadError> {
        let items = self.client.list("clientSnapshots").await?;
        Ok(self.readable("clientSnapshots", &items, client_snapshot::asked))
    }

    async fn take_snapshot(&self, snapshot: &ClientSnapshot) -> Result<(), WriteError> {
        self.client.configure(&["clientSnapshot"], &client_snapshot::body(snapshot)).await
    }
}

#[async_trait]
impl BookingDesk for Healthengine {
    async fn waiting(&self) -> Result<Waiting, ReadError> {
        Ok(translate::waiting(&self.client.kinds().await?))
    }

    async fn bookings(&self) -> Result<Vec<Incoming>, ReadError> {
        let items = self.client.list("bookings").await?;
        Ok(self.readable("bookings", &items, |item| translate::incoming(item, &self.account)))
    }

    async fn changes(&self) -> Result<Vec<BookingChange>, ReadError> {
        let items = self.client.list("bookingUpdates").await?;
        let mut changes = self.readable("bookingUpdates", &items, translate::change);
        changes.sort_by_key(|(request, _)| *request);
        Ok(changes.into_iter().map(|(_, change)| change).collect())
    }

    async fn confirm(&self, booking: &ForeignBookingId, held: &Inserted) -> Result<(), WriteError> {
        self.confirm_visit(booking, held, &VideoVisit::default()).await
    }

    async fn confirm_visit(
        &self,
        booking: &ForeignBookingId,
        held: &Inserted,
        visit: &VideoVisit,
    ) -> Result<(), WriteError> {
        let answer = translate::confirmation(held, visit);
        self.client.answer(booking.as_str(), &["confirmInsert"], Some(&answer)).await
    }

    async fn decline(
        &self,
        booking: &ForeignBookingId,
        why: &Refusal,
        cancel_too: bool,
    ) -> Result<(), WriteError> {
        let reason = translate::reason(why);
        let rejected = self.client.answer(booking.as_str(), &["rejectInsert"], Some(&reason)).await;
        match rejected {
            // What is no longer waiting can still be cancelled.
            Ok(()) | Err(WriteError::Refused(Refusal::UnknownToPartner)) if cancel_too => {
                self.client.answer(booking.as_str(), &["cancel"], Some(&reason)).await
            }
            rejected => rejected,
        }
    }

    async fn confirm_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
    ) -> Result<(), WriteError> {
        let no_body = None::<&()>;
        self.client.answer(booking.as_str(), &["confirmUpdate", change.as_str()], no_body).await
    }

    async fn decline_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
        why: &Refusal,
    ) -> Result<(), WriteError> {
        let reason = translate::reason(why);
        self.client.answer(booking.as_str(), &["rejectUpdate", change.as_str()], Some(&reason)).await
    }

    async fn asked_about(&self) -> Result<Vec<AskedAbout>, ReadError> {
        let items = self.client.list("pmsAppointmentChanges").await?;
        Ok(self.readable("pmsAppointmentChanges", &items, translate::asked_about))
    }

    async fn undone(&self, booking: &ForeignBookingId, how: &Undoing) -> Result<(), WriteError> {
        let (step, reason) = translate::undone(how);
        self.client.answer(booking.as_str(), &[step], Some(&reason)).await
    }

    async fn nothing_changed(&self, booking: &ForeignBookingId) -> Result<(), WriteError> {
        let no_body = None::<&()>;
        self.client.answer(booking.as_str(), &["noPmsAppointmentChange"], no_body).await
    }
}

#[async_trait]
impl AvailabilityBoard for Healthengine {
    fn batch_size(&self) -> usize {
        BATCH_SIZE
    }

    async fn publish_live_hours(&self, hours: &LiveHours) -> Result<(), WriteError> {
        self.client.configure(&["config", "livenessContract"], &translate::liveness(hours)).await
    }

    async fn publish_resources(&self, resources: &[Resource]) -> Result<(), WriteError> {
        let list = translate::resources(resources);
        self.client.configure(&["config", "pmsResources", "snapshot"], &list).await
    }

    async fn publish_appointment_types(&self, types: &[AppointmentType]) -> Result<(), WriteError> {
        let list = translate::appointment_types(types);
        let mut published = self.published_types.lock().await;
        // Unless this succeeds, what stands there is not known any more.
        *published = None;
        self.client.configure(&["config", "pmsAppointmentTypes", "snapshot"], &list).await?;
        *published = Some(list.into_iter().map(|kind| kind.pms_appointment_type_id).collect());
        Ok(())
    }

    async fn publish(&self, offers: &[DayOffer]) -> Result<Vec<Result<(), String>>, WriteError> {
        let restricted = offers.iter().any(|offer| offer.free.iter().any(|open| !open.only_types.is_empty()));
        let types = if restricted { self.types_there().await? } else { BTreeSet::new() };
        let mut answers = Vec::with_capacity(offers.len());
        for batch in translate::snapshots(offers, &types).chunks(BATCH_SIZE) {
            let answer = self.client.publish(batch).await?;
            answers.extend(translate::batch_answers(batch, &answer));
        }
        Ok(answers)
    }

    async fn asked(&self) -> Result<Vec<OfferAsked>, ReadError> {
        let items = self.client.list("availability").await?;
        Ok(self.readable("availability", &items, translate::asked))
    }
}

impl Healthengine {
    /// The ids of the appointment types at Healthengine. Only free times that are reserved for a type need them.
    async fn types_there(&self) -> Result<BTreeSet<String>, WriteError> {
        let mut published = self.published_types.lock().await;
        if let Some(types) = &*published {
            return Ok(types.clone());
        }
        let types = self.client.published_types().await.map_err(WriteError::Untouched)?;
        *published = Some(types.clone());
        Ok(types)
    }
}
