//! Documents and features on a service of a few canned answers, right and wrong.

use super::super::Healthengine;
use super::super::sim::{Consent, HealthengineSim, HealthengineSimConfig, PatientDocument, SimPractice};
use crate::contract::Log;
use crate::http::{Deadlines, Http};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use domain::documents::{
    DocumentOffer, DocumentRefusal, LARGEST_BYTES, PracticeDocument, PracticeDocumentKind,
};
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{DocumentRef, ForeignBookingId, ForeignDocumentId, PatientRef, PracticeId};
use domain::ports::documents::{DocumentDesk, DocumentsAsked, FeatureSwitch, Fetched};
use domain::private::{Private, SecretString};
use domain::settings::{Feature, HealthengineSettings, LiveHours};
use domain::time::PracticeZone;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::util::SubscriberInitExt;

/// What is answered by path, and what was posted.
#[derive(Default)]
struct CannedAnswers {
    answers: BTreeMap<String, (u16, Vec<u8>)>,
    posted: Vec<(String, Value)>,
}

type Shared = Arc<Mutex<CannedAnswers>>;

async fn answer(
    State(service): State<Shared>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    let mut service = service.lock().unwrap();
    let path = uri.path().to_owned();
    if method == Method::POST {
        service.posted.push((path.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    let (status, body) = service.answers.get(&path).cloned().unwrap_or((404, Vec::new()));
    (StatusCode::from_u16(status).unwrap(), body)
}

fn connector(base_url: String) -> Healthengine {
    let settings = HealthengineSettings {
        base_url,
        practice_id: "7001".to_owned(),
        user_agent_email: "it@example.com".to_owned(),
        environment: "DEV".to_owned(),
        horizon_days: 60,
        poll_seconds: 5,
        features: Vec::new(),
        webhook_url: None,
        live_hours: LiveHours::default(),
    };
    let key = SecretString::from("key-of-the-test");
    let zone = PracticeZone::parse("Australia/Melbourne").unwrap();
    let deadlines = Deadlines { whole: Duration::from_secs(30), ..Deadlines::default() };
    let http = Http::with_deadlines(deadlines);
    let practice = PracticeId::new("richmond");
    Healthengine::new(&settings, practice, zone, &key, &key, &http).unwrap()
}

struct Bench {
    service: Shared,
    healthengine: Healthengine,
}

impl Bench {
    async fn start() -> Self {
        let service = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(answer)
            .with_state(service.clone())
            .layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let healthengine = connector(base_url);
        Self { service, healthengine }
    }

    fn answers(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.service.lock().unwrap().answers.insert(path.to_owned(), (status, body.into()));
    }

    fn lists(&self, kind: &str, items: &Value) {
        let count = items.as_array().map_or(0, Vec::len);
        let page = json!({"currentPage": 1, "totalPages": 1, "perPage": 100, "total": count});
        self.answers(&format!("/requests/{kind}"), 200, json!({"data": items, "page": page}).to_string());
    }

    fn posted(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.service.lock().unwrap().posted)
    }

    /// Fetches a document of which this was announced.
    async fn fetch(&self, size: u64, sha1: &str) -> Result<Fetched, ReadError> {
        let offer = DocumentOffer { size: Some(size), sha1: Some(sha1.to_owned()), ..self.offer().await };
        self.healthengine.fetch(&offer).await
    }

    async fn offer(&self) -> DocumentOffer {
        self.lists("attachDocuments", &json!([item()]));
        self.healthengine.offered().await.unwrap().remove(0)
    }
}

fn item() -> Value {
    json!({
        "requestId": 91, "pmsPatientId": "P-1", "pmsAppointmentId": null, "bookingId": 36127212,
        "documentId": null, "documentType": "REFERRAL", "documentName": "../../Zebulon's knee.pdf",
        "documentDescription": "x", "documentFormat": "Application/PDF; charset=binary", "documentSize": 3,
        "documentHash": "A9993E364706816ABA3E25717850C26C9CD0D89D", "createdAt": "2026-03-02 22:14:09",
    })
}

fn content(text: &str) -> String {
    json!({"documentContent": text, "documentSize": 1}).to_string()
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

const ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

#[tokio::test]
async fn what_is_offered_is_read_however_it_is_written() {
    let bench = Bench::start().await;
    let mut odd = item();
    odd["requestId"] = json!("92");
    odd["bookingId"] = json!(null);
    odd["pmsPatientId"] = json!(77);
    odd["documentSize"] = json!(-1);
    odd["documentHash"] = json!("none");
    odd["documentName"] = json!(null);
    let mut unknown = item();
    unknown["requestId"] = json!(93);
    unknown["bookingId"] = json!({"id": 1});
    bench.lists("attachDocuments", &json!([item(), odd, unknown, {"bookingId": 5}, "text"]));
    let offers = bench.healthengine.offered().await.unwrap();
    let [first, second, third] = offers.as_slice() else { panic!("{offers:?}") };
    assert_eq!(first.key.document, ForeignDocumentId::new("91"));
    assert_eq!(first.booking, Some(ForeignBookingId::new("36127212")));
    assert_eq!(
        (first.format.as_str(), first.size, first.sha1.as_deref()),
        ("application/pdf", Some(3), Some(ABC))
    );
    assert_eq!(first.made_at, Some("2026-03-02T22:14:09Z".parse().unwrap()));
    assert_eq!(first.refusal_on_sight(), None);
    assert_eq!((&second.booking, &second.patient), (&None, &Some(PatientRef::new("77"))));
    assert_eq!(second.refusal_on_sight(), Some(DocumentRefusal::Unverifiable));
    assert!(third.booking.is_some(), "a booking that cannot be read is not none");
}

#[tokio::test]
async fn content_is_taken_only_whole() {
    let bench = Bench::start().await;
    let path = "/attachDocuments/91";
    for encoded in ["YWJj", " YW\nJj ", "YW\\u004aj"] {
        let body = if encoded.contains('\\') {
            format!("{{\"documentContent\":\"{encoded}\"}}")
        } else {
            content(encoded)
        };
        bench.answers(path, 200, body);
        let Ok(Fetched::Content(bytes)) = bench.fetch(3, ABC).await else { panic!("{encoded}") };
        assert_eq!(bytes.reveal(), b"abc");
    }
    for (body, size, hash, why) in [
        (content("YWJk"), 3, ABC, DocumentRefusal::WrongHash),
        (content("YWJjYWJj"), 3, ABC, DocumentRefusal::WrongSize),
        (content("YQ"), 3, ABC, DocumentRefusal::WrongSize),
        (content(""), 3, ABC, DocumentRefusal::Empty),
        (content("not base64!"), 3, ABC, DocumentRefusal::Unreadable),
        (json!({"documentContent": 5}).to_string(), 3, ABC, DocumentRefusal::Unreadable),
        (json!({"documentContent": null}).to_string(), 3, ABC, DocumentRefusal::Unreadable),
        (json!({}).to_string(), 3, ABC, DocumentRefusal::Unreadable),
    ] {
        bench.answers(path, 200, body.clone());
        let Ok(Fetched::Unusable(said)) = bench.fetch(size, hash).await else { panic!("{body}") };
        assert_eq!(said, why, "{body}");
    }
    // Cut short, or something else in between: asked for again.
    for body in ["{\"documentContent\":\"YWJ", "<html>", ""] {
        bench.answers(path, 200, body);
        assert!(matches!(bench.fetch(3, ABC).await, Err(ReadError::Garbled(_))), "{body}");
    }
    for (status, wanted) in [(410, "gone"), (404, "gone"), (403, "consent"), (401, "keys"), (500, "later")] {
        bench.answers(path, status, "{}");
        let said = match bench.fetch(3, ABC).await {
            Ok(Fetched::Gone) => "gone",
            Err(ReadError::NoConsent) => "consent",
            Err(ReadError::NotAuthorised) => "keys",
            Err(ReadError::Unreachable(_)) => "later",
            _ => "something else",
        };
        assert_eq!(said, wanted, "{status}");
    }
}

#[tokio::test]
async fn fifty_megabytes_are_not_taken_into_memory_and_the_largest_that_is_taken_comes_through() {
    let bench = Bench::start().await;
    let path = "/attachDocuments/91";
    // Whoever reads it to its end finds that it is no base64.
    let huge = vec![b'!'; 67_000_000];
    bench.answers(path, 200, [b"{\"documentContent\":\"", huge.as_slice(), b"\"}"].concat());
    // Announced as small: it is not read as far.
    assert!(matches!(bench.fetch(3, ABC).await, Ok(Fetched::Unusable(DocumentRefusal::WrongSize))));

    let largest = vec![7_u8; usize::try_from(LARGEST_BYTES).unwrap()];
    bench.answers(path, 200, content(&STANDARD.encode(&largest)));
    let Ok(Fetched::Content(bytes)) = bench.fetch(LARGEST_BYTES, &sha1(&largest)).await else { panic!() };
    assert_eq!(bytes.reveal().len(), largest.len());
}

#[tokio::test]
async fn answers_about_documents_are_what_the_contract_says() {
    let bench = Bench::start().await;
    let (document, healthengine) = (ForeignDocumentId::new("91"), &bench.healthengine);
    for step in ["confirmInsert", "rejectInsert"] {
        bench.answers(&format!("/attachDocuments/91/{step}"), 200, "");
    }
    healthengine.filed(&document, None).await.unwrap();
    healthengine.filed(&document, Some(&DocumentRef::new("d-7"))).await.unwrap();
    healthengine.not_filed(&document, DocumentRefusal::WrongHash).await.unwrap();
    let posted = bench.posted();
    assert_eq!(posted[0], ("/attachDocuments/91/confirmInsert".to_owned(), json!({"pmsDocumentId": null})));
    assert_eq!(posted[1].1, json!({"pmsDocumentId": "d-7"}));
    let reason = "its content does not have the hash that was announced";
    assert_eq!(posted[2], ("/attachDocuments/91/rejectInsert".to_owned(), json!({"reason": reason})));
    bench.answers("/attachDocuments/91/confirmInsert", 410, "{}");
    let settled = healthengine.filed(&document, None).await;
    assert!(matches!(settled, Err(WriteError::Refused(Refusal::UnknownToPartner))));
}

#[tokio::test]
async fn documents_for_patients_go_out_with_their_metadata() {
    let bench = Bench::start().await;
    let healthengine = &bench.healthengine;
    let of = |id: i64, document: &str| json!({"bookingId": id, "pmsDocumentId": document});
    bench.lists("uploadDocuments", &json!([of(1, "a"), of(1, "b"), of(1, "a"), {"bookingId": 2}]));
    bench.lists(
        "availableDocuments",
        &json!([{"bookingId": 1, "pmsAppointmentIds": [], "pmsPatientId": null}]),
    );
    let asked = |document: Option<&str>| DocumentsAsked {
        booking: ForeignBookingId::new("1"),
        document: document.map(DocumentRef::new),
    };
    assert_eq!(healthengine.wanted().await.unwrap(), [asked(Some("a")), asked(Some("b"))]);
    assert_eq!(healthengine.asked().await.unwrap(), [asked(None)]);

    let document = PracticeDocument {
        id: DocumentRef::new("a"),
        kind: PracticeDocumentKind::Referral,
        name: Private::new("To Dr Lee.pdf".into()),
        format: "application/pdf",
        size: 3,
        changed_at: "2026-03-02T22:14:09Z".parse::<DateTime<chrono::Utc>>().unwrap(),
    };
    let booking = ForeignBookingId::new("1");
    for path in ["/documents/available", "/documents/upload", "/documents/rejectUpload"] {
        bench.answers(path, 200, "");
    }
    healthengine.announce(&[(booking.clone(), document.clone())]).await.unwrap();
    healthengine.announce(&[]).await.unwrap();
    healthengine.upload(&booking, &document, &Private::new(b"abc".to_vec())).await.unwrap();
    healthengine.not_uploaded(&booking, &document.id, DocumentRefusal::NotThere).await.unwrap();
    let metadata = json!({
        "bookingId": 1, "pmsDocumentId": "a", "documentType": "referral", "documentName": "To Dr Lee.pdf",
        "documentDescription": "", "documentFormat": "application/pdf", "documentSize": 3,
        "createdAt": "2026-03-02 22:14:09", "updatedAt": "2026-03-02 22:14:09",
    });
    let mut uploaded = metadata.clone();
    uploaded["documentContent"] = json!("YWJj");
    let reason = "the practice has no such document for this booking";
    let rejected = json!({"bookingId": 1, "pmsDocumentId": "a", "reason": reason});
    let expected = [
        ("available", json!([metadata])),
        ("available", json!([])),
        ("upload", uploaded),
        ("rejectUpload", rejected),
    ];
    assert_eq!(bench.posted(), expected.map(|(path, body)| (format!("/documents/{path}"), body)));
}

#[tokio::test]
async fn features_are_read_and_switched() {
    let bench = Bench::start().await;
    let on = json!([
        {"id": "documents", "enabled": true}, {"id": "clientSnapshots", "enabled": false},
        {"id": "aLaterOne", "enabled": true}, {"id": "attachDocuments"}, "odd",
    ]);
    bench.answers("/features", 200, on.to_string());
    assert_eq!(bench.healthengine.switched_on().await.unwrap(), [Feature::Documents].into());
    bench.answers("/features/attachDocuments/enable", 200, "");
    bench.answers("/features/documents/disable", 200, "");
    bench.healthengine.switch(Feature::AttachDocuments, true).await.unwrap();
    bench.healthengine.switch(Feature::Documents, false).await.unwrap();
    assert_eq!(bench.posted().len(), 2);
    let unknown = bench.healthengine.switch(Feature::ClientSnapshots, true).await;
    assert!(matches!(unknown, Err(WriteError::Refused(Refusal::UnknownToPartner))));
}

#[tokio::test]
async fn a_document_goes_its_way_on_the_simulator() {
    let now = "2026-03-01T22:00:00Z".parse().unwrap();
    let practice = SimPractice {
        name: "Richmond".to_owned(),
        practice_id: "7001".to_owned(),
        practice_key: "key-of-the-test".to_owned(),
        api_key: "key-of-the-test".to_owned(),
        time_zone: chrono_tz::Australia::Melbourne,
        consent: Consent::Granted,
    };
    let config = HealthengineSimConfig { port: 0, practices: vec![practice], state_file: None };
    let sim = HealthengineSim::start(config, Arc::new(move || now)).await.unwrap();
    let healthengine = connector(sim.base_url());
    for feature in [Feature::AttachDocuments, Feature::Documents] {
        healthengine.switch(feature, true).await.unwrap();
    }
    assert_eq!(
        healthengine.switched_on().await.unwrap(),
        [Feature::AttachDocuments, Feature::Documents].into()
    );
    let form = PatientDocument::made_up_pdf().for_patient("77");
    let damaged = PatientDocument { claimed_hash: Some(ABC.to_owned()), ..form.clone() };
    let [filed, rejected, expired] = [&form, &damaged, &form]
        .map(|document| ForeignDocumentId::new(sim.attach_document("7001", document).unwrap().to_string()));
    let offers = healthengine.offered().await.unwrap();
    assert_eq!(offers.len(), 3);
    let offer = |document: &ForeignDocumentId| offers.iter().find(|o| o.key.document == *document).unwrap();
    let Ok(Fetched::Content(content)) = healthengine.fetch(offer(&filed)).await else { panic!() };
    assert!(content.reveal().starts_with(b"%PDF"));
    let wrong = healthengine.fetch(offer(&rejected)).await;
    assert!(matches!(wrong, Ok(Fetched::Unusable(DocumentRefusal::WrongHash))));
    sim.expire_document("7001", expired.as_str().parse().unwrap()).unwrap();
    assert!(matches!(healthengine.fetch(offer(&expired)).await, Ok(Fetched::Gone)));
    healthengine.filed(&filed, None).await.unwrap();
    healthengine.not_filed(&rejected, DocumentRefusal::WrongHash).await.unwrap();
    let again = healthengine.filed(&filed, None).await;
    assert!(matches!(again, Err(WriteError::Refused(Refusal::UnknownToPartner))));
    assert_eq!(healthengine.offered().await.unwrap(), []);
    let answers = sim.inspect(|state| {
        state
            .attachments("7001")
            .map(|one| one.answer.clone().map(|answer| answer.inserted))
            .collect::<Vec<_>>()
    });
    assert_eq!(answers, [Some(true), Some(false), None]);

    sim.ask_available_documents("7001", 5).unwrap();
    assert_eq!(healthengine.asked().await.unwrap().len(), 1);
    healthengine.announce(&[]).await.unwrap();
    assert_eq!(healthengine.asked().await.unwrap(), []);
    for document in ["a", "b"] {
        sim.ask_upload("7001", 5, document).unwrap();
    }
    let wanted = healthengine.wanted().await.unwrap();
    assert_eq!(wanted.len(), 2, "two documents of one booking are two");
    for one in wanted {
        let document = one.document.unwrap();
        healthengine.not_uploaded(&one.booking, &document, DocumentRefusal::NotThere).await.unwrap();
    }
    assert_eq!(healthengine.wanted().await.unwrap(), []);
}

#[tokio::test]
async fn nothing_of_a_document_reaches_the_log() {
    let log = Log::default();
    let listening = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish()
        .set_default();
    let bench = Bench::start().await;
    let offer = bench.offer().await;
    log.add(&format!("{offer:?}"));
    for body in [content("YWJk"), content("!"), "{\"documentContent\":\"YWJ".to_owned()] {
        bench.answers("/attachDocuments/91", 200, body);
        if let Err(error) = bench.healthengine.fetch(&offer).await {
            log.add(&format!("{error:?}"));
        }
    }
    drop(listening);
    let log = log.text();
    assert!(log.contains("DocumentOffer"), "something was captured");
    for private in ["Zebulon", "REFERRAL", "YWJ", "key-of-the-test"] {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
}
