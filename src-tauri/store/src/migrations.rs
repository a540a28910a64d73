//! The schema, as the list of steps that led to it. A released step is never edited.

use rusqlite::{Connection, TransactionBehavior};

/// The steps, in order. A file's `user_version` is the number of steps that it has taken.
pub(crate) const STEPS: &[&str] = &[
    include_str!("../migrations/0001_start.sql"),
    include_str!("../migrations/0020_settled_people.sql"),
    include_str!("../migrations/0021_undone_in_the_practice.sql"),
    include_str!("../migrations/0022_documents.sql"),
    include_str!("../migrations/0023_webhooks.sql"),
    include_str!("../migrations/0024_placing.sql"),
    include_str!("../migrations/0025_people.sql"),
    include_str!("../migrations/0026_counted_links.sql"),
    include_str!("../migrations/0027_practice_answers.sql"),
    include_str!("../migrations/0028_consents_of_a_system.sql"),
    include_str!("../migrations/0029_document_api.sql"),
    include_str!("../migrations/0030_accounts.sql"),
    include_str!("../migrations/0031_provet.sql"),
    include_str!("../migrations/0032_registrations.sql"),
    include_str!("../migrations/0033_sign_in.sql"),
];

#[derive(Debug)]
pub(crate) enum MigrationError<C> {
    TooNew { found: usize, known: usize },
    Copy(C),
    Sqlite(rusqlite::Error),
}

impl<C> From<rusqlite::Error> for MigrationError<C> {
    fn from(error: rusqlite::Error) -> Self {
        MigrationError::Sqlite(error)
    }
}

/// Brings `conn` to the newest schema, one transaction per step. Before the first step on a file that has taken some
/// already, `copy` is called with the number of that step, and nothing is changed unless it succeeds.
pub(crate) fn run<C>(
    conn: &mut Connection,
    steps: &[&str],
    copy: impl FnOnce(&Connection, usize) -> Result<(), C>,
) -> Result<(), MigrationError<C>> {
    let found = version(conn)?;
    if found > steps.len() {
        return Err(MigrationError::TooNew { found, known: steps.len() });
    }
    if found > 0 && found < steps.len() {
        copy(conn, found + 1).map_err(MigrationError::Copy)?;
    }
    for (step, sql) in (1_usize..).zip(steps).skip(found) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", i64::try_from(step).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

/// How many steps the file has taken.
pub(crate) fn version(conn: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
