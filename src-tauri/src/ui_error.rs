//! Every failure that the window can see → a code and a sentence.

use crate::view::{ErrorCode, UiError};
use domain::failure::{ReadError, WriteError};
use domain::ports::store::{Leg, StoreError};
use sync::desk::ChoiceError;

/// A failure with a code of its own.
pub fn failure(code: ErrorCode, message: impl Into<String>) -> UiError {
    UiError { code, message: message.into() }
}

/// An input that cannot be accepted, with which and why.
pub fn bad_input(message: impl Into<String>) -> UiError {
    failure(ErrorCode::InputInvalid, message)
}

impl From<StoreError> for UiError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Stale | StoreError::Illegal(_) => ErrorCode::BookingChanged,
            StoreError::Missing => ErrorCode::BookingUnknown,
            StoreError::DiskFull => ErrorCode::DiskFull,
            StoreError::ReadOnly => ErrorCode::FolderReadOnly,
            StoreError::ConsentsOfOthers { .. } => ErrorCode::InputInvalid,
            StoreError::Failed(_) => ErrorCode::Unknown,
        };
        tracing::warn!(cause = sync::flows::error_chain(&error), "The window's request failed.");
        failure(code, error.to_string())
    }
}

impl From<ChoiceError> for UiError {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::TooLate => failure(ErrorCode::BookingChanged, error.to_string()),
            ChoiceError::Uncorrectable(_) => failure(ErrorCode::PatientStays, error.to_string()),
            ChoiceError::Unknown => failure(ErrorCode::BookingUnknown, error.to_string()),
            ChoiceError::Store(error) => error.into(),
        }
    }
}

/// A connection that was tried and did not work.
pub fn of_connection(leg: Leg, error: &ReadError) -> UiError {
    let (system, vald) = (leg == Leg::System, leg == Leg::Profiles);
    let account = matches!(leg, Leg::Account(_));
    let code = match error {
        ReadError::SignInNeeded => ErrorCode::SignInNeeded,
        ReadError::NotAuthorised | ReadError::NoConsent if account => ErrorCode::AccountRefused,
        ReadError::Unreachable(_)
        | ReadError::SlowDown { .. }
        | ReadError::Garbled(_)
        | ReadError::NotFound
            if account =>
        {
            ErrorCode::AccountUnreachable
        }
        ReadError::NotAuthorised if vald => ErrorCode::ValdKeyRefused,
        ReadError::NoConsent | ReadError::NotFound if vald => ErrorCode::ValdTenantRefused,
        ReadError::Unreachable(_) | ReadError::SlowDown { .. } | ReadError::Garbled(_) if vald => {
            ErrorCode::ValdUnreachable
        }
        ReadError::NotAuthorised if system => ErrorCode::PracticeCredentialsRefused,
        ReadError::NotAuthorised => ErrorCode::PartnerKeyRefused,
        ReadError::NoConsent => ErrorCode::PartnerConsentMissing,
        ReadError::SlowDown { .. } if !system => ErrorCode::PartnerBusy,
        ReadError::Misfit(_) => ErrorCode::PracticeSchemaUnknown,
        ReadError::OwnProfile(_) => ErrorCode::ProfileInvalid,
        ReadError::Garbled(_) if !system => ErrorCode::PartnerGarbled,
        ReadError::NotFound if !system => ErrorCode::AddressInvalid,
        ReadError::Unreachable(_) | ReadError::SlowDown { .. } | ReadError::Garbled(_) if system => {
            ErrorCode::PracticeUnreachable
        }
        ReadError::Unreachable(_) => ErrorCode::PartnerUnreachable,
        ReadError::SlowDown { .. } | ReadError::Garbled(_) | ReadError::NotFound | ReadError::Invalid(_) => {
            ErrorCode::Unknown
        }
    };
    tracing::info!(
        leg = leg.name(),
        cause = sync::flows::error_chain(error),
        "A connection was tried and did not work."
    );
    failure(code, sync::health::problem(leg, error).sentence)
}

/// Something that was to be changed at the other side and was not, or perhaps not.
pub fn of_write(leg: Leg, error: &WriteError) -> UiError {
    match error {
        WriteError::Refused(refusal) => {
            bad_input(format!("{} refuses it: {refusal}.", sync::health::who(&leg)))
        }
        WriteError::Untouched(error) => of_connection(leg, error),
        WriteError::Unknown(error) => {
            let UiError { code, message } = of_connection(leg, error);
            failure(code, format!("{message} Whether it was done is not known."))
        }
    }
}
