//! Documents of a practice that is reached by SQL: they go through folders, and a note in the appointment tells of
//! what has no folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::AppointmentRef;
use domain::ports::documents::DocumentInbox;
use domain::settings::{DocumentRoutes, WriteMode};

use super::day::SERIES_SEPARATOR;
use super::failure::{Failure, SqlError};
use super::patients::one_line;
use super::profile::RawDocuments;
use super::session::Mode;
use super::value::Value;
use super::{SqlPractice, change, moment, run};
use crate::practices::folders::{
    DocumentFolder, FolderInbox, FolderSource, NamePattern, PathPattern, PatternMistake,
};

/// What a file is called where the profile does not say.
const USUAL_NAME: &str = "{patient_id}_{date}_{document_type}_{name}.{ext}";
/// Where a document lies where the profile does not say: under the appointment, so that nothing leaves that was not
/// meant for this one.
const USUAL_PATH: &str = "{appointment_id}/{document_type}/{name}";
/// How long a line in a note may take.
const NOTE_LIMIT: Duration = Duration::from_secs(10);

/// How documents come and go, as a profile says.
#[derive(Clone, Debug)]
pub struct DocumentWays {
    import_folder: Option<String>,
    pub(super) import_name: NamePattern,
    export_folder: Option<String>,
    export_path: PathPattern,
}

impl DocumentWays {
    /// Reads the profile's table; a mistake comes with its place in the file.
    pub(super) fn read(raw: &RawDocuments) -> Result<Self, (usize, String)> {
        let given = |text: &Option<toml::Spanned<String>>, usual: &str| {
            text.as_ref().map_or((usual.to_owned(), 0), |text| (text.get_ref().clone(), text.span().start))
        };
        let (name, name_at) = given(&raw.import_name, USUAL_NAME);
        let (path, path_at) = given(&raw.export_path, USUAL_PATH);
        let said = |at| move |PatternMistake(message)| (at, message);
        Ok(Self {
            import_folder: raw.import_folder.clone(),
            import_name: NamePattern::parse(&name).map_err(said(name_at))?,
            export_folder: raw.export_folder.clone(),
            export_path: PathPattern::parse(&path).map_err(said(path_at))?,
        })
    }
}

impl SqlPractice {
    /// Uses the clinic's own folders where it names some, and the profile's otherwise.
    #[must_use]
    pub fn with_document_folders(mut self, own: &DocumentRoutes) -> Self {
        let ways = self.profile.documents.clone();
        let inward = self.folder(own.inward.as_deref(), ways.import_folder.as_deref());
        let outward = self.folder(own.outward.as_deref(), ways.export_folder.as_deref());
        self.inbox = inward
            .map(|folder| Arc::new(FolderInbox::new(folder, ways.import_name)) as Arc<dyn DocumentInbox>);
        self.source = outward.map(|folder| FolderSource::new(folder, ways.export_path));
        self
    }

    /// A path that is not whole lies beside an SQLite file, and means nothing elsewhere.
    fn folder(&self, own: Option<&str>, of_profile: Option<&str>) -> Option<DocumentFolder> {
        if let Some(own) = own {
            return Some(DocumentFolder { path: PathBuf::from(own), ours: false });
        }
        let path = Path::new(of_profile?);
        if path.is_absolute() {
            return Some(DocumentFolder { path: path.to_owned(), ours: false });
        }
        let beside = self.database.file()?.parent()?;
        Some(DocumentFolder { path: beside.join(path), ours: true })
    }

    /// Adds a line to an appointment's note. The statement itself looks for the mark, so it may be run again.
    pub(super) async fn append_to_note(
        &self,
        appointment: &AppointmentRef,
        mark: &str,
        line: &str,
    ) -> Result<(), WriteError> {
        let write = self.profile.write.as_ref().filter(|_| self.write == WriteMode::Sql);
        let Some(statement) = write.and_then(|write| write.append_to_note.as_ref()) else {
            return Err(WriteError::Refused(Refusal::ReadOnly));
        };
        if appointment.as_str().contains(SERIES_SEPARATOR) {
            return Err(WriteError::Refused(Refusal::Series));
        }
        let work = async {
            let mut lease = self.lease(Mode::Write).await?;
            let known = self.find_out(&mut lease.session).await?;
            if !known.version_supported {
                self.database.give_back(lease);
                return Ok(Err(Refusal::ReadOnly));
            }
            let values = known.probes.clone().with("appointment", Value::Text(appointment.to_string()));
            let standing = run(&mut lease.session, &self.profile.query.appointment, &values).await?;
            if standing.rows.is_empty() {
                self.database.give_back(lease);
                return Ok(Err(Refusal::BookingUnknown));
            }
            let values = values
                .with("mark", Value::Text(one_line(mark)))
                .with("line", Value::Text(one_line(line)))
                .with("now", moment(self.clock.now(), self.zone));
            // No row changed means that the line stands there, or that the appointment repeats; both are final.
            change(&mut lease.session, statement, &values).await?;
            self.database.give_back(lease);
            Ok::<_, Failure>(Ok(()))
        };
        match tokio::time::timeout(NOTE_LIMIT, work).await {
            Ok(Ok(done)) => done.map_err(WriteError::Refused),
            Ok(Err(Failure::Sql { error: SqlError::RightMissing { .. }, .. })) => {
                Err(WriteError::Refused(Refusal::ReadOnly))
            }
            Ok(Err(failure)) => Err(WriteError::Unknown(ReadError::from(failure))),
            Err(_) => Err(WriteError::Unknown(ReadError::Unreachable(
                "the practice database took too long to write".into(),
            ))),
        }
    }
}
