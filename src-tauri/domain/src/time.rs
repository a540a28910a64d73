//! Practice time: the wall clock of the clinic, without an offset, as books and partners write it.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A length in seconds, as Healthengine counts bookings and slots (sheet §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub i64);

/// A length in minutes, as practice systems count appointment types (sheet §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minutes(pub u32);

impl Seconds {
    /// Whole minutes, rounded up, or nothing when the length is not between one minute and a day.
    pub fn sensible_minutes(self) -> Option<Minutes> {
        if !(60..=86_400).contains(&self.0) {
            return None;
        }
        u32::try_from((self.0 + 59) / 60).ok().map(Minutes)
    }
}

impl Minutes {
    /// The same length in seconds.
    pub fn seconds(self) -> Seconds {
        Seconds(i64::from(self.0) * 60)
    }
}

/// Minutes after midnight on the practice's wall clock, 0 to 1440.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    /// The first minute of the day.
    pub const START: MinuteOfDay = MinuteOfDay(0);
    /// Midnight at the day's end.
    pub const END: MinuteOfDay = MinuteOfDay(1440);

    /// Clamps to 0..=1440.
    pub fn clamped(minutes: i64) -> Self {
        Self(u16::try_from(minutes.clamp(0, 1440)).unwrap_or(1440))
    }

    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        if !two_digits(hours) || !two_digits(minutes) {
            return None;
        }
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60 || hours == 24 && minutes == 0).then_some(Self(hours * 60 + minutes))
    }

    /// Minutes after midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for MinuteOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A stretch of one day, its end excluded. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayRange {
    /// First minute.
    pub start: MinuteOfDay,
    /// First minute after.
    pub end: MinuteOfDay,
}

impl DayRange {
    /// The range, unless it is empty or backwards.
    pub fn new(start: MinuteOfDay, end: MinuteOfDay) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// Whether the two share a minute.
    pub fn overlaps(self, other: DayRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies wholly within.
    pub fn contains(self, other: DayRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Length in minutes.
    pub fn minutes(self) -> u16 {
        self.end.minutes() - self.start.minutes()
    }

    /// The same minutes in order, with those that overlap or touch made one.
    pub fn merged(mut ranges: Vec<DayRange>) -> Vec<DayRange> {
        ranges.sort();
        let mut merged: Vec<DayRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// What is left of `self` outside `hole`.
    pub fn without(self, hole: DayRange) -> impl Iterator<Item = DayRange> {
        let before = DayRange::new(self.start, self.end.min(hole.start));
        let after = DayRange::new(self.start.max(hole.end), self.end);
        before.into_iter().chain(after)
    }
}

/// Days from `first` to `last`, both included, on the practice's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// First day.
    pub first: NaiveDate,
    /// Last day.
    pub last: NaiveDate,
}

impl Horizon {
    /// `first` and the `days` after it.
    pub fn from_day(first: NaiveDate, days: u32) -> Self {
        Self { first, last: first.checked_add_days(Days::new(u64::from(days))).unwrap_or(first) }
    }

    /// Every day, in order.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }

    /// Whether the day lies within.
    pub fn contains(self, day: NaiveDate) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// A time on the practice's wall clock. It has no offset, because neither books nor partners write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PracticeTime(pub NaiveDateTime);

impl PracticeTime {
    /// The day.
    pub fn day(self) -> NaiveDate {
        self.0.date()
    }

    /// The minute of that day; seconds are dropped.
    pub fn minute(self) -> MinuteOfDay {
        MinuteOfDay::clamped(i64::from(self.0.hour() * 60 + self.0.minute()))
    }

    /// The stretch of the day that an appointment of this length takes; it ends at midnight at the latest.
    pub fn range(self, length: Minutes) -> Option<DayRange> {
        let start = self.minute();
        DayRange::new(start, MinuteOfDay::clamped(i64::from(start.minutes()) + i64::from(length.0)))
    }
}

/// What a wall-clock time means on the real line (daylight saving).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// One instant.
    Once(DateTime<Utc>),
    /// The clocks went back: two instants, the earlier first.
    Twice(DateTime<Utc>, DateTime<Utc>),
    /// The clocks went forward over it.
    Never,
}

/// The practice's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PracticeZone(pub Tz);

impl PracticeZone {
    /// Reads an IANA name, `Australia/Melbourne`.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The wall clock at `at`.
    pub fn wall_clock(self, at: DateTime<Utc>) -> PracticeTime {
        PracticeTime(at.with_timezone(&self.0).naive_local())
    }

    /// The practice's calendar day at `at`.
    pub fn today(self, at: DateTime<Utc>) -> NaiveDate {
        self.wall_clock(at).day()
    }

    /// The offset from UTC at `at`, in seconds east.
    pub fn offset_seconds(self, at: DateTime<Utc>) -> i32 {
        use chrono::Offset;
        at.with_timezone(&self.0).offset().fix().local_minus_utc()
    }

    /// What a wall-clock time means.
    pub fn meaning(self, time: PracticeTime) -> Meaning {
        match self.0.from_local_datetime(&time.0) {
            chrono::LocalResult::Single(at) => Meaning::Once(at.with_timezone(&Utc)),
            chrono::LocalResult::Ambiguous(a, b) => {
                let (a, b) = (a.with_timezone(&Utc), b.with_timezone(&Utc));
                Meaning::Twice(a.min(b), a.max(b))
            }
            chrono::LocalResult::None => Meaning::Never,
        }
    }

    /// The instant of a wall-clock time: the later one where it happens twice, and the instant at which the
    /// clocks went forward where it does not happen. For deciding whether something has passed.
    pub fn instant(self, time: PracticeTime) -> DateTime<Utc> {
        match self.meaning(time) {
            Meaning::Once(at) | Meaning::Twice(_, at) => at,
            Meaning::Never => match self.meaning(PracticeTime(time.0 + TimeDelta::hours(1))) {
                Meaning::Once(at) | Meaning::Twice(at, _) => at,
                Meaning::Never => Utc.from_utc_datetime(&time.0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> PracticeTime {
        PracticeTime(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time"))
    }

    #[test]
    fn the_hour_that_is_skipped_and_the_one_that_comes_twice() {
        let melbourne = PracticeZone::parse("Australia/Melbourne").expect("known");
        assert_eq!(melbourne.meaning(time("2026-10-04 02:15")), Meaning::Never);
        assert!(
            matches!(melbourne.meaning(time("2026-04-05 02:15")), Meaning::Twice(a, b) if b - a == TimeDelta::hours(1))
        );
        assert!(matches!(melbourne.meaning(time("2026-04-05 03:15")), Meaning::Once(_)));
        let brisbane = PracticeZone::parse("Australia/Brisbane").expect("known");
        assert!(matches!(brisbane.meaning(time("2026-10-04 02:15")), Meaning::Once(_)));
    }

    #[test]
    fn lengths_that_make_no_sense_are_no_minutes() {
        assert_eq!(Seconds(900).sensible_minutes(), Some(Minutes(15)));
        assert_eq!(Seconds(901).sensible_minutes(), Some(Minutes(16)));
        for absurd in [0, -900, 59, 86_401, i64::MAX, i64::MIN] {
            assert_eq!(Seconds(absurd).sensible_minutes(), None, "{absurd}");
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(MinuteOfDay::parse("08:05").map(MinuteOfDay::minutes), Some(485));
        assert_eq!(MinuteOfDay::parse("24:00"), Some(MinuteOfDay::END));
        for wrong in ["8:05", "25:00", "08:60", "0805", "+8:05", ""] {
            assert_eq!(MinuteOfDay::parse(wrong), None, "{wrong}");
        }
        assert_eq!(MinuteOfDay::clamped(485).to_string(), "08:05");
    }

    #[test]
    fn a_hole_in_a_range() {
        let range = |a, b| DayRange::new(MinuteOfDay::clamped(a), MinuteOfDay::clamped(b)).expect("a range");
        let left: Vec<_> = range(540, 720).without(range(600, 630)).collect();
        assert_eq!(left, [range(540, 600), range(630, 720)]);
        assert_eq!(range(540, 720).without(range(500, 800)).count(), 0);
        assert_eq!(range(540, 720).without(range(720, 800)).collect::<Vec<_>>(), [range(540, 720)]);
    }
}
