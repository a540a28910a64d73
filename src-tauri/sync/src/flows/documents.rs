//! Files the documents that patients fill in, and gives out those that the practice has for its patients.
//!
//! A document waits for its booking: nothing is filed for one that does not stand in the book yet (sheet §7).

use super::{Flow, FlowName, Outcome, Ports, Stop, error_chain, features};
use crate::{health, pace};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::booking::{BookingKey, BookingState, Held, Inserted};
use domain::documents::{
    DocumentEntry, DocumentKey, DocumentOffer, DocumentOrder, DocumentRefusal, DocumentState, LARGEST_BYTES,
    PracticeDocument, extension_of,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, ForeignBookingId, PatientRef};
use domain::ports::documents::{
    DocumentDesk, DocumentInbox, DocumentSource, DocumentsAsked, Fetched, FilingError, Placed, Staged,
};
use domain::ports::partner::Partner;
use domain::ports::store::{ActivityLine, Leg, Mark, StoreError};
use domain::private::Private;
use domain::settings::Feature;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Features are compared this often, besides whenever the practice is set up.
const COMPARE_FEATURES_EVERY: TimeDelta = TimeDelta::hours(1);
/// New documents for patients are looked for this often without being asked.
const LOOK_FOR_NEWS_EVERY: TimeDelta = TimeDelta::minutes(5);
/// An answer that the partner asks for again is given again no more often than this.
const ANSWER_AGAIN_AFTER: TimeDelta = TimeDelta::minutes(1);
/// What does not work is tried again after this long at the least, and at the most.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(5);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(5);
/// How long the partner waits for its answer because a note cannot be written.
const NOTE_PATIENCE: TimeDelta = TimeDelta::minutes(10);
/// A booking may have been made after bookings were last asked for. It is unknown for good once they were asked for
/// again this long after it was first missed.
const UNKNOWN_AFTER: TimeDelta = TimeDelta::seconds(10);
/// For how many of the newest bookings documents are looked for unasked.
const NEWEST: u32 = 300;
/// Digests of what documents the partner was told of, by booking.
const ANNOUNCED: &str = "documents/";

/// The documents of one practice.
pub struct Documents {
    ports: Ports,
    partner: Arc<dyn Partner>,
    memory: Mutex<Memory>,
}

/// What is worth remembering between passes and harmless to lose.
#[derive(Default)]
struct Memory {
    /// When features were last compared, and which were on.
    compared: Option<(DateTime<Utc>, BTreeSet<Feature>)>,
    /// Nothing is asked of the partner before this time.
    not_before: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
    /// When each booking was first missed in the ledger.
    missed: BTreeMap<ForeignBookingId, DateTime<Utc>>,
    /// When each answer that is asked for again was last given.
    answered: BTreeMap<String, DateTime<Utc>>,
    looked_for_news_at: Option<DateTime<Utc>>,
    /// What is wrong with the folders that do not work.
    folders: BTreeMap<Way, String>,
}

/// Which way documents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Inward,
    Outward,
}

/// Where a document goes.
enum Destination {
    /// To the practice, or, where it takes none, into our own records.
    Known { patient: PatientRef, appointment: Option<AppointmentRef>, booking: Option<ForeignBookingId> },
    /// Nowhere.
    Nowhere(DocumentRefusal),
    /// Its booking is not far enough.
    NotYet,
}

/// What follows on a state.
enum Next {
    /// This one, which is still to be recorded.
    Move(DocumentState),
    /// Another one, which was recorded together with the content.
    Moved,
    /// Nothing for now.
    Wait,
}

/// What a booking says about its documents.
enum Standing {
    /// It stands, or stood, for this patient.
    Known(Inserted),
    /// Somebody at the desk has dealt with it, and only the book knows how.
    Closed,
    /// It is on its way.
    OnItsWay,
    /// It never came to stand.
    FellThrough,
    /// We know nothing of it.
    Unknown,
}

#[async_trait]
impl Flow for Documents {
    fn name(&self) -> FlowName {
        FlowName::Documents
    }

    async fn pass(&self) -> Outcome {
        let now = self.ports.clock.now();
        let wake = BTreeSet::new();
        // Whoever woke us does not know that the partner asked for patience.
        if let Some(until) =
            self.memory(|memory| memory.not_before).filter(|until| pace::is_pause(*until, now))
        {
            return Outcome { again_at: until, wake };
        }
        let again_at = match self.run().await {
            Ok(again_at) => {
                self.memory(|memory| (memory.not_before, memory.failing_since) = (None, None));
                again_at
            }
            Err(Stop::Store(error)) => self.ports.stopped(Stop::Store(error), SHORTEST_WAIT).await,
            Err(Stop::Failed(_, error)) => self.failed(&error),
        };
        Outcome { again_at, wake }
    }
}

impl Documents {
    /// The flow, if the practice has a partner that passes documents on.
    pub fn new(ports: Ports) -> Option<Self> {
        let partner = ports.partner.clone()?;
        partner.document_desk()?;
        partner.feature_switch()?;
        Some(Self { ports, partner, memory: Mutex::new(Memory::default()) })
    }

    fn now(&self) -> DateTime<Utc> {
        self.ports.clock.now()
    }

    /// Runs one pass and returns when to run the next one.
    async fn run(&self) -> Result<DateTime<Utc>, Stop> {
        let (Some(desk), Some(switch)) = (self.partner.document_desk(), self.partner.feature_switch()) else {
            return Ok(self.now() + COMPARE_FEATURES_EVERY);
        };
        let now = self.now();
        let known = self.memory(|memory| memory.compared.clone());
        let on = match known {
            Some((at, on)) if (TimeDelta::zero()..COMPARE_FEATURES_EVERY).contains(&(now - at)) => on,
            Some(_) | None => {
                let on = features::switch(&self.ports, switch).await.map_err(of_desk)?;
                self.memory(|memory| memory.compared = Some((now, on.clone())));
                on
            }
        };
        let mut first_failure = None;
        if on.contains(&Feature::AttachDocuments) {
            note_failure(&mut first_failure, self.take_in(desk).await)?;
        }
        // Also where the feature was switched off meanwhile: what was begun is ended.
        note_failure(&mut first_failure, self.bring_forward(desk).await)?;
        if on.contains(&Feature::Documents)
            && let Some(source) = self.ports.practice.document_source()
        {
            let given = self.give_out(desk, source).await;
            note_failure(&mut first_failure, given)?;
        }
        if let Some(failure) = first_failure {
            return Err(failure);
        }
        let left = self.ports.store.unfinished_documents(self.ports.id()).await?;
        if left.is_empty() {
            self.works(Way::Inward);
        }
        self.show();
        let now = self.now();
        let news =
            if on.contains(&Feature::Documents) { LOOK_FOR_NEWS_EVERY } else { COMPARE_FEATURES_EVERY };
        let due = left.iter().map(|entry| entry.not_before).min();
        Ok(due.map_or(now + news, |due| due.clamp(now + SHORTEST_WAIT, now + news)))
    }

    /// Notes that the partner did not answer. Its light belongs to the bookings, which ask the same keys every few
    /// seconds.
    fn failed(&self, error: &ReadError) -> DateTime<Utc> {
        let now = self.now();
        let since = self.memory(|memory| *memory.failing_since.get_or_insert(now));
        if since == now {
            tracing::warn!(practice.id = %self.ports.id(), cause = error_chain(error), "Documents wait.");
        }
        let sentence = health::problem(Leg::Desk, error).sentence;
        self.ports.state.change_practice(self.ports.id(), |practice| {
            practice.documents_problem = Some(sentence);
        });
        let until = pace::after(error, SHORTEST_WAIT, since, now);
        self.memory(|memory| memory.not_before = Some(until));
        until
    }

    /// Shows what keeps documents waiting.
    fn show(&self) {
        let sentences: Vec<String> = self.memory(|memory| memory.folders.values().cloned().collect());
        let problem = (!sentences.is_empty()).then(|| sentences.join(" "));
        self.ports.state.change_practice(self.ports.id(), |practice| practice.documents_problem = problem);
    }

    /// A folder does not work. Somebody is told once; documents are tried again by themselves.
    async fn waits_for(&self, way: Way, who: String, error: &FilingError) -> Result<(), Stop> {
        let sentence = format!("{who} {error}. Documents wait until then; nothing is lost.");
        let known = self.memory(|memory| memory.folders.insert(way, sentence.clone()));
        self.show();
        if known.as_ref() == Some(&sentence) {
            return Ok(());
        }
        tracing::warn!(practice.id = %self.ports.id(), cause = error_chain(error), "A folder for documents does not work.");
        self.tell("look/documents", sentence).await
    }

    fn works(&self, way: Way) {
        self.memory(|memory| memory.folders.remove(&way));
    }

    /// Records every document that is offered.
    async fn take_in(&self, desk: &dyn DocumentDesk) -> Result<(), Stop> {
        for offer in desk.offered().await.map_err(of_desk)? {
            if self.ports.store.receive_document(&offer, self.now()).await? {
                tracing::info!(practice.id = %self.ports.id(), document.id = %offer.key.document, "A document came in.");
                continue;
            }
            let known = self.ports.store.document(&offer.key).await?;
            if let Some(entry) = known.filter(|entry| entry.state.is_final()) {
                self.answer_again(desk, &entry).await?;
            }
        }
        Ok(())
    }

    /// The partner still offers what we have answered: our answer got lost on its side.
    async fn answer_again(&self, desk: &dyn DocumentDesk, entry: &DocumentEntry) -> Result<(), Stop> {
        let document = &entry.offer.key.document;
        if self.answered_lately(format!("attach/{document}")) {
            return Ok(());
        }
        let answer = match &entry.state {
            DocumentState::Told(filed_as) => desk.filed(document, filed_as.as_ref()).await,
            DocumentState::Rejected(why) => desk.not_filed(document, *why).await,
            DocumentState::Received
            | DocumentState::Filing(_)
            | DocumentState::Kept
            | DocumentState::Filed(_)
            | DocumentState::Refused(_)
            | DocumentState::Dropped => desk.not_filed(document, DocumentRefusal::Unreadable).await,
        };
        settled(answer)
    }

    fn answered_lately(&self, what: String) -> bool {
        let now = self.now();
        self.memory(|memory| {
            let lately = memory.answered.get(&what).copied();
            let lately =
                lately.is_some_and(|at| (TimeDelta::zero()..ANSWER_AGAIN_AFTER).contains(&(now - at)));
            if !lately {
                memory.answered.insert(what, now);
            }
            lately
        })
    }

    /// Takes each due document as far as it goes. One that fails keeps no other waiting.
    async fn bring_forward(&self, desk: &dyn DocumentDesk) -> Result<(), Stop> {
        let mut first_failure = None;
        for entry in self.ports.store.unfinished_documents(self.ports.id()).await? {
            let now = self.now();
            if pace::is_pause(entry.not_before, now) {
                continue;
            }
            let key = entry.offer.key.clone();
            let received_at = entry.received_at;
            let ended = self.advance(desk, entry).await;
            if matches!(ended, Ok(false) | Err(Stop::Failed(..))) {
                let wait = ((now - received_at) / 3).clamp(SHORTEST_WAIT, LONGEST_WAIT);
                self.ports.store.postpone_document(&key, now + wait).await?;
            }
            note_failure(&mut first_failure, ended.map(drop))?;
        }
        first_failure.map_or(Ok(()), Err)
    }

    /// Takes a document as far as it goes, and returns whether that is to its end.
    async fn advance(&self, desk: &dyn DocumentDesk, mut entry: DocumentEntry) -> Result<bool, Stop> {
        loop {
            let next = match &entry.state {
                DocumentState::Received => self.receive(desk, &entry).await?,
                DocumentState::Filing(ticket) => match self.ports.practice.document_inbox() {
                    Some(inbox) => self.place(inbox, &entry, ticket).await?,
                    // The folder is in use no more, and what became of the document there nobody can see.
                    None => Next::Move(DocumentState::Received),
                },
                DocumentState::Kept => self.note(&entry).await?,
                DocumentState::Filed(filed_as) => {
                    settled(desk.filed(&entry.offer.key.document, filed_as.as_ref()).await)?;
                    Next::Move(DocumentState::Told(filed_as.clone()))
                }
                DocumentState::Refused(why) => {
                    settled(desk.not_filed(&entry.offer.key.document, *why).await)?;
                    self.tell_of_refusal(&entry.offer, *why).await?;
                    Next::Move(DocumentState::Rejected(*why))
                }
                DocumentState::Told(_) | DocumentState::Rejected(_) | DocumentState::Dropped => {
                    return Ok(true);
                }
            };
            let key = &entry.offer.key;
            match next {
                Next::Wait => return Ok(false),
                Next::Move(next) => {
                    self.ports.store.move_document(key, &entry.state, &next, self.now()).await?;
                    entry.state = next;
                }
                // It may have been found a booking.
                Next::Moved => match self.ports.store.document(key).await? {
                    Some(moved) => entry = moved,
                    None => return Ok(true),
                },
            }
            tracing::info!(practice.id = %self.ports.id(), document.id = %entry.offer.key.document, state = ?entry.state, "A document moved on.");
            self.ports.ledger_moved().await?;
        }
    }

    /// Puts what lies ready into its place. What the practice system does not take stays in our own records.
    async fn place(
        &self,
        inbox: &dyn DocumentInbox,
        entry: &DocumentEntry,
        ticket: &Private<String>,
    ) -> Result<Next, Stop> {
        let key = &entry.offer.key;
        let held = if entry.kept { self.ports.store.document_content(key).await? } else { None };
        match inbox.place(key, ticket, held.clone()).await {
            Ok(Placed::Stands(filed_as)) => {
                self.works(Way::Inward);
                Ok(Next::Move(DocumentState::Filed(filed_as)))
            }
            Ok(Placed::TryInstead(ticket)) => Ok(Next::Move(DocumentState::Filing(ticket))),
            Ok(Placed::NotSettled) => Ok(Next::Wait),
            Ok(Placed::TurnedAway) => {
                let booking = match (&entry.offer.booking, &entry.offer.patient) {
                    (Some(booking), _) => Some(booking.clone()),
                    (None, Some(patient)) => self.booking_of(key, patient).await?,
                    (None, None) => None,
                };
                let (Some(booking), Some(content)) = (booking, held) else {
                    let turned_away =
                        FilingError::SetUp("does not take a document that came in without a booking");
                    self.waits_for(Way::Inward, inbox.title(), &turned_away).await?;
                    return Ok(Next::Wait);
                };
                self.ports.store.keep_document(key, &entry.state, &booking, content, self.now()).await?;
                let text = format!(
                    "{} did not take a document for booking {booking}, likely because of its type or size. Open it under Bookings.",
                    inbox.title()
                );
                self.tell("look/document", text).await?;
                Ok(Next::Moved)
            }
            Err(error) => {
                self.waits_for(Way::Inward, inbox.title(), &error).await?;
                Ok(Next::Wait)
            }
        }
    }

    /// Fetches a document and puts it where it goes: ready beside the practice's folder, or into our own records.
    async fn receive(&self, desk: &dyn DocumentDesk, entry: &DocumentEntry) -> Result<Next, Stop> {
        let offer = &entry.offer;
        let (patient, appointment, booking) = match self.destination(offer).await? {
            Destination::Known { patient, appointment, booking } => (patient, appointment, booking),
            Destination::Nowhere(why) => return Ok(Next::Move(DocumentState::Refused(why))),
            Destination::NotYet => return Ok(Next::Wait),
        };
        let inbox = self.ports.practice.document_inbox();
        let booking = match (inbox, booking) {
            (None, None) => self.booking_of(&offer.key, &patient).await?,
            (_, booking) => booking,
        };
        if inbox.is_none() && booking.is_none() {
            return Ok(Next::Move(DocumentState::Refused(DocumentRefusal::NowhereToFile)));
        }
        if let Some(inbox) = inbox
            && let Err(error) = inbox.check().await
        {
            self.waits_for(Way::Inward, inbox.title(), &error).await?;
            // Known before megabytes are fetched in vain, again and again. What our records can hold is fetched while
            // the partner still has it.
            if !inbox.stages_in_our_records() {
                return Ok(Next::Wait);
            }
        }
        let held = if entry.kept { self.ports.store.document_content(&offer.key).await? } else { None };
        let content = match held {
            Some(content) => content,
            None => match desk.fetch(offer).await.map_err(of_desk)? {
                Fetched::Content(content) => content,
                Fetched::Unusable(why) => return Ok(Next::Move(DocumentState::Refused(why))),
                Fetched::Gone => {
                    self.discard(inbox, &offer.key).await;
                    return Ok(Next::Move(DocumentState::Dropped));
                }
            },
        };
        match (inbox, booking) {
            (Some(inbox), booking) => {
                let made_at = offer.made_at.unwrap_or(entry.received_at);
                let order = DocumentOrder {
                    key: offer.key.clone(),
                    patient,
                    appointment,
                    booking,
                    kind: offer.kind.clone(),
                    name: offer.name.clone(),
                    // What has none was refused on sight.
                    extension: extension_of(&offer.format).unwrap_or_default(),
                    day: self.ports.settings.zone.today(made_at),
                };
                match inbox.stage(&order, content).await {
                    Ok(Staged { ticket, hold: None }) => {
                        self.works(Way::Inward);
                        Ok(Next::Move(DocumentState::Filing(ticket)))
                    }
                    Ok(Staged { ticket, hold: Some(content) }) => {
                        self.ports.store.hold_document(&offer.key, &ticket, content, self.now()).await?;
                        Ok(Next::Moved)
                    }
                    Err(error) => {
                        self.waits_for(Way::Inward, inbox.title(), &error).await?;
                        Ok(Next::Wait)
                    }
                }
            }
            (None, Some(booking)) => {
                let from = DocumentState::Received;
                self.ports.store.keep_document(&offer.key, &from, &booking, content, self.now()).await?;
                Ok(Next::Moved)
            }
            (None, None) => Ok(Next::Move(DocumentState::Refused(DocumentRefusal::NowhereToFile))),
        }
    }

    async fn discard(&self, inbox: Option<&dyn DocumentInbox>, key: &DocumentKey) {
        let Some(inbox) = inbox else { return };
        if let Err(error) = inbox.discard(key).await {
            tracing::warn!(practice.id = %self.ports.id(), document.id = %key.document, cause = error_chain(&error), "What lies ready could not be taken away.");
        }
    }

    /// Whose a document is, and which booking it belongs to.
    async fn destination(&self, offer: &DocumentOffer) -> Result<Destination, Stop> {
        if let Some(why) = offer.refusal_on_sight() {
            return Ok(Destination::Nowhere(why));
        }
        let nowhere = |why| Ok(Destination::Nowhere(why));
        let own = |patient: &Option<PatientRef>| match patient {
            Some(patient) => Destination::Known {
                patient: patient.clone(),
                appointment: offer.appointment.clone(),
                booking: offer.booking.clone(),
            },
            None => Destination::Nowhere(DocumentRefusal::NoPatient),
        };
        let Some(booking) = &offer.booking else { return Ok(own(&offer.patient)) };
        match self.standing(booking).await? {
            Standing::Known(Inserted { appointment, patient }) => match &offer.patient {
                // A form in another patient's record is worse than one that the patient brings along on paper.
                Some(other) if *other != patient => nowhere(DocumentRefusal::OtherPatient),
                Some(_) | None => Ok(Destination::Known {
                    patient,
                    appointment: Some(appointment),
                    booking: Some(booking.clone()),
                }),
            },
            Standing::Closed => Ok(own(&offer.patient)),
            Standing::OnItsWay => Ok(Destination::NotYet),
            Standing::FellThrough => nowhere(DocumentRefusal::BookingFellThrough),
            Standing::Unknown if self.is_unknown_for_good(booking) => {
                nowhere(DocumentRefusal::BookingUnknown)
            }
            Standing::Unknown => Ok(Destination::NotYet),
        }
    }

    fn booking_key(&self, booking: &ForeignBookingId) -> BookingKey {
        BookingKey {
            practice: self.ports.id().clone(),
            partner: self.partner.id().clone(),
            booking: booking.clone(),
        }
    }

    async fn standing(&self, booking: &ForeignBookingId) -> Result<Standing, Stop> {
        let Some(entry) = self.ports.store.entry(&self.booking_key(booking)).await? else {
            return Ok(Standing::Unknown);
        };
        // Somebody has just said that it is another patient's.
        if matches!(entry.state, BookingState::Naming { .. }) {
            return Ok(Standing::OnItsWay);
        }
        if let Some(Held { appointment, patient: Some(patient) }) = entry.state.held() {
            return Ok(Standing::Known(Inserted { appointment, patient }));
        }
        Ok(if matches!(entry.state, BookingState::Rejected { .. }) {
            Standing::FellThrough
        } else if entry.state == BookingState::Closed {
            Standing::Closed
        } else {
            Standing::OnItsWay
        })
    }

    /// Whether bookings were asked for since this one was first missed.
    fn is_unknown_for_good(&self, booking: &ForeignBookingId) -> bool {
        let now = self.now();
        let missed = self.memory(|memory| *memory.missed.entry(booking.clone()).or_insert(now));
        let asked = self.ports.state.leg(self.ports.id(), Leg::Desk).and_then(|note| note.proven_at);
        asked.is_some_and(|asked| asked >= missed + UNKNOWN_AFTER)
    }

    async fn booking_of(
        &self,
        key: &DocumentKey,
        patient: &PatientRef,
    ) -> Result<Option<ForeignBookingId>, Stop> {
        Ok(self.ports.store.booking_of_patient(&key.practice, &key.partner, patient).await?)
    }

    /// Says in the appointment's note that a document lies in our records.
    async fn note(&self, entry: &DocumentEntry) -> Result<Next, Stop> {
        let done = Ok(Next::Move(DocumentState::Filed(None)));
        let Some(booking) = &entry.offer.booking else { return done };
        let Standing::Known(Inserted { appointment, .. }) = self.standing(booking).await? else {
            self.tell_of_kept(booking).await?;
            return done;
        };
        let mark = entry.offer.key.mark();
        let line = format!(
            "{mark} The patient sent a document. Open it in Clinic Companion, under Bookings: booking {booking}."
        );
        match self.ports.practice.add_to_note(&appointment, &mark, &line).await {
            Ok(()) => {
                self.ports.look_closely();
                done
            }
            Err(WriteError::Refused(_)) => {
                self.tell_of_kept(booking).await?;
                done
            }
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => {
                if self.now() - entry.received_at < NOTE_PATIENCE {
                    tracing::debug!(practice.id = %self.ports.id(), cause = error_chain(&error), "A note waits.");
                    return Ok(Next::Wait);
                }
                self.tell_of_kept(booking).await?;
                done
            }
        }
    }

    async fn tell_of_kept(&self, booking: &ForeignBookingId) -> Result<(), Stop> {
        let text = format!("A document came in for booking {booking}: open it under Bookings.");
        self.tell("look/document", text).await
    }

    async fn tell_of_refusal(&self, offer: &DocumentOffer, why: DocumentRefusal) -> Result<(), Stop> {
        let which = match &offer.booking {
            Some(booking) => format!("A document for booking {booking}"),
            None => "A document that came in".to_owned(),
        };
        // Of a booking that nobody here knows, nobody here can ask the patient.
        match why {
            DocumentRefusal::BookingUnknown => {
                self.tell("document/declined", format!("{which} was declined: {why}.")).await
            }
            DocumentRefusal::WrongHash
            | DocumentRefusal::WrongSize
            | DocumentRefusal::Empty
            | DocumentRefusal::TooLarge
            | DocumentRefusal::Unreadable
            | DocumentRefusal::Unverifiable
            | DocumentRefusal::FormatNotTaken
            | DocumentRefusal::BookingFellThrough
            | DocumentRefusal::OtherPatient
            | DocumentRefusal::NoPatient
            | DocumentRefusal::NowhereToFile
            | DocumentRefusal::NotThere => {
                let text = format!("{which} was declined: {why}. If you need it, ask the patient for it.");
                self.tell("look/document", text).await
            }
        }
    }

    /// Answers what documents there are, hands over what is wanted, and tells of new ones.
    async fn give_out(&self, desk: &dyn DocumentDesk, source: &dyn DocumentSource) -> Result<(), Stop> {
        let mut asked: BTreeSet<ForeignBookingId> =
            desk.asked().await.map_err(of_desk)?.into_iter().map(|asked| asked.booking).collect();
        asked.retain(|booking| !self.answered_lately(format!("available/{booking}")));
        let mut told = Vec::new();
        for booking in asked {
            let inserted = match self.standing(&booking).await? {
                Standing::Known(inserted) => inserted,
                Standing::Unknown if !self.is_unknown_for_good(&booking) => {
                    self.memory(|memory| memory.answered.remove(&format!("available/{booking}")));
                    continue;
                }
                Standing::OnItsWay => {
                    self.memory(|memory| memory.answered.remove(&format!("available/{booking}")));
                    continue;
                }
                // There is no other way to say that there is nothing.
                Standing::Unknown | Standing::Closed | Standing::FellThrough => {
                    told.push((booking, Vec::new()));
                    continue;
                }
            };
            match source.documents(&inserted.appointment, &inserted.patient).await {
                Ok(documents) => {
                    self.works(Way::Outward);
                    told.push((booking, documents));
                }
                Err(error) => {
                    self.memory(|memory| memory.answered.remove(&format!("available/{booking}")));
                    return self.waits_for(Way::Outward, source.title(), &error).await;
                }
            }
        }
        if !told.is_empty() {
            self.announce(desk, &told).await?;
        }
        let mut first_failure = None;
        for wanted in desk.wanted().await.map_err(of_desk)? {
            let ended = self.hand_over(desk, source, &wanted).await;
            note_failure(&mut first_failure, ended)?;
        }
        note_failure(&mut first_failure, self.tell_of_new(desk, source).await)?;
        first_failure.map_or(Ok(()), Err)
    }

    async fn announce(
        &self,
        desk: &dyn DocumentDesk,
        told: &[(ForeignBookingId, Vec<PracticeDocument>)],
    ) -> Result<(), Stop> {
        let list: Vec<(ForeignBookingId, PracticeDocument)> = told
            .iter()
            .flat_map(|(booking, documents)| documents.iter().map(|one| (booking.clone(), one.clone())))
            .collect();
        settled(desk.announce(&list).await)?;
        let at = self.now();
        let marks: Vec<Mark> = told
            .iter()
            .map(|(booking, documents)| Mark {
                thing: format!("{ANNOUNCED}{booking}"),
                digest: digest(documents),
                at,
            })
            .collect();
        Ok(self.ports.store.set_marks(self.ports.id(), &marks).await?)
    }

    async fn hand_over(
        &self,
        desk: &dyn DocumentDesk,
        source: &dyn DocumentSource,
        wanted: &DocumentsAsked,
    ) -> Result<(), Stop> {
        let DocumentsAsked { booking, document: Some(document) } = wanted else { return Ok(()) };
        let what = format!("upload/{booking}/{document}");
        if self.answered_lately(what.clone()) {
            return Ok(());
        }
        let no = |why| desk.not_uploaded(booking, document, why);
        let inserted = match self.standing(booking).await? {
            Standing::Known(inserted) => inserted,
            Standing::Unknown if self.is_unknown_for_good(booking) => {
                return settled(no(DocumentRefusal::BookingUnknown).await);
            }
            Standing::FellThrough | Standing::Closed => return settled(no(DocumentRefusal::NotThere).await),
            Standing::Unknown | Standing::OnItsWay => {
                self.memory(|memory| memory.answered.remove(&what));
                return Ok(());
            }
        };
        let Inserted { appointment, patient } = &inserted;
        let listed = source.documents(appointment, patient).await;
        let found = match listed.map(|all| all.into_iter().find(|one| one.id == *document)) {
            Ok(Some(found)) if found.size > LARGEST_BYTES => {
                return settled(no(DocumentRefusal::TooLarge).await);
            }
            Ok(Some(found)) => source
                .content(appointment, patient, document)
                .await
                .map(|content| content.map(|content| (found, content))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let answer = match found {
            Ok(Some((found, content))) => desk.upload(booking, &found, &content).await,
            Ok(None) => no(DocumentRefusal::NotThere).await,
            Err(error) => {
                self.memory(|memory| memory.answered.remove(&what));
                return self.waits_for(Way::Outward, source.title(), &error).await;
            }
        };
        let ended = settled(answer);
        if ended.is_err() {
            self.memory(|memory| memory.answered.remove(&what));
        }
        ended
    }

    /// Looks for documents that the practice laid out since, and tells of them unasked.
    async fn tell_of_new(&self, desk: &dyn DocumentDesk, source: &dyn DocumentSource) -> Result<(), Stop> {
        let now = self.now();
        let looked = self.memory(|memory| memory.looked_for_news_at);
        if looked.is_some_and(|at| (TimeDelta::zero()..LOOK_FOR_NEWS_EVERY).contains(&(now - at))) {
            return Ok(());
        }
        let store = &self.ports.store;
        let marks = store.marks(self.ports.id(), ANNOUNCED).await?;
        let known: BTreeMap<&str, &str> =
            marks.iter().map(|mark| (mark.thing.as_str(), mark.digest.as_str())).collect();
        let mut news = Vec::new();
        for entry in store.newest(Some(self.ports.id()), NEWEST).await? {
            let BookingState::Confirmed(Inserted { appointment, patient }) = &entry.state else { continue };
            let booking = &entry.request.key.booking;
            match source.documents(appointment, patient).await {
                Ok(documents) => {
                    self.works(Way::Outward);
                    let before = known.get(format!("{ANNOUNCED}{booking}").as_str()).copied();
                    if before.unwrap_or_default() != digest(&documents) {
                        news.push((booking.clone(), documents));
                    }
                }
                Err(error) => {
                    return self.waits_for(Way::Outward, source.title(), &error).await;
                }
            }
        }
        if !news.is_empty() {
            tracing::info!(practice.id = %self.ports.id(), bookings = news.len(), "There are new documents for patients.");
            self.announce(desk, &news).await?;
        }
        self.memory(|memory| memory.looked_for_news_at = Some(now));
        Ok(())
    }

    async fn tell(&self, kind: &str, text: String) -> Result<(), Stop> {
        let line = ActivityLine { at: self.now(), began_at: None, kind: kind.into(), text };
        self.ports.store.tell(self.ports.id(), &line).await?;
        Ok(self.ports.ledger_moved().await?)
    }

    fn memory<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn of_desk(error: ReadError) -> Stop {
    Stop::Failed(Leg::Desk, error)
}

/// Keeps the first failure, so that what is behind it is tried too; ends the pass where trying would be in vain.
pub(super) fn note_failure(first: &mut Option<Stop>, ended: Result<(), Stop>) -> Result<(), Stop> {
    match ended {
        // Somebody else moved it in the same moment; the next look starts from there.
        Ok(()) | Err(Stop::Store(StoreError::Stale)) => Ok(()),
        Err(stop) if stop.holds_for_all() => Err(stop),
        Err(stop) => {
            first.get_or_insert(stop);
            Ok(())
        }
    }
}

/// What the partner does not know any more is settled, and what it calls wrong would be wrong again.
fn settled(answer: Result<(), WriteError>) -> Result<(), Stop> {
    match answer {
        Ok(()) => Ok(()),
        Err(WriteError::Refused(Refusal::UnknownToPartner)) => Ok(()),
        Err(WriteError::Refused(why)) => {
            tracing::warn!("An answer about a document was refused: {why}.");
            Ok(())
        }
        Err(WriteError::Untouched(ReadError::Invalid(why))) => {
            tracing::warn!("An answer about a document was refused: {why}.");
            Ok(())
        }
        Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => Err(of_desk(error)),
    }
}

/// Differs whenever the list of documents does; nothing for none. Holds no name.
fn digest(documents: &[PracticeDocument]) -> String {
    use sha2::{Digest, Sha256};
    if documents.is_empty() {
        return String::new();
    }
    let mut digest = Sha256::new();
    for document in documents {
        digest.update(format!("{} {} {}\n", document.id, document.size, document.changed_at));
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
