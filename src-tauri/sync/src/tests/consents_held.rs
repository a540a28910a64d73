//! Consents that the practice holds in its own system.

use super::profiles::{Place, Running};
use crate::flows::doubt::{accepted_mark, doubtful_mark};
use crate::flows::people::CONSENTS;
use crate::state::PracticeState;
use crate::tests::reaper::Fault;
use chrono::TimeDelta;
use domain::audit::AuditEvent;
use domain::consent::in_practice::{Answer, Answered, Mapping, Since};
use domain::consent::{Agreement, Consent, ConsentHow, Said};
use domain::failure::ReadError;
use domain::ids::{PartnerId, PatientRef};
use domain::link::LinkState;
use domain::ports::clock::Clock;
use domain::ports::store::{Activity, AuditTrail, Consents, Mark, Marks};
use domain::private::Private;
use domain::time::Horizon;

/// What the practice system holds.
pub struct Held {
    pub mapping: Mapping,
    pub answers: Vec<Answer>,
    pub version: u64,
    /// It cannot tell whether anything changed.
    pub cannot_tell: bool,
    /// Whatever stands behind this patient cannot be read.
    pub breaks_behind: Option<(PatientRef, fn() -> ReadError)>,
    pub pages: usize,
}

impl Held {
    pub fn stamp(&self) -> Option<String> {
        (!self.cannot_tell).then(|| self.version.to_string())
    }

    pub fn page(&mut self, after: Option<&PatientRef>, limit: u32) -> Result<Vec<Answer>, ReadError> {
        self.pages += 1;
        let behind = self.answers.iter().filter(|answer| after.is_none_or(|after| answer.patient > *after));
        let page: Vec<Answer> = behind.take(limit as usize).cloned().collect();
        match &self.breaks_behind {
            Some((patient, error)) if page.last().is_none_or(|last| last.patient > *patient) => Err(error()),
            _ => Ok(page),
        }
    }
}

fn vald() -> PartnerId {
    PartnerId::new("vald")
}

fn yes() -> Answered {
    Answered::Yes(Agreement::default())
}

fn answer(patient: &str, said: Answered) -> Answer {
    let patient = PatientRef::new(patient);
    Answer { patient, said, wording: String::new(), since: None, undeclared: None }
}

impl Place {
    /// A practice that holds these consents in its system.
    fn holding(answers: Vec<Answer>) -> Self {
        let place = Self::new();
        place.clinic.practice.diary(|diary| {
            diary.consents = Some(Held {
                mapping: Mapping { partner: vald(), digest: "usertext1".into() },
                answers,
                version: 0,
                cannot_tell: false,
                breaks_behind: None,
                pages: 0,
            });
        });
        place
    }

    fn held<T>(&self, use_it: impl FnOnce(&mut Held) -> T) -> T {
        self.clinic.practice.diary(|diary| use_it(diary.consents.as_mut().unwrap()))
    }

    /// Staff change what the practice system says of a patient.
    fn writes(&self, changed: Answer) {
        self.held(|held| {
            held.answers.retain(|answer| answer.patient != changed.patient);
            held.answers.push(changed);
            held.answers.sort_by(|one, other| one.patient.cmp(&other.patient));
            held.version += 1;
        });
    }

    async fn consent(&self, patient: &str) -> Option<Consent> {
        let store = self.clinic.store.for_people();
        store.consent(&self.clinic.settings.id, &vald(), &PatientRef::new(patient)).await.unwrap()
    }

    async fn lines(&self, patient: &str) -> Vec<(bool, ConsentHow)> {
        let store = self.clinic.store.for_people();
        let lines = store.consent_history(&self.clinic.settings.id, &PatientRef::new(patient)).await.unwrap();
        lines.into_iter().map(|kept| (kept.line.said != Said::No, kept.line.how)).collect()
    }

    async fn told(&self) -> Vec<String> {
        let store = self.clinic.store.for_people();
        let since = self.clinic.now() - TimeDelta::days(30);
        let lines = store.told(&self.clinic.settings.id, since).await.unwrap();
        let about = lines.into_iter().filter(|line| line.kind.starts_with("look/consents/"));
        about.map(|line| line.text).collect()
    }
}

const HELD: ConsentHow = ConsentHow::PracticeSystem;
const DESK: ConsentHow = ConsentHow::AtDesk;

#[tokio::test]
async fn a_yes_in_the_practice_system_sends_the_profile_and_a_no_ends_it() {
    let place = Place::holding(vec![answer("p1", yes()), answer("p2", Answered::No)]);
    let flow = place.flow();
    place.run(&flow, 3).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
    assert_eq!((place.state("p2").await, place.lines("p2").await), (None, vec![(false, HELD)]));
    let line = place.consent("p1").await.unwrap().line;
    assert_eq!(line.recorded_by.reveal(), "the practice system");
    place.writes(answer("p1", Answered::No));
    place.run(&flow, 3).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Ended));
    let audited = place.audited().await;
    assert!(audited.contains(&(AuditEvent::ConsentWithdrawn, Some(PatientRef::new("p1")))));
    place.writes(answer("p1", yes()));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD), (false, HELD), (true, HELD)]);
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
}

#[tokio::test]
async fn while_nothing_changed_nothing_is_read_and_a_restart_records_nothing_again() {
    let place = Place::holding(vec![answer("p1", yes())]);
    let flow = place.flow();
    place.run(&flow, 60).await;
    assert_eq!(place.held(|held| held.pages), 1);
    place.run(&place.flow(), 60).await;
    assert_eq!((place.held(|held| held.pages), place.lines("p1").await.len()), (2, 1));
    // A system that cannot tell is read now and then.
    place.held(|held| held.cannot_tell = true);
    place.run(&flow, 60).await;
    assert!((3..=9).contains(&place.held(|held| held.pages)));
}

#[tokio::test]
async fn what_the_desk_recorded_stands_until_the_answer_changes() {
    let place = Place::holding(vec![answer("p1", yes())]);
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.says("p1", Said::No).await;
    // Somebody else's answer has everything read anew.
    place.writes(answer("p2", yes()));
    place.run(&flow, 3).await;
    place.run(&place.flow(), 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD), (false, DESK)], "its presence says nothing new");
    place.writes(answer("p1", Answered::Nothing));
    place.run(&flow, 3).await;
    place.writes(answer("p1", yes()));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD), (false, DESK), (true, HELD)]);
}

#[tokio::test]
async fn what_stood_there_before_this_program_came_does_not_overrule_the_desk() {
    let place = Place::holding(vec![answer("p1", yes()), answer("p2", Answered::No)]);
    place.says("p1", Said::No).await;
    place.agrees("p2").await;
    let flow = place.flow();
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(false, DESK)]);
    assert_eq!(place.lines("p2").await, [(true, DESK)]);
    // Once it was read, whoever gets an answer for the first time changed it.
    place.says("p3", Said::No).await;
    place.writes(answer("p3", yes()));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p3").await, [(false, DESK), (true, HELD)]);
}

#[tokio::test]
async fn where_the_answer_has_a_date_the_later_one_holds() {
    let place = Place::holding(Vec::new());
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.says("p1", Said::No).await;
    let recorded = place.clinic.now();
    let dated = |from| Answer {
        since: Some(Since { from, before: from + TimeDelta::seconds(1) }),
        ..answer("p1", yes())
    };
    place.writes(dated(recorded - TimeDelta::hours(1)));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(false, DESK)]);
    let later = recorded + TimeDelta::minutes(1);
    place.writes(dated(later));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(false, DESK), (true, HELD)]);
    assert_eq!(place.consent("p1").await.unwrap().line.at, later, "it says when consent was given");
    let trail = place.clinic.store.for_people().audited(0, 100).await.unwrap();
    let given = trail.iter().find(|entry| entry.line.what == AuditEvent::ConsentGiven).unwrap();
    assert!(given.line.at > later, "the trail says when that was recorded here");
}

#[tokio::test]
async fn an_answer_that_is_gone_withdraws_what_it_gave_but_not_in_crowds() {
    let everybody = ["p1", "p2", "p3", "p4", "p5", "p6"].map(|patient| answer(patient, yes()));
    let place = Place::holding(everybody.to_vec());
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.held(|held| {
        held.answers.remove(0);
        held.version += 1;
    });
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD), (false, HELD)]);
    assert_eq!(place.told().await, [] as [String; 0]);
    // Somebody empties the column; one patient said no.
    place.held(|held| {
        held.answers = vec![answer("p2", Answered::No)];
        held.version += 1;
    });
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p2").await, [(true, HELD), (false, HELD)], "a no is always heard");
    assert_eq!(place.lines("p3").await, [(true, HELD)]);
    assert_eq!(place.told().await, [] as [String; 0], "it waits on Connections");
}

#[tokio::test]
async fn a_crowd_that_is_gone_waits_for_somebody_and_goes_when_it_is_right() {
    let everybody = ["p1", "p2", "p3", "p4", "p5"].map(|patient| answer(patient, yes()));
    let place = Place::holding(everybody.to_vec());
    let ports = place.ports();
    let (board, id, flow) = (ports.state.clone(), ports.id().clone(), Running::new(ports));
    let waits = || board.shrinking(&id, CONSENTS);
    let leave = |left: usize| {
        place.held(|held| {
            held.answers = everybody[..left].to_vec();
            held.version += 1;
        });
    };
    let doubtful =
        async || !place.clinic.store.marks(&id, &doubtful_mark(CONSENTS)).await.unwrap().is_empty();
    place.run(&flow, 3).await;
    assert_eq!((waits(), doubtful().await), (None, false));
    leave(1);
    place.run(&flow, 3).await;
    let held = waits().unwrap();
    assert_eq!((held.from, held.to), (5, 1));
    assert_eq!(held.missing, ["record p2", "record p3", "record p4", "record p5"]);
    assert!(doubtful().await, "the command line says so");
    assert_eq!(place.lines("p2").await, [(true, HELD)]);

    // The mistake was mended.
    leave(5);
    place.run(&flow, 3).await;
    assert_eq!((waits(), doubtful().await), (None, false));

    // Another crowd than the one that somebody accepted is asked about again.
    leave(1);
    place.run(&flow, 3).await;
    let accept = async || {
        let mark =
            Mark { thing: accepted_mark(CONSENTS), digest: waits().unwrap().digest, at: place.clinic.now() };
        place.clinic.store.set_marks(&id, &[mark]).await.unwrap();
    };
    accept().await;
    leave(0);
    place.run(&flow, 3).await;
    assert_eq!((waits().unwrap().to, place.lines("p2").await), (0, vec![(true, HELD)]));

    // And it goes when it is that very one, though the practice system says that nothing changed since.
    accept().await;
    place.run(&flow, 1).await;
    assert_eq!((waits(), doubtful().await), (None, false));
    for patient in ["p1", "p2", "p3", "p4", "p5"] {
        assert_eq!(place.lines(patient).await, [(true, HELD), (false, HELD)]);
    }
    assert_eq!(place.state("p2").await, Some(LinkState::Ended));
    // What was right once is asked about the next time.
    leave(5);
    place.run(&flow, 3).await;
    leave(0);
    place.run(&flow, 3).await;
    assert_eq!((waits().map(|held| held.to), place.lines("p2").await.len()), (Some(0), 3));
}

#[tokio::test]
async fn a_crowd_in_doubt_holds_back_no_free_times_and_ends_with_the_account() {
    let everybody = ["p1", "p2", "p3", "p4"].map(|patient| answer(patient, yes()));
    let mut place = Place::holding(everybody.to_vec());
    let ports = place.ports();
    let (board, id, flow) = (ports.state.clone(), ports.id().clone(), Running::new(ports.clone()));
    place.run(&flow, 3).await;
    place.held(|held| {
        held.answers.clear();
        held.version += 1;
    });
    place.run(&flow, 3).await;
    let horizon = Horizon::from_day("2026-11-20".parse().unwrap(), 3);
    board.change_practice(&id, |practice| practice.horizon = Some(horizon));
    assert!(board.shrinking(&id, CONSENTS).is_some() && board.is_beyond_doubt(&id));
    let known = board.subscribe().borrow().practices[&id].clone();
    place.clinic.settings.vald = None;
    let anew = PracticeState::new(place.clinic.settings.clone(), known.legs.clone(), known.counts);
    assert!(known.renewed(anew).shrinking.is_empty());
}

#[tokio::test]
async fn what_a_pass_of_the_former_practice_system_read_is_not_recorded() {
    let place = Place::holding(vec![answer("p1", yes())]);
    place.clinic.store.disk(|disk| disk.relinked_with = Some("another".into()));
    let flow = place.flow();
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, []);
    place.clinic.store.disk(|disk| disk.relinked_with = Some(place.clinic.settings.system.profile.clone()));
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD)], "it is no failure, and whoever still may goes on");
}

#[tokio::test]
async fn a_reading_that_breaks_off_records_nothing() {
    let place = Place::holding(vec![answer("p1", yes()), answer("p2", yes())]);
    let flow = place.flow();
    place.run(&flow, 3).await;
    place.writes(answer("p1", Answered::No));
    place.held(|held| {
        held.breaks_behind = Some((PatientRef::new("p1"), || ReadError::Unreachable("cut".into())))
    });
    place.run(&flow, 3).await;
    assert_eq!(place.lines("p1").await, [(true, HELD)]);
    assert_eq!(place.told().await, [] as [String; 0], "waiting mends that");
    place.held(|held| {
        held.breaks_behind = Some((PatientRef::new("p1"), || ReadError::Misfit("no such column".into())))
    });
    place.run(&flow, 30).await;
    assert_eq!(place.lines("p1").await, [(true, HELD)]);
    let told = place.told().await;
    assert!(told.len() == 1 && told[0].contains("no such column"), "{told:?}");
    place.held(|held| held.breaks_behind = None);
    place.run(&flow, 15).await;
    assert_eq!(place.lines("p1").await, [(true, HELD), (false, HELD)]);
    let doubled = answer("p2", yes());
    place.held(|held| {
        held.answers.push(doubled);
        held.version += 1;
    });
    place.run(&flow, 15).await;
    assert!(
        place.told().await.iter().any(|told| told.contains("more than once")),
        "{:?}",
        place.told().await
    );
}

#[tokio::test]
async fn a_value_that_nobody_declared_is_named_once_with_how_many_have_it() {
    let strange = |patient, value: &str| {
        let undeclared = Some(Private::new(value.to_owned()));
        Answer { undeclared, ..answer(patient, Answered::Nothing) }
    };
    let long = "spoke to the mother of Kim Young on Monday";
    let place = Place::holding(vec![strange("p1", "ja"), strange("p2", "ja"), strange("p3", long)]);
    let flow = place.flow();
    place.run(&flow, 60).await;
    let told = place.told().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("\"ja\" (2 patients), longer text (1 patient)"), "{told:?}");
    assert!(!told[0].contains("Young") && !told[0].contains("p1"), "{told:?}");
    assert_eq!(place.lines("p1").await, []);
    // Mended and broken again, it is said again.
    for said in ["", "ja"] {
        let mended = if said.is_empty() { answer("p1", yes()) } else { strange("p1", said) };
        for patient in ["p1", "p2", "p3"] {
            place.writes(Answer { patient: PatientRef::new(patient), ..mended.clone() });
        }
        place.run(&flow, 3).await;
    }
    assert_eq!(place.told().await.len(), 2);
}

#[tokio::test]
async fn a_minor_whose_guardian_the_practice_system_does_not_name_is_listed() {
    let place = Place::holding(vec![answer("p1", yes())]);
    place.clinic.practice.diary(|diary| {
        let record = diary.patients.iter_mut().find(|record| record.id.as_str() == "p1").unwrap();
        record.details.birth_date = Private::new(Some("2018-01-01".parse().unwrap()));
        diary.version += 1;
    });
    let flow = place.flow();
    place.run(&flow, 3).await;
    let link = place.link("p1").await.unwrap();
    assert_eq!(link.state, LinkState::NeedsPerson);
    assert!(link.reason.unwrap().contains("no guardian's consent"));
    let guarded = Agreement { guardian: Some(Private::new("A parent".into())), photo_and_video: true };
    place.writes(answer("p1", Answered::Yes(guarded.clone())));
    place.run(&flow, 3).await;
    assert_eq!(place.state("p1").await, Some(LinkState::Linked));
    assert_eq!(place.consent("p1").await.unwrap().line.said, Said::Yes(guarded));
}

#[tokio::test]
async fn whatever_fails_in_between_each_answer_is_recorded_once() {
    for fault in [Fault::FailsBefore, Fault::FailsAfter] {
        for touch in 0..30 {
            let place = Place::holding(vec![answer("p1", yes()), answer("p2", yes())]);
            place.clinic.reaper.plan(&[(touch, fault)]);
            place.run(&place.flow(), 5).await;
            for patient in ["p1", "p2"] {
                assert_eq!(place.lines(patient).await, [(true, HELD)], "{fault:?} at {touch}");
            }
            assert!(place.clinic.clock.now() > chrono::DateTime::UNIX_EPOCH);
        }
    }
}
