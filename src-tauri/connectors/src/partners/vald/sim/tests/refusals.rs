//! What is refused whatever it asks for: tenants, regions, names of parameters, addresses, haste.

use super::*;

#[tokio::test]
async fn a_wrong_tenant_or_region_is_403() {
    let bench = Bench::start().await;
    for (tenant, why) in [(ABROAD, "lives in use"), (FOREIGN, "do not open"), (NOBODY, "no such tenant")] {
        assert_eq!(bench.import(&tomasz_but(json!({"tenantId": tenant}))).await.status(), 403);
        let noted = bench.last_mistake();
        assert!(noted.reason.contains(why), "{noted:?}");
        assert_eq!(noted.host, Host::Profiles(Region::Aue));
        for path in [
            format!("/profiles?TenantId={tenant}"),
            format!("/profiles/exists?TenantId={tenant}&SyncId=a"),
            format!("/profiles/{NOBODY}?tenantId={tenant}"),
        ] {
            let response = bench.profiles(Method::GET, &path).send().await.unwrap();
            assert_eq!(response.status(), 403, "{path}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!((&problem["status"], &problem["detail"]), (&json!(403), &Value::Null));
        }
        for path in [format!("/groups?TenantId={tenant}"), format!("/categories?TenantId={tenant}")] {
            assert_eq!(status_of(bench.tenants(Method::GET, &path)).await, 403, "{path}");
        }
        let wipe = format!("/profiles/syncids?tenantId={tenant}");
        assert_eq!(status_of(bench.profiles(Method::DELETE, &wipe)).await, 403);
    }
    let there = bench.profiles_in(Region::Use, Method::GET, &format!("/profiles?TenantId={ABROAD}"));
    assert_eq!(status_of(there).await, 204);
    assert_eq!(bench.sim.inspect(|state| state.imports(ABROAD).count()), 1);
    assert_eq!(bench.sim.inspect(|state| state.not_understood().count()), 0);
    bench.sim.open_tenants(CLIENT, &[ABROAD]).unwrap();
    assert_eq!(bench.import(&tomasz()).await.status(), 403);
}

#[tokio::test]
async fn names_of_parameters_are_exact() {
    let bench = Bench::start().await;
    for (path, named) in [
        ("/profiles".to_owned(), "TenantId"),
        (format!("/profiles?tenantId={TENANT}"), "TenantId"),
        (format!("/profiles/exists?TenantId={TENANT}"), "SyncId"),
        (format!("/profiles/exists?TenantId={TENANT}&syncId=a"), "SyncId"),
        (format!("/profiles/{NOBODY}?TenantId={TENANT}"), "TenantId"),
        (format!("/profiles?TenantId={TENANT}&TenantId={TENANT}"), "TenantId"),
        ("/profiles?TenantId=1111".to_owned(), "TenantId"),
        (format!("/profiles?TenantId={TENANT}&SyncId="), "SyncId"),
        (format!("/profiles?TenantId={TENANT}&ProfileIds={NOBODY},{NOBODY}"), "ProfileIds"),
        (format!("/profiles?TenantId={TENANT}&GroupId=juniors"), "GroupId"),
        (format!("/profiles?TenantId={TENANT}&ModifiedFromUtc=2026-03-01"), "ModifiedFromUtc"),
        (format!("/profiles?TenantId={TENANT}&ModifiedFromUtc=2026-03-01T00:00:00+10:00"), "ModifiedFromUtc"),
        (format!("/profiles/nobody?tenantId={TENANT}"), "ProfileId"),
    ] {
        let response = bench.profiles(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json; charset=utf-8");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["errors"][named].is_array(), "{path}: {problem}");
        assert_eq!(problem["type"], "https://tools.ietf.org/html/rfc9110#section-15.5.1");
    }
    for path in [format!("/groups?tenantId={TENANT}"), format!("/groups/{NOBODY}?TenantId={TENANT}")] {
        assert_eq!(status_of(bench.tenants(Method::GET, &path)).await, 400, "{path}");
    }
    let before = bench.mistakes();
    assert!(bench.found("&syncId=a").await.is_empty());
    assert_eq!(bench.mistakes(), before + 1);
    assert!(bench.last_mistake().reason.contains("syncId is not a parameter"));
}

#[tokio::test]
async fn each_host_has_its_own_paths_and_methods() {
    let bench = Bench::start().await;
    let profiles = async |method, path: &str| status_of(bench.profiles(method, path)).await.as_u16();
    let tenants = async |method, path: &str| status_of(bench.tenants(method, path)).await.as_u16();
    for path in ["/", "/tenants", "/groups", "/profile", "/profiles/a/b", "/Profiles"] {
        assert_eq!(profiles(Method::GET, path).await, 404, "{path}");
    }
    for path in ["/", "/profiles", "/liveness", "/tenants/a/b"] {
        assert_eq!(tenants(Method::GET, path).await, 404, "{path}");
    }
    for (method, path) in [
        (Method::PUT, "/profiles/import"),
        (Method::GET, "/profiles/import"),
        (Method::DELETE, "/profiles"),
        (Method::POST, "/liveness"),
    ] {
        assert_eq!(profiles(method, path).await, 405, "{path}");
    }
    for (method, path) in [(Method::POST, "/tenants"), (Method::POST, "/groups/profiles")] {
        assert_eq!(tenants(method, path).await, 405, "{path}");
    }
}

#[tokio::test]
async fn haste_is_throttled() {
    let bench = Bench::conducting(|conduct| *conduct = Conduct::default()).await;
    let ask = async || bench.tenants(Method::GET, "/tenants").send().await.unwrap();
    for _ in 0..24 {
        assert_eq!(ask().await.status(), 200);
    }
    bench.hand.pass(TimeDelta::seconds(2));
    assert_eq!(ask().await.status(), 200);
    let refused = ask().await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "3");
    assert_eq!(refused.json::<Value>().await.unwrap()["title"], "Too Many Requests");
    bench.hand.pass(TimeDelta::seconds(3));
    assert_eq!(ask().await.status(), 200);
    let silent = Throttle { requests: 1, per: TimeDelta::seconds(5), says_when: false };
    bench.sim.set_conduct(|conduct| conduct.throttle = Some(silent));
    let refused = ask().await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().get("retry-after").is_none());
    assert_eq!(bench.sim.inspect(|state| (state.throttled(), state.mistakes().count())), (2, 0));
    assert_eq!(bench.sim.inspect(|state| state.exchanges().next_back().unwrap().status), Some(429));
}
