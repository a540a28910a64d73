//! The partner's patients in memory, for finding those who could be somebody in the book.

use chrono::{DateTime, TimeDelta, Utc};
use domain::directory::{Collecting, Directory};
use domain::ids::{ForeignRecordId, SyncId};
use domain::people::PersonDetails;
use domain::ports::records::RecordsRead;
use domain::records::ForeignRecord;
use std::collections::BTreeMap;

/// Changes are asked for again from this long before the last one known: records change while a list is read, and a
/// partner's several computers disagree a little about the time.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);

/// The partner's patients, as they were read.
pub(crate) struct Foreign {
    records: BTreeMap<ForeignRecordId, ForeignRecord>,
    named: BTreeMap<SyncId, ForeignRecordId>,
    directory: Directory,
    /// Rises whenever any of them differs.
    pub revision: u64,
    /// When the partner was last asked.
    pub asked_at: DateTime<Utc>,
    /// When everybody was last read.
    pub whole_at: DateTime<Utc>,
    /// Whether those whom it lacks are not there.
    pub is_whole: bool,
}

impl Foreign {
    /// What is known after something was read.
    pub fn read(before: Option<&Foreign>, read: RecordsRead, now: DateTime<Utc>) -> Self {
        let mut records = match before.filter(|_| !read.whole) {
            Some(before) => before.records.clone(),
            None => BTreeMap::new(),
        };
        records.extend(read.records.into_iter().map(|record| (record.id.clone(), record)));
        let first_whole = before.is_none() || read.whole;
        let whole_at = before.filter(|_| !first_whole).map_or(now, |before| before.whole_at);
        let is_whole = read.whole || before.is_some_and(|before| before.is_whole);
        let revision = match before {
            Some(before) if before.records == records => before.revision,
            Some(before) => before.revision + 1,
            None => 1,
        };
        let mut collecting = Collecting::default();
        let mut named = BTreeMap::new();
        for record in records.values() {
            if record.merged_into.is_none() {
                collecting.add(&record.as_candidate());
            }
            named.extend(record.told_as.clone().map(|name| (name, record.id.clone())));
        }
        let directory = collecting.finish();
        Self { records, named, directory, revision, asked_at: now, whole_at, is_whole }
    }

    /// From when on changes have to be asked for, by the partner's own clock; none where no record says when it changed.
    pub fn safe_mark(&self) -> Option<DateTime<Utc>> {
        let newest = self.records.values().filter_map(|record| record.updated_at).max();
        newest.map(|newest| newest - OVERLAP)
    }

    /// One record.
    pub fn record(&self, id: &str) -> Option<&ForeignRecord> {
        self.records.get(&ForeignRecordId::new(id))
    }

    /// The record that has our name.
    pub fn named(&self, name: &SyncId) -> Option<&ForeignRecord> {
        self.named.get(name).and_then(|id| self.records.get(id))
    }

    /// Everybody who could be this person.
    pub fn like(&self, person: &PersonDetails) -> Vec<&ForeignRecord> {
        let found = self.directory.candidates(person);
        found.iter().filter_map(|id| self.record(id.as_str())).collect()
    }

    /// Everybody.
    pub fn all(&self) -> impl Iterator<Item = &ForeignRecord> {
        self.records.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// How many have a name that a former program left, and none of today's.
    pub fn with_former_names(&self) -> usize {
        self.all().filter(|record| !record.former.is_empty() && record.told_as.is_none()).count()
    }
}
