//! What the engine knows right now, for the tray and the window. Whole, never in parts.

use chrono::{DateTime, NaiveDate, Utc};
use domain::diary::{Appointment, BookDay, PracticeCard};
use domain::directory::Directory;
use domain::free_times::FreeTimes;
use domain::ids::{AppointmentTypeRef, ForeignBookingId, LocationRef, PartnerId, PracticeId, ResourceRef};
use domain::link::LinkState;
use domain::ports::store::{BookingCounts, Leg, LegNote};
use domain::ports::webhooks::ListenerState;
use domain::settings::{Feature, PracticeSettings};
use domain::time::{Horizon, Minutes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

use crate::flows::people::CONSENTS;
use crate::webhooks::WebhookState;

/// Everything, by practice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineState {
    /// The practices.
    pub practices: BTreeMap<PracticeId, PracticeState>,
    /// When the store last failed, and how; none while it works.
    pub store_problem: Option<(DateTime<Utc>, String)>,
    /// How the listener for webhooks is doing; none while it is switched off.
    pub listener: Option<ListenerState>,
    /// Rises whenever something in the ledger moved, so that views read it again.
    pub ledger_moves: u64,
}

/// One practice.
#[derive(Clone, Debug, PartialEq)]
pub struct PracticeState {
    /// As stored.
    pub settings: PracticeSettings,
    /// The last note of each leg.
    pub legs: BTreeMap<Leg, LegNote>,
    /// What the practice system said of itself.
    pub card: Option<PracticeCard>,
    /// Per practitioner or room.
    pub resources: Vec<ResourceState>,
    /// The names of the appointment types.
    pub appointment_types: BTreeMap<AppointmentTypeRef, String>,
    /// How long the book took to read, in milliseconds.
    pub read_ms: Option<u32>,
    /// The days that are published.
    pub horizon: Option<Horizon>,
    /// Days being sent: done, of all.
    pub sending: Option<(usize, usize)>,
    /// A list that waits for somebody to say that it may shrink.
    pub shrinking: Vec<Shrinking>,
    /// The free times of the book as last read, for a person who puts a booking elsewhere; none before.
    pub free_times: Option<Arc<FreeTimes>>,
    /// For bookings that wait: an instant of our clock at which they did not wait yet.
    pub made_after: BTreeMap<ForeignBookingId, DateTime<Utc>>,
    /// Since when the partner has been waiting for other answers, by our clock.
    pub asked_since: BTreeMap<Asked, DateTime<Utc>>,
    /// How many bookings stand where.
    pub counts: BookingCounts,
    /// The partner's extra features, once they were looked at.
    pub features: Vec<FeatureState>,
    /// What keeps documents waiting, and what to do about it; none while nothing does.
    pub documents_problem: Option<String>,
    /// How webhooks are doing; none while they are switched off.
    pub webhooks: Option<WebhookState>,
    /// How those of the practice system are doing; none while they are switched off.
    pub book_webhooks: Option<WebhookState>,
    /// How profiles of patients at a partner are doing; none where none keeps them.
    pub profiles: Option<ProfilesState>,
    /// How the links stand with each partner whose account is drawn from its card.
    pub accounts: BTreeMap<PartnerId, BTreeMap<LinkState, u32>>,
    /// How links with the records of partners that keep our names are doing.
    pub records: BTreeMap<PartnerId, RecordsState>,
    /// The book as it was last read; none before the first reading.
    pub reading: Option<Arc<BookReading>>,
    /// Who is in the book, as last read; none while nobody needs it.
    pub people: Option<Arc<PeopleReading>>,
    /// Days on which the partner does not show what the book shows, as far as is known, and when that was noticed.
    pub differing: Arc<BTreeMap<(ResourceRef, NaiveDate), DateTime<Utc>>>,
}

/// The days of a book as they were last read. Shared, never copied: a large clinic's is a few hundred kilobytes.
#[derive(Debug, PartialEq, Eq)]
pub struct BookReading {
    /// When it was read.
    pub read_at: DateTime<Utc>,
    /// The grid on which appointments start.
    pub slot: Minutes,
    /// Working and busy time, with that of bookings on their way; a resource and day that is missing has none.
    pub days: BTreeMap<(ResourceRef, NaiveDate), BookDay>,
    /// Appointments of patients, of the first days only: who is about to come.
    pub visits: Vec<Appointment>,
    /// Where each resource is, as far as the book says.
    pub places: BTreeMap<ResourceRef, LocationRef>,
}

/// How profiles of patients are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilesState {
    /// How many links stand in each state.
    pub links: BTreeMap<LinkState, u32>,
    /// Profiles being sent: done, of all.
    pub sending: Option<(usize, usize)>,
    /// Groups that the settings name and the partner does not know.
    pub unknown_groups: BTreeSet<String>,
}

/// How links with a partner's records are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordsState {
    /// Patients who are looked at: done, of all.
    pub bringing: Option<(usize, usize)>,
    /// How many patients the partner has.
    pub records: usize,
    /// How many of them have a name that a former program left, and none of ours.
    pub former: usize,
}

/// Who is in the book.
#[derive(Debug)]
pub struct PeopleReading {
    /// Rises whenever anybody's record differs from the reading before.
    pub revision: u64,
    /// The book's stamp of its patients, from before they were read; none where it could not tell.
    pub stamp: Option<String>,
    /// When they were read.
    pub read_at: DateTime<Utc>,
    /// Differs whenever anybody's record does.
    pub digest: u64,
    /// The patients.
    pub directory: Directory,
}

impl PartialEq for PeopleReading {
    fn eq(&self, other: &Self) -> bool {
        (self.revision, self.read_at, self.digest) == (other.revision, other.read_at, other.digest)
    }
}

/// One of the partner's extra features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureState {
    /// Which.
    pub feature: Feature,
    /// Whether it is asked for in the settings.
    pub wanted: bool,
    /// Whether it is on at the partner.
    pub on: bool,
    /// What it lacks, in words; none where it can be on.
    pub lacks: Option<String>,
}

/// What a partner waits for besides bookings, and within ten minutes (sheet §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// Answers about changes to bookings.
    Changes,
    /// Free times.
    FreeTimes,
}

/// One practitioner or room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceState {
    /// The practice system's key.
    pub id: ResourceRef,
    /// The name people see, with the title.
    pub name: String,
    /// `Physiotherapist`, where known.
    pub specialty: Option<String>,
    /// Slots of today still free, on the book's grid.
    pub free_today: u32,
    /// Slots of today in all.
    pub slots_today: u32,
    /// Since when a change has been on its way; none when the partner shows what the book shows.
    pub changing_since: Option<DateTime<Utc>>,
}

/// A list that became suspiciously short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrinking {
    /// `resources`, `appointment_types`, the watched `appointments`, or the `consents` of the practice system.
    pub list: &'static str,
    /// The digest of the short list, so that what somebody accepts is this list and no other.
    pub digest: String,
    /// How many the partner has, are watched, or agreed.
    pub from: usize,
    /// How many the book has now.
    pub to: usize,
    /// The names that are gone, the first twenty.
    pub missing: Vec<String>,
    /// When it was noticed.
    pub noticed_at: DateTime<Utc>,
}

impl Shrinking {
    /// Whether it makes doubtful what else the book says; consents do not, because they stand beside it.
    pub fn is_of_the_book(&self) -> bool {
        self.list != CONSENTS
    }
}

impl PracticeState {
    /// A practice about which nothing is known yet but its settings and its last notes.
    pub fn new(settings: PracticeSettings, legs: BTreeMap<Leg, LegNote>, counts: BookingCounts) -> Self {
        Self {
            settings,
            legs,
            card: None,
            resources: Vec::new(),
            appointment_types: BTreeMap::new(),
            read_ms: None,
            horizon: None,
            sending: None,
            shrinking: Vec::new(),
            free_times: None,
            made_after: BTreeMap::new(),
            asked_since: BTreeMap::new(),
            counts,
            features: Vec::new(),
            documents_problem: None,
            webhooks: None,
            book_webhooks: None,
            profiles: None,
            accounts: BTreeMap::new(),
            records: BTreeMap::new(),
            reading: None,
            people: None,
            differing: Arc::default(),
        }
    }
}

impl PracticeState {
    /// The same practice after its settings changed: what was last read from its book stays.
    pub fn renewed(self, anew: PracticeState) -> Self {
        let PracticeState { resources, appointment_types, horizon, card, reading, differing, .. } = self;
        let anew = Self { free_times: self.free_times, made_after: self.made_after, ..anew };
        // What was in doubt stays so until it was looked at again.
        let (bookings, profiles) = (anew.settings.healthengine.is_some(), anew.settings.vald.is_some());
        let still = |doubt: &Shrinking| if doubt.is_of_the_book() { bookings } else { profiles };
        let shrinking = self.shrinking.into_iter().filter(still).collect();
        let anew = Self { shrinking, ..anew };
        Self { resources, appointment_types, horizon, card, reading, differing, ..anew }
    }
}

/// Where flows write what they learned and everybody else reads it.
#[derive(Clone, Debug)]
pub struct StateBoard {
    sender: Arc<watch::Sender<EngineState>>,
}

impl Default for StateBoard {
    fn default() -> Self {
        Self { sender: Arc::new(watch::Sender::new(EngineState::default())) }
    }
}

impl StateBoard {
    /// Reads and hears of changes.
    pub fn subscribe(&self) -> watch::Receiver<EngineState> {
        self.sender.subscribe()
    }

    /// Changes everything. Listeners hear of it only where something differs.
    pub fn change(&self, change: impl FnOnce(&mut EngineState)) {
        self.sender.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    /// Changes one practice, if it is still there.
    pub fn change_practice(&self, practice: &PracticeId, change: impl FnOnce(&mut PracticeState)) {
        self.change(|state| {
            if let Some(practice) = state.practices.get_mut(practice) {
                change(practice);
            }
        });
    }

    /// A list of a practice that waits for somebody to say that it may shrink.
    pub fn shrinking(&self, practice: &PracticeId, list: &str) -> Option<Shrinking> {
        let state = self.sender.borrow();
        state.practices.get(practice)?.shrinking.iter().find(|shrinking| shrinking.list == list).cloned()
    }

    /// Whether the lists of a practice's book were read, and none of them waits for somebody.
    pub fn is_beyond_doubt(&self, practice: &PracticeId) -> bool {
        let state = self.sender.borrow();
        let known = state.practices.get(practice);
        known.is_some_and(|practice| {
            practice.horizon.is_some() && !practice.shrinking.iter().any(Shrinking::is_of_the_book)
        })
    }

    /// The days of a practice on which the partner does not show what the book shows.
    pub fn differing(&self, practice: &PracticeId) -> Arc<BTreeMap<(ResourceRef, NaiveDate), DateTime<Utc>>> {
        let state = self.sender.borrow();
        state.practices.get(practice).map(|practice| practice.differing.clone()).unwrap_or_default()
    }

    /// Who is in a practice's book.
    pub fn people(&self, practice: &PracticeId) -> Option<Arc<PeopleReading>> {
        self.sender.borrow().practices.get(practice)?.people.clone()
    }

    /// How many patients the practice system said it has; zero before it did.
    pub fn patients(&self, practice: &PracticeId) -> u64 {
        let state = self.sender.borrow();
        let card = state.practices.get(practice).and_then(|practice| practice.card.as_ref());
        card.map_or(0, |card| card.patients)
    }

    /// How links with the records of a partner are doing; none where nothing is known of that yet.
    pub fn records(&self, practice: &PracticeId, partner: &PartnerId) -> Option<RecordsState> {
        self.sender.borrow().practices.get(practice)?.records.get(partner).cloned()
    }

    /// Who works in a practice, as last read.
    pub fn resources(&self, practice: &PracticeId) -> Vec<ResourceState> {
        let state = self.sender.borrow();
        state.practices.get(practice).map(|practice| practice.resources.clone()).unwrap_or_default()
    }

    /// A practice's book as it was last read.
    pub fn reading(&self, practice: &PracticeId) -> Option<Arc<BookReading>> {
        self.sender.borrow().practices.get(practice)?.reading.clone()
    }

    /// The last note of a leg.
    pub fn leg(&self, practice: &PracticeId, leg: Leg) -> Option<LegNote> {
        self.sender.borrow().practices.get(practice).and_then(|practice| practice.legs.get(&leg).cloned())
    }
}
