//! Whose profile has to be sent: who agreed, whose record changed, and who only had to wait for a day to begin.

use super::plan::{Plan, plan};
use super::{COMPARED, Profiles};
use crate::flows::Stop;
use crate::state::PeopleReading;
use chrono::NaiveDate;
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::{Consent, Said};
use domain::directory::digest_of;
use domain::ids::PatientRef;
use domain::link::{Link, LinkState};
use domain::ports::store::{Mark, PROFILES, PROFILES_ANEW, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// How many records are read from the book in one go.
const READ_AT_ONCE: usize = 500;
/// When more than these are to be looked at, everybody's consent and link is read, and not each one's.
const EACH_BY_ITSELF: usize = 1000;
/// As many as agree within a few seconds while each of them is asked; more are recorded by a program, and nobody waits.
const AT_THE_DESK: usize = 8;

/// What a comparison was made of. While it is the same, there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    /// The revision of the directory; none before the first one was read.
    pub people: Option<u64>,
    /// The number of the last consent.
    pub consents: i64,
    /// The day, because people turn eighteen.
    pub day: NaiveDate,
}

/// Of whom there is something to be decided: their consent, and their link where there is one.
type Told = Vec<(Consent, Option<Link>)>;

impl Profiles {
    /// Finds out whose profile has to be sent. At a start the records of those who agreed are read by their keys, so that
    /// nobody waits until a large book was read.
    pub(super) async fn compare(&self) -> Result<(), Stop> {
        let store = &self.ports.store;
        let (id, now) = (self.ports.id(), self.ports.clock.now());
        let people = self.ports.people();
        if self.memory(|memory| memory.compared.is_none()) {
            self.forget_what_the_former_account_left().await?;
        }
        let marked = !store.marks(id, COMPARED).await?.is_empty();
        let compared = Compared {
            people: people.as_ref().map(|people| people.revision),
            consents: store.last_consent().await?,
            day: self.today(),
        };
        let before = self.memory(|memory| memory.compared).filter(|_| marked);
        let ripe: BTreeSet<PatientRef> = self.memory(|memory| {
            memory.later.iter().filter(|(_, at)| **at <= now).map(|(patient, _)| patient.clone()).collect()
        });
        if before == Some(compared) && ripe.is_empty() {
            return Ok(());
        }
        let told = match before.filter(|before| before.day == compared.day) {
            Some(before) => {
                let agreed = store.consents_since(id, self.partner.id(), before.consents).await?;
                let mut changed = ripe;
                if let Some(people) = people.filter(|_| before.people != compared.people) {
                    changed.extend(self.memory(|memory| whose_record_differs(&memory.seen, &people)));
                }
                self.notice_who_agreed_at_the_desk(&agreed);
                changed.extend(agreed.iter().map(|consent| consent.line.patient.clone()));
                if changed.len() <= EACH_BY_ITSELF {
                    self.each_told(&changed, agreed).await?
                } else {
                    let all = self.all_told().await?;
                    all.into_iter().filter(|(consent, _)| changed.contains(&consent.line.patient)).collect()
                }
            }
            None => {
                self.memory(|memory| memory.later.clear());
                self.all_told().await?
            }
        };
        let mut due: Vec<(i64, PatientRef)> = Vec::new();
        let mut seen: Vec<(PatientRef, u64)> = Vec::with_capacity(told.len());
        for some in told.chunks(READ_AT_ONCE) {
            self.decide(some, marked, &mut due, &mut seen).await?;
        }
        // Who agreed last comes first.
        due.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        self.memory(|memory| {
            memory.work.send_first(due.into_iter().map(|(_, patient)| patient).collect());
            memory.seen.extend(seen);
            memory.compared = Some(compared);
        });
        let mark = Mark { thing: COMPARED.to_owned(), digest: String::new(), at: now };
        Ok(store.set_marks(id, &[mark]).await?)
    }

    /// Plans what to do about some, and writes down what is not sent. Without `marked` what was refused is sent again.
    async fn decide(
        &self,
        some: &[(Consent, Option<Link>)],
        marked: bool,
        due: &mut Vec<(i64, PatientRef)>,
        seen: &mut Vec<(PatientRef, u64)>,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let wanted: Vec<PatientRef> = some.iter().map(|(consent, _)| consent.line.patient.clone()).collect();
        let records = self.records(&wanted).await?;
        let mut kept = Vec::new();
        for (consent, link) in some {
            let patient = &consent.line.patient;
            let mut link = link.clone();
            if let Some(link) = link.as_mut().filter(|link| !marked && link.state == LinkState::Failed) {
                link.refused = None;
                link.becomes(LinkState::Pending, None, now);
                kept.push(link.clone());
            }
            self.memory(|memory| memory.later.remove(patient));
            let record = records.get(patient);
            seen.push((patient.clone(), record.map(digest_of).unwrap_or_default()));
            match plan(self.key(patient), record, Some(consent), link.as_ref(), self.rules()) {
                Plan::Nothing => {}
                Plan::Keep(link) => kept.push(*link),
                Plan::Send(sending) => {
                    if link.is_none() {
                        // So that it is seen to be on its way.
                        kept.push(sending.link);
                    }
                    due.push((consent.number, patient.clone()));
                }
                Plan::Wait(link, until) => {
                    kept.push(*link);
                    self.memory(|memory| memory.later.insert(patient.clone(), until));
                }
            }
        }
        let ended = kept.iter().filter(|link| link.state == LinkState::Ended);
        let audit: Vec<AuditLine> =
            ended.map(|link| self.line(AuditEvent::Ended, link, Vec::new(), None)).collect();
        Ok(self.ports.store.save_links(&kept, &audit).await?)
    }

    /// A pass of the former account may have been under way when this one was chosen, and have saved afterwards what
    /// that one accepted. Were it taken for ours, those patients would never be sent.
    async fn forget_what_the_former_account_left(&self) -> Result<(), StoreError> {
        let store = &self.ports.store;
        let anew = store.marks(self.ports.id(), PROFILES_ANEW).await?;
        if anew.iter().any(|mark| mark.digest == self.account.tenant_id) {
            store.forget_links(self.ports.id(), self.partner.id()).await?;
            store.forget_marks(self.ports.id(), PROFILES).await?;
        }
        Ok(())
    }

    /// Somebody waits for whoever agrees at the desk, in whichever process that was written down.
    fn notice_who_agreed_at_the_desk(&self, agreed: &[Consent]) {
        let yes = agreed.iter().filter(|consent| matches!(consent.line.said, Said::Yes(_)));
        let patients: Vec<PatientRef> = yes.map(|consent| consent.line.patient.clone()).collect();
        if !patients.is_empty() && patients.len() <= AT_THE_DESK {
            let now = self.ports.clock.now();
            self.memory(|memory| memory.work.wait_for(patients, now));
        }
    }

    /// The consent and the link of each of these patients; `agreed` are consents that were read already.
    async fn each_told(
        &self,
        patients: &BTreeSet<PatientRef>,
        agreed: Vec<Consent>,
    ) -> Result<Told, StoreError> {
        let (id, partner) = (self.ports.id(), self.partner.id());
        let mut agreed: BTreeMap<PatientRef, Consent> =
            agreed.into_iter().map(|consent| (consent.line.patient.clone(), consent)).collect();
        let mut told = Vec::with_capacity(patients.len());
        for patient in patients {
            let consent = match agreed.remove(patient) {
                Some(consent) => Some(consent),
                None => self.ports.store.consent(id, partner, patient).await?,
            };
            let link = self.ports.store.link(&self.key(patient)).await?;
            told.extend(consent.map(|consent| (consent, link)));
        }
        Ok(told)
    }

    /// The consents of everybody, and their links. Learns from the links what is still to be found out.
    async fn all_told(&self) -> Result<Told, StoreError> {
        let (id, partner) = (self.ports.id(), self.partner.id());
        let consents = self.ports.store.consents(id, partner).await?;
        let links = self.ports.store.links(id, Some(partner)).await?;
        let sent = links.iter().filter(|link| link.state == LinkState::Pending && link.accepted.is_some());
        let (known, awaited): (Vec<&Link>, Vec<&Link>) = sent.partition(|link| link.partner_id.is_some());
        let patient = |link: &Link| PatientRef::new(link.key.local_id.clone());
        let now = self.ports.clock.now();
        self.memory(|memory| {
            let awaited = awaited.into_iter().map(|link| (patient(link), link.told_as.clone()));
            memory.work.take_over(awaited, known.into_iter().map(patient).collect(), now);
        });
        let mut links: BTreeMap<String, Link> =
            links.into_iter().map(|link| (link.key.local_id.clone(), link)).collect();
        let with_link = |consent: Consent| {
            let link = links.remove(consent.line.patient.as_str());
            (consent, link)
        };
        Ok(consents.into_iter().map(with_link).collect())
    }
}

/// Those of the patients whose record is another one than when it was seen. Both are in the order of their keys.
fn whose_record_differs(seen: &BTreeMap<PatientRef, u64>, people: &PeopleReading) -> BTreeSet<PatientRef> {
    let mut known = people.directory.digests().peekable();
    let differs = |(patient, digest): &(&PatientRef, &u64)| {
        while known.next_if(|(id, _)| *id < patient.as_str()).is_some() {}
        let now = known.next_if(|(id, _)| *id == patient.as_str()).map(|(_, digest)| digest);
        now.unwrap_or_default() != **digest
    };
    seen.iter().filter(differs).map(|(patient, _)| patient.clone()).collect()
}
