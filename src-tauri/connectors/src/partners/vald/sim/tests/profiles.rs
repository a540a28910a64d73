//! What the profiles API answers about those that are there.

use super::*;

#[tokio::test]
async fn a_profile_in_a_list_tells_less_than_one_by_its_id() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let found = bench.found("&SyncId=clinic7-48213").await;
    let id = found[0]["profileId"].as_str().unwrap();
    let listed = json!({
        "profileId": id, "syncId": "clinic7-48213", "givenName": "Tomasz", "familyName": "Ferreira",
        "dateOfBirth": "1991-06-17T00:00:00Z", "modifiedDateUtc": "2026-03-01T22:00:00Z",
        "externalId": "48213", "beingMergedWithProfileId": null,
        "beingMergedWithProfileExpiryDateUtc": null,
    });
    assert_eq!(found, [listed]);
    let full = json!({
        "profileId": id, "syncId": "clinic7-48213", "givenName": "Tomasz", "familyName": "Ferreira",
        "dateOfBirth": "1991-06-17T00:00:00Z", "externalId": "48213", "beingMergedWithProfileId": null,
        "beingMergedWithProfileExpiryDateUtc": null, "sex": "Male", "email": "tomasz@example.test",
        "weightInKg": null, "heightInCm": null, "groupIds": [], "sport": null, "position": null,
    });
    assert_eq!(bench.by_id(id).await, full);
    assert_eq!(bench.sim.inspect(|state| state.requests("GET", "/profiles/{id}")), 1);
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn nothing_to_list_is_204_without_a_body() {
    let bench = Bench::start().await;
    for request in [
        bench.profiles(Method::GET, &format!("/profiles?TenantId={TENANT}")),
        bench.tenants(Method::GET, &format!("/groups?TenantId={TENANT}")),
        bench.tenants(Method::GET, &format!("/categories?TenantId={TENANT}")),
        bench.tenants_in(Region::Euw, Method::GET, "/tenants"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert!(response.headers().get("content-type").is_none());
        assert!(response.bytes().await.unwrap().is_empty());
    }
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn a_list_is_narrowed_by_each_parameter() {
    let bench = Bench::start().await;
    for (sync_id, external_id) in [("a", "1"), ("b", "2"), ("c", "2")] {
        let fields = json!({"syncId": sync_id, "externalId": external_id});
        bench.imported(&tomasz_but(fields)).await;
        bench.hand.pass(TimeDelta::seconds(10));
    }
    let ids = async |query: &str| -> Vec<String> {
        let found = bench.found(query).await;
        found.iter().map(|profile| profile["syncId"].as_str().unwrap_or("-").to_owned()).collect()
    };
    assert_eq!(ids("").await, ["a", "b", "c"]);
    assert_eq!(ids("&ExternalId=2").await, ["b", "c"]);
    assert_eq!(ids("&ExternalId=2&SyncId=a").await, Vec::<String>::new());
    assert_eq!(ids("&ModifiedFromUtc=2026-03-01T22:00:10Z").await, ["b", "c"]);
    assert_eq!(ids("&ModifiedFromUtc=2026-03-02T09:00:20%2B11:00").await, ["c"]);
    assert_eq!(ids("&ModifiedFromUtc=2026-03-01T22:00:20.5Z").await, Vec::<String>::new());
    let (a, c) = (bench.id_of("a").await, bench.id_of("c").await);
    assert_eq!(ids(&format!("&ProfileIds={c}&ProfileIds={a}&ProfileIds={NOBODY}")).await, ["a", "c"]);
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let group = bench.sim.add_group(TENANT, &category, "Harbour").unwrap();
    assert_eq!(bench.groups_call(Method::POST, &c, &[&group]).await, 204);
    assert_eq!(ids(&format!("&GroupId={group}")).await, ["c"]);
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn a_list_may_be_cut_and_is_then_walked_by_when_things_changed() {
    let bench = Bench::conducting(|conduct| conduct.list_cap = Some(2)).await;
    for sync_id in ["a", "b", "c"] {
        bench.imported(&tomasz_but(json!({"syncId": sync_id}))).await;
        bench.hand.pass(TimeDelta::milliseconds(1500));
    }
    bench.imported(&tomasz_but(json!({"syncId": "a"}))).await;
    let first = bench.found("").await;
    assert_eq!((&first[0]["syncId"], &first[1]["syncId"]), (&json!("b"), &json!("c")));
    assert_eq!(first[0]["modifiedDateUtc"], "2026-03-01T22:00:01.500Z");
    let next = format!("&ModifiedFromUtc={}", first[1]["modifiedDateUtc"].as_str().unwrap());
    let second = bench.found(&next).await;
    assert_eq!((&second[0]["syncId"], &second[1]["syncId"]), (&json!("c"), &json!("a")));
}

#[tokio::test]
async fn profiles_of_a_former_system_lose_their_sync_ids_at_once_and_all_together() {
    let bench = Bench::start().await;
    let former = ProfileDetails::new("Zoë", "Quennell", day(2001, 2, 3)).with_sync_id("former-1");
    let id = bench.sim.add_profile(TENANT, former).unwrap();
    let by_hand = ProfileDetails::new("Ada", "Moss", day(1990, 1, 1));
    bench.sim.add_profile(TENANT, by_hand).unwrap();
    let wrong = format!("/profiles/syncids?tenantid={TENANT}");
    assert_eq!(status_of(bench.profiles(Method::DELETE, &wrong)).await, 400);
    assert_eq!(bench.id_of("former-1").await, id);
    let right = format!("/profiles/syncids?tenantId={TENANT}");
    assert_eq!(status_of(bench.profiles(Method::DELETE, &right)).await, 204);
    assert!(bench.found("&SyncId=former-1").await.is_empty());
    assert_eq!(bench.found("").await.len(), 2);
    let wipes = bench.sim.inspect(|state| state.wipes().to_vec());
    let tenant_id = TENANT.to_owned();
    assert_eq!(wipes, [Wipe { at: bench.hand.now(), tenant_id, what: Wiped::Profiles, removed: 1 }]);
    assert_eq!(bench.sim.inspect(|state| state.requests_of(TENANT, "DELETE", "/profiles/syncids")), 2);
}

#[tokio::test]
async fn health_is_told_to_whoever_has_a_token() {
    let bench = Bench::start().await;
    assert_eq!(status_of(bench.profiles(Method::GET, "/version")).await, 200);
    assert_eq!(status_of(bench.profiles(Method::GET, "/liveness")).await, 204);
    assert_eq!(status_of(bench.profiles(Method::GET, "/readiness")).await, 204);
    bench.sim.set_conduct(|conduct| conduct.ready = false);
    assert_eq!(status_of(bench.profiles(Method::GET, "/readiness")).await, 503);
}

#[tokio::test]
async fn what_staff_do_in_the_hub_shows_at_once() {
    let bench = Bench::conducting(|conduct| conduct.visible = Visible::After(TimeDelta::hours(1))).await;
    bench.imported(&tomasz()).await;
    let id = bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").unwrap().profile_id.clone());
    bench.sim.edit_profile(TENANT, &id, |details| details.family_name = "Novak".to_owned()).unwrap();
    assert_eq!(bench.by_id(&id).await["familyName"], "Novak");
    bench.sim.remove_profile(TENANT, &id).unwrap();
    let gone = format!("/profiles/{id}?tenantId={TENANT}");
    assert_eq!(status_of(bench.profiles(Method::GET, &gone)).await, 404);
    assert!(bench.sim.remove_profile(TENANT, &id).is_err());
    assert!(bench.sim.edit_profile(TENANT, &id, |_| {}).is_err());
    assert!(bench.sim.add_profile(NOBODY, ProfileDetails::default()).is_err());
    bench.imported(&tomasz()).await;
    let anew = bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").unwrap().profile_id.clone());
    assert_ne!(anew, id);
}
