//! The calls, in both forms.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::http::{Answer, Arrival, Refused};
use super::state::{SimConnection, SimState, SimUser};

/// Days that one question about connections may span (contract sheet §4).
const LONGEST_SPAN: i64 = 30;

/// A call of Inform v2 (contract sheet §3, §4).
pub fn inform(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    let pieces = arrival.pieces();
    let Some((["organizations", _], rest)) = pieces.split_at_checked(2) else { return no_such_call() };
    match (arrival.method.as_str(), rest) {
        ("POST", ["users"]) => make(state, arrival, now),
        ("GET", ["users"]) => list(state, arrival),
        ("GET", ["users", uid]) => match state.users.get(*uid) {
            Some(user) => Answer::Json(200, whole(state, user)),
            // The service's own id in this place is answered like a stranger's name (contract sheet §3).
            None => Refused::because(404, "not found"),
        },
        ("PUT", ["users", uid]) => relocate(state, arrival, uid, now),
        ("DELETE", ["users", uid]) => match state.remove(uid, now) {
            Some(user) => {
                let mut body = whole(state, &user);
                if let Some(body) = body.as_object_mut() {
                    body.insert("deleted_at".to_owned(), json!(instant(now)));
                }
                Answer::Json(200, body)
            }
            None => Refused::because(404, "not found"),
        },
        ("POST", ["users", uid, "marketplace"]) => {
            let address = state.address.clone();
            match state.renew(uid, now) {
                Some(user) => Answer::Json(201, json!({ "marketplace": marketplace(&address, user) })),
                None => Refused::because(404, "not found"),
            }
        }
        ("GET", ["users", uid, "apps"]) => match state.users.get(*uid) {
            Some(user) if !user.sources.is_empty() => Answer::Json(200, json!({ "apps": sources(user) })),
            Some(_) | None => Refused::because(404, "not found"),
        },
        ("GET", ["connections"]) => connections(state, arrival, now),
        _ => no_such_call(),
    }
}

fn no_such_call() -> Answer {
    Refused::because(404, "not found")
}

/// A name is longer than 3 and shorter than 255 letters, digits and single hyphens, none of them at an end (§3).
fn is_name(uid: &str) -> bool {
    let fits = uid.len() > 3 && uid.len() < 255;
    let letters = uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits && letters && !uid.starts_with('-') && !uid.ends_with('-') && !uid.contains("--")
}

fn make(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    if !arrival.headers.to_ascii_lowercase().contains("content-type: application/json") {
        return Refused::because(400, "Content-Type must be application/json");
    }
    let Some(body) = arrival.json() else {
        return Refused::because(400, "There was an error with your request");
    };
    let Some(uid) = body.get("uid").and_then(Value::as_str) else {
        return Refused::about("uid", 422, "can't be blank");
    };
    if !is_name(uid) {
        return Refused::about("uid", 422, "is invalid");
    }
    let place = |key| body.get("location").and_then(|location| location.get(key)).and_then(Value::as_str);
    let address = state.address.clone();
    let tells_page = state.conduct.tells_page;
    let taken = state.conduct.name_taken;
    match state.make(uid, (place("timezone"), place("country_code")), now) {
        Some(user) => Answer::Json(201, user_json(user, tells_page.then_some(address.as_str()))),
        None => Refused::about("uid", taken, "already exists"),
    }
}

fn relocate(state: &mut SimState, arrival: &Arrival, uid: &str, now: DateTime<Utc>) -> Answer {
    let Some(body) = arrival.json() else {
        return Refused::because(400, "There was an error with your request");
    };
    let Some(user) = state.users.get_mut(uid) else { return Refused::because(404, "not found") };
    let place = |key| body.get("location").and_then(|location| location.get(key)).and_then(Value::as_str);
    if let Some(timezone) = place("timezone") {
        user.timezone = timezone.to_owned();
    }
    user.country_code = place("country_code").map(str::to_owned).or_else(|| user.country_code.clone());
    user.updated_at = now;
    let user = user.clone();
    Answer::Json(200, whole(state, &user))
}

/// Users without what they connected. `offset` is the number of a page, not of a user (contract sheet §3).
fn list(state: &SimState, arrival: &Arrival) -> Answer {
    let number =
        |name, default: usize| arrival.parameter(name).map_or(Some(default), |text| text.parse().ok());
    let (Some(limit), Some(offset)) = (number("limit", 100), number("offset", 0)) else {
        return Refused::because(400, "There was an error with your request");
    };
    let limit = limit.clamp(1, 1000);
    let wanted = arrival.parameter("q[]").and_then(|q| q.strip_prefix("uid=").map(str::to_owned));
    let all: Vec<&SimUser> =
        state.users.values().filter(|user| wanted.as_ref().is_none_or(|uid| user.uid == *uid)).collect();
    let page = all.iter().skip(offset.saturating_mul(limit)).take(limit);
    let data: Vec<Value> = page
        .map(|user| {
            let mut user = user_json(user, None);
            if let Some(user) = user.as_object_mut() {
                user.remove("sources");
            }
            user
        })
        .collect();
    let meta = json!({ "offset": offset, "limit": limit, "total": all.len(), "sort": [] });
    Answer::Json(200, json!({ "data": data, "meta": meta }))
}

fn connections(state: &SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    let day = |name| match arrival.parameter(name) {
        None => Some(now.date_naive()),
        Some(text) => text.parse::<NaiveDate>().ok(),
    };
    let (Some(first), Some(last)) = (day("start_date"), day("end_date")) else {
        return Refused::because(400, "Invalid date");
    };
    if first > last || (last - first).num_days() >= LONGEST_SPAN {
        return Refused::because(400, "Date range must not exceed 30 days");
    }
    let within = |connection: &&SimConnection| (first..=last).contains(&connection.at.date_naive());
    let all: Vec<&SimConnection> = state.connections.iter().filter(within).collect();
    let number = |name| arrival.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let limit = number("limit").unwrap_or(state.conduct.page_size).clamp(1, state.conduct.page_size);
    let page = if state.conduct.pages { number("page").unwrap_or(0) } else { 0 };
    let shown: Vec<Value> = all
        .iter()
        .skip(page.saturating_mul(limit))
        .take(limit)
        .map(|one| connection_json(state, one))
        .collect();
    let meta = json!({ "limit": limit, "page": page, "total": all.len() });
    Answer::Json(200, json!({ "connections": shown, "meta": meta }))
}

fn connection_json(state: &SimState, connection: &SimConnection) -> Value {
    let SimConnection { id, connected, kind, user_id, uid, at } = connection;
    let deleted_at = (!connected).then(|| instant(*at));
    json!({
        "action": if *connected { "create" } else { "delete" },
        "id": format!("c-{id}"),
        "source": { "type": kind },
        "user": { "user_id": user_id, "uid": uid, "organization_id": state.organization_id },
        "created_at": instant(*at),
        "event_time": instant(*at),
        "deleted_at": deleted_at,
        "deleted_reason": deleted_at.as_ref().map(|_| "User manually disconnected"),
    })
}

fn whole(state: &SimState, user: &SimUser) -> Value {
    user_json(user, state.conduct.tells_page.then_some(state.address.as_str()))
}

/// A user; with where it listens, the page too.
fn user_json(user: &SimUser, address: Option<&str>) -> Value {
    let mut body = json!({
        "id": user.id,
        "uid": user.uid,
        "mobile": { "token": format!("mobile-{}", user.id) },
        "location": { "timezone": user.timezone, "country_code": user.country_code },
        "sources": sources(user),
        "status": "active",
        "created_at": instant(user.created_at),
        "updated_at": instant(user.updated_at),
    });
    if let (Some(address), Some(body)) = (address, body.as_object_mut()) {
        body.insert("marketplace".to_owned(), marketplace(address, user));
    }
    body
}

fn marketplace(address: &str, user: &SimUser) -> Value {
    json!({ "token": user.token, "url": format!("{address}/?token={}", user.token) })
}

fn sources(user: &SimUser) -> Vec<Value> {
    let source = |(kind, at): (&String, &DateTime<Utc>)| json!({ "type": kind, "connected_at": instant(*at), "last_processed_at": null });
    user.sources.iter().map(source).collect()
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A call of the guide of 2015 (contract sheet §9).
pub fn legacy(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Answer {
    let pieces = arrival.pieces();
    let Some((["v1", "organizations", _], rest)) = pieces.split_at_checked(3) else { return no_such_call() };
    let named = |state: &SimState, id: &str| {
        let found = state.users.values().find(|user| user.id == id);
        found.map(|user| user.uid.clone())
    };
    match (arrival.method.as_str(), rest) {
        ("POST", ["users.json"]) => {
            let body = arrival.json().unwrap_or_default();
            let uid = body.get("user").and_then(|user| user.get("uid")).and_then(Value::as_str);
            let Some(uid) = uid.filter(|uid| is_name(uid)) else {
                return Refused::about("uid", 422, "is invalid");
            };
            match state.make(uid, (None, None), now) {
                Some(user) => {
                    let user = json!({ "_id": user.id, "access_token": user.token });
                    Answer::Json(201, json!({ "code": 201, "message": "Ok", "user": user }))
                }
                None => Refused::about("uid", 409, "already exists"),
            }
        }
        ("GET", ["users.json"]) => legacy_list(state, arrival),
        ("GET", ["users", id, "refresh_token.json"]) => {
            let uid = named(state, id).unwrap_or_default();
            match state.renew(&uid, now) {
                Some(user) => {
                    let user = json!({ "_id": user.id, "authentication_token": user.token });
                    Answer::Json(200, json!({ "code": 200, "message": "Ok", "user": user }))
                }
                None => Refused::because(404, "not found"),
            }
        }
        ("DELETE", ["users", id]) => {
            let uid = named(state, id.trim_end_matches(".json")).unwrap_or_default();
            match state.remove(&uid, now) {
                Some(_) => Answer::Json(200, json!({ "code": 200, "message": "Ok" })),
                None => Refused::because(404, "not found"),
            }
        }
        _ => no_such_call(),
    }
}

/// Users of the form of 2015, of which `offset` are left out.
fn legacy_list(state: &SimState, arrival: &Arrival) -> Answer {
    let number = |name, default: usize| {
        arrival.parameter(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default)
    };
    let (limit, offset) = (number("limit", 100).clamp(1, 200), number("offset", 0));
    let listed = |user: &SimUser| match state.conduct.lists_names {
        true => json!({ "_id": user.id, "uid": user.uid }),
        false => json!({ "_id": user.id }),
    };
    let users: Vec<Value> = state.users.values().skip(offset).take(limit).map(listed).collect();
    let summary = json!({ "status": 200, "message": "OK", "results": state.users.len(), "offset": offset, "limit": limit });
    Answer::Json(200, json!({ "summary": summary, "users": users }))
}
