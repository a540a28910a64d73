//! Consent and keys: how a practice's connection begins, changes and ends, and what each practice has sent.

use super::HealthengineSim;
use super::state::{Consent, DeskRefusal, Exchange, SimState};

impl HealthengineSim {
    /// The practice grants or withdraws its consent. Without it, every call of the practice is 403.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn set_consent(&self, practice_id: &str, consent: Consent) -> Result<(), DeskRefusal> {
        self.change(|state, _| {
            state.practice_mut(practice_id)?.record.consent = consent;
            Ok(())
        })
    }

    /// Healthengine revokes a vendor's key: every call with it is 401, whichever practice it is for.
    pub fn refuse_api_key(&self, api_key: &str) {
        self.change(|state, _| state.refused_api_keys.insert(api_key.to_owned()));
    }

    /// Takes [`Self::refuse_api_key`] back.
    pub fn accept_api_key(&self, api_key: &str) {
        self.change(|state, _| state.refused_api_keys.remove(api_key));
    }

    /// The consent gets another `practice-key`; the former one is 401 at once.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn replace_practice_key(&self, practice_id: &str, practice_key: &str) -> Result<(), DeskRefusal> {
        self.change(|state, _| {
            state.practice_mut(practice_id)?.settings.practice_key = practice_key.to_owned();
            Ok(())
        })
    }

    /// The practice's vendor gets another `api-key`, as when it moves from tests to live; the former one is
    /// 401 for this practice at once.
    ///
    /// # Errors
    /// When there is no such practice.
    pub fn replace_api_key(&self, practice_id: &str, api_key: &str) -> Result<(), DeskRefusal> {
        self.change(|state, _| {
            state.practice_mut(practice_id)?.settings.api_key = api_key.to_owned();
            Ok(())
        })
    }
}

impl SimState {
    /// Whether the practice's consent stands.
    #[must_use]
    pub fn consent(&self, practice_id: &str) -> Option<Consent> {
        self.practices.get(practice_id).map(|practice| practice.record.consent)
    }

    /// Everything that came with this practice's id, refused or not, oldest first.
    pub fn exchanges_of<'s>(&'s self, practice_id: &'s str) -> impl DoubleEndedIterator<Item = &'s Exchange> {
        self.exchanges().filter(move |exchange| exchange.practice_id.as_deref() == Some(practice_id))
    }

    /// The number of the last request of anybody. What comes later has a higher one, so that a test can
    /// prove that nothing came: `exchanges_of(old).all(|exchange| exchange.number <= last)`.
    #[must_use]
    pub fn last_exchange(&self) -> u64 {
        self.exchanges().next_back().map(|exchange| exchange.number).unwrap_or_default()
    }
}
