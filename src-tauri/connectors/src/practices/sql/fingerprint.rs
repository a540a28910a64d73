//! Whether a practice database is one that the profile knows.

use std::collections::{BTreeMap, HashMap};

use super::failure::Failure;
use super::profile::{Engine, Family, Profile};
use super::session::Session;
use super::statement::Statement;
use super::value::{Parameters, Rows};

const MYSQL_COLUMNS: &str = "SELECT table_name AS table_name, column_name AS column_name, data_type AS data_type \
     FROM information_schema.columns WHERE table_schema = DATABASE()";
const SQLITE_COLUMNS: &str = "SELECT t.name AS table_name, c.name AS column_name, c.type AS data_type \
     FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c WHERE t.type IN ('table', 'view')";

/// The query for the columns of the tables that the profile names. A server with hundreds of tables would open every
/// one of them to answer for all.
fn columns_query(profile: &Profile) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    let quoted = |name: &String| format!("'{}'", name.chars().filter(|c| is_plain(*c)).collect::<String>());
    let names = profile.fingerprint.keys().map(quoted).collect::<Vec<_>>().join(", ");
    match profile.engine {
        Engine::Mysql => format!("{MYSQL_COLUMNS} AND table_name IN ({names})"),
        Engine::Sqlite => format!("{SQLITE_COLUMNS} AND t.name IN ({names})"),
    }
}

/// More than this many differences tell nobody more.
const MOST_DIFFERENCES: usize = 8;

/// Compares the tables that are there with those that the profile needs; a misfit says what differs.
pub async fn check(session: &mut Session, profile: &Profile) -> Result<(), Failure> {
    let statement = Statement::parse("columns", &columns_query(profile), profile.engine, &[])
        .map_err(|mistake| Failure::Misfit(mistake.message))?;
    let rows = session.query(&statement, &Parameters::default()).await;
    let rows = rows.map_err(|error| Failure::of(&statement.name, error))?;
    let (table, column, kind) =
        (rows.required("table_name")?, rows.required("column_name")?, rows.required("data_type")?);
    let mut there: HashMap<String, HashMap<String, String>> = HashMap::new();
    for row in &rows.rows {
        let table = rows.text_needed(row, table)?.to_ascii_lowercase();
        let column = rows.text_needed(row, column)?.to_ascii_lowercase();
        let kind = Rows::text(row, kind).unwrap_or_default();
        there.entry(table).or_default().insert(column, kind);
    }
    let differences = differences(&profile.fingerprint, &there);
    if differences.is_empty() {
        return Ok(());
    }
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    let mut listed = differences.into_iter().take(MOST_DIFFERENCES).collect::<Vec<_>>().join("; ");
    if more > 0 {
        listed.push_str(&format!("; and {more} more"));
    }
    Err(Failure::Misfit(listed))
}

fn differences(
    wanted: &BTreeMap<String, BTreeMap<String, Family>>,
    there: &HashMap<String, HashMap<String, String>>,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (table, columns) in wanted {
        let Some(found) = there.get(&table.to_ascii_lowercase()) else {
            differences.push(format!("the table `{table}` is missing, or the account may not read it"));
            continue;
        };
        for (column, family) in columns {
            match found.get(&column.to_ascii_lowercase()) {
                None => differences.push(format!("`{table}` has no column `{column}`")),
                Some(kind) if family_of(kind) != Some(*family) => differences
                    .push(format!("`{table}`.`{column}` is {kind} where {} is expected", family.name())),
                Some(_) => {}
            }
        }
    }
    differences
}

fn family_of(kind: &str) -> Option<Family> {
    let kind = kind.to_ascii_lowercase();
    let name = kind.split(['(', ' ']).next().unwrap_or_default();
    Some(match name {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric"
        | "float" | "double" | "real" | "bit" | "year" => Family::Number,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "json" => {
            Family::Text
        }
        "date" => Family::Date,
        "time" => Family::Time,
        "datetime" | "timestamp" => Family::Datetime,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Family::Bytes,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said() {
        let wanted = BTreeMap::from([
            (
                "users".to_owned(),
                BTreeMap::from([
                    ("id".to_owned(), Family::Number),
                    ("username".to_owned(), Family::Text),
                    ("calendar".to_owned(), Family::Number),
                ]),
            ),
            ("facility".to_owned(), BTreeMap::new()),
        ]);
        let there = HashMap::from([(
            "users".to_owned(),
            HashMap::from([
                ("id".to_owned(), "bigint".to_owned()),
                ("username".to_owned(), "int(11)".to_owned()),
            ]),
        )]);
        assert_eq!(
            differences(&wanted, &there),
            [
                "the table `facility` is missing, or the account may not read it",
                "`users` has no column `calendar`",
                "`users`.`username` is int(11) where text is expected",
            ]
        );
    }
}
