//! A patient's page in VALD Hub: where it is, and opening it. The address holds the tenant's id and the name that we
//! told VALD, and nothing about the person.

use crate::desktop::Desk;
use crate::patients::{at_vald, link_key, vald};
use crate::present::people::{page, sentence};
use crate::system_open;
use crate::ui_error::{bad_input, failure};
use crate::view::{ErrorCode, UiError};
use connectors::partners::vald::landing;
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::Said;
use domain::ids::{PatientRef, PracticeId};
use domain::link::{Link, LinkState};
use domain::ports::clock::Clock;
use domain::ports::store::{AuditTrail, Links, SettingsBook};
use domain::settings::{PracticeSettings, ValdSettings};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use store::Store;

/// How long somebody waits for a profile to be linked before its page is opened.
const LINKING_TAKES: Duration = Duration::from_secs(20);

/// The practice's VALD account.
pub fn account(settings: &PracticeSettings) -> Result<&ValdSettings, UiError> {
    let not_linked =
        || bad_input(format!("{} is not linked with VALD Hub. Link it in Connections.", settings.name));
    settings.vald.as_ref().ok_or_else(not_linked)
}

/// Where a patient's page is.
pub struct HubPage {
    /// The address.
    pub address: String,
    told_as: String,
}

impl fmt::Debug for HubPage {
    /// Both hold the patient's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubPage")
    }
}

/// Where a patient's page is, if there is one.
pub async fn find(store: &Store, practice: &PracticeId, patient: &PatientRef) -> Result<HubPage, UiError> {
    let practices = store.practices().await?;
    let settings = practices.into_iter().find(|known| known.id == *practice);
    let settings =
        settings.ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))?;
    let account = account(&settings)?;
    let at_vald = at_vald(store, practice, patient).await?;
    if at_vald.consent.as_ref().is_some_and(|consent| consent.line.said == Said::No) {
        return Err(not_linked("Consent was refused or withdrawn, so the page is not opened from here."));
    }
    let Some(link) = page(at_vald.link.as_ref()) else {
        return Err(not_linked(&missing(at_vald.consent.is_some(), at_vald.link.as_ref())));
    };
    let missing = "The landing address of VALD Hub is not known. Enter it in Connections.";
    let template = account.hub_url.as_deref().ok_or_else(|| failure(ErrorCode::LandingInvalid, missing))?;
    HubPage::of(template, &account.tenant_id, link)
}

impl HubPage {
    fn of(template: &str, tenant_id: &str, link: &Link) -> Result<Self, UiError> {
        let address = landing::address(template, tenant_id, &link.told_as)
            .map_err(|wrong| failure(ErrorCode::LandingInvalid, sentence(&wrong.to_string())))?;
        Ok(Self { address: address.to_string(), told_as: link.told_as.clone() })
    }
}

fn not_linked(message: &str) -> UiError {
    failure(ErrorCode::NotLinkedYet, message)
}

/// Why there is no page.
fn missing(has_consent: bool, link: Option<&Link>) -> String {
    if !has_consent {
        return "Consent for VALD Hub is not recorded. Record it on the patient's card first.".to_owned();
    }
    let reason = link.and_then(|link| link.reason.clone());
    match link.map(|link| link.state) {
        None | Some(LinkState::Pending | LinkState::Linked) => {
            "The profile is on its way to VALD Hub. Try again in a moment.".to_owned()
        }
        Some(LinkState::NeedsPerson | LinkState::Conflict | LinkState::Failed | LinkState::Ended) => {
            reason.unwrap_or_else(|| "The profile is not linked with VALD Hub.".to_owned())
        }
    }
}

/// Writes down that the page is opened, and opens it in the browser.
pub async fn show(
    store: &Store,
    practice: &PracticeId,
    patient: &PatientRef,
    clock: &dyn Clock,
) -> Result<(), UiError> {
    let page = find(store, practice, patient).await?;
    show_page(store, practice, patient, page, clock).await
}

/// The same with a landing address that is not saved yet.
pub async fn show_at(
    store: &Store,
    practice: &PracticeId,
    patient: &PatientRef,
    (template, tenant_id): (&str, &str),
    link: &Link,
    clock: &dyn Clock,
) -> Result<(), UiError> {
    show_page(store, practice, patient, HubPage::of(template, tenant_id, link)?, clock).await
}

async fn show_page(
    store: &Store,
    practice: &PracticeId,
    patient: &PatientRef,
    page: HubPage,
    clock: &dyn Clock,
) -> Result<(), UiError> {
    let line = AuditLine {
        at: clock.now(),
        practice: practice.clone(),
        partner: vald(),
        patient: Some(patient.clone()),
        what: AuditEvent::Opened,
        fields: Vec::new(),
        consent: None,
        told_as: Some(page.told_as),
        by: None,
    };
    store.audit(&[line]).await?;
    system_open::open(page.address).await
}

/// What the button does: opens the page, and with `link_first` has the profile linked before that.
pub async fn open(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    link_first: bool,
) -> Result<(), UiError> {
    let running = desk.running()?;
    let store = running.store();
    let is_missing = |found: &Result<HubPage, UiError>| {
        found.as_ref().is_err_and(|error| error.code == ErrorCode::NotLinkedYet)
    };
    if link_first && is_missing(&find(&store, practice, patient).await) {
        let consented = at_vald(&store, practice, patient).await?.consent;
        if consented.is_some_and(|consent| consent.line.said != Said::No) {
            running.engine.hurry(practice.clone(), BTreeSet::from([patient.clone()]));
            let linked = until_decided(running, practice, patient);
            // Whatever came of it is said below.
            let _ = tokio::time::timeout(LINKING_TAKES, linked).await;
        }
    }
    show(&store, practice, patient, desk.clock().as_ref()).await
}

/// Returns when the profile is linked, or will not be by itself.
async fn until_decided(
    running: &crate::desktop::Running,
    practice: &PracticeId,
    patient: &PatientRef,
) -> Result<(), UiError> {
    let store = running.store();
    let key = link_key(practice, patient);
    let mut state = running.engine.state();
    let asked_at = store.link(&key).await?;
    loop {
        let link = store.link(&key).await?;
        let decided = link.as_ref().is_some_and(|link| match link.state {
            LinkState::Linked => true,
            LinkState::Pending => link.partner_id.is_some(),
            // As it was before anybody looked again.
            LinkState::NeedsPerson | LinkState::Conflict | LinkState::Failed | LinkState::Ended => {
                asked_at.as_ref() != Some(link)
            }
        });
        if decided || state.changed().await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::tests::{settings, vald_settings};
    use chrono::DateTime;
    use domain::consent::{Agreement, ConsentHow, ConsentLine};
    use domain::ports::store::Consents;
    use domain::private::Private;
    use store::StoreKey;

    async fn say(store: &Store, patient: &PatientRef, said: Said) {
        let line = ConsentLine {
            practice: settings().id,
            partner: vald(),
            patient: patient.clone(),
            said,
            how: ConsentHow::AtDesk,
            recorded_by: Private::new("Kim".into()),
            wording: String::new(),
            at: DateTime::UNIX_EPOCH,
        };
        store.record_consents(&[line]).await.expect("keeps it");
    }

    #[tokio::test]
    async fn a_page_is_found_once_vald_has_the_profile_and_else_it_is_said_what_is_missing() {
        let dir = tempfile::tempdir().expect("a folder");
        let store =
            Store::open(dir.path(), &StoreKey::new([7; 32]), DateTime::UNIX_EPOCH).expect("opens").store;
        let (practice, patient) = (settings().id, PatientRef::new("7/ü"));
        let found = async || find(&store, &practice, &patient).await;
        let refused = async || {
            let error = found().await.expect_err("no page");
            (error.code, error.message)
        };
        assert_eq!(refused().await.0, ErrorCode::PracticeUnknown);
        store.save_practice(&settings()).await.expect("saves");
        assert!(refused().await.1.contains("not linked with VALD Hub"));
        let mut linked = settings();
        linked.vald = Some(vald_settings());
        store.save_practice(&linked).await.expect("saves");
        let (code, said) = refused().await;
        assert!(code == ErrorCode::NotLinkedYet && said.contains("not recorded"), "{said}");
        say(&store, &patient, Said::Yes(Agreement::default())).await;
        assert!(refused().await.1.contains("on its way"));

        let mut link = Link::new(link_key(&practice, &patient), "richmond-7/ü".into(), DateTime::UNIX_EPOCH);
        link.becomes(
            LinkState::NeedsPerson,
            Some("The record has no birth date.".into()),
            DateTime::UNIX_EPOCH,
        );
        store.save_links(&[link.clone()], &[]).await.expect("saves");
        assert_eq!(refused().await.1, "The record has no birth date.");
        link.partner_id = Some("a-profile".into());
        link.becomes(LinkState::Linked, None, DateTime::UNIX_EPOCH);
        store.save_links(&[link], &[]).await.expect("saves");
        assert_eq!(refused().await.0, ErrorCode::LandingInvalid);
        if let Some(account) = &mut linked.vald {
            account.hub_url = Some("https://hub.vald.com/?tenantId={tenantId}&syncId={syncId}".into());
        }
        store.save_practice(&linked).await.expect("saves");
        let page = found().await.expect("a page");
        let tenant = vald_settings().tenant_id;
        assert_eq!(
            page.address,
            format!("https://hub.vald.com/?tenantId={tenant}&syncId=richmond-7%2F%C3%BC")
        );

        say(&store, &patient, Said::No).await;
        assert!(refused().await.1.contains("withdrawn"));
    }
}
