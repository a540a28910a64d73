//! Keeps our names beside a partner's records of the same people and things, so that either system finds the other's.
//!
//! Whom it is about comes from the consents. What is to be linked is decided by [`domain::records`], and only what is
//! beyond doubt without a person. A link is recorded as intended before the partner is told of it; whatever became of
//! that, the next pass looks before it writes. What a person decides is recorded in the same way
//! ([`crate::record_desk`]), so that it goes the same road.

pub(crate) mod foreign;
pub(crate) mod notes;
mod others;
mod plan;

use super::people::candidates;
use super::{Flow, FlowName, Outcome, Patience, Ports, Stop};
use crate::digest::Digest;
use crate::record_desk::{self, Choice};
use crate::state::RecordsState;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::Consent;
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignRecordId, PatientRef, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::PatientRecord;
use domain::ports::partner::Partner;
use domain::ports::records::RecordRegister;
use domain::ports::store::Leg;
use domain::records::{Decided, Evidence, ForeignRecord, TAKEN, decide};
use foreign::Foreign;
use plan::{Known, Plan, plan};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// How many patients a pass brings forward: few, because what somebody decides waits for its end, and each takes about two
/// seconds at the pace that is kept.
const AT_ONCE: usize = 4;
/// How many records are read from the book in one go.
const READ_AT_ONCE: usize = 500;
/// How often the partner is asked what changed there (Hint sheet §6: every few minutes).
const NEWS_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How often everybody is read there, because what is gone shows in no list of changes.
const ALL_EVERY: TimeDelta = TimeDelta::hours(24);
/// How often the book's people are looked at; the reading that notices a change wakes this flow besides.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The links of one practice at one partner.
pub struct RecordLinks {
    ports: Ports,
    partner: Arc<dyn Partner>,
    patience: Patience,
    memory: Mutex<Memory>,
}

/// What is worth remembering between passes and harmless to lose.
#[derive(Default)]
struct Memory {
    /// The partner's patients.
    foreign: Option<Arc<Foreign>>,
    /// What the last comparison was made of.
    compared: Option<Compared>,
    /// Who is to be brought forward.
    queue: VecDeque<PatientRef>,
    /// How many were brought forward since the queue was last empty.
    done: usize,
    /// Something was written, so that what we know of the partner is behind.
    is_behind: bool,
    /// When the further kinds of records are looked at again.
    others_at: Option<DateTime<Utc>>,
}

/// What a comparison was made of. While it is the same, there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compared {
    people: u64,
    foreign: u64,
    consents: i64,
    day: NaiveDate,
}

#[async_trait]
impl Flow for RecordLinks {
    fn name(&self) -> FlowName {
        FlowName::RecordLinks(self.partner.id().clone())
    }

    async fn pass(&self) -> Outcome {
        self.patience.pass(&self.ports, &self.leg(), self.run()).await
    }
}

impl RecordLinks {
    /// The flow for each partner of the practice that keeps our names.
    pub fn all(ports: &Ports) -> Vec<Self> {
        let keeping = ports.partners.iter().filter(|partner| partner.record_register().is_some());
        let flow = |partner: &Arc<dyn Partner>| Self {
            ports: ports.clone(),
            partner: partner.clone(),
            patience: Patience::default(),
            memory: Mutex::default(),
        };
        keeping.map(flow).collect()
    }

    async fn run(&self) -> Result<DateTime<Utc>, Stop> {
        let now = self.ports.clock.now();
        let Some(register) = self.partner.record_register() else { return Ok(now + ALL_EVERY) };
        let inputs = self.inputs().await?;
        // While many are brought forward, each of them changes what the partner has, and nobody else.
        let is_busy = self.memory(|memory| !memory.queue.is_empty());
        let before = self.memory(|memory| memory.compared.map(|before| Compared { foreign: 0, ..before }));
        let goes_on = is_busy && before == inputs;
        let foreign = self.read_news(register, !goes_on).await?;
        let compared = match inputs {
            None => false,
            Some(_) if goes_on => true,
            Some(inputs) => {
                let compared = Compared { foreign: foreign.revision, ..inputs };
                self.compare(register, &foreign, compared).await?;
                true
            }
        };
        self.take_up_decisions(register).await?;
        self.bring_some(register).await?;
        self.look_at_others(register).await?;
        self.show(&foreign).await?;
        let now = self.ports.clock.now();
        if self.memory(|memory| !memory.queue.is_empty()) {
            return Ok(now);
        }
        Ok(now + if compared { LOOK_EVERY } else { Patience::SHORTEST })
    }

    fn memory<T>(&self, read: impl FnOnce(&mut Memory) -> T) -> T {
        read(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leg(&self) -> Leg {
        Leg::Account(self.partner.id().clone())
    }

    fn of_partner(&self, error: ReadError) -> Stop {
        Stop::Failed(self.leg(), error)
    }

    fn key(&self, kind: LinkKind, local_id: &str) -> LinkKey {
        LinkKey {
            practice: self.ports.id().clone(),
            partner: self.partner.id().clone(),
            kind,
            local_id: local_id.to_owned(),
        }
    }

    fn today(&self) -> NaiveDate {
        self.ports.settings.zone.wall_clock(self.ports.clock.now()).0.date()
    }

    /// What is compared with the partner's patients, whose revision is left out; none while the book's people are not known
    /// yet.
    async fn inputs(&self) -> Result<Option<Compared>, Stop> {
        let Some(people) = self.ports.people() else { return Ok(None) };
        let consents = self.ports.store.last_consent().await?;
        Ok(Some(Compared { people: people.revision, foreign: 0, consents, day: self.today() }))
    }

    /// The partner's patients: what changed since, or everybody where that is due. `closely`: what we wrote ourselves must
    /// be among it.
    async fn read_news(&self, register: &dyn RecordRegister, closely: bool) -> Result<Arc<Foreign>, Stop> {
        let now = self.ports.clock.now();
        let known = self.memory(|memory| memory.foreign.clone());
        let lately = |at: DateTime<Utc>, within: TimeDelta| (TimeDelta::zero()..within).contains(&(now - at));
        let behind = closely && self.memory(|memory| memory.is_behind);
        if let Some(known) = known.as_ref().filter(|known| !behind && lately(known.asked_at, NEWS_EVERY)) {
            return Ok(known.clone());
        }
        let known = known.filter(|known| lately(known.whole_at, ALL_EVERY));
        let since = known.as_ref().and_then(|known| known.safe_mark());
        let read =
            register.records(LinkKind::Patient, since).await.map_err(|error| self.of_partner(error))?;
        self.ports.proven(self.leg()).await?;
        let foreign = Arc::new(Foreign::read(known.as_deref(), read, now));
        self.memory(|memory| {
            memory.foreign = Some(foreign.clone());
            memory.is_behind = false;
        });
        Ok(foreign)
    }

    /// Finds out who has to be brought forward.
    async fn compare(
        &self,
        register: &dyn RecordRegister,
        foreign: &Foreign,
        compared: Compared,
    ) -> Result<(), Stop> {
        if self.memory(|memory| memory.compared) == Some(compared) {
            return Ok(());
        }
        let store = &self.ports.store;
        let Some(people) = self.ports.people() else { return Ok(()) };
        let (id, partner) = (self.ports.id(), self.partner.id());
        let consents = store.consents(id, partner).await?;
        let links = store.links(id, Some(partner)).await?;
        let links: BTreeMap<String, Link> = links
            .into_iter()
            .filter(|link| link.key.kind == LinkKind::Patient)
            .map(|link| (link.key.local_id.clone(), link))
            .collect();
        let mut due = Vec::new();
        for some in consents.chunks(READ_AT_ONCE) {
            let wanted: Vec<PatientRef> = some.iter().map(|consent| consent.line.patient.clone()).collect();
            let records = self.records(&wanted).await?;
            let (mut kept, mut audit) = (Vec::new(), Vec::new());
            for consent in some {
                let patient = &consent.line.patient;
                let link = links.get(patient.as_str());
                let known = self.known(register, patient, link, foreign, people.directory.digest(patient));
                let record = records.get(patient);
                match plan(self.key(LinkKind::Patient, patient.as_str()), record, Some(consent), link, known)
                {
                    Plan::Nothing => {}
                    Plan::Keep(link) => kept.push(*link),
                    Plan::End(link) => {
                        audit.push(self.line(AuditEvent::Ended, &link, Vec::new(), Some(consent)));
                        if link.accepted.is_some() {
                            due.push(patient.clone());
                        }
                        kept.push(*link);
                    }
                    Plan::Bring(link) => {
                        kept.extend(link.map(|link| *link));
                        due.push(patient.clone());
                    }
                }
            }
            store.save_links(&kept, &audit).await?;
        }
        self.memory(|memory| {
            let known: BTreeSet<&PatientRef> = due.iter().collect();
            let waiting: Vec<PatientRef> =
                memory.queue.drain(..).filter(|patient| !known.contains(patient)).collect();
            memory.queue = waiting.into_iter().chain(due.iter().cloned()).collect();
            memory.compared = Some(compared);
        });
        Ok(())
    }

    /// What is known about a patient besides record and consent.
    fn known<'f>(
        &self,
        register: &dyn RecordRegister,
        patient: &PatientRef,
        link: Option<&Link>,
        foreign: &'f Foreign,
        digest: Option<u64>,
    ) -> Known<'f> {
        let told_as = match link {
            Some(link) => SyncId::new(link.told_as.clone()),
            None => register.told_as(patient.as_str()),
        };
        Known { told_as, foreign, digest, today: self.today(), now: self.ports.clock.now() }
    }

    /// The records of some patients as the book has them now; those that are gone are missing.
    async fn records(&self, wanted: &[PatientRef]) -> Result<BTreeMap<PatientRef, PatientRecord>, Stop> {
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let records = self.ports.practice.patients(wanted).await.map_err(unreadable)?;
        Ok(records.into_iter().map(|record| (record.id.clone(), record)).collect())
    }

    /// Brings forward what somebody decided at the desk, before everybody else.
    async fn take_up_decisions(&self, register: &dyn RecordRegister) -> Result<(), Stop> {
        for decision in notes::decided(&self.ports, self.partner.id()).await? {
            let key = &decision.key;
            self.heed(key, &decision.choice).await?;
            match key.kind {
                LinkKind::Patient => self.bring(register, &PatientRef::new(key.local_id.as_str())).await?,
                LinkKind::Practitioner | LinkKind::Invoice => self.carry_out(register, key, None).await?,
            }
            notes::carried_out(&self.ports, &decision).await?;
        }
        Ok(())
    }

    /// What somebody decided while we were asking the partner about the same link was recorded before what we found out,
    /// and counts more.
    async fn heed(&self, key: &LinkKey, choice: &Choice) -> Result<(), Stop> {
        let Some(mut link) = self.ports.store.link(key).await? else { return Ok(()) };
        let is_heeded = match choice {
            Choice::Same(id) => link.partner_id.as_deref() == Some(id.as_str()),
            Choice::NotSame(id) => {
                link.partner_id.as_deref() != Some(id.as_str()) || link.state == LinkState::Ended
            }
        };
        if is_heeded || record_desk::heed(&mut link, choice, self.ports.clock.now()).is_err() {
            return Ok(());
        }
        self.keep(&link).await
    }

    async fn bring_some(&self, register: &dyn RecordRegister) -> Result<(), Stop> {
        for _ in 0..AT_ONCE {
            let Some(patient) = self.memory(|memory| memory.queue.front().cloned()) else { break };
            self.bring(register, &patient).await?;
            let (done, total) = self.memory(|memory| {
                memory.queue.retain(|waiting| *waiting != patient);
                memory.done += 1;
                (memory.done, memory.done + memory.queue.len())
            });
            self.ports.state.change_practice(self.ports.id(), |practice| {
                practice.records.entry(self.partner.id().clone()).or_default().bringing = Some((done, total));
            });
        }
        Ok(())
    }

    /// Brings one patient forward. The consent, the record and the link are read anew, because the queue may be an hour
    /// long.
    async fn bring(&self, register: &dyn RecordRegister, patient: &PatientRef) -> Result<(), Stop> {
        let (Some(foreign), Some(people)) =
            (self.memory(|memory| memory.foreign.clone()), self.ports.people())
        else {
            return Ok(());
        };
        let key = self.key(LinkKind::Patient, patient.as_str());
        let consent = self.ports.store.consent(self.ports.id(), self.partner.id(), patient).await?;
        let link = self.ports.store.link(&key).await?;
        let records = self.records(std::slice::from_ref(patient)).await?;
        let record = records.get(patient);
        let known = self.known(register, patient, link.as_ref(), &foreign, people.directory.digest(patient));
        let told_as = known.told_as.clone();
        let considered = known.considered(record);
        match plan(key.clone(), record, consent.as_ref(), link.as_ref(), known) {
            Plan::Nothing => Ok(()),
            Plan::Keep(link) => self.keep(&link).await,
            Plan::End(link) => {
                let line = self.line(AuditEvent::Ended, &link, Vec::new(), consent.as_ref());
                self.ports.store.save_links(std::slice::from_ref(&*link), &[line]).await?;
                self.take_away(register, &link, consent.as_ref()).await
            }
            Plan::Bring(planned) => {
                let link = planned.map(|link| *link).or(link);
                let now = self.ports.clock.now();
                let link = link.unwrap_or_else(|| Link::new(key.clone(), told_as.to_string(), now));
                if link.state == LinkState::Ended {
                    return self.take_away(register, &link, consent.as_ref()).await;
                }
                let (Some(record), Some(consent)) = (record, consent.as_ref()) else { return Ok(()) };
                if link.partner_id.is_some() {
                    self.keep(&link).await?;
                    return self.carry_out(register, &key, Some(consent)).await;
                }
                self.find(register, &foreign, record, consent, link, considered).await
            }
        }
    }

    /// Decides which of the partner's records a patient is, with the help of the partner's own matching.
    async fn find(
        &self,
        register: &dyn RecordRegister,
        foreign: &Foreign,
        record: &PatientRecord,
        consent: &Consent,
        mut link: Link,
        considered: String,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let told_as = SyncId::new(link.told_as.clone());
        let fields = register.matched_by(&record.details).into_iter().map(str::to_owned).collect();
        let sent = self.line(AuditEvent::Sent, &link, fields, Some(consent));
        self.ports.store.save_links(std::slice::from_ref(&link), &[sent]).await?;
        let named = register.matching(&record.details).await.map_err(|error| self.of_partner(error))?;
        self.ports.proven(self.leg()).await?;
        let refused = notes::refused(&self.ports, &link.key, &told_as).await?;
        let of_theirs: Vec<ForeignRecord> =
            named.into_iter().filter(|record| !refused.contains(&record.id)).collect();
        let mut records: BTreeMap<ForeignRecordId, ForeignRecord> = foreign
            .like(&record.details)
            .into_iter()
            .filter(|record| !refused.contains(&record.id))
            .map(|record| (record.id.clone(), record.clone()))
            .collect();
        // What the partner says now is newer than what we read.
        records.extend(of_theirs.iter().map(|record| (record.id.clone(), record.clone())));
        let records: Vec<ForeignRecord> = records.into_values().collect();
        let named: Vec<ForeignRecordId> = of_theirs.into_iter().map(|record| record.id).collect();
        let book = self.book_like(&records, record).await?;
        let decided = decide(Evidence {
            patient: record,
            told_as: &told_as,
            records: &records,
            named: Some(&named),
            book: &book,
        });
        match decided {
            Decided::Known(id) | Decided::Link { record: id, .. } => {
                link.partner_id = Some(id.to_string());
                link.refused = None;
                link.becomes(LinkState::Pending, None, now);
                self.keep(&link).await?;
                self.carry_out(register, &link.key, Some(consent)).await
            }
            Decided::Conflict { record: id, reason } => {
                link.partner_id = Some(id.to_string());
                link.refused = Some(considered);
                link.becomes(LinkState::Conflict, Some(reason), now);
                self.keep(&link).await
            }
            Decided::Ask { candidates, reason } => {
                let ids = candidates
                    .iter()
                    .map(|candidate| ForeignRecordId::new(candidate.record.id.as_str()))
                    .collect();
                notes::set_suggested(&self.ports, &link.key, &told_as, ids).await?;
                link.refused = Some(considered);
                link.becomes(LinkState::NeedsPerson, Some(reason), now);
                self.keep(&link).await
            }
            Decided::Nobody => {
                link.refused = Some(considered);
                link.becomes(LinkState::Pending, Some(self.nobody_there()), now);
                self.keep(&link).await
            }
        }
    }

    fn nobody_there(&self) -> String {
        let who = self.partner.id().title();
        format!(
            "{who} has nobody yet who could be this patient. As soon as it has, they are looked at again."
        )
    }

    /// Everybody in the book who could be one of these records' patients.
    async fn book_like(
        &self,
        records: &[ForeignRecord],
        patient: &PatientRecord,
    ) -> Result<Vec<PatientRecord>, Stop> {
        let people = self.ports.people();
        let mut book = BTreeMap::from([(patient.id.clone(), patient.clone())]);
        for record in records {
            let found = candidates(self.ports.practice.as_ref(), people.as_deref(), &record.details);
            let found = found.await.map_err(|error| Stop::Failed(Leg::System, error))?;
            book.extend(found.records.into_iter().map(|record| (record.id.clone(), record)));
        }
        Ok(book.into_values().collect())
    }

    /// Carries an intended link out: looks, writes only where nothing stands, and reads back by our own name.
    async fn carry_out(
        &self,
        register: &dyn RecordRegister,
        key: &LinkKey,
        consent: Option<&Consent>,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let Some(mut link) = self.ports.store.link(key).await? else { return Ok(()) };
        if link.state == LinkState::Ended {
            return self.take_away(register, &link, consent).await;
        }
        let Some(partner_id) = link.partner_id.clone() else { return Ok(()) };
        let told_as = SyncId::new(link.told_as.clone());
        let Some(record) = self.follow(register, key.kind, &partner_id).await? else {
            // It is gone, so somebody else may be meant.
            link.partner_id = None;
            link.refused = None;
            link.becomes(LinkState::Pending, Some("The record there is gone.".to_owned()), now);
            return self.keep(&link).await;
        };
        if record.id.as_str() != partner_id {
            link.partner_id = Some(record.id.to_string());
            self.keep(&link).await?;
        }
        match &record.told_as {
            Some(name) if *name == told_as => return self.linked(link, &record).await,
            Some(_) => {
                link.becomes(LinkState::Conflict, Some(TAKEN.to_owned()), now);
                return self.keep(&link).await;
            }
            None => {}
        }
        let mut refusal = match self.write_name(register, &link, &record, consent).await? {
            None => return self.read_back(register, link, &record).await,
            Some(refusal) => refusal,
        };
        // Our name may stand at the record that was merged into this one.
        let holder =
            register.record(key.kind, told_as.as_str()).await.map_err(|error| self.of_partner(error))?;
        if let Some(holder) = holder.filter(|holder| holder.id != record.id) {
            let leads = self.follow(register, key.kind, holder.id.as_str()).await?;
            if leads.is_some_and(|leads| leads.id == record.id) {
                self.erase_name(register, &link, &holder, consent).await?;
                match self.write_name(register, &link, &record, consent).await? {
                    None => return self.read_back(register, link, &record).await,
                    Some(again) => refusal = again,
                }
            } else {
                let reason =
                    "Our name for it stands at another record there. Compare both, and unlink the wrong one.";
                link.becomes(LinkState::Conflict, Some(reason.to_owned()), now);
                return self.keep(&link).await;
            }
        }
        self.refused(register, link, &record, &refusal, consent).await
    }

    /// The record of that name, or the one into which it was merged; none where it is gone.
    async fn follow(
        &self,
        register: &dyn RecordRegister,
        kind: LinkKind,
        name: &str,
    ) -> Result<Option<ForeignRecord>, Stop> {
        let mut name = name.to_owned();
        // No record is merged more often than this; a circle has no end.
        for _ in 0..16 {
            let read = register.record(kind, &name).await.map_err(|error| self.of_partner(error))?;
            self.ports.proven(self.leg()).await?;
            match read.as_ref().and_then(|read| read.merged_into.clone()) {
                Some(into) => name = into.to_string(),
                None => return Ok(read),
            }
        }
        Ok(None)
    }

    /// Writes our name beside a record, and writes down that it is about to be. What the partner refuses it for, or none.
    async fn write_name(
        &self,
        register: &dyn RecordRegister,
        link: &Link,
        record: &ForeignRecord,
        consent: Option<&Consent>,
    ) -> Result<Option<String>, Stop> {
        let fields = register.linked_by(link.key.kind).into_iter().map(str::to_owned).collect();
        let sent = self.line(AuditEvent::Sent, link, fields, consent);
        self.ports.store.save_links(std::slice::from_ref(link), &[sent]).await?;
        let told_as = SyncId::new(link.told_as.clone());
        self.memory(|memory| memory.is_behind = true);
        let written = register.link(record, &told_as, &link.key.local_id).await;
        self.written(written, link, consent).await
    }

    /// Takes our name away from a record.
    async fn erase_name(
        &self,
        register: &dyn RecordRegister,
        link: &Link,
        record: &ForeignRecord,
        consent: Option<&Consent>,
    ) -> Result<Option<String>, Stop> {
        let fields = register.linked_by(link.key.kind).into_iter().map(str::to_owned).collect();
        self.ports.store.audit(&[self.line(AuditEvent::Sent, link, fields, consent)]).await?;
        self.memory(|memory| memory.is_behind = true);
        let written = register.unlink(record).await;
        self.written(written, link, consent).await
    }

    /// What became of a write: none where it was taken, or why it was refused.
    async fn written(
        &self,
        written: Result<(), WriteError>,
        link: &Link,
        consent: Option<&Consent>,
    ) -> Result<Option<String>, Stop> {
        match written {
            Ok(()) => {
                self.ports.proven(self.leg()).await?;
                Ok(None)
            }
            Err(WriteError::Refused(refusal)) => {
                self.ports.proven(self.leg()).await?;
                Ok(Some(refusal.to_string()))
            }
            Err(WriteError::Untouched(error)) => {
                let line = self.line(AuditEvent::NotSent, link, Vec::new(), consent);
                self.ports.store.audit(&[line]).await?;
                Err(self.of_partner(error))
            }
            // The next pass looks before it writes.
            Err(WriteError::Unknown(error)) => Err(self.of_partner(error)),
        }
    }

    /// Either name must find the record now.
    async fn read_back(
        &self,
        register: &dyn RecordRegister,
        mut link: Link,
        record: &ForeignRecord,
    ) -> Result<(), Stop> {
        let read = register.record(link.key.kind, &link.told_as).await;
        match read.map_err(|error| self.of_partner(error))? {
            Some(read) if read.id == record.id => self.linked(link, &read).await,
            Some(_) | None => {
                let who = self.partner.id().title();
                let reason =
                    format!("{who} took the link, and does not find the record by it. Ask its support.");
                link.refused = self.seen_now(register, record).await?;
                link.becomes(LinkState::Failed, Some(reason), self.ports.clock.now());
                self.keep(&link).await
            }
        }
    }

    async fn linked(&self, mut link: Link, record: &ForeignRecord) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        link.partner_id = Some(record.id.to_string());
        link.accepted = Some(record.updated_at.map(|at| at.to_rfc3339()).unwrap_or_default());
        link.accepted_at = Some(now);
        link.refused = None;
        link.becomes(LinkState::Linked, plan::remark(record, self.partner.id()), now);
        notes::forget(&self.ports, &link.key, &SyncId::new(link.told_as.clone())).await?;
        self.keep(&link).await
    }

    /// The partner says no. Its staff see why beside the record, so that either side can put it right.
    async fn refused(
        &self,
        register: &dyn RecordRegister,
        mut link: Link,
        record: &ForeignRecord,
        refusal: &str,
        consent: Option<&Consent>,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let who = self.partner.id().title();
        let reason =
            format!("{who} refuses the link: {refusal}. It is tried again when either record changes.");
        if !record.shows_problem {
            self.memory(|memory| memory.is_behind = true);
            // A sentence of ours, and no field of the patient's.
            let sent = self.line(AuditEvent::Sent, &link, Vec::new(), consent);
            self.ports.store.audit(&[sent]).await?;
            let told = register.show_problem(record, Some(SHOWN_TO_STAFF)).await;
            self.written(told, &link, consent).await?;
        }
        link.refused = self.seen_now(register, record).await?;
        link.becomes(LinkState::Failed, Some(reason), now);
        let line = self.line(AuditEvent::Refused, &link, Vec::new(), consent);
        Ok(self.ports.store.save_links(std::slice::from_ref(&link), &[line]).await?)
    }

    /// A record as it is after we wrote to it: that is no reason to try again.
    async fn seen_now(
        &self,
        register: &dyn RecordRegister,
        record: &ForeignRecord,
    ) -> Result<Option<String>, Stop> {
        let read = register.record(record.kind, record.id.as_str()).await;
        Ok(read.map_err(|error| self.of_partner(error))?.as_ref().map(plan::seen))
    }

    /// Takes our name away where a link ended, so that the partner's record is as it was before.
    async fn take_away(
        &self,
        register: &dyn RecordRegister,
        link: &Link,
        consent: Option<&Consent>,
    ) -> Result<(), Stop> {
        let mut link = link.clone();
        if link.accepted.is_none() {
            return Ok(());
        }
        let read = register.record(link.key.kind, &link.told_as).await;
        if let Some(record) = read.map_err(|error| self.of_partner(error))?
            && let Some(refusal) = self.erase_name(register, &link, &record, consent).await?
        {
            let who = self.partner.id().title();
            link.reason =
                Some(format!("{who} does not let the link be taken away: {refusal}. Take it away there."));
        }
        link.accepted = None;
        link.partner_id = None;
        self.keep(&link).await
    }

    async fn keep(&self, link: &Link) -> Result<(), Stop> {
        Ok(self.ports.store.save_links(std::slice::from_ref(link), &[]).await?)
    }

    fn line(
        &self,
        what: AuditEvent,
        link: &Link,
        fields: Vec<String>,
        consent: Option<&Consent>,
    ) -> AuditLine {
        let is_patient = link.key.kind == LinkKind::Patient;
        AuditLine {
            at: self.ports.clock.now(),
            practice: link.key.practice.clone(),
            partner: link.key.partner.clone(),
            patient: match consent {
                Some(consent) => Some(consent.line.patient.clone()),
                None => is_patient.then(|| PatientRef::new(link.key.local_id.clone())),
            },
            what,
            fields,
            consent: consent.map(|consent| consent.number),
            told_as: Some(link.told_as.clone()),
            by: None,
        }
    }

    /// Shows how it stands.
    async fn show(&self, foreign: &Foreign) -> Result<(), Stop> {
        let links = self.ports.store.link_counts(self.ports.id(), self.partner.id()).await?;
        let bringing = self.memory(|memory| {
            if memory.queue.is_empty() {
                memory.done = 0;
            }
            let total = memory.done + memory.queue.len();
            (total > 0).then_some((memory.done, total))
        });
        let shown = RecordsState { bringing, records: foreign.len(), former: foreign.with_former_names() };
        self.ports.state.change_practice(self.ports.id(), |practice| {
            practice.records.insert(self.partner.id().clone(), shown);
            practice.accounts.insert(self.partner.id().clone(), links);
        });
        self.ports.store_works();
        Ok(())
    }
}

/// What the partner's staff read beside a record that could not be linked. It names nobody.
const SHOWN_TO_STAFF: &str = "This record could not be linked with the practice system. The front desk sees why in Clinic \
                              Companion.";
