//! The HTTP client against a loopback server: deadlines, sorting of failures, secrets.

use super::refusals::tests::Seconds;
use super::*;
use domain::failure::WriteError;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Answers each connection with the same bytes and closes it. Reports every request as it came.
struct Canned {
    base_url: String,
    requests: mpsc::UnboundedReceiver<Vec<u8>>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Canned {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        let arrivals: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let noted = arrivals.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(request) = whole_request(&mut stream).await {
                    noted.lock().unwrap().push(Instant::now());
                    let _ = seen.send(request);
                    let _ = stream.write_all(&answer).await;
                }
            }
        });
        Self { base_url, requests, arrivals }
    }

    async fn status(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().fold(String::new(), |mut text, (name, value)| {
            let _ = write!(text, "{name}: {value}\r\n");
            text
        });
        let length = body.len();
        Self::answering(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")).await
    }

    fn endpoint(&self) -> Endpoint {
        Http::default().endpoint(&self.base_url).unwrap()
    }

    async fn read(&self) -> Result<Vec<String>, ReadError> {
        self.endpoint().read(&["things"], &[], Haste::Normal).await
    }

    async fn write(&self) -> Result<(), WriteError> {
        self.endpoint().write(&["things"], Some(&["thing"]), Haste::Urgent).await
    }
}

async fn whole_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let headers = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length = headers
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if request.len() >= head + 4 + length {
                return Some(request);
            }
        }
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
    }
}

/// The kind of an error, with what people would see of the chain beneath.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause.filter(|found| found.is::<ReadError>() || found.is::<HttpFailure>()) {
        let _ = write!(text, " < {found}");
        cause = found.source();
    }
    text
}

async fn told_of_both(canned: &Canned) -> [String; 2] {
    [told(&canned.read().await.unwrap_err()), told(&canned.write().await.unwrap_err())]
}

#[tokio::test]
async fn statuses_are_sorted_by_what_can_be_done() {
    for (status, read, written) in [
        ("302 Found", "no answer < an answer that leads elsewhere (302)", "unknown whether it was written"),
        ("401 Unauthorized", "our credentials were refused", "not written"),
        ("403 Forbidden", "the practice's consent is missing", "not written"),
        ("404 Not Found", "not found", "not written"),
        ("410 Gone", "not found", "not written"),
        ("408 Request Timeout", "no answer < the other side failed (408)", "unknown whether it was written"),
        ("422 Odd", "our request was refused: no reason given (status 422)", "not written"),
        ("429 Too Many Requests", "asked to slow down", "not written"),
        ("500 Oops", "no answer < the other side failed (500)", "unknown whether it was written"),
        ("503 Busy", "asked to slow down", "unknown whether it was written"),
        ("504 Late", "no answer < the other side failed (504)", "unknown whether it was written"),
    ] {
        let canned = Canned::status(status, &[("location", "http://127.0.0.1:9/")], "").await;
        let [of_read, of_write] = told_of_both(&canned).await;
        assert_eq!(of_read, read, "{status}");
        assert_eq!(of_write, format!("{written} < {read}"), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Canned::status("200 OK", &[], "[]").await;
    let canned = Canned::status("307 Elsewhere", &[("location", &elsewhere.base_url)], "").await;
    assert!(matches!(canned.read().await, Err(ReadError::Unreachable(_))));
    assert!(matches!(canned.write().await, Err(WriteError::Unknown(ReadError::Unreachable(_)))));
    assert!(elsewhere.requests.try_recv().is_err());
}

#[tokio::test]
async fn reasons_are_passed_on_without_values() {
    let said = r#"{"error": "dob '09-11-1984' of marnie@example.test\n is not DD-MM-YYYY"}"#;
    let canned = Canned::status("400 Bad Request", &[], said).await;
    assert_eq!(
        told_of_both(&canned).await,
        [
            "our request was refused: dob … of … is not DD-MM-YYYY",
            "not written < our request was refused: dob … of … is not DD-MM-YYYY",
        ]
    );
}

#[tokio::test]
async fn patience_is_read_in_seconds_and_as_a_date() {
    let noon = ("date", "Fri, 20 Nov 2026 12:00:00 GMT");
    for (header, expected) in [
        ("120", Some(TimeDelta::seconds(120))),
        ("0", Some(TimeDelta::zero())),
        ("Fri, 20 Nov 2026 12:00:30 GMT", Some(TimeDelta::seconds(30))),
        ("Fri, 20 Nov 2026 11:00:00 GMT", Some(TimeDelta::zero())),
        ("99999999999999999999", Some(TimeDelta::hours(24))),
        ("soon", None),
        ("-5", None),
    ] {
        for status in ["429 Too Many Requests", "503 Busy"] {
            let canned = Canned::status(status, &[noon, ("retry-after", header)], "").await;
            let Err(ReadError::SlowDown { retry_after }) = canned.read().await else {
                panic!("{status} {header}")
            };
            assert_eq!(retry_after, expected, "{status} {header}");
        }
    }
}

#[tokio::test]
async fn answers_that_cannot_be_read() {
    let broken = "no answer < the connection broke";
    for (answer, read) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[\"a\", \"b\"", "garbled ends early"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<html>hi!", "garbled bad syntax"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1, \"Lee\"]", "garbled another shape"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot  gzip", "garbled"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n[\"a\", \"b\"", broken),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n[\"a\", \"b\"\r\n", broken),
        ("", broken),
        ("HTTP/1.1 2", broken),
    ] {
        let canned = Canned::answering(answer).await;
        let error = canned.read().await.unwrap_err();
        match read.strip_prefix("garbled") {
            Some(how) => {
                assert!(matches!(error, ReadError::Garbled(_)), "{answer:?}: {error:?}");
                assert!(told(&error).contains(how.trim()), "{answer:?}: {}", told(&error));
            }
            None => assert_eq!(told(&error), read, "{answer:?}"),
        }
        assert!(!format!("{error:?}").contains("Lee"));
    }
}

#[tokio::test]
async fn a_write_is_done_when_the_status_says_so() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"cut",
    ] {
        let canned = Canned::answering(answer).await;
        assert!(canned.write().await.is_ok(), "{answer:?}");
    }
    for answer in ["", "HTTP/1.1 20"] {
        let canned = Canned::answering(answer).await;
        assert!(matches!(canned.write().await, Err(WriteError::Unknown(ReadError::Unreachable(_)))));
    }
    // Where the answer matters, one that cannot be read leaves the outcome open.
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
    {
        let canned = Canned::answering(answer).await;
        let wanted: Result<Vec<String>, _> =
            canned.endpoint().write_and_read(&["things"], &["thing"], Haste::Normal).await;
        assert!(matches!(wanted, Err(WriteError::Unknown(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_dropped() {
    let body = vec![b' '; LARGEST_ANSWER_BYTES + 1];
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    compressed.write_all(&body).unwrap();
    let bomb = compressed.finish().unwrap();
    let head = |encoding: &str, length: usize| {
        format!("HTTP/1.1 200 OK\r\n{encoding}content-length: {length}\r\n\r\n").into_bytes()
    };
    let plain = [head("", body.len()), body].concat();
    let bomb = [head("content-encoding: gzip\r\n", bomb.len()), bomb].concat();
    for answer in [plain, bomb] {
        let canned = Canned::answering(answer).await;
        let error = canned.read().await.unwrap_err();
        assert_eq!(told(&error), "an answer we cannot read < an answer of more than 16777216 bytes");
    }
}

#[tokio::test]
async fn nobody_there_means_untouched() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let endpoint = Http::default().endpoint(&base_url).unwrap();
    let read: Result<Vec<String>, _> = endpoint.read(&["things"], &[], Haste::Normal).await;
    assert_eq!(told(&read.unwrap_err()), "no answer < no connection");
    let written = endpoint.write(&["things"], Some(&["thing"]), Haste::Normal).await;
    assert_eq!(told(&written.unwrap_err()), "not written < no answer < no connection");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let deadlines = Deadlines { urgent: Duration::from_millis(50), ..Deadlines::default() };
    let endpoint = Http::with_deadlines(deadlines).endpoint(&base_url).unwrap();
    // The listener's backlog takes the connection, and nobody ever answers.
    let written = endpoint.write(&["things"], Some(&["thing"]), Haste::Urgent).await;
    assert_eq!(
        told(&written.unwrap_err()),
        "unknown whether it was written < no answer < no whole answer in time"
    );
    let read: Result<Vec<String>, _> = endpoint.read(&["things"], &[], Haste::Urgent).await;
    assert_eq!(told(&read.unwrap_err()), "no answer < no whole answer in time");
}

#[tokio::test]
async fn requests_are_as_they_should_be() {
    let mut canned = Canned::status("200 OK", &[], "[]").await;
    let endpoint = canned
        .endpoint()
        .user_agent("Somebody (it@example.com) DEV")
        .unwrap()
        .secret_header("api-key", "API key", &SecretString::from(" k3y\n"))
        .unwrap();
    let _: Vec<String> =
        endpoint.read(&["a/b", "c d?"], &[("page", "1"), ("q", "x&y")], Haste::Normal).await.unwrap();
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    assert!(request.starts_with("GET /v1/a%2Fb/c%20d%3F?page=1&q=x%26y HTTP/1.1\r\n"), "{request}");
    for header in ["api-key: k3y", "user-agent: Somebody (it@example.com) DEV", "accept: application/json"] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
    assert!(!request.contains("content-type"));

    endpoint.write(&["things"], Some(&["small"]), Haste::Normal).await.unwrap();
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    assert!(request.contains("\r\ncontent-type: application/json\r\n"));
    assert!(!request.contains("content-encoding"));
    assert!(request.ends_with("\r\n\r\n[\"small\"]"));

    endpoint.write(&["things"], None::<&()>, Haste::Normal).await.unwrap();
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    assert!(!request.contains("content-type"), "{request}");
    assert!(request.ends_with("\r\n\r\n"));

    let large = vec!["large".repeat(10); 100];
    endpoint.write(&["things"], Some(&large), Haste::Normal).await.unwrap();
    let request = canned.requests.recv().await.unwrap();
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&request[..end]).contains("\r\ncontent-encoding: gzip\r\n"));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&request[end..]).read_to_string(&mut plain).unwrap();
    assert_eq!(plain, serde_json::to_string(&large).unwrap());
    assert!(request.len() < plain.len() / 4);
}

#[test]
fn addresses() {
    let http = Http::default();
    for good in [
        "http://127.0.0.1:8080/v1",
        "http://127.9.9.9",
        "http://localhost:1/",
        "http://[::1]:80/v1/",
        " http://LOCALHOST/ ",
    ] {
        assert!(http.endpoint(good).is_ok(), "{good}");
    }
    for plain in
        ["http://example.com/v1", "http://10.0.0.1", "http://localhost.example.com", "http://0.0.0.0"]
    {
        assert!(matches!(http.endpoint(plain), Err(EndpointError::NotEncrypted)), "{plain}");
    }
    for wrong in [
        "",
        "example.com",
        "ftp://127.0.0.1",
        "http://me:secret@127.0.0.1",
        "http://127.0.0.1/?key=1",
        "http://127.0.0.1/#a",
        "mailto:it@example.com",
        "https://",
    ] {
        assert!(matches!(http.endpoint(wrong), Err(EndpointError::NotAnAddress)), "{wrong}");
    }
    // The slash at the end makes no empty segment.
    let endpoint = http.endpoint("http://localhost:1/v1/").unwrap();
    assert_eq!(endpoint.url(&["requests"]).as_str(), "http://localhost:1/v1/requests");
}

#[test]
fn an_encrypted_address_uses_the_certificates_of_this_computer() {
    let endpoint = Http::default().endpoint("https://partner.example.com/v1").unwrap();
    assert_eq!(endpoint.url(&["requests"]).as_str(), "https://partner.example.com/v1/requests");
}

#[test]
fn keys_that_no_key_looks_like_are_refused() {
    for wrong in ["", "  ", "a\nb", "ключ", "a\u{0}b"] {
        let endpoint = Http::default().endpoint("http://localhost").unwrap();
        let refused = endpoint.secret_header("api-key", "API key", &SecretString::from(wrong));
        let Err(error) = refused else { panic!("{wrong:?} was taken") };
        assert_eq!(error.to_string(), "the API key has characters that it cannot have");
    }
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_out_again(body in proptest::collection::vec(any::<u8>(), 0..5000)) {
        match compressed(&body) {
            None => prop_assert!(body.len() <= COMPRESS_ABOVE_BYTES),
            Some(smaller) => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(smaller.as_slice()).read_to_end(&mut plain).unwrap();
                prop_assert_eq!(plain, body);
            }
        }
    }
}

#[tokio::test]
async fn the_other_sides_time_is_known_whatever_else_it_answers() {
    for status in ["200 OK", "401 Unauthorized", "404 Not Found"] {
        let mut canned = Canned::status(status, &[("date", "Fri, 20 Nov 2026 03:04:05 GMT")], "").await;
        let time = Http::default().time_at(&canned.base_url).await.unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-20T03:04:05+00:00", "{status}");
        let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap().to_lowercase();
        assert!(request.starts_with("head /v1 ") && !request.contains("key"), "{request}");
    }
    let timeless = Canned::status("200 OK", &[], "").await;
    assert!(matches!(Http::default().time_at(&timeless.base_url).await, Err(ReadError::Garbled(_))));
    assert!(matches!(Http::default().time_at("http://example.com").await, Err(ReadError::Invalid(_))));
}

fn tokens_at(http: &Http, url: &str) -> Tokens {
    let [client_id, client_secret] = ["an-id", "a-secret"].map(SecretString::from);
    let client = TokenClient {
        url,
        client_id: &client_id,
        client_secret: Some(&client_secret),
        grant: Grant::Client { audience: "an-api" },
    };
    http.tokens(&client).unwrap()
}

#[tokio::test]
async fn a_token_is_asked_for_in_a_form_and_never_shown() {
    let token = r#"{"access_token": "s3cr3t", "token_type": "Bearer", "expires_in": 7200}"#;
    let mut canned = Canned::status("200 OK", &[], token).await;
    let tokens = tokens_at(&Http::default(), &canned.base_url);
    assert_eq!(tokens.current().await.unwrap().expose_secret(), "s3cr3t");
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    let (head, form) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded"), "{head}");
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
    let mut form: Vec<&str> = form.split('&').collect();
    form.sort_unstable();
    let expected =
        ["audience=an-api", "client_id=an-id", "client_secret=a-secret", "grant_type=client_credentials"];
    assert_eq!(form, expected);
    // It is good for two hours, so that nobody is asked again.
    tokens.current().await.unwrap();
    assert!(canned.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_token_is_asked_for_at_the_very_address() {
    let token = r#"{"access_token": "t", "token_type": "Bearer"}"#;
    for path in ["/oauth2/token", "/oauth2/token/"] {
        let mut canned = Canned::status("200 OK", &[], token).await;
        let tokens = tokens_at(&Http::default(), &format!(" {}{path} ", canned.base_url));
        tokens.current().await.unwrap();
        let request = canned.requests.recv().await.unwrap();
        let wanted = format!("POST /v1{path} HTTP/1.1\r\n");
        assert!(request.starts_with(wanted.as_bytes()), "{}", String::from_utf8_lossy(&request));
    }
}

#[tokio::test]
async fn whatever_a_token_service_refuses_is_the_credentials() {
    let invalid = r#"{"error": "invalid_client", "error_description": "an-id is not known"}"#;
    for (status, headers, body, expected) in [
        ("400 Bad Request", None, invalid, "our credentials were refused"),
        ("401 Unauthorized", None, "", "our credentials were refused"),
        ("403 Forbidden", None, "<html>", "our credentials were refused"),
        (
            "302 Found",
            Some(("location", "http://127.0.0.1:9/")),
            "",
            "no answer < an answer that leads elsewhere (302)",
        ),
        ("404 Not Found", None, "", "not found"),
        ("429 Too Many Requests", Some(("retry-after", "7")), "", "asked to slow down"),
        ("500 Oops", None, invalid, "no answer < the other side failed (500)"),
        ("200 OK", None, "", "an answer we cannot read"),
        ("200 OK", None, "<html>an-id a-secret</html>", "an answer we cannot read"),
        ("200 OK", None, r#"{"token_type": "Bearer"}"#, "an answer we cannot read"),
        ("200 OK", None, r#"{"access_token": "", "token_type": "Bearer"}"#, "an answer we cannot read"),
        ("200 OK", None, r#"{"access_token": "a b\n", "token_type": "Bearer"}"#, "an answer we cannot read"),
        (
            "200 OK",
            None,
            r#"{"access_token": "t", "token_type": "Bearer", "expires_in": "x"}"#,
            "an answer we cannot read",
        ),
    ] {
        let headers: Vec<_> = headers.into_iter().collect();
        let canned = Canned::status(status, &headers, body).await;
        let error = tokens_at(&Http::default(), &canned.base_url).current().await.unwrap_err();
        assert_eq!(told(&error), expected, "{status} {body}");
        assert!(!format!("{error:?}").contains("an-id") && !format!("{error:?}").contains("a-secret"));
    }
}

#[tokio::test]
async fn refused_credentials_are_left_alone_for_a_minute() {
    for status in ["400 Bad Request", "401 Unauthorized", "403 Forbidden"] {
        let canned = Canned::status(status, &[], "{}").await;
        let clock = Arc::new(Seconds::default());
        let http = Http::default().with_clock(clock.clone());
        let tokens = tokens_at(&http, &canned.base_url);
        for _ in 0..60 {
            assert!(matches!(tokens.current().await, Err(ReadError::NotAuthorised)), "{status}");
            clock.0.fetch_add(5, std::sync::atomic::Ordering::SeqCst);
        }
        assert_eq!(canned.arrivals.lock().unwrap().len(), 5, "{status}");
        // Whoever enters settings again is told the truth at once.
        assert!(tokens_at(&http, &canned.base_url).current().await.is_err());
        assert_eq!(canned.arrivals.lock().unwrap().len(), 6, "{status}");
    }
}

#[tokio::test]
async fn the_pace_is_kept_whoever_asks() {
    const APART: Duration = Duration::from_millis(40);
    const REQUESTS: u32 = 40;
    let canned = Canned::status("200 OK", &[("connection", "close")], "[]").await;
    let http = Http::default();
    let callers = (0..4).map(|_| {
        let endpoint = http.endpoint(&canned.base_url).unwrap().with_pace(&http, "an account", APART);
        tokio::spawn(async move {
            for _ in 0..REQUESTS / 4 {
                let _: Vec<String> = endpoint.read(&["things"], &[], Haste::Normal).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let arrivals = canned.arrivals.lock().unwrap().clone();
    assert_eq!(arrivals.len(), REQUESTS as usize);
    for (number, first) in arrivals.iter().enumerate() {
        for (later, arrival) in arrivals.iter().enumerate().skip(number + 1) {
            // The way may have held one of them up, and not the next.
            let turns = u32::try_from(later - number - 1).unwrap();
            assert!(*arrival - *first >= APART * turns, "{number} to {later}");
        }
    }
}

#[tokio::test]
async fn accounts_do_not_wait_for_one_another_and_nobody_for_who_gave_up() {
    let long = Duration::from_secs(3600);
    let canned = Canned::status("200 OK", &[], "[]").await;
    let http = Http::default();
    let account = |name: &str| http.endpoint(&canned.base_url).unwrap().with_pace(&http, name, long);
    let ask = async |endpoint: &Endpoint| {
        endpoint.read::<Vec<String>>(&["things"], &[], Haste::Normal).await.unwrap();
    };
    ask(&account("one")).await;
    let one = account("one");
    let waiting = tokio::time::timeout(Duration::from_millis(20), ask(&one)).await;
    assert!(waiting.is_err(), "the same account has no second turn within the hour");
    ask(&account("another")).await;
    // The one that gave up left the queue: whoever asks at a faster pace is served.
    ask(&http.endpoint(&canned.base_url).unwrap().with_pace(&http, "one", Duration::ZERO)).await;
    // Whoever was retired while waiting sends nothing.
    let retired = account("one");
    retired.retire(NOTHING);
    let error = retired.read::<Vec<String>>(&["things"], &[], Haste::Normal).await.unwrap_err();
    assert_eq!(told(&error), "no answer < the account was replaced");
    assert_eq!(canned.arrivals.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn large_bodies_stay_as_they_are_where_nothing_is_compressed() {
    let mut canned = Canned::status("200 OK", &[], "[]").await;
    let large = vec!["large".repeat(10); 100];
    let plain = canned.endpoint().with_plain_bodies();
    plain.write(&["things"], Some(&large), Haste::Normal).await.unwrap();
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    assert!(!request.contains("content-encoding"));
    assert!(request.ends_with(&serde_json::to_string(&large).unwrap()));
}

#[tokio::test]
async fn the_title_of_a_problem_is_a_reason() {
    let canned = Canned::status("400 Bad Request", &[], r#"{"title": "One 'thing' is wrong."}"#).await;
    assert_eq!(told(&canned.read().await.unwrap_err()), "our request was refused: One … is wrong.");
}

#[tokio::test]
async fn a_file_is_posted_in_a_form() {
    let mut canned = Canned::status("200 OK", &[], "true").await;
    let file =
        FormFile { field: "document", name: "a_1.pdf", format: "application/pdf", content: b"%PDF\r\n--" };
    let answer: bool = canned.endpoint().upload(&["things"], &[("path", "/a b")], &file).await.unwrap();
    assert!(answer);
    let request = String::from_utf8(canned.requests.recv().await.unwrap()).unwrap();
    assert!(request.starts_with("POST /v1/things?path=%2Fa+b "), "{request}");
    let boundary = request.split("boundary=").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a_1.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n%PDF\r\n--\r\n--{boundary}--\r\n"
    );
    assert_eq!(body, expected);
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_apart() {
    let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let io = std::io::Error::other(tls());
    assert!(is_about_certificate(&ReadError::Unreachable(Box::new(io))));
    assert!(is_about_certificate(&ReadError::Unreachable(Box::new(tls()))));
    assert!(!is_about_certificate(&ReadError::Unreachable("no answer".into())));
    assert!(!is_about_certificate(&ReadError::NotAuthorised));
    let failed = ReadError::Unreachable(Box::new(HttpFailure::ServerFailed(501)));
    assert_eq!((failed_with(&failed), failed_with(&ReadError::NotFound)), (Some(501), None));
}
