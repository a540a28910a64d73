//! `links`: every link of things here with things at partners, without anybody's name.

use crate::present::instant;
use domain::ids::PartnerId;
use domain::link::Link;
use domain::ports::store::{Links, StoreError};
use domain::settings::PracticeSettings;
use serde::Serialize;
use std::fmt::Write as _;
use store::Store;

/// `links --json` (`interface.md`).
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct LinkList(Vec<LinkLine>);

#[derive(Debug, Serialize)]
struct LinkLine {
    practice: String,
    partner: String,
    kind: &'static str,
    local_id: String,
    partner_id: Option<String>,
    state: &'static str,
    since: String,
    reason: Option<String>,
}

impl LinkList {
    /// Reads the links of these practices at one partner, or at all.
    pub async fn read(
        store: &Store,
        practices: &[PracticeSettings],
        partner: Option<&PartnerId>,
    ) -> Result<Self, StoreError> {
        let mut lines = Vec::new();
        for settings in practices {
            lines.extend(store.links(&settings.id, partner).await?.iter().map(LinkLine::of));
        }
        Ok(Self(lines))
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "There are no links.\n".to_owned();
        }
        let mut text = String::new();
        for line in &self.0 {
            let LinkLine { practice, partner, kind, local_id, state, .. } = line;
            // Writing to a string cannot fail.
            let _ = write!(text, "{practice}: {kind} {local_id} at {partner}: {state}");
            if let Some(partner_id) = &line.partner_id {
                let _ = write!(text, " as {partner_id}");
            }
            if let Some(reason) = &line.reason {
                let _ = write!(text, ". {reason}");
            }
            text.push('\n');
        }
        text
    }
}

impl LinkLine {
    fn of(link: &Link) -> Self {
        Self {
            practice: link.key.practice.to_string(),
            partner: link.key.partner.to_string(),
            kind: link.key.kind.name(),
            local_id: link.key.local_id.clone(),
            partner_id: link.partner_id.clone(),
            state: link.state.name(),
            since: instant(link.since),
            reason: link.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::ids::{PatientRef, PracticeId};
    use domain::link::LinkState;

    #[test]
    fn a_link_has_exactly_the_promised_shape() {
        let since = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        let key = crate::patients::link_key(&PracticeId::new("richmond"), &PatientRef::new("77"));
        let mut link = Link::new(key, "richmond-77".into(), since);
        link.partner_id = Some("aaaa".into());
        link.becomes(LinkState::NeedsPerson, Some("The record has no birth date.".into()), since);
        let list = LinkList(vec![LinkLine::of(&link)]);
        let expected = serde_json::json!([{
            "practice": "richmond", "partner": "vald", "kind": "patient", "local_id": "77", "partner_id": "aaaa",
            "state": "needs_person", "since": "2027-01-15T08:00:00.000Z", "reason": "The record has no birth date.",
        }]);
        assert_eq!(serde_json::to_value(&list).expect("JSON"), expected);
        assert_eq!(
            list.text(),
            "richmond: patient 77 at vald: needs_person as aaaa. The record has no birth date.\n"
        );
        assert!(LinkList::default().text().contains("no links"));
    }
}
