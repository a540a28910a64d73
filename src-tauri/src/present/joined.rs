//! Records of a partner's beside the clinic's → what the window shows of them.

use crate::view::{ComparedField, FormerNamesView, JoinCandidateView};
use domain::link::Link;
use domain::matching::Comparison;
use domain::records::ForeignRecord;
use sync::record_desk::FormerLinks;

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
        taken: name.is_some_and(|name| name != link.told_as),
        linked: name == Some(link.told_as.as_str()),
        archived: record.archived,
    }
}

/// What a former program left, in numbers.
pub fn former(found: &FormerLinks) -> FormerNamesView {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    FormerNamesView {
        fitting: count(found.fitting.len()),
        without_consent: count(found.without_consent.len()),
        doubtful: count(found.doubtful.len()),
        unknown: count(found.unknown.len()),
        ambiguous: count(found.ambiguous.len()),
        replaced: count(found.replaced),
    }
}
