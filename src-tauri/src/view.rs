//! What the window shows and what it may ask: view types only, no decision and no conversion.
//!
//! The window receives one [`AppView`] whole, by the event `view-changed` ([`ViewChanged`]) and once at its start
//! by the command `current_view`. Everything it asks is one of these commands, each `Result<T, UiError>`:
//!
//! | command | arguments | answers | does |
//! |---|---|---|---|
//! | `current_view` | – | [`AppView`] | the view as it is now |
//! | `find_bookings` | `query: BookingQuery` | [`BookingPage`] | a page of the ledger, newest first |
//! | `booking_history` | `practice_id, booking_id` | [`BookingHistory`] | the timeline behind "Why?" |
//! | `decide_booking` | `practice_id, booking_id, decision: BookingDecision` | `()` | what a person decided |
//! | `free_times` | `practice_id, booking_id, day: Option` | [`FreeTimesView`] | the free times of a day for a booking that could not be placed; without a day the nearest |
//! | `set_practice_enabled` | `practice_id, enabled` | `()` | pause or resume one practice |
//! | `set_all_enabled` | `enabled` | `()` | pause or resume every practice |
//! | `resync` | `practice_id, what: ResyncWhat` | `()` | sends again what Healthengine and VALD should know |
//! | `decide_shrunk_list` | `practice_id, list: ListKind, decision: ListDecision` | `()` | a list lost many entries: send it so, or look again |
//! | `day_book` | `practice_id, day` | [`DayBookView`] | a day of the book beside what Healthengine shows |
//! | `slot_story` | `practice_id, resource_id, day, start, end` | [`SlotStoryView`] | the timeline behind "Why?" on a time of the day |
//! | `acknowledge_notice` | `practice_id, at` | `()` | somebody has seen to what the notice of this instant says |
//! | `test_practice_system` | `practice_id: Option, system: SystemInput, time_zone` | [`SystemTest`] | connects and reads; changes nothing |
//! | `hookup_address` | `public_address` | `String` | the address to which Provet may send registrations, a secret |
//! | `accept_registration` | `registration` | `Option<`[`SystemAddress`]`>` | a linked practice takes it up, or the form begins with it |
//! | `refuse_registration` | `registration` | | forgets it |
//! | `sign_in_to_system` | `practice_id`, `system` | | asks a person to sign in, in the browser, and waits for that |
//! | `cancel_sign_in` | | | gives the sign-in up that is waited for |
//! | `read_registration` | `text` | [`SystemAddress`] | checks a registration of Provet Cloud's, field by field |
//! | `test_healthengine` | `practice_id: Option, account: HealthengineInput` | [`HealthengineTest`] | one cheap request with these keys |
//! | `link_practice` | `practice: PracticeInput` | `String` | saves a new practice, answers its id |
//! | `update_practice` | `practice_id, practice: PracticeInput` | `()` | saves a changed practice |
//! | `unlink_practice` | `practice_id` | `()` | stops and forgets a practice |
//! | `change_settings` | `settings: SettingsInput` | `()` | saves the settings |
//! | `open_logs_folder` | – | `()` | shows the folder in the file manager |
//! | `webhook_address` | `practice_id`, `book` | `Option<String>` | the public address at which its webhooks come in, those of its book or of Healthengine, a secret |
//! | `export_logs` | – | `String` | writes a zip, answers where it lies |
//! | `find_patients` | `query: PatientQuery` | [`PatientHits`] | who matches what was typed, from memory |
//! | `patient_card` | `practice_id, patient_id` | [`PatientCardView`] | everything about one patient |
//! | `patient_links` | `practice_id, state: Option` | `Vec<LinkView>` | links that need a person or were refused, or of one state; at most 500 |
//! | `today` | `practice_id` | [`TodayView`] | who comes today, with the state of each VALD profile |
//! | `give_consent` | `practice_id, patient_id, partner, consent: ConsentInput` | `()` | records consent for a partner |
//! | `withdraw_consent` | `practice_id, patient_id, partner, recorded_by` | `()` | records that it was refused or withdrawn |
//! | `link_patients` | `practice_id, patient_ids` | `u32` | sends these before all others, as far as they consented; answers how many |
//! | `open_in_vald` | `practice_id, patient_id, link_first` | `()` | opens the profile's page in the browser; with `link_first` waits up to 20 s for it to be linked |
//! | `test_vald` | `practice_id: Option, account: ValdInput` | [`ValdTest`] | tries the credentials, finds the region, reads the groups |
//! | `check_landing` | `practice_id: Option, hub_url, tenant_id, patient_id: Option` | `()` | checks the landing address, and opens it for a patient who is linked where one is given |
//! | `remove_former_links` | `practice_id, typed, recorded_by` | `()` | removes the sync ids of a former system from the whole VALD account; `typed` is the organisation's name |
//! | `test_account` | `practice_id, account: AccountInput` | [`AccountTest`] | one cheap request with what was typed |
//! | `save_account` | `practice_id, account: AccountInput` | `()` | tests it, and links the practice with the partner |
//! | `unlink_account` | `practice_id, partner` | `()` | forgets the account and its secrets |
//! | `connect_device` | `practice_id, patient_id, partner, anew` | [`DevicePageView`] | where the patient connects devices; with `anew` at a new address |
//! | `export_audit` | – | `String` | writes the audit trail as CSV, answers where it lies |
//! | `close_quick_open` | – | `()` | closes the small search box |
//! | `open_link` | `link: ExternalLink` | `()` | opens one of the known pages in the browser |
//!
//! Conventions: an instant is an RFC 3339 string in UTC (`2026-11-20T03:04:05.678Z`); the window formats it in the
//! practice's IANA zone, which stands beside it. A date is `2026-11-20`, a time of day `08:30`, both practice-local.
//! A secret goes in and never comes out: inputs hold `Option<String>` where `None` means "keep what is stored".
//! Numbers are 32 bits wide, since the window's language has no whole numbers of 64 bits.

mod accounts;
mod day;
mod joined;
mod people;

pub use accounts::{
    AccountInput, AccountSetupView, AccountTest, AccountView, CardFieldKind, CardFieldView, DevicePageView,
    DevicesView, PartnerCardView,
};
pub use day::{
    DayBookView, DayBookingView, DayColumnsView, DayDifferenceView, SlotChange, SlotStoryView,
    StoryEntryView, StoryLine, StretchKind, StretchView,
};

pub use joined::{
    FormerFitView, FormerNamesView, FormerRowView, JoinCandidateView, JoinChoice, JoinKind, JoinNameView,
    JoinOtherCandidateView, JoinOtherView, JoinedView, JoiningView,
};
pub use people::{
    ConsentHowView, ConsentInput, ConsentView, GroupRuleView, LeftView, LinkView, PatientCardView,
    PatientHits, PatientQuery, PatientView, TodayColumnView, TodayView, ValdInput, ValdPatientState,
    ValdPatientView, ValdSetupView, ValdTest, ValdView, VisitView,
};

use serde::{Deserialize, Serialize};
use specta::Type;

/// The event that carries every new view, `view-changed`.
#[derive(Clone, Debug, PartialEq, Serialize, Type, tauri_specta::Event)]
pub struct ViewChanged(pub AppView);

/// Everything the window shows, pushed whole after each change.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Rises with every view; the window drops one that is older than what it has.
    pub revision: u32,
    /// The engine's clock when the view was made. Countdowns run from it, not from the window's own clock.
    pub now: String,
    /// The zone for times that belong to no single practice: the first practice's, else this computer's; empty where
    /// neither is known.
    pub time_zone: String,
    /// The one sentence at the top.
    pub headline: Headline,
    /// What stops everything, such as a locked store. With it `practices` says nothing.
    pub problem: Option<ProblemView>,
    /// What happened to the records at this start, such as damaged ones that were moved aside, and what another program
    /// asked for a moment ago and did not get.
    pub notices: Vec<ProblemView>,
    /// Present while the app runs on its simulators.
    pub demo: bool,
    /// In the order in which they were linked; empty before the first one is.
    pub practices: Vec<PracticeView>,
    /// What needs a person, most urgent first.
    pub attention: Vec<AttentionView>,
    /// Every booking that is not finished, most urgent first.
    pub open_bookings: Vec<BookingView>,
    /// Rises whenever any booking changes: a shown page of the ledger is asked for again.
    pub ledger_revision: u32,
    /// The last 24 hours as a strip.
    pub round_trips: RoundTripsView,
    /// Whether this computer can be switched off without anybody waiting.
    pub switch_off: SwitchOffView,
    /// What was chosen on the settings screen.
    pub settings: SettingsView,
    /// The practice systems that can be linked: the shipped profiles and the clinic's own.
    pub profiles: Vec<ProfileView>,
    /// Registrations that came in and wait for somebody to accept them.
    pub registrations: Vec<RegistrationView>,
    /// The partners that can be linked besides Healthengine and VALD Hub.
    pub partners: Vec<PartnerCardView>,
    /// Program version and folders.
    pub about: AboutView,
}

/// The sentence at the top, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Headline {
    /// The engine has not finished its first pass.
    Starting,
    /// No practice is linked.
    NotLinked,
    /// At least one connection does not work.
    Down,
    /// Everything works, and at least one thing waits for a person.
    NeedsYou,
    /// Every practice is switched off.
    Paused,
    /// Everything works, and something is on its way.
    CatchingUp,
    /// Proven within the last seconds.
    InStep,
}

/// How something is doing; shown by icon, word and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Light {
    /// Proven within the last seconds.
    Ok,
    /// Works, with something on its way.
    Working,
    /// A person must decide something, or the proof grows old.
    Attention,
    /// Does not work.
    Down,
    /// Switched off by a person.
    Paused,
    /// Nothing is known yet, or the computer was off.
    Unknown,
}

/// A standing problem. The code chooses the sentence; the message says which one it is, without personal data.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProblemView {
    /// Chooses the sentence.
    pub code: ErrorCode,
    /// What exactly, in the words of the part that failed.
    pub message: String,
    /// When it began.
    pub since: Option<String>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct UiError {
    /// Chooses the sentence.
    pub code: ErrorCode,
    /// What exactly, in the words of the part that failed.
    pub message: String,
}

/// Every kind of failure that has a sentence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// The keyring is locked.
    KeyringLocked,
    /// There is no keyring on this computer, and no key file was named.
    KeyringMissing,
    /// The key does not open the store.
    StoreWrongKey,
    /// The store was written by a newer version.
    StoreTooNew,
    /// The store was damaged, was moved aside, and a new one was begun.
    StoreDamaged,
    /// The store was here once and is gone, and a new one was begun.
    StoreGone,
    /// Others may read the key file.
    KeyFileTooOpen,
    /// The disk is full.
    DiskFull,
    /// The data folder cannot be written.
    FolderReadOnly,
    /// The practice system does not answer.
    PracticeUnreachable,
    /// The practice system refuses the user name or password.
    PracticeCredentialsRefused,
    /// A person has to sign in to the practice system, for the first time or again.
    SignInNeeded,
    /// The account may read but not write, and the practice is set to write.
    PracticeWriteRefused,
    /// The practice system's tables are not the ones the profile knows.
    PracticeSchemaUnknown,
    /// The profile file has a mistake; the message names line and column.
    ProfileInvalid,
    /// Healthengine does not answer.
    PartnerUnreachable,
    /// Healthengine refuses the keys (401).
    PartnerKeyRefused,
    /// The practice has not consented, or withdrew its consent (403).
    PartnerConsentMissing,
    /// Healthengine asks for a slower pace (429).
    PartnerBusy,
    /// Healthengine's answer cannot be understood, or it has an error of its own (5xx).
    PartnerGarbled,
    /// VALD does not answer, or not in a way that can be understood.
    ValdUnreachable,
    /// VALD refuses the client id and secret.
    ValdKeyRefused,
    /// VALD does not let these credentials work with this organisation, or does not know it in any region.
    ValdTenantRefused,
    /// A further partner does not answer, or not in a way that can be understood; the message names it.
    AccountUnreachable,
    /// A further partner refuses what it was given to sign in with, or does not let the account do what was asked; the
    /// message names it.
    AccountRefused,
    /// The patient has no profile in VALD Hub yet; the message says what is missing.
    NotLinkedYet,
    /// There is no such patient in the book any more.
    PatientUnknown,
    /// The landing address is missing or cannot be right; the message says which.
    LandingInvalid,
    /// An address is not one, or it is not encrypted and not on this computer.
    AddressInvalid,
    /// The name of the time zone is not known.
    TimeZoneUnknown,
    /// Another input cannot be accepted; the message says which and why.
    InputInvalid,
    /// This practice system or Healthengine practice is already linked.
    AlreadyLinked,
    /// The booking changed in between; the newest view shows how.
    BookingChanged,
    /// The booking's patient can only be changed in the practice system; the message says why.
    PatientStays,
    /// There is no such booking any more.
    BookingUnknown,
    /// The time that was chosen is not free any more.
    TimeNotFree,
    /// "Done" was pressed, and the appointment is not in the book.
    AppointmentNotFound,
    /// There is no such practice any more.
    PracticeUnknown,
    /// A file could not be written or a folder not be opened.
    FileFailed,
    /// The engine has ended, or nothing has been heard from it.
    EngineStopped,
    /// Anything else; the log has the details.
    Unknown,
}

/// One practice with its connections.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PracticeView {
    /// The stable local key.
    pub id: String,
    /// The name that a person gave it.
    pub name: String,
    /// IANA name; all times of this practice are shown in it.
    pub time_zone: String,
    /// False while paused; every light of the practice is then [`Light::Paused`].
    pub enabled: bool,
    /// The worst of its parts.
    pub light: Light,
    /// The practice system.
    pub system: SystemView,
    /// None before Healthengine is linked.
    pub healthengine: Option<HealthengineView>,
    /// None before VALD Hub is linked.
    pub vald: Option<ValdView>,
    /// The accounts with further partners, those that are linked.
    pub accounts: Vec<AccountView>,
    /// Each practitioner, room or device that can be booked.
    pub practitioners: Vec<PractitionerView>,
    /// The last practice-local date whose free times are published.
    pub published_to: Option<String>,
    /// What is on its way.
    pub waiting: Vec<WaitingView>,
    /// Long work that runs now, such as publishing everything for the first time.
    pub progress: Option<ProgressView>,
    /// Lists that lost so many entries that a person must say whether this is right.
    pub shrunk_lists: Vec<ShrunkListView>,
    /// What the linking screen shows when this practice is changed.
    pub setup: PracticeSetupView,
}

/// The leg between this computer and the practice system.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SystemView {
    /// "OpenEMR".
    pub name: String,
    /// Where it runs, for people: a host, or a file's name.
    pub place: String,
    /// How it is doing.
    pub light: Light,
    /// When the book was last read whole.
    pub last_read_at: Option<String>,
    /// How long that took, in milliseconds.
    pub latency_ms: Option<u32>,
    /// True if bookings are written by the app; false if a person enters each one.
    pub writes: bool,
    /// What is wrong.
    pub problem: Option<ProblemView>,
    /// How its own webhooks are doing; None where the practice gave no public address for them.
    pub webhooks: Option<WebhooksView>,
}

/// The leg between this computer and Healthengine.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HealthengineView {
    /// How it is doing.
    pub light: Light,
    /// Whether the practice has consented.
    pub consent: Consent,
    /// When Healthengine last answered "what is waiting?".
    pub last_poll_at: Option<String>,
    /// When free times were last accepted.
    pub last_availability_at: Option<String>,
    /// Bookings by how they ended, over the retention time.
    pub counts: BookingCounts,
    /// What is wrong.
    pub problem: Option<ProblemView>,
    /// The extra features, once they were looked at.
    pub features: Vec<FeatureView>,
    /// What keeps documents waiting, and what to do about it.
    pub documents_problem: Option<String>,
    /// How its webhooks are doing; None where the practice has no public address.
    pub webhooks: Option<WebhooksView>,
}

/// An extra feature of Healthengine.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FeatureView {
    /// Which.
    pub feature: FeatureName,
    /// Whether it was asked for.
    pub wanted: bool,
    /// Whether it is on at Healthengine.
    pub on: bool,
    /// What it lacks, in words. None if it can be on.
    pub lacks: Option<String>,
}

/// An extra feature of Healthengine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum FeatureName {
    /// Documents that patients fill in reach the practice.
    AttachDocuments,
    /// The practice's days, with their patients, reach Healthengine.
    ClientSnapshots,
    /// Scripts and referrals of the practice reach its patients.
    Documents,
}

/// Whether a practice system could serve an extra feature.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FeatureTest {
    /// Which.
    pub feature: FeatureName,
    /// Whether it can be served.
    pub served: bool,
    /// How, or what it lacks, in words.
    pub said: String,
}

/// How the webhooks of a practice are doing.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct WebhooksView {
    /// Whether they can be relied upon.
    pub state: WebhooksState,
    /// How often Healthengine is asked meanwhile, in seconds.
    pub asked_every: u32,
    /// When something was last delivered.
    pub last_delivery_at: Option<String>,
    /// Until when the subscription stands; it is renewed in time.
    pub subscribed_until: Option<String>,
    /// Deliveries that failed within the last day, by why, the newest first.
    pub failed: Vec<FailedDeliveriesView>,
}

/// Whether webhooks can be relied upon.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WebhooksState {
    /// Nothing receives them: the listener is switched off.
    ListenerOff,
    /// Nothing receives them.
    NotReceiving {
        /// Why, and what to do.
        message: String,
    },
    /// Healthengine was not asked for them yet, or could not be.
    NotSubscribed {
        /// Why, where it is known.
        message: Option<String>,
    },
    /// Nothing that came in has been announced or missed yet.
    Unproven,
    /// What polls find was announced.
    Reliable,
    /// A poll found what was not announced.
    Silent {
        /// Since when.
        since: String,
    },
}

/// Deliveries that failed for the same reason.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FailedDeliveriesView {
    /// How many.
    pub count: u32,
    /// The oldest of them.
    pub first_at: String,
    /// The newest of them.
    pub last_at: String,
    /// Healthengine's words; empty where it gave none.
    pub why: String,
}

/// Whether Healthengine may speak with us about this practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Consent {
    /// A request with these keys was answered.
    Granted,
    /// Healthengine answered 403.
    Revoked,
    /// Nothing was asked yet.
    Unknown,
}

/// Bookings by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookingCounts {
    /// In the book, and Healthengine knows.
    pub confirmed: u32,
    /// Declined.
    pub rejected: u32,
    /// Cancelled later, by either side.
    pub cancelled: u32,
    /// On their way.
    pub pending: u32,
    /// Waiting for a person.
    pub attention: u32,
}

/// Somebody or something that can be booked.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PractitionerView {
    /// The practice system's id.
    pub id: String,
    /// The name that patients see.
    pub name: String,
    /// "physiotherapist", where the practice system says so.
    pub role: Option<String>,
    /// How the published times are doing.
    pub light: Light,
    /// How Healthengine's picture compares with the book.
    pub freshness: Freshness,
    /// Appointments that could still be booked today; None when today is not a working day or not read yet.
    pub free_today: Option<u32>,
    /// Appointments that fit into today's working hours.
    pub places_today: Option<u32>,
}

/// How Healthengine's picture compares with the book.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Freshness {
    /// What was last accepted has the digest of the book as read at this instant.
    InStep {
        /// When the book was read and compared.
        checked_at: String,
    },
    /// A change was seen and is being sent.
    OnItsWay {
        /// When the change was seen in the book.
        changed_at: String,
    },
    /// The two differ, and the difference could not be sent since then.
    Behind {
        /// Since when.
        since: String,
    },
    /// Free times were refused by Healthengine.
    Refused {
        /// Since when.
        since: String,
        /// Healthengine's words.
        message: String,
    },
    /// Nothing was published yet.
    NotYet,
}

/// Things on their way, of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct WaitingView {
    /// What they are.
    pub kind: WaitingKind,
    /// How many; at least one.
    pub count: u32,
    /// When the oldest of them began to wait.
    pub oldest_at: Option<String>,
    /// When Healthengine wants the first answer among them, where it waits for one.
    pub answer_by: Option<String>,
}

/// What can be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum WaitingKind {
    /// Bookings to be written into the book.
    BookingsToPlace,
    /// Answers that Healthengine has not had yet.
    AnswersToSend,
    /// Cancellations and moves to be carried out.
    ChangesToApply,
    /// Days of free times to be published.
    DaysToPublish,
    /// Free times that Healthengine has asked for.
    FreeTimesToSend,
    /// Bookings that wait for a person; only of [`SwitchOffView`].
    DecisionsToMake,
}

/// Long work, as far as it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProgressView {
    /// How many are done.
    pub done: u32,
    /// Of how many.
    pub total: u32,
}

/// A list that lost more than half of its entries, or all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ShrunkListView {
    /// Which list.
    pub list: ListKind,
    /// How many entries Healthengine has, or how many had agreed.
    pub before: u32,
    /// How many the book, or the practice system, has now.
    pub now: u32,
    /// The names that are gone, the first twenty.
    pub missing: Vec<String>,
    /// When this was noticed.
    pub noticed_at: String,
}

/// The lists that can shrink: those that Healthengine holds of a practice, and the consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ListKind {
    /// Practitioners, rooms and devices.
    Resources,
    /// Appointment types.
    AppointmentTypes,
    /// The appointments of bookings, which Healthengine holds as bookings.
    Appointments,
    /// Consents that the practice system holds; the entries are numbers of records, and nothing is sent.
    Consents,
}

/// What a person says about a list that shrank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ListDecision {
    /// They really left: send the shorter list, or withdraw the consents.
    SendShorter,
    /// Read the book again now. Consents are read again by themselves when the practice system changes.
    LookAgain,
}

/// What "Resync" sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ResyncWhat {
    /// Hours, practitioners and appointment types.
    Configuration,
    /// All free times.
    Availability,
    /// Every patient's profile is compared with what VALD accepted, and what it refused is sent again.
    Patients,
    /// All of it, and Healthengine is asked for what is outstanding.
    All,
}

/// Something that needs a person; the screens show it from its own place in the view.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttentionView {
    /// One of `open_bookings`, with `needs`.
    Booking {
        /// The practice.
        practice_id: String,
        /// Healthengine's number.
        booking_id: String,
    },
    /// One of the practice's `shrunk_lists`.
    ShrunkList {
        /// The practice.
        practice_id: String,
        /// Which list.
        list: ListKind,
    },
    /// The practice system's `problem`.
    System {
        /// The practice.
        practice_id: String,
    },
    /// Healthengine's `problem`.
    Healthengine {
        /// The practice.
        practice_id: String,
        /// Others that have the same trouble for the same reason: an API key that they share, or no way to Healthengine.
        also: Vec<String>,
    },
    /// The `problem` of the practice's VALD account.
    Vald {
        /// The practice.
        practice_id: String,
    },
    /// The `problem` of an account with a further partner.
    Account {
        /// The practice.
        practice_id: String,
        /// The partner's name.
        partner: String,
    },
    /// Something happened that somebody has to look at, and nobody has said yet that they did.
    Notice {
        /// The practice.
        practice_id: String,
        /// When it happened; names it.
        at: String,
        /// What happened. Names nobody.
        sentence: String,
    },
}

/// One booking of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookingView {
    /// The practice.
    pub practice_id: String,
    /// IANA name of the practice's zone.
    pub time_zone: String,
    /// Healthengine's number, as text since it may be longer than 32 bits.
    pub booking_id: String,
    /// Rises with each change of this booking.
    pub revision: u32,
    /// How far it is.
    pub state: BookingState,
    /// None after the retention time, or if the booking has none.
    pub patient_name: Option<String>,
    /// As the patient typed it.
    pub patient_phone: Option<String>,
    /// When the appointment begins. None if that time does not exist in the practice's zone, or exists twice.
    pub starts_at: Option<String>,
    /// The practice-local wall clock as Healthengine sent it, `2026-11-20 10:30`.
    pub starts_written: String,
    /// Length of the appointment.
    pub minutes: u32,
    /// None if the booking names nobody, or somebody who is gone.
    pub practitioner: Option<String>,
    /// None if the booking names no type, or one that is gone.
    pub appointment_type: Option<String>,
    /// When the patient booked.
    pub booked_at: String,
    /// When the app first saw it.
    pub received_at: String,
    /// When Healthengine had its answer.
    pub answered_at: Option<String>,
    /// How the patient was found.
    pub patient_match: Option<PatientMatch>,
    /// The practice system's key for the patient.
    pub patient_number: Option<String>,
    /// How it stands with the patient at VALD Hub. None without an account there, and while it is not known who it is.
    pub vald: Option<ValdPatientView>,
    /// Why it was declined or cancelled, or why it waits.
    pub reason: Option<ReasonView>,
    /// What a person must do. None if nothing.
    pub needs: Option<NeedView>,
    /// Until when Healthengine wants an answer. None once it has one.
    pub deadlines: Option<DeadlinesView>,
    /// What Healthengine still shows the patient, where a person put the booking elsewhere; `starts_at`,
    /// `starts_written`, `practitioner` and `appointment_type` then say where it stands.
    pub asked: Option<AskedView>,
    /// Documents that the patient sent, oldest first.
    pub documents: Vec<DocumentView>,
}

/// A document that a patient sent for a booking.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DocumentView {
    /// Healthengine's number of it.
    pub id: String,
    /// "REFERRAL", in Healthengine's words.
    pub kind: String,
    /// As it was named.
    pub name: String,
    /// In bytes. None if it was not said.
    pub bytes: Option<u32>,
    /// When the app first saw it.
    pub received_at: String,
    /// Where it is.
    pub place: DocumentPlace,
}

/// Where a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum DocumentPlace {
    /// On its way.
    Waiting,
    /// In the practice system, by its folder.
    PracticeSystem,
    /// In our own records: it can be opened here.
    Records,
}

/// Until when Healthengine wants an answer, by the engine's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DeadlinesView {
    /// Until then a rejection lets the patient choose another time. A hint: clocks may be wrong. None where the answer
    /// is about a change.
    pub repick_until: Option<String>,
    /// After that Healthengine may count the practice as unhealthy.
    pub answer_by: String,
}

/// What the patient asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AskedView {
    /// None if that time does not exist in the practice's zone, or exists twice.
    pub starts_at: Option<String>,
    /// The practice-local wall clock, `2026-11-20 10:30`.
    pub starts_written: String,
    /// None if the booking names nobody, or somebody who is gone.
    pub practitioner: Option<String>,
}

/// Free times that a booking fits into.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FreeTimesView {
    /// In the order in which to offer them.
    pub times: Vec<FreeTimeView>,
    /// The first practice-local date that can be asked for.
    pub first_day: String,
    /// The last one.
    pub last_day: String,
}

/// A free time.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FreeTimeView {
    /// The practice system's id, given back with the decision.
    pub resource_id: String,
    /// With whom.
    pub practitioner: String,
    /// When.
    pub starts_at: String,
    /// The practice-local wall clock, given back with the decision.
    pub starts_written: String,
}

/// How far a booking is, as `bookings --json` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum BookingState {
    /// The book holds nothing for it yet.
    Received,
    /// In the book; Healthengine does not know yet.
    Inserted,
    /// In the book, and Healthengine knows.
    Confirmed,
    /// Declined, and Healthengine knows.
    Rejected,
    /// Cancelled by either side.
    Cancelled,
    /// A person must decide.
    Attention,
}

/// How a booking's patient was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum PatientMatch {
    /// Was in the book.
    Existing,
    /// A new record.
    Created,
    /// A new record that may duplicate another one.
    PossibleDuplicate,
}

/// Why something is as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ReasonView {
    /// Chooses the sentence.
    pub code: ReasonCode,
    /// What exactly, if there is more to say.
    pub detail: Option<String>,
}

/// Reasons that have a sentence of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ReasonCode {
    /// Somebody else has that time in the book.
    TimeTaken,
    /// Somebody else has taken the time that a person chose for it.
    ChosenTimeTaken,
    /// The time is outside working hours.
    OutsideHours,
    /// The practitioner is not in the book, or the booking names none.
    PractitionerGone,
    /// The appointment type is not in the book, or the booking names none where one is needed.
    TypeGone,
    /// The time does not exist, exists twice, or the length is absurd.
    TimeInvalid,
    /// Name or birth date cannot be used.
    PatientInvalid,
    /// Several records could be this patient.
    PatientAmbiguous,
    /// The practice is read-only: a person enters each booking.
    ReadOnly,
    /// It is not known whether the appointment was written.
    OutcomeUnknown,
    /// A person declined it.
    DeclinedByPerson,
    /// Nobody decided in time.
    Undecided,
    /// The patient cancelled.
    CancelledByPatient,
    /// Staff cancelled it in the book.
    CancelledByPractice,
    /// Staff took it out of the book.
    RemovedByPractice,
    /// Staff moved it, which Healthengine knows as a cancellation.
    MovedByPractice,
    /// Staff noted that the patient did not come.
    DidNotAttend,
    /// Anything else; the detail says it.
    Other,
}

/// What a person must do for a booking.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct NeedView {
    /// What kind of decision.
    pub task: TaskView,
    /// The instant at which the app stops waiting. None if there is no limit.
    pub answer_by: Option<String>,
    /// What the app does then.
    pub otherwise: Otherwise,
    /// The buttons to offer, in this order; the first one is the main one.
    pub actions: Vec<BookingAction>,
}

/// The kinds of decision.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TaskView {
    /// Is this one of these patients? The time is held in the book meanwhile.
    ChoosePatient {
        /// Those who could be meant, most alike first.
        candidates: Vec<CandidateView>,
    },
    /// The practice is read-only: enter this appointment into the practice system.
    EnterAppointment {
        /// What to type, in the order of a usual form.
        fields: Vec<FieldView>,
    },
    /// It could not be written; the booking's reason says why.
    NotPlaced {
        /// What to type, should a person enter it.
        fields: Vec<FieldView>,
    },
    /// A person put it elsewhere, and Healthengine still shows the patient the old time: phone the patient.
    TellPatient,
    /// Healthengine told the patient that the appointment stands, and it does not: phone the patient.
    PhonePatient,
    /// The patient cancelled, and the practice is read-only: cancel this appointment in the practice system.
    CancelAppointment {
        /// What to look for.
        fields: Vec<FieldView>,
    },
    /// A new record was made that may duplicate another one: compare and merge in the practice system.
    CheckDuplicate {
        /// The record that was made.
        new_number: String,
        /// Those it may duplicate.
        candidates: Vec<CandidateView>,
    },
}

/// What the app does when nobody answers in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Otherwise {
    /// Makes a new record, marked as a possible duplicate.
    NewRecord,
    /// Declines.
    Declines,
    /// Keeps it here, in red.
    Stays,
}

/// A patient of the practice who could be the one on the booking.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct CandidateView {
    /// The practice system's id, given back with the decision.
    pub patient_id: String,
    /// The number that people use.
    pub number: String,
    /// Field by field.
    pub fields: Vec<ComparedField>,
}

/// One field of the booking beside the same field of the book.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ComparedField {
    /// Which one.
    pub field: PersonField,
    /// On the booking; dates as `1984-11-09`.
    pub on_booking: Option<String>,
    /// In the book; dates as `1984-11-09`.
    pub in_book: Option<String>,
    /// How they compare.
    pub verdict: Verdict,
}

/// Fields of a person or an appointment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum PersonField {
    /// First and last name.
    Name,
    /// Date of birth.
    BirthDate,
    /// Phone, as typed.
    Phone,
    /// E-mail.
    Email,
    /// Street, suburb, state and postcode.
    Address,
    /// Gender.
    Gender,
    /// Medicare number, reference and expiry.
    Medicare,
    /// The practitioner.
    Practitioner,
    /// The appointment type.
    AppointmentType,
    /// Practice-local date and time, `2026-11-20 10:30`.
    Start,
    /// Length in minutes, as digits.
    Minutes,
    /// The patient's own words.
    Notes,
}

/// How two fields compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The same after normalising.
    Same,
    /// Nearly the same, such as a misspelling.
    Near,
    /// Different.
    Differs,
    /// One side is empty.
    Missing,
}

/// A value that a person may copy into the practice system.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct FieldView {
    /// Which field.
    pub field: PersonField,
    /// What to type.
    pub value: String,
}

/// The buttons that a booking may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum BookingAction {
    /// It is this candidate.
    SamePerson,
    /// None of them: make a new record.
    NewPatient,
    /// Decline while the patient can still choose another time.
    Decline,
    /// Cancel, since declining would no longer undo it.
    Cancel,
    /// Try to write it again.
    TryAgain,
    /// A person entered it: look for it in the book, then confirm.
    EnteredByHand,
    /// A person cancelled it: look into the book, then tell Healthengine.
    CancelledByHand,
    /// Write it at the time that was asked for, although something stands there.
    PlaceBeside,
    /// Write it at another free time, see `free_times`.
    PlaceElsewhere,
    /// The patient knows where it was put.
    PatientTold,
    /// The patient was phoned and knows.
    PatientPhoned,
    /// The duplicate was merged, or is none.
    DuplicateHandled,
}

/// What a person decided for a booking.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BookingDecision {
    /// It is this patient.
    SamePerson {
        /// The candidate's `patient_id`.
        patient_id: String,
    },
    /// Make a new record.
    NewPatient,
    /// Decline.
    Decline,
    /// Cancel.
    Cancel,
    /// Try again.
    TryAgain,
    /// A person entered it.
    EnteredByHand,
    /// A person cancelled it in the practice system.
    CancelledByHand,
    /// Write it at the time that was asked for, although something stands there.
    PlaceBeside,
    /// Write it at this free time.
    PlaceElsewhere {
        /// The free time's `resource_id`.
        resource_id: String,
        /// The free time's `starts_written`.
        starts_written: String,
    },
    /// The patient was told where it was put.
    PatientTold,
    /// The patient was phoned.
    PatientPhoned,
    /// The duplicate was handled.
    DuplicateHandled,
    /// It stands in the book for the wrong patient.
    NotThisPatient {
        /// Whose it is: a candidate's `patient_id`; none for a new record.
        patient_id: Option<String>,
    },
}

/// Which bookings to list.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookingQuery {
    /// None for every practice.
    pub practice_id: Option<String>,
    /// Part of a name, phone or number; empty for all.
    pub text: String,
    /// None for every finished state.
    pub state: Option<BookingState>,
    /// How many to leave out at the front.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

/// A page of the finished bookings, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookingPage {
    /// The rows.
    pub bookings: Vec<BookingView>,
    /// How many match in all.
    pub total: u32,
}

/// One booking's way, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct BookingHistory {
    /// What happened.
    pub entries: Vec<HistoryEntry>,
    /// How the patient was matched, field by field; empty if there was nobody to compare with.
    pub compared: Vec<ComparedField>,
    /// Whether its patient can be corrected; none where it does not stand in the book.
    pub correction: Option<CorrectionView>,
}

/// Whether the patient of a booking that stands in the book can be corrected.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CorrectionView {
    /// It can.
    Offered {
        /// Until then at the most.
        until: String,
        /// Other records that were near, most alike first.
        candidates: Vec<CandidateView>,
    },
    /// Only in the practice system.
    Over {
        /// Why.
        why: CorrectionOver,
    },
}

/// Why a patient cannot be corrected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum CorrectionOver {
    /// The booking came in more than 30 days ago.
    TooOld,
    /// The practice may only be read.
    ReadOnly,
}

/// One thing that happened to a booking.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// To the millisecond.
    pub at: String,
    /// What happened, in a sentence. Names nobody.
    pub sentence: String,
}

/// The last 24 hours as a strip.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RoundTripsView {
    /// Half hours, oldest first, the last one still running.
    pub half_hours: Vec<HalfHourView>,
    /// Median time from a booking seen to its answer accepted, in milliseconds.
    pub median_ms: Option<u32>,
    /// The longest of them.
    pub slowest_ms: Option<u32>,
    /// How many bookings were answered.
    pub bookings: u32,
    /// Interruptions, newest first, the last three.
    pub outages: Vec<OutageView>,
}

/// Half an hour of round trips.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HalfHourView {
    /// When it began.
    pub starts_at: String,
    /// How it went; unknown if the computer was off.
    pub light: Light,
    /// Bookings that were answered in it.
    pub bookings: u32,
    /// The longest round trip in it, in milliseconds.
    pub slowest_ms: Option<u32>,
}

/// A time without contact.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct OutageView {
    /// When it began.
    pub from: String,
    /// When it ended; None if it still lasts.
    pub to: Option<String>,
    /// Which kind of failure.
    pub code: ErrorCode,
    /// Bookings that waited meanwhile.
    pub bookings_waited: u32,
}

/// Whether this computer can be switched off.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SwitchOffView {
    /// True if nobody waits for an answer, neither this computer's nor a person's.
    pub safe: bool,
    /// What is waiting, over all practices, decisions included.
    pub waiting: Vec<WaitingView>,
}

/// What was chosen on the settings screen.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SettingsView {
    /// Starts with the computer, in the tray. None where the system cannot do it.
    pub autostart: Option<bool>,
    /// Days after which a finished booking loses its personal fields.
    pub retention_days: u32,
    /// Minutes that a person has to decide, 1 to 9.
    pub minutes_to_decide: u32,
    /// How much the log says.
    pub log_level: LogLevel,
    /// Where the logs lie.
    pub logs_folder: String,
    /// Receives webhooks; None while it is switched off.
    pub listener: Option<ListenerView>,
    /// What a listener that is switched on begins with.
    pub offered_listener: ListenerInput,
    /// The keys that bring the small search box up from anywhere, `Ctrl+Alt+V`; empty switches it off.
    pub quick_open_keys: String,
    /// Why those keys do not work, such as another program that has them.
    pub quick_open_problem: Option<String>,
}

/// The listener for webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ListenerView {
    /// What was chosen.
    pub chosen: ListenerInput,
    /// True if other computers can connect to it, which a proxy on this one does not need.
    pub open_to_others: bool,
    /// Why it does not listen, and what to do.
    pub problem: Option<String>,
    /// How many deliveries were turned away since the start because they came from elsewhere.
    pub wrong_sources: u32,
}

/// Where webhooks are received, and from whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ListenerInput {
    /// Address and port on this computer, `127.0.0.1:8765`.
    pub address: String,
    /// The addresses from which Healthengine delivers.
    pub sources: Vec<String>,
    /// Whether deliveries from elsewhere are turned away.
    pub check_sources: bool,
}

/// New settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SettingsInput {
    /// Start with the computer; ignored where the system cannot do it.
    pub autostart: bool,
    /// 1 to 365.
    pub retention_days: u32,
    /// 1 to 9.
    pub minutes_to_decide: u32,
    /// How much the log says.
    pub log_level: LogLevel,
    /// Receives webhooks; None switches that off.
    pub listener: Option<ListenerInput>,
    /// The keys of the small search box, `Ctrl+Alt+V`; empty switches it off.
    pub quick_open_keys: String,
}

/// How much the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Problems only.
    Warn,
    /// Each change of state.
    Info,
    /// Each pass.
    Debug,
}

/// Program version and folders.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AboutView {
    /// As `--version` says it.
    pub version: String,
    /// Where the store lies.
    pub data_folder: String,
}

/// A practice system that can be linked.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// The profile's name in the provisioning file.
    pub id: String,
    /// For people.
    pub name: String,
    /// Decides which address is asked for.
    pub engine: EngineKind,
    /// True if the app makes the database itself when no file is named, as for the demo clinic.
    pub makes_own_file: bool,
    /// True if the profile knows how to write.
    pub can_write: bool,
    /// Whether documents can go through the practice system's own API.
    pub takes_documents: bool,
    /// True if it lies in the data folder, false if it is shipped.
    pub own: bool,
    /// A mistake in the file, with line and column; such a profile cannot be chosen.
    pub problem: Option<ProblemView>,
}

/// How a practice system is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum EngineKind {
    /// A file on this computer or in a shared folder.
    Sqlite,
    /// A MySQL or MariaDB server.
    Mysql,
    /// Provet Cloud, over REST.
    Provet,
}

/// Where a practice system is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "engine", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SystemAddress {
    /// A file.
    Sqlite {
        /// Its full path; empty where the profile `makes_own_file`.
        path: String,
    },
    /// A server.
    Mysql {
        /// Name or address.
        host: String,
        /// Usually 3306.
        port: u32,
        /// The database account, not a person's login.
        user: String,
        /// The database's name.
        database: String,
    },
    /// A practice at Provet Cloud. Its client secret is typed as the password.
    Provet {
        /// `https://provetcloud.com`.
        host: String,
        /// The number of the practice, as typed.
        provet_id: String,
        /// The name of the credentials.
        client_id: String,
        /// The public address that leads to this PC, for Provet's webhooks; empty for asking alone.
        webhook_url: String,
        /// Where the browser comes back to when a person signs in; empty for the integration's own account.
        redirect_url: String,
    },
}

impl Default for SystemAddress {
    fn default() -> Self {
        SystemAddress::Sqlite { path: String::new() }
    }
}

/// Credentials of Provet Cloud that came in and wait for somebody to accept them. Their secret stays where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationView {
    /// For accepting and refusing it.
    pub id: String,
    /// When it first came.
    pub received_at: String,
    /// `https://provetcloud.com`.
    pub host: String,
    /// The number of the practice there.
    pub provet_id: String,
    /// The name of the credentials.
    pub client_id: String,
    /// The practice that is linked with that account and would go on with these credentials; none where none is.
    pub practice: Option<String>,
}

/// A practice system as typed on the linking screen.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SystemInput {
    /// One of `profiles`.
    pub profile: String,
    /// Where it is.
    pub address: SystemAddress,
    /// None keeps what is stored; empty means that there is none.
    pub password: Option<String>,
    /// Whether the app writes bookings. False: a person enters each one.
    pub write: bool,
    /// The location ids that this practice covers; empty for all.
    pub locations: Vec<String>,
    /// The folder in which the practice system picks documents up; empty for the profile's.
    pub documents_in: String,
    /// The folder into which the practice lays documents for patients; empty for the profile's.
    pub documents_out: String,
    /// The practice system's own API for documents from patients; none where there is none, or a folder.
    pub documents_api: Option<DocumentApiInput>,
    /// The registration that was accepted, whose secret stands for the password; none where it is typed.
    pub registration: Option<String>,
}

/// A practice system's own API for documents, as typed on the linking screen.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DocumentApiInput {
    /// Where the practice system is opened in a browser.
    pub url: String,
    /// Which of its sites; empty for the usual one.
    pub site: String,
    /// The id under which this program is registered there.
    pub client_id: String,
    /// None keeps what is stored.
    pub client_secret: Option<String>,
    /// The user under whose name documents are put there.
    pub user: String,
    /// None keeps what is stored.
    pub password: Option<String>,
    /// The category that documents are put into; empty for the usual one.
    pub category: String,
}

/// The same without its secrets, as the linking screen shows it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DocumentApiSetupView {
    /// Where the practice system is opened in a browser.
    pub url: String,
    /// Which of its sites.
    pub site: String,
    /// The id under which this program is registered there.
    pub client_id: String,
    /// The user under whose name documents are put there.
    pub user: String,
    /// The category that documents are put into.
    pub category: String,
    /// True if the client's secret and the user's password are stored.
    pub has_secrets: bool,
}

/// What a test of a practice system found.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SystemTest {
    /// "OpenEMR 7.0.3".
    pub version: String,
    /// Who and what can be booked.
    pub practitioners: Vec<NamedView>,
    /// The places.
    pub locations: Vec<NamedView>,
    /// How many appointment types.
    pub appointment_types: u32,
    /// How many patients.
    pub patients: u32,
    /// The next appointment, as a proof for the eye: practice-local `2026-11-20 09:00`, and with whom.
    pub next_appointment: Option<NextAppointment>,
    /// How long one read took, in milliseconds.
    pub latency_ms: u32,
    /// Whether the app could write.
    pub write_ability: WriteAbility,
    /// The rights that the account lacks for writing, as statements for the clinic's IT.
    pub missing_rights: Vec<String>,
    /// What the account may do, part by part, where the practice system says so; all of it, not only what is missing.
    pub rights: Vec<RightView>,
    /// Which extra features of Healthengine could be served.
    pub features: Vec<FeatureTest>,
}

/// A part of normal work, and whether the account may do it.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct RightView {
    /// What is read, in the middle of a sentence: "appointments".
    pub what: String,
    /// What the practice gains by it, in a clause that follows "so that".
    pub gains: String,
    /// The right as the practice system calls it; none where none is needed.
    pub right: Option<String>,
    /// Whether it works.
    pub state: RightState,
}

/// Whether an account may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum RightState {
    /// It works.
    Works,
    /// It can be read, but the right is not listed, so that writing may fail.
    Unlisted,
    /// It cannot be read.
    Missing,
}

/// Something with an id and a name.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct NamedView {
    /// The practice system's id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is, where the practice system says so.
    pub role: Option<String>,
}

/// The next appointment in the book, without the patient.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct NextAppointment {
    /// Practice-local, `2026-11-20 09:00`.
    pub starts_written: String,
    /// With whom.
    pub practitioner: String,
}

/// Whether the app could write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum WriteAbility {
    /// It could.
    Possible,
    /// The account has read rights only.
    AccountReadsOnly,
    /// The profile does not know how to write.
    ProfileReadsOnly,
    /// The profile has not been tried with this version, so it only reads.
    VersionNotTried,
    /// The database as a whole takes no writing now.
    DatabaseReadOnly,
}

/// A Healthengine account as typed on the linking screen.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HealthengineInput {
    /// From Practice Admin.
    pub practice_id: String,
    /// From Practice Admin; None keeps what is stored.
    pub practice_key: Option<String>,
    /// From Healthengine's integrations team; None keeps what is stored.
    pub api_key: Option<String>,
    /// None for Healthengine's own.
    pub base_url: Option<String>,
    /// The address in the `User-Agent`, to which Healthengine writes; needed.
    pub contact_email: Option<String>,
    /// The last part of the `User-Agent`.
    pub environment: Environment,
    /// Free times are published for today and this many days on, 1 to 365.
    pub horizon_days: u32,
    /// The extra features that are asked for.
    pub features: Vec<FeatureName>,
    /// The public address that leads to the listener; None or empty for polling alone.
    pub webhook_url: Option<String>,
}

/// The last part of the `User-Agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "UPPERCASE")]
pub enum Environment {
    /// Production.
    Prod,
    /// Acceptance.
    Uat,
    /// Development.
    Dev,
}

/// What a test of a Healthengine account found.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HealthengineTest {
    /// Kinds of request that already wait there, left by an earlier connection.
    pub requests_waiting: u32,
    /// How long one request took, in milliseconds.
    pub latency_ms: u32,
}

/// A practice as typed on the linking screen.
#[derive(Clone, Debug, PartialEq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PracticeInput {
    /// For people.
    pub name: String,
    /// IANA name.
    pub time_zone: String,
    /// The practice system.
    pub system: SystemInput,
    /// None to link Healthengine later.
    pub healthengine: Option<HealthengineInput>,
    /// None to link VALD Hub later, or to unlink it.
    pub vald: Option<ValdInput>,
    /// When this computer is on.
    pub live_hours: LiveHours,
}

/// When this computer is on: only then does Healthengine read silence as a failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LiveHours {
    /// Ranges, practice-local.
    pub monday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub tuesday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub wednesday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub thursday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub friday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub saturday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub sunday: Vec<TimeRange>,
    /// Ranges, practice-local.
    pub public_holidays: Vec<TimeRange>,
}

/// From and to on the same day, never past midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct TimeRange {
    /// `08:00`.
    pub start: String,
    /// `18:00`; the end of the day is `23:59`.
    pub end: String,
}

/// What the linking screen shows when a practice is changed: everything but the secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct PracticeSetupView {
    /// One of `profiles`.
    pub profile: String,
    /// Where it is.
    pub address: SystemAddress,
    /// True if a password is stored.
    pub has_password: bool,
    /// Whether the app writes bookings.
    pub write: bool,
    /// The location ids that this practice covers; empty for all.
    pub locations: Vec<String>,
    /// The folder in which the practice system picks documents up; empty for the profile's.
    pub documents_in: String,
    /// The folder into which the practice lays documents for patients; empty for the profile's.
    pub documents_out: String,
    /// The practice system's own API for documents from patients; none where there is none, or a folder.
    pub documents_api: Option<DocumentApiSetupView>,
    /// None before Healthengine is linked.
    pub healthengine: Option<HealthengineSetupView>,
    /// None before VALD Hub is linked.
    pub vald: Option<ValdSetupView>,
    /// The accounts with further partners, those that are linked.
    pub accounts: Vec<AccountSetupView>,
    /// When this computer is on.
    pub live_hours: LiveHours,
}

/// A Healthengine account without its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct HealthengineSetupView {
    /// From Practice Admin.
    pub practice_id: String,
    /// Where requests go.
    pub base_url: String,
    /// The address in the `User-Agent`.
    pub contact_email: String,
    /// The last part of the `User-Agent`.
    pub environment: Environment,
    /// Days of free times that are published.
    pub horizon_days: u32,
    /// The extra features that are asked for.
    pub features: Vec<FeatureName>,
    /// The public address that leads to the listener; None is polling alone.
    pub webhook_url: Option<String>,
}

/// The pages outside the app that it may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ExternalLink {
    /// Healthengine's Practice Admin.
    PracticeAdmin,
    /// The demo's page "Act as a patient".
    PatientPage,
}
