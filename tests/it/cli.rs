//! The built program as people and administrators meet it: words, exit statuses, files, signals.
//!
//! Healthengine and the clinic are those of `demo --headless`, so that everything here is a real process.
#![cfg_attr(not(unix), allow(dead_code, reason = "without signals fewer of the tests can run"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use connectors::practices::SHIPPED;
use serde_json::{Value, json};

/// Nothing here takes nearly as long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The app that the build made; `cargo xtask test` names it, and otherwise it lies beside the tests.
fn binary() -> PathBuf {
    let path = match std::env::var_os("CLINIC_COMPANION_BINARY") {
        Some(path) => PathBuf::from(path),
        None => {
            let tests = std::env::current_exe().unwrap();
            let folder = tests.parent().and_then(Path::parent).unwrap();
            folder.join(format!("clinic-companion{}", std::env::consts::EXE_SUFFIX))
        }
    };
    assert!(
        path.is_file(),
        "{} is missing: build it first with `cargo build`, or run `cargo xtask test`",
        path.display()
    );
    path
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it failed with one sentence on stderr and nothing on stdout.
    fn is_refused(&self) -> &str {
        assert_eq!((self.status, self.out.as_str()), (1, ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.trim_end().ends_with('.'), "{self:?}");
        &self.err
    }
}

/// A data folder that is not there yet, and a key file beside it.
struct Place {
    dir: tempfile::TempDir,
    key: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("the.key");
        write_private(&key, KEY);
        Self { dir, key }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        write_private(&path, text);
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--data-dir").arg(self.data()).args(words);
        command
            .env("CLINIC_COMPANION_KEY_FILE", &self.key)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        ran(&mut self.command(words))
    }

    fn apply(&self, text: &str) -> Said {
        let file = self.write("provision.toml", text);
        self.run(&["apply", file.to_str().unwrap()])
    }

    fn status(&self) -> Value {
        let said = self.run(&["status", "--json"]);
        assert_eq!(said.status, 0, "{said:?}");
        said.json()
    }

    /// Runs `status` until it says what is expected.
    fn wait_for(&self, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.status();
            if expected(&status) {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {status}");
        }
    }
}

fn ran(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

/// A command that stays. Killed when the test ends without stopping it.
struct Running {
    child: Option<Child>,
    log: mpsc::Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        Self { child: Some(child), log }
    }

    /// The first line on stdout.
    fn first_line(&mut self) -> String {
        let stdout = self.child.as_mut().unwrap().stdout.take().unwrap();
        lines(stdout)
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("it said nothing: {:?}", self.logged()))
    }

    fn logged(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Sends a signal and waits for the end. Returns the exit status and how long it took.
    #[cfg(unix)]
    fn stop(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let mut child = self.child.take().unwrap();
        let began = Instant::now();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let (tell, told) = mpsc::channel();
        let killer = child.id().to_string();
        std::thread::spawn(move || tell.send(child.wait().unwrap()));
        match told.recv_timeout(PATIENCE) {
            Ok(status) => (status.code(), began.elapsed()),
            Err(_) => {
                let _ = Command::new("kill").args(["-KILL", &killer]).status();
                panic!("it did not stop: {:?}", self.logged());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of a stream as they come.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    told
}

/// `demo --headless`: a clinic's book and a Healthengine, and an engine between them.
struct Clinic {
    place: Place,
    demo: Running,
    page: String,
}

impl Clinic {
    fn open() -> Self {
        Self::open_again(Place::new())
    }

    fn open_again(place: Place) -> Self {
        let mut demo = Running::start(&mut place.command(&["demo", "--headless"]));
        let line = demo.first_line();
        let page = line.strip_prefix("Act as a patient: http://").and_then(|rest| rest.strip_suffix('/'));
        let page = page.unwrap_or_else(|| panic!("{line}")).to_owned();
        // From here on the demo's own key opens its records.
        let key = place.data().join("demo.key");
        Self { place: Place { key, ..place }, demo, page }
    }

    fn ask(&self, path: &str) -> Value {
        exchange(&self.page, &format!("GET {path}"), "")
    }

    fn tell(&self, path: &str, body: &Value) -> Value {
        exchange(&self.page, &format!("POST {path}"), &body.to_string())
    }

    fn practice(&self) -> Value {
        self.ask("/sim/state?days=14")["practices"][0].clone()
    }

    /// Asks the simulator until it says what is expected.
    fn wait_for(&self, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let practice = self.practice();
            if expected(&practice) {
                return practice;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {}", practice["bookings"]);
        }
    }

    /// A patient books the first free time of half an hour. Returns the booking's number.
    fn book(&self) -> Value {
        let practice = self.wait_for("free times", |practice| first_free(practice).is_some());
        let (resource, start) = first_free(&practice).unwrap();
        let booking =
            json!({"practiceId": "demo", "resourceId": resource, "start": start, "appointmentTypeId": "4"});
        let answer = self.tell("/sim/book", &booking);
        assert!(answer["bookingId"].is_i64(), "{answer}");
        answer["bookingId"].clone()
    }

    /// Settings for another Clinic Companion on the same book and the same Healthengine.
    fn provision(&self) -> String {
        format!(
            r#"
[[practice]]
id = "wattle"
name = "Wattle Street"
timezone = "Australia/Melbourne"
[practice.system]
profile = "demo"
url = "sqlite:{book}"
write = "sql"
poll_seconds = 1
[practice.healthengine]
base_url = "http://{page}/pms-api/v1"
api_key = "demo-api-key"
practice_id = "demo"
practice_key = "demo-practice-key"
user_agent_email = "it@example.com"
environment = "UAT"
horizon_days = 14
poll_seconds = 1
"#,
            book = self.place.data().join("clinic.sqlite").display(),
            page = self.page,
        )
    }
}

fn first_free(practice: &Value) -> Option<(String, String)> {
    for resource in practice["resources"].as_array()? {
        for day in resource["days"].as_array()? {
            if let Some(time) = day["times"].as_array()?.first() {
                return Some((resource["id"].as_str()?.to_owned(), time["start"].as_str()?.to_owned()));
            }
        }
    }
    None
}

fn booking(practice: &Value, id: &Value) -> Value {
    let bookings = practice["bookings"].as_array().unwrap();
    bookings.iter().find(|booking| booking["bookingId"] == *id).cloned().unwrap_or_default()
}

/// One request over plain HTTP/1.0, which ends with the connection.
fn exchange(address: &str, request: &str, body: &str) -> Value {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        connection,
        "{request} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

const PROVISION: &str = r#"
[[practice]]
id = "richmond"
name = "Richmond Physiotherapy"
timezone = "Australia/Melbourne"
enabled = false

[practice.system]
profile = "openemr"
url = "mysql://openemr@127.0.0.1:3306/openemr"
password = "correct-horse-battery"

[practice.healthengine]
base_url = "https://healthengine.com.au/pms-api/v1"
api_key = "file:api.key"
practice_id = "1234567"
practice_key = "env:PRACTICE_KEY_OF_A_TEST"
user_agent_email = "support@example.com.au"
"#;

#[test]
fn words_that_are_off_end_with_2_and_help_with_0() {
    let place = Place::new();
    for words in [
        &["patients", "find"][..],
        &["consent", "give", "--practice", "x", "--partner", "vald", "--by", "Kim"],
        &["open", "vald", "--practice", "x"],
        &["practice", "toggle", "x"],
        &["resync"],
        &["status", "--yaml"],
        &["--log-format", "xml", "serve"],
        &["--hidden", "status"],
    ] {
        let said = place.run(words);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{words:?}: {said:?}");
        assert!(!said.err.is_empty(), "{words:?}");
    }
    for command in [
        "serve", "demo", "apply", "status", "doctor", "resync", "practice", "bookings", "patients",
        "consent", "links", "open", "audit",
    ] {
        let said = place.run(&[command, "--help"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{command}: {said:?}");
        assert!(said.out.contains("Usage: clinic-companion"), "{said:?}");
    }
    assert_eq!(place.run(&["--version"]).status, 0);
    assert!(!place.data().exists(), "words alone made a folder");
}

#[test]
fn looking_makes_nothing() {
    let place = Place::new();
    assert_eq!(place.status()["practices"], json!([]));
    assert_eq!(place.run(&["bookings", "--json"]).json(), json!([]));
    assert!(place.run(&["status"]).out.contains("No practice is linked"));
    let doctor = place.run(&["doctor", "--json"]);
    assert_eq!((doctor.status, &doctor.json()["ok"]), (0, &json!(true)), "{doctor:?}");
    assert!(place.run(&["practice", "enable", "richmond"]).is_refused().contains("richmond"));
    assert!(place.run(&["resync", "--practice", "richmond"]).is_refused().contains("richmond"));
    let file = place.write("provision.toml", &PROVISION.replace("file:api.key", "a").replace("env:", ""));
    let dry = place.run(&["apply", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(dry.status, 0, "{dry:?}");
    assert!(
        dry.out.starts_with("practice richmond: added\n") && dry.out.ends_with("nothing was changed\n"),
        "{dry:?}"
    );
    assert!(!place.data().exists(), "looking made a folder");
}

#[cfg(unix)]
#[test]
fn a_key_file_that_cannot_be_trusted_is_refused() {
    let place = Place::new();
    let provision =
        place.write("provision.toml", &PROVISION.replace("file:api.key", "a").replace("env:", ""));
    let apply = ["apply", provision.to_str().unwrap()];
    let commands = [&["status"][..], &["bookings", "--json"], &["serve"], &apply];
    for (name, text, mode, says) in [
        ("open.key", KEY, 0o644, "chmod 600"),
        ("group.key", KEY, 0o640, "chmod 600"),
        ("short.key", "0011", 0o600, "64 hexadecimal digits"),
        ("words.key", &"zz".repeat(32), 0o600, "hexadecimal"),
    ] {
        let key = place.write(name, text);
        set_mode(&key, mode);
        for words in commands {
            let said = ran(place.command(words).env("CLINIC_COMPANION_KEY_FILE", &key));
            assert_eq!(said.status, 1, "{name} {words:?}: {said:?}");
            assert!(said.err.contains(says) && said.err.contains(name), "{name} {words:?}: {said:?}");
            assert!(!said.err.contains("zzzz") && !said.err.contains("0011"), "{said:?}");
        }
        let doctor = ran(place.command(&["doctor", "--json"]).env("CLINIC_COMPANION_KEY_FILE", &key));
        assert_eq!((doctor.status, &doctor.json()["checks"][0]["ok"]), (1, &json!(false)), "{doctor:?}");
    }
    for path in [place.dir.path().join("missing.key"), place.dir.path().to_owned(), PathBuf::new()] {
        let said = ran(place.command(&["status"]).env("CLINIC_COMPANION_KEY_FILE", &path));
        said.is_refused();
    }
    assert!(!place.data().join("companion.db").exists(), "a bad key made records");
}

#[test]
fn a_provisioning_file_with_a_mistake_changes_nothing() {
    let place = Place::new();
    let good = PROVISION.replace("file:api.key", "a").replace("env:", "");
    for (line, instead, number) in [
        ("enabled = false", "enabeld = false", 6),
        ("enabled = false", "enabled = \"no\"", 6),
        ("timezone = \"Australia/Melbourne\"", "timezone = \"Melbourne\"", 5),
        ("https://healthengine.com.au", "http://healthengine.com.au", 14),
        ("mysql://openemr@", "mysql://openemr:hunter2@", 10),
        ("\"correct-horse-battery\"", "\"env:NOT_SET_ANYWHERE\"", 11),
        ("profile = \"openemr\"", "profile = \"nonesuch\"", 9),
        ("id = \"richmond\"", "id = \"Richmond!\"", 3),
    ] {
        let text = good.replacen(line, instead, 1);
        assert_ne!(text, good, "{line}");
        let said = place.apply(&text);
        let sentence = said.is_refused();
        assert!(sentence.contains(&format!("line {number}, column ")), "{instead}: {sentence}");
        assert!(!sentence.contains("hunter2"), "{sentence}");
        assert!(!place.data().exists(), "{instead} made a folder");
    }
    assert!(place.run(&["apply", "nowhere.toml"]).is_refused().contains("nowhere.toml"));
    let folder = place.dir.path().to_str().unwrap().to_owned();
    place.run(&["apply", &folder]).is_refused();
    fs::write(place.dir.path().join("utf16.toml"), b"\xff\xfe[\0[\0").unwrap();
    let file = place.dir.path().join("utf16.toml");
    assert!(place.run(&["apply", file.to_str().unwrap()]).is_refused().contains("UTF-8"));
}

#[test]
fn a_profile_with_an_unknown_key_is_named_with_its_line() {
    let place = Place::new();
    fs::create_dir_all(place.data().join("profiles")).unwrap();
    fs::write(place.data().join("profiles/own.toml"), "name = \"own\"\nengin = \"mysql\"\n").unwrap();
    let text = PROVISION
        .replace("file:api.key", "a")
        .replace("env:", "")
        .replace("\"openemr\"\nurl", "\"own\"\nurl");
    let said = place.apply(&text);
    let sentence = said.is_refused();
    assert!(sentence.contains("profile `own` has a mistake: line 2, column 1"), "{sentence}");
    assert!(!place.data().join("companion.db").exists());
}

#[test]
fn applying_twice_changes_nothing_the_second_time_and_shows_no_secret() {
    const SECRETS: [&str; 3] = ["correct-horse-battery", "inline-from-a-file", "inline-from-the-environment"];
    let place = Place::new();
    place.write("api.key", "inline-from-a-file\nsecond line\n");
    let file = place.write("provision.toml", PROVISION);
    let apply = |words: &[&str]| {
        let words = [&["apply", file.to_str().unwrap()], words].concat();
        ran(place.command(&words).env("PRACTICE_KEY_OF_A_TEST", SECRETS[2]))
    };
    let first = apply(&[]);
    assert_eq!((first.status, first.err.as_str()), (0, ""), "{first:?}");
    assert!(first.out.starts_with("practice richmond: added\n"), "{first:?}");
    assert_eq!(apply(&[]).out, "no changes\n");
    assert_eq!(apply(&["--dry-run"]).out, "no changes\n");

    write_private(&file, &PROVISION.replace("correct-horse-battery", "another-password-of-it"));
    let dry = apply(&["--dry-run"]);
    assert_eq!(
        dry.out,
        "practice richmond: changed\n  system.password: changed (not shown)\ndry run: nothing was changed\n"
    );
    assert_eq!(apply(&[]).out, "practice richmond: changed\n  system.password: changed (not shown)\n");
    assert_eq!(apply(&[]).out, "no changes\n");

    let status = place.status();
    assert_eq!(
        (&status["practices"][0]["enabled"], &status["practices"][0]["health"]),
        (&json!(false), &json!("down"))
    );
    assert_eq!(place.run(&["practice", "enable", "richmond"]).out, "practice richmond: enabled\n");
    assert_eq!(
        place.run(&["practice", "enable", "richmond"]).out,
        "practice richmond: was enabled already\n"
    );
    assert_eq!(place.run(&["practice", "disable", "richmond"]).out, "practice richmond: disabled\n");
    for entry in walk(&place.data()) {
        let bytes = fs::read(&entry).unwrap();
        for secret in SECRETS.iter().chain(&["another-password-of-it", KEY]) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret in plain", entry.display());
        }
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[cfg(unix)]
#[test]
fn a_booking_made_on_the_patient_page_is_confirmed_and_listed() {
    let clinic = Clinic::open();
    let id = clinic.book();
    clinic.wait_for("a confirmation", |practice| booking(practice, &id)["status"] == "Confirmed");
    let place = &clinic.place;
    let status = place
        .wait_for("the count", |status| status["practices"][0]["healthengine"]["bookings"]["confirmed"] == 1);
    let practice = &status["practices"][0];
    assert_eq!((&practice["id"], &practice["health"]), (&json!("demo"), &json!("ok")), "{status}");
    assert_eq!(practice["healthengine"]["consent"], "granted");
    for time in [&practice["system"]["last_read_at"], &practice["healthengine"]["last_availability_at"]] {
        assert!(time.as_str().is_some_and(|text| text.len() == 20 && text.ends_with('Z')), "{status}");
    }
    let listed = place.run(&["bookings", "--practice", "demo", "--json"]).json();
    let line = &listed[0];
    assert_eq!(
        (&line["booking_id"], &line["state"], &line["patient_match"]),
        (&id, &json!("confirmed"), &json!("created"))
    );
    assert_eq!(line["pms_appointment_ids"].as_array().unwrap().len(), 1, "{listed}");
    let known_there = booking(&clinic.practice(), &id);
    assert_eq!(known_there["pmsAppointmentIds"], line["pms_appointment_ids"]);
    assert_eq!(known_there["pmsPatientId"], line["pms_patient_id"]);
    assert_eq!(place.run(&["bookings", "--practice", "another", "--json"]).json(), json!([]));
    let text = place.run(&["bookings"]).out;
    assert!(text.contains("confirmed") && !text.contains("Quennell"), "{text}");
}

#[cfg(unix)]
#[test]
fn the_demo_keeps_its_book_and_its_address_over_a_restart() {
    let mut clinic = Clinic::open();
    let page = clinic.page.clone();
    let id = clinic.book();
    clinic.wait_for("a confirmation", |practice| booking(practice, &id)["status"] == "Confirmed");
    let mut again = Running::start(&mut clinic.place.command(&["demo", "--headless"]));
    let status = again.child.take().unwrap().wait().unwrap();
    assert_eq!(status.code(), Some(1), "two demos on one folder");
    let (status, took) = clinic.demo.stop("-INT");
    assert_eq!(status, Some(0), "{:?}", clinic.demo.logged());
    assert!(took < Duration::from_secs(10), "{took:?}");

    let Clinic { place, .. } = clinic;
    let clinic = Clinic::open_again(place);
    assert_eq!(clinic.page, page);
    assert_eq!(booking(&clinic.practice(), &id)["status"], "Confirmed");
    let listed = clinic.place.run(&["bookings", "--json"]).json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["booking_id"]), (1, &id));
}

#[cfg(unix)]
#[test]
fn serve_does_the_job_takes_changes_up_and_stops_when_told() {
    let clinic = Clinic::open();
    clinic.wait_for("the demo's own engine", |practice| first_free(practice).is_some());
    assert_eq!(clinic.place.run(&["practice", "disable", "demo"]).status, 0);

    let place = Place::new();
    assert_eq!(place.apply(&clinic.provision()).status, 0);
    let mut serve = Running::start(&mut place.command(&["--log-format", "json", "serve"]));
    place.wait_for("a round trip of every leg", |status| status["practices"][0]["health"] == "ok");
    let second = place.run(&["serve"]);
    assert_eq!(second.status, 1, "{second:?}");
    assert!(second.err.contains("already running on this data folder"), "{second:?}");

    let id = clinic.book();
    clinic.wait_for("a confirmation", |practice| booking(practice, &id)["status"] == "Confirmed");

    let wrong = clinic.provision().replace("demo-api-key", "revoked-key");
    assert_eq!(
        place.apply(&wrong).out,
        "practice wattle: changed\n  healthengine.api_key: changed (not shown)\n"
    );
    let down = place.wait_for("the refused key", |status| {
        status["practices"][0]["healthengine"]["error"].as_str().is_some_and(|error| error.contains("401"))
    });
    assert_eq!(down["practices"][0]["healthengine"]["health"], "down");
    assert_eq!(place.apply(&clinic.provision()).status, 0);
    place.wait_for("the right key again", |status| status["practices"][0]["health"] == "ok");

    let published = place.status()["practices"][0]["healthengine"]["last_availability_at"].clone();
    assert_eq!(place.run(&["resync", "--practice", "wattle", "availability"]).status, 0);
    place.wait_for("everything sent again", |status| {
        let last = &status["practices"][0]["healthengine"]["last_availability_at"];
        last.is_string() && *last != published
    });
    assert_eq!(place.run(&["practice", "disable", "wattle"]).status, 0);
    let off = place.wait_for("the switch", |status| status["practices"][0]["enabled"] == false);
    assert_eq!(off["practices"][0]["health"], "down");

    let (status, took) = serve.stop("-TERM");
    let log = serve.logged();
    assert_eq!(status, Some(0), "{log:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.is_empty());
    for line in &log {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"].is_string()), "{line}");
        assert!(
            !line.contains("Quennell") && !line.contains("demo-api-key") && !line.contains("revoked-key"),
            "{line}"
        );
    }
    let files = walk(&place.data().join("logs"));
    assert!(files.iter().any(|file| fs::read_to_string(file).unwrap().contains("Serving.")), "{files:?}");
    assert!(clinic.practice()["refusals"].as_array().unwrap().iter().all(|refusal| refusal["status"] == 401));
}

#[cfg(unix)]
#[test]
fn doctor_says_what_is_wrong_and_changes_nothing() {
    let mut clinic = Clinic::open();
    clinic.wait_for("free times", |practice| first_free(practice).is_some());
    let healthy = clinic.place.run(&["doctor", "--json"]);
    let report = healthy.json();
    assert_eq!((healthy.status, &report["ok"]), (0, &json!(true)), "{report}");
    let checks: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    for expected in [
        "key",
        "folder",
        "disk",
        "store",
        "practice system",
        "write rights",
        "query",
        "healthengine",
        "clock",
    ] {
        assert!(checks.contains(&expected), "{expected}: {checks:?}");
    }

    clinic.tell("/sim/faults", &json!({"consent": {"practiceId": "demo", "is": "revoked"}}));
    let revoked = clinic.place.run(&["doctor"]);
    assert_eq!(revoked.status, 1, "{revoked:?}");
    let failed: Vec<&str> = revoked.out.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains("Practice Admin"), "{failed:?}");

    // With nobody else at work, nothing moves while it looks.
    clinic.demo.stop("-TERM");
    let before = contents(&clinic.place.data());
    let alone = clinic.place.run(&["doctor"]);
    assert_eq!(alone.status, 1, "{alone:?}");
    assert!(alone.out.contains("Healthengine does not answer"), "{alone:?}");
    assert_eq!(contents(&clinic.place.data()), before);

    fs::rename(clinic.place.data().join("clinic.sqlite"), clinic.place.dir.path().join("away.sqlite"))
        .unwrap();
    let gone = clinic.place.run(&["doctor"]);
    assert!(gone.out.lines().any(|line| line.starts_with("FAILED  demo: practice system")), "{gone:?}");
    assert!(!clinic.place.data().join("clinic.sqlite").exists(), "looking made a book");
}

#[cfg(unix)]
#[test]
fn a_profile_with_bad_sql_is_named_with_its_line_and_its_correction_is_taken_up() {
    let clinic = Clinic::open();
    let health = |status: &Value| status["practices"][0]["health"].clone();
    clinic.place.wait_for("a clinic in step", |status| health(status) == "ok");
    let (_, shipped) = SHIPPED.iter().find(|(name, _)| *name == "demo").unwrap();
    let wrong = shipped.replacen("SELECT id, name FROM location", "SELEKT id, name FROM location", 1);
    let (before, _) = wrong.split_once("SELEKT").unwrap();
    let line = before.lines().count();
    let column = before.lines().last().unwrap().chars().count() + 1;
    let place = format!("`profiles/demo.toml`, line {line}, column {column}, in `locations`");
    let said = format!(
        "The database refuses what your own profile asks it, so nothing is read or written: {place}: near \"SELEKT\": \
         syntax error. Correct it there, in the data folder; what you save is tried at once."
    );
    let own = clinic.place.data().join("profiles/demo.toml");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, wrong).unwrap();
    clinic.place.wait_for("the mistake", |status| {
        status["practices"][0]["system"]["error"] == said && health(status) == "down"
    });
    let doctor = clinic.place.run(&["doctor"]);
    assert_eq!(doctor.status, 1, "{doctor:?}");
    let failed: Vec<&str> = doctor.out.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].contains(&said), "{failed:?}");
    assert!(failed[1].contains(&place) && !failed[1].contains("FROM location"), "{failed:?}");
    fs::write(&own, shipped).unwrap();
    clinic.place.wait_for("the correction", |status| health(status) == "ok");
}

/// What the files of a folder hold, the log and SQLite's own scratch files aside.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<PathBuf> = walk(folder);
    found.retain(|path| {
        let name = path.to_string_lossy();
        !name.contains("/logs/") && !name.ends_with("-shm") && !name.ends_with("-wal")
    });
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}
