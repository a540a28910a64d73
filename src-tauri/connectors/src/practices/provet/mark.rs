//! From when on changes are asked for, so that none is missed and few are read twice.
//!
//! What is dated is dated by Provet's clock, and what is dated earlier may be stored later, because several write at
//! once. So it is asked from a while before the newest change that was seen; once that one is as old as the while, from
//! just behind it, or whatever was imported in one go would be read again with each look.

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

    /// From when on to ask at `now`.
    pub fn since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if now - self.seen_at >= OVERLAP { self.newest + TimeDelta::seconds(1) } else { self.from }
    }

    /// The same after reading what changed.
    #[must_use]
    pub fn advanced(self, newest: Option<DateTime<Utc>>, began: DateTime<Utc>, ended: DateTime<Utc>) -> Self {
        match newest {
            Some(newest) if newest > self.newest => {
                Self { from: self.from.max(safe(newest, began, ended)), newest, seen_at: ended }
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
        assert_eq!(mark.since(at(105)), at(95), "three minutes of reading, and two");
        assert_eq!(mark.since(at(106)), at(100) + TimeDelta::seconds(1), "quiet since");
        let later = mark.advanced(Some(at(110)), at(110), at(110));
        assert_eq!(later.since(at(111)), at(108));
        assert_eq!(later.advanced(Some(at(109)), at(111), at(111)), later, "nothing newer");
        // A clock of ours that is behind is believed, one that is ahead is not.
        assert_eq!(Mark::after(Some(at(100)), at(90), at(90)).unwrap().since(at(91)), at(88));
        assert_eq!(Mark::after(Some(at(100)), at(500), at(500)).unwrap().since(at(501)), at(98));
        assert_eq!(Mark::after(None, at(1), at(1)), None);
    }
}
