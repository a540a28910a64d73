//! Patients who connect devices of their own: registering one at a partner, and what is connected.

use crate::compose::AppConnect;
use crate::desktop::Desk;
use crate::linking::account::partner;
use crate::present::people::sentence;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{DevicePageView, DevicesView, ErrorCode, UiError};
use chrono::NaiveDate;
use connectors::partners;
use domain::consent::{self, NotAllowed, Said};
use domain::ids::{PatientRef, PracticeId};
use domain::link::LinkState;
use domain::ports::clock::Clock;
use domain::ports::enrolment::DevicePage;
use domain::ports::store::{Consents, Leg, Links, SettingsBook, StoreError};
use domain::private::{ExposeSecret, Private};
use domain::settings::PracticeSettings;
use qrcode::{Color, QrCode};
use std::fmt::Write as _;
use store::Store;
use sync::flows::enrolments::{self, NotConnected, Register};

/// What pressing "Connect a device" does: registers the patient where that has not been done, and answers where devices
/// are connected.
pub async fn connect(
    connections: &AppConnect,
    store: &Store,
    settings: &PracticeSettings,
    name: &str,
    patient: &PatientRef,
    anew: bool,
    clock: &dyn Clock,
) -> Result<DevicePage, UiError> {
    let linkable = partner(name)?;
    let title = linkable.card.title;
    let opened = connections.account(linkable, settings).await;
    let opened = opened.map_err(|problem| failure(ErrorCode::AccountRefused, problem.sentence))?;
    let not_linked =
        || bad_input(format!("{} is not linked with {title}. Link it in Connections.", settings.name));
    let opened = opened.ok_or_else(not_linked)?;
    let desk = opened.device_enrolment();
    let desk = desk.ok_or_else(|| bad_input(format!("Patients connect no devices at {title}.")))?;
    let book = connections
        .practice_system(settings)
        .await
        .map_err(|problem| failure(ErrorCode::PracticeUnreachable, problem.sentence))?;
    let record = book.patient(patient).await.map_err(|error| of_connection(Leg::System, &error))?;
    let gone = || failure(ErrorCode::PatientUnknown, "This patient is not in the book any more.");
    let record = record.filter(|record| !record.deceased).ok_or_else(gone)?;
    let born = record.details.birth_date;
    let register = Register { store, clock, practice: settings, partner: opened.as_ref(), desk };
    let connected = enrolments::connect(register, patient, &born, anew).await;
    connected.map_err(|why| not_connected(title, Leg::Account(linkable.id()), &why))
}

fn not_connected(title: &str, leg: Leg, why: &NotConnected) -> UiError {
    match why {
        NotConnected::NotAllowed(NotAllowed::NotAsked) => failure(
            ErrorCode::NotLinkedYet,
            format!("Consent for {title} is not recorded. Record it on the patient's card first."),
        ),
        NotConnected::NotAllowed(missing) => failure(ErrorCode::NotLinkedYet, sentence(&missing.to_string())),
        NotConnected::Refused(said) => {
            failure(ErrorCode::AccountRefused, format!("{title} refuses it: {said}."))
        }
        NotConnected::Partner(error) => {
            let UiError { code, message } = of_connection(leg, error);
            failure(code, format!("{message} Nobody is registered twice, however often you try."))
        }
        NotConnected::Store(error) => failure(ErrorCode::Unknown, sentence(&error.to_string())),
    }
}

/// The same for the window, with a picture of the address for a phone's camera.
pub async fn page(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    partner: &str,
    anew: bool,
) -> Result<DevicePageView, UiError> {
    let running = desk.running()?;
    let store = running.store();
    let settings = store.practices().await?.into_iter().find(|settings| settings.id == *practice);
    let unknown = || failure(ErrorCode::PracticeUnknown, "There is no such practice.");
    let settings = settings.ok_or_else(unknown)?;
    let connections = running.home.connections();
    let clock = desk.clock();
    let page = connect(&connections, &store, &settings, partner, patient, anew, clock.as_ref()).await?;
    running.engine.nudge(Some(practice.clone()));
    let address = page.0.expose_secret().to_owned();
    let (size, path) = picture(&address)?;
    Ok(DevicePageView { address, size, path })
}

/// A code as the outline of its dark squares, each one unit wide, and how wide it is.
fn picture(address: &str) -> Result<(u32, String), UiError> {
    let code =
        QrCode::new(address).map_err(|error| failure(ErrorCode::Unknown, sentence(&error.to_string())))?;
    let width = code.width();
    let mut path = String::new();
    for (number, colour) in code.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", number % width, number / width);
        }
    }
    Ok((u32::try_from(width).unwrap_or(u32::MAX), path))
}

/// How it stands with a patient's devices at each linked partner that has any.
pub async fn of_patient(
    store: &Store,
    settings: &PracticeSettings,
    patient: &PatientRef,
    born: &Private<Option<NaiveDate>>,
    today: NaiveDate,
) -> Result<Vec<DevicesView>, StoreError> {
    let mut views = Vec::new();
    for linkable in partners::LINKABLE.iter().filter(|linkable| linkable.card.connects_devices) {
        let id = linkable.id();
        if !settings.accounts.contains_key(&id) {
            continue;
        }
        let last = store.consent(&settings.id, &id, patient).await?;
        let link = store.link(&enrolments::link_key(&settings.id, &id, patient)).await?;
        let allowed = consent::allowed_by_record(last.as_ref(), born, today);
        let devices = match &link {
            Some(link) => enrolments::devices(store, &settings.id, &id, &link.told_as).await?,
            None => Vec::new(),
        };
        let missing = match &allowed {
            Ok(_) | Err(NotAllowed::NotAsked | NotAllowed::Withdrawn) => None,
            Err(missing) => Some(sentence(&missing.to_string())),
        };
        views.push(DevicesView {
            partner: id.to_string(),
            title: linkable.card.title.to_owned(),
            allowed: allowed.is_ok(),
            withdrawn: last.is_some_and(|last| last.line.said == Said::No),
            registered: link.as_ref().is_some_and(|link| link.state == LinkState::Linked),
            reason: link.and_then(|link| link.reason).or(missing),
            devices,
        });
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_of_dark_squares_within_it() {
        let (size, path) = picture("https://syncmydevice.com/?token=made-up").expect("a code");
        assert!((21..=177).contains(&size), "{size}");
        let corners = path.split('M').filter(|part| !part.is_empty()).map(|part| {
            let (x, rest) = part.split_once(' ').expect("two numbers");
            let (y, rest) = rest.split_once('h').expect("a square");
            assert_eq!(rest, "1v1h-1z");
            (x.parse::<u32>().expect("a number"), y.parse::<u32>().expect("a number"))
        });
        let corners: Vec<_> = corners.collect();
        assert!(corners.iter().all(|(x, y)| *x < size && *y < size));
        // The three marks by which a camera finds it.
        for corner in [(0, 0), (size - 1, 0), (0, size - 1)] {
            assert!(corners.contains(&corner), "{corner:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said_in_words_and_no_address_stands_in_them() {
        let said = |why: &NotConnected| not_connected("Validic", Leg::System, why).message;
        assert!(said(&NotConnected::NotAllowed(NotAllowed::NotAsked)).contains("Consent for Validic"));
        assert!(said(&NotConnected::NotAllowed(NotAllowed::GuardianMissing)).contains("guardian"));
        assert!(said(&NotConnected::Refused("no".into())).contains("Validic refuses it: no."));
    }
}
