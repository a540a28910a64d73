//! A folder into which the practice lays scripts and referrals for its patients.

use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::documents::{LARGEST_BYTES, PracticeDocument, PracticeDocumentKind, format_of};
use domain::ids::{AppointmentRef, DocumentRef, PatientRef};
use domain::ports::documents::{DocumentSource, FilingError};
use domain::private::Private;
use sha2::{Digest, Sha256};

use super::names::PathPattern;
use super::{Beside, DocumentFolder, failed};

/// Nobody has more documents for one appointment; a folder that holds more is not what it is taken for.
const MOST_DOCUMENTS: usize = 100;

/// A folder into which the practice lays documents for its patients.
#[derive(Clone, Debug)]
pub struct FolderSource {
    folder: DocumentFolder,
    pattern: PathPattern,
    beside: Beside,
}

impl FolderSource {
    /// The folder, and where documents lie in it.
    pub fn new(folder: DocumentFolder, pattern: PathPattern) -> Self {
        Self { folder, pattern, beside: Beside::default() }
    }

    fn find(&self, appointment: &AppointmentRef, patient: &PatientRef) -> Result<Vec<Found>, FilingError> {
        let mut found = Vec::new();
        let start = Step { path: self.folder.ready()?.to_owned(), below: String::new(), kind: None };
        self.walk(0, &start, appointment, patient, &mut found)?;
        found.sort_by(|a, b| a.document.id.cmp(&b.document.id));
        Ok(found)
    }

    fn walk(
        &self,
        step: usize,
        at: &Step,
        appointment: &AppointmentRef,
        patient: &PatientRef,
        found: &mut Vec<Found>,
    ) -> Result<(), FilingError> {
        for entry in std::fs::read_dir(&at.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with(['.', '~'])) else { continue };
            let Some(told) = self.pattern.matches(step, name, appointment, patient) else { continue };
            let below = format!("{}/{name}", at.below);
            let next = Step { path: entry.path(), below, kind: told.kind.or(at.kind) };
            // A link may lead out of the folder, so it is not followed.
            let kind = entry.file_type().map_err(failed)?;
            if step + 1 < self.pattern.depth() {
                if kind.is_dir() {
                    self.walk(step + 1, &next, appointment, patient, found)?;
                }
            } else if kind.is_file()
                && found.len() < MOST_DOCUMENTS
                && let Some(document) = document(next, name)?
            {
                found.push(document);
            }
        }
        Ok(())
    }
}

struct Step {
    path: PathBuf,
    below: String,
    kind: Option<PracticeDocumentKind>,
}

struct Found {
    path: PathBuf,
    document: PracticeDocument,
}

/// The document in a file; none in one of a format that is not given out, or that somebody is still writing.
fn document(at: Step, name: &str) -> Result<Option<Found>, FilingError> {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let (Some(kind), Some(format)) = (at.kind, format_of(extension)) else { return Ok(None) };
    let about = at.path.metadata().map_err(failed)?;
    if about.len() == 0 {
        return Ok(None);
    }
    let changed_at: DateTime<Utc> = about.modified().map_err(failed)?.into();
    let digest = Sha256::digest(at.below.as_bytes());
    let id = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
    let document = PracticeDocument {
        id: DocumentRef::new(id),
        kind,
        name: Private::new(name.to_owned()),
        format,
        size: about.len(),
        changed_at,
    };
    Ok(Some(Found { path: at.path, document }))
}

#[async_trait]
impl DocumentSource for FolderSource {
    fn title(&self) -> String {
        self.folder.title()
    }

    async fn check(&self) -> Result<(), FilingError> {
        let folder = self.folder.clone();
        self.beside.run(move || std::fs::read_dir(folder.ready()?).map(|_| ()).map_err(failed)).await
    }

    async fn documents(
        &self,
        appointment: &AppointmentRef,
        patient: &PatientRef,
    ) -> Result<Vec<PracticeDocument>, FilingError> {
        let (source, appointment, patient) = (self.clone(), appointment.clone(), patient.clone());
        let find = move || Ok(source.find(&appointment, &patient)?.into_iter().map(|f| f.document).collect());
        self.beside.run(find).await
    }

    async fn content(
        &self,
        appointment: &AppointmentRef,
        patient: &PatientRef,
        document: &DocumentRef,
    ) -> Result<Option<Private<Vec<u8>>>, FilingError> {
        let (source, appointment, patient) = (self.clone(), appointment.clone(), patient.clone());
        let document = document.clone();
        self.beside
            .run(move || {
                let found = source.find(&appointment, &patient)?;
                let Some(found) = found.into_iter().find(|found| found.document.id == document) else {
                    return Ok(None);
                };
                let file = match std::fs::File::open(&found.path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(failed(error)),
                };
                let mut content = Vec::new();
                file.take(LARGEST_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
                let whole = u64::try_from(content.len()).is_ok_and(|size| size <= LARGEST_BYTES);
                Ok(whole.then(|| Private::new(content)))
            })
            .await
    }
}
