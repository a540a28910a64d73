//! A store in memory. What it holds outlives the program; the program reaches it through the reaper.

use super::reaper::Reaper;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::audit::{AuditEntry, AuditEvent, AuditLine};
use domain::booking::{
    BookingEvent, BookingKey, BookingRequest, BookingState, Entry, HistoryLine, Moved, Step, Undoing,
};
use domain::consent::in_practice::KeptAnswer;
use domain::consent::{Consent, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::link::{Link, LinkKey, LinkState};
use domain::matching::{Decision, Settled};
use domain::ports::store::{
    Activity, ActivityLine, AuditTrail, BookingCounts, BookingLedger, Consents, DecidedAnswer, Leg, LegNote,
    Links, Mark, Marks, OpenWish, PROFILES, PROFILES_ANEW, Revision, SettingsBook, SettledPeople,
    SettledPerson, StoreError, Vault, Watermarks, Wish, Wishes,
};
use domain::private::{Private, SecretString};
use domain::settings::{AppSettings, PracticeSettings, SecretName};
use domain::time::PracticeTime;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What is on the disk.
#[derive(Default)]
pub struct Disk {
    /// What opens a patient's page.
    pub secrets: BTreeMap<SecretName, SecretString>,
    pub entries: BTreeMap<BookingKey, Entry>,
    pub history: Vec<(BookingKey, HistoryLine)>,
    pub marks: BTreeMap<(PracticeId, String), Mark>,
    pub notes: BTreeMap<(PracticeId, Leg), LegNote>,
    pub wishes: Vec<(OpenWish, bool)>,
    pub practices: BTreeMap<PracticeId, PracticeSettings>,
    pub app: AppSettings,
    pub told: Vec<(PracticeId, ActivityLine)>,
    pub settled: Vec<(PracticeId, Private<String>, SettledPerson)>,
    pub revision: u64,
    /// A deliberate mistake: the intent to insert is recorded in memory only, and lost when the program dies.
    pub forgets_intent: bool,
    unsaved: BTreeMap<BookingKey, Entry>,
    pub people_forgotten_before: Option<DateTime<Utc>>,
    pub documents: super::documents::DocumentTable,
    pub consents: Vec<Consent>,
    /// How often everybody's consents or links were read.
    pub read_whole: usize,
    /// The profile of the practice system that the practice was given since; none where it has the one it began with.
    pub relinked_with: Option<String>,
    pub answers: BTreeMap<(PracticeId, PartnerId, PatientRef), KeptAnswer>,
    pub links: BTreeMap<LinkKey, Link>,
    pub audit: Vec<AuditEntry>,
}

impl Disk {
    /// What dies with the program.
    pub fn lose_what_is_unsaved(&mut self) {
        for (key, entry) in std::mem::take(&mut self.unsaved) {
            self.entries.insert(key, entry);
        }
    }

    fn append(&mut self, lines: &[AuditLine]) {
        for line in lines {
            let number = self.audit.len() as i64 + 1;
            self.audit.push(AuditEntry { number, line: line.clone(), digest: String::new() });
        }
    }

    /// Appends what says something new. The trail says `trail_at`, or what the line says.
    fn record(&mut self, lines: &[ConsentLine], trail_at: Option<DateTime<Utc>>) -> u64 {
        let mut appended = 0;
        for line in lines {
            let known = self.last_consent(&line.practice, &line.partner, &line.patient);
            let says_the_same =
                |known: &Consent| known.line.said == line.said && known.line.wording == line.wording;
            if known.is_some_and(says_the_same) {
                continue;
            }
            appended += 1;
            let number = self.consents.len() as i64 + 1;
            self.consents.push(Consent { number, line: line.clone() });
            let what = match line.said {
                Said::Yes(_) => AuditEvent::ConsentGiven,
                Said::No => AuditEvent::ConsentWithdrawn,
            };
            self.append(&[AuditLine {
                at: trail_at.unwrap_or(line.at),
                practice: line.practice.clone(),
                partner: line.partner.clone(),
                patient: Some(line.patient.clone()),
                what,
                fields: Vec::new(),
                consent: Some(number),
                told_as: None,
                by: Some(line.recorded_by.clone()),
            }]);
        }
        self.revision += u64::from(appended > 0);
        appended
    }

    fn last_consent(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Option<&Consent> {
        let mut lines = self.consents.iter().rev();
        lines.find(|Consent { line, .. }| {
            line.practice == *practice && line.partner == *partner && line.patient == *patient
        })
    }

    /// The last line about each patient.
    fn last_consents(&self, practice: &PracticeId, partner: &PartnerId) -> BTreeMap<PatientRef, Consent> {
        let of = self.consents.iter().filter(|c| c.line.practice == *practice && c.line.partner == *partner);
        of.map(|consent| (consent.line.patient.clone(), consent.clone())).collect()
    }

    pub fn state(&self, booking: &str) -> Option<BookingState> {
        let entry = self.entries.values().find(|entry| entry.request.key.booking.as_str() == booking);
        entry.map(|entry| entry.state.clone())
    }
}

/// How this program reaches the disk.
#[derive(Clone, Default)]
pub struct FakeStore {
    pub disk: Arc<Mutex<Disk>>,
    pub reaper: Arc<Reaper>,
}

impl FakeStore {
    pub fn new(reaper: &Arc<Reaper>) -> Self {
        Self { disk: Arc::default(), reaper: reaper.clone() }
    }

    /// The same disk, as another program reaches it.
    pub fn for_people(&self) -> Self {
        Self { disk: self.disk.clone(), reaper: Arc::default() }
    }

    pub fn disk<T>(&self, use_it: impl FnOnce(&mut Disk) -> T) -> T {
        use_it(&mut self.disk.lock().unwrap())
    }

    pub async fn touch<T: Send>(&self, use_it: impl FnOnce(&mut Disk) -> T + Send) -> Result<T, StoreError> {
        Ok(self.reaper.touch(|| self.disk(use_it)).await?)
    }
}

#[async_trait]
impl BookingLedger for FakeStore {
    async fn file(&self, request: &BookingRequest, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.touch(|disk| {
            if disk.entries.contains_key(&request.key) {
                return false;
            }
            let entry = Entry {
                request: request.clone(),
                state: BookingState::NEW,
                decision: None,
                placement: None,
                tell_place: false,
                revision: 0,
                received_at: now,
                answered_at: None,
                state_since: now,
                not_before: now,
            };
            disk.entries.insert(request.key.clone(), entry);
            true
        })
        .await
    }

    async fn record(
        &self,
        entry: &Entry,
        event: &BookingEvent,
        decision: Option<&Decision>,
        now: DateTime<Utc>,
    ) -> Result<Entry, StoreError> {
        self.touch(|disk| {
            let key = &entry.request.key;
            let known = disk.entries.get_mut(key).ok_or(StoreError::Missing)?;
            if known.revision != entry.revision {
                return Err(StoreError::Stale);
            }
            let Moved { state, placement, tell_place } = known.moved(event)?;
            if disk.forgets_intent && matches!(event, BookingEvent::InsertBegan(_)) {
                disk.unsaved.insert(key.clone(), known.clone());
            } else {
                disk.unsaved.remove(key);
            }
            known.state = state;
            known.placement = placement;
            known.tell_place = tell_place;
            known.revision += 1;
            known.state_since = now;
            known.not_before = now;
            if *event == BookingEvent::PartnerKnows {
                known.answered_at.get_or_insert(now);
            }
            if let Some(decision) = decision {
                known.decision = Some(decision.clone());
            }
            let known = known.clone();
            disk.history.push((key.clone(), HistoryLine { at: now, what: event.sentence() }));
            Ok(known)
        })
        .await?
    }

    async fn remark(&self, key: &BookingKey, what: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let line = HistoryLine { at: now, what: what.to_owned() };
        self.touch(|disk| disk.history.push((key.clone(), line))).await
    }

    async fn postpone(&self, key: &BookingKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.entries.get_mut(key).ok_or(StoreError::Missing)?.not_before = until;
            Ok(())
        })
        .await?
    }

    async fn entry(&self, key: &BookingKey) -> Result<Option<Entry>, StoreError> {
        self.touch(|disk| disk.entries.get(key).cloned()).await
    }

    async fn unfinished(&self, practice: &PracticeId) -> Result<Vec<Entry>, StoreError> {
        self.touch(|disk| {
            let mut entries: Vec<Entry> = disk
                .entries
                .values()
                .filter(|entry| entry.request.key.practice == *practice)
                .filter(|entry| entry.state.step() != Step::Nothing)
                .cloned()
                .collect();
            entries.sort_by_key(|entry| entry.request.booked_at);
            entries
        })
        .await
    }

    async fn standing(&self, practice: &PracticeId, from: PracticeTime) -> Result<Vec<Entry>, StoreError> {
        self.touch(|disk| {
            let entries = disk.entries.values().filter(|entry| entry.request.key.practice == *practice);
            let mut standing: Vec<Entry> = entries
                .filter(|entry| matches!(entry.state, BookingState::Confirmed(_)))
                .filter(|entry| entry.placed_at() >= from)
                .cloned()
                .collect();
            standing.sort_by_key(Entry::placed_at);
            standing
        })
        .await
    }

    async fn newest(&self, practice: Option<&PracticeId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.touch(|disk| {
            let entries = disk.entries.values().rev();
            entries
                .filter(|entry| practice.is_none_or(|practice| entry.request.key.practice == *practice))
                .take(limit as usize)
                .cloned()
                .collect()
        })
        .await
    }

    async fn history(&self, key: &BookingKey) -> Result<Vec<HistoryLine>, StoreError> {
        self.touch(|disk| {
            disk.history.iter().filter(|(of, _)| of == key).map(|(_, line)| line.clone()).collect()
        })
        .await
    }

    async fn counts(&self, practice: &PracticeId) -> Result<BookingCounts, StoreError> {
        self.touch(|disk| {
            let mut counts = BookingCounts::default();
            for entry in disk.entries.values().filter(|entry| entry.request.key.practice == *practice) {
                match &entry.state {
                    state if state.needs_person() => counts.attention += 1,
                    BookingState::Confirmed(_) => counts.confirmed += 1,
                    BookingState::Ended { how: Undoing::DidNotAttend, .. } => counts.confirmed += 1,
                    BookingState::Cancelled(_) | BookingState::Ended { .. } => counts.cancelled += 1,
                    BookingState::Rejected { .. } | BookingState::Closed => counts.rejected += 1,
                    _ => counts.pending += 1,
                }
            }
            counts
        })
        .await
    }

    async fn forget_people(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.touch(|disk| {
            disk.people_forgotten_before = Some(before);
            0
        })
        .await
    }
}

#[async_trait]
impl SettledPeople for FakeStore {
    async fn settle(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
        how: Settled,
        patient: Option<&PatientRef>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.settled.retain(|(of, who, settled)| of != practice || who != person || settled.how != how);
            let settled = SettledPerson { how, patient: patient.cloned(), at: now };
            disk.settled.push((practice.clone(), person.clone(), settled));
        })
        .await
    }

    async fn settled(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
    ) -> Result<Vec<SettledPerson>, StoreError> {
        self.touch(|disk| {
            let of_person = disk.settled.iter().filter(|(of, who, _)| of == practice && who == person);
            of_person.map(|(_, _, settled)| settled.clone()).collect()
        })
        .await
    }

    async fn is_made_and_unused(&self, key: &BookingKey, patient: &PatientRef) -> Result<bool, StoreError> {
        self.touch(|disk| {
            let made = disk.settled.iter().any(|(_, _, settled)| {
                settled.how == Settled::ByRecordMade && settled.patient.as_ref() == Some(patient)
            });
            let used = disk.entries.values().any(|entry| {
                entry.request.key != *key
                    && entry.state.held().is_some_and(|held| held.patient.as_ref() == Some(patient))
            });
            made && !used
        })
        .await
    }
}

#[async_trait]
impl Marks for FakeStore {
    async fn marks(&self, practice: &PracticeId, prefix: &str) -> Result<Vec<Mark>, StoreError> {
        self.touch(|disk| {
            let marks = disk.marks.iter();
            marks
                .filter(|((of, thing), _)| of == practice && thing.starts_with(prefix))
                .map(|(_, mark)| mark.clone())
                .collect()
        })
        .await
    }

    async fn set_marks(&self, practice: &PracticeId, marks: &[Mark]) -> Result<(), StoreError> {
        self.touch(|disk| {
            for mark in marks {
                disk.marks.insert((practice.clone(), mark.thing.clone()), mark.clone());
            }
        })
        .await
    }

    async fn forget_marks(&self, practice: &PracticeId, prefix: &str) -> Result<u64, StoreError> {
        self.touch(|disk| {
            let before = disk.marks.len();
            disk.marks.retain(|(of, thing), _| of != practice || !thing.starts_with(prefix));
            (before - disk.marks.len()) as u64
        })
        .await
    }
}

#[async_trait]
impl Watermarks for FakeStore {
    async fn note(&self, practice: &PracticeId, leg: Leg, note: &LegNote) -> Result<(), StoreError> {
        self.touch(|disk| drop(disk.notes.insert((practice.clone(), leg), note.clone()))).await
    }

    async fn notes(&self, practice: &PracticeId) -> Result<Vec<(Leg, LegNote)>, StoreError> {
        self.touch(|disk| {
            let notes = disk.notes.iter().filter(|((of, _), _)| of == practice);
            notes.map(|((_, leg), note)| (leg.clone(), note.clone())).collect()
        })
        .await
    }
}

#[async_trait]
impl Wishes for FakeStore {
    async fn wish(&self, practice: &PracticeId, wish: &Wish, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.revision += 1;
            let id = disk.wishes.len() as i64;
            disk.wishes.push((OpenWish { id, practice: practice.clone(), wish: wish.clone() }, false));
        })
        .await
    }

    async fn open_wishes(&self) -> Result<Vec<OpenWish>, StoreError> {
        self.touch(|disk| {
            disk.wishes.iter().filter(|(_, granted)| !granted).map(|(w, _)| w.clone()).collect()
        })
        .await
    }

    async fn granted(&self, id: i64, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.touch(|disk| {
            for (wish, granted) in &mut disk.wishes {
                *granted |= wish.id == id;
            }
        })
        .await
    }
}

#[async_trait]
impl SettingsBook for FakeStore {
    async fn practices(&self) -> Result<Vec<PracticeSettings>, StoreError> {
        self.touch(|disk| disk.practices.values().cloned().collect()).await
    }

    async fn save_practice(&self, settings: &PracticeSettings) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.revision += 1;
            let former = disk.practices.insert(settings.id.clone(), settings.clone());
            let tenant =
                |settings: &PracticeSettings| settings.vald.as_ref().map(|vald| vald.tenant_id.clone());
            if former.as_ref().and_then(tenant) != tenant(settings) {
                disk.links.retain(|key, _| key.practice != settings.id || key.partner.as_str() != "vald");
                disk.marks.retain(|(of, thing), _| *of != settings.id || !thing.starts_with(PROFILES));
                if let Some(tenant) = tenant(settings) {
                    let mark = Mark { thing: PROFILES_ANEW.into(), digest: tenant, at: DateTime::UNIX_EPOCH };
                    disk.marks.insert((settings.id.clone(), PROFILES_ANEW.into()), mark);
                }
            }
        })
        .await
    }

    async fn remove_practice(&self, practice: &PracticeId) -> Result<bool, StoreError> {
        self.touch(|disk| {
            disk.revision += 1;
            disk.marks.retain(|(of, _), _| of != practice);
            disk.notes.retain(|(of, _), _| of != practice);
            disk.links.retain(|key, _| key.practice != *practice);
            disk.practices.remove(practice).is_some()
        })
        .await
    }

    async fn app_settings(&self) -> Result<AppSettings, StoreError> {
        self.touch(|disk| disk.app.clone()).await
    }

    async fn save_app_settings(&self, settings: &AppSettings) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.revision += 1;
            disk.app = settings.clone();
        })
        .await
    }
}

#[async_trait]
impl Vault for FakeStore {
    async fn secret(&self, name: &SecretName) -> Result<Option<SecretString>, StoreError> {
        self.touch(|disk| disk.secrets.get(name).cloned()).await
    }

    async fn keep_secret(&self, name: &SecretName, secret: SecretString) -> Result<(), StoreError> {
        self.touch(|disk| drop(disk.secrets.insert(name.clone(), secret))).await
    }

    async fn forget_secret(&self, name: &SecretName) -> Result<(), StoreError> {
        self.touch(|disk| drop(disk.secrets.remove(name))).await
    }
}

#[async_trait]
impl Activity for FakeStore {
    async fn tell(&self, practice: &PracticeId, line: &ActivityLine) -> Result<(), StoreError> {
        self.touch(|disk| disk.told.push((practice.clone(), line.clone()))).await
    }

    async fn told(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<ActivityLine>, StoreError> {
        self.touch(|disk| {
            let told = disk.told.iter().filter(|(of, line)| of == practice && line.at >= since);
            told.map(|(_, line)| line.clone()).collect()
        })
        .await
    }

    async fn round_trips(
        &self,
        _: &PracticeId,
        _: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, u32)>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Revision for FakeStore {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.touch(|disk| disk.revision).await
    }
}

#[async_trait]
impl Consents for FakeStore {
    async fn record_consents(&self, lines: &[ConsentLine]) -> Result<u64, StoreError> {
        self.touch(|disk| disk.record(lines, None)).await
    }

    async fn kept_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        self.touch(|disk| {
            let of = disk.answers.iter().filter(|((of, to, _), _)| of == practice && to == partner);
            of.map(|(_, answer)| answer.clone()).collect()
        })
        .await
    }

    async fn keep_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        read_with: &str,
        answers: &[DecidedAnswer],
        now: DateTime<Utc>,
    ) -> Result<(u64, u64), StoreError> {
        self.touch(|disk| {
            if disk.relinked_with.as_ref().is_some_and(|profile| profile != read_with) {
                return Err(StoreError::Stale);
            }
            let (mut lines, mut left) = (Vec::new(), 0);
            for DecidedAnswer { answer, last, line } in answers {
                let known = disk.last_consent(practice, partner, &answer.patient);
                if known.map(|known| known.number) != *last {
                    left += 1;
                    continue;
                }
                let key = (practice.clone(), partner.clone(), answer.patient.clone());
                disk.answers.insert(key, answer.clone());
                lines.extend(line.clone());
            }
            Ok((disk.record(&lines, Some(now)), left))
        })
        .await?
    }

    async fn consents(&self, practice: &PracticeId, partner: &PartnerId) -> Result<Vec<Consent>, StoreError> {
        self.touch(|disk| {
            disk.read_whole += 1;
            disk.last_consents(practice, partner).into_values().collect()
        })
        .await
    }

    async fn consents_since(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        after: i64,
    ) -> Result<Vec<Consent>, StoreError> {
        self.touch(|disk| {
            let last = disk.last_consents(practice, partner).into_values();
            let mut since: Vec<Consent> = last.filter(|consent| consent.number > after).collect();
            since.sort_by_key(|consent| consent.number);
            since
        })
        .await
    }

    async fn consent(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<Consent>, StoreError> {
        self.touch(|disk| disk.last_consent(practice, partner, patient).cloned()).await
    }

    async fn consent_history(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
    ) -> Result<Vec<Consent>, StoreError> {
        self.touch(|disk| {
            let of =
                disk.consents.iter().filter(|c| c.line.practice == *practice && c.line.patient == *patient);
            of.cloned().collect()
        })
        .await
    }

    async fn last_consent(&self) -> Result<i64, StoreError> {
        self.touch(|disk| disk.consents.len() as i64).await
    }
}

#[async_trait]
impl Links for FakeStore {
    async fn links(
        &self,
        practice: &PracticeId,
        partner: Option<&PartnerId>,
    ) -> Result<Vec<Link>, StoreError> {
        self.touch(|disk| {
            disk.read_whole += 1;
            let of = disk.links.values().filter(|link| link.key.practice == *practice);
            of.filter(|link| partner.is_none_or(|partner| link.key.partner == *partner)).cloned().collect()
        })
        .await
    }

    async fn link(&self, key: &LinkKey) -> Result<Option<Link>, StoreError> {
        self.touch(|disk| disk.links.get(key).cloned()).await
    }

    async fn save_links(&self, links: &[Link], audit: &[AuditLine]) -> Result<(), StoreError> {
        self.touch(|disk| {
            let of = |key: &LinkKey| (key.practice.clone(), key.partner.clone(), key.kind);
            for link in links {
                let mut others = disk.links.values().chain(links).filter(|other| other.key != link.key);
                if others.any(|other| other.told_as == link.told_as && of(&other.key) == of(&link.key)) {
                    return Err(StoreError::Failed("one name for two things".into()));
                }
            }
            disk.links.extend(links.iter().map(|link| (link.key.clone(), link.clone())));
            disk.append(audit);
            Ok(())
        })
        .await?
    }

    async fn begin_link(&self, link: &Link) -> Result<Link, StoreError> {
        self.touch(|disk| disk.links.entry(link.key.clone()).or_insert_with(|| link.clone()).clone()).await
    }

    async fn link_counts(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<BTreeMap<LinkState, u32>, StoreError> {
        self.touch(|disk| {
            let mut counts = BTreeMap::new();
            for link in disk.links.values() {
                if link.key.practice == *practice && link.key.partner == *partner {
                    *counts.entry(link.state).or_default() += 1;
                }
            }
            counts
        })
        .await
    }

    async fn forget_link(&self, key: &LinkKey, audit: &[AuditLine]) -> Result<(), StoreError> {
        self.touch(|disk| {
            disk.links.remove(key);
            disk.append(audit);
        })
        .await
    }

    async fn forget_links(&self, practice: &PracticeId, partner: &PartnerId) -> Result<u64, StoreError> {
        self.touch(|disk| {
            let before = disk.links.len();
            disk.links.retain(|key, _| key.practice != *practice || key.partner != *partner);
            (before - disk.links.len()) as u64
        })
        .await
    }
}

#[async_trait]
impl AuditTrail for FakeStore {
    async fn audit(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        self.touch(|disk| disk.append(lines)).await
    }

    async fn audited(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.touch(|disk| {
            let behind = disk.audit.iter().filter(|entry| entry.number > after);
            behind.take(limit as usize).cloned().collect()
        })
        .await
    }

    async fn audit_broken_at(&self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }
}
