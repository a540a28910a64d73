//! Patients whose records are joined with a partner's: how it stands, who is whom, what former programs left, and the
//! partner's page about somebody.

use crate::compose::AppConnect;
use crate::desktop::{Desk, Running};
use crate::linking::account::partner;
use crate::patients::recorded_by_name;
use crate::present::people::sentence;
use crate::present::{compared, instant, joined};
use crate::system_open;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{
    ErrorCode, FormerNamesView, JoinCandidateView, JoinChoice, JoinKind, JoinOtherView, JoinedView, UiError,
};
use chrono::{DateTime, NaiveDate, Utc};
use connectors::partners::{self, Linkable};
use domain::audit::{AuditEvent, AuditLine};
use domain::consent::{self, NotAllowed, Said};
use domain::ids::{ForeignRecordId, PatientRef, PracticeId};
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::records::RecordRegister;
use domain::ports::store::{AuditTrail, Consents, Leg, Links, SettingsBook, StoreError};
use domain::private::Private;
use domain::settings::PracticeSettings;
use std::sync::Arc;
use store::Store;
use sync::record_desk::{self, Choice, DecideError, FormerLinks, LookError};

/// The link of a patient.
fn key_of(practice: &PracticeId, linkable: &Linkable, patient: &PatientRef) -> LinkKey {
    LinkKey {
        practice: practice.clone(),
        partner: linkable.id(),
        kind: LinkKind::Patient,
        local_id: patient.to_string(),
    }
}

/// How it stands with a patient's record at each linked partner that joins records.
pub async fn of_patient(
    store: &Store,
    settings: &PracticeSettings,
    patient: &PatientRef,
    born: &Private<Option<NaiveDate>>,
    today: NaiveDate,
) -> Result<Vec<JoinedView>, StoreError> {
    let mut views = Vec::new();
    for linkable in partners::LINKABLE.iter().filter(|linkable| linkable.card.joins_records) {
        if !settings.accounts.contains_key(&linkable.id()) {
            continue;
        }
        let last = store.consent(&settings.id, &linkable.id(), patient).await?;
        let link = store.link(&key_of(&settings.id, linkable, patient)).await?;
        let allowed = consent::allowed_by_record(last.as_ref(), born, today);
        let missing = match &allowed {
            Ok(_) | Err(NotAllowed::NotAsked | NotAllowed::Withdrawn) => None,
            Err(missing) => Some(sentence(&missing.to_string())),
        };
        let is = |state: LinkState| link.as_ref().is_some_and(|link| link.state == state);
        views.push(JoinedView {
            partner: linkable.card.name.to_owned(),
            title: linkable.card.title.to_owned(),
            allowed: allowed.is_ok(),
            withdrawn: last.is_some_and(|last| last.line.said == Said::No),
            linked: is(LinkState::Linked),
            undecided: is(LinkState::NeedsPerson) || is(LinkState::Conflict) || is(LinkState::Failed),
            since: link.as_ref().map(|link| instant(link.since)),
            reason: link.and_then(|link| link.reason).or(missing),
        });
    }
    Ok(views)
}

/// A practice at a partner that joins records, opened.
struct Opened {
    settings: PracticeSettings,
    linkable: &'static Linkable,
    partner: Arc<dyn Partner>,
    book: Arc<dyn PracticeSystem>,
}

impl Opened {
    async fn of(
        connections: &AppConnect,
        store: &Store,
        practice: &PracticeId,
        name: &str,
    ) -> Result<Self, UiError> {
        let linkable = partner(name)?;
        let title = linkable.card.title;
        let practices = store.practices().await?;
        let unknown = || failure(ErrorCode::PracticeUnknown, "There is no such practice.");
        let settings = practices.into_iter().find(|known| known.id == *practice).ok_or_else(unknown)?;
        let opened = connections.account(linkable, &settings).await;
        let opened = opened.map_err(|problem| failure(ErrorCode::AccountRefused, problem.sentence))?;
        let not_linked =
            || bad_input(format!("{} is not linked with {title}. Link it in Connections.", settings.name));
        let partner = opened.ok_or_else(not_linked)?;
        let book = connections.practice_system(&settings).await;
        let book = book.map_err(|problem| failure(ErrorCode::PracticeUnreachable, problem.sentence))?;
        Ok(Self { settings, linkable, partner, book })
    }

    async fn at(running: &Running, practice: &PracticeId, name: &str) -> Result<Self, UiError> {
        Self::of(&running.home.connections(), &running.store(), practice, name).await
    }

    fn register(&self) -> Result<&dyn RecordRegister, UiError> {
        let title = self.linkable.card.title;
        self.partner.record_register().ok_or_else(|| bad_input(format!("{title} joins no records.")))
    }

    fn leg(&self) -> Leg {
        Leg::Account(self.linkable.id())
    }

    fn looked<T>(&self, looked: Result<T, LookError>) -> Result<T, UiError> {
        looked.map_err(|error| match error {
            LookError::Practice(error) => of_connection(Leg::System, &error),
            LookError::Partner(error) => of_connection(self.leg(), &error),
            LookError::Store(error) => error.into(),
        })
    }
}

async fn link_of(
    store: &Store,
    practice: &PracticeId,
    linkable: &Linkable,
    patient: &PatientRef,
) -> Result<Link, UiError> {
    let link = store.link(&key_of(practice, linkable, patient)).await?;
    let title = linkable.card.title;
    link.ok_or_else(|| {
        failure(
            ErrorCode::NotLinkedYet,
            format!("Nobody looked for this patient at {title} yet. Record consent first."),
        )
    })
}

/// A patient beside everybody at the partner who could be meant, read now.
pub async fn candidates(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    name: &str,
) -> Result<Vec<JoinCandidateView>, UiError> {
    let running = desk.running()?;
    let opened = Opened::at(running, practice, name).await?;
    let store = running.store();
    let link = link_of(&store, practice, opened.linkable, patient).await?;
    let looked =
        record_desk::side_by_side(store.as_ref(), opened.book.as_ref(), opened.register()?, &link).await;
    let shown = opened.looked(looked)?;
    let gone = || failure(ErrorCode::PatientUnknown, "This patient is not in the book any more.");
    let here = shown.here.ok_or_else(gone)?;
    let there = shown.there.into_iter();
    Ok(there
        .filter_map(|(record, comparison)| {
            let comparison = comparison?;
            let fields = compared(&here.details, &comparison);
            Some(joined::candidate(&record, &comparison, fields, &link))
        })
        .collect())
}

/// The practitioners, and the invoices that wait for somebody, beside the partner's, read now.
pub async fn others(desk: &Desk, practice: &PracticeId, name: &str) -> Result<Vec<JoinOtherView>, UiError> {
    let running = desk.running()?;
    let opened = Opened::at(running, practice, name).await?;
    let (store, id) = (running.store(), opened.linkable.id());
    let others =
        record_desk::others(store.as_ref(), opened.book.as_ref(), opened.register()?, (practice, &id));
    let others = opened.looked(others.await)?;
    let state = running.engine.state();
    let state = state.borrow();
    let staff = state.practices.get(practice).map(|practice| practice.resources.clone()).unwrap_or_default();
    let name = |id: &str| {
        let meant = staff.iter().find(|resource| resource.id.as_str() == id);
        meant.map(|resource| resource.name.clone())
    };
    Ok(others.into_iter().map(|other| joined::other(other, name)).collect())
}

/// Records that a record of the partner's is a thing of the clinic's, or is not.
pub async fn decide(
    desk: &Desk,
    practice: &PracticeId,
    choice: JoinChoice,
    recorded_by: &str,
) -> Result<(), UiError> {
    let running = desk.running()?;
    decided(&running.store(), practice, choice, recorded_by, desk.now()).await?;
    running.engine.nudge(Some(practice.clone()));
    desk.look_again();
    Ok(())
}

/// The same, from the command line as well.
pub async fn decided(
    store: &Store,
    practice: &PracticeId,
    choice: JoinChoice,
    recorded_by: &str,
    now: DateTime<Utc>,
) -> Result<(), UiError> {
    let JoinChoice { partner: name, kind, local_id, record_id, same } = choice;
    let record = ForeignRecordId::new(record_id);
    let key = LinkKey {
        practice: practice.clone(),
        partner: partner(&name)?.id(),
        kind: match kind {
            JoinKind::Patient => LinkKind::Patient,
            JoinKind::Practitioner => LinkKind::Practitioner,
            JoinKind::Invoice => LinkKind::Invoice,
        },
        local_id,
    };
    let choice = if same { Choice::Same(record) } else { Choice::NotSame(record) };
    let by = recorded_by_name(recorded_by)?;
    record_desk::decide(store, &key, &choice, &by, now).await.map_err(|error| match error {
        DecideError::NoLink | DecideError::LinkedElsewhere => bad_input(sentence(&error.to_string())),
        DecideError::Store(error) => error.into(),
    })
}

/// What a former program left.
pub async fn former(desk: &Desk, practice: &PracticeId, name: &str) -> Result<FormerNamesView, UiError> {
    let running = desk.running()?;
    former_names(&running.home.connections(), &running.store(), practice, name).await
}

/// The same, from the command line as well.
pub async fn former_names(
    connections: &AppConnect,
    store: &Store,
    practice: &PracticeId,
    name: &str,
) -> Result<FormerNamesView, UiError> {
    let opened = Opened::of(connections, store, practice, name).await?;
    Ok(joined::former(&opened.former(store).await?))
}

impl Opened {
    async fn former(&self, store: &Store) -> Result<FormerLinks, UiError> {
        let id = self.linkable.id();
        let of = (&self.settings.id, &id);
        let found = record_desk::former_links(store, self.book.as_ref(), self.register()?, of);
        self.looked(found.await)
    }
}

/// Carries over what fits, as it is now. Answers how many.
pub async fn carry_over(
    desk: &Desk,
    practice: &PracticeId,
    name: &str,
    recorded_by: &str,
) -> Result<u32, UiError> {
    let running = desk.running()?;
    let (connections, store) = (running.home.connections(), running.store());
    let carried = carry(&connections, &store, (practice, name), recorded_by, desk.now()).await?;
    running.engine.nudge(Some(practice.clone()));
    desk.look_again();
    Ok(carried)
}

/// The same, from the command line as well.
pub async fn carry(
    connections: &AppConnect,
    store: &Store,
    (practice, name): (&PracticeId, &str),
    recorded_by: &str,
    now: DateTime<Utc>,
) -> Result<u32, UiError> {
    let by = recorded_by_name(recorded_by)?;
    let opened = Opened::of(connections, store, practice, name).await?;
    let found = opened.former(store).await?;
    let id = opened.linkable.id();
    let carried = record_desk::carry_over(store, (practice, &id), &found.fitting, &by, now).await?;
    Ok(u32::try_from(carried).unwrap_or(u32::MAX))
}

/// The partner's page about a linked patient.
pub struct PartnerPage {
    /// The address.
    pub address: String,
    line: AuditLine,
}

/// Where the partner's page about a linked patient is.
pub async fn page(
    connections: &AppConnect,
    store: &Store,
    (practice, patient): (&PracticeId, &PatientRef),
    name: &str,
    now: DateTime<Utc>,
) -> Result<PartnerPage, UiError> {
    let opened = Opened::of(connections, store, practice, name).await?;
    let link = link_of(store, practice, opened.linkable, patient).await?;
    let title = opened.linkable.card.title;
    let not_linked = || failure(ErrorCode::NotLinkedYet, format!("This patient is not linked with {title}."));
    let id = link.partner_id.as_deref().filter(|_| link.state == LinkState::Linked).ok_or_else(not_linked)?;
    let read = opened.register()?.record(LinkKind::Patient, id).await;
    let record = read.map_err(|error| of_connection(opened.leg(), &error))?;
    let address = record.and_then(|record| record.page).filter(|page| page.starts_with("https://"));
    let address = address.ok_or_else(|| {
        failure(ErrorCode::NotLinkedYet, format!("{title} names no page for this patient."))
    })?;
    let line = AuditLine {
        at: now,
        practice: opened.settings.id.clone(),
        partner: opened.linkable.id(),
        patient: Some(patient.clone()),
        what: AuditEvent::Opened,
        fields: Vec::new(),
        consent: None,
        told_as: Some(link.told_as),
        by: None,
    };
    Ok(PartnerPage { address, line })
}

/// Writes down that it is opened, and opens it in the browser.
pub async fn show(store: &Store, page: PartnerPage) -> Result<(), UiError> {
    store.audit(&[page.line]).await?;
    system_open::open(page.address).await
}

/// Opens the partner's page about a linked patient.
pub async fn open(
    desk: &Desk,
    practice: &PracticeId,
    patient: &PatientRef,
    name: &str,
) -> Result<(), UiError> {
    let running = desk.running()?;
    let (connections, store) = (running.home.connections(), running.store());
    let page = page(&connections, &store, (practice, patient), name, desk.now()).await?;
    show(&store, page).await
}

#[cfg(test)]
mod tests;
