//! The translation, and the client against the simulator.

#[cfg(feature = "sims")]
mod client;

use domain::people::Gender;
use domain::private::Private;
use domain::profile::ProfileOrder;

use super::{translate, wire};

pub(super) fn order(sync_id: &str) -> ProfileOrder {
    ProfileOrder {
        sync_id: domain::ids::SyncId::new(sync_id),
        given_name: Private::new("Tomasz".into()),
        family_name: Private::new("Ferreira".into()),
        birth_date: Private::new("1991-06-17".parse().unwrap()),
        sex: Private::new(Some(Gender::Male)),
        email: Private::new("tomasz@example.test".into()),
        shown_number: Some("48213".into()),
        recorded_by_adult: true,
        guardian_agreed: None,
        photo_and_video: false,
    }
}

#[test]
fn a_profile_is_sent_to_the_letter() {
    let sent = serde_json::to_value(translate::import("t-1", &order("clinic7-48213"))).unwrap();
    assert_eq!(
        sent,
        serde_json::json!({
            "tenantId": "t-1",
            "syncId": "clinic7-48213",
            "givenName": "Tomasz",
            "familyName": "Ferreira",
            "dateOfBirth": "1991-06-17T00:00:00Z",
            "sex": "Male",
            "email": "tomasz@example.test",
            "externalId": "48213",
            "isCreatedByUserOver18YearsOld": true,
            "isGuardianConsentGiven": null,
            "isPhotoVideoConsentGiven": false,
        })
    );
}

#[test]
fn the_fields_that_left_are_those_that_hold_something() {
    let mut bare = order("s");
    bare.email = Private::default();
    bare.shown_number = None;
    let of = |order: &ProfileOrder| translate::fields_of(&translate::import("t", order));
    assert!(of(&order("s")).contains(&"email") && of(&order("s")).contains(&"externalId"));
    assert_eq!(
        of(&bare),
        [
            "tenantId",
            "syncId",
            "givenName",
            "familyName",
            "dateOfBirth",
            "sex",
            "isCreatedByUserOver18YearsOld",
            "isPhotoVideoConsentGiven",
        ]
    );
}

#[test]
fn a_refusal_quotes_nothing_that_was_sent() {
    let problem: wire::Problem = serde_json::from_value(serde_json::json!({
        "title": "One or more validation errors occurred.",
        "errors": {
            "Email": ["'tomasz@example.test' is used by Tomasz Ferreira, born 1991-06-17"],
            "GivenName": ["must not be empty", "is too short"],
        },
    }))
    .unwrap();
    let refused = translate::refused(&problem, &translate::import("t", &order("clinic7-48213")));
    let text = format!("{refused:?}");
    for private in ["tomasz@example.test", "Tomasz", "Ferreira", "1991-06-17"] {
        assert!(!text.contains(private), "{text}");
    }
    assert_eq!(refused[1].why, "must not be empty, is too short");
    let silent = translate::refused(&wire::Problem::default(), &translate::import("t", &order("s")));
    assert_eq!((silent[0].field.as_str(), silent[0].why.as_str()), ("profile", "no reason given"));
}

#[test]
fn lists_are_read_whatever_they_leave_out() {
    let listed: wire::Profiles = serde_json::from_value(serde_json::json!({ "profiles": [
        { "profileId": "a", "syncId": "s", "modifiedDateUtc": "2026-05-02T03:11:42Z", "givenName": "Tomasz",
          "beingMergedWithProfileId": null },
        { "profileId": "b", "modifiedDateUtc": "2026-05-02T03:11:42.5", "beingMergedWithProfileId": "a" },
        { "profileId": "c" },
    ] }))
    .unwrap();
    let profiles: Vec<_> = listed.profiles.into_iter().map(translate::profile).collect();
    assert_eq!(profiles[0].modified_at, Some("2026-05-02T03:11:42Z".parse().unwrap()));
    assert_eq!(profiles[1].modified_at, Some("2026-05-02T03:11:42.5Z".parse().unwrap()));
    assert_eq!(profiles[1].merging_into.as_ref().map(|id| id.as_str()), Some("a"));
    assert_eq!((profiles[2].sync_id.as_ref(), profiles[2].modified_at), (None, None));
}
