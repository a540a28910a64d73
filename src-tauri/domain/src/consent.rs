//! Who agreed that a partner gets their details, when, how, and recorded by whom. A record is never changed: what holds
//! for a patient is the last line about them.

use crate::ids::{PartnerId, PatientRef, PracticeId};
use crate::private::Private;
use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// The age from which patients agree for themselves, in years; below it a guardian does (VALD sheet §9).
pub const ADULT_AT: u32 = 18;

/// The age from which photos and videos may be agreed to, in years (VALD sheet §3).
pub const PHOTO_AND_VIDEO_FROM: u32 = 13;

/// One line of the record: that somebody agreed, or does not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentLine {
    /// Where the patient is known.
    pub practice: PracticeId,
    /// Who gets the details.
    pub partner: PartnerId,
    /// Whose details.
    pub patient: PatientRef,
    /// What was said.
    pub said: Said,
    /// How it was said.
    pub how: ConsentHow,
    /// Who wrote it down: a member of staff, or the practice system.
    pub recorded_by: Private<String>,
    /// The version of the wording that was agreed to; empty where nobody said.
    pub wording: String,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// What was said about passing details on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Agreed.
    Yes(Agreement),
    /// Not agreed, or not any more.
    No,
}

/// What an agreement covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Who agreed in place of a minor; none where the patient did.
    pub guardian: Option<Private<String>>,
    /// Whether photos and videos are agreed to as well.
    pub photo_and_video: bool,
}

/// How an agreement came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentHow {
    /// Asked at the desk.
    AtDesk,
    /// On a form, on paper or on a screen.
    Form,
    /// Collected before this program came, and vouched for by whoever recorded it.
    CollectedBefore,
    /// Read from the practice system.
    PracticeSystem,
}

impl ConsentHow {
    /// All of them.
    pub const ALL: [ConsentHow; 4] =
        [ConsentHow::AtDesk, ConsentHow::Form, ConsentHow::CollectedBefore, ConsentHow::PracticeSystem];

    /// The name in the store, on the command line and in exports.
    pub fn name(self) -> &'static str {
        match self {
            ConsentHow::AtDesk => "desk",
            ConsentHow::Form => "form",
            ConsentHow::CollectedBefore => "collected_before",
            ConsentHow::PracticeSystem => "practice_system",
        }
    }

    /// The way with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.name() == name)
    }
}

/// A line as it stands in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Its number; a later line has a greater one.
    pub number: i64,
    /// What it says.
    pub line: ConsentLine,
}

/// Why a patient's details may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotAllowed {
    /// Nobody asked the patient yet.
    #[error("consent is not recorded")]
    NotAsked,
    /// They said no, or took it back.
    #[error("consent was withdrawn or refused")]
    Withdrawn,
    /// Whether a guardian has to agree cannot be told.
    #[error("the birth date is missing, so it cannot be told whether a guardian has to agree")]
    AgeUnknown,
    /// A minor, and no guardian agreed.
    #[error("the patient is under 18, and no guardian's consent is recorded")]
    GuardianMissing,
}

/// Whether details may be sent on `today`, practice-local, and under which line. Consent that a guardian gave holds
/// beyond the eighteenth birthday, until it is withdrawn.
pub fn allowed(
    last: Option<&Consent>,
    birth_date: Option<NaiveDate>,
    today: NaiveDate,
) -> Result<&Consent, NotAllowed> {
    let consent = last.ok_or(NotAllowed::NotAsked)?;
    let Said::Yes(agreement) = &consent.line.said else { return Err(NotAllowed::Withdrawn) };
    let age = age_on(birth_date.ok_or(NotAllowed::AgeUnknown)?, today);
    if age < ADULT_AT && agreement.guardian.is_none() {
        return Err(NotAllowed::GuardianMissing);
    }
    Ok(consent)
}

/// The same by what a record says, for whoever has no business reading it.
pub fn allowed_by_record<'a>(
    last: Option<&'a Consent>,
    birth_date: &Private<Option<NaiveDate>>,
    today: NaiveDate,
) -> Result<&'a Consent, NotAllowed> {
    allowed(last, *birth_date.reveal(), today)
}

/// Whether photos and videos are agreed to, at the patient's age.
pub fn photo_and_video(agreement: &Agreement, birth_date: NaiveDate, today: NaiveDate) -> bool {
    agreement.photo_and_video && age_on(birth_date, today) >= PHOTO_AND_VIDEO_FROM
}

/// The age in full years; zero before birth. Somebody born on 29 February turns a year older on 1 March where there is
/// no such day.
pub fn age_on(birth_date: NaiveDate, today: NaiveDate) -> u32 {
    let years = today.year() - birth_date.year();
    let had_birthday = (today.month(), today.day()) >= (birth_date.month(), birth_date.day());
    u32::try_from(years - i32::from(!had_birthday)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn said(said: Said) -> Consent {
        Consent {
            number: 1,
            line: ConsentLine {
                practice: PracticeId::new("richmond"),
                partner: PartnerId::new("vald"),
                patient: PatientRef::new("77"),
                said,
                how: ConsentHow::AtDesk,
                recorded_by: Private::new("Kim".into()),
                wording: "2026-1".into(),
                at: DateTime::UNIX_EPOCH,
            },
        }
    }

    #[test]
    fn nothing_is_sent_without_a_yes() {
        let adult = Some(day("1980-03-12"));
        let today = day("2026-11-27");
        let yes = said(Said::Yes(Agreement::default()));
        assert_eq!(allowed(None, adult, today), Err(NotAllowed::NotAsked));
        assert_eq!(allowed(Some(&said(Said::No)), adult, today), Err(NotAllowed::Withdrawn));
        assert_eq!(allowed(Some(&yes), adult, today), Ok(&yes));
        assert_eq!(allowed(Some(&yes), None, today), Err(NotAllowed::AgeUnknown));
    }

    #[test]
    fn a_minor_needs_a_guardian_until_the_eighteenth_birthday() {
        let born = Some(day("2008-11-28"));
        let alone = said(Said::Yes(Agreement::default()));
        let guarded = said(Said::Yes(Agreement {
            guardian: Some(Private::new("A parent".into())),
            photo_and_video: false,
        }));
        assert_eq!(allowed(Some(&alone), born, day("2026-11-27")), Err(NotAllowed::GuardianMissing));
        assert_eq!(allowed(Some(&alone), born, day("2026-11-28")), Ok(&alone));
        assert_eq!(allowed(Some(&guarded), born, day("2026-11-27")), Ok(&guarded));
        assert_eq!(allowed(Some(&guarded), born, day("2026-11-28")), Ok(&guarded));
    }

    #[test]
    fn photos_are_agreed_to_from_thirteen_and_only_where_recorded() {
        let agreed = Agreement { photo_and_video: true, ..Agreement::default() };
        let born = day("2013-11-28");
        assert!(!photo_and_video(&agreed, born, day("2026-11-27")));
        assert!(photo_and_video(&agreed, born, day("2026-11-28")));
        assert!(!photo_and_video(&Agreement::default(), born, day("2026-11-28")));
    }

    #[test]
    fn ages_turn_on_the_birthday() {
        assert_eq!(age_on(day("2004-02-29"), day("2022-02-28")), 17);
        assert_eq!(age_on(day("2004-02-29"), day("2022-03-01")), 18);
        assert_eq!(age_on(day("2030-01-01"), day("2026-11-27")), 0);
    }
}
