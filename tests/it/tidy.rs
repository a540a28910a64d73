//! The invariants of `src-tauri/ARCHITECTURE.md`, as tests on the project's own files.
//!
//! What the compiler and clippy can see is left to them; this is for what only a reader would notice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

/// Folders that hold what was built or fetched, not what we wrote.
const NOT_OURS: &[&str] = &[
    ".git",
    "target",
    "gen",
    "screenshots",
    "ui/node_modules",
    "ui/dist",
    "ui/playwright-report",
    "ui/test-results",
];

/// This file names what it forbids.
const THIS_FILE: &str = "tests/it/tidy.rs";

/// A file of the project, its path written from the root with forward slashes.
struct SourceFile {
    path: String,
    text: String,
}

impl SourceFile {
    fn is_one_of(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_script(&self) -> bool {
        [".ts", ".svelte", ".js", ".mjs"].iter().any(|ending| self.path.ends_with(ending))
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.starts_with("ui/tests/")
            || self.path.starts_with("ui/e2e/")
            || self.path.contains("/tests/")
            || self.path.ends_with("tests.rs")
            || self.path.ends_with(".test.ts")
    }

    /// The text without the module of tests at its end.
    fn without_tests(&self) -> &str {
        let cut = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        self.text.get(..cut).unwrap_or(&self.text)
    }
}

/// Every text file of the project.
fn project() -> Vec<SourceFile> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    assert!(found.len() > 20, "the project's files were not found");
    found
}

fn root() -> std::path::PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the project").to_path_buf()
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if NOT_OURS.contains(&path.as_str()) {
            continue;
        }
        // Somebody may be editing: a file that is gone by now is not our concern.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(SourceFile { path, text });
        }
    }
}

/// Lines that match, as `path:line: text`. Lines that are only a comment in Rust or TypeScript do not count.
fn code_lines(file: &SourceFile, text: &str, forbidden: &Regex) -> Vec<String> {
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| is_code(line) && forbidden.is_match(line))
        .map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim()))
        .collect()
}

/// Fails with every place where code of the chosen files matches.
fn forbid(why: &str, pattern: &str, chosen: impl Fn(&SourceFile) -> bool) {
    let forbidden = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for file in project().iter().filter(|file| file.path != THIS_FILE && chosen(file)) {
        found.extend(code_lines(file, &file.text, &forbidden));
    }
    assert!(found.is_empty(), "{why}\n{}", found.join("\n"));
}

/// The workspace's manifests: path, name, text.
fn manifests() -> Vec<(&'static str, toml::Table)> {
    let members = [
        ("domain", "src-tauri/domain/Cargo.toml"),
        ("sync", "src-tauri/sync/Cargo.toml"),
        ("store", "src-tauri/store/Cargo.toml"),
        ("connectors", "src-tauri/connectors/Cargo.toml"),
        ("clinic-companion", "Cargo.toml"),
        ("tests", "tests/Cargo.toml"),
        ("xtask", "xtask/Cargo.toml"),
    ];
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap().parse().unwrap();
    members.into_iter().map(|(name, path)| (name, read(path))).collect()
}

/// Names of the dependencies in these tables of a manifest.
fn dependencies(manifest: &toml::Table, tables: &[&str]) -> BTreeSet<String> {
    let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

const EVERY_TABLE: &[&str] = &["dependencies", "build-dependencies", "dev-dependencies"];

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn arrows_between_the_rooms_point_one_way() {
    let rooms = names(&["domain", "sync", "store", "connectors", "clinic-companion", "tests", "xtask"]);
    for (name, manifest) in manifests() {
        let allowed = match name {
            "domain" | "xtask" => names(&[]),
            "sync" | "store" | "connectors" => names(&["domain"]),
            _ => names(&["domain", "sync", "store", "connectors"]),
        };
        let used =
            dependencies(&manifest, EVERY_TABLE).intersection(&rooms).cloned().collect::<BTreeSet<_>>();
        let forbidden: Vec<_> = used.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} must not depend on {forbidden:?}");
    }
}

#[test]
fn the_domain_does_no_input_or_output() {
    // The last three fold letters, tell how names sound, and compare texts; they compute and do nothing else.
    let allowed = names(&[
        "async-trait",
        "chrono",
        "chrono-tz",
        "secrecy",
        "thiserror",
        "deunicode",
        "rphonetic",
        "strsim",
    ]);
    for (name, manifest) in manifests() {
        if name == "domain" {
            let used = dependencies(&manifest, &["dependencies", "build-dependencies"]);
            let forbidden: Vec<_> = used.difference(&allowed).collect();
            assert!(forbidden.is_empty(), "domain must not depend on {forbidden:?}");
        }
    }
    forbid(
        "the domain reads no file, no network and no environment",
        r"\bstd::(fs|net|env|process|io)\b",
        |file| file.path.starts_with("src-tauri/domain/src/"),
    );
}

#[test]
fn each_outside_library_has_its_room() {
    let rooms: &[(&str, &[&str])] = &[
        ("tauri", &["clinic-companion"]),
        ("gtk", &["clinic-companion"]),
        ("specta", &["clinic-companion"]),
        ("keyring", &["store"]),
        ("rusqlite", &["store", "connectors", "tests"]),
        ("mysql_async", &["connectors", "tests"]),
        ("reqwest", &["connectors", "tests"]),
        ("axum", &["connectors"]),
        ("hyper", &["connectors"]),
        ("oauth2", &["connectors"]),
        ("clap", &["clinic-companion"]),
    ];
    for (name, manifest) in manifests() {
        let used = dependencies(&manifest, EVERY_TABLE);
        for (library, homes) in rooms {
            let family = format!("{library}-");
            let uses = used.iter().any(|used| used == library || used.starts_with(&family));
            assert!(!uses || homes.contains(&name), "{name} must not depend on {library}");
        }
    }
}

#[test]
fn versions_and_lints_are_kept_in_the_root_manifest() {
    for (name, manifest) in manifests() {
        let lints =
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{name} does not take the workspace's lints");
        if name == "clinic-companion" {
            continue;
        }
        for table in EVERY_TABLE.iter().filter_map(|table| manifest.get(*table)?.as_table()) {
            for (dependency, how) in table {
                let inherited = how.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(inherited, Some(true), "{name} gives {dependency} a version of its own");
            }
        }
    }
}

#[test]
fn only_the_system_clock_asks_the_time() {
    let asks = Regex::new(r"\b(Utc|Local|SystemTime)::now\b").unwrap();
    for file in project().iter().filter(|file| file.is_rust() && file.path != THIS_FILE) {
        let found = code_lines(file, &file.text, &asks);
        let is_the_clock = file.text.contains("for SystemClock");
        assert!(
            found.is_empty() || (is_the_clock && found.len() == 1),
            "pass `now` in:\n{}",
            found.join("\n")
        );
    }
}

#[test]
fn only_giving_memory_back_is_unsafe() {
    forbid("unsafe code needs its own room", r"\bunsafe_code\b", |file| {
        file.is_rust() && file.path != "src-tauri/src/memory.rs"
    });
}

#[test]
fn personal_data_is_revealed_only_where_it_must_be() {
    // The domain and its tests can reach neither a log nor the outside.
    let places = [
        "src-tauri/domain/",
        "src-tauri/store/",
        "src-tauri/connectors/",
        "src-tauri/src/present",
        "src-tauri/sync/src/tests/",
        "tests/",
    ];
    forbid("personal data leaves its wrapper", r"\.reveal\(\)", |file| {
        file.is_rust() && !file.is_one_of(&places)
    });
}

#[test]
fn every_partner_has_the_same_files() {
    let partners = root().join("src-tauri/connectors/src/partners");
    for folder in folders_in(&partners) {
        for parts in [&["NOTES.md"][..], &["mod.rs"], &["wire.rs"], &["translate.rs"], &["client.rs"]] {
            assert_has_one_of(&partners.join(&folder), parts);
        }
        assert_has_one_of(&partners.join(&folder), &["sim.rs", "sim/mod.rs"]);
        assert_has_one_of(&partners.join(&folder), &["tests.rs", "tests/mod.rs"]);
    }
}

#[test]
fn a_partner_that_is_drawn_from_its_card_is_named_in_its_folder_and_in_one_line() {
    let list = "src-tauri/connectors/src/partners/mod.rs";
    let text = fs::read_to_string(root().join(list)).unwrap();
    let line = Regex::new(r"Linkable \{ card: &(\w+)::CARD, open: \w+::open \}").unwrap();
    let names: Vec<&str> = line.captures_iter(&text).map(|found| found.extract::<1>().1[0]).collect();
    assert!(!names.is_empty(), "no line of {list} was found");
    for name in names {
        let folder = format!("src-tauri/connectors/src/partners/{name}/");
        // The made-up clinic shows off what there is.
        let elsewhere = [list, &folder, "src-tauri/src/demo"];
        let is_code = |file: &SourceFile| file.is_rust() && !file.is_test() && !file.is_one_of(&elsewhere);
        // A name may be a word of its own: "hints" are no Hint.
        let (first, rest) = name.split_at(1);
        let title = format!("{}{rest}", first.to_uppercase());
        let named = format!(r#""{name}"|\b{name}::|::{name}\b|\b{title}(?:[A-Z]\w*)?\b"#);
        let named = Regex::new(&named).unwrap();
        let mut found = Vec::new();
        for file in project().iter().filter(|file| is_code(file) && file.path.starts_with("src-tauri/")) {
            found.extend(code_lines(file, file.without_tests(), &named));
        }
        assert!(found.is_empty(), "a new partner is a folder and a line\n{}", found.join("\n"));
    }
}

#[test]
fn every_shipped_profile_has_the_same_files() {
    let profiles = root().join("src-tauri/connectors/src/practices/sql/profiles");
    for folder in folders_in(&profiles) {
        for part in ["profile.toml", "NOTES.md", "tables.sql"] {
            assert_has_one_of(&profiles.join(&folder), &[part]);
        }
    }
}

fn folders_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let entries = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_dir());
    let folders: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(!folders.is_empty(), "nothing in {}", folder.display());
    folders
}

fn assert_has_one_of(folder: &Path, files: &[&str]) {
    let has_one = files.iter().any(|file| folder.join(file).is_file());
    assert!(has_one, "{} has no {}", folder.display(), files.join(" or "));
}

#[test]
fn simulators_are_written_from_the_contract_and_not_from_the_client() {
    // A mistake that both share would hide itself.
    forbid("a simulator uses what it is there to test", r"::(wire|client|translate|queries)\b", |file| {
        file.is_rust() && (file.path.ends_with("/sim.rs") || file.path.contains("/sim/"))
    });
}

#[test]
fn every_exception_from_a_lint_has_its_reason() {
    let attribute = Regex::new(r"#!?\[(?:cfg_attr\([^\]]*?)?(?:allow|expect)\(([^\]]*)\)\]").unwrap();
    let mut found = Vec::new();
    for file in project().iter().filter(|file| file.is_rust() && file.path != THIS_FILE) {
        for exception in attribute.captures_iter(&file.text) {
            if !exception[1].contains("reason = \"") {
                found.push(format!("{}: {}", file.path, &exception[0]));
            }
        }
    }
    assert!(found.is_empty(), "no reason is given\n{}", found.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut found = Vec::new();
    for file in project().into_iter().filter(SourceFile::is_rust) {
        if !file.text.starts_with("//! ") {
            found.push(file.path);
        }
    }
    assert!(found.is_empty(), "these do not begin with `//!`\n{}", found.join("\n"));
}

#[test]
fn nothing_is_unfinished() {
    forbid("finish it, or leave it out", r"\b(TODO|FIXME|XXX)\b|\b(todo|unimplemented)!\(", |file| {
        !file.path.ends_with("package-lock.json")
    });
}

#[test]
fn tests_neither_sleep_nor_are_skipped() {
    let asleep = Regex::new(r"thread::sleep|time::sleep|setTimeout\(").unwrap();
    let skipped = Regex::new(r"#\[ignore|\b(it|test|describe)\.skip\b").unwrap();
    // The body of a process that other tests start, since a test binary has no other way to be one.
    let started_by_another = ["by the test below\"]", "by the tests below\"]"];
    let mut found = Vec::new();
    for file in project().iter().filter(|file| file.path != THIS_FILE) {
        if file.is_test() {
            found.extend(code_lines(file, &file.text, &asleep));
        }
        let skips = code_lines(file, &file.text, &skipped);
        found.extend(
            skips.into_iter().filter(|line| !started_by_another.iter().any(|end| line.ends_with(end))),
        );
    }
    assert!(found.is_empty(), "wait for what is expected, with a deadline\n{}", found.join("\n"));
}

#[test]
fn nothing_depends_on_a_developers_machine() {
    let pattern = r"(^|[^A-Za-z0-9_.-])/(work|root|home/[a-z]+|Users/[A-Za-z]+)/";
    forbid("a path of somebody's machine", pattern, |_| true);
    let lock = fs::read_to_string(root().join("ui/package-lock.json")).unwrap();
    assert!(!lock.contains("\"resolved\": \"http"), "ui/package-lock.json names a registry's host");
}

#[test]
fn names_say_what_a_thing_is() {
    let pattern = r"\b(struct|enum|trait)\s+\w+(Manager|Service|Helper|Helpers|Util|Utils)\b";
    forbid("say what it is, not that it does something", pattern, SourceFile::is_rust);
}

#[test]
fn no_decision_hangs_on_the_text_of_an_error() {
    let rust = Regex::new(r"\berr(or)?\.to_string\(\)\s*(==|\.contains|\.starts_with)").unwrap();
    let script =
        Regex::new(r"\bmessage\s*(===?|!==?)|\bmessage\.(includes|startsWith|match|search)\(").unwrap();
    let mut found = Vec::new();
    for file in project().iter().filter(|file| !file.is_test()) {
        if file.is_rust() {
            found.extend(code_lines(file, file.without_tests(), &rust));
        } else if file.is_script() {
            found.extend(code_lines(file, &file.text, &script));
        }
    }
    assert!(found.is_empty(), "match on the error's kind or code\n{}", found.join("\n"));
}

#[test]
fn only_the_backend_of_the_user_interface_knows_tauri() {
    forbid("go through ui/src/backend", r#"['"]@tauri-apps/|/bindings(\.ts)?['"]"#, |file| {
        file.path.starts_with("ui/src/") && file.is_script() && !file.path.starts_with("ui/src/backend/")
    });
}

#[test]
fn the_user_interface_loads_nothing_from_a_network() {
    let pattern = r#"(src|href)\s*=\s*["']https?://|@import\s+(url\()?["']?https?:|url\(["']?https?:"#;
    forbid("pages load only what is packed with them", pattern, |file| {
        [".html", ".css", ".svelte"].iter().any(|ending| file.path.ends_with(ending))
            && file.is_one_of(&["ui/src/", "ui/index.html", "src-tauri/"])
    });
}

#[test]
fn a_command_of_the_window_is_a_call_and_a_conversion() {
    // Room for a `match` that turns the window's words into the engine's, not for a second thought.
    const LONGEST_BODY: usize = 12;
    let decides = Regex::new(r"^\s*(if|while|loop)\b").unwrap();
    let name = Regex::new(r"\bfn (\w+)").unwrap();
    let mut found = Vec::new();
    for file in project().iter().filter(|file| file.path.starts_with("src-tauri/src/")) {
        for command in file.without_tests().split("#[tauri::command").skip(1) {
            let Some((head, body)) = command.split_once("{\n") else { continue };
            let body: Vec<&str> = body.lines().take_while(|line| *line != "}").collect();
            if body.len() > LONGEST_BODY || body.iter().any(|line| decides.is_match(line)) {
                let name = name.captures(head).map_or(head, |found| found.extract::<1>().1[0]);
                found.push(format!("{}: {name}", file.path));
            }
        }
    }
    assert!(found.is_empty(), "decide in the engine, not in a command\n{}", found.join("\n"));
}

#[test]
fn each_window_may_ask_only_what_it_needs() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let listed = Regex::new(r"commands::(?:\w+::)?(\w+),").unwrap();
    let bindings = read("src-tauri/src/bindings.rs");
    let commands: BTreeSet<&str> =
        listed.captures_iter(&bindings).map(|found| found.extract::<1>().1[0]).collect();
    assert!(commands.len() > 20, "the app's commands were not found");
    let permissions: toml::Table = read("src-tauri/permissions/windows.toml").parse().unwrap();
    let allowed = |wanted: &str| -> BTreeSet<&str> {
        let permissions = permissions["permission"].as_array().unwrap();
        let one = permissions.iter().find(|one| one["identifier"].as_str() == Some(wanted)).unwrap();
        one["commands"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
    };
    let (window, search_box) = (allowed("everything-of-the-window"), allowed("finding-and-opening"));
    assert_eq!(
        &window | &search_box,
        commands,
        "src-tauri/permissions/windows.toml is not what bindings.rs has"
    );
    assert_eq!(
        search_box,
        BTreeSet::from(["find_patients", "current_view", "open_in_vald", "close_quick_open"])
    );
    for (file, may) in [("main", "everything-of-the-window"), ("quick", "finding-and-opening")] {
        let capability = read(&format!("src-tauri/capabilities/{file}.json"));
        let own =
            capability.matches("finding-and-opening").chain(capability.matches("everything-of-the-window"));
        assert_eq!(own.collect::<Vec<_>>(), [may], "{file}");
    }
}

#[test]
fn the_root_holds_what_it_should_and_no_more() {
    let expected = names(&[
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "icons",
        "src-tauri",
        "tauri.conf.json",
        "tests",
        "ui",
        "xtask",
    ]);
    let entries =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let visible = entries.filter(|name| !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()));
    assert_eq!(visible.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_readme_names_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let xtask = fs::read_to_string(root().join("xtask/src/main.rs")).unwrap();
    let explained = Regex::new(r#"Explained\(\s*"([a-z-]+)""#).unwrap();
    let commands: Vec<&str> =
        explained.captures_iter(&xtask).map(|found| found.extract::<1>().1[0]).collect();
    assert!(commands.len() > 5, "xtask's commands were not found");
    let missing: Vec<_> =
        commands.iter().filter(|name| !readme.contains(&format!("cargo xtask {name}"))).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

#[test]
fn the_go_live_table_and_its_tests_agree() {
    let table = "src-tauri/connectors/src/partners/healthengine/GO-LIVE.md";
    let table = fs::read_to_string(root().join(table)).unwrap();
    let row = Regex::new(r"(?m)^\| HE-(\d\d) \|.*\| `(he_\d\d_\w+)` \|").unwrap();
    let listed: Vec<(&str, &str)> =
        row.captures_iter(&table).map(|row| row.extract::<2>().1.into()).collect();
    for (number, test) in &listed {
        assert!(test.starts_with(&format!("he_{number}_")), "HE-{number} is not shown by {test}");
    }
    let test = Regex::new(r"(?m)^#\[tokio::test\]\nasync fn (he_\d\d_\w+)\(").unwrap();
    let files: Vec<SourceFile> = project();
    let there: Vec<&str> = files
        .iter()
        .flat_map(|file| test.captures_iter(&file.text))
        .map(|found| found.extract::<1>().1[0])
        .collect();
    let sorted = |names: Vec<&str>| {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    let numbers: BTreeSet<&str> = listed.iter().map(|(number, _)| *number).collect();
    let all: Vec<String> = (1..=26).map(|number| format!("{number:02}")).collect();
    assert_eq!(numbers, all.iter().map(String::as_str).collect(), "each of the 26 has its row");
    assert_eq!(sorted(listed.iter().map(|(_, test)| *test).collect()), sorted(there));
}
