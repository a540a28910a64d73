//! What is to be done about one patient, from the record, the consent, the link and what the partner has. Pure.

use super::Digest;
use super::foreign::Foreign;
use chrono::{DateTime, NaiveDate, Utc};
use domain::consent::{Consent, NotAllowed, Said};
use domain::ids::{PartnerId, SyncId};
use domain::link::{Link, LinkKey, LinkState};
use domain::people::PatientRecord;
use domain::profile::NotReady;
use domain::records::{ForeignRecord, TAKEN, ready};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing.
    Nothing,
    /// The link is not what it should be; the partner is not asked about it.
    Keep(Box<Link>),
    /// The link ends. Where the partner holds it, it is taken away there.
    End(Box<Link>),
    /// The partner is asked or told something; the link as it is before, where that differs.
    Bring(Option<Box<Link>>),
}

/// What is known besides record, consent and link.
pub(super) struct Known<'f> {
    /// The name under which the partner is or would be told.
    pub told_as: SyncId,
    /// The partner's patients.
    pub foreign: &'f Foreign,
    /// Differs whenever the book's record does.
    pub digest: Option<u64>,
    /// Practice-local.
    pub today: NaiveDate,
    /// Now.
    pub now: DateTime<Utc>,
}

impl Known<'_> {
    /// Differs whenever what is decided about a patient may differ: the record in the book, and those at the partner who
    /// could be meant.
    pub fn considered(&self, record: Option<&PatientRecord>) -> String {
        let mut digest = Digest::default();
        digest.field(&self.digest.unwrap_or_default().to_string());
        for candidate in record.iter().flat_map(|record| self.foreign.like(&record.details)) {
            digest.field(&seen(candidate));
        }
        digest.hex()
    }
}

/// A text that differs whenever a record of the partner's does.
pub(super) fn seen(record: &ForeignRecord) -> String {
    let at = record.updated_at.map(|at| at.to_rfc3339()).unwrap_or_default();
    let name = record.told_as.as_ref().map_or("", SyncId::as_str);
    format!("{} {at} {name} {}", record.id, record.archived)
}

/// What is worth saying about a record that is linked.
pub(super) fn remark(record: &ForeignRecord, partner: &PartnerId) -> Option<String> {
    record.archived.then(|| format!("The record was put away at {}.", partner.title()))
}

/// What is to be done about a patient. `record` is none where the book has no such patient any more.
pub(super) fn plan(
    key: LinkKey,
    record: Option<&PatientRecord>,
    consent: Option<&Consent>,
    link: Option<&Link>,
    known: Known<'_>,
) -> Plan {
    let said_yes = consent.is_some_and(|consent| matches!(consent.line.said, Said::Yes(_)));
    // Of somebody who was never told of and never agreed, nothing is kept.
    if link.is_none() && !said_yes {
        return Plan::Nothing;
    }
    let link_before = link.cloned();
    let link = link_before.clone().unwrap_or_else(|| Link::new(key, known.told_as.to_string(), known.now));
    let partner = link.key.partner.clone();
    let is_new = link_before.is_none();
    let moved = |state: LinkState, reason: Option<String>| {
        let mut after = link.clone();
        after.becomes(state, reason, known.now);
        if is_new || after != link { Plan::Keep(Box::new(after)) } else { Plan::Nothing }
    };
    if let Some(why) = over(record, consent) {
        return ended(&link, is_new, why, &known);
    }
    let Some(record) = record else { return Plan::Nothing };
    // What was written has to be taken away, before anything else is looked at.
    if link.state == LinkState::Ended && link.accepted.is_some() {
        return Plan::Bring(None);
    }
    if link.state != LinkState::Linked {
        if record.inactive {
            return ended(&link, is_new, "The record is inactive, so it is not linked.".to_owned(), &known);
        }
        match ready(record, consent, known.today) {
            Ok(_) => {}
            Err(NotReady::Deceased) => {
                return ended(&link, is_new, "The record is marked as deceased.".to_owned(), &known);
            }
            Err(missing) => return moved(LinkState::NeedsPerson, Some(sentence(&missing.to_string()))),
        }
        // The partner holds it already, as after our own records were lost.
        if let Some(holds) = known.foreign.named(&known.told_as).filter(|holds| holds.merged_into.is_none()) {
            let mut after = link.clone();
            after.partner_id = Some(holds.id.to_string());
            after.accepted = Some(holds.updated_at.map(|at| at.to_rfc3339()).unwrap_or_default());
            after.accepted_at = Some(known.now);
            after.refused = None;
            after.becomes(LinkState::Linked, remark(holds, &partner), known.now);
            return Plan::Keep(Box::new(after));
        }
    }
    let theirs = link.partner_id.as_deref().and_then(|id| known.foreign.record(id));
    match link.state {
        LinkState::Linked => match checked(&link, theirs, known.foreign.is_whole, known.now) {
            Checked::Stands => Plan::Nothing,
            Checked::Changed(after) => Plan::Keep(after),
            Checked::Moved(after) => Plan::Bring(Some(after)),
        },
        LinkState::Conflict => match theirs {
            Some(theirs) if theirs.told_as.is_some() => Plan::Nothing,
            // Whoever was in the way is gone, so it is decided anew.
            Some(_) | None => lost(&link, &known),
        },
        LinkState::Failed => {
            let same = theirs.is_some_and(|theirs| link.refused.as_deref() == Some(&seen(theirs)));
            if same { Plan::Nothing } else { Plan::Bring(None) }
        }
        LinkState::Ended => {
            let mut after = link.clone();
            (after.refused, after.partner_id) = (None, None);
            after.becomes(LinkState::Pending, None, known.now);
            Plan::Bring(Some(Box::new(after)))
        }
        LinkState::Pending if link.partner_id.is_some() => Plan::Bring(None),
        // Somebody took the link away there; whether it is made again is for a person to say.
        LinkState::NeedsPerson if link.partner_id.is_some() => Plan::Nothing,
        LinkState::Pending | LinkState::NeedsPerson => {
            if link.refused.as_deref() == Some(&known.considered(Some(record))) {
                return Plan::Nothing;
            }
            let mut after = link.clone();
            after.partner_id = None;
            if link.state == LinkState::Pending {
                after.reason = None;
            }
            // So that it is seen to be on its way.
            Plan::Bring((is_new || after != link).then(|| Box::new(after)))
        }
    }
}

/// How a link stands at the partner.
pub(super) enum Checked {
    /// As it should.
    Stands,
    /// Not as we knew it; nothing is to be done there.
    Changed(Box<Link>),
    /// The partner has to be looked at, because its record was merged, or is gone.
    Moved(Box<Link>),
}

/// Compares a link that stands with what the partner has. `whole`: what is missing there is gone.
pub(super) fn checked(
    link: &Link,
    theirs: Option<&ForeignRecord>,
    whole: bool,
    now: DateTime<Utc>,
) -> Checked {
    let mut after = link.clone();
    match theirs {
        None if whole => {
            (after.partner_id, after.refused, after.accepted) = (None, None, None);
            after.becomes(LinkState::Pending, None, now);
            return Checked::Moved(Box::new(after));
        }
        None => {}
        Some(theirs) if theirs.merged_into.is_some() => {
            after.becomes(LinkState::Pending, Some("The record there was merged.".to_owned()), now);
            return Checked::Moved(Box::new(after));
        }
        Some(theirs) => match &theirs.told_as {
            Some(name) if name.as_str() == link.told_as => {
                after.becomes(LinkState::Linked, remark(theirs, &link.key.partner), now);
            }
            Some(_) => after.becomes(LinkState::Conflict, Some(TAKEN.to_owned()), now),
            None => {
                let reason = format!("{} does not hold the link any more.", link.key.partner.title());
                after.becomes(LinkState::NeedsPerson, Some(reason), now);
            }
        },
    }
    if after == *link { Checked::Stands } else { Checked::Changed(Box::new(after)) }
}

/// Why nothing may be told of a patient any more; none where it may.
fn over(record: Option<&PatientRecord>, consent: Option<&Consent>) -> Option<String> {
    let Some(record) = record else { return Some("The record is not in the book any more.".to_owned()) };
    if let Some(into) = &record.merged_into {
        return Some(format!("The record was merged into record {into}."));
    }
    match consent.map(|consent| &consent.line.said) {
        Some(Said::Yes(_)) => None,
        Some(Said::No) => Some("Consent was withdrawn.".to_owned()),
        None => Some(sentence(&NotAllowed::NotAsked.to_string())),
    }
}

fn ended(link: &Link, is_new: bool, why: String, known: &Known<'_>) -> Plan {
    if is_new {
        return Plan::Nothing;
    }
    if link.state == LinkState::Ended {
        // What was not taken away yet still has to be.
        return if link.accepted.is_some() { Plan::Bring(None) } else { Plan::Nothing };
    }
    let mut after = link.clone();
    // A write whose answer was lost may stand there.
    if link.partner_id.is_some() && link.state != LinkState::Conflict {
        after.accepted.get_or_insert_default();
    }
    after.becomes(LinkState::Ended, Some(why), known.now);
    Plan::End(Box::new(after))
}

/// The partner's record is gone, or free again: who is meant is decided anew.
fn lost(link: &Link, known: &Known<'_>) -> Plan {
    let mut after = link.clone();
    (after.partner_id, after.refused, after.accepted) = (None, None, None);
    after.becomes(LinkState::Pending, None, known.now);
    Plan::Bring(Some(Box::new(after)))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
