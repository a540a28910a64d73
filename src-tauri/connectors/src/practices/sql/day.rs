//! From the rows of a calendar to working and busy time, per resource and day. Pure.

use std::collections::{BTreeMap, HashMap};

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use domain::diary::{Appointment, AppointmentStatus, BookDay, OpenTime, Resource};
use domain::ids::{AppointmentRef, AppointmentTypeRef, LocationRef, PatientRef, ResourceRef};
use domain::time::{DayRange, Horizon, Meaning, MinuteOfDay, Minutes, PracticeTime, PracticeZone};

use super::profile::Availability;
use super::recurrence::Recurrence;

const DAY_SECONDS: i64 = 86_400;

/// What a row does to the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It takes time.
    Takes,
    /// The practitioner can be booked from its start on.
    Opens,
    /// The practitioner cannot be booked from its start on.
    Closes,
}

/// A row of the calendar.
#[derive(Clone, Debug)]
pub struct CalendarRow {
    /// The practice system's key.
    pub id: String,
    /// Whose; none means the whole practice.
    pub resource: Option<String>,
    /// What it does.
    pub kind: Kind,
    /// For whom.
    pub patient: Option<String>,
    /// For what.
    pub appointment_type: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// The day, or the first of a series.
    pub day: NaiveDate,
    /// Seconds after midnight.
    pub start: i64,
    /// Length in seconds.
    pub length: i64,
    /// How it stands.
    pub status: AppointmentStatus,
    /// Working time that is reserved for this type.
    pub only_type: Option<String>,
    /// When it was last changed, wall clock.
    pub changed: Option<NaiveDateTime>,
    /// Whether it holds a time for somebody who is not decided on yet.
    pub held: bool,
    /// How it repeats, and its last day.
    pub series: Option<(Recurrence, NaiveDate)>,
}

/// How rows are to be understood.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How working hours are written.
    pub availability: Availability,
    /// Whether working time ends with its own length.
    pub trust_duration: bool,
    /// Whether the time of cancelled rows is free.
    pub free_cancelled: bool,
    /// The grid, in minutes.
    pub slot: u32,
    /// Where working time without an end stops, in seconds after midnight.
    pub day_end: i64,
    /// The days of the week that are no workdays; 0 is Sunday.
    pub weekend: Vec<u32>,
    /// The locations that count; none means all.
    pub locations: Option<Vec<LocationRef>>,
    /// For the hour that a day may lack.
    pub zone: PracticeZone,
}

/// A piece of working time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPiece {
    /// When.
    pub range: DayRange,
    /// Reserved for this type.
    pub only_type: Option<String>,
    /// Where the practitioner is then.
    pub location: Option<String>,
}

/// One resource on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedDay {
    /// Working time in order.
    pub open: Vec<OpenPiece>,
    /// Busy time, in order and merged.
    pub busy: Vec<DayRange>,
}

impl PlannedDay {
    /// The same in the words of the domain.
    pub fn book_day(&self) -> BookDay {
        let open = |piece: &OpenPiece| OpenTime {
            range: piece.range,
            only_types: piece.only_type.iter().map(AppointmentTypeRef::new).collect(),
        };
        BookDay { open: self.open.iter().map(open).collect(), busy: self.busy.clone() }
    }
}

/// A resource, and how the calendar calls whose time it is. Several resources can share a calendar.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    /// The resource.
    pub resource: &'a ResourceRef,
    /// As the rows call it.
    pub name: &'a ResourceRef,
}

impl<'a> Calendar<'a> {
    /// A resource with its calendar.
    pub fn of(resource: &'a Resource) -> Self {
        Self { resource: &resource.id, name: resource.calendar() }
    }
}

/// The days of several resources.
pub type Plan = BTreeMap<(ResourceRef, NaiveDate), PlannedDay>;

struct Mark<'a> {
    start: i64,
    until: Option<i64>,
    opens: bool,
    only_type: Option<&'a str>,
    location: Option<&'a str>,
}

#[derive(Default)]
struct Gathered<'a> {
    marks: Vec<Mark<'a>>,
    busy: Vec<DayRange>,
}

/// Works out every resource's days within the horizon.
pub fn plan(rows: &[CalendarRow], resources: &[Calendar<'_>], horizon: Horizon, rules: &Rules) -> Plan {
    let days: Vec<NaiveDate> = horizon.days().collect();
    let everybody: Vec<usize> = (0..resources.len()).collect();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, calendar) in resources.iter().enumerate() {
        places.entry(calendar.name.as_str()).or_default().push(at);
    }
    let mut cells: Vec<Gathered<'_>> = Vec::new();
    cells.resize_with(resources.len() * days.len(), Gathered::default);
    for row in rows {
        let whose = match row.resource.as_deref() {
            None => &everybody,
            Some(resource) => match places.get(resource) {
                Some(shared) => shared,
                None => continue,
            },
        };
        for day in row.days(horizon, rules) {
            let offset = (day - horizon.first).num_days();
            match row.kind {
                Kind::Takes => {
                    if rules.free_cancelled && row.status == AppointmentStatus::Cancelled {
                        continue;
                    }
                    for (offset, range) in row.taken(offset, rules) {
                        let Some(column) = usize::try_from(offset).ok().filter(|at| *at < days.len()) else {
                            continue;
                        };
                        for at in whose {
                            if let Some(cell) = cells.get_mut(at * days.len() + column) {
                                cell.busy.push(range);
                            }
                        }
                    }
                }
                // Hours that are nobody's own open nothing, and are not looked at by OpenEMR either.
                Kind::Opens | Kind::Closes if row.resource.is_none() => {}
                Kind::Opens | Kind::Closes => {
                    let Some(column) = usize::try_from(offset).ok().filter(|at| *at < days.len()) else {
                        continue;
                    };
                    for at in whose {
                        if let Some(cell) = cells.get_mut(at * days.len() + column) {
                            cell.marks.push(row.mark(rules));
                        }
                    }
                }
            }
        }
    }
    let skipped: Vec<Option<DayRange>> = days.iter().map(|day| skipped_hour(*day, rules.zone)).collect();
    let keys =
        resources.iter().flat_map(|resource| days.iter().zip(&skipped).map(move |day| (resource, day)));
    let mut plan = Plan::new();
    for ((resource, (day, skipped)), cell) in keys.zip(cells) {
        let planned =
            PlannedDay { open: open_pieces(cell.marks, rules, *skipped), busy: DayRange::merged(cell.busy) };
        if !planned.open.is_empty() || !planned.busy.is_empty() {
            plan.insert((resource.resource.clone(), *day), planned);
        }
    }
    plan
}

/// The patients' appointments among the rows, in order, each with the first resource that shares its calendar.
/// Occurrences of a series are called `ID@DAY`.
pub fn appointments(
    rows: &[CalendarRow],
    resources: &[Calendar<'_>],
    horizon: Horizon,
    rules: &Rules,
) -> Vec<Appointment> {
    let known: HashMap<&str, &ResourceRef> =
        resources.iter().rev().map(|calendar| (calendar.name.as_str(), calendar.resource)).collect();
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Takes && (row.patient.is_some() || row.held)) {
        let Some(resource) = row.resource.as_deref().and_then(|resource| known.get(resource).copied()) else {
            continue;
        };
        for day in row.days(horizon, rules) {
            let Some(starts) = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::seconds(row.start))
            else {
                continue;
            };
            if !horizon.contains(starts.date()) {
                continue;
            }
            let id = match row.series {
                None => row.id.clone(),
                Some(_) => format!("{}{}{day}", row.id, SERIES_SEPARATOR),
            };
            found.push(Appointment {
                id: AppointmentRef::new(id),
                resource: resource.clone(),
                patient: row.patient.as_deref().map(PatientRef::new),
                appointment_type: row.appointment_type.as_deref().map(AppointmentTypeRef::new),
                starts: PracticeTime(starts),
                length: Minutes(u32::try_from(row.length.max(0).div_euclid(60)).unwrap_or(u32::MAX)),
                status: row.status,
                changed: row.changed.map(PracticeTime),
            });
        }
    }
    found.sort_by(|a, b| (a.starts, &a.resource, &a.id).cmp(&(b.starts, &b.resource, &b.id)));
    found
}

/// Stands between a series' key and the day of one occurrence.
pub const SERIES_SEPARATOR: char = '@';

impl CalendarRow {
    /// The days on which it begins, from which time within the horizon may be taken.
    fn days(&self, horizon: Horizon, rules: &Rules) -> Vec<NaiveDate> {
        let Some((recurrence, last)) = &self.series else { return vec![self.day] };
        let reach = u64::try_from((self.start + self.length).max(0) / DAY_SECONDS).unwrap_or(0);
        let from = horizon.first.checked_sub_days(Days::new(reach.min(400))).unwrap_or(horizon.first);
        recurrence.days(self.day, *last, from, horizon.last, &rules.weekend)
    }

    /// The stretches that it takes, with each one's day as an offset. Ends are rounded outwards to whole minutes.
    fn taken(&self, offset: i64, rules: &Rules) -> impl Iterator<Item = (i64, DayRange)> {
        let shortest = match rules.availability {
            Availability::PerDate => 0,
            // OpenEMR's own finder lets a row take one step of the grid at least.
            Availability::Openemr => i64::from(rules.slot) * 60,
        };
        let start = self.start.max(0);
        let end = start.saturating_add(self.length.max(shortest)).min(400 * DAY_SECONDS);
        (start / DAY_SECONDS..=end / DAY_SECONDS).filter_map(move |further| {
            let base = further * DAY_SECONDS;
            let (start, end) = ((start - base).max(0), (end - base).min(DAY_SECONDS));
            let range = DayRange::new(
                MinuteOfDay::clamped(start.div_euclid(60)),
                MinuteOfDay::clamped((end + 59).div_euclid(60)),
            );
            range.map(|range| (offset + further, range))
        })
    }

    fn mark(&self, rules: &Rules) -> Mark<'_> {
        let elsewhere = match (&rules.locations, &self.location) {
            (Some(ours), Some(location)) => !ours.iter().any(|ours| ours.as_str() == location),
            (None, _) | (_, None) => false,
        };
        let until = (rules.trust_duration && self.length > 0).then(|| self.start.saturating_add(self.length));
        Mark {
            start: self.start,
            until,
            opens: self.kind == Kind::Opens && !elsewhere,
            only_type: self.only_type.as_deref(),
            location: self.location.as_deref(),
        }
    }
}

fn open_pieces(mut marks: Vec<Mark<'_>>, rules: &Rules, skipped: Option<DayRange>) -> Vec<OpenPiece> {
    // At one and the same time closing wins over opening, and reserved time over time for everyone.
    marks.sort_by_key(|mark| (mark.start, mark.opens, mark.only_type.is_none()));
    let mut pieces: Vec<OpenPiece> = Vec::new();
    for (at, mark) in marks.iter().enumerate() {
        let beaten =
            marks.get(..at).is_some_and(|before| before.iter().any(|other| other.start == mark.start));
        let decides = rules.availability == Availability::PerDate || !beaten;
        if !mark.opens || !decides {
            continue;
        }
        let next = marks.iter().map(|other| other.start).find(|start| *start > mark.start);
        let end = match (rules.availability, mark.until, next) {
            (Availability::PerDate, until, _) => until.unwrap_or(rules.day_end),
            (Availability::Openemr, Some(until), Some(next)) => until.min(next),
            (Availability::Openemr, Some(until), None) => until,
            (Availability::Openemr, None, Some(next)) => next,
            (Availability::Openemr, None, None) => rules.day_end,
        };
        let range = DayRange::new(
            MinuteOfDay::clamped((mark.start + 59).div_euclid(60)),
            MinuteOfDay::clamped(end.div_euclid(60)),
        );
        let Some(range) = range else { continue };
        let halves: Vec<DayRange> = match skipped {
            Some(skipped) => range.without(skipped).collect(),
            None => vec![range],
        };
        pieces.extend(halves.into_iter().map(|range| OpenPiece {
            range,
            only_type: mark.only_type.map(str::to_owned),
            location: mark.location.map(str::to_owned),
        }));
    }
    pieces.sort_by_key(|piece| piece.range);
    pieces
}

/// The stretch of wall-clock time that a day lacks because the clocks go forward.
fn skipped_hour(day: NaiveDate, zone: PracticeZone) -> Option<DayRange> {
    let minute = |minute: i64| PracticeTime(day.and_time(NaiveTime::MIN) + TimeDelta::minutes(minute));
    let offset = |at: i64| zone.offset_seconds(zone.instant(minute(at)));
    if offset(1439) <= offset(0) {
        return None;
    }
    let never = |at: &i64| zone.meaning(minute(*at)) == Meaning::Never;
    let first = (0..1440).find(never)?;
    let last = (first..1440).take_while(never).last()?;
    DayRange::new(MinuteOfDay::clamped(first), MinuteOfDay::clamped(last + 1))
}
