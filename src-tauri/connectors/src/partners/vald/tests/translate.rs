//! The translation, from our own made-up fixtures.

use chrono::{DateTime, TimeZone, Utc};
use domain::ids::SyncId;
use domain::people::Gender;
use domain::private::Private;
use domain::profile::{FieldRefused, ProfileOrder};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{CARD, translate, wire};
use super::tomasz;
use crate::card::FieldKind;

const TENANT: &str = "11111111-2222-4333-8444-555555555555";

fn sent(order: &ProfileOrder) -> Value {
    serde_json::to_value(translate::import(TENANT, order)).unwrap()
}

fn refused(body: &Value, order: &ProfileOrder) -> Vec<FieldRefused> {
    let import = translate::import(TENANT, order);
    translate::refused(&wire::Problem::read(body), &import, *order.birth_date.reveal())
}

#[test]
fn an_import_is_what_the_contract_shows() {
    let expected: Value = serde_json::from_str(include_str!("../fixtures/import.json")).unwrap();
    assert_eq!(sent(&tomasz()), expected);
}

#[test]
fn what_is_not_known_is_null_and_the_flags_are_real() {
    let minor = ProfileOrder {
        email: Private::default(),
        shown_number: Some(String::new()),
        guardian_agreed: Some(true),
        recorded_by_adult: false,
        photo_and_video: true,
        ..tomasz()
    };
    let sent = sent(&minor);
    assert_eq!((&sent["email"], &sent["externalId"]), (&Value::Null, &Value::Null));
    let flags = ["isCreatedByUserOver18YearsOld", "isGuardianConsentGiven", "isPhotoVideoConsentGiven"];
    assert_eq!(flags.map(|flag| sent[flag].as_bool()), [Some(false), Some(true), Some(true)]);
}

#[test]
fn the_sex_is_one_of_valds_words() {
    for (ours, theirs) in [
        (Some(Gender::Male), "Male"),
        (Some(Gender::Female), "Female"),
        (Some(Gender::Other), "Unknown"),
        (None, "Unknown"),
    ] {
        assert_eq!(sent(&ProfileOrder { sex: Private::new(ours), ..tomasz() })["sex"], theirs);
    }
}

#[test]
fn exactly_the_fields_that_hold_something_are_named() {
    for (order, missing) in [
        (tomasz(), vec!["isGuardianConsentGiven"]),
        (
            ProfileOrder { email: Private::default(), shown_number: None, ..tomasz() },
            vec!["email", "externalId", "isGuardianConsentGiven"],
        ),
        (ProfileOrder { guardian_agreed: Some(true), ..tomasz() }, vec![]),
    ] {
        let sent = sent(&order);
        let holding = sent.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let mut holding: Vec<&str> = holding.map(|(field, _)| field.as_str()).collect();
        let mut named = translate::fields_of(&translate::import(TENANT, &order));
        assert!(missing.iter().all(|field| !named.contains(field)), "{named:?}");
        holding.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, holding);
    }
}

#[test]
fn one_odd_profile_does_not_hide_the_others() {
    let list: wire::Profiles = serde_json::from_str(include_str!("../fixtures/profiles.json")).unwrap();
    let [known, merging, handmade, nameless] =
        list.profiles.into_iter().map(translate::profile).collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(known.id.as_str(), "aaaaaaaa-0000-4000-8000-000000000001");
    assert_eq!(known.sync_id, Some(SyncId::new("harbour-48213")));
    assert_eq!(known.merging_into, None);
    let second = Utc.with_ymd_and_hms(2026, 5, 2, 3, 11, 42).unwrap();
    assert_eq!(known.modified_at.map(|at| at.timestamp()), Some(second.timestamp()));
    // Without a zone it is UTC all the same.
    assert_eq!(merging.modified_at, Some(second));
    assert_eq!(merging.merging_into, Some(known.id));
    assert_eq!((handmade.sync_id, handmade.modified_at), (None, None));
    assert_eq!(nameless.sync_id, None);
}

#[test]
fn a_list_of_nothing_readable_proves_nothing() {
    for (answer, count) in [
        (json!({"profiles": []}), Some(0)),
        (json!({"profiles": null}), Some(0)),
        (json!({"profiles": ["odd"]}), None),
        (json!({"profiles": [{"ProfileId": "a"}]}), None),
        (json!({"profiles": {}}), None),
        (json!({"message": "please sign in"}), None),
        (json!([]), None),
    ] {
        let read = serde_json::from_value::<wire::Profiles>(answer.clone()).ok();
        assert_eq!(read.map(|list| list.profiles.len()), count, "{answer}");
    }
}

#[test]
fn what_has_no_name_goes_by_its_id() {
    let list: wire::Tenants = serde_json::from_str(include_str!("../fixtures/tenants.json")).unwrap();
    let tenants: Vec<(String, String)> =
        list.tenants.into_iter().map(translate::tenant).map(|(id, tenant)| (id, tenant.name)).collect();
    assert_eq!(tenants[0].1, "Harbour Physio");
    // Whoever has to type the name must never have to type nothing.
    assert!(tenants[1..].iter().all(|(id, name)| id == name), "{tenants:?}");
    let list: wire::Groups = serde_json::from_str(include_str!("../fixtures/groups.json")).unwrap();
    let groups: Vec<_> = list.groups.into_iter().map(translate::group).collect();
    assert_eq!((groups[0].name.as_str(), groups.len()), ("Knees", 2));
    assert_eq!(groups[1].name, groups[1].id.as_str());
}

#[test]
fn reasons_are_passed_on_without_anything_that_was_sent() {
    let problem: Value = serde_json::from_str(include_str!("../fixtures/problem.json")).unwrap();
    let told: Vec<(String, String)> =
        refused(&problem, &tomasz()).into_iter().map(|refused| (refused.field, refused.why)).collect();
    let expected = [
        ("sex", "… is not known"),
        ("dateOfBirth", "… … is out of range"),
        ("email", "… is already in use, it belongs to … … (…)"),
        ("…", "no reason given"),
        ("givenName", "must not be …"),
        ("Something", "no reason given"),
    ];
    assert_eq!(told, expected.map(|(field, why)| (field.to_owned(), why.to_owned())));
}

#[test]
fn a_refusal_without_fields_is_about_the_profile() {
    for (body, why) in [
        (json!({"title": "Bad Request", "detail": "Ferreira cannot be."}), "Bad Request, … cannot be."),
        (json!({"title": "Bad Request", "errors": null}), "Bad Request"),
        (json!({"errors": "none"}), "no reason given"),
        (json!({}), "no reason given"),
        (json!("no"), "no reason given"),
        (Value::Null, "no reason given"),
    ] {
        let expected = FieldRefused { field: "profile".into(), why: why.into() };
        assert_eq!(refused(&body, &tomasz()), [expected], "{body}");
    }
}

#[test]
fn short_names_are_found_where_they_stand_alone() {
    let ng = ProfileOrder { family_name: Private::new("Ng".into()), ..tomasz() };
    let body = json!({"errors": {"FamilyName": ["NG is too short", "nothing longer is missing"]}});
    assert_eq!(refused(&body, &ng)[0].why, "… is too short, nothing longer is missing");
}

#[test]
fn the_card_asks_for_everything_and_says_where_it_is() {
    let keys: Vec<&str> = CARD.fields.iter().map(|field| field.key).collect();
    assert_eq!(keys, ["tenant_id", "client_id", "client_secret", "region", "hub_url"]);
    assert!(CARD.fields.iter().all(|field| !field.where_to_find.is_empty()));
    let secrets: Vec<&str> =
        CARD.fields.iter().filter(|field| field.is_secret()).map(|field| field.key).collect();
    assert_eq!(secrets, ["client_id", "client_secret"]);
    assert_eq!(CARD.field("region").unwrap().kind, FieldKind::Choice(&["aue", "use", "euw"]));
    let steps = CARD.field("client_secret").unwrap().where_to_find.join(" ");
    for needed in ["support@vald.com", "organisation id", "seven days", "March 2026"] {
        assert!(steps.contains(needed), "{needed}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[A-ZÀ-Þ][a-zß-ÿ'ł -]{0,14}[a-zß-ÿ]"
}

proptest! {
    #[test]
    fn no_birth_date_moves(days in -36_000i64..25_000) {
        let born = (DateTime::UNIX_EPOCH + chrono::TimeDelta::days(days)).date_naive();
        let sent = sent(&ProfileOrder { birth_date: Private::new(born), ..tomasz() });
        prop_assert_eq!(sent["dateOfBirth"].as_str().unwrap(), format!("{born}T00:00:00Z"));
    }

    #[test]
    fn no_name_comes_back_however_it_is_quoted(
        given in name(),
        family in name(),
        before in "[a-z ,:=(]{0,12}",
        quote in prop::sample::select(vec!["", "'", "\"", "“"]),
        loud: bool,
    ) {
        let order = ProfileOrder {
            given_name: Private::new(given.clone()),
            family_name: Private::new(family.clone()),
            ..tomasz()
        };
        let said = format!("{before} {quote}{given} {family}{quote} 1991-06-17 tomasz@example.test x");
        let said = if loud { said.to_uppercase() } else { said };
        let told = format!("{:?}", refused(&json!({"errors": {"X": [said]}, "title": "x"}), &order));
        let words: Vec<String> = told
            .split(|letter: char| !letter.is_alphanumeric())
            .map(str::to_lowercase)
            .collect();
        for name in [&given, &family] {
            let is_of_ours = |word: &String| before.contains(word.as_str()) || "fieldrefused why x".contains(word.as_str());
            for part in name.split(|letter: char| !letter.is_alphanumeric()) {
                let part = part.to_lowercase();
                if part.chars().count() > 1 && !is_of_ours(&part) {
                    prop_assert!(!words.contains(&part), "{} in {}", part, told);
                }
            }
        }
        prop_assert!(!told.contains("1991") && !told.to_lowercase().contains("example"));
    }
}
