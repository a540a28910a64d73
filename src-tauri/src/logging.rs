//! The log: daily files in the data folder, stderr where somebody asked for it, and a filter that can be changed while
//! it runs.
//!
//! Other people's libraries are only heard from `warn` on, whatever the level: at `debug` some of them write what they
//! send and receive. Nothing of ours logs a name, a body or a secret.

use clap::ValueEnum;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How many daily files are kept.
const FILES_KEPT: usize = 14;
/// Files are called `clinic-companion.2026-11-20.log`; the day is that of UTC.
const FILE_PREFIX: &str = "clinic-companion";
/// The level as long as nothing else is chosen.
pub const NORMAL_LEVEL: &str = "info";
/// The levels that can be chosen.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Under this target a command says why it failed. Stderr has that sentence already, in plain.
pub const FAILURE: &str = "clinic_companion::failure";
/// Our own crates, as the log calls them.
const OURS: [&str; 5] = ["clinic_companion", "sync", "store", "connectors", "domain"];

/// How lines on stderr look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The running log. Dropping it writes out what is still on its way.
pub struct LogControl {
    folder: Option<PathBuf>,
    filter: reload::Handle<EnvFilter, Registry>,
    _on_its_way: Option<WorkerGuard>,
}

impl LogControl {
    /// Where the daily files lie; an empty path where there are none.
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(Path::new(""))
    }

    /// Changes the level of our own lines. A level that does not exist counts as `info`.
    pub fn set_level(&self, level: &str) {
        // Fails only when the log is gone, and then there is nothing to filter.
        let _ = self.filter.reload(filter(level));
    }
}

/// Starts the log, once per process: to files in `folder` and to stderr, where given.
pub fn start(folder: Option<&Path>, stderr: Option<LogFormat>) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(NORMAL_LEVEL));
    let (to_files, on_its_way) = match folder.and_then(daily_files) {
        Some(files) => {
            // A slow disk must not hold up whoever has something to say.
            let (writer, guard) = NonBlockingBuilder::default().thread_name("log").finish(files);
            (Some(fmt::layer().with_ansi(false).with_writer(writer)), Some(guard))
        }
        None => (None, None),
    };
    let to_stderr = stderr.map(|format| {
        let layer = match format {
            LogFormat::Text => {
                fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed()
            }
            LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        };
        layer.with_filter(filter_fn(|line| line.target() != FAILURE))
    });
    let started = tracing_subscriber::registry().with(filter).with(to_files).with(to_stderr).try_init();
    // Fails only when there is a log already, as in a test that starts two.
    drop(started);
    std::panic::set_hook(Box::new(tell_panic));
    LogControl { folder: folder.map(Path::to_owned), filter: handle, _on_its_way: on_its_way }
}

fn filter(level: &str) -> EnvFilter {
    let level = if LEVELS.contains(&level) { level } else { NORMAL_LEVEL };
    let mut text = String::from("warn");
    for name in OURS {
        text.push_str(&format!(",{name}={level}"));
    }
    EnvFilter::new(text)
}

/// None where files cannot be written; the program then goes on without, since opening the records will say why.
fn daily_files(folder: &Path) -> Option<RollingFileAppender> {
    // Made here, because the appender complains on stderr about a folder that is not there yet.
    std::fs::create_dir_all(folder).ok()?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(FILE_PREFIX)
        .filename_suffix("log")
        .max_log_files(FILES_KEPT)
        .build(folder)
        .ok()
}

/// Says where a panic happened. Its message stays out, because it may quote what was being worked on.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(place, thread, "A mistake of ours. What was in hand is taken up again.");
    if !tracing::enabled!(tracing::Level::ERROR) {
        // Nobody else would hear of it; and where even this fails, nobody can.
        let _ = writeln!(std::io::stderr(), "A mistake of ours at {place}.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_libraries_never_say_more_than_warnings() {
        let text = filter("debug").to_string();
        assert!(text.split(',').any(|part| part == "warn"), "{text}");
        assert!(text.contains("sync=debug"), "{text}");
        assert_eq!(filter("verbose").to_string(), filter("info").to_string());
        assert_eq!(filter("hyper=trace").to_string(), filter("info").to_string());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_reason_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a-file");
        std::fs::write(&file, "").unwrap();
        assert!(daily_files(&file.join("logs")).is_none());
        assert!(daily_files(&dir.path().join("logs")).is_some());
    }
}
