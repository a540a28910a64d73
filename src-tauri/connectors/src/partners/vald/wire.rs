//! The JSON as VALD has it (contract sheet §3, §4). Whatever a list leaves out or adds does not stop it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `ImportProfileRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    pub tenant_id: String,
    pub sync_id: String,
    pub given_name: String,
    pub family_name: String,
    pub date_of_birth: String,
    pub sex: &'static str,
    pub email: Option<String>,
    pub external_id: Option<String>,
    pub is_created_by_user_over18_years_old: bool,
    pub is_guardian_consent_given: Option<bool>,
    pub is_photo_video_consent_given: bool,
}

#[derive(Debug, Deserialize)]
pub struct Profiles {
    #[serde(default)]
    pub profiles: Vec<Profile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    pub profile_id: String,
    #[serde(default)]
    pub sync_id: Option<String>,
    #[serde(default)]
    pub modified_date_utc: Option<String>,
    #[serde(default)]
    pub being_merged_with_profile_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Tenants {
    #[serde(default)]
    pub tenants: Vec<Tenant>,
}

#[derive(Debug, Deserialize)]
pub struct Tenant {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Groups {
    #[serde(default)]
    pub groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
pub struct Group {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupMembership<'a> {
    pub tenant_id: &'a str,
    pub profile_id: &'a str,
    pub group_ids: Vec<&'a str>,
}

/// ProblemDetails, with what is wrong by field.
#[derive(Debug, Default, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub errors: BTreeMap<String, Vec<String>>,
}
