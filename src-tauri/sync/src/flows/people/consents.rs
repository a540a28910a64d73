//! Takes in the consents that a practice holds in its own system.
//!
//! They are read whole, page by page, and only when the system says that something may have changed; nothing is recorded
//! before all of them were read. What follows from an answer is decided in [`domain::consent::in_practice`].

use crate::digest::Digest;
use crate::flows::doubt::{NAMED, accepted_mark};
use crate::flows::{Ports, Stop, error_chain};
use crate::state::Shrinking;
use chrono::{DateTime, TimeDelta, Utc};
use domain::consent::in_practice::{
    Answer, Answered, KeptAnswer, Mapping, RECORDED_BY, doubtful, strange_codes, to_record,
};
use domain::consent::{Consent, ConsentHow, ConsentLine};
use domain::failure::ReadError;
use domain::ids::{PartnerId, PatientRef};
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{ActivityLine, DecidedAnswer, Leg, Mark, StoreError};
use domain::private::Private;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The patients who agreed in the practice system, as a list that can shrink.
pub const CONSENTS: &str = "consents";
/// The marks of mappings that were read to the end once, each with the mapping's digest.
const READ: &str = "consents_held/read/";
/// The marks of troubles that somebody was told of.
const TOLD: &str = "consents_held/told/";
/// How many answers are recorded at once, so that others who want the store wait for a moment only.
const AT_ONCE: usize = 500;
/// A trouble that lasts is told again after this, when the line about it is not shown any more.
const TOLD_AGAIN_AFTER: TimeDelta = TimeDelta::days(7);
/// So many strange values are named; more tell nobody more.
const MOST_VALUES: usize = 3;

/// What was read last, by partner. Harmless to lose.
#[derive(Default)]
pub(super) struct HeldConsents(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    readings: BTreeMap<PartnerId, Reading>,
    /// What is shown to wait for somebody; none before anything was shown.
    shown: Option<Option<Shrinking>>,
}

struct Reading {
    /// From before it was read; none where the system could not tell, or nothing could be read.
    stamp: Option<String>,
    at: DateTime<Utc>,
    /// The answers that went in such a crowd that somebody has to say whether it is right.
    doubt: Option<Shrinking>,
}

/// What the answers amount to.
#[derive(Default)]
struct Outcome {
    decided: Vec<DecidedAnswer>,
    /// What follows where an answer is gone, or none any more.
    ended: Vec<DecidedAnswer>,
    /// How many had agreed there.
    agreed: usize,
    /// What somebody has to be told, and what makes it another trouble than the last one.
    troubles: Vec<(String, String)>,
}

/// What came of recording it.
struct Recorded {
    /// How many lines were recorded.
    lines: u64,
    /// Whether nothing was left because somebody recorded something, or linked another practice system, in that moment.
    whole: bool,
    /// What waits for somebody.
    doubt: Option<Shrinking>,
}

/// The mappings of partners that the practice is linked with.
pub(super) fn mapped(ports: &Ports) -> Vec<Mapping> {
    let linked: BTreeSet<&PartnerId> = ports.partners.iter().map(|partner| partner.id()).collect();
    let mut held = ports.practice.consents_held();
    held.retain(|mapping| linked.contains(&mapping.partner));
    held
}

impl HeldConsents {
    /// Records what changed. Returns whether anything was recorded. What cannot be read for a reason that waiting does not
    /// mend is told to somebody, and holds up nothing else.
    pub(super) async fn take_in(&self, ports: &Ports, believed_for: TimeDelta) -> Result<bool, Stop> {
        let mut anything = false;
        for mapping in mapped(ports) {
            let partner = &mapping.partner;
            let now = ports.clock.now();
            let stamp = match ports.practice.consents_stamp(partner).await {
                Ok(stamp) => stamp,
                Err(error) => {
                    self.failed(ports, partner, error).await?;
                    continue;
                }
            };
            let known = self.is_known(partner, stamp.as_ref(), now, believed_for);
            if known && !self.is_decided(ports, partner).await? {
                continue;
            }
            let answers = match read_all(ports.practice.as_ref(), partner).await {
                Ok(answers) => answers,
                Err(error) => {
                    self.failed(ports, partner, error).await?;
                    continue;
                }
            };
            let recorded = record(ports, &mapping, &answers).await?;
            anything |= recorded.lines > 0;
            // What was overtaken is decided anew the next time.
            if recorded.whole {
                self.remember(partner, Reading { stamp, at: now, doubt: recorded.doubt });
            }
        }
        self.show(ports).await?;
        Ok(anything)
    }

    /// Whether somebody said that it is right what is in doubt.
    async fn is_decided(&self, ports: &Ports, partner: &PartnerId) -> Result<bool, StoreError> {
        match self.doubt(partner) {
            Some(doubt) => ports.is_accepted(doubt.list, &doubt.digest).await,
            None => Ok(false),
        }
    }

    fn doubt(&self, partner: &PartnerId) -> Option<Shrinking> {
        self.memory(|memory| memory.readings.get(partner)?.doubt.clone())
    }

    /// Shows what is in doubt: the first partner's, and the next one's when that is decided.
    pub(super) async fn show(&self, ports: &Ports) -> Result<(), StoreError> {
        let doubt = mapped(ports).iter().find_map(|mapping| self.doubt(&mapping.partner));
        if self.memory(|memory| memory.shown.as_ref() == Some(&doubt)) {
            return Ok(());
        }
        ports.show_doubt(CONSENTS, doubt.clone()).await?;
        self.memory(|memory| memory.shown = Some(doubt));
        Ok(())
    }

    fn memory<T>(&self, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_known(
        &self,
        partner: &PartnerId,
        stamp: Option<&String>,
        now: DateTime<Utc>,
        believed_for: TimeDelta,
    ) -> bool {
        let is_known = |before: &Reading| match (stamp, &before.stamp) {
            (Some(stamp), Some(known)) => stamp == known,
            _ => (TimeDelta::zero()..believed_for).contains(&(now - before.at)),
        };
        self.memory(|memory| memory.readings.get(partner).is_some_and(is_known))
    }

    fn remember(&self, partner: &PartnerId, reading: Reading) {
        self.memory(|memory| drop(memory.readings.insert(partner.clone(), reading)));
    }

    async fn failed(&self, ports: &Ports, partner: &PartnerId, error: ReadError) -> Result<(), Stop> {
        match error {
            ReadError::Misfit(_)
            | ReadError::OwnProfile(_)
            | ReadError::Garbled(_)
            | ReadError::Invalid(_)
            | ReadError::NotFound => {
                let chain = error_chain(&error);
                tracing::warn!(practice.id = %ports.id(), partner.id = %partner, cause = chain, "Consents cannot be read from the practice system.");
                let sentence = format!(
                    "Consents for {partner} cannot be read from the practice system: {chain}. Nothing was recorded or \
                     withdrawn because of that. Mend `[consent.{partner}]` in the practice's profile."
                );
                tell(ports, partner, &[(sentence.clone(), sentence)]).await?;
                // A look every few seconds would not mend it, and a mended profile starts anew.
                let (at, doubt) = (ports.clock.now(), self.doubt(partner));
                self.remember(partner, Reading { stamp: None, at, doubt });
                Ok(())
            }
            error @ (ReadError::Unreachable(_)
            | ReadError::SlowDown { .. }
            | ReadError::NotAuthorised
            | ReadError::SignInNeeded
            | ReadError::NoConsent) => Err(Stop::Failed(Leg::System, error)),
        }
    }
}

/// Every answer, or an error; never a part.
async fn read_all(
    practice: &dyn PracticeSystem,
    partner: &PartnerId,
) -> Result<BTreeMap<PatientRef, Answer>, ReadError> {
    let mut all = BTreeMap::new();
    let mut after: Option<PatientRef> = None;
    loop {
        let page = practice.consents(partner, after.as_ref(), super::PAGE).await?;
        let last = page.len() < usize::try_from(super::PAGE).unwrap_or(usize::MAX);
        after = page.last().map(|answer| answer.patient.clone());
        for answer in page {
            if all.insert(answer.patient.clone(), answer).is_some() {
                return Err(ReadError::Misfit(format!(
                    "`consent.{partner}` answers more than once for one patient: let it give the latest answer only, in \
                     the order of `patient`"
                )));
            }
        }
        if last {
            return Ok(all);
        }
    }
}

/// Records what follows from answers that changed.
async fn record(
    ports: &Ports,
    mapping: &Mapping,
    answers: &BTreeMap<PatientRef, Answer>,
) -> Result<Recorded, Stop> {
    let (store, id, partner) = (&ports.store, ports.id(), &mapping.partner);
    let now = ports.clock.now();
    let read_mark = format!("{READ}{partner}");
    let read_before = store.marks(id, &read_mark).await?;
    let first = !read_before.iter().any(|mark| mark.thing == read_mark && mark.digest == mapping.digest);
    let kept = store.kept_answers(id, partner).await?;
    let last = store.consents(id, partner).await?;
    let mut outcome = decide(ports, partner, answers, &kept, &last, first);
    let mut doubt = in_doubt(partner, &outcome, now);
    let accepted = match &doubt {
        Some(doubt) => ports.is_accepted(CONSENTS, &doubt.digest).await?,
        None => false,
    };
    if accepted {
        doubt = None;
    }
    if doubt.is_none() {
        outcome.decided.append(&mut outcome.ended);
    }
    let read_with = ports.settings.system.profile.as_str();
    let (mut recorded, mut left) = (0, 0);
    for some in outcome.decided.chunks(AT_ONCE) {
        match store.keep_answers(id, partner, read_with, some, now).await {
            Ok((lines, overtaken)) => {
                recorded += lines;
                left += overtaken;
            }
            // The practice has another practice system since, whose set-up comes after this pass.
            Err(StoreError::Stale) => return Ok(Recorded { lines: recorded, whole: false, doubt: None }),
            Err(error) => return Err(error.into()),
        }
    }
    if accepted && left == 0 {
        // Were the same patients to agree and to go once more, that would be another matter.
        store.forget_marks(id, &accepted_mark(CONSENTS)).await?;
    }
    if first && left == 0 {
        let mark = Mark { thing: read_mark, digest: mapping.digest.clone(), at: now };
        store.set_marks(id, &[mark]).await?;
    }
    tell(ports, partner, &outcome.troubles).await?;
    if recorded > 0 {
        tracing::info!(practice.id = %id, partner.id = %partner, lines = recorded, "Took consents over from the practice system.");
    }
    Ok(Recorded { lines: recorded, whole: left == 0, doubt })
}

/// More than half of the agreements gone at once, each without a "no", looks like a column that was emptied or a query
/// that finds others than before. What somebody accepts are those very patients.
fn in_doubt(partner: &PartnerId, outcome: &Outcome, now: DateTime<Utc>) -> Option<Shrinking> {
    let gone: BTreeSet<&str> = outcome.ended.iter().map(|ended| ended.answer.patient.as_str()).collect();
    doubtful(gone.len(), outcome.agreed).then(|| {
        let mut digest = Digest::default();
        digest.field(partner.as_str());
        gone.iter().for_each(|patient| digest.field(patient));
        Shrinking {
            list: CONSENTS,
            digest: digest.hex(),
            from: outcome.agreed,
            to: outcome.agreed - gone.len(),
            missing: gone.iter().take(NAMED).map(|patient| format!("record {patient}")).collect(),
            noticed_at: now,
        }
    })
}

fn decide(
    ports: &Ports,
    partner: &PartnerId,
    answers: &BTreeMap<PatientRef, Answer>,
    kept: &[KeptAnswer],
    last: &[Consent],
    first: bool,
) -> Outcome {
    let now = ports.clock.now();
    let kept: BTreeMap<&PatientRef, &KeptAnswer> = kept.iter().map(|kept| (&kept.patient, kept)).collect();
    let last: BTreeMap<&PatientRef, &Consent> =
        last.iter().map(|consent| (&consent.line.patient, consent)).collect();
    let gone = kept.keys().filter(|patient| !answers.contains_key(**patient)).map(|patient| Answer {
        patient: (*patient).clone(),
        said: Answered::Nothing,
        wording: String::new(),
        since: None,
        undeclared: None,
    });
    let gone: Vec<Answer> = gone.collect();
    let (mut decided, mut ended) = (Vec::new(), Vec::new());
    for answer in answers.values().chain(&gone) {
        let before = kept.get(&answer.patient);
        let digest = digest_of(answer);
        if before.map_or("", |before| before.digest.as_str()) == digest {
            continue;
        }
        let last = last.get(&answer.patient).copied();
        let line = to_record(answer, last, first, now).map(|(said, at)| ConsentLine {
            practice: ports.id().clone(),
            partner: partner.clone(),
            patient: answer.patient.clone(),
            said,
            how: ConsentHow::PracticeSystem,
            recorded_by: Private::new(RECORDED_BY.to_owned()),
            wording: answer.wording.clone(),
            at,
        });
        let yes = matches!(answer.said, Answered::Yes(_));
        let one = DecidedAnswer {
            answer: KeptAnswer { patient: answer.patient.clone(), yes, digest },
            last: last.map(|last| last.number),
            line,
        };
        let without_a_no = answer.said == Answered::Nothing && before.is_some_and(|before| before.yes);
        if without_a_no { &mut ended } else { &mut decided }.push(one);
    }
    let agreed = kept.values().filter(|kept| kept.yes).count();
    let troubles = strange_values(partner, answers).into_iter().collect();
    Outcome { decided, ended, agreed, troubles }
}

/// What is said about values whose meaning nobody declared: which, and of how many patients; not of whom.
fn strange_values(partner: &PartnerId, answers: &BTreeMap<PatientRef, Answer>) -> Option<(String, String)> {
    let counted = strange_codes(answers.values());
    if counted.is_empty() {
        return None;
    }
    let known_by: BTreeSet<&str> = counted.iter().map(|(value, _)| value.as_str()).collect();
    let known_by = known_by.into_iter().collect::<Vec<_>>().join(", ");
    let patients =
        |count: usize| if count == 1 { "1 patient".to_owned() } else { format!("{count} patients") };
    let mut named: Vec<String> = counted
        .iter()
        .take(MOST_VALUES)
        .map(|(value, count)| format!("{value} ({})", patients(*count)))
        .collect();
    let further = counted.len().saturating_sub(MOST_VALUES);
    if further > 0 {
        named.push(format!("and {further} more"));
    }
    let sentence = format!(
        "The practice system's field for consent for {partner} holds what the practice's profile does not explain: {}. It \
         counts as no answer. Add the value to `yes`, `no` or `unknown` under `[consent.{partner}]`, or correct the \
         records.",
        named.join(", ")
    );
    Some((sentence, known_by))
}

/// Tells somebody of troubles, each once; and forgets those that are over.
async fn tell(ports: &Ports, partner: &PartnerId, troubles: &[(String, String)]) -> Result<(), Stop> {
    let (store, id, now) = (&ports.store, ports.id(), ports.clock.now());
    let about = format!("{TOLD}{partner}/");
    let told = store.marks(id, &about).await?;
    let thing = |known_by: &str| {
        let mut digest = Digest::default();
        digest.field(known_by);
        format!("{about}{}", digest.hex())
    };
    let current: BTreeSet<String> = troubles.iter().map(|(_, known_by)| thing(known_by)).collect();
    for over in told.iter().filter(|mark| !current.contains(&mark.thing)) {
        store.forget_marks(id, &over.thing).await?;
    }
    for (sentence, known_by) in troubles {
        let thing = thing(known_by);
        if told.iter().any(|mark| mark.thing == thing && now - mark.at < TOLD_AGAIN_AFTER) {
            continue;
        }
        let kind = format!("look/consents/{partner}");
        store.tell(id, &ActivityLine { at: now, began_at: None, kind, text: sentence.clone() }).await?;
        store.set_marks(id, &[Mark { thing, digest: String::new(), at: now }]).await?;
    }
    Ok(())
}

/// Differs whenever the answer does; empty where there is none.
fn digest_of(answer: &Answer) -> String {
    if answer.said == Answered::Nothing {
        return String::new();
    }
    let mut digest = Digest::default();
    answer.each_field(|field| digest.field(field));
    digest.hex()
}
