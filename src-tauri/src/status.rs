//! `status`: the health of every practice, read from the store alone, so that it works while the engine runs.

use crate::patients::vald;
use chrono::{DateTime, SecondsFormat, Utc};
use connectors::partners;
use domain::ids::{PartnerId, PracticeId};
use domain::link::LinkState;
use domain::ports::store::{
    BookingCounts, BookingLedger, Leg, LegNote, Links, Marks, ProblemKind, SettingsBook, StoreError,
    Watermarks,
};
use domain::settings::PracticeSettings;
use domain::time::PracticeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use store::Store;
use sync::flows::availability::AVAILABILITY;
use sync::flows::changes::APPOINTMENTS;
use sync::flows::doubt::doubtful_mark;
use sync::flows::people::CONSENTS;
use sync::health::{self, Health};

/// `status --json` (`interface.md`).
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    practices: Vec<PracticeStatus>,
}

#[derive(Debug, Serialize)]
struct PracticeStatus {
    id: String,
    enabled: bool,
    health: &'static str,
    system: SystemStatus,
    healthengine: Option<HealthengineStatus>,
    vald: Option<LinksStatus>,
    /// The partners whose account is drawn from their card, by name; null where they are not linked.
    #[serde(flatten)]
    accounts: BTreeMap<&'static str, Option<LinksStatus>>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    zone: PracticeZone,
}

#[derive(Debug, Serialize)]
struct SystemStatus {
    health: &'static str,
    #[serde(serialize_with = "instant")]
    last_read_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct HealthengineStatus {
    health: &'static str,
    consent: &'static str,
    #[serde(serialize_with = "instant")]
    last_poll_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "instant")]
    last_availability_at: Option<DateTime<Utc>>,
    bookings: BookingsStatus,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct BookingsStatus {
    confirmed: u32,
    rejected: u32,
    cancelled: u32,
    pending: u32,
    attention: u32,
}

#[derive(Debug, Serialize)]
struct LinksStatus {
    /// The name that people know.
    #[serde(skip)]
    title: &'static str,
    health: &'static str,
    linked: u32,
    pending: u32,
    failed: u32,
    error: Option<String>,
    /// How many wait for somebody.
    #[serde(skip)]
    needs_person: u32,
}

fn instant<S: serde::Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).serialize(serializer)
}

/// What is said while too many appointments are gone to believe it.
const DOUBT: &str = "Most appointments that were booked on Healthengine are gone from the book. Nothing of it is told there until somebody says on Connections that this is right.";

/// The same of consents.
const DOUBT_OF_CONSENTS: &str = "Most consents for VALD Hub are gone from the practice system. Nobody's is withdrawn because of that until somebody says on Connections that this is right.";

/// What is said while links wait for somebody.
const UNDECIDED: &str = "Some patients need somebody to decide or to supply something. The Patients screen lists them, and the command links says why.";

/// What one practice is judged by.
struct Known {
    notes: BTreeMap<Leg, LegNote>,
    counts: BookingCounts,
    /// When Healthengine last accepted free times.
    published_at: Option<DateTime<Utc>>,
    /// How many links with each partner stand in each state.
    links: BTreeMap<PartnerId, BTreeMap<LinkState, u32>>,
    /// Most appointments of bookings are gone from the book, and somebody has to say whether that is right.
    doubtful: bool,
    /// The same of consents that the practice system holds.
    doubtful_consents: bool,
}

/// Whether a list waits for somebody.
async fn waits(store: &Store, practice: &PracticeId, list: &str) -> Result<bool, StoreError> {
    Ok(!store.marks(practice, &doubtful_mark(list)).await?.is_empty())
}

impl Status {
    /// Reads it. Without a store nothing is linked.
    pub async fn read(store: Option<&Store>, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut practices = Vec::new();
        if let Some(store) = store {
            for settings in store.practices().await? {
                let marks = store.marks(&settings.id, AVAILABILITY).await?;
                let mut links = BTreeMap::new();
                for partner in settings.accounts.keys().cloned().chain([vald()]) {
                    let counts = store.link_counts(&settings.id, &partner).await?;
                    links.insert(partner, counts);
                }
                let known = Known {
                    notes: store.notes(&settings.id).await?.into_iter().collect(),
                    counts: store.counts(&settings.id).await?,
                    published_at: marks.iter().map(|mark| mark.at).max(),
                    links,
                    doubtful: waits(store, &settings.id, APPOINTMENTS).await?,
                    doubtful_consents: waits(store, &settings.id, CONSENTS).await?,
                };
                practices.push(practice(&settings, &known, now));
            }
        }
        Ok(Self { version: env!("CARGO_PKG_VERSION"), practices })
    }

    /// For people, times on each practice's own clock.
    pub fn text(&self) -> String {
        let mut text = format!("Clinic Companion {}\n", self.version);
        if self.practices.is_empty() {
            text.push_str("No practice is linked.\n");
        }
        for practice in &self.practices {
            // Writing to a string cannot fail.
            let _ = practice.write_to(&mut text);
        }
        text
    }
}

fn practice(settings: &PracticeSettings, known: &Known, now: DateTime<Utc>) -> PracticeStatus {
    let note = |leg| known.notes.get(&leg);
    let judged = |leg: Leg| judge(settings, leg.clone(), note(leg), now);
    let (system_health, system_error) = judged(Leg::System);
    let system = SystemStatus {
        health: system_health.word(),
        last_read_at: note(Leg::System).and_then(|note| note.proven_at),
        error: system_error,
    };
    let mut worst = system_health;
    let healthengine = settings.healthengine.as_ref().map(|_| {
        let ((desk, desk_error), (board, board_error)) = (judged(Leg::Desk), judged(Leg::Board));
        let counts = known.counts;
        let undecided = if counts.attention > 0 || known.doubtful { Health::Attention } else { Health::Ok };
        let health = desk.max(board).max(undecided);
        worst = worst.max(health);
        HealthengineStatus {
            health: health.word(),
            consent: consent(note(Leg::Desk), note(Leg::Board)),
            last_poll_at: note(Leg::Desk).and_then(|note| note.proven_at),
            last_availability_at: known.published_at,
            bookings: BookingsStatus {
                confirmed: counts.confirmed,
                rejected: counts.rejected,
                cancelled: counts.cancelled,
                pending: counts.pending,
                attention: counts.attention,
            },
            // The worse of the two legs speaks; where they are equal, the one on which patients wait.
            error: if board > desk { board_error.or(desk_error) } else { desk_error.or(board_error) }
                .or_else(|| known.doubtful.then(|| DOUBT.to_owned())),
        }
    });
    let mut of_partner = |title, partner: PartnerId, leg, doubt| {
        let (status, reach) = links_status(title, known.links.get(&partner), judged(leg), doubt);
        // Only what does not work at all concerns the practice; patients who wait for somebody are not urgent.
        if reach == Health::Down {
            worst = worst.max(reach);
        }
        status
    };
    let doubt = known.doubtful_consents.then_some(DOUBT_OF_CONSENTS);
    let vald = settings.vald.as_ref().map(|_| of_partner("VALD Hub", vald(), Leg::Profiles, doubt));
    let mut accounts: BTreeMap<&'static str, Option<LinksStatus>> = BTreeMap::new();
    for linkable in partners::LINKABLE {
        let linked = settings.accounts.get(&linkable.id());
        let leg = Leg::Account(linkable.id());
        let status = linked.map(|_| of_partner(linkable.card.title, linkable.id(), leg, None));
        accounts.insert(linkable.card.name, status);
    }
    PracticeStatus {
        id: settings.id.to_string(),
        enabled: settings.enabled,
        health: worst.word(),
        system,
        healthengine,
        vald,
        accounts,
        name: settings.name.clone(),
        zone: settings.zone,
    }
}

/// How it stands with a partner to whom things are linked, and whether the partner can be worked with at all.
fn links_status(
    title: &'static str,
    links: Option<&BTreeMap<LinkState, u32>>,
    (health, error): (Health, Option<String>),
    doubt: Option<&str>,
) -> (LinksStatus, Health) {
    let of = |states: &[LinkState]| states.iter().filter_map(|state| links?.get(state)).sum::<u32>();
    let failed = of(&[LinkState::Failed, LinkState::Conflict]);
    let needs_person = of(&[LinkState::NeedsPerson]);
    let undecided = (failed + needs_person > 0).then_some(UNDECIDED);
    let attention = doubt.or(undecided);
    let at_best = if attention.is_some() { Health::Attention } else { Health::Ok };
    let status = LinksStatus {
        title,
        health: health.max(at_best).word(),
        linked: of(&[LinkState::Linked]),
        pending: of(&[LinkState::Pending]),
        failed,
        error: error.or_else(|| attention.map(str::to_owned)),
        needs_person,
    };
    (status, health)
}

fn judge(
    settings: &PracticeSettings,
    leg: Leg,
    note: Option<&LegNote>,
    now: DateTime<Utc>,
) -> (Health, Option<String>) {
    if !settings.enabled {
        let id = &settings.id;
        let error = format!(
            "Switched off. Switch it on in the window, or with: clinic-companion practice enable {id}"
        );
        return (Health::Down, Some(error));
    }
    let health = health::of_leg_within(note, health::stale_after(settings, leg.clone()), now);
    let problem = note.and_then(|note| note.problem.as_ref()).map(|problem| problem.sentence.clone());
    let error = match health {
        Health::Ok => None,
        Health::Attention | Health::Down => Some(problem.unwrap_or_else(|| silence(settings, &leg, note))),
    };
    (health, error)
}

/// What to say of a leg that has not proven itself lately and told no problem either.
fn silence(settings: &PracticeSettings, leg: &Leg, note: Option<&LegNote>) -> String {
    let who = health::who(leg);
    match note.and_then(|note| note.proven_at) {
        Some(at) => {
            let at = settings.zone.wall_clock(at).0.format("%H:%M on %-d %B");
            format!(
                "{who} was last heard of at {at}. See whether Clinic Companion still runs on this computer."
            )
        }
        None => format!("{who} has not been tried yet. Start Clinic Companion on this computer."),
    }
}

/// Whether Healthengine may speak with us about this practice, by the last word on it.
fn consent(desk: Option<&LegNote>, board: Option<&LegNote>) -> &'static str {
    let legs = || [desk, board].into_iter().flatten();
    let has = |kind| legs().any(|note| note.problem.as_ref().is_some_and(|problem| problem.kind == kind));
    if has(ProblemKind::Consent) {
        "revoked"
    } else if legs().any(|note| note.proven_at.is_some()) && !has(ProblemKind::Credentials) {
        "granted"
    } else {
        "unknown"
    }
}

impl PracticeStatus {
    /// An instant on the practice's own clock.
    fn at(&self, at: Option<DateTime<Utc>>) -> String {
        match at {
            Some(at) => self.zone.wall_clock(at).0.format("%-d %B %Y, %H:%M:%S").to_string(),
            None => "never".to_owned(),
        }
    }

    fn write_to(&self, text: &mut String) -> std::fmt::Result {
        let at = |at| self.at(at);
        writeln!(text, "\n{} ({}): {}", self.name, self.id, self.health)?;
        writeln!(
            text,
            "  Practice database: {}, last read {}",
            self.system.health,
            at(self.system.last_read_at)
        )?;
        if let Some(error) = &self.system.error {
            writeln!(text, "    {error}")?;
        }
        self.write_healthengine_to(text)?;
        for links in self.vald.iter().chain(self.accounts.values().flatten()) {
            let LinksStatus { title, health, linked, pending, failed, needs_person, error } = links;
            writeln!(
                text,
                "  {title}: {health}, {linked} linked, {pending} pending, {failed} refused, {needs_person} need somebody"
            )?;
            if let Some(error) = error {
                writeln!(text, "    {error}")?;
            }
        }
        Ok(())
    }

    fn write_healthengine_to(&self, text: &mut String) -> std::fmt::Result {
        let at = |at| self.at(at);
        let Some(healthengine) = &self.healthengine else {
            return writeln!(text, "  Healthengine: not linked");
        };
        writeln!(
            text,
            "  Healthengine: {}, consent {}, last asked {}, free times last sent {}",
            healthengine.health,
            healthengine.consent,
            at(healthengine.last_poll_at),
            at(healthengine.last_availability_at)
        )?;
        if let Some(error) = &healthengine.error {
            writeln!(text, "    {error}")?;
        }
        let bookings = &healthengine.bookings;
        writeln!(
            text,
            "  Bookings: {} confirmed, {} rejected, {} cancelled, {} pending, {} need somebody",
            bookings.confirmed, bookings.rejected, bookings.cancelled, bookings.pending, bookings.attention
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::failure::ReadError;
    use domain::settings::{DocumentRoutes, HealthengineSettings, LiveHours, SystemSettings, WriteMode};

    fn settings(enabled: bool) -> PracticeSettings {
        PracticeSettings {
            id: PracticeId::new("richmond"),
            name: "Richmond Physiotherapy".into(),
            zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
            enabled,
            system: SystemSettings {
                profile: "demo".into(),
                url: "sqlite:clinic.sqlite".into(),
                write: WriteMode::Sql,
                locations: None,
                poll_seconds: 5,
                documents: DocumentRoutes::default(),
                provet: None,
            },
            healthengine: Some(HealthengineSettings {
                base_url: "http://127.0.0.1:1/pms-api/v1".into(),
                practice_id: "1".into(),
                user_agent_email: "it@example.com".into(),
                environment: "DEV".into(),
                horizon_days: 60,
                poll_seconds: 5,
                features: Vec::new(),
                webhook_url: None,
                live_hours: LiveHours::default(),
            }),
            vald: None,
            accounts: BTreeMap::new(),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn json(enabled: bool, notes: &[(Leg, LegNote)], attention: u32) -> serde_json::Value {
        let known = Known {
            notes: notes.iter().cloned().collect(),
            counts: BookingCounts { confirmed: 12, attention, ..BookingCounts::default() },
            published_at: Some(at("2026-11-20T03:00:00.123Z")),
            links: BTreeMap::new(),
            doubtful: false,
            doubtful_consents: false,
        };
        serde_json::to_value(practice(&settings(enabled), &known, at("2026-11-20T03:04:10Z"))).unwrap()
    }

    #[test]
    fn a_practice_in_order_has_exactly_the_promised_shape() {
        let proven = health::proven(at("2026-11-20T03:04:05Z"));
        let all = Leg::ALL.map(|leg| (leg, proven.clone()));
        let expected = serde_json::json!({
            "id": "richmond", "enabled": true, "health": "ok",
            "system": {"health": "ok", "last_read_at": "2026-11-20T03:04:05Z", "error": null},
            "healthengine": {
                "health": "ok", "consent": "granted",
                "last_poll_at": "2026-11-20T03:04:05Z", "last_availability_at": "2026-11-20T03:00:00Z",
                "bookings": {"confirmed": 12, "rejected": 0, "cancelled": 0, "pending": 0, "attention": 0},
                "error": null,
            },
            "vald": null, "validic": null, "hint": null,
        });
        assert_eq!(json(true, &all, 0), expected);
    }

    #[test]
    fn a_vald_account_has_exactly_the_promised_shape_and_colours_only_itself() {
        let now = at("2026-11-20T03:04:10Z");
        let mut settings = settings(true);
        settings.vald = Some(crate::present::tests::vald_settings());
        let proven = health::proven(at("2026-11-20T03:04:05Z"));
        let mut known = Known {
            notes: Leg::ALL.map(|leg| (leg, proven.clone())).into_iter().collect(),
            counts: BookingCounts::default(),
            published_at: None,
            links: BTreeMap::from([(
                vald(),
                BTreeMap::from([(LinkState::Linked, 310), (LinkState::Pending, 4), (LinkState::Ended, 2)]),
            )]),
            doubtful: false,
            doubtful_consents: false,
        };
        let json = |known: &Known| serde_json::to_value(practice(&settings, known, now)).unwrap();
        let expected =
            serde_json::json!({"health": "ok", "linked": 310, "pending": 4, "failed": 0, "error": null});
        assert_eq!(json(&known)["vald"], expected);

        known.links.get_mut(&vald()).unwrap().insert(LinkState::Conflict, 1);
        let refused = json(&known);
        assert_eq!((&refused["vald"]["health"], &refused["health"]), (&"attention".into(), &"ok".into()));
        assert_eq!(refused["vald"]["failed"], 1);
        known.links.get_mut(&vald()).unwrap().insert(LinkState::NeedsPerson, 3);
        assert!(practice(&settings, &known, now).vald.unwrap().needs_person == 3);
        known.doubtful_consents = true;
        let doubt = json(&known);
        assert_eq!((&doubt["vald"]["health"], &doubt["health"]), (&"attention".into(), &"ok".into()));
        assert!(doubt["vald"]["error"].as_str().unwrap().contains("Most consents"), "{doubt}");

        let broken = health::problem(Leg::Profiles, &ReadError::NotAuthorised);
        known.notes.insert(Leg::Profiles, health::failed(Some(&proven), broken, now));
        let down = json(&known);
        assert_eq!((&down["vald"]["health"], &down["health"]), (&"down".into(), &"down".into()));
        assert_eq!(down["healthengine"]["health"], "ok");
        assert!(down["vald"]["error"].as_str().unwrap().contains("support@vald.com"), "{down}");
    }

    #[test]
    fn what_waits_for_somebody_and_what_is_down_are_told_apart() {
        let proven = health::proven(at("2026-11-20T03:04:05Z"));
        let all = Leg::ALL.map(|leg| (leg, proven.clone()));
        let waiting = json(true, &all, 1);
        assert_eq!((&waiting["health"], &waiting["system"]["health"]), (&"attention".into(), &"ok".into()));

        let refused = |error| {
            health::failed(Some(&proven), health::problem(Leg::Desk, &error), proven.proven_at.unwrap())
        };
        for (error, consent) in [(ReadError::NoConsent, "revoked"), (ReadError::NotAuthorised, "unknown")] {
            let mut notes = all.clone();
            notes[1].1 = refused(error);
            let down = json(true, &notes, 1);
            assert_eq!((&down["health"], &down["healthengine"]["health"]), (&"down".into(), &"down".into()));
            assert_eq!(down["healthengine"]["consent"], consent);
            assert!(down["healthengine"]["error"].as_str().unwrap().len() > 20);
        }
    }

    #[test]
    fn silence_and_a_switch_are_said_in_words() {
        let never = json(true, &[], 0);
        assert_eq!(never["healthengine"]["consent"], "unknown");
        assert_eq!(never["system"]["last_read_at"], serde_json::Value::Null);
        assert!(never["system"]["error"].as_str().unwrap().contains("Start Clinic Companion"));

        let stale = Leg::ALL.map(|leg| (leg, health::proven(at("2026-11-20T02:00:00Z"))));
        let silent = json(true, &stale, 0);
        assert_eq!(silent["health"], "down");
        assert!(silent["system"]["error"].as_str().unwrap().contains("13:00 on 20 November"), "{silent}");

        let off = json(false, &stale, 0);
        assert_eq!((&off["health"], &off["enabled"]), (&"down".into(), &false.into()));
        assert!(off["system"]["error"].as_str().unwrap().contains("practice enable richmond"));
    }

    #[tokio::test]
    async fn nothing_linked_is_said_too() {
        let status = Status::read(None, at("2026-11-20T03:04:10Z")).await.unwrap();
        assert!(status.text().contains("No practice is linked"));
        assert_eq!(serde_json::to_value(&status).unwrap()["practices"], serde_json::json!([]));
    }
}
