//! Deliveries, good and bad, over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::sync::Mutex;

use domain::ids::{ForeignBookingId, ForeignChangeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const PATH: &str = "0123456789abcdef0123456789abcdef01234567";
const DELIVERY: &str = r#"{"timestamp":"2026-03-02 22:14:10","id":"00000000-0000-4000-8000-000000000001",
    "clientId":"clinic-companion","topic":"requests.bookings",
    "data":{"target":"/requests/bookings","requestType":"bookings","bookingId":9001234}}"#;

/// Nothing here takes this long, unless it never comes.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Heard {
    delivered: Mutex<Vec<(PracticeId, Announced)>>,
    listening: Mutex<Vec<Option<ListenerState>>>,
}

impl Bell for Heard {
    fn delivered(&self, practice: &PracticeId, what: Announced) {
        self.delivered.lock().unwrap().push((practice.clone(), what));
    }

    fn listening(&self, state: Option<ListenerState>) {
        self.listening.lock().unwrap().push(state);
    }
}

impl Heard {
    fn take(&self) -> Vec<Announced> {
        self.delivered.lock().unwrap().drain(..).map(|(_, what)| what).collect()
    }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn quick() -> Patience {
    Patience { head: Duration::from_millis(300), body: Duration::from_millis(300) }
}

fn door(sources: Option<&[&str]>) -> (SecretString, Door) {
    let sources = sources.map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
    let opens_to = OpensTo::Bell { practice: PracticeId::new("richmond"), read: healthengine::announced };
    let door = Door { sources, opens_to };
    (PATH.into(), door)
}

async fn listener(sources: Option<&[&str]>, patience: Patience) -> (Listener, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let listener = Listener::start(loopback(), patience, heard.clone()).await.unwrap();
    listener.set_doors([door(sources)]);
    (listener, heard)
}

/// Sends bytes as they are and returns the status of the answer, or nothing where the connection just ended.
async fn raw(address: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The other side may close while we write.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse().ok())
    };
    tokio::time::timeout(DEADLINE, exchange).await.expect("an answer, or the end of the connection")
}

async fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> Option<u16> {
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: clinic\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(address, text.as_bytes()).await
}

#[tokio::test]
async fn a_delivery_is_answered_and_rings_the_bell_of_its_practice() {
    let (listener, heard) = listener(None, Patience::default()).await;
    let at = listener.address();
    // A proxy may pass the prefix of the public address on, or cut it off.
    for path in [format!("/{PATH}"), format!("/hooks/clinic/{PATH}"), format!("/{PATH}?x=1")] {
        assert_eq!(post(at, &path, "Content-Type: application/json\r\n", DELIVERY).await, Some(200));
    }
    let expected = Announced::Booking(ForeignBookingId::new("9001234"));
    assert_eq!(heard.take(), vec![expected; 3]);
}

#[tokio::test]
async fn whatever_it_holds_a_delivery_is_a_hint() {
    let (listener, heard) = listener(None, Patience::default()).await;
    let at = listener.address();
    let long = "x".repeat(LARGEST_BODY);
    for (headers, body) in [
        ("Content-Type: text/plain\r\n", "nonsense"),
        ("Content-Type: application/xml\r\n", "<a/>"),
        ("", ""),
        ("Content-Type: application/json\r\n", "{\"data\": "),
        ("Content-Type: application/json\r\n", "[[[[[1]]]]]"),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "\u{1}\u{2}"),
        ("", long.as_str()),
    ] {
        assert_eq!(post(at, &format!("/{PATH}"), headers, body).await, Some(200), "{headers}");
        assert_eq!(heard.take(), [Announced::Something]);
    }
    let deep = "[".repeat(LARGEST_BODY);
    assert_eq!(post(at, &format!("/{PATH}"), "", &deep).await, Some(200));
}

#[tokio::test]
async fn what_names_no_door_is_told_nothing() {
    let (listener, heard) = listener(Some(&["192.0.2.1"]), Patience::default()).await;
    let at = listener.address();
    let mut shorter = PATH.to_owned();
    shorter.pop();
    for path in ["/", "/hooks", "/favicon.ico", &format!("/{shorter}"), &format!("/{PATH}/"), "/%2e%2e/%00"] {
        assert_eq!(post(at, path, "", DELIVERY).await, Some(404), "{path}");
    }
    let get = format!("GET /hooks/{} HTTP/1.1\r\nHost: clinic\r\n\r\n", PATH.to_uppercase());
    assert_eq!(raw(at, get.as_bytes()).await, Some(404));
    assert_eq!(raw(at, b"\x16\x03\x01 TLS to a plain port\r\n\r\n").await, Some(400));
    assert_eq!((heard.take().len(), listener.wrong_sources()), (0, 0));
    // A door that was taken away is one that never was.
    listener.set_doors([]);
    assert_eq!(post(at, &format!("/{PATH}"), "", DELIVERY).await, Some(404));
}

#[tokio::test]
async fn only_posts_are_deliveries() {
    let (listener, heard) = listener(None, Patience::default()).await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let text = format!("{method} /{PATH} HTTP/1.1\r\nHost: clinic\r\n\r\n");
        assert_eq!(raw(listener.address(), text.as_bytes()).await, Some(405), "{method}");
    }
    assert_eq!(heard.take(), []);
}

#[tokio::test]
async fn what_comes_from_elsewhere_is_turned_away_and_counted() {
    let (listener, heard) = listener(Some(&["13.55.48.1", "2001:db8::7"]), Patience::default()).await;
    let at = listener.address();
    for (headers, status) in [
        ("", 403),
        ("X-Forwarded-For: 198.51.100.9\r\n", 403),
        // Only the proxy's own word counts, and it stands last.
        ("X-Forwarded-For: 13.55.48.1, 198.51.100.9\r\n", 403),
        ("X-Forwarded-For: 13.55.48.1\r\nX-Forwarded-For: 198.51.100.9\r\n", 403),
        ("X-Forwarded-For: nonsense\r\n", 403),
        ("X-Forwarded-For: 13.55.48.1\r\n", 200),
        ("X-Forwarded-For: 198.51.100.9,13.55.48.1\r\n", 200),
        ("X-Forwarded-For: 198.51.100.9\r\nX-Forwarded-For: 13.55.48.1:4711\r\n", 200),
        ("X-Forwarded-For: ::ffff:13.55.48.1\r\n", 200),
        ("X-Forwarded-For: 2001:db8::7\r\n", 200),
    ] {
        assert_eq!(post(at, &format!("/{PATH}"), headers, DELIVERY).await, Some(status), "{headers}");
    }
    assert_eq!((listener.wrong_sources(), heard.take().len()), (5, 5));
}

#[test]
fn a_peer_that_is_not_on_this_computer_speaks_for_itself() {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", "13.55.48.1".parse().unwrap());
    let from = |peer: &str| source(peer.parse().unwrap(), &headers).to_string();
    assert_eq!(from("127.0.0.1"), "13.55.48.1");
    assert_eq!(from("::1"), "13.55.48.1");
    assert_eq!(from("::ffff:127.0.0.1"), "13.55.48.1");
    assert_eq!(from("198.51.100.9"), "198.51.100.9");
    assert_eq!(source("127.0.0.1".parse().unwrap(), &HeaderMap::new()).to_string(), "127.0.0.1");
}

#[tokio::test]
async fn what_is_too_long_is_turned_away() {
    let (listener, heard) = listener(None, Patience::default()).await;
    let at = listener.address();
    let claim = format!("POST /{PATH} HTTP/1.1\r\nHost: clinic\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(raw(at, claim.as_bytes()).await, Some(413));
    let chunk = format!("{:x}\r\n{}\r\n", LARGEST_BODY + 1, "x".repeat(LARGEST_BODY + 1));
    let head = format!("POST /{PATH} HTTP/1.1\r\nHost: clinic\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(raw(at, format!("{head}{chunk}").as_bytes()).await, Some(413));
    // A sender that goes on sending a megabyte may not live to read the answer.
    let whole = format!("{claim}{}", "x".repeat(1_000_000));
    assert!(matches!(raw(at, whole.as_bytes()).await, Some(413) | None));
    let long_head = format!("POST /{PATH} HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1_000_000));
    assert!(matches!(raw(at, long_head.as_bytes()).await, Some(431) | None));
    assert_eq!(heard.take(), []);
    assert_eq!(post(at, &format!("/{PATH}"), "", DELIVERY).await, Some(200));
}

#[tokio::test]
async fn slow_senders_are_cut_off_and_hold_nobody_up() {
    let (listener, heard) = listener(None, quick()).await;
    let at = listener.address();
    // Twice as many as have a seat, each of which stops in the middle of its head.
    let mut slow = Vec::new();
    for _ in 0..2 * MOST_AT_ONCE {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"POST /x HTTP/1.1\r\nHost: cl").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(post(at, &format!("/{PATH}"), "", DELIVERY).await, Some(200));
    assert_eq!(heard.take().len(), 1);
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a connection is still open");
    }
    let body = format!("POST /{PATH} HTTP/1.1\r\nHost: clinic\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(raw(at, body.as_bytes()).await, Some(408));
    assert_eq!(heard.take(), []);
}

#[tokio::test]
async fn thousands_at_once_are_all_answered() {
    let (listener, heard) = listener(None, Patience::default()).await;
    let at = listener.address();
    let mut senders = JoinSet::new();
    for _ in 0..3_000 {
        senders.spawn(async move { post(at, &format!("/{PATH}"), "", DELIVERY).await });
    }
    while let Some(answered) = senders.join_next().await {
        assert_eq!(answered.unwrap(), Some(200));
    }
    assert_eq!(heard.take().len(), 3_000);
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_so_and_a_stopped_listener_frees_its_own() {
    let (first, heard) = listener(None, Patience::default()).await;
    let at = first.address();
    let error = Listener::start(at, Patience::default(), heard.clone()).await.err().unwrap();
    let said = trouble(at, &error);
    assert!(said.contains(&format!("uses port {}", at.port())), "{said}");
    first.stop().await;
    Listener::start(at, Patience::default(), heard).await.unwrap();
}

#[test]
fn addresses_that_others_reach_are_known() {
    let open = |address: &str| is_open_to_others(&address.parse().unwrap());
    assert!(open("0.0.0.0:1") && open("192.168.1.7:1") && open("[::]:1"));
    assert!(!open("127.0.0.1:1") && !open("127.8.8.8:1") && !open("[::1]:1"));
}

#[test]
fn what_a_delivery_announces() {
    let said = |client: &str, data: &str| {
        healthengine::announced(format!("{{\"clientId\":{client},\"data\":{data}}}").as_bytes())
    };
    let ours = "\"clinic-companion\"";
    let booking = |number: &str| Some(ForeignBookingId::new(number));
    let change = |number: &str| Some(ForeignChangeId::new(number));
    for (data, expected) in [
        (r#"{"requestType":"bookings","bookingId":7}"#, Announced::Booking(ForeignBookingId::new("7"))),
        (
            r#"{"requestType":"bookingUpdates","bookingId":7,"requestId":9}"#,
            Announced::Change { change: change("9"), booking: booking("7") },
        ),
        (
            r#"{"requestType":"bookingUpdates","requestId":"9"}"#,
            Announced::Change { change: change("9"), booking: None },
        ),
        (r#"{"requestType":"bookingUpdates"}"#, Announced::Something),
        (r#"{"requestType":"bookings"}"#, Announced::Something),
        (r#"{"target":null,"requestType":"pmsResources"}"#, Announced::Something),
        (r#"{"requestType":"somethingNew","bookingId":7}"#, Announced::Something),
        (r#"{"requestType":7,"bookingId":{}}"#, Announced::Something),
        ("null", Announced::Something),
    ] {
        assert_eq!(said(ours, data), expected, "{data}");
    }
    let data = r#"{"requestType":"bookings","bookingId":7}"#;
    for client in ["null", "\"somebody-else\"", "7"] {
        assert_eq!(said(client, data), Announced::Something, "made for another subscription");
    }
}

/// Takes in what begins with a brace.
struct Scribe(Mutex<usize>);

#[async_trait::async_trait]
impl Registrar for Scribe {
    async fn take(&self, body: &[u8]) -> Taken {
        let mut taken = self.0.lock().unwrap();
        if !body.starts_with(b"{") {
            return Taken::Refused;
        }
        *taken += 1;
        if *taken > 2 { Taken::Later } else { Taken::Waits }
    }
}

#[tokio::test]
async fn registrations_come_in_at_their_own_door_and_ring_no_bell() {
    let (listener, heard) = listener(None, quick()).await;
    let scribe = Arc::new(Scribe(Mutex::default()));
    let opens_to = OpensTo::Registrar(scribe.clone());
    listener.set_doors([("hookup".into(), Door { sources: None, opens_to }), door(None)]);
    let at = listener.address();
    let status = async |path: &str, body: &str| post(at, path, "", body).await;
    assert_eq!(status("/hookup", "not JSON").await, Some(400));
    assert_eq!(status("/hookup", "{}").await, Some(200));
    assert_eq!(status("/hookup", "{}").await, Some(200));
    assert_eq!(status("/hookup", "{}").await, Some(503), "it may come again");
    assert_eq!(status("/hookups", "{}").await, Some(404), "who does not know the path");
    assert_eq!(status("/hookup", &"{".repeat(LARGEST_BODY + 1)).await, Some(413));
    assert_eq!(raw(at, b"GET /hookup HTTP/1.1\r\nHost: clinic\r\n\r\n").await, Some(405));
    assert_eq!(*scribe.0.lock().unwrap(), 3);
    assert!(heard.take().is_empty());
}
