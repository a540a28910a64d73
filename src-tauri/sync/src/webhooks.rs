//! Whether webhooks can be relied upon, judged by what polls find.
//!
//! A subscription that stands proves nothing, and neither does a delivery by itself. Webhooks are trusted while what a
//! poll finds was announced by one; a booking that a poll finds and that nothing announced within a short while means
//! that they are silent. They are trusted again as soon as one announces what a poll finds.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{ForeignBookingId, ForeignChangeId, PracticeId};
use domain::ports::webhooks::{Announced, Bell, FailedDelivery, ListenerState};
use domain::private::SecretString;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// How often requests are looked for while webhooks are not relied upon (sheet §6).
pub const ALONE: TimeDelta = TimeDelta::seconds(5);
/// How long after a poll found something its webhook may still come: the partner's second try is after ten seconds.
const GRACE: TimeDelta = TimeDelta::seconds(30);
/// For how long the last proof allows the long interval that somebody chose. A quiet hour proves nothing.
const PROOF_LASTS: TimeDelta = TimeDelta::hours(1);
/// How often requests are looked for after that, so that a webhook that got lost leaves enough of the ten minutes in
/// which a request must be answered (sheet §6).
const SAFETY: TimeDelta = TimeDelta::minutes(5);
/// For how long a delivery is remembered that announced something which no poll has found yet.
const REMEMBERED: TimeDelta = TimeDelta::hours(1);
/// How many of them. More than this within an hour announces nothing.
const MOST_REMEMBERED: usize = 1_000;
/// What was found longer ago is new again, should it come back.
const FOUND_REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// How many deliveries wait for the engine at most. What comes in beyond that wakes it all the same.
const MOST_MAIL: usize = 256;

/// What a poll found waiting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// A booking.
    Booking(ForeignBookingId),
    /// A change, and the booking it is about.
    Change(ForeignChangeId, ForeignBookingId),
}

impl Found {
    fn is_announced_by(&self, announced: &Announced) -> bool {
        match (self, announced) {
            (Found::Booking(found), Announced::Booking(announced)) => found == announced,
            (Found::Change(found, _), Announced::Change { change: Some(announced), .. }) => {
                found == announced
            }
            (Found::Change(_, found), Announced::Change { change: None, booking: Some(announced) }) => {
                found == announced
            }
            (Found::Booking(_) | Found::Change(..), _) => false,
        }
    }

    /// The booking.
    pub fn booking(&self) -> &ForeignBookingId {
        match self {
            Found::Booking(booking) | Found::Change(_, booking) => booking,
        }
    }
}

/// How far webhooks are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nothing is known yet.
    #[default]
    Unproven,
    /// Something that a poll found was announced, the last time then.
    Proven(DateTime<Utc>),
    /// Something that a poll found was not announced; since then.
    Silent(DateTime<Utc>),
}

impl Trust {
    /// How long until the next poll, where somebody chose `chosen`.
    pub fn interval(self, chosen: TimeDelta, now: DateTime<Utc>) -> TimeDelta {
        match self {
            // A proof from the future is none: the computer's clock was set back.
            Trust::Proven(at) if (TimeDelta::zero()..=PROOF_LASTS).contains(&(now - at)) => chosen,
            Trust::Proven(_) => chosen.min(SAFETY),
            Trust::Unproven | Trust::Silent(_) => chosen.min(ALONE),
        }
    }
}

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Webhooks are silent: this was found by asking.
    Silent(Found),
    /// They are back.
    Back,
}

/// What is shown about the webhooks of a practice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// Whether the subscription stands.
    pub subscribed: bool,
    /// Until when it does; none while there is none, and for one that does not end.
    pub subscribed_until: Option<DateTime<Utc>>,
    /// How far they are trusted.
    pub trust: Trust,
    /// When something was last delivered.
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// Deliveries that failed within the last day, newest first.
    pub failed: Vec<FailedDelivery>,
    /// Why there is no subscription and what to do, in a sentence.
    pub problem: Option<String>,
}

/// The webhooks of one practice, as it is set up now.
#[derive(Debug, Default)]
pub struct Webhooks {
    callback: Option<SecretString>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Whether the subscription stands.
    subscribed: bool,
    /// The next poll finds what was there before anything could be announced.
    baseline: bool,
    announced: VecDeque<(DateTime<Utc>, Announced)>,
    /// What this pass has found so far.
    finding: Vec<Found>,
    /// What was found before, and when first.
    found: BTreeMap<Found, DateTime<Utc>>,
    /// What was found and is not announced yet, and since when.
    open: BTreeMap<Found, DateTime<Utc>>,
    trust: Trust,
}

impl Webhooks {
    /// Webhooks that come in at this public address; none where they are switched off.
    pub fn at(callback: Option<SecretString>) -> Self {
        Self { callback, memory: Mutex::default() }
    }

    /// The public address that is subscribed.
    pub fn callback(&self) -> Option<&SecretString> {
        self.callback.as_ref()
    }

    fn memory<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far they are trusted.
    pub fn trust(&self) -> Trust {
        self.memory(|memory| memory.trust)
    }

    /// Notes whether the subscription stands. What waited before it did could not be announced.
    pub fn subscribed(&self, stands: bool) {
        self.memory(|memory| {
            memory.baseline |= stands && !memory.subscribed;
            memory.subscribed = stands;
        });
    }

    /// Nothing could be received for a while, so what the next poll finds says nothing.
    pub fn was_deaf(&self) {
        self.memory(|memory| memory.baseline = true);
    }

    /// Notes a delivery.
    pub fn delivered(&self, what: Announced, now: DateTime<Utc>) {
        if matches!(what, Announced::Something | Announced::Book(_)) {
            return;
        }
        self.memory(|memory| {
            memory.announced.retain(|(at, _)| now - *at <= REMEMBERED);
            if memory.announced.len() >= MOST_REMEMBERED {
                memory.announced.pop_front();
            }
            memory.announced.push_back((now, what));
        });
    }

    /// Notes something that the poll which is under way has found.
    pub fn found(&self, what: Found) {
        if self.callback.is_some() {
            self.memory(|memory| memory.finding.push(what));
        }
    }

    /// Compares what the poll has found with what was announced. Returns what people should be told.
    pub fn polled(&self, now: DateTime<Utc>) -> Option<News> {
        self.memory(|memory| memory.polled(now))
    }

    /// How long until the next poll, where somebody chose `chosen`.
    pub fn interval(&self, chosen: TimeDelta, now: DateTime<Utc>) -> TimeDelta {
        self.memory(|memory| {
            let looks_out = !memory.subscribed || !memory.open.is_empty();
            if looks_out { chosen.min(ALONE) } else { memory.trust.interval(chosen, now) }
        })
    }
}

impl Memory {
    fn polled(&mut self, now: DateTime<Utc>) -> Option<News> {
        let finding = std::mem::take(&mut self.finding);
        self.found.retain(|_, at| (TimeDelta::zero()..=FOUND_REMEMBERED).contains(&(now - *at)));
        let judged = self.subscribed && !self.baseline;
        for found in finding {
            if self.found.insert(found.clone(), now).is_none() && judged {
                self.open.insert(found, now);
            }
        }
        self.baseline = false;
        if !self.subscribed {
            self.open.clear();
            return None;
        }
        let announced = &self.announced;
        let before = self.open.len();
        self.open.retain(|found, _| !announced.iter().any(|(_, what)| found.is_announced_by(what)));
        let proven = self.open.len() < before;
        let missed = |at: DateTime<Utc>| !(TimeDelta::zero()..=GRACE).contains(&(now - at));
        let silent = self.open.iter().find(|(_, at)| missed(**at)).map(|(found, _)| found.clone());
        self.open.retain(|_, at| !missed(*at));
        match (silent, self.trust) {
            (Some(_), Trust::Silent(_)) => None,
            (Some(found), Trust::Unproven | Trust::Proven(_)) => {
                self.trust = Trust::Silent(now);
                Some(News::Silent(found))
            }
            (None, Trust::Silent(_)) if proven => {
                self.trust = Trust::Proven(now);
                // What was found while they were silent is no news.
                self.open.clear();
                Some(News::Back)
            }
            (None, Trust::Unproven | Trust::Proven(_)) if proven => {
                self.trust = Trust::Proven(now);
                None
            }
            (None, _) => None,
        }
    }
}

/// What the listener has heard and the engine has not taken up yet.
#[derive(Default)]
pub(crate) struct Mail {
    pub(crate) delivered: BTreeMap<PracticeId, Vec<Announced>>,
    pub(crate) listening: Option<Option<ListenerState>>,
}

/// The bell at the engine's door. However often it rings, the engine is told once until it looks.
pub(crate) struct EngineBell<C> {
    pub(crate) mail: Arc<Mutex<Mail>>,
    /// Weak, so that a bell does not keep an engine running that everybody has left.
    pub(crate) commands: mpsc::WeakSender<C>,
    pub(crate) look: fn() -> C,
}

impl<C: Send> EngineBell<C> {
    fn post(&self, put: impl FnOnce(&mut Mail)) {
        let was_empty = {
            let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = mail.delivered.is_empty() && mail.listening.is_none();
            put(&mut mail);
            was_empty
        };
        // A full queue means that the engine is about to look anyway.
        if was_empty && let Some(commands) = self.commands.upgrade() {
            let _ = commands.try_send((self.look)());
        }
    }
}

impl<C: Send> Bell for EngineBell<C> {
    fn delivered(&self, practice: &PracticeId, what: Announced) {
        self.post(|mail| {
            let waiting = mail.delivered.entry(practice.clone()).or_default();
            if waiting.len() < MOST_MAIL {
                waiting.push(what);
            }
        });
    }

    fn listening(&self, state: Option<ListenerState>) {
        self.post(|mail| mail.listening = Some(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn booking(number: &str) -> Found {
        Found::Booking(ForeignBookingId::new(number))
    }

    fn announces(number: &str) -> Announced {
        Announced::Booking(ForeignBookingId::new(number))
    }

    /// Subscribed, and past the poll that finds what was there before.
    fn listening() -> Webhooks {
        let webhooks = Webhooks::at(Some("https://clinic.example/x".into()));
        webhooks.subscribed(true);
        webhooks.polled(at(0));
        webhooks
    }

    fn find(webhooks: &Webhooks, number: &str, now: i64) -> Option<News> {
        webhooks.found(booking(number));
        webhooks.polled(at(now))
    }

    fn hour(webhooks: &Webhooks, now: i64) -> i64 {
        webhooks.interval(TimeDelta::hours(1), at(now)).num_seconds()
    }

    #[test]
    fn only_a_match_of_delivery_and_poll_proves_anything() {
        let webhooks = listening();
        assert_eq!(hour(&webhooks, 1), 5);
        // Deliveries about nothing that a poll finds, forged or not.
        for number in ["7", "8", "9"] {
            webhooks.delivered(announces(number), at(2));
        }
        webhooks.delivered(Announced::Something, at(2));
        webhooks.polled(at(3));
        assert_eq!((webhooks.trust(), hour(&webhooks, 3)), (Trust::Unproven, 5));
        webhooks.delivered(announces("1"), at(4));
        assert_eq!(find(&webhooks, "1", 5), None);
        assert_eq!((webhooks.trust(), hour(&webhooks, 5)), (Trust::Proven(at(5)), 3600));
    }

    #[test]
    fn a_quiet_hour_shortens_the_interval_and_a_shorter_choice_stays() {
        let webhooks = listening();
        webhooks.delivered(announces("1"), at(1));
        find(&webhooks, "1", 2);
        assert_eq!(hour(&webhooks, 3602), 3600);
        assert_eq!(hour(&webhooks, 3603), 300);
        assert_eq!(webhooks.interval(TimeDelta::seconds(60), at(3603)).num_seconds(), 60);
        assert_eq!(webhooks.interval(TimeDelta::seconds(2), at(3603)).num_seconds(), 2);
        assert_eq!(hour(&webhooks, -100), 300, "the clock was set back");
    }

    #[test]
    fn what_nothing_announced_means_silence_and_the_next_match_ends_it() {
        let webhooks = listening();
        webhooks.delivered(announces("1"), at(1));
        find(&webhooks, "1", 2);
        assert_eq!(find(&webhooks, "2", 10), None, "its webhook may still come");
        assert_eq!(hour(&webhooks, 10), 5, "and is looked out for");
        assert_eq!(find(&webhooks, "2", 40), None);
        assert_eq!(find(&webhooks, "2", 41), Some(News::Silent(booking("2"))));
        assert_eq!((webhooks.trust(), hour(&webhooks, 41)), (Trust::Silent(at(41)), 5));
        assert_eq!(find(&webhooks, "3", 100), None);
        assert_eq!(find(&webhooks, "3", 200), None, "told once");
        find(&webhooks, "5", 201);
        webhooks.delivered(announces("9"), at(201));
        assert_eq!(webhooks.polled(at(202)), None, "about nothing that was found");
        webhooks.delivered(announces("4"), at(203));
        assert_eq!(find(&webhooks, "4", 204), Some(News::Back));
        assert_eq!(hour(&webhooks, 204), 3600);
        assert_eq!(webhooks.polled(at(300)), None, "what was found in the silence is not held against them");
    }

    #[test]
    fn the_second_try_comes_in_time_and_a_repeated_one_changes_nothing() {
        let webhooks = listening();
        find(&webhooks, "1", 2);
        webhooks.delivered(announces("1"), at(12));
        assert_eq!(find(&webhooks, "1", 13), None);
        assert_eq!(webhooks.trust(), Trust::Proven(at(13)));
        for second in 14..400 {
            webhooks.delivered(announces("1"), at(second));
            assert_eq!(find(&webhooks, "1", second), None);
        }
        assert_eq!(webhooks.trust(), Trust::Proven(at(13)), "a repeated delivery is no new proof");
    }

    #[test]
    fn what_waited_before_anything_could_be_heard_is_not_missed() {
        let webhooks = Webhooks::at(Some("https://clinic.example/x".into()));
        assert_eq!(find(&webhooks, "1", 0), None);
        webhooks.subscribed(true);
        assert_eq!(find(&webhooks, "2", 1), None);
        assert_eq!(webhooks.polled(at(100)), None);
        webhooks.was_deaf();
        assert_eq!(find(&webhooks, "3", 4000), None);
        assert_eq!((webhooks.polled(at(4100)), webhooks.trust()), (None, Trust::Unproven));
        // The subscription is gone and comes back.
        webhooks.subscribed(false);
        find(&webhooks, "4", 4200);
        assert_eq!(webhooks.polled(at(4300)), None);
        webhooks.subscribed(true);
        find(&webhooks, "5", 4301);
        assert_eq!(webhooks.polled(at(4400)), None);
        find(&webhooks, "6", 4401);
        assert_eq!(webhooks.polled(at(4432)), Some(News::Silent(booking("6"))));
    }

    #[test]
    fn changes_are_known_by_their_own_number_or_by_their_bookings() {
        let change = |number: Option<&str>, booking: Option<&str>| Announced::Change {
            change: number.map(ForeignChangeId::new),
            booking: booking.map(ForeignBookingId::new),
        };
        let found = Found::Change(ForeignChangeId::new("7"), ForeignBookingId::new("1"));
        assert!(found.is_announced_by(&change(Some("7"), None)));
        assert!(found.is_announced_by(&change(None, Some("1"))));
        assert!(!found.is_announced_by(&change(Some("8"), Some("1"))));
        assert!(!found.is_announced_by(&announces("1")));
        assert!(!booking("1").is_announced_by(&change(None, Some("1"))));
    }

    #[test]
    fn a_flood_is_remembered_up_to_a_limit() {
        let webhooks = listening();
        for number in 0..100_000 {
            webhooks.delivered(announces(&number.to_string()), at(1));
        }
        assert_eq!(webhooks.memory(|memory| memory.announced.len()), MOST_REMEMBERED);
        assert_eq!(find(&webhooks, "99999", 2), None);
        assert_eq!(webhooks.trust(), Trust::Proven(at(2)));
    }
}
