//! Cuts the program off from the world, or kills it, at every touch, and counts what is left.

use super::clinic::{Clinic, Program, ada, another_ada, at, grace, person, request, start};
use super::partner::{Answer, Booked};
use super::practice::{Care, resource};
use super::reaper::Fault;
use crate::desk::{Choice, decide};
use crate::flows::{Flow, FlowName};
use chrono::TimeDelta;
use domain::booking::{BookingState, Placement, Step, Undoing};
use domain::diary::AppointmentStatus;
use domain::failure::Refusal;
use domain::ids::{ForeignBookingId, PatientRef, ResourceRef};
use domain::people::PatientRecord;
use domain::ports::partner::Incoming;
use domain::settings::WriteMode;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A story of a booking, with what people do in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// A patient that the clinic knows.
    Known,
    /// Two bookings at once, one of them by a patient that nobody knows.
    KnownAndNew,
    /// It is unclear who it is, and somebody says that it is the one the clinic knows.
    DecidedSame,
    /// …and somebody says that it is somebody new.
    DecidedNew,
    /// …and nobody says anything.
    NobodyDecides,
    /// …and somebody declines.
    DeclinedAtDesk,
    /// …and the patient cancels meanwhile.
    CancelledWhileHeld,
    /// It cannot be written, and the patient can choose again.
    RefusedEarly,
    /// It cannot be written, the patient cannot choose again, and nobody does anything.
    RefusedLate,
    /// The same, and somebody makes room and asks for another try.
    RefusedLateThenPlaced,
    /// The time is taken, and somebody puts it beside what stands there.
    PlacedBeside,
    /// The time is taken, and somebody chooses another practitioner and time.
    PlacedElsewhere,
    /// The practice may only be read, and somebody enters it.
    Entered,
    /// The practice may only be read, and nobody enters it.
    NobodyEnters,
    /// The practice may only be read, somebody enters it, and the patient cancels at some time.
    EnteredThenCancelled,
    /// The patient cancels before we see the booking.
    CancelledBefore,
    /// The patient cancels once it is confirmed, or in the middle of anything.
    CancelledAfter,
    /// A booking that cannot be read lies beside one that can.
    UnreadableBeside,
    /// It is confirmed for one record, and somebody says that it is another one's.
    Corrected,
    /// …that it is nobody's whom the clinic knows.
    CorrectedToNew,
    /// Two bookings at once by a patient that nobody knows.
    SameNewTwice,
    /// Two bookings at once of which it is unclear who it is, and somebody says of one that it is somebody new.
    SameUnclearTwice,
    /// Staff cancel it once it is confirmed.
    CancelledByStaff,
    /// Staff move it.
    MovedByStaff,
    /// Staff take it out of the book.
    DeletedByStaff,
    /// Staff note that the patient did not come, and the partner asks about it as well.
    NotAttended,
    /// Staff merge the patient's record with another one.
    Merged,
    /// Staff and the patient cancel it in the same moment.
    CancelledByBoth,
}

const STORIES: [Story; 28] = [
    Story::Known,
    Story::KnownAndNew,
    Story::DecidedSame,
    Story::DecidedNew,
    Story::NobodyDecides,
    Story::DeclinedAtDesk,
    Story::CancelledWhileHeld,
    Story::RefusedEarly,
    Story::RefusedLate,
    Story::RefusedLateThenPlaced,
    Story::PlacedBeside,
    Story::PlacedElsewhere,
    Story::Entered,
    Story::NobodyEnters,
    Story::EnteredThenCancelled,
    Story::CancelledBefore,
    Story::CancelledAfter,
    Story::UnreadableBeside,
    Story::Corrected,
    Story::CorrectedToNew,
    Story::SameNewTwice,
    Story::SameUnclearTwice,
    Story::CancelledByStaff,
    Story::MovedByStaff,
    Story::DeletedByStaff,
    Story::NotAttended,
    Story::Merged,
    Story::CancelledByBoth,
];

/// How a booking has to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stands,
    Gone,
    /// Staff undid it, and the partner knows how.
    Undone,
}

impl Story {
    fn set_up(self, clinic: &mut Clinic) {
        if matches!(self, Story::Entered | Story::NobodyEnters | Story::EnteredThenCancelled) {
            clinic.settings.system.write = WriteMode::None;
        }
        let patient = match self {
            Story::DecidedSame
            | Story::DecidedNew
            | Story::NobodyDecides
            | Story::DeclinedAtDesk
            | Story::CancelledWhileHeld
            | Story::SameUnclearTwice => another_ada(),
            Story::SameNewTwice => grace(),
            _ => ada(),
        };
        if matches!(self, Story::Corrected | Story::CorrectedToNew) {
            let settings = clinic.settings.clone();
            clinic.store.disk(|disk| disk.practices.insert(settings.id.clone(), settings));
            clinic.partner.desk(|desk| desk.patients_are_corrected = true);
            clinic.practice.diary(|diary| {
                let (id, details) = (PatientRef::new("p2"), person("Mabel", "Stone", "0491 570 110"));
                diary.patients.push(PatientRecord::new(id, details));
            });
        }
        let again = request("2", patient.clone(), at("15:00"));
        let mut first = request("1", patient, at("14:00"));
        if matches!(self, Story::RefusedEarly | Story::RefusedLate | Story::RefusedLateThenPlaced) {
            first.resource = Some(ResourceRef::new("gone"));
        }
        if matches!(self, Story::PlacedBeside | Story::PlacedElsewhere) {
            clinic.practice.diary(|diary| {
                // A practice system that checks nothing would take it without a word, and nobody would have to choose.
                diary.refuses_taken_time = true;
                diary.enter("r1", at("14:00"), "somebody");
            });
        }
        if matches!(
            self,
            Story::RefusedLate | Story::RefusedLateThenPlaced | Story::PlacedBeside | Story::PlacedElsewhere
        ) {
            first.booked_at = start() - TimeDelta::minutes(2);
        }
        clinic.partner.desk(|desk| {
            desk.patients_are_corrected |= self == Story::Merged;
            desk.book(first);
            if self == Story::KnownAndNew {
                desk.book(request("2", grace(), at("15:00")));
            }
            if matches!(self, Story::SameNewTwice | Story::SameUnclearTwice) {
                desk.book(again);
            }
            if self == Story::CancelledBefore {
                desk.cancel("1");
            }
            if self == Story::UnreadableBeside {
                let booking = ForeignBookingId::new("0");
                let why = Refusal::Unreadable("pmsAppointmentTime".into());
                let incoming = Incoming::Unreadable { booking: booking.clone(), why };
                let booked =
                    Booked { incoming, booked_at: start(), answer: None, declined_late: false, undone: None };
                desk.bookings.insert(booking, booked);
            }
        });
    }

    /// Lets people do what they would do now. `in_between`: in the middle of a pass.
    async fn act(self, clinic: &Clinic, in_between: bool) {
        let Some(state) = clinic.store.disk(|disk| disk.state("1")) else { return };
        let choose = |choice: Choice| async move {
            let store = clinic.store.for_people();
            // Whatever was decided in the same moment wins; the person sees the new state and decides again.
            let _ = decide(&store, &super::clinic::key("1"), &choice, clinic.now()).await;
        };
        let held = matches!(state, BookingState::Held(_));
        let stands_for_ada =
            matches!(&state, BookingState::Confirmed(inserted) if inserted.patient == PatientRef::new("p1"));
        let cancelled_already = clinic.partner.desk(|desk| !desk.changes.is_empty());
        match self {
            Story::DecidedSame if held => choose(Choice::SamePerson(PatientRef::new("p1"))).await,
            Story::Corrected if stands_for_ada => {
                choose(Choice::NotThisPatient(Some(PatientRef::new("p2")))).await;
            }
            Story::CorrectedToNew if stands_for_ada => choose(Choice::NotThisPatient(None)).await,
            Story::SameUnclearTwice if held => choose(Choice::NewPatient).await,
            Story::DecidedNew if held => choose(Choice::NewPatient).await,
            Story::DeclinedAtDesk if held => choose(Choice::Decline).await,
            Story::CancelledWhileHeld if !cancelled_already && (held || in_between) => {
                clinic.partner.desk(|desk| desk.cancel("1"));
            }
            Story::CancelledAfter
                if !cancelled_already && (in_between || matches!(state, BookingState::Confirmed(_))) =>
            {
                clinic.partner.desk(|desk| desk.cancel("1"));
            }
            _ if self.is_about_staff()
                && matches!(state, BookingState::Confirmed(_))
                && !self.staff_have_acted(clinic) =>
            {
                self.act_as_staff(clinic);
            }
            Story::RefusedLateThenPlaced if matches!(state, BookingState::Unplaced(_)) => {
                clinic.practice.diary(|diary| {
                    if diary.resources.len() == 2 {
                        diary.resources.push(resource("gone"));
                        diary.version += 1;
                    }
                });
                choose(Choice::TryAgain).await;
            }
            Story::PlacedBeside if matches!(state, BookingState::Unplaced(_)) => {
                choose(Choice::Place(placement("r1", "14:00", true))).await;
            }
            Story::PlacedElsewhere if matches!(state, BookingState::Unplaced(_)) => {
                choose(Choice::Place(placement("r2", "15:30", false))).await;
            }
            Story::Entered | Story::EnteredThenCancelled => {
                self.enter_and_clear(clinic, &state);
                let entered = clinic.practice.diary(|diary| !diary.appointments.is_empty());
                if self == Story::EnteredThenCancelled && entered && !cancelled_already {
                    clinic.partner.desk(|desk| desk.cancel("1"));
                }
            }
            _ => {}
        }
    }

    fn is_about_staff(self) -> bool {
        matches!(
            self,
            Story::CancelledByStaff
                | Story::MovedByStaff
                | Story::DeletedByStaff
                | Story::NotAttended
                | Story::Merged
                | Story::CancelledByBoth
        )
    }

    fn staff_have_acted(self, clinic: &Clinic) -> bool {
        clinic.practice.diary(|diary| {
            !diary.appointments.iter().any(|stands| {
                let appointment = &stands.appointment;
                appointment.starts == at("14:00")
                    && appointment.status == AppointmentStatus::Booked
                    && appointment.patient == Some(PatientRef::new("p1"))
            })
        })
    }

    fn act_as_staff(self, clinic: &Clinic) {
        clinic.practice.diary(|diary| match self {
            Story::MovedByStaff => diary.change(at("14:00"), |stands| stands.starts = at("16:00")),
            Story::DeletedByStaff => diary.delete(|stands| stands.starts == at("14:00")),
            Story::NotAttended => {
                diary.change(at("14:00"), |stands| stands.status = AppointmentStatus::DidNotAttend);
            }
            Story::Merged => {
                diary.change(at("14:00"), |stands| stands.patient = Some(PatientRef::new("p9")));
            }
            _ => diary.cancel_all_of(at("14:00")),
        });
        clinic.partner.desk(|desk| match self {
            Story::NotAttended => desk.ask_about("1", &["a1"]),
            Story::CancelledByBoth => desk.cancel("1"),
            _ => {}
        });
    }

    /// What the desk does where the practice may only be read.
    fn enter_and_clear(self, clinic: &Clinic, state: &BookingState) {
        clinic.practice.diary(|diary| match state {
            BookingState::Entering if diary.appointments.is_empty() => {
                diary.enter("r1", at("14:00"), "p1");
            }
            BookingState::Cancelling { by_hand: true, .. } => diary.cancel_all_of(at("14:00")),
            _ => {}
        });
    }

    fn ends(self) -> Vec<(&'static str, End)> {
        match self {
            Story::KnownAndNew | Story::SameNewTwice | Story::SameUnclearTwice => {
                vec![("1", End::Stands), ("2", End::Stands)]
            }
            Story::Known
            | Story::Corrected
            | Story::CorrectedToNew
            | Story::DecidedSame
            | Story::DecidedNew
            | Story::NobodyDecides
            | Story::RefusedLateThenPlaced
            | Story::PlacedBeside
            | Story::PlacedElsewhere
            | Story::Entered
            | Story::Merged
            | Story::UnreadableBeside => vec![("1", End::Stands)],
            Story::CancelledByStaff | Story::MovedByStaff | Story::DeletedByStaff | Story::NotAttended => {
                vec![("1", End::Undone)]
            }
            Story::DeclinedAtDesk
            | Story::CancelledWhileHeld
            | Story::RefusedEarly
            | Story::RefusedLate
            | Story::NobodyEnters
            | Story::EnteredThenCancelled
            | Story::CancelledBefore
            | Story::CancelledByBoth
            | Story::CancelledAfter => vec![("1", End::Gone)],
        }
    }

    fn new_patients(self) -> usize {
        match self {
            Story::KnownAndNew
            | Story::DecidedNew
            | Story::NobodyDecides
            | Story::CorrectedToNew
            | Story::SameNewTwice
            | Story::SameUnclearTwice => 1,
            _ => 0,
        }
    }
}

fn placement(resource: &str, starts: &str, beside: bool) -> Placement {
    Placement { resource: ResourceRef::new(resource), starts: at(starts), appointment_type: None, beside }
}

/// Deliberate mistakes, to prove that the checks below find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// The book cannot say whether it holds a key, so that a lost answer leads to a second insert.
    KeysAreLost,
    /// The intent is not on the disk before the act.
    IntentIsForgotten,
    /// The book promises that an insert is over before it is.
    SettlesTooEarly,
}

/// One world: a story, a practice system, what goes wrong.
#[derive(Clone, Debug)]
struct World {
    story: Story,
    care: Care,
    mistake: Mistake,
    faults: Vec<(usize, Fault)>,
}

/// How a world ended.
struct Ended {
    touches: usize,
    was_late: bool,
    wrong: Vec<String>,
}

/// No story needs more steps than this, faults included.
const STEPS: usize = 150;

async fn end_of(world: &World) -> Ended {
    let mut clinic = Clinic::new();
    world.story.set_up(&mut clinic);
    // A person who never comes is waited for in longer steps, so that thousands of worlds are walked in seconds.
    let waits_long = matches!(world.story, Story::NobodyDecides | Story::RefusedLate | Story::NobodyEnters);
    if waits_long {
        clinic.settings.system.poll_seconds = 60;
        clinic.settings.healthengine.as_mut().unwrap().poll_seconds = 60;
    }
    clinic.practice.diary(|diary| {
        diary.care = world.care;
        diary.loses_keys = world.mistake == Mistake::KeysAreLost;
        if world.mistake == Mistake::SettlesTooEarly {
            diary.settle_seconds = 0;
        }
    });
    clinic.store.disk(|disk| disk.forgets_intent = world.mistake == Mistake::IntentIsForgotten);
    clinic.reaper.plan(&world.faults);
    let clinic = Arc::new(clinic);
    let (story, someone) = (world.story, clinic.clone());
    clinic.reaper.somebody(Arc::new(move || {
        let clinic = someone.clone();
        Box::pin(async move { story.act(&clinic, true).await })
    }));

    clinic.clock.move_by(TimeDelta::seconds(2));
    let mut program = clinic.program();
    for _ in 0..STEPS {
        clinic.practice.diary(|diary| diary.catch_up(clinic.now()));
        let lived = tokio::select! {
            biased;
            () = clinic.reaper.death() => None,
            again_at = step(&program, story.is_about_staff(), clinic.now()) => Some(again_at),
        };
        match lived {
            // Requests are looked for every few seconds whatever was chosen; a computer may be slower than that.
            Some(again_at) if waits_long && again_at - clinic.now() >= TimeDelta::seconds(5) => {
                clinic.clock.move_by(TimeDelta::seconds(60));
            }
            Some(again_at) => clinic.clock.move_to(again_at.max(clinic.now())),
            None => {
                clinic.reaper.revive();
                clinic.store.disk(super::store::Disk::lose_what_is_unsaved);
                clinic.clock.move_by(TimeDelta::seconds(1));
                program = clinic.program();
            }
        }
        clinic.practice.diary(|diary| diary.catch_up(clinic.now()));
        story.act(&clinic, false).await;
        if is_settled(world, &clinic) {
            break;
        }
    }
    // A cycle would keep the clinic in memory for good.
    clinic.reaper.somebody(Arc::new(|| Box::pin(async {})));
    Ended {
        touches: clinic.reaper.touches(),
        was_late: clinic.practice.diary(|diary| diary.was_late),
        wrong: what_is_wrong(world, &clinic),
    }
}

/// The flows, as the engine would run them.
async fn step(
    program: &Program,
    watches: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> chrono::DateTime<chrono::Utc> {
    let bookings = program.bookings.pass().await;
    let availability = program.availability.pass().await;
    // The engine also runs it at its start, and after whatever went wrong; here that is simply always.
    if watches && !program.changes.pass().await.wake.is_empty() {
        return now + TimeDelta::milliseconds(100);
    }
    if bookings.wake.contains(&FlowName::Availability) {
        return bookings.again_at.min(availability.again_at).max(now + TimeDelta::seconds(1));
    }
    bookings.again_at.min(availability.again_at)
}

fn is_settled(world: &World, clinic: &Clinic) -> bool {
    let staff_to_come = world.story.ends().iter().any(|(booking, end)| {
        *end == End::Undone && clinic.partner.desk(|desk| desk.undone(booking).is_none())
    });
    if staff_to_come || world.story == Story::Merged && !merge_is_told(clinic) {
        return false;
    }
    let final_ledger = clinic.store.disk(|disk| {
        !disk.entries.is_empty() && disk.entries.values().all(|e| e.state.step() == Step::Nothing)
    });
    final_ledger
        && clinic.partner.desk(|desk| desk.nothing_waits(clinic.now()))
        && clinic.practice.diary(|diary| diary.late.is_empty())
        && clinic.shows_the_book().is_ok()
}

fn merge_is_told(clinic: &Clinic) -> bool {
    let merged = PatientRef::new("p9");
    matches!(clinic.partner.desk(|desk| desk.answer("1")), Some(Answer::Confirmed(told)) if told.patient == merged)
}

/// Everything that must hold at the end, whatever went wrong on the way.
fn what_is_wrong(world: &World, clinic: &Clinic) -> Vec<String> {
    let mut wrong = clinic.practice.diary(|diary| diary.violations.clone());
    wrong.extend(clinic.partner.desk(|desk| desk.violations.clone()));
    wrong.extend(clinic.shows_the_book().err());
    for (booking, end) in world.story.ends() {
        wrong.extend(wrong_with(clinic, world.story, booking, end));
    }
    let created = clinic.practice.diary(|diary| diary.created.clone());
    if created.len() != world.story.new_patients() {
        wrong.push(format!("{} patient records were made", created.len()));
    }
    if world.story == Story::NobodyDecides && created.iter().any(|(_, of)| *of != Some(PatientRef::new("p1")))
    {
        wrong.push("the new record does not say whose duplicate it may be".into());
    }
    if clinic
        .practice
        .diary(|diary| diary.appointments.iter().any(|s| s.active() && s.appointment.patient.is_none()))
    {
        wrong.push("a time is still held without a name".into());
    }
    clinic.partner.desk(|desk| {
        if !desk.nothing_waits(clinic.now()) {
            wrong.push("the partner still waits".into());
        }
    });
    wrong
}

fn wrong_with(clinic: &Clinic, story: Story, booking: &str, end: End) -> Vec<String> {
    let mut wrong = Vec::new();
    let starts = match story {
        Story::PlacedElsewhere => at("15:30"),
        _ if booking == "2" => at("15:00"),
        _ => at("14:00"),
    };
    // What stood there before is nobody's booking.
    let before = Some(PatientRef::new("somebody"));
    let there: Vec<_> = clinic.practice.diary(|diary| {
        let there = diary.active_at(starts).into_iter().map(|stands| stands.appointment.clone());
        there.filter(|appointment| appointment.patient != before).collect()
    });
    let everywhere = clinic.practice.diary(|diary| {
        diary
            .appointments
            .iter()
            .filter(|stands| stands.active() && stands.key == Some(super::clinic::key(booking)))
            .count()
    });
    if everywhere > 1 {
        wrong.push(format!("booking {booking} stands at {everywhere} places"));
    }
    if story == Story::PlacedElsewhere {
        let placed = clinic.store.disk(|disk| disk.entries[&super::clinic::key(booking)].clone());
        if placed.placed() != Some((&ResourceRef::new("r2"), at("15:30"))) || !placed.has_to_tell_place() {
            wrong.push(format!("the place of booking {booking} was forgotten: {:?}", placed.placement));
        }
    }
    if story == Story::PlacedBeside
        && clinic.store.disk(|disk| disk.told.iter().any(|(_, line)| line.kind == "look/overlap"))
    {
        wrong.push("somebody is told of an overlap that a person wanted".into());
    }
    let answer = clinic.partner.desk(|desk| desk.answer(booking));
    let Some(state) = clinic.store.disk(|disk| disk.state(booking)) else {
        return vec![format!("booking {booking} is not in the ledger")];
    };
    if state.step() != Step::Nothing {
        wrong.push(format!("booking {booking} is left {state:?}"));
    }
    match end {
        End::Stands => {
            if there.len() != 1 {
                wrong.push(format!("booking {booking} stands {} times", there.len()));
            }
            match (&answer, there.first()) {
                (Some(Answer::Confirmed(told)), Some(stands))
                    if told.appointment == stands.id && Some(&told.patient) == stands.patient.as_ref() => {}
                _ => wrong.push(format!("booking {booking} was answered {answer:?}")),
            }
            if story == Story::DecidedSame && there.iter().any(|a| a.patient != Some(PatientRef::new("p1"))) {
                wrong.push("it went to another patient than was decided".into());
            }
            let corrected = match story {
                Story::Corrected => Some("p2"),
                Story::CorrectedToNew => Some("p3"),
                _ => None,
            };
            if corrected.is_some_and(|id| there.iter().any(|a| a.patient != Some(PatientRef::new(id)))) {
                wrong.push("the patient was not corrected".into());
            }
        }
        End::Undone => {
            let told = clinic.partner.desk(|desk| desk.undone(booking));
            let as_it_was = match story {
                Story::MovedByStaff => {
                    matches!(&told, Some(Undoing::Moved { starts, .. }) if *starts == at("16:00"))
                }
                Story::DeletedByStaff => told == Some(Undoing::Deleted),
                Story::NotAttended => told == Some(Undoing::DidNotAttend),
                _ => told == Some(Undoing::Cancelled),
            };
            if !as_it_was || !matches!(state, BookingState::Ended { .. }) {
                wrong.push(format!("booking {booking} was told as {told:?} in {state:?}"));
            }
            let desk_hears = clinic.store.disk(|disk| {
                disk.told.iter().any(|(_, line)| line.kind == "look/moved" && line.text.contains("16:00"))
            });
            if desk_hears != (story == Story::MovedByStaff) {
                wrong.push(format!("the desk hears of a move: {desk_hears}"));
            }
        }
        End::Gone => {
            if !there.is_empty() {
                wrong.push(format!("booking {booking} stands {} times although it is gone", there.len()));
            }
            let cancelled =
                clinic.partner.desk(|desk| desk.changes.iter().all(|c| c.applied == Some(Ok(()))));
            match answer {
                Some(Answer::Declined { .. }) => {}
                Some(Answer::Confirmed(_))
                    if cancelled
                        && matches!(state, BookingState::Cancelled(_) | BookingState::Ended { .. }) => {}
                other => wrong.push(format!("booking {booking} was answered {other:?} in {state:?}")),
            }
            wrong.extend(patient_left_waiting(clinic, booking, &state));
        }
    }
    wrong
}

/// A patient whose booking was declined too late to choose again has to hear of it: from the partner, or from somebody
/// at the desk.
fn patient_left_waiting(clinic: &Clinic, booking: &str, state: &BookingState) -> Option<String> {
    let late = clinic.partner.desk(|desk| desk.bookings[&ForeignBookingId::new(booking)].declined_late);
    let knows = match state {
        BookingState::Rejected { why: Refusal::PatientCancelled | Refusal::DeclinedAtDesk, .. } => true,
        BookingState::Rejected { tell_patient, .. } => *tell_patient,
        _ => true,
    };
    (late && !knows).then(|| format!("nobody tells the patient of booking {booking}"))
}

fn report(failed: &[(World, Vec<String>)], walked: usize) {
    let lines: Vec<String> =
        failed.iter().take(12).map(|(world, wrong)| format!("{world:?}: {}", wrong.join("; "))).collect();
    assert!(failed.is_empty(), "{} of {walked} worlds went wrong:\n{}", failed.len(), lines.join("\n"));
}

async fn walk(worlds: impl IntoIterator<Item = World>) -> (usize, Vec<(World, Vec<String>)>) {
    let (mut walked, mut failed) = (0, Vec::new());
    for world in worlds {
        let ended = end_of(&world).await;
        walked += 1;
        if !ended.wrong.is_empty() {
            failed.push((world, ended.wrong));
        }
    }
    (walked, failed)
}

async fn touches(story: Story, care: Care) -> usize {
    let world = World { story, care, mistake: Mistake::None, faults: Vec::new() };
    let ended = end_of(&world).await;
    assert!(ended.wrong.is_empty(), "{world:?}: {:?}", ended.wrong);
    ended.touches
}

fn one_fault(story: Story, care: Care, mistake: Mistake, touches: usize) -> Vec<World> {
    let faults = (1..=touches).flat_map(|n| Fault::ALL.map(|fault| vec![(n, fault)]));
    faults.map(|faults| World { story, care, mistake, faults }).collect()
}

/// A sample of worlds with two faults, the same in every run.
fn two_faults(story: Story, care: Care, touches: usize, sample: usize) -> Vec<World> {
    let mut seed = 88_172_645_463_325_252_u64 ^ ((story as u64) << 8) ^ (care as u64);
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit as u64) as usize
    };
    let mut seen = BTreeSet::new();
    let mut worlds = Vec::new();
    while worlds.len() < sample {
        // The first fault makes the story longer, so that the second may lie beyond the length it had.
        let (first, second) = (below(touches) + 1, below(touches + 30) + 1);
        let (a, b) = (below(Fault::ALL.len()), below(Fault::ALL.len()));
        if first < second && seen.insert((first, second, a, b)) {
            let faults = vec![(first, Fault::ALL[a]), (second, Fault::ALL[b])];
            worlds.push(World { story, care, mistake: Mistake::None, faults });
        }
    }
    worlds
}

const CARES: [Care; 3] = [Care::KnowsKeys, Care::KnowsTimes, Care::Blind];

#[tokio::test]
async fn every_story_ends_well_when_nothing_fails() {
    for story in STORIES {
        for care in CARES {
            touches(story, care).await;
        }
    }
}

async fn one_fault_in(stories: &[Story]) {
    let (mut walked, mut failed) = (0, Vec::new());
    for story in stories {
        for care in CARES {
            let worlds = one_fault(*story, care, Mistake::None, touches(*story, care).await);
            let (more, wrong) = walk(worlds).await;
            walked += more;
            failed.extend(wrong);
        }
    }
    println!("{walked} worlds with one fault");
    report(&failed, walked);
}

#[tokio::test]
async fn one_fault_anywhere_in_plain_bookings() {
    one_fault_in(&STORIES[..2]).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_somebody_decides() {
    one_fault_in(&STORIES[2..7]).await;
}

#[tokio::test]
async fn one_fault_anywhere_when_it_cannot_be_written() {
    one_fault_in(&STORIES[7..10]).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_somebody_places_it() {
    one_fault_in(&STORIES[10..12]).await;
}

#[tokio::test]
async fn one_fault_anywhere_when_the_book_may_only_be_read() {
    one_fault_in(&STORIES[12..15]).await;
}

#[tokio::test]
async fn one_fault_anywhere_around_a_cancellation() {
    one_fault_in(&STORIES[15..18]).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_somebody_corrects_the_patient() {
    one_fault_in(&STORIES[18..20]).await;
}

#[tokio::test]
async fn one_fault_anywhere_in_two_bookings_of_one_person() {
    one_fault_in(&STORIES[20..22]).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_staff_undo_it() {
    one_fault_in(&STORIES[22..25]).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_staff_change_it() {
    one_fault_in(&STORIES[25..]).await;
}

async fn two_faults_in(stories: &[Story]) {
    let (mut walked, mut failed) = (0, Vec::new());
    for story in stories {
        for care in CARES {
            let worlds = two_faults(*story, care, touches(*story, care).await, 150);
            let (more, wrong) = walk(worlds).await;
            walked += more;
            failed.extend(wrong);
        }
    }
    println!("{walked} worlds with two faults");
    report(&failed, walked);
}

#[tokio::test]
async fn two_faults_in_the_first_stories() {
    two_faults_in(&STORIES[..8]).await;
}

#[tokio::test]
async fn two_faults_in_the_other_stories() {
    two_faults_in(&STORIES[8..18]).await;
}

#[tokio::test]
async fn two_faults_around_whose_a_booking_is() {
    two_faults_in(&STORIES[18..22]).await;
}

#[tokio::test]
async fn two_faults_in_the_stories_of_staff() {
    two_faults_in(&STORIES[22..]).await;
}

/// An insert that outlives its connection, and anything else that goes wrong after it.
#[tokio::test]
async fn a_late_insert_and_any_second_fault() {
    let (mut walked, mut failed) = (0, Vec::new());
    for care in CARES {
        let length = touches(Story::Known, care).await;
        let plain = World { story: Story::Known, care, mistake: Mistake::None, faults: Vec::new() };
        for first in one_fault(Story::Known, care, Mistake::None, length) {
            if !end_of(&first).await.was_late {
                continue;
            }
            let (at, late) = first.faults[0];
            let later = (at + 1..=length + 30).flat_map(|n| Fault::ALL.map(|fault| (n, fault)));
            let worlds = later.map(|second| World { faults: vec![(at, late), second], ..plain.clone() });
            let (more, wrong) = walk(worlds).await;
            walked += more;
            failed.extend(wrong);
        }
    }
    println!("{walked} worlds with a late effect and a second fault");
    report(&failed, walked);
}

/// The checks are worth something only if they find mistakes that are there.
#[tokio::test]
async fn deliberate_mistakes_are_found() {
    for (mistake, expected) in [
        (Mistake::KeysAreLost, "inserted again while it stood"),
        (Mistake::IntentIsForgotten, "inserted again while it stood"),
        (Mistake::SettlesTooEarly, "inserted again while it stood"),
    ] {
        let length = touches(Story::Known, Care::Blind).await;
        let (_, failed) = walk(one_fault(Story::Known, Care::Blind, mistake, length)).await;
        let found = failed.iter().any(|(_, wrong)| wrong.iter().any(|line| line.contains(expected)));
        assert!(found, "{mistake:?} went unnoticed: {failed:?}");
    }
    // A practice system that refuses taken time turns the same mistake into a refusal of what stands.
    let length = touches(Story::Known, Care::KnowsTimes).await;
    let (_, failed) = walk(one_fault(Story::Known, Care::KnowsTimes, Mistake::KeysAreLost, length)).await;
    assert!(
        failed.iter().any(|(_, wrong)| wrong.iter().any(|line| line.contains("was answered Some(Declined")))
    );
}
