//! What goes into statements and comes out of them, whichever database it is.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{NaiveDate, NaiveDateTime};

use super::failure::Misread;
use super::statement::Statement;

/// One value. It may be about a person, so it does not print.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Text; dates are `YYYY-MM-DD`, with ` HH:MM:SS` where they have a time.
    Text(String),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<value>")
    }
}

impl Value {
    /// The text, or nothing where there is none.
    pub fn optional_text(text: Option<&str>) -> Self {
        text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
    }

    /// A day as text.
    pub fn day(day: NaiveDate) -> Self {
        Value::Text(day.format("%Y-%m-%d").to_string())
    }

    /// The same as a whole number; text that is none becomes null, which no row equals.
    pub fn as_number(&self) -> Self {
        match self {
            Value::Null => Value::Null,
            Value::Integer(number) => Value::Integer(*number),
            Value::Real(number) => Value::Real(*number),
            Value::Text(text) => text.parse().map_or(Value::Null, Value::Integer),
        }
    }
}

/// The values of a statement's parameters, by name.
#[derive(Clone, Debug, Default)]
pub struct Parameters(BTreeMap<String, Value>);

impl Parameters {
    /// Sets one.
    pub fn set(&mut self, name: impl Into<String>, value: Value) -> &mut Self {
        self.0.insert(name.into(), value);
        self
    }

    /// The same with one more.
    pub fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// Reads one; one that was never set is null.
    pub fn get(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or(Value::Null)
    }
}

/// What a query returned.
#[derive(Debug, Default)]
pub struct Rows {
    /// Which query it was, for messages.
    pub query: String,
    /// Where that query stands, where it is in a clinic's own profile.
    pub place: Option<String>,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

/// Where a column stands in each row.
#[derive(Clone, Copy, Debug)]
pub struct Column(Option<usize>);

impl Rows {
    /// What a statement returned.
    pub fn of(statement: &Statement, columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self { query: statement.name.clone(), place: statement.place(None), columns, rows }
    }

    /// A column that the query has to return.
    pub fn required(&self, name: &str) -> Result<Column, Misread> {
        match self.position(name) {
            Some(position) => Ok(Column(Some(position))),
            None => Err(Misread::ColumnMissing {
                query: self.query.clone(),
                place: self.place.clone(),
                column: name.to_owned(),
            }),
        }
    }

    /// A column that the query may leave out; it then reads as null.
    pub fn optional(&self, name: &str) -> Column {
        Column(self.position(name))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    fn cell(row: &[Value], column: Column) -> &Value {
        column.0.and_then(|position| row.get(position)).unwrap_or(&Value::Null)
    }

    fn wrong(&self, column: Column, expected: &'static str) -> Misread {
        let name = column.0.and_then(|position| self.columns.get(position));
        Misread::WrongValue { query: self.query.clone(), column: name.cloned().unwrap_or_default(), expected }
    }

    /// The text of a cell; numbers are written out, and empty text is nothing.
    pub fn text(row: &[Value], column: Column) -> Option<String> {
        match Self::cell(row, column) {
            Value::Null => None,
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        }
    }

    /// The same, taken out of the cell instead of copied: a large book has millions of them.
    pub fn take_text(row: &mut [Value], column: Column) -> Option<String> {
        let cell = column.0.and_then(|position| row.get_mut(position))?;
        if let Value::Text(text) = cell {
            return Some(std::mem::take(text)).filter(|text| !text.is_empty());
        }
        Self::text(row, column)
    }

    /// The text of a cell that must hold something.
    pub fn text_needed(&self, row: &[Value], column: Column) -> Result<String, Misread> {
        Self::text(row, column).ok_or_else(|| self.wrong(column, "some text"))
    }

    /// The whole number in a cell, or nothing. Decimals, which is how some servers send sums and times, are cut off.
    pub fn integer(&self, row: &[Value], column: Column) -> Result<Option<i64>, Misread> {
        let text = match Self::cell(row, column) {
            Value::Null => return Ok(None),
            Value::Integer(number) => return Ok(Some(*number)),
            Value::Real(number) => format!("{number:.3}"),
            Value::Text(text) if text.is_empty() => return Ok(None),
            Value::Text(text) => text.trim().to_owned(),
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let number = whole.parse().ok().filter(|_| decimals.bytes().all(|b| b.is_ascii_digit()));
        number.map(Some).ok_or_else(|| self.wrong(column, "a whole number"))
    }

    /// The whole number in a cell that must hold one.
    pub fn integer_needed(&self, row: &[Value], column: Column) -> Result<i64, Misread> {
        self.integer(row, column)?.ok_or_else(|| self.wrong(column, "a whole number"))
    }

    /// Whether a cell says yes; nothing and zero are no.
    pub fn flag(&self, row: &[Value], column: Column) -> Result<bool, Misread> {
        Ok(self.integer(row, column)?.is_some_and(|number| number != 0))
    }

    /// The day in a cell, or nothing; days of the year nought are nothing (zero dates).
    pub fn day(&self, row: &[Value], column: Column) -> Result<Option<NaiveDate>, Misread> {
        let Some(text) = Self::text(row, column) else { return Ok(None) };
        if text.starts_with("0000") {
            return Ok(None);
        }
        let day = text.get(..10).and_then(|day| day.parse().ok());
        day.map(Some).ok_or_else(|| self.wrong(column, "a day as YYYY-MM-DD"))
    }

    /// The wall-clock time in a cell; what cannot be read is nothing, because it is shown and never computed with.
    pub fn moment(row: &[Value], column: Column) -> Option<NaiveDateTime> {
        let text = Self::text(row, column)?;
        let text = text.get(..19)?;
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
            .ok()
    }
}
