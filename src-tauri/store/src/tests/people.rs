//! Consents, links and the audit trail.

use super::ports::settings;
use super::*;
use chrono::TimeDelta;
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::store::{AuditTrail, Consents, Links, Mark, Marks, Revision, SettingsBook};
use domain::settings::{GroupedPatients, PracticeSettings, ProfileGroupRule, ValdSettings};

fn vald() -> PartnerId {
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

fn yes(patient: &str) -> ConsentLine {
    said(patient, Said::Yes(Agreement::default()))
}

fn link(patient: &str) -> Link {
    let key =
        LinkKey { practice: practice(), partner: vald(), kind: LinkKind::Patient, local_id: patient.into() };
    Link::new(key, format!("richmond-{patient}"), second(2))
}

fn sent(patient: &str) -> AuditLine {
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
async fn what_is_said_again_is_no_news() {
    let (_dir, store) = fresh();
    let before = store.revision().await.unwrap();
    assert_eq!(store.record_consents(&[yes("7"), yes("7")]).await.unwrap(), 1);
    let after = store.revision().await.unwrap();
    assert_ne!(before, after, "another process hears of it");
    let later = ConsentLine { at: second(90), recorded_by: private("Lee"), ..yes("7") };
    assert_eq!(store.record_consents(&[later]).await.unwrap(), 0);
    assert_eq!(
        store.record_consents(&[ConsentLine { wording: "2026-2".into(), ..yes("7") }]).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn many_consents_are_recorded_together() {
    let (_dir, store) = fresh();
    let lines: Vec<ConsentLine> = (0..5000).map(|patient| yes(&patient.to_string())).collect();
    assert_eq!(store.record_consents(&lines).await.unwrap(), 5000);
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
    let counts = store.link_counts(&practice(), &vald()).await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(LinkState::Linked, 1), (LinkState::Failed, 1)]);
    assert_eq!(store.forget_links(&practice(), &vald()).await.unwrap(), 2);
    assert_eq!(store.audited(0, 10).await.unwrap().len(), 1, "what left stays on record");
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
async fn the_trail_shows_that_it_was_changed() {
    let (_dir, store) = fresh();
    store.audit(&[sent("7"), sent("8"), sent("9")]).await.unwrap();
    let entries = store.audited(0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries[1].line, sent("8"));
    assert_eq!(store.audited(2, 10).await.unwrap(), entries[2..]);
    assert_eq!(store.audited_of(&practice(), &PatientRef::new("8"), 5).await.unwrap(), entries[1..2]);
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    let tampered = |sql: &'static str| {
        store.write(move |tx| {
            tx.execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_remains;")?;
            tx.execute_batch(sql)?;
            tx.execute_batch(
                "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'no'); END;
                 CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'no'); END;",
            )?;
            Ok(())
        })
    };
    tampered("UPDATE audit SET fields = 'givenName' WHERE number = 2").await.unwrap();
    assert_eq!(store.audit_broken_at().await.unwrap(), Some(2));
    tampered("UPDATE audit SET fields = 'givenName email' WHERE number = 2").await.unwrap();
    assert_eq!(store.audit_broken_at().await.unwrap(), None);
    tampered("DELETE FROM audit WHERE number = 1").await.unwrap();
    assert_eq!(store.audit_broken_at().await.unwrap(), Some(1));
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

#[tokio::test]
async fn another_tenant_knows_nothing_of_what_the_former_was_told() {
    let (_dir, store) = fresh();
    store.save_practice(&with_vald("one")).await.unwrap();
    assert_eq!(store.practices().await.unwrap(), [with_vald("one")]);
    store.record_consents(&[yes("7")]).await.unwrap();
    store.save_links(&[link("7")], &[sent("7")]).await.unwrap();
    let mark = |thing: &str| Mark { thing: thing.into(), digest: String::new(), at: second(1) };
    store.set_marks(&practice(), &[mark("profiles/compared"), mark("resources")]).await.unwrap();
    let mut other_groups = with_vald("one");
    other_groups.vald.as_mut().unwrap().groups.clear();
    store.save_practice(&other_groups).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap().len(), 1, "the same tenant");
    store.save_practice(&with_vald("two")).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap(), []);
    assert_eq!(store.marks(&practice(), "").await.unwrap(), [mark("resources")]);
    store.save_links(&[link("7")], &[]).await.unwrap();
    store.remove_practice(&practice()).await.unwrap();
    assert_eq!(store.links(&practice(), None).await.unwrap(), []);
    assert_eq!(
        store.audited(0, 10).await.unwrap().len(),
        2,
        "consent and trail stay when a practice is unlinked"
    );
    assert_eq!(store.last_consent().await.unwrap(), 1);
}
