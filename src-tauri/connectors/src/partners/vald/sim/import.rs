//! `POST /profiles/import`: what the service wants to know of a person, and what it takes badly (contract sheet §3).

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde_json::Value;

use super::profiles::hold;
use super::routes::{Answer, Operation};
use super::rules::{Errors, Fields, Refused};
use super::state::{Due, ProfileDetails, ReceivedImport, RecordedConsents, SimProfile, SimState};

const SEXES: [&str; 4] = ["Male", "Female", "Unknown", "NotApplicable"];
/// Nobody alive was born before this year.
const EARLIEST_BIRTH_YEAR: i32 = 1900;
/// Whoever is younger needs a guardian's consent.
const ADULT_FROM: u32 = 18;
/// Photos and videos of younger children are not taken (contract sheet §3).
const PHOTOS_FROM: u32 = 13;

/// An import that was understood.
struct Import {
    tenant_id: String,
    sync_id: String,
    details: ProfileDetails,
    consents: RecordedConsents,
    remarks: Vec<String>,
}

/// Creates a profile, or replaces what is known of it.
pub fn import(state: &mut SimState, operation: &Operation<'_>) -> Result<Answer, Refused> {
    let answered = read(operation.body, operation.at).and_then(|import| take(state, operation, import));
    let named = operation.body.and_then(|body| body.get("tenantId")).and_then(Value::as_str);
    if let (Some(tenant_id), Some(body)) = (named, operation.body) {
        let status = match &answered {
            Ok(answer) => answer.status,
            Err(refused) => refused.status,
        };
        let import =
            ReceivedImport { number: operation.number, at: operation.at, body: body.clone(), status };
        state.note_import(&tenant_id.to_ascii_lowercase(), import);
    }
    answered
}

fn take(state: &mut SimState, operation: &Operation<'_>, import: Import) -> Result<Answer, Refused> {
    let now = operation.at;
    let Import { tenant_id, sync_id, details, consents, mut remarks } = import;
    let unique_emails = state.conduct.unique_emails;
    let tenant = hold(state, operation, &tenant_id)?;
    let questions = tenant.questions;
    let there = tenant.by_sync_id(&sync_id).cloned();
    if let Some(email) = details.email.as_deref().filter(|_| unique_emails) {
        let owner = there.as_ref().map(|profile| profile.profile_id.as_str());
        if tenant.is_email_of_another(email, owner) {
            return Err(Refused::field("email", format!("The email '{email}' is already in use.")));
        }
    }
    let due = state.due(questions, now);
    let profile = match there {
        Some(profile) => {
            if let Some(merging) = &profile.merging {
                remarks.push(format!("the profile is being merged into {}", merging.into));
            }
            update(profile, details, consents, due, questions, now)
        }
        None => SimProfile {
            profile_id: state.new_id('a'),
            details,
            modified_at: now,
            consents: Some(consents),
            group_ids: Default::default(),
            group_ids_by_hand: Default::default(),
            merging: None,
            before: None,
            due,
        },
    };
    hold(state, operation, &tenant_id)?.put(profile);
    Ok(Answer { remarks, ..Answer::done() })
}

/// Lays an import over what is there. What only VALD Hub knows stays.
fn update(
    profile: SimProfile,
    details: ProfileDetails,
    consents: RecordedConsents,
    due: Due,
    questions: u64,
    now: DateTime<Utc>,
) -> SimProfile {
    let before = profile.shown(now, questions).map(|(shown, modified_at)| (shown.clone(), modified_at));
    let kept = profile.details;
    let details = ProfileDetails {
        weight_in_kg: kept.weight_in_kg,
        height_in_cm: kept.height_in_cm,
        sport: kept.sport,
        position: kept.position,
        ..details
    };
    SimProfile { details, consents: Some(consents), modified_at: now, before, due, ..profile }
}

fn read(body: Option<&Value>, now: DateTime<Utc>) -> Result<Import, Refused> {
    let mut fields = Fields::of(body)?;
    let tenant_id = fields.uuid("tenantId");
    let sync_id = fields.text("syncId").to_owned();
    let given_name = fields.text("givenName").to_owned();
    let family_name = fields.text("familyName").to_owned();
    let born = birth_date(fields.text("dateOfBirth"), &mut fields.errors, now);
    let sex = fields.text("sex").to_owned();
    if !sex.is_empty() && !SEXES.contains(&sex.as_str()) {
        fields.errors.add("sex", format!("The value '{sex}' is not valid."));
    }
    let email = fields.nullable_text("email").map(str::to_owned);
    let is_address = |text: &String| {
        let parts = text.split_once('@');
        parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !text.contains(' '))
    };
    if !email.as_ref().is_none_or(is_address) {
        fields.errors.add("email", "is not a valid email address");
    }
    let external_id = fields.nullable_text("externalId").map(str::to_owned);
    let created_by_adult = fields.nullable_flag("isCreatedByUserOver18YearsOld");
    let guardian = fields.nullable_flag("isGuardianConsentGiven");
    let photo_video = fields.nullable_flag("isPhotoVideoConsentGiven");
    for (name, flag) in
        [("isCreatedByUserOver18YearsOld", created_by_adult), ("isPhotoVideoConsentGiven", photo_video)]
    {
        let wrong_already = body.and_then(|body| body.get(name)).is_some_and(|value| !value.is_null());
        if flag.is_none() && !wrong_already {
            fields.errors.add(name, "must not be empty");
        }
    }
    let mut remarks = fields.unknown();
    let age = born.map(|born| now.date_naive().years_since(born).unwrap_or_default());
    if age.is_some_and(|age| age < ADULT_FROM) && guardian != Some(true) {
        fields.errors.add("isGuardianConsentGiven", "must be true for a minor");
    }
    if age.is_some_and(|age| age < PHOTOS_FROM) && photo_video == Some(true) {
        remarks.push(format!("photos and videos are for those who are {PHOTOS_FROM} at least"));
    }
    fields.errors.none()?;
    let details = ProfileDetails {
        sync_id: Some(sync_id.clone()),
        external_id,
        email,
        sex,
        ..ProfileDetails::new(&given_name, &family_name, born.unwrap_or_default())
    };
    let consents = RecordedConsents {
        created_by_adult: created_by_adult.unwrap_or_default(),
        guardian,
        photo_video: photo_video.unwrap_or_default(),
    };
    Ok(Import { tenant_id, sync_id, details, consents, remarks })
}

/// `YYYY-MM-DDT00:00:00Z`, exactly, and a day on which somebody alive was born.
fn birth_date(text: &str, errors: &mut Errors, now: DateTime<Utc>) -> Option<NaiveDate> {
    if text.is_empty() {
        return None;
    }
    let day = text.strip_suffix("T00:00:00Z").filter(|day| day.len() == 10);
    let Some(born) = day.and_then(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()) else {
        errors.add("dateOfBirth", format!("'{text}' is not midnight UTC of a day"));
        return None;
    };
    if born > now.date_naive() {
        errors.add("dateOfBirth", format!("'{text}' must not be in the future"));
    } else if born.year() < EARLIEST_BIRTH_YEAR {
        errors.add("dateOfBirth", format!("'{text}' must not be before {EARLIEST_BIRTH_YEAR}"));
    } else {
        return Some(born);
    }
    None
}
