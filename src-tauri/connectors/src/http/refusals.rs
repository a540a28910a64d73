//! Whom not to ask for a while: a practice whose consent is missing (403), and a key that was refused (401).
//!
//! A key can be shared by several accounts. A 401 does not say whether the shared key was refused or what belongs to
//! one account alone. So after the first refusal the others are asked once; where a second one is refused, all of them
//! stop, and one request a minute tries the key for all. Where another is answered, the first stands alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::ports::clock::Clock;

/// Who refused is asked again no earlier (`interface.md`), unless the settings changed meanwhile.
const ASK_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What was refused to whom, for all accounts of this program.
#[derive(Clone)]
pub struct Refusals {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    accounts: u64,
    keys: BTreeMap<String, Key>,
}

/// A key that accounts share.
#[derive(Default)]
struct Key {
    /// Who was refused since anybody was last answered.
    refused: BTreeSet<u64>,
    /// Who was refused although others were answered: what is wrong with them is not the key.
    on_their_own: BTreeSet<u64>,
    /// When the key was last tried for all of them.
    refused_at: Option<DateTime<Utc>>,
}

/// How one account stands. A new one, after settings changed, may ask at once.
pub struct Standing {
    refusals: Refusals,
    key: String,
    account: u64,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    /// Each kind of request has been sent once, so that a person who enters keys is told of each what is wrong (HE-02).
    asked: BTreeSet<String>,
    refused: Option<(DateTime<Utc>, No)>,
}

/// Which no it was.
#[derive(Clone, Copy)]
enum No {
    Key,
    Consent,
}

impl No {
    fn error(self) -> ReadError {
        match self {
            No::Key => ReadError::NotAuthorised,
            No::Consent => ReadError::NoConsent,
        }
    }
}

impl Refusals {
    /// Nothing was refused yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// A new account that shares `key`.
    pub fn account(&self, key: &str) -> Standing {
        let mut known = self.known();
        known.accounts += 1;
        let account = known.accounts;
        drop(known);
        Standing { refusals: self.clone(), key: key.to_owned(), account, own: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a refusal still counts. One from the future does not: the clock was set back.
fn lately(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..ASK_AGAIN_AFTER).contains(&(now - at))
}

impl Standing {
    /// Whether a request of this kind, the first piece of its path, may go out now.
    ///
    /// # Errors
    /// What was answered last, where it is too early to ask again.
    pub fn ask(&self, kind: &str) -> Result<(), ReadError> {
        let now = self.refusals.clock.now();
        let mut own = self.own();
        if !own.asked.contains(kind) {
            own.asked.insert(kind.to_owned());
            return Ok(());
        }
        if let Some((at, no)) = own.refused {
            if lately(at, now) {
                return Err(no.error());
            }
            // Several kinds of work may ask at the same moment: this request asks for all of them.
            own.refused = Some((now, no));
        }
        let mut known = self.refusals.known();
        let Some(key) = known.keys.get_mut(&self.key) else { return Ok(()) };
        if key.refused.len() < 2 || key.on_their_own.contains(&self.account) {
            return Ok(());
        }
        if key.refused_at.is_some_and(|at| lately(at, now)) {
            return Err(ReadError::NotAuthorised);
        }
        // This request tries the key for all; the others wait for its answer.
        key.refused_at = Some(now);
        Ok(())
    }

    /// Takes note of the status of an answer.
    pub fn heard(&self, status: u16) {
        let now = self.refusals.clock.now();
        let mut known = self.refusals.known();
        let key = known.keys.entry(self.key.clone()).or_default();
        let refused = match status {
            401 => {
                if !key.on_their_own.contains(&self.account) {
                    key.refused.insert(self.account);
                    key.refused_at = Some(now);
                }
                Some((now, No::Key))
            }
            // Whoever has trouble of their own does not say anything about the key.
            500.. | 408 | 429 => return,
            answered => {
                key.refused.remove(&self.account);
                let alone = std::mem::take(&mut key.refused);
                key.on_their_own.extend(alone);
                key.on_their_own.remove(&self.account);
                (answered == 403).then_some((now, No::Consent))
            }
        };
        drop(known);
        self.own().refused = refused;
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// Seconds since 1970, moved by hand.
    #[derive(Default)]
    pub struct Seconds(pub AtomicI64);

    #[async_trait::async_trait]
    impl Clock for Seconds {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
        }

        async fn sleep_until(&self, _: DateTime<Utc>) {}
    }

    /// Asks every five seconds for an hour, and counts the requests of each account.
    fn hour(clock: &Seconds, accounts: &[(&Standing, u16)]) -> Vec<usize> {
        let mut sent = vec![0; accounts.len()];
        for _ in 0..720 {
            clock.0.fetch_add(5, Ordering::SeqCst);
            // All of them ask before the first one is answered.
            let asking: Vec<bool> =
                accounts.iter().map(|(account, _)| account.ask("requests").is_ok()).collect();
            for (number, (account, status)) in accounts.iter().enumerate() {
                if asking[number] {
                    sent[number] += 1;
                    account.heard(*status);
                }
            }
        }
        sent
    }

    #[test]
    fn a_refused_key_is_tried_once_a_minute_for_all_who_share_it() {
        let clock = Arc::new(Seconds::default());
        let refusals = Refusals::new(clock.clone());
        let accounts = [(); 5].map(|()| refusals.account("key"));
        let all: Vec<_> = accounts.iter().map(|account| (account, 200)).collect();
        assert_eq!(hour(&clock, &all).iter().sum::<usize>(), 5 * 720);
        let all: Vec<_> = accounts.iter().map(|account| (account, 401)).collect();
        let sent: usize = hour(&clock, &all).iter().sum();
        assert!((55..=65).contains(&sent), "{sent}");
        // The first one that is answered speaks for all of them.
        let all: Vec<_> = accounts.iter().map(|account| (account, 200)).collect();
        let sent = hour(&clock, &all);
        assert!(sent.iter().all(|sent| *sent >= 700), "{sent:?}");
    }

    #[test]
    fn who_is_refused_alone_stops_alone() {
        let clock = Arc::new(Seconds::default());
        let refusals = Refusals::new(clock.clone());
        let [consent, key, fine, other] = ["key", "key", "key", "other"].map(|key| refusals.account(key));
        let sent = hour(&clock, &[(&consent, 403), (&key, 401), (&fine, 200), (&other, 200)]);
        assert!((59..=61).contains(&sent[0]) && (59..=61).contains(&sent[1]), "{sent:?}");
        assert_eq!(sent[2..], [720, 720]);
    }

    #[test]
    fn of_several_that_ask_at_once_one_goes_out() {
        let clock = Arc::new(Seconds::default());
        let account = Refusals::new(clock.clone()).account("key");
        assert!(account.ask("requests").is_ok() && account.ask("config").is_ok());
        account.heard(403);
        for _ in 0..10 {
            clock.0.fetch_add(60, Ordering::SeqCst);
            let sent = ["requests", "config"].map(|kind| account.ask(kind).is_ok());
            assert_eq!(sent, [true, false]);
            account.heard(403);
        }
    }

    #[test]
    fn a_new_account_may_ask_at_once() {
        let clock = Arc::new(Seconds::default());
        let refusals = Refusals::new(clock.clone());
        let [first, second] = ["key", "key"].map(|key| refusals.account(key));
        hour(&clock, &[(&first, 401), (&second, 401)]);
        assert!(refusals.account("key").ask("requests").is_ok());
        assert!(refusals.account("another").ask("requests").is_ok());
    }
}
