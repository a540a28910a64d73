//! The page on which one patient connects devices (contract sheet §5): whoever has its address is taken for the patient.

use chrono::{DateTime, Utc};

use super::http::{Answer, Arrival};
use super::state::SimState;

/// Devices that can be connected. Made up of kinds that the service lists.
const DEVICES: [(&str, &str); 4] =
    [("fitbit", "Fitbit"), ("garmin", "Garmin"), ("oura", "Oura"), ("withings", "Withings")];

/// The answer where the page, or a button on it, was asked for.
pub fn answer(state: &mut SimState, arrival: &Arrival, now: DateTime<Utc>) -> Option<Answer> {
    match (arrival.method.as_str(), arrival.pieces().as_slice()) {
        ("GET", [""]) => {
            let token = arrival.parameter("token").unwrap_or_default();
            let user = state.users.values().find(|user| user.token == token);
            Some(match user {
                Some(user) => {
                    Answer::Page(200, page(&token, &user.sources.keys().cloned().collect::<Vec<_>>()))
                }
                None => Answer::Page(
                    404,
                    "<!doctype html><title>Gone</title><p>This page is gone.</p>".to_owned(),
                ),
            })
        }
        ("GET", ["favicon.ico"]) => Some(Answer::Page(404, String::new())),
        ("POST", ["page", token, act @ ("connect" | "disconnect"), kind]) => {
            let uid = state.users.values().find(|user| user.token == *token).map(|user| user.uid.clone());
            if let Some(uid) = uid.filter(|_| DEVICES.iter().any(|(known, _)| known == kind)) {
                state.connect(&uid, kind, *act == "connect", now);
            }
            Some(Answer::Elsewhere(format!("/?token={token}")))
        }
        _ => None,
    }
}

fn page(token: &str, connected: &[String]) -> String {
    let row = |(kind, title): &(&str, &str)| {
        let is_connected = connected.iter().any(|known| known == kind);
        let (act, words) = if is_connected { ("disconnect", "Disconnect") } else { ("connect", "Connect") };
        format!(
            "<li><form method=\"post\" action=\"/page/{token}/{act}/{kind}\"><b>{title}</b> \
             <button>{words}</button></form></li>"
        )
    };
    let rows: String = DEVICES.iter().map(row).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Connect your devices</title><h1>Connect your devices</h1>\
         <p>This is a simulator: nothing leaves this computer.</p><ul>{rows}</ul></html>"
    )
}
