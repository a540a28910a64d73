//! One thin function per thing the window may ask. Each is a call and a conversion; no decision lives here.

pub mod accounts;
pub mod joined;
pub mod people;

use crate::desktop::Desk;
use crate::present::list_name;
use crate::ui_error::{bad_input, failure};
use crate::view::{
    AppView, BookingDecision, BookingHistory, BookingPage, BookingQuery, DayBookView, ErrorCode,
    ExternalLink, FreeTimesView, HealthengineInput, HealthengineTest, ListDecision, ListKind, PracticeInput,
    ResyncWhat, SettingsInput, SlotStoryView, SystemAddress, SystemInput, SystemTest, UiError,
};
use crate::{day_book, decisions, hookup, linking, placing, presenter, settings, system_open};
use domain::ids::PracticeId;
use domain::ports::store::{SettingsBook, Wish};
use std::sync::Arc;
use sync::practices;
use tauri::{AppHandle, State};

type Shared<'a> = State<'a, Arc<Desk>>;

/// The view as it is now.
#[tauri::command]
#[specta::specta]
pub async fn current_view(app: AppHandle) -> Result<AppView, UiError> {
    Ok(presenter::first_view(&app).await)
}

/// A page of the finished bookings, newest first.
#[tauri::command]
#[specta::specta]
pub async fn find_bookings(desk: Shared<'_>, query: BookingQuery) -> Result<BookingPage, UiError> {
    decisions::find(desk.running()?, &query, desk.now()).await
}

/// The timeline behind "Why?".
#[tauri::command]
#[specta::specta]
pub async fn booking_history(
    desk: Shared<'_>,
    practice_id: String,
    booking_id: String,
) -> Result<BookingHistory, UiError> {
    decisions::history(desk.running()?, &decisions::key(&practice_id, &booking_id), desk.now()).await
}

/// A day of the book beside what Healthengine shows.
#[tauri::command]
#[specta::specta]
pub async fn day_book(desk: Shared<'_>, practice_id: String, day: String) -> Result<DayBookView, UiError> {
    day_book::day(desk.running()?, &PracticeId::new(practice_id), &day).await
}

/// The timeline behind "Why?" on a time of the day.
#[tauri::command]
#[specta::specta]
pub async fn slot_story(
    desk: Shared<'_>,
    practice_id: String,
    resource_id: String,
    day: String,
    start: String,
    end: String,
) -> Result<SlotStoryView, UiError> {
    let slot = day_book::SlotOf { resource: &resource_id, day: &day, start: &start, end: &end };
    day_book::story(desk.running()?, &PracticeId::new(practice_id), &slot, desk.now()).await
}

/// Opens a document that lies in our own records.
#[tauri::command]
#[specta::specta]
pub async fn open_document(
    desk: Shared<'_>,
    practice_id: String,
    document_id: String,
) -> Result<(), UiError> {
    decisions::open_document(&desk, &practice_id, &document_id).await
}

/// What a person decided for a booking.
#[tauri::command]
#[specta::specta]
pub async fn decide_booking(
    desk: Shared<'_>,
    practice_id: String,
    booking_id: String,
    decision: BookingDecision,
) -> Result<(), UiError> {
    let key = decisions::key(&practice_id, &booking_id);
    decisions::decide(desk.running()?, &key, &decision, desk.clock().as_ref()).await
}

/// The free times of a day for a booking that could not be placed; without a day the nearest ones.
#[tauri::command]
#[specta::specta]
pub async fn free_times(
    desk: Shared<'_>,
    practice_id: String,
    booking_id: String,
    day: Option<String>,
) -> Result<FreeTimesView, UiError> {
    let key = decisions::key(&practice_id, &booking_id);
    placing::free_times(desk.running()?, &key, day.as_deref(), desk.now()).await
}

/// Pauses or resumes one practice.
#[tauri::command]
#[specta::specta]
pub async fn set_practice_enabled(
    desk: Shared<'_>,
    practice_id: String,
    enabled: bool,
) -> Result<(), UiError> {
    let running = desk.running()?;
    let practice = PracticeId::new(practice_id);
    let known = practices::set_enabled(running.store().as_ref(), &practice, enabled, desk.now()).await?;
    running.engine.nudge(Some(practice));
    known.map(drop).ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))
}

/// Pauses or resumes every practice.
#[tauri::command]
#[specta::specta]
pub async fn set_all_enabled(desk: Shared<'_>, enabled: bool) -> Result<(), UiError> {
    let running = desk.running()?;
    let store = running.store();
    for settings in store.practices().await? {
        practices::set_enabled(store.as_ref(), &settings.id, enabled, desk.now()).await?;
    }
    running.engine.nudge(None);
    Ok(())
}

/// Sends again what Healthengine should know.
#[tauri::command]
#[specta::specta]
pub async fn resync(desk: Shared<'_>, practice_id: String, what: ResyncWhat) -> Result<(), UiError> {
    let wishes: &[Wish] = match what {
        ResyncWhat::Configuration => &[Wish::ResyncConfiguration],
        ResyncWhat::Availability => &[Wish::ResyncAvailability],
        ResyncWhat::Patients => &[Wish::ResyncPatients],
        ResyncWhat::All => &practices::EVERYTHING,
    };
    let (running, practice) = (desk.running()?, PracticeId::new(practice_id));
    practices::resync(running.store().as_ref(), &practice, wishes, desk.now()).await?;
    running.engine.nudge(Some(practice));
    Ok(())
}

/// A list lost many entries: send it so, or look again.
#[tauri::command]
#[specta::specta]
pub async fn decide_shrunk_list(
    desk: Shared<'_>,
    practice_id: String,
    list: ListKind,
    decision: ListDecision,
) -> Result<(), UiError> {
    let (running, practice) = (desk.running()?, PracticeId::new(practice_id));
    let list = list_name(list);
    let wish = match decision {
        ListDecision::SendShorter => Wish::AcceptShrink(list.to_owned()),
        // The window offers it for no other lists than those of the configuration and for appointments.
        ListDecision::LookAgain => Wish::ResyncConfiguration,
    };
    practices::resync(running.store().as_ref(), &practice, &[wish], desk.now()).await?;
    running.engine.nudge(Some(practice));
    Ok(())
}

/// Somebody has seen to what the notice of this instant says.
#[tauri::command]
#[specta::specta]
pub async fn acknowledge_notice(desk: Shared<'_>, practice_id: String, at: String) -> Result<(), UiError> {
    let store = desk.running()?.store();
    decisions::acknowledge(store.as_ref(), &PracticeId::new(practice_id), &at, desk.now()).await?;
    desk.seen().await.read_the_ledger_anew();
    desk.look_again();
    Ok(())
}

/// Connects and reads; changes nothing.
#[tauri::command]
#[specta::specta]
pub async fn test_practice_system(
    desk: Shared<'_>,
    practice_id: Option<String>,
    system: SystemInput,
    time_zone: String,
) -> Result<SystemTest, UiError> {
    linking::test_system(&desk, practice_id.as_deref(), &system, &time_zone).await
}

/// Asks a person to sign in to the practice system, in the browser. Answers once somebody has, or why nobody did.
#[tauri::command]
#[specta::specta]
pub async fn sign_in_to_system(
    desk: Shared<'_>,
    practice_id: Option<String>,
    system: SystemInput,
) -> Result<(), UiError> {
    linking::sign_in_to_system(&desk, practice_id.as_deref(), &system).await
}

/// Gives the sign-in up that is waited for.
#[tauri::command]
#[specta::specta]
pub async fn cancel_sign_in(desk: Shared<'_>) -> Result<(), UiError> {
    desk.sign_ins().cancel();
    Ok(())
}

/// Checks a registration of Provet Cloud's field by field, and answers what the form shows of it.
#[tauri::command]
#[specta::specta]
pub async fn read_registration(text: String) -> Result<SystemAddress, UiError> {
    linking::registration(&text)
}

/// The address to which Provet may send registrations. It is a secret, so it stands in no view.
#[tauri::command]
#[specta::specta]
pub async fn hookup_address(desk: Shared<'_>, public_address: String) -> Result<String, UiError> {
    hookup::address(&desk, &public_address).await
}

/// Accepts a registration. Answers what the linking form begins with; none where a linked practice took it up.
#[tauri::command]
#[specta::specta]
pub async fn accept_registration(
    desk: Shared<'_>,
    registration: String,
) -> Result<Option<SystemAddress>, UiError> {
    hookup::accept(&desk, &registration).await
}

/// Forgets a registration.
#[tauri::command]
#[specta::specta]
pub async fn refuse_registration(desk: Shared<'_>, registration: String) -> Result<(), UiError> {
    hookup::refuse(&desk, &registration).await
}

/// One cheap request with these keys.
#[tauri::command]
#[specta::specta]
pub async fn test_healthengine(
    desk: Shared<'_>,
    practice_id: Option<String>,
    account: HealthengineInput,
) -> Result<HealthengineTest, UiError> {
    linking::test_healthengine(&desk, practice_id.as_deref(), &account).await
}

/// Saves a new practice and answers its id.
#[tauri::command]
#[specta::specta]
pub async fn link_practice(desk: Shared<'_>, practice: PracticeInput) -> Result<String, UiError> {
    linking::link(&desk, practice).await
}

/// Saves a changed practice.
#[tauri::command]
#[specta::specta]
pub async fn update_practice(
    desk: Shared<'_>,
    practice_id: String,
    practice: PracticeInput,
) -> Result<(), UiError> {
    linking::update(&desk, &practice_id, practice).await
}

/// Stops and forgets a practice.
#[tauri::command]
#[specta::specta]
pub async fn unlink_practice(desk: Shared<'_>, practice_id: String) -> Result<(), UiError> {
    let (running, practice) = (desk.running()?, PracticeId::new(practice_id));
    let known = running.store().remove_practice(&practice).await?;
    running.engine.nudge(None);
    known.then_some(()).ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))
}

/// Saves the settings.
#[tauri::command]
#[specta::specta]
pub async fn change_settings(
    app: AppHandle,
    desk: Shared<'_>,
    settings: SettingsInput,
) -> Result<(), UiError> {
    settings::change(&app, &desk, &settings).await
}

/// Shows the folder in the file manager.
#[tauri::command]
#[specta::specta]
pub async fn open_logs_folder(desk: Shared<'_>) -> Result<(), UiError> {
    system_open::open(desk.logging().folder()).await
}

/// The public address at which the practice's webhooks come in. It is a secret, so it stands in no view.
#[tauri::command]
#[specta::specta]
pub async fn webhook_address(
    desk: Shared<'_>,
    practice_id: String,
    book: bool,
) -> Result<Option<String>, UiError> {
    linking::webhook_address(&desk, &practice_id, book).await
}

/// Writes a zip and answers where it lies.
#[tauri::command]
#[specta::specta]
pub async fn export_logs(desk: Shared<'_>) -> Result<String, UiError> {
    settings::export_logs(&desk).await
}

/// Opens one of the known pages in the browser.
#[tauri::command]
#[specta::specta]
pub async fn open_link(desk: Shared<'_>, link: ExternalLink) -> Result<(), UiError> {
    let address = match link {
        ExternalLink::PracticeAdmin => linking::PRACTICE_ADMIN,
        ExternalLink::PatientPage => {
            desk.patient_page().ok_or_else(|| bad_input("The patient page belongs to the demo."))?
        }
    };
    system_open::open(address).await
}
