//! Documents, and what is left of them after the retention time.

use super::*;
use crate::documents::LayOutError;
use domain::booking::{BookingEvent, Held};
use domain::documents::{DocumentKey, DocumentOffer, DocumentRefusal, DocumentState};
use domain::ids::{AppointmentRef, DocumentRef, ForeignDocumentId};
use domain::people::PatientPlan;
use domain::ports::documents::DocumentLedger;
use domain::ports::store::StoreError;

fn document_key(number: &str) -> DocumentKey {
    DocumentKey {
        practice: practice(),
        partner: PartnerId::new("healthengine"),
        document: ForeignDocumentId::new(number),
    }
}

fn offer(number: &str, booking: Option<&str>) -> DocumentOffer {
    DocumentOffer {
        key: document_key(number),
        booking: booking.map(ForeignBookingId::new),
        patient: Some(PatientRef::new("77")),
        appointment: None,
        kind: private("REFERRAL"),
        name: private("Zébulon's knee \u{202e}; DROP TABLE document"),
        format: "application/pdf".into(),
        size: Some(3),
        sha1: Some("ab".into()),
        made_at: Some(second(-9)),
    }
}

async fn only(store: &Store) -> domain::documents::DocumentEntry {
    let mut all = store.unfinished_documents(&practice()).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A booking that stands for patient 77 and is finished.
async fn confirmed(store: &Store, booking: &str) {
    let mut entry = filed(store, booking).await;
    let plan = PatientPlan::Existing(PatientRef::new("77"));
    let held = Held { appointment: AppointmentRef::new("a"), patient: Some(PatientRef::new("77")) };
    for event in
        [BookingEvent::InsertBegan(plan), BookingEvent::FoundInPractice(held), BookingEvent::PartnerKnows]
    {
        entry = store.record(&entry, &event, None, second(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_comes_back_as_it_went_in_and_is_received_once() {
    let (_dir, store) = fresh();
    assert!(store.receive_document(&offer("91", Some("1")), second(0)).await.unwrap());
    assert!(!store.receive_document(&offer("91", None), second(5)).await.unwrap());
    let entry = only(&store).await;
    assert_eq!(entry.offer, offer("91", Some("1")));
    assert_eq!((entry.state, entry.kept, entry.received_at), (DocumentState::Received, false, second(0)));
}

#[tokio::test]
async fn states_follow_each_other_and_survive() {
    let (dir, store) = fresh();
    let key = document_key("91");
    store.receive_document(&offer("91", None), second(0)).await.unwrap();
    let filing = |text: &str| DocumentState::Filing(private(text));
    let filed = DocumentState::Filed(Some(DocumentRef::new("d-1")));
    let told = DocumentState::Told(Some(DocumentRef::new("d-1")));
    let path = [DocumentState::Received, filing("/in/a.pdf"), filing("/in/b.pdf"), filed, told.clone()];
    for steps in path.windows(2) {
        assert!(matches!(
            store.move_document(&key, &steps[1], &steps[0], second(1)).await,
            Err(StoreError::Stale)
        ));
        store.move_document(&key, &steps[0], &steps[1], second(1)).await.unwrap();
        if !steps[1].is_final() {
            assert_eq!(only(&store).await.state, steps[1]);
            let again = store.move_document(&key, &steps[0], &steps[1], second(1)).await;
            assert!(matches!(again, Err(StoreError::Stale)), "it is not where it was");
        }
    }
    assert_eq!(store.unfinished_documents(&practice()).await.unwrap(), []);
    assert_eq!(store.document(&key).await.unwrap().unwrap().state, told);
    store.close().await;
    drop(store);
    let store = open(dir.path());
    assert!(!store.receive_document(&offer("91", None), second(9)).await.unwrap(), "settled for good");
}

#[tokio::test]
async fn every_refusal_has_a_name_of_its_own_that_is_read_again() {
    let (_dir, store) = fresh();
    for (number, why) in (1..).zip(DocumentRefusal::ALL) {
        let offer = offer(&number.to_string(), None);
        store.receive_document(&offer, second(0)).await.unwrap();
        let refused = DocumentState::Refused(why);
        store.move_document(&offer.key, &DocumentState::Received, &refused, second(1)).await.unwrap();
        assert_eq!(only(&store).await.state, refused);
        store.move_document(&offer.key, &refused, &DocumentState::Rejected(why), second(1)).await.unwrap();
    }
}

#[tokio::test]
async fn content_is_kept_with_the_booking_and_laid_out_for_its_owner_only() {
    let (dir, store) = fresh();
    confirmed(&store, "1").await;
    let (partner, patient) = (PartnerId::new("healthengine"), PatientRef::new("77"));
    let found = store.booking_of_patient(&practice(), &partner, &patient).await.unwrap();
    assert_eq!(found, Some(ForeignBookingId::new("1")));
    let key = document_key("91");
    store.receive_document(&offer("91", None), second(0)).await.unwrap();
    let nothing = store.lay_out_document(&key, dir.path()).await;
    assert!(matches!(nothing, Err(LayOutError::Gone)));
    let content = Private::new(b"PDF".to_vec());
    store
        .keep_document(
            &key,
            &DocumentState::Received,
            &ForeignBookingId::new("1"),
            content.clone(),
            second(2),
        )
        .await
        .unwrap();
    let twice = store
        .keep_document(
            &key,
            &DocumentState::Received,
            &ForeignBookingId::new("1"),
            content.clone(),
            second(2),
        )
        .await;
    assert!(matches!(twice, Err(StoreError::Stale)));
    let entry = only(&store).await;
    assert_eq!((entry.state, entry.kept), (DocumentState::Kept, true));
    assert_eq!(store.documents_of_bookings(&practice()).await.unwrap().len(), 1);
    assert_eq!(store.document_content(&key).await.unwrap(), Some(content));

    let folder = dir.path().join("opened");
    let file = store.lay_out_document(&key, &folder).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"PDF");
    assert_eq!(file.file_name().unwrap(), "richmond-document-91.pdf");
    #[cfg(unix)]
    for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn content_is_held_while_a_document_is_being_filed_and_no_longer() {
    let (_dir, store) = fresh();
    confirmed(&store, "1").await;
    let key = document_key("91");
    let (ticket, content) = (Private::new("a.pdf".to_owned()), Private::new(b"PDF".to_vec()));
    let filing = DocumentState::Filing(ticket.clone());
    store.receive_document(&offer("91", Some("1")), second(0)).await.unwrap();
    store.hold_document(&key, &ticket, content.clone(), second(1)).await.unwrap();
    let twice = store.hold_document(&key, &ticket, content.clone(), second(1)).await;
    assert!(matches!(twice, Err(StoreError::Stale)));
    let again = DocumentState::Filing(Private::new("a.pdf since".to_owned()));
    store.move_document(&key, &filing, &again, second(2)).await.unwrap();
    assert_eq!((only(&store).await.state, only(&store).await.kept), (again.clone(), true));
    assert_eq!(store.document_content(&key).await.unwrap(), Some(content.clone()));
    store.move_document(&key, &again, &DocumentState::Filed(None), second(3)).await.unwrap();
    assert!(!only(&store).await.kept);
    assert_eq!(store.document_content(&key).await.unwrap(), None);

    // The way that was in use is not any more, and then nobody takes the document.
    let key = document_key("93");
    store.receive_document(&offer("93", None), second(0)).await.unwrap();
    store.hold_document(&key, &ticket, content.clone(), second(1)).await.unwrap();
    store.move_document(&key, &filing, &DocumentState::Received, second(2)).await.unwrap();
    assert_eq!(store.document_content(&key).await.unwrap(), Some(content.clone()));
    let refused = DocumentState::Refused(DocumentRefusal::NowhereToFile);
    store.move_document(&key, &DocumentState::Received, &refused, second(3)).await.unwrap();
    assert_eq!(store.document_content(&key).await.unwrap(), None);

    // What is turned away stays, with the booking from which it is opened.
    let key = document_key("92");
    store.receive_document(&offer("92", None), second(0)).await.unwrap();
    store.hold_document(&key, &ticket, content.clone(), second(1)).await.unwrap();
    let booking = ForeignBookingId::new("1");
    store.keep_document(&key, &filing, &booking, content.clone(), second(2)).await.unwrap();
    let entry = store.document(&key).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.offer.booking), (DocumentState::Kept, Some(booking.clone())));
    store.move_document(&key, &DocumentState::Kept, &DocumentState::Filed(None), second(3)).await.unwrap();
    assert_eq!(store.document_content(&key).await.unwrap(), Some(content.clone()));
    let late = store.keep_document(&key, &DocumentState::Filed(None), &booking, content, second(4)).await;
    assert!(matches!(late, Err(StoreError::Stale)));
}

#[tokio::test]
async fn a_document_is_forgotten_with_its_bookings_people_and_not_before_the_appointment() {
    let (_dir, store) = fresh();
    confirmed(&store, "1").await;
    let key = document_key("91");
    store.receive_document(&offer("91", Some("1")), second(0)).await.unwrap();
    let content = Private::new(b"PDF".to_vec());
    store
        .keep_document(&key, &DocumentState::Received, &ForeignBookingId::new("1"), content, second(2))
        .await
        .unwrap();
    // Unfinished documents keep what they need.
    store.forget_people(at("2026-11-22T00:00:00Z")).await.unwrap();
    assert!(store.document_content(&key).await.unwrap().is_some());
    store.move_document(&key, &DocumentState::Kept, &DocumentState::Filed(None), second(3)).await.unwrap();
    store
        .move_document(&key, &DocumentState::Filed(None), &DocumentState::Told(None), second(3))
        .await
        .unwrap();
    // The booking's people are forgotten, but the appointment of 23 November is still to come.
    store.forget_people(at("2026-11-22T00:00:00Z")).await.unwrap();
    assert!(store.document_content(&key).await.unwrap().is_some());
    store.forget_people(at("2026-11-25T00:00:00Z")).await.unwrap();
    assert_eq!(store.document_content(&key).await.unwrap(), None);
    assert_eq!(store.documents_of_bookings(&practice()).await.unwrap(), []);
    let left: String = store
        .call(|conn| Ok(conn.query_row("SELECT kind || name FROM document", [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(left, "");
    assert!(!store.receive_document(&offer("91", Some("1")), second(9)).await.unwrap());
}
