//! The table `[practice.vald]`.

use super::{Plan, WHOLE, apply, folder, read, read_beside, read_file, store};
use crate::provision::PlanError;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::ids::{LocationRef, PatientRef, PracticeId, ResourceRef};
use domain::link::Link;
use domain::ports::store::{Consents, Links, SettingsBook, StoreError, Vault};
use domain::private::{ExposeSecret, Private};
use domain::settings::{GroupedPatients, ProfileGroupRule, SecretKind, SecretName, ValdSettings};

const VALD: &str = r#"
[practice.vald]
tenant_id = "11111111-2222-4333-8444-55555555ABCD"
region = "use"
client_id = "inline-id"
client_secret = "env:PMS_PASSWORD"
token_url = "http://127.0.0.1:9/oauth/token"
audience = "vald-api-external"
profile_url = "http://127.0.0.1:9/profile"
tenants_url = "http://127.0.0.1:9/tenants/"
hub_url = "https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}"
groups = ["Clinic", "99999999-0000-4000-8000-000000000001"]
requests_per_second = 2.5
staff_are_adults = false
[practice.vald.groups_by_practitioner]
"7" = ["Knees"]
[practice.vald.groups_by_location]
"3" = ["Hips", "Knees"]
"#;

const LEAST: &str = r#"
[practice.vald]
tenant_id = "11111111-2222-4333-8444-55555555abcd"
client_id = "inline-id"
client_secret = "inline-secret"
"#;

fn with(vald: &str) -> String {
    format!("{WHOLE}{vald}")
}

fn account(text: &str) -> ValdSettings {
    let wanted = read(text).unwrap();
    wanted.first().and_then(|wanted| wanted.settings.vald.clone()).expect("an account")
}

#[test]
fn the_whole_table_is_understood() {
    let text = with(VALD);
    let account = account(&text);
    assert_eq!(account.tenant_id, "11111111-2222-4333-8444-55555555abcd");
    assert_eq!((account.region.as_str(), account.sync_prefix.as_str()), ("use", "richmond"));
    assert_eq!(account.tenants_url, "http://127.0.0.1:9/tenants");
    assert_eq!(account.between_requests.num_milliseconds(), 400);
    assert!(!account.staff_are_adults);
    let rule = |group: &str, whose| ProfileGroupRule { group: group.into(), whose };
    assert_eq!(
        account.groups,
        [
            rule("Clinic", GroupedPatients::All),
            rule("99999999-0000-4000-8000-000000000001", GroupedPatients::All),
            rule("Knees", GroupedPatients::SeenBy(ResourceRef::new("7"))),
            rule("Hips", GroupedPatients::SeenAt(LocationRef::new("3"))),
            rule("Knees", GroupedPatients::SeenAt(LocationRef::new("3"))),
        ]
    );
    let secrets = read(&text).unwrap().remove(0).secrets;
    let of = |kind| secrets.iter().find(|(of, _)| *of == kind).map(|(_, secret)| secret.expose_secret());
    assert_eq!(of(SecretKind::ValdClientId), Some("inline-id"));
    assert_eq!(of(SecretKind::ValdClientSecret), Some("from-the-environment"));
}

#[test]
fn everything_but_the_organisation_and_its_credentials_has_a_default() {
    let account = account(&with(LEAST));
    assert_eq!(account.region, "aue");
    assert_eq!(account.token_url, "https://auth.prd.vald.com/oauth/token");
    assert_eq!(account.audience, "vald-api-external");
    assert_eq!(account.profile_url, "https://prd-aue-api-externalprofile.valdperformance.com");
    assert_eq!(account.tenants_url, "https://prd-aue-api-externaltenants.valdperformance.com");
    assert_eq!((account.hub_url, account.groups.len(), account.staff_are_adults), (None, 0, true));
    assert_eq!(account.between_requests.num_milliseconds(), 250);
}

#[test]
fn every_mistake_is_named_where_it_is() {
    for (line, instead, says) in [
        (
            r#"tenant_id = "11111111-2222-4333-8444-55555555ABCD""#,
            r#"tenant_id = "11111111-2222-4333-8444-55555555ABCO""#,
            "“O” is none of them",
        ),
        (r#"region = "use""#, r#"region = "usa""#, "\"aue\", \"use\" or \"euw\""),
        (r#"region = "use""#, r#"regoin = "use""#, "unknown key \"regoin\""),
        (r#"client_id = "inline-id""#, r#"client_id = """#, "the secret is empty"),
        (r#"client_secret = "env:PMS_PASSWORD""#, r#"client_secret = "env:NOT_SET""#, "NOT_SET is not set"),
        (
            r#"token_url = "http://127.0.0.1:9/oauth/token""#,
            r#"token_url = "http://auth.example.com""#,
            "https://",
        ),
        (r#"audience = "vald-api-external""#, r#"audience = " ""#, "audience is empty"),
        (r#"profile_url = "http://127.0.0.1:9/profile""#, r#"profile_url = "profile""#, "not a web address"),
        (
            r#"tenants_url = "http://127.0.0.1:9/tenants/""#,
            r#"tenants_url = "https://tenants.example.com/?key=geheim""#,
            "take the rest out",
        ),
        (
            r#"hub_url = "https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}""#,
            r#"hub_url = "https://hub.valdperformance.com/?tenantId={tenantId}""#,
            "syncId",
        ),
        (
            r#"hub_url = "https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}""#,
            r#"hub_url = "https://hub.example.com/?tenantId={tenantId}&syncId={syncId}""#,
            "valdperformance.com",
        ),
        (
            r#"groups = ["Clinic", "99999999-0000-4000-8000-000000000001"]"#,
            r#"groups = ["Clinic", "Clinic"]"#,
            "given twice",
        ),
        (
            r#"groups = ["Clinic", "99999999-0000-4000-8000-000000000001"]"#,
            "groups = [7]",
            "a number stands where a text in quotes belongs",
        ),
        ("requests_per_second = 2.5", "requests_per_second = 0", "between 0.1 and 20"),
        ("requests_per_second = 2.5", "requests_per_second = nan", "between 0.1 and 20"),
        (
            "requests_per_second = 2.5",
            r#"requests_per_second = "fast""#,
            "a text stands where a number belongs",
        ),
        (
            "staff_are_adults = false",
            r#"staff_are_adults = "no""#,
            "a text stands where true or false belongs",
        ),
        (r#""7" = ["Knees"]"#, r#"" " = ["Knees"]"#, "the practitioner's id is empty"),
        (r#""3" = ["Hips", "Knees"]"#, r#""3" = ["Hips", ""]"#, "the group's name is empty"),
    ] {
        assert_eq!(VALD.matches(line).count(), 1, "{line}");
        let text = with(&VALD.replacen(line, instead, 1));
        let mistake = read(&text).map(|_| ()).expect_err(instead);
        assert!(mistake.message.contains(says), "{instead}: {mistake}");
        assert!(!mistake.to_string().contains("geheim"), "{mistake}");
        let place = text.lines().position(|line| line == instead).expect("a line of the file") + 1;
        assert_eq!(mistake.line, place, "{instead}: {mistake}");
    }
    assert_eq!(account(&with(&VALD.replace("= 2.5", "= 4"))).between_requests.num_milliseconds(), 250);
}

#[tokio::test]
async fn the_same_table_twice_changes_nothing_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = apply(&store, &with(VALD)).await;
    for line in [
        "vald.tenant_id: 11111111-2222-4333-8444-55555555abcd",
        "vald.requests_per_second: 2.5",
        "vald.groups: \"99999999-0000-4000-8000-000000000001\", \"Clinic\"",
        "vald.groups_by_practitioner: 7 \"Knees\"",
        "vald.groups_by_location: 3 \"Hips\", 3 \"Knees\"",
        "vald.client_id: set (not shown)",
        "vald.client_secret: set (not shown)",
    ] {
        assert!(first.contains(&format!("  {line}\n")), "{line}: {first}");
    }
    assert!(!first.contains("inline-id") && !first.contains("from-the-environment"), "{first}");
    assert_eq!(apply(&store, &with(VALD)).await, "no changes");

    let faster = apply(&store, &with(&VALD.replace("= 2.5", "= 8"))).await;
    assert!(faster.contains("vald.requests_per_second: 2.5 → 8\n"), "{faster}");
    let unlinked = apply(&store, WHOLE).await;
    assert!(unlinked.contains("vald.tenant_id: removed"), "{unlinked}");
    assert!(unlinked.contains("vald.client_secret: removed"), "{unlinked}");
    let name = SecretName::of(&PracticeId::new("richmond"), SecretKind::ValdClientId);
    assert!(store.secret(&name).await.unwrap().is_none());
    assert_eq!(store.practices().await.unwrap()[0].vald, None);
}

#[tokio::test]
async fn another_organisation_knows_nothing_of_the_links_of_the_former_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    apply(&store, &with(LEAST)).await;
    let richmond = PracticeId::new("richmond");
    let key = crate::patients::link_key(&richmond, &domain::ids::PatientRef::new("77"));
    let link = Link::new(key, "richmond-77".into(), super::now());
    store.save_links(std::slice::from_ref(&link), &[]).await.unwrap();
    apply(&store, &with(&LEAST.replace("inline-secret", "another"))).await;
    assert_eq!(store.links(&richmond, None).await.unwrap(), [link]);
    let said = apply(&store, &with(&LEAST.replace("11111111", "22222222"))).await;
    assert!(said.contains("vald links: forgotten"), "{said}");
    assert_eq!(store.links(&richmond, None).await.unwrap(), []);
}

#[test]
fn practices_of_one_organisation_and_one_book_tell_it_the_same_names() {
    let carlton = WHOLE
        .replace("\"richmond\"", "\"carlton\"")
        .replace("practice_id = \"1234567\"", "practice_id = \"7654321\"");
    let prefixes = |text: &str| -> Vec<String> {
        let prefix = |wanted: &super::Wanted| wanted.settings.vald.as_ref().map(|a| a.sync_prefix.clone());
        read(text).unwrap().iter().filter_map(prefix).collect()
    };
    assert_eq!(prefixes(&format!("{WHOLE}{LEAST}{carlton}{LEAST}")), ["richmond", "richmond"]);
    let elsewhere = carlton.replace("127.0.0.1:3306/openemr", "127.0.0.1:3306/other");
    assert_eq!(prefixes(&format!("{WHOLE}{LEAST}{elsewhere}{LEAST}")), ["richmond", "carlton"]);
    let others = LEAST.replace("11111111", "22222222");
    assert_eq!(prefixes(&format!("{WHOLE}{LEAST}{carlton}{others}")), ["richmond", "carlton"]);

    // It is kept, also where nothing is shared any more.
    let mut stored = read(&with(LEAST)).unwrap().remove(0).settings;
    stored.vald.as_mut().unwrap().sync_prefix = "first".into();
    let again = read_beside(folder().path(), &with(&LEAST.replace("11111111", "22222222")), &[stored]);
    assert_eq!(again.unwrap()[0].settings.vald.as_ref().unwrap().sync_prefix, "first");
}

#[tokio::test]
async fn another_practice_system_is_refused_under_an_id_that_has_consents() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let carlton = |name: &str| {
        let text = WHOLE.replace("\"richmond\"", "\"carlton\"").replace("\"1234567\"", "\"7654321\"");
        text.replace("name = \"", &format!("name = \"{name} "))
    };
    apply(&store, &format!("{}{}", carlton("Old"), with(LEAST))).await;
    let line = ConsentLine {
        practice: PracticeId::new("richmond"),
        partner: crate::patients::vald(),
        patient: PatientRef::new("77"),
        said: Said::Yes(Agreement::default()),
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: String::new(),
        at: super::now(),
    };
    store.record_consents(&[line]).await.unwrap();
    // Another host is the same patients' book.
    let moved = with(LEAST).replace("127.0.0.1:3306", "127.0.0.1:3307");
    assert!(apply(&store, &moved).await.contains("system.url"));

    let other = "profile = \"demo\"\nurl = \"sqlite:clinic.sqlite\"";
    let lines: Vec<&str> = moved
        .lines()
        .filter(|line| !line.starts_with("url = \"mysql") && !line.starts_with("password = \"env:"))
        .map(|line| if line.starts_with("profile = ") { other } else { line })
        .collect();
    let replaced = format!("{}{}", carlton("New"), lines.join("\n"));
    let before = store.practices().await.unwrap();
    let plan = async || {
        let wanted = read_file(folder().path(), &replaced, &[]).unwrap();
        Plan::make(wanted, Some(&store)).await
    };
    let refused = plan().await.unwrap_err();
    let PlanError::Store(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(
        refused.to_string(),
        "The consents of practice richmond were given by patients of openemr. Link the new practice system under \
         another id, so that nobody's consent counts for somebody else."
    );
    assert_eq!(store.practices().await.unwrap(), before, "no other practice either");
    // Unlinked, and linked anew under the same id.
    store.remove_practice(&PracticeId::new("richmond")).await.unwrap();
    assert!(matches!(plan().await, Err(PlanError::Store(StoreError::ConsentsOfOthers { .. }))));
}
