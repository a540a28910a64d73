//! What is to be done about one patient, case by case.

use super::plan::{Plan, Rules, digest_of, plan};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::consent::{Agreement, Consent, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::{PatientRecord, PersonDetails};
use domain::private::Private;

fn now() -> DateTime<Utc> {
    "2026-11-27T03:00:00Z".parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn key() -> LinkKey {
    LinkKey {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("vald"),
        kind: LinkKind::Patient,
        local_id: "77".into(),
    }
}

fn record() -> PatientRecord {
    let details = PersonDetails {
        first_name: Private::new("Tomasz".into()),
        last_name: Private::new("Ferreira".into()),
        birth_date: Private::new(Some(day("1991-06-17"))),
        email: Private::new("tomasz@example.test".into()),
        ..PersonDetails::default()
    };
    PatientRecord::new(PatientRef::new("77"), details)
}

fn consent(said: Said) -> Consent {
    Consent {
        number: 4,
        line: ConsentLine {
            practice: PracticeId::new("richmond"),
            partner: PartnerId::new("vald"),
            patient: PatientRef::new("77"),
            said,
            how: ConsentHow::AtDesk,
            recorded_by: Private::new("Kim".into()),
            wording: String::new(),
            at: now(),
        },
    }
}

fn yes() -> Consent {
    consent(Said::Yes(Agreement::default()))
}

fn rules() -> Rules<'static> {
    Rules { prefix: "richmond", staff_are_adults: true, today: day("2026-11-27"), now: now() }
}

fn planned(record: Option<&PatientRecord>, consent: Option<&Consent>, link: Option<&Link>) -> Plan {
    plan(key(), record, consent, link, rules())
}

fn sent(plan: Plan) -> super::plan::Sending {
    match plan {
        Plan::Send(sending) => *sending,
        other @ (Plan::Nothing | Plan::Keep(_) | Plan::Wait(..)) => panic!("{other:?}"),
    }
}

fn kept(plan: Plan) -> Link {
    match plan {
        Plan::Keep(link) => *link,
        other @ (Plan::Nothing | Plan::Send(_) | Plan::Wait(..)) => panic!("{other:?}"),
    }
}

/// A link that was accepted as the record stands.
fn linked() -> Link {
    let sending = sent(planned(Some(&record()), Some(&yes()), None));
    let mut link = sending.link;
    link.accepted = Some(sending.digest);
    link.partner_id = Some("aaaa".into());
    link.becomes(LinkState::Linked, None, now() - TimeDelta::days(3));
    link
}

#[test]
fn only_who_agreed_is_sent_and_under_a_name_that_says_nothing() {
    assert_eq!(planned(Some(&record()), None, None), Plan::Nothing);
    assert_eq!(planned(Some(&record()), Some(&consent(Said::No)), None), Plan::Nothing);
    let sending = sent(planned(Some(&record()), Some(&yes()), None));
    assert_eq!((sending.link.told_as.as_str(), sending.consent), ("richmond-77", 4));
    assert_eq!(sending.order.sync_id.as_str(), "richmond-77");
}

#[test]
fn what_was_accepted_is_not_sent_again_until_it_changes() {
    assert_eq!(planned(Some(&record()), Some(&yes()), Some(&linked())), Plan::Nothing);
    let mut moved = record();
    moved.details.email = Private::new("new@example.test".into());
    let sending = sent(planned(Some(&moved), Some(&yes()), Some(&linked())));
    assert_eq!(sending.link, linked(), "the link is not touched before it is sent");
}

#[test]
fn what_was_refused_waits_for_a_correction() {
    let mut link = linked();
    link.refused = Some(digest_of(&sent(planned(Some(&record()), Some(&yes()), None)).order));
    link.accepted = None;
    link.becomes(LinkState::Failed, Some("VALD refuses it.".into()), now());
    assert_eq!(planned(Some(&record()), Some(&yes()), Some(&link)), Plan::Nothing);
    let mut corrected = record();
    corrected.details.last_name = Private::new("Ferreira-Lee".into());
    sent(planned(Some(&corrected), Some(&yes()), Some(&link)));
}

#[test]
fn withdrawn_consent_ends_the_link_and_says_what_has_to_be_done_by_hand() {
    let ended = kept(planned(Some(&record()), Some(&consent(Said::No)), Some(&linked())));
    assert_eq!(ended.state, LinkState::Ended);
    assert!(ended.reason.as_deref().unwrap().contains("remove the profile in VALD Hub by hand"));
    // And once more changes nothing.
    assert_eq!(planned(Some(&record()), Some(&consent(Said::No)), Some(&ended)), Plan::Nothing);
    // Agreed again, it stands as before and nothing has to be sent.
    assert_eq!(kept(planned(Some(&record()), Some(&yes()), Some(&ended))).state, LinkState::Linked);
}

#[test]
fn a_record_that_lacks_something_is_listed_with_what_is_missing() {
    let mut lacking = record();
    lacking.details.birth_date = Private::new(None);
    let listed = kept(planned(Some(&lacking), Some(&yes()), None));
    assert_eq!(listed.state, LinkState::NeedsPerson);
    assert_eq!(listed.reason.as_deref(), Some("The record has no birth date."));
    for (born, reason) in [
        ("2027-01-01", "The birth date in the record cannot be right."),
        ("1753-01-01", "The birth date in the record cannot be right."),
        ("2015-05-05", "The patient is under 18, and no guardian's consent is recorded."),
    ] {
        lacking.details.birth_date = Private::new(Some(day(born)));
        let listed = kept(planned(Some(&lacking), Some(&yes()), None));
        assert_eq!(listed.reason.as_deref(), Some(reason), "{born}");
    }
    let mut one_name = record();
    one_name.details.first_name = Private::new(" ".into());
    let listed = kept(planned(Some(&one_name), Some(&yes()), None));
    assert_eq!(listed.reason.as_deref(), Some("The record has no given name."));
}

#[test]
fn who_was_born_on_a_day_that_has_not_begun_in_greenwich_waits_for_it() {
    // Eight in the morning of the 28th in Melbourne.
    let now: DateTime<Utc> = "2026-11-27T21:00:00Z".parse().unwrap();
    let rules = |now| Rules { today: day("2026-11-28"), now, ..rules() };
    let mut newborn = record();
    newborn.details.birth_date = Private::new(Some(day("2026-11-28")));
    let guarded = consent(Said::Yes(Agreement {
        guardian: Some(Private::new("A parent".into())),
        photo_and_video: false,
    }));
    let planned = |link: Option<&Link>, now| plan(key(), Some(&newborn), Some(&guarded), link, rules(now));
    let Plan::Wait(link, until) = planned(None, now) else { panic!("{:?}", planned(None, now)) };
    assert_eq!((link.state, until), (LinkState::Pending, "2026-11-28T00:05:00Z".parse().unwrap()));
    assert!(link.reason.as_deref().unwrap().contains("by itself"));
    sent(planned(Some(&link), until));
    // What was refused for that reason is sent again as well.
    let mut refused = (*link).clone();
    refused.refused = Some(digest_of(&sent(planned(Some(&link), until)).order));
    refused.becomes(LinkState::Failed, None, now);
    let Plan::Wait(link, _) = planned(Some(&refused), now) else { panic!() };
    sent(planned(Some(&link), until));
}

#[test]
fn a_record_that_is_gone_inactive_or_merged_is_not_kept_in_step() {
    assert_eq!(kept(planned(None, Some(&yes()), Some(&linked()))).state, LinkState::Ended);
    let inactive = PatientRecord { inactive: true, ..record() };
    assert_eq!(kept(planned(Some(&inactive), Some(&yes()), Some(&linked()))).state, LinkState::Ended);
    let merged = PatientRecord { merged_into: Some(PatientRef::new("12")), ..record() };
    let ended = kept(planned(Some(&merged), Some(&yes()), Some(&linked())));
    assert!(ended.reason.as_deref().unwrap().starts_with("The record was merged into record 12."));
}

#[test]
fn what_the_partner_linked_otherwise_is_left_to_people() {
    let mut link = linked();
    link.becomes(LinkState::Conflict, Some("Merged.".into()), now());
    let mut moved = record();
    moved.details.email = Private::new("new@example.test".into());
    assert_eq!(planned(Some(&moved), Some(&yes()), Some(&link)), Plan::Nothing);
}

#[test]
fn every_field_counts() {
    let order = sent(planned(Some(&record()), Some(&yes()), None)).order;
    let digest = digest_of(&order);
    let changes: [fn(&mut domain::profile::ProfileOrder); 6] = [
        |order| order.given_name = Private::new("Tomás".into()),
        |order| order.birth_date = Private::new(day("1991-06-18")),
        |order| order.sex = Private::new(Some(domain::people::Gender::Other)),
        |order| order.shown_number = None,
        |order| order.guardian_agreed = Some(true),
        |order| order.photo_and_video = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = order.clone();
        change(&mut other);
        assert_ne!(digest_of(&other), digest, "change {number}");
    }
}
