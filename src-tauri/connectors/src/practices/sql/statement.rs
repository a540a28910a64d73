//! A profile's SQL text with named parameters, made into what the drivers take.
//!
//! `:x` is a parameter; `:x_number` is the same value bound as a whole number, for columns where text would
//! be compared as text. `:appointments` stands for a list of a fixed length, for `IN (:appointments)`; what is left of it
//! is null, which equals nothing. Quoted text and comments are left alone.

use super::place::Origin;
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
    /// How many bytes into the SQL, and into the text that it was read from, each piece begins that is copied as it is.
    pieces: Vec<(usize, usize)>,
    /// Where it stands, where that is a clinic's own profile.
    origin: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    name: String,
    as_number: bool,
}

/// Where in a statement's SQL the database stumbled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// So many bytes into it.
    Byte(usize),
    /// At this text, on this line of it, counted from 1.
    Near {
        /// The text from there on, as far as the server shows it; nothing is the end.
        text: String,
        /// The line.
        line: usize,
    },
}

impl Spot {
    fn byte(&self, sql: &str) -> usize {
        match self {
            Spot::Byte(at) => *at,
            Spot::Near { text, .. } if text.is_empty() => sql.len(),
            Spot::Near { text, line } => {
                let starts = sql.split_inclusive('\n').scan(0, |sum, line| {
                    let start = *sum;
                    *sum += line.len();
                    Some(start)
                });
                let start = starts.take(*line).last().unwrap_or(0);
                // Servers count lines in ways of their own, but the text is there.
                let after = sql.get(start..).and_then(|rest| Some(start + rest.find(text.as_str())?));
                after.or_else(|| sql.find(text.as_str())).unwrap_or(start)
            }
        }
    }
}

/// A mistake in the text, and how many bytes into it.
#[derive(Debug, PartialEq, Eq)]
pub struct StatementMistake {
    /// How many bytes into the text.
    pub at: usize,
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
        let trimmed = text.trim().trim_end_matches(';');
        let lead = text.len() - text.trim_start().len();
        let mut pieces = vec![(0, lead)];
        let mut rest = trimmed;
        if rest.is_empty() {
            return Err(StatementMistake { at: 0, message: format!("`{name}` is empty: give its SQL") });
        }
        while let Some(first) = rest.chars().next() {
            let at = lead + (trimmed.len() - rest.len());
            let taken = match first {
                '\'' | '"' | '`' => quoted(rest, first, engine),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '#' if engine == Engine::Mysql => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '?' => {
                    return Err(StatementMistake {
                        at,
                        message: format!("`{name}` uses `?`: name the parameter, like `:day`"),
                    });
                }
                ':' => {
                    let word = parameter_word(rest);
                    if word.is_empty() {
                        1
                    } else {
                        let parameter = known_parameter(name, word, known)
                            .map_err(|message| StatementMistake { at, message })?;
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
                        pieces.push((sql.len(), at + 1 + word.len()));
                        continue;
                    }
                }
                other => other.len_utf8(),
            };
            let (copied, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            sql.push_str(copied);
            rest = after;
        }
        Ok(Self { name: name.to_owned(), sql, parameters, pieces, origin: None })
    }

    /// The same, with where it stands.
    pub fn with_origin(self, origin: Option<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// File, line and column of a place in the SQL, or of its beginning; nothing where it is no clinic's own.
    pub fn place(&self, spot: Option<&Spot>) -> Option<String> {
        let at = spot.map_or(0, |spot| spot.byte(&self.sql));
        let (sql, text) = self.pieces.iter().rev().find(|(sql, _)| *sql <= at).copied().unwrap_or_default();
        let next = self.pieces.iter().find(|(sql, _)| *sql > at);
        // Within what stands for a parameter there are more bytes than in the text.
        let within = (text + (at - sql)).min(next.map_or(usize::MAX, |(_, text)| text.saturating_sub(1)));
        Some(self.origin.as_ref()?.words(within))
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

fn known_parameter(statement: &str, word: &str, known: &[&str]) -> Result<Parameter, String> {
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
    Err(format!("`{statement}` uses the unknown parameter `:{word}`: {offer}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::place::OwnFile;
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
    fn what_the_database_stumbles_over_is_found_in_the_file() {
        let sql = "\n SELECT é FROM t\n WHERE d = :day AND id IN (:appointments_number)\n   AND wrong = 1 ;";
        let text = format!("[query]\nappointments = \"\"\"{sql}\"\"\"\n");
        let begins = text.find('"').unwrap();
        let file = Arc::new(OwnFile { name: "profiles/own.toml".into(), text });
        let value = sql.strip_prefix('\n').unwrap();
        let plain = Statement::parse("q", value, Engine::Mysql, &["day", "appointments"]).unwrap();
        let statement = plain.clone().with_origin(Some(Origin { file, begins }));
        let place = |spot: Option<&Spot>| statement.place(spot).unwrap();
        let byte = |what: &str| Spot::Byte(statement.sql.find(what).unwrap());
        let at = |line: usize, column: usize| format!("`profiles/own.toml`, line {line}, column {column}");
        assert_eq!(place(None), at(3, 2));
        assert_eq!(place(Some(&byte("FROM"))), at(3, 11));
        assert_eq!(place(Some(&byte("AND id"))), at(4, 17));
        assert_eq!(place(Some(&byte("wrong"))), at(5, 8));
        let in_the_list = Spot::Byte(statement.sql.find("?, ?").unwrap() + 200);
        assert!(place(Some(&in_the_list)).starts_with("`profiles/own.toml`, line 4, "));
        let near = |text: &str, line| Spot::Near { text: text.into(), line };
        assert_eq!(place(Some(&near("wrong = 1", 3))), at(5, 8));
        assert_eq!(place(Some(&near("wrong = 1", 1))), at(5, 8));
        assert_eq!(place(Some(&near("FROM t\n WHERE", 2))), at(3, 11), "the server counts otherwise");
        assert_eq!(place(Some(&near("not there", 2))), at(4, 1));
        assert_eq!(place(Some(&near("", 3))), at(5, 18));
        assert_eq!(plain.place(None), None, "a shipped profile is nothing to correct");
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        assert_eq!(parse("\n SELECT '?', :day = ?").unwrap_err().at, 21);
        assert_eq!(parse("SELECT ':dya', :dya").unwrap_err().at, 15);
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
