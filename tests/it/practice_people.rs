//! What staff write about patients in the practice system, and what becomes of it at VALD Hub: consents that are held
//! there, records that were put away, merged or deleted, and details that nobody could send.

use crate::profiles::{TENANT, becomes, link, linked, linked_in, practice, says, vald};
use connectors::partners::vald::landing;
use connectors::practices::SHIPPED;
use domain::consent::{Agreement, Consent, ConsentHow, Said};
use domain::ids::PatientRef;
use domain::link::LinkState;
use domain::ports::store::Consents;
use serde_json::Value;
use tests::{System, World};

on_both!(
    a_column_of_the_practice_system_gives_consent_and_takes_it_back,
    a_record_that_staff_merged_is_ended_in_words,
    details_that_nobody_could_send_are_listed_with_what_is_missing,
);

/// The table of patients and its columns for key, given name, family name, birth date and a text of the clinic's own.
struct Columns {
    table: &'static str,
    key: &'static str,
    given: &'static str,
    family: &'static str,
    born: &'static str,
    text: &'static str,
}

fn columns(system: System) -> Columns {
    match system {
        System::Demo => Columns {
            table: "patient",
            key: "id",
            given: "first_name",
            family: "last_name",
            born: "birth_date",
            text: "usertext1",
        },
        System::OpenEmr => Columns {
            table: "patient_data",
            key: "pid",
            given: "fname",
            family: "lname",
            born: "DOB",
            text: "usertext1",
        },
        System::Provet => panic!("Provet Cloud has no tables to write to"),
    }
}

/// A profile of the clinic's own in the data folder: the shipped one, changed.
fn own_profile(world: &World, change: impl FnOnce(&str) -> String) {
    let name = world.staff().profile();
    let (_, shipped) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap();
    let folder = world.folder().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.toml")), change(shipped)).unwrap();
}

fn set(world: &World, system: System, patient: i64, what: &str) {
    let Columns { table, key, .. } = columns(system);
    world.staff().sql(&format!("UPDATE {table} SET {what} WHERE {key} = {patient}"));
}

async fn consent(world: &World, patient: &PatientRef) -> Option<Consent> {
    world.store.consent(&practice(), &vald(), patient).await.unwrap()
}

async fn a_column_of_the_practice_system_gives_consent_and_takes_it_back(system: System) {
    let world = World::new(tests::Make::on(system)).await;
    let Columns { table, key, text, .. } = columns(system);
    if matches!(system, System::Demo) {
        world.staff().sql("ALTER TABLE patient ADD COLUMN usertext1 TEXT NOT NULL DEFAULT ''");
    }
    let stamp = match system {
        System::Demo => "stamp = \"SELECT id, usertext1 FROM patient WHERE usertext1 <> ''\"",
        System::OpenEmr | System::Provet => "",
    };
    own_profile(&world, |shipped| {
        format!(
            "{shipped}\n[consent.vald]\nyes = [\"yes\"]\nno = [\"no\"]\n{stamp}\nquery = \"SELECT {key} AS patient, {text} AS \
             answer FROM {table} WHERE {key} > :after_number AND {text} <> '' ORDER BY {key} LIMIT :limit_number\"\n"
        )
    });
    let known: Vec<i64> = world.known_patients().iter().take(3).map(|(number, _)| *number).collect();
    set(&world, system, known[0], "usertext1 = 'Yes'");
    let (world, sim) = linked_in(world).await;
    let patients: Vec<PatientRef> = known.iter().map(|number| PatientRef::new(number.to_string())).collect();
    becomes(&world, &patients[0], LinkState::Linked).await;
    let held = consent(&world, &patients[0]).await.unwrap();
    assert_eq!(held.line.how, ConsentHow::PracticeSystem);
    assert_eq!(
        sim.inspect(|state| state.imports(TENANT).count()),
        1,
        "of whom nothing is said nothing is sent"
    );

    // Staff take it back, somebody else agrees, and a third field holds what nobody explained.
    set(&world, system, known[0], "usertext1 = 'no'");
    set(&world, system, known[1], "usertext1 = 'yes'");
    set(&world, system, known[2], "usertext1 = 'ja'");
    becomes(&world, &patients[1], LinkState::Linked).await;
    let ended = becomes(&world, &patients[0], LinkState::Ended).await;
    assert!(ended.reason.unwrap().contains("by hand"));
    assert!(link(&world, &patients[2]).await.is_none());
    let told = world.told().await;
    let told: Vec<&str> =
        told.iter().filter(|line| line.kind == "look/consents/vald").map(|line| line.text.as_str()).collect();
    assert!(matches!(told.as_slice(), [one] if one.contains("\"ja\" (1 patient)")), "{told:?}");
    world.finish().await;
}

async fn a_record_that_staff_merged_is_ended_in_words(system: System) {
    let (world, sim) = linked(system).await;
    let known: Vec<i64> = world.known_patients().iter().take(3).map(|(number, _)| *number).collect();
    let patients: Vec<PatientRef> = known.iter().map(|number| PatientRef::new(number.to_string())).collect();
    for patient in &patients {
        says(&world, patient, Said::Yes(Agreement::default())).await;
    }
    for patient in &patients {
        becomes(&world, patient, LinkState::Linked).await;
    }
    let sent = sim.inspect(|state| state.imports(TENANT).count());
    match system {
        System::Demo => {
            set(&world, system, known[0], &format!("merged_into = {}", known[1]));
            set(&world, system, known[2], "inactive = 1");
            let merged = becomes(&world, &patients[0], LinkState::Ended).await.reason.unwrap();
            assert!(merged.contains(&format!("merged into record {}", known[1])), "{merged}");
            assert!(merged.contains("remove the profile in VALD Hub by hand"), "{merged}");
            let inactive = becomes(&world, &patients[2], LinkState::Ended).await.reason.unwrap();
            assert!(inactive.contains("inactive"), "{inactive}");
            // Whoever comes again is kept in step again.
            set(&world, system, known[2], "inactive = 0");
            becomes(&world, &patients[2], LinkState::Linked).await;
        }
        System::Provet => panic!("Provet Cloud says nothing of records that staff merged"),
        System::OpenEmr => {
            // As the merge tool does: the appointments move to the target, and the source's row is deleted.
            world.staff().sql(&format!(
                "UPDATE openemr_postcalendar_events SET pc_pid = '{}' WHERE pc_pid = '{}'",
                known[1], known[0]
            ));
            world.staff().sql(&format!("DELETE FROM patient_data WHERE pid = {}", known[0]));
            let gone = becomes(&world, &patients[0], LinkState::Ended).await.reason.unwrap();
            assert!(gone.contains("deleted, or merged into another one"), "{gone}");
            assert!(gone.contains("merge the two profiles in VALD Hub"), "{gone}");
        }
    }
    assert_eq!(link(&world, &patients[1]).await.unwrap().state, LinkState::Linked, "the target stands");
    world.pass(60).await;
    assert_eq!(sim.inspect(|state| state.imports(TENANT).count()), sent, "nothing more was sent");
    world.finish().await;
}

async fn details_that_nobody_could_send_are_listed_with_what_is_missing(system: System) {
    let (world, sim) = linked(system).await;
    let Columns { given, family, born, .. } = columns(system);
    let cases = [
        (format!("{born} = NULL"), "no birth date"),
        (format!("{born} = '2031-02-03'"), "birth date in the record cannot be right"),
        (format!("{born} = '1753-01-01'"), "birth date in the record cannot be right"),
        (format!("{given} = ''"), "no given name"),
        (format!("{family} = ' '"), "no family name"),
    ];
    let known: Vec<i64> =
        world.known_patients().iter().map(|(number, _)| *number).take(cases.len() + 1).collect();
    let [sound, broken @ ..] = known.as_slice() else { panic!("somebody is known") };
    assert_eq!(broken.len(), cases.len());
    for (number, (what, _)) in broken.iter().zip(&cases) {
        set(&world, system, *number, what);
    }
    for number in &known {
        says(&world, &PatientRef::new(number.to_string()), Said::Yes(Agreement::default())).await;
    }
    becomes(&world, &PatientRef::new(sound.to_string()), LinkState::Linked).await;
    for (number, (what, missing)) in broken.iter().zip(&cases) {
        let listed = becomes(&world, &PatientRef::new(number.to_string()), LinkState::NeedsPerson).await;
        let reason = listed.reason.unwrap();
        assert!(reason.contains(missing), "{what}: {reason}");
    }
    assert_eq!(sim.inspect(|state| state.imports(TENANT).count()), 1, "the others wait for nobody");
    world.finish().await;
}

#[tokio::test]
async fn keys_with_slashes_spaces_ampersands_and_letters_open_the_right_page() {
    let world = World::new(tests::Make::on(System::Demo)).await;
    // A practice system whose keys are anything but numbers.
    const KEY: &str = "'Ä/' || id || ' & b?=%2F#/../日本'";
    own_profile(&world, |shipped| {
        let people = shipped.find("\npatient = ").unwrap()..shipped.find("people_stamp = ").unwrap();
        let queries = shipped[people.clone()]
            .replace("SELECT id,", &format!("SELECT {KEY} AS id,"))
            .replace("WHERE id = :patient_number", &format!("WHERE {KEY} = :patient"))
            .replace("WHERE id > :after_number ORDER BY id", &format!("WHERE {KEY} > :after ORDER BY 1"))
            .replace("WHERE id IN (:patients_number)", &format!("WHERE {KEY} IN (:patients)"));
        format!("{}{queries}{}", &shipped[..people.start], &shipped[people.end..])
    });
    let (number, details) = world.known_patient();
    let (other, _) = world.known_patients().into_iter().nth(1).unwrap();
    let key = |number: i64| {
        PatientRef::new(world.staff().text(&format!("SELECT {KEY} FROM patient WHERE id = {number}")))
    };
    let (patient, other) = (key(number), key(other));
    let (world, sim) = linked_in(world).await;
    for patient in [&patient, &other] {
        says(&world, patient, Said::Yes(Agreement::default())).await;
    }
    let linked = becomes(&world, &patient, LinkState::Linked).await;
    becomes(&world, &other, LinkState::Linked).await;
    assert_eq!(linked.told_as, format!("p1-{patient}"));
    let told = |name: &str| {
        sim.inspect(|state| {
            let names = state.imports(TENANT).map(|import| import.body[name].clone());
            names.collect::<Vec<Value>>()
        })
    };
    assert!(told("syncId").contains(&Value::from(linked.told_as.clone())));
    let address = landing::address(&sim.hub_template(), TENANT, &linked.told_as).unwrap();
    let page = reqwest::get(address).await.unwrap().text().await.unwrap();
    assert!(page.contains(&details.lastname) && !page.contains("Failed to Load Profile"), "{page}");
    assert_eq!(sim.inspect(|state| state.mistakes().count()), 0);
    world.finish().await;
}
