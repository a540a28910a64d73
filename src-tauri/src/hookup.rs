//! Registrations that Provet Cloud sends by itself (contract sheet §2): they come in on the listener, at an address that
//! somebody at the desk asked for, and wait until somebody accepts or refuses them. Whoever knows the address can send
//! one, so that nothing is used before: a practice that is linked already keeps its credentials unless the new ones work.

use crate::compose::SystemSecrets;
use crate::desktop::Desk;
use crate::inputs;
use crate::present::instant;
use crate::sign_in;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{ErrorCode, RegistrationView, SystemAddress, UiError};
use crate::webhook_path;
use async_trait::async_trait;
use connectors::http::fingerprint;
use connectors::practices::provet;
use domain::ports::clock::Clock;
use domain::ports::store::{Leg, Problem, SettingsBook, StoreError, Vault};
use domain::ports::webhooks::{Registrar, Taken};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{PracticeSettings, Registration, SecretKind, SecretName};
use std::sync::Arc;
use store::Store;
use sync::flows::error_chain;

/// Keeps what comes in for somebody at the desk.
pub struct Hookup {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl Hookup {
    /// One that keeps it in this store.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl Registrar for Hookup {
    async fn take(&self, body: &[u8]) -> Taken {
        let read = provet::hookup::read(&String::from_utf8_lossy(body));
        let read = match read {
            Ok(read) if read.token_url.is_none() => read,
            Ok(_) => {
                tracing::warn!(
                    "A registration came in that names an unusual address for tokens; it was turned away."
                );
                return Taken::Refused;
            }
            Err(wrong) => {
                tracing::warn!(cause = %wrong, "What came in as a registration is none.");
                return Taken::Refused;
            }
        };
        let number = read.provet_id.to_string();
        let secret = read.client_secret.unwrap_or_else(|| SecretString::from(""));
        let way_back = read.redirect_url.as_deref().unwrap_or_default();
        let id = fingerprint(&[&read.host, &number, &read.client_id, secret.expose_secret(), way_back]);
        let registration = Registration {
            id,
            received_at: self.clock.now(),
            host: read.host,
            provet_id: read.provet_id,
            client_id: read.client_id,
            redirect_url: read.redirect_url,
        };
        match self.store.keep_registration(registration, secret).await {
            Ok(true) => Taken::Waits,
            Ok(false) => {
                tracing::warn!("Too many registrations wait; one more was turned away.");
                Taken::Later
            }
            Err(error) => {
                tracing::error!(cause = error_chain(&error), "A registration could not be kept.");
                Taken::Later
            }
        }
    }
}

/// The practice that is linked with the account of a registration.
fn linked<'p>(practices: &'p [PracticeSettings], of: &Registration) -> Option<&'p PracticeSettings> {
    practices.iter().find(|practice| {
        let account = practice.system.provet.as_ref();
        practice.system.url == of.host && account.is_some_and(|account| account.provet_id == of.provet_id)
    })
}

/// Those that wait, as the window shows them: everything but the secret.
pub async fn waiting(store: &Store) -> Result<Vec<RegistrationView>, StoreError> {
    let practices = store.practices().await?;
    let waiting = store.registrations().await?.into_iter();
    Ok(waiting
        .map(|registration| RegistrationView {
            practice: linked(&practices, &registration).map(|practice| practice.name.clone()),
            received_at: instant(registration.received_at),
            id: registration.id,
            host: registration.host,
            provet_id: registration.provet_id.to_string(),
            client_id: registration.client_id,
        })
        .collect())
}

/// The address to which Provet may send registrations from now on. It is a secret, so it stands in no view.
pub async fn address(desk: &Desk, public: &str) -> Result<String, UiError> {
    let public = inputs::web_address(public)
        .map_err(|wrong| failure(ErrorCode::AddressInvalid, format!("Public address: {wrong}.")))?;
    let store = desk.running()?.store();
    if store.app_settings().await?.listener.is_none() {
        return Err(bad_input("Nothing is received yet: switch on receiving webhooks in Settings first."));
    }
    let name = SecretName::of_hookup_path();
    let path = match store.secret(&name).await? {
        Some(path) => path,
        None => {
            let path = webhook_path::new().map_err(|error| failure(ErrorCode::Unknown, error.to_string()))?;
            store.keep_secret(&name, path.clone()).await?;
            path
        }
    };
    Ok(format!("{public}/{}", path.expose_secret()))
}

/// Forgets a registration. Another may still come in.
pub async fn refuse(desk: &Desk, id: &str) -> Result<(), UiError> {
    forget(&desk.running()?.store(), id).await?;
    desk.look_again();
    Ok(())
}

async fn forget(store: &Store, id: &str) -> Result<(), UiError> {
    if store.forget_registration(id).await? { Ok(()) } else { Err(gone()) }
}

fn gone() -> UiError {
    bad_input("This registration does not wait any more: somebody accepted or refused it.")
}

/// Accepts a registration. The practice that is linked with that account goes on with the new credentials, where these
/// work; where none is, what the form shows is answered, and the registration waits until the practice is linked.
pub async fn accept(desk: &Desk, id: &str) -> Result<Option<SystemAddress>, UiError> {
    let running = desk.running()?;
    let store = running.store();
    let waiting = store.registrations().await?;
    let registration = waiting.into_iter().find(|known| known.id == id).ok_or_else(gone)?;
    let Some(mut settings) = linked(&store.practices().await?, &registration).cloned() else {
        return Ok(Some(SystemAddress::Provet {
            host: registration.host,
            provet_id: registration.provet_id.to_string(),
            client_id: registration.client_id,
            webhook_url: String::new(),
            redirect_url: registration.redirect_url.unwrap_or_default(),
        }));
    };
    let secret = secret_of(&store, id).await?;
    if let Some(account) = &mut settings.system.provet {
        account.client_id = registration.client_id;
        account.token_url = None;
        account.redirect_url = registration.redirect_url;
    }
    let as_person = sign_in::is_needed(&settings.system);
    if as_person {
        // Whether they work is only known once somebody has signed in with them.
        sign_in::sign_in(desk, None, &settings.system, Some(&secret)).await?;
    }
    let connections = running.home.connections();
    let misset = |problem: Problem| failure(ErrorCode::InputInvalid, problem.sentence);
    let others = connections.system_secrets(&settings.id).await.map_err(misset)?;
    let book = desk.sign_ins().held_for(&settings.system);
    let secrets = SystemSecrets { password: Some(secret.clone()), sign_in: book, ..others };
    let system = connections.sockets().practice_system(&settings, secrets).map_err(misset)?;
    system.check().await.map_err(|error| of_connection(Leg::System, &error))?;
    let name = SecretName::of(&settings.id, SecretKind::SystemPassword);
    let secret = Some(secret).filter(|secret| !secret.expose_secret().is_empty());
    let sign_in = SecretName::of(&settings.id, SecretKind::SystemSignIn);
    let kept = desk.sign_ins().to_keep(&settings.system).filter(|_| as_person);
    store.link_practice(&settings, vec![(name, secret), (sign_in, kept)]).await?;
    desk.sign_ins().let_go();
    done(&store, id).await?;
    running.engine.nudge(Some(settings.id));
    desk.look_again();
    Ok(None)
}

/// The secret of a registration that waits.
pub async fn secret_of(store: &Store, id: &str) -> Result<SecretString, UiError> {
    store.secret(&SecretName::of_registration(id)).await?.ok_or_else(gone)
}

/// Forgets a registration that was taken up, and closes the door: what was waited for has come.
pub async fn done(store: &Store, id: &str) -> Result<(), UiError> {
    store.forget_secret(&SecretName::of_hookup_path()).await?;
    forget(store, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use serde_json::{Value, json};

    fn registration(number: u32, secret: &str) -> Value {
        json!({
            "provet_id": number, "client_id": "a-client", "client_secret": secret, "algorithm": null,
            "authorization_grant_type": "client-credentials", "client_type": "confidential", "redirect_uris": "",
            "token_url": format!("https://us.provetcloud.com/{number}/oauth2/token/"),
            "authorize_url": format!("https://us.provetcloud.com/{number}/oauth2/authorize/"),
            "openid_autodiscovery_url": null,
        })
    }

    #[tokio::test]
    async fn a_registration_waits_once_with_its_secret_and_what_is_none_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("the.key");
        std::fs::write(&key, "07".repeat(32)).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let folder = crate::compose::DataFolder::choose(Some(dir.path().join("data"))).unwrap();
        let source = store::KeySource::File(key);
        let store = crate::compose::Home::open(folder, &source, Arc::new(SystemClock)).unwrap().store();
        let hookup = Hookup::new(store.clone(), Arc::new(SystemClock));
        let take = async |value: &Value| hookup.take(value.to_string().as_bytes()).await;

        assert_eq!(hookup.take(b"").await, Taken::Refused);
        assert_eq!(hookup.take(&[0xff, 0xfe]).await, Taken::Refused);
        let mut forged = registration(9999, "s3cret");
        forged["token_url"] = json!("https://elsewhere.example/oauth2/token/");
        assert_eq!(take(&forged).await, Taken::Refused, "not Provet's");
        let mut unusual = registration(9999, "s3cret");
        unusual["token_url"] = json!("https://us.provetcloud.com/other/token/");
        assert_eq!(take(&unusual).await, Taken::Refused);
        assert!(waiting(&store).await.unwrap().is_empty());

        assert_eq!(take(&registration(9999, "s3cret")).await, Taken::Waits);
        assert_eq!(take(&registration(9999, "s3cret")).await, Taken::Waits, "it came again");
        let shown = waiting(&store).await.unwrap();
        assert_eq!(shown.len(), 1);
        assert_eq!((shown[0].provet_id.as_str(), shown[0].practice.as_deref()), ("9999", None));
        assert!(!format!("{shown:?}").contains("s3cret"));
        assert_eq!(secret_of(&store, &shown[0].id).await.unwrap().expose_secret(), "s3cret");

        for number in 1..=4 {
            assert_eq!(take(&registration(number, "s3cret")).await, Taken::Waits);
        }
        assert_eq!(take(&registration(5, "s3cret")).await, Taken::Later, "somebody has to look first");
        let id = shown[0].id.clone();
        store.keep_secret(&SecretName::of_hookup_path(), "path".into()).await.unwrap();
        done(&store, &id).await.unwrap();
        assert!(store.secret(&SecretName::of_registration(&id)).await.unwrap().is_none());
        assert!(store.secret(&SecretName::of_hookup_path()).await.unwrap().is_none(), "the door is closed");
        assert!(done(&store, &id).await.is_err());
        assert_eq!(take(&registration(5, "s3cret")).await, Taken::Waits);
    }
}
