//! What is to be done next, of all that waits. Pure.
//!
//! Whoever is waited for comes before everybody else, from the sending to the groups; among them whoever was asked for
//! last. Of the others, a profile that is known is finished before another one is sent, and what the partner calls them
//! is asked for in lists, because an account takes few requests (VALD sheet §5).

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::PatientRef;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A profile that was sent is looked for after one of these, in seconds, because an import does not say what it made
/// (sheet §9).
const LOOK_FOR_AFTER: [i64; 6] = [1, 2, 5, 15, 60, 600];
/// More than these are looked for in one list and not one by one.
const ONE_BY_ONE: usize = 3;
/// While more is being sent, a list is asked for after so many: each minute at four requests a second, which costs less
/// than one request in a hundred.
const LIST_AFTER: usize = 240;

/// What waits. Harmless to lose.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Whose profile is to be sent, the most urgent first.
    queue: VecDeque<PatientRef>,
    /// How many were sent since the queue was last empty.
    sent: usize,
    /// How many were sent since a list was last asked for.
    unlisted: usize,
    /// Whose profile was sent and is not known yet.
    awaited: BTreeMap<PatientRef, Awaited>,
    /// Whose profile is known and not in its groups yet.
    ungrouped: BTreeSet<PatientRef>,
    /// Whether their groups cannot be told yet, so that they wait.
    groups_unknown: bool,
    /// Whom somebody waits for; with a greater number, whoever was asked for later.
    waited_for: BTreeMap<PatientRef, u64>,
    wishes: u64,
    /// Whose profile could not be sent, and how often.
    failing: BTreeMap<PatientRef, usize>,
}

/// A profile whose id is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    /// The name under which it was sent.
    pub told_as: String,
    /// How often it was looked for.
    pub tries: usize,
    /// When it is looked for next.
    pub look_at: DateTime<Utc>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send this profile.
    Send(PatientRef),
    /// Ask for this profile.
    LookFor(PatientRef),
    /// Ask for a list of what changed.
    List,
    /// Put this profile into its groups.
    Group(PatientRef),
}

impl Work {
    /// The next step; none while there is nothing to do at this time.
    pub fn next(&self, now: DateTime<Utc>) -> Option<Next> {
        self.next_of_waited(now).or_else(|| self.to_group().next().cloned().map(Next::Group)).or_else(|| {
            match self.queue.front() {
                Some(_) if self.unlisted >= LIST_AFTER => Some(Next::List),
                Some(patient) => Some(Next::Send(patient.clone())),
                None => self.look(self.awaited.iter().filter(|(_, awaited)| awaited.look_at <= now)),
            }
        })
    }

    /// Those that can be put into their groups.
    fn to_group(&self) -> impl Iterator<Item = &PatientRef> {
        self.ungrouped.iter().filter(|_| !self.groups_unknown)
    }

    /// Whether profiles wait until their groups can be told.
    pub fn waits_for_groups(&self) -> bool {
        self.groups_unknown && !self.ungrouped.is_empty()
    }

    /// Whether groups can be told.
    pub fn groups_are_known(&mut self, known: bool) {
        self.groups_unknown = !known;
    }

    fn next_of_waited(&self, now: DateTime<Utc>) -> Option<Next> {
        let wish = |patient: &PatientRef| self.waited_for.get(patient).copied();
        let due =
            |patient: &&PatientRef| self.awaited.get(*patient).is_some_and(|awaited| awaited.look_at <= now);
        // They stand at the front of the queue.
        let to_send = self.queue.front().and_then(wish);
        let groups_known = !self.groups_unknown;
        let to_group = self.waited_for.iter();
        let to_group = to_group.filter(|(patient, _)| groups_known && self.ungrouped.contains(*patient));
        let to_group = to_group.max_by_key(|(_, wish)| **wish);
        let to_find = self.waited_for.keys().filter(due).filter_map(wish).max();
        let latest = to_send.max(to_find).max(to_group.map(|(_, wish)| *wish))?;
        if let Some((patient, _)) = to_group.filter(|(_, wish)| **wish == latest) {
            return Some(Next::Group(patient.clone()));
        }
        if to_send == Some(latest) {
            return self.queue.front().cloned().map(Next::Send);
        }
        let due = self.waited_for.iter().filter(|(_, wish)| **wish == latest).map(|(patient, _)| patient);
        self.look(
            due.filter_map(|patient| self.awaited.get_key_value(patient)).filter(|(_, it)| it.look_at <= now),
        )
    }

    /// How to find some that are due.
    fn look<'a>(&self, due: impl Iterator<Item = (&'a PatientRef, &'a Awaited)>) -> Option<Next> {
        let due: Vec<_> = due.collect();
        // What several lists did not show is asked for by name.
        let fresh = due.iter().filter(|(_, awaited)| awaited.tries < ONE_BY_ONE).count();
        if fresh > ONE_BY_ONE {
            return Some(Next::List);
        }
        due.first().map(|(patient, _)| Next::LookFor((*patient).clone()))
    }

    /// When there is something to do again.
    pub fn due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.queue.is_empty() || self.to_group().next().is_some() {
            return Some(now);
        }
        self.awaited.values().map(|awaited| awaited.look_at).min()
    }

    /// How many were sent, of how many; none while nothing is being sent.
    pub fn progress(&mut self) -> Option<(usize, usize)> {
        if self.queue.is_empty() {
            self.sent = 0;
        }
        (!self.queue.is_empty()).then_some((self.sent, self.sent + self.queue.len()))
    }

    /// Whether more is waiting to be sent.
    pub fn is_sending(&self) -> bool {
        !self.queue.is_empty()
    }

    /// These are to be sent, before all others that wait.
    pub fn send_first(&mut self, due: Vec<PatientRef>) {
        let known: BTreeSet<&PatientRef> = due.iter().collect();
        let waiting: Vec<PatientRef> =
            self.queue.drain(..).filter(|patient| !known.contains(patient)).collect();
        self.queue = due.into_iter().chain(waiting).collect();
    }

    /// This one is to be sent, behind all others.
    pub fn send_last(&mut self, patient: PatientRef) {
        self.queue.push_back(patient);
    }

    /// This one could not be sent, which may be its own fault, so that the others go first. Whoever waited for it has
    /// been told; who fails again waits behind everybody, whoever is expected today.
    pub fn has_failed(&mut self, patient: &PatientRef) {
        *self.failing.entry(patient.clone()).or_default() += 1;
        self.waited_for.remove(patient);
        self.queue.retain(|waiting| waiting != patient);
        self.queue.push_back(patient.clone());
    }

    /// This one was sent, or does not have to be.
    pub fn is_sent(&mut self, patient: &PatientRef) -> (usize, usize) {
        self.failing.remove(patient);
        self.queue.retain(|waiting| waiting != patient);
        self.sent += 1;
        self.unlisted += 1;
        (self.sent, self.sent + self.queue.len())
    }

    /// Somebody waits for these.
    pub fn wait_for(&mut self, patients: impl IntoIterator<Item = PatientRef>, now: DateTime<Utc>) {
        self.wishes += 1;
        for patient in patients {
            if let Some(awaited) = self.awaited.get_mut(&patient) {
                (awaited.tries, awaited.look_at) = (0, now);
            }
            self.failing.remove(&patient);
            self.waited_for.insert(patient, self.wishes);
        }
    }

    /// Puts those whom somebody waits for first, and behind them those who are expected today. Nobody waits any more for
    /// somebody about whom nothing is left to do.
    pub fn bring_forward(&mut self, expected: &BTreeSet<&PatientRef>) {
        let waited_for = &self.waited_for;
        let queued: BTreeSet<PatientRef> =
            self.queue.iter().filter(|patient| waited_for.contains_key(patient)).cloned().collect();
        self.waited_for.retain(|patient, _| {
            queued.contains(patient) || self.awaited.contains_key(patient) || self.ungrouped.contains(patient)
        });
        let (waited_for, failing) = (&self.waited_for, &self.failing);
        let rank = |patient: &PatientRef| {
            let wish = Reverse(waited_for.get(patient).copied().unwrap_or_default());
            let fails = failing.get(patient).is_some_and(|times| *times > 1);
            (wish, fails, !expected.contains(patient))
        };
        self.queue.make_contiguous().sort_by_cached_key(rank);
    }

    /// This profile was sent and is looked for; `tries` were in vain.
    pub fn look_for(&mut self, patient: PatientRef, told_as: String, tries: usize, now: DateTime<Utc>) {
        let wait = LOOK_FOR_AFTER.get(tries).or(LOOK_FOR_AFTER.last()).copied().unwrap_or(600);
        let look_at = now + TimeDelta::seconds(wait);
        self.awaited.insert(patient, Awaited { told_as, tries, look_at });
    }

    /// Takes over whose profiles were sent and are not known yet, by the names under which they were sent. Those that
    /// were looked for already keep their patience.
    pub fn take_over(
        &mut self,
        awaited: impl IntoIterator<Item = (PatientRef, String)>,
        ungrouped: BTreeSet<PatientRef>,
        now: DateTime<Utc>,
    ) {
        let mut before = std::mem::take(&mut self.awaited);
        let known = |(patient, told_as): (PatientRef, String)| {
            let fresh = Awaited { told_as, tries: 0, look_at: now };
            let awaited = before.remove(&patient).unwrap_or(fresh);
            (patient, awaited)
        };
        self.awaited = awaited.into_iter().map(known).collect();
        self.ungrouped = ungrouped;
    }

    /// Those that are looked for, by the names under which they were sent.
    pub fn awaited_by_name(&self) -> BTreeMap<String, PatientRef> {
        self.awaited.iter().map(|(patient, awaited)| (awaited.told_as.clone(), patient.clone())).collect()
    }

    /// One that is looked for.
    pub fn awaited(&self, patient: &PatientRef) -> Option<&Awaited> {
        self.awaited.get(patient)
    }

    /// Whether any that are due are still looked for.
    pub fn looks_for_any(&self, now: DateTime<Utc>) -> bool {
        self.awaited.values().any(|awaited| awaited.look_at <= now)
    }

    /// A list came; those that were due at `then` and are still looked for were not in it.
    pub fn listed(&mut self, then: DateTime<Utc>, now: DateTime<Utc>) {
        self.unlisted = 0;
        let due = |(_, awaited): &(&PatientRef, &Awaited)| awaited.look_at <= then;
        let missed: Vec<(PatientRef, Awaited)> = self
            .awaited
            .iter()
            .filter(due)
            .map(|(patient, awaited)| (patient.clone(), awaited.clone()))
            .collect();
        for (patient, awaited) in missed {
            self.look_for(patient, awaited.told_as, awaited.tries + 1, now);
        }
    }

    /// What the partner calls this one is known.
    pub fn is_known(&mut self, patient: &PatientRef) {
        self.awaited.remove(patient);
    }

    /// This one is still to be put into its groups.
    pub fn group_later(&mut self, patient: PatientRef) {
        self.ungrouped.insert(patient);
    }

    /// This one is in its groups.
    pub fn is_grouped(&mut self, patient: &PatientRef) {
        self.ungrouped.remove(patient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-27T03:00:00Z".parse().unwrap()
    }

    fn patient(id: &str) -> PatientRef {
        PatientRef::new(id)
    }

    fn later(seconds: i64) -> DateTime<Utc> {
        now() + TimeDelta::seconds(seconds)
    }

    fn queue(count: usize) -> Work {
        let mut work = Work::default();
        work.send_first((0..count).map(|number| patient(&format!("m{number}"))).collect());
        work
    }

    #[test]
    fn whoever_was_asked_for_last_comes_first_until_the_groups() {
        let mut work = queue(30);
        work.wait_for((0..20).map(|number| patient(&format!("m{number}"))), now());
        work.bring_forward(&BTreeSet::new());
        assert_eq!(work.next(now()), Some(Next::Send(patient("m0"))));
        work.wait_for([patient("m25")], now());
        work.bring_forward(&BTreeSet::new());
        assert_eq!(work.next(now()), Some(Next::Send(patient("m25"))));
        work.is_sent(&patient("m25"));
        work.look_for(patient("m25"), "m25".into(), 0, now());
        assert_eq!(work.next(now()), Some(Next::Send(patient("m0"))), "not visible yet");
        assert_eq!(work.next(later(1)), Some(Next::LookFor(patient("m25"))));
        work.is_known(&patient("m25"));
        work.group_later(patient("m25"));
        assert_eq!(work.next(later(1)), Some(Next::Group(patient("m25"))));
        work.is_grouped(&patient("m25"));
        assert_eq!(work.next(later(1)), Some(Next::Send(patient("m0"))));
    }

    #[test]
    fn many_are_looked_for_in_lists_while_others_are_sent() {
        let mut work = queue(LIST_AFTER + 1);
        for number in 0..LIST_AFTER {
            let sent = patient(&format!("m{number}"));
            assert_eq!(work.next(later(9)), Some(Next::Send(sent.clone())));
            work.is_sent(&sent);
            work.look_for(sent.clone(), sent.to_string(), 0, now());
        }
        assert_eq!(work.next(later(9)), Some(Next::List));
        work.listed(later(9), later(9));
        assert_eq!(work.next(later(9)), Some(Next::Send(patient(&format!("m{LIST_AFTER}")))));
    }

    #[test]
    fn what_lists_do_not_show_is_asked_for_by_name() {
        let mut work = Work::default();
        for number in 0..5 {
            work.look_for(patient(&format!("m{number}")), format!("m{number}"), 0, now());
        }
        let mut at = now();
        for _ in 0..ONE_BY_ONE {
            at = work.due_at(at).unwrap();
            assert_eq!(work.next(at), Some(Next::List));
            work.listed(at, at);
        }
        at = work.due_at(at).unwrap();
        assert_eq!(work.next(at), Some(Next::LookFor(patient("m0"))));
    }

    #[test]
    fn nobody_is_waited_for_any_more_when_nothing_is_left_to_do() {
        let mut work = queue(2);
        work.wait_for([patient("gone"), patient("m1")], now());
        work.bring_forward(&BTreeSet::new());
        assert_eq!(work.waited_for.keys().collect::<Vec<_>>(), [&patient("m1")]);
    }
}
