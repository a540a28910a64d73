//! A booking that could not be put where it was asked for: the three things a person can do, and Healthengine's clocks.

use crate::decisions::unknown;
use crate::desktop::Running;
use crate::present::{instant, wall_clock};
use crate::ui_error::{bad_input, failure};
use crate::view::{
    AppView, BookingAction, DeadlinesView, ErrorCode, FreeTimeView, FreeTimesView, UiError, WaitingKind,
    WaitingView,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use domain::booking::{ANSWER_WITHIN, BookingKey, BookingState, Entry, Placement, REPICK_WITHIN, Step};
use domain::failure::Refusal;
use domain::free_times::FreeTime;
use domain::ids::ResourceRef;
use domain::ports::store::BookingLedger;
use domain::time::PracticeTime;
use store::Store;
use sync::desk::Choice;
use sync::state::{Asked, PracticeState};

/// An answer that has been due for no longer than this is on its way and nothing to speak of.
const NOTHING_TO_SPEAK_OF: TimeDelta = TimeDelta::seconds(15);
/// The tray speaks of an answer that nobody has to give only when it has been due for this long.
const UNUSUAL: TimeDelta = TimeDelta::minutes(1);

/// Until when Healthengine wants an answer about a booking. `made_after`: when it did not wait yet, by our clock.
pub fn deadlines(entry: &Entry, made_after: Option<DateTime<Utc>>) -> Option<DeadlinesView> {
    // The change that asks for it was seen then.
    if let BookingState::Cancelling { by_hand: false, .. } = &entry.state {
        let answer_by = instant(entry.state_since + ANSWER_WITHIN);
        return Some(DeadlinesView { repick_until: None, answer_by });
    }
    // Healthengine waits no more for what it has an answer about.
    if entry.answered_at.is_some() || entry.state.step() == Step::Nothing {
        return None;
    }
    let since = entry.made_at(made_after);
    Some(DeadlinesView {
        repick_until: Some(instant(since + REPICK_WITHIN)),
        answer_by: instant(since + ANSWER_WITHIN),
    })
}

/// What else Healthengine waits for, once that has lasted.
pub fn add_asked(waiting: &mut Vec<WaitingView>, practice: &PracticeState, now: DateTime<Utc>) {
    for (asked, since) in &practice.asked_since {
        if now - *since < NOTHING_TO_SPEAK_OF {
            continue;
        }
        let kind = match asked {
            Asked::Changes => WaitingKind::ChangesToApply,
            Asked::FreeTimes => WaitingKind::FreeTimesToSend,
        };
        let answer_by = instant(*since + ANSWER_WITHIN);
        match waiting.iter_mut().find(|known| known.kind == kind) {
            Some(known) => {
                known.answer_by = known.answer_by.take().into_iter().chain([answer_by]).min();
            }
            None => {
                let oldest_at = Some(instant(*since));
                waiting.push(WaitingView { kind, count: 1, oldest_at, answer_by: Some(answer_by) });
            }
        }
    }
}

/// How long Healthengine still waits for the answer that is due first, as far as that is worth a person's attention.
pub fn first_answer_due(view: &AppView) -> Option<TimeDelta> {
    let read = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc));
    let now = read(&view.now)?;
    let of_bookings = view.open_bookings.iter().filter_map(|booking| {
        let due = read(&booking.deadlines.as_ref()?.answer_by)? - now;
        (booking.needs.is_some() || due < ANSWER_WITHIN - UNUSUAL).then_some(due)
    });
    let of_others = view.practices.iter().flat_map(|practice| &practice.waiting).filter_map(|waiting| {
        let due = read(waiting.answer_by.as_deref()?)? - now;
        (due < ANSWER_WITHIN - UNUSUAL).then_some(due)
    });
    of_bookings.chain(of_others).min()
}

/// When a booking is shown: where a person put it, else as it was asked for. A choice that was lost counts no more.
pub fn shown_at(entry: &Entry) -> PracticeTime {
    if let BookingState::Unplaced(_) = entry.state { entry.request.starts } else { entry.placed_at() }
}

/// What a person can do about a booking that could not be placed, the likeliest first. Where the book may only be read,
/// a person enters it wherever they like, and we look for it.
pub fn actions(entry: &Entry, writes: bool) -> Vec<BookingAction> {
    use BookingAction as A;
    if !writes {
        return vec![A::EnteredByHand, A::Cancel];
    }
    let mut actions = Vec::new();
    let taken = matches!(entry.state, BookingState::Unplaced(Refusal::SlotTaken));
    if taken && entry.request.resource.is_some() {
        actions.push(A::PlaceBeside);
    }
    let hopeless = matches!(entry.state, BookingState::Unplaced(Refusal::BadLength | Refusal::NameMissing));
    if !hopeless {
        actions.push(A::PlaceElsewhere);
    }
    actions.extend([A::Cancel, A::TryAgain, A::EnteredByHand]);
    actions
}

/// The free times for a booking: of a day, or without one the nearest.
pub async fn free_times(
    running: &Running,
    key: &BookingKey,
    day: Option<&str>,
    now: DateTime<Utc>,
) -> Result<FreeTimesView, UiError> {
    let entry = running.store().entry(key).await?.ok_or_else(unknown)?;
    let state = running.engine.state().borrow().practices.get(&key.practice).cloned();
    listed(&state.ok_or_else(not_read)?, &entry, day, now)
}

fn listed(
    practice: &PracticeState,
    entry: &Entry,
    day: Option<&str>,
    now: DateTime<Utc>,
) -> Result<FreeTimesView, UiError> {
    let free = practice.free_times.as_ref().ok_or_else(not_read)?;
    let zone = practice.settings.zone;
    let found = match day {
        None => free.nearest(&entry.request, zone, now),
        Some(day) => {
            let day: NaiveDate = day.parse().map_err(|_| bad_input("This is not a day."))?;
            free.on(day, &entry.request, zone, now)
        }
    };
    let name_of = |id: &ResourceRef| {
        let known = practice.resources.iter().find(|resource| resource.id == *id);
        known.map_or_else(|| id.to_string(), |resource| resource.name.clone())
    };
    let view = |free: FreeTime| FreeTimeView {
        practitioner: name_of(&free.resource),
        resource_id: free.resource.to_string(),
        starts_at: instant(zone.instant(free.starts)),
        starts_written: wall_clock(free.starts),
    };
    Ok(FreeTimesView {
        times: found.into_iter().map(view).collect(),
        first_day: free.horizon.first.max(zone.today(now)).to_string(),
        last_day: free.horizon.last.to_string(),
    })
}

fn not_read() -> UiError {
    failure(ErrorCode::PracticeUnreachable, "The book has not been read yet.")
}

/// The choice to put it where it was asked for, beside what stands there.
pub async fn beside(store: &Store, key: &BookingKey) -> Result<Choice, UiError> {
    let request = store.entry(key).await?.ok_or_else(unknown)?.request;
    let nobody = || failure(ErrorCode::InputInvalid, "The booking names no practitioner.");
    Ok(Choice::Place(Placement {
        resource: request.resource.ok_or_else(nobody)?,
        starts: request.starts,
        appointment_type: request.appointment_type,
        beside: true,
    }))
}

/// The choice to put it at another time, which must still be free as far as the book was read.
pub async fn elsewhere(
    running: &Running,
    key: &BookingKey,
    resource: &str,
    starts: &str,
    now: DateTime<Utc>,
) -> Result<Choice, UiError> {
    let entry = running.store().entry(key).await?.ok_or_else(unknown)?;
    let state = running.engine.state().borrow().practices.get(&key.practice).cloned();
    chosen(&state.ok_or_else(not_read)?, &entry, resource, starts, now)
}

fn chosen(
    practice: &PracticeState,
    entry: &Entry,
    resource: &str,
    starts: &str,
    now: DateTime<Utc>,
) -> Result<Choice, UiError> {
    let starts = NaiveDateTime::parse_from_str(starts, "%Y-%m-%d %H:%M")
        .map_err(|_| bad_input("This is not a time."))?;
    let free = practice.free_times.as_ref().ok_or_else(not_read)?;
    let (resource, zone) = (ResourceRef::new(resource), practice.settings.zone);
    let found = free.at(&resource, PracticeTime(starts), &entry.request, zone, now);
    let FreeTime { resource, starts, appointment_type } =
        found.ok_or_else(|| failure(ErrorCode::TimeNotFree, "This time is not free any more."))?;
    Ok(Choice::Place(Placement { resource, starts, appointment_type, beside: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::tests::{entry, settings};
    use crate::present::{booking_view, is_open};
    use crate::view::{ReasonCode, TaskView};
    use domain::booking::{BookingEvent, Held, Inserted, Moved};
    use domain::diary::{AppointmentType, Book, BookDay, OpenTime, Resource};
    use domain::free_times::FreeTimes;
    use domain::ids::{AppointmentRef, AppointmentTypeRef, PatientRef};
    use domain::people::PatientPlan;
    use domain::settings::WriteMode;
    use domain::time::{DayRange, Horizon, MinuteOfDay, Minutes};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn unplaced(why: Refusal) -> Entry {
        entry(BookingState::Unplaced(why), None)
    }

    fn after(entry: &Entry, event: BookingEvent) -> Entry {
        let Moved { state, placement, tell_place } = entry.moved(&event).expect("it follows");
        Entry { state, placement, tell_place, ..entry.clone() }
    }

    /// A practice whose practitioner 7 is free from 9:00 to 11:00 on the day that was asked for.
    fn practice() -> PracticeState {
        let mut practice = PracticeState::new(settings(), BTreeMap::new(), Default::default());
        let day = entry(BookingState::NEW, None).request.starts.day();
        let range = DayRange::new(MinuteOfDay::clamped(540), MinuteOfDay::clamped(660)).expect("a range");
        let lee = ResourceRef::new("7");
        let book = Book {
            horizon: Horizon { first: day, last: day },
            slot: Minutes(30),
            locations: Vec::new(),
            resources: vec![Resource {
                id: lee.clone(),
                name: "Mei Lee".into(),
                title: Some("Dr".into()),
                first_name: None,
                last_name: None,
                specialty: None,
                practitioner: None,
                location: None,
            }],
            appointment_types: vec![AppointmentType {
                id: AppointmentTypeRef::new("2"),
                name: "Initial".into(),
                length: Minutes(30),
                resource: None,
            }],
            days: BTreeMap::from([(
                (lee.clone(), day),
                BookDay {
                    open: vec![OpenTime { range, only_types: Vec::new() }],
                    busy: vec![
                        DayRange::new(MinuteOfDay::clamped(570), MinuteOfDay::clamped(600)).expect("a range"),
                    ],
                },
            )]),
            appointments: Vec::new(),
        };
        practice.resources = vec![sync::state::ResourceState {
            id: lee,
            name: book.resources.first().map(Resource::titled_name).unwrap_or_default(),
            specialty: None,
            free_today: 0,
            slots_today: 0,
            changing_since: None,
        }];
        practice.free_times = Some(Arc::new(FreeTimes::of(&book)));
        practice
    }

    #[test]
    fn the_clocks_count_from_when_the_booking_was_made() {
        let waiting = entry(BookingState::NEW, None);
        let made_at = waiting.request.booked_at;
        let shown = deadlines(&waiting, None).expect("it waits");
        assert_eq!(shown.repick_until, Some(instant(made_at + TimeDelta::seconds(20))));
        assert_eq!(shown.answer_by, instant(made_at + TimeDelta::minutes(10)));
        let looked_at = waiting.received_at - TimeDelta::seconds(4);
        let shown = deadlines(&waiting, Some(looked_at)).expect("it waits");
        assert_eq!(shown.answer_by, instant(looked_at + TimeDelta::minutes(10)));

        let inserted = Inserted { appointment: AppointmentRef::new("1"), patient: PatientRef::new("7") };
        let cancelling = BookingState::Cancelling { inserted: inserted.clone(), by_hand: false };
        let shown = deadlines(&entry(cancelling, None), None).expect("the change waits");
        assert_eq!(shown.repick_until, None);
        for done in [
            BookingState::Confirmed(inserted.clone()),
            BookingState::Rejected { why: Refusal::SlotTaken, tell_patient: true },
            BookingState::Cancelled(inserted),
            BookingState::Closed,
        ] {
            assert_eq!(deadlines(&entry(done, None), None), None);
        }
    }

    #[test]
    fn what_can_be_done_depends_on_why_and_on_whether_we_may_write() {
        use BookingAction as A;
        let usual = [A::PlaceElsewhere, A::Cancel, A::TryAgain, A::EnteredByHand];
        let beside: Vec<A> = std::iter::once(A::PlaceBeside).chain(usual).collect();
        assert_eq!(actions(&unplaced(Refusal::SlotTaken), true), beside);
        assert_eq!(actions(&unplaced(Refusal::OutsideHours), true), usual);
        assert_eq!(actions(&unplaced(Refusal::NameMissing), true), usual[1..]);
        assert_eq!(actions(&unplaced(Refusal::SlotTaken), false), [A::EnteredByHand, A::Cancel]);
    }

    #[test]
    fn free_times_are_listed_and_only_they_are_taken_up() {
        let (practice, unplaced) = (practice(), unplaced(Refusal::SlotTaken));
        let now = unplaced.received_at;
        let shown = listed(&practice, &unplaced, None, now).expect("a list");
        let times: Vec<&str> = shown.times.iter().map(|free| free.starts_written.as_str()).collect();
        assert_eq!(times, ["2027-01-18 09:00", "2027-01-18 10:00", "2027-01-18 10:30"]);
        assert!(shown.times.iter().all(|free| free.practitioner == "Dr Mei Lee"));
        assert_eq!(listed(&practice, &unplaced, Some("2027-01-18"), now).expect("a list").times.len(), 3);
        assert_eq!(listed(&practice, &unplaced, Some("2027-01-19"), now).expect("a list").times, []);
        assert!(listed(&practice, &unplaced, Some("soon"), now).is_err());

        let choice = chosen(&practice, &unplaced, "7", "2027-01-18 10:30", now).expect("free");
        let Choice::Place(placement) = choice else { panic!("{choice:?}") };
        assert_eq!(placement.appointment_type, Some(AppointmentTypeRef::new("2")));
        let taken = chosen(&practice, &unplaced, "7", "2027-01-18 09:30", now).unwrap_err();
        assert_eq!(taken.code, ErrorCode::TimeNotFree);
        assert!(chosen(&practice, &unplaced, "9", "2027-01-18 10:30", now).is_err());
        let unread = PracticeState { free_times: None, ..practice };
        assert!(listed(&unread, &unplaced, None, now).is_err());
    }

    #[test]
    fn a_booking_put_elsewhere_is_shown_there_until_the_patient_was_told() {
        let mut practice = practice();
        let unplaced = unplaced(Refusal::SlotTaken);
        let Choice::Place(placement) =
            chosen(&practice, &unplaced, "7", "2027-01-18 10:30", unplaced.received_at).expect("free")
        else {
            panic!("no placement")
        };
        let mut moved = after(&unplaced, BookingEvent::PlacedByPerson(placement));
        let shown = |entry: &Entry, practice: &PracticeState| booking_view(entry, practice, 8);
        assert_eq!(shown(&moved, &practice).starts_written, "2027-01-18 10:30");
        let lost = after(&moved, BookingEvent::RefusedLate(Refusal::SlotTaken));
        let view = shown(&lost, &practice);
        assert_eq!((view.starts_written.as_str(), view.asked), ("2027-01-18 09:30", None));
        assert_eq!(view.reason.map(|reason| reason.code), Some(ReasonCode::ChosenTimeTaken));

        let held = Held { appointment: AppointmentRef::new("1"), patient: Some(PatientRef::new("7")) };
        for event in [
            BookingEvent::InsertBegan(PatientPlan::Existing(PatientRef::new("7"))),
            BookingEvent::FoundInPractice(held),
            BookingEvent::PartnerKnows,
        ] {
            moved = after(&moved, event);
        }
        let view = shown(&moved, &practice);
        assert_eq!(view.starts_written, "2027-01-18 10:30");
        let asked = view.asked.expect("the patient is shown another time");
        assert_eq!(
            (asked.starts_written.as_str(), asked.practitioner.as_deref()),
            ("2027-01-18 09:30", Some("Dr Mei Lee"))
        );
        assert_eq!(view.needs.map(|need| need.task), Some(TaskView::TellPatient));
        assert!(is_open(&moved));
        let told = after(&moved, BookingEvent::PatientTold);
        assert!(shown(&told, &practice).needs.is_none() && !is_open(&told));

        practice.settings.system.write = WriteMode::None;
        let reading = shown(&unplaced, &practice).needs.expect("somebody is needed");
        assert_eq!(reading.actions, [BookingAction::EnteredByHand, BookingAction::Cancel]);
    }

    #[test]
    fn what_waits_besides_bookings_has_a_clock_once_it_lasts() {
        let mut practice = practice();
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        practice.asked_since.insert(Asked::FreeTimes, now - TimeDelta::seconds(5));
        let mut waiting = Vec::new();
        add_asked(&mut waiting, &practice, now);
        assert_eq!(waiting, []);
        add_asked(&mut waiting, &practice, now + TimeDelta::seconds(20));
        let told: Vec<_> = waiting.iter().map(|each| (each.kind, each.answer_by.clone())).collect();
        let due = instant(now - TimeDelta::seconds(5) + TimeDelta::minutes(10));
        assert_eq!(told, [(WaitingKind::FreeTimesToSend, Some(due))]);
    }
}
