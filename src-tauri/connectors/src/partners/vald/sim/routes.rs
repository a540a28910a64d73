//! The two APIs, from a request that has passed the door to its answer (contract sheet §3, §4).

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::rules::Refused;
use super::state::SimState;
use super::{Region, import, profiles, tenants};

/// A request that came with a good token.
pub struct Operation<'r> {
    /// The number of its exchange.
    pub number: u64,
    pub at: DateTime<Utc>,
    pub region: Region,
    pub client_id: &'r str,
    pub method: &'r str,
    pub path: &'r str,
    /// As it was sent.
    pub query: &'r str,
    pub body: Option<&'r Value>,
}

/// What is answered.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Absent: an empty body.
    pub body: Option<Value>,
    /// What was taken although somebody will regret it.
    pub remarks: Vec<String>,
}

impl Answer {
    pub fn done() -> Self {
        Self { status: 204, body: None, remarks: Vec::new() }
    }

    pub fn json(body: Value) -> Self {
        Self { status: 200, body: Some(body), remarks: Vec::new() }
    }

    /// A list under its name, or 204 when it is empty.
    pub fn list(name: &str, items: Vec<Value>) -> Self {
        if items.is_empty() {
            return Self::done();
        }
        Self::json(Value::Object([(name.to_owned(), Value::Array(items))].into_iter().collect()))
    }

    pub fn with(mut self, remarks: Vec<String>) -> Self {
        self.remarks.extend(remarks);
        self
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').collect()
}

/// Carries a request to the profiles API out.
pub fn of_profiles(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    match (operation.method, parts(operation.path).as_slice()) {
        ("GET", ["version"]) => Ok(Answer::json(serde_json::json!({"version": "v1"}))),
        ("GET", ["liveness"]) => Ok(Answer::done()),
        ("GET", ["readiness"]) if state.conduct.ready => Ok(Answer::done()),
        ("GET", ["readiness"]) => Ok(Answer { status: 503, ..Answer::default() }),
        ("POST", ["profiles", "import"]) => import::import(state, operation),
        ("GET", ["profiles", "exists"]) => profiles::exists(state, operation),
        ("GET", ["profiles"]) => profiles::list(state, operation),
        ("DELETE", ["profiles", "syncids"]) => profiles::forget_sync_ids(state, operation),
        ("POST" | "PUT" | "DELETE", ["profiles", "groups"]) => profiles::set_groups(state, operation),
        ("POST", ["profiles", "merge"]) => profiles::merge(state, operation),
        ("GET", ["profiles", id]) if !KNOWN_WORDS.contains(id) => profiles::by_id(state, operation, id),
        (_, ["version" | "liveness" | "readiness"] | ["profiles"] | ["profiles", _]) => Err(wrong_method()),
        _ => Err(nothing_here()),
    }
}

/// Parts of paths that are no ids.
const KNOWN_WORDS: [&str; 6] = ["import", "exists", "syncids", "groups", "merge", "profiles"];

/// Carries a request to the tenants API out.
pub fn of_tenants(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    match (operation.method, parts(operation.path).as_slice()) {
        ("GET", ["tenants"]) => Ok(tenants::list(state, operation)),
        ("GET", ["tenants", id]) => tenants::by_id(state, operation, id),
        ("DELETE", ["tenants", id, "syncids"]) => tenants::forget_sync_ids(state, operation, id),
        ("GET", ["categories"]) => tenants::categories(state, operation),
        ("POST", ["categories", "import"]) => tenants::import_category(state, operation),
        ("GET", ["categories", id]) if !KNOWN_WORDS.contains(id) => tenants::category(state, operation, id),
        ("GET", ["groups"]) => tenants::groups(state, operation),
        ("POST", ["groups", "import"]) => tenants::import_group(state, operation),
        ("PUT" | "DELETE", ["groups", "profiles"]) => tenants::set_members(state, operation),
        ("GET", ["groups", id]) if !KNOWN_WORDS.contains(id) => tenants::group(state, operation, id),
        ("DELETE", ["groups", id]) if !KNOWN_WORDS.contains(id) => {
            tenants::remove_group(state, operation, id)
        }
        (_, ["tenants" | "categories" | "groups"] | ["tenants" | "categories" | "groups", _])
        | (_, ["tenants", _, "syncids"]) => Err(wrong_method()),
        _ => Err(nothing_here()),
    }
}

fn wrong_method() -> Refused {
    Refused::unexplained(405, "there is something here, but not for this method")
}

fn nothing_here() -> Refused {
    Refused::unexplained(404, "there is nothing here")
}
