//! Consents that the practice holds in its own system: what it answers, and what of that is recorded here.
//!
//! Only a change of its answer counts, or one that it dates; that an answer is there says nothing about whether it is
//! newer than what somebody recorded at the desk.

use super::{Agreement, Consent, ConsentHow, Said};
use crate::ids::{PartnerId, PatientRef};
use crate::private::Private;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Who is named as having recorded what was read from the practice system.
pub const RECORDED_BY: &str = "the practice system";

/// A partner for whom the practice system holds consents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Who gets the details.
    pub partner: PartnerId,
    /// Differs whenever the answers stand elsewhere, or mean something else.
    pub digest: String,
}

/// What the practice system says about one patient's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose details.
    pub patient: PatientRef,
    /// What it says.
    pub said: Answered,
    /// The version of the wording that was agreed to; empty where it does not say.
    pub wording: String,
    /// Since when it is so, where it says.
    pub since: Option<Since>,
    /// A value whose meaning nobody declared; it counts as nothing said.
    pub undeclared: Option<Private<String>>,
}

/// Yes, no, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Agreed.
    Yes(Agreement),
    /// Refused, or taken back.
    No,
    /// It does not say.
    Nothing,
}

/// A time that may be known by its day only: no earlier than the one, and before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// No earlier than this.
    pub from: DateTime<Utc>,
    /// Before this.
    pub before: DateTime<Utc>,
}

impl Answer {
    /// Hands everything that makes the answer another one to `take`, in the same order each time.
    pub fn each_field(&self, mut take: impl FnMut(&str)) {
        match &self.said {
            Answered::Yes(agreement) => {
                take("yes");
                take(
                    agreement
                        .guardian
                        .as_ref()
                        .map(|guardian| guardian.reveal().as_str())
                        .unwrap_or_default(),
                );
                take(if agreement.photo_and_video { "photo and video" } else { "" });
            }
            Answered::No => take("no"),
            Answered::Nothing => return take(""),
        }
        take(&self.wording);
        take(&self.since.map(|since| since.from.to_rfc3339()).unwrap_or_default());
    }
}

/// What it answered about a patient when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// About whom.
    pub patient: PatientRef,
    /// Whether it said yes.
    pub yes: bool,
    /// Differs whenever the answer does; empty where it said nothing any more.
    pub digest: String,
}

/// What is to be recorded because of an answer that differs from the one before: what was said, and when. `first` says
/// that these answers were never read before, so that nobody knows when they changed.
pub fn to_record(
    answer: &Answer,
    last: Option<&Consent>,
    first: bool,
    now: DateTime<Utc>,
) -> Option<(Said, DateTime<Utc>)> {
    let said = match &answer.said {
        Answered::Yes(agreement) => Said::Yes(agreement.clone()),
        Answered::No => Said::No,
        Answered::Nothing => {
            // It takes back what it said itself, and nothing that a person recorded here.
            let held = last.is_some_and(|last| {
                last.line.how == ConsentHow::PracticeSystem && matches!(last.line.said, Said::Yes(_))
            });
            return held.then_some((Said::No, now));
        }
    };
    // A time to come is a mistake, and tells nothing.
    let since = answer.since.filter(|since| since.from <= now);
    let counts = match last {
        None => true,
        Some(last) if last.line.how == ConsentHow::PracticeSystem => true,
        Some(last) => match since {
            Some(since) if last.line.at < since.from => true,
            Some(since) if since.before <= last.line.at => false,
            Some(_) | None => !first,
        },
    };
    counts.then(|| (said, since.map_or(now, |since| since.from)))
}

/// A strange value of up to so many characters is a code; what is longer may be about somebody, and is not shown.
const LONGEST_CODE: usize = 30;

/// The values whose meaning nobody declared, as they can be shown, and how many patients have each; most first.
pub fn strange_codes<'a>(answers: impl Iterator<Item = &'a Answer>) -> Vec<(String, usize)> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for value in answers.filter_map(|answer| answer.undeclared.as_ref()) {
        let value = value.reveal().trim();
        let is_code = value.chars().count() <= LONGEST_CODE && !value.chars().any(char::is_control);
        let shown = if is_code { format!("\"{value}\"") } else { "longer text".to_owned() };
        *counted.entry(shown).or_default() += 1;
    }
    let mut counted: Vec<(String, usize)> = counted.into_iter().collect();
    counted.sort_by_key(|(_, patients)| std::cmp::Reverse(*patients));
    counted
}

/// Fewer withdrawals than these at once are always believed.
const FEW: usize = 4;

/// Whether so many of `of` agreements ended without a "no" that a mistake is likelier: a column that was emptied, a
/// query that finds others than before.
pub fn doubtful(ended: usize, of: usize) -> bool {
    ended >= FEW && ended * 2 > of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::ConsentLine;
    use crate::ids::PracticeId;
    use chrono::TimeDelta;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn answer(said: Answered) -> Answer {
        let patient = PatientRef::new("77");
        Answer { patient, said, wording: String::new(), since: None, undeclared: None }
    }

    fn yes() -> Answer {
        answer(Answered::Yes(Agreement::default()))
    }

    fn during(answer: Answer, from: i64, before: i64) -> Answer {
        Answer { since: Some(Since { from: at(from), before: at(before) }), ..answer }
    }

    fn known(said: Said, how: ConsentHow, hour: i64) -> Consent {
        Consent {
            number: 1,
            line: ConsentLine {
                practice: PracticeId::new("richmond"),
                partner: PartnerId::new("vald"),
                patient: PatientRef::new("77"),
                said,
                how,
                recorded_by: Private::new("Kim".into()),
                wording: String::new(),
                at: at(hour),
            },
        }
    }

    #[test]
    fn where_nothing_is_recorded_the_answer_is() {
        let agreed = Said::Yes(Agreement::default());
        assert_eq!(to_record(&yes(), None, true, at(9)), Some((agreed.clone(), at(9))));
        assert_eq!(to_record(&answer(Answered::No), None, true, at(9)), Some((Said::No, at(9))));
        assert_eq!(to_record(&answer(Answered::Nothing), None, true, at(9)), None);
        assert_eq!(to_record(&during(yes(), 3, 4), None, true, at(9)), Some((agreed, at(3))));
    }

    #[test]
    fn what_the_practice_system_said_it_can_change_and_take_back() {
        let held = known(Said::Yes(Agreement::default()), ConsentHow::PracticeSystem, 5);
        for said in [Answered::No, Answered::Nothing] {
            assert_eq!(to_record(&answer(said), Some(&held), false, at(9)), Some((Said::No, at(9))));
        }
        let refused = known(Said::No, ConsentHow::PracticeSystem, 5);
        assert!(to_record(&yes(), Some(&refused), false, at(9)).is_some());
        assert_eq!(to_record(&answer(Answered::Nothing), Some(&refused), false, at(9)), None);
    }

    #[test]
    fn what_somebody_recorded_later_stands_against_an_older_answer() {
        let withdrawn = known(Said::No, ConsentHow::AtDesk, 5);
        assert_eq!(to_record(&during(yes(), 2, 3), Some(&withdrawn), false, at(9)), None);
        assert!(to_record(&during(yes(), 6, 7), Some(&withdrawn), true, at(9)).is_some());
    }

    #[test]
    fn without_a_date_only_a_change_counts() {
        let withdrawn = known(Said::No, ConsentHow::AtDesk, 5);
        assert_eq!(
            to_record(&yes(), Some(&withdrawn), true, at(9)),
            None,
            "it may have stood there for years"
        );
        assert!(to_record(&yes(), Some(&withdrawn), false, at(9)).is_some());
        // The same day, and nobody knows whether before or after.
        let that_day = during(yes(), 0, 24);
        assert_eq!(to_record(&that_day, Some(&withdrawn), true, at(9)), None);
        assert!(to_record(&that_day, Some(&withdrawn), false, at(9)).is_some());
        // A date to come cannot be one on which somebody agreed.
        let tomorrow = during(yes(), 24, 48);
        assert_eq!(to_record(&tomorrow, Some(&withdrawn), true, at(9)), None);
        assert_eq!(to_record(&tomorrow, None, true, at(9)).map(|(_, since)| since), Some(at(9)));
    }

    #[test]
    fn an_emptied_field_takes_back_nothing_that_was_said_at_the_desk() {
        let agreed = known(Said::Yes(Agreement::default()), ConsentHow::AtDesk, 5);
        assert_eq!(to_record(&answer(Answered::Nothing), Some(&agreed), false, at(9)), None);
        assert!(to_record(&answer(Answered::No), Some(&agreed), false, at(9)).is_some());
    }

    #[test]
    fn whoever_disappears_in_crowds_is_not_believed() {
        assert!(!doubtful(3, 3) && !doubtful(4, 8) && doubtful(5, 8) && doubtful(4, 4));
    }
}
