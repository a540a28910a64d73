//! The requests: whose token, within which budget, page by page, and what a failure means for this system.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ports::clock::Clock;
use domain::private::{ExposeSecret, SecretString};
use domain::settings::ProvetSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::SetupError;
use super::wire::{Page, Row};
use crate::http::sign_in::{NobodySignedIn, SignInBook};
use crate::http::{Answered, Endpoint, Grant, Haste, Http, TokenClient, Tokens, fingerprint, is_loopback};

/// How long to wait after a refusal for haste that does not say how long.
const PATIENCE: TimeDelta = TimeDelta::seconds(10);
/// What a right is missing for is asked for again after this long, at the earliest.
const FORBIDDEN_FOR: TimeDelta = TimeDelta::seconds(60);
/// Budgets count the requests of this long (sheet §4).
const WINDOW: TimeDelta = TimeDelta::seconds(60);
/// What tokens are for (sheet §2).
pub const SCOPE: &str = "restapi";
/// No list has more pages than these; one that seems to leads in a circle.
const MOST_PAGES: usize = 20_000;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// People.
    Client,
    /// Their phone numbers.
    PhoneNumber,
    /// Animals.
    Patient,
    /// Appointments.
    Appointment,
    /// Working time.
    Shift,
    /// Its kinds.
    ShiftType,
    /// What appointments are for.
    Reason,
    /// Departments.
    Department,
    /// Staff.
    User,
    /// Webhooks.
    Hook,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    List,
    Get,
    Create,
    Amend,
    Delete,
}

/// Who may spend how much of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// A booking or a person waits for it.
    Urgent,
    /// Reading everybody, which leaves most of the budget to those who wait.
    Bulk,
}

impl Resource {
    /// Those that the practice's book needs, in the order in which people read them.
    pub const NEEDED: [Resource; 8] = [
        Resource::Department,
        Resource::User,
        Resource::Reason,
        Resource::Shift,
        Resource::Appointment,
        Resource::Client,
        Resource::PhoneNumber,
        Resource::Patient,
    ];

    fn path(self) -> &'static [&'static str] {
        match self {
            Resource::Client => &["client"],
            Resource::PhoneNumber => &["phonenumber"],
            Resource::Patient => &["patient"],
            Resource::Appointment => &["appointment"],
            Resource::Shift => &["shift"],
            Resource::ShiftType => &["shifttype"],
            Resource::Reason => &["reason"],
            Resource::Department => &["department"],
            Resource::User => &["user"],
            Resource::Hook => &["hook", "webhook"],
        }
    }

    /// What it is, for the middle of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Resource::Client => "clients",
            Resource::PhoneNumber => "phone numbers",
            Resource::Patient => "animals",
            Resource::Appointment => "appointments",
            Resource::Shift => "shifts",
            Resource::ShiftType => "kinds of shifts",
            Resource::Reason => "reasons",
            Resource::Department => "departments",
            Resource::User => "users",
            Resource::Hook => "webhooks",
        }
    }

    /// What the practice gains where it may be read, in a clause that follows "so that".
    pub fn gains(self) -> &'static str {
        match self {
            Resource::Client => "patients who book are found among your clients, or added to them",
            Resource::PhoneNumber => "clients are recognised by their phone, and a new one's phone is kept",
            Resource::Patient => "the animal of a booking is found, or added",
            Resource::Appointment => "bookings stand in your calendar, and what is taken is not offered",
            Resource::Shift | Resource::ShiftType => "times are offered only while somebody works",
            Resource::Reason => "people choose what they come for, with its right length",
            Resource::Department => "each of your locations is offered by itself",
            Resource::User => "people choose whom they see",
            Resource::Hook => "changes are noticed at once",
        }
    }

    /// The right that opens it, as Provet's own page of rights calls it (sheet §5). Departments need none.
    pub fn right(self) -> Option<&'static str> {
        Some(match self {
            Resource::Client | Resource::PhoneNumber | Resource::Patient => "General: Patients and clients",
            Resource::Appointment => "Calendar: Appointments",
            Resource::Shift | Resource::ShiftType => "Calendar: Shifts",
            Resource::Reason => "Settings: Reasons",
            Resource::User => "Profile: User profile page",
            Resource::Hook => "Settings: Integration settings",
            Resource::Department => return None,
        })
    }

    /// How many requests a minute Provet takes (sheet §4). It may change; a refusal for haste is heeded besides.
    fn budget(self, verb: Verb) -> usize {
        match (self, verb) {
            (Resource::Client, Verb::List) => 125,
            (Resource::Client, Verb::Amend) => 200,
            (Resource::Client, Verb::Create) => 300,
            (Resource::Client, Verb::Get) => 500,
            (Resource::PhoneNumber, Verb::Get) => 3600,
            (Resource::PhoneNumber, _) => 900,
            (Resource::Patient, Verb::List) => 300,
            (Resource::Patient, Verb::Get) => 1200,
            (Resource::Patient, _) => 250,
            (Resource::Appointment, Verb::List) => 300,
            (Resource::Appointment, Verb::Get) => 900,
            (Resource::Appointment, _) => 500,
            (Resource::Department, Verb::List) => 300,
            (Resource::Department, _) => 1200,
            (_, Verb::List) => 100,
            (_, Verb::Get | Verb::Create | Verb::Amend | Verb::Delete) => 300,
        }
    }
}

/// What was spent of one budget, and until when it is closed.
#[derive(Default)]
struct Budget {
    spent: VecDeque<DateTime<Utc>>,
    closed_until: Option<DateTime<Utc>>,
    /// Until when a right is taken as missing, so that it is not asked for with every look.
    forbidden_until: Option<DateTime<Utc>>,
}

impl Budget {
    /// Whether a request may go out now, which is then counted.
    fn spend(&mut self, most: usize, now: DateTime<Utc>) -> Result<(), ReadError> {
        // What lies in the future was counted before the clock was set back.
        self.spent.retain(|at| (TimeDelta::zero()..WINDOW).contains(&(now - *at)));
        let wait = |until: DateTime<Utc>| Err(ReadError::SlowDown { retry_after: Some(until - now) });
        match self.closed_until {
            Some(until) if now < until => return wait(until),
            Some(_) | None => self.closed_until = None,
        }
        match self.spent.front() {
            Some(oldest) if self.spent.len() >= most => wait(*oldest + WINDOW),
            Some(_) | None => {
                self.spent.push_back(now);
                Ok(())
            }
        }
    }
}

/// One practice at Provet Cloud.
pub struct Client {
    endpoint: Endpoint,
    base: String,
    account: String,
    budgets: Mutex<BTreeMap<(Resource, Verb), Budget>>,
    clock: Arc<dyn Clock>,
}

/// A list as far as it was read.
pub struct Listing<T> {
    rows: BTreeMap<u64, T>,
    /// When reading it began; none before.
    began: Option<DateTime<Utc>>,
    /// What asks for the next page; none before the first and behind the last.
    ahead: Option<Vec<(String, String)>>,
    /// How many rows there were at the beginning, where it is said.
    count: Option<u64>,
    /// Whether pages are followed as they are linked, because rows do not come by number.
    is_paged: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), began: None, ahead: None, count: None, is_paged: false }
    }
}

impl<T> Listing<T> {
    /// When reading it began; none before.
    pub fn began(&self) -> Option<DateTime<Utc>> {
        self.began
    }
}

impl<T: Row> Listing<T> {
    /// Takes a page in, and finds out what asks for the next one. False where a row does not fit.
    fn take(
        &mut self,
        page: Page<T>,
        query: &[(String, String)],
        filters: &[(String, String)],
        fits: &impl Fn(&T) -> bool,
    ) -> bool {
        if self.ahead.is_none() {
            self.count = page.count;
        }
        let behind = after(query);
        let mut last = behind;
        let mut in_order = true;
        for row in page.results {
            if !fits(&row) || behind.is_some_and(|behind| row.id() <= behind) {
                return false;
            }
            in_order &= last.is_none_or(|last| row.id() > last);
            last = Some(row.id());
            self.rows.insert(row.id(), row);
        }
        let known = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        self.ahead = match (page.next, last) {
            (Some(_), Some(last)) if in_order && !self.is_paged => {
                let behind = ("id__gt".to_owned(), last.to_string());
                Some(filters.iter().cloned().chain([behind]).collect())
            }
            (Some(next), _) => {
                self.is_paged = true;
                Some(pairs_of(&next))
            }
            // The first rows came by number, and others did not.
            (None, _) if !self.is_paged && self.count.is_some_and(|count| known < count) => {
                self.is_paged = true;
                let first = ("page".to_owned(), "1".to_owned());
                Some(filters.iter().cloned().chain([first]).collect())
            }
            (None, _) => None,
        };
        true
    }
}

/// The addresses of a practice at `host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The REST API, no slash at the end.
    pub api: String,
    /// Where tokens are fetched.
    pub token: String,
    /// Where a person signs in.
    pub authorize: String,
}

impl Addresses {
    /// The addresses of practice `provet_id` (sheet §1, §2).
    ///
    /// # Errors
    /// [`SetupError::Host`] where `host` is none of Provet's, and not this computer.
    pub fn of(host: &str, provet_id: u32) -> Result<Self, SetupError> {
        let url = Url::parse(host.trim()).map_err(|_| SetupError::Host)?;
        let name = url.host().ok_or(SetupError::Host)?;
        let is_provets = url.scheme() == "https"
            && url
                .host_str()
                .is_some_and(|host| host == "provetcloud.com" || host.ends_with(".provetcloud.com"));
        if !is_provets && !is_loopback(&name) || !matches!(url.path(), "" | "/") {
            return Err(SetupError::Host);
        }
        let host = host.trim().trim_end_matches('/');
        Ok(Self {
            api: format!("{host}/{provet_id}/api/0.1"),
            token: format!("{host}/{provet_id}/oauth2/token/"),
            authorize: format!("{host}/{provet_id}/oauth2/authorize/"),
        })
    }
}

impl Client {
    pub fn new(
        host: &str,
        settings: &ProvetSettings,
        (client_secret, sign_in): (Option<&SecretString>, Option<&Arc<dyn SignInBook>>),
        http: &Http,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let addresses = Addresses::of(host, settings.provet_id)?;
        let token_url = settings.token_url.as_deref().unwrap_or(&addresses.token);
        let client_id = SecretString::from(settings.client_id.trim());
        let client_secret = client_secret.filter(|secret| !secret.expose_secret().trim().is_empty());
        let nobody: Arc<dyn SignInBook> = Arc::new(NobodySignedIn);
        let grant = match &settings.redirect_url {
            Some(_) => Grant::Person { book: sign_in.unwrap_or(&nobody), clock: &clock },
            None if client_secret.is_none() => return Err(SetupError::NoSecret),
            None => Grant::ClientByBasic { scope: SCOPE },
        };
        let tokens: Tokens =
            http.tokens(&TokenClient { url: token_url, client_id: &client_id, client_secret, grant })?;
        let account = fingerprint(&[
            &addresses.api,
            token_url,
            settings.client_id.trim(),
            client_secret.map(|secret| secret.expose_secret().trim()).unwrap_or_default(),
            &sign_in.map(|book| book.whose()).unwrap_or_default(),
        ]);
        let endpoint = http
            .endpoint(&addresses.api)?
            .with_tokens(Arc::new(tokens))
            .with_shared_key(&account)
            .with_rights_apart()
            .with_plain_bodies();
        Ok(Self { endpoint, base: addresses.api, account, budgets: Mutex::default(), clock })
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The address of something, as relations are written.
    pub fn address(&self, what: Resource, id: u64) -> String {
        format!("{}/{}/{id}/", self.base, what.path().join("/"))
    }

    /// One row; none where it is gone, archived or hidden from us (404).
    pub async fn get<T: DeserializeOwned>(&self, what: Resource, id: u64) -> Result<Option<T>, ReadError> {
        self.may(what, Verb::Get, Spending::Urgent)?;
        let id = id.to_string();
        let path = [what.path(), &[id.as_str(), ""]].concat();
        match self.endpoint.read(&path, &[], Haste::Normal).await {
            Ok(row) => Ok(Some(row)),
            Err(ReadError::NotFound) => Ok(None),
            Err(error) => Err(self.heard(what, Verb::Get, error)),
        }
    }

    /// What the credentials may do, in whatever shape Provet says it.
    pub async fn active_permissions(&self) -> Result<Value, ReadError> {
        self.may(Resource::User, Verb::Get, Spending::Urgent)?;
        let path = ["user", "current", "active_permissions", ""];
        let told = self.endpoint.read(&path, &[], Haste::Normal).await;
        told.map_err(|error| self.heard(Resource::User, Verb::Get, error))
    }

    /// One page of a list.
    pub async fn page<T: DeserializeOwned>(
        &self,
        what: Resource,
        query: &[(String, String)],
        spending: Spending,
    ) -> Result<Page<T>, ReadError> {
        self.may(what, Verb::List, spending)?;
        let path = [what.path(), &[""]].concat();
        let query: Vec<(&str, &str)> =
            query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let page = self.endpoint.read(&path, &query, Haste::Normal).await;
        page.map_err(|error| self.heard(what, Verb::List, error))
    }

    /// Every row that fits, by number.
    pub async fn all<T: DeserializeOwned + Row>(
        &self,
        what: Resource,
        filters: &[(&str, String)],
        fits: impl Fn(&T) -> bool,
        spending: Spending,
    ) -> Result<BTreeMap<u64, T>, ReadError> {
        let mut listing = Listing::default();
        self.read_on(what, filters, fits, spending, &mut listing).await
    }

    /// Every row that fits, by number. `fits` looks at each, because a filter that Provet does not know is ignored
    /// without a word (sheet §3). Asked for by the last number seen, because high page numbers are slow and not to be
    /// relied upon (sheet §6); where rows come in another order, page by page. Where it cannot be read to its end now,
    /// what was read stays in `listing`, and the next call goes on from there.
    pub async fn read_on<T: DeserializeOwned + Row>(
        &self,
        what: Resource,
        filters: &[(&str, String)],
        fits: impl Fn(&T) -> bool,
        spending: Spending,
        listing: &mut Listing<T>,
    ) -> Result<BTreeMap<u64, T>, ReadError> {
        let filters: Vec<(String, String)> =
            filters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        listing.began.get_or_insert_with(|| self.now());
        for _ in 0..MOST_PAGES {
            let query = listing.ahead.clone().unwrap_or_else(|| filters.clone());
            let page: Page<T> = self.page(what, &query, spending).await?;
            if !listing.take(page, &query, &filters, &fits) {
                *listing = Listing::default();
                return Err(ignored(what));
            }
            match &listing.ahead {
                None => return Ok(std::mem::take(listing).rows),
                Some(ahead) if *ahead == query => break,
                Some(_) => {}
            }
        }
        *listing = Listing::default();
        Err(ReadError::Garbled("the pages of a list lead in a circle".into()))
    }

    /// Every row that was changed at `mark` or since.
    pub async fn changed_since<T: DeserializeOwned + Row>(
        &self,
        what: Resource,
        mark: DateTime<Utc>,
        spending: Spending,
    ) -> Result<BTreeMap<u64, T>, ReadError> {
        let since = mark.to_rfc3339_opts(SecondsFormat::Secs, true);
        // Written to the second, so that one of the same second fits.
        let since_second = mark - TimeDelta::seconds(1);
        let fits = |row: &T| row.modified().is_some_and(|modified| modified >= since_second);
        self.all(what, &[("modified__gte", since)], fits, spending).await
    }

    /// Creates something. A refusal is what Provet says of it.
    pub async fn create<T: DeserializeOwned>(
        &self,
        what: Resource,
        body: &(impl Serialize + Sync),
    ) -> Result<Answered<T, Value>, WriteError> {
        self.may_write(what, Verb::Create)?;
        let path = [what.path(), &[""]].concat();
        let made = self.endpoint.create(&path, body, Haste::Normal).await;
        made.map_err(|error| self.heard_writing(what, Verb::Create, error))
    }

    /// Changes some fields of something, likewise.
    pub async fn amend<T: DeserializeOwned>(
        &self,
        what: Resource,
        id: u64,
        body: &(impl Serialize + Sync),
    ) -> Result<Answered<T, Value>, WriteError> {
        self.may_write(what, Verb::Amend)?;
        let id = id.to_string();
        let path = [what.path(), &[id.as_str(), ""]].concat();
        let changed = self.endpoint.amend(&path, body, Haste::Normal).await;
        changed.map_err(|error| self.heard_writing(what, Verb::Amend, error))
    }

    /// Deletes something for good; what is gone already is done.
    pub async fn delete(&self, what: Resource, id: u64) -> Result<(), WriteError> {
        self.may_write(what, Verb::Delete)?;
        let id = id.to_string();
        let path = [what.path(), &[id.as_str(), ""]].concat();
        match self.endpoint.delete(&path, &[], Haste::Normal).await.map_err(WriteError::from) {
            Err(WriteError::Untouched(ReadError::NotFound)) => Ok(()),
            ended => ended.map_err(|error| self.heard_writing(what, Verb::Delete, error)),
        }
    }

    /// A short text that differs whenever the account does.
    pub fn account(&self) -> String {
        self.account.clone()
    }

    /// Whether a request may go out now, which is then counted.
    fn may(&self, what: Resource, verb: Verb, spending: Spending) -> Result<(), ReadError> {
        match self.spend(what, verb, spending) {
            Err(ReadError::NoConsent) => Err(ReadError::Invalid(right_missing(what))),
            other => other,
        }
    }

    fn may_write(&self, what: Resource, verb: Verb) -> Result<(), WriteError> {
        match self.spend(what, verb, Spending::Urgent) {
            Err(ReadError::NoConsent) => Err(WriteError::Refused(Refusal::ReadOnly)),
            other => other.map_err(WriteError::Untouched),
        }
    }

    fn spend(&self, what: Resource, verb: Verb, spending: Spending) -> Result<(), ReadError> {
        let now = self.clock.now();
        let whole = what.budget(verb);
        // Other programs may ask for the same practice, and its clock is not ours.
        let mut budgets = self.budgets();
        let budget = budgets.entry((what, verb)).or_default();
        if budget.forbidden_until.is_some_and(|until| now < until && until - now <= FORBIDDEN_FOR) {
            return Err(ReadError::NoConsent);
        }
        let most = match spending {
            Spending::Urgent => whole * 9 / 10,
            Spending::Bulk => whole / 2,
        };
        budget.spend(most, now)
    }

    fn budgets(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Resource, Verb), Budget>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, what: Resource, verb: Verb, error: ReadError) -> ReadError {
        match &error {
            ReadError::SlowDown { retry_after } => {
                let wait = retry_after.unwrap_or(PATIENCE);
                let closed_until = self.clock.now() + wait;
                self.budgets().entry((what, verb)).or_default().closed_until = Some(closed_until);
                ReadError::SlowDown { retry_after: Some(wait) }
            }
            ReadError::NoConsent => {
                let until = self.clock.now() + FORBIDDEN_FOR;
                self.budgets().entry((what, verb)).or_default().forbidden_until = Some(until);
                ReadError::Invalid(right_missing(what))
            }
            ReadError::Unreachable(_)
            | ReadError::NotAuthorised
            | ReadError::SignInNeeded
            | ReadError::NotFound
            | ReadError::Garbled(_)
            | ReadError::Invalid(_)
            | ReadError::Misfit(_)
            | ReadError::OwnProfile(_) => error,
        }
    }

    fn heard_writing(&self, what: Resource, verb: Verb, error: WriteError) -> WriteError {
        match error {
            WriteError::Untouched(error @ ReadError::NoConsent) => {
                self.heard(what, verb, error);
                WriteError::Refused(Refusal::ReadOnly)
            }
            WriteError::Untouched(error) => WriteError::Untouched(self.heard(what, verb, error)),
            WriteError::Unknown(error) => WriteError::Unknown(self.heard(what, verb, error)),
            WriteError::Refused(refusal) => WriteError::Refused(refusal),
        }
    }
}

/// A right that is missing, and where it is given.
pub fn right_missing(what: Resource) -> String {
    match what.right() {
        Some(right) => format!(
            "Provet Cloud does not show us {}. Give the right \"{right}\" to the integration's user, under Settings, Users \
             and permission groups",
            what.words()
        ),
        None => format!("Provet Cloud does not show us {}", what.words()),
    }
}

fn ignored(what: Resource) -> ReadError {
    ReadError::Misfit(format!("Provet Cloud gave other {} than it was asked for", what.words()))
}

/// The number behind which rows were asked for.
fn after(query: &[(String, String)]) -> Option<u64> {
    let (_, value) = query.iter().find(|(key, _)| key == "id__gt")?;
    value.parse().ok()
}

/// What an address asks for. Where it leads is left out: our token goes to our own host alone.
fn pairs_of(address: &str) -> Vec<(String, String)> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The number in one of our own keys; none where it is not one of Provet's.
pub fn number(key: &str) -> Option<u64> {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| key.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;

    #[test]
    fn only_provets_own_hosts_are_given_credentials() {
        for host in [
            "https://provetcloud.com",
            "https://us.provetcloud.com/",
            " https://awstest.provetcloud.com",
            "http://127.0.0.1:81",
        ] {
            assert!(Addresses::of(host, 9999).is_ok(), "{host}");
        }
        for host in [
            "http://provetcloud.com",
            "https://provetcloud.com.example.com",
            "https://notprovetcloud.com",
            "https://provetcloud.com/9999/api/0.1/",
            "mysql://127.0.0.1/x",
            "provetcloud.com",
            "",
        ] {
            assert!(Addresses::of(host, 9999).is_err(), "{host}");
        }
        let addresses = Addresses::of("https://provetcloud.com/", 9999).unwrap();
        assert_eq!(addresses.api, "https://provetcloud.com/9999/api/0.1");
        assert_eq!(addresses.token, "https://provetcloud.com/9999/oauth2/token/");
    }

    #[test]
    fn a_budget_is_kept_and_opens_again() {
        let start: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
        let mut budget = Budget::default();
        for second in 0..3 {
            assert!(budget.spend(3, start + TimeDelta::seconds(second)).is_ok());
        }
        let refused = budget.spend(3, start + TimeDelta::seconds(3));
        assert!(
            matches!(refused, Err(ReadError::SlowDown { retry_after: Some(wait) }) if wait.num_seconds() == 57)
        );
        assert!(budget.spend(3, start + TimeDelta::seconds(60)).is_ok());
        budget.closed_until = Some(start + TimeDelta::seconds(90));
        assert!(budget.spend(3, start + TimeDelta::seconds(89)).is_err());
        assert!(budget.spend(3, start + TimeDelta::seconds(90)).is_ok());
        // A clock that is set back does not keep it closed for ever.
        assert!(budget.spend(3, start - TimeDelta::hours(5)).is_ok());
    }

    #[test]
    fn rows_that_began_by_number_and_go_on_otherwise_are_all_read() {
        let page = |ids: std::ops::Range<u64>, next: Option<&str>| Page {
            count: Some(60),
            next: next.map(str::to_owned),
            results: ids
                .map(|id| wire::Department { id, name: String::new(), modified: None })
                .collect::<Vec<_>>(),
        };
        let filters = [("archived__is".to_owned(), "false".to_owned())];
        let next = "https://provetcloud.com/9999/api/0.1/department/?archived__is=false&page=2";
        let mut listing = Listing::default();
        let fits = |_: &wire::Department| true;
        let asked = |listing: &Listing<wire::Department>| {
            let ahead = listing.ahead.clone().unwrap_or_default();
            ahead.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
        };
        assert!(listing.take(page(11..61, Some(next)), &filters, &filters, &fits));
        assert_eq!(asked(&listing), "archived__is=false&id__gt=60");
        let query = listing.ahead.clone().unwrap();
        assert!(listing.take(page(0..0, None), &query, &filters, &fits));
        assert_eq!(asked(&listing), "archived__is=false&page=1", "ten of them are missing");
        let query = listing.ahead.clone().unwrap();
        assert!(listing.take(page(11..61, Some(next)), &query, &filters, &fits));
        let query = listing.ahead.clone().unwrap();
        assert!(listing.take(page(1..11, None), &query, &filters, &fits));
        assert_eq!((listing.ahead, listing.rows.len()), (None, 60));
    }

    #[test]
    fn where_the_next_page_lies_is_read_without_going_elsewhere() {
        let next = "https://elsewhere.example/x/?modified__gte=2026-11-20+00%3A00%2B00%3A00&page=2#end";
        let expected = [("modified__gte", "2026-11-20 00:00+00:00"), ("page", "2")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(pairs_of(next), expected);
    }
}
