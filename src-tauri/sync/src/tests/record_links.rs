//! Links with the records of a partner that keeps our names.

use super::clinic::{Clinic, run_until};
use super::keeper::FakeKeeper;
use super::practice::resource;
use super::reaper::Fault;
use crate::flows::people::People;
use crate::flows::record_links::RecordLinks;
use crate::flows::{Flow, FlowName, Outcome, Ports};
use crate::record_desk::{self, Choice, DecideError, FormerLinks};
use crate::state::ResourceState;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::audit::AuditEvent;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::failure::ReadError;
use domain::ids::{ForeignRecordId, PartnerId, PatientRef, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::{PatientRecord, PersonDetails};
use domain::ports::records::RecordRegister;
use domain::ports::store::{AuditTrail, Consents, Leg, Links};
use domain::private::Private;
use domain::records::{ForeignRecord, FormerName, InvoiceFacts, LocalInvoice};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A clinic with a partner that keeps our names.
struct Place {
    clinic: Clinic,
    keeper: FakeKeeper,
}

/// Reading who the patients are, and bringing their links forward.
struct Running {
    people: People,
    links: RecordLinks,
}

#[async_trait]
impl Flow for Running {
    fn name(&self) -> FlowName {
        self.links.name()
    }

    async fn pass(&self) -> Outcome {
        let read = self.people.pass().await;
        let brought = self.links.pass().await;
        Outcome { again_at: read.again_at.min(brought.again_at), ..brought }
    }
}

fn details(first: &str, last: &str, born: &str, phone: &str, email: &str) -> PersonDetails {
    PersonDetails {
        first_name: Private::new(first.into()),
        last_name: Private::new(last.into()),
        birth_date: Private::new(born.parse().ok()),
        phones: vec![Private::new(phone.into())],
        email: Private::new(email.into()),
        ..PersonDetails::default()
    }
}

fn ravi() -> PersonDetails {
    details("Ravi", "Calloway", "1979-01-30", "0491 570 006", "ravi@example.test")
}

fn foreign(id: &str, details: PersonDetails) -> ForeignRecord {
    ForeignRecord {
        kind: LinkKind::Patient,
        id: ForeignRecordId::new(id),
        told_as: None,
        former: Vec::new(),
        details,
        invoice: None,
        archived: false,
        merged_into: None,
        updated_at: Some(super::clinic::start() - TimeDelta::days(1)),
        page: None,
        shows_problem: false,
    }
}

impl Place {
    /// Nobody is in the book or at the partner.
    fn empty() -> Self {
        let mut clinic = Clinic::new();
        clinic.settings.system.poll_seconds = 60;
        clinic.practice.diary(|diary| diary.patients.clear());
        let keeper = FakeKeeper::new(&clinic.clock, &clinic.reaper);
        Self { clinic, keeper }
    }

    /// One patient, whom both sides know and who agreed.
    async fn with_ravi() -> Self {
        let place = Self::empty();
        place.comes("77", ravi());
        place.keeper.shelf(|shelf| shelf.put(foreign("pat-1", ravi())));
        place.agrees("77").await;
        place
    }

    fn comes(&self, id: &str, details: PersonDetails) {
        self.clinic.practice.diary(|diary| {
            diary.patients.push(PatientRecord::new(PatientRef::new(id), details));
            diary.version += 1;
        });
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut PatientRecord)) {
        self.clinic.practice.diary(|diary| {
            change(diary.patients.iter_mut().find(|record| record.id.as_str() == id).unwrap());
            diary.version += 1;
        });
    }

    fn change_there(&self, id: &str, change: impl FnOnce(&mut ForeignRecord)) {
        let now = self.clinic.now();
        self.keeper.shelf(|shelf| shelf.change(id, now, change));
    }

    fn ports(&self) -> Ports {
        let mut ports = self.clinic.ports();
        ports.partners = vec![Arc::new(self.keeper.clone())];
        ports
    }

    /// Starts the program.
    fn flow(&self) -> Running {
        let ports = self.ports();
        Running { people: People::new(ports.clone()), links: RecordLinks::all(&ports).pop().unwrap() }
    }

    async fn run(&self, flow: &Running, minutes: i64) {
        run_until(&self.clinic, flow, self.clinic.now() + TimeDelta::minutes(minutes)).await;
    }

    async fn says(&self, patient: &str, said: Said) {
        let line = ConsentLine {
            practice: self.clinic.settings.id.clone(),
            partner: PartnerId::new("hint"),
            patient: PatientRef::new(patient),
            said,
            how: ConsentHow::AtDesk,
            recorded_by: Private::new("Kim".into()),
            wording: "1".into(),
            at: self.clinic.now(),
        };
        self.clinic.store.for_people().record_consents(&[line]).await.unwrap();
    }

    async fn agrees(&self, patient: &str) {
        self.says(patient, Said::Yes(Agreement::default())).await;
    }

    fn key(&self, kind: LinkKind, id: &str) -> LinkKey {
        LinkKey {
            practice: self.clinic.settings.id.clone(),
            partner: PartnerId::new("hint"),
            kind,
            local_id: id.into(),
        }
    }

    async fn link(&self, id: &str) -> Option<Link> {
        self.clinic.store.for_people().link(&self.key(LinkKind::Patient, id)).await.unwrap()
    }

    async fn stands(&self, id: &str) -> (LinkState, Option<String>) {
        let link = self.link(id).await.unwrap();
        (link.state, link.partner_id)
    }

    async fn decides(&self, id: &str, choice: Choice) -> Result<(), DecideError> {
        let store = self.clinic.store.for_people();
        let by = Private::new("Kim".to_owned());
        record_desk::decide(&store, &self.key(LinkKind::Patient, id), &choice, &by, self.clinic.now()).await
    }

    fn holder(&self, told_as: &str) -> Option<String> {
        self.keeper.shelf(|shelf| shelf.holder(told_as))
    }

    fn calls(&self, name: &str) -> usize {
        self.keeper.shelf(|shelf| shelf.calls(name))
    }

    /// Nothing was written that must not be.
    fn did_no_harm(&self) {
        assert_eq!(self.keeper.shelf(|shelf| shelf.violations.clone()), Vec::<String>::new());
    }

    async fn audited(&self) -> Vec<(AuditEvent, Vec<String>)> {
        let entries = self.clinic.store.for_people().audited(0, 100_000).await.unwrap();
        entries.into_iter().map(|entry| (entry.line.what, entry.line.fields)).collect()
    }
}

fn linked(id: &str) -> (LinkState, Option<String>) {
    (LinkState::Linked, Some(id.to_owned()))
}

#[tokio::test]
async fn who_agreed_is_linked_once_and_nobody_else_is_told_of() {
    let place = Place::with_ravi().await;
    place.comes("78", details("Ida", "Stone", "1990-02-03", "0491 570 156", "ida@example.test"));
    place.keeper.shelf(|shelf| {
        shelf
            .put(foreign("pat-2", details("Ida", "Stone", "1990-02-03", "0491 570 156", "ida@example.test")));
    });
    let flow = place.flow();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
    assert_eq!(place.holder("richmond-77").as_deref(), Some("pat-1"));
    assert_eq!((place.link("78").await, place.holder("richmond-78")), (None, None));
    assert_eq!(
        (place.calls("matching"), place.calls("link")),
        (1, 1),
        "without consent nobody is asked about"
    );
    place.run(&place.flow(), 30).await;
    assert_eq!(
        (place.calls("matching"), place.calls("link")),
        (1, 1),
        "after a restart nothing is sent again"
    );
    place.did_no_harm();
}

#[tokio::test]
async fn what_left_stands_in_the_trail_before_it_leaves() {
    let place = Place::with_ravi().await;
    place.run(&place.flow(), 3).await;
    let sent: Vec<Vec<String>> = place
        .audited()
        .await
        .into_iter()
        .filter(|(what, _)| *what == AuditEvent::Sent)
        .map(|(_, fields)| fields)
        .collect();
    assert_eq!(sent, [vec!["first_name", "last_name", "dob"], vec!["integration_record_id"]]);
}

#[tokio::test]
async fn withdrawn_consent_takes_the_link_away_there_too() {
    let place = Place::with_ravi().await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.says("77", Said::No).await;
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, (LinkState::Ended, None));
    assert_eq!(place.holder("richmond-77"), None);
    assert!(place.audited().await.iter().any(|(what, _)| *what == AuditEvent::Ended));
    place.agrees("77").await;
    place.run(&flow, 6).await;
    assert_eq!(place.stands("77").await, linked("pat-1"), "whoever agrees again is linked again");
    place.did_no_harm();
}

#[tokio::test]
async fn a_record_that_is_linked_to_something_else_is_a_conflict_until_it_is_free() {
    let place = Place::with_ravi().await;
    place.change_there("pat-1", |record| record.told_as = Some(SyncId::new("somebody-else")));
    let flow = place.flow();
    place.run(&flow, 30).await;
    assert_eq!(place.stands("77").await, (LinkState::Conflict, Some("pat-1".into())));
    assert_eq!(place.calls("link"), 0);
    assert_eq!(place.holder("somebody-else").as_deref(), Some("pat-1"));
    // Somebody insists, and nothing is overwritten all the same.
    place.decides("77", Choice::Same(ForeignRecordId::new("pat-1"))).await.unwrap();
    place.run(&flow, 10).await;
    assert_eq!(place.stands("77").await.0, LinkState::Conflict);
    place.change_there("pat-1", |record| record.told_as = None);
    place.run(&flow, 10).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
    place.did_no_harm();
}

#[tokio::test]
async fn a_person_decides_what_is_not_certain() {
    let place = Place::with_ravi().await;
    let renamed = details("Ravi", "Stone", "1979-01-30", "0491 570 006", "ravi@example.test");
    place.keeper.shelf(|shelf| {
        shelf.put(foreign("pat-1", renamed.clone()));
        shelf.put(foreign("pat-2", renamed));
    });
    let flow = place.flow();
    place.run(&flow, 30).await;
    assert_eq!(place.stands("77").await, (LinkState::NeedsPerson, None));
    assert_eq!(place.calls("matching"), 1, "the same is not asked again and again");
    let ports = place.ports();
    let link = place.link("77").await.unwrap();
    let shown = record_desk::side_by_side(
        &place.clinic.store.for_people(),
        ports.practice.as_ref(),
        &place.keeper,
        &link,
    )
    .await
    .unwrap();
    assert_eq!(shown.here.unwrap().id.as_str(), "77");
    assert_eq!(shown.there.len(), 2);
    assert!(shown.there[0].1.as_ref().unwrap().explain().contains("surname not the same"));
    place.decides("77", Choice::NotSame(ForeignRecordId::new("pat-1"))).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await.0, LinkState::NeedsPerson, "one is left, and is not certain");
    place.decides("77", Choice::Same(ForeignRecordId::new("pat-2"))).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, linked("pat-2"));
    assert!(place.audited().await.iter().any(|(what, _)| *what == AuditEvent::Matched));
    let elsewhere = place.decides("77", Choice::Same(ForeignRecordId::new("pat-1"))).await;
    assert!(matches!(elsewhere, Err(DecideError::LinkedElsewhere)));
    let nobody = place.decides("99", Choice::Same(ForeignRecordId::new("pat-1"))).await;
    assert!(matches!(nobody, Err(DecideError::NoLink)));
    place.did_no_harm();
}

#[tokio::test]
async fn what_a_person_decides_counts_although_we_recorded_something_else_a_moment_later() {
    let place = Place::with_ravi().await;
    let renamed = details("Ravi", "Stone", "1979-01-30", "0491 570 006", "ravi@example.test");
    place.keeper.shelf(|shelf| shelf.put(foreign("pat-1", renamed)));
    let flow = place.flow();
    place.run(&flow, 3).await;
    let asked = place.link("77").await.unwrap();
    assert_eq!(asked.state, LinkState::NeedsPerson);
    let store = place.clinic.store.for_people();
    place.decides("77", Choice::Same(ForeignRecordId::new("pat-1"))).await.unwrap();
    store.save_links(&[asked], &[]).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));

    let joined = place.link("77").await.unwrap();
    place.decides("77", Choice::NotSame(ForeignRecordId::new("pat-1"))).await.unwrap();
    store.save_links(&[joined], &[]).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.holder("richmond-77"), None);
    assert_ne!(place.stands("77").await.0, LinkState::Linked);
    place.did_no_harm();
}

#[tokio::test]
async fn what_somebody_unlinks_stays_unlinked_until_they_say_otherwise() {
    let place = Place::with_ravi().await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.decides("77", Choice::NotSame(ForeignRecordId::new("pat-1"))).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.holder("richmond-77"), None);
    place.change("77", |record| record.details.suburb = Private::new("Richmond".into()));
    place.run(&flow, 30).await;
    assert_eq!(place.stands("77").await, (LinkState::Pending, None), "nobody else could be meant");
    assert_eq!(place.holder("richmond-77"), None);
    place.decides("77", Choice::Same(ForeignRecordId::new("pat-1"))).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
    place.did_no_harm();
}

#[tokio::test]
async fn a_merged_record_is_followed_whether_our_name_went_along_or_not() {
    for (moves, gone) in [(true, false), (false, false), (false, true)] {
        let place = Place::with_ravi().await;
        let flow = place.flow();
        place.run(&flow, 3).await;
        place.keeper.shelf(|shelf| shelf.put(foreign("pat-9", ravi())));
        place.change_there("pat-1", |record| {
            record.merged_into = Some(ForeignRecordId::new("pat-9"));
            record.told_as = record.told_as.take().filter(|_| !moves && !gone);
        });
        place.change_there("pat-9", |record| {
            record.told_as = moves.then(|| SyncId::new("richmond-77"));
        });
        place.run(&flow, 20).await;
        assert_eq!(place.stands("77").await, linked("pat-9"), "{moves} {gone}");
        assert_eq!(place.holder("richmond-77").as_deref(), Some("pat-9"), "{moves} {gone}");
        place.did_no_harm();
    }
}

#[tokio::test]
async fn records_of_the_book_that_are_merged_or_gone_give_the_link_up() {
    let place = Place::with_ravi().await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.comes("80", ravi());
    place.agrees("80").await;
    place.change("77", |record| record.merged_into = Some(PatientRef::new("80")));
    place.run(&flow, 10).await;
    assert_eq!(place.stands("77").await.0, LinkState::Ended);
    assert_eq!(place.stands("80").await, linked("pat-1"));
    assert_eq!(place.holder("richmond-80").as_deref(), Some("pat-1"));
    place.did_no_harm();
}

#[tokio::test]
async fn a_link_that_somebody_removed_there_is_not_quietly_made_again() {
    let place = Place::with_ravi().await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.change_there("pat-1", |record| record.told_as = None);
    place.run(&flow, 7).await;
    let link = place.link("77").await.unwrap();
    assert_eq!(link.state, LinkState::NeedsPerson);
    assert_eq!(link.reason.as_deref(), Some("Hint does not hold the link any more."));
    place.run(&flow, 30).await;
    assert_eq!(place.calls("link"), 1);
    place.decides("77", Choice::Same(ForeignRecordId::new("pat-1"))).await.unwrap();
    place.run(&flow, 3).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
}

#[tokio::test]
async fn a_refusal_is_shown_on_both_sides_and_tried_again_when_something_changes() {
    let place = Place::with_ravi().await;
    place.keeper.shelf(|shelf| shelf.refuses = Some("the name is too long"));
    let flow = place.flow();
    place.run(&flow, 30).await;
    let link = place.link("77").await.unwrap();
    assert_eq!(link.state, LinkState::Failed);
    assert!(link.reason.unwrap().starts_with("Hint refuses the link: the name is too long."));
    let shown = place.keeper.shelf(|shelf| shelf.problems.get(&ForeignRecordId::new("pat-1")).cloned());
    assert!(shown.unwrap().contains("could not be linked"));
    assert_eq!((place.calls("link"), place.calls("problem")), (1, 1), "it is not tried again and again");
    place.keeper.shelf(|shelf| shelf.refuses = None);
    place.change_there("pat-1", |record| record.page = Some("page".into()));
    place.run(&flow, 10).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
    assert!(place.keeper.shelf(|shelf| shelf.problems.is_empty()), "what is repaired is not shown any more");
    place.did_no_harm();
}

#[tokio::test]
async fn names_are_unique_for_each_kind_only() {
    let place = Place::with_ravi().await;
    let other = details("Ida", "Stone", "1990-02-03", "0491 570 156", "");
    place.keeper.shelf(|shelf| {
        let told_as = Some(SyncId::new("richmond-77"));
        shelf.put(ForeignRecord { kind: LinkKind::Practitioner, told_as, ..foreign("pct-1", other) });
    });
    place.run(&place.flow(), 3).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
    place.did_no_harm();
}

#[tokio::test]
async fn our_own_name_at_another_record_is_believed_before_anything_is_guessed() {
    let place = Place::with_ravi().await;
    let renamed = details("R.", "Calloway-Stone", "", "", "");
    place.keeper.shelf(|shelf| {
        shelf.put(ForeignRecord { told_as: Some(SyncId::new("richmond-77")), ..foreign("pat-5", renamed) });
    });
    place.run(&place.flow(), 3).await;
    assert_eq!(place.stands("77").await, linked("pat-5"));
    assert_eq!((place.calls("matching"), place.calls("link")), (0, 0), "nothing had to be sent");
}

#[tokio::test]
async fn nobody_there_is_no_matter_for_people_and_is_looked_at_when_somebody_comes() {
    let place = Place::empty();
    place.comes("77", ravi());
    place.agrees("77").await;
    let flow = place.flow();
    place.run(&flow, 30).await;
    assert_eq!(place.stands("77").await, (LinkState::Pending, None));
    assert_eq!(place.calls("matching"), 1);
    let joined = ForeignRecord { updated_at: Some(place.clinic.now()), ..foreign("pat-1", ravi()) };
    place.keeper.shelf(|shelf| shelf.put(joined));
    place.run(&flow, 10).await;
    assert_eq!(place.stands("77").await, linked("pat-1"));
}

#[tokio::test]
async fn who_may_not_be_told_of_is_listed_with_the_reason() {
    let place = Place::empty();
    for (id, details) in [
        ("1", details("Minor", "Stone", "2015-02-03", "0491 570 156", "")),
        ("2", details("Ageless", "Stone", "", "0491 570 156", "")),
        ("3", details("", "Stone", "1990-02-03", "0491 570 156", "")),
    ] {
        place.comes(id, details.clone());
        place.keeper.shelf(|shelf| shelf.put(foreign(&format!("pat-{id}"), details)));
        place.agrees(id).await;
    }
    place.run(&place.flow(), 3).await;
    for (id, why) in [("1", "guardian"), ("2", "birth date is missing"), ("3", "no given name")] {
        let link = place.link(id).await.unwrap();
        assert_eq!(link.state, LinkState::NeedsPerson, "{id}");
        assert!(link.reason.unwrap().contains(why), "{id}");
    }
    assert_eq!(place.calls("matching"), 0);
}

#[tokio::test]
async fn changes_are_asked_for_every_few_minutes_and_everybody_once_a_day() {
    let place = Place::with_ravi().await;
    let ports = place.ports();
    let flow = Running { people: People::new(ports.clone()), links: RecordLinks::all(&ports).pop().unwrap() };
    place.run(&flow, 24 * 60 + 30).await;
    let (all, news) = (place.calls("all patient"), place.calls("news patient"));
    assert_eq!(all, 2);
    assert!((280..=296).contains(&news), "{news}");
    let proven_at =
        ports.state.leg(ports.id(), Leg::Account(PartnerId::new("hint"))).unwrap().proven_at.unwrap();
    assert!(place.clinic.now() - proven_at <= TimeDelta::minutes(6));
    let shown = ports.state.records(ports.id(), &PartnerId::new("hint")).unwrap();
    assert_eq!((shown.records, shown.bringing), (1, None));
}

#[tokio::test]
async fn patience_that_the_partner_asks_for_is_kept_whoever_wakes_the_flow() {
    let place = Place::with_ravi().await;
    place.keeper.shelf(|shelf| {
        shelf.fails = Some(|| ReadError::SlowDown { retry_after: Some(TimeDelta::seconds(120)) });
    });
    let flow = place.flow();
    for _ in 0..20 {
        flow.pass().await;
    }
    assert_eq!(place.keeper.shelf(|shelf| shelf.log.len()), 1);
}

#[tokio::test]
async fn patience_ends_where_the_clock_is_set_back() {
    let place = Place::with_ravi().await;
    place.keeper.shelf(|shelf| {
        shelf.fails = Some(|| ReadError::SlowDown { retry_after: Some(TimeDelta::seconds(120)) });
    });
    let flow = place.flow();
    flow.pass().await;
    place.clinic.clock.move_by(TimeDelta::hours(-5));
    flow.pass().await;
    assert_eq!(place.keeper.shelf(|shelf| shelf.log.len()), 2);
}

#[tokio::test]
async fn practitioners_are_suggested_and_linked_on_a_persons_word() {
    let place = Place::empty();
    let lee = details("Jo", "Lee", "", "", "");
    place.keeper.shelf(|shelf| {
        shelf.put(ForeignRecord { kind: LinkKind::Practitioner, ..foreign("pct-1", lee) });
    });
    let ports = place.ports();
    let of = |id: &str, name: &str| ResourceState {
        id: resource(id).id,
        name: name.into(),
        specialty: None,
        free_today: 0,
        slots_today: 0,
        changing_since: None,
    };
    ports.state.change_practice(ports.id(), |practice| {
        practice.resources = vec![of("r1", "Dr Jo Lee"), of("r2", "Room 2")];
    });
    let flow = Running { people: People::new(ports.clone()), links: RecordLinks::all(&ports).pop().unwrap() };
    place.run(&flow, 3).await;
    let store = place.clinic.store.for_people();
    let key = |id: &str| place.key(LinkKind::Practitioner, id);
    assert_eq!(store.link(&key("r1")).await.unwrap().unwrap().state, LinkState::NeedsPerson);
    assert_eq!(store.link(&key("r2")).await.unwrap(), None, "a room is nobody");
    let shown = others(&place).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].there.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["pct-1"]);
    let (by, id) = (Private::new("Kim".to_owned()), ForeignRecordId::new("pct-1"));
    record_desk::decide(&store, &key("r1"), &Choice::Same(id), &by, place.clinic.now()).await.unwrap();
    place.run(&flow, 3).await;
    let link = store.link(&key("r1")).await.unwrap().unwrap();
    assert_eq!((link.state, link.partner_id.as_deref()), (LinkState::Linked, Some("pct-1")));
    assert_eq!(place.holder("richmond-r1").as_deref(), Some("pct-1"));
}

#[tokio::test]
async fn what_was_refused_for_a_practitioner_is_tried_again_when_their_record_changes() {
    let place = Place::empty();
    let lee = details("Jo", "Lee", "", "", "");
    place.keeper.shelf(|shelf| {
        shelf.put(ForeignRecord { kind: LinkKind::Practitioner, ..foreign("pct-1", lee) });
        shelf.refuses = Some("the name is too long");
    });
    let ports = place.ports();
    ports.state.change_practice(ports.id(), |practice| {
        practice.resources = vec![ResourceState {
            id: resource("r1").id,
            name: "Dr Jo Lee".into(),
            specialty: None,
            free_today: 0,
            slots_today: 0,
            changing_since: None,
        }];
    });
    let flow = Running { people: People::new(ports.clone()), links: RecordLinks::all(&ports).pop().unwrap() };
    place.run(&flow, 3).await;
    let store = place.clinic.store.for_people();
    let key = place.key(LinkKind::Practitioner, "r1");
    let (by, id) = (Private::new("Kim".to_owned()), ForeignRecordId::new("pct-1"));
    record_desk::decide(&store, &key, &Choice::Same(id), &by, place.clinic.now()).await.unwrap();
    place.run(&flow, 150).await;
    assert_eq!(store.link(&key).await.unwrap().unwrap().state, LinkState::Failed);
    assert_eq!(place.calls("link"), 1, "it is not tried again and again");
    place.keeper.shelf(|shelf| shelf.refuses = None);
    place.change_there("pct-1", |record| record.page = Some("page".into()));
    place.run(&flow, 70).await;
    assert_eq!(store.link(&key).await.unwrap().unwrap().state, LinkState::Linked);
}

#[tokio::test]
async fn invoices_of_linked_patients_are_linked_where_they_agree_to_the_cent() {
    let place = Place::with_ravi().await;
    let facts = |number: &str, cents: i64, patient: &str| InvoiceFacts {
        number: Some(number.into()),
        date: "2026-11-02".parse().ok(),
        total_in_cents: Some(cents),
        patient: Some(patient.into()),
    };
    place.clinic.practice.diary(|diary| {
        diary.invoices = Some(vec![
            LocalInvoice { id: "9".into(), facts: facts("1042", 12_050, "77") },
            LocalInvoice { id: "10".into(), facts: facts("1043", 9_900, "77") },
            LocalInvoice { id: "11".into(), facts: facts("1044", 12_050, "nobody") },
        ]);
    });
    place.keeper.shelf(|shelf| {
        let invoice = |id: &str, facts| ForeignRecord {
            kind: LinkKind::Invoice,
            invoice: Some(facts),
            ..foreign(id, PersonDetails::default())
        };
        shelf.put(invoice("inv-1", facts("1042", 12_050, "pat-1")));
        shelf.put(invoice("inv-2", facts("9043", 9_900, "pat-1")));
    });
    let flow = place.flow();
    // They follow as soon as their patient is linked.
    place.run(&flow, 5).await;
    let store = place.clinic.store.for_people();
    let link = async |id: &str| store.link(&place.key(LinkKind::Invoice, id)).await.unwrap();
    assert_eq!(link("9").await.unwrap().state, LinkState::Linked);
    assert_eq!(place.holder("richmond-9").as_deref(), Some("inv-1"));
    assert_eq!(link("10").await.unwrap().state, LinkState::NeedsPerson, "the number is another one");
    assert_eq!(link("11").await, None);
    let shown = others(&place).await;
    assert_eq!(shown.len(), 1, "only what waits for somebody");
    let number = |facts: Option<&InvoiceFacts>| facts.and_then(|facts| facts.number.clone());
    assert_eq!(number(shown[0].invoice.as_ref()).as_deref(), Some("1043"));
    assert_eq!(number(shown[0].there[0].invoice.as_ref()).as_deref(), Some("9043"));
    place.did_no_harm();
}

async fn others(place: &Place) -> Vec<record_desk::OtherLink> {
    let ports = place.ports();
    let of = (ports.id(), &PartnerId::new("hint"));
    let store = place.clinic.store.for_people();
    record_desk::others(&store, ports.practice.as_ref(), &place.keeper, of).await.unwrap()
}

async fn former(place: &Place) -> FormerLinks {
    let ports = place.ports();
    let of = (ports.id(), &PartnerId::new("hint"));
    record_desk::former_links(&place.clinic.store.for_people(), ports.practice.as_ref(), &place.keeper, of)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_a_former_program_left_is_previewed_and_carried_over_on_a_persons_word() {
    let place = Place::empty();
    let somebody = |number: usize| {
        let phone = format!("0491 571 0{number:02}");
        details(
            &format!("Person{number}"),
            "Former",
            "1980-05-06",
            &phone,
            &format!("p{number}@example.test"),
        )
    };
    let left = |field, name: &str| vec![FormerName { field, name: name.into() }];
    for number in 1..=6 {
        place.comes(&number.to_string(), somebody(number));
    }
    place.comes("a b", somebody(7));
    place.keeper.shelf(|shelf| {
        let put = |number: usize, former: Vec<FormerName>| ForeignRecord {
            former,
            ..foreign(&format!("pat-{number}"), somebody(number))
        };
        shelf.put(put(1, left("external_link_id", "1")));
        shelf.put(put(2, left("import_id", "2")));
        // Somebody else's key, nobody's key, and one that has today's link already.
        shelf.put(put(3, left("import_id", "4")));
        shelf.put(put(5, left("import_id", "unknown")));
        shelf.put(ForeignRecord {
            told_as: Some(SyncId::new("richmond-6")),
            ..put(6, left("import_id", "6"))
        });
        shelf.put(put(7, left("import_id", "a b")));
    });
    for id in ["1", "a b"] {
        place.agrees(id).await;
    }
    let preview = former(&place).await;
    let carried = |carries: &[record_desk::CarryOver]| {
        let told = carries.iter().map(|carry| (carry.patient.to_string(), carry.told_as.to_string()));
        told.collect::<BTreeMap<String, String>>()
    };
    let own = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(carried(&preview.fitting), [own("1", "1"), own("a b", "richmond-a b")].into());
    assert_eq!(carried(&preview.without_consent), [own("2", "2")].into());
    assert_eq!(preview.doubtful.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["pat-3"]);
    assert_eq!((preview.unknown, preview.replaced), (vec![ForeignRecordId::new("pat-5")], 1));
    assert_eq!((place.calls("link"), place.calls("unlink")), (0, 0), "a preview changes nothing");

    let ports = place.ports();
    let (store, by) = (place.clinic.store.for_people(), Private::new("Kim".to_owned()));
    let of = (ports.id(), &PartnerId::new("hint"));
    for expected in [2, 2] {
        let carried = record_desk::carry_over(&store, of, &preview.fitting, &by, place.clinic.now()).await;
        assert_eq!(carried.unwrap(), expected, "twice before it is carried out is as good as once");
    }
    place.run(&place.flow(), 10).await;
    assert_eq!(place.stands("1").await, linked("pat-1"));
    assert_eq!(
        place.holder("1").as_deref(),
        Some("pat-1"),
        "whoever looks by the former name finds it still"
    );
    assert_eq!(place.stands("a b").await, linked("pat-7"));
    assert_eq!(place.link("2").await, None);
    assert_eq!(
        record_desk::carry_over(&store, of, &preview.fitting, &by, place.clinic.now()).await.unwrap(),
        0
    );
    // What was given up is read, and never written.
    let still = place.keeper.shelf(|shelf| shelf.record("pat-1").former);
    assert_eq!(still, left("external_link_id", "1"));
    place.did_no_harm();
}

/// Whatever fails or dies, and whenever: in the end each patient is linked once, to the right record, and nobody was told
/// of without a line in the trail.
#[tokio::test]
async fn whatever_dies_each_patient_is_linked_once_and_with_a_line() {
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
    let place = Place::with_ravi().await;
    let ida = details("Ida", "Stone", "1990-02-03", "0491 570 156", "ida@example.test");
    place.comes("78", ida.clone());
    place.agrees("78").await;
    // The second was merged at the partner, where our name stayed behind.
    place.keeper.shelf(|shelf| {
        let merged_into = Some(ForeignRecordId::new("pat-3"));
        let told_as = Some(SyncId::new("richmond-78"));
        shelf.put(ForeignRecord { merged_into, told_as, ..foreign("pat-2", ida.clone()) });
        shelf.put(foreign("pat-3", ida));
    });
    let somebody = {
        let keeper = place.keeper.clone();
        move || -> futures_util::future::BoxFuture<'static, ()> {
            // Somebody at the partner touches a record in just this moment.
            let at = super::clinic::start();
            keeper.shelf(|shelf| shelf.change("pat-1", at, |record| record.page = Some("page".into())));
            Box::pin(async {})
        }
    };
    place.clinic.reaper.somebody(Arc::new(somebody));
    place.clinic.reaper.plan(faults);
    let (first, until) =
        (place.clinic.now() + TimeDelta::minutes(1), place.clinic.now() + TimeDelta::minutes(12));
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
    for (patient, record) in [("77", "pat-1"), ("78", "pat-3")] {
        assert_eq!(place.stands(patient).await, linked(record), "{story}");
        assert_eq!(place.holder(&format!("richmond-{patient}")).as_deref(), Some(record), "{story}");
    }
    let written = place.keeper.shelf(|shelf| {
        let names = shelf.records.values().filter_map(|record| record.told_as.clone());
        names.collect::<Vec<_>>()
    });
    assert_eq!(written.len(), 2, "{story}");
    let sent = place.audited().await.into_iter().filter(|(what, _)| *what == AuditEvent::Sent).count();
    let writes = place.calls("link") + place.calls("unlink") + place.calls("matching");
    assert!(sent >= writes, "{story}: {sent} lines for {writes} requests");
    place.did_no_harm();
    touches
}

/// What has to become of somebody among the thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ends {
    /// Linked by themselves, to the record of the same number.
    Linked,
    /// On the list for a person.
    Listed,
    /// In conflict.
    Conflict,
    /// Waits for a record to come.
    Waits,
}

/// One of the thousand: the patient, the partner's records, and how it has to end.
fn thousandth(number: usize) -> (PersonDetails, Vec<ForeignRecord>, Ends) {
    // Nobody shares a birth date with a neighbour, and all have names that are nobody else's.
    let born = format!("{}-{:02}-{:02}", 1940 + number % 61, 1 + number % 12, 1 + number / 61 % 28);
    let (phone, email) = (format!("0491 {:06}", number + 100), format!("p{number}@example.test"));
    let last = ["Nguyễn", "O’Brien", "García Márquez", "Łuczak", "Smith", "陳", "Åström"][number % 7];
    let (first, last) = (format!("Given{}", letters(number)), format!("{last} {}", letters(number * 7 + 3)));
    let here = details(&first, &last, &born, &phone, &email);
    let id = format!("pat-{number}");
    let there = || foreign(&id, here.clone());
    match number % 20 {
        // Twins: the other one is at the partner alone.
        0 => {
            let twin = details(&format!("Twin{}", letters(number)), &last, &born, &phone, &email);
            (here.clone(), vec![foreign(&id, twin)], Ends::Listed)
        }
        // Married since.
        1 => {
            let renamed = details(&first, "Newname", &born, &phone, &email);
            (here.clone(), vec![foreign(&id, renamed)], Ends::Listed)
        }
        // Put away at the partner.
        2 => (here.clone(), vec![ForeignRecord { archived: true, ..there() }], Ends::Listed),
        // Merged there, with the record that is left.
        3 => {
            let left = ForeignRecordId::new(id.clone());
            let merged =
                ForeignRecord { merged_into: Some(left), ..foreign(&format!("{id}-old"), here.clone()) };
            (here.clone(), vec![merged, there()], Ends::Linked)
        }
        // Linked to something else.
        4 => {
            let told_as = Some(SyncId::new(format!("foreign-{number}")));
            (here.clone(), vec![ForeignRecord { told_as, ..there() }], Ends::Conflict)
        }
        // Twice at the partner.
        5 => (here.clone(), vec![there(), foreign(&format!("{id}-again"), here.clone())], Ends::Listed),
        // Without a birth date, there or here.
        6 => {
            let ageless = details(&first, &last, "", &phone, &email);
            (here.clone(), vec![foreign(&id, ageless)], Ends::Listed)
        }
        7 => {
            let ageless = details(&first, &last, "", &phone, &email);
            (ageless, vec![there()], Ends::Listed)
        }
        // Names that only look different.
        8 => {
            let plain = details(&first.to_uppercase(), &deaccented(&last), &born, &phone, &email);
            (here.clone(), vec![foreign(&id, plain)], Ends::Linked)
        }
        // A former program's fields, which decide nothing by themselves.
        9 => {
            let former = vec![FormerName { field: "import_id", name: format!("{}", number + 1) }];
            (here.clone(), vec![ForeignRecord { former, ..there() }], Ends::Linked)
        }
        // Nobody there.
        10 => (here.clone(), Vec::new(), Ends::Waits),
        // Linked already, as before our records were lost.
        11 => {
            let told_as = Some(SyncId::new(format!("richmond-{number}")));
            (here.clone(), vec![ForeignRecord { told_as, ..there() }], Ends::Linked)
        }
        // A father of the same names, at the partner alone.
        12 => {
            let elder = format!("{}-03-0{}", 1930 + number % 9, 1 + number % 9);
            let father = details(&first, &last, &elder, &phone, "");
            (here.clone(), vec![foreign(&id, father)], Ends::Listed)
        }
        // Moved: neither phone nor mail is known there.
        13 => {
            let moved = details(&first, &last, &born, "0400 999 000", "");
            (here.clone(), vec![foreign(&id, moved)], Ends::Listed)
        }
        _ => (here.clone(), vec![there()], Ends::Linked),
    }
}

/// A number as a word of its own.
fn letters(mut number: usize) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
        number /= 26;
    }
    word
}

fn deaccented(text: &str) -> String {
    let pairs = [("ễ", "e"), ("’", "'"), ("í", "i"), ("á", "a"), ("Ł", "L"), ("Å", "A"), ("ö", "o")];
    pairs.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[tokio::test]
async fn a_thousand_with_every_trap_end_linked_listed_or_in_conflict_and_none_wrongly() {
    let place = Place::empty();
    let mut expected = BTreeMap::new();
    for number in 0..1000 {
        let (here, there, ends) = thousandth(number);
        let id = number.to_string();
        place.comes(&id, here);
        place.keeper.shelf(|shelf| there.into_iter().for_each(|record| shelf.put(record)));
        place.agrees(&id).await;
        expected.insert(number, ends);
    }
    // Two records of one person in the book, one of whom agreed.
    let (twice, there, _) = thousandth(14);
    place.comes("duplicate", twice);
    assert_eq!(there.len(), 1);
    expected.insert(14, Ends::Listed);
    let flow = place.flow();
    place.run(&flow, 30).await;
    let mut wrong = Vec::new();
    for (number, ends) in expected {
        let link = place.link(&number.to_string()).await.unwrap();
        let ended = match link.state {
            LinkState::Linked => Ends::Linked,
            LinkState::NeedsPerson => Ends::Listed,
            LinkState::Conflict => Ends::Conflict,
            _ => Ends::Waits,
        };
        let right = link.state != LinkState::Linked || link.partner_id == Some(format!("pat-{number}"));
        if ended != ends || !right {
            wrong.push((number, number % 20, link.state, link.partner_id, link.reason));
        }
    }
    assert!(wrong.is_empty(), "{} of 1000: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    // At the partner stands what our links say, and what was there before stands still.
    let names: BTreeSet<(String, String)> = place.keeper.shelf(|shelf| {
        let named = shelf
            .records
            .values()
            .filter_map(|record| Some((record.told_as.as_ref()?.to_string(), record.id.to_string())));
        named.collect()
    });
    for (name, id) in &names {
        let number = id.trim_start_matches("pat-");
        assert!(
            *name == format!("richmond-{number}") || *name == format!("foreign-{number}"),
            "{name} at {id}"
        );
    }
    place.did_no_harm();
    // Either name finds each of them.
    for (name, id) in names.iter().take(50) {
        let by = async |name: &str| place.keeper.record(LinkKind::Patient, name).await.unwrap().unwrap();
        assert_eq!(by(name).await, by(id).await);
    }
}
