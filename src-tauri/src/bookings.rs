//! `bookings`: the ledger, newest first, without anybody's name.

use crate::present::{instant, public_state};
use crate::view::BookingState as PublicState;
use domain::booking::{BookingState, Entry};
use domain::ids::PracticeId;
use domain::people::PatientPlan;
use domain::ports::store::{BookingLedger, StoreError};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use store::Store;

/// `bookings --json` (`interface.md`).
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Bookings(Vec<BookingLine>);

#[derive(Debug, Serialize)]
struct BookingLine {
    booking_id: Value,
    practice: String,
    state: PublicState,
    received_at: String,
    answered_at: Option<String>,
    pms_appointment_ids: Vec<String>,
    pms_patient_id: Option<String>,
    patient_match: Option<&'static str>,
    match_score: Option<f64>,
    reason: Option<String>,
}

impl Bookings {
    /// Reads every booking of one practice, or of all. Without a store there are none.
    pub async fn read(store: Option<&Store>, practice: Option<&PracticeId>) -> Result<Self, StoreError> {
        let entries = match store {
            Some(store) => store.newest(practice, u32::MAX).await?,
            None => Vec::new(),
        };
        Ok(Self(entries.iter().map(BookingLine::of).collect()))
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "There are no bookings.\n".to_owned();
        }
        let mut text = String::new();
        for line in &self.0 {
            // Writing to a string cannot fail.
            let _ = line.write_to(&mut text);
        }
        text
    }
}

impl BookingLine {
    fn of(entry: &Entry) -> Self {
        let key = &entry.request.key;
        let held = entry.state.held();
        let decision = entry.decision.as_ref();
        let patient_match = decision.and_then(|decision| match decision.plan {
            PatientPlan::Existing(_) => Some("existing"),
            PatientPlan::New { .. } => Some("created"),
            PatientPlan::Undecided => None,
        });
        let number = key.booking.as_str().parse::<i64>();
        Self {
            booking_id: number.map_or_else(|_| Value::from(key.booking.as_str()), Value::from),
            practice: key.practice.to_string(),
            state: public_state(entry),
            received_at: instant(entry.received_at),
            answered_at: entry.answered_at.map(instant),
            pms_appointment_ids: held.iter().map(|held| held.appointment.to_string()).collect(),
            pms_patient_id: held.and_then(|held| held.patient).map(|patient| patient.to_string()),
            patient_match,
            match_score: decision
                .filter(|_| patient_match.is_some())
                .and_then(|decision| decision.score)
                .map(share),
            reason: reason(entry),
        }
    }

    fn write_to(&self, text: &mut String) -> std::fmt::Result {
        write!(text, "{}  {}  {}", self.received_at, self.practice, self.booking_id)?;
        write!(
            text,
            "  {}",
            serde_json::to_value(self.state).ok().as_ref().and_then(Value::as_str).unwrap_or("")
        )?;
        for appointment in &self.pms_appointment_ids {
            write!(text, "  appointment {appointment}")?;
        }
        if let Some(patient) = &self.pms_patient_id {
            write!(text, "  patient {patient}")?;
        }
        if let Some(how) = self.patient_match {
            write!(text, " ({how})")?;
        }
        match &self.reason {
            Some(reason) => writeln!(text, "  {reason}"),
            None => writeln!(text),
        }
    }
}

/// Thousandths as a share of one, with two decimals.
fn share(score: u32) -> f64 {
    (f64::from(score) / 10.0).round() / 100.0
}

/// Why it waits, or why it fell through.
fn reason(entry: &Entry) -> Option<String> {
    match &entry.state {
        BookingState::Withdrawing(why)
        | BookingState::Unplaced(why)
        | BookingState::Refused { why, .. }
        | BookingState::Rejected { why, .. } => Some(why.to_string()),
        BookingState::Stuck { why } => Some(why.clone()),
        BookingState::Held(_) => entry.decision.as_ref().map(|decision| decision.reason.clone()),
        BookingState::Entering => Some("somebody at the desk enters it in the book".to_owned()),
        BookingState::Cancelling { by_hand: true, .. } => {
            Some("the patient cancelled; somebody at the desk cancels it in the book".to_owned())
        }
        BookingState::Cancelling { by_hand: false, .. } | BookingState::Cancelled(_) => {
            Some("the patient cancelled".to_owned())
        }
        BookingState::Undone { how, .. } | BookingState::Ended { how, .. } => Some(how.words().to_owned()),
        BookingState::Closed => Some("somebody at the desk has dealt with it".to_owned()),
        BookingState::Received { .. }
        | BookingState::Inserting { .. }
        | BookingState::Naming { .. }
        | BookingState::Inserted(_)
        | BookingState::Confirmed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate};
    use domain::booking::{BookingKey, BookingRequest, Inserted, Undoing};
    use domain::failure::Refusal;
    use domain::ids::{AppointmentRef, ForeignBookingId, PartnerId, PatientRef, ResourceRef};
    use domain::matching::Decision;
    use domain::people::PersonDetails;
    use domain::private::Private;
    use domain::time::{PracticeTime, Seconds};

    fn entry(state: BookingState, decision: Option<Decision>) -> Entry {
        let at = DateTime::from_timestamp_millis(1_800_000_000_250).unwrap();
        let starts = NaiveDate::from_ymd_opt(2027, 1, 15).unwrap().and_hms_opt(9, 0, 0).unwrap();
        Entry {
            request: BookingRequest {
                key: BookingKey {
                    practice: PracticeId::new("richmond"),
                    partner: PartnerId::new("healthengine"),
                    booking: ForeignBookingId::new("36127212"),
                },
                resource: None,
                appointment_type: None,
                starts: PracticeTime(starts),
                length: Seconds(900),
                patient: PersonDetails::default(),
                linked_patient: None,
                says_new_patient: false,
                note: Private::default(),
                booked_at: at,
                cancelled: false,
            },
            state,
            decision,
            placement: None,
            tell_place: false,
            revision: 0,
            received_at: at,
            answered_at: None,
            state_since: at,
            not_before: at,
        }
    }

    fn decision(plan: PatientPlan, score: Option<u32>) -> Option<Decision> {
        Some(Decision { plan, score, reason: "Two records could be meant.".into(), candidates: Vec::new() })
    }

    fn inserted() -> Inserted {
        Inserted { appointment: AppointmentRef::new("123"), patient: PatientRef::new("77") }
    }

    #[test]
    fn a_confirmed_booking_has_exactly_the_promised_shape() {
        let existing = decision(PatientPlan::Existing(PatientRef::new("77")), Some(966));
        let mut entry = entry(BookingState::Confirmed(inserted()), existing);
        entry.answered_at = Some(entry.received_at);
        let expected = serde_json::json!([{
            "booking_id": 36_127_212, "practice": "richmond", "state": "confirmed",
            "received_at": "2027-01-15T08:00:00.250Z", "answered_at": "2027-01-15T08:00:00.250Z",
            "pms_appointment_ids": ["123"], "pms_patient_id": "77", "patient_match": "existing", "match_score": 0.97,
            "reason": null,
        }]);
        assert_eq!(serde_json::to_value(Bookings(vec![BookingLine::of(&entry)])).unwrap(), expected);
    }

    #[test]
    fn what_waits_says_why_and_claims_no_match() {
        let held = BookingState::Held(AppointmentRef::new("9"));
        let line = BookingLine::of(&entry(held, decision(PatientPlan::Undecided, Some(700))));
        let json = serde_json::to_value(line).unwrap();
        assert_eq!((&json["state"], &json["patient_match"]), (&"attention".into(), &Value::Null));
        assert_eq!((&json["match_score"], &json["pms_patient_id"]), (&Value::Null, &Value::Null));
        assert_eq!(json["reason"], "Two records could be meant.");
    }

    #[test]
    fn every_public_state_is_one_that_was_promised() {
        let refused = |tell_patient| BookingState::Rejected { why: Refusal::SlotTaken, tell_patient };
        let undone = |how| BookingState::Ended { inserted: inserted(), how };
        for (state, expected) in [
            (BookingState::NEW, "received"),
            (BookingState::Inserted(inserted()), "inserted"),
            (refused(false), "rejected"),
            (refused(true), "attention"),
            (BookingState::Cancelled(inserted()), "cancelled"),
            (
                undone(Undoing::Moved {
                    resource: ResourceRef::new("2"),
                    starts: PracticeTime(DateTime::UNIX_EPOCH.naive_utc()),
                }),
                "cancelled",
            ),
            (undone(Undoing::Cancelled), "cancelled"),
            (undone(Undoing::DidNotAttend), "confirmed"),
            (BookingState::Closed, "rejected"),
            (BookingState::Entering, "attention"),
        ] {
            let json = serde_json::to_value(BookingLine::of(&entry(state, None))).unwrap();
            assert_eq!(json["state"], expected);
        }
        assert_eq!(BookingLine::of(&entry(refused(false), None)).reason.unwrap(), "the time is taken");
        let missed = BookingLine::of(&entry(undone(Undoing::DidNotAttend), None));
        assert_eq!(missed.reason.unwrap(), "did not attend");
    }

    #[test]
    fn scores_have_two_decimals() {
        assert_eq!([share(0), share(5), share(704), share(1000)], [0.0, 0.01, 0.7, 1.0]);
    }
}
