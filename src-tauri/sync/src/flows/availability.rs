//! Keeps what the partner shows equal to the book: live hours, resources, appointment types, free times.
//!
//! A pass computes what should be there, compares it with what was last accepted, and sends what differs. Once a day
//! everything is sent (sheet §6). Nothing is sent from a read that failed.

use super::doubt::{NAMED, accepted_mark};
use super::{Flow, FlowName, Outcome, Ports, Stop};
use crate::digest::Digest;
use crate::health;
use crate::shown::{self, CHANGES, Change, Difference};
use crate::state::{Asked, BookReading, ResourceState, Shrinking};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{BookingState, Entry};
use domain::diary::{Appointment, AppointmentType, Book, Resource};
use domain::failure::{ReadError, WriteError};
use domain::free_times::FreeTimes;
use domain::ids::ResourceRef;
use domain::ports::partner::{AvailabilityBoard, DayOffer, Partner};
use domain::ports::store::{Leg, Mark, Problem, ProblemKind, StoreError};
use domain::settings::LiveHours;
use domain::time::{DayRange, Horizon};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Marks of the list of resources.
pub const RESOURCES: &str = "resources";
/// Marks of the list of appointment types.
pub const APPOINTMENT_TYPES: &str = "appointment_types";
/// Marks of everything that is configuration: HE-05, HE-09.
pub const CONFIGURATION: [&str; 3] = [LIVE_HOURS, RESOURCES, APPOINTMENT_TYPES];
/// Marks of free times.
pub const AVAILABILITY: &str = "availability/";
const LIVE_HOURS: &str = "live_hours";
/// Marks of the names in a list as last accepted.
const NAMES: &str = "names/";
/// For which account the marks hold; another account has seen nothing yet (HE-04).
const ACCOUNT: &str = "account";
/// When everything was last sent.
const EVERYTHING: &str = "everything";
/// The digest of what is being sent: until its answer is here, nobody knows what the partner shows. Were the former
/// digest kept, a book that turned back to it would not be sent.
const UNKNOWN: &str = "";
/// How often everything is sent, changed or not.
const EVERYTHING_EVERY: TimeDelta = TimeDelta::hours(24);
/// How long a stamp is believed before the whole book is read again.
const STAMP_LASTS: TimeDelta = TimeDelta::minutes(10);
/// For how many days from today on it is kept who comes.
const VISITS_FOR_DAYS: u32 = 7;
/// How long a day or a list that was refused waits before it is tried again, also where the partner asks for it.
pub const REFUSED_WAITS: TimeDelta = TimeDelta::minutes(1);

/// The mark that holds the names of a list as last accepted.
fn names_mark(list: &str) -> String {
    format!("{NAMES}{list}")
}

/// The prefix of the marks of a day, or of one resource on it.
pub fn day_prefix(day: NaiveDate, resource: Option<&ResourceRef>) -> String {
    match resource {
        Some(resource) => mark_of(day, resource),
        None => format!("{AVAILABILITY}{day}/"),
    }
}

fn mark_of(day: NaiveDate, resource: &ResourceRef) -> String {
    // The slash at the end keeps resource 7 from meaning 70 as well.
    format!("{AVAILABILITY}{day}/{resource}/")
}

/// The free times of one practice.
pub struct Availability {
    ports: Ports,
    partner: Option<Arc<dyn Partner>>,
    last: Mutex<Option<LastLook>>,
    /// What was refused within the last minute, by its mark.
    refused: Mutex<BTreeMap<String, Refused>>,
}

/// What the partner refused.
struct Refused {
    /// What was sent, as its mark would say it.
    text: String,
    at: DateTime<Utc>,
    problem: Problem,
}

/// What the last complete pass saw.
#[derive(Clone)]
struct LastLook {
    stamp: String,
    horizon: Horizon,
    at: DateTime<Utc>,
    /// When the pass has to look again although nothing changed: something was refused.
    again_at: Option<DateTime<Utc>>,
}

#[async_trait]
impl Flow for Availability {
    fn name(&self) -> FlowName {
        FlowName::Availability
    }

    async fn pass(&self) -> Outcome {
        let poll = TimeDelta::seconds(i64::from(self.ports.settings.system.poll_seconds.max(1)));
        let started = self.ports.clock.now();
        let mut wake = BTreeSet::new();
        let ended = self.run(&mut wake).await;
        let again_at = match ended {
            Ok(()) => {
                self.ports.store_works();
                (started + poll).max(self.ports.clock.now())
            }
            Err(stop) => {
                self.ports.look_closely();
                self.ports.stopped(stop, poll).await
            }
        };
        Outcome { again_at, wake }
    }
}

impl Availability {
    /// The flow. Without a partner it still watches the practice database, so that its light is true.
    pub fn new(ports: Ports) -> Self {
        let partner = ports.partner.clone().filter(|partner| partner.availability_board().is_some());
        Self { ports, partner, last: Mutex::new(None), refused: Mutex::default() }
    }

    fn horizon(&self) -> Horizon {
        let today = self.ports.settings.zone.today(self.ports.clock.now());
        let days = self.ports.settings.healthengine.as_ref().map_or(14, |account| account.horizon_days);
        Horizon::from_day(today, days)
    }

    async fn run(&self, wake: &mut BTreeSet<FlowName>) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let horizon = self.horizon();
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let stamp = self.ports.practice.stamp(horizon).await.map_err(unreadable)?;
        let asked_to_look = self.ports.look_closely.swap(false, Ordering::SeqCst);
        let unchanged = self.last().is_some_and(|last| {
            last.stamp == stamp
                && last.horizon == horizon
                && now - last.at < STAMP_LASTS
                && last.again_at.is_none_or(|at| now < at)
        });
        if unchanged && !asked_to_look {
            self.ports.proven(Leg::System).await?;
            return self.still_proven().await;
        }
        let changed = self.last().is_some_and(|last| last.stamp != stamp);
        if changed {
            wake.insert(FlowName::Changes);
        }
        // Before the book is read: one that is written meanwhile is then counted twice, and not left out twice.
        let on_their_way = self.ports.store.unfinished(self.ports.id()).await?;
        let reading = self.ports.clock.now();
        let mut book = self.ports.practice.book(horizon).await.map_err(unreadable)?;
        let read_ms = u32::try_from((self.ports.clock.now() - reading).num_milliseconds()).ok();
        self.ports.state.change_practice(self.ports.id(), |practice| practice.read_ms = read_ms);
        self.ports.proven(Leg::System).await?;
        // Whoever chooses another time for a booking that could not be placed may choose one that overlaps it.
        let (unplaced, on_their_way): (Vec<Entry>, Vec<Entry>) =
            on_their_way.into_iter().partition(|entry| matches!(entry.state, BookingState::Unplaced(_)));
        keep_free_for(&on_their_way, &mut book);
        let free_times = Arc::new(FreeTimes::of(&book));
        self.ports.state.change_practice(self.ports.id(), |practice| practice.free_times = Some(free_times));
        keep_free_for(&unplaced, &mut book);
        let reading = book_reading(reading, &book);
        self.ports
            .state
            .change_practice(self.ports.id(), |practice| practice.reading = Some(Arc::new(reading)));
        let mut refused = None;
        if let Some(partner) = &self.partner
            && let Some(board) = partner.availability_board()
        {
            refused = self.publish(partner.as_ref(), board, &book, changed, now).await?;
        } else {
            self.shrinks(Vec::new());
            self.show(&book, &BTreeSet::new(), now);
        }
        let again_at = match refused {
            None => {
                if self.partner.is_some() {
                    self.ports.proven(Leg::Board).await?;
                }
                self.ports.state.change_practice(self.ports.id(), |practice| {
                    practice.asked_since.remove(&Asked::FreeTimes);
                });
                None
            }
            Some(problem) => {
                self.ports.failed_with(Leg::Board, problem, None).await?;
                let first = self.refused().values().map(|refused| refused.at).min();
                Some(first.unwrap_or_else(|| self.ports.clock.now()) + REFUSED_WAITS)
            }
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(LastLook { stamp, horizon, at: now, again_at });
        Ok(())
    }

    fn last(&self) -> Option<LastLook> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the partner said when it refused just this, less than a minute ago. Something else is sent at once.
    fn refused_lately(&self, thing: &str, text: &str) -> Option<Problem> {
        self.refused()
            .get(thing)
            .filter(|refused| refused.text == text)
            .map(|refused| refused.problem.clone())
    }

    /// Notes what the partner refused, or that it did not.
    fn note_refused(&self, thing: &str, text: &str, problem: Option<Problem>) {
        let at = self.ports.clock.now();
        let mut refused = self.refused();
        match problem {
            Some(problem) => {
                refused.insert(thing.to_owned(), Refused { text: text.to_owned(), at, problem });
            }
            None => drop(refused.remove(thing)),
        }
    }

    /// The book is as it was, and the partner accepted that: proven anew, unless something waits for a person.
    async fn still_proven(&self) -> Result<(), Stop> {
        let nothing_refused = self.last().is_some_and(|last| last.again_at.is_none());
        if self.partner.is_some() && nothing_refused {
            self.ports.proven(Leg::Board).await?;
        }
        Ok(())
    }

    /// Sends what differs. Returns what was refused, or waits for a person.
    async fn publish(
        &self,
        partner: &dyn Partner,
        board: &dyn AvailabilityBoard,
        book: &Book,
        changed: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<Problem>, Stop> {
        self.begin_anew_for_another_account(partner).await?;
        self.begin_anew_every_day(now).await?;
        self.refused().retain(|_, refused| (TimeDelta::zero()..REFUSED_WAITS).contains(&(now - refused.at)));
        // The lists come first (sheet §7).
        let lists = self.publish_configuration(board, book).await?;
        if lists.doubtful {
            // From a read that lost half of its practitioners no free times are taken either.
            self.show(book, &BTreeSet::new(), now);
            return Ok(lists.problem);
        }
        let days = self.publish_days(board, book, changed, now).await?;
        Ok(lists.problem.or(days))
    }

    async fn begin_anew_for_another_account(&self, partner: &dyn Partner) -> Result<(), Stop> {
        let account = partner.account();
        let known = self.ports.store.marks(self.ports.id(), ACCOUNT).await?;
        if known.first().is_none_or(|mark| mark.digest != account) {
            for thing in CONFIGURATION.into_iter().chain([AVAILABILITY, CHANGES, NAMES, EVERYTHING]) {
                self.ports.store.forget_marks(self.ports.id(), thing).await?;
            }
            self.mark(ACCOUNT.to_owned(), account).await?;
        }
        Ok(())
    }

    /// Once a day everything is sent (sheet §6). What was accepted is forgotten first, so that a crash in between, or a
    /// refused day, is made up for later.
    async fn begin_anew_every_day(&self, now: DateTime<Utc>) -> Result<(), Stop> {
        let last = self.ports.store.marks(self.ports.id(), EVERYTHING).await?;
        // One from the future does not count: the computer's clock was set back.
        if last.first().is_some_and(|mark| (TimeDelta::zero()..EVERYTHING_EVERY).contains(&(now - mark.at))) {
            return Ok(());
        }
        self.ports.store.forget_marks(self.ports.id(), AVAILABILITY).await?;
        for thing in CONFIGURATION {
            self.ports.store.forget_marks(self.ports.id(), thing).await?;
        }
        self.mark(EVERYTHING.to_owned(), String::new()).await?;
        Ok(())
    }

    async fn mark(&self, thing: String, digest: String) -> Result<(), StoreError> {
        let at = self.ports.clock.now();
        self.ports.store.set_marks(self.ports.id(), &[Mark { thing, digest, at }]).await
    }

    /// Live hours, resources, types: each when it differs from what was accepted. A list that the partner refuses, or
    /// that waits for somebody, does not keep the free times waiting, unless it is the practitioners'.
    async fn publish_configuration(&self, board: &dyn AvailabilityBoard, book: &Book) -> Result<Lists, Stop> {
        let account = self.ports.settings.healthengine.as_ref();
        let hours = account.map(|account| account.live_hours.normalised()).unwrap_or_default();
        let resources = Listing {
            list: RESOURCES,
            digest: digest_of_resources(&book.resources),
            names: book.resources.iter().map(|resource| resource.name.as_str()).collect(),
        };
        let types = Listing {
            list: APPOINTMENT_TYPES,
            digest: digest_of_types(&book.appointment_types),
            names: book.appointment_types.iter().map(|kind| kind.name.as_str()).collect(),
        };
        // Both are looked at before either is sent: a read that is doubtful in one is doubtful in the other.
        let (send_resources, send_types) = (self.to_send(&resources).await?, self.to_send(&types).await?);
        let shrinking: Vec<Shrinking> =
            [&send_resources, &send_types].into_iter().filter_map(|list| list.waits().cloned()).collect();
        let nothing_waits = shrinking.is_empty();
        let mut problem = shrinking.first().map(|waits| Problem {
            kind: ProblemKind::Shrink,
            sentence: format!(
                "The book lists {} {} where it listed {}. The lists are not sent until somebody says on Connections that this is right.",
                waits.to,
                if waits.list == RESOURCES { "practitioners" } else { "appointment types" },
                waits.from
            ),
        });
        let doubtful = send_resources.waits().is_some();
        self.shrinks(shrinking);

        let digest = digest_of_hours(&hours);
        let hours_known = !self.ports.store.marks(self.ports.id(), LIVE_HOURS).await?.is_empty();
        if (hours_known || !hours.weekdays.is_empty()) && self.differs(LIVE_HOURS, &digest).await? {
            match self.send_list(LIVE_HOURS, &digest, board.publish_live_hours(&hours)).await? {
                None => self.mark(LIVE_HOURS.to_owned(), digest).await?,
                refused => problem = problem.or(refused),
            }
        }
        if nothing_waits && send_resources == List::Send {
            let sending = board.publish_resources(&book.resources);
            match self.send_list(RESOURCES, &resources.digest, sending).await? {
                None => self.list_accepted(resources).await?,
                refused => problem = problem.or(refused),
            }
        }
        if nothing_waits && send_types == List::Send {
            let sending = board.publish_appointment_types(&book.appointment_types);
            match self.send_list(APPOINTMENT_TYPES, &types.digest, sending).await? {
                None => self.list_accepted(types).await?,
                refused => problem = problem.or(refused),
            }
        }
        Ok(Lists { problem, doubtful })
    }

    /// Sends a list, unless just this one was refused within the last minute. Returns what was refused.
    async fn send_list(
        &self,
        list: &str,
        digest: &str,
        sending: impl Future<Output = Result<(), WriteError>>,
    ) -> Result<Option<Problem>, Stop> {
        if let Some(problem) = self.refused_lately(list, digest) {
            return Ok(Some(problem));
        }
        self.mark(list.to_owned(), UNKNOWN.to_owned()).await?;
        let problem = refused_or_accepted(sending.await)?;
        self.note_refused(list, digest, problem.clone());
        Ok(problem)
    }

    async fn differs(&self, thing: &str, digest: &str) -> Result<bool, Stop> {
        let marks = self.ports.store.marks(self.ports.id(), thing).await?;
        Ok(!marks.iter().any(|mark| mark.thing == thing && mark.digest == digest))
    }

    /// A list that shrinks to nothing, or by more than half, waits for a person: it looks like a failed read, and
    /// what is missing from it counts as deleted (sheet §8). What somebody has accepted is that list, and no other.
    async fn to_send(&self, listing: &Listing<'_>) -> Result<List, Stop> {
        let Listing { list, digest, names } = listing;
        let known = self.ports.store.marks(self.ports.id(), &names_mark(list)).await?;
        let before: Vec<&str> = known.first().map(|mark| mark.digest.lines().collect()).unwrap_or_default();
        if names.len() * 2 < before.len() && !self.ports.is_accepted(list, digest).await? {
            let missing = before.iter().filter(|name| !names.contains(name)).take(NAMED);
            return Ok(List::Waits(Shrinking {
                list,
                digest: digest.clone(),
                from: before.len(),
                to: names.len(),
                missing: missing.map(|name| (*name).to_owned()).collect(),
                noticed_at: self.noticed_at(list),
            }));
        }
        // A practice that never had anybody to book has nothing to send.
        if names.is_empty() && known.is_empty() || !self.differs(list, digest).await? {
            return Ok(List::Same);
        }
        Ok(List::Send)
    }

    async fn list_accepted(&self, listing: Listing<'_>) -> Result<(), StoreError> {
        let at = self.ports.clock.now();
        let names = Mark { thing: names_mark(listing.list), digest: listing.names.join("\n"), at };
        let list = Mark { thing: listing.list.to_owned(), digest: listing.digest, at };
        self.ports.store.set_marks(self.ports.id(), &[names, list]).await?;
        self.ports.store.forget_marks(self.ports.id(), &accepted_mark(listing.list)).await.map(drop)
    }

    /// Notes which of the lists wait for somebody.
    fn shrinks(&self, shrinking: Vec<Shrinking>) {
        self.ports.state.change_practice(self.ports.id(), |practice| {
            practice.shrinking.retain(|other| ![RESOURCES, APPOINTMENT_TYPES].contains(&other.list));
            practice.shrinking.extend(shrinking);
        });
    }

    /// When a list was first seen to shrink, while it still does.
    fn noticed_at(&self, list: &str) -> DateTime<Utc> {
        let known = self.ports.state.shrinking(self.ports.id(), list);
        known.map_or_else(|| self.ports.clock.now(), |shrinking| shrinking.noticed_at)
    }

    async fn publish_days(
        &self,
        board: &dyn AvailabilityBoard,
        book: &Book,
        changed: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<Problem>, Stop> {
        let accepted_before: BTreeMap<String, String> = self
            .ports
            .store
            .marks(self.ports.id(), AVAILABILITY)
            .await?
            .into_iter()
            .map(|mark| (mark.thing, mark.digest))
            .collect();
        self.forget_who_left(book, &accepted_before).await?;
        let noticed = self.ports.state.differing(self.ports.id());
        let mut to_send = Vec::new();
        for day in book.horizon.days() {
            for resource in &book.resources {
                let offer = offer(book, &resource.id, day);
                let (thing, text) = (mark_of(day, &resource.id), shown::text_of(&offer));
                if accepted_before.get(&thing) != Some(&text) {
                    let place = (resource.id.clone(), day);
                    let noticed_at = noticed.get(&place).copied().unwrap_or(now);
                    to_send.push(ToSend { place, thing, text, offer, noticed_at });
                }
            }
        }
        let mut differing: BTreeMap<_, _> =
            to_send.iter().map(|day| (day.place.clone(), day.noticed_at)).collect();
        self.differ(&differing);
        let mut on_their_way: BTreeSet<ResourceRef> =
            to_send.iter().map(|day| day.offer.resource.clone()).collect();
        self.show(book, &on_their_way, now);
        if to_send.is_empty() {
            return Ok(None);
        }
        let mut problem = None;
        to_send.retain(|day| match self.refused_lately(&day.thing, &day.text) {
            Some(lately) => {
                problem = Some(lately);
                false
            }
            None => true,
        });
        let total = to_send.len();
        tracing::debug!(practice.id = %self.ports.id(), days = total, changed, "Publishing free times.");
        for (number, batch) in to_send.chunks(board.batch_size().max(1)).enumerate() {
            let done = number * board.batch_size();
            self.progress((total > board.batch_size()).then_some((done, total)));
            let at = self.ports.clock.now();
            let mut unknown = Vec::new();
            let mut histories = Vec::new();
            for day in batch {
                let before = accepted_before.get(&day.thing);
                if let Some(before) = before {
                    let digest = shown::in_doubt(before);
                    unknown.push(Mark { thing: day.thing.clone(), digest, at });
                }
                histories.push(self.history_of(day, before).await?);
            }
            self.ports.store.set_marks(self.ports.id(), &unknown).await?;
            let offers: Vec<DayOffer> = batch.iter().map(|day| day.offer.clone()).collect();
            let sent_at = self.ports.clock.now();
            let answers = each_answered(board.publish(&offers).await, offers.len());
            let answers = answers.map_err(|error| Stop::Failed(Leg::Board, error))?;
            let at = self.ports.clock.now();
            let mut marks = Vec::new();
            for ((day, history), answer) in batch.iter().zip(histories).zip(answers) {
                match answer {
                    Ok(()) => {
                        self.note_refused(&day.thing, &day.text, None);
                        differing.remove(&day.place);
                        marks.push(Mark { thing: day.thing.clone(), digest: day.text.clone(), at });
                        marks.extend(history.map(|history| history.with(day, sent_at, at)));
                    }
                    Err(why) => {
                        let refused = day_refused(&why);
                        self.note_refused(&day.thing, &day.text, Some(refused.clone()));
                        problem = Some(refused);
                    }
                }
            }
            self.ports.store.set_marks(self.ports.id(), &marks).await?;
            self.differ(&differing);
        }
        self.progress(None);
        if problem.is_none() {
            on_their_way.clear();
        }
        self.show(book, &on_their_way, now);
        self.drop_marks_of_the_past(book.horizon, &accepted_before).await?;
        Ok(problem)
    }

    /// The last changes of a day, to which this one is added once it is accepted; none where nothing is known to differ.
    async fn history_of(
        &self,
        day: &ToSend,
        before: Option<&String>,
    ) -> Result<Option<ChangesBefore>, StoreError> {
        let Some(told) = before.and_then(|before| shown::read(before).told) else { return Ok(None) };
        let differences = shown::differences(&told.free, &day.offer.free);
        if differences.is_empty() {
            return Ok(None);
        }
        let thing = shown::changes_mark(day.place.1, &day.place.0);
        let known = self.ports.store.marks(self.ports.id(), &thing).await?;
        let text = known.into_iter().next().map(|mark| mark.digest).unwrap_or_default();
        Ok(Some(ChangesBefore { thing, text, differences }))
    }

    fn differ(&self, differing: &BTreeMap<(ResourceRef, NaiveDate), DateTime<Utc>>) {
        self.ports.state.change_practice(self.ports.id(), |practice| {
            if *practice.differing != *differing {
                practice.differing = Arc::new(differing.clone());
            }
        });
    }

    /// Whoever returns to the list later has to be shown anew.
    async fn forget_who_left(&self, book: &Book, marks: &BTreeMap<String, String>) -> Result<(), Stop> {
        for thing in marks.keys() {
            let resource = thing.strip_prefix(AVAILABILITY).and_then(|rest| rest.split_once('/'));
            let Some((_, resource)) = resource else { continue };
            if !book.resources.iter().any(|known| resource.strip_suffix('/') == Some(known.id.as_str())) {
                self.ports.store.forget_marks(self.ports.id(), thing).await?;
            }
        }
        Ok(())
    }

    fn progress(&self, sending: Option<(usize, usize)>) {
        self.ports.state.change_practice(self.ports.id(), |practice| practice.sending = sending);
    }

    async fn drop_marks_of_the_past(
        &self,
        horizon: Horizon,
        marks: &BTreeMap<String, String>,
    ) -> Result<(), Stop> {
        let past: BTreeSet<String> = marks
            .keys()
            .filter_map(|thing| {
                thing.strip_prefix(AVAILABILITY)?.split('/').next()?.parse::<NaiveDate>().ok()
            })
            .filter(|day| *day < horizon.first)
            .flat_map(|day| [day_prefix(day, None), shown::changes_prefix(day)])
            .collect();
        for prefix in past {
            self.ports.store.forget_marks(self.ports.id(), &prefix).await?;
        }
        Ok(())
    }

    /// Tells people how each practitioner stands.
    fn show(&self, book: &Book, on_their_way: &BTreeSet<ResourceRef>, now: DateTime<Utc>) {
        let today = book.horizon.first;
        let slot = book.slot.0.max(1);
        let slots = |ranges: Vec<u16>| ranges.into_iter().map(|minutes| u32::from(minutes) / slot).sum();
        self.ports.state.change_practice(self.ports.id(), |practice| {
            let before: BTreeMap<ResourceRef, Option<DateTime<Utc>>> =
                practice.resources.iter().map(|r| (r.id.clone(), r.changing_since)).collect();
            practice.horizon = Some(book.horizon);
            practice.appointment_types =
                book.appointment_types.iter().map(|kind| (kind.id.clone(), kind.name.clone())).collect();
            practice.resources = book
                .resources
                .iter()
                .map(|resource| {
                    let day = book.days.get(&(resource.id.clone(), today));
                    let since = before.get(&resource.id).copied().flatten().unwrap_or(now);
                    ResourceState {
                        id: resource.id.clone(),
                        name: resource.titled_name(),
                        specialty: resource.specialty.clone(),
                        free_today: slots(
                            book.free(&resource.id, today).iter().map(|f| f.range.minutes()).collect(),
                        ),
                        slots_today: day
                            .map(|day| slots(day.open.iter().map(|open| open.range.minutes()).collect()))
                            .unwrap_or_default(),
                        changing_since: on_their_way.contains(&resource.id).then_some(since),
                    }
                })
                .collect();
        });
    }
}

/// A day that differs from what was accepted.
struct ToSend {
    place: (ResourceRef, NaiveDate),
    thing: String,
    text: String,
    offer: DayOffer,
    noticed_at: DateTime<Utc>,
}

/// What changes with a day, and the text of its changes before.
struct ChangesBefore {
    thing: String,
    text: String,
    differences: Vec<(DayRange, Difference)>,
}

impl ChangesBefore {
    fn with(self, day: &ToSend, sent_at: DateTime<Utc>, accepted_at: DateTime<Utc>) -> Mark {
        let change =
            Change { noticed_at: day.noticed_at, sent_at, accepted_at, differences: self.differences };
        Mark { digest: shown::with_change(&self.text, &change), thing: self.thing, at: accepted_at }
    }
}

/// A list as the book has it now.
struct Listing<'a> {
    list: &'static str,
    digest: String,
    names: Vec<&'a str>,
}

#[derive(PartialEq)]
enum List {
    Same,
    Waits(Shrinking),
    Send,
}

impl List {
    fn waits(&self) -> Option<&Shrinking> {
        if let List::Waits(shrinking) = self { Some(shrinking) } else { None }
    }
}

/// How it went with the lists.
struct Lists {
    /// What was refused, or waits for a person.
    problem: Option<Problem>,
    /// Whether the book itself is in doubt.
    doubtful: bool,
}

/// A refusal is no reason to stop; everything else is.
fn refused_or_accepted(answer: Result<(), WriteError>) -> Result<Option<Problem>, Stop> {
    match accepted(answer) {
        Ok(()) => Ok(None),
        Err(Stop::Failed(leg, error @ ReadError::Invalid(_))) => Ok(Some(health::problem(leg, &error))),
        Err(stop) => Err(stop),
    }
}

/// What to do about a day that the partner refuses.
fn day_refused(why: &str) -> Problem {
    Problem {
        kind: ProblemKind::Refused,
        sentence: format!(
            "Healthengine refused some of the free times: {why}. They are tried again every minute."
        ),
    }
}

/// One answer for each day of a batch. One that is refused as a whole refuses each of them, and keeps no other waiting.
pub fn each_answered(
    answer: Result<Vec<Result<(), String>>, WriteError>,
    days: usize,
) -> Result<Vec<Result<(), String>>, ReadError> {
    match answer {
        Ok(answers) => Ok(answers),
        Err(WriteError::Refused(why)) => Ok(vec![Err(why.to_string()); days]),
        Err(WriteError::Untouched(ReadError::Invalid(said))) => Ok(vec![Err(said); days]),
        Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => Err(error),
    }
}

/// Sorts the failure of a publication. Publishing is idempotent, so that "unknown" means the same as "not".
fn accepted<T>(answer: Result<T, WriteError>) -> Result<T, Stop> {
    answer.map_err(|error| match error {
        WriteError::Refused(why) => Stop::Failed(Leg::Board, ReadError::Invalid(why.to_string())),
        WriteError::Untouched(error) | WriteError::Unknown(error) => Stop::Failed(Leg::Board, error),
    })
}

/// A booking that is not in the book yet takes its time all the same; otherwise a second patient could be offered it
/// while the first one waits for somebody at the desk. Where a person put it elsewhere, it is that time.
fn keep_free_for(on_their_way: &[Entry], book: &mut Book) {
    for entry in on_their_way {
        let Some((resource, starts)) = entry.placed() else { continue };
        let range = entry.request.length.sensible_minutes().and_then(|length| starts.range(length));
        let Some(range) = range else { continue };
        let calendar = book.resources.iter().find(|known| known.id == *resource).map(Resource::calendar);
        let together = book.resources.iter().filter(|known| Some(known.calendar()) == calendar);
        for resource in together {
            if let Some(day) = book.days.get_mut(&(resource.id.clone(), starts.day())) {
                day.busy.push(range);
            }
        }
    }
}

/// What is kept of a book for people to look at.
fn book_reading(read_at: DateTime<Utc>, book: &Book) -> BookReading {
    let until = Horizon::from_day(book.horizon.first, VISITS_FOR_DAYS);
    let soon = |visit: &&Appointment| visit.patient.is_some() && until.contains(visit.starts.day());
    let place = |resource: &Resource| Some((resource.id.clone(), resource.location.clone()?));
    BookReading {
        read_at,
        slot: book.slot,
        days: book.days.clone(),
        visits: book.appointments.iter().filter(soon).cloned().collect(),
        places: book.resources.iter().filter_map(place).collect(),
    }
}

/// What should be shown for one resource on one day.
pub fn offer(book: &Book, resource: &ResourceRef, day: NaiveDate) -> DayOffer {
    DayOffer { resource: resource.clone(), day, free: book.free(resource, day), slot: book.slot }
}

fn digest_of_resources(resources: &[Resource]) -> String {
    let mut digest = Digest::default();
    for resource in resources {
        digest.field(resource.id.as_str());
        digest.field(&resource.name);
        for part in [&resource.title, &resource.first_name, &resource.last_name, &resource.specialty] {
            digest.field(part.as_deref().unwrap_or_default());
        }
    }
    digest.hex()
}

fn digest_of_types(types: &[AppointmentType]) -> String {
    let mut digest = Digest::default();
    for kind in types {
        digest.field(kind.id.as_str());
        digest.field(&kind.name);
        digest.number(kind.length.0);
        digest.field(kind.resource.as_ref().map(ResourceRef::as_str).unwrap_or_default());
    }
    digest.hex()
}

fn digest_of_hours(hours: &LiveHours) -> String {
    let mut digest = Digest::default();
    for (day, ranges) in &hours.weekdays {
        digest.field(day.name());
        for range in ranges {
            digest.number(range.start.minutes().into());
            digest.number(range.end.minutes().into());
        }
    }
    digest.hex()
}
