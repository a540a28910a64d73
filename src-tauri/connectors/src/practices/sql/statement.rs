//! A profile's SQL text with named parameters, made into what the drivers take.
//!
//! `:x` is a parameter; `:x_number` is the same value bound as a whole number, for columns where text would
//! be compared as text. `:appointments` stands for a list of a fixed length, for `IN (:appointments)`; what is left of it
//! is null, which equals nothing. Quoted text and comments are left alone.

use super::profile::Engine;
use super::value::{Parameters, Value};

/// One statement, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name in the profile.
    pub name: String,
    /// The SQL with `?` for each parameter.
    pub sql: String,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    name: String,
    as_number: bool,
}

/// A mistake in the text, and how many bytes into it.
#[derive(Debug, PartialEq, Eq)]
pub struct StatementMistake {
    /// The text from which on something is wrong, so that it can be found in the file.
    pub near: String,
    /// What is wrong, and what to do.
    pub message: String,
}

const AS_NUMBER: &str = "_number";

/// The parameters that are lists.
const LISTS: [&str; 2] = ["appointments", "patients"];

/// How many values a list takes at once.
pub const LIST_LENGTH: usize = 100;

/// The parameter that holds one value of a list.
pub fn list_item(list: &str, at: usize) -> String {
    format!("{list}.{at}")
}

impl Statement {
    /// Reads the text. `known` are the parameters that this statement may use.
    pub fn parse(name: &str, text: &str, engine: Engine, known: &[&str]) -> Result<Self, StatementMistake> {
        let mut sql = String::with_capacity(text.len());
        let mut parameters = Vec::new();
        let mut rest = text.trim().trim_end_matches(';');
        if rest.is_empty() {
            return Err(StatementMistake {
                near: String::new(),
                message: format!("`{name}` is empty: give its SQL"),
            });
        }
        while let Some(first) = rest.chars().next() {
            let taken = match first {
                '\'' | '"' | '`' => quoted(rest, first, engine),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '#' if engine == Engine::Mysql => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '?' => {
                    return Err(StatementMistake {
                        near: "?".into(),
                        message: format!("`{name}` uses `?`: name the parameter, like `:day`"),
                    });
                }
                ':' => {
                    let word = parameter_word(rest);
                    if word.is_empty() {
                        1
                    } else {
                        let parameter = known_parameter(name, word, known)?;
                        if LISTS.contains(&parameter.name.as_str()) {
                            let each =
                                |at| Parameter { name: list_item(&parameter.name, at), ..parameter.clone() };
                            parameters.extend((0..LIST_LENGTH).map(each));
                            sql.push_str(&["?"; LIST_LENGTH].join(", "));
                        } else {
                            parameters.push(parameter);
                            sql.push('?');
                        }
                        rest = rest.get(1 + word.len()..).unwrap_or_default();
                        continue;
                    }
                }
                other => other.len_utf8(),
            };
            let (copied, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            sql.push_str(copied);
            rest = after;
        }
        Ok(Self { name: name.to_owned(), sql, parameters })
    }

    /// Whether it uses a parameter.
    pub fn uses(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }

    /// The values in the order in which the SQL takes them.
    pub fn bind(&self, values: &Parameters) -> Vec<Value> {
        let value = |parameter: &Parameter| {
            let value = values.get(&parameter.name);
            if parameter.as_number { value.as_number() } else { value }
        };
        self.parameters.iter().map(value).collect()
    }
}

fn quoted(text: &str, quote: char, engine: Engine) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && engine == Engine::Mysql && quote != '`' {
            escaped = true;
        } else if c == quote {
            // A doubled quote ends one piece and begins the next, which comes to the same.
            return at + c.len_utf8();
        }
    }
    text.len()
}

fn parameter_word(text: &str) -> &str {
    let word = text.get(1..).unwrap_or_default();
    let end = word.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let word = word.get(..end.unwrap_or(word.len())).unwrap_or_default();
    if word.starts_with(|c: char| c.is_ascii_digit()) { "" } else { word }
}

fn known_parameter(statement: &str, word: &str, known: &[&str]) -> Result<Parameter, StatementMistake> {
    if known.contains(&word) {
        return Ok(Parameter { name: word.to_owned(), as_number: false });
    }
    if let Some(name) = word.strip_suffix(AS_NUMBER)
        && known.contains(&name)
    {
        return Ok(Parameter { name: name.to_owned(), as_number: true });
    }
    let mut listed: Vec<String> = known.iter().map(|name| format!(":{name}")).collect();
    listed.sort();
    let offer = if listed.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it takes {}", listed.join(", "))
    };
    Err(StatementMistake {
        near: format!(":{word}"),
        message: format!("`{statement}` uses the unknown parameter `:{word}`: {offer}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Statement, StatementMistake> {
        Statement::parse("q", text, Engine::Mysql, &["day", "resource"])
    }

    #[test]
    fn parameters_outside_quotes_and_comments() {
        let text = "SELECT ':day', \"a\\\":day\", `:day`, x -- :day\n/* :day */ FROM t WHERE d = :day AND r=:resource_number;";
        let statement = parse(text).unwrap();
        assert_eq!(
            statement.sql,
            "SELECT ':day', \"a\\\":day\", `:day`, x -- :day\n/* :day */ FROM t WHERE d = ? AND r=?"
        );
        let values = Parameters::default()
            .with("day", Value::Text("2026-01-01".into()))
            .with("resource", Value::Text("17".into()));
        assert_eq!(statement.bind(&values), [Value::Text("2026-01-01".into()), Value::Integer(17)]);
        let strange = Parameters::default().with("resource", Value::Text("17 OR 1=1".into()));
        assert_eq!(statement.bind(&strange), [Value::Null, Value::Null]);
    }

    #[test]
    fn sqlite_knows_no_backslash() {
        let statement = Statement::parse("q", r"SELECT '\', :day", Engine::Sqlite, &["day"]).unwrap();
        assert_eq!(statement.sql, r"SELECT '\', ?");
    }

    #[test]
    fn a_list_takes_what_it_is_given_and_the_rest_equals_nothing() {
        let text = "SELECT 1 FROM t WHERE id IN (:appointments_number)";
        let statement = Statement::parse("q", text, Engine::Mysql, &["appointments"]).unwrap();
        assert_eq!(statement.sql.matches('?').count(), LIST_LENGTH);
        let values = Parameters::default()
            .with(list_item("appointments", 0), Value::Text("17".into()))
            .with(list_item("appointments", 1), Value::Text("5@2026-09-14".into()));
        let bound = statement.bind(&values);
        assert_eq!((bound.len(), &bound[0]), (LIST_LENGTH, &Value::Integer(17)));
        assert!(bound[1..].iter().all(|value| *value == Value::Null));
    }

    #[test]
    fn mistakes_say_what_to_do() {
        assert_eq!(
            parse("SELECT :dya").unwrap_err().message,
            "`q` uses the unknown parameter `:dya`: it takes :day, :resource"
        );
        assert_eq!(parse("SELECT ?").unwrap_err().message, "`q` uses `?`: name the parameter, like `:day`");
        assert_eq!(parse(" ; ").unwrap_err().message, "`q` is empty: give its SQL");
    }
}
