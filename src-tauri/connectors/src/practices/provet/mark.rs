//! From when on changes are asked for, so that none is missed and few are read twice.
//!
//! What is dated is dated by Provet's clock, and what is dated earlier may be stored later, because several write at
//! once. So it is asked from a while before the newest change that was seen. Once a look has found nothing newer a while
//! after that one was seen, whatever was dated earlier has been seen as well; from then on it is asked from just behind
//! it, or whatever was imported in one go would be read again with each look.

use chrono::{DateTime, TimeDelta, Utc};

/// Nothing is stored later than this after the moment by which it is dated.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);

/// From when on changes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    from: DateTime<Utc>,
    /// The newest change that was seen, by Provet's clock.
    newest: DateTime<Utc>,
    /// When it was seen, by ours.
    seen_at: DateTime<Utc>,
}

impl Mark {
    /// After reading everything; none where nothing was there by which to tell the time.
    pub fn after(newest: Option<DateTime<Utc>>, began: DateTime<Utc>, ended: DateTime<Utc>) -> Option<Self> {
        newest.map(|newest| Self { from: safe(newest, began, ended), newest, seen_at: ended })
    }

    /// From when on to ask.
    pub fn since(&self) -> DateTime<Utc> {
        self.from
    }

    /// The same after reading what changed.
    #[must_use]
    pub fn advanced(self, newest: Option<DateTime<Utc>>, began: DateTime<Utc>, ended: DateTime<Utc>) -> Self {
        match newest {
            Some(newest) if newest > self.newest => {
                Self { from: self.from.max(safe(newest, began, ended)), newest, seen_at: ended }
            }
            // What is dated in the future, by a clock that was set right since, is waited for by nobody.
            Some(_) | None if began - self.seen_at >= OVERLAP => {
                Self { from: self.from.max(self.newest.min(self.seen_at) + TimeDelta::seconds(1)), ..self }
            }
            Some(_) | None => self,
        }
    }
}

/// By Provet's clock where ours is ahead; and what was changed while it was read may have been changed behind the
/// reader's back.
fn safe(newest: DateTime<Utc>, began: DateTime<Utc>, ended: DateTime<Utc>) -> DateTime<Utc> {
    newest.min(began) - (ended - began).max(TimeDelta::zero()) - OVERLAP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn a_mark_lies_before_whatever_may_still_be_stored() {
        let mark = Mark::after(Some(at(100)), at(101), at(104)).unwrap();
        assert_eq!(mark.since(), at(95), "three minutes of reading, and two");
        let later = mark.advanced(Some(at(110)), at(110), at(110));
        assert_eq!(later.since(), at(108));
        assert_eq!(later.advanced(Some(at(109)), at(111), at(111)), later, "nothing newer");
        // A clock of ours that is behind is believed, one that is ahead is not.
        assert_eq!(Mark::after(Some(at(100)), at(90), at(90)).unwrap().since(), at(88));
        assert_eq!(Mark::after(Some(at(100)), at(500), at(500)).unwrap().since(), at(98));
        assert_eq!(Mark::after(None, at(1), at(1)), None);
    }

    #[test]
    fn only_a_look_that_found_nothing_newer_a_while_later_moves_it_behind_what_was_seen() {
        let mark = Mark::after(Some(at(100)), at(101), at(101)).unwrap();
        let soon = mark.advanced(None, at(102), at(102));
        assert_eq!(soon.since(), at(98), "what was stored late may still come");
        // Nobody looked for an hour: the first look afterwards still asks for what was stored late.
        assert_eq!(soon.since(), at(98));
        let quiet = soon.advanced(Some(at(100)), at(161), at(161));
        assert_eq!(quiet.since(), at(100) + TimeDelta::seconds(1));
        assert_eq!(quiet.advanced(Some(at(170)), at(171), at(171)).since(), at(168));
        // What is dated a year ahead hides nothing that is dated right.
        let ahead = Mark::after(Some(at(500_000)), at(101), at(101)).unwrap();
        assert_eq!(ahead.advanced(None, at(110), at(110)).since(), at(101) + TimeDelta::seconds(1));
    }
}
