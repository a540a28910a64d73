//! The bookings screen: the ledger, a booking's timeline, and what people decide.

use crate::desktop::Running;
use crate::present::{answers_to, booking_view, compared, instant, is_open, public_state};
use crate::ui_error::{bad_input, failure};
use crate::view::{
    BookingDecision, BookingHistory, BookingPage, BookingQuery, BookingView, ErrorCode, HistoryEntry, UiError,
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingEvent, BookingKey, BookingState, Entry};
use domain::ids::{ForeignBookingId, PartnerId, PatientRef, PracticeId};
use domain::matching::Decision;
use domain::people::PatientPlan;
use domain::ports::clock::Clock;
use domain::ports::store::{
    Activity, ActivityLine, BookingLedger, Leg, Mark, Marks, SettingsBook, StoreError,
};
use std::collections::BTreeSet;
use std::time::Duration;
use store::Store;
use sync::desk::{self, Choice};
use sync::state::EngineState;

/// How far back the screen looks.
const AT_MOST: u32 = 5_000;
/// How long "Done" waits for the look into the book.
const LOOKING_TAKES: Duration = Duration::from_secs(6);

/// Marks of what somebody has seen to, by the instant at which it was told.
const SEEN_TO: &str = "seen/";
/// What somebody at the desk has to look at is told under kinds that begin so.
const TO_LOOK_AT: &str = "look/";
/// For how long it is shown.
const SHOWN_FOR: TimeDelta = TimeDelta::days(7);

/// What was told of a practice for somebody to look at, and nobody has seen to yet. Oldest first.
pub async fn unseen(
    store: &Store,
    practice: &PracticeId,
    now: DateTime<Utc>,
) -> Result<Vec<ActivityLine>, StoreError> {
    let mut lines = store.told(practice, now - SHOWN_FOR).await?;
    lines.retain(|line| line.kind.starts_with(TO_LOOK_AT));
    if lines.is_empty() {
        return Ok(lines);
    }
    let seen: BTreeSet<String> =
        store.marks(practice, SEEN_TO).await?.into_iter().map(|mark| mark.thing).collect();
    lines.retain(|line| !seen.contains(&seen_to(line.at)));
    Ok(lines)
}

/// Somebody has seen to what was told at that instant.
pub async fn acknowledge(
    store: &Store,
    practice: &PracticeId,
    at: &str,
    now: DateTime<Utc>,
) -> Result<(), UiError> {
    let told_at = DateTime::parse_from_rfc3339(at)
        .map_err(|_| bad_input("This is not the instant of a notice."))?
        .with_timezone(&Utc);
    let seen = Mark { thing: seen_to(told_at), digest: String::new(), at: now };
    Ok(store.set_marks(practice, &[seen]).await?)
}

fn seen_to(at: DateTime<Utc>) -> String {
    format!("{SEEN_TO}{}", instant(at))
}

/// The key of a booking on the screen.
pub fn key(practice: &str, booking: &str) -> BookingKey {
    BookingKey {
        practice: PracticeId::new(practice),
        partner: PartnerId::new(connectors::partners::healthengine::NAME),
        booking: ForeignBookingId::new(booking),
    }
}

/// A page of the finished bookings.
pub async fn find(running: &Running, query: &BookingQuery) -> Result<BookingPage, UiError> {
    let store = running.store();
    let practice = query.practice_id.as_deref().map(PracticeId::new);
    let engine = running.engine.state().borrow().clone();
    let decide_minutes = store.app_settings().await?.decide_minutes;
    let newest = store.newest(practice.as_ref(), AT_MOST).await?;
    let matching: Vec<&Entry> = newest
        .iter()
        .filter(|entry| engine.practices.contains_key(&entry.request.key.practice) && !is_open(entry))
        .filter(|entry| query.state.is_none_or(|state| public_state(entry) == state))
        .filter(|entry| answers_to(entry, &query.text))
        .collect();
    let bookings: Vec<BookingView> = matching
        .iter()
        .skip(usize::try_from(query.offset).unwrap_or(usize::MAX))
        .take(usize::try_from(query.limit).unwrap_or(0).min(200))
        .filter_map(|entry| {
            let practice = engine.practices.get(&entry.request.key.practice)?;
            Some(booking_view(entry, practice, decide_minutes))
        })
        .collect();
    Ok(BookingPage { bookings, total: u32::try_from(matching.len()).unwrap_or(u32::MAX) })
}

/// A booking's way, oldest first.
pub async fn history(running: &Running, key: &BookingKey) -> Result<BookingHistory, UiError> {
    let store = running.store();
    let entry = store.entry(key).await?.ok_or_else(unknown)?;
    let lines = store.history(key).await?;
    let entries =
        lines.into_iter().map(|line| HistoryEntry { at: instant(line.at), sentence: line.what }).collect();
    let nearest = entry.decision.as_ref().and_then(|decision| decision.candidates.first());
    let compared = nearest.map(|nearest| compared(&entry.request.patient, nearest)).unwrap_or_default();
    Ok(BookingHistory { entries, compared })
}

fn unknown() -> UiError {
    failure(ErrorCode::BookingUnknown, "There is no such booking any more.")
}

/// Records a decision and wakes the engine. "Done" answers only once the book was looked into.
pub async fn decide(
    running: &Running,
    key: &BookingKey,
    decision: &BookingDecision,
    clock: &dyn Clock,
) -> Result<(), UiError> {
    let store = running.store();
    let choice = match decision {
        BookingDecision::SamePerson { patient_id } => {
            Choice::SamePerson(PatientRef::new(patient_id.as_str()))
        }
        BookingDecision::NewPatient => Choice::NewPatient,
        BookingDecision::Decline | BookingDecision::Cancel => Choice::Decline,
        BookingDecision::TryAgain => Choice::TryAgain,
        BookingDecision::EnteredByHand | BookingDecision::CancelledByHand => Choice::Entered,
        BookingDecision::PatientPhoned => Choice::SeenTo,
        BookingDecision::DuplicateHandled => return duplicate_handled(running, key, clock.now()).await,
    };
    let asked_at = clock.now();
    desk::decide(store.as_ref(), key, &choice, asked_at).await?;
    let mut state = running.engine.state();
    state.mark_unchanged();
    running.engine.nudge(Some(key.practice.clone()));
    if choice != Choice::Entered {
        return Ok(());
    }
    let looked = async {
        loop {
            let entry = store.entry(key).await?.ok_or_else(unknown)?;
            if !matches!(entry.state, BookingState::Entering | BookingState::Cancelling { by_hand: true, .. })
            {
                return Ok(());
            }
            // Put off again means that the book was looked into and nothing was found.
            if entry.not_before > asked_at + TimeDelta::milliseconds(500) {
                return Err(not_found(&state.borrow(), &key.practice));
            }
            if state.changed().await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(LOOKING_TAKES, looked).await.unwrap_or_else(|_| {
        Err(failure(ErrorCode::PracticeUnreachable, "The book could not be looked into yet."))
    })
}

/// What an entry that was put off again says of the book: that it does not show the appointment, if it could be read.
fn not_found(engine: &EngineState, practice: &PracticeId) -> UiError {
    let note = engine.practices.get(practice).and_then(|practice| practice.legs.get(&Leg::System));
    if note.is_some_and(|note| note.failing_since.is_some()) {
        return failure(ErrorCode::PracticeUnreachable, "The book could not be looked into yet.");
    }
    failure(ErrorCode::AppointmentNotFound, "The book does not show it yet.")
}

/// Somebody merged the duplicate, or saw that it is none.
async fn duplicate_handled(running: &Running, key: &BookingKey, now: DateTime<Utc>) -> Result<(), UiError> {
    let store = running.store();
    let entry = store.entry(key).await?.ok_or_else(unknown)?;
    let decision = entry.decision.clone().map(|decision| Decision {
        plan: PatientPlan::New { possible_duplicate_of: None },
        reason: "Somebody at the desk has looked at the possible duplicate.".into(),
        ..decision
    });
    store.record(&entry, &BookingEvent::SeenTo, decision.as_ref(), now).await?;
    running.engine.nudge(Some(key.practice.clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ports::store::{LegNote, Problem, ProblemKind};
    use std::collections::BTreeMap;
    use store::StoreKey;
    use sync::state::PracticeState;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 345_000_000).unwrap()
    }

    #[tokio::test]
    async fn what_has_to_be_looked_at_is_shown_until_it_was_seen_to_or_for_a_week() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreKey::from_bytes([7; 32]), at(0)).unwrap().store;
        let practice = PracticeId::new("richmond");
        for (when, kind) in [(0, "look/overlap"), (1, "outage/desk"), (2, "look/cancellation")] {
            let line =
                ActivityLine { at: at(when), began_at: None, kind: kind.into(), text: format!("Line {when}.") };
            store.tell(&practice, &line).await.unwrap();
        }
        let shown = async |now| -> Vec<String> {
            let lines = unseen(&store, &practice, now).await.unwrap();
            lines.into_iter().map(|line| line.text).collect()
        };
        assert_eq!(shown(at(5)).await, ["Line 0.", "Line 2."]);
        assert_eq!(unseen(&store, &PracticeId::new("carlton"), at(5)).await.unwrap(), []);

        assert!(acknowledge(&store, &practice, "yesterday", at(6)).await.is_err());
        acknowledge(&store, &practice, &instant(at(0)), at(6)).await.unwrap();
        acknowledge(&store, &practice, &instant(at(0)), at(7)).await.unwrap();
        assert_eq!(shown(at(8)).await, ["Line 2."]);
        assert_eq!(shown(at(2) + TimeDelta::days(7)).await, ["Line 2."]);
        assert_eq!(shown(at(3) + TimeDelta::days(7)).await, [""; 0]);
    }

    #[test]
    fn only_a_book_that_was_read_does_not_show_an_appointment() {
        let practice = PracticeId::new("richmond");
        let said = |failing: bool| {
            let problem = Problem { kind: ProblemKind::Unreachable, sentence: "No answer.".into() };
            let note = LegNote {
                proven_at: Some(at(0)),
                failing_since: failing.then(|| at(1)),
                problem: failing.then_some(problem),
            };
            let legs = BTreeMap::from([(Leg::System, note)]);
            let state = PracticeState::new(crate::present::tests::settings(), legs, Default::default());
            let engine =
                EngineState { practices: BTreeMap::from([(practice.clone(), state)]), ..EngineState::default() };
            not_found(&engine, &practice).code
        };
        assert_eq!(said(false), ErrorCode::AppointmentNotFound);
        assert_eq!(said(true), ErrorCode::PracticeUnreachable);
    }
}
