//! What is to be done about one patient's profile, from the record, the consent and the link. Pure.

use crate::digest::Digest;
use chrono::{DateTime, NaiveDate, Utc};
use domain::consent::{Consent, NotAllowed, Said};
use domain::ids::SyncId;
use domain::link::{Link, LinkKey, LinkState};
use domain::people::PatientRecord;
use domain::profile::{NotReady, ProfileOrder, order};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Nothing,
    /// The link is not what it should be; nothing is sent.
    Keep(Box<Link>),
    /// The profile is sent.
    Send(Box<Sending>),
    /// The profile is sent at that time, and not before. The link says so until then.
    Wait(Box<Link>, DateTime<Utc>),
}

/// A profile that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    /// The link, as it is before.
    pub link: Link,
    /// The profile.
    pub order: ProfileOrder,
    /// Differs whenever the profile does.
    pub digest: String,
    /// The number of the consent under which it is sent.
    pub consent: i64,
}

/// What holds for all patients of a practice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// What stands before the patient's key in new sync ids.
    pub prefix: &'a str,
    /// Whether everybody who records consent is an adult.
    pub staff_are_adults: bool,
    /// Practice-local.
    pub today: NaiveDate,
    /// Now.
    pub now: DateTime<Utc>,
}

/// The sync id of a patient of whom nobody was told yet (VALD sheet §9: nothing in it may change, and it names nobody).
pub(crate) fn new_sync_id(prefix: &str, patient: &str) -> String {
    format!("{prefix}-{patient}")
}

/// What is to be done about a patient. `record` is none where the book has no such patient any more.
pub(crate) fn plan(
    key: LinkKey,
    record: Option<&PatientRecord>,
    consent: Option<&Consent>,
    link: Option<&Link>,
    rules: Rules<'_>,
) -> Plan {
    let said_yes = consent.is_some_and(|consent| matches!(consent.line.said, Said::Yes(_)));
    // Of somebody who was never told of and never agreed, nothing is kept.
    if link.is_none() && !said_yes {
        return Plan::Nothing;
    }
    let link = match link {
        Some(link) => link.clone(),
        None => {
            let told_as = new_sync_id(rules.prefix, &key.local_id);
            Link::new(key, told_as, rules.now)
        }
    };
    let Some(record) = record else {
        return moved(link, LinkState::Ended, Some(left_behind(GONE)), rules);
    };
    if let Some(into) = &record.merged_into {
        let sentence = format!("The record was merged into record {into}.");
        return moved(link, LinkState::Ended, Some(left_behind(&sentence)), rules);
    }
    if record.inactive {
        return moved(
            link,
            LinkState::Ended,
            Some("The record is inactive, so it is not kept in step.".into()),
            rules,
        );
    }
    let sync_id = SyncId::new(link.told_as.clone());
    match order(record, consent, sync_id, rules.staff_are_adults, rules.today) {
        Err(NotReady::NotAllowed(NotAllowed::Withdrawn)) => {
            let reason = if link.accepted.is_some() || link.state == LinkState::Pending {
                left_behind("Consent was withdrawn.")
            } else {
                "Consent was withdrawn before anything was sent.".to_owned()
            };
            moved(link, LinkState::Ended, Some(reason), rules)
        }
        Err(NotReady::Deceased) => {
            moved(link, LinkState::Ended, Some("The record is marked as deceased.".into()), rules)
        }
        Err(missing) => moved(link, LinkState::NeedsPerson, Some(sentence(&missing.to_string())), rules),
        // Only a person can put right what the partner linked otherwise.
        Ok(_) if link.state == LinkState::Conflict => Plan::Nothing,
        Ok(order) => {
            let digest = digest_of(&order);
            let known = if link.partner_id.is_some() { LinkState::Linked } else { LinkState::Pending };
            if link.accepted.as_ref() == Some(&digest) {
                return match link.state {
                    LinkState::Linked | LinkState::Pending => Plan::Nothing,
                    LinkState::NeedsPerson | LinkState::Conflict | LinkState::Failed | LinkState::Ended => {
                        moved(link, known, None, rules)
                    }
                };
            }
            let from = order.taken_from();
            if rules.now < from {
                let mut link = link;
                link.becomes(known, Some(BORN_TODAY.to_owned()), rules.now);
                return Plan::Wait(Box::new(link), from);
            }
            if link.refused.as_ref() == Some(&digest) && link.state == LinkState::Failed {
                return Plan::Nothing;
            }
            let consent = consent.map_or(0, |consent| consent.number);
            Plan::Send(Box::new(Sending { link, order, digest, consent }))
        }
    }
}

/// What is said of somebody who was born today.
const BORN_TODAY: &str = "VALD takes a birth date only once that day has begun in Greenwich. The profile is sent then, by \
                          itself.";
/// Some systems delete the record that was merged into another, and do not say into which.
const GONE: &str = "The record is not in the book any more: it was deleted, or merged into another one. If it was merged, \
                    record consent at the record that stays, and merge the two profiles in VALD Hub.";

/// The API has no call that removes a profile (VALD sheet §7), so somebody has to.
fn left_behind(why: &str) -> String {
    format!("{why} Nothing more is sent; remove the profile in VALD Hub by hand if it must not stay there.")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn moved(mut link: Link, state: LinkState, reason: Option<String>, rules: Rules<'_>) -> Plan {
    let before = link.clone();
    link.becomes(state, reason, rules.now);
    if before == link { Plan::Nothing } else { Plan::Keep(Box::new(link)) }
}

/// Differs whenever the profile does.
pub(crate) fn digest_of(order: &ProfileOrder) -> String {
    let mut digest = Digest::default();
    order.each_field(|field| digest.field(field));
    digest.hex()
}
