//! The provisioning file: what it may say, how its mistakes are named, and what it changes.

mod accounts;
mod vald;

use super::file::{self, Mistake, Wanted, WantedFile};
use super::plan::Plan;
use super::secret::SecretSources;
use crate::clock::SystemClock;
use crate::compose::Sockets;
use chrono::{DateTime, Utc};
use connectors::http::Http;
use domain::ids::PracticeId;
use domain::ports::store::{SettingsBook, Vault, Wishes};
use domain::private::ExposeSecret;
use domain::settings::{ListenerSettings, PracticeSettings, SecretKind, SecretName, WriteMode};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use store::{Store, StoreKey};

const WHOLE: &str = r#"
[[practice]]
id = "richmond"
name = "Richmond Physiotherapy"
timezone = "Australia/Melbourne"
enabled = true

[practice.system]
profile = "openemr"
url = "mysql://openemr@127.0.0.1:3306/openemr"
password = "env:PMS_PASSWORD"
write = "sql"
locations = ["3"]
poll_seconds = 5
documents_in = "/srv/import"
documents_out = "/srv/for-patients"

[practice.healthengine]
base_url = "https://healthengine.com.au/pms-api/v1"
api_key = "inline-api-key"
practice_id = "1234567"
practice_key = "file:practice.key"
user_agent_email = "support@example.com.au"
environment = "PROD"
horizon_days = 60
poll_seconds = 5
features = ["documents", "clientSnapshots", "attachDocuments"]
webhook_url = "https://clinic.example.com.au/hook"
[practice.healthengine.live_hours]
monday = [{ start = "08:00", end = "12:00" }, { start = "13:00", end = "18:00" }]
publicHolidays = []
"#;

/// A folder with the file of a secret in it.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("practice.key"), "\u{feff}first-line\r\nsecond line\n").unwrap();
    dir
}

fn variable(name: &str) -> Option<OsString> {
    match name {
        "PMS_PASSWORD" => Some("from-the-environment".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    }
}

fn read_in(folder: &Path, text: &str) -> Result<Vec<Wanted>, Mistake> {
    read_beside(folder, text, &[])
}

fn read_beside(folder: &Path, text: &str, stored: &[PracticeSettings]) -> Result<Vec<Wanted>, Mistake> {
    read_file(folder, text, stored).map(|file| file.practices)
}

fn read_file(folder: &Path, text: &str, stored: &[PracticeSettings]) -> Result<WantedFile, Mistake> {
    let sockets =
        Sockets { profiles: folder.join("profiles"), clock: Arc::new(SystemClock), http: Http::default() };
    file::read(text, folder, &SecretSources { variable: &variable, folder }, &sockets, stored)
}

fn read(text: &str) -> Result<Vec<Wanted>, Mistake> {
    read_in(folder().path(), text)
}

/// The whole file with one line changed, and what is said of it.
fn mistake(line: &str, instead: &str) -> Mistake {
    assert_eq!(WHOLE.matches(line).count(), 1, "{line}");
    match read(&WHOLE.replacen(line, instead, 1)) {
        Ok(_) => panic!("taken: {instead}"),
        Err(mistake) => mistake,
    }
}

fn line_of(text: &str) -> usize {
    WHOLE.lines().position(|line| line == text).expect("a line of the file") + 1
}

#[test]
fn the_whole_file_is_understood() {
    let wanted = read(WHOLE).unwrap();
    let [richmond] = wanted.as_slice() else { panic!("one practice") };
    let settings = &richmond.settings;
    assert_eq!(
        (settings.id.as_str(), settings.zone.name(), settings.enabled),
        ("richmond", "Australia/Melbourne", true)
    );
    assert_eq!((settings.system.write, settings.system.poll_seconds), (WriteMode::Sql, 5));
    let folders = &settings.system.documents;
    assert_eq!(folders.inward.as_deref(), Some("/srv/import"));
    assert_eq!(folders.outward.as_deref(), Some("/srv/for-patients"));
    let account = settings.healthengine.as_ref().unwrap();
    assert_eq!((account.horizon_days, account.live_hours.weekdays.len()), (60, 2));
    let secrets: Vec<(SecretKind, &str)> =
        richmond.secrets.iter().map(|(kind, secret)| (*kind, secret.expose_secret())).collect();
    assert_eq!(
        secrets,
        [
            (SecretKind::SystemPassword, "from-the-environment"),
            (SecretKind::HealthengineApiKey, "inline-api-key"),
            (SecretKind::HealthenginePracticeKey, "first-line"),
        ]
    );
}

#[test]
fn one_healthengine_practice_is_linked_once() {
    let dir = folder();
    let twin = WHOLE.replace("id = \"richmond\"", "id = \"fitzroy\"");
    let line_of = |text: &str| text.lines().position(|line| line.starts_with("practice_id")).unwrap() + 1;
    let mistake = read_in(dir.path(), &format!("{WHOLE}{twin}")).unwrap_err();
    assert_eq!(mistake.line, WHOLE.lines().count() + line_of(&twin));
    assert!(mistake.message.contains("\"richmond\" already"), "{mistake}");

    let wanted = read(WHOLE).unwrap();
    let stored: Vec<PracticeSettings> = wanted.into_iter().map(|wanted| wanted.settings).collect();
    let mistake = read_beside(dir.path(), &twin, &stored).unwrap_err();
    assert_eq!(mistake.line, line_of(&twin));
    assert!(read_beside(dir.path(), WHOLE, &stored).is_ok(), "a practice is no twin of itself");
    // The file takes the account from one practice and gives it to another.
    let moved = format!("{}{twin}", WHOLE.replace("1234567", "7654321"));
    assert!(read_beside(dir.path(), &moved, &stored).is_ok());
    assert!(read(&format!("{WHOLE}{}", twin.replace("1234567", "7654321"))).is_ok());
}

#[test]
fn what_is_left_out_has_its_usual_value() {
    let dir = folder();
    let text = r#"
        [[practice]]
        id = "a"
        name = "A"
        timezone = "Australia/Perth"
        [practice.system]
        profile = "demo"
        url = "sqlite:clinic.sqlite"
        [practice.healthengine]
        api_key = "k"
        practice_id = "1"
        practice_key = "k"
        user_agent_email = "a@example.com"
    "#;
    let wanted = read_in(dir.path(), text).unwrap();
    let settings = &wanted[0].settings;
    assert!(settings.enabled);
    assert_eq!((settings.system.write, settings.system.poll_seconds), (WriteMode::None, 5));
    // A relative path starts where the file lies, wherever the command is run.
    assert_eq!(settings.system.url, format!("sqlite:{}", dir.path().join("clinic.sqlite").display()));
    let account = settings.healthengine.as_ref().unwrap();
    assert_eq!((account.environment.as_str(), account.horizon_days, account.poll_seconds), ("PROD", 60, 5));
    assert_eq!(account.base_url, "https://healthengine.com.au/pms-api/v1");
}

/// The whole file, with OpenEMR's own API in place of the folder.
fn with_api() -> String {
    let api = r#"documents_api = { url = "https://emr.example.com/openemr/", client_id = "c", client_secret = "env:PMS_PASSWORD", user = "companion", password = "env:PMS_PASSWORD" }"#;
    WHOLE.replacen(r#"documents_in = "/srv/import""#, api, 1)
}

#[test]
fn an_api_for_documents_is_understood_and_its_mistakes_are_named() {
    let wanted = read(&with_api()).unwrap();
    let api = wanted[0].settings.system.documents.api.as_ref().unwrap();
    assert_eq!((api.url.as_str(), api.site.as_str()), ("https://emr.example.com/openemr", "default"));
    assert_eq!((api.user.as_str(), api.category.as_str()), ("companion", "Medical Record"));
    let kinds: Vec<SecretKind> = wanted[0].secrets.iter().map(|(kind, _)| *kind).collect();
    assert!(
        kinds.contains(&SecretKind::DocumentApiClientSecret)
            && kinds.contains(&SecretKind::DocumentApiPassword)
    );
    for (line, instead, says) in [
        ("documents_out =", "documents_in = \"/srv/import\"\ndocuments_out =", "take one of them out"),
        ("https://emr", "http://emr", "write https://"),
        (r#"client_id = "c""#, r#"client_id = " ""#, "client_id is empty"),
        (r#"client_id = "c", "#, "", "client_id"),
        (r#"user = "companion""#, r#"user = "companion", site = "a/b""#, "letters, digits"),
        (r#"user = "companion""#, r#"user = "companion", path = "x""#, "unknown key"),
        (r#"profile = "openemr""#, r#"profile = "demo""#, ""),
    ] {
        let text = with_api().replacen(line, instead, 1);
        let Err(mistake) = read(&text) else { panic!("taken: {instead}") };
        assert!(mistake.message.contains(says), "{instead}: {mistake}");
        assert!(!mistake.message.contains("from-the-environment"), "{mistake}");
    }
}

#[test]
fn every_mistake_is_named_with_its_line_and_what_to_do() {
    for (line, instead, says) in [
        (r#"id = "richmond""#, r#"id = "Richmond Physio""#, "small letters"),
        (r#"id = "richmond""#, r#"id = """#, "small letters"),
        (r#"id = "richmond""#, "id = 7", "a number stands where a text in quotes belongs"),
        (r#"name = "Richmond Physiotherapy""#, r#"name = "  ""#, "name is empty"),
        (r#"name = "Richmond Physiotherapy""#, r#"name = "a\u0007b""#, "cannot be shown"),
        (r#"timezone = "Australia/Melbourne""#, r#"timezone = "Melbourne""#, "IANA"),
        (r#"timezone = "Australia/Melbourne""#, r#"timezone = "+10:00""#, "IANA"),
        ("enabled = true", r#"enabled = "yes""#, "a text stands where true or false belongs"),
        ("enabled = true", "enable = true", "unknown key \"enable\""),
        (r#"profile = "openemr""#, r#"profile = "nonesuch""#, "here is no profile"),
        (r#"profile = "openemr""#, r#"profile = "../../etc/passwd""#, "here is no profile"),
        (r#"profile = "openemr""#, r#"profile = "provet""#, "add [practice.provet]"),
        (
            r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#,
            r#"url = "mysql://openemr:geheim@h/openemr""#,
            "give it as \"password\"",
        ),
        (
            r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#,
            r#"url = "mysql://openemr@h""#,
            "mysql://USER@HOST:PORT/DATABASE",
        ),
        (r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#, r#"url = "sqlite:""#, "names no file"),
        (r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#, r#"url = "sqlite:/a.db""#, "mysql"),
        (r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#, r#"url = "odbc:DSN=x""#, "ODBC"),
        (
            r#"url = "mysql://openemr@127.0.0.1:3306/openemr""#,
            r#"url = "http://provet.example.com""#,
            "http://",
        ),
        (r#"write = "sql""#, r#"write = "yes""#, "write is \"none\", \"sql\" or \"api\""),
        (r#"write = "sql""#, r#"write = "api""#, "through an API"),
        (r#"locations = ["3"]"#, "locations = []", "no location is named"),
        (r#"locations = ["3"]"#, r#"locations = ["3", "3"]"#, "given twice"),
        (r#"locations = ["3"]"#, "locations = [3]", "a number stands where"),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "http://healthengine.com.au""#,
            "write https://",
        ),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "http://127.0.0.1.example.com""#,
            "write https://",
        ),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "https://me:geheim@example.com""#,
            "take it out",
        ),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "https://example.com?key=geheim""#,
            "take the rest out",
        ),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "ftp://127.0.0.1""#,
            "https://",
        ),
        (
            r#"base_url = "https://healthengine.com.au/pms-api/v1""#,
            r#"base_url = "healthengine""#,
            "not a web address",
        ),
        (r#"api_key = "inline-api-key""#, r#"api_key = "env:NOT_SET""#, "NOT_SET is not set"),
        (r#"api_key = "inline-api-key""#, r#"api_key = "env:EMPTY""#, "EMPTY holds no text"),
        (r#"api_key = "inline-api-key""#, r#"api_key = "file:missing.key""#, "missing.key cannot be read"),
        (r#"api_key = "inline-api-key""#, r#"api_key = """#, "the secret is empty"),
        (
            r#"practice_id = "1234567""#,
            "practice_id = 1234567",
            "a number stands where a text in quotes belongs",
        ),
        (r#"user_agent_email = "support@example.com.au""#, r#"user_agent_email = "support""#, "e-mail"),
        (
            r#"user_agent_email = "support@example.com.au""#,
            r#"user_agent_email = "a b@example.com""#,
            "e-mail",
        ),
        (r#"environment = "PROD""#, r#"environment = "prod""#, "DEV"),
        ("publicHolidays = []", "publicHolidays = []\n[listener]\naddress = \"8765\"", "127.0.0.1:8765"),
        ("publicHolidays = []", "publicHolidays = []\n[listener]\nport = 8765", "unknown key \"port\""),
        (
            "publicHolidays = []",
            "publicHolidays = []\n[listener]\naddress = \"127.0.0.1:1\"\nsources = []",
            "no source is named",
        ),
        (
            "publicHolidays = []",
            "publicHolidays = []\n[listener]\naddress = \"127.0.0.1:1\"\nsources = [\"x\"]",
            "such as 13.55.48.1",
        ),
        ("horizon_days = 60", "horizon_days = 0", "between 1 and 365"),
        ("horizon_days = 60", "horizon_days = 366", "between 1 and 365"),
        ("horizon_days = 60", "horizon_days = 9999999999", "between 1 and 365"),
        (
            "horizon_days = 60",
            "horizon_days = 1.5",
            "a number with a point stands where a whole number belongs",
        ),
        (
            r#"features = ["documents", "clientSnapshots", "attachDocuments"]"#,
            r#"features = ["document"]"#,
            "no such feature",
        ),
        (
            r#"webhook_url = "https://clinic.example.com.au/hook""#,
            r#"webhook_url = "http://clinic.example.com""#,
            "write https://",
        ),
        ("publicHolidays = []", r#"publicholidays = []"#, "there is no such day"),
        ("publicHolidays = []", r#"tuesday = [{ start = "8:00", end = "18:00" }]"#, "HH:MM"),
        ("publicHolidays = []", r#"tuesday = [{ start = "22:00", end = "06:00" }]"#, "midnight"),
        ("publicHolidays = []", r#"tuesday = [{ start = "22:00" }]"#, "missing key \"end\""),
        (
            "publicHolidays = []",
            r#"tuesday = [{ start = "08:00", end = "18:00", until = "x" }]"#,
            "unknown key \"until\"",
        ),
    ] {
        let mistake = mistake(line, instead);
        assert!(mistake.message.contains(says), "{instead}: {mistake}");
        assert!(!mistake.to_string().contains("geheim"), "{mistake}");
        // What the connector itself says of settings that do not go together is shown at the profile.
        let nearby = mistake.line.abs_diff(line_of(line));
        assert!(nearby <= 3, "{instead}: {mistake}, and the line is {}", line_of(line));
    }
}

#[test]
fn columns_count_characters() {
    let mistake = mistake(r#"locations = ["3"]"#, r#"locations = ["Zoë", "Zoë"]"#);
    assert_eq!((mistake.line, mistake.column), (line_of(r#"locations = ["3"]"#), 21));
    assert!(mistake.to_string().starts_with("line 13, column 21: "), "{mistake}");
}

#[test]
fn no_mistake_quotes_a_secret() {
    for instead in [
        "api_key = 8675309",
        "api_key = 867.5309",
        "api_key = [\"8675309\"]",
        "api_key = { value = \"8675309\" }",
        "api_key = 8675309x",
        "api_key = \"8675309",
        "api_key = \"8675309\"\napi_key = \"8675309\"",
        "api_key = \"8675309\\u0007\"",
    ] {
        let mistake = mistake(r#"api_key = "inline-api-key""#, instead);
        assert!(!mistake.to_string().contains("8675309"), "{instead}: {mistake}");
        assert!(mistake.line > 1, "{instead}: {mistake}");
    }
    let misplaced = read(
        "[[practice]]\nid = \"a\"\nname = \"a\"\ntimezone = \"UTC\"\nsystem = \"8675309, expected x\"\n",
    );
    assert_eq!(misplaced.unwrap_err().to_string(), "line 5, column 10: a text stands where a table belongs");
}

/// A practice whose book is kept at Provet Cloud.
const AT_PROVET: &str = r#"
[[practice]]
id = "harbour"
name = "Harbour Vets"
timezone = "Australia/Melbourne"
[practice.system]
profile = "provet"
url = "https://us.provetcloud.com"
write = "api"
[practice.provet]
provet_id = 54321
client_id = "a-client"
client_secret = "an-inline-secret"
webhook_url = "https://clinic.example.com.au/hook"
"#;

#[test]
fn a_practice_may_wait_for_a_person_to_sign_in() {
    let with = |more: &str| read(&AT_PROVET.replace("client_secret = \"an-inline-secret\"", more));
    let redirect = |more: &str| {
        let wanted = with(more).unwrap();
        let [Wanted { settings, secrets }] = wanted.as_slice() else { panic!("one practice") };
        (settings.system.provet.as_ref().unwrap().redirect_url.clone(), secrets.len())
    };
    let usual = connectors::practices::provet::REDIRECT_URL.to_owned();
    assert_eq!(redirect("sign_in = \"person\""), (Some(usual.clone()), 0), "a public client");
    assert_eq!(redirect("sign_in = \"person\"\nclient_secret = \"s\""), (Some(usual), 1));
    let own = "sign_in = \"person\"\nredirect_url = \"http://127.0.0.1:9000/back\"";
    assert_eq!(redirect(own).0.as_deref(), Some("http://127.0.0.1:9000/back"));
    assert_eq!(redirect("sign_in = \"integration\"\nclient_secret = \"s\""), (None, 1));
    for (more, says) in [
        ("", "client_secret is missing"),
        ("sign_in = \"somebody\"", "sign_in is"),
        ("client_secret = \"s\"\nredirect_url = \"http://127.0.0.1:9000/back\"", "belongs to sign_in"),
        ("sign_in = \"person\"\nredirect_url = \"https://example.com/back\"", "http://127.0.0.1"),
    ] {
        let said = with(more).unwrap_err().to_string();
        assert!(said.contains(says), "{more}: {said}");
    }
}

#[test]
fn a_practice_at_provet_cloud_is_linked_by_its_number_and_its_credentials() {
    let wanted = read(AT_PROVET).unwrap();
    let [Wanted { settings, secrets }] = wanted.as_slice() else { panic!("one practice") };
    assert_eq!((settings.system.profile.as_str(), settings.system.write), ("provet", WriteMode::Api));
    assert_eq!(settings.system.url, "https://us.provetcloud.com");
    let account = settings.system.provet.as_ref().unwrap();
    assert_eq!((account.provet_id, account.client_id.as_str()), (54_321, "a-client"));
    assert_eq!(account.token_url, None);
    let [(SecretKind::SystemPassword, secret)] = secrets.as_slice() else { panic!("one secret") };
    assert_eq!(secret.expose_secret(), "an-inline-secret");
    for (line, instead, says) in [
        (r#"url = "https://us.provetcloud.com""#, r#"url = "https://example.com""#, "Provet Cloud's"),
        (
            r#"url = "https://us.provetcloud.com""#,
            r#"url = "https://provetcloud.com/54321""#,
            "Provet Cloud's",
        ),
        (r#"write = "api""#, r#"write = "sql""#, "through its API"),
        (r#"write = "api""#, "write = \"api\"\npassword = \"x\"", "has no password"),
        ("provet_id = 54321", "provet_id = -1", "provet_id is the number"),
        (r#"client_id = "a-client""#, r#"client_id = """#, "client_id is empty"),
        (r#"profile = "provet""#, r#"profile = "openemr""#, "belongs to the profile"),
    ] {
        let text = AT_PROVET.replace(line, instead);
        assert_ne!(text, AT_PROVET, "{line}");
        let mistake = read(&text).unwrap_err();
        assert!(mistake.message.contains(says), "{instead}: {mistake}");
        assert!(!mistake.to_string().contains("an-inline-secret"), "{mistake}");
    }
}

#[test]
fn files_that_are_none_are_refused() {
    for (text, says) in [
        ("", "names no practice"),
        ("# nothing\n", "names no practice"),
        ("[practice]\nid = \"a\"\n", "a list ([[…]] or […]) belongs"),
        ("[[practice]]\n", "missing key \"id\""),
        ("[[practise]]\n", "unknown key \"practise\""),
        ("{\"practice\": []}", ""),
        ("[[practice]]\nid = \n", ""),
    ] {
        let mistake = read(text).unwrap_err();
        assert!(mistake.message.contains(says) && !mistake.message.is_empty(), "{text}: {mistake}");
    }
    let twice = format!("{WHOLE}{WHOLE}");
    assert!(read(&twice).unwrap_err().message.contains("given twice"));
}

fn now() -> DateTime<Utc> {
    "2026-11-20T03:04:05Z".parse().unwrap()
}

fn store(dir: &Path) -> Store {
    Store::open(dir, &StoreKey::new([7; 32]), now()).unwrap().store
}

async fn apply(store: &Store, text: &str) -> String {
    let plan = Plan::make(read_file(folder().path(), text, &[]).unwrap(), Some(store)).await.unwrap();
    if plan.is_empty() {
        return "no changes".into();
    }
    plan.carry_out(store, now()).await.unwrap();
    plan.to_string()
}

#[tokio::test]
async fn the_same_file_twice_changes_nothing_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = apply(&store, WHOLE).await;
    assert!(first.starts_with("practice richmond: added\n"), "{first}");
    assert!(first.contains("system.password: set (not shown)"), "{first}");
    assert!(first.contains("webhook path: made (not shown)"), "{first}");
    assert!(first.contains("nothing receives these webhooks until the file has a [listener]"), "{first}");
    for secret in ["from-the-environment", "inline-api-key", "first-line"] {
        assert!(!first.contains(secret), "{first}");
    }
    assert_eq!(apply(&store, WHOLE).await, "no changes");
    let name = SecretName::of(&PracticeId::new("richmond"), SecretKind::HealthenginePracticeKey);
    assert_eq!(store.secret(&name).await.unwrap().unwrap().expose_secret(), "first-line");
    assert_eq!(store.open_wishes().await.unwrap(), []);
}

#[tokio::test]
async fn only_what_differs_is_named_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    apply(&store, &WHOLE.replace("richmond", "fitzroy")).await;
    apply(&store, WHOLE).await;
    let changed = WHOLE
        .replace("horizon_days = 60", "horizon_days = 30")
        .replace("inline-api-key", "another-key")
        .replace("password = \"env:PMS_PASSWORD\"\n", "")
        .replace("locations = [\"3\"]\n", "");
    assert_eq!(
        apply(&store, &changed).await,
        "practice richmond: changed
  healthengine.horizon_days: 60 → 30
  system.locations: removed
  system.password: removed
  healthengine.api_key: changed (not shown)
https://clinic.example.com.au/hook: nothing receives these webhooks until the file has a [listener]
practice fitzroy: not in the file, stays as it is
"
    );
    assert_eq!(store.practices().await.unwrap().len(), 2);
    assert_eq!(apply(&store, &changed).await, "no changes");

    let cut = changed.find("[practice.healthengine]").unwrap();
    let unlinked = apply(&store, &changed[..cut]).await;
    assert!(unlinked.contains("healthengine.base_url: removed"), "{unlinked}");
    assert!(unlinked.contains("healthengine.practice_key: removed"), "{unlinked}");
    let richmond = PracticeId::new("richmond");
    let settings = store.practices().await.unwrap().into_iter().find(|known| known.id == richmond).unwrap();
    assert_eq!(settings.healthengine, None);
    let name = SecretName::of(&richmond, SecretKind::HealthengineApiKey);
    assert!(store.secret(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn the_listener_is_on_while_the_file_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    apply(&store, WHOLE).await;
    let on = format!("{WHOLE}[listener]\naddress = \"127.0.0.1:8765\"\n");
    let said = apply(&store, &on).await;
    assert!(said.contains("listener: on\n  address: 127.0.0.1:8765\n  check_sources: true\n"), "{said}");
    assert!(said.contains("https://clinic.example.com.au/hook: let your proxy lead"), "{said}");
    assert!(!said.contains("firewall"), "{said}");
    assert_eq!(apply(&store, &on).await, "no changes");
    let settings = store.app_settings().await.unwrap();
    assert_eq!(settings.listener, Some(ListenerSettings::at("127.0.0.1:8765")));

    let open =
        on.replace("127.0.0.1:8765\"", "0.0.0.0:80\"\nsources = [\"192.0.2.1\"]\ncheck_sources = false");
    let said = apply(&store, &open).await;
    assert!(said.contains("check_sources: true → false") && said.contains("firewall"), "{said}");
    assert!(apply(&store, WHOLE).await.contains("listener: off\n  address: removed"));
    assert_eq!(store.app_settings().await.unwrap().listener, None);
}

#[tokio::test]
async fn a_path_is_made_with_the_public_address_and_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let name = SecretName::of(&PracticeId::new("richmond"), SecretKind::HealthengineWebhookPath);
    let path = async || store.secret(&name).await.unwrap().map(|path| path.expose_secret().to_owned());
    apply(&store, WHOLE).await;
    let first = path().await.unwrap();
    apply(&store, &WHOLE.replace("horizon_days = 60", "horizon_days = 30")).await;
    assert_eq!(path().await, Some(first.clone()));
    let url = "webhook_url = \"https://clinic.example.com.au/hook\"\n";
    let said = apply(&store, &WHOLE.replace(url, "")).await;
    assert!(said.contains("webhook path: removed"), "{said}");
    assert_eq!(path().await, None);
    apply(&store, WHOLE).await;
    assert_ne!(path().await, Some(first), "an address that was given up stays closed");
}

#[test]
fn a_long_interval_needs_webhooks() {
    let slow = WHOLE.replace("poll_seconds = 5\nfeatures", "poll_seconds = 3600\nfeatures");
    let wanted = read(&slow).unwrap();
    assert_eq!(wanted[0].settings.healthengine.as_ref().unwrap().poll_seconds, 3600);
    assert!(read(&slow.replace("= 3600", "= 3601")).unwrap_err().message.contains("between 1 and 3600"));
    let alone = slow.replace("webhook_url = \"https://clinic.example.com.au/hook\"\n", "");
    let mistake = read(&alone).unwrap_err();
    assert!(mistake.message.contains("with webhook_url, up to 3600"), "{mistake}");
    assert!(read(&alone.replace("= 3600", "= 5")).is_ok());
}

#[tokio::test]
async fn switching_on_asks_for_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    apply(&store, &WHOLE.replace("enabled = true", "enabled = false")).await;
    assert_eq!(store.open_wishes().await.unwrap().len(), 0);
    let on = apply(&store, WHOLE).await;
    assert!(on.contains("enabled: false → true"), "{on}");
    assert_eq!(store.open_wishes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_plan_without_a_store_is_all_new() {
    let plan = Plan::make(read_file(folder().path(), WHOLE, &[]).unwrap(), None).await.unwrap();
    assert!(!plan.is_empty());
    assert!(plan.to_string().starts_with("practice richmond: added\n"));
}
