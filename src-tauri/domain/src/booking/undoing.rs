//! What staff did in the practice to a booking that stood.

use super::{BookingKey, Inserted};
use crate::ids::{AppointmentRef, ForeignBookingId, PatientRef, ResourceRef};
use crate::time::PracticeTime;

/// How staff undid a booking that stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// They cancelled the appointment.
    Cancelled,
    /// They took it out of the book.
    Deleted,
    /// They moved it.
    Moved {
        /// To whom.
        resource: ResourceRef,
        /// To when, on the practice's wall clock.
        starts: PracticeTime,
    },
    /// They noted that the patient did not come.
    DidNotAttend,
}

impl Undoing {
    /// Whether the time of the booking is free again.
    pub fn calls_off(&self) -> bool {
        match self {
            Undoing::Cancelled | Undoing::Deleted | Undoing::Moved { .. } => true,
            Undoing::DidNotAttend => false,
        }
    }

    /// What staff did, for the middle of a sentence.
    pub fn words(&self) -> &'static str {
        match self {
            Undoing::Cancelled => "cancelled in the practice",
            Undoing::Deleted => "removed from the book",
            Undoing::Moved { .. } => "moved in the practice",
            Undoing::DidNotAttend => "did not attend",
        }
    }
}

/// An appointment that is asked about, and by what it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The booking whose mark it may carry.
    pub key: BookingKey,
    /// The practice system's key.
    pub appointment: AppointmentRef,
    /// Whose it was when last seen, where known.
    pub patient: Option<PatientRef>,
    /// With whom and when it was booked, where known.
    pub place: Option<(ResourceRef, PracticeTime)>,
}

/// How an appointment stands in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stands.
    Stands {
        /// The practice system's key; another one where staff entered it anew with its mark.
        appointment: AppointmentRef,
        /// With whom: the one asked about, where it stands with that one.
        resource: Option<ResourceRef>,
        /// When, on the practice's wall clock, where the book says so.
        starts: Option<PracticeTime>,
        /// Its patient; none where the book names none.
        patient: Option<PatientRef>,
    },
    /// It is cancelled.
    Cancelled,
    /// The patient did not come.
    DidNotAttend,
    /// The book does not hold it any more, or holds somebody else's under its key.
    Gone,
}

/// What the book says against the ledger's view of a booking that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Staff undid it.
    Undone(Undoing),
    /// It stands, as another appointment or for another patient.
    Relinked(Inserted),
}

impl Standing {
    /// What differs from what the partner knows; nothing where it stands as booked. A changed length or type is no
    /// difference, because the partner has no word for it.
    pub fn difference(
        &self,
        known: &Inserted,
        place: (Option<&ResourceRef>, PracticeTime),
    ) -> Option<Difference> {
        let (appointment, resource, starts, patient) = match self {
            Standing::Cancelled => return Some(Difference::Undone(Undoing::Cancelled)),
            Standing::Gone => return Some(Difference::Undone(Undoing::Deleted)),
            Standing::DidNotAttend => return Some(Difference::Undone(Undoing::DidNotAttend)),
            Standing::Stands { appointment, resource, starts, patient } => {
                (appointment, resource, starts, patient)
            }
        };
        let (booked_with, booked_at) = place;
        // What the book does not say has not moved.
        let with = resource.as_ref().or(booked_with);
        let at = starts.unwrap_or(booked_at);
        if let Some(with) = with
            && (at != booked_at || booked_with.is_some_and(|booked_with| booked_with != with))
        {
            return Some(Difference::Undone(Undoing::Moved { resource: with.clone(), starts: at }));
        }
        let now = Inserted {
            appointment: appointment.clone(),
            patient: patient.clone().unwrap_or_else(|| known.patient.clone()),
        };
        (now != *known).then_some(Difference::Relinked(now))
    }
}

/// A booking about whose appointment the partner asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAbout {
    /// As the partner calls it.
    pub booking: ForeignBookingId,
    /// The appointments that the partner remembers for it; may be empty.
    pub appointments: Vec<AppointmentRef>,
    /// The patient that the partner remembers for it.
    pub patient: Option<PatientRef>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> PracticeTime {
        PracticeTime(format!("2026-11-20T{time}:00").parse().expect("a time"))
    }

    fn stands(resource: Option<&str>, starts: Option<&str>, patient: Option<&str>) -> Standing {
        Standing::Stands {
            appointment: AppointmentRef::new("a1"),
            resource: resource.map(ResourceRef::new),
            starts: starts.map(at),
            patient: patient.map(PatientRef::new),
        }
    }

    fn difference(standing: &Standing) -> Option<Difference> {
        let known = Inserted { appointment: AppointmentRef::new("a1"), patient: PatientRef::new("p1") };
        standing.difference(&known, (Some(&ResourceRef::new("r1")), at("14:00")))
    }

    fn moved(resource: &str, starts: &str) -> Option<Difference> {
        let resource = ResourceRef::new(resource);
        Some(Difference::Undone(Undoing::Moved { resource, starts: at(starts) }))
    }

    #[test]
    fn what_stands_as_booked_does_not_differ() {
        assert_eq!(difference(&stands(Some("r1"), Some("14:00"), Some("p1"))), None);
        // What the book leaves open is no change.
        assert_eq!(difference(&stands(None, None, None)), None);
    }

    #[test]
    fn another_time_or_practitioner_is_a_move_whoever_the_patient_is_now() {
        assert_eq!(difference(&stands(Some("r1"), Some("14:15"), Some("p1"))), moved("r1", "14:15"));
        assert_eq!(difference(&stands(Some("r2"), Some("14:00"), Some("p2"))), moved("r2", "14:00"));
        assert_eq!(difference(&stands(None, Some("14:15"), None)), moved("r1", "14:15"));
    }

    #[test]
    fn another_patient_at_the_same_place_is_the_same_booking() {
        let relinked = Inserted { appointment: AppointmentRef::new("a1"), patient: PatientRef::new("p2") };
        assert_eq!(
            difference(&stands(Some("r1"), Some("14:00"), Some("p2"))),
            Some(Difference::Relinked(relinked))
        );
    }

    #[test]
    fn what_is_undone_says_how() {
        for (standing, how) in [
            (Standing::Cancelled, Undoing::Cancelled),
            (Standing::Gone, Undoing::Deleted),
            (Standing::DidNotAttend, Undoing::DidNotAttend),
        ] {
            assert_eq!(difference(&standing), Some(Difference::Undone(how)));
        }
    }
}
