//! The bookings screen: the ledger, a booking's timeline, and what people decide.

use crate::desktop::{Desk, Running};
use crate::patients;
use crate::placing;
use crate::present::documents::{DocumentsOfBookings, by_booking, of_booking};
use crate::present::{
    answers_to, booking_view, compared_with_chosen, correction, instant, is_open, public_state,
};
use crate::system_open;
use crate::ui_error::{bad_input, failure};
use crate::view::{
    BookingDecision, BookingHistory, BookingPage, BookingQuery, BookingState as PublicState, BookingView,
    ErrorCode, HistoryEntry, UiError,
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingEvent, BookingKey, BookingState};
use domain::documents::DocumentKey;
use domain::ids::{ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId};
use domain::matching::Decision;
use domain::people::PatientPlan;
use domain::ports::clock::Clock;
use domain::ports::documents::DocumentLedger;
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
/// How many bookings a page reads beyond its end, since some of the newest are not finished.
const A_FEW_MORE: u32 = 50;
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

/// Lays a document out for reading and opens it with this computer's own program for it.
pub async fn open_document(desk: &Desk, practice: &str, document: &str) -> Result<(), UiError> {
    let key = DocumentKey {
        practice: PracticeId::new(practice),
        partner: PartnerId::new(connectors::partners::healthengine::NAME),
        document: ForeignDocumentId::new(document),
    };
    let store = desk.running()?.store();
    let laid_out = store.lay_out_document(&key, &desk.folder().opened()).await;
    let file = laid_out.map_err(|error| failure(ErrorCode::FileFailed, error.to_string()))?;
    system_open::open(file).await
}

/// A page of the finished bookings.
pub async fn find(
    running: &Running,
    query: &BookingQuery,
    now: DateTime<Utc>,
) -> Result<BookingPage, UiError> {
    let engine = running.engine.state().borrow().clone();
    page(&running.store(), &engine, query, now).await
}

async fn page(
    store: &Store,
    engine: &EngineState,
    query: &BookingQuery,
    now: DateTime<Utc>,
) -> Result<BookingPage, UiError> {
    let practice = query.practice_id.as_deref().map(PracticeId::new);
    let decide_minutes = store.app_settings().await?.decide_minutes;
    let wanted = query.offset.saturating_add(query.limit);
    // A search has to look through everything to say how much it found; a page only as far as it reaches.
    let counted = if query.text.trim().is_empty() {
        Some(finished(store, engine.practices.keys(), practice.as_ref(), query.state).await?)
    } else {
        None
    };
    let mut limit = if counted.is_some() { wanted.saturating_add(A_FEW_MORE) } else { AT_MOST };
    let matching = loop {
        let mut newest = store.newest(practice.as_ref(), limit).await?;
        let read_all = count(newest.len()) < limit || limit >= AT_MOST;
        newest.retain(|entry| {
            engine.practices.contains_key(&entry.request.key.practice)
                && !is_open(entry)
                && query.state.is_none_or(|state| public_state(entry) == state)
                && answers_to(entry, &query.text)
        });
        if read_all || (counted.is_some() && count(newest.len()) >= wanted) {
            break newest;
        }
        limit = limit.saturating_mul(4);
    };
    let mut documents = DocumentsOfBookings::new();
    for id in engine.practices.keys() {
        by_booking(&mut documents, store.documents_of_bookings(id).await?);
    }
    let skipped = matching.iter().skip(usize::try_from(query.offset).unwrap_or(usize::MAX));
    let shown = skipped.take(usize::try_from(query.limit).unwrap_or(0));
    let at_vald = patients::of_bookings(store, engine, shown.clone(), now).await?;
    let bookings: Vec<BookingView> = shown
        .filter_map(|entry| {
            let practice = engine.practices.get(&entry.request.key.practice)?;
            let mut view = booking_view(entry, practice, decide_minutes);
            view.documents = of_booking(&documents, &entry.request.key);
            view.vald = at_vald.get(&entry.request.key).cloned();
            Some(view)
        })
        .collect();
    let total = counted.map_or(count(matching.len()), |counted| counted.min(AT_MOST));
    Ok(BookingPage { bookings, total })
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// How many bookings of these practices are done with, in one state or in all.
async fn finished(
    store: &Store,
    practices: impl Iterator<Item = &PracticeId>,
    only: Option<&PracticeId>,
    state: Option<PublicState>,
) -> Result<u32, StoreError> {
    let open = store.open_bookings().await?;
    let mut total = 0;
    for practice in practices.filter(|practice| only.is_none_or(|only| only == *practice)) {
        let counts = store.counts(practice).await?;
        let doubtful = open.iter().filter(|entry| {
            entry.request.key.practice == *practice && matches!(entry.state, BookingState::Confirmed(_))
        });
        // Confirmed is also what may be a duplicate, which is shown among the open ones.
        let confirmed = counts.confirmed.saturating_sub(count(doubtful.count()));
        total += match state {
            None => confirmed + counts.rejected + counts.cancelled,
            Some(PublicState::Confirmed) => confirmed,
            Some(PublicState::Rejected) => counts.rejected,
            Some(PublicState::Cancelled) => counts.cancelled,
            Some(PublicState::Received | PublicState::Inserted | PublicState::Attention) => 0,
        };
    }
    Ok(total)
}

/// A booking's way, oldest first.
pub async fn history(
    running: &Running,
    key: &BookingKey,
    now: DateTime<Utc>,
) -> Result<BookingHistory, UiError> {
    let store = running.store();
    let entry = store.entry(key).await?.ok_or_else(unknown)?;
    let lines = store.history(key).await?;
    let entries =
        lines.into_iter().map(|line| HistoryEntry { at: instant(line.at), sentence: line.what }).collect();
    let practices = store.practices().await?;
    let practice = practices.iter().find(|practice| practice.id == key.practice);
    let correction = practice.and_then(|practice| correction(&entry, practice, now));
    Ok(BookingHistory { entries, compared: compared_with_chosen(&entry), correction })
}

pub(crate) fn unknown() -> UiError {
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
        BookingDecision::PlaceBeside => placing::beside(&store, key).await?,
        BookingDecision::PlaceElsewhere { resource_id, starts_written } => {
            placing::elsewhere(running, key, resource_id, starts_written, clock.now()).await?
        }
        BookingDecision::PatientTold => Choice::PatientTold,
        BookingDecision::PatientPhoned => Choice::SeenTo,
        BookingDecision::NotThisPatient { patient_id } => {
            Choice::NotThisPatient(patient_id.as_deref().map(PatientRef::new))
        }
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
    use domain::booking::Held;
    use domain::failure::Refusal;
    use domain::ids::AppointmentRef;
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
        let store = Store::open(dir.path(), &StoreKey::new([7; 32]), at(0)).unwrap().store;
        let practice = PracticeId::new("richmond");
        for (when, kind) in [(0, "look/overlap"), (1, "outage/desk"), (2, "look/cancellation")] {
            let line = ActivityLine {
                at: at(when),
                began_at: None,
                kind: kind.into(),
                text: format!("Line {when}."),
            };
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

    #[tokio::test]
    async fn a_page_counts_what_it_would_show() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreKey::new([7; 32]), at(0)).unwrap().store;
        let mut settings = crate::present::tests::settings();
        settings.vald = Some(crate::present::tests::vald_settings());
        let template = crate::present::tests::entry(BookingState::NEW, None).request;
        let stands = Held { appointment: AppointmentRef::new("1"), patient: Some(PatientRef::new("7")) };
        let events = |number: u32| match number % 3 {
            0 => vec![BookingEvent::Refused(Refusal::SlotTaken), BookingEvent::PartnerKnows],
            _ => vec![
                BookingEvent::InsertBegan(PatientPlan::Existing(PatientRef::new("7"))),
                BookingEvent::FoundInPractice(stands.clone()),
                BookingEvent::PartnerKnows,
            ],
        };
        for number in 0..90 {
            let mut request = template.clone();
            request.key.booking = ForeignBookingId::new(number.to_string());
            if number % 10 == 0 {
                request.key.practice = PracticeId::new("unlinked");
            }
            store.file(&request, at(0)).await.unwrap();
            let mut entry = store.entry(&request.key).await.unwrap().unwrap();
            // The newest are still on their way.
            for event in events(number).iter().filter(|_| number < 80) {
                entry = store.record(&entry, event, None, at(1)).await.unwrap();
            }
        }
        let state = PracticeState::new(settings.clone(), BTreeMap::new(), Default::default());
        let engine =
            EngineState { practices: BTreeMap::from([(settings.id, state)]), ..EngineState::default() };
        let found = async |text: &str, state, offset, limit| {
            let query = BookingQuery { practice_id: None, text: text.into(), state, offset, limit };
            let page = page(&store, &engine, &query, DateTime::UNIX_EPOCH).await.unwrap();
            let newest = page.bookings.first().map(|booking| booking.booking_id.clone()).unwrap_or_default();
            // How it stands at VALD is known of whose appointment stands.
            assert!(page.bookings.iter().all(|one| one.vald.is_some() == one.patient_number.is_some()));
            (page.bookings.len(), page.total, newest)
        };
        assert_eq!(found("", None, 0, 25).await, (25, 72, "79".to_owned()));
        assert_eq!(found("", None, 70, 25).await, (2, 72, "2".to_owned()));
        assert_eq!(found("", Some(PublicState::Rejected), 0, 25).await, (24, 24, "78".to_owned()));
        assert_eq!(found("", Some(PublicState::Confirmed), 0, 5).await, (5, 48, "79".to_owned()));
        assert_eq!(found("zoe", None, 0, 5).await, (5, 72, "79".to_owned()));
        assert_eq!(found("nobody", None, 0, 5).await, (0, 0, String::new()));
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
            let engine = EngineState {
                practices: BTreeMap::from([(practice.clone(), state)]),
                ..EngineState::default()
            };
            not_found(&engine, &practice).code
        };
        assert_eq!(said(false), ErrorCode::AppointmentNotFound);
        assert_eq!(said(true), ErrorCode::PracticeUnreachable);
    }
}
