//! What the window may ask about patients, their consents, and their pages in VALD Hub.

use super::Shared;
use crate::linking::vald;
use crate::view::{
    ConsentInput, LinkView, PatientCardView, PatientHits, PatientQuery, TodayView, UiError, ValdInput,
    ValdTest,
};
use crate::{audit, hub_page, patients, quick_open};
use domain::ids::{PatientRef, PracticeId};
use tauri::AppHandle;

/// Who matches what was typed, from memory.
#[tauri::command]
#[specta::specta]
pub async fn find_patients(desk: Shared<'_>, query: PatientQuery) -> Result<PatientHits, UiError> {
    patients::find(&desk, &query).await
}

/// Everything about one patient.
#[tauri::command]
#[specta::specta]
pub async fn patient_card(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
) -> Result<PatientCardView, UiError> {
    patients::card(&desk, &PracticeId::new(practice_id), &PatientRef::new(patient_id)).await
}

/// Links that need a person or were refused, or those of one state.
#[tauri::command]
#[specta::specta]
pub async fn patient_links(
    desk: Shared<'_>,
    practice_id: String,
    state: Option<String>,
) -> Result<Vec<LinkView>, UiError> {
    patients::links(&desk, &PracticeId::new(practice_id), state.as_deref()).await
}

/// Who comes today, with the state of each VALD profile.
#[tauri::command]
#[specta::specta]
pub async fn today(desk: Shared<'_>, practice_id: String) -> Result<TodayView, UiError> {
    patients::today(&desk, &PracticeId::new(practice_id)).await
}

/// Records consent for a partner.
#[tauri::command]
#[specta::specta]
pub async fn give_consent(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    partner: String,
    consent: ConsentInput,
) -> Result<(), UiError> {
    let (practice, patient) = (PracticeId::new(practice_id), PatientRef::new(patient_id));
    patients::give_consent(&desk, &practice, &patient, &partner, consent).await
}

/// Records that consent for a partner was refused or withdrawn.
#[tauri::command]
#[specta::specta]
pub async fn withdraw_consent(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    partner: String,
    recorded_by: String,
) -> Result<(), UiError> {
    let (practice, patient) = (PracticeId::new(practice_id), PatientRef::new(patient_id));
    patients::withdraw_consent(&desk, &practice, &patient, &partner, recorded_by).await
}

/// Sends these patients before all others, as far as they consented. Answers how many.
#[tauri::command]
#[specta::specta]
pub async fn link_patients(
    desk: Shared<'_>,
    practice_id: String,
    patient_ids: Vec<String>,
) -> Result<u32, UiError> {
    let wanted = patient_ids.into_iter().map(PatientRef::new).collect();
    patients::link(&desk, &PracticeId::new(practice_id), wanted).await
}

/// Opens the profile's page in the browser; with `link_first` waits for it to be linked.
#[tauri::command]
#[specta::specta]
pub async fn open_in_vald(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    link_first: bool,
) -> Result<(), UiError> {
    hub_page::open(&desk, &PracticeId::new(practice_id), &PatientRef::new(patient_id), link_first).await
}

/// Tries the credentials, finds the region, reads the groups.
#[tauri::command]
#[specta::specta]
pub async fn test_vald(
    desk: Shared<'_>,
    practice_id: Option<String>,
    account: ValdInput,
) -> Result<ValdTest, UiError> {
    vald::test(&desk, practice_id.as_deref(), &account).await
}

/// Checks the landing address, and opens it for a patient who is linked where one is given.
#[tauri::command]
#[specta::specta]
pub async fn check_landing(
    desk: Shared<'_>,
    practice_id: Option<String>,
    hub_url: String,
    tenant_id: String,
    patient_id: Option<String>,
) -> Result<(), UiError> {
    let patient = patient_id.map(PatientRef::new);
    vald::check_landing(&desk, practice_id.as_deref(), &hub_url, &tenant_id, patient.as_ref()).await
}

/// Removes the sync ids of a former system from the whole VALD account.
#[tauri::command]
#[specta::specta]
pub async fn remove_former_links(
    desk: Shared<'_>,
    practice_id: String,
    typed: String,
    recorded_by: String,
) -> Result<(), UiError> {
    vald::remove_former_links(&desk, &PracticeId::new(practice_id), &typed, recorded_by).await
}

/// Writes the audit trail as CSV and answers where it lies.
#[tauri::command]
#[specta::specta]
pub async fn export_audit(desk: Shared<'_>) -> Result<String, UiError> {
    audit::export_beside(&desk).await
}

/// Closes the small search box.
#[tauri::command]
#[specta::specta]
pub async fn close_quick_open(app: AppHandle) -> Result<(), UiError> {
    quick_open::close(&app);
    Ok(())
}
