//! Receives webhooks behind the practice's own reverse proxy, for whichever partner or practice system.
//!
//! A delivery is a hint: it is answered before anything is done about it, and all that it does is ring the bell of its
//! practice. So nothing in it is refused for its form: a body that is no JSON, or of another type, rings all the same.
//! What is turned away is what does not come from where it should (403), names no door (404, which says nothing about
//! the doors there are), is too long (413) or comes too slowly (408).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::ids::PracticeId;
use domain::ports::store::{Store, StoreError};
use domain::ports::webhooks::{Announced, Bell, ListenerState, Registrar, Taken};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{ListenerSettings, SecretKind, SecretName};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::partners::healthengine;
use crate::practices::provet;

/// A delivery has a few hundred bytes.
const LARGEST_BODY: usize = 64 * 1024;
/// How many deliveries are received at once; more wait for the operating system to hand them over.
const MOST_AT_ONCE: usize = 256;
/// How many connections the operating system is asked to hold back for us.
const MOST_WAITING: u32 = 4096;
/// How often the store is asked for other settings.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks apart an address is tried again that could not be had.
const TRY_AGAIN_AFTER: u32 = 10;

/// How long a sender may take. The answer itself takes no time, and the partner waits for five seconds (sheet §5).
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request.
    pub head: Duration,
    /// For its body, from the end of the head.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(3), body: Duration::from_secs(3) }
    }
}

/// Understands what a partner delivered. Anything at all may come in.
pub type Reader = fn(&[u8]) -> Announced;

/// Where deliveries come in.
#[derive(Clone)]
pub struct Door {
    /// The addresses from which deliveries come; none lets everybody in who knows the path.
    pub sources: Option<BTreeSet<IpAddr>>,
    /// Who is behind it.
    pub opens_to: OpensTo,
}

/// Who is behind a door.
#[derive(Clone)]
pub enum OpensTo {
    /// The bell of a practice, for hints.
    Bell {
        /// Whose.
        practice: PracticeId,
        /// Understands what comes in.
        read: Reader,
    },
    /// Whoever takes registrations in.
    Registrar(Arc<dyn Registrar>),
}

/// A digest of the last segment of the path. The path itself is not held, and how long a look-up takes tells nothing
/// about the paths that there are.
type Lock = [u8; 32];

fn lock(segment: &str) -> Lock {
    Sha256::digest(segment.as_bytes()).into()
}

/// The doors, and what happened at them.
struct Doors {
    doors: RwLock<BTreeMap<Lock, Door>>,
    bell: Arc<dyn Bell>,
    wrong_sources: AtomicU64,
    patience: Patience,
}

/// A listener on one address. Dropping it ends it and every connection to it.
pub struct Listener {
    address: SocketAddr,
    doors: Arc<Doors>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Listens on `address`; port 0 takes any free one. There are no doors yet.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(address: SocketAddr, patience: Patience, bell: Arc<dyn Bell>) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let doors =
            Arc::new(Doors { doors: RwLock::default(), bell, wrong_sources: AtomicU64::new(0), patience });
        let accepting = tokio::spawn(accept(listener, doors.clone()));
        Ok(Self { address, doors, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the doors, each by the last segment of its path.
    pub fn set_doors(&self, doors: impl IntoIterator<Item = (SecretString, Door)>) {
        let doors = doors.into_iter().map(|(path, door)| (lock(path.expose_secret()), door)).collect();
        *self.doors.doors.write().unwrap_or_else(PoisonError::into_inner) = doors;
    }

    /// How many deliveries came from elsewhere.
    pub fn wrong_sources(&self) -> u64 {
        self.doors.wrong_sources.load(Ordering::Relaxed)
    }

    /// Stops listening, and returns when the address is free again.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without this, an address is not free for a while after a listener there has ended. On Windows it would mean
    // that two may listen at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(MOST_WAITING)
}

async fn accept(listener: TcpListener, doors: Arc<Doors>) {
    let seats = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let router = Router::new().fallback(receive).with_state(doors.clone());
    let mut connections = JoinSet::new();
    loop {
        // Nobody closes the seats, so this only ever waits.
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let served = serve(stream, peer, router.clone(), doors.patience);
                connections.spawn(async move {
                    served.await;
                    drop(seat);
                });
            }
            // The connection broke before it stood, or the process has no file handle left for the moment.
            Err(_) => breathe().await,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an operating system that has nothing left is asked again a little later"
)]
async fn breathe() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// One delivery; a proxy that has more to say connects again.
async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, patience: Patience) {
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        hyper::service::Service::call(&router, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever neither sends nor takes the answer is cut off as well.
    let longest = patience.head + patience.body + patience.body;
    let _ = tokio::time::timeout(longest, connection).await;
}

async fn receive(
    State(doors): State<Arc<Doors>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let key = lock(request.uri().path().rsplit('/').next().unwrap_or_default());
    let opens_to = {
        let known = doors.doors.read().unwrap_or_else(PoisonError::into_inner);
        let Some(door) = known.get(&key) else { return StatusCode::NOT_FOUND.into_response() };
        if let Some(sources) = &door.sources
            && !sources.contains(&source(peer.ip(), request.headers()))
        {
            doors.wrong_sources.fetch_add(1, Ordering::Relaxed);
            return StatusCode::FORBIDDEN.into_response();
        }
        door.opens_to.clone()
    };
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response();
    }
    if claimed_length(request.headers()).is_some_and(|length| length > LARGEST_BODY) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    match tokio::time::timeout(doors.patience.body, body(request.into_body())).await {
        Ok(Some(body)) => match opens_to {
            OpensTo::Bell { practice, read } => {
                doors.bell.delivered(&practice, read(&body));
                StatusCode::OK.into_response()
            }
            OpensTo::Registrar(registrar) => match registrar.take(&body).await {
                Taken::Waits => StatusCode::OK.into_response(),
                Taken::Refused => StatusCode::BAD_REQUEST.into_response(),
                Taken::Later => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            },
        },
        Ok(None) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

async fn body(body: Body) -> Option<axum::body::Bytes> {
    // A body that breaks off is as good as one that is too long: nobody waits for the answer.
    to_bytes(body, LARGEST_BODY).await.ok()
}

fn claimed_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Where a delivery comes from. A proxy on this computer says for whom it speaks, at the end of `X-Forwarded-For`; what
/// stands before that, anybody may have written.
fn source(peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !peer.is_loopback() {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next().map(str::trim));
    last.and_then(address).unwrap_or(peer)
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

/// What the store says about the listener.
#[derive(Default)]
struct Wanted {
    settings: Option<ListenerSettings>,
    doors: Vec<(SecretString, Door)>,
}

/// Keeps a listener as the store says, until it is dropped: changes are taken up within two seconds, an address that
/// cannot be had is tried again. The bell hears how it goes.
///
/// Registrations come in where there is a registrar, and the store has a path for them.
pub async fn keep(store: Arc<dyn Store>, bell: Arc<dyn Bell>, registrar: Option<Arc<dyn Registrar>>) {
    let wanted = Wanted::default();
    let mut keeper = Keeper { store, bell, registrar, revision: None, wanted, listener: None, failed: None };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        looks.tick().await;
        keeper.take_up_settings().await;
        keeper.start_if_wanted().await;
        let state = keeper.state();
        if told.as_ref() != Some(&state) {
            keeper.bell.listening(state.clone());
            told = Some(state);
        }
    }
}

struct Keeper {
    store: Arc<dyn Store>,
    bell: Arc<dyn Bell>,
    registrar: Option<Arc<dyn Registrar>>,
    revision: Option<u64>,
    wanted: Wanted,
    listener: Option<Listener>,
    /// Why the address cannot be had, and after how many looks it is tried again.
    failed: Option<(u32, String)>,
}

impl Keeper {
    /// What cannot be read now is read at the next look.
    async fn take_up_settings(&mut self) {
        let Ok(revision) = self.store.revision().await else { return };
        if self.revision == Some(revision) {
            return;
        }
        let Ok(wanted) = read(self.store.as_ref(), self.registrar.as_ref()).await else { return };
        self.revision = Some(revision);
        if address_of(&wanted) != address_of(&self.wanted) {
            if let Some(old) = self.listener.take() {
                old.stop().await;
            }
            self.failed = None;
        }
        self.wanted = wanted;
        if let Some(listener) = &self.listener {
            listener.set_doors(self.wanted.doors.iter().cloned());
        }
    }

    async fn start_if_wanted(&mut self) {
        let (Some(settings), None) = (&self.wanted.settings, &self.listener) else { return };
        if let Some((looks, _)) = &mut self.failed
            && *looks > 0
        {
            *looks -= 1;
            return;
        }
        match try_to_start(settings, &self.bell).await {
            Ok(started) => {
                tracing::info!(address = %started.address(), "Webhooks are received.");
                started.set_doors(self.wanted.doors.iter().cloned());
                self.listener = Some(started);
                self.failed = None;
            }
            Err(problem) => {
                if self.failed.is_none() {
                    tracing::warn!("{problem}");
                }
                self.failed = Some((TRY_AGAIN_AFTER, problem));
            }
        }
    }

    fn state(&self) -> Option<ListenerState> {
        self.wanted.settings.as_ref().map(|settings| ListenerState {
            address: settings.address.clone(),
            problem: self.failed.as_ref().map(|(_, problem)| problem.clone()),
            wrong_sources: self.listener.as_ref().map_or(0, Listener::wrong_sources),
        })
    }
}

fn address_of(wanted: &Wanted) -> Option<&str> {
    wanted.settings.as_ref().map(|settings| settings.address.as_str())
}

async fn try_to_start(settings: &ListenerSettings, bell: &Arc<dyn Bell>) -> Result<Listener, String> {
    let address = settings.address.parse().map_err(|_| {
        format!(
            "{} is no address to listen on; it has the form {}.",
            settings.address,
            ListenerSettings::ADDRESS
        )
    })?;
    Listener::start(address, Patience::default(), bell.clone())
        .await
        .map_err(|error| trouble(address, &error))
}

/// Why an address cannot be had and what to do, in a sentence.
#[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have nothing to do with listening")]
pub fn trouble(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Webhooks are not received: another program on this computer uses port {port}. Choose another port in Settings, and in your proxy."
        ),
        io::ErrorKind::PermissionDenied => format!(
            "Webhooks are not received: the operating system does not let us use port {port}. Choose one above 1023 in Settings, and in your proxy."
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "Webhooks are not received: this computer does not have the address {}. Choose 127.0.0.1 in Settings unless your proxy runs elsewhere.",
            address.ip()
        ),
        _ => format!(
            "Webhooks are not received: {address} cannot be listened on. Choose another address in Settings."
        ),
    }
}

/// Whether anybody but this computer can connect to it.
pub fn is_open_to_others(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

async fn read(store: &dyn Store, registrar: Option<&Arc<dyn Registrar>>) -> Result<Wanted, StoreError> {
    let settings = store.app_settings().await?.listener;
    let mut doors = Vec::new();
    if let Some(listener) = &settings {
        let sources: BTreeSet<IpAddr> =
            listener.sources.iter().filter_map(|text| address(text.trim())).collect();
        for practice in store.practices().await? {
            for kind in SecretKind::PATHS {
                if practice.webhook_url(kind).is_none() || !practice.enabled {
                    continue;
                }
                let name = SecretName::of(&practice.id, kind);
                let Some(path) = store.secret(&name).await? else { continue };
                let (sources, read): (_, Reader) = if kind == SecretKind::HealthengineWebhookPath {
                    (listener.check_sources.then(|| sources.clone()), healthengine::announced)
                } else {
                    // Provet does not say from where it delivers.
                    (None, provet::announced)
                };
                let opens_to = OpensTo::Bell { practice: practice.id.clone(), read };
                doors.push((path, Door { sources, opens_to }));
            }
        }
        if let Some(registrar) = registrar
            && let Some(path) = store.secret(&SecretName::of_hookup_path()).await?
        {
            doors.push((path, Door { sources: None, opens_to: OpensTo::Registrar(registrar.clone()) }));
        }
    }
    Ok(Wanted { settings, doors })
}

#[cfg(test)]
mod tests;
