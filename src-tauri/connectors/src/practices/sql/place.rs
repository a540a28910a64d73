//! Where in a profile's file something stands.

use std::fmt;
use std::sync::Arc;

/// The file of a clinic's own profile.
#[derive(PartialEq, Eq)]
pub struct OwnFile {
    /// What people look for: `profiles/own.toml`.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

impl fmt::Debug for OwnFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where a statement's SQL stands in the clinic's own profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<OwnFile>,
    /// At which byte of it the TOML string begins.
    pub begins: usize,
}

impl Origin {
    /// File, line and column of what is `at` bytes into the string, in words.
    pub fn words(&self, at: usize) -> String {
        let (line, column) = line_and_column(&self.file.text, within(&self.file.text, self.begins, at));
        format!("`{}`, line {line}, column {column}", self.file.name)
    }
}

/// Line and column of a byte of a text: both counted from 1, columns in characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The byte of the file at which stands what is `at` bytes into the value of the TOML string that begins at `begins`.
/// Escapes are longer in the file than in the value, and what ends a line with a backslash is not in the value at all.
pub fn within(file: &str, begins: usize, at: usize) -> usize {
    let raw = file.get(begins..).unwrap_or_default();
    let (quotes, escapes) = match raw {
        _ if raw.starts_with("\"\"\"") => (3, true),
        _ if raw.starts_with("'''") => (3, false),
        _ if raw.starts_with('"') => (1, true),
        _ => (1, false),
    };
    let body = raw.get(quotes..).unwrap_or_default();
    let mut rest = body;
    if quotes == 3 {
        rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    }
    let mut value = 0;
    while let Some(first) = rest.chars().next() {
        let (taken, stands_for) = match first {
            '\\' if escapes => escape(rest),
            other => (other.len_utf8(), other.len_utf8()),
        };
        // What stands for nothing lies before what comes next.
        if value >= at && stands_for > 0 {
            break;
        }
        value += stands_for;
        rest = rest.get(taken..).unwrap_or_default();
    }
    begins + quotes + (body.len() - rest.len())
}

/// How many bytes an escape takes in the file, and how many in the value.
fn escape(text: &str) -> (usize, usize) {
    let after = text.get(1..).unwrap_or_default();
    let digits = match after.chars().next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some(c) if c.is_whitespace() => return (1 + after.len() - after.trim_start().len(), 0),
        Some(_) | None => return (2, 1),
    };
    let code = after.get(1..=digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let stands_for = code.and_then(char::from_u32).map_or(1, char::len_utf8);
    (2 + digits, stands_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every letter `x` of the value is found where it stands in the file.
    #[test]
    fn what_stands_in_a_string_is_found_in_the_file() {
        #[derive(serde::Deserialize)]
        struct File {
            sql: toml::Spanned<String>,
        }
        for string in [
            "\"a x b\"",
            "'a \\n x'",
            "\"tab\\t quote\\\" \\u00e9 \\U0001F600 \\\\ x\"",
            "\"\"\"x\"\"\"",
            "\"\"\"\nSELECT ü,\n  x\"\"\"",
            "\"\"\"\r\nSELECT a,\r\n  x\"\"\"",
            "'''\nSELECT '\\', x'''",
            "\"\"\"\nSELECT a \\\n\n     x\"\"\"",
            "\"\"\"\\\n  x\"\"\"",
        ] {
            let text = format!("# é\nsql = {string}\n");
            let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{string}: {error}"));
            let at = file.sql.get_ref().find('x').unwrap();
            assert_eq!(
                within(&text, file.sql.span().start, at),
                text.find('x').unwrap(),
                "{string}: {:?}",
                file.sql.get_ref()
            );
        }
    }

    #[test]
    fn lines_and_columns_are_counted_in_characters_from_one() {
        assert_eq!(line_and_column("ab\né!x", 6), (2, 3));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
