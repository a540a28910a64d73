//! The bookings and their history.

use crate::columns::{Columns, Fault, Unreadable, WALL_CLOCK, all, first, json, time_text};
use crate::people::{CandidateJson, gender_name, phone_texts, read_gender};
use crate::state::{StateColumns, event_kind, may_come_from_a_person, plan_columns, read_plan, read_state};
use crate::thread::{Store, look_first_until};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use domain::booking::{
    BookingEvent, BookingKey, BookingRequest, BookingState, Entry, HistoryLine, Moved, Placement, Step,
};
use domain::ids::{AppointmentTypeRef, ForeignBookingId, PartnerId, PatientRef, PracticeId, ResourceRef};
use domain::matching::Decision;
use domain::people::{PatientPlan, PersonDetails};
use domain::ports::store::{BookingCounts, BookingLedger, StoreError};
use domain::private::Private;
use domain::time::{PracticeTime, Seconds};
use rusqlite::{Connection, Row, named_params};

/// A query for whole entries, and what follows `FROM booking`.
macro_rules! entries {
    ($tail:literal) => {
        concat!(
            "SELECT practice, partner, booking, resource, appointment_type, starts, length_seconds, linked_patient,
                    says_new_patient, booked_at, cancelled, first_name, last_name, birth_date, phones, email, street,
                    suburb, address_state, postcode, gender, medicare_number, medicare_irn, medicare_expiry, note,
                    state, tries, plan, plan_patient, appointment, patient, refusal, why, tell_patient, by_hand,
                    undoing, moved_resource, moved_starts,
                    decision_plan, decision_patient, decision_score, decision_reason, candidates,
                    placed_resource, placed_starts, placed_type, placed_beside, tell_place,
                    received_at, answered_at, state_since, not_before, revision
             FROM booking ",
            $tail
        )
    };
}

#[async_trait]
impl BookingLedger for Store {
    async fn file(&self, request: &BookingRequest, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let request = request.clone();
        self.write(move |tx| file(tx, &request, now)).await
    }

    async fn record(
        &self,
        entry: &Entry,
        event: &BookingEvent,
        decision: Option<&Decision>,
        now: DateTime<Utc>,
    ) -> Result<Entry, StoreError> {
        let (key, revision) = (entry.request.key.clone(), entry.revision);
        let (event, decision) = (event.clone(), decision.cloned());
        let from_a_person = may_come_from_a_person(&event);
        let moved = self.write(move |tx| record(tx, &key, revision, &event, decision.as_ref(), now)).await?;
        if from_a_person {
            self.announce();
        }
        Ok(moved)
    }

    async fn remark(&self, key: &BookingKey, what: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (key, what) = (key.clone(), what.to_owned());
        self.write(move |tx| append(tx, number(tx, &key)?, now, "remark", &what)).await
    }

    async fn postpone(&self, key: &BookingKey, until: DateTime<Utc>) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE booking SET not_before = ?1 WHERE id = ?2")?
                .execute((time_text(until), number(tx, &key)?))?;
            Ok(())
        })
        .await
    }

    async fn entry(&self, key: &BookingKey) -> Result<Option<Entry>, StoreError> {
        let key = key.clone();
        self.call(move |conn| entry(conn, &key)).await
    }

    async fn unfinished(&self, practice: &PracticeId) -> Result<Vec<Entry>, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            let sql = entries!("WHERE practice = ?1 AND finished_at IS NULL ORDER BY booked_at, id");
            all(conn, sql, [practice], read_entry)
        })
        .await
    }

    async fn standing(&self, practice: &PracticeId, from: PracticeTime) -> Result<Vec<Entry>, StoreError> {
        let (practice, from) = (practice.to_string(), from.0.format(WALL_CLOCK).to_string());
        self.call(move |conn| {
            let sql =
                entries!("WHERE practice = ?1 AND state = 'confirmed' AND max(starts, coalesce(placed_starts, starts)) >= ?2
                 ORDER BY starts, id");
            all(conn, sql, (practice, from), read_entry)
        })
        .await
    }

    async fn newest(&self, practice: Option<&PracticeId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let practice = practice.map(ToString::to_string);
        self.call(move |conn| match practice {
            Some(practice) => {
                let sql = entries!("WHERE practice = ?1 ORDER BY id DESC LIMIT ?2");
                all(conn, sql, (practice, limit), read_entry)
            }
            None => all(conn, entries!("ORDER BY id DESC LIMIT ?1"), [limit], read_entry),
        })
        .await
    }

    async fn history(&self, key: &BookingKey) -> Result<Vec<HistoryLine>, StoreError> {
        let key = key.clone();
        self.call(move |conn| {
            let sql = "SELECT at, sentence FROM booking_event WHERE booking_id = ?1 ORDER BY id";
            let booking = number(conn, &key)?;
            all(conn, sql, [booking], |row| {
                Ok(HistoryLine { at: row.time("at")?, what: row.text("sentence")? })
            })
        })
        .await
    }

    async fn counts(&self, practice: &PracticeId) -> Result<BookingCounts, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            let sql = "SELECT state, coalesce(tell_patient, by_hand, 0) AS by_person, count(*) AS bookings
                       FROM booking WHERE practice = ?1 GROUP BY 1, 2";
            let groups = all(conn, sql, [practice], |row| {
                Ok((row.text("state")?, row.value::<bool>("by_person")?, row.value::<u32>("bookings")?))
            })?;
            let mut counts = BookingCounts::default();
            for (state, by_person, bookings) in groups {
                *match (state.as_str(), by_person) {
                    ("confirmed" | "not_attended", _) => &mut counts.confirmed,
                    ("cancelled" | "ended", _) => &mut counts.cancelled,
                    ("rejected", false) | ("closed", _) => &mut counts.rejected,
                    ("received" | "inserting" | "naming" | "withdrawing" | "refused" | "inserted", _)
                    | ("undone", _)
                    | ("cancelling", false) => &mut counts.pending,
                    ("held" | "entering" | "unplaced" | "stuck", _) | ("rejected" | "cancelling", true) => {
                        &mut counts.attention
                    }
                    _ => return Err(Unreadable("state").into()),
                } += bookings;
            }
            Ok(counts)
        })
        .await
    }

    async fn forget_people(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let forgotten = self.write(move |tx| forget_people(tx, before)).await?;
        if forgotten > 0 {
            // The write-ahead log still holds the pages as they were. Another process that reads just now may keep it
            // from being emptied; then the next checkpoint does it.
            self.call(|conn| Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)).await?;
        }
        Ok(forgotten)
    }
}

impl Store {
    /// The practice's bookings that begin on this day of its calendar, whatever became of them, in the order of their
    /// times.
    pub async fn bookings_on(&self, practice: &PracticeId, day: NaiveDate) -> Result<Vec<Entry>, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            // The day's date is the beginning of every wall-clock time on it.
            // Where a person put it elsewhere, that is where it begins.
            let sql = entries!(
                "WHERE practice = ?1 AND substr(coalesce(placed_starts, starts), 1, 10) = ?2
                 ORDER BY coalesce(placed_starts, starts), id"
            );
            all(conn, sql, (practice, day.to_string()), read_entry)
        })
        .await
    }

    /// Every booking that the desk has to see, however old: those that are not finished, those about which a patient
    /// has to be told, also where the appointment stands elsewhere than they believe, and those whose new record may duplicate another one. Oldest first.
    pub async fn open_bookings(&self) -> Result<Vec<Entry>, StoreError> {
        self.call(|conn| {
            let sql = entries!(
                "WHERE finished_at IS NULL OR (state = 'rejected' AND tell_patient)
                    OR (state = 'confirmed' AND tell_place)
                    OR (state = 'confirmed' AND decision_plan = 'new' AND decision_patient IS NOT NULL)
                 ORDER BY id"
            );
            all(conn, sql, [], read_entry)
        })
        .await
    }
}

fn file(conn: &Connection, request: &BookingRequest, now: DateTime<Utc>) -> Result<bool, Fault> {
    let look_first = look_first_until(conn, now)?.is_some();
    let state = if look_first {
        BookingState::Inserting { tries: 0, plan: PatientPlan::Undecided }
    } else {
        BookingState::NEW
    };
    let BookingRequest { key, patient, .. } = request;
    let now_text = time_text(now);
    let added = conn
        .prepare_cached(
            "INSERT INTO booking (practice, partner, booking, resource, appointment_type, starts, length_seconds,
                 linked_patient, says_new_patient, booked_at, cancelled, first_name, last_name, birth_date, phones,
                 email, street, suburb, address_state, postcode, gender, medicare_number, medicare_irn,
                 medicare_expiry, note, state, received_at, state_since, not_before, revision)
             VALUES (:practice, :partner, :booking, :resource, :appointment_type, :starts, :length_seconds,
                 :linked_patient, :says_new_patient, :booked_at, :cancelled, :first_name, :last_name, :birth_date,
                 :phones, :email, :street, :suburb, :address_state, :postcode, :gender, :medicare_number,
                 :medicare_irn, :medicare_expiry, :note, 'received', :now, :now, :now, 0)
             ON CONFLICT (practice, partner, booking) DO NOTHING",
        )?
        .execute(named_params! {
            ":practice": key.practice.as_str(),
            ":partner": key.partner.as_str(),
            ":booking": key.booking.as_str(),
            ":resource": request.resource.as_ref().map(ResourceRef::as_str),
            ":appointment_type": request.appointment_type.as_ref().map(AppointmentTypeRef::as_str),
            ":starts": request.starts.0.format(WALL_CLOCK).to_string(),
            ":length_seconds": request.length.0,
            ":linked_patient": request.linked_patient.as_ref().map(PatientRef::as_str),
            ":says_new_patient": request.says_new_patient,
            ":booked_at": time_text(request.booked_at),
            ":cancelled": request.cancelled,
            ":first_name": patient.first_name.reveal(),
            ":last_name": patient.last_name.reveal(),
            ":birth_date": patient.birth_date.reveal().map(|date| date.to_string()),
            ":phones": json(&phone_texts(patient), "phones")?,
            ":email": patient.email.reveal(),
            ":street": patient.street.reveal(),
            ":suburb": patient.suburb.reveal(),
            ":address_state": patient.state.reveal(),
            ":postcode": patient.postcode.reveal(),
            ":gender": patient.gender.reveal().map(gender_name),
            ":medicare_number": patient.medicare_number.reveal(),
            ":medicare_irn": patient.medicare_irn.reveal(),
            ":medicare_expiry": patient.medicare_expiry.reveal(),
            ":note": request.note.reveal(),
            ":now": now_text,
        })?;
    if added == 0 {
        return Ok(false);
    }
    let booking = conn.last_insert_rowid();
    set_state(conn, booking, &state)?;
    append(conn, booking, now, "received", &format!("Received from {}.", capitalised(key.partner.as_str())))?;
    if look_first {
        let sentence = "Our records were lost and begun anew, so the book is searched for it first.";
        append(conn, booking, now, "look_first", sentence)?;
    }
    Ok(true)
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn record(
    conn: &Connection,
    key: &BookingKey,
    revision: u32,
    event: &BookingEvent,
    decision: Option<&Decision>,
    now: DateTime<Utc>,
) -> Result<Entry, Fault> {
    let current = entry(conn, key)?.ok_or(StoreError::Missing)?;
    if current.revision != revision {
        return Err(StoreError::Stale.into());
    }
    let Moved { state: next, placement, tell_place } = current.moved(event).map_err(StoreError::from)?;
    let booking = number(conn, key)?;
    if let Some(decision) = decision {
        set_decision(conn, booking, decision)?;
        append(conn, booking, now, "decision", &decision.reason)?;
    }
    append(conn, booking, now, event_kind(event), &event.sentence())?;
    set_state(conn, booking, &next)?;
    set_placement(conn, booking, placement.as_ref(), tell_place)?;
    conn.prepare_cached(
        "UPDATE booking
         SET state_since = :now, not_before = :now, revision = revision + 1,
             answered_at = CASE WHEN :answered THEN coalesce(answered_at, :now) ELSE answered_at END,
             finished_at = CASE WHEN :finished THEN coalesce(finished_at, :now) END
         WHERE id = :booking",
    )?
    .execute(named_params! {
        ":now": time_text(now),
        ":answered": *event == BookingEvent::PartnerKnows,
        ":finished": next.step() == Step::Nothing,
        ":booking": booking,
    })?;
    Ok(entry(conn, key)?.ok_or(StoreError::Missing)?)
}

pub(crate) fn set_state(conn: &Connection, booking: i64, state: &BookingState) -> Result<(), Fault> {
    let columns = StateColumns::of(state);
    conn.prepare_cached(
        "UPDATE booking
         SET state = :state, tries = :tries, plan = :plan, plan_patient = :plan_patient, appointment = :appointment,
             patient = :patient, refusal = :refusal, why = :why, tell_patient = :tell_patient,
             by_hand = :by_hand, undoing = :undoing, moved_resource = :moved_resource, moved_starts = :moved_starts
         WHERE id = :booking",
    )?
    .execute(named_params! {
        ":state": columns.state,
        ":tries": columns.tries,
        ":plan": columns.plan,
        ":plan_patient": columns.plan_patient,
        ":appointment": columns.appointment,
        ":patient": columns.patient,
        ":refusal": columns.refusal,
        ":why": columns.why,
        ":tell_patient": columns.tell_patient,
        ":by_hand": columns.by_hand,
        ":undoing": columns.undoing,
        ":moved_resource": columns.moved_resource,
        ":moved_starts": columns.moved_starts,
        ":booking": booking,
    })?;
    Ok(())
}

pub(crate) fn set_placement(
    conn: &Connection,
    booking: i64,
    placement: Option<&Placement>,
    tell_place: bool,
) -> Result<(), Fault> {
    let placed_type = placement.and_then(|placement| placement.appointment_type.as_ref());
    conn.prepare_cached(
        "UPDATE booking
         SET placed_resource = :resource, placed_starts = :starts, placed_type = :appointment_type,
             placed_beside = :beside, tell_place = :tell_place
         WHERE id = :booking",
    )?
    .execute(named_params! {
        ":resource": placement.map(|placement| placement.resource.as_str()),
        ":starts": placement.map(|placement| placement.starts.0.format(WALL_CLOCK).to_string()),
        ":appointment_type": placed_type.map(AppointmentTypeRef::as_str),
        ":beside": placement.map(|placement| placement.beside),
        ":tell_place": tell_place,
        ":booking": booking,
    })?;
    Ok(())
}

pub(crate) fn set_decision(conn: &Connection, booking: i64, decision: &Decision) -> Result<(), Fault> {
    let (plan, patient) = plan_columns(&decision.plan);
    let candidates: Vec<CandidateJson> = decision.candidates.iter().map(CandidateJson::of).collect();
    conn.prepare_cached(
        "UPDATE booking
         SET decision_plan = :plan, decision_patient = :patient, decision_score = :score, decision_reason = :reason,
             candidates = :candidates
         WHERE id = :booking",
    )?
    .execute(named_params! {
        ":plan": plan,
        ":patient": patient,
        ":score": decision.score,
        ":reason": decision.reason,
        ":candidates": json(&candidates, "candidates")?,
        ":booking": booking,
    })?;
    Ok(())
}

fn append(
    conn: &Connection,
    booking: i64,
    at: DateTime<Utc>,
    kind: &str,
    sentence: &str,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO booking_event (booking_id, at, kind, sentence) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((booking, time_text(at), kind, sentence))?;
    Ok(())
}

/// A booking whose patient still has to be told keeps its people, because their phone number is what it is kept for.
fn forget_people(conn: &Connection, before: DateTime<Utc>) -> Result<u64, Fault> {
    let forgotten = conn.execute(
        "UPDATE booking
         SET first_name = '', last_name = '', birth_date = NULL, phones = '[]', email = '', street = '', suburb = '',
             address_state = '', postcode = '', gender = NULL, medicare_number = '', medicare_irn = '',
             medicare_expiry = '', note = '', candidates = NULL, people_forgotten = 1
         WHERE people_forgotten = 0 AND finished_at < ?1 AND coalesce(tell_patient, 0) = 0
             AND NOT (state = 'confirmed' AND tell_place)",
        [time_text(before)],
    )?;
    crate::documents::forget(conn, before)?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}

/// The row of an entry.
fn number(conn: &Connection, key: &BookingKey) -> Result<i64, Fault> {
    let sql = "SELECT id FROM booking WHERE practice = ?1 AND partner = ?2 AND booking = ?3";
    let found = first(conn, sql, key_params(key), |row| row.value("id"))?;
    Ok(found.ok_or(StoreError::Missing)?)
}

fn entry(conn: &Connection, key: &BookingKey) -> Result<Option<Entry>, Fault> {
    let sql = entries!("WHERE practice = ?1 AND partner = ?2 AND booking = ?3");
    first(conn, sql, key_params(key), read_entry)
}

fn key_params(key: &BookingKey) -> (&str, &str, &str) {
    (key.practice.as_str(), key.partner.as_str(), key.booking.as_str())
}

fn read_entry(row: &Row<'_>) -> Result<Entry, Fault> {
    Ok(Entry {
        request: read_request(row)?,
        state: read_state(row)?,
        decision: read_decision(row)?,
        placement: read_placement(row)?,
        tell_place: row.value("tell_place")?,
        revision: row.value("revision")?,
        received_at: row.time("received_at")?,
        answered_at: row.time_if_given("answered_at")?,
        state_since: row.time("state_since")?,
        not_before: row.time("not_before")?,
    })
}

fn read_request(row: &Row<'_>) -> Result<BookingRequest, Fault> {
    let private = |column| Ok::<_, Fault>(Private::new(row.text(column)?));
    let patient = PersonDetails {
        first_name: private("first_name")?,
        last_name: private("last_name")?,
        birth_date: Private::new(row.parsed_if_given("birth_date", |text| text.parse().ok())?),
        phones: row.json_value::<Vec<String>>("phones")?.into_iter().map(Private::new).collect(),
        email: private("email")?,
        street: private("street")?,
        suburb: private("suburb")?,
        state: private("address_state")?,
        postcode: private("postcode")?,
        gender: Private::new(row.parsed_if_given("gender", read_gender)?),
        medicare_number: private("medicare_number")?,
        medicare_irn: private("medicare_irn")?,
        medicare_expiry: private("medicare_expiry")?,
    };
    Ok(BookingRequest {
        key: BookingKey {
            practice: PracticeId::new(row.text("practice")?),
            partner: PartnerId::new(row.text("partner")?),
            booking: ForeignBookingId::new(row.text("booking")?),
        },
        resource: row.value::<Option<String>>("resource")?.map(ResourceRef::new),
        appointment_type: row.value::<Option<String>>("appointment_type")?.map(AppointmentTypeRef::new),
        starts: PracticeTime(
            row.parsed("starts", |text| NaiveDateTime::parse_from_str(text, WALL_CLOCK).ok())?,
        ),
        length: Seconds(row.value("length_seconds")?),
        patient,
        linked_patient: row.value::<Option<String>>("linked_patient")?.map(PatientRef::new),
        says_new_patient: row.value("says_new_patient")?,
        note: private("note")?,
        booked_at: row.time("booked_at")?,
        cancelled: row.value("cancelled")?,
    })
}

fn read_placement(row: &Row<'_>) -> Result<Option<Placement>, Fault> {
    let Some(resource) = row.value::<Option<String>>("placed_resource")? else { return Ok(None) };
    Ok(Some(Placement {
        resource: ResourceRef::new(resource),
        starts: PracticeTime(
            row.parsed("placed_starts", |text| NaiveDateTime::parse_from_str(text, WALL_CLOCK).ok())?,
        ),
        appointment_type: row.value::<Option<String>>("placed_type")?.map(AppointmentTypeRef::new),
        beside: row.value("placed_beside")?,
    }))
}

fn read_decision(row: &Row<'_>) -> Result<Option<Decision>, Fault> {
    let Some(plan) = read_plan(row, "decision_plan", "decision_patient")? else { return Ok(None) };
    let candidates = row.json_if_given::<Vec<CandidateJson>>("candidates")?.unwrap_or_default();
    Ok(Some(Decision {
        plan,
        score: row.value("decision_score")?,
        reason: row.text("decision_reason")?,
        candidates: candidates.into_iter().map(CandidateJson::comparison).collect(),
    }))
}
