//! On which days a repeating calendar row happens, as OpenEMR counts them.
//!
//! The rules are OpenEMR's own (`fetchEvents` and `__increment` of its calendar), oddities included: days past the end
//! of a month overflow into the next one and stay shifted, and "every n-th workday" depends on where counting starts.

use chrono::{Datelike, Days, NaiveDate};

/// A repeating row's rule, or that it does not repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Every so often, from the first day on.
    Every {
        /// How many units lie between two occurrences, at least 1.
        count: u32,
        /// Which unit.
        unit: Unit,
    },
    /// On these days of the week; 0 is Sunday. The first day counts whatever day it is.
    Weekdays(Vec<u32>),
    /// The n-th such weekday of every so many months.
    NthWeekday {
        /// 1 to 4, or 5 for the last.
        nth: u32,
        /// 0 is Sunday.
        weekday: u32,
        /// At least 1.
        months: u32,
    },
    /// A rule that cannot be understood: the first day is all that is known.
    Unreadable,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
    /// Days that are no weekend.
    Workday,
}

/// A rule with the days on which it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    rule: Rule,
    except: Vec<String>,
}

impl Recurrence {
    /// Reads the type number and the serialised specification that stand in the row.
    pub fn parse(kind: i64, specification: &str) -> Self {
        let field = |name: &str| field(specification, name);
        let number = |name: &str| field(name).and_then(|text| text.trim().parse::<u32>().ok());
        let except = field("exdate").unwrap_or_default();
        let except = except.split(',').map(str::to_owned).filter(|day| !day.is_empty()).collect();
        let rule = match kind {
            1 | 3 => {
                repeating(field("event_repeat_freq").unwrap_or_default(), number("event_repeat_freq_type"))
            }
            2 => nth_weekday(
                number("event_repeat_on_num"),
                number("event_repeat_on_day"),
                number("event_repeat_on_freq"),
            ),
            _ => None,
        };
        Self { rule: rule.unwrap_or(Rule::Unreadable), except }
    }

    /// Whether the rule could be read.
    pub fn is_readable(&self) -> bool {
        self.rule != Rule::Unreadable
    }

    /// The days from `from` to `to`, both included, on which a row happens that began on `first` and ends on `last`.
    /// `weekend` holds the days of the week that are no workdays; 0 is Sunday.
    pub fn days(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        from: NaiveDate,
        to: NaiveDate,
        weekend: &[u32],
    ) -> Vec<NaiveDate> {
        let stop = last.min(to);
        let days = match &self.rule {
            Rule::Every { count, unit } => {
                let start = skip_ahead(first, *count, *unit, from);
                stepwise(start, from, stop, |day| next(day, *count, *unit, weekend))
            }
            Rule::Weekdays(weekdays) => stepwise(first, from, stop, |day| {
                day.iter_days().skip(1).take(7).find(|day| weekdays.contains(&weekday(*day)))
            }),
            Rule::NthWeekday { nth, weekday, months } => {
                nth_weekdays(first, (*nth, *weekday, *months), from, stop)
            }
            Rule::Unreadable => vec![first],
        };
        days.into_iter()
            .filter(|day| (from..=stop).contains(day))
            .filter(|day| !self.except.contains(&day.format("%Y%m%d").to_string()))
            .collect()
    }
}

fn repeating(frequency: &str, unit: Option<u32>) -> Option<Rule> {
    let unit = match unit? {
        0 => Unit::Day,
        1 => Unit::Week,
        2 => Unit::Month,
        3 => Unit::Year,
        4 => Unit::Workday,
        6 => {
            let days: Option<Vec<u32>> = frequency
                .split(',')
                .map(|day| {
                    day.trim().parse::<u32>().ok().filter(|day| (1..=7).contains(day)).map(|day| day - 1)
                })
                .collect();
            return Some(Rule::Weekdays(days?));
        }
        _ => return None,
    };
    // More than a few thousand of any unit never comes round again within a lifetime.
    let count = frequency.trim().parse().ok().filter(|count| (1..=5_000).contains(count))?;
    Some(Rule::Every { count, unit })
}

fn nth_weekday(nth: Option<u32>, weekday: Option<u32>, months: Option<u32>) -> Option<Rule> {
    let nth = nth.filter(|nth| (1..=5).contains(nth))?;
    let weekday = weekday.filter(|weekday| *weekday <= 6)?;
    let months = months.filter(|months| (1..=1_200).contains(months))?;
    Some(Rule::NthWeekday { nth, weekday, months })
}

/// The value of a field in PHP's serialised form. Lengths are not trusted, because a change of the database's
/// character set can have made them wrong.
fn field<'a>(specification: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\";");
    let value = specification.get(specification.find(&key)? + key.len()..)?;
    match value.get(..2)? {
        "s:" => {
            let quoted = value.get(value.find('"')? + 1..)?;
            quoted.get(..quoted.find('"')?)
        }
        "i:" | "d:" => value.get(2..value.find(';')?),
        _ => None,
    }
}

fn weekday(day: NaiveDate) -> u32 {
    day.weekday().num_days_from_sunday()
}

fn plus(day: NaiveDate, days: u32) -> Option<NaiveDate> {
    day.checked_add_days(Days::new(u64::from(days)))
}

/// Jumps over what lies long before `from`, where every step has the same length.
fn skip_ahead(first: NaiveDate, count: u32, unit: Unit, from: NaiveDate) -> NaiveDate {
    let step = match unit {
        Unit::Day => count,
        Unit::Week => count * 7,
        Unit::Month | Unit::Year | Unit::Workday => return first,
    };
    let gap = u32::try_from((from - first).num_days()).unwrap_or(0);
    plus(first, gap / step * step).unwrap_or(first)
}

fn stepwise(
    start: NaiveDate,
    from: NaiveDate,
    stop: NaiveDate,
    next: impl Fn(NaiveDate) -> Option<NaiveDate>,
) -> Vec<NaiveDate> {
    let mut days = Vec::new();
    let mut at = Some(start);
    while let Some(day) = at
        && day <= stop
    {
        if day >= from {
            days.push(day);
        }
        at = next(day).filter(|next| *next > day);
    }
    days
}

fn next(day: NaiveDate, count: u32, unit: Unit, weekend: &[u32]) -> Option<NaiveDate> {
    match unit {
        Unit::Day => plus(day, count),
        Unit::Week => plus(day, count * 7),
        Unit::Month => months_on(day, count),
        Unit::Year => months_on(day, count * 12),
        Unit::Workday => next_workday(day, count, weekend),
    }
}

/// The same day of a later month, overflowing where that month is shorter.
fn months_on(day: NaiveDate, months: u32) -> Option<NaiveDate> {
    let first = day.with_day(1)?.checked_add_months(chrono::Months::new(months))?;
    plus(first, day.day0())
}

fn next_workday(day: NaiveDate, count: u32, weekend: &[u32]) -> Option<NaiveDate> {
    let mut step = count;
    for ahead in 1..=count {
        if weekend.contains(&weekday(plus(day, ahead)?)) {
            step += 1;
        }
    }
    let landing = weekday(plus(day, step)?);
    let further = match weekend {
        [first, _] if landing == *first => 2,
        [_, second] if landing == *second => 1,
        [only] if landing == *only => 1,
        _ => 0,
    };
    plus(day, step + further)
}

fn nth_weekdays(
    first: NaiveDate,
    (nth, wanted, months): (u32, u32, u32),
    from: NaiveDate,
    stop: NaiveDate,
) -> Vec<NaiveDate> {
    let mut days = Vec::new();
    let mut month = first.with_day(1);
    while let Some(start) = month
        && start <= stop
    {
        let offset = (wanted + 7 - weekday(start)) % 7;
        // The last one is the fifth, or the fourth where the month has no fifth.
        let in_month = (1..=nth).rev().filter_map(|nth| plus(start, offset + 7 * (nth - 1)));
        if let Some(day) = in_month.into_iter().find(|day| day.month() == start.month())
            && day >= from
        {
            days.push(day);
        }
        month = start.checked_add_months(chrono::Months::new(months));
    }
    days
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const WEEKEND: &[u32] = &[6, 0];

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn specification(frequency: &str, unit: &str, on: [&str; 3], except: &str) -> String {
        format!(
            "a:6:{{s:17:\"event_repeat_freq\";s:{}:\"{frequency}\";s:22:\"event_repeat_freq_type\";s:1:\"{unit}\";\
             s:19:\"event_repeat_on_num\";s:1:\"{}\";s:19:\"event_repeat_on_day\";s:1:\"{}\";\
             s:20:\"event_repeat_on_freq\";s:1:\"{}\";s:6:\"exdate\";s:{}:\"{except}\";}}",
            frequency.len(),
            on[0],
            on[1],
            on[2],
            except.len()
        )
    }

    fn days(kind: i64, specification: &str, first: &str, last: &str, from: &str, to: &str) -> Vec<String> {
        let recurrence = Recurrence::parse(kind, specification);
        let days = recurrence.days(day(first), day(last), day(from), day(to), WEEKEND);
        days.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn days_and_weeks_with_exceptions() {
        let weekly = specification("2", "1", ["1", "0", "0"], "20260119,20260302");
        assert_eq!(
            days(1, &weekly, "2026-01-05", "2026-03-10", "2026-01-10", "2026-12-31"),
            ["2026-02-02", "2026-02-16"]
        );
        let daily = specification("3", "0", ["1", "0", "0"], "");
        assert_eq!(
            days(1, &daily, "2020-01-01", "2030-01-01", "2026-01-01", "2026-01-07"),
            ["2026-01-02", "2026-01-05"]
        );
    }

    #[test]
    fn the_end_of_the_month_overflows_and_stays_shifted() {
        let monthly = specification("1", "2", ["1", "0", "0"], "");
        assert_eq!(
            days(1, &monthly, "2026-01-31", "2026-06-30", "2026-01-01", "2026-12-31"),
            ["2026-01-31", "2026-03-03", "2026-04-03", "2026-05-03", "2026-06-03"]
        );
        let yearly = specification("1", "3", ["1", "0", "0"], "");
        assert_eq!(
            days(1, &yearly, "2024-02-29", "2027-12-31", "2024-01-01", "2027-12-31"),
            ["2024-02-29", "2025-03-01", "2026-03-01", "2027-03-01"]
        );
    }

    #[test]
    fn workdays() {
        let every = specification("1", "4", ["1", "0", "0"], "");
        assert_eq!(
            days(1, &every, "2026-08-06", "2026-08-12", "2026-08-01", "2026-08-31"),
            ["2026-08-06", "2026-08-07", "2026-08-10", "2026-08-11", "2026-08-12"]
        );
        // Every second workday from a Friday: Tuesday, Thursday, Monday.
        let second = specification("2", "4", ["1", "0", "0"], "");
        assert_eq!(
            days(1, &second, "2026-08-07", "2026-08-18", "2026-08-01", "2026-08-31"),
            ["2026-08-07", "2026-08-11", "2026-08-13", "2026-08-17"]
        );
        let recurrence = Recurrence::parse(1, &every);
        let sunday_only =
            recurrence.days(day("2026-08-07"), day("2026-08-11"), day("2026-08-07"), day("2026-08-11"), &[0]);
        assert_eq!(sunday_only, [day("2026-08-07"), day("2026-08-08"), day("2026-08-10"), day("2026-08-11")]);
    }

    #[test]
    fn weekdays_and_the_last_friday() {
        // The first day counts even where it is not one of the days.
        let set = specification("2,4", "6", ["1", "0", "0"], "");
        assert_eq!(
            days(3, &set, "2026-08-04", "2026-08-12", "2026-08-01", "2026-08-31"),
            ["2026-08-04", "2026-08-05", "2026-08-10", "2026-08-12"]
        );
        let last_friday = specification("0", "0", ["5", "5", "1"], "");
        assert_eq!(
            days(2, &last_friday, "2026-01-02", "2026-12-31", "2026-01-01", "2026-05-31"),
            ["2026-01-30", "2026-02-27", "2026-03-27", "2026-04-24", "2026-05-29"]
        );
        let first_saturday = specification("0", "0", ["1", "6", "2"], "20260404");
        assert_eq!(
            days(2, &first_saturday, "2026-02-07", "2026-12-31", "2026-01-01", "2026-08-31"),
            ["2026-02-07", "2026-06-06", "2026-08-01"]
        );
    }

    #[test]
    fn integers_and_wrong_lengths_in_the_specification() {
        let integers =
            "a:6:{s:17:\"event_repeat_freq\";i:1;s:22:\"event_repeat_freq_type\";i:1;s:6:\"exdate\";N;}";
        assert_eq!(
            days(1, integers, "2026-08-03", "2026-08-17", "2026-08-01", "2026-08-31"),
            ["2026-08-03", "2026-08-10", "2026-08-17"]
        );
        let wrong = "a:6:{s:9:\"event_repeat_freq\";s:7:\"1\";s:2:\"event_repeat_freq_type\";s:1:\"0\";}";
        assert!(Recurrence::parse(1, wrong).is_readable());
    }

    #[test]
    fn what_cannot_be_read_happens_once_and_ends() {
        let zero = specification("0", "0", ["1", "0", "0"], "");
        for (kind, text) in [
            (1, zero.as_str()),
            (1, ""),
            (1, "a:1:{"),
            (3, "a:1:{s:17:\"event_repeat_freq\";s:3:\"a,b\";s:22:\"event_repeat_freq_type\";s:1:\"6\";}"),
            (2, &specification("0", "0", ["0", "9", "0"], "")),
            (9, &zero),
        ] {
            assert!(!Recurrence::parse(kind, text).is_readable(), "{kind} {text}");
            assert_eq!(
                days(kind, text, "2026-08-03", "2030-01-01", "2026-08-01", "2026-12-31"),
                ["2026-08-03"]
            );
        }
    }
}
