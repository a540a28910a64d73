//! What the window asks about records that are joined, on the made-up clinic with its engine and the simulated partner.

use super::*;
use crate::demo::made_up::MadeUp;
use crate::patients;
use domain::ports::store::Links;

/// The partner of the made-up clinic that joins records.
fn joins() -> &'static Linkable {
    partners::LINKABLE.iter().find(|linkable| linkable.card.joins_records).expect("one that joins records")
}

/// Waits until the link of a patient stands like that.
async fn becomes(clinic: &MadeUp, patient: &PatientRef, state: LinkState) -> Link {
    let key = key_of(&clinic.practice, joins(), patient);
    let store = clinic.store();
    let mut engine = clinic.desk.running().expect("runs").engine.state();
    loop {
        if let Some(link) = store.link(&key).await.expect("reads").filter(|link| link.state == state) {
            return link;
        }
        engine.changed().await.expect("the engine runs");
    }
}

async fn shown(clinic: &MadeUp, patient: &PatientRef) -> JoinedView {
    let card = patients::card(&clinic.desk, &clinic.practice, patient).await.expect("a card");
    card.joined.into_iter().find(|joined| joined.partner == joins().card.name).expect("is linked")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_linked_opened_unlinked_and_remembered_as_somebody_else() {
    let clinic = MadeUp::running().await;
    let (desk, practice, name) = (&clinic.desk, &clinic.practice, joins().card.name);
    let member = PatientRef::new("5");
    let link = becomes(&clinic, &member, LinkState::Linked).await;
    let record = link.partner_id.clone().expect("a record");
    let joined = shown(&clinic, &member).await;
    assert_eq!((joined.linked, joined.undecided, joined.allowed), (true, false, true));

    open(desk, practice, &member, name).await.expect("opens");
    let opened = crate::system_open::opened();
    assert!(opened.iter().any(|address| address.ends_with(&record)), "{opened:?}");
    let compared = candidates(desk, practice, &member, name).await.expect("reads");
    assert_eq!(compared.len(), 1);
    let one = compared.first().expect("one");
    assert_eq!((one.record_id.as_str(), one.linked, one.taken), (record.as_str(), true, false));
    assert_eq!(one.linked_as.as_deref(), Some(link.told_as.as_str()));
    assert!(!one.fields.is_empty() && one.explained.contains("same"), "{one:?}");

    let choice = |same: bool| JoinChoice {
        partner: name.to_owned(),
        kind: JoinKind::Patient,
        local_id: member.to_string(),
        record_id: record.clone(),
        same,
    };
    let nameless = decide(desk, practice, choice(false), "  ").await.expect_err("nobody said so");
    assert_eq!(nameless.code, ErrorCode::InputInvalid);
    decide(desk, practice, choice(false), "Kim").await.expect("is recorded");
    assert!(!shown(&clinic, &member).await.linked);
    let error = open(desk, practice, &member, name).await.expect_err("no page");
    assert_eq!(error.code, ErrorCode::NotLinkedYet);
    decide(desk, practice, choice(true), "Kim").await.expect("is recorded");
    becomes(&clinic, &member, LinkState::Linked).await;
    let card = patients::card(desk, practice, &member).await.expect("a card");
    let what: Vec<&str> = card.left.iter().map(|line| line.what.as_str()).collect();
    assert!(
        what.contains(&"matched") && what.contains(&"not_matched") && what.contains(&"opened"),
        "{what:?}"
    );
    clinic.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_former_program_left_is_shown_before_it_is_carried_over() {
    let clinic = MadeUp::running().await;
    let (desk, practice, name) = (&clinic.desk, &clinic.practice, joins().card.name);
    // Registered twice in the book, so that only the former link or a person says whom Hint means.
    let twice = PatientRef::new("21");
    becomes(&clinic, &twice, LinkState::NeedsPerson).await;
    let joined = shown(&clinic, &twice).await;
    assert!(joined.undecided && joined.reason.is_some(), "{joined:?}");
    let before = clinic.store().audited(0, 10_000).await.expect("reads").len();
    let found = former(desk, practice, name).await.expect("reads");
    assert!(found.fitting > 0 && found.unknown == 1, "{found:?}");
    assert_eq!(found.rows.first().map(|row| row.fit), Some(crate::view::FormerFitView::Fits));
    assert!(found.rows.iter().all(|row| !row.left.is_empty() && !row.there.is_empty()));
    let lines = clinic.store().audited(0, 10_000).await.expect("reads");
    assert!(
        lines.iter().skip(before).all(|entry| entry.line.what != AuditEvent::Matched),
        "looking changes nothing"
    );
    assert_eq!(
        carry_over(desk, practice, name, " ").await.map_err(|error| error.code),
        Err(ErrorCode::InputInvalid)
    );
    assert!(carry_over(desk, practice, name, "Kim").await.expect("is recorded") > 0);
    let link = becomes(&clinic, &twice, LinkState::Linked).await;
    assert_eq!(link.told_as, "21", "the former name goes on being used");
    clinic.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_not_asked_is_not_looked_for() {
    let clinic = MadeUp::paused().await;
    let patient = PatientRef::new("1");
    let joined = shown(&clinic, &patient).await;
    assert_eq!((joined.allowed, joined.linked, joined.since), (false, false, None));
    let name = joins().card.name;
    let error =
        candidates(&clinic.desk, &clinic.practice, &patient, name).await.expect_err("nothing to show");
    assert!(error.code == ErrorCode::NotLinkedYet && error.message.contains("Record consent"), "{error:?}");
    let choice = JoinChoice {
        partner: name.to_owned(),
        kind: JoinKind::Patient,
        local_id: "1".to_owned(),
        record_id: "pat-1".to_owned(),
        same: true,
    };
    let error = decide(&clinic.desk, &clinic.practice, choice, "Kim").await.expect_err("consent comes first");
    assert!(error.message.contains("consent comes first"), "{error:?}");
    clinic.stop().await;
}
