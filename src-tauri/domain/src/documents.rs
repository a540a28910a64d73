//! Documents: those that patients fill in for the practice to file, and those that the practice has for its patients.
//!
//! A document is filed exactly once. `Received` means that the practice holds nothing of it; `Filing` is recorded when
//! its content lies ready and before the practice can see it, and the next step from there is to look whether it was
//! put into place; `Kept` is recorded together with the content itself, and so is `Filing` where nothing but our own
//! records can hold the content ready.

use crate::ids::{
    AppointmentRef, DocumentRef, ForeignBookingId, ForeignDocumentId, PartnerId, PatientRef, PracticeId,
};
use crate::private::Private;
use chrono::{DateTime, Utc};

/// No document may be larger: about the largest that e-mail carries, and as much as an old PC holds in memory without
/// being noticed.
pub const LARGEST_BYTES: u64 = 25 * 1024 * 1024;

/// Names a document that waits to be filed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentKey {
    /// The practice that it is for.
    pub practice: PracticeId,
    /// The partner that passes it on.
    pub partner: PartnerId,
    /// As the partner calls it.
    pub document: ForeignDocumentId,
}

impl DocumentKey {
    /// The text by which a line about the document is found again: `[healthengine-document:91]`.
    pub fn mark(&self) -> String {
        format!("[{}-document:{}]", self.partner, self.document)
    }
}

/// A document as the partner announces it, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentOffer {
    /// Its name.
    pub key: DocumentKey,
    /// The booking that it belongs to, where it belongs to one.
    pub booking: Option<ForeignBookingId>,
    /// Whose it is, where the partner knows.
    pub patient: Option<PatientRef>,
    /// The appointment that it belongs to, where the partner knows.
    pub appointment: Option<AppointmentRef>,
    /// `NEW PATIENT FORM`, `REFERRAL`; an open list.
    pub kind: Private<String>,
    /// As the patient or the partner named it.
    pub name: Private<String>,
    /// MIME type in small letters, without parameters.
    pub format: String,
    /// In bytes.
    pub size: Option<u64>,
    /// SHA-1 of the content, in hexadecimal digits.
    pub sha1: Option<String>,
    /// When it was made.
    pub made_at: Option<DateTime<Utc>>,
}

impl DocumentOffer {
    /// What can be said against the document without looking at its content.
    pub fn refusal_on_sight(&self) -> Option<DocumentRefusal> {
        match self.size {
            None => return Some(DocumentRefusal::Unverifiable),
            Some(0) => return Some(DocumentRefusal::Empty),
            Some(size) if size > LARGEST_BYTES => return Some(DocumentRefusal::TooLarge),
            Some(_) => {}
        }
        if self.sha1.is_none() {
            return Some(DocumentRefusal::Unverifiable);
        }
        extension_of(&self.format).is_none().then_some(DocumentRefusal::FormatNotTaken)
    }
}

/// The formats that practices exchange, and the ending that each has as a file. Nothing that a computer would run.
const FORMATS: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/tiff", "tif"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/webp", "webp"),
    ("image/bmp", "bmp"),
    ("text/plain", "txt"),
    ("text/csv", "csv"),
    ("text/rtf", "rtf"),
    ("application/rtf", "rtf"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/dicom", "dcm"),
    ("application/hl7-v2", "hl7"),
    // Other names and endings of the same.
    ("image/jpg", "jpeg"),
    ("image/tif", "tiff"),
];

/// The ending of a file of this MIME type; none for what is not taken.
pub fn extension_of(format: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(known, _)| *known == format).map(|(_, extension)| *extension)
}

/// The MIME type of a file with this ending; none for what is not given out.
pub fn format_of(extension: &str) -> Option<&'static str> {
    let wanted = extension.to_ascii_lowercase();
    FORMATS.iter().find(|(_, known)| *known == wanted).map(|(format, _)| match *format {
        "image/jpg" => "image/jpeg",
        "image/tif" => "image/tiff",
        format => format,
    })
}

/// How far a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentState {
    /// We know of it. The practice holds nothing.
    Received,
    /// Its content lies ready for the practice system, which may have it. The text says where; it may be personal.
    Filing(Private<String>),
    /// It lies in our own records. The note of its appointment does not say so yet.
    Kept,
    /// The practice has it. The partner does not know yet.
    Filed(Option<DocumentRef>),
    /// The practice does not get it. The partner does not know yet.
    Refused(DocumentRefusal),
    /// The practice has it, and the partner knows. Final.
    Told(Option<DocumentRef>),
    /// The practice does not get it, and the partner knows. Final.
    Rejected(DocumentRefusal),
    /// The partner took it back before it was filed. Final.
    Dropped,
}

impl DocumentState {
    /// Whether nothing is left to do.
    pub fn is_final(&self) -> bool {
        match self {
            DocumentState::Told(_) | DocumentState::Rejected(_) | DocumentState::Dropped => true,
            DocumentState::Received
            | DocumentState::Filing(_)
            | DocumentState::Kept
            | DocumentState::Filed(_)
            | DocumentState::Refused(_) => false,
        }
    }

    /// Whether `next` may follow.
    pub fn may_become(&self, next: &DocumentState) -> bool {
        use DocumentState as S;
        match (self, next) {
            (S::Received, S::Filing(_) | S::Kept | S::Refused(_) | S::Dropped) => true,
            // Another name, where somebody else took the first; or the folder is not in use any more; or the practice
            // system turned it away, so that it has nothing of it.
            (S::Filing(_), S::Filing(_) | S::Filed(_) | S::Received | S::Kept) => true,
            (S::Kept, S::Filed(_)) => true,
            (S::Filed(known), S::Told(told)) => known == told,
            (S::Refused(why), S::Rejected(said)) => why == said,
            (
                S::Received
                | S::Filing(_)
                | S::Kept
                | S::Filed(_)
                | S::Refused(_)
                | S::Told(_)
                | S::Rejected(_)
                | S::Dropped,
                _,
            ) => false,
        }
    }

    /// Whether content that our records hold goes with this step: the practice has it from now on, or nobody takes it.
    pub fn lets_content_go(&self, next: &Self) -> bool {
        use DocumentState as S;
        matches!((self, next), (S::Filing(_), S::Filed(_)) | (_, S::Refused(_) | S::Dropped))
    }
}

/// Why a document is not passed on, in words that name nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentRefusal {
    /// Damaged on its way, or another document.
    #[error("its content does not have the hash that was announced")]
    WrongHash,
    /// Cut off, or another document.
    #[error("its content does not have the size that was announced")]
    WrongSize,
    /// Zero bytes.
    #[error("it is empty")]
    Empty,
    /// More than [`LARGEST_BYTES`].
    #[error("it is larger than 25 MB")]
    TooLarge,
    /// No base64, or no content at all.
    #[error("its content cannot be read")]
    Unreadable,
    /// No size or no hash, so that nobody can tell whether it came whole.
    #[error("its size or hash was not announced")]
    Unverifiable,
    /// Something that practices do not exchange, a program above all.
    #[error("it is of a format that practices do not exchange")]
    FormatNotTaken,
    /// We know nothing of its booking (HE-26).
    #[error("its booking is not known here")]
    BookingUnknown,
    /// Its booking never came to stand.
    #[error("its booking fell through")]
    BookingFellThrough,
    /// It names another patient than the booking has.
    #[error("it names another patient than its booking has")]
    OtherPatient,
    /// Nobody can say whose it is.
    #[error("it names no patient")]
    NoPatient,
    /// There is no folder for it, and no booking from which it could be opened.
    #[error("it belongs to no booking, and the practice has no folder for documents")]
    NowhereToFile,
    /// The practice has no such document for the booking.
    #[error("the practice has no such document for this booking")]
    NotThere,
}

impl DocumentRefusal {
    /// All of them.
    pub const ALL: [DocumentRefusal; 13] = [
        DocumentRefusal::WrongHash,
        DocumentRefusal::WrongSize,
        DocumentRefusal::Empty,
        DocumentRefusal::TooLarge,
        DocumentRefusal::Unreadable,
        DocumentRefusal::Unverifiable,
        DocumentRefusal::FormatNotTaken,
        DocumentRefusal::BookingUnknown,
        DocumentRefusal::BookingFellThrough,
        DocumentRefusal::OtherPatient,
        DocumentRefusal::NoPatient,
        DocumentRefusal::NowhereToFile,
        DocumentRefusal::NotThere,
    ];

    /// The name in the store.
    pub fn name(self) -> &'static str {
        match self {
            DocumentRefusal::WrongHash => "wrong_hash",
            DocumentRefusal::WrongSize => "wrong_size",
            DocumentRefusal::Empty => "empty",
            DocumentRefusal::TooLarge => "too_large",
            DocumentRefusal::Unreadable => "unreadable",
            DocumentRefusal::Unverifiable => "unverifiable",
            DocumentRefusal::FormatNotTaken => "format_not_taken",
            DocumentRefusal::BookingUnknown => "booking_unknown",
            DocumentRefusal::BookingFellThrough => "booking_fell_through",
            DocumentRefusal::OtherPatient => "other_patient",
            DocumentRefusal::NoPatient => "no_patient",
            DocumentRefusal::NowhereToFile => "nowhere_to_file",
            DocumentRefusal::NotThere => "not_there",
        }
    }
}

/// One document in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentEntry {
    /// What was announced; the booking may have been found by us.
    pub offer: DocumentOffer,
    /// How far it is.
    pub state: DocumentState,
    /// Whether our own records hold its content.
    pub kept: bool,
    /// When we first saw it.
    pub received_at: DateTime<Utc>,
    /// When to look at it next.
    pub not_before: DateTime<Utc>,
}

/// What the practice system is to take in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentOrder {
    /// Its name, by which one that is there already is known again.
    pub key: DocumentKey,
    /// Whose it is.
    pub patient: PatientRef,
    /// The appointment that it belongs to.
    pub appointment: Option<AppointmentRef>,
    /// The booking that it belongs to.
    pub booking: Option<ForeignBookingId>,
    /// `NEW PATIENT FORM`, `REFERRAL`.
    pub kind: Private<String>,
    /// As it was named.
    pub name: Private<String>,
    /// The ending of its file, `pdf`.
    pub extension: &'static str,
    /// When it was made, on the practice's calendar.
    pub day: chrono::NaiveDate,
}

/// What a document that the practice has for a patient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PracticeDocumentKind {
    /// Prescriptions.
    Scripts,
    /// A referral.
    Referral,
}

/// A document that the practice has for a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PracticeDocument {
    /// As the practice system calls it; unique.
    pub id: DocumentRef,
    /// What it is.
    pub kind: PracticeDocumentKind,
    /// What people call it.
    pub name: Private<String>,
    /// MIME type.
    pub format: &'static str,
    /// In bytes.
    pub size: u64,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(format: &str, size: Option<u64>, sha1: Option<&str>) -> DocumentOffer {
        DocumentOffer {
            key: DocumentKey {
                practice: PracticeId::new("richmond"),
                partner: PartnerId::new("healthengine"),
                document: ForeignDocumentId::new("91"),
            },
            booking: None,
            patient: None,
            appointment: None,
            kind: Private::default(),
            name: Private::default(),
            format: format.into(),
            size,
            sha1: sha1.map(str::to_owned),
            made_at: None,
        }
    }

    #[test]
    fn what_cannot_be_filed_is_told_by_what_was_announced() {
        let refusal = |format, size, sha1| offer(format, size, sha1).refusal_on_sight();
        assert_eq!(refusal("application/pdf", Some(1), Some("ab")), None);
        assert_eq!(refusal("application/pdf", Some(LARGEST_BYTES), Some("ab")), None);
        assert_eq!(refusal("application/pdf", Some(0), Some("ab")), Some(DocumentRefusal::Empty));
        let too_large = Some(LARGEST_BYTES + 1);
        assert_eq!(refusal("application/pdf", too_large, Some("ab")), Some(DocumentRefusal::TooLarge));
        assert_eq!(refusal("application/pdf", None, Some("ab")), Some(DocumentRefusal::Unverifiable));
        assert_eq!(refusal("application/pdf", Some(1), None), Some(DocumentRefusal::Unverifiable));
        for program in ["application/x-msdownload", "text/html", "application/octet-stream", ""] {
            assert_eq!(refusal(program, Some(1), Some("ab")), Some(DocumentRefusal::FormatNotTaken));
        }
    }

    #[test]
    fn formats_and_endings_lead_to_each_other() {
        for (format, extension) in FORMATS {
            assert_eq!(extension_of(format), Some(*extension));
            assert!(format_of(extension).is_some_and(|format| extension_of(format).is_some()), "{extension}");
        }
        assert_eq!(format_of("PDF"), Some("application/pdf"));
        assert_eq!(format_of("jpeg"), Some("image/jpeg"));
        assert_eq!(format_of("exe"), None);
    }

    #[test]
    fn nothing_follows_on_an_end_and_nothing_is_filed_twice() {
        use DocumentState as S;
        let all = [
            S::Received,
            S::Filing(Private::default()),
            S::Kept,
            S::Filed(None),
            S::Refused(DocumentRefusal::Empty),
            S::Told(None),
            S::Rejected(DocumentRefusal::Empty),
            S::Dropped,
        ];
        for from in &all {
            let follow = all.iter().filter(|to| from.may_become(to)).count();
            assert_eq!(follow == 0, from.is_final(), "{from:?}");
            // What the practice may hold is never refused or dropped, and what it holds is never kept beside.
            if !matches!(from, S::Received) {
                assert!(!from.may_become(&S::Dropped));
                assert_eq!(from.may_become(&S::Kept), matches!(from, S::Filing(_)));
                assert!(!from.may_become(&S::Refused(DocumentRefusal::Empty)));
            }
        }
    }
}
