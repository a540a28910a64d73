//! A person signs in through the browser, and what becomes of the sign-in.

use std::sync::Mutex;
use std::time::Duration;

use domain::failure::{Cause, ReadError};
use domain::ports::practice::PracticeSystem;

use super::*;
use crate::http::sign_in::{Asking, SignIn, SignInBook, SignInError};
use crate::practices::provet::{SignInSetupError, ask_to_sign_in};
use crate::sim::faults::{Fault, FaultRule};

const LIMIT: Duration = Duration::from_secs(20);

/// A book in memory, which may be shut.
#[derive(Default)]
struct Kept {
    sign_in: Mutex<Option<SignIn>>,
    is_shut: Mutex<bool>,
}

impl Kept {
    fn refresh(&self) -> String {
        let kept = self.sign_in.lock().unwrap();
        kept.as_ref().unwrap().refresh.expose_secret().to_owned()
    }
}

#[async_trait]
impl SignInBook for Kept {
    fn whose(&self) -> String {
        "a practice".to_owned()
    }

    async fn newest(&self) -> Result<Option<SignIn>, Cause> {
        Ok(self.sign_in.lock().unwrap().clone())
    }

    async fn keep(&self, renewed: &SignIn) -> Result<(), Cause> {
        if *self.is_shut.lock().unwrap() {
            return Err("the disk is full".into());
        }
        *self.sign_in.lock().unwrap() = Some(renewed.clone());
        Ok(())
    }

    fn renews(&self) -> bool {
        true
    }
}

struct Person {
    sim: ProvetSim,
    hand: Hand,
    secret: &'static str,
    redirect: &'static str,
    book: Arc<Kept>,
}

impl Person {
    async fn new(secret: &'static str) -> Self {
        let hand = Hand::at(START.parse().unwrap());
        let redirect = "http://127.0.0.1/provet/signed-in";
        let config = ProvetSimConfig {
            provet_id: 9999,
            client_id: "a-client".into(),
            client_secret: secret.into(),
            redirect_url: Some(redirect.into()),
            time_zone: zone().0,
        };
        let sim = ProvetSim::start(config, hand.clock()).await.unwrap();
        sim.staff(|state, now| state.fill(friday(), now - TimeDelta::days(30)));
        Self { sim, hand, secret, redirect, book: Arc::default() }
    }

    fn account(&self) -> ProvetSettings {
        ProvetSettings {
            provet_id: 9999,
            client_id: "a-client".into(),
            token_url: None,
            webhook_url: None,
            redirect_url: Some(self.redirect.into()),
        }
    }

    fn http(&self) -> Http {
        Http::default().with_clock(Arc::new(HandClock(self.hand.clone())))
    }

    async fn ask(&self) -> Result<Asking, SignInSetupError> {
        let secret = SecretString::from(self.secret);
        ask_to_sign_in(&self.sim.host(), &self.account(), Some(&secret), &self.http()).await
    }

    /// Signs in, and the page that the browser ends with.
    async fn sign_in(&self) -> (Result<SignIn, SignInError>, String) {
        let asking = self.ask().await.unwrap();
        let page = asking.page().clone();
        let browser = async { browser().get(page).send().await.unwrap().text().await.unwrap() };
        let clock = HandClock(self.hand.clone());
        tokio::join!(asking.answered(LIMIT, &clock), browser)
    }

    async fn signed_in(self) -> (Self, Provet) {
        let (sign_in, page) = self.sign_in().await;
        assert!(page.contains("You can close this window"), "{page}");
        *self.book.sign_in.lock().unwrap() = Some(sign_in.unwrap());
        let provet = self.link();
        (self, provet)
    }

    fn link(&self) -> Provet {
        let book: Arc<dyn SignInBook> = self.book.clone();
        let secret = SecretString::from(self.secret);
        let setup = Setup {
            host: &self.sim.host(),
            account: &self.account(),
            client_secret: Some(&secret),
            sign_in: Some(&book),
            zone: zone(),
            write: WriteMode::Api,
            locations: None,
        };
        Provet::link(&setup, &self.http(), Arc::new(HandClock(self.hand.clone()))).unwrap()
    }

    fn tokens_asked(&self) -> usize {
        self.sim.inspect(|state| state.exchanges().filter(|asked| asked.path == "/oauth2/token/").count())
    }

    fn nothing_was_wrong(&self) {
        let mistakes: Vec<String> =
            self.sim.inspect(|state| state.mistakes().map(|mistake| format!("{mistake:?}")).collect());
        assert_eq!(mistakes, [""; 0]);
    }
}

fn browser() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_person_signs_in_with_a_confidential_client_and_with_a_public_one() {
    for secret in ["s3cret:with%signs", ""] {
        let (person, provet) = Person::new(secret).await.signed_in().await;
        provet.check().await.unwrap();
        assert_eq!(person.tokens_asked(), 1, "the first token is used");
        person.nothing_was_wrong();
    }
}

#[tokio::test]
async fn whoever_declines_is_not_signed_in() {
    let person = Person::new("").await;
    person.sim.conduct(|conduct| conduct.person_declines = true);
    let (sign_in, page) = person.sign_in().await;
    assert!(matches!(sign_in, Err(SignInError::Declined)));
    assert!(page.contains("Nobody was signed in"), "{page}");
    assert_eq!(person.tokens_asked(), 0);
}

#[tokio::test]
async fn whoever_does_not_know_the_state_changes_nothing_and_hears_nothing_back() {
    let person = Person::new("").await;
    let asking = person.ask().await.unwrap();
    let page = asking.page().clone();
    let back = page.query_pairs().find(|(key, _)| key == "redirect_uri").unwrap().1.into_owned();
    let clock = HandClock(person.hand.clone());
    let forged = async {
        let address = format!("{back}?code=forged&state=guessed");
        let answer = browser().get(&address).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(!answer.text().await.unwrap().contains("forged"));
        let declined = browser().get(format!("{back}?error=access_denied")).send().await.unwrap();
        assert_eq!(declined.status(), 400);
        let elsewhere = back.replace("signed-in", "favicon.ico");
        assert_eq!(browser().get(elsewhere).send().await.unwrap().status(), 404);
        browser().get(page).send().await.unwrap();
        // One sign-in, one answer: then the port is given back.
        back
    };
    let (sign_in, back) = tokio::join!(asking.answered(LIMIT, &clock), forged);
    sign_in.unwrap();
    assert!(browser().get(&back).send().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_without_end() {
    let person = Person::new("").await;
    let asking = person.ask().await.unwrap();
    let ended = asking.answered(LIMIT, &HandClock(person.hand.clone())).await;
    assert!(matches!(ended, Err(SignInError::TimedOut)));
}

#[tokio::test]
async fn a_port_that_another_program_has_is_said_and_no_other_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut person = Person::new("").await;
    person.redirect = format!("http://127.0.0.1:{port}/x").leak();
    let asked = person.ask().await;
    assert!(matches!(asked, Err(SignInSetupError::SignIn(SignInError::Port(_)))));
    for no in ["https://127.0.0.1/x", "http://localhost:1/x", "http://example.com/x", "http://127.0.0.1/x?y"]
    {
        person.redirect = no;
        let asked = person.ask().await;
        assert!(matches!(asked, Err(SignInSetupError::SignIn(SignInError::Redirect))), "{no}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_the_new_refresh_token_is_kept_each_time() {
    let (person, provet) = Person::new("").await.signed_in().await;
    let mut seen = vec![person.book.refresh()];
    for _ in 0..3 {
        person.hand.pass(TimeDelta::hours(10) - TimeDelta::seconds(30));
        provet.rights().await.unwrap();
        assert!(!seen.contains(&person.book.refresh()), "replaced");
        seen.push(person.book.refresh());
    }
    let unauthorised = person.sim.inspect(|state| state.exchanges().any(|asked| asked.status == Some(401)));
    assert!(!unauthorised, "before its end");
    // The program starts again and goes on.
    person.hand.pass(TimeDelta::days(29));
    person.link().rights().await.unwrap();
    person.nothing_was_wrong();
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_renewed_once() {
    let (person, provet) = Person::new("").await.signed_in().await;
    provet.rights().await.unwrap();
    person.sim.staff(|state, _| state.end_tokens());
    provet.rights().await.unwrap();
    assert_eq!(person.tokens_asked(), 2);
    person.nothing_was_wrong();
}

#[tokio::test]
async fn a_sign_in_that_ended_needs_a_person_and_nobody_is_asked_again() {
    let (person, provet) = Person::new("").await.signed_in().await;
    provet.rights().await.unwrap();
    person.hand.pass(TimeDelta::days(31));
    for _ in 0..3 {
        assert!(matches!(provet.rights().await, Err(ReadError::SignInNeeded)));
        person.hand.pass(TimeDelta::minutes(5));
    }
    assert_eq!(person.tokens_asked(), 2, "what was refused is not tried again");
    // Somebody signs in again.
    let (sign_in, _) = person.sign_in().await;
    *person.book.sign_in.lock().unwrap() = Some(sign_in.unwrap());
    provet.rights().await.unwrap();
}

#[tokio::test]
async fn nobody_signed_in_yet_is_said_before_anything_is_sent() {
    let person = Person::new("").await;
    assert!(matches!(person.link().rights().await, Err(ReadError::SignInNeeded)));
    assert_eq!(person.sim.inspect(|state| state.exchanges().count()), 0);
}

#[tokio::test]
async fn a_renewed_sign_in_that_cannot_be_kept_is_not_lost() {
    let (person, provet) = Person::new("").await.signed_in().await;
    let first = person.book.refresh();
    *person.book.is_shut.lock().unwrap() = true;
    for _ in 0..2 {
        person.hand.pass(TimeDelta::hours(11));
        provet.rights().await.unwrap();
        assert_eq!(person.book.refresh(), first);
    }
    *person.book.is_shut.lock().unwrap() = false;
    person.hand.pass(TimeDelta::hours(11));
    provet.rights().await.unwrap();
    let kept = person.book.refresh();
    assert!(person.sim.inspect(|state| state.refresh_tokens().any(|known| known == kept)));
}

#[tokio::test]
async fn what_another_process_renewed_is_taken_up() {
    let (person, one) = Person::new("").await.signed_in().await;
    let other = person.link();
    for _ in 0..2 {
        person.hand.pass(TimeDelta::hours(11));
        one.rights().await.unwrap();
        other.rights().await.unwrap();
    }
    assert_eq!(person.tokens_asked(), 3, "one renewal serves both");
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_any_more_is_kept_all_the_same() {
    let (person, provet) = Person::new("").await.signed_in().await;
    let first = person.book.refresh();
    person.hand.pass(TimeDelta::hours(11));
    let slow = Fault::SlowAnswer { milliseconds: 300 };
    let fault = person.sim.add_fault(FaultRule::once(slow).on("POST", "/oauth2/token/"));
    assert!(tokio::time::timeout(Duration::from_millis(100), provet.rights()).await.is_err());
    person.sim.remove_fault(fault);
    provet.rights().await.unwrap();
    assert_ne!(person.book.refresh(), first);
    assert_eq!(person.tokens_asked(), 2);
}

#[test]
fn a_sign_in_is_kept_and_read_again_and_prints_nothing_of_itself() {
    let sign_in = SignIn {
        since: START.parse().unwrap(),
        refresh: "geheim-r".into(),
        access: "geheim-a".into(),
        ends_at: START.parse().unwrap(),
    };
    assert!(!format!("{sign_in:?}").contains("geheim"));
    let read = SignIn::of_secret(&sign_in.to_secret()).unwrap();
    assert_eq!((read.since, read.ends_at), (sign_in.since, sign_in.ends_at));
    assert_eq!((read.refresh.expose_secret(), read.access.expose_secret()), ("geheim-r", "geheim-a"));
    assert!(SignIn::of_secret(&"x".into()).is_none());
}
