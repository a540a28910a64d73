//! Practitioners and invoices. There are few of the former and most clinics' systems tell of none of the latter, so that
//! both are looked at once an hour, whole.

use super::plan::{Checked, checked, seen};
use super::{RecordLinks, Stop, notes};
use chrono::TimeDelta;
use domain::consent::{Consent, Said};
use domain::ids::{ForeignRecordId, SyncId};
use domain::link::{Link, LinkKind, LinkState};
use domain::ports::records::{InvoiceBook, RecordRegister, RecordsRead};
use domain::ports::store::Leg;
use domain::records::{
    ForeignRecord, InvoiceDecided, LocalInvoice, PractitionerNames, TAKEN, decide_invoice, practitioners_like,
};
use std::collections::BTreeMap;

/// How often they are looked at.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// While the book was not read yet.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// How many invoices are read from the book in one go.
const PAGE: u32 = 500;

impl RecordLinks {
    /// Looks at what is no patient.
    pub(super) async fn look_at_others(&self, register: &dyn RecordRegister) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        // Invoices follow their patients, who come first.
        if self.memory(|memory| memory.compared.is_none() || !memory.queue.is_empty()) {
            return Ok(());
        }
        if self.memory(|memory| memory.others_at).is_some_and(|at| now < at && at - now <= EVERY) {
            return Ok(());
        }
        let staff = self.ports.state.resources(self.ports.id());
        if register.kinds().contains(&LinkKind::Practitioner) && !staff.is_empty() {
            let staff = staff
                .into_iter()
                .map(|resource| PractitionerNames { id: resource.id.to_string(), name: resource.name });
            self.look_at_staff(register, &staff.collect::<Vec<_>>()).await?;
        }
        if register.kinds().contains(&LinkKind::Invoice)
            && let Some(book) = self.ports.practice.invoice_book()
        {
            self.look_at_invoices(register, book).await?;
        }
        let wait = if self.ports.state.resources(self.ports.id()).is_empty() { SOON } else { EVERY };
        self.memory(|memory| memory.others_at = Some(now + wait));
        Ok(())
    }

    async fn links_of(&self, kind: LinkKind) -> Result<BTreeMap<String, Link>, Stop> {
        let links = self.ports.store.links(self.ports.id(), Some(self.partner.id())).await?;
        let of_kind = links.into_iter().filter(|link| link.key.kind == kind);
        Ok(of_kind.map(|link| (link.key.local_id.clone(), link)).collect())
    }

    async fn all_of(&self, register: &dyn RecordRegister, kind: LinkKind) -> Result<RecordsRead, Stop> {
        let read = register.records(kind, None).await.map_err(|error| self.of_partner(error))?;
        self.ports.proven(self.leg()).await?;
        Ok(read)
    }

    /// Looks at a link that is known. Returns it where somebody, or a closer look, still has to say what it is linked to.
    async fn look_at_known(
        &self,
        register: &dyn RecordRegister,
        link: &Link,
        read: &RecordsRead,
        consent: Option<&Consent>,
    ) -> Result<Option<Link>, Stop> {
        let theirs =
            read.records.iter().find(|record| Some(record.id.as_str()) == link.partner_id.as_deref());
        match link.state {
            LinkState::Linked => match checked(link, theirs, read.whole, self.ports.clock.now()) {
                Checked::Stands => Ok(None),
                Checked::Changed(after) => self.keep(&after).await.map(|()| None),
                Checked::Moved(after) => {
                    self.keep(&after).await?;
                    self.carry_out(register, &link.key, consent).await.map(|()| None)
                }
            },
            LinkState::Pending if link.partner_id.is_some() => {
                self.carry_out(register, &link.key, consent).await.map(|()| None)
            }
            LinkState::Ended => self.take_away(register, link, consent).await.map(|()| None),
            LinkState::Failed if link.refused == theirs.map(seen) => Ok(None),
            LinkState::Failed => self.carry_out(register, &link.key, consent).await.map(|()| None),
            LinkState::Conflict if theirs.is_some_and(|theirs| theirs.told_as.is_some()) => Ok(None),
            LinkState::Conflict | LinkState::Pending | LinkState::NeedsPerson => Ok(Some(link.clone())),
        }
    }

    /// Suggests who is who: a name alone is not enough to say so.
    async fn look_at_staff(
        &self,
        register: &dyn RecordRegister,
        staff: &[PractitionerNames],
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let read = self.all_of(register, LinkKind::Practitioner).await?;
        let links = self.links_of(LinkKind::Practitioner).await?;
        for practitioner in staff {
            let key = self.key(LinkKind::Practitioner, &practitioner.id);
            let mut link = match links.get(&practitioner.id) {
                Some(link) => match self.look_at_known(register, link, &read, None).await? {
                    Some(link) => link,
                    None => continue,
                },
                None => Link::new(key.clone(), register.told_as(&practitioner.id).to_string(), now),
            };
            let told_as = SyncId::new(link.told_as.clone());
            if let Some(record) = holder(&read.records, &told_as) {
                self.linked(link, record).await?;
                continue;
            }
            let refused = notes::refused(&self.ports, &key, &told_as).await?;
            let like: Vec<ForeignRecordId> = practitioners_like(practitioner, &read.records)
                .into_iter()
                .filter(|record| !refused.contains(&record.id))
                .map(|record| record.id.clone())
                .collect();
            if like.is_empty() {
                continue;
            }
            notes::set_suggested(&self.ports, &key, &told_as, like).await?;
            let reason = format!(
                "Names alone are not enough: say which practitioner at {} this is.",
                self.partner.id().title()
            );
            link.becomes(LinkState::NeedsPerson, Some(reason), now);
            self.keep(&link).await?;
        }
        Ok(())
    }

    /// Links the invoices of patients who are linked and still agree to that.
    async fn look_at_invoices(
        &self,
        register: &dyn RecordRegister,
        book: &dyn InvoiceBook,
    ) -> Result<(), Stop> {
        let patients = self.links_of(LinkKind::Patient).await?;
        let consents = self.ports.store.consents(self.ports.id(), self.partner.id()).await?;
        let agreed: BTreeMap<&str, &Consent> = consents
            .iter()
            .filter(|consent| matches!(consent.line.said, Said::Yes(_)))
            .map(|consent| (consent.line.patient.as_str(), consent))
            .collect();
        let mut of_patient: BTreeMap<String, Vec<LocalInvoice>> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = book.invoices(after.as_deref(), PAGE).await;
            let page = page.map_err(|error| Stop::Failed(Leg::System, error))?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|invoice| invoice.id.clone());
            for invoice in page {
                if let Some(patient) = invoice.facts.patient.clone() {
                    of_patient.entry(patient).or_default().push(invoice);
                }
            }
            if last || after.is_none() {
                break;
            }
        }
        let read = self.all_of(register, LinkKind::Invoice).await?;
        let links = self.links_of(LinkKind::Invoice).await?;
        for (patient, invoices) in &of_patient {
            let linked = patients.get(patient).filter(|link| link.state == LinkState::Linked);
            let (Some(theirs), Some(consent)) =
                (linked.and_then(|link| link.partner_id.as_deref()), agreed.get(patient.as_str()))
            else {
                continue;
            };
            let records: Vec<ForeignRecord> = read
                .records
                .iter()
                .filter(|record| {
                    record.invoice.as_ref().and_then(|facts| facts.patient.as_deref()) == Some(theirs)
                })
                .cloned()
                .collect();
            for invoice in invoices {
                self.look_at_invoice(register, invoice, invoices, &records, &read, &links, consent).await?;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is known for many invoices at once")]
    async fn look_at_invoice(
        &self,
        register: &dyn RecordRegister,
        invoice: &LocalInvoice,
        siblings: &[LocalInvoice],
        records: &[ForeignRecord],
        read: &RecordsRead,
        links: &BTreeMap<String, Link>,
        consent: &Consent,
    ) -> Result<(), Stop> {
        let now = self.ports.clock.now();
        let key = self.key(LinkKind::Invoice, &invoice.id);
        let mut link = match links.get(&invoice.id) {
            Some(link) => match self.look_at_known(register, link, read, Some(consent)).await? {
                Some(link) => link,
                None => return Ok(()),
            },
            None => Link::new(key.clone(), register.told_as(&invoice.id).to_string(), now),
        };
        let told_as = SyncId::new(link.told_as.clone());
        let refused = notes::refused(&self.ports, &key, &told_as).await?;
        let open: Vec<ForeignRecord> =
            records.iter().filter(|record| !refused.contains(&record.id)).cloned().collect();
        match decide_invoice(invoice, &told_as, &open, siblings) {
            InvoiceDecided::Nothing => Ok(()),
            InvoiceDecided::Known(id) | InvoiceDecided::Link(id) => {
                link.partner_id = Some(id.to_string());
                link.becomes(LinkState::Pending, None, now);
                self.keep(&link).await?;
                self.carry_out(register, &key, Some(consent)).await
            }
            InvoiceDecided::Conflict(id) => {
                link.partner_id = Some(id.to_string());
                link.becomes(LinkState::Conflict, Some(TAKEN.to_owned()), now);
                self.keep(&link).await
            }
            InvoiceDecided::Ask(ids) => {
                notes::set_suggested(&self.ports, &key, &told_as, ids).await?;
                let reason = "Day and amount agree, and something else does not: say which invoice it is.";
                link.becomes(LinkState::NeedsPerson, Some(reason.to_owned()), now);
                self.keep(&link).await
            }
        }
    }
}

fn holder<'r>(records: &'r [ForeignRecord], told_as: &SyncId) -> Option<&'r ForeignRecord> {
    records.iter().find(|record| record.told_as.as_ref() == Some(told_as))
}
