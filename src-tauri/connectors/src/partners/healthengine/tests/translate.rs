//! Wire to domain and back, from fixtures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::NaiveDate;
use domain::booking::{BookingRequest, ChangeKind, Inserted};
use domain::diary::{AppointmentType, OpenTime, Resource, VideoVisit};
use domain::failure::Refusal;
use domain::ids::{AppointmentRef, AppointmentTypeRef, PartnerId, PatientRef, PracticeId, ResourceRef};
use domain::people::PersonDetails;
use domain::ports::partner::{DayOffer, Incoming, Waiting};
use domain::private::Private;
use domain::settings::{LiveDay, LiveHours};
use domain::time::{DayRange, MinuteOfDay, Minutes, PracticeZone, Seconds};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::translate::{self, Account};
use super::super::wire;

fn account() -> Account {
    Account {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("healthengine"),
        zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
    }
}

fn items(fixture: &str) -> Vec<Value> {
    serde_json::from_str::<wire::Page>(fixture).unwrap().data
}

fn person(details: &PersonDetails) -> String {
    let PersonDetails {
        first_name,
        last_name,
        birth_date,
        phones,
        email,
        street,
        suburb,
        state,
        postcode,
        gender,
        medicare_number,
        medicare_irn,
        medicare_expiry,
    } = details;
    let phones: Vec<&String> = phones.iter().map(|phone| phone.reveal()).collect();
    format!(
        "{:?} {:?} born {:?}, {phones:?} {:?}, {:?} {:?} {:?} {:?}, {:?}, Medicare {:?} {:?} {:?}",
        first_name.reveal(),
        last_name.reveal(),
        birth_date.reveal(),
        email.reveal(),
        street.reveal(),
        suburb.reveal(),
        state.reveal(),
        postcode.reveal(),
        gender.reveal(),
        medicare_number.reveal(),
        medicare_irn.reveal(),
        medicare_expiry.reveal(),
    )
}

fn described(request: &BookingRequest) -> String {
    let BookingRequest {
        key,
        resource,
        appointment_type,
        starts,
        length,
        patient,
        linked_patient,
        says_new_patient,
        note,
        booked_at,
        cancelled,
    } = request;
    format!(
        "{} {} with {resource:?} for {appointment_type:?}\n  at {} for {length:?}, booked {booked_at}\n  {}\n  linked \
         {linked_patient:?}, new {says_new_patient}, cancelled {cancelled}, note {:?}",
        key.practice,
        key.mark(),
        starts.0,
        person(patient),
        note.reveal(),
    )
}

fn read(item: &Value) -> BookingRequest {
    match translate::incoming(item, &account()) {
        Ok(Incoming::Booking(request)) => *request,
        other => panic!("not a booking: {other:?}"),
    }
}

fn booking_with(field: &str, value: Value) -> Value {
    let mut booking = items(include_str!("../fixtures/bookings.json"))[0].clone();
    match field.strip_prefix("patient.") {
        Some(inner) => booking["patient"][inner] = value,
        None => booking[field] = value,
    }
    booking
}

#[test]
fn bookings() {
    let mut text = String::new();
    for item in items(include_str!("../fixtures/bookings.json")) {
        match translate::incoming(&item, &account()) {
            Ok(Incoming::Booking(request)) => writeln!(text, "{}", described(&request)),
            Ok(Incoming::Unreadable { booking, why }) => writeln!(text, "{booking}: {why}"),
            Err(nameless) => writeln!(text, "{nameless:?}"),
        }
        .unwrap();
    }
    assert_snapshot!(text, @r#"
    richmond [healthengine:9001001] with Some(ResourceRef("4")) for Some(AppointmentTypeRef("9"))
      at 2026-10-05 08:30:00 for Seconds(1800), booked 2026-10-03 23:59:58 UTC
      "Ottoline" "Brückner-O'Shea" born Some(1991-02-05), ["0491 570 156"] "ottoline@example.com", "7 Sample Lane" "Testham" "VIC" "3121", Some(Female), Medicare "0000000000" "1" "05/2029"
      linked Some(PatientRef("P-17")), new true, cancelled false, note "Stiff neck\nsince Tuesday\nLong consult\nVideo: https://video.example.com/room/1"
    richmond [healthengine:9001002] with None for None
      at 2026-10-04 02:30:00 for Seconds(900), booked 2026-10-04 01:00:00 UTC
      "" "" born None, [] "", "" "" "" "", None, Medicare "" "" ""
      linked None, new false, cancelled true, note ""
    richmond [healthengine:9001003] with Some(ResourceRef("4")) for Some(AppointmentTypeRef("9"))
      at 2026-10-05 09:00:00 for Seconds(900), booked 2026-10-04 01:00:00 UTC
      "Una" "" born None, [] "", "" "" "" "", None, Medicare "" "" ""
      linked None, new false, cancelled false, note "The birth date that was given cannot be read."
    richmond [healthengine:9001004] with Some(ResourceRef("4")) for None
      at 2026-10-05 09:00:00 for Seconds(900), booked 1970-01-01 00:00:00 UTC
      "" "" born None, [] "", "" "" "" "", None, Medicare "" "" ""
      linked None, new false, cancelled false, note ""
    9001005: the booking cannot be read: pmsAppointmentTime
    9001006: the booking cannot be read: pmsAppointmentLength
    9001007: the booking cannot be read: pmsResourceId
    9001008: the booking cannot be read: patient
    9001009: the booking cannot be read: patient.firstname
    Nameless
    Nameless
    Nameless
    "#);
}

#[test]
fn what_is_printed_names_nobody() {
    let item = &items(include_str!("../fixtures/bookings.json"))[0];
    let printed = format!("{:?} {:?}", translate::incoming(item, &account()), read(item));
    for private in ["Ottoline", "Brückner", "1991", "0491", "ottoline@", "Sample", "Testham", "Stiff neck"] {
        assert!(!printed.contains(private), "{private}");
    }
}

#[test]
fn birth_dates() {
    for (given, expected) in [
        (json!("29-02-2024"), Some("2024-02-29")),
        (json!("1984-11-09"), Some("1984-11-09")),
        (json!("29-02-2023"), None),
        (json!("00-00-0000"), None),
        (json!("09/11/1984"), None),
        (json!("01-01-0001"), None),
        (json!("+1-01-1984"), None),
        // Tomorrow in Melbourne, where it is 4 October when the booking comes in at 23:59:58 UTC on the 3rd.
        (json!("05-10-2026"), None),
        (json!("04-10-2026"), Some("2026-10-04")),
        (json!(19841109), None),
        (json!({}), None),
    ] {
        let request = read(&booking_with("patient.dob", given.clone()));
        let read = request.patient.birth_date.reveal().map(|date| date.to_string());
        assert_eq!(read.as_deref(), expected, "{given}");
        let told = request.note.reveal().ends_with("\nThe birth date that was given cannot be read.");
        assert_eq!(told, expected.is_none(), "{given}");
    }
    for absent in [json!(null), json!(""), json!("  ")] {
        let request = read(&booking_with("patient.dob", absent));
        assert_eq!(
            (*request.patient.birth_date.reveal(), request.note.reveal().contains("birth")),
            (None, false)
        );
    }
}

#[test]
fn a_time_of_booking_that_cannot_be_read_is_no_reason_to_decline() {
    for odd in [json!(null), json!("yesterday"), json!({}), json!("2026-10-04T01:00:00Z")] {
        let mut booking = booking_with("bookedTime", odd);
        booking["patient"]["dob"] = json!("09-11-1984");
        let request = read(&booking);
        assert_eq!(request.known_booked_at(), None);
        assert_eq!(request.patient.birth_date.reveal().map(|date| date.to_string()).unwrap(), "1984-11-09");
    }
}

#[test]
fn only_a_known_status_says_what_a_change_is() {
    for (status, kind) in [
        (json!("Cancelled"), ChangeKind::Cancelled),
        (json!(" CANCELLED "), ChangeKind::Cancelled),
        (json!("Requested"), ChangeKind::Stands),
        (json!("confirmed"), ChangeKind::Stands),
        (json!("Canceled"), ChangeKind::Unreadable),
        (json!("Moved"), ChangeKind::Unreadable),
        (json!(""), ChangeKind::Unreadable),
        (json!(null), ChangeKind::Unreadable),
        (json!({"status": "Cancelled"}), ChangeKind::Unreadable),
    ] {
        let update = json!({"requestId": 1, "bookingId": 2, "bookingStatus": status});
        assert_eq!(translate::change(&update).unwrap().1.kind, kind, "{status}");
    }
    assert_eq!(
        translate::change(&json!({"requestId": 1, "bookingId": 2})).unwrap().1.kind,
        ChangeKind::Unreadable
    );
    assert!(read(&booking_with("bookingStatus", json!("cancelled"))).cancelled);
}

#[test]
fn changes_and_availability_requests() {
    let mut text = String::new();
    for item in items(include_str!("../fixtures/booking_updates.json")) {
        writeln!(text, "{:?}", translate::change(&item)).unwrap();
    }
    for item in items(include_str!("../fixtures/availability_requests.json")) {
        writeln!(text, "{:?}", translate::asked(&item)).unwrap();
    }
    assert_snapshot!(text, @r#"
    Ok((71, BookingChange { id: ForeignChangeId("71"), booking: ForeignBookingId("9001003"), kind: Stands }))
    Ok((8, BookingChange { id: ForeignChangeId("8"), booking: ForeignBookingId("9001002"), kind: Cancelled }))
    Err(Nameless)
    Ok(OfferAsked { day: 2026-10-05, resource: Some(ResourceRef("4")) })
    Ok(OfferAsked { day: 2026-10-06, resource: None })
    Ok(OfferAsked { day: 2026-10-07, resource: None })
    Err(Nameless)
    Err(Nameless)
    "#);
}

#[test]
fn what_is_asked_about_is_known_by_its_booking() {
    let read = |item: Value| translate::asked_about(&item).map(|asked| format!("{asked:?}"));
    let plain = json!({"bookingId": 9, "pmsAppointmentIds": ["12", 13, null, {}, " "], "pmsPatientId": 77});
    assert_eq!(
        read(plain).unwrap(),
        "AskedAbout { booking: ForeignBookingId(\"9\"), appointments: [AppointmentRef(\"12\"), AppointmentRef(\"13\")], \
         patient: Some(PatientRef(\"77\")) }"
    );
    let bare = "AskedAbout { booking: ForeignBookingId(\"9\"), appointments: [], patient: None }";
    for ids in [json!(null), json!("12"), json!([])] {
        assert_eq!(read(json!({"bookingId": "9", "pmsAppointmentIds": ids})).unwrap(), bare);
    }
    assert!(read(json!({"pmsAppointmentIds": ["12"]})).is_err());
}

#[test]
fn kinds_of_requests() {
    let kinds = |list: Value| serde_json::from_value::<Vec<wire::Lenient<wire::Text>>>(list).unwrap();
    let list = json!(["availability", "clientSnapshots", "bookings", "somethingNew", 7, null, {}]);
    let unknown = ["7", "somethingNew"].map(str::to_owned).into();
    let expected =
        Waiting { bookings: true, availability: true, client_snapshots: true, unknown, ..Waiting::default() };
    assert_eq!(translate::waiting(&kinds(list)), expected);
    let list = json!(["pmsResources", "pmsAppointmentTypes", "bookingUpdates"]);
    let expected = Waiting { changes: true, resources: true, appointment_types: true, ..Waiting::default() };
    assert_eq!(translate::waiting(&kinds(list)), expected);
    assert_eq!(translate::waiting(&kinds(json!([]))), Waiting::default());
}

#[test]
fn confirmations_and_reasons() {
    let held = Inserted { appointment: AppointmentRef::new("884213"), patient: PatientRef::new("77") };
    let in_person = VideoVisit::default();
    let body = serde_json::to_value(translate::confirmation(&held, &in_person)).unwrap();
    assert_eq!(body, json!({"pmsAppointmentIds": ["884213"], "pmsPatientId": "77"}));
    let link = |text: &str| Some(Private::new(text.to_owned()));
    let visit = VideoVisit {
        patient_link: link("https://video.example.com/1"),
        practitioner_description: link("Room 3"),
        ..VideoVisit::default()
    };
    let body = serde_json::to_value(translate::confirmation(&held, &visit)).unwrap();
    let expected = json!({
        "pmsAppointmentIds": ["884213"],
        "pmsPatientId": "77",
        "patientAppointmentLink": "https://video.example.com/1",
        "practitionerAppointmentDescription": "Room 3",
    });
    assert_eq!(body, expected);
    for (why, reason) in [
        (Refusal::SlotTaken, "the time is taken"),
        (Refusal::Unreadable("bookedTime".into()), "the booking cannot be read: bookedTime"),
        (Refusal::Other("Ottoline owes money".into()), "the practice system refused it"),
    ] {
        assert_eq!(serde_json::to_value(translate::reason(&why)).unwrap(), json!({"reason": reason}));
    }
}

fn range(start: &str, end: &str) -> DayRange {
    DayRange::new(MinuteOfDay::parse(start).unwrap(), MinuteOfDay::parse(end).unwrap()).unwrap()
}

fn offer(day: &str, free: Vec<OpenTime>, slot: u32) -> DayOffer {
    DayOffer { resource: ResourceRef::new("4"), day: day.parse().unwrap(), free, slot: Minutes(slot) }
}

#[test]
fn free_times() {
    let any = |start, end| OpenTime { range: range(start, end), only_types: Vec::new() };
    let reserved = OpenTime {
        range: range("13:00", "14:00"),
        only_types: ["9", "12", "retired"].map(AppointmentTypeRef::new).to_vec(),
    };
    // Without its types it would be free for everything.
    let for_nobody =
        OpenTime { range: range("15:00", "16:00"), only_types: vec![AppointmentTypeRef::new("retired")] };
    let offers = [
        offer("2026-10-05", vec![any("00:00", "24:00"), reserved, for_nobody], 15),
        offer("2026-10-06", vec![any("23:59", "24:00"), any("09:05", "09:06")], 0),
        offer("2026-10-07", Vec::new(), 10),
    ];
    let published = BTreeSet::from(["9:4".to_owned(), "12".to_owned()]);
    let snapshots = translate::snapshots(&offers, &published);
    assert_snapshot!(serde_json::to_string_pretty(&snapshots).unwrap(), @r#"
    [
      {
        "id": "4|2026-10-05",
        "date": "2026-10-05",
        "pmsResourceId": "4",
        "availability": [
          {
            "start": "00:00",
            "end": "23:59",
            "slotLength": 900
          },
          {
            "start": "13:00",
            "end": "14:00",
            "slotLength": 900,
            "pmsAppointmentTypeIds": [
              "9:4",
              "12"
            ]
          }
        ]
      },
      {
        "id": "4|2026-10-06",
        "date": "2026-10-06",
        "pmsResourceId": "4",
        "availability": [
          {
            "start": "09:05",
            "end": "09:06",
            "slotLength": 60
          }
        ]
      },
      {
        "id": "4|2026-10-07",
        "date": "2026-10-07",
        "pmsResourceId": "4",
        "availability": []
      }
    ]
    "#);
}

#[test]
fn answers_to_a_batch() {
    let offers: Vec<DayOffer> =
        (5..=10).map(|day| offer(&format!("2026-10-{day:02}"), Vec::new(), 15)).collect();
    let sent = translate::snapshots(&offers, &BTreeSet::new());
    let answer = serde_json::from_str(include_str!("../fixtures/batch_answer.json")).unwrap();
    let expected = [
        // Named as created and as wrong: the worse one counts.
        Err("refused without a reason"),
        Ok(()),
        Ok(()),
        Err("refused without a reason"),
        Err("unknown type … in …"),
        Err("no answer for this day"),
    ];
    let answers = translate::batch_answers(&sent, &answer);
    assert_eq!(answers, expected.map(|answer| answer.map_err(str::to_owned)));
    let silence = serde_json::from_value(json!({"created": null, "errors": "none"})).unwrap();
    assert!(translate::batch_answers(&sent, &silence).iter().all(Result::is_err));
}

fn resource(id: &str, name: &str, specialty: Option<&str>) -> Resource {
    Resource {
        id: ResourceRef::new(id),
        name: name.to_owned(),
        title: Some("Dr".to_owned()),
        first_name: Some(" ".to_owned()),
        last_name: None,
        specialty: specialty.map(str::to_owned),
        location: None,
        practitioner: None,
    }
}

#[test]
fn lists() {
    let resources = translate::resources(&[
        resource("5", "Dr Lee", Some("Podiatrist")),
        resource("3", "Dr lee ", Some("Podiatrist")),
        resource("4", "Dr Lee", Some("Physiotherapist")),
        resource("6", "Dr Lee (Physiotherapist)", None),
        resource("8", "", None),
        resource("7", "Room 1", None),
        resource("7", "Room 1", None),
    ]);
    let kind = |id: &str, name: &str, minutes, resource: Option<&str>| AppointmentType {
        id: AppointmentTypeRef::new(id),
        name: name.to_owned(),
        length: Minutes(minutes),
        resource: resource.map(ResourceRef::new),
    };
    let types = translate::appointment_types(&[
        kind("9", "Standard", 15, Some("4")),
        kind("10", "Standard", 30, None),
        kind("a:b", "Long", 0, None),
    ]);
    let names: Vec<_> =
        resources.iter().map(|r| format!("{}: {}", r.pms_resource_id, r.pms_resource_name)).collect();
    assert_snapshot!(names.join("\n"), @r"
    3: Dr lee (Podiatrist)
    4: Dr Lee (Physiotherapist) 2
    5: Dr Lee (Podiatrist) 2
    6: Dr Lee (Physiotherapist)
    7: Room 1
    8: No. 8
    ");
    assert_snapshot!(serde_json::to_string_pretty(&(&resources[0], types)).unwrap(), @r#"
    [
      {
        "pmsResourceId": "3",
        "pmsResourceName": "Dr lee (Podiatrist)",
        "pmsPractitionerTitle": "Dr"
      },
      [
        {
          "pmsAppointmentTypeId": "10",
          "pmsAppointmentTypeName": "Standard",
          "pmsAppointmentLength": 30
        },
        {
          "pmsAppointmentTypeId": "9:4",
          "pmsAppointmentTypeName": "Standard 2",
          "pmsAppointmentLength": 15,
          "pmsResourceId": "4"
        },
        {
          "pmsAppointmentTypeId": "a:b:",
          "pmsAppointmentTypeName": "Long"
        }
      ]
    ]
    "#);
}

#[test]
fn live_hours() {
    let hours = LiveHours {
        weekdays: BTreeMap::from([
            (
                LiveDay::Monday,
                vec![range("13:00", "18:00"), range("08:00", "12:00"), range("11:00", "12:30")],
            ),
            (LiveDay::Sunday, vec![range("00:00", "24:00")]),
            (LiveDay::PublicHolidays, vec![range("23:59", "24:00")]),
        ]),
    };
    let contract = serde_json::to_value(translate::liveness(&hours)).unwrap();
    let expected = json!({"liveHours": {
        "monday": [{"start": "08:00", "end": "12:30"}, {"start": "13:00", "end": "18:00"}],
        "tuesday": [], "wednesday": [], "thursday": [], "friday": [], "saturday": [],
        "sunday": [{"start": "00:00", "end": "23:59"}],
        "publicHolidays": [],
    }});
    assert_eq!(contract, expected);
}

proptest! {
    #[test]
    fn times_keep_their_zone(seconds in 0_i64..4_102_444_800) {
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        let text = time.format("%Y-%m-%d %H:%M:%S").to_string();
        let request = read(&booking_with("bookedTime", json!(text)));
        prop_assert_eq!(request.booked_at, time);
        let request = read(&booking_with("pmsAppointmentTime", json!(text)));
        prop_assert_eq!(request.starts.0, time.naive_utc());
    }

    #[test]
    fn a_booking_is_counted_in_seconds(length in any::<i64>()) {
        for given in [json!(length), json!(length.to_string())] {
            prop_assert_eq!(read(&booking_with("pmsAppointmentLength", given)).length, Seconds(length));
        }
    }

    #[test]
    fn a_slot_is_counted_in_seconds_and_a_type_in_minutes(minutes in 1_u32..=1440) {
        let open = OpenTime { range: range("09:00", "10:00"), only_types: Vec::new() };
        let sent = translate::snapshots(&[offer("2026-10-05", vec![open], minutes)], &BTreeSet::new());
        prop_assert_eq!(sent[0].availability[0].slot_length, i64::from(minutes) * 60);
        let kind = AppointmentType {
            id: AppointmentTypeRef::new("9"),
            name: "Standard".to_owned(),
            length: Minutes(minutes),
            resource: None,
        };
        prop_assert_eq!(translate::appointment_types(&[kind])[0].pms_appointment_length, Some(minutes));
    }

    #[test]
    fn ranges_are_proper_times_of_day(a in 0_i64..=1440, b in 0_i64..=1440) {
        if let Some(range) = DayRange::new(MinuteOfDay::clamped(a), MinuteOfDay::clamped(b)) {
            let open = OpenTime { range, only_types: Vec::new() };
            for sent in &translate::snapshots(&[offer("2026-10-05", vec![open], 15)], &BTreeSet::new())[0].availability {
                let minute = |text: &str| MinuteOfDay::parse(text).filter(|minute| *minute < MinuteOfDay::END);
                prop_assert_eq!(minute(&sent.start), Some(range.start));
                prop_assert!(minute(&sent.end).unwrap() <= range.end && sent.start < sent.end);
            }
        }
    }

    #[test]
    fn type_ids_come_back(id in "[a-c:]{1,6}", resource in "[a-c]{1,3}(:[a-c]{1,2})?", own in any::<bool>()) {
        let (id, resource) = (AppointmentTypeRef::new(id), ResourceRef::new(resource));
        let published = translate::appointment_type_id(&id, own.then_some(&resource));
        prop_assert_eq!(translate::appointment_type_ref(&published, Some(&resource)), id);
    }

    #[test]
    fn names_are_unique(names in proptest::collection::vec("[aAb]{0,2}( 2)?", 0..12)) {
        let list: Vec<Resource> = names
            .iter()
            .enumerate()
            .map(|(number, name)| resource(&number.to_string(), name, Some("b").filter(|_| number % 2 == 0)))
            .collect();
        let sent = translate::resources(&list);
        let unique: BTreeSet<String> = sent.iter().map(|r| r.pms_resource_name.to_lowercase()).collect();
        prop_assert_eq!(unique.len(), names.len());
        prop_assert!(sent.iter().all(|r| !r.pms_resource_name.trim().is_empty()));
    }

    #[test]
    fn no_field_of_any_shape_is_a_disaster(field in 0_usize..28, value in any_json()) {
        let booking = items(include_str!("../fixtures/bookings.json"))[0].clone();
        let outer: Vec<String> = booking.as_object().unwrap().keys().cloned().collect();
        let inner: Vec<String> =
            booking["patient"].as_object().unwrap().keys().map(|key| format!("patient.{key}")).collect();
        let fields = [outer, inner].concat();
        let field = &fields[field % fields.len()];
        let outcome = translate::incoming(&booking_with(field, value), &account());
        if let Ok(Incoming::Unreadable { why, .. }) = outcome {
            prop_assert_eq!(why, Refusal::Unreadable(field.clone()));
        } else if outcome.is_err() {
            prop_assert_eq!(field, "bookingId");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,5}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn the_day_is_a_practice_day() {
    let asked = translate::asked(&json!({"day": "2026-10-05"})).unwrap();
    assert_eq!((asked.day, asked.resource), (NaiveDate::from_ymd_opt(2026, 10, 5).unwrap(), None));
}
