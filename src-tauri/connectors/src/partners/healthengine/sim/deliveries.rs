//! Calling back: each new request is told to the subscriptions that want to hear of it (contract sheet §5).
//!
//! - An answer other than 200 counts like no answer at all. The contract speaks of time-outs only; the rest
//!   is our guess.
//! - The limit of 5 s is real time, because a listener is a real program; the repeats after 10, 100 and
//!   1000 s go by the simulator's clock, each counted from the attempt before.
//! - Only addresses of this computer are called, over plain `http` or not: this is a simulator on loopback,
//!   and what it makes up stays here. Another address fails at once and is in the error log.
//! - `topic` is the topic that was subscribed to, also `requests.*`; `data.requestType` says what it is.
//! - Nothing is sent for a practice whose consent does not stand.
//! - What waits to be sent is not kept over a restart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use url::{Host, Url};

use super::HealthengineSim;
use super::http::Shared;
use super::state::{Consent, SimState, wire_time};
use super::subscriptions::{is_live, text};
use crate::sim::faults::Fault;
use crate::sim::journal::push_bounded;

/// A callback must be answered within this time.
pub const CALLBACK_LIMIT: Duration = Duration::from_secs(5);
/// How long after an attempt that failed the next one comes, in seconds of the simulator's clock.
pub const REPEATS_AFTER_SECONDS: [i64; 3] = [10, 100, 1000];
/// The contract says that there are no callbacks for these at present.
const NEVER_CALLED: [&str; 3] = ["pmsAppointmentChanges", "availableDocuments", "uploadDocuments"];
/// A clock that is moved by hand tells nobody, so it is looked at this often while a repeat waits.
const CLOCK_GLANCE: Duration = Duration::from_millis(50);

/// One event for one subscription.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimDelivery {
    /// Rises with each delivery, over all practices.
    pub number: u64,
    /// Whose event it is.
    pub practice_id: String,
    /// The subscription's id.
    pub subscription_id: String,
    /// The kind of request, such as `bookings`.
    pub kind: String,
    /// Where it goes.
    pub callback_url: String,
    /// The body.
    pub payload: Value,
    /// Each attempt, in order; four at most.
    pub attempts: Vec<DeliveryAttempt>,
    /// How things stand.
    pub state: DeliveryState,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryState {
    /// Waits for its time, or, out of order, for a later event to overtake it.
    Waiting,
    /// Is on its way.
    Sending,
    /// Was answered with 200 in time.
    Acknowledged,
    /// Every attempt failed: only polling finds the request now.
    GivenUp,
    /// A fault lost it before it was sent.
    Lost,
    /// The subscription ended, or the consent did, before it could be sent.
    Dropped,
}

/// One call of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttempt {
    /// When it ended, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// How long it took, in real time.
    pub took: Duration,
    /// What came of it.
    pub result: DeliveryResult,
}

/// What came of calling a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryResult {
    /// 200 in time.
    Acknowledged,
    /// No complete answer in time.
    TimedOut,
    /// Another status.
    Status(u16),
    /// Nobody listens there, or the connection broke.
    Unreachable,
    /// The address is not one of this computer, so it was not called.
    NotThisComputer,
}

impl DeliveryResult {
    /// `errorType` and `errorMessage` of the error log; nothing for a success.
    fn error(self) -> Option<(&'static str, String)> {
        match self {
            Self::Acknowledged => None,
            Self::TimedOut => Some(("timeout", "the callback was not answered in time".to_owned())),
            Self::Status(status) => Some(("status", format!("the callback was answered with {status}"))),
            Self::Unreachable => Some(("connection", "the callback could not be reached".to_owned())),
            Self::NotThisComputer => {
                Some(("address", "the simulator calls addresses of this computer only".to_owned()))
            }
        }
    }
}

/// When a delivery is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    At(DateTime<Utc>),
    /// After the next event of the same subscription.
    Overtaken,
}

/// Deliveries that are made, and those that are not finished.
#[derive(Debug)]
pub(super) struct Deliveries {
    last_number: u64,
    all: VecDeque<SimDelivery>,
    due: BTreeMap<u64, Due>,
    limit: Duration,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { last_number: 0, all: VecDeque::new(), due: BTreeMap::new(), limit: CALLBACK_LIMIT }
    }
}

impl Deliveries {
    fn get_mut(&mut self, number: u64) -> Option<&mut SimDelivery> {
        let first = self.all.front()?.number;
        self.all.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due.values().any(|due| matches!(due, Due::At(at) if *at <= now))
    }

    fn waits_for_the_clock(&self) -> bool {
        self.due.values().any(|due| matches!(due, Due::At(_)))
    }
}

impl HealthengineSim {
    /// Listeners get this long instead of [`CALLBACK_LIMIT`], so that a test of a time-out need not take 5 s.
    pub fn set_callback_limit(&self, limit: Duration) {
        self.change(|state, _| state.deliveries.limit = limit);
    }
}

impl SimState {
    /// Every delivery to a practice's listeners, oldest first (of the last ten thousand of all practices).
    pub fn deliveries<'s>(
        &'s self,
        practice_id: &'s str,
    ) -> impl DoubleEndedIterator<Item = &'s SimDelivery> {
        self.deliveries.all.iter().filter(move |delivery| delivery.practice_id == practice_id)
    }

    /// True when nothing is on its way and nothing waits, repeats included.
    #[must_use]
    pub fn deliveries_are_done(&self) -> bool {
        let sending = |delivery: &SimDelivery| delivery.state == DeliveryState::Sending;
        self.deliveries.due.is_empty() && !self.deliveries.all.iter().any(sending)
    }

    /// Tells the subscriptions of a new request.
    pub(super) fn announce(
        &mut self,
        practice_id: &str,
        kind: &str,
        booking_id: Option<i64>,
        request_id: Option<i64>,
        now: DateTime<Utc>,
    ) {
        let Some(practice) = self.practices.get(practice_id) else { return };
        if NEVER_CALLED.contains(&kind) || !practice.record.shows(kind) {
            return;
        }
        let target = format!("/requests/{kind}");
        let has_list = !matches!(kind, "pmsResources" | "pmsAppointmentTypes");
        let mut data = json!({"target": has_list.then_some(&target), "requestType": kind});
        if let Some(fields) = data.as_object_mut() {
            fields.extend(booking_id.map(|id| ("bookingId".to_owned(), json!(id))));
            fields.extend(request_id.map(|id| ("requestId".to_owned(), json!(id))));
        }
        let listeners: Vec<(String, Value)> = practice
            .record
            .listeners(kind, now)
            .map(|(id, subscription)| (id.clone(), subscription.clone()))
            .collect();
        for (subscription_id, subscription) in listeners {
            let strikes = self.faults.strike_callback(Some(practice_id), "POST", &target);
            let struck = |fault: &Fault| strikes.iter().any(|strike| strike.fault == *fault);
            let payload = json!({
                "timestamp": wire_time(now),
                "id": subscription_id,
                "clientId": subscription.get("clientId"),
                "topic": subscription.get("topic"),
                "data": data,
            });
            let due = if struck(&Fault::OvertakenCallback) { Due::Overtaken } else { Due::At(now) };
            let lost = struck(&Fault::LostCallback);
            for _ in 0..if struck(&Fault::DuplicateCallback) { 2 } else { 1 } {
                self.deliveries.last_number += 1;
                let number = self.deliveries.last_number;
                let delivery = SimDelivery {
                    number,
                    practice_id: practice_id.to_owned(),
                    subscription_id: subscription_id.clone(),
                    kind: kind.to_owned(),
                    callback_url: text(&subscription, "callbackUrl").to_owned(),
                    payload: payload.clone(),
                    attempts: Vec::new(),
                    state: if lost { DeliveryState::Lost } else { DeliveryState::Waiting },
                };
                push_bounded(&mut self.deliveries.all, delivery);
                if !lost {
                    self.deliveries.due.insert(number, due);
                }
            }
        }
    }

    /// Takes what is due at `now`, to be sent.
    fn take_due(&mut self, now: DateTime<Utc>) -> Vec<(SimDelivery, Duration)> {
        let due: Vec<(u64, DateTime<Utc>)> = self
            .deliveries
            .due
            .iter()
            .filter_map(|(number, due)| match due {
                Due::At(at) if *at <= now => Some((*number, *at)),
                Due::At(_) | Due::Overtaken => None,
            })
            .collect();
        let mut taken = Vec::new();
        for (number, at) in due {
            self.deliveries.due.remove(&number);
            let limit = self.deliveries.limit;
            let Some(delivery) = self.deliveries.get_mut(number) else { continue };
            let wanted = self.practices.get(&delivery.practice_id).is_some_and(|practice| {
                let subscription = practice.record.subscriptions.get(&delivery.subscription_id);
                practice.record.consent == Consent::Granted
                    && subscription.is_some_and(|subscription| is_live(subscription, at))
            });
            if wanted {
                delivery.state = DeliveryState::Sending;
                taken.push((delivery.clone(), limit));
            } else {
                delivery.state = DeliveryState::Dropped;
            }
        }
        taken
    }

    /// Notes what came of an attempt, and when the next one is due.
    fn note_attempt(&mut self, number: u64, took: Duration, result: DeliveryResult, now: DateTime<Utc>) {
        let Some(delivery) = self.deliveries.get_mut(number) else { return };
        delivery.attempts.push(DeliveryAttempt { at: now, took, result });
        let attempt = delivery.attempts.len();
        let repeat =
            REPEATS_AFTER_SECONDS.get(attempt - 1).filter(|_| result != DeliveryResult::NotThisComputer);
        let error = result.error();
        delivery.state = match (&error, repeat) {
            (None, _) => DeliveryState::Acknowledged,
            (Some(_), Some(_)) => DeliveryState::Waiting,
            (Some(_), None) => DeliveryState::GivenUp,
        };
        let delivery = delivery.clone();
        if let (Some(_), Some(seconds)) = (&error, repeat) {
            self.deliveries.due.insert(number, Due::At(now + TimeDelta::seconds(*seconds)));
        }
        let of_same_subscription: Vec<u64> = self
            .deliveries
            .all
            .iter()
            .filter(|other| other.subscription_id == delivery.subscription_id && other.number < number)
            .map(|other| other.number)
            .collect();
        for overtaken in of_same_subscription {
            if let Some(due @ Due::Overtaken) = self.deliveries.due.get_mut(&overtaken) {
                *due = Due::At(now);
            }
        }
        let (Some((kind, message)), Some(practice)) = (error, self.practices.get_mut(&delivery.practice_id))
        else {
            return;
        };
        let entry = json!({
            "id": format!("{number}-{attempt}"),
            "timestamp": wire_time(now),
            "subscriptionId": delivery.subscription_id,
            "subscriptionTopic": delivery.payload.get("topic"),
            "clientId": delivery.payload.get("clientId"),
            "callbackUrl": delivery.callback_url,
            "payload": delivery.payload,
            "attempt": attempt,
            "errorType": kind,
            "errorMessage": message,
        });
        push_bounded(&mut practice.callback_errors, entry);
    }
}

/// Sends what is due until `stopped`.
pub async fn deliver(shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let client = match client() {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "the Healthengine simulator cannot call anybody back");
            return;
        }
    };
    let mut changes = shared.state.subscribe();
    let mut sending = JoinSet::new();
    let mut glances = tokio::time::interval(CLOCK_GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = shared.now();
        if shared.state.read(|state| state.deliveries.is_due(now)) {
            for (delivery, limit) in shared.state.change(|state| state.take_due(now)) {
                sending.spawn(send(Arc::clone(&shared), client.clone(), delivery, limit));
            }
        }
        let clock_matters = shared.state.read(|state| state.deliveries.waits_for_the_clock());
        tokio::select! {
            // The sender goes with the simulator's handle, so an error here is the end as well.
            _ = &mut stopped => return,
            _ = changes.changed() => {}
            Some(_) = sending.join_next() => {}
            _ = glances.tick(), if clock_matters => {}
        }
    }
}

fn client() -> reqwest::Result<Client> {
    // Fails only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No certificate is trusted: a listener on this computer that has one is behind its own proxy.
    let no_trust = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent("Healthengine simulator")
        .tls_backend_preconfigured(no_trust)
        .build()
}

async fn send(shared: Arc<Shared>, client: Client, delivery: SimDelivery, limit: Duration) {
    let began = Instant::now();
    let result = if is_of_this_computer(&delivery.callback_url) {
        let request = client.post(&delivery.callback_url).timeout(limit).json(&delivery.payload);
        match request.send().await {
            Ok(answer) if answer.status().as_u16() == 200 => DeliveryResult::Acknowledged,
            Ok(answer) => DeliveryResult::Status(answer.status().as_u16()),
            Err(error) if error.is_timeout() => DeliveryResult::TimedOut,
            Err(_) => DeliveryResult::Unreachable,
        }
    } else {
        DeliveryResult::NotThisComputer
    };
    let now = shared.now();
    shared.state.change(|state| state.note_attempt(delivery.number, began.elapsed(), result, now));
}

fn is_of_this_computer(address: &str) -> bool {
    match Url::parse(address).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
