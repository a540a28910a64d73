//! Whose record the bookings of some people go to.

use super::*;
use domain::booking::{BookingEvent, Held};
use domain::ids::AppointmentRef;
use domain::matching::Settled;
use domain::people::PatientPlan;
use domain::ports::store::{SettingsBook, SettledPeople, SettledPerson};

fn settled(how: Settled, patient: Option<&str>, at: i64) -> SettledPerson {
    SettledPerson { how, patient: patient.map(PatientRef::new), at: second(at) }
}

#[tokio::test]
async fn what_was_settled_is_found_by_the_same_person_only() {
    let (dir, store) = fresh();
    let (ada, bea) = (private("ada\nobrien\n1984-11-09"), private("bea\nobrien\n1984-11-09"));
    let seven = PatientRef::new("7");
    assert_eq!(store.settled(&practice(), &ada).await.unwrap(), []);
    store.settle(&practice(), &ada, Settled::ByRecordMade, Some(&seven), second(1)).await.unwrap();
    store.settle(&practice(), &ada, Settled::ByPerson, None, second(2)).await.unwrap();
    let both = [settled(Settled::ByPerson, None, 2), settled(Settled::ByRecordMade, Some("7"), 1)];
    assert_eq!(store.settled(&practice(), &ada).await.unwrap(), both);
    assert_eq!(store.settled(&practice(), &bea).await.unwrap(), []);
    assert_eq!(store.settled(&PracticeId::new("carlton"), &ada).await.unwrap(), []);

    // The last word counts, and outlives the program.
    store.settle(&practice(), &ada, Settled::ByPerson, Some(&seven), second(3)).await.unwrap();
    store.close().await;
    drop(store);
    let store = open(dir.path());
    let both = [settled(Settled::ByPerson, Some("7"), 3), settled(Settled::ByRecordMade, Some("7"), 1)];
    assert_eq!(store.settled(&practice(), &ada).await.unwrap(), both);
    // Another store makes other digests.
    let (_dir, other) = fresh();
    other.settle(&practice(), &ada, Settled::ByPerson, Some(&seven), second(3)).await.unwrap();
    let digest = |store: &Store| {
        let store = store.clone();
        async move {
            let sql = "SELECT person FROM settled_person LIMIT 1";
            store.call(|conn| Ok(conn.query_row(sql, [], |row| row.get::<_, Vec<u8>>(0))?)).await.unwrap()
        }
    };
    assert_ne!(digest(&store).await, digest(&other).await);
    assert_eq!(digest(&store).await.len(), 32);

    store.remove_practice(&practice()).await.unwrap();
    assert_eq!(store.settled(&practice(), &ada).await.unwrap(), []);
}

#[tokio::test]
async fn a_record_that_was_made_is_unused_once_no_booking_has_it() {
    let (_dir, store) = fresh();
    let (person, made) = (private("ada"), PatientRef::new("7"));
    store.settle(&practice(), &person, Settled::ByRecordMade, Some(&made), second(1)).await.unwrap();
    for booking in ["1", "2"] {
        let request = request(booking);
        store.file(&request, second(1)).await.unwrap();
        let entry = store.entry(&request.key).await.unwrap().unwrap();
        let began = BookingEvent::InsertBegan(PatientPlan::Existing(made.clone()));
        let entry = store.record(&entry, &began, None, second(2)).await.unwrap();
        let held = Held { appointment: AppointmentRef::new(booking), patient: Some(made.clone()) };
        store.record(&entry, &BookingEvent::FoundInPractice(held), None, second(3)).await.unwrap();
    }
    let unused = async |booking: &str, patient: &str| {
        store.is_made_and_unused(&booking_key(booking), &PatientRef::new(patient)).await.unwrap()
    };
    assert!(!unused("1", "7").await, "booking 2 has it");
    assert!(!unused("1", "8").await, "nobody made it");
    let entry = store.entry(&booking_key("2")).await.unwrap().unwrap();
    let entry = store.record(&entry, &BookingEvent::PartnerKnows, None, second(4)).await.unwrap();
    let answered = entry.answered_at;
    let decided = BookingEvent::PatientDecided(PatientPlan::Existing(PatientRef::new("9")));
    let entry = store.record(&entry, &decided, None, second(5)).await.unwrap();
    assert!(!unused("1", "7").await, "booking 2 has it until it is moved");
    let held = Held { appointment: AppointmentRef::new("2"), patient: Some(PatientRef::new("9")) };
    let entry = store.record(&entry, &BookingEvent::FoundInPractice(held), None, second(6)).await.unwrap();
    assert!(unused("1", "7").await);
    let entry = store.record(&entry, &BookingEvent::PartnerKnows, None, second(7)).await.unwrap();
    assert_eq!(entry.answered_at, answered, "how long a booking took is not counted to its correction");
}
