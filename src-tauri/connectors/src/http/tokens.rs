//! Tokens that open a service for a while: fetched for a client's id and secret, in the name of one of the service's
//! users, or in the name of a person who signed in; renewed in time. All but a person's are kept in memory only.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::ports::clock::Clock;
use domain::private::{ExposeSecret, SecretString};
use futures_util::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, Scope, TokenResponse, TokenUrl,
};
use tokio::sync::Mutex;

use super::sign_in::{SignIn, SignInBook};
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
    /// The client's secret. Only a client of [`Grant::Person`] may have none.
    pub client_secret: Option<&'a SecretString>,
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
    /// A person who signed in in the browser (Provet sheet §2).
    Person {
        /// Where the sign-in is kept. It is read before each renewal, because another process may have renewed it.
        book: &'a Arc<dyn SignInBook>,
        /// The time.
        clock: &'a Arc<dyn Clock>,
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
    Person {
        book: Arc<dyn SignInBook>,
        clock: Arc<dyn Clock>,
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
    /// Nobody has signed in, or the sign-in has ended: a person has to sign in.
    #[error("somebody has to sign in")]
    SignInNeeded,
    /// Anything else.
    #[error("no token")]
    Failed(#[source] ReadError),
}

impl From<TokenError> for ReadError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::GrantOff => ReadError::NotAuthorised,
            TokenError::ScopeMissing => ReadError::NoConsent,
            TokenError::SignInNeeded => ReadError::SignInNeeded,
            TokenError::Failed(error) => error,
        }
    }
}

/// The tokens of one account. Accounts with the same credentials share one token, and one request for it.
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    client: TokenAsker,
    grant: KeptGrant,
    kept: Arc<Kept>,
}

/// The client as the library has it.
type TokenAsker = oauth2::Client<
    oauth2::basic::BasicErrorResponse,
    BasicTokenResponse,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What is held for these credentials. Whoever holds the lock fetches for all.
type Kept = Mutex<Held>;

#[derive(Default)]
struct Held {
    /// The token; none until somebody needs one.
    token: Option<Token>,
    /// Of a person's sign-in: the token that was not taken, although it stands in the book.
    refused: Option<SecretString>,
    /// A renewed sign-in that could not be kept yet. It is the only one that works.
    unkept: Option<SignIn>,
    /// A refresh token that was refused. It is not tried again.
    ended: Option<SecretString>,
}

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
    /// The same by the clock, where it is known: this computer may have slept.
    ends_at: Option<DateTime<Utc>>,
}

impl Token {
    /// A token that came at `now`.
    fn new(secret: SecretString, life: Option<Duration>, now: Instant) -> Self {
        let life = life.unwrap_or(SHORT_LIFE).min(LONGEST_LIFE);
        // One that hardly lives is used while it does.
        let used_for = life.checked_sub(RENEW_BEFORE).unwrap_or(life / 2);
        Self { secret, renew_at: now + used_for, ends_at: None }
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

/// Whether a token of a sign-in is good for a while yet.
fn is_good_still(ends_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now + TimeDelta::from_std(RENEW_BEFORE).unwrap_or_default() < ends_at
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

impl Http {
    /// The tokens of an account. Nothing is sent until one is needed. Credentials that are refused are not tried again
    /// by this account within a minute.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the address or the credentials.
    pub fn tokens(&self, client: &TokenClient<'_>) -> Result<Tokens, EndpointError> {
        let client_id = key_text("client id", client.client_id)?;
        let client_secret =
            client.client_secret.map(|secret| key_text("client secret", secret)).transpose()?;
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
            Grant::Person { book, clock } => {
                (KeptGrant::Person { book: book.clone(), clock: clock.clone() }, book.whose())
            }
        };
        if client_secret.is_none() && !matches!(grant, KeptGrant::Person { .. }) {
            return Err(EndpointError::BadHeader("client secret"));
        }
        let credentials =
            fingerprint(&[client.url.trim(), &whose, client_id, client_secret.unwrap_or_default()]);
        let (endpoint, asker) = self.asker(
            client.url,
            (client_id, client_secret),
            match grant {
                KeptGrant::ClientByBasic { .. } | KeptGrant::Person { .. } => AuthType::BasicAuth,
                // Nothing says that the credentials are taken in a header (VALD sheet §2); OpenEMR takes them in both places.
                KeptGrant::Client { .. } | KeptGrant::User { .. } => AuthType::RequestBody,
            },
            &credentials,
        )?;
        let kept = self.tokens.of(&credentials);
        Ok(Tokens { inner: Arc::new(Inner { endpoint, client: asker, grant, kept }) })
    }

    fn asker(
        &self,
        url: &str,
        (client_id, client_secret): (&str, Option<&str>),
        secret_goes: AuthType,
        credentials: &str,
    ) -> Result<(Endpoint, TokenAsker), EndpointError> {
        let url = TokenUrl::new(url.trim().to_owned()).map_err(|_| EndpointError::NotAnAddress)?;
        let mut endpoint = self.endpoint(url.as_str())?.with_shared_key(credentials);
        // Nothing is put behind it, and to some services a slash at its end means another page.
        endpoint.base = url.url().clone();
        let mut client = BasicClient::new(ClientId::new(client_id.to_owned()));
        if let Some(secret) = client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        Ok((endpoint, client.set_auth_type(secret_goes).set_token_uri(url)))
    }

    /// Exchanges the code with which a person came back from the browser.
    pub(super) async fn exchange_code(
        &self,
        (url, client_id, client_secret): (&str, &SecretString, Option<&SecretString>),
        (code, verifier, redirect): (AuthorizationCode, PkceCodeVerifier, RedirectUrl),
        clock: &dyn Clock,
    ) -> Result<SignIn, TokenError> {
        let misset = |error: EndpointError| TokenError::Failed(ReadError::Invalid(error.to_string()));
        let client_id = key_text("client id", client_id).map_err(misset)?;
        let secret =
            client_secret.map(|secret| key_text("client secret", secret)).transpose().map_err(misset)?;
        // A code is good for one request, so that no other refusal stands in its way.
        let once = fingerprint(&[code.secret()]);
        let (endpoint, client) =
            self.asker(url, (client_id, secret), AuthType::BasicAuth, &once).map_err(misset)?;
        let asked = client.exchange_code(code).set_pkce_verifier(verifier);
        let answer = asked.set_redirect_uri(std::borrow::Cow::Owned(redirect)).request_async(&endpoint).await;
        let now = clock.now();
        let answer = answer.map_err(|error| why(error, TokenError::Failed(ReadError::NotAuthorised)))?;
        let refresh = answer.refresh_token().ok_or_else(garbled)?.secret().as_str().into();
        Ok(SignIn { since: now, refresh, access: access(&answer)?, ends_at: ends_at(&answer, now) })
    }
}

fn garbled() -> TokenError {
    TokenError::Failed(ReadError::Garbled(Box::new(NoToken)))
}

/// Why there is no token; `refused` where what was shown for one was not taken.
fn why(
    error: RequestTokenError<ReadError, oauth2::basic::BasicErrorResponse>,
    refused: TokenError,
) -> TokenError {
    match error {
        RequestTokenError::Request(error) => TokenError::Failed(error),
        // Its words may hold anything; what kind of refusal it is says enough.
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            BasicErrorResponseType::UnsupportedGrantType | BasicErrorResponseType::UnauthorizedClient => {
                TokenError::GrantOff
            }
            BasicErrorResponseType::InvalidScope => TokenError::ScopeMissing,
            BasicErrorResponseType::InvalidGrant => refused,
            BasicErrorResponseType::InvalidClient
            | BasicErrorResponseType::InvalidRequest
            | BasicErrorResponseType::Extension(_) => TokenError::Failed(ReadError::NotAuthorised),
        },
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => garbled(),
    }
}

/// The token in an answer. Anything but graphic characters cannot stand in a header.
fn access(answer: &BasicTokenResponse) -> Result<SecretString, TokenError> {
    let secret = answer.access_token().secret().as_str();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(garbled());
    }
    Ok(secret.into())
}

fn ends_at(answer: &BasicTokenResponse, now: DateTime<Utc>) -> DateTime<Utc> {
    let life = answer.expires_in().unwrap_or(SHORT_LIFE).min(LONGEST_LIFE);
    now + TimeDelta::from_std(life).unwrap_or_default()
}

impl Tokens {
    /// A token that is good for now. Whoever asks while one is fetched waits for that one.
    ///
    /// # Errors
    /// [`ReadError::NotAuthorised`] where the credentials are refused, [`ReadError::NoConsent`] where they open too
    /// little, [`ReadError::SignInNeeded`] where a person has to sign in.
    pub async fn current(&self) -> Result<SecretString, ReadError> {
        Ok(self.good().await?)
    }

    /// The same, for whoever wants to say more exactly why there is none.
    ///
    /// # Errors
    /// [`TokenError`] says why.
    pub async fn good(&self) -> Result<SecretString, TokenError> {
        let KeptGrant::Person { .. } = self.inner.grant else { return self.inner.good().await };
        // Whoever asked may have no patience left; but a sign-in that is renewed has to be kept, or it is lost.
        let inner = Arc::clone(&self.inner);
        let renewed = tokio::spawn(async move { inner.good().await });
        renewed.await.map_err(|ended| TokenError::Failed(ReadError::Unreachable(Box::new(ended))))?
    }

    /// Uses a token no more that was not taken. Somebody else may have a newer one already, which stays.
    pub async fn forget(&self, refused: &SecretString) {
        let mut held = self.inner.kept.lock().await;
        if held.token.as_ref().is_some_and(|token| same(&token.secret, refused)) {
            held.token = None;
        }
        if let KeptGrant::Person { .. } = self.inner.grant {
            held.refused = Some(refused.clone());
        }
    }

    /// Fetches no token any more.
    pub fn retire(&self) {
        self.inner.endpoint.retire(super::NOTHING);
    }
}

impl Inner {
    async fn good(&self) -> Result<SecretString, TokenError> {
        let mut held = self.kept.lock().await;
        if let Some(token) = held.token.as_ref().filter(|token| self.is_good(token)) {
            return Ok(token.secret.clone());
        }
        // Unless this succeeds, there is none.
        held.token = None;
        let token = match &self.grant {
            KeptGrant::Person { book, clock } => {
                self.of_person(&mut held, book.as_ref(), clock.as_ref()).await?
            }
            KeptGrant::Client { .. } | KeptGrant::ClientByBasic { .. } | KeptGrant::User { .. } => {
                self.fetch().await?
            }
        };
        Ok(held.token.insert(token).secret.clone())
    }

    fn is_good(&self, token: &Token) -> bool {
        let by_the_clock = match (&self.grant, token.ends_at) {
            (KeptGrant::Person { clock, .. }, Some(ends_at)) => is_good_still(ends_at, clock.now()),
            (_, _) => true,
        };
        by_the_clock && token.is_good(Instant::now())
    }

    /// The token of a person's sign-in as it stands in the book, renewed where its time has come. Each renewal replaces
    /// the sign-in, and the new one is in the book before its token is used.
    async fn of_person(
        &self,
        held: &mut Held,
        book: &dyn SignInBook,
        clock: &dyn Clock,
    ) -> Result<Token, TokenError> {
        let unreadable = |cause| TokenError::Failed(ReadError::Unreachable(cause));
        // Another process may renew it at the same moment; then what it kept is looked at once more.
        for _ in 0..2 {
            let sign_in = match held.unkept.take() {
                Some(unkept) => {
                    keep(held, book, &unkept).await;
                    Some(unkept)
                }
                None => book.newest().await.map_err(unreadable)?,
            };
            let Some(sign_in) = sign_in else { return Err(TokenError::SignInNeeded) };
            let is_refused = held.refused.as_ref().is_some_and(|refused| same(refused, &sign_in.access));
            if !is_refused && is_good_still(sign_in.ends_at, clock.now()) {
                return Ok(token_of(&sign_in, clock.now()));
            }
            if held.ended.as_ref().is_some_and(|ended| same(ended, &sign_in.refresh)) {
                return Err(TokenError::SignInNeeded);
            }
            if !book.renews() {
                let why = "a sign-in is renewed by the program that runs, not by one that only looks";
                return Err(unreadable(why.into()));
            }
            let refresh = RefreshToken::new(sign_in.refresh.expose_secret().to_owned());
            let answer = self.client.exchange_refresh_token(&refresh).request_async(&self.endpoint).await;
            let answer: BasicTokenResponse =
                match answer.map_err(|error| why(error, TokenError::SignInNeeded)) {
                    Err(TokenError::SignInNeeded) => {
                        held.ended = Some(sign_in.refresh);
                        continue;
                    }
                    answer => answer?,
                };
            let now = clock.now();
            // An answer that names no other goes on with the former one.
            let next =
                answer.refresh_token().map(|next| next.secret().as_str()).filter(|next| !next.is_empty());
            let access = access(&answer);
            let ends_at = if access.is_ok() { ends_at(&answer, now) } else { now };
            let renewed = SignIn {
                since: sign_in.since,
                refresh: next.map_or(sign_in.refresh, SecretString::from),
                access: access.as_ref().cloned().unwrap_or_else(|_| SecretString::from("")),
                ends_at,
            };
            held.refused = None;
            keep(held, book, &renewed).await;
            // Whatever else is wrong with the answer, the former refresh token may be spent.
            access?;
            return Ok(token_of(&renewed, now));
        }
        Err(TokenError::SignInNeeded)
    }

    async fn fetch(&self) -> Result<Token, TokenError> {
        let client = &self.client;
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
            KeptGrant::Person { .. } => return Err(TokenError::SignInNeeded),
        };
        let answer = answer.map_err(|error| why(error, TokenError::Failed(ReadError::NotAuthorised)))?;
        if let (KeptGrant::User { needed, .. }, Some(granted)) = (&self.grant, answer.scopes())
            && !granted.iter().any(|scope| needed.iter().any(|begins| scope.starts_with(begins)))
        {
            return Err(TokenError::ScopeMissing);
        }
        Ok(Token::new(access(&answer)?, answer.expires_in(), Instant::now()))
    }
}

/// Puts a renewed sign-in into the book. Where that fails it is held, because the former one does not work any more, and
/// kept with the next token.
async fn keep(held: &mut Held, book: &dyn SignInBook, sign_in: &SignIn) {
    if let Err(cause) = book.keep(sign_in).await {
        tracing::error!(%cause, "A renewed sign-in could not be kept; it is tried again.");
        held.unkept = Some(sign_in.clone());
    }
}

fn token_of(sign_in: &SignIn, now: DateTime<Utc>) -> Token {
    let life = (sign_in.ends_at - now).to_std().unwrap_or_default();
    let token = Token::new(sign_in.access.clone(), Some(life), Instant::now());
    Token { ends_at: Some(sign_in.ends_at), ..token }
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
