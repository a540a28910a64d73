//! A day of the book beside what Healthengine last accepted, and why a time of it is as it is.
//!
//! The book is the engine's last reading, what was accepted is in the marks; nothing is asked of anybody outside.

use crate::desktop::Running;
use crate::patients;
use crate::present::{full_name, instant, public_state};
use crate::ui_error::{bad_input, failure};
use crate::view::{
    DayBookView, DayBookingView, DayColumnsView, DayDifferenceView, ErrorCode, SlotChange, SlotStoryView,
    StoryEntryView, StoryLine, StretchKind, StretchView, UiError,
};
use chrono::{DateTime, NaiveDate, Utc};
use domain::booking::{Entry, HistoryLine};
use domain::diary::{BookDay, OpenTime};
use domain::ids::{AppointmentTypeRef, PracticeId, ResourceRef};
use domain::ports::store::{BookingLedger, Mark, Marks};
use domain::time::{DayRange, MinuteOfDay, Minutes};
use std::collections::BTreeMap;
use sync::flows::availability::day_prefix;
use sync::shown::{self, Change, Difference, Shown};
use sync::state::PracticeState;

/// A day of a practice.
pub async fn day(running: &Running, practice: &PracticeId, day: &str) -> Result<DayBookView, UiError> {
    let (state, day) = (known(running, practice)?, read_day(day)?);
    let store = running.store();
    let marks = store.marks(practice, &day_prefix(day, None)).await?;
    let bookings = store.bookings_on(practice, day).await?;
    Ok(view(&state, &marks, &bookings, day))
}

/// Why a time of a day is as it is.
pub async fn story(
    running: &Running,
    practice: &PracticeId,
    slot: &SlotOf<'_>,
    now: DateTime<Utc>,
) -> Result<SlotStoryView, UiError> {
    let (state, day) = (known(running, practice)?, read_day(slot.day)?);
    let resource = ResourceRef::new(slot.resource);
    let range = read_range(slot.start, slot.end)?;
    let store = running.store();
    let mark = store.marks(practice, &day_prefix(day, Some(&resource))).await?.into_iter().next();
    let changes = store.marks(practice, &shown::changes_mark(day, &resource)).await?.into_iter().next();
    let mut histories = Vec::new();
    for entry in store.bookings_on(practice, day).await? {
        if entry.placed().is_some_and(|(with, _)| *with == resource)
            && range_of(&entry).is_some_and(|booked| booked.overlaps(range))
        {
            let history = store.history(&entry.request.key).await?;
            histories.push((entry, history));
        }
    }
    let changes = changes.map(|mark| shown::changes(&mark.digest)).unwrap_or_default();
    let pending = pending(&state, mark.as_ref(), &resource, day);
    let entries = lines(range, mark.as_ref(), &changes, pending, &histories);
    let visits = patients::visits_at(&store, &state, (&resource, day, range), now).await?;
    Ok(SlotStoryView { entries, visits })
}

/// A time of a day as the window names it.
pub struct SlotOf<'a> {
    /// The practice system's id of the practitioner.
    pub resource: &'a str,
    /// `2026-11-20`.
    pub day: &'a str,
    /// `09:15`.
    pub start: &'a str,
    /// `09:30`.
    pub end: &'a str,
}

fn known(running: &Running, practice: &PracticeId) -> Result<PracticeState, UiError> {
    let state = running.engine.state();
    let known = state.borrow().practices.get(practice).cloned();
    known.ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))
}

fn read_day(day: &str) -> Result<NaiveDate, UiError> {
    day.parse().map_err(|_| bad_input("This is not a date like 2026-11-20."))
}

fn read_range(start: &str, end: &str) -> Result<DayRange, UiError> {
    let range = MinuteOfDay::parse(start).zip(MinuteOfDay::parse(end));
    range
        .and_then(|(start, end)| DayRange::new(start, end))
        .ok_or_else(|| bad_input("These are not times like 09:15, the end after the start."))
}

/// The stretch of its day that a booking takes.
fn range_of(entry: &Entry) -> Option<DayRange> {
    entry.placed_at().range(entry.request.length.sensible_minutes()?)
}

fn view(state: &PracticeState, marks: &[Mark], bookings: &[Entry], day: NaiveDate) -> DayBookView {
    let reading = state.reading.as_ref();
    DayBookView {
        practice_id: state.settings.id.to_string(),
        day: day.to_string(),
        read_at: reading.map(|reading| instant(reading.read_at)),
        slot_minutes: reading.map_or(0, |reading| reading.slot.0),
        practitioners: state
            .resources
            .iter()
            .map(|resource| {
                let thing = day_prefix(day, Some(&resource.id));
                let mark = marks.iter().find(|mark| mark.thing == thing);
                let shown = mark.map(|mark| shown::read(&mark.digest));
                let (differences, differs_since) = differing(state, shown.as_ref(), &resource.id, day);
                DayColumnsView {
                    id: resource.id.to_string(),
                    name: resource.name.clone(),
                    book: reading
                        .and_then(|reading| {
                            let day = reading.days.get(&(resource.id.clone(), day))?;
                            Some(stretches(day, reading.slot, &state.appointment_types))
                        })
                        .unwrap_or_default(),
                    in_doubt: shown.as_ref().is_some_and(|shown| shown.in_doubt),
                    offered: shown.and_then(|shown| shown.told).map(|told| {
                        told.free.iter().map(|free| free_view(free, &state.appointment_types)).collect()
                    }),
                    accepted_at: mark.map(|mark| instant(mark.at)),
                    differences: differences
                        .into_iter()
                        .map(|(range, difference)| DayDifferenceView {
                            start: range.start.to_string(),
                            end: range.end.to_string(),
                            change: change(difference),
                        })
                        .collect(),
                    differs_since: differs_since.map(instant),
                    bookings: bookings
                        .iter()
                        .filter(|entry| entry.placed().is_some_and(|(with, _)| *with == resource.id))
                        .filter_map(booking_view)
                        .collect(),
                }
            })
            .collect(),
    }
}

/// Where the book as read differs from what was accepted, and since when something has had to be sent.
fn differing(
    state: &PracticeState,
    shown: Option<&Shown>,
    resource: &ResourceRef,
    day: NaiveDate,
) -> (Vec<(DayRange, Difference)>, Option<DateTime<Utc>>) {
    let Some(reading) = &state.reading else { return (Vec::new(), None) };
    let place = (resource.clone(), day);
    let free = reading.days.get(&place).map(|day| day.free(reading.slot)).unwrap_or_default();
    let Some(Shown { told, in_doubt }) = shown else {
        return (Vec::new(), state.differing.get(&place).copied());
    };
    let Some(told) = told else { return (Vec::new(), state.differing.get(&place).copied()) };
    if !in_doubt && told.free == free && told.slot == reading.slot {
        return (Vec::new(), None);
    }
    let since = state.differing.get(&place).copied().unwrap_or(reading.read_at);
    (shown::differences(&told.free, &free), Some(since))
}

type Pending = (DateTime<Utc>, Vec<(DayRange, Difference)>);

/// What has changed in the book and has not been accepted yet.
fn pending(
    state: &PracticeState,
    mark: Option<&Mark>,
    resource: &ResourceRef,
    day: NaiveDate,
) -> Option<Pending> {
    let shown = mark.map(|mark| shown::read(&mark.digest));
    let (differences, since) = differing(state, shown.as_ref(), resource, day);
    since.map(|since| (since, differences))
}

/// The book of a day: what is free, what stands there, and what is left between.
fn stretches(day: &BookDay, slot: Minutes, types: &BTreeMap<AppointmentTypeRef, String>) -> Vec<StretchView> {
    let free = day.free(slot);
    let mut all: Vec<(DayRange, StretchView)> =
        free.iter().map(|open| (open.range, free_view(open, types))).collect();
    // Appointments that only touch stay apart; what overlaps is one.
    let mut busy = day.busy.clone();
    busy.sort();
    let mut taken: Vec<DayRange> = Vec::with_capacity(busy.len());
    for next in busy {
        match taken.last_mut() {
            Some(last) if next.start < last.end => last.end = last.end.max(next.end),
            _ => taken.push(next),
        }
    }
    all.extend(taken.into_iter().map(|range| (range, plain(range, StretchKind::Taken))));
    let slivers =
        day.free(Minutes(1)).into_iter().filter(|sliver| u32::from(sliver.range.minutes()) < slot.0);
    all.extend(slivers.map(|sliver| (sliver.range, plain(sliver.range, StretchKind::TooShort))));
    all.sort_by_key(|(range, _)| *range);
    all.into_iter().map(|(_, stretch)| stretch).collect()
}

fn plain(range: DayRange, kind: StretchKind) -> StretchView {
    StretchView { start: range.start.to_string(), end: range.end.to_string(), kind, only_types: Vec::new() }
}

fn free_view(open: &OpenTime, types: &BTreeMap<AppointmentTypeRef, String>) -> StretchView {
    let name = |id: &AppointmentTypeRef| types.get(id).cloned().unwrap_or_else(|| id.to_string());
    StretchView {
        only_types: open.only_types.iter().map(name).collect(),
        ..plain(open.range, StretchKind::Free)
    }
}

fn booking_view(entry: &Entry) -> Option<DayBookingView> {
    let range = range_of(entry)?;
    Some(DayBookingView {
        booking_id: entry.request.key.booking.to_string(),
        patient_name: full_name(&entry.request.patient),
        state: public_state(entry),
        start: range.start.to_string(),
        end: range.end.to_string(),
    })
}

fn change(difference: Difference) -> SlotChange {
    match difference {
        Difference::Added => SlotChange::Freed,
        Difference::Removed => SlotChange::Taken,
        Difference::OtherTypes => SlotChange::OtherTypes,
    }
}

/// The story of a time: its changes from the book to Healthengine, and the bookings that touch it. Oldest first.
fn lines(
    slot: DayRange,
    mark: Option<&Mark>,
    changes: &[Change],
    pending: Option<Pending>,
    bookings: &[(Entry, Vec<HistoryLine>)],
) -> Vec<StoryEntryView> {
    let mut found: Vec<(DateTime<Utc>, StoryLine)> = Vec::new();
    let touching = |differences: &[(DayRange, Difference)]| -> Vec<StoryLine> {
        let touching = differences.iter().filter(|(range, _)| range.overlaps(slot));
        touching
            .map(|(range, difference)| StoryLine::Changed {
                start: range.start.to_string(),
                end: range.end.to_string(),
                change: change(*difference),
            })
            .collect()
    };
    for known in changes.iter().rev() {
        let changed = touching(&known.differences);
        if !changed.is_empty() {
            found.extend(changed.into_iter().map(|line| (known.noticed_at, line)));
            found.push((known.sent_at, StoryLine::Sent));
            found.push((known.accepted_at, StoryLine::Accepted));
        }
    }
    if let Some(mark) = mark {
        let told = found.iter().any(|(at, line)| *at == mark.at && *line == StoryLine::Accepted);
        match shown::read(&mark.digest) {
            Shown { in_doubt: true, .. } => found.push((mark.at, StoryLine::Unanswered)),
            Shown { in_doubt: false, .. } if !told => found.push((mark.at, StoryLine::DayAccepted)),
            Shown { .. } => {}
        }
    }
    if let Some((since, differences)) = pending {
        found.extend(touching(&differences).into_iter().map(|line| (since, line)));
    }
    for (entry, history) in bookings {
        found.extend(history.iter().map(|line| {
            let booking_id = entry.request.key.booking.to_string();
            (line.at, StoryLine::Booking { booking_id, sentence: line.what.clone() })
        }));
    }
    // What happened in the same moment stays in the order above.
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(at, what)| StoryEntryView { at: instant(at), what }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::tests::settings;
    use crate::view::BookingState as PublicState;
    use chrono::TimeDelta;
    use domain::booking::{BookingKey, BookingRequest, BookingState};
    use domain::ids::{ForeignBookingId, PartnerId};
    use domain::people::PersonDetails;
    use domain::ports::partner::DayOffer;
    use domain::ports::store::BookingCounts;
    use domain::private::Private;
    use domain::time::{PracticeTime, Seconds};
    use std::sync::Arc;
    use sync::state::{BookReading, ResourceState};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn ago(seconds: i64) -> DateTime<Utc> {
        now() - TimeDelta::seconds(seconds)
    }

    fn today() -> NaiveDate {
        "2027-01-15".parse().unwrap()
    }

    fn lee() -> ResourceRef {
        ResourceRef::new("7")
    }

    fn range(start: i64, end: i64) -> DayRange {
        DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end)).unwrap()
    }

    fn open(start: i64, end: i64, types: &[&str]) -> OpenTime {
        let only_types = types.iter().map(|id| AppointmentTypeRef::new(*id)).collect();
        OpenTime { range: range(start, end), only_types }
    }

    /// Dr Lee works from 9 to 12 and, for initial consultations, from 13 to 14; read 4 seconds ago.
    fn practice(busy: &[DayRange]) -> PracticeState {
        let mut practice = PracticeState::new(settings(), BTreeMap::new(), BookingCounts::default());
        practice.resources = vec![ResourceState {
            id: lee(),
            name: "Dr Lee".into(),
            specialty: None,
            free_today: 0,
            slots_today: 0,
            changing_since: None,
        }];
        practice.appointment_types = BTreeMap::from([(AppointmentTypeRef::new("2"), "Initial".to_owned())]);
        let day = BookDay { open: vec![open(540, 720, &[]), open(780, 840, &["2"])], busy: busy.to_vec() };
        practice.reading = Some(Arc::new(BookReading {
            read_at: ago(4),
            slot: Minutes(15),
            days: BTreeMap::from([((lee(), today()), day)]),
            visits: Vec::new(),
            places: BTreeMap::new(),
        }));
        practice
    }

    fn mark(free: Vec<OpenTime>) -> Mark {
        let offer = DayOffer { resource: lee(), day: today(), free, slot: Minutes(15) };
        Mark { thing: day_prefix(today(), Some(&lee())), digest: shown::text_of(&offer), at: ago(60) }
    }

    fn in_doubt(mark: &Mark) -> Mark {
        Mark { digest: shown::in_doubt(&mark.digest), ..mark.clone() }
    }

    fn booking(at: &str) -> Entry {
        Entry {
            request: BookingRequest {
                key: BookingKey {
                    practice: PracticeId::new("richmond"),
                    partner: PartnerId::new("healthengine"),
                    booking: ForeignBookingId::new("36127212"),
                },
                resource: Some(lee()),
                appointment_type: None,
                starts: PracticeTime(format!("2027-01-15T{at}:00").parse().unwrap()),
                length: Seconds(900),
                patient: PersonDetails {
                    first_name: Private::new("Sam".into()),
                    last_name: Private::new("Nguyen".into()),
                    ..PersonDetails::default()
                },
                linked_patient: None,
                says_new_patient: false,
                note: Private::default(),
                booked_at: ago(100),
                cancelled: false,
            },
            state: BookingState::NEW,
            decision: None,
            placement: None,
            tell_place: false,
            revision: 0,
            received_at: ago(90),
            answered_at: None,
            state_since: ago(90),
            not_before: ago(90),
        }
    }

    fn column(practice: &PracticeState, marks: &[Mark], bookings: &[Entry]) -> DayColumnsView {
        view(practice, marks, bookings, today()).practitioners.remove(0)
    }

    fn drawn(stretches: &[StretchView]) -> Vec<String> {
        let types = |stretch: &StretchView| stretch.only_types.join("+");
        stretches.iter().map(|s| format!("{}-{} {:?} {}", s.start, s.end, s.kind, types(s))).collect()
    }

    #[test]
    fn both_sides_are_drawn_as_they_are() {
        let practice = practice(&[range(555, 570), range(570, 600), range(590, 605), range(710, 730)]);
        let told = vec![open(540, 555, &[]), open(605, 710, &[]), open(780, 840, &["2"])];
        let day = view(&practice, &[mark(told)], &[booking("09:30")], today());
        assert_eq!((day.read_at, day.slot_minutes), (Some(instant(ago(4))), 15));
        let column = &day.practitioners[0];
        assert_eq!(
            drawn(&column.book),
            [
                "09:00-09:15 Free ",
                "09:15-09:30 Taken ",
                "09:30-10:05 Taken ",
                "10:05-11:50 Free ",
                "11:50-12:10 Taken ",
                "13:00-14:00 Free Initial",
            ]
        );
        let offered = ["09:00-09:15 Free ", "10:05-11:50 Free ", "13:00-14:00 Free Initial"];
        assert_eq!(drawn(column.offered.as_deref().unwrap()), offered);
        assert_eq!((column.differences.as_slice(), &column.differs_since), (&[][..], &None));
        assert_eq!(column.accepted_at, Some(instant(ago(60))));
        assert_eq!(column.bookings[0].state, PublicState::Received);
        assert_eq!(column.bookings[0].patient_name.as_deref(), Some("Sam Nguyen"));
        assert_eq!((column.bookings[0].start.as_str(), column.bookings[0].end.as_str()), ("09:30", "09:45"));
    }

    #[test]
    fn what_is_left_between_two_appointments_may_be_too_short() {
        let practice = practice(&[range(540, 600), range(610, 720)]);
        assert!(drawn(&column(&practice, &[], &[]).book).contains(&"10:00-10:10 TooShort ".to_owned()));
    }

    #[test]
    fn a_difference_is_marked_with_when_it_was_noticed() {
        let mut practice = practice(&[range(555, 570)]);
        practice.differing = Arc::new(BTreeMap::from([((lee(), today()), ago(9))]));
        let before = mark(vec![open(540, 720, &[]), open(780, 840, &["2"])]);
        let column = column(&practice, &[in_doubt(&before)], &[]);
        let taken =
            DayDifferenceView { start: "09:15".into(), end: "09:30".into(), change: SlotChange::Taken };
        assert_eq!(column.differences, [taken]);
        assert_eq!((column.differs_since, column.in_doubt), (Some(instant(ago(9))), true));
    }

    #[test]
    fn nothing_is_claimed_of_what_is_not_known() {
        let mut practice = practice(&[]);
        let known = column(&practice, &[], &[]);
        assert_eq!((known.offered, known.accepted_at, known.in_doubt), (None, None, false));
        assert_eq!(known.differences, []);
        let old = Mark { digest: "6ca13d52".into(), ..mark(Vec::new()) };
        assert_eq!(column(&practice, &[old], &[]).offered, None);
        practice.reading = None;
        let unread = view(&practice, &[mark(vec![open(540, 720, &[])])], &[], today());
        assert_eq!(unread.read_at, None);
        assert_eq!(
            (&unread.practitioners[0].book[..], &unread.practitioners[0].differences[..]),
            (&[][..], &[][..])
        );
    }

    fn told(lines: &[StoryEntryView]) -> Vec<(String, StoryLine)> {
        lines.iter().map(|line| (line.at.clone(), line.what.clone())).collect()
    }

    fn changed(start: &str, end: &str, change: SlotChange) -> StoryLine {
        StoryLine::Changed { start: start.into(), end: end.into(), change }
    }

    #[test]
    fn a_time_tells_its_changes_and_its_bookings_and_no_others() {
        let free = vec![open(540, 720, &[])];
        let change = |noticed: i64, differences| Change {
            noticed_at: ago(noticed),
            sent_at: ago(noticed - 1),
            accepted_at: ago(noticed - 2),
            differences,
        };
        let changes = [
            change(62, vec![(range(555, 570), Difference::Added)]),
            change(600, vec![(range(600, 615), Difference::Added)]),
            change(900, vec![(range(540, 600), Difference::Removed), (range(660, 675), Difference::Added)]),
        ];
        let history = vec![HistoryLine { at: ago(300), what: "Clinic Companion saw the booking.".into() }];
        let lines = |mark: Option<&Mark>, pending| {
            told(&lines(range(555, 570), mark, &changes, pending, &[(booking("09:15"), history.clone())]))
        };
        let mut expected = vec![
            (instant(ago(900)), changed("09:00", "10:00", SlotChange::Taken)),
            (instant(ago(899)), StoryLine::Sent),
            (instant(ago(898)), StoryLine::Accepted),
            (
                instant(ago(300)),
                StoryLine::Booking {
                    booking_id: "36127212".into(),
                    sentence: "Clinic Companion saw the booking.".into(),
                },
            ),
            (instant(ago(62)), changed("09:15", "09:30", SlotChange::Freed)),
            (instant(ago(61)), StoryLine::Sent),
            (instant(ago(60)), StoryLine::Accepted),
        ];
        assert_eq!(lines(Some(&mark(free.clone())), None), expected);
        let later = Mark { at: ago(30), ..mark(free) };
        expected.push((instant(ago(30)), StoryLine::DayAccepted));
        assert_eq!(lines(Some(&later), None), expected);
        expected.pop();
        let doubtful = in_doubt(&later);
        expected.push((instant(ago(31)), changed("09:15", "09:30", SlotChange::Taken)));
        expected.push((instant(ago(30)), StoryLine::Unanswered));
        let pending =
            (ago(31), vec![(range(555, 570), Difference::Removed), (range(700, 710), Difference::Added)]);
        assert_eq!(lines(Some(&doubtful), Some(pending)), expected);
    }

    #[test]
    fn what_the_window_asks_for_must_be_a_day_and_a_time() {
        assert!(read_day("2027-02-30").is_err());
        assert!(read_range("09:30", "09:15").is_err());
        assert!(read_range("9", "10").is_err());
        assert_eq!(read_range("23:45", "24:00").unwrap(), range(1425, 1440));
    }
}
