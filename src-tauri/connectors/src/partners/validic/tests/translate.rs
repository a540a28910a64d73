//! What comes in, in whichever shape, and what a name is made of.

use std::collections::BTreeSet;

use domain::failure::ReadError;
use domain::ids::SyncId;
use domain::private::ExposeSecret;

use super::super::translate::{NAME_BYTES, changes, country, device, enrolled, name, page, said};
use super::super::{CARD, wire};

fn user() -> wire::User {
    serde_json::from_str(include_str!("../fixtures/user.json")).unwrap()
}

#[test]
fn a_name_is_random_letters_and_digits_of_the_form_that_is_taken() {
    let made = name([
        0, 31, 32, 255, 7, 9, 200, 100, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ]);
    assert!(made.as_str().starts_with("vc-a7a7hj"), "{made}");
    assert_eq!(made.as_str().len(), 3 + NAME_BYTES);
    assert!(
        made.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    );
    assert!(!made.as_str().contains("--") && !made.as_str().ends_with('-'));
}

#[test]
fn a_user_is_read_with_page_and_devices() {
    let name = SyncId::new("vc-7q2m9kdx4t");
    let known = enrolled(user(), &name).unwrap();
    assert_eq!(known.id.as_str(), "0123456789abcdef01234567");
    assert_eq!(known.page.unwrap().0.expose_secret(), "https://syncmydevice.com/?token=EXAMPLE");
    assert_eq!(known.devices.unwrap(), BTreeSet::from(["fitbit".to_owned(), "withings".to_owned()]));
    assert!(matches!(enrolled(user(), &SyncId::new("vc-another")), Err(ReadError::Garbled(_))));
}

#[test]
fn a_page_is_kept_exactly_as_it_came_and_only_where_it_is_encrypted() {
    for address in [
        "https://syncmydevice.com?token=A%2FB",
        "https://syncmydevice.com/?token=a&x=1",
        "http://127.0.0.1:1/?token=a",
    ] {
        assert_eq!(page(address).unwrap().0.expose_secret(), address);
    }
    for address in ["http://syncmydevice.com/?token=a", "javascript:alert(1)", "syncmydevice.com", ""] {
        assert!(matches!(page(address), Err(ReadError::Garbled(_))), "{address}");
    }
}

#[test]
fn what_cannot_be_read_of_what_was_connected_is_left_out() {
    let answer: wire::Connections =
        serde_json::from_str(include_str!("../fixtures/connections.json")).unwrap();
    assert_eq!(answer.connections.len(), 5);
    let read: Vec<String> = changes(answer.connections)
        .into_iter()
        .map(|change| format!("{} {} {} {}", change.name, change.device, change.connected, change.at))
        .collect();
    let expected = [
        "vc-7q2m9kdx4t withings true 2026-04-01 03:31:00 UTC",
        "vc-7q2m9kdx4t withings false 2026-04-02 04:00:00 UTC",
        "vc-another fitbit true 2026-04-02 05:00:00 UTC",
    ];
    assert_eq!(read, expected);
}

#[test]
fn a_refusal_is_understood_in_all_five_shapes_and_as_whatever_else_comes() {
    let words = |body: &str| said(body.as_bytes()).words;
    assert_eq!(words(r#"{"errors": ["not found", "really"]}"#), "not found; really");
    assert_eq!(words(r#"{"errors": {"uid": ["already exists"]}}"#), "uid already exists");
    assert_eq!(words(r#"{"status": 403, "error": "Forbidden"}"#), "Forbidden");
    assert_eq!(
        words(r#"{"message": "Invalid authentication credentials"}"#),
        "Invalid authentication credentials"
    );
    assert_eq!(words("Bad Request"), "Bad Request");
    assert_eq!(words(r#""only a text""#), "only a text");
    for empty in ["", "{}", "[]", "null", "<html><body>504 Gateway Timeout</body></html>"] {
        assert_eq!(words(empty), "", "{empty}");
    }
    assert!(said(br#"{"errors": {"uid": ["taken"]}}"#).fields.contains("uid"));
}

#[test]
fn a_refusal_repeats_no_id_and_no_token() {
    let token = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    for body in [
        format!(r#"{{"message": "token {token} is wrong"}}"#),
        format!(r#"{{"errors": {{"uid": ["vc-{token} exists"]}}}}"#),
        format!("GET https://api.example/?token={token}"),
        format!("({token})"),
    ] {
        assert!(!said(body.as_bytes()).words.contains("0a1b2c3d"), "{body}");
    }
}

#[test]
fn countries_are_sent_where_they_are_known_and_devices_by_the_word_of_today() {
    assert_eq!(
        ["Australia/Perth", "Pacific/Auckland", "Europe/Vienna"].map(country),
        [Some("AU"), Some("NZ"), None]
    );
    assert_eq!(
        ["nokia", "under_armour", "fitbit", "two words"].map(device),
        ["withings", "mapmyfitness", "fitbit", "two_words"]
    );
}

#[test]
fn the_card_asks_for_what_the_contract_names() {
    let keys: Vec<&str> = CARD.fields.iter().map(|field| field.key).collect();
    assert_eq!(keys, ["organization_id", "token", "api", "base_url"]);
    assert!(CARD.field("token").unwrap().is_secret());
}
