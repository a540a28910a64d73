//! What the window may ask about partners whose form is drawn from their card, and about patients' devices.

use super::Shared;
use crate::devices;
use crate::linking::account;
use crate::view::{AccountInput, AccountTest, DevicePageView, UiError};
use domain::ids::{PatientRef, PracticeId};

/// Asks the partner for something cheap, with what was typed.
#[tauri::command]
#[specta::specta]
pub async fn test_account(
    desk: Shared<'_>,
    practice_id: String,
    account: AccountInput,
) -> Result<AccountTest, UiError> {
    account::test(&desk, &practice_id, &account).await
}

/// The same, and links the practice with the partner if that worked.
#[tauri::command]
#[specta::specta]
pub async fn save_account(
    desk: Shared<'_>,
    practice_id: String,
    account: AccountInput,
) -> Result<(), UiError> {
    account::save(&desk, &practice_id, &account).await
}

/// Forgets the account and its secrets.
#[tauri::command]
#[specta::specta]
pub async fn unlink_account(desk: Shared<'_>, practice_id: String, partner: String) -> Result<(), UiError> {
    account::unlink(&desk, &practice_id, &partner).await
}

/// Registers a patient where that has not been done, and answers where devices are connected; with `anew` at a new
/// address.
#[tauri::command]
#[specta::specta]
pub async fn connect_device(
    desk: Shared<'_>,
    practice_id: String,
    patient_id: String,
    partner: String,
    anew: bool,
) -> Result<DevicePageView, UiError> {
    devices::page(&desk, &PracticeId::new(practice_id), &PatientRef::new(patient_id), &partner, anew).await
}
