//! Webhooks: one subscription of ours and no more, deliveries that wake, and polls that judge them.

use super::clinic::{Clinic, start};
use super::engine::{House, calls};
use super::partner::FakePartner;
use crate::flows::Flow;
use crate::flows::subscriptions::Subscriptions;
use crate::state::StateBoard;
use crate::webhooks::{Trust, WebhookState, Webhooks};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{ReadError, WriteError};
use domain::ids::{ForeignBookingId, PracticeId, SubscriptionId};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::store::SettingsBook;
use domain::ports::webhooks::{Announced, FailedDelivery, ListenerState, Subscription, WebhookDesk};
use domain::private::{ExposeSecret, SecretString};
use std::sync::Arc;

const CALLBACK: &str = "https://clinic.example/hooks/0123456789abcdef";

#[async_trait]
impl WebhookDesk for FakePartner {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, ReadError> {
        self.ask("subscriptions".into(), |desk| desk.subscriptions.clone()).await
    }

    async fn subscribe(&self, callback: &SecretString, expires_at: DateTime<Utc>) -> Result<(), WriteError> {
        let callback = callback.clone();
        self.tell("subscribe".into(), |desk| {
            desk.subscribed += 1;
            let id = SubscriptionId::new(format!("made-{}", desk.subscribed));
            desk.subscriptions.push(Subscription {
                id,
                is_ours: true,
                covers_everything: true,
                callback,
                expires_at: Some(expires_at),
            });
            assert_eq!(desk.subscriptions.iter().filter(|known| known.is_ours).count(), 1, "one, not more");
            Ok(())
        })
        .await
    }

    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), WriteError> {
        self.tell(format!("unsubscribe {id}"), |desk| {
            desk.subscriptions.retain(|known| known.id != *id);
            Ok(())
        })
        .await
    }

    async fn failed_deliveries(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<FailedDelivery>, ReadError> {
        self.ask("failed_deliveries".into(), |desk| {
            let failed = desk.failed_deliveries.iter();
            failed.filter(|failed| (from..=to).contains(&failed.at)).cloned().collect()
        })
        .await
    }

    fn keeps_at(&self) -> String {
        Partner::account(self)
    }
}

/// The flow, and what it shows.
fn flow(clinic: &Clinic, callback: Option<&str>) -> (Subscriptions, Arc<Webhooks>, StateBoard) {
    let webhooks = Arc::new(Webhooks::at(callback.map(SecretString::from)));
    let mut ports = clinic.ports();
    ports.webhooks = webhooks.clone();
    let state = ports.state.clone();
    let id = ports.id().clone();
    state.change_practice(&id, |practice| practice.webhooks = Some(WebhookState::default()));
    (Subscriptions::new(ports).unwrap(), webhooks, state)
}

fn shown(state: &StateBoard) -> WebhookState {
    let state = state.subscribe();
    let shown = state.borrow().practices.values().next().unwrap().webhooks.clone();
    shown.unwrap()
}

fn known(id: &str, ours: bool, callback: &str, days: i64) -> Subscription {
    Subscription {
        id: SubscriptionId::new(id),
        is_ours: ours,
        covers_everything: true,
        callback: callback.into(),
        expires_at: Some(start() + TimeDelta::days(days)),
    }
}

fn ids(partner: &FakePartner) -> Vec<String> {
    partner.desk(|desk| desk.subscriptions.iter().map(|known| known.id.to_string()).collect())
}

#[tokio::test]
async fn one_subscription_is_made_kept_and_renewed_at_half_time() {
    let clinic = Clinic::new();
    let (flow, _, state) = flow(&clinic, Some(CALLBACK));
    let outcome = flow.pass().await;
    assert_eq!(ids(&clinic.partner), ["made-1"]);
    assert_eq!(shown(&state).subscribed_until, Some(start() + TimeDelta::days(7)));
    assert_eq!(outcome.again_at, start() + TimeDelta::minutes(10));
    clinic.clock.move_by(TimeDelta::hours(84));
    flow.pass().await;
    assert_eq!(ids(&clinic.partner), ["made-1"]);
    clinic.clock.move_by(TimeDelta::minutes(10));
    flow.pass().await;
    assert_eq!(ids(&clinic.partner), ["made-2"]);
    // Somebody removed it at the partner.
    clinic.partner.desk(|desk| desk.subscriptions.clear());
    flow.pass().await;
    assert_eq!(ids(&clinic.partner), ["made-3"]);
}

#[tokio::test]
async fn what_is_ours_and_does_not_fit_is_replaced_and_what_is_not_ours_is_left_alone() {
    let forever = Subscription { expires_at: None, ..known("forever", true, CALLBACK, 5) };
    let narrow = Subscription { covers_everything: false, ..known("narrow", true, CALLBACK, 5) };
    for (ours, expected) in [
        (known("good", true, CALLBACK, 5), "good"),
        (known("elsewhere", true, "https://clinic.example/hooks/old", 5), "made-1"),
        (known("soon-over", true, CALLBACK, 3), "made-1"),
        (known("too-long", true, CALLBACK, 30), "made-1"),
        (forever, "made-1"),
        (narrow, "made-1"),
    ] {
        let clinic = Clinic::new();
        let foreign = known("foreign", false, CALLBACK, 5);
        clinic.partner.desk(|desk| desk.subscriptions = vec![foreign, ours]);
        flow(&clinic, Some(CALLBACK)).0.pass().await;
        assert_eq!(ids(&clinic.partner), ["foreign", expected]);
    }
    let clinic = Clinic::new();
    let twice = vec![known("a", true, CALLBACK, 5), known("b", true, CALLBACK, 6)];
    clinic.partner.desk(|desk| desk.subscriptions = twice);
    flow(&clinic, Some(CALLBACK)).0.pass().await;
    assert_eq!(ids(&clinic.partner), ["a"]);
}

#[tokio::test]
async fn an_answer_that_got_lost_makes_no_second_subscription() {
    let clinic = Clinic::new();
    let (flow, webhooks, state) = flow(&clinic, Some(CALLBACK));
    clinic.partner.desk(|desk| desk.loses_answers = true);
    let outcome = flow.pass().await;
    assert!(outcome.again_at >= start() + TimeDelta::seconds(60));
    assert!(shown(&state).problem.is_some());
    clinic.partner.desk(|desk| desk.loses_answers = false);
    flow.pass().await;
    assert_eq!(ids(&clinic.partner), ["made-1"]);
    assert_eq!(shown(&state).problem, None);
    assert_eq!(webhooks.trust(), Trust::Unproven);
}

#[tokio::test]
async fn failed_deliveries_of_the_last_day_are_shown_newest_first() {
    let clinic = Clinic::new();
    let (flow, _, state) = flow(&clinic, Some(CALLBACK));
    let failed =
        |hours: i64| FailedDelivery { at: start() - TimeDelta::hours(hours), why: "time-out".into() };
    clinic.partner.desk(|desk| desk.failed_deliveries = vec![failed(30), failed(20), failed(1), failed(3)]);
    flow.pass().await;
    assert_eq!(shown(&state).failed, [failed(1), failed(3), failed(20)]);
}

#[tokio::test]
async fn without_webhooks_nothing_is_asked_unless_a_subscription_was_left_behind() {
    let clinic = Clinic::new();
    flow(&clinic, None).0.pass().await;
    assert_eq!(calls(&clinic.partner), [""; 0]);
    flow(&clinic, Some(CALLBACK)).0.pass().await;
    let foreign = known("foreign", false, CALLBACK, 5);
    clinic.partner.desk(|desk| desk.subscriptions.push(foreign));
    // As after a start with webhooks switched off meanwhile.
    flow(&clinic, None).0.pass().await;
    assert_eq!(ids(&clinic.partner), ["foreign"]);
    calls(&clinic.partner);
    flow(&clinic, None).0.pass().await;
    assert_eq!(calls(&clinic.partner), [""; 0]);
}

fn alpha() -> PracticeId {
    PracticeId::new("alpha")
}

/// A house with one practice whose webhooks are subscribed, asked for once an hour where they can be relied upon.
async fn house() -> (House, FakePartner) {
    let mut house = House::new();
    let (_, partner) = house.practice("alpha").await;
    house
        .change("alpha", |settings| {
            let account = settings.healthengine.as_mut().unwrap();
            account.webhook_url = Some(CALLBACK.into());
            account.poll_seconds = 3600;
        })
        .await;
    house.start().await;
    house.run(6).await;
    (house, partner)
}

fn announce(house: &House, booking: &str) {
    house.engine().bell().delivered(&alpha(), Announced::Booking(ForeignBookingId::new(booking)));
}

/// All of them ask for the same time, so that only the first one can stand.
fn taken_in(house: &House, booking: &str) -> bool {
    house.store.disk(|disk| disk.state(booking).is_some())
}

fn trust(house: &House) -> Trust {
    house.state().practices[&alpha()].webhooks.as_ref().unwrap().trust
}

/// A booking that is announced, and so proves webhooks.
async fn prove(house: &House, partner: &FakePartner, booking: &str) {
    partner.desk(|desk| desk.book(house.booking("alpha", booking)));
    announce(house, booking);
    house.run(1).await;
    assert!(taken_in(house, booking));
    assert!(matches!(trust(house), Trust::Proven(_)));
}

#[tokio::test]
async fn a_delivery_wakes_the_practice_without_the_clock_having_moved() {
    let (house, partner) = house().await;
    house.run(1).await;
    partner.desk(|desk| desk.book(house.booking("alpha", "1")));
    announce(&house, "1");
    house.settle().await;
    assert!(taken_in(&house, "1"));
    let shown = house.state().practices[&alpha()].webhooks.clone().unwrap();
    assert_eq!(shown.last_delivery_at, Some(house.clock.now()));
    house.engine().bell().delivered(&PracticeId::new("nobody"), Announced::Something);
    house.settle().await;
    assert!(house.state().practices.contains_key(&alpha()));
}

#[tokio::test]
async fn a_flood_of_deliveries_is_one_look_a_second() {
    let (house, partner) = house().await;
    prove(&house, &partner, "1").await;
    calls(&partner);
    for _ in 0..60 {
        for number in 0..2_000 {
            announce(&house, &number.to_string());
        }
        house.run(1).await;
    }
    let polls = calls(&partner).iter().filter(|call| *call == "waiting").count();
    assert!((55..=61).contains(&polls), "{polls} polls in a minute");
}

#[tokio::test]
async fn deliveries_do_not_hurry_a_partner_that_does_not_work_with_us() {
    let (house, partner) = house().await;
    partner.desk(|desk| desk.fails = Some(|call| (call == "waiting").then_some(ReadError::NoConsent)));
    house.run(10).await;
    calls(&partner);
    for _ in 0..120 {
        announce(&house, "1");
        house.run(1).await;
    }
    let polls = calls(&partner).iter().filter(|call| *call == "waiting").count();
    assert!(polls <= 2, "{polls} polls in two minutes");
}

#[tokio::test]
async fn proven_webhooks_are_relied_upon_and_silent_ones_are_not() {
    let (house, partner) = house().await;
    let polls = || calls(&partner).iter().filter(|call| *call == "waiting").count();
    polls();
    house.run(60).await;
    assert!((11..=13).contains(&polls()), "nothing is proven yet");
    prove(&house, &partner, "1").await;
    polls();
    house.run(600).await;
    assert_eq!(polls(), 0, "they are relied upon");
    // One gets lost. An hour after the last proof a poll finds what it was about (HE-20).
    partner.desk(|desk| desk.book(house.booking("alpha", "2")));
    house.run(3010).await;
    assert!(taken_in(&house, "2"));
    house.run(40).await;
    assert!(matches!(trust(&house), Trust::Silent(_)));
    polls();
    house.run(60).await;
    assert!((11..=13).contains(&polls()));
    let told = || -> Vec<String> {
        house.store.disk(|disk| disk.told.iter().map(|(_, line)| line.kind.clone()).collect())
    };
    assert_eq!(told(), ["webhooks/silent"]);
    prove(&house, &partner, "3").await;
    assert_eq!(told(), ["webhooks/silent", "webhooks/back"]);
    polls();
    house.run(600).await;
    // The bookings for whose time there was no room left are looked at once when their time to decide is over.
    assert!(polls() <= 2);
}

#[tokio::test]
async fn a_look_that_failed_is_repeated_soon_however_far_webhooks_are_trusted() {
    let (house, partner) = house().await;
    prove(&house, &partner, "1").await;
    partner.desk(|desk| {
        desk.fails = Some(|call| (call == "waiting").then(|| ReadError::Unreachable("cut".into())));
    });
    house.run(1).await;
    announce(&house, "2");
    house.run(1).await;
    calls(&partner);
    house.run(60).await;
    let polls = calls(&partner).iter().filter(|call| *call == "waiting").count();
    assert!(polls >= 4, "{polls} polls in a minute");
    partner.desk(|desk| desk.fails = None);
    house.run(16).await;
    calls(&partner);
    house.run(600).await;
    assert_eq!(calls(&partner).iter().filter(|call| *call == "waiting").count(), 0);
}

#[tokio::test]
async fn after_a_sleep_nothing_is_held_against_them() {
    let (house, partner) = house().await;
    prove(&house, &partner, "1").await;
    partner.desk(|desk| desk.book(house.booking("alpha", "2")));
    house.clock.move_by(TimeDelta::hours(9));
    house.settle().await;
    assert!(taken_in(&house, "2"));
    house.run(120).await;
    assert!(matches!(trust(&house), Trust::Proven(_)));
}

#[tokio::test]
async fn the_subscription_goes_with_the_webhooks_the_practice_or_the_account() {
    // Switched off.
    let (house, partner) = house().await;
    assert_eq!(ids(&partner), ["made-1"]);
    house.change("alpha", |settings| settings.healthengine.as_mut().unwrap().webhook_url = None).await;
    house.run(3).await;
    assert_eq!(ids(&partner), [""; 0]);
    assert_eq!(house.state().practices[&alpha()].webhooks, None);

    // Another address is subscribed in its place.
    let url = |url: &'static str| {
        house.change("alpha", move |settings| {
            settings.healthengine.as_mut().unwrap().webhook_url = Some(url.into());
        })
    };
    url(CALLBACK).await;
    house.run(3).await;
    url("https://other.example/1").await;
    house.run(3).await;
    let callbacks: Vec<String> = partner
        .desk(|desk| desk.subscriptions.iter().map(|s| s.callback.expose_secret().to_owned()).collect());
    assert_eq!(callbacks, ["https://other.example/1"]);

    // Another name changes nothing.
    let made = partner.desk(|desk| desk.subscribed);
    house.change("alpha", |settings| settings.name = "Carlton".into()).await;
    house.run(3).await;
    assert_eq!(partner.desk(|desk| desk.subscribed), made);

    // Another account.
    let new = house.account("alpha", "2");
    house.change("alpha", |settings| settings.healthengine.as_mut().unwrap().practice_id = "2".into()).await;
    house.run(3).await;
    assert_eq!((ids(&partner).len(), ids(&new).len()), (0, 1));

    // Disabled, enabled, unlinked.
    house.change("alpha", |settings| settings.enabled = false).await;
    house.run(3).await;
    assert_eq!(ids(&new), [""; 0]);
    house.change("alpha", |settings| settings.enabled = true).await;
    house.run(3).await;
    assert_eq!(ids(&new).len(), 1);
    house.store.for_people().remove_practice(&alpha()).await.unwrap();
    house.run(3).await;
    assert_eq!(ids(&new), [""; 0]);
}

#[tokio::test]
async fn keys_that_do_not_work_any_more_hold_nobody_up() {
    let (house, partner) = house().await;
    partner.desk(|desk| desk.fails = Some(|_| Some(ReadError::NotAuthorised)));
    let new = house.account("alpha", "2");
    house.change("alpha", |settings| settings.healthengine.as_mut().unwrap().practice_id = "2".into()).await;
    house.run(3).await;
    assert_eq!((ids(&partner).len(), ids(&new).len()), (1, 1), "the old one ends by itself");
    calls(&partner);
    house.run(60).await;
    assert_eq!(calls(&partner), [""; 0]);
}

#[tokio::test]
async fn how_the_listener_is_doing_is_shown() {
    let (house, _) = house().await;
    let state = ListenerState { address: "127.0.0.1:1".into(), problem: None, wrong_sources: 3 };
    house.engine().bell().listening(Some(state.clone()));
    house.settle().await;
    assert_eq!(house.state().listener, Some(state));
    house.engine().bell().listening(None);
    house.settle().await;
    assert_eq!(house.state().listener, None);
}

#[tokio::test]
async fn a_bell_keeps_no_engine_running() {
    let (mut house, _) = house().await;
    let bell = house.engine().bell();
    let mut state = house.engine().state();
    drop(house.engine.take());
    let ended = async { while state.changed().await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(5), ended).await.unwrap();
    bell.delivered(&alpha(), Announced::Something);
}
