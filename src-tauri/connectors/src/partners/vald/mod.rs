//! VALD Hub: strength and movement testing, where consenting patients have a profile.

mod client;
pub mod landing;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(test)]
mod tests;
mod translate;
mod wire;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{ForeignProfileId, PartnerId, PracticeId, ProfileGroupId, SyncId};
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
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

/// Where the data of an organisation lies; nowhere else can it be read (contract sheet §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Australia East.
    Aue,
    /// US East.
    Use,
    /// Europe West.
    Euw,
}

impl Region {
    /// All of them, the likeliest first.
    pub const ALL: [Region; 3] = [Region::Aue, Region::Use, Region::Euw];

    /// The name in settings, and in VALD's addresses.
    pub fn name(self) -> &'static str {
        match self {
            Region::Aue => "aue",
            Region::Use => "use",
            Region::Euw => "euw",
        }
    }

    /// The region of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// The base address for profiles.
    pub fn profile_url(self) -> String {
        format!("https://prd-{}-api-externalprofile.valdperformance.com", self.name())
    }

    /// The base address for tenants and groups.
    pub fn tenants_url(self) -> String {
        format!("https://prd-{}-api-externaltenants.valdperformance.com", self.name())
    }
}

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
            where_to_find: &[
                "Sign in to VALD Hub as its administrator.",
                "Open the settings of your organisation, and copy the organisation id that is shown there.",
            ],
        },
        Field {
            key: "client_id",
            label: "Client id",
            kind: FieldKind::Secret,
            default: None,
            where_to_find: ASK_VALD,
        },
        Field {
            key: "client_secret",
            label: "Client secret",
            kind: FieldKind::Secret,
            default: None,
            where_to_find: ASK_VALD,
        },
        Field {
            key: "region",
            label: "Region",
            kind: FieldKind::Choice(&["aue", "use", "euw"]),
            default: Some("aue"),
            where_to_find: &["Leave it as it is: it is found by itself."],
        },
        Field {
            key: "hub_url",
            label: "Landing address",
            kind: FieldKind::Address,
            default: None,
            where_to_find: &[
                "VALD's guide for practice systems gives the address that opens a profile; support@vald.com sends it.",
                "It holds {tenantId} and {syncId}, in whose places we put the ids.",
            ],
        },
    ],
    consent_steps: ASK_VALD,
};

const ASK_VALD: &[&str] = &[
    "Write to support@vald.com with your organisation id and the written consent of your clinic, and ask for access to \
     the external APIs.",
    "VALD answers with a link to the client id and the client secret. The link works for seven days.",
    "Credentials from before March 2026 do not work any more: ask for new ones.",
];

/// Why an account cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address, or credentials that cannot be sent.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The token address, for the library that fetches tokens.
    #[error("the token address is not a web address")]
    TokenAddress,
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
        let tenants = self.client.tenants().await?;
        let ours = tenants.iter().find(|tenant| tenant.id.eq_ignore_ascii_case(self.client.tenant_id()));
        let name = ours.ok_or(ReadError::NotFound)?.name.clone().unwrap_or_default();
        Ok(Tenant { name, sport: None })
    }

    async fn groups(&self) -> Result<Vec<ProfileGroup>, ReadError> {
        Ok(self.client.groups().await?.into_iter().map(translate::group).collect())
    }

    async fn import(&self, profile: &ProfileOrder) -> Result<Imported, WriteError> {
        let import = translate::import(self.client.tenant_id(), profile);
        match self.client.import(&import).await? {
            None => Ok(Imported::Accepted),
            Some(problem) => Ok(Imported::Refused(translate::refused(&problem, &import))),
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
    ) -> Result<(), WriteError> {
        match self.client.add_to_groups(profile, groups).await {
            Err(WriteError::Untouched(ReadError::NotFound)) => {
                Err(WriteError::Refused(Refusal::UnknownToPartner))
            }
            other => other,
        }
    }

    async fn forget_former_links(&self) -> Result<(), WriteError> {
        self.client.forget_former_links().await
    }
}
