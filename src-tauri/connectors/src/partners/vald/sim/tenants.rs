//! The tenants API: organisations, categories and groups (contract sheet §4).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::profiles::{about_one, hold, path_id};
use super::routes::{Answer, Operation};
use super::rules::{Fields, Query, Refused};
use super::state::{SimCategory, SimGroup, SimState, Tenant, Wipe, Wiped};

/// The tenants of this region that the credentials open.
pub fn list(state: &SimState, operation: &Operation<'_>) -> Answer {
    let opened = state.credentials.get(operation.client_id).map(|pair| &pair.tenant_ids);
    let here = opened.into_iter().flatten().filter_map(|id| state.tenants.get(id));
    let items = here
        .filter(|tenant| tenant.settings.region == operation.region)
        .map(|tenant| json!({"id": tenant.settings.id, "name": tenant.settings.name}));
    Answer::list("tenants", items.collect()).with(Query::of(operation.query).unknown())
}

/// The tenant in the path; 404 where it is not to be had.
fn in_path<'s>(
    state: &'s mut SimState,
    operation: &Operation<'_>,
    tenant_id: &str,
) -> Result<&'s mut Tenant, Refused> {
    let tenant_id = path_id("tenantId", tenant_id)?;
    hold(state, operation, &tenant_id).map_err(|refused| Refused::unexplained(404, refused.reason))
}

pub fn by_id(state: &mut SimState, operation: &Operation<'_>, tenant_id: &str) -> Result<Answer, Refused> {
    let settings = &in_path(state, operation, tenant_id)?.settings;
    let body = json!({
        "id": settings.id,
        "name": settings.name,
        "sport": settings.sport,
        "league": null,
        "logoUri": null,
    });
    Ok(Answer::json(body).with(Query::of(operation.query).unknown()))
}

pub fn forget_sync_ids(
    state: &mut SimState,
    operation: &Operation<'_>,
    tenant_id: &str,
) -> Result<Answer, Refused> {
    let tenant = in_path(state, operation, tenant_id)?;
    let mut removed = tenant.forget_profile_sync_ids();
    let of_categories = tenant.categories.values_mut().map(|category| &mut category.sync_id);
    let of_groups = tenant.groups.values_mut().map(|group| &mut group.sync_id);
    for sync_id in of_categories.chain(of_groups) {
        removed += usize::from(sync_id.take().is_some());
    }
    let tenant_id = tenant.settings.id.clone();
    state.wipes.push(Wipe { at: operation.at, tenant_id, what: Wiped::Everything, removed });
    Ok(Answer::done())
}

fn category_item(category: &SimCategory) -> Value {
    json!({"id": category.id, "syncId": category.sync_id, "name": category.name})
}

fn group_item(group: &SimGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "categoryId": group.category_id,
        "syncId": group.sync_id,
    })
}

pub fn categories(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut query = Query::of(operation.query);
    let tenant_id = query.required_uuid("TenantId");
    let remarks = query.unknown();
    query.errors.none()?;
    let tenant = hold(state, operation, &tenant_id)?;
    Ok(Answer::list("categories", tenant.categories.values().map(category_item).collect()).with(remarks))
}

pub fn groups(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut query = Query::of(operation.query);
    let tenant_id = query.required_uuid("TenantId");
    let sync_id = query.optional("SyncId");
    let remarks = query.unknown();
    query.errors.none()?;
    let tenant = hold(state, operation, &tenant_id)?;
    let groups = tenant.groups.values();
    let found = groups.filter(|group| sync_id.is_none() || group.sync_id == sync_id).map(group_item);
    Ok(Answer::list("groups", found.collect()).with(remarks))
}

fn no_such(what: &str) -> Refused {
    Refused::explained(404, format!("There is no such {what}."))
}

pub fn category(state: &mut SimState, operation: &Operation<'_>, id: &str) -> Result<Answer, Refused> {
    let id = path_id("categoryId", id)?;
    let (tenant, remarks) = about_one(state, operation)?;
    let category = tenant.categories.get(&id).ok_or_else(|| no_such("category"))?;
    Ok(Answer::json(category_item(category)).with(remarks))
}

pub fn group(state: &mut SimState, operation: &Operation<'_>, id: &str) -> Result<Answer, Refused> {
    let id = path_id("groupId", id)?;
    let (tenant, remarks) = about_one(state, operation)?;
    let group = tenant.groups.get(&id).ok_or_else(|| no_such("group"))?;
    Ok(Answer::json(group_item(group)).with(remarks))
}

pub fn remove_group(state: &mut SimState, operation: &Operation<'_>, id: &str) -> Result<Answer, Refused> {
    let id = path_id("groupId", id)?;
    let (tenant, remarks) = about_one(state, operation)?;
    if !drop_group(tenant, &id) {
        return Err(no_such("group"));
    }
    Ok(Answer::done().with(remarks))
}

/// Removes a group, and everybody from it; false when it is not there.
pub fn drop_group(tenant: &mut Tenant, id: &str) -> bool {
    let there = tenant.groups.remove(id).is_some();
    tenant.edit_groups(|profile| {
        profile.group_ids.remove(id);
        profile.group_ids_by_hand.remove(id);
    });
    there
}

pub fn import_category(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut fields = Fields::of(operation.body)?;
    let tenant_id = fields.uuid("tenantId");
    let sync_id = fields.text("syncId").to_owned();
    let name = fields.text("name").to_owned();
    let remarks = fields.unknown();
    fields.errors.none()?;
    let new_id = state.new_id('c');
    let tenant = hold(state, operation, &tenant_id)?;
    let sync_id = Some(sync_id);
    match tenant.categories.values_mut().find(|category| category.sync_id == sync_id) {
        Some(there) => there.name = name,
        None => {
            tenant.categories.insert(new_id.clone(), SimCategory { id: new_id, name, sync_id });
        }
    }
    Ok(Answer::done().with(remarks))
}

pub fn import_group(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut fields = Fields::of(operation.body)?;
    let tenant_id = fields.uuid("tenantId");
    let sync_id = fields.text("syncId").to_owned();
    let category_id = fields.uuid("categoryId");
    let name = fields.text("name").to_owned();
    let remarks = fields.unknown();
    fields.errors.none()?;
    let new_id = state.new_id('b');
    let tenant = hold(state, operation, &tenant_id)?;
    if !tenant.categories.contains_key(&category_id) {
        return Err(Refused::field("categoryId", "There is no such category."));
    }
    let sync_id = Some(sync_id);
    match tenant.groups.values_mut().find(|group| group.sync_id == sync_id) {
        Some(there) => (there.name, there.category_id) = (name, category_id),
        None => {
            tenant.groups.insert(new_id.clone(), SimGroup { id: new_id, name, category_id, sync_id });
        }
    }
    Ok(Answer::done().with(remarks))
}

/// Replaces the members of a group (PUT), or takes some out (DELETE, with a body).
pub fn set_members(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let mut fields = Fields::of(operation.body)?;
    let tenant_id = fields.uuid("tenantId");
    let group_id = fields.uuid("groupId");
    let profile_ids: BTreeSet<String> = fields.uuids("profileIds").into_iter().collect();
    let mut remarks = fields.unknown();
    fields.errors.none()?;
    let tenant = hold(state, operation, &tenant_id)?;
    if !tenant.groups.contains_key(&group_id) {
        return Err(no_such("group"));
    }
    if !profile_ids.iter().all(|id| tenant.profile(id).is_some()) {
        return Err(no_such("profile"));
    }
    let replaces = operation.method == "PUT";
    let leaves = |id: &String| profile_ids.contains(id) != replaces;
    let dropped = tenant
        .profiles()
        .any(|profile| leaves(&profile.profile_id) && profile.group_ids_by_hand.contains(&group_id));
    if dropped {
        remarks.push("profiles were dropped that staff had put into the group".to_owned());
    }
    tenant.edit_groups(|profile| {
        if leaves(&profile.profile_id) {
            profile.group_ids.remove(&group_id);
            profile.group_ids_by_hand.remove(&group_id);
        } else if replaces {
            profile.group_ids.insert(group_id.clone());
        }
    });
    Ok(Answer::done().with(remarks))
}
