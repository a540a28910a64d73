//! Between VALD's JSON and what we mean by it. Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::ids::{ForeignProfileId, ProfileGroupId, SyncId};
use domain::people::Gender;
use domain::profile::{FieldRefused, ForeignProfile, ProfileGroup, ProfileOrder};

use super::wire;
use crate::http::short_reason;

/// A value this short stands in so many words that masking it would leave nothing to read.
const WORTH_MASKING: usize = 2;

/// What is sent of a profile.
pub fn import(tenant_id: &str, profile: &ProfileOrder) -> wire::Import {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    wire::Import {
        tenant_id: tenant_id.to_owned(),
        sync_id: profile.sync_id.to_string(),
        given_name: profile.given_name.reveal().clone(),
        family_name: profile.family_name.reveal().clone(),
        // The date alone, at midnight UTC: through local time it would become the day before (contract sheet §3).
        date_of_birth: format!("{}T00:00:00Z", profile.birth_date.reveal().format("%Y-%m-%d")),
        sex: match profile.sex.reveal() {
            Some(Gender::Male) => "Male",
            Some(Gender::Female) => "Female",
            // VALD asks for the sex of the body that is measured, which "other" does not tell.
            Some(Gender::Other) | None => "Unknown",
        },
        email: given(profile.email.reveal()),
        external_id: profile.shown_number.as_deref().and_then(given),
        is_created_by_user_over18_years_old: profile.recorded_by_adult,
        is_guardian_consent_given: profile.guardian_agreed,
        is_photo_video_consent_given: profile.photo_and_video,
    }
}

/// The names of the fields that hold something, as VALD writes them.
pub fn fields_of(import: &wire::Import) -> Vec<&'static str> {
    let always = ["tenantId", "syncId", "givenName", "familyName", "dateOfBirth", "sex"];
    let email = import.email.as_ref().map(|_| "email");
    let external_id = import.external_id.as_ref().map(|_| "externalId");
    let guardian = import.is_guardian_consent_given.map(|_| "isGuardianConsentGiven");
    always
        .into_iter()
        .chain(email)
        .chain(external_id)
        .chain(["isCreatedByUserOver18YearsOld"])
        .chain(guardian)
        .chain(["isPhotoVideoConsentGiven"])
        .collect()
}

/// What VALD finds wrong, in its words, without anything that was sent: a reason may quote it.
pub fn refused(problem: &wire::Problem, import: &wire::Import) -> Vec<FieldRefused> {
    let sent = [
        Some(&import.given_name),
        Some(&import.family_name),
        Some(&import.date_of_birth),
        import.email.as_ref(),
        import.external_id.as_ref(),
        Some(&import.sync_id),
    ];
    let masked = |text: &str| {
        let mut text = short_reason(text);
        for value in sent.iter().flatten().filter(|value| value.chars().count() > WORTH_MASKING) {
            text = text.replace(value.as_str(), "…");
        }
        // A birth date is quoted without its midnight too.
        let day = import.date_of_birth.split('T').next().unwrap_or_default();
        text.replace(day, "…")
    };
    let fields = problem.errors.iter().map(|(field, reasons)| {
        let why: Vec<String> = reasons.iter().map(|reason| masked(reason)).collect();
        FieldRefused { field: masked(field), why: why.join(", ") }
    });
    let mut refused: Vec<FieldRefused> = fields.collect();
    if refused.is_empty() {
        let why = problem.title.as_deref().map(masked).filter(|title| !title.is_empty());
        refused.push(FieldRefused {
            field: "profile".to_owned(),
            why: why.unwrap_or_else(|| "no reason given".to_owned()),
        });
    }
    refused
}

/// A profile of a list.
pub fn profile(profile: wire::Profile) -> ForeignProfile {
    let modified = profile.modified_date_utc.as_deref();
    // VALD writes UTC, with or without saying so.
    let modified_at = modified.and_then(|text| {
        let text =
            if text.ends_with('Z') || text.contains('+') { text.to_owned() } else { format!("{text}Z") };
        DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc())
    });
    ForeignProfile {
        id: ForeignProfileId::new(profile.profile_id),
        sync_id: profile.sync_id.map(SyncId::new),
        modified_at,
        merging_into: profile.being_merged_with_profile_id.map(ForeignProfileId::new),
    }
}

/// A group of a list.
pub fn group(group: wire::Group) -> ProfileGroup {
    let name = group.name.unwrap_or_else(|| group.id.clone());
    ProfileGroup { id: ProfileGroupId::new(group.id), name }
}

/// An instant in a query.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
