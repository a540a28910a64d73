//! Patients who connect devices of their own, at a partner that does not know who they are.

use super::clinic::{Clinic, run_until};
use super::reaper::{Fault, HandClock, Reaper};
use crate::flows::Flow;
use crate::flows::enrolments::{Enrolments, NotConnected, Register, connect, devices, link_key};
use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::audit::AuditEvent;
use domain::consent::{Agreement, ConsentHow, ConsentLine, NotAllowed, Said};
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignProfileId, PartnerId, PatientRef, SyncId};
use domain::link::{Link, LinkState};
use domain::ports::clock::Clock;
use domain::ports::enrolment::{DeviceChange, DeviceEnrolment, DevicePage, Enrolled, Enrolling};
use domain::ports::partner::Partner;
use domain::ports::store::{AuditTrail, Consents, Leg, Links, Marks, Store};
use domain::private::{ExposeSecret, Private};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Everything that the partner knows.
#[derive(Default)]
struct Files {
    organisation: String,
    /// Who is there by name, and the number of their page.
    users: BTreeMap<SyncId, u32>,
    /// How often each name was ever made.
    made: BTreeMap<SyncId, u32>,
    changes: Vec<DeviceChange>,
    /// Names that arrive later than anybody waits.
    late: Vec<(DateTime<Utc>, SyncId)>,
    /// Answers do not say where the page is.
    keeps_page: bool,
    /// Names are refused in these words.
    refuses: Option<&'static str>,
    /// Nobody can be asked for by name, as in the form of 2015.
    blind: bool,
    fails: Option<fn() -> ReadError>,
    log: Vec<String>,
    names: u32,
}

impl Files {
    fn make(&mut self, name: &SyncId) -> bool {
        if self.users.contains_key(name) {
            return false;
        }
        self.users.insert(name.clone(), 1);
        *self.made.entry(name.clone()).or_default() += 1;
        true
    }

    fn page(&self, name: &SyncId) -> DevicePage {
        DevicePage(format!("https://pages.example/{name}/{}", self.users.get(name).unwrap()).into())
    }

    fn enrolled(&self, name: &SyncId) -> Enrolled {
        let connected = |change: &&DeviceChange| change.name == *name && change.connected;
        Enrolled {
            id: id_of(name),
            page: (!self.keeps_page).then(|| self.page(name)),
            devices: Some(
                self.changes.iter().filter(connected).map(|change| change.device.clone()).collect(),
            ),
        }
    }
}

fn id_of(name: &SyncId) -> ForeignProfileId {
    ForeignProfileId::new(format!("id-of-{name}"))
}

#[derive(Clone)]
struct FakeDevices {
    id: PartnerId,
    clock: HandClock,
    reaper: Arc<Reaper>,
    files: Arc<Mutex<Files>>,
}

impl FakeDevices {
    fn files<T>(&self, read: impl FnOnce(&mut Files) -> T) -> T {
        let mut files = self.files.lock().unwrap();
        let now = self.clock.now();
        for (at, name) in std::mem::take(&mut files.late) {
            if at <= now {
                files.make(&name);
            } else {
                files.late.push((at, name));
            }
        }
        read(&mut files)
    }

    async fn asked<T: Send>(
        &self,
        call: String,
        answer: impl FnOnce(&mut Files) -> T + Send,
    ) -> Result<T, ReadError> {
        self.reaper.touch(|| self.logged(call, answer)).await?
    }

    fn logged<T>(&self, call: String, answer: impl FnOnce(&mut Files) -> T) -> Result<T, ReadError> {
        self.files(|files| {
            files.log.push(call);
            match files.fails {
                Some(fails) => Err(fails()),
                None => Ok(answer(files)),
            }
        })
    }

    fn calls(&self, name: &str) -> usize {
        self.files(|files| files.log.iter().filter(|call| call.starts_with(name)).count())
    }
}

#[async_trait]
impl Partner for FakeDevices {
    fn id(&self) -> &PartnerId {
        &self.id
    }

    fn account(&self) -> String {
        self.organisation()
    }

    async fn check(&self) -> Result<(), ReadError> {
        self.asked("check".into(), |_| ()).await
    }

    fn device_enrolment(&self) -> Option<&dyn DeviceEnrolment> {
        Some(self)
    }
}

#[async_trait]
impl DeviceEnrolment for FakeDevices {
    fn organisation(&self) -> String {
        self.files(|files| files.organisation.clone())
    }

    fn new_name(&self) -> Result<SyncId, ReadError> {
        let number = self.files(|files| {
            files.names += 1;
            files.names
        });
        Ok(SyncId::new(format!("vc-{number}")))
    }

    fn fields(&self) -> Vec<&'static str> {
        vec!["uid", "location"]
    }

    async fn enrol(&self, name: &SyncId) -> Result<Enrolling, WriteError> {
        let make = || {
            self.logged(format!("enrol {name}"), |files| {
                if let Some(words) = files.refuses {
                    return Err(WriteError::Refused(domain::failure::Refusal::Other(words.into())));
                }
                let new = files.make(name);
                Ok(if new { Enrolling::New(files.enrolled(name)) } else { Enrolling::NameTaken })
            })
        };
        let late = || {
            let at = self.clock.now() + TimeDelta::seconds(30);
            self.files(|files| files.late.push((at, name.clone())));
        };
        self.reaper.touch_or_late(make, Some(late)).await?.map_err(WriteError::Unknown)?
    }

    async fn enrolled(&self, name: &SyncId) -> Result<Option<Enrolled>, ReadError> {
        let found = self.asked(format!("look {name}"), |files| {
            (!files.blind).then(|| files.users.contains_key(name).then(|| files.enrolled(name)))
        });
        found.await?.ok_or_else(|| ReadError::Invalid("no such question".into()))
    }

    async fn renew_page(&self, name: &SyncId, id: &ForeignProfileId) -> Result<DevicePage, WriteError> {
        assert_eq!(*id, id_of(name));
        let renewed = self.asked(format!("renew {name}"), |files| {
            *files.users.get_mut(name)? += 1;
            Some(files.page(name))
        });
        let renewed = renewed.await.map_err(WriteError::Unknown)?;
        renewed.ok_or(WriteError::Untouched(ReadError::NotFound))
    }

    async fn remove(&self, name: &SyncId, _: Option<&ForeignProfileId>) -> Result<(), WriteError> {
        let removed =
            self.asked(format!("remove {name}"), |files| files.users.retain(|known, _| known != name));
        removed.await.map_err(WriteError::Unknown)
    }

    async fn changes(&self, first: NaiveDate, last: NaiveDate) -> Result<Vec<DeviceChange>, ReadError> {
        assert!((last - first).num_days() < 30, "{first} {last}");
        self.asked(format!("changes {first} {last}"), |files| {
            let within = |change: &&DeviceChange| (first..=last).contains(&change.at.date_naive());
            files.changes.iter().filter(within).cloned().collect()
        })
        .await
    }

    fn longest_span(&self) -> u32 {
        30
    }
}

/// A clinic whose patients connect devices.
struct Place {
    clinic: Clinic,
    partner: FakeDevices,
}

impl Place {
    fn new() -> Self {
        let mut clinic = Clinic::new();
        clinic.settings.system.poll_seconds = 600;
        let files = Files { organisation: "first".into(), ..Files::default() };
        let partner = FakeDevices {
            id: PartnerId::new("validic"),
            clock: clinic.clock.clone(),
            reaper: clinic.reaper.clone(),
            files: Arc::new(Mutex::new(files)),
        };
        Self { clinic, partner }
    }

    fn flow(&self) -> Enrolments {
        let mut ports = self.clinic.ports();
        let partner: Arc<dyn Partner> = Arc::new(self.partner.clone());
        ports.partners = vec![partner.clone()];
        Enrolments::new(ports, partner).unwrap()
    }

    /// Somebody presses the button, in the program that the reaper may kill.
    async fn press(&self, patient: &str, anew: bool) -> Result<String, NotConnected> {
        self.press_with(&self.clinic.store, patient, anew).await
    }

    async fn press_with(&self, store: &dyn Store, patient: &str, anew: bool) -> Result<String, NotConnected> {
        let register = Register {
            store,
            clock: &self.clinic.clock,
            practice: &self.clinic.settings,
            partner: &self.partner,
            desk: &self.partner,
        };
        let born = self.clinic.practice.diary(|diary| {
            let record = diary.patients.iter().find(|record| record.id.as_str() == patient);
            record.map(|record| record.details.birth_date.clone()).unwrap_or_default()
        });
        let page = connect(register, &PatientRef::new(patient), &born, anew).await?;
        Ok(page.0.expose_secret().to_owned())
    }

    fn line(&self, patient: &str, said: Said) -> ConsentLine {
        ConsentLine {
            practice: self.clinic.settings.id.clone(),
            partner: self.partner.id.clone(),
            patient: PatientRef::new(patient),
            said,
            how: ConsentHow::AtDesk,
            recorded_by: Private::new("Kim".into()),
            wording: String::new(),
            at: self.clinic.now(),
        }
    }

    async fn says(&self, patient: &str, said: Said) {
        self.clinic.store.for_people().record_consents(&[self.line(patient, said)]).await.unwrap();
    }

    async fn agrees(&self, patient: &str) {
        self.says(patient, Said::Yes(Agreement::default())).await;
    }

    async fn link(&self, patient: &str) -> Option<Link> {
        let key = link_key(&self.clinic.settings.id, &self.partner.id, &PatientRef::new(patient));
        self.clinic.store.for_people().link(&key).await.unwrap()
    }

    async fn devices(&self, patient: &str) -> Vec<String> {
        let name = self.link(patient).await.unwrap().told_as;
        let store = self.clinic.store.for_people();
        devices(&store, &self.clinic.settings.id, &self.partner.id, &name).await.unwrap()
    }

    fn connects(&self, name: &str, device: &str, connected: bool) {
        let at = self.clinic.now();
        let change = DeviceChange { name: SyncId::new(name), device: device.into(), connected, at };
        self.partner.files(|files| files.changes.push(change));
    }

    async fn run(&self, flow: &Enrolments, minutes: i64) {
        run_until(&self.clinic, flow, self.clinic.now() + TimeDelta::minutes(minutes)).await;
    }

    async fn audited(&self) -> Vec<(AuditEvent, Option<String>)> {
        let entries = self.clinic.store.for_people().audited(0, 1000).await.unwrap();
        entries.into_iter().map(|entry| (entry.line.what, entry.line.told_as)).collect()
    }

    fn made(&self) -> u32 {
        self.partner.files(|files| files.made.values().sum())
    }
}

#[tokio::test]
async fn nobody_is_registered_before_the_desk_asks_for_it_nor_without_consent() {
    let place = Place::new();
    let flow = place.flow();
    place.agrees("p1").await;
    place.run(&flow, 120).await;
    assert_eq!((place.made(), place.link("p1").await), (0, None));
    let refused = place.press("p2", false).await;
    assert!(matches!(refused, Err(NotConnected::NotAllowed(NotAllowed::NotAsked))), "{refused:?}");
    place.says("p1", Said::No).await;
    let refused = place.press("p1", false).await;
    assert!(matches!(refused, Err(NotConnected::NotAllowed(NotAllowed::Withdrawn))), "{refused:?}");
    assert_eq!((place.made(), place.partner.calls("enrol")), (0, 0));
}

#[tokio::test]
async fn a_patient_is_registered_once_and_shown_the_same_page_until_a_new_one_is_asked_for() {
    let place = Place::new();
    place.agrees("p1").await;
    let first = place.press("p1", false).await.unwrap();
    assert_eq!(first, "https://pages.example/vc-1/1");
    assert_eq!(place.press("p1", false).await.unwrap(), first);
    assert_eq!(place.press("p1", true).await.unwrap(), "https://pages.example/vc-1/2");
    assert_eq!(place.press("p1", false).await.unwrap(), "https://pages.example/vc-1/2");
    assert_eq!((place.made(), place.partner.calls("enrol"), place.partner.calls("renew")), (1, 1, 1));
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, link.partner_id.as_deref()), (LinkState::Linked, Some("id-of-vc-1")));
    // What left, and under which name, was written down before.
    let told = Some("vc-1".to_owned());
    assert_eq!(place.audited().await[1..], [(AuditEvent::Sent, told.clone()), (AuditEvent::Sent, told)]);
}

/// Two people press the button for one patient, the second at whatever moment of the first.
#[tokio::test]
async fn who_presses_while_somebody_else_does_registers_nobody_twice() {
    let mut moments = 0;
    for moment in 1.. {
        let place = Arc::new(Place::new());
        place.agrees("p1").await;
        let weak = Arc::downgrade(&place);
        let other = move || -> futures_util::future::BoxFuture<'static, ()> {
            let weak = weak.clone();
            Box::pin(async move {
                let place = weak.upgrade().unwrap();
                let store = place.clinic.store.for_people();
                place.press_with(&store, "p1", false).await.unwrap();
            })
        };
        place.clinic.reaper.somebody(Arc::new(other));
        let before = place.clinic.reaper.touches();
        place.clinic.reaper.plan(&[(before + moment, Fault::SomebodyActs)]);
        let page = place.press("p1", false).await.unwrap();
        let link = place.link("p1").await.unwrap();
        assert_eq!(place.made(), 1, "{moment}");
        assert!(page.contains(&format!("/{}/", link.told_as)), "{moment}: {page}");
        if place.clinic.reaper.touches() < before + moment {
            break;
        }
        moments = moment;
    }
    assert!(moments > 5, "{moments}");
}

#[tokio::test]
async fn a_page_that_the_answer_does_not_hold_is_asked_for() {
    let place = Place::new();
    place.agrees("p1").await;
    place.partner.files(|files| files.keeps_page = true);
    assert_eq!(place.press("p1", false).await.unwrap(), "https://pages.example/vc-1/2");
}

#[tokio::test]
async fn what_is_connected_comes_from_one_question_for_everybody() {
    let place = Place::new();
    let flow = place.flow();
    for patient in ["p1"] {
        place.agrees(patient).await;
        place.press(patient, false).await.unwrap();
    }
    place.connects("vc-1", "fitbit", true);
    place.connects("vc-1", "garmin", true);
    place.connects("vc-of-another-practice", "oura", true);
    place.run(&flow, 3).await;
    assert_eq!(place.devices("p1").await, ["fitbit", "garmin"]);
    place.connects("vc-1", "fitbit", false);
    place.run(&flow, 3).await;
    assert_eq!(place.devices("p1").await, ["garmin"]);
    assert_eq!(place.partner.calls("look"), 0, "nobody is asked for one by one");
    // While somebody is expected to connect something it is looked for often, and else once an hour.
    place.run(&flow, 60).await;
    let before = place.partner.calls("changes");
    place.run(&flow, 6 * 60).await;
    assert!((5..=7).contains(&(place.partner.calls("changes") - before)), "{before}");
    let note =
        place.clinic.ports().state.leg(&place.clinic.settings.id, Leg::Account(place.partner.id.clone()));
    assert!(note.unwrap().problem.is_none());
}

#[tokio::test]
async fn a_computer_that_was_off_for_months_catches_up_in_pieces() {
    let place = Place::new();
    place.agrees("p1").await;
    place.press("p1", false).await.unwrap();
    place.run(&place.flow(), 1).await;
    place.clinic.clock.move_by(TimeDelta::days(40));
    place.connects("vc-1", "fitbit", true);
    place.clinic.clock.move_by(TimeDelta::days(50));
    place.run(&place.flow(), 1).await;
    assert_eq!(place.devices("p1").await, ["fitbit"]);
    let asked = place.partner.files(|files| {
        files.log.iter().filter(|call| call.starts_with("changes")).cloned().collect::<Vec<_>>()
    });
    assert!(asked.len() >= 4, "{asked:?}");
    let today = place.clinic.now().date_naive();
    assert!(asked.last().unwrap().ends_with(&today.to_string()), "{asked:?}");
    assert!(today.checked_sub_days(Days::new(90)).is_some());
}

#[tokio::test]
async fn who_takes_consent_back_is_removed_there_and_then_here() {
    let place = Place::new();
    let flow = place.flow();
    place.agrees("p1").await;
    place.press("p1", false).await.unwrap();
    place.connects("vc-1", "fitbit", true);
    place.run(&flow, 3).await;
    place.says("p1", Said::No).await;
    place.partner.files(|files| files.fails = Some(|| ReadError::Unreachable("down".into())));
    place.run(&flow, 10).await;
    assert!(place.link("p1").await.is_some(), "who they are is not forgotten before they are removed");
    place.partner.files(|files| files.fails = None);
    place.run(&flow, 15).await;
    assert_eq!(place.link("p1").await, None);
    assert!(place.partner.files(|files| files.users.is_empty()));
    assert!(place.clinic.store.disk(|disk| disk.secrets.is_empty()));
    let store = place.clinic.store.for_people();
    assert_eq!(store.marks(&place.clinic.settings.id, "enrolments/validic/devices/").await.unwrap(), []);
    assert_eq!(place.audited().await.last().unwrap(), &(AuditEvent::Ended, Some("vc-1".to_owned())));
    // Whoever agrees again is somebody new there.
    place.agrees("p1").await;
    assert_eq!(place.press("p1", false).await.unwrap(), "https://pages.example/vc-2/1");
}

#[tokio::test]
async fn somebody_who_was_removed_there_by_hand_is_registered_under_a_new_name() {
    let place = Place::new();
    place.agrees("p1").await;
    place.press("p1", false).await.unwrap();
    place.partner.files(|files| files.users.clear());
    assert_eq!(place.press("p1", true).await.unwrap(), "https://pages.example/vc-2/1");
    assert_eq!(place.link("p1").await.unwrap().told_as, "vc-2");
}

#[tokio::test]
async fn another_organisation_knows_nobody_and_the_same_one_everybody() {
    let place = Place::new();
    place.agrees("p1").await;
    place.press("p1", false).await.unwrap();
    place.run(&place.flow(), 1).await;
    assert_eq!(place.link("p1").await.unwrap().told_as, "vc-1");
    place.partner.files(|files| {
        files.organisation = "second".into();
        files.users.clear();
    });
    place.run(&place.flow(), 1).await;
    assert_eq!(place.link("p1").await, None);
    assert!(place.clinic.store.disk(|disk| disk.secrets.is_empty()));
    assert!(place.audited().await.contains(&(AuditEvent::Sent, Some("vc-1".to_owned()))), "the trail stays");
}

#[tokio::test]
async fn a_refusal_is_said_and_holds_back_nobody_else() {
    let place = Place::new();
    let flow = place.flow();
    place.agrees("p1").await;
    place.partner.files(|files| files.refuses = Some("uid is invalid"));
    let refused = place.press("p1", false).await;
    assert!(matches!(&refused, Err(NotConnected::Refused(said)) if said == "uid is invalid"), "{refused:?}");
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, link.reason.as_deref()), (LinkState::Failed, Some("uid is invalid")));
    place.run(&flow, 10).await;
    assert_eq!(place.partner.calls("enrol"), 1, "not tried again by itself");
    place.partner.files(|files| files.refuses = None);
    assert_eq!(place.press("p1", false).await.unwrap(), "https://pages.example/vc-1/1");
}

#[tokio::test]
async fn where_nobody_can_be_asked_for_by_name_a_lost_answer_is_said() {
    let place = Place::new();
    place.agrees("p1").await;
    place.partner.files(|files| files.blind = true);
    place.partner.files(|files| files.make(&SyncId::new("vc-1")));
    let refused = place.press("p1", false).await;
    assert!(matches!(&refused, Err(NotConnected::Refused(said)) if said.contains("taken")), "{refused:?}");
    assert_eq!(place.made(), 1);
}

#[tokio::test]
async fn what_cannot_go_on_waits_for_somebody() {
    let place = Place::new();
    place.agrees("p1").await;
    place.partner.files(|files| files.fails = Some(|| ReadError::Unreachable("down".into())));
    assert!(place.press("p1", false).await.is_err());
    place.partner.files(|files| files.fails = None);
    place.clinic.practice.diary(|diary| diary.patients.clear());
    place.run(&place.flow(), 1).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!((link.state, place.made()), (LinkState::NeedsPerson, 0));
    assert!(link.reason.unwrap().contains("birth date"), "it cannot be told who has to agree");
}

#[tokio::test]
async fn one_user_is_made_whatever_dies_when() {
    let touches = walk(&[]).await;
    assert!(touches > 20, "{touches}");
    for touch in 1..=touches {
        for fault in Fault::ALL {
            walk(&[(touch, fault)]).await;
        }
    }
}

/// Somebody presses the button, the patient connects a device, and takes consent back. Returns how often the world was
/// touched.
async fn walk(faults: &[(usize, Fault)]) -> usize {
    let place = Place::new();
    let story = format!("{faults:?}");
    place.agrees("p1").await;
    let somebody = {
        let (store, line) = (place.clinic.store.for_people(), place.line("p1", Said::No));
        move || -> futures_util::future::BoxFuture<'static, ()> {
            let (store, line) = (store.clone(), line.clone());
            Box::pin(async move { drop(store.record_consents(&[line]).await) })
        }
    };
    place.clinic.reaper.somebody(Arc::new(somebody));
    place.clinic.reaper.plan(faults);
    let interrupted = faults.iter().any(|(_, fault)| *fault == Fault::SomebodyActs);
    let mut page = None;
    let (shown, over) =
        (place.clinic.now() + TimeDelta::minutes(40), place.clinic.now() + TimeDelta::minutes(80));
    let mut withdrawn = false;
    while place.clinic.now() < over {
        let flow = place.flow();
        let life = async {
            while page.is_none() && !withdrawn && place.clinic.now() < shown {
                match place.press("p1", false).await {
                    Ok(shown) => page = Some(shown),
                    // Whoever takes consent back in between is shown nothing.
                    Err(NotConnected::NotAllowed(_)) => break,
                    Err(_) => {}
                }
                run_until(&place.clinic, &flow, place.clinic.now() + TimeDelta::seconds(20)).await;
            }
            if !withdrawn {
                run_until(&place.clinic, &flow, shown).await;
                if !interrupted {
                    let link = place.link("p1").await.unwrap_or_else(|| panic!("{story}: no link"));
                    assert_eq!(link.state, LinkState::Linked, "{story}: {link:?}");
                    let users = place.partner.files(|files| files.users.keys().cloned().collect::<Vec<_>>());
                    assert_eq!(users, [SyncId::new(link.told_as.as_str())], "{story}");
                    assert!(page.is_some(), "{story}: nobody was shown a page");
                }
                place.says("p1", Said::No).await;
                withdrawn = true;
            }
            run_until(&place.clinic, &flow, over).await;
        };
        tokio::select! {
            () = life => {}
            () = place.clinic.reaper.death() => {
                place.clinic.reaper.revive();
                place.clinic.clock.move_by(TimeDelta::seconds(1));
            }
        }
    }
    assert!(place.made() <= 1, "{story}: {} users were made", place.made());
    assert!(place.partner.files(|files| files.users.is_empty()), "{story}: somebody is left there");
    assert_eq!(place.link("p1").await, None, "{story}");
    assert!(place.clinic.store.disk(|disk| disk.secrets.is_empty()), "{story}: a secret is left");
    let audited = place.audited().await;
    for name in place.partner.files(|files| files.made.keys().cloned().collect::<BTreeSet<_>>()) {
        let name = Some(name.to_string());
        assert!(audited.contains(&(AuditEvent::Sent, name.clone())), "{story}: it left without a line");
        assert!(audited.contains(&(AuditEvent::Ended, name)), "{story}: its end has no line");
    }
    place.clinic.reaper.touches()
}

#[tokio::test]
async fn a_pass_answers_for_its_partner_alone() {
    let place = Place::new();
    let flow = place.flow();
    assert_eq!(flow.name(), crate::flows::FlowName::Enrolments(PartnerId::new("validic")));
    place.partner.files(|files| files.fails = Some(|| ReadError::NotAuthorised));
    flow.pass().await;
    let notes = place.clinic.store.disk(|disk| disk.notes.clone());
    let problems: Vec<&str> = notes
        .values()
        .filter_map(|note| note.problem.as_ref().map(|problem| problem.sentence.as_str()))
        .collect();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("Validic refuses what it was given to sign in with"), "{problems:?}");
}
