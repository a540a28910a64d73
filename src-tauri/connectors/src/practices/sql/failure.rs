//! How a practice database fails, before it is said in the words of the port.

use domain::failure::{Cause, ReadError};

use super::statement::{Spot, Statement};

/// A statement that did not work.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// No connection, a broken one, or an answer that took too long.
    #[error("the practice database does not answer")]
    Unreachable(#[source] Cause),
    /// The account or its password is refused.
    #[error("the practice database refuses the account")]
    AccessDenied,
    /// The statement is wrong for this database; the words come from the server and name tables and columns only.
    #[error("{words}")]
    Statement {
        /// What the server said.
        words: String,
        /// Where in the SQL, where it said so.
        spot: Option<Spot>,
    },
    /// What the settings name is no database that could be asked.
    #[error("{0}")]
    NoDatabase(&'static str),
    /// The account may not do this; the words name the right and the table.
    #[error("{right}")]
    RightMissing {
        /// `INSERT on patient_data`.
        right: String,
    },
    /// The server refused for another reason. Its message may quote what was written, so only the number is kept.
    #[error("the practice database answered with error {code}")]
    Server {
        /// The server's number for it.
        code: u32,
    },
}

/// Rows that are not what the profile promises.
#[derive(Debug, thiserror::Error)]
pub enum Misread {
    /// A column is not there.
    #[error("query `{query}` does not return the column `{column}`")]
    ColumnMissing {
        /// The query.
        query: String,
        /// Where it stands, where that is a clinic's own profile.
        place: Option<String>,
        /// The column.
        column: String,
    },
    /// A column holds something else; the value is not shown, because it may be about a person.
    #[error("query `{query}` returns something else than {expected} in the column `{column}`")]
    WrongValue {
        /// The query.
        query: String,
        /// The column.
        column: String,
        /// What is expected there.
        expected: &'static str,
    },
}

/// What can go wrong while reading, in one type, so that `?` works along the way.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A named statement did not work.
    #[error("statement `{statement}` did not work")]
    Sql {
        /// Which.
        statement: String,
        /// Why.
        #[source]
        error: SqlError,
    },
    /// Its rows are not what was promised.
    #[error("rows that cannot be read")]
    Misread(#[from] Misread),
    /// The database is not one that the profile knows.
    #[error("{0}")]
    Misfit(String),
    /// A statement in the clinic's own profile is wrong: where, and what the database says.
    #[error("{place}: {words}")]
    OwnProfile {
        /// File, line, column, and which statement.
        place: String,
        /// What is wrong.
        words: String,
    },
}

impl Failure {
    /// A failure of a step of ours.
    pub fn of(step: &str, error: SqlError) -> Self {
        Failure::Sql { statement: step.to_owned(), error }
    }

    /// A failure of a statement of the profile. One that is wrong in the clinic's own profile is named with its place.
    pub fn in_statement(statement: &Statement, error: SqlError) -> Self {
        if let SqlError::Statement { words, spot } = &error
            && let Some(place) = statement.place(spot.as_ref())
        {
            let place = format!("{place}, in `{}`", statement.name);
            return Failure::OwnProfile { place, words: words.clone() };
        }
        Failure::of(&statement.name, error)
    }

    /// The server's number, where it gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Failure::Sql { error: SqlError::Server { code }, .. } => Some(*code),
            Failure::Sql { .. } | Failure::Misread(_) | Failure::Misfit(_) | Failure::OwnProfile { .. } => {
                None
            }
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql { statement, error } => match error {
                SqlError::Unreachable(cause) => ReadError::Unreachable(cause),
                SqlError::AccessDenied => ReadError::NotAuthorised,
                SqlError::Statement { words, .. } => {
                    ReadError::Misfit(format!("statement `{statement}`: {words}"))
                }
                SqlError::NoDatabase(words) => ReadError::Misfit(words.to_owned()),
                SqlError::RightMissing { right } => {
                    ReadError::Misfit(format!("the account lacks the right {right}"))
                }
                error @ SqlError::Server { .. } => ReadError::Garbled(Failure::of(&statement, error).into()),
            },
            Failure::Misread(Misread::ColumnMissing { place: Some(place), query, column }) => {
                ReadError::OwnProfile(format!(
                    "{place}, in `{query}`: it does not return the column `{column}`"
                ))
            }
            Failure::Misread(misread @ Misread::ColumnMissing { place: None, .. }) => {
                ReadError::Misfit(misread.to_string())
            }
            Failure::Misread(misread @ Misread::WrongValue { .. }) => ReadError::Garbled(misread.into()),
            Failure::Misfit(differs) => ReadError::Misfit(differs),
            wrong @ Failure::OwnProfile { .. } => ReadError::OwnProfile(wrong.to_string()),
        }
    }
}
