//! What the credentials may do: each part is tried, and what Provet says of itself is read beside it.

use std::collections::BTreeSet;

use domain::failure::ReadError;
use serde_json::Value;

use super::client::{Client, Resource, Spending};
use super::wire;

/// One part of normal work, and whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What is read, for people: `appointments`.
    pub what: &'static str,
    /// What the practice gains by it, in a clause that follows "so that".
    pub gains: &'static str,
    /// The right that opens it, as Provet calls it; none where none is needed.
    pub right: Option<&'static str>,
    /// Whether it can be read.
    pub readable: bool,
    /// Whether Provet lists the right as given; none where it does not say.
    pub listed: Option<bool>,
}

/// The checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Part by part, in the order in which people read them.
    pub parts: Vec<Part>,
}

impl Rights {
    /// The rights that are missing for writing bookings, in Provet's own names.
    pub fn missing_for_bookings(&self) -> Vec<String> {
        let missing = self.parts.iter().filter(|part| !part.readable || part.listed == Some(false));
        let names: BTreeSet<String> = missing.filter_map(|part| part.right).map(str::to_owned).collect();
        names.into_iter().collect()
    }
}

/// Tries each part.
pub(super) async fn look(client: &Client) -> Result<Rights, ReadError> {
    // What Provet says may be missing or of a shape that nobody described; then the trying alone counts.
    let named = match client.active_permissions().await {
        Ok(told) => named_in(&told),
        Err(ReadError::Invalid(_) | ReadError::NotFound | ReadError::Garbled(_)) => BTreeSet::new(),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::with_capacity(Resource::NEEDED.len());
    for what in Resource::NEEDED {
        let page: Result<wire::Page<Value>, ReadError> = client.page(what, &[], Spending::Urgent).await;
        let readable = match page {
            Ok(_) => true,
            Err(ReadError::Invalid(_) | ReadError::NotFound) => false,
            Err(error) => return Err(error),
        };
        let right = what.right();
        let listed = right.filter(|_| !named.is_empty()).map(|right| named.contains(&plain(right)));
        parts.push(Part { what: what.words(), gains: what.gains(), right, readable, listed });
    }
    Ok(Rights { parts })
}

/// Every text in the answer that could be a right's name. Its shape is not documented (sheet §10).
fn named_in(told: &Value) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut ahead = vec![told];
    while let Some(value) = ahead.pop() {
        match value {
            Value::String(text) => {
                named.insert(plain(text));
            }
            Value::Array(items) => ahead.extend(items),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if *value == Value::Bool(true) {
                        named.insert(plain(name));
                    }
                    ahead.push(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    // A list in which none of the names occurs is in other words than these.
    let known =
        Resource::NEEDED.into_iter().filter_map(Resource::right).any(|right| named.contains(&plain(right)));
    if known { named } else { BTreeSet::new() }
}

/// A right's name without what may be written in more than one way.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rights_are_found_in_whatever_shape_they_are_told() {
        let expected = plain("Calendar: Appointments");
        for told in [
            json!(["Calendar: Appointments"]),
            json!({"permissions": [{"id": 3, "name": "calendar: appointments"}]}),
            json!({"Calendar: Appointments": true, "Calendar: Shifts": false}),
        ] {
            let named = named_in(&told);
            assert!(named.contains(&expected), "{told}");
            assert!(!named.contains(&plain("Calendar: Shifts")), "{told}");
        }
        assert!(named_in(&json!({"something": "else"})).is_empty());
        assert!(named_in(&json!(null)).is_empty());
    }
}
