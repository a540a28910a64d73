//! Patients, their consents and their links, as the window shows them.

use super::{DevicesView, JoinedView, Light, NamedView, ProblemView, ProgressView};
use serde::{Deserialize, Serialize};
use specta::Type;

/// What somebody types to find a patient.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PatientQuery {
    /// Only of this practice; None is all of them.
    pub practice_id: Option<String>,
    /// Letters of a name, a birth date, a patient number or a phone number.
    pub text: String,
    /// How many at most.
    pub limit: u32,
}

/// Who was found.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PatientHits {
    /// The best first.
    pub hits: Vec<PatientView>,
    /// True while the book's patients are still being read, so that more may be found in a moment.
    pub reading: bool,
    /// How many patients are searched.
    pub patients: u32,
}

/// A patient in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PatientView {
    /// The practice.
    pub practice_id: String,
    /// The practice system's key.
    pub patient_id: String,
    /// Given name.
    pub given_name: String,
    /// Family name.
    pub family_name: String,
    /// A date.
    pub birth_date: Option<String>,
    /// The number that staff know the patient by.
    pub number: String,
    /// Inactive or deceased in the practice system.
    pub inactive: bool,
    /// True below eighteen, and where the birth date is not known: a guardian has to agree.
    pub minor: bool,
    /// How it stands with VALD Hub; None where the practice has no VALD account.
    pub vald: Option<ValdPatientView>,
}

/// How it stands with a patient's VALD profile.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ValdPatientView {
    /// Which sentence is shown.
    pub state: ValdPatientState,
    /// What is missing or was refused, in words.
    pub reason: Option<String>,
    /// Whether the profile's page can be opened: it is linked, and the landing address is known.
    pub can_open: bool,
    /// Whether it can be sent now: consent is there, and it is not linked yet.
    pub can_link: bool,
}

/// How far a patient's VALD profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ValdPatientState {
    /// Nobody asked the patient for consent yet.
    NotAsked,
    /// Consent was refused or withdrawn.
    Withdrawn,
    /// Consented, and on its way or about to be.
    OnItsWay,
    /// VALD has it.
    Linked,
    /// Somebody has to supply or decide something; see the reason.
    NeedsPerson,
    /// VALD refused it; see the reason.
    Refused,
    /// Not kept in step any more; see the reason.
    Ended,
}

/// Everything about one patient.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PatientCardView {
    /// Who.
    pub patient: PatientView,
    /// How it stands with devices, at each linked partner that has any.
    pub devices: Vec<DevicesView>,
    /// How it stands with the record at each linked partner that joins records.
    pub joined: Vec<JoinedView>,
    /// The links to partners.
    pub links: Vec<LinkView>,
    /// Every line about consent, newest first.
    pub consents: Vec<ConsentView>,
    /// What left this computer about the patient, newest first, at most a hundred lines.
    pub left: Vec<LeftView>,
    /// Appointments from today on, as far as the book was read.
    pub visits: Vec<VisitView>,
}

/// A link to a partner.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    /// The patient.
    pub patient_id: String,
    /// The name to show; empty where the record is gone.
    pub patient_name: String,
    /// `vald`.
    pub partner: String,
    /// `linked`, `pending`, `needs_person`, `conflict`, `failed`, `ended`.
    pub state: String,
    /// What the partner calls it.
    pub partner_id: Option<String>,
    /// Since when it has been in this state.
    pub since: String,
    /// Why it is not linked.
    pub reason: Option<String>,
    /// When the partner accepted something last.
    pub accepted_at: Option<String>,
    /// Whether the patient's page at the partner can be opened.
    pub can_open: bool,
}

/// A line about consent.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// Its number, which the lines about what left refer to.
    pub number: u32,
    /// `vald`.
    pub partner: String,
    /// True for yes.
    pub given: bool,
    /// The guardian who agreed.
    pub guardian: Option<String>,
    /// Whether photos and videos were agreed to.
    pub photo_and_video: bool,
    /// How it was said.
    pub how: ConsentHowView,
    /// Who wrote it down.
    pub recorded_by: String,
    /// The version of the wording; empty where nobody said.
    pub wording: String,
    /// When it was written down.
    pub at: String,
}

/// How consent came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ConsentHowView {
    /// Asked at the desk.
    AtDesk,
    /// On a form.
    Form,
    /// Collected before this program came.
    CollectedBefore,
    /// Read from the practice system.
    PracticeSystem,
}

/// Something that left this computer, or happened to what left.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LeftView {
    /// Its number in the audit trail.
    pub number: u32,
    /// When; None where the line cannot be read.
    pub at: Option<String>,
    /// `vald`; empty where the line cannot be read.
    pub partner: String,
    /// `sent`, `not_sent`, `refused`, `opened`, `ended`, `consent_given`, `consent_withdrawn`, or `unreadable`.
    pub what: String,
    /// The names of the fields that left, in the partner's words.
    pub fields: Vec<String>,
    /// Under which consent.
    pub consent: Option<u32>,
    /// Who did it, where a person did.
    pub by: Option<String>,
}

/// What somebody writes down about consent.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ConsentInput {
    /// The guardian who agreed, for a minor.
    pub guardian: Option<String>,
    /// Whether photos and videos are agreed to.
    pub photo_and_video: bool,
    /// How it was said.
    pub how: ConsentHowView,
    /// The version of the wording; may be empty.
    pub wording: String,
    /// Who writes it down.
    pub recorded_by: String,
}

/// Who comes today, by practitioner.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TodayView {
    /// The practice.
    pub practice_id: String,
    /// The practice-local date.
    pub day: String,
    /// When the book was read; None before its first reading.
    pub read_at: Option<String>,
    /// In the order of the practitioners' names; those whom nobody sees today are left out.
    pub practitioners: Vec<TodayColumnView>,
    /// How many patients come today, each counted once.
    pub patients: u32,
    /// How many of them are linked to VALD Hub.
    pub linked: u32,
    /// How many consented and are not linked yet: one click links them.
    pub can_link: u32,
    /// Whether the practice has a VALD account.
    pub has_vald: bool,
}

/// A practitioner's day.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TodayColumnView {
    /// The resource.
    pub resource_id: String,
    /// The name people see.
    pub name: String,
    /// In the order of their times.
    pub visits: Vec<VisitView>,
}

/// An appointment of a patient.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct VisitView {
    /// The practice system's key.
    pub appointment_id: String,
    /// A date.
    pub day: String,
    /// A time of day.
    pub starts: String,
    /// Minutes.
    pub length: u32,
    /// The practitioner or room.
    pub resource: String,
    /// What it is, `Initial consultation`.
    pub appointment_type: Option<String>,
    /// Who comes; None where the record cannot be read.
    pub patient: Option<PatientView>,
}

/// The VALD account of a practice.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ValdView {
    /// How it is doing.
    pub light: Light,
    /// Profiles that VALD has.
    pub linked: u32,
    /// Profiles on their way.
    pub pending: u32,
    /// Profiles that wait for a person.
    pub needs_person: u32,
    /// Profiles that VALD refused, or has linked otherwise.
    pub failed: u32,
    /// Profiles being sent.
    pub progress: Option<ProgressView>,
    /// When VALD last answered.
    pub last_answer_at: Option<String>,
    /// Whether the landing address is known, so that pages can be opened.
    pub can_open: bool,
    /// Groups that the settings name and VALD does not know.
    pub unknown_groups: Vec<String>,
    /// What is wrong.
    pub problem: Option<ProblemView>,
}

/// What has to be entered for VALD Hub.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ValdInput {
    /// VALD's id of the organisation, a UUID.
    pub tenant_id: String,
    /// None keeps what is stored.
    pub client_id: Option<String>,
    /// None keeps what is stored.
    pub client_secret: Option<String>,
    /// `aue`, `use` or `euw`; None lets it be found.
    pub region: Option<String>,
    /// The landing address with its two placeholders; None hides the button.
    pub hub_url: Option<String>,
    /// Into which groups new profiles are put.
    pub groups: Vec<GroupRuleView>,
    /// Whether everybody who records consent is an adult.
    pub staff_are_adults: bool,
}

/// A group and whose new profiles are put into it. With neither resource nor location it is everybody's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct GroupRuleView {
    /// The group's name or id.
    pub group: String,
    /// Only of those who see this practitioner.
    pub resource_id: Option<String>,
    /// Only of those who come to this location.
    pub location_id: Option<String>,
}

/// What VALD answered to a test of its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ValdTest {
    /// The organisation's name, to be confirmed by a person.
    pub tenant_name: String,
    /// Where its data lies: `aue`, `use`, `euw`.
    pub region: String,
    /// Its groups.
    pub groups: Vec<NamedView>,
}

/// What stands in the fields of a linked VALD account.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ValdSetupView {
    /// VALD's id of the organisation.
    pub tenant_id: String,
    /// Where its data lies.
    pub region: String,
    /// Whether an id and a secret are stored.
    pub has_credentials: bool,
    /// The landing address.
    pub hub_url: Option<String>,
    /// Into which groups new profiles are put.
    pub groups: Vec<GroupRuleView>,
    /// Whether everybody who records consent is an adult.
    pub staff_are_adults: bool,
}
