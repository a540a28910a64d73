//! What tests and demonstrations lay ready: people, staff, invoices, merges, and what becomes of keys.

use domain::people::PersonDetails;
use serde_json::{Value, json};

use super::state::{SimState, wire_instant};
use super::{Conduct, HintSim, KeyFamily, Kind};

/// Something that was to be prepared does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {id}")]
pub struct NotThere {
    /// The kind of thing.
    pub what: &'static str,
    /// Its id.
    pub id: String,
}

impl HintSim {
    /// Changes how the service conducts itself, from now on.
    pub fn set_conduct(&self, change: impl FnOnce(&mut Conduct)) {
        self.shared.state.change(|state| change(&mut state.conduct));
    }

    /// A key begins or ceases to open the practice.
    pub fn set_key(&self, token: &str, family: KeyFamily) {
        self.shared.state.change(|state| state.keys.insert(token.to_owned(), family));
    }

    /// A patient joins, with these fields over the usual ones. Returns Hint's id.
    pub fn add_patient(
        &self,
        first_name: &str,
        last_name: &str,
        dob: Option<&str>,
        fields: &Value,
    ) -> String {
        let usual = json!({
            "first_name": first_name,
            "last_name": last_name,
            "name": format!("{first_name} {last_name}"),
            "dob": dob,
            "email": null,
            "phones": [],
            "membership_status": "active",
            "integration_sync_status": "enabled",
            "integration_error_message": null,
            "integration_web_link": null,
            "integration_last_synced_at": null,
            "merged_into": null,
            "external_records": [],
            "external_link_id": null,
            "import_id": null,
            "import_source": null,
        });
        self.add(Kind::Patient, "pat", usual, fields)
    }

    /// A person whom a clinic knows joins, with these fields over what the clinic says.
    pub fn add_person(&self, person: &PersonDetails, fields: &Value) -> String {
        let phone = |number: &str| json!({ "number": number, "type": "mobile", "us_formattable": false });
        let phones: Vec<Value> = person.phones.iter().map(|number| phone(number.reveal())).collect();
        let email = Some(person.email.reveal()).filter(|email| !email.is_empty());
        let mut known = json!({ "email": email, "phones": phones });
        lay_over(&mut known, fields);
        let born = person.birth_date.reveal().map(|day| day.to_string());
        self.add_patient(person.first_name.reveal(), person.last_name.reveal(), born.as_deref(), &known)
    }

    /// A practitioner joins.
    pub fn add_practitioner(&self, name: &str) -> String {
        self.add(
            Kind::Practitioner,
            "pct",
            json!({ "name": name, "email": null, "specialties": [] }),
            &json!({}),
        )
    }

    /// A patient gets an invoice.
    pub fn add_invoice(&self, patient: &str, number: &str, date: &str, total_in_cents: i64) -> String {
        let fields = json!({
            "invoice_number": number,
            "date": date,
            "status": "issued",
            "total_in_cents": total_in_cents,
            "amount_in_cents": total_in_cents,
            "owner": { "id": patient },
            "patient": { "id": patient },
        });
        self.add(Kind::Invoice, "inv", fields, &json!({}))
    }

    fn add(&self, kind: Kind, prefix: &str, mut record: Value, fields: &Value) -> String {
        let now = wire_instant((self.shared.clock)());
        self.shared.state.change(|state| {
            let id = state.new_id(prefix);
            let own =
                json!({ "id": id, "integration_record_id": null, "created_at": now, "updated_at": now });
            lay_over(&mut record, &own);
            if kind != Kind::Practitioner {
                let link = format!("https://app.hint.com/{}/{id}", kind.list());
                lay_over(&mut record, &json!({ "provider_web_link": link }));
            }
            lay_over(&mut record, fields);
            state.add(kind, record);
            id
        })
    }

    /// Somebody at Hint changes a record, by its id.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn edit(&self, kind: Kind, id: &str, fields: &Value) -> Result<(), NotThere> {
        let now = wire_instant((self.shared.clock)());
        self.shared.state.change(|state| {
            let record = found(state, kind, id)?;
            lay_over(record, fields);
            lay_over(record, &json!({ "updated_at": now }));
            Ok(())
        })
    }

    /// Somebody at Hint merges a patient into another. `moves_link` says whether our record id goes along.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn merge(&self, from: &str, into: &str, moves_link: bool) -> Result<(), NotThere> {
        let link = {
            let record = self.record(Kind::Patient, from);
            record.and_then(|record| record.get("integration_record_id").cloned()).unwrap_or_default()
        };
        let mut merged = json!({ "merged_into": { "id": into } });
        if moves_link {
            lay_over(&mut merged, &json!({ "integration_record_id": null }));
        }
        self.edit(Kind::Patient, from, &merged)?;
        let moved = if moves_link { json!({ "integration_record_id": link }) } else { json!({}) };
        self.edit(Kind::Patient, into, &moved)
    }

    /// A record is gone for good.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn remove(&self, kind: Kind, id: &str) -> Result<(), NotThere> {
        let gone = self.shared.state.change(|state| state.take(kind, id));
        gone.map(drop).ok_or_else(|| NotThere { what: kind.list(), id: id.to_owned() })
    }
}

fn found<'s>(state: &'s mut SimState, kind: Kind, id: &str) -> Result<&'s mut Value, NotThere> {
    state.find_mut(kind, id).ok_or_else(|| NotThere { what: kind.list(), id: id.to_owned() })
}

fn lay_over(record: &mut Value, fields: &Value) {
    if let (Some(record), Some(fields)) = (record.as_object_mut(), fields.as_object()) {
        record.extend(fields.clone());
    }
}
