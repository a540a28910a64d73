//! The form of a partner, drawn from its card: trying an account, linking it, unlinking it.

use super::stored;
use crate::desktop::Desk;
use crate::ui_error::{bad_input, failure, of_connection};
use crate::view::{AccountInput, AccountSetupView, AccountTest, ErrorCode, UiError};
use connectors::card::FieldMistake;
use connectors::partners::{self, Linkable};
use domain::ids::PartnerId;
use domain::ports::partner::Partner;
use domain::ports::store::Leg;
use domain::private::SecretString;
use domain::settings::{PartnerAccount, PracticeSettings, SecretKind, SecretName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The partner with this name.
pub fn partner(name: &str) -> Result<&'static Linkable, UiError> {
    partners::linkable(name).ok_or_else(|| bad_input("This version does not link this partner."))
}

async fn practice(desk: &Desk, practice: &str) -> Result<PracticeSettings, UiError> {
    let unknown = || failure(ErrorCode::PracticeUnknown, "There is no such practice.");
    stored(desk, Some(practice)).await?.ok_or_else(unknown)
}

/// Asks the partner for something cheap, with what was typed.
pub async fn test(desk: &Desk, id: &str, input: &AccountInput) -> Result<AccountTest, UiError> {
    let settings = practice(desk, id).await?;
    Ok(Typed::read(desk, &settings, input).await?.tried)
}

/// The same, and links the practice with the partner if that worked.
pub async fn save(desk: &Desk, id: &str, input: &AccountInput) -> Result<(), UiError> {
    let mut settings = practice(desk, id).await?;
    let typed = Typed::read(desk, &settings, input).await?;
    let linkable = typed.linkable;
    settings.accounts.insert(linkable.id(), typed.account);
    let secrets = linkable.card.secret_fields().map(|field| {
        let kind = SecretKind::Account { partner: linkable.card.name, key: field.key };
        (SecretName::of(&settings.id, kind), typed.secrets.get(field.key).cloned())
    });
    keep(desk, &settings, secrets.collect()).await
}

/// Forgets the account and its secrets. What the partner was told of whom stays on record.
pub async fn unlink(desk: &Desk, id: &str, name: &str) -> Result<(), UiError> {
    let mut settings = practice(desk, id).await?;
    let linkable = partner(name)?;
    settings.accounts.remove(&linkable.id());
    let forgotten = linkable.secrets().map(|kind| (SecretName::of(&settings.id, kind), None));
    keep(desk, &settings, forgotten.collect()).await
}

async fn keep(
    desk: &Desk,
    settings: &PracticeSettings,
    secrets: Vec<(SecretName, Option<SecretString>)>,
) -> Result<(), UiError> {
    let running = desk.running()?;
    running.store().link_practice(settings, secrets).await?;
    running.engine.nudge(Some(settings.id.clone()));
    desk.look_again();
    Ok(())
}

/// What was typed, checked and tried.
struct Typed {
    linkable: &'static Linkable,
    account: PartnerAccount,
    secrets: BTreeMap<&'static str, SecretString>,
    tried: AccountTest,
}

impl Typed {
    async fn read(desk: &Desk, settings: &PracticeSettings, input: &AccountInput) -> Result<Self, UiError> {
        let linkable = partner(&input.partner)?;
        let account = PartnerAccount { fields: linkable.card.read(&input.fields).map_err(mistaken)? };
        let connections = desk.running()?.home.connections();
        let kept = connections.account_secrets(linkable, &settings.id).await;
        let kept = kept.map_err(|problem| failure(ErrorCode::Unknown, problem.sentence))?;
        let moved = is_moved(settings.accounts.get(&linkable.id()), &account, linkable);
        let secrets = secrets(linkable, input, kept, moved)?;
        let partner = connections
            .sockets()
            .account(linkable, &account, (&settings.id, settings.zone), &secrets)
            .map_err(|problem| failure(ErrorCode::InputInvalid, problem.sentence))?;
        let tried = introduced(&partner, linkable.id()).await?;
        Ok(Self { linkable, account, secrets, tried })
    }
}

fn mistaken(mistake: FieldMistake) -> UiError {
    bad_input(format!("{mistake}."))
}

async fn introduced(partner: &Arc<dyn Partner>, id: PartnerId) -> Result<AccountTest, UiError> {
    let began = Instant::now();
    let name = partner.introduce().await.map_err(|error| of_connection(Leg::Account(id), &error))?;
    Ok(AccountTest { name, latency_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX) })
}

/// Whether a secret that is stored would go elsewhere than before.
fn is_moved(before: Option<&PartnerAccount>, account: &PartnerAccount, linkable: &Linkable) -> bool {
    let addresses = |account: &PartnerAccount| {
        let address = |field: &connectors::card::Field| field.kind == connectors::card::FieldKind::Address;
        let fields = linkable.card.fields.iter().filter(|field| address(field));
        fields.map(|field| account.text(field.key).to_owned()).collect::<Vec<_>>()
    };
    before.is_some_and(|before| addresses(before) != addresses(account))
}

/// What was typed, or what is stored where nothing was. What is stored goes nowhere else than where it went before.
fn secrets(
    linkable: &Linkable,
    input: &AccountInput,
    mut kept: BTreeMap<&'static str, SecretString>,
    moved: bool,
) -> Result<BTreeMap<&'static str, SecretString>, UiError> {
    let mut secrets = BTreeMap::new();
    for field in linkable.card.secret_fields() {
        let secret = match (input.secrets.get(field.key), kept.remove(field.key)) {
            (Some(typed), _) => field.read_secret(&typed.clone().into()).map_err(mistaken)?,
            (None, Some(_)) if moved => {
                let label = field.label;
                return Err(bad_input(format!("The address is another one now. Type this again: {label}.")));
            }
            (None, Some(kept)) => Some(kept),
            (None, None) => field.read_secret(&SecretString::default()).map_err(mistaken)?,
        };
        secrets.extend(secret.map(|secret| (field.key, secret)));
    }
    Ok(secrets)
}

/// What stands in the fields of the accounts that are linked.
pub(super) fn setups(settings: &PracticeSettings, known: &[SecretKind]) -> Vec<AccountSetupView> {
    let setup = |linkable: &'static Linkable| {
        let account = settings.accounts.get(&linkable.id())?;
        let stored = linkable
            .card
            .secret_fields()
            .map(|field| field.key)
            .filter(|key| known.contains(&SecretKind::Account { partner: linkable.card.name, key }));
        Some(AccountSetupView {
            partner: linkable.card.name.to_owned(),
            fields: account.fields.clone(),
            secrets: stored.map(str::to_owned).collect(),
        })
    };
    partners::LINKABLE.iter().filter_map(setup).collect()
}
