//! How each leg of a practice went the last time.

use crate::columns::{Columns, Fault, Unreadable, all, time_text};
use crate::thread::Store;
use async_trait::async_trait;
use domain::ids::PracticeId;
use domain::ports::store::{Leg, LegNote, Problem, ProblemKind, StoreError, Watermarks};
use rusqlite::{Connection, Row, named_params};

#[async_trait]
impl Watermarks for Store {
    async fn note(&self, practice: &PracticeId, leg: Leg, note: &LegNote) -> Result<(), StoreError> {
        let (practice, note) = (practice.to_string(), note.clone());
        self.call(move |conn| {
            // Notes come every few seconds and are worth nothing after a power cut, so none of them waits for the
            // disk. Whatever is committed next takes them along.
            conn.pragma_update(None, "synchronous", "NORMAL")?;
            let written = write(conn, &practice, &leg, &note);
            conn.pragma_update(None, "synchronous", "FULL")?;
            written
        })
        .await
    }

    async fn notes(&self, practice: &PracticeId) -> Result<Vec<(Leg, LegNote)>, StoreError> {
        let practice = practice.to_string();
        self.call(move |conn| {
            let sql = "SELECT leg, proven_at, failing_since, problem_kind, problem_sentence
                       FROM leg_note WHERE practice = ?1";
            let mut notes = all(conn, sql, [practice], read)?;
            notes.sort_by(|(one, _), (other, _)| one.cmp(other));
            Ok(notes)
        })
        .await
    }
}

fn write(conn: &Connection, practice: &str, leg: &Leg, note: &LegNote) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO leg_note (practice, leg, proven_at, failing_since, problem_kind, problem_sentence)
         VALUES (:practice, :leg, :proven_at, :failing_since, :problem_kind, :problem_sentence)
         ON CONFLICT (practice, leg) DO UPDATE SET
             proven_at = excluded.proven_at, failing_since = excluded.failing_since,
             problem_kind = excluded.problem_kind, problem_sentence = excluded.problem_sentence",
    )?
    .execute(named_params! {
        ":practice": practice,
        ":leg": leg.name(),
        ":proven_at": note.proven_at.map(time_text),
        ":failing_since": note.failing_since.map(time_text),
        ":problem_kind": note.problem.as_ref().map(|problem| problem.kind.name()),
        ":problem_sentence": note.problem.as_ref().map(|problem| &problem.sentence),
    })?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<(Leg, LegNote), Fault> {
    let leg = row.parsed("leg", Leg::named)?;
    let kind = row.parsed_if_given("problem_kind", |name| {
        ProblemKind::ALL.into_iter().find(|kind| kind.name() == name)
    })?;
    let problem = match (kind, row.value::<Option<String>>("problem_sentence")?) {
        (None, None) => None,
        (Some(kind), Some(sentence)) => Some(Problem { kind, sentence }),
        (Some(_), None) | (None, Some(_)) => return Err(Unreadable("problem_sentence").into()),
    };
    Ok((
        leg,
        LegNote {
            proven_at: row.time_if_given("proven_at")?,
            failing_since: row.time_if_given("failing_since")?,
            problem,
        },
    ))
}
