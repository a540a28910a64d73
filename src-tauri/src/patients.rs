//! The patients screen, Today, and what people say about consent.

use crate::desktop::{Desk, Running};
use crate::linking::account::partner;
use crate::present::people::{
    self, AtVald, ValdOfBookings, consent_view, hit_of, left_view, link_view, patient_view,
};
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{
    ConsentHowView, ConsentInput, ErrorCode, LinkView, PatientCardView, PatientHits, PatientQuery,
    PatientView, TodayView, UiError, VisitView,
};
use crate::{devices, hub_page, joined};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::booking::Entry;
use domain::consent::{Agreement, ConsentHow, ConsentLine, Said};
use domain::directory::Hit;
use domain::ids::{PartnerId, PatientRef, PracticeId, ResourceRef};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::store::{Consents, Leg, Links, StoreError};
use domain::private::Private;
use domain::time::DayRange;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Store;
use sync::state::{EngineState, PeopleReading, PracticeState};

#[cfg(test)]
mod tests;

/// How long after a search who is in the books stays in memory, where nothing else needs it.
const SEARCHED_FOR: TimeDelta = TimeDelta::minutes(10);
/// More hits than these nobody reads.
const MOST_HITS: u32 = 50;
/// More links than these are not listed.
const MOST_LINKS: usize = 500;
/// More lines than these about what left are not shown.
const MOST_LEFT: u32 = 100;
/// The longest name of a person, or version of a wording.
const LONGEST: usize = 100;

/// VALD, as a partner is named.
pub fn vald() -> PartnerId {
    PartnerId::new(connectors::partners::vald::NAME)
}

/// The link of a patient at VALD.
pub fn link_key(practice: &PracticeId, patient: &PatientRef) -> LinkKey {
    LinkKey {
        practice: practice.clone(),
        partner: vald(),
        kind: LinkKind::Patient,
        local_id: patient.to_string(),
    }
}

/// What is known of a patient at VALD.
pub async fn at_vald(
    store: &Store,
    practice: &PracticeId,
    patient: &PatientRef,
) -> Result<AtVald, StoreError> {
    Ok(AtVald {
        consent: store.consent(practice, &vald(), patient).await?,
        link: store.link(&link_key(practice, patient)).await?,
    })
}

fn known(running: &Running, practice: &PracticeId) -> Result<PracticeState, UiError> {
    let state = running.engine.state();
    let known = state.borrow().practices.get(practice).cloned();
    known.ok_or_else(|| failure(ErrorCode::PracticeUnknown, "There is no such practice."))
}

/// Who matches what was typed.
pub async fn find(desk: &Desk, query: &PatientQuery) -> Result<PatientHits, UiError> {
    let running = desk.running()?;
    let now = desk.now();
    running.engine.search_until(now + SEARCHED_FOR);
    let limit = usize::try_from(query.limit.min(MOST_HITS)).unwrap_or_default();
    let practices: Vec<PracticeState> = {
        let state = running.engine.state();
        let state = state.borrow();
        let wanted = |practice: &&PracticeState| {
            query.practice_id.as_deref().is_none_or(|id| id == practice.settings.id.as_str())
        };
        state.practices.values().filter(wanted).cloned().collect()
    };
    let reading = practices.iter().any(|practice| practice.people.is_none());
    let mut found: Vec<(usize, PatientView)> = Vec::new();
    let mut patients = 0;
    for practice in &practices {
        let Some(people) = practice.people.clone() else { continue };
        patients += u32::try_from(people.directory.len()).unwrap_or(u32::MAX);
        let today = practice.settings.zone.today(now);
        for (rank, hit) in search(people, &query.text, today, limit).await?.into_iter().enumerate() {
            found.push((rank, shown(&running.store(), practice, &hit, today).await?));
        }
    }
    // How well somebody fits is only known within a practice, so that the practices take turns.
    found.sort_by_key(|(rank, _)| *rank);
    let hits = found.into_iter().map(|(_, hit)| hit).take(limit).collect();
    Ok(PatientHits { hits, reading, patients })
}

/// A search among hundreds of thousands takes longer than others want to wait for a thread.
async fn search(
    people: Arc<PeopleReading>,
    text: &str,
    today: NaiveDate,
    limit: usize,
) -> Result<Vec<Hit>, UiError> {
    let text = text.to_owned();
    tokio::task::spawn_blocking(move || people.directory.search(&text, today, limit))
        .await
        .map_err(|error| failure(ErrorCode::Unknown, error.to_string()))
}

async fn shown(
    store: &Store,
    practice: &PracticeState,
    person: &Hit,
    today: NaiveDate,
) -> Result<PatientView, StoreError> {
    let settings = &practice.settings;
    let at_vald = match settings.vald {
        Some(_) => at_vald(store, &settings.id, &person.patient).await?,
        None => AtVald::default(),
    };
    Ok(patient_view(settings, person, &at_vald, today))
}

/// How it stands at VALD with the patients of these bookings, where it is known who they are.
pub async fn of_bookings(
    store: &Store,
    engine: &EngineState,
    bookings: impl Iterator<Item = &Entry>,
    now: DateTime<Utc>,
) -> Result<ValdOfBookings, StoreError> {
    let mut known = ValdOfBookings::new();
    for entry in bookings {
        let practice = engine.practices.get(&entry.request.key.practice);
        let practice = practice.filter(|practice| practice.settings.vald.is_some());
        let patient = entry.state.held().and_then(|held| held.patient);
        let Some((practice, patient)) = practice.zip(patient) else { continue };
        let at_vald = at_vald(store, &practice.settings.id, &patient).await?;
        let today = practice.settings.zone.today(now);
        let shown = people::vald_of_booking(practice, entry, &patient, &at_vald, today);
        known.extend(shown.map(|shown| (entry.request.key.clone(), shown)));
    }
    Ok(known)
}

/// Whose appointments touch this time of the book, as far as it was read and their records are known.
pub async fn visits_at(
    store: &Store,
    practice: &PracticeState,
    (resource, day, range): (&ResourceRef, NaiveDate, DayRange),
    now: DateTime<Utc>,
) -> Result<Vec<VisitView>, StoreError> {
    let (Some(reading), Some(people)) = (&practice.reading, &practice.people) else { return Ok(Vec::new()) };
    let today = practice.settings.zone.today(now);
    let mut visits = Vec::new();
    for visit in people::visits_on(reading, day) {
        let touches = visit.starts.range(visit.length).is_some_and(|taken| taken.overlaps(range));
        let patient = visit.patient.as_ref().filter(|_| touches && visit.resource == *resource);
        if let Some(person) = patient.and_then(|patient| people.directory.patient(patient)) {
            let shown = shown(store, practice, &person, today).await?;
            visits.push(people::visit_view(practice, visit, Some(shown)));
        }
    }
    Ok(visits)
}

/// A patient, from memory or else from the book.
async fn person(running: &Running, practice: &PracticeState, patient: &PatientRef) -> Result<Hit, UiError> {
    let remembered = practice.people.as_ref().and_then(|people| people.directory.patient(patient));
    if let Some(person) = remembered {
        return Ok(person);
    }
    let connections = running.home.connections();
    let book = connections
        .practice_system(&practice.settings)
        .await
        .map_err(|problem| failure(ErrorCode::PracticeUnreachable, problem.sentence))?;
    let record = book.patient(patient).await.map_err(|error| of_connection(Leg::System, &error))?;
    let gone = || failure(ErrorCode::PatientUnknown, "This patient is not in the book any more.");
    record.as_ref().map(hit_of).ok_or_else(gone)
}

/// Everything about one patient.
pub async fn card(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
) -> Result<PatientCardView, UiError> {
    let running = desk.running()?;
    let state = known(running, practice)?;
    let store = running.store();
    let today = state.settings.zone.today(desk.now());
    let person = person(running, &state, patient).await?;
    let shown = shown(&store, &state, &person, today).await?;
    let links = store.links_of(practice, LinkKind::Patient, patient.as_str()).await?;
    let mut consents = store.consent_history(practice, patient).await?;
    consents.reverse();
    let left = store.audit_rows_of(practice, patient, MOST_LEFT).await?;
    let visits = state.reading.iter().flat_map(|reading| &reading.visits);
    let visits = visits.filter(|visit| visit.patient.as_ref() == Some(patient));
    let devices = match state.settings.accounts.is_empty() {
        true => Vec::new(),
        false => devices::of_patient(&store, &state.settings, patient, &person.birth_date, today).await?,
    };
    let joined = joined::of_patient(&store, &state.settings, patient, &person.birth_date, today).await?;
    let has_page = shown.vald.as_ref().is_some_and(|at_vald| at_vald.can_open);
    let link_view = |link: &Link| link_view(link, Some(&person), has_page && link.key.partner == vald());
    Ok(PatientCardView {
        devices,
        joined,
        links: links.iter().map(link_view).collect(),
        consents: consents.iter().map(consent_view).collect(),
        left: left.iter().map(left_view).collect(),
        visits: visits.map(|visit| people::visit_view(&state, visit, None)).collect(),
        patient: shown,
    })
}

/// Links that need a person or were refused, or those of one state.
pub async fn links(
    desk: &Desk,
    practice: &PracticeId,
    state: Option<&str>,
) -> Result<Vec<LinkView>, UiError> {
    let running = desk.running()?;
    let known = known(running, practice)?;
    let wanted: Vec<LinkState> = match state {
        None => vec![LinkState::NeedsPerson, LinkState::Conflict, LinkState::Failed],
        Some(name) => LinkState::ALL.into_iter().filter(|state| state.name() == name).collect(),
    };
    if wanted.is_empty() {
        return Err(bad_input("There is no such state of a link."));
    }
    let store = running.store();
    let links = store.links(practice, None).await?;
    let people = known.people.as_ref();
    let mut shown = Vec::new();
    let of_patients = links.into_iter().filter(|link| link.key.kind == LinkKind::Patient);
    for link in of_patients.filter(|link| wanted.contains(&link.state)).take(MOST_LINKS) {
        let patient = PatientRef::new(link.key.local_id.as_str());
        let person = people.and_then(|people| people.directory.patient(&patient));
        if link.key.partner != vald() {
            shown.push(link_view(&link, person.as_ref(), false));
            continue;
        }
        let consent = store.consent(practice, &vald(), &patient).await?;
        let at_vald = AtVald { consent, link: Some(link) };
        let can_open = people::can_open(&known.settings, &at_vald);
        shown.extend(at_vald.link.map(|link| link_view(&link, person.as_ref(), can_open)));
    }
    Ok(shown)
}

/// Who comes today.
pub async fn today(desk: &Desk, practice: &PracticeId) -> Result<TodayView, UiError> {
    let running = desk.running()?;
    let now = desk.now();
    running.engine.search_until(now + SEARCHED_FOR);
    let state = known(running, practice)?;
    let today = state.settings.zone.today(now);
    let mut coming = BTreeMap::new();
    if let (Some(reading), Some(people)) = (&state.reading, &state.people) {
        let store = running.store();
        for patient in people::visits_on(reading, today).iter().filter_map(|visit| visit.patient.as_ref()) {
            if let Some(person) = people.directory.patient(patient).filter(|_| !coming.contains_key(patient))
            {
                coming.insert(patient.clone(), shown(&store, &state, &person, today).await?);
            }
        }
    }
    Ok(people::today_view(&state, today, &coming))
}

/// Records consent for a partner; for VALD, the profile is sent at once.
pub async fn give_consent(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    partner: &str,
    input: ConsentInput,
) -> Result<(), UiError> {
    let how = match input.how {
        ConsentHowView::AtDesk => ConsentHow::AtDesk,
        ConsentHowView::Form => ConsentHow::Form,
        ConsentHowView::CollectedBefore => ConsentHow::CollectedBefore,
        ConsentHowView::PracticeSystem => {
            return Err(bad_input(
                "What the practice system says is read from there, and not recorded here.",
            ));
        }
    };
    if input.guardian.as_deref().is_some_and(|name| name.chars().count() > LONGEST) {
        return Err(bad_input(format!("The guardian's name has at most {LONGEST} letters.")));
    }
    let said = Said::Yes(Agreement {
        guardian: input.guardian.as_deref().and_then(people::typed),
        photo_and_video: input.photo_and_video,
    });
    let whose = (practice, patient, consenting(partner)?);
    record(desk, whose, said, how, &input.recorded_by, &input.wording).await
}

/// Records that consent was refused or withdrawn. Nothing more is sent from then on.
pub async fn withdraw_consent(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    partner: &str,
    recorded_by: String,
) -> Result<(), UiError> {
    let whose = (practice, patient, consenting(partner)?);
    record(desk, whose, Said::No, ConsentHow::AtDesk, &recorded_by, "").await
}

/// The partner that consent is about.
fn consenting(name: &str) -> Result<PartnerId, UiError> {
    if name == connectors::partners::vald::NAME { Ok(vald()) } else { Ok(partner(name)?.id()) }
}

async fn record(
    desk: &Desk,
    (practice, patient, partner): (&PracticeId, &PatientRef, PartnerId),
    said: Said,
    how: ConsentHow,
    recorded_by: &str,
    wording: &str,
) -> Result<(), UiError> {
    let running = desk.running()?;
    let state = known(running, practice)?;
    let line = ConsentLine {
        practice: practice.clone(),
        partner,
        patient: patient.clone(),
        said,
        how,
        recorded_by: recorded_by_name(recorded_by)?,
        wording: checked_wording(wording)?,
        at: desk.now(),
    };
    if line.said == Said::No {
        // Also of somebody whose record is gone: what is taken back is taken back.
    } else {
        person(running, &state, patient).await?;
    }
    running.store().record_consents(&[line]).await?;
    running.engine.hurry(practice.clone(), BTreeSet::from([patient.clone()]));
    desk.look_again();
    Ok(())
}

/// Who writes something down.
pub fn recorded_by_name(typed: &str) -> Result<Private<String>, UiError> {
    let name = people::typed(typed);
    match name {
        None => Err(bad_input("Say who records this.")),
        Some(_) if typed.chars().count() > LONGEST => {
            Err(bad_input(format!("The name of whoever records this has at most {LONGEST} letters.")))
        }
        Some(name) => Ok(name),
    }
}

/// The version of a wording.
pub fn checked_wording(typed: &str) -> Result<String, UiError> {
    let wording = typed.trim();
    if wording.chars().count() > LONGEST || wording.chars().any(char::is_control) {
        return Err(bad_input(format!("The version of the wording has at most {LONGEST} letters.")));
    }
    Ok(wording.to_owned())
}

/// Has these patients sent before all others, as far as they consented and are not linked yet. Answers how many.
pub async fn link(desk: &Desk, practice: &PracticeId, patients: Vec<PatientRef>) -> Result<u32, UiError> {
    let running = desk.running()?;
    let state = known(running, practice)?;
    hub_page::account(&state.settings)?;
    let store = running.store();
    let today = state.settings.zone.today(desk.now());
    let mut wanted = BTreeSet::new();
    for patient in patients {
        let person = person(running, &state, &patient).await?;
        let view = shown(&store, &state, &person, today).await?;
        if view.vald.is_some_and(|vald| vald.can_link) {
            wanted.insert(patient);
        }
    }
    let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    if !wanted.is_empty() {
        running.engine.hurry(practice.clone(), wanted);
    }
    Ok(count)
}
