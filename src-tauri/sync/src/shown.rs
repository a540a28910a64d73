//! What the partner shows of a day, as far as it has said so: the text that a mark keeps, what differs between two such
//! days, and the last changes of a day with their times.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::diary::OpenTime;
use domain::ids::{AppointmentTypeRef, ResourceRef};
use domain::ports::partner::DayOffer;
use domain::time::{DayRange, MinuteOfDay, Minutes};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The marks of the last changes of each day.
pub const CHANGES: &str = "changes/";
/// How many changes of a day of one resource are kept.
const CHANGES_KEPT: usize = 8;
/// Stands before what was accepted last while something newer was sent whose answer is not known.
const IN_DOUBT: &str = "?";
/// What would be mistaken for the text's own signs.
const IN_IDS: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b';').add(b'[').add(b']');

/// The mark of the last changes of one resource on one day.
pub fn changes_mark(day: NaiveDate, resource: &ResourceRef) -> String {
    format!("{}{resource}/", changes_prefix(day))
}

/// The prefix of the marks of the last changes of a day.
pub fn changes_prefix(day: NaiveDate) -> String {
    format!("{CHANGES}{day}/")
}

/// Free times as a partner was told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The grid on which bookings may start.
    pub slot: Minutes,
    /// Free time, sorted.
    pub free: Vec<OpenTime>,
}

/// What the partner shows of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it accepted last; none where that is not known.
    pub told: Option<Told>,
    /// Whether something newer was sent whose answer is not known, or that it refused.
    pub in_doubt: bool,
}

/// An offer as short text: `slot=15;09:00-10:15[STD,NEW];13:00-17:00`. Two offers have the same text only if they are
/// the same.
pub fn text_of(offer: &DayOffer) -> String {
    let mut text = format!("slot={}", offer.slot.0);
    for free in &offer.free {
        // Writing to a string cannot fail.
        let _ = write!(text, ";{}", span(free.range));
        for (number, only) in free.only_types.iter().enumerate() {
            text.push(if number == 0 { '[' } else { ',' });
            text.extend(utf8_percent_encode(only.as_str(), IN_IDS));
        }
        if !free.only_types.is_empty() {
            text.push(']');
        }
    }
    text
}

/// The text of a mark while something newer is sent: until the answer is here, nobody knows what the partner shows.
/// Were the former text kept as it is, a book that turned back to it would not be sent.
pub fn in_doubt(accepted: &str) -> String {
    format!("{IN_DOUBT}{}", accepted.strip_prefix(IN_DOUBT).unwrap_or(accepted))
}

/// Reads the text of a mark. One of an older version is a day of which nothing is known.
pub fn read(text: &str) -> Shown {
    let former = text.strip_prefix(IN_DOUBT);
    let told = read_told(former.unwrap_or(text));
    Shown { in_doubt: former.is_some() || told.is_none(), told }
}

fn read_told(text: &str) -> Option<Told> {
    let mut parts = text.split(';');
    let slot = Minutes(parts.next()?.strip_prefix("slot=")?.parse().ok()?);
    Some(Told { slot, free: parts.map(read_open_time).collect::<Option<_>>()? })
}

fn read_open_time(text: &str) -> Option<OpenTime> {
    let (range, types) = match text.split_once('[') {
        Some((range, types)) => (range, types.strip_suffix(']')?.split(',').collect()),
        None => (text, Vec::new()),
    };
    let read_type = |text: &str| {
        percent_decode_str(text).decode_utf8().ok().map(|id| AppointmentTypeRef::new(id.as_ref()))
    };
    Some(OpenTime {
        range: read_span(range)?,
        only_types: types.into_iter().map(read_type).collect::<Option<_>>()?,
    })
}

fn span(range: DayRange) -> String {
    format!("{}-{}", range.start, range.end)
}

fn read_span(text: &str) -> Option<DayRange> {
    let (start, end) = text.split_once('-')?;
    DayRange::new(MinuteOfDay::parse(start)?, MinuteOfDay::parse(end)?)
}

/// How a stretch of a day differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It can be booked, and could not before.
    Added,
    /// It cannot be booked any more.
    Removed,
    /// It can be booked for other appointment types than before.
    OtherTypes,
}

impl Difference {
    const ALL: [(Difference, char); 3] =
        [(Difference::Added, '+'), (Difference::Removed, '-'), (Difference::OtherTypes, '~')];

    fn sign(self) -> char {
        Self::ALL.into_iter().find(|(known, _)| *known == self).map_or('~', |(_, sign)| sign)
    }
}

/// Where `after` differs from `before`, in order, without overlaps.
pub fn differences(before: &[OpenTime], after: &[OpenTime]) -> Vec<(DayRange, Difference)> {
    let cuts: BTreeSet<MinuteOfDay> =
        before.iter().chain(after).flat_map(|open| [open.range.start, open.range.end]).collect();
    let mut found: Vec<(DayRange, Difference)> = Vec::new();
    for (start, end) in cuts.iter().zip(cuts.iter().skip(1)) {
        let Some(piece) = DayRange::new(*start, *end) else { continue };
        let difference = match (bookable(before, piece), bookable(after, piece)) {
            (None, Some(_)) => Difference::Added,
            (Some(_), None) => Difference::Removed,
            (Some(one), Some(other)) if one != other => Difference::OtherTypes,
            (None, None) | (Some(_), Some(_)) => continue,
        };
        match found.last_mut() {
            Some((last, known)) if *known == difference && last.end == piece.start => last.end = piece.end,
            _ => found.push((piece, difference)),
        }
    }
    found
}

/// For which types a stretch can be booked: empty for any, none where it cannot.
fn bookable(free: &[OpenTime], piece: DayRange) -> Option<BTreeSet<&AppointmentTypeRef>> {
    let mut covering = free.iter().filter(|open| open.range.contains(piece)).peekable();
    covering.peek()?;
    let mut types = BTreeSet::new();
    for open in covering {
        if open.only_types.is_empty() {
            return Some(BTreeSet::new());
        }
        types.extend(&open.only_types);
    }
    Some(types)
}

/// A change of one resource's day, from the book to the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When the book was first seen to differ.
    pub noticed_at: DateTime<Utc>,
    /// When it was sent, the time that counted.
    pub sent_at: DateTime<Utc>,
    /// When the partner accepted it.
    pub accepted_at: DateTime<Utc>,
    /// What changed.
    pub differences: Vec<(DayRange, Difference)>,
}

/// The text of the mark of a day's last changes with one more, the newest first.
pub fn with_change(known: &str, change: &Change) -> String {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut text =
        format!("{} {} {}", time(change.noticed_at), time(change.sent_at), time(change.accepted_at));
    for (range, difference) in &change.differences {
        // Writing to a string cannot fail.
        let _ = write!(text, " {}{}", difference.sign(), span(*range));
    }
    for line in known.lines().take(CHANGES_KEPT - 1) {
        text.push('\n');
        text.push_str(line);
    }
    text
}

/// The last changes of a day, the newest first.
pub fn changes(text: &str) -> Vec<Change> {
    text.lines().filter_map(read_change).collect()
}

fn read_change(line: &str) -> Option<Change> {
    let mut words = line.split(' ');
    let mut time = || Some(DateTime::parse_from_rfc3339(words.next()?).ok()?.with_timezone(&Utc));
    let (noticed_at, sent_at, accepted_at) = (time()?, time()?, time()?);
    let read = |word: &str| {
        let (difference, sign) = Difference::ALL.into_iter().find(|(_, sign)| word.starts_with(*sign))?;
        Some((read_span(word.strip_prefix(sign)?)?, difference))
    };
    let differences = words.map(read).collect::<Option<_>>()?;
    Some(Change { noticed_at, sent_at, accepted_at, differences })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn range(start: i64, end: i64) -> DayRange {
        DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end)).unwrap()
    }

    fn open(start: i64, end: i64, types: &[&str]) -> OpenTime {
        let only_types = types.iter().map(|id| AppointmentTypeRef::new(*id)).collect();
        OpenTime { range: range(start, end), only_types }
    }

    fn offer(slot: u32, free: Vec<OpenTime>) -> DayOffer {
        let day = "2026-11-20".parse().unwrap();
        DayOffer { resource: ResourceRef::new("r1"), day, free, slot: Minutes(slot) }
    }

    #[test]
    fn the_text_is_short_and_can_be_read() {
        let offer = offer(15, vec![open(540, 615, &["STD", "NEW"]), open(780, 1440, &[])]);
        assert_eq!(text_of(&offer), "slot=15;09:00-10:15[STD,NEW];13:00-24:00");
        let shown = read(&text_of(&offer));
        assert_eq!(shown, Shown { told: Some(Told { slot: offer.slot, free: offer.free }), in_doubt: false });
    }

    #[test]
    fn an_answer_that_is_not_known_leaves_what_was_accepted_before() {
        let accepted = "slot=15;09:00-10:15";
        let doubtful = in_doubt(accepted);
        assert_ne!(doubtful, accepted);
        assert_eq!(in_doubt(&doubtful), doubtful);
        assert_eq!(read(&doubtful), Shown { in_doubt: true, ..read(accepted) });
    }

    #[test]
    fn marks_of_older_versions_say_nothing() {
        for old in ["", "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090", "slot=15;9-10"] {
            assert_eq!(read(old), Shown { told: None, in_doubt: true }, "{old}");
        }
    }

    #[test]
    fn differences_are_found_whole() {
        let before = [open(540, 720, &[]), open(780, 840, &["NEW"]), open(900, 960, &["NEW"])];
        let after =
            [open(540, 600, &[]), open(615, 720, &[]), open(780, 900, &["STD"]), open(900, 960, &["NEW"])];
        assert_eq!(
            differences(&before, &after),
            [
                (range(600, 615), Difference::Removed),
                (range(780, 840), Difference::OtherTypes),
                (range(840, 900), Difference::Added),
            ]
        );
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn the_last_changes_are_kept_and_no_more() {
        let at = |n: i64| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(n * 1001);
        let change = |n: i64| Change {
            noticed_at: at(n),
            sent_at: at(n + 1),
            accepted_at: at(n + 2),
            differences: vec![(range(540, 555), Difference::Removed), (range(600, 1440), Difference::Added)],
        };
        let text = (0..20).fold(String::new(), |text, n| with_change(&text, &change(n)));
        let kept: Vec<Change> = (12..20).rev().map(change).collect();
        assert_eq!(changes(&text), kept);
        assert_eq!(changes("nonsense\n"), []);
    }

    fn offers() -> impl Strategy<Value = DayOffer> {
        let types = prop::collection::vec(".{0,6}", 0..3);
        let free = prop::collection::vec((0i64..1440, 1i64..600, types), 0..6);
        (0u32..60, free).prop_map(|(slot, free)| {
            let open_time = |(start, length, types): (i64, i64, Vec<String>)| {
                let types: Vec<&str> = types.iter().map(String::as_str).collect();
                open(start, start + length, &types)
            };
            offer(slot, free.into_iter().map(open_time).collect())
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(offer in offers()) {
            let shown = read(&text_of(&offer));
            prop_assert_eq!(shown, Shown { told: Some(Told { slot: offer.slot, free: offer.free }), in_doubt: false });
        }

        #[test]
        fn differences_lead_from_one_to_the_other(one in offers(), other in offers()) {
            let found = differences(&one.free, &other.free);
            for minute in 0..1440 {
                let piece = range(minute, minute + 1);
                let difference = found.iter().find(|(range, _)| range.contains(piece)).map(|(_, found)| *found);
                let expected = match (bookable(&one.free, piece), bookable(&other.free, piece)) {
                    (None, Some(_)) => Some(Difference::Added),
                    (Some(_), None) => Some(Difference::Removed),
                    (one, other) => (one != other).then_some(Difference::OtherTypes),
                };
                prop_assert_eq!(difference, expected);
            }
        }
    }
}
