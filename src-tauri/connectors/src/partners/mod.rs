//! The partners: one line each.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::{PartnerId, PracticeId};
use domain::ports::partner::Partner;
use domain::private::SecretString;
use domain::settings::{PartnerAccount, SecretKind};
use domain::time::PracticeZone;

use crate::card::{Card, FieldMistake};
use crate::http::{EndpointError, Http};

#[cfg(test)]
mod tests;

pub mod healthengine;
pub mod hint;
pub mod vald;
pub mod validic;

/// The partners whose settings, forms and commands are drawn from their card, in the order in which people see them.
/// A new one is a folder and a line here.
pub const LINKABLE: &[Linkable] = &[
    Linkable { card: &validic::CARD, open: validic::open },
    Linkable { card: &hint::CARD, open: hint::open },
];

/// The partners that have settings of their own, because these have a structure that no card carries.
const OTHERS: &[&Card] = &[&healthengine::CARD, &vald::CARD];

/// A partner whose account is drawn from its card.
#[derive(Clone, Copy, Debug)]
pub struct Linkable {
    /// How it introduces itself.
    pub card: &'static Card,
    /// Opens an account; nothing is sent yet.
    pub open: Opening,
}

/// How an account is opened.
pub type Opening = fn(&Account<'_>, &Http) -> Result<Arc<dyn Partner>, SetupError>;

impl Linkable {
    /// Its id, which is the name of its folder.
    pub fn id(&self) -> PartnerId {
        PartnerId::new(self.card.name)
    }

    /// The secrets of an account, in the order of the card.
    pub fn secrets(&self) -> impl Iterator<Item = SecretKind> {
        let partner = self.card.name;
        self.card.secret_fields().map(move |field| SecretKind::Account { partner, key: field.key })
    }
}

/// The partner with this name, if its account is drawn from its card.
pub fn linkable(name: &str) -> Option<&'static Linkable> {
    LINKABLE.iter().find(|linkable| linkable.card.name == name)
}

/// The names of the partners that are told about patients only where these consent.
pub fn of_patients() -> impl Iterator<Item = &'static str> {
    [vald::NAME].into_iter().chain(LINKABLE.iter().map(|linkable| linkable.card.name))
}

/// How every partner introduces itself, in the order in which people see them.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    OTHERS.iter().copied().chain(LINKABLE.iter().map(|linkable| linkable.card))
}

/// The secrets of all accounts that are drawn from cards.
pub fn secrets() -> impl Iterator<Item = SecretKind> {
    LINKABLE.iter().flat_map(Linkable::secrets)
}

/// What an account is opened with.
pub struct Account<'a> {
    /// Whose.
    pub practice: &'a PracticeId,
    /// The time zone of the practice.
    pub zone: PracticeZone,
    /// What was entered, as [`Card::read`] read it.
    pub settings: &'a PartnerAccount,
    /// The secrets that are there, by the keys of the card.
    pub secrets: &'a BTreeMap<&'static str, SecretString>,
}

impl Account<'_> {
    /// What stands in a field; empty where it was left empty.
    pub fn text(&self, key: &str) -> &str {
        self.settings.text(key)
    }

    /// A secret that has to be there.
    ///
    /// # Errors
    /// [`SetupError::SecretMissing`] where it is not.
    pub fn secret(&self, field: &'static crate::card::Field) -> Result<&SecretString, SetupError> {
        self.secrets.get(field.key).ok_or(SetupError::SecretMissing(field.label))
    }
}

/// Why an account cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A secret that was never entered.
    #[error("the {0} is missing")]
    SecretMissing(&'static str),
    /// A field that holds what it cannot.
    #[error(transparent)]
    Field(#[from] FieldMistake),
    /// An address, or credentials that cannot be sent.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}
