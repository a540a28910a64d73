//! What is read, how often it is asked for, and what is not believed.

use domain::booking::{Standing, Watched};
use domain::diary::Writable;
use domain::failure::ReadError;
use domain::ids::{AppointmentRef, PatientRef, ResourceRef};
use domain::people::PatientRecord;
use domain::ports::practice::PracticeSystem;
use domain::ports::webhooks::BookNews;
use domain::time::{DayRange, MinuteOfDay, Minutes};
use serde_json::json;

use super::*;
use crate::sim::door::Faulty;
use crate::sim::faults::{Fault, FaultRule};

fn range(from: i64, to: i64) -> DayRange {
    DayRange::new(MinuteOfDay::clamped(from * 60), MinuteOfDay::clamped(to * 60)).unwrap()
}

#[tokio::test]
async fn the_book_is_shifts_less_appointments_in_the_practices_own_time() {
    let clinic = Clinic::new().await;
    let vet = ResourceRef::new(clinic.vet().to_string());
    let person = clinic.named(Table::Client, "firstname", "Imogen");
    clinic.enter(at(monday(), "10:00"), Some(person));
    let cancelled = clinic.enter(at(monday(), "11:00"), Some(person));
    clinic.sim.staff(|state, now| state.change(Table::Appointment, cancelled, &json!({"active": 0}), now));
    let book = clinic.provet.book(week()).await.unwrap();

    let names: Vec<&str> = book.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["Ines Halla", "Marek Dubois", "Yuna Castellan"], "who has no time online is left out");
    assert_eq!(book.locations.len(), 2);
    let types: Vec<(&str, Minutes)> =
        book.appointment_types.iter().map(|kind| (kind.name.as_str(), kind.length)).collect();
    assert_eq!(
        types,
        [("Standard consultation", Minutes(30)), ("Vaccination", Minutes(15)), ("Dental check", Minutes(30))]
    );
    assert!(book.appointment_types.iter().all(|kind| {
        (kind.name == "Dental check") == (kind.resource.as_ref() == Some(&book.resources.first().unwrap().id))
    }));
    let day = book.days.get(&(vet.clone(), monday())).unwrap();
    let open: Vec<DayRange> = day.open.iter().map(|open| open.range).collect();
    assert_eq!(open, [range(9, 13), range(14, 17)], "surgery is not offered");
    assert_eq!(day.busy, [DayRange::new(MinuteOfDay::clamped(600), MinuteOfDay::clamped(630)).unwrap()]);
    let told: Vec<_> = book.appointments.iter().map(|a| (a.starts, a.patient.clone(), a.status)).collect();
    let patient = Some(PatientRef::new(person.to_string()));
    use domain::diary::AppointmentStatus::{Booked, Cancelled};
    assert_eq!(
        told,
        [(at(monday(), "10:00"), patient.clone(), Booked), (at(monday(), "11:00"), patient, Cancelled)]
    );
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn an_appointment_takes_the_time_of_everybody_who_is_needed() {
    let clinic = Clinic::new().await;
    let other = clinic.named(Table::User, "last_name", "Halla");
    let appointment = clinic.enter(at(monday(), "10:00"), None);
    clinic.sim.staff(|state, now| {
        let address = state.address(Table::User, other);
        state.change(Table::Appointment, appointment, &json!({"additional_users": [address]}), now)
    });
    let book = clinic.provet.book(week()).await.unwrap();
    let day = book.days.get(&(ResourceRef::new(other.to_string()), monday())).unwrap();
    assert_eq!(day.busy.len(), 1);
    assert!(book.appointments.is_empty(), "nobody's and not ours");
}

#[tokio::test]
async fn looking_every_few_seconds_costs_one_request_and_sees_what_staff_do() {
    let clinic = Clinic::new().await;
    let mut before = clinic.provet.stamp(week()).await.unwrap();
    for _ in 0..30 {
        clinic.pass(5);
        assert_eq!(clinic.provet.stamp(week()).await.unwrap(), before, "nothing changed");
        clinic.provet.book(week()).await.unwrap();
    }
    let asked = clinic.sim.inspect(|state| state.count("GET", "/appointment/"));
    assert!((30..=35).contains(&asked), "{asked} requests");
    let whole = clinic.sim.inspect(|state| state.count("GET", "/shift/"));
    assert!(whole <= 4 * 6, "{whole} pages of shifts in two and a half minutes");

    let entered = clinic.enter(at(monday(), "10:00"), None);
    let changes: [fn(&Clinic, u64); 3] = [
        |_, _| (),
        |clinic, entered| {
            clinic.sim.staff(|state, now| {
                state.change(Table::Appointment, entered, &json!({"active": 0}), now);
            });
        },
        |clinic, _| {
            clinic.sim.staff(|state, now| {
                state.add_reason("Second opinion", 45, &[], now);
            });
            clinic.pass(60);
        },
    ];
    for change in changes {
        change(&clinic, entered);
        clinic.pass(5);
        let now = clinic.provet.stamp(week()).await.unwrap();
        assert_ne!(now, before);
        before = now;
    }
    assert_eq!(clinic.sim.inspect(SimState::throttled), 0);
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn what_is_deleted_is_noticed_although_it_leaves_no_trace() {
    let clinic = Clinic::new().await;
    let entered = clinic.enter(at(monday(), "10:00"), None);
    let before = clinic.provet.stamp(week()).await.unwrap();
    clinic.sim.staff(|state, _| state.delete(Table::Appointment, entered));
    clinic.pass(5);
    assert!(clinic.provet.heard(&BookNews::Appointment(AppointmentRef::new(entered.to_string()))));
    let told = clinic.provet.stamp(week()).await.unwrap();
    assert_ne!(told, before, "at once where somebody says so");
    let entered = clinic.enter(at(monday(), "10:00"), None);
    clinic.pass(5);
    let before = clinic.provet.stamp(week()).await.unwrap();
    clinic.sim.staff(|state, _| state.delete(Table::Appointment, entered));
    clinic.pass(600);
    assert_ne!(clinic.provet.stamp(week()).await.unwrap(), before, "within ten minutes by itself");
    let shift = clinic.sim.inspect(|state| state.rows(Table::Shift).next().unwrap()["id"].as_u64().unwrap());
    let before = clinic.provet.stamp(week()).await.unwrap();
    clinic.sim.staff(|state, _| state.delete(Table::Shift, shift));
    clinic.pass(61);
    assert_ne!(clinic.provet.stamp(week()).await.unwrap(), before);
}

#[tokio::test]
async fn a_change_is_seen_whichever_clock_is_ahead() {
    for ahead in [-600, 600] {
        let clinic = Clinic::new().await;
        let theirs = clinic.hand.clone();
        let ours = Hand::at(theirs.now() + TimeDelta::seconds(ahead));
        let provet = Clinic::link(&clinic.sim, &ours, "s3cret:with%signs");
        clinic.enter(at(monday(), "09:00"), None);
        let mut before = provet.stamp(week()).await.unwrap();
        for hour in 10..13 {
            clinic.pass(5);
            ours.pass(TimeDelta::seconds(5));
            clinic.enter(at(monday(), &format!("{hour}:00")), None);
            let now = provet.stamp(week()).await.unwrap();
            assert_ne!(now, before, "{ahead} s, {hour} h");
            before = now;
        }
    }
}

#[tokio::test]
async fn lists_are_read_whole_in_whichever_order_they_come() {
    let clinic = Clinic::new().await;
    let expected = clinic.provet.people(None, 5000).await.unwrap();
    assert_eq!(expected.len(), 64);
    clinic.sim.conduct(|conduct| conduct.newest_first = true);
    let other = clinic.restarted();
    assert_eq!(other.people(None, 5000).await.unwrap(), expected);
    let shifts = other.book(Horizon::from_day(friday(), 60)).await.unwrap();
    assert_eq!(shifts, clinic.provet.book(Horizon::from_day(friday(), 60)).await.unwrap());
    let id = clinic.sim.add_fault(FaultRule::always(Fault::DuplicateItems));
    assert_eq!(clinic.restarted().people(None, 5000).await.unwrap(), expected);
    assert!(clinic.sim.remove_fault(id));
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_filter_that_is_ignored_without_a_word_is_noticed() {
    for filter in ["end__gte", "modified__gte", "start__lt"] {
        let clinic = Clinic::new().await;
        let long_ago = at(friday() - TimeDelta::days(200), "10:00");
        clinic.sim.staff(|state, now| {
            let (vet, department) = (state.whose(Table::User, "last_name", "Dubois"), 101);
            let vet = *vet.first().unwrap();
            let starts = zone().instant(long_ago);
            state.enter(
                (vet, department),
                (starts, TimeDelta::minutes(30)),
                None,
                now - TimeDelta::days(200),
            );
        });
        clinic.enter(at(monday(), "10:00"), None);
        clinic.sim.conduct(|conduct| conduct.ignored_filters = vec![filter.to_owned()]);
        let read = async {
            clinic.provet.stamp(week()).await?;
            clinic.pass(5);
            clinic.provet.stamp(week()).await
        };
        assert!(matches!(read.await, Err(ReadError::Misfit(_))), "{filter}");
    }
    let clinic = Clinic::new().await;
    clinic.sim.conduct(|conduct| conduct.ignored_filters = vec!["email__is".to_owned()]);
    let found = clinic.provet.find_patients(&details()).await;
    assert!(matches!(found, Err(ReadError::Misfit(_))));
}

#[tokio::test]
async fn people_are_found_by_name_by_email_and_by_phone_and_no_animal_is_one() {
    let clinic = Clinic::new().await;
    let known = clinic.named(Table::Client, "email", "tadhg.");
    let record = clinic.provet.patient(&PatientRef::new(known.to_string())).await.unwrap().unwrap();
    let nobody = PersonDetails::default();
    let whole = &record.details;
    assert_eq!(whole.phones.len(), 1);
    for person in [
        PersonDetails {
            first_name: whole.first_name.clone(),
            last_name: whole.last_name.clone(),
            ..nobody.clone()
        },
        PersonDetails {
            first_name: whole.last_name.clone(),
            last_name: whole.first_name.clone(),
            ..nobody.clone()
        },
        PersonDetails { email: whole.email.clone(), ..nobody.clone() },
        PersonDetails { phones: vec![Private::new("0491 570 001".into())], ..nobody.clone() },
    ] {
        let found = clinic.provet.find_patients(&person).await.unwrap();
        assert!(found.complete);
        assert!(found.records.contains(&record), "{person:?}");
    }
    assert!(clinic.provet.find_patients(&details()).await.unwrap().records.is_empty());
    assert!(!clinic.provet.keeps_birth_dates());
    let animals: Vec<u64> = clinic
        .sim
        .inspect(|state| state.rows(Table::Patient).map(|row| row["id"].as_u64().unwrap()).collect());
    assert!(!animals.is_empty());
    let everybody = clinic.provet.people(None, 5000).await.unwrap();
    for animal in animals {
        let animal = PatientRef::new(animal.to_string());
        assert_eq!(clinic.provet.patient(&animal).await.unwrap(), None);
        assert!(everybody.iter().all(|record| record.id != animal));
    }
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn everybody_is_read_once_and_kept_in_step() {
    let clinic = Clinic::new().await;
    assert_eq!(clinic.provet.people_stamp().await.unwrap(), None, "nobody needs it yet");
    let first = clinic.provet.people(None, 40).await.unwrap();
    let rest = clinic.provet.people(first.last().map(|record| &record.id), 40).await.unwrap();
    assert_eq!((first.len(), rest.len()), (40, 24));
    // As long as what is dated then could still be stored, all of it is looked at again.
    clinic.pass(130);
    let before = clinic.provet.people_stamp().await.unwrap().unwrap();
    let asked = clinic.sim.inspect(|state| state.count("GET", "/client/"));
    clinic.pass(5);
    assert_eq!(clinic.provet.people_stamp().await.unwrap().as_deref(), Some(before.as_str()));
    assert_eq!(clinic.sim.inspect(|state| state.count("GET", "/client/")), asked + 1);
    let known = clinic.named(Table::Client, "email", "tadhg.");
    clinic.sim.staff(|state, now| state.change(Table::Client, known, &json!({"city": "Carlton"}), now));
    clinic.pass(5);
    assert_ne!(clinic.provet.people_stamp().await.unwrap().as_deref(), Some(before.as_str()));
    let all = clinic.provet.people(None, 5000).await.unwrap();
    let moved = all.iter().find(|record| record.id.as_str() == known.to_string()).unwrap();
    assert_eq!(moved.details.suburb.reveal(), "Carlton");
    let someone = clinic.named(Table::Client, "email", "beatrix.");
    clinic.sim.staff(|state, _| state.delete(Table::Client, someone));
    clinic.pass(24 * 60 * 60);
    assert_eq!(clinic.provet.people_stamp().await.unwrap(), None, "so that everybody is read again");
    assert_eq!(clinic.provet.people(None, 5000).await.unwrap().len(), 63, "once a day");
}

#[tokio::test]
async fn whoever_books_does_not_wait_while_everybody_is_read() {
    let clinic = Clinic::new().await;
    clinic.provet.people(None, 5000).await.unwrap();
    clinic.pass(24 * 60 * 60);
    let slow = Fault::Slow { milliseconds: 600_000 };
    clinic.sim.add_fault(FaultRule::once(slow).on("GET", "/phonenumber/"));
    let booking = async {
        while clinic.sim.inspect(|state| state.faults().active().iter().all(|rule| rule.struck == 0)) {
            tokio::task::yield_now().await;
        }
        clinic.provet.people_stamp().await.unwrap()
    };
    tokio::select! {
        _ = clinic.provet.people(None, 5000) => panic!("it was not slow"),
        stamp = booking => assert_eq!(stamp, None),
    }
}

#[tokio::test]
async fn many_records_cost_one_request_for_many_and_none_where_everybody_is_known() {
    let clinic = Clinic::new().await;
    clinic.sim.staff(|state, now| {
        for at in 0..1200 {
            let phone = format!("+6149157{at:04}");
            state.register(&json!({"firstname": "Extra", "lastname": format!("Person{at}")}), &[&phone], now);
        }
    });
    let everybody: Vec<PatientRef> = clinic.sim.inspect(|state| {
        let ids = state.rows(Table::Client).map(|row| PatientRef::new(row["id"].to_string()));
        ids.collect()
    });
    let asked = |clinic: &Clinic| clinic.sim.inspect(|state| state.exchanges().count());
    let gone = [PatientRef::new("424242"), PatientRef::new("nobody")];
    let wanted = [&everybody[..], &gone].concat();
    let before = asked(&clinic);
    let read = clinic.provet.patients(&wanted).await.unwrap();
    assert_eq!(read.len(), everybody.len());
    assert!(asked(&clinic) - before <= 2 * 27 + 1, "{}", asked(&clinic) - before);
    let known = clinic.named(Table::Client, "email", "tadhg.");
    let known = PatientRef::new(known.to_string());
    let of_known = |records: &[PatientRecord]| records.iter().find(|record| record.id == known).cloned();
    assert_eq!(of_known(&read), clinic.provet.patient(&known).await.unwrap());
    let few = clinic.provet.patients(&[known.clone(), gone[0].clone()]).await.unwrap();
    assert_eq!(few, [of_known(&read).unwrap()]);

    clinic.provet.people(None, 5000).await.unwrap();
    // As long as what is dated then could still be stored, all of it is looked at again.
    clinic.pass(130);
    clinic.provet.people_stamp().await.unwrap();
    clinic.pass(5);
    let before = asked(&clinic);
    let mut again = clinic.provet.patients(&wanted).await.unwrap();
    assert_eq!(asked(&clinic) - before, 2, "who changed, and whose numbers");
    again.sort_by(|one, other| one.id.cmp(&other.id));
    let mut read = read;
    read.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(again, read);
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_budget_that_is_spent_is_waited_for_and_nothing_is_read_twice() {
    let clinic = Clinic::new().await;
    clinic.sim.staff(|state, now| {
        for at in 0..5000 {
            state.register(&json!({"firstname": "Extra", "lastname": format!("Person{at}")}), &[], now);
        }
    });
    let mut waits = 0;
    let everybody = loop {
        match clinic.provet.people(None, 10_000).await {
            Ok(everybody) => break everybody,
            Err(ReadError::SlowDown { retry_after: Some(wait) }) => {
                waits += 1;
                assert!(waits < 5, "it gets nowhere");
                clinic.hand.pass(wait);
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(everybody.len(), 5064);
    assert!(waits > 0);
    assert_eq!(clinic.sim.inspect(SimState::throttled), 0, "our own count comes first");
    // Somebody who books is found meanwhile.
    assert!(clinic.provet.find_patients(&details()).await.unwrap().complete);
}

#[tokio::test]
async fn a_book_that_is_larger_than_its_budget_is_read_in_pieces_and_kept_in_step() {
    let clinic = Clinic::new().await;
    clinic.sim.staff(|state, now| {
        let mut shift = state.rows(Table::Shift).next().unwrap().clone();
        for at in 0..5000_i64 {
            let starts = now + TimeDelta::hours(at % 500);
            shift["start"] = json!(starts.to_rfc3339());
            shift["end"] = json!((starts + TimeDelta::minutes(30)).to_rfc3339());
            state.add(Table::Shift, shift.clone(), now);
        }
    });
    let mut waits = 0;
    let first = loop {
        match clinic.provet.stamp(week()).await {
            Ok(stamp) => break stamp,
            Err(ReadError::SlowDown { retry_after: Some(wait) }) => {
                waits += 1;
                assert!(waits < 4, "it gets nowhere");
                clinic.hand.pass(wait);
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(waits > 0);
    let doomed = clinic.sim.inspect(|state| state.rows(Table::Shift).last().unwrap()["id"].as_u64().unwrap());
    clinic.sim.staff(|state, _| state.delete(Table::Shift, doomed));
    let entered = clinic.enter(at(monday(), "10:00"), None);
    clinic.pass(5);
    let second = clinic.provet.stamp(week()).await.unwrap();
    assert_ne!(second, first, "appointments are seen meanwhile");
    let mut last = second.clone();
    for _ in 0..240 {
        clinic.pass(5);
        last = clinic.provet.stamp(week()).await.unwrap();
        if last != second {
            break;
        }
    }
    assert_ne!(last, second, "and shifts when all were read again");
    assert_eq!(clinic.sim.inspect(SimState::throttled), 0);
    let book = clinic.provet.book(week()).await.unwrap();
    let vet = ResourceRef::new(clinic.vet().to_string());
    assert_eq!(book.days.get(&(vet, monday())).unwrap().busy.len(), 1, "{entered} stands");
}

#[tokio::test]
async fn what_is_stored_late_is_seen_although_nobody_looked_for_a_while() {
    let clinic = Clinic::new().await;
    clinic.enter(at(monday(), "09:00"), None);
    let before = clinic.provet.stamp(week()).await.unwrap();
    // Dated before the one that was seen, and stored after it was.
    let (vet, department) = (clinic.vet(), clinic.department());
    clinic.sim.staff(|state, now| {
        let starts = zone().instant(at(monday(), "10:00"));
        let dated = now - TimeDelta::seconds(2);
        state.enter((vet, department), (starts, TimeDelta::minutes(30)), None, dated)
    });
    clinic.pass(300);
    assert_ne!(clinic.provet.stamp(week()).await.unwrap(), before);
}

#[tokio::test]
async fn a_shift_that_ends_in_a_thousand_years_opens_the_days_that_are_asked_for() {
    let clinic = Clinic::new().await;
    let shift = clinic.sim.inspect(|state| state.rows(Table::Shift).next().unwrap()["id"].as_u64().unwrap());
    clinic.sim.staff(|state, now| {
        let ends = json!({"end": "3026-11-20T00:00:00Z"});
        state.change(Table::Shift, shift, &ends, now)
    });
    let book = clinic.provet.book(week()).await.unwrap();
    assert!(book.days.keys().all(|(_, day)| week().first <= *day && *day <= week().last));
    let sunday = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let open = book.days.iter().find(|((_, day), open)| *day == sunday && !open.open.is_empty());
    let whole = DayRange::new(MinuteOfDay::clamped(0), MinuteOfDay::clamped(24 * 60)).unwrap();
    assert_eq!(open.unwrap().1.open.first().unwrap().range, whole);
}

#[tokio::test]
async fn whoever_asks_for_patience_is_not_asked_until_then() {
    let clinic = Clinic::new().await;
    clinic.provet.stamp(week()).await.unwrap();
    let busy = Fault::TooManyRequests { retry_after_seconds: Some(30) };
    clinic.sim.add_fault(FaultRule::once(busy).on("GET", "/appointment/"));
    let asked = |clinic: &Clinic| clinic.sim.inspect(|state| state.count("GET", "/appointment/"));
    let before = asked(&clinic);
    for _ in 0..6 {
        clinic.pass(5);
        let told = clinic.provet.stamp(week()).await;
        assert!(matches!(told, Err(ReadError::SlowDown { retry_after: Some(_) })), "{told:?}");
    }
    assert_eq!(asked(&clinic), before + 1);
    clinic.pass(5);
    clinic.provet.stamp(week()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_and_wrong_credentials_are_told() {
    let clinic = Clinic::new().await;
    clinic.provet.check().await.unwrap();
    clinic.sim.staff(|state, _| state.revoke_tokens());
    clinic.provet.check().await.unwrap();
    assert_eq!(clinic.sim.inspect(|state| state.count("POST", "/oauth2/token/")), 2);
    let wrong = Clinic::link(&clinic.sim, &clinic.hand, "another");
    assert!(matches!(wrong.check().await, Err(ReadError::NotAuthorised)));
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_the_rest_goes_on() {
    let clinic = Clinic::new().await;
    let card = clinic.provet.check().await.unwrap();
    assert_eq!((card.resources, card.locations, card.patients), (3, 2, 64));
    assert_eq!(card.writable, Writable::Yes);
    clinic.sim.conduct(|conduct| conduct.missing_rights = vec!["Calendar: Shifts".to_owned()]);
    let other = clinic.restarted();
    let rights = other.rights().await.unwrap();
    let missing: Vec<&str> =
        rights.parts.iter().filter(|part| !part.readable).map(|part| part.what).collect();
    assert_eq!(missing, ["shifts"]);
    assert_eq!(rights.missing_for_bookings(), ["Calendar: Shifts"]);
    let refused = other.stamp(week()).await;
    assert!(
        matches!(&refused, Err(ReadError::Invalid(why)) if why.contains("Calendar: Shifts")),
        "{refused:?}"
    );
    assert!(other.find_patients(&details()).await.is_ok());
    let tried = other.try_parts().await;
    let wrong: Vec<&str> =
        tried.iter().filter(|(_, result, _)| result.is_err()).map(|(name, ..)| name.as_str()).collect();
    assert_eq!(wrong, ["shifts"]);
}

#[tokio::test]
async fn where_an_appointment_stands_is_told_whatever_staff_did_to_it() {
    let clinic = Clinic::new().await;
    let person = clinic.named(Table::Client, "firstname", "Imogen");
    let [stands, cancelled, deleted, moved, another] = ["09:00", "10:00", "11:00", "14:00", "15:00"]
        .map(|time| clinic.enter(at(monday(), time), Some(person)));
    clinic.provet.stamp(week()).await.unwrap();
    let resource = ResourceRef::new(clinic.vet().to_string());
    let watched = |id: u64, time: &str| Watched {
        key: key(1),
        appointment: AppointmentRef::new(id.to_string()),
        patient: Some(PatientRef::new(person.to_string())),
        place: Some((resource.clone(), at(monday(), time))),
    };
    clinic.sim.staff(|state, now| {
        state.change(Table::Appointment, cancelled, &json!({"active": 0}), now);
        state.delete(Table::Appointment, deleted);
        let later = zone().instant(at(monday(), "16:00"));
        let to = json!({"start": later.to_rfc3339(), "end": (later + TimeDelta::minutes(30)).to_rfc3339()});
        state.change(Table::Appointment, moved, &to, now);
        state.change(
            Table::Appointment,
            another,
            &json!({"notes": "[healthengine:99]", "client": null}),
            now,
        );
    });
    clinic.pass(5);
    clinic.provet.heard(&BookNews::Appointment(AppointmentRef::new(deleted.to_string())));
    let asked = [
        watched(stands, "09:00"),
        watched(cancelled, "10:00"),
        watched(deleted, "11:00"),
        watched(moved, "14:00"),
        watched(another, "15:00"),
        watched(424_242, "09:00"),
    ];
    let told = clinic.provet.standings(&asked).await.unwrap();
    let standing = |id: u64, time: &str| Standing::Stands {
        appointment: AppointmentRef::new(id.to_string()),
        resource: Some(resource.clone()),
        starts: Some(at(monday(), time)),
        patient: Some(PatientRef::new(person.to_string())),
    };
    assert_eq!(
        told,
        [
            standing(stands, "09:00"),
            Standing::Cancelled,
            Standing::Gone,
            standing(moved, "16:00"),
            Standing::Gone,
            Standing::Gone
        ]
    );
}

#[tokio::test]
async fn whatever_the_wire_does_nothing_is_concluded_from_half_of_it() {
    for fault in [
        Fault::Refuse,
        Fault::CutAfterEffect,
        Fault::ServerError,
        Fault::GarbledJson,
        Fault::TruncatedBody,
        Fault::Unauthorised,
        Fault::Redirect { to: "http://127.0.0.1:9/".into() },
    ] {
        let clinic = Clinic::new().await;
        let before = clinic.provet.book(week()).await.unwrap();
        for path in ["/appointment/", "/shift/", "/user/", "/reason/"] {
            let id = clinic.sim.add_fault(FaultRule::always(fault.clone()).on("GET", path));
            clinic.pass(3600);
            assert!(clinic.provet.book(week()).await.is_err(), "{fault:?} on {path}");
            assert!(clinic.sim.remove_fault(id));
            clinic.pass(60);
            assert_eq!(clinic.provet.book(week()).await.unwrap(), before, "{fault:?} on {path}");
        }
    }
}

#[tokio::test]
async fn an_appointment_of_an_animal_alone_is_nobodys() {
    let clinic = Clinic::new().await;
    let resource = ResourceRef::new(clinic.vet().to_string());
    let free = clinic.provet.book(week()).await.unwrap().free(&resource, monday());
    let entered = clinic.enter(at(monday(), "10:00"), None);
    clinic.sim.staff(|state, now| {
        let animal = state.rows(Table::Patient).next().unwrap()["url"].clone();
        state.change(Table::Appointment, entered, &json!({"patients": [animal]}), now)
    });
    clinic.pass(5);
    let book = clinic.provet.book(week()).await.unwrap();
    let entered = entered.to_string();
    assert!(book.appointments.iter().all(|there| there.id.as_str() != entered || there.patient.is_none()));
    let told = clinic.provet.appointments_with_patients(&resource, monday()).await.unwrap();
    assert!(told.iter().all(|(there, record)| there.id.as_str() != entered || record.is_none()));
    assert_ne!(book.free(&resource, monday()), free, "its time is taken all the same");
}
