//! Webhooks: what a delivery says, which of ours stand, and what is heard of our own writing.

use chrono::{DateTime, Utc};
use domain::ids::AppointmentRef;
use domain::ports::practice::PracticeSystem;
use domain::ports::webhooks::{Announced, BookNews, Subscription, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Clinic, NEW, START, at, monday, week};
use crate::practices::provet::announced;
use crate::practices::provet::sim::Table;

const CALLBACK: &str = "https://clinic.example/hooks/0123456789abcdef";

fn never() -> DateTime<Utc> {
    START.parse().unwrap()
}

fn news(id: u64) -> BookNews {
    BookNews::Appointment(AppointmentRef::new(id.to_string()))
}

#[test]
fn only_known_names_with_whole_numbers_say_anything() {
    for (body, expected) in [
        ("appointment_id=5501", news(5501)),
        ("appointment_id=5501&extra=1", news(5501)),
        (r#"{"appointment_id": "5501"}"#, news(5501)),
        (r#"{"appointment_id": 5501}"#, news(5501)),
        ("user_id=7", BookNews::Lists),
        (r#"{"reason_id": 7}"#, BookNews::Lists),
        ("department_id=3", BookNews::Lists),
        ("consultation_id=3", BookNews::Something),
        ("client_id=3", BookNews::Something),
        ("appointment_id=", BookNews::Unclear),
        ("appointment_id=-1", BookNews::Unclear),
        ("appointment_id=5501;DROP", BookNews::Unclear),
        ("appointment_id=99999999999999999999999", BookNews::Unclear),
        (r#"{"appointment_id": {"id": 1}}"#, BookNews::Unclear),
        (r#"{"appointment_id": 5501.5}"#, BookNews::Unclear),
        (r#"{"appointment": 5501}"#, BookNews::Unclear),
        ("[5501]", BookNews::Unclear),
        ("null", BookNews::Unclear),
        ("", BookNews::Unclear),
        ("\u{0}\u{1}%ZZ", BookNews::Unclear),
    ] {
        assert_eq!(announced(body.as_bytes()), Announced::Book(expected), "{body}");
    }
    assert_eq!(announced(&[0xff, 0xfe, 0]), Announced::Book(BookNews::Unclear));
    let many = (0..1000).map(|key| format!("k{key}=1&")).collect::<String>() + "appointment_id=1";
    assert_eq!(announced(many.as_bytes()), Announced::Book(BookNews::Unclear));
}

async fn standing(clinic: &Clinic) -> Vec<Subscription> {
    clinic.provet.subscriptions().await.unwrap()
}

fn hooks(clinic: &Clinic) -> Vec<Value> {
    clinic.sim.inspect(|state| state.rows(Table::Hook).cloned().collect())
}

#[tokio::test]
async fn ours_cover_everything_only_while_each_is_there_active_and_of_the_whole_organisation() {
    let clinic = Clinic::new().await;
    assert!(standing(&clinic).await.is_empty());
    clinic.provet.subscribe(&SecretString::from(CALLBACK), never()).await.unwrap();
    let made = standing(&clinic).await;
    assert!(matches!(made.as_slice(), [one] if one.is_ours && one.covers_everything
        && one.callback.expose_secret() == CALLBACK && one.expires_at.is_none()));
    let ids: Vec<u64> = hooks(&clinic).iter().map(|hook| hook["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    let department = clinic.department();
    let department = clinic.sim.inspect(|state| state.address(Table::Department, department));
    for (wrong, right) in [
        (json!({"active": false}), json!({"active": true})),
        (json!({"department": department}), json!({"department": null})),
        (json!({"trigger": 1}), json!({"trigger": hooks(&clinic)[0]["trigger"]})),
    ] {
        clinic.sim.staff(|state, now| state.change(Table::Hook, ids[0], &wrong, now));
        assert!(!standing(&clinic).await[0].covers_everything, "{wrong}");
        clinic.sim.staff(|state, now| state.change(Table::Hook, ids[0], &right, now));
        assert!(standing(&clinic).await[0].covers_everything);
    }
    // One that somebody made by hand is theirs, and stays.
    clinic.sim.staff(|state, now| {
        let theirs =
            json!({"trigger": 21, "url": "https://elsewhere.example/", "name": "Reminders", "active": true});
        state.add(Table::Hook, theirs, now)
    });
    let all = standing(&clinic).await;
    assert_eq!(all.iter().filter(|known| known.is_ours).count(), 1);
    for ours in all.iter().filter(|known| known.is_ours) {
        clinic.provet.unsubscribe(&ours.id).await.unwrap();
        clinic.provet.unsubscribe(&ours.id).await.unwrap();
    }
    assert_eq!(hooks(&clinic).len(), 1);
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn without_the_right_it_is_said_how_to_make_them_by_hand() {
    let clinic = Clinic::new().await;
    clinic.sim.conduct(|conduct| conduct.missing_rights.push("Settings: Integration settings".into()));
    let error = clinic.provet.subscribe(&SecretString::from(CALLBACK), never()).await.unwrap_err();
    let mut said = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        said.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(said.contains("by hand") && !said.contains(CALLBACK), "{said}");
}

#[tokio::test]
async fn our_own_writing_does_not_come_back_as_news_and_somebody_elses_does() {
    let clinic = Clinic::new().await;
    let held = clinic.provet.insert(&clinic.order(7, at(monday(), "10:00"), NEW)).await.unwrap();
    let ours = BookNews::Appointment(held.appointment.clone());
    let asked = || clinic.sim.inspect(|state| state.exchanges().count());
    let before = asked();
    for _ in 0..11 {
        assert!(!clinic.provet.heard(&ours), "each try to deliver it");
    }
    clinic.provet.stamp(week()).await.unwrap();
    assert_eq!(asked(), before, "nothing was asked for");
    assert!(!clinic.provet.heard(&BookNews::Unclear));

    let theirs = clinic.enter(at(monday(), "12:00"), None);
    assert!(clinic.provet.heard(&news(theirs)));
    let stamp = clinic.provet.stamp(week()).await.unwrap();
    assert_eq!(asked(), before + 1, "what changed, and nothing else");
    clinic.sim.staff(|state, _| state.delete(Table::Appointment, theirs));
    assert!(clinic.provet.heard(&news(theirs)));
    assert_ne!(clinic.provet.stamp(week()).await.unwrap(), stamp, "it is gone");
    assert_eq!(asked(), before + 3, "what changed, and the one that did not");
    // A minute later the practice may have changed ours.
    clinic.pass(61);
    assert!(clinic.provet.heard(&ours));
    clinic.nothing_was_wrong();
}

#[tokio::test]
async fn a_flood_of_news_costs_no_more_than_a_hundred_looks() {
    let clinic = Clinic::new().await;
    clinic.provet.stamp(week()).await.unwrap();
    let before = clinic.sim.inspect(|state| state.exchanges().count());
    for forged in 500_000..502_000 {
        clinic.provet.heard(&news(forged));
    }
    clinic.provet.stamp(week()).await.unwrap();
    let after = clinic.sim.inspect(|state| state.exchanges().count());
    assert_eq!(after, before + 1, "appointments that nobody knows are not asked for one by one");
}
