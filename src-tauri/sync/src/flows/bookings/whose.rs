//! Whose a booking is, beyond what the records say: what was settled earlier for the same person, a record that is just
//! being made for them, and a patient that somebody corrects.

use super::{Bookings, Next, Stop};
use domain::booking::{BookingEvent, BookingKey, BookingRequest, BookingState, Entry, Held};
use domain::documents::DocumentState;
use domain::failure::{ReadError, Refusal};
use domain::ids::PatientRef;
use domain::matching::{self, Decision, Settled};
use domain::people::{PatientPlan, PatientRecord};
use domain::ports::store::{SettledPerson, StoreError};

impl Bookings {
    /// The decision that an earlier one makes for the same person's next booking; none where nothing was settled, or
    /// the record is gone or of somebody who died.
    pub(super) async fn settled_earlier(
        &self,
        request: &BookingRequest,
    ) -> Result<Result<Option<Decision>, ReadError>, StoreError> {
        let settled = self.settled_for(request).await?;
        let made = record_made(&settled);
        let said = settled.iter().find(|settled| settled.how == Settled::ByPerson);
        let Some(counts) = said.or(made) else { return Ok(Ok(None)) };
        // Somebody said that a new record is to be made: that is the one.
        let patient = counts.patient.as_ref().or_else(|| made?.patient.as_ref());
        let Some(patient) = patient else { return Ok(Ok(None)) };
        let record = match self.ports.practice.patient(patient).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        let day = self.ports.settings.zone.today(counts.at);
        Ok(Ok(matching::as_settled(&request.patient, &record, counts.how, day)))
    }

    async fn settled_for(&self, request: &BookingRequest) -> Result<Vec<SettledPerson>, StoreError> {
        match matching::identity(&request.patient) {
            Some(person) => self.ports.store.settled(self.ports.id(), &person).await,
            None => Ok(Vec::new()),
        }
    }

    /// Takes a held booking further where somebody has settled meanwhile, for another booking, who the person is.
    pub(super) async fn take_over_what_was_settled(&self, entry: Entry) -> Result<Entry, Stop> {
        let BookingState::Held(_) = &entry.state else { return Ok(entry) };
        // A practice that cannot be asked now is asked again with the next pass.
        let Ok(Some(decision)) = self.settled_earlier(&entry.request).await? else { return Ok(entry) };
        let decided = BookingEvent::PatientDecided(decision.plan.clone());
        self.record(&entry, &decided, Some(&decision)).await
    }

    /// Whether another booking of the same person is about to make a record, or may have made one. Then this one waits,
    /// because two records would be made of one person.
    pub(super) async fn is_record_being_made(&self, entry: &Entry) -> Result<bool, StoreError> {
        let Some(person) = matching::identity(&entry.request.patient) else { return Ok(false) };
        let key = &entry.request.key;
        let naming = matches!(entry.state, BookingState::Naming { .. });
        // Of two that are named at the same time, one has to go first.
        let makes = |other: &Entry| {
            let inserts =
                matches!(other.state, BookingState::Inserting { plan: PatientPlan::New { .. }, .. });
            let names = matches!(other.state, BookingState::Naming { plan: PatientPlan::New { .. }, .. });
            inserts || names && (!naming || other.request.key < *key)
        };
        let unfinished = self.ports.store.unfinished(self.ports.id()).await?;
        Ok(unfinished.iter().any(|other| {
            other.request.key != *key
                && makes(other)
                && matching::identity(&other.request.patient).as_ref() == Some(&person)
        }))
    }

    /// `plan`, or where it asks for a new record and one was made for this person already, that one.
    pub(super) async fn with_one_record_each(
        &self,
        entry: &Entry,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
    ) -> Result<Result<PatientPlan, ReadError>, StoreError> {
        let PatientPlan::New { .. } = plan else { return Ok(Ok(plan.clone())) };
        let settled = self.settled_for(&entry.request).await?;
        let made = record_made(&settled).and_then(|made| made.patient.as_ref());
        let Some(made) = made.filter(|made| Some(*made) != instead_of) else { return Ok(Ok(plan.clone())) };
        Ok(self.ports.practice.patient(made).await.map(|record| {
            match record.filter(PatientRecord::can_be_meant) {
                Some(record) => PatientPlan::Existing(record.id),
                None => plan.clone(),
            }
        }))
    }

    /// Remembers the record that a booking made, before the booking is recorded as standing there.
    pub(super) async fn remember_record_made(
        &self,
        entry: &Entry,
        event: &BookingEvent,
    ) -> Result<(), StoreError> {
        let BookingEvent::FoundInPractice(Held { patient: Some(patient), .. }) = event else { return Ok(()) };
        let (BookingState::Inserting { plan: PatientPlan::New { .. }, .. }
        | BookingState::Naming { plan: PatientPlan::New { .. }, .. }) = &entry.state
        else {
            return Ok(());
        };
        let Some(person) = matching::identity(&entry.request.patient) else { return Ok(()) };
        let now = self.ports.clock.now();
        self.ports.store.settle(self.ports.id(), &person, Settled::ByRecordMade, Some(patient), now).await
    }

    /// A record that was made for bookings, and that no booking has any more, is not deleted: somebody may have written
    /// in it. The desk is told which one.
    pub(super) async fn tell_of_unused_record(
        &self,
        key: &BookingKey,
        former: &PatientRef,
        held: &Held,
    ) -> Result<(), StoreError> {
        if held.patient.as_ref() == Some(former) || !self.ports.store.is_made_and_unused(key, former).await? {
            return Ok(());
        }
        let text = format!(
            "Patient {former} was made for booking {}, which belongs to somebody else. If nothing else is in that record, please remove it, or merge it, in your practice system.",
            key.booking
        );
        self.tell("look/unused-record", text).await
    }

    /// Documents that went to the practice system for the wrong patient lie in the wrong record, and only staff can
    /// move them.
    pub(super) async fn tell_of_documents(
        &self,
        key: &BookingKey,
        former: &PatientRef,
        held: &Held,
    ) -> Result<(), StoreError> {
        let Some(patient) = held.patient.as_ref().filter(|patient| *patient != former) else { return Ok(()) };
        let documents = self.ports.store.documents_of_bookings(&key.practice).await?;
        let handed_over = documents.iter().filter(|document| {
            let state = &document.state;
            let may_be_there =
                matches!(state, DocumentState::Filing(_) | DocumentState::Filed(_) | DocumentState::Told(_));
            document.offer.booking.as_ref() == Some(&key.booking) && may_be_there && !document.kept
        });
        let which = match handed_over.count() {
            0 => return Ok(()),
            1 => "A document".to_owned(),
            count => format!("{count} documents"),
        };
        let text = format!(
            "{which} of booking {} went to your practice system for patient {former}, before somebody corrected the patient. Please move what came in to patient {patient}.",
            key.booking
        );
        self.tell("look/document", text).await
    }

    /// The patient of a confirmed booking could not be changed, and somebody waits for it.
    pub(super) async fn patient_stays(&self, entry: &Entry, why: Refusal) -> Result<Next, StoreError> {
        let text = format!(
            "The patient of booking {} was not changed: {why}. Please look at it in your practice system.",
            entry.request.key.booking
        );
        self.tell("look/patient", text).await?;
        Ok(Next::of(entry.clone(), BookingEvent::PatientStays(why)))
    }
}

fn record_made(settled: &[SettledPerson]) -> Option<&SettledPerson> {
    settled.iter().find(|settled| settled.how == Settled::ByRecordMade)
}
