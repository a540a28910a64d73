//! A patient's profile, as a partner that keeps one gets it.

use crate::consent::{self, Consent, NotAllowed, Said};
use crate::ids::{ForeignProfileId, ProfileGroupId, SyncId};
use crate::people::{Gender, PatientRecord};
use crate::private::Private;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// How long a day has to have begun in UTC before somebody is told of who was born on it, because other clocks are behind
/// ours.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// A profile as it is to stand at the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileOrder {
    /// The name under which the partner knows the patient.
    pub sync_id: SyncId,
    /// Given name.
    pub given_name: Private<String>,
    /// Family name.
    pub family_name: Private<String>,
    /// Date of birth.
    pub birth_date: Private<NaiveDate>,
    /// Sex, where the record says it.
    pub sex: Private<Option<Gender>>,
    /// E-mail address; empty where there is none, or where the partner refused it.
    pub email: Private<String>,
    /// The number that staff know the patient by.
    pub shown_number: Option<String>,
    /// Whether whoever works at the desk is an adult.
    pub recorded_by_adult: bool,
    /// Whether a guardian agreed; none for an adult who agreed alone.
    pub guardian_agreed: Option<bool>,
    /// Whether photos and videos are agreed to.
    pub photo_and_video: bool,
}

impl ProfileOrder {
    /// Whether an e-mail address is sent.
    pub fn has_email(&self) -> bool {
        !self.email.reveal().is_empty()
    }

    /// From when on the partner takes the birth date: it compares with the day in UTC, which begins hours later than ours.
    pub fn taken_from(&self) -> DateTime<Utc> {
        self.birth_date.reveal().and_time(NaiveTime::MIN).and_utc() + CLOCKS_APART
    }

    /// Hands every field to `take`, in the same order each time: for a digest that differs whenever the profile does.
    pub fn each_field(&self, mut take: impl FnMut(&str)) {
        let flag = |flag: bool| if flag { "yes" } else { "no" };
        take(self.sync_id.as_str());
        take(self.given_name.reveal());
        take(self.family_name.reveal());
        take(&self.birth_date.reveal().to_string());
        take(match self.sex.reveal() {
            None => "",
            Some(Gender::Male) => "male",
            Some(Gender::Female) => "female",
            Some(Gender::Other) => "other",
        });
        take(self.email.reveal());
        take(self.shown_number.as_deref().unwrap_or_default());
        take(flag(self.recorded_by_adult));
        take(self.guardian_agreed.map_or("", flag));
        take(flag(self.photo_and_video));
    }
}

/// Why a patient's profile is not sent. A person can do something about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotReady {
    /// Consent is missing.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The record has only one name.
    #[error("the record has no given name")]
    GivenNameMissing,
    /// The record has only one name.
    #[error("the record has no family name")]
    FamilyNameMissing,
    /// The record has no birth date.
    #[error("the record has no birth date")]
    BirthDateMissing,
    /// The birth date lies in the future or long before anybody alive was born.
    #[error("the birth date in the record cannot be right")]
    BirthDateAbsurd,
    /// The record is marked as deceased.
    #[error("the record is marked as deceased")]
    Deceased,
}

/// Nobody alive was born before this year.
const EARLIEST_BIRTH_YEAR: i32 = 1900;

/// The profile of a record, as far as consent and record allow on `today`, practice-local.
pub fn order(
    record: &PatientRecord,
    consent: Option<&Consent>,
    sync_id: SyncId,
    recorded_by_adult: bool,
    today: NaiveDate,
) -> Result<ProfileOrder, NotReady> {
    use chrono::Datelike;
    let details = &record.details;
    let born = *details.birth_date.reveal();
    if record.deceased {
        return Err(NotReady::Deceased);
    }
    let allowed = consent::allowed(consent, born, today);
    if let Err(why @ (NotAllowed::NotAsked | NotAllowed::Withdrawn)) = allowed {
        return Err(why.into());
    }
    let born = born.ok_or(NotReady::BirthDateMissing)?;
    // Nobody's age can be told from such a date, so that it is said first.
    if born > today || born.year() < EARLIEST_BIRTH_YEAR {
        return Err(NotReady::BirthDateAbsurd);
    }
    let consent = allowed?;
    let given = details.first_name.reveal().trim();
    let family = details.last_name.reveal().trim();
    if given.is_empty() {
        return Err(NotReady::GivenNameMissing);
    }
    if family.is_empty() {
        return Err(NotReady::FamilyNameMissing);
    }
    let Said::Yes(agreement) = &consent.line.said else { return Err(NotAllowed::Withdrawn.into()) };
    Ok(ProfileOrder {
        sync_id,
        given_name: Private::new(given.to_owned()),
        family_name: Private::new(family.to_owned()),
        birth_date: Private::new(born),
        sex: details.gender.clone(),
        email: Private::new(details.email.reveal().trim().to_owned()),
        shown_number: Some(record.shown_number.clone().unwrap_or_else(|| record.id.to_string())),
        recorded_by_adult,
        guardian_agreed: agreement.guardian.as_ref().map(|_| true),
        photo_and_video: consent::photo_and_video(agreement, born, today),
    })
}

/// What became of a profile that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The partner took it.
    Accepted,
    /// It finds these fields wrong, and took nothing.
    Refused(Vec<FieldRefused>),
}

/// A field that a partner finds wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRefused {
    /// Its name, in the partner's words.
    pub field: String,
    /// What is wrong with it, in the partner's words, without what was sent.
    pub why: String,
}

/// A profile as the partner lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProfile {
    /// What the partner calls it.
    pub id: ForeignProfileId,
    /// The name under which somebody told of it, where anybody did.
    pub sync_id: Option<SyncId>,
    /// When it changed last.
    pub modified_at: Option<DateTime<Utc>>,
    /// The profile that it is about to disappear into.
    pub merging_into: Option<ForeignProfileId>,
}

/// A group of profiles at the partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileGroup {
    /// What the partner calls it.
    pub id: ProfileGroupId,
    /// The name that people know.
    pub name: String,
}

/// An account at the partner, as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The name that people know.
    pub name: String,
    /// `Clinic`, `AlliedHealth`, …, where it says.
    pub sport: Option<String>,
}
