//! Validic: patients connect devices of their own, under a name that tells nobody who they are.

mod client;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(test)]
mod tests;
mod translate;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignProfileId, PartnerId, PracticeId, SyncId};
use domain::ports::enrolment::{DeviceChange, DeviceEnrolment, DevicePage, Enrolled, Enrolling};
use domain::ports::partner::Partner;

use super::{Account, SetupError};
use crate::card::{Card, Field, FieldKind};
use crate::http::Http;
use client::Client;

/// The name of the folder, and in settings.
pub const NAME: &str = "validic";

/// The form of the API that is in use since 2019 (contract sheet §1 to §7).
pub const INFORM_V2: &str = "inform-v2";
/// The form of the guide of 2015 (contract sheet §9).
pub const LEGACY_V1: &str = "legacy-v1";

/// How many days one question about connections may span (contract sheet §4, §11).
const LONGEST_SPAN: u32 = 30;

/// How Validic introduces itself (contract sheet §1, §2).
pub const CARD: Card = Card {
    name: NAME,
    title: "Validic",
    purpose: "Lets patients who agreed to that connect their own devices, under a name that tells nobody who they are.",
    fields: &[
        Field {
            key: "organization_id",
            label: "Organisation id",
            kind: FieldKind::Text,
            default: None,
            optional: false,
            where_to_find: &[
                "Sign in to the Validic dashboard at https://dashboard.validic.com as an administrator.",
                "Open the settings of your organisation. The organisation id stands beside its name, 24 letters and \
                 digits.",
            ],
        },
        TOKEN,
        Field {
            key: "api",
            label: "Form of the API",
            kind: FieldKind::Choice(&[INFORM_V2, LEGACY_V1]),
            default: Some(INFORM_V2),
            optional: false,
            where_to_find: &[
                "Leave it as it is. Only an organisation that has been with Validic since before 2019, and was never \
                 moved, needs the other one.",
            ],
        },
        Field {
            key: "base_url",
            label: "Address",
            kind: FieldKind::Address,
            default: None,
            optional: true,
            where_to_find: &["Leave it empty, unless Validic told you another address."],
        },
    ],
    consent_steps: &["Ask your contact at Validic to switch the API on for your organisation."],
    connects_devices: true,
    joins_records: false,
    when_unlinked: "Patients stay registered at Validic, and who is who stays on record here: link it again before you \
                    withdraw consents, so that they can be removed there.",
};

/// Asked for by [`client`], which needs it in every request.
const TOKEN: Field = Field {
    key: "token",
    label: "Token",
    kind: FieldKind::Secret,
    default: None,
    optional: false,
    where_to_find: &[
        "It stands in the Validic dashboard beside the organisation id, as the organisation's token.",
        "Whoever has it can read and remove every patient of the organisation: pass it on to nobody.",
    ],
};

/// Opens an account; nothing is sent yet.
///
/// # Errors
/// [`SetupError`] says what is wrong with it.
pub fn open(account: &Account<'_>, http: &Http) -> Result<Arc<dyn Partner>, SetupError> {
    Ok(Arc::new(Validic::new(account, http)?))
}

/// One organisation at Validic, for one practice.
pub struct Validic {
    id: PartnerId,
    practice: PracticeId,
    client: Client,
}

impl Validic {
    /// An account; nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] says what is wrong with it.
    pub fn new(account: &Account<'_>, http: &Http) -> Result<Self, SetupError> {
        let client = Client::new(account, http)?;
        Ok(Self { id: PartnerId::new(NAME), practice: account.practice.clone(), client })
    }
}

#[async_trait]
impl Partner for Validic {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        format!("{} {}", self.practice, self.client.fingerprint())
    }

    fn retire(&self) {
        self.client.retire();
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.client.check().await
    }

    fn device_enrolment(&self) -> Option<&dyn DeviceEnrolment> {
        Some(self)
    }
}

#[async_trait]
impl DeviceEnrolment for Validic {
    fn organisation(&self) -> String {
        self.client.organisation().to_owned()
    }

    fn new_name(&self) -> Result<SyncId, ReadError> {
        let mut random = [0; translate::NAME_BYTES];
        getrandom::fill(&mut random).map_err(|error| ReadError::Unreachable(Box::new(error)))?;
        Ok(translate::name(random))
    }

    fn fields(&self) -> Vec<&'static str> {
        self.client.fields()
    }

    async fn enrol(&self, name: &SyncId) -> Result<Enrolling, WriteError> {
        self.client.enrol(name).await
    }

    async fn enrolled(&self, name: &SyncId) -> Result<Option<Enrolled>, ReadError> {
        self.client.enrolled(name).await
    }

    async fn renew_page(&self, name: &SyncId, id: &ForeignProfileId) -> Result<DevicePage, WriteError> {
        self.client.renew_page(name, id).await
    }

    async fn remove(&self, name: &SyncId, id: Option<&ForeignProfileId>) -> Result<(), WriteError> {
        self.client.remove(name, id).await
    }

    async fn changes(&self, first: NaiveDate, last: NaiveDate) -> Result<Vec<DeviceChange>, ReadError> {
        self.client.changes(first, last).await
    }

    fn longest_span(&self) -> u32 {
        LONGEST_SPAN
    }
}
