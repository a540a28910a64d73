//! The landing page: which profile VALD Hub would open (contract sheet §8).
//!
//! The page that found a profile has `#profile-name`, `#profile-id` and `#tenant-name`; the other one has `#failure`,
//! which reads "Failed to Load Profile".

use chrono::{DateTime, Utc};

use super::rules::{Query, uuid};
use super::state::SimState;
use crate::sim::journal::push_bounded;

/// An opening of the landing page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// The query as it was sent, so that a test can prove what stands in the address.
    pub raw_query: String,
    /// The id of the profile that would open; none: "Failed to Load Profile".
    pub profile_id: Option<String>,
    /// What the page named the person.
    pub shown_name: Option<String>,
}

/// The page needs its own style, and nothing else in the world.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Opens the page, and says what is odd about the address.
pub fn open(state: &mut SimState, raw_query: &str, now: DateTime<Utc>) -> (String, Vec<String>) {
    let mut query = Query::of(raw_query);
    let tenant_id = query.required("tenantId");
    let sync_id = query.required("syncId");
    let mut remarks = query.unknown();
    remarks.extend(query.errors.none().err().map(|refused| refused.reason));
    let tenant = uuid(&tenant_id).and_then(|id| state.tenants.get_mut(&id));
    let found = tenant.and_then(|tenant| {
        tenant.end_merges(now);
        let profile = tenant.by_sync_id(&sync_id)?;
        let (shown, _) = profile.shown(now, tenant.questions)?;
        let name = format!("{} {}", shown.given_name, shown.family_name);
        Some((name, profile.profile_id.clone(), tenant.settings.name.clone()))
    });
    let page = match &found {
        Some((name, profile_id, tenant_name)) => format!(
            "<p>VALD Hub would open the profile of</p>\n<h1 id=\"profile-name\">{}</h1>\n\
             <dl>\n<dt>Profile</dt><dd id=\"profile-id\">{}</dd>\n\
             <dt>Organisation</dt><dd id=\"tenant-name\">{}</dd>\n</dl>",
            escaped(name),
            escaped(profile_id),
            escaped(tenant_name),
        ),
        None => "<h1 id=\"failure\">Failed to Load Profile</h1>\n\
                 <p>No organisation has a profile under what the address names.</p>"
            .to_owned(),
    };
    let (shown_name, profile_id) = found.map(|(name, id, _)| (name, id)).unzip();
    let opened = Opened { at: now, raw_query: raw_query.to_owned(), profile_id, shown_name };
    push_bounded(&mut state.opened, opened);
    (around(&page), remarks)
}

/// The page that a wrong path gets.
pub fn not_found() -> String {
    around("<h1>Not found</h1>")
}

fn around(page: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>VALD Hub (simulator)</title>\n\
         <style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; color: #1b2330; background: #f4f6f9; \
         margin: 0; display: grid; place-items: center; min-height: 100vh }} main {{ background: #fff; \
         border-radius: 0.75rem; padding: 2rem 3rem; box-shadow: 0 1px 4px #0003 }} h1 {{ margin: 0 }} \
         dt {{ color: #566 }} dd {{ margin: 0 0 0.5rem }}</style>\n</head>\n<body>\n<main>\n{page}\n\
         <p><small>A simulator on this computer; the people in it are made up.</small></p>\n</main>\n\
         </body>\n</html>\n"
    )
}

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        letter => letter.to_string(),
    });
    letters.collect()
}
