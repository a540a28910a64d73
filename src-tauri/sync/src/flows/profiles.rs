//! Keeps a partner's profiles equal to the patients who agreed to that, and nobody else's.
//!
//! Whom it is about comes from the consents; what a profile says is read from the book right before it is sent. A pass
//! sends a few and ends, so that a consent that is withdrawn, or an account that is replaced, waits for nobody.

mod plan;
#[cfg(test)]
mod tests;

use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::health::PROFILES_PROVEN_EVERY;
use crate::state::ProfilesState;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::Consent;
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignProfileId, LocationRef, PatientRef, ProfileGroupId, ResourceRef, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::PatientRecord;
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
use domain::ports::store::{Leg, Mark, StoreError};
use domain::private::Private;
use domain::profile::{FieldRefused, ForeignProfile, Imported, ProfileOrder};
use domain::settings::{GroupedPatients, ValdSettings};
use plan::{Plan, Rules, Sending, plan};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The mark that stands since every patient was compared. Forgetting it has them compared again, and sends again what
/// was refused.
pub const COMPARED: &str = "profiles/compared";
/// The mark that says up to when the partner's changes are known.
const NEWS: &str = "profiles/news";
/// The marks of profiles that the partner is merging into others.
const MERGING: &str = "profiles/merging/";
/// How many profiles a pass sends.
const AT_ONCE: usize = 16;
/// How many records are read from the book in one go.
const READ_AT_ONCE: usize = 500;
/// How often the book's people are looked at; the reading that notices a change wakes this flow besides.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);
/// What failed is tried again no sooner than this.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(5);
/// A profile that was sent is looked for after one of these, because an import does not say what it made (sheet §9).
const LOOK_FOR_AFTER: [i64; 6] = [1, 2, 5, 15, 60, 600];
/// More than these are looked for in one list and not one by one.
const ONE_BY_ONE: usize = 3;
/// Changes are asked for again from this long before the last one known: an import may become visible late.
const NEWS_OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// How long the partner's groups are believed to be as they were read.
const GROUPS_FOR: TimeDelta = TimeDelta::hours(1);

/// The profiles of one practice at one partner.
pub struct Profiles {
    ports: Ports,
    partner: Arc<dyn Partner>,
    account: ValdSettings,
    memory: Mutex<Memory>,
}

/// What is worth remembering between passes and harmless to lose.
#[derive(Default)]
struct Memory {
    /// Nothing is asked of the partner before this time.
    not_before: Option<DateTime<Utc>>,
    /// What the last comparison was made of.
    compared: Option<Compared>,
    /// The digest of each agreed patient's record when it was last compared.
    seen: BTreeMap<PatientRef, u64>,
    /// Whose profile is to be sent, the most urgent first.
    queue: VecDeque<PatientRef>,
    /// How many were sent since the queue was last empty.
    sent: usize,
    /// Whose profile was sent and is not known yet.
    awaited: BTreeMap<PatientRef, Awaited>,
    /// The partner's groups by id and by name, and when they were read.
    groups: Option<(DateTime<Utc>, BTreeMap<String, ProfileGroupId>)>,
    /// Groups of the settings that the partner does not know.
    unknown_groups: BTreeSet<String>,
}

/// What a comparison was made of. While it is the same, there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compared {
    /// The revision of the directory.
    people: u64,
    /// The number of the last consent.
    consents: i64,
    /// The day, because people turn eighteen.
    day: NaiveDate,
}

/// A profile whose id is not known yet.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    tries: usize,
    look_at: DateTime<Utc>,
}

#[async_trait]
impl Flow for Profiles {
    fn name(&self) -> FlowName {
        FlowName::Profiles
    }

    async fn pass(&self) -> Outcome {
        let now = self.ports.clock.now();
        let wake = BTreeSet::new();
        // Whoever woke us does not know that the partner asked for patience.
        if let Some(until) = self.memory(|memory| memory.not_before).filter(|until| now < *until) {
            return Outcome { again_at: until, wake };
        }
        let again_at = match self.run().await {
            Ok(again_at) => {
                self.memory(|memory| memory.not_before = None);
                again_at
            }
            Err(stop) => {
                let of_partner = matches!(stop, Stop::Failed(Leg::Profiles, _));
                let again_at = self.ports.stopped(stop, SHORTEST_WAIT).await;
                if of_partner {
                    self.memory(|memory| memory.not_before = Some(again_at));
                }
                again_at
            }
        };
        Outcome { again_at, wake }
    }
}

impl Profiles {
    /// The flow, if the practice has a partner that keeps profiles.
    pub fn new(ports: Ports) -> Option<Self> {
        let account = ports.settings.vald.clone()?;
        let partner = ports.partners.iter().find(|partner| partner.profile_register().is_some())?.clone();
        Some(Self { ports, partner, account, memory: Mutex::default() })
    }

    async fn run(&self) -> Result<DateTime<Utc>, Stop> {
        let Some(register) = self.partner.profile_register() else {
            return Ok(self.ports.clock.now() + PROFILES_PROVEN_EVERY);
        };
        let compared = self.compare().await?;
        self.send_some(register).await?;
        self.look_for_awaited(register).await?;
        self.look_at_news(register).await?;
        self.show().await?;
        let now = self.ports.clock.now();
        let next = self.memory(|memory| {
            let busy = (!memory.queue.is_empty()).then_some(now);
            let awaited = memory.awaited.values().map(|awaited| awaited.look_at).min();
            busy.into_iter().chain(awaited).min()
        });
        let look = now + if compared { LOOK_EVERY } else { SHORTEST_WAIT };
        Ok(next.map_or(look, |next| next.min(look)))
    }

    fn memory<T>(&self, read: impl FnOnce(&mut Memory) -> T) -> T {
        read(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn key(&self, patient: &PatientRef) -> LinkKey {
        LinkKey {
            practice: self.ports.id().clone(),
            partner: self.partner.id().clone(),
            kind: LinkKind::Patient,
            local_id: patient.to_string(),
        }
    }

    fn today(&self) -> NaiveDate {
        self.ports.settings.zone.wall_clock(self.ports.clock.now()).0.date()
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            prefix: &self.account.sync_prefix,
            staff_are_adults: self.account.staff_are_adults,
            today: self.today(),
            now: self.ports.clock.now(),
        }
    }

    /// Finds out whose profile has to be sent. Returns false while the book's people are not known yet.
    async fn compare(&self) -> Result<bool, Stop> {
        let store = &self.ports.store;
        let Some(people) = self.ports.people() else { return Ok(false) };
        let marked = !store.marks(self.ports.id(), COMPARED).await?.is_empty();
        let compared =
            Compared { people: people.revision, consents: store.last_consent().await?, day: self.today() };
        let before = self.memory(|memory| memory.compared).filter(|_| marked);
        if before == Some(compared) {
            return Ok(true);
        }
        let (id, partner) = (self.ports.id(), self.partner.id());
        let consents = store.consents(id, partner).await?;
        let links = store.links(id, Some(partner)).await?;
        let links: BTreeMap<String, Link> =
            links.into_iter().map(|link| (link.key.local_id.clone(), link)).collect();
        let same_day = before.is_some_and(|before| before.day == compared.day);
        let seen_before = self.memory(|memory| {
            memory.awaited = awaited(&links, &memory.awaited, self.ports.clock.now());
            if same_day { std::mem::take(&mut memory.seen) } else { BTreeMap::new() }
        });
        let consents_since = before.filter(|_| same_day).map_or(i64::MIN, |before| before.consents);
        let mut seen = BTreeMap::new();
        let mut changed: Vec<&Consent> = Vec::new();
        for consent in &consents {
            let patient = &consent.line.patient;
            let digest = people.directory.digest(patient).unwrap_or_default();
            if seen_before.get(patient) != Some(&digest) || consent.number > consents_since {
                changed.push(consent);
            }
            seen.insert(patient.clone(), digest);
        }
        let mut due: Vec<(i64, PatientRef)> = Vec::new();
        for some in changed.chunks(READ_AT_ONCE) {
            let wanted: Vec<PatientRef> = some.iter().map(|consent| consent.line.patient.clone()).collect();
            let records = self.records(&wanted).await?;
            let mut kept = Vec::new();
            for consent in some {
                let patient = &consent.line.patient;
                let mut link = links.get(patient.as_str()).cloned();
                if let Some(link) = link.as_mut().filter(|link| !marked && link.state == LinkState::Failed) {
                    link.refused = None;
                    link.becomes(LinkState::Pending, None, self.ports.clock.now());
                    kept.push(link.clone());
                }
                match plan(
                    self.key(patient),
                    records.get(patient),
                    Some(consent),
                    link.as_ref(),
                    self.rules(),
                ) {
                    Plan::Nothing => {}
                    Plan::Keep(link) => kept.push(*link),
                    Plan::Send(sending) => {
                        if link.is_none() {
                            // So that it is seen to be on its way.
                            kept.push(sending.link);
                        }
                        due.push((consent.number, patient.clone()));
                    }
                }
            }
            let ended = kept.iter().filter(|link| link.state == LinkState::Ended);
            let audit: Vec<AuditLine> =
                ended.map(|link| self.line(AuditEvent::Ended, link, Vec::new(), None)).collect();
            store.save_links(&kept, &audit).await?;
        }
        // Who agreed last comes first.
        due.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        self.memory(|memory| {
            let due: Vec<PatientRef> = due.into_iter().map(|(_, patient)| patient).collect();
            let known: BTreeSet<&PatientRef> = due.iter().collect();
            let waiting: Vec<PatientRef> =
                memory.queue.drain(..).filter(|patient| !known.contains(patient)).collect();
            memory.queue = due.iter().cloned().chain(waiting).collect();
            memory.seen = seen;
            memory.compared = Some(compared);
        });
        let now = self.ports.clock.now();
        let mark = Mark { thing: COMPARED.to_owned(), digest: String::new(), at: now };
        store.set_marks(id, &[mark]).await?;
        Ok(true)
    }

    /// The records of some patients as the book has them now; those that are gone are missing.
    async fn records(&self, wanted: &[PatientRef]) -> Result<BTreeMap<PatientRef, PatientRecord>, Stop> {
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let records = self.ports.practice.patients(wanted).await.map_err(unreadable)?;
        Ok(records.into_iter().map(|record| (record.id.clone(), record)).collect())
    }

    /// Sends the most urgent profiles.
    async fn send_some(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        self.bring_forward();
        for _ in 0..AT_ONCE {
            let Some(patient) = self.memory(|memory| memory.queue.front().cloned()) else { return Ok(()) };
            self.send(register, &patient).await?;
            let total = self.memory(|memory| {
                memory.queue.retain(|waiting| *waiting != patient);
                memory.sent += 1;
                memory.sent + memory.queue.len()
            });
            let done = self.memory(|memory| memory.sent);
            self.ports.state.change_practice(self.ports.id(), |practice| {
                if let Some(profiles) = &mut practice.profiles {
                    profiles.sending = Some((done, total));
                }
            });
        }
        Ok(())
    }

    /// Puts those whom somebody waits for first, and behind them those who are expected today.
    fn bring_forward(&self) {
        let hurried = self.ports.hurried.take(self.ports.id());
        let today = self.today();
        let reading = self.ports.state.reading(self.ports.id());
        let visits = reading.iter().flat_map(|reading| &reading.visits);
        let expected: BTreeSet<&PatientRef> = visits
            .filter(|visit| visit.starts.day() == today)
            .filter_map(|visit| visit.patient.as_ref())
            .collect();
        self.memory(|memory| {
            let rank = |patient: &PatientRef| (!hurried.contains(patient), !expected.contains(patient));
            memory.queue.make_contiguous().sort_by_key(rank);
        });
    }

    /// Sends one profile, if it still may and has to be sent. The consent, the record and the link are read anew,
    /// because the queue may be an hour long.
    async fn send(&self, register: &dyn ProfileRegister, patient: &PatientRef) -> Result<(), Stop> {
        let (id, partner) = (self.ports.id(), self.partner.id());
        let consent = self.ports.store.consent(id, partner, patient).await?;
        let link = self.ports.store.link(&self.key(patient)).await?;
        let records = self.records(std::slice::from_ref(patient)).await?;
        let planned =
            plan(self.key(patient), records.get(patient), consent.as_ref(), link.as_ref(), self.rules());
        let sending = match planned {
            Plan::Nothing => return Ok(()),
            Plan::Keep(link) => return self.keep(&link, AuditEvent::Ended).await,
            Plan::Send(sending) => *sending,
        };
        if self.is_merging(patient).await? {
            // It is about to disappear (sheet §9); the look at the partner's news goes on with it.
            return Ok(());
        }
        match self.import(register, &sending, &sending.order).await? {
            Imported::Accepted => self.accepted(sending, None).await,
            Imported::Refused(fields) if is_about_email(&fields, &sending.order) => {
                let without = ProfileOrder { email: Private::default(), ..sending.order.clone() };
                match self.import(register, &sending, &without).await? {
                    Imported::Accepted => self.accepted(sending, Some(WITHOUT_EMAIL)).await,
                    Imported::Refused(fields) => self.refused(sending, &fields).await,
                }
            }
            Imported::Refused(fields) => self.refused(sending, &fields).await,
        }
    }

    /// Tells the partner, and writes down that it was told before it is. A refusal is not a failure.
    async fn import(
        &self,
        register: &dyn ProfileRegister,
        sending: &Sending,
        order: &ProfileOrder,
    ) -> Result<Imported, Stop> {
        let mut link = sending.link.clone();
        if link.state != LinkState::Linked {
            link.becomes(LinkState::Pending, None, self.ports.clock.now());
        }
        let fields: Vec<String> = register.fields_of(order).into_iter().map(str::to_owned).collect();
        let sent = self.line(AuditEvent::Sent, &link, fields, Some(sending.consent));
        self.ports.store.save_links(std::slice::from_ref(&link), &[sent]).await?;
        match register.import(order).await {
            Ok(imported) => {
                self.ports.proven(Leg::Profiles).await?;
                Ok(imported)
            }
            Err(WriteError::Refused(refusal)) => {
                self.ports.proven(Leg::Profiles).await?;
                let refused = FieldRefused { field: "profile".into(), why: refusal.to_string() };
                Ok(Imported::Refused(vec![refused]))
            }
            Err(WriteError::Untouched(error)) => {
                let line = self.line(AuditEvent::NotSent, &link, Vec::new(), Some(sending.consent));
                self.ports.store.audit(&[line]).await?;
                Err(Stop::Failed(Leg::Profiles, error))
            }
            // Sending it again is safe, because it replaces what stands there.
            Err(WriteError::Unknown(error)) => Err(Stop::Failed(Leg::Profiles, error)),
        }
    }

    async fn accepted(&self, sending: Sending, remark: Option<&str>) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let mut link = sending.link;
        let state = if link.partner_id.is_some() { LinkState::Linked } else { LinkState::Pending };
        link.becomes(state, remark.map(str::to_owned), now);
        link.accepted = Some(sending.digest);
        link.accepted_at = Some(now);
        link.refused = None;
        self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
        if state == LinkState::Pending {
            self.await_profile(PatientRef::new(link.key.local_id), 0);
        }
        Ok(())
    }

    async fn refused(&self, sending: Sending, fields: &[FieldRefused]) -> Result<(), Stop> {
        let mut link = sending.link;
        let words: Vec<String> =
            fields.iter().map(|refused| format!("{}: {}", refused.field, refused.why)).collect();
        let reason = format!(
            "VALD refuses the profile. {}. Correct the record; it is sent again by itself.",
            words.join("; ")
        );
        link.becomes(LinkState::Failed, Some(reason), self.ports.clock.now());
        link.refused = Some(sending.digest);
        self.keep(&link, AuditEvent::Refused).await
    }

    /// Saves a link that became something worth a line in the trail.
    async fn keep(&self, link: &Link, what: AuditEvent) -> Result<(), Stop> {
        let worth_a_line = matches!(link.state, LinkState::Ended | LinkState::Failed);
        let lines: Vec<AuditLine> =
            worth_a_line.then(|| self.line(what, link, Vec::new(), None)).into_iter().collect();
        Ok(self.ports.store.save_links(std::slice::from_ref(link), &lines).await?)
    }

    fn line(&self, what: AuditEvent, link: &Link, fields: Vec<String>, consent: Option<i64>) -> AuditLine {
        AuditLine {
            at: self.ports.clock.now(),
            practice: link.key.practice.clone(),
            partner: link.key.partner.clone(),
            patient: Some(PatientRef::new(link.key.local_id.clone())),
            what,
            fields,
            consent,
            told_as: Some(link.told_as.clone()),
            by: None,
        }
    }

    fn await_profile(&self, patient: PatientRef, tries: usize) {
        let wait = LOOK_FOR_AFTER.get(tries).or(LOOK_FOR_AFTER.last()).copied().unwrap_or(600);
        let look_at = self.ports.clock.now() + TimeDelta::seconds(wait);
        self.memory(|memory| memory.awaited.insert(patient, Awaited { tries, look_at }));
    }

    /// Finds out what the partner calls the profiles that were sent.
    async fn look_for_awaited(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let due: Vec<(PatientRef, usize)> = self.memory(|memory| {
            let due = memory.awaited.iter().filter(|(_, awaited)| awaited.look_at <= now);
            due.map(|(patient, awaited)| (patient.clone(), awaited.tries)).collect()
        });
        // While much is being sent, one list at the end says more than many questions in between.
        let busy = self.memory(|memory| memory.queue.len() > ONE_BY_ONE);
        if due.is_empty() || (busy && due.len() > ONE_BY_ONE) {
            return Ok(());
        }
        if due.len() > ONE_BY_ONE {
            self.take_in_news(register).await?;
        }
        for (patient, tries) in due {
            if !self.memory(|memory| memory.awaited.contains_key(&patient)) {
                continue;
            }
            self.await_profile(patient.clone(), tries + 1);
            let Some(link) = self.ports.store.link(&self.key(&patient)).await? else { continue };
            if tries >= ONE_BY_ONE || !busy {
                let sync_id = SyncId::new(link.told_as.clone());
                let profile = register.profile(&sync_id).await.map_err(of_partner)?;
                self.ports.proven(Leg::Profiles).await?;
                if let Some(profile) = profile {
                    self.found(register, link, &profile).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes in what the partner says of a profile of ours.
    async fn found(
        &self,
        register: &dyn ProfileRegister,
        mut link: Link,
        profile: &ForeignProfile,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let patient = PatientRef::new(link.key.local_id.clone());
        let merging = merging_mark(&patient);
        if let Some(into) = &profile.merging_into {
            let mark = Mark { thing: merging, digest: into.to_string(), at: now };
            self.ports.store.set_marks(self.ports.id(), &[mark]).await?;
            link.partner_id = Some(into.to_string());
            let reason = "VALD is merging this profile into another one. Nothing is sent until that is done.";
            link.becomes(link.state, Some(reason.to_owned()), now);
            self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
            self.memory(|memory| memory.awaited.remove(&patient));
            return Ok(());
        }
        if self.ports.store.forget_marks(self.ports.id(), &merging).await? > 0 {
            link.becomes(link.state, None, now);
            self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
            // What changed meanwhile is sent now.
            self.memory(|memory| memory.queue.push_back(patient.clone()));
        }
        let is_new = link.state == LinkState::Pending;
        let known = link.partner_id.as_deref() == Some(profile.id.as_str());
        if known && !is_new {
            return Ok(());
        }
        link.partner_id = Some(profile.id.to_string());
        if is_new && link.accepted.is_some() {
            let remark = self.put_into_groups(register, &patient, &profile.id).await?;
            let reason = remark.or(link.reason.clone());
            link.becomes(LinkState::Linked, reason, now);
        }
        self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
        self.memory(|memory| memory.awaited.remove(&patient));
        Ok(())
    }

    /// Puts a new profile into the groups that the settings name. Returns what is worth saying about it.
    async fn put_into_groups(
        &self,
        register: &dyn ProfileRegister,
        patient: &PatientRef,
        profile: &ForeignProfileId,
    ) -> Result<Option<String>, Stop> {
        let wanted = self.groups_of(patient);
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut remark = None;
        for read_anew in [false, true] {
            let known = self.known_groups(register, read_anew).await?;
            let (found, unknown): (Vec<&str>, Vec<&str>) =
                wanted.iter().copied().partition(|group| known.contains_key(&group.to_lowercase()));
            if !unknown.is_empty() && !read_anew {
                continue;
            }
            self.memory(|memory| {
                memory.unknown_groups = unknown.iter().map(|name| (*name).to_owned()).collect()
            });
            remark = (!unknown.is_empty()).then(|| {
                format!("VALD has no group “{}”, so the profile is not in it.", unknown.join("”, “"))
            });
            let ids: Vec<ProfileGroupId> =
                found.iter().filter_map(|group| known.get(&group.to_lowercase()).cloned()).collect();
            if ids.is_empty() {
                break;
            }
            match register.add_to_groups(profile, &ids).await {
                Ok(()) => {
                    self.ports.proven(Leg::Profiles).await?;
                    break;
                }
                Err(WriteError::Refused(_)) => {
                    remark =
                        Some("VALD would not put the profile into its groups; do it in VALD Hub.".to_owned());
                }
                // Adding is safe to repeat.
                Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                    return Err(of_partner(error));
                }
            }
        }
        Ok(remark)
    }

    /// The groups for a patient, by name or id, as the settings say.
    fn groups_of(&self, patient: &PatientRef) -> BTreeSet<&str> {
        let reading = self.ports.state.reading(self.ports.id());
        let visits = reading.iter().flat_map(|reading| &reading.visits);
        let seen_by: BTreeSet<&ResourceRef> = visits
            .filter(|visit| visit.patient.as_ref() == Some(patient))
            .map(|visit| &visit.resource)
            .collect();
        let places = reading.iter().flat_map(|reading| &reading.places);
        let seen_at: BTreeSet<&LocationRef> =
            places.filter(|(resource, _)| seen_by.contains(resource)).map(|(_, place)| place).collect();
        let rules = self.account.groups.iter().filter(|rule| match &rule.whose {
            GroupedPatients::All => true,
            GroupedPatients::SeenBy(resource) => seen_by.contains(resource),
            GroupedPatients::SeenAt(place) => seen_at.contains(place),
        });
        rules.map(|rule| rule.group.as_str()).collect()
    }

    /// The partner's groups, by id and by name in small letters.
    async fn known_groups(
        &self,
        register: &dyn ProfileRegister,
        anew: bool,
    ) -> Result<BTreeMap<String, ProfileGroupId>, Stop> {
        let now = self.ports.clock.now();
        let kept = self.memory(|memory| memory.groups.clone());
        if let Some((_, groups)) = kept.filter(|(read_at, _)| !anew && now - *read_at < GROUPS_FOR) {
            return Ok(groups);
        }
        let groups = register.groups().await.map_err(of_partner)?;
        let by_name = groups.iter().map(|group| (group.name.to_lowercase(), group.id.clone()));
        let by_id = groups.iter().map(|group| (group.id.as_str().to_lowercase(), group.id.clone()));
        let groups: BTreeMap<String, ProfileGroupId> = by_name.chain(by_id).collect();
        self.memory(|memory| memory.groups = Some((now, groups.clone())));
        Ok(groups)
    }

    /// Once an hour, what changed at the partner: profiles that were merged, and a proof that it answers.
    async fn look_at_news(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let proven_at = self.ports.state.leg(self.ports.id(), Leg::Profiles).and_then(|note| note.proven_at);
        let looked_at = self.news().await?.map(|(looked_at, _)| looked_at);
        let lately = |at: DateTime<Utc>| (TimeDelta::zero()..PROFILES_PROVEN_EVERY).contains(&(now - at));
        if looked_at.is_some_and(lately) && proven_at.is_some_and(lately) {
            return Ok(());
        }
        self.take_in_news(register).await?;
        self.go_on_with_merged(register).await
    }

    /// When the partner's changes were looked at, and up to when they are known.
    async fn news(&self) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, StoreError> {
        let marks = self.ports.store.marks(self.ports.id(), NEWS).await?;
        let until = |mark: &Mark| Some((mark.at, DateTime::parse_from_rfc3339(&mark.digest).ok()?.to_utc()));
        Ok(marks.iter().find_map(until))
    }

    async fn take_in_news(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        let (id, now) = (self.ports.id(), self.ports.clock.now());
        let links = self.ports.store.links(id, Some(self.partner.id())).await?;
        let mut ours: BTreeMap<String, Link> =
            links.into_iter().map(|link| (link.told_as.clone(), link)).collect();
        let mut until = self.news().await?.map(|(_, until)| until);
        let mut since = until.map(|until| until - NEWS_OVERLAP);
        // Without a link there is nothing to be found, and the cheapest list proves as much.
        if ours.is_empty() {
            since = since.or(Some(now));
        }
        let mut known: BTreeSet<ForeignProfileId> = BTreeSet::new();
        loop {
            let profiles = register.modified_since(since).await.map_err(of_partner)?;
            self.ports.proven(Leg::Profiles).await?;
            let newest = profiles.iter().filter_map(|profile| profile.modified_at).max();
            let mut anything_new = false;
            for profile in profiles {
                anything_new |= known.insert(profile.id.clone());
                let link = profile.sync_id.as_ref().and_then(|sync_id| ours.remove(sync_id.as_str()));
                if let Some(link) = link.filter(|link| link.state != LinkState::Ended) {
                    self.found(register, link, &profile).await?;
                }
            }
            until = until.max(newest);
            if !anything_new || newest.is_none() || newest == since {
                break;
            }
            since = newest;
        }
        let digest = until.unwrap_or(now).to_rfc3339_opts(SecondsFormat::Millis, true);
        let mark = Mark { thing: NEWS.to_owned(), digest, at: now };
        Ok(self.ports.store.set_marks(id, &[mark]).await?)
    }

    async fn is_merging(&self, patient: &PatientRef) -> Result<bool, StoreError> {
        Ok(!self.ports.store.marks(self.ports.id(), &merging_mark(patient)).await?.is_empty())
    }

    /// Looks what became of profiles that the partner was merging.
    async fn go_on_with_merged(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        for mark in self.ports.store.marks(self.ports.id(), MERGING).await? {
            let patient = mark.thing.strip_prefix(MERGING).and_then(|thing| thing.strip_suffix('/'));
            let Some(patient) = patient.map(PatientRef::new) else { continue };
            let Some(mut link) = self.ports.store.link(&self.key(&patient)).await? else { continue };
            let sync_id = SyncId::new(link.told_as.clone());
            match register.profile(&sync_id).await.map_err(of_partner)? {
                Some(profile) if profile.merging_into.is_some() => {}
                Some(profile) => self.found(register, link, &profile).await?,
                None => {
                    // The sync id went with the profile. Sending again would make a second one of the same person.
                    let reason = "The profile was merged into another one in VALD Hub, which does not carry this \
                                  patient's sync id. Ask VALD's support to put it there.";
                    link.becomes(LinkState::Conflict, Some(reason.to_owned()), self.ports.clock.now());
                    self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
                }
            }
        }
        Ok(())
    }

    /// Shows how it stands.
    async fn show(&self) -> Result<(), Stop> {
        let links = self.ports.store.link_counts(self.ports.id(), self.partner.id()).await?;
        let (sending, unknown_groups) = self.memory(|memory| {
            if memory.queue.is_empty() {
                memory.sent = 0;
            }
            let total = memory.sent + memory.queue.len();
            ((total > 0).then_some((memory.sent, total)), memory.unknown_groups.clone())
        });
        let shown = ProfilesState { links, sending, unknown_groups };
        self.ports.state.change_practice(self.ports.id(), |practice| practice.profiles = Some(shown));
        self.ports.store_works();
        Ok(())
    }
}

/// The mark of a profile that the partner is merging. Its end keeps patient 1 apart from patient 12.
fn merging_mark(patient: &PatientRef) -> String {
    format!("{MERGING}{patient}/")
}

/// What is said where the partner took a profile only without its e-mail address (sheet §3).
const WITHOUT_EMAIL: &str = "VALD did not take the e-mail address; the profile was sent without it.";

fn of_partner(error: ReadError) -> Stop {
    Stop::Failed(Leg::Profiles, error)
}

/// Whether the e-mail address, and nothing else, is what the partner finds wrong.
fn is_about_email(fields: &[FieldRefused], order: &ProfileOrder) -> bool {
    let is_email = |refused: &FieldRefused| refused.field.eq_ignore_ascii_case("email");
    order.has_email() && !fields.is_empty() && fields.iter().all(is_email)
}

/// The profiles that were sent and are not known yet, with the patience that some of them have had already.
fn awaited(
    links: &BTreeMap<String, Link>,
    before: &BTreeMap<PatientRef, Awaited>,
    now: DateTime<Utc>,
) -> BTreeMap<PatientRef, Awaited> {
    let waiting = links.values().filter(|link| link.state == LinkState::Pending && link.accepted.is_some());
    let patients = waiting.map(|link| PatientRef::new(link.key.local_id.clone()));
    patients
        .map(|patient| {
            let known = before.get(&patient).copied();
            (patient, known.unwrap_or(Awaited { tries: 0, look_at: now }))
        })
        .collect()
}
