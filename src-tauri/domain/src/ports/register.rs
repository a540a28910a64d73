//! Partners that keep profiles of patients.

use crate::failure::{ReadError, SendError};
use crate::ids::{ForeignProfileId, ProfileGroupId, SyncId};
use crate::profile::{ForeignProfile, Imported, ProfileGroup, ProfileOrder, Tenant};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Has the last word on whether something of a patient's leaves this computer.
#[async_trait]
pub trait LastWord: Send + Sync {
    /// Whether it still may. Asked right before it leaves, when nothing is left to wait for, and again before each
    /// further try.
    async fn may_leave(&self) -> bool;
}

/// Keeps profiles of patients, by names that we chose (VALD sheet §3, §4). Every call waits for its turn, so that the
/// account is asked no faster than it was agreed (sheet §5), whoever asks.
#[async_trait]
pub trait ProfileRegister: Send + Sync {
    /// The account, as it introduces itself.
    async fn tenant(&self) -> Result<Tenant, ReadError>;

    /// The groups that profiles can be put into.
    async fn groups(&self) -> Result<Vec<ProfileGroup>, ReadError>;

    /// Creates or replaces the profile of that name. Doing it twice is fine. Where the last word is no, nothing of it
    /// leaves any more, and the error says how far an earlier try came.
    async fn import(&self, profile: &ProfileOrder, last_word: &dyn LastWord) -> Result<Imported, SendError>;

    /// The names of the fields that [`Self::import`] would send of this profile, in the partner's words.
    fn fields_of(&self, profile: &ProfileOrder) -> Vec<&'static str>;

    /// The profile of that name; none while it is not there, or not visible yet.
    async fn profile(&self, sync_id: &SyncId) -> Result<Option<ForeignProfile>, ReadError>;

    /// The profile that the partner calls so; none where it is gone.
    async fn profile_by_id(&self, id: &ForeignProfileId) -> Result<Option<ForeignProfile>, ReadError>;

    /// Every profile that changed at `since` or later, or all of them. May be only the first of them: ask again from
    /// the greatest [`ForeignProfile::modified_at`] until nothing new comes (sheet §5).
    async fn modified_since(&self, since: Option<DateTime<Utc>>) -> Result<Vec<ForeignProfile>, ReadError>;

    /// Adds a profile to groups, and takes it out of none, with the same last word. Doing it twice is fine.
    /// [`SendError::TurnedAway`] with [`ReadError::NotFound`] means that the profile or a group is gone.
    async fn add_to_groups(
        &self,
        profile: &ForeignProfileId,
        groups: &[ProfileGroupId],
        last_word: &dyn LastWord,
    ) -> Result<(), SendError>;

    /// Removes the names under which a former system told of profiles, of the whole account (sheet §7, step 2). Only
    /// ever on somebody's typed word.
    async fn forget_former_links(&self) -> Result<(), SendError>;
}
