//! Between Hint's JSON and what we mean by it. Pure.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::ids::{ForeignRecordId, PracticeId, SyncId};
use domain::link::LinkKind;
use domain::people::PersonDetails;
use domain::private::Private;
use domain::records::{ForeignPractice, ForeignRecord, FormerName, InvoiceFacts};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire;
use crate::http::short_reason;

/// What Hint's own ids begin with (contract sheet §3). A name of ours must not look like one of them.
const OF_HINT: [&str; 19] = [
    "pat-", "pct-", "inv-", "pmt-", "loc-", "pra-", "prc-", "prg-", "lds-", "com-", "mem-", "int-", "inst-",
    "whep-", "evt-", "user-", "emc-", "ppr-", "sbx-",
];

/// Longer names are kept for nobody; Hint does not say how long one may be (contract sheet §10).
const LONGEST_NAME: usize = 100;

/// A row that has no id, or whose fields are of other shapes than described.
#[derive(Debug, thiserror::Error)]
#[error("a record whose shape is not known")]
pub struct Unreadable;

/// What is to be written on a record.
pub enum Change<'c> {
    /// Our name, with the address of our page about it.
    Link { told_as: &'c SyncId, page: Option<&'c str> },
    /// No name of ours any more.
    Unlink,
    /// What is wrong, for Hint's staff; none takes it away.
    Problem(Option<&'c str>),
}

/// A practice. One without a name goes by its id, because people confirm things by the name.
pub fn practice(practice: wire::Practice) -> ForeignPractice {
    let name = practice.name.filter(|name| !name.trim().is_empty());
    ForeignPractice { name: name.unwrap_or_else(|| practice.id.clone()), id: practice.id }
}

/// A record of any kind.
pub fn record(kind: LinkKind, row: Value) -> Result<ForeignRecord, Unreadable> {
    let linked: wire::Linked = read(row.clone())?;
    let empty = |id: String| ForeignRecord {
        kind,
        id: ForeignRecordId::new(id),
        told_as: linked.integration_record_id.map(SyncId::new),
        former: Vec::new(),
        details: PersonDetails::default(),
        invoice: None,
        archived: false,
        merged_into: None,
        updated_at: linked.updated_at.as_deref().and_then(instant),
        page: None,
        shows_problem: false,
    };
    let record = match kind {
        LinkKind::Patient => patient(read(row)?, empty),
        LinkKind::Practitioner => practitioner(read(row)?, empty),
        LinkKind::Invoice => invoice(read(row)?, empty),
    };
    if record.id.as_str().trim().is_empty() { Err(Unreadable) } else { Ok(record) }
}

fn read<T: DeserializeOwned>(row: Value) -> Result<T, Unreadable> {
    serde_json::from_value(row).map_err(|_| Unreadable)
}

fn patient(patient: wire::Patient, empty: impl FnOnce(String) -> ForeignRecord) -> ForeignRecord {
    let given = |text: Option<String>| Private::new(text.unwrap_or_default());
    let phones = patient.phones.into_iter().flatten().filter_map(|phone| phone.number);
    let details = PersonDetails {
        first_name: given(patient.first_name),
        last_name: given(patient.last_name),
        birth_date: Private::new(patient.dob.as_deref().and_then(day)),
        phones: phones.map(Private::new).collect(),
        email: given(patient.email),
        street: given(patient.address_line1),
        suburb: given(patient.address_city),
        state: given(patient.address_state),
        postcode: given(patient.address_zip),
        ..PersonDetails::default()
    };
    let former = [("external_link_id", patient.external_link_id), ("import_id", patient.import_id)];
    let former = former.into_iter().filter_map(|(field, name)| Some(FormerName { field, name: name? }));
    ForeignRecord {
        former: former.collect(),
        details,
        archived: patient.membership_status.as_deref() == Some("archived"),
        merged_into: patient.merged_into.as_ref().and_then(merged_into),
        page: patient.provider_web_link,
        shows_problem: patient.integration_error_message.is_some_and(|message| !message.is_empty()),
        ..empty(patient.id)
    }
}

/// An object with an id by its description; a bare id would mean the same.
fn merged_into(value: &Value) -> Option<ForeignRecordId> {
    let id = value.get("id").unwrap_or(value).as_str()?;
    Some(ForeignRecordId::new(id))
}

fn practitioner(
    practitioner: wire::Practitioner,
    empty: impl FnOnce(String) -> ForeignRecord,
) -> ForeignRecord {
    let name = practitioner.name.unwrap_or_default();
    let (first, last) = name.trim().rsplit_once(char::is_whitespace).unwrap_or(("", name.trim()));
    let details = PersonDetails {
        first_name: Private::new(first.to_owned()),
        last_name: Private::new(last.to_owned()),
        email: Private::new(practitioner.email.unwrap_or_default()),
        ..PersonDetails::default()
    };
    ForeignRecord { details, ..empty(practitioner.id) }
}

fn invoice(invoice: wire::Invoice, empty: impl FnOnce(String) -> ForeignRecord) -> ForeignRecord {
    let facts = InvoiceFacts {
        number: invoice.invoice_number,
        date: invoice.date.as_deref().and_then(day),
        total_in_cents: invoice.total_in_cents.or(invoice.amount_in_cents),
        patient: invoice.patient.or(invoice.owner).map(|whose| whose.id),
    };
    ForeignRecord { invoice: Some(facts), page: invoice.provider_web_link, ..empty(invoice.id) }
}

/// A day on the calendar; a time behind it is left away.
fn day(text: &str) -> Option<NaiveDate> {
    text.get(..10).unwrap_or(text).parse().ok()
}

/// An instant with its offset.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// An instant in a query, rounded down.
pub fn since(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether a name can stand in a path as it is, and is no id of Hint's own (contract sheet §4).
pub fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~".contains(&byte);
    let only_dots = name.bytes().all(|byte| byte == b'.');
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !only_dots
        && !OF_HINT.iter().any(|prefix| name.starts_with(prefix))
}

/// The name of a thing of a practice. Nothing in it may change, no two things have the same, and it stands in a path as it
/// is: what could not is written as a tilde and two hexadecimal digits for each byte.
pub fn told_as(practice: &PracticeId, local_id: &str) -> SyncId {
    let mut name = format!("{practice}-");
    for byte in local_id.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(name, "~{byte:02x}");
        }
    }
    // No practice has a full stop in its name.
    SyncId::new(if is_plain(&name) { name } else { format!("cc.{name}") })
}

/// Whether it can be the address of our pages about patients.
pub fn is_page(page: &str) -> bool {
    let encrypted = page.starts_with("https://") || page.starts_with("http://");
    encrypted && page.contains("{patientId}") && !page.contains(char::is_whitespace)
}

/// The address of our page about a patient.
pub fn page_of(page: &str, local_id: &str) -> Option<String> {
    let id: String =
        percent_encoding::utf8_percent_encode(local_id, percent_encoding::NON_ALPHANUMERIC).to_string();
    let address = page.replace("{patientId}", &id);
    (address != page).then_some(address)
}

/// Whom to look for.
pub fn wanted(person: &PersonDetails) -> wire::Wanted {
    let given =
        |text: &Private<String>| Some(text.reveal().trim().to_owned()).filter(|text| !text.is_empty());
    let phones = person.phones.iter().filter_map(|phone| self::phone(phone.reveal()));
    wire::Wanted {
        first_name: given(&person.first_name).unwrap_or_default(),
        last_name: given(&person.last_name).unwrap_or_default(),
        email: given(&person.email),
        // Never the American order, although the product is American (contract sheet §8).
        dob: person.birth_date.reveal().map(|born| born.format("%Y-%m-%d").to_string()),
        phones: phones.collect(),
    }
}

/// A number as Hint wants it: ten digits of the North American plan without their country code, or whatever it is.
fn phone(text: &str) -> Option<wire::WantedPhone> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return None;
    }
    let national = digits.strip_prefix('1').filter(|rest| rest.len() == 10).unwrap_or(&digits);
    // Area codes begin with neither, so that ten digits from elsewhere are seen to be from elsewhere.
    let us_formattable = national.len() == 10 && !national.starts_with(['0', '1']);
    let number = if us_formattable { national.to_owned() } else { text.trim().to_owned() };
    Some(wire::WantedPhone { number, kind: "mobile", us_formattable })
}

/// The names of the fields that hold something, as Hint writes them.
pub fn fields_of(wanted: &wire::Wanted) -> Vec<&'static str> {
    let optional = [
        ("email", wanted.email.is_some()),
        ("dob", wanted.dob.is_some()),
        ("phones", !wanted.phones.is_empty()),
    ];
    let given = optional.into_iter().filter_map(|(field, given)| given.then_some(field));
    ["first_name", "last_name"].into_iter().chain(given).collect()
}

/// The names of the fields that a link sends, as Hint writes them.
pub fn linked_by(kind: LinkKind, shows_page: bool) -> Vec<&'static str> {
    match kind {
        LinkKind::Patient if shows_page => {
            vec!["first_name", "last_name", "integration_record_id", "integration_web_link"]
        }
        LinkKind::Patient => vec!["first_name", "last_name", "integration_record_id"],
        LinkKind::Practitioner | LinkKind::Invoice => vec!["integration_record_id"],
    }
}

/// What is sent of a change. A patient's names go with each, as Hint itself spells them: ours would replace them
/// (contract sheet §8).
pub fn change(record: &ForeignRecord, change: &Change<'_>) -> wire::Change {
    let is_patient = record.kind == LinkKind::Patient;
    let names = is_patient.then_some(&record.details);
    let mut sent = wire::Change {
        first_name: names.map(|details| details.first_name.reveal().clone()),
        last_name: names.map(|details| details.last_name.reveal().clone()),
        ..wire::Change::default()
    };
    match change {
        Change::Link { told_as, page } => {
            sent.integration_record_id = Some(Some(told_as.to_string()));
            sent.integration_web_link = page.map(|page| Some(page.to_owned()));
            sent.integration_error_message = record.shows_problem.then_some(None);
        }
        Change::Unlink => {
            sent.integration_record_id = Some(None);
            sent.integration_web_link = is_patient.then_some(None);
            sent.integration_error_message = record.shows_problem.then_some(None);
        }
        Change::Problem(problem) => {
            sent.integration_error_message = Some(problem.map(str::to_owned));
        }
    }
    sent
}

/// What Hint finds wrong, in its words, unless they quote whom it is about.
pub fn refused(problem: &wire::Problem, record: &ForeignRecord) -> String {
    let said = problem.message.as_deref().map(short_reason).unwrap_or_default();
    let quotes = [&record.details.first_name, &record.details.last_name].into_iter().any(|name| {
        let name = name.reveal().trim().to_lowercase();
        !name.is_empty() && said.to_lowercase().contains(&name)
    });
    if said.is_empty() || quotes { "no reason given".to_owned() } else { said }
}
