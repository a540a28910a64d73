//! What the practice tells about its appointments, asked and unasked.

use super::*;

#[tokio::test]
async fn cancellations_and_absences_are_taken_unasked_and_kept_with_their_reasons() {
    let bench = Bench::configured().await;
    let (cancelled, absent) = (bench.book(at(4, 10, 15)), bench.book(at(4, 10, 45)));
    bench.confirm(cancelled).await;
    bench.confirm(absent).await;
    bench.pass(TimeDelta::seconds(90));
    bench.ok(&format!("/bookings/{cancelled}/cancel"), json!({"reason": "the doctor is ill"})).await;
    bench.ok(&format!("/bookings/{absent}/didNotAttend"), json!({"reason": null})).await;
    bench.sim.inspect(|state| {
        let told = state.cancellations_of(cancelled);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].reason(), Some("the doctor is ill"));
        assert_eq!(told[0].at, monday_morning() + TimeDelta::seconds(90));
        assert_eq!(state.non_attendances_of(absent)[0].reason(), None);
        assert!(state.cancellations_of(absent).is_empty());
        assert!(state.unchanged_answers_of(absent).is_empty());
    });
    assert_eq!(bench.booking(cancelled).status, BookingStatus::Cancelled);
    assert_eq!(bench.booking(cancelled).patient_sees(bench.now()), "Cancelled");
    assert_eq!(bench.booking(absent).patient_sees(bench.now()), "Did not attend");
}

#[tokio::test]
async fn no_change_is_an_answer_only_to_a_question() {
    let bench = Bench::configured().await;
    let booking = bench.book(at(4, 10, 15));
    bench.confirm(booking).await;
    let path = format!("/bookings/{booking}/noPmsAppointmentChange");
    let send = async |path: &str| bench.request(Method::POST, path).send().await.unwrap().status().as_u16();
    assert_eq!(send(&path).await, 400);
    bench.sim.ask_changes(FIRST, booking).unwrap();
    assert_eq!(
        bench.sim.inspect(|state| state.changes_asked(FIRST).collect::<Vec<_>>()),
        [(booking, bench.now())]
    );
    for wrong in ["noPmsApptChange", "noPMSAppointmentChange", "pmsAppointmentNoChange", "didnotattend"] {
        assert_eq!(send(&format!("/bookings/{booking}/{wrong}")).await, 404, "{wrong}");
    }
    bench.refused(&path, json!({"reason": null}), "takes no body").await;
    assert_eq!(bench.get("/requests").await, json!(["pmsAppointmentChanges"]));
    assert_eq!(send(&path).await, 200);
    assert_eq!(bench.get("/requests").await, json!([]));
    // The answer may have been lost on its way.
    assert_eq!(send(&path).await, 200);
    assert_eq!(bench.sim.inspect(|state| state.unchanged_answers_of(booking).len()), 2);
    assert_eq!(bench.booking(booking).status, BookingStatus::Confirmed);
}

#[tokio::test]
async fn an_unknown_booking_is_404_unless_it_was_asked_about() {
    let bench = Bench::configured().await;
    let send = async |action: &str| {
        bench.post(&format!("/bookings/77/{action}"), json!({"reason": "unknown here"})).await.status()
    };
    assert_eq!(send("cancel").await, 404);
    assert_eq!(send("didNotAttend").await, 404);
    bench.sim.ask_changes(FIRST, 77).unwrap();
    assert_eq!(send("cancel").await, 200);
    assert_eq!(send("cancel").await, 200);
    bench.sim.inspect(|state| {
        let told = state.answers_about_unknown(FIRST);
        assert_eq!((told.len(), told[0].0, told[0].1.reason()), (2, 77, Some("unknown here")));
        assert_eq!(told[0].1.kind, BookingAnswerKind::CancelledByPractice);
    });
}

#[tokio::test]
async fn the_list_of_questions_comes_in_pages() {
    let bench = Bench::configured().await;
    for booking in 1..=101 {
        bench.sim.ask_changes(FIRST, booking).unwrap();
    }
    let second = bench.get("/requests/pmsAppointmentChanges?page=2").await;
    assert_eq!(second["page"], json!({"currentPage": 2, "totalPages": 2, "perPage": 100, "total": 101}));
    assert_eq!(second["data"], json!([{"bookingId": 101, "pmsAppointmentIds": [], "pmsPatientId": null}]));
}
