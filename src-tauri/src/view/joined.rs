//! Patients whose records are joined with a partner's, as the window shows them.

use super::ComparedField;
use serde::Serialize;
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
    /// Whether it is linked to something else of the clinic's, and cannot be chosen.
    pub taken: bool,
    /// Whether it is linked to this patient.
    pub linked: bool,
    /// Whether it was put away there.
    pub archived: bool,
}

/// What a former program left at a partner, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
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
}
