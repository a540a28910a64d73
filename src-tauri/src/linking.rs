//! The connections screen: trying a practice system and a Healthengine account, and saving a practice.

pub mod account;
pub mod vald;

use crate::compose::SystemSecrets;
use crate::desktop::Desk;
use crate::hookup;
use crate::inputs;
use crate::present::documents::feature_name;
use crate::present::people::sentence;
use crate::provision::same_account;
use crate::sign_in;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{
    DocumentApiInput, DocumentApiSetupView, EngineKind, Environment, ErrorCode, FeatureName, FeatureTest,
    HealthengineInput, HealthengineSetupView, HealthengineTest, LiveHours, NamedView, NextAppointment,
    PracticeInput, PracticeSetupView, ProblemView, ProfileView, RightState, RightView, SystemAddress,
    SystemInput, SystemTest, TimeRange, UiError, WriteAbility,
};
use crate::webhook_path;
use chrono::NaiveDate;
use connectors::http::sign_in::SignInBook;
use connectors::partners;
use connectors::practices::{self, Opened, provet};
use domain::diary::Writable;
use domain::failure::ReadError;
use domain::ids::{LocationRef, PracticeId};
use domain::ports::partner::Waiting;
use domain::ports::store::{Leg, SettingsBook, StoreError, Vault};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{
    DocumentApi, DocumentRoutes, Feature, HealthengineSettings, LiveDay, LiveHours as Hours,
    PracticeSettings, ProvetSettings, SecretKind, SecretName, SystemSettings, WriteMode,
};
use domain::time::{DayRange, Horizon, MinuteOfDay, PracticeZone};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use sync::flows::{error_chain, features};

/// Where consent is granted (Healthengine sheet §2).
pub const PRACTICE_ADMIN: &str = "https://healthengine.com.au/appointment/admin";
/// The id under which a practice is tried that has none yet.
const NOT_LINKED_YET: &str = "not-linked-yet";
/// The practice database is looked at this often unless the provisioning file says otherwise, in seconds.
const SYSTEM_POLL: u32 = 5;
/// Healthengine is asked this often (sheet §6), in seconds.
const PARTNER_POLL: u32 = 5;

/// Connects to a practice system with what was typed, and reads what a person can recognise.
pub async fn test_system(
    desk: &Desk,
    practice: Option<&str>,
    input: &SystemInput,
    time_zone: &str,
) -> Result<SystemTest, UiError> {
    let zone = zone(time_zone)?;
    let input = &with_registration(desk, input).await?;
    let before = stored(desk, practice).await?;
    let before = before.as_ref();
    let system = system_settings(desk.folder().path(), input, before)?;
    let moved = system_moved(&system, before);
    let api = input.documents_api.as_ref();
    let api_moved = system.documents.api.as_ref().is_some_and(|api| document_api_moved(api, before));
    let typed = |read: fn(&DocumentApiInput) -> Option<&str>| api.map_or(Some(""), read);
    let (client_secret, api_password) =
        (typed(|api| api.client_secret.as_deref()), typed(|api| api.password.as_deref()));
    let sign_in = sign_in_of(desk, &system, before).await?;
    let secrets = SystemSecrets {
        sign_in,
        password: secret(desk, before, SecretKind::SystemPassword, input.password.as_deref(), moved).await?,
        api_client_secret: secret(
            desk,
            before,
            SecretKind::DocumentApiClientSecret,
            client_secret,
            api_moved,
        )
        .await?,
        api_password: secret(desk, before, SecretKind::DocumentApiPassword, api_password, api_moved).await?,
    };
    let settings = PracticeSettings {
        id: PracticeId::new(practice.unwrap_or(NOT_LINKED_YET)),
        name: String::new(),
        zone,
        enabled: true,
        system,
        healthengine: None,
        vald: None,
        accounts: BTreeMap::new(),
    };
    let connections = desk.running()?.home.connections();
    let opened = connections
        .sockets()
        .open_practice(&settings, secrets)
        .map_err(|problem| failure(ErrorCode::InputInvalid, problem.sentence))?;
    let system = opened.as_system();
    make_demo_clinic(&settings.system, zone.today(desk.now())).await?;
    let began = Instant::now();
    let unreadable = |error| of_connection(Leg::System, &error);
    let card = system.check().await.map_err(unreadable)?;
    let today = zone.today(desk.now());
    let book = system.book(Horizon { first: today, last: today }).await.map_err(unreadable)?;
    let latency = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
    let (write_ability, missing_rights) = match card.writable {
        Writable::Yes | Writable::SwitchedOff => (WriteAbility::Possible, Vec::new()),
        Writable::ProfileReadsOnly => (WriteAbility::ProfileReadsOnly, Vec::new()),
        Writable::VersionNotTried(_) => (WriteAbility::VersionNotTried, Vec::new()),
        Writable::DatabaseReadOnly => (WriteAbility::DatabaseReadOnly, Vec::new()),
        Writable::RightsMissing(rights) => {
            (WriteAbility::AccountReadsOnly, rights.lines().map(str::to_owned).collect())
        }
    };
    let rights = match &opened {
        Opened::Provet(practice) => rights(&practice.rights().await.map_err(unreadable)?),
        Opened::Sql(_) => Vec::new(),
    };
    let mut tests = Vec::new();
    for feature in Feature::ALL {
        let tried = features::tried(feature, system).await;
        let served = tried.is_ok();
        let said = tried.unwrap_or_else(|lacks| lacks);
        tests.push(FeatureTest { feature: feature_name(feature), served, said });
    }
    Ok(SystemTest {
        version: card.system,
        practitioners: book
            .resources
            .into_iter()
            .map(|r| NamedView { id: r.id.to_string(), name: r.titled_name(), role: r.specialty })
            .collect(),
        locations: book
            .locations
            .into_iter()
            .map(|l| NamedView { id: l.id.to_string(), name: l.name, role: None })
            .collect(),
        appointment_types: u32::try_from(book.appointment_types.len()).unwrap_or(u32::MAX),
        patients: u32::try_from(card.patients).unwrap_or(u32::MAX),
        next_appointment: card.next_appointment.map(|(at, practitioner)| NextAppointment {
            starts_written: at.0.format("%Y-%m-%d %H:%M").to_string(),
            practitioner,
        }),
        latency_ms: latency,
        write_ability,
        missing_rights,
        rights,
        features: tests,
    })
}

/// The checklist of rights.
fn rights(found: &provet::Rights) -> Vec<RightView> {
    let view = |part: &provet::Part| RightView {
        what: part.what.to_owned(),
        gains: part.gains.to_owned(),
        right: part.right.map(str::to_owned),
        state: match (part.readable, part.listed) {
            (false, _) => RightState::Missing,
            (true, Some(false)) => RightState::Unlisted,
            (true, Some(true) | None) => RightState::Works,
        },
    };
    found.parts.iter().map(view).collect()
}

/// Where the sign-in of a person stands that these settings ask for: the one that was just made, or the practice's.
async fn sign_in_of(
    desk: &Desk,
    system: &SystemSettings,
    before: Option<&PracticeSettings>,
) -> Result<Option<Arc<dyn SignInBook>>, UiError> {
    if !sign_in::is_needed(system) {
        return Ok(None);
    }
    if let Some(held) = desk.sign_ins().held_for(system) {
        return Ok(Some(held));
    }
    let Some(before) = before.filter(|before| sign_in::goes_on(system, Some(before))) else {
        return Err(of_connection(Leg::System, &ReadError::SignInNeeded));
    };
    let connections = desk.running()?.home.connections();
    let kept = connections.sign_in(&before.id).await;
    kept.map(Some).map_err(|problem| failure(ErrorCode::Unknown, problem.sentence))
}

/// Asks a person to sign in, in the browser, with what was typed.
pub async fn sign_in_to_system(
    desk: &Desk,
    practice: Option<&str>,
    input: &SystemInput,
) -> Result<(), UiError> {
    let input = &with_registration(desk, input).await?;
    let before = stored(desk, practice).await?;
    let before = before.as_ref();
    let system = system_settings(desk.folder().path(), input, before)?;
    let moved = system_moved(&system, before);
    let password = secret(desk, before, SecretKind::SystemPassword, input.password.as_deref(), moved).await?;
    sign_in::sign_in(desk, before, &system, password.as_ref()).await
}

/// Asks Healthengine what waits, with what was typed.
pub async fn test_healthengine(
    desk: &Desk,
    practice: Option<&str>,
    input: &HealthengineInput,
) -> Result<HealthengineTest, UiError> {
    let settings = healthengine_settings(input, Hours::default(), None)?;
    let before = stored(desk, practice).await?;
    let before = before.as_ref();
    let moved = account_moved(&settings, before);
    let api_key =
        secret(desk, before, SecretKind::HealthengineApiKey, input.api_key.as_deref(), moved).await?;
    let practice_key =
        secret(desk, before, SecretKind::HealthenginePracticeKey, input.practice_key.as_deref(), moved)
            .await?;
    let (Some(api_key), Some(practice_key)) = (api_key, practice_key) else {
        return Err(bad_input("The API key and the practice key are both needed."));
    };
    let id = PracticeId::new(practice.unwrap_or(NOT_LINKED_YET));
    let connections = desk.running()?.home.connections();
    let partner = connections
        .sockets()
        .healthengine(&settings, &id, PracticeZone(chrono_tz::UTC), &api_key, &practice_key)
        .map_err(|problem| failure(ErrorCode::InputInvalid, problem.sentence))?;
    let began = Instant::now();
    let Some(booking_desk) = partner.booking_desk() else {
        return Err(failure(ErrorCode::Unknown, "This partner takes no bookings."));
    };
    let waiting = booking_desk.waiting().await.map_err(|error| of_connection(Leg::Desk, &error))?;
    Ok(HealthengineTest {
        requests_waiting: kinds(&waiting),
        latency_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
    })
}

fn kinds(waiting: &Waiting) -> u32 {
    let Waiting {
        bookings,
        changes,
        availability,
        resources,
        appointment_types,
        appointment_changes,
        available_documents,
        upload_documents,
        client_snapshots,
        attach_documents,
        unknown,
    } = waiting;
    let known = [
        *bookings,
        *changes,
        *availability,
        *resources,
        *appointment_types,
        *appointment_changes,
        *available_documents,
        *upload_documents,
        *client_snapshots,
        *attach_documents,
    ];
    known.into_iter().map(u32::from).chain(unknown.iter().map(|_| 1)).sum()
}

/// Saves a new practice and answers its id.
pub async fn link(desk: &Desk, input: PracticeInput) -> Result<String, UiError> {
    let store = desk.running()?.store();
    let known = store.practices().await?;
    let mut ids = ids(&input.name);
    let id = loop {
        let Some(id) = ids.next() else { return Err(bad_input("No id is free for this name.")) };
        if known.iter().any(|settings| settings.id == id) {
            continue;
        }
        match store.consents_fit(&id, &input.system.profile).await {
            Ok(()) => break id,
            // A practice that is not linked any more left them.
            Err(StoreError::ConsentsOfOthers { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    };
    save(desk, &id, input, None, &known).await?;
    Ok(id.to_string())
}

/// Saves a changed practice.
pub async fn update(desk: &Desk, id: &str, input: PracticeInput) -> Result<(), UiError> {
    let known = desk.running()?.store().practices().await?;
    let id = PracticeId::new(id);
    let before = known.iter().find(|settings| settings.id == id).cloned();
    let before = before.ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))?;
    save(desk, &id, input, Some(before), &known).await
}

async fn save(
    desk: &Desk,
    id: &PracticeId,
    mut input: PracticeInput,
    before: Option<PracticeSettings>,
    known: &[PracticeSettings],
) -> Result<(), UiError> {
    let running = desk.running()?;
    input.system = with_registration(desk, &input.system).await?;
    let store = running.store();
    let settings = practice_settings(desk.folder().path(), id, &input, before.as_ref(), known)?;
    // Said before anybody waits for a database; the transaction below looks again.
    store.consents_fit(id, &settings.system.profile).await?;
    make_demo_clinic(&settings.system, settings.zone.today(desk.now())).await?;
    let system_moved = before.as_ref().is_none_or(|before| before.system != settings.system);
    if input.system.write && (system_moved || input.system.password.is_some()) {
        let tried = test_system(desk, Some(id.as_str()), &input.system, &input.time_zone).await?;
        if tried.write_ability != WriteAbility::Possible {
            return Err(failure(ErrorCode::PracticeWriteRefused, tried.missing_rights.join(" ")));
        }
    }
    if let Some(twin) = same_account(&settings, known) {
        let said = format!("This Healthengine practice is linked as {} already.", twin.name);
        return Err(failure(ErrorCode::AlreadyLinked, said));
    }
    let mut secrets = secrets(desk, &settings, &input, before.as_ref()).await?;
    need_credentials(&store, &settings, &secrets).await?;
    let sign_in = SecretName::of(id, SecretKind::SystemSignIn);
    match desk.sign_ins().to_keep(&settings.system) {
        Some(kept) => secrets.push((sign_in, Some(kept))),
        None if sign_in::goes_on(&settings.system, before.as_ref()) => {}
        None if sign_in::is_needed(&settings.system) => {
            return Err(of_connection(Leg::System, &ReadError::SignInNeeded));
        }
        None => secrets.push((sign_in, None)),
    }
    for kind in SecretKind::PATHS {
        let path = store.secret(&SecretName::of(id, kind)).await?;
        secrets.extend(
            webhook_path::to_keep(&settings, kind, path.as_ref())
                .map_err(|error| failure(ErrorCode::Unknown, error.to_string()))?,
        );
    }
    store.link_practice(&settings, secrets).await?;
    desk.sign_ins().let_go();
    if let Some(registration) = &input.system.registration {
        // Somebody may have refused it meanwhile, which changes nothing any more.
        let _ = hookup::done(&store, registration).await;
    }
    running.engine.nudge(Some(id.clone()));
    desk.look_again();
    Ok(())
}

/// The same with the secret of the registration that was accepted, where one was and nothing else was typed.
async fn with_registration(desk: &Desk, input: &SystemInput) -> Result<SystemInput, UiError> {
    let typed = input.password.as_deref().is_some_and(|typed| !typed.is_empty());
    let Some(registration) = input.registration.as_deref().filter(|_| !typed) else {
        return Ok(input.clone());
    };
    let secret = hookup::secret_of(&desk.running()?.store(), registration).await?;
    Ok(SystemInput { password: Some(secret.expose_secret().to_owned()), ..input.clone() })
}

/// The secrets to be kept or forgotten with these settings: a field that was left empty has none, one that was not
/// touched keeps its own, and an account that is unlinked keeps no keys.
async fn secrets(
    desk: &Desk,
    settings: &PracticeSettings,
    input: &PracticeInput,
    before: Option<&PracticeSettings>,
) -> Result<Vec<(SecretName, Option<SecretString>)>, UiError> {
    let system_moved = system_moved(&settings.system, before);
    let account_moved = settings.healthengine.as_ref().is_some_and(|account| account_moved(account, before));
    let mut secrets = Vec::new();
    for (kind, typed) in typed_secrets(input) {
        let moved = match kind {
            SecretKind::SystemPassword | SecretKind::SystemWebhookPath => system_moved,
            SecretKind::DocumentApiClientSecret | SecretKind::DocumentApiPassword => {
                let api = settings.system.documents.api.as_ref();
                api.is_some_and(|api| document_api_moved(api, before))
            }
            SecretKind::HealthengineApiKey
            | SecretKind::HealthenginePracticeKey
            | SecretKind::HealthengineWebhookPath => account_moved,
            SecretKind::ValdClientId | SecretKind::ValdClientSecret => {
                settings.vald.as_ref().is_some_and(|account| vald::tokens_moved(account, before))
            }
            // The form of a practice does not hold these.
            SecretKind::SystemSignIn | SecretKind::Account { .. } => false,
        };
        let chosen = secret(desk, before, kind, typed, moved).await?;
        if typed.is_some() {
            secrets.push((SecretName::of(&settings.id, kind), chosen));
        }
    }
    Ok(secrets)
}

/// What was typed for each secret. Without an account its keys are empty, so that they are forgotten.
fn typed_secrets(input: &PracticeInput) -> [(SecretKind, Option<&str>); 7] {
    let (api_secret, api_password) = match &input.system.documents_api {
        Some(api) => (api.client_secret.as_deref(), api.password.as_deref()),
        None => (Some(""), Some("")),
    };
    let (api_key, practice_key) = match &input.healthengine {
        Some(account) => (account.api_key.as_deref(), account.practice_key.as_deref()),
        None => (Some(""), Some("")),
    };
    let (client_id, client_secret) = match &input.vald {
        Some(account) => (account.client_id.as_deref(), account.client_secret.as_deref()),
        None => (Some(""), Some("")),
    };
    [
        (SecretKind::SystemPassword, input.system.password.as_deref()),
        (SecretKind::DocumentApiClientSecret, api_secret),
        (SecretKind::DocumentApiPassword, api_password),
        (SecretKind::HealthengineApiKey, api_key),
        (SecretKind::HealthenginePracticeKey, practice_key),
        (SecretKind::ValdClientId, client_id),
        (SecretKind::ValdClientSecret, client_secret),
    ]
}

/// An account without its credentials would only ever say that they are missing.
async fn need_credentials(
    store: &store::Store,
    settings: &PracticeSettings,
    changed: &[(SecretName, Option<SecretString>)],
) -> Result<(), UiError> {
    let needed = [
        (
            settings.vald.is_some(),
            [SecretKind::ValdClientId, SecretKind::ValdClientSecret],
            "The client id and the client secret of VALD are both needed.",
        ),
        (
            settings.system.documents.api.is_some(),
            [SecretKind::DocumentApiClientSecret, SecretKind::DocumentApiPassword],
            "The client secret and the user's password of the API for documents are both needed.",
        ),
    ];
    for (_, kinds, sentence) in needed.into_iter().filter(|(is_linked, ..)| *is_linked) {
        for kind in kinds {
            let name = SecretName::of(&settings.id, kind);
            let there = match changed.iter().find(|(changed, _)| *changed == name) {
                Some((_, secret)) => secret.is_some(),
                None => store.secret(&name).await?.is_some(),
            };
            if !there {
                return Err(bad_input(sentence));
            }
        }
    }
    Ok(())
}

/// Local keys made from the name: `Richmond Physiotherapy` → `richmond-physiotherapy`, `richmond-physiotherapy-2`, …
fn ids(name: &str) -> impl Iterator<Item = PracticeId> + use<> {
    let folded = deunicode::deunicode(name).to_lowercase();
    let words: Vec<String> = folded
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let mut base: String = words.join("-").chars().take(34).collect();
    base = base.trim_matches('-').to_owned();
    if base.is_empty() {
        base = "practice".to_owned();
    }
    (1_u64..).map(move |number| match number {
        1 => PracticeId::new(base.clone()),
        number => PracticeId::new(format!("{base}-{number}")),
    })
}

fn zone(name: &str) -> Result<PracticeZone, UiError> {
    PracticeZone::parse(name)
        .ok_or_else(|| failure(ErrorCode::TimeZoneUnknown, format!("There is no time zone {name}.")))
}

fn practice_settings(
    folder: &Path,
    id: &PracticeId,
    input: &PracticeInput,
    before: Option<&PracticeSettings>,
    known: &[PracticeSettings],
) -> Result<PracticeSettings, UiError> {
    let name = input.name.trim();
    if name.is_empty() {
        return Err(bad_input("The practice needs a name."));
    }
    let hours = live_hours(&input.live_hours)?;
    let account_before = before.and_then(|before| before.healthengine.as_ref());
    let mut system = system_settings(folder, &input.system, before)?;
    system.poll_seconds = before.map_or(SYSTEM_POLL, |before| before.system.poll_seconds);
    let vald = input.vald.as_ref();
    let vald = vald.map(|account| vald::settings(id, &system, account, before, known)).transpose()?;
    Ok(PracticeSettings {
        id: id.clone(),
        name: name.to_owned(),
        zone: zone(&input.time_zone)?,
        enabled: before.is_none_or(|before| before.enabled),
        system,
        healthengine: input
            .healthengine
            .as_ref()
            .map(|account| healthengine_settings(account, hours, account_before))
            .transpose()?,
        vald,
        accounts: before.map(|before| before.accounts.clone()).unwrap_or_default(),
    })
}

fn system_settings(
    folder: &Path,
    input: &SystemInput,
    before: Option<&PracticeSettings>,
) -> Result<SystemSettings, UiError> {
    let inward = document_folder(&input.documents_in)?;
    let api = input.documents_api.as_ref().map(document_api).transpose()?;
    if inward.is_some() && api.is_some() {
        return Err(bad_input(
            "Documents from patients go into a folder or through the API: leave one of them empty.",
        ));
    }
    Ok(SystemSettings {
        profile: input.profile.clone(),
        url: address(folder, input, before.map(|before| before.system.url.as_str()))?,
        write: match (input.write, &input.address) {
            (false, _) => WriteMode::None,
            (true, SystemAddress::Provet { .. }) => WriteMode::Api,
            (true, SystemAddress::Sqlite { .. } | SystemAddress::Mysql { .. }) => WriteMode::Sql,
        },
        locations: (!input.locations.is_empty())
            .then(|| input.locations.iter().map(|id| LocationRef::new(id.as_str())).collect()),
        poll_seconds: SYSTEM_POLL,
        documents: DocumentRoutes { inward, api, outward: document_folder(&input.documents_out)? },
        provet: provet_account(&input.address, before)?,
    })
}

/// The API as it is stored.
fn document_api(input: &DocumentApiInput) -> Result<DocumentApi, UiError> {
    let or_usual = |typed: &str, usual: &str| {
        let typed = typed.trim();
        if typed.is_empty() { usual.to_owned() } else { typed.to_owned() }
    };
    let (client_id, user) = (input.client_id.trim(), input.user.trim());
    if client_id.is_empty() || user.is_empty() {
        return Err(bad_input("The API for documents needs a client id and a user."));
    }
    let wrong = |wrong| bad_input(format!("The API for documents: {wrong}."));
    Ok(DocumentApi {
        url: inputs::web_address(&input.url).map_err(wrong)?,
        site: inputs::site(&or_usual(&input.site, DocumentApi::USUAL_SITE)).map_err(wrong)?,
        client_id: client_id.to_owned(),
        user: user.to_owned(),
        category: or_usual(&input.category, DocumentApi::USUAL_CATEGORY),
    })
}

/// What a registration that Provet sent says, apart from the secret, which stands in what was pasted.
pub fn registration(text: &str) -> Result<SystemAddress, UiError> {
    let read = provet::hookup::read(text).map_err(|wrong| bad_input(sentence(&wrong.to_string())))?;
    if read.token_url.is_some() {
        return Err(bad_input(
            "The registration names an unusual address for tokens. Your IT can link it with a provisioning file.",
        ));
    }
    Ok(SystemAddress::Provet {
        host: read.host,
        provet_id: read.provet_id.to_string(),
        client_id: read.client_id,
        webhook_url: String::new(),
        redirect_url: read.redirect_url.unwrap_or_default(),
    })
}

/// The account at Provet Cloud as it is stored, with what the screen does not show.
fn provet_account(
    address: &SystemAddress,
    before: Option<&PracticeSettings>,
) -> Result<Option<ProvetSettings>, UiError> {
    let SystemAddress::Provet { provet_id, client_id, webhook_url, redirect_url, .. } = trimmed(address)
    else {
        return Ok(None);
    };
    let number = provet_id.parse().ok().filter(|number: &u32| *number > 0);
    let Some(provet_id) = number else {
        return Err(failure(
            ErrorCode::AddressInvalid,
            "The Provet id is the number behind the host in the browser's address.",
        ));
    };
    if client_id.is_empty() {
        return Err(bad_input("The client id is missing."));
    }
    let before = before.and_then(|before| before.system.provet.as_ref());
    let same = before.filter(|before| before.provet_id == provet_id);
    Ok(Some(ProvetSettings {
        provet_id,
        client_id,
        token_url: same.and_then(|before| before.token_url.clone()),
        webhook_url: public_address(&webhook_url)?,
        redirect_url: way_back(redirect_url)?,
    }))
}

/// Where the browser comes back to, as it is stored; none where nobody signs in.
fn way_back(typed: String) -> Result<Option<String>, UiError> {
    if typed.is_empty() {
        return Ok(None);
    }
    match connectors::http::sign_in::redirect(&typed) {
        Ok(_) => Ok(Some(typed)),
        Err(wrong) => Err(failure(ErrorCode::AddressInvalid, sentence(&wrong.to_string()))),
    }
}

/// The public address that leads to our listener, as it is stored; none where the field is empty.
fn public_address(typed: &str) -> Result<Option<String>, UiError> {
    let typed = Some(typed.trim()).filter(|typed| !typed.is_empty());
    typed
        .map(inputs::web_address)
        .transpose()
        .map_err(|wrong| failure(ErrorCode::AddressInvalid, format!("Public address: {wrong}.")))
}

/// A folder as it is stored; none where the field is empty.
fn document_folder(typed: &str) -> Result<Option<String>, UiError> {
    if typed.trim().is_empty() {
        return Ok(None);
    }
    let wrong = |wrong| bad_input(format!("The folder {} cannot be used: {wrong}.", typed.trim()));
    inputs::document_folder(typed).map(Some).map_err(wrong)
}

/// The address as it is stored. One that the screen shows as it was typed stays as it was, with what the screen does not
/// show; that much is carried over to another server too.
fn address(folder: &Path, input: &SystemInput, before: Option<&str>) -> Result<String, UiError> {
    let wrong = |said: &str| failure(ErrorCode::AddressInvalid, said);
    let typed = trimmed(&input.address);
    if let SystemAddress::Provet { host, .. } = &typed {
        let host = inputs::web_address(host).map_err(wrong)?;
        provet::check_host(&host, 1).map_err(|error| wrong(&format!("{error}.")))?;
        return Ok(host);
    }
    if let Some(before) = before
        && address_view(before, None) == typed
    {
        return Ok(before.to_owned());
    }
    match &typed {
        SystemAddress::Sqlite { path } if path.is_empty() && input.profile == practices::demo::NAME => {
            Ok(format!("sqlite:{}", folder.join("demo-clinic.db").display()))
        }
        SystemAddress::Sqlite { path } if path.is_empty() => Err(wrong("The file is missing.")),
        SystemAddress::Sqlite { path } => Ok(format!("sqlite:{path}")),
        SystemAddress::Mysql { host, port, user, database } => {
            if [host, user, database].iter().any(|part| part.is_empty()) {
                return Err(wrong("Server, account and database are all needed."));
            }
            let mut url =
                url::Url::parse("mysql://localhost/").map_err(|_| wrong("This address cannot be used."))?;
            let port = u16::try_from(*port).map_err(|_| wrong("The port is a number up to 65535."))?;
            // An address of version 6 stands in brackets within a url.
            let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
            url.set_host(Some(&host)).map_err(|_| wrong("The server's name cannot be used."))?;
            url.set_port(Some(port)).map_err(|()| wrong("The port cannot be used."))?;
            url.set_username(user).map_err(|()| wrong("The account's name cannot be used."))?;
            url.path_segments_mut()
                .map_err(|()| wrong("The database's name cannot be used."))?
                .push(database);
            let before = before.and_then(|before| url::Url::parse(before).ok());
            let before = before.filter(|before| before.scheme() == url.scheme());
            url.set_query(before.as_ref().and_then(url::Url::query));
            Ok(url.into())
        }
        SystemAddress::Provet { host, .. } => Ok(host.clone()),
    }
}

fn trimmed(address: &SystemAddress) -> SystemAddress {
    let trim = |text: &str| text.trim().to_owned();
    match address {
        SystemAddress::Sqlite { path } => SystemAddress::Sqlite { path: trim(path) },
        SystemAddress::Mysql { host, port, user, database } => {
            SystemAddress::Mysql { host: trim(host), port: *port, user: trim(user), database: trim(database) }
        }
        SystemAddress::Provet { host, provet_id, client_id, webhook_url, redirect_url } => {
            SystemAddress::Provet {
                host: trim(host),
                provet_id: trim(provet_id),
                client_id: trim(client_id),
                webhook_url: trim(webhook_url),
                redirect_url: trim(redirect_url),
            }
        }
    }
}

/// The demo profile reads a clinic that the program makes up itself, the first time it is asked for.
async fn make_demo_clinic(system: &SystemSettings, today: NaiveDate) -> Result<(), UiError> {
    let Some(path) = system.url.strip_prefix("sqlite:").map(PathBuf::from) else { return Ok(()) };
    if system.profile != practices::demo::NAME || path.exists() {
        return Ok(());
    }
    let made = tokio::task::spawn_blocking(move || practices::demo::create(&path, today)).await;
    match made {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failure(ErrorCode::FileFailed, error.to_string())),
        Err(error) => Err(failure(ErrorCode::Unknown, error.to_string())),
    }
}

/// The address as the screen shows it again.
fn address_view(url: &str, provet: Option<&ProvetSettings>) -> SystemAddress {
    if let Some(account) = provet {
        return SystemAddress::Provet {
            host: url.to_owned(),
            provet_id: account.provet_id.to_string(),
            client_id: account.client_id.clone(),
            webhook_url: account.webhook_url.clone().unwrap_or_default(),
            redirect_url: account.redirect_url.clone().unwrap_or_default(),
        };
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        return SystemAddress::Sqlite { path: path.to_owned() };
    }
    let parsed = url::Url::parse(url).ok();
    let part = |read: fn(&url::Url) -> &str| {
        let written = parsed.as_ref().map(read).unwrap_or_default();
        percent_decode_str(written).decode_utf8_lossy().into_owned()
    };
    SystemAddress::Mysql {
        host: part(|url| url.host_str().unwrap_or_default()),
        port: parsed.as_ref().and_then(url::Url::port).map_or(3306, u32::from),
        user: part(url::Url::username),
        database: part(|url| url.path().trim_start_matches('/')),
    }
}

/// Whether the practice system is another one than before, to which a stored password must not go.
fn system_moved(system: &SystemSettings, before: Option<&PracticeSettings>) -> bool {
    let goes_to = |system: &SystemSettings| {
        let account = system.provet.as_ref();
        (system.url.clone(), account.map(|account| (account.provet_id, account.token_url.clone())))
    };
    before.is_none_or(|before| goes_to(&before.system) != goes_to(system))
}

/// Whether the API for documents is another one than before, or another account there, to which stored secrets must not
/// go.
fn document_api_moved(api: &DocumentApi, before: Option<&PracticeSettings>) -> bool {
    let known = before.and_then(|before| before.system.documents.api.as_ref());
    let account =
        |api: &DocumentApi| (api.url.clone(), api.site.clone(), api.client_id.clone(), api.user.clone());
    known.is_some_and(|known| account(known) != account(api))
}

/// Whether the account is another one than before, to which stored keys must not go.
fn account_moved(account: &HealthengineSettings, before: Option<&PracticeSettings>) -> bool {
    before
        .and_then(|before| before.healthengine.as_ref())
        .is_some_and(|known| known.base_url != account.base_url || known.practice_id != account.practice_id)
}

fn healthengine_settings(
    input: &HealthengineInput,
    live_hours: Hours,
    before: Option<&HealthengineSettings>,
) -> Result<HealthengineSettings, UiError> {
    let practice_id = input.practice_id.trim();
    if practice_id.is_empty() {
        return Err(bad_input("The practice id is missing."));
    }
    if !(1..=365).contains(&input.horizon_days) {
        return Err(bad_input("Free times are published for 1 to 365 days."));
    }
    let typed =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    let contact = typed(&input.contact_email).filter(|email| inputs::is_email(email));
    let base_url =
        typed(&input.base_url).unwrap_or_else(|| connectors::partners::healthengine::BASE_URL.to_owned());
    let webhook_url = public_address(input.webhook_url.as_deref().unwrap_or_default())?;
    Ok(HealthengineSettings {
        base_url: inputs::web_address(&base_url)
            .map_err(|wrong| failure(ErrorCode::AddressInvalid, wrong))?,
        practice_id: practice_id.to_owned(),
        user_agent_email: contact
            .ok_or_else(|| bad_input("An e-mail address is needed to which Healthengine can write."))?,
        environment: match input.environment {
            Environment::Prod => "PROD",
            Environment::Uat => "UAT",
            Environment::Dev => "DEV",
        }
        .to_owned(),
        horizon_days: input.horizon_days,
        poll_seconds: poll_seconds(webhook_url.is_some(), before),
        webhook_url,
        features: chosen_features(&input.features, before),
        live_hours,
    })
}

/// The features as they are stored; what the screen did not change stays as somebody wrote it.
fn chosen_features(chosen: &[FeatureName], before: Option<&HealthengineSettings>) -> Vec<String> {
    let is_chosen = |feature: &Feature| chosen.contains(&feature_name(*feature));
    match before {
        Some(before) if Feature::ALL.iter().all(|feature| before.wants(*feature) == is_chosen(feature)) => {
            before.features.clone()
        }
        Some(_) | None => {
            let chosen = Feature::ALL.into_iter().filter(is_chosen);
            chosen.map(|feature| feature.name().to_owned()).collect()
        }
    }
}

/// As before; but whoever gives webhooks up is asked for as often as without them.
fn poll_seconds(webhooks: bool, before: Option<&HealthengineSettings>) -> u32 {
    let chosen = before.map_or(PARTNER_POLL, |before| before.poll_seconds);
    if webhooks { chosen } else { chosen.min(PARTNER_POLL) }
}

/// The public address at which the practice's webhooks come in; none where it has none.
pub async fn webhook_address(desk: &Desk, practice: &str, book: bool) -> Result<Option<String>, UiError> {
    let Some(settings) = stored(desk, Some(practice)).await? else {
        return Err(failure(ErrorCode::PracticeUnknown, "There is no such practice."));
    };
    let kind = if book { SecretKind::SystemWebhookPath } else { SecretKind::HealthengineWebhookPath };
    let path = desk.running()?.store().secret(&SecretName::of(&settings.id, kind)).await?;
    let address = path.and_then(|path| webhook_path::callback(&settings, kind, &path));
    Ok(address.map(|address| address.expose_secret().to_owned()))
}

fn days(hours: &LiveHours) -> [(LiveDay, &Vec<TimeRange>); 8] {
    [
        (LiveDay::Monday, &hours.monday),
        (LiveDay::Tuesday, &hours.tuesday),
        (LiveDay::Wednesday, &hours.wednesday),
        (LiveDay::Thursday, &hours.thursday),
        (LiveDay::Friday, &hours.friday),
        (LiveDay::Saturday, &hours.saturday),
        (LiveDay::Sunday, &hours.sunday),
        (LiveDay::PublicHolidays, &hours.public_holidays),
    ]
}

fn live_hours(input: &LiveHours) -> Result<Hours, UiError> {
    let mut weekdays = BTreeMap::new();
    for (day, ranges) in days(input) {
        let read = |range: &TimeRange| {
            let (start, end) = (MinuteOfDay::parse(&range.start)?, MinuteOfDay::parse(&range.end)?);
            DayRange::new(start, end)
        };
        let ranges: Option<Vec<DayRange>> = ranges.iter().map(read).collect();
        let ranges = ranges.ok_or_else(|| {
            bad_input(format!(
                "The times on {} must be like 08:00 to 18:00, the end after the start.",
                day.name()
            ))
        })?;
        weekdays.insert(day, ranges);
    }
    Ok(Hours { weekdays }.normalised())
}

fn live_hours_view(hours: &Hours) -> LiveHours {
    let of = |day: LiveDay| -> Vec<TimeRange> {
        let ranges = hours.weekdays.get(&day).map(Vec::as_slice).unwrap_or_default();
        // The screen shows what is sent: a day that is full ends at its last minute.
        let end = |end: MinuteOfDay| end.min(MinuteOfDay::clamped(1439)).to_string();
        ranges.iter().map(|r| TimeRange { start: r.start.to_string(), end: end(r.end) }).collect()
    };
    LiveHours {
        monday: of(LiveDay::Monday),
        tuesday: of(LiveDay::Tuesday),
        wednesday: of(LiveDay::Wednesday),
        thursday: of(LiveDay::Thursday),
        friday: of(LiveDay::Friday),
        saturday: of(LiveDay::Saturday),
        sunday: of(LiveDay::Sunday),
        public_holidays: of(LiveDay::PublicHolidays),
    }
}

/// The practice as it is stored.
async fn stored(desk: &Desk, practice: Option<&str>) -> Result<Option<PracticeSettings>, UiError> {
    let Some(practice) = practice else { return Ok(None) };
    let known = desk.running()?.store().practices().await?;
    Ok(known.into_iter().find(|settings| settings.id.as_str() == practice))
}

/// What was typed, or what is stored where nothing was. What is stored goes nowhere else than where it went before.
async fn secret(
    desk: &Desk,
    before: Option<&PracticeSettings>,
    kind: SecretKind,
    typed: Option<&str>,
    moved: bool,
) -> Result<Option<SecretString>, UiError> {
    let stored = match before {
        Some(before) if typed.is_none() => {
            desk.running()?.store().secret(&SecretName::of(&before.id, kind)).await?
        }
        Some(_) | None => None,
    };
    typed_or_stored(kind, typed, stored, moved)
}

fn typed_or_stored(
    kind: SecretKind,
    typed: Option<&str>,
    stored: Option<SecretString>,
    moved: bool,
) -> Result<Option<SecretString>, UiError> {
    match (typed.map(str::trim), stored) {
        (Some(""), _) | (None, None) => Ok(None),
        (Some(typed), _) => Ok(Some(SecretString::from(typed.to_owned()))),
        (None, Some(_)) if moved => {
            let what = match kind {
                SecretKind::SystemPassword => "password",
                SecretKind::DocumentApiClientSecret => "client secret of the API for documents",
                SecretKind::DocumentApiPassword => "password of the API's user",
                SecretKind::HealthengineApiKey => "API key",
                SecretKind::HealthenginePracticeKey => "practice key",
                SecretKind::HealthengineWebhookPath | SecretKind::SystemWebhookPath => "public address",
                SecretKind::ValdClientId => "client id",
                SecretKind::ValdClientSecret => "client secret",
                SecretKind::SystemSignIn => "sign-in",
                SecretKind::Account { .. } => "key",
            };
            Err(bad_input(format!("The address or the account is another one now. Type the {what} again.")))
        }
        (None, Some(stored)) => Ok(Some(stored)),
    }
}

/// What the linking screen shows of every practice: everything but the secrets.
pub async fn setups(store: &store::Store) -> Result<BTreeMap<PracticeId, PracticeSetupView>, StoreError> {
    let mut setups = BTreeMap::new();
    for settings in store.practices().await? {
        let mut known = Vec::new();
        for kind in SecretKind::ALL.into_iter().chain(partners::secrets()) {
            let secret = store.secret(&SecretName::of(&settings.id, kind)).await?;
            known.extend(secret.filter(|secret| !secret.expose_secret().is_empty()).map(|_| kind));
        }
        setups.insert(settings.id.clone(), setup(&settings, &known));
    }
    Ok(setups)
}

fn setup(settings: &PracticeSettings, known: &[SecretKind]) -> PracticeSetupView {
    let has = |kind| known.contains(&kind);
    let account = settings.healthengine.as_ref();
    PracticeSetupView {
        profile: settings.system.profile.clone(),
        address: address_view(&settings.system.url, settings.system.provet.as_ref()),
        has_password: has(SecretKind::SystemPassword),
        write: settings.system.write != WriteMode::None,
        locations: settings
            .system
            .locations
            .as_ref()
            .map(|all| all.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        documents_in: settings.system.documents.inward.clone().unwrap_or_default(),
        documents_out: settings.system.documents.outward.clone().unwrap_or_default(),
        documents_api: settings.system.documents.api.as_ref().map(|api| DocumentApiSetupView {
            url: api.url.clone(),
            site: api.site.clone(),
            client_id: api.client_id.clone(),
            user: api.user.clone(),
            category: api.category.clone(),
            has_secrets: has(SecretKind::DocumentApiClientSecret) && has(SecretKind::DocumentApiPassword),
        }),
        live_hours: account.map(|account| live_hours_view(&account.live_hours)).unwrap_or_default(),
        healthengine: account.map(|account| HealthengineSetupView {
            practice_id: account.practice_id.clone(),
            base_url: account.base_url.clone(),
            contact_email: account.user_agent_email.clone(),
            environment: match account.environment.as_str() {
                "DEV" => Environment::Dev,
                "UAT" => Environment::Uat,
                _ => Environment::Prod,
            },
            features: Feature::ALL
                .into_iter()
                .filter(|feature| account.wants(*feature))
                .map(feature_name)
                .collect(),
            horizon_days: account.horizon_days,
            webhook_url: account.webhook_url.clone(),
        }),
        accounts: account::setups(settings, known),
        vald: settings.vald.as_ref().map(|account| {
            vald::setup(account, has(SecretKind::ValdClientId) && has(SecretKind::ValdClientSecret))
        }),
    }
}

/// What can be linked: the shipped profiles, the clinic's own in the data folder, and what is reached over REST.
pub fn profiles(profiles: &Path) -> Vec<ProfileView> {
    let over_rest = ProfileView {
        id: provet::NAME.to_owned(),
        name: provet::CARD.title.to_owned(),
        engine: EngineKind::Provet,
        makes_own_file: false,
        can_write: true,
        takes_documents: false,
        own: false,
        problem: None,
    };
    let by_sql = practices::list(profiles).into_iter().map(|listed| match listed.profile {
        Ok(profile) => ProfileView {
            id: listed.name.clone(),
            name: profile.title.clone(),
            engine: match profile.engine {
                practices::sql::profile::Engine::Sqlite => EngineKind::Sqlite,
                practices::sql::profile::Engine::Mysql => EngineKind::Mysql,
            },
            makes_own_file: listed.name == practices::demo::NAME,
            can_write: profile.can_write(),
            takes_documents: profile.takes_documents(),
            own: listed.own,
            problem: None,
        },
        Err(mistake) => ProfileView {
            id: listed.name.clone(),
            name: listed.name,
            engine: EngineKind::Sqlite,
            makes_own_file: false,
            can_write: false,
            takes_documents: false,
            own: listed.own,
            problem: Some(ProblemView {
                code: ErrorCode::ProfileInvalid,
                message: error_chain(&mistake),
                since: None,
            }),
        },
    });
    by_sql.chain([over_rest]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{GroupRuleView, ValdInput};
    use domain::settings::ValdSettings;

    fn system(address: SystemAddress) -> SystemInput {
        SystemInput {
            profile: "openemr".into(),
            address,
            password: None,
            write: true,
            locations: Vec::new(),
            documents_in: String::new(),
            documents_out: String::new(),
            documents_api: None,
            registration: None,
        }
    }

    fn mysql(host: &str, port: u32, user: &str, database: &str) -> SystemAddress {
        SystemAddress::Mysql { host: host.into(), port, user: user.into(), database: database.into() }
    }

    fn stored_as(typed: SystemAddress, before: Option<&str>) -> Result<String, UiError> {
        address(Path::new("/data"), &system(typed), before)
    }

    #[test]
    fn an_address_survives_the_screen() {
        let typed = mysql("reception-server", 3307, "openemr", "openemr");
        let url = stored_as(typed.clone(), None).expect("an address");
        assert_eq!(url, "mysql://openemr@reception-server:3307/openemr");
        assert_eq!(address_view(&url, None), typed);
        for typed in [
            mysql("10.0.0.7", 3306, "front desk", "emr/2"),
            mysql("[::1]", 3306, "a@b:c", "100%"),
            mysql("server", 1, "müller", "klinik ü"),
            SystemAddress::Sqlite { path: "/clinic/a book.sqlite".into() },
            SystemAddress::Sqlite { path: "C:\\clinic\\100%.db".into() },
        ] {
            let url = stored_as(typed.clone(), None).expect("an address");
            assert_eq!(address_view(&url, None), typed, "{url}");
        }
        assert_eq!(
            stored_as(mysql("::1", 3306, "a", "b"), None).expect("an address"),
            "mysql://a@[::1]:3306/b"
        );
    }

    #[test]
    fn what_the_screen_does_not_show_stays() {
        let stored = "mysql://openemr@server/openemr?require_ssl=true";
        let shown = address_view(stored, None);
        assert_eq!(shown, mysql("server", 3306, "openemr", "openemr"));
        assert_eq!(stored_as(shown, Some(stored)).expect("an address"), stored);
        let elsewhere = stored_as(mysql(" other ", 3306, "openemr", "openemr"), Some(stored));
        assert_eq!(elsewhere.expect("an address"), "mysql://openemr@other:3306/openemr?require_ssl=true");
        let file = SystemAddress::Sqlite { path: "/a.db".into() };
        assert_eq!(stored_as(file, Some(stored)).expect("an address"), "sqlite:/a.db");
    }

    #[test]
    fn an_address_with_something_missing_is_refused() {
        let said = stored_as(mysql(" ", 3306, "a", "b"), None).expect_err("refused");
        assert_eq!(said.code, ErrorCode::AddressInvalid);
    }

    #[test]
    fn unlinking_healthengine_forgets_its_keys() {
        let mut input = PracticeInput {
            name: "Richmond".into(),
            time_zone: "Australia/Melbourne".into(),
            system: system(mysql("server", 3306, "a", "b")),
            healthengine: Some(HealthengineInput {
                practice_id: "1".into(),
                practice_key: None,
                api_key: Some("typed".into()),
                base_url: None,
                contact_email: None,
                environment: Environment::Prod,
                horizon_days: 60,
                features: Vec::new(),
                webhook_url: None,
            }),
            vald: Some(vald_input()),
            live_hours: LiveHours::default(),
        };
        let typed = typed_secrets(&input).map(|(_, typed)| typed);
        assert_eq!(typed, [None, Some(""), Some(""), Some("typed"), None, Some("an-id"), None]);
        (input.healthengine, input.vald) = (None, None);
        let typed = typed_secrets(&input).map(|(_, typed)| typed);
        assert_eq!(typed, [None, Some(""), Some(""), Some(""), Some(""), Some(""), Some("")]);
        let stored = Some(SecretString::from("stored"));
        let chosen = typed_or_stored(SecretKind::HealthengineApiKey, typed[1], stored, false);
        assert!(chosen.expect("forgotten").is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn consents_of_one_practice_system_never_come_under_another() {
        use crate::demo::made_up::MadeUp;
        let clinic = MadeUp::paused().await;
        let (desk, store) = (&clinic.desk, clinic.store());
        let input = || PracticeInput {
            name: "Demo".into(),
            time_zone: "Australia/Melbourne".into(),
            system: SystemInput { write: false, ..system(mysql("server", 3306, "a", "b")) },
            healthengine: None,
            vald: None,
            live_hours: LiveHours::default(),
        };
        let before = store.practices().await.expect("reads");
        let refused = update(desk, "demo", input()).await.expect_err("refused");
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (
                ErrorCode::InputInvalid,
                "The consents of practice demo were given by patients of demo. Link the new practice system under \
                 another id, so that nobody's consent counts for somebody else."
            )
        );
        assert_eq!(store.practices().await.expect("reads"), before);
        // Linked anew under the same name, it gets an id of its own, beside the former one and after it.
        assert_eq!(link(desk, input()).await.expect("links"), "demo-2");
        store.remove_practice(&PracticeId::new("demo")).await.expect("unlinks");
        assert_eq!(link(desk, input()).await.expect("links"), "demo-3");
        store.remove_practice(&PracticeId::new("demo-2")).await.expect("unlinks");
        assert_eq!(link(desk, input()).await.expect("links"), "demo-2", "nobody consented there");
        clinic.stop().await;
    }

    fn vald_input() -> ValdInput {
        ValdInput {
            tenant_id: "{11111111-2222-4333-8444-55555555ABCD}".into(),
            client_id: Some("an-id".into()),
            client_secret: None,
            region: Some("use".into()),
            hub_url: Some(" https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId} ".into()),
            groups: vec![GroupRuleView {
                group: " Knees ".into(),
                resource_id: Some("7".into()),
                location_id: None,
            }],
            staff_are_adults: true,
        }
    }

    #[test]
    fn a_vald_account_survives_the_screen() {
        let practice = crate::present::tests::settings();
        let kept = |input: &ValdInput, before: Option<&PracticeSettings>| {
            vald::settings(&practice.id, &practice.system, input, before, &[])
        };
        let account = kept(&vald_input(), None).expect("an account");
        assert_eq!(account.tenant_id, "11111111-2222-4333-8444-55555555abcd");
        assert_eq!((account.region.as_str(), account.sync_prefix.as_str()), ("use", "richmond"));
        assert_eq!(account.profile_url, "https://prd-use-api-externalprofile.valdperformance.com");
        let shown = vald::setup(&account, true);
        assert_eq!((shown.groups[0].group.as_str(), shown.has_credentials), ("Knees", true));
        assert_eq!(shown.hub_url.as_deref(), vald_input().hub_url.as_deref().map(str::trim));

        // What the file set and the screen does not show stays, unless the region is another one.
        let mut slow = practice.clone();
        slow.vald = Some(ValdSettings {
            between_requests: chrono::TimeDelta::seconds(2),
            sync_prefix: "first".into(),
            ..account.clone()
        });
        let again = kept(&ValdInput { region: None, ..vald_input() }, Some(&slow)).expect("an account");
        assert_eq!(Some(&again), slow.vald.as_ref());
        let moved = kept(&ValdInput { region: Some("euw".into()), ..vald_input() }, Some(&slow));
        let moved = moved.expect("an account");
        assert!(moved.profile_url.contains("prd-euw") && moved.sync_prefix == "first", "{moved:?}");
    }

    #[test]
    fn a_vald_account_with_a_mistake_is_refused_in_words() {
        let practice = crate::present::tests::settings();
        let said = |change: fn(&mut ValdInput)| {
            let mut input = vald_input();
            change(&mut input);
            let refused = vald::settings(&practice.id, &practice.system, &input, None, &[]);
            refused.expect_err("refused")
        };
        assert!(said(|input| input.tenant_id = "1111".into()).message.contains("organisation id"));
        assert!(said(|input| input.region = Some("apse".into())).message.contains("aue, use or euw"));
        assert!(said(|input| input.region = None).message.contains("Test the account"));
        assert_eq!(
            said(|input| input.hub_url = Some("https://x.example/".into())).code,
            ErrorCode::LandingInvalid
        );
        assert!(said(|input| input.groups[0].group = " ".into()).message.contains("no name"));
        assert!(
            said(|input| input.groups[0].location_id = Some("3".into())).message.contains("not for both")
        );
    }

    #[test]
    fn an_api_for_documents_is_taken_as_it_was_meant_and_not_beside_a_folder() {
        let address = SystemAddress::Sqlite { path: "/clinic.db".into() };
        let api = DocumentApiInput {
            url: " https://emr.example.com/openemr/ ".into(),
            site: " ".into(),
            client_id: " a-client ".into(),
            client_secret: None,
            user: "files".into(),
            password: None,
            category: String::new(),
        };
        let stored = |change: fn(&mut SystemInput)| {
            let mut input = SystemInput { documents_api: Some(api.clone()), ..system(address.clone()) };
            change(&mut input);
            system_settings(Path::new("/data"), &input, None).map(|system| system.documents.api)
        };
        let taken = stored(|_| {}).expect("taken").expect("an API");
        assert_eq!(taken.url, "https://emr.example.com/openemr");
        assert_eq!((taken.site.as_str(), taken.category.as_str()), ("default", "Medical Record"));
        let said = |change| stored(change).expect_err("refused").message;
        assert!(said(|input| input.documents_in = "/srv/import".into()).contains("leave one of them empty"));
        assert!(
            said(|input| input.documents_api.as_mut().expect("one").url = "http://emr".into())
                .contains("https://")
        );
        assert!(
            said(|input| input.documents_api.as_mut().expect("one").user = " ".into()).contains("a user")
        );
        let mut before = crate::present::tests::settings();
        before.system.documents.api = Some(taken.clone());
        assert!(!document_api_moved(&DocumentApi { category: "x".into(), ..taken.clone() }, Some(&before)));
        assert!(document_api_moved(&DocumentApi { user: "x".into(), ..taken }, Some(&before)));
    }

    #[test]
    fn a_stored_secret_goes_nowhere_else() {
        let kind = SecretKind::SystemPassword;
        let chosen = |typed, moved| {
            let chosen = typed_or_stored(kind, typed, Some(SecretString::from("stored")), moved);
            chosen.map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(chosen(None, false).expect("kept"), Some("stored".to_owned()));
        assert_eq!(chosen(None, true).expect_err("asked for").code, ErrorCode::InputInvalid);
        assert_eq!(chosen(Some(" typed "), true).expect("taken"), Some("typed".to_owned()));
        assert_eq!(chosen(Some(""), true).expect("none"), None);
        assert!(typed_or_stored(kind, None, None, true).expect("none").is_none());
    }

    #[test]
    fn ids_are_valid_and_none_is_offered_twice() {
        let first = |name: &str| ids(name).next().expect("an id");
        assert_eq!(first("Richmond Physiotherapy").as_str(), "richmond-physiotherapy");
        assert_eq!(first("Đặng & Söhne").as_str(), "dang-sohne");
        let offered: Vec<String> = ids("—").take(3).map(|id| id.to_string()).collect();
        assert_eq!(offered, ["practice", "practice-2", "practice-3"]);
        for name in ["x".repeat(200), "a ".repeat(60)] {
            assert!(PracticeId::is_valid(first(&name).as_str()), "{name}");
        }
    }

    #[test]
    fn live_hours_survive_the_screen_in_order() {
        let range = |start: &str, end: &str| TimeRange { start: start.into(), end: end.into() };
        let typed = LiveHours {
            monday: vec![range("13:00", "18:00"), range("08:00", "12:00")],
            ..LiveHours::default()
        };
        let shown = live_hours_view(&live_hours(&typed).expect("hours"));
        assert_eq!(shown.monday, [range("08:00", "12:00"), range("13:00", "18:00")]);
        let all_day = LiveHours { sunday: vec![range("00:00", "24:00")], ..LiveHours::default() };
        let shown = live_hours_view(&live_hours(&all_day).expect("hours"));
        assert_eq!(shown.sunday, [range("00:00", "23:59")]);
        let backwards = LiveHours { friday: vec![range("18:00", "08:00")], ..LiveHours::default() };
        assert!(live_hours(&backwards).is_err());
    }
}
