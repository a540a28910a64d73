//! A MariaDB server of our own: a private folder, a free port on loopback, gone when it is dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mysql_async::prelude::Queryable;
use tempfile::TempDir;

/// How long a server may take until it answers; a machine that builds something else at the same time is slow.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Another program may take the port between our finding it and the server's binding it.
const PORTS_TRIED: usize = 5;

/// What every server is told, while its system tables are made and later.
const OPTIONS: &[&str] = &["--skip-name-resolve", "--innodb-log-file-size=4M"];
/// Small and quick; nothing here has to outlive a power cut.
const RUNNING_OPTIONS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
];

/// A running server. The tests of one process can share it.
pub struct Server {
    folder: TempDir,
    port: u16,
    process: Mutex<Option<Child>>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// The server that the tests of this process share, started if nobody uses one.
    pub fn shared() -> Result<Arc<Server>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Server::start(&[])?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// A server for one test alone, with further options for `mariadbd`.
    pub fn start(options: &[&str]) -> Result<Server> {
        let template = template()?;
        let folder = tempfile::Builder::new().prefix("cc-mariadb-").tempdir()?;
        copy_folder(&template, &folder.path().join("data"))?;
        for _ in 0..PORTS_TRIED {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if let Some(process) = launch(folder.path(), port, options)? {
                return Ok(Server { folder, port, process: Mutex::new(Some(process)) });
            }
        }
        bail!("mariadbd did not start on any of {PORTS_TRIED} ports")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database for `account`, without a password.
    pub fn url(&self, account: &str, database: &str) -> String {
        format!("mysql://{account}@127.0.0.1:{}/{database}", self.port)
    }

    /// A connection as root.
    pub async fn connect(&self, database: &str) -> Result<mysql_async::Conn> {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .db_name(Some(database))
            .prefer_socket(false);
        Ok(mysql_async::Conn::new(options).await?)
    }

    /// Makes an empty database with a name of its own.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("clinic_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.run("mysql", &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await?;
        Ok(name)
    }

    /// Runs statements as root.
    pub async fn run(&self, database: &str, sql: &str) -> Result<()> {
        let mut connection = self.connect(database).await?;
        connection.query_drop(sql).await?;
        connection.disconnect().await?;
        Ok(())
    }

    /// Ends the server at once, as a power cut would.
    pub fn kill(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            // The shell around the server waits for its own standard input to close.
            drop(process.stdin.take());
            let _ended = process.wait();
        }
    }

    /// Starts the server again after [`Server::kill`], on the same port and data.
    pub fn start_again(&self) -> Result<()> {
        let process = launch(self.folder.path(), self.port, &[])?.context("mariadbd did not start again")?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts `mariadbd` and waits until it says that it is ready. None: it gave up, most likely because of the port.
fn launch(folder: &Path, port: u16, options: &[&str]) -> Result<Option<Child>> {
    // Whatever becomes of us, the shell's input closes with us, and the shell then ends the server.
    let script = "\"$@\" & server=$!; read -r _; kill -KILL $server; wait $server";
    let mut process = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(program("mariadbd")?)
        .arg("--no-defaults")
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--socket={}", folder.join("s").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg(format!("--port={port}"))
        .args(OPTIONS)
        .args(RUNNING_OPTIONS)
        .args(user_option()?)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting mariadbd")?;
    let output = process.stderr.take().context("the output of mariadbd")?;
    let (lines, said) = mpsc::channel();
    std::thread::spawn(move || {
        // Read to the end, or the server stops when the pipe is full.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _nobody_listens_later = lines.send(line);
        }
    });
    let deadline = Instant::now() + START_LIMIT;
    let mut last = Vec::new();
    loop {
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains("ready for connections") => return Ok(Some(process)),
            Ok(line) if line.contains("Aborting") => {
                drop(process.stdin.take());
                process.wait()?;
                return Ok(None);
            }
            Ok(line) => last.push(line),
            Err(_) => {
                drop(process.stdin.take());
                process.wait()?;
                bail!("mariadbd did not get ready: {}", last.join("\n"))
            }
        }
    }
}

/// A data folder with the system tables, made once and copied for each server.
fn template() -> Result<PathBuf> {
    let version = Command::new(program("mariadbd")?).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let plain: String = version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let base = std::env::temp_dir().join(format!("cc-mariadb-template-{}", user_name()?));
    fs::create_dir_all(&base)?;
    let lock = File::create(base.join("lock"))?;
    lock.lock().context("waiting for another test to make the system tables")?;
    let folder = base.join(plain);
    if !folder.exists() {
        let unfinished = base.join("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let made = Command::new(program("mariadb-install-db")?)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", unfinished.display()))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(OPTIONS)
            .args(user_option()?)
            .output()
            .context("running mariadb-install-db")?;
        if !made.status.success() {
            bail!("mariadb-install-db failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        fs::rename(&unfinished, &folder)?;
    }
    Ok(folder)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Servers often lie in folders that are on the path of root alone.
fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(further)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("`{name}` is not installed: run `cargo xtask setup`"))
}

fn user_name() -> Result<String> {
    let output = Command::new("id").arg("-un").output().context("running id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Run by root, the server wants to hear that this is meant.
fn user_option() -> Result<Option<String>> {
    Ok(Some(user_name()?).filter(|name| name == "root").map(|name| format!("--user={name}")))
}
