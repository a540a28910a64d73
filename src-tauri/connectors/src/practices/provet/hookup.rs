//! The registration that Provet sends when a clinic adds the application: a JSON object that is pasted, checked field by
//! field (contract sheet §2).

use domain::private::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::client::Addresses;
use crate::http::sign_in::redirect;

/// The keys that are always there.
const KEYS: [&str; 10] = [
    "provet_id",
    "client_id",
    "client_secret",
    "algorithm",
    "authorization_grant_type",
    "client_type",
    "redirect_uris",
    "token_url",
    "authorize_url",
    "openid_autodiscovery_url",
];

/// What is said of one for people who sign in, with no address on this computer.
const NO_WAY_BACK: &str = "names no address on this computer: ask Provet to register \
                           http://127.0.0.1:47311/provet/signed-in for this application";

/// A registration whose every field was looked at.
#[derive(Debug)]
pub struct Registration {
    /// The host, as settings have it.
    pub host: String,
    /// The number of the practice.
    pub provet_id: u32,
    /// The name of the credentials.
    pub client_id: String,
    /// Their secret; a public client, for which a person signs in, has none.
    pub client_secret: Option<SecretString>,
    /// Where the browser comes back to, where a person has to sign in; none for the integration's own account.
    pub redirect_url: Option<String>,
    /// Where tokens are fetched, where that is not the usual place.
    pub token_url: Option<String>,
}

/// What is wrong with a registration, and where. Never holds a value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRegistration {
    /// No JSON object, such as a message around it.
    #[error(
        "this is not the registration: copy it whole, from the opening brace to the closing one, and nothing else"
    )]
    NotJson,
    /// A key is missing.
    #[error("\"{0}\" is missing: copy the registration whole")]
    Missing(&'static str),
    /// A key that a registration does not have.
    #[error("\"{0}\" does not belong into a registration: is this another message of Provet's?")]
    Unknown(String),
    /// A value that cannot stand there.
    #[error("\"{0}\" {1}")]
    Wrong(&'static str, &'static str),
}

/// Reads a registration.
///
/// # Errors
/// [`BadRegistration`] names the first field that is wrong.
pub fn read(pasted: &str) -> Result<Registration, BadRegistration> {
    let Ok(Value::Object(fields)) = serde_json::from_str(pasted.trim()) else {
        return Err(BadRegistration::NotJson);
    };
    for key in KEYS {
        if !fields.contains_key(key) {
            return Err(BadRegistration::Missing(key));
        }
    }
    if let Some(unknown) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let shown: String = unknown.chars().filter(|letter| !letter.is_control()).take(40).collect();
        return Err(BadRegistration::Unknown(shown));
    }
    let provet_id = number(&fields, "provet_id")?;
    let client_id = text(&fields, "client_id")?;
    one_of(&fields, "algorithm", &["RS256", "HS256"], true)?;
    one_of(&fields, "client_type", &["confidential", "public"], false)?;
    // With hyphens here, although the request for a token has underscores.
    one_of(&fields, "authorization_grant_type", &["client-credentials", "authorization-code"], false)?;
    let is = |key: &str, text: &str| fields.get(key).and_then(Value::as_str) == Some(text);
    let as_person = is("authorization_grant_type", "authorization-code");
    let Some(addresses) = fields.get("redirect_uris").and_then(Value::as_str) else {
        return Err(BadRegistration::Wrong("redirect_uris", "is a text, which may be empty"));
    };
    let here = addresses.split_whitespace().find(|address| redirect(address).is_ok()).map(str::to_owned);
    if as_person && here.is_none() {
        return Err(BadRegistration::Wrong("redirect_uris", NO_WAY_BACK));
    }
    let token_url = address(&fields, "token_url", false)?.unwrap_or_default();
    let authorize_url = address(&fields, "authorize_url", false)?;
    address(&fields, "openid_autodiscovery_url", true)?;
    let client_secret = match fields.get("client_secret") {
        Some(Value::Null) if as_person && is("client_type", "public") => None,
        Some(Value::Null) | None => {
            return Err(BadRegistration::Wrong(
                "client_secret",
                "is empty: ask Provet for an application whose client type is \"confidential\"",
            ));
        }
        Some(_) => Some(SecretString::from(text(&fields, "client_secret")?)),
    };
    let url = Url::parse(&token_url).ok();
    let host = url.map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let wrong_host = |_| BadRegistration::Wrong("token_url", "does not lead to Provet Cloud");
    let usual = Addresses::of(&host, provet_id).map_err(wrong_host)?;
    if as_person && authorize_url.as_deref() != Some(usual.authorize.as_str()) {
        return Err(BadRegistration::Wrong("authorize_url", "is not where people sign in to Provet Cloud"));
    }
    let token_url = Some(token_url).filter(|url| *url != usual.token);
    let redirect_url = here.filter(|_| as_person);
    Ok(Registration { host, provet_id, client_id, client_secret, redirect_url, token_url })
}

fn number(fields: &Map<String, Value>, key: &'static str) -> Result<u32, BadRegistration> {
    let number = fields.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| *number > 0)
        .ok_or(BadRegistration::Wrong(key, "is a number, without quotation marks"))
}

fn text(fields: &Map<String, Value>, key: &'static str) -> Result<String, BadRegistration> {
    let text = fields.get(key).and_then(Value::as_str).map(str::trim);
    let text = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.map(str::to_owned).ok_or(BadRegistration::Wrong(key, "is a text on one line, and not empty"))
}

fn one_of(
    fields: &Map<String, Value>,
    key: &'static str,
    allowed: &[&str],
    may_be_null: bool,
) -> Result<(), BadRegistration> {
    match fields.get(key) {
        Some(Value::Null) if may_be_null => Ok(()),
        Some(Value::String(text)) if allowed.contains(&text.as_str()) => Ok(()),
        Some(_) | None => Err(BadRegistration::Wrong(key, "has a value that we do not know")),
    }
}

fn address(
    fields: &Map<String, Value>,
    key: &'static str,
    may_be_null: bool,
) -> Result<Option<String>, BadRegistration> {
    match fields.get(key) {
        Some(Value::Null) if may_be_null => Ok(None),
        Some(Value::String(text)) if Url::parse(text).is_ok_and(|url| url.scheme() == "https") => {
            Ok(Some(text.clone()))
        }
        Some(_) | None => Err(BadRegistration::Wrong(key, "is a web address that begins with https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::private::ExposeSecret;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "provet_id": 9999, "client_id": "a-client", "client_secret": "s3cret", "algorithm": null,
            "authorization_grant_type": "client-credentials", "client_type": "confidential",
            "redirect_uris": "https://clinic.example.com/back https://clinic.example.com/other",
            "token_url": "https://us.provetcloud.com/9999/oauth2/token/",
            "authorize_url": "https://us.provetcloud.com/9999/oauth2/authorize/",
            "openid_autodiscovery_url": null,
        })
    }

    #[test]
    fn a_whole_registration_is_all_that_is_needed() {
        let read = read(&format!("  {}\n", whole())).unwrap();
        assert_eq!((read.host.as_str(), read.provet_id), ("https://us.provetcloud.com", 9999));
        assert_eq!(
            (read.client_id.as_str(), read.client_secret.as_ref().unwrap().expose_secret()),
            ("a-client", "s3cret")
        );
        assert_eq!((read.token_url, read.redirect_url), (None, None));
    }

    #[test]
    fn a_registration_for_people_names_where_the_browser_comes_back_to() {
        let mut person = whole();
        person["authorization_grant_type"] = json!("authorization-code");
        let said = read(&person.to_string()).unwrap_err().to_string();
        assert!(
            said.contains("redirect_uris") && said.contains(crate::practices::provet::REDIRECT_URL),
            "{said}"
        );
        person["redirect_uris"] = json!("https://clinic.example.com/back http://127.0.0.1:9000/back");
        let confidential = read(&person.to_string()).unwrap();
        assert_eq!(confidential.redirect_url.as_deref(), Some("http://127.0.0.1:9000/back"));
        assert!(confidential.client_secret.is_some());
        person["client_secret"] = json!(null);
        assert!(read(&person.to_string()).unwrap_err().to_string().contains("client_secret"));
        person["client_type"] = json!("public");
        assert!(read(&person.to_string()).unwrap().client_secret.is_none());
        person["authorize_url"] = json!("https://elsewhere.example.com/authorize/");
        assert!(read(&person.to_string()).unwrap_err().to_string().contains("authorize_url"));
    }

    #[test]
    fn each_field_that_is_wrong_is_named_and_no_value_is_repeated() {
        for (key, value) in [
            ("provet_id", json!("9999")),
            ("provet_id", json!(-1)),
            ("client_id", json!("")),
            ("client_id", json!("geheim geheim")),
            ("client_secret", json!(null)),
            ("client_secret", json!(7)),
            ("algorithm", json!("geheim")),
            ("authorization_grant_type", json!("client_credentials")),
            ("client_type", json!("geheim")),
            ("redirect_uris", json!(null)),
            ("token_url", json!("http://us.provetcloud.com/9999/oauth2/token/")),
            ("token_url", json!("https://geheim.example.com/oauth2/token/")),
            ("authorize_url", json!(null)),
            ("openid_autodiscovery_url", json!("geheim")),
        ] {
            let mut wrong = whole();
            wrong[key] = value.clone();
            let said = read(&wrong.to_string()).unwrap_err().to_string();
            assert!(said.contains(key), "{key} {value}: {said}");
            assert!(!said.contains("geheim") && !said.contains("s3cret"), "{said}");
        }
        for key in KEYS {
            let mut lacking = whole();
            lacking.as_object_mut().unwrap().remove(key);
            assert_eq!(read(&lacking.to_string()).unwrap_err(), BadRegistration::Missing(key));
        }
        let mut more = whole();
        more["subject"] = json!("hello");
        assert_eq!(read(&more.to_string()).unwrap_err(), BadRegistration::Unknown("subject".into()));
        for text in ["", "null", "[]", "Dear clinic, {}"] {
            assert_eq!(read(text).unwrap_err(), BadRegistration::NotJson, "{text}");
        }
    }
}
