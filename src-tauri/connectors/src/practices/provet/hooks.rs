//! Webhooks: what a delivery says, and those that we make (contract sheet §7).
//!
//! Provet has one webhook for each kind of event. Ours are several that lead to one address, and count as one
//! subscription here: it covers everything only where all of them are there, active, and each of them once.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{AppointmentRef, SubscriptionId};
use domain::ports::webhooks::{Announced, BookNews, FailedDelivery, Subscription, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Provet;
use super::client::{Resource, Spending, number};
use super::wire;
use crate::http::Answered;

/// By this name we know our own.
const NAME: &str = "Clinic Companion";
/// Appointments made or changed, and deleted; users, reasons and the settings of departments. Shifts have none.
const TRIGGERS: [u64; 5] = [21, 22, 28, 62, 63];
/// The form, because the shape of the other kind is not documented.
const AS_FORM: u64 = 1;
/// No delivery names more than one thing; whatever is longer is none of Provet's.
const MOST_KEYS: usize = 8;

/// What a delivery says. Its signature is missing, so that nothing is believed but that it is worth a look: only known
/// names with whole numbers count, as a form or as JSON.
pub fn announced(body: &[u8]) -> Announced {
    let named: Vec<(String, Option<u64>)> = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => {
            let whole = |value: &Value| value.as_u64().or_else(|| number(value.as_str()?));
            fields.iter().take(MOST_KEYS).map(|(key, value)| (key.clone(), whole(value))).collect()
        }
        Ok(_) => Vec::new(),
        Err(_) => url::form_urlencoded::parse(body)
            .take(MOST_KEYS)
            .map(|(key, value)| (key.into_owned(), number(&value)))
            .collect(),
    };
    let of = |key: &str| named.iter().find(|(named, _)| named == key).and_then(|(_, id)| *id);
    let any = |keys: &[&str]| keys.iter().any(|key| of(key).is_some());
    Announced::Book(if let Some(id) = of("appointment_id") {
        BookNews::Appointment(AppointmentRef::new(id.to_string()))
    } else if any(&["user_id", "reason_id", "reason_group_id", "department_id"]) {
        BookNews::Lists
    } else if any(&["consultation_id", "client_id", "patient_id"]) {
        // A visit that began is seen at its appointment. People are asked for when somebody needs them.
        BookNews::Something
    } else {
        BookNews::Unclear
    })
}

/// Those of one owner that lead to one address.
#[derive(Default)]
struct Together {
    ids: Vec<u64>,
    triggers: BTreeSet<u64>,
    fit: bool,
}

fn together(hooks: impl IntoIterator<Item = wire::Hook>) -> Vec<Subscription> {
    let mut all: BTreeMap<(bool, String), Together> = BTreeMap::new();
    for hook in hooks {
        let there = all
            .entry((hook.name == NAME, hook.url))
            .or_insert_with(|| Together { fit: true, ..Together::default() });
        there.ids.push(hook.id);
        let first = there.triggers.insert(hook.trigger);
        // One of a department hears nothing of what is changed through the API.
        there.fit &= first && hook.active != Some(wire::Flag(false)) && hook.department.is_none();
    }
    let wanted: BTreeSet<u64> = TRIGGERS.into();
    all.into_iter()
        .map(|((is_ours, url), there)| {
            let ids: Vec<String> = there.ids.iter().map(u64::to_string).collect();
            Subscription {
                id: SubscriptionId::new(ids.join(",")),
                is_ours,
                covers_everything: if is_ours {
                    there.fit && there.triggers == wanted
                } else {
                    there.triggers.is_superset(&wanted) && there.fit
                },
                callback: url.into(),
                expires_at: None,
            }
        })
        .collect()
}

/// What cannot be done by our own hand can be done by somebody's.
fn by_hand(error: WriteError) -> WriteError {
    match error {
        WriteError::Refused(Refusal::ReadOnly) => WriteError::Untouched(ReadError::Invalid(
            "Provet Cloud does not let us make webhooks. Give the right \"Settings: Integration settings\" to the \
             integration\u{2019}s user, or make them by hand, under Settings, General, Integrations, Webhooks"
                .into(),
        )),
        WriteError::Refused(_) | WriteError::Untouched(_) | WriteError::Unknown(_) => error,
    }
}

#[async_trait]
impl WebhookDesk for Provet {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, ReadError> {
        let all: BTreeMap<u64, wire::Hook> =
            self.client.all(Resource::Hook, &[], |_| true, Spending::Bulk).await?;
        Ok(together(all.into_values()))
    }

    async fn subscribe(&self, callback: &SecretString, _expires_at: DateTime<Utc>) -> Result<(), WriteError> {
        for trigger in TRIGGERS {
            let wanted = wire::NewHook {
                name: NAME,
                trigger,
                url: callback.expose_secret(),
                content_type: AS_FORM,
                active: true,
            };
            let made = self.client.create::<wire::Hook>(Resource::Hook, &wanted).await.map_err(by_hand)?;
            if let Answered::Refused(_) = made {
                // Its words may repeat the address.
                return Err(WriteError::Refused(Refusal::Other(
                    "Provet Cloud does not take the public address".into(),
                )));
            }
        }
        Ok(())
    }

    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), WriteError> {
        for id in id.as_str().split(',').filter_map(number) {
            self.client.delete(Resource::Hook, id).await.map_err(by_hand)?;
        }
        Ok(())
    }

    async fn failed_deliveries(
        &self,
        _from: DateTime<Utc>,
        _to: DateTime<Utc>,
    ) -> Result<Vec<FailedDelivery>, ReadError> {
        // What its list of deliveries says is not documented.
        Ok(Vec::new())
    }

    fn keeps_at(&self) -> String {
        self.client.account()
    }

    fn subscriptions_end(&self) -> bool {
        false
    }
}
