//! The command line (`interface.md`): what the words mean, and what each command does.

mod people;

use crate::bookings::Bookings;
use crate::clock::SystemClock;
use crate::compose::{self, DataFolder, Home, NoDataFolder, Sockets, StartError};
use crate::deep_link::{self, DeepLink};
use crate::demo::Demo;
use crate::logging::LogControl;
use crate::logging::{self, LogFormat};
use crate::provision::{self, Plan, PlanError, ProvisionError};
use crate::status::Status;
use crate::{doctor, hub_page, serve};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use connectors::http::Http;
use connectors::partners::{self, healthengine::sim::SimStartError};
use connectors::practices::demo::DemoError;
use domain::ids::PracticeId;
use domain::ports::clock::Clock;
use domain::ports::store::{SettingsBook, StoreError, Wish};
use people::{AuditTo, CarryingOver, Connecting, ConsentTo, Deciding, OpenWhat, PatientsTo};
use serde::Serialize;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::OpenError;
use sync::flows::error_chain;
use sync::practices;

#[derive(Parser)]
#[command(
    name = "clinic-companion",
    bin_name = "clinic-companion",
    version,
    about = "Keeps a clinic's front desk in step with the services around it.",
    long_about = "Keeps a clinic's front desk in step with the services around it. Without a command it starts the desktop app; with an address clinic-companion://vald/open?practice=ID&patient=PMSID it opens that patient's page in VALD Hub."
)]
struct Words {
    /// Where settings and records lie; the operating system's application-data folder by default
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Writes the log to stderr too, in this form
    #[arg(long, value_enum, global = true)]
    log_format: Option<LogFormat>,
    /// Starts in the tray only, as autostart does
    #[arg(long)]
    hidden: bool,
    /// Brings up the search box, in the app that runs or in one that is started for it
    #[arg(long, conflicts_with = "hidden")]
    quick_open: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

impl Words {
    /// Whether the process stays, and never shows a window.
    #[cfg(target_os = "linux")]
    fn goes_without_window(&self) -> bool {
        matches!(self.command, Some(Command::Serve | Command::Demo { headless: true }))
    }
}

#[derive(Subcommand)]
enum Command {
    /// Runs the sync with no window, until Ctrl-C or SIGTERM
    Serve,
    /// Runs on a made-up clinic with simulated partners, in a folder of its own: to try it, or to train on it
    ///
    /// Other commands reach the made-up clinic with --data-dir and its folder, and with the variable
    /// CLINIC_COMPANION_KEY_FILE naming the file demo.key in it.
    Demo {
        /// Without the window, until Ctrl-C or SIGTERM
        #[arg(long)]
        headless: bool,
    },
    /// Makes the settings what a provisioning file says, and prints what that changed
    Apply {
        /// The provisioning file (TOML)
        file: PathBuf,
        /// Prints what would change, and changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Says how every practice and partner is doing
    Status(Form),
    /// Tries everything, changes nothing, and says what to do
    Doctor(Form),
    /// Sends configuration, free times or patients again
    Resync {
        /// The practice's id
        #[arg(long, value_name = "ID")]
        practice: String,
        /// What to send
        #[arg(value_enum, default_value_t = Scope::All)]
        what: Scope,
    },
    /// Switches a practice on or off
    Practice {
        #[command(subcommand)]
        to: Switch,
    },
    /// Lists the bookings, newest first
    Bookings {
        /// Only those of this practice
        #[arg(long, value_name = "ID")]
        practice: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Finds patients, as the window does
    Patients {
        #[command(subcommand)]
        to: PatientsTo,
    },
    /// Records consent, or its withdrawal
    Consent {
        #[command(subcommand)]
        to: ConsentTo,
    },
    /// Lists every link with a partner and its state
    Links {
        /// Only those of this practice
        #[arg(long, value_name = "ID")]
        practice: Option<String>,
        /// Only those with this partner
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(partners::of_patients()))]
        partner: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Registers a patient who agreed to that, and prints where they connect devices of their own
    Connect(Connecting),
    /// Opens a patient's page at a partner in the browser
    Open(OpenWhat),
    /// Says which record of a partner's is a patient's, a practitioner's or an invoice's, or is not
    Decide(Deciding),
    /// Shows what a former program left at a partner, and carries it over
    Former(CarryingOver),
    /// The audit trail: what left this computer, and who agreed to that
    Audit {
        #[command(subcommand)]
        to: AuditTo,
    },
}

#[derive(Clone, Copy, Args)]
struct Form {
    /// Prints one JSON document and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Opening hours, practitioners and appointment types
    Configuration,
    /// All free times
    Availability,
    /// Patients
    Patients,
    /// Everything
    All,
}

#[derive(Subcommand)]
enum Switch {
    /// Switches it on, sends configuration and free times again, and looks for outstanding requests
    Enable {
        /// The practice's id
        id: String,
    },
    /// Switches it off
    Disable {
        /// The practice's id
        id: String,
    },
}

/// Why a command failed: one sentence that says what to do, and what lies beneath it for the log.
#[derive(Debug)]
pub struct Failure {
    /// The sentence.
    pub sentence: String,
    /// What lies beneath.
    pub cause: Option<String>,
}

impl Failure {
    /// A failure with nothing beneath it.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), cause: None }
    }

    fn of(error: &(dyn Error + 'static)) -> Self {
        let cause = error.source().map(error_chain);
        Self { sentence: error.to_string(), cause }
    }

    fn because(sentence: &str, error: &(dyn Error + 'static)) -> Self {
        Self { sentence: sentence.to_owned(), cause: Some(error_chain(error)) }
    }
}

/// Errors whose own words are a sentence that says what to do.
macro_rules! sentences {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        }
    )+};
}

sentences!(OpenError, StartError, NoDataFolder, ProvisionError);

/// Errors that need a sentence.
macro_rules! because {
    ($($error:ty: $sentence:literal),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::because($sentence, &error)
            }
        }
    )+};
}

because!(
    SimStartError: "The simulated Healthengine cannot be started. Delete the demo's folder to begin anew.",
    DemoError: "The made-up clinic cannot be made. Delete the demo's folder to begin anew.",
    io::Error: "The operating system refused a file, a thread or a signal. Check the data folder's disk and permissions; the log has the details.",
);

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => error.into(),
            PlanError::NoRandomNumbers(_) => Self::of(&error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let sentence = match error {
            StoreError::DiskFull => {
                "The disk is full. Free some space and try again; nothing that was recorded is lost."
            }
            StoreError::ReadOnly => {
                "Our records cannot be written. Give this user the right to write in the data folder."
            }
            StoreError::Stale | StoreError::Illegal(_) | StoreError::Missing => {
                "The records changed in between. Try again."
            }
            StoreError::ConsentsOfOthers { .. } => return Self::of(&error),
            StoreError::Failed(_) => {
                "Our records cannot be read or written. Run the doctor command; the log has the details."
            }
        };
        Self::because(sentence, &error)
    }
}

/// What the app shows first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// Its window.
    Window,
    /// The tray only.
    Tray,
    /// The search box.
    SearchBox,
    /// What another program's address names.
    Page(String),
}

/// The word for the search box, as a second start passes it on to the first one.
pub const QUICK_OPEN: &str = "--quick-open";

/// The app: data folder, what it shows first, clock, log.
type RunApp = fn(DataFolder, First, Arc<dyn Clock>, LogControl) -> Result<(), Failure>;

/// How the window is shown. It is handed in, so that a program without it carries none of what it is made of.
#[derive(Clone, Copy)]
pub struct Desktop {
    /// The app.
    pub run: RunApp,
    /// The same on the made-up clinic.
    pub run_demo: fn(Home, Arc<dyn Clock>, LogControl) -> Result<(), Failure>,
}

fn no_desktop() -> Failure {
    Failure::new("This program has no window. Start clinic-companion, or run the serve command.")
}

/// Reads the words and does what they say.
pub fn run(desktop: Option<Desktop>) -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let address = take_address(&mut arguments);
    let words = match Words::try_parse_from(arguments) {
        Ok(words) => words,
        Err(not_words) => {
            // Help and version come this way too, and belong on stdout.
            let _ = not_words.print();
            return if not_words.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    if (words.hidden || words.quick_open) && words.command.is_some() {
        complain("--hidden and --quick-open start the desktop app, so they go with no command.");
        return ExitCode::from(2);
    }
    if address.is_some() && (words.command.is_some() || words.quick_open) {
        complain("An address of a page is opened by itself, so it goes with no command.");
        return ExitCode::from(2);
    }
    #[cfg(target_os = "linux")]
    if desktop.is_some() && words.goes_without_window() {
        crate::slim::become_slim();
    }
    let done = match address {
        Some(address) => match DeepLink::parse(&address) {
            Ok(link) => open_link(words, &address, &link, desktop),
            Err(error) => {
                complain(&error.to_string());
                return ExitCode::from(2);
            }
        },
        None => obey(words, desktop),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            let cause = failure.cause.as_deref().unwrap_or_default();
            tracing::error!(target: logging::FAILURE, cause, "{}", failure.sentence);
            complain(&failure.sentence);
            ExitCode::FAILURE
        }
    }
}

/// Takes another program's address out of the arguments, where one stands among them.
fn take_address(arguments: &mut Vec<OsString>) -> Option<String> {
    let is_address = |argument: &OsString| {
        argument.to_str().is_some_and(|argument| argument.starts_with(deep_link::SCHEME))
    };
    let place = arguments.iter().skip(1).position(is_address)?;
    arguments.remove(place + 1).into_string().ok()
}

/// Opens what another program's address names. That takes no engine and no window; only where it does not work is the
/// app asked to say so, because whoever followed the address does not see what is printed.
fn open_link(
    words: Words,
    address: &str,
    link: &DeepLink,
    desktop: Option<Desktop>,
) -> Result<ExitCode, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let folder = DataFolder::choose(words.data_dir)?;
    let logs = folder.path().is_dir().then(|| folder.logs());
    let log = logging::start(logs.as_deref(), words.log_format);
    let opened = open_if_there(folder.clone(), &clock).and_then(|home| {
        let home = home.ok_or_else(|| no_such_practice(link.practice.as_str()))?;
        let store = home.store();
        once(hub_page::show(&store, &link.practice, &link.patient, clock.as_ref()))?.map_err(Failure::from)
    });
    match (opened, desktop) {
        (Ok(()), _) => Ok(ExitCode::SUCCESS),
        (Err(failure), None) => Err(failure),
        (Err(failure), Some(desktop)) => {
            complain(&failure.sentence);
            (desktop.run)(folder, First::Page(address.to_owned()), clock, log).map(|()| ExitCode::FAILURE)
        }
    }
}

fn complain(sentence: &str) {
    // Where stderr is closed nobody listens.
    let _ = writeln!(io::stderr(), "{sentence}");
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader, such as `head`, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

fn print_as(form: Form, json: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if form.json {
        let json = serde_json::to_string(json)
            .map_err(|error| Failure::because("This cannot be written as JSON.", &error))?;
        return Ok(print(&format!("{json}\n"))?);
    }
    Ok(print(&text())?)
}

fn obey(words: Words, desktop: Option<Desktop>) -> Result<ExitCode, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let is_demo = matches!(words.command, Some(Command::Demo { .. }));
    let named = words.data_dir.is_some();
    let mut folder = DataFolder::choose(words.data_dir)?;
    if is_demo && !named {
        folder = folder.demo();
    }
    let stays = matches!(words.command, None | Some(Command::Serve | Command::Demo { .. }));
    if stays {
        // Where it cannot be made, opening the records says why.
        let _ = folder.create();
    }
    let serves = matches!(words.command, Some(Command::Serve | Command::Demo { headless: true }));
    let to_stderr = words.log_format.or(serves.then_some(LogFormat::Text));
    // A command that only looks must not leave a folder behind where there was none.
    let logs = folder.path().is_dir().then(|| folder.logs());
    let log = logging::start(logs.as_deref(), to_stderr);
    let command = match words.command {
        None => {
            let desktop = desktop.ok_or_else(no_desktop)?;
            let first = match (words.hidden, words.quick_open) {
                (true, _) => First::Tray,
                (false, true) => First::SearchBox,
                (false, false) => First::Window,
            };
            return (desktop.run)(folder, first, clock, log).map(|()| ExitCode::SUCCESS);
        }
        Some(command) => command,
    };
    match command {
        Command::Serve => {
            let home = Home::open(folder, &compose::key_source(), clock)?;
            for notice in home.notices() {
                complain(&notice.to_string());
            }
            log.set_level(&once(home.store().app_settings())??.log_level);
            serve::run(&home)?;
        }
        Command::Demo { headless } => {
            let home = Demo::open(folder, clock.clone())?;
            log.set_level(&once(home.store().app_settings())??.log_level);
            if headless {
                crate::demo::run_headless(home, |page| print(&format!("Act as a patient: {page}\n")))?;
            } else {
                (desktop.ok_or_else(no_desktop)?.run_demo)(home, clock, log)?;
            }
        }
        Command::Apply { file, dry_run } => apply(folder, clock, &file, dry_run)?,
        Command::Status(form) => {
            let home = open_if_there(folder, &clock)?;
            let store = home.as_ref().map(Home::store);
            let status = once(Status::read(store.as_deref(), clock.now()))??;
            print_as(form, &status, || status.text())?;
        }
        Command::Doctor(form) => {
            let (report, store) = doctor::examine(&folder, &compose::key_source());
            let report = once(doctor::consult(report, store, &folder, clock))?;
            print_as(form, &report, || report.text())?;
            if !report.is_ok() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Resync { practice, what } => resync(folder, &clock, &practice, what)?,
        Command::Practice { to } => switch(folder, &clock, &to)?,
        Command::Bookings { practice, form } => {
            let home = open_if_there(folder, &clock)?;
            let store = home.as_ref().map(Home::store);
            let practice = practice.map(PracticeId::new);
            let bookings = once(Bookings::read(store.as_deref(), practice.as_ref()))??;
            print_as(form, &bookings, || bookings.text())?;
        }
        Command::Patients { to: PatientsTo::Find { text, practice, form } } => {
            people::find(folder, &clock, &text, practice.as_deref(), form)?;
        }
        Command::Consent { to } => people::consent(folder, &clock, to)?,
        Command::Links { practice, partner, form } => {
            people::links(folder, &clock, practice.as_deref(), partner.as_deref(), form)?;
        }
        Command::Connect(what) => people::connect(folder, &clock, &what)?,
        Command::Open(what) => people::open(folder, &clock, &what)?,
        Command::Decide(what) => people::decide(folder, &clock, what)?,
        Command::Former(what) => people::former(folder, &clock, &what)?,
        Command::Audit { to: AuditTo::Export { file } } => {
            return people::audit_export(folder, &clock, &file);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for something on a runtime that ends with it.
fn once<T>(work: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// The store, where there is one. Commands that only look at it make none. A key file is looked at even so, because
/// somebody who named a bad one should hear of it before there is anything to lose.
fn open_if_there(folder: DataFolder, clock: &Arc<dyn Clock>) -> Result<Option<Home>, Failure> {
    let key = compose::key_source();
    if folder.path().exists() && !folder.path().is_dir() {
        return Err(OpenError::NotAFolder(folder.path().to_owned()).into());
    }
    if !folder.has_records() {
        if let store::KeySource::File(_) = key {
            store::keys::read(&key)?;
        }
        return Ok(None);
    }
    Ok(Some(Home::open(folder, &key, clock.clone())?))
}

fn apply(
    folder: DataFolder,
    clock: Arc<dyn Clock>,
    file: &std::path::Path,
    dry_run: bool,
) -> Result<(), Failure> {
    let sockets = Sockets { profiles: folder.profiles(), clock: clock.clone(), http: Http::default() };
    let there = open_if_there(folder.clone(), &clock)?;
    let stored = match &there {
        Some(home) => once(home.store().practices())??,
        None => Vec::new(),
    };
    let wanted = provision::read(file, &sockets, &stored)?;
    let home = match there {
        None if !dry_run => Some(Home::open(folder, &compose::key_source(), clock.clone())?),
        there => there,
    };
    let store = home.as_ref().map(Home::store);
    let plan = once(Plan::make(wanted, store.as_deref()))??;
    if plan.is_empty() {
        return Ok(print("no changes\n")?);
    }
    match store.filter(|_| !dry_run) {
        Some(store) => {
            once(plan.carry_out(&store, clock.now()))??;
            Ok(print(&plan.to_string())?)
        }
        None => Ok(print(&format!("{plan}dry run: nothing was changed\n"))?),
    }
}

fn resync(folder: DataFolder, clock: &Arc<dyn Clock>, practice: &str, what: Scope) -> Result<(), Failure> {
    let wishes: &[Wish] = match what {
        Scope::Configuration => &[Wish::ResyncConfiguration],
        Scope::Availability => &[Wish::ResyncAvailability],
        Scope::All => &practices::EVERYTHING,
        Scope::Patients => &[Wish::ResyncPatients],
    };
    let id = PracticeId::new(practice);
    let unknown = || no_such_practice(practice);
    let home = open_if_there(folder, clock)?.ok_or_else(unknown)?;
    let store = home.store();
    let known = once(store.practices())??;
    let settings = known.iter().find(|settings| settings.id == id).ok_or_else(unknown)?;
    if what == Scope::Patients && settings.vald.is_none() {
        return Err(Failure::new(format!(
            "{} is linked with no partner that is sent patients. Link VALD Hub first, or choose configuration or availability.",
            settings.name
        )));
    }
    once(practices::resync(store.as_ref(), &id, wishes, clock.now()))??;
    Ok(print(&format!("practice {id}: will be sent again\n"))?)
}

fn switch(folder: DataFolder, clock: &Arc<dyn Clock>, to: &Switch) -> Result<(), Failure> {
    let (id, enabled, done) = match to {
        Switch::Enable { id } => (id, true, "enabled"),
        Switch::Disable { id } => (id, false, "disabled"),
    };
    let unknown = || no_such_practice(id);
    let home = open_if_there(folder, clock)?.ok_or_else(unknown)?;
    let store = home.store();
    let practice = PracticeId::new(id);
    let changed = once(practices::set_enabled(store.as_ref(), &practice, enabled, clock.now()))??;
    match changed {
        None => Err(unknown()),
        Some(true) => Ok(print(&format!("practice {id}: {done}\n"))?),
        Some(false) => Ok(print(&format!("practice {id}: was {done} already\n"))?),
    }
}

fn no_such_practice(id: &str) -> Failure {
    Failure::new(format!(
        "There is no practice \"{}\". The status command lists those that are linked.",
        id.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_are_consistent() {
        Words::command().debug_assert();
    }

    #[test]
    fn what_was_promised_is_understood() {
        for words in [
            "",
            "--hidden",
            "serve",
            "demo --headless",
            "--data-dir d --log-format json serve",
            "serve --data-dir d",
            "apply f.toml --dry-run",
            "status --json",
            "doctor --json",
            "resync --practice richmond",
            "resync --practice richmond availability",
            "practice enable richmond",
            "practice disable richmond",
            "bookings --practice richmond --json",
            "--quick-open",
            "resync --practice richmond patients",
            "patients find smi",
            "patients find smi --practice richmond --json",
            "consent give --practice a --partner vald --patient 7 --by Kim",
            "consent give --practice a --partner vald --patient 7 --by Kim --guardian Jo --photo-video --how form --wording 2026-1",
            "consent give --practice a --partner vald --all-existing --by Kim --photo-video",
            "consent withdraw --practice a --partner hint --patient 7 --by Kim",
            "links",
            "links --practice a --partner hint --json",
            "open vald --practice a --patient 7 --print",
            "open hint --practice a --patient 7 --print",
            "decide hint --practice a --patient 7 --same pat-1 --by Kim",
            "decide hint --practice a --practitioner 7 --not-same pct-1 --by Kim",
            "former hint --practice a --json",
            "former hint --practice a --carry-over --by Kim",
            "audit export trail.csv",
        ] {
            let words: Vec<&str> =
                std::iter::once("clinic-companion").chain(words.split_whitespace()).collect();
            assert!(Words::try_parse_from(&words).is_ok(), "{words:?}");
        }
        for words in [
            "patients find",
            "resync",
            "practice enable",
            "apply",
            "status --xml",
            "resync --practice a b",
            "consent give --practice a --partner vald --by Kim",
            "consent give --practice a --partner vald --patient 7",
            "consent give --practice a --partner vald --patient 7 --all-existing --by Kim",
            "consent give --practice a --partner vald --all-existing --how desk --by Kim",
            "consent give --practice a --partner fax --patient 7 --by Kim",
            "links --partner fax",
            "open vald --practice a",
            "open fax --practice a --patient 7",
            "decide hint --practice a --patient 7 --by Kim",
            "decide hint --practice a --patient 7 --same pat-1 --not-same pat-2 --by Kim",
            "decide hint --practice a --patient 7 --invoice 8 --same pat-1 --by Kim",
            "decide hint --practice a --patient 7 --same pat-1",
            "former hint --practice a --carry-over",
            "audit export",
            "--hidden --quick-open",
        ] {
            let words: Vec<&str> =
                std::iter::once("clinic-companion").chain(words.split_whitespace()).collect();
            assert!(Words::try_parse_from(&words).is_err(), "{words:?}");
        }
    }
}
