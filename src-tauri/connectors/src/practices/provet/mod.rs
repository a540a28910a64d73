//! Provet Cloud: a practice system in the cloud, reached over REST.
//!
//! A *client* there is the person, and a *patient* is an animal; an animal never leaves as a person.

mod client;
mod copy;
mod hooks;
pub mod hookup;
mod mark;
mod people;
mod rights;
#[cfg(feature = "sims")]
pub mod sim;
#[cfg(all(test, feature = "sims"))]
mod tests;
mod translate;
mod wire;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use domain::booking::{AppointmentOrder, BookingKey, Held, Standing, Watched};
use domain::client_snapshot::{ClientSnapshot, SnapshotAsked};
use domain::diary::{Appointment, AppointmentStatus, Book, PracticeCard, Room, Writable};
use domain::failure::{ReadError, WriteError};
use domain::ids::{AppointmentRef, LocationRef, PatientRef, ResourceRef};
use domain::people::{PatientPlan, PatientRecord, PersonDetails};
use domain::ports::clock::Clock;
use domain::ports::practice::{Candidates, PracticeSystem};
use domain::ports::webhooks::{BookNews, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use domain::settings::{ProvetSettings, WriteMode};
use domain::time::{Horizon, PracticeTime, PracticeZone};
use tokio::sync::Mutex;

use super::sql::{is_known_again, mark_of, room, stretches};
use crate::card::{Card, Field, FieldKind};
use crate::http::sign_in::{Asking, SignInAsked, SignInBook, SignInError};
use crate::http::{EndpointError, Http};
use client::{Client, Resource, Spending, number};
use copy::{Contents, Copy, Hints, Wanted};
pub use hooks::announced;
use people::People;
pub use rights::{Part, Rights};
use translate::Shape;

/// The name of the folder, and of the profile in settings.
pub const NAME: &str = "provet";

/// The host of most practices (sheet §1).
pub const HOST: &str = "https://provetcloud.com";

/// How far ahead the card looks for the next appointment.
const CARD_DAYS: u32 = 60;

/// How long after an insert began its outcome may still change. Provet does not say how long it works on a request: ours
/// is given up after half of this, and what was sent by then has the other half.
pub const SETTLE_SECONDS: u32 = 60;

/// More records than these are answered from memory, where everybody is kept there: asked for one after the other they
/// would take the budget from those who book.
const FEW: usize = 50;

/// How long looks besides the booking itself may take; others wait behind them.
const ASIDE_LIMIT: Duration = Duration::from_secs(3);

/// How Provet Cloud introduces itself (contract sheet §1, §2).
pub const CARD: Card = Card {
    name: NAME,
    title: "Provet Cloud",
    purpose: "Keeps the practice's book: clients, appointments and working time.",
    fields: &[
        Field {
            key: "url",
            label: "Address",
            kind: FieldKind::Address,
            default: Some(HOST),
            optional: false,
            where_to_find: &[
                "Sign in to Provet Cloud, and look at the address in the browser: everything before the number of your \
                 practice, such as https://provetcloud.com or https://us.provetcloud.com.",
            ],
        },
        Field {
            key: "provet_id",
            label: "Provet id",
            kind: FieldKind::Text,
            default: None,
            optional: false,
            where_to_find: &[
                "It is the number behind the host in the browser's address, as in https://provetcloud.com/9999/.",
                "It is also shown in Provet Cloud under Settings, Integrations, API.",
            ],
        },
        Field {
            key: "client_id",
            label: "Client id",
            kind: FieldKind::Text,
            default: None,
            optional: false,
            where_to_find: ADD_APPLICATION,
        },
        Field {
            key: "client_secret",
            label: "Client secret",
            kind: FieldKind::Secret,
            default: None,
            optional: false,
            where_to_find: ADD_APPLICATION,
        },
    ],
    consent_steps: &[
        "Open Settings in Provet Cloud, then Users, and find the user whose name begins with \"Integration\".",
        "Put it into a permission group with the rights that are listed as missing. The user needs a work role, such as \
         Technical, before it can be moved to another group.",
    ],
    connects_devices: false,
    joins_records: false,
    when_unlinked: "Nothing in Provet Cloud changes. What was written there stays.",
};

const ADD_APPLICATION: &[&str] = &[
    "Open Settings in Provet Cloud, then General, Integrations, Open API access, and add the application.",
    "Provet sends its client id and client secret by e-mail, or as a registration, which can be pasted here whole.",
];

/// Why a practice cannot be used as it is written.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not one of Provet's hosts.
    #[error(
        "the address is not one of Provet Cloud's, such as https://provetcloud.com, without anything behind it"
    )]
    Host,
    /// The settings lack what belongs to Provet.
    #[error("the number of the practice at Provet Cloud is missing")]
    NoAccount,
    /// The vault has no client secret.
    #[error("the client secret is missing: enter it in Connections, or apply the provisioning file again")]
    NoSecret,
    /// We do not write to Provet's database.
    #[error("Provet Cloud is written to through its API: write is `none` or `api`")]
    WriteNotOffered,
    /// An address, or credentials that cannot be sent.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// Whether this is one of Provet's hosts, without anything behind it.
///
/// # Errors
/// [`SetupError::Host`] where it is none.
pub fn check_host(host: &str, provet_id: u32) -> Result<(), SetupError> {
    client::Addresses::of(host, provet_id).map(drop)
}

/// Where the browser comes back to unless the clinic's registration with Provet names another address on this computer.
pub const REDIRECT_URL: &str = "http://127.0.0.1:47311/provet/signed-in";

/// Begins the sign-in of a person at a practice of Provet's. Nothing is sent before the browser is.
///
/// # Errors
/// [`SignInSetupError`] says what stands in the way.
pub async fn ask_to_sign_in(
    host: &str,
    account: &ProvetSettings,
    client_secret: Option<&SecretString>,
    http: &Http,
) -> Result<Asking, SignInSetupError> {
    let addresses = client::Addresses::of(host, account.provet_id)?;
    let asked = SignInAsked {
        authorize_url: &addresses.authorize,
        token_url: account.token_url.as_deref().unwrap_or(&addresses.token),
        client_id: &SecretString::from(account.client_id.trim()),
        client_secret: client_secret.filter(|secret| !secret.expose_secret().trim().is_empty()),
        scope: client::SCOPE,
        redirect_url: account.redirect_url.as_deref().unwrap_or(REDIRECT_URL),
    };
    Ok(http.ask_to_sign_in(&asked).await?)
}

/// Why nobody can be asked to sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInSetupError {
    /// The account is not described well.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The sign-in itself.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// A practice at Provet Cloud, as the settings describe it.
pub struct Setup<'a> {
    /// The host.
    pub host: &'a str,
    /// The account.
    pub account: &'a ProvetSettings,
    /// Its secret; a public client, for which a person signs in, has none.
    pub client_secret: Option<&'a SecretString>,
    /// Where the sign-in of a person is kept; none where the account is the integration's own.
    pub sign_in: Option<&'a Arc<dyn SignInBook>>,
    /// The practice's time zone.
    pub zone: PracticeZone,
    /// Who enters bookings.
    pub write: WriteMode,
    /// The departments that the practice covers; none is all of them.
    pub locations: Option<Vec<LocationRef>>,
}

/// A practice at Provet Cloud.
pub struct Provet {
    client: Client,
    shape: Shape,
    write: WriteMode,
    copy: Mutex<Copy>,
    people: Mutex<People>,
    hints: Hints,
    /// Whoever writes looks first, and nobody else writes in between.
    writing: Mutex<()>,
    /// The bookings for which a client may be being made still, since when.
    unsettled: std::sync::Mutex<BTreeMap<BookingKey, DateTime<Utc>>>,
}

impl Provet {
    /// A practice; nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] says what is wrong with it.
    pub fn link(setup: &Setup<'_>, http: &Http, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        if setup.write == WriteMode::Sql {
            return Err(SetupError::WriteNotOffered);
        }
        Ok(Self {
            client: Client::new(
                setup.host,
                setup.account,
                (setup.client_secret, setup.sign_in),
                http,
                clock,
            )?,
            shape: Shape { zone: setup.zone, locations: setup.locations.clone() },
            write: setup.write,
            copy: Mutex::default(),
            people: Mutex::default(),
            hints: Hints::default(),
            writing: Mutex::default(),
            unsettled: std::sync::Mutex::default(),
        })
    }

    /// What the credentials may do, part by part. Everything is tried, and nothing changed.
    ///
    /// # Errors
    /// When Provet cannot be asked at all, or refuses the credentials.
    pub async fn rights(&self) -> Result<Rights, ReadError> {
        rights::look(&self.client).await
    }

    /// Tries each part that normal work needs, for somebody who looks for what is wrong: its name, its number of rows,
    /// and how long it took.
    pub async fn try_parts(&self) -> Vec<(String, Result<usize, String>, Duration)> {
        let mut tried = Vec::new();
        for what in Resource::NEEDED {
            let began = Instant::now();
            let page = self.client.page::<serde_json::Value>(what, &[], Spending::Urgent).await;
            let result = page
                .map(|page| page.results.len())
                .map_err(|error| if let ReadError::Invalid(why) = error { why } else { error.to_string() });
            tried.push((what.words().to_owned(), result, began.elapsed()));
        }
        tried
    }

    fn today(&self) -> NaiveDate {
        self.shape.zone.today(self.client.now())
    }

    /// The book's contents over at least these days.
    async fn contents(&self, horizon: Horizon, wanted: Wanted) -> Result<(Arc<Contents>, String), ReadError> {
        let mut copy = self.copy.lock().await;
        let now = self.client.now();
        copy.keep_in_step(&self.client, self.shape.zone, horizon, wanted, &self.hints, now).await?;
        Ok((copy.contents(), copy.stamp()))
    }

    fn on(&self, day: NaiveDate) -> Horizon {
        Horizon { first: day, last: day }
    }

    /// The appointment that carries the mark, cancelled ones left out. Where there are several, the earliest made.
    fn marked<'c>(contents: &'c Contents, key: &BookingKey) -> Option<&'c wire::Appointment> {
        let mark = mark_of(key);
        contents.appointments.values().find(|appointment| {
            appointment.notes.contains(&mark)
                && translate::status(appointment) != AppointmentStatus::Cancelled
        })
    }

    async fn writable(&self, rights: &Rights) -> Writable {
        match self.write {
            WriteMode::None | WriteMode::Sql => Writable::SwitchedOff,
            WriteMode::Api => match rights.missing_for_bookings() {
                missing if missing.is_empty() => Writable::Yes,
                missing => Writable::RightsMissing(missing.join("\n")),
            },
        }
    }
}

fn held(appointment: &wire::Appointment) -> Held {
    Held {
        appointment: translate::appointment_ref(appointment.id),
        patient: translate::patient_of(appointment),
    }
}

#[async_trait]
impl PracticeSystem for Provet {
    async fn check(&self) -> Result<PracticeCard, ReadError> {
        let rights = self.rights().await?;
        let horizon = Horizon::from_day(self.today(), CARD_DAYS);
        let (contents, _) = self.contents(horizon, Wanted::Now).await?;
        let book = translate::book(&contents, &self.shape, horizon);
        let people: wire::Page<serde_json::Value> =
            self.client.page(Resource::Client, &[], Spending::Urgent).await?;
        let now = self.shape.zone.wall_clock(self.client.now());
        let next = book.appointments.iter().find(|appointment| {
            appointment.starts >= now && appointment.status != AppointmentStatus::Cancelled
        });
        let named = |next: &Appointment| {
            let resource = book.resources.iter().find(|resource| resource.id == next.resource);
            (next.starts, resource.map(domain::diary::Resource::titled_name).unwrap_or_default())
        };
        Ok(PracticeCard {
            system: "Provet Cloud REST API 0.1".to_owned(),
            resources: book.resources.len(),
            locations: book.locations.len(),
            patients: people.count.unwrap_or_default(),
            next_appointment: next.map(named),
            writable: self.writable(&rights).await,
            settle_seconds: SETTLE_SECONDS,
        })
    }

    fn webhook_desk(&self) -> Option<&dyn WebhookDesk> {
        Some(self)
    }

    fn heard(&self, news: &BookNews) -> bool {
        match news {
            BookNews::Appointment(appointment) => {
                let id = number(appointment.as_str());
                let is_news = id.is_some_and(|id| self.hints.appointment(id, self.client.now()));
                // What we are writing just now may be announced before it is answered; it is looked at by itself.
                is_news && self.writing.try_lock().is_ok()
            }
            BookNews::Lists => {
                self.hints.lists();
                true
            }
            BookNews::Something => {
                self.hints.something();
                true
            }
            BookNews::Unclear => false,
        }
    }

    async fn stamp(&self, horizon: Horizon) -> Result<String, ReadError> {
        let (_, stamp) = self.contents(horizon, Wanted::Recent).await?;
        Ok(format!("{stamp} {} {}", horizon.first, horizon.last))
    }

    async fn book(&self, horizon: Horizon) -> Result<Book, ReadError> {
        let (contents, _) = self.contents(horizon, Wanted::Recent).await?;
        Ok(translate::book(&contents, &self.shape, horizon))
    }

    fn keeps_birth_dates(&self) -> bool {
        false
    }

    async fn find_patients(&self, person: &PersonDetails) -> Result<Candidates, ReadError> {
        people::find(&self.client, person).await
    }

    async fn people_stamp(&self) -> Result<Option<String>, ReadError> {
        // While everybody is read, which takes long, whoever books does not wait for it.
        let Ok(mut people) = self.people.try_lock() else { return Ok(None) };
        people.keep_in_step(&self.client).await?;
        Ok(people.stamp(self.client.now()))
    }

    async fn people(&self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<PatientRecord>, ReadError> {
        let mut people = self.people.lock().await;
        people.read_on(&self.client).await?;
        people.keep_in_step(&self.client).await?;
        Ok(people.page(after, limit))
    }

    async fn patients(&self, patients: &[PatientRef]) -> Result<Vec<PatientRecord>, ReadError> {
        match patients {
            [] => Ok(Vec::new()),
            [one] => Ok(people::one(&self.client, one).await?.into_iter().collect()),
            some if some.len() > FEW => {
                let mut people = self.people.lock().await;
                people.keep_in_step(&self.client).await?;
                match people.some(some) {
                    Some(records) => Ok(records),
                    None => people::some(&self.client, some).await,
                }
            }
            some => people::some(&self.client, some).await,
        }
    }

    async fn patient(&self, patient: &PatientRef) -> Result<Option<PatientRecord>, ReadError> {
        people::one(&self.client, patient).await
    }

    async fn appointments_with_patients(
        &self,
        resource: &ResourceRef,
        day: NaiveDate,
    ) -> Result<Vec<(Appointment, Option<PatientRecord>)>, ReadError> {
        let horizon = self.on(day);
        let (contents, _) = self.contents(horizon, Wanted::Now).await?;
        let book = translate::book(&contents, &self.shape, horizon);
        let theirs: Vec<Appointment> =
            book.appointments.into_iter().filter(|found| found.resource == *resource).collect();
        let patients: Vec<PatientRef> = theirs.iter().filter_map(|found| found.patient.clone()).collect();
        let records = people::some(&self.client, &patients).await?;
        let record_of = |found: &Appointment| {
            records.iter().find(|record| Some(&record.id) == found.patient.as_ref()).cloned()
        };
        Ok(theirs.into_iter().map(|found| (found.clone(), record_of(&found))).collect())
    }

    async fn insert(&self, order: &AppointmentOrder) -> Result<Held, WriteError> {
        self.insert_appointment(order).await
    }

    async fn overlapped(
        &self,
        order: &AppointmentOrder,
        appointment: &AppointmentRef,
    ) -> Result<bool, ReadError> {
        let Ok(stretches) = stretches(order) else { return Ok(false) };
        let day = order.starts.day();
        let horizon = Horizon { first: day, last: stretches.last().map_or(day, |(day, _)| *day) };
        let looked = tokio::time::timeout(ASIDE_LIMIT, self.contents(horizon, Wanted::Now)).await;
        let (contents, _) =
            looked.map_err(|_| ReadError::Unreachable("Provet Cloud took too long to answer".into()))??;
        let besides = number(appointment.as_str());
        let planned = translate::planned(&contents, &self.shape, &order.resource, horizon, besides);
        let alone = AppointmentOrder { beside: false, ..order.clone() };
        Ok(room(&planned, &alone, &stretches, None) == Room::Taken)
    }

    async fn find(&self, key: &BookingKey) -> Result<Option<Held>, ReadError> {
        let (contents, _) = self.contents(self.on(self.today()), Wanted::Now).await?;
        Ok(Self::marked(&contents, key).map(held))
    }

    async fn standings(&self, watched: &[Watched]) -> Result<Vec<Standing>, ReadError> {
        if watched.is_empty() {
            return Ok(Vec::new());
        }
        let (contents, _) = self.contents(self.on(self.today()), Wanted::Now).await?;
        let mut told = Vec::with_capacity(watched.len());
        for one in watched {
            told.push(self.standing(&contents, one).await?);
        }
        Ok(told)
    }

    async fn name_patient(
        &self,
        appointment: &AppointmentRef,
        key: &BookingKey,
        plan: &PatientPlan,
        instead_of: Option<&PatientRef>,
        details: &PersonDetails,
    ) -> Result<Held, WriteError> {
        self.name_appointment(appointment, key, plan, instead_of, details).await
    }

    async fn client_snapshot(&self, _asked: SnapshotAsked) -> Result<ClientSnapshot, ReadError> {
        Err(ReadError::Misfit("Provet Cloud does not tell what a snapshot of a day needs".into()))
    }

    async fn cancel(&self, held: &Held) -> Result<(), WriteError> {
        self.cancel_appointment(held).await
    }
}

impl Provet {
    async fn standing(&self, contents: &Contents, one: &Watched) -> Result<Standing, ReadError> {
        let id = number(one.appointment.as_str());
        let asked;
        let there = match id.and_then(|id| contents.appointments.get(&id)) {
            Some(there) => Some(there),
            None => match id {
                Some(id) => {
                    asked = self.client.get::<wire::Appointment>(Resource::Appointment, id).await?;
                    asked.as_ref()
                }
                None => None,
            },
        };
        let is_it = |there: &&wire::Appointment| {
            let place = one.place.as_ref().is_some_and(|(resource, starts)| {
                resource_of(there).as_ref() == Some(resource) && self.starts(there) == *starts
            });
            is_known_again(one, &there.notes, translate::patient_of(there).as_ref(), place)
        };
        let Some(there) = there.filter(is_it).or_else(|| Self::marked(contents, &one.key)) else {
            return Ok(Standing::Gone);
        };
        Ok(match translate::status(there) {
            AppointmentStatus::Cancelled => Standing::Cancelled,
            AppointmentStatus::DidNotAttend => Standing::DidNotAttend,
            AppointmentStatus::Booked
            | AppointmentStatus::Confirmed
            | AppointmentStatus::Arrived
            | AppointmentStatus::Completed
            | AppointmentStatus::Other => Standing::Stands {
                appointment: translate::appointment_ref(there.id),
                resource: resource_of(there),
                starts: Some(self.starts(there)),
                patient: translate::patient_of(there),
            },
        })
    }

    fn starts(&self, appointment: &wire::Appointment) -> PracticeTime {
        self.shape.zone.wall_clock(appointment.start)
    }
}

fn resource_of(appointment: &wire::Appointment) -> Option<ResourceRef> {
    appointment.user.map(|user| ResourceRef::new(user.0.to_string()))
}
