//! Wire ↔ domain, and the words of a refusal, in whichever of five shapes it comes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::failure::ReadError;
use domain::ids::{ForeignProfileId, SyncId};
use domain::ports::enrolment::{DeviceChange, DevicePage, Enrolled};
use serde_json::Value;
use url::Url;

use super::wire;
use crate::http::{is_loopback, short_reason};

/// 130 bits, which nobody guesses and no two patients share.
pub const NAME_BYTES: usize = 26;

/// Letters and digits that nobody takes for one another.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A name from random bytes: letters and digits, with one hyphen (contract sheet §3, §10). Nothing about a patient goes
/// into it.
pub fn name(random: [u8; NAME_BYTES]) -> SyncId {
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('a', char::from);
    SyncId::new(format!("vc-{}", random.iter().map(letter).collect::<String>()))
}

/// The country of a time zone, where it is one that we know; it is sent with the zone, so that no other is filled in.
pub fn country(zone: &str) -> Option<&'static str> {
    match zone {
        zone if zone.starts_with("Australia/") => Some("AU"),
        "Pacific/Auckland" | "Pacific/Chatham" => Some("NZ"),
        _ => None,
    }
}

/// The page of a patient.
///
/// # Errors
/// [`ReadError::Garbled`] where the answer leads a patient somewhere that is not encrypted.
pub fn page(address: &str) -> Result<DevicePage, ReadError> {
    let url = Url::parse(address).map_err(|_| garbled("the address of a patient's page is none"))?;
    let encrypted = url.scheme() == "https"
        || url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host));
    if !encrypted {
        return Err(garbled("the address of a patient's page is not encrypted"));
    }
    // Exactly as it came (contract sheet §5).
    Ok(DevicePage(address.to_owned().into()))
}

/// Somebody who is registered.
///
/// # Errors
/// [`ReadError::Garbled`] where the answer is about somebody else, or its page cannot be shown.
pub fn enrolled(user: wire::User, name: &SyncId) -> Result<Enrolled, ReadError> {
    if user.uid.is_some_and(|uid| uid != name.as_str()) {
        return Err(garbled("the answer is about another name"));
    }
    let page = user.marketplace.map(|marketplace| page(&marketplace.url)).transpose()?;
    let devices =
        user.sources.map(|sources| sources.into_iter().map(|source| device(&source.kind)).collect());
    Ok(Enrolled { id: ForeignProfileId::new(user.id), page, devices })
}

/// Kinds of devices that were renamed over time (contract sheet §11), and the word of today.
const RENAMED: [(&str, &str); 2] = [("nokia", "withings"), ("under_armour", "mapmyfitness")];

/// A kind of device, in one word.
pub fn device(kind: &str) -> String {
    let kind: String = kind.trim().chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
    RENAMED.iter().find(|(former, _)| *former == kind).map_or(kind, |(_, now)| (*now).to_owned())
}

/// What was connected and disconnected. What cannot be read is left out: it may be about anybody's.
pub fn changes(connections: Vec<wire::Connection>) -> Vec<DeviceChange> {
    connections.into_iter().filter_map(change).collect()
}

fn change(connection: wire::Connection) -> Option<DeviceChange> {
    let at = connection.event_time.or(connection.created_at)?;
    let connected = match connection.action.as_str() {
        "create" => true,
        "delete" => false,
        _ => return None,
    };
    Some(DeviceChange {
        name: SyncId::new(connection.user.uid),
        device: device(&connection.source.kind),
        connected,
        at: DateTime::parse_from_rfc3339(&at).ok()?.with_timezone(&Utc),
    })
}

fn garbled(why: &'static str) -> ReadError {
    ReadError::Garbled(why.into())
}

/// What a refusal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its words, without anything that could be an id or a token; empty where it says nothing.
    pub words: String,
    /// The fields that it is about.
    pub fields: BTreeSet<String>,
}

/// Reads `{errors: [..]}`, `{errors: {field: [..]}}`, `{status, error}`, `{message}` or plain text (contract sheet §7),
/// whatever the media type says.
pub fn said(body: &[u8]) -> Said {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let text = std::str::from_utf8(body).unwrap_or_default();
        // A page for people, as a gateway sends one, says nothing that helps.
        let words = if text.trim_start().starts_with('<') { "" } else { text };
        return Said { words: cleaned(words), fields: BTreeSet::new() };
    };
    let mut found = Vec::new();
    let mut fields = BTreeSet::new();
    for key in ["errors", "error", "message"] {
        match json.get(key) {
            Some(Value::Object(by_field)) => {
                fields.extend(by_field.keys().cloned());
                found.extend(
                    by_field.iter().map(|(field, said)| format!("{field} {}", texts(said).join(", "))),
                );
            }
            Some(said) => found.extend(texts(said)),
            None => {}
        }
    }
    if let Value::String(text) = &json {
        found.push(text.clone());
    }
    Said { words: cleaned(&found.join("; ")), fields }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Longer words than this are ids or tokens, and may be somebody's.
const LONGEST_WORD: usize = 20;

fn cleaned(text: &str) -> String {
    let is_of_word = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=' | '.' | '%' | '/' | ':' | '&' | '?')
    };
    let words = text.split_whitespace().map(|word| {
        let longest = word.split(|c| !is_of_word(c)).map(str::len).max().unwrap_or_default();
        if longest > LONGEST_WORD { "…" } else { word }
    });
    short_reason(&words.collect::<Vec<_>>().join(" "))
}
