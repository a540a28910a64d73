//! The tables of partners whose account is drawn from their card.

use super::{WHOLE, apply, read, store};
use domain::ids::{PartnerId, PracticeId};
use domain::link::{Link, LinkKey, LinkKind};
use domain::ports::store::{Links, SettingsBook, Vault};
use domain::private::ExposeSecret;
use domain::settings::{PartnerAccount, SecretKind, SecretName};

const VALIDIC: &str = r#"
[practice.validic]
base_url = "http://127.0.0.1:9/"
api = "inform-v2"
organization_id = "60c76d42c31ed70001926000"
token = "env:PMS_PASSWORD"
"#;

const LEAST: &str = r#"
[practice.validic]
organization_id = "60c76d42c31ed70001926000"
token = "an-inline-token"
"#;

const TOKEN: SecretKind = SecretKind::Account { partner: "validic", key: "token" };

fn with(validic: &str) -> String {
    format!("{WHOLE}{validic}")
}

fn account(text: &str) -> PartnerAccount {
    let wanted = read(text).unwrap().remove(0);
    wanted.settings.accounts.get(&PartnerId::new("validic")).cloned().expect("an account")
}

#[test]
fn the_whole_table_is_understood_and_most_of_it_has_a_default() {
    let whole = account(&with(VALIDIC));
    assert_eq!(whole.text("base_url"), "http://127.0.0.1:9");
    assert_eq!((whole.text("api"), whole.text("token")), ("inform-v2", ""));
    let secrets = read(&with(VALIDIC)).unwrap().remove(0).secrets;
    let token = secrets.iter().find(|(kind, _)| *kind == TOKEN).map(|(_, secret)| secret.expose_secret());
    assert_eq!(token, Some("from-the-environment"));
    let least = account(&with(LEAST));
    assert_eq!((least.text("api"), least.text("base_url")), ("inform-v2", ""));
    assert!(read(WHOLE).unwrap().remove(0).settings.accounts.is_empty());
}

#[test]
fn every_mistake_is_named_where_it_is() {
    for (line, instead, says) in [
        (r#"api = "inform-v2""#, r#"api = "v3""#, "api: it is one of inform-v2, legacy-v1"),
        (r#"api = "inform-v2""#, r#"aip = "inform-v2""#, "unknown key \"aip\""),
        (r#"api = "inform-v2""#, "api = 2", "a text in quotes"),
        (r#"base_url = "http://127.0.0.1:9/""#, r#"base_url = "http://api.example.com""#, "https://"),
        (
            r#"base_url = "http://127.0.0.1:9/""#,
            r#"base_url = "https://api.example.com/?token=geheim""#,
            "take the rest out",
        ),
        (r#"token = "env:PMS_PASSWORD""#, r#"token = "env:NOT_SET""#, "NOT_SET is not set"),
        (r#"token = "env:PMS_PASSWORD""#, r#"token = """#, "the secret is empty"),
        (r#"token = "env:PMS_PASSWORD""#, "token = 7", "a text in quotes"),
        (r#"organization_id = "60c76d42c31ed70001926000""#, r#"organization_id = " ""#, "it is empty"),
    ] {
        assert_eq!(VALIDIC.matches(line).count(), 1, "{line}");
        let text = with(&VALIDIC.replacen(line, instead, 1));
        let mistake = read(&text).map(|_| ()).expect_err(instead);
        assert!(mistake.message.contains(says), "{instead}: {mistake}");
        assert!(!mistake.to_string().contains("geheim"), "{mistake}");
        let place = text.lines().position(|line| line == instead).expect("a line of the file") + 1;
        assert_eq!(mistake.line, place, "{instead}: {mistake}");
    }
    let said = |table: &str| read(&with(table)).map(|_| ()).expect_err(table).to_string();
    assert!(
        said("\n[practice.validic]\ntoken = \"x\"\n").contains("missing key \"organization_id\"; add it")
    );
    assert!(
        said("\n[practice.validic]\norganization_id = \"x\"\n").contains("missing key \"token\"; add it")
    );
    assert!(
        said("\n[practice.validic]\norganization_id = \"a/b\"\ntoken = \"x\"\n")
            .contains("letters and digits")
    );
    assert!(said("\n[[practice.validic]]\n").contains("a table stands here"));
    assert!(said("\n[practice.vlidic]\n").contains("unknown key"));
}

#[tokio::test]
async fn the_same_table_twice_changes_nothing_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = apply(&store, &with(VALIDIC)).await;
    for line in [
        "validic: linked",
        "validic.organization_id: 60c76d42c31ed70001926000",
        "validic.base_url: http://127.0.0.1:9",
        "validic.token: set (not shown)",
    ] {
        assert!(first.contains(&format!("  {line}\n")), "{line}: {first}");
    }
    assert!(!first.contains("from-the-environment"), "{first}");
    assert_eq!(apply(&store, &with(VALIDIC)).await, "no changes");

    // Who is who there is known nowhere else, so that it outlives an account that is taken out by mistake.
    let richmond = PracticeId::new("richmond");
    let key = LinkKey {
        practice: richmond.clone(),
        partner: PartnerId::new("validic"),
        kind: LinkKind::Patient,
        local_id: "77".into(),
    };
    let link = Link::new(key, "vc-made-up".into(), super::now());
    store.save_links(std::slice::from_ref(&link), &[]).await.unwrap();
    let unlinked = apply(&store, WHOLE).await;
    assert!(
        unlinked.contains("validic: removed") && unlinked.contains("validic.token: removed"),
        "{unlinked}"
    );
    assert!(store.secret(&SecretName::of(&richmond, TOKEN)).await.unwrap().is_none());
    assert!(store.practices().await.unwrap()[0].accounts.is_empty());
    assert_eq!(store.links(&richmond, None).await.unwrap(), [link]);
}

#[test]
fn a_token_of_hints_sandbox_opens_no_live_account_and_the_other_way_round() {
    let hint = |base_url: &str, token: &str| {
        let text = format!("\n[practice.hint]\nbase_url = \"{base_url}\"\naccess_token = \"{token}\"\n");
        read(&with(&text)).map(|mut wanted| wanted.remove(0).settings)
    };
    let settings = hint("https://api.hint.com/api", "a-token").unwrap();
    let account = settings.accounts.get(&PartnerId::new("hint")).expect("an account");
    assert_eq!((account.text("base_url"), account.text("access_token")), ("https://api.hint.com/api", ""));
    for (base_url, token) in
        [("https://api.hint.com/api", "sbx-geheim"), ("https://api.sandbox.hint.com/api", "geheim")]
    {
        let mistake = hint(base_url, token).map(|_| ()).expect_err("another environment");
        assert!(mistake.message.contains("sbx-") && !mistake.to_string().contains("geheim"), "{mistake}");
    }
}
