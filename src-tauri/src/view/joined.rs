//! Patients whose records are joined with a partner's, as the window shows them.

use super::{ComparedField, ProgressView};
use serde::{Deserialize, Serialize};
use specta::Type;

/// How it stands with a patient's record at a partner that joins records.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinedView {
    /// The partner's name: `hint`.
    pub partner: String,
    /// The name that people know.
    pub title: String,
    /// Whether consent is there.
    pub allowed: bool,
    /// Whether consent was refused or withdrawn, as against never asked for.
    pub withdrawn: bool,
    /// Whether both records are linked, so that the partner's page can be opened.
    pub linked: bool,
    /// Whether somebody has to say who is meant.
    pub undecided: bool,
    /// Since when it stands like that; None where nobody looked yet.
    pub since: Option<String>,
    /// What is missing, unclear or in the way, in a sentence.
    pub reason: Option<String>,
}

/// A record of the partner's that could be a patient's.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinCandidateView {
    /// What the partner calls it.
    pub record_id: String,
    /// Field by field: the clinic's record, and in the place of the book's the partner's.
    pub fields: Vec<ComparedField>,
    /// `same birth date and phone; surname not the same`.
    pub explained: String,
    /// The name by which it is linked there, whoever linked it.
    pub linked_as: Option<String>,
    /// Whether it is linked to something else of the clinic's, and cannot be chosen.
    pub taken: bool,
    /// Whether it is linked to this patient.
    pub linked: bool,
    /// Whether it was put away there.
    pub archived: bool,
}

/// What is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum JoinKind {
    /// A patient.
    Patient,
    /// A practitioner.
    Practitioner,
    /// An invoice.
    Invoice,
}

/// What somebody says about a thing of the clinic and a record of the partner's.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinChoice {
    /// The partner's name: `hint`.
    pub partner: String,
    /// What is joined.
    pub kind: JoinKind,
    /// What the practice system calls it.
    pub local_id: String,
    /// What the partner calls its record.
    pub record_id: String,
    /// Whether both are the same.
    pub same: bool,
}

/// A practitioner, or an invoice that waits for somebody, and the partner's records that it is or could be.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinOtherView {
    /// Which of the two.
    pub kind: JoinKind,
    /// What the practice system calls it.
    pub local_id: String,
    /// What people know it by.
    pub known_as: JoinNameView,
    /// Whether it is linked.
    pub linked: bool,
    /// What is unclear or in the way, in a sentence.
    pub reason: Option<String>,
    /// The records, the likeliest first.
    pub candidates: Vec<JoinOtherCandidateView>,
}

/// A record of the partner's that a practitioner or an invoice could be.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinOtherCandidateView {
    /// What the partner calls it.
    pub record_id: String,
    /// What people know it by.
    pub known_as: JoinNameView,
    /// The name by which it is linked there, whoever linked it.
    pub linked_as: Option<String>,
    /// Whether it is linked to something else of the clinic's, and cannot be chosen.
    pub taken: bool,
    /// Whether it is linked to this.
    pub linked: bool,
}

/// What people know a practitioner or an invoice by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoinNameView {
    /// A practitioner's name, or an invoice's number; empty where there is none.
    pub name: String,
    /// A date, for an invoice.
    pub date: Option<String>,
    /// Everything that was asked for, in the smallest unit of the clinic's currency, for an invoice.
    pub total_in_cents: Option<f64>,
}

/// How records are joined with a partner's.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct JoiningView {
    /// Patients being looked at.
    pub progress: Option<ProgressView>,
    /// How many patients the partner has.
    pub records: u32,
    /// How many of them have a name that a former program left, and none of ours.
    pub former: u32,
}

/// What became, or would become, of what a former program left beside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum FormerFitView {
    /// It fits the book and can be carried over.
    Fits,
    /// It fits the book, and the patient did not agree.
    WithoutConsent,
    /// Who has that name in the book may be somebody else.
    Doubtful,
    /// Two records name one patient.
    Ambiguous,
    /// Nobody in the book has that name.
    Unknown,
}

/// What a former program left beside a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FormerRowView {
    /// What becomes of it.
    pub fit: FormerFitView,
    /// What was left.
    pub left: String,
    /// The field that it stands in, in the partner's words.
    pub field: String,
    /// Whom the partner's record is about.
    pub there: String,
    /// Who has that name in the book; None where nobody has.
    pub here: Option<String>,
}

/// What a former program left at a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FormerNamesView {
    /// Links that fit the book and can be carried over.
    pub fitting: u32,
    /// Links that fit the book, of patients who did not agree.
    pub without_consent: u32,
    /// Links that name somebody else in the book.
    pub doubtful: u32,
    /// Links that name nobody in the book.
    pub unknown: u32,
    /// Links that two records have.
    pub ambiguous: u32,
    /// Links that are carried over already.
    pub replaced: u32,
    /// One by one, those that can be carried over first; at most a hundred.
    pub rows: Vec<FormerRowView>,
}
