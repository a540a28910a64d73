//! The translation, from our own made-up fixtures.

use std::collections::BTreeSet;

use chrono::{TimeZone, Utc};
use domain::ids::{ForeignRecordId, PracticeId, SyncId};
use domain::link::LinkKind;
use domain::people::PersonDetails;
use domain::private::{Private, SecretString};
use domain::records::{ForeignRecord, FormerName};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::environment::{self, Environment, WrongKey};
use super::super::translate::{self, Change};
use super::super::{CARD, wire};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/patient.json")).unwrap()
}

fn read(fields: &Value) -> ForeignRecord {
    let mut row = fixture();
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    translate::record(LinkKind::Patient, row).unwrap()
}

fn sent(record: &ForeignRecord, change: &Change<'_>) -> Value {
    serde_json::to_value(translate::change(record, change)).unwrap()
}

#[test]
fn a_patient_is_read_letter_by_letter() {
    let ravi = read(&json!({ "first_name": " Ravi ", "last_name": "O’Neill-Łuczak" }));
    assert_eq!(ravi.details.first_name.reveal(), " Ravi ");
    assert_eq!(ravi.details.last_name.reveal(), "O’Neill-Łuczak");
    assert_eq!(ravi.details.birth_date.reveal().unwrap().to_string(), "1979-01-30");
    let phones: Vec<&str> = ravi.details.phones.iter().map(|phone| phone.reveal().as_str()).collect();
    assert_eq!(phones, ["5550102030", "5550104050"], "a number is a text or a number");
    assert_eq!(ravi.told_as, Some(SyncId::new("harbour-77")));
    assert_eq!(ravi.updated_at, Some(Utc.with_ymd_and_hms(2026, 5, 3, 17, 0, 0).unwrap()));
    assert_eq!(ravi.former, [FormerName { field: "import_id", name: "30871".into() }]);
    assert!(!ravi.archived && ravi.merged_into.is_none() && !ravi.shows_problem);
}

#[test]
fn what_is_missing_or_odd_hides_nothing_else() {
    let nulls = json!({ "first_name": null, "dob": null, "email": null, "phones": null, "address_zip": 97201,
        "integration_record_id": null, "updated_at": null, "membership_status": null });
    let bare = read(&nulls);
    assert_eq!((bare.told_as, bare.updated_at), (None, None));
    assert_eq!(bare.details.postcode.reveal(), "97201");
    assert_eq!(*bare.details.birth_date.reveal(), None);
    // The American order is no birth date, rather than a wrong one.
    assert_eq!(*read(&json!({ "dob": "01/30/1979" })).details.birth_date.reveal(), None);
    assert!(read(&json!({ "membership_status": "archived" })).archived);
    for merged in [json!({ "id": "pat-2" }), json!("pat-2")] {
        assert_eq!(read(&json!({ "merged_into": merged })).merged_into, Some(ForeignRecordId::new("pat-2")));
    }
    for unreadable in [json!({}), json!({ "id": 7 }), json!({ "id": " " }), json!("odd"), json!(null)] {
        assert!(translate::record(LinkKind::Patient, unreadable).is_err());
    }
}

#[test]
fn money_stays_in_cents() {
    let row: Value = serde_json::from_str(include_str!("../fixtures/invoice.json")).unwrap();
    let facts = translate::record(LinkKind::Invoice, row).unwrap().invoice.unwrap();
    assert_eq!(facts.total_in_cents, Some(12_050));
    assert_eq!(facts.patient.as_deref(), Some("pat-EXAMPLE00001"), "the patient, not who pays");
    assert_eq!(
        (facts.number.as_deref(), facts.date.unwrap().to_string()),
        (Some("1042"), "2026-05-01".into())
    );
}

#[test]
fn a_link_repeats_hints_own_spelling_and_nothing_that_was_given_up() {
    let ravi = read(&json!({ "first_name": "RAVI ", "integration_error_message": "could not be linked" }));
    let told_as = SyncId::new("harbour-78");
    let link = Change::Link { told_as: &told_as, page: Some("https://book.example.test/p/78") };
    assert_eq!(
        sent(&ravi, &link),
        json!({
            "first_name": "RAVI ",
            "last_name": "Calloway",
            "integration_record_id": "harbour-78",
            "integration_web_link": "https://book.example.test/p/78",
            "integration_error_message": null,
        })
    );
    let quiet = read(&json!({}));
    let link = Change::Link { told_as: &told_as, page: None };
    assert_eq!(
        sent(&quiet, &link),
        json!({ "first_name": "Ravi", "last_name": "Calloway", "integration_record_id": "harbour-78" })
    );
    assert_eq!(
        sent(&quiet, &Change::Unlink),
        json!({
            "first_name": "Ravi",
            "last_name": "Calloway",
            "integration_record_id": null,
            "integration_web_link": null,
        })
    );
    assert_eq!(
        sent(&quiet, &Change::Problem(Some("It is taken.")))["integration_error_message"],
        "It is taken."
    );
    let of_staff = ForeignRecord { kind: LinkKind::Practitioner, ..quiet };
    assert_eq!(sent(&of_staff, &link), json!({ "integration_record_id": "harbour-78" }));
}

#[test]
fn what_left_is_named_as_it_was_sent() {
    let person = PersonDetails {
        first_name: Private::new("Ravi ".into()),
        last_name: Private::new("Calloway".into()),
        birth_date: Private::new("1979-01-30".parse().ok()),
        phones: ["+1 (555) 010-2030", "0491 570 006", "none"]
            .map(|phone| Private::new(phone.to_owned()))
            .into(),
        ..PersonDetails::default()
    };
    let wanted = translate::wanted(&person);
    assert_eq!(translate::fields_of(&wanted), ["first_name", "last_name", "dob", "phones"]);
    assert_eq!(
        serde_json::to_value(&wanted).unwrap(),
        json!({
            "first_name": "Ravi",
            "last_name": "Calloway",
            "dob": "1979-01-30",
            "phones": [
                { "number": "5550102030", "type": "mobile", "us_formattable": true },
                { "number": "0491 570 006", "type": "mobile", "us_formattable": false },
            ],
        })
    );
}

#[test]
fn a_name_of_ours_can_stand_in_a_path_and_is_never_one_of_hints() {
    let named = |practice: &str, id: &str| translate::told_as(&PracticeId::new(practice), id).to_string();
    assert_eq!(named("harbour", "77"), "harbour-77");
    assert_eq!(named("harbour", "a/b c?#%ä"), "harbour-a~2fb~20c~3f~23~25~c3~a4");
    assert_eq!(named("pat", "77"), "cc.pat-77");
    assert!(translate::is_plain("30871") && translate::is_plain("emr-90210"));
    for odd in ["", "pat-1", "sbx-pat-1", "a/b", "a b", "..", "ä", "a%20b"] {
        assert!(!translate::is_plain(odd), "{odd:?}");
    }
}

proptest! {
    #[test]
    fn no_two_things_have_the_same_name(ids in prop::collection::btree_set(".{0,12}", 2..8)) {
        let practice = PracticeId::new("harbour");
        let named: BTreeSet<String> =
            ids.iter().map(|id| translate::told_as(&practice, id).to_string()).collect();
        prop_assert_eq!(named.len(), ids.len());
        for name in named {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_~".contains(&byte)));
        }
    }
}

#[test]
fn our_page_about_a_patient_carries_their_key_escaped() {
    let page = |template: &str| translate::page_of(template, "7/7 a");
    assert_eq!(
        page("https://book.example.test/p?id={patientId}").unwrap(),
        "https://book.example.test/p?id=7%2F7%20a"
    );
    assert_eq!(
        page("https://book.example.test/"),
        None,
        "an address that is the same for everybody is no page"
    );
}

#[test]
fn a_refusal_is_told_in_hints_words_unless_they_name_somebody() {
    let ravi = read(&json!({}));
    let said = |message: Option<&str>| {
        translate::refused(&wire::Problem { message: message.map(str::to_owned) }, &ravi)
    };
    assert_eq!(
        said(Some("Validation failed: integration record id has already been taken")),
        "Validation failed: integration record id has already been taken"
    );
    for quoting in [Some("ravi Calloway has it already"), Some("CALLOWAY is taken"), Some(""), None] {
        assert_eq!(said(quoting), "no reason given");
    }
}

#[test]
fn a_token_of_the_wrong_environment_is_refused() {
    let check = |address: &str, token: &str| environment::check(address, &SecretString::from(token));
    let (live, sandbox) = ("https://api.hint.com/api", "https://api.sandbox.hint.com/api");
    assert_eq!(check(live, "abc"), Ok(()));
    assert_eq!(check(sandbox, " sbx-abc"), Ok(()));
    assert_eq!(check(live, " sbx-abc\n"), Err(WrongKey::SandboxKeyInLive));
    assert_eq!(check(sandbox, "abc"), Err(WrongKey::LiveKeyInSandbox));
    assert_eq!(check("https://api.staging.hint.com/api", "abc"), Err(WrongKey::LiveKeyInSandbox));
    // A simulator, or a vendor's own relay, takes whichever it was given.
    for token in ["abc", "sbx-abc"] {
        assert_eq!(check("http://127.0.0.1:9/api", token), Ok(()));
    }
    assert_eq!(Environment::of_address("https://api.hint.com.example.test/api"), None);
}

#[test]
fn the_card_says_where_to_find_what_it_asks_for() {
    assert!(CARD.fields.iter().all(|field| !field.where_to_find.is_empty()));
    assert!(CARD.field("access_token").unwrap().is_secret());
    assert_eq!(CARD.field("base_url").unwrap().default, Some("https://api.hint.com/api"));
}
