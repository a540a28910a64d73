//! Webhooks from the listener's port to the book, on real parts: HE-18 to HE-21, and what must not hurt.

use chrono::TimeDelta;
use connectors::listener;
use connectors::partners::healthengine::sim::{DeliveryState, SimState};
use connectors::sim::faults::{Fault, FaultRule};
use domain::booking::BookingState;
use domain::ids::PracticeId;
use domain::ports::clock::Clock;
use domain::ports::store::{SettingsBook, Vault};
use domain::private::SecretString;
use domain::settings::{ListenerSettings, SecretKind, SecretName};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use sync::practices::set_enabled;
use sync::webhooks::{Trust, WebhookState};
use tests::{System, World, account};
use tokio::task::JoinHandle;

const PATH: &str = "0123456789abcdef0123456789abcdef01234567";
/// Nothing here takes this long in real time, unless it never comes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A clinic whose webhooks are subscribed and received.
struct Hooked {
    world: World,
    http: reqwest::Client,
    address: String,
    listener: Option<JoinHandle<()>>,
}

impl Hooked {
    /// Asked for once an hour where webhooks can be relied upon.
    async fn new(system: System) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let world = World::running_on(system).await;
        let name = SecretName::of(&PracticeId::new("p1"), SecretKind::HealthengineWebhookPath);
        world.store.keep_secret(&name, SecretString::from(PATH)).await.unwrap();
        let url = format!("http://{address}");
        world
            .change_settings("p1", |settings| {
                let account = settings.healthengine.as_mut().unwrap();
                account.webhook_url = Some(url);
                account.poll_seconds = 3600;
            })
            .await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut hooked = Self { world, http, address, listener: None };
        hooked
            .listener_settings(ListenerSettings {
                check_sources: false,
                ..ListenerSettings::at(hooked.address.clone())
            })
            .await;
        hooked.listen().await;
        hooked.world.pass(8).await;
        assert!(hooked.state().subscribed_until.is_some());
        hooked
    }

    async fn listener_settings(&self, settings: ListenerSettings) {
        let mut app = self.world.store.app_settings().await.unwrap();
        app.listener = Some(settings);
        self.world.store.save_app_settings(&app).await.unwrap();
    }

    /// Starts receiving.
    async fn listen(&mut self) {
        let engine = self.world.engine.as_ref().unwrap();
        let mut state = engine.state();
        self.listener = Some(tokio::spawn(listener::keep(self.world.store.clone(), engine.bell(), None)));
        let listening = state.wait_for(|state| state.listener.as_ref().is_some_and(|l| l.problem.is_none()));
        drop(tokio::time::timeout(DEADLINE, listening).await.expect("it listens").unwrap());
        // What the state says may be left from the time before.
        let reached = async {
            while tokio::net::TcpStream::connect(&self.address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, reached).await.expect("it can be reached");
    }

    /// Stops receiving.
    async fn deafen(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            let _ = listener.await;
            let engine = self.world.engine.as_ref().unwrap();
            let mut state = engine.state();
            engine.bell().listening(None);
            let off = state.wait_for(|state| state.listener.is_none());
            drop(tokio::time::timeout(DEADLINE, off).await.expect("it is off").unwrap());
        }
    }

    fn state(&self) -> WebhookState {
        let state = self.world.engine.as_ref().unwrap().state();
        let state = state.borrow();
        state.practices[&PracticeId::new("p1")].webhooks.clone().unwrap()
    }

    /// Delivers as Healthengine does. Returns the status of the answer; none where nobody answered.
    async fn deliver(&self, body: &Value) -> Option<u16> {
        let sent = self.http.post(format!("http://{}/{PATH}", self.address)).json(body).send();
        let answer = tokio::time::timeout(DEADLINE, sent).await.expect("an end");
        Some(answer.ok()?.status().as_u16())
    }

    async fn announce(&self, booking: i64) -> Option<u16> {
        self.deliver(&json!({
            "timestamp": "2026-11-20 00:00:00", "id": "00000000-0000-4000-8000-000000000001",
            "clientId": "clinic-companion", "topic": "requests.bookings",
            "data": {"target": "/requests/bookings", "requestType": "bookings", "bookingId": booking},
        }))
        .await
    }

    /// Every subscription of an account.
    async fn subscriptions(&self, of: &str) -> Vec<Value> {
        let answer = self
            .http
            .get(format!("{}/subscription", self.world.sim.base_url()))
            .header("api-key", "api-key")
            .header("practice-id", account(of))
            .header("practice-key", format!("{of}-key"))
            .header("user-agent", "Tests (desk@example.com) DEV")
            .send();
        answer.await.unwrap().json().await.unwrap()
    }

    fn polls(&self) -> u64 {
        self.world.sim.inspect(|state| state.requests(&account("p1"), "GET", "/requests"))
    }

    async fn is_confirmed(&self, booking: i64) -> bool {
        let entry = self.world.entry(booking).await;
        entry.is_some_and(|entry| matches!(entry.state, BookingState::Confirmed(_)))
    }

    /// A booking that is announced and confirmed.
    async fn prove(&self) -> i64 {
        let booking = self.world.book_next(&self.world.known_patient().1);
        assert_eq!(self.announce(booking).await, Some(200));
        self.world.pass(2).await;
        assert!(self.is_confirmed(booking).await);
        assert!(matches!(self.state().trust, Trust::Proven(_)));
        booking
    }

    /// Lets time pass in strides that are no sleep.
    async fn stride(&self, seconds: i64) {
        for _ in 0..seconds / 25 {
            self.world.clock.move_by(TimeDelta::seconds(25));
            self.world.quiet().await;
        }
    }

    async fn finish(mut self) {
        self.deafen().await;
        self.world.finish().await;
    }
}

#[tokio::test]
async fn he_18_a_webhook_is_acknowledged_within_five_seconds_and_wakes_us() {
    let hooked = Hooked::new(System::OpenEmr).await;
    let mut state = hooked.world.engine.as_ref().unwrap().state();
    let booking = hooked.world.book_next(&hooked.world.known_patient().1);
    let began = Instant::now();
    assert_eq!(hooked.announce(booking).await, Some(200));
    assert!(began.elapsed() < Duration::from_secs(5));
    // Without the clinic's clock having moved.
    let heard = state.wait_for(|state| {
        let practice = &state.practices[&PracticeId::new("p1")];
        practice.webhooks.as_ref().is_some_and(|webhooks| webhooks.last_delivery_at.is_some())
    });
    drop(tokio::time::timeout(DEADLINE, heard).await.expect("it is heard").unwrap());
    hooked.world.quiet().await;
    assert!(hooked.is_confirmed(booking).await);
    hooked.world.stands_once(booking);
    hooked.finish().await;
}

#[tokio::test]
async fn he_19_a_repeated_delivery_is_acknowledged_and_does_nothing_twice() {
    let mut hooked = Hooked::new(System::OpenEmr).await;
    // Relied upon, so that nothing but a delivery is the reason to look.
    hooked.prove().await;
    hooked.deafen().await;
    let booking = hooked.world.book_next(&hooked.world.known_patients()[1].1);
    let attempts = |state: &SimState| {
        let ours = account("p1");
        let delivery = state.deliveries(&ours).find(|one| one.payload["data"]["bookingId"] == booking);
        delivery.map_or((0, DeliveryState::Waiting), |one| (one.attempts.len(), one.state))
    };
    // Healthengine's first delivery finds nobody.
    hooked.world.sim.wait_until(|state| attempts(state).0 == 1, DEADLINE).await.unwrap();
    hooked.world.pass(6).await;
    assert!(!hooked.is_confirmed(booking).await, "nothing else has told us");
    hooked.listen().await;
    // Its second comes ten seconds after the first.
    hooked.world.pass(6).await;
    let acknowledged = |state: &SimState| attempts(state).1 == DeliveryState::Acknowledged;
    hooked.world.sim.wait_until(acknowledged, DEADLINE).await.unwrap();
    assert!(hooked.world.sim.inspect(attempts).0 <= 3);
    hooked.world.pass(2).await;
    assert!(hooked.is_confirmed(booking).await);
    for _ in 0..5 {
        assert_eq!(hooked.announce(booking).await, Some(200));
        hooked.world.pass(1).await;
    }
    hooked.world.stands_once(booking);
    assert_eq!(hooked.world.sim.inspect(|state| state.confirmations_of(booking).len()), 1);
    hooked.finish().await;
}

#[tokio::test]
async fn deliveries_that_overtake_one_another_or_come_twice_settle_each_request_once() {
    let hooked = Hooked::new(System::Demo).await;
    // Only what is delivered here, in this order, is heard.
    hooked.world.sim.add_fault(FaultRule::always(Fault::LostCallback));
    let patients = hooked.world.known_patients();
    let [first, second, called_off] = [0, 1, 2].map(|number| hooked.world.book_next(&patients[number].1));
    let place = hooked.world.place(called_off);
    let update = hooked.world.sim.cancel_by_patient(&account("p1"), called_off).unwrap();
    let cancellation = json!({
        "timestamp": "2026-11-20 00:00:00", "id": "00000000-0000-4000-8000-000000000002",
        "clientId": "clinic-companion", "topic": "requests.bookingUpdates",
        "data": {"target": "/requests/bookingUpdates", "requestType": "bookingUpdates", "requestId": update,
                 "bookingId": called_off},
    });
    // The cancellation before its booking, the second booking before the first.
    assert_eq!(hooked.deliver(&cancellation).await, Some(200));
    for booking in [second, first, second, called_off, first] {
        assert_eq!(hooked.announce(booking).await, Some(200));
        hooked.world.pass(1).await;
    }
    assert_eq!(hooked.deliver(&cancellation).await, Some(200));
    hooked.world.pass(3).await;
    for booking in [first, second] {
        assert!(hooked.is_confirmed(booking).await);
        hooked.world.stands_once(booking);
        let answers = hooked.world.sim.inspect(|state| state.confirmations_of(booking).len());
        assert_eq!(answers, 1, "{booking}");
    }
    let there = hooked.world.in_book(called_off);
    assert!(there.iter().all(|there| there.status == "cancelled"), "{there:?}");
    hooked.world.until_offered(std::slice::from_ref(&place), true).await;
    hooked.finish().await;
}

#[tokio::test]
async fn he_20_a_webhook_missed_for_good_is_found_within_an_hour_and_polling_takes_over() {
    let mut hooked = Hooked::new(System::OpenEmr).await;
    hooked.prove().await;
    let before = hooked.polls();
    hooked.stride(600).await;
    assert_eq!(hooked.polls(), before, "webhooks are relied upon");
    hooked.deafen().await;
    let patients = hooked.world.known_patients();
    let booking = hooked.world.book_next(&patients[1].1);
    hooked.stride(3600).await;
    assert!(hooked.is_confirmed(booking).await);
    hooked.world.stands_once(booking);
    hooked.world.pass(40).await;
    assert!(matches!(hooked.state().trust, Trust::Silent(_)));
    let silent: Vec<String> = hooked.world.told().await.into_iter().map(|line| line.kind).collect();
    assert_eq!(silent.iter().filter(|kind| *kind == "webhooks/silent").count(), 1, "{silent:?}");
    // Asked every five seconds by itself, the next booking is found at once.
    let booking = hooked.world.book_next(&patients[2].1);
    hooked.world.pass(6).await;
    assert!(hooked.is_confirmed(booking).await);
    // They come back, and are relied upon again.
    hooked.listen().await;
    let booking = hooked.world.book_next(&patients[3].1);
    assert_eq!(hooked.announce(booking).await, Some(200));
    hooked.world.pass(2).await;
    assert!(matches!(hooked.state().trust, Trust::Proven(_)));
    assert!(hooked.world.told().await.iter().any(|line| line.kind == "webhooks/back"));
    let before = hooked.polls();
    hooked.stride(600).await;
    // Healthengine tries again what it could not deliver while nobody listened.
    assert!(hooked.polls() - before <= 6, "they are relied upon again");
    hooked.finish().await;
}

#[tokio::test]
async fn he_21_switched_on_again_outstanding_requests_are_looked_for() {
    let hooked = Hooked::new(System::OpenEmr).await;
    let practice = PracticeId::new("p1");
    assert_eq!(hooked.subscriptions("p1").await.len(), 1);
    set_enabled(hooked.world.store.as_ref(), &practice, false, tests::start()).await.unwrap();
    hooked.world.pass(3).await;
    assert_eq!(hooked.subscriptions("p1").await, [] as [Value; 0], "removed while paused");
    let booking = hooked.world.book_next(&hooked.world.known_patient().1);
    hooked.world.pass(30).await;
    assert!(!hooked.is_confirmed(booking).await);
    set_enabled(hooked.world.store.as_ref(), &practice, true, tests::start()).await.unwrap();
    hooked.world.pass(3).await;
    assert!(hooked.is_confirmed(booking).await);
    assert_eq!(hooked.subscriptions("p1").await.len(), 1);
    hooked.finish().await;
}

#[tokio::test]
async fn the_subscription_is_ours_alone_and_renewed_and_moves_with_the_account() {
    let hooked = Hooked::new(System::Demo).await;
    let one = hooked.subscriptions("p1").await;
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["callbackUrl"], format!("http://{}/{PATH}", hooked.address));
    assert_eq!(one[0]["topic"], "requests.*");
    // Half its time later it has been made anew.
    hooked.world.clock.move_by(TimeDelta::hours(84));
    hooked.world.quiet().await;
    hooked.world.pass(2).await;
    hooked.world.clock.move_by(TimeDelta::minutes(11));
    hooked.world.quiet().await;
    let renewed = hooked.subscriptions("p1").await;
    assert_eq!(renewed.len(), 1);
    assert_ne!(renewed[0]["expireAt"], one[0]["expireAt"]);
    let until = hooked.state().subscribed_until.unwrap();
    assert!(until - hooked.world.clock.now() > TimeDelta::days(6));
    // Other keys: the old account is told with the old keys.
    hooked.world.keep_keys("p1", "other").await;
    hooked
        .world
        .change_settings("p1", |settings| {
            settings.healthengine.as_mut().unwrap().practice_id = account("other")
        })
        .await;
    hooked.world.pass(4).await;
    assert_eq!(hooked.subscriptions("p1").await, [] as [Value; 0]);
    assert_eq!(hooked.subscriptions("other").await.len(), 1);
    // Webhooks are given up.
    hooked
        .world
        .change_settings("p1", |settings| settings.healthengine.as_mut().unwrap().webhook_url = None)
        .await;
    hooked.world.pass(4).await;
    assert_eq!(hooked.subscriptions("other").await, [] as [Value; 0]);
    hooked.finish().await;
}

#[tokio::test]
async fn forged_garbled_and_countless_deliveries_cost_nothing() {
    let hooked = Hooked::new(System::Demo).await;
    hooked.prove().await;
    let before = hooked.polls();
    for round in 0..10 {
        let mut senders = tokio::task::JoinSet::new();
        for number in 0..100 {
            let forged = json!({"clientId": "clinic-companion", "topic": "requests.bookings",
                "data": {"requestType": "bookings", "bookingId": round * 1_000 + number}});
            let url = format!("http://{}/{PATH}", hooked.address);
            let sent = hooked.http.post(url).json(&forged).send();
            senders.spawn(async move { sent.await.map(|answer| answer.status().as_u16()).ok() });
        }
        while let Some(status) = senders.join_next().await {
            assert_eq!(status.unwrap(), Some(200));
        }
        hooked.world.pass(1).await;
    }
    let looked = hooked.polls() - before;
    assert!((1..=11).contains(&looked), "{looked} looks in ten seconds");
    assert!(matches!(hooked.state().trust, Trust::Proven(_)));
    let url = |path: &str| format!("http://{}/{path}", hooked.address);
    let garbled = hooked.http.post(url(PATH)).body("no JSON at all").send().await.unwrap();
    assert_eq!(garbled.status(), 200);
    assert_eq!(hooked.http.post(url("guessed")).body("{}").send().await.unwrap().status(), 404);
    assert_eq!(hooked.http.get(url(PATH)).send().await.unwrap().status(), 405);
    hooked.world.pass(2).await;
    hooked.finish().await;
}

#[tokio::test]
async fn sources_are_checked_as_soon_as_somebody_says_so() {
    let hooked = Hooked::new(System::Demo).await;
    assert_eq!(hooked.announce(1).await, Some(200));
    hooked.listener_settings(ListenerSettings::at(hooked.address.clone())).await;
    let engine = hooked.world.engine.as_ref().unwrap();
    let mut state = engine.state();
    // The listener takes the change up within two seconds of real time; until then it lets everybody in.
    let turned_away = async {
        while hooked.announce(1).await != Some(403) {
            tokio::task::yield_now().await;
        }
        let counted = |state: &sync::state::EngineState| {
            state.listener.as_ref().is_some_and(|listener| listener.wrong_sources > 0)
        };
        drop(state.wait_for(counted).await.unwrap());
    };
    tokio::time::timeout(DEADLINE, turned_away).await.expect("turned away and counted");
    let from_healthengine = hooked
        .http
        .post(format!("http://{}/{PATH}", hooked.address))
        .header("x-forwarded-for", "203.0.113.9, 52.62.53.70")
        .body("{}")
        .send();
    assert_eq!(from_healthengine.await.unwrap().status(), 200);
    hooked.world.pass(2).await;
    hooked.finish().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_and_polling_goes_on() {
    let mut hooked = Hooked::new(System::Demo).await;
    hooked.deafen().await;
    let somebody = TcpListener::bind(&hooked.address).unwrap();
    let engine = hooked.world.engine.as_ref().unwrap();
    let mut state = engine.state();
    let keeper = tokio::spawn(listener::keep(hooked.world.store.clone(), engine.bell(), None));
    let told = state.wait_for(|state| state.listener.as_ref().is_some_and(|l| l.problem.is_some()));
    let told = tokio::time::timeout(DEADLINE, told).await.expect("told").unwrap().listener.clone();
    assert!(told.unwrap().problem.unwrap().contains("another program"));
    let booking = hooked.world.book_next(&hooked.world.known_patient().1);
    hooked.world.pass(6).await;
    assert!(hooked.is_confirmed(booking).await);
    drop(somebody);
    let listens = state.wait_for(|state| state.listener.as_ref().is_some_and(|l| l.problem.is_none()));
    drop(tokio::time::timeout(DEADLINE, listens).await.expect("it listens when the port is free").unwrap());
    assert_eq!(hooked.announce(booking).await, Some(200));
    keeper.abort();
    hooked.world.pass(2).await;
    hooked.finish().await;
}

#[tokio::test]
async fn healthengine_delivers_by_itself_and_what_it_could_not_is_shown() {
    let mut hooked = Hooked::new(System::Demo).await;
    let patients = hooked.world.known_patients();
    let mut state = hooked.world.engine.as_ref().unwrap().state();
    let booking = hooked.world.book_next(&patients[0].1);
    let heard = state.wait_for(|state| {
        let practice = &state.practices[&PracticeId::new("p1")];
        practice.webhooks.as_ref().is_some_and(|webhooks| webhooks.last_delivery_at.is_some())
    });
    drop(tokio::time::timeout(DEADLINE, heard).await.expect("it is delivered").unwrap());
    hooked.world.pass(2).await;
    assert!(hooked.is_confirmed(booking).await);
    assert!(matches!(hooked.state().trust, Trust::Proven(_)));
    assert_eq!(hooked.state().failed, []);
    hooked.deafen().await;
    let missed = hooked.world.book_next(&patients[1].1);
    let shown = async {
        while hooked.state().failed.is_empty() {
            hooked.stride(25).await;
        }
    };
    tokio::time::timeout(DEADLINE, shown).await.expect("the failed delivery is shown");
    hooked.stride(3600).await;
    assert!(hooked.is_confirmed(missed).await);
    hooked.world.stands_once(missed);
    hooked.finish().await;
}
