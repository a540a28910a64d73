//! `field__method=value`: what a list is narrowed by (sheet §3). What is not known is ignored without a word.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::state::{SimState, Table, is_yes, last_number, time};

/// What a field is compared as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Time,
    Flag,
    Relation,
    /// The numbers of a client, which stand in a table of their own.
    Phone,
}

fn kind(table: Table, field: &str) -> Option<Kind> {
    Some(match (table, field) {
        (_, "id") => Kind::Number,
        (Table::Client, "firstname" | "lastname" | "organization_name" | "email") => Kind::Text,
        (Table::Client, "phone") => Kind::Phone,
        (Table::Client | Table::Patient, "archived") | (Table::Appointment, "active") => Kind::Flag,
        (Table::Client | Table::Patient | Table::PhoneNumber | Table::Appointment, "modified") => Kind::Time,
        (Table::Appointment | Table::Shift, "start" | "end") => Kind::Time,
        (Table::Patient | Table::PhoneNumber | Table::Appointment, "client") => Kind::Relation,
        (Table::Appointment | Table::Shift, "user" | "department") => Kind::Relation,
        _ => return None,
    })
}

/// The numbers of the rows that fit, in the order in which they are told, and what was ignored.
pub fn narrowed(state: &SimState, table: Table, query: &str) -> (Vec<u64>, Vec<String>) {
    let mut ids: Vec<u64> =
        state.tables.get(&table).into_iter().flat_map(|rows| rows.keys().copied()).collect();
    let mut ignored = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "page" || name == "page_size" {
            continue;
        }
        let told = state.conduct.ignored_filters.iter().any(|ignored| *ignored == name);
        let (field, method) = name.split_once("__").unwrap_or((&name, "is"));
        let Some(kind) = kind(table, field).filter(|_| !told) else {
            if !told {
                ignored.push(format!("the filter {name} is not known and was ignored"));
            }
            continue;
        };
        let fits: Vec<Option<bool>> =
            ids.iter().map(|id| compare(state, table, *id, (field, kind, method), &value)).collect();
        if fits.iter().any(Option::is_none) {
            ignored.push(format!("the filter {name} cannot be understood and was ignored"));
            continue;
        }
        let mut fits = fits.into_iter();
        ids.retain(|_| fits.next().flatten().unwrap_or_default());
    }
    if state.conduct.newest_first {
        ids.reverse();
    }
    (ids, ignored)
}

/// Whether a row fits; none where the filter cannot be understood.
fn compare(
    state: &SimState,
    table: Table,
    id: u64,
    (field, kind, method): (&str, Kind, &str),
    value: &str,
) -> Option<bool> {
    let cell = state.row(table, id)?.get(field);
    match kind {
        Kind::Number if method == "in" => Some(numbers(value)?.contains(&id)),
        Kind::Number => ordered(id, method, value.parse().ok()?),
        Kind::Time => ordered(time(cell)?, method, filter_time(value)?),
        Kind::Text => text(cell.and_then(Value::as_str).unwrap_or_default(), method, value),
        Kind::Flag => {
            let wanted = matches!(value, "true" | "True" | "1");
            matches!(method, "is" | "eq").then(|| is_yes(cell) == wanted)
        }
        Kind::Relation if method == "in" => {
            let wanted = numbers(value)?;
            Some(last_number(cell).is_some_and(|number| wanted.contains(&number)))
        }
        Kind::Relation => matches!(method, "is" | "eq").then(|| last_number(cell) == value.parse().ok()),
        Kind::Phone => {
            let theirs =
                state.rows(Table::PhoneNumber).filter(|row| last_number(row.get("client")) == Some(id));
            let numbers: Vec<&str> = theirs.filter_map(|row| row.get("phone_number")?.as_str()).collect();
            let fits: Vec<bool> =
                numbers.into_iter().map(|number| text(number, method, value)).collect::<Option<_>>()?;
            Some(fits.contains(&true))
        }
    }
}

/// `[a,b]`.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(|number| number.trim().parse().ok()).collect()
}

fn text(held: &str, method: &str, wanted: &str) -> Option<bool> {
    Some(match method {
        "is" | "eq" => held == wanted,
        "contains" => held.contains(wanted),
        "icontains" => held.to_lowercase().contains(&wanted.to_lowercase()),
        _ => return None,
    })
}

fn ordered<T: Ord>(held: T, method: &str, wanted: T) -> Option<bool> {
    Some(match method {
        "is" | "eq" => held == wanted,
        "lt" => held < wanted,
        "lte" => held <= wanted,
        "gt" => held > wanted,
        "gte" => held >= wanted,
        _ => return None,
    })
}

/// `YYYY-MM-DD hh:mm+00:00`, or ISO with `Z`. A `+` that was sent as it is has become a space by now.
fn filter_time(text: &str) -> Option<DateTime<Utc>> {
    let documented = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M%:z");
    documented.or_else(|_| DateTime::parse_from_rfc3339(text)).ok().map(|at| at.with_timezone(&Utc))
}
