//! Where a booking goes that could not be put where the patient asked for it: a person chooses.

use super::{BookingEvent, BookingState, Entry, IllegalEvent};
use crate::ids::{AppointmentTypeRef, ResourceRef};
use crate::time::PracticeTime;
use chrono::{DateTime, TimeDelta, Utc};

/// How long after it was booked a rejection still lets the patient choose again (sheet §6).
pub const REPICK_WITHIN: TimeDelta = TimeDelta::seconds(20);

/// How long the partner waits for an answer before it may call the practice unhealthy (sheet §6, HE-16).
pub const ANSWER_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// How long a person who chose a time and lost it to somebody else has at least to choose again.
const CHOOSE_AGAIN_WITHIN: TimeDelta = TimeDelta::minutes(1);

/// Where somebody at the desk put a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// With whom.
    pub resource: ResourceRef,
    /// When, on the practice's wall clock.
    pub starts: PracticeTime,
    /// For what; the type that this resource has for what was asked for.
    pub appointment_type: Option<AppointmentTypeRef>,
    /// Whether it goes there although something else stands there.
    pub beside: bool,
}

/// What an event makes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How far it is then.
    pub state: BookingState,
    /// Where a person put it.
    pub placement: Option<Placement>,
    /// Whether the patient has to hear where.
    pub tell_place: bool,
}

impl Entry {
    /// What `event` makes of the entry, or a refusal. Every store records exactly this.
    pub fn moved(&self, event: &BookingEvent) -> Result<Moved, IllegalEvent> {
        let state = self.state.next(event)?;
        let (placement, tell_place) = match (&self.state, event) {
            (_, BookingEvent::PlacedByPerson(placement)) => {
                (Some(placement.clone()), self.is_elsewhere(placement))
            }
            // The book holds nothing for it, and what was asked for counts again.
            (BookingState::Unplaced(_), BookingEvent::TriedAgain | BookingEvent::HandedToDesk) => {
                (None, false)
            }
            (_, BookingEvent::PatientTold) => (self.placement.clone(), false),
            _ => (self.placement.clone(), self.tell_place),
        };
        Ok(Moved { state, placement, tell_place })
    }

    fn is_elsewhere(&self, placement: &Placement) -> bool {
        self.request.resource.as_ref() != Some(&placement.resource) || self.request.starts != placement.starts
    }

    /// With whom and when we put the booking into the book, or would: where a person put it, else where the patient
    /// asked for it. None where the booking names nobody and no person has chosen. Compare with the book to see whether
    /// staff have moved an appointment since.
    pub fn placed(&self) -> Option<(&ResourceRef, PracticeTime)> {
        match &self.placement {
            Some(placement) => Some((&placement.resource, placement.starts)),
            None => Some((self.request.resource.as_ref()?, self.request.starts)),
        }
    }

    /// When it is placed, see [`Self::placed`].
    pub fn placed_at(&self) -> PracticeTime {
        self.placement.as_ref().map_or(self.request.starts, |placement| placement.starts)
    }

    /// For what it is placed, see [`Self::placed`].
    pub fn placed_type(&self) -> Option<&AppointmentTypeRef> {
        match &self.placement {
            Some(placement) => placement.appointment_type.as_ref(),
            None => self.request.appointment_type.as_ref(),
        }
    }

    /// Whether it stands beside something else because a person wants it so.
    pub fn is_beside(&self) -> bool {
        self.placement.as_ref().is_some_and(|placement| placement.beside)
    }

    /// Whether it stands elsewhere than the partner tells the patient, and nobody has told them.
    pub fn has_to_tell_place(&self) -> bool {
        self.tell_place && matches!(self.state, BookingState::Inserted(_) | BookingState::Confirmed(_))
    }

    /// Until when a person can decide, where `minutes` are given to them. It counts from when we saw the booking,
    /// because another computer's clock must not shorten it. Whoever lost the time that they chose gets a moment more.
    pub fn decide_by(&self, minutes: u32) -> DateTime<Utc> {
        let usual = self.received_at + TimeDelta::minutes(i64::from(minutes));
        match (&self.state, &self.placement) {
            (BookingState::Unplaced(_), Some(_)) => usual.max(self.state_since + CHOOSE_AGAIN_WITHIN),
            _ => usual,
        }
    }

    /// When the booking was made, by our clock as far as it can be known: never after we first saw it, and not before
    /// `made_after`, at which it did not wait yet. The partner's clock may be wrong, and so may ours (sheet §8).
    pub fn made_at(&self, made_after: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let said = self.request.known_booked_at().unwrap_or(self.received_at);
        let said = made_after.map_or(said, |earliest| said.max(earliest));
        said.min(self.received_at)
    }
}
