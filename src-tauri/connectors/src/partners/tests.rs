//! What holds for every partner in the list.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_partner_is_named_once_and_says_what_it_is_for() {
    let mut names = BTreeSet::new();
    for card in cards() {
        assert!(names.insert(card.name), "{} is listed twice", card.name);
        assert!(!card.title.is_empty() && card.purpose.ends_with('.') && card.when_unlinked.ends_with('.'));
        let keys: BTreeSet<&str> = card.fields.iter().map(|field| field.key).collect();
        assert_eq!(keys.len(), card.fields.len(), "{} has a key twice", card.name);
        for field in card.fields {
            assert!(
                !field.label.is_empty() && !field.where_to_find.is_empty(),
                "{}.{}",
                card.name,
                field.key
            );
        }
    }
}

#[test]
fn a_partner_that_is_drawn_from_its_card_is_called_as_its_folder() {
    for linkable in LINKABLE {
        assert_eq!(linkable.id().title(), linkable.card.title);
        for field in linkable.card.fields {
            let default = field.default.map(|default| field.read(default));
            assert!(default.is_none_or(|default| default.is_ok()), "{} suggests what it refuses", field.key);
        }
    }
}

#[test]
fn names_of_two_words_are_written_as_people_write_them() {
    assert_eq!(PartnerId::new("validic").title(), "Validic");
    assert_eq!(PartnerId::new("two-words").title(), "Two Words");
}

/// A partner at its least: what a folder has to hold so that one line links it.
mod acme {
    use async_trait::async_trait;
    use domain::failure::ReadError;

    use super::*;
    use crate::card::{Field, FieldKind};

    const KEY: Field = Field {
        key: "key",
        label: "Key",
        kind: FieldKind::Secret,
        default: None,
        optional: false,
        where_to_find: &["It was sent to the practice by mail."],
    };

    const ADDRESS: Field = Field {
        key: "base_url",
        label: "Address",
        kind: FieldKind::Address,
        default: Some("https://acme.example"),
        optional: false,
        where_to_find: &["Leave it as it is."],
    };

    pub const CARD: Card = Card {
        name: "acme",
        title: "Acme",
        purpose: "Does nothing yet.",
        fields: &[ADDRESS, KEY],
        consent_steps: &[],
        connects_devices: false,
        joins_records: false,
        when_unlinked: "Nothing is left there.",
    };

    struct Acme {
        id: PartnerId,
        account: String,
    }

    pub fn open(account: &Account<'_>, http: &Http) -> Result<Arc<dyn Partner>, SetupError> {
        account.secret(&KEY)?;
        http.endpoint(account.text("base_url"))?;
        let account = format!("{} {}", account.practice, account.text("base_url"));
        Ok(Arc::new(Acme { id: PartnerId::new(CARD.name), account }))
    }

    #[async_trait]
    impl Partner for Acme {
        fn id(&self) -> &PartnerId {
            &self.id
        }

        fn account(&self) -> String {
            self.account.clone()
        }

        async fn check(&self) -> Result<(), ReadError> {
            Ok(())
        }
    }
}

#[tokio::test]
async fn a_new_partner_is_a_folder_and_a_line() {
    let line = Linkable { card: &acme::CARD, open: acme::open };

    let secrets: Vec<SecretKind> = line.secrets().collect();
    assert_eq!(secrets, [SecretKind::Account { partner: "acme", key: "key" }]);
    // What the window's form and the provisioning file hand over.
    let fields = line.card.read(&BTreeMap::new()).unwrap();
    assert_eq!(fields, BTreeMap::from([("base_url".to_owned(), "https://acme.example".to_owned())]));
    let practice = PracticeId::new("richmond");
    let opened = |secrets: BTreeMap<&'static str, SecretString>| {
        let settings = PartnerAccount { fields: fields.clone() };
        let zone = PracticeZone(chrono_tz::Australia::Melbourne);
        let account = Account { practice: &practice, zone, settings: &settings, secrets: &secrets };
        (line.open)(&account, &Http::default())
    };
    let missing = opened(BTreeMap::new()).map(drop).unwrap_err();
    assert_eq!(missing.to_string(), "the Key is missing");
    let partner = opened(BTreeMap::from([("key", SecretString::from("k"))])).unwrap();
    partner.check().await.unwrap();
    assert_eq!((partner.id(), partner.account().as_str()), (&line.id(), "richmond https://acme.example"));
    assert!(partner.device_enrolment().is_none(), "what it does not do, it need not mention");
}
