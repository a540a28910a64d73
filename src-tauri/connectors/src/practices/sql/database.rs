//! A practice database: where it is, and at most two connections to it, kept between uses.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::private::{ExposeSecret, SecretString};
use domain::time::PracticeZone;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::failure::{Failure, SqlError};
use super::profile::{Engine, Profile};
use super::session::{Mode, Session};
use super::value::{Parameters, Value};

/// More would only be idle: one for reading, and one so that a booking need not wait for it.
const MOST_CONNECTIONS: usize = 2;
/// How long a connection is silent before the system asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// MySQL's number for a session variable that this server does not have.
const UNKNOWN_VARIABLE: u32 = 1193;

/// Why a practice database cannot even be tried.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LinkError {
    /// The address is for another kind of database than the profile.
    #[error("the profile `{profile}` needs an address that begins with `{expected}`")]
    WrongScheme {
        /// The profile.
        profile: String,
        /// What the address should begin with.
        expected: &'static str,
    },
    /// The address cannot be read. It is not shown, because a password may stand in it.
    #[error("the address cannot be read: {0}")]
    BadAddress(String),
    /// The settings ask for writing in a way that the profile does not offer.
    #[error("the profile `{profile}` cannot write {asked}: set `write` to {offered}")]
    WriteNotOffered {
        /// The profile.
        profile: String,
        /// `by SQL` or `through an API`.
        asked: &'static str,
        /// What may be set instead.
        offered: &'static str,
    },
}

enum Target {
    Mysql(Box<mysql_async::Opts>),
    Sqlite { path: PathBuf, may_write: bool },
}

/// The database behind a practice.
pub struct Database {
    target: Target,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
}

/// A connection in use. Unless it is given back, it is closed, and what was open on it is undone.
pub struct Lease<'a> {
    /// The connection.
    pub session: Session,
    _permit: SemaphorePermit<'a>,
}

impl Database {
    /// Reads the address. Connects to nothing.
    pub fn new(
        profile: &Profile,
        url: &str,
        password: Option<&SecretString>,
        may_write: bool,
    ) -> Result<Self, LinkError> {
        let wrong = |expected| LinkError::WrongScheme { profile: profile.name.clone(), expected };
        let target = match profile.engine {
            Engine::Sqlite => {
                let path = url.strip_prefix("sqlite:").ok_or_else(|| wrong("sqlite:"))?;
                // `sqlite:///C:/x` and `sqlite:/x` both name a file; a bare `//` is what people add by habit.
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return Err(LinkError::BadAddress("it names no file".into()));
                }
                Target::Sqlite { path: PathBuf::from(path), may_write }
            }
            Engine::Mysql => Target::Mysql(Box::new(mysql_options(url, password, wrong("mysql://"))?)),
        };
        Ok(Self { target, idle: Mutex::new(Vec::new()), permits: Semaphore::new(MOST_CONNECTIONS) })
    }

    /// A connection that works, with the session's settings made and the practice's offset from UTC set.
    pub async fn lease(
        &self,
        profile: &Profile,
        zone: PracticeZone,
        now: DateTime<Utc>,
        mode: Mode,
    ) -> Result<Lease<'_>, Failure> {
        let closed = |_| Failure::of("connect", SqlError::Unreachable("the practice was unlinked".into()));
        let permit = self.permits.acquire().await.map_err(closed)?;
        let mut session = loop {
            match self.idle(mode) {
                None => break self.connect(profile).await?,
                Some(mut session) => {
                    if session.is_alive().await {
                        break session;
                    }
                }
            }
        };
        set_offset(&mut session, profile, zone.offset_seconds(now)).await?;
        set_limits(&mut session, profile, mode).await?;
        Ok(Lease { session, _permit: permit })
    }

    /// A connection that was last used for the same, where there is one: it needs the fewest statements.
    fn idle(&self, mode: Mode) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let same = idle.iter().position(|session| session.limits == Some(mode));
        let at = same.or_else(|| idle.len().checked_sub(1))?;
        Some(idle.swap_remove(at))
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite { path, .. } => Some(path),
            Target::Mysql(_) => None,
        }
    }

    /// Keeps a connection on which nothing is open for the next time.
    pub fn give_back(&self, lease: Lease<'_>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lease.session);
    }

    async fn connect(&self, profile: &Profile) -> Result<Session, Failure> {
        let connected = match &self.target {
            Target::Mysql(options) => Session::mysql(options.as_ref().clone()).await,
            Target::Sqlite { path, may_write } => Session::sqlite(path, *may_write).await,
        };
        let mut session = connected.map_err(|error| Failure::of("connect", error))?;
        for statement in &profile.init {
            let done = session.execute(statement, &Parameters::default()).await;
            done.map_err(|error| Failure::in_statement(statement, error))?;
        }
        Ok(session)
    }
}

async fn set_offset(session: &mut Session, profile: &Profile, seconds: i32) -> Result<(), Failure> {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let offset = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    if let Some(statement) = &profile.time_zone
        && session.offset.as_deref() != Some(offset.as_str())
    {
        let values = Parameters::default().with("offset", Value::Text(offset.clone()));
        session.execute(statement, &values).await.map_err(|error| Failure::in_statement(statement, error))?;
        session.offset = Some(offset);
    }
    Ok(())
}

async fn set_limits(session: &mut Session, profile: &Profile, mode: Mode) -> Result<(), Failure> {
    if session.limits == Some(mode) {
        return Ok(());
    }
    let statements = match mode {
        Mode::Read => &profile.read_limits,
        Mode::Write => &profile.write_limits,
    };
    for statement in statements {
        match session.execute(statement, &Parameters::default()).await {
            // MySQL and MariaDB call some limits by different names; the profile lists both.
            Ok(_) | Err(SqlError::Server { code: UNKNOWN_VARIABLE }) => {}
            Err(error) => return Err(Failure::in_statement(statement, error)),
        }
    }
    session.limits = Some(mode);
    Ok(())
}

fn mysql_options(
    url: &str,
    password: Option<&SecretString>,
    wrong: LinkError,
) -> Result<mysql_async::Opts, LinkError> {
    let rest = url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://")).ok_or(wrong)?;
    let options = mysql_async::Opts::from_url(&format!("mysql://{rest}")).map_err(|_| {
        LinkError::BadAddress("write it like `mysql://account@127.0.0.1:3306/openemr`".into())
    })?;
    if options.db_name().is_none_or(str::is_empty) {
        return Err(LinkError::BadAddress("it names no database after the last `/`".into()));
    }
    let socket = options.socket().map(str::to_owned);
    let inline = options.pass().map(str::to_owned);
    let password = password.map(|password| password.expose_secret().to_owned()).or(inline);
    let built = mysql_async::OptsBuilder::from_opts(options)
        .pass(password)
        // Otherwise the driver connects twice: once to ask for the socket, and again through it.
        .prefer_socket(socket.is_some())
        .tcp_nodelay(true)
        // A connection whose other end vanished is noticed while it is idle, not only when a booking needs it.
        .tcp_keepalive(Some(KEEPALIVE))
        .stmt_cache_size(64);
    Ok(built.into())
}
