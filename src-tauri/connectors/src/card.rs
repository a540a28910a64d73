//! How a connector introduces itself: what the settings screen asks for, and where a person finds it.

use std::collections::BTreeMap;

use domain::private::{ExposeSecret, SecretString};
use url::Url;

use crate::http::is_loopback;

/// A connector, to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// The name of its folder, and of its part of the provisioning file.
    pub name: &'static str,
    /// The name that people know.
    pub title: &'static str,
    /// What it does for the practice, in a sentence.
    pub purpose: &'static str,
    /// What has to be entered, in the order in which it is asked for.
    pub fields: &'static [Field],
    /// What to do when the practice's consent is missing, step by step.
    pub consent_steps: &'static [&'static str],
    /// Whether patients connect devices of their own there.
    pub connects_devices: bool,
    /// Whether patients here are joined with their records there.
    pub joins_records: bool,
    /// What becomes of what was linked when the account is unlinked, in a sentence.
    pub when_unlinked: &'static str,
}

/// Something that has to be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key in the provisioning file.
    pub key: &'static str,
    /// The label beside it.
    pub label: &'static str,
    /// What it may hold.
    pub kind: FieldKind,
    /// What stands in it at first, and what is meant where it is left empty.
    pub default: Option<&'static str>,
    /// Whether it may stay empty although nothing is meant by that.
    pub optional: bool,
    /// Where to find it, step by step.
    pub where_to_find: &'static [&'static str],
}

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A text that is never shown again once it is entered, and is kept with the secrets.
    Secret,
    /// An e-mail address.
    Email,
    /// A web address: `https://`, or `http://` on this computer.
    Address,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// Something that a field cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct FieldMistake {
    /// Which field; none where it is about none of them alone.
    pub key: Option<&'static str>,
    /// What is wrong and what to do, in a clause that begins with the field's label or key. Never holds a secret.
    pub why: String,
}

impl FieldMistake {
    /// About one field, whose label is put in front.
    pub fn of(field: &Field, why: &str) -> Self {
        Self { key: Some(field.key), why: format!("{}: {why}", field.label) }
    }
}

/// No field is longer: what is longer was pasted by mistake.
const LONGEST: usize = 500;

impl Field {
    /// Whether it is kept with the secrets.
    pub fn is_secret(&self) -> bool {
        self.kind == FieldKind::Secret
    }

    /// What is meant by what was typed: nothing where the field may stay empty and was.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, typed: &str) -> Result<Option<String>, FieldMistake> {
        let typed = typed.trim();
        let text = if typed.is_empty() { self.default.unwrap_or_default() } else { typed };
        if text.is_empty() {
            return if self.optional {
                Ok(None)
            } else {
                Err(FieldMistake::of(self, "it is empty: fill it in"))
            };
        }
        if text.chars().count() > LONGEST {
            return Err(FieldMistake::of(self, "it is too long: copy it again, and nothing else with it"));
        }
        if text.chars().any(char::is_control) {
            let why = "it holds a line break or another sign that cannot be seen: copy it again, in one line";
            return Err(FieldMistake::of(self, why));
        }
        match self.kind {
            FieldKind::Text | FieldKind::Secret => Ok(text.to_owned()),
            FieldKind::Email => email(text),
            FieldKind::Address => address(text),
            FieldKind::Choice(choices) => match choices.contains(&text) {
                true => Ok(text.to_owned()),
                false => Err(format!("it is one of {}", choices.join(", "))),
            },
        }
        .map(Some)
        .map_err(|why| FieldMistake::of(self, &why))
    }

    /// The same for a secret.
    ///
    /// # Errors
    /// What is wrong with it; never what it says.
    pub fn read_secret(&self, typed: &SecretString) -> Result<Option<SecretString>, FieldMistake> {
        Ok(self.read(typed.expose_secret())?.map(SecretString::from))
    }
}

/// Only a typing mistake is caught: whoever receives the mail knows the rest.
fn email(text: &str) -> Result<String, String> {
    let (name, host) = text.split_once('@').unwrap_or_default();
    let whole =
        !name.is_empty() && host.contains('.') && !host.contains('@') && !text.contains(char::is_whitespace);
    if whole { Ok(text.to_owned()) } else { Err("it is no e-mail address: name@example.com.au".to_owned()) }
}

/// A plain address, without a slash at its end.
fn address(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "it is no web address: it begins with https://".to_owned())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let Some(host) = url.host() else {
        return Err("it is no web address: it begins with https://".to_owned());
    };
    match url.scheme() {
        _ if !plain => Err("it is an address alone: take the rest out".to_owned()),
        "https" => Ok(()),
        "http" if is_loopback(&host) => Ok(()),
        _ => Err("it begins with https:// (http:// leads only to this computer)".to_owned()),
    }?;
    Ok(text.trim_end_matches('/').to_owned())
}

impl Card {
    /// The field with this key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The fields that are no secrets.
    pub fn plain_fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(|field| !field.is_secret())
    }

    /// The fields that are secrets.
    pub fn secret_fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(|field| field.is_secret())
    }

    /// What is meant by what was typed into the fields that are no secrets, by their keys; those that are missing were
    /// left empty.
    ///
    /// # Errors
    /// The first field with something wrong in it.
    pub fn read(&self, typed: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, FieldMistake> {
        let mut read = BTreeMap::new();
        for field in self.plain_fields() {
            let typed = typed.get(field.key).map_or("", String::as_str);
            read.extend(field.read(typed)?.map(|text| (field.key.to_owned(), text)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldKind, default: Option<&'static str>, optional: bool) -> Field {
        Field { key: "a", label: "A field", kind, default, optional, where_to_find: &[] }
    }

    fn wrong(kind: FieldKind, typed: &str) -> String {
        field(kind, None, false).read(typed).unwrap_err().to_string()
    }

    #[test]
    fn each_kind_of_field_says_what_is_wrong_with_what_was_typed() {
        let kinds = [FieldKind::Text, FieldKind::Secret, FieldKind::Email, FieldKind::Address];
        for kind in kinds {
            assert_eq!(wrong(kind, "  "), "A field: it is empty: fill it in");
            assert!(wrong(kind, &"x".repeat(501)).contains("too long"));
            assert!(
                wrong(kind, "geheim\nx").contains("line break")
                    && !wrong(kind, "geheim\nx").contains("geheim")
            );
        }
        for (kind, typed, says) in [
            (FieldKind::Email, "nobody", "no e-mail address"),
            (FieldKind::Email, "a@b@c.example", "no e-mail address"),
            (FieldKind::Email, "a b@c.example", "no e-mail address"),
            (FieldKind::Address, "api.example.com", "no web address"),
            (FieldKind::Address, "http://api.example.com", "https://"),
            (FieldKind::Address, "ftp://api.example.com", "https://"),
            (FieldKind::Address, "https://api.example.com/?token=geheim", "take the rest out"),
            (FieldKind::Address, "https://me:geheim@api.example.com", "take the rest out"),
            (FieldKind::Choice(&["one", "two"]), "three", "one of one, two"),
        ] {
            let said = wrong(kind, typed);
            assert!(said.starts_with("A field: ") && said.contains(says), "{typed}: {said}");
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn what_is_meant_is_kept_without_blanks_and_slashes() {
        let kept = |kind, typed| field(kind, None, false).read(typed).unwrap().unwrap();
        assert_eq!(kept(FieldKind::Text, " a b "), "a b");
        assert_eq!(kept(FieldKind::Email, "it@example.com.au"), "it@example.com.au");
        assert_eq!(kept(FieldKind::Address, "https://api.example.com/v1//"), "https://api.example.com/v1");
        assert_eq!(kept(FieldKind::Address, "http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(kept(FieldKind::Address, "http://[::1]:8080/"), "http://[::1]:8080");
        assert_eq!(kept(FieldKind::Choice(&["one", "two"]), "two"), "two");
        let empty = |default, optional| field(FieldKind::Text, default, optional).read("");
        assert_eq!(empty(Some("usual"), false).unwrap().as_deref(), Some("usual"));
        assert_eq!(empty(None, true).unwrap(), None);
    }

    #[test]
    fn a_card_reads_its_own_fields_and_no_secret() {
        let card = Card {
            name: "acme",
            title: "Acme",
            purpose: "",
            fields: &[
                Field {
                    key: "id",
                    label: "Id",
                    kind: FieldKind::Text,
                    default: None,
                    optional: false,
                    where_to_find: &[],
                },
                Field {
                    key: "key",
                    label: "Key",
                    kind: FieldKind::Secret,
                    default: None,
                    optional: false,
                    where_to_find: &[],
                },
            ],
            consent_steps: &[],
            connects_devices: false,
            joins_records: false,
            when_unlinked: "",
        };
        let typed = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let read = card.read(&typed(&[("id", " 7 "), ("key", "geheim"), ("other", "x")])).unwrap();
        assert_eq!(read, typed(&[("id", "7")]));
        assert_eq!(card.read(&typed(&[])).unwrap_err().key, Some("id"));
    }
}
