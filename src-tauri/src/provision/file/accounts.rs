//! The tables of partners whose account is drawn from their card: `[practice.validic]`. Which keys there are, and what
//! each may hold, is the card's to say.

use super::{Mistake, Reader, without_stop};
use crate::provision::secret::GivenSecret;
use connectors::partners::{self, Linkable};
use domain::ids::PartnerId;
use domain::private::SecretString;
use domain::settings::{PartnerAccount, PracticeSettings, SecretKind};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the file says about one account: the name of its table, and what stands in it.
pub(super) type RawAccount<'a> = (&'static str, Spanned<DeValue<'a>>);

/// Takes the tables of such partners out of each practice of the file, so that what is left has fixed words.
pub(super) fn take<'a>(whole: &mut DeTable<'a>) -> Vec<Vec<RawAccount<'a>>> {
    let practices = whole.iter_mut().find(|(key, _)| key.get_ref() == "practice");
    let Some(DeValue::Array(practices)) = practices.map(|(_, value)| value.get_mut()) else {
        return Vec::new();
    };
    let of_practice = |practice: &mut Spanned<DeValue<'a>>| {
        if let DeValue::Table(table) = practice.get_mut() { take_from(table) } else { Vec::new() }
    };
    practices.iter_mut().map(of_practice).collect()
}

fn take_from<'a>(practice: &mut DeTable<'a>) -> Vec<RawAccount<'a>> {
    let names = partners::LINKABLE.iter().map(|linkable| linkable.card.name);
    let found = names.filter_map(|name| {
        let key = practice.keys().find(|key| key.get_ref() == name)?.clone();
        Some((name, practice.remove(&key)?))
    });
    found.collect()
}

impl Reader<'_> {
    /// The accounts of a practice that are drawn from cards.
    pub(super) fn accounts(
        &self,
        raw: &[RawAccount<'_>],
        practice: &PracticeSettings,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<BTreeMap<PartnerId, PartnerAccount>, Mistake> {
        let mut accounts = BTreeMap::new();
        for (name, table) in raw {
            let Some(linkable) = partners::linkable(name) else { continue };
            accounts.insert(linkable.id(), self.account(linkable, table, practice, secrets)?);
        }
        Ok(accounts)
    }

    fn account(
        &self,
        linkable: &'static Linkable,
        table: &Spanned<DeValue<'_>>,
        practice: &PracticeSettings,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<PartnerAccount, Mistake> {
        let card = linkable.card;
        let DeValue::Table(given) = table.get_ref() else {
            let message = format!("a table stands here: [practice.{}]", card.name);
            return Err(self.mistake(&table.span(), message));
        };
        let mut fields = BTreeMap::new();
        let mut opened = BTreeMap::new();
        for (key, value) in given {
            let Some(field) = card.field(key.get_ref()) else {
                let keys: Vec<&str> = card.fields.iter().map(|field| field.key).collect();
                let message = format!(
                    "unknown key \"{}\", expected one of {}; correct or remove it",
                    key.get_ref().escape_debug(),
                    keys.join(", ")
                );
                return Err(self.mistake(&key.span(), message));
            };
            let DeValue::String(text) = value.get_ref() else {
                return Err(self.mistake(&value.span(), "a text in quotes belongs here".to_owned()));
            };
            let wrong = |mistake: connectors::card::FieldMistake| {
                let why = mistake.why.split_once(": ").map_or(mistake.why.as_str(), |(_, why)| why);
                self.mistake(&value.span(), format!("{}: {why}", field.key))
            };
            if !field.is_secret() {
                fields.extend(field.read(text).map_err(wrong)?.map(|text| (field.key.to_owned(), text)));
                continue;
            }
            let resolved = self.sources.resolve(&GivenSecret::from(&**text));
            let secret = resolved.map_err(|problem| self.mistake(&value.span(), problem.to_string()))?;
            if let Some(secret) = field.read_secret(&secret).map_err(wrong)? {
                opened.insert(field.key, secret);
            }
        }
        for field in card.fields {
            let given = if field.is_secret() {
                opened.contains_key(field.key)
            } else {
                fields.contains_key(field.key)
            };
            match field.default {
                Some(default) if !given => drop(fields.insert(field.key.to_owned(), default.to_owned())),
                None if !given && !field.optional => {
                    let message = format!("missing key \"{}\"; add it", field.key);
                    return Err(self.mistake(&table.span(), message));
                }
                Some(_) | None => {}
            }
        }
        let account = PartnerAccount { fields };
        let whose = (&practice.id, practice.zone);
        self.sockets
            .account(linkable, &account, whose, &opened)
            .map_err(|problem| self.mistake(&table.span(), without_stop(problem.sentence)))?;
        let kind = |key| SecretKind::Account { partner: card.name, key };
        secrets.extend(opened.into_iter().map(|(key, secret)| (kind(key), secret)));
        Ok(account)
    }
}
