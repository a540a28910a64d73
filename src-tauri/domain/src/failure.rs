//! How things fail, sorted by what can be done about it.

use chrono::TimeDelta;

/// What lies beneath a failure. Never holds a name, a number of a person, or a secret.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A read that did not work. Reading again is always safe.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nobody answered in time, or the connection broke. Wait and try again.
    #[error("no answer")]
    Unreachable(#[source] Cause),
    /// The other side asked for patience (429, or 503 with `Retry-After`).
    #[error("asked to slow down")]
    SlowDown {
        /// How long to wait at least, where it said so.
        retry_after: Option<TimeDelta>,
    },
    /// The key or password was refused (401). A person has to renew it.
    #[error("our credentials were refused")]
    NotAuthorised,
    /// Nobody has signed in, or the sign-in has ended. A person has to sign in.
    #[error("somebody has to sign in")]
    SignInNeeded,
    /// The practice's consent is missing or was withdrawn (403). A person has to grant it.
    #[error("the practice's consent is missing")]
    NoConsent,
    /// The thing asked for is not there (404).
    #[error("not found")]
    NotFound,
    /// An answer that cannot be understood. Nothing may be concluded from it.
    #[error("an answer we cannot read")]
    Garbled(#[source] Cause),
    /// The other side says that the request is wrong (400). Sending it again unchanged is useless.
    #[error("our request was refused: {0}")]
    Invalid(String),
    /// The practice database is not one that the profile knows. Nothing was read; the text says what differs.
    #[error("the practice database differs from what this profile knows: {0}")]
    Misfit(String),
    /// The database refuses what the clinic's own profile asks it. Nothing was read; the text says where in the file, and
    /// what is wrong there.
    #[error("the clinic's own profile has a mistake: {0}")]
    OwnProfile(String),
}

/// A write that did not work, sorted by whether it may have happened.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The other side considered it and said no. Nothing was written.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// It failed before it could be written.
    #[error("not written")]
    Untouched(#[source] ReadError),
    /// It may or may not have been written. Look before writing again.
    #[error("unknown whether it was written")]
    Unknown(#[source] ReadError),
}

/// Something that was not taken, sorted by how far it came. A trail of what left this computer has to tell the first from
/// the others; where only the writing matters, [`WriteError`] does.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing of it left this computer: there was no connection, no token to go with it, or it was held back.
    #[error("not sent")]
    NotSent(#[source] ReadError),
    /// It reached the other side, which took nothing of it.
    #[error("sent, and turned away")]
    TurnedAway(#[source] ReadError),
    /// It may have arrived, and may or may not have been taken.
    #[error("unknown whether it was taken")]
    Unknown(#[source] ReadError),
}

impl From<SendError> for WriteError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotSent(error) | SendError::TurnedAway(error) => WriteError::Untouched(error),
            SendError::Unknown(error) => WriteError::Unknown(error),
        }
    }
}

impl SendError {
    /// What lies beneath it, whatever came of the sending.
    pub fn into_cause(self) -> ReadError {
        match self {
            SendError::NotSent(error) | SendError::TurnedAway(error) | SendError::Unknown(error) => error,
        }
    }
}

/// Why something asked for will not be done, in a sentence that goes into the booking's history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else stands at that time in the book.
    #[error("the time is taken")]
    SlotTaken,
    /// The practitioner does not work at that time.
    #[error("the practitioner does not work at that time")]
    OutsideHours,
    /// The booking names nobody to see (HE sheet §4.1: the resource was removed in between).
    #[error("the booking names no practitioner")]
    ResourceMissing,
    /// The practitioner or room is not known, or not bookable any more.
    #[error("the practitioner or room is not known")]
    ResourceUnknown,
    /// The appointment type is not offered any more.
    #[error("the appointment type is not known")]
    TypeUnknown,
    /// The clocks skip this time of day on that day.
    #[error("that time does not exist on that day, because the clocks go forward")]
    TimeDoesNotExist,
    /// The time lies in the past.
    #[error("the time has passed")]
    TimeHasPassed,
    /// Zero, negative or absurd length.
    #[error("the length of the appointment makes no sense")]
    BadLength,
    /// No name to put into the book.
    #[error("the booking gives no name")]
    NameMissing,
    /// The partner's message has a field that cannot be read; the text names the field, never its value.
    #[error("the booking cannot be read: {0}")]
    Unreadable(String),
    /// The patient withdrew it before it was written.
    #[error("the patient cancelled")]
    PatientCancelled,
    /// A person at the desk said no.
    #[error("declined at the desk")]
    DeclinedAtDesk,
    /// Nobody at the desk decided in time.
    #[error("nobody decided in time")]
    NobodyDecided,
    /// We know nothing of the booking that a change speaks of (HE-26).
    #[error("the booking is not known here")]
    BookingUnknown,
    /// The partner does not know this booking any more (404).
    #[error("the partner does not know this booking any more")]
    UnknownToPartner,
    /// The appointment has begun or is over, so it cannot be cancelled from outside.
    #[error("the appointment has already begun")]
    AlreadyBegun,
    /// The appointment belongs to a series, which staff change by hand.
    #[error("the appointment belongs to a series")]
    Series,
    /// The practice database allows reading only.
    #[error("the practice database may only be read")]
    ReadOnly,
    /// The practice system said no, in its own words.
    #[error("{0}")]
    Other(String),
}
