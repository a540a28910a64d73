//! What people decide about links between records: who is whom, who is not, and what former programs left.
//!
//! A decision is recorded, and nothing else: the flow ([`crate::flows::record_links`]) looks at the partner before it
//! writes, so that nothing that changed meanwhile is overwritten.

use crate::flows::record_links::notes;
use chrono::{DateTime, Utc};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::Said;
use domain::failure::ReadError;
use domain::ids::{ForeignRecordId, PartnerId, PatientRef, PracticeId, SyncId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::matching::{Comparison, compare};
use domain::people::{PatientRecord, PersonDetails};
use domain::ports::practice::PracticeSystem;
use domain::ports::records::RecordRegister;
use domain::ports::store::{Store, StoreError};
use domain::private::Private;
use domain::records::{ForeignRecord, FormerFit, FormerName, InvoiceFacts, former_fit};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody says about one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is this record of the partner's.
    Same(ForeignRecordId),
    /// It is not this one. Where it is linked to it, it is unlinked.
    NotSame(ForeignRecordId),
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// There is no such link. For a patient, consent comes first.
    #[error("there is no such link; a patient's consent comes first")]
    NoLink,
    /// It is linked to another record already.
    #[error("it is linked to another record; unlink that one first")]
    LinkedElsewhere,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records what somebody decided about a link.
///
/// # Errors
/// [`DecideError`] says what is in the way.
pub async fn decide(
    store: &dyn Store,
    key: &LinkKey,
    choice: &Choice,
    by: &Private<String>,
    now: DateTime<Utc>,
) -> Result<(), DecideError> {
    let mut link = store.link(key).await?.ok_or(DecideError::NoLink)?;
    let told_as = SyncId::new(link.told_as.clone());
    heed(&mut link, choice, now)?;
    let what = match choice {
        Choice::Same(id) => {
            notes::allow(store, key, &told_as, id, now).await?;
            AuditEvent::Matched
        }
        Choice::NotSame(id) => {
            notes::refuse(store, key, &told_as, id, now).await?;
            AuditEvent::NotMatched
        }
    };
    store.save_links(std::slice::from_ref(&link), &[line(what, &link, by, now)]).await?;
    Ok(notes::decide(store, key, &told_as, choice, now).await?)
}

/// Makes a link what somebody decided that it is.
pub(crate) fn heed(link: &mut Link, choice: &Choice, now: DateTime<Utc>) -> Result<(), DecideError> {
    match choice {
        Choice::Same(id) => {
            let elsewhere =
                link.state == LinkState::Linked && link.partner_id.as_deref() != Some(id.as_str());
            if elsewhere {
                return Err(DecideError::LinkedElsewhere);
            }
            intend(link, id, now);
        }
        Choice::NotSame(id) => {
            if link.partner_id.as_deref() == Some(id.as_str()) {
                let was_written = link.state != LinkState::Conflict;
                link.becomes(LinkState::Ended, Some("Unlinked at the desk.".to_owned()), now);
                if was_written {
                    // An answer that got lost may have left our name there.
                    link.accepted.get_or_insert_default();
                } else {
                    link.partner_id = None;
                }
            }
            // Who is left is looked at anew.
            link.refused = None;
        }
    }
    Ok(())
}

fn intend(link: &mut Link, id: &ForeignRecordId, now: DateTime<Utc>) {
    link.partner_id = Some(id.to_string());
    link.refused = None;
    link.becomes(LinkState::Pending, None, now);
}

fn line(what: AuditEvent, link: &Link, by: &Private<String>, now: DateTime<Utc>) -> AuditLine {
    let is_patient = link.key.kind == LinkKind::Patient;
    AuditLine {
        at: now,
        practice: link.key.practice.clone(),
        partner: link.key.partner.clone(),
        patient: is_patient.then(|| PatientRef::new(link.key.local_id.clone())),
        what,
        fields: Vec::new(),
        consent: None,
        told_as: Some(link.told_as.clone()),
        by: Some(by.clone()),
    }
}

/// A patient beside the records of the partner's that could be meant, as both have them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideBySide {
    /// The patient's record in the book; none where it is gone.
    pub here: Option<PatientRecord>,
    /// Those at the partner, the likeliest first, each compared field by field.
    pub there: Vec<(ForeignRecord, Option<Comparison>)>,
}

/// Reads a patient, and whoever could be meant at the partner, for somebody to compare. Whoever is gone is left out.
///
/// # Errors
/// When the book, the partner or the store cannot be read.
pub async fn side_by_side(
    store: &dyn Store,
    practice: &dyn PracticeSystem,
    register: &dyn RecordRegister,
    link: &Link,
) -> Result<SideBySide, LookError> {
    let told_as = SyncId::new(link.told_as.clone());
    let mut ids = notes::suggested(store, &link.key, &told_as).await?;
    if let Some(id) = link.partner_id.clone().map(ForeignRecordId::new)
        && !ids.contains(&id)
    {
        ids.insert(0, id);
    }
    let here = match link.key.kind {
        LinkKind::Patient => {
            let patient = PatientRef::new(link.key.local_id.clone());
            practice.patient(&patient).await.map_err(LookError::Practice)?
        }
        LinkKind::Practitioner | LinkKind::Invoice => None,
    };
    let mut there = Vec::new();
    for id in ids {
        let read = register.record(link.key.kind, id.as_str()).await.map_err(LookError::Partner)?;
        if let Some(record) = read {
            let compared = here.as_ref().map(|here| compare(&here.details, &record.as_candidate()));
            there.push((record, compared));
        }
    }
    Ok(SideBySide { here, there })
}

/// A practitioner or an invoice whose link somebody may have something to say about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherLink {
    /// The link.
    pub link: Link,
    /// For an invoice: what the book says of it; none where it is gone.
    pub invoice: Option<InvoiceFacts>,
    /// The partner's records that it is or could be.
    pub there: Vec<ForeignRecord>,
}

/// How many invoices are read from the book in one go.
const PAGE: u32 = 500;

/// The links of practitioners, and those of invoices that wait for somebody, with what the partner has. Of practitioners
/// there are few, so that each of the partner's can be chosen.
///
/// # Errors
/// When the book, the partner or the store cannot be read.
pub async fn others(
    store: &dyn Store,
    practice: &dyn PracticeSystem,
    register: &dyn RecordRegister,
    of: (&PracticeId, &PartnerId),
) -> Result<Vec<OtherLink>, LookError> {
    let waits =
        |link: &Link| matches!(link.state, LinkState::NeedsPerson | LinkState::Conflict | LinkState::Failed);
    let links: Vec<Link> = store.links(of.0, Some(of.1)).await?;
    let of_staff = |link: &Link| link.key.kind == LinkKind::Practitioner;
    let of_invoices = |link: &Link| link.key.kind == LinkKind::Invoice && waits(link);
    let (staff, invoices): (Vec<Link>, Vec<Link>) = (
        links.iter().filter(|link| of_staff(link)).cloned().collect(),
        links.iter().filter(|link| of_invoices(link)).cloned().collect(),
    );
    let mut shown = Vec::new();
    if !staff.is_empty() {
        let read = register.records(LinkKind::Practitioner, None).await.map_err(LookError::Partner)?;
        let there = || read.records.iter().filter(|record| record.merged_into.is_none()).cloned().collect();
        shown.extend(staff.into_iter().map(|link| OtherLink { link, invoice: None, there: there() }));
    }
    if !invoices.is_empty() {
        let known = invoices_of(practice, &invoices).await?;
        for link in invoices {
            let there = side_by_side(store, practice, register, &link).await?.there;
            let invoice = known.get(&link.key.local_id).cloned();
            let there = there.into_iter().map(|(record, _)| record).collect();
            shown.push(OtherLink { link, invoice, there });
        }
    }
    Ok(shown)
}

/// What the book says of the invoices of these links.
async fn invoices_of(
    practice: &dyn PracticeSystem,
    links: &[Link],
) -> Result<BTreeMap<String, InvoiceFacts>, LookError> {
    let mut known = BTreeMap::new();
    let Some(book) = practice.invoice_book() else { return Ok(known) };
    let wanted: BTreeSet<&str> = links.iter().map(|link| link.key.local_id.as_str()).collect();
    let mut after: Option<String> = None;
    loop {
        let page = book.invoices(after.as_deref(), PAGE).await.map_err(LookError::Practice)?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        after = page.last().map(|invoice| invoice.id.clone());
        let meant = page.into_iter().filter(|invoice| wanted.contains(invoice.id.as_str()));
        known.extend(meant.map(|invoice| (invoice.id, invoice.facts)));
        if is_last || after.is_none() || known.len() == wanted.len() {
            return Ok(known);
        }
    }
}

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The book cannot be read.
    #[error("the practice database cannot be read")]
    Practice(#[source] ReadError),
    /// The partner cannot be asked.
    #[error("the partner cannot be asked")]
    Partner(#[source] ReadError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a former program left at a partner, record by record, before anything is done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormerLinks {
    /// Those that fit the book and may be carried over.
    pub fitting: Vec<CarryOver>,
    /// Those that fit the book, of patients who did not agree that the partner is told of them.
    pub without_consent: Vec<CarryOver>,
    /// Those that name somebody in the book who may be somebody else. A person decides, patient by patient.
    pub doubtful: Vec<(ForeignRecordId, Comparison)>,
    /// Those that name nobody in the book.
    pub unknown: Vec<ForeignRecordId>,
    /// Those that two records have, or that name one patient twice.
    pub ambiguous: Vec<ForeignRecordId>,
    /// How many have today's link already.
    pub replaced: usize,
    /// What each of the others says, for somebody to look at.
    pub seen: Vec<FormerSeen>,
}

/// What a former program left beside one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerSeen {
    /// The partner's record.
    pub record: ForeignRecordId,
    /// What was left, and in which field.
    pub left: FormerName,
    /// Whom the record is about.
    pub there: PersonDetails,
    /// Who has that name in the book; none where nobody has.
    pub here: Option<PersonDetails>,
}

/// A link that can be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarryOver {
    /// The partner's record.
    pub record: ForeignRecordId,
    /// The patient.
    pub patient: PatientRef,
    /// The name that it gets: the former one where that can stand in an address, and ours where it cannot.
    pub told_as: SyncId,
    /// The field that the former name stands in.
    pub field: &'static str,
}

/// Finds what a former program left, and says what would become of each. Changes nothing, here or there.
///
/// # Errors
/// When the book, the partner or the store cannot be read.
pub async fn former_links(
    store: &dyn Store,
    practice: &dyn PracticeSystem,
    register: &dyn RecordRegister,
    of: (&PracticeId, &PartnerId),
) -> Result<FormerLinks, LookError> {
    let read = register.records(LinkKind::Patient, None).await.map_err(LookError::Partner)?;
    let left: Vec<&ForeignRecord> = read.records.iter().filter(|record| !record.former.is_empty()).collect();
    let names: Vec<PatientRef> = left
        .iter()
        .flat_map(|record| &record.former)
        .map(|former| PatientRef::new(former.name.clone()))
        .collect();
    let mut book: BTreeMap<PatientRef, PatientRecord> = BTreeMap::new();
    for some in names.chunks(500) {
        let records = practice.patients(some).await.map_err(LookError::Practice)?;
        book.extend(records.into_iter().map(|record| (record.id.clone(), record)));
    }
    let mut found = FormerLinks::default();
    let mut fitting: BTreeMap<PatientRef, Vec<CarryOver>> = BTreeMap::new();
    for record in left {
        // Where two fields are left, the younger one counts, unless it names nobody.
        let named = record
            .former
            .iter()
            .find_map(|former| Some((former, book.get(&PatientRef::new(former.name.clone()))?)));
        let fit = former_fit(record, named.map(|(_, patient)| patient));
        if fit != FormerFit::Replaced {
            found.seen.extend(named.map(|(former, _)| former).or(record.former.first()).map(|left| {
                FormerSeen {
                    record: record.id.clone(),
                    left: left.clone(),
                    there: record.details.clone(),
                    here: named.map(|(_, patient)| patient.details.clone()),
                }
            }));
        }
        match fit {
            FormerFit::Replaced => found.replaced += 1,
            FormerFit::Unknown => found.unknown.push(record.id.clone()),
            FormerFit::Doubtful(comparison) => found.doubtful.push((record.id.clone(), *comparison)),
            FormerFit::Fits(patient) => {
                let former = named.map(|(former, _)| former);
                let told_as = match former {
                    Some(former) if register.takes(&former.name) => SyncId::new(former.name.clone()),
                    Some(_) | None => register.told_as(patient.as_str()),
                };
                let field = former.map_or("", |former| former.field);
                let carry = CarryOver { record: record.id.clone(), patient: patient.clone(), told_as, field };
                fitting.entry(patient).or_default().push(carry);
            }
        }
    }
    for (patient, mut carries) in fitting {
        if carries.len() > 1 {
            found.ambiguous.extend(carries.into_iter().map(|carry| carry.record));
            continue;
        }
        let consent = store.consent(of.0, of.1, &patient).await?;
        let agreed = consent.is_some_and(|consent| matches!(consent.line.said, Said::Yes(_)));
        let list = if agreed { &mut found.fitting } else { &mut found.without_consent };
        list.append(&mut carries);
    }
    Ok(found)
}

/// Carries links over that somebody looked at and agreed to. Each goes the road of every link: what the partner has by
/// then is looked at, and left alone where it is linked to something else. Returns how many.
///
/// # Errors
/// When the store fails.
pub async fn carry_over(
    store: &dyn Store,
    of: (&PracticeId, &PartnerId),
    carries: &[CarryOver],
    by: &Private<String>,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let known = store.links(of.0, Some(of.1)).await?;
    let taken: BTreeMap<&str, &LinkKey> =
        known.iter().map(|link| (link.told_as.as_str(), &link.key)).collect();
    let mut carried = 0;
    for carry in carries {
        let key = LinkKey {
            practice: of.0.clone(),
            partner: of.1.clone(),
            kind: LinkKind::Patient,
            local_id: carry.patient.to_string(),
        };
        let before = known.iter().find(|link| link.key == key);
        let is_settled =
            before.is_some_and(|link| link.state == LinkState::Linked || link.accepted.is_some());
        let is_taken = taken.get(carry.told_as.as_str()).is_some_and(|holder| **holder != key);
        if is_settled || is_taken {
            continue;
        }
        // Nobody was told of the patient yet, so that the name can still be chosen.
        let mut link = match before {
            Some(link) => Link { told_as: carry.told_as.to_string(), ..link.clone() },
            None => Link::new(key.clone(), carry.told_as.to_string(), now),
        };
        intend(&mut link, &carry.record, now);
        let line = line(AuditEvent::Matched, &link, by, now);
        store.save_links(std::slice::from_ref(&link), &[line]).await?;
        let choice = Choice::Same(carry.record.clone());
        notes::decide(store, &key, &carry.told_as, &choice, now).await?;
        carried += 1;
    }
    Ok(carried)
}
