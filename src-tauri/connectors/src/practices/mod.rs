//! Practice systems: one line per shipped profile, and how one is opened.

pub mod demo;
pub mod folders;
pub mod openemr;
pub mod provet;
pub mod sql;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::private::SecretString;
use domain::settings::{DocumentApi, SystemSettings};
use domain::time::PracticeZone;

use crate::http::Http;
use crate::http::sign_in::SignInBook;
use provet::{Provet, Setup, SetupError};
use sql::profile::{Profile, ProfileError};
use sql::{DocumentApiError, LinkError, SqlPractice};

/// The profiles that come with the program, by name.
pub const SHIPPED: &[(&str, &str)] = &[
    ("demo", include_str!("sql/profiles/demo/profile.toml")),
    ("openemr", include_str!("sql/profiles/openemr/profile.toml")),
];

/// Why a practice system cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither shipped nor in the data folder.
    #[error(
        "there is no profile `{name}`: choose one of {shipped}, or put `profiles/{name}.toml` into the data folder"
    )]
    UnknownProfile {
        /// The name in the settings.
        name: String,
        /// The names that come with the program.
        shipped: String,
    },
    /// The clinic's own profile cannot be read from disk.
    #[error("the profile `{name}` cannot be read")]
    UnreadableProfile {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A profile has a mistake.
    #[error("the profile `{name}` has a mistake")]
    BadProfile {
        /// Its name.
        name: String,
        /// Where and what.
        #[source]
        mistake: ProfileError,
    },
    /// The settings do not fit the profile.
    #[error("the practice database cannot be linked")]
    Link(#[from] LinkError),
    /// The settings do not fit Provet Cloud.
    #[error("Provet Cloud cannot be linked")]
    Provet(#[from] SetupError),
}

/// Finds a profile: the clinic's own in `profiles_dir`, or else the shipped one of that name. A clinic changes a
/// shipped profile, say by a status code of its own, by putting a copy there.
pub fn profile(name: &str, profiles_dir: &Path) -> Result<Profile, OpenError> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let own = if is_name(name) {
        std::fs::read_to_string(profiles_dir.join(format!("{name}.toml")))
    } else {
        Err(std::io::ErrorKind::NotFound.into())
    };
    let bad = |mistake| OpenError::BadProfile { name: name.to_owned(), mistake };
    let text = match own {
        Ok(text) => return sql::profile::parse_own(&text, &format!("profiles/{name}.toml")).map_err(bad),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
            let Some((_, text)) = shipped else {
                let names = SHIPPED.iter().map(|(name, _)| *name).chain([provet::NAME]);
                let shipped: Vec<String> = names.map(|name| format!("`{name}`")).collect();
                return Err(OpenError::UnknownProfile { name: name.to_owned(), shipped: shipped.join(", ") });
            };
            *text
        }
        Err(cause) => return Err(OpenError::UnreadableProfile { name: name.to_owned(), cause }),
    };
    sql::profile::parse(text).map_err(bad)
}

/// A short text that differs when a profile of the clinic's own came, went or was changed. Cheap enough for every
/// second: no file is opened.
pub fn own_profiles_stamp(profiles_dir: &Path) -> String {
    // A folder that is not there holds no profiles.
    let files = std::fs::read_dir(profiles_dir).into_iter().flatten().flatten();
    let mut seen: Vec<String> = files
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some(format!("{:?} {} {:?}", entry.file_name(), about.len(), about.modified().ok()))
        })
        .collect();
    seen.sort();
    seen.join("\n")
}

/// The text of the clinic's own profile of that name, for telling whether it changed; empty where there is none.
pub fn own_profile_text(name: &str, profiles_dir: &Path) -> Vec<u8> {
    std::fs::read(profiles_dir.join(format!("{name}.toml"))).unwrap_or_default()
}

/// A practice system that was opened.
pub enum Opened {
    /// One that is reached by SQL.
    Sql(Box<SqlPractice>),
    /// Provet Cloud, over REST.
    Provet(Box<Provet>),
}

impl Opened {
    /// As everybody uses it who does not care how it is reached.
    pub fn system(self) -> Arc<dyn PracticeSystem> {
        match self {
            Self::Sql(practice) => Arc::from(practice as Box<dyn PracticeSystem>),
            Self::Provet(practice) => Arc::from(practice as Box<dyn PracticeSystem>),
        }
    }

    /// Files documents through the system's own API.
    ///
    /// # Errors
    /// [`DocumentApiError`] says what is wrong with the settings.
    pub fn with_document_api(
        self,
        api: &DocumentApi,
        client_secret: Option<&SecretString>,
        password: Option<&SecretString>,
        http: &Http,
    ) -> Result<Self, DocumentApiError> {
        match self {
            Self::Sql(practice) => {
                let practice = practice.with_document_api(api, client_secret, password, http)?;
                Ok(Self::Sql(Box::new(practice)))
            }
            Self::Provet(_) => Err(DocumentApiError::NotOffered(provet::NAME.to_owned())),
        }
    }

    /// The same where it is only looked at.
    pub fn as_system(&self) -> &dyn PracticeSystem {
        match self {
            Self::Sql(practice) => practice.as_ref(),
            Self::Provet(practice) => practice.as_ref(),
        }
    }
}

/// Opens the practice system that the settings name. Connects to nothing yet. `secret` is the password of the database,
/// or the client secret of a system that is reached over REST, and `sign_in` keeps a person's sign-in there.
pub fn open(
    settings: &SystemSettings,
    secret: Option<SecretString>,
    sign_in: Option<&Arc<dyn SignInBook>>,
    zone: PracticeZone,
    profiles_dir: &Path,
    http: &Http,
    clock: Arc<dyn Clock>,
) -> Result<Opened, OpenError> {
    if settings.profile == provet::NAME {
        let setup = Setup {
            host: &settings.url,
            account: settings.provet.as_ref().ok_or(SetupError::NoAccount)?,
            client_secret: secret.as_ref(),
            sign_in,
            zone,
            write: settings.write,
            locations: settings.locations.clone(),
        };
        return Ok(Opened::Provet(Box::new(Provet::link(&setup, http, clock)?)));
    }
    let profile = profile(&settings.profile, profiles_dir)?;
    let locations = settings.locations.clone();
    let practice = SqlPractice::link(profile, &settings.url, secret, zone, settings.write, locations, clock)?;
    Ok(Opened::Sql(Box::new(practice.with_document_folders(&settings.documents))))
}

/// A profile that can be chosen, or the mistake in it.
pub struct Listed {
    /// The name that settings use.
    pub name: String,
    /// Whether it lies in the data folder.
    pub own: bool,
    /// The profile.
    pub profile: Result<Profile, OpenError>,
}

/// Every profile that can be chosen: the shipped ones, and the clinic's own, by name.
pub fn list(profiles_dir: &Path) -> Vec<Listed> {
    let mut names: BTreeMap<String, bool> =
        SHIPPED.iter().map(|(name, _)| ((*name).to_owned(), false)).collect();
    // A folder that is not there holds no profiles.
    for entry in std::fs::read_dir(profiles_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            names.insert(name.to_owned(), true);
        }
    }
    names.into_iter().map(|(name, own)| Listed { profile: profile(&name, profiles_dir), name, own }).collect()
}
