//! The id of an organisation, as people type it.

/// The groups of a UUID, by their lengths.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// How many digits that is.
const DIGITS: usize = 32;

/// Why something that was typed is no organisation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTenantId {
    /// Nothing.
    #[error("the organisation id is missing; VALD Hub shows it in the settings of the organisation")]
    Missing,
    /// A letter that no such id has.
    #[error(
        "an organisation id has the digits 0 to 9 and the letters a to f only, and “{0}” is none of them; copy it from VALD Hub again"
    )]
    Letter(char),
    /// Some are missing, or there are too many.
    #[error(
        "an organisation id has {DIGITS} letters and digits, and this one has {0}; copy it from VALD Hub again"
    )]
    Length(usize),
    /// Hyphens at the wrong places.
    #[error(
        "the hyphens of an organisation id stand between groups of 8, 4, 4, 4 and 12; copy it from VALD Hub again"
    )]
    Hyphens,
    /// What stands in examples.
    #[error("this organisation id is nothing but zeros: put in the one that VALD Hub shows")]
    Zeros,
}

/// The id as VALD writes it: in small letters, with hyphens. Braces, quotation marks, blanks and capital letters come
/// from copying, and are no mistake; nor is an id without any hyphen.
///
/// # Errors
/// [`NoTenantId`] names the mistake.
pub fn tenant_id(typed: &str) -> Result<String, NoTenantId> {
    let from_copying =
        |letter: char| letter.is_whitespace() || matches!(letter, '{' | '}' | '(' | ')' | '"' | '\'');
    let id: String = typed.chars().filter(|letter| !from_copying(*letter)).collect();
    if let Some(wrong) = id.chars().find(|letter| !letter.is_ascii_hexdigit() && *letter != '-') {
        return Err(NoTenantId::Letter(wrong));
    }
    let digits: String = id.to_ascii_lowercase().chars().filter(|letter| *letter != '-').collect();
    match digits.len() {
        0 => return Err(NoTenantId::Missing),
        DIGITS => {}
        other => return Err(NoTenantId::Length(other)),
    }
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    if id.contains('-') && lengths != GROUPS {
        return Err(NoTenantId::Hyphens);
    }
    if digits.bytes().all(|digit| digit == b'0') {
        return Err(NoTenantId::Zeros);
    }
    let mut rest = digits.chars();
    let groups = GROUPS.map(|length| rest.by_ref().take(length).collect::<String>());
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "11111111-2222-4333-8444-55555555abcd";

    #[test]
    fn what_comes_from_copying_is_forgiven() {
        for typed in [
            ID.to_owned(),
            format!(" {{{}}}\n", ID.to_uppercase()),
            format!("\"{ID}\""),
            ID.replace('-', ""),
            ID.replace('-', " - "),
        ] {
            assert_eq!(tenant_id(&typed), Ok(ID.to_owned()), "{typed}");
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        for (typed, mistake) in [
            ("", NoTenantId::Missing),
            (" {} ", NoTenantId::Missing),
            ("11111111-2222-4333-8444-55555555abcg", NoTenantId::Letter('g')),
            ("O1111111-2222-4333-8444-55555555abcd", NoTenantId::Letter('O')),
            ("11111111–2222–4333–8444–55555555abcd", NoTenantId::Letter('–')),
            ("11111111-2222-4333-8444-55555555abc", NoTenantId::Length(31)),
            ("11111111-2222-4333-8444-55555555abcde", NoTenantId::Length(33)),
            ("111111112-222-4333-8444-55555555abcd", NoTenantId::Hyphens),
            ("00000000-0000-0000-0000-000000000000", NoTenantId::Zeros),
        ] {
            assert_eq!(tenant_id(typed), Err(mistake), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_an_id_or_named_wrong(typed in any::<String>()) {
            if let Ok(id) = tenant_id(&typed) {
                prop_assert_eq!(tenant_id(&id), Ok(id));
            }
        }
    }
}
