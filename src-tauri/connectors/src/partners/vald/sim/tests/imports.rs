//! Imports: what is taken, what is refused, and when it shows.

use super::*;

#[tokio::test]
async fn an_import_creates_a_profile_and_answers_with_nothing() {
    let bench = Bench::start().await;
    let response = bench.import(&tomasz()).await;
    assert_eq!(response.status(), 204);
    assert!(response.headers().get("content-type").is_none());
    assert!(response.headers().get("content-length").is_none());
    assert!(response.bytes().await.unwrap().is_empty());
    let profile = bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").cloned()).unwrap();
    assert_eq!(profile.details.date_of_birth, day(1991, 6, 17));
    let consents = RecordedConsents { created_by_adult: true, guardian: None, photo_video: false };
    assert_eq!(profile.consents, Some(consents));
    let seen: Vec<_> = bench.sim.inspect(|state| state.imports(TENANT).cloned().collect());
    assert_eq!((seen.len(), seen[0].status, &seen[0].body), (1, 204, &tomasz()));
    assert_eq!(seen[0].at, bench.hand.now());
    let exchange = bench.sim.inspect(|state| state.exchanges().next_back().cloned()).unwrap();
    assert_eq!((exchange.number, exchange.account.as_str()), (seen[0].number, TENANT));
    assert_eq!(bench.mistakes(), 0);
}

#[tokio::test]
async fn a_second_import_of_a_sync_id_replaces_what_is_known() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let id = bench.id_of("clinic7-48213").await;
    bench.sim.edit_profile(TENANT, &id, |details| details.weight_in_kg = Some(71.5)).unwrap();
    bench.hand.pass(TimeDelta::minutes(1));
    let renamed = json!({"familyName": "Ferreira-Novak", "email": null, "externalId": null});
    bench.imported(&tomasz_but(renamed)).await;
    let profile = bench.by_id(&id).await;
    assert_eq!(profile["familyName"], "Ferreira-Novak");
    assert_eq!((&profile["email"], &profile["externalId"]), (&Value::Null, &Value::Null));
    assert_eq!(profile["weightInKg"], 71.5);
    assert_eq!(bench.sim.inspect(|state| state.profiles(TENANT).count()), 1);
    bench.imported(&tomasz_but(json!({"syncId": "clinic7-2"}))).await;
    assert_eq!(bench.sim.inspect(|state| state.profiles(TENANT).count()), 2);
}

#[tokio::test]
async fn each_required_field_must_be_there_and_say_something() {
    let bench = Bench::start().await;
    for (field, named) in [
        ("tenantId", "TenantId"),
        ("syncId", "SyncId"),
        ("givenName", "GivenName"),
        ("familyName", "FamilyName"),
        ("dateOfBirth", "DateOfBirth"),
        ("sex", "Sex"),
        ("isCreatedByUserOver18YearsOld", "IsCreatedByUserOver18YearsOld"),
        ("isPhotoVideoConsentGiven", "IsPhotoVideoConsentGiven"),
    ] {
        bench.import_refused(&tomasz_without(field), named, "must not be empty").await;
        bench.import_refused(&tomasz_but(json!({field: null})), named, "must not be empty").await;
        if !field.starts_with("is") {
            bench.import_refused(&tomasz_but(json!({field: " "})), named, "must not be empty").await;
        }
    }
    for field in ["email", "externalId", "isGuardianConsentGiven"] {
        bench.imported(&tomasz_without(field)).await;
    }
    let refused = bench.import(&json!({"tenantId": TENANT})).await.json::<Value>().await.unwrap();
    assert_eq!(refused["errors"].as_object().unwrap().len(), 7, "{refused}");
}

#[tokio::test]
async fn types_are_taken_at_their_word() {
    let bench = Bench::start().await;
    for (field, value, named, why) in [
        ("tenantId", json!(7), "TenantId", "must be a string"),
        ("tenantId", json!("11111111-2222"), "TenantId", "not valid"),
        ("syncId", json!(48213), "SyncId", "must be a string"),
        ("givenName", json!(["Tomasz"]), "GivenName", "must be a string"),
        ("externalId", json!(48213), "ExternalId", "must be a string"),
        ("email", json!("nobody"), "Email", "not a valid"),
        ("email", json!(""), "Email", "must not be empty"),
        ("sex", json!(1), "Sex", "must be a string"),
        ("sex", json!("male"), "Sex", "not valid"),
        ("sex", json!("Other"), "Sex", "not valid"),
        ("dateOfBirth", json!("1991-06-17"), "DateOfBirth", "midnight UTC"),
        ("dateOfBirth", json!("1991-06-16T14:00:00Z"), "DateOfBirth", "midnight UTC"),
        ("dateOfBirth", json!("1991-06-17T00:00:00+10:00"), "DateOfBirth", "midnight UTC"),
        ("dateOfBirth", json!("1991-06-31T00:00:00Z"), "DateOfBirth", "midnight UTC"),
        ("dateOfBirth", json!("17-06-1991T00:00:00Z"), "DateOfBirth", "midnight UTC"),
        ("dateOfBirth", json!("2026-03-02T00:00:00Z"), "DateOfBirth", "in the future"),
        ("dateOfBirth", json!("1753-01-01T00:00:00Z"), "DateOfBirth", "before 1900"),
        ("isCreatedByUserOver18YearsOld", json!("true"), "IsCreatedByUserOver18YearsOld", "true or false"),
        ("isGuardianConsentGiven", json!(1), "IsGuardianConsentGiven", "true or false"),
        ("isPhotoVideoConsentGiven", json!("false"), "IsPhotoVideoConsentGiven", "true or false"),
    ] {
        bench.import_refused(&tomasz_but(json!({field: value})), named, why).await;
    }
    assert_eq!(bench.sim.inspect(|state| state.profiles(TENANT).count()), 0);
    for sex in ["Male", "Female", "Unknown", "NotApplicable"] {
        bench.imported(&tomasz_but(json!({"sex": sex, "dateOfBirth": "1900-01-01T00:00:00Z"}))).await;
    }
}

#[tokio::test]
async fn a_body_is_plain_json_that_says_so() {
    let bench = Bench::start().await;
    let send = async |content_type: &str, encoding: Option<&str>, body: &str| {
        let mut request = bench.profiles(Method::POST, "/profiles/import").body(body.to_owned());
        if let Some(encoding) = encoding {
            request = request.header("Content-Encoding", encoding);
        }
        status_of(request.header("Content-Type", content_type)).await.as_u16()
    };
    let good = tomasz().to_string();
    assert_eq!(send("application/json; charset=utf-8", None, &good).await, 204);
    assert_eq!(send("application/json", Some("identity"), &good).await, 204);
    assert_eq!(send("text/plain", None, &good).await, 415);
    assert_eq!(send("application/json", None, "{").await, 400);
    assert_eq!(send("application/json", None, "[]").await, 400);
    assert_eq!(send("application/json", None, "").await, 400);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packer, good.as_bytes()).unwrap();
    let packed = bench.profiles(Method::POST, "/profiles/import").body(packer.finish().unwrap());
    let packed = packed.header("Content-Type", "application/json").header("Content-Encoding", "gzip");
    assert_eq!(status_of(packed).await, 415);
    assert!(bench.last_mistake().reason.contains("compressed"));
}

#[tokio::test]
async fn a_misspelt_field_is_ignored_and_noted() {
    let bench = Bench::start().await;
    bench.imported(&tomasz_but(json!({"isPhotoConsentGiven": true}))).await;
    let noted = bench.last_mistake();
    assert!(noted.reason.contains("isPhotoConsentGiven is not a field"), "{noted:?}");
    assert_eq!((noted.status, noted.path.as_str()), (204, "/profiles/import"));
    let consents = bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").unwrap().consents);
    assert!(!consents.unwrap().photo_video);
    // Where the right one is missing, that is noticed; capital letters count.
    let mut misspelt = tomasz_without("isPhotoVideoConsentGiven");
    misspelt["IsPhotoVideoConsentGiven"] = json!(true);
    bench.import_refused(&misspelt, "IsPhotoVideoConsentGiven", "must not be empty").await;
}

#[tokio::test]
async fn a_minor_needs_a_guardian_and_a_child_is_not_filmed() {
    let bench = Bench::start().await;
    let born = |date: &str, guardian: Value, photo: bool| {
        tomasz_but(json!({
            "dateOfBirth": format!("{date}T00:00:00Z"),
            "isGuardianConsentGiven": guardian,
            "isPhotoVideoConsentGiven": photo,
        }))
    };
    for guardian in [Value::Null, json!(false)] {
        let minor = born("2008-03-02", guardian, false);
        bench.import_refused(&minor, "IsGuardianConsentGiven", "for a minor").await;
    }
    bench.imported(&born("2008-03-01", Value::Null, false)).await;
    bench.imported(&born("2008-03-02", json!(true), true)).await;
    let before = bench.mistakes();
    bench.imported(&born("2013-03-02", json!(true), true)).await;
    assert!(bench.last_mistake().reason.contains("photos"));
    bench.imported(&born("2013-03-01", json!(true), true)).await;
    assert_eq!(bench.mistakes(), before + 1);
}

#[tokio::test]
async fn an_email_may_be_used_twice_unless_the_service_forbids_it() {
    let bench = Bench::start().await;
    bench.imported(&tomasz()).await;
    let other = tomasz_but(json!({"syncId": "other"}));
    bench.imported(&other).await;
    bench.sim.set_conduct(|conduct| conduct.unique_emails = true);
    bench.import_refused(&other, "Email", "already in use").await;
    bench.imported(&tomasz_but(json!({"syncId": "other", "email": null}))).await;
    // Nobody stands in their own way.
    bench.imported(&tomasz_but(json!({"email": "Tomasz@example.test"}))).await;
    bench.import_refused(&other, "Email", "already in use").await;
    bench.imported(&tomasz_but(json!({"email": "another@example.test"}))).await;
    bench.imported(&other).await;
}

#[tokio::test]
async fn sync_ids_are_kept_as_they_are() {
    let bench = Bench::start().await;
    for sync_id in ["a/b", "a b", "a&b=c", "ä–日本", "a+b", "A", "a", "%20"] {
        bench.imported(&tomasz_but(json!({"syncId": sync_id}))).await;
        let found =
            bench.profiles(Method::GET, "/profiles").query(&[("TenantId", TENANT), ("SyncId", sync_id)]);
        assert_eq!(json_of(found).await["profiles"][0]["syncId"], sync_id);
    }
    assert_eq!(bench.sim.inspect(|state| state.profiles(TENANT).count()), 8);
    // A plus that was not encoded is a space.
    assert_eq!(bench.found("&SyncId=a+b").await[0]["syncId"], "a b");
}

#[tokio::test]
async fn an_import_can_take_time_to_show() {
    let later = Visible::After(TimeDelta::seconds(3));
    let bench = Bench::conducting(|conduct| conduct.visible = later).await;
    bench.imported(&tomasz()).await;
    assert!(bench.sim.inspect(|state| state.profile(TENANT, "clinic7-48213").is_some()));
    bench.hand.pass(TimeDelta::seconds(2));
    assert!(bench.found("&SyncId=clinic7-48213").await.is_empty());
    assert!(bench.found("").await.is_empty());
    let exists = format!("/profiles/exists?TenantId={TENANT}&SyncId=clinic7-48213");
    assert_eq!(json_of(bench.profiles(Method::GET, &exists)).await, json!({"isExistingProfile": false}));
    bench.hand.pass(TimeDelta::seconds(1));
    let id = bench.id_of("clinic7-48213").await;
    assert_eq!(json_of(bench.profiles(Method::GET, &exists)).await, json!({"isExistingProfile": true}));
    // What is changed shows as it was until then.
    bench.imported(&tomasz_but(json!({"givenName": "Tom"}))).await;
    bench.imported(&tomasz_but(json!({"givenName": "Tommy"}))).await;
    assert_eq!(bench.by_id(&id).await["givenName"], "Tomasz");
    bench.hand.pass(TimeDelta::seconds(3));
    assert_eq!(bench.by_id(&id).await["givenName"], "Tommy");
}

#[tokio::test]
async fn the_delay_can_be_counted_in_questions() {
    let bench = Bench::conducting(|conduct| conduct.visible = Visible::AfterQuestions(2)).await;
    bench.imported(&tomasz()).await;
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(bench.found("&SyncId=clinic7-48213").await.len());
    }
    assert_eq!(found, [0, 0, 1]);
}

#[tokio::test]
async fn ten_thousand_profiles_cost_no_more_each_than_ten() {
    let bench = Bench::conducting(|conduct| conduct.unique_emails = true).await;
    for number in 0..10_000 {
        let born = day(1960, 1, 1) + TimeDelta::days(number);
        let mut details = ProfileDetails::new("Ada", "Quennell", born).with_sync_id(&format!("s-{number}"));
        details.email = Some(format!("p{number}@example.test"));
        bench.sim.add_profile(TENANT, details).unwrap();
    }
    // Each of these is looked up, and none reads through the rest.
    let work = async {
        for number in 0..500 {
            let (sync_id, email) = (format!("s-{}", number * 20), format!("new{number}@example.test"));
            bench.imported(&tomasz_but(json!({"syncId": sync_id, "email": email}))).await;
            assert_eq!(bench.found(&format!("&SyncId={sync_id}")).await.len(), 1);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.unwrap();
    assert_eq!(bench.found("").await.len(), 10_000);
}
