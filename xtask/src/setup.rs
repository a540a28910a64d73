//! What a machine needs before this project can be built and tested, and how to get it.
//!
//! On Debian and Ubuntu the missing packages are installed. Elsewhere they are named, and the work goes on with
//! what is there.

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::process::{cargo, command, has, run, succeeds};

/// How much of the machine has to be ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Enough to build and run the app.
    Build,
    /// The above, and what the tests start: a database server, a screen, a keyring, browsers and their drivers.
    Test,
}

/// One thing that a Debian package brings. Any of the packages, or any of the programs, is enough.
struct Need {
    group: Group,
    /// In order of preference: the first that the distribution has is installed.
    packages: &'static [&'static str],
    programs: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    build(&["build-essential"], &[]),
    build(&["pkg-config", "pkgconf"], &[]),
    // The app trusts whom the system trusts, and its tests set an encrypted connection up.
    build(&["ca-certificates"], &[]),
    build(&["nodejs"], &["node"]),
    build(&["npm"], &["npm"]),
    build(&["libwebkit2gtk-4.1-dev"], &[]),
    build(&["libgtk-3-dev"], &[]),
    build(&["libayatana-appindicator3-dev"], &[]),
    build(&["librsvg2-dev"], &[]),
    build(&["libxdo-dev"], &[]),
    // The server without the system service that `mariadb-server` would start: each test run starts its own.
    test(&["mariadb-server-core", "mariadb-server-core-10.6", "mariadb-server"], &[]),
    test(&["mariadb-client-core", "mariadb-client-core-10.6", "mariadb-client"], &[]),
    test(&["xvfb"], &["Xvfb"]),
    test(&["xauth"], &["xauth"]),
    // A window can only be closed where somebody manages windows.
    test(&["openbox"], &["openbox"]),
    test(&["wmctrl"], &["wmctrl"]),
    test(&["dbus"], &["dbus-run-session"]),
    test(&["gnome-keyring"], &["gnome-keyring-daemon"]),
    test(&["libsecret-tools"], &["secret-tool"]),
    // The end-to-end test looks at the screen and into the made-up clinic's book with it.
    test(&["python3"], &["python3"]),
    test(&["webkit2gtk-driver"], &["WebKitWebDriver"]),
    test(&["chromium", "chromium-browser"], &["chromium", "google-chrome"]),
];

const fn build(packages: &'static [&'static str], programs: &'static [&'static str]) -> Need {
    Need { group: Group::Build, packages, programs }
}

const fn test(packages: &'static [&'static str], programs: &'static [&'static str]) -> Need {
    Need { group: Group::Test, packages, programs }
}

/// The driver that the end-to-end test speaks to. Installed from its crate, since no distribution packages it.
const TAURI_DRIVER_VERSION: &str = "2.1.0";

/// Makes the machine ready. Does nothing, and says nothing, where everything is there.
pub fn setup(group: Group) -> Result<()> {
    if cfg!(target_os = "linux") && has("apt-get") && has("dpkg-query") {
        install_debian_packages(group)?;
    } else {
        say_what_is_missing();
    }
    check_node()?;
    if group == Group::Test {
        install_cargo_tools()?;
    }
    Ok(())
}

/// The oldest Node.js that the user interface's tools run on.
const NODE_VERSION: (u32, u32) = (20, 19);

fn check_node() -> Result<()> {
    let (major, minor) = NODE_VERSION;
    if !has("node") || !has("npm") {
        bail!("Node.js {major}.{minor} or newer with npm is missing: install it from https://nodejs.org/");
    }
    let output = command("node")?.arg("--version").output()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    let found: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < NODE_VERSION {
        bail!(
            "Node.js here is {version}; {major}.{minor} or newer is needed: install it from https://nodejs.org/"
        );
    }
    Ok(())
}

fn install_debian_packages(group: Group) -> Result<()> {
    let missing = NEEDS.iter().filter(|need| group == Group::Test || need.group == Group::Build);
    let missing: Vec<&Need> = missing.filter(|need| !is_met(need)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("{} system packages are missing. Refreshing the package lists with apt-get.", missing.len());
    apt_get(&["update", "-qq"])?;
    let mut packages = Vec::new();
    for need in missing {
        match need.packages.iter().find(|package| is_offered(package)) {
            Some(package) => packages.push(*package),
            None => bail!("this distribution offers none of: {}", need.packages.join(", ")),
        }
    }
    eprintln!("Installing with apt-get: {}.", packages.join(", "));
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    words.extend(packages);
    apt_get(&words)
}

fn is_met(need: &Need) -> bool {
    need.programs.iter().any(|program| has(program))
        || need.packages.iter().any(|package| is_installed(package))
}

fn is_installed(package: &str) -> bool {
    let Ok(mut query) = command("dpkg-query") else { return false };
    let output = query.args(["-W", "-f", "${db:Status-Status}", package]).output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

fn is_offered(package: &str) -> bool {
    command("apt-cache").is_ok_and(|mut cache| succeeds(cache.args(["show", "--no-all-versions", package])))
}

/// Runs apt-get as root, through sudo where we are somebody else.
fn apt_get(words: &[&str]) -> Result<()> {
    let id = command("id")?.arg("-u").output()?;
    let is_root = id.stdout.trim_ascii() == b"0";
    let mut apt = if is_root {
        command("apt-get")?
    } else if has("sudo") {
        eprintln!("This needs root, so sudo may ask for your password.");
        let mut sudo = command("sudo")?;
        // sudo does not hand the environment on.
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("system packages are missing and there is no sudo: as root, run `apt-get {}`", words.join(" "));
    };
    // apt-get writes its progress to stdout, which belongs to the command that a person asked for.
    apt.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    run(&mut apt)
}

fn say_what_is_missing() {
    if cfg!(windows) {
        if !has("cl") && std::env::var_os("VSINSTALLDIR").is_none() {
            eprintln!(
                "If linking fails: install Visual Studio's Build Tools with \"Desktop development with C++\"."
            );
        }
        if !has("perl") {
            eprintln!(
                "Perl is missing; OpenSSL's build needs it. Install it from https://strawberryperl.com/."
            );
        }
        eprintln!("The tests with MariaDB and with the built app in its window run on Linux only.");
    } else if cfg!(target_os = "macos") {
        if !has("cc") {
            eprintln!("The compiler is missing. Run `xcode-select --install`.");
        }
        eprintln!("The tests with MariaDB and with the built app in its window run on Linux only.");
    } else {
        eprintln!(
            "This is neither Debian nor Ubuntu, so nothing is installed. What the project needs there:"
        );
        for need in NEEDS {
            eprintln!("  {}", need.packages.first().copied().unwrap_or_default());
        }
    }
}

fn install_cargo_tools() -> Result<()> {
    if !has("cargo-nextest") {
        eprintln!("Installing cargo-nextest, which runs the tests.");
        run(cargo()?.args(["install", "cargo-nextest", "--locked"]))?;
    }
    if cfg!(target_os = "linux") && !has("tauri-driver") {
        eprintln!("Installing tauri-driver {TAURI_DRIVER_VERSION}, which drives the app's window in tests.");
        run(cargo()?.args(["install", "tauri-driver", "--locked", "--version", TAURI_DRIVER_VERSION]))?;
    }
    Ok(())
}
