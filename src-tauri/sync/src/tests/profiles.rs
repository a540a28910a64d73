//! Profiles of consenting patients, at a partner that keeps them.

use super::clinic::{Clinic, ada, at, grace, person, run_until};
use super::engine::House;
use super::reaper::Fault;
use super::register::FakeRegister;
use crate::flows::people::People;
use crate::flows::profiles::{COMPARED, Profiles};
use crate::flows::{Flow, FlowName, Outcome, Ports};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::audit::AuditEvent;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::failure::ReadError;
use domain::ids::{ForeignProfileId, PartnerId, PatientRef, PracticeId, ProfileGroupId, ResourceRef, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::{PatientRecord, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Consents, Leg, Links, Marks};
use domain::private::Private;
use domain::settings::{GroupedPatients, ProfileGroupRule, ValdSettings};
use futures_util::FutureExt;
use std::sync::Arc;

/// A clinic with a partner that keeps profiles.
pub struct Place {
    pub clinic: Clinic,
    pub register: FakeRegister,
}

/// Reading who the patients are, and bringing their profiles forward.
pub struct Running {
    people: People,
    profiles: Profiles,
}

impl Running {
    pub fn new(ports: Ports) -> Self {
        Self { people: People::new(ports.clone()), profiles: Profiles::new(ports).unwrap() }
    }
}

#[async_trait]
impl Flow for Running {
    fn name(&self) -> FlowName {
        FlowName::Profiles
    }

    async fn pass(&self) -> Outcome {
        let read = self.people.pass().await;
        let brought = self.profiles.pass().await;
        Outcome { again_at: read.again_at.min(brought.again_at), ..brought }
    }
}

pub fn account() -> ValdSettings {
    ValdSettings {
        tenant_id: "11111111-2222-4333-8444-555555555555".into(),
        region: "aue".into(),
        token_url: "http://127.0.0.1/token".into(),
        audience: "vald-api-external".into(),
        profile_url: "http://127.0.0.1".into(),
        tenants_url: "http://127.0.0.1".into(),
        hub_url: None,
        groups: Vec::new(),
        between_requests: TimeDelta::zero(),
        sync_prefix: "richmond".into(),
        staff_are_adults: true,
    }
}

impl Place {
    pub fn new() -> Self {
        let mut clinic = Clinic::new();
        clinic.settings.vald = Some(account());
        let register = FakeRegister::new(&clinic.clock, &clinic.reaper);
        clinic.practice.diary(|diary| {
            diary.patients.push(record("p2", grace()));
            diary.patients.push(record("p3", person("Kim", "Young", "0491 570 157")));
        });
        Self { clinic, register }
    }

    pub fn ports(&self) -> Ports {
        let mut ports = self.clinic.ports();
        ports.partners = vec![Arc::new(self.register.clone())];
        ports
    }

    /// Starts the program.
    pub fn flow(&self) -> Running {
        Running::new(self.ports())
    }

    pub async fn run(&self, flow: &Running, minutes: i64) {
        run_until(&self.clinic, flow, self.clinic.now() + TimeDelta::minutes(minutes)).await;
    }

    pub async fn says(&self, patient: &str, said: Said) {
        let line = line(self.clinic.settings.id.clone(), patient, said, self.clinic.now());
        self.clinic.store.for_people().record_consents(&[line]).await.unwrap();
    }

    pub async fn agrees(&self, patient: &str) {
        self.says(patient, Said::Yes(Agreement::default())).await;
    }

    pub async fn link(&self, patient: &str) -> Option<Link> {
        let key = LinkKey {
            practice: self.clinic.settings.id.clone(),
            partner: PartnerId::new("vald"),
            kind: LinkKind::Patient,
            local_id: patient.into(),
        };
        self.clinic.store.for_people().link(&key).await.unwrap()
    }

    pub async fn state(&self, patient: &str) -> Option<LinkState> {
        self.link(patient).await.map(|link| link.state)
    }

    fn change(&self, patient: &str, change: impl FnOnce(&mut PersonDetails)) {
        self.clinic.practice.diary(|diary| {
            let found = diary.patients.iter_mut().find(|record| record.id.as_str() == patient).unwrap();
            change(&mut found.details);
            diary.version += 1;
        });
    }

    fn names(&self) -> Vec<String> {
        self.register.files(|files| files.profiles.values().map(|kept| kept.given_name.clone()).collect())
    }

    pub async fn audited(&self) -> Vec<(AuditEvent, Option<PatientRef>)> {
        let entries = self.clinic.store.for_people().audited(0, 10_000).await.unwrap();
        entries.into_iter().map(|entry| (entry.line.what, entry.line.patient)).collect()
    }
}

fn line(practice: PracticeId, patient: &str, said: Said, at: DateTime<Utc>) -> ConsentLine {
    ConsentLine {
        practice,
        partner: PartnerId::new("vald"),
        patient: PatientRef::new(patient),
        said,
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: "1".into(),
        at,
    }
}

fn record(id: &str, details: PersonDetails) -> PatientRecord {
    PatientRecord::new(PatientRef::new(id), details)
}

#[tokio::test]
async fn who_agreed_is_sent_once_and_nobody_else() {
    let place = Place::new();
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    assert_eq!(place.names(), ["Ada"]);
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, link.told_as.as_str()), (LinkState::Linked, "richmond-p1"));
    assert_eq!(link.partner_id.as_deref(), Some("v-0"));
    assert_eq!(place.register.files(|files| files.calls("import")), 1);
    place.run(&place.flow(), 3).await;
    assert_eq!(
        place.register.files(|files| files.calls("import")),
        1,
        "after a restart nothing is sent again"
    );
    assert_eq!(place.state("p2").await, None);
}

#[tokio::test]
async fn every_field_that_left_stands_in_the_trail_with_its_consent() {
    let place = Place::new();
    place.change("p1", |details| details.email = Private::new("ada@example.test".into()));
    place.agrees("p1").await;
    place.run(&place.flow(), 1).await;
    let entries = place.clinic.store.for_people().audited(0, 100).await.unwrap();
    let sent: Vec<_> = entries.iter().filter(|entry| entry.line.what == AuditEvent::Sent).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].line.fields, ["givenName", "familyName", "dateOfBirth", "email"]);
    let partner = PartnerId::new("vald");
    let consents =
        place.clinic.store.for_people().consents(&place.clinic.settings.id, &partner).await.unwrap();
    assert_eq!(sent[0].line.consent, Some(consents[0].number));
}

#[tokio::test]
async fn a_change_in_the_book_is_sent_and_nothing_else() {
    let place = Place::new();
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.change("p2", |details| details.first_name = Private::new("Gracie".into()));
    place.run(&flow, 3).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 3);
    assert!(place.names().contains(&"Gracie".to_owned()));
}

#[tokio::test]
async fn consent_that_is_withdrawn_while_it_waits_is_heard() {
    let place = Place::new();
    place.agrees("p1").await;
    place.register.files(|files| files.fails = Some(|| ReadError::Unreachable("no network".into())));
    let flow = place.flow();
    place.run(&flow, 1).await;
    place.says("p1", Said::No).await;
    place.register.files(|files| files.fails = None);
    place.run(&flow, 10).await;
    assert!(place.names().is_empty());
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
    let audited = place.audited().await;
    let count = |what| audited.iter().filter(|(event, _)| *event == what).count();
    assert_eq!(count(AuditEvent::Sent), count(AuditEvent::NotSent), "{audited:?}");
}

#[tokio::test]
async fn only_what_did_not_leave_is_said_not_to_have_left() {
    for (fails, after) in [
        ((|| ReadError::Unreachable("no network".into())) as fn() -> ReadError, AuditEvent::NotSent),
        (|| ReadError::NoConsent, AuditEvent::Refused),
        (|| ReadError::SlowDown { retry_after: None }, AuditEvent::Refused),
    ] {
        let place = Place::new();
        place.agrees("p1").await;
        place.register.files(|files| files.fails = Some(fails));
        place.flow().pass().await;
        let what: Vec<AuditEvent> = place.audited().await.into_iter().map(|(what, _)| what).collect();
        assert_eq!(what, [AuditEvent::ConsentGiven, AuditEvent::Sent, after]);
    }
}

impl Place {
    /// A patient who agreed changes their mind while a call waits for its turn.
    fn changes_their_mind_during(&self, patient: &'static str, call: &'static str, others: usize) {
        let (store, practice) = (self.clinic.store.for_people(), self.clinic.settings.id.clone());
        let now = self.clinic.now();
        let somebody = move || {
            let (store, practice) = (store.clone(), practice.clone());
            let withdrawn =
                async move { store.record_consents(&[line(practice, patient, Said::No, now)]).await };
            withdrawn.map(|recorded| assert_eq!(recorded.unwrap(), 1)).boxed()
        };
        self.register.meanwhile(call, others, Arc::new(somebody));
    }

    async fn counted(&self, what: AuditEvent) -> usize {
        self.audited().await.iter().filter(|(event, _)| *event == what).count()
    }
}

#[tokio::test]
async fn consent_that_is_withdrawn_while_the_profile_waits_for_its_turn_is_heard() {
    let place = Place::new();
    place.agrees("p1").await;
    place.changes_their_mind_during("p1", "import", 0);
    let ports = place.ports();
    let (board, flow) = (ports.state.clone(), Running::new(ports));
    place.run(&flow, 10).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 0);
    assert!(place.names().is_empty());
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
    // It is nobody's trouble, and the trail knows that nothing left.
    let leg = board.leg(&place.clinic.settings.id, Leg::Profiles);
    assert!(leg.is_none_or(|note| note.problem.is_none()));
    assert_eq!((place.counted(AuditEvent::Sent).await, place.counted(AuditEvent::NotSent).await), (1, 1));
}

#[tokio::test]
async fn consent_that_is_withdrawn_before_the_second_try_without_the_address_is_heard() {
    let place = Place::new();
    place.agrees("p1").await;
    place.change("p1", |details| details.email = Private::new("family@example.test".into()));
    place.register.files(|files| files.taken_emails.insert("family@example.test".into()));
    place.changes_their_mind_during("p1", "import", 1);
    place.run(&place.flow(), 10).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 1, "the first one was refused");
    assert!(place.names().is_empty());
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
    assert_eq!((place.counted(AuditEvent::Sent).await, place.counted(AuditEvent::NotSent).await), (2, 1));
}

#[tokio::test]
async fn consent_that_is_withdrawn_before_a_change_is_sent_is_heard() {
    let place = Place::new();
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.change("p1", |details| details.first_name = Private::new("Adele".into()));
    place.changes_their_mind_during("p1", "import", 0);
    place.run(&flow, 10).await;
    assert_eq!(place.names(), ["Ada"]);
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
}

#[tokio::test]
async fn consent_that_is_withdrawn_while_the_groups_wait_for_their_turn_is_heard() {
    let mut place = Place::new();
    let rule = ProfileGroupRule { group: "Knees".into(), whose: GroupedPatients::All };
    place.clinic.settings.vald.as_mut().unwrap().groups = vec![rule];
    place.agrees("p1").await;
    place.changes_their_mind_during("p1", "groups", 0);
    place.run(&place.flow(), 10).await;
    assert_eq!(place.names(), ["Ada"]);
    assert_eq!(place.register.files(|files| files.calls("groups of")), 0);
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
}

#[tokio::test]
async fn withdrawn_consent_stops_the_sync_and_says_what_is_left() {
    let place = Place::new();
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.says("p1", Said::No).await;
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    place.run(&flow, 5).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::Ended);
    assert!(link.reason.unwrap().contains("remove the profile in VALD Hub by hand"));
    assert_eq!(place.names(), ["Ada"]);
    assert!(place.audited().await.contains(&(AuditEvent::Ended, Some(PatientRef::new("p1")))));
}

#[tokio::test]
async fn one_profile_that_cannot_be_sent_holds_nobody_up() {
    let place = Place::new();
    for patient in ["p1", "p2", "p3"] {
        place.agrees(patient).await;
    }
    place.register.files(|files| files.falls_over = Some(SyncId::new("richmond-p1")));
    let flow = place.flow();
    place.run(&flow, 30).await;
    assert_eq!(place.names(), ["Grace", "Kim"]);
    assert_eq!(place.link("p1").await.unwrap().state, LinkState::Pending);
    place.register.files(|files| files.falls_over = None);
    place.run(&flow, 30).await;
    assert_eq!(place.link("p1").await.unwrap().state, LinkState::Linked);
}

#[tokio::test]
async fn an_email_that_is_taken_is_left_out_and_told() {
    let place = Place::new();
    place.change("p1", |details| details.email = Private::new("family@example.test".into()));
    place.register.files(|files| files.taken_emails.insert("family@example.test".into()));
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::Linked);
    assert!(link.reason.unwrap().contains("without it"));
    assert_eq!(place.register.files(|files| files.profiles[&SyncId::new("richmond-p1")].email.clone()), "");
    place.run(&place.flow(), 120).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 2, "it is not tried again and again");
}

#[tokio::test]
async fn a_refused_profile_waits_for_a_correction_or_for_somebody_to_ask() {
    let place = Place::new();
    place.register.files(|files| files.refused_names.insert("Ada".into()));
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let flow = place.flow();
    place.run(&flow, 120).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::Failed);
    assert!(link.reason.unwrap().contains("givenName: is not accepted"));
    assert_eq!(place.state("p2").await, Some(LinkState::Linked), "the others go on");
    assert_eq!(place.register.files(|files| files.calls("import richmond-p1")), 1);
    let store = place.clinic.store.for_people();
    store.forget_marks(&place.clinic.settings.id, COMPARED).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.register.files(|files| files.calls("import richmond-p1")), 2, "asked for at the desk");
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    place.run(&flow, 3).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
}

#[tokio::test]
async fn a_profile_that_shows_late_is_found() {
    let place = Place::new();
    place.register.files(|files| files.visible_after = TimeDelta::seconds(20));
    place.agrees("p1").await;
    let flow = place.flow();
    run_until(&place.clinic, &flow, place.clinic.now() + TimeDelta::seconds(10)).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Pending));
    run_until(&place.clinic, &flow, place.clinic.now() + TimeDelta::seconds(60)).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
    assert_eq!(place.register.files(|files| files.calls("import")), 1);
}

#[tokio::test]
async fn many_profiles_are_looked_for_in_one_list() {
    let place = Place::new();
    for number in 0..50 {
        let id = format!("m{number}");
        place.clinic.practice.diary(|diary| diary.patients.push(record(&id, person("Many", &id, ""))));
        place.agrees(&id).await;
    }
    let flow = place.flow();
    place.run(&flow, 5).await;
    for number in 0..50 {
        assert_eq!(place.state(&format!("m{number}")).await, Some(LinkState::Linked), "{number}");
    }
    let (one_by_one, lists) = place.register.files(|files| (files.calls("profile"), files.calls("list")));
    assert!(one_by_one <= 6 && lists <= 6, "{one_by_one} questions, {lists} lists");
}

#[tokio::test]
async fn new_profiles_are_put_into_their_groups() {
    let mut place = Place::new();
    let rule = |group: &str, whose| ProfileGroupRule { group: group.into(), whose };
    place.clinic.settings.vald.as_mut().unwrap().groups = vec![
        rule("all clients", GroupedPatients::All),
        rule("g-2", GroupedPatients::SeenBy(ResourceRef::new("r1"))),
        rule("Nobody knows it", GroupedPatients::All),
    ];
    place.clinic.practice.diary(|diary| diary.enter("r1", at("14:00"), "p1"));
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let ports = place.ports();
    crate::flows::availability::Availability::new(ports.clone()).pass().await;
    let flow = Running::new(ports);
    place.run(&flow, 3).await;
    let groups = |patient: &str| {
        let sync_id = SyncId::new(format!("richmond-{patient}"));
        place.register.files(|files| files.profiles[&sync_id].groups.iter().cloned().collect::<Vec<_>>())
    };
    assert_eq!(groups("p1"), [ProfileGroupId::new("g-1"), ProfileGroupId::new("g-2")]);
    assert_eq!(groups("p2"), [ProfileGroupId::new("g-1")]);
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::Linked);
    assert!(link.reason.unwrap().contains("VALD has no group “Nobody knows it”"));
}

#[tokio::test]
async fn groups_by_practitioner_wait_until_the_book_was_read() {
    let mut place = Place::new();
    let seen_by = GroupedPatients::SeenBy(ResourceRef::new("r1"));
    place.clinic.settings.vald.as_mut().unwrap().groups =
        vec![ProfileGroupRule { group: "Knees".into(), whose: seen_by }];
    place.clinic.practice.diary(|diary| diary.enter("r1", at("14:00"), "p1"));
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    place.run(&flow, 3).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, link.partner_id.is_some()), (LinkState::Pending, true));
    // Sending it again meanwhile does not count as having put it into its groups.
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    place.run(&flow, 3).await;
    assert!(place.names().contains(&"Adah".to_owned()));
    crate::flows::availability::Availability::new(ports).pass().await;
    place.run(&flow, 1).await;
    for (patient, expected) in [("p1", vec![ProfileGroupId::new("g-2")]), ("p2", vec![])] {
        assert_eq!(place.state(patient).await, Some(LinkState::Linked), "{patient}");
        let sync_id = SyncId::new(format!("richmond-{patient}"));
        let groups = place.register.files(|files| files.profiles[&sync_id].groups.clone());
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected, "{patient}");
    }
    let calls = place.register.files(|files| files.log.len());
    assert!(calls <= 12, "{calls} calls: waiting asks nothing");
}

#[tokio::test]
async fn a_profile_that_is_being_merged_is_followed_and_not_written_to() {
    let place = Place::new();
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    let sync_id = SyncId::new("richmond-p1");
    let other = ForeignProfileId::new("v-other");
    place.register.files(|files| {
        let kept = files.profiles.get_mut(&sync_id).unwrap();
        kept.merging_into = Some(other.clone());
        kept.modified_at = place.clinic.now();
    });
    place.run(&flow, 61).await;
    assert_eq!(place.link("p1").await.unwrap().partner_id.as_deref(), Some("v-other"));
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    place.run(&flow, 30).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 1, "nothing is written to it meanwhile");
    place.register.files(|files| {
        let kept = files.profiles.get_mut(&sync_id).unwrap();
        kept.merging_into = None;
        kept.id = other.clone();
    });
    place.run(&flow, 130).await;
    assert_eq!(place.register.files(|files| files.calls("import")), 2);
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
}

#[tokio::test]
async fn a_sync_id_that_went_with_a_merged_profile_is_a_matter_for_people() {
    let place = Place::new();
    place.agrees("p1").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    let sync_id = SyncId::new("richmond-p1");
    place.register.files(|files| {
        let kept = files.profiles.get_mut(&sync_id).unwrap();
        kept.merging_into = Some(ForeignProfileId::new("v-other"));
        kept.modified_at = place.clinic.now();
    });
    place.run(&flow, 61).await;
    place.register.files(|files| files.profiles.clear());
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    place.run(&flow, 130).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Conflict));
    assert!(place.names().is_empty(), "no second profile of the same person was made");
}

/// A profile that was merged into another, which our sync id did not come to. Returns what stood there.
async fn lost_in_a_merger(place: &Place, flow: &Running) -> super::register::Kept {
    place.agrees("p1").await;
    place.run(flow, 3).await;
    let kept = place.register.files(|files| {
        let kept = files.profiles.get_mut(&SyncId::new("richmond-p1")).unwrap();
        kept.merging_into = Some(ForeignProfileId::new("v-other"));
        kept.modified_at = place.clinic.now();
        kept.clone()
    });
    place.run(flow, 61).await;
    place.register.files(|files| files.profiles.clear());
    place.run(flow, 130).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Conflict));
    kept
}

#[tokio::test]
async fn a_sync_id_that_support_put_back_ends_the_conflict() {
    let mut place = Place::new();
    place.clinic.settings.vald.as_mut().unwrap().groups =
        vec![ProfileGroupRule { group: "Knees".into(), whose: GroupedPatients::All }];
    let flow = place.flow();
    let kept = lost_in_a_merger(&place, &flow).await;
    place.change("p1", |details| details.first_name = Private::new("Adah".into()));
    let id = ForeignProfileId::new("v-other");
    let back = super::register::Kept { id, merging_into: None, groups: [].into(), ..kept };
    place.register.files(|files| files.profiles.insert(SyncId::new("richmond-p1"), back));
    place.run(&flow, 130).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, link.reason.as_deref()), (LinkState::Linked, None));
    assert_eq!(place.names(), ["Adah"], "what changed meanwhile is sent");
    let groups = place.register.files(|files| files.profiles[&SyncId::new("richmond-p1")].groups.clone());
    assert_eq!(groups, [ProfileGroupId::new("g-2")].into());
}

#[tokio::test]
async fn who_withdrew_while_a_profile_was_lost_stays_ended_with_the_reason() {
    let place = Place::new();
    let flow = place.flow();
    let kept = lost_in_a_merger(&place, &flow).await;
    place.says("p1", Said::No).await;
    place.run(&flow, 130).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
    let back = super::register::Kept { merging_into: None, ..kept };
    place.register.files(|files| files.profiles.insert(SyncId::new("richmond-p1"), back));
    place.run(&flow, 130).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::Ended);
    assert!(link.reason.unwrap().starts_with("Consent was withdrawn."));
}

#[tokio::test]
async fn who_is_waited_for_comes_first() {
    let place = Place::new();
    for number in 0..60 {
        let id = format!("m{number}");
        place.clinic.practice.diary(|diary| diary.patients.push(record(&id, person("Many", &id, ""))));
        place.agrees(&id).await;
    }
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    ports.hurried.add(ports.id(), [PatientRef::new("m0")].into());
    flow.pass().await;
    let first =
        place.register.files(|files| files.log.iter().find(|call| call.starts_with("import")).cloned());
    assert_eq!(first.as_deref(), Some("import richmond-m0"));
}

/// Adds patients to the book, `m0` and so on, who all agreed.
async fn many_agree(place: &Place, count: usize) {
    for number in 0..count {
        let id = format!("m{number}");
        place.clinic.practice.diary(|diary| diary.patients.push(record(&id, person("Many", &id, ""))));
        place.agrees(&id).await;
    }
}

/// Lets the program work at four requests a second until `done`, and returns how many requests that took.
async fn requests_until(place: &Place, flow: &Running, done: impl AsyncFn() -> bool) -> usize {
    let before = place.register.files(|files| files.log.len());
    for _ in 0..2000 {
        let outcome = flow.pass().await;
        if done().await {
            return place.register.files(|files| files.log.len()) - before;
        }
        place.clinic.clock.move_to(outcome.again_at.max(place.clinic.now()));
    }
    panic!("never done: {:?}", place.register.files(|files| files.log.len()));
}

/// Three hundred wait to be sent, at VALD's pace, each of them with a group.
async fn three_hundred_wait() -> (Place, Ports, Running) {
    let mut place = Place::new();
    place.clinic.settings.vald.as_mut().unwrap().groups =
        vec![ProfileGroupRule { group: "Knees".into(), whose: GroupedPatients::All }];
    place.register.files(|files| files.pace = TimeDelta::milliseconds(250));
    many_agree(&place, 300).await;
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    flow.pass().await;
    (place, ports, flow)
}

#[tokio::test]
async fn whoever_is_asked_for_is_linked_within_a_few_requests_while_300_wait() {
    let (place, ports, flow) = three_hundred_wait().await;
    ports.hurried.add(ports.id(), [PatientRef::new("m7")].into());
    let linked = async || place.state("m7").await == Some(LinkState::Linked);
    // A pass of up to sixteen steps ends with it at the latest.
    let requests = requests_until(&place, &flow, linked).await;
    assert!(requests <= 20, "{requests} requests");
    let log = place.register.files(|files| files.log.clone());
    let from = log.iter().position(|call| call == "import richmond-m7").unwrap();
    let to = log.iter().rposition(|call| call.starts_with("groups of")).unwrap();
    assert!(log.len() - from <= 20 && to > from, "{:?}", &log[from..]);
    let sent_before = log[..from].iter().filter(|call| call.starts_with("import")).count();
    assert_eq!(sent_before, 16, "nobody else was sent before");
    let groups = place.register.files(|files| files.profiles[&SyncId::new("richmond-m7")].groups.clone());
    assert_eq!(groups, [ProfileGroupId::new("g-2")].into());
}

#[tokio::test]
async fn whoever_agrees_at_the_desk_is_linked_within_a_few_requests_while_300_wait() {
    let (place, _, flow) = three_hundred_wait().await;
    place.agrees("p1").await;
    let linked = async || place.state("p1").await == Some(LinkState::Linked);
    let requests = requests_until(&place, &flow, linked).await;
    assert!(requests <= 20, "{requests} requests");
}

#[tokio::test]
async fn a_wish_in_the_middle_of_a_pass_ends_it() {
    let (place, ports, flow) = three_hundred_wait().await;
    let hurried = ports.hurried.clone();
    let practice = ports.id().clone();
    let somebody = move || -> futures_util::future::BoxFuture<'static, ()> {
        hurried.add(&practice, [PatientRef::new("m7")].into());
        Box::pin(async {})
    };
    place.clinic.reaper.somebody(Arc::new(somebody));
    let before = place.register.files(|files| files.log.len());
    place.clinic.reaper.plan(&[(place.clinic.reaper.touches() + 40, Fault::SomebodyActs)]);
    flow.pass().await;
    let requests = place.register.files(|files| files.log.len()) - before;
    assert!((1..12).contains(&requests), "{requests} requests");
    flow.pass().await;
    let next = place.register.files(|files| files.log[before + requests].clone());
    assert_eq!(next, "import richmond-m7");
}

#[tokio::test]
async fn links_are_counted_while_many_are_sent() {
    let place = Place::new();
    place.register.files(|files| files.pace = TimeDelta::milliseconds(250));
    many_agree(&place, 600).await;
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    let state = ports.state.subscribe();
    let shown = || state.borrow().practices[ports.id()].profiles.clone().unwrap_or_default();
    let linked = || shown().links.get(&LinkState::Linked).copied().unwrap_or_default();
    let some = async || linked() >= 200;
    requests_until(&place, &flow, some).await;
    let (sent, of) = shown().sending.unwrap();
    assert!(sent < 300 && of == 600, "{sent} of {of}");
    let all = async || linked() == 600;
    requests_until(&place, &flow, all).await;
    let calls = place.register.files(|files| (files.calls("import"), files.log.len()));
    assert_eq!(calls.0, 600);
    assert!(calls.1 <= 612, "{} requests for 600 profiles", calls.1);
}

#[tokio::test]
async fn one_consent_more_has_nobody_else_read_again() {
    let place = Place::new();
    many_agree(&place, 50).await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    let before = place.clinic.store.disk(|disk| disk.read_whole);
    place.agrees("p1").await;
    place.change("p2", |details| details.first_name = Private::new("Gracie".into()));
    place.says("m3", Said::No).await;
    place.change("m4", |details| details.first_name = Private::new("Manny".into()));
    place.run(&flow, 3).await;
    assert_eq!(place.clinic.store.disk(|disk| disk.read_whole), before);
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
    assert_eq!(place.state("m3").await, Some(LinkState::Ended));
    assert!(place.names().contains(&"Manny".to_owned()));
    assert_eq!(place.register.files(|files| files.calls("import")), 52);
}

#[tokio::test]
async fn who_was_born_today_is_sent_when_that_day_has_begun_in_greenwich() {
    let place = Place::new();
    // Two in the morning of the 21st in Melbourne.
    place.clinic.clock.move_to("2026-11-20T15:00:00Z".parse().unwrap());
    place.change("p1", |details| details.birth_date = Private::new("2026-11-21".parse().ok()));
    let guardian = Some(Private::new("A parent".into()));
    place.says("p1", Said::Yes(Agreement { guardian, photo_and_video: false })).await;
    let flow = place.flow();
    place.run(&flow, 8 * 60).await;
    assert!(place.names().is_empty());
    assert_eq!(place.state("p1").await, Some(LinkState::Pending));
    let read = place.clinic.store.disk(|disk| disk.read_whole);
    run_until(&place.clinic, &flow, "2026-11-21T00:05:30Z".parse().unwrap()).await;
    assert_eq!(place.names(), ["Ada"]);
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
    assert!(place.clinic.store.disk(|disk| disk.read_whole) - read <= 1);
}

#[tokio::test]
async fn what_the_former_tenant_accepts_late_is_not_taken_for_the_new_ones() {
    let mut house = House::new();
    house.practice("richmond").await;
    let (former, new) = (house.register("former"), house.register("new"));
    let tenant = |tenant: &str| Some(ValdSettings { tenant_id: tenant.into(), ..account() });
    house.change("richmond", |settings| settings.vald = tenant("former")).await;
    let line = ConsentLine {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("vald"),
        patient: PatientRef::new("p1"),
        said: Said::Yes(Agreement::default()),
        how: ConsentHow::AtDesk,
        recorded_by: Private::new("Kim".into()),
        wording: "1".into(),
        at: house.clock.now(),
    };
    house.store.for_people().record_consents(&[line]).await.unwrap();
    former.answers.send_replace(false);
    house.start().await;
    // People are read on another thread, which takes a while where the computer is busy.
    for _ in 0..1_000 {
        if former.answers.receiver_count() > 0 {
            break;
        }
        house.run(1).await;
    }
    house.change("richmond", |settings| settings.vald = tenant("new")).await;
    house.run(5).await;
    former.answers.send_replace(true);
    house.run(60).await;
    assert_eq!(former.files(|files| files.calls("import")), 1);
    assert_eq!(new.files(|files| files.calls("import richmond-p1")), 1);
    let links = house.store.for_people().links(&PracticeId::new("richmond"), None).await.unwrap();
    assert_eq!(links.iter().map(|link| link.state).collect::<Vec<_>>(), [LinkState::Linked]);
    // Nothing is forgotten again and again.
    house.engine = None;
    house.settle().await;
    house.start().await;
    house.run(60).await;
    assert_eq!(new.files(|files| files.calls("import richmond-p1")), 1);
}

#[tokio::test]
async fn a_refusal_of_the_account_is_a_sentence_about_vald_and_waits_a_minute() {
    let place = Place::new();
    place.agrees("p1").await;
    place.register.files(|files| files.fails = Some(|| ReadError::NotAuthorised));
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    place.run(&flow, 10).await;
    let note = ports.state.leg(ports.id(), Leg::Profiles).unwrap();
    assert!(note.problem.unwrap().sentence.starts_with("VALD refuses the client id and secret."));
    let calls = place.register.files(|files| files.log.len());
    assert!(calls <= 11, "{calls} calls in ten minutes");
}

/// A large book takes seconds to read.
#[tokio::test]
async fn who_agreed_is_sent_before_everybody_was_read() {
    let place = Place::new();
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    flow.profiles.pass().await;
    assert!(ports.people().is_none());
    assert_eq!(place.register.files(|files| files.calls("import")), 2);
    place.change("p2", |details| details.first_name = Private::new("Gracie".into()));
    place.run(&flow, 3).await;
    assert!(place.names().contains(&"Gracie".to_owned()));
    assert_eq!(place.register.files(|files| files.calls("import")), 3, "only the change is sent");
}

#[tokio::test]
async fn vald_proves_itself_while_the_book_cannot_be_read() {
    let place = Place::new();
    place.agrees("p1").await;
    place.clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::NotAuthorised));
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    place.run(&flow, 3).await;
    assert!(ports.state.leg(ports.id(), Leg::Profiles).unwrap().proven_at.is_some());
    assert!(ports.state.leg(ports.id(), Leg::System).unwrap().problem.is_some());
    place.clinic.practice.diary(|diary| diary.fails = None);
    place.run(&flow, 3).await;
    assert_eq!(place.names(), ["Ada"]);
}

#[tokio::test]
async fn vald_proves_itself_once_an_hour_while_there_is_nothing_to_tell() {
    let place = Place::new();
    let ports = place.ports();
    let flow = Running::new(ports.clone());
    place.run(&flow, 300).await;
    let calls = place.register.files(|files| files.log.len());
    assert!((5..=7).contains(&calls), "{calls} calls in five hours");
    let proven_at = ports.state.leg(ports.id(), Leg::Profiles).unwrap().proven_at.unwrap();
    assert!(place.clinic.now() - proven_at <= TimeDelta::minutes(62));
}

/// Whatever fails or dies, and whenever: in the end each profile stands there as the book says, known by its id, and
/// nobody left this computer without a line in the trail.
#[tokio::test]
async fn whatever_dies_every_profile_stands_there_once_and_with_a_line() {
    let touches = walk(&[]).await;
    assert!(touches > 20, "{touches}");
    for touch in 1..=touches {
        for fault in Fault::ALL {
            walk(&[(touch, fault)]).await;
        }
    }
}

/// Returns how often the world was touched until both were linked.
async fn walk(faults: &[(usize, Fault)]) -> usize {
    let mut place = Place::new();
    place.clinic.settings.system.poll_seconds = 600;
    for patient in ["p1", "p2"] {
        place.agrees(patient).await;
    }
    let somebody = {
        let store = place.clinic.store.for_people();
        let line = ConsentLine {
            practice: place.clinic.settings.id.clone(),
            partner: PartnerId::new("vald"),
            patient: PatientRef::new("p3"),
            said: Said::Yes(Agreement::default()),
            how: ConsentHow::AtDesk,
            recorded_by: Private::new("Kim".into()),
            wording: String::new(),
            at: place.clinic.now(),
        };
        move || -> futures_util::future::BoxFuture<'static, ()> {
            let (store, line) = (store.clone(), line.clone());
            Box::pin(async move { drop(store.record_consents(&[line]).await) })
        }
    };
    place.clinic.reaper.somebody(Arc::new(somebody));
    place.clinic.reaper.plan(faults);
    let (first, until) =
        (place.clinic.now() + TimeDelta::minutes(1), place.clinic.now() + TimeDelta::minutes(20));
    let mut touches = 0;
    while place.clinic.now() < until {
        let flow = place.flow();
        let life = async {
            run_until(&place.clinic, &flow, first).await;
            touches = place.clinic.reaper.touches();
            run_until(&place.clinic, &flow, until).await;
        };
        tokio::select! {
            () = life => {}
            () = place.clinic.reaper.death() => {
                place.clinic.reaper.revive();
                place.clinic.clock.move_by(TimeDelta::seconds(1));
            }
        }
    }
    let story = format!("{faults:?}");
    for (patient, name) in [("p1", ada()), ("p2", grace())] {
        let link = place.link(patient).await.unwrap_or_else(|| panic!("{story}: {patient} has no link"));
        assert_eq!(link.state, LinkState::Linked, "{story}: {link:?}");
        let kept = place.register.files(|files| files.profiles[&SyncId::new(link.told_as.clone())].clone());
        assert_eq!(
            (&kept.given_name, Some(kept.id.to_string())),
            (name.first_name.reveal(), link.partner_id)
        );
    }
    let audited = place.audited().await;
    for sync_id in place.register.files(|files| files.profiles.keys().cloned().collect::<Vec<_>>()) {
        let patient = PatientRef::new(sync_id.as_str().trim_start_matches("richmond-"));
        assert!(
            audited.contains(&(AuditEvent::Sent, Some(patient))),
            "{story}: {sync_id} left without a line"
        );
    }
    touches
}
