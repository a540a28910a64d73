//! The requests: at which pace, to which path, page by page, and what a failure means for this partner.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, WriteError};
use domain::link::LinkKind;
use domain::private::{ExposeSecret, SecretString};
use serde_json::Value;

use super::super::SetupError;
use super::{HintAccount, translate, wire};
use crate::http::{Endpoint, EndpointError, Haste, Http, NOTHING, fingerprint};

/// The most rows of one answer (contract sheet §3).
const PAGE: usize = 100;

/// How many rows there are in all.
const TOTAL: &str = "x-total-count";

/// A list that changes while it is read is read again, this often.
const SWEEPS: usize = 3;

/// No practice has so many pages.
const MOST_PAGES: usize = 5000;

/// The longest that is waited after a refusal for haste, before what chance adds.
const LONGEST_PATIENCE: TimeDelta = TimeDelta::seconds(256);

/// One practice at Hint.
pub struct Client {
    endpoint: Endpoint,
    fingerprint: String,
    /// How many requests in a row were refused for haste.
    hasty: AtomicU32,
}

/// A list that did not stand still.
#[derive(Debug, thiserror::Error)]
#[error("the list changed each time it was read")]
struct Shifting;

/// How the beginning of a time span may be asked for: both spellings are documented (contract sheet §3).
#[derive(Clone, Copy)]
enum Spelling {
    Brackets,
    Json,
}

impl Client {
    pub fn new(account: &HintAccount, token: &SecretString, http: &Http) -> Result<Self, SetupError> {
        let base_url = account.base_url.trim();
        let bare = token.expose_secret().trim();
        if bare.is_empty() {
            return Err(EndpointError::BadHeader("access token").into());
        }
        let fingerprint = fingerprint(&[base_url, bare]);
        let bearer = SecretString::from(format!("Bearer {bare}"));
        let apart = account.between_requests.to_std().unwrap_or_default();
        let endpoint = http
            .endpoint(base_url)?
            .secret_header("authorization", "access token", &bearer)?
            // The limit is one for all practices together (contract sheet §3).
            .with_pace(http, &format!("hint {base_url}"), apart)
            .with_shared_key(&fingerprint)
            .with_plain_bodies();
        Ok(Self { endpoint, fingerprint, hasty: AtomicU32::new(0) })
    }

    /// A short text that differs whenever address or token differ, and tells neither.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Sends nothing any more.
    pub fn retire(&self) {
        self.endpoint.retire(NOTHING);
    }

    pub async fn practice(&self) -> Result<wire::Practice, ReadError> {
        let answer = self.endpoint.read(&["provider", "practice"], &[], Haste::Normal).await;
        self.heard(answer)
    }

    /// One record, by Hint's id or ours.
    pub async fn one(&self, kind: LinkKind, name: &str) -> Result<Value, ReadError> {
        let answer = self.endpoint.read(&["provider", list_of(kind), name], &[], Haste::Normal).await;
        self.heard(answer)
    }

    /// The patients that Hint's own matching finds.
    pub async fn matching(&self, wanted: &wire::Wanted) -> Result<Vec<Value>, ReadError> {
        let path = ["provider", "patients", "matching"];
        // It posts, and changes nothing, so whatever happened it may be asked again.
        let answer = self.endpoint.write_and_read(&path, wanted, Haste::Normal).await;
        self.heard(answer.map_err(|error| match error {
            WriteError::Untouched(error) | WriteError::Unknown(error) => error,
            WriteError::Refused(refusal) => ReadError::Invalid(refusal.to_string()),
        }))
    }

    /// Changes a part of a record; what Hint finds wrong with that, or none.
    pub async fn change(
        &self,
        kind: LinkKind,
        id: &str,
        change: &wire::Change,
    ) -> Result<Option<wire::Problem>, WriteError> {
        let path = ["provider", list_of(kind), id];
        let answer = self.endpoint.change_unless_refused(&path, change).await;
        match answer {
            Err(WriteError::Untouched(error)) => Err(WriteError::Untouched(self.patient(error))),
            Err(WriteError::Unknown(error)) => Err(WriteError::Unknown(self.patient(error))),
            Err(WriteError::Refused(refusal)) => Err(WriteError::Refused(refusal)),
            Ok(answer) => {
                self.hasty.store(0, Ordering::SeqCst);
                Ok(answer)
            }
        }
    }

    /// Every row of a kind, each once, and whether these are all there are. With `since`, those that changed then or later;
    /// where Hint does not narrow the list as it was asked to, that is noticed by what comes, and more comes back.
    pub async fn list(
        &self,
        kind: LinkKind,
        since: Option<DateTime<Utc>>,
    ) -> Result<(Vec<Value>, bool), ReadError> {
        let spellings: &[Option<Spelling>] = match (since, kind) {
            (None, _) | (_, LinkKind::Practitioner) => &[None],
            (_, LinkKind::Patient) => &[Some(Spelling::Brackets), Some(Spelling::Json), None],
            (_, LinkKind::Invoice) => &[Some(Spelling::Json), Some(Spelling::Brackets), None],
        };
        let mut refused = None;
        for spelling in spellings {
            match self.sweep(kind, since, *spelling).await {
                // This spelling is not understood here.
                Err(error @ ReadError::Invalid(_)) => refused = Some(error),
                answer => return answer,
            }
        }
        Err(refused.unwrap_or(ReadError::NotFound))
    }

    async fn sweep(
        &self,
        kind: LinkKind,
        since: Option<DateTime<Utc>>,
        spelling: Option<Spelling>,
    ) -> Result<(Vec<Value>, bool), ReadError> {
        let mut before = None;
        for _ in 0..SWEEPS {
            let swept = self.sweep_once(kind, since, spelling).await?;
            let all = swept.total.is_none_or(|total| swept.rows.len() >= total);
            if swept.ended_early || all {
                let whole = all && !swept.ended_early && (since.is_none() || swept.unfiltered);
                return Ok((swept.rows.into_values().collect(), whole));
            }
            // Rows that changed meanwhile moved to a page that had been read. What is missing twice is not coming.
            if before == Some(swept.rows.len()) {
                return Ok((swept.rows.into_values().collect(), false));
            }
            before = Some(swept.rows.len());
        }
        Err(ReadError::Unreachable(Box::new(Shifting)))
    }

    /// Reads page by page, what changed last first: a row that changes meanwhile is then seen twice, or the next time.
    async fn sweep_once(
        &self,
        kind: LinkKind,
        since: Option<DateTime<Utc>>,
        spelling: Option<Spelling>,
    ) -> Result<Swept, ReadError> {
        let mut swept = Swept::default();
        let mut offset = 0;
        let mut last: Option<DateTime<Utc>> = None;
        let mut falls = true;
        for _ in 0..MOST_PAGES {
            let (page, total) = self.page(kind, offset, since.zip(spelling)).await?;
            let (got, known) = (page.len(), swept.rows.len());
            swept.total = total;
            for row in page {
                let at = row.get("updated_at").and_then(Value::as_str).and_then(translate::instant);
                falls &= at.is_some() && last.is_none_or(|last| at.is_some_and(|at| at <= last));
                last = at.or(last);
                swept.unfiltered |= since.is_some_and(|since| at.is_none_or(|at| at < since));
                let id = row.get("id").and_then(Value::as_str).map(str::to_owned);
                swept.rows.entry(id.unwrap_or_else(|| format!("#{}", row))).or_insert(row);
            }
            // The list was not narrowed. As long as it falls, whatever comes behind is older still.
            if swept.unfiltered && falls {
                swept.ended_early = true;
                return Ok(swept);
            }
            let all = total.map_or(got < PAGE, |total| swept.rows.len() >= total || offset + got >= total);
            if got == 0 || swept.rows.len() == known || all {
                return Ok(swept);
            }
            offset += got;
        }
        Err(ReadError::Unreachable(Box::new(Shifting)))
    }

    async fn page(
        &self,
        kind: LinkKind,
        offset: usize,
        since: Option<(DateTime<Utc>, Spelling)>,
    ) -> Result<(Vec<Value>, Option<usize>), ReadError> {
        let (limit, offset) = (PAGE.to_string(), offset.to_string());
        let mut query = vec![("limit", limit.as_str()), ("offset", &offset), ("sort", "-updated_at")];
        if kind == LinkKind::Patient {
            // Those that were put away are left out otherwise, and absence would look like an end.
            query.push(("filter", "all"));
        }
        let narrowed = since.map(|(at, spelling)| match spelling {
            Spelling::Brackets => ("updated_at[gte]", translate::since(at)),
            Spelling::Json => ("updated_at", serde_json::json!({ "gte": translate::since(at) }).to_string()),
        });
        query.extend(narrowed.as_ref().map(|(name, value)| (*name, value.as_str())));
        let answer = self.endpoint.read_counted(&["provider", list_of(kind)], &query, TOTAL).await;
        self.heard(answer)
    }

    fn heard<T>(&self, answer: Result<T, ReadError>) -> Result<T, ReadError> {
        match answer {
            Ok(answer) => {
                self.hasty.store(0, Ordering::SeqCst);
                Ok(answer)
            }
            Err(error) => Err(self.patient(error)),
        }
    }

    /// Hint does not say how long to wait (contract sheet §3): twice as long each time, and a little longer by chance, so
    /// that everybody who was refused does not come back at once.
    fn patient(&self, mut error: ReadError) -> ReadError {
        if let ReadError::SlowDown { retry_after: retry_after @ None } = &mut error {
            let times = self.hasty.fetch_add(1, Ordering::SeqCst).min(8);
            let wait = (TimeDelta::seconds(1) * 2_i32.pow(times)).min(LONGEST_PATIENCE);
            let chance = i32::try_from(RandomState::new().hash_one(times) % 1000).unwrap_or_default();
            *retry_after = Some(wait + wait * chance / 1000);
        }
        error
    }
}

/// What a sweep found.
#[derive(Default)]
struct Swept {
    rows: BTreeMap<String, Value>,
    total: Option<usize>,
    /// Older rows came than were asked for.
    unfiltered: bool,
    /// The rest is older than was asked for.
    ended_early: bool,
}

/// The list of a kind.
fn list_of(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Patient => "patients",
        LinkKind::Practitioner => "practitioners",
        LinkKind::Invoice => "customer_invoices",
    }
}
