//! Watches what staff do in the practice to bookings that stand, and records it.
//!
//! What it records is told by the bookings' flow, and by nothing else, so that nothing is told twice. A pass reads only
//! the appointments of bookings; it is woken when the book's stamp moved, and runs now and then all the same.

use super::doubt::NAMED;
use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::desk;
use crate::digest::Digest;
use crate::state::Shrinking;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::booking::{BookingEvent, Difference, Entry, Stage, Standing, Undoing, Watched};
use domain::ids::ResourceRef;
use domain::matching::Decision;
use domain::people::PatientPlan;
use domain::ports::store::{Leg, StoreError};
use domain::time::PracticeTime;
use std::collections::BTreeSet;

/// The list of watched appointments, as one that can shrink.
pub const APPOINTMENTS: &str = "appointments";
/// How far back appointments are watched: a patient who did not come is often noted a day or more later.
const DAYS_BACK: TimeDelta = TimeDelta::days(7);
/// How often it is looked at the latest; nearly always the stamp says so first.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(2);
/// Fewer than these can all disappear in a day's work.
const A_FEW: usize = 4;

/// The watch over one practice's bookings.
pub struct Changes {
    ports: Ports,
}

#[async_trait]
impl Flow for Changes {
    fn name(&self) -> FlowName {
        FlowName::Changes
    }

    async fn pass(&self) -> Outcome {
        let mut wake = BTreeSet::new();
        let again_at = match look(&self.ports).await {
            Ok(looked) => {
                self.ports.store_works();
                if looked.recorded {
                    wake.insert(FlowName::Bookings);
                }
                self.ports.clock.now() + LOOK_EVERY
            }
            Err(stop) => self.ports.stopped(stop, TimeDelta::seconds(5)).await,
        };
        Outcome { again_at, wake }
    }
}

impl Changes {
    /// The flow, if the practice has a partner that takes bookings.
    pub fn new(ports: Ports) -> Option<Self> {
        ports.partner.as_ref()?.booking_desk()?;
        Some(Self { ports })
    }
}

/// What a look came to.
pub(crate) struct Looked {
    /// Whether anything was recorded that the partner has to hear.
    pub recorded: bool,
    /// Whether so much is gone that a person has to say whether it is right; then nothing was recorded.
    pub doubtful: bool,
}

/// An entry that stands, as the practice system is asked about it.
pub(crate) fn watched(entry: &Entry) -> Option<Watched> {
    let Stage::Stands(inserted) = entry.state.stage() else { return None };
    Some(Watched {
        key: entry.request.key.clone(),
        appointment: inserted.appointment.clone(),
        patient: Some(inserted.patient.clone()),
        place: entry.placed().map(|(resource, starts)| (resource.clone(), starts)),
    })
}

/// Looks at every watched appointment, and records what differs.
pub(crate) async fn look(ports: &Ports) -> Result<Looked, Stop> {
    let wall_clock = ports.settings.zone.wall_clock(ports.clock.now());
    // Their revisions are read before the book, so that whatever moves them meanwhile makes what is seen here stale.
    let entries = ports.store.standing(ports.id(), PracticeTime(wall_clock.0 - DAYS_BACK)).await?;
    let standings = read(ports, &entries).await?;
    if is_doubtful(ports, &entries, &standings).await? {
        return Ok(Looked { recorded: false, doubtful: true });
    }
    Ok(Looked { recorded: record_all(ports, &entries, &standings).await?, doubtful: false })
}

/// The same for entries of which few can be gone at once. Returns whether anything was recorded.
pub(crate) async fn look_at(ports: &Ports, entries: &[Entry]) -> Result<bool, Stop> {
    let standings = read(ports, entries).await?;
    record_all(ports, entries, &standings).await
}

/// How the entries stand, in their order; nothing of those that do not stand.
async fn read(ports: &Ports, entries: &[Entry]) -> Result<Vec<Option<Standing>>, Stop> {
    let watched: Vec<Option<Watched>> = entries.iter().map(watched).collect();
    let asked: Vec<Watched> = watched.iter().flatten().cloned().collect();
    if asked.is_empty() {
        return Ok(vec![None; entries.len()]);
    }
    let unreadable = |error| Stop::Failed(Leg::System, error);
    let mut standings = ports.practice.standings(&asked).await.map_err(unreadable)?.into_iter();
    Ok(watched.iter().map(|one| one.as_ref().and_then(|_| standings.next())).collect())
}

async fn record_all(ports: &Ports, entries: &[Entry], standings: &[Option<Standing>]) -> Result<bool, Stop> {
    let mut recorded = false;
    for (entry, standing) in entries.iter().zip(standings) {
        let place = (entry.placed().map(|(resource, _)| resource), entry.placed_at());
        if let (Stage::Stands(inserted), Some(standing)) = (entry.state.stage(), standing)
            && let Some(difference) = standing.difference(inserted, place)
        {
            recorded |= record(ports, entry, difference).await?;
        }
    }
    if recorded {
        ports.ledger_moved().await?;
    }
    Ok(recorded)
}

/// Records a difference; not, where the entry has moved meanwhile.
async fn record(ports: &Ports, entry: &Entry, difference: Difference) -> Result<bool, Stop> {
    let (event, decision) = match difference {
        Difference::Undone(how) => (BookingEvent::UndoneInPractice(how), None),
        Difference::Relinked(inserted) => {
            // Whoever merged two records, or chose another, has decided who the patient is.
            let decision = entry.decision.clone().map(|decision| Decision {
                plan: PatientPlan::Existing(inserted.patient.clone()),
                reason: "Staff gave the appointment to this record in the book.".into(),
                ..decision
            });
            (BookingEvent::Relinked(inserted), decision)
        }
    };
    match ports.store.record(entry, &event, decision.as_ref(), ports.clock.now()).await {
        Ok(_) => {
            tracing::info!(practice.id = %ports.id(), booking.id = %entry.request.key.booking, "{}", event.sentence());
            if let BookingEvent::Relinked(inserted) = &event {
                desk::remember(ports.store.as_ref(), entry, Some(&inserted.patient), ports.clock.now()).await;
            }
            Ok(true)
        }
        Err(StoreError::Stale) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// More than half gone at once looks like an old backup or another database, and nothing else that is read from it can
/// be trusted either; somebody says on Connections whether it is right. What was accepted are those very ones.
async fn is_doubtful(ports: &Ports, entries: &[Entry], standings: &[Option<Standing>]) -> Result<bool, Stop> {
    let seen = entries.iter().zip(standings);
    let gone: Vec<&Entry> =
        seen.filter(|(_, standing)| **standing == Some(Standing::Gone)).map(|(entry, _)| entry).collect();
    let digest = digest(&gone);
    let suspicious = entries.len() >= A_FEW && gone.len() * 2 > entries.len();
    let doubtful = suspicious && !ports.is_accepted(APPOINTMENTS, &digest).await?;
    let doubt = doubtful.then(|| Shrinking {
        list: APPOINTMENTS,
        digest,
        from: entries.len(),
        to: entries.len() - gone.len(),
        missing: gone.iter().take(NAMED).map(|entry| name(entry)).collect(),
        noticed_at: ports.clock.now(),
    });
    ports.show_doubt(APPOINTMENTS, doubt).await?;
    Ok(doubtful)
}

fn digest(gone: &[&Entry]) -> String {
    let mut keys: Vec<&str> = gone.iter().map(|entry| entry.request.key.booking.as_str()).collect();
    keys.sort_unstable();
    let mut digest = Digest::default();
    for key in keys {
        digest.field(key);
    }
    digest.hex()
}

/// A booking by its number and time. Names nobody.
fn name(entry: &Entry) -> String {
    let starts = entry.placed_at().0.format("%-d %B %Y, %H:%M");
    format!("booking {}, {starts}", entry.request.key.booking)
}

/// What the desk is told of a booking that was moved. Names nobody but the practitioner.
pub(crate) fn moved_sentence(
    ports: &Ports,
    entry: &Entry,
    how: &Undoing,
    cancelled_there: bool,
) -> Option<String> {
    let Undoing::Moved { resource, starts } = how else { return None };
    let mut place = starts.0.format("%A %-d %B %Y, %H:%M").to_string();
    if entry.placed().map(|(booked_with, _)| booked_with) != Some(resource) {
        place.push_str(&format!(" with {}", practitioner(ports, resource)));
    }
    let booking = &entry.request.key.booking;
    Some(if cancelled_there {
        format!(
            "Booking {booking} was moved in the book to {place}. Healthengine cannot move bookings, so it was cancelled there and the patient hears that. Please tell them the new time."
        )
    } else {
        format!(
            "Booking {booking} was moved in the book to {place}, and the patient cancelled it on Healthengine in the same moment. Please ask them whether they will come."
        )
    })
}

fn practitioner(ports: &Ports, resource: &ResourceRef) -> String {
    let shown = ports.state.subscribe().borrow().practices.get(ports.id()).cloned();
    let known = shown.and_then(|shown| shown.resources.into_iter().find(|known| known.id == *resource));
    known.map_or_else(|| format!("practitioner {resource}"), |known| known.name)
}
