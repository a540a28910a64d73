//! Partners at which patients connect devices of their own.

use crate::failure::{ReadError, WriteError};
use crate::ids::{ForeignProfileId, SyncId};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use secrecy::SecretString;
use std::collections::BTreeSet;

/// Registers patients under names that tell nobody who they are, and shows each a page of their own to connect devices
/// on. Nothing that identifies a person is ever handed over: neither a name nor a birth date, and not the practice
/// system's key either.
#[async_trait]
pub trait DeviceEnrolment: Send + Sync {
    /// A short text that differs where another organisation is linked, and stays where only its key is renewed. What one
    /// organisation was told, another does not know.
    fn organisation(&self) -> String;

    /// A name that nobody has: random, and of the form that the partner takes. Fails where the computer gives no random
    /// numbers.
    fn new_name(&self) -> Result<SyncId, ReadError>;

    /// The names of the fields that [`Self::enrol`] sends, in the partner's words.
    fn fields(&self) -> Vec<&'static str>;

    /// Registers somebody under `name`, unless it is registered.
    async fn enrol(&self, name: &SyncId) -> Result<Enrolling, WriteError>;

    /// Who is registered under `name`; none where nobody is. Fails with [`ReadError::Invalid`] where the partner cannot be
    /// asked that.
    async fn enrolled(&self, name: &SyncId) -> Result<Option<Enrolled>, ReadError>;

    /// Makes a new page in place of the former one, which stops working. Devices stay connected.
    async fn renew_page(&self, name: &SyncId, id: &ForeignProfileId) -> Result<DevicePage, WriteError>;

    /// Removes somebody for good. Doing it twice is fine, and so is removing nobody. `id` is what the partner calls them,
    /// where that is known.
    async fn remove(&self, name: &SyncId, id: Option<&ForeignProfileId>) -> Result<(), WriteError>;

    /// Every connecting and disconnecting of the whole organisation from `first` to `last`, both included, by the
    /// calendar of UTC, oldest first.
    async fn changes(&self, first: NaiveDate, last: NaiveDate) -> Result<Vec<DeviceChange>, ReadError>;

    /// How many days one [`Self::changes`] may span.
    fn longest_span(&self) -> u32;
}

/// What became of registering somebody.
#[derive(Clone, Debug)]
pub enum Enrolling {
    /// They are registered now.
    New(Enrolled),
    /// The name was registered already. Where it is ours, an answer was lost.
    NameTaken,
}

/// Somebody who is registered.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// What the partner calls them.
    pub id: ForeignProfileId,
    /// Where they connect devices, where the answer says so.
    pub page: Option<DevicePage>,
    /// What they have connected, in the partner's words, where the answer says so.
    pub devices: Option<BTreeSet<String>>,
}

/// The page on which one patient connects devices. Whoever has its address is taken for that patient.
#[derive(Clone, Debug)]
pub struct DevicePage(pub SecretString);

/// A device was connected or disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChange {
    /// Whose.
    pub name: SyncId,
    /// What kind of device, in the partner's words.
    pub device: String,
    /// Whether it is connected now.
    pub connected: bool,
    /// When.
    pub at: DateTime<Utc>,
}
