//! What the simulated service knows of its tenants, and what came in.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::landing::Opened;
use super::{Conduct, Host, SimCredentials, SimTenant, ValdSimConfig, Visible};
use crate::sim::door::Faulty;
use crate::sim::faults::FaultSwitches;
use crate::sim::journal::{RequestCounts, counted_as, push_bounded, push_within};

/// So many imports are kept: more than the largest practice that a test plays has patients.
const IMPORTS_KEPT: usize = 100_000;

/// A token that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token itself, so that a test can prove that it stands in no log.
    pub token: String,
    /// To whom.
    pub client_id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: DateTime<Utc>,
    /// Whether it was taken back before that.
    pub revoked: bool,
}

/// Something that the service refuses, or takes although somebody will regret it (contract sheet §9). Injected faults
/// and throttling are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// When.
    pub at: DateTime<Utc>,
    /// Where.
    pub host: Host,
    /// The tenant's id, the client's id, or the region.
    pub account: String,
    /// Method.
    pub method: String,
    /// Path below the host.
    pub path: String,
    /// The status it was answered with; a success for what was taken and is a trap.
    pub status: u16,
    /// What is wrong, in words that the service itself would not give.
    pub reason: String,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Rises with each request, over all hosts.
    pub number: u64,
    /// When it was handled, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// Where.
    pub host: Host,
    /// The tenant's id, the client's id, or the region.
    pub account: String,
    /// Method.
    pub method: String,
    /// Path below the host.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
    /// What the service answered, or would have: a fault after the effect does not change it.
    pub status: Option<u16>,
    /// True when the service saw the request and acted on it.
    pub took_effect: bool,
}

/// An import, refused or not.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedImport {
    /// The number of its [`Exchange`].
    pub number: u64,
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// What was sent, every field of it, known or not.
    pub body: Value,
    /// What it was answered with.
    pub status: u16,
}

/// Sync ids that were removed from a whole tenant (contract sheet §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wipe {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose.
    pub tenant_id: String,
    /// Of what.
    pub what: Wiped,
    /// How many there were.
    pub removed: usize,
}

/// What a removal of sync ids took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiped {
    /// The profiles (`DELETE /profiles/syncids`).
    Profiles,
    /// Categories, groups and profiles (`DELETE /tenants/{id}/syncids`).
    Everything,
}

/// A person as VALD describes them. Weight and height cannot be imported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileDetails {
    /// The name that whoever imported the profile gave it.
    pub sync_id: Option<String>,
    /// A second reference, not unique.
    pub external_id: Option<String>,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// Date of birth.
    pub date_of_birth: NaiveDate,
    /// `Male`, `Female`, `Unknown` or `NotApplicable`.
    pub sex: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Kilograms.
    pub weight_in_kg: Option<f64>,
    /// Centimetres.
    pub height_in_cm: Option<f64>,
    /// One of VALD's words.
    pub sport: Option<String>,
    /// Position in a team.
    pub position: Option<String>,
}

impl ProfileDetails {
    /// A person with a name and a birth date, of unknown sex.
    #[must_use]
    pub fn new(given_name: &str, family_name: &str, date_of_birth: NaiveDate) -> Self {
        Self {
            given_name: given_name.to_owned(),
            family_name: family_name.to_owned(),
            date_of_birth,
            sex: "Unknown".to_owned(),
            ..Self::default()
        }
    }

    /// With a sync id, as after an import.
    #[must_use]
    pub fn with_sync_id(mut self, sync_id: &str) -> Self {
        self.sync_id = Some(sync_id.to_owned());
        self
    }
}

/// The three flags of the last import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedConsents {
    /// `isCreatedByUserOver18YearsOld`.
    pub created_by_adult: bool,
    /// `isGuardianConsentGiven`.
    pub guardian: Option<bool>,
    /// `isPhotoVideoConsentGiven`.
    pub photo_video: bool,
}

/// A merge that is under way: the profile is about to disappear into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merging {
    /// The profile that will be left.
    pub into: String,
    /// When this one is gone.
    pub until: DateTime<Utc>,
}

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub struct SimProfile {
    /// VALD's id.
    pub profile_id: String,
    /// As it was imported last, visible or not.
    pub details: ProfileDetails,
    /// When that was.
    pub modified_at: DateTime<Utc>,
    /// None for a profile that was made by hand.
    pub consents: Option<RecordedConsents>,
    /// The groups that it is in.
    pub group_ids: BTreeSet<String>,
    /// Those among them into which staff put it.
    pub group_ids_by_hand: BTreeSet<String>,
    /// The merge that it is about to disappear by.
    pub merging: Option<Merging>,
    /// What is shown until the last import is visible; none for a profile that never was.
    pub(super) before: Option<(ProfileDetails, DateTime<Utc>)>,
    pub(super) due: Due,
}

/// When the last import is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(DateTime<Utc>),
    /// When the tenant has been asked more often than this.
    Beyond(u64),
}

impl SimProfile {
    /// What is shown of it, and since when that stands; none while it is not visible at all.
    pub(super) fn shown(
        &self,
        now: DateTime<Utc>,
        questions: u64,
    ) -> Option<(&ProfileDetails, DateTime<Utc>)> {
        let due = match self.due {
            Due::Now => true,
            Due::At(at) => now >= at,
            Due::Beyond(count) => questions > count,
        };
        if due {
            Some((&self.details, self.modified_at))
        } else {
            self.before.as_ref().map(|(details, modified_at)| (details, *modified_at))
        }
    }
}

/// A category, which holds groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimCategory {
    /// VALD's id.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// Given by whoever imported it.
    pub sync_id: Option<String>,
}

/// A group of profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimGroup {
    /// VALD's id.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// The category that holds it.
    pub category_id: String,
    /// Given by whoever imported it.
    pub sync_id: Option<String>,
}

pub(super) struct Tenant {
    pub settings: SimTenant,
    pub categories: BTreeMap<String, SimCategory>,
    pub groups: BTreeMap<String, SimGroup>,
    pub imports: VecDeque<ReceivedImport>,
    /// How often the profiles have been asked for.
    pub questions: u64,
    profiles: BTreeMap<String, SimProfile>,
    by_sync_id: HashMap<String, String>,
    by_email: HashMap<String, BTreeSet<String>>,
    /// Those whose profile is being merged away.
    merging: BTreeSet<String>,
}

impl Tenant {
    fn new(settings: SimTenant) -> Self {
        Self {
            settings,
            categories: BTreeMap::new(),
            groups: BTreeMap::new(),
            imports: VecDeque::new(),
            questions: 0,
            profiles: BTreeMap::new(),
            by_sync_id: HashMap::new(),
            by_email: HashMap::new(),
            merging: BTreeSet::new(),
        }
    }

    pub fn profiles(&self) -> impl Iterator<Item = &SimProfile> {
        self.profiles.values()
    }

    pub fn profile(&self, profile_id: &str) -> Option<&SimProfile> {
        self.profiles.get(profile_id)
    }

    pub fn by_sync_id(&self, sync_id: &str) -> Option<&SimProfile> {
        self.profile(self.by_sync_id.get(sync_id)?)
    }

    /// Whether another profile than `but` has this e-mail address.
    pub fn is_email_of_another(&self, email: &str, but: Option<&str>) -> bool {
        let owners = self.by_email.get(&email.to_lowercase());
        owners.into_iter().flatten().any(|owner| Some(owner.as_str()) != but)
    }

    /// Puts a profile in, in place of the one with its id. Its sync id is taken from whoever else has it.
    pub fn put(&mut self, profile: SimProfile) {
        self.take(&profile.profile_id);
        let id = &profile.profile_id;
        if let Some(sync_id) = &profile.details.sync_id {
            let former = self.by_sync_id.insert(sync_id.clone(), id.clone());
            if let Some(former) = former.and_then(|former| self.profiles.get_mut(&former)) {
                former.details.sync_id = None;
            }
        }
        if let Some(email) = &profile.details.email {
            self.by_email.entry(email.to_lowercase()).or_default().insert(id.clone());
        }
        if profile.merging.is_some() {
            self.merging.insert(id.clone());
        }
        self.profiles.insert(id.clone(), profile);
    }

    /// Takes a profile out.
    pub fn take(&mut self, profile_id: &str) -> Option<SimProfile> {
        let profile = self.profiles.remove(profile_id)?;
        if let Some(sync_id) = &profile.details.sync_id {
            self.by_sync_id.remove(sync_id);
        }
        let email = profile.details.email.as_ref().map(|email| email.to_lowercase());
        if let Some(owners) = email.and_then(|email| self.by_email.get_mut(&email)) {
            owners.remove(profile_id);
        }
        self.merging.remove(profile_id);
        Some(profile)
    }

    /// Changes a profile that is there; false when it is not.
    pub fn edit(&mut self, profile_id: &str, edit: impl FnOnce(&mut SimProfile)) -> bool {
        let Some(mut profile) = self.take(profile_id) else { return false };
        edit(&mut profile);
        self.put(profile);
        true
    }

    /// Changes the groups of every profile.
    pub fn edit_groups(&mut self, edit: impl Fn(&mut SimProfile)) {
        self.profiles.values_mut().for_each(edit);
    }

    /// Ends the merges whose time has come.
    pub fn end_merges(&mut self, now: DateTime<Utc>) {
        let over = |id: &String| {
            let merging = self.profiles.get(id)?.merging.as_ref()?;
            (merging.until <= now).then(|| (id.clone(), merging.into.clone()))
        };
        let ended: Vec<(String, String)> = self.merging.iter().filter_map(over).collect();
        for (from, into) in ended {
            let sync_id = self.take(&from).and_then(|gone| gone.details.sync_id);
            self.edit(&into, |left| {
                left.modified_at = now;
                if left.details.sync_id.is_none() {
                    left.details.sync_id = sync_id;
                }
            });
        }
    }

    /// Whether a profile is part of a merge that is under way, from either end.
    pub fn is_merging(&self, profile_id: &str) -> bool {
        let into = |id: &String| Some(self.profiles.get(id)?.merging.as_ref()?.into.as_str());
        self.merging.contains(profile_id) || self.merging.iter().any(|id| into(id) == Some(profile_id))
    }

    /// Removes the sync ids of all profiles, and says how many there were.
    pub fn forget_profile_sync_ids(&mut self) -> usize {
        for profile in self.profiles.values_mut() {
            profile.details.sync_id = None;
            if let Some((before, _)) = &mut profile.before {
                before.sync_id = None;
            }
        }
        let removed = self.by_sync_id.len();
        self.by_sync_id.clear();
        removed
    }
}

/// Everything that the simulator knows. Read it through `ValdSim::inspect`.
pub struct SimState {
    pub(super) conduct: Conduct,
    pub(super) landing_path: String,
    pub(super) credentials: BTreeMap<String, SimCredentials>,
    pub(super) tenants: BTreeMap<String, Tenant>,
    pub(super) faults: FaultSwitches,
    pub(super) tokens: Vec<IssuedToken>,
    pub(super) token_numbers: HashMap<String, usize>,
    pub(super) recent: HashMap<String, VecDeque<DateTime<Utc>>>,
    pub(super) throttled: u64,
    pub(super) wipes: Vec<Wipe>,
    pub(super) opened: VecDeque<Opened>,
    last_id: u64,
    counts: RequestCounts,
    exchanges: VecDeque<Exchange>,
    exchange_count: u64,
    mistakes: VecDeque<Mistake>,
}

impl Faulty for SimState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

impl SimState {
    pub(super) fn new(config: ValdSimConfig) -> Self {
        let credentials = config.credentials.into_iter();
        let tenants = config.tenants.into_iter();
        Self {
            conduct: config.conduct,
            landing_path: config.landing_path,
            credentials: credentials.map(|pair| (pair.client_id.clone(), pair)).collect(),
            tenants: tenants.map(|tenant| (tenant.id.clone(), Tenant::new(tenant))).collect(),
            faults: FaultSwitches::default(),
            tokens: Vec::new(),
            token_numbers: HashMap::new(),
            recent: HashMap::new(),
            throttled: 0,
            wipes: Vec::new(),
            opened: VecDeque::new(),
            last_id: 0,
            counts: RequestCounts::default(),
            exchanges: VecDeque::new(),
            exchange_count: 0,
            mistakes: VecDeque::new(),
        }
    }

    /// A new UUID of `kind`, a hexadecimal digit that makes ids easy to tell apart.
    pub(super) fn new_id(&mut self, kind: char) -> String {
        self.last_id += 1;
        format!("{kind}0000000-0000-4000-8000-{:012x}", self.last_id)
    }

    /// When what is imported now becomes visible to whoever asks.
    pub(super) fn due(&self, questions: u64, now: DateTime<Utc>) -> Due {
        match self.conduct.visible {
            Visible::AtOnce => Due::Now,
            Visible::After(delay) => Due::At(now + delay),
            Visible::AfterQuestions(count) => Due::Beyond(questions + count),
        }
    }

    /// The number of the request that is being handled.
    pub(super) fn next_exchange(&self) -> u64 {
        self.exchange_count + 1
    }

    /// Notes a request, and gives it its number.
    pub(super) fn note_exchange(&mut self, exchange: Exchange) {
        self.exchange_count += 1;
        // Ids have digits, and no word of a path has.
        let is_id = |part: &str| part.bytes().any(|byte| byte.is_ascii_digit());
        self.counts.count(&exchange.account, counted_as(&exchange.method, &exchange.path, is_id));
        push_bounded(&mut self.exchanges, Exchange { number: self.exchange_count, ..exchange });
    }

    pub(super) fn note_mistake(&mut self, mistake: Mistake) {
        push_bounded(&mut self.mistakes, mistake);
    }

    pub(super) fn note_import(&mut self, tenant_id: &str, import: ReceivedImport) {
        if let Some(tenant) = self.tenants.get_mut(tenant_id) {
            push_within(&mut tenant.imports, import, IMPORTS_KEPT);
        }
    }

    // ---- inspection ----

    /// The profile of that sync id, visible or not.
    #[must_use]
    pub fn profile(&self, tenant_id: &str, sync_id: &str) -> Option<&SimProfile> {
        self.tenants.get(tenant_id)?.by_sync_id(sync_id)
    }

    /// The profile that VALD calls so, visible or not.
    #[must_use]
    pub fn profile_by_id(&self, tenant_id: &str, profile_id: &str) -> Option<&SimProfile> {
        self.tenants.get(tenant_id)?.profile(profile_id)
    }

    /// Every profile of a tenant, visible or not, in the order in which they were made.
    pub fn profiles(&self, tenant_id: &str) -> impl Iterator<Item = &SimProfile> {
        self.tenants.get(tenant_id).into_iter().flat_map(Tenant::profiles)
    }

    /// The groups of a tenant, in the order in which they were made.
    pub fn groups(&self, tenant_id: &str) -> impl Iterator<Item = &SimGroup> {
        self.tenants.get(tenant_id).into_iter().flat_map(|tenant| tenant.groups.values())
    }

    /// The categories of a tenant, in the order in which they were made.
    pub fn categories(&self, tenant_id: &str) -> impl Iterator<Item = &SimCategory> {
        self.tenants.get(tenant_id).into_iter().flat_map(|tenant| tenant.categories.values())
    }

    /// Every import that named the tenant, refused or not, oldest first (the last hundred thousand).
    pub fn imports(&self, tenant_id: &str) -> impl DoubleEndedIterator<Item = &ReceivedImport> {
        self.tenants.get(tenant_id).into_iter().flat_map(|tenant| tenant.imports.iter())
    }

    /// How many requests of a kind there were, those struck by a fault included. Ids in the path count as `{id}`:
    /// `requests("GET", "/profiles/{id}")`.
    #[must_use]
    pub fn requests(&self, method: &str, path: &str) -> u64 {
        self.counts.of_all(method, path)
    }

    /// The same, of one account: a tenant's id, a client's id for tokens, a region's name for the rest.
    #[must_use]
    pub fn requests_of(&self, account: &str, method: &str, path: &str) -> u64 {
        self.counts.of(account, method, path)
    }

    /// Every request and what became of it, oldest first (the last ten thousand).
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Everything that was refused because of what it said, or is a trap of the contract, oldest first (the last ten
    /// thousand).
    pub fn mistakes(&self) -> impl DoubleEndedIterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// The mistakes that are the client's own: not 401 and 403, which a test may well provoke.
    pub fn not_understood(&self) -> impl DoubleEndedIterator<Item = &Mistake> {
        self.mistakes.iter().filter(|mistake| !matches!(mistake.status, 401 | 403))
    }

    /// Every token that was given out, oldest first.
    #[must_use]
    pub fn tokens(&self) -> &[IssuedToken] {
        &self.tokens
    }

    /// How many requests got a 429 because there were too many.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Every removal of sync ids of a whole tenant, oldest first.
    #[must_use]
    pub fn wipes(&self) -> &[Wipe] {
        &self.wipes
    }

    /// Every opening of the landing page, oldest first (the last ten thousand).
    pub fn opened(&self) -> impl DoubleEndedIterator<Item = &Opened> {
        self.opened.iter()
    }

    /// The faults that are switched on.
    #[must_use]
    pub fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}
