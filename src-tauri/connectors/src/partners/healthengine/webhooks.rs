//! Webhooks: what a delivery says, and the subscriptions that make Healthengine deliver (contract sheet §4.5, §5).

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignBookingId, ForeignChangeId, SubscriptionId};
use domain::ports::partner::Partner;
use domain::ports::webhooks::{Announced, FailedDelivery, Subscription, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Healthengine;
use super::translate::date_and_time;
use super::wire::{self, Lenient, Text, Whole};
use crate::http::short_reason;

/// By this name we know our own subscriptions. Each practice has its own list of them, so one name is enough, and a
/// program that was set up anew finds those of the one before.
const CLIENT_ID: &str = "clinic-companion";

/// Every kind of request.
const EVERYTHING: &str = "requests.*";

const INSTANT: &str = "%Y-%m-%d %H:%M:%S";

/// A delivery. `id` is the subscription's, not the event's.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Delivery {
    client_id: Lenient<Text>,
    data: Lenient<DeliveryData>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeliveryData {
    request_type: Lenient<Text>,
    booking_id: Lenient<Whole>,
    request_id: Lenient<Whole>,
}

/// A subscription as it is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Standing {
    id: Lenient<Text>,
    client_id: Lenient<Text>,
    topic: Lenient<Text>,
    callback_url: Lenient<Text>,
    /// UTC, without saying so.
    expire_at: Lenient<Text>,
}

/// A subscription as it is made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wish<'a> {
    client_id: &'a str,
    topic: &'a str,
    callback_url: &'a str,
    /// UTC.
    expire_at: String,
}

/// A delivery that failed. Its payload is not read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failed {
    /// UTC, without saying so.
    timestamp: Lenient<Text>,
    client_id: Lenient<Text>,
    error_type: Lenient<Text>,
    error_message: Lenient<Text>,
}

/// What a delivery says that waits. Whatever is not understood, or was made for somebody else's subscription, is
/// [`Announced::Something`]: it proves nothing, and everything that waits is asked for all the same.
pub fn announced(body: &[u8]) -> Announced {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(delivery) = wire::item::<Delivery>(&value) else { return Announced::Something };
    if text(&delivery.client_id) != Some(CLIENT_ID) {
        return Announced::Something;
    }
    let Lenient::Given(data) = delivery.data else { return Announced::Something };
    let booking = id(&data.booking_id).map(ForeignBookingId::new);
    let change = id(&data.request_id).map(ForeignChangeId::new);
    match (text(&data.request_type), booking) {
        (Some("bookings"), Some(booking)) => Announced::Booking(booking),
        (Some("bookingUpdates"), booking) if booking.is_some() || change.is_some() => {
            Announced::Change { change, booking }
        }
        _ => Announced::Something,
    }
}

fn text(field: &Lenient<Text>) -> Option<&str> {
    match field {
        Lenient::Given(Text(text)) => Some(text),
        Lenient::Absent | Lenient::Odd => None,
    }
}

fn id(field: &Lenient<Whole>) -> Option<String> {
    match field {
        Lenient::Given(Whole(number)) => Some(number.to_string()),
        Lenient::Absent | Lenient::Odd => None,
    }
}

fn instant(field: &Lenient<Text>) -> Option<DateTime<Utc>> {
    text(field).and_then(date_and_time).map(|at| at.and_utc())
}

fn subscription(item: &serde_json::Value) -> Option<Subscription> {
    let standing = wire::item::<Standing>(item)?;
    let is_ours = text(&standing.client_id) == Some(CLIENT_ID);
    Some(Subscription {
        id: SubscriptionId::new(text(&standing.id)?),
        is_ours,
        covers_everything: text(&standing.topic) == Some(EVERYTHING),
        callback: SecretString::from(text(&standing.callback_url).unwrap_or_default()),
        expires_at: match &standing.expire_at {
            Lenient::Absent => None,
            // An end that cannot be read is near, so that a subscription of ours is renewed.
            Lenient::Given(_) | Lenient::Odd => {
                Some(instant(&standing.expire_at).unwrap_or(DateTime::<Utc>::MIN_UTC))
            }
        },
    })
}

fn failed(item: &serde_json::Value) -> Option<FailedDelivery> {
    let failed = wire::item::<Failed>(item)?;
    if text(&failed.client_id) != Some(CLIENT_ID) {
        return None;
    }
    let why = [&failed.error_type, &failed.error_message].into_iter().filter_map(text).map(short_reason);
    let why = why.filter(|why| !why.is_empty()).collect::<Vec<_>>().join(": ");
    Some(FailedDelivery { at: instant(&failed.timestamp)?, why })
}

/// Healthengine's words about a subscription may hold its address, which is a secret.
fn wordless(error: ReadError) -> ReadError {
    match error {
        ReadError::Invalid(_) => ReadError::Invalid("the subscription".into()),
        ReadError::Unreachable(_)
        | ReadError::SlowDown { .. }
        | ReadError::NotAuthorised
        | ReadError::SignInNeeded
        | ReadError::NoConsent
        | ReadError::NotFound
        | ReadError::Garbled(_)
        | ReadError::Misfit(_)
        | ReadError::OwnProfile(_) => error,
    }
}

fn wordless_write(error: WriteError) -> WriteError {
    match error {
        WriteError::Untouched(error) => WriteError::Untouched(wordless(error)),
        WriteError::Unknown(error) => WriteError::Unknown(wordless(error)),
        WriteError::Refused(_) => error,
    }
}

#[async_trait]
impl WebhookDesk for Healthengine {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, ReadError> {
        Ok(self.client.subscriptions().await?.iter().filter_map(subscription).collect())
    }

    async fn subscribe(&self, callback: &SecretString, expires_at: DateTime<Utc>) -> Result<(), WriteError> {
        let wish = Wish {
            client_id: CLIENT_ID,
            topic: EVERYTHING,
            callback_url: callback.expose_secret(),
            expire_at: expires_at.format(INSTANT).to_string(),
        };
        self.client.subscribe(&wish).await.map_err(wordless_write)
    }

    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), WriteError> {
        match self.client.unsubscribe(id.as_str()).await {
            Err(WriteError::Untouched(ReadError::NotFound)) => Ok(()),
            ended => ended.map_err(wordless_write),
        }
    }

    async fn failed_deliveries(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<FailedDelivery>, ReadError> {
        let written = |at: DateTime<Utc>| at.format(INSTANT).to_string();
        let items = self.client.failed_deliveries(&written(from), &written(to)).await?;
        Ok(items.iter().filter_map(failed).collect())
    }

    fn keeps_at(&self) -> String {
        Partner::account(self)
    }
}
