//! What every partner must pass on its simulator: it checks itself, sorts every failure by what can be done about
//! it, does the same thing twice without harm, and lets nothing personal or secret into a log or an error.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::failure::{ReadError, WriteError};
use domain::ports::partner::Partner;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::http::Deadlines;
use crate::sim::faults::{Fault, FaultRule};

/// A partner on its simulator, with one thing about a person to read there and one thing to write.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The connector.
    fn partner(&self) -> &dyn Partner;

    /// Switches a fault on at the simulator.
    fn strike(&self, rule: FaultRule);

    /// Switches every fault off.
    fn calm(&self);

    /// Reads something about a person.
    async fn read(&self) -> Result<(), ReadError>;

    /// Writes something that may be written twice.
    async fn write(&self) -> Result<(), WriteError>;

    /// Whether what [`Self::write`] writes stands at the simulator.
    fn stands(&self) -> bool;

    /// What a refusal with 403 means for this partner.
    fn forbidden_means(&self) -> &'static str {
        NO_CONSENT
    }

    /// Everything personal and secret that goes over the wire in [`Self::read`] and [`Self::write`].
    fn private(&self) -> Vec<String>;
}

/// What a refusal with 403 means, unless a partner says otherwise.
const NO_CONSENT: &str = "no consent";

/// Short enough for a test, long enough for loopback on a busy machine.
const IMPATIENT: Deadlines = Deadlines {
    connect: Duration::from_secs(5),
    whole: Duration::from_millis(400),
    urgent: Duration::from_millis(400),
};

/// Longer than any test; the fault is switched off, not waited for.
const AGES: u64 = 3_600_000;

/// Runs the suite; `start` gives a fresh subject each time.
pub async fn holds<S: Subject, F: Future<Output = S>>(start: impl Fn(Deadlines) -> F) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let listening = subscriber.set_default();
    tracing::info!("the suite listens");

    let subject = start(Deadlines::default()).await;
    log.add(&format!("{:?}", checks_itself(&subject).await));
    for case in read_cases() {
        let subject = start(case.deadlines()).await;
        log.add(&format!("{:?}", read_survives(&subject, &case).await));
    }
    for case in write_cases() {
        let subject = start(case.deadlines()).await;
        log.add(&format!("{:?}", write_survives(&subject, &case).await));
    }
    drop(listening);

    let log = log.text();
    assert!(log.contains("the suite listens"), "nothing was captured");
    for private in subject.private() {
        assert!(!log.contains(&private), "{private:?} is in the log:\n{log}");
    }
}

struct Case {
    fault: Fault,
    expected: &'static str,
}

impl Case {
    /// A partner that does not say how long to wait may have a time of its own.
    fn fits(&self, subject: &impl Subject, told: &str) -> bool {
        let forbidden =
            if matches!(self.fault, Fault::Forbidden) { subject.forbidden_means() } else { NO_CONSENT };
        let expected = self.expected.replace(NO_CONSENT, forbidden);
        told == expected || self.expected.ends_with("slow down") && told.starts_with(self.expected)
    }

    fn deadlines(&self) -> Deadlines {
        if self.fault.delay_before_effect().or(self.fault.delay_after_effect()).is_some() {
            IMPATIENT
        } else {
            Deadlines::default()
        }
    }
}

fn elsewhere() -> Fault {
    Fault::Redirect { to: "http://127.0.0.1:9/elsewhere".to_owned() }
}

fn read_cases() -> Vec<Case> {
    [
        (Fault::Refuse, "unreachable"),
        (Fault::CutAfterEffect, "unreachable"),
        (Fault::Slow { milliseconds: AGES }, "unreachable"),
        (Fault::SlowAnswer { milliseconds: AGES }, "unreachable"),
        (Fault::Unauthorised, "not authorised"),
        (Fault::Forbidden, NO_CONSENT),
        (Fault::TooManyRequests { retry_after_seconds: Some(9) }, "slow down 9 s"),
        (Fault::ServerError, "unreachable"),
        (Fault::Unavailable { retry_after_seconds: Some(7) }, "slow down 7 s"),
        (Fault::Unavailable { retry_after_seconds: None }, "slow down"),
        (Fault::GarbledJson, "garbled"),
        (Fault::TruncatedBody, "unreachable"),
        (elsewhere(), "unreachable"),
    ]
    .map(|(fault, expected)| Case { fault, expected })
    .into()
}

fn write_cases() -> Vec<Case> {
    [
        (Fault::Refuse, "unknown: unreachable"),
        (Fault::CutAfterEffect, "unknown: unreachable"),
        (Fault::Slow { milliseconds: AGES }, "unknown: unreachable"),
        (Fault::SlowAnswer { milliseconds: AGES }, "unknown: unreachable"),
        (Fault::Unauthorised, "untouched: not authorised"),
        (Fault::Forbidden, "untouched: no consent"),
        (Fault::TooManyRequests { retry_after_seconds: Some(9) }, "untouched: slow down 9 s"),
        (Fault::ServerError, "unknown: unreachable"),
        (Fault::Unavailable { retry_after_seconds: Some(7) }, "unknown: slow down 7 s"),
        (elsewhere(), "unknown: unreachable"),
    ]
    .map(|(fault, expected)| Case { fault, expected })
    .into()
}

async fn checks_itself(subject: &impl Subject) -> Vec<ReadError> {
    subject.partner().check().await.unwrap();
    let mut refused = Vec::new();
    let forbidden = subject.forbidden_means();
    for (fault, expected) in [(Fault::Unauthorised, "not authorised"), (Fault::Forbidden, forbidden)] {
        // More than once, because a token that is refused may be replaced and tried again.
        subject.strike(FaultRule::always(fault));
        let error = subject.partner().check().await.unwrap_err();
        assert_eq!(in_words(&error), expected);
        refused.push(error);
        subject.calm();
        subject.partner().check().await.unwrap();
    }
    subject.partner().check().await.unwrap();
    refused
}

async fn read_survives(subject: &impl Subject, case: &Case) -> ReadError {
    // Whoever needs a token has one by now, so that the request itself is struck.
    subject.partner().check().await.unwrap();
    subject.strike(FaultRule::always(case.fault.clone()));
    let error = subject.read().await.unwrap_err();
    assert!(case.fits(subject, &in_words(&error)), "{:?}: {}", case.fault, in_words(&error));
    subject.calm();
    subject.read().await.unwrap();
    error
}

async fn write_survives(subject: &impl Subject, case: &Case) -> WriteError {
    subject.partner().check().await.unwrap();
    subject.strike(FaultRule::always(case.fault.clone()));
    let error = subject.write().await.unwrap_err();
    let told = match &error {
        WriteError::Refused(why) => format!("refused: {why}"),
        WriteError::Untouched(beneath) => format!("untouched: {}", in_words(beneath)),
        WriteError::Unknown(beneath) => format!("unknown: {}", in_words(beneath)),
    };
    assert!(case.fits(subject, &told), "{:?}: {told}", case.fault);
    let known_undone = matches!(error, WriteError::Untouched(_) | WriteError::Refused(_));
    assert!(!(known_undone && subject.stands()), "{:?} took effect unnoticed", case.fault);
    subject.calm();
    for _ in 0..2 {
        subject.write().await.unwrap();
        assert!(subject.stands(), "{:?}", case.fault);
    }
    error
}

fn in_words(error: &ReadError) -> String {
    match error {
        ReadError::Unreachable(_) => "unreachable".to_owned(),
        ReadError::SlowDown { retry_after: None } => "slow down".to_owned(),
        ReadError::SlowDown { retry_after: Some(wait) } => {
            format!("slow down {} s", TimeDelta::num_seconds(wait))
        }
        ReadError::NotAuthorised => "not authorised".to_owned(),
        ReadError::SignInNeeded => "sign in".to_owned(),
        ReadError::NoConsent => NO_CONSENT.to_owned(),
        ReadError::NotFound => "not found".to_owned(),
        ReadError::Garbled(_) => "garbled".to_owned(),
        ReadError::Invalid(why) => format!("invalid: {why}"),
        ReadError::Misfit(what) => format!("misfit: {what}"),
        ReadError::OwnProfile(what) => format!("own profile: {what}"),
    }
}

/// Everything that is logged while the suite runs, and the errors that it meets.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Adds a line.
    pub fn add(&self, text: &str) {
        let mut bytes = self.0.lock().unwrap();
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
