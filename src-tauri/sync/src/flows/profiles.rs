//! Keeps a partner's profiles equal to the patients who agreed to that, and nobody else's.
//!
//! Whom it is about comes from the consents; what a profile says is read from the book right before it is sent. A pass
//! sends a few and ends, so that a consent that is withdrawn, or an account that is replaced, waits for nobody.

mod changed;
mod known;
mod last_word;
mod plan;
#[cfg(test)]
mod tests;
mod work;

use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::health::PROFILES_PROVEN_EVERY;
use crate::state::ProfilesState;
use async_trait::async_trait;
use changed::Compared;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::failure::{ReadError, SendError};
use domain::ids::{PatientRef, ProfileGroupId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::people::PatientRecord;
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
use domain::ports::store::{Leg, StoreError};
use domain::private::Private;
use domain::profile::{FieldRefused, Imported, ProfileOrder};
use domain::settings::ValdSettings;
use plan::{Plan, Rules, Sending, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use work::{Next, Work};

/// The mark that stands since every patient was compared. Forgetting it has them compared again, and sends again what
/// was refused.
pub const COMPARED: &str = "profiles/compared";
/// How many steps a pass takes.
const AT_ONCE: usize = 16;
/// How often the book's people are looked at; the reading that notices a change wakes this flow besides.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);
/// What failed is tried again no sooner than this.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(5);

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
    /// What waits to be done.
    work: Work,
    /// Whose profile is sent from when on.
    later: BTreeMap<PatientRef, DateTime<Utc>>,
    /// Up to when the partner's changes were listed, by its clock.
    listed_until: Option<DateTime<Utc>>,
    /// The partner's groups by id and by name, and when they were read.
    groups: Option<(DateTime<Utc>, BTreeMap<String, ProfileGroupId>)>,
    /// Groups of the settings that the partner does not know.
    unknown_groups: BTreeSet<String>,
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
        match self.compare().await {
            Ok(()) => {}
            Err(unreadable @ Stop::Failed(Leg::System, _)) => {
                // Whether the partner answers is found out all the same.
                self.look_at_news(register).await?;
                self.show().await?;
                return Err(unreadable);
            }
            Err(stop) => return Err(stop),
        }
        let may_group = self.may_group();
        self.memory(|memory| memory.work.groups_are_known(may_group));
        self.hear_who_is_waited_for();
        let heard_of_more = self.take_steps(register).await?;
        self.look_at_news(register).await?;
        self.show().await?;
        let now = self.ports.clock.now();
        let waits = self.memory(|memory| memory.work.waits_for_groups());
        let look = now + if waits { SHORTEST_WAIT } else { LOOK_EVERY };
        let next = self.memory(|memory| {
            let due_at = if heard_of_more { Some(now) } else { memory.work.due_at(now) };
            due_at.into_iter().chain(memory.later.values().copied()).min()
        });
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

    /// The records of some patients as the book has them now; those that are gone are missing.
    async fn records(&self, wanted: &[PatientRef]) -> Result<BTreeMap<PatientRef, PatientRecord>, Stop> {
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let records = self.ports.practice.patients(wanted).await.map_err(unreadable)?;
        Ok(records.into_iter().map(|record| (record.id.clone(), record)).collect())
    }

    /// Takes the most urgent steps. Ends early, and returns true, when there may be something more urgent.
    async fn take_steps(&self, register: &dyn ProfileRegister) -> Result<bool, Stop> {
        for _ in 0..AT_ONCE {
            if self.heard_of_more().await? {
                return Ok(true);
            }
            let now = self.ports.clock.now();
            let Some(next) = self.memory(|memory| memory.work.next(now)) else { return Ok(false) };
            match next {
                Next::Send(patient) => {
                    self.send(register, &patient).await?;
                    let sending = self.memory(|memory| memory.work.is_sent(&patient));
                    self.ports.state.change_practice(self.ports.id(), |practice| {
                        if let Some(profiles) = &mut practice.profiles {
                            profiles.sending = Some(sending);
                        }
                    });
                }
                Next::LookFor(patient) => self.look_for(register, &patient).await?,
                Next::List => self.list(register).await?,
                Next::Group(patient) => self.group(register, &patient).await?,
            }
        }
        Ok(false)
    }

    /// Whether somebody agreed, or is waited for, since everybody was compared.
    async fn heard_of_more(&self) -> Result<bool, StoreError> {
        let Some(compared) = self.memory(|memory| memory.compared) else { return Ok(false) };
        Ok(self.ports.hurried.are_any(self.ports.id())
            || self.ports.store.last_consent().await? != compared.consents)
    }

    /// Puts those whom somebody waits for first, and behind them those who are expected today.
    fn hear_who_is_waited_for(&self) {
        let hurried = self.ports.hurried.take(self.ports.id());
        let (now, today) = (self.ports.clock.now(), self.today());
        let reading = self.ports.state.reading(self.ports.id());
        let visits = reading.iter().flat_map(|reading| &reading.visits);
        let expected: BTreeSet<&PatientRef> = visits
            .filter(|visit| visit.starts.day() == today)
            .filter_map(|visit| visit.patient.as_ref())
            .collect();
        self.memory(|memory| {
            if !hurried.is_empty() {
                memory.work.wait_for(hurried, now);
            }
            memory.work.bring_forward(&expected);
        });
    }

    /// Sends one profile, if it still may and has to be sent. The consent, the record and the link are read anew,
    /// because the queue may be an hour long; the consent once more when it is this profile's turn.
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
            Plan::Wait(link, until) => {
                self.memory(|memory| memory.later.insert(patient.clone(), until));
                return self.keep(&link, AuditEvent::Ended).await;
            }
        };
        if self.is_merging(patient).await? {
            // It is about to disappear (sheet §9); the look at the partner's news goes on with it.
            return Ok(());
        }
        match self.import(register, &sending, &sending.order).await? {
            None => Ok(()),
            Some(Imported::Accepted) => self.accepted(sending, None).await,
            Some(Imported::Refused(fields)) if is_about_email(&fields, &sending.order) => {
                let without = ProfileOrder { email: Private::default(), ..sending.order.clone() };
                match self.import(register, &sending, &without).await? {
                    None => Ok(()),
                    Some(Imported::Accepted) => self.accepted(sending, Some(WITHOUT_EMAIL)).await,
                    Some(Imported::Refused(fields)) => self.refused(sending, &fields).await,
                }
            }
            Some(Imported::Refused(fields)) => self.refused(sending, &fields).await,
        }
    }

    /// Tells the partner, and writes down that it was told before it is. A refusal is not a failure. None where the
    /// consent is another one since; the next comparison hears of it.
    async fn import(
        &self,
        register: &dyn ProfileRegister,
        sending: &Sending,
        order: &ProfileOrder,
    ) -> Result<Option<Imported>, Stop> {
        let mut link = sending.link.clone();
        if link.state != LinkState::Linked {
            link.becomes(LinkState::Pending, None, self.ports.clock.now());
        }
        let fields: Vec<String> = register.fields_of(order).into_iter().map(str::to_owned).collect();
        let sent = self.line(AuditEvent::Sent, &link, fields, Some(sending.consent));
        self.ports.store.save_links(std::slice::from_ref(&link), &[sent]).await?;
        let patient = PatientRef::new(link.key.local_id.clone());
        let last_word = self.under_consent(&patient, sending.consent);
        let (what, error) = match register.import(order, &last_word).await {
            Ok(imported) => {
                self.ports.proven(Leg::Profiles).await?;
                return Ok(Some(imported));
            }
            Err(SendError::NotSent(error)) => (Some(AuditEvent::NotSent), error),
            Err(SendError::TurnedAway(error)) => (Some(AuditEvent::Refused), error),
            // The line before says all that is known. Sending it again is safe, because it replaces what stands there.
            Err(SendError::Unknown(error)) => (None, error),
        };
        if let Some(what) = what {
            let line = self.line(what, &link, Vec::new(), Some(sending.consent));
            self.ports.store.audit(&[line]).await?;
        }
        if last_word.said_no()? { Ok(None) } else { Err(self.send_later(&patient, error)) }
    }

    /// Ends the pass. Where it may be this profile's fault and not the account's, the others go first from now on.
    fn send_later(&self, patient: &PatientRef, error: ReadError) -> Stop {
        let is_the_accounts =
            matches!(error, ReadError::NotAuthorised | ReadError::NoConsent | ReadError::SlowDown { .. });
        if !is_the_accounts {
            self.memory(|memory| memory.work.has_failed(patient));
        }
        Stop::Failed(Leg::Profiles, error)
    }

    async fn accepted(&self, sending: Sending, remark: Option<&str>) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let mut link = sending.link;
        // One that is known and not in its groups yet stays on its way to them.
        let ungrouped = link.partner_id.is_some() && link.state == LinkState::Pending;
        let state = match link.partner_id {
            Some(_) if !ungrouped => LinkState::Linked,
            Some(_) | None => LinkState::Pending,
        };
        link.becomes(state, remark.map(str::to_owned), now);
        link.accepted = Some(sending.digest);
        link.accepted_at = Some(now);
        link.refused = None;
        self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
        if state == LinkState::Pending {
            let patient = PatientRef::new(link.key.local_id);
            self.memory(|memory| match ungrouped {
                true => memory.work.group_later(patient),
                false => memory.work.look_for(patient, link.told_as, 0, now),
            });
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

    /// Shows how it stands.
    async fn show(&self) -> Result<(), Stop> {
        let links = self.ports.store.link_counts(self.ports.id(), self.partner.id()).await?;
        let (sending, unknown_groups) =
            self.memory(|memory| (memory.work.progress(), memory.unknown_groups.clone()));
        let shown = ProfilesState { links, sending, unknown_groups };
        self.ports.state.change_practice(self.ports.id(), |practice| practice.profiles = Some(shown));
        self.ports.store_works();
        Ok(())
    }
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
