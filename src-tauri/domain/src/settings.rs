//! What the practice chose. Secrets are named here and kept elsewhere.

use crate::ids::{LocationRef, PartnerId, PracticeId, ResourceRef};
use crate::time::{DayRange, PracticeZone};
use chrono::{DateTime, TimeDelta, Utc, Weekday};
use std::collections::BTreeMap;

/// One practice on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PracticeSettings {
    /// Stable local key.
    pub id: PracticeId,
    /// The name people see.
    pub name: String,
    /// All practice-local times are in it.
    pub zone: PracticeZone,
    /// Whether the sync runs.
    pub enabled: bool,
    /// The practice management system.
    pub system: SystemSettings,
    /// The Healthengine account, where linked.
    pub healthengine: Option<HealthengineSettings>,
    /// The VALD Hub account, where linked.
    pub vald: Option<ValdSettings>,
    /// The accounts with the partners whose form is drawn from their card, where linked.
    pub accounts: BTreeMap<PartnerId, PartnerAccount>,
}

/// An account with a partner, as its card asks for it. What the card calls a secret is the secret
/// `<practice>/<partner>/<key>`, and not in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerAccount {
    /// What was entered, or the card's own suggestion, by the keys of the card. A field that may be left empty and was is
    /// missing.
    pub fields: BTreeMap<String, String>,
}

impl PartnerAccount {
    /// What stands in a field; empty where it was left empty.
    pub fn text(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }
}

/// How to reach the practice management system. The password is the secret `<practice>/system/password`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemSettings {
    /// Shipped profile, or one in the data folder's `profiles/`.
    pub profile: String,
    /// `sqlite:PATH`, `mysql://…`, without its password; `https://…` for a system that is reached over REST.
    pub url: String,
    /// Who enters bookings.
    pub write: WriteMode,
    /// The locations that this practice covers; `None` is all of them.
    pub locations: Option<Vec<LocationRef>>,
    /// How often the practice database is looked at for changes, in seconds.
    pub poll_seconds: u32,
    /// How documents come and go, where the clinic says so itself.
    pub documents: DocumentRoutes,
    /// The practice's account at Provet Cloud, where its book is kept there.
    pub provet: Option<ProvetSettings>,
}

/// A practice's account at Provet Cloud. Its client secret is the secret `<practice>/system/password`; the host is the
/// system's url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvetSettings {
    /// The number of the practice there, which stands in each address.
    pub provet_id: u32,
    /// The name of the credentials.
    pub client_id: String,
    /// Where tokens are fetched; none is the usual place.
    pub token_url: Option<String>,
    /// The public address that leads to our listener, no slash at the end; none is polling alone.
    pub webhook_url: Option<String>,
    /// Where the browser comes back to once a person has signed in, on this computer and as it is registered with Provet:
    /// the book is then read and written in that person's name. None is the integration's own account.
    pub redirect_url: Option<String>,
}

/// The credentials of a practice system that were sent to us and wait for somebody at the desk. Their secret is kept under
/// [`SecretName::of_registration`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The same for the same credentials, however often they come. Tells nothing about them.
    pub id: String,
    /// When they first came.
    pub received_at: DateTime<Utc>,
    /// The host, as [`SystemSettings::url`] has it.
    pub host: String,
    /// The number of the practice there.
    pub provet_id: u32,
    /// The name of the credentials.
    pub client_id: String,
    /// Where the browser comes back to, where a person has to sign in; none for the integration's own account.
    pub redirect_url: Option<String>,
}

/// How documents come and go: through folders, as whole paths, or inwards through the practice system's own API. A
/// folder that is not named is the profile's, if it has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentRoutes {
    /// Where the practice system picks documents up (`interface.md`, `documents_in`).
    pub inward: Option<String>,
    /// Where the practice lays documents for its patients (`documents_out`).
    pub outward: Option<String>,
    /// The practice system's own API, which then takes in what would go into a folder.
    pub api: Option<DocumentApi>,
}

/// A practice system's own API for documents (`[practice.system.documents_api]`). The client's secret and the user's
/// password are the secrets `<practice>/system/documents_api/client_secret` and `…/password`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentApi {
    /// Where the practice system is opened in a browser, no slash at the end: `https://emr.example.com/openemr`.
    pub url: String,
    /// Which of its sites, `default` unless it has several.
    pub site: String,
    /// The id under which this program is registered there.
    pub client_id: String,
    /// Whose name stands at the documents: a user of the practice system.
    pub user: String,
    /// The category that documents are put into, from the top: `Medical Record`, `Patient Information/Forms`.
    pub category: String,
}

impl DocumentApi {
    /// The site of an installation that has only one.
    pub const USUAL_SITE: &str = "default";
    /// The category that every installation begins with.
    pub const USUAL_CATEGORY: &str = "Medical Record";
}

/// Who enters bookings into the book (`interface.md`, `write`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// A person enters each booking; we find it in the book and confirm it.
    None,
    /// We write by SQL.
    Sql,
    /// We write through the system's own API.
    Api,
}

/// A Healthengine account. The keys are the secrets `<practice>/healthengine/api_key` and `…/practice_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthengineSettings {
    /// Base URL with the version, no slash at the end.
    pub base_url: String,
    /// Healthengine's id of the practice; opaque.
    pub practice_id: String,
    /// The e-mail address in the `User-Agent` (sheet §2).
    pub user_agent_email: String,
    /// `DEV`, `UAT` or `PROD`.
    pub environment: String,
    /// Availability is published for today and this many days on.
    pub horizon_days: u32,
    /// How often requests are looked for, in seconds; at most 5 without webhooks, 3600 with them (sheet §6).
    pub poll_seconds: u32,
    /// The public address that leads to our listener, no slash at the end; none is polling alone.
    pub webhook_url: Option<String>,
    /// Extra features to switch on: `documents`, `clientSnapshots`, `attachDocuments`.
    pub features: Vec<String>,
    /// The liveness contract.
    pub live_hours: LiveHours,
}

/// A VALD Hub account, which VALD calls a tenant. The credentials are the secrets `<practice>/vald/client_id` and
/// `…/client_secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValdSettings {
    /// VALD's id of the account, a UUID in lower case.
    pub tenant_id: String,
    /// Where its data lies: `aue`, `use` or `euw`.
    pub region: String,
    /// Where tokens are fetched.
    pub token_url: String,
    /// What the tokens are for.
    pub audience: String,
    /// The base address for profiles, no slash at the end.
    pub profile_url: String,
    /// The base address for tenants and groups, no slash at the end.
    pub tenants_url: String,
    /// The landing address with `{tenantId}` and `{syncId}`; none hides the button (sheet §8).
    pub hub_url: Option<String>,
    /// Into which groups new profiles are put, by name or id.
    pub groups: Vec<ProfileGroupRule>,
    /// How long after the beginning of one request the next may begin, at the earliest.
    pub between_requests: TimeDelta,
    /// What stands before the patient's key in new sync ids, so that two practices of one tenant with books of their
    /// own never mean the same profile. Chosen when the account is linked, and kept.
    pub sync_prefix: String,
    /// Whether everybody who records consent here is an adult (sheet §3, `isCreatedByUserOver18YearsOld`).
    pub staff_are_adults: bool,
}

/// A group into which new profiles are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileGroupRule {
    /// The group, by its name or id.
    pub group: String,
    /// Whose profiles.
    pub whose: GroupedPatients,
}

/// Whose profiles are put into a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupedPatients {
    /// Everybody's.
    All,
    /// Those with an appointment with this practitioner or room in the days that are read.
    SeenBy(ResourceRef),
    /// Those with an appointment at this location in the days that are read.
    SeenAt(LocationRef),
}

/// What Healthengine does only where it was switched on (sheet §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Documents that patients fill in reach the practice.
    AttachDocuments,
    /// The practice's days, with their patients, reach Healthengine.
    ClientSnapshots,
    /// Scripts and referrals of the practice reach its patients.
    Documents,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 3] = [Feature::AttachDocuments, Feature::ClientSnapshots, Feature::Documents];

    /// The name on the wire and in the provisioning file.
    pub fn name(self) -> &'static str {
        match self {
            Feature::AttachDocuments => "attachDocuments",
            Feature::ClientSnapshots => "clientSnapshots",
            Feature::Documents => "documents",
        }
    }
}

impl PracticeSettings {
    /// The public address that leads to our listener, for the webhooks that come in by this path; none where none do.
    pub fn webhook_url(&self, path: SecretKind) -> Option<&str> {
        match path {
            SecretKind::HealthengineWebhookPath => self.healthengine.as_ref()?.webhook_url.as_deref(),
            SecretKind::SystemWebhookPath => self.system.provet.as_ref()?.webhook_url.as_deref(),
            SecretKind::SystemPassword
            | SecretKind::DocumentApiClientSecret
            | SecretKind::DocumentApiPassword
            | SecretKind::HealthengineApiKey
            | SecretKind::HealthenginePracticeKey
            | SecretKind::ValdClientId
            | SecretKind::ValdClientSecret
            | SecretKind::SystemSignIn
            | SecretKind::Account { .. } => None,
        }
    }
}

impl HealthengineSettings {
    /// Whether a feature was asked for.
    pub fn wants(&self, feature: Feature) -> bool {
        self.features.iter().any(|name| name == feature.name())
    }
}

/// When this computer is expected to be on (liveness contract, sheet §4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveHours {
    /// Ranges per weekday, practice-local.
    pub weekdays: BTreeMap<LiveDay, Vec<DayRange>>,
}

/// A day of the liveness contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiveDay {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
    /// Public holidays.
    PublicHolidays,
}

impl LiveDay {
    /// All days, in the order in which people read them.
    pub const ALL: [LiveDay; 8] = [
        LiveDay::Monday,
        LiveDay::Tuesday,
        LiveDay::Wednesday,
        LiveDay::Thursday,
        LiveDay::Friday,
        LiveDay::Saturday,
        LiveDay::Sunday,
        LiveDay::PublicHolidays,
    ];

    /// The name on the wire and in the provisioning file.
    pub fn name(self) -> &'static str {
        match self {
            LiveDay::Monday => "monday",
            LiveDay::Tuesday => "tuesday",
            LiveDay::Wednesday => "wednesday",
            LiveDay::Thursday => "thursday",
            LiveDay::Friday => "friday",
            LiveDay::Saturday => "saturday",
            LiveDay::Sunday => "sunday",
            LiveDay::PublicHolidays => "publicHolidays",
        }
    }

    /// The day of a weekday.
    pub fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Mon => LiveDay::Monday,
            Weekday::Tue => LiveDay::Tuesday,
            Weekday::Wed => LiveDay::Wednesday,
            Weekday::Thu => LiveDay::Thursday,
            Weekday::Fri => LiveDay::Friday,
            Weekday::Sat => LiveDay::Saturday,
            Weekday::Sun => LiveDay::Sunday,
        }
    }
}

impl LiveHours {
    /// Sorted, without overlaps: what is sent (sheet §8: the server accepts disorder, we do not send it).
    pub fn normalised(&self) -> LiveHours {
        let weekdays =
            self.weekdays.iter().map(|(day, ranges)| (*day, DayRange::merged(ranges.clone()))).collect();
        LiveHours { weekdays }
    }
}

/// What holds for the whole program on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// How long finished bookings keep their personal fields, in days.
    pub retention_days: u32,
    /// How long a person has to decide, in minutes; inside Healthengine's ten.
    pub decide_minutes: u32,
    /// The filter of the log, `info` or `debug`.
    pub log_level: String,
    /// Receives webhooks; none is switched off.
    pub listener: Option<ListenerSettings>,
    /// The keys that bring up the small search box from anywhere, `Ctrl+Alt+V`; empty switches it off.
    pub quick_open_keys: String,
}

/// Where webhooks are received, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Address and port on this computer: `127.0.0.1:8765`.
    pub address: String,
    /// The addresses from which Healthengine delivers.
    pub sources: Vec<String>,
    /// Whether deliveries from elsewhere are turned away.
    pub check_sources: bool,
}

impl ListenerSettings {
    /// The port that is offered first.
    pub const ADDRESS: &str = "127.0.0.1:8765";
    /// The addresses that Healthengine names (sheet §5).
    pub const SOURCES: [&str; 3] = ["13.55.48.1", "52.62.53.70", "13.54.122.64"];

    /// A listener at this address that lets in what Healthengine sends.
    pub fn at(address: impl Into<String>) -> Self {
        let sources = Self::SOURCES.map(str::to_owned).into();
        Self { address: address.into(), sources, check_sources: true }
    }
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            retention_days: 30,
            decide_minutes: 8,
            log_level: "info".into(),
            listener: None,
            quick_open_keys: "Ctrl+Alt+V".into(),
        }
    }
}

/// The name of a secret in the vault: `richmond/healthengine/practice_key`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    /// The secret `what` of `practice`.
    pub fn of(practice: &PracticeId, what: SecretKind) -> Self {
        Self(format!("{practice}/{}", what.path()))
    }

    /// What opens one patient's own page at a partner, by the practice system's key.
    pub fn of_patient(practice: &PracticeId, partner: &PartnerId, local_id: &str) -> Self {
        Self(format!("{practice}/{partner}/patient/{local_id}"))
    }

    /// The secret of credentials that wait for somebody at the desk. No practice's id has a name before its slash that
    /// begins so.
    pub fn of_registration(id: &str) -> Self {
        Self(format!("+registration/{id}"))
    }

    /// The last segment of the address at which registrations come in; where there is none, none do.
    pub fn of_hookup_path() -> Self {
        Self("+registration".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The password of the practice database, or the client secret of a system that is reached over REST.
    SystemPassword,
    /// A person's sign-in at the practice system. Given by the browser and renewed by us, so that it stands in no form
    /// and no provisioning file.
    SystemSignIn,
    /// The secret of this program's registration at the practice system's own API.
    DocumentApiClientSecret,
    /// The password of the user under whose name documents are put there.
    DocumentApiPassword,
    /// Healthengine's consumer key.
    HealthengineApiKey,
    /// Healthengine's practice key.
    HealthenginePracticeKey,
    /// The last segment of the address at which Healthengine's webhooks come in. Made by us, 160 random bits.
    HealthengineWebhookPath,
    /// The id of VALD's credentials.
    ValdClientId,
    /// The secret of VALD's credentials.
    ValdClientSecret,
    /// The last segment of the address at which the practice system's own webhooks come in. Made by us likewise.
    SystemWebhookPath,
    /// What a partner's card calls a secret.
    Account {
        /// The name of the card.
        partner: &'static str,
        /// The key of the field.
        key: &'static str,
    },
}

impl SecretKind {
    /// The kinds that we make: where webhooks come in.
    pub const PATHS: [SecretKind; 2] = [SecretKind::HealthengineWebhookPath, SecretKind::SystemWebhookPath];

    /// The kinds that people give us, but for those of the partners' cards. Unlinking a practice forgets every secret of
    /// it.
    pub const ALL: [SecretKind; 7] = [
        SecretKind::SystemPassword,
        SecretKind::DocumentApiClientSecret,
        SecretKind::DocumentApiPassword,
        SecretKind::HealthengineApiKey,
        SecretKind::HealthenginePracticeKey,
        SecretKind::ValdClientId,
        SecretKind::ValdClientSecret,
    ];

    fn path(self) -> String {
        let (partner, key) = match self {
            SecretKind::SystemPassword => ("system", "password"),
            SecretKind::SystemSignIn => ("system", "sign_in"),
            SecretKind::DocumentApiClientSecret => ("system", "documents_api/client_secret"),
            SecretKind::DocumentApiPassword => ("system", "documents_api/password"),
            SecretKind::HealthengineApiKey => ("healthengine", "api_key"),
            SecretKind::HealthenginePracticeKey => ("healthengine", "practice_key"),
            SecretKind::HealthengineWebhookPath => ("healthengine", "webhook_path"),
            SecretKind::SystemWebhookPath => ("system", "webhook_path"),
            SecretKind::ValdClientId => ("vald", "client_id"),
            SecretKind::ValdClientSecret => ("vald", "client_secret"),
            SecretKind::Account { partner, key } => (partner, key),
        };
        format!("{partner}/{key}")
    }
}
