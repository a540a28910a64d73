//! Engine state and ledger → what the window and the tray show. Pure: no I/O, no clock, no decision.

use crate::placing;
use crate::settings;
use crate::view::{
    AboutView, AccountView, AppView, AskedView, AttentionView, BookingAction, BookingCounts,
    BookingState as PublicState, BookingView, CandidateView, ComparedField, Consent, CorrectionOver,
    CorrectionView, ErrorCode, FailedDeliveriesView, FieldView, Freshness, HalfHourView, Headline,
    HealthengineView, Light, ListKind, ListenerView, NeedView, Otherwise, OutageView, PatientMatch,
    PersonField, PracticeSetupView, PracticeView, PractitionerView, ProblemView, ProfileView, ProgressView,
    ReasonCode, ReasonView, RegistrationView, RoundTripsView, SettingsView, ShrunkListView, SwitchOffView,
    SystemView, TaskView, Verdict, WaitingKind, WaitingView, WebhooksState, WebhooksView,
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use connectors::listener::is_open_to_others;
use connectors::partners;
use documents::DocumentsOfBookings;
use domain::booking::{BookingState, Entry, Stage, Step, Undoing};
use domain::failure::Refusal;
use domain::ids::{PracticeId, ResourceRef};
use domain::matching::{self, Agreement, Comparison, Field};
use domain::people::{Gender, PatientPlan, PersonDetails};
use domain::ports::store::{ActivityLine, Leg, LegNote, Problem, ProblemKind};
use domain::ports::webhooks::{FailedDelivery, ListenerState};
use domain::settings::{ListenerSettings, WriteMode};
use domain::time::{Meaning, PracticeTime, PracticeZone};
use people::ValdOfBookings;
use std::collections::{BTreeMap, BTreeSet};
use sync::desk::{self, Uncorrectable};
use sync::health::{self, Health};
use sync::state::{EngineState, PracticeState, Shrinking};
use sync::webhooks::{Trust, WebhookState};

mod accounts;
pub mod documents;
pub mod joined;
pub mod people;
#[cfg(test)]
pub mod tests;

/// What a view is made of.
pub struct Inputs<'a> {
    /// Rises with every view.
    pub revision: u32,
    /// The engine's clock.
    pub now: DateTime<Utc>,
    /// What the engine knows.
    pub engine: &'a EngineState,
    /// Since when the engine has not run any more; none while it runs.
    pub engine_ended_at: Option<DateTime<Utc>>,
    /// When each practice was set up as it is now, or this computer woke up.
    pub set_up_at: &'a BTreeMap<PracticeId, DateTime<Utc>>,
    /// Every booking that a view shows: unfinished, or still in need of a person.
    pub open: &'a [Entry],
    /// What people have to be told of each practice and have not seen to yet.
    pub unseen: &'a BTreeMap<PracticeId, Vec<ActivityLine>>,
    /// Documents of bookings.
    pub documents: &'a DocumentsOfBookings,
    /// How it stands with the patients of open bookings at VALD.
    pub at_vald: &'a ValdOfBookings,
    /// The last day of each practice.
    pub days: &'a BTreeMap<PracticeId, LastDay>,
    /// What the linking screen shows of each practice.
    pub setups: &'a BTreeMap<PracticeId, PracticeSetupView>,
    /// Registrations that wait for somebody.
    pub registrations: Vec<RegistrationView>,
    /// What was chosen.
    pub settings: SettingsView,
    /// What can be linked.
    pub profiles: Vec<ProfileView>,
    /// Version and folders.
    pub about: AboutView,
    /// What stops everything.
    pub problem: Option<ProblemView>,
    /// What happened to the records at this start.
    pub notices: Vec<ProblemView>,
    /// Whether the partners are simulated.
    pub demo: bool,
    /// This computer's zone, for when no practice is linked; none where it does not say.
    pub own_zone: Option<String>,
}

/// The last 24 hours of a practice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastDay {
    /// When each booking was answered, and after how many milliseconds.
    pub round_trips: Vec<(DateTime<Utc>, u32)>,
    /// The half hours in which Healthengine answered.
    pub proven: BTreeSet<DateTime<Utc>>,
    /// What happened.
    pub activity: Vec<ActivityLine>,
}

/// For how long after it was set up nothing needs to be known of a connection.
pub const STARTING: TimeDelta = TimeDelta::seconds(60);
/// How far back the strip goes, in half hours.
const HALF_HOURS: i32 = 48;
/// An answer within this time is as it should be (two polls and the work).
const PROMPT_MS: u32 = 20_000;

/// An instant as the window reads it.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Makes the view.
pub fn app_view(inputs: Inputs<'_>) -> AppView {
    let bookings: Vec<BookingView> = open_bookings(&inputs);
    let practices: Vec<PracticeView> =
        inputs.engine.practices.values().map(|practice| practice_view(practice, &inputs)).collect();
    let attention = attention(&practices, &bookings, &inputs);
    let waiting = all_waiting(&practices);
    let problem = inputs.problem.clone().or_else(|| standing_problem(&inputs));
    let mut headline = headline(&practices, &attention, &waiting, problem.is_some());
    if headline == Headline::NotLinked && !inputs.setups.is_empty() {
        // The engine has not read yet what is linked.
        headline = Headline::Starting;
    }
    AppView {
        revision: inputs.revision,
        now: instant(inputs.now),
        time_zone: practices
            .first()
            .map(|practice| practice.time_zone.clone())
            .or_else(|| inputs.own_zone.clone())
            .unwrap_or_default(),
        headline,
        problem,
        notices: inputs.notices.clone(),
        demo: inputs.demo,
        round_trips: round_trips(&inputs),
        switch_off: switch_off(&practices, waiting, inputs.open),
        ledger_revision: u32::try_from(inputs.engine.ledger_moves % u64::from(u32::MAX)).unwrap_or_default(),
        practices,
        attention,
        open_bookings: bookings,
        settings: inputs.settings,
        registrations: inputs.registrations,
        profiles: inputs.profiles,
        partners: accounts::cards(),
        about: inputs.about,
    }
}

/// What stops everything while the store can be opened: an engine that has ended, or records that cannot be kept.
fn standing_problem(inputs: &Inputs<'_>) -> Option<ProblemView> {
    if let Some(since) = inputs.engine_ended_at {
        return Some(ProblemView {
            code: ErrorCode::EngineStopped,
            message: "Nothing is read, and nothing is sent. Quit Clinic Companion and start it again.".into(),
            since: Some(instant(since)),
        });
    }
    let (since, message) = inputs.engine.store_problem.as_ref()?;
    Some(ProblemView { code: ErrorCode::Unknown, message: message.clone(), since: Some(instant(*since)) })
}

/// Nobody may wait for an answer: neither for this computer's, nor for one that only a person can give.
fn switch_off(practices: &[PracticeView], mut waiting: Vec<WaitingView>, open: &[Entry]) -> SwitchOffView {
    let undecided: Vec<&Entry> = open
        .iter()
        .filter(|entry| entry.state.needs_person() && entry.state.step() != Step::Nothing)
        .collect();
    if let Some(oldest) = undecided.iter().map(|entry| entry.received_at).min() {
        waiting.push(WaitingView {
            kind: WaitingKind::DecisionsToMake,
            count: u32::try_from(undecided.len()).unwrap_or(u32::MAX),
            oldest_at: Some(instant(oldest)),
            answer_by: None,
        });
    }
    let answered = open.iter().all(|entry| entry.state.step() == Step::Nothing);
    SwitchOffView {
        safe: answered && waiting.is_empty() && practices.iter().all(|practice| practice.progress.is_none()),
        waiting,
    }
}

fn headline(
    practices: &[PracticeView],
    attention: &[AttentionView],
    waiting: &[WaitingView],
    stopped: bool,
) -> Headline {
    let all = |light: Light| practices.iter().all(|practice| practice.light == light);
    let any = |light: Light| practices.iter().any(|practice| practice.light == light);
    if stopped {
        Headline::Down
    } else if practices.is_empty() {
        Headline::NotLinked
    } else if any(Light::Down) {
        Headline::Down
    } else if !attention.is_empty() || any(Light::Attention) {
        Headline::NeedsYou
    } else if all(Light::Paused) {
        Headline::Paused
    } else if any(Light::Unknown) {
        Headline::Starting
    } else if !waiting.is_empty() || any(Light::Working) {
        Headline::CatchingUp
    } else {
        Headline::InStep
    }
}

/// What needs a person, most urgent first: patients wait for bookings, everybody for connections. What is to be decided
/// in a practice that is paused counts too.
fn attention(
    practices: &[PracticeView],
    bookings: &[BookingView],
    inputs: &Inputs<'_>,
) -> Vec<AttentionView> {
    let mut all: Vec<AttentionView> = bookings
        .iter()
        .filter(|booking| booking.needs.is_some())
        .map(|booking| AttentionView::Booking {
            practice_id: booking.practice_id.clone(),
            booking_id: booking.booking_id.clone(),
        })
        .collect();
    for (practice, lines) in inputs.unseen {
        // What was told in the same moment is seen to together.
        let mut told: BTreeMap<DateTime<Utc>, Vec<&str>> = BTreeMap::new();
        for line in lines {
            told.entry(line.at).or_default().push(&line.text);
        }
        all.extend(told.into_iter().map(|(at, sentences)| AttentionView::Notice {
            practice_id: practice.to_string(),
            at: instant(at),
            sentence: sentences.join(" "),
        }));
    }
    // Where the line of each trouble that practices share stands.
    let mut shared: Vec<(ErrorCode, usize)> = Vec::new();
    for practice in practices.iter().filter(|practice| practice.enabled) {
        let practice_id = practice.id.clone();
        if practice.system.problem.is_some() && practice.system.light == Light::Down {
            all.push(AttentionView::System { practice_id: practice_id.clone() });
        }
        if let Some(healthengine) = &practice.healthengine
            && let Some(problem) = &healthengine.problem
            && matches!(healthengine.light, Light::Down | Light::Attention)
            && practice.shrunk_lists.iter().all(|list| list.list == ListKind::Consents)
        {
            let known =
                shared.iter().find(|(code, _)| *code == problem.code).and_then(|(_, at)| all.get_mut(*at));
            if let Some(AttentionView::Healthengine { also, .. }) = known {
                also.push(practice_id.clone());
            } else {
                if is_shared(problem.code) {
                    shared.push((problem.code, all.len()));
                }
                all.push(AttentionView::Healthengine { practice_id: practice_id.clone(), also: Vec::new() });
            }
        }
        if practice.vald.as_ref().is_some_and(|vald| vald.problem.is_some() && vald.light == Light::Down) {
            all.push(AttentionView::Vald { practice_id: practice_id.clone() });
        }
        let silent = |account: &&AccountView| account.problem.is_some() && account.light == Light::Down;
        all.extend(practice.accounts.iter().filter(silent).map(|account| AttentionView::Account {
            practice_id: practice_id.clone(),
            partner: account.partner.clone(),
        }));
        all.extend(
            practice
                .shrunk_lists
                .iter()
                .map(|list| AttentionView::ShrunkList { practice_id: practice_id.clone(), list: list.list }),
        );
    }
    all
}

/// Whether practices have a trouble with Healthengine together: what mends it lies in the key that they share, in the
/// network, or with Healthengine.
fn is_shared(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::PartnerKeyRefused | ErrorCode::PartnerUnreachable)
}

fn practice_view(practice: &PracticeState, inputs: &Inputs<'_>) -> PracticeView {
    let settings = &practice.settings;
    let system = system_view(practice, inputs);
    let healthengine = healthengine_view(practice, inputs);
    let vald = people::vald_view(practice, inputs);
    let accounts = accounts::account_views(practice, inputs);
    let waiting = waiting_view(practice, inputs);
    let progress = practice.sending.map(|(done, total)| ProgressView {
        done: u32::try_from(done).unwrap_or(u32::MAX),
        total: u32::try_from(total).unwrap_or(u32::MAX),
    });
    let undecided = || {
        inputs.open.iter().any(|entry| {
            entry.request.key.practice == settings.id
                && need(entry, None, None, None, inputs.decide_minutes(), true).is_some()
        })
    };
    let worst_of = |parts: &[Option<Light>]| {
        parts.iter().copied().flatten().max_by_key(|light| severity(*light)).unwrap_or(Light::Unknown)
    };
    // What free times rest on. VALD says nothing about them.
    let book = [Some(system.light), healthengine.as_ref().map(|partner| partner.light)];
    let light = if settings.enabled {
        // Profiles that wait for a person are not urgent, so that they colour their own card only.
        let profiles = vald.as_ref().map(|_| leg_view(practice, Leg::Profiles, inputs).0);
        let reached = settings.accounts.keys();
        let reached = reached.filter(|partner| partners::linkable(partner.as_str()).is_some());
        let reached = reached.map(|partner| {
            let leg = Leg::Account(partner.clone());
            Some(leg_view(practice, leg, inputs).0)
        });
        let further: Vec<Option<Light>> = reached.chain([profiles]).collect();
        let worst = worst_of(&[book.as_slice(), &further].concat());
        let in_doubt = practice.shrinking.iter().any(Shrinking::is_of_the_book);
        if matches!(worst, Light::Ok | Light::Working) && (undecided() || in_doubt) {
            Light::Attention
        } else if worst == Light::Ok && (!waiting.is_empty() || progress.is_some()) {
            Light::Working
        } else {
            worst
        }
    } else {
        Light::Paused
    };
    PracticeView {
        id: settings.id.to_string(),
        name: settings.name.clone(),
        time_zone: settings.zone.name().to_owned(),
        enabled: settings.enabled,
        light,
        practitioners: practitioners(practice, worst_of(&book), inputs.now),
        published_to: practice
            .horizon
            .filter(|_| healthengine.as_ref().is_some_and(|h| h.last_availability_at.is_some()))
            .map(|horizon| horizon.last.to_string()),
        waiting,
        progress,
        shrunk_lists: practice
            .shrinking
            .iter()
            .map(|shrinking| ShrunkListView {
                list: list_kind(shrinking.list),
                before: u32::try_from(shrinking.from).unwrap_or(u32::MAX),
                now: u32::try_from(shrinking.to).unwrap_or(u32::MAX),
                missing: shrinking.missing.clone(),
                noticed_at: instant(shrinking.noticed_at),
            })
            .collect(),
        setup: inputs.setups.get(&settings.id).cloned().unwrap_or_default(),
        system,
        healthengine,
        vald,
        accounts,
    }
}

fn severity(light: Light) -> u8 {
    match light {
        Light::Ok | Light::Paused => 0,
        Light::Working => 1,
        Light::Unknown => 2,
        Light::Attention => 3,
        Light::Down => 4,
    }
}

/// The lists, by the engine's names and the window's.
const LISTS: [(&str, ListKind); 4] = [
    (sync::flows::availability::RESOURCES, ListKind::Resources),
    (sync::flows::availability::APPOINTMENT_TYPES, ListKind::AppointmentTypes),
    (sync::flows::changes::APPOINTMENTS, ListKind::Appointments),
    (sync::flows::people::CONSENTS, ListKind::Consents),
];

/// What the window calls a list of the engine.
pub fn list_kind(list: &str) -> ListKind {
    LISTS.iter().find(|(name, _)| *name == list).map_or(ListKind::AppointmentTypes, |(_, kind)| *kind)
}

/// What the engine calls a list of the window.
pub fn list_name(list: ListKind) -> &'static str {
    LISTS
        .iter()
        .find(|(_, kind)| *kind == list)
        .map_or(sync::flows::availability::APPOINTMENT_TYPES, |(name, _)| name)
}

/// How a leg is doing, and what is wrong with it.
fn leg_view(practice: &PracticeState, leg: Leg, inputs: &Inputs<'_>) -> (Light, Option<ProblemView>) {
    let settings = &practice.settings;
    let note = practice.legs.get(&leg);
    let problem = problem_view(note, &leg);
    if !settings.enabled {
        return (Light::Paused, problem);
    }
    if inputs.engine_ended_at.is_some() {
        return (Light::Down, problem);
    }
    let is_failing = note.is_some_and(|note| note.failing_since.is_some());
    match health::of_leg_within(note, health::stale_after(settings, leg.clone()), inputs.now) {
        Health::Ok if is_failing => return (Light::Working, problem),
        Health::Ok => return (Light::Ok, problem),
        Health::Attention => return (Light::Attention, problem),
        Health::Down if problem.is_some() => return (Light::Down, problem),
        Health::Down => {}
    }
    // Nothing was heard, neither good nor bad. A long first publishing proves itself by its progress.
    let sending = match leg {
        Leg::System | Leg::Board => practice.sending,
        Leg::Profiles => practice.profiles.as_ref().and_then(|profiles| profiles.sending),
        Leg::Desk | Leg::Account(_) => None,
    };
    if sending.is_some_and(|(done, total)| done < total) {
        return (Light::Working, None);
    }
    let set_up_at = inputs.set_up_at.get(&settings.id).copied().unwrap_or(DateTime::<Utc>::MIN_UTC);
    if inputs.now - set_up_at < STARTING {
        return (Light::Unknown, None);
    }
    // A connection that says what is wrong with it keeps the practice's others waiting; one sentence is enough.
    // What is wrong at VALD, or at a further partner, keeps nobody else waiting.
    let stands_alone = |leg: &Leg| matches!(leg, Leg::Profiles | Leg::Account(_));
    let keeps_waiting = |other: &Leg| *other == leg || !stands_alone(other);
    if practice.legs.iter().any(|(other, note)| keeps_waiting(other) && note.problem.is_some()) {
        return (Light::Down, None);
    }
    let since = note.and_then(|note| note.proven_at).unwrap_or(set_up_at);
    let who = if leg == Leg::System { "the practice database".to_owned() } else { health::who(&leg) };
    let clock = settings.zone.wall_clock(since).0.format("%H:%M");
    let problem = ProblemView {
        code: ErrorCode::EngineStopped,
        message: format!("Nothing has been heard from {who} since {clock}. Restart Clinic Companion."),
        since: Some(instant(since)),
    };
    (Light::Down, Some(problem))
}

fn problem_view(note: Option<&LegNote>, leg: &Leg) -> Option<ProblemView> {
    let note = note?;
    let problem = note.problem.as_ref()?;
    Some(ProblemView {
        code: problem_code(problem, leg),
        message: problem.sentence.clone(),
        since: note.failing_since.map(instant),
    })
}

fn problem_code(problem: &Problem, leg: &Leg) -> ErrorCode {
    match (problem.kind, leg) {
        (ProblemKind::Unreachable, Leg::System) => ErrorCode::PracticeUnreachable,
        (ProblemKind::Unreachable, Leg::Desk | Leg::Board) => ErrorCode::PartnerUnreachable,
        (ProblemKind::Unreachable, Leg::Profiles) => ErrorCode::ValdUnreachable,
        (ProblemKind::SignIn, _) => ErrorCode::SignInNeeded,
        (ProblemKind::Credentials, Leg::System) => ErrorCode::PracticeCredentialsRefused,
        (ProblemKind::Credentials, Leg::Desk | Leg::Board) => ErrorCode::PartnerKeyRefused,
        (ProblemKind::Credentials, Leg::Profiles) => ErrorCode::ValdKeyRefused,
        (ProblemKind::Consent, Leg::Profiles) => ErrorCode::ValdTenantRefused,
        (ProblemKind::Unreachable, Leg::Account(_)) => ErrorCode::AccountUnreachable,
        (ProblemKind::Credentials | ProblemKind::Consent | ProblemKind::Misfit, Leg::Account(_)) => {
            ErrorCode::AccountRefused
        }
        (ProblemKind::Consent, _) => ErrorCode::PartnerConsentMissing,
        (ProblemKind::Misfit, _) => ErrorCode::PracticeSchemaUnknown,
        (ProblemKind::OwnProfile, _) => ErrorCode::ProfileInvalid,
        (ProblemKind::Shrink | ProblemKind::Refused | ProblemKind::Other, _) => ErrorCode::Unknown,
    }
}

fn system_view(practice: &PracticeState, inputs: &Inputs<'_>) -> SystemView {
    let settings = &practice.settings.system;
    let (light, problem) = leg_view(practice, Leg::System, inputs);
    let note = practice.legs.get(&Leg::System);
    let profile = inputs.profiles.iter().find(|profile| profile.id == settings.profile);
    SystemView {
        name: profile.map_or_else(|| settings.profile.clone(), |profile| profile.name.clone()),
        place: place(&settings.url),
        light,
        last_read_at: note.and_then(|note| note.proven_at).map(instant),
        latency_ms: practice.read_ms,
        writes: settings.write != WriteMode::None,
        problem,
        webhooks: settings.provet.as_ref().and_then(|account| account.webhook_url.as_ref()).map(|_| {
            let known = practice.book_webhooks.clone().unwrap_or_default();
            // The book is asked as often as without them, so that one delivery shows that they arrive.
            let arrives = known.last_delivery_at.map_or(Trust::Unproven, Trust::Proven);
            webhooks_view(&known, arrives, settings.poll_seconds, inputs)
        }),
    }
}

/// Where a practice system runs, for people: the host, or the file's name.
fn place(url: &str) -> String {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
    }
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn healthengine_view(practice: &PracticeState, inputs: &Inputs<'_>) -> Option<HealthengineView> {
    practice.settings.healthengine.as_ref()?;
    let (desk, board) = (practice.legs.get(&Leg::Desk), practice.legs.get(&Leg::Board));
    let (desk_light, desk_problem) = leg_view(practice, Leg::Desk, inputs);
    let (board_light, board_problem) = leg_view(practice, Leg::Board, inputs);
    // The worse of the two speaks; where they are equal, the one on which patients wait.
    let (light, problem) = if severity(board_light) > severity(desk_light) {
        (board_light, board_problem.or(desk_problem))
    } else {
        (desk_light, desk_problem.or(board_problem))
    };
    let counts = practice.counts;
    Some(HealthengineView {
        light,
        consent: match desk.and_then(|note| note.problem.as_ref()).map(|problem| problem.kind) {
            Some(ProblemKind::Consent) => Consent::Revoked,
            _ if desk.is_some_and(|note| note.proven_at.is_some()) => Consent::Granted,
            _ => Consent::Unknown,
        },
        last_poll_at: desk.and_then(|note| note.proven_at).map(instant),
        last_availability_at: board.and_then(|note| note.proven_at).map(instant),
        counts: BookingCounts {
            confirmed: counts.confirmed,
            rejected: counts.rejected,
            cancelled: counts.cancelled,
            pending: counts.pending,
            attention: counts.attention,
        },
        problem,
        features: documents::features(&practice.features),
        documents_problem: practice.documents_problem.clone(),
        webhooks: practice
            .settings
            .healthengine
            .as_ref()
            .filter(|account| account.webhook_url.is_some())
            .map(|account| {
                let known = practice.webhooks.clone().unwrap_or_default();
                let chosen = TimeDelta::seconds(i64::from(account.poll_seconds));
                let asked_every = known.trust.interval(chosen, inputs.now).num_seconds();
                webhooks_view(&known, known.trust, u32::try_from(asked_every).unwrap_or(u32::MAX), inputs)
            }),
    })
}

/// How webhooks are doing that may be delivered to us, and how often whoever makes them is asked meanwhile, in seconds.
fn webhooks_view(known: &WebhookState, trust: Trust, asked_every: u32, inputs: &Inputs<'_>) -> WebhooksView {
    let state = match (&inputs.engine.listener, trust) {
        (None, _) => WebhooksState::ListenerOff,
        (Some(ListenerState { problem: Some(problem), .. }), _) => {
            WebhooksState::NotReceiving { message: problem.clone() }
        }
        (Some(_), _) if !known.subscribed => WebhooksState::NotSubscribed { message: known.problem.clone() },
        (Some(_), Trust::Unproven) => WebhooksState::Unproven,
        (Some(_), Trust::Proven(_)) => WebhooksState::Reliable,
        (Some(_), Trust::Silent(since)) => WebhooksState::Silent { since: instant(since) },
    };
    WebhooksView {
        state,
        asked_every,
        last_delivery_at: known.last_delivery_at.map(instant),
        subscribed_until: known.subscribed_until.map(instant),
        failed: failed_deliveries(&known.failed),
    }
}

/// By why they failed, in the order of their newest.
fn failed_deliveries(newest_first: &[FailedDelivery]) -> Vec<FailedDeliveriesView> {
    let mut all: Vec<FailedDeliveriesView> = Vec::new();
    for failed in newest_first {
        match all.iter_mut().find(|known| known.why == failed.why) {
            Some(known) => {
                known.count += 1;
                known.first_at = instant(failed.at);
            }
            None => all.push(FailedDeliveriesView {
                count: 1,
                first_at: instant(failed.at),
                last_at: instant(failed.at),
                why: failed.why.clone(),
            }),
        }
    }
    all
}

/// The listener as it was chosen, and how it is doing.
pub fn listener_view(chosen: &ListenerSettings, listening: Option<&ListenerState>) -> ListenerView {
    ListenerView {
        open_to_others: chosen.address.parse().is_ok_and(|address| is_open_to_others(&address)),
        problem: listening.and_then(|state| state.problem.clone()),
        wrong_sources: listening.map_or(0, |state| u32::try_from(state.wrong_sources).unwrap_or(u32::MAX)),
        chosen: settings::listener_view(chosen),
    }
}

fn practitioners(practice: &PracticeState, light: Light, now: DateTime<Utc>) -> Vec<PractitionerView> {
    let proven = |leg| practice.legs.get(&leg).and_then(|note| note.proven_at);
    let board = practice.legs.get(&Leg::Board);
    let refused = board.filter(|note| note.problem.as_ref().is_some_and(|p| p.kind == ProblemKind::Refused));
    let behind = [Leg::Desk, Leg::Board].iter().find_map(|leg| practice.legs.get(leg)?.failing_since);
    // The claim is as old as the oldest look that it rests on: at the book, and at Healthengine.
    let stale_after = health::stale_after(&practice.settings, Leg::Desk);
    let checked = [proven(Leg::System), proven(Leg::Desk), proven(Leg::Board)].into_iter().min().flatten();
    practice
        .resources
        .iter()
        .map(|resource| {
            let freshness = match (resource.changing_since, refused, checked) {
                (Some(since), Some(note), _) => Freshness::Refused {
                    since: instant(note.failing_since.unwrap_or(since)),
                    message: note
                        .problem
                        .as_ref()
                        .map(|problem| problem.sentence.clone())
                        .unwrap_or_default(),
                },
                (Some(since), None, _) if behind.is_some() => {
                    Freshness::Behind { since: instant(behind.unwrap_or(since).min(since)) }
                }
                (Some(since), None, _) => Freshness::OnItsWay { changed_at: instant(since) },
                // What was compared that long ago is no claim about now.
                (None, _, Some(at)) if now - at > stale_after => Freshness::Behind { since: instant(at) },
                (None, _, Some(at)) => Freshness::InStep { checked_at: instant(at) },
                (None, _, None) => Freshness::NotYet,
            };
            let own = match &freshness {
                // Nothing has changed, but for a moment nobody could look.
                Freshness::InStep { .. } if behind.is_some() => Light::Working,
                Freshness::InStep { .. } => Light::Ok,
                Freshness::OnItsWay { .. } => Light::Working,
                Freshness::Behind { .. } | Freshness::Refused { .. } => Light::Attention,
                Freshness::NotYet => Light::Unknown,
            };
            PractitionerView {
                id: resource.id.to_string(),
                name: resource.name.clone(),
                role: resource.specialty.clone(),
                light: if matches!(light, Light::Paused | Light::Down) { light } else { own },
                freshness,
                free_today: (resource.slots_today > 0).then_some(resource.free_today),
                places_today: (resource.slots_today > 0).then_some(resource.slots_today),
            }
        })
        .collect()
}

fn waiting_view(practice: &PracticeState, inputs: &Inputs<'_>) -> Vec<WaitingView> {
    let mine = || inputs.open.iter().filter(|entry| entry.request.key.practice == practice.settings.id);
    let kind_of = |entry: &Entry| match entry.state.step() {
        Step::Insert | Step::LookInPractice | Step::NamePatient => Some(WaitingKind::BookingsToPlace),
        Step::ConfirmToPartner | Step::DeclineToPartner | Step::TellPartner => {
            Some(WaitingKind::AnswersToSend)
        }
        Step::Withdraw | Step::CancelInPractice => Some(WaitingKind::ChangesToApply),
        Step::LookForEntry | Step::WaitForPerson | Step::Nothing => None,
    };
    let kinds = [WaitingKind::BookingsToPlace, WaitingKind::AnswersToSend, WaitingKind::ChangesToApply];
    let mut waiting: Vec<WaitingView> = kinds
        .into_iter()
        .filter_map(|kind| {
            let of_kind: Vec<&Entry> =
                mine().filter(|entry| !entry.state.needs_person() && kind_of(entry) == Some(kind)).collect();
            let oldest = of_kind.iter().map(|entry| entry.received_at).min()?;
            let count = u32::try_from(of_kind.len()).unwrap_or(u32::MAX);
            let made_after = |entry: &Entry| practice.made_after.get(&entry.request.key.booking).copied();
            let deadlines = of_kind.iter().filter_map(|entry| placing::deadlines(entry, made_after(entry)));
            let answer_by = deadlines.map(|deadlines| deadlines.answer_by).min();
            Some(WaitingView { kind, count, oldest_at: Some(instant(oldest)), answer_by })
        })
        .collect();
    placing::add_asked(&mut waiting, practice, inputs.now);
    if let Some((done, total)) = practice.sending
        && total > done
    {
        let count = u32::try_from(total - done).unwrap_or(u32::MAX);
        let kind = WaitingKind::DaysToPublish;
        waiting.push(WaitingView { kind, count, oldest_at: None, answer_by: None });
    }
    waiting
}

fn all_waiting(practices: &[PracticeView]) -> Vec<WaitingView> {
    let mut all: Vec<WaitingView> = Vec::new();
    for waiting in practices.iter().flat_map(|practice| &practice.waiting) {
        match all.iter_mut().find(|known| known.kind == waiting.kind) {
            Some(known) => {
                known.count += waiting.count;
                known.oldest_at = known.oldest_at.clone().min(waiting.oldest_at.clone());
                known.answer_by =
                    [known.answer_by.take(), waiting.answer_by.clone()].into_iter().flatten().min();
            }
            None => all.push(waiting.clone()),
        }
    }
    all
}

fn open_bookings(inputs: &Inputs<'_>) -> Vec<BookingView> {
    let mut bookings: Vec<(u8, DateTime<Utc>, BookingView)> = inputs
        .open
        .iter()
        .filter_map(|entry| {
            let practice = inputs.engine.practices.get(&entry.request.key.practice)?;
            let mut view = booking_view(entry, practice, inputs.decide_minutes());
            view.documents = documents::of_booking(inputs.documents, &entry.request.key);
            view.vald = inputs.at_vald.get(&entry.request.key).cloned();
            let urgency = if view.needs.is_some() { 0 } else { 1 };
            Some((urgency, entry.received_at, view))
        })
        .collect();
    bookings.sort_by_key(|(urgency, received_at, _)| (*urgency, *received_at));
    bookings.into_iter().map(|(_, _, view)| view).collect()
}

impl Inputs<'_> {
    fn decide_minutes(&self) -> u32 {
        self.settings.minutes_to_decide
    }
}

/// The public state of an entry (`interface.md`, `bookings --json`).
pub fn public_state(entry: &Entry) -> PublicState {
    if entry.state.needs_person() {
        return PublicState::Attention;
    }
    match entry.state.stage() {
        Stage::UnderWay if matches!(entry.state, BookingState::Inserted(_)) => PublicState::Inserted,
        Stage::UnderWay => PublicState::Received,
        Stage::Stands(_) | Stage::Cancelling { .. } => PublicState::Confirmed,
        // The appointment stood until its end, and Healthengine has no other word for it.
        Stage::Undone { how: Undoing::DidNotAttend, .. } | Stage::Undone { told: false, .. } => {
            PublicState::Confirmed
        }
        Stage::Cancelled(_) | Stage::Undone { told: true, .. } => PublicState::Cancelled,
        Stage::Rejected(_) | Stage::Closed => PublicState::Rejected,
    }
}

/// One booking.
pub fn booking_view(entry: &Entry, practice: &PracticeState, decide_minutes: u32) -> BookingView {
    let request = &entry.request;
    let zone = practice.settings.zone;
    let name = full_name(&request.patient);
    let name_of = |id: &ResourceRef| {
        practice.resources.iter().find(|resource| resource.id == *id).map(|resource| resource.name.clone())
    };
    let asked_of = request.resource.as_ref().and_then(name_of);
    // Before a person has chosen, and where the choice was lost, it is about what the patient asked for.
    let chosen = entry.placement.as_ref().filter(|_| !matches!(entry.state, BookingState::Unplaced(_)));
    let starts = placing::shown_at(entry);
    let practitioner = chosen.map_or_else(|| asked_of.clone(), |placement| name_of(&placement.resource));
    let kind =
        chosen.map_or(request.appointment_type.as_ref(), |placement| placement.appointment_type.as_ref());
    let kind = kind.and_then(|id| practice.appointment_types.get(id).cloned());
    let elsewhere = chosen.filter(|placement| {
        placement.starts != request.starts || request.resource.as_ref() != Some(&placement.resource)
    });
    let writes = practice.settings.system.write != WriteMode::None;
    let held = entry.state.held();
    BookingView {
        practice_id: request.key.practice.to_string(),
        time_zone: zone.name().to_owned(),
        booking_id: request.key.booking.to_string(),
        revision: entry.revision,
        state: public_state(entry),
        patient_phone: request.patient.phones.first().map(|phone| phone.reveal().clone()),
        starts_at: starts_at(starts, zone),
        starts_written: wall_clock(starts),
        minutes: request.length.sensible_minutes().map_or(0, |minutes| minutes.0),
        booked_at: instant(request.known_booked_at().unwrap_or(entry.received_at)),
        received_at: instant(entry.received_at),
        answered_at: entry.answered_at.map(instant),
        patient_match: patient_match(entry),
        patient_number: held.and_then(|held| held.patient).map(|patient| patient.to_string()),
        reason: reason(entry),
        needs: need(entry, name.as_deref(), practitioner.as_deref(), kind.as_deref(), decide_minutes, writes),
        deadlines: placing::deadlines(entry, practice.made_after.get(&request.key.booking).copied()),
        asked: elsewhere.map(|_| AskedView {
            starts_at: starts_at(request.starts, zone),
            starts_written: wall_clock(request.starts),
            practitioner: asked_of,
        }),
        documents: Vec::new(),
        vald: None,
        patient_name: name,
        practitioner,
        appointment_type: kind,
    }
}

/// A wall clock as the window reads it.
pub fn wall_clock(time: PracticeTime) -> String {
    time.0.format("%Y-%m-%d %H:%M").to_string()
}

fn starts_at(starts: PracticeTime, zone: PracticeZone) -> Option<String> {
    match zone.meaning(starts) {
        Meaning::Once(at) => Some(instant(at)),
        Meaning::Twice(..) | Meaning::Never => None,
    }
}

/// Somebody's name for people; none where there is none.
pub fn full_name(person: &PersonDetails) -> Option<String> {
    let name = format!("{} {}", person.first_name.reveal(), person.last_name.reveal());
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn patient_match(entry: &Entry) -> Option<PatientMatch> {
    entry.state.held()?.patient?;
    match &entry.decision.as_ref()?.plan {
        PatientPlan::Existing(_) => Some(PatientMatch::Existing),
        PatientPlan::New { possible_duplicate_of: None } => Some(PatientMatch::Created),
        PatientPlan::New { possible_duplicate_of: Some(_) } => Some(PatientMatch::PossibleDuplicate),
        PatientPlan::Undecided => None,
    }
}

fn reason(entry: &Entry) -> Option<ReasonView> {
    let plain = |code| Some(ReasonView { code, detail: None });
    match &entry.state {
        BookingState::Held(_) => plain(ReasonCode::PatientAmbiguous),
        BookingState::Entering => plain(ReasonCode::ReadOnly),
        BookingState::Unplaced(Refusal::SlotTaken) if entry.placement.as_ref().is_some_and(|p| !p.beside) => {
            plain(ReasonCode::ChosenTimeTaken)
        }
        BookingState::Withdrawing(why)
        | BookingState::Unplaced(why)
        | BookingState::Refused { why, .. }
        | BookingState::Rejected { why, .. } => Some(refusal_reason(why)),
        BookingState::Stuck { why } => {
            Some(ReasonView { code: ReasonCode::OutcomeUnknown, detail: Some(why.clone()) })
        }
        BookingState::Cancelling { .. } | BookingState::Cancelled(_) => plain(ReasonCode::CancelledByPatient),
        BookingState::Undone { how, .. } | BookingState::Ended { how, .. } => plain(match how {
            Undoing::Cancelled => ReasonCode::CancelledByPractice,
            Undoing::Deleted => ReasonCode::RemovedByPractice,
            Undoing::Moved { .. } => ReasonCode::MovedByPractice,
            Undoing::DidNotAttend => ReasonCode::DidNotAttend,
        }),
        BookingState::Received { .. }
        | BookingState::Inserting { .. }
        | BookingState::Naming { .. }
        | BookingState::Inserted(_)
        | BookingState::Confirmed(_)
        | BookingState::Closed => None,
    }
}

fn refusal_reason(why: &Refusal) -> ReasonView {
    let code = match why {
        Refusal::SlotTaken => ReasonCode::TimeTaken,
        Refusal::OutsideHours => ReasonCode::OutsideHours,
        Refusal::ResourceMissing | Refusal::ResourceUnknown => ReasonCode::PractitionerGone,
        Refusal::TypeUnknown => ReasonCode::TypeGone,
        Refusal::TimeDoesNotExist | Refusal::TimeHasPassed | Refusal::BadLength => ReasonCode::TimeInvalid,
        Refusal::NameMissing => ReasonCode::PatientInvalid,
        Refusal::PatientCancelled => ReasonCode::CancelledByPatient,
        Refusal::DeclinedAtDesk => ReasonCode::DeclinedByPerson,
        Refusal::NobodyDecided => ReasonCode::Undecided,
        Refusal::ReadOnly => ReasonCode::ReadOnly,
        Refusal::Unreadable(_)
        | Refusal::BookingUnknown
        | Refusal::UnknownToPartner
        | Refusal::AlreadyBegun
        | Refusal::Series
        | Refusal::Other(_) => ReasonCode::Other,
    };
    let says_more = matches!(
        why,
        Refusal::TimeDoesNotExist | Refusal::TimeHasPassed | Refusal::BadLength | Refusal::ResourceMissing
    ) || code == ReasonCode::Other;
    ReasonView { code, detail: says_more.then(|| why.to_string()) }
}

/// What a person must do for a booking, if anything.
fn need(
    entry: &Entry,
    name: Option<&str>,
    practitioner: Option<&str>,
    kind: Option<&str>,
    decide_minutes: u32,
    writes: bool,
) -> Option<NeedView> {
    let by_clock = instant(entry.decide_by(decide_minutes));
    let fields = || fields_to_type(entry, name, practitioner, kind);
    let need = |task, answer_by, otherwise, actions: &[BookingAction]| {
        Some(NeedView { task, answer_by, otherwise, actions: actions.to_vec() })
    };
    use BookingAction as A;
    match &entry.state {
        BookingState::Held(_) => need(
            TaskView::ChoosePatient { candidates: candidates(entry) },
            Some(by_clock),
            Otherwise::NewRecord,
            &[A::SamePerson, A::NewPatient, A::Decline],
        ),
        BookingState::Entering => need(
            TaskView::EnterAppointment { fields: fields() },
            Some(by_clock),
            Otherwise::Declines,
            &[A::EnteredByHand, A::Decline],
        ),
        BookingState::Unplaced(_) => need(
            TaskView::NotPlaced { fields: fields() },
            Some(by_clock),
            Otherwise::Declines,
            &placing::actions(entry, writes),
        ),
        BookingState::Stuck { .. } => need(
            TaskView::NotPlaced { fields: fields() },
            None,
            Otherwise::Stays,
            &[A::TryAgain, A::Cancel, A::PatientPhoned],
        ),
        BookingState::Rejected { tell_patient: true, .. } => {
            need(TaskView::PhonePatient, None, Otherwise::Stays, &[A::PatientPhoned])
        }
        BookingState::Cancelling { by_hand: true, .. } => need(
            TaskView::CancelAppointment { fields: fields() },
            None,
            Otherwise::Stays,
            &[A::CancelledByHand],
        ),
        BookingState::Confirmed(_) if entry.has_to_tell_place() => {
            need(TaskView::TellPatient, None, Otherwise::Stays, &[A::PatientTold])
        }
        BookingState::Confirmed(inserted) => {
            let decision = entry.decision.as_ref()?;
            let PatientPlan::New { possible_duplicate_of: Some(_) } = &decision.plan else { return None };
            let task = TaskView::CheckDuplicate {
                new_number: inserted.patient.to_string(),
                candidates: candidates(entry),
            };
            need(task, None, Otherwise::Stays, &[A::DuplicateHandled])
        }
        BookingState::Received { .. }
        | BookingState::Inserting { .. }
        | BookingState::Naming { .. }
        | BookingState::Inserted(_)
        | BookingState::Withdrawing(_)
        | BookingState::Refused { .. }
        | BookingState::Rejected { .. }
        | BookingState::Cancelling { .. }
        | BookingState::Cancelled(_)
        | BookingState::Undone { .. }
        | BookingState::Ended { .. }
        | BookingState::Closed => None,
    }
}

fn fields_to_type(
    entry: &Entry,
    name: Option<&str>,
    practitioner: Option<&str>,
    kind: Option<&str>,
) -> Vec<FieldView> {
    let request = &entry.request;
    let person = &request.patient;
    let text = |value: &str| (!value.trim().is_empty()).then(|| value.trim().to_owned());
    let minutes = request.length.sensible_minutes().map(|minutes| minutes.0.to_string());
    [
        (PersonField::Practitioner, practitioner.and_then(text)),
        (PersonField::Start, Some(wall_clock(placing::shown_at(entry)))),
        (PersonField::Minutes, minutes),
        (PersonField::AppointmentType, kind.and_then(text)),
        (PersonField::Name, name.and_then(text)),
        (PersonField::BirthDate, person.birth_date.reveal().map(|date| date.to_string())),
        (PersonField::Phone, person.phones.first().and_then(|phone| text(phone.reveal()))),
        (PersonField::Email, text(person.email.reveal())),
        (PersonField::Address, text(&address(person))),
        (PersonField::Gender, person.gender.reveal().map(|gender| gender_word(gender).to_owned())),
        (PersonField::Medicare, text(&medicare(person))),
        (PersonField::Notes, text(request.note.reveal())),
    ]
    .into_iter()
    .filter_map(|(field, value)| Some(FieldView { field, value: value? }))
    .collect()
}

fn gender_word(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "Male",
        Gender::Female => "Female",
        Gender::Other => "Other",
    }
}

/// `2123 45670 1, reference 1, to 05/2030`, as far as it is known.
fn medicare(person: &PersonDetails) -> String {
    let number = person.medicare_number.reveal().trim();
    if number.is_empty() {
        return String::new();
    }
    let mut text = number.to_owned();
    for (word, part) in [("reference", &person.medicare_irn), ("to", &person.medicare_expiry)] {
        let part = part.reveal().trim();
        if !part.is_empty() {
            text.push_str(&format!(", {word} {part}"));
        }
    }
    text
}

fn address(person: &PersonDetails) -> String {
    let parts = [&person.street, &person.suburb, &person.state, &person.postcode];
    parts
        .iter()
        .map(|part| part.reveal().trim())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How the record that was chosen, or is in question, compares with the booking; empty for somebody new.
pub fn compared_with_chosen(entry: &Entry) -> Vec<ComparedField> {
    let Some(decision) = &entry.decision else { return Vec::new() };
    let mut candidates = decision.candidates.iter();
    let chosen = match &decision.plan {
        PatientPlan::Existing(patient) => candidates.find(|candidate| candidate.record.id == *patient),
        PatientPlan::Undecided | PatientPlan::New { possible_duplicate_of: Some(_) } => candidates.next(),
        PatientPlan::New { possible_duplicate_of: None } => None,
    };
    chosen.map(|chosen| compared(&entry.request.patient, chosen)).unwrap_or_default()
}

/// Whether the patient of a booking can be corrected, and who else it could be.
pub fn correction(
    entry: &Entry,
    practice: &domain::settings::PracticeSettings,
    now: DateTime<Utc>,
) -> Option<CorrectionView> {
    let over = |why| Some(CorrectionView::Over { why });
    match desk::is_correctable(entry, practice, now) {
        Ok(()) => {}
        Err(Uncorrectable::TooOld) => return over(CorrectionOver::TooOld),
        Err(Uncorrectable::ReadOnly) => return over(CorrectionOver::ReadOnly),
        Err(Uncorrectable::NotStanding | Uncorrectable::SamePatient) => return None,
    }
    let stands = entry.state.held()?.patient?;
    let mut others = candidates(entry);
    others.retain(|candidate| candidate.patient_id != stands.as_str());
    let until = instant(entry.received_at + desk::CORRECTABLE_FOR);
    Some(CorrectionView::Offered { until, candidates: others })
}

fn candidates(entry: &Entry) -> Vec<CandidateView> {
    let comparisons =
        entry.decision.as_ref().map(|decision| decision.candidates.as_slice()).unwrap_or_default();
    comparisons
        .iter()
        .map(|comparison| CandidateView {
            patient_id: comparison.record.id.to_string(),
            number: comparison
                .record
                .shown_number
                .clone()
                .unwrap_or_else(|| comparison.record.id.to_string()),
            fields: compared(&entry.request.patient, comparison),
        })
        .collect()
}

/// One record beside the booking, field by field.
pub fn compared(person: &PersonDetails, comparison: &Comparison) -> Vec<ComparedField> {
    let record = &comparison.record.details;
    let verdict = |field: Field| {
        let found = comparison.fields.iter().find(|(known, _)| *known == field);
        match found.map(|(_, agreement)| *agreement) {
            Some(Agreement::Same) => Verdict::Same,
            Some(Agreement::Near | Agreement::Swapped | Agreement::ShortForm | Agreement::Partly) => {
                Verdict::Near
            }
            Some(Agreement::Differs) => Verdict::Differs,
            Some(Agreement::Missing) | None => Verdict::Missing,
        }
    };
    let worse = |a: Verdict, b: Verdict| match (a, b) {
        (Verdict::Differs, _) | (_, Verdict::Differs) => Verdict::Differs,
        (Verdict::Missing, _) | (_, Verdict::Missing) => Verdict::Missing,
        (Verdict::Near, _) | (_, Verdict::Near) => Verdict::Near,
        (Verdict::Same, Verdict::Same) => Verdict::Same,
    };
    let text = |value: &str| (!value.trim().is_empty()).then(|| value.trim().to_owned());
    let date = |person: &PersonDetails| person.birth_date.reveal().map(|date| date.to_string());
    let phones = |person: &PersonDetails| {
        text(&person.phones.iter().map(|phone| phone.reveal().as_str()).collect::<Vec<_>>().join(", "))
    };
    vec![
        ComparedField {
            field: PersonField::Name,
            on_booking: full_name(person),
            in_book: full_name(record),
            verdict: worse(verdict(Field::FirstName), verdict(Field::LastName)),
        },
        ComparedField {
            field: PersonField::BirthDate,
            on_booking: date(person),
            in_book: date(record),
            verdict: verdict(Field::BirthDate),
        },
        ComparedField {
            field: PersonField::Phone,
            on_booking: phones(person),
            in_book: phones(record),
            verdict: verdict(Field::Phone),
        },
        ComparedField {
            field: PersonField::Email,
            on_booking: text(person.email.reveal()),
            in_book: text(record.email.reveal()),
            verdict: verdict(Field::Email),
        },
        ComparedField {
            field: PersonField::Address,
            on_booking: text(&address(person)),
            in_book: text(&address(record)),
            verdict: verdict(Field::Address),
        },
    ]
    .into_iter()
    // Few bookings bring a card, and then it is worth a row.
    .chain((verdict(Field::Medicare) != Verdict::Missing).then(|| ComparedField {
        field: PersonField::Medicare,
        on_booking: text(&medicare(person)),
        in_book: text(&medicare(record)),
        verdict: verdict(Field::Medicare),
    }))
    .collect()
}

/// Whether a booking answers to what somebody typed into the search field: a number, or part of a name or phone.
pub fn answers_to(entry: &Entry, text: &str) -> bool {
    let wanted = text.trim();
    if wanted.is_empty() || entry.request.key.booking.as_str().contains(wanted) {
        return true;
    }
    let folded = |text: &str| matching::name(&domain::private::Private::new(text.to_owned()));
    let name = full_name(&entry.request.patient).map(|name| folded(&name)).unwrap_or_default();
    let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
    let phone = !digits.is_empty()
        && entry.request.patient.phones.iter().any(|phone| {
            phone.reveal().chars().filter(char::is_ascii_digit).collect::<String>().contains(&digits)
        });
    let wanted = folded(wanted);
    phone || !wanted.is_empty() && name.contains(&wanted)
}

fn round_trips(inputs: &Inputs<'_>) -> RoundTripsView {
    let now_half = sync::flows::half_hour(inputs.now);
    let all: Vec<(DateTime<Utc>, u32)> =
        inputs.days.values().flat_map(|day| day.round_trips.iter().copied()).collect();
    let outages = outages(inputs);
    let half_hours = (0..HALF_HOURS)
        .rev()
        .map(|back| {
            let starts = now_half - TimeDelta::minutes(30) * back;
            let ends = starts + TimeDelta::minutes(30);
            let within: Vec<u32> =
                all.iter().filter(|(at, _)| (starts..ends).contains(at)).map(|(_, took)| *took).collect();
            let proven = inputs.days.values().any(|day| day.proven.contains(&starts));
            let broken =
                outages.iter().any(|(from, to, _)| *from < ends && to.unwrap_or(inputs.now) > starts);
            let slowest = within.iter().copied().max();
            HalfHourView {
                starts_at: instant(starts),
                light: match (broken, proven, slowest) {
                    (true, _, _) => Light::Down,
                    (false, false, _) => Light::Unknown,
                    (false, true, Some(slowest)) if slowest > PROMPT_MS => Light::Attention,
                    (false, true, _) => Light::Ok,
                },
                bookings: u32::try_from(within.len()).unwrap_or(u32::MAX),
                slowest_ms: slowest,
            }
        })
        .collect();
    let mut sorted: Vec<u32> = all.iter().map(|(_, took)| *took).collect();
    sorted.sort_unstable();
    RoundTripsView {
        half_hours,
        median_ms: sorted.get(sorted.len() / 2).copied(),
        slowest_ms: sorted.last().copied(),
        bookings: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
        outages: outages
            .iter()
            .rev()
            .take(3)
            .map(|(from, to, code)| OutageView {
                from: instant(*from),
                to: to.map(instant),
                code: *code,
                bookings_waited: bookings_between(&all, *from, to.unwrap_or(inputs.now)),
            })
            .collect(),
    }
}

/// Bookings that were made while nothing could be reached, and were answered afterwards.
fn bookings_between(all: &[(DateTime<Utc>, u32)], from: DateTime<Utc>, to: DateTime<Utc>) -> u32 {
    let waited = all.iter().filter(|(answered, took)| {
        let made = *answered - TimeDelta::milliseconds(i64::from(*took));
        (from..to).contains(&made) && *answered >= to
    });
    u32::try_from(waited.count()).unwrap_or(u32::MAX)
}

type Outage = (DateTime<Utc>, Option<DateTime<Utc>>, ErrorCode);

/// Outages of the last day, oldest first: those that ended, and those that last.
fn outages(inputs: &Inputs<'_>) -> Vec<Outage> {
    let ended = inputs.days.values().flat_map(|day| &day.activity).filter_map(|line| {
        let leg = line.kind.strip_prefix("outage/")?;
        let code = if leg == Leg::System.name() {
            ErrorCode::PracticeUnreachable
        } else {
            ErrorCode::PartnerUnreachable
        };
        Some((line.began_at?, Some(line.at), code))
    });
    let lasting =
        inputs.engine.practices.values().filter(|practice| practice.settings.enabled).flat_map(|practice| {
            practice.legs.iter().filter_map(|(leg, note)| {
                let since = note.failing_since.filter(|since| inputs.now - *since >= health::PATIENCE)?;
                let problem =
                    note.problem.as_ref().filter(|problem| problem.kind == ProblemKind::Unreachable)?;
                Some((since, None, problem_code(problem, leg)))
            })
        });
    let mut all: Vec<Outage> = ended.chain(lasting).collect();
    // Two legs of one connection fall silent together.
    all.sort_by_key(|(from, to, code)| (*from, *to, format!("{code:?}")));
    all.dedup_by(|a, b| a.2 == b.2 && (a.0 - b.0).abs() < TimeDelta::seconds(30));
    all
}

/// Whether a booking is shown among those that are not done with.
pub fn is_open(entry: &Entry) -> bool {
    let duplicate = || {
        let plan = entry.decision.as_ref().map(|decision| &decision.plan);
        matches!(entry.state, BookingState::Confirmed(_))
            && matches!(plan, Some(PatientPlan::New { possible_duplicate_of: Some(_) }))
    };
    entry.state.needs_person()
        || entry.state.step() != Step::Nothing
        || entry.has_to_tell_place()
        || duplicate()
}

/// What the tray shows of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrayFacts {
    /// How it goes.
    pub headline: Headline,
    /// How many things need somebody.
    pub needs_you: usize,
    /// The first sentence of what is wrong.
    pub trouble: Option<String>,
    /// Whether every practice is switched off; none without a practice.
    pub paused: Option<bool>,
    /// How long Healthengine still waits for the answer that is due first; negative when it is overdue.
    pub answer_due: Option<TimeDelta>,
}

impl TrayFacts {
    /// Before the first view.
    pub fn at_start(problem: Option<&ProblemView>) -> Self {
        Self {
            headline: if problem.is_some() { Headline::Down } else { Headline::Starting },
            needs_you: 0,
            trouble: problem.map(|problem| problem.message.clone()),
            paused: None,
            answer_due: None,
        }
    }
}

/// What the tray shows of the view that the window shows, so that the two never differ.
pub fn tray_facts(view: &AppView) -> TrayFacts {
    let broken = view.practices.iter().filter(|practice| practice.enabled).flat_map(|practice| {
        let system = (practice.system.light, practice.system.problem.as_ref());
        let partner = practice.healthengine.as_ref().map(|partner| (partner.light, partner.problem.as_ref()));
        let vald = practice.vald.as_ref().map(|vald| (vald.light, vald.problem.as_ref()));
        std::iter::once(system).chain(partner).chain(vald)
    });
    let broken = broken.filter(|(light, _)| *light == Light::Down).find_map(|(_, problem)| problem);
    TrayFacts {
        headline: view.headline,
        needs_you: view.attention.len(),
        trouble: view.problem.as_ref().or(broken).map(|problem| problem.message.clone()),
        paused: (!view.practices.is_empty()).then(|| view.practices.iter().all(|practice| !practice.enabled)),
        answer_due: placing::first_answer_due(view),
    }
}
