//! Wire ↔ domain, pure: every unit, zone and format of the contract sheet (§3, §8) meets its type here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeZone, Utc};
use domain::booking::{
    AskedAbout, BOOKED_AT_UNKNOWN, BookingChange, BookingKey, BookingRequest, ChangeKind, Inserted, Undoing,
};
use domain::diary::{AppointmentType, Resource, VideoVisit};
use domain::failure::Refusal;
use domain::ids::{
    AppointmentRef, AppointmentTypeRef, ForeignBookingId, ForeignChangeId, PartnerId, PatientRef, PracticeId,
    ResourceRef,
};
use domain::people::{Gender, PersonDetails};
use domain::ports::partner::{DayOffer, Incoming, OfferAsked, Waiting};
use domain::private::Private;
use domain::settings::{LiveDay, LiveHours};
use domain::time::{MinuteOfDay, Minutes, PracticeTime, PracticeZone, Seconds};

use super::wire::{self, Lenient, Text, Whole};
use crate::http::short_reason;

/// The last time of day that the contract knows (§4.4): a full day ends here.
const LAST_MINUTE: &str = "23:59";

/// The status of a booking that the patient took back (§4.1).
const CANCELLED: &str = "Cancelled";

/// Nobody who books was born earlier; such a date is a slip of the finger.
const EARLIEST_BIRTH_YEAR: i32 = 1850;

/// Which account bookings come in on.
pub struct Account {
    pub practice: PracticeId,
    pub partner: PartnerId,
    pub zone: PracticeZone,
}

/// An item of a list that cannot even be named. It is counted and left alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Nameless;

/// The field that cannot be read.
#[derive(Debug, PartialEq, Eq)]
struct OddField(&'static str);

/// `GET /requests` (contract sheet §4.1).
pub fn waiting(kinds: &[Lenient<Text>]) -> Waiting {
    let mut waiting = Waiting::default();
    for kind in kinds {
        let Lenient::Given(Text(kind)) = kind else { continue };
        let known = match kind.as_str() {
            "bookings" => &mut waiting.bookings,
            "bookingUpdates" => &mut waiting.changes,
            "availability" => &mut waiting.availability,
            "pmsResources" => &mut waiting.resources,
            "pmsAppointmentTypes" => &mut waiting.appointment_types,
            "pmsAppointmentChanges" => &mut waiting.appointment_changes,
            "availableDocuments" => &mut waiting.available_documents,
            "uploadDocuments" => &mut waiting.upload_documents,
            "clientSnapshots" => &mut waiting.client_snapshots,
            "attachDocuments" => &mut waiting.attach_documents,
            unknown => {
                waiting.unknown.insert(unknown.to_owned());
                continue;
            }
        };
        *known = true;
    }
    waiting
}

/// A booking; one of which a needed field is odd becomes [`Incoming::Unreadable`].
pub fn incoming(item: &serde_json::Value, account: &Account) -> Result<Incoming, Nameless> {
    let booking = wire::item::<wire::Booking>(item).ok_or(Nameless)?;
    let Lenient::Given(Whole(id)) = booking.booking_id else { return Err(Nameless) };
    let id = ForeignBookingId::new(id.to_string());
    Ok(match booking_request(&booking, id.clone(), account) {
        Ok(request) => Incoming::Booking(Box::new(request)),
        Err(OddField(field)) => {
            Incoming::Unreadable { booking: id, why: Refusal::Unreadable(field.to_owned()) }
        }
    })
}

fn booking_request(
    booking: &wire::Booking,
    id: ForeignBookingId,
    account: &Account,
) -> Result<BookingRequest, OddField> {
    // A hint for how soon an answer has to come, so an odd one is no reason to turn a patient away.
    let booked_at =
        text(&booking.booked_time).and_then(date_and_time).map(|time| Utc.from_utc_datetime(&time));
    let Lenient::Given(Text(starts)) = &booking.pms_appointment_time else {
        return Err(OddField("pmsAppointmentTime"));
    };
    let starts = PracticeTime(date_and_time(starts).ok_or(OddField("pmsAppointmentTime"))?);
    let Lenient::Given(Whole(length)) = booking.pms_appointment_length else {
        return Err(OddField("pmsAppointmentLength"));
    };
    let status = filled(&booking.booking_status, "bookingStatus")?;
    let resource = filled(&booking.pms_resource_id, "pmsResourceId")?.map(ResourceRef::new);
    let appointment_type = filled(&booking.pms_appointment_type_id, "pmsAppointmentTypeId")?
        .map(|id| appointment_type_ref(id, resource.as_ref()));
    let patient = if booking.patient.is_null() {
        wire::Patient::default()
    } else {
        wire::item(&booking.patient).ok_or(OddField("patient"))?
    };
    // Nobody is born after they booked, or at the very latest after they are seen.
    let latest = booked_at.map_or_else(|| starts.day(), |booked_at| account.zone.today(booked_at));
    let birth_date = birth_date(&patient, latest);
    Ok(BookingRequest {
        key: BookingKey { practice: account.practice.clone(), partner: account.partner.clone(), booking: id },
        resource,
        appointment_type,
        starts,
        length: Seconds(length),
        patient: person(&patient, birth_date.as_ref().copied().unwrap_or_default())?,
        // A hint, so an odd one is no hint.
        linked_patient: text(&booking.pms_patient_id).map(PatientRef::new),
        says_new_patient: booking.is_new_patient == Lenient::Given(true),
        note: note(booking, birth_date.is_err()),
        booked_at: booked_at.unwrap_or(BOOKED_AT_UNKNOWN),
        cancelled: status.is_some_and(|status| status.eq_ignore_ascii_case(CANCELLED)),
    })
}

/// A text with something in it. Empty means absent.
pub fn text(field: &Lenient<Text>) -> Option<&str> {
    match field {
        Lenient::Given(Text(text)) => Some(text.trim()).filter(|text| !text.is_empty()),
        Lenient::Absent | Lenient::Odd => None,
    }
}

/// The same for a field without which a booking cannot be judged: an odd one is not absent.
fn filled<'a>(field: &'a Lenient<Text>, name: &'static str) -> Result<Option<&'a str>, OddField> {
    if *field == Lenient::Odd { Err(OddField(name)) } else { Ok(text(field)) }
}

/// `YYYY-MM-DD HH:MM:SS`, without a zone. Anything more or less is not guessed at.
pub fn date_and_time(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    (text.len() == "2026-03-04 10:15:00".len())
        .then(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok())
        .flatten()
}

/// A date in `format`, ten characters long.
pub fn date(text: &str, format: &str) -> Option<NaiveDate> {
    (text.len() == "2026-03-04".len()).then(|| NaiveDate::parse_from_str(text, format).ok()).flatten()
}

/// A birth date was given, and is none.
struct NoBirthDate;

/// DD-MM-YYYY. YYYY-MM-DD cannot mean anything else either. A date that makes no sense is not a reason to turn a
/// patient away: they could never book.
fn birth_date(patient: &wire::Patient, today: NaiveDate) -> Result<Option<NaiveDate>, NoBirthDate> {
    if patient.dob == Lenient::Odd {
        return Err(NoBirthDate);
    }
    let Some(given) = text(&patient.dob) else { return Ok(None) };
    date(given, "%d-%m-%Y")
        .or_else(|| date(given, "%Y-%m-%d"))
        .filter(|date| date.year() >= EARLIEST_BIRTH_YEAR && *date <= today)
        .map(Some)
        .ok_or(NoBirthDate)
}

fn person(patient: &wire::Patient, birth_date: Option<NaiveDate>) -> Result<PersonDetails, OddField> {
    let private = |field: &Lenient<Text>| Private::new(text(field).unwrap_or_default().to_owned());
    let name = |field: &Lenient<Text>, name: &'static str| {
        filled(field, name).map(|text| Private::new(text.unwrap_or_default().to_owned()))
    };
    Ok(PersonDetails {
        first_name: name(&patient.firstname, "patient.firstname")?,
        last_name: name(&patient.lastname, "patient.lastname")?,
        birth_date: Private::new(birth_date),
        phones: text(&patient.phone).map(|phone| Private::new(phone.to_owned())).into_iter().collect(),
        email: private(&patient.email),
        street: private(&patient.address),
        suburb: private(&patient.suburb),
        state: private(&patient.state),
        postcode: private(&patient.postcode),
        gender: Private::new(gender(&patient.gender)),
        medicare_number: private(&patient.medicare_number),
        medicare_irn: private(&patient.medicare_irn),
        medicare_expiry: Private::new(medicare_expiry(&patient.medicare_expiry).unwrap_or_default()),
    })
}

fn gender(field: &Lenient<Text>) -> Option<Gender> {
    match text(field)? {
        "Male" => Some(Gender::Male),
        "Female" => Some(Gender::Female),
        "Other" => Some(Gender::Other),
        _ => None,
    }
}

/// `m/Y` → `MM/YYYY`.
fn medicare_expiry(field: &Lenient<Text>) -> Option<String> {
    let (month, year) = text(field)?.split_once('/')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if month.len() > 2 || year.len() != 4 || !digits(month) || !digits(year) {
        return None;
    }
    let month: u8 = month.parse().ok()?;
    (1..=12).contains(&month).then(|| format!("{month:02}/{year}"))
}

/// What staff read beside the appointment: the patient's reason, Healthengine's comment, the video address.
fn note(booking: &wire::Booking, birth_date_lost: bool) -> Private<String> {
    let video = text(&booking.telehealth_url).map(|address| format!("Video: {address}"));
    let lost = birth_date_lost.then(|| "The birth date that was given cannot be read.".to_owned());
    let lines: Vec<String> =
        [text(&booking.reason).map(str::to_owned), text(&booking.comments).map(str::to_owned), video, lost]
            .into_iter()
            .flatten()
            .collect();
    Private::new(lines.join("\n").replace("\r\n", "\n"))
}

/// What a booking's status says of a change. Only what is known is believed: an absent or a new status may be a
/// cancellation.
fn change_kind(status: &Lenient<Text>) -> ChangeKind {
    let is = |known: &str| text(status).is_some_and(|status| status.eq_ignore_ascii_case(known));
    if is(CANCELLED) {
        ChangeKind::Cancelled
    } else if is("Requested") || is("Confirmed") {
        ChangeKind::Stands
    } else {
        ChangeKind::Unreadable
    }
}

/// A change. Without both ids it can be neither applied nor answered.
pub fn change(item: &serde_json::Value) -> Result<(i64, BookingChange), Nameless> {
    let update = wire::item::<wire::BookingUpdate>(item).ok_or(Nameless)?;
    let (Lenient::Given(Whole(request)), Lenient::Given(Whole(booking))) =
        (update.request_id, update.booking_id)
    else {
        return Err(Nameless);
    };
    let change = BookingChange {
        id: ForeignChangeId::new(request.to_string()),
        booking: ForeignBookingId::new(booking.to_string()),
        kind: change_kind(&update.booking_status),
    };
    Ok((request, change))
}

/// Free times that are asked for again.
pub fn asked(item: &serde_json::Value) -> Result<OfferAsked, Nameless> {
    let request = wire::item::<wire::AvailabilityRequest>(item).ok_or(Nameless)?;
    let day = text(&request.day).and_then(|day| date(day, "%Y-%m-%d")).ok_or(Nameless)?;
    // A resource that cannot be read is not everybody, but telling too much is harmless.
    Ok(OfferAsked { day, resource: text(&request.pms_resource_id).map(ResourceRef::new) })
}

/// A booking about whose appointment is asked. Ids that cannot be read are left out: the booking's own mark is what
/// counts.
pub fn asked_about(item: &serde_json::Value) -> Result<AskedAbout, Nameless> {
    let request = wire::item::<wire::AppointmentChangesRequest>(item).ok_or(Nameless)?;
    let Lenient::Given(Whole(booking)) = request.booking_id else { return Err(Nameless) };
    let appointments = match &request.pms_appointment_ids {
        Lenient::Given(ids) => ids.iter().filter_map(text).map(AppointmentRef::new).collect(),
        Lenient::Absent | Lenient::Odd => Vec::new(),
    };
    Ok(AskedAbout {
        booking: ForeignBookingId::new(booking.to_string()),
        appointments,
        patient: text(&request.pms_patient_id).map(PatientRef::new),
    })
}

/// What staff did: the word of the path for it (§4.2), and a fixed sentence, which names nobody and no time.
pub fn undone(how: &Undoing) -> (&'static str, wire::Reason) {
    let (step, reason) = match how {
        Undoing::Cancelled => ("cancel", "cancelled by the practice"),
        Undoing::Deleted => ("cancel", "removed from the practice's book"),
        Undoing::Moved { .. } => {
            ("cancel", "moved by the practice to another time, which it agreed with the patient")
        }
        Undoing::DidNotAttend => ("didNotAttend", "the patient did not attend"),
    };
    (step, wire::Reason { reason: reason.to_owned() })
}

/// What stands in the book, for Healthengine, and where a video consultation takes place.
pub fn confirmation<'a>(held: &'a Inserted, visit: &'a VideoVisit) -> wire::ConfirmInsert<'a> {
    let shown = |text: &'a Option<Private<String>>| text.as_ref().map(|text| text.reveal().as_str());
    wire::ConfirmInsert {
        pms_appointment_ids: [held.appointment.as_str()],
        pms_patient_id: held.patient.as_str(),
        patient_appointment_link: shown(&visit.patient_link),
        patient_appointment_description: shown(&visit.patient_description),
        practitioner_appointment_link: shown(&visit.practitioner_link),
        practitioner_appointment_description: shown(&visit.practitioner_description),
    }
}

/// Why not, for Healthengine's support. The practice system's own words stay here: they may name somebody.
pub fn reason(why: &Refusal) -> wire::Reason {
    let reason = match why {
        Refusal::Other(_) => "the practice system refused it".to_owned(),
        Refusal::SlotTaken
        | Refusal::OutsideHours
        | Refusal::ResourceMissing
        | Refusal::ResourceUnknown
        | Refusal::TypeUnknown
        | Refusal::TimeDoesNotExist
        | Refusal::TimeHasPassed
        | Refusal::BadLength
        | Refusal::NameMissing
        | Refusal::Unreadable(_)
        | Refusal::PatientCancelled
        | Refusal::DeclinedAtDesk
        | Refusal::NobodyDecided
        | Refusal::BookingUnknown
        | Refusal::UnknownToPartner
        | Refusal::AlreadyBegun
        | Refusal::Series
        | Refusal::ReadOnly => why.to_string(),
    };
    wire::Reason { reason }
}

/// The id under which a type is published. A type of one resource carries the resource behind a colon, because ids
/// must be unique (§4.4). An id that has a colon of its own carries one more at its end, so that it is never taken for
/// such a pair.
pub fn appointment_type_id(id: &AppointmentTypeRef, resource: Option<&ResourceRef>) -> String {
    match resource {
        Some(resource) => format!("{id}:{resource}"),
        None if id.as_str().contains(':') => format!("{id}:"),
        None => id.as_str().to_owned(),
    }
}

/// The reverse of [`appointment_type_id`], for a booking with this resource.
pub fn appointment_type_ref(published: &str, resource: Option<&ResourceRef>) -> AppointmentTypeRef {
    let of_resource =
        resource.and_then(|resource| published.strip_suffix(resource.as_str())?.strip_suffix(':'));
    let plain = || published.strip_suffix(':').filter(|rest| rest.contains(':'));
    AppointmentTypeRef::new(of_resource.or_else(plain).unwrap_or(published))
}

/// Free times of some days. `published_types` are the ids of [`appointment_types`] as Healthengine has them; time that
/// is reserved for other types only is left out.
pub fn snapshots(offers: &[DayOffer], published_types: &BTreeSet<String>) -> Vec<wire::AvailabilitySnapshot> {
    offers.iter().map(|offer| snapshot(offer, published_types)).collect()
}

fn snapshot(offer: &DayOffer, published_types: &BTreeSet<String>) -> wire::AvailabilitySnapshot {
    let type_id = |id: &AppointmentTypeRef| {
        let ids = [appointment_type_id(id, Some(&offer.resource)), appointment_type_id(id, None)];
        ids.into_iter().find(|id| published_types.contains(id))
    };
    // Less than a minute would be ignored (§4.3), so no grid at all is a grid of one minute.
    let slot_length = offer.slot.max(Minutes(1)).seconds().0;
    let availability = offer
        .free
        .iter()
        .filter_map(|open| {
            let (start, end) = (open.range.start.to_string(), end_of(open.range.end));
            let types: Vec<String> = open.only_types.iter().filter_map(type_id).collect();
            // Without the types that it is reserved for, it would be offered for every type.
            let can_be_offered = open.only_types.is_empty() || !types.is_empty();
            (start < end && can_be_offered).then_some(wire::AvailableRange {
                start,
                end,
                slot_length,
                pms_appointment_type_ids: types,
            })
        })
        .collect();
    wire::AvailabilitySnapshot {
        id: format!("{}|{}", offer.resource, offer.day),
        date: offer.day.to_string(),
        pms_resource_id: offer.resource.as_str().to_owned(),
        availability,
    }
}

fn end_of(end: MinuteOfDay) -> String {
    if end == MinuteOfDay::END { LAST_MINUTE.to_owned() } else { end.to_string() }
}

/// One answer per snapshot, in order (§4.3: a status of 200 does not say that all were accepted).
pub fn batch_answers(
    sent: &[wire::AvailabilitySnapshot],
    answer: &wire::BatchAnswer,
) -> Vec<Result<(), String>> {
    let accepted: BTreeSet<&str> = texts(&answer.created).chain(texts(&answer.existing)).collect();
    let mut refused: BTreeMap<&str, String> =
        texts(&answer.failed).map(|entry| (entry, "refused without a reason".to_owned())).collect();
    for error in given(&answer.errors) {
        if let Some(entry) = text(&error.snapshot) {
            let why = text(&error.error).map(short_reason).filter(|why| !why.is_empty());
            refused.insert(entry, why.unwrap_or_else(|| "refused without a reason".to_owned()));
        }
    }
    sent.iter()
        .enumerate()
        .map(|(index, snapshot)| {
            let index = index.to_string();
            let names = [snapshot.id.as_str(), index.as_str()];
            if let Some(why) = names.iter().find_map(|name| refused.get(name)) {
                Err(why.clone())
            } else if names.iter().any(|name| accepted.contains(name)) {
                Ok(())
            } else {
                Err("no answer for this day".to_owned())
            }
        })
        .collect()
}

fn given<T>(list: &Lenient<Vec<Lenient<T>>>) -> impl Iterator<Item = &T> {
    let items: &[Lenient<T>] = if let Lenient::Given(items) = list { items } else { &[] };
    items.iter().filter_map(|item| if let Lenient::Given(item) = item { Some(item) } else { None })
}

fn texts(list: &Lenient<Vec<Lenient<Text>>>) -> impl Iterator<Item = &str> {
    given(list).map(|Text(text)| text.as_str())
}

/// The list of resources, names made unique (§4.4).
pub fn resources(resources: &[Resource]) -> Vec<wire::PmsResource> {
    let mut sorted: Vec<&Resource> = resources.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    sorted.dedup_by(|a, b| a.id == b.id);
    let names = unique_names(sorted.iter().map(|resource| ProposedName {
        id: resource.id.as_str(),
        name: resource.name.trim(),
        distinction: resource.specialty.as_deref(),
    }));
    let given = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    sorted
        .into_iter()
        .zip(names)
        .map(|(resource, pms_resource_name)| wire::PmsResource {
            pms_resource_id: resource.id.as_str().to_owned(),
            pms_resource_name,
            pms_practitioner_title: given(&resource.title),
            pms_practitioner_firstname: given(&resource.first_name),
            pms_practitioner_lastname: given(&resource.last_name),
        })
        .collect()
}

/// The list of appointment types, ids and names made unique (§4.4).
pub fn appointment_types(types: &[AppointmentType]) -> Vec<wire::PmsAppointmentType> {
    let id_of = |kind: &AppointmentType| appointment_type_id(&kind.id, kind.resource.as_ref());
    let mut sorted: Vec<(String, &AppointmentType)> = types.iter().map(|kind| (id_of(kind), kind)).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted.dedup_by(|a, b| a.0 == b.0);
    let names = unique_names(sorted.iter().map(|(id, kind)| ProposedName {
        id,
        name: kind.name.trim(),
        distinction: None,
    }));
    sorted
        .iter()
        .zip(names)
        .map(|((id, kind), pms_appointment_type_name)| wire::PmsAppointmentType {
            pms_appointment_type_id: id.clone(),
            pms_appointment_type_name,
            // A type without a length of its own leaves it to Healthengine; a zero would spoil the whole list.
            pms_appointment_length: Some(kind.length.0).filter(|minutes| *minutes > 0),
            pms_resource_id: kind.resource.as_ref().map(|resource| resource.as_str().to_owned()),
        })
        .collect()
}

struct ProposedName<'a> {
    id: &'a str,
    name: &'a str,
    distinction: Option<&'a str>,
}

/// Names, in the given order, that differ in more than upper and lower case: those that are shared get their
/// distinction, and a number where that is not enough.
fn unique_names<'a>(proposed: impl Iterator<Item = ProposedName<'a>> + Clone) -> Vec<String> {
    let plain = |name: &ProposedName<'_>| {
        if name.name.is_empty() { format!("No. {}", name.id) } else { name.name.to_owned() }
    };
    let mut shared: BTreeMap<String, u32> = BTreeMap::new();
    for name in proposed.clone() {
        *shared.entry(plain(&name).to_lowercase()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> =
        shared.iter().filter(|(_, n)| **n == 1).map(|(k, _)| k.clone()).collect();
    proposed
        .map(|name| {
            let own = plain(&name);
            if shared.get(&own.to_lowercase()) == Some(&1) {
                return own;
            }
            let distinct = match name.distinction.map(str::trim).filter(|text| !text.is_empty()) {
                Some(distinction) => format!("{own} ({distinction})"),
                None => own,
            };
            let numbered = std::iter::once(distinct.clone())
                .chain((2_u32..).map(|number| format!("{distinct} {number}")))
                .find(|candidate| !taken.contains(&candidate.to_lowercase()))
                .unwrap_or(distinct);
            taken.insert(numbered.to_lowercase());
            numbered
        })
        .collect()
}

/// The liveness contract: every day is named, sorted and without overlaps.
pub fn liveness(hours: &LiveHours) -> wire::LivenessContract {
    let hours = hours.normalised();
    let live_hours = LiveDay::ALL
        .iter()
        .map(|day| {
            let ranges = hours.weekdays.get(day).map(Vec::as_slice).unwrap_or_default();
            let ranges = ranges
                .iter()
                .map(|range| wire::LiveRange { start: range.start.to_string(), end: end_of(range.end) })
                .filter(|range| range.start < range.end)
                .collect();
            (day.name(), ranges)
        })
        .collect();
    wire::LivenessContract { live_hours }
}
