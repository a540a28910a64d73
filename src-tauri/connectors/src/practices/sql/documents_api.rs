//! Documents that are filed through the practice system's own API. The API has no key for a request, so what was posted
//! is known again by its name, which holds the document's key, and is looked for in the practice's database: there it is
//! found wherever staff have put it since.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::documents::{DocumentKey, DocumentOrder, format_of};
use domain::failure::ReadError;
use domain::ids::{DocumentRef, PatientRef};
use domain::ports::documents::{DocumentInbox, FilingError, Placed, Staged};
use domain::private::{Private, SecretString};
use domain::settings::DocumentApi;

use super::profile::{DocumentApiKind, DocumentApiQueries};
use super::value::{Rows, Value};
use super::{SqlPractice, run};
use crate::http::{EndpointError, Http};
use crate::practices::folders::NamePattern;
use crate::practices::openemr::{DocumentPost, Posted, category_parts};

/// A document whose post got no answer may appear until this long after it began: we wait for two minutes, a PHP script
/// may run for another, and then some.
const SETTLES: TimeDelta = TimeDelta::minutes(5);
/// No name is longer, in characters, without its key and ending. OpenEMR keeps 255.
const LONGEST_NAME: usize = 120;

const NO_SECRET: &str = "cannot be asked, because its client secret or its user's password is missing here: enter them in Connections, or apply the provisioning file again";
const NO_CATEGORY: &str = "has no such category for documents: choose one that stands under Administration → Practice → Documents Categories, and write those above it before it, with / between them";
const TWO_CATEGORIES: &str = "has several categories of this name, and its API may take the wrong one: rename one of them, or choose another";
const CANNOT_LOOK: &str = "cannot be asked what it holds: give the account of the practice database the right SELECT on documents and categories";

/// Why documents cannot go through an API.
#[derive(Debug, thiserror::Error)]
pub enum DocumentApiError {
    /// The profile knows none.
    #[error("the profile `{0}` knows no API for documents: leave documents_api out, or name a folder")]
    NotOffered(String),
    /// The address or the credentials cannot be used.
    #[error("the API for documents cannot be used")]
    Endpoint(#[from] EndpointError),
}

impl SqlPractice {
    /// Files documents through the practice system's own API instead of a folder. Where a secret is missing, documents
    /// wait and say so, and everything else goes on.
    ///
    /// # Errors
    /// [`DocumentApiError`] says what is wrong with the settings.
    pub fn with_document_api(
        mut self,
        api: &DocumentApi,
        client_secret: Option<&SecretString>,
        password: Option<&SecretString>,
        http: &Http,
    ) -> Result<Self, DocumentApiError> {
        let queries = self.profile.document_api.clone();
        let queries = queries.ok_or_else(|| DocumentApiError::NotOffered(self.profile.name.clone()))?;
        let post = match (queries.speaks, client_secret, password) {
            (DocumentApiKind::Openemr, Some(client_secret), Some(password)) => {
                Some(DocumentPost::new(api, client_secret, password, http)?)
            }
            (DocumentApiKind::Openemr, _, _) => None,
        };
        let pattern = self.profile.documents.import_name.clone();
        self.inbox = None;
        let (practice, category) = (self.clone(), category_parts(&api.category));
        self.inbox = Some(Arc::new(ApiInbox {
            practice,
            queries,
            title: title(&self.profile.title, &api.url),
            post,
            pattern,
            category,
            to_be_tried: Mutex::default(),
        }));
        Ok(self)
    }
}

/// The API, and the database to look into.
struct ApiInbox {
    practice: SqlPractice,
    queries: DocumentApiQueries,
    title: String,
    /// None where a secret is missing.
    post: Option<DocumentPost>,
    pattern: NamePattern,
    category: Vec<String>,
    /// Tries that were recorded and that this process has not begun. After a restart there are none, and every recorded
    /// try may have happened.
    to_be_tried: Mutex<BTreeSet<(DocumentKey, DateTime<Utc>)>>,
}

/// What is recorded before a document is posted. Lines of text: name, patient, and when the try began, if any did.
struct Ticket {
    name: String,
    patient: PatientRef,
    began: Option<DateTime<Utc>>,
}

impl Ticket {
    fn read(text: &Private<String>) -> Option<Self> {
        let mut lines = text.reveal().lines();
        let (name, patient) = (lines.next()?.to_owned(), PatientRef::new(lines.next()?));
        let began = match lines.next() {
            Some(began) => Some(began.parse().ok()?),
            None => None,
        };
        Some(Self { name, patient, began })
    }

    fn write(&self) -> Private<String> {
        let mut text = format!("{}\n{}", self.name, self.patient);
        if let Some(began) = self.began {
            text.push_str(&format!("\n{}", began.to_rfc3339()));
        }
        Private::new(text)
    }
}

/// What people call it: `OpenEMR at emr.example.com`.
fn title(system: &str, url: &str) -> String {
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    format!("{system} at {}", host.unwrap_or_default())
}

/// A name of plain letters that no other document has: what the pattern says, and then the document's key.
fn name(pattern: &NamePattern, order: &DocumentOrder) -> String {
    let plain = |text: &str| -> String {
        text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
    };
    let said = pattern.name(order, 1);
    let stem = said.rsplit_once('.').map_or(said.as_str(), |(stem, _)| stem);
    let stem: String = plain(stem).chars().take(LONGEST_NAME).collect();
    let key = &order.key;
    let key = plain(&format!("{}-{}-{}", key.practice, key.partner, key.document));
    format!("{stem}_{key}.{}", order.extension)
}

#[async_trait]
impl DocumentInbox for ApiInbox {
    fn title(&self) -> String {
        self.title.clone()
    }

    async fn check(&self) -> Result<(), FilingError> {
        self.post()?.check().await?;
        self.category_stands().await
    }

    fn stages_in_our_records(&self) -> bool {
        true
    }

    async fn stage(&self, order: &DocumentOrder, content: Private<Vec<u8>>) -> Result<Staged, FilingError> {
        let name = name(&self.pattern, order);
        let ticket = Ticket { name, patient: order.patient.clone(), began: None };
        Ok(Staged { ticket: ticket.write(), hold: Some(content) })
    }

    async fn place(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        held: Option<Private<Vec<u8>>>,
    ) -> Result<Placed, FilingError> {
        let unreadable = || FilingError::Failed("its ticket cannot be read".into());
        let ticket = Ticket::read(ticket).ok_or_else(unreadable)?;
        let Some(began) = ticket.began else { return Ok(self.to_try(key, ticket)) };
        if self.tries().remove(&(key.clone(), began)) {
            let content = held.ok_or_else(|| FilingError::Failed("our records do not hold it".into()))?;
            return self.send(key, &ticket, began, &content).await;
        }
        if let Some(stands) = self.look(&ticket).await? {
            return Ok(Placed::Stands(Some(stands)));
        }
        let now = self.practice.clock.now();
        // A clock that was set back says nothing about how long ago it was.
        if (TimeDelta::zero()..SETTLES).contains(&(now - began)) {
            return Ok(Placed::NotSettled);
        }
        Ok(self.to_try(key, ticket))
    }

    async fn discard(&self, _: &DocumentKey) -> Result<(), FilingError> {
        Ok(())
    }
}

impl ApiInbox {
    fn tries(&self) -> std::sync::MutexGuard<'_, BTreeSet<(DocumentKey, DateTime<Utc>)>> {
        self.to_be_tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self) -> Result<&DocumentPost, FilingError> {
        self.post.as_ref().ok_or(FilingError::SetUp(NO_SECRET))
    }

    /// Has a try recorded, which is begun when that was done.
    fn to_try(&self, key: &DocumentKey, ticket: Ticket) -> Placed {
        let now = self.practice.clock.now();
        self.tries().insert((key.clone(), now));
        Placed::TryInstead(Ticket { began: Some(now), ..ticket }.write())
    }

    async fn send(
        &self,
        key: &DocumentKey,
        ticket: &Ticket,
        began: DateTime<Utc>,
        content: &Private<Vec<u8>>,
    ) -> Result<Placed, FilingError> {
        let again = |error| {
            self.tries().insert((key.clone(), began));
            Err(error)
        };
        // Into a category that is not there some versions put it all the same, and then nobody sees it.
        let post = match self.post() {
            Ok(post) => post,
            Err(error) => return again(error),
        };
        if let Err(error) = self.category_stands().await {
            return again(error);
        }
        let extension = ticket.name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        let format = format_of(extension).unwrap_or("application/octet-stream");
        match post.post(&ticket.patient, &ticket.name, format, content.reveal()).await {
            // Its number is worth one look, and not the document.
            Posted::Stored => Ok(Placed::Stands(self.look(ticket).await.ok().flatten())),
            Posted::TurnedAway => Ok(Placed::TurnedAway),
            Posted::NotSent(error) => again(error),
            Posted::Unknown(error) => Err(error),
        }
    }

    async fn look(&self, ticket: &Ticket) -> Result<Option<DocumentRef>, FilingError> {
        let found = self.practice.reading(async |session, known| {
            let values = known.probes.clone().with("patient", Value::Text(ticket.patient.to_string()));
            let values = values.with("name", Value::Text(ticket.name.clone()));
            let rows = run(session, &self.queries.find, &values).await?;
            let column = rows.required("document")?;
            Ok(rows.rows.first().and_then(|row| Rows::text(row, column)).map(DocumentRef::new))
        });
        found.await.map_err(not_looked)
    }

    /// Whether the category is there, each part once and below the one before it. The API looks for the first by name
    /// alone, and so do we.
    async fn category_stands(&self) -> Result<(), FilingError> {
        let found = self.practice.reading(async |session, known| {
            let mut found = Vec::with_capacity(self.category.len());
            for part in &self.category {
                let values = known.probes.clone().with("category", Value::Text(part.clone()));
                let rows = run(session, &self.queries.category, &values).await?;
                let (category, parent) = (rows.required("category")?, rows.required("parent")?);
                let read = |row: &Vec<Value>| (Rows::text(row, category), Rows::text(row, parent));
                found.push(rows.rows.iter().map(read).collect::<Vec<_>>());
            }
            Ok(found)
        });
        let found = found.await.map_err(not_looked)?;
        let mut above: Option<Option<String>> = None;
        for part in found {
            match part.as_slice() {
                [] => return Err(FilingError::SetUp(NO_CATEGORY)),
                [(category, parent)] => {
                    if above.is_some_and(|above| above != *parent) {
                        return Err(FilingError::SetUp(NO_CATEGORY));
                    }
                    above = Some(category.clone());
                }
                [..] => return Err(FilingError::SetUp(TWO_CATEGORIES)),
            }
        }
        if above.is_none() { Err(FilingError::SetUp(NO_CATEGORY)) } else { Ok(()) }
    }
}

fn not_looked(error: ReadError) -> FilingError {
    match error {
        ReadError::Misfit(_)
        | ReadError::OwnProfile(_)
        | ReadError::NotAuthorised
        | ReadError::SignInNeeded => FilingError::SetUp(CANNOT_LOOK),
        error @ (ReadError::Unreachable(_)
        | ReadError::SlowDown { .. }
        | ReadError::NoConsent
        | ReadError::NotFound
        | ReadError::Garbled(_)
        | ReadError::Invalid(_)) => FilingError::NoAnswer(Box::new(error)),
    }
}
