//! What the linking screen, the provisioning file and the demo share about a VALD Hub account.

use chrono::TimeDelta;
use connectors::partners::vald::{self as partner, Region};
use domain::ids::PracticeId;
use domain::settings::{PracticeSettings, ValdSettings};

/// How many requests a second there are unless somebody says otherwise (VALD sheet §5).
pub const REQUESTS_PER_SECOND: f64 = 4.0;
/// How slow and how fast VALD may be asked.
pub const PACE: std::ops::RangeInclusive<f64> = 0.1..=20.0;

/// An account in a region, with the addresses and the pace that hold there.
pub fn new(tenant_id: String, region: Region, sync_prefix: String) -> ValdSettings {
    ValdSettings {
        tenant_id,
        region: region.name().to_owned(),
        token_url: partner::TOKEN_URL.to_owned(),
        audience: partner::AUDIENCE.to_owned(),
        profile_url: region.profile_url(),
        tenants_url: region.tenants_url(),
        hub_url: None,
        groups: Vec::new(),
        between_requests: between_requests(REQUESTS_PER_SECOND),
        sync_prefix,
        staff_are_adults: true,
    }
}

/// How long lies between the beginnings of two requests.
pub fn between_requests(per_second: f64) -> TimeDelta {
    let milliseconds = (1000.0 / per_second.clamp(*PACE.start(), *PACE.end())).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the pace is clamped, so that it lies between 50 and 10,000"
    )]
    TimeDelta::milliseconds(milliseconds as i64)
}

/// What stands before the patient's key in the names that VALD is told (VALD sheet §9). Kept for ever once it is
/// chosen. It is the practice's id; only practices of one organisation that share one book have the same patients, and
/// so the same names. A hyphen comes behind it, so that it has none itself: patient `2-15` of `north` is not patient
/// `15` of `north-2`.
pub fn sync_prefix(
    practice: &PracticeId,
    system: (&str, &str),
    tenant_id: &str,
    before: Option<&PracticeSettings>,
    others: &[PracticeSettings],
) -> String {
    if let Some(kept) = before.and_then(|before| before.vald.as_ref()) {
        return kept.sync_prefix.clone();
    }
    let shares = |other: &&PracticeSettings| {
        other.id != *practice && (other.system.profile.as_str(), other.system.url.as_str()) == system
    };
    let of_tenant = |other: &PracticeSettings| {
        let account = other.vald.as_ref()?;
        (account.tenant_id == tenant_id).then(|| account.sync_prefix.clone())
    };
    others.iter().filter(shares).find_map(of_tenant).unwrap_or_else(|| practice.as_str().replace('-', "_"))
}

/// How many requests a second an account allows, as people write it.
pub fn requests_per_second(account: &ValdSettings) -> String {
    let milliseconds = account.between_requests.num_milliseconds().max(1);
    #[expect(clippy::cast_precision_loss, reason = "no pace is slower than one in ten seconds")]
    let per_second = 1000.0 / milliseconds as f64;
    let text = format!("{per_second:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether another organisation is linked than before. The store then forgets what the former one was told.
pub fn is_replaced(before: &PracticeSettings, settings: &PracticeSettings) -> bool {
    match (&before.vald, &settings.vald) {
        (Some(known), Some(wanted)) => known.tenant_id != wanted.tenant_id,
        (None, _) | (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::tests::{settings, vald_settings};

    #[test]
    fn the_pace_may_be_a_fraction() {
        assert_eq!(between_requests(4.0), TimeDelta::milliseconds(250));
        assert_eq!(between_requests(0.5), TimeDelta::seconds(2));
        assert_eq!(between_requests(3.0), TimeDelta::milliseconds(333));
    }

    #[test]
    fn practices_that_share_a_book_and_an_organisation_share_the_names_too() {
        let tenant = "11111111-2222-4333-8444-55555555abcd";
        let book = ("openemr", "mysql://openemr@front-desk/openemr");
        let mut richmond = settings();
        richmond.vald = Some(ValdSettings { sync_prefix: "first".into(), ..vald_settings() });
        let prefix = |id: &str, system, tenant, before: Option<&PracticeSettings>| {
            sync_prefix(&PracticeId::new(id), system, tenant, before, std::slice::from_ref(&richmond))
        };
        assert_eq!(prefix("carlton", book, tenant, None), "first");
        assert_eq!(prefix("carlton", ("openemr", "mysql://elsewhere/openemr"), tenant, None), "carlton");
        assert_eq!(prefix("carlton", book, "another", None), "carlton");
        assert_eq!(prefix("richmond-2", book, "another", None), "richmond_2");
        // Kept, whatever else changes.
        assert_eq!(prefix("richmond", ("demo", "sqlite:x"), "another", Some(&richmond)), "first");
    }
}
