//! A partner in memory that keeps profiles, and is as slow to show them as a real one.

use super::reaper::{HandClock, Reaper, Somebody};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, SendError};
use domain::ids::{ForeignProfileId, PartnerId, ProfileGroupId, SyncId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::register::{LastWord, ProfileRegister};
use domain::profile::{FieldRefused, ForeignProfile, Imported, ProfileGroup, ProfileOrder, Tenant};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A profile as it stands there.
#[derive(Clone, Debug)]
pub struct Kept {
    pub id: ForeignProfileId,
    pub given_name: String,
    pub email: String,
    pub modified_at: DateTime<Utc>,
    pub groups: BTreeSet<ProfileGroupId>,
    pub merging_into: Option<ForeignProfileId>,
}

/// Everything that the partner knows.
pub struct Files {
    pub profiles: BTreeMap<SyncId, Kept>,
    pub groups: Vec<ProfileGroup>,
    /// How long a profile takes to be seen.
    pub visible_after: TimeDelta,
    /// By how much each call moves the clock.
    pub pace: TimeDelta,
    /// Addresses that somebody else has already.
    pub taken_emails: BTreeSet<String>,
    /// Given names that it refuses.
    pub refused_names: BTreeSet<String>,
    /// Answers with this error while it is set.
    pub fails: Option<fn() -> ReadError>,
    /// Answers nothing when this one is imported.
    pub falls_over: Option<SyncId>,
    /// Each call.
    pub log: Vec<String>,
    made: usize,
}

impl Files {
    pub fn calls(&self, name: &str) -> usize {
        self.log.iter().filter(|call| call.starts_with(name)).count()
    }

    fn list(&self, now: DateTime<Utc>) -> Vec<ForeignProfile> {
        let visible = self.profiles.iter().filter(|(_, kept)| kept.modified_at + self.visible_after <= now);
        visible
            .map(|(sync_id, kept)| ForeignProfile {
                id: kept.id.clone(),
                sync_id: Some(sync_id.clone()),
                modified_at: Some(kept.modified_at),
                merging_into: kept.merging_into.clone(),
            })
            .collect()
    }
}

/// The name of a call, how many more of that name pass, and what somebody does while the next one waits for its turn.
type Meanwhile = (&'static str, usize, Somebody);

#[derive(Clone)]
pub struct FakeRegister {
    id: PartnerId,
    clock: HandClock,
    reaper: Arc<Reaper>,
    files: Arc<Mutex<Files>>,
    account: String,
    /// Imports hang while this is false.
    pub answers: Arc<watch::Sender<bool>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl FakeRegister {
    pub fn new(clock: &HandClock, reaper: &Arc<Reaper>) -> Self {
        let files = Files {
            profiles: BTreeMap::new(),
            groups: vec![
                ProfileGroup { id: ProfileGroupId::new("g-1"), name: "All clients".into() },
                ProfileGroup { id: ProfileGroupId::new("g-2"), name: "Knees".into() },
            ],
            visible_after: TimeDelta::zero(),
            pace: TimeDelta::zero(),
            taken_emails: BTreeSet::new(),
            refused_names: BTreeSet::new(),
            fails: None,
            falls_over: None,
            log: Vec::new(),
            made: 0,
        };
        Self {
            id: PartnerId::new("vald"),
            clock: clock.clone(),
            reaper: reaper.clone(),
            files: Arc::new(Mutex::new(files)),
            account: "tenant".into(),
            answers: Arc::new(watch::Sender::new(true)),
            meanwhile: Arc::default(),
        }
    }

    /// The same, of another account.
    pub fn of_account(self, account: &str) -> Self {
        Self { account: account.into(), ..self }
    }

    pub fn files<T>(&self, read: impl FnOnce(&mut Files) -> T) -> T {
        read(&mut self.files.lock().unwrap())
    }

    /// Has somebody do something while the next call of that name waits for its turn, or one after `others` such calls.
    pub fn meanwhile(&self, call: &'static str, others: usize, somebody: Somebody) {
        *self.meanwhile.lock().unwrap() = Some((call, others, somebody));
    }

    /// Waits for a turn to send something, and asks whether it may still leave.
    async fn turn_to_send(&self, call: &str, last_word: &dyn LastWord) -> Result<(), SendError> {
        self.turn();
        let due = {
            let mut meanwhile = self.meanwhile.lock().unwrap();
            match meanwhile.as_mut() {
                Some((name, others, _)) if *name == call && *others > 0 => {
                    *others -= 1;
                    None
                }
                Some((name, ..)) if *name == call => meanwhile.take(),
                _ => None,
            }
        };
        if let Some((_, _, somebody)) = due {
            somebody().await;
        }
        if last_word.may_leave().await {
            Ok(())
        } else {
            Err(SendError::NotSent(ReadError::Unreachable("held back".into())))
        }
    }

    /// Waits for a turn.
    fn turn(&self) {
        self.clock.move_by(self.files(|files| files.pace));
    }

    async fn asked<T: Send>(
        &self,
        call: String,
        answer: impl FnOnce(&mut Files) -> T + Send,
    ) -> Result<T, ReadError> {
        self.turn();
        let effect = || {
            self.files(|files| {
                files.log.push(call);
                match files.fails {
                    Some(fails) => Err(fails()),
                    None => Ok(answer(files)),
                }
            })
        };
        self.reaper.touch(effect).await?
    }
}

#[async_trait]
impl Partner for FakeRegister {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.tenant().await.map(drop)
    }

    fn profile_register(&self) -> Option<&dyn ProfileRegister> {
        Some(self)
    }
}

#[async_trait]
impl ProfileRegister for FakeRegister {
    async fn tenant(&self) -> Result<Tenant, ReadError> {
        self.asked("tenant".into(), |_| Tenant { name: "Richmond".into(), sport: None }).await
    }

    async fn groups(&self) -> Result<Vec<ProfileGroup>, ReadError> {
        self.asked("groups".into(), |files| files.groups.clone()).await
    }

    async fn import(&self, profile: &ProfileOrder, last_word: &dyn LastWord) -> Result<Imported, SendError> {
        self.turn_to_send("import", last_word).await?;
        self.answers.subscribe().wait_for(|answers| *answers).await.unwrap();
        let now = self.clock.now();
        let effect = || {
            self.files(|files| {
                files.log.push(format!("import {}", profile.sync_id));
                if let Some(fails) = files.fails {
                    return Err(match fails() {
                        error @ ReadError::Unreachable(_) => SendError::NotSent(error),
                        error => SendError::TurnedAway(error),
                    });
                }
                if files.falls_over.as_ref() == Some(&profile.sync_id) {
                    return Err(SendError::Unknown(ReadError::Unreachable("cut".into())));
                }
                let refused = |field: &str| {
                    let why = "is not accepted".to_owned();
                    Ok(Imported::Refused(vec![FieldRefused { field: field.into(), why }]))
                };
                if files.refused_names.contains(profile.given_name.reveal()) {
                    return refused("givenName");
                }
                if files.taken_emails.contains(profile.email.reveal()) {
                    return refused("Email");
                }
                let known = files.profiles.get(&profile.sync_id);
                let number = files.made;
                let id = known.map_or(ForeignProfileId::new(format!("v-{number}")), |kept| kept.id.clone());
                let groups = known.map(|kept| kept.groups.clone()).unwrap_or_default();
                files.made += usize::from(known.is_none());
                let kept = Kept {
                    id,
                    given_name: profile.given_name.reveal().clone(),
                    email: profile.email.reveal().clone(),
                    modified_at: now,
                    groups,
                    merging_into: None,
                };
                files.profiles.insert(profile.sync_id.clone(), kept);
                Ok(Imported::Accepted)
            })
        };
        self.reaper.touch(effect).await?
    }

    fn fields_of(&self, profile: &ProfileOrder) -> Vec<&'static str> {
        let email = (!profile.email.reveal().is_empty()).then_some("email");
        ["givenName", "familyName", "dateOfBirth"].into_iter().chain(email).collect()
    }

    async fn profile(&self, sync_id: &SyncId) -> Result<Option<ForeignProfile>, ReadError> {
        let now = self.clock.now();
        self.asked(format!("profile {sync_id}"), |files| {
            files.list(now).into_iter().find(|profile| profile.sync_id.as_ref() == Some(sync_id))
        })
        .await
    }

    async fn profile_by_id(&self, id: &ForeignProfileId) -> Result<Option<ForeignProfile>, ReadError> {
        let now = self.clock.now();
        self.asked(format!("profile by id {id}"), |files| {
            files.list(now).into_iter().find(|profile| profile.id == *id)
        })
        .await
    }

    async fn modified_since(&self, since: Option<DateTime<Utc>>) -> Result<Vec<ForeignProfile>, ReadError> {
        let now = self.clock.now();
        self.asked("list".into(), |files| {
            let profiles = files.list(now).into_iter();
            profiles.filter(|profile| since.is_none() || profile.modified_at >= since).collect()
        })
        .await
    }

    async fn add_to_groups(
        &self,
        profile: &ForeignProfileId,
        groups: &[ProfileGroupId],
        last_word: &dyn LastWord,
    ) -> Result<(), SendError> {
        self.turn_to_send("groups", last_word).await?;
        let effect = || {
            self.files(|files| {
                files.log.push(format!("groups of {profile}"));
                let Some(kept) = files.profiles.values_mut().find(|kept| kept.id == *profile) else {
                    return Err(SendError::TurnedAway(ReadError::NotFound));
                };
                kept.groups.extend(groups.iter().cloned());
                Ok(())
            })
        };
        self.reaper.touch(effect).await?
    }

    async fn forget_former_links(&self) -> Result<(), SendError> {
        let effect = || self.files(|files| files.profiles.clear());
        Ok(self.reaper.touch(effect).await?)
    }
}
