//! The table `[practice.vald]`.

use super::{Mistake, Reader, Wanted, without_stop, yes};
use crate::provision::secret::GivenSecret;
use crate::vald_account::{self, PACE};
use connectors::partners::vald::{Region, landing};
use domain::ids::{LocationRef, ResourceRef};
use domain::private::SecretString;
use domain::settings::{GroupedPatients, PracticeSettings, ProfileGroupRule, SecretKind, ValdSettings};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawVald {
    tenant_id: Spanned<String>,
    region: Option<Spanned<String>>,
    client_id: Spanned<GivenSecret>,
    client_secret: Spanned<GivenSecret>,
    token_url: Option<Spanned<String>>,
    audience: Option<Spanned<String>>,
    profile_url: Option<Spanned<String>>,
    tenants_url: Option<Spanned<String>>,
    hub_url: Option<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
    #[serde(default)]
    groups_by_practitioner: ById,
    #[serde(default)]
    groups_by_location: ById,
    requests_per_second: Option<Spanned<f64>>,
    #[serde(default = "yes")]
    staff_are_adults: bool,
}

/// Groups by the practice system's id.
type ById = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

impl Reader<'_> {
    pub(super) fn vald(
        &self,
        raw: &RawVald,
        practice: &PracticeSettings,
        earlier: &[Wanted],
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<ValdSettings, Mistake> {
        let tenant_id = vald_account::tenant_id(raw.tenant_id.get_ref())
            .map_err(|wrong| self.mistake(&raw.tenant_id.span(), wrong.to_owned()))?;
        let region = match &raw.region {
            None => Region::Aue,
            Some(name) => Region::named(name.get_ref()).ok_or_else(|| {
                self.mistake(&name.span(), "region is \"aue\", \"use\" or \"euw\"".to_owned())
            })?,
        };
        let before = self.stored.iter().find(|stored| stored.id == practice.id);
        let mut others: Vec<PracticeSettings> =
            earlier.iter().map(|wanted| wanted.settings.clone()).collect();
        others.extend(self.stored.iter().cloned());
        let system = (practice.system.profile.as_str(), practice.system.url.as_str());
        let prefix = vald_account::sync_prefix(&practice.id, system, &tenant_id, before, &others);
        let mut account = vald_account::new(tenant_id, region, prefix);
        for (given, kept) in [
            (&raw.token_url, &mut account.token_url),
            (&raw.profile_url, &mut account.profile_url),
            (&raw.tenants_url, &mut account.tenants_url),
        ] {
            if let Some(given) = given {
                *kept = self.web_address(given)?;
            }
        }
        if let Some(audience) = &raw.audience {
            account.audience = self.words(audience, "audience")?;
        }
        account.hub_url = raw.hub_url.as_ref().map(|url| self.landing(url)).transpose()?;
        account.groups = self.group_rules(raw)?;
        if let Some(pace) = &raw.requests_per_second {
            account.between_requests = vald_account::between_requests(self.pace(pace)?);
        }
        account.staff_are_adults = raw.staff_are_adults;
        let (client_id, client_secret) = (self.secret(&raw.client_id)?, self.secret(&raw.client_secret)?);
        self.sockets
            .vald(&account, &practice.id, &client_id, &client_secret)
            .map_err(|problem| self.mistake(&raw.tenant_id.span(), without_stop(problem.sentence)))?;
        secrets.push((SecretKind::ValdClientId, client_id));
        secrets.push((SecretKind::ValdClientSecret, client_secret));
        Ok(account)
    }

    fn landing(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        let url = self.words(raw, "hub_url")?;
        landing::check(&url).map_err(|wrong| self.mistake(&raw.span(), wrong.to_string()))?;
        Ok(url)
    }

    fn pace(&self, raw: &Spanned<f64>) -> Result<f64, Mistake> {
        if PACE.contains(raw.get_ref()) {
            return Ok(*raw.get_ref());
        }
        let message = format!("requests_per_second lies between {} and {}", PACE.start(), PACE.end());
        Err(self.mistake(&raw.span(), message))
    }

    fn group_rules(&self, raw: &RawVald) -> Result<Vec<ProfileGroupRule>, Mistake> {
        let mut rules = self.rules(&raw.groups, &GroupedPatients::All)?;
        for (id, groups) in &raw.groups_by_practitioner {
            let id = ResourceRef::new(self.words(id, "the practitioner's id")?);
            rules.extend(self.rules(groups, &GroupedPatients::SeenBy(id))?);
        }
        for (id, groups) in &raw.groups_by_location {
            let id = LocationRef::new(self.words(id, "the location's id")?);
            rules.extend(self.rules(groups, &GroupedPatients::SeenAt(id))?);
        }
        Ok(rules)
    }

    fn rules(
        &self,
        groups: &[Spanned<String>],
        whose: &GroupedPatients,
    ) -> Result<Vec<ProfileGroupRule>, Mistake> {
        self.distinct(groups, "group")?;
        let rule = |group: &Spanned<String>| {
            let group = self.words(group, "the group's name")?;
            Ok(ProfileGroupRule { group, whose: whose.clone() })
        };
        groups.iter().map(rule).collect()
    }
}
