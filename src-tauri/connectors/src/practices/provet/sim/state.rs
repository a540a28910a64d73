//! What the simulator knows: tables of raw JSON, and who asked for what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::sign_in::SignIns;
use super::{Conduct, ProvetSimConfig};
use crate::sim::door::Faulty;
use crate::sim::faults::FaultSwitches;
use crate::sim::journal::push_bounded;

/// A kind of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// People.
    Client,
    /// Their phone numbers.
    PhoneNumber,
    /// Animals.
    Patient,
    /// Appointments.
    Appointment,
    /// Working time.
    Shift,
    /// Its kinds.
    ShiftType,
    /// What appointments are for.
    Reason,
    /// Departments.
    Department,
    /// Staff.
    User,
    /// Webhooks.
    Hook,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Client,
        Self::PhoneNumber,
        Self::Patient,
        Self::Appointment,
        Self::Shift,
        Self::ShiftType,
        Self::Reason,
        Self::Department,
        Self::User,
        Self::Hook,
    ];

    /// Its path below the API's address.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::PhoneNumber => "phonenumber",
            Self::Patient => "patient",
            Self::Appointment => "appointment",
            Self::Shift => "shift",
            Self::ShiftType => "shifttype",
            Self::Reason => "reason",
            Self::Department => "department",
            Self::User => "user",
            Self::Hook => "hook/webhook",
        }
    }

    /// The right that opens it (sheet §5).
    #[must_use]
    pub fn right(self) -> Option<&'static str> {
        match self {
            Self::Client | Self::PhoneNumber | Self::Patient => Some("General: Patients and clients"),
            Self::Appointment => Some("Calendar: Appointments"),
            Self::Shift | Self::ShiftType => Some("Calendar: Shifts"),
            Self::Reason => Some("Settings: Reasons"),
            Self::User => Some("Profile: User profile page"),
            Self::Hook => Some("Settings: Integration settings"),
            Self::Department => None,
        }
    }
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When.
    pub at: DateTime<Utc>,
    /// Its method.
    pub method: String,
    /// Its path, below `/api/0.1`.
    pub path: String,
    /// What it asked for.
    pub query: String,
    /// What was answered; none where the connection was cut.
    pub status: Option<u16>,
}

/// Something that the service refuses, or takes although somebody will regret it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The method.
    pub method: String,
    /// The path, below `/api/0.1`.
    pub path: String,
    /// What was answered.
    pub status: u16,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything that the simulator knows.
pub struct SimState {
    pub(super) config: ProvetSimConfig,
    /// How it conducts itself.
    pub conduct: Conduct,
    pub(super) host: String,
    pub(super) tables: BTreeMap<Table, BTreeMap<u64, Value>>,
    last_id: u64,
    pub(super) tokens: BTreeMap<String, DateTime<Utc>>,
    pub(super) sign_ins: SignIns,
    pub(super) spent: BTreeMap<(String, String), VecDeque<DateTime<Utc>>>,
    pub(super) throttled: u64,
    pub(super) faults: FaultSwitches,
    exchanges: VecDeque<Exchange>,
    mistakes: VecDeque<Mistake>,
}

impl Faulty for SimState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

impl SimState {
    /// The number of the practice.
    #[must_use]
    pub fn provet_id(&self) -> u64 {
        self.config.provet_id
    }

    pub(super) fn new(config: ProvetSimConfig) -> Self {
        Self {
            config,
            conduct: Conduct::default(),
            host: String::new(),
            tables: Table::ALL.into_iter().map(|table| (table, BTreeMap::new())).collect(),
            last_id: 100,
            tokens: BTreeMap::new(),
            sign_ins: SignIns::default(),
            spent: BTreeMap::new(),
            throttled: 0,
            faults: FaultSwitches::default(),
            exchanges: VecDeque::new(),
            mistakes: VecDeque::new(),
        }
    }

    /// The rows of a table, by number.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = &Value> {
        self.tables.get(&table).into_iter().flat_map(BTreeMap::values)
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: Table, id: u64) -> Option<&Value> {
        self.tables.get(&table)?.get(&id)
    }

    /// What came in, oldest first.
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// How many requests of this kind came in.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.exchanges.iter().filter(|seen| seen.method == method && seen.path == path).count()
    }

    /// What was wrong, or taken although somebody will regret it.
    pub fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// How many requests were refused for haste.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Takes every token back.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn note_exchange(&mut self, exchange: Exchange) {
        push_bounded(&mut self.exchanges, exchange);
    }

    pub(super) fn note_mistake(&mut self, mistake: Mistake) {
        push_bounded(&mut self.mistakes, mistake);
    }

    /// The address of a row, as relations are written.
    #[must_use]
    pub fn address(&self, table: Table, id: u64) -> String {
        format!("{}/{}/api/0.1/{}/{id}/", self.host, self.config.provet_id, table.path())
    }

    /// A time as answers write it: of one practice in more than one way (sheet §3).
    pub(super) fn written(at: DateTime<Utc>, id: u64) -> String {
        match id % 3 {
            0 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            1 => at.to_rfc3339_opts(SecondsFormat::Secs, false),
            _ => {
                let there = chrono::FixedOffset::west_opt(4 * 60 * 60);
                there.map_or_else(String::new, |there| {
                    at.with_timezone(&there).to_rfc3339_opts(SecondsFormat::Secs, false)
                })
            }
        }
    }

    /// Adds a row with the fields that every row has, and answers its number.
    pub fn add(&mut self, table: Table, fields: Value, now: DateTime<Utc>) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let mut row = match fields {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        let address = self.address(table, id);
        row.insert("id".into(), json!(id));
        // Of a webhook, `url` is where it delivers (sheet §7).
        if table != Table::Hook {
            row.insert("url".into(), json!(address));
        }
        row.insert("created".into(), json!(Self::written(now, id)));
        row.insert("modified".into(), json!(Self::written(now, id)));
        self.table(table).insert(id, Value::Object(row));
        id
    }

    /// Changes fields of a row; false when it is not there.
    pub fn change(&mut self, table: Table, id: u64, fields: &Value, now: DateTime<Utc>) -> bool {
        let Some(Value::Object(row)) = self.table(table).get_mut(&id) else { return false };
        for (name, value) in fields.as_object().into_iter().flatten() {
            row.insert(name.clone(), value.clone());
        }
        row.insert("modified".into(), json!(Self::written(now, id)));
        true
    }

    /// Deletes a row for good; false when it is not there.
    pub fn delete(&mut self, table: Table, id: u64) -> bool {
        self.table(table).remove(&id).is_some()
    }

    pub(super) fn table(&mut self, table: Table) -> &mut BTreeMap<u64, Value> {
        self.tables.entry(table).or_default()
    }

    /// Whether an active appointment of this user touches this time.
    #[must_use]
    pub fn is_taken(
        &self,
        user: u64,
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        besides: Option<u64>,
    ) -> bool {
        self.rows(Table::Appointment).any(|row| {
            let theirs = last_number(row.get("user")) == Some(user);
            let other = row.get("id").and_then(Value::as_u64) != besides;
            let overlaps = time(row.get("start")).is_some_and(|from| from < end)
                && time(row.get("end")).is_some_and(|to| to > start);
            theirs && other && overlaps && is_yes(row.get("active"))
        })
    }

    /// Staff enter an appointment. They are not kept from entering two at once.
    pub fn enter(
        &mut self,
        (user, department): (u64, u64),
        (start, length): (DateTime<Utc>, TimeDelta),
        client: Option<u64>,
        now: DateTime<Utc>,
    ) -> u64 {
        let fields = json!({
            "start": Self::written(start, 1), "end": Self::written(start + length, 1), "title": "Consultation", "type": 1,
            "department": self.address(Table::Department, department), "user": self.address(Table::User, user),
            "additional_users": [], "client": client.map(|client| self.address(Table::Client, client)),
            "patients": [], "reason": null, "ward": null, "resources": [], "complaint": "", "instructions": "",
            "notes": "", "active": 1, "consultation": null,
        });
        self.add(Table::Appointment, fields, now)
    }

    /// Staff register a person with their phone numbers.
    pub fn register(&mut self, details: &Value, phones: &[&str], now: DateTime<Utc>) -> u64 {
        let mut fields = json!({
            "title": "", "firstname": "", "lastname": "", "organization_name": "", "customer_type": 0,
            "street_address": "", "zip_code": "", "city": "", "country": "AU", "email": "", "remarks": "",
            "critical_notes": "", "archived": false, "patients": [], "phone_numbers": [],
        });
        if let (Some(fields), Some(details)) = (fields.as_object_mut(), details.as_object()) {
            fields.extend(details.clone());
        }
        let client = self.add(Table::Client, fields, now);
        for phone in phones {
            let fields = json!({
                "client": self.address(Table::Client, client), "type_code": 1, "phone_number": phone,
                "description": "", "preferred_reminders": false,
            });
            let number = self.add(Table::PhoneNumber, fields, now);
            let address = self.address(Table::PhoneNumber, number);
            self.push(Table::Client, client, "phone_numbers", address);
        }
        client
    }

    /// Staff register an animal.
    pub fn register_animal(&mut self, client: u64, name: &str, now: DateTime<Utc>) -> u64 {
        let fields = json!({
            "client": self.address(Table::Client, client), "name": name, "species": "Dog", "species_code": 1001,
            "gender": "Female", "deceased": null, "archived": false,
        });
        let animal = self.add(Table::Patient, fields, now);
        let address = self.address(Table::Patient, animal);
        self.push(Table::Client, client, "patients", address);
        animal
    }

    pub(super) fn push(&mut self, table: Table, id: u64, list: &str, address: String) {
        if let Some(Value::Array(list)) = self.table(table).get_mut(&id).and_then(|row| row.get_mut(list)) {
            list.push(json!(address));
        }
    }

    /// The numbers of those whose fields hold this text.
    #[must_use]
    pub fn whose(&self, table: Table, field: &str, text: &str) -> BTreeSet<u64> {
        let holds =
            |row: &&Value| row.get(field).and_then(Value::as_str).is_some_and(|held| held.contains(text));
        self.rows(table).filter(holds).filter_map(|row| row.get("id")?.as_u64()).collect()
    }
}

/// The number at the end of a relation.
#[must_use]
pub fn last_number(relation: Option<&Value>) -> Option<u64> {
    relation?.as_str()?.trim_end_matches('/').rsplit('/').next()?.parse().ok()
}

/// A time with an offset.
#[must_use]
pub fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value?.as_str()?).ok().map(|at| at.with_timezone(&Utc))
}

/// Yes, as `true` or 1.
#[must_use]
pub fn is_yes(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.as_bool() == Some(true) || value.as_u64() == Some(1))
}
