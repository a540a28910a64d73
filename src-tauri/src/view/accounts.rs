//! Partners whose form is drawn from their card, as the window shows them.

use super::{JoiningView, Light, ProblemView};
use serde::{Deserialize, Serialize};
use specta::Type;
use std::collections::BTreeMap;

/// A partner that can be linked, as its card introduces it.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PartnerCardView {
    /// Its name in the provisioning file: `validic`.
    pub name: String,
    /// The name that people know.
    pub title: String,
    /// What it does for the practice, in a sentence.
    pub purpose: String,
    /// What has to be entered, in order.
    pub fields: Vec<CardFieldView>,
    /// What becomes of what was linked when the account is unlinked, in a sentence.
    pub when_unlinked: String,
}

/// Something that has to be entered.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CardFieldView {
    /// Its key.
    pub key: String,
    /// The label beside it.
    pub label: String,
    /// What it may hold.
    pub kind: CardFieldKind,
    /// What can be chosen, where it is a choice.
    pub choices: Vec<String>,
    /// What is meant where it is left empty; None where nothing is.
    pub default: Option<String>,
    /// Whether it may stay empty although nothing is meant by that.
    pub optional: bool,
    /// Where to find it, step by step.
    pub where_to_find: Vec<String>,
}

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum CardFieldKind {
    /// Any text.
    Text,
    /// A text that is never shown again.
    Secret,
    /// An e-mail address.
    Email,
    /// A web address.
    Address,
    /// One of its choices.
    Choice,
}

/// An account with such a partner.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    /// The partner's name: `validic`.
    pub partner: String,
    /// The name that people know.
    pub title: String,
    /// How it is doing.
    pub light: Light,
    /// Who or what is linked.
    pub linked: u32,
    /// On its way.
    pub pending: u32,
    /// What waits for a person.
    pub needs_person: u32,
    /// What the partner refused, or has linked otherwise.
    pub failed: u32,
    /// How records are joined with the partner's; None where it joins none.
    pub joining: Option<JoiningView>,
    /// When the partner last answered.
    pub last_answer_at: Option<String>,
    /// What is wrong.
    pub problem: Option<ProblemView>,
}

/// What stands in the fields of a linked account.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AccountSetupView {
    /// The partner's name.
    pub partner: String,
    /// By their keys, all but the secrets.
    pub fields: BTreeMap<String, String>,
    /// The keys of the secrets that are stored.
    pub secrets: Vec<String>,
}

/// What somebody typed into the form of a partner.
#[derive(Clone, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AccountInput {
    /// The partner's name.
    pub partner: String,
    /// By their keys, all but the secrets.
    pub fields: BTreeMap<String, String>,
    /// By their keys; one that is missing keeps what is stored.
    pub secrets: BTreeMap<String, String>,
}

/// What a partner answered to a test of its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AccountTest {
    /// The name under which it knows the account, where it has one.
    pub name: Option<String>,
    /// How long it took to answer.
    pub latency_ms: u32,
}

/// How it stands with a patient's devices at a partner.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DevicesView {
    /// The partner's name.
    pub partner: String,
    /// The name that people know.
    pub title: String,
    /// Whether consent is there: only then can devices be connected.
    pub allowed: bool,
    /// Whether consent was refused or withdrawn, as against never asked for.
    pub withdrawn: bool,
    /// Whether the partner has a page for the patient.
    pub registered: bool,
    /// What is missing or was refused, in a sentence.
    pub reason: Option<String>,
    /// The kinds of devices that are connected, in the partner's words.
    pub devices: Vec<String>,
}

/// Where a patient connects devices: shown once it is asked for, and kept by the window no longer than it is shown.
#[derive(Clone, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DevicePageView {
    /// The address. Whoever has it is taken for the patient.
    pub address: String,
    /// How many units wide and high the code for a phone's camera is.
    pub size: u32,
    /// The outline of its dark squares, as SVG writes one.
    pub path: String,
}
