//! How a connector introduces itself: what the settings screen asks for, and where a person finds it.

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
    /// What stands in it at first; none means that it must be entered.
    pub default: Option<&'static str>,
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

impl Field {
    /// Whether it is kept with the secrets.
    pub fn is_secret(&self) -> bool {
        self.kind == FieldKind::Secret
    }
}

impl Card {
    /// The field with this key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}
