//! The kinds of work. A pass takes no input, may be run twice, and does not retry inside.

pub mod availability;
pub mod bookings;
pub mod changes;
pub mod client_snapshots;
pub mod documents;
pub mod doubt;
pub mod enrolments;
pub mod features;
pub mod people;
pub mod profiles;
pub mod record_links;
pub mod subscriptions;

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{ActivityLine, Leg, LegNote, Mark, Problem, Store, StoreError};
use domain::settings::{AppSettings, PracticeSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::health;
use crate::pace;
use crate::state::{PeopleReading, StateBoard};
use crate::webhooks::Webhooks;
pub use people::Searching;

/// Until when nothing is asked of a partner, whoever wakes a flow: they do not know that the partner asked for patience.
/// Harmless to lose.
#[derive(Default)]
struct Patience(Mutex<Option<DateTime<Utc>>>);

impl Patience {
    /// What failed is tried again no sooner than this.
    const SHORTEST: TimeDelta = TimeDelta::seconds(5);

    /// One pass of a flow that asks the partner of `leg`, unless that is waited for.
    async fn pass(
        &self,
        ports: &Ports,
        leg: &Leg,
        run: impl Future<Output = Result<DateTime<Utc>, Stop>>,
    ) -> Outcome {
        let wake = BTreeSet::new();
        let waits = *self.until();
        if let Some(until) = waits.filter(|until| pace::is_pause(*until, ports.clock.now())) {
            return Outcome { again_at: until, wake };
        }
        let (again_at, waits) = match run.await {
            Ok(again_at) => (again_at, None),
            Err(stop) => {
                let is_theirs = matches!(&stop, Stop::Failed(failed, _) if failed == leg);
                let again_at = ports.stopped(stop, Self::SHORTEST).await;
                // What else failed says nothing about the partner.
                (again_at, if is_theirs { Some(again_at) } else { waits })
            }
        };
        *self.until() = waits;
        Outcome { again_at, wake }
    }

    fn until(&self) -> MutexGuard<'_, Option<DateTime<Utc>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds of work, in the order of their urgency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowName {
    /// Bookings and their changes.
    Bookings,
    /// What staff do in the practice to bookings that stand.
    Changes,
    /// Free times, resources, appointment types, live hours.
    Availability,
    /// Documents, and the features that bring them.
    Documents,
    /// Being told of what waits.
    Subscriptions,
    /// Being told of what changes in the book.
    BookSubscriptions,
    /// Days with their patients, for a partner that asks for them.
    ClientSnapshots,
    /// Who is in the book.
    People,
    /// Profiles of patients at a partner that keeps them.
    Profiles,
    /// Records of the same people and things, at this partner.
    RecordLinks(PartnerId),
    /// Patients who connect devices of their own, at this partner.
    Enrolments(PartnerId),
}

/// What a pass asks of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When to run again at the latest.
    pub again_at: DateTime<Utc>,
    /// Other flows that have work now.
    pub wake: BTreeSet<FlowName>,
}

/// Why a pass ended early.
pub(crate) enum Stop {
    /// The partner or the practice cannot be worked with now.
    Failed(Leg, ReadError),
    /// The store failed.
    Store(StoreError),
}

impl Stop {
    /// Whether nothing further may be tried in this pass.
    pub(crate) fn holds_for_all(&self) -> bool {
        matches!(
            self,
            Stop::Store(_)
                | Stop::Failed(
                    _,
                    ReadError::NotAuthorised
                        | ReadError::SignInNeeded
                        | ReadError::NoConsent
                        | ReadError::SlowDown { .. }
                )
        )
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

/// One kind of work for one practice.
#[async_trait]
pub trait Flow: Send + Sync {
    /// Which.
    fn name(&self) -> FlowName;

    /// One idempotent pass.
    async fn pass(&self) -> Outcome;
}

/// Everything that the flows of one practice work with.
#[derive(Clone)]
pub struct Ports {
    /// What the practice chose.
    pub settings: PracticeSettings,
    /// What holds for the whole program.
    pub app: AppSettings,
    /// The practice's book.
    pub practice: Arc<dyn PracticeSystem>,
    /// The partner that takes bookings and shows free times.
    pub partner: Option<Arc<dyn Partner>>,
    /// The further partners.
    pub partners: Vec<Arc<dyn Partner>>,
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where people see how it goes.
    pub state: StateBoard,
    /// Set whenever marks were forgotten or the book was written to, so that the next pass looks closely.
    pub look_closely: Arc<AtomicBool>,
    /// Set while writing into the book fails though reading works, so that a reading does not turn the light green.
    pub writes_fail: Arc<AtomicBool>,
    /// What is known of webhooks.
    pub webhooks: Arc<Webhooks>,
    /// What is known of those of the practice system. How often the book is looked at does not depend on them.
    pub book_webhooks: Arc<Webhooks>,
    /// Patients for whose profiles somebody waits.
    pub hurried: Hurried,
    /// Whether somebody at the desk searches.
    pub searching: Searching,
    /// When each leg's note was last written to the store.
    pub noted: Arc<Mutex<BTreeMap<Leg, DateTime<Utc>>>>,
    /// The last half hour in which each leg was noted to work.
    pub half_hours: Arc<Mutex<BTreeMap<Leg, DateTime<Utc>>>>,
}

/// Patients for whose profiles somebody waits in front of the screen. Harmless to lose.
#[derive(Clone, Debug, Default)]
pub struct Hurried(Arc<Mutex<BTreeMap<PracticeId, BTreeSet<PatientRef>>>>);

impl Hurried {
    /// Adds patients of a practice.
    pub fn add(&self, practice: &PracticeId, patients: BTreeSet<PatientRef>) {
        let mut hurried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hurried.entry(practice.clone()).or_default().extend(patients);
    }

    /// Whether there are any of a practice.
    pub fn are_any(&self, practice: &PracticeId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(practice)
    }

    /// Takes those of a practice.
    pub fn take(&self, practice: &PracticeId) -> BTreeSet<PatientRef> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(practice).unwrap_or_default()
    }
}

/// Marks of the half hours in which a leg worked.
const PROVEN: &str = "proven/";

/// The half hour that an instant lies in, by its beginning.
pub fn half_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(30)).unwrap_or(at)
}

/// The prefix of the marks of the half hours in which a leg worked.
pub fn proven_marks(leg: &Leg) -> String {
    format!("{PROVEN}{}/", leg.name())
}

/// The mark that a leg worked in a half hour.
fn proven_mark(leg: &Leg, half_hour: DateTime<Utc>) -> String {
    format!("{}{}", proven_marks(leg), half_hour.format("%Y-%m-%dT%H:%MZ"))
}

/// A leg that goes on working is noted in the store no more often than this, to spare the disk.
const NOTE_EVERY: TimeDelta = TimeDelta::seconds(4);

/// Outages shorter than this are not told.
const WORTH_TELLING: TimeDelta = TimeDelta::minutes(1);

impl Ports {
    /// The practice.
    pub fn id(&self) -> &PracticeId {
        &self.settings.id
    }

    /// Who is in the book, as last read; none before, and while nobody needs it.
    pub fn people(&self) -> Option<Arc<PeopleReading>> {
        self.state.people(self.id())
    }

    /// Asks the next availability pass to read the whole book, whatever its stamp says.
    pub fn look_closely(&self) {
        self.look_closely.store(true, Ordering::SeqCst);
    }

    /// Notes that a leg was proven by a round trip.
    pub async fn proven(&self, leg: Leg) -> Result<(), StoreError> {
        let now = self.clock.now();
        if leg == Leg::System
            && self.writes_fail.load(Ordering::SeqCst)
            && let Some(note) = self.leg(&leg).filter(|note| note.problem.is_some())
        {
            return self.note(leg, LegNote { proven_at: Some(now), ..note }).await;
        }
        if let Some(since) = self.leg(&leg).and_then(|note| note.failing_since) {
            tracing::info!(practice.id = %self.id(), leg = leg.name(), seconds = (now - since).num_seconds(), "Works again.");
            if now - since >= WORTH_TELLING {
                let zone = self.settings.zone;
                let clock = |at| zone.wall_clock(at).0.format("%H:%M");
                let who = health::who(&leg);
                let text =
                    format!("{}–{}: {who} could not be reached. It has caught up.", clock(since), clock(now));
                self.store
                    .tell(
                        self.id(),
                        &ActivityLine {
                            at: now,
                            began_at: Some(since),
                            kind: format!("outage/{}", leg.name()),
                            text,
                        },
                    )
                    .await?;
            }
        }
        self.note(leg.clone(), health::proven(now)).await?;
        self.note_half_hour(&leg, now).await
    }

    /// Remembers that a leg worked in this half hour: the strip on the overview shows a computer that was off as such.
    async fn note_half_hour(&self, leg: &Leg, now: DateTime<Utc>) -> Result<(), StoreError> {
        let half_hour = half_hour(now);
        let noted =
            self.half_hours.lock().unwrap_or_else(PoisonError::into_inner).insert(leg.clone(), half_hour);
        if noted == Some(half_hour) {
            return Ok(());
        }
        let thing = proven_mark(leg, half_hour);
        self.store.set_marks(self.id(), &[Mark { thing, digest: String::new(), at: now }]).await?;
        let kept = now - TimeDelta::hours(25);
        for mark in self.store.marks(self.id(), &proven_marks(leg)).await? {
            if mark.at < kept {
                self.store.forget_marks(self.id(), &mark.thing).await?;
            }
        }
        Ok(())
    }

    /// Notes that a leg failed, and returns since when it has.
    pub async fn failed(&self, leg: Leg, error: &ReadError) -> Result<DateTime<Utc>, StoreError> {
        self.failed_with(leg.clone(), health::problem(leg, error), Some(error)).await
    }

    /// Notes a problem of our own wording, and returns since when the leg has failed.
    pub async fn failed_with(
        &self,
        leg: Leg,
        problem: Problem,
        cause: Option<&ReadError>,
    ) -> Result<DateTime<Utc>, StoreError> {
        let now = self.clock.now();
        let before = self.leg(&leg);
        let known = before.as_ref().and_then(|note| note.problem.as_ref());
        if known.map(|known| known.kind) != Some(problem.kind) {
            let cause = cause.map(|error| error_chain(error)).unwrap_or_default();
            tracing::warn!(practice.id = %self.id(), leg = leg.name(), problem = problem.kind.name(), cause, "{}", problem.sentence);
        }
        let note = health::failed(before.as_ref(), problem, now);
        let since = note.failing_since.unwrap_or(now);
        self.note(leg, note).await?;
        Ok(since)
    }

    fn leg(&self, leg: &Leg) -> Option<LegNote> {
        self.state.leg(self.id(), leg.clone())
    }

    async fn note(&self, leg: Leg, note: LegNote) -> Result<(), StoreError> {
        let now = self.clock.now();
        let same_as_before = self.leg(&leg).is_some_and(|before| before.problem == note.problem);
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(&leg).copied();
        if !same_as_before || noted.is_none_or(|at| now - at >= NOTE_EVERY || now < at) {
            self.store.note(self.id(), leg.clone(), &note).await?;
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(leg.clone(), now);
        }
        self.state.change_practice(self.id(), |practice| {
            practice.legs.insert(leg, note);
        });
        Ok(())
    }

    /// Notes why a pass ended early, and returns when to try again.
    pub(crate) async fn stopped(&self, stop: Stop, poll: TimeDelta) -> DateTime<Utc> {
        let now = self.clock.now();
        let error = match stop {
            Stop::Failed(leg, error) => match self.failed(leg, &error).await {
                Ok(since) => return pace::after(&error, poll, since, now),
                Err(error) => error,
            },
            Stop::Store(error) => error,
        };
        self.store_failed(&error);
        // What was recorded all the same may have freed a time, although nobody was told.
        self.look_closely();
        now + poll
    }

    /// Reads the counts of the ledger again and tells the views that it moved.
    pub async fn ledger_moved(&self) -> Result<(), StoreError> {
        let counts = self.store.counts(self.id()).await?;
        self.state.change(|state| {
            state.ledger_moves += 1;
            if let Some(practice) = state.practices.get_mut(self.id()) {
                practice.counts = counts;
            }
        });
        Ok(())
    }

    /// Notes that the store failed. Nothing can be trusted to be remembered, so the pass ends here.
    pub fn store_failed(&self, error: &StoreError) {
        let now = self.clock.now();
        tracing::error!(practice.id = %self.id(), cause = error_chain(error), "The records cannot be kept.");
        self.state.change(|state| {
            let since = state.store_problem.as_ref().map_or(now, |(since, _)| *since);
            state.store_problem = Some((since, error.to_string()));
        });
    }

    /// Notes that the store works.
    pub fn store_works(&self) {
        self.state.change(|state| state.store_problem = None);
    }
}

/// An error and what lies beneath it, for the log.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(beneath) = source {
        text.push_str(": ");
        text.push_str(&beneath.to_string());
        source = beneath.source();
    }
    text
}
