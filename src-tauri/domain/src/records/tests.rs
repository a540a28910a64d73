//! Which record is which, case by case.

use super::*;

fn details(first: &str, last: &str, born: &str, phone: &str, email: &str) -> PersonDetails {
    PersonDetails {
        first_name: Private::new(first.into()),
        last_name: Private::new(last.into()),
        birth_date: Private::new(born.parse().ok()),
        phones: vec![Private::new(phone.into())],
        email: Private::new(email.into()),
        ..PersonDetails::default()
    }
}

fn ravi() -> PersonDetails {
    details("Ravi", "Calloway", "1979-01-30", "555 010 2030", "ravi@example.test")
}

fn patient(id: &str, details: PersonDetails) -> PatientRecord {
    PatientRecord::new(PatientRef::new(id), details)
}

fn foreign(id: &str, details: PersonDetails) -> ForeignRecord {
    ForeignRecord {
        kind: LinkKind::Patient,
        id: ForeignRecordId::new(id),
        told_as: None,
        former: Vec::new(),
        details,
        invoice: None,
        archived: false,
        merged_into: None,
        updated_at: None,
        page: None,
        shows_problem: false,
    }
}

/// Decides about patient 77, whose record the book has alone unless others are given.
fn decided(
    here: PersonDetails,
    records: &[ForeignRecord],
    named: Option<&[&str]>,
    others: &[PatientRecord],
) -> Decided {
    let here = patient("77", here);
    let book: Vec<PatientRecord> = others.iter().cloned().chain([here.clone()]).collect();
    let named: Option<Vec<ForeignRecordId>> =
        named.map(|named| named.iter().map(|id| ForeignRecordId::new(*id)).collect());
    decide(Evidence {
        patient: &here,
        told_as: &SyncId::new("harbour-77"),
        records,
        named: named.as_deref(),
        book: &book,
    })
}

fn asked(decided: Decided) -> (Vec<String>, String) {
    let Decided::Ask { candidates, reason } = decided else { panic!("{decided:?}") };
    (candidates.iter().map(|comparison| comparison.record.id.to_string()).collect(), reason)
}

#[test]
fn what_both_sides_are_sure_of_is_linked_by_itself() {
    let there = [foreign("pat-1", ravi()), foreign("pat-2", details("Ida", "Stone", "1990-02-03", "", ""))];
    let Decided::Link { record, reason } = decided(ravi(), &there, Some(&["pat-1"]), &[]) else {
        panic!("both sides are sure")
    };
    assert_eq!(record.as_str(), "pat-1");
    assert!(reason.starts_with("Same first name, surname, birth date, phone and e-mail"), "{reason}");
}

#[test]
fn a_link_that_the_partner_holds_is_known_whatever_the_names_say() {
    let renamed = details("R.", "Someone-Else", "", "", "");
    let there = [ForeignRecord { told_as: Some(SyncId::new("harbour-77")), ..foreign("pat-1", renamed) }];
    assert_eq!(decided(ravi(), &there, None, &[]), Decided::Known(ForeignRecordId::new("pat-1")));
}

#[test]
fn a_record_that_is_linked_to_something_else_is_left_alone() {
    let there = [ForeignRecord { told_as: Some(SyncId::new("old-1")), ..foreign("pat-1", ravi()) }];
    let Decided::Conflict { record, .. } = decided(ravi(), &there, Some(&["pat-1"]), &[]) else {
        panic!("it is linked to something else")
    };
    assert_eq!(record.as_str(), "pat-1");
}

#[test]
fn the_partners_matching_has_to_say_the_same_and_nothing_else() {
    let there = [foreign("pat-1", ravi()), foreign("pat-2", details("Ida", "Stone", "1990-02-03", "", ""))];
    for named in [None, Some(&[][..]), Some(&["pat-2"]), Some(&["pat-1", "pat-2"])] {
        let (candidates, reason) = asked(decided(ravi(), &there, named, &[]));
        assert_eq!(candidates[0], "pat-1");
        assert!(reason.contains("own matching does not say the same"), "{reason}");
        let says_two = named.is_some_and(|named| named.contains(&"pat-2"));
        assert_eq!(candidates.contains(&"pat-2".to_owned()), says_two, "{candidates:?}");
    }
    // Somebody whom only the partner finds is looked at by a person.
    let (candidates, _) = asked(decided(ravi(), &there[1..], Some(&["pat-2"]), &[]));
    assert_eq!(candidates, ["pat-2"]);
    assert_eq!(decided(ravi(), &there[1..], Some(&[]), &[]), Decided::Nobody);
}

#[test]
fn whoever_is_not_certain_is_asked_about() {
    let changed = [
        // Married, moved, and born on a day that nobody knows.
        details("Ravi", "Stone", "1979-01-30", "555 010 2030", "ravi@example.test"),
        details("Ravi", "Calloway", "", "555 010 2030", "ravi@example.test"),
        details("Ravi", "Calloway", "1979-01-30", "555 010 9999", "other@example.test"),
    ];
    for there in changed {
        asked(decided(ravi(), &[foreign("pat-1", there)], Some(&["pat-1"]), &[]));
    }
    let put_away = ForeignRecord { archived: true, ..foreign("pat-1", ravi()) };
    let (_, reason) = asked(decided(ravi(), &[put_away], Some(&["pat-1"]), &[]));
    assert!(reason.contains("put away"), "{reason}");
}

#[test]
fn twins_and_duplicates_on_either_side_are_never_linked_by_themselves() {
    let twin = details("Rani", "Calloway", "1979-01-30", "555 010 2030", "ravi@example.test");
    match decided(ravi(), &[foreign("pat-1", twin.clone())], Some(&["pat-1"]), &[]) {
        Decided::Ask { .. } => {}
        other @ (Decided::Known(_) | Decided::Link { .. } | Decided::Conflict { .. } | Decided::Nobody) => {
            panic!("{other:?}")
        }
    }
    let there = [foreign("pat-1", ravi()), foreign("pat-2", ravi())];
    let (candidates, _) = asked(decided(ravi(), &there, Some(&["pat-1"]), &[]));
    assert_eq!(candidates, ["pat-1", "pat-2"]);
    let here_twice = [patient("78", ravi())];
    let (_, reason) = asked(decided(ravi(), &there[..1], Some(&["pat-1"]), &here_twice));
    assert!(reason.starts_with("Another record in the book"), "{reason}");
    // A duplicate that staff merged away stands in nobody's way.
    let merged = [PatientRecord { merged_into: Some(PatientRef::new("77")), ..patient("78", ravi()) }];
    assert!(matches!(decided(ravi(), &there[..1], Some(&["pat-1"]), &merged), Decided::Link { .. }));
}

#[test]
fn a_record_that_was_merged_away_is_not_meant() {
    let merged =
        ForeignRecord { merged_into: Some(ForeignRecordId::new("pat-2")), ..foreign("pat-1", ravi()) };
    let there = [merged, foreign("pat-2", ravi())];
    let Decided::Link { record, .. } = decided(ravi(), &there, Some(&["pat-2"]), &[]) else {
        panic!("one is left")
    };
    assert_eq!(record.as_str(), "pat-2");
}

#[test]
fn no_reason_names_anybody() {
    let there = [foreign("pat-1", details("Ravi", "Stone", "1979-01-30", "555 010 2030", "r@example.test"))];
    let (_, reason) = asked(decided(ravi(), &there, Some(&["pat-1"]), &[]));
    for private in ["Ravi", "Calloway", "Stone", "1979", "555", "example"] {
        assert!(!reason.contains(private), "{reason}");
    }
}

#[test]
fn former_names_are_carried_over_only_where_the_people_agree() {
    let left = |told_as: Option<&str>| ForeignRecord {
        told_as: told_as.map(SyncId::new),
        former: vec![FormerName { field: "import_id", name: "77".into() }],
        ..foreign("pat-1", ravi())
    };
    let here = patient("77", ravi());
    assert_eq!(former_fit(&left(None), Some(&here)), FormerFit::Fits(PatientRef::new("77")));
    assert_eq!(former_fit(&left(Some("harbour-77")), Some(&here)), FormerFit::Replaced);
    assert_eq!(former_fit(&left(None), None), FormerFit::Unknown);
    let somebody = patient("77", details("Ida", "Stone", "1990-02-03", "555 010 7777", ""));
    assert!(matches!(former_fit(&left(None), Some(&somebody)), FormerFit::Doubtful(_)));
    let merged = PatientRecord { merged_into: Some(PatientRef::new("80")), ..here };
    assert_eq!(former_fit(&left(None), Some(&merged)), FormerFit::Unknown);
}

#[test]
fn practitioners_are_suggested_by_name_the_likeliest_first() {
    let there = |id: &str, first: &str, last: &str| ForeignRecord {
        kind: LinkKind::Practitioner,
        ..foreign(id, details(first, last, "", "", ""))
    };
    let records = [there("pct-1", "Mei", "Lee"), there("pct-2", "Jo", "Lee"), there("pct-3", "Ada", "Byron")];
    let lee = PractitionerNames { id: "r1".into(), name: "Dr Jo Lee".into() };
    let like: Vec<&str> =
        practitioners_like(&lee, &records).into_iter().map(|record| record.id.as_str()).collect();
    assert_eq!(like, ["pct-2", "pct-1"]);
}

fn invoice(id: &str, number: Option<&str>, cents: i64) -> LocalInvoice {
    let facts = InvoiceFacts {
        number: number.map(str::to_owned),
        date: "2026-05-01".parse().ok(),
        total_in_cents: Some(cents),
        patient: Some("77".into()),
    };
    LocalInvoice { id: id.into(), facts }
}

fn invoice_there(id: &str, like: &LocalInvoice) -> ForeignRecord {
    let facts = InvoiceFacts { patient: Some("pat-1".into()), ..like.facts.clone() };
    ForeignRecord { kind: LinkKind::Invoice, invoice: Some(facts), ..foreign(id, PersonDetails::default()) }
}

#[test]
fn invoices_agree_to_the_cent_or_are_asked_about() {
    let told_as = SyncId::new("harbour-9");
    let ours = invoice("9", Some("INV-9"), 12_050);
    let theirs = invoice_there("inv-1", &ours);
    let decide = |records: &[ForeignRecord], siblings: &[LocalInvoice]| {
        decide_invoice(&ours, &told_as, records, siblings)
    };
    let id = |id: &str| ForeignRecordId::new(id);
    let alone = std::slice::from_ref(&ours);
    assert_eq!(decide(std::slice::from_ref(&theirs), alone), InvoiceDecided::Link(id("inv-1")));
    let a_cent_more = invoice_there("inv-1", &invoice("9", Some("INV-9"), 12_051));
    assert_eq!(decide(&[a_cent_more], alone), InvoiceDecided::Nothing);
    // Two of one day and amount, on either side, and one whose number is another.
    let again = invoice_there("inv-2", &ours);
    assert_eq!(decide(&[theirs.clone(), again], alone), InvoiceDecided::Ask(vec![id("inv-1"), id("inv-2")]));
    let twice = [ours.clone(), invoice("10", Some("INV-10"), 12_050)];
    assert_eq!(decide(std::slice::from_ref(&theirs), &twice), InvoiceDecided::Ask(vec![id("inv-1")]));
    let renumbered = invoice_there("inv-1", &invoice("9", Some("2026-1"), 12_050));
    assert_eq!(decide(&[renumbered], alone), InvoiceDecided::Ask(vec![id("inv-1")]));
    let linked = ForeignRecord { told_as: Some(SyncId::new("old-9")), ..theirs.clone() };
    assert_eq!(decide(&[linked], alone), InvoiceDecided::Conflict(id("inv-1")));
    let known = ForeignRecord { told_as: Some(told_as.clone()), ..theirs };
    assert_eq!(decide(&[known], alone), InvoiceDecided::Known(id("inv-1")));
}
