//! The requests: tokens, pace, paths, and what a failure means for this partner.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignProfileId, ProfileGroupId};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::ValdSettings;
use futures_util::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponse};
use oauth2::{AuthType, ClientId, ClientSecret, RequestTokenError, TokenResponse, TokenUrl};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{SetupError, wire};
use crate::http::{Endpoint, Haste, Http, Turn, Turns};

/// A token is renewed this long before its end (contract sheet §2).
const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// Believed of a token that does not say how long it lasts.
const SHORT_LIFE: Duration = Duration::from_secs(300);
/// VALD says nothing of how long to wait after a 429; this is long enough (contract sheet §5).
const PATIENCE: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// One organisation at VALD.
pub struct Client {
    profiles: Endpoint,
    tenants: Endpoint,
    tokens: Endpoint,
    token_url: TokenUrl,
    client_id: SecretString,
    client_secret: SecretString,
    audience: String,
    tenant_id: String,
    fingerprint: String,
    token: Mutex<Option<Token>>,
    turns: Turns,
    apart: Duration,
}

struct Token {
    secret: SecretString,
    renew_at: Instant,
}

/// Which of the two services.
#[derive(Clone, Copy)]
enum Service {
    Profiles,
    Tenants,
}

impl Client {
    pub fn new(
        settings: &ValdSettings,
        client_id: &SecretString,
        client_secret: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        let trimmed = |secret: &SecretString| SecretString::from(secret.expose_secret().trim());
        let (client_id, client_secret) = (trimmed(client_id), trimmed(client_secret));
        let mut hash = Sha256::new();
        for part in [
            settings.tenant_id.as_str(),
            &settings.token_url,
            &settings.audience,
            &settings.profile_url,
            &settings.tenants_url,
            client_id.expose_secret(),
            client_secret.expose_secret(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let fingerprint: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        // A token that has run out is no refusal of the credentials, so that only the token service is left alone for a
        // while after it said no.
        Ok(Self {
            profiles: http.endpoint(&settings.profile_url)?.with_plain_bodies(),
            tenants: http.endpoint(&settings.tenants_url)?,
            tokens: http.endpoint(&settings.token_url)?.with_shared_key(&fingerprint),
            token_url: TokenUrl::new(settings.token_url.clone()).map_err(|_| SetupError::TokenAddress)?,
            audience: settings.audience.clone(),
            tenant_id: settings.tenant_id.clone(),
            turns: http.turns(&format!("{} {}", settings.profile_url, settings.tenant_id)),
            apart: settings.between_requests.to_std().unwrap_or_default(),
            token: Mutex::default(),
            client_id,
            client_secret,
            fingerprint,
        })
    }

    /// A short text that differs whenever addresses, organisation or credentials differ, and tells none of them.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// Sends nothing any more.
    pub fn retire(&self) {
        for endpoint in [&self.profiles, &self.tenants, &self.tokens] {
            endpoint.retire("nothing");
        }
    }

    /// The organisations that these credentials may work with.
    pub async fn tenants(&self) -> Result<Vec<wire::Tenant>, ReadError> {
        let answer: Option<wire::Tenants> = self.read(Service::Tenants, &["tenants"], &[]).await?;
        Ok(answer.map(|answer| answer.tenants).unwrap_or_default())
    }

    pub async fn groups(&self) -> Result<Vec<wire::Group>, ReadError> {
        let query = [("TenantId", self.tenant_id.as_str())];
        let answer: Option<wire::Groups> = self.read(Service::Tenants, &["groups"], &query).await?;
        Ok(answer.map(|answer| answer.groups).unwrap_or_default())
    }

    /// Profiles of the organisation; none is an answer without a body (contract sheet §9).
    pub async fn profiles(&self, narrowed: &[(&str, &str)]) -> Result<Vec<wire::Profile>, ReadError> {
        let mut query = vec![("TenantId", self.tenant_id.as_str())];
        query.extend_from_slice(narrowed);
        let answer: Option<wire::Profiles> = self.read(Service::Profiles, &["profiles"], &query).await?;
        Ok(answer.map(|answer| answer.profiles).unwrap_or_default())
    }

    /// Creates or replaces a profile; what VALD finds wrong with it, or none.
    pub async fn import(&self, import: &wire::Import) -> Result<Option<wire::Problem>, WriteError> {
        self.tell(|endpoint| {
            Box::pin(async move {
                endpoint.write_unless_refused(&["profiles", "import"], import, Haste::Normal).await
            })
        })
        .await
    }

    pub async fn add_to_groups(
        &self,
        profile: &ForeignProfileId,
        groups: &[ProfileGroupId],
    ) -> Result<(), WriteError> {
        let body = wire::GroupMembership {
            tenant_id: &self.tenant_id,
            profile_id: profile.as_str(),
            group_ids: groups.iter().map(ProfileGroupId::as_str).collect(),
        };
        let body = &body;
        self.tell(|endpoint| {
            Box::pin(async move { endpoint.write(&["profiles", "groups"], Some(body), Haste::Normal).await })
        })
        .await
    }

    /// Removes the sync ids of the whole organisation, and of nothing but profiles (contract sheet §9).
    pub async fn forget_former_links(&self) -> Result<(), WriteError> {
        let tenant_id = self.tenant_id.as_str();
        self.tell(|endpoint| {
            Box::pin(async move {
                endpoint.delete(&["profiles", "syncids"], &[("tenantId", tenant_id)], Haste::Normal).await
            })
        })
        .await
    }

    /// Reads with a token, and once more with a new one where the first is not taken.
    async fn read<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<T>, ReadError> {
        let _turn = self.turn().await;
        let endpoint = self.with_token(service).await?;
        let first = endpoint.read_if_any(path, query, Haste::Normal).await;
        if !matches!(first, Err(ReadError::NotAuthorised)) {
            return first.map_err(patient);
        }
        self.drop_token().await;
        let endpoint = self.with_token(service).await?;
        endpoint.read_if_any(path, query, Haste::Normal).await.map_err(patient)
    }

    /// Writes profiles likewise. A token that was not taken means that nothing was written.
    async fn tell<'a, T>(
        &'a self,
        write: impl Fn(Endpoint) -> BoxFuture<'a, Result<T, WriteError>> + Send,
    ) -> Result<T, WriteError> {
        let _turn = self.turn().await;
        let patient = |error| match error {
            WriteError::Untouched(error) => WriteError::Untouched(patient(error)),
            WriteError::Unknown(error) => WriteError::Unknown(patient(error)),
            WriteError::Refused(refusal) => WriteError::Refused(refusal),
        };
        let endpoint = self.with_token(Service::Profiles).await.map_err(WriteError::Untouched)?;
        let first = write(endpoint).await;
        if !matches!(first, Err(WriteError::Untouched(ReadError::NotAuthorised))) {
            return first.map_err(patient);
        }
        self.drop_token().await;
        let endpoint = self.with_token(Service::Profiles).await.map_err(WriteError::Untouched)?;
        write(endpoint).await.map_err(patient)
    }

    async fn turn(&self) -> Turn {
        self.turns.next(self.apart).await
    }

    async fn drop_token(&self) {
        *self.token.lock().await = None;
    }

    async fn with_token(&self, service: Service) -> Result<Endpoint, ReadError> {
        let endpoint = match service {
            Service::Profiles => &self.profiles,
            Service::Tenants => &self.tenants,
        };
        let mut known = self.token.lock().await;
        let token = match known.as_ref().filter(|token| Instant::now() < token.renew_at) {
            Some(token) => token.secret.clone(),
            None => {
                // Whoever waits for the lock finds the new one.
                let token = self.fetch_token().await?;
                known.insert(token).secret.clone()
            }
        };
        let bearer = SecretString::from(format!("Bearer {}", token.expose_secret()));
        endpoint
            .clone()
            .secret_header("authorization", "token", &bearer)
            .map_err(|error| ReadError::Garbled(error.into()))
    }

    async fn fetch_token(&self) -> Result<Token, ReadError> {
        let oauth = BasicClient::new(ClientId::new(self.client_id.expose_secret().to_owned()))
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(self.token_url.clone());
        // The library tells of a failure in its own words; ours are kept beside it.
        let heard: Arc<std::sync::Mutex<Option<Heard>>> = Arc::default();
        let relay = |request: oauth2::HttpRequest| {
            let (tokens, heard) = (self.tokens.clone(), heard.clone());
            async move {
                let answer = tokens.relay(request).await;
                let outcome = match &answer {
                    Ok(answer) => Heard::Status(answer.status().as_u16()),
                    Err(_) => Heard::Nothing,
                };
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                answer
            }
        };
        let answer = oauth
            .exchange_client_credentials()
            .add_extra_param("audience", &self.audience)
            .request_async(&relay)
            .await;
        let status = match heard.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Heard::Status(status)) => status,
            Some(Heard::Nothing) | None => 0,
        };
        match answer {
            Ok(token) => {
                let life = token.expires_in().unwrap_or(SHORT_LIFE);
                // One that hardly lives is used while it does.
                let life = life.checked_sub(RENEW_BEFORE).unwrap_or(life / 2);
                let secret = SecretString::from(token.access_token().secret().as_str());
                Ok(Token { secret, renew_at: Instant::now() + life })
            }
            Err(RequestTokenError::Request(error)) => Err(error),
            Err(error) => Err(of_token(status, error)),
        }
    }
}

/// What the token service answered.
enum Heard {
    Status(u16),
    Nothing,
}

/// Why there is no token. The service explains little (contract sheet §9): whatever it refuses is the credentials.
fn of_token(status: u16, error: RequestTokenError<ReadError, BasicErrorResponse>) -> ReadError {
    match status {
        400..=403 => ReadError::NotAuthorised,
        404 => ReadError::NotFound,
        429 | 503 => ReadError::SlowDown { retry_after: Some(PATIENCE) },
        500.. => ReadError::Unreachable(Box::new(NoToken(status))),
        _ => match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(_) => ReadError::NotAuthorised,
            // Its words quote the answer, which may hold a token.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                ReadError::Garbled(Box::new(NoToken(status)))
            }
        },
    }
}

/// The token service did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("no token in the answer of the token service ({0})")]
struct NoToken(u16);

/// VALD's 429 does not say for how long.
fn patient(mut error: ReadError) -> ReadError {
    if let ReadError::SlowDown { retry_after } = &mut error {
        retry_after.get_or_insert(PATIENCE);
    }
    error
}
