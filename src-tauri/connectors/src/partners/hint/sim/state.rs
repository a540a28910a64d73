//! What the simulated service knows of its practice, and what came in.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Conduct, HintSimConfig, KeyFamily, Kind};
use crate::sim::door::Faulty;
use crate::sim::faults::FaultSwitches;
use crate::sim::journal::{RequestCounts, counted_as, push_bounded};

/// Something that the service refuses, or takes although somebody will regret it (contract sheet §8). Injected faults and
/// throttling are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// When.
    pub at: DateTime<Utc>,
    /// Method.
    pub method: String,
    /// Path below the base address.
    pub path: String,
    /// The status it was answered with; a success for what was taken and is a trap.
    pub status: u16,
    /// What is wrong, in words that the service itself would not give.
    pub reason: String,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Rises with each request.
    pub number: u64,
    /// When it was handled, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// Method.
    pub method: String,
    /// Path below the base address.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
    /// What was sent.
    pub body: Option<Value>,
    /// What the service answered, or would have: a fault after the effect does not change it.
    pub status: Option<u16>,
    /// True when the service saw the request and acted on it.
    pub took_effect: bool,
}

/// Everything that the simulator knows. Read it through `HintSim::inspect`.
pub struct SimState {
    pub(super) conduct: Conduct,
    pub(super) practice: Value,
    pub(super) keys: BTreeMap<String, KeyFamily>,
    pub(super) faults: FaultSwitches,
    pub(super) recent: VecDeque<DateTime<Utc>>,
    pub(super) throttled: u64,
    records: BTreeMap<Kind, Vec<Value>>,
    last_id: u64,
    counts: RequestCounts,
    exchanges: VecDeque<Exchange>,
    exchange_count: u64,
    mistakes: VecDeque<Mistake>,
}

impl Faulty for SimState {
    fn faults(&self) -> &FaultSwitches {
        &self.faults
    }
}

impl SimState {
    pub(super) fn new(config: HintSimConfig) -> Self {
        let practice = json!({
            "id": config.practice_id,
            "name": config.practice_name,
            "integration_record_id": null,
            "phones": [],
        });
        Self {
            conduct: config.conduct,
            practice,
            keys: config.keys.into_iter().collect(),
            faults: FaultSwitches::default(),
            recent: VecDeque::new(),
            throttled: 0,
            records: BTreeMap::new(),
            last_id: 0,
            counts: RequestCounts::default(),
            exchanges: VecDeque::new(),
            exchange_count: 0,
            mistakes: VecDeque::new(),
        }
    }

    pub(super) fn account(&self) -> String {
        text(&self.practice, "id").to_owned()
    }

    /// A new id, whose beginning tells what it is of.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}-sim{:09}", self.last_id)
    }

    pub(super) fn add(&mut self, kind: Kind, record: Value) {
        self.records.entry(kind).or_default().push(record);
    }

    pub(super) fn find_mut(&mut self, kind: Kind, name: &str) -> Option<&mut Value> {
        self.records.entry(kind).or_default().iter_mut().find(|record| is_called(record, name))
    }

    pub(super) fn take(&mut self, kind: Kind, name: &str) -> Option<Value> {
        let records = self.records.entry(kind).or_default();
        let at = records.iter().position(|record| is_called(record, name))?;
        Some(records.remove(at))
    }

    pub(super) fn next_exchange(&self) -> u64 {
        self.exchange_count + 1
    }

    pub(super) fn note_exchange(&mut self, exchange: Exchange) {
        self.exchange_count += 1;
        let account = self.account();
        let kinds = Kind::ALL.map(Kind::list);
        // Every word of a path is one of these, and everything else is an id.
        let is_id =
            |part: &str| !["", "provider", "practice", "matching"].contains(&part) && !kinds.contains(&part);
        self.counts.count(&account, counted_as(&exchange.method, &exchange.path, is_id));
        push_bounded(&mut self.exchanges, Exchange { number: self.exchange_count, ..exchange });
    }

    pub(super) fn note_mistake(&mut self, mistake: Mistake) {
        push_bounded(&mut self.mistakes, mistake);
    }

    // ---- inspection ----

    /// Every record of a kind, in the order in which they were made.
    pub fn records(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.records.get(&kind).into_iter().flatten()
    }

    /// One, by Hint's id or ours (contract sheet §4).
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Value> {
        self.records(kind).find(|record| is_called(record, name))
    }

    /// How many requests of a kind there were, those struck by a fault included. Ids in the path count as `{id}`.
    #[must_use]
    pub fn requests(&self, method: &str, path: &str) -> u64 {
        self.counts.of_all(method, path)
    }

    /// Every request and what became of it, oldest first (the last ten thousand).
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Everything that was refused because of what it said, or is a trap of the contract, oldest first (the last ten
    /// thousand).
    pub fn mistakes(&self) -> impl DoubleEndedIterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// How many requests got a 429 because there were too many.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.throttled
    }
}

/// A text of a record; empty where there is none.
pub(super) fn text<'r>(record: &'r Value, field: &str) -> &'r str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_called(record: &Value, name: &str) -> bool {
    !name.is_empty() && (text(record, "id") == name || text(record, "integration_record_id") == name)
}

/// An instant as the service writes it.
pub(super) fn wire_instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, false)
}
