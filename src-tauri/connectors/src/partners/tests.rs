//! What holds for every partner in the list.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_partner_is_named_once_and_says_what_it_is_for() {
    let mut names = BTreeSet::new();
    for card in cards() {
        assert!(names.insert(card.name), "{} is listed twice", card.name);
        assert!(!card.title.is_empty() && card.purpose.ends_with('.') && card.when_unlinked.ends_with('.'));
        let keys: BTreeSet<&str> = card.fields.iter().map(|field| field.key).collect();
        assert_eq!(keys.len(), card.fields.len(), "{} has a key twice", card.name);
        for field in card.fields {
            assert!(
                !field.label.is_empty() && !field.where_to_find.is_empty(),
                "{}.{}",
                card.name,
                field.key
            );
        }
    }
}

#[test]
fn a_partner_that_is_drawn_from_its_card_is_called_as_its_folder() {
    for linkable in LINKABLE {
        assert_eq!(linkable.id().title(), linkable.card.title);
        for field in linkable.card.fields {
            let default = field.default.map(|default| field.read(default));
            assert!(default.is_none_or(|default| default.is_ok()), "{} suggests what it refuses", field.key);
        }
    }
}

#[test]
fn names_of_two_words_are_written_as_people_write_them() {
    assert_eq!(PartnerId::new("validic").title(), "Validic");
    assert_eq!(PartnerId::new("two-words").title(), "Two Words");
}
