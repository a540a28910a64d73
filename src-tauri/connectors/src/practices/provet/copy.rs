//! The practice's book as we last knew it, kept in memory and in step.
//!
//! Everybody who asks is answered from here, so that looking every few seconds costs one request and not the budgets.
//! What is kept is replaced in whole parts: where something cannot be read, everything stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::time::{Horizon, PracticeTime, PracticeZone};

use super::client::{Client, Listing, Resource, Spending};
use super::mark::Mark;
use super::wire::{Appointment, Department, Flag, Reason, Shift, ShiftType, User};

/// How often appointments are asked for what changed, at most.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(4);
/// How often departments, users and reasons are read. They seldom change, and have no mark of when.
const LISTS_EVERY: TimeDelta = TimeDelta::seconds(60);
/// How often shifts are read, at least. A shift that is deleted leaves no trace, so that all are read (sheet §6).
const SHIFTS_EVERY: TimeDelta = TimeDelta::seconds(60);
/// How often appointments are read whole, at least, because one that is deleted leaves no trace either.
const RECONCILE_EVERY: TimeDelta = TimeDelta::minutes(10);
/// Reading whole lists again takes this part of their budget at most: one request in so many.
const SHARE_OF_BUDGET: i64 = 5;
/// How many of a list's requests Provet takes each minute, at least (sheet §4).
const LEAST_BUDGET: i64 = 100;
/// How many rows a page has where nobody asks for more (sheet §3).
const PAGE: usize = 50;
/// How many days back appointments are kept, for bookings that staff change afterwards.
const DAYS_BACK: u64 = 8;
/// How many days ahead shifts are read at least, so that a short look does not have to read them twice.
const DAYS_AHEAD: u64 = 31;

/// The appointments, by number.
pub type Appointments = BTreeMap<u64, Appointment>;

/// What the book is made of.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The departments.
    pub departments: BTreeMap<u64, Department>,
    /// Staff, those who left included.
    pub users: BTreeMap<u64, User>,
    /// What appointments are for.
    pub reasons: BTreeMap<u64, Reason>,
    /// Kinds of shifts.
    pub shift_types: BTreeMap<u64, ShiftType>,
    /// Working time within the days that are kept.
    pub shifts: BTreeMap<u64, Shift>,
    /// Appointments from the first of these days on, without an end, cancelled ones included.
    pub appointments: Appointments,
}

/// The copy, and how old its parts are.
#[derive(Default)]
pub struct Copy {
    /// What it holds.
    contents: Arc<Contents>,
    /// The days of the shifts, and the first of the appointments; none before anything was read.
    window: Option<Horizon>,
    /// Differs from every earlier state, those before a restart included.
    version: (i64, u64),
    lists_at: Option<DateTime<Utc>>,
    shifts_at: Option<DateTime<Utc>>,
    looked_at: Option<DateTime<Utc>>,
    reconciled_at: Option<DateTime<Utc>>,
    /// From when on changes are asked for; none where nothing was seen by which to tell.
    mark: Option<Mark>,
    ahead: Ahead,
}

/// Lists that are being read whole, of these days. Where a budget is spent before their end, the next look goes on.
#[derive(Default)]
struct Ahead {
    window: Option<Horizon>,
    shifts: Listing<Shift>,
    appointments: Listing<Appointment>,
}

/// More appointments than these are not asked for one by one; what was deleted is found when all are read.
const MOST_HEARD: usize = 100;
/// For how long our own writing may come back as news (sheet §7: a delivery is tried up to eleven times).
const ECHOES_FOR: TimeDelta = TimeDelta::seconds(60);

/// What somebody heard of, which is looked at with the next question.
#[derive(Debug, Default)]
pub struct Hints {
    heard: Mutex<Heard>,
    /// What we wrote ourselves, and when.
    written: Mutex<BTreeMap<u64, DateTime<Utc>>>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    /// Departments, users, reasons or shifts may have changed.
    lists: bool,
    /// Appointments may have changed, these among them. One that was deleted leaves no trace in a list of changes.
    appointments: Option<BTreeSet<u64>>,
}

impl Hints {
    /// Departments, users, reasons or shifts may have changed.
    pub fn lists(&self) {
        self.heard(|heard| heard.lists = true);
    }

    /// Appointments may have changed.
    pub fn something(&self) {
        self.heard(|heard| {
            heard.appointments.get_or_insert_default();
        });
    }

    /// This appointment may have changed, or is gone. False where we wrote it ourselves a moment ago.
    pub fn appointment(&self, id: u64, now: DateTime<Utc>) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if written.is_some_and(|at| (TimeDelta::zero()..=ECHOES_FOR).contains(&(now - at))) {
            return false;
        }
        self.heard(|heard| {
            let appointments = heard.appointments.get_or_insert_default();
            if appointments.len() < MOST_HEARD {
                appointments.insert(id);
            }
        });
        true
    }

    /// We wrote this appointment. What was heard of it meanwhile was that.
    pub fn wrote(&self, id: u64, now: DateTime<Utc>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|_, at| (TimeDelta::zero()..=ECHOES_FOR).contains(&(now - *at)));
        written.insert(id, now);
        self.heard(|heard| {
            if let Some(appointments) = &mut heard.appointments {
                appointments.remove(&id);
            }
        });
    }

    fn heard<T>(&self, use_it: impl FnOnce(&mut Heard) -> T) -> T {
        use_it(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was heard, to be looked at.
    fn take(&self) -> Looking<'_> {
        Looking { hints: self, heard: self.heard(std::mem::take), done: false }
    }
}

/// What is being looked at. Whoever gives up before the end leaves it to the next look.
struct Looking<'h> {
    hints: &'h Hints,
    heard: Heard,
    done: bool,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let unused = std::mem::take(&mut self.heard);
        self.hints.heard(|heard| {
            heard.lists |= unused.lists;
            if let Some(appointments) = unused.appointments {
                heard.appointments.get_or_insert_default().extend(appointments);
            }
        });
    }
}

/// How new what is asked for has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A few seconds old will do.
    Recent,
    /// Asked of Provet now, because something is decided by it.
    Now,
}

impl Copy {
    /// What it holds.
    pub fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.contents)
    }

    /// A short text that differs whenever the contents do.
    pub fn stamp(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }

    /// Takes in an appointment that Provet has just told us of.
    pub fn heard_of(&mut self, appointment: Appointment, now: DateTime<Utc>) {
        let mut contents = (*self.contents).clone();
        contents.appointments.insert(appointment.id, appointment);
        self.put(contents, now);
    }

    /// Takes an appointment out of which Provet says that it is gone.
    pub fn heard_gone(&mut self, appointment: u64, now: DateTime<Utc>) {
        let mut contents = (*self.contents).clone();
        contents.appointments.remove(&appointment);
        self.put(contents, now);
    }

    /// Brings it up to date, so far as `wanted` and the days that are asked for need it.
    pub async fn keep_in_step(
        &mut self,
        client: &Client,
        zone: PracticeZone,
        asked: Horizon,
        wanted: Wanted,
        hints: &Hints,
        now: DateTime<Utc>,
    ) -> Result<(), ReadError> {
        let today = zone.today(now);
        let first = asked.first.min(today).checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(asked.first);
        let last = asked.last.max(today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today));
        let covers = |window: &Horizon| window.first <= asked.first && asked.last <= window.last;
        // With each new day at the latest, so that what lies long back does not pile up.
        let known = self.window.filter(covers).or(self.ahead.window.filter(covers));
        let window = known.unwrap_or(Horizon { first, last });
        if self.ahead.window != Some(window) {
            self.ahead = Ahead { window: Some(window), ..Ahead::default() };
        }
        let mut looking = hints.take();
        self.step(client, zone, window, &looking.heard, wanted, now).await?;
        looking.done = true;
        Ok(())
    }

    async fn step(
        &mut self,
        client: &Client,
        zone: PracticeZone,
        window: Horizon,
        heard: &Heard,
        wanted: Wanted,
        now: DateTime<Utc>,
    ) -> Result<(), ReadError> {
        let due = |at: Option<DateTime<Utc>>, every: TimeDelta| {
            at.is_none_or(|at| !(TimeDelta::zero()..every).contains(&(now - at)))
        };
        let grew = self.window != Some(window);
        let known = self.contents();
        let read_lists = heard.lists || due(self.lists_at, LISTS_EVERY);
        let mut read_shifts =
            grew || heard.lists || due(self.shifts_at, whole_list_every(known.shifts.len(), SHIFTS_EVERY));
        let look = wanted == Wanted::Now || heard.appointments.is_some() || due(self.looked_at, LOOK_EVERY);
        let mut reconcile = grew
            || look && self.mark.is_none()
            || due(self.reconciled_at, whole_list_every(known.appointments.len(), RECONCILE_EVERY));
        if !(read_lists || read_shifts || look || reconcile) {
            return Ok(());
        }
        let mut contents = (*known).clone();
        // Nothing works before everything was read once, so that the first time may cost more.
        let spending = if grew { Spending::Urgent } else { Spending::Bulk };
        if read_lists {
            contents.departments = client.all(Resource::Department, &[], |_| true, Spending::Bulk).await?;
            contents.users = client.all(Resource::User, &[], |_| true, Spending::Bulk).await?;
            contents.reasons = client.all(Resource::Reason, &[], |_| true, Spending::Bulk).await?;
            contents.shift_types = client.all(Resource::ShiftType, &[], |_| true, Spending::Bulk).await?;
        }
        if read_shifts {
            match read_shifts_of(client, zone, window, spending, &mut self.ahead.shifts).await {
                Ok(shifts) => contents.shifts = shifts,
                // What is known lasts until the rest can be read.
                Err(ReadError::SlowDown { .. }) if !grew => read_shifts = false,
                Err(error) => return Err(error),
            }
        }
        let mut mark = self.mark;
        let mut catches_up = false;
        if reconcile {
            let began = self.ahead.appointments.began().unwrap_or(now);
            match read_appointments_of(client, zone, window, spending, &mut self.ahead.appointments).await {
                Ok(appointments) => {
                    mark = Mark::after(newest(appointments.values()), began, client.now());
                    contents.appointments = appointments;
                    // It took more than one look, so that its first rows are older than what is known.
                    catches_up = began != now;
                }
                Err(ReadError::SlowDown { .. }) if !grew && mark.is_some() => reconcile = false,
                Err(error) => return Err(error),
            }
        }
        if (catches_up || look && !reconcile)
            && let Some(known) = mark
        {
            let changed: Appointments =
                client.changed_since(Resource::Appointment, known.since(), Spending::Urgent).await?;
            mark = Some(known.advanced(newest(changed.values()), now, client.now()));
            let begins = day_begins(zone, window.first);
            // Whoever is named and did not change may be gone.
            let named = heard.appointments.iter().flatten();
            for id in named.filter(|id| !changed.contains_key(id)) {
                if !contents.appointments.contains_key(id) {
                    continue;
                }
                match client.get::<Appointment>(Resource::Appointment, *id).await? {
                    Some(there) => drop(contents.appointments.insert(*id, there)),
                    None => drop(contents.appointments.remove(id)),
                }
            }
            for (id, appointment) in changed {
                if appointment.end > begins {
                    contents.appointments.insert(id, appointment);
                } else {
                    contents.appointments.remove(&id);
                }
            }
        }
        // Nothing is kept before all of it could be read.
        self.window = Some(window);
        self.mark = mark;
        for (read, at) in [
            (read_lists, &mut self.lists_at),
            (read_shifts, &mut self.shifts_at),
            (reconcile, &mut self.reconciled_at),
            (look || reconcile, &mut self.looked_at),
        ] {
            if read {
                *at = Some(now);
            }
        }
        self.put(contents, now);
        Ok(())
    }

    fn put(&mut self, contents: Contents, now: DateTime<Utc>) {
        if self.version == (0, 0) {
            self.version.0 = now.timestamp_millis();
        }
        if contents != *self.contents {
            self.version.1 += 1;
            self.contents = Arc::new(contents);
        }
    }
}

/// How often a list of so many rows is read whole.
fn whole_list_every(rows: usize, at_least: TimeDelta) -> TimeDelta {
    let pages = i64::try_from(rows.div_ceil(PAGE)).unwrap_or(i64::MAX);
    let seconds = pages.saturating_mul(60 * SHARE_OF_BUDGET) / LEAST_BUDGET;
    at_least.max(TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::days(1)))
}

fn newest<'a>(appointments: impl Iterator<Item = &'a Appointment>) -> Option<DateTime<Utc>> {
    appointments.filter_map(|appointment| appointment.modified).max()
}

fn day_begins(zone: PracticeZone, day: NaiveDate) -> DateTime<Utc> {
    zone.instant(PracticeTime(day.and_time(NaiveTime::MIN)))
}

/// A time as filters take it (sheet §3). The client writes its `+` so that it stays one.
fn filter_time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M+00:00").to_string()
}

/// The shifts that touch these days.
async fn read_shifts_of(
    client: &Client,
    zone: PracticeZone,
    window: Horizon,
    spending: Spending,
    listing: &mut Listing<Shift>,
) -> Result<BTreeMap<u64, Shift>, ReadError> {
    let begins = day_begins(zone, window.first);
    let ends = day_begins(zone, window.last.succ_opt().unwrap_or(window.last));
    let filters = [("end__gte", filter_time(begins)), ("start__lt", filter_time(ends))];
    let fits = |shift: &Shift| shift.end >= begins && shift.start < ends;
    client.read_on(Resource::Shift, &filters, fits, spending, listing).await
}

/// The appointments that end within these days or later.
async fn read_appointments_of(
    client: &Client,
    zone: PracticeZone,
    window: Horizon,
    spending: Spending,
    listing: &mut Listing<Appointment>,
) -> Result<Appointments, ReadError> {
    let begins = day_begins(zone, window.first);
    let filters = [("end__gte", filter_time(begins))];
    let fits = |appointment: &Appointment| appointment.end >= begins;
    client.read_on(Resource::Appointment, &filters, fits, spending, listing).await
}

impl Contents {
    /// Whether working time of this shift is offered: shifts that are not bookable online are for the desk alone.
    pub fn is_offered(&self, shift: &Shift) -> bool {
        let of_kind = shift.shift_type.and_then(|kind| self.shift_types.get(&kind.0));
        let kind_offers = of_kind.is_none_or(|kind| kind.in_online_booking != Some(Flag(false)));
        shift.web != Some(Flag(false)) && kind_offers
    }

    /// Those who can be booked: who works here still, and has working time that is offered.
    pub fn bookable(&self) -> BTreeSet<u64> {
        let working = self.shifts.values().filter(|shift| self.is_offered(shift));
        let works = |user: &u64| self.users.get(user).is_some_and(|user| user.is_active != Some(Flag(false)));
        working.filter_map(|shift| shift.user.map(|user| user.0)).filter(works).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_looked_at_again_where_the_look_was_given_up() {
        let hints = Hints::default();
        let now = DateTime::UNIX_EPOCH;
        hints.lists();
        assert!(hints.appointment(7, now));
        drop(hints.take());
        let mut looking = hints.take();
        assert!(looking.heard.lists && looking.heard.appointments == Some(BTreeSet::from([7])));
        looking.done = true;
        drop(looking);
        let heard = &hints.take().heard;
        assert!(!heard.lists && heard.appointments.is_none());
    }
}
