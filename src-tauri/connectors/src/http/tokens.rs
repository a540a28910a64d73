//! Tokens that open a service for a while: fetched for a client's id and secret, or in the name of one of the service's
//! users, kept in memory only, renewed in time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use domain::failure::ReadError;
use domain::private::{ExposeSecret, SecretString};
use futures_util::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, Scope, TokenResponse, TokenUrl,
};
use tokio::sync::Mutex;

use super::{Endpoint, EndpointError, Http, fingerprint, key_text};

/// A token is renewed this long before its end, so that none ends on its way (VALD sheet §2).
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// Believed of a token that does not say how long it lasts.
const SHORT_LIFE: Duration = Duration::from_secs(300);

/// No token is believed to last longer.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who asks for tokens, and where.
pub struct TokenClient<'a> {
    /// The address that gives tokens out.
    pub url: &'a str,
    /// The client's id. Kept like a secret.
    pub client_id: &'a SecretString,
    /// The client's secret.
    pub client_secret: &'a SecretString,
    /// In whose name.
    pub grant: Grant<'a>,
}

/// In whose name tokens are asked for.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The client's own; everything stands in the form (VALD sheet §2).
    Client {
        /// What the tokens are for, in the parameter `audience`.
        audience: &'a str,
    },
    /// The client's own, its id and secret by HTTP Basic (Provet sheet §2).
    ClientByBasic {
        /// What the tokens are for, in the parameter `scope`.
        scope: &'a str,
    },
    /// A user of the service, by name and password.
    User {
        /// The user's name.
        name: &'a str,
        /// The user's password.
        password: &'a SecretString,
        /// A parameter of the service's own, with its value.
        extra: (&'static str, &'static str),
        /// What is asked for.
        scopes: &'static [&'static str],
        /// Of that, what a token is of no use without: one of the scopes that were granted begins with one of these. A
        /// service that does not say what it granted is believed.
        needed: &'static [&'static str],
    },
}

/// The same, kept.
enum KeptGrant {
    Client {
        audience: String,
    },
    ClientByBasic {
        scope: String,
    },
    User {
        name: String,
        password: SecretString,
        extra: (&'static str, &'static str),
        scopes: &'static [&'static str],
        needed: &'static [&'static str],
    },
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The service gives none in this way: it is switched off, or not allowed to this client.
    #[error("tokens are not given out in this way")]
    GrantOff,
    /// The client is not registered for what is asked for.
    #[error("the client is not registered for what it asks")]
    ScopeMissing,
    /// Anything else.
    #[error("no token")]
    Failed(#[source] ReadError),
}

impl From<TokenError> for ReadError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::GrantOff => ReadError::NotAuthorised,
            TokenError::ScopeMissing => ReadError::NoConsent,
            TokenError::Failed(error) => error,
        }
    }
}

/// The tokens of one account. Accounts with the same credentials share one token, and one request for it.
pub struct Tokens {
    endpoint: Endpoint,
    url: TokenUrl,
    client_id: SecretString,
    client_secret: SecretString,
    grant: KeptGrant,
    kept: Arc<Kept>,
}

/// The token of these credentials; none until somebody needs one. Whoever holds the lock fetches it for all.
type Kept = Mutex<Option<Token>>;

/// The tokens of all credentials that are in use.
#[derive(Default)]
pub struct AllKept(std::sync::Mutex<BTreeMap<String, Weak<Kept>>>);

impl AllKept {
    fn of(&self, credentials: &str) -> Arc<Kept> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| kept.strong_count() > 0);
        if let Some(kept) = all.get(credentials).and_then(Weak::upgrade) {
            return kept;
        }
        let kept = Arc::default();
        all.insert(credentials.to_owned(), Arc::downgrade(&kept));
        kept
    }
}

struct Token {
    secret: SecretString,
    renew_at: Instant,
}

impl Token {
    /// A token that came at `now`.
    fn new(secret: SecretString, life: Option<Duration>, now: Instant) -> Self {
        let life = life.unwrap_or(SHORT_LIFE).min(LONGEST_LIFE);
        // One that hardly lives is used while it does.
        let used_for = life.checked_sub(RENEW_BEFORE).unwrap_or(life / 2);
        Self { secret, renew_at: now + used_for }
    }

    fn is_good(&self, now: Instant) -> bool {
        now < self.renew_at
    }
}

/// An answer without a token in it. Its words are left out: they may hold one.
#[derive(Debug, thiserror::Error)]
#[error("no usable token in the answer")]
struct NoToken;

/// The library sends through our own client, with its deadlines, and never follows a redirect.
impl<'c> AsyncHttpClient<'c> for Endpoint {
    type Error = ReadError;
    type Future = BoxFuture<'c, Result<HttpResponse, ReadError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.relay_for_token(request))
    }
}

impl Http {
    /// The tokens of an account. Nothing is sent until one is needed. Credentials that are refused are not tried again
    /// by this account within a minute.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the address or the credentials.
    pub fn tokens(&self, client: &TokenClient<'_>) -> Result<Tokens, EndpointError> {
        let client_id = key_text("client id", client.client_id)?;
        let client_secret = key_text("client secret", client.client_secret)?;
        let (grant, whose) = match client.grant {
            Grant::Client { audience } => {
                (KeptGrant::Client { audience: audience.to_owned() }, audience.to_owned())
            }
            Grant::ClientByBasic { scope } => {
                (KeptGrant::ClientByBasic { scope: scope.to_owned() }, scope.to_owned())
            }
            Grant::User { name, password, extra, scopes, needed } => {
                let grant = KeptGrant::User {
                    name: name.to_owned(),
                    password: password.clone(),
                    extra,
                    scopes,
                    needed,
                };
                (grant, fingerprint(&[name, password.expose_secret()]))
            }
        };
        let credentials = fingerprint(&[client.url.trim(), &whose, client_id, client_secret]);
        let url = TokenUrl::new(client.url.trim().to_owned()).map_err(|_| EndpointError::NotAnAddress)?;
        let mut endpoint = self.endpoint(client.url)?.with_shared_key(&credentials);
        // Nothing is put behind it, and to some services a slash at its end means another page.
        endpoint.base = url.url().clone();
        Ok(Tokens {
            endpoint,
            url,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            grant,
            kept: self.tokens.of(&credentials),
        })
    }
}

impl Tokens {
    /// A token that is good for now. Whoever asks while one is fetched waits for that one.
    ///
    /// # Errors
    /// [`ReadError::NotAuthorised`] where the credentials are refused, [`ReadError::NoConsent`] where they open too
    /// little.
    pub async fn current(&self) -> Result<SecretString, ReadError> {
        Ok(self.good().await?)
    }

    /// The same, for whoever wants to say more exactly why there is none.
    ///
    /// # Errors
    /// [`TokenError`] says why.
    pub async fn good(&self) -> Result<SecretString, TokenError> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.is_good(Instant::now())) {
            return Ok(token.secret.clone());
        }
        // Unless this succeeds, there is none.
        *kept = None;
        let token = self.fetch().await?;
        Ok(kept.insert(token).secret.clone())
    }

    /// Uses a token no more that was not taken. Somebody else may have a newer one already, which stays.
    pub async fn forget(&self, refused: &SecretString) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|token| token.secret.expose_secret() == refused.expose_secret()) {
            *kept = None;
        }
    }

    /// Fetches no token any more.
    pub fn retire(&self) {
        self.endpoint.retire(super::NOTHING);
    }

    async fn fetch(&self) -> Result<Token, TokenError> {
        let client = BasicClient::new(ClientId::new(self.client_id.expose_secret().to_owned()))
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            .set_auth_type(match self.grant {
                KeptGrant::ClientByBasic { .. } => AuthType::BasicAuth,
                // Nothing says that the credentials are taken in a header (VALD sheet §2); OpenEMR takes them in both places.
                KeptGrant::Client { .. } | KeptGrant::User { .. } => AuthType::RequestBody,
            })
            .set_token_uri(self.url.clone());
        let answer: Result<BasicTokenResponse, _> = match &self.grant {
            KeptGrant::Client { audience } => {
                let asked = client.exchange_client_credentials().add_extra_param("audience", audience);
                asked.request_async(&self.endpoint).await
            }
            KeptGrant::ClientByBasic { scope } => {
                let asked = client.exchange_client_credentials().add_scope(Scope::new(scope.clone()));
                asked.request_async(&self.endpoint).await
            }
            KeptGrant::User { name, password, extra: (key, value), scopes, .. } => {
                let name = ResourceOwnerUsername::new(name.clone());
                let password = ResourceOwnerPassword::new(password.expose_secret().to_owned());
                let asked = client.exchange_password(&name, &password).add_extra_param(*key, *value);
                let scopes = scopes.iter().map(|scope| Scope::new((*scope).to_owned()));
                asked.add_scopes(scopes).request_async(&self.endpoint).await
            }
        };
        let garbled = || TokenError::Failed(ReadError::Garbled(Box::new(NoToken)));
        let answer = answer.map_err(|error| match error {
            RequestTokenError::Request(error) => TokenError::Failed(error),
            // Its words may hold anything; what kind of refusal it is says enough.
            RequestTokenError::ServerResponse(refused) => match refused.error() {
                BasicErrorResponseType::UnsupportedGrantType | BasicErrorResponseType::UnauthorizedClient => {
                    TokenError::GrantOff
                }
                BasicErrorResponseType::InvalidScope => TokenError::ScopeMissing,
                BasicErrorResponseType::InvalidClient
                | BasicErrorResponseType::InvalidGrant
                | BasicErrorResponseType::InvalidRequest
                | BasicErrorResponseType::Extension(_) => TokenError::Failed(ReadError::NotAuthorised),
            },
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => garbled(),
        })?;
        if let (KeptGrant::User { needed, .. }, Some(granted)) = (&self.grant, answer.scopes())
            && !granted.iter().any(|scope| needed.iter().any(|begins| scope.starts_with(begins)))
        {
            return Err(TokenError::ScopeMissing);
        }
        let secret = answer.access_token().secret().as_str();
        // Anything else cannot stand in a header.
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(garbled());
        }
        Ok(Token::new(secret.into(), answer.expires_in(), Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_a_minute_before_its_end() {
        let now = Instant::now();
        for (says, used_for) in [
            (Some(7200), 7140),
            (Some(61), 1),
            (Some(60), 0),
            (Some(30), 15),
            (Some(0), 0),
            (None, 240),
            (Some(u64::MAX), 24 * 3600 - 60),
        ] {
            let token = Token::new("t".into(), says.map(Duration::from_secs), now);
            assert_eq!(token.renew_at, now + Duration::from_secs(used_for), "{says:?}");
            assert!(!token.is_good(token.renew_at));
            assert_eq!(token.is_good(now), used_for > 0);
        }
    }

    #[test]
    fn only_those_with_the_same_credentials_share_a_token() {
        let all = AllKept::default();
        let first = all.of("one");
        assert!(Arc::ptr_eq(&first, &all.of("one")));
        assert!(!Arc::ptr_eq(&first, &all.of("another")));
        drop(first);
        // What nobody uses any more is not kept in memory.
        let _ = all.of("another");
        assert!(!all.0.lock().unwrap().contains_key("one"));
    }
}
