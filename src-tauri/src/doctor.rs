//! `doctor`: tries everything that normal work needs, and changes nothing.

use crate::compose::{AppConnect, DataFolder, Home, Sockets};
use crate::inputs;
use crate::present::people::sentence;
use crate::sign_in;
use chrono::{DateTime, Utc};
use connectors::http::sign_in::SignIn;
use connectors::listener;
use connectors::partners::{self, vald::landing};
use connectors::practices::Opened;
use connectors::practices::provet::Rights;
use domain::diary::{PracticeCard, Writable};
use domain::failure::ReadError;
use domain::ids::PracticeId;
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{Leg, SettingsBook};
use domain::profile::ProfileGroup;
use domain::settings::{Feature, PracticeSettings, SecretKind, ValdSettings};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use store::{KeySource, Store};
use sync::flows::{error_chain, features as extra};
use sync::health;

/// Less free space than this is a failure: a practice's records and logs need a fraction of it.
const LEAST_SPACE: u64 = 200 * 1024 * 1024;
/// How far this computer's clock may be off, in seconds. Rejections count in tens of seconds.
const MOST_SECONDS_OFF: i64 = 60;

/// What was tried.
#[derive(Debug, Serialize)]
pub struct Report {
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    practice: Option<String>,
    /// Which of several, such as a query's name.
    part: Option<String>,
    ok: bool,
    message: String,
}

impl Report {
    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// For people: one line a check.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let verdict = if check.ok { "ok    " } else { "FAILED" };
            let practice = check.practice.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
            let part = check.part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{verdict}  {practice}{}{part}: {}", check.check, check.message);
        }
        text
    }

    fn add(&mut self, check: &'static str, practice: Option<&PracticeId>, result: Result<String, String>) {
        self.add_part(check, practice, None, result);
    }

    fn add_part(
        &mut self,
        check: &'static str,
        practice: Option<&PracticeId>,
        part: Option<String>,
        result: Result<String, String>,
    ) {
        let ok = result.is_ok();
        self.ok &= ok;
        let message = result.unwrap_or_else(|problem| problem);
        self.checks.push(Check { check, practice: practice.map(ToString::to_string), part, ok, message });
    }
}

/// The checks that block: key, folder, disk, store. Returns the store where there is one that can be looked at.
pub fn examine(folder: &DataFolder, key: &KeySource) -> (Report, Option<Store>) {
    let mut report = Report { ok: true, checks: Vec::new() };
    let found = store::keys::read(key);
    let has_records = folder.has_records();
    report.add(
        "key",
        None,
        match &found {
            Ok(Some(_)) => Ok(match key {
                KeySource::Keyring => "The keyring holds the key to our records.".to_owned(),
                KeySource::File(path) => format!("The key file {} can be used.", path.display()),
            }),
            Ok(None) if has_records => {
                Err(store::OpenError::KeyMissing(folder.path().to_owned()).to_string())
            }
            Ok(None) => Ok("The keyring works. A key is made at the first start.".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    );
    report.add("folder", None, writable(folder));
    report.add("disk", None, space(folder.path()));
    if !has_records {
        let message = format!("There are no records in {folder} yet. They are made at the first start.");
        report.add("store", None, Ok(message));
        return (report, None);
    }
    let Ok(Some(key)) = found else {
        report.add("store", None, Err("It cannot be opened without its key; see above.".to_owned()));
        return (report, None);
    };
    match Store::look(folder.path(), &key) {
        Ok(store) => {
            report.add("store", None, Ok("Our records can be read and are sound.".to_owned()));
            (report, Some(store))
        }
        Err(error) => {
            report.add("store", None, Err(error.to_string()));
            (report, None)
        }
    }
}

/// Writes a file and removes it again; of a folder that is missing, only says so.
fn writable(folder: &DataFolder) -> Result<String, String> {
    if !folder.path().exists() {
        return Ok(format!("{folder} is not there yet. It is made at the first start."));
    }
    let probe = folder.path().join(format!("doctor-{}.tmp", std::process::id()));
    let written =
        std::fs::write(&probe, "This file may be deleted.\n").and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => Ok(format!("{folder} can be written.")),
        Err(_) => Err(format!(
            "{folder} cannot be written. Give this user the right to write there, or choose another folder with --data-dir."
        )),
    }
}

fn space(folder: &Path) -> Result<String, String> {
    // Of a folder that is missing, the disk is that of the nearest one above it.
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    match fs4::available_space(there) {
        Ok(free) if free >= LEAST_SPACE => Ok(format!("{} are free.", size(free))),
        Ok(free) => Err(format!("Only {} are free. Free at least {}.", size(free), size(LEAST_SPACE))),
        Err(_) => Err(format!(
            "The disk of {} does not say how much space is free. Check that it is connected.",
            there.display()
        )),
    }
}

fn size(bytes: u64) -> String {
    let mebibytes = bytes / (1024 * 1024);
    if mebibytes < 10 * 1024 { format!("{mebibytes} MB") } else { format!("{} GB", mebibytes / 1024) }
}

/// The checks that wait for others: practice databases, partners, clock.
pub async fn consult(
    mut report: Report,
    store: Option<Store>,
    folder: &DataFolder,
    clock: Arc<dyn Clock>,
) -> Report {
    let Some(store) = store else { return report };
    let connections = Home::looked_at(folder.clone(), store.clone(), clock.clone()).connections();
    let practices = match store.practices().await {
        Ok(practices) => practices,
        Err(error) => {
            report.add(
                "settings",
                None,
                Err(format!("Our settings cannot be read: {}.", error_chain(&error))),
            );
            return report;
        }
    };
    if practices.is_empty() {
        report.add("practices", None, Ok("No practice is linked.".to_owned()));
    }
    for settings in &practices {
        system(&mut report, &connections, settings).await;
        partner(&mut report, &connections, settings).await;
        features(&mut report, &connections, settings).await;
        vald(&mut report, &connections, settings).await;
        accounts(&mut report, &connections, settings).await;
    }
    webhooks(&mut report, &store, folder, &practices).await;
    let mut addresses: Vec<&str> = practices
        .iter()
        .filter_map(|settings| Some(settings.healthengine.as_ref()?.base_url.as_str()))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        report.add("clock", None, compare_clock(connections.sockets(), address).await);
    }
    report
}

async fn system(report: &mut Report, connections: &AppConnect, settings: &PracticeSettings) {
    let id = Some(&settings.id);
    let linked = async {
        let secrets = connections.system_secrets(&settings.id).await?;
        connections.sockets().open_practice(settings, secrets)
    };
    if sign_in::is_needed(&settings.system) {
        let kept = connections.secret(&settings.id, SecretKind::SystemSignIn).await;
        let kept = kept.map(|kept| kept.as_ref().and_then(SignIn::of_secret));
        let now = connections.sockets().clock.now();
        match kept {
            Err(problem) => return report.add("sign-in", id, Err(problem.sentence)),
            Ok(None) => {
                let needed = health::problem(Leg::System, &ReadError::SignInNeeded);
                return report.add("sign-in", id, Err(needed.sentence));
            }
            // A renewal replaces the sign-in, and nothing is changed here.
            Ok(Some(sign_in)) if sign_in.ends_at <= now => {
                return report.add(
                    "sign-in",
                    id,
                    Err("The access that somebody signed in for has to be renewed, which the running program does. Start \
                         Clinic Companion, wait a minute, and try again."
                        .to_owned()),
                );
            }
            Ok(Some(sign_in)) => {
                let since = settings.zone.wall_clock(sign_in.since).0.format("%Y-%m-%d %H:%M");
                report.add("sign-in", id, Ok(format!("Somebody signed in on {since}.")));
            }
        }
    }
    let practice = match linked.await {
        Ok(practice) => practice,
        Err(problem) => return report.add("practice system", id, Err(problem.sentence)),
    };
    match practice.as_system().check().await {
        Ok(card) => {
            report.add("practice system", id, Ok(introduced(&card)));
            report.add("write rights", id, rights(&card.writable));
        }
        Err(error) => {
            report.add("practice system", id, Err(health::problem(Leg::System, &error).sentence));
        }
    }
    let tried = match &practice {
        Opened::Sql(practice) => practice.try_queries().await,
        Opened::Provet(practice) => {
            match practice.rights().await {
                Ok(rights) => checklist(report, id, &rights),
                Err(error) => report.add("rights", id, Err(health::problem(Leg::System, &error).sentence)),
            }
            practice.try_parts().await
        }
    };
    for (name, result, took) in tried {
        let result = match result {
            Ok(0) => Ok(format!("It works, in {} ms.", took.as_millis())),
            Ok(rows) => Ok(format!("It works: {} in {} ms.", counted(rows, "row"), took.as_millis())),
            Err(why) => {
                Err(format!("{why}. Correct the profile, or give the account the rights that it names."))
            }
        };
        report.add_part("query", id, Some(name), result);
    }
}

/// What works at Provet Cloud and what right is missing, part by part.
fn checklist(report: &mut Report, id: Option<&PracticeId>, rights: &Rights) {
    for part in &rights.parts {
        let what = part.what;
        let result = match (part.readable, part.listed, part.right) {
            (true, Some(true) | None, _) | (true, _, None) => Ok(format!("We may read {what}.")),
            (true, Some(false), Some(right)) => Err(format!(
                "We may read {what}, but Provet Cloud does not list the right \"{right}\". Give it to the integration's user, \
                 so that bookings can be written."
            )),
            (false, _, Some(right)) => Err(format!(
                "We may not read {what}. Give the right \"{right}\" to the integration's user in Provet Cloud."
            )),
            (false, _, None) => Err(format!("We may not read {what}. Ask Provet Cloud's support why.")),
        };
        report.add_part("right", id, Some(what.to_owned()), result);
    }
}

fn introduced(card: &PracticeCard) -> String {
    let PracticeCard { system, resources, locations, patients, .. } = card;
    let (resources, locations) = (counted(*resources, "resource"), counted(*locations, "location"));
    format!("{system}, with {resources}, {locations} and {patients} patients.")
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn rights(writable: &Writable) -> Result<String, String> {
    match writable {
        Writable::Yes => Ok("This account may write bookings into the book.".to_owned()),
        Writable::SwitchedOff => {
            Ok("Writing is switched off: somebody at the desk enters each booking.".to_owned())
        }
        Writable::ProfileReadsOnly => {
            Ok("This profile only reads: somebody at the desk enters each booking.".to_owned())
        }
        Writable::VersionNotTried(version) => Ok(format!(
            "This profile has not been tried with {version}, so it only reads: somebody at the desk enters each booking."
        )),
        Writable::DatabaseReadOnly => Err("The database takes no writing at the moment.".to_owned()),
        Writable::RightsMissing(missing) => {
            Err(format!("The account may not write bookings. Give it these rights: {}", in_a_line(missing)))
        }
    }
}

/// Statements as a sentence takes them.
fn in_a_line(statements: &str) -> String {
    let lines = statements.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Whether the note of an appointment can say that a document came in that lies in our own records.
fn note_rights(writable: &Writable) -> Result<String, String> {
    match writable {
        Writable::Yes => Ok("The note of an appointment says when a document came in for it.".to_owned()),
        Writable::SwitchedOff
        | Writable::ProfileReadsOnly
        | Writable::VersionNotTried(_)
        | Writable::DatabaseReadOnly => {
            Ok("Nothing is written into the book: only our window says that a document came in.".to_owned())
        }
        Writable::RightsMissing(missing) => Err(format!(
            "The account may not add a line to the note of an appointment, so that only our window says that a \
             document came in. Give it these rights, or name a folder as documents_in: {}",
            in_a_line(missing)
        )),
    }
}

async fn partner(report: &mut Report, connections: &AppConnect, settings: &PracticeSettings) {
    let result = match connections.partner(settings).await {
        Ok(None) => return,
        Ok(Some(partner)) => match partner.check().await {
            Ok(()) => Ok("It accepts our keys, and the practice's consent is there.".to_owned()),
            Err(error) => Err(health::problem(Leg::Desk, &error).sentence),
        },
        Err(problem) => Err(problem.sentence),
    };
    report.add("healthengine", Some(&settings.id), result);
}

/// The VALD account: its credentials with the organisation, the groups that the settings name, and the landing address.
async fn vald(report: &mut Report, connections: &AppConnect, settings: &PracticeSettings) {
    let Some(account) = &settings.vald else { return };
    let id = Some(&settings.id);
    let partner = match connections.vald(settings).await {
        Ok(Some(partner)) => partner,
        Ok(None) => return,
        Err(problem) => return report.add("vald", id, Err(problem.sentence)),
    };
    if let Some(register) = partner.profile_register() {
        let of = |error| health::problem(Leg::Profiles, &error).sentence;
        let tenant = register.tenant().await;
        // Profiles are at another host, which must know the organisation as well.
        let works = match tenant {
            Ok(tenant) => partner.check().await.map(|()| tenant),
            Err(error) => Err(error),
        };
        match works {
            Ok(tenant) => {
                let said = format!("It accepts our credentials for the organisation \"{}\".", tenant.name);
                report.add("vald", id, Ok(said));
                let groups = register.groups().await.map_err(of);
                report.add("vald groups", id, groups.and_then(|known| groups_known(account, &known)));
            }
            Err(error) => report.add("vald", id, Err(of(error))),
        }
    }
    report.add("vald landing", id, landing_verdict(account));
}

/// The accounts that are drawn from cards, each with its credentials.
async fn accounts(report: &mut Report, connections: &AppConnect, settings: &PracticeSettings) {
    for linkable in partners::LINKABLE {
        let result = match connections.account(linkable, settings).await {
            Ok(None) => continue,
            Ok(Some(partner)) => match partner.introduce().await {
                Ok(Some(name)) => Ok(format!("It accepts our credentials for \"{name}\".")),
                Ok(None) => Ok("It accepts our credentials.".to_owned()),
                Err(error) => Err(health::problem(Leg::Account(linkable.id()), &error).sentence),
            },
            Err(problem) => Err(problem.sentence),
        };
        report.add(linkable.card.name, Some(&settings.id), result);
    }
}

fn groups_known(account: &ValdSettings, known: &[ProfileGroup]) -> Result<String, String> {
    let is_known = |wanted: &&str| {
        known.iter().any(|group| {
            group.name.to_lowercase() == wanted.to_lowercase()
                || group.id.as_str().eq_ignore_ascii_case(wanted)
        })
    };
    let wanted: BTreeSet<&str> = account.groups.iter().map(|rule| rule.group.as_str()).collect();
    let unknown: Vec<&str> = wanted.iter().copied().filter(|wanted| !is_known(wanted)).collect();
    match (wanted.len(), unknown.as_slice()) {
        (0, _) => Ok("No groups are chosen: where VALD Hub gives rights by group, only administrators see new profiles.".to_owned()),
        (wanted, []) => Ok(format!("VALD knows {}.", counted(wanted, "chosen group"))),
        (_, unknown) => Err(format!(
            "VALD does not know these groups: {}. Choose others in Connections, or make them in VALD Hub.",
            unknown.join(", ")
        )),
    }
}

fn landing_verdict(account: &ValdSettings) -> Result<String, String> {
    let Some(template) = &account.hub_url else {
        return Ok("No landing address is set, so that pages cannot be opened from here. Ask support@vald.com for it.".to_owned());
    };
    match landing::check(template) {
        Ok(()) => Ok("It has both placeholders and leads to VALD. Open one patient's page in Connections to see that it is the right one.".to_owned()),
        Err(wrong) => Err(sentence(&wrong.to_string())),
    }
}

/// What of the extra features that are asked for can be served, and whether their folders, or the practice system's API,
/// can be used.
async fn features(report: &mut Report, connections: &AppConnect, settings: &PracticeSettings) {
    let id = Some(&settings.id);
    let Some(account) = settings.healthengine.as_ref().filter(|account| !account.features.is_empty()) else {
        return;
    };
    let Ok(secrets) = connections.system_secrets(&settings.id).await else { return };
    let Ok(practice) = connections.sockets().open_practice(settings, secrets) else { return };
    for feature in Feature::ALL.into_iter().filter(|feature| account.wants(*feature)) {
        let result = extra::tried(feature, practice.as_system()).await;
        report.add_part("feature", id, Some(feature.name().to_owned()), result);
        // What has a folder is not told of in the book.
        let Opened::Sql(practice) = &practice else { continue };
        if feature == Feature::AttachDocuments && practice.document_inbox().is_none() {
            let asked = practice.notes_writable().await;
            let result = match asked {
                Ok(writable) => note_rights(&writable),
                Err(error) => Err(health::problem(Leg::System, &error).sentence),
            };
            report.add("note rights", id, result);
        }
    }
}

/// Whether the listener could listen, and what to try from outside. That a public address leads here cannot be tried
/// from inside: the practice's own network often does not let it through.
async fn webhooks(report: &mut Report, store: &Store, folder: &DataFolder, practices: &[PracticeSettings]) {
    let listener = match store.app_settings().await {
        Ok(settings) => settings.listener,
        Err(error) => {
            let said = format!("Our settings cannot be read: {}.", error_chain(&error));
            return report.add("listener", None, Err(said));
        }
    };
    if let Some(listener) = &listener {
        report.add("listener", None, listening(&listener.address, folder));
    }
    let urls = practices.iter().flat_map(|settings| {
        SecretKind::PATHS.into_iter().filter_map(move |kind| Some((settings, settings.webhook_url(kind)?)))
    });
    for (settings, url) in urls {
        let result = match &listener {
            Some(listener) => Ok(format!(
                "From another network, open {url}/ in a browser: an empty page with the status 404 comes from here. \
                 Anything else means that your proxy does not lead it to http://{}.",
                listener.address
            )),
            None => Err(format!(
                "{url} is given, and nothing receives webhooks. Switch on receiving in Settings, give the provisioning file a [listener], or take the address out."
            )),
        };
        report.add("webhooks", Some(&settings.id), result);
    }
}

fn listening(address: &str, folder: &DataFolder) -> Result<String, String> {
    let parsed = inputs::listen_address(address).map_err(|wrong| format!("{address}: {wrong}."))?;
    let caution = if listener::is_open_to_others(&parsed) {
        " Other computers can connect to it: let your firewall admit nobody but your proxy."
    } else {
        ""
    };
    match std::net::TcpListener::bind(parsed) {
        Ok(_) => Ok(format!("Webhooks can be received at {address}.{caution}")),
        // Most likely it is ours, and the one that runs says so if it is not.
        Err(error) if error.kind() == ErrorKind::AddrInUse && engine_runs(folder) => Ok(format!(
            "{address} is in use, and Clinic Companion is running: its Connections screen says whether it receives.{caution}"
        )),
        Err(error) => Err(listener::trouble(parsed, &error)),
    }
}

/// Whether a process runs the engine on this folder.
fn engine_runs(folder: &DataFolder) -> bool {
    matches!(store::EngineLock::take(folder.path()), Ok(None))
}

async fn compare_clock(sockets: &Sockets, address: &str) -> Result<String, String> {
    match sockets.http.time_at(address).await {
        Ok(theirs) => clock_verdict(sockets.clock.now(), theirs),
        // Whether it can be reached at all is another check's word.
        Err(_) => Ok("It could not be compared, because Healthengine gave no time.".to_owned()),
    }
}

fn clock_verdict(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Result<String, String> {
    let off = (ours - theirs).num_seconds();
    if off.abs() <= MOST_SECONDS_OFF {
        return Ok("This computer's clock agrees with Healthengine's.".to_owned());
    }
    let direction = if off > 0 { "fast" } else { "slow" };
    Err(format!(
        "This computer's clock is {} seconds {direction}. Switch on automatic time in the system's settings.",
        off.abs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_clock_may_be_off_by_a_minute() {
        let now = DateTime::UNIX_EPOCH;
        assert!(clock_verdict(now, now + TimeDelta::seconds(60)).is_ok());
        let slow = clock_verdict(now, now + TimeDelta::seconds(61)).unwrap_err();
        assert!(slow.contains("61 seconds slow"), "{slow}");
        let fast = clock_verdict(now + TimeDelta::hours(1), now).unwrap_err();
        assert!(fast.contains("3600 seconds fast"), "{fast}");
    }

    #[test]
    fn one_failure_makes_the_report_fail_and_names_what_to_do() {
        let mut report = Report { ok: true, checks: Vec::new() };
        report.add("disk", None, Ok("9 GB are free.".into()));
        assert!(report.is_ok());
        let missing = Writable::RightsMissing("GRANT INSERT ON a\n  GRANT UPDATE ON b\n".into());
        report.add("write rights", Some(&PracticeId::new("richmond")), rights(&missing));
        assert!(!report.is_ok());
        let text = report.text();
        assert!(text.contains("FAILED  richmond: write rights: "), "{text}");
        assert!(text.contains("GRANT INSERT ON a; GRANT UPDATE ON b"), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert!(
            note_rights(&missing).is_err_and(|why| why.ends_with("GRANT INSERT ON a; GRANT UPDATE ON b"))
        );
        assert!(note_rights(&Writable::Yes).is_ok() && note_rights(&Writable::SwitchedOff).is_ok());
    }

    #[test]
    fn groups_that_vald_does_not_know_are_named() {
        use domain::ids::ProfileGroupId;
        use domain::settings::{GroupedPatients, ProfileGroupRule};
        let mut account = crate::present::tests::vald_settings();
        let known = [ProfileGroup {
            id: ProfileGroupId::new("99999999-0000-4000-8000-000000000001"),
            name: "Knees".into(),
        }];
        assert!(groups_known(&account, &known).unwrap().contains("No groups are chosen"));
        let rule = |group: &str| ProfileGroupRule { group: group.into(), whose: GroupedPatients::All };
        account.groups = vec![rule("knees"), rule("99999999-0000-4000-8000-000000000001")];
        assert!(groups_known(&account, &known).unwrap().contains("2 chosen groups"));
        account.groups.push(rule("Hips"));
        assert!(groups_known(&account, &known).unwrap_err().contains("Hips"));
    }

    #[test]
    fn a_landing_address_is_judged() {
        let mut account = crate::present::tests::vald_settings();
        assert!(landing_verdict(&account).unwrap().contains("No landing address"));
        account.hub_url = Some("https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}".into());
        assert!(landing_verdict(&account).unwrap().contains("both placeholders"));
        account.hub_url = Some("https://hub.valdperformance.com/".into());
        assert!(landing_verdict(&account).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::choose(Some(dir.path().join("not/yet"))).unwrap();
        assert!(writable(&folder).unwrap().contains("not there yet"));
        assert!(space(folder.path()).is_ok());
        assert!(!folder.path().exists());

        let file = dir.path().join("a-file");
        std::fs::write(&file, "").unwrap();
        let folder = DataFolder::choose(Some(file)).unwrap();
        assert!(writable(&folder).is_err());
    }

    #[test]
    fn an_address_to_listen_on_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::choose(Some(dir.path().to_owned())).unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let said = listening(&address, &folder).unwrap_err();
        assert!(said.contains("another program"), "{said}");
        let lock = store::EngineLock::take(dir.path()).unwrap().unwrap();
        assert!(listening(&address, &folder).unwrap().contains("is running"));
        drop((lock, taken));
        assert!(!listening(&address, &folder).unwrap().contains("firewall"));
        let open = address.replace("127.0.0.1", "0.0.0.0");
        assert!(listening(&open, &folder).unwrap().contains("firewall"));
        assert!(listening("8765", &folder).is_err());
    }

    #[test]
    fn a_file_that_is_tried_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::choose(Some(dir.path().to_owned())).unwrap();
        assert!(writable(&folder).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
