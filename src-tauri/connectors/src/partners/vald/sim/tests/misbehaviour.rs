//! Faults, each seen from the client's side and from the simulator's.

use super::*;

fn stands(bench: &Bench) -> bool {
    bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").is_some())
}

async fn try_import(bench: &Bench) -> reqwest::Result<Response> {
    bench.profiles(Method::POST, "/profiles/import").json(&tomasz()).send().await
}

#[tokio::test]
async fn a_connection_can_be_cut_before_or_after_the_effect() {
    let bench = Bench::start().await;
    bench.sim.add_fault(FaultRule::once(Fault::Refuse).for_account(TENANT));
    assert!(try_import(&bench).await.is_err());
    assert!(!stands(&bench));
    bench.sim.add_fault(FaultRule::once(Fault::CutAfterEffect).on("POST", "/profiles/*"));
    assert!(try_import(&bench).await.is_err());
    assert!(stands(&bench));
    let last = bench.sim.inspect(|state| state.exchanges().next_back().cloned()).unwrap();
    assert_eq!((last.status, last.took_effect), (Some(204), true));
}

#[tokio::test]
async fn statuses_come_without_effect_and_in_the_hosts_words() {
    let bench = Bench::start().await;
    for (fault, status, wait) in [
        (Fault::Unauthorised, 401, None),
        (Fault::Forbidden, 403, None),
        (Fault::TooManyRequests { retry_after_seconds: Some(7) }, 429, Some("7")),
        (Fault::TooManyRequests { retry_after_seconds: None }, 429, None),
        (Fault::ServerError, 500, None),
        (Fault::Unavailable { retry_after_seconds: Some(3) }, 503, Some("3")),
    ] {
        bench.sim.add_fault(FaultRule::once(fault.clone()));
        let response = try_import(&bench).await.unwrap();
        assert_eq!(response.status(), status);
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, wait, "{fault:?}");
        assert_eq!(response.json::<Value>().await.unwrap()["status"], status);
        bench.sim.add_fault(FaultRule::once(fault));
        assert_eq!(bench.ask_token(&form()).await.status(), status);
    }
    assert!(!stands(&bench));
    assert_eq!(bench.mistakes(), 0);
    assert_eq!(bench.sim.inspect(|state| state.requests_of(TENANT, "POST", "/profiles/import")), 6);
}

#[tokio::test]
async fn one_regions_list_of_tenants_can_fail_alone() {
    let bench = Bench::start().await;
    bench.sim.add_fault(FaultRule::always(Fault::ServerError).for_account("use").on("GET", "/tenants"));
    assert_eq!(status_of(bench.tenants_in(Region::Use, Method::GET, "/tenants")).await, 500);
    assert_eq!(status_of(bench.tenants_in(Region::Aue, Method::GET, "/tenants")).await, 200);
    bench.sim.clear_faults();
    assert_eq!(status_of(bench.tenants_in(Region::Use, Method::GET, "/tenants")).await, 200);
}

#[tokio::test]
async fn answers_can_be_garbled_broken_off_or_say_things_twice() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let list = || bench.profiles(Method::GET, &format!("/profiles?TenantId={TENANT}"));
    bench.sim.add_fault(FaultRule::once(Fault::GarbledJson));
    let garbled = list().send().await.unwrap();
    assert_eq!(garbled.status(), 200);
    assert!(garbled.json::<Value>().await.unwrap_err().is_decode());
    bench.sim.add_fault(FaultRule::once(Fault::TruncatedBody));
    assert!(list().send().await.unwrap().bytes().await.is_err());
    bench.sim.add_fault(FaultRule::once(Fault::DuplicateItems));
    assert_eq!(json_of(list()).await["profiles"].as_array().unwrap().len(), 2);
    // Where nothing is said, nothing can be spoilt.
    for fault in [Fault::GarbledJson, Fault::TruncatedBody] {
        bench.sim.add_fault(FaultRule::once(fault));
        let response = bench.import(&tomasz()).await;
        assert_eq!(response.status(), 204);
        assert!(response.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn slow_requests_have_their_effect_late_and_slow_answers_at_once() {
    let bench = Bench::start().await;
    let slow = bench.sim.add_fault(FaultRule::always(Fault::Slow { milliseconds: 60_000 }));
    let struck = async {
        bench.sim.wait_until(|state| state.faults().active()[0].struck == 1, SOON).await.unwrap();
        assert!(!stands(&bench));
        assert!(bench.sim.remove_fault(slow));
    };
    let (response, ()) = tokio::join!(try_import(&bench), struck);
    assert_eq!(response.unwrap().status(), 204);
    assert!(stands(&bench));

    bench.sim.add_fault(FaultRule::always(Fault::SlowAnswer { milliseconds: 60_000 }));
    let sending =
        bench.profiles(Method::POST, "/profiles/import").json(&tomasz_but(json!({"syncId": "late"})));
    let sending = tokio::spawn(sending.send());
    let there = |state: &SimState| state.profile(TENANT, "late").is_some();
    bench.sim.wait_until(there, SOON).await.unwrap();
    tokio::time::timeout(SOON, bench.sim.stop()).await.unwrap();
    assert!(sending.await.unwrap().is_err());
}
