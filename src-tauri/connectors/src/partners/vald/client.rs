//! The requests: whose token, at which pace, to which path, and what a failure means for this partner.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::failure::{ReadError, SendError};
use domain::ids::{ForeignProfileId, ProfileGroupId};
use domain::ports::register::LastWord;
use domain::private::{ExposeSecret, SecretString};
use domain::settings::ValdSettings;

use super::{SetupError, wire};
use crate::http::{Endpoint, Grant, Haste, Http, NOTHING, TokenClient, Tokens, fingerprint};

/// How long to wait after a refusal for haste that does not say how long (contract sheet §5).
const PATIENCE: TimeDelta = TimeDelta::seconds(10);

/// One organisation at VALD.
pub struct Client {
    profiles: Endpoint,
    tenants: Endpoint,
    tokens: Arc<Tokens>,
    tenant_id: String,
    fingerprint: String,
}

impl Client {
    pub fn new(
        settings: &ValdSettings,
        client_id: &SecretString,
        client_secret: &SecretString,
        http: &Http,
    ) -> Result<Self, SetupError> {
        let tokens = Arc::new(http.tokens(&TokenClient {
            url: &settings.token_url,
            client_id,
            client_secret: Some(client_secret),
            grant: Grant::Client { audience: &settings.audience },
        })?);
        let fingerprint = fingerprint(&[
            settings.tenant_id.trim(),
            settings.token_url.trim(),
            settings.audience.trim(),
            settings.profile_url.trim(),
            settings.tenants_url.trim(),
            client_id.expose_secret().trim(),
            client_secret.expose_secret().trim(),
        ]);
        // Whoever asks for this organisation takes turns, at whichever practice they work.
        let organisation =
            format!("{} {}", settings.profile_url.trim(), settings.tenant_id.trim().to_ascii_lowercase());
        let apart = settings.between_requests.to_std().unwrap_or_default();
        let endpoint = |address: &str| {
            http.endpoint(address).map(|endpoint| {
                endpoint
                    .with_tokens(tokens.clone())
                    .with_pace(http, &organisation, apart)
                    .with_shared_key(&fingerprint)
                    .with_plain_bodies()
            })
        };
        Ok(Self {
            profiles: endpoint(&settings.profile_url)?,
            tenants: endpoint(&settings.tenants_url)?,
            tokens,
            tenant_id: settings.tenant_id.trim().to_owned(),
            fingerprint,
        })
    }

    /// A short text that differs whenever addresses, organisation or credentials differ, and tells none of them.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// Sends nothing any more.
    pub fn retire(&self) {
        self.profiles.retire(NOTHING);
        self.tenants.retire(NOTHING);
        self.tokens.retire();
    }

    /// The organisations that these credentials may work with in this region.
    pub async fn tenants(&self) -> Result<Vec<wire::Tenant>, ReadError> {
        let answer: Option<wire::Tenants> =
            self.tenants.read_if_any(&["tenants"], &[], Haste::Normal).await.map_err(patient)?;
        Ok(answer.map(|answer| answer.tenants).unwrap_or_default())
    }

    pub async fn groups(&self) -> Result<Vec<wire::Group>, ReadError> {
        let query = [("TenantId", self.tenant_id.as_str())];
        let answer: Option<wire::Groups> =
            self.tenants.read_if_any(&["groups"], &query, Haste::Normal).await.map_err(patient)?;
        Ok(answer.map(|answer| answer.groups).unwrap_or_default())
    }

    /// Profiles of the organisation; none is an answer without a body (contract sheet §9).
    pub async fn profiles(&self, narrowed: &[(&str, &str)]) -> Result<Vec<wire::Profile>, ReadError> {
        let query = [&[("TenantId", self.tenant_id.as_str())], narrowed].concat();
        let answer: Option<wire::Profiles> =
            self.profiles.read_if_any(&["profiles"], &query, Haste::Normal).await.map_err(patient)?;
        Ok(answer.map(|answer| answer.profiles).unwrap_or_default())
    }

    /// Creates or replaces a profile; what VALD finds wrong with it, or none.
    pub async fn import(
        &self,
        import: &wire::Import,
        last_word: &dyn LastWord,
    ) -> Result<Option<wire::Problem>, SendError> {
        let path = ["profiles", "import"];
        let refused: Option<serde_json::Value> = self
            .profiles
            .write_unless_refused(&path, import, Haste::Normal, last_word)
            .await
            .map_err(patient_sending)?;
        Ok(refused.as_ref().map(wire::Problem::read))
    }

    /// Adds a profile to groups. Never `PUT`, which would take it out of those that staff chose (contract sheet §9).
    pub async fn add_to_groups(
        &self,
        profile: &ForeignProfileId,
        groups: &[ProfileGroupId],
        last_word: &dyn LastWord,
    ) -> Result<(), SendError> {
        let body = wire::GroupMembership {
            tenant_id: &self.tenant_id,
            profile_id: profile.as_str(),
            group_ids: groups.iter().map(ProfileGroupId::as_str).collect(),
        };
        self.profiles
            .write_unless_forbidden(&["profiles", "groups"], &body, Haste::Normal, last_word)
            .await
            .map_err(patient_sending)
    }

    /// Removes the sync ids of the whole organisation, and of nothing but profiles (contract sheet §9).
    pub async fn forget_former_links(&self) -> Result<(), SendError> {
        let query = [("tenantId", self.tenant_id.as_str())];
        self.profiles.delete(&["profiles", "syncids"], &query, Haste::Normal).await.map_err(patient_sending)
    }
}

/// VALD does not promise to say how long to wait.
fn patient(mut error: ReadError) -> ReadError {
    if let ReadError::SlowDown { retry_after } = &mut error {
        retry_after.get_or_insert(PATIENCE);
    }
    error
}

fn patient_sending(error: SendError) -> SendError {
    match error {
        SendError::NotSent(error) => SendError::NotSent(patient(error)),
        SendError::TurnedAway(error) => SendError::TurnedAway(patient(error)),
        SendError::Unknown(error) => SendError::Unknown(patient(error)),
    }
}
