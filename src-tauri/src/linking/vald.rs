//! The connections screen's part about VALD Hub: trying an account, its landing address, and what a former system left.

use super::{NOT_LINKED_YET, secret, stored};
use crate::compose::Sockets;
use crate::desktop::Desk;
use crate::hub_page;
use crate::patients::{self, vald};
use crate::present::people::{page, sentence};
use crate::ui_error::{bad_input, failure, of_connection, of_write};
use crate::vald_account;
use crate::view::{ErrorCode, GroupRuleView, NamedView, UiError, ValdInput, ValdSetupView, ValdTest};
use connectors::partners::vald::{Region, SearchFailed, find_region, landing, tenant_id};
use domain::audit::{AuditEvent, AuditLine};
use domain::failure::{ReadError, SendError};
use domain::ids::{LocationRef, PatientRef, PracticeId, ResourceRef};
use domain::ports::partner::Partner;
use domain::ports::register::ProfileRegister;
use domain::ports::store::{AuditTrail, Leg, Links, SettingsBook, StoreError};
use domain::private::SecretString;
use domain::profile::Tenant;
use domain::settings::{
    GroupedPatients, PracticeSettings, ProfileGroupRule, SecretKind, SystemSettings, ValdSettings,
};
use std::sync::Arc;
use store::Store;
use sync::flows::error_chain;

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
    let http = &connections.sockets().http;
    let found = find_region(&tried, &id, &credentials.0, &credentials.1, http).await;
    let found = found.map_err(|failed| not_found(&failed, tried.len()))?;
    let partner = connect(connections.sockets(), &found.account, &id, &credentials)?;
    let register = partner.profile_register().ok_or_else(|| bad_input("VALD Hub keeps no profiles."))?;
    let introduced = introduced(register, &found.account, found.tenant).await?;
    // Profiles are at another host, which must know the organisation as well.
    partner.check().await.map_err(|error| of_connection(Leg::Profiles, &error))?;
    Ok(introduced)
}

/// What a person can do about an organisation that was not found in any of `tried` regions.
fn not_found(failed: &SearchFailed, tried: usize) -> UiError {
    let missing = match failed {
        SearchFailed::Setup(wrong) => {
            return failure(
                ErrorCode::InputInvalid,
                format!("VALD Hub cannot be linked: {}.", error_chain(wrong)),
            );
        }
        SearchFailed::CredentialsRefused => return of_connection(Leg::Profiles, &ReadError::NotAuthorised),
        SearchFailed::NotFound(missing) => missing,
    };
    let nobody_answered = missing.silent.first().filter(|_| missing.silent.len() == tried);
    if let Some((_, error)) = nobody_answered {
        return of_connection(Leg::Profiles, error);
    }
    let mut sentences = unknown_organisation(tried);
    let known: Vec<String> =
        missing.listed.iter().map(|listed| format!("“{}” ({})", listed.name, listed.id)).collect();
    if !known.is_empty() {
        sentences.push_str(&format!(" They do work with {}.", known.join(" and ")));
    }
    if missing.silent.is_empty() {
        return failure(ErrorCode::ValdTenantRefused, sentences);
    }
    let silent: Vec<&str> = missing.silent.iter().map(|(region, _)| region.as_str()).collect();
    sentences.push_str(&format!(
        " The organisation may be in {}, which did not answer: test again later.",
        silent.join(" or ")
    ));
    failure(ErrorCode::ValdUnreachable, sentences)
}

fn unknown_organisation(regions: usize) -> String {
    let place =
        if regions == 1 { "this region does not know" } else { "no region of VALD that answered knows" };
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

/// Whether VALD has a profile by a link of this practice, or may have one: what was handed to the network and neither
/// refused nor certainly kept back may have arrived, whatever became of the link since.
async fn may_have_profiles(store: &Store, practice: &PracticeId) -> Result<bool, StoreError> {
    for link in store.links(practice, Some(&vald())).await? {
        if link.accepted.is_some() || link.partner_id.is_some() {
            return Ok(true);
        }
        let patient = PatientRef::new(link.key.local_id);
        let rows = store.audit_rows_of(practice, &patient, u32::MAX).await?;
        // From the newest line on.
        let mut came_back = false;
        for row in rows {
            let Some(entry) = row.entry else { return Ok(true) };
            match entry.line.what {
                _ if entry.line.partner != link.key.partner => {}
                AuditEvent::NotSent | AuditEvent::Refused => came_back = true,
                AuditEvent::Sent if !came_back => return Ok(true),
                AuditEvent::Sent => came_back = false,
                AuditEvent::ConsentGiven
                | AuditEvent::ConsentWithdrawn
                | AuditEvent::Opened
                | AuditEvent::Ended
                | AuditEvent::FormerLinksRemoved
                | AuditEvent::Matched
                | AuditEvent::NotMatched => {}
            }
        }
    }
    Ok(false)
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
        if same && may_have_profiles(&store, &other.id).await? {
            return Err(bad_input(
                "Profiles were sent to this organisation already, or may have been. Removing links now would make every one of them a \
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
        Err(SendError::TurnedAway(_)) => Some(AuditEvent::Refused),
        Err(SendError::NotSent(_)) => Some(AuditEvent::NotSent),
        // The line before says all that is known.
        Err(SendError::Unknown(_)) => None,
    };
    if let Some(after) = after {
        store.audit(&[line(after)]).await?;
    }
    removed.map_err(|error| of_write(Leg::Profiles, &error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::made_up::MadeUp;
    use crate::system_open;
    use connectors::partners::vald::{Listed, NotFound};
    use connectors::sim::faults::{Fault, FaultRule};
    use domain::link::{Link, LinkState};
    use domain::private::Private;

    const TENANT: &str = "0d3c1f6e-5a2b-4c8d-9e7f-a1b2c3d4e5f6";

    fn account() -> ValdInput {
        ValdInput {
            tenant_id: TENANT.to_uppercase(),
            client_id: None,
            client_secret: None,
            // Any other would be asked at VALD itself.
            region: Some("aue".into()),
            hub_url: None,
            groups: Vec::new(),
            staff_are_adults: true,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_account_is_tested_with_what_is_stored_and_says_what_is_wrong() {
        let clinic = MadeUp::paused().await;
        let test = async |input: &ValdInput| super::test(&clinic.desk, Some("demo"), input).await;
        let found = test(&account()).await.expect("works");
        assert_eq!(
            (found.tenant_name.as_str(), found.region.as_str()),
            ("Wattle Street Allied Health", "aue")
        );
        let groups: Vec<&str> = found.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(groups, ["Wattle Street", "Knees", "Shoulders"]);

        let other = ValdInput { tenant_id: "0d3c1f6e-5a2b-4c8d-9e7f-a1b2c3d4e5f7".into(), ..account() };
        let error = test(&other).await.expect_err("another's");
        assert_eq!(error.code, ErrorCode::ValdTenantRefused);
        assert!(error.message.contains("“Wattle Street Allied Health”"), "{}", error.message);
        let typed = ValdInput { tenant_id: TENANT.replace('0', "o"), ..account() };
        assert_eq!(test(&typed).await.map_err(|e| e.code), Err(ErrorCode::InputInvalid));
        let expired = ValdInput { client_secret: Some("expired".into()), ..account() };
        assert_eq!(test(&expired).await.map_err(|e| e.code), Err(ErrorCode::ValdKeyRefused));

        // The organisation's host answers, and that of the profiles does not.
        let mut settings = clinic.store().practices().await.expect("reads").remove(0);
        if let Some(account) = &mut settings.vald {
            account.profile_url = "http://127.0.0.1:9".into();
        }
        clinic.store().save_practice(&settings).await.expect("saves");
        assert_eq!(test(&account()).await.map_err(|e| e.code), Err(ErrorCode::ValdUnreachable));
        clinic.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn former_links_are_removed_on_the_typed_name_and_before_the_first_profile_only() {
        let clinic = MadeUp::paused().await;
        let (practice, store) = (clinic.practice.clone(), clinic.store());
        let removed = || clinic.hub().inspect(|state| state.requests("DELETE", "/profiles/syncids"));
        let remove = async |typed: &str, by: &str| {
            remove_former_links(&clinic.desk, &practice, typed, by.to_owned()).await.map_err(|e| e.code)
        };
        let before = store.audited(0, 10_000).await.expect("reads").len();
        assert_eq!(remove("Wattle Street", "Kim").await, Err(ErrorCode::InputInvalid));
        assert_eq!(remove("Wattle Street Allied Health", " ").await, Err(ErrorCode::InputInvalid));
        assert_eq!((removed(), store.audited(0, 10_000).await.expect("reads").len()), (0, before));

        assert_eq!(remove(" Wattle Street Allied Health ", "Kim").await, Ok(()));
        assert_eq!(removed(), 1);
        let lines = store.audited(0, 10_000).await.expect("reads");
        let lines: Vec<_> = lines.iter().skip(before).map(|entry| &entry.line).collect();
        let what: Vec<AuditEvent> = lines.iter().map(|line| line.what).collect();
        assert_eq!(what, [AuditEvent::Sent, AuditEvent::FormerLinksRemoved]);
        assert!(lines.iter().all(|line| line.patient.is_none()
            && line.by == Some(Private::new("Kim".to_owned()))
            && line.told_as.as_deref() == Some(TENANT)));

        let patient = PatientRef::new("1");
        let mut link = Link::new(patients::link_key(&practice, &patient), "demo-1".into(), clinic.desk.now());
        let line = |what| AuditLine {
            at: clinic.desk.now(),
            practice: practice.clone(),
            partner: vald(),
            patient: Some(patient.clone()),
            what,
            fields: Vec::new(),
            consent: None,
            told_as: Some("demo-1".into()),
            by: None,
        };
        // What came back is not there, and neither is what waits for somebody.
        let came_back =
            [AuditEvent::Sent, AuditEvent::NotSent, AuditEvent::Sent, AuditEvent::Refused].map(line);
        store.save_links(std::slice::from_ref(&link), &came_back).await.expect("saves");
        assert_eq!(remove("Wattle Street Allied Health", "Kim").await, Ok(()));
        assert_eq!(removed(), 2);
        // Of an import nobody knows what became, whatever the link says since.
        link.becomes(LinkState::Ended, Some("Consent was withdrawn.".into()), clinic.desk.now());
        let unknown = [AuditEvent::Sent, AuditEvent::ConsentWithdrawn, AuditEvent::Ended].map(line);
        store.save_links(std::slice::from_ref(&link), &unknown).await.expect("saves");
        assert_eq!(remove("Wattle Street Allied Health", "Kim").await, Err(ErrorCode::InputInvalid));
        store.forget_links(&practice, &vald()).await.expect("forgets");
        assert_eq!(remove("Wattle Street Allied Health", "Kim").await, Ok(()));
        assert_eq!(removed(), 3);
        link.accepted = Some("a digest".into());
        store.save_links(&[link], &[]).await.expect("saves");
        assert_eq!(remove("Wattle Street Allied Health", "Kim").await, Err(ErrorCode::InputInvalid));
        assert_eq!(removed(), 3);
        clinic.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_removal_that_failed_is_said_to_have_stayed_here_only_where_nobody_was_reached() {
        let clinic = MadeUp::paused().await;
        let (practice, store) = (clinic.practice.clone(), clinic.store());
        let trail = async || -> Vec<AuditEvent> {
            let before = store.audited(0, 10_000).await.expect("reads").len();
            let removed =
                remove_former_links(&clinic.desk, &practice, "Wattle Street Allied Health", "Kim".to_owned());
            assert!(removed.await.is_err());
            let lines = store.audited(0, 10_000).await.expect("reads");
            lines.iter().skip(before).map(|entry| entry.line.what).collect()
        };
        let fails = |fault| {
            clinic.hub().clear_faults();
            clinic.hub().add_fault(FaultRule::always(fault).on("DELETE", "/profiles/syncids"));
        };
        fails(Fault::CutAfterEffect);
        assert_eq!(trail().await, [AuditEvent::Sent], "nobody knows");
        fails(Fault::TooManyRequests { retry_after_seconds: None });
        assert_eq!(trail().await, [AuditEvent::Sent, AuditEvent::Refused]);
        clinic.hub().clear_faults();
        let mut settings = store.practices().await.expect("reads").remove(0);
        if let Some(account) = &mut settings.vald {
            account.profile_url = "http://127.0.0.1:9".into();
        }
        store.save_practice(&settings).await.expect("saves");
        assert_eq!(trail().await, [AuditEvent::Sent, AuditEvent::NotSent]);
        clinic.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_landing_address_is_tried_with_a_patient_who_is_linked() {
        let clinic = MadeUp::paused().await;
        let (practice, patient) = (clinic.practice.clone(), PatientRef::new("1"));
        let landing = "https://hub.vald.com/try/{tenantId}/{syncId}";
        let check = async |address: &str, patient: Option<&PatientRef>| {
            check_landing(&clinic.desk, Some("demo"), address, TENANT, patient).await.map_err(|e| e.code)
        };
        assert_eq!(check(landing, None).await, Ok(()));
        assert_eq!(check("https://hub.vald.com/", None).await, Err(ErrorCode::LandingInvalid));
        assert_eq!(check(" ", None).await, Err(ErrorCode::LandingInvalid));
        assert_eq!(check(landing, Some(&patient)).await, Err(ErrorCode::NotLinkedYet));
        let mut link = Link::new(patients::link_key(&practice, &patient), "demo-1".into(), clinic.desk.now());
        link.partner_id = Some("a-profile".into());
        link.becomes(LinkState::Linked, None, clinic.desk.now());
        clinic.store().save_links(&[link], &[]).await.expect("saves");
        assert_eq!(
            check("https://elsewhere.example.com/{tenantId}/{syncId}", Some(&patient)).await,
            Err(ErrorCode::LandingInvalid)
        );
        assert_eq!(check(landing, Some(&patient)).await, Ok(()));
        let opened = system_open::opened();
        assert_eq!(opened.iter().filter(|address| address.contains("/try/")).count(), 1, "{opened:?}");
        assert!(opened.contains(&format!("https://hub.vald.com/try/{TENANT}/demo-1")));
        let trail = clinic.store().audit_rows_of(&practice, &patient, 10).await.expect("reads");
        let newest = trail.first().and_then(|row| row.entry.as_ref());
        assert_eq!(newest.map(|entry| entry.line.what), Some(AuditEvent::Opened));
        clinic.stop().await;
    }

    fn missing(listed: &[&str], silent: &[&str]) -> SearchFailed {
        let listed = listed.iter().map(|name| Listed {
            region: "aue".into(),
            id: "11111111-2222-4333-8444-555555555555".into(),
            name: (*name).to_owned(),
        });
        let silent =
            silent.iter().map(|region| ((*region).to_owned(), ReadError::Unreachable("down".into())));
        SearchFailed::NotFound(NotFound { listed: listed.collect(), silent: silent.collect() })
    }

    #[test]
    fn an_organisation_that_is_not_found_is_told_with_what_there_is() {
        let told = not_found(&missing(&["Harbour Physio"], &[]), 3);
        assert_eq!(told.code, ErrorCode::ValdTenantRefused);
        assert!(told.message.contains("“Harbour Physio” (11111111-2222-4333-8444-555555555555)"));
        let told = not_found(&missing(&[], &["use", "euw"]), 3);
        assert_eq!(told.code, ErrorCode::ValdUnreachable);
        assert!(told.message.contains("may be in use or euw"), "{}", told.message);
        assert_eq!(not_found(&missing(&[], &["aue", "use", "euw"]), 3).code, ErrorCode::ValdUnreachable);
        assert_eq!(not_found(&SearchFailed::CredentialsRefused, 3).code, ErrorCode::ValdKeyRefused);
    }
}
