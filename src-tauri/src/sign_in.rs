//! People who sign in to a practice system in the browser: the sign-in that waits, and where it is kept.
//!
//! For a practice that is linked the sign-in is kept at once. For one that is being linked it is held here, in memory,
//! until the practice is saved with the very account for which somebody signed in.

use crate::desktop::Desk;
use crate::system_open;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{ErrorCode, UiError};
use async_trait::async_trait;
use connectors::http::sign_in::{SignIn, SignInBook, SignInError};
use connectors::practices::provet::{self, SignInSetupError};
use domain::failure::Cause;
use domain::ids::PracticeId;
use domain::ports::store::{Leg, Vault};
use domain::private::SecretString;
use domain::settings::{PracticeSettings, SecretKind, SecretName, SystemSettings};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use sync::flows::error_chain;
use tokio::sync::Notify;

/// Somebody who has to look a password up, and the second factor with it, is done by then.
const LIMIT: Duration = Duration::from_secs(300);

/// Whether a person has to sign in to this practice's system.
pub fn is_needed(system: &SystemSettings) -> bool {
    system.provet.as_ref().is_some_and(|account| account.redirect_url.is_some())
}

/// What a sign-in is for. Another of these needs another sign-in.
fn account(system: &SystemSettings) -> Option<(String, u32, String, Option<String>)> {
    let account = system.provet.as_ref().filter(|account| account.redirect_url.is_some())?;
    Some((
        system.url.clone(),
        account.provet_id,
        account.client_id.trim().to_owned(),
        account.token_url.clone(),
    ))
}

/// Whether the sign-in that is kept for `before` goes on with `settings`.
pub fn goes_on(system: &SystemSettings, before: Option<&PracticeSettings>) -> bool {
    let now = account(system);
    now.is_some() && before.is_some_and(|before| account(&before.system) == now)
}

/// The sign-in of a practice, in our records.
pub struct KeptSignIn {
    store: Arc<Store>,
    name: SecretName,
    whose: String,
    renews: bool,
}

impl KeptSignIn {
    /// That of `practice`, which stands as `kept` now.
    pub fn new(store: Arc<Store>, practice: &PracticeId, kept: Option<&SecretString>, renews: bool) -> Self {
        let since = kept.and_then(SignIn::of_secret).map(|sign_in| sign_in.since.to_rfc3339());
        let whose = format!("{practice} {}", since.unwrap_or_default());
        Self { store, name: SecretName::of(practice, SecretKind::SystemSignIn), whose, renews }
    }
}

#[async_trait]
impl SignInBook for KeptSignIn {
    fn whose(&self) -> String {
        self.whose.clone()
    }

    async fn newest(&self) -> Result<Option<SignIn>, Cause> {
        Ok(self.store.secret(&self.name).await?.as_ref().and_then(SignIn::of_secret))
    }

    async fn keep(&self, renewed: &SignIn) -> Result<(), Cause> {
        // Somebody may have signed in anew meanwhile, or the practice may be unlinked.
        match self.newest().await? {
            Some(kept) if kept.since == renewed.since => {
                Ok(self.store.keep_secret(&self.name, renewed.to_secret()).await?)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn renews(&self) -> bool {
        self.renews
    }
}

/// A sign-in that is held in memory until the practice is saved.
struct Held {
    account: (String, u32, String, Option<String>),
    sign_in: Mutex<SignIn>,
}

#[async_trait]
impl SignInBook for Held {
    fn whose(&self) -> String {
        format!("not linked yet {}", self.now().since.to_rfc3339())
    }

    async fn newest(&self) -> Result<Option<SignIn>, Cause> {
        Ok(Some(self.now()))
    }

    async fn keep(&self, renewed: &SignIn) -> Result<(), Cause> {
        *self.sign_in.lock().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
        Ok(())
    }

    fn renews(&self) -> bool {
        true
    }
}

impl Held {
    fn now(&self) -> SignIn {
        self.sign_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The sign-ins of this window: at most one is waited for, and one is held.
#[derive(Default)]
pub struct SignIns {
    held: Mutex<Option<Arc<Held>>>,
    cancel: Notify,
    waiting: tokio::sync::Mutex<()>,
}

impl SignIns {
    /// The sign-in that is held for this account; none where none is.
    pub fn held_for(&self, system: &SystemSettings) -> Option<Arc<dyn SignInBook>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (account(system).as_ref() == Some(&held.account)).then_some(held as Arc<dyn SignInBook>)
    }

    /// The same, to be kept with the practice.
    pub fn to_keep(&self, system: &SystemSettings) -> Option<SecretString> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (account(system).as_ref() == Some(&held.account)).then(|| held.now().to_secret())
    }

    /// It is kept elsewhere now.
    pub fn let_go(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn hold(&self, system: &SystemSettings, sign_in: SignIn) {
        let held = account(system).map(|account| Arc::new(Held { account, sign_in: Mutex::new(sign_in) }));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Gives the sign-in up that is waited for.
    pub fn cancel(&self) {
        self.cancel.notify_waiters();
    }
}

/// Opens the browser and waits for whoever signs in there. `before` is the practice as it is stored, and `secret` the
/// client's.
pub async fn sign_in(
    desk: &Desk,
    before: Option<&PracticeSettings>,
    system: &SystemSettings,
    secret: Option<&SecretString>,
) -> Result<(), UiError> {
    let sign_ins = desk.sign_ins();
    // Whoever begins anew has given the former one up.
    sign_ins.cancel();
    let _one_at_a_time = sign_ins.waiting.lock().await;
    let account = system.provet.as_ref().filter(|account| account.redirect_url.is_some());
    let account = account.ok_or_else(|| bad_input("This practice system asks nobody to sign in."))?;
    let running = desk.running()?;
    let connections = running.home.connections();
    let http = &connections.sockets().http;
    let asking =
        provet::ask_to_sign_in(&system.url, account, secret, http).await.map_err(|error| match error {
            SignInSetupError::Setup(error) => bad_input(format!("{error}.")),
            SignInSetupError::SignIn(error) => said(&error),
        })?;
    let cancelled = sign_ins.cancel.notified();
    system_open::open(asking.page().as_str()).await?;
    let clock = desk.clock();
    let sign_in = tokio::select! {
        ended = asking.answered(LIMIT, clock.as_ref()) => ended.map_err(|error| said(&error))?,
        () = cancelled => return Err(failure(ErrorCode::SignInNeeded, "The sign-in was given up.")),
    };
    let stored = before.filter(|before| self::account(&before.system) == self::account(system));
    match stored {
        Some(practice) => {
            let name = SecretName::of(&practice.id, SecretKind::SystemSignIn);
            running.store().keep_secret(&name, sign_in.to_secret()).await?;
            sign_ins.let_go();
            running.engine.nudge(Some(practice.id.clone()));
            desk.look_again();
        }
        None => sign_ins.hold(system, sign_in),
    }
    Ok(())
}

/// What is said of a sign-in that did not work.
fn said(error: &SignInError) -> UiError {
    tracing::info!(cause = error_chain(error), "Nobody was signed in.");
    match error {
        SignInError::Redirect => failure(
            ErrorCode::AddressInvalid,
            "The address for coming back begins with http://127.0.0.1, with a path and nothing behind it.",
        ),
        SignInError::Port(_) => failure(
            ErrorCode::SignInNeeded,
            "Another program uses the port in the address for coming back. End it, or register another port with Provet \
             and enter it here.",
        ),
        SignInError::Declined => failure(
            ErrorCode::SignInNeeded,
            "The sign-in was declined in the browser, so nothing was changed. Sign in again if that was a mistake.",
        ),
        SignInError::TurnedAway => failure(
            ErrorCode::SignInNeeded,
            "Provet Cloud does not take the question. Compare the client id, and ask Provet whether people may sign in with \
             this application.",
        ),
        SignInError::TimedOut => failure(
            ErrorCode::SignInNeeded,
            "Nobody came back from the browser within five minutes. If Provet Cloud showed an error there, the address for \
             coming back may not be registered; otherwise sign in again.",
        ),
        SignInError::NoToken(error) => of_connection(Leg::System, error),
        SignInError::Endpoint(error) => bad_input(format!("{error}.")),
    }
}

#[cfg(test)]
mod tests;
