//! Invoices that a practice keeps in its system, where the profile says that they stand.

use async_trait::async_trait;
use domain::failure::ReadError;
use domain::ports::records::InvoiceBook;
use domain::records::{InvoiceFacts, LocalInvoice};

use super::failure::Failure;
use super::session::{Known, Session};
use super::statement::Statement;
use super::value::{Rows, Value};
use super::{SqlPractice, run};

#[async_trait]
impl InvoiceBook for SqlPractice {
    async fn invoices(&self, after: Option<&str>, limit: u32) -> Result<Vec<LocalInvoice>, ReadError> {
        let Some(query) = &self.profile.query.invoices else { return Ok(Vec::new()) };
        self.reading(async |session, known| read(session, known, query, after, limit).await).await
    }
}

async fn read(
    session: &mut Session,
    known: &Known,
    query: &Statement,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<LocalInvoice>, Failure> {
    // As a number and as text it stands before every key that a system gives out.
    let after = after.unwrap_or("-1").to_owned();
    let values = known
        .probes
        .clone()
        .with("after", Value::Text(after))
        .with("limit", Value::Integer(i64::from(limit)));
    let rows = run(session, query, &values).await?;
    let (id, patient) = (rows.required("id")?, rows.required("patient")?);
    let [number, day, total] = ["number", "day", "total_in_cents"].map(|name| rows.optional(name));
    let mut invoices = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        let filled = |column| Rows::text(row, column).map(|text| text.trim().to_owned());
        invoices.push(LocalInvoice {
            id: rows.text_needed(row, id)?,
            facts: InvoiceFacts {
                number: filled(number).filter(|number| !number.is_empty()),
                date: rows.day(row, day)?,
                total_in_cents: rows.integer(row, total)?,
                patient: filled(patient).filter(|patient| !patient.is_empty()),
            },
        });
    }
    Ok(invoices)
}
