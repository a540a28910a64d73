//! Records of a partner's beside the clinic's → what the window shows of them.

use crate::view::{
    ComparedField, FormerFitView, FormerNamesView, FormerRowView, JoinCandidateView, JoinKind, JoinNameView,
    JoinOtherCandidateView, JoinOtherView, JoiningView, ProgressView,
};
use domain::ids::ForeignRecordId;
use domain::link::{Link, LinkKind, LinkState};
use domain::matching::Comparison;
use domain::people::PersonDetails;
use domain::records::{ForeignRecord, InvoiceFacts};
use sync::record_desk::{CarryOver, FormerLinks, FormerSeen, OtherLink};
use sync::state::RecordsState;

/// A record that could be meant.
pub fn candidate(
    record: &ForeignRecord,
    comparison: &Comparison,
    fields: Vec<ComparedField>,
    link: &Link,
) -> JoinCandidateView {
    let name = record.told_as.as_ref().map(|name| name.as_str());
    JoinCandidateView {
        record_id: record.id.to_string(),
        fields,
        explained: comparison.explain(),
        linked_as: name.map(str::to_owned),
        taken: name.is_some_and(|name| name != link.told_as),
        linked: name == Some(link.told_as.as_str()),
        archived: record.archived,
    }
}

/// How the joining of a partner's records is doing; nothing is known of it before the first look.
pub fn joining(state: Option<&RecordsState>) -> JoiningView {
    let Some(state) = state else { return JoiningView { progress: None, records: 0, former: 0 } };
    let progress = state.bringing.filter(|(done, total)| done < total);
    JoiningView {
        progress: progress.map(|(done, total)| ProgressView { done: count(done), total: count(total) }),
        records: count(state.records),
        former: count(state.former),
    }
}

/// A practitioner or an invoice, `name` being what the practice system calls people of its staff.
pub fn other(other: OtherLink, name: impl Fn(&str) -> Option<String>) -> JoinOtherView {
    let OtherLink { link, invoice, there } = other;
    let known_as = match link.key.kind {
        LinkKind::Invoice => invoice.as_ref().map(of_invoice).unwrap_or_default(),
        LinkKind::Practitioner | LinkKind::Patient => {
            JoinNameView { name: name(&link.key.local_id).unwrap_or_default(), ..JoinNameView::default() }
        }
    };
    let candidate = |record: &ForeignRecord| {
        let told_as = record.told_as.as_ref().map(|name| name.as_str());
        JoinOtherCandidateView {
            record_id: record.id.to_string(),
            known_as: match &record.invoice {
                Some(facts) => of_invoice(facts),
                None => JoinNameView { name: full_name(&record.details), ..JoinNameView::default() },
            },
            linked_as: told_as.map(str::to_owned),
            taken: told_as.is_some_and(|name| name != link.told_as),
            linked: told_as == Some(link.told_as.as_str()),
        }
    };
    JoinOtherView {
        kind: match link.key.kind {
            LinkKind::Patient => JoinKind::Patient,
            LinkKind::Practitioner => JoinKind::Practitioner,
            LinkKind::Invoice => JoinKind::Invoice,
        },
        known_as,
        linked: link.state == LinkState::Linked,
        candidates: there.iter().map(candidate).collect(),
        local_id: link.key.local_id,
        reason: link.reason,
    }
}

fn of_invoice(facts: &InvoiceFacts) -> JoinNameView {
    JoinNameView {
        name: facts.number.clone().unwrap_or_default(),
        date: facts.date.map(|date| date.to_string()),
        // Of no clinic's invoice are there so many cents that a number of JavaScript's could not hold them.
        total_in_cents: facts.total_in_cents.and_then(|cents| i32::try_from(cents).ok()).map(f64::from),
    }
}

fn full_name(person: &PersonDetails) -> String {
    let (first, last) = (person.first_name.reveal(), person.last_name.reveal());
    format!("{} {}", first.trim(), last.trim()).trim().to_owned()
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// More rows than these nobody reads.
const MOST_ROWS: usize = 100;

/// What a former program left.
pub fn former(found: &FormerLinks) -> FormerNamesView {
    let listed = |list: &[CarryOver], id: &ForeignRecordId| list.iter().any(|carry| carry.record == *id);
    let fit = |seen: &FormerSeen| match &seen.record {
        id if listed(&found.fitting, id) => FormerFitView::Fits,
        id if listed(&found.without_consent, id) => FormerFitView::WithoutConsent,
        id if found.ambiguous.contains(id) => FormerFitView::Ambiguous,
        id if found.unknown.contains(id) => FormerFitView::Unknown,
        _ => FormerFitView::Doubtful,
    };
    let row = |seen: &FormerSeen| FormerRowView {
        fit: fit(seen),
        left: seen.left.name.clone(),
        field: seen.left.field.to_owned(),
        there: full_name(&seen.there),
        here: seen.here.as_ref().map(full_name),
    };
    let mut rows: Vec<FormerRowView> = found.seen.iter().map(row).collect();
    rows.sort_by_key(|row| match row.fit {
        FormerFitView::Fits => 0,
        FormerFitView::WithoutConsent => 1,
        FormerFitView::Doubtful => 2,
        FormerFitView::Ambiguous => 3,
        FormerFitView::Unknown => 4,
    });
    rows.truncate(MOST_ROWS);
    FormerNamesView {
        fitting: count(found.fitting.len()),
        without_consent: count(found.without_consent.len()),
        doubtful: count(found.doubtful.len()),
        unknown: count(found.unknown.len()),
        ambiguous: count(found.ambiguous.len()),
        replaced: count(found.replaced),
        rows,
    }
}
