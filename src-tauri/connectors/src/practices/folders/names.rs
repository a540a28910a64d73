//! How files and folders are called: patterns with placeholders, and names that every system takes.

use domain::documents::{DocumentOrder, PracticeDocumentKind};
use domain::ids::{AppointmentRef, ForeignBookingId, PatientRef};
use sanitize_filename::{Options, sanitize_with_options};

/// No part of a name is longer, in characters, so that whole paths stay under the 260 that older programs take.
const LONGEST_PART: usize = 60;
/// No name is longer, in bytes, without its ending; some file systems take 143.
const LONGEST_NAME: usize = 120;
/// Stands for what nothing is left of.
const NOTHING_LEFT: &str = "document";

/// A mistake in a pattern, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternMistake(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Patient,
    Appointment,
    Booking,
    Kind,
    Date,
    Name,
    Document,
    Extension,
}

const PLACEHOLDERS: &[(&str, Placeholder)] = &[
    ("patient_id", Placeholder::Patient),
    ("appointment_id", Placeholder::Appointment),
    ("booking_id", Placeholder::Booking),
    ("document_type", Placeholder::Kind),
    ("date", Placeholder::Date),
    ("name", Placeholder::Name),
    ("document_id", Placeholder::Document),
    ("ext", Placeholder::Extension),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

/// Reads `{patient_id}_{name}.{ext}`, of which only `allowed` placeholders may stand there.
fn pieces(text: &str, allowed: &[Placeholder]) -> Result<Vec<Piece>, PatternMistake> {
    let known = |name: &str| PLACEHOLDERS.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once('{') {
        let (name, after) = behind
            .split_once('}')
            .ok_or_else(|| PatternMistake("a `{` without its `}`: write `{name}`".to_owned()))?;
        let placeholder = known(name).filter(|what| allowed.contains(what)).ok_or_else(|| {
            let names = PLACEHOLDERS.iter().filter(|(_, what)| allowed.contains(what));
            let names: Vec<String> = names.map(|(name, _)| format!("{{{name}}}")).collect();
            PatternMistake(format!("`{{{name}}}` is not known here: use {}", names.join(", ")))
        })?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(Piece::Value(placeholder));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    let unsafe_literal = |piece: &Piece| match piece {
        Piece::Literal(text) => cleaned(text) != *text && !text.chars().all(|c| c == '.' || c == ' '),
        Piece::Value(_) => false,
    };
    if pieces.iter().any(unsafe_literal) {
        return Err(PatternMistake("it holds a character that no file's name may have".to_owned()));
    }
    Ok(pieces)
}

/// Without what separates paths, what no file's name may have, and what turns the direction of writing, so that no
/// name shows another ending than it has.
fn cleaned(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let plain: String = text.chars().filter(|c| !turns(*c)).collect();
    sanitize_with_options(plain, Options { windows: false, truncate: false, replacement: "_" })
}

fn part(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let short: String = cleaned(&words.join(" ")).chars().take(LONGEST_PART).collect();
    short.trim_matches(|c| c == '.' || c == ' ').to_owned()
}

/// How a file is called that the practice system picks up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<Piece>);

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternMistake> {
        let all: Vec<Placeholder> = PLACEHOLDERS.iter().map(|(_, what)| *what).collect();
        let text = text
            .strip_suffix(".{ext}")
            .ok_or_else(|| PatternMistake("the name of a file ends with `.{ext}`".to_owned()))?;
        let pieces = pieces(text, &all)?;
        if !pieces.contains(&Piece::Value(Placeholder::Patient)) {
            return Err(PatternMistake(
                "the practice system must be told whose it is: use `{patient_id}`".into(),
            ));
        }
        Ok(Self(pieces))
    }

    /// The name of this document's file. The `number`-th try says so, from the second on.
    pub fn name(&self, order: &DocumentOrder, number: u32) -> String {
        let id = |text: Option<&str>| part(text.unwrap_or_default());
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Value(what) => name.push_str(&match what {
                    Placeholder::Patient => id(Some(order.patient.as_str())),
                    Placeholder::Appointment => id(order.appointment.as_ref().map(AppointmentRef::as_str)),
                    Placeholder::Booking => id(order.booking.as_ref().map(ForeignBookingId::as_str)),
                    Placeholder::Document => id(Some(order.key.document.as_str())),
                    Placeholder::Kind => part(order.kind.reveal()),
                    Placeholder::Date => order.day.to_string(),
                    Placeholder::Name => part(without_extension(order.name.reveal(), order.extension)),
                    Placeholder::Extension => order.extension.to_owned(),
                }),
            }
        }
        let mut end = name.len().min(LONGEST_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        // A file that begins with a dot is not seen by those who should pick it up.
        let name = name.trim_matches(|c| c == '.' || c == ' ');
        let again = if number > 1 { format!(" ({number})") } else { String::new() };
        let whole =
            format!("{}{again}.{}", if name.is_empty() { NOTHING_LEFT } else { name }, order.extension);
        let safe = sanitize_with_options(&whole, Options { windows: true, truncate: true, replacement: "_" });
        // A name that Windows keeps for a device is replaced as a whole.
        if safe.ends_with(order.extension) && safe.len() > order.extension.len() + 1 {
            safe
        } else {
            format!("{NOTHING_LEFT}{again}.{}", order.extension)
        }
    }
}

/// A name that was given with an ending keeps only ours.
fn without_extension<'a>(name: &'a str, extension: &str) -> &'a str {
    let name = name.trim();
    match name.rsplit_once('.') {
        Some((stem, ending)) if ending.eq_ignore_ascii_case(extension) => stem,
        Some(_) | None => name,
    }
}

/// Where documents for patients lie below their folder: one pattern for each folder on the way, and one for the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Vec<Vec<Piece>>);

/// What a name on the way told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// What the document is.
    pub kind: Option<PracticeDocumentKind>,
}

impl PathPattern {
    /// Reads `{appointment_id}/{document_type}/{name}`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternMistake> {
        let allowed = [Placeholder::Patient, Placeholder::Appointment, Placeholder::Kind, Placeholder::Name];
        let steps: Vec<Vec<Piece>> =
            text.split('/').map(|step| pieces(step, &allowed)).collect::<Result<_, _>>()?;
        let has = |what| steps.iter().flatten().any(|piece| *piece == Piece::Value(what));
        let leads_elsewhere = |step: &Vec<Piece>| match step.as_slice() {
            [] => true,
            [Piece::Literal(dots)] => dots.chars().all(|c| c == '.'),
            [..] => false,
        };
        // Of `{patient_id}{name}`, the file `12 scan.pdf` of patient 1 and of patient 12 could not be told apart.
        let is_id =
            |piece: &Piece| matches!(piece, Piece::Value(Placeholder::Patient | Placeholder::Appointment));
        let touches =
            |pair: &[Piece]| matches!(pair, [Piece::Value(_), Piece::Value(_)]) && pair.iter().any(is_id);
        if steps.iter().any(|step| step.windows(2).any(touches)) {
            return Err(PatternMistake(
                "an id runs into what stands beside it: set them apart, as in `{patient_id}_{name}`"
                    .to_owned(),
            ));
        }
        if steps.iter().any(leads_elsewhere) {
            return Err(PatternMistake(
                "a folder on the way has no name: write `a/b`, not `/a//b`".to_owned(),
            ));
        }
        if !has(Placeholder::Patient) && !has(Placeholder::Appointment) {
            let message = "it does not say whose a document is: use `{appointment_id}` or `{patient_id}`";
            return Err(PatternMistake(message.to_owned()));
        }
        if !has(Placeholder::Kind) {
            return Err(PatternMistake(
                "it does not say what a document is: use `{document_type}`".to_owned(),
            ));
        }
        let name_last = steps.last().is_some_and(|last| last.contains(&Piece::Value(Placeholder::Name)));
        if !name_last {
            return Err(PatternMistake("it ends with the name of the file: use `{name}`".to_owned()));
        }
        Ok(Self(steps))
    }

    /// How many folders and files stand on the way.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// Whether a name may stand at this step, counted from 0, and what it tells. Names stand for ids as ids stand in
    /// names, so that a path that an id would climb cannot be one.
    pub fn matches(
        &self,
        step: usize,
        found: &str,
        appointment: &AppointmentRef,
        patient: &PatientRef,
    ) -> Option<Told> {
        let mut told = Told::default();
        matched(self.0.get(step)?, found, &part(appointment.as_str()), &part(patient.as_str()), &mut told)
            .then_some(told)
    }
}

/// Whether `found` is what the pieces say. A name ends where the next literal begins, or with the text.
fn matched(pieces: &[Piece], found: &str, appointment: &str, patient: &str, told: &mut Told) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return found.is_empty() };
    let go_on = |length: usize, told: &mut Told| {
        found.get(length..).is_some_and(|left| matched(rest, left, appointment, patient, told))
    };
    match first {
        Piece::Literal(text) => found.starts_with(text.as_str()) && go_on(text.len(), told),
        Piece::Value(Placeholder::Appointment) => {
            !appointment.is_empty() && found.starts_with(appointment) && go_on(appointment.len(), told)
        }
        Piece::Value(Placeholder::Patient) => {
            !patient.is_empty() && found.starts_with(patient) && go_on(patient.len(), told)
        }
        Piece::Value(Placeholder::Kind) => {
            let lower = found.to_lowercase();
            KINDS.iter().any(|(word, kind)| {
                let fits = lower.starts_with(word) && go_on(word.len(), told);
                if fits {
                    told.kind = Some(*kind);
                }
                fits
            })
        }
        // The longest first, so that a name may hold what separates it from the rest.
        Piece::Value(_) => {
            let ends = found.char_indices().map(|(at, letter)| at + letter.len_utf8());
            let ends: Vec<usize> = ends.collect();
            ends.into_iter().rev().any(|end| go_on(end, told))
        }
    }
}

/// The longer word first, because the shorter one begins it.
const KINDS: &[(&str, PracticeDocumentKind)] = &[
    ("scripts", PracticeDocumentKind::Scripts),
    ("script", PracticeDocumentKind::Scripts),
    ("referrals", PracticeDocumentKind::Referral),
    ("referral", PracticeDocumentKind::Referral),
];
