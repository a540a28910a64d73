//! The flow of free times.

use super::clinic::{Clinic, another_ada, at, request, run_until, start, today};
use super::practice::{appointment_type, range, resource};
use crate::flows::Flow;
use crate::flows::FlowName;
use crate::shown::{self, Change, Difference, Shown};
use chrono::{Days, NaiveDate, TimeDelta};
use domain::failure::{ReadError, WriteError};
use domain::ids::ResourceRef;
use domain::ports::partner::OfferAsked;
use domain::ports::store::{Leg, ProblemKind};

fn seconds(n: i64) -> TimeDelta {
    TimeDelta::seconds(n)
}

/// The calls since the last time, and forgets them.
fn calls(clinic: &Clinic) -> Vec<String> {
    clinic.partner.desk(|desk| std::mem::take(&mut desk.log).into_iter().map(|(_, call)| call).collect())
}

#[tokio::test]
async fn configuration_first_then_every_day_then_nothing() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["live_hours", "resources", "types", "publish 4"]);
    clinic.shows_the_book().unwrap();
    run_until(&clinic, &program.availability, start() + TimeDelta::hours(1)).await;
    assert_eq!(calls(&clinic), [""; 0]);
    assert_eq!(program.note(Leg::Board).unwrap().proven_at, Some(clinic.now() - seconds(0)));
}

#[tokio::test]
async fn one_changed_appointment_sends_one_snapshot() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    calls(&clinic);
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p1")));
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["publish 1"]);
    clinic.shows_the_book().unwrap();
    clinic.practice.diary(|diary| diary.cancel_all_of(at("14:00")));
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["publish 1"]);
    clinic.shows_the_book().unwrap();
}

#[tokio::test]
async fn a_stamp_that_stands_still_is_believed_for_ten_minutes() {
    let clinic = Clinic::new();
    let program = clinic.program();
    run_until(&clinic, &program.availability, start() + seconds(590)).await;
    assert_eq!(clinic.practice.diary(|diary| diary.books_read), 1);
    // Something changed that the stamp did not tell of.
    clinic.practice.diary(|diary| diary.opens = range(540, 960));
    run_until(&clinic, &program.availability, start() + seconds(620)).await;
    assert_eq!(clinic.practice.diary(|diary| diary.books_read), 2);
    clinic.shows_the_book().unwrap();
}

#[tokio::test]
async fn everything_once_a_day() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    calls(&clinic);
    run_until(&clinic, &program.availability, start() + TimeDelta::hours(23)).await;
    let at_midnight = calls(&clinic);
    assert_eq!(at_midnight, ["publish 2"], "only the day that came into the horizon");
    run_until(&clinic, &program.availability, start() + TimeDelta::hours(25)).await;
    assert_eq!(calls(&clinic), ["live_hours", "resources", "types", "publish 4"]);
    let old: Vec<String> = clinic.store.disk(|disk| {
        disk.marks
            .keys()
            .map(|(_, thing)| thing.clone())
            .filter(|t| t.starts_with("availability/2026-11-20/"))
            .collect()
    });
    assert_eq!(old, [""; 0], "marks of yesterday are dropped");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_put_off_the_day_on_which_everything_is_sent() {
    let clinic = Clinic::new();
    clinic.clock.move_by(TimeDelta::days(40));
    clinic.program().availability.pass().await;
    calls(&clinic);
    clinic.clock.move_by(TimeDelta::days(-40));
    clinic.program().availability.pass().await;
    assert_eq!(calls(&clinic)[..3], ["live_hours", "resources", "types"]);
}

#[tokio::test]
async fn a_failed_read_publishes_nothing() {
    let clinic = Clinic::new();
    let program = clinic.program();
    for fails in [
        (|| ReadError::Unreachable("out".into())) as fn() -> ReadError,
        || ReadError::Misfit("a table is missing".into()),
        || ReadError::Garbled("half a row".into()),
    ] {
        clinic.practice.diary(|diary| {
            diary.version += 1;
            diary.fails = Some(fails);
        });
        program.availability.pass().await;
        assert_eq!(calls(&clinic), [""; 0]);
        assert!(program.note(Leg::System).unwrap().problem.is_some());
    }
    // A read that breaks in the middle is no read: the stamp was answered, the book was not.
    clinic.practice.diary(|diary| diary.fails = None);
    clinic.reaper.plan(&[(clinic.reaper.touches() + 2, super::reaper::Fault::FailsAfter)]);
    program.availability.pass().await;
    assert_eq!(calls(&clinic), [""; 0]);
    clinic.clock.move_by(seconds(60));
    program.availability.pass().await;
    clinic.shows_the_book().unwrap();
}

#[tokio::test]
async fn a_list_that_shrinks_too_much_waits() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| diary.resources = (1..=10).map(|n| resource(&format!("r{n}"))).collect());
    let program = clinic.program();
    program.availability.pass().await;
    for (left, goes) in [(5, true), (2, false), (0, false), (3, true)] {
        calls(&clinic);
        clinic.practice.diary(|diary| {
            diary.resources = (1..=left).map(|n| resource(&format!("r{n}"))).collect();
            diary.version += 1;
        });
        clinic.clock.move_by(seconds(60));
        program.availability.pass().await;
        let sent = calls(&clinic);
        assert_eq!(sent.contains(&"resources".to_owned()), goes, "{left}: {sent:?}");
        let problem = program.note(Leg::Board).unwrap().problem.map(|problem| problem.kind);
        assert_eq!(problem, (!goes).then_some(ProblemKind::Shrink), "{left}");
        let shrinking =
            program.ports.state.subscribe().borrow().practices[program.ports.id()].shrinking.clone();
        assert_eq!(shrinking.len(), usize::from(!goes));
        if !goes {
            assert_eq!(sent, [""; 0], "nothing at all is sent from a doubtful book");
            assert_eq!((shrinking[0].from, shrinking[0].to), (5, left));
        }
    }
    clinic.practice.diary(|diary| {
        diary.types.clear();
        diary.version += 1;
    });
    clinic.clock.move_by(seconds(60));
    program.availability.pass().await;
    assert_eq!(
        program.ports.state.subscribe().borrow().practices[program.ports.id()].shrinking[0].list,
        "appointment_types"
    );
}

#[tokio::test]
async fn lists_are_sent_when_they_change() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    calls(&clinic);
    clinic.practice.diary(|diary| {
        diary.types.push(appointment_type("t2"));
        diary.version += 1;
    });
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["types"]);
    clinic.practice.diary(|diary| {
        diary.resources.push(resource("r3"));
        diary.version += 1;
    });
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["resources", "publish 2"]);
}

#[tokio::test]
async fn a_day_that_is_refused_is_tried_again_after_a_minute() {
    let clinic = Clinic::new();
    let place = (ResourceRef::new("r2"), today());
    clinic.partner.desk(|desk| desk.refused_days.insert(place.clone()));
    let program = clinic.program();
    program.availability.pass().await;
    calls(&clinic);
    assert_eq!(program.note(Leg::Board).unwrap().problem.unwrap().kind, ProblemKind::Refused);
    assert_eq!(clinic.partner.desk(|desk| desk.published.len()), 3);
    run_until(&clinic, &program.availability, start() + seconds(58)).await;
    assert_eq!(calls(&clinic), [""; 0]);
    run_until(&clinic, &program.availability, start() + seconds(66)).await;
    assert_eq!(calls(&clinic), ["publish 1"]);
    clinic.partner.desk(|desk| desk.refused_days.clear());
    run_until(&clinic, &program.availability, start() + seconds(140)).await;
    assert_eq!(calls(&clinic), ["publish 1"]);
    clinic.shows_the_book().unwrap();
    assert_eq!(program.note(Leg::Board).unwrap().problem, None);
}

/// Healthengine goes on asking for what it refuses.
#[tokio::test]
async fn what_is_refused_and_asked_for_is_tried_every_minute_and_not_with_every_poll() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    let far = today() + Days::new(400);
    for (resource, day) in [("r2", today()), ("r1", far)] {
        let resource = ResourceRef::new(resource);
        clinic.partner.desk(|desk| {
            desk.refused_days.insert((resource.clone(), day));
            desk.asked.push(OfferAsked { day, resource: Some(resource) });
        });
    }
    calls(&clinic);
    let mut sent = Vec::new();
    for second in (5..=130).step_by(5) {
        clinic.clock.move_by(seconds(5));
        program.pass().await;
        program.availability.pass().await;
        let times = calls(&clinic).iter().filter(|call| call.starts_with("publish")).count();
        sent.extend(std::iter::repeat_n(second, times));
        assert_eq!(program.note(Leg::Board).unwrap().problem.unwrap().kind, ProblemKind::Refused, "{second}");
    }
    // The day that is in the book, and the one that is not.
    assert_eq!(sent, [5, 5, 65, 65, 125, 125]);

    // What differs from what was refused is sent at once.
    clinic.practice.diary(|diary| drop(diary.enter("r2", at("14:00"), "p1")));
    clinic.partner.desk(|desk| desk.refused_days.clear());
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["publish 1"]);
    assert_eq!(program.note(Leg::Board).unwrap().problem, None);
    clinic.shows_the_book().unwrap();
}

#[tokio::test]
async fn what_was_accepted_before_a_failure_is_not_sent_again() {
    let mut clinic = Clinic::new();
    clinic.settings.healthengine.as_mut().unwrap().horizon_days = 3;
    let program = clinic.program();
    // live hours, resources, types, first batch; the second batch is lost.
    clinic.partner.desk(|desk| {
        desk.fails = Some(|call| (call == "publish 4").then(|| ReadError::Unreachable("out".into())));
    });
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["live_hours", "resources", "types", "publish 4"]);
    clinic.partner.desk(|desk| desk.fails = None);
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["publish 4", "publish 4"]);
    clinic.shows_the_book().unwrap();
}

/// The partner took a snapshot, its answer was lost, and the book turned back to what was accepted before.
#[tokio::test]
async fn a_book_that_turns_back_after_a_lost_answer_is_sent() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    let kinds = clinic.practice.diary(|diary| diary.types.clone());
    clinic.partner.desk(|desk| desk.loses_answers = true);
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p1")));
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    clinic.practice.diary(|diary| {
        diary.types.push(appointment_type("t2"));
        diary.version += 1;
    });
    clinic.clock.move_by(seconds(60));
    program.availability.pass().await;
    assert_eq!(clinic.partner.desk(|desk| desk.types.as_ref().map(Vec::len)), Some(2));
    clinic.partner.desk(|desk| desk.loses_answers = false);
    clinic.practice.diary(|diary| {
        diary.cancel_all_of(at("14:00"));
        diary.types.truncate(1);
    });
    clinic.clock.move_by(seconds(60));
    program.availability.pass().await;
    clinic.shows_the_book().unwrap();
    assert_eq!(clinic.partner.desk(|desk| desk.types.clone()), Some(kinds));
}

#[tokio::test]
async fn the_time_of_a_booking_on_its_way_is_not_offered() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    clinic.practice.diary(|diary| diary.fails = Some(|| ReadError::Unreachable("out".into())));
    clinic.partner.desk(|desk| desk.book(request("1", another_ada(), at("14:00"))));
    program.pass().await;
    clinic.practice.diary(|diary| diary.fails = None);
    program.availability.pass().await;
    let offered = |clinic: &Clinic| {
        clinic.partner.desk(|desk| {
            let offer = &desk.published[&(ResourceRef::new("r1"), today())];
            offer.free.iter().any(|free| free.range.contains(range(840, 855)))
        })
    };
    assert!(clinic.practice.diary(|diary| diary.appointments.is_empty()));
    assert!(!offered(&clinic));
    // Held, it stands in the book; declined, it is free again.
    run_until(&clinic, &program.bookings, start() + seconds(30)).await;
    assert_eq!(clinic.practice.diary(|diary| diary.active_at(at("14:00")).len()), 1);
    program.availability.pass().await;
    assert!(!offered(&clinic));
    clinic.decide("1", crate::desk::Choice::Decline).await;
    program.pass().await;
    program.availability.pass().await;
    assert!(offered(&clinic));
}

/// Once a person has chosen another place, that place is taken and the asked one is the book's again.
#[tokio::test]
async fn the_place_that_a_person_chose_is_not_offered_while_the_booking_is_on_its_way() {
    let clinic = Clinic::new();
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p9")));
    clinic.clock.move_by(seconds(60));
    clinic.partner.desk(|desk| desk.book(request("1", another_ada(), at("14:00"))));
    let program = clinic.program();
    program.pass().await;
    program.availability.pass().await;
    let free = |resource: &str, minute: i64| {
        let wanted = range(minute, minute + 15);
        clinic.partner.desk(|desk| {
            let offer = &desk.published[&(ResourceRef::new(resource), today())];
            offer.free.iter().any(|free| free.range.contains(wanted))
        })
    };
    assert!(!free("r1", 840) && free("r2", 930));
    let listed = || program.ports.state.subscribe().borrow().practices[program.ports.id()].free_times.clone();
    let asked = clinic.store.disk(|disk| disk.entries[&super::clinic::key("1")].request.clone());
    let zone = clinic.settings.zone;
    let nearest = listed().unwrap().nearest(&asked, zone, clinic.now());
    assert_eq!(nearest.first().map(|free| free.starts), Some(at("13:45")), "{nearest:?}");

    // Somebody makes room in the asked time while the practice database is away.
    clinic.decide("1", place("r2", "15:30")).await;
    clinic.practice.diary(|diary| {
        diary.cancel_all_of(at("14:00"));
        diary.refuses_inserting = Some(|| WriteError::Untouched(ReadError::Unreachable("out".into())));
    });
    clinic.clock.move_by(seconds(5));
    program.pass().await;
    program.availability.pass().await;
    assert!(free("r1", 840) && !free("r2", 930));
    let taken = listed().unwrap().at(&ResourceRef::new("r2"), at("15:30"), &asked, zone, clinic.now());
    assert_eq!(taken, None);
}

fn place(resource: &str, starts: &str) -> crate::desk::Choice {
    crate::desk::Choice::Place(domain::booking::Placement {
        resource: ResourceRef::new(resource),
        starts: at(starts),
        appointment_type: None,
        beside: false,
    })
}

#[tokio::test]
async fn what_the_partner_asks_for_is_sent_again() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    let tomorrow = today() + Days::new(1);
    let asks = [
        (OfferAsked { day: tomorrow, resource: Some(ResourceRef::new("r1")) }, "publish 1"),
        (OfferAsked { day: tomorrow, resource: None }, "publish 2"),
    ];
    for (asked, expected) in asks {
        clinic.partner.desk(|desk| desk.asked.push(asked));
        clinic.clock.move_by(seconds(5));
        calls(&clinic);
        assert!(program.pass().await.wake.contains(&FlowName::Availability));
        program.availability.pass().await;
        assert_eq!(calls(&clinic), ["waiting", "asked", expected]);
        assert!(clinic.partner.desk(|desk| desk.asked.is_empty()));
    }
    clinic.partner.desk(|desk| (desk.wants_resources, desk.wants_types) = (true, true));
    clinic.clock.move_by(seconds(5));
    calls(&clinic);
    assert!(program.pass().await.wake.contains(&FlowName::Availability));
    program.availability.pass().await;
    assert_eq!(calls(&clinic), ["waiting", "resources", "types"]);
}

#[tokio::test]
async fn another_account_is_sent_everything() {
    let mut clinic = Clinic::new();
    clinic.program().availability.pass().await;
    calls(&clinic);
    clinic.clock.move_by(seconds(5));
    clinic.program().availability.pass().await;
    assert_eq!(calls(&clinic), [""; 0], "a restart sends nothing that was accepted");
    clinic.partner.account = "second".into();
    clinic.clock.move_by(seconds(5));
    clinic.program().availability.pass().await;
    assert_eq!(calls(&clinic), ["live_hours", "resources", "types", "publish 4"]);
}

#[tokio::test]
async fn a_board_that_asks_for_patience_gets_it() {
    let clinic = Clinic::new();
    clinic.partner.desk(|desk| {
        desk.fails = Some(|_| Some(ReadError::SlowDown { retry_after: Some(seconds(42)) }));
    });
    let program = clinic.program();
    run_until(&clinic, &program.availability, start() + seconds(130)).await;
    let tried = clinic.partner.desk(|desk| desk.calls("live_hours"));
    assert_eq!(tried.len(), 4);
    assert!(tried.windows(2).all(|pair| pair[1] - pair[0] >= seconds(42)));
}

#[tokio::test]
async fn without_a_partner_the_book_is_still_watched() {
    let clinic = Clinic::new();
    let mut ports = clinic.ports();
    ports.partner = None;
    let flow = crate::flows::availability::Availability::new(ports.clone());
    flow.pass().await;
    assert!(ports.state.leg(ports.id(), Leg::System).unwrap().problem.is_none());
    assert_eq!(ports.state.leg(ports.id(), Leg::Board), None);
    assert_eq!(ports.state.subscribe().borrow().practices[ports.id()].resources.len(), 2);
}

/// What the marks say that the partner shows of a resource's day, and its last changes.
fn known_of(clinic: &Clinic, resource: &str, day: NaiveDate) -> (Option<Shown>, Vec<Change>) {
    let resource = ResourceRef::new(resource);
    let practice = clinic.settings.id.clone();
    clinic.store.disk(|disk| {
        let text = |thing: String| disk.marks.get(&(practice.clone(), thing)).map(|mark| mark.digest.clone());
        let shown = text(crate::flows::availability::day_prefix(day, Some(&resource)));
        let changes = text(shown::changes_mark(day, &resource));
        (shown.map(|text| shown::read(&text)), shown::changes(&changes.unwrap_or_default()))
    })
}

#[tokio::test]
async fn the_marks_say_what_was_accepted_and_when_it_changed() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    let (shown, changes) = known_of(&clinic, "r1", today());
    let told = shown.unwrap().told.unwrap();
    assert_eq!(
        told.free,
        clinic.partner.desk(|desk| desk.published[&(ResourceRef::new("r1"), today())].free.clone())
    );
    assert_eq!(changes, [], "the first time nothing has changed");

    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p1")));
    clinic.clock.move_by(seconds(5));
    let noticed_at = clinic.now();
    clinic.partner.desk(|desk| desk.loses_answers = true);
    program.availability.pass().await;
    let (shown, changes) = known_of(&clinic, "r1", today());
    assert_eq!(shown, Some(Shown { told: Some(told), in_doubt: true }), "which of the two is not known");
    assert_eq!(changes, []);
    let differing = program.ports.state.differing(program.ports.id());
    assert_eq!(*differing, [((ResourceRef::new("r1"), today()), noticed_at)].into());

    clinic.partner.desk(|desk| desk.loses_answers = false);
    clinic.clock.move_by(seconds(60));
    program.availability.pass().await;
    clinic.shows_the_book().unwrap();
    let (shown, changes) = known_of(&clinic, "r1", today());
    assert!(!shown.unwrap().in_doubt);
    let differences = vec![(range(840, 855), Difference::Removed)];
    let (sent_at, accepted_at) = (changes[0].sent_at, changes[0].accepted_at);
    assert_eq!(changes, [Change { noticed_at, sent_at, accepted_at, differences }]);
    assert!(sent_at >= noticed_at + seconds(60) && accepted_at >= sent_at);
    assert!(program.ports.state.differing(program.ports.id()).is_empty());
    // Nothing is remembered of days that did not change, and nothing of days that are over.
    assert_eq!(known_of(&clinic, "r2", today()).1, []);
    run_until(&clinic, &program.availability, start() + TimeDelta::hours(14)).await;
    assert_eq!(known_of(&clinic, "r1", today()), (None, Vec::new()));
}

#[tokio::test]
async fn the_book_as_it_was_read_can_be_shown() {
    let clinic = Clinic::new();
    let program = clinic.program();
    let reading =
        || program.ports.state.subscribe().borrow().practices[program.ports.id()].reading.clone().unwrap();
    program.availability.pass().await;
    let first = reading();
    assert_eq!(first.read_at, clinic.now());
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    assert_eq!(reading().read_at, first.read_at, "the stamp has not moved, so it was not read again");
    clinic.practice.diary(|diary| drop(diary.enter("r1", at("14:00"), "p1")));
    clinic.clock.move_by(seconds(5));
    program.availability.pass().await;
    let place = (ResourceRef::new("r1"), today());
    assert!(!first.days[&place].busy.contains(&range(840, 855)));
    assert!(reading().days[&place].busy.contains(&range(840, 855)));
}

#[tokio::test]
async fn marks_of_an_older_version_are_sent_again() {
    let clinic = Clinic::new();
    let program = clinic.program();
    program.availability.pass().await;
    calls(&clinic);
    clinic.store.disk(|disk| {
        for ((_, thing), mark) in &mut disk.marks {
            if thing.starts_with(crate::flows::availability::AVAILABILITY) {
                mark.digest = "6ca13d52ca70c883e0f0bb101e425a89e8624de51db2d2392593af6a84118090".into();
            }
        }
    });
    clinic.clock.move_by(seconds(5));
    clinic.program().availability.pass().await;
    assert_eq!(calls(&clinic), ["publish 4"]);
    clinic.shows_the_book().unwrap();
    assert_eq!(known_of(&clinic, "r1", today()).1, [], "what had been shown before is not known");
}
