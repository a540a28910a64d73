//! Who is whom, case by case.

use super::*;
use crate::private::Private;

fn person(first: &str, last: &str, born: &str, phone: &str, email: &str) -> PersonDetails {
    PersonDetails {
        first_name: Private::new(first.into()),
        last_name: Private::new(last.into()),
        birth_date: Private::new(born.parse().ok()),
        phones: vec![Private::new(phone.into())],
        email: Private::new(email.into()),
        ..PersonDetails::default()
    }
}

fn record(id: &str, details: PersonDetails) -> PatientRecord {
    PatientRecord::new(PatientRef::new(id), details)
}

fn plan(details: &PersonDetails, records: &[PatientRecord]) -> PatientPlan {
    decide(details, None, records).plan
}

const NEW: PatientPlan = PatientPlan::New { possible_duplicate_of: None };

fn existing(id: &str) -> PatientPlan {
    PatientPlan::Existing(PatientRef::new(id))
}

fn ada() -> PersonDetails {
    person("Ada", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com")
}

#[test]
fn the_same_person_in_other_spellings() {
    for written in [
        person("ADA", "O’Brien", "1984-11-09", "+61 400 111 222", ""),
        person("Ada ", "OBRIEN", "1984-11-09", "", "ADA@example.com"),
        person("Mrs Ada", "O Brien", "1984-11-09", "(0400) 111-222", "other@example.com"),
        person("O'Brien", "Ada", "1984-11-09", "0400111222", ""),
        person("Ada", "O'Brein", "1984-11-09", "0400111222", ""),
    ] {
        assert_eq!(plan(&written, &[record("7", ada())]), existing("7"));
    }
    let nguyen = person("Thảo", "Nguyễn", "1990-01-02", "0400 111 222", "");
    let typed = person("Thao", "Nguyen", "1990-01-02", "0400 111 222", "");
    assert_eq!(plan(&typed, &[record("8", nguyen)]), existing("8"));
    let zak = person("Łukasz", "Żak", "1990-01-02", "0400 111 222", "");
    assert_eq!(
        plan(&person("Lukasz", "Zak", "1990-01-02", "0400 111 222", ""), &[record("9", zak)]),
        existing("9")
    );
}

#[test]
fn among_some_of_the_records_a_person_says() {
    let certain = [record("7", ada())];
    assert_eq!(decide(&ada(), None, &certain).plan, PatientPlan::Existing(PatientRef::new("7")));
    let asked = decide_among_some(&ada(), None, &certain);
    assert_eq!(asked.plan, PatientPlan::Undecided);
    assert_eq!(asked.candidates.first().unwrap().record.id, PatientRef::new("7"));
    let nobody = decide_among_some(&ada(), None, &[]);
    assert_eq!((nobody.plan, nobody.candidates.len()), (PatientPlan::Undecided, 0));
}

#[test]
fn twins_and_namesakes_are_never_merged() {
    let twin = person("Bea", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com");
    assert_eq!(plan(&twin, &[record("7", ada())]), NEW);
    let like_named_twins = person("Karla", "Lee", "2015-03-01", "0400 111 222", "");
    let her_twin = person("Carla", "Lee", "2015-03-01", "0400 111 222", "");
    assert_eq!(plan(&like_named_twins, &[record("7", her_twin)]), PatientPlan::Undecided);
    let father = person("John", "Smith", "1955-02-03", "0400 111 222", "");
    let son = person("John", "Smith", "1985-07-21", "0400 111 222", "");
    assert_eq!(plan(&son, &[record("7", father)]), NEW);
    // A namesake born on the same day, with nothing else in common, is asked.
    let namesake = person("Ada", "O'Brien", "1984-11-09", "0499 999 999", "other@example.com");
    assert_eq!(plan(&namesake, &[record("7", ada())]), PatientPlan::Undecided);
}

#[test]
fn a_changed_surname_is_found_and_asked_where_it_is_not_certain() {
    let married = person("Ada", "Lee", "1984-11-09", "0400 111 222", "");
    let decision = decide(&married, None, &[record("7", ada())]);
    assert_eq!(decision.plan, existing("7"));
    assert_eq!(
        decision.reason,
        "Same first name, birth date and phone; surname not the same; e-mail and address not known."
    );
    // With another e-mail and another address only the phone is left.
    let here = PersonDetails {
        street: Private::new("1 High St".into()),
        suburb: Private::new("Richmond".into()),
        email: Private::new("a.lee@example.com".into()),
        ..married
    };
    let there = PersonDetails {
        street: Private::new("9 Mill Road".into()),
        suburb: Private::new("Preston".into()),
        ..ada()
    };
    let decision = decide(&here, None, &[record("7", there)]);
    assert_eq!(decision.plan, PatientPlan::Undecided);
    assert_eq!(
        decision.reason,
        "One record could be meant: same first name, birth date and phone; surname, e-mail and address not the same."
    );
    assert_eq!(decision.candidates.len(), 1);
    // Nothing but a first name and a birth date is nobody.
    let other = person("Ada", "Lee", "1984-11-09", "0499 999 999", "other@example.com");
    assert_eq!(plan(&other, &[record("7", ada())]), NEW);
}

#[test]
fn what_changes_between_two_visits_is_found() {
    let at_home = |details: PersonDetails, street: &str, postcode: &str| PersonDetails {
        street: Private::new(street.into()),
        postcode: Private::new(postcode.into()),
        ..details
    };
    let known = record("7", at_home(ada(), "2/14 High St", "3121"));
    for typed in [
        at_home(
            person("Ada", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com"),
            "9 Mill Rd",
            "3072",
        ),
        at_home(
            person("Ada", "O'Brien", "1984-11-09", "0499 999 999", "ada@example.com"),
            "9 Mill Rd",
            "3072",
        ),
        at_home(
            person("Ada", "O'Brien", "1984-11-09", "0400 111 222", "new@example.com"),
            "9 Mill Rd",
            "3072",
        ),
        at_home(
            person("Ada", "O'Brien", "1984-11-09", "0499 999 999", "new@example.com"),
            "Unit 2, 14 High Street",
            "3121",
        ),
        at_home(
            person("Ada", "O'Brian", "1984-11-09", "0499 999 999", "ada@example.com"),
            "2/14 High St",
            "3121",
        ),
        at_home(
            person("Ada", "Obrien-Lee", "1984-11-09", "0400 111 222", "ada@example.com"),
            "2/14 High St",
            "3121",
        ),
    ] {
        assert_eq!(plan(&typed, std::slice::from_ref(&known)), existing("7"), "{:?}", typed.phones);
    }
}

#[test]
fn a_card_tells_people_apart_and_together() {
    let karla = || person("Karla", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com");
    let with_card = |details: PersonDetails, number: &str, place: &str| PersonDetails {
        medicare_number: Private::new(number.into()),
        medicare_irn: Private::new(place.into()),
        ..details
    };
    let known = record("7", with_card(karla(), "2123 45670 1", "1"));
    // A slip in the first name alone is asked, because twins' names are alike; the place on the card settles it.
    let slip = person("Carla", "O'Brien", "1984-11-09", "0400 111 222", "ada@example.com");
    assert_eq!(plan(&slip, &[record("7", karla())]), PatientPlan::Undecided);
    assert_eq!(
        plan(&with_card(slip.clone(), "2123456702", "1"), std::slice::from_ref(&known)),
        existing("7")
    );
    let beside = with_card(slip, "2123456701", "2");
    assert_ne!(plan(&beside, std::slice::from_ref(&known)), existing("7"));
    // The same person in everything, but somebody else's place: a person says.
    assert_eq!(plan(&with_card(karla(), "2123456701", "2"), &[known]), PatientPlan::Undecided);
}

#[test]
fn a_record_twice_is_asked_unless_the_link_says_which() {
    let records = [record("7", ada()), record("8", ada())];
    assert_eq!(plan(&ada(), &records), PatientPlan::Undecided);
    assert_eq!(decide(&ada(), Some(&PatientRef::new("8")), &records).plan, existing("8"));
    assert_eq!(decide(&ada(), Some(&PatientRef::new("9")), &records).plan, PatientPlan::Undecided);
}

#[test]
fn a_link_alone_is_no_match() {
    let other = person("Bob", "Lee", "1970-01-01", "0499 999 999", "");
    assert_eq!(decide(&other, Some(&PatientRef::new("7")), &[record("7", ada())]).plan, NEW);
}

#[test]
fn birth_dates_with_a_slip_are_found_and_missing_ones_asked() {
    for born in ["1984-09-11", "1984-11-08", "1984-11-19"] {
        let typed = person("Ada", "O'Brien", born, "0400 111 222", "");
        assert_eq!(plan(&typed, &[record("7", ada())]), existing("7"), "{born}");
    }
    // One digit of the year is what a father and a son can differ by.
    let typed = person("Ada", "O'Brien", "1954-11-09", "0400 111 222", "ada@example.com");
    assert_eq!(plan(&typed, &[record("7", ada())]), PatientPlan::Undecided);
    let unknown = person("Ada", "O'Brien", "", "0400 111 222", "");
    assert_eq!(plan(&unknown, &[record("7", ada())]), PatientPlan::Undecided);
}

#[test]
fn what_somebody_entered_is_recognised_by_little() {
    let name_only = record("7", person("Ada", "OBrien", "", "", ""));
    assert_eq!(entered_for(&ada(), &name_only).expect("it is her").plan, existing("7"));
    let married = record("8", person("Ada", "Lee", "1984-11-09", "0400 111 222", ""));
    assert_eq!(entered_for(&ada(), &married).expect("it is her").plan, existing("8"));
    for other in [
        person("Bea", "O'Brien", "1984-11-09", "0400 111 222", ""),
        person("Ada", "O'Brien", "1955-02-03", "0400 111 222", ""),
    ] {
        assert_eq!(entered_for(&ada(), &record("9", other)), None);
    }
}

#[test]
fn the_deceased_do_not_book() {
    let mut gone = record("7", ada());
    gone.deceased = true;
    assert_eq!(plan(&ada(), &[gone]), NEW);
}

#[test]
fn a_record_that_was_merged_into_another_is_not_booked_for() {
    let merged = PatientRecord { merged_into: Some(PatientRef::new("8")), ..record("7", ada()) };
    assert_eq!(plan(&ada(), std::slice::from_ref(&merged)), NEW);
    assert_eq!(plan(&ada(), &[merged, record("8", ada())]), PatientPlan::Existing(PatientRef::new("8")));
    let inactive = PatientRecord { inactive: true, ..record("7", ada()) };
    assert_eq!(plan(&ada(), &[inactive]), PatientPlan::Existing(PatientRef::new("7")), "people come back");
}

#[test]
fn scores_and_reasons() {
    let decision = decide(&ada(), None, &[record("7", ada())]);
    assert_eq!(decision.score, Some(1000));
    assert_eq!(decision.reason, "Same first name, surname, birth date, phone and e-mail; address not known.");
}

/// No false merge, few questions, and whoever changed is found. Prints what went wrong, by kind.
#[test]
fn a_population_is_told_apart() {
    use super::population::{Kind, Population};
    use std::collections::BTreeMap;

    let population = Population::new(3_000, 3_000, 20_261_120);
    let index = population.index();
    let mut outcomes: BTreeMap<(Kind, &str), u32> = BTreeMap::new();
    let (mut asked, mut changed, mut found) = (0, 0, 0);
    for case in &population.bookings {
        let decision = decide(&case.details, None, &index.find(&case.details));
        let outcome = match &decision.plan {
            PatientPlan::Existing(id) if Some(id) == case.truth.as_ref() => "right",
            PatientPlan::Existing(_) => "MERGED",
            PatientPlan::New { .. } if case.truth.is_none() => "right",
            PatientPlan::New { .. } => "missed",
            PatientPlan::Undecided => "asked",
        };
        *outcomes.entry((case.kind, outcome)).or_default() += 1;
        asked += u32::from(outcome == "asked");
        let among = decision.candidates.iter().any(|c| Some(&c.record.id) == case.truth.as_ref());
        changed += u32::from(case.kind.is_changed());
        found += u32::from(case.kind.is_changed() && (outcome == "right" || outcome == "asked" && among));
    }
    let outcomes_by_kind: Vec<String> =
        outcomes.iter().map(|((kind, how), n)| format!("{kind:?} {how} {n}")).collect();
    println!(
        "{}\nasked {asked} of {}, found {found} of {changed}",
        outcomes_by_kind.join("\n"),
        population.bookings.len()
    );
    assert!(!outcomes.keys().any(|(_, outcome)| *outcome == "MERGED"));
    assert!(f64::from(found) >= 0.97 * f64::from(changed));
    assert!(f64::from(asked) <= 0.03 * population.bookings.len() as f64);
}

/// The tests' own proof: weights that trust the family's shared fields merge its members.
#[test]
fn the_population_holds_what_is_hard() {
    use super::population::{Kind, Population, SHARES};

    let population = Population::new(3_000, 3_000, 20_261_120);
    for (kind, _) in SHARES {
        let of_kind = population.bookings.iter().filter(|case| case.kind == *kind).count();
        assert!(of_kind > 0 || *kind == Kind::NamesakeBornThatDay, "no booking is {kind:?}");
    }
    let index = population.index();
    let shares_the_phone = |case: &super::population::Case| {
        index.find(&case.details).iter().any(|there| {
            let (here, there) = (phones(&case.details), phones(&there.details));
            here.iter().any(|phone| there.contains(phone))
        })
    };
    let twins: Vec<_> = population.bookings.iter().filter(|case| case.kind == Kind::UnknownTwin).collect();
    assert!(twins.iter().filter(|case| shares_the_phone(case)).count() * 2 > twins.len());
}

#[test]
fn where_no_birth_dates_are_kept_name_phone_and_email_are_enough_and_less_is_asked() {
    let kept = PersonDetails { birth_date: Private::new(None), ..ada() };
    let plan = |kept: PersonDetails| {
        let records = [record("7", kept)];
        // A system that keeps birth dates asks about a record without one.
        assert_ne!(decide(&ada(), None, &records).plan, existing("7"));
        decide_by_contact(&ada(), None, &records).plan
    };
    assert_eq!(plan(kept.clone()), existing("7"));
    assert_eq!(
        plan(PersonDetails { email: Private::new("other@example.com".into()), ..kept.clone() }),
        PatientPlan::Undecided
    );
    assert_eq!(plan(PersonDetails { phones: Vec::new(), ..kept.clone() }), PatientPlan::Undecided);
    let twice = [record("7", kept.clone()), record("8", kept)];
    assert_eq!(decide_by_contact(&ada(), None, &twice).plan, PatientPlan::Undecided);
}

#[test]
fn of_a_family_that_shares_phone_and_email_nobody_is_taken_for_another() {
    let called = |first: &str, last: &str| PersonDetails {
        birth_date: Private::new(None),
        ..person(first, last, "", "0400 111 222", "home@example.com")
    };
    let decided = |who: &PersonDetails, book: &[PatientRecord]| decide_by_contact(who, None, book).plan;
    let book = [record("7", called("Alexander", "Byron")), record("8", called("Ada", "Byron"))];
    // Each by the whole name, and nobody by a part of it.
    assert_eq!(decided(&called("Ada", "Byron"), &book), existing("8"));
    assert_eq!(decided(&called("Byron", "Ada"), &book), existing("8"));
    for other in ["Alex", "Alexandra", "A", "Adah", "George", ""] {
        assert_eq!(decided(&called(other, "Byron"), &book), PatientPlan::Undecided, "{other:?}");
    }
    // A spouse with another surname, and one record for all of the house.
    assert_eq!(decided(&called("Annabella", "Milbanke"), &book), PatientPlan::Undecided);
    let asked = decide_by_contact(&called("George", "Byron"), None, &book);
    assert_eq!(asked.candidates.len(), 2, "a person chooses among the family");
    assert!(!asked.reason.contains("Byron"), "{}", asked.reason);
    // Two who are called nearly the same, although one of them fits to the letter.
    let near = [record("7", called("Alexander", "Byron")), record("9", called("Alexandra", "Byron"))];
    assert_eq!(decided(&called("Alexander", "Byron"), &near), PatientPlan::Undecided);
    let linked = PatientRef::new("7");
    let remembered = decide_by_contact(&called("Alexander", "Byron"), Some(&linked), &near);
    assert_eq!(remembered.plan, existing("7"), "the partner remembers whom it was");
    // Somebody who shares one of the two only is no family.
    let stranger =
        PersonDetails { email: Private::new("other@example.com".into()), ..called("George", "Sand") };
    assert_eq!(decided(&stranger, &book), NEW);
}
