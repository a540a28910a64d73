//! What must survive a restart.

use crate::audit::{AuditEntry, AuditLine};
use crate::booking::{BookingEvent, BookingKey, BookingRequest, Entry, HistoryLine};
use crate::consent::in_practice::KeptAnswer;
use crate::consent::{Consent, ConsentLine};
use crate::failure::Cause;
use crate::ids::{PartnerId, PatientRef, PracticeId};
use crate::link::{Link, LinkKey, LinkState};
use crate::matching::{Decision, Settled};
use crate::ports::documents::DocumentLedger;
use crate::private::Private;
use crate::settings::{AppSettings, PracticeSettings, SecretName};
use crate::time::PracticeTime;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use std::collections::BTreeMap;

/// A store that did not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Two at once: read it again.
    #[error("the entry moved since it was read")]
    Stale,
    /// A mistake of ours.
    #[error("an event that cannot follow")]
    Illegal(#[from] crate::booking::IllegalEvent),
    /// No such entry.
    #[error("there is no such entry")]
    Missing,
    /// The disk is full. Nothing was lost that had been recorded.
    #[error("the disk is full")]
    DiskFull,
    /// The folder or file cannot be written.
    #[error("the records cannot be written")]
    ReadOnly,
    /// A practice was to be saved with another practice system, whose patients nobody asked for the consents that stand
    /// under its id: the same key is somebody else there. Nothing was saved.
    #[error(
        "The consents of practice {practice} were given by patients of {}. Link the new practice system under another \
         id, so that nobody's consent counts for somebody else.",
        .profile.as_deref().unwrap_or("a practice system that is not known any more")
    )]
    ConsentsOfOthers {
        /// The practice.
        practice: PracticeId,
        /// The profile of the practice system whose patients they are; none where it was not linked any more when the
        /// first of them was recorded.
        profile: Option<String>,
    },
    /// Anything else.
    #[error("the store failed")]
    Failed(#[source] Cause),
}

/// The bookings and their history.
#[async_trait]
pub trait BookingLedger: Send + Sync {
    /// Files `request` unless its key is already filed. Returns whether it was new.
    async fn file(&self, request: &BookingRequest, now: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Appends `event` and moves the entry, in one transaction, durable when this returns. Fails with `Stale` when the
    /// entry's revision has moved. `decision` replaces the decision on the patient where given.
    async fn record(
        &self,
        entry: &Entry,
        event: &BookingEvent,
        decision: Option<&Decision>,
        now: DateTime<Utc>,
    ) -> Result<Entry, StoreError>;

    /// Adds a line to the history without moving the entry.
    async fn remark(&self, key: &BookingKey, what: &str, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Puts the next look off.
    async fn postpone(&self, key: &BookingKey, until: DateTime<Utc>) -> Result<(), StoreError>;

    /// One entry.
    async fn entry(&self, key: &BookingKey) -> Result<Option<Entry>, StoreError>;

    /// The practice's unfinished entries, whether due or not, oldest booking first.
    async fn unfinished(&self, practice: &PracticeId) -> Result<Vec<Entry>, StoreError>;

    /// The practice's entries that the partner knows to stand, booked for `from` or later, earliest first.
    async fn standing(&self, practice: &PracticeId, from: PracticeTime) -> Result<Vec<Entry>, StoreError>;

    /// The newest entries, newest first; of one practice, or of all.
    async fn newest(&self, practice: Option<&PracticeId>, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// The history of one entry, oldest first.
    async fn history(&self, key: &BookingKey) -> Result<Vec<HistoryLine>, StoreError>;

    /// How many entries of a practice stand in each public state (`interface.md`, `bookings --json`).
    async fn counts(&self, practice: &PracticeId) -> Result<BookingCounts, StoreError>;

    /// Clears the personal fields of entries that were finished before `before`. Returns how many.
    async fn forget_people(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// Whose record the bookings of some people go to, once that was settled. Keeps a keyed digest of who they are, and no
/// name; `person` is [`crate::matching::identity`].
#[async_trait]
pub trait SettledPeople: Send + Sync {
    /// Remembers it, in place of what was settled in the same way before. `patient` is none where a new record is to be
    /// made: then it is the one that is remembered as [`Settled::ByRecordMade`].
    async fn settle(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
        how: Settled,
        patient: Option<&PatientRef>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// What was settled for a person, at most once in each way.
    async fn settled(
        &self,
        practice: &PracticeId,
        person: &Private<String>,
    ) -> Result<Vec<SettledPerson>, StoreError>;

    /// Whether `patient` is a record that we made for bookings, and no booking but `key` has it now.
    async fn is_made_and_unused(&self, key: &BookingKey, patient: &PatientRef) -> Result<bool, StoreError>;
}

/// Whose record a person's bookings go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledPerson {
    /// Who settled it.
    pub how: Settled,
    /// The record; none where a new one is to be made.
    pub patient: Option<PatientRef>,
    /// When.
    pub at: DateTime<Utc>,
}

/// How many bookings of a practice stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookingCounts {
    /// Confirmed to the partner, and standing.
    pub confirmed: u32,
    /// Declined.
    pub rejected: u32,
    /// Stood, and were cancelled.
    pub cancelled: u32,
    /// On their way, nobody needed.
    pub pending: u32,
    /// Somebody at the desk is needed.
    pub attention: u32,
}

/// Digests of what a partner last accepted, by thing. Things are named by the flow that owns them.
#[async_trait]
pub trait Marks: Send + Sync {
    /// Every mark of a practice that begins with `prefix`.
    async fn marks(&self, practice: &PracticeId, prefix: &str) -> Result<Vec<Mark>, StoreError>;

    /// Sets marks.
    async fn set_marks(&self, practice: &PracticeId, marks: &[Mark]) -> Result<(), StoreError>;

    /// Forgets every mark that begins with `prefix`, so that the thing is sent again. Returns how many there were.
    async fn forget_marks(&self, practice: &PracticeId, prefix: &str) -> Result<u64, StoreError>;
}

/// What the marks of a practice's profiles begin with.
pub const PROFILES: &str = "profiles/";

/// The mark of an account of which nobody was told anything yet; its digest is the account. A pass of the former account
/// may still be under way when it is set, and leave links and marks behind that this account never saw: whoever begins
/// with the account forgets them, and this mark among them.
pub const PROFILES_ANEW: &str = "profiles/anew";

/// A digest of what a partner last accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What: `availability/2026-11-20/7`, `resources`.
    pub thing: String,
    /// The digest, or any short text that says what was accepted.
    pub digest: String,
    /// When it was accepted.
    pub at: DateTime<Utc>,
}

/// How each leg of a practice is doing, for `status` and after a restart.
#[async_trait]
pub trait Watermarks: Send + Sync {
    /// Notes how a leg went.
    async fn note(&self, practice: &PracticeId, leg: Leg, note: &LegNote) -> Result<(), StoreError>;

    /// The last note of each leg.
    async fn notes(&self, practice: &PracticeId) -> Result<Vec<(Leg, LegNote)>, StoreError>;
}

/// One of the things that are watched about a practice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    /// Reading the practice database.
    System,
    /// Asking Healthengine what waits.
    Desk,
    /// Keeping Healthengine's free times and lists equal to the book.
    Board,
    /// Keeping VALD's profiles equal to the patients who agreed to that.
    Profiles,
    /// Working with a partner whose account is drawn from its card.
    Account(PartnerId),
}

impl Leg {
    /// All of them but the accounts, of which there are as many as partners.
    pub const ALL: [Leg; 4] = [Leg::System, Leg::Desk, Leg::Board, Leg::Profiles];

    /// What stands before a partner's name in the store.
    const ACCOUNT: &str = "account/";

    /// The name in the store.
    pub fn name(&self) -> String {
        match self {
            Leg::System => "system".to_owned(),
            Leg::Desk => "desk".to_owned(),
            Leg::Board => "board".to_owned(),
            Leg::Profiles => "profiles".to_owned(),
            Leg::Account(partner) => format!("{}{partner}", Self::ACCOUNT),
        }
    }

    /// The leg with this name.
    pub fn named(name: &str) -> Option<Self> {
        let account =
            || name.strip_prefix(Self::ACCOUNT).map(|partner| Leg::Account(PartnerId::new(partner)));
        Self::ALL.into_iter().find(|leg| leg.name() == name).or_else(account)
    }
}

/// How a leg went the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegNote {
    /// When it was last proven to work, by a round trip.
    pub proven_at: Option<DateTime<Utc>>,
    /// Since when it has not worked; none while it works.
    pub failing_since: Option<DateTime<Utc>>,
    /// What is wrong and what to do, in a sentence; none while it works.
    pub problem: Option<Problem>,
}

/// What is wrong with a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What can be done about it.
    pub kind: ProblemKind,
    /// What is wrong and what to do, in a sentence that names nobody.
    pub sentence: String,
}

/// What can be done about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// Wait; it is tried again by itself.
    Unreachable,
    /// Somebody has to renew the key or password.
    Credentials,
    /// Somebody has to sign in, for the first time or again.
    SignIn,
    /// Somebody has to grant the consent again.
    Consent,
    /// The practice database is not one that the profile knows.
    Misfit,
    /// Somebody has to mend the clinic's own profile.
    OwnProfile,
    /// Somebody has to say that a list may shrink.
    Shrink,
    /// The partner refused something of what was sent.
    Refused,
    /// Anything else.
    Other,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [ProblemKind; 9] = [
        ProblemKind::Unreachable,
        ProblemKind::Credentials,
        ProblemKind::SignIn,
        ProblemKind::Consent,
        ProblemKind::Misfit,
        ProblemKind::OwnProfile,
        ProblemKind::Shrink,
        ProblemKind::Refused,
        ProblemKind::Other,
    ];

    /// The name in the store and in views.
    pub fn name(self) -> &'static str {
        match self {
            ProblemKind::Unreachable => "unreachable",
            ProblemKind::Credentials => "credentials",
            ProblemKind::SignIn => "sign_in",
            ProblemKind::Consent => "consent",
            ProblemKind::Misfit => "misfit",
            ProblemKind::OwnProfile => "own_profile",
            ProblemKind::Shrink => "shrink",
            ProblemKind::Refused => "refused",
            ProblemKind::Other => "other",
        }
    }
}

/// What people and administrators asked the engine to do, from whichever process.
#[async_trait]
pub trait Wishes: Send + Sync {
    /// Leaves a wish for the engine.
    async fn wish(&self, practice: &PracticeId, wish: &Wish, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// The wishes not granted yet, oldest first.
    async fn open_wishes(&self) -> Result<Vec<OpenWish>, StoreError>;

    /// Marks a wish as granted.
    async fn granted(&self, id: i64, now: DateTime<Utc>) -> Result<(), StoreError>;
}

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Send liveness contract, resources and appointment types again.
    ResyncConfiguration,
    /// Send every day of the horizon again.
    ResyncAvailability,
    /// Compare every patient with what partners were told, and send again what they refused.
    ResyncPatients,
    /// The list of this name may shrink: `resources`, `appointment_types`, or the watched `appointments`.
    AcceptShrink(String),
}

/// A wish that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWish {
    /// Its number.
    pub id: i64,
    /// For which practice.
    pub practice: PracticeId,
    /// What.
    pub wish: Wish,
}

/// Who agreed to what. A line is appended and never changed.
#[async_trait]
pub trait Consents: Send + Sync {
    /// Appends the lines that say something new: one that says what the last line about that patient and partner says,
    /// guardian, photos and wording included, is left out. Each gets its line in the audit trail in the same
    /// transaction. Returns how many were appended. A partner that was told of a patient before hears nothing by this.
    async fn record_consents(&self, lines: &[ConsentLine]) -> Result<u64, StoreError>;

    /// The last line about each patient, of those about whom there is any, in the order of their keys.
    async fn consents(&self, practice: &PracticeId, partner: &PartnerId) -> Result<Vec<Consent>, StoreError>;

    /// The same, of patients about whom there is a line with a greater number than `after`, in the order of the numbers.
    async fn consents_since(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        after: i64,
    ) -> Result<Vec<Consent>, StoreError>;

    /// The last line about one patient.
    async fn consent(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        patient: &PatientRef,
    ) -> Result<Option<Consent>, StoreError>;

    /// Every line about one patient, of every partner, oldest first.
    async fn consent_history(
        &self,
        practice: &PracticeId,
        patient: &PatientRef,
    ) -> Result<Vec<Consent>, StoreError>;

    /// The number of the last line of all; it rises with every line, from whichever process.
    async fn last_consent(&self) -> Result<i64, StoreError>;

    /// What the practice system answered about each patient when it was last read, of those about whom it ever said
    /// anything.
    async fn kept_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<Vec<KeptAnswer>, StoreError>;

    /// Keeps answers of the practice system, and appends what follows from them as [`Self::record_consents`] does, each
    /// answer with its line in one transaction. Where somebody recorded something about the patient in between, neither
    /// is kept, and the answer has to be decided anew. The trail says `now`. Returns how many lines were appended, and
    /// how many answers were left.
    ///
    /// `read_with` is the profile of the practice system that gave them. Where the practice has another one since, or is
    /// gone, its patients' keys are other people's there: nothing is kept, and it is [`StoreError::Stale`].
    async fn keep_answers(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
        read_with: &str,
        answers: &[DecidedAnswer],
        now: DateTime<Utc>,
    ) -> Result<(u64, u64), StoreError>;
}

/// An answer of the practice system, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedAnswer {
    /// The answer.
    pub answer: KeptAnswer,
    /// The number of the last line about the patient by which it was decided; none where there was no line.
    pub last: Option<i64>,
    /// The line that follows from it; none where nothing does.
    pub line: Option<ConsentLine>,
}

/// The links between things here and at partners.
#[async_trait]
pub trait Links: Send + Sync {
    /// Every link of a practice; of one partner, or of all. In the order of partner, kind and local id.
    async fn links(
        &self,
        practice: &PracticeId,
        partner: Option<&PartnerId>,
    ) -> Result<Vec<Link>, StoreError>;

    /// One link.
    async fn link(&self, key: &LinkKey) -> Result<Option<Link>, StoreError>;

    /// Adds or replaces links, and appends lines to the audit trail, in one transaction, durable when this returns.
    async fn save_links(&self, links: &[Link], audit: &[AuditLine]) -> Result<(), StoreError>;

    /// How many links of a practice at a partner stand in each state.
    async fn link_counts(
        &self,
        practice: &PracticeId,
        partner: &PartnerId,
    ) -> Result<BTreeMap<LinkState, u32>, StoreError>;

    /// Keeps a link where there is none of its key, durable when this returns, and answers the one that stands: whoever else
    /// began it at the same moment gets the same.
    async fn begin_link(&self, link: &Link) -> Result<Link, StoreError>;

    /// Forgets one link, and appends lines to the audit trail, in one transaction, durable when this returns.
    async fn forget_link(&self, key: &LinkKey, audit: &[AuditLine]) -> Result<(), StoreError>;

    /// Forgets every link of a practice at a partner: the account was replaced, and knows none of them.
    async fn forget_links(&self, practice: &PracticeId, partner: &PartnerId) -> Result<u64, StoreError>;
}

/// What left this computer. See [`crate::audit`].
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// Appends lines, each with the digest over itself and the one before.
    async fn audit(&self, lines: &[AuditLine]) -> Result<(), StoreError>;

    /// The lines with a greater number than `after`, oldest first, at most `limit`.
    async fn audited(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// The number of the first line whose digest does not fit, or that is missing; none where all fit.
    async fn audit_broken_at(&self) -> Result<Option<i64>, StoreError>;
}

/// What the practice chose.
#[async_trait]
pub trait SettingsBook: Send + Sync {
    /// Every practice, in the order of their ids.
    async fn practices(&self) -> Result<Vec<PracticeSettings>, StoreError>;

    /// Adds or replaces a practice. Where its VALD account is another one than before, or none, the links at VALD and
    /// every mark under [`PROFILES`] are forgotten in the same transaction: no other account knows them. A new account
    /// is then written down under [`PROFILES_ANEW`]. Fails with [`StoreError::ConsentsOfOthers`] where consents of this id
    /// were recorded with another system profile; where there are none, what is known of the former system's patients is
    /// forgotten with the change.
    async fn save_practice(&self, settings: &PracticeSettings) -> Result<(), StoreError>;

    /// Unlinks a practice: settings, secrets, marks, notes and links go; its bookings, consents and audit trail stay.
    /// Returns whether it was there.
    async fn remove_practice(&self, practice: &PracticeId) -> Result<bool, StoreError>;

    /// What holds for the whole program.
    async fn app_settings(&self) -> Result<AppSettings, StoreError>;

    /// Replaces what holds for the whole program.
    async fn save_app_settings(&self, settings: &AppSettings) -> Result<(), StoreError>;
}

/// The secrets.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads a secret.
    async fn secret(&self, name: &SecretName) -> Result<Option<SecretString>, StoreError>;

    /// Writes a secret.
    async fn keep_secret(&self, name: &SecretName, secret: SecretString) -> Result<(), StoreError>;

    /// Forgets a secret.
    async fn forget_secret(&self, name: &SecretName) -> Result<(), StoreError>;
}

/// What happened, in lines for people: the activity on the overview, and the strip of round trips.
#[async_trait]
pub trait Activity: Send + Sync {
    /// Adds a line. Names nobody.
    async fn tell(&self, practice: &PracticeId, line: &ActivityLine) -> Result<(), StoreError>;

    /// The lines since `since`, oldest first.
    async fn told(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<ActivityLine>, StoreError>;

    /// From booking made to partner answered, of each booking answered since `since`, in milliseconds, oldest first.
    async fn round_trips(
        &self,
        practice: &PracticeId,
        since: DateTime<Utc>,
    ) -> Result<Vec<(DateTime<Utc>, u32)>, StoreError>;
}

/// A line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityLine {
    /// When, or for what lasted when it ended.
    pub at: DateTime<Utc>,
    /// For what lasted: when it began.
    pub began_at: Option<DateTime<Utc>>,
    /// `outage`, `recovered`, `wake`, `resync`, …
    pub kind: String,
    /// The sentence.
    pub text: String,
}

/// Whether settings, secrets, wishes or consents have moved, from whichever process.
#[async_trait]
pub trait Revision: Send + Sync {
    /// A number that differs after anybody, in this process or another, changed settings, secrets, wishes or consents. It
    /// may differ without a change. Cheap enough for every second.
    async fn revision(&self) -> Result<u64, StoreError>;
}

/// Everything a store offers. One struct implements it.
pub trait Store:
    BookingLedger
    + DocumentLedger
    + SettledPeople
    + Marks
    + Watermarks
    + Wishes
    + Consents
    + Links
    + AuditTrail
    + SettingsBook
    + Vault
    + Activity
    + Revision
{
}

impl<T> Store for T where
    T: BookingLedger
        + DocumentLedger
        + SettledPeople
        + Marks
        + Watermarks
        + Wishes
        + Consents
        + Links
        + AuditTrail
        + SettingsBook
        + Vault
        + Activity
        + Revision
{
}
