//! Who comes to the practice: the clients, found for a booking, or all of them kept in memory while somebody needs that.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::ReadError;
use domain::ids::PatientRef;
use domain::people::{PatientRecord, PersonDetails};
use domain::ports::practice::Candidates;
use domain::private::Private;

use super::client::{Client, Listing, Resource, Spending, number};
use super::mark::Mark;
use super::translate;
use super::wire;
use crate::practices::sql::one_line;

/// How many clients are asked for with one request: as many as a page has.
const AT_ONCE: usize = 50;
/// More candidates than these are not looked through.
const MOST_CANDIDATES: usize = 150;
/// How often it is asked who changed, at most.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(4);
/// Everybody is read again this often, because whoever is deleted leaves no trace (sheet §6).
const RECONCILE_EVERY: TimeDelta = TimeDelta::days(1);

/// Everybody.
#[derive(Default)]
pub struct People {
    clients: BTreeMap<u64, wire::Client>,
    phones: BTreeMap<u64, wire::PhoneNumber>,
    /// Since when everybody is there; none while some are not.
    complete: Option<DateTime<Utc>>,
    /// Everybody anew, as far as they were read; those above count until then.
    reading: Option<Reading>,
    marks: Marks,
    looked_at: Option<DateTime<Utc>>,
    version: u64,
}

/// From when on changes are asked for.
#[derive(Clone, Copy, Default)]
struct Marks {
    clients: Option<Mark>,
    phones: Option<Mark>,
}

/// Everybody, as far as they were read.
struct Reading {
    began: DateTime<Utc>,
    /// Those whose list was read to its end.
    all_clients: Option<BTreeMap<u64, wire::Client>>,
    clients: Listing<wire::Client>,
    phones: Listing<wire::PhoneNumber>,
}

impl People {
    /// Differs whenever anybody's record does; none while that cannot be told, and once everybody is due to be read again.
    pub fn stamp(&self, now: DateTime<Utc>) -> Option<String> {
        let since = self.complete.filter(|since| is_fresh(*since, now))?;
        Some(format!("{}.{}", since.timestamp_millis(), self.version))
    }

    /// Reads on until everybody is there. Where the budget is spent, what was read so far is kept.
    pub async fn read_on(&mut self, client: &Client) -> Result<(), ReadError> {
        let now = client.now();
        if self.complete.is_some_and(|since| is_fresh(since, now)) {
            return Ok(());
        }
        let reading = self.reading.get_or_insert_with(|| Reading::since(now));
        let phones = match reading.go_on(client).await {
            Ok(phones) => phones,
            // Those who are known are known well enough meanwhile.
            Err(ReadError::SlowDown { .. }) if self.complete.is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(Reading { began, all_clients, .. }) = self.reading.take() else { return Ok(()) };
        (self.clients, self.phones) = (all_clients.unwrap_or_default(), phones);
        // What was changed while everybody was read is asked for once more.
        let ended = client.now();
        self.marks = Marks {
            clients: Mark::after(newest(&self.clients), began, ended),
            phones: Mark::after(newest(&self.phones), began, ended),
        };
        self.complete = Some(ended);
        self.looked_at = None;
        self.version += 1;
        Ok(())
    }

    /// Asks who changed since.
    pub async fn keep_in_step(&mut self, client: &Client) -> Result<(), ReadError> {
        let now = client.now();
        let lately = |at: DateTime<Utc>| (TimeDelta::zero()..LOOK_EVERY).contains(&(now - at));
        if self.complete.is_none() || self.looked_at.is_some_and(lately) {
            return Ok(());
        }
        let (people, of_clients) = news(client, Resource::Client, self.marks.clients).await?;
        let (numbers, of_phones) = news(client, Resource::PhoneNumber, self.marks.phones).await?;
        self.marks = Marks { clients: of_clients, phones: of_phones };
        self.looked_at = Some(now);
        let mut changed = false;
        for (id, person) in people {
            changed |= self.clients.get(&id) != Some(&person);
            self.clients.insert(id, person);
        }
        for (id, phone) in numbers {
            changed |= self.phones.get(&id) != Some(&phone);
            self.phones.insert(id, phone);
        }
        self.version += u64::from(changed);
        Ok(())
    }

    /// Records behind `after`, by number.
    pub fn page(&self, after: Option<&PatientRef>, limit: u32) -> Vec<PatientRecord> {
        let after = after.and_then(|after| number(after.as_str()));
        let from = after.map_or(0, |after| after.saturating_add(1));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let chosen: Vec<&wire::Client> = self.clients.range(from..).map(|(_, row)| row).take(limit).collect();
        together(&chosen, self.phones.values())
    }

    /// The records of these, where everybody is there; those that are gone are missing.
    pub fn some(&self, patients: &[PatientRef]) -> Option<Vec<PatientRecord>> {
        self.complete?;
        let chosen: Vec<&wire::Client> =
            numbers_of(patients).into_iter().filter_map(|id| self.clients.get(&id)).collect();
        Some(together(&chosen, self.phones.values()))
    }
}

fn numbers_of(patients: &[PatientRef]) -> BTreeSet<u64> {
    patients.iter().filter_map(|patient| number(patient.as_str())).collect()
}

/// Clients, each with their phone numbers.
fn together<'p>(
    clients: &[&wire::Client],
    all_phones: impl Iterator<Item = &'p wire::PhoneNumber>,
) -> Vec<PatientRecord> {
    let ids: BTreeSet<u64> = clients.iter().map(|client| client.id).collect();
    let mut phones: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for phone in all_phones.filter(|phone| ids.contains(&phone.client.0)) {
        phones.entry(phone.client.0).or_default().push(phone.phone_number.clone());
    }
    let theirs = |client: &wire::Client| phones.get(&client.id).map(Vec::as_slice).unwrap_or_default();
    clients.iter().map(|client| translate::person(client, theirs(client))).collect()
}

impl Reading {
    fn since(began: DateTime<Utc>) -> Self {
        Self { began, all_clients: None, clients: Listing::default(), phones: Listing::default() }
    }

    /// Reads to the end, clients first, and answers the phone numbers.
    async fn go_on(&mut self, client: &Client) -> Result<BTreeMap<u64, wire::PhoneNumber>, ReadError> {
        if self.all_clients.is_none() {
            let listing = &mut self.clients;
            let read = client.read_on(Resource::Client, &[], |_| true, Spending::Bulk, listing).await?;
            self.all_clients = Some(read);
        }
        client.read_on(Resource::PhoneNumber, &[], |_| true, Spending::Bulk, &mut self.phones).await
    }
}

/// Whether those who were read then are still known well enough.
fn is_fresh(since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..RECONCILE_EVERY).contains(&(now - since))
}

fn newest<T: wire::Row>(rows: &BTreeMap<u64, T>) -> Option<DateTime<Utc>> {
    rows.values().filter_map(wire::Row::modified).max()
}

/// What changed, and from when on to ask the next time. Where nothing was there by which to tell the time, that is all.
async fn news<T: serde::de::DeserializeOwned + wire::Row>(
    client: &Client,
    what: Resource,
    mark: Option<Mark>,
) -> Result<(BTreeMap<u64, T>, Option<Mark>), ReadError> {
    let began = client.now();
    match mark {
        Some(mark) => {
            let rows = client.changed_since(what, mark.since(), Spending::Urgent).await?;
            let mark = mark.advanced(newest(&rows), began, client.now());
            Ok((rows, Some(mark)))
        }
        None => {
            let rows = client.all(what, &[], |_| true, Spending::Urgent).await?;
            let mark = Mark::after(newest(&rows), began, client.now());
            Ok((rows, mark))
        }
    }
}

/// Everybody who shares both names, the e-mail address or a phone number.
pub async fn find(client: &Client, person: &PersonDetails) -> Result<Candidates, ReadError> {
    let text = |text: &Private<String>| one_line(text.reveal());
    let (first, last, email) = (text(&person.first_name), text(&person.last_name), text(&person.email));
    let mut found: BTreeMap<u64, wire::Client> = BTreeMap::new();
    let mut complete = true;
    let holds = |field: &str, wanted: &str| field.to_lowercase().contains(&wanted.to_lowercase());
    if !first.is_empty() && !last.is_empty() {
        for (given, family) in [(&first, &last), (&last, &first)] {
            // One of several given names is enough, and the other way round.
            let given = given.split(' ').next().unwrap_or(given);
            let asked =
                [("firstname__icontains", given.to_owned()), ("lastname__icontains", (*family).clone())];
            let fits = |row: &wire::Client| holds(&row.firstname, given) && holds(&row.lastname, family);
            complete &= search(client, &asked, fits, &mut found).await?;
        }
    }
    if !email.is_empty() {
        let asked = [("email__is", email.clone())];
        let fits = |row: &wire::Client| row.email.trim().eq_ignore_ascii_case(&email);
        complete &= search(client, &asked, fits, &mut found).await?;
    }
    let mut looked_for = BTreeSet::new();
    for phone in &person.phones {
        let Some(digits) = translate::last_digits(phone.reveal()) else { continue };
        if !looked_for.insert(digits.clone()) {
            continue;
        }
        // Whose number it is stands elsewhere, so that it cannot be seen from these rows whether the filter was heeded;
        // a list that is too long to be an answer says so.
        complete &= search(client, &[("phone__icontains", digits)], |_| true, &mut found).await?;
    }
    let mut records = Vec::with_capacity(found.len());
    for row in found.values() {
        records.push(with_phones(client, row).await?);
    }
    Ok(Candidates { records, complete })
}

/// Adds whom a search finds; false where there are too many.
async fn search(
    client: &Client,
    asked: &[(&str, String)],
    fits: impl Fn(&wire::Client) -> bool,
    into: &mut BTreeMap<u64, wire::Client>,
) -> Result<bool, ReadError> {
    let query: Vec<(String, String)> =
        asked.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let first: wire::Page<wire::Client> = client.page(Resource::Client, &query, Spending::Urgent).await?;
    if first.count.is_some_and(|count| count > MOST_CANDIDATES as u64) {
        return Ok(false);
    }
    let rows = match first.next {
        None => first.results,
        Some(_) => {
            let all = client.all(Resource::Client, asked, |_| true, Spending::Urgent).await?;
            all.into_values().collect()
        }
    };
    for row in rows {
        if !fits(&row) {
            return Err(ReadError::Misfit("Provet Cloud gave other clients than it was asked for".into()));
        }
        into.insert(row.id, row);
    }
    Ok(true)
}

/// A client with their phone numbers, asked for now.
pub async fn with_phones(client: &Client, person: &wire::Client) -> Result<PatientRecord, ReadError> {
    let phones = phones_of(client, person.id).await?;
    let phones: Vec<String> = phones.into_iter().map(|phone| phone.phone_number).collect();
    Ok(translate::person(person, &phones))
}

/// The phone numbers of a client.
pub async fn phones_of(client: &Client, person: u64) -> Result<Vec<wire::PhoneNumber>, ReadError> {
    let asked = [("client__is", person.to_string())];
    let fits = |phone: &wire::PhoneNumber| phone.client.0 == person;
    let phones = client.all(Resource::PhoneNumber, &asked, fits, Spending::Urgent).await?;
    Ok(phones.into_values().collect())
}

/// Several clients by their numbers, asked for now, many with one request; those that are gone are missing.
pub async fn some(client: &Client, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError> {
    let mut found = Vec::with_capacity(patients.len());
    let wanted: Vec<u64> = numbers_of(patients).into_iter().collect();
    for some in wanted.chunks(AT_ONCE) {
        let in_list = some.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let in_list = format!("[{in_list}]");
        let (asked, whose) = ([("id__in", in_list.clone())], [("client__in", in_list)]);
        let is_wanted = |row: &wire::Client| some.contains(&row.id);
        let clients = client.all(Resource::Client, &asked, is_wanted, Spending::Urgent).await?;
        let of_theirs = |phone: &wire::PhoneNumber| some.contains(&phone.client.0);
        let phones = client.all(Resource::PhoneNumber, &whose, of_theirs, Spending::Urgent).await?;
        found.extend(together(&clients.values().collect::<Vec<_>>(), phones.values()));
    }
    Ok(found)
}

/// One client by their number, asked for now.
pub async fn one(client: &Client, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError> {
    let Some(id) = number(patient.as_str()) else { return Ok(None) };
    match client.get::<wire::Client>(Resource::Client, id).await? {
        Some(found) => with_phones(client, &found).await.map(Some),
        None => Ok(None),
    }
}
