//! A thing of this practice and the same thing at a partner.

use crate::ids::{PartnerId, PracticeId};
use chrono::{DateTime, Utc};

/// What is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// A patient.
    Patient,
    /// A practitioner.
    Practitioner,
    /// An invoice.
    Invoice,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [LinkKind; 3] = [LinkKind::Patient, LinkKind::Practitioner, LinkKind::Invoice];

    /// The name in the store and in `links --json`.
    pub fn name(self) -> &'static str {
        match self {
            LinkKind::Patient => "patient",
            LinkKind::Practitioner => "practitioner",
            LinkKind::Invoice => "invoice",
        }
    }
}

/// How far a link is (`interface.md`, `links`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkState {
    /// The partner has it and says what it is called there.
    Linked,
    /// On its way.
    Pending,
    /// Somebody has to decide or to supply something.
    NeedsPerson,
    /// The partner has it linked to something else.
    Conflict,
    /// The partner refused it; it is tried again when something about it changes.
    Failed,
    /// It was linked, and is not kept in step any more. The partner may still hold it.
    Ended,
}

impl LinkState {
    /// All of them.
    pub const ALL: [LinkState; 6] = [
        LinkState::Linked,
        LinkState::Pending,
        LinkState::NeedsPerson,
        LinkState::Conflict,
        LinkState::Failed,
        LinkState::Ended,
    ];

    /// The name in the store and in `links --json`.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Linked => "linked",
            LinkState::Pending => "pending",
            LinkState::NeedsPerson => "needs_person",
            LinkState::Conflict => "conflict",
            LinkState::Failed => "failed",
            LinkState::Ended => "ended",
        }
    }
}

/// Which link: one thing of the practice has at most one at each partner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// The practice.
    pub practice: PracticeId,
    /// The partner.
    pub partner: PartnerId,
    /// What is linked.
    pub kind: LinkKind,
    /// What the practice system calls it.
    pub local_id: String,
}

/// A link and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub key: LinkKey,
    /// The name under which we told the partner of it, chosen once and never changed: VALD's sync id.
    pub told_as: String,
    /// What the partner calls it, once that is known.
    pub partner_id: Option<String>,
    /// How far it is.
    pub state: LinkState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why it is not linked, in a sentence that names nobody.
    pub reason: Option<String>,
    /// A digest of what the partner accepted last; none before.
    pub accepted: Option<String>,
    /// A digest of what it refused last, so that the same is not sent again.
    pub refused: Option<String>,
    /// When the partner accepted something last.
    pub accepted_at: Option<DateTime<Utc>>,
}

impl Link {
    /// A link of which nothing was sent yet.
    pub fn new(key: LinkKey, told_as: String, now: DateTime<Utc>) -> Self {
        Self {
            key,
            told_as,
            partner_id: None,
            state: LinkState::Pending,
            since: now,
            reason: None,
            accepted: None,
            refused: None,
            accepted_at: None,
        }
    }

    /// Moves it on; `since` changes only with the state.
    pub fn becomes(&mut self, state: LinkState, reason: Option<String>, now: DateTime<Utc>) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        self.reason = reason;
    }
}
