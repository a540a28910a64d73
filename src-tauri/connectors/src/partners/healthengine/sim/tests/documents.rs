//! Documents in both directions.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

fn described(booking: i64, id: &str) -> Value {
    json!({"bookingId": booking, "pmsDocumentId": id, "documentType": "referral", "documentName": "Referral",
           "documentDescription": "", "documentFormat": "application/pdf", "documentSize": 5,
           "createdAt": "2026-03-01 21:00:00", "updatedAt": "2026-03-01 21:30:00"})
}

fn with_content(booking: i64, id: &str) -> Value {
    let mut document = described(booking, id);
    document["documentContent"] = json!(BASE64.encode(b"%PDF-"));
    document
}

async fn with_booking(feature: &str) -> (Bench, i64) {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.confirm(booking).await;
    bench.enable(feature).await;
    (bench, booking)
}

#[tokio::test]
async fn an_announcement_settles_what_it_names_and_an_empty_one_everything() {
    let (bench, booking) = with_booking("documents").await;
    let other = bench.book(at(4, 10, 45));
    bench.sim.ask_available_documents(FIRST, booking).unwrap();
    bench.sim.ask_available_documents(FIRST, other).unwrap();
    let asked = bench.get("/requests/availableDocuments").await;
    assert_eq!(
        asked["data"][0],
        json!({"bookingId": booking, "pmsAppointmentIds": ["884213"], "pmsPatientId": "P-5521"})
    );
    bench.ok("/documents/available", json!([described(booking, "D-1"), described(booking, "D-2")])).await;
    assert_eq!(
        bench.sim.inspect(|state| state.available_documents_asked(FIRST).collect::<Vec<_>>()),
        [other]
    );
    assert_eq!(bench.sim.inspect(|state| state.available_documents_of(booking).len()), 2);
    bench.ok("/documents/available", json!([])).await;
    assert_eq!(bench.get("/requests/availableDocuments").await["data"], json!([]));
}

#[tokio::test]
async fn a_document_is_uploaded_or_its_upload_rejected() {
    let (bench, booking) = with_booking("documents").await;
    bench.sim.ask_upload(FIRST, booking, "D-1").unwrap();
    bench.sim.ask_upload(FIRST, booking, "D-2").unwrap();
    assert_eq!(bench.get("/requests/uploadDocuments").await["data"][1]["pmsDocumentId"], "D-2");
    for _ in 0..2 {
        bench.ok("/documents/upload", with_content(booking, "D-1")).await;
        let rejection = json!({"bookingId": booking, "pmsDocumentId": "D-2", "reason": "it was withdrawn"});
        bench.ok("/documents/rejectUpload", rejection).await;
    }
    assert_eq!(bench.get("/requests").await, json!([]));
    let contrary = json!({"bookingId": booking, "pmsDocumentId": "D-1", "reason": null});
    bench.refused("/documents/rejectUpload", contrary, "differently").await;
    let unasked = json!({"bookingId": booking, "pmsDocumentId": "D-3", "reason": null});
    bench.refused("/documents/rejectUpload", unasked, "was not asked for").await;
    assert_eq!(bench.post("/documents/upload", with_content(77, "D-9")).await.status(), 404);
    bench.sim.inspect(|state| {
        let uploads = state.uploads_of(booking);
        assert_eq!((uploads[0].asked, uploads[0].content.as_slice()), (true, b"%PDF-".as_slice()));
        assert!(uploads[0].metadata.get("documentContent").is_none());
        assert_eq!(state.uploads(FIRST).len(), 2);
        let answers: Vec<_> =
            state.upload_requests(FIRST).iter().map(|asked| asked.answer.clone().unwrap()).collect();
        assert!(answers[0].uploaded && !answers[1].uploaded);
        assert_eq!(answers[1].reason.as_deref(), Some("it was withdrawn"));
    });
}

#[tokio::test]
async fn what_is_said_about_a_document_is_checked() {
    let (bench, booking) = with_booking("documents").await;
    for (field, wrong, why) in [
        ("bookingId", json!(booking.to_string()), "must be an integer"),
        ("bookingId", json!(77), "no booking 77"),
        ("pmsDocumentId", json!(1), "must be a string"),
        ("documentType", json!("letter"), "scripts or referral"),
        ("documentName", json!(" "), "must not be empty"),
        ("documentFormat", json!("pdf"), "media type"),
        ("documentSize", json!(0), "at least one byte"),
        ("documentSize", json!("5"), "must be an integer"),
        // Nine in the morning in Melbourne is ten at night in UTC.
        ("updatedAt", json!("2026-03-02 09:00:00"), "it is UTC"),
        ("updatedAt", json!("2026-03-01 20:00:00"), "before createdAt"),
        ("createdAt", json!("2026-03-01T21:00:00Z"), "must be a time"),
        ("documentContent", json!("JVBERi0="), "unknown field"),
    ] {
        let mut document = described(booking, "D-1");
        document[field] = wrong;
        bench.refused("/documents/available", json!([document]), why).await;
    }
    let twice = json!([described(booking, "D-1"), described(booking, "D-1")]);
    bench.refused("/documents/available", twice, "not unique").await;
    bench.refused("/documents/available", described(booking, "D-1"), "must be an array").await;
    let mut long = with_content(booking, "D-1");
    long["documentSize"] = json!(6);
    bench.refused("/documents/upload", long, "has 5 bytes").await;
    let mut garbled = with_content(booking, "D-1");
    garbled["documentContent"] = json!("JVBERi0");
    bench.refused("/documents/upload", garbled, "must be base64").await;
    assert!(bench.sim.inspect(|state| state.uploads(FIRST).is_empty()));
}

#[tokio::test]
async fn a_patients_document_is_fetched_and_filed_once() {
    let (bench, booking) = with_booking("attachDocuments").await;
    let sent = PatientDocument::made_up_pdf().for_booking(booking);
    assert!(sent.content.starts_with(b"%PDF-1.4") && sent.content.ends_with(b"%%EOF\n"));
    let request = bench.sim.attach_document(FIRST, &sent).unwrap();
    let item = &bench.get("/requests/attachDocuments").await["data"][0];
    assert_eq!(item["requestId"], request);
    assert_eq!(item.get("documentContent"), None);
    let path = format!("/attachDocuments/{request}");
    let document = bench.get(&path).await;
    let content = BASE64.decode(document["documentContent"].as_str().unwrap()).unwrap();
    assert_eq!(content, sent.content);
    assert_eq!(document["documentSize"], content.len());
    let hash: String = Sha1::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(document["documentHash"], hash);
    assert_eq!(document["pmsPatientId"], "P-5521");
    assert_eq!(document["pmsAppointmentId"], "884213");
    assert_eq!(document["createdAt"], "2026-03-01 22:00:00");
    let confirm = format!("{path}/confirmInsert");
    bench.refused(&confirm, json!({"pmsDocumentId": 5}), "must be a string").await;
    bench.refused(&confirm, json!({"reason": "x"}), "unknown field").await;
    bench.ok(&confirm, json!({"pmsDocumentId": "F-3"})).await;
    assert_eq!(bench.get("/requests").await, json!([]));
    for gone in [&confirm, &format!("{path}/rejectInsert")] {
        assert_eq!(bench.post(gone, json!({})).await.status(), 410);
    }
    assert_eq!(bench.request(Method::GET, &path).send().await.unwrap().status(), 410);
    assert_eq!(bench.request(Method::GET, "/attachDocuments/1").send().await.unwrap().status(), 404);
    assert_eq!(bench.request(Method::POST, &format!("{path}/insert")).send().await.unwrap().status(), 404);
    bench.sim.inspect(|state| {
        let filed = state.attachment(request).unwrap();
        assert_eq!(filed.fetched, 1);
        let answer = filed.answer.as_ref().unwrap();
        assert_eq!((answer.inserted, answer.pms_document_id.as_deref()), (true, Some("F-3")));
    });
}

#[tokio::test]
async fn a_document_can_be_rejected_or_expire() {
    let (bench, booking) = with_booking("attachDocuments").await;
    let send = || bench.sim.attach_document(FIRST, &PatientDocument::default().for_booking(booking)).unwrap();
    let (rejected, expired) = (send(), send());
    bench
        .ok(&format!("/attachDocuments/{rejected}/rejectInsert"), json!({"reason": "the hash is wrong"}))
        .await;
    bench.sim.expire_document(FIRST, expired).unwrap();
    assert_eq!(bench.sim.expire_document(FIRST, 1), Err(DeskRefusal::UnknownRequest(1)));
    assert_eq!(bench.get("/requests").await, json!([]));
    let gone = bench.request(Method::GET, &format!("/attachDocuments/{expired}")).send().await.unwrap();
    assert_eq!(gone.status(), 410);
    assert!(gone.json::<Value>().await.unwrap()["error"].as_str().unwrap().contains("expired"));
    bench.sim.inspect(|state| {
        let answer = state.attachment(rejected).unwrap().answer.clone().unwrap();
        assert_eq!((answer.inserted, answer.reason.as_deref()), (false, Some("the hash is wrong")));
        assert_eq!(state.attachments(FIRST).filter(|one| one.is_open()).count(), 0);
    });
}

#[tokio::test]
async fn a_document_may_be_odd_in_every_way() {
    let (bench, _) = with_booking("attachDocuments").await;
    let large = PatientDocument::new("Scan", "image/tiff", vec![7; 50 * 1024 * 1024]);
    let odd = PatientDocument {
        claimed_size: Some(-1),
        claimed_hash: Some("0".repeat(40)),
        laid_over: json!({"documentType": null, "surprise": [1]}),
        ..PatientDocument::new("../../etc/passwd\u{0}\\CON.pdf", "application/pdf", Vec::new())
    };
    let large = bench.sim.attach_document(FIRST, &large.for_patient("P-1")).unwrap();
    let odd = bench.sim.attach_document(FIRST, &odd).unwrap();
    let served = bench.request(Method::GET, &format!("/attachDocuments/{large}")).send().await.unwrap();
    // To parse so much takes long without optimisation.
    let served = served.text().await.unwrap();
    assert!(served.len() > 69_905_068);
    assert!(served.contains(r#""documentSize":52428800"#) && served.contains(r#""pmsPatientId":"P-1""#));
    let served = bench.get(&format!("/attachDocuments/{odd}")).await;
    assert_eq!(served["documentName"], "../../etc/passwd\u{0}\\CON.pdf");
    assert_eq!((&served["documentContent"], &served["documentSize"]), (&json!(""), &json!(-1)));
    assert_eq!((&served["documentType"], &served["surprise"]), (&Value::Null, &json!([1])));
    assert_eq!(served["documentHash"], "0".repeat(40));
}
