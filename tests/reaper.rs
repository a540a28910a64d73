//! Cuts the program off from the world, or kills it, at a chosen touch of a port.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use domain::audit::{AuditEntry, AuditLine};
use domain::booking::{
    AppointmentOrder, AskedAbout, BookingChange, BookingEvent, BookingKey, BookingRequest, Entry, Held,
    HistoryLine, Inserted, Standing, Undoing, Watched,
};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked};
use domain::consent::in_practice::{Answer, KeptAnswer, Mapping};
use domain::consent::{Consent, ConsentLine};
use domain::diary::{Appointment, AppointmentType, Book, PracticeCard, Resource};
use domain::documents::{
    DocumentEntry, DocumentKey, DocumentOffer, DocumentOrder, DocumentRefusal, DocumentState,
    PracticeDocument,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignChangeId, ForeignDocumentId, PartnerId, PatientRef,
    PracticeId, ResourceRef,
};
use domain::link::{Link, LinkKey, LinkState};
use domain::matching::{Decision, Settled};
use domain::people::{PatientPlan, PatientRecord, PersonDetails};
use domain::ports::documents::{
    DocumentDesk, DocumentInbox, DocumentLedger, DocumentSource, DocumentsAsked, FeatureSwitch, Fetched,
    FilingError, Placed, Staged,
};
use domain::ports::partner::{
    AvailabilityBoard, BookingDesk, DayOffer, Incoming, OfferAsked, Partner, SnapshotReader, Waiting,
};
use domain::ports::practice::{Candidates, PracticeSystem};
use domain::ports::store::{
    Activity, ActivityLine, AuditTrail, BookingCounts, BookingLedger, Consents, DecidedAnswer, Leg, LegNote,
    Links, Mark, Marks, OpenWish, Revision, SettingsBook, SettledPeople, SettledPerson, Store, StoreError,
    Vault, Watermarks, Wish, Wishes,
};
use domain::ports::webhooks::{BookNews, WebhookDesk};
use domain::private::{Private, SecretString};
use domain::settings::{AppSettings, Feature, LiveHours, PracticeSettings, SecretName};
use domain::time::{Horizon, PracticeTime};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What happens at a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing happened.
    FailsBefore,
    /// It happens, and its answer is lost.
    FailsAfter,
    /// The program dies, and nothing happened.
    DiesBefore,
    /// It happens, and the program dies.
    DiesAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 4] = [Fault::FailsBefore, Fault::FailsAfter, Fault::DiesBefore, Fault::DiesAfter];
}

/// A touch that did not work, or seemed not to.
pub struct Broken;

impl From<Broken> for ReadError {
    fn from(_: Broken) -> Self {
        ReadError::Unreachable("cut off".into())
    }
}

impl From<Broken> for WriteError {
    fn from(broken: Broken) -> Self {
        WriteError::Unknown(broken.into())
    }
}

impl From<Broken> for FilingError {
    fn from(_: Broken) -> Self {
        FilingError::Failed("cut off".into())
    }
}

impl From<Broken> for StoreError {
    fn from(_: Broken) -> Self {
        StoreError::Failed("cut off".into())
    }
}

/// Counts touches, and strikes at some of them.
#[derive(Default)]
pub struct Reaper {
    plan: Mutex<BTreeMap<usize, Fault>>,
    touches: AtomicUsize,
    dead: watch::Sender<bool>,
}

impl Reaper {
    /// Forgets the count, and strikes at the given touches; the next one is 1.
    pub fn plan(&self, faults: &[(usize, Fault)]) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *plan = faults.iter().copied().collect();
        self.touches.store(0, Ordering::SeqCst);
    }

    /// How many touches there were since the last plan.
    pub fn touches(&self) -> usize {
        self.touches.load(Ordering::SeqCst)
    }

    /// Returns when the program dies.
    pub async fn death(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Lets the program start anew.
    pub fn revive(&self) {
        self.dead.send_replace(false);
    }

    async fn touch<T, E: From<Broken>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let number = self.touches.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = self.plan.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        match fault {
            None => return call.await,
            Some(Fault::FailsBefore) => return Err(Broken.into()),
            Some(Fault::FailsAfter) => {
                let _ = call.await;
                return Err(Broken.into());
            }
            Some(Fault::DiesBefore) => {}
            Some(Fault::DiesAfter) => drop(call.await),
        }
        self.dead.send_replace(true);
        std::future::pending().await
    }
}

/// Every fault at every touch, one at a time.
pub fn one_fault(touches: usize) -> Vec<Vec<(usize, Fault)>> {
    (1..=touches).flat_map(|n| Fault::ALL.map(|fault| vec![(n, fault)])).collect()
}

/// A sample of pairs, the same in every run.
pub fn two_faults(touches: usize, sample: usize) -> Vec<Vec<(usize, Fault)>> {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit as u64) as usize
    };
    let mut worlds = Vec::new();
    while worlds.len() < sample {
        let (first, second) = (below(touches) + 1, below(touches + 20) + 1);
        let (one, other) = (below(4), below(4));
        let faults: Vec<_> = [(first, one), (second, other)]
            .into_iter()
            .filter_map(|(touch, fault)| Some((touch, *Fault::ALL.get(fault)?)))
            .collect();
        if first < second && !worlds.contains(&faults) {
            worlds.push(faults);
        }
    }
    worlds
}

/// A port behind a reaper.
pub struct Reaped<P: ?Sized> {
    /// The real one.
    pub port: Arc<P>,
    /// Whoever strikes.
    pub reaper: Arc<Reaper>,
}

impl<P: ?Sized> Reaped<P> {
    /// Puts `port` behind `reaper`.
    pub fn new(port: Arc<P>, reaper: &Arc<Reaper>) -> Arc<Self> {
        Arc::new(Self { port, reaper: reaper.clone() })
    }
}

#[async_trait]
impl PracticeSystem for Reaped<dyn PracticeSystem> {
    async fn check(&self) -> Result<PracticeCard, ReadError> {
        self.reaper.touch(self.port.check()).await
    }

    async fn stamp(&self, horizon: Horizon) -> Result<String, ReadError> {
        self.reaper.touch(self.port.stamp(horizon)).await
    }

    async fn book(&self, horizon: Horizon) -> Result<Book, ReadError> {
        self.reaper.touch(self.port.book(horizon)).await
    }

    fn webhook_desk(&self) -> Option<&dyn WebhookDesk> {
        self.port.webhook_desk()
    }

    fn heard(&self, news: &BookNews) -> bool {
        self.port.heard(news)
    }

    async fn find_patients(&self, person: &PersonDetails) -> Result<Candidates, ReadError> {
        self.reaper.touch(self.port.find_patients(person)).await
    }

    async fn people_stamp(&self) -> Result<Option<String>, ReadError> {
        self.reaper.touch(self.port.people_stamp()).await
    }

    async fn people(&self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<PatientRecord>, ReadError> {
        self.reaper.touch(self.port.people(after, limit)).await
    }

    async fn patients(&self, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError> {
        self.reaper.touch(self.port.patients(patients)).await
    }

    async fn patient(&self, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError> {
        self.reaper.touch(self.port.patient(patient)).await
    }

    fn consents_held(&self) -> Vec<Mapping> {
        self.port.consents_held()
    }

    async fn consents_stamp(&self, partner: &PartnerId) -> Result<Option<String>, ReadError> {
        self.reaper.touch(self.port.consents_stamp(partner)).await
    }

    async fn consents(
        &self,
        partner: &PartnerId,
        after: Option<&PatientRef>,
        limit: u32,
    ) -> Result<Vec<Answer>, ReadError> {
        self.reaper.touch(self.port.consents(partner, after, limit)).await
    }

    async fn appointments_with_patients(
        &self,
        resource: &ResourceRef,
        day: NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, ReadError> {
        self.reaper.touch(self.port.appointments_with_patients(resource, day)).await
    }

    async fn insert(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        self.reaper.touch(self.port.insert(order)).await
    }

    async fn overlapped(
        &self,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, ReadError> {
        self.reaper.touch(self.port.overlapped(order, appointment)).await
    }

    async fn find(&self, key: &BookingKey) -> Result<Option<Held>, ReadError> {
        self.reaper.touch(self.port.find(key)).await
    }

    async fn name_patient(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        self.reaper.touch(self.port.name_patient(appointment, key, plan, instead_of, details)).await
    }

    fn keeps_birth_dates(&self) -> bool {
        self.port.keeps_birth_dates()
    }

    fn serves_snapshots(&self) -> bool {
        self.port.serves_snapshots()
    }

    async fn client_snapshot(&self, asked: SnapshotAsked) -> Result<ClientSnapshot, ReadError> {
        self.reaper.touch(self.port.client_snapshot(asked)).await
    }

    async fn cancel(&self, held: &Held) -> Result<(), WriteError> {
        self.reaper.touch(self.port.cancel(held)).await
    }

    async fn standings(&self, watched: &[Watched]) -> Result<Vec<Standing>, ReadError> {
        self.reaper.touch(self.port.standings(watched)).await
    }

    fn document_inbox(&self) -> Option<&dyn DocumentInbox> {
        self.port.document_inbox().map(|_| self as &dyn DocumentInbox)
    }

    fn document_source(&self) -> Option<&dyn DocumentSource> {
        self.port.document_source()
    }

    async fn add_to_note(
        &self,
        appointment: &AppointmentRef,
        mark: &str,
        line: &str,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.port.add_to_note(appointment, mark, line)).await
    }
}

impl Reaped<dyn PracticeSystem> {
    fn inbox(&self) -> &dyn DocumentInbox {
        self.port.document_inbox().expect("it was asked for before")
    }
}

#[async_trait]
impl DocumentInbox for Reaped<dyn PracticeSystem> {
    fn title(&self) -> String {
        self.inbox().title()
    }

    async fn check(&self) -> Result<(), FilingError> {
        self.reaper.touch(self.inbox().check()).await
    }

    fn stages_in_our_records(&self) -> bool {
        self.inbox().stages_in_our_records()
    }

    async fn stage(&self, order: &DocumentOrder, content: Private<Vec<u8>>) -> Result<Staged, FilingError> {
        self.reaper.touch(self.inbox().stage(order, content)).await
    }

    async fn place(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        held: Option<Private<Vec<u8>>>,
    ) -> Result<Placed, FilingError> {
        self.reaper.touch(self.inbox().place(key, ticket, held)).await
    }

    async fn discard(&self, key: &DocumentKey) -> Result<(), FilingError> {
        self.reaper.touch(self.inbox().discard(key)).await
    }
}

#[async_trait]
impl Partner for Reaped<dyn Partner> {
    fn id(&self) -> &PartnerId {
        self.port.id()
    }

    fn account(&self) -> String {
        self.port.account()
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.reaper.touch(self.port.check()).await
    }

    fn booking_desk(&self) -> Option<&dyn BookingDesk> {
        self.port.booking_desk().map(|_| self as &dyn BookingDesk)
    }

    fn availability_board(&self) -> Option<&dyn AvailabilityBoard> {
        self.port.availability_board().map(|_| self as &dyn AvailabilityBoard)
    }

    fn snapshot_reader(&self) -> Option<&dyn SnapshotReader> {
        self.port.snapshot_reader().map(|_| self as &dyn SnapshotReader)
    }

    fn feature_switch(&self) -> Option<&dyn FeatureSwitch> {
        self.port.feature_switch().map(|_| self as &dyn FeatureSwitch)
    }

    fn document_desk(&self) -> Option<&dyn DocumentDesk> {
        self.port.document_desk().map(|_| self as &dyn DocumentDesk)
    }
}

#[async_trait]
impl FeatureSwitch for Reaped<dyn Partner> {
    async fn switched_on(&self) -> Result<BTreeSet<Feature>, ReadError> {
        self.reaper.touch(self.switches().switched_on()).await
    }

    async fn switch(&self, feature: Feature, on: bool) -> Result<(), WriteError> {
        self.reaper.touch(self.switches().switch(feature, on)).await
    }
}

#[async_trait]
impl DocumentDesk for Reaped<dyn Partner> {
    async fn offered(&self) -> Result<Vec<DocumentOffer>, ReadError> {
        self.reaper.touch(self.documents().offered()).await
    }

    async fn fetch(&self, offer: &DocumentOffer) -> Result<Fetched, ReadError> {
        self.reaper.touch(self.documents().fetch(offer)).await
    }

    async fn filed(
        &self,
        document: &ForeignDocumentId,
        filed_as: Option<&DocumentRef>,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.documents().filed(document, filed_as)).await
    }

    async fn not_filed(&self, document: &ForeignDocumentId, why: DocumentRefusal) -> Result<(), WriteError> {
        self.reaper.touch(self.documents().not_filed(document, why)).await
    }

    async fn asked(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        self.reaper.touch(self.documents().asked()).await
    }

    async fn wanted(&self) -> Result<Vec<DocumentsAsked>, ReadError> {
        self.reaper.touch(self.documents().wanted()).await
    }

    async fn announce(&self, documents: &[(ForeignBookingId, PracticeDocument)]) -> Result<(), WriteError> {
        self.reaper.touch(self.documents().announce(documents)).await
    }

    async fn upload(
        &self,
        booking: &ForeignBookingId,
        document: &PracticeDocument,
        content: &Private<Vec<u8>>,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.documents().upload(booking, document, content)).await
    }

    async fn not_uploaded(
        &self,
        booking: &ForeignBookingId,
        document: &DocumentRef,
        why: DocumentRefusal,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.documents().not_uploaded(booking, document, why)).await
    }
}

#[async_trait]
impl SnapshotReader for Reaped<dyn Partner> {
    async fn snapshots_asked(&self) -> Result<Vec<SnapshotAsked>, ReadError> {
        self.reaper.touch(self.reader().snapshots_asked()).await
    }

    async fn take_snapshot(&self, snapshot: &ClientSnapshot) -> Result<(), WriteError> {
        self.reaper.touch(self.reader().take_snapshot(snapshot)).await
    }
}

impl Reaped<dyn Partner> {
    fn desk(&self) -> &dyn BookingDesk {
        self.port.booking_desk().expect("it was asked for before")
    }

    fn reader(&self) -> &dyn SnapshotReader {
        self.port.snapshot_reader().expect("it was asked for before")
    }

    fn switches(&self) -> &dyn FeatureSwitch {
        self.port.feature_switch().expect("it was asked for before")
    }

    fn documents(&self) -> &dyn DocumentDesk {
        self.port.document_desk().expect("it was asked for before")
    }

    fn board(&self) -> &dyn AvailabilityBoard {
        self.port.availability_board().expect("it was asked for before")
    }
}

#[async_trait]
impl BookingDesk for Reaped<dyn Partner> {
    async fn waiting(&self) -> Result<Waiting, ReadError> {
        self.reaper.touch(self.desk().waiting()).await
    }

    async fn bookings(&self) -> Result<Vec<Incoming>, ReadError> {
        self.reaper.touch(self.desk().bookings()).await
    }

    async fn changes(&self) -> Result<Vec<BookingChange>, ReadError> {
        self.reaper.touch(self.desk().changes()).await
    }

    async fn confirm(&self, booking: &ForeignBookingId, held: &Inserted) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().confirm(booking, held)).await
    }

    async fn decline(
        &self,
        booking: &ForeignBookingId,
        why: &Refusal,
        cancel_too: bool,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().decline(booking, why, cancel_too)).await
    }

    async fn confirm_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().confirm_change(booking, change)).await
    }

    async fn decline_change(
        &self,
        booking: &ForeignBookingId,
        change: &ForeignChangeId,
        why: &Refusal,
    ) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().decline_change(booking, change, why)).await
    }

    async fn asked_about(&self) -> Result<Vec<AskedAbout>, ReadError> {
        self.reaper.touch(self.desk().asked_about()).await
    }

    async fn undone(&self, booking: &ForeignBookingId, how: &Undoing) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().undone(booking, how)).await
    }

    async fn nothing_changed(&self, booking: &ForeignBookingId) -> Result<(), WriteError> {
        self.reaper.touch(self.desk().nothing_changed(booking)).await
    }
}

#[async_trait]
impl AvailabilityBoard for Reaped<dyn Partner> {
    fn batch_size(&self) -> usize {
        self.board().batch_size()
    }

    async fn publish_live_hours(&self, hours: &LiveHours) -> Result<(), WriteError> {
        self.reaper.touch(self.board().publish_live_hours(hours)).await
    }

    async fn publish_resources(&self, resources: &[Resource]) -> Result<(), WriteError> {
        self.reaper.touch(self.board().publish_resources(resources)).await
    }

    async fn publish_appointment_types(&self, types: &[AppointmentType]) -> Result<(), WriteError> {
        self.reaper.touch(self.board().publish_appointment_types(types)).await
    }

    async fn publish(&self, offers: &[DayOffer]) -> Result<Vec<Result<(), String>>, WriteError> {
        self.reaper.touch(self.board().publish(offers)).await
    }

    async fn asked(&self) -> Result<Vec<OfferAsked>, ReadError> {
        self.reaper.touch(self.board().asked()).await
    }
}

#[async_trait]
impl BookingLedger for Reaped<dyn Store> {
    async fn file(&self, request: &BookingRequest, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.reaper.touch(self.port.file(request, now)).await
    }

    async fn record(
        &self,
        entry: &Entry,
        event: &BookingEvent,
        decision: Option<&Decision>,
        now: DateTime<Utc>,
    ) -> Result<Entry, StoreError> {
        self.reaper.touch(self.port.record(entry, event, decision, now)).await
    }

    async fn remark(&self, key: &BookingKey, what: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.reaper.touch(self.port.remark(key, what, now)).await
    }

    async fn postpone(&self, key: &BookingKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.reaper.touch(self.port.postpone(key, until)).await
    }

    async fn entry(&self, key: &BookingKey) -> Result<Option<Entry>, StoreError> {
        self.reaper.touch(self.port.entry(key)).await
    }

    async fn unfinished(&self, practice: &PracticeId) -> Result<Vec<Entry>, StoreError> {
        self.reaper.touch(self.port.unfinished(practice)).await
    }

    async fn standing(&self, practice: &PracticeId, from: PracticeTime) -> Result<Vec<Entry>, StoreError> {
        self.reaper.touch(self.port.standing(practice, from)).await
    }

    async fn newest(&self, practice: Option<&PracticeId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.reaper.touch(self.port.newest(practice, limit)).await
    }

    async fn history(&self, key: &BookingKey) -> Result<Vec<HistoryLine>, StoreError> {
        self.reaper.touch(self.port.history(key)).await
    }

    async fn counts(&self, practice: &PracticeId) -> Result<BookingCounts, StoreError> {
        self.reaper.touch(self.port.counts(practice)).await
    }

    async fn forget_people(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.reaper.touch(self.port.forget_people(before)).await
    }
}

#[async_trait]
impl DocumentLedger for Reaped<dyn Store> {
    async fn receive_document(&self, offer: &DocumentOffer, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.reaper.touch(self.port.receive_document(offer, now)).await
    }

    async fn document(&self, key: &DocumentKey) -> Result<Option<DocumentEntry>, StoreError> {
        self.reaper.touch(self.port.document(key)).await
    }

    async fn move_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        to: &DocumentState,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.reaper.touch(self.port.move_document(key, from, to, now)).await
    }

    async fn hold_document(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.reaper.touch(self.port.hold_document(key, ticket, content, now)).await
    }

    async fn keep_document(
        &self,
        key: &DocumentKey,
        from: &DocumentState,
        booking: &ForeignBookingId,
        content: Private<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.reaper.touch(self.port.keep_document(key, from, booking, content, now)).await
    }

    async fn postpone_document(&self, key: &DocumentKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.reaper.touch(self.port.postpone_document(key, until)).await
    }

    async fn unfinished_documents(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        self.reaper.touch(self.port.unfinished_documents(practice)).await
    }

    async fn documents_of_bookings(&self, practice: &PracticeId) -> Result<Vec<DocumentEntry>, StoreError> {
        self.reaper.touch(self.port.documents_of_bookings(practice)).await
    }

    async fn document_content(&self, key: &DocumentKey) -> Result<Option<Private<Vec<u8>>>, StoreError> {
        self.reaper.touch(self.port.document_content(key)).await
    }

    async fn booking_of_patient(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<ForeignBookingId>, StoreError> {
        self.reaper.touch(self.port.booking_of_patient(practice, partner, patient)).await
    }
}

#[async_trait]
impl SettledPeople for Reaped<dyn Store> {
    async fn settle(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
        how: Settled,
        patient: Option<&PatientRef>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.reaper.touch(self.port.settle(practice, person, how, patient, now)).await
    }

    async fn settled(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
    ) -> Result<Vec<SettledPerson>, StoreError> {
        self.reaper.touch(self.port.settled(practice, person)).await
    }

    async fn is_made_and_unused(&self, key: &BookingKey, patient: &PatientRef) -> Result<bool, StoreError> {
        self.reaper.touch(self.port.is_made_and_unused(key, patient)).await
    }
}

#[async_trait]
impl Marks for Reaped<dyn Store> {
    async fn marks(&self, practice: &PracticeId, prefix: &str) -> Result<Vec<Mark>, StoreError> {
        self.reaper.touch(self.port.marks(practice, prefix)).await
    }

    async fn set_marks(&self, practice: &PracticeId, marks: &[Mark]) -> Result<(), StoreError> {
        self.reaper.touch(self.port.set_marks(practice, marks)).await
    }

    async fn forget_marks(&self, practice: &PracticeId, prefix: &str) -> Result<u64, StoreError> {
        self.reaper.touch(self.port.forget_marks(practice, prefix)).await
    }
}

#[async_trait]
impl Watermarks for Reaped<dyn Store> {
    async fn note(&self, practice: &PracticeId, leg: Leg, note: &LegNote) -> Result<(), StoreError> {
        self.reaper.touch(self.port.note(practice, leg, note)).await
    }

    async fn notes(&self, practice: &PracticeId) -> Result<Vec<(Leg, LegNote)>, StoreError> {
        self.reaper.touch(self.port.notes(practice)).await
    }
}

#[async_trait]
impl Wishes for Reaped<dyn Store> {
    async fn wish(&self, practice: &PracticeId, wish: &Wish, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.reaper.touch(self.port.wish(practice, wish, now)).await
    }

    async fn open_wishes(&self) -> Result<Vec<OpenWish>, StoreError> {
        self.reaper.touch(self.port.open_wishes()).await
    }

    async fn granted(&self, id: i64, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.reaper.touch(self.port.granted(id, now)).await
    }
}

#[async_trait]
impl SettingsBook for Reaped<dyn Store> {
    async fn practices(&self) -> Result<Vec<PracticeSettings>, StoreError> {
        self.reaper.touch(self.port.practices()).await
    }

    async fn save_practice(&self, settings: &PracticeSettings) -> Result<(), StoreError> {
        self.reaper.touch(self.port.save_practice(settings)).await
    }

    async fn remove_practice(&self, practice: &PracticeId) -> Result<bool, StoreError> {
        self.reaper.touch(self.port.remove_practice(practice)).await
    }

    async fn app_settings(&self) -> Result<AppSettings, StoreError> {
        self.reaper.touch(self.port.app_settings()).await
    }

    async fn save_app_settings(&self, settings: &AppSettings) -> Result<(), StoreError> {
        self.reaper.touch(self.port.save_app_settings(settings)).await
    }
}

#[async_trait]
impl Vault for Reaped<dyn Store> {
    async fn secret(&self, name: &SecretName) -> Result<Option<SecretString>, StoreError> {
        self.reaper.touch(self.port.secret(name)).await
    }

    async fn keep_secret(&self, name: &SecretName, secret: SecretString) -> Result<(), StoreError> {
        self.reaper.touch(self.port.keep_secret(name, secret)).await
    }

    async fn forget_secret(&self, name: &SecretName) -> Result<(), StoreError> {
        self.reaper.touch(self.port.forget_secret(name)).await
    }
}

#[async_trait]
impl Activity for Reaped<dyn Store> {
    async fn tell(&self, practice: &PracticeId, line: &ActivityLine) -> Result<(), StoreError> {
        self.reaper.touch(self.port.tell(practice, line)).await
    }

    async fn told(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<ActivityLine>, StoreError> {
        self.reaper.touch(self.port.told(practice, since)).await
    }

    async fn round_trips(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, u32)>, StoreError> {
        self.reaper.touch(self.port.round_trips(practice, since)).await
    }
}

#[async_trait]
impl Revision for Reaped<dyn Store> {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.reaper.touch(self.port.revision()).await
    }
}

#[async_trait]
impl Consents for Reaped<dyn Store> {
    async fn record_consents(&self, lines: &[ConsentLine]) -> Result<u64, StoreError> {
        self.reaper.touch(self.port.record_consents(lines)).await
    }

    async fn consents(&self, practice: &PracticeId, partner: &PartnerId) -> Result<Vec<Consent>, StoreError> {
        self.reaper.touch(self.port.consents(practice, partner)).await
    }

    async fn consents_since(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        after: i64,
    ) -> Result<Vec<Consent>, StoreError> {
        self.reaper.touch(self.port.consents_since(practice, partner, after)).await
    }

    async fn consent(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<Consent>, StoreError> {
        self.reaper.touch(self.port.consent(practice, partner, patient)).await
    }

    async fn consent_history(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
    ) -> Result<Vec<Consent>, StoreError> {
        self.reaper.touch(self.port.consent_history(practice, patient)).await
    }

    async fn kept_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        self.reaper.touch(self.port.kept_answers(practice, partner)).await
    }

    async fn keep_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        read_with: &str,
        answers: &[DecidedAnswer],
        now: DateTime<Utc>,
    ) -> Result<(u64, u64), StoreError> {
        self.reaper.touch(self.port.keep_answers(practice, partner, read_with, answers, now)).await
    }

    async fn last_consent(&self) -> Result<i64, StoreError> {
        self.reaper.touch(self.port.last_consent()).await
    }
}

#[async_trait]
impl Links for Reaped<dyn Store> {
    async fn links(
        &self,
        practice: &PracticeId,
        partner: Option<&PartnerId>,
    ) -> Result<Vec<Link>, StoreError> {
        self.reaper.touch(self.port.links(practice, partner)).await
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<Link>, StoreError> {
        self.reaper.touch(self.port.link(key)).await
    }

    async fn save_links(&self, links: &[Link], audit: &[AuditLine]) -> Result<(), StoreError> {
        self.reaper.touch(self.port.save_links(links, audit)).await
    }

    async fn begin_link(&self, link: &Link) -> Result<Link, StoreError> {
        self.reaper.touch(self.port.begin_link(link)).await
    }

    async fn link_counts(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<BTreeMap<LinkState, u32>, StoreError> {
        self.reaper.touch(self.port.link_counts(practice, partner)).await
    }

    async fn forget_link(&self, key: &LinkKey, audit: &[AuditLine]) -> Result<(), StoreError> {
        self.reaper.touch(self.port.forget_link(key, audit)).await
    }

    async fn forget_links(&self, practice: &PracticeId, partner: &PartnerId) -> Result<u64, StoreError> {
        self.reaper.touch(self.port.forget_links(practice, partner)).await
    }
}

#[async_trait]
impl AuditTrail for Reaped<dyn Store> {
    async fn audit(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        self.reaper.touch(self.port.audit(lines)).await
    }

    async fn audited(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reaper.touch(self.port.audited(after, limit)).await
    }

    async fn audit_broken_at(&self) -> Result<Option<i64>, StoreError> {
        self.reaper.touch(self.port.audit_broken_at()).await
    }
}
