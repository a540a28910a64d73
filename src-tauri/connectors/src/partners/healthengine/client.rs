//! The requests: paths, headers, pages, and what a failure means for this partner.

use std::collections::BTreeSet;

use domain::failure::{ReadError, Refusal, WriteError};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::HealthengineSettings;
use serde::Serialize;

use super::SetupError;
use super::wire::{self, Lenient, Text, Whole};
use crate::http::{Endpoint, Haste, Http, fingerprint};

/// The form of the `User-Agent` is `NAME (EMAIL) ENVIRONMENT` (contract sheet §2).
const NAME: &str = concat!("Clinic Companion/", env!("CARGO_PKG_VERSION"));

/// The environments that the `User-Agent` may name.
pub const ENVIRONMENTS: &[&str] = &["DEV", "UAT", "PROD"];

/// No practice has more waiting pages; a service that claims more is wrong.
const MOST_PAGES: i64 = 100;

/// A log that is longer is only counted this far.
const MOST_LOG_PAGES: i64 = 10;

/// One practice at Healthengine.
pub struct Client {
    endpoint: Endpoint,
    fingerprint: String,
}

impl Client {
    pub fn new(
        settings: &HealthengineSettings,
        api_key: &SecretString,
        practice_key: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        let email = settings.user_agent_email.trim();
        let plausible = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '(' | ')');
        if !email.contains('@') || !email.chars().all(plausible) {
            return Err(SetupError::BadEmail);
        }
        if !ENVIRONMENTS.contains(&settings.environment.as_str()) {
            return Err(SetupError::BadEnvironment);
        }
        let practice_id = SecretString::from(settings.practice_id.as_str());
        let endpoint = http
            .endpoint(&settings.base_url)?
            .user_agent(&format!("{NAME} ({email}) {}", settings.environment))?
            .secret_header("api-key", "API key", api_key)?
            .secret_header("practice-id", "practice id", &practice_id)?
            .secret_header("practice-key", "practice key", practice_key)?
            .with_shared_key(&fingerprint(&[settings.base_url.trim(), api_key.expose_secret().trim()]));
        let fingerprint = fingerprint(&[
            settings.base_url.trim(),
            settings.practice_id.trim(),
            api_key.expose_secret().trim(),
            practice_key.expose_secret().trim(),
        ]);
        Ok(Self { endpoint, fingerprint })
    }

    /// A short text that differs whenever address, practice or one of the keys differs, and tells none of them.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Sends nothing any more but the end of a subscription.
    pub fn retire(&self) {
        self.endpoint.retire("subscription");
    }

    /// Where requests go, for what has a file of its own.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The kinds of requests that wait.
    pub async fn kinds(&self) -> Result<Vec<Lenient<Text>>, ReadError> {
        self.endpoint.read(&["requests"], &[], Haste::Normal).await
    }

    /// Every item of a paged list, each once.
    ///
    /// Items leave the list while it is read, when somebody answers them elsewhere, and those behind them move up.
    /// So a list that turned out shorter than it said is read once more.
    pub async fn list(&self, kind: &str) -> Result<Vec<serde_json::Value>, ReadError> {
        let mut found = Items::default();
        for _ in 0..2 {
            let total = self.walk(kind, &mut found).await?;
            if i64::try_from(found.items.len()).unwrap_or(i64::MAX) >= total {
                break;
            }
        }
        Ok(found.items)
    }

    /// Adds the items of every page to `found` and returns how many there should be, or were at the most.
    async fn walk(&self, kind: &str, found: &mut Items) -> Result<i64, ReadError> {
        let mut total = 0;
        let mut seen_here = BTreeSet::new();
        for number in 1..=MOST_PAGES {
            let page: wire::Page = self
                .endpoint
                .read(&["requests", kind], &[("page", &number.to_string())], Haste::Urgent)
                .await?;
            let mut anything_new = false;
            for item in page.data {
                anything_new |= seen_here.insert(identity(&item));
                found.add(item);
            }
            let (pages, claimed) = match page.page {
                Lenient::Given(numbers) => (whole(&numbers.total_pages), whole(&numbers.total)),
                Lenient::Absent | Lenient::Odd => (0, 0),
            };
            // An entry that is answered while we read moves those behind it up, one of them past us.
            total = total.max(claimed);
            // A page that repeats others comes from a service that does not count its pages.
            if number >= pages || !anything_new {
                break;
            }
        }
        Ok(total)
    }

    /// The ids of the appointment types that Healthengine has now.
    pub async fn published_types(&self) -> Result<BTreeSet<String>, ReadError> {
        let types: Vec<serde_json::Value> =
            self.endpoint.read(&["config", "pmsAppointmentTypes"], &[], Haste::Normal).await?;
        let id = |item: &serde_json::Value| match wire::item(item) {
            Some(wire::PublishedType { pms_appointment_type_id: Lenient::Given(Text(id)) }) => Some(id),
            _ => None,
        };
        Ok(types.iter().filter_map(id).collect())
    }

    /// Answers a booking or a change; `step` is what stands behind the booking's number in the path.
    pub async fn answer(
        &self,
        booking: &str,
        step: &[&str],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(), WriteError> {
        let path = [&["bookings", booking], step].concat();
        self.endpoint.write(&path, body, Haste::Urgent).await.map_err(unknown_there)
    }

    /// Replaces a part of the configuration.
    pub async fn configure(&self, path: &[&str], body: &(impl Serialize + Sync)) -> Result<(), WriteError> {
        self.endpoint.write(path, Some(body), Haste::Normal).await
    }

    /// Replaces the free times of some days.
    pub async fn publish(
        &self,
        batch: &[wire::AvailabilitySnapshot],
    ) -> Result<wire::BatchAnswer, WriteError> {
        self.endpoint.write_and_read(&["availability", "snapshots"], &batch, Haste::Normal).await
    }
}

/// What is not found, or settled already (404, 410), is not known there any more.
pub fn unknown_there(error: WriteError) -> WriteError {
    if matches!(error, WriteError::Untouched(ReadError::NotFound)) {
        WriteError::Refused(Refusal::UnknownToPartner)
    } else {
        error
    }
}

/// Subscriptions (contract sheet §4.5).
impl Client {
    /// Every subscription of the practice.
    pub async fn subscriptions(&self) -> Result<Vec<serde_json::Value>, ReadError> {
        self.endpoint.read(&["subscription"], &[], Haste::Normal).await
    }

    /// Makes a subscription.
    pub async fn subscribe(&self, body: &(impl Serialize + Sync)) -> Result<(), WriteError> {
        self.endpoint.write(&["subscription"], Some(body), Haste::Normal).await
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, id: &str) -> Result<(), WriteError> {
        self.endpoint.delete(&["subscription", id], &[], Haste::Normal).await.map_err(WriteError::from)
    }

    /// The items of the log of failed deliveries between two instants, `YYYY-MM-DD HH:MM:SS` in UTC.
    pub async fn failed_deliveries(&self, from: &str, to: &str) -> Result<Vec<serde_json::Value>, ReadError> {
        let mut found = Vec::new();
        for number in 1..=MOST_LOG_PAGES {
            let page = number.to_string();
            let query = [("from", from), ("to", to), ("page", page.as_str())];
            let page: wire::Page =
                self.endpoint.read(&["subscriptionErrorLog"], &query, Haste::Normal).await?;
            let is_empty = page.data.is_empty();
            found.extend(page.data);
            let pages = match page.page {
                Lenient::Given(numbers) => whole(&numbers.total_pages),
                Lenient::Absent | Lenient::Odd => 0,
            };
            if number >= pages || is_empty {
                break;
            }
        }
        Ok(found)
    }
}

fn whole(field: &Lenient<Whole>) -> i64 {
    match field {
        Lenient::Given(Whole(number)) => *number,
        Lenient::Absent | Lenient::Odd => 0,
    }
}

/// Items of a list, each once, in the order in which they were first seen.
#[derive(Default)]
struct Items {
    seen: BTreeSet<String>,
    items: Vec<serde_json::Value>,
}

impl Items {
    fn add(&mut self, item: serde_json::Value) {
        if self.seen.insert(identity(&item)) {
            self.items.push(item);
        }
    }
}

/// What makes an item the same as another: its request's number; or its booking's, with that of the document that is
/// wanted of it; or all of it.
fn identity(item: &serde_json::Value) -> String {
    let number = |key| item.get(key).filter(|id| id.is_number() || id.is_string());
    match (number("requestId"), number("bookingId"), number("pmsDocumentId")) {
        (None, Some(booking), Some(document)) => format!("{booking} {document}"),
        (request, booking, _) => request.or(booking).unwrap_or(item).to_string(),
    }
}
