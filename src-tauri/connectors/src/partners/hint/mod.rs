//! Hint: memberships of direct primary care, whose patients, practitioners and invoices carry our name beside theirs.

mod client;
mod environment;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(test)]
mod tests;
mod translate;
mod wire;

pub use environment::{Environment, WrongKey};

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{PartnerId, PracticeId, SyncId};
use domain::link::LinkKind;
use domain::people::PersonDetails;
use domain::ports::partner::Partner;
use domain::ports::records::{RecordRegister, RecordsRead};
use domain::private::SecretString;
use domain::records::{ForeignPractice, ForeignRecord};

use super::{Account, SetupError};
use crate::card::{Card, Field, FieldKind, FieldMistake};
use crate::http::Http;
use client::Client;

/// The name of the folder, and in settings.
pub const NAME: &str = "hint";

/// Where practices are, those that only try things included (contract sheet §1).
pub const BASE_URL: &str = "https://api.hint.com/api";

/// How long after the beginning of one request the next may begin. Hint takes twenty a second of all clinics together;
/// two are what it advises (contract sheet §3).
pub const BETWEEN_REQUESTS: TimeDelta = TimeDelta::milliseconds(500);

/// How Hint introduces itself (contract sheet §2).
pub const CARD: Card = Card {
    name: NAME,
    title: "Hint",
    purpose: "Joins each patient who agreed to that with their membership, so that either system finds the other's record.",
    fields: &[
        TOKEN,
        Field {
            key: "base_url",
            label: "Address",
            kind: FieldKind::Address,
            default: Some(BASE_URL),
            optional: false,
            where_to_find: &["Leave it as it is. To try things with a token that begins with sbx-, enter \
                 https://api.sandbox.hint.com/api instead."],
        },
        Field {
            key: "patient_page",
            label: "Your own page about a patient",
            kind: FieldKind::Text,
            default: None,
            optional: true,
            where_to_find: &[
                "Leave it empty, unless your practice system shows a patient's record in the browser.",
                "Then open any patient there, copy the address, and put {patientId} in the place of the patient's key. \
                 Hint's staff come to your record by it.",
            ],
        },
    ],
    consent_steps: TOKEN_STEPS,
    connects_devices: false,
    joins_records: true,
    when_unlinked: "The links stay at Hint as they are, and are not kept in step any more.",
};

const TOKEN: Field = Field {
    key: "access_token",
    label: "Access token",
    kind: FieldKind::Secret,
    default: None,
    optional: false,
    where_to_find: TOKEN_STEPS,
};

const TOKEN_STEPS: &[&str] = &[
    "Sign in to Hint at https://app.hint.com as an administrator of the practice.",
    "Open the integrations of the practice, choose Clinic Companion, and connect it.",
    "Copy the access token of the practice that is shown then. A key of the Partner Portal does not work here.",
];

/// Opens an account; nothing is sent yet.
///
/// # Errors
/// [`SetupError`] says what is wrong with it.
pub fn open(account: &Account<'_>, http: &Http) -> Result<Arc<dyn Partner>, SetupError> {
    let chosen = HintAccount {
        patient_page: Some(account.text("patient_page").to_owned()).filter(|page| !page.is_empty()),
        ..HintAccount::at(account.text("base_url"))
    };
    Ok(Arc::new(Hint::new(&chosen, account.practice.clone(), account.secret(&TOKEN)?, http)?))
}

/// What is chosen about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintAccount {
    /// The base address, no slash at the end.
    pub base_url: String,
    /// The address of a patient's page in the practice system, with `{patientId}`, for Hint's staff; none shows none.
    pub patient_page: Option<String>,
    /// How long after the beginning of one request the next may begin, at the earliest.
    pub between_requests: TimeDelta,
}

impl HintAccount {
    /// An account at this address, as everybody has it.
    pub fn at(base_url: impl Into<String>) -> Self {
        Self { base_url: base_url.into(), patient_page: None, between_requests: BETWEEN_REQUESTS }
    }
}

/// One practice at Hint.
pub struct Hint {
    id: PartnerId,
    practice: PracticeId,
    patient_page: Option<String>,
    client: Client,
}

impl Hint {
    /// An account; nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] says what is wrong with it.
    pub fn new(
        account: &HintAccount,
        practice: PracticeId,
        access_token: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        environment::check(&account.base_url, access_token)
            .map_err(|wrong| FieldMistake { key: Some(TOKEN.key), why: wrong.to_string() })?;
        if let Some(page) = account.patient_page.as_deref()
            && !translate::is_page(page)
        {
            let why = "Your own page about a patient: it is an address that begins with https:// and has {patientId} in it";
            return Err(FieldMistake { key: Some("patient_page"), why: why.to_owned() }.into());
        }
        let client = Client::new(account, access_token, http)?;
        let patient_page = account.patient_page.clone();
        Ok(Self { id: PartnerId::new(NAME), practice, patient_page, client })
    }

    async fn change(&self, record: &ForeignRecord, change: &translate::Change<'_>) -> Result<(), WriteError> {
        let body = translate::change(record, change);
        match self.client.change(record.kind, record.id.as_str(), &body).await {
            Ok(None) => Ok(()),
            Ok(Some(problem)) => {
                Err(WriteError::Refused(Refusal::Other(translate::refused(&problem, record))))
            }
            Err(WriteError::Untouched(ReadError::NotFound)) => {
                Err(WriteError::Refused(Refusal::UnknownToPartner))
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Partner for Hint {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        format!("{} {}", self.practice, self.client.fingerprint())
    }

    fn retire(&self) {
        self.client.retire();
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.practice().await.map(drop)
    }

    async fn introduce(&self) -> Result<Option<String>, ReadError> {
        self.practice().await.map(|practice| Some(practice.name))
    }

    fn record_register(&self) -> Option<&dyn RecordRegister> {
        Some(self)
    }
}

#[async_trait]
impl RecordRegister for Hint {
    async fn practice(&self) -> Result<ForeignPractice, ReadError> {
        self.client.practice().await.map(translate::practice)
    }

    fn kinds(&self) -> &'static [LinkKind] {
        &LinkKind::ALL
    }

    fn told_as(&self, local_id: &str) -> SyncId {
        translate::told_as(&self.practice, local_id)
    }

    fn takes(&self, name: &str) -> bool {
        translate::is_plain(name)
    }

    async fn records(&self, kind: LinkKind, since: Option<DateTime<Utc>>) -> Result<RecordsRead, ReadError> {
        let (rows, whole) = self.client.list(kind, since).await?;
        let rows_read = rows.len();
        let records: Vec<ForeignRecord> =
            rows.into_iter().filter_map(|row| translate::record(kind, row).ok()).collect();
        if rows_read > 0 && records.is_empty() {
            return Err(ReadError::Garbled(Box::new(translate::Unreadable)));
        }
        let whole = whole && records.len() == rows_read;
        Ok(RecordsRead { records, whole })
    }

    async fn record(&self, kind: LinkKind, name: &str) -> Result<Option<ForeignRecord>, ReadError> {
        match self.client.one(kind, name).await {
            Ok(row) => {
                translate::record(kind, row).map(Some).map_err(|error| ReadError::Garbled(Box::new(error)))
            }
            Err(ReadError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn matching(&self, person: &PersonDetails) -> Result<Vec<ForeignRecord>, ReadError> {
        let rows = self.client.matching(&translate::wanted(person)).await?;
        // One that cannot be read may be the one that is meant.
        rows.into_iter()
            .map(|row| translate::record(LinkKind::Patient, row))
            .collect::<Result<_, _>>()
            .map_err(|error| ReadError::Garbled(Box::new(error)))
    }

    fn matched_by(&self, person: &PersonDetails) -> Vec<&'static str> {
        translate::fields_of(&translate::wanted(person))
    }

    async fn link(&self, record: &ForeignRecord, told_as: &SyncId, local_id: &str) -> Result<(), WriteError> {
        let page = match (&self.patient_page, record.kind) {
            (Some(page), LinkKind::Patient) => translate::page_of(page, local_id),
            (_, LinkKind::Patient | LinkKind::Practitioner | LinkKind::Invoice) => None,
        };
        self.change(record, &translate::Change::Link { told_as, page: page.as_deref() }).await
    }

    fn linked_by(&self, kind: LinkKind) -> Vec<&'static str> {
        translate::linked_by(kind, self.patient_page.is_some())
    }

    async fn unlink(&self, record: &ForeignRecord) -> Result<(), WriteError> {
        self.change(record, &translate::Change::Unlink).await
    }

    async fn show_problem(&self, record: &ForeignRecord, problem: Option<&str>) -> Result<(), WriteError> {
        if record.kind != LinkKind::Patient {
            return Ok(());
        }
        self.change(record, &translate::Change::Problem(problem)).await
    }
}
