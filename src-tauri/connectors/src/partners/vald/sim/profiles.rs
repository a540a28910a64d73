//! The profiles API, apart from the import (contract sheet §3).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::routes::{Answer, Operation};
use super::rules::{Fields, Query, Refused, uuid, wire_instant};
use super::state::{Merging, ProfileDetails, SimProfile, SimState, Tenant, Wipe, Wiped};

/// The tenant, where the credentials open it and the region has it; 403 otherwise. Merges that are over have ended.
pub fn hold<'s>(
    state: &'s mut SimState,
    operation: &Operation<'_>,
    tenant_id: &str,
) -> Result<&'s mut Tenant, Refused> {
    let credentials = state.credentials.get(operation.client_id);
    let opens = credentials.is_some_and(|pair| pair.tenant_ids.iter().any(|id| id == tenant_id));
    let tenant = state
        .tenants
        .get_mut(tenant_id)
        .ok_or_else(|| Refused::unexplained(403, "there is no such tenant"))?;
    if !opens {
        return Err(Refused::unexplained(403, "the credentials do not open this tenant"));
    }
    if tenant.settings.region != operation.region {
        let lives_in = tenant.settings.region.as_str();
        return Err(Refused::unexplained(403, format!("the tenant lives in {lives_in}")));
    }
    tenant.end_merges(operation.at);
    Ok(tenant)
}

/// The tenant, for a question about its profiles; counted, because a delay may be counted in questions.
fn asked<'s>(
    state: &'s mut SimState,
    operation: &Operation<'_>,
    tenant_id: &str,
) -> Result<&'s mut Tenant, Refused> {
    let tenant = hold(state, operation, tenant_id)?;
    tenant.questions += 1;
    Ok(tenant)
}

pub fn exists(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut query = Query::of(operation.query);
    let tenant_id = query.required_uuid("TenantId");
    let sync_id = query.required("SyncId");
    let remarks = query.unknown();
    query.errors.none()?;
    let tenant = asked(state, operation, &tenant_id)?;
    let shown = tenant.by_sync_id(&sync_id).and_then(|profile| profile.shown(operation.at, tenant.questions));
    Ok(Answer::json(json!({"isExistingProfile": shown.is_some()})).with(remarks))
}

pub fn list(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut query = Query::of(operation.query);
    let tenant_id = query.required_uuid("TenantId");
    let profile_ids = query.uuids("ProfileIds");
    let sync_id = query.optional("SyncId");
    let external_id = query.optional("ExternalId");
    let since = query.optional_instant("ModifiedFromUtc");
    let group_id = query.optional_uuid("GroupId");
    let remarks = query.unknown();
    query.errors.none()?;
    let cap = state.conduct.list_cap;
    let tenant = asked(state, operation, &tenant_id)?;
    // What names profiles is looked up, so that a large tenant costs no more than a small one.
    let candidates: Vec<&SimProfile> = if let Some(sync_id) = &sync_id {
        tenant.by_sync_id(sync_id).into_iter().collect()
    } else if profile_ids.is_empty() {
        tenant.profiles().collect()
    } else {
        let unique: BTreeSet<&String> = profile_ids.iter().collect();
        unique.into_iter().filter_map(|id| tenant.profile(id)).collect()
    };
    let mut found: Vec<_> = candidates
        .into_iter()
        .filter(|profile| profile_ids.is_empty() || profile_ids.contains(&profile.profile_id))
        .filter(|profile| group_id.as_ref().is_none_or(|id| profile.group_ids.contains(id)))
        .filter_map(|profile| Some((profile, profile.shown(operation.at, tenant.questions)?)))
        .filter(|(_, (shown, _))| external_id.is_none() || shown.external_id == external_id)
        .filter(|(_, (_, modified_at))| since.is_none_or(|since| *modified_at >= since))
        .collect();
    if let Some(cap) = cap {
        found.sort_by_key(|(_, (_, modified_at))| *modified_at);
        found.truncate(cap);
    }
    let items = found
        .into_iter()
        .map(|(profile, (shown, modified_at))| listed(profile, shown, modified_at))
        .collect();
    Ok(Answer::list("profiles", items).with(remarks))
}

fn listed(profile: &SimProfile, shown: &ProfileDetails, modified_at: DateTime<Utc>) -> Value {
    let merging = profile.merging.as_ref();
    json!({
        "profileId": profile.profile_id,
        "syncId": shown.sync_id,
        "givenName": shown.given_name,
        "familyName": shown.family_name,
        "dateOfBirth": format!("{}T00:00:00Z", shown.date_of_birth),
        "modifiedDateUtc": wire_instant(modified_at),
        "externalId": shown.external_id,
        "beingMergedWithProfileId": merging.map(|merging| &merging.into),
        "beingMergedWithProfileExpiryDateUtc": merging.map(|merging| wire_instant(merging.until)),
    })
}

/// A profile by its id tells more of the person, and not when it changed.
pub fn by_id(state: &mut SimState, operation: &Operation<'_>, profile_id: &str) -> Result<Answer, Refused> {
    let profile_id = path_id("profileId", profile_id)?;
    let (tenant, remarks) = about_one(state, operation)?;
    tenant.questions += 1;
    let found = tenant.profile(&profile_id);
    let shown = found.and_then(|profile| Some((profile, profile.shown(operation.at, tenant.questions)?)));
    let (profile, (shown, modified_at)) = shown.ok_or_else(no_such_profile)?;
    let mut body = listed(profile, shown, modified_at);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("modifiedDateUtc");
        for (name, value) in [
            ("sex", json!(shown.sex)),
            ("email", json!(shown.email)),
            ("weightInKg", json!(shown.weight_in_kg)),
            ("heightInCm", json!(shown.height_in_cm)),
            ("groupIds", json!(profile.group_ids)),
            ("sport", json!(shown.sport)),
            ("position", json!(shown.position)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(Answer::json(body).with(remarks))
}

/// An id that stands in the path.
pub fn path_id(name: &str, text: &str) -> Result<String, Refused> {
    uuid(text).ok_or_else(|| Refused::field(name, format!("The value '{text}' is not valid.")))
}

fn no_such_profile() -> Refused {
    Refused::explained(404, "There is no such profile.")
}

/// The tenant of a call that is about one thing of its, or about all of it, and what else the query said.
pub fn about_one<'s>(
    state: &'s mut SimState,
    operation: &Operation<'_>,
) -> Result<(&'s mut Tenant, Vec<String>), Refused> {
    let mut query = Query::of(operation.query);
    let tenant_id = query.required_uuid("tenantId");
    let remarks = query.unknown();
    query.errors.none()?;
    Ok((hold(state, operation, &tenant_id)?, remarks))
}

pub fn forget_sync_ids(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let (tenant, remarks) = about_one(state, operation)?;
    let removed = tenant.forget_profile_sync_ids();
    let tenant_id = tenant.settings.id.clone();
    state.wipes.push(Wipe { at: operation.at, tenant_id, what: Wiped::Profiles, removed });
    Ok(Answer::done().with(remarks))
}

/// Adds to groups (POST), replaces them (PUT) or takes out of them (DELETE, with a body).
pub fn set_groups(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut fields = Fields::of(operation.body)?;
    let tenant_id = fields.uuid("tenantId");
    let profile_id = fields.uuid("profileId");
    let group_ids: BTreeSet<String> = fields.uuids("groupIds").into_iter().collect();
    let mut remarks = fields.unknown();
    fields.errors.none()?;
    let tenant = hold(state, operation, &tenant_id)?;
    let profile = tenant.profile(&profile_id).filter(|it| it.shown(operation.at, tenant.questions).is_some());
    let profile = profile.ok_or_else(no_such_profile)?;
    if !group_ids.iter().all(|id| tenant.groups.contains_key(id)) {
        return Err(Refused::explained(404, "There is no such group."));
    }
    if let Some(merging) = &profile.merging {
        remarks.push(format!("the profile is being merged into {}", merging.into));
    }
    let after: BTreeSet<String> = match operation.method {
        "POST" => profile.group_ids.union(&group_ids).cloned().collect(),
        "PUT" => group_ids,
        _ => profile.group_ids.difference(&group_ids).cloned().collect(),
    };
    if !profile.group_ids_by_hand.is_subset(&after) {
        remarks.push("groups were dropped into which staff had put the profile".to_owned());
    }
    tenant.edit(&profile_id, |profile| profile.set_groups(after));
    Ok(Answer::done().with(remarks))
}

impl SimProfile {
    /// It is in these groups; those that staff chose and that are among them stay staff's.
    pub(super) fn set_groups(&mut self, group_ids: BTreeSet<String>) {
        self.group_ids_by_hand.retain(|id| group_ids.contains(id));
        self.group_ids = group_ids;
    }
}

pub fn merge(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut fields = Fields::of(operation.body)?;
    let tenant_id = fields.uuid("tenantId");
    let from = fields.uuid("fromProfileId");
    let into = fields.uuid("toProfileId");
    let remarks = fields.unknown();
    if from == into {
        fields.errors.add("toProfileId", "must be another profile");
    }
    fields.errors.none()?;
    let until = operation.at + state.conduct.merge_takes;
    let tenant = hold(state, operation, &tenant_id)?;
    begin_merge(tenant, &from, &into, until)?;
    Ok(Answer::done().with(remarks))
}

/// Begins a merge, at the end of which `from` is gone.
pub fn begin_merge(tenant: &mut Tenant, from: &str, into: &str, until: DateTime<Utc>) -> Result<(), Refused> {
    if tenant.profile(from).is_none() || tenant.profile(into).is_none() {
        return Err(no_such_profile());
    }
    if tenant.is_merging(from) || tenant.is_merging(into) {
        return Err(Refused::explained(409, "Another merge is running."));
    }
    tenant.edit(from, |profile| profile.merging = Some(Merging { into: into.to_owned(), until }));
    Ok(())
}
