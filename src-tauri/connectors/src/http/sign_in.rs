//! Signing in as a person: the browser shows the service's own page, and comes back to an address on this computer
//! (RFC 8252, with PKCE after RFC 7636). We never see the password.

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{Request, Response, StatusCode};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::failure::{Cause, ReadError};
use domain::ports::clock::Clock;
use domain::private::{ExposeSecret, SecretString};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use super::{EndpointError, Http, TokenError};

/// A browser opens a few connections at once; more than these are not one.
const MOST_AT_ONCE: usize = 16;
/// A browser on this computer has sent its request by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sign-in of a person, as the service gave it and renewed it since.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// When the person signed in.
    pub since: DateTime<Utc>,
    /// With it the next token is fetched. Often good for one use.
    pub refresh: SecretString,
    /// The token.
    pub access: SecretString,
    /// Until when it is good.
    pub ends_at: DateTime<Utc>,
}

impl SignIn {
    /// As it is kept in the vault.
    pub fn to_secret(&self) -> SecretString {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (refresh, access) = (self.refresh.expose_secret(), self.access.expose_secret());
        let kept = serde_json::json!({
            "since": time(self.since), "refresh": refresh, "access": access, "ends_at": time(self.ends_at),
        });
        kept.to_string().into()
    }

    /// The same, read again; none where it is nothing of ours.
    pub fn of_secret(kept: &SecretString) -> Option<Self> {
        let kept: serde_json::Value = serde_json::from_str(kept.expose_secret()).ok()?;
        let text = |key: &str| kept.get(key)?.as_str();
        let time = |key| Some(DateTime::parse_from_rfc3339(text(key)?).ok()?.with_timezone(&Utc));
        Some(Self {
            since: time("since")?,
            refresh: text("refresh")?.into(),
            access: text("access")?.into(),
            ends_at: time("ends_at")?,
        })
    }
}

/// Where one sign-in is kept.
#[async_trait]
pub trait SignInBook: Send + Sync {
    /// Tells one sign-in from another, of another practice or time. Holds no secret.
    fn whose(&self) -> String;

    /// The sign-in as it stands now; none where nobody has signed in.
    async fn newest(&self) -> Result<Option<SignIn>, Cause>;

    /// Keeps it, renewed, in place of the former one. One of another person or time is left as it is.
    async fn keep(&self, renewed: &SignIn) -> Result<(), Cause>;

    /// Whether what is renewed can be kept.
    fn renews(&self) -> bool;
}

/// The book of somebody who has not signed in, and is not going to.
pub struct NobodySignedIn;

#[async_trait]
impl SignInBook for NobodySignedIn {
    fn whose(&self) -> String {
        String::new()
    }

    async fn newest(&self) -> Result<Option<SignIn>, Cause> {
        Ok(None)
    }

    async fn keep(&self, _renewed: &SignIn) -> Result<(), Cause> {
        Ok(())
    }

    fn renews(&self) -> bool {
        false
    }
}

/// What a person signs in to, and for whom.
pub struct SignInAsked<'a> {
    /// The service's own page.
    pub authorize_url: &'a str,
    /// Where tokens are fetched.
    pub token_url: &'a str,
    /// The client's id.
    pub client_id: &'a SecretString,
    /// The client's secret; a public client has none.
    pub client_secret: Option<&'a SecretString>,
    /// What the tokens are for.
    pub scope: &'a str,
    /// Where the browser comes back to, as it is registered with the service. Without a port, any free one is taken.
    pub redirect_url: &'a str,
}

/// Why nobody has signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The address to come back to is not one on this computer.
    #[error("the address to come back to begins with http://127.0.0.1, with a path and nothing behind it")]
    Redirect,
    /// An address or credentials that cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Another program has the port.
    #[error("the port of the address to come back to cannot be had")]
    Port(#[source] io::Error),
    /// The person, or whoever set the service up, said no.
    #[error("the sign-in was declined in the browser")]
    Declined,
    /// The service turned the question itself away.
    #[error("the service does not take the question")]
    TurnedAway,
    /// Nobody came back in time.
    #[error("nobody came back from the browser in time")]
    TimedOut,
    /// The browser came back, and there is no token.
    #[error("the service gives no token")]
    NoToken(#[source] ReadError),
}

/// The address to come back to, looked at.
///
/// # Errors
/// [`SignInError::Redirect`] where it is none on this computer.
pub fn redirect(text: &str) -> Result<Url, SignInError> {
    let url = Url::parse(text.trim()).map_err(|_| SignInError::Redirect)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let here = url.host() == Some(url::Host::Ipv4(Ipv4Addr::LOCALHOST));
    if url.scheme() == "http" && here && plain { Ok(url) } else { Err(SignInError::Redirect) }
}

/// A person who is asked to sign in: the port is ours, and the browser has not been there yet. Dropping it gives the port
/// back.
pub struct Asking {
    http: Http,
    listener: TcpListener,
    page: Url,
    redirect: Url,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    token_url: String,
    client_id: SecretString,
    client_secret: Option<SecretString>,
}

/// With what the browser came back.
enum CameBack {
    Code(AuthorizationCode),
    Declined,
    TurnedAway,
}

impl Http {
    /// Takes the port to which the browser comes back. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SignInError`] says what stands in the way.
    pub async fn ask_to_sign_in(&self, asked: &SignInAsked<'_>) -> Result<Asking, SignInError> {
        let mut redirect = redirect(asked.redirect_url)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, redirect.port().unwrap_or_default()))
            .await
            .map_err(SignInError::Port)?;
        if redirect.port().is_none() {
            let port = listener.local_addr().map_err(SignInError::Port)?.port();
            redirect.set_port(Some(port)).map_err(|()| SignInError::Redirect)?;
        }
        let client_id = super::key_text("client id", asked.client_id)?.to_owned();
        let not_an_address = |_| EndpointError::NotAnAddress;
        // Plain HTTP leads only to this computer, here as elsewhere.
        super::parse_base(asked.authorize_url)?;
        let authorize = AuthUrl::new(asked.authorize_url.to_owned()).map_err(not_an_address)?;
        let back = RedirectUrl::new(redirect.to_string()).map_err(not_an_address)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (page, state) = BasicClient::new(ClientId::new(client_id.clone()))
            .set_auth_uri(authorize)
            .set_redirect_uri(back)
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new(asked.scope.to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Asking {
            http: self.clone(),
            listener,
            page,
            redirect,
            state,
            verifier,
            token_url: asked.token_url.to_owned(),
            client_id: client_id.into(),
            client_secret: asked.client_secret.cloned(),
        })
    }
}

impl Asking {
    /// What the browser shows. Good for this one sign-in.
    pub fn page(&self) -> &Url {
        &self.page
    }

    /// Waits until the browser comes back, for `limit` at most, and fetches the first token. Dropping it cancels.
    ///
    /// # Errors
    /// [`SignInError`] says why nobody has signed in.
    pub async fn answered(self, limit: Duration, clock: &dyn Clock) -> Result<SignIn, SignInError> {
        let Self { http, listener, redirect, state, verifier, token_url, client_id, client_secret, .. } =
            self;
        let waits = Arc::new(Waits {
            path: redirect.path().to_owned(),
            state: Sha256::digest(state.secret()).into(),
        });
        let came_back = tokio::time::timeout(limit, come_back(listener, waits));
        let code = match came_back.await {
            Err(_) => return Err(SignInError::TimedOut),
            Ok(CameBack::Declined) => return Err(SignInError::Declined),
            Ok(CameBack::TurnedAway) => return Err(SignInError::TurnedAway),
            Ok(CameBack::Code(code)) => code,
        };
        let redirect = RedirectUrl::new(redirect.into()).map_err(|_| SignInError::Redirect)?;
        let client = (token_url.as_str(), &client_id, client_secret.as_ref());
        let exchanged = http.exchange_code(client, (code, verifier, redirect), clock).await;
        exchanged.map_err(|error: TokenError| SignInError::NoToken(error.into()))
    }
}

/// The one request that is waited for.
struct Waits {
    path: String,
    /// A digest, so that how long comparing takes tells nothing.
    state: [u8; 32],
}

/// Answers whoever comes until the right one has; then the port is given back.
async fn come_back(listener: TcpListener, waits: Arc<Waits>) -> CameBack {
    let (tell, mut told) = mpsc::channel(1);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(came_back) = told.recv() => return came_back,
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept(), if connections.len() < MOST_AT_ONCE => {
                connections.spawn(serve(stream, waits.clone(), tell.clone()));
            }
        }
    }
}

/// One connection. What it brought is told once the page was sent.
async fn serve(stream: TcpStream, waits: Arc<Waits>, tell: mpsc::Sender<CameBack>) {
    let brought = std::sync::Mutex::new(None);
    let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| {
        let (status, page, came_back) = waits.answer(request.method().as_str(), request.uri());
        if let (Some(came_back), Ok(mut brought)) = (came_back, brought.lock()) {
            *brought = Some(came_back);
        }
        std::future::ready(answer(status, page))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = tokio::time::timeout(PATIENCE * 2, connection).await;
    if let Some(came_back) = brought.into_inner().ok().flatten() {
        // Somebody was faster, and the other end is gone.
        let _ = tell.send(came_back).await;
    }
}

fn answer(status: StatusCode, page: &str) -> Result<Response<Body>, axum::http::Error> {
    let mut text = String::new();
    let _ = write!(
        text,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Clinic Companion</title>\
         <body style=\"font: 1.2rem system-ui, sans-serif; margin: 4rem auto; max-width: 32rem\"><p>{page}</p></body></html>"
    );
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(CACHE_CONTROL, "no-store")
        // The code stands in the address of this page.
        .header(REFERRER_POLICY, "no-referrer")
        .header(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")
        .body(Body::from(text))
}

impl Waits {
    /// What is answered, and what was brought. Whoever does not know the state changes nothing.
    fn answer(&self, method: &str, uri: &axum::http::Uri) -> (StatusCode, &'static str, Option<CameBack>) {
        if method != "GET" || uri.path() != self.path {
            return (StatusCode::NOT_FOUND, "There is nothing here.", None);
        }
        let query = uri.query().unwrap_or_default();
        let given = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let state: [u8; 32] = Sha256::digest(given("state").unwrap_or_default()).into();
        if state != self.state {
            let page = "This is not the sign-in that Clinic Companion waits for. Go back to its window and begin again.";
            return (StatusCode::BAD_REQUEST, page, None);
        }
        match (given("error").as_deref(), given("code").filter(|code| !code.is_empty())) {
            (None, Some(code)) => {
                let page = "You are signed in. You can close this window and go back to Clinic Companion.";
                (StatusCode::OK, page, Some(CameBack::Code(AuthorizationCode::new(code))))
            }
            (Some("access_denied"), _) => {
                let page = "Nobody was signed in, as you chose. You can close this window.";
                (StatusCode::OK, page, Some(CameBack::Declined))
            }
            (_, _) => {
                let page =
                    "The sign-in did not work. You can close this window; Clinic Companion says what to do.";
                (StatusCode::OK, page, Some(CameBack::TurnedAway))
            }
        }
    }
}
