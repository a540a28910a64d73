//! What is learned from the partner: what it calls the profiles that were sent, which groups it has, and which profiles
//! staff merged there.

use super::{Profiles, of_partner};
use crate::flows::Stop;
use crate::health::PROFILES_PROVEN_EVERY;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::consent::Said;
use domain::failure::{ReadError, SendError};
use domain::ids::{ForeignProfileId, LocationRef, PatientRef, ProfileGroupId, ResourceRef, SyncId};
use domain::link::{Link, LinkState};
use domain::ports::register::ProfileRegister;
use domain::ports::store::{Leg, Mark, StoreError};
use domain::profile::ForeignProfile;
use domain::settings::{GroupedPatients, ProfileGroupRule};
use std::collections::{BTreeMap, BTreeSet};

/// The mark that says up to when the partner's changes are known.
const NEWS: &str = "profiles/news";
/// The marks of profiles that the partner is merging into others.
const MERGING: &str = "profiles/merging/";
/// Changes are asked for again from this long before the last one known: an import may become visible late.
const NEWS_OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// The same while more is being sent, so that each list is short. What becomes visible later than that is in the last one.
const SHORT_OVERLAP: TimeDelta = TimeDelta::minutes(2);
/// How long the partner's groups are believed to be as they were read.
const GROUPS_FOR: TimeDelta = TimeDelta::hours(1);
/// How long they are where one is looked for that was not among them.
const GROUPS_ANEW_EVERY: TimeDelta = TimeDelta::minutes(1);

impl Profiles {
    /// Finds out what the partner calls one profile that was sent.
    pub(super) async fn look_for(
        &self,
        register: &dyn ProfileRegister,
        patient: &PatientRef,
    ) -> Result<(), Stop> {
        let Some(awaited) = self.memory(|memory| memory.work.awaited(patient).cloned()) else {
            return Ok(());
        };
        let sync_id = SyncId::new(awaited.told_as.clone());
        let now = self.ports.clock.now();
        self.memory(|memory| {
            memory.work.look_for(patient.clone(), awaited.told_as, awaited.tries + 1, now);
        });
        let Some(link) = self.ports.store.link(&self.key(patient)).await? else { return Ok(()) };
        let profile = register.profile(&sync_id).await.map_err(of_partner)?;
        self.ports.proven(Leg::Profiles).await?;
        match profile {
            Some(profile) => self.found(link, &profile).await,
            None => Ok(()),
        }
    }

    /// Finds out what the partner calls many profiles that were sent, from a list of what changed there lately.
    pub(super) async fn list(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
        let then = self.ports.clock.now();
        let (sending, listed_until) = self.memory(|memory| (memory.work.is_sending(), memory.listed_until));
        let overlap = if sending { SHORT_OVERLAP } else { NEWS_OVERLAP };
        let known_until = match listed_until {
            Some(until) => Some(until),
            None => self.news().await?.map(|(_, until)| until),
        };
        let mut since = known_until.map(|until| until - overlap);
        let mut until = known_until;
        let ours = self.memory(|memory| memory.work.awaited_by_name());
        let mut known: BTreeSet<ForeignProfileId> = BTreeSet::new();
        loop {
            let profiles = register.modified_since(since).await.map_err(of_partner)?;
            self.ports.proven(Leg::Profiles).await?;
            let newest = profiles.iter().filter_map(|profile| profile.modified_at).max();
            let mut anything_new = false;
            for profile in profiles {
                anything_new |= known.insert(profile.id.clone());
                let patient = profile.sync_id.as_ref().and_then(|sync_id| ours.get(sync_id.as_str()));
                let Some(patient) = patient else { continue };
                if self.memory(|memory| memory.work.awaited(patient).is_none()) {
                    continue;
                }
                let Some(link) = self.ports.store.link(&self.key(patient)).await? else { continue };
                self.found(link, &profile).await?;
            }
            until = until.max(newest);
            let all_found = !self.memory(|memory| memory.work.looks_for_any(then));
            if all_found || !anything_new || newest.is_none() || newest == since {
                break;
            }
            since = newest;
        }
        let now = self.ports.clock.now();
        self.memory(|memory| {
            memory.listed_until = until;
            memory.work.listed(then, now);
        });
        Ok(())
    }

    /// Takes in what the partner says of a profile of ours.
    async fn found(&self, mut link: Link, profile: &ForeignProfile) -> Result<(), Stop> {
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
            self.memory(|memory| memory.work.is_known(&patient));
            return Ok(());
        }
        if self.ports.store.forget_marks(self.ports.id(), &merging).await? > 0 {
            match link.state {
                LinkState::Linked | LinkState::Pending => link.becomes(link.state, None, now),
                // Somebody put our sync id to the profile that is left. It is another one than we put into groups.
                LinkState::Conflict => link.becomes(LinkState::Pending, None, now),
                LinkState::NeedsPerson | LinkState::Failed | LinkState::Ended => {}
            }
            self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
            // What changed meanwhile is sent now.
            self.memory(|memory| memory.work.send_last(patient.clone()));
        }
        let is_new = link.state == LinkState::Pending;
        let known = link.partner_id.as_deref() == Some(profile.id.as_str());
        if known && !is_new {
            return Ok(());
        }
        link.partner_id = Some(profile.id.to_string());
        let to_group = is_new && link.accepted.is_some();
        if to_group && self.may_group() && self.groups_of(&patient).is_empty() {
            link.becomes(LinkState::Linked, link.reason.clone(), now);
        }
        self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
        self.memory(|memory| {
            memory.work.is_known(&patient);
            if to_group && link.state == LinkState::Pending {
                memory.work.group_later(patient);
            }
        });
        Ok(())
    }

    /// Puts a profile that is known into its groups, with which it is linked.
    pub(super) async fn group(
        &self,
        register: &dyn ProfileRegister,
        patient: &PatientRef,
    ) -> Result<(), Stop> {
        let link = self.ports.store.link(&self.key(patient)).await?;
        // Consent may have been withdrawn meanwhile.
        let link = link.filter(|link| link.state == LinkState::Pending);
        let consent = self.ports.store.consent(self.ports.id(), self.partner.id(), patient).await?;
        let consent = consent.filter(|consent| matches!(consent.line.said, Said::Yes(_)));
        let known = link.zip(consent).and_then(|(link, consent)| {
            let profile = link.partner_id.clone().map(ForeignProfileId::new)?;
            Some((link, profile, consent.number))
        });
        if let Some((mut link, profile, consent)) = known {
            let grouped = self.put_into_groups(register, patient, &profile, consent).await?;
            // Where the consent is another one since, the next comparison hears of it.
            let Some(remark) = grouped else { return Ok(()) };
            let reason = remark.or(link.reason.clone());
            link.becomes(LinkState::Linked, reason, self.ports.clock.now());
            self.ports.store.save_links(std::slice::from_ref(&link), &[]).await?;
        }
        self.memory(|memory| memory.work.is_grouped(patient));
        Ok(())
    }

    /// Puts a new profile into the groups that the settings name, while the consent of that number is the last one.
    /// Returns what is worth saying about it; none where it was not done because the consent is another one.
    async fn put_into_groups(
        &self,
        register: &dyn ProfileRegister,
        patient: &PatientRef,
        profile: &ForeignProfileId,
        consent: i64,
    ) -> Result<Option<Option<String>>, Stop> {
        let wanted = self.groups_of(patient);
        if wanted.is_empty() {
            return Ok(Some(None));
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
            let last_word = self.under_consent(patient, consent);
            let added = register.add_to_groups(profile, &ids, &last_word).await;
            if last_word.said_no()? {
                return Ok(None);
            }
            match added {
                Ok(()) => {
                    self.ports.proven(Leg::Profiles).await?;
                    break;
                }
                Err(SendError::TurnedAway(ReadError::NotFound)) => {
                    remark =
                        Some("VALD would not put the profile into its groups; do it in VALD Hub.".to_owned());
                }
                // Adding is safe to repeat.
                Err(error) => return Err(of_partner(error.into_cause())),
            }
        }
        Ok(Some(remark))
    }

    /// Whether it can be told which groups are a patient's. Where that depends on whom they see, the book has to have been
    /// read.
    pub(super) fn may_group(&self) -> bool {
        let by_visits = |rule: &ProfileGroupRule| match rule.whose {
            GroupedPatients::All => false,
            GroupedPatients::SeenBy(_) | GroupedPatients::SeenAt(_) => true,
        };
        !self.account.groups.iter().any(by_visits) || self.ports.state.reading(self.ports.id()).is_some()
    }

    /// The groups for a patient, by name or id, as the settings say, once that [may be told](Self::may_group).
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
        let believed_for = if anew { GROUPS_ANEW_EVERY } else { GROUPS_FOR };
        if let Some((_, groups)) = kept.filter(|(read_at, _)| now - *read_at < believed_for) {
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
    pub(super) async fn look_at_news(&self, register: &dyn ProfileRegister) -> Result<(), Stop> {
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
                    self.found(link, &profile).await?;
                }
            }
            until = until.max(newest);
            if !anything_new || newest.is_none() || newest == since {
                break;
            }
            since = newest;
        }
        self.memory(|memory| memory.listed_until = memory.listed_until.max(until));
        let digest = until.unwrap_or(now).to_rfc3339_opts(SecondsFormat::Millis, true);
        let mark = Mark { thing: NEWS.to_owned(), digest, at: now };
        Ok(self.ports.store.set_marks(id, &[mark]).await?)
    }

    pub(super) async fn is_merging(&self, patient: &PatientRef) -> Result<bool, StoreError> {
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
                Some(profile) => self.found(link, &profile).await?,
                // Whoever does not agree any more is nobody's matter.
                None if link.state == LinkState::Ended => {}
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
}

/// The mark of a profile that the partner is merging. Its end keeps patient 1 apart from patient 12.
fn merging_mark(patient: &PatientRef) -> String {
    format!("{MERGING}{patient}/")
}
