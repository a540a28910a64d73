//! Between VALD's JSON and what we mean by it. Pure.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::ids::{ForeignProfileId, ProfileGroupId, SyncId};
use domain::people::Gender;
use domain::profile::{FieldRefused, ForeignProfile, ProfileGroup, ProfileOrder, Tenant};

use super::wire;
use crate::http::short_reason;

/// Every field of an import, as VALD writes them.
const FIELDS: [&str; 11] = [
    "tenantId",
    "syncId",
    "givenName",
    "familyName",
    "dateOfBirth",
    "sex",
    "email",
    "externalId",
    "isCreatedByUserOver18YearsOld",
    "isGuardianConsentGiven",
    "isPhotoVideoConsentGiven",
];

/// How a birth date may be written in a reason, apart from its year, which no reason keeps.
const DAYS: [&str; 9] =
    ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%-d/%-m/%Y", "%-m/%-d/%Y", "%-d %B", "%B %-d", "%-d %b", "%b %-d"];

/// A value of so many letters is found within words as well; shorter ones stand in too many words by chance.
const FOUND_WITHIN_WORDS: usize = 4;

/// A part of a name or of an address that is shorter tells nothing.
const SHORTEST_PART: usize = 2;

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
    let is_empty = |field: &str| match field {
        "email" => import.email.is_none(),
        "externalId" => import.external_id.is_none(),
        "isGuardianConsentGiven" => import.is_guardian_consent_given.is_none(),
        _ => false,
    };
    FIELDS.into_iter().filter(|field| !is_empty(field)).collect()
}

/// What VALD finds wrong, in its words, without anything that was sent: a reason may quote it.
pub fn refused(problem: &wire::Problem, import: &wire::Import, born: NaiveDate) -> Vec<FieldRefused> {
    let sent = what_tells_who(import, born);
    let reason = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| short_reason(&masked(text, &sent))).collect();
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() { "no reason given".to_owned() } else { texts.join(", ") }
    };
    let named = |field: &String| {
        // As in "$.email", where the JSON itself is not understood.
        let bare = field.strip_prefix("$.").unwrap_or(field);
        let known = FIELDS.into_iter().find(|known| known.eq_ignore_ascii_case(bare));
        known.map_or_else(|| reason(std::slice::from_ref(field)), str::to_owned)
    };
    if problem.errors.is_empty() {
        let said: Vec<String> = problem.title.iter().chain(&problem.detail).cloned().collect();
        return vec![FieldRefused { field: "profile".to_owned(), why: reason(&said) }];
    }
    let fields = problem.errors.iter();
    fields.map(|(field, reasons)| FieldRefused { field: named(field), why: reason(reasons) }).collect()
}

/// Everything of an import that says who it is about, whole and in parts.
fn what_tells_who(import: &wire::Import, born: NaiveDate) -> Vec<Vec<char>> {
    let whole = [&import.given_name, &import.family_name, &import.sync_id, &import.date_of_birth];
    let whole = whole.into_iter().chain(&import.email).chain(&import.external_id);
    let days = DAYS.iter().map(|form| born.format(form).to_string());
    let mut texts: Vec<String> = whole.cloned().chain(days).collect();
    for text in [&import.given_name, &import.family_name].into_iter().chain(&import.email) {
        let parts = text.split(|letter: char| !letter.is_alphanumeric());
        texts.extend(parts.filter(|part| part.chars().count() >= SHORTEST_PART).map(str::to_owned));
    }
    // Either would say by its absence which one was sent.
    texts.extend(["Male", "Female"].map(str::to_owned));
    texts
        .iter()
        .map(|text| text.chars().map(small).collect())
        .filter(|text: &Vec<char>| !text.is_empty())
        .collect()
}

/// A text with an ellipsis in place of each of `values`, in small or capital letters.
fn masked(text: &str, values: &[Vec<char>]) -> String {
    let letters: Vec<char> = text.chars().map(small).collect();
    let is_in_word =
        |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|l| l.is_alphanumeric());
    let mut hidden = vec![false; letters.len()];
    for value in values {
        for (at, window) in letters.windows(value.len()).enumerate() {
            let stands_alone = || !is_in_word(at.checked_sub(1)) && !is_in_word(Some(at + value.len()));
            if window == value && (value.len() >= FOUND_WITHIN_WORDS || stands_alone()) {
                hidden.iter_mut().skip(at).take(value.len()).for_each(|letter| *letter = true);
            }
        }
    }
    let mut shown = String::new();
    let mut before = false;
    for (letter, hidden) in text.chars().zip(hidden) {
        match (hidden, before) {
            (false, _) => shown.push(letter),
            (true, false) => shown.push('…'),
            (true, true) => {}
        }
        before = hidden;
    }
    shown
}

/// One letter for one, so that places in the text stay what they are.
fn small(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

/// A profile of a list.
pub fn profile(profile: wire::Profile) -> ForeignProfile {
    ForeignProfile {
        id: ForeignProfileId::new(profile.profile_id),
        sync_id: profile.sync_id.filter(|id| !id.is_empty()).map(SyncId::new),
        modified_at: profile.modified_date_utc.as_deref().and_then(utc),
        merging_into: profile.being_merged_with_profile_id.map(ForeignProfileId::new),
    }
}

/// An instant, which is UTC whether it says so or not (contract sheet §3).
fn utc(text: &str) -> Option<DateTime<Utc>> {
    let with_zone = DateTime::parse_from_rfc3339(text);
    let read = with_zone.or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}Z")));
    read.ok().map(|at| at.to_utc())
}

/// An organisation of a list. One without a name goes by its id, because people confirm things by the name.
pub fn tenant(tenant: wire::Tenant) -> (String, Tenant) {
    let name = name_or(tenant.name, &tenant.id);
    (tenant.id, Tenant { name, sport: None })
}

/// A group of a list.
pub fn group(group: wire::Group) -> ProfileGroup {
    ProfileGroup { name: name_or(group.name, &group.id), id: ProfileGroupId::new(group.id) }
}

fn name_or(name: Option<String>, id: &str) -> String {
    name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| id.to_owned())
}

/// An instant in a query.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
