//! What a provisioning file would change, in words, and carrying it out.

use super::file::{Wanted, WantedFile};
use crate::{sign_in, vald_account, webhook_path};
use chrono::{DateTime, Utc};
use connectors::listener::is_open_to_others;
use connectors::partners;
use domain::ids::{LocationRef, PracticeId};
use domain::ports::store::{SettingsBook, StoreError, Vault};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{
    AppSettings, GroupedPatients, ListenerSettings, LiveHours, PracticeSettings, SecretKind, SecretName,
    ValdSettings, WriteMode,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use store::Store;
use sync::practices;

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The settings cannot be read.
    #[error("the settings cannot be read")]
    Store(#[from] StoreError),
    /// The operating system gives no random numbers.
    #[error("This computer gives no random numbers, which an address for webhooks needs. Start it again.")]
    NoRandomNumbers(#[from] std::io::Error),
}

/// What has to be done so that the settings are what the file says.
#[derive(Debug)]
pub struct Plan {
    practices: Vec<PracticePlan>,
    listener: ListenerPlan,
    /// Linked here and not in the file.
    stays: Vec<PracticeId>,
}

/// What becomes of the listener for webhooks.
#[derive(Debug)]
struct ListenerPlan {
    /// What holds for the whole program, as it should be.
    settings: AppSettings,
    lines: Vec<String>,
    /// What somebody has to do outside of this program.
    advice: Vec<String>,
}

#[derive(Debug)]
struct PracticePlan {
    settings: PracticeSettings,
    /// Those that differ; `None` is forgotten.
    secrets: Vec<(SecretName, Option<SecretString>)>,
    /// As it is linked already.
    before: Option<PracticeSettings>,
    /// It was switched off, and is to be switched on.
    is_switched_on: bool,
    /// Somebody has to sign in before anything works.
    lacks_sign_in: bool,
    lines: Vec<String>,
}

impl Plan {
    /// Compares what is wanted with what the store holds; without a store everything is new.
    pub async fn make(wanted: WantedFile, store: Option<&Store>) -> Result<Self, PlanError> {
        let listener = ListenerPlan::make(&wanted, store).await?;
        let wanted = wanted.practices;
        let known = match store {
            Some(store) => store.practices().await?,
            None => Vec::new(),
        };
        let is_in_the_file = |id: &PracticeId| wanted.iter().any(|wanted| wanted.settings.id == *id);
        let stays =
            known.iter().map(|settings| settings.id.clone()).filter(|id| !is_in_the_file(id)).collect();
        let mut practices = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let before = known.iter().find(|settings| settings.id == wanted.settings.id);
            practices.push(PracticePlan::make(wanted, before, store).await?);
        }
        Ok(Self { practices, listener, stays })
    }

    /// Whether the settings are what the file says already.
    pub fn is_empty(&self) -> bool {
        self.listener.lines.is_empty() && self.practices.iter().all(PracticePlan::is_empty)
    }

    /// Carries it out, each practice as a whole, so that a crash leaves whole practices and the next try does the rest.
    pub async fn carry_out(&self, store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        for practice in self.practices.iter().filter(|practice| !practice.is_empty()) {
            if practice.is_switched_on {
                // As the on/off switch does (HE-10, HE-14, HE-17).
                practices::resync(store, &practice.settings.id, &practices::EVERYTHING, now).await?;
            }
            store.link_practice(&practice.settings, practice.secrets.clone()).await?;
            tracing::info!(practice.id = %practice.settings.id, "Set as the provisioning file says.");
        }
        if !self.listener.lines.is_empty() {
            store.save_app_settings(&self.listener.settings).await?;
        }
        Ok(())
    }
}

impl ListenerPlan {
    async fn make(wanted: &WantedFile, store: Option<&Store>) -> Result<Self, StoreError> {
        let mut settings = match store {
            Some(store) => store.app_settings().await?,
            None => AppSettings::default(),
        };
        let was = settings.listener.as_ref().map(described_listener).unwrap_or_default();
        let becomes = wanted.listener.as_ref().map(described_listener).unwrap_or_default();
        let lines = differences(&was, &becomes);
        let mut advice = Vec::new();
        let addresses = || {
            wanted
                .practices
                .iter()
                .flat_map(|wanted| SecretKind::PATHS.map(|kind| wanted.settings.webhook_url(kind)))
                .flatten()
        };
        match &wanted.listener {
            None => advice.extend(addresses().map(|url| {
                format!("{url}: nothing receives these webhooks until the file has a [listener]")
            })),
            Some(listener) => {
                if listener.address.parse().is_ok_and(|address| is_open_to_others(&address)) {
                    advice.push(format!(
                        "{}: other computers can connect to it; let your firewall admit nobody but your proxy",
                        listener.address
                    ));
                }
                advice.extend(addresses().map(|url| {
                    format!("{url}: let your proxy lead everything below it to http://{}", listener.address)
                }));
            }
        }
        settings.listener = wanted.listener.clone();
        Ok(Self { settings, lines, advice })
    }
}

/// What differs, in the order of the keys: those that are there, and then those that are no more.
fn differences(was: &Described, becomes: &Described) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in becomes {
        match was.get(key) {
            Some(old) if old == value => {}
            Some(old) => lines.push(format!("{key}: {old} → {value}")),
            None => lines.push(format!("{key}: {value}")),
        }
    }
    lines.extend(was.keys().filter(|key| !becomes.contains_key(*key)).map(|key| format!("{key}: removed")));
    lines
}

/// Settings as the provisioning file calls them.
type Described = BTreeMap<Cow<'static, str>, String>;

fn described_listener(settings: &ListenerSettings) -> Described {
    under_their_keys([
        ("address", settings.address.clone()),
        ("sources", settings.sources.join(", ")),
        ("check_sources", settings.check_sources.to_string()),
    ])
}

fn under_their_keys(found: impl IntoIterator<Item = (&'static str, String)>) -> Described {
    found.into_iter().map(|(key, value)| (Cow::from(key), value)).collect()
}

impl PracticePlan {
    async fn make(
        wanted: Wanted,
        before: Option<&PracticeSettings>,
        store: Option<&Store>,
    ) -> Result<Self, PlanError> {
        let Wanted { settings, secrets: given } = wanted;
        if let Some(store) = store {
            // Saving would refuse it as well, when a part of the file is carried out already.
            store.consents_fit(&settings.id, &settings.system.profile).await?;
        }
        let was = before.map(described).unwrap_or_default();
        let becomes = described(&settings);
        let mut lines = differences(&was, &becomes);
        if before.is_some_and(|before| vald_account::is_replaced(before, &settings)) {
            lines.push("vald links: forgotten, because the organisation is another one".to_owned());
        }
        let mut secrets = Vec::new();
        for kind in SecretKind::ALL.into_iter().chain(partners::secrets()) {
            let name = SecretName::of(&settings.id, kind);
            let old = match store {
                Some(store) => store.secret(&name).await?,
                None => None,
            };
            let new = given.iter().find(|(of, _)| *of == kind).map(|(_, secret)| secret);
            let what = match (&old, new) {
                (None, None) => continue,
                (Some(old), Some(new)) if old.expose_secret() == new.expose_secret() => continue,
                (None, Some(_)) => "set (not shown)",
                (Some(_), Some(_)) => "changed (not shown)",
                (Some(_), None) => "removed",
            };
            lines.push(format!("{}: {what}", known_as(kind)));
            secrets.push((name, new.cloned()));
        }
        let name = SecretName::of(&settings.id, SecretKind::SystemSignIn);
        let sign_in = match store {
            Some(store) => store.secret(&name).await?,
            None => None,
        };
        let goes_on = sign_in::goes_on(&settings.system, before);
        if sign_in.is_some() && !goes_on {
            lines.push(format!("{}: removed", known_as(SecretKind::SystemSignIn)));
            secrets.push((name, None));
        }
        let lacks_sign_in = sign_in::is_needed(&settings.system) && (sign_in.is_none() || !goes_on);
        for kind in SecretKind::PATHS {
            let path = match store {
                Some(store) => store.secret(&SecretName::of(&settings.id, kind)).await?,
                None => None,
            };
            if let Some(kept) = webhook_path::to_keep(&settings, kind, path.as_ref())? {
                let what = if kept.1.is_some() { "made (not shown)" } else { "removed" };
                lines.push(format!("{}: {what}", known_as(kind)));
                secrets.push(kept);
            }
        }
        Ok(Self {
            secrets,
            lacks_sign_in,
            before: before.cloned(),
            is_switched_on: settings.enabled && before.is_some_and(|before| !before.enabled),
            settings,
            lines,
        })
    }

    fn is_empty(&self) -> bool {
        self.before.is_some() && self.lines.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for practice in &self.practices {
            let how = match (&practice.before, practice.is_empty()) {
                (None, _) => "added",
                (Some(_), false) => "changed",
                (Some(_), true) => "no changes",
            };
            writeln!(f, "practice {}: {how}", practice.settings.id)?;
            for line in &practice.lines {
                writeln!(f, "  {line}")?;
            }
            if practice.lacks_sign_in {
                writeln!(
                    f,
                    "  somebody has to sign in: open Clinic Companion, Connections, \"Change\" at this practice, and sign in \
                     there"
                )?;
            }
        }
        if !self.listener.lines.is_empty() {
            let how = if self.listener.settings.listener.is_some() { "on" } else { "off" };
            writeln!(f, "listener: {how}")?;
            for line in &self.listener.lines {
                writeln!(f, "  {line}")?;
            }
        }
        for advice in &self.listener.advice {
            writeln!(f, "{advice}")?;
        }
        for id in &self.stays {
            writeln!(f, "practice {id}: not in the file, stays as it is")?;
        }
        Ok(())
    }
}

/// How the provisioning file calls a secret.
fn known_as(kind: SecretKind) -> Cow<'static, str> {
    Cow::from(match kind {
        SecretKind::Account { partner, key } => return format!("{partner}.{key}").into(),
        SecretKind::SystemPassword => "system.password",
        SecretKind::SystemSignIn => "sign-in of a person",
        SecretKind::DocumentApiClientSecret => "system.documents_api.client_secret",
        SecretKind::DocumentApiPassword => "system.documents_api.password",
        SecretKind::HealthengineApiKey => "healthengine.api_key",
        SecretKind::HealthenginePracticeKey => "healthengine.practice_key",
        SecretKind::HealthengineWebhookPath => "webhook path",
        SecretKind::SystemWebhookPath => "webhook path of the practice system",
        SecretKind::ValdClientId => "vald.client_id",
        SecretKind::ValdClientSecret => "vald.client_secret",
    })
}

/// The settings as the provisioning file calls them.
fn described(settings: &PracticeSettings) -> Described {
    let system = &settings.system;
    let mut found = BTreeMap::from([
        ("name", quoted(&settings.name)),
        ("timezone", settings.zone.name().to_owned()),
        ("enabled", settings.enabled.to_string()),
        ("system.profile", system.profile.clone()),
        ("system.url", system.url.clone()),
        ("system.write", write_mode(system.write).to_owned()),
        ("system.poll_seconds", system.poll_seconds.to_string()),
    ]);
    if let Some(locations) = &system.locations {
        let ids: Vec<&str> = locations.iter().map(LocationRef::as_str).collect();
        found.insert("system.locations", ids.join(", "));
    }
    for (key, folder) in [
        ("system.documents_in", &system.documents.inward),
        ("system.documents_out", &system.documents.outward),
    ] {
        found.extend(folder.as_ref().map(|folder| (key, folder.clone())));
    }
    if let Some(api) = &system.documents.api {
        found.extend([
            ("system.documents_api.url", api.url.clone()),
            ("system.documents_api.site", api.site.clone()),
            ("system.documents_api.client_id", api.client_id.clone()),
            ("system.documents_api.user", quoted(&api.user)),
            ("system.documents_api.category", quoted(&api.category)),
        ]);
    }
    if let Some(account) = &system.provet {
        found.extend([
            ("provet.provet_id", account.provet_id.to_string()),
            ("provet.client_id", account.client_id.clone()),
        ]);
        found.extend(account.redirect_url.as_ref().map(|url| ("provet.redirect_url", url.clone())));
        found.extend(account.token_url.as_ref().map(|url| ("provet.token_url", url.clone())));
        found.extend(account.webhook_url.as_ref().map(|url| ("provet.webhook_url", url.clone())));
    }
    if let Some(account) = &settings.healthengine {
        found.extend([
            ("healthengine.base_url", account.base_url.clone()),
            ("healthengine.practice_id", account.practice_id.clone()),
            ("healthengine.user_agent_email", account.user_agent_email.clone()),
            ("healthengine.environment", account.environment.clone()),
            ("healthengine.horizon_days", account.horizon_days.to_string()),
            ("healthengine.poll_seconds", account.poll_seconds.to_string()),
        ]);
        if let Some(url) = &account.webhook_url {
            found.insert("healthengine.webhook_url", url.clone());
        }
        if !account.features.is_empty() {
            found.insert("healthengine.features", account.features.join(", "));
        }
        if !account.live_hours.weekdays.is_empty() {
            found.insert("healthengine.live_hours", live_hours(&account.live_hours));
        }
    }
    if let Some(account) = &settings.vald {
        found.extend(described_vald(account));
    }
    let mut found = under_their_keys(found);
    for (partner, account) in &settings.accounts {
        // That it is linked is said even where its card asks for secrets alone.
        found.insert(partner.to_string().into(), "linked".to_owned());
        let fields = account.fields.iter();
        found.extend(fields.map(|(key, value)| (format!("{partner}.{key}").into(), value.clone())));
    }
    found
}

fn described_vald(account: &ValdSettings) -> BTreeMap<&'static str, String> {
    let mut found = BTreeMap::from([
        ("vald.tenant_id", account.tenant_id.clone()),
        ("vald.region", account.region.clone()),
        ("vald.token_url", account.token_url.clone()),
        ("vald.audience", account.audience.clone()),
        ("vald.profile_url", account.profile_url.clone()),
        ("vald.tenants_url", account.tenants_url.clone()),
        ("vald.requests_per_second", vald_account::requests_per_second(account)),
        ("vald.staff_are_adults", account.staff_are_adults.to_string()),
        ("vald.sync_prefix", account.sync_prefix.clone()),
    ]);
    found.extend(account.hub_url.as_ref().map(|url| ("vald.hub_url", url.clone())));
    let mut groups: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for rule in &account.groups {
        let group = quoted(&rule.group);
        let (key, line) = match &rule.whose {
            GroupedPatients::All => ("vald.groups", group),
            GroupedPatients::SeenBy(resource) => {
                ("vald.groups_by_practitioner", format!("{resource} {group}"))
            }
            GroupedPatients::SeenAt(location) => ("vald.groups_by_location", format!("{location} {group}")),
        };
        groups.entry(key).or_default().push(line);
    }
    for (key, mut lines) in groups {
        lines.sort();
        found.insert(key, lines.join(", "));
    }
    found
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn write_mode(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::None => "none",
        WriteMode::Sql => "sql",
        WriteMode::Api => "api",
    }
}

fn live_hours(hours: &LiveHours) -> String {
    let day = |(day, ranges): (&domain::settings::LiveDay, &Vec<domain::time::DayRange>)| {
        let ranges: Vec<String> =
            ranges.iter().map(|range| format!("{}–{}", range.start, range.end)).collect();
        let ranges = if ranges.is_empty() { "none".to_owned() } else { ranges.join(" and ") };
        format!("{} {ranges}", day.name())
    };
    hours.weekdays.iter().map(day).collect::<Vec<_>>().join(", ")
}
