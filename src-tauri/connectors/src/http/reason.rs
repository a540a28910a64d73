//! The other side's own words, made fit for a log.

/// No sentence that helps anybody is longer, in characters.
const LONGEST: usize = 160;

/// One line of the other side's words, shortened, without anything that could be a value: what stands in quotation
/// marks, e-mail addresses, and numbers of four digits and more.
pub fn short_reason(text: &str) -> String {
    let mut line = String::new();
    let mut quoted_by: Option<char> = None;
    let mut before = ' ';
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        match quoted_by {
            Some(end) if letter == end => {
                quoted_by = None;
                line.push_str("… ");
            }
            Some(_) => {}
            // An apostrophe within a word opens nothing.
            None => match closing(letter).filter(|_| !before.is_alphanumeric()) {
                Some(end) => quoted_by = Some(end),
                None => line.push(letter),
            },
        }
        before = letter;
    }
    if quoted_by.is_some() {
        line.push('…');
    }
    let words: Vec<String> = line.split_whitespace().map(without_values).collect();
    let words = words.join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

fn closing(opening: char) -> Option<char> {
    match opening {
        '"' => Some('"'),
        '\'' => Some('\''),
        '`' => Some('`'),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

fn without_values(word: &str) -> String {
    if word.contains('@') || word.chars().filter(|letter| letter.is_numeric()).count() >= 4 {
        "…".to_owned()
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_left_out() {
        for (said, kept) in [
            ("unknown resource", "unknown resource"),
            ("unknown resource 'R-7' on\n\tMonday", "unknown resource … on Monday"),
            ("pmsPatientId \"P-5521\" isn't known", "pmsPatientId … isn't known"),
            ("marnie@example.test was told on 0400111222", "… was told on …"),
            ("slot 3 of 12 is too long", "slot 3 of 12 is too long"),
            ("born 09-11-1984, named “Marnie", "born … named …"),
            ("", ""),
        ] {
            assert_eq!(short_reason(said), kept, "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_short_and_one_line(said in any::<String>()) {
            let kept = short_reason(&said);
            prop_assert!(kept.chars().count() <= LONGEST + 1);
            prop_assert!(!kept.chars().any(char::is_control));
        }

        #[test]
        fn no_long_number_survives(before in "[a-z ]{0,20}", number in "[0-9]{4,20}", after in "[a-z ]{0,20}") {
            let said = format!("{before}{number}{after}");
            prop_assert!(!short_reason(&said).contains(&number));
        }
    }
}
