//! Lists: bare arrays, their counts in headers, ten at a time unless more is asked for (contract sheet §3).

use axum::http::HeaderName;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::http::{Outcome, Refused};
use super::state::{SimState, text};
use super::{Kind, Spans};

const DEFAULT_LIMIT: usize = 10;
const LARGEST_LIMIT: usize = 100;

/// Fields that a list of patients is narrowed by, exactly and whatever the capitals.
const FILTERS: [&str; 4] = ["first_name", "last_name", "email", "dob"];

/// Answers a list.
pub fn list(state: &mut SimState, kind: Kind, query: &str) -> Result<Outcome, Refused> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let (mut limit, mut offset, mut sort, mut archived) = (DEFAULT_LIMIT, 0, None, "no".to_owned());
    let mut rows: Vec<Value> = state.records(kind).cloned().collect();
    let mut remarks = Vec::new();
    for (name, value) in pairs {
        let number = || value.parse::<usize>().map_err(|_| bad(&name));
        match name.as_str() {
            "limit" => limit = number()?.min(LARGEST_LIMIT),
            "offset" => offset = number()?,
            "sort"
                if ["updated_at", "-updated_at", "created_at", "-created_at"].contains(&value.as_str()) =>
            {
                sort = Some(value);
            }
            "sort" => return Err(bad("sort")),
            "filter" if kind == Kind::Patient => match value.as_str() {
                "archived" | "all" => archived = value,
                _ => return Err(bad("filter")),
            },
            "updated_at" | "updated_at[gte]" if state.conduct.spans == Spans::Refused => {
                return Err(bad(&name));
            }
            "updated_at[gte]" if state.conduct.spans == Spans::Brackets => {
                let since = instant(&value).ok_or_else(|| bad(&name))?;
                rows.retain(|row| changed_at(row) >= Some(since));
            }
            "updated_at" if state.conduct.spans == Spans::Json => {
                let span: Value = serde_json::from_str(&value).map_err(|_| bad(&name))?;
                let since = instant(text(&span, "gte")).ok_or_else(|| bad(&name))?;
                rows.retain(|row| changed_at(row) >= Some(since));
            }
            // The other spelling, or a practice whose lists cannot be narrowed: ignored without a word.
            "updated_at" | "updated_at[gte]" => {}
            field if kind == Kind::Patient && FILTERS.contains(&field) => {
                rows.retain(|row| text(row, field).eq_ignore_ascii_case(&value));
            }
            _ => remarks.push(format!("the query's {name} is not a parameter, and is ignored")),
        }
    }
    rows.retain(|row| {
        let away = text(row, "membership_status") == "archived"
            || row.get("merged_into").is_some_and(Value::is_object);
        match archived.as_str() {
            "all" => true,
            "archived" => away,
            _ => !away,
        }
    });
    match sort.filter(|_| state.conduct.sorts) {
        Some(sort) => {
            let field = sort.trim_start_matches('-').to_owned();
            rows.sort_by_key(|row| instant(text(row, &field)));
            if sort.starts_with('-') {
                rows.reverse();
            }
        }
        // Pages of a list without an order do not fit together (contract sheet §3).
        None => {
            let turn = usize::try_from(state.next_exchange()).unwrap_or_default();
            let by = if rows.is_empty() { 0 } else { turn * 7 % rows.len() };
            rows.rotate_left(by);
        }
    }
    let total = rows.len();
    let page: Vec<Value> = rows.into_iter().skip(offset).take(limit).collect();
    let count = page.len();
    let mut outcome = Outcome::json(Value::Array(page));
    if state.conduct.counts {
        outcome.headers.push((HeaderName::from_static("x-count"), count.to_string()));
        outcome.headers.push((HeaderName::from_static("x-total-count"), total.to_string()));
    }
    outcome.remarks = remarks;
    Ok(outcome)
}

fn bad(parameter: &str) -> Refused {
    Refused::new(400, "Bad Request", format!("{parameter} has a value that it cannot have"))
}

fn changed_at(row: &Value) -> Option<DateTime<Utc>> {
    instant(text(row, "updated_at"))
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}
