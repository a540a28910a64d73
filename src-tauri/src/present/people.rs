//! Patients, their consents and their links → what the window and the command line show of them.

use super::{Inputs, instant, leg_view};
use crate::view::{
    ConsentHowView, ConsentView, LeftView, Light, LinkView, PatientView, ProgressView, TodayColumnView,
    TodayView, ValdPatientState, ValdPatientView, ValdView, VisitView,
};
use chrono::{NaiveDate, Timelike};
use domain::audit::AuditEntry;
use domain::booking::{BookingKey, Entry};
use domain::consent::{self, ADULT_AT, Consent, ConsentHow, NotAllowed, Said};
use domain::diary::Appointment;
use domain::directory::Hit;
use domain::ids::{PatientRef, ResourceRef};
use domain::link::{Link, LinkState};
use domain::people::PatientRecord;
use domain::ports::store::Leg;
use domain::private::Private;
use domain::settings::PracticeSettings;
use std::collections::{BTreeMap, BTreeSet};
use store::AuditRow;
use sync::state::{BookReading, PracticeState};

#[cfg(test)]
mod tests;

/// What is known of one patient at VALD.
#[derive(Clone, Debug, Default)]
pub struct AtVald {
    /// The last line about consent.
    pub consent: Option<Consent>,
    /// The link.
    pub link: Option<Link>,
}

/// How it stands at VALD with the patients of bookings, of those where that is known.
pub type ValdOfBookings = BTreeMap<BookingKey, ValdPatientView>;

/// A patient of the practice in a row. `today` is practice-local.
pub fn patient_view(
    practice: &PracticeSettings,
    person: &Hit,
    at_vald: &AtVald,
    today: NaiveDate,
) -> PatientView {
    let born = *person.birth_date.reveal();
    PatientView {
        practice_id: practice.id.to_string(),
        patient_id: person.patient.to_string(),
        given_name: person.given_name.reveal().clone(),
        family_name: person.family_name.reveal().clone(),
        birth_date: born.map(|born| born.to_string()),
        number: person.number.clone(),
        inactive: person.inactive,
        minor: born.is_none_or(|born| consent::age_on(born, today) < ADULT_AT),
        vald: vald_patient_view(practice, born, at_vald, today),
    }
}

/// How it stands at VALD with the patient of a booking; none where the practice has no account.
pub fn vald_of_booking(
    practice: &PracticeState,
    booking: &Entry,
    patient: &PatientRef,
    at_vald: &AtVald,
    today: NaiveDate,
) -> Option<ValdPatientView> {
    let record = practice.people.as_ref().and_then(|people| people.directory.patient(patient));
    // Until the book's people are read, what the booking says will do.
    let born = record.map_or(booking.request.patient.birth_date.clone(), |record| record.birth_date);
    vald_patient_view(&practice.settings, *born.reveal(), at_vald, today)
}

/// How it stands with a patient's profile; none where the practice has no account.
fn vald_patient_view(
    practice: &PracticeSettings,
    born: Option<NaiveDate>,
    at_vald: &AtVald,
    today: NaiveDate,
) -> Option<ValdPatientView> {
    practice.vald.as_ref()?;
    let AtVald { consent, link } = at_vald;
    let (state, reason) = vald_state(born, consent.as_ref(), link.as_ref(), today);
    let sent_anew = link.as_ref().is_none_or(|link| !matches!(link.state, LinkState::Failed));
    Some(ValdPatientView {
        state,
        reason,
        can_open: can_open(practice, at_vald),
        can_link: state == ValdPatientState::OnItsWay && sent_anew,
    })
}

/// Whether a patient's page can be opened: the landing address is known, the profile is there, and consent to it was not
/// taken back.
pub fn can_open(practice: &PracticeSettings, at_vald: &AtVald) -> bool {
    let has_landing = practice.vald.as_ref().is_some_and(|account| account.hub_url.is_some());
    let is_withdrawn = at_vald.consent.as_ref().is_some_and(|last| last.line.said == Said::No);
    has_landing && !is_withdrawn && page(at_vald.link.as_ref()).is_some()
}

/// The link, where VALD has a profile by it, whatever became of the last change to it.
pub fn page(link: Option<&Link>) -> Option<&Link> {
    link.filter(|link| {
        let known = match link.state {
            LinkState::Linked | LinkState::Pending | LinkState::NeedsPerson | LinkState::Failed => true,
            LinkState::Conflict | LinkState::Ended => false,
        };
        known && link.partner_id.is_some()
    })
}

fn vald_state(
    born: Option<NaiveDate>,
    consent: Option<&Consent>,
    link: Option<&Link>,
    today: NaiveDate,
) -> (ValdPatientState, Option<String>) {
    let reason = || link.and_then(|link| link.reason.clone());
    let Some(last) = consent else { return (ValdPatientState::NotAsked, None) };
    if last.line.said == Said::No {
        return (ValdPatientState::Withdrawn, reason());
    }
    // What was said after the link came to its end has not been looked at yet.
    match link.filter(|link| link.state != LinkState::Ended || link.since >= last.line.at) {
        Some(link) => {
            let state = match link.state {
                LinkState::Linked => ValdPatientState::Linked,
                LinkState::Pending => ValdPatientState::OnItsWay,
                LinkState::NeedsPerson | LinkState::Conflict => ValdPatientState::NeedsPerson,
                LinkState::Failed => ValdPatientState::Refused,
                LinkState::Ended => ValdPatientState::Ended,
            };
            (state, reason())
        }
        None => match consent::allowed(consent, born, today) {
            Ok(_) => (ValdPatientState::OnItsWay, None),
            Err(NotAllowed::NotAsked) => (ValdPatientState::NotAsked, None),
            Err(NotAllowed::Withdrawn) => (ValdPatientState::Withdrawn, None),
            Err(missing @ (NotAllowed::AgeUnknown | NotAllowed::GuardianMissing)) => {
                (ValdPatientState::NeedsPerson, Some(sentence(&missing.to_string())))
            }
        },
    }
}

/// A clause as a sentence.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A record as the directory would have it, for when there is no directory.
pub fn hit_of(record: &PatientRecord) -> Hit {
    Hit {
        patient: record.id.clone(),
        number: record.shown_number.clone().unwrap_or_else(|| record.id.to_string()),
        given_name: record.details.first_name.clone(),
        family_name: record.details.last_name.clone(),
        birth_date: record.details.birth_date.clone(),
        inactive: record.inactive || record.deceased || record.merged_into.is_some(),
    }
}

/// Both names, for a line.
pub fn full_name(person: &Hit) -> String {
    format!("{} {}", person.given_name.reveal(), person.family_name.reveal()).trim().to_owned()
}

/// A link of a patient. `person` is none where the record is gone; `can_open` is of this very link.
pub fn link_view(link: &Link, person: Option<&Hit>, can_open: bool) -> LinkView {
    LinkView {
        patient_id: link.key.local_id.clone(),
        patient_name: person.map(full_name).unwrap_or_default(),
        partner: link.key.partner.to_string(),
        state: link.state.name().to_owned(),
        partner_id: link.partner_id.clone(),
        since: instant(link.since),
        reason: link.reason.clone(),
        accepted_at: link.accepted_at.map(instant),
        can_open,
    }
}

/// A line about consent.
pub fn consent_view(consent: &Consent) -> ConsentView {
    let line = &consent.line;
    let agreement = match &line.said {
        Said::Yes(agreement) => Some(agreement),
        Said::No => None,
    };
    let guardian = agreement.and_then(|agreement| agreement.guardian.as_ref());
    ConsentView {
        number: number(consent.number),
        partner: line.partner.to_string(),
        given: agreement.is_some(),
        guardian: guardian.map(|guardian| guardian.reveal().clone()),
        photo_and_video: agreement.is_some_and(|agreement| agreement.photo_and_video),
        how: match line.how {
            ConsentHow::AtDesk => ConsentHowView::AtDesk,
            ConsentHow::Form => ConsentHowView::Form,
            ConsentHow::CollectedBefore => ConsentHowView::CollectedBefore,
            ConsentHow::PracticeSystem => ConsentHowView::PracticeSystem,
        },
        recorded_by: line.recorded_by.reveal().clone(),
        wording: line.wording.clone(),
        at: instant(line.at),
    }
}

/// A line of the audit trail about a patient.
pub fn left_view(row: &AuditRow) -> LeftView {
    let Some(AuditEntry { line, .. }) = &row.entry else {
        return LeftView {
            number: number(row.number),
            at: None,
            partner: String::new(),
            what: UNREADABLE.to_owned(),
            fields: Vec::new(),
            consent: None,
            by: None,
        };
    };
    LeftView {
        number: number(row.number),
        at: Some(instant(line.at)),
        partner: line.partner.to_string(),
        what: line.what.name().to_owned(),
        fields: line.fields.clone(),
        consent: line.consent.map(number),
        by: line.by.as_ref().map(|by| by.reveal().clone()),
    }
}

/// What a line about what left says where it means nothing to us.
const UNREADABLE: &str = "unreadable";

/// What somebody typed about a person, in its wrapper; none where nothing was.
pub fn typed(text: &str) -> Option<Private<String>> {
    let text = text.trim();
    (!text.is_empty()).then(|| Private::new(text.to_owned()))
}

fn number(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// An appointment of a patient.
pub fn visit_view(practice: &PracticeState, visit: &Appointment, patient: Option<PatientView>) -> VisitView {
    let kind = visit.appointment_type.as_ref();
    let starts = visit.starts.0.time();
    VisitView {
        appointment_id: visit.id.to_string(),
        day: visit.starts.day().to_string(),
        starts: format!("{:02}:{:02}", starts.hour(), starts.minute()),
        length: visit.length.0,
        resource: name_of(practice, &visit.resource),
        appointment_type: kind.and_then(|kind| practice.appointment_types.get(kind).cloned()),
        patient,
    }
}

fn name_of(practice: &PracticeState, resource: &ResourceRef) -> String {
    let known = practice.resources.iter().find(|known| known.id == *resource);
    known.map_or_else(|| resource.to_string(), |known| known.name.clone())
}

/// The appointments of a day that somebody comes to, in the order of their times.
pub fn visits_on(reading: &BookReading, day: NaiveDate) -> Vec<&Appointment> {
    let of_day =
        |visit: &&Appointment| visit.starts.day() == day && visit.patient.is_some() && !is_off(visit);
    let mut visits: Vec<&Appointment> = reading.visits.iter().filter(of_day).collect();
    visits.sort_by(|one, other| (one.starts, &one.id).cmp(&(other.starts, &other.id)));
    visits
}

/// Whether nobody comes any more.
fn is_off(visit: &Appointment) -> bool {
    use domain::diary::AppointmentStatus as Status;
    match visit.status {
        Status::Cancelled | Status::DidNotAttend => true,
        Status::Booked | Status::Confirmed | Status::Arrived | Status::Completed | Status::Other => false,
    }
}

/// Who comes on a day, by practitioner. `people` are those of them whose record is known.
pub fn today_view(
    practice: &PracticeState,
    day: NaiveDate,
    people: &BTreeMap<PatientRef, PatientView>,
) -> TodayView {
    let visits = practice.reading.as_ref().map(|reading| visits_on(reading, day)).unwrap_or_default();
    let mut columns: BTreeMap<(String, &ResourceRef), Vec<VisitView>> = BTreeMap::new();
    let mut coming: BTreeSet<&PatientRef> = BTreeSet::new();
    for visit in visits {
        let patient = visit.patient.as_ref();
        coming.extend(patient);
        let shown = visit_view(practice, visit, patient.and_then(|patient| people.get(patient)).cloned());
        columns.entry((shown.resource.clone(), &visit.resource)).or_default().push(shown);
    }
    let vald = || coming.iter().filter_map(|patient| people.get(*patient)?.vald.as_ref());
    TodayView {
        practice_id: practice.settings.id.to_string(),
        day: day.to_string(),
        read_at: practice.reading.as_ref().map(|reading| instant(reading.read_at)),
        patients: count(coming.len()),
        linked: count(vald().filter(|vald| vald.state == ValdPatientState::Linked).count()),
        can_link: count(vald().filter(|vald| vald.can_link).count()),
        has_vald: practice.settings.vald.is_some(),
        practitioners: columns
            .into_iter()
            .map(|((name, resource), visits)| TodayColumnView {
                resource_id: resource.to_string(),
                name,
                visits,
            })
            .collect(),
    }
}

/// The VALD account of a practice; none where it has none.
pub(super) fn vald_view(practice: &PracticeState, inputs: &Inputs<'_>) -> Option<ValdView> {
    let account = practice.settings.vald.as_ref()?;
    let (light, problem) = leg_view(practice, Leg::Profiles, inputs);
    let known = practice.profiles.clone().unwrap_or_default();
    let of = |states: &[LinkState]| states.iter().filter_map(|state| known.links.get(state)).sum::<u32>();
    let progress = known.sending.filter(|(done, total)| done < total);
    let (needs_person, failed) =
        (of(&[LinkState::NeedsPerson]), of(&[LinkState::Failed, LinkState::Conflict]));
    let in_doubt = practice.shrinking.iter().any(|doubt| !doubt.is_of_the_book());
    let light = match light {
        Light::Ok | Light::Working if needs_person + failed > 0 || in_doubt => Light::Attention,
        Light::Ok if progress.is_some() => Light::Working,
        Light::Ok | Light::Working | Light::Attention | Light::Down | Light::Paused | Light::Unknown => light,
    };
    Some(ValdView {
        light,
        linked: of(&[LinkState::Linked]),
        pending: of(&[LinkState::Pending]),
        needs_person,
        failed,
        progress: progress.map(|(done, total)| ProgressView { done: count(done), total: count(total) }),
        last_answer_at: practice.legs.get(&Leg::Profiles).and_then(|note| note.proven_at).map(instant),
        can_open: account.hub_url.is_some(),
        unknown_groups: known.unknown_groups.iter().cloned().collect(),
        problem,
    })
}

/// The columns of an exported audit trail: its own, from which its digests can be reckoned again, and what is to be said
/// of a line.
pub const AUDIT_COLUMNS: [&str; 12] = [
    "number", "at", "practice", "partner", "patient", "what", "fields", "consent", "told_as", "by", "digest",
    "remark",
];

/// What is said of a line that means nothing to us.
const NOT_UNDERSTOOD: &str = "This line cannot be understood: it was changed, or a newer version wrote it.";

/// A line of the audit trail, column by column.
pub fn audit_cells(row: &AuditRow) -> [&str; 12] {
    let remark = if row.entry.is_some() { "" } else { NOT_UNDERSTOOD };
    let mut texts = row.columns.iter().map(|column| column.as_ref().map_or("", |text| text.reveal()));
    AUDIT_COLUMNS.map(|_| texts.next().unwrap_or(remark))
}
