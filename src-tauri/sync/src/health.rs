//! How each connection is doing, and the sentence for it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::ports::store::{Leg, LegNote, Problem, ProblemKind};
use domain::settings::PracticeSettings;

/// For how long silence is not worth a word, except in detail.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// For how long a leg may stay unproven before it is no longer in order.
pub const STALE_AFTER: TimeDelta = TimeDelta::minutes(2);

/// How often VALD is asked for something although there is nothing to tell it.
pub const PROFILES_PROVEN_EVERY: TimeDelta = TimeDelta::hours(1);

/// How often the partners whose form is drawn from their card are asked for something although there is nothing to tell
/// them.
pub const ACCOUNTS_PROVEN_EVERY: TimeDelta = TimeDelta::hours(1);

/// How a practice or a leg is doing, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// A round trip was proven lately.
    Ok,
    /// Somebody at the desk must decide something.
    Attention,
    /// Not syncing.
    Down,
}

impl Health {
    /// The word in `status --json`.
    pub fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Attention => "attention",
            Health::Down => "down",
        }
    }
}

/// The note after a round trip that worked.
pub fn proven(now: DateTime<Utc>) -> LegNote {
    LegNote { proven_at: Some(now), failing_since: None, problem: None }
}

/// The note after one that did not.
pub fn failed(before: Option<&LegNote>, problem: Problem, now: DateTime<Utc>) -> LegNote {
    LegNote {
        proven_at: before.and_then(|note| note.proven_at),
        failing_since: before.and_then(|note| note.failing_since).or(Some(now)),
        problem: Some(problem),
    }
}

/// How a leg is doing at `now`. A leg that stopped proving itself is down, whatever its last note said: the light
/// never lies (`product.md`, promise 2).
pub fn of_leg(note: Option<&LegNote>, now: DateTime<Utc>) -> Health {
    of_leg_within(note, STALE_AFTER, now)
}

/// For how long a leg of this practice may stay unproven. Where webhooks stand in for polls, whoever chose a longer
/// interval between them chose an older proof too.
pub fn stale_after(settings: &PracticeSettings, leg: Leg) -> TimeDelta {
    let account = settings.healthengine.as_ref().filter(|account| account.webhook_url.is_some());
    match (leg, account) {
        (Leg::Desk, Some(account)) => {
            STALE_AFTER.max(TimeDelta::seconds(i64::from(account.poll_seconds)) + PATIENCE)
        }
        (Leg::System | Leg::Desk | Leg::Board, _) => STALE_AFTER,
        // VALD is asked only where there is something to tell, and once an hour to prove that it answers.
        (Leg::Profiles, _) => PROFILES_PROVEN_EVERY + STALE_AFTER,
        (Leg::Account(_), _) => ACCOUNTS_PROVEN_EVERY + STALE_AFTER,
    }
}

/// The same for a leg that may stay unproven for `stale_after`.
pub fn of_leg_within(note: Option<&LegNote>, stale_after: TimeDelta, now: DateTime<Utc>) -> Health {
    let Some(note) = note else { return Health::Down };
    // A proof from the future is none: the computer's clock was set back.
    let fresh = |at: DateTime<Utc>| (TimeDelta::seconds(-5)..=stale_after).contains(&(now - at));
    let stale = !note.proven_at.is_some_and(fresh);
    let lasting = note.failing_since.is_some_and(|since| now - since > STALE_AFTER);
    match &note.problem {
        None if stale => Health::Down,
        None => Health::Ok,
        Some(problem) => match problem.kind {
            ProblemKind::Shrink => Health::Attention,
            ProblemKind::Refused if stale && lasting => Health::Down,
            ProblemKind::Refused => Health::Attention,
            ProblemKind::Unreachable | ProblemKind::Other if !stale && !lasting => Health::Ok,
            ProblemKind::Unreachable
            | ProblemKind::Other
            | ProblemKind::Credentials
            | ProblemKind::SignIn
            | ProblemKind::Consent
            | ProblemKind::Misfit
            | ProblemKind::OwnProfile => Health::Down,
        },
    }
}

/// Who is at the other end of a leg, for the beginning of a sentence.
pub fn who(leg: &Leg) -> String {
    match leg {
        Leg::System => "The practice system".to_owned(),
        Leg::Desk | Leg::Board => "Healthengine".to_owned(),
        Leg::Profiles => "VALD".to_owned(),
        Leg::Account(partner) => partner.title(),
    }
}

/// What is wrong with a leg and what to do, in a sentence that names nobody.
pub fn problem(leg: Leg, error: &ReadError) -> Problem {
    let who = who(&leg);
    let (kind, sentence) = match error {
        ReadError::Unreachable(_) => (ProblemKind::Unreachable, format!("{who} does not answer. We keep trying.")),
        ReadError::SlowDown { .. } => {
            (ProblemKind::Unreachable, format!("{who} asks us to slow down. We wait and go on by ourselves."))
        }
        ReadError::SignInNeeded => (
            ProblemKind::SignIn,
            format!(
                "{who} lets nobody in without a person's sign-in, and there is none, or it has ended. Open Connections, \
                 \"Change\" at the practice, and sign in there. What waits here is kept."
            ),
        ),
        ReadError::NotAuthorised if leg == Leg::System => (
            ProblemKind::Credentials,
            "The practice system refuses the user name and password, or the client id and secret. Open Connections to renew them."
                .to_owned(),
        ),
        ReadError::NotAuthorised if leg == Leg::Profiles => (
            ProblemKind::Credentials,
            "VALD refuses the client id and secret. Those of before March 2026 and expired ones do not work any more: ask \
             support@vald.com for new ones and enter them in Connections. What waits here is kept."
                .to_owned(),
        ),
        ReadError::NoConsent if leg == Leg::Profiles => (
            ProblemKind::Consent,
            "VALD does not let these credentials work with this organisation (403). Check the organisation id and the \
             region in Connections, or ask support@vald.com to open the organisation for them. What waits here is kept."
                .to_owned(),
        ),
        ReadError::NotAuthorised if matches!(leg, Leg::Account(_)) => (
            ProblemKind::Credentials,
            format!("{who} refuses what it was given to sign in with. Renew it in Connections. What waits here is kept."),
        ),
        ReadError::NoConsent if matches!(leg, Leg::Account(_)) => (
            ProblemKind::Consent,
            format!(
                "{who} does not let this account do what was asked (403). Ask its support to allow that. What waits here \
                 is kept."
            ),
        ),
        ReadError::NotAuthorised => (
            ProblemKind::Credentials,
            "Healthengine refuses the keys (401). If it is the API key, every practice that uses it has stopped. Open \
             Connections to renew them."
                .to_owned(),
        ),
        ReadError::NoConsent => (
            ProblemKind::Consent,
            "Healthengine says that the practice's consent is missing or was withdrawn (403). Grant it again in Practice \
             Admin, under API consumer consent, then enter the practice id and key that are shown there in Connections. \
             If the consent page is not there, call Healthengine on 1300 377 639. Until then nothing is lost: what waits \
             here is kept."
                .to_owned(),
        ),
        ReadError::NotFound if leg == Leg::Profiles => (
            ProblemKind::Other,
            "VALD knows no such organisation for these credentials. Compare the organisation id in Connections with the one \
             in VALD Hub, and test the account again, which finds its region."
                .to_owned(),
        ),
        ReadError::NotFound => (ProblemKind::Other, format!("{who} does not know what we asked for. Check the address in Connections.")),
        ReadError::Garbled(_) => {
            (ProblemKind::Unreachable, format!("{who} gave an answer that cannot be read. We keep trying."))
        }
        ReadError::Invalid(said) => (ProblemKind::Refused, format!("{who} refuses what we send: {said}")),
        ReadError::Misfit(differs) => (
            ProblemKind::Misfit,
            format!("The practice system is not one that this profile knows, so nothing is read or written: {differs}"),
        ),
        ReadError::OwnProfile(wrong) => (
            ProblemKind::OwnProfile,
            format!(
                "The database refuses what your own profile asks it, so nothing is read or written: {wrong}. Correct it \
                 there, in the data folder; what you save is tried at once."
            ),
        ),
    };
    Problem { kind, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_watermark_goes_down() {
        let start = DateTime::UNIX_EPOCH;
        let note = proven(start);
        assert_eq!(of_leg(Some(&note), start + TimeDelta::seconds(30)), Health::Ok);
        assert_eq!(of_leg(Some(&note), start + TimeDelta::minutes(3)), Health::Down);
        assert_eq!(of_leg(None, start), Health::Down);
    }

    #[test]
    fn a_short_silence_is_no_alarm_and_a_refused_key_is_one_at_once() {
        let start = DateTime::UNIX_EPOCH;
        let later = start + TimeDelta::seconds(20);
        let silent =
            failed(Some(&proven(start)), problem(Leg::Desk, &ReadError::Unreachable("x".into())), later);
        assert_eq!(of_leg(Some(&silent), later), Health::Ok);
        assert_eq!(of_leg(Some(&silent), start + TimeDelta::minutes(3)), Health::Down);
        let refused = failed(Some(&proven(start)), problem(Leg::Desk, &ReadError::NotAuthorised), later);
        assert_eq!(of_leg(Some(&refused), later), Health::Down);
        assert_eq!(refused.failing_since, Some(later));
        assert_eq!(
            failed(Some(&refused), problem(Leg::Desk, &ReadError::NoConsent), later + PATIENCE).failing_since,
            Some(later)
        );
    }

    #[test]
    fn a_mistake_in_a_clinics_own_profile_is_not_blamed_on_the_database() {
        let wrong = "`profiles/own.toml`, line 7, column 9, in `locations`: near \"SELEKT\": syntax error";
        let told = problem(Leg::System, &ReadError::OwnProfile(wrong.into()));
        assert_eq!(told.kind, ProblemKind::OwnProfile);
        assert!(told.sentence.contains(&format!("{wrong}. Correct it")), "{}", told.sentence);
        assert!(!told.sentence.contains("not one that this profile knows"), "{}", told.sentence);
        let note = failed(Some(&proven(DateTime::UNIX_EPOCH)), told, DateTime::UNIX_EPOCH);
        assert_eq!(of_leg(Some(&note), DateTime::UNIX_EPOCH), Health::Down);
    }

    #[test]
    fn consent_and_key_are_told_apart() {
        assert_eq!(problem(Leg::Desk, &ReadError::NotAuthorised).kind, ProblemKind::Credentials);
        let consent = problem(Leg::Desk, &ReadError::NoConsent);
        assert_eq!(consent.kind, ProblemKind::Consent);
        assert!(consent.sentence.contains("Practice Admin") && consent.sentence.contains("1300 377 639"));
    }
}
