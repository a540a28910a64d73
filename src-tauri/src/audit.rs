//! The audit trail as a file for the practice manager.

use crate::desktop::Desk;
use crate::present::people::{AUDIT_COLUMNS, audit_cells};
use crate::ui_error::failure;
use crate::view::{ErrorCode, UiError};
use domain::ports::store::{AuditTrail, StoreError};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use store::Store;

/// How many lines are read at once.
const PAGE: u32 = 1000;
/// Why the trail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("the audit trail cannot be read")]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[from] io::Error),
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// How many lines.
    pub lines: u64,
    /// How many of them mean nothing to us.
    pub not_understood: u64,
    /// The first line that does not fit to the one before; none where all fit.
    pub broken_at: Option<i64>,
}

impl Exported {
    /// What to say of a trail that does not fit together, or has lines that cannot be read; none of any other.
    pub fn complaint(&self, file: &Path) -> Option<String> {
        let file = file.display();
        let lines = match self.not_understood {
            0 => None,
            1 => Some("One of its lines cannot be understood; it says so in its last column.".to_owned()),
            some => {
                Some(format!("{some} of its lines cannot be understood; each says so in its last column."))
            }
        };
        match (self.broken_at, lines) {
            (None, None) => None,
            (None, Some(lines)) => Some(format!("The audit trail was written to {file}. {lines}")),
            (Some(line), lines) => Some(format!(
                "The audit trail was written to {file}, but it does not fit together from line {line} on: a line was \
                 changed or taken out. {}Keep the file, and compare it with an earlier export or a backup.",
                lines.map(|lines| lines + " ").unwrap_or_default()
            )),
        }
    }
}

/// Writes the whole trail as CSV (RFC 4180), line by line as it stands, whether or not it fits together and means
/// something. The digests are looked at first.
pub async fn export(store: &Store, file: &Path) -> Result<Exported, ExportError> {
    let broken_at = store.audit_broken_at().await?;
    let mut out = BufWriter::new(create(file)?);
    write_row(&mut out, AUDIT_COLUMNS)?;
    let mut exported = Exported { lines: 0, not_understood: 0, broken_at };
    // Whoever changed the trail may have changed the numbers.
    let mut after = i64::MIN;
    loop {
        let page = store.audit_rows(after, PAGE).await?;
        for row in &page {
            write_row(&mut out, audit_cells(row))?;
            exported.lines += 1;
            exported.not_understood += u64::from(row.entry.is_none());
        }
        match page.last() {
            Some(last) => after = last.number,
            None => break,
        }
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(exported)
}

/// A file for its owner only: it says who was treated here.
fn create(file: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn write_row<const N: usize>(out: &mut impl Write, cells: [&str; N]) -> io::Result<()> {
    let row = cells.map(cell).join(",");
    write!(out, "{row}\r\n")
}

/// A cell in quotes where it needs them. What a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Writes the trail into the data folder, and answers where it lies.
pub async fn export_beside(desk: &Desk) -> Result<String, UiError> {
    let name = format!("clinic-companion-audit-{}.csv", desk.now().format("%Y-%m-%d-%H%M%S"));
    let file = desk.folder().path().join(name);
    let exported = export(&desk.running()?.store(), &file).await.map_err(|error| match error {
        ExportError::Store(error) => error.into(),
        ExportError::File(error) => failure(ErrorCode::FileFailed, error.to_string()),
    })?;
    match exported.complaint(&file) {
        None => Ok(file.display().to_string()),
        Some(complaint) => Err(failure(ErrorCode::FileFailed, complaint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::audit::{AuditEvent, AuditLine};
    use domain::ids::{PartnerId, PatientRef, PracticeId};
    use domain::private::Private;
    use store::StoreKey;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        assert_eq!(
            ["plain", "a, b", "say \"no\"", ""].map(cell),
            ["plain", "\"a, b\"", "\"say \"\"no\"\"\"", ""]
        );
        assert_eq!(["=1+1", "@x", "-"].map(cell), ["'=1+1", "'@x", "'-"]);
    }

    #[tokio::test]
    async fn every_line_is_written_and_a_whole_trail_is_not_complained_of() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = DateTime::from_timestamp(1_800_000_000, 0).expect("an instant");
        let store = Store::open(dir.path(), &StoreKey::new([7; 32]), at).expect("opens").store;
        let line = |what, by: Option<&str>| AuditLine {
            at,
            practice: PracticeId::new("richmond"),
            partner: PartnerId::new("vald"),
            patient: Some(PatientRef::new("77")),
            what,
            fields: vec!["givenName".into(), "familyName".into()],
            consent: Some(3),
            told_as: Some("richmond-77".into()),
            by: by.map(|by| Private::new(by.to_owned())),
        };
        let lines = [line(AuditEvent::Sent, None), line(AuditEvent::Opened, Some("O'Brien, Kim"))];
        store.audit(&lines).await.expect("keeps them");
        let file = dir.path().join("audit.csv");
        let exported = export(&store, &file).await.expect("exports");
        assert_eq!(exported, Exported { lines: 2, not_understood: 0, broken_at: None });
        assert_eq!(exported.complaint(&file), None);
        let written = std::fs::read_to_string(&file).expect("reads");
        let rows: Vec<&str> = written.split("\r\n").collect();
        assert_eq!(rows.len(), 4, "{written}");
        assert_eq!(
            rows[0],
            "number,at,practice,partner,patient,what,fields,consent,told_as,by,digest,remark"
        );
        let sent = "1,2027-01-15T08:00:00.000Z,richmond,vald,77,sent,givenName familyName,3,richmond-77,,";
        assert!(rows[1].starts_with(sent), "{}", rows[1]);
        // A digest of 64 digits, and nothing to remark.
        assert_eq!(rows[1].len(), sent.len() + 64 + 1);
        assert!(rows[2].contains(",opened,") && rows[2].contains("\"O'Brien, Kim\""), "{}", rows[2]);
        let broken = Exported { broken_at: Some(2), ..exported };
        assert!(broken.complaint(&file).expect("a complaint").contains("line 2"));
    }

    #[test]
    fn whatever_is_wrong_with_a_trail_is_complained_of() {
        let said = |not_understood, broken_at| {
            Exported { lines: 9, not_understood, broken_at }.complaint(Path::new("audit.csv"))
        };
        assert_eq!(said(0, None), None);
        assert!(said(1, None).expect("a complaint").contains("One of its lines"));
        let both = said(2, Some(7)).expect("a complaint");
        assert!(both.contains("from line 7 on") && both.contains("2 of its lines"), "{both}");
    }
}
