//! Hands an address, a folder or a file to this computer's own program for it.

use crate::ui_error::failure;
use crate::view::{ErrorCode, UiError};
use std::ffi::OsString;
use std::io;

/// What is said where nothing took it. The system's own words are left out: they quote what was to be opened, and that
/// may hold a patient's id or the name of a document.
const NOT_OPENED: &str = "No program of this computer opened it. Choose a default program for it, such as a browser, in \
                          the system's settings.";

/// Opens it. Whether its program starts is watched for a moment, on a thread where that keeps nobody waiting.
pub async fn open(what: impl Into<OsString>) -> Result<(), UiError> {
    let what = what.into();
    let opened = tokio::task::spawn_blocking(move || hand_over(what)).await;
    said(opened.unwrap_or_else(|ended| Err(io::Error::other(ended))))
}

#[cfg(not(test))]
fn hand_over(what: OsString) -> io::Result<()> {
    open::that_detached(what)
}

/// What tests would have opened, on whose screen nothing is to appear.
#[cfg(test)]
static OPENED: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

#[cfg(test)]
fn hand_over(what: OsString) -> io::Result<()> {
    OPENED.lock().map_err(|_| io::Error::other("a test failed"))?.push(what.to_string_lossy().into_owned());
    Ok(())
}

/// What tests would have opened so far.
#[cfg(test)]
pub fn opened() -> Vec<String> {
    OPENED.lock().map(|opened| opened.clone()).unwrap_or_default()
}

fn said(opened: io::Result<()>) -> Result<(), UiError> {
    opened.map_err(|error| {
        tracing::info!(kind = ?error.kind(), "Something could not be handed to its program.");
        failure(ErrorCode::FileFailed, NOT_OPENED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_opened_is_not_repeated() {
        let words =
            "Launcher \"xdg-open\" \"https://hub.vald.com/?syncId=richmond-77\" failed with exit status 3";
        let error = said(Err(io::Error::other(words))).expect_err("a failure");
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::FileFailed, NOT_OPENED));
        assert_eq!(said(Ok(())), Ok(()));
    }
}
