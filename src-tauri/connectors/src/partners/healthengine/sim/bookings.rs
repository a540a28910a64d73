//! Bookings and their changes: what patients do, and what the practice system answers (contract sheet §4.2).

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::availability::DEFAULT_SLOT_SECONDS;
use super::availability::FreeTime;
use super::patient::PatientDetails;
use super::routes::{Answer, Operation, Refused, no_such_operation, not_found, number};
use super::rules;
use super::state::{Consent, DeskRefusal, Practice, PracticeRecord, SimState, wire_time};

/// A rejection this soon after creation lets the patient choose another time (contract sheet §6).
pub const REPICK_WINDOW: TimeDelta = TimeDelta::seconds(20);

/// Where a booking stands, in the service's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingStatus {
    /// Waits for the practice system.
    Requested,
    /// Confirmed, or presumed so.
    Confirmed,
    /// By the patient, by the practice, or rejected in time.
    Cancelled,
}

impl BookingStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Confirmed => "Confirmed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What the practice system said about a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BookingAnswerKind {
    /// confirmInsert.
    Confirmed,
    /// rejectInsert within 20 s: the time is free again and the patient chooses another.
    Rejected,
    /// rejectInsert later than that: the patient believes in the booking, staff must ring.
    RejectedTooLate,
    /// cancel.
    CancelledByPractice,
    /// didNotAttend.
    DidNotAttend,
    /// noPmsAppointmentChange.
    NoChange,
}

/// One such answer, with its body as received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingAnswer {
    /// What was said.
    pub kind: BookingAnswerKind,
    /// When, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// The body; null where there was none.
    pub body: Value,
}

impl BookingAnswer {
    /// The reason given, if there was one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.body.get("reason").and_then(Value::as_str)
    }
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimBooking {
    /// Its number.
    pub booking_id: i64,
    /// When the patient booked, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// Where it stands.
    pub status: BookingStatus,
    /// The item of `/requests/bookings` as it was created; status and links are laid over it when served.
    pub body: Value,
    /// Put in as raw JSON, and served exactly so.
    pub forced: bool,
    /// The resource and the practice-local start and length (seconds), for bookings made from free time.
    pub place: Option<BookedPlace>,
    /// While true the time is not offered to anyone, whatever the last snapshot says.
    pub hides_time: bool,
    /// Everything that the practice system said about it, in order.
    pub answers: Vec<BookingAnswer>,
    /// When it was first confirmed or rejected.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it was first confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// From the last confirmation.
    pub pms_appointment_ids: Vec<String>,
    /// From the last confirmation.
    pub pms_patient_id: Option<String>,
}

/// The free time that a booking took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookedPlace {
    /// The resource.
    pub resource_id: String,
    /// Practice-local start.
    pub start: NaiveDateTime,
    /// Seconds.
    pub length_seconds: i64,
}

impl SimBooking {
    pub(super) fn overlaps(&self, resource_id: &str, start: NaiveDateTime, end: NaiveDateTime) -> bool {
        self.hides_time
            && self.place.as_ref().is_some_and(|place| {
                place.resource_id == resource_id
                    && place.start < end
                    && start < place.start + TimeDelta::seconds(place.length_seconds)
            })
    }

    /// The bodies of all answers of one kind, in order.
    pub fn answers_of(&self, kind: BookingAnswerKind) -> impl Iterator<Item = &BookingAnswer> {
        self.answers.iter().filter(move |answer| answer.kind == kind)
    }

    /// Whether the practice has said that the patient did not come.
    #[must_use]
    pub fn did_not_attend(&self) -> bool {
        self.answers_of(BookingAnswerKind::DidNotAttend).next().is_some()
    }

    /// What the patient is shown at `now`: after 20 s without an answer, a booking counts as accepted.
    #[must_use]
    pub fn patient_sees(&self, now: DateTime<Utc>) -> &'static str {
        match self.status {
            BookingStatus::Requested | BookingStatus::Confirmed if self.did_not_attend() => "Did not attend",
            BookingStatus::Requested if now - self.created_at > REPICK_WINDOW => "Presumed confirmed",
            BookingStatus::Requested => "Waiting for the practice",
            BookingStatus::Confirmed if self.confirmed_at.is_none() => "Presumed confirmed",
            BookingStatus::Confirmed => "Confirmed",
            BookingStatus::Cancelled if self.answers_of(BookingAnswerKind::Rejected).next().is_some() => {
                "Choose another time"
            }
            BookingStatus::Cancelled => "Cancelled",
        }
    }
}

/// A change of a booking that waits for the practice system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimBookingUpdate {
    /// Rises in the order of creation, over all practices.
    pub request_id: i64,
    /// The booking; with a forced update, one that may not exist.
    pub booking_id: i64,
    /// When, by the simulator's clock.
    pub created_at: DateTime<Utc>,
    /// The item as it was created.
    pub body: Value,
    /// When it was confirmed or rejected.
    pub answered_at: Option<DateTime<Utc>>,
    /// True when it was confirmed, false when rejected.
    pub confirmed: Option<bool>,
}

/// Why a patient could not book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookRefusal {
    /// No such practice.
    #[error("there is no practice {0}")]
    UnknownPractice(String),
    /// The practice is not on Healthengine at present.
    #[error("the practice has not given its consent")]
    NoConsent,
    /// Nothing is published there, somebody was faster, or it has passed.
    #[error("{start} with {resource_id} is not free for this kind of appointment")]
    NotFree {
        /// The resource.
        resource_id: String,
        /// Practice-local.
        start: NaiveDateTime,
    },
}

impl PracticeRecord {
    /// The fields by which a request names a booking and what it became in the practice system.
    pub fn booking_links(&self, booking_id: i64) -> Value {
        let booking = self.bookings.get(&booking_id);
        json!({
            "bookingId": booking_id,
            "pmsAppointmentIds":
                booking.map(|booking| booking.pms_appointment_ids.as_slice()).unwrap_or_default(),
            "pmsPatientId": booking.and_then(|booking| booking.pms_patient_id.as_deref()),
        })
    }

    /// A booking as `/requests/bookings` shows it.
    pub fn booking_item(&self, booking: &SimBooking) -> Value {
        let mut item = booking.body.clone();
        let Some(fields) = item.as_object_mut() else { return item };
        if booking.status == BookingStatus::Cancelled || !booking.forced {
            fields.insert("bookingStatus".to_owned(), json!(booking.status.as_str()));
        }
        if booking.forced {
            return item;
        }
        for (field, known) in [
            ("pmsResourceId", Self::knows_resource as fn(&Self, &str) -> bool),
            ("pmsAppointmentTypeId", Self::knows_appointment_type),
        ] {
            let gone = fields.get(field).and_then(Value::as_str).is_some_and(|id| !known(self, id));
            if gone {
                fields.insert(field.to_owned(), Value::Null);
            }
        }
        item
    }
}

impl SimState {
    // ---- what patients and Healthengine do ----

    /// A patient books a published free time. It is taken off the simulator's own view at once.
    ///
    /// # Errors
    /// [`BookRefusal`] when the time is not on offer.
    pub(super) fn book(
        &mut self,
        practice_id: &str,
        resource_id: &str,
        start: NaiveDateTime,
        appointment_type_id: Option<&str>,
        patient: &PatientDetails,
        now: DateTime<Utc>,
    ) -> Result<i64, BookRefusal> {
        let practice = self
            .practices
            .get_mut(practice_id)
            .ok_or_else(|| BookRefusal::UnknownPractice(practice_id.to_owned()))?;
        if practice.record.consent != Consent::Granted {
            return Err(BookRefusal::NoConsent);
        }
        let own_length = appointment_type_id.and_then(|wanted| {
            practice.record.types_of(resource_id).find(|(id, _)| *id == wanted).and_then(|(_, length)| length)
        });
        let offered: Vec<FreeTime> = practice
            .free_times(resource_id, start.date(), now)
            .into_iter()
            .filter(|time| time.start == start)
            .filter(|time| appointment_type_id.is_none_or(|id| time.appointment_type_ids.contains(id)))
            .collect();
        // Where several lengths begin at the same time, the one that is the type's own is meant.
        let chosen = offered
            .iter()
            .find(|time| Some(time.length_seconds) == own_length)
            .or_else(|| offered.first())
            .ok_or_else(|| BookRefusal::NotFree { resource_id: resource_id.to_owned(), start })?;
        let mut body = json!({
            "pmsResourceId": resource_id,
            "pmsAppointmentTypeId": appointment_type_id,
            "pmsAppointmentIds": [],
            "pmsPatientId": patient.pms_patient_id,
            "bookedTime": wire_time(now),
            "bookingStatus": BookingStatus::Requested.as_str(),
            "pmsAppointmentTime": start.format("%Y-%m-%d %H:%M:%S").to_string(),
            "pmsAppointmentLength": chosen.length_seconds,
            "reason": patient.reason,
            "comments": appointment_type_id.and_then(|id| practice.record.type_name(id)).unwrap_or_default(),
            "patient": patient.as_json(),
            "isNewPatient": patient.is_new_patient,
        });
        if let (Some(url), Some(fields)) = (&patient.telehealth_url, body.as_object_mut()) {
            fields.insert("telehealthUrl".to_owned(), json!(url));
        }
        let place =
            BookedPlace { resource_id: resource_id.to_owned(), start, length_seconds: chosen.length_seconds };
        Ok(self.create_booking(practice_id, body, Some(place), now))
    }

    /// Puts a booking in whose fields are the ordinary ones with `fields` laid over them (the `patient`
    /// object field by field), and which is served exactly so, whatever it says.
    pub(super) fn force_book(
        &mut self,
        practice_id: &str,
        fields: &Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        let mut body = json!({
            "pmsResourceId": null,
            "pmsAppointmentTypeId": null,
            "pmsAppointmentIds": [],
            "pmsPatientId": null,
            "bookedTime": wire_time(now),
            "bookingStatus": BookingStatus::Requested.as_str(),
            "pmsAppointmentTime": wire_time(now + TimeDelta::days(1)),
            "pmsAppointmentLength": DEFAULT_SLOT_SECONDS,
            "reason": "",
            "comments": "",
            "patient": PatientDetails::default().as_json(),
            "isNewPatient": true,
        });
        lay_over(&mut body, fields);
        Ok(self.create_booking(practice_id, body, None, now))
    }

    /// Puts a booking in that has these fields and no others, apart from its number.
    pub(super) fn force_book_exactly(
        &mut self,
        practice_id: &str,
        body: Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        Ok(self.create_booking(practice_id, body, None, now))
    }

    fn create_booking(
        &mut self,
        practice_id: &str,
        mut body: Value,
        place: Option<BookedPlace>,
        now: DateTime<Utc>,
    ) -> i64 {
        let booking_id = body.get("bookingId").and_then(Value::as_i64).unwrap_or(self.last_booking_id + 1);
        self.last_booking_id = self.last_booking_id.max(booking_id);
        if let Some(fields) = body.as_object_mut() {
            fields.entry("bookingId").or_insert_with(|| json!(booking_id));
        }
        let booking = SimBooking {
            booking_id,
            created_at: now,
            status: BookingStatus::Requested,
            body,
            forced: place.is_none(),
            hides_time: place.is_some(),
            place,
            answers: Vec::new(),
            answered_at: None,
            confirmed_at: None,
            pms_appointment_ids: Vec::new(),
            pms_patient_id: None,
        };
        if let Some(practice) = self.practices.get_mut(practice_id) {
            practice.record.bookings.insert(booking_id, booking);
        }
        self.announce(practice_id, "bookings", Some(booking_id), None, now);
        booking_id
    }

    /// The patient cancels: the booking is Cancelled, and a booking update waits for the practice system.
    /// The time stays hidden until the next snapshot of that day, since only the practice knows its book.
    pub(super) fn cancel_by_patient(
        &mut self,
        practice_id: &str,
        booking_id: i64,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        let practice = self.practice_mut(practice_id)?;
        let booking =
            practice.record.bookings.get_mut(&booking_id).ok_or(DeskRefusal::UnknownBooking(booking_id))?;
        if booking.status == BookingStatus::Cancelled {
            return Err(DeskRefusal::AlreadyCancelled(booking_id));
        }
        booking.status = BookingStatus::Cancelled;
        let body = json!({
            "bookingId": booking_id,
            "pmsAppointmentIds": booking.pms_appointment_ids,
            "pmsPatientId": booking.pms_patient_id,
            "updatedAt": wire_time(now),
            "bookingStatus": BookingStatus::Cancelled.as_str(),
        });
        self.force_update(practice_id, body, now)
    }

    /// Puts a booking update in as raw JSON; its `bookingId` may name a booking that does not exist.
    pub(super) fn force_update(
        &mut self,
        practice_id: &str,
        mut body: Value,
        now: DateTime<Utc>,
    ) -> Result<i64, DeskRefusal> {
        self.practice_mut(practice_id)?;
        self.last_request_id += 1;
        let request_id = self.last_request_id;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("requestId".to_owned(), json!(request_id));
        }
        let booking_id = body.get("bookingId").and_then(Value::as_i64).unwrap_or_default();
        let update = SimBookingUpdate {
            request_id,
            booking_id,
            created_at: now,
            body,
            answered_at: None,
            confirmed: None,
        };
        self.practice_mut(practice_id)?.record.updates.insert(request_id, update);
        self.announce(practice_id, "bookingUpdates", Some(booking_id), Some(request_id), now);
        Ok(request_id)
    }

    /// Healthengine asks whether anything happened to a booking's appointment; the number may name none.
    pub(super) fn ask_changes(
        &mut self,
        practice_id: &str,
        booking_id: i64,
        now: DateTime<Utc>,
    ) -> Result<(), DeskRefusal> {
        self.practice_mut(practice_id)?.record.change_requests.insert(booking_id, now);
        Ok(())
    }

    // ---- inspection ----

    /// A booking, in whichever practice it is.
    #[must_use]
    pub fn booking(&self, booking_id: i64) -> Option<&SimBooking> {
        self.practices.values().find_map(|practice| practice.record.bookings.get(&booking_id))
    }

    /// A practice's bookings, oldest number first.
    pub fn bookings(&self, practice_id: &str) -> impl Iterator<Item = &SimBooking> {
        self.practices.get(practice_id).into_iter().flat_map(|practice| practice.record.bookings.values())
    }

    /// Every confirmInsert that took effect for a booking, in order. Exactly one appointment means that all
    /// of them name the same ids.
    #[must_use]
    pub fn confirmations_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        self.answers_of(booking_id, BookingAnswerKind::Confirmed)
    }

    /// Every cancel that the practice sent for a booking, asked or not, in order.
    #[must_use]
    pub fn cancellations_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        self.answers_of(booking_id, BookingAnswerKind::CancelledByPractice)
    }

    /// Every didNotAttend that the practice sent for a booking, asked or not, in order.
    #[must_use]
    pub fn non_attendances_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        self.answers_of(booking_id, BookingAnswerKind::DidNotAttend)
    }

    /// Every noPmsAppointmentChange that the practice sent for a booking, in order.
    #[must_use]
    pub fn unchanged_answers_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        self.answers_of(booking_id, BookingAnswerKind::NoChange)
    }

    /// Every rejectInsert that took effect for a booking, in time or too late, in order.
    #[must_use]
    pub fn rejections_of(&self, booking_id: i64) -> Vec<&BookingAnswer> {
        let is_rejection = |answer: &&BookingAnswer| {
            matches!(answer.kind, BookingAnswerKind::Rejected | BookingAnswerKind::RejectedTooLate)
        };
        self.booking(booking_id)
            .map(|booking| booking.answers.iter().filter(is_rejection).collect())
            .unwrap_or_default()
    }

    fn answers_of(&self, booking_id: i64, kind: BookingAnswerKind) -> Vec<&BookingAnswer> {
        self.booking(booking_id).map(|booking| booking.answers_of(kind).collect()).unwrap_or_default()
    }

    /// What was answered about bookings that Healthengine asked about without having them: number and answer.
    #[must_use]
    pub fn answers_about_unknown(&self, practice_id: &str) -> &[(i64, BookingAnswer)] {
        self.practices
            .get(practice_id)
            .map(|practice| practice.answers_about_unknown.as_slice())
            .unwrap_or_default()
    }

    /// The bookings that Healthengine waits to hear about, each with when it asked.
    pub fn changes_asked(&self, practice_id: &str) -> impl Iterator<Item = (i64, DateTime<Utc>)> {
        let practice = self.practices.get(practice_id);
        practice.into_iter().flat_map(|practice| {
            practice.record.change_requests.iter().map(|(booking_id, asked_at)| (*booking_id, *asked_at))
        })
    }

    /// A practice's booking updates, in the order of their request ids.
    pub fn updates(&self, practice_id: &str) -> impl Iterator<Item = &SimBookingUpdate> {
        self.practices.get(practice_id).into_iter().flat_map(|practice| practice.record.updates.values())
    }
}

pub fn booking_action(
    practice: &mut Practice,
    id: &str,
    action: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let known_action = matches!(
        action,
        "confirmInsert" | "rejectInsert" | "cancel" | "didNotAttend" | "noPmsAppointmentChange"
    );
    if !known_action {
        return Err(no_such_operation(operation.method, operation.path));
    }
    let id = number(id)?;
    let record = &mut practice.record;
    // An answer that was lost on its way back is repeated, although the request is settled by then.
    let asked_about = record.change_requests.contains_key(&id) || record.changes_told.contains(&id);
    let settles_change_request = matches!(action, "cancel" | "didNotAttend" | "noPmsAppointmentChange");
    // A request may name a booking that is not there; answering it must still be possible.
    let answerable = record.bookings.contains_key(&id) || (asked_about && settles_change_request);
    if !answerable {
        return Err(not_found(format!("there is no booking {id}")));
    }
    let body = if action == "noPmsAppointmentChange" {
        operation.no_body()?;
        if !asked_about {
            return Err(Refused::from(format!("booking {id} was not asked about")));
        }
        Value::Null
    } else {
        operation.json_body()?
    };
    let confirmation = if action == "confirmInsert" { Some(rules::confirmation(&body)?) } else { None };
    if confirmation.is_none() && !body.is_null() {
        rules::reason(&body)?;
    }
    if settles_change_request && record.change_requests.remove(&id).is_some() {
        record.changes_told.insert(id);
    }
    let Some(booking) = record.bookings.get_mut(&id) else {
        let kind = match action {
            "cancel" => BookingAnswerKind::CancelledByPractice,
            "didNotAttend" => BookingAnswerKind::DidNotAttend,
            _ => BookingAnswerKind::NoChange,
        };
        practice.answers_about_unknown.push((id, BookingAnswer { kind, at: now, body }));
        return Ok(Answer::done());
    };
    let rejected_in_time = booking.answers_of(BookingAnswerKind::Rejected).next().is_some();
    let kind = match action {
        "confirmInsert" if rejected_in_time => {
            return Err(Refused::from(format!("booking {id} has been rejected")));
        }
        "confirmInsert" => BookingAnswerKind::Confirmed,
        "rejectInsert" if booking.confirmed_at.is_some() => {
            return Err(Refused::from(format!("booking {id} is confirmed; it can only be cancelled")));
        }
        // A repeated rejection is the same rejection, however late it is.
        "rejectInsert" if rejected_in_time || now - booking.created_at <= REPICK_WINDOW => {
            BookingAnswerKind::Rejected
        }
        "rejectInsert" => BookingAnswerKind::RejectedTooLate,
        "cancel" => BookingAnswerKind::CancelledByPractice,
        "didNotAttend" => BookingAnswerKind::DidNotAttend,
        _ => BookingAnswerKind::NoChange,
    };
    match kind {
        BookingAnswerKind::Confirmed => {
            if let Some((ids, patient)) = confirmation {
                booking.pms_appointment_ids = ids;
                booking.pms_patient_id = Some(patient);
            }
            booking.confirmed_at.get_or_insert(now);
            booking.answered_at.get_or_insert(now);
            if booking.status == BookingStatus::Requested {
                booking.status = BookingStatus::Confirmed;
            }
        }
        BookingAnswerKind::Rejected => {
            booking.answered_at.get_or_insert(now);
            booking.status = BookingStatus::Cancelled;
            booking.hides_time = false;
        }
        BookingAnswerKind::RejectedTooLate => {
            booking.answered_at.get_or_insert(now);
            if booking.status == BookingStatus::Requested {
                booking.status = BookingStatus::Confirmed;
            }
        }
        BookingAnswerKind::CancelledByPractice => booking.status = BookingStatus::Cancelled,
        BookingAnswerKind::DidNotAttend | BookingAnswerKind::NoChange => {}
    }
    booking.answers.push(BookingAnswer { kind, at: now, body });
    Ok(Answer::done())
}

pub fn update_action(
    practice: &mut Practice,
    booking_id: &str,
    request_id: &str,
    action: &str,
    operation: &Operation<'_>,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let (booking_id, request_id) = (number(booking_id)?, number(request_id)?);
    let update = practice
        .record
        .updates
        .get_mut(&request_id)
        .filter(|update| update.booking_id == booking_id)
        .ok_or_else(|| not_found(format!("there is no request {request_id} for booking {booking_id}")))?;
    let confirmed = action == "confirmUpdate";
    if confirmed {
        operation.no_body()?;
    } else {
        rules::reason(&operation.json_body()?)?;
    }
    if update.confirmed.is_some_and(|before| before != confirmed) {
        return Err(Refused::from(format!("request {request_id} has been answered differently before")));
    }
    update.answered_at.get_or_insert(now);
    update.confirmed = Some(confirmed);
    Ok(Answer::done())
}

pub fn lay_over(body: &mut Value, fields: &Value) {
    let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) else { return };
    for (key, value) in fields {
        match (body.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(inner), Some(over)) => {
                inner.extend(
                    over.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>(),
                );
            }
            (_, _) => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
}
