//! The made-up clinic's practice at a simulated Hint, with some of its patients, and the kinds of doubt that old lists
//! bring with them.

use super::{NAME as CLINIC, give_consents};
use crate::cli::Failure;
use crate::compose::Home;
use connectors::partners::hint::NAME;
use connectors::partners::hint::sim::{HintSim, HintSimConfig};
use connectors::sim::SimClock;
use domain::failure::ReadError;
use domain::ids::{PartnerId, PracticeId};
use domain::people::PatientRecord;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{Consents, Leg, Links, SettingsBook};
use domain::private::SecretString;
use domain::records::LocalInvoice;
use domain::settings::{PartnerAccount, PracticeSettings, SecretKind, SecretName};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use sync::flows::people::read_everybody;
use sync::health;

/// This opens nothing but the simulator, which listens on this computer only.
const TOKEN: &str = "demo-token";
/// The practitioners as Hint has them: two as in the book, one with another spelling, and one whom the book does not have.
const STAFF: [&str; 4] = ["Mei-Ling Lee", "Arjun Waratah", "Zoe Banksia", "Robin Examplar"];
/// How Hint calls the practice.
const PRACTICE: &str = "pra-EXAMPLE1";

/// Starts the simulator on the current runtime.
pub async fn start(home: &Home) -> Result<HintSim, Failure> {
    let clock = home.clock();
    let clock: SimClock = Arc::new(move || clock.now());
    Ok(HintSim::start(HintSimConfig::one_practice(PRACTICE, CLINIC, TOKEN), clock).await?)
}

/// Whether a patient has a membership, by their number in the book.
fn is_member(number: usize) -> bool {
    number % 8 == 4
}

/// Links the clinic with the simulator. The first time, the members have agreed; whatever somebody changed after that
/// stays, but for the simulator's address.
pub async fn link(home: &Home, practice: &PracticeId, memberships: &HintSim) -> Result<(), Failure> {
    let store = home.store();
    let hint = PartnerId::new(NAME);
    let known = store.practices().await?.into_iter().find(|settings| settings.id == *practice);
    let Some(mut settings) = known else { return Ok(()) };
    let is_first = store.consents(practice, &hint).await?.is_empty();
    if !is_first && !settings.accounts.contains_key(&hint) {
        // Somebody took the account away.
        return Ok(());
    }
    fill(home, &settings, memberships).await?;
    let fields = [("base_url", memberships.base_url()), ("patient_page", String::new())];
    let fields = fields.map(|(key, text)| (key.to_owned(), text)).into();
    settings.accounts.insert(hint.clone(), PartnerAccount { fields });
    let token = SecretName::of(practice, SecretKind::Account { partner: NAME, key: "access_token" });
    // The simulator begins empty.
    store.forget_links(practice, &hint).await?;
    store.link_practice(&settings, vec![(token, Some(SecretString::from(TOKEN)))]).await?;
    if is_first {
        give_consents(home, &settings, hint, is_member).await?;
    }
    Ok(())
}

/// Lets the members and the practitioners join. One member is linked to something else already, one has married, some
/// carry the name that a former program left, and that program knew somebody whom the book does not.
async fn fill(home: &Home, settings: &PracticeSettings, memberships: &HintSim) -> Result<(), Failure> {
    let book = home.connections().practice_system(settings).await?;
    let people = read_everybody(book.as_ref()).await.map_err(unreadable)?;
    let wanted: Vec<_> = people.patients().enumerate().filter(|(number, _)| is_member(*number)).collect();
    let keys: Vec<_> = wanted.iter().map(|(_, patient)| patient.clone()).collect();
    let records = book.patients(&keys).await.map_err(unreadable)?;
    let mut joined = BTreeMap::new();
    for (place, patient) in keys.iter().enumerate() {
        if let Some(record) = records.iter().find(|record| record.id == *patient) {
            joined.insert(patient.to_string(), join(memberships, place, record));
        }
    }
    bill(book.as_ref(), &joined, memberships).await?;
    let former = json!({ "external_link_id": "former-record" });
    memberships.add_patient("Casey", "Examplar", Some("1958-04-12"), &former);
    for name in STAFF {
        memberships.add_practitioner(name);
    }
    Ok(())
}

/// Gives the members their invoices; one of them under another number.
async fn bill(
    book: &dyn PracticeSystem,
    joined: &BTreeMap<String, String>,
    memberships: &HintSim,
) -> Result<(), Failure> {
    let Some(invoices) = book.invoice_book() else { return Ok(()) };
    let invoices = invoices.invoices(None, 500).await.map_err(unreadable)?;
    let mut others_number = Some("H-77");
    for LocalInvoice { facts, .. } in invoices {
        let patient = facts.patient.as_ref().and_then(|patient| joined.get(patient));
        if let (Some(patient), Some(day), Some(total)) = (patient, facts.date, facts.total_in_cents) {
            let number = facts.number.unwrap_or_default();
            let number = others_number.take().unwrap_or(&number);
            memberships.add_invoice(patient, number, &day.to_string(), total);
        }
    }
    Ok(())
}

fn unreadable(error: ReadError) -> Failure {
    Failure::new(health::problem(Leg::System, &error).sentence)
}

/// A member's record, and what Hint calls it.
fn join(memberships: &HintSim, place: usize, record: &PatientRecord) -> String {
    let details = &record.details;
    let phones: Vec<_> = details
        .phones
        .iter()
        .map(|phone| json!({ "number": phone.reveal(), "type": "mobile", "us_formattable": false }))
        .collect();
    let email = Some(details.email.reveal()).filter(|email| !email.is_empty());
    let mut fields = json!({ "email": email, "phones": phones });
    let mut own = |key: &str, text: &str| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(key.to_owned(), json!(text));
        }
    };
    let mut family = details.last_name.reveal().clone();
    match place % 10 {
        0 if place > 0 => own("integration_record_id", &format!("former-clinic-{place}")),
        2 | 7 => own("external_link_id", record.id.as_str()),
        5 => family = format!("{family}-Examplar"),
        _ => {}
    }
    let born = details.birth_date.reveal().map(|day| day.to_string());
    memberships.add_patient(details.first_name.reveal(), &family, born.as_deref(), &fields)
}
