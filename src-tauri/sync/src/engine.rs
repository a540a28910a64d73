//! The loop: one closed enum of reasons to wake, passes that run beside it, and nothing that blocks it.

use crate::flows::availability::{AVAILABILITY, Availability, CONFIGURATION};
use crate::flows::bookings::Bookings;
use crate::flows::changes::Changes;
use crate::flows::client_snapshots::ClientSnapshots;
use crate::flows::documents::Documents;
use crate::flows::doubt::accepted_mark;
use crate::flows::enrolments::Enrolments;
use crate::flows::people::{People, Searching};
use crate::flows::profiles::{self, Profiles};
use crate::flows::record_links::RecordLinks;
use crate::flows::subscriptions::{self, Subscriptions, Teller};
use crate::flows::{Flow, FlowName, Hurried, Outcome, Ports, error_chain};
use crate::health;
use crate::state::{EngineState, PracticeState, Shrinking, StateBoard};
use crate::webhooks::{EngineBell, Mail, WebhookState, Webhooks};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{ActivityLine, Leg, Mark, Problem, Store, StoreError, Wish};
use domain::ports::webhooks::{Announced, Bell};
use domain::private::SecretString;
use domain::settings::{AppSettings, PracticeSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How often the store is asked whether settings or wishes have moved; `interface.md` promises two seconds.
const LOOK_AT_STORE_EVERY: TimeDelta = TimeDelta::seconds(1);
/// A gap this long between two turns of the loop means that the computer slept.
const SLEPT: TimeDelta = TimeDelta::seconds(30);
/// How long passes may take to finish when the engine stops; `interface.md` promises ten seconds.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How often old personal data is looked for.
const TIDY_EVERY: TimeDelta = TimeDelta::hours(1);
/// How long a practice that could not be set up waits.
const SET_UP_AGAIN: TimeDelta = TimeDelta::seconds(60);
/// How soon a delivery may start a pass after the one before, so that a flood of them costs nothing.
const DELIVERIES_APART: TimeDelta = TimeDelta::seconds(1);

/// Makes the connections of a practice from its settings. The app knows how.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Builds the practice system and the partner. No I/O beyond reading secrets and profiles. Fails with the leg that
    /// cannot be connected.
    async fn connect(&self, settings: &PracticeSettings) -> Result<Connected, (Leg, Problem)>;

    /// A short text that differs when anything beside the store may have moved on which connections depend, such as a
    /// profile. Cheap enough for every second.
    fn surroundings(&self) -> String {
        String::new()
    }

    /// A digest that differs whenever [`Self::connect`] would connect otherwise: settings, secrets, profiles. Asked for
    /// when settings, secrets, wishes or the surroundings have moved.
    async fn signature(&self, settings: &PracticeSettings) -> Result<String, StoreError>;
}

/// The connections of one practice.
pub struct Connected {
    /// The practice's book.
    pub practice: Arc<dyn PracticeSystem>,
    /// The partner that takes bookings and shows free times, where linked.
    pub partner: Option<Arc<dyn Partner>>,
    /// The further partners.
    pub partners: Vec<Arc<dyn Partner>>,
    /// Further partners that cannot be spoken to as they are set, and why. The others go on without them.
    pub troubles: Vec<(Leg, Problem)>,
    /// The public address at which the partner's webhooks come in; none while they are switched off.
    pub callback: Option<SecretString>,
    /// The same for those of the practice system.
    pub book_callback: Option<SecretString>,
}

impl Connected {
    fn accounts(&self) -> impl Iterator<Item = (PartnerId, String)> {
        self.partner.iter().chain(&self.partners).map(|partner| account_of(partner.as_ref()))
    }
}

/// Which account of which partner.
fn account_of(partner: &dyn Partner) -> (PartnerId, String) {
    (partner.id().clone(), partner.account())
}

/// What the engine runs on.
#[derive(Clone)]
pub struct Foundations {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How practices are connected.
    pub connect: Arc<dyn Connect>,
}

/// What others ask of a running engine. Everything else they say to the store.
enum Command {
    /// Look at the store now, and run every flow of this practice.
    Nudge(Option<PracticeId>),
    /// Look at what the listener has heard.
    Listen,
    /// Finish what is in flight.
    Stop,
}

/// Everything that can wake the loop.
enum Wake {
    PassEnded(PassEnded),
    Told(Command),
    TimeCame,
    EverybodyLeft,
}

struct PassEnded {
    slot: SlotKey,
    generation: u64,
    outcome: Option<Outcome>,
}

type SlotKey = (PracticeId, FlowName);

struct Slot {
    flow: Arc<dyn Flow>,
    due_at: DateTime<Utc>,
    running: bool,
    /// Woken while running: run again at once.
    again: bool,
    /// When the last pass began.
    began_at: DateTime<Utc>,
    /// Something was delivered while it was running: run again soon.
    announced: bool,
}

impl Slot {
    fn new(flow: Arc<dyn Flow>, due_at: DateTime<Utc>) -> Self {
        Self {
            flow,
            due_at,
            running: false,
            again: false,
            began_at: DateTime::<Utc>::MIN_UTC,
            announced: false,
        }
    }

    /// Brings the next pass forward, but not right behind the last one.
    fn wake_for_delivery(&mut self, now: DateTime<Utc>) {
        let soon = self.began_at.checked_add_signed(DELIVERIES_APART).map_or(now, |at| at.max(now));
        // A pass that began in the future began before the clock was set back.
        self.due_at = self.due_at.min(soon.min(now + DELIVERIES_APART));
    }
}

/// A running engine.
pub struct EngineHandle {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<EngineState>,
    ended: watch::Receiver<bool>,
    running: watch::Receiver<usize>,
    mail: Arc<Mutex<Mail>>,
    hurried: Hurried,
    searching: Searching,
}

impl EngineHandle {
    /// The bell that a listener for webhooks rings.
    pub fn bell(&self) -> Arc<dyn Bell> {
        Arc::new(EngineBell {
            mail: self.mail.clone(),
            commands: self.commands.downgrade(),
            look: || Command::Listen,
        })
    }

    /// How many passes are under way.
    pub fn passes_under_way(&self) -> watch::Receiver<usize> {
        self.running.clone()
    }

    /// What the engine knows, and news of it.
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.state.clone()
    }

    /// Asks the engine to take up what somebody has just told the store.
    pub fn nudge(&self, practice: Option<PracticeId>) {
        // A full queue means that the engine is about to look anyway.
        let _ = self.commands.try_send(Command::Nudge(practice));
    }

    /// Keeps who is in the books in memory until `until`, because somebody searches. Reads them at once where they are
    /// not there yet.
    pub fn search_until(&self, until: DateTime<Utc>) {
        self.searching.extend(until);
        let state = self.state.borrow();
        if state.practices.values().any(|practice| practice.people.is_none()) {
            self.nudge(None);
        }
    }

    /// Asks the engine to send the profiles of these patients before all others, as soon as they may be sent.
    pub fn hurry(&self, practice: PracticeId, patients: BTreeSet<PatientRef>) {
        self.hurried.add(&practice, patients);
        self.nudge(Some(practice));
    }

    /// Finishes what is in flight and returns when that is done.
    pub async fn stop(&self) {
        if self.commands.send(Command::Stop).await.is_ok() {
            let _ = self.ended.clone().wait_for(|ended| *ended).await;
        }
    }
}

/// Starts the engine on the current runtime.
pub fn start(foundations: Foundations) -> EngineHandle {
    let (commands, inbox) = mpsc::channel(64);
    let (ended_sender, ended) = watch::channel(false);
    let state = StateBoard::default();
    let running = watch::Sender::new(0);
    let mail: Arc<Mutex<Mail>> = Arc::default();
    let hurried = Hurried::default();
    let searching = Searching::default();
    let handle = EngineHandle {
        commands,
        state: state.subscribe(),
        ended,
        running: running.subscribe(),
        mail: mail.clone(),
        hurried: hurried.clone(),
        searching: searching.clone(),
    };
    let engine = Engine {
        foundations,
        state,
        inbox,
        mail,
        hurried,
        searching,
        slots: BTreeMap::new(),
        practices: BTreeMap::new(),
        passes: JoinSet::new(),
        in_flight: BTreeMap::new(),
        running,
        app: AppSettings::default(),
        revision: None,
        surroundings: String::new(),
        look_at_store_at: DateTime::<Utc>::MIN_UTC,
        tidy_at: DateTime::<Utc>::MIN_UTC,
    };
    tokio::spawn(async move {
        engine.run().await;
        let _ = ended_sender.send(true);
    });
    handle
}

/// One practice as it is set up now.
struct Practice {
    settings: PracticeSettings,
    signature: String,
    /// Passes of an older set-up are not taken for this one's.
    generation: u64,
    look_closely: Arc<AtomicBool>,
    /// When setting up is tried again; none when it worked or the practice is switched off.
    set_up_again_at: Option<DateTime<Utc>>,
    /// Passes of the former set-up still run. Were they to write marks later, the new account would miss what they
    /// were about.
    set_up_when_idle: bool,
    /// What is known of its webhooks.
    webhooks: Arc<Webhooks>,
    /// The same of those of the practice system.
    book_webhooks: Arc<Webhooks>,
    /// The practice system that passes speak to; none before it could be set up.
    system: Option<Arc<dyn PracticeSystem>>,
    /// The partner that passes speak to, those of the former set-up that are still under way included.
    partner: Option<Arc<dyn Partner>>,
    /// The further partners, likewise.
    partners: Vec<Arc<dyn Partner>>,
    /// Whom the former set-up subscribed to webhooks with.
    former_tellers: Vec<Teller>,
}

impl Practice {
    /// Every partner that passes speak to.
    fn all_partners(&self) -> impl Iterator<Item = &Arc<dyn Partner>> {
        self.partner.iter().chain(&self.partners)
    }

    /// Those with whom a subscription may stand, one of a kind: with whom it stands now before whom it stood with.
    fn subscribed_with(&self) -> Vec<Teller> {
        let mut tellers = self.tellers();
        for former in &self.former_tellers {
            if tellers.iter().all(|teller| teller.flow() != former.flow()) {
                tellers.push(former.clone());
            }
        }
        tellers
    }

    /// Those with whom this set-up subscribes.
    fn tellers(&self) -> Vec<Teller> {
        let partner = self.partner.clone().filter(|_| self.webhooks.callback().is_some());
        let system = self.system.clone().filter(|_| self.book_webhooks.callback().is_some());
        partner.map(Teller::Partner).into_iter().chain(system.map(Teller::System)).collect()
    }
}

struct Engine {
    foundations: Foundations,
    state: StateBoard,
    inbox: mpsc::Receiver<Command>,
    mail: Arc<Mutex<Mail>>,
    hurried: Hurried,
    searching: Searching,
    slots: BTreeMap<SlotKey, Slot>,
    practices: BTreeMap<PracticeId, Practice>,
    passes: JoinSet<PassEnded>,
    /// How many passes of each practice run, those of a former set-up included.
    in_flight: BTreeMap<PracticeId, usize>,
    running: watch::Sender<usize>,
    app: AppSettings,
    revision: Option<u64>,
    surroundings: String,
    look_at_store_at: DateTime<Utc>,
    tidy_at: DateTime<Utc>,
}

impl Engine {
    async fn run(mut self) {
        let mut last_turn = self.now();
        loop {
            self.turn(&mut last_turn).await;
            let next = self.next_due();
            let wake = tokio::select! {
                // Commands and finished passes first: a due flow can wait a moment, a person cannot.
                biased;
                command = self.inbox.recv() => command.map_or(Wake::EverybodyLeft, Wake::Told),
                Some(ended) = self.passes.join_next() => match ended {
                    Ok(ended) => Wake::PassEnded(ended),
                    Err(_) => Wake::TimeCame,
                },
                () = self.foundations.clock.sleep_until(next) => Wake::TimeCame,
            };
            match wake {
                Wake::PassEnded(ended) => self.pass_ended(ended),
                Wake::Told(Command::Nudge(practice)) => {
                    self.look_at_store_at = self.now();
                    self.make_due(practice.as_ref(), self.now());
                }
                // Every turn takes the mail in.
                Wake::Told(Command::Listen) | Wake::TimeCame => {}
                Wake::Told(Command::Stop) | Wake::EverybodyLeft => break,
            }
        }
        let finish = async { while self.passes.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, finish).await.is_err() {
            tracing::warn!(
                "Stopped before everything in flight had ended. It is taken up again at the next start."
            );
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.foundations.clock.now()
    }

    /// Does what is due, without waiting for any pass.
    async fn turn(&mut self, last_turn: &mut DateTime<Utc>) {
        let now = self.now();
        let gap = now - *last_turn;
        *last_turn = now;
        if gap > SLEPT || gap < TimeDelta::seconds(-5) {
            self.woke_up(gap, now).await;
        }
        if now >= self.look_at_store_at {
            self.look_at_store_at = now + LOOK_AT_STORE_EVERY;
            match self.look_at_store(now).await {
                Ok(()) => self.state.change(|state| state.store_problem = None),
                Err(error) => self.store_failed(&error),
            }
        }
        if now >= self.tidy_at {
            self.tidy_at = now + TIDY_EVERY;
            if let Err(error) = self.tidy(now).await {
                self.store_failed(&error);
            }
        }
        self.take_in_mail(now);
        self.start_due_passes(now);
    }

    /// What was delivered is a hint: the practice's requests are looked for, all of them. Where the partner does not
    /// work with us at the moment, its own pace is kept.
    fn take_in_mail(&mut self, now: DateTime<Utc>) {
        let mail = std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(listener) = mail.listening {
            self.state.change(|state| state.listener = listener);
        }
        for (id, delivered) in mail.delivered {
            let Some(practice) = self.practices.get(&id) else { continue };
            let (mut woken, mut from_partner, mut from_book) = (BTreeSet::new(), false, false);
            for what in delivered {
                if let Announced::Book(news) = &what {
                    from_book = true;
                    if practice.system.as_ref().is_some_and(|system| system.heard(news)) {
                        woken.insert(FlowName::Availability);
                    }
                } else {
                    from_partner = true;
                    woken.insert(FlowName::Bookings);
                }
                practice.webhooks.delivered(what, now);
            }
            self.state.change_practice(&id, |practice| {
                let shown =
                    [(from_partner, &mut practice.webhooks), (from_book, &mut practice.book_webhooks)];
                for shown in shown.into_iter().filter_map(|(heard, shown)| shown.as_mut().filter(|_| heard)) {
                    shown.last_delivery_at = Some(now);
                }
            });
            for flow in woken {
                let fails = self.fails(&id, &flow);
                if let Some(slot) = self.slots.get_mut(&(id.clone(), flow)).filter(|_| !fails) {
                    if slot.running {
                        slot.announced = true;
                    } else {
                        slot.wake_for_delivery(now);
                    }
                }
            }
        }
    }

    /// Whether whoever announces work for this flow does not work with us at the moment.
    fn fails(&self, practice: &PracticeId, flow: &FlowName) -> bool {
        let leg = if *flow == FlowName::Availability { Leg::System } else { Leg::Desk };
        self.state.leg(practice, leg).is_some_and(|note| note.problem.is_some())
    }

    fn next_due(&self) -> DateTime<Utc> {
        let flows = self.slots.values().filter(|slot| !slot.running).map(|slot| slot.due_at);
        let practices = self.practices.values().filter_map(|practice| practice.set_up_again_at);
        flows
            .chain(practices)
            .chain([self.look_at_store_at, self.tidy_at])
            .min()
            .unwrap_or(self.look_at_store_at)
    }

    fn start_due_passes(&mut self, now: DateTime<Utc>) {
        for (key, slot) in &mut self.slots {
            if slot.running || slot.due_at > now {
                continue;
            }
            slot.running = true;
            slot.again = false;
            slot.announced = false;
            slot.began_at = now;
            *self.in_flight.entry(key.0.clone()).or_default() += 1;
            self.running.send_modify(|running| *running += 1);
            let flow = slot.flow.clone();
            let slot = key.clone();
            let generation = self.practices.get(&key.0).map_or(0, |practice| practice.generation);
            self.passes.spawn(async move {
                // A pass that panics is logged and run again later; the other practices do not notice.
                let outcome = tokio::spawn(async move { flow.pass().await }).await;
                PassEnded { slot, generation, outcome: outcome.ok() }
            });
        }
    }

    fn pass_ended(&mut self, ended: PassEnded) {
        let now = self.now();
        let still_running = self.in_flight.entry(ended.slot.0.clone()).or_default();
        *still_running = still_running.saturating_sub(1);
        self.running.send_modify(|running| *running = running.saturating_sub(1));
        if *still_running == 0
            && let Some(practice) = self.practices.get_mut(&ended.slot.0)
            && practice.set_up_when_idle
        {
            practice.set_up_again_at = Some(now);
            self.look_at_store_at = now;
        }
        let current = self.practices.get(&ended.slot.0).map(|practice| practice.generation);
        if current != Some(ended.generation) {
            return;
        }
        let outcome = ended.outcome.unwrap_or_else(|| {
            tracing::error!(practice.id = %ended.slot.0, flow = ?ended.slot.1, "A pass ended in a panic; it is run again.");
            Outcome { again_at: now + SET_UP_AGAIN, wake: BTreeSet::new() }
        });
        let fails = self.fails(&ended.slot.0, &ended.slot.1);
        if let Some(slot) = self.slots.get_mut(&ended.slot) {
            slot.running = false;
            slot.due_at = if slot.again { now } else { outcome.again_at };
            if slot.announced && !fails {
                slot.wake_for_delivery(now);
            }
        }
        for woken in outcome.wake {
            self.wake(&(ended.slot.0.clone(), woken), now);
        }
    }

    fn wake(&mut self, key: &SlotKey, now: DateTime<Utc>) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.again = slot.running;
            slot.due_at = now;
        }
    }

    fn make_due(&mut self, practice: Option<&PracticeId>, now: DateTime<Utc>) {
        let keys: Vec<SlotKey> = self
            .slots
            .keys()
            .filter(|key| practice.is_none_or(|practice| key.0 == *practice))
            .cloned()
            .collect();
        for key in keys {
            self.wake(&key, now);
        }
    }

    async fn woke_up(&mut self, gap: TimeDelta, now: DateTime<Utc>) {
        tracing::info!(
            seconds = gap.num_seconds(),
            "The computer slept, or its clock was set. Everything is checked now."
        );
        let text = format!("This computer was asleep for {}. Everything was checked at once.", in_words(gap));
        for practice in self.practices.values() {
            practice.look_closely.store(true, Ordering::SeqCst);
            practice.webhooks.was_deaf();
            let line =
                ActivityLine { at: now, began_at: Some(now - gap), kind: "wake".into(), text: text.clone() };
            if gap > TimeDelta::zero()
                && let Err(error) = self.foundations.store.tell(&practice.settings.id, &line).await
            {
                self.store_failed(&error);
            }
        }
        self.look_at_store_at = now;
        self.make_due(None, now);
    }

    fn store_failed(&self, error: &StoreError) {
        tracing::error!(cause = error_chain(error), "The records cannot be read or kept.");
        let now = self.now();
        self.state.change(|state| {
            let since = state.store_problem.as_ref().map_or(now, |(since, _)| *since);
            state.store_problem = Some((since, error.to_string()));
        });
    }

    /// Takes up settings and wishes, and sets up again what could not be set up.
    async fn look_at_store(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let revision = self.foundations.store.revision().await?;
        let surroundings = self.foundations.connect.surroundings();
        if self.revision != Some(revision) || self.surroundings != surroundings {
            self.take_up_settings(now).await?;
            self.grant_wishes(now).await?;
            // Somebody may have recorded consent.
            let concerned = |key: &&SlotKey| {
                matches!(key.1, FlowName::Profiles | FlowName::Enrolments(_) | FlowName::RecordLinks(_))
            };
            for key in self.slots.keys().filter(concerned).cloned().collect::<Vec<_>>() {
                self.wake(&key, now);
            }
            self.revision = Some(revision);
            self.surroundings = surroundings;
        }
        let again: Vec<PracticeId> = self
            .practices
            .iter()
            .filter(|(_, practice)| practice.set_up_again_at.is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for practice in again {
            self.set_up(&practice, now).await?;
        }
        Ok(())
    }

    async fn take_up_settings(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let app = self.foundations.store.app_settings().await?;
        let wanted = self.foundations.store.practices().await?;
        let app_changed = app != self.app;
        self.app = app;
        let gone: Vec<PracticeId> = self
            .practices
            .keys()
            .filter(|id| !wanted.iter().any(|settings| settings.id == **id))
            .cloned()
            .collect();
        for practice in gone {
            self.take_down(&practice);
            let gone = self.practices.remove(&practice);
            for partner in gone.iter().flat_map(Practice::all_partners) {
                partner.retire();
            }
            for former in gone.map(|gone| gone.subscribed_with()).unwrap_or_default() {
                self.say_goodbye(&practice, former);
            }
            self.state.change(|state| drop(state.practices.remove(&practice)));
        }
        for settings in wanted {
            let id = settings.id.clone();
            let signature = self.foundations.connect.signature(&settings).await?;
            let before = self.practices.get(&id);
            if !app_changed && before.is_some_and(|b| b.settings == settings && b.signature == signature) {
                continue;
            }
            let partner = before.and_then(|before| before.partner.clone());
            let partners = before.map(|before| before.partners.clone()).unwrap_or_default();
            let generation = before.map_or(0, |before| before.generation) + 1;
            let former_tellers = before.map(Practice::subscribed_with).unwrap_or_default();
            let system = before.and_then(|before| before.system.clone());
            if let Some(before) = before {
                // What is still under way says nothing more to an account that was replaced (HE-04).
                self.retire_replaced(before, &settings).await;
            }
            let practice = Practice {
                settings,
                signature,
                generation,
                look_closely: Arc::new(AtomicBool::new(true)),
                partner,
                partners,
                set_up_again_at: None,
                set_up_when_idle: false,
                webhooks: Arc::default(),
                book_webhooks: Arc::default(),
                system,
                former_tellers,
            };
            self.practices.insert(id.clone(), practice);
            self.set_up(&id, now).await?;
        }
        Ok(())
    }

    /// Ends the accounts on our side that these settings do not mean any more.
    async fn retire_replaced(&self, before: &Practice, settings: &PracticeSettings) {
        let connected = self.foundations.connect.connect(settings).await;
        let meant: BTreeSet<_> = connected.iter().flat_map(Connected::accounts).collect();
        for partner in before.all_partners().filter(|partner| !meant.contains(&account_of(partner.as_ref())))
        {
            partner.retire();
        }
    }

    fn take_down(&mut self, practice: &PracticeId) {
        self.slots.retain(|key, _| key.0 != *practice);
    }

    /// Connects a practice as its settings say. Passes of the former connection end by themselves.
    async fn set_up(&mut self, id: &PracticeId, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.take_down(id);
        let Some(practice) = self.practices.get_mut(id) else { return Ok(()) };
        // Until it is done, so that a store that fails in between does not leave the practice dead.
        practice.set_up_again_at = Some(now + SET_UP_AGAIN);
        practice.set_up_when_idle = self.in_flight.get(id).is_some_and(|running| *running > 0);
        if practice.set_up_when_idle {
            return Ok(());
        }
        let store = &self.foundations.store;
        let legs = store.notes(id).await?.into_iter().collect();
        let counts = store.counts(id).await?;
        let shown = PracticeState::new(practice.settings.clone(), legs, counts);
        self.state.change(|state| {
            // Who works here is still known while the practice is switched off, or being set up anew.
            let before = state.practices.remove(id);
            let shown = before.map_or_else(|| shown.clone(), |before| before.renewed(shown.clone()));
            state.practices.insert(id.clone(), shown);
        });
        if !practice.settings.enabled {
            practice.set_up_again_at = None;
            tracing::info!(practice.id = %id, "Switched off.");
            for former in std::mem::take(&mut practice.former_tellers) {
                self.say_goodbye(id, former);
            }
            return Ok(());
        }
        let connected = match self.foundations.connect.connect(&practice.settings).await {
            Ok(connected) => connected,
            Err((leg, problem)) => {
                practice.set_up_again_at = Some(now + SET_UP_AGAIN);
                tracing::warn!(practice.id = %id, "{}", problem.sentence);
                let note = health::failed(None, problem, now);
                store.note(id, leg.clone(), &note).await?;
                self.state.change_practice(id, |practice| drop(practice.legs.insert(leg, note)));
                return Ok(());
            }
        };
        practice.set_up_again_at = None;
        for (leg, problem) in connected.troubles {
            tracing::warn!(practice.id = %id, "{}", problem.sentence);
            let note = health::failed(None, problem, now);
            store.note(id, leg.clone(), &note).await?;
            self.state.change_practice(id, |practice| drop(practice.legs.insert(leg, note)));
        }
        tracing::info!(practice.id = %id, "Set up.");
        practice.webhooks = Arc::new(Webhooks::at(connected.callback));
        practice.book_webhooks = Arc::new(Webhooks::at(connected.book_callback));
        practice.system = Some(connected.practice.clone());
        practice.partner = connected.partner.clone();
        practice.partners = connected.partners.clone();
        let tellers = practice.tellers();
        self.state.change_practice(id, |shown| {
            for teller in &tellers {
                match teller {
                    Teller::Partner(_) => shown.webhooks = Some(WebhookState::default()),
                    Teller::System(_) => shown.book_webhooks = Some(WebhookState::default()),
                }
            }
        });
        // The same account puts its subscriptions right by itself.
        let stays = |former: &Teller| {
            tellers.iter().any(|now| now.flow() == former.flow() && now.account() == former.account())
        };
        let former = std::mem::take(&mut practice.former_tellers);
        let left: Vec<Teller> = former.into_iter().filter(|former| !stays(former)).collect();
        let ports = Ports {
            settings: practice.settings.clone(),
            app: self.app.clone(),
            practice: connected.practice,
            partner: connected.partner,
            partners: connected.partners,
            store: store.clone(),
            clock: self.foundations.clock.clone(),
            state: self.state.clone(),
            look_closely: practice.look_closely.clone(),
            writes_fail: Arc::default(),
            webhooks: practice.webhooks.clone(),
            book_webhooks: practice.book_webhooks.clone(),
            hurried: self.hurried.clone(),
            searching: self.searching.clone(),
            noted: Arc::default(),
            half_hours: Arc::default(),
        };
        let mut flows: Vec<Arc<dyn Flow>> =
            vec![Arc::new(Availability::new(ports.clone())), Arc::new(People::new(ports.clone()))];
        if let Some(changes) = Changes::new(ports.clone()) {
            flows.push(Arc::new(changes));
        }
        if let Some(documents) = Documents::new(ports.clone()) {
            flows.push(Arc::new(documents));
        }
        if let Some(subscriptions) = Subscriptions::new(ports.clone()) {
            flows.push(Arc::new(subscriptions));
        }
        if let Some(subscriptions) = Subscriptions::of_book(ports.clone()) {
            flows.push(Arc::new(subscriptions));
        }
        if let Some(snapshots) = ClientSnapshots::new(ports.clone()) {
            flows.push(Arc::new(snapshots));
        }
        if let Some(profiles) = Profiles::new(ports.clone()) {
            flows.push(Arc::new(profiles));
        }
        for partner in &practice.partners {
            if let Some(enrolments) = Enrolments::new(ports.clone(), partner.clone()) {
                flows.push(Arc::new(enrolments));
            }
        }
        for records in RecordLinks::all(&ports) {
            flows.push(Arc::new(records));
        }
        if let Some(bookings) = Bookings::new(ports) {
            flows.push(Arc::new(bookings));
        }
        for flow in flows {
            self.slots.insert((id.clone(), flow.name()), Slot::new(flow.clone(), now));
        }
        for left in left {
            self.say_goodbye(id, left);
        }
        Ok(())
    }

    /// Ends the subscription of an account that is left, beside everything else. A practice that is set up anew waits
    /// for it as for every pass.
    fn say_goodbye(&mut self, id: &PracticeId, teller: Teller) {
        *self.in_flight.entry(id.clone()).or_default() += 1;
        self.running.send_modify(|running| *running += 1);
        let (store, id, flow) = (self.foundations.store.clone(), id.clone(), teller.flow());
        self.passes.spawn(async move {
            let goodbye = {
                let id = id.clone();
                tokio::spawn(async move {
                    subscriptions::say_goodbye(store.as_ref(), &id, &teller).await;
                })
            };
            // One that panics is logged, and the subscription ends by itself.
            let _ = goodbye.await;
            // No set-up has this number.
            PassEnded { slot: (id, flow), generation: 0, outcome: None }
        });
    }

    async fn grant_wishes(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        for open in self.foundations.store.open_wishes().await? {
            let store = &self.foundations.store;
            match &open.wish {
                Wish::ResyncConfiguration => {
                    for thing in CONFIGURATION {
                        store.forget_marks(&open.practice, thing).await?;
                    }
                }
                Wish::ResyncAvailability => {
                    store.forget_marks(&open.practice, AVAILABILITY).await?;
                }
                Wish::ResyncPatients => {
                    store.forget_marks(&open.practice, profiles::COMPARED).await?;
                }
                Wish::AcceptShrink(list) => {
                    // Accepted is what waits at this moment; where nothing waits any more there is nothing to accept.
                    if let Some(Shrinking { digest, .. }) = self.state.shrinking(&open.practice, list) {
                        let thing = accepted_mark(list);
                        store.set_marks(&open.practice, &[Mark { thing, digest, at: now }]).await?;
                    }
                }
            }
            store.granted(open.id, now).await?;
            tracing::info!(practice.id = %open.practice, wish = ?open.wish, "Asked for at the desk.");
            if let Some(practice) = self.practices.get(&open.practice) {
                practice.look_closely.store(true, Ordering::SeqCst);
            }
            self.make_due(Some(&open.practice), now);
        }
        Ok(())
    }

    /// Clears personal fields of bookings that ended longer ago than the retention time.
    async fn tidy(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let before = now - TimeDelta::days(i64::from(self.app.retention_days));
        let cleared = self.foundations.store.forget_people(before).await?;
        if cleared > 0 {
            tracing::info!(bookings = cleared, "Personal details past their retention time were cleared.");
        }
        Ok(())
    }
}

fn in_words(gap: TimeDelta) -> String {
    match (gap.num_hours(), gap.num_minutes()) {
        (0, 0) => format!("{} seconds", gap.num_seconds()),
        (0, 1) => "a minute".into(),
        (0, minutes) => format!("{minutes} minutes"),
        (1, _) => "an hour".into(),
        (hours, _) => format!("{hours} hours"),
    }
}
