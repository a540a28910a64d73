//! Puts the program together: data folder, key, store, connectors, engine. The only place that names concrete types.

use crate::hookup::Hookup;
use crate::sign_in::KeptSignIn;
use crate::webhook_path;
use async_trait::async_trait;
use connectors::http::Http;
use connectors::http::sign_in::{SignIn, SignInBook};
use connectors::listener;
use connectors::partners::healthengine::Healthengine;
use connectors::partners::vald::Vald;
use connectors::partners::{self, Account, Linkable};
use connectors::practices::{self, Opened};
use domain::ids::PracticeId;
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{Leg, Problem, ProblemKind, SettingsBook, StoreError, Vault};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{
    HealthengineSettings, PartnerAccount, PracticeSettings, SecretKind, SecretName, ValdSettings,
};
use domain::time::PracticeZone;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{EngineLock, KeySource, Notice, OpenError, Store};
use sync::engine::{self, Connect, Connected, EngineHandle, Foundations};
use sync::flows::error_chain;

/// How the operating system knows us.
pub const IDENTIFIER: &str = "au.cliniccompanion.desktop";
/// Names a key file in place of the keyring (`interface.md`).
pub const KEY_FILE_VARIABLE: &str = "CLINIC_COMPANION_KEY_FILE";

/// Where everything of ours lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFolder(PathBuf);

/// The operating system does not say where programs keep their data.
#[derive(Debug, thiserror::Error)]
#[error("This computer does not say where programs keep their data. Name a folder with --data-dir.")]
pub struct NoDataFolder;

impl DataFolder {
    /// `given`, or the operating system's folder for data that stays on this computer.
    pub fn choose(given: Option<PathBuf>) -> Result<Self, NoDataFolder> {
        match given {
            // Absolute, so that every message names it in full. Where that fails it stays as it was typed.
            Some(given) => Ok(Self(std::path::absolute(&given).unwrap_or(given))),
            None => dirs::data_local_dir().map(|dir| Self(dir.join(IDENTIFIER))).ok_or(NoDataFolder),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The log's files.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The clinic's own profiles.
    pub fn profiles(&self) -> PathBuf {
        self.0.join("profiles")
    }

    /// Where documents are laid out for reading, until the program ends.
    pub fn opened(&self) -> PathBuf {
        self.0.join("opened")
    }

    /// Takes away what was laid out for reading. What a viewer still holds open goes at the next start.
    pub fn clear_opened(&self) {
        if let Err(error) = std::fs::remove_dir_all(self.opened())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "Documents that were opened could not be taken away.");
        }
    }

    /// The made-up clinic's own folder.
    pub fn demo(&self) -> Self {
        Self(self.0.join("demo"))
    }

    /// Makes the folder, for its owner only, where it is missing.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// Whether the store has been here.
    pub fn has_records(&self) -> bool {
        store::records_exist(&self.0)
    }
}

impl fmt::Display for DataFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// The keyring, or the key file that somebody chose. A variable that is set and empty is a mistake, not the keyring.
pub fn key_source() -> KeySource {
    match std::env::var_os(KEY_FILE_VARIABLE) {
        Some(path) => KeySource::File(path.into()),
        None => KeySource::Keyring,
    }
}

/// The opened store, where it lies, and what connections are made with.
pub struct Home {
    folder: DataFolder,
    store: Arc<Store>,
    notices: Vec<Notice>,
    clock: Arc<dyn Clock>,
    http: Http,
    renews: bool,
}

impl Home {
    /// Opens the store, or creates it. Blocks; not to be called on a runtime's thread.
    pub fn open(folder: DataFolder, key: &KeySource, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let opened = Store::open_with(folder.path(), key, clock.now())?;
        for notice in &opened.notices {
            tracing::warn!("{notice}");
        }
        let http = Http::default().with_clock(clock.clone());
        Ok(Self { folder, store: Arc::new(opened.store), notices: opened.notices, clock, http, renews: true })
    }

    /// A store that is only looked at, and where it lies.
    pub fn looked_at(folder: DataFolder, store: Store, clock: Arc<dyn Clock>) -> Self {
        let http = Http::default().with_clock(clock.clone());
        Self { folder, store: Arc::new(store), notices: Vec::new(), clock, http, renews: false }
    }

    /// Where everything lies.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// The store.
    pub fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// What people should be told about the store.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// How practices are connected.
    pub fn connections(&self) -> AppConnect {
        AppConnect {
            renews: self.renews,
            store: self.store.clone(),
            sockets: Sockets {
                profiles: self.folder.profiles(),
                clock: self.clock.clone(),
                http: self.http.clone(),
            },
        }
    }

    /// Makes this process the one that runs the engine on this folder.
    pub fn lock_engine(&self) -> Result<EngineLock, StartError> {
        match EngineLock::take(self.folder.path()) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(StartError::AnotherRuns(self.folder.path().to_owned())),
            Err(error) => Err(StartError::NoLock(self.folder.path().to_owned(), error)),
        }
    }

    /// Starts the engine on the current runtime. The lock is kept until it has ended.
    pub fn start_engine(&self, lock: EngineLock) -> EngineHandle {
        let handle = engine::start(Foundations {
            store: self.store.clone(),
            clock: self.clock.clone(),
            connect: Arc::new(self.connections()),
        });
        let mut state = handle.state();
        let registrar = Arc::new(Hookup::new(self.store.clone(), self.clock.clone()));
        let listener = tokio::spawn(listener::keep(self.store.clone(), handle.bell(), Some(registrar)));
        tokio::spawn(async move {
            // The engine has ended when nobody can change its state any more.
            while state.changed().await.is_ok() {}
            listener.abort();
            drop(lock);
        });
        handle
    }
}

/// Why the engine cannot start here.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process runs it.
    #[error(
        "Another Clinic Companion is already running on this data folder, {}. Use that one, or quit it, or choose another folder with --data-dir.",
        .0.display()
    )]
    AnotherRuns(PathBuf),
    /// The folder does not take a lock.
    #[error("The data folder {} cannot be locked. Choose a folder on this computer's own disk with --data-dir.", .0.display())]
    NoLock(PathBuf, #[source] io::Error),
}

/// The runtime of `serve` and of the window. Small, because it idles most of the time: whatever blocks has a thread of
/// its own.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("work")
        .enable_all()
        .build()
}

/// What connections are made with, before any store is there.
#[derive(Clone)]
pub struct Sockets {
    /// The clinic's own profiles.
    pub profiles: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The connections that all partners share.
    pub http: Http,
}

/// The secrets of a practice system; none where it needs none, or where one is missing.
#[derive(Default)]
pub struct SystemSecrets {
    /// Of the database's account.
    pub password: Option<SecretString>,
    /// Keeps a person's sign-in, where the system asks for one.
    pub sign_in: Option<Arc<dyn SignInBook>>,
    /// Of this program's registration at the system's own API for documents.
    pub api_client_secret: Option<SecretString>,
    /// Of the user under whose name documents are put there.
    pub api_password: Option<SecretString>,
}

impl Sockets {
    /// The same, for whoever has to know how it is reached.
    pub fn open_practice(
        &self,
        settings: &PracticeSettings,
        secrets: SystemSecrets,
    ) -> Result<Opened, Problem> {
        let wrong = |error: &dyn std::error::Error| misset(format!("{}.", capitalised(&error_chain(error))));
        let SystemSecrets { password, sign_in, api_client_secret, api_password } = secrets;
        let clock = self.clock.clone();
        let opened = practices::open(
            &settings.system,
            password,
            sign_in.as_ref(),
            settings.zone,
            &self.profiles,
            &self.http,
            clock,
        )
        .map_err(|error| wrong(&error))?;
        let Some(api) = &settings.system.documents.api else { return Ok(opened) };
        opened
            .with_document_api(api, api_client_secret.as_ref(), api_password.as_ref(), &self.http)
            .map_err(|error| wrong(&error))
    }

    /// The practice system behind these settings. Connects to nothing yet.
    pub fn practice_system(
        &self,
        settings: &PracticeSettings,
        secrets: SystemSecrets,
    ) -> Result<Arc<dyn PracticeSystem>, Problem> {
        Ok(self.open_practice(settings, secrets)?.system())
    }

    /// The Healthengine account behind these settings. Connects to nothing yet.
    pub fn healthengine(
        &self,
        account: &HealthengineSettings,
        practice: &PracticeId,
        zone: PracticeZone,
        api_key: &SecretString,
        practice_key: &SecretString,
    ) -> Result<Arc<dyn Partner>, Problem> {
        Healthengine::new(account, practice.clone(), zone, api_key, practice_key, &self.http)
            .map(|partner| Arc::new(partner) as Arc<dyn Partner>)
            .map_err(|error| misset(format!("Healthengine cannot be linked: {}.", error_chain(&error))))
    }

    /// The VALD account behind these settings. Connects to nothing yet.
    pub fn vald(
        &self,
        account: &ValdSettings,
        practice: &PracticeId,
        client_id: &SecretString,
        client_secret: &SecretString,
    ) -> Result<Arc<dyn Partner>, Problem> {
        Vald::new(account, practice.clone(), client_id, client_secret, &self.http)
            .map(|partner| Arc::new(partner) as Arc<dyn Partner>)
            .map_err(|error| misset(format!("VALD Hub cannot be linked: {}.", error_chain(&error))))
    }

    /// The account with a partner that is drawn from its card. Connects to nothing yet.
    pub fn account(
        &self,
        linkable: &Linkable,
        settings: &PartnerAccount,
        (practice, zone): (&PracticeId, PracticeZone),
        secrets: &BTreeMap<&'static str, SecretString>,
    ) -> Result<Arc<dyn Partner>, Problem> {
        (linkable.open)(&Account { practice, zone, settings, secrets }, &self.http).map_err(|error| {
            misset(format!("{} cannot be linked: {}.", linkable.card.title, error_chain(&error)))
        })
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn misset(sentence: String) -> Problem {
    Problem { kind: ProblemKind::Misfit, sentence }
}

/// Connects practices with what the store and the data folder hold.
#[derive(Clone)]
pub struct AppConnect {
    store: Arc<Store>,
    sockets: Sockets,
    /// Whether what is renewed can be kept: not in a store that is only looked at.
    renews: bool,
}

impl AppConnect {
    /// What connections are made with.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// A secret of a practice.
    pub async fn secret(
        &self,
        practice: &PracticeId,
        kind: SecretKind,
    ) -> Result<Option<SecretString>, Problem> {
        self.store.secret(&SecretName::of(practice, kind)).await.map_err(|error| Problem {
            kind: ProblemKind::Other,
            sentence: format!("A password or key cannot be read from our records: {error}. We keep trying."),
        })
    }

    /// The practice's Healthengine account with its keys; none where it is not linked.
    pub async fn partner(&self, settings: &PracticeSettings) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = &settings.healthengine else { return Ok(None) };
        let api_key = self.secret(&settings.id, SecretKind::HealthengineApiKey).await?;
        let practice_key = self.secret(&settings.id, SecretKind::HealthenginePracticeKey).await?;
        let (Some(api_key), Some(practice_key)) = (api_key, practice_key) else {
            return Err(Problem {
                kind: ProblemKind::Credentials,
                sentence: "A key of Healthengine is missing. Enter it in Connections, or apply the provisioning file again."
                    .into(),
            });
        };
        let sockets = &self.sockets;
        sockets.healthengine(account, &settings.id, settings.zone, &api_key, &practice_key).map(Some)
    }

    /// The practice's system with its password.
    pub async fn practice_system(
        &self,
        settings: &PracticeSettings,
    ) -> Result<Arc<dyn PracticeSystem>, Problem> {
        let secrets = self.system_secrets(&settings.id).await?;
        self.sockets.practice_system(settings, secrets)
    }

    /// The secrets of a practice's system.
    pub async fn system_secrets(&self, practice: &PracticeId) -> Result<SystemSecrets, Problem> {
        Ok(SystemSecrets {
            password: self.secret(practice, SecretKind::SystemPassword).await?,
            sign_in: Some(self.sign_in(practice).await?),
            api_client_secret: self.secret(practice, SecretKind::DocumentApiClientSecret).await?,
            api_password: self.secret(practice, SecretKind::DocumentApiPassword).await?,
        })
    }

    /// Where the sign-in of a practice is kept.
    pub async fn sign_in(&self, practice: &PracticeId) -> Result<Arc<dyn SignInBook>, Problem> {
        let kept = self.secret(practice, SecretKind::SystemSignIn).await?;
        Ok(Arc::new(KeptSignIn::new(self.store.clone(), practice, kept.as_ref(), self.renews)))
    }

    /// The practice's VALD account with its credentials; none where it is not linked.
    pub async fn vald(&self, settings: &PracticeSettings) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = &settings.vald else { return Ok(None) };
        let client_id = self.secret(&settings.id, SecretKind::ValdClientId).await?;
        let client_secret = self.secret(&settings.id, SecretKind::ValdClientSecret).await?;
        let (Some(client_id), Some(client_secret)) = (client_id, client_secret) else {
            return Err(Problem {
                kind: ProblemKind::Credentials,
                sentence: "The client id or the client secret of VALD is missing. Enter it in Connections, or apply the provisioning file again."
                    .into(),
            });
        };
        self.sockets.vald(account, &settings.id, &client_id, &client_secret).map(Some)
    }

    /// The practice's account with a partner that is drawn from its card, with its secrets; none where it is not linked.
    pub async fn account(
        &self,
        linkable: &'static Linkable,
        settings: &PracticeSettings,
    ) -> Result<Option<Arc<dyn Partner>>, Problem> {
        let Some(account) = settings.accounts.get(&linkable.id()) else { return Ok(None) };
        let secrets = self.account_secrets(linkable, &settings.id).await?;
        let missing =
            linkable.card.secret_fields().find(|field| !field.optional && !secrets.contains_key(field.key));
        if let Some(missing) = missing {
            let (label, title) = (missing.label.to_lowercase(), linkable.card.title);
            return Err(Problem {
                kind: ProblemKind::Credentials,
                sentence: format!(
                    "The {label} of {title} is missing. Enter it in Connections, or apply the provisioning file again."
                ),
            });
        }
        self.sockets.account(linkable, account, (&settings.id, settings.zone), &secrets).map(Some)
    }

    /// The secrets of an account that are there, by the keys of its card.
    pub async fn account_secrets(
        &self,
        linkable: &'static Linkable,
        practice: &PracticeId,
    ) -> Result<BTreeMap<&'static str, SecretString>, Problem> {
        let mut secrets = BTreeMap::new();
        for field in linkable.card.secret_fields() {
            let kind = SecretKind::Account { partner: linkable.card.name, key: field.key };
            let kept = self.secret(practice, kind).await?;
            secrets.extend(kept.map(|secret| (field.key, secret)));
        }
        Ok(secrets)
    }

    /// The public address at which the practice's webhooks come in; none where nobody listens or it has none.
    async fn callback(
        &self,
        settings: &PracticeSettings,
        kind: SecretKind,
    ) -> Result<Option<SecretString>, Problem> {
        let listens = self.store.app_settings().await.map_err(|error| Problem {
            kind: ProblemKind::Other,
            sentence: format!("Our settings cannot be read: {error}. We keep trying."),
        })?;
        if listens.listener.is_none() {
            return Ok(None);
        }
        let path = self.secret(&settings.id, kind).await?;
        Ok(path.and_then(|path| webhook_path::callback(settings, kind, &path)))
    }
}

#[async_trait]
impl Connect for AppConnect {
    async fn connect(&self, settings: &PracticeSettings) -> Result<Connected, (Leg, Problem)> {
        let of = |leg| move |problem| (leg, problem);
        let practice = self.practice_system(settings).await.map_err(of(Leg::System))?;
        let partner = self.partner(settings).await.map_err(of(Leg::Desk))?;
        let callback =
            self.callback(settings, SecretKind::HealthengineWebhookPath).await.map_err(of(Leg::Desk))?;
        let book_callback =
            self.callback(settings, SecretKind::SystemWebhookPath).await.map_err(of(Leg::System))?;
        let mut others = vec![(Leg::Profiles, self.vald(settings).await)];
        for linkable in partners::LINKABLE {
            others.push((Leg::Account(linkable.id()), self.account(linkable, settings).await));
        }
        let (mut partners, mut troubles) = (Vec::new(), Vec::new());
        for (leg, connected) in others {
            match connected {
                Ok(partner) => partners.extend(partner),
                // Bookings do not wait for somebody to correct this.
                Err(problem) => troubles.push((leg, problem)),
            }
        }
        Ok(Connected { practice, partner, partners, troubles, callback, book_callback })
    }

    fn surroundings(&self) -> String {
        practices::own_profiles_stamp(&self.sockets.profiles)
    }

    async fn signature(&self, settings: &PracticeSettings) -> Result<String, StoreError> {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            // With its length first, so that two parts cannot pass for two others.
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        };
        add(format!("{settings:?}").as_bytes());
        let all = SecretKind::ALL.into_iter().chain(SecretKind::PATHS);
        for kind in all.chain(partners::secrets()) {
            let secret = self.store.secret(&SecretName::of(&settings.id, kind)).await?;
            add(secret.as_ref().map_or(&[0], |_| &[1]));
            add(secret.as_ref().map_or("", |secret| secret.expose_secret()).as_bytes());
        }
        // A sign-in is renewed with every token; another one is a new beginning.
        let sign_in = self.store.secret(&SecretName::of(&settings.id, SecretKind::SystemSignIn)).await?;
        let since = sign_in.as_ref().and_then(SignIn::of_secret).map(|sign_in| sign_in.since.to_rfc3339());
        add(since.unwrap_or_default().as_bytes());
        // A profile of the clinic's own may be corrected while we run.
        add(&practices::own_profile_text(&settings.system.profile, &self.sockets.profiles));
        Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use domain::settings::{DocumentRoutes, SystemSettings, WriteMode};

    fn home(dir: &Path) -> Home {
        let key = dir.join("the.key");
        std::fs::write(&key, "07".repeat(32)).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let folder = DataFolder::choose(Some(dir.join("data"))).unwrap();
        Home::open(folder, &KeySource::File(key), Arc::new(SystemClock)).unwrap()
    }

    fn settings() -> PracticeSettings {
        PracticeSettings {
            id: PracticeId::new("richmond"),
            name: "Richmond".into(),
            zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
            enabled: true,
            system: SystemSettings {
                profile: "demo".into(),
                url: "sqlite:/nowhere/clinic.sqlite".into(),
                write: WriteMode::None,
                locations: None,
                poll_seconds: 5,
                documents: DocumentRoutes::default(),
                provet: None,
            },
            healthengine: Some(HealthengineSettings {
                base_url: "http://127.0.0.1:9/pms-api/v1".into(),
                practice_id: "1".into(),
                user_agent_email: "it@example.com".into(),
                environment: "DEV".into(),
                horizon_days: 60,
                poll_seconds: 5,
                features: Vec::new(),
                webhook_url: None,
                live_hours: domain::settings::LiveHours::default(),
            }),
            vald: None,
            accounts: BTreeMap::new(),
        }
    }

    fn keys(api_key: &str) -> Vec<(SecretName, Option<SecretString>)> {
        let name = |kind| SecretName::of(&PracticeId::new("richmond"), kind);
        vec![
            (name(SecretKind::HealthengineApiKey), Some(api_key.into())),
            (name(SecretKind::HealthenginePracticeKey), Some("practice-key".into())),
        ]
    }

    #[tokio::test]
    async fn a_practice_is_connected_with_its_secrets_and_not_without() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let connections = home.connections();
        let Err((leg, problem)) = connections.connect(&settings()).await else {
            panic!("connected without keys")
        };
        assert_eq!((leg, problem.kind), (Leg::Desk, ProblemKind::Credentials));
        home.store().link_practice(&settings(), keys("api-key")).await.unwrap();
        assert!(connections.connect(&settings()).await.unwrap().partner.is_some());

        let mut unlinked = settings();
        unlinked.healthengine = None;
        assert!(connections.connect(&unlinked).await.unwrap().partner.is_none());
        unlinked.system.profile = "nonesuch".into();
        let Err((leg, problem)) = connections.connect(&unlinked).await else {
            panic!("connected without a profile")
        };
        assert_eq!((leg, problem.kind), (Leg::System, ProblemKind::Misfit));
        assert!(problem.sentence.contains("nonesuch"), "{}", problem.sentence);
    }

    #[tokio::test]
    async fn vald_without_its_secret_keeps_nobody_else_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let connections = home.connections();
        let mut settings = settings();
        settings.vald = Some(crate::present::tests::vald_settings());
        let name = |kind| SecretName::of(&settings.id, kind);
        let mut secrets = keys("api-key");
        secrets.push((name(SecretKind::ValdClientId), Some("an-id".into())));
        home.store().link_practice(&settings, secrets.clone()).await.unwrap();
        let without = connections.signature(&settings).await.unwrap();
        let connected = connections.connect(&settings).await.unwrap();
        assert!(connected.partner.is_some() && connected.partners.is_empty());
        let troubles: Vec<_> =
            connected.troubles.iter().map(|(leg, problem)| (leg.clone(), problem.kind)).collect();
        assert_eq!(troubles, [(Leg::Profiles, ProblemKind::Credentials)]);

        secrets.push((name(SecretKind::ValdClientSecret), Some("a-secret".into())));
        home.store().link_practice(&settings, secrets).await.unwrap();
        assert_ne!(connections.signature(&settings).await.unwrap(), without);
        let connected = connections.connect(&settings).await.unwrap();
        assert!(connected.troubles.is_empty());
        assert!(connected.partners.iter().all(|partner| partner.profile_register().is_some()));
        assert_eq!(connected.partners.len(), 1);
    }

    #[tokio::test]
    async fn the_signature_differs_with_settings_secrets_and_profile_and_tells_none_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let connections = home.connections();
        let mut seen = std::collections::BTreeSet::new();
        let bare = connections.signature(&settings()).await.unwrap();
        assert_eq!(connections.signature(&settings()).await.unwrap(), bare);
        seen.insert(bare);

        home.store().link_practice(&settings(), keys("first-key")).await.unwrap();
        seen.insert(connections.signature(&settings()).await.unwrap());
        home.store().link_practice(&settings(), keys("second-key")).await.unwrap();
        let second = connections.signature(&settings()).await.unwrap();
        assert!(!second.contains("second-key"));
        seen.insert(second);
        let mut slower = settings();
        slower.system.poll_seconds = 6;
        seen.insert(connections.signature(&slower).await.unwrap());
        std::fs::create_dir_all(home.folder().profiles()).unwrap();
        std::fs::write(home.folder().profiles().join("demo.toml"), "name = \"demo\"").unwrap();
        seen.insert(connections.signature(&settings()).await.unwrap());
        assert_eq!(seen.len(), 5, "two of them are the same");
    }

    #[tokio::test]
    async fn one_engine_runs_on_a_folder_and_leaves_it_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let engine = home.start_engine(home.lock_engine().unwrap());
        let refused = home.lock_engine().unwrap_err();
        assert!(refused.to_string().contains("already running on this data folder"), "{refused}");
        let mut state = engine.state();
        engine.stop().await;
        while state.changed().await.is_ok() {}
        // The lock goes with a task that hears of the end a moment later.
        for _ in 0..1000 {
            if home.lock_engine().is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the folder stayed locked");
    }

    #[test]
    fn folders_are_named_in_full() {
        let folder = DataFolder::choose(Some("here".into())).unwrap();
        assert!(folder.path().is_absolute());
        assert!(folder.demo().path().starts_with(folder.path()));
        assert!(DataFolder::choose(None).is_ok_and(|folder| folder.path().ends_with(IDENTIFIER)));
    }
}
