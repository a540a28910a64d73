//! How much the fields say together, in the manner of Fellegi and Sunter.
//!
//! For each field and each way in which it can compare there are probabilities: `m`, that it comes out so when the
//! booking and the record are one person, and `u`, that it does when they are two. `log2(m / u)` is the field's weight
//! in bits; the weights add up, and the odds before anything was compared are added to them. Ten bits are a thousand to
//! one.
//!
//! Two people are not two people: whoever is no stranger shares a phone, an address and a surname with the patient. So
//! there are three answers to "who else could it be", each with its own `u` and its own odds, and the one that leaves
//! the least certainty counts:
//!
//! - a **stranger** out of 200,000,
//! - a **twin**, who shares everything but the first name, and whose first name is often alike,
//! - a **namesake of the family**, father and son, who share everything but the birth date.
//!
//! The probabilities are estimates: `m` from how often people mistype, move, marry and change numbers between two
//! visits, `u` from how common values are. What matters is their order of magnitude; `cargo xtask bench matching` shows
//! what they do.

use super::Field;
use super::compare::Level;

/// From here on it is one person: a thousand to one against each of the three.
pub(super) const SURE: f64 = 10.0;

/// From here on a person is asked: as likely as not.
pub(super) const POSSIBLE: f64 = 0.0;

/// By how much the likeliest record has to be ahead of the next.
pub(super) const MARGIN: f64 = 5.0;

/// The odds that whoever is found is the patient rather than one of the three, in bits: a practice of 200,000 records,
/// one patient in forty with a twin or a namesake of the family there.
const ODDS: [f64; 3] = [-17.6, 5.0, 5.0];

/// `m`, and `u` for a stranger, a twin, and a namesake of the family.
type Row = (f64, [f64; 3]);

fn row(field: Field, level: Level) -> Option<Row> {
    use Level::{
        Around, BesideOnCard, Initial, Missing, Near, OtherForm, Part, Same, ShortForm, Swapped, YearSlip,
    };
    let row = match (field, level) {
        (_, Missing) => return None,
        (Field::FirstName, Same) => (0.93, [0.012, 0.0005, 0.95]),
        (Field::FirstName, ShortForm) => (0.02, [0.002, 0.0003, 0.01]),
        (Field::FirstName, OtherForm) => (0.005, [0.003, 0.005, 0.004]),
        (Field::FirstName, Near) => (0.02, [0.003, 0.03, 0.01]),
        (Field::FirstName, Initial) => (0.005, [0.05, 0.004, 0.005]),
        (Field::FirstName, Swapped) => (0.005, [0.0001, 0.0001, 0.005]),
        (Field::FirstName, _) => (0.003, [0.93, 0.96, 0.02]),
        (Field::LastName, Same) => (0.91, [0.01, 0.93, 0.9]),
        (Field::LastName, Part) => (0.01, [0.0005, 0.005, 0.02]),
        (Field::LastName, Near) => (0.02, [0.002, 0.01, 0.02]),
        (Field::LastName, Swapped) => (0.005, [0.0002, 0.005, 0.005]),
        (Field::LastName, _) => (0.045, [0.98, 0.05, 0.05]),
        (Field::BirthDate, Same) => (0.965, [0.000_04, 0.98, 0.0003]),
        (Field::BirthDate, Swapped) => (0.006, [0.000_03, 0.006, 0.0002]),
        (Field::BirthDate, Near) => (0.01, [0.0006, 0.006, 0.0003]),
        (Field::BirthDate, YearSlip) => (0.005, [0.0006, 0.005, 0.02]),
        (Field::BirthDate, _) => (0.003, [0.998, 0.003, 0.97]),
        (Field::Phone, Same) => (0.75, [0.000_03, 0.5, 0.5]),
        (Field::Phone, Near) => (0.02, [0.0005, 0.02, 0.02]),
        (Field::Phone, _) => (0.2, [0.999, 0.45, 0.45]),
        (Field::Email, Same) => (0.75, [0.000_02, 0.35, 0.35]),
        (Field::Email, Near) => (0.02, [0.0001, 0.01, 0.01]),
        (Field::Email, _) => (0.2, [0.999, 0.6, 0.6]),
        (Field::Address, Same) => (0.65, [0.0003, 0.8, 0.65]),
        (Field::Address, Near) => (0.06, [0.0003, 0.05, 0.06]),
        (Field::Address, Around) => (0.12, [0.06, 0.05, 0.12]),
        (Field::Address, _) => (0.16, [0.93, 0.1, 0.17]),
        (Field::Medicare, Same) => (0.85, [0.000_001, 0.002, 0.002]),
        (Field::Medicare, Around) => (0.85, [0.000_005, 0.85, 0.5]),
        (Field::Medicare, BesideOnCard) => (0.005, [0.000_005, 0.9, 0.5]),
        (Field::Medicare, _) => (0.13, [0.999, 0.15, 0.5]),
    };
    Some(row)
}

/// What a comparison says, in bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    /// How much likelier it is that they are one person than the likeliest other explanation.
    pub certainty: f64,
    /// Agreement from 0 to 1000, over the fields that both sides have.
    pub score: u32,
}

pub(super) fn weigh(levels: &[(Field, Level)]) -> Weight {
    let mut certainties = ODDS;
    let (mut reached, mut possible) = (0.0, 0.0);
    let against_a_stranger = |(m, [stranger, ..]): Row| (m / stranger).log2();
    for (field, level) in levels {
        let Some(row) = row(*field, *level) else { continue };
        for (certainty, u) in certainties.iter_mut().zip(row.1) {
            *certainty += (row.0 / u).log2();
        }
        if let Some(best) = self::row(*field, Level::Same) {
            possible += against_a_stranger(best);
            reached += against_a_stranger(row).clamp(0.0, against_a_stranger(best));
        }
    }
    let share = if possible > 0.0 { (reached / possible * 1000.0).round().clamp(0.0, 1000.0) } else { 0.0 };
    Weight { certainty: certainties.into_iter().fold(f64::INFINITY, f64::min), score: thousandths(share) }
}

/// A whole number from 0 to 1000.
fn thousandths(share: f64) -> u32 {
    (0..=1000).rev().find(|number| f64::from(*number) <= share).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [Level; 11] = [
        Level::Same,
        Level::ShortForm,
        Level::OtherForm,
        Level::Near,
        Level::Initial,
        Level::Part,
        Level::Swapped,
        Level::YearSlip,
        Level::Around,
        Level::BesideOnCard,
        Level::Differs,
    ];

    #[test]
    fn the_probabilities_of_a_field_add_up_to_no_more_than_one() {
        for field in Field::ALL {
            let own: Vec<Row> = LEVELS
                .iter()
                .filter(|level| {
                    **level == Level::Differs || row(field, **level) != row(field, Level::Differs)
                })
                .filter_map(|level| row(field, *level))
                .collect();
            let sum = |of: &dyn Fn(&Row) -> f64| own.iter().map(of).sum::<f64>();
            // Whether somebody is told on a card is the practice's habit: `Same` and `Around` share their probability.
            let at_most = if field == Field::Medicare { 2.0 } else { 1.01 };
            assert!(sum(&|row| row.0) <= at_most, "{field:?}: m");
            for other in 0..3 {
                assert!(sum(&|row| row.1[other]) <= at_most, "{field:?}: u of {other}");
            }
        }
    }

    #[test]
    fn a_score_is_the_share_of_what_could_agree() {
        let all = Field::ALL.map(|field| (field, Level::Same));
        assert_eq!(weigh(&all).score, 1000);
        assert_eq!(weigh(&[(Field::Phone, Level::Differs)]).score, 0);
        assert_eq!(weigh(&[(Field::Phone, Level::Missing)]).score, 0);
        assert_eq!([thousandths(0.0), thousandths(999.0), thousandths(1000.0)], [0, 999, 1000]);
    }
}
