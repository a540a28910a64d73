//! The landing page.

use super::*;

impl Bench {
    /// Opens the landing address as a browser would.
    async fn open(&self, tenant_id: &str, sync_id: &str) -> String {
        let encoded = |text: &str| {
            let bytes = text.bytes().map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            });
            bytes.collect::<String>()
        };
        let address = self.sim.hub_template();
        let address =
            address.replace("{tenantId}", &encoded(tenant_id)).replace("{syncId}", &encoded(sync_id));
        let response = self.http.get(address).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        response.text().await.unwrap()
    }

    fn last_opened(&self) -> Opened {
        self.sim.inspect(|state| state.opened().next_back().cloned()).unwrap()
    }
}

#[tokio::test]
async fn the_page_names_the_profile_that_would_open() {
    let bench = Bench::start().await;
    let odd = json!({"syncId": "a/b c&d=ä", "givenName": "<b>Zoë</b>", "familyName": "O'Neil & \"Co\""});
    bench.imported(&tomasz_but(odd)).await;
    bench.imported(&tomasz()).await;
    let page = bench.open(TENANT, "a/b c&d=ä").await;
    assert!(
        page.contains("<h1 id=\"profile-name\">&lt;b&gt;Zoë&lt;/b&gt; O&#39;Neil &amp; &quot;Co&quot;</h1>"),
        "{page}"
    );
    assert!(page.contains("<dd id=\"tenant-name\">Harbour &lt;Physio&gt; &amp; Co</dd>"), "{page}");
    let id = bench.sim.inspect(|state| state.profile(TENANT, "a/b c&d=ä").unwrap().profile_id.clone());
    assert!(page.contains(&format!("<dd id=\"profile-id\">{id}</dd>")), "{page}");
    assert!(!page.contains("Failed"));
    let expected = Opened {
        at: bench.hand.now(),
        raw_query: format!("tenantId={TENANT}&syncId=a%2Fb%20c%26d%3D%C3%A4"),
        profile_id: Some(id),
        shown_name: Some("<b>Zoë</b> O'Neil & \"Co\"".to_owned()),
    };
    assert_eq!(bench.last_opened(), expected);
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn whatever_names_no_profile_fails_to_load() {
    let bench = Bench::conducting(|conduct| conduct.visible = Visible::After(TimeDelta::seconds(3))).await;
    bench.imported(&tomasz()).await;
    let failed = "<h1 id=\"failure\">Failed to Load Profile</h1>";
    assert!(bench.open(TENANT, "clinic7-48213").await.contains(failed));
    bench.hand.pass(TimeDelta::seconds(3));
    assert!(bench.open(TENANT, "clinic7-48213").await.contains("Tomasz Ferreira"));
    for (tenant_id, sync_id) in [
        (ABROAD, "clinic7-48213"),
        (NOBODY, "clinic7-48213"),
        ("harbour", "clinic7-48213"),
        (TENANT, "clinic7-48214"),
        ("{tenantId}", "{syncId}"),
    ] {
        let page = bench.open(tenant_id, sync_id).await;
        assert!(page.contains(failed), "{page}");
        assert!(!page.contains("Tomasz"));
        assert_eq!(bench.last_opened().profile_id, None);
    }
    assert_eq!(bench.mistakes(), 0);
    assert_eq!(bench.sim.inspect(|state| state.opened().count()), 7);
}

#[tokio::test]
async fn an_address_with_anything_else_in_it_is_a_mistake() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let template = bench.sim.hub_template();
    let (base, _) = template.split_once('?').unwrap();
    let open = async |rest: &str| status_of(bench.http.get(format!("{base}{rest}"))).await.as_u16();
    assert_eq!(open(&format!("?tenantId={TENANT}&syncId=clinic7-48213&name=Tomasz")).await, 200);
    assert!(bench.last_mistake().reason.contains("name is not a parameter"));
    assert!(bench.last_opened().raw_query.ends_with("&name=Tomasz"));
    assert_eq!(open(&format!("?tenantid={TENANT}&syncid=clinic7-48213")).await, 200);
    assert_eq!(bench.last_opened().profile_id, None);
    assert_eq!(open("Tomasz").await, 404);
    assert_eq!(bench.last_mistake().host, Host::Hub);
    let before = bench.mistakes();
    let icon = base.replace("/hub/", "/favicon.ico");
    assert_eq!(status_of(bench.http.get(icon)).await, 404);
    assert_eq!(bench.mistakes(), before);
    let elsewhere = bench.http.get(base).header("Host", "clinic.example.com");
    assert_eq!(status_of(elsewhere).await, 403);
}
