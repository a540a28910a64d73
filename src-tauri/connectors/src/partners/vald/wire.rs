//! The JSON as VALD has it (contract sheet §3, §4). Its description lets everything be null, so that nothing but an id is
//! relied upon.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// `ImportProfileRequest`. Cannot be printed, because it says who somebody is.
#[derive(Serialize)]
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
    #[serde(deserialize_with = "readable")]
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
    #[serde(deserialize_with = "readable")]
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
    #[serde(deserialize_with = "readable")]
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

/// What can be read of a list: one odd item does not hide the others. A list of which nothing can be read is not what
/// was asked for, and no proof that there is nothing.
fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(list: D) -> Result<Vec<T>, D::Error> {
    let items = Option::<Vec<Value>>::deserialize(list)?.unwrap_or_default();
    let is_empty = items.is_empty();
    let read: Vec<T> = items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect();
    if read.is_empty() && !is_empty {
        return Err(D::Error::custom("nothing in the list can be read"));
    }
    Ok(read)
}

/// `ProblemDetails`, with what is wrong by field.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problem {
    pub title: Option<String>,
    pub detail: Option<String>,
    pub errors: BTreeMap<String, Vec<String>>,
}

impl Problem {
    /// As much of it as can be read.
    pub fn read(body: &Value) -> Self {
        let text = |key| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let reasons = |value: &Value| {
            let several = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            several.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let errors = body.get("errors").and_then(Value::as_object);
        Self {
            title: text("title"),
            detail: text("detail"),
            errors: errors
                .into_iter()
                .flatten()
                .map(|(field, value)| (field.clone(), reasons(value)))
                .collect(),
        }
    }
}
