//! Where the data of organisations lies, and how an organisation is found (contract sheet §1).

use domain::failure::ReadError;
use domain::ids::PracticeId;
use domain::private::SecretString;
use domain::profile::Tenant;
use domain::settings::ValdSettings;

use super::{SetupError, Vald};
use crate::http::Http;

/// Where the data of an organisation lies; nowhere else can it be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Australia East.
    Aue,
    /// US East.
    Use,
    /// Europe West.
    Euw,
}

/// The names of all regions, the likeliest first.
pub const NAMES: &[&str] = &["aue", "use", "euw"];

impl Region {
    /// All of them, the likeliest first.
    pub const ALL: [Region; 3] = [Region::Aue, Region::Use, Region::Euw];

    /// The name in settings, and in VALD's addresses.
    pub fn name(self) -> &'static str {
        match self {
            Region::Aue => "aue",
            Region::Use => "use",
            Region::Euw => "euw",
        }
    }

    /// The region of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// The base address for profiles, in whose host "profile" is one (contract sheet §9).
    pub fn profile_url(self) -> String {
        format!("https://prd-{}-api-externalprofile.valdperformance.com", self.name())
    }

    /// The base address for tenants and groups, in whose host "tenants" are many.
    pub fn tenants_url(self) -> String {
        format!("https://prd-{}-api-externaltenants.valdperformance.com", self.name())
    }
}

/// An organisation that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The account at which it was found.
    pub account: ValdSettings,
    /// The organisation.
    pub tenant: Tenant,
}

/// An organisation that the credentials may work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its region's name.
    pub region: String,
    /// Its id.
    pub id: String,
    /// The name that people know.
    pub name: String,
}

/// An organisation that no region listed of those that answered.
#[derive(Debug)]
pub struct NotFound {
    /// What the credentials may work with instead. A person may find the right one among them.
    pub listed: Vec<Listed>,
    /// The regions that gave no list, by name, and why. While there are any, the organisation may be there.
    pub silent: Vec<(String, ReadError)>,
}

/// Why it is not known where an organisation is.
#[derive(Debug, thiserror::Error)]
pub enum SearchFailed {
    /// An address or credentials that cannot be used as they are written.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The credentials are refused, so that no region says anything.
    #[error("our credentials were refused")]
    CredentialsRefused,
    /// No list has it.
    #[error("no region lists the organisation")]
    NotFound(NotFound),
}

/// Asks at each of `tried`, which are the same organisation in different regions, whether it is there, one after the
/// other: whoever finds it at the first needs to tell nobody else about the credentials.
///
/// # Errors
/// [`SearchFailed`] tells apart what a person can do about it.
pub async fn find_region(
    tried: &[ValdSettings],
    practice: &PracticeId,
    client_id: &SecretString,
    client_secret: &SecretString,
    http: &Http,
) -> Result<Found, SearchFailed> {
    let mut missing = NotFound { listed: Vec::new(), silent: Vec::new() };
    for settings in tried {
        let account = Vald::new(settings, practice.clone(), client_id, client_secret, http)?;
        let listed = match account.listed().await {
            Ok(listed) => listed,
            // These credentials have nothing to do with that region.
            Err(ReadError::NoConsent) => continue,
            Err(error) => {
                missing.silent.push((settings.region.clone(), error));
                continue;
            }
        };
        for (id, tenant) in listed {
            if account.is_ours(&id) {
                return Ok(Found { account: settings.clone(), tenant });
            }
            missing.listed.push(Listed { region: settings.region.clone(), id, name: tenant.name });
        }
    }
    let all_refuse = missing.silent.iter().all(|(_, error)| matches!(error, ReadError::NotAuthorised));
    if !tried.is_empty() && missing.silent.len() == tried.len() && all_refuse {
        return Err(SearchFailed::CredentialsRefused);
    }
    Err(SearchFailed::NotFound(missing))
}
