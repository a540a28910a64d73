//! Tenants, categories and groups.

use super::*;

#[tokio::test]
async fn each_region_lists_its_own_tenants_only() {
    let bench = Bench::start().await;
    let listed = async |region| json_of(bench.tenants_in(region, Method::GET, "/tenants")).await;
    assert_eq!(
        listed(Region::Aue).await,
        json!({"tenants": [{"id": TENANT, "name": "Harbour <Physio> & Co"}]})
    );
    assert_eq!(listed(Region::Use).await, json!({"tenants": [{"id": ABROAD, "name": "Boston Physio"}]}));
    assert_eq!(status_of(bench.tenants_in(Region::Euw, Method::GET, "/tenants")).await, 204);
    assert_eq!(bench.sim.inspect(|state| state.requests_of("euw", "GET", "/tenants")), 1);
    bench.sim.move_tenant(ABROAD, Region::Euw).unwrap();
    assert_eq!(status_of(bench.tenants_in(Region::Use, Method::GET, "/tenants")).await, 204);
}

#[tokio::test]
async fn a_tenant_tells_what_it_is() {
    let bench = Bench::start().await;
    let told = json_of(bench.tenants(Method::GET, &format!("/tenants/{}", TENANT.to_uppercase()))).await;
    let expected = json!({"id": TENANT, "name": "Harbour <Physio> & Co", "sport": "AlliedHealth",
                          "league": null, "logoUri": null});
    assert_eq!(told, expected);
    for (id, status) in [(ABROAD, 404), (FOREIGN, 404), (NOBODY, 404), ("harbour", 400)] {
        assert_eq!(status_of(bench.tenants(Method::GET, &format!("/tenants/{id}"))).await, status, "{id}");
    }
}

#[tokio::test]
async fn groups_set_up_by_hand_can_be_read_and_chosen() {
    let bench = Bench::start().await;
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let group = bench.sim.add_group(TENANT, &category, "Harbour").unwrap();
    let item = json!({"id": group, "name": "Harbour", "categoryId": category, "syncId": null});
    let list = bench.tenants(Method::GET, &format!("/groups?TenantId={TENANT}"));
    assert_eq!(json_of(list).await, json!({"groups": [item]}));
    let one = bench.tenants(Method::GET, &format!("/groups/{group}?tenantId={TENANT}"));
    assert_eq!(json_of(one).await, item);
    let item = json!({"id": category, "syncId": null, "name": "Sites"});
    let list = bench.tenants(Method::GET, &format!("/categories?TenantId={TENANT}"));
    assert_eq!(json_of(list).await, json!({"categories": [item]}));
    let one = bench.tenants(Method::GET, &format!("/categories/{category}?tenantId={TENANT}"));
    assert_eq!(json_of(one).await, item);
    for path in
        [format!("/groups/{NOBODY}?tenantId={TENANT}"), format!("/categories/{NOBODY}?tenantId={TENANT}")]
    {
        assert_eq!(status_of(bench.tenants(Method::GET, &path)).await, 404);
    }
    assert!(bench.sim.add_group(TENANT, NOBODY, "x").is_err());
}

#[tokio::test]
async fn categories_and_groups_can_be_imported_by_sync_id() {
    let bench = Bench::start().await;
    let import = async |what: &str, body: Value| {
        status_of(bench.tenants(Method::POST, &format!("/{what}/import")).json(&body)).await.as_u16()
    };
    let category = |name: &str| json!({"tenantId": TENANT, "syncId": "sites", "name": name});
    assert_eq!(import("categories", category("Site")).await, 204);
    assert_eq!(import("categories", category("Sites")).await, 204);
    let made: Vec<SimCategory> = bench.sim.inspect(|state| state.categories(TENANT).cloned().collect());
    assert_eq!((made.len(), made[0].name.as_str()), (1, "Sites"));
    let group = |category_id: &str, name: &str| json!({"tenantId": TENANT, "syncId": "h", "categoryId": category_id, "name": name});
    assert_eq!(import("groups", group(NOBODY, "Harbour")).await, 400);
    assert!(bench.last_mistake().reason.contains("CategoryId"));
    assert_eq!(import("groups", group(&made[0].id, "Harbor")).await, 204);
    assert_eq!(import("groups", group(&made[0].id, "Harbour")).await, 204);
    let list = json_of(bench.tenants(Method::GET, &format!("/groups?TenantId={TENANT}&SyncId=h"))).await;
    assert_eq!(list["groups"].as_array().unwrap().len(), 1);
    assert_eq!(list["groups"][0]["name"], "Harbour");
    assert_eq!(
        status_of(bench.tenants(Method::GET, &format!("/groups?TenantId={TENANT}&SyncId=x"))).await,
        204
    );
    assert_eq!(import("categories", json!({"tenantId": TENANT, "syncId": "x"})).await, 400);
    assert_eq!(import("categories", json!({"tenantId": FOREIGN, "syncId": "x", "name": "x"})).await, 403);
}

#[tokio::test]
async fn a_profile_is_added_to_groups_taken_out_or_given_others() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let id = bench.id_of("clinic7-48213").await;
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let groups: Vec<String> = ["A", "B", "C"]
        .into_iter()
        .map(|name| bench.sim.add_group(TENANT, &category, name).unwrap())
        .collect();
    let [a, b, c] = [&*groups[0], &*groups[1], &*groups[2]];
    let stands = async || bench.by_id(&id).await["groupIds"].clone();
    assert_eq!(bench.groups_call(Method::POST, &id, &[a, b]).await, 204);
    assert_eq!(bench.groups_call(Method::POST, &id, &[b]).await, 204);
    assert_eq!(stands().await, json!([a, b]));
    assert_eq!(bench.groups_call(Method::PUT, &id, &[c, b]).await, 204);
    assert_eq!(stands().await, json!([b, c]));
    assert_eq!(bench.groups_call(Method::DELETE, &id, &[b, a]).await, 204);
    assert_eq!(stands().await, json!([c]));
    assert_eq!(bench.groups_call(Method::POST, &id, &[a, NOBODY]).await, 404);
    assert_eq!(bench.groups_call(Method::POST, NOBODY, &[a]).await, 404);
    assert_eq!(stands().await, json!([c]));
    // An HTTP layer that drops the body of a DELETE is noticed.
    let bare = bench.profiles(Method::DELETE, "/profiles/groups");
    assert_eq!(status_of(bare).await, 400);
    let text = json!({"tenantId": TENANT, "profileId": id, "groupIds": a});
    assert_eq!(status_of(bench.profiles(Method::POST, "/profiles/groups").json(&text)).await, 400);
    assert_eq!(bench.sim.inspect(|state| state.not_understood().count()), 4);
}

#[tokio::test]
async fn dropping_what_staff_set_is_a_mistake() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let id = bench.id_of("clinic7-48213").await;
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let by_hand = bench.sim.add_group(TENANT, &category, "Juniors").unwrap();
    let ours = bench.sim.add_group(TENANT, &category, "Harbour").unwrap();
    bench.sim.put_into_group(TENANT, &id, &by_hand).unwrap();
    assert_eq!(bench.groups_call(Method::POST, &id, &[&ours]).await, 204);
    assert_eq!(bench.groups_call(Method::PUT, &id, &[&ours, &by_hand]).await, 204);
    assert_eq!(bench.mistakes(), 0);
    assert_eq!(bench.groups_call(Method::PUT, &id, &[&ours]).await, 204);
    assert!(bench.last_mistake().reason.contains("staff had put"));
    bench.sim.put_into_group(TENANT, &id, &by_hand).unwrap();
    let body = json!({"tenantId": TENANT, "groupId": by_hand, "profileIds": []});
    assert_eq!(status_of(bench.tenants(Method::PUT, "/groups/profiles").json(&body)).await, 204);
    assert_eq!(bench.mistakes(), 2);
    assert_eq!(bench.by_id(&id).await["groupIds"], json!([ours]));
    assert!(bench.sim.put_into_group(TENANT, &id, NOBODY).is_err());
    assert!(bench.sim.put_into_group(TENANT, NOBODY, &ours).is_err());
}

#[tokio::test]
async fn members_of_a_group_are_replaced_or_removed() {
    let bench = Bench::start().await;
    let made = |name: &str| bench.sim.add_profile(TENANT, ProfileDetails::new(name, "Moss", day(1990, 1, 1)));
    let (ada, bob, cleo) = (made("Ada").unwrap(), made("Bob").unwrap(), made("Cleo").unwrap());
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let group = bench.sim.add_group(TENANT, &category, "Harbour").unwrap();
    let call = async |method, group: &str, ids: &[&String]| {
        let body = json!({"tenantId": TENANT, "groupId": group, "profileIds": ids});
        status_of(bench.tenants(method, "/groups/profiles").json(&body)).await.as_u16()
    };
    let members = || -> Vec<String> {
        bench.sim.inspect(|state| {
            let members = state.profiles(TENANT).filter(|profile| profile.group_ids.contains(&group));
            members.map(|profile| profile.details.given_name.clone()).collect()
        })
    };
    assert_eq!(call(Method::PUT, &group, &[&ada, &bob]).await, 204);
    assert_eq!(members(), ["Ada", "Bob"]);
    assert_eq!(call(Method::PUT, &group, &[&bob, &cleo]).await, 204);
    assert_eq!(members(), ["Bob", "Cleo"]);
    assert_eq!(call(Method::DELETE, &group, &[&bob, &ada]).await, 204);
    assert_eq!(members(), ["Cleo"]);
    assert_eq!(call(Method::PUT, NOBODY, &[&bob]).await, 404);
    assert_eq!(call(Method::PUT, &group, &[&NOBODY.to_owned()]).await, 404);
    assert_eq!(status_of(bench.tenants(Method::DELETE, "/groups/profiles")).await, 400);
    let remove = format!("/groups/{group}?tenantId={TENANT}");
    assert_eq!(status_of(bench.tenants(Method::DELETE, &remove)).await, 204);
    assert_eq!(status_of(bench.tenants(Method::DELETE, &remove)).await, 404);
    assert!(members().is_empty());
    assert!(bench.sim.remove_group(TENANT, &group).is_err());
}

#[tokio::test]
async fn clearing_a_tenant_drops_every_sync_id() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let category = json!({"tenantId": TENANT, "syncId": "sites", "name": "Sites"});
    assert_eq!(status_of(bench.tenants(Method::POST, "/categories/import").json(&category)).await, 204);
    let clear = |id: &str| bench.tenants(Method::DELETE, &format!("/tenants/{id}/syncids"));
    assert_eq!(status_of(clear(ABROAD)).await, 404);
    assert_eq!(status_of(clear(TENANT)).await, 204);
    assert!(bench.found("&SyncId=clinic7-48213").await.is_empty());
    assert!(bench.sim.inspect(|state| state.categories(TENANT).all(|it| it.sync_id.is_none())));
    let wiped = bench.sim.inspect(|state| (state.wipes()[0].what, state.wipes()[0].removed));
    assert_eq!(wiped, (Wiped::Everything, 2));
}
