//! The built program as a real process: a data folder, a key file, a provisioning file, `serve`, and its end.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use connectors::partners::healthengine::sim::{Consent, HealthengineSim, HealthengineSimConfig, SimPractice};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::real_time::sim_clock;

/// Names the built app; `cargo xtask` sets it.
pub const BINARY_VARIABLE: &str = "CLINIC_COMPANION_BINARY";

/// The API key of every practice at [`simulator`].
pub const API_KEY: &str = "api-key-of-the-program";

/// The practice key of a practice at [`simulator`].
pub fn practice_key(practice: &str) -> String {
    format!("key-of-{practice}")
}

/// Where the built app lies: as the variable says, or beside what was built with it.
pub fn binary() -> Result<PathBuf> {
    let name = format!("clinic-companion{}", std::env::consts::EXE_SUFFIX);
    let path = match std::env::var_os(BINARY_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => {
            let program = std::env::current_exe()?;
            // Tests lie a folder deeper than programs.
            let folders = program.ancestors().skip(1).take(2);
            folders.map(|folder| folder.join(&name)).find(|path| path.is_file()).unwrap_or_default()
        }
    };
    ensure!(
        path.is_file(),
        "the app is not built: run `cargo build --workspace` first, or name it in {BINARY_VARIABLE}"
    );
    Ok(path)
}

/// A practice as a provisioning file links it. Its id is also its id at the simulator.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The practice's id.
    pub id: String,
    /// The profile.
    pub profile: &'static str,
    /// The address of the practice database.
    pub database: String,
    /// How often the practice database is looked at, in seconds.
    pub poll_seconds: u32,
    /// How often Healthengine is asked, in seconds.
    pub healthengine_poll_seconds: u32,
    /// For how many days after today free times are published.
    pub horizon_days: u32,
    /// What stands in the table `practice.vald`, where VALD is linked.
    pub vald: Option<String>,
}

impl Linked {
    /// The table of a provisioning file.
    fn table(&self, base_url: &str) -> String {
        let Linked { id, profile, database, poll_seconds, healthengine_poll_seconds, horizon_days, vald } =
            self;
        let mut text = format!(
            "[[practice]]\nid = {id:?}\nname = \"Practice {id}\"\ntimezone = \"Australia/Melbourne\"\nenabled = true\n\
             [practice.system]\nprofile = {profile:?}\nurl = {database:?}\nwrite = \"sql\"\n\
             poll_seconds = {poll_seconds}\n\
             [practice.healthengine]\nbase_url = {base_url:?}\napi_key = {API_KEY:?}\npractice_id = {id:?}\n\
             practice_key = {:?}\nuser_agent_email = \"support@example.com\"\nenvironment = \"DEV\"\n\
             horizon_days = {horizon_days}\npoll_seconds = {healthengine_poll_seconds}\n\
             [practice.healthengine.live_hours]\n",
            practice_key(id)
        );
        for day in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{day} = [{{ start = \"00:00\", end = \"23:59\" }}]");
        }
        if let Some(vald) = vald {
            let _ = writeln!(text, "[practice.vald]\n{vald}");
        }
        text
    }
}

/// A Healthengine that knows these practices.
pub async fn simulator(practices: &[Linked]) -> Result<HealthengineSim> {
    let practices = practices.iter().map(|practice| SimPractice {
        name: format!("Practice {}", practice.id),
        practice_id: practice.id.clone(),
        practice_key: practice_key(&practice.id),
        api_key: API_KEY.to_owned(),
        time_zone: chrono_tz::Australia::Melbourne,
        consent: Consent::Granted,
    });
    let config = HealthengineSimConfig { port: 0, practices: practices.collect(), state_file: None };
    Ok(HealthengineSim::start(config, sim_clock()).await?)
}

/// A data folder of the built app, with its key file. Everything goes when it is dropped.
pub struct Companion {
    home: TempDir,
    binary: PathBuf,
}

impl Companion {
    /// An empty folder.
    pub fn new() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("cc-companion-").tempdir()?;
        let digits: String = (0..32_u32).map(|number| format!("{:02x}", number * 7 % 251)).collect();
        write_privately(&home.path().join("key"), &digits)?;
        Ok(Self { binary: binary()?, home })
    }

    /// A folder for what belongs beside the data folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The app with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("--data-dir")
            .arg(self.home.path().join("data"))
            .args(words)
            .env("CLINIC_COMPANION_KEY_FILE", self.home.path().join("key"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, words: &[&str], within: Duration) -> Result<Output> {
        let output = self.command(words).output();
        Ok(tokio::time::timeout(within, output)
            .await
            .with_context(|| format!("{words:?} does not end"))??)
    }

    /// Links these practices with a simulator.
    pub async fn link(&self, practices: &[Linked], simulator: &HealthengineSim) -> Result<()> {
        let base_url = simulator.base_url();
        let text: String = practices.iter().map(|practice| practice.table(&base_url)).collect();
        let file = self.home.path().join("provision.toml");
        write_privately(&file, &text)?;
        let file = file.to_str().context("the temporary folder's name is not Unicode")?;
        let applied = self.run(&["apply", file], Duration::from_secs(60)).await?;
        if !applied.status.success() {
            bail!("apply failed: {}", String::from_utf8_lossy(&applied.stderr));
        }
        Ok(())
    }

    /// Starts `serve`, or another command that stays. What it says goes to a file, see [`Self::said`].
    pub fn start(&self, words: &[&str]) -> Result<Running> {
        let said = File::options().create(true).append(true).open(self.home.path().join("said"))?;
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(said);
        Ok(Running { child: command.spawn().context("the app cannot be started")? })
    }

    /// What [`Self::start`]ed commands wrote to stderr.
    pub fn said(&self) -> String {
        fs::read_to_string(self.home.path().join("said")).unwrap_or_default()
    }
}

/// A command that stays; killed when it is dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// The process's number.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Ends it at once (SIGKILL), and returns when it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end (SIGTERM), and returns how it did.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        let pid = self.pid()?.to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await?;
        ensure!(sent.success(), "the signal could not be sent");
        self.ended(within).await
    }

    /// Returns when it has ended by itself.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        Ok(tokio::time::timeout(within, self.child.wait()).await.context("the process does not end")??)
    }
}

/// Writes a file that only its owner may read.
fn write_privately(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
