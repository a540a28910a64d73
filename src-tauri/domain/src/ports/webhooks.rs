//! Being told instead of asking: subscriptions at a partner or a practice system, and the bell that a delivery rings.
//!
//! What a delivery says is a hint and nothing more. Whoever hears the bell asks for what may have changed.

use crate::failure::{ReadError, WriteError};
use crate::ids::{AppointmentRef, ForeignBookingId, ForeignChangeId, PracticeId, SubscriptionId};
use crate::private::SecretString;
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A standing order at a partner, or a practice system, to tell an address of what waits.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// As the partner calls it.
    pub id: SubscriptionId,
    /// Whether this program made it; the others belong to somebody else and are never touched.
    pub is_ours: bool,
    /// Whether it tells of every kind of request.
    pub covers_everything: bool,
    /// Where it tells. Its path opens our listener, so it is a secret.
    pub callback: SecretString,
    /// When it ends by itself; none is never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A delivery that did not reach us, as the partner saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDelivery {
    /// When it was tried.
    pub at: DateTime<Utc>,
    /// Why it failed, in the partner's words, made fit for people and logs.
    pub why: String,
}

/// Tells an address of what waits.
#[async_trait]
pub trait WebhookDesk: Send + Sync {
    /// Every subscription of this practice, those of others included.
    async fn subscriptions(&self) -> Result<Vec<Subscription>, ReadError>;

    /// Subscribes `callback` to every kind of request until `expires_at`.
    async fn subscribe(&self, callback: &SecretString, expires_at: DateTime<Utc>) -> Result<(), WriteError>;

    /// Ends a subscription. One that is gone already is done.
    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), WriteError>;

    /// The deliveries to us that failed between these instants, in no order.
    async fn failed_deliveries(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<FailedDelivery>, ReadError>;

    /// A short text that differs whenever the account differs at which these subscriptions stand. Never a secret itself.
    fn keeps_at(&self) -> String;

    /// Whether subscriptions end by themselves at the time that is asked for. Where they do not, ours stand until they
    /// are removed, and one of the practice's own that leads here and covers everything is as good.
    fn subscriptions_end(&self) -> bool {
        true
    }
}

/// What a delivery says that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// A booking.
    Booking(ForeignBookingId),
    /// A change to a booking; the partner names the change, the booking, or both.
    Change {
        /// Which change.
        change: Option<ForeignChangeId>,
        /// Of which booking.
        booking: Option<ForeignBookingId>,
    },
    /// Something in the practice's own book.
    Book(BookNews),
    /// Something else, or nothing that can be understood.
    Something,
}

/// What a practice system says has changed in its book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookNews {
    /// This appointment was made, changed or deleted.
    Appointment(AppointmentRef),
    /// Who works here, what can be booked, or where.
    Lists,
    /// Something that the book may show otherwise now.
    Something,
    /// Nothing that can be understood, so that nothing is looked at.
    Unclear,
}

/// How the listener is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerState {
    /// Where it listens, or should: `127.0.0.1:8765`.
    pub address: String,
    /// Why it does not listen and what to do, in a sentence; none while it does.
    pub problem: Option<String>,
    /// How many deliveries were turned away since the program's start because they came from elsewhere.
    pub wrong_sources: u64,
}

/// What became of a registration that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits for somebody at the desk, perhaps since an earlier time that it came.
    Waits,
    /// It is none.
    Refused,
    /// Too many wait, or it could not be kept; it may come again.
    Later,
}

/// Takes in what a system sends to register itself, for somebody at the desk to accept. Nothing of it is believed before.
#[async_trait]
pub trait Registrar: Send + Sync {
    /// Takes in whatever was delivered.
    async fn take(&self, body: &[u8]) -> Taken;
}

/// Where the listener tells what it heard. Returns at once, whatever is behind it.
pub trait Bell: Send + Sync {
    /// Something was delivered at the door of a practice.
    fn delivered(&self, practice: &PracticeId, what: Announced);

    /// The listener is doing differently; none when it is switched off.
    fn listening(&self, state: Option<ListenerState>);
}
