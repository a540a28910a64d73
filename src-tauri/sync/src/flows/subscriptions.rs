//! Keeps exactly one subscription of ours at whoever tells us, the partner or the practice system, while webhooks are
//! switched on, and none while they are not.
//!
//! A pass reads what stands there and puts it right: it needs no memory of what it did before. Subscriptions of others
//! are left alone.

use super::{Flow, FlowName, Outcome, Ports, error_chain};
use crate::health;
use crate::pace;
use crate::webhooks::{WebhookState, Webhooks};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, WriteError};
use domain::ids::PracticeId;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{Leg, Mark, Store, StoreError};
use domain::ports::webhooks::{FailedDelivery, Subscription, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// For how long a subscription is made. One that cannot be removed ends by itself by then.
const LASTS: TimeDelta = TimeDelta::days(7);
/// It is renewed when less than this is left of it.
const RENEWED_BEFORE: TimeDelta = TimeDelta::hours(84);
/// How often it is looked whether it still stands.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(10);
/// How soon a look that failed is repeated at the earliest.
const AFTER_FAILURE: TimeDelta = TimeDelta::minutes(1);
/// Where webhooks are switched off there is nothing to look at.
const NEVER: TimeDelta = TimeDelta::days(1);
/// How far back failed deliveries are shown.
const FAILED_SINCE: TimeDelta = TimeDelta::hours(24);
/// How many of them are kept.
const MOST_FAILED: usize = 200;
/// The mark of a subscription that may stand at the partner.
const SUBSCRIPTION: &str = "webhook/subscription";

/// The mark of one at the practice system.
const BOOK_SUBSCRIPTION: &str = "webhook/book";

/// Whoever delivers webhooks.
#[derive(Clone)]
pub enum Teller {
    /// The partner, about what waits.
    Partner(Arc<dyn Partner>),
    /// The practice system, about its book.
    System(Arc<dyn PracticeSystem>),
}

impl Teller {
    fn desk(&self) -> Option<&dyn WebhookDesk> {
        match self {
            Self::Partner(partner) => partner.webhook_desk(),
            Self::System(practice) => practice.webhook_desk(),
        }
    }

    /// A short text that differs whenever the account differs.
    pub fn account(&self) -> Option<String> {
        self.desk().map(WebhookDesk::keeps_at)
    }

    /// The flow that keeps its subscription.
    pub fn flow(&self) -> FlowName {
        match self {
            Self::Partner(_) => FlowName::Subscriptions,
            Self::System(_) => FlowName::BookSubscriptions,
        }
    }

    fn mark(&self) -> &'static str {
        match self {
            Self::Partner(_) => SUBSCRIPTION,
            Self::System(_) => BOOK_SUBSCRIPTION,
        }
    }

    fn leg(&self) -> Leg {
        match self {
            Self::Partner(_) => Leg::Desk,
            Self::System(_) => Leg::System,
        }
    }
}

/// The subscription of one practice.
pub struct Subscriptions {
    ports: Ports,
    teller: Teller,
    failing_since: Mutex<Option<DateTime<Utc>>>,
}

/// Why a pass ended early.
enum Stopped {
    Partner(ReadError),
    Store(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Store(error)
    }
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        Stopped::Partner(error)
    }
}

impl From<WriteError> for Stopped {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Untouched(error) | WriteError::Unknown(error) => Stopped::Partner(error),
            WriteError::Refused(why) => Stopped::Partner(ReadError::Invalid(why.to_string())),
        }
    }
}

#[async_trait]
impl Flow for Subscriptions {
    fn name(&self) -> FlowName {
        self.teller.flow()
    }

    async fn pass(&self) -> Outcome {
        let ended = self.run().await;
        let now = self.ports.clock.now();
        let again_at = match ended {
            Ok(again_after) => {
                *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
                now + again_after
            }
            Err(Stopped::Partner(error)) => self.failed(&error, now),
            Err(Stopped::Store(error)) => {
                self.ports.store_failed(&error);
                now + AFTER_FAILURE
            }
        };
        Outcome { again_at, wake: BTreeSet::new() }
    }
}

impl Subscriptions {
    /// The flow, if the practice has a partner that delivers webhooks.
    pub fn new(ports: Ports) -> Option<Self> {
        let partner = ports.partner.clone()?;
        Self::of(ports, Teller::Partner(partner))
    }

    /// The flow, if the practice system delivers webhooks.
    pub fn of_book(ports: Ports) -> Option<Self> {
        let practice = ports.practice.clone();
        Self::of(ports, Teller::System(practice))
    }

    fn of(ports: Ports, teller: Teller) -> Option<Self> {
        teller.desk()?;
        Some(Self { ports, teller, failing_since: Mutex::default() })
    }

    fn webhooks(&self) -> &Webhooks {
        match &self.teller {
            Teller::Partner(_) => &self.ports.webhooks,
            Teller::System(_) => &self.ports.book_webhooks,
        }
    }

    /// One pass. Returns after how long the next one is due.
    async fn run(&self) -> Result<TimeDelta, Stopped> {
        let Some(desk) = self.teller.desk() else { return Ok(NEVER) };
        let Some(callback) = self.webhooks().callback() else {
            let mark = self.teller.mark();
            if self.ports.store.marks(self.ports.id(), mark).await?.is_empty() {
                return Ok(NEVER);
            }
            remove(self.ports.store.as_ref(), self.ports.id(), desk, mark).await?;
            return Ok(NEVER);
        };
        let subscribed_until = self.subscribe(desk, callback).await?;
        self.webhooks().subscribed(true);
        let failed = self.failed_deliveries(desk).await?;
        self.show(|shown| {
            shown.subscribed = true;
            shown.subscribed_until = subscribed_until;
            shown.failed = failed;
            shown.problem = None;
        });
        Ok(LOOK_EVERY)
    }

    /// Makes sure that exactly one subscription of ours stands, and returns until when; none is until it is removed.
    async fn subscribe(
        &self,
        desk: &dyn WebhookDesk,
        callback: &SecretString,
    ) -> Result<Option<DateTime<Utc>>, Stopped> {
        let now = self.ports.clock.now();
        let fits = |known: &Subscription| {
            known.covers_everything
                && known.callback.expose_secret() == callback.expose_secret()
                // One that never ends would outlive us, should nobody remove it; so it is left alone only where all do.
                && match known.expires_at {
                    Some(at) => (RENEWED_BEFORE..=LASTS).contains(&(at - now)),
                    None => !desk.subscriptions_end(),
                }
        };
        let (ours, theirs): (Vec<_>, Vec<_>) =
            desk.subscriptions().await?.into_iter().partition(|known| known.is_ours);
        let by_hand = !desk.subscriptions_end() && theirs.iter().any(fits);
        let mut kept = by_hand.then_some(None);
        for known in ours {
            if kept.is_none() && fits(&known) {
                kept = Some(known.expires_at);
            } else {
                desk.unsubscribe(&known.id).await?;
            }
        }
        if let Some(until) = kept {
            return Ok(until);
        }
        // Before it is made, so that one whose answer gets lost is removed all the same.
        let mark = Mark { thing: self.teller.mark().into(), digest: desk.keeps_at(), at: now };
        self.ports.store.set_marks(self.ports.id(), &[mark]).await?;
        let until = now + LASTS;
        desk.subscribe(callback, until).await?;
        let until = desk.subscriptions_end().then_some(until);
        tracing::info!(practice.id = %self.ports.id(), ?until, "Subscribed to webhooks.");
        Ok(until)
    }

    async fn failed_deliveries(&self, desk: &dyn WebhookDesk) -> Result<Vec<FailedDelivery>, Stopped> {
        let now = self.ports.clock.now();
        let mut failed = desk.failed_deliveries(now - FAILED_SINCE, now).await?;
        failed.sort_by_key(|failed| std::cmp::Reverse(failed.at));
        failed.truncate(MOST_FAILED);
        Ok(failed)
    }

    /// Notes that the partner could not be worked with, and returns when to try again. What the light shows is the
    /// bookings' to say; without a subscription they are asked for every few seconds.
    fn failed(&self, error: &ReadError, now: DateTime<Utc>) -> DateTime<Utc> {
        let (since, is_new) = {
            let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
            (*since.get_or_insert(now), since.is_none())
        };
        if is_new {
            tracing::warn!(practice.id = %self.ports.id(), cause = error_chain(error), "The subscription to webhooks could not be looked at.");
        }
        let problem = health::problem(self.teller.leg(), error).sentence;
        self.show(|shown| shown.problem = Some(problem));
        pace::after(error, AFTER_FAILURE, since, now)
    }

    fn show(&self, change: impl FnOnce(&mut WebhookState)) {
        self.ports.state.change_practice(self.ports.id(), |practice| {
            let shown = match &self.teller {
                Teller::Partner(_) => &mut practice.webhooks,
                Teller::System(_) => &mut practice.book_webhooks,
            };
            if let Some(shown) = shown {
                change(shown);
            }
        });
    }
}

/// Ends every subscription of ours, and remembers that there is none.
async fn remove(
    store: &dyn Store,
    practice: &PracticeId,
    desk: &dyn WebhookDesk,
    mark: &str,
) -> Result<(), Stopped> {
    for known in desk.subscriptions().await?.into_iter().filter(|known| known.is_ours) {
        desk.unsubscribe(&known.id).await?;
    }
    store.forget_marks(practice, mark).await?;
    tracing::info!(practice.id = %practice, "Webhooks are not subscribed to any more.");
    Ok(())
}

/// Ends the subscriptions that were made with an account which is left: the practice is unlinked or switched off, or has
/// other keys. Tried once; where it fails they end by themselves.
pub async fn say_goodbye(store: &dyn Store, practice: &PracticeId, teller: &Teller) {
    let Some(desk) = teller.desk() else { return };
    let cause = match remove(store, practice, desk, teller.mark()).await {
        Ok(()) => return,
        Err(Stopped::Partner(error)) => error_chain(&error),
        Err(Stopped::Store(error)) => error_chain(&error),
    };
    let what = if desk.subscriptions_end() {
        "The subscription to webhooks could not be removed. It ends by itself within a week."
    } else {
        "The webhooks that we made could not be removed. Delete those named \"Clinic Companion\" in the practice system."
    };
    tracing::warn!(practice.id = %practice, cause, "{what}");
}
