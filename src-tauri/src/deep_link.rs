//! `clinic-companion://vald/open?practice=ID&patient=PMSID`: another program opens a patient's page in VALD Hub.

use crate::desktop::Desk;
use crate::{hub_page, windows};
use domain::ids::{PatientRef, PracticeId};
use std::sync::Arc;
use tauri::{AppHandle, Manager};
use tauri_plugin_deep_link::DeepLinkExt;
use url::Url;

/// How such an address begins.
pub const SCHEME: &str = "clinic-companion:";
/// No practice system has longer keys.
const LONGEST_KEY: usize = 200;

/// What another program wants to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeepLink {
    /// The practice.
    pub practice: PracticeId,
    /// The patient, by the practice system's key.
    pub patient: PatientRef,
}

/// An address that says something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "This address cannot be opened. It has the form clinic-companion://vald/open?practice=ID&patient=PMSID, with its values percent-encoded."
)]
pub struct NotALink;

impl DeepLink {
    /// Reads an address. Whatever is not exactly of the form is refused: it comes from outside.
    pub fn parse(text: &str) -> Result<Self, NotALink> {
        let url = Url::parse(text).map_err(|_| NotALink)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.port().is_none()
            && url.fragment().is_none();
        if !plain || !text.starts_with(SCHEME) || url.host_str() != Some("vald") || url.path() != "/open" {
            return Err(NotALink);
        }
        let (mut practice, mut patient) = (None, None);
        for (key, value) in url.query_pairs() {
            let place = match key.as_ref() {
                "practice" => &mut practice,
                "patient" => &mut patient,
                _ => return Err(NotALink),
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(NotALink);
            }
        }
        let (practice, patient) = practice.zip(patient).ok_or(NotALink)?;
        let sound = (1..=LONGEST_KEY).contains(&patient.chars().count())
            && !patient.chars().any(char::is_control)
            && PracticeId::is_valid(&practice);
        if !sound {
            return Err(NotALink);
        }
        Ok(Self { practice: PracticeId::new(practice), patient: PatientRef::new(patient) })
    }
}

/// Has the system lead such addresses to us, where it is not told so when we are installed, and follows those that it
/// hands over by itself.
pub fn listen(app: &AppHandle) {
    let handle = app.clone();
    app.deep_link().on_open_url(move |event| {
        for url in event.urls() {
            follow(&handle, url.as_str());
        }
    });
    #[cfg(any(windows, target_os = "linux"))]
    {
        let handle = app.clone();
        // Runs a program or two of the system's.
        tauri::async_runtime::spawn_blocking(move || {
            if let Err(error) = handle.deep_link().register_all() {
                tracing::info!(%error, "Addresses of other programs are not led here.");
            }
        });
    }
}

/// Opens what an address names. What does not work is said in the window, because nobody else is there to hear it; what
/// is not of the form is left alone, because any web page may send it.
pub fn follow(app: &AppHandle, text: &str) {
    let link = match DeepLink::parse(text) {
        Ok(link) => link,
        Err(error) => return tracing::info!("{error}"),
    };
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if let Err(error) = hub_page::open(&desk, &link.practice, &link.patient, false).await {
            desk.tell(error);
            windows::show(&app);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_form_is_understood() {
        let link = |practice: &str, patient: &str| DeepLink {
            practice: PracticeId::new(practice),
            patient: PatientRef::new(patient),
        };
        for (text, expected) in [
            ("clinic-companion://vald/open?practice=richmond&patient=77", link("richmond", "77")),
            ("clinic-companion://vald/open?patient=77&practice=richmond", link("richmond", "77")),
            ("clinic-companion://vald/open?practice=r-1&patient=a%2Fb%20%26%C3%A9", link("r-1", "a/b &é")),
        ] {
            assert_eq!(DeepLink::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("clinic-companion://vald/open?practice=a&patient={}", "7".repeat(201));
        for text in [
            "",
            "clinic-companion:",
            "clinic-companion://vald/open",
            "clinic-companion://vald/open?practice=richmond",
            "clinic-companion://vald/open?practice=richmond&patient=",
            "clinic-companion://vald/open?practice=Richmond&patient=77",
            "clinic-companion://vald/open?practice=richmond&patient=77&patient=78",
            "clinic-companion://vald/open?practice=richmond&patient=77&then=x",
            "clinic-companion://vald/open?practice=richmond&patient=7%0A7",
            "clinic-companion://vald/open/?practice=richmond&patient=77",
            "clinic-companion://vald/close?practice=richmond&patient=77",
            "clinic-companion://hint/open?practice=richmond&patient=77",
            "clinic-companion://vald:80/open?practice=richmond&patient=77",
            "clinic-companion://me@vald/open?practice=richmond&patient=77",
            "clinic-companion://vald/open?practice=richmond&patient=77#here",
            "https://vald/open?practice=richmond&patient=77",
            "vald/open?practice=richmond&patient=77",
            long.as_str(),
        ] {
            assert_eq!(DeepLink::parse(text), Err(NotALink), "{text}");
        }
    }
}
