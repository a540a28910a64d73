//! Which of Hint's environments an address and a token belong to (contract sheet §1): the token decides whose data it
//! opens, so that one of the wrong environment would work on the wrong patients without a word.

use domain::private::{ExposeSecret, SecretString};
use url::Url;

/// What tokens of the sandbox begin with.
const SANDBOX_KEY: &str = "sbx-";

/// Real patients, or made-up ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Real ones.
    Live,
    /// Made-up ones.
    Sandbox,
}

/// A token of another environment than the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// A sandbox token at the live address.
    #[error(
        "Access token: it begins with sbx-, so it is one of Hint's sandbox and opens made-up patients: enter the practice's own token, \
         or the address https://api.sandbox.hint.com/api"
    )]
    SandboxKeyInLive,
    /// A live token at the sandbox's address.
    #[error(
        "Access token: the address is that of Hint's sandbox, but the token does not begin with sbx-, so it opens real patients: \
         enter a token of the sandbox, or the address https://api.hint.com/api"
    )]
    LiveKeyInSandbox,
}

impl Environment {
    /// That of an address; none where it is none of Hint's own.
    pub fn of_address(base_url: &str) -> Option<Self> {
        let url = Url::parse(base_url.trim()).ok()?;
        match url.host_str()? {
            "api.hint.com" => Some(Self::Live),
            "api.sandbox.hint.com" | "api.staging.hint.com" => Some(Self::Sandbox),
            _ => None,
        }
    }

    /// That of a token.
    pub fn of_key(token: &SecretString) -> Self {
        if token.expose_secret().trim().starts_with(SANDBOX_KEY) { Self::Sandbox } else { Self::Live }
    }
}

/// Refuses a token of another environment than the address.
///
/// # Errors
/// [`WrongKey`] says which of the two is which.
pub fn check(base_url: &str, token: &SecretString) -> Result<(), WrongKey> {
    match (Environment::of_address(base_url), Environment::of_key(token)) {
        (Some(Environment::Live), Environment::Sandbox) => Err(WrongKey::SandboxKeyInLive),
        (Some(Environment::Sandbox), Environment::Live) => Err(WrongKey::LiveKeyInSandbox),
        (Some(Environment::Live) | None, Environment::Live)
        | (Some(Environment::Sandbox) | None, Environment::Sandbox) => Ok(()),
    }
}
