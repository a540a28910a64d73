//! The commands about patients: finding them, their consents, links and pages, and the audit trail.

use super::{Failure, Form, no_such_practice, once, open_if_there, print, print_as};
use crate::audit::{self, ExportError};
use crate::compose::{DataFolder, Home};
use crate::devices;
use crate::found::Found;
use crate::hub_page;
use crate::joined;
use crate::links::LinkList;
use crate::patients::{self, vald};
use crate::present::people::typed;
use crate::view::{JoinChoice, JoinKind, UiError};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use connectors::partners;
use domain::consent::{Agreement, Consent, ConsentHow, ConsentLine, Said};
use domain::ids::{PartnerId, PatientRef, PracticeId};
use domain::ports::clock::Clock;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{Consents, Leg, Problem, SettingsBook};
use domain::private::ExposeSecret;
use domain::settings::PracticeSettings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;
use sync::flows::people::read_everybody;
use sync::health;

/// How many lines are recorded at once.
const AT_ONCE: usize = 1000;

/// Refuses a partner to whom this version links nobody.
fn linkable(name: &str) -> Result<PartnerId, Failure> {
    let id = PartnerId::new(name);
    if id == vald() || partners::linkable(name).is_some() {
        return Ok(id);
    }
    Err(Failure::new(format!(
        "This version does not link {} yet, so that no consent for it can be recorded.",
        id.title()
    )))
}

#[derive(Subcommand)]
pub enum PatientsTo {
    /// Finds patients by letters of a name, a birth date, a patient number or a phone number
    Find {
        /// What to look for
        text: String,
        /// Only in this practice
        #[arg(long, value_name = "ID")]
        practice: Option<String>,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Subcommand)]
pub enum ConsentTo {
    /// Records that a patient, or a guardian, agreed
    Give {
        #[command(flatten)]
        whose: Whose,
        /// The guardian who agreed, for a patient under 18
        #[arg(long, value_name = "NAME", conflicts_with = "all_existing")]
        guardian: Option<String>,
        /// Photos and videos are agreed to as well
        #[arg(long)]
        photo_video: bool,
        /// How it was said; with --all-existing always collected_before
        #[arg(long, value_enum, conflicts_with = "all_existing")]
        how: Option<How>,
        /// The version of the wording that was agreed to
        #[arg(long, value_name = "VERSION", default_value = "")]
        wording: String,
    },
    /// Records that a patient does not agree, or not any more
    Withdraw {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Args)]
pub struct Whose {
    /// The practice's id
    #[arg(long, value_name = "ID")]
    practice: String,
    /// The partner who gets the details
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(partners::of_patients()))]
    partner: String,
    /// The patient, by the practice system's key
    #[arg(long, value_name = "PMSID", required_unless_present = "all_existing")]
    patient: Option<String>,
    /// Every patient who is in the book now, for a practice that has asked them before
    #[arg(long, conflicts_with = "patient")]
    all_existing: bool,
    /// Who records it
    #[arg(long, value_name = "NAME")]
    by: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// Asked at the desk
    Desk,
    /// On a form
    Form,
    /// Collected before this program came
    #[value(name = "collected_before", alias = "collected-before")]
    CollectedBefore,
}

#[derive(Args)]
pub struct OpenWhat {
    /// The partner whose page it is
    #[arg(value_name = "PARTNER", value_parser = PossibleValuesParser::new(partners::of_patients()))]
    partner: String,
    /// The practice's id
    #[arg(long, value_name = "ID")]
    practice: String,
    /// The patient, by the practice system's key
    #[arg(long, value_name = "PMSID")]
    patient: String,
    /// Prints the address, and opens nothing
    #[arg(long)]
    print: bool,
}

#[derive(Args)]
pub struct Deciding {
    /// The partner whose record it is
    #[arg(value_name = "PARTNER")]
    partner: String,
    /// The practice's id
    #[arg(long, value_name = "ID")]
    practice: String,
    #[command(flatten)]
    what: Joined,
    #[command(flatten)]
    answer: SameOrNot,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// By the practice system's key.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Joined {
    /// The patient, by the practice system's key
    #[arg(long, value_name = "PMSID")]
    patient: Option<String>,
    /// The practitioner, by the practice system's key
    #[arg(long, value_name = "PMSID")]
    practitioner: Option<String>,
    /// The invoice, by the practice system's key
    #[arg(long, value_name = "PMSID")]
    invoice: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct SameOrNot {
    /// It is this record of the partner's, by the partner's id
    #[arg(long, value_name = "RECORD")]
    same: Option<String>,
    /// It is not this record; where it is linked, it is unlinked
    #[arg(long, value_name = "RECORD")]
    not_same: Option<String>,
}

#[derive(Args)]
pub struct CarryingOver {
    /// The partner at which a former program left its links
    #[arg(value_name = "PARTNER")]
    partner: String,
    /// The practice's id
    #[arg(long, value_name = "ID")]
    practice: String,
    /// Carries over what fits; without this, nothing is changed
    #[arg(long, requires = "by")]
    carry_over: bool,
    /// Who looked at it
    #[arg(long, value_name = "NAME", default_value = "")]
    by: String,
    #[command(flatten)]
    form: Form,
}

#[derive(Args)]
pub struct Connecting {
    /// The partner at which patients connect devices
    #[arg(value_name = "PARTNER")]
    partner: String,
    /// The practice's id
    #[arg(long, value_name = "ID")]
    practice: String,
    /// The patient, by the practice system's key
    #[arg(long, value_name = "PMSID")]
    patient: String,
    /// Makes a new address; the former one does not work any more
    #[arg(long)]
    anew: bool,
    #[command(flatten)]
    form: Form,
}

#[derive(Subcommand)]
pub enum AuditTo {
    /// Writes the whole audit trail as CSV
    ///
    /// The digests that hold its lines together are looked at first. Where they do not fit, that is said, the file is
    /// written all the same, and the exit status is 1.
    Export {
        /// The file to write
        file: PathBuf,
    },
}

impl From<UiError> for Failure {
    fn from(error: UiError) -> Self {
        Self::new(error.message)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem.sentence)
    }
}

/// The practices, or the one that is meant.
fn practices_of(store: &Store, practice: Option<&str>) -> Result<Vec<PracticeSettings>, Failure> {
    let mut known = once(store.practices())??;
    if let Some(practice) = practice {
        known.retain(|settings| settings.id.as_str() == practice);
        if known.is_empty() {
            return Err(no_such_practice(practice));
        }
    }
    Ok(known)
}

/// `patients find`: reads who is in the books, because no engine may be running.
pub fn find(
    folder: DataFolder,
    clock: &Arc<dyn Clock>,
    text: &str,
    practice: Option<&str>,
    form: Form,
) -> Result<(), Failure> {
    let home = open_if_there(folder, clock)?;
    let mut found = Found::default();
    match &home {
        None => match practice {
            Some(practice) => return Err(no_such_practice(practice)),
            None => print_as(form, &found, || found.text())?,
        },
        Some(home) => {
            let store = home.store();
            let practices = practices_of(&store, practice)?;
            once(async {
                for settings in &practices {
                    let book = home.connections().practice_system(settings).await?;
                    let people = read_everybody(book.as_ref()).await.map_err(unreadable)?;
                    found.search(&store, settings, &people, text, clock.now()).await?;
                }
                Ok::<(), Failure>(())
            })??;
            print_as(form, &found, || found.text())?;
        }
    }
    Ok(())
}

fn unreadable(error: domain::failure::ReadError) -> Failure {
    let sentence = health::problem(Leg::System, &error).sentence;
    Failure { sentence, cause: Some(sync::flows::error_chain(&error)) }
}

/// `consent give` and `consent withdraw`.
pub fn consent(folder: DataFolder, clock: &Arc<dyn Clock>, to: ConsentTo) -> Result<(), Failure> {
    let (whose, said, how, wording) = match to {
        ConsentTo::Give { whose, guardian, photo_video, how, wording } => {
            let guardian = guardian.as_deref().and_then(typed);
            let how = match how {
                _ if whose.all_existing => ConsentHow::CollectedBefore,
                None | Some(How::Desk) => ConsentHow::AtDesk,
                Some(How::Form) => ConsentHow::Form,
                Some(How::CollectedBefore) => ConsentHow::CollectedBefore,
            };
            (whose, Said::Yes(Agreement { guardian, photo_and_video: photo_video }), how, wording)
        }
        ConsentTo::Withdraw { whose } => (whose, Said::No, ConsentHow::AtDesk, String::new()),
    };
    let partner = linkable(&whose.partner)?;
    let recorded_by = patients::recorded_by_name(&whose.by)?;
    let wording = patients::checked_wording(&wording)?;
    let unknown = || no_such_practice(&whose.practice);
    let home = open_if_there(folder, clock)?.ok_or_else(unknown)?;
    let store = home.store();
    let practices = practices_of(&store, Some(&whose.practice))?;
    let settings = practices.first().ok_or_else(unknown)?;
    let line = |patient: PatientRef| ConsentLine {
        practice: settings.id.clone(),
        partner: partner.clone(),
        patient,
        said: said.clone(),
        how,
        recorded_by: recorded_by.clone(),
        wording: wording.clone(),
        at: clock.now(),
    };
    let done = match whose.patient.as_deref() {
        Some(patient) => {
            let patient = PatientRef::new(patient);
            once(one(&home, &store, settings, &patient, line(patient.clone())))??
        }
        None => once(everybody(&home, &store, settings, (&partner, &said), line))??,
    };
    Ok(print(&done)?)
}

async fn one(
    home: &Home,
    store: &Store,
    settings: &PracticeSettings,
    patient: &PatientRef,
    line: ConsentLine,
) -> Result<String, Failure> {
    let known = store.consent(&settings.id, &line.partner, patient).await?;
    // What is taken back is taken back, also of somebody whose record is gone.
    if line.said != Said::No || known.is_none() {
        let book = home.connections().practice_system(settings).await?;
        if book.patient(patient).await.map_err(unreadable)?.is_none() {
            return Err(Failure::new(format!(
                "{} has no patient with this key. The command patients find lists keys.",
                settings.name
            )));
        }
    }
    let what = if line.said == Said::No { "withdrawal" } else { "consent" };
    Ok(match store.record_consents(&[line]).await? {
        0 => format!("{what}: was recorded so already\n"),
        _ => format!("{what}: recorded\n"),
    })
}

/// Everybody who is in the book now. Who was asked already keeps the answer: somebody who said no does not come to have
/// said yes, and an answer with its guardian and its flags is worth more than this one.
async fn everybody(
    home: &Home,
    store: &Store,
    settings: &PracticeSettings,
    (partner, said): (&PartnerId, &Said),
    line: impl Fn(PatientRef) -> ConsentLine,
) -> Result<String, Failure> {
    let book: Arc<dyn PracticeSystem> = home.connections().practice_system(settings).await?;
    let people = read_everybody(book.as_ref()).await.map_err(unreadable)?;
    let known: BTreeMap<PatientRef, Consent> = store
        .consents(&settings.id, partner)
        .await?
        .into_iter()
        .map(|consent| (consent.line.patient.clone(), consent))
        .collect();
    let gives = *said != Said::No;
    let concerns = |patient: &PatientRef| match known.get(patient) {
        None => gives,
        Some(last) => !gives && last.line.said != Said::No,
    };
    let wanted: Vec<PatientRef> = people.patients().filter(concerns).collect();
    let mut recorded = 0;
    for some in wanted.chunks(AT_ONCE) {
        let lines: Vec<ConsentLine> = some.iter().cloned().map(&line).collect();
        recorded += store.record_consents(&lines).await?;
    }
    let of = people.len();
    if !gives {
        return Ok(format!(
            "withdrawal: recorded for {recorded} of {of} patients; the others had not agreed\n"
        ));
    }
    let refused = known.values().filter(|consent| consent.line.said == Said::No).count();
    Ok(format!(
        "consent: recorded for {recorded} of {of} patients as collected before; who was asked before keeps the answer, \
         which was no for {refused}\n"
    ))
}

/// `links`.
pub fn links(
    folder: DataFolder,
    clock: &Arc<dyn Clock>,
    practice: Option<&str>,
    partner: Option<&str>,
    form: Form,
) -> Result<(), Failure> {
    let home = open_if_there(folder, clock)?;
    let links = match &home {
        Some(home) => {
            let store = home.store();
            let practices = practices_of(&store, practice)?;
            let partner = partner.map(PartnerId::new);
            once(LinkList::read(&store, &practices, partner.as_ref()))??
        }
        None if practice.is_some() => return Err(no_such_practice(practice.unwrap_or_default())),
        None => LinkList::default(),
    };
    print_as(form, &links, || links.text())
}

/// `connect`: prints where a patient connects devices, once.
pub fn connect(folder: DataFolder, clock: &Arc<dyn Clock>, what: &Connecting) -> Result<(), Failure> {
    let home = open_if_there(folder, clock)?.ok_or_else(|| no_such_practice(&what.practice))?;
    let store = home.store();
    let practices = practices_of(&store, Some(&what.practice))?;
    let settings = practices.first().ok_or_else(|| no_such_practice(&what.practice))?;
    let patient = PatientRef::new(what.patient.as_str());
    let connections = home.connections();
    let connected =
        devices::connect(&connections, &store, settings, &what.partner, &patient, what.anew, clock.as_ref());
    let page = once(connected)??;
    let shown =
        MarketplaceAddress { partner: what.partner.clone(), address: page.0.expose_secret().to_owned() };
    print_as(what.form, &shown, || format!("{}\n", shown.address))
}

/// `connect --json`.
#[derive(serde::Serialize)]
struct MarketplaceAddress {
    partner: String,
    address: String,
}

/// `open`.
pub fn open(folder: DataFolder, clock: &Arc<dyn Clock>, what: &OpenWhat) -> Result<(), Failure> {
    let OpenWhat { partner, practice, patient, print: only_print } = what;
    let home = open_if_there(folder, clock)?.ok_or_else(|| no_such_practice(practice))?;
    let store = home.store();
    practices_of(&store, Some(practice))?;
    let (practice, patient) = (PracticeId::new(practice), PatientRef::new(patient));
    if PartnerId::new(partner) == vald() {
        if *only_print {
            let page = once(hub_page::find(&store, &practice, &patient))??;
            return Ok(print(&format!("{}\n", page.address))?);
        }
        return Ok(once(hub_page::show(&store, &practice, &patient, clock.as_ref()))??);
    }
    let connections = home.connections();
    let page = once(joined::page(&connections, &store, (&practice, &patient), partner, clock.now()))??;
    if *only_print {
        return Ok(print(&format!("{}\n", page.address))?);
    }
    Ok(once(joined::show(&store, page))??)
}

/// `decide`: what somebody says about a link. The engine takes it up, also one that is started later.
pub fn decide(folder: DataFolder, clock: &Arc<dyn Clock>, what: Deciding) -> Result<(), Failure> {
    let Deciding { partner, practice, what: Joined { patient, practitioner, invoice }, answer, by } = what;
    let home = open_if_there(folder, clock)?.ok_or_else(|| no_such_practice(&practice))?;
    let store = home.store();
    practices_of(&store, Some(&practice))?;
    let things =
        [(JoinKind::Patient, patient), (JoinKind::Practitioner, practitioner), (JoinKind::Invoice, invoice)];
    let named = things.into_iter().find_map(|(kind, key)| Some((kind, key?)));
    let (kind, local_id) = named.ok_or_else(|| Failure::new("Say whose link it is."))?;
    let same = answer.same.is_some();
    let record = answer.same.or(answer.not_same);
    let record_id = record.ok_or_else(|| Failure::new("Say which record of the partner's is meant."))?;
    let choice = JoinChoice { partner, kind, local_id, record_id, same };
    once(joined::decided(&store, &PracticeId::new(practice), choice, &by, clock.now()))??;
    Ok(print("decision: recorded\n")?)
}

/// `former`: what a former program left, and carrying it over.
pub fn former(folder: DataFolder, clock: &Arc<dyn Clock>, what: &CarryingOver) -> Result<(), Failure> {
    let home = open_if_there(folder, clock)?.ok_or_else(|| no_such_practice(&what.practice))?;
    let store = home.store();
    practices_of(&store, Some(&what.practice))?;
    let (connections, practice) = (home.connections(), PracticeId::new(what.practice.as_str()));
    let found = once(joined::former_names(&connections, &store, &practice, &what.partner))??;
    let carried = match what.carry_over {
        true => {
            let whose = (&practice, what.partner.as_str());
            Some(once(joined::carry(&connections, &store, whose, &what.by, clock.now()))??)
        }
        false => None,
    };
    let shown = FormerCounts {
        fitting: found.fitting,
        without_consent: found.without_consent,
        doubtful: found.doubtful,
        ambiguous: found.ambiguous,
        unknown: found.unknown,
        replaced: found.replaced,
        carried_over: carried,
    };
    print_as(what.form, &shown, || shown.text())
}

/// `former --json`.
#[derive(serde::Serialize)]
struct FormerCounts {
    fitting: u32,
    without_consent: u32,
    doubtful: u32,
    ambiguous: u32,
    unknown: u32,
    replaced: u32,
    carried_over: Option<u32>,
}

impl FormerCounts {
    /// For people; nobody is named.
    fn text(&self) -> String {
        let Self { fitting, without_consent, doubtful, ambiguous, unknown, replaced, carried_over } = self;
        let carried = match carried_over {
            Some(carried) => format!("carried over: {carried}, on their way\n"),
            None => String::new(),
        };
        format!(
            "can be carried over: {fitting}\nwait for consent: {without_consent}\nmay be somebody else: {doubtful}\nnamed \
             twice: {ambiguous}\nnot in the book: {unknown}\nlinked already: {replaced}\n{carried}"
        )
    }
}

/// `audit export`.
pub fn audit_export(folder: DataFolder, clock: &Arc<dyn Clock>, file: &Path) -> Result<ExitCode, Failure> {
    let home = open_if_there(folder, clock)?
        .ok_or_else(|| Failure::new("There are no records here yet, and so no audit trail."))?;
    let exported = once(audit::export(&home.store(), file))?.map_err(|error| match error {
        ExportError::Store(error) => error.into(),
        ExportError::File(error) => Failure::because(
            "The file cannot be written. Choose a folder that exists and that you may write in.",
            &error,
        ),
    })?;
    print(&format!("{}: {} lines\n", file.display(), exported.lines))?;
    match exported.complaint(file) {
        None => Ok(ExitCode::SUCCESS),
        Some(complaint) => Err(Failure::new(complaint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_those_of_the_list_and_no_others() {
        let names: Vec<&str> = partners::of_patients().collect();
        assert!(["vald", "validic", "hint"].iter().all(|name| names.contains(name)), "{names:?}");
        for name in names {
            assert_eq!(linkable(name).expect("one that is linked").as_str(), name);
        }
        assert!(linkable("nobody").is_err());
    }
}
