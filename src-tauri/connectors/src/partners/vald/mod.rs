//! VALD Hub: strength and movement testing, where consenting patients have a profile.

mod client;
pub mod landing;
mod regions;
#[cfg(feature = "sims")]
pub mod sim;
mod tenant_id;
#[cfg(test)]
mod tests;
mod translate;
mod wire;

pub use regions::{Found, Listed, NotFound, Region, SearchFailed, find_region};
pub use tenant_id::{NoTenantId, tenant_id};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::failure::{ReadError, SendError};
use domain::ids::{ForeignProfileId, PartnerId, PracticeId, ProfileGroupId, SyncId};
use domain::ports::partner::Partner;
use domain::ports::register::{LastWord, ProfileRegister};
use domain::private::SecretString;
use domain::profile::{ForeignProfile, Imported, ProfileGroup, ProfileOrder, Tenant};
use domain::settings::ValdSettings;

use crate::card::{Card, Field, FieldKind};
use crate::http::{EndpointError, Http};
use client::Client;

/// The name of the folder, and in settings.
pub const NAME: &str = "vald";

/// Where tokens are fetched, for all regions (contract sheet §1).
pub const TOKEN_URL: &str = "https://auth.prd.vald.com/oauth/token";

/// What tokens are for (contract sheet §2).
pub const AUDIENCE: &str = "vald-api-external";

/// How VALD introduces itself (contract sheet §2, §8).
pub const CARD: Card = Card {
    name: NAME,
    title: "VALD Hub",
    purpose: "Keeps a profile for each patient who agreed to that, and opens the right page with one key.",
    fields: &[
        Field {
            key: "tenant_id",
            label: "Organisation id",
            kind: FieldKind::Text,
            default: None,
            optional: false,
            where_to_find: &[
                "Sign in to VALD Hub at https://hub.valdperformance.com as an administrator of your organisation.",
                "Open the settings of the organisation, and copy the organisation id that is shown there. It has 32 \
                 letters and digits, in groups of 8, 4, 4, 4 and 12.",
            ],
        },
        Field {
            key: "client_id",
            label: "Client id",
            kind: FieldKind::Secret,
            default: None,
            optional: false,
            where_to_find: ASK_VALD,
        },
        Field {
            key: "client_secret",
            label: "Client secret",
            kind: FieldKind::Secret,
            default: None,
            optional: false,
            where_to_find: ASK_VALD,
        },
        Field {
            key: "region",
            label: "Region",
            kind: FieldKind::Choice(regions::NAMES),
            default: Some("aue"),
            optional: false,
            where_to_find: &[
                "Leave it as it is: the test of the account asks all regions which of them has your organisation.",
            ],
        },
        Field {
            key: "hub_url",
            label: "Landing address",
            kind: FieldKind::Address,
            default: None,
            optional: true,
            where_to_find: &[
                "Ask support@vald.com for the address that opens a profile from a practice system.",
                "It holds {tenantId} and {syncId}, in whose places we put the ids. Without it everything else works, and \
                 the button that opens profiles is hidden.",
            ],
        },
    ],
    consent_steps: ASK_VALD,
    connects_devices: false,
    joins_records: false,
    when_unlinked: "The profiles stay at VALD as they are, and are not kept in step any more.",
};

const ASK_VALD: &[&str] = &[
    "Write to support@vald.com, give your organisation id and your clinic's written authorisation, and ask for a client \
     id and a client secret for the external APIs.",
    "VALD answers with a link to both. The link works for seven days; if it does not work any more, ask for another one.",
    "A client id and a client secret of before March 2026 do not work any more: ask for new ones.",
];

/// Why an account cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address, or credentials that cannot be sent.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// One organisation at VALD, for one practice.
pub struct Vald {
    id: PartnerId,
    practice: PracticeId,
    client: Client,
}

impl Vald {
    /// An account; nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] says what is wrong with it.
    pub fn new(
        settings: &ValdSettings,
        practice: PracticeId,
        client_id: &SecretString,
        client_secret: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        let client = Client::new(settings, client_id, client_secret, http)?;
        Ok(Self { id: PartnerId::new(NAME), practice, client })
    }

    /// The organisations that these credentials may work with in this region, with their ids.
    async fn listed(&self) -> Result<Vec<(String, Tenant)>, ReadError> {
        Ok(self.client.tenants().await?.into_iter().map(translate::tenant).collect())
    }

    fn is_ours(&self, tenant_id: &str) -> bool {
        tenant_id.eq_ignore_ascii_case(self.client.tenant_id())
    }
}

#[async_trait]
impl Partner for Vald {
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
        self.tenant().await?;
        // Profiles are at another host, which must know the organisation as well.
        self.client.profiles(&[("SyncId", "clinic-companion-check")]).await.map(drop)
    }

    fn profile_register(&self) -> Option<&dyn ProfileRegister> {
        Some(self)
    }
}

#[async_trait]
impl ProfileRegister for Vald {
    async fn tenant(&self) -> Result<Tenant, ReadError> {
        let listed = self.listed().await?;
        let ours = listed.into_iter().find(|(id, _)| self.is_ours(id));
        ours.map(|(_, tenant)| tenant).ok_or(ReadError::NotFound)
    }

    async fn groups(&self) -> Result<Vec<ProfileGroup>, ReadError> {
        Ok(self.client.groups().await?.into_iter().map(translate::group).collect())
    }

    async fn import(&self, profile: &ProfileOrder, last_word: &dyn LastWord) -> Result<Imported, SendError> {
        let import = translate::import(self.client.tenant_id(), profile);
        match self.client.import(&import, last_word).await? {
            None => Ok(Imported::Accepted),
            Some(problem) => {
                let born = *profile.birth_date.reveal();
                Ok(Imported::Refused(translate::refused(&problem, &import, born)))
            }
        }
    }

    fn fields_of(&self, profile: &ProfileOrder) -> Vec<&'static str> {
        translate::fields_of(&translate::import(self.client.tenant_id(), profile))
    }

    async fn profile(&self, sync_id: &SyncId) -> Result<Option<ForeignProfile>, ReadError> {
        let found = self.client.profiles(&[("SyncId", sync_id.as_str())]).await?;
        Ok(found
            .into_iter()
            .map(translate::profile)
            .find(|profile| profile.sync_id.as_ref() == Some(sync_id)))
    }

    async fn profile_by_id(&self, id: &ForeignProfileId) -> Result<Option<ForeignProfile>, ReadError> {
        let found = self.client.profiles(&[("ProfileIds", id.as_str())]).await?;
        Ok(found.into_iter().map(translate::profile).find(|profile| profile.id == *id))
    }

    async fn modified_since(&self, since: Option<DateTime<Utc>>) -> Result<Vec<ForeignProfile>, ReadError> {
        let since = since.map(translate::instant);
        let query: Vec<(&str, &str)> =
            since.iter().map(|since| ("ModifiedFromUtc", since.as_str())).collect();
        Ok(self.client.profiles(&query).await?.into_iter().map(translate::profile).collect())
    }

    async fn add_to_groups(
        &self,
        profile: &ForeignProfileId,
        groups: &[ProfileGroupId],
        last_word: &dyn LastWord,
    ) -> Result<(), SendError> {
        self.client.add_to_groups(profile, groups, last_word).await
    }

    async fn forget_former_links(&self) -> Result<(), SendError> {
        self.client.forget_former_links().await
    }
}
