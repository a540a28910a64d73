//! The shapes of the service's answers, from our own made-up fixtures, and that the simulator's have the same.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Clinic, at, friday};
use crate::practices::provet::sim::Table;
use crate::practices::provet::wire::{Appointment, Client, Flag, Page, Relation, Shift};

const APPOINTMENTS: &str = include_str!("../fixtures/appointments.json");
const CLIENT: &str = include_str!("../fixtures/client.json");
const SHIFT: &str = include_str!("../fixtures/shift.json");

fn read<T: DeserializeOwned>(fixture: &str) -> T {
    serde_json::from_str(fixture).unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn offsets_relations_and_flags_are_read_however_one_tenant_mixes_them() {
    let page: Page<Appointment> = read(APPOINTMENTS);
    assert_eq!((page.count, page.next), (Some(2), None));
    let [trim, meeting] = page.results.as_slice() else { panic!("two appointments") };
    assert_eq!((trim.start, trim.end), (instant("2026-11-23T14:00:00Z"), instant("2026-11-23T14:30:00Z")));
    assert_eq!((trim.kind, meeting.kind), (Some(2), Some(4)));
    assert_eq!(trim.user, Some(Relation(17)), "the segments before the number come in more than one order");
    assert_eq!(trim.additional_users, [Relation(18)]);
    assert_eq!((trim.client, trim.reason), (Some(Relation(880)), Some(Relation(5))));
    assert_eq!((trim.active, meeting.active), (Some(Flag(true)), Some(Flag(false))));
    assert_eq!((trim.notes.as_str(), meeting.client), ("", None));
    assert_eq!(trim.modified, Some(instant("2026-11-20T03:12:45.250Z")));

    let client: Client = read(CLIENT);
    assert_eq!((client.firstname.as_str(), client.lastname.as_str()), ("Jarrah", "Examplar"));
    assert_eq!((client.archived, client.remarks.as_str()), (Some(Flag(false)), ""));
    assert_eq!(client.patients, [Relation(990)]);

    let shift: Shift = read(SHIFT);
    assert_eq!((shift.start, shift.end), (instant("2026-11-23T13:00:00Z"), instant("2026-11-23T21:00:00Z")));
    assert_eq!((shift.web, shift.shift_type), (Some(Flag(true)), Some(Relation(4))));
}

/// The names of fields, and whether each is a text, a number, a list …; what is null can be any of them.
fn shape(row: &Value) -> BTreeSet<(&str, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => None,
        Value::Bool(_) => Some("a flag"),
        Value::Number(number) if number.as_u64().is_some_and(|number| number < 2) => Some("a flag"),
        Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a text"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("an object"),
    };
    row.as_object().unwrap().iter().filter_map(|(name, value)| Some((name.as_str(), kind(value)?))).collect()
}

#[tokio::test]
async fn the_simulator_answers_in_the_same_shapes() {
    let clinic = Clinic::new().await;
    let somebody =
        clinic.sim.inspect(|state| state.rows(Table::Client).next().unwrap()["id"].as_u64().unwrap());
    clinic.enter(at(friday(), "11:00"), Some(somebody));
    let first: Value = read::<Page<Value>>(APPOINTMENTS).results.remove(0);
    for (table, fixture, needed) in [
        (
            Table::Appointment,
            first,
            ["start", "end", "department", "user", "client", "active", "modified"].as_slice(),
        ),
        (
            Table::Client,
            read(CLIENT),
            &["firstname", "lastname", "email", "patients", "archived", "modified"],
        ),
        (Table::Shift, read(SHIFT), &["start", "end", "user", "department", "web"]),
    ] {
        let row = clinic.sim.inspect(|state| state.rows(table).last().cloned().unwrap());
        let (answered, known) = (shape(&row), shape(&fixture));
        for name in needed {
            let of = |shape: &BTreeSet<(&str, &'static str)>| {
                shape.iter().find(|(field, _)| field == name).map(|(_, kind)| *kind)
            };
            assert_eq!(of(&answered), of(&known), "{table:?}.{name}");
        }
    }
}
