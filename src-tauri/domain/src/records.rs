//! Records that the clinic and a partner both have, and whether two of them are one and the same.
//!
//! Nobody is linked on a guess. A pair is linked without a person only where our matching is certain and the partner's
//! own names the same record and no other, in both directions; where somebody linked the record to something else
//! before, that stands (Hint sheet §7).

use crate::consent::{self, Consent};
use crate::ids::{ForeignRecordId, PatientRef, SyncId};
use crate::link::LinkKind;
use crate::matching::{self, Agreement, Comparison, Field};
use crate::people::{PatientPlan, PatientRecord, PersonDetails};
use crate::private::Private;
use crate::profile::NotReady;
use chrono::{DateTime, NaiveDate, Utc};

/// A record as the partner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRecord {
    /// What it is.
    pub kind: LinkKind,
    /// What the partner calls it.
    pub id: ForeignRecordId,
    /// The name under which we told the partner of a thing of ours, where this record is linked to one.
    pub told_as: Option<SyncId>,
    /// The names that former programs left in fields which the partner has given up.
    pub former: Vec<FormerName>,
    /// Whom it is about, letter by letter as the partner spells it.
    pub details: PersonDetails,
    /// For an invoice: what it says.
    pub invoice: Option<InvoiceFacts>,
    /// Whether it was put away there. It may come back.
    pub archived: bool,
    /// The record that it was merged into.
    pub merged_into: Option<ForeignRecordId>,
    /// When it changed last, by the partner's clock.
    pub updated_at: Option<DateTime<Utc>>,
    /// The partner's page about it.
    pub page: Option<String>,
    /// Whether a problem of ours is shown to the partner's staff beside it.
    pub shows_problem: bool,
}

impl ForeignRecord {
    /// It as matching takes a record. The key is the partner's.
    pub fn as_candidate(&self) -> PatientRecord {
        PatientRecord::new(PatientRef::new(self.id.as_str()), self.details.clone())
    }
}

/// A name that a former program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerName {
    /// The field that it stands in, in the partner's words.
    pub field: &'static str,
    /// The name; it may be anything.
    pub name: String,
}

/// What two invoices are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceFacts {
    /// The number that people see, where it has one.
    pub number: Option<String>,
    /// The day that stands on it.
    pub date: Option<NaiveDate>,
    /// Everything that was asked for, in the smallest unit of its currency: cents.
    pub total_in_cents: Option<i64>,
    /// Whose it is, as the side that has the invoice calls them.
    pub patient: Option<String>,
}

/// A practice as the partner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPractice {
    /// What the partner calls it.
    pub id: String,
    /// The name that people know.
    pub name: String,
}

/// Whether a patient may be looked for at a partner, and can be: which consent allows it on `today`, practice-local, or what
/// somebody has to do about it.
pub fn ready<'c>(
    record: &PatientRecord,
    consent: Option<&'c Consent>,
    today: NaiveDate,
) -> Result<&'c Consent, NotReady> {
    if record.deceased {
        return Err(NotReady::Deceased);
    }
    let consent = consent::allowed(consent, *record.details.birth_date.reveal(), today)?;
    if matching::name(&record.details.first_name).is_empty() {
        return Err(NotReady::GivenNameMissing);
    }
    if matching::name(&record.details.last_name).is_empty() {
        return Err(NotReady::FamilyNameMissing);
    }
    Ok(consent)
}

/// What is to be done about a thing of the clinic that is not linked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The partner holds the link already.
    Known(ForeignRecordId),
    /// They are one and the same, beyond doubt.
    Link {
        /// The partner's record.
        record: ForeignRecordId,
        /// Why, in a sentence that names nobody.
        reason: String,
    },
    /// They are one and the same, but the partner's record is linked to something else.
    Conflict {
        /// The partner's record.
        record: ForeignRecordId,
        /// What is in the way, in a sentence that names nobody.
        reason: String,
    },
    /// A person decides.
    Ask {
        /// The records that could be meant, the likeliest first, each compared field by field.
        candidates: Vec<Comparison>,
        /// What is unclear, in a sentence that names nobody.
        reason: String,
    },
    /// The partner has nothing that it could be.
    Nobody,
}

/// What is known when it is decided which of the partner's records a patient is.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'e> {
    /// The patient's record in the book.
    pub patient: &'e PatientRecord,
    /// The name under which the partner is or would be told of the patient.
    pub told_as: &'e SyncId,
    /// Every record of the partner's that could be meant, found by us or by the partner. Whoever a person said it is not
    /// is left out.
    pub records: &'e [ForeignRecord],
    /// Those that the partner's own matching names; none where it was not asked.
    pub named: Option<&'e [ForeignRecordId]>,
    /// Everybody in the book who could be the one that is meant, the patient among them.
    pub book: &'e [PatientRecord],
}

/// Decides which of the partner's records a patient is.
pub fn decide(evidence: Evidence<'_>) -> Decided {
    let Evidence { patient, told_as, records, named, book } = evidence;
    let holds = records.iter().find(|record| record.told_as.as_ref() == Some(told_as));
    if let Some(record) = holds {
        return Decided::Known(record.id.clone());
    }
    let open: Vec<&ForeignRecord> = records.iter().filter(|record| record.merged_into.is_none()).collect();
    let compared: Vec<PatientRecord> = open.iter().map(|record| record.as_candidate()).collect();
    let ours = matching::decide(&patient.details, None, &compared);
    let named_only = |id: &ForeignRecordId| named.is_some_and(|named| named == [id.clone()]);
    let nobody_named = named.is_none_or(<[_]>::is_empty);
    let chosen = match &ours.plan {
        PatientPlan::Existing(id) => open.iter().find(|record| record.id.as_str() == id.as_str()),
        PatientPlan::New { .. } if nobody_named => return Decided::Nobody,
        PatientPlan::New { .. } | PatientPlan::Undecided => None,
    };
    let best = ours.candidates.first();
    let doubt = match (chosen, best) {
        (None, _) | (_, None) => Some(ours.reason.clone()),
        (Some(record), Some(best)) => doubt(record, best, named_only(&record.id), patient, book),
    };
    match (doubt, chosen) {
        (None, Some(record)) => match &record.told_as {
            Some(_) => Decided::Conflict { record: record.id.clone(), reason: TAKEN.to_owned() },
            None => Decided::Link { record: record.id.clone(), reason: ours.reason },
        },
        (doubt, _) => Decided::Ask {
            candidates: shown(&ours.candidates, &compared, named, patient),
            reason: doubt.unwrap_or(ours.reason),
        },
    }
}

/// What stands in the way where the partner's record is linked already.
pub const TAKEN: &str = "The record there is linked to something else of ours already, and is left as it is. Compare both, \
                         and unlink the wrong one.";

/// Why a person is asked although our matching is certain; none where nothing speaks against a link.
fn doubt(
    record: &ForeignRecord,
    best: &Comparison,
    named_only: bool,
    patient: &PatientRecord,
    book: &[PatientRecord],
) -> Option<String> {
    let agrees = |field: Field| best.of(field) == Agreement::Same;
    if !(agrees(Field::BirthDate)
        && agrees(Field::LastName)
        && (agrees(Field::Phone) || agrees(Field::Email)))
    {
        return Some(format!("It is likely the same person, but not all of it agrees: {}.", best.explain()));
    }
    if record.archived {
        return Some(format!("The record there was put away: {}.", best.explain()));
    }
    if !named_only {
        return Some(format!("The other side's own matching does not say the same: {}.", best.explain()));
    }
    let standing: Vec<PatientRecord> = book
        .iter()
        .filter(|other| other.id == patient.id || (!other.inactive && other.merged_into.is_none()))
        .cloned()
        .collect();
    let back = matching::decide(&record.details, None, &standing);
    if back.plan != PatientPlan::Existing(patient.id.clone()) {
        return Some(format!("Another record in the book could be meant as well: {}.", best.explain()));
    }
    None
}

/// What a person looks at: what our matching found, and behind it whatever else the partner's matching names.
fn shown(
    found: &[Comparison],
    compared: &[PatientRecord],
    named: Option<&[ForeignRecordId]>,
    patient: &PatientRecord,
) -> Vec<Comparison> {
    let mut shown = found.to_vec();
    for id in named.unwrap_or_default() {
        let is_shown = shown.iter().any(|comparison| comparison.record.id.as_str() == id.as_str());
        let record = compared.iter().find(|record| record.id.as_str() == id.as_str());
        if let Some(record) = record.filter(|_| !is_shown) {
            shown.push(matching::compare(&patient.details, record));
        }
    }
    shown
}

/// How the name that a former program left fits what the book says of whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormerFit {
    /// It is the same person.
    Fits(PatientRef),
    /// It may be the same person, or is somebody else; a person decides.
    Doubtful(Box<Comparison>),
    /// The book has nobody of that name.
    Unknown,
    /// The record is linked by today's field.
    Replaced,
}

/// Whether what a former program left can be carried over. `named` is who has that name in the book.
pub fn former_fit(record: &ForeignRecord, named: Option<&PatientRecord>) -> FormerFit {
    if record.told_as.is_some() {
        return FormerFit::Replaced;
    }
    let standing = named.filter(|named| named.merged_into.is_none() && !named.deceased);
    let Some(named) = standing else { return FormerFit::Unknown };
    let decision = matching::decide(&record.details, None, std::slice::from_ref(named));
    match decision.plan {
        PatientPlan::Existing(patient) if !record.archived && record.merged_into.is_none() => {
            FormerFit::Fits(patient)
        }
        PatientPlan::Existing(_) | PatientPlan::New { .. } | PatientPlan::Undecided => {
            FormerFit::Doubtful(Box::new(matching::compare(&record.details, named)))
        }
    }
}

/// A practitioner of the practice, by the names that people know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PractitionerNames {
    /// What the practice system calls them.
    pub id: String,
    /// The name that people see.
    pub name: String,
}

/// The partner's practitioners who could be this one, by their names alone. Never enough without a person: a practice
/// system gives out nothing else of its staff.
pub fn practitioners_like<'r>(
    practitioner: &PractitionerNames,
    records: &'r [ForeignRecord],
) -> Vec<&'r ForeignRecord> {
    let words = |text: &Private<String>| matching::name_words(text);
    let wanted = words(&Private::new(practitioner.name.clone()));
    let mut ranked: Vec<(usize, &ForeignRecord)> = records
        .iter()
        .filter(|record| record.kind == LinkKind::Practitioner && record.merged_into.is_none())
        .map(|record| {
            let has = [words(&record.details.first_name), words(&record.details.last_name)].concat();
            (wanted.iter().filter(|word| has.contains(word)).count(), record)
        })
        .filter(|(shared, _)| *shared > 0)
        .collect();
    ranked.sort_by(|(one, first), (other, second)| other.cmp(one).then_with(|| first.id.cmp(&second.id)));
    ranked.into_iter().map(|(_, record)| record).collect()
}

/// An invoice of the practice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalInvoice {
    /// What the practice system calls it.
    pub id: String,
    /// What it says. The patient is the practice system's.
    pub facts: InvoiceFacts,
}

/// Which of the partner's invoices one of the practice's is. `records` are those of the same patient; `siblings` are all
/// invoices of the practice for that patient, this one among them. Money is compared to the cent.
pub fn decide_invoice(
    invoice: &LocalInvoice,
    told_as: &SyncId,
    records: &[ForeignRecord],
    siblings: &[LocalInvoice],
) -> InvoiceDecided {
    if let Some(record) = records.iter().find(|record| record.told_as.as_ref() == Some(told_as)) {
        return InvoiceDecided::Known(record.id.clone());
    }
    let like = |facts: Option<&InvoiceFacts>| {
        facts.is_some_and(|facts| {
            facts.date.is_some()
                && facts.total_in_cents.is_some()
                && facts.date == invoice.facts.date
                && facts.total_in_cents == invoice.facts.total_in_cents
        })
    };
    let found: Vec<&ForeignRecord> = records.iter().filter(|record| like(record.invoice.as_ref())).collect();
    let alike_here = siblings.iter().filter(|sibling| like(Some(&sibling.facts))).count();
    let same_number = |record: &ForeignRecord| {
        let theirs = record.invoice.as_ref().and_then(|facts| facts.number.as_deref());
        theirs.is_some() && theirs == invoice.facts.number.as_deref()
    };
    match found.as_slice() {
        [] => InvoiceDecided::Nothing,
        [record] if same_number(record) && alike_here == 1 => match &record.told_as {
            Some(_) => InvoiceDecided::Conflict(record.id.clone()),
            None => InvoiceDecided::Link(record.id.clone()),
        },
        several => InvoiceDecided::Ask(several.iter().map(|record| record.id.clone()).collect()),
    }
}

/// What is to be done about an invoice that is not linked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvoiceDecided {
    /// The partner holds the link already.
    Known(ForeignRecordId),
    /// Number, day and amount agree, and nothing else of the patient's has that day and amount.
    Link(ForeignRecordId),
    /// The same, but the partner's is linked to something else.
    Conflict(ForeignRecordId),
    /// One of these could be meant.
    Ask(Vec<ForeignRecordId>),
    /// The partner has nothing that it could be.
    Nothing,
}

#[cfg(test)]
mod tests;
