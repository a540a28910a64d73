//! Consents, links and the audit trail.

use super::ports::settings;
use super::*;
use crate::open::unlock;
use chrono::TimeDelta;
use domain::audit::{AuditEntry, AuditEvent, AuditLine};
use domain::consent::in_practice::KeptAnswer;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::matching::Settled;
use domain::ports::store::{
    AuditTrail, Consents, DecidedAnswer, Links, Mark, Marks, PROFILES, PROFILES_ANEW, Revision, SettingsBook,
    SettledPeople, StoreError, Vault,
};
use domain::settings::{
    GroupedPatients, PartnerAccount, PracticeSettings, ProfileGroupRule, SecretKind, SecretName, ValdSettings,
};
use rusqlite::Connection;

pub(super) fn vald() -> PartnerId {
    PartnerId::new("vald")
}

fn said(patient: &str, said: Said) -> ConsentLine {
    ConsentLine {
        practice: practice(),
        partner: vald(),
        patient: PatientRef::new(patient),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: private("Kim"),
        wording: "2026-1".into(),
        at: second(1),
    }
}

pub(super) fn yes(patient: &str) -> ConsentLine {
    said(patient, Said::Yes(Agreement::default()))
}

fn said_no(patient: &str) -> ConsentLine {
    said(patient, Said::No)
}

pub(super) fn link(patient: &str) -> Link {
    let key =
        LinkKey { practice: practice(), partner: vald(), kind: LinkKind::Patient, local_id: patient.into() };
    Link::new(key, format!("richmond-{patient}"), second(2))
}

pub(super) fn sent(patient: &str) -> AuditLine {
    AuditLine {
        at: second(3),
        practice: practice(),
        partner: vald(),
        patient: Some(PatientRef::new(patient)),
        what: AuditEvent::Sent,
        fields: vec!["givenName".into(), "email".into()],
        consent: Some(1),
        told_as: Some(format!("richmond-{patient}")),
        by: None,
    }
}

#[tokio::test]
async fn the_last_line_holds_and_the_others_stay() {
    let (_dir, store) = fresh();
    let guarded = Said::Yes(Agreement { guardian: Some(private("A parent")), photo_and_video: true });
    let lines = [yes("7"), yes("8"), said("7", Said::No), said("7", guarded)];
    for line in &lines {
        assert_eq!(store.record_consents(std::slice::from_ref(line)).await.unwrap(), 1);
    }
    let of_seven = store.consent_history(&practice(), &PatientRef::new("7")).await.unwrap();
    let kept: Vec<_> = of_seven.iter().map(|consent| (consent.number, consent.line.clone())).collect();
    assert_eq!(kept, [(1, lines[0].clone()), (3, lines[2].clone()), (4, lines[3].clone())]);
    let last = store.consents(&practice(), &vald()).await.unwrap();
    assert_eq!(last.iter().map(|consent| consent.number).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(store.consent(&practice(), &vald(), &PatientRef::new("8")).await.unwrap().unwrap().number, 2);
    assert_eq!(
        store.consent(&practice(), &PartnerId::new("hint"), &PatientRef::new("8")).await.unwrap(),
        None
    );
    assert_eq!(store.last_consent().await.unwrap(), 4);
    let audited = store.audited(0, 10).await.unwrap();
    let what: Vec<_> = audited.iter().map(|entry| (entry.line.what, entry.line.consent)).collect();
    assert_eq!(
        what,
        [
            (AuditEvent::ConsentGiven, Some(1)),
            (AuditEvent::ConsentGiven, Some(2)),
            (AuditEvent::ConsentWithdrawn, Some(3)),
            (AuditEvent::ConsentGiven, Some(4)),
        ]
    );
}

#[tokio::test]
async fn what_was_said_since_is_read_by_itself() {
    let (_dir, store) = fresh();
    store.record_consents(&[yes("7"), yes("8"), yes("9")]).await.unwrap();
    let since = async |number| -> Vec<(i64, String)> {
        let consents = store.consents_since(&practice(), &vald(), number).await.unwrap();
        consents.into_iter().map(|consent| (consent.number, consent.line.patient.to_string())).collect()
    };
    assert_eq!(since(3).await, []);
    let elsewhere = ConsentLine { practice: PracticeId::new("carlton"), ..yes("7") };
    let others = ConsentLine { partner: PartnerId::new("hint"), ..yes("7") };
    let lines = [said("9", Said::No), elsewhere, others, yes("5"), yes("9")];
    store.record_consents(&lines).await.unwrap();
    let pairs = |pairs: &[(i64, &str)]| -> Vec<(i64, String)> {
        pairs.iter().map(|(number, patient)| (*number, (*patient).to_owned())).collect()
    };
    assert_eq!(since(3).await, pairs(&[(7, "5"), (8, "9")]));
    assert_eq!(since(0).await, pairs(&[(1, "7"), (2, "8"), (7, "5"), (8, "9")]));
}

#[tokio::test]
async fn what_is_said_again_is_no_news() {
    let (dir, store) = fresh();
    let other = open(dir.path());
    let (ours, theirs) = (store.revision().await.unwrap(), other.revision().await.unwrap());
    assert_eq!(store.record_consents(&[yes("7"), yes("7")]).await.unwrap(), 1);
    assert_ne!(store.revision().await.unwrap(), ours, "the engine of this process hears of it");
    assert_ne!(other.revision().await.unwrap(), theirs, "and that of another one");
    let before = (store.revision().await.unwrap(), other.revision().await.unwrap());
    let later =
        ConsentLine { at: second(90), recorded_by: private("Lee"), how: ConsentHow::Form, ..yes("7") };
    assert_eq!(store.record_consents(&[later]).await.unwrap(), 0);
    assert_eq!(store.revision().await.unwrap(), before.0);
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_guardian_wording_or_choice_is_news() {
    let (_dir, store) = fresh();
    let guarded = |guardian: &str, photo_and_video| {
        said("7", Said::Yes(Agreement { guardian: Some(private(guardian)), photo_and_video }))
    };
    let lines = [
        yes("7"),
        guarded("A parent", false),
        guarded("Another parent", false),
        guarded("Another parent", true),
        ConsentLine { wording: "2026-2".into(), ..guarded("Another parent", true) },
        said("7", Said::No),
        yes("7"),
    ];
    assert_eq!(store.record_consents(&lines).await.unwrap(), 7);
    let history = store.consent_history(&practice(), &PatientRef::new("7")).await.unwrap();
    assert_eq!(history.into_iter().map(|consent| consent.line).collect::<Vec<_>>(), lines);
    let entries = store.audited(0, 10).await.unwrap();
    assert_eq!(entries.len(), 7);
    assert!(
        entries.iter().all(|entry| entry.line.by == Some(private("Kim")) && entry.line.fields.is_empty())
    );
}

#[tokio::test]
async fn many_consents_are_recorded_together() {
    const MANY: i64 = 5000;
    let (dir, store) = fresh();
    let other = open(dir.path());
    let lines: Vec<ConsentLine> = (0..MANY).map(|patient| yes(&patient.to_string())).collect();
    let recorded = store.record_consents(&lines);
    let watched = async {
        let mut seen = Vec::new();
        while seen.last() != Some(&MANY) {
            seen.push(other.last_consent().await.unwrap());
        }
        seen
    };
    let (recorded, seen) = tokio::join!(recorded, watched);
    assert_eq!(recorded.unwrap(), 5000);
    assert!(seen.iter().all(|number| [0, MANY].contains(number)), "in one transaction: {seen:?}");
    assert_eq!(store.consents(&practice(), &vald()).await.unwrap().len(), 5000);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
}

#[tokio::test]
async fn links_come_back_as_they_were_saved() {
    let (_dir, store) = fresh();
    let mut linked = link("7");
    linked.partner_id = Some("aaaa".into());
    linked.accepted = Some("digest".into());
    linked.accepted_at = Some(second(5));
    linked.becomes(LinkState::Linked, Some("Without its e-mail address.".into()), second(6));
    let mut refused = link("8");
    refused.refused = Some("digest".into());
    refused.becomes(LinkState::Failed, Some("givenName: must not be empty".into()), second(7));
    store.save_links(&[linked.clone(), link("8")], &[sent("7")]).await.unwrap();
    store.save_links(&[refused.clone()], &[]).await.unwrap();
    assert_eq!(store.links(&practice(), Some(&vald())).await.unwrap(), [linked.clone(), refused.clone()]);
    assert_eq!(store.links(&practice(), None).await.unwrap().len(), 2);
    assert_eq!(store.links(&practice(), Some(&PartnerId::new("hint"))).await.unwrap(), []);
    assert_eq!(store.link(&linked.key).await.unwrap(), Some(linked));
    assert_eq!(store.link(&link("9").key).await.unwrap(), None);
    let begun = Link { told_as: "another".into(), ..link("9") };
    assert_eq!(store.begin_link(&begun).await.unwrap(), begun);
    assert_eq!(store.begin_link(&link("9")).await.unwrap(), begun, "the first one stands");
    store.forget_link(&begun.key, &[]).await.unwrap();
    let counts = store.link_counts(&practice(), &vald()).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(LinkState::Linked, 1), (LinkState::Failed, 1)]);
    assert_eq!(store.forget_links(&practice(), &vald()).await.unwrap(), 2);
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 1, "what left stays on record");
}

#[tokio::test]
async fn the_links_of_one_patient_come_without_those_of_others() {
    let (_dir, store) = fresh();
    let mut elsewhere = link("7");
    elsewhere.key.partner = PartnerId::new("hint");
    let mut invoice = link("7");
    (invoice.key.kind, invoice.told_as) = (LinkKind::Invoice, "invoice-7".into());
    let mut twin = link("7");
    (twin.key.practice, twin.told_as) = (PracticeId::new("carlton"), "carlton-7".into());
    store.save_links(&[link("7"), link("71"), elsewhere.clone(), invoice, twin], &[]).await.unwrap();
    let found = store.links_of(&practice(), LinkKind::Patient, "7").await.unwrap();
    assert_eq!(found, [elsewhere, link("7")]);
    assert_eq!(store.links_of(&practice(), LinkKind::Patient, "9").await.unwrap(), []);
}

#[tokio::test]
async fn a_link_says_since_when_it_stands_as_it_does() {
    let (_dir, store) = fresh();
    let mut linked = link("7");
    for (state, reason, now, since) in [
        (LinkState::Pending, None, 3, 2),
        (LinkState::Linked, None, 4, 4),
        (LinkState::Linked, Some("Without its e-mail address."), 5, 4),
        (LinkState::Failed, None, 6, 6),
        (LinkState::Linked, None, 7, 7),
    ] {
        linked.becomes(state, reason.map(str::to_owned), second(now));
        store.save_links(std::slice::from_ref(&linked), &[]).await.unwrap();
        linked = store.link(&linked.key).await.unwrap().unwrap();
        assert_eq!((linked.state, linked.since, linked.reason.as_deref()), (state, second(since), reason));
    }
}

#[tokio::test]
async fn links_of_whatever_partner_and_kind_are_kept_apart() {
    let (_dir, store) = fresh();
    let all: Vec<Link> = ["hint", "vald"]
        .into_iter()
        .flat_map(|partner| LinkKind::ALL.map(|kind| (partner, kind)))
        .map(|(partner, kind)| {
            let key = LinkKey { partner: PartnerId::new(partner), kind, ..link("7").key };
            Link { key, ..link("7") }
        })
        .collect();
    store.save_links(&all, &[]).await.unwrap();
    let mut sorted = all.clone();
    sorted.sort_by_key(|link| (link.key.partner.clone(), link.key.kind.name()));
    assert_eq!(store.links(&practice(), None).await.unwrap(), sorted);
    assert_eq!(store.links(&practice(), Some(&vald())).await.unwrap(), sorted[3..]);
    assert_eq!(store.links(&PracticeId::new("carlton"), None).await.unwrap(), []);
    assert_eq!(store.forget_links(&practice(), &vald()).await.unwrap(), 3);
    assert_eq!(store.links(&practice(), None).await.unwrap(), sorted[..3]);
}

#[tokio::test]
async fn links_are_counted_as_they_stand() {
    let (_dir, store) = fresh();
    let counted = async |practice: &PracticeId| store.link_counts(practice, &vald()).await.unwrap();
    let elsewhere = PracticeId::new("carlton");
    let at_carlton = LinkKey { practice: elsewhere.clone(), ..link("7").key };
    store.save_links(&[Link { key: at_carlton, ..link("7") }], &[]).await.unwrap();
    // Each patient is saved again and again, each time in another state or in the same.
    for number in 0..200_usize {
        let mut links = store.links(&practice(), Some(&vald())).await.unwrap();
        let patient = (number * 7 % 30).to_string();
        let known = links.iter().position(|link| link.key.local_id == patient);
        let mut moved = known.map_or_else(|| link(&patient), |place| links.remove(place));
        moved.becomes(LinkState::ALL[number / 5 % LinkState::ALL.len()], None, second(3));
        store.save_links(std::slice::from_ref(&moved), &[]).await.unwrap();
        let mut expected = std::collections::BTreeMap::new();
        for link in links.iter().chain([&moved]) {
            *expected.entry(link.state).or_default() += 1;
        }
        assert_eq!(counted(&practice()).await, expected);
    }
    let taken_back = Link { told_as: "richmond-1".into(), ..link("99") };
    store.save_links(&[link("98"), taken_back], &[]).await.unwrap_err();
    assert_eq!(counted(&practice()).await.values().sum::<u32>(), 30);
    store.forget_links(&practice(), &vald()).await.unwrap();
    assert!(counted(&practice()).await.is_empty());
    assert_eq!(counted(&elsewhere).await.into_iter().collect::<Vec<_>>(), [(LinkState::Pending, 1)]);
}

#[tokio::test]
async fn two_patients_never_share_a_name_at_a_partner() {
    let (_dir, store) = fresh();
    store.save_links(&[link("7")], &[]).await.unwrap();
    let other = Link { told_as: "richmond-7".into(), ..link("8") };
    assert!(store.save_links(&[other], &[sent("8")]).await.is_err());
    assert_eq!(store.links(&practice(), None).await.unwrap().len(), 1);
    assert_eq!(store.audited(0, 10).await.unwrap(), [], "one transaction");
}

#[tokio::test]
async fn the_trail_is_read_by_number_and_by_patient() {
    let (_dir, store) = fresh();
    assert_eq!(store.audited(0, 10).await.unwrap(), []);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    store.audit(&[]).await.unwrap();
    store.audit(&[sent("7"), sent("8")]).await.unwrap();
    let about_all = AuditLine { patient: None, what: AuditEvent::FormerLinksRemoved, ..sent("") };
    store.audit(&[about_all, sent("8")]).await.unwrap();
    let entries = store.audited(0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(entries[1].line, sent("8"));
    assert_eq!(store.audited(2, 1).await.unwrap(), entries[2..3]);
    let of_eight = [entries[3].clone(), entries[1].clone()];
    let of = async |practice: &PracticeId, limit| -> Vec<AuditEntry> {
        let rows = store.audit_rows_of(practice, &PatientRef::new("8"), limit).await.unwrap();
        rows.into_iter().map(|row| row.entry.unwrap()).collect()
    };
    assert_eq!(of(&practice(), 5).await, of_eight);
    assert_eq!(of(&practice(), 1).await, of_eight[..1]);
    assert_eq!(of(&PracticeId::new("carlton"), 5).await, []);
}

/// The digests were computed by another program, from what the schema says about them.
#[tokio::test]
async fn an_outsider_gets_the_same_digests() {
    let (_dir, store) = fresh();
    let removed = AuditLine {
        at: second(4),
        patient: None,
        what: AuditEvent::FormerLinksRemoved,
        fields: Vec::new(),
        consent: None,
        told_as: Some("tenant".into()),
        by: Some(private("Zoë")),
        ..sent("")
    };
    store.audit(&[sent("7"), removed]).await.unwrap();
    let digests: Vec<String> =
        store.audited(0, 10).await.unwrap().into_iter().map(|entry| entry.digest).collect();
    assert_eq!(
        digests,
        [
            "276534c1a84465f4d5e799716420af408cf1b18316ebae220c0c6863449c1350",
            "5fa16327bb6157239328339734ceb5940a73b30c3e47084377fdb9b00c438a59",
        ]
    );
}

/// What somebody does who has the key and another program.
fn tamper(dir: &Path, sql: &str) {
    let conn = Connection::open(dir.join("companion.db")).unwrap();
    unlock(&conn, &key()).unwrap();
    conn.execute_batch("DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_remains;").unwrap();
    conn.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn the_trail_shows_that_it_was_changed() {
    for (sql, broken_at) in [
        ("UPDATE audit SET fields = fields", None),
        ("UPDATE audit SET fields = 'givenName' WHERE number = 2", Some(2)),
        ("UPDATE audit SET fields = 'givenName  email' WHERE number = 2", Some(2)),
        ("UPDATE audit SET patient = '9' WHERE number = 3", Some(3)),
        ("UPDATE audit SET patient = NULL WHERE number = 3", Some(3)),
        ("UPDATE audit SET at = replace(at, 'Z', '+00:00') WHERE number = 3", Some(3)),
        ("UPDATE audit SET at = 'never' WHERE number = 4", Some(4)),
        ("UPDATE audit SET what = 'nothing' WHERE number = 4", Some(4)),
        ("UPDATE audit SET told_as = told_as || consent, consent = NULL WHERE number = 1", Some(1)),
        ("UPDATE audit SET consent = 2 WHERE number = 1", Some(1)),
        ("UPDATE audit SET done_by = 'Kim' WHERE number = 1", Some(1)),
        ("UPDATE audit SET digest = upper(digest) WHERE number = 1", Some(1)),
        ("UPDATE audit SET digest = x'00' || digest WHERE number = 4", Some(4)),
        ("DELETE FROM audit WHERE number = 1", Some(1)),
        ("DELETE FROM audit WHERE number = 2", Some(2)),
        ("DELETE FROM audit WHERE number IN (3, 4)", Some(3)),
        ("DELETE FROM audit", Some(1)),
        ("UPDATE audit SET number = -number WHERE number IN (1, 2)", Some(1)),
        ("UPDATE audit SET number = 5 WHERE number = 2", Some(2)),
    ] {
        let (dir, store) = fresh();
        store.audit(&[sent("5"), sent("6"), sent("7"), sent("8")]).await.unwrap();
        tamper(dir.path(), sql);
        assert_eq!(store.audit_broken_at().await.unwrap(), broken_at, "{sql}");
        // What is appended afterwards covers nothing up.
        store.audit(&[sent("9"), sent("10")]).await.unwrap();
        assert_eq!(store.audit_broken_at().await.unwrap(), broken_at, "{sql}");
    }
}

#[tokio::test]
async fn a_line_that_nobody_can_read_holds_back_no_other() {
    let (dir, store) = fresh();
    store.audit(&[sent("5"), sent("6"), sent("7"), sent("8")]).await.unwrap();
    tamper(
        dir.path(),
        "UPDATE audit SET at = 'never' WHERE number = 2; UPDATE audit SET what = 'mended' WHERE number = 3;
         UPDATE audit SET told_as = CAST(x'ff' AS TEXT), number = -4 WHERE number = 4",
    );
    assert!(store.audited(0, 10).await.is_err());
    let rows = store.audit_rows(i64::MIN, 10).await.unwrap();
    let understood: Vec<(i64, bool)> = rows.iter().map(|row| (row.number, row.entry.is_some())).collect();
    assert_eq!(understood, [(-4, false), (1, true), (2, false), (3, false)]);
    let column =
        |row: usize, place: usize| rows[row].columns[place].as_ref().map(|text| text.reveal().as_str());
    assert_eq!((column(2, 1), column(3, 5)), (Some("never"), Some("mended")));
    assert_eq!((column(1, 0), column(1, 4), column(0, 8)), (Some("1"), Some("5"), None));
    let of_six = store.audit_rows_of(&practice(), &PatientRef::new("6"), 10).await.unwrap();
    assert_eq!(of_six.iter().map(|row| (row.number, row.entry.is_some())).collect::<Vec<_>>(), [(2, false)]);
    assert_eq!(store.audit_rows(2, 10).await.unwrap().len(), 1);
    assert_eq!(store.audit_rows(i64::MIN, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_recorded_cannot_be_changed() {
    let (_dir, store) = fresh();
    store.record_consents(&[yes("7")]).await.unwrap();
    for sql in [
        "UPDATE consent SET given = 0",
        "DELETE FROM consent",
        "UPDATE audit SET patient = '8'",
        "DELETE FROM audit",
    ] {
        let refused = store.write(move |tx| Ok(tx.execute(sql, [])?)).await;
        assert!(refused.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn names_in_consents_outlive_the_retention_time() {
    let (_dir, store) = fresh();
    let guarded = Agreement { guardian: Some(private("A parent")), photo_and_video: false };
    let line = said("7", Said::Yes(guarded));
    store.record_consents(std::slice::from_ref(&line)).await.unwrap();
    store.forget_people(second(1_000_000_000)).await.unwrap();
    let kept = store.consent(&practice(), &vald(), &PatientRef::new("7")).await.unwrap().unwrap();
    assert_eq!(kept.line, line);
    assert_eq!(store.audited(0, 10).await.unwrap()[0].line.by, Some(private("Kim")));
}

fn with_vald(tenant: &str) -> PracticeSettings {
    let rule = |whose| ProfileGroupRule { group: "Knees".into(), whose };
    let account = ValdSettings {
        tenant_id: tenant.into(),
        region: "aue".into(),
        token_url: "https://auth.example/token".into(),
        audience: "vald-api-external".into(),
        profile_url: "https://profiles.example".into(),
        tenants_url: "https://tenants.example".into(),
        hub_url: Some("https://hub.example/?tenantId={tenantId}&syncId={syncId}".into()),
        groups: vec![rule(GroupedPatients::All), rule(GroupedPatients::SeenBy(ResourceRef::new("r1")))],
        between_requests: TimeDelta::microseconds(2500),
        sync_prefix: "richmond".into(),
        staff_are_adults: true,
    };
    PracticeSettings { vald: Some(account), ..settings("richmond") }
}

fn mark(thing: &str) -> Mark {
    Mark { thing: thing.into(), digest: String::new(), at: second(1) }
}

#[tokio::test]
async fn another_tenant_knows_nothing_of_what_the_former_was_told() {
    let (_dir, store) = fresh();
    let hint = Link { key: LinkKey { partner: PartnerId::new("hint"), ..link("7").key }, ..link("7") };
    store.save_practice(&with_vald("one")).await.unwrap();
    assert_eq!(store.practices().await.unwrap(), [with_vald("one")]);
    store.record_consents(&[yes("7")]).await.unwrap();
    let told = async || {
        store.save_links(&[link("7"), hint.clone()], &[sent("7")]).await.unwrap();
        store.set_marks(&practice(), &[mark("profiles/compared"), mark("resources")]).await.unwrap();
    };
    told().await;
    let mut other_groups = with_vald("one");
    other_groups.vald.as_mut().unwrap().groups.clear();
    store.save_practice(&other_groups).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap(), [hint.clone(), link("7")], "the same tenant");
    let things = async |prefix: &str| -> Vec<(String, String)> {
        let marks = store.marks(&practice(), prefix).await.unwrap();
        marks.into_iter().map(|mark| (mark.thing, mark.digest)).collect()
    };
    let pair = |thing: &str, digest: &str| (thing.to_owned(), digest.to_owned());
    assert_eq!(things(PROFILES).await, [pair(PROFILES_ANEW, "one"), pair("profiles/compared", "")]);
    // Another tenant; none; and again one, after a pass for the former one was late.
    for settings in [with_vald("two"), settings("richmond"), with_vald("one")] {
        store.save_practice(&settings).await.unwrap();
        assert_eq!(store.links(&practice(), None).await.unwrap(), std::slice::from_ref(&hint));
        // The new account's first pass forgets what comes late.
        let anew = settings.vald.as_ref().map(|vald| pair(PROFILES_ANEW, &vald.tenant_id));
        assert_eq!(store.practices().await.unwrap(), [settings]);
        assert_eq!(things("").await, anew.into_iter().chain([pair("resources", "")]).collect::<Vec<_>>());
        told().await;
    }
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 5, "what left stays on record");
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
}

#[tokio::test]
async fn unlinking_takes_the_links_and_leaves_consents_and_trail() {
    let (_dir, store) = fresh();
    store.save_practice(&with_vald("one")).await.unwrap();
    store.record_consents(&[yes("7")]).await.unwrap();
    store.save_links(&[link("7")], &[sent("7")]).await.unwrap();
    assert!(store.remove_practice(&practice()).await.unwrap());
    assert_eq!(store.links(&practice(), None).await.unwrap(), []);
    // A pass that was in flight leaves a link; the practice linked again begins without it.
    store.save_links(&[link("8")], &[]).await.unwrap();
    store.save_practice(&settings("richmond")).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap(), []);
    assert_eq!(store.consents(&practice(), &vald()).await.unwrap().len(), 1);
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 2);
}

fn with_system(profile: &str, url: &str) -> PracticeSettings {
    let mut settings = with_vald("one");
    settings.system.profile = profile.into();
    settings.system.url = url.into();
    settings
}

/// What refuses to save a practice; none where it is saved.
async fn refusal(store: &Store, settings: &PracticeSettings) -> Option<String> {
    let before = store.practices().await.unwrap();
    let secret = SecretName::of(&settings.id, SecretKind::SystemPassword);
    let linked = store.link_practice(settings, vec![(secret.clone(), Some("new".into()))]).await;
    match (store.save_practice(settings).await, linked) {
        (Ok(()), Ok(())) => None,
        (Err(error @ StoreError::ConsentsOfOthers { .. }), Err(StoreError::ConsentsOfOthers { .. })) => {
            assert_eq!(store.practices().await.unwrap(), before, "nothing was saved");
            assert!(store.secret(&secret).await.unwrap().is_none(), "no secret either");
            let asked = store.consents_fit(&settings.id, &settings.system.profile).await.unwrap_err();
            assert_eq!(asked.to_string(), error.to_string());
            Some(error.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobodys_consent_counts_for_somebody_of_another_practice_system() {
    let (_dir, store) = fresh();
    store.save_practice(&with_system("openemr", "mysql://one")).await.unwrap();
    store.record_consents(&[yes("7")]).await.unwrap();
    let said = "The consents of practice richmond were given by patients of openemr. Link the new practice system \
                under another id, so that nobody's consent counts for somebody else.";
    assert_eq!(refusal(&store, &with_system("demo", "sqlite:x")).await.as_deref(), Some(said));
    // A consent that was taken back is somebody's as well.
    store.record_consents(&[said_no("7")]).await.unwrap();
    assert_eq!(refusal(&store, &with_system("demo", "sqlite:x")).await.as_deref(), Some(said));
    // Neither a new host nor another practice is touched.
    assert_eq!(refusal(&store, &with_system("openemr", "mysql://two")).await, None);
    let other = PracticeSettings { id: PracticeId::new("carlton"), ..with_system("demo", "sqlite:x") };
    assert_eq!(refusal(&store, &other).await, None);

    // Linked anew under the same id.
    assert!(store.remove_practice(&practice()).await.unwrap());
    assert_eq!(refusal(&store, &with_system("demo", "sqlite:x")).await.as_deref(), Some(said));
    assert_eq!(refusal(&store, &with_system("openemr", "mysql://two")).await, None);
}

#[tokio::test]
async fn consents_that_came_when_no_practice_was_linked_are_nobodys_that_is_known() {
    let (_dir, store) = fresh();
    store.record_consents(&[yes("7")]).await.unwrap();
    let said = refusal(&store, &with_system("openemr", "mysql://one")).await.unwrap();
    assert!(said.contains("a practice system that is not known any more"), "{said}");
}

#[tokio::test]
async fn another_practice_system_begins_without_what_was_known_of_patients() {
    let (_dir, store) = fresh();
    store.save_practice(&with_system("demo", "sqlite:x")).await.unwrap();
    let person = private("a digest");
    let know = async || {
        let patient = PatientRef::new("7");
        store.settle(&practice(), &person, Settled::ByPerson, Some(&patient), second(1)).await.unwrap();
        let answer = DecidedAnswer { answer: kept("7", "a"), last: None, line: None };
        store.keep_answers(&practice(), &vald(), "demo", &[answer], second(1)).await.unwrap();
        store.save_links(&[link("7")], &[]).await.unwrap();
        store.set_marks(&practice(), &[mark("profiles/compared"), mark("resources")]).await.unwrap();
    };
    let known = async || {
        let marks = store.marks(&practice(), "").await.unwrap().into_iter().map(|mark| mark.thing);
        (
            store.settled(&practice(), &person).await.unwrap().len(),
            store.kept_answers(&practice(), &vald()).await.unwrap().len(),
            store.links(&practice(), None).await.unwrap().len(),
            marks.filter(|thing| thing != PROFILES_ANEW).collect::<Vec<_>>(),
        )
    };
    know().await;
    store.save_practice(&with_system("demo", "sqlite:y")).await.unwrap();
    assert_eq!(known().await, (1, 1, 1, vec!["profiles/compared".into(), "resources".into()]));
    store.save_practice(&with_system("openemr", "mysql://one")).await.unwrap();
    assert_eq!(known().await, (0, 0, 0, vec!["resources".into()]));
}

#[tokio::test]
async fn four_hundred_requests_a_second_can_be_said() {
    let (dir, store) = fresh();
    let fast = with_vald("one");
    assert_eq!(fast.vald.as_ref().unwrap().between_requests * 400, TimeDelta::seconds(1));
    store.save_practice(&fast).await.unwrap();
    store.close().await;
    assert_eq!(open(dir.path()).practices().await.unwrap(), [fast]);
}

fn with_accounts(accounts: &[(&str, &str)]) -> PracticeSettings {
    let account = |(partner, key): &(&str, &str)| {
        let fields = [("organization_id", *key), ("api", "inform-v2")];
        let fields = fields.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        (PartnerId::new(*partner), PartnerAccount { fields })
    };
    PracticeSettings { accounts: accounts.iter().map(account).collect(), ..settings("richmond") }
}

#[tokio::test]
async fn accounts_are_kept_by_their_fields_and_what_they_were_told_outlives_them() {
    let (dir, store) = fresh();
    let validic = Link { key: LinkKey { partner: PartnerId::new("validic"), ..link("7").key }, ..link("7") };
    let both = with_accounts(&[("hint", "a"), ("validic", "b")]);
    store.save_practice(&both).await.unwrap();
    store.save_practice(&settings("carlton")).await.unwrap();
    store.save_links(std::slice::from_ref(&validic), &[]).await.unwrap();
    assert_eq!(store.practices().await.unwrap(), [settings("carlton"), both]);
    for accounts in [&[("validic", "c")][..], &[]] {
        let settings = with_accounts(accounts);
        store.save_practice(&settings).await.unwrap();
        assert_eq!(store.practices().await.unwrap()[1], settings);
        // Who is who there is known nowhere else.
        assert_eq!(store.links(&practice(), None).await.unwrap(), std::slice::from_ref(&validic));
    }
    store.save_practice(&with_accounts(&[("validic", "c")])).await.unwrap();
    store.close().await;
    let store = open(dir.path());
    assert_eq!(store.practices().await.unwrap()[1], with_accounts(&[("validic", "c")]));
    assert!(store.remove_practice(&practice()).await.unwrap());
    let left = store.call(|conn| {
        Ok(conn.query_row("SELECT count(*) FROM partner_account", [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(left.await.unwrap(), 0);
}

#[tokio::test]
async fn one_link_is_forgotten_with_its_line_in_the_trail() {
    let (_dir, store) = fresh();
    store.save_links(&[link("7"), link("8")], &[]).await.unwrap();
    store.forget_link(&link("7").key, &[sent("7")]).await.unwrap();
    store.forget_link(&link("7").key, &[]).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap(), [link("8")]);
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 1);
    let counts = store.link_counts(&practice(), &vald()).await.unwrap();
    assert_eq!(counts.values().sum::<u32>(), 1);
}

fn kept(patient: &str, digest: &str) -> KeptAnswer {
    KeptAnswer { patient: PatientRef::new(patient), yes: true, digest: digest.into() }
}

#[tokio::test]
async fn what_a_pass_of_the_former_practice_system_read_counts_for_nobody_of_the_new_one() {
    let (_dir, store) = fresh();
    store.save_practice(&with_system("openemr", "mysql://one")).await.unwrap();
    let decided = [DecidedAnswer { answer: kept("7", "a"), last: None, line: Some(yes("7")) }];
    // There is no consent yet, so that another practice system is allowed; its pass is still under way.
    store.save_practice(&with_system("demo", "sqlite:x")).await.unwrap();
    let late = store.keep_answers(&practice(), &vald(), "openemr", &decided, second(50)).await;
    assert!(matches!(late, Err(StoreError::Stale)), "{late:?}");
    assert_eq!(store.last_consent().await.unwrap(), 0);
    assert_eq!(store.kept_answers(&practice(), &vald()).await.unwrap(), []);
    assert!(store.audited(0, 10).await.unwrap().is_empty());
    assert_eq!(store.keep_answers(&practice(), &vald(), "demo", &decided, second(51)).await.unwrap(), (1, 0));
    // Nor is anything kept for a practice that is not linked any more.
    store.remove_practice(&practice()).await.unwrap();
    let late = store.keep_answers(&practice(), &vald(), "demo", &decided, second(52)).await;
    assert!(matches!(late, Err(StoreError::Stale)), "{late:?}");
}

#[tokio::test]
async fn answers_of_the_practice_system_are_kept_with_their_lines_unless_somebody_was_quicker() {
    let (_dir, store) = fresh();
    store.save_practice(&settings("richmond")).await.unwrap();
    let read_with = settings("richmond").system.profile;
    let of_system = |patient| ConsentLine { how: ConsentHow::PracticeSystem, ..yes(patient) };
    let decided = |patient, digest, last| DecidedAnswer {
        answer: kept(patient, digest),
        last,
        line: Some(of_system(patient)),
    };
    let both = [decided("7", "a", None), decided("8", "b", None)];
    assert_eq!(
        store.keep_answers(&practice(), &vald(), &read_with, &both, second(50)).await.unwrap(),
        (2, 0)
    );
    assert_eq!(store.kept_answers(&practice(), &vald()).await.unwrap(), [kept("7", "a"), kept("8", "b")]);
    let trail = store.audited(0, 10).await.unwrap();
    assert!(trail.iter().all(|entry| entry.line.at == second(50)), "the trail says when it was recorded");
    let recorded = store.consent(&practice(), &vald(), &PatientRef::new("7")).await.unwrap().unwrap();
    assert_eq!((recorded.line.at, recorded.line.how), (second(1), ConsentHow::PracticeSystem));

    // The desk was quicker with the one, and the other is kept.
    store.record_consents(&[said("7", Said::No)]).await.unwrap();
    let last =
        store.consent(&practice(), &vald(), &PatientRef::new("8")).await.unwrap().map(|last| last.number);
    let again = [
        decided("7", "c", Some(recorded.number)),
        DecidedAnswer {
            answer: kept("8", ""),
            last,
            line: Some(ConsentLine { said: Said::No, ..of_system("8") }),
        },
    ];
    assert_eq!(
        store.keep_answers(&practice(), &vald(), &read_with, &again, second(60)).await.unwrap(),
        (1, 1)
    );
    assert_eq!(store.kept_answers(&practice(), &vald()).await.unwrap(), [kept("7", "a"), kept("8", "")]);
    let stands = store.consent(&practice(), &vald(), &PatientRef::new("7")).await.unwrap().unwrap();
    assert_eq!(stands.line.how, ConsentHow::AtDesk);

    // Whoever links a practice of this name anew begins anew.
    store.remove_practice(&practice()).await.unwrap();
    assert_eq!(store.kept_answers(&practice(), &vald()).await.unwrap(), []);
    assert_eq!(store.consent_history(&practice(), &PatientRef::new("8")).await.unwrap().len(), 2);
}
