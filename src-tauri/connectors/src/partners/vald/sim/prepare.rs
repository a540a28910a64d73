//! What tests and demonstrations lay ready: people, groups, merges, and what becomes of credentials.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::state::{Due, ProfileDetails, SimCategory, SimGroup, SimProfile, SimState, Tenant};
use super::{Conduct, Region, Standing, ValdSim, profiles, tenants};

/// Something that was to be prepared does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {id}")]
pub struct NotThere {
    /// The kind of thing.
    pub what: &'static str,
    /// Its id.
    pub id: String,
}

impl NotThere {
    fn new(what: &'static str, id: &str) -> Self {
        Self { what, id: id.to_owned() }
    }
}

impl ValdSim {
    // ---- conduct and credentials ----

    /// Changes how the service conducts itself, from now on.
    pub fn set_conduct(&self, change: impl FnOnce(&mut Conduct)) {
        self.change(|state, _| change(&mut state.conduct));
    }

    /// Credentials begin or cease to work. Tokens that were given out go on until they expire.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn set_standing(&self, client_id: &str, standing: Standing) -> Result<(), NotThere> {
        self.change(|state, _| {
            let pair = state.credentials.get_mut(client_id);
            pair.ok_or_else(|| NotThere::new("client", client_id))?.standing = standing;
            Ok(())
        })
    }

    /// Another secret is given out; the former one is refused at once.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn replace_secret(&self, client_id: &str, client_secret: &str) -> Result<(), NotThere> {
        self.change(|state, _| {
            let pair = state.credentials.get_mut(client_id);
            let pair = pair.ok_or_else(|| NotThere::new("client", client_id))?;
            pair.client_secret = client_secret.to_owned();
            Ok(())
        })
    }

    /// The credentials open these tenants and no others.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn open_tenants(&self, client_id: &str, tenant_ids: &[&str]) -> Result<(), NotThere> {
        self.change(|state, _| {
            let pair = state.credentials.get_mut(client_id);
            let pair = pair.ok_or_else(|| NotThere::new("client", client_id))?;
            pair.tenant_ids = tenant_ids.iter().map(|id| (*id).to_owned()).collect();
            Ok(())
        })
    }

    /// Takes every token back that was given out so far.
    pub fn revoke_tokens(&self) {
        self.change(|state, _| state.tokens.iter_mut().for_each(|token| token.revoked = true));
    }

    /// VALD moves a tenant to another region.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn move_tenant(&self, tenant_id: &str, region: Region) -> Result<(), NotThere> {
        self.in_tenant(tenant_id, |tenant| {
            tenant.settings.region = region;
            Ok(())
        })
    }

    // ---- people ----

    /// Makes a profile, visible at once: by hand, or, with a sync id, as a former system left it. Returns VALD's id.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn add_profile(&self, tenant_id: &str, details: ProfileDetails) -> Result<String, NotThere> {
        self.change(|state, now| {
            let profile_id = state.new_id('a');
            let tenant = tenant_mut(state, tenant_id)?;
            tenant.put(SimProfile {
                profile_id: profile_id.clone(),
                details,
                modified_at: now,
                consents: None,
                group_ids: BTreeSet::new(),
                group_ids_by_hand: BTreeSet::new(),
                merging: None,
                before: None,
                due: Due::Now,
            });
            Ok(profile_id)
        })
    }

    /// Staff change a profile in VALD Hub, visible at once.
    ///
    /// # Errors
    /// When there is no such tenant or profile.
    pub fn edit_profile(
        &self,
        tenant_id: &str,
        profile_id: &str,
        edit: impl FnOnce(&mut ProfileDetails),
    ) -> Result<(), NotThere> {
        self.change(|state, now| {
            let tenant = tenant_mut(state, tenant_id)?;
            let there = tenant.edit(profile_id, |profile| {
                edit(&mut profile.details);
                profile.modified_at = now;
                profile.due = Due::Now;
            });
            there.then_some(()).ok_or_else(|| NotThere::new("profile", profile_id))
        })
    }

    /// Staff delete a profile in VALD Hub.
    ///
    /// # Errors
    /// When there is no such tenant or profile.
    pub fn remove_profile(&self, tenant_id: &str, profile_id: &str) -> Result<(), NotThere> {
        self.in_tenant(tenant_id, |tenant| {
            tenant.take(profile_id).map(drop).ok_or_else(|| NotThere::new("profile", profile_id))
        })
    }

    /// Staff begin to merge a profile into another. Returns when it will be gone.
    ///
    /// # Errors
    /// When there is no such tenant, or not both profiles, or one of them is being merged already.
    pub fn begin_merge(&self, tenant_id: &str, from: &str, into: &str) -> Result<DateTime<Utc>, NotThere> {
        self.change(|state, now| {
            let until = now + state.conduct.merge_takes;
            let tenant = tenant_mut(state, tenant_id)?;
            let begun = profiles::begin_merge(tenant, from, into, until);
            begun.map(|()| until).map_err(|_| NotThere::new("profile that can be merged", from))
        })
    }

    // ---- groups ----

    /// Staff make a category. Returns its id.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn add_category(&self, tenant_id: &str, name: &str) -> Result<String, NotThere> {
        self.change(|state, _| {
            let id = state.new_id('c');
            let category = SimCategory { id: id.clone(), name: name.to_owned(), sync_id: None };
            tenant_mut(state, tenant_id)?.categories.insert(id.clone(), category);
            Ok(id)
        })
    }

    /// Staff make a group. Returns its id.
    ///
    /// # Errors
    /// When there is no such tenant or category.
    pub fn add_group(&self, tenant_id: &str, category_id: &str, name: &str) -> Result<String, NotThere> {
        self.change(|state, _| {
            let id = state.new_id('b');
            let tenant = tenant_mut(state, tenant_id)?;
            if !tenant.categories.contains_key(category_id) {
                return Err(NotThere::new("category", category_id));
            }
            let (name, category_id) = (name.to_owned(), category_id.to_owned());
            tenant.groups.insert(id.clone(), SimGroup { id: id.clone(), name, category_id, sync_id: None });
            Ok(id)
        })
    }

    /// Staff delete a group.
    ///
    /// # Errors
    /// When there is no such tenant or group.
    pub fn remove_group(&self, tenant_id: &str, group_id: &str) -> Result<(), NotThere> {
        self.in_tenant(tenant_id, |tenant| {
            let there = tenants::drop_group(tenant, group_id);
            there.then_some(()).ok_or_else(|| NotThere::new("group", group_id))
        })
    }

    /// Staff put a profile into a group. A call that drops it from there is a mistake from then on.
    ///
    /// # Errors
    /// When there is no such tenant, profile or group.
    pub fn put_into_group(&self, tenant_id: &str, profile_id: &str, group_id: &str) -> Result<(), NotThere> {
        self.in_tenant(tenant_id, |tenant| {
            if !tenant.groups.contains_key(group_id) {
                return Err(NotThere::new("group", group_id));
            }
            let there = tenant.edit(profile_id, |profile| {
                profile.group_ids.insert(group_id.to_owned());
                profile.group_ids_by_hand.insert(group_id.to_owned());
            });
            there.then_some(()).ok_or_else(|| NotThere::new("profile", profile_id))
        })
    }

    fn in_tenant<R>(
        &self,
        tenant_id: &str,
        act: impl FnOnce(&mut Tenant) -> Result<R, NotThere>,
    ) -> Result<R, NotThere> {
        self.change(|state, _| act(tenant_mut(state, tenant_id)?))
    }
}

fn tenant_mut<'s>(state: &'s mut SimState, tenant_id: &str) -> Result<&'s mut Tenant, NotThere> {
    state.tenants.get_mut(tenant_id).ok_or_else(|| NotThere::new("tenant", tenant_id))
}
