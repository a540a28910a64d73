//! Profiles that are merged.

use super::*;

async fn two(bench: &Bench) -> (String, String) {
    bench.imported(&tomasz()).await;
    bench.imported(&tomasz_but(json!({"syncId": "other"}))).await;
    (bench.id_of("clinic7-48213").await, bench.id_of("other").await)
}

#[tokio::test]
async fn a_profile_that_is_merged_says_into_which_and_is_gone_then() {
    let bench = Bench::start().await;
    let (from, into) = two(&bench).await;
    assert_eq!(bench.merge(&from, &into).await, 204);
    let listed = bench.found("&SyncId=clinic7-48213").await;
    assert_eq!(listed[0]["beingMergedWithProfileId"], json!(into));
    assert_eq!(listed[0]["beingMergedWithProfileExpiryDateUtc"], "2026-03-01T22:05:00Z");
    assert_eq!(bench.by_id(&from).await["beingMergedWithProfileId"], json!(into));
    assert_eq!(bench.by_id(&into).await["beingMergedWithProfileId"], Value::Null);
    bench.hand.pass(TimeDelta::minutes(5));
    assert!(bench.found("&SyncId=clinic7-48213").await.is_empty());
    let gone = format!("/profiles/{from}?tenantId={TENANT}");
    assert_eq!(status_of(bench.profiles(Method::GET, &gone)).await, 404);
    assert_eq!(bench.id_of("other").await, into);
    assert_eq!(bench.found("").await.len(), 1);
}

#[tokio::test]
async fn pushing_to_a_profile_that_is_merged_is_a_mistake() {
    let bench = Bench::start().await;
    let (from, into) = two(&bench).await;
    let until = bench.sim.begin_merge(TENANT, &from, &into).unwrap();
    assert_eq!(until, bench.hand.now() + TimeDelta::minutes(5));
    assert_eq!(bench.mistakes(), 0);
    bench.imported(&tomasz()).await;
    let noted = bench.last_mistake();
    assert!(noted.reason.contains("being merged into"), "{noted:?}");
    assert_eq!(noted.status, 204);
    let category = bench.sim.add_category(TENANT, "Sites").unwrap();
    let group = bench.sim.add_group(TENANT, &category, "Harbour").unwrap();
    assert_eq!(bench.groups_call(Method::POST, &from, &[&group]).await, 204);
    assert_eq!(bench.mistakes(), 2);
    bench.imported(&tomasz_but(json!({"syncId": "other"}))).await;
    assert_eq!(bench.mistakes(), 2);
}

#[tokio::test]
async fn two_merges_of_one_profile_do_not_go_together() {
    let bench = Bench::start().await;
    let (from, into) = two(&bench).await;
    let third = bench.sim.add_profile(TENANT, ProfileDetails::new("Ada", "Moss", day(1990, 1, 1))).unwrap();
    assert_eq!(bench.merge(&from, &from).await, 400);
    assert_eq!(bench.merge(&from, NOBODY).await, 404);
    assert_eq!(bench.merge(NOBODY, &into).await, 404);
    assert_eq!(bench.merge(&from, &into).await, 204);
    for (from, into) in [(&from, &into), (&into, &third), (&third, &from), (&third, &into)] {
        assert_eq!(bench.merge(from, into).await, 409);
    }
    assert!(bench.sim.begin_merge(TENANT, &third, &into).is_err());
    bench.hand.pass(TimeDelta::minutes(5));
    assert_eq!(bench.merge(&third, &into).await, 204);
}

#[tokio::test]
async fn a_sync_id_moves_only_to_a_profile_that_has_none() {
    let bench = Bench::conducting(|conduct| conduct.merge_takes = TimeDelta::seconds(1)).await;
    let (from, into) = two(&bench).await;
    let by_hand = bench.sim.add_profile(TENANT, ProfileDetails::new("Tom", "F", day(1991, 6, 17))).unwrap();
    bench.sim.begin_merge(TENANT, &from, &by_hand).unwrap();
    bench.hand.pass(TimeDelta::seconds(1));
    assert_eq!(bench.id_of("clinic7-48213").await, by_hand);
    bench.sim.begin_merge(TENANT, &by_hand, &into).unwrap();
    bench.hand.pass(TimeDelta::seconds(1));
    assert!(bench.found("&SyncId=clinic7-48213").await.is_empty());
    assert_eq!(bench.id_of("other").await, into);
}
