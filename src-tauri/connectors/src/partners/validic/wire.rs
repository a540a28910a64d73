//! The JSON as it is (contract sheet §3, §4, §5, §9). What holds a patient's secret cannot be printed.

use serde::{Deserialize, Serialize};

/// A user to be made.
#[derive(Serialize)]
pub struct NewUser<'a> {
    pub uid: &'a str,
    pub location: Location<'a>,
}

/// Where a user is. Sent explicitly, or Validic fills New York in (§11).
#[derive(Serialize)]
pub struct Location<'a> {
    pub timezone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<&'static str>,
}

/// A user, as far as we need one.
#[derive(Deserialize)]
pub struct User {
    pub id: String,
    pub uid: Option<String>,
    pub marketplace: Option<Marketplace>,
    pub sources: Option<Vec<Source>>,
}

/// The page of one patient. Its address is a secret.
#[derive(Deserialize)]
pub struct Marketplace {
    pub url: String,
}

/// The answer to a new token.
#[derive(Deserialize)]
pub struct Renewed {
    pub marketplace: Marketplace,
}

/// A kind of device.
#[derive(Deserialize)]
pub struct Source {
    #[serde(rename = "type")]
    pub kind: String,
}

/// A page of connections.
#[derive(Deserialize)]
pub struct Connections {
    pub connections: Vec<Connection>,
    pub meta: Option<Meta>,
}

/// Which page it is, counted from zero, and how many entries there are on all pages.
#[derive(Clone, Copy, Deserialize)]
pub struct Meta {
    pub page: u64,
    pub total: u64,
}

/// Something was connected or disconnected.
#[derive(Deserialize)]
pub struct Connection {
    pub action: String,
    pub source: Source,
    pub user: Whose,
    pub event_time: Option<String>,
    pub created_at: Option<String>,
}

/// Whose it was.
#[derive(Deserialize)]
pub struct Whose {
    pub uid: String,
}

/// A user to be made, in the form of 2015.
#[derive(Serialize)]
pub struct LegacyNewUser<'a> {
    pub user: LegacyUid<'a>,
    pub access_token: &'a str,
}

/// The name of a user, in the form of 2015.
#[derive(Serialize)]
pub struct LegacyUid<'a> {
    pub uid: &'a str,
}

/// What stands in the body of a removal, in the form of 2015.
#[derive(Serialize)]
pub struct LegacyToken<'a> {
    pub access_token: &'a str,
}

/// The answer to a new user, in the form of 2015.
#[derive(Deserialize)]
pub struct LegacyMade {
    pub user: LegacyUser,
}

/// A user, in the form of 2015.
#[derive(Deserialize)]
pub struct LegacyUser {
    #[serde(rename = "_id")]
    pub id: String,
    pub access_token: String,
}

/// The answer to a new token, in the form of 2015, which names it otherwise than before (§9, §11).
#[derive(Deserialize)]
pub struct LegacyRenewed {
    pub user: LegacyRenewedUser,
}

/// The user in it.
#[derive(Deserialize)]
pub struct LegacyRenewedUser {
    pub authentication_token: String,
}

/// A page of users, in the form of 2015.
#[derive(Deserialize)]
pub struct LegacyUsers {
    pub users: Vec<LegacyListed>,
}

/// A user in a list, in the form of 2015. Not every organisation's list says the name.
#[derive(Deserialize)]
pub struct LegacyListed {
    #[serde(rename = "_id")]
    pub id: String,
    pub uid: Option<String>,
}
