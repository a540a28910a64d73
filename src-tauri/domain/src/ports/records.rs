//! Partners that have records of the same people and things as the clinic, and keep our name for each beside theirs.

use crate::failure::{ReadError, WriteError};
use crate::ids::SyncId;
use crate::link::LinkKind;
use crate::people::PersonDetails;
use crate::records::{ForeignPractice, ForeignRecord, LocalInvoice};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Records that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsRead {
    /// Each once.
    pub records: Vec<ForeignRecord>,
    /// Whether these are all that the partner has, those put away among them: what is missing is gone.
    pub whole: bool,
}

/// Keeps our name beside each of its records, so that either name finds it (Hint sheet §4). Every call waits for its
/// turn, so that the account is asked no faster than was agreed, whoever asks.
#[async_trait]
pub trait RecordRegister: Send + Sync {
    /// The practice whose records these are, for somebody to confirm.
    async fn practice(&self) -> Result<ForeignPractice, ReadError>;

    /// The kinds that it keeps names for.
    fn kinds(&self) -> &'static [LinkKind];

    /// The name under which the partner is told of a thing of this practice. The same each time, and another for each.
    fn told_as(&self, local_id: &str) -> SyncId;

    /// Whether a name that somebody else chose can be given to a record.
    fn takes(&self, name: &str) -> bool;

    /// Every record of a kind that changed at `since` or later by the partner's clock, or all of them. May be more.
    async fn records(&self, kind: LinkKind, since: Option<DateTime<Utc>>) -> Result<RecordsRead, ReadError>;

    /// The record of that name, the partner's or ours; none where it is gone.
    async fn record(&self, kind: LinkKind, name: &str) -> Result<Option<ForeignRecord>, ReadError>;

    /// The patients that the partner's own matching finds for a person. It gets the details.
    async fn matching(&self, person: &PersonDetails) -> Result<Vec<ForeignRecord>, ReadError>;

    /// The names of the fields that [`Self::matching`] sends of a person, in the partner's words.
    fn matched_by(&self, person: &PersonDetails) -> Vec<&'static str>;

    /// Writes our name beside a record that has none, and takes our problem away from it. `record` is as read a moment ago:
    /// what the partner wants repeated is repeated letter by letter. `local_id` is what the practice system calls it, for the
    /// address of its page, where one is shown. Doing it twice is fine.
    /// [`WriteError::Refused`] means that the name is taken by another record, or that something of it is wrong.
    async fn link(&self, record: &ForeignRecord, told_as: &SyncId, local_id: &str) -> Result<(), WriteError>;

    /// The names of the fields that [`Self::link`] sends, in the partner's words.
    fn linked_by(&self, kind: LinkKind) -> Vec<&'static str>;

    /// Takes our name away from a record. Doing it twice is fine.
    async fn unlink(&self, record: &ForeignRecord) -> Result<(), WriteError>;

    /// Shows the partner's staff what is wrong with the link of a record; none takes it away.
    async fn show_problem(&self, record: &ForeignRecord, problem: Option<&str>) -> Result<(), WriteError>;
}

/// A practice system that tells of its invoices.
#[async_trait]
pub trait InvoiceBook: Send + Sync {
    /// Invoices behind `after`, by the system's keys, in an order that stays the same; at most `limit`, fewer only where
    /// these are the last.
    async fn invoices(&self, after: Option<&str>, limit: u32) -> Result<Vec<LocalInvoice>, ReadError>;
}
