//! What left this computer, about whom, to whom and under which consent, line by line. A line holds ids and names of
//! fields, never what the fields say. Each line carries a digest over itself and the line before, so that one that was
//! changed or taken out shows.

use crate::ids::{PartnerId, PatientRef, PracticeId};
use crate::private::Private;
use chrono::{DateTime, Utc};

/// Something worth keeping for the practice manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// When.
    pub at: DateTime<Utc>,
    /// The practice.
    pub practice: PracticeId,
    /// The partner that it is about.
    pub partner: PartnerId,
    /// The patient that it is about; none where it is about all of them.
    pub patient: Option<PatientRef>,
    /// What happened.
    pub what: AuditEvent,
    /// The names of the fields that left, in the partner's words.
    pub fields: Vec<String>,
    /// The number of the consent under which they left.
    pub consent: Option<i64>,
    /// Under which name the partner was told of the patient, or which account was meant.
    pub told_as: Option<String>,
    /// Who did it, where a person did.
    pub by: Option<Private<String>>,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// Consent was recorded.
    ConsentGiven,
    /// Consent was refused or withdrawn.
    ConsentWithdrawn,
    /// Details were handed to the network. Written before, so that nothing leaves without a line.
    Sent,
    /// What the line before announced certainly did not leave.
    NotSent,
    /// The partner refused what was sent.
    Refused,
    /// The patient's page at the partner was opened.
    Opened,
    /// Details are not kept in step any more.
    Ended,
    /// The links of a former system were removed from the partner's whole account.
    FormerLinksRemoved,
    /// Somebody said which record of the partner's one of ours is.
    Matched,
    /// Somebody said which record of the partner's one of ours is not.
    NotMatched,
}

impl AuditEvent {
    /// All of them.
    pub const ALL: [AuditEvent; 10] = [
        AuditEvent::ConsentGiven,
        AuditEvent::ConsentWithdrawn,
        AuditEvent::Sent,
        AuditEvent::NotSent,
        AuditEvent::Refused,
        AuditEvent::Opened,
        AuditEvent::Ended,
        AuditEvent::FormerLinksRemoved,
        AuditEvent::Matched,
        AuditEvent::NotMatched,
    ];

    /// The name in the store and in exports.
    pub fn name(self) -> &'static str {
        match self {
            AuditEvent::ConsentGiven => "consent_given",
            AuditEvent::ConsentWithdrawn => "consent_withdrawn",
            AuditEvent::Sent => "sent",
            AuditEvent::NotSent => "not_sent",
            AuditEvent::Refused => "refused",
            AuditEvent::Opened => "opened",
            AuditEvent::Ended => "ended",
            AuditEvent::FormerLinksRemoved => "former_links_removed",
            AuditEvent::Matched => "matched",
            AuditEvent::NotMatched => "not_matched",
        }
    }
}

/// A line as it stands in the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; they follow one another without a gap.
    pub number: i64,
    /// What it says.
    pub line: AuditLine,
    /// SHA-256 over the digest of the line before and this line's text, in hexadecimal digits.
    pub digest: String,
}
