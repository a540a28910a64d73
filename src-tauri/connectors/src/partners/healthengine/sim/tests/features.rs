//! Features and client snapshots.

use super::*;

#[tokio::test]
async fn requests_of_a_feature_appear_only_while_it_is_on() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.confirm(booking).await;
    bench.sim.ask_available_documents(FIRST, booking).unwrap();
    bench.sim.ask_upload(FIRST, booking, "D-1").unwrap();
    bench.sim.ask_client_snapshot(FIRST, day(2), SnapshotDateType::Appointment).unwrap();
    bench.sim.attach_document(FIRST, &PatientDocument::default()).unwrap();
    let kinds = ["availableDocuments", "uploadDocuments", "clientSnapshots", "attachDocuments"];
    assert_eq!(bench.get("/requests").await, json!([]));
    for kind in kinds {
        assert_eq!(bench.get(&format!("/requests/{kind}")).await["page"]["total"], 0, "{kind}");
    }
    for feature in ["documents", "clientSnapshots", "attachDocuments"] {
        bench.enable(feature).await;
    }
    assert_eq!(bench.get("/requests").await, json!(kinds));
    for kind in kinds {
        assert_eq!(bench.get(&format!("/requests/{kind}")).await["page"]["total"], 1, "{kind}");
    }
    bench.ok("/features/documents/disable", json!({})).await;
    assert_eq!(bench.get("/requests").await, json!(["clientSnapshots", "attachDocuments"]));
    assert!(bench.sim.inspect(|state| state.has_feature(FIRST, Feature::AttachDocuments)));
    assert!(!bench.sim.inspect(|state| state.has_feature(SECOND, Feature::AttachDocuments)));
}

#[tokio::test]
async fn calls_of_a_feature_that_is_off_are_refused() {
    let bench = Bench::configured().await;
    let status = async |path: &str| bench.post(path, json!({})).await.status().as_u16();
    assert_eq!(status("/documents/available").await, 403);
    assert_eq!(status("/documents/upload").await, 403);
    assert_eq!(status("/documents/rejectUpload").await, 400);
    assert_eq!(status("/clientSnapshot").await, 403);
    assert_eq!(status("/attachDocuments/1/confirmInsert").await, 400);
    assert_eq!(bench.request(Method::GET, "/attachDocuments/1").send().await.unwrap().status(), 400);
    assert_eq!(status("/features/documents/on").await, 404);
    assert_eq!(status("/features/clientsnapshots/enable").await, 404);
    assert_eq!(bench.request(Method::GET, "/features/documents/enable").send().await.unwrap().status(), 404);
    bench.refused("/features/documents/enable", json!({"enabled": true}), "takes no body").await;
    bench.refused("/attachDocuments/1/rejectInsert", json!({}), "is not enabled").await;
}

fn snapshot() -> Value {
    json!({
        "date": "2026-03-02",
        "dateType": "appt_datetime",
        "locations": [{"pmsLocationId": "L-1", "pmsLocationName": "High Street", "pmsLocationStatus": "active"}],
        "practitioners": [
            {"pmsPractitionerId": "7", "pmsPractitionerName": "Dr Imogen Lee", "pmsPractitionerStatus": "active"},
            {"pmsPractitionerId": "9", "pmsPractitionerName": "Jo Park", "pmsPractitionerStatus": "inactive"}],
        "appointmentTypes": [{"pmsAppointmentTypeId": "STD", "pmsAppointmentTypeName": "Standard consult",
                              "pmsAppointmentTypeStatus": "active"}],
        "appointments": [{"pmsAppointmentId": "884213", "pmsPatientId": "P-1", "pmsPractitionerId": "7",
                          "pmsAppointmentTypeId": "STD", "pmsAppointmentCreationTime": "2026-02-20 16:00:00",
                          "pmsAppointmentTime": "2026-03-02 10:15:00", "pmsAppointmentLength": 15,
                          "pmsAppointmentStatus": "booked"}],
        "patients": [{"pmsPatientId": "P-1", "pmsPatientFirstname": "Marlow", "pmsPatientLastname": "Quennell",
                      "pmsPatientPhoneMobile": "0491 570 006", "pmsPatientSmsConsent": true,
                      "pmsPatientAge16AndUnder": false, "pmsPatientCreationTime": "2019-05-06 09:00:00"}],
    })
}

#[tokio::test]
async fn a_client_snapshot_answers_the_request_of_its_date_and_type() {
    let bench = Bench::configured().await;
    bench.enable("clientSnapshots").await;
    bench.sim.ask_client_snapshot(FIRST, day(2), SnapshotDateType::Appointment).unwrap();
    bench.sim.ask_client_snapshot(FIRST, day(2), SnapshotDateType::Creation).unwrap();
    assert_eq!(
        bench.get("/requests/clientSnapshots").await["data"],
        json!([{"date": "2026-03-02", "dateType": "appt_datetime"},
               {"date": "2026-03-02", "dateType": "appt_creation_datetime"}])
    );
    bench.ok("/clientSnapshot", snapshot()).await;
    assert_eq!(bench.get("/requests/clientSnapshots").await["page"]["total"], 1);
    let mut made_today = snapshot();
    made_today["dateType"] = json!("appt_creation_datetime");
    made_today["appointments"][0]["pmsAppointmentCreationTime"] = json!("2026-03-02 08:59:00");
    made_today["appointments"][0]["pmsAppointmentTime"] = json!("2026-04-01 10:15:00");
    bench.ok("/clientSnapshot", made_today).await;
    assert_eq!(bench.get("/requests").await, json!([]));
    let mut fewer = snapshot();
    fewer["practitioners"].as_array_mut().unwrap().pop();
    bench.ok("/clientSnapshot", fewer).await;
    bench.sim.inspect(|state| {
        let received = state.client_snapshots(FIRST);
        assert_eq!(received.len(), 3);
        assert_eq!((received[0].date, received[0].date_type), (day(2), SnapshotDateType::Appointment));
        assert_eq!(received[0].list("patients")[0]["pmsPatientId"], "P-1");
        assert!(received[1].asked);
        assert!(state.client_snapshot_requests(FIRST).iter().all(|asked| asked.answered_at.is_some()));
        assert_eq!(state.deleted_by_client_snapshots(FIRST), [("practitioners", "9".to_owned())]);
    });
}

#[tokio::test]
async fn a_client_snapshot_is_checked_to_the_last_field() {
    let bench = Bench::configured().await;
    bench.enable("clientSnapshots").await;
    let path = "/clientSnapshot";
    for missing in
        ["date", "dateType", "locations", "practitioners", "appointmentTypes", "appointments", "patients"]
    {
        let mut body = snapshot();
        body.as_object_mut().unwrap().remove(missing);
        bench.refused(path, body, missing).await;
    }
    for (pointer, wrong, why) in [
        ("/date", json!("02-03-2026"), "date"),
        ("/dateType", json!("appt"), "dateType"),
        ("/locations", json!([]), "full list"),
        ("/practitioners/0/pmsPractitionerStatus", json!("retired"), "active or inactive"),
        ("/practitioners/1/pmsPractitionerId", json!("7"), "not unique"),
        ("/practitioners/0/pmsPractitionerId", json!(7), "must be a string"),
        ("/appointmentTypes/0/pmsAppointmentTypeName", json!(null), "must be a string"),
        ("/appointments/0/pmsLocationId", json!("L-1"), "unknown field pmsLocationId"),
        ("/appointments/0/pmsPatientId", json!("P-2"), "is not in the snapshot"),
        ("/appointments/0/pmsPractitionerId", json!("8"), "is not in the snapshot"),
        ("/appointments/0/pmsAppointmentTypeId", json!("LONG"), "is not in the snapshot"),
        ("/appointments/0/pmsAppointmentLength", json!(900), "1 to 480 minutes"),
        ("/appointments/0/pmsAppointmentLength", json!("15"), "must be an integer"),
        ("/appointments/0/pmsAppointmentStatus", json!("arrived"), "is not known"),
        ("/appointments/0/pmsAppointmentTime", json!("2026-03-01 23:15:00"), "is not on 2026-03-02"),
        ("/appointments/0/pmsAppointmentTime", json!("2026-03-02T10:15:00"), "must be a time"),
        ("/appointments/0/pmsAppointmentCreationTime", json!("2026-03-02 20:00:00"), "in the future"),
        ("/appointments", json!([]), "has no appointment"),
        ("/patients/0/pmsPatientSmsConsent", json!("yes"), "true or false"),
        ("/patients/0/pmsPatientPhoneHome", json!(null), "must be a string"),
        ("/patients/0/dob", json!("1988-07-14"), "unknown field dob"),
        ("/patients/0/pmsPatientCreationTime", json!("2019-05-06"), "must be a time"),
    ] {
        let mut body = snapshot();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(field.to_owned(), wrong);
        bench.refused(path, body, why).await;
    }
    assert!(bench.sim.inspect(|state| state.client_snapshots(FIRST).is_empty()));
    bench.ok(path, snapshot()).await;
}
