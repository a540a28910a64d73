//! Documents: what is filed, how often, and what is said of the rest.

use super::clinic::{Clinic, ada, at, key, request, start, today};
use super::partner::FakePartner;
use super::practice::FakePractice;
use super::reaper::{Broken, Fault};
use super::store::FakeStore;
use crate::flows::documents::Documents;
use crate::flows::{Flow, FlowName, Ports};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingState, Entry, Inserted};
use domain::documents::{
    DocumentEntry, DocumentKey, DocumentOffer, DocumentOrder, DocumentRefusal, DocumentState, LARGEST_BYTES,
    PracticeDocument, PracticeDocumentKind,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId,
};
use domain::people::PatientPlan;
use domain::ports::documents::{
    DocumentDesk, DocumentInbox, DocumentLedger, DocumentSource, DocumentsAsked, FeatureSwitch, Fetched,
    FilingError, Placed, Staged,
};
use domain::ports::store::{Leg, StoreError};
use domain::private::Private;
use domain::settings::Feature;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is on the disk about documents.
pub type DocumentTable = BTreeMap<DocumentKey, (DocumentEntry, Option<Private<Vec<u8>>>)>;

/// How a document ended at the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Filed,
    Rejected(DocumentRefusal),
}

/// What the partner has to do with documents.
#[derive(Default)]
pub struct Outbox {
    pub on: BTreeSet<Feature>,
    pub switched: Vec<(Feature, bool)>,
    pub refuses_to_switch: bool,
    pub offers: Vec<(DocumentOffer, Result<Vec<u8>, DocumentRefusal>)>,
    pub ended: BTreeMap<ForeignDocumentId, Ended>,
    /// Documents that have expired, though they are still listed.
    pub gone: BTreeSet<ForeignDocumentId>,
    /// Answered documents stay on the list, as where an answer is lost on the other side.
    pub keeps_offering: bool,
    pub asked: Vec<DocumentsAsked>,
    pub wanted: Vec<DocumentsAsked>,
    pub announced: Vec<Vec<(ForeignBookingId, PracticeDocument)>>,
    pub uploaded: Vec<(ForeignBookingId, DocumentRef, Vec<u8>)>,
    pub not_uploaded: Vec<(ForeignBookingId, DocumentRef, DocumentRefusal)>,
    pub violations: Vec<String>,
}

impl Outbox {
    fn end(&mut self, document: &ForeignDocumentId, how: Ended) -> Result<(), Refusal> {
        if self.gone.contains(document) {
            return Err(Refusal::UnknownToPartner);
        }
        match self.ended.get(document) {
            None => drop(self.ended.insert(document.clone(), how)),
            Some(known) if *known == how => {}
            Some(known) => self.violations.push(format!("{document} was answered {how:?} after {known:?}")),
        }
        Ok(())
    }
}

/// What the practice has to do with documents.
#[derive(Default)]
pub struct Shelf {
    pub has_folder: bool,
    /// What takes documents in is no folder, but holds nothing ready itself.
    pub is_api: bool,
    /// It does not take them.
    pub turns_away: bool,
    pub gives_out: bool,
    pub fails: Option<fn() -> FilingError>,
    pub ready: BTreeMap<DocumentKey, Vec<u8>>,
    /// What stands in the folder, by name, until it is picked up.
    pub folder: BTreeMap<String, Vec<u8>>,
    pub picked_up: Vec<(String, Vec<u8>)>,
    pub notes: Vec<(AppointmentRef, String)>,
    pub notes_refused: bool,
    pub outward: BTreeMap<AppointmentRef, Vec<(PracticeDocument, Vec<u8>)>>,
    pub orders: Vec<DocumentOrder>,
}

impl Shelf {
    pub fn note(&mut self, appointment: &AppointmentRef, mark: &str, line: &str) -> Result<(), Refusal> {
        if self.notes_refused {
            return Err(Refusal::ReadOnly);
        }
        let known = self.notes.iter().any(|(of, known)| of == appointment && known.contains(mark));
        if !known {
            self.notes.push((appointment.clone(), line.to_owned()));
        }
        Ok(())
    }

    /// The practice system takes away what it finds.
    fn pick_up(&mut self) {
        self.picked_up.extend(std::mem::take(&mut self.folder));
    }
}

impl From<Broken> for FilingError {
    fn from(_: Broken) -> Self {
        FilingError::Failed("cut off".into())
    }
}

impl FakePractice {
    async fn shelve<T: Send>(&self, use_it: impl FnOnce(&mut Shelf) -> T + Send) -> Result<T, FilingError> {
        if let Some(fails) = self.diary(|diary| diary.shelf.fails) {
            return Err(fails());
        }
        Ok(self.reaper.touch(|| self.diary(|diary| use_it(&mut diary.shelf))).await?)
    }
}

#[async_trait]
impl DocumentInbox for FakePractice {
    fn title(&self) -> String {
        "The folder /import".into()
    }

    async fn check(&self) -> Result<(), FilingError> {
        self.shelve(|_| ()).await
    }

    fn stages_in_our_records(&self) -> bool {
        self.diary(|diary| diary.shelf.is_api)
    }

    async fn stage(&self, order: &DocumentOrder, content: Private<Vec<u8>>) -> Result<Staged, FilingError> {
        let ticket = Private::new(format!("{}.{}", order.key.document, order.extension));
        if self.stages_in_our_records() {
            return Ok(Staged { ticket, hold: Some(content) });
        }
        self.shelve(|shelf| {
            shelf.orders.push(order.clone());
            shelf.ready.insert(order.key.clone(), content.reveal().clone());
            Staged { ticket, hold: None }
        })
        .await
    }

    async fn place(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        held: Option<Private<Vec<u8>>>,
    ) -> Result<Placed, FilingError> {
        self.shelve(|shelf| {
            if shelf.is_api {
                if shelf.turns_away {
                    return Placed::TurnedAway;
                }
                let content = held.expect("our records hold what no folder does");
                shelf.folder.entry(ticket.reveal().clone()).or_insert_with(|| content.reveal().clone());
                return Placed::Stands(Some(DocumentRef::new("341")));
            }
            let Some(content) = shelf.ready.get(key).cloned() else { return Placed::Stands(None) };
            if shelf.folder.contains_key(ticket.reveal()) {
                return Placed::TryInstead(Private::new(format!("again-{}", ticket.reveal())));
            }
            shelf.ready.remove(key);
            shelf.folder.insert(ticket.reveal().clone(), content);
            Placed::Stands(None)
        })
        .await
    }

    async fn discard(&self, key: &DocumentKey) -> Result<(), FilingError> {
        self.shelve(|shelf| drop(shelf.ready.remove(key))).await
    }
}

#[async_trait]
impl DocumentSource for FakePractice {
    fn title(&self) -> String {
        "The folder /export".into()
    }

    async fn check(&self) -> Result<(), FilingError> {
        self.shelve(|_| ()).await
    }

    async fn documents(
        &self,
        appointment: &AppointmentRef,
        _: &PatientRef,
    ) -> Result<Vec<PracticeDocument>, FilingError> {
        self.shelve(|shelf| {
            let there = shelf.outward.get(appointment).cloned().unwrap_or_default();
            there.into_iter().map(|(document, _)| document).collect()
        })
        .await
    }

    async fn content(
        &self,
        appointment: &AppointmentRef,
        _: &PatientRef,
        document: &DocumentRef,
    ) -> Result<Option<Private<Vec<u8>>>, FilingError> {
        self.shelve(|shelf| {
            let there = shelf.outward.get(appointment)?;
            let (_, content) = there.iter().find(|(known, _)| known.id == *document)?;
            Some(Private::new(content.clone()))
        })
        .await
    }
}

#[async_trait]
impl FeatureSwitch for FakePartner {
    async fn switched_on(&self) -> Result<BTreeSet<Feature>, ReadError> {
        self.ask("features".into(), |desk| desk.documents.on.clone()).await
    }

    async fn switch(&self, feature: Feature, on: bool) -> Result<(), WriteError> {
        self.tell(format!("switch {}", feature.name()), |desk| {
            if desk.documents.refuses_to_switch {
                return Err(Refusal::UnknownToPartner);
            }
            desk.documents.switched.push((feature, on));
            let all = &mut desk.documents.on;
            if on {
                all.insert(feature)
            } else {
                all.remove(&feature)
            };
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl DocumentDesk for FakePartner {
    async fn offered(&self) -> Result<Vec<DocumentOffer>, ReadError> {
        self.ask("offered".into(), |desk| {
            let box_ = &desk.documents;
            let open = box_.offers.iter().map(|(offer, _)| offer);
            open.filter(|offer| box_.keeps_offering || !box_.ended.contains_key(&offer.key.document))
                .cloned()
                .collect()
        })
        .await
    }

    async fn fetch(&self, offer: &DocumentOffer) -> Result<Fetched, ReadError> {
        let document = offer.key.document.clone();
        self.ask(format!("fetch {document}"), |desk| {
            let box_ = &desk.documents;
            if box_.gone.contains(&document) || box_.ended.contains_key(&document) {
                return Fetched::Gone;
            }
            match box_.offers.iter().find(|(known, _)| known.key.document == document) {
                Some((_, Ok(content))) => Fetched::Content(Private::new(content.clone())),
                Some((_, Err(why))) => Fetched::Unusable(*why),
                None => Fetched::Gone,
            }
        })
        .await
    }

    async fn filed(&self, document: &ForeignDocumentId, _: Option<&DocumentRef>) -> Result<(), WriteError> {
        self.tell(format!("filed {document}"), |desk| desk.documents.end(document, Ended::Filed)).await
    }

    async fn not_filed(&self, document: &ForeignDocumentId, why: DocumentRefusal) -> Result<(), WriteError> {
        self.tell(format!("not filed {document}"), |desk| desk.documents.end(document, Ended::Rejected(why)))
            .await
    }

    async fn asked(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        self.ask("asked".into(), |desk| desk.documents.asked.clone()).await
    }

    async fn wanted(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        self.ask("wanted".into(), |desk| desk.documents.wanted.clone()).await
    }

    async fn announce(&self, documents: &[(ForeignBookingId, PracticeDocument)]) -> Result<(), WriteError> {
        self.tell("announce".into(), |desk| {
            desk.documents.announced.push(documents.to_vec());
            desk.documents.asked.clear();
            Ok(())
        })
        .await
    }

    async fn upload(
        &self,
        booking: &ForeignBookingId,
        document: &PracticeDocument,
        content: &Private<Vec<u8>>,
    ) -> Result<(), WriteError> {
        self.tell(format!("upload {booking}"), |desk| {
            desk.documents.wanted.retain(|wanted| wanted.document.as_ref() != Some(&document.id));
            let uploaded = (booking.clone(), document.id.clone(), content.reveal().clone());
            desk.documents.uploaded.push(uploaded);
            Ok(())
        })
        .await
    }

    async fn not_uploaded(
        &self,
        booking: &ForeignBookingId,
        document: &DocumentRef,
        why: DocumentRefusal,
    ) -> Result<(), WriteError> {
        self.tell(format!("not uploaded {booking}"), |desk| {
            desk.documents.wanted.retain(|wanted| wanted.document.as_ref() != Some(document));
            desk.documents.not_uploaded.push((booking.clone(), document.clone(), why));
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl DocumentLedger for FakeStore {
    async fn receive_document(&self, offer: &DocumentOffer, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.touch(|disk| {
            if disk.documents.contains_key(&offer.key) {
                return false;
            }
            let entry = DocumentEntry {
                offer: offer.clone(),
                state: DocumentState::Received,
                kept: false,
                received_at: now,
                not_before: now,
            };
            disk.documents.insert(offer.key.clone(), (entry, None));
            true
        })
        .await
    }

    async fn document(&self, key: &DocumentKey) -> Result<Option<DocumentEntry>, StoreError> {
        self.touch(|disk| disk.documents.get(key).map(|(entry, _)| entry.clone())).await
    }

    async fn move_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        to: &DocumentState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        assert!(from.may_become(to), "{from:?} became {to:?}");
        self.touch(|disk| {
            let (entry, kept) = disk.documents.get_mut(key).ok_or(StoreError::Missing)?;
            if entry.state != *from {
                return Err(StoreError::Stale);
            }
            if from.lets_content_go(to) {
                (entry.kept, *kept) = (false, None);
            }
            (entry.state, entry.not_before) = (to.clone(), now);
            Ok(())
        })
        .await?
    }

    async fn hold_document(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touch(|disk| {
            let (entry, kept) = disk.documents.get_mut(key).ok_or(StoreError::Missing)?;
            if entry.state != DocumentState::Received {
                return Err(StoreError::Stale);
            }
            let filing = DocumentState::Filing(ticket.clone());
            (entry.state, entry.not_before, entry.kept) = (filing, now, true);
            *kept = Some(content);
            Ok(())
        })
        .await?
    }

    async fn keep_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        booking: &ForeignBookingId,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touch(|disk| {
            let (entry, kept) = disk.documents.get_mut(key).ok_or(StoreError::Missing)?;
            if entry.state != *from {
                return Err(StoreError::Stale);
            }
            (entry.state, entry.not_before, entry.kept) = (DocumentState::Kept, now, true);
            entry.offer.booking = Some(booking.clone());
            *kept = Some(content);
            Ok(())
        })
        .await?
    }

    async fn postpone_document(&self, key: &DocumentKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.documents.get_mut(key).ok_or(StoreError::Missing)?.0.not_before = until;
            Ok(())
        })
        .await?
    }

    async fn unfinished_documents(&self, _: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        self.touch(|disk| {
            let all = disk.documents.values().map(|(entry, _)| entry);
            all.filter(|entry| !entry.state.is_final()).cloned().collect()
        })
        .await
    }

    async fn documents_of_bookings(&self, _: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        self.touch(|disk| disk.documents.values().map(|(entry, _)| entry.clone()).collect()).await
    }

    async fn document_content(&self, key: &DocumentKey) -> Result<Option<Private<Vec<u8>>>, StoreError> {
        self.touch(|disk| disk.documents.get(key).and_then(|(_, content)| content.clone())).await
    }

    async fn booking_of_patient(
        &self,
        _: &PracticeId,
        _: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<ForeignBookingId>, StoreError> {
        self.touch(|disk| {
            let of =
                |entry: &&Entry| entry.state.held().and_then(|held| held.patient).as_ref() == Some(patient);
            disk.entries.values().find(of).map(|entry| entry.request.key.booking.clone())
        })
        .await
    }
}

fn document_key(number: &str) -> DocumentKey {
    DocumentKey {
        practice: PracticeId::new("richmond"),
        partner: PartnerId::new("healthengine"),
        document: ForeignDocumentId::new(number),
    }
}

fn offer(number: &str, booking: Option<&str>, patient: Option<&str>) -> DocumentOffer {
    DocumentOffer {
        key: document_key(number),
        booking: booking.map(ForeignBookingId::new),
        patient: patient.map(PatientRef::new),
        appointment: None,
        kind: Private::new("REFERRAL".into()),
        name: Private::new("Knee".into()),
        format: "application/pdf".into(),
        size: Some(4),
        sha1: Some("ab".repeat(20)),
        made_at: Some(start() - TimeDelta::hours(1)),
    }
}

/// A document of a booking, as far as it is.
pub fn document(clinic: &Clinic, number: &str, booking: &str, state: DocumentState, kept: bool) {
    let entry = DocumentEntry {
        offer: offer(number, Some(booking), None),
        state,
        kept,
        received_at: start(),
        not_before: start(),
    };
    clinic.store.disk(|disk| disk.documents.insert(document_key(number), (entry, None)));
}

/// A clinic where every feature is asked for, and booking 1 of patient p1 stands as appointment a1.
fn clinic() -> Clinic {
    let mut clinic = Clinic::new();
    let account = clinic.settings.healthengine.as_mut().unwrap();
    account.features = Feature::ALL.map(|feature| feature.name().to_owned()).to_vec();
    clinic.practice.diary(|diary| (diary.shelf.has_folder, diary.shelf.gives_out) = (true, true));
    stands(&clinic, "1", BookingState::Confirmed(inserted()));
    clinic
}

fn inserted() -> Inserted {
    Inserted { appointment: AppointmentRef::new("a1"), patient: PatientRef::new("p1") }
}

fn stands(clinic: &Clinic, booking: &str, state: BookingState) {
    let entry = Entry {
        request: request(booking, ada(), at("14:00")),
        state,
        decision: None,
        revision: 0,
        received_at: start(),
        answered_at: None,
        state_since: start(),
        not_before: start(),
        placement: None,
        tell_place: false,
    };
    clinic.store.disk(|disk| disk.entries.insert(key(booking), entry));
}

fn offered(clinic: &Clinic, offer: DocumentOffer) {
    clinic.partner.desk(|desk| desk.documents.offers.push((offer, Ok(b"PDF!".to_vec()))));
}

fn program(clinic: &Clinic) -> (Documents, Ports) {
    let ports = clinic.ports();
    (Documents::new(ports.clone()).unwrap(), ports)
}

fn ended(clinic: &Clinic, number: &str) -> Option<Ended> {
    clinic.partner.desk(|desk| desk.documents.ended.get(&ForeignDocumentId::new(number)).cloned())
}

fn state_of(clinic: &Clinic, number: &str) -> Option<DocumentState> {
    clinic.store.disk(|disk| disk.documents.get(&document_key(number)).map(|(entry, _)| entry.state.clone()))
}

fn told(clinic: &Clinic) -> Vec<String> {
    clinic.store.disk(|disk| disk.told.iter().map(|(_, line)| line.text.clone()).collect())
}

/// Passes at the times that they ask for, for a quarter of an hour.
async fn settle(clinic: &Clinic, flow: &Documents) {
    super::clinic::run_until(clinic, flow, clinic.now() + TimeDelta::minutes(15)).await;
}

#[tokio::test]
async fn only_what_is_asked_for_and_can_be_served_is_switched_on_and_only_differences_are_sent() {
    let mut clinic = clinic();
    clinic.partner.desk(|desk| desk.documents.on = [Feature::ClientSnapshots].into());
    let (flow, ports) = program(&clinic);
    flow.pass().await;
    let switched = |clinic: &Clinic| clinic.partner.desk(|desk| std::mem::take(&mut desk.documents.switched));
    assert_eq!(
        switched(&clinic),
        [(Feature::AttachDocuments, true), (Feature::ClientSnapshots, false), (Feature::Documents, true)]
    );
    let shown = ports.state.subscribe().borrow().practices[ports.id()].features.clone();
    let lacking: Vec<_> = shown.iter().filter(|f| f.lacks.is_some()).map(|f| (f.feature, f.on)).collect();
    assert_eq!(lacking, [(Feature::ClientSnapshots, false)]);
    flow.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.calls("features").len()), 1, "compared once an hour");

    // Set up anew, as after every change of settings: nothing differs, nothing is sent.
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(switched(&clinic), []);
    assert_eq!(clinic.partner.desk(|desk| desk.calls("features").len()), 2);

    // The folder is taken out of the settings, and one feature too.
    clinic.practice.diary(|diary| diary.shelf.gives_out = false);
    clinic.settings.healthengine.as_mut().unwrap().features = vec!["documents".into()];
    let (flow, ports) = program(&clinic);
    flow.pass().await;
    assert_eq!(switched(&clinic), [(Feature::AttachDocuments, false), (Feature::Documents, false)]);
    let shown = ports.state.subscribe().borrow().practices[ports.id()].features.clone();
    let why = shown.iter().find(|f| f.feature == Feature::Documents).and_then(|f| f.lacks.clone());
    assert!(why.is_some_and(|why| why.starts_with("documents needs a folder")), "it is said in words");
}

#[tokio::test]
async fn a_feature_that_the_partner_does_not_offer_is_said_and_not_worked_on() {
    let clinic = clinic();
    clinic.partner.desk(|desk| desk.documents.refuses_to_switch = true);
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, ports) = program(&clinic);
    flow.pass().await;
    let shown = ports.state.subscribe().borrow().practices[ports.id()].features.clone();
    assert!(shown[0].lacks.as_ref().is_some_and(|why| why.contains("does not offer")), "{shown:?}");
    assert_eq!(clinic.partner.desk(|desk| desk.calls("offered").len()), 0);
}

#[tokio::test]
async fn a_document_is_filed_for_its_patient_and_the_partner_hears_of_it() {
    let clinic = clinic();
    offered(&clinic, offer("91", Some("1"), Some("p1")));
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
    let orders = clinic.practice.diary(|diary| diary.shelf.orders.clone());
    assert_eq!((orders[0].patient.as_str(), orders[0].extension), ("p1", "pdf"));
    assert_eq!((orders[0].appointment.clone(), orders[0].day), (Some(AppointmentRef::new("a1")), today()));
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.folder.len()), 1);
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.notes.clone()), []);
    assert_eq!(told(&clinic), [""; 0], "nobody needs to be told");
}

#[tokio::test]
async fn while_the_patient_is_being_corrected_nothing_is_filed_for_the_one_who_was_wrong() {
    let clinic = clinic();
    let naming = BookingState::Naming {
        appointment: AppointmentRef::new("a1"),
        plan: PatientPlan::Existing(PatientRef::new("p2")),
        instead_of: Some(PatientRef::new("p1")),
    };
    stands(&clinic, "1", naming);
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.orders.len()), 0);
    let corrected = Inserted { patient: PatientRef::new("p2"), ..inserted() };
    stands(&clinic, "1", BookingState::Confirmed(corrected));
    settle(&clinic, &flow).await;
    let orders = clinic.practice.diary(|diary| diary.shelf.orders.clone());
    assert_eq!(orders.iter().map(|order| order.patient.as_str()).collect::<Vec<_>>(), ["p2"]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_put_documents_off() {
    let clinic = clinic();
    clinic.clock.move_by(TimeDelta::days(40));
    clinic.practice.diary(|diary| diary.shelf.fails = Some(|| FilingError::Missing));
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, _) = program(&clinic);
    flow.pass().await;
    clinic.partner.desk(|desk| desk.fails = Some(|_| Some(ReadError::Unreachable("out".into()))));
    flow.pass().await;
    clinic.clock.move_by(TimeDelta::days(-40));
    clinic.partner.desk(|desk| desk.fails = None);
    clinic.practice.diary(|diary| diary.shelf.fails = None);
    flow.pass().await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
}

#[tokio::test]
async fn where_there_is_no_folder_it_is_kept_and_the_appointment_says_so() {
    let clinic = clinic();
    clinic.practice.diary(|diary| diary.shelf.has_folder = false);
    offered(&clinic, offer("91", None, Some("p1")));
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
    let notes = clinic.practice.diary(|diary| diary.shelf.notes.clone());
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].0, AppointmentRef::new("a1"));
    assert!(notes[0].1.contains("booking 1") && notes[0].1.contains("[healthengine-document:91]"));
    assert!(!notes[0].1.contains("Knee") && !notes[0].1.contains("REFERRAL"));
    let kept = clinic.store.disk(|disk| disk.documents[&document_key("91")].clone());
    assert_eq!(
        (kept.0.offer.booking, kept.1),
        (Some(ForeignBookingId::new("1")), Some(Private::new(b"PDF!".to_vec())))
    );
}

#[tokio::test]
async fn a_note_that_cannot_be_written_is_told_and_holds_nothing_up() {
    let clinic = clinic();
    clinic.practice.diary(|diary| (diary.shelf.has_folder, diary.shelf.notes_refused) = (false, true));
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
    assert_eq!(told(&clinic), ["A document came in for booking 1: open it under Bookings."]);

    // A database that is away is waited for, and not for longer than the partner waits.
    clinic.practice.diary(|diary| {
        diary.fails = Some(|| ReadError::Unreachable("away".into()));
    });
    offered(&clinic, offer("92", Some("1"), None));
    flow.pass().await;
    assert_eq!((ended(&clinic, "92"), state_of(&clinic, "92")), (None, Some(DocumentState::Kept)));
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "92"), Some(Ended::Filed));
}

#[tokio::test]
async fn a_document_waits_for_its_booking() {
    let clinic = clinic();
    stands(&clinic, "2", BookingState::Held(AppointmentRef::new("a2")));
    offered(&clinic, offer("91", Some("2"), None));
    let (flow, _) = program(&clinic);
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), None);
    stands(&clinic, "2", BookingState::Confirmed(inserted()));
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));

    stands(&clinic, "3", BookingState::Rejected { why: Refusal::SlotTaken, tell_patient: false });
    offered(&clinic, offer("92", Some("3"), None));
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "92"), Some(Ended::Rejected(DocumentRefusal::BookingFellThrough)));
}

#[tokio::test]
async fn an_unknown_booking_is_rejected_once_bookings_were_asked_for_again() {
    let clinic = clinic();
    offered(&clinic, offer("91", Some("404"), Some("p1")));
    let (flow, ports) = program(&clinic);
    ports.proven(Leg::Desk).await.unwrap();
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), None, "bookings may have been made since they were last asked for");
    ports.proven(Leg::Desk).await.unwrap();
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Rejected(DocumentRefusal::BookingUnknown)));
}

#[tokio::test]
async fn what_cannot_be_filed_is_rejected_and_somebody_is_told_without_names() {
    let clinic = clinic();
    let unusable = [DocumentRefusal::WrongHash, DocumentRefusal::WrongSize, DocumentRefusal::Unreadable];
    for (number, why) in (1..).zip(unusable) {
        let offer = offer(&number.to_string(), Some("1"), None);
        clinic.partner.desk(|desk| desk.documents.offers.push((offer, Err(why))));
    }
    let mut on_sight = [
        (offer("11", Some("1"), None), DocumentRefusal::Empty),
        (offer("12", Some("1"), None), DocumentRefusal::TooLarge),
        (offer("13", Some("1"), None), DocumentRefusal::FormatNotTaken),
        (offer("14", Some("1"), Some("p2")), DocumentRefusal::OtherPatient),
        (offer("15", None, None), DocumentRefusal::NoPatient),
    ];
    (on_sight[0].0.size, on_sight[1].0.size) = (Some(0), Some(2 * LARGEST_BYTES));
    on_sight[2].0.format = "application/x-msdownload".into();
    for (offer, _) in &on_sight {
        offered(&clinic, offer.clone());
    }
    let (flow, _) = program(&clinic);
    flow.pass().await;
    for (number, why) in (1..).zip(unusable) {
        assert_eq!(ended(&clinic, &number.to_string()), Some(Ended::Rejected(why)));
    }
    for (offer, why) in &on_sight {
        assert_eq!(ended(&clinic, offer.key.document.as_str()), Some(Ended::Rejected(*why)));
        let fetched = clinic.partner.desk(|desk| desk.calls(&format!("fetch {}", offer.key.document)).len());
        assert_eq!(fetched, 0, "nothing is fetched that is refused by what was announced");
    }
    assert!(told(&clinic).iter().all(|line| !line.contains("Knee")), "{:?}", told(&clinic));
    assert_eq!(told(&clinic).len(), 8);
    assert!(clinic.practice.diary(|diary| diary.shelf.folder.is_empty() && diary.shelf.ready.is_empty()));
}

#[tokio::test]
async fn what_has_expired_is_dropped_and_what_stays_listed_is_answered_again_not_too_often() {
    let clinic = clinic();
    offered(&clinic, offer("91", Some("1"), None));
    offered(&clinic, offer("92", Some("1"), None));
    clinic.partner.desk(|desk| {
        desk.documents.gone.insert(ForeignDocumentId::new("91"));
        desk.documents.keeps_offering = true;
    });
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!(state_of(&clinic, "91"), Some(DocumentState::Dropped));
    for _ in 0..10 {
        clinic.clock.move_by(TimeDelta::seconds(5));
        flow.pass().await;
    }
    assert_eq!(clinic.partner.desk(|desk| desk.calls("filed 92").len()), 2);
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.orders.len()), 1);
}

#[tokio::test]
async fn a_folder_that_does_not_work_is_said_once_and_nothing_is_fetched_in_vain() {
    let clinic = clinic();
    clinic.practice.diary(|diary| diary.shelf.fails = Some(|| FilingError::Full));
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, ports) = program(&clinic);
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), None);
    assert_eq!(clinic.partner.desk(|desk| desk.calls("fetch").len()), 0);
    let expected = "The folder /import is full: free some space. Documents wait until then; nothing is lost.";
    assert_eq!(told(&clinic).iter().filter(|line| *line == expected).count(), 1, "{:?}", told(&clinic));
    let shown = || ports.state.subscribe().borrow().practices[ports.id()].documents_problem.clone();
    assert!(shown().is_some());
    clinic.practice.diary(|diary| diary.shelf.fails = None);
    settle(&clinic, &flow).await;
    assert_eq!((ended(&clinic, "91"), shown()), (Some(Ended::Filed), None));
}

/// The same clinic, whose practice system has an API and no folder.
fn clinic_with_api() -> Clinic {
    let clinic = clinic();
    clinic.practice.diary(|diary| diary.shelf.is_api = true);
    clinic
}

#[tokio::test]
async fn what_an_api_does_not_take_yet_lies_in_our_records_whatever_the_partner_forgets() {
    let clinic = clinic_with_api();
    clinic.practice.diary(|diary| diary.shelf.fails = Some(|| FilingError::SetUp("is set up wrong")));
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, ports) = program(&clinic);
    settle(&clinic, &flow).await;
    let held = || clinic.store.disk(|disk| disk.documents[&document_key("91")].clone());
    assert!(matches!(held().0.state, DocumentState::Filing(_)) && held().0.kept);
    assert_eq!(held().1, Some(Private::new(b"PDF!".to_vec())));
    let expected = "The folder /import is set up wrong. Documents wait until then; nothing is lost.";
    assert_eq!(told(&clinic).iter().filter(|line| *line == expected).count(), 1, "{:?}", told(&clinic));
    let shown = || ports.state.subscribe().borrow().practices[ports.id()].documents_problem.clone();
    assert!(shown().is_some());
    // The partner has it no more, and the program begins anew.
    clinic.partner.desk(|desk| desk.documents.offers.clear());
    let (flow, ports) = program(&clinic);
    clinic.practice.diary(|diary| diary.shelf.fails = None);
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
    assert_eq!(state_of(&clinic, "91"), Some(DocumentState::Told(Some(DocumentRef::new("341")))));
    assert_eq!((held().0.kept, held().1), (false, None), "the practice has it, and we need not");
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.folder.len()), 1);
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.notes.clone()), []);
    assert!(ports.state.subscribe().borrow().practices[ports.id()].documents_problem.is_none());
}

#[tokio::test]
async fn what_an_api_turns_away_is_opened_from_the_booking() {
    let clinic = clinic_with_api();
    clinic.practice.diary(|diary| diary.shelf.turns_away = true);
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, _) = program(&clinic);
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
    let kept = clinic.store.disk(|disk| disk.documents[&document_key("91")].clone());
    assert_eq!((kept.0.kept, kept.1), (true, Some(Private::new(b"PDF!".to_vec()))));
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.notes.len()), 1);
    let lines = told(&clinic);
    assert!(lines.iter().any(|line| line.contains("did not take a document for booking 1")), "{lines:?}");
}

#[tokio::test]
async fn what_was_held_for_an_api_goes_where_documents_go_when_there_is_none_any_more() {
    let clinic = clinic_with_api();
    clinic.practice.diary(|diary| diary.shelf.fails = Some(|| FilingError::NoAnswer("away".into())));
    offered(&clinic, offer("91", Some("1"), None));
    let (flow, _) = program(&clinic);
    settle(&clinic, &flow).await;
    clinic.partner.desk(|desk| desk.documents.gone.insert(ForeignDocumentId::new("91")));
    clinic.practice.diary(|diary| (diary.shelf.has_folder, diary.shelf.fails) = (false, None));
    let (flow, _) = program(&clinic);
    settle(&clinic, &flow).await;
    let kept = clinic.store.disk(|disk| disk.documents[&document_key("91")].clone());
    assert_eq!((kept.0.kept, kept.1), (true, Some(Private::new(b"PDF!".to_vec()))));
    assert_eq!(clinic.practice.diary(|diary| diary.shelf.notes.len()), 1);
}

#[tokio::test]
async fn one_that_fails_keeps_no_other_waiting_and_patience_is_kept() {
    let clinic = clinic();
    offered(&clinic, offer("91", Some("1"), None));
    offered(&clinic, offer("92", Some("1"), None));
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| (call == "fetch 91").then(|| ReadError::Unreachable("cut".into())));
    });
    let (flow, _) = program(&clinic);
    flow.pass().await;
    assert_eq!((ended(&clinic, "91"), ended(&clinic, "92")), (None, Some(Ended::Filed)));

    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| {
            let retry_after = Some(TimeDelta::seconds(90));
            (call == "offered").then_some(ReadError::SlowDown { retry_after })
        });
    });
    clinic.clock.move_by(TimeDelta::minutes(1));
    flow.pass().await;
    let asked = clinic.partner.desk(|desk| desk.calls("offered").len());
    clinic.clock.move_by(TimeDelta::seconds(60));
    let outcome = flow.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.calls("offered").len()), asked, "nobody asks in between");
    assert!(outcome.again_at - clinic.now() <= TimeDelta::seconds(30));
    clinic.partner.desk(|desk| desk.fails = None);
    settle(&clinic, &flow).await;
    assert_eq!(ended(&clinic, "91"), Some(Ended::Filed));
}

fn script(id: &str, size: u64) -> (PracticeDocument, Vec<u8>) {
    let document = PracticeDocument {
        id: DocumentRef::new(id),
        kind: PracticeDocumentKind::Scripts,
        name: Private::new("Panadol.pdf".into()),
        format: "application/pdf",
        size,
        changed_at: start(),
    };
    (document, b"script".to_vec())
}

fn asked(booking: &str, document: Option<&str>) -> DocumentsAsked {
    DocumentsAsked { booking: ForeignBookingId::new(booking), document: document.map(DocumentRef::new) }
}

#[tokio::test]
async fn documents_for_patients_are_listed_handed_over_and_declined() {
    let clinic = clinic();
    clinic.practice.diary(|diary| {
        diary
            .shelf
            .outward
            .insert(AppointmentRef::new("a1"), vec![script("d1", 6), script("big", LARGEST_BYTES + 1)]);
    });
    stands(&clinic, "3", BookingState::Rejected { why: Refusal::SlotTaken, tell_patient: false });
    clinic.partner.desk(|desk| {
        desk.documents.asked = vec![asked("1", None), asked("404", None)];
        desk.documents.wanted = [("1", "d1"), ("1", "big"), ("1", "gone"), ("3", "d1b"), ("404", "d9")]
            .map(|(b, d)| asked(b, Some(d)))
            .into();
    });
    let (flow, ports) = program(&clinic);
    flow.pass().await;
    let (announced, uploaded, declined) = clinic.partner.desk(|desk| {
        let box_ = &desk.documents;
        (box_.announced.clone(), box_.uploaded.clone(), box_.not_uploaded.clone())
    });
    assert_eq!(announced.len(), 1);
    let named: Vec<_> = announced[0].iter().map(|(b, d)| (b.as_str(), d.id.as_str())).collect();
    assert_eq!(named, [("1", "d1"), ("1", "big")]);
    assert_eq!(uploaded, [(ForeignBookingId::new("1"), DocumentRef::new("d1"), b"script".to_vec())]);
    let why: Vec<_> = declined.iter().map(|(_, document, why)| (document.as_str(), *why)).collect();
    assert_eq!(
        why,
        [
            ("big", DocumentRefusal::TooLarge),
            ("gone", DocumentRefusal::NotThere),
            ("d1b", DocumentRefusal::NotThere)
        ]
    );
    settle(&clinic, &flow).await;
    ports.proven(Leg::Desk).await.unwrap();
    settle(&clinic, &flow).await;
    let last = clinic.partner.desk(|desk| desk.documents.not_uploaded.last().cloned()).unwrap();
    assert_eq!((last.1.as_str(), last.2), ("d9", DocumentRefusal::BookingUnknown), "HE-26");

    // A new document is told of without being asked, and what is known is not told again.
    let before = clinic.partner.desk(|desk| desk.documents.announced.len());
    settle(&clinic, &flow).await;
    assert_eq!(clinic.partner.desk(|desk| desk.documents.announced.len()), before);
    clinic.practice.diary(|diary| {
        diary.shelf.outward.get_mut(&AppointmentRef::new("a1")).unwrap().push(script("d2", 6));
    });
    settle(&clinic, &flow).await;
    let announced = clinic.partner.desk(|desk| desk.documents.announced.clone());
    assert_eq!(announced.len(), before + 1);
    assert_eq!(announced.last().unwrap().len(), 3);
}

#[tokio::test]
async fn the_bookings_flow_wakes_the_documents_after_the_bookings() {
    let clinic = clinic();
    offered(&clinic, offer("91", Some("1"), None));
    let program = clinic.program();
    assert!(program.pass().await.wake.contains(&FlowName::Documents));
    clinic.partner.desk(|desk| desk.documents.offers.clear());
    assert!(!program.pass().await.wake.contains(&FlowName::Documents));
}

/// Where documents go in a world of the kill test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Folder,
    Records,
}

/// Runs the flow with these faults, and returns how many touches there were, and what is wrong at the end.
async fn kill(place: Place, faults: &[(usize, Fault)]) -> (usize, Vec<String>) {
    let clinic = clinic();
    clinic.practice.diary(|diary| diary.shelf.has_folder = place == Place::Folder);
    offered(&clinic, offer("91", Some("1"), Some("p1")));
    offered(&clinic, offer("92", Some("1"), None));
    clinic.reaper.plan(faults);
    let clinic = Arc::new(clinic);
    let (mut flow, _) = program(&clinic);
    for _ in 0..60 {
        let lived = tokio::select! {
            biased;
            () = clinic.reaper.death() => None,
            outcome = flow.pass() => Some(outcome.again_at),
        };
        match lived {
            Some(again_at) => clinic.clock.move_to(again_at.max(clinic.now() + TimeDelta::seconds(1))),
            None => {
                clinic.reaper.revive();
                clinic.clock.move_by(TimeDelta::seconds(1));
                flow = program(&clinic).0;
            }
        }
        // The practice system is quick: nothing that is in its folder can be looked for there afterwards.
        clinic.practice.diary(|diary| diary.shelf.pick_up());
        let open = clinic.store.disk(|disk| {
            disk.documents.len() < 2 || disk.documents.values().any(|(entry, _)| !entry.state.is_final())
        });
        if !open {
            break;
        }
    }
    let mut wrong = clinic.partner.desk(|desk| desk.documents.violations.clone());
    for number in ["91", "92"] {
        if ended(&clinic, number) != Some(Ended::Filed) {
            wrong.push(format!("{number} was answered {:?}", ended(&clinic, number)));
        }
        let copies = clinic.practice.diary(|diary| {
            let shelf = &diary.shelf;
            shelf
                .picked_up
                .iter()
                .filter(|(name, content)| name.contains(number) && content == b"PDF!")
                .count()
        });
        let notes = clinic.practice.diary(|diary| {
            diary.shelf.notes.iter().filter(|(_, line)| line.contains(&format!(":{number}]"))).count()
        });
        let kept = clinic
            .store
            .disk(|disk| disk.documents.get(&document_key(number)).is_some_and(|d| d.1.is_some()));
        let expected = if place == Place::Folder { (1, 0, false) } else { (0, 1, true) };
        if (copies, notes, kept) != expected {
            wrong.push(format!("{number} stands {copies} times, with {notes} notes, kept: {kept}"));
        }
    }
    if clinic.practice.diary(|diary| !diary.shelf.ready.is_empty()) {
        wrong.push("something was left lying ready".into());
    }
    (clinic.reaper.touches(), wrong)
}

#[tokio::test]
async fn cut_off_or_dead_at_any_touch_each_document_is_filed_exactly_once() {
    for place in [Place::Folder, Place::Records] {
        let (touches, wrong) = kill(place, &[]).await;
        assert_eq!(wrong, [""; 0], "{place:?} without a fault");
        assert!(touches > 15, "{place:?}: {touches}");
        for touch in 1..=touches {
            for fault in Fault::ALL {
                let (_, wrong) = kill(place, &[(touch, fault)]).await;
                assert_eq!(wrong, [""; 0], "{place:?}, {fault:?} at {touch}");
                // And once more, soon after it was taken up again.
                for again in [1, 3, 6, 9] {
                    let faults = [(touch, fault), (touch + again, Fault::DiesAfter)];
                    let (_, wrong) = kill(place, &faults).await;
                    assert_eq!(wrong, [""; 0], "{place:?}, {faults:?}");
                }
            }
        }
    }
}
