//! A partner in memory that keeps our names beside its records.

use super::reaper::{HandClock, Reaper};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{ForeignRecordId, PartnerId, SyncId};
use domain::link::LinkKind;
use domain::people::PersonDetails;
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::records::{RecordRegister, RecordsRead};
use domain::records::{ForeignPractice, ForeignRecord};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Everything that the partner knows.
#[derive(Default)]
pub struct Shelf {
    pub records: BTreeMap<(LinkKind, ForeignRecordId), ForeignRecord>,
    /// What is shown to its staff.
    pub problems: BTreeMap<ForeignRecordId, String>,
    /// Answers with this error while it is set.
    pub fails: Option<fn() -> ReadError>,
    /// Refuses every link for this reason while it is set.
    pub refuses: Option<&'static str>,
    /// Each call.
    pub log: Vec<String>,
    /// What must never happen, and did.
    pub violations: Vec<String>,
}

impl Shelf {
    pub fn calls(&self, name: &str) -> usize {
        self.log.iter().filter(|call| call.starts_with(name)).count()
    }

    pub fn put(&mut self, record: ForeignRecord) {
        self.records.insert((record.kind, record.id.clone()), record);
    }

    pub fn change(&mut self, id: &str, now: DateTime<Utc>, change: impl FnOnce(&mut ForeignRecord)) {
        let found = self.records.values_mut().find(|record| record.id.as_str() == id).unwrap();
        change(found);
        found.updated_at = Some(now);
    }

    pub fn record(&self, id: &str) -> ForeignRecord {
        self.records.values().find(|record| record.id.as_str() == id).unwrap().clone()
    }

    pub fn holder(&self, told_as: &str) -> Option<String> {
        let holds =
            |record: &&ForeignRecord| record.told_as.as_ref().is_some_and(|name| name.as_str() == told_as);
        self.records.values().find(holds).map(|record| record.id.to_string())
    }

    fn write(
        &mut self,
        written: &ForeignRecord,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut ForeignRecord),
    ) -> Result<(), Refusal> {
        let record =
            self.records.get_mut(&(written.kind, written.id.clone())).ok_or(Refusal::UnknownToPartner)?;
        let spelt = |record: &ForeignRecord| {
            (record.details.first_name.reveal().clone(), record.details.last_name.reveal().clone())
        };
        if spelt(record) != spelt(written) {
            self.violations.push(format!("{} was spelt anew", record.id));
        }
        change(record);
        record.updated_at = Some(now);
        Ok(())
    }
}

#[derive(Clone)]
pub struct FakeKeeper {
    id: PartnerId,
    clock: HandClock,
    reaper: Arc<Reaper>,
    shelf: Arc<Mutex<Shelf>>,
}

impl FakeKeeper {
    pub fn new(clock: &HandClock, reaper: &Arc<Reaper>) -> Self {
        Self {
            id: PartnerId::new("hint"),
            clock: clock.clone(),
            reaper: reaper.clone(),
            shelf: Arc::default(),
        }
    }

    pub fn shelf<T>(&self, read: impl FnOnce(&mut Shelf) -> T) -> T {
        read(&mut self.shelf.lock().unwrap())
    }

    async fn asked<T: Send>(
        &self,
        call: String,
        answer: impl FnOnce(&mut Shelf) -> T + Send,
    ) -> Result<T, ReadError> {
        let effect = || {
            self.shelf(|shelf| {
                shelf.log.push(call);
                match shelf.fails {
                    Some(fails) => Err(fails()),
                    None => Ok(answer(shelf)),
                }
            })
        };
        self.reaper.touch(effect).await?
    }

    async fn told(
        &self,
        call: String,
        effect: impl FnOnce(&mut Shelf, DateTime<Utc>) -> Result<(), Refusal> + Send,
    ) -> Result<(), WriteError> {
        let now = self.clock.now();
        let effect = || {
            self.shelf(|shelf| {
                shelf.log.push(call);
                match shelf.fails {
                    Some(fails) => Err(WriteError::Untouched(fails())),
                    None => effect(shelf, now).map_err(WriteError::Refused),
                }
            })
        };
        self.reaper.touch(effect).await?
    }
}

#[async_trait]
impl Partner for FakeKeeper {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        "keeper".into()
    }

    async fn check(&self) -> Result<(), ReadError> {
        Ok(())
    }

    fn record_register(&self) -> Option<&dyn RecordRegister> {
        Some(self)
    }
}

#[async_trait]
impl RecordRegister for FakeKeeper {
    async fn practice(&self) -> Result<ForeignPractice, ReadError> {
        Ok(ForeignPractice { id: "pra-1".into(), name: "Richmond".into() })
    }

    fn kinds(&self) -> &'static [LinkKind] {
        &LinkKind::ALL
    }

    fn told_as(&self, local_id: &str) -> SyncId {
        SyncId::new(format!("richmond-{local_id}"))
    }

    fn takes(&self, name: &str) -> bool {
        !name.contains(' ')
    }

    async fn records(&self, kind: LinkKind, since: Option<DateTime<Utc>>) -> Result<RecordsRead, ReadError> {
        let call = if since.is_some() { "news" } else { "all" };
        self.asked(format!("{call} {}", kind.name()), |shelf| {
            let of_kind = shelf.records.values().filter(|record| record.kind == kind);
            let records = of_kind.filter(|record| since.is_none() || record.updated_at >= since);
            RecordsRead { records: records.cloned().collect(), whole: since.is_none() }
        })
        .await
    }

    async fn record(&self, kind: LinkKind, name: &str) -> Result<Option<ForeignRecord>, ReadError> {
        self.asked(format!("record {name}"), |shelf| {
            let of_kind = shelf.records.values().filter(|record| record.kind == kind);
            let mut called = of_kind.filter(|record| {
                let ours = record.told_as.as_ref().is_some_and(|told_as| told_as.as_str() == name);
                record.id.as_str() == name || ours
            });
            called.next().cloned()
        })
        .await
    }

    async fn matching(&self, person: &PersonDetails) -> Result<Vec<ForeignRecord>, ReadError> {
        let same =
            |one: &str, other: &str| !one.trim().is_empty() && one.trim().eq_ignore_ascii_case(other.trim());
        self.asked("matching".into(), |shelf| {
            let found = shelf.records.values().filter(|record| {
                let details = &record.details;
                let last = same(details.last_name.reveal(), person.last_name.reveal());
                let first = same(details.first_name.reveal(), person.first_name.reveal());
                let born = details.birth_date.reveal().is_some() && details.birth_date == person.birth_date;
                let email = same(details.email.reveal(), person.email.reveal());
                let alike = last && (first || born) || email;
                record.kind == LinkKind::Patient && alike && !record.archived && record.merged_into.is_none()
            });
            found.cloned().collect()
        })
        .await
    }

    fn matched_by(&self, _: &PersonDetails) -> Vec<&'static str> {
        vec!["first_name", "last_name", "dob"]
    }

    async fn link(&self, record: &ForeignRecord, told_as: &SyncId, _: &str) -> Result<(), WriteError> {
        self.told(format!("link {} as {told_as}", record.id), |shelf, now| {
            if let Some(why) = shelf.refuses {
                return Err(Refusal::Other(why.into()));
            }
            let taken = shelf.records.values().any(|other| {
                other.kind == record.kind && other.id != record.id && other.told_as.as_ref() == Some(told_as)
            });
            if taken {
                return Err(Refusal::Other("the name has already been taken".into()));
            }
            let before = shelf.records.get(&(record.kind, record.id.clone())).and_then(|r| r.told_as.clone());
            if before.is_some_and(|before| before != *told_as) {
                shelf.violations.push(format!("the name of {} was overwritten", record.id));
            }
            shelf.problems.remove(&record.id);
            shelf.write(record, now, |record| {
                record.told_as = Some(told_as.clone());
                record.shows_problem = false;
            })
        })
        .await
    }

    fn linked_by(&self, _: LinkKind) -> Vec<&'static str> {
        vec!["integration_record_id"]
    }

    async fn unlink(&self, record: &ForeignRecord) -> Result<(), WriteError> {
        self.told(format!("unlink {}", record.id), |shelf, now| {
            shelf.write(record, now, |record| record.told_as = None)
        })
        .await
    }

    async fn show_problem(&self, record: &ForeignRecord, problem: Option<&str>) -> Result<(), WriteError> {
        self.told(format!("problem {}", record.id), |shelf, now| {
            match problem {
                Some(problem) => drop(shelf.problems.insert(record.id.clone(), problem.to_owned())),
                None => drop(shelf.problems.remove(&record.id)),
            }
            shelf.write(record, now, |record| record.shows_problem = problem.is_some())
        })
        .await
    }
}
