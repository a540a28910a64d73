//! What the window may ask about patients whose records are joined with a partner's.

use super::Shared;
use crate::joined;
use crate::view::{FormerNamesView, JoinCandidateView, JoinChoice, JoinOtherView, UiError};
use domain::ids::{PatientRef, PracticeId};

/// Everybody at the partner who could be a patient, beside the clinic's own record.
#[tauri::command]
#[specta::specta]
pub async fn join_candidates(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    partner: String,
) -> Result<Vec<JoinCandidateView>, UiError> {
    let (practice, patient) = (PracticeId::new(practice_id), PatientRef::new(patient_id));
    joined::candidates(&desk, &practice, &patient, &partner).await
}

/// The practitioners, and the invoices that wait for somebody, beside the partner's.
#[tauri::command]
#[specta::specta]
pub async fn join_others(
    desk: Shared<'_>,
    practice_id: String,
    partner: String,
) -> Result<Vec<JoinOtherView>, UiError> {
    joined::others(&desk, &PracticeId::new(practice_id), &partner).await
}

/// Records that a record of the partner's is a thing of the clinic's, or is not.
#[tauri::command]
#[specta::specta]
pub async fn decide_joined(
    desk: Shared<'_>,
    practice_id: String,
    choice: JoinChoice,
    recorded_by: String,
) -> Result<(), UiError> {
    joined::decide(&desk, &PracticeId::new(practice_id), choice, &recorded_by).await
}

/// Opens the partner's page about a linked patient.
#[tauri::command]
#[specta::specta]
pub async fn open_at_partner(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    partner: String,
) -> Result<(), UiError> {
    joined::open(&desk, &PracticeId::new(practice_id), &PatientRef::new(patient_id), &partner).await
}

/// What a former program left at a partner. Changes nothing.
#[tauri::command]
#[specta::specta]
pub async fn former_names(
    desk: Shared<'_>,
    practice_id: String,
    partner: String,
) -> Result<FormerNamesView, UiError> {
    joined::former(&desk, &PracticeId::new(practice_id), &partner).await
}

/// Carries over what fits. Answers how many links are on their way.
#[tauri::command]
#[specta::specta]
pub async fn carry_over_former_names(
    desk: Shared<'_>,
    practice_id: String,
    partner: String,
    recorded_by: String,
) -> Result<u32, UiError> {
    joined::carry_over(&desk, &PracticeId::new(practice_id), &partner, &recorded_by).await
}
