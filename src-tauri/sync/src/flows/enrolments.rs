//! Registers consenting patients at a partner where they connect devices of their own, under names that tell nobody who
//! they are, and removes those who take their consent back.
//!
//! Nobody is registered before somebody at the desk asks for it ([`connect`]). The name is random and kept before it is
//! told, because it is all that leads back to the patient: whatever is lost in between, the partner is asked for that
//! name and never told another. Which devices are connected comes from one question for the whole organisation.

use super::{Flow, FlowName, Outcome, Patience, Ports, Stop};
use crate::health::ACCOUNTS_PROVEN_EVERY;
use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::{self, Consent, NotAllowed, Said};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{PartnerId, PatientRef, PracticeId, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::clock::Clock;
use domain::ports::enrolment::{DeviceChange, DeviceEnrolment, DevicePage, Enrolled, Enrolling};
use domain::ports::partner::Partner;
use domain::ports::store::{Leg, Mark, Store, StoreError};
use domain::private::Private;
use domain::settings::{PracticeSettings, SecretName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often it is looked whether anything waits, beside whenever somebody recorded something.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How long after a page was shown its patient is expected to connect a device.
const EXPECTED_FOR: TimeDelta = TimeDelta::minutes(30);
/// How often the partner is asked for what was connected while somebody is expected to.
const WATCH_EVERY: TimeDelta = TimeDelta::minutes(2);
/// What was connected longer ago than this is not asked for.
const FARTHEST_BACK: Days = Days::new(364);

/// The patients of one practice who are registered at one partner.
pub struct Enrolments {
    ports: Ports,
    partner: Arc<dyn Partner>,
    patience: Patience,
}

/// One practice at one partner, for whoever registers patients: the flow, the window, and the command line beside a
/// running engine.
#[derive(Clone, Copy)]
pub struct Register<'a> {
    /// What survives a restart.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The practice.
    pub practice: &'a PracticeSettings,
    /// The partner.
    pub partner: &'a dyn Partner,
    /// The same, as far as devices are concerned.
    pub desk: &'a dyn DeviceEnrolment,
}

/// Why a patient has no page at the partner.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// Consent is missing.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The partner refused.
    #[error("the partner refuses it: {0}")]
    Refused(String),
    /// The partner could not be reached, or not in a way that can be relied upon. What was begun is brought to its end by
    /// itself.
    #[error("the partner could not be asked")]
    Partner(#[source] ReadError),
    /// Our records failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The link of a patient.
pub fn link_key(practice: &PracticeId, partner: &PartnerId, patient: &PatientRef) -> LinkKey {
    LinkKey {
        practice: practice.clone(),
        partner: partner.clone(),
        kind: LinkKind::Patient,
        local_id: patient.to_string(),
    }
}

/// The kinds of devices that somebody has connected, by the name that the partner was told, as last heard.
pub async fn devices(
    store: &dyn Store,
    practice: &PracticeId,
    partner: &PartnerId,
    name: &str,
) -> Result<Vec<String>, StoreError> {
    let thing = devices_mark(partner, name);
    let marks = store.marks(practice, &thing).await?;
    let known = marks.into_iter().find(|mark| mark.thing == thing);
    Ok(known.map(|mark| mark.digest.split_whitespace().map(str::to_owned).collect()).unwrap_or_default())
}

fn marks_of(partner: &PartnerId) -> String {
    format!("enrolments/{partner}/")
}

/// Which organisation the links belong to.
fn organisation_mark(partner: &PartnerId) -> String {
    format!("{}organisation", marks_of(partner))
}

/// Up to which day of UTC it is known what was connected.
fn changes_mark(partner: &PartnerId) -> String {
    format!("{}changes", marks_of(partner))
}

/// When a page was shown last.
fn shown_mark(partner: &PartnerId) -> String {
    format!("{}shown", marks_of(partner))
}

/// What is connected under a name.
fn devices_mark(partner: &PartnerId, name: &str) -> String {
    format!("{}devices/{name}", marks_of(partner))
}

/// Registers a patient where that has not been done, and answers where they connect devices; with `anew` at a new
/// address, after which the former one does not work any more. `born` comes from the record, and goes nowhere.
///
/// # Errors
/// [`NotConnected`] says what is missing.
pub async fn connect(
    register: Register<'_>,
    patient: &PatientRef,
    born: &Private<Option<NaiveDate>>,
    anew: bool,
) -> Result<DevicePage, NotConnected> {
    register.same_organisation().await?;
    let page = register.page(patient, born, anew).await?;
    let now = register.clock.now();
    let mark = Mark { thing: shown_mark(register.partner.id()), digest: String::new(), at: now };
    register.store.set_marks(&register.practice.id, &[mark]).await?;
    Ok(page)
}

impl Register<'_> {
    fn id(&self) -> &PracticeId {
        &self.practice.id
    }

    fn key(&self, patient: &PatientRef) -> LinkKey {
        link_key(self.id(), self.partner.id(), patient)
    }

    fn secret_of(&self, link: &Link) -> SecretName {
        SecretName::of_patient(self.id(), self.partner.id(), &link.key.local_id)
    }

    fn line(&self, link: &Link, what: AuditEvent, fields: &[&str], consent: Option<&Consent>) -> AuditLine {
        AuditLine {
            at: self.clock.now(),
            practice: self.id().clone(),
            partner: self.partner.id().clone(),
            patient: Some(PatientRef::new(link.key.local_id.as_str())),
            what,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            consent: consent.map(|consent| consent.number),
            told_as: Some(link.told_as.clone()),
            by: None,
        }
    }

    async fn save(&self, link: &Link, audit: &[AuditLine]) -> Result<(), StoreError> {
        self.store.save_links(std::slice::from_ref(link), audit).await
    }

    /// Where another organisation is linked than before, nobody is registered there. The audit trail goes on saying who
    /// was who at the former one.
    async fn same_organisation(&self) -> Result<(), StoreError> {
        let (id, partner) = (self.id(), self.partner.id());
        let thing = organisation_mark(partner);
        let organisation = self.desk.organisation();
        let known = self.store.marks(id, &thing).await?.into_iter().next().map(|mark| mark.digest);
        if known.as_ref() == Some(&organisation) {
            return Ok(());
        }
        if known.is_some() {
            for link in self.store.links(id, Some(partner)).await? {
                self.store.forget_secret(&self.secret_of(&link)).await?;
            }
            let forgotten = self.store.forget_links(id, partner).await?;
            self.store.forget_marks(id, &marks_of(partner)).await?;
            tracing::info!(practice.id = %id, partner.id = %partner, forgotten, "Another organisation is linked.");
        }
        let mark = Mark { thing, digest: organisation, at: self.clock.now() };
        self.store.set_marks(id, &[mark]).await
    }

    async fn page(
        &self,
        patient: &PatientRef,
        born: &Private<Option<NaiveDate>>,
        anew: bool,
    ) -> Result<DevicePage, NotConnected> {
        let last = self.store.consent(self.id(), self.partner.id(), patient).await?;
        let today = self.practice.zone.today(self.clock.now());
        let consent = consent::allowed_by_record(last.as_ref(), born, today)?;
        if let Some(link) = self.store.link(&self.key(patient)).await? {
            if link.partner_id.is_none() {
                return self.register(link, consent, true).await;
            }
            let kept = self.store.secret(&self.secret_of(&link)).await?;
            if let Some(address) = kept.filter(|_| !anew) {
                return Ok(DevicePage(address));
            }
            match self.renew(link, consent).await? {
                Some(page) => return Ok(page),
                // They are gone there, and are registered again under a new name: the partner may refuse the former.
                None => tracing::info!(practice.id = %self.id(), "Somebody was removed at the partner."),
            }
        }
        let name = self.desk.new_name().map_err(NotConnected::Partner)?;
        let link = Link::new(self.key(patient), name.as_str().to_owned(), self.clock.now());
        // Before it is told: the name is all that leads back to the patient. Whoever pressed at the same moment has
        // one name with us.
        let begun = self.store.begin_link(&link).await?;
        let perhaps_told = begun != link;
        self.register(begun, consent, perhaps_told).await
    }

    /// Registers somebody whose name is kept. With `perhaps_told` an answer may have been lost, so that the partner is
    /// asked first.
    async fn register(
        &self,
        mut link: Link,
        consent: &Consent,
        perhaps_told: bool,
    ) -> Result<DevicePage, NotConnected> {
        let name = SyncId::new(link.told_as.as_str());
        if link.state != LinkState::Pending {
            link.becomes(LinkState::Pending, None, self.clock.now());
            self.save(&link, &[]).await?;
        }
        if perhaps_told && let Some(found) = self.look(&name).await? {
            return self.adopt(link, found, consent).await;
        }
        let fields = self.desk.fields();
        // So that nothing leaves without a line.
        self.store.audit(&[self.line(&link, AuditEvent::Sent, &fields, Some(consent))]).await?;
        match self.desk.enrol(&name).await {
            Ok(Enrolling::New(enrolled)) => self.adopt(link, enrolled, consent).await,
            Ok(Enrolling::NameTaken) => match self.look(&name).await? {
                Some(found) => self.adopt(link, found, consent).await,
                None => {
                    let why = "the name is taken there, and whose it is cannot be asked";
                    self.refused(&mut link, why).await
                }
            },
            Err(WriteError::Refused(refusal)) => self.refused(&mut link, &refusal.to_string()).await,
            Err(WriteError::Untouched(ReadError::Invalid(said))) => self.refused(&mut link, &said).await,
            Err(WriteError::Untouched(error)) => {
                self.store.audit(&[self.line(&link, AuditEvent::NotSent, &[], None)]).await?;
                Err(NotConnected::Partner(error))
            }
            Err(WriteError::Unknown(error)) => match self.look(&name).await? {
                Some(found) => self.adopt(link, found, consent).await,
                // It may still be on its way, so that the name stays; the next pass looks again.
                None => Err(NotConnected::Partner(error)),
            },
        }
    }

    /// Who is registered under a name, where the partner can be asked that.
    async fn look(&self, name: &SyncId) -> Result<Option<Enrolled>, NotConnected> {
        match self.desk.enrolled(name).await {
            Ok(found) => Ok(found),
            Err(ReadError::Invalid(_)) => Ok(None),
            Err(error) => Err(NotConnected::Partner(error)),
        }
    }

    async fn refused(&self, link: &mut Link, why: &str) -> Result<DevicePage, NotConnected> {
        link.becomes(LinkState::Failed, Some(why.to_owned()), self.clock.now());
        let line = self.line(link, AuditEvent::Refused, &[], None);
        self.save(link, &[line]).await?;
        Err(NotConnected::Refused(why.to_owned()))
    }

    /// Takes somebody who is registered for ours, and keeps what opens their page before the link says that it is there.
    async fn adopt(
        &self,
        mut link: Link,
        enrolled: Enrolled,
        consent: &Consent,
    ) -> Result<DevicePage, NotConnected> {
        let now = self.clock.now();
        let name = SyncId::new(link.told_as.as_str());
        let page = match enrolled.page {
            Some(page) => page,
            None => {
                let renewed = self.desk.renew_page(&name, &enrolled.id).await;
                renewed.map_err(not_renewed)?
            }
        };
        self.store.keep_secret(&self.secret_of(&link), page.0.clone()).await?;
        if let Some(devices) = enrolled.devices {
            self.note_devices(&name, &devices).await?;
        }
        link.partner_id = Some(enrolled.id.to_string());
        link.accepted = Some(consent.number.to_string());
        link.accepted_at = Some(now);
        link.becomes(LinkState::Linked, None, now);
        self.save(&link, &[]).await?;
        Ok(page)
    }

    async fn note_devices(&self, name: &SyncId, devices: &BTreeSet<String>) -> Result<(), StoreError> {
        let thing = devices_mark(self.partner.id(), name.as_str());
        let digest = devices.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        self.store.set_marks(self.id(), &[Mark { thing, digest, at: self.clock.now() }]).await
    }

    /// A new page for somebody who is registered; none where they are not registered any more, and the link is gone.
    async fn renew(&self, mut link: Link, consent: &Consent) -> Result<Option<DevicePage>, NotConnected> {
        let name = SyncId::new(link.told_as.as_str());
        let id = domain::ids::ForeignProfileId::new(link.partner_id.clone().unwrap_or_default());
        let fields = self.desk.fields();
        let named: Vec<&str> = fields.first().copied().into_iter().collect();
        self.store.audit(&[self.line(&link, AuditEvent::Sent, &named, Some(consent))]).await?;
        match self.desk.renew_page(&name, &id).await {
            Ok(page) => {
                self.store.keep_secret(&self.secret_of(&link), page.0.clone()).await?;
                link.accepted_at = Some(self.clock.now());
                self.save(&link, &[]).await?;
                Ok(Some(page))
            }
            Err(WriteError::Untouched(ReadError::NotFound)) => {
                self.forget(&link).await?;
                Ok(None)
            }
            // Whether the former address still works is not known, so that it is not shown again.
            Err(error) => {
                self.store.forget_secret(&self.secret_of(&link)).await?;
                Err(not_renewed(error))
            }
        }
    }

    /// Forgets who somebody was, once the partner does not know them any more. Only the audit trail still says it.
    async fn forget(&self, link: &Link) -> Result<(), StoreError> {
        self.store.forget_secret(&self.secret_of(link)).await?;
        self.store.forget_marks(self.id(), &devices_mark(self.partner.id(), &link.told_as)).await?;
        let line = self.line(link, AuditEvent::Ended, &[], None);
        self.store.forget_link(&link.key, &[line]).await
    }

    /// Removes somebody there, and then here.
    async fn remove(&self, link: &Link) -> Result<(), NotConnected> {
        let name = SyncId::new(link.told_as.as_str());
        let id = link.partner_id.as_deref().map(domain::ids::ForeignProfileId::new);
        match self.desk.remove(&name, id.as_ref()).await {
            Ok(()) => Ok(self.forget(link).await?),
            Err(WriteError::Refused(refusal)) => {
                let mut link = link.clone();
                let why = format!("Consent was withdrawn, and the removal was refused: {refusal}.");
                link.becomes(LinkState::Failed, Some(why), self.clock.now());
                Ok(self.save(&link, &[]).await?)
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                Err(NotConnected::Partner(error))
            }
        }
    }
}

fn not_renewed(error: WriteError) -> NotConnected {
    match error {
        WriteError::Refused(Refusal::Other(said)) => NotConnected::Refused(said),
        WriteError::Refused(refusal) => NotConnected::Refused(refusal.to_string()),
        WriteError::Untouched(error) | WriteError::Unknown(error) => NotConnected::Partner(error),
    }
}

#[async_trait]
impl Flow for Enrolments {
    fn name(&self) -> FlowName {
        FlowName::Enrolments(self.partner.id().clone())
    }

    async fn pass(&self) -> Outcome {
        self.patience.pass(&self.ports, &self.leg(), self.run()).await
    }
}

impl Enrolments {
    /// The flow, if patients connect devices at this partner.
    pub fn new(ports: Ports, partner: Arc<dyn Partner>) -> Option<Self> {
        partner.device_enrolment()?;
        Some(Self { ports, partner, patience: Patience::default() })
    }

    fn leg(&self) -> Leg {
        Leg::Account(self.partner.id().clone())
    }

    fn failed(&self, error: ReadError) -> Stop {
        Stop::Failed(self.leg(), error)
    }

    async fn run(&self) -> Result<DateTime<Utc>, Stop> {
        let now = self.ports.clock.now();
        let Some(desk) = self.partner.device_enrolment() else { return Ok(now + ACCOUNTS_PROVEN_EVERY) };
        let register = Register {
            store: self.ports.store.as_ref(),
            clock: self.ports.clock.as_ref(),
            practice: &self.ports.settings,
            partner: self.partner.as_ref(),
            desk,
        };
        register.same_organisation().await?;
        let done = self.settle(&register).await;
        self.show().await?;
        done?;
        let next = self.look_at_changes(&register).await?;
        self.show().await?;
        Ok(next.min(now + LOOK_EVERY))
    }

    /// Removes those who took their consent back, and finishes what was begun. What concerns one patient alone holds back
    /// no other.
    async fn settle(&self, register: &Register<'_>) -> Result<(), Stop> {
        let (id, partner) = (self.ports.id(), self.partner.id());
        let links = self.ports.store.links(id, Some(partner)).await?;
        let consents = self.ports.store.consents(id, partner).await?;
        let consents: BTreeMap<&str, &Consent> =
            consents.iter().map(|consent| (consent.line.patient.as_str(), consent)).collect();
        let mut begun = Vec::new();
        for link in links {
            match consents.get(link.key.local_id.as_str()) {
                Some(last) if last.line.said == Said::No => self.done(register.remove(&link).await)?,
                Some(_) if link.state == LinkState::Pending && link.partner_id.is_none() => begun.push(link),
                Some(_) | None => {}
            }
        }
        let patients: Vec<PatientRef> =
            begun.iter().map(|link| PatientRef::new(link.key.local_id.as_str())).collect();
        if patients.is_empty() {
            return Ok(());
        }
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let records = self.ports.practice.patients(&patients).await.map_err(unreadable)?;
        for (patient, mut link) in patients.iter().zip(begun) {
            let record = records.iter().find(|record| record.id == *patient);
            let born = record.map(|record| record.details.birth_date.clone()).unwrap_or_default();
            match register.page(patient, &born, false).await {
                Err(NotConnected::NotAllowed(missing)) => {
                    let why = Some(format!("It was begun, and cannot go on: {missing}."));
                    link.becomes(LinkState::NeedsPerson, why, self.ports.clock.now());
                    register.save(&link, &[]).await?;
                }
                other => self.done(other.map(drop))?,
            }
        }
        Ok(())
    }

    fn done(&self, result: Result<(), NotConnected>) -> Result<(), Stop> {
        match result {
            // What was refused stands in the link.
            Ok(()) | Err(NotConnected::Refused(_) | NotConnected::NotAllowed(_)) => Ok(()),
            Err(NotConnected::Partner(error)) => Err(self.failed(error)),
            Err(NotConnected::Store(error)) => Err(error.into()),
        }
    }

    /// Asks what was connected, in one question for everybody, and answers when to ask again.
    async fn look_at_changes(&self, register: &Register<'_>) -> Result<DateTime<Utc>, Stop> {
        let (store, id, partner) = (&self.ports.store, self.ports.id(), self.partner.id());
        let now = self.ports.clock.now();
        let shown = store.marks(id, &shown_mark(partner)).await?.first().map(|mark| mark.at);
        let is_expected = shown.is_some_and(|at| (TimeDelta::zero()..EXPECTED_FOR).contains(&(now - at)));
        let every = if is_expected { WATCH_EVERY } else { ACCOUNTS_PROVEN_EVERY };
        let known = store.marks(id, &changes_mark(partner)).await?.into_iter().next();
        let asked_at = known.as_ref().map(|mark| mark.at).filter(|at| *at <= now);
        let fails = self.ports.state.leg(id, self.leg()).is_none_or(|note| note.problem.is_some());
        if let Some(next) = asked_at.map(|at| at + every).filter(|next| now < *next && !fails) {
            return Ok(next);
        }
        let today = now.date_naive();
        let span = Days::new(u64::from(register.desk.longest_span().saturating_sub(1)));
        let earliest = |days| today.checked_sub_days(days).unwrap_or(today);
        let until = known.and_then(|mark| mark.digest.parse::<NaiveDate>().ok());
        let mut first = until.unwrap_or_else(|| earliest(span)).max(earliest(FARTHEST_BACK)).min(today);
        loop {
            let last = first.checked_add_days(span).unwrap_or(today).min(today);
            let changes = register.desk.changes(first, last).await.map_err(|error| self.failed(error))?;
            self.ports.proven(self.leg()).await?;
            self.take_in(register, changes).await?;
            let mark = Mark { thing: changes_mark(partner), digest: last.to_string(), at: now };
            store.set_marks(id, &[mark]).await?;
            if last >= today {
                return Ok(now + every);
            }
            first = last.succ_opt().unwrap_or(today);
        }
    }

    /// The last word on each device of each name counts. Names of other practices are not ours.
    async fn take_in(&self, register: &Register<'_>, changes: Vec<DeviceChange>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let (id, partner) = (self.ports.id(), self.partner.id());
        let links = self.ports.store.links(id, Some(partner)).await?;
        let ours: BTreeSet<&str> = links.iter().map(|link| link.told_as.as_str()).collect();
        let mut by_name: BTreeMap<SyncId, Vec<DeviceChange>> = BTreeMap::new();
        for change in changes.into_iter().filter(|change| ours.contains(change.name.as_str())) {
            by_name.entry(change.name.clone()).or_default().push(change);
        }
        for (name, mut changes) in by_name {
            changes.sort_by_key(|change| change.at);
            let before = devices(self.ports.store.as_ref(), id, partner, name.as_str()).await?;
            let mut connected: BTreeSet<String> = before.into_iter().collect();
            let known = connected.clone();
            for change in changes {
                if change.connected {
                    connected.insert(change.device);
                } else {
                    connected.remove(&change.device);
                }
            }
            if connected != known {
                register.note_devices(&name, &connected).await?;
            }
        }
        Ok(())
    }

    /// Shows how it stands.
    async fn show(&self) -> Result<(), StoreError> {
        let partner = self.partner.id();
        let counts = self.ports.store.link_counts(self.ports.id(), partner).await?;
        self.ports.state.change_practice(self.ports.id(), |practice| {
            practice.accounts.insert(partner.clone(), counts);
        });
        self.ports.store_works();
        Ok(())
    }
}
