//! The connections screen's part about VALD Hub: trying an account, its landing address, and what a former system left.

use super::{NOT_LINKED_YET, secret, stored};
use crate::compose::Sockets;
use crate::desktop::Desk;
use crate::hub_page;
use crate::patients::{self, vald};
use crate::present::people::{page, sentence};
use crate::ui_error::{bad_input, failure, of_connection, of_write};
use crate::vald_account::{self, tenant_id};
use crate::view::{ErrorCode, GroupRuleView, NamedView, UiError, ValdInput, ValdSetupView, ValdTest};
use connectors::partners::vald::{Region, landing};
use domain::audit::{AuditEvent, AuditLine};
use domain::failure::{ReadError, WriteError};
use domain::ids::{LocationRef, PatientRef, PracticeId, ResourceRef};
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
use domain::ports::store::{AuditTrail, Leg, Links, SettingsBook};
use domain::private::SecretString;
use domain::profile::Tenant;
use domain::settings::{
    GroupedPatients, PracticeSettings, ProfileGroupRule, SecretKind, SystemSettings, ValdSettings,
};
use std::sync::Arc;

/// What removes the names that a former system told VALD, in the audit trail.
const FORMER_NAMES: &str = "DELETE /profiles/syncids";

/// Tries an account as it was typed: finds its region, and reads what a person can recognise.
pub async fn test(desk: &Desk, practice: Option<&str>, input: &ValdInput) -> Result<ValdTest, UiError> {
    let before = stored(desk, practice).await?;
    let tried = regions(input, before.as_ref())?;
    let moved = tried.iter().any(|account| tokens_moved(account, before.as_ref()));
    let credentials = credentials(desk, before.as_ref(), input, moved).await?;
    let connections = desk.running()?.home.connections();
    let id = PracticeId::new(practice.unwrap_or(NOT_LINKED_YET));
    let mut unknown = None;
    for account in &tried {
        let partner = connect(connections.sockets(), account, &id, &credentials)?;
        let Some(register) = partner.profile_register() else { continue };
        match register.tenant().await {
            Ok(tenant) => return introduced(register, account, tenant).await,
            // Another region may know it.
            Err(error @ (ReadError::NotFound | ReadError::NoConsent)) => unknown = Some(error),
            Err(error) => return Err(of_connection(Leg::Profiles, &error)),
        }
    }
    Err(match unknown {
        Some(error @ ReadError::NoConsent) => of_connection(Leg::Profiles, &error),
        _ => failure(ErrorCode::ValdTenantRefused, unknown_organisation(tried.len())),
    })
}

fn unknown_organisation(regions: usize) -> String {
    let place = if regions == 1 { "this region does not know" } else { "no region of VALD knows" };
    format!(
        "These credentials are right, but {place} the organisation for them. Compare the organisation id with the one \
         in VALD Hub, or ask support@vald.com to open the organisation for these credentials."
    )
}

async fn introduced(
    register: &dyn ProfileRegister,
    account: &ValdSettings,
    tenant: Tenant,
) -> Result<ValdTest, UiError> {
    let groups = register.groups().await.map_err(|error| of_connection(Leg::Profiles, &error))?;
    let named = |group: domain::profile::ProfileGroup| NamedView {
        id: group.id.to_string(),
        name: group.name,
        role: None,
    };
    Ok(ValdTest {
        tenant_name: tenant.name,
        region: account.region.clone(),
        groups: groups.into_iter().map(named).collect(),
    })
}

/// The account in each region that it may be in.
fn regions(input: &ValdInput, before: Option<&PracticeSettings>) -> Result<Vec<ValdSettings>, UiError> {
    let tenant = checked_tenant(&input.tenant_id)?;
    let known = before.and_then(|before| before.vald.clone());
    let known = known.map(|known| ValdSettings { tenant_id: tenant.clone(), ..known });
    let fresh = |region: Region| vald_account::new(tenant.clone(), region, NOT_LINKED_YET.to_owned());
    match input.region.as_deref() {
        Some(name) => {
            let region = checked_region(name)?;
            let known = known.filter(|known| known.region == region.name());
            Ok(vec![known.unwrap_or_else(|| fresh(region))])
        }
        None => {
            let typed = input.client_id.is_some() && input.client_secret.is_some();
            let others = Region::ALL.into_iter().map(fresh);
            let others: Vec<ValdSettings> = others
                .filter(|fresh| known.as_ref().is_none_or(|known| known.region != fresh.region))
                // What is stored goes nowhere else than where it went before.
                .filter(|fresh| typed || !tokens_moved(fresh, before))
                .collect();
            Ok(known.into_iter().chain(others).collect())
        }
    }
}

/// Whether tokens are fetched elsewhere than before, where stored credentials must not go.
pub(super) fn tokens_moved(account: &ValdSettings, before: Option<&PracticeSettings>) -> bool {
    let known = before.and_then(|before| before.vald.as_ref());
    known.is_some_and(|known| known.token_url != account.token_url)
}

fn checked_tenant(typed: &str) -> Result<String, UiError> {
    tenant_id(typed).map_err(|wrong| bad_input(format!("Organisation id: {wrong}.")))
}

fn checked_region(name: &str) -> Result<Region, UiError> {
    Region::named(name).ok_or_else(|| bad_input("A region of VALD is aue, use or euw."))
}

/// The id and the secret.
type Credentials = (SecretString, SecretString);

async fn credentials(
    desk: &Desk,
    before: Option<&PracticeSettings>,
    input: &ValdInput,
    moved: bool,
) -> Result<Credentials, UiError> {
    let id = secret(desk, before, SecretKind::ValdClientId, input.client_id.as_deref(), moved).await?;
    let secret =
        secret(desk, before, SecretKind::ValdClientSecret, input.client_secret.as_deref(), moved).await?;
    id.zip(secret).ok_or_else(|| bad_input("The client id and the client secret of VALD are both needed."))
}

fn connect(
    sockets: &Sockets,
    account: &ValdSettings,
    practice: &PracticeId,
    (id, secret): &Credentials,
) -> Result<Arc<dyn Partner>, UiError> {
    sockets
        .vald(account, practice, id, secret)
        .map_err(|problem| failure(ErrorCode::InputInvalid, problem.sentence))
}

/// The account as it is stored.
pub(super) fn settings(
    practice: &PracticeId,
    system: &SystemSettings,
    input: &ValdInput,
    before: Option<&PracticeSettings>,
    known: &[PracticeSettings],
) -> Result<ValdSettings, UiError> {
    let tenant = checked_tenant(&input.tenant_id)?;
    let account = before.and_then(|before| before.vald.as_ref());
    let region = match (&input.region, account) {
        (Some(region), _) => checked_region(region)?,
        (None, Some(account)) => checked_region(&account.region)?,
        (None, None) => {
            return Err(bad_input(
                "The region of the VALD organisation is not known yet. Test the account first.",
            ));
        }
    };
    let prefix = vald_account::sync_prefix(practice, (&system.profile, &system.url), &tenant, before, known);
    let fresh = vald_account::new(tenant.clone(), region, prefix);
    // What the screen does not show stays, as long as it belongs to the same region.
    let kept = account.filter(|account| account.region == region.name()).cloned();
    Ok(ValdSettings {
        tenant_id: tenant,
        hub_url: checked_landing(input.hub_url.as_deref())?,
        groups: input.groups.iter().map(rule).collect::<Result<_, _>>()?,
        staff_are_adults: input.staff_are_adults,
        ..kept.unwrap_or(fresh)
    })
}

fn checked_landing(typed: Option<&str>) -> Result<Option<String>, UiError> {
    let typed = typed.map(str::trim).filter(|typed| !typed.is_empty());
    let wrong =
        |wrong: landing::NotALanding| failure(ErrorCode::LandingInvalid, sentence(&wrong.to_string()));
    typed.map(|typed| landing::check(typed).map(|()| typed.to_owned()).map_err(wrong)).transpose()
}

fn rule(rule: &GroupRuleView) -> Result<ProfileGroupRule, UiError> {
    let group = rule.group.trim();
    if group.is_empty() {
        return Err(bad_input("A group of VALD has no name: choose one, or remove the line."));
    }
    let whose = match (rule.resource_id.as_deref(), rule.location_id.as_deref()) {
        (None, None) => GroupedPatients::All,
        (Some(resource), None) => GroupedPatients::SeenBy(ResourceRef::new(resource)),
        (None, Some(location)) => GroupedPatients::SeenAt(LocationRef::new(location)),
        (Some(_), Some(_)) => {
            return Err(bad_input("A group of VALD is for a practitioner or for a location, not for both."));
        }
    };
    Ok(ProfileGroupRule { group: group.to_owned(), whose })
}

/// What stands in the fields of a linked account.
pub(super) fn setup(account: &ValdSettings, has_credentials: bool) -> ValdSetupView {
    let rule = |rule: &ProfileGroupRule| {
        let (resource_id, location_id) = match &rule.whose {
            GroupedPatients::All => (None, None),
            GroupedPatients::SeenBy(resource) => (Some(resource.to_string()), None),
            GroupedPatients::SeenAt(location) => (None, Some(location.to_string())),
        };
        GroupRuleView { group: rule.group.clone(), resource_id, location_id }
    };
    ValdSetupView {
        tenant_id: account.tenant_id.clone(),
        region: account.region.clone(),
        has_credentials,
        hub_url: account.hub_url.clone(),
        groups: account.groups.iter().map(rule).collect(),
        staff_are_adults: account.staff_are_adults,
    }
}

/// Checks a landing address, and opens it for a patient who is linked where one is given.
pub async fn check_landing(
    desk: &Desk,
    practice: Option<&str>,
    hub_url: &str,
    tenant: &str,
    patient: Option<&PatientRef>,
) -> Result<(), UiError> {
    let tenant = checked_tenant(tenant)?;
    let template = checked_landing(Some(hub_url))?
        .ok_or_else(|| failure(ErrorCode::LandingInvalid, "The landing address is empty."))?;
    let Some(patient) = patient else { return Ok(()) };
    let practice = practice
        .map(PracticeId::new)
        .ok_or_else(|| bad_input("Link the practice first; then a page can be opened."))?;
    let store = desk.running()?.store();
    let link = store.link(&patients::link_key(&practice, patient)).await?;
    let not_linked = || failure(ErrorCode::NotLinkedYet, "This patient is not linked with VALD Hub.");
    let link = page(link.as_ref()).ok_or_else(not_linked)?;
    let landing = (template.as_str(), tenant.as_str());
    hub_page::show_at(&store, &practice, patient, landing, link, desk.clock().as_ref()).await
}

/// Removes the names that a former system told VALD, in the whole organisation. Only ever because somebody typed the
/// organisation's name.
pub async fn remove_former_links(
    desk: &Desk,
    practice: &PracticeId,
    typed: &str,
    recorded_by: String,
) -> Result<(), UiError> {
    let by = patients::recorded_by_name(&recorded_by)?;
    let running = desk.running()?;
    let store = running.store();
    let known = store.practices().await?;
    let settings = known.iter().find(|settings| settings.id == *practice);
    let settings =
        settings.ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))?;
    let account = hub_page::account(settings)?;
    for other in &known {
        let same = other.vald.as_ref().is_some_and(|other| other.tenant_id == account.tenant_id);
        if same && store.links(&other.id, Some(&vald())).await?.iter().any(|link| link.accepted.is_some()) {
            return Err(bad_input(
                "Profiles were sent to this organisation already. Removing links now would make every one of them a \
                 second time, so this is only done before the first patient is sent.",
            ));
        }
    }
    let partner = running.home.connections().vald(settings).await;
    let partner = partner.map_err(|problem| failure(ErrorCode::ValdKeyRefused, problem.sentence))?;
    let register = partner.as_ref().and_then(|partner| partner.profile_register());
    let register = register.ok_or_else(|| bad_input("This practice is not linked with VALD Hub."))?;
    let tenant = register.tenant().await.map_err(|error| of_connection(Leg::Profiles, &error))?;
    if typed.trim() != tenant.name.trim() {
        return Err(bad_input("Type the organisation's name exactly as it is shown. Nothing was removed."));
    }
    let line = |what| AuditLine {
        at: desk.now(),
        practice: practice.clone(),
        partner: vald(),
        patient: None,
        what,
        fields: vec![FORMER_NAMES.to_owned()],
        consent: None,
        told_as: Some(account.tenant_id.clone()),
        by: Some(by.clone()),
    };
    store.audit(&[line(AuditEvent::Sent)]).await?;
    let removed = register.forget_former_links().await;
    let after = match &removed {
        Ok(()) => Some(AuditEvent::FormerLinksRemoved),
        Err(WriteError::Refused(_)) => Some(AuditEvent::Refused),
        Err(WriteError::Untouched(_)) => Some(AuditEvent::NotSent),
        // The line before says all that is known.
        Err(WriteError::Unknown(_)) => None,
    };
    if let Some(after) = after {
        store.audit(&[line(after)]).await?;
    }
    removed.map_err(|error| of_write(Leg::Profiles, &error))
}
