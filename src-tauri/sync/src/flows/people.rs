//! Keeps in memory who is in the book, as long as somebody needs that.
//!
//! Nothing is decided by it alone: whoever uses it for a booking asks the book first whether it is still true.

mod consents;

pub use consents::CONSENTS;

use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::state::PeopleReading;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use consents::HeldConsents;
use domain::directory::{Collecting, Directory};
use domain::failure::ReadError;
use domain::people::PersonDetails;
use domain::ports::practice::{Candidates, PracticeSystem};
use domain::ports::store::Leg;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How many records are read at once.
const PAGE: u32 = 5000;
/// From how many patients on the book is not searched for each booking where that can be avoided: systems seldom index
/// what people are found by, so that a search reads every row. A smaller book is read within a tenth of a second, and
/// is not worth the memory.
const LARGE: u64 = 50_000;
/// Where the system cannot tell whether anybody's record changed, everybody is read again after this long.
const BELIEVED_FOR: TimeDelta = TimeDelta::minutes(10);
/// What nobody needs is looked at this often, to see whether somebody does.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);
/// More candidates than these are as good as none; then the book decides which of them it tells of.
const MOST_CANDIDATES: usize = 500;

/// Until when somebody at the desk searches, for all practices.
#[derive(Clone, Debug, Default)]
pub struct Searching(Arc<AtomicI64>);

impl Searching {
    /// Somebody searches until `until` at the earliest.
    pub fn extend(&self, until: DateTime<Utc>) {
        self.0.fetch_max(until.timestamp(), Ordering::SeqCst);
    }

    fn goes_on(&self, now: DateTime<Utc>) -> bool {
        now.timestamp() < self.0.load(Ordering::SeqCst)
    }
}

/// The reading of one practice's people.
pub struct People {
    ports: Ports,
    consents: HeldConsents,
}

#[async_trait]
impl Flow for People {
    fn name(&self) -> FlowName {
        FlowName::People
    }

    async fn pass(&self) -> Outcome {
        let mut wake = BTreeSet::new();
        let poll = TimeDelta::seconds(i64::from(self.ports.settings.system.poll_seconds.max(1)));
        let needed = self.is_needed();
        if !needed {
            self.ports.state.change_practice(self.ports.id(), |practice| practice.people = None);
            if consents::mapped(&self.ports).is_empty() {
                // Nothing waits for anybody any more where nothing is read.
                if let Err(error) = self.consents.show(&self.ports).await {
                    self.ports.store_failed(&error);
                }
                return Outcome { again_at: self.ports.clock.now() + LOOK_EVERY, wake };
            }
        }
        let again_at = match self.read_what_is_needed(needed).await {
            Ok(changed) => {
                if changed {
                    wake.insert(FlowName::Profiles);
                    let keeping =
                        self.ports.partners.iter().filter(|partner| partner.record_register().is_some());
                    wake.extend(keeping.map(|partner| FlowName::RecordLinks(partner.id().clone())));
                }
                self.ports.clock.now() + poll
            }
            Err(stop) => self.ports.stopped(stop, poll).await,
        };
        Outcome { again_at, wake }
    }
}

impl People {
    /// The flow. It does nothing while nobody needs it.
    pub fn new(ports: Ports) -> Self {
        Self { ports, consents: HeldConsents::default() }
    }

    /// Returns whether a profile may have to be sent.
    async fn read_what_is_needed(&self, people: bool) -> Result<bool, Stop> {
        let of_system = |error| Stop::Failed(Leg::System, error);
        let changed = people && self.read().await.map_err(of_system)?;
        let recorded = self.consents.take_in(&self.ports, BELIEVED_FOR).await?;
        Ok(changed || recorded)
    }

    fn is_needed(&self) -> bool {
        let patients = self.ports.state.patients(self.ports.id());
        self.ports.settings.vald.is_some()
            || self.ports.partners.iter().any(|partner| partner.record_register().is_some())
            || self.ports.searching.goes_on(self.ports.clock.now())
            || self.ports.partner.is_some() && patients > LARGE
    }

    /// Reads everybody, unless the book says that nobody changed. Returns whether anybody did.
    async fn read(&self) -> Result<bool, ReadError> {
        let practice = self.ports.practice.as_ref();
        let stamp = practice.people_stamp().await?;
        let now = self.ports.clock.now();
        let before = self.ports.people();
        if let Some(before) = &before {
            let age = now - before.read_at;
            let same = match (&stamp, &before.stamp) {
                (Some(stamp), Some(known)) => stamp == known,
                _ => (TimeDelta::zero()..BELIEVED_FOR).contains(&age),
            };
            if same {
                return Ok(false);
            }
        }
        let directory = read_everybody(practice).await?;
        let digest = directory.digest_of_all();
        let changed = before.as_ref().is_none_or(|before| before.digest != digest);
        let revision = before.map_or(1, |before| before.revision + u64::from(changed));
        tracing::debug!(practice.id = %self.ports.id(), patients = directory.len(), changed, "Read who is in the book.");
        // The stamp is older than what was read, so that a change in between is seen the next time.
        let reading = PeopleReading { revision, stamp, read_at: now, digest, directory };
        self.ports
            .state
            .change_practice(self.ports.id(), |practice| practice.people = Some(Arc::new(reading)));
        Ok(changed)
    }
}

/// Reads everybody, page by page. While one page is worked on, on another thread, the next one is fetched.
pub async fn read_everybody(practice: &dyn PracticeSystem) -> Result<Directory, ReadError> {
    let mut collecting = Collecting::default();
    let mut page = practice.people(None, PAGE).await?;
    loop {
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let after = page.last().filter(|_| !is_last).map(|record| record.id.clone());
        let collect = aside(move || {
            for record in &page {
                collecting.add(record);
            }
            collecting
        });
        let Some(after) = after else {
            collecting = collect.await?;
            break;
        };
        let fetch = practice.people(Some(&after), PAGE);
        (collecting, page) = tokio::try_join!(collect, fetch)?;
    }
    // Sorting everybody takes a moment, in which others want to be served.
    aside(move || collecting.finish()).await
}

/// Computes on a thread where that delays nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ReadError::Garbled(error.into()))
}

/// Every record that could be this person, from memory where the book says that memory is still true, and else from the
/// book.
pub async fn candidates(
    practice: &dyn PracticeSystem,
    reading: Option<&PeopleReading>,
    person: &PersonDetails,
) -> Result<Candidates, ReadError> {
    if let Some(reading) = reading.filter(|reading| reading.stamp.is_some()) {
        let found = reading.directory.candidates(person);
        if found.len() <= MOST_CANDIDATES {
            // Side by side, because somebody waits for both. Where the book has changed, what was read is not used.
            let (stamp, records) = tokio::try_join!(practice.people_stamp(), practice.patients(&found))?;
            if stamp == reading.stamp {
                return Ok(Candidates { records, complete: true });
            }
        }
    }
    practice.find_patients(person).await
}
