//! The last word on whether a patient's details leave: the consent, as it stands when nothing is left to wait for.

use super::Profiles;
use crate::flows::Ports;
use async_trait::async_trait;
use domain::ids::{PartnerId, PatientRef};
use domain::ports::register::LastWord;
use domain::ports::store::StoreError;
use std::sync::{Mutex, PoisonError};

/// Lets something leave while the consent under which it was prepared is the last one.
pub(super) struct UnderConsent<'a> {
    ports: &'a Ports,
    partner: &'a PartnerId,
    patient: &'a PatientRef,
    consent: i64,
    /// Set once it said no: because the consent is another one, or because nobody could tell.
    said_no: Mutex<Option<Result<(), StoreError>>>,
}

impl Profiles {
    /// The last word about one patient, for what was prepared under the consent of that number.
    pub(super) fn under_consent<'a>(&'a self, patient: &'a PatientRef, consent: i64) -> UnderConsent<'a> {
        let (ports, partner) = (&self.ports, self.partner.id());
        UnderConsent { ports, partner, patient, consent, said_no: Mutex::default() }
    }
}

impl UnderConsent<'_> {
    /// Whether it said no, once the call is over.
    ///
    /// # Errors
    /// It said no because the store failed.
    pub(super) fn said_no(self) -> Result<bool, StoreError> {
        let said_no = self.said_no.into_inner().unwrap_or_else(PoisonError::into_inner);
        said_no.map_or(Ok(false), |why| why.map(|()| true))
    }
}

#[async_trait]
impl LastWord for UnderConsent<'_> {
    async fn may_leave(&self) -> bool {
        let last = self.ports.store.consent(self.ports.id(), self.partner, self.patient).await;
        let no = match last {
            Ok(last) if last.as_ref().map(|last| last.number) == Some(self.consent) => return true,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        *self.said_no.lock().unwrap_or_else(PoisonError::into_inner) = Some(no);
        false
    }
}
