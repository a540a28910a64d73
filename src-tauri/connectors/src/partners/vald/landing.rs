//! The page in VALD Hub that opens a patient's profile (contract sheet §8). The practice gets its address from VALD; we
//! only put the two ids into it, and nothing about the person.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

const TENANT: &str = "{tenantId}";
const PATIENT: &str = "{syncId}";

/// Whose hosts may be opened.
const HOSTS: [&str; 2] = ["valdperformance.com", "vald.com"];

/// What stands in an id as it is. Everything else could mean something in an address.
const IN_IDS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why an address cannot be the landing address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALanding {
    /// No web address at all.
    #[error("the landing address is not a web address")]
    NotAnAddress,
    /// A placeholder is missing.
    #[error("the landing address needs {{tenantId}} and {{syncId}} where the ids go")]
    NoPlaceholders,
    /// The ids would decide where the browser goes.
    #[error("the landing address may have {{tenantId}} and {{syncId}} only behind the host")]
    MovesTheHost,
    /// Not encrypted.
    #[error("the landing address must begin with https://")]
    NotEncrypted,
    /// Somebody else's host.
    #[error("the landing address must be at valdperformance.com or vald.com")]
    ForeignHost,
    /// A name or password in it.
    #[error("the landing address must not hold a user name or password")]
    HoldsCredentials,
}

/// Whether this can be the landing address.
///
/// # Errors
/// [`NotALanding`] says what is wrong with it.
pub fn check(template: &str) -> Result<(), NotALanding> {
    address(template, "t", "s").map(drop)
}

/// The page of one patient.
///
/// # Errors
/// [`NotALanding`] says what is wrong with the template.
pub fn address(template: &str, tenant_id: &str, sync_id: &str) -> Result<Url, NotALanding> {
    let template = template.trim();
    if !template.contains(TENANT) || !template.contains(PATIENT) {
        return Err(NotALanding::NoPlaceholders);
    }
    let filled = |tenant_id: &str, sync_id: &str| {
        let tenant = utf8_percent_encode(tenant_id, IN_IDS).to_string();
        let patient = utf8_percent_encode(sync_id, IN_IDS).to_string();
        // Both at once, so that an id that looks like a placeholder stays what it is.
        let mut parts = template.split(TENANT).map(|part| part.replace(PATIENT, &patient));
        let first = parts.next().unwrap_or_default();
        let text = parts.fold(first, |text, part| text + &tenant + &part);
        Url::parse(&text).map_err(|_| NotALanding::NotAnAddress)
    };
    let url = filled(tenant_id, sync_id)?;
    let other = filled("other", "other")?;
    if (url.scheme(), url.host(), url.port()) != (other.scheme(), other.host(), other.port()) {
        return Err(NotALanding::MovesTheHost);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotALanding::HoldsCredentials);
    }
    match (url.scheme(), url.host()) {
        // The simulator.
        ("http" | "https", Some(host)) if is_this_computer(&host) => Ok(url),
        ("https", Some(Host::Domain(name))) => {
            let known = |home: &&str| {
                name.strip_suffix(*home).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            if HOSTS.iter().any(known) { Ok(url) } else { Err(NotALanding::ForeignHost) }
        }
        ("https", Some(_)) => Err(NotALanding::ForeignHost),
        ("http", Some(_)) => Err(NotALanding::NotEncrypted),
        _ => Err(NotALanding::NotAnAddress),
    }
}

fn is_this_computer(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HUB: &str = "https://hub.valdperformance.com/app/?tenantId={tenantId}&syncId={syncId}";

    #[test]
    fn only_an_encrypted_address_at_vald_with_both_ids_will_do() {
        for right in [
            HUB,
            "https://vald.com/{tenantId}/{syncId}",
            "http://127.0.0.1:8080/hub/?tenantId={tenantId}&syncId={syncId}",
            " https://hub.valdperformance.com/#/open/{syncId}?t={tenantId} ",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for (wrong, why) in [
            ("", NotALanding::NoPlaceholders),
            ("https://hub.valdperformance.com/?syncId={syncId}", NotALanding::NoPlaceholders),
            ("hub.valdperformance.com/{tenantId}/{syncId}", NotALanding::NotAnAddress),
            ("http://hub.valdperformance.com/{tenantId}/{syncId}", NotALanding::NotEncrypted),
            ("https://hub.example.com/{tenantId}/{syncId}", NotALanding::ForeignHost),
            ("https://evilvald.com/{tenantId}/{syncId}", NotALanding::ForeignHost),
            ("https://vald.com.example.com/{tenantId}/{syncId}", NotALanding::ForeignHost),
            ("https://10.0.0.1/{tenantId}/{syncId}", NotALanding::ForeignHost),
            ("https://me:secret@vald.com/{tenantId}/{syncId}", NotALanding::HoldsCredentials),
            ("https://{syncId}.vald.com/{tenantId}", NotALanding::MovesTheHost),
            ("javascript:{tenantId}{syncId}", NotALanding::NotAnAddress),
        ] {
            assert_eq!(check(wrong), Err(why), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_ids_hold_nothing_else_of_the_address_changes(tenant in ".{1,12}", sync in "[ -~é中/&#?+%=]{1,12}") {
            let url = address(HUB, &tenant, &sync).unwrap();
            let query: Vec<(String, String)> =
                url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            prop_assert_eq!(query, [("tenantId".to_owned(), tenant), ("syncId".to_owned(), sync)]);
            prop_assert_eq!(url.path(), "/app/");
            prop_assert_eq!(url.fragment(), None);
        }
    }
}
