//! Takes bookings in, brings each one forward, and answers the partner.

mod whose;

use super::{Flow, FlowName, Outcome, Ports, Stop, changes, error_chain, people};
use crate::pace;
use crate::state::Asked;
use crate::webhooks::{ALONE, Found, News};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::{
    AppointmentOrder, AskedAbout, BookingChange, BookingEvent, BookingKey, BookingRequest, BookingState,
    ChangeKind, Entry, Held, Inserted, Stage, Standing, Step, Undoing, Watched,
};
use domain::diary::{AppointmentStatus, Room};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, ForeignBookingId, ForeignChangeId, ResourceRef};
use domain::matching::{self, Decision};
use domain::people::PatientPlan;
use domain::ports::partner::{BookingDesk, DayOffer, Incoming, Partner, Waiting};
use domain::ports::store::{ActivityLine, Leg, StoreError};
use domain::settings::WriteMode;
use domain::time::{Horizon, Meaning, Minutes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// A rejection this long after the booking was made still lets the patient choose again (sheet §6: 20 s, less a
/// margin for the way there).
const EARLY: TimeDelta = TimeDelta::seconds(18);

/// An answer that the partner asks for again is given again no more often than this.
const ANSWER_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);

/// An answer that the partner calls wrong is given again after this: saying the same would not help (sheet §3), but the
/// partner may have been mended meanwhile.
const REFUSED_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

/// Nothing is put off for longer.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(5);

/// How soon a pass may follow on another.
const AT_ONCE: TimeDelta = TimeDelta::milliseconds(100);

/// A change is not told again within this time; nothing waits at the partner for longer.
const TOLD_FOR: TimeDelta = TimeDelta::days(30);

/// Inserts that end in doubt are begun at most this often before a person looks.
const MAX_TRIES: u32 = 6;

/// The bookings of one practice.
pub struct Bookings {
    ports: Ports,
    partner: Arc<dyn Partner>,
    memory: Mutex<Memory>,
}

/// What is worth remembering between passes and harmless to lose.
#[derive(Default)]
struct Memory {
    /// When everything that waited was last seen.
    looked_at: Option<DateTime<Utc>>,
    /// No booking under this key was waiting at that time, so it was made later.
    made_after: BTreeMap<BookingKey, DateTime<Utc>>,
    /// How long the outcome of an insert may stay open, from the practice's card.
    settle: Option<TimeDelta>,
    /// The practice did not answer in this pass.
    practice_silent: bool,
    /// What was written into the book, to be looked at once the partner knows.
    written: Vec<(AppointmentOrder, AppointmentRef)>,
    /// When each booking was first seen to come from the future.
    set_back: BTreeMap<BookingKey, DateTime<Utc>>,
    /// When each answer that the partner asked for again was last given.
    answered_again: BTreeMap<BookingKey, DateTime<Utc>>,
    /// When the partner last called each answer wrong.
    answers_refused: BTreeMap<Answered, DateTime<Utc>>,
    /// Why the book would not let a booking be cancelled, until the change that asks for it takes it up.
    book_refused: BTreeMap<BookingKey, Refusal>,
    /// Changes that the book refused and whose answer may not have arrived.
    cancel_refused: BTreeMap<ForeignChangeId, Refusal>,
    /// What cannot be read and was told already.
    unreadable: BTreeSet<ForeignBookingId>,
    /// The same for changes.
    unreadable_changes: BTreeSet<ForeignChangeId>,
    /// Since when each change has been waiting.
    changes_since: BTreeMap<ForeignChangeId, DateTime<Utc>>,
    /// Kinds of requests that are not known, told already.
    unknown_kinds: BTreeSet<String>,
    /// When the partner last refused each day that it asks for and that is not in the book.
    days_refused: BTreeMap<(ResourceRef, NaiveDate), DateTime<Utc>>,
}

/// What an answer is about, so that one which the partner calls wrong is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    Booking(ForeignBookingId),
    Change(ForeignChangeId),
    /// What staff did to the appointment of a booking.
    Appointment(ForeignBookingId),
}

/// Where one booking stands after it was brought forward as far as it goes.
enum Reached {
    /// As far as it goes for now.
    Waits,
    /// As far, and the book was written to.
    Wrote,
}

impl Reached {
    fn wakes(&self, wake: &mut BTreeSet<FlowName>) {
        if let Reached::Wrote = self {
            wake.insert(FlowName::Availability);
        }
    }
}

#[async_trait]
impl Flow for Bookings {
    fn name(&self) -> FlowName {
        FlowName::Bookings
    }

    async fn pass(&self) -> Outcome {
        let started = self.ports.clock.now();
        let mut wake = BTreeSet::new();
        let ended = self.run(&mut wake).await;
        let now = self.ports.clock.now();
        let poll = self.ports.webhooks.interval(self.poll(), now);
        let again_at = match ended {
            Ok(next_due) => {
                self.ports.store_works();
                // The poll is counted from start to start, so that it is kept however long a pass takes (sheet §6).
                let next_poll = (started + poll).max(now + AT_ONCE);
                next_due.map_or(next_poll, |due| due.clamp(now + AT_ONCE, next_poll))
            }
            // A look that failed is not put off for as long as one that found nothing.
            Err(stop) => self.ports.stopped(stop, poll.min(ALONE)).await,
        };
        Outcome { again_at, wake }
    }
}

impl Bookings {
    /// The flow, if the practice has a partner that takes bookings.
    pub fn new(ports: Ports) -> Option<Self> {
        let partner = ports.partner.clone()?;
        partner.booking_desk()?;
        Some(Self { ports, partner, memory: Mutex::new(Memory::default()) })
    }

    fn poll(&self) -> TimeDelta {
        let seconds =
            self.ports.settings.healthengine.as_ref().map_or(5, |account| account.poll_seconds.max(1));
        TimeDelta::seconds(i64::from(seconds))
    }

    /// Runs one pass and returns when the next entry is due.
    async fn run(&self, wake: &mut BTreeSet<FlowName>) -> Result<Option<DateTime<Utc>>, Stop> {
        let Some(desk) = self.partner.booking_desk() else { return Ok(None) };
        self.memory(|memory| memory.practice_silent = false);
        // A poll that cannot be trusted must not keep what is on its way from being finished in the practice.
        let polled = self.take_in(desk).await;
        // Where patients changed something too, that is looked at first, lest both be told about one cancellation.
        let undone_wait = polled.as_ref().is_ok_and(|waiting| waiting.changes);
        let mut brought = match &polled {
            Err(Stop::Failed(_, ReadError::NotAuthorised | ReadError::NoConsent) | Stop::Store(_)) => None,
            Ok(_) | Err(Stop::Failed(..)) => Some(self.bring_forward(desk, wake, undone_wait).await?),
        };
        self.look_for_overlaps().await?;
        let waiting = polled?;
        self.note_asked(Asked::FreeTimes, waiting.availability.then(|| self.ports.clock.now()));
        if waiting.availability || waiting.resources || waiting.appointment_types {
            self.forget_what_is_asked_for(&waiting).await?;
            wake.insert(FlowName::Availability);
        }
        if waiting.changes {
            let applied = self.apply_changes(desk, wake).await;
            if !applied.as_ref().is_err_and(Stop::holds_for_all) {
                brought = Some(self.bring_forward(desk, wake, false).await?);
            }
            applied?;
        } else {
            self.memory(|memory| memory.changes_since.clear());
            self.note_asked(Asked::Changes, None);
        }
        if waiting.appointment_changes {
            match self.answer_what_is_asked_about(desk, wake).await {
                // A book that cannot be read just now must not keep bookings from being looked for as often as ever.
                Err(Stop::Failed(Leg::System, error)) => drop(self.ports.failed(Leg::System, &error).await?),
                answered => answered?,
            }
        }
        // After the bookings, which documents belong to (sheet §7).
        if waiting.available_documents || waiting.upload_documents || waiting.attach_documents {
            wake.insert(FlowName::Documents);
        }
        self.judge_webhooks(wake).await?;
        if waiting.client_snapshots {
            wake.insert(FlowName::ClientSnapshots);
        }
        self.tell_of_unknown_kinds(&waiting).await?;
        // Only now, so that what goes wrong pass after pass is not proven in between.
        self.ports.proven(Leg::Desk).await?;
        Ok(brought.flatten())
    }

    /// Notes that the partner waits for answers of a kind, since `since` where it did not wait before; none: it waits no
    /// more.
    fn note_asked(&self, asked: Asked, since: Option<DateTime<Utc>>) {
        self.ports.state.change_practice(self.ports.id(), |practice| match since {
            Some(since) => drop(practice.asked_since.entry(asked).or_insert(since)),
            None => drop(practice.asked_since.remove(&asked)),
        });
    }

    /// Notes since when each change has been waiting, and tells people of the oldest.
    fn note_changes(&self, changes: &[BookingChange]) {
        let now = self.ports.clock.now();
        let oldest = self.memory(|memory| {
            memory.changes_since.retain(|id, _| changes.iter().any(|change| change.id == *id));
            for change in changes {
                memory.changes_since.entry(change.id.clone()).or_insert(now);
            }
            memory.changes_since.values().min().copied()
        });
        self.ports.state.change_practice(self.ports.id(), |practice| {
            match oldest {
                Some(oldest) => practice.asked_since.insert(Asked::Changes, oldest),
                None => practice.asked_since.remove(&Asked::Changes),
            };
        });
    }

    /// Compares what was found with what webhooks announced, and tells when they fall silent or come back.
    async fn judge_webhooks(&self, wake: &mut BTreeSet<FlowName>) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let news = self.ports.webhooks.polled(now);
        let trust = self.ports.webhooks.trust();
        self.ports.state.change_practice(self.ports.id(), |practice| {
            if let Some(shown) = &mut practice.webhooks {
                shown.trust = trust;
            }
        });
        let (kind, text) = match news {
            None => return Ok(()),
            Some(News::Silent(found)) => {
                // Perhaps the subscription is gone, and its log says why nothing arrived.
                wake.insert(FlowName::Subscriptions);
                let booking = found.booking();
                let text = format!(
                    "Healthengine\u{2019}s webhooks are silent: booking {booking} was found by asking. Healthengine is asked every 5 seconds until they come again."
                );
                ("webhooks/silent", text)
            }
            Some(News::Back) => ("webhooks/back", "Healthengine\u{2019}s webhooks come again.".to_owned()),
        };
        tracing::info!(practice.id = %self.ports.id(), "{text}");
        Ok(self.tell(kind, text).await?)
    }

    /// A kind of request that this program does not know is left to its maker, once in a run.
    async fn tell_of_unknown_kinds(&self, waiting: &Waiting) -> Result<(), Stop> {
        for kind in &waiting.unknown {
            if self.memory(|memory| memory.unknown_kinds.insert(kind.clone())) {
                let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
                tracing::warn!(practice.id = %self.ports.id(), kind, "The partner asks for something unknown.");
                let text = format!(
                    "Healthengine asks for \u{201c}{kind}\u{201d}, which this version does not know. Please look for an update of Clinic Companion."
                );
                self.tell("look/unknown-request", text).await?;
            }
        }
        Ok(())
    }

    /// Asks what waits, and files every booking.
    async fn take_in(&self, desk: &dyn BookingDesk) -> Result<Waiting, Stop> {
        let asked_at = self.ports.clock.now();
        let failed = |error| Stop::Failed(Leg::Desk, error);
        let waiting = desk.waiting().await.map_err(failed)?;
        if waiting.bookings {
            let (mut answered, mut unreadable) = (Vec::new(), Vec::new());
            for incoming in desk.bookings().await.map_err(failed)? {
                self.ports.webhooks.found(Found::Booking(incoming.booking().clone()));
                match incoming {
                    Incoming::Booking(request) => {
                        if !self.file(&request).await? {
                            answered.push(request.key);
                        }
                    }
                    Incoming::Unreadable { booking, why } => unreadable.push((booking, why)),
                }
            }
            // Last, so that a refused answer to one of them keeps no other booking from being filed.
            for key in answered {
                self.answer_again(desk, &key).await?;
            }
            for (booking, why) in unreadable {
                self.decline_unreadable(desk, &booking, &why).await?;
            }
        }
        self.memory(|memory| memory.looked_at = Some(asked_at));
        Ok(waiting)
    }

    /// Declines what cannot be read. It stays on the partner's list until it has our answer.
    async fn decline_unreadable(
        &self,
        desk: &dyn BookingDesk,
        booking: &ForeignBookingId,
        why: &Refusal,
    ) -> Result<(), Stop> {
        if self.memory(|memory| memory.unreadable.insert(booking.clone())) {
            tracing::warn!(practice.id = %self.ports.id(), booking.id = %booking, "A booking cannot be read: {why}.");
            self.tell(
                "look/unreadable",
                format!("Booking {booking} could not be read and is declined: {why}."),
            )
            .await?;
        }
        let about = Answered::Booking(booking.clone());
        if self.was_refused_lately(&about) {
            return Ok(());
        }
        match desk.decline(booking, why, false).await {
            Ok(()) | Err(WriteError::Refused(_) | WriteError::Unknown(_)) => Ok(()),
            // The other bookings must not be looked for less often.
            Err(WriteError::Untouched(error @ (ReadError::Invalid(_) | ReadError::NotFound))) => {
                self.answer_refused(about, booking, &error).await
            }
            Err(WriteError::Untouched(error)) => Err(Stop::Failed(Leg::Desk, error)),
        }
    }

    /// Whether the partner has called this answer wrong, not long ago.
    fn was_refused_lately(&self, about: &Answered) -> bool {
        let now = self.ports.clock.now();
        let refused_at = self.memory(|memory| memory.answers_refused.get(about).copied());
        refused_at.is_some_and(|at| (TimeDelta::zero()..REFUSED_AGAIN_AFTER).contains(&(now - at)))
    }

    /// Notes that the partner calls an answer wrong. Somebody is told once, because what stays unanswered makes the
    /// practice unhealthy (sheet §6).
    async fn answer_refused(
        &self,
        about: Answered,
        booking: &ForeignBookingId,
        error: &ReadError,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        if self.memory(|memory| memory.answers_refused.insert(about, now)).is_some() {
            return Ok(());
        }
        let cause = error_chain(error);
        tracing::warn!(practice.id = %self.ports.id(), booking.id = %booking, cause, "The partner refuses an answer.");
        let text = format!(
            "Healthengine refuses our answer about booking {booking}. It is given again every hour. Please compare the booking there with your book, and tell Healthengine\u{2019}s support if it still waits for an answer."
        );
        Ok(self.tell("look/refused-answer", text).await?)
    }

    /// Files a booking, and returns whether it was new.
    async fn file(&self, request: &BookingRequest) -> Result<bool, Stop> {
        let now = self.ports.clock.now();
        if self.ports.store.file(request, now).await? {
            tracing::info!(practice.id = %self.ports.id(), booking.id = %request.key.booking, "A booking came in.");
            self.memory(|memory| {
                if let Some(looked_at) = memory.looked_at {
                    memory.made_after.insert(request.key.clone(), looked_at);
                }
            });
            self.show_made_after();
            // Its time is not to be offered to anybody else, whether or not it can be written just now.
            self.ports.look_closely();
            self.ports.ledger_moved().await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Tells people since when a booking may have waited, whatever the clocks say.
    fn show_made_after(&self) {
        let made_after = self.memory(|memory| memory.made_after.clone());
        let made_after = made_after.into_iter().map(|(key, at)| (key.booking, at)).collect();
        self.ports.state.change_practice(self.ports.id(), |practice| practice.made_after = made_after);
    }

    /// The partner still waits for a booking that we have answered: our answer got lost on its side. It is said again,
    /// because a request that stays unanswered makes the practice unhealthy (sheet §6).
    async fn answer_again(&self, desk: &dyn BookingDesk, key: &BookingKey) -> Result<(), Stop> {
        let Some(entry) = self.ports.store.entry(key).await? else { return Ok(()) };
        let now = self.ports.clock.now();
        let lately = self.memory(|memory| memory.answered_again.get(key).copied());
        if lately.is_some_and(|at| (TimeDelta::zero()..ANSWER_AGAIN_AFTER).contains(&(now - at))) {
            return Ok(());
        }
        let booking = &key.booking;
        let about = Answered::Booking(booking.clone());
        if self.was_refused_lately(&about) {
            return Ok(());
        }
        let answer = match entry.state.stage() {
            Stage::UnderWay | Stage::Undone { told: false, .. } => return Ok(()),
            Stage::Stands(inserted) | Stage::Cancelling { inserted, .. } | Stage::Cancelled(inserted) => {
                self.say_it_stands(desk, key, inserted).await
            }
            Stage::Undone { inserted, how, told: true } => {
                match self.say_it_stands(desk, key, inserted).await {
                    Ok(()) => desk.undone(booking, how).await,
                    refused => refused,
                }
            }
            Stage::Rejected(why) => desk.decline(booking, why, false).await,
            // Somebody has dealt with it, and only the book knows how.
            Stage::Closed => match self.standing(&entry).await {
                Ok(Some(Held { appointment, patient: Some(patient) })) => {
                    self.say_it_stands(desk, key, &Inserted { appointment, patient }).await
                }
                Ok(Some(Held { patient: None, .. })) => return Ok(()),
                Ok(None) => desk.decline(booking, &Refusal::DeclinedAtDesk, false).await,
                Err(error) => {
                    self.ports.failed(Leg::System, &error).await?;
                    return Ok(());
                }
            },
        };
        match answer {
            Ok(()) | Err(WriteError::Refused(_) | WriteError::Unknown(_)) => {
                self.memory(|memory| memory.answered_again.insert(key.clone(), now));
                tracing::info!(practice.id = %self.ports.id(), booking.id = %key.booking, "The partner asked again and was answered again.");
                Ok(())
            }
            // The other bookings must not be looked for less often.
            Err(WriteError::Untouched(error @ (ReadError::Invalid(_) | ReadError::NotFound))) => {
                self.answer_refused(about, booking, &error).await
            }
            Err(WriteError::Untouched(error)) => Err(Stop::Failed(Leg::Desk, error)),
        }
    }

    /// Takes each due entry as far as it goes, oldest booking first; not those that staff undid where `undone_wait`.
    /// Returns when the next one is due.
    async fn bring_forward(
        &self,
        desk: &dyn BookingDesk,
        wake: &mut BTreeSet<FlowName>,
        undone_wait: bool,
    ) -> Result<Option<DateTime<Utc>>, Stop> {
        let entries = self.ports.store.unfinished(self.ports.id()).await?;
        for entry in entries {
            if undone_wait && entry.state.step() == Step::TellPartner {
                continue;
            }
            let entry = match self.take_over_what_was_settled(entry).await {
                Err(Stop::Store(StoreError::Stale)) => continue,
                taken_over => taken_over?,
            };
            if self.next_look(&entry) <= self.ports.clock.now() {
                match self.advance(desk, entry).await {
                    Ok(reached) => reached.wakes(wake),
                    // Somebody at the desk decided in the same moment: the next look starts from there.
                    Err(Stop::Store(StoreError::Stale)) => {}
                    Err(stop) => return Err(stop),
                }
            }
        }
        let left = self.ports.store.unfinished(self.ports.id()).await?;
        Ok(left.iter().map(|entry| self.next_look(entry)).min())
    }

    /// The practice system's own windows ask nobody before they save, so somebody at the desk can take a time in the very
    /// moment in which we do. Looked for only once the partner knows, because nobody is to wait for it.
    async fn look_for_overlaps(&self) -> Result<(), Stop> {
        while let Some((order, appointment)) = self.memory(|memory| memory.written.pop()) {
            match self.ports.practice.overlapped(&order, &appointment).await {
                Ok(false) => {}
                Ok(true) => {
                    let key = &order.key;
                    let twice = format!(
                        "Something else was entered for the time of booking {} at the same moment: look at appointment {appointment} in the book.",
                        key.booking
                    );
                    self.ports.store.remark(key, &twice, self.ports.clock.now()).await?;
                    self.tell("look/overlap", twice).await?;
                    self.ports.ledger_moved().await?;
                }
                Err(error) => {
                    // Not seen is not the same as not there: the next pass looks again.
                    self.memory(|memory| memory.written.push((order, appointment)));
                    self.ports.failed(Leg::System, &error).await?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// When an entry is to be looked at: when it is due, or when the person's time runs out.
    fn next_look(&self, entry: &Entry) -> DateTime<Utc> {
        match entry.state.step() {
            // What may be in the book is never decided by the clock.
            Step::WaitForPerson if matches!(entry.state, BookingState::Stuck { .. }) => {
                DateTime::<Utc>::MAX_UTC
            }
            Step::WaitForPerson => self.decide_by(entry),
            Step::Insert
            | Step::LookInPractice
            | Step::NamePatient
            | Step::LookForEntry
            | Step::Withdraw
            | Step::CancelInPractice
            | Step::ConfirmToPartner
            | Step::DeclineToPartner
            | Step::TellPartner
            | Step::Nothing
                if entry.not_before > self.ports.clock.now() + LONGEST_WAIT =>
            {
                // Nothing is ever put off for so long: the computer's clock was set back.
                self.ports.clock.now()
            }
            Step::Insert
            | Step::LookInPractice
            | Step::NamePatient
            | Step::LookForEntry
            | Step::Withdraw
            | Step::CancelInPractice
            | Step::ConfirmToPartner
            | Step::DeclineToPartner
            | Step::TellPartner
            | Step::Nothing => entry.not_before,
        }
    }

    /// Until when a person can decide, see [`Entry::decide_by`].
    fn decide_by(&self, entry: &Entry) -> DateTime<Utc> {
        let received_at = self.since(entry, entry.received_at);
        if received_at == entry.received_at {
            return entry.decide_by(self.ports.app.decide_minutes);
        }
        // The computer's clock was set back.
        received_at + TimeDelta::minutes(i64::from(self.ports.app.decide_minutes))
    }

    /// `at`, or where that lies ahead because the computer's clock was set back, the moment in which we noticed. A time
    /// that moved along with the clock would never be reached.
    fn since(&self, entry: &Entry, at: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.ports.clock.now();
        if at <= now {
            return at;
        }
        self.memory(|memory| {
            let noticed = memory.set_back.entry(entry.request.key.clone()).or_insert(now);
            *noticed = (*noticed).min(now);
            *noticed
        })
    }

    async fn advance(&self, desk: &dyn BookingDesk, mut entry: Entry) -> Result<Reached, Stop> {
        let mut reached = Reached::Waits;
        let begun_at = entry.revision;
        loop {
            let now = self.ports.clock.now();
            let step = entry.state.step();
            // Whoever has to ask a practice that has just been silent waits for the next pass; the partner does not.
            if needs_practice(step) && self.memory(|memory| memory.practice_silent) {
                self.put_off(&entry).await?;
                break;
            }
            let next = match step {
                Step::Insert => self.insert(entry.clone()).await?,
                Step::LookInPractice => self.look(&entry).await?,
                Step::NamePatient => self.name_patient(&entry).await?,
                Step::LookForEntry => self.look_for_entry(&entry).await?,
                Step::Withdraw => self.withdraw(&entry).await?,
                Step::CancelInPractice => self.cancel(&entry).await?,
                Step::ConfirmToPartner => self.confirm(desk, &entry).await?,
                Step::DeclineToPartner => self.decline(desk, &entry).await?,
                Step::TellPartner => self.tell_what_staff_did(desk, &entry).await?,
                Step::WaitForPerson if now >= self.next_look(&entry) => Some(self.nobody_decided(&entry)),
                Step::WaitForPerson | Step::Nothing => break,
            };
            // An insert that refused to begin moves the entry itself, so the newest one counts.
            let Some(Next { entry: newest, event, decision }) = next else { break };
            if !is_for_the_partner(newest.state.step()) {
                reached = Reached::Wrote;
            }
            entry = self.record(&newest, &event, decision.as_ref()).await?;
        }
        if entry.revision != begun_at {
            self.ports.ledger_moved().await?;
            self.ports.look_closely();
        }
        Ok(reached)
    }

    async fn record(
        &self,
        entry: &Entry,
        event: &BookingEvent,
        decision: Option<&Decision>,
    ) -> Result<Entry, Stop> {
        self.remember_record_made(entry, event).await?;
        let now = self.ports.clock.now();
        let moved = self.ports.store.record(entry, event, decision, now).await?;
        tracing::info!(practice.id = %self.ports.id(), booking.id = %entry.request.key.booking, "{}", event.sentence());
        Ok(moved)
    }

    /// Puts the next look off, the further the longer this has lasted. What is to be inserted counts from its arrival,
    /// because each try begins a state anew.
    async fn put_off(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        let now = self.ports.clock.now();
        let since = match entry.state.step() {
            Step::Insert | Step::LookInPractice => entry.received_at,
            Step::NamePatient
            | Step::LookForEntry
            | Step::Withdraw
            | Step::CancelInPractice
            | Step::ConfirmToPartner
            | Step::DeclineToPartner
            | Step::TellPartner
            | Step::WaitForPerson
            | Step::Nothing => entry.state_since,
        };
        let until = now + pace::backoff(since, now);
        self.ports.store.postpone(&entry.request.key, until).await?;
        Ok(None)
    }

    /// The practice could not be asked: the booking waits, the practice's leg says why.
    async fn practice_failed(&self, entry: &Entry, error: &ReadError) -> Result<Option<Next>, Stop> {
        if let ReadError::Unreachable(_) = error {
            self.memory(|memory| memory.practice_silent = true);
        }
        self.ports.failed(Leg::System, error).await?;
        self.put_off(entry).await
    }

    /// A write failed where reading works. The light must not turn green with the next reading.
    async fn write_failed(&self, entry: &Entry, error: &ReadError) -> Result<Option<Next>, Stop> {
        self.ports.writes_fail.store(true, Ordering::SeqCst);
        self.practice_failed(entry, error).await
    }

    async fn insert(&self, entry: Entry) -> Result<Option<Next>, Stop> {
        let request = &entry.request;
        if let Some(why) = self.refusal_before_writing(&entry) {
            return Ok(Some(Next::refused(self.by_lateness(&entry, why), entry)));
        }
        let (Some((resource, starts)), Some(length)) = (entry.placed(), request.length.sensible_minutes())
        else {
            return Ok(Some(Next::refused(self.by_lateness(&entry, Refusal::BadLength), entry)));
        };
        let resource = resource.clone();
        if self.ports.settings.system.write == WriteMode::None {
            return self.hand_to_desk(entry, &resource, length).await;
        }
        let decision = match self.whose(&entry).await? {
            Ok(decision) => decision,
            Err(error) => return self.practice_failed(&entry, &error).await,
        };
        if matches!(decision.plan, PatientPlan::New { .. }) && self.is_record_being_made(&entry).await? {
            return self.put_off(&entry).await;
        }
        let order = AppointmentOrder {
            key: request.key.clone(),
            resource,
            appointment_type: entry.placed_type().cloned(),
            starts,
            length,
            patient: decision.plan.clone(),
            details: request.patient.clone(),
            note: request.note.clone(),
            beside: entry.is_beside(),
        };
        self.send_the_day_afresh(&entry).await?;
        let began = BookingEvent::InsertBegan(decision.plan.clone());
        let inserting = self.record(&entry, &began, Some(&decision)).await?;
        match self.ports.practice.insert(&order).await {
            Ok(held) => {
                self.ports.writes_fail.store(false, Ordering::SeqCst);
                // Whoever wants it beside something else knows that the two overlap.
                if !order.beside {
                    self.memory(|memory| memory.written.push((order, held.appointment.clone())));
                }
                Ok(Some(Next::of(inserting, BookingEvent::FoundInPractice(held))))
            }
            // The account or the version allows reading only, so somebody at the desk enters it.
            Err(WriteError::Refused(Refusal::ReadOnly)) => {
                let back = self.record(&inserting, &BookingEvent::AbsentFromPractice, None).await?;
                self.hand_to_desk(back, &order.resource, order.length).await
            }
            Err(WriteError::Refused(why)) => {
                self.ports.writes_fail.store(false, Ordering::SeqCst);
                Ok(Some(Next::refused(self.by_lateness(&inserting, why), inserting)))
            }
            Err(WriteError::Untouched(error)) => {
                let back = self.record(&inserting, &BookingEvent::AbsentFromPractice, None).await?;
                self.write_failed(&back, &error).await
            }
            Err(WriteError::Unknown(error)) => {
                self.ports.failed(Leg::System, &error).await?;
                match self.settled_at(&inserting).await {
                    Ok(settled_at) => {
                        self.ports.store.postpone(&inserting.request.key, settled_at).await?;
                        Ok(None)
                    }
                    Err(error) => self.practice_failed(&inserting, &error).await,
                }
            }
        }
    }

    /// Decides whose a booking is: as it was settled earlier, or by what the records say.
    async fn whose(&self, entry: &Entry) -> Result<Result<Decision, ReadError>, Stop> {
        let request = &entry.request;
        match self.settled_earlier(request).await? {
            Ok(Some(decision)) => return Ok(Ok(decision)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        let people = self.ports.people();
        let found =
            people::candidates(self.ports.practice.as_ref(), people.as_deref(), &request.patient).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let decide = match (found.complete, self.ports.practice.keeps_birth_dates()) {
            (false, _) => matching::decide_among_some,
            (true, true) => matching::decide,
            (true, false) => matching::decide_by_contact,
        };
        Ok(Ok(decide(&request.patient, request.linked_patient.as_ref(), &found.records)))
    }

    /// What can be said without the book.
    fn refusal_before_writing(&self, entry: &Entry) -> Option<Refusal> {
        let (zone, starts) = (self.ports.settings.zone, entry.placed_at());
        // Whom the booking does not name, a person may have chosen.
        let on_sight = entry
            .request
            .refusal_on_sight()
            .filter(|why| *why != Refusal::ResourceMissing || entry.placement.is_none());
        on_sight.or_else(|| match zone.meaning(starts) {
            Meaning::Never => Some(Refusal::TimeDoesNotExist),
            Meaning::Once(_) | Meaning::Twice(..) => {
                (zone.instant(starts) < self.ports.clock.now()).then_some(Refusal::TimeHasPassed)
            }
        })
    }

    /// Refuses while the patient can still choose again; later a person decides. What the patient or a person called
    /// off themselves needs nobody.
    fn by_lateness(&self, entry: &Entry, why: Refusal) -> BookingEvent {
        if why == Refusal::PatientCancelled || self.is_early(entry) {
            BookingEvent::Refused(why)
        } else {
            BookingEvent::RefusedLate(why)
        }
    }

    /// Whether a rejection still reaches the patient in time. Proven by our own two looks where there were two;
    /// otherwise the partner's clock is believed as far as it agrees with ours, because either may be wrong.
    fn is_early(&self, entry: &Entry) -> bool {
        let now = self.ports.clock.now();
        let early = |since| (TimeDelta::zero()..=EARLY).contains(&(now - since));
        // It is at least as old as we have known it.
        if !early(entry.received_at) {
            return false;
        }
        let made_after = self.memory(|memory| memory.made_after.get(&entry.request.key).copied());
        made_after.map_or_else(|| early(entry.request.booked_at), early)
    }

    async fn hand_to_desk(
        &self,
        entry: Entry,
        resource: &ResourceRef,
        length: Minutes,
    ) -> Result<Option<Next>, Stop> {
        let (starts, day) = (entry.placed_at(), entry.placed_at().day());
        let book = match self.ports.practice.book(Horizon { first: day, last: day }).await {
            Ok(book) => book,
            Err(error) => return self.practice_failed(&entry, &error).await,
        };
        if !book.resources.iter().any(|known| known.id == *resource) {
            return Ok(Some(Next::refused(self.by_lateness(&entry, Refusal::ResourceUnknown), entry)));
        }
        let wanted = starts.range(length);
        let room = wanted.map(|wanted| {
            let mut day = book.days.get(&(resource.clone(), day)).cloned().unwrap_or_default();
            if entry.is_beside() {
                day.busy.clear();
            }
            day.room_for(wanted, entry.placed_type())
        });
        let entered = self.find_entered(&entry).await;
        match (room, entered) {
            (_, Err(error)) => self.practice_failed(&entry, &error).await,
            (_, Ok(Some(_))) | (Some(Room::Free), Ok(None)) => {
                Ok(Some(Next::of(entry, BookingEvent::HandedToDesk)))
            }
            (Some(Room::Taken), Ok(None)) => {
                Ok(Some(Next::refused(self.by_lateness(&entry, Refusal::SlotTaken), entry)))
            }
            (Some(Room::Closed) | None, Ok(None)) => {
                Ok(Some(Next::refused(self.by_lateness(&entry, Refusal::OutsideHours), entry)))
            }
        }
    }

    /// When the outcome of an insert cannot change any more. Only the book knows, so it is never guessed.
    async fn settled_at(&self, entry: &Entry) -> Result<DateTime<Utc>, ReadError> {
        let settle = match self.memory(|memory| memory.settle) {
            Some(settle) => settle,
            None => {
                let card = self.ports.practice.check().await?;
                let settle = TimeDelta::seconds(i64::from(card.settle_seconds));
                self.memory(|memory| memory.settle = Some(settle));
                settle
            }
        };
        Ok(self.since(entry, entry.state_since) + settle)
    }

    async fn look(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        let settled_at = match self.settled_at(entry).await {
            Ok(settled_at) => settled_at,
            Err(error) => return self.practice_failed(entry, &error).await,
        };
        if self.ports.clock.now() < settled_at {
            self.ports.store.postpone(&entry.request.key, settled_at).await?;
            return Ok(None);
        }
        match self.ports.practice.find(&entry.request.key).await {
            Ok(Some(held)) => Ok(Some(Next::of(entry.clone(), BookingEvent::FoundInPractice(held)))),
            Ok(None) if tries_of(&entry.state) >= MAX_TRIES => Ok(Some(Next::of(
                entry.clone(),
                BookingEvent::GaveUp(format!("the practice database gave no clear answer {MAX_TRIES} times")),
            ))),
            Ok(None) => Ok(Some(Next::of(entry.clone(), BookingEvent::AbsentFromPractice))),
            Err(error) => self.practice_failed(entry, &error).await,
        }
    }

    async fn name_patient(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        let BookingState::Naming { appointment, plan, instead_of } = &entry.state else { return Ok(None) };
        let (request, former) = (&entry.request, instead_of.as_ref());
        if matches!(plan, PatientPlan::New { .. }) && self.is_record_being_made(entry).await? {
            return self.put_off(entry).await;
        }
        let plan = match self.with_one_record_each(entry, plan, former).await? {
            Ok(plan) => plan,
            Err(error) => return self.practice_failed(entry, &error).await,
        };
        let named = self
            .ports
            .practice
            .name_patient(appointment, &request.key, &plan, former, &request.patient)
            .await;
        match named {
            Ok(held) => {
                if let Some(former) = former {
                    self.tell_of_unused_record(&request.key, former, &held).await?;
                    self.tell_of_documents(&request.key, former, &held).await?;
                }
                Ok(Some(Next::of(entry.clone(), BookingEvent::FoundInPractice(held))))
            }
            Err(WriteError::Refused(why)) if former.is_some() => {
                Ok(Some(self.patient_stays(entry, why).await?))
            }
            Err(WriteError::Refused(Refusal::BookingUnknown)) => {
                Ok(Some(Next::of(entry.clone(), BookingEvent::AbsentFromPractice)))
            }
            Err(WriteError::Refused(why)) => Ok(Some(Next::of(
                entry.clone(),
                BookingEvent::GaveUp(format!("the patient could not be written: {why}")),
            ))),
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                self.practice_failed(entry, &error).await
            }
        }
    }

    async fn look_for_entry(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        match self.find_entered(entry).await {
            Ok(Some((held, decision))) => Ok(Some(Next {
                entry: entry.clone(),
                event: BookingEvent::FoundInPractice(held),
                decision: Some(decision),
            })),
            Ok(None) if self.ports.clock.now() >= self.decide_by(entry) => {
                Ok(Some(Next::of(entry.clone(), BookingEvent::TimeRanOut)))
            }
            Ok(None) => {
                self.ports.store.postpone(&entry.request.key, self.ports.clock.now() + self.poll()).await?;
                Ok(None)
            }
            Err(error) => self.practice_failed(entry, &error).await,
        }
    }

    /// The appointment that somebody entered for this booking: same practitioner, same start, same person.
    async fn find_entered(&self, entry: &Entry) -> Result<Option<(Held, Decision)>, ReadError> {
        let request = &entry.request;
        let Some((resource, starts)) = entry.placed() else { return Ok(None) };
        let that_day = self.ports.practice.appointments_with_patients(resource, starts.day()).await?;
        Ok(that_day.into_iter().find_map(|(appointment, record)| {
            if appointment.starts != starts || appointment.status == AppointmentStatus::Cancelled {
                return None;
            }
            let record = record?;
            let decision = matching::entered_for(&request.patient, &record)?;
            Some((Held { appointment: appointment.id, patient: Some(record.id) }, decision))
        }))
    }

    /// What stands in the book for a booking, with its mark or entered by hand.
    async fn standing(&self, entry: &Entry) -> Result<Option<Held>, ReadError> {
        if let Some(held) = self.ports.practice.find(&entry.request.key).await? {
            return Ok(Some(held));
        }
        Ok(self.find_entered(entry).await?.map(|(held, _)| held))
    }

    async fn withdraw(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        let next = |event| Ok(Some(Next::of(entry.clone(), event)));
        let marked = match self.ports.practice.find(&entry.request.key).await {
            Ok(held) => held,
            Err(error) => return self.practice_failed(entry, &error).await,
        };
        let Some(held) = marked else {
            // What somebody entered by hand carries no mark, and is not ours to take out.
            return match self.find_entered(entry).await {
                Ok(None) => next(BookingEvent::AbsentFromPractice),
                Ok(Some((held, decision))) => Ok(Some(Next {
                    entry: entry.clone(),
                    event: BookingEvent::FoundInPractice(held),
                    decision: Some(decision),
                })),
                Err(error) => self.practice_failed(entry, &error).await,
            };
        };
        self.send_the_day_afresh(entry).await?;
        match self.ports.practice.cancel(&held).await {
            Ok(()) => next(BookingEvent::AbsentFromPractice),
            Err(WriteError::Refused(_)) if held.patient.is_some() => {
                next(BookingEvent::FoundInPractice(held))
            }
            Err(WriteError::Refused(why)) => {
                next(BookingEvent::GaveUp(format!("the held time could not be taken out of the book: {why}")))
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                self.practice_failed(entry, &error).await
            }
        }
    }

    /// After each write to the book the partner gets that day afresh, and the day that was asked for where a person chose
    /// another, even if the book has turned back to what was last
    /// accepted, because the partner may have changed what it shows meanwhile (sheet §7). Forgotten before the write,
    /// so that a crash in between cannot lose it.
    async fn send_the_day_afresh(&self, entry: &Entry) -> Result<(), StoreError> {
        let asked = entry.request.resource.as_ref().map(|resource| (resource, entry.request.starts));
        let days: BTreeSet<String> = asked
            .into_iter()
            .chain(entry.placed())
            .map(|(resource, starts)| super::availability::day_prefix(starts.day(), Some(resource)))
            .collect();
        for day in days {
            self.ports.store.forget_marks(self.ports.id(), &day).await?;
        }
        Ok(())
    }

    /// Cancels in the book what the patient cancelled, or sees whether somebody has.
    async fn cancel(&self, entry: &Entry) -> Result<Option<Next>, Stop> {
        let BookingState::Cancelling { inserted, by_hand } = &entry.state else { return Ok(None) };
        let next = |event| Ok(Some(Next::of(entry.clone(), event)));
        if !by_hand {
            let held =
                Held { appointment: inserted.appointment.clone(), patient: Some(inserted.patient.clone()) };
            self.send_the_day_afresh(entry).await?;
            return match self.ports.practice.cancel(&held).await {
                Ok(()) => next(BookingEvent::Cancelled),
                Err(WriteError::Refused(Refusal::ReadOnly)) => {
                    next(BookingEvent::CancelAsked { by_hand: true })
                }
                Err(WriteError::Refused(why)) => {
                    self.memory(|memory| memory.book_refused.insert(entry.request.key.clone(), why.clone()));
                    next(BookingEvent::CancelRefused(why))
                }
                Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                    self.practice_failed(entry, &error).await
                }
            };
        }
        // Wherever it stands: who moved it has not cancelled it.
        let watched = Watched {
            key: entry.request.key.clone(),
            appointment: inserted.appointment.clone(),
            patient: Some(inserted.patient.clone()),
            place: entry.placed().map(|(resource, starts)| (resource.clone(), starts)),
        };
        match self.ports.practice.standings(&[watched]).await {
            Ok(standings) if standings.iter().any(|standing| matches!(standing, Standing::Stands { .. })) => {
                self.ports.store.postpone(&entry.request.key, self.ports.clock.now() + self.poll()).await?;
                Ok(None)
            }
            Ok(_) => next(BookingEvent::Cancelled),
            Err(error) => self.practice_failed(entry, &error).await,
        }
    }

    async fn confirm(&self, desk: &dyn BookingDesk, entry: &Entry) -> Result<Option<Next>, Stop> {
        let BookingState::Inserted(inserted) = &entry.state else { return Ok(None) };
        let answer = self.say_it_stands(desk, &entry.request.key, inserted).await;
        self.told(entry, answer).await
    }

    /// Confirms, with where a video consultation takes place as far as the practice says so in time. The patient does
    /// not wait for it.
    async fn say_it_stands(
        &self,
        desk: &dyn BookingDesk,
        key: &BookingKey,
        inserted: &Inserted,
    ) -> Result<(), WriteError> {
        if self.memory(|memory| memory.practice_silent) {
            return desk.confirm(&key.booking, inserted).await;
        }
        match self.ports.practice.video_visit(&inserted.appointment).await {
            Ok(Some(visit)) => desk.confirm_visit(&key.booking, inserted, &visit).await,
            Ok(None) => desk.confirm(&key.booking, inserted).await,
            Err(error) => {
                tracing::warn!(booking.id = %key.booking, cause = error_chain(&error), "Confirmed without a link for the video consultation.");
                desk.confirm(&key.booking, inserted).await
            }
        }
    }

    async fn decline(&self, desk: &dyn BookingDesk, entry: &Entry) -> Result<Option<Next>, Stop> {
        let BookingState::Refused { why, .. } = &entry.state else { return Ok(None) };
        let by_desk = *why == Refusal::DeclinedAtDesk;
        let answer = desk.decline(&entry.request.key.booking, why, by_desk && !self.is_early(entry)).await;
        let taken = matches!(answer, Ok(()) | Err(WriteError::Refused(Refusal::UnknownToPartner)));
        if taken && self.nobody_told_the_patient(entry) {
            let late = self.record(entry, &BookingEvent::RefusedLate(why.clone()), None).await?;
            return self.told(&late, answer).await;
        }
        self.told(entry, answer).await
    }

    /// Tells the partner what staff did in the practice. Whatever the desk has to hear is told first, because what is
    /// recorded is not come back to.
    async fn tell_what_staff_did(&self, desk: &dyn BookingDesk, entry: &Entry) -> Result<Option<Next>, Stop> {
        let BookingState::Undone { how, .. } = &entry.state else { return Ok(None) };
        let booking = &entry.request.key.booking;
        let refused = match desk.undone(booking, how).await {
            Ok(()) | Err(WriteError::Refused(Refusal::UnknownToPartner)) => None,
            Err(WriteError::Refused(why)) => Some(why.to_string()),
            Err(WriteError::Untouched(ReadError::Invalid(said))) => Some(said),
            failed @ Err(WriteError::Untouched(_) | WriteError::Unknown(_)) => {
                return self.told(entry, failed).await;
            }
        };
        let event = match refused {
            None => {
                self.tell_of_the_move(entry, how, true).await?;
                BookingEvent::PartnerKnows
            }
            Some(why) => {
                let words = how.words();
                let text = format!(
                    "Healthengine did not take that booking {booking} was {words}: {why}. Please look at it there."
                );
                self.tell("look/undone", text).await?;
                BookingEvent::NotTaken(why)
            }
        };
        Ok(Some(Next::of(entry.clone(), event)))
    }

    /// The partner knows no moves, so somebody at the desk tells the patient.
    async fn tell_of_the_move(
        &self,
        entry: &Entry,
        how: &Undoing,
        cancelled_there: bool,
    ) -> Result<(), StoreError> {
        match changes::moved_sentence(&self.ports, entry, how, cancelled_there) {
            Some(sentence) => self.tell("look/moved", sentence).await,
            None => Ok(()),
        }
    }

    /// Answers what the partner asks about bookings that stand. Everything is looked at first, as it is unasked, so that
    /// an answer never rests on a book that is in doubt.
    async fn answer_what_is_asked_about(
        &self,
        desk: &dyn BookingDesk,
        wake: &mut BTreeSet<FlowName>,
    ) -> Result<(), Stop> {
        let asked = desk.asked_about().await.map_err(|error| Stop::Failed(Leg::Desk, error))?;
        let looked = changes::look(&self.ports).await?;
        let mut first_failure = None;
        for about in &asked {
            match self.answer_about(desk, about, looked.doubtful, wake).await {
                Ok(()) | Err(Stop::Store(StoreError::Stale)) => {}
                Err(stop) if first_failure.is_some() || stop.holds_for_all() => {
                    return Err(first_failure.unwrap_or(stop));
                }
                // One answer that is not taken must not keep those behind it waiting.
                Err(failure) => first_failure = Some(failure),
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    async fn answer_about(
        &self,
        desk: &dyn BookingDesk,
        about: &AskedAbout,
        doubtful: bool,
        wake: &mut BTreeSet<FlowName>,
    ) -> Result<(), Stop> {
        let key = self.key_of(&about.booking);
        let Some(mut entry) = self.ports.store.entry(&key).await? else {
            let how = self.undone_by_the_book(&key, about).await?;
            return self.answer_to_asked(desk, about, how.as_ref()).await;
        };
        // One that is too old to be watched has not been looked at yet.
        if !doubtful && changes::look_at(&self.ports, std::slice::from_ref(&entry)).await? {
            let Some(moved) = self.ports.store.entry(&key).await? else { return Ok(()) };
            entry = moved;
        }
        if let Stage::Undone { told: false, .. } = entry.state.stage() {
            // Telling what staff did is the answer.
            if entry.not_before <= self.ports.clock.now() {
                self.advance(desk, entry).await?.wakes(wake);
            }
            return Ok(());
        }
        match entry.state.stage() {
            Stage::Undone { how, .. } => self.answer_to_asked(desk, about, Some(how)).await,
            // Until a person has said what is true of the book, there is no answer.
            Stage::Stands(_) if doubtful => Ok(()),
            Stage::Closed => {
                let unreadable = |error| Stop::Failed(Leg::System, error);
                let gone = self.standing(&entry).await.map_err(unreadable)?.is_none();
                self.answer_to_asked(desk, about, gone.then_some(&Undoing::Deleted)).await
            }
            // What becomes of it, or became of it, is told by its own answer; staff changed nothing.
            Stage::UnderWay
            | Stage::Stands(_)
            | Stage::Cancelling { .. }
            | Stage::Cancelled(_)
            | Stage::Rejected(_) => self.answer_to_asked(desk, about, None).await,
        }
    }

    /// What the book says of a booking that our records do not know; nothing where it does not know it either, because a
    /// patient must not hear of a cancellation that nobody made (HE-26).
    async fn undone_by_the_book(
        &self,
        key: &BookingKey,
        about: &AskedAbout,
    ) -> Result<Option<Undoing>, Stop> {
        let ids = about.appointments.iter().cloned();
        let watched: Vec<Watched> = ids
            .map(|appointment| Watched {
                key: key.clone(),
                appointment,
                patient: about.patient.clone(),
                place: None,
            })
            .collect();
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let standings = self.ports.practice.standings(&watched).await.map_err(unreadable)?;
        let any = |wanted: fn(&Standing) -> bool| standings.iter().any(wanted);
        if any(|standing| matches!(standing, Standing::Stands { .. })) {
            return Ok(None);
        }
        if any(|standing| *standing == Standing::DidNotAttend) {
            return Ok(Some(Undoing::DidNotAttend));
        }
        Ok(any(|standing| *standing == Standing::Cancelled).then_some(Undoing::Cancelled))
    }

    async fn answer_to_asked(
        &self,
        desk: &dyn BookingDesk,
        about: &AskedAbout,
        how: Option<&Undoing>,
    ) -> Result<(), Stop> {
        let booking = &about.booking;
        let about = Answered::Appointment(booking.clone());
        if self.was_refused_lately(&about) {
            return Ok(());
        }
        let answer = match how {
            Some(how) => desk.undone(booking, how).await,
            None => desk.nothing_changed(booking).await,
        };
        match answer {
            Ok(()) => {
                let said = how.map_or("nothing changed", Undoing::words);
                tracing::info!(practice.id = %self.ports.id(), booking.id = %booking, said, "The partner asked about a booking and was answered.");
                Ok(())
            }
            // It does not know what it asked any more.
            Err(WriteError::Refused(_)) => Ok(()),
            // It must not keep what is behind it waiting.
            Err(WriteError::Untouched(error @ (ReadError::Invalid(_) | ReadError::NotFound))) => {
                self.answer_refused(about, booking, &error).await
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                Err(Stop::Failed(Leg::Desk, error))
            }
        }
    }

    fn key_of(&self, booking: &ForeignBookingId) -> BookingKey {
        BookingKey {
            practice: self.ports.id().clone(),
            partner: self.partner.id().clone(),
            booking: booking.clone(),
        }
    }

    /// Whether a rejection may have arrived after the partner let the patient choose again. It was to be early; an
    /// outage in between is not the patient's fault.
    fn nobody_told_the_patient(&self, entry: &Entry) -> bool {
        let BookingState::Refused { why, tell_patient: false } = &entry.state else { return false };
        !matches!(why, Refusal::PatientCancelled | Refusal::DeclinedAtDesk) && !self.is_early(entry)
    }

    /// What the partner's answer to a confirmation or a rejection means.
    async fn told(&self, entry: &Entry, answer: Result<(), WriteError>) -> Result<Option<Next>, Stop> {
        let next = |event| Ok(Some(Next::of(entry.clone(), event)));
        match answer {
            Ok(()) => {
                self.memory(|memory| memory.made_after.remove(&entry.request.key));
                self.show_made_after();
                next(BookingEvent::PartnerKnows)
            }
            // A rejection of something that is gone there has nothing left to say.
            Err(WriteError::Refused(Refusal::UnknownToPartner))
                if entry.state.step() == Step::DeclineToPartner =>
            {
                next(BookingEvent::PartnerKnows)
            }
            // It knows that it stands; only the number of the record would have been news.
            Err(WriteError::Refused(_) | WriteError::Untouched(ReadError::Invalid(_)))
                if entry.state.step() == Step::ConfirmToPartner && entry.answered_at.is_some() =>
            {
                next(BookingEvent::PartnerKnows)
            }
            Err(WriteError::Refused(why)) => next(BookingEvent::GaveUp(why.to_string())),
            Err(WriteError::Untouched(ReadError::Invalid(said))) => {
                next(BookingEvent::GaveUp(format!("the partner refuses our answer: {said}")))
            }
            Err(WriteError::Untouched(error @ (ReadError::NotAuthorised | ReadError::NoConsent))) => {
                self.put_off(entry).await?;
                Err(Stop::Failed(Leg::Desk, error))
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                tracing::debug!(booking.id = %entry.request.key.booking, cause = error_chain(&error), "The partner did not take the answer.");
                self.put_off(entry).await?;
                // A request for patience holds for everything that we would send, not for this answer alone.
                if let ReadError::SlowDown { .. } = error {
                    return Err(Stop::Failed(Leg::Desk, error));
                }
                Ok(None)
            }
        }
    }

    /// Nobody decided in time, so the safe side is taken (`product.md`, "When nobody is there to decide").
    fn nobody_decided(&self, entry: &Entry) -> Next {
        let BookingState::Held(_) = &entry.state else {
            return Next::of(entry.clone(), BookingEvent::TimeRanOut);
        };
        let likeliest = entry
            .decision
            .as_ref()
            .and_then(|decision| decision.candidates.first())
            .map(|c| c.record.id.clone());
        let plan = PatientPlan::New { possible_duplicate_of: likeliest };
        let decision = entry.decision.clone().map(|decision| Decision {
            plan: plan.clone(),
            reason: "Nobody decided in time, so a new record was made; it may be a duplicate.".into(),
            ..decision
        });
        Next { entry: entry.clone(), event: BookingEvent::PatientDecided(plan), decision }
    }

    /// Applies cancellations in their order. Each waits for its booking.
    async fn apply_changes(&self, desk: &dyn BookingDesk, wake: &mut BTreeSet<FlowName>) -> Result<(), Stop> {
        let changes = desk.changes().await.map_err(|error| Stop::Failed(Leg::Desk, error))?;
        self.note_changes(&changes);
        let mut first_failure = None;
        for change in changes {
            self.ports.webhooks.found(Found::Change(change.id.clone(), change.booking.clone()));
            if self.was_refused_lately(&Answered::Change(change.id.clone())) {
                continue;
            }
            match self.apply(desk, &change, wake).await {
                Ok(()) | Err(Stop::Store(StoreError::Stale)) => {}
                // Patience, a refused key and a missing consent hold for all that follow, and so does a second failure.
                Err(stop) if first_failure.is_some() || stop.holds_for_all() => {
                    return Err(first_failure.unwrap_or(stop));
                }
                // One answer that is not taken must not keep those behind it waiting.
                Err(failure) => first_failure = Some(failure),
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    async fn apply(
        &self,
        desk: &dyn BookingDesk,
        change: &BookingChange,
        wake: &mut BTreeSet<FlowName>,
    ) -> Result<(), Stop> {
        let key = self.key_of(&change.booking);
        if change.kind == ChangeKind::Unreadable {
            return self.decline_unreadable_change(desk, change).await;
        }
        let Some(mut entry) = self.ports.store.entry(&key).await? else {
            if change.kind == ChangeKind::Stands {
                let answer = desk.decline_change(&change.booking, &change.id, &Refusal::BookingUnknown).await;
                return self.change_told(change, answer).await;
            }
            return self.apply_to_unknown(desk, change, &key, wake).await;
        };
        if change.kind == ChangeKind::Stands {
            return self.change_told(change, desk.confirm_change(&change.booking, &change.id).await).await;
        }
        // The book refused, and only our answer did not arrive: it is not asked again.
        let refused = self.memory(|memory| memory.cancel_refused.contains_key(&change.id));
        let event = match self.cancellation(&entry).await {
            Ok(_) if refused => None,
            Ok(event) => event,
            Err(error) => {
                self.ports.failed(Leg::System, &error).await?;
                return Ok(());
            }
        };
        if let Some(event) = event {
            if let BookingState::Undone { how, .. } = &entry.state {
                self.tell_of_the_move(&entry, how, false).await?;
            }
            match self.record(&entry, &event, None).await {
                Ok(moved) => entry = moved,
                Err(Stop::Store(StoreError::Stale)) => return Ok(()),
                Err(stop) => return Err(stop),
            }
            self.ports.ledger_moved().await?;
        }
        if entry.state.step() != Step::Nothing && entry.not_before <= self.ports.clock.now() {
            let reached = self.advance(desk, entry).await?;
            reached.wakes(wake);
            let Some(moved) = self.ports.store.entry(&key).await? else { return Ok(()) };
            entry = moved;
        }
        match entry.state.stage() {
            Stage::Cancelled(_) | Stage::Rejected(_) | Stage::Closed | Stage::Undone { told: true, .. } => {
                self.change_told(change, desk.confirm_change(&change.booking, &change.id).await).await
            }
            // The patient will not come, whether or not somebody has cleared the book yet.
            Stage::Cancelling { by_hand: true, .. }
                if self.ports.clock.now()
                    >= entry.state_since + TimeDelta::minutes(i64::from(self.ports.app.decide_minutes)) =>
            {
                self.change_told(change, desk.confirm_change(&change.booking, &change.id).await).await
            }
            // The book refused: the appointment has begun, or belongs to a series. One that was confirmed only now has
            // not been asked for yet; the next pass does.
            Stage::Stands(_) => {
                let why = self.memory(|memory| {
                    if let Some(why) = memory.book_refused.remove(&key) {
                        memory.cancel_refused.insert(change.id.clone(), why);
                    }
                    memory.cancel_refused.get(&change.id).cloned()
                });
                let Some(why) = why else { return Ok(()) };
                let stands = format!(
                    "The patient cancelled booking {}, but it stands in the book: {why}.",
                    change.booking
                );
                self.tell_once("look/cancellation", change, stands).await?;
                self.change_told(change, desk.decline_change(&change.booking, &change.id, &why).await)
                    .await?;
                self.memory(|memory| memory.cancel_refused.remove(&change.id));
                Ok(())
            }
            Stage::UnderWay | Stage::Cancelling { .. } | Stage::Undone { told: false, .. } => Ok(()),
        }
    }

    /// A change of a booking that our records do not know is declined (HE-26), unless the book carries its mark: then our
    /// records were lost, and the patient's cancellation must not be.
    async fn apply_to_unknown(
        &self,
        desk: &dyn BookingDesk,
        change: &BookingChange,
        key: &BookingKey,
        wake: &mut BTreeSet<FlowName>,
    ) -> Result<(), Stop> {
        let unreadable = |error| Stop::Failed(Leg::System, error);
        let Some(held) = self.ports.practice.find(key).await.map_err(unreadable)? else {
            let answer = desk.decline_change(&change.booking, &change.id, &Refusal::BookingUnknown).await;
            return self.change_told(change, answer).await;
        };
        match self.ports.practice.cancel(&held).await {
            Ok(()) => {
                wake.insert(FlowName::Availability);
                self.ports.look_closely();
                self.change_told(change, desk.confirm_change(&change.booking, &change.id).await).await
            }
            Err(WriteError::Refused(why)) => {
                let stands = format!(
                    "The patient cancelled booking {}, but appointment {} stands in the book: {why}. Please cancel it there.",
                    change.booking, held.appointment
                );
                self.tell_once("look/cancellation", change, stands).await?;
                self.change_told(change, desk.confirm_change(&change.booking, &change.id).await).await
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                Err(Stop::Failed(Leg::System, error))
            }
        }
    }

    /// Declines a change of which nobody can tell what it says, and has a person look at the booking. Confirming it
    /// might confirm a cancellation away.
    async fn decline_unreadable_change(
        &self,
        desk: &dyn BookingDesk,
        change: &BookingChange,
    ) -> Result<(), Stop> {
        if self.memory(|memory| memory.unreadable_changes.insert(change.id.clone())) {
            let text = format!(
                "A change to booking {} could not be read and is declined. Please look at the booking there.",
                change.booking
            );
            self.tell_once("look/change", change, text).await?;
        }
        let why = Refusal::Unreadable("bookingStatus".into());
        let answer = desk.decline_change(&change.booking, &change.id, &why).await;
        self.change_told(change, answer).await
    }

    /// What a patient's cancellation means for a booking; nothing while it has to wait for it.
    async fn cancellation(&self, entry: &Entry) -> Result<Option<BookingEvent>, ReadError> {
        let called_off = BookingEvent::CalledOff(Refusal::PatientCancelled);
        let event = match &entry.state {
            BookingState::Confirmed(_) => Some(BookingEvent::CancelAsked {
                by_hand: self.ports.settings.system.write == WriteMode::None,
            }),
            // Somebody may have entered it since we last looked; called off unseen, it would stay in the book.
            BookingState::Entering => Some(match self.find_entered(entry).await? {
                Some((held, _)) => BookingEvent::FoundInPractice(held),
                None => called_off,
            }),
            BookingState::Received { .. }
            | BookingState::Held(_)
            | BookingState::Naming { instead_of: None, .. }
            | BookingState::Unplaced(_)
            | BookingState::Stuck { .. } => Some(called_off),
            BookingState::Undone { .. } => Some(BookingEvent::PatientCancelledToo),
            BookingState::Inserting { .. }
            | BookingState::Naming { instead_of: Some(_), .. }
            | BookingState::Inserted(_)
            | BookingState::Withdrawing(_)
            | BookingState::Refused { .. }
            | BookingState::Rejected { .. }
            | BookingState::Cancelling { .. }
            | BookingState::Cancelled(_)
            | BookingState::Ended { .. }
            | BookingState::Closed => None,
        };
        Ok(event)
    }

    /// What the partner's answer about a change means. It waits on the partner's list until it is answered.
    async fn change_told(&self, change: &BookingChange, answer: Result<(), WriteError>) -> Result<(), Stop> {
        match answer {
            Ok(()) => {
                tracing::info!(practice.id = %self.ports.id(), booking.id = %change.booking, change.id = %change.id, "A change was answered.");
                Ok(())
            }
            Err(WriteError::Refused(why)) => {
                tracing::warn!(practice.id = %self.ports.id(), change.id = %change.id, "The partner refuses our answer to a change: {why}.");
                Ok(())
            }
            // It must not keep the changes behind it waiting.
            Err(WriteError::Untouched(error @ (ReadError::Invalid(_) | ReadError::NotFound))) => {
                self.answer_refused(Answered::Change(change.id.clone()), &change.booking, &error).await
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                Err(Stop::Failed(Leg::Desk, error))
            }
        }
    }

    /// What the partner asks for again is what its marks no longer say.
    async fn forget_what_is_asked_for(&self, waiting: &Waiting) -> Result<(), Stop> {
        let Some(board) = self.partner.availability_board() else { return Ok(()) };
        let store = &self.ports.store;
        let mut forgotten = 0;
        if waiting.resources {
            forgotten += store.forget_marks(self.ports.id(), super::availability::RESOURCES).await?;
        }
        if waiting.appointment_types {
            forgotten += store.forget_marks(self.ports.id(), super::availability::APPOINTMENT_TYPES).await?;
        }
        if waiting.availability {
            let shown = self.ports.state.subscribe().borrow().practices.get(self.ports.id()).cloned();
            // Who is missing from a list that waits for somebody may only be missing from the read.
            let doubtful =
                self.ports.state.shrinking(self.ports.id(), super::availability::RESOURCES).is_some();
            let mut not_in_the_book = Vec::new();
            for asked in board.asked().await.map_err(|error| Stop::Failed(Leg::Desk, error))? {
                let prefix = super::availability::day_prefix(asked.day, asked.resource.as_ref());
                forgotten += store.forget_marks(self.ports.id(), &prefix).await?;
                // What the ordinary pass will not send is answered here: nothing is free then.
                let Some(shown) = shown.as_ref().filter(|shown| shown.horizon.is_some()) else { continue };
                let outside = !shown.horizon.is_some_and(|horizon| horizon.contains(asked.day));
                let known: Vec<&ResourceRef> = shown.resources.iter().map(|resource| &resource.id).collect();
                let empty = |resource: &ResourceRef| DayOffer {
                    resource: resource.clone(),
                    day: asked.day,
                    free: Vec::new(),
                    slot: Minutes(15),
                };
                match &asked.resource {
                    Some(resource) if outside || !(doubtful || known.contains(&resource)) => {
                        not_in_the_book.push(empty(resource));
                    }
                    None if outside => not_in_the_book.extend(known.into_iter().map(empty)),
                    Some(_) | None => {}
                }
            }
            let place = |offer: &DayOffer| (offer.resource.clone(), offer.day);
            let now = self.ports.clock.now();
            let refused = self.memory(|memory| {
                let waits = TimeDelta::zero()..super::availability::REFUSED_WAITS;
                memory.days_refused.retain(|_, at| waits.contains(&(now - *at)));
                memory.days_refused.clone()
            });
            not_in_the_book.retain(|offer| !refused.contains_key(&place(offer)));
            for batch in not_in_the_book.chunks(board.batch_size().max(1)) {
                let answers = super::availability::each_answered(board.publish(batch).await, batch.len());
                let answers = answers.map_err(|error| Stop::Failed(Leg::Desk, error))?;
                let now = self.ports.clock.now();
                let refused = batch.iter().zip(answers).filter(|(_, answer)| answer.is_err());
                self.memory(|memory| {
                    memory.days_refused.extend(refused.map(|(offer, _)| (place(offer), now)));
                });
            }
        }
        // What is not marked any more is on its way already, or waits because it was refused.
        if forgotten > 0 {
            self.ports.look_closely();
        }
        Ok(())
    }

    /// Tells people of a change once, however often its answer is lost on the way and whatever is restarted in between:
    /// what was told is known by its kind and the change's number.
    async fn tell_once(&self, kind: &str, change: &BookingChange, text: String) -> Result<(), StoreError> {
        let kind = format!("{kind}/{}", change.id);
        let since = self.ports.clock.now() - TOLD_FOR;
        let told = self.ports.store.told(self.ports.id(), since).await?;
        if told.iter().any(|line| line.kind == kind) {
            return Ok(());
        }
        self.tell(&kind, text).await
    }

    async fn tell(&self, kind: &str, text: String) -> Result<(), StoreError> {
        let line = ActivityLine { at: self.ports.clock.now(), began_at: None, kind: kind.into(), text };
        self.ports.store.tell(self.ports.id(), &line).await
    }

    fn memory<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The event that follows, and the entry that it follows on.
struct Next {
    entry: Entry,
    event: BookingEvent,
    decision: Option<Decision>,
}

impl Next {
    fn of(entry: Entry, event: BookingEvent) -> Self {
        Self { entry, event, decision: None }
    }

    fn refused(event: BookingEvent, entry: Entry) -> Self {
        Self::of(entry, event)
    }
}

fn needs_practice(step: Step) -> bool {
    match step {
        Step::Insert
        | Step::LookInPractice
        | Step::NamePatient
        | Step::LookForEntry
        | Step::Withdraw
        | Step::CancelInPractice => true,
        Step::ConfirmToPartner
        | Step::DeclineToPartner
        | Step::TellPartner
        | Step::WaitForPerson
        | Step::Nothing => false,
    }
}

fn is_for_the_partner(step: Step) -> bool {
    matches!(step, Step::ConfirmToPartner | Step::DeclineToPartner | Step::TellPartner)
}

fn tries_of(state: &BookingState) -> u32 {
    if let BookingState::Inserting { tries, .. } = state { *tries } else { 0 }
}
