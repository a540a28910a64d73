//! The one HTTP client of all partners: deadlines, sizes, gzip, and the sorting of failures.
//!
//! Nothing here logs, and no error names a path, a header or a part of a body, because any of them may hold what is
//! personal or secret.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, SendError, WriteError};
use domain::ports::clock::Clock;
use domain::ports::register::LastWord;
use domain::private::{ExposeSecret, SecretString};
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::{Host, Url};

mod budget;
mod reason;
mod refusals;
pub mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
mod turns;

use budget::Budget;
pub use reason::short_reason;
use refusals::{Refusals, Standing};
pub use tokens::{Grant, TokenClient, TokenError, Tokens};
use turns::{Turn, Turns};

/// A body of more bytes than this is sent compressed.
const COMPRESS_ABOVE_BYTES: usize = 1024;

/// No partner's answer comes near this size after decompression.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A wish for more patience than this is a mistake.
const LONGEST_PATIENCE: TimeDelta = TimeDelta::hours(24);

/// How long things may take, in real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From looking up the name to the end of the TLS handshake.
    pub connect: Duration,
    /// A whole request, answer included.
    pub whole: Duration,
    /// A whole request for which a patient is waiting.
    pub urgent: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(15),
            urgent: Duration::from_secs(8),
        }
    }
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// [`Deadlines::whole`].
    Normal,
    /// [`Deadlines::urgent`].
    Urgent,
    /// Eight times [`Deadlines::whole`], for what is megabytes long. It is sent as it is: compressing it would keep
    /// the processor busy for longer than the network.
    Bulk,
}

/// How much longer than other requests one may take that carries a document.
const BULK_TAKES: u32 = 8;

/// The connections that all partners share. Cheap to clone. Each kind of connection is only set up once somebody
/// needs it, because the list of trusted certificates takes memory.
#[derive(Clone, Default)]
pub struct Http {
    deadlines: Deadlines,
    clients: Arc<Mutex<Clients>>,
    refusals: Option<Refusals>,
    turns: Arc<Mutex<BTreeMap<String, Turns>>>,
    budgets: Arc<Mutex<BTreeMap<String, Budget>>>,
    clock: Option<Arc<dyn Clock>>,
    tokens: Arc<tokens::AllKept>,
}

#[derive(Default)]
struct Clients {
    /// Speaks TLS only, with the certificates that the operating system trusts, through the system's proxy.
    internet: Option<Client>,
    /// Speaks plain HTTP, never through a proxy.
    loopback: Option<Client>,
}

/// Why an account cannot be reached as it is written.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not a web address, or one with a password, a query or a fragment in it.
    #[error("the address is not a plain web address")]
    NotAnAddress,
    /// Plain HTTP to somewhere else than this computer (`interface.md`).
    #[error("the address must begin with https://")]
    NotEncrypted,
    /// A key with characters that no key has, such as a line break from pasting.
    #[error("the {0} has characters that it cannot have")]
    BadHeader(&'static str),
    /// The system's certificates cannot be read.
    #[error("encrypted connections cannot be set up on this computer")]
    NoTls(#[source] reqwest::Error),
}

impl Http {
    /// Uses other deadlines than the normal ones.
    pub fn with_deadlines(deadlines: Deadlines) -> Self {
        Self { deadlines, ..Self::default() }
    }

    /// Goes by `clock`, and asks nobody again within a minute who refused a key or a practice.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.refusals = Some(Refusals::new(clock.clone()));
        self.clock = Some(clock);
        self
    }

    /// A partner's address, to which headers can be added. `https://`, or `http://` for this computer.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the address.
    pub fn endpoint(&self, base_url: &str) -> Result<Endpoint, EndpointError> {
        let base = parse_base(base_url)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let encrypted = base.scheme() == "https";
        let slot = if encrypted { &mut clients.internet } else { &mut clients.loopback };
        let client = match slot {
            Some(client) => client.clone(),
            None => {
                let built = self.client(encrypted).map_err(EndpointError::NoTls)?;
                slot.insert(built).clone()
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Endpoint {
            client,
            base,
            headers,
            deadlines: self.deadlines,
            refusals: self.refusals.clone(),
            standing: None,
            tokens: None,
            secret_query: None,
            pace: None,
            budget: None,
            compresses: true,
            consent_is_one: true,
            retired: Arc::default(),
        })
    }

    /// The turns that everybody takes who asks this account in this process.
    fn turns(&self, account: &str) -> Turns {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(account.to_owned()).or_default().clone()
    }

    /// What time the service at this address believes it is, whatever else it answers. No credentials are sent.
    ///
    /// # Errors
    /// When nobody answers, or the answer gives no time.
    pub async fn time_at(&self, base_url: &str) -> Result<DateTime<Utc>, ReadError> {
        let endpoint = self.endpoint(base_url).map_err(|error| ReadError::Invalid(error.to_string()))?;
        let request = endpoint.client.request(Method::HEAD, endpoint.base.clone());
        let answer = request.send().await.map_err(|error| Failure::of_sending(error).error)?;
        let text = answer.headers().get(DATE).and_then(|date| date.to_str().ok()).unwrap_or_default();
        match DateTime::parse_from_rfc2822(text) {
            Ok(date) => Ok(date.with_timezone(&Utc)),
            Err(error) => Err(ReadError::Garbled(Box::new(error))),
        }
    }

    fn client(&self, encrypted: bool) -> reqwest::Result<Client> {
        // Fails only when a provider is installed already, which is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(self.deadlines.connect)
            .timeout(self.deadlines.whole)
            // With credentials, a redirect is never followed (`interface.md`).
            .redirect(reqwest::redirect::Policy::none())
            // Whether and when to try again is decided by the core.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(2)
            .tcp_nodelay(true);
        if encrypted {
            return builder.https_only(true).build();
        }
        // No certificate is needed on this computer, so none is loaded.
        let no_trust = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.no_proxy().tls_backend_preconfigured(no_trust).build()
    }
}

fn parse_base(base_url: &str) -> Result<Url, EndpointError> {
    let mut base = Url::parse(base_url.trim()).map_err(|_| EndpointError::NotAnAddress)?;
    let plain = base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    let Some(host) = base.host() else { return Err(EndpointError::NotAnAddress) };
    if !plain {
        return Err(EndpointError::NotAnAddress);
    }
    match base.scheme() {
        "https" => {}
        "http" if is_loopback(&host) => {}
        "http" => return Err(EndpointError::NotEncrypted),
        _ => return Err(EndpointError::NotAnAddress),
    }
    base.path_segments_mut().map_err(|()| EndpointError::NotAnAddress)?.pop_if_empty();
    Ok(base)
}

/// Whether this is the computer that we run on.
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

/// What nothing begins with: an account that is retired with it sends nothing at all any more.
pub const NOTHING: &str = "nothing";

/// A short text that differs whenever one of the parts does, and tells none of them. Half a digest is plenty for that.
pub fn fingerprint(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // With its length before it, no text can run over into the next one.
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A key without the blanks around it, which come from pasting.
fn key_text<'a>(known_as: &'static str, key: &'a SecretString) -> Result<&'a str, EndpointError> {
    let text = key.expose_secret().trim();
    // Anything beyond ASCII would be sent in an encoding that nobody agreed on.
    if text.is_empty() || !text.is_ascii() || text.contains(|letter: char| letter.is_ascii_control()) {
        return Err(EndpointError::BadHeader(known_as));
    }
    Ok(text)
}

/// One account at one partner's address: where requests go, and the headers that each of them carries.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    base: Url,
    headers: HeaderMap,
    deadlines: Deadlines,
    refusals: Option<Refusals>,
    standing: Option<Arc<Standing>>,
    tokens: Option<Arc<Tokens>>,
    /// What stands in every address and opens something. It is put there in the last moment.
    secret_query: Option<(&'static str, SecretString)>,
    /// How many requests an hour are left, where there is a clock to count by.
    budget: Option<(Budget, Arc<dyn Clock>)>,
    /// Whose turns are waited for, and how far apart they are.
    pace: Option<(Turns, Duration)>,
    /// Whether large bodies are sent compressed.
    compresses: bool,
    /// Whether a refusal with 403 closes the whole account for a while.
    consent_is_one: bool,
    /// What may still be asked for after the account was replaced; empty until then.
    retired: Arc<OnceLock<&'static str>>,
}

impl Endpoint {
    /// Shares `key` with other accounts: whoever refuses it refuses them all. Pass a digest, never the key.
    #[must_use]
    pub fn with_shared_key(mut self, key: &str) -> Self {
        self.standing = self.refusals.as_ref().map(|refusals| Arc::new(refusals.account(key)));
        self
    }

    /// Sends a token with each request. One that is not taken is renewed, and the request sent once more: whoever says
    /// that it does not know us has done nothing.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<Tokens>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Sends one request at a time for all in this process who ask `account` through `http`, and begins them no less
    /// than `apart` after one another. Pass a name of the account, no secret. Tokens are not counted.
    #[must_use]
    pub fn with_pace(mut self, http: &Http, account: &str, apart: Duration) -> Self {
        self.pace = Some((http.turns(account), apart));
        self
    }

    /// Asks `account` no more than `per_hour` times in each full hour, together with everybody in this process who does so
    /// through `http`, and stops before the last of them. Pass a digest, never a key.
    #[must_use]
    pub fn with_budget(mut self, http: &Http, account: &str, per_hour: u32) -> Self {
        let mut budgets = http.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets.entry(account.to_owned()).or_insert_with(|| Budget::of(per_hour)).clone();
        drop(budgets);
        self.budget = http.clock.clone().map(|clock| (budget, clock));
        self
    }

    /// Puts `secret` into the address of every request. Whoever sees an address sees it, so that none is ever written
    /// down: no error of ours names one, and neither does this type. Blanks around it come from pasting.
    ///
    /// # Errors
    /// [`EndpointError::BadHeader`], with the name that people know it by, when it is empty or cannot be sent.
    pub fn secret_query(
        mut self,
        key: &'static str,
        known_as: &'static str,
        secret: &SecretString,
    ) -> Result<Self, EndpointError> {
        let text = key_text(known_as, secret)?;
        self.secret_query = Some((key, SecretString::from(text)));
        Ok(self)
    }

    /// Sends every body as it is, where nothing says that the service would unpack it.
    #[must_use]
    pub fn with_plain_bodies(mut self) -> Self {
        self.compresses = false;
        self
    }

    /// A refusal with 403 concerns what was asked for and nothing else, where rights are given part by part.
    #[must_use]
    pub fn with_rights_apart(mut self) -> Self {
        self.consent_is_one = false;
        self
    }

    /// Sends nothing any more but what begins with `leave_taking`; every other request fails as if nobody answered.
    pub fn retire(&self, leave_taking: &'static str) {
        // Retired once is retired.
        let _ = self.retired.set(leave_taking);
    }

    /// Adds the `User-Agent`.
    ///
    /// # Errors
    /// [`EndpointError::BadHeader`] when it cannot be sent.
    pub fn user_agent(mut self, text: &str) -> Result<Self, EndpointError> {
        let value = HeaderValue::from_str(text).map_err(|_| EndpointError::BadHeader("e-mail address"))?;
        self.headers.insert(USER_AGENT, value);
        Ok(self)
    }

    /// Adds a header that opens something. It is never shown and never logged. Blanks around it come from pasting.
    ///
    /// # Errors
    /// [`EndpointError::BadHeader`], with the name that people know it by, when it is empty or cannot be sent.
    pub fn secret_header(
        mut self,
        name: &'static str,
        known_as: &'static str,
        secret: &SecretString,
    ) -> Result<Self, EndpointError> {
        let text = key_text(known_as, secret)?;
        let mut value = HeaderValue::from_str(text).map_err(|_| EndpointError::BadHeader(known_as))?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Reads JSON from `path` below the base address; each piece is one segment and is escaped.
    ///
    /// # Errors
    /// Sorted by what can be done about it.
    pub async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        haste: Haste,
    ) -> Result<T, ReadError> {
        decode(&self.get(path, query, haste).await?)
    }

    /// Reads JSON from `path` likewise; none where the answer has no body (204).
    ///
    /// # Errors
    /// Sorted by what can be done about it.
    pub async fn read_if_any<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        haste: Haste,
    ) -> Result<Option<T>, ReadError> {
        let body = self.get(path, query, haste).await?;
        if body.is_empty() { Ok(None) } else { decode(&body).map(Some) }
    }

    /// Reads JSON from `path` likewise, and the whole number in the header of this name, where there is one.
    ///
    /// # Errors
    /// Sorted by what can be done about it.
    pub async fn read_counted<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        counted_in: &'static str,
    ) -> Result<(T, Option<usize>), ReadError> {
        let request = self.client.request(Method::GET, self.url_with(path, query));
        let answer =
            self.exchange(path, request, Haste::Normal, None).await.map_err(|failure| failure.error)?;
        let count = answer.headers.get(counted_in).and_then(|count| count.to_str().ok()?.trim().parse().ok());
        Ok((decode(&answer.body.map_err(|failure| failure.error)?)?, count))
    }

    /// Changes a part of what is at `path` (PATCH), and answers what a refusal with 400 or 422 says; none where it worked.
    /// A refusal that cannot be read is one that says nothing.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn change_unless_refused<T: DeserializeOwned + Default>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Option<T>, WriteError> {
        let refuses = [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY];
        let answered = self.answered(Method::PATCH, path, body, &refuses, Haste::Normal, None).await;
        Ok(answered.map_err(Failure::of_write)?.refusal())
    }

    /// Posts to `path` unless the last word is no, and answers what a refusal with 400 says; none where it worked. A
    /// refusal that cannot be read is one that says nothing.
    ///
    /// # Errors
    /// Sorted by how far it came.
    pub async fn write_unless_refused<T: DeserializeOwned + Default>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        haste: Haste,
        last_word: &dyn LastWord,
    ) -> Result<Option<T>, SendError> {
        let refuses = [StatusCode::BAD_REQUEST];
        let answered = self.answered(Method::POST, path, body, &refuses, haste, Some(last_word)).await;
        Ok(answered.map_err(Failure::of_sent)?.refusal())
    }

    /// Creates something at `path`, and answers what was made, or what a refusal with 400 says; one that cannot be read
    /// says nothing.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        haste: Haste,
    ) -> Result<Answered<T, Value>, WriteError> {
        let answered = self.answered(Method::POST, path, body, &[StatusCode::BAD_REQUEST], haste, None).await;
        answered.map_err(Failure::of_write)?.read()
    }

    /// Changes some fields of what is at `path`, and answers likewise.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn amend<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        haste: Haste,
    ) -> Result<Answered<T, Value>, WriteError> {
        let answered =
            self.answered(Method::PATCH, path, body, &[StatusCode::BAD_REQUEST], haste, None).await;
        answered.map_err(Failure::of_write)?.read()
    }

    /// Sends something, and gives the bodies of what was done and of what was refused with one of these statuses.
    async fn answered(
        &self,
        method: Method,
        path: &[&str],
        body: &(impl Serialize + Sync),
        refuses: &[StatusCode],
        haste: Haste,
        last_word: Option<&dyn LastWord>,
    ) -> Result<Answered<Result<Vec<u8>, Failure>, Option<Vec<u8>>>, Failure> {
        let request = self.sending(method, path, Some(body), haste)?;
        let arrived = self.send(path, request, haste, last_word).await?;
        let (status, headers) = (arrived.response.status(), arrived.response.headers().clone());
        let body = collect(arrived).await;
        if refuses.contains(&status) {
            return Ok(Answered::Refused(body.ok()));
        }
        match refusal(status, &headers, body.as_deref().unwrap_or_default()) {
            Some(failure) => Err(failure),
            None => Ok(Answered::Done(body)),
        }
    }

    /// Posts to `path` unless the last word is no. The status alone says whether it worked.
    ///
    /// # Errors
    /// Sorted by how far it came.
    pub async fn write_unless_forbidden(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        haste: Haste,
        last_word: &dyn LastWord,
    ) -> Result<(), SendError> {
        let request = self.sending(Method::POST, path, Some(body), haste).map_err(Failure::of_sent)?;
        self.exchange(path, request, haste, Some(last_word)).await.map(|_| ()).map_err(Failure::of_sent)
    }

    /// Sends a library's request for a token to this very address, and gives it the answer, a refusal in the standard's
    /// words included (RFC 6749 §5.2). Apart from that a token service explains little (VALD sheet §9): whatever it finds
    /// wrong with the request is the credentials, which are all that differs between one that works and one that does
    /// not.
    async fn relay_for_token(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, ReadError> {
        self.may_ask(&[]).map_err(|failure| failure.error)?;
        let (parts, body) = request.into_parts();
        // Whether a slash stands at its end matters to some (Provet sheet §1), and the base address has none.
        let address = Url::parse(&parts.uri.to_string()).unwrap_or_else(|_| self.base.clone());
        let request = self.client.request(parts.method, address).headers(parts.headers).body(body);
        let request = request.timeout(self.deadline(Haste::Normal));
        let arrived = self.send_once(&[], request, None).await.map_err(|failure| failure.error)?;
        let (status, headers) = (arrived.response.status(), arrived.response.headers().clone());
        let status = if (400..=403).contains(&status.as_u16()) { StatusCode::UNAUTHORIZED } else { status };
        self.heard(status);
        let body = collect(arrived).await;
        let explains = status == StatusCode::UNAUTHORIZED && body.as_deref().is_ok_and(names_an_error);
        if let Some(failure) = refusal(status, &headers, &[]).filter(|_| !explains) {
            return Err(failure.error);
        }
        let mut answer = http::Response::new(body.map_err(|failure| failure.error)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// Posts to `path`. The status alone says whether it worked: the body of the answer is not looked at.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn write(
        &self,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
        haste: Haste,
    ) -> Result<(), WriteError> {
        self.post(path, body, haste).await.map(|_| ()).map_err(Failure::of_write)
    }

    /// Posts to `path` and reads JSON from the answer.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn write_and_read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        haste: Haste,
    ) -> Result<T, WriteError> {
        let answer = self.post(path, Some(body), haste).await.map_err(Failure::of_write)?;
        let body = answer.body.map_err(Failure::of_write)?;
        decode(&body).map_err(WriteError::Unknown)
    }

    /// Sends a request whatever comes back, for a service whose answers have to be told apart by more than their status.
    /// The account's patience and its budget are kept as ever.
    ///
    /// # Errors
    /// Where no whole answer came; sorted by whether the request may have been acted on.
    pub async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Reply, WriteError> {
        let mut request = self.client.request(method, self.url_with(path, query));
        if let Some(body) = body {
            let json = serde_json::to_vec(body).map_err(|error| {
                let why = format!("our request cannot be written: {}", place(&error));
                WriteError::Untouched(ReadError::Invalid(why))
            })?;
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        let arrived = self.send(path, request, Haste::Normal, None).await.map_err(Failure::of_write)?;
        let (status, headers) = (arrived.response.status(), arrived.response.headers().clone());
        let body = collect(arrived).await.map_err(Failure::of_write)?;
        Ok(Reply { status, headers, body })
    }

    /// Posts one file in a form (`multipart/form-data`, RFC 7578), with `query` behind the path, and reads JSON from the
    /// answer. The body is made here, and not by the library, so that it can be sent once more with a new token.
    ///
    /// # Errors
    /// Sorted by whether it may have been written.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        file: &FormFile<'_>,
    ) -> Result<T, WriteError> {
        let (content_type, body) = file.form();
        let request = self.client.request(Method::POST, self.url_with(path, query));
        let request = request.header(CONTENT_TYPE, content_type).body(body);
        let answer = self.exchange(path, request, Haste::Bulk, None).await.map_err(Failure::of_write)?;
        let body = answer.body.map_err(Failure::of_write)?;
        decode(&body).map_err(WriteError::Unknown)
    }

    /// Reads what stands at `path` below the base address, at most `most_bytes` of it: none where it is longer.
    ///
    /// # Errors
    /// Sorted by what can be done about it.
    pub async fn read_bulk(&self, path: &[&str], most_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let request = self.client.request(Method::GET, self.url(path));
        let arrived = self.send(path, request, Haste::Bulk, None).await.map_err(|failure| failure.error)?;
        let (status, headers) = (arrived.response.status(), arrived.response.headers().clone());
        let worked = status.is_success();
        let limit = if worked { most_bytes } else { LARGEST_ANSWER_BYTES };
        let body = collect_up_to(arrived, limit).await.map_err(|failure| failure.error);
        let said = body.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
        match refusal(status, &headers, if worked { &[] } else { said }) {
            Some(failure) => Err(failure.error),
            None => body,
        }
    }

    /// Deletes what is at `path`.
    ///
    /// # Errors
    /// Sorted by how far it came.
    pub async fn delete(&self, path: &[&str], query: &[(&str, &str)], haste: Haste) -> Result<(), SendError> {
        let request = self.client.request(Method::DELETE, self.url_with(path, query));
        self.exchange(path, request, haste, None).await.map(|_| ()).map_err(Failure::of_sent)
    }

    async fn post(
        &self,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
        haste: Haste,
    ) -> Result<Answer, Failure> {
        let request = self.sending(Method::POST, path, body, haste)?;
        self.exchange(path, request, haste, None).await
    }

    fn sending(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
        haste: Haste,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let mut request = self.client.request(method, self.url(path));
        if let Some(body) = body {
            let json = serde_json::to_vec(body).map_err(|error| {
                Failure::before(ReadError::Invalid(format!(
                    "our request cannot be written: {}",
                    place(&error)
                )))
            })?;
            request = request.header(CONTENT_TYPE, "application/json");
            let as_it_is = haste == Haste::Bulk || !self.compresses;
            let smaller = if as_it_is { None } else { compressed(&json) };
            request = match smaller {
                Some(smaller) => request.header(CONTENT_ENCODING, "gzip").body(smaller),
                None => request.body(json),
            };
        }
        Ok(request)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `parse_base` has made sure that the address has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    fn url_with(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn deadline(&self, haste: Haste) -> Duration {
        match haste {
            Haste::Normal => self.deadlines.whole,
            Haste::Urgent => self.deadlines.urgent,
            Haste::Bulk => self.deadlines.whole * BULK_TAKES,
        }
    }

    fn still_in_use(&self, path: &[&str]) -> Result<(), Failure> {
        if self.retired.get().is_some_and(|leave_taking| path.first() != Some(leave_taking)) {
            return Err(Failure::before(ReadError::Unreachable(Box::new(HttpFailure::Retired))));
        }
        Ok(())
    }

    fn may_ask(&self, path: &[&str]) -> Result<(), Failure> {
        self.still_in_use(path)?;
        let kind = path.first().copied().unwrap_or_default();
        self.standing.as_ref().map_or(Ok(()), |standing| standing.ask(kind)).map_err(Failure::before)
    }

    fn heard(&self, status: StatusCode) {
        let of_a_part = status == StatusCode::FORBIDDEN && !self.consent_is_one;
        if let Some(standing) = self.standing.as_ref().filter(|_| !of_a_part) {
            standing.heard(status.as_u16());
        }
    }

    async fn send(
        &self,
        path: &[&str],
        request: reqwest::RequestBuilder,
        haste: Haste,
        last_word: Option<&dyn LastWord>,
    ) -> Result<Arrived, Failure> {
        self.may_ask(path)?;
        let request = request.headers(self.headers.clone()).timeout(self.deadline(haste));
        let arrived = match &self.tokens {
            Some(tokens) => self.send_with_token(tokens, path, request, last_word).await?,
            None => self.send_once(path, request, last_word).await?,
        };
        self.heard(arrived.response.status());
        Ok(arrived)
    }

    async fn send_with_token(
        &self,
        tokens: &Tokens,
        path: &[&str],
        request: reqwest::RequestBuilder,
        last_word: Option<&dyn LastWord>,
    ) -> Result<Arrived, Failure> {
        let again = request.try_clone();
        let token = tokens.current().await.map_err(Failure::before)?;
        let arrived = self.send_once(path, request.bearer_auth(token.expose_secret()), last_word).await?;
        let refused = arrived.response.status() == StatusCode::UNAUTHORIZED;
        let Some(again) = again.filter(|_| refused) else { return Ok(arrived) };
        // Gives the turn to others while a token is fetched.
        drop(arrived);
        tokens.forget(&token).await;
        let token = tokens.current().await.map_err(Failure::turned_away)?;
        let arrived = self.send_once(path, again.bearer_auth(token.expose_secret()), last_word).await;
        // Whatever becomes of the second try, the first one left.
        arrived.map_err(|failure| Failure { reach: failure.reach.max(Reach::TurnedAway), ..failure })
    }

    async fn send_once(
        &self,
        path: &[&str],
        request: reqwest::RequestBuilder,
        last_word: Option<&dyn LastWord>,
    ) -> Result<Arrived, Failure> {
        let request = match &self.secret_query {
            Some((key, secret)) => request.query(&[(key, secret.expose_secret())]),
            None => request,
        };
        let turn = match &self.pace {
            Some((turns, apart)) => Some(turns.next(*apart).await),
            None => None,
        };
        if let Some(last_word) = last_word
            && !last_word.may_leave().await
        {
            return Err(Failure::before(ReadError::Unreachable(Box::new(HttpFailure::HeldBack))));
        }
        // The account may have been replaced while we waited.
        self.still_in_use(path)?;
        let budget = match &self.budget {
            Some((budget, clock)) => {
                Some((budget, clock, budget.spend(clock.now()).map_err(Failure::before)?))
            }
            None => None,
        };
        let response = request.send().await.map_err(Failure::of_sending)?;
        if let Some((budget, clock, asked_in)) = budget {
            budget.heard(asked_in, response.status(), response.headers(), clock.now());
        }
        Ok(Arrived { response, _turn: turn })
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)], haste: Haste) -> Result<Vec<u8>, ReadError> {
        let request = self.client.request(Method::GET, self.url_with(path, query));
        let answer = self.exchange(path, request, haste, None).await.map_err(|failure| failure.error)?;
        answer.body.map_err(|failure| failure.error)
    }

    async fn exchange(
        &self,
        path: &[&str],
        request: reqwest::RequestBuilder,
        haste: Haste,
        last_word: Option<&dyn LastWord>,
    ) -> Result<Answer, Failure> {
        let arrived = self.send(path, request, haste, last_word).await?;
        let (status, headers) = (arrived.response.status(), arrived.response.headers().clone());
        let body = collect(arrived).await;
        match refusal(status, &headers, body.as_deref().unwrap_or_default()) {
            Some(failure) => Err(failure),
            None => Ok(Answer { headers, body }),
        }
    }
}

/// A file in a form.
pub struct FormFile<'a> {
    /// What the form calls it.
    pub field: &'static str,
    /// What the file is called: letters, digits, `_`, `-` and `.` only, so that no quoting is needed.
    pub name: &'a str,
    /// Its media type.
    pub format: &'a str,
    /// What is in it.
    pub content: &'a [u8],
}

impl FormFile<'_> {
    /// The header that describes the body, and the body. The boundary is a digest of the content, which no content
    /// holds.
    fn form(&self) -> (String, Vec<u8>) {
        let digest = Sha256::digest(self.content);
        let boundary = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let Self { field, name, format, content } = self;
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: {format}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body)
    }
}

/// Whether the other side's certificate is what kept us from asking it.
pub fn is_about_certificate(error: &ReadError) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        let found_io = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = found.downcast_ref::<rustls::Error>();
        let tls = tls.or_else(|| found_io.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        if tls.is_some_and(|tls| matches!(tls, rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = found.source();
    }
    false
}

/// The status with which the other side said that it failed; none where it said something else, or nothing.
pub fn failed_with(error: &ReadError) -> Option<u16> {
    match error.source()?.downcast_ref()? {
        HttpFailure::ServerFailed(status) => Some(*status),
        HttpFailure::NotConnected(_)
        | HttpFailure::TimedOut(_)
        | HttpFailure::Broken(_)
        | HttpFailure::Redirected(_)
        | HttpFailure::TooLarge
        | HttpFailure::NotJson(_)
        | HttpFailure::Retired
        | HttpFailure::HeldBack => None,
    }
}

/// Whether a body is a refusal in the words of the standard for tokens.
fn names_an_error(body: &[u8]) -> bool {
    let body: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    body.is_some_and(|body| body.get("error").is_some_and(serde_json::Value::is_string))
}

/// The head of an answer. Until its body was read or given up, it is nobody else's turn.
struct Arrived {
    response: reqwest::Response,
    _turn: Option<Turn>,
}

/// What came back with a status of 2xx.
struct Answer {
    headers: HeaderMap,
    /// The whole body, or why it could not be read. For many writes it does not matter.
    body: Result<Vec<u8>, Failure>,
}

/// An answer as it came, whatever its status.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Reply {
    /// Whether it worked.
    pub fn worked(&self) -> bool {
        self.status.is_success()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`ReadError::Garbled`] where it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ReadError> {
        decode(&self.body)
    }

    /// What a status other than 2xx means, where nothing more is known of the service. Whoever asks something that may
    /// have been written looks at the status first.
    pub fn failure(&self) -> Option<WriteError> {
        refusal(self.status, &self.headers, &[]).map(Failure::of_write)
    }
}

/// What a service made of something that was sent to it.
#[derive(Debug)]
pub enum Answered<T, R> {
    /// It was done.
    Done(T),
    /// It was considered and refused (400). Nothing was done.
    Refused(R),
}

impl Answered<Result<Vec<u8>, Failure>, Option<Vec<u8>>> {
    /// What a refusal says, where it was one; one that cannot be read says nothing.
    fn refusal<T: DeserializeOwned + Default>(self) -> Option<T> {
        match self {
            Self::Done(_) => None,
            Self::Refused(said) => {
                Some(said.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default())
            }
        }
    }

    /// An answer that cannot be read leaves open what was done.
    fn read<T: DeserializeOwned>(self) -> Result<Answered<T, Value>, WriteError> {
        match self {
            Self::Done(body) => {
                let body = body.map_err(Failure::of_write)?;
                decode(&body).map(Answered::Done).map_err(WriteError::Unknown)
            }
            Self::Refused(said) => {
                let said = said.and_then(|body| serde_json::from_slice(&body).ok());
                Ok(Answered::Refused(said.unwrap_or_default()))
            }
        }
    }
}

/// How far a request came that did not work, from the least on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nothing of it left this computer.
    Nowhere,
    /// It arrived, and the other side did nothing about it.
    TurnedAway,
    /// It may have arrived, and the other side may have acted on it.
    Unknown,
}

/// A request that did not work.
#[derive(Debug)]
struct Failure {
    reach: Reach,
    error: ReadError,
}

impl Failure {
    fn before(error: ReadError) -> Self {
        Self { reach: Reach::Nowhere, error }
    }

    fn turned_away(error: ReadError) -> Self {
        Self { reach: Reach::TurnedAway, error }
    }

    fn after(error: ReadError) -> Self {
        Self { reach: Reach::Unknown, error }
    }

    fn of_sending(error: reqwest::Error) -> Self {
        let never_connected = error.is_connect() || error.is_builder();
        let reach = if never_connected { Reach::Nowhere } else { Reach::Unknown };
        Self { reach, error: ReadError::Unreachable(Box::new(HttpFailure::from(error))) }
    }

    fn of_write(self) -> WriteError {
        self.of_sent().into()
    }

    fn of_sent(self) -> SendError {
        match self.reach {
            Reach::Nowhere => SendError::NotSent(self.error),
            Reach::TurnedAway => SendError::TurnedAway(self.error),
            Reach::Unknown => SendError::Unknown(self.error),
        }
    }
}

/// What lies beneath an exchange that failed. Names no path, no header, nothing of a body.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// No connection: name, network, firewall, certificate.
    #[error("no connection")]
    NotConnected(#[source] reqwest::Error),
    /// Connected, and no whole answer in time.
    #[error("no whole answer in time")]
    TimedOut(#[source] reqwest::Error),
    /// The connection ended early.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// Sent elsewhere, as by a hotel's login page. Never followed with credentials.
    #[error("an answer that leads elsewhere ({0})")]
    Redirected(u16),
    /// The other side failed.
    #[error("the other side failed ({0})")]
    ServerFailed(u16),
    /// An answer larger than any real one.
    #[error("an answer of more than {LARGEST_ANSWER_BYTES} bytes")]
    TooLarge,
    /// Something else than the JSON that was expected.
    #[error("not the expected JSON: {0}")]
    NotJson(String),
    /// Nothing is sent for this account any more.
    #[error("the account was replaced")]
    Retired,
    /// It may not be sent any more.
    #[error("held back at the last moment")]
    HeldBack,
}

impl From<reqwest::Error> for HttpFailure {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::NotConnected(error)
        } else if error.is_timeout() {
            Self::TimedOut(error)
        } else {
            Self::Broken(error)
        }
    }
}

async fn collect(arrived: Arrived) -> Result<Vec<u8>, Failure> {
    let too_large = || Failure::after(ReadError::Garbled(Box::new(HttpFailure::TooLarge)));
    collect_up_to(arrived, LARGEST_ANSWER_BYTES).await?.ok_or_else(too_large)
}

/// The whole body, or none where it is longer than `most_bytes`.
async fn collect_up_to(mut arrived: Arrived, most_bytes: usize) -> Result<Option<Vec<u8>>, Failure> {
    let mut body = Vec::new();
    loop {
        match arrived.response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most_bytes => return Ok(None),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Some(body)),
            Err(error) if undecodable(&error) => {
                return Err(Failure::after(ReadError::Garbled(Box::new(HttpFailure::from(error)))));
            }
            Err(error) => {
                return Err(Failure::after(ReadError::Unreachable(Box::new(HttpFailure::from(error)))));
            }
        }
    }
}

/// Whether the bytes came and were not what their encoding says. An answer that is cut short is no such case.
fn undecodable(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput);
        }
        cause = found.source();
    }
    false
}

/// What a status other than 2xx means (HE sheet §3, VALD sheet §5).
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Failure> {
    let code = status.as_u16();
    let failed = || ReadError::Unreachable(Box::new(HttpFailure::ServerFailed(code)));
    Some(match code {
        200..=299 => return None,
        300..=399 => Failure::after(ReadError::Unreachable(Box::new(HttpFailure::Redirected(code)))),
        // 428 is a key of another kind than the one that is asked for (Hint sheet §2).
        401 | 428 => Failure::turned_away(ReadError::NotAuthorised),
        403 => Failure::turned_away(ReadError::NoConsent),
        404 | 410 => Failure::turned_away(ReadError::NotFound),
        408 => Failure::after(failed()),
        429 => Failure::turned_away(ReadError::SlowDown { retry_after: patience(headers) }),
        400..=499 => Failure::turned_away(ReadError::Invalid(reason_in(code, body))),
        // A gateway in between may say this after the request went through.
        503 => Failure::after(ReadError::SlowDown { retry_after: patience(headers) }),
        _ => Failure::after(failed()),
    })
}

/// What Healthengine says in `error`, Hint in `message`, and others in `title` of their `ProblemDetails`.
fn reason_in(code: u16, body: &[u8]) -> String {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let said = |key| body.as_ref()?.get(key)?.as_str().map(short_reason).filter(|reason| !reason.is_empty());
    said("error")
        .or_else(|| said("title"))
        .or_else(|| said("message"))
        .unwrap_or_else(|| format!("no reason given (status {code})"))
}

/// `Retry-After`, in seconds or as a date. A date is measured against the answer's own `Date`, because the clock of
/// this computer may be wrong.
fn patience(headers: &HeaderMap) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wanted = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more patience than there is.
        text.parse().ok().and_then(TimeDelta::try_seconds).unwrap_or(LONGEST_PATIENCE)
    } else {
        let sent = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
        DateTime::parse_from_rfc2822(text).ok()?.signed_duration_since(sent)
    };
    Some(wanted.clamp(TimeDelta::zero(), LONGEST_PATIENCE))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(body)
        .map_err(|error| ReadError::Garbled(Box::new(HttpFailure::NotJson(place(&error)))))
}

/// Where JSON went wrong. serde's own words are left out: they quote values.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "bad syntax",
        serde_json::error::Category::Data => "another shape",
        serde_json::error::Category::Eof => "it ends early",
    };
    format!("{what}, line {}, column {}", error.line(), error.column())
}

fn compressed(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() <= COMPRESS_ABOVE_BYTES {
        return None;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}
