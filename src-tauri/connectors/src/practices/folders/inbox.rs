//! A folder that the practice system picks documents up from.
//!
//! What lies ready has a name that begins with a dot and ends with `.part`, in the same folder, so that putting it into
//! place is one renaming. Once that was recorded as begun, a file that lies ready no more was renamed, whether or not
//! the practice system has taken it away since.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use domain::documents::{DocumentKey, DocumentOrder};
use domain::ports::documents::{DocumentInbox, FilingError, Placed, Staged};
use domain::private::Private;
use tempfile::TempPath;

use super::names::NamePattern;
use super::{Beside, DocumentFolder, failed};

/// How many files of one name are looked past.
const MOST_NAMES: u32 = 999;

/// A folder that the practice system picks documents up from.
#[derive(Clone, Debug)]
pub struct FolderInbox {
    folder: DocumentFolder,
    pattern: NamePattern,
    beside: Beside,
}

impl FolderInbox {
    /// The folder, and how files are called there.
    pub fn new(folder: DocumentFolder, pattern: NamePattern) -> Self {
        Self { folder, pattern, beside: Beside::default() }
    }
}

#[async_trait]
impl DocumentInbox for FolderInbox {
    fn title(&self) -> String {
        self.folder.title()
    }

    async fn check(&self) -> Result<(), FilingError> {
        let folder = self.folder.clone();
        self.beside
            .run(move || {
                if folder.ours && !folder.path.exists() {
                    // Made with the first document.
                    return Ok(());
                }
                let tried = folder.ready()?.join(".clinic-companion-tries.part");
                File::create(&tried).map_err(failed)?;
                std::fs::remove_file(&tried).map_err(failed)
            })
            .await
    }

    async fn stage(&self, order: &DocumentOrder, content: Private<Vec<u8>>) -> Result<Staged, FilingError> {
        let (inbox, order) = (self.clone(), order.clone());
        self.beside
            .run(move || {
                let folder = inbox.folder.ready()?;
                let ready = ready_file(folder, &order.key);
                if let Err(error) = write_through(&ready, content.reveal()) {
                    // Half a document is nothing that anybody needs.
                    let _ = std::fs::remove_file(&ready);
                    return Err(failed(error));
                }
                let name = (1..=MOST_NAMES)
                    .map(|number| inbox.pattern.name(&order, number))
                    .find(|name| !folder.join(name).exists())
                    .ok_or_else(too_many)?;
                Ok(Staged { ticket: ticket(&folder.join(name))?, hold: None })
            })
            .await
    }

    async fn place(
        &self,
        key: &DocumentKey,
        ticket: &Private<String>,
        _: Option<Private<Vec<u8>>>,
    ) -> Result<Placed, FilingError> {
        let (key, target) = (key.clone(), PathBuf::from(ticket.reveal()));
        self.beside.run(move || place(&key, &target)).await
    }

    async fn discard(&self, key: &DocumentKey) -> Result<(), FilingError> {
        let (folder, key) = (self.folder.path.clone(), key.clone());
        self.beside
            .run(move || match std::fs::remove_file(ready_file(&folder, &key)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                Ok(()) | Err(_) => Ok(()),
            })
            .await
    }
}

fn too_many() -> FilingError {
    FilingError::Failed("there are too many files of one name".into())
}

/// Where a document lies ready. The numbers of partners' requests have nothing that a name may not have.
fn ready_file(folder: &Path, key: &DocumentKey) -> PathBuf {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let (practice, partner) = (key.practice.as_str(), plain(key.partner.as_str()));
    folder.join(format!(".clinic-companion-{practice}-{partner}-{}.part", plain(key.document.as_str())))
}

fn ticket(target: &Path) -> Result<Private<String>, FilingError> {
    let text = target.to_str().ok_or_else(|| FilingError::Failed("its path is no text".into()))?;
    Ok(Private::new(text.to_owned()))
}

/// Writes so that it outlives a power cut. Who may read the folder may read it.
fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn place(key: &DocumentKey, target: &Path) -> Result<Placed, FilingError> {
    let Some(folder) = target.parent() else { return Err(FilingError::Missing) };
    if !folder.is_dir() {
        // A drive that is not connected tells nothing about what lies on it.
        return Err(FilingError::Missing);
    }
    let ready = ready_file(folder, key);
    if !ready.try_exists().map_err(failed)? {
        return Ok(Placed::Stands(None));
    }
    match rename(&ready, target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !same_content(&ready, target).map_err(failed)? {
                return Ok(Placed::TryInstead(another_name(target)?));
            }
            // Renamed, and the old name left: where renaming is linking and unlinking, a crash can come between.
            std::fs::remove_file(&ready).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    // On Windows a folder cannot be written through, and need not be.
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Placed::Stands(None))
}

/// Gives the file its name, unless something else has it.
fn rename(ready: &Path, target: &Path) -> io::Result<()> {
    let Err(refused) = TempPath::try_from_path(ready)?.persist_noclobber(target) else { return Ok(()) };
    // What was refused would otherwise be removed with its handle.
    refused.path.keep().map_err(|kept| kept.error)?;
    let unable =
        [io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied].contains(&refused.error.kind());
    // A server's folder may know no way to rename without overwriting.
    if unable && !target.try_exists()? {
        return std::fs::rename(ready, target);
    }
    Err(refused.error)
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) =
        (io::BufReader::new(File::open(one)?).bytes(), io::BufReader::new(File::open(other)?).bytes());
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (a, b) if a != b => return Ok(false),
            (_, _) => {}
        }
    }
}

/// `a (3).pdf` after `a (2).pdf`.
fn another_name(taken: &Path) -> Result<Private<String>, FilingError> {
    let text =
        |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).unwrap_or_default().to_owned();
    let (stem, extension) = (text(taken.file_stem()), text(taken.extension()));
    let counted = |stem: &str| {
        let (base, number) = stem.strip_suffix(')')?.rsplit_once(" (")?;
        Some((base.to_owned(), number.parse::<u32>().ok()?))
    };
    let (base, number) = counted(&stem).unwrap_or((stem, 1));
    (number.saturating_add(1)..=MOST_NAMES)
        .map(|number| taken.with_file_name(format!("{base} ({number}).{extension}")))
        .find(|path| !path.exists())
        .map_or_else(|| Err(too_many()), |path| ticket(&path))
}
