//! Between Provet's rows and the words of the practice's book. Pure.
//!
//! Departments are locations, users are resources, reasons are appointment types, and a *client* is the person. What
//! Provet calls a patient is an animal, which has no word in the book and goes nowhere as a person.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use domain::booking::AppointmentOrder;
use domain::diary::{AppointmentStatus, AppointmentType, Book, Location, Resource};
use domain::ids::{AppointmentRef, AppointmentTypeRef, LocationRef, PatientRef, ResourceRef};
use domain::people::{PatientRecord, PersonDetails};
use domain::private::Private;
use domain::time::{Horizon, Minutes, PracticeTime, PracticeZone};

use super::copy::Contents;
use super::wire::{self, Flag};
use crate::practices::sql::day::{Calendar, CalendarRow, Kind, Plan, Rules, appointments, plan};
use crate::practices::sql::profile::Availability;
use crate::practices::sql::{lines, make_names_unique, one_line, types_of};

/// The grid on which Provet offers times (sheet §5, availability).
const SLOT_MINUTES: u32 = 15;
/// The most characters of an appointment's complaint (sheet §5).
const LONGEST_COMPLAINT: usize = 254;

/// What the practice chose, as far as it shapes the book.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its time zone.
    pub zone: PracticeZone,
    /// The departments that it covers; none is all of them.
    pub locations: Option<Vec<LocationRef>>,
}

impl Shape {
    /// How rows are understood.
    pub fn rules(&self) -> Rules {
        Rules {
            availability: Availability::PerDate,
            trust_duration: true,
            free_cancelled: true,
            slot: SLOT_MINUTES,
            day_end: 24 * 60 * 60,
            weekend: Vec::new(),
            locations: self.locations.clone(),
            zone: self.zone,
        }
    }

    fn covers(&self, location: &LocationRef) -> bool {
        self.locations.as_ref().is_none_or(|ours| ours.contains(location))
    }
}

/// The practice's book over some days.
pub fn book(contents: &Contents, shape: &Shape, horizon: Horizon) -> Book {
    let resources = resources(contents, shape);
    let appointment_types = types_of(types(contents), &resources);
    let (rows, rules) = (rows(contents, shape.zone, horizon), shape.rules());
    let calendars: Vec<Calendar<'_>> = resources.iter().map(Calendar::of).collect();
    let days = plan(&rows, &calendars, horizon, &rules);
    let appointments = appointments(&rows, &calendars, horizon, &rules);
    Book {
        horizon,
        slot: Minutes(SLOT_MINUTES),
        locations: locations(contents, shape),
        days: days.into_iter().map(|(key, day)| (key, day.book_day())).collect(),
        appointments,
        resources,
        appointment_types,
    }
}

/// The days of one resource.
pub fn planned(
    contents: &Contents,
    shape: &Shape,
    resource: &ResourceRef,
    horizon: Horizon,
    besides: Option<u64>,
) -> Plan {
    let mut rows = rows(contents, shape.zone, horizon);
    if let Some(besides) = besides {
        let besides = besides.to_string();
        rows.retain(|row| row.id != besides || row.kind != Kind::Takes);
    }
    plan(&rows, &[Calendar { resource, name: resource }], horizon, &shape.rules())
}

fn locations(contents: &Contents, shape: &Shape) -> Vec<Location> {
    let all = contents.departments.values().map(|department| {
        let id = LocationRef::new(department.id.to_string());
        let name = one_line(&department.name);
        Location { name: if name.is_empty() { id.to_string() } else { name }, id }
    });
    all.filter(|location| shape.covers(&location.id)).collect()
}

/// Those who can be booked at the practice's departments.
pub fn resources(contents: &Contents, shape: &Shape) -> Vec<Resource> {
    let mut resources = Vec::new();
    for id in contents.bookable() {
        let Some(user) = contents.users.get(&id) else { continue };
        let shifts = contents.shifts.values().filter(|shift| contents.is_offered(shift));
        let mut at: Vec<LocationRef> = shifts
            .filter(|shift| shift.user.map(|user| user.0) == Some(id))
            .filter_map(|shift| shift.department)
            .map(|department| LocationRef::new(department.0.to_string()))
            .collect();
        at.sort();
        at.dedup();
        // A shift that names no department is worked anywhere.
        if !at.is_empty() && !at.iter().any(|location| shape.covers(location)) {
            continue;
        }
        let [first, last] = [&user.first_name, &user.last_name].map(|name| one_line(name));
        let name = format!("{first} {last}").trim().to_owned();
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        resources.push(Resource {
            id: ResourceRef::new(id.to_string()),
            name: if name.is_empty() { id.to_string() } else { name },
            title: None,
            first_name: text(first),
            last_name: text(last),
            specialty: None,
            location: match at.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
            practitioner: None,
        });
    }
    make_names_unique(&mut resources);
    resources
}

/// What can be booked online, for each who is proficient in it, or for everybody.
pub fn types(contents: &Contents) -> Vec<AppointmentType> {
    let offered = contents
        .reasons
        .values()
        .filter(|reason| reason.archived != Some(Flag(true)) && reason.available_online != Some(Flag(false)));
    let mut types = Vec::new();
    for reason in offered {
        let length = reason.duration.and_then(|minutes| u32::try_from(minutes).ok());
        let name = one_line(&reason.name);
        let id = reason.id.to_string();
        let kind = AppointmentType {
            name: if name.is_empty() { id.clone() } else { name },
            id: AppointmentTypeRef::new(id),
            length: Minutes(length.filter(|minutes| (1..=1440).contains(minutes)).unwrap_or(SLOT_MINUTES)),
            resource: None,
        };
        if reason.proficient_staff.is_empty() {
            types.push(kind);
            continue;
        }
        types.extend(reason.proficient_staff.iter().map(|user| AppointmentType {
            resource: Some(ResourceRef::new(user.0.to_string())),
            ..kind.clone()
        }));
    }
    types
}

/// Shifts and appointments as rows of a calendar, shifts within these days.
fn rows(contents: &Contents, zone: PracticeZone, horizon: Horizon) -> Vec<CalendarRow> {
    let mut rows = Vec::new();
    let begins = PracticeTime(horizon.first.and_time(NaiveTime::MIN));
    let ends = horizon.last.succ_opt().map(|day| PracticeTime(day.and_time(NaiveTime::MIN)));
    for shift in contents.shifts.values().filter(|shift| contents.is_offered(shift)) {
        let Some(user) = shift.user else { continue };
        // One without an end may be written as one that ends in a thousand years.
        let (mut from, to) = (zone.wall_clock(shift.start).max(begins), zone.wall_clock(shift.end));
        let to = ends.map_or(to, |ends| to.min(ends));
        // Working time is told day by day.
        while from < to {
            let midnight = from.day().succ_opt().map(|day| PracticeTime(day.and_time(NaiveTime::MIN)));
            let until = midnight.map_or(to, |midnight| midnight.min(to));
            rows.push(CalendarRow {
                kind: Kind::Opens,
                location: shift.department.map(|department| department.0.to_string()),
                ..row(shift.id, user.0, from, until)
            });
            from = until;
        }
    }
    for appointment in contents.appointments.values() {
        let users: std::collections::BTreeSet<u64> =
            appointment.user.iter().chain(&appointment.additional_users).map(|user| user.0).collect();
        let (from, to) = (zone.wall_clock(appointment.start), zone.wall_clock(appointment.end));
        for user in users {
            let is_theirs = appointment.user.map(|user| user.0) == Some(user);
            rows.push(CalendarRow {
                patient: appointment.client.filter(|_| is_theirs).map(|client| client.0.to_string()),
                appointment_type: appointment.reason.map(|reason| reason.0.to_string()),
                location: appointment.department.map(|department| department.0.to_string()),
                status: status(appointment),
                changed: appointment.modified.map(|modified| zone.wall_clock(modified).0),
                held: is_theirs && appointment.client.is_none() && is_marked(&appointment.notes),
                ..row(appointment.id, user, from, to)
            });
        }
    }
    rows
}

fn row(id: u64, user: u64, from: PracticeTime, to: PracticeTime) -> CalendarRow {
    let start = (from.0 - from.day().and_time(NaiveTime::MIN)).num_seconds();
    CalendarRow {
        id: id.to_string(),
        resource: Some(user.to_string()),
        kind: Kind::Takes,
        patient: None,
        appointment_type: None,
        location: None,
        day: from.day(),
        start,
        // The clocks may go back in the middle of it.
        length: (to.0 - from.0).max(TimeDelta::zero()).num_seconds(),
        status: AppointmentStatus::Booked,
        only_type: None,
        changed: None,
        held: false,
        series: None,
    }
}

/// Whether a note begins with the mark of a booking.
fn is_marked(note: &str) -> bool {
    note.starts_with('[') && note.split(']').next().is_some_and(|mark| mark.contains(':'))
}

/// How an appointment stands. One that is cancelled stays in lists (sheet §8).
pub fn status(appointment: &wire::Appointment) -> AppointmentStatus {
    if appointment.active == Some(Flag(false)) {
        AppointmentStatus::Cancelled
    } else if appointment.consultation.is_some() {
        AppointmentStatus::Arrived
    } else {
        AppointmentStatus::Booked
    }
}

/// A client with their phone numbers, as the book's patient: the person.
pub fn person(client: &wire::Client, phones: &[String]) -> PatientRecord {
    let text = |text: &str| Private::new(one_line(text));
    PatientRecord {
        inactive: client.archived == Some(Flag(true)),
        ..PatientRecord::new(
            PatientRef::new(client.id.to_string()),
            PersonDetails {
                first_name: text(&client.firstname),
                last_name: text(&client.lastname),
                phones: phones.iter().map(|phone| text(phone)).collect(),
                email: text(&client.email),
                street: text(&client.street_address),
                suburb: text(&client.city),
                postcode: text(&client.zip_code),
                ..PersonDetails::default()
            },
        )
    }
}

/// A new client. What Provet has no field for, the birth date and the card, is left out.
pub fn new_client(details: &PersonDetails, remarks: String) -> wire::NewClient {
    let text = |text: &Private<String>| one_line(text.reveal());
    wire::NewClient {
        firstname: text(&details.first_name),
        lastname: text(&details.last_name),
        customer_type: 0,
        email: text(&details.email),
        street_address: text(&details.street),
        city: text(&details.suburb),
        zip_code: text(&details.postcode),
        remarks,
        patients: [],
    }
}

/// A phone number with its country in front, as Provet keeps them (sheet §5). One that is no Australian number and names
/// no country stays as it was typed.
pub fn international(phone: &str) -> String {
    let typed = one_line(phone);
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    if typed.starts_with('+') {
        return format!("+{digits}");
    }
    match digits.strip_prefix('0') {
        Some(rest) if rest.len() == 9 && !rest.starts_with('0') => format!("+61{rest}"),
        Some(_) => typed,
        None if digits.len() == 11 && digits.starts_with("61") => format!("+{digits}"),
        None if digits.len() == 9 && digits.starts_with('4') => format!("+61{digits}"),
        None => typed,
    }
}

/// The digits by which a number is found however it is written: its last eight.
pub fn last_digits(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let at = digits.len().checked_sub(8)?;
    digits.get(at..).map(str::to_owned)
}

/// The patient's own words, as long as they may be.
pub fn complaint(order: &AppointmentOrder) -> String {
    let words = lines(order.note.reveal()).replace('[', "(").replace(']', ")");
    words.chars().take(LONGEST_COMPLAINT).collect()
}

/// A time with its offset, because one without is read in the practice's own way (sheet §8).
pub fn with_offset(at: DateTime<Utc>, zone: PracticeZone) -> String {
    at.with_timezone(&zone.0).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// The key of an appointment.
pub fn appointment_ref(id: u64) -> AppointmentRef {
    AppointmentRef::new(id.to_string())
}

/// The patient of an appointment: its client.
pub fn patient_of(appointment: &wire::Appointment) -> Option<PatientRef> {
    appointment.client.map(|client| PatientRef::new(client.0.to_string()))
}

/// Where the appointment is to take place: where they work then, or where they usually do, or where anybody does.
pub fn department(
    contents: &Contents,
    shape: &Shape,
    planned: &Plan,
    resource: &Resource,
    at: (NaiveDate, domain::time::MinuteOfDay),
) -> Option<u64> {
    let day = planned.get(&(resource.id.clone(), at.0));
    let piece =
        day.and_then(|day| day.open.iter().find(|piece| piece.range.start <= at.1 && at.1 < piece.range.end));
    let there = piece.and_then(|piece| piece.location.clone());
    let usual = || resource.location.as_ref().map(ToString::to_string);
    let first = || locations(contents, shape).first().map(|location| location.id.to_string());
    there.or_else(usual).or_else(first).and_then(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::booking::BookingKey;
    use domain::ids::{ForeignBookingId, PartnerId, PracticeId};
    use domain::people::PatientPlan;
    use wire::Relation;

    #[test]
    fn a_complaint_is_cut_at_a_character_and_carries_no_mark() {
        let order = |note: String| AppointmentOrder {
            key: BookingKey {
                practice: PracticeId::new("p1"),
                partner: PartnerId::new("healthengine"),
                booking: ForeignBookingId::new("1"),
            },
            resource: ResourceRef::new("1"),
            appointment_type: None,
            starts: PracticeTime("2026-11-23T10:00:00".parse().unwrap()),
            length: Minutes(30),
            patient: PatientPlan::Undecided,
            details: PersonDetails::default(),
            note: Private::new(note),
            beside: false,
        };
        let cut = complaint(&order("ü🐾".repeat(200)));
        assert_eq!((cut.chars().count(), cut.ends_with('🐾')), (254, true));
        assert_eq!(complaint(&order("short [healthengine:1]".into())), "short (healthengine:1)");
    }

    #[test]
    fn times_carry_the_offset_of_their_own_day() {
        let zone = PracticeZone::parse("Australia/Melbourne").unwrap();
        for (wall, written) in [
            ("2026-11-23T10:00:00", "2026-11-23T10:00:00+11:00"),
            ("2027-04-05T10:00:00", "2027-04-05T10:00:00+10:00"),
            // The last hour before the clocks go back, and the first after they went forward.
            ("2027-04-04T01:30:00", "2027-04-04T01:30:00+11:00"),
            ("2027-10-03T03:00:00", "2027-10-03T03:00:00+11:00"),
        ] {
            let at = zone.instant(PracticeTime(wall.parse().unwrap()));
            assert_eq!(with_offset(at, zone), written);
        }
    }

    #[test]
    fn a_relation_is_its_last_segment_whatever_stands_before_it() {
        for address in [
            "https://provetcloud.com/9999/api/0.1/client/10/",
            "https://provetcloud.com/api/9999/0.1/client/10",
            "/9999/api/0.1/client/10/?expose_patients#x",
            "10",
        ] {
            assert_eq!(Relation::of_address(address), Some(Relation(10)), "{address}");
        }
        for address in ["", "https://provetcloud.com/9999/api/0.1/client/", "client/ten/", "client/-1/"] {
            assert_eq!(Relation::of_address(address), None, "{address}");
        }
    }

    #[test]
    fn phone_numbers_are_written_with_their_country_and_found_however_they_are_written() {
        for (typed, written) in [
            ("0491 570 999", "+61491570999"),
            ("(03) 7010 1234", "+61370101234"),
            ("61 491 570 999", "+61491570999"),
            ("491570999", "+61491570999"),
            ("+358 40 123 4567", "+358401234567"),
            ("0011 44 20 7946 0000", "0011 44 20 7946 0000"),
            ("ext 123", "ext 123"),
        ] {
            assert_eq!(international(typed), written, "{typed}");
        }
        assert_eq!(last_digits("(03) 7010 1234"), last_digits("+61370101234"));
        assert_eq!(last_digits("123"), None);
    }
}
