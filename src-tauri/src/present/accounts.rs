//! Partners whose form is drawn from their card → what the window shows of them.

use super::{Inputs, instant, joined, leg_view};
use crate::view::{AccountView, CardFieldKind, CardFieldView, Light, PartnerCardView};
use connectors::card::{Field, FieldKind};
use connectors::partners;
use domain::link::LinkState;
use domain::ports::store::Leg;
use sync::state::PracticeState;

/// What can be linked.
pub(super) fn cards() -> Vec<PartnerCardView> {
    let card = |linkable: &partners::Linkable| {
        let card = linkable.card;
        PartnerCardView {
            name: card.name.to_owned(),
            title: card.title.to_owned(),
            purpose: card.purpose.to_owned(),
            fields: card.fields.iter().map(field).collect(),
            when_unlinked: card.when_unlinked.to_owned(),
        }
    };
    partners::LINKABLE.iter().map(card).collect()
}

fn field(field: &Field) -> CardFieldView {
    let (kind, choices) = match field.kind {
        FieldKind::Text => (CardFieldKind::Text, &[][..]),
        FieldKind::Secret => (CardFieldKind::Secret, &[][..]),
        FieldKind::Email => (CardFieldKind::Email, &[][..]),
        FieldKind::Address => (CardFieldKind::Address, &[][..]),
        FieldKind::Choice(choices) => (CardFieldKind::Choice, choices),
    };
    CardFieldView {
        key: field.key.to_owned(),
        label: field.label.to_owned(),
        kind,
        choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
        default: field.default.map(str::to_owned),
        optional: field.optional,
        where_to_find: field.where_to_find.iter().map(|step| (*step).to_owned()).collect(),
    }
}

/// The accounts that are linked, in the order of the list. One of a partner that this version does not know is not
/// shown, and stays.
pub(super) fn account_views(practice: &PracticeState, inputs: &Inputs<'_>) -> Vec<AccountView> {
    let linked =
        partners::LINKABLE.iter().filter(|linkable| practice.settings.accounts.contains_key(&linkable.id()));
    let account = |linkable: &partners::Linkable| {
        let leg = Leg::Account(linkable.id());
        let (light, problem) = leg_view(practice, leg.clone(), inputs);
        let links = practice.accounts.get(&linkable.id());
        let of = |states: &[LinkState]| states.iter().filter_map(|state| links?.get(state)).sum::<u32>();
        let needs_person = of(&[LinkState::NeedsPerson]);
        let failed = of(&[LinkState::Failed, LinkState::Conflict]);
        let waits = needs_person + failed > 0;
        AccountView {
            partner: linkable.card.name.to_owned(),
            title: linkable.card.title.to_owned(),
            light: if waits && matches!(light, Light::Ok | Light::Working) {
                Light::Attention
            } else {
                light
            },
            linked: of(&[LinkState::Linked]),
            pending: of(&[LinkState::Pending]),
            needs_person,
            failed,
            joining: linkable
                .card
                .joins_records
                .then(|| joined::joining(practice.records.get(&linkable.id()))),
            last_answer_at: practice.legs.get(&leg).and_then(|note| note.proven_at).map(instant),
            problem,
        }
    };
    linked.map(account).collect()
}
