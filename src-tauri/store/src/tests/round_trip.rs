//! Whatever the domain can hold comes back from the tables as it went in.

use super::*;
use crate::bookings::{set_decision, set_state};
use chrono::{NaiveDateTime, TimeDelta};
use domain::audit::{AuditEvent, AuditLine};
use domain::booking::{BookingState, Inserted, Undoing};
use domain::consent::{ConsentHow, ConsentLine, Said};
use domain::failure::Refusal;
use domain::ids::AppointmentRef;
use domain::link::{Link, LinkKey, LinkKind, LinkState};
use domain::matching::{Agreement, Comparison, Decision, Field};
use domain::people::{PatientPlan, PatientRecord};
use domain::ports::store::{AuditTrail, Consents, Links, SettingsBook};
use domain::settings::{
    DocumentApi, DocumentRoutes, GroupedPatients, HealthengineSettings, LiveDay, LiveHours, PartnerAccount,
    PracticeSettings, ProfileGroupRule, ProvetSettings, SystemSettings, ValdSettings, WriteMode,
};
use domain::time::{DayRange, MinuteOfDay, PracticeZone};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        any::<String>(),
        Just("'; DROP TABLE booking; --\u{0}\u{202e}🦵".to_owned()),
        Just("x".repeat(10_000)),
    ]
}

fn hidden() -> impl Strategy<Value = Private<String>> {
    text().prop_map(Private::new)
}

fn day() -> impl Strategy<Value = NaiveDate> {
    (-1_000_000..1_000_000_i64).prop_map(|days| NaiveDate::default() + TimeDelta::days(days))
}

fn wall_clock() -> impl Strategy<Value = NaiveDateTime> {
    (day(), 0..86_400_000_i64)
        .prop_map(|(day, millis)| day.and_time(Default::default()) + TimeDelta::milliseconds(millis))
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..4_000_000_000_000_i64).prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
}

fn patient_ref() -> impl Strategy<Value = PatientRef> {
    text().prop_map(PatientRef::new)
}

fn details() -> impl Strategy<Value = PersonDetails> {
    let gender = prop::option::of(prop::sample::select(vec![Gender::Male, Gender::Female, Gender::Other]));
    let medicare = (hidden(), hidden(), hidden());
    let names = (hidden(), hidden(), prop::option::of(day()), prop::collection::vec(hidden(), 0..3));
    let address = (hidden(), hidden(), hidden(), hidden(), hidden());
    (names, address, gender, medicare).prop_map(|(names, address, gender, medicare)| PersonDetails {
        first_name: names.0,
        last_name: names.1,
        birth_date: Private::new(names.2),
        phones: names.3,
        email: address.0,
        street: address.1,
        suburb: address.2,
        state: address.3,
        postcode: address.4,
        gender: Private::new(gender),
        medicare_number: medicare.0,
        medicare_irn: medicare.1,
        medicare_expiry: medicare.2,
    })
}

fn a_request() -> impl Strategy<Value = BookingRequest> {
    let ids = (text(), text(), any::<u128>());
    let what = (prop::option::of(text()), prop::option::of(text()), wall_clock(), any::<i64>());
    let rest = (prop::option::of(patient_ref()), any::<bool>(), hidden(), instant(), any::<bool>());
    (ids, what, details(), rest).prop_map(|(ids, what, patient, rest)| BookingRequest {
        key: BookingKey {
            practice: PracticeId::new(ids.0),
            partner: PartnerId::new(ids.1),
            booking: ForeignBookingId::new(ids.2.to_string()),
        },
        resource: what.0.map(ResourceRef::new),
        appointment_type: what.1.map(AppointmentTypeRef::new),
        starts: PracticeTime(what.2),
        length: Seconds(what.3),
        patient,
        linked_patient: rest.0,
        says_new_patient: rest.1,
        note: rest.2,
        booked_at: rest.3,
        cancelled: rest.4,
    })
}

fn plan() -> impl Strategy<Value = PatientPlan> {
    prop_oneof![
        patient_ref().prop_map(PatientPlan::Existing),
        prop::option::of(patient_ref())
            .prop_map(|possible_duplicate_of| PatientPlan::New { possible_duplicate_of }),
        Just(PatientPlan::Undecided),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        prop::sample::select(vec![
            Refusal::SlotTaken,
            Refusal::OutsideHours,
            Refusal::ResourceMissing,
            Refusal::ResourceUnknown,
            Refusal::TypeUnknown,
            Refusal::TimeDoesNotExist,
            Refusal::TimeHasPassed,
            Refusal::BadLength,
            Refusal::NameMissing,
            Refusal::PatientCancelled,
            Refusal::DeclinedAtDesk,
            Refusal::NobodyDecided,
            Refusal::BookingUnknown,
            Refusal::UnknownToPartner,
            Refusal::AlreadyBegun,
            Refusal::Series,
            Refusal::ReadOnly,
        ]),
        text().prop_map(Refusal::Unreadable),
        text().prop_map(Refusal::Other),
    ]
}

fn undoing() -> impl Strategy<Value = Undoing> {
    let moved = (text().prop_map(ResourceRef::new), wall_clock());
    prop_oneof![
        Just(Undoing::Cancelled),
        Just(Undoing::Deleted),
        Just(Undoing::DidNotAttend),
        moved.prop_map(|(resource, starts)| Undoing::Moved { resource, starts: PracticeTime(starts) }),
    ]
}

fn state() -> impl Strategy<Value = BookingState> {
    let appointment = || text().prop_map(AppointmentRef::new);
    let inserted = || {
        (appointment(), patient_ref()).prop_map(|(appointment, patient)| Inserted { appointment, patient })
    };
    prop_oneof![
        any::<u32>().prop_map(|tries| BookingState::Received { tries }),
        (any::<u32>(), plan()).prop_map(|(tries, plan)| BookingState::Inserting { tries, plan }),
        appointment().prop_map(BookingState::Held),
        (appointment(), plan(), prop::option::of(patient_ref())).prop_map(
            |(appointment, plan, instead_of)| { BookingState::Naming { appointment, plan, instead_of } }
        ),
        Just(BookingState::Entering),
        inserted().prop_map(BookingState::Inserted),
        refusal().prop_map(BookingState::Withdrawing),
        refusal().prop_map(BookingState::Unplaced),
        (refusal(), any::<bool>())
            .prop_map(|(why, tell_patient)| BookingState::Refused { why, tell_patient }),
        text().prop_map(|why| BookingState::Stuck { why }),
        inserted().prop_map(BookingState::Confirmed),
        (refusal(), any::<bool>())
            .prop_map(|(why, tell_patient)| BookingState::Rejected { why, tell_patient }),
        (inserted(), any::<bool>())
            .prop_map(|(inserted, by_hand)| BookingState::Cancelling { inserted, by_hand }),
        inserted().prop_map(BookingState::Cancelled),
        (inserted(), undoing()).prop_map(|(inserted, how)| BookingState::Undone { inserted, how }),
        (inserted(), undoing()).prop_map(|(inserted, how)| BookingState::Ended { inserted, how }),
        Just(BookingState::Closed),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let agreement =
        prop::sample::select(vec![Agreement::Same, Agreement::Near, Agreement::Differs, Agreement::Missing]);
    let fields = prop::collection::vec((prop::sample::select(Field::ALL.to_vec()), agreement), 0..7);
    (patient_ref(), prop::option::of(text()), details(), any::<bool>(), fields, any::<u32>()).prop_map(
        |(id, shown_number, details, deceased, fields, score)| Comparison {
            record: PatientRecord { shown_number, deceased, ..PatientRecord::new(id, details) },
            fields,
            score,
        },
    )
}

fn decision() -> impl Strategy<Value = Decision> {
    (plan(), prop::option::of(any::<u32>()), text(), prop::collection::vec(comparison(), 0..3))
        .prop_map(|(plan, score, reason, candidates)| Decision { plan, score, reason, candidates })
}

fn practice_settings() -> impl Strategy<Value = PracticeSettings> {
    let range = (0..1440_i64, 1..1440_i64).prop_map(|(start, length)| {
        let minute = MinuteOfDay::clamped;
        DayRange::new(minute(start), minute(start + length)).unwrap()
    });
    let hours = prop::collection::btree_map(
        prop::sample::select(LiveDay::ALL.to_vec()),
        prop::collection::vec(range, 0..3),
        0..8,
    );
    let account = (text(), text(), any::<u32>(), any::<u32>(), prop::collection::vec(text(), 0..3), hours)
        .prop_map(|(base_url, practice_id, horizon_days, poll_seconds, features, weekdays)| {
            HealthengineSettings {
                webhook_url: (horizon_days % 2 == 0).then(|| base_url.clone()),
                user_agent_email: practice_id.clone(),
                environment: base_url.clone(),
                base_url,
                practice_id,
                horizon_days,
                poll_seconds,
                features,
                live_hours: LiveHours { weekdays },
            }
        });
    let write = prop::sample::select(vec![WriteMode::None, WriteMode::Sql, WriteMode::Api]);
    let zone = prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()).prop_map(PracticeZone);
    let locations =
        prop::option::of(prop::collection::vec(text().prop_map(domain::ids::LocationRef::new), 0..3));
    let folder = || prop::option::of(text());
    let api = (text(), text(), text(), text(), text()).prop_map(|(url, site, client_id, user, category)| {
        DocumentApi { url, site, client_id, user, category }
    });
    let documents = (folder(), folder(), prop::option::of(api))
        .prop_map(|(inward, outward, api)| DocumentRoutes { inward, outward, api });
    let provet = (any::<u32>(), text(), folder(), folder(), folder()).prop_map(
        |(provet_id, client_id, token_url, webhook_url, redirect_url)| ProvetSettings {
            provet_id,
            client_id,
            token_url,
            webhook_url,
            redirect_url,
        },
    );
    let provet = prop::option::of(provet);
    let system = (text(), text(), write, locations, any::<u32>(), documents, provet).prop_map(
        |(profile, url, write, locations, poll_seconds, documents, provet)| SystemSettings {
            provet,
            documents,
            profile,
            url,
            write,
            locations,
            poll_seconds,
        },
    );
    let fields = prop::collection::btree_map(text(), text(), 0..3);
    let account_of = (text().prop_map(PartnerId::new), fields.prop_map(|fields| PartnerAccount { fields }));
    let accounts =
        prop::collection::vec(account_of, 0..3).prop_map(|accounts| accounts.into_iter().collect());
    let healthengine = prop::option::of(account);
    (text(), text(), zone, any::<bool>(), system, healthengine, prop::option::of(vald()), accounts).prop_map(
        |(id, name, zone, enabled, system, healthengine, vald, accounts)| PracticeSettings {
            id: PracticeId::new(id),
            name,
            zone,
            enabled,
            system,
            healthengine,
            vald,
            accounts,
        },
    )
}

fn vald() -> impl Strategy<Value = ValdSettings> {
    let whose = prop_oneof![
        Just(GroupedPatients::All),
        text().prop_map(|id| GroupedPatients::SeenBy(ResourceRef::new(id))),
        text().prop_map(|id| GroupedPatients::SeenAt(domain::ids::LocationRef::new(id))),
    ];
    let rule = (text(), whose).prop_map(|(group, whose)| ProfileGroupRule { group, whose });
    let groups = prop::collection::vec(rule, 0..3);
    let texts = prop::collection::vec(text(), 7);
    (texts, prop::option::of(text()), groups, 0_i64..100_000_000, any::<bool>()).prop_map(
        |(texts, hub_url, groups, microseconds, staff_are_adults)| {
            let text = |at: usize| texts[at].clone();
            ValdSettings {
                tenant_id: text(0),
                region: text(1),
                token_url: text(2),
                audience: text(3),
                profile_url: text(4),
                tenants_url: text(5),
                hub_url,
                groups,
                between_requests: TimeDelta::microseconds(microseconds),
                sync_prefix: text(6),
                staff_are_adults,
            }
        },
    )
}

/// Runs a property against one store. Its disk is not waited for, since nothing is cut off here.
fn check<S: Strategy>(strategy: S, property: impl AsyncFn(&Store, S::Value) -> Result<(), TestCaseError>) {
    let (_dir, store) = fresh();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.call(|conn| Ok(conn.execute_batch("PRAGMA synchronous = OFF")?))).unwrap();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    runner.run(&strategy, |value| runtime.block_on(property(&store, value))).unwrap();
}

#[test]
fn bookings_come_back_as_they_went_in() {
    check((a_request(), state(), prop::option::of(decision())), async |store, (request, state, decision)| {
        prop_assert!(store.file(&request, second(0)).await.unwrap());
        let (set, decided) = (state.clone(), decision.clone());
        store
            .write(move |tx| {
                let booking = tx.query_row("SELECT max(id) FROM booking", [], |row| row.get(0))?;
                set_state(tx, booking, &set)?;
                decided.iter().try_for_each(|decision| set_decision(tx, booking, decision))
            })
            .await
            .unwrap();
        let entry = store.entry(&request.key).await.unwrap().unwrap();
        prop_assert_eq!(&entry.request, &request);
        prop_assert_eq!(&entry.state, &state);
        prop_assert_eq!(&entry.decision, &decision);
        Ok(())
    });
}

#[test]
fn settings_come_back_as_they_went_in() {
    check(practice_settings(), async |store, settings| {
        store.save_practice(&settings).await.unwrap();
        let practices = store.practices().await.unwrap();
        prop_assert_eq!(practices.iter().find(|practice| practice.id == settings.id), Some(&settings));
        prop_assert!(store.remove_practice(&settings.id).await.unwrap());
        prop_assert!(!store.remove_practice(&settings.id).await.unwrap());
        Ok(())
    });
}

fn ids() -> impl Strategy<Value = (PracticeId, PartnerId)> {
    (text(), text()).prop_map(|(practice, partner)| (PracticeId::new(practice), PartnerId::new(partner)))
}

fn consent_line() -> impl Strategy<Value = ConsentLine> {
    let yes = (prop::option::of(hidden()), any::<bool>()).prop_map(|(guardian, photo_and_video)| {
        Said::Yes(domain::consent::Agreement { guardian, photo_and_video })
    });
    let said = prop_oneof![yes, Just(Said::No)];
    let how = prop::sample::select(ConsentHow::ALL.to_vec());
    (ids(), patient_ref(), said, how, hidden(), text(), instant()).prop_map(
        |((practice, partner), patient, said, how, recorded_by, wording, at)| ConsentLine {
            practice,
            partner,
            patient,
            said,
            how,
            recorded_by,
            wording,
            at,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    let key = (ids(), prop::sample::select(LinkKind::ALL.to_vec()), text())
        .prop_map(|((practice, partner), kind, local_id)| LinkKey { practice, partner, kind, local_id });
    let texts = prop::collection::vec(prop::option::of(text()), 4);
    let state = prop::sample::select(LinkState::ALL.to_vec());
    (key, any::<u128>(), state, texts, instant(), prop::option::of(instant())).prop_map(
        |(key, told_as, state, texts, since, accepted_at)| Link {
            key,
            told_as: told_as.to_string(),
            partner_id: texts[0].clone(),
            state,
            since,
            reason: texts[1].clone(),
            accepted: texts[2].clone(),
            refused: texts[3].clone(),
            accepted_at,
        },
    )
}

fn audit_line() -> impl Strategy<Value = AuditLine> {
    let what = prop::sample::select(AuditEvent::ALL.to_vec());
    let fields = prop::collection::vec("[a-zA-Z0-9._\\[\\]]{1,12}", 0..4);
    let about = (ids(), prop::option::of(patient_ref()), prop::option::of(any::<i64>()));
    (instant(), about, what, fields, prop::option::of(text()), prop::option::of(hidden())).prop_map(
        |(at, ((practice, partner), patient, consent), what, fields, told_as, by)| AuditLine {
            at,
            practice,
            partner,
            patient,
            what,
            fields,
            consent,
            told_as,
            by,
        },
    )
}

#[test]
fn consents_come_back_as_they_went_in() {
    check(consent_line(), async |store, line| {
        let before = store.consent(&line.practice, &line.partner, &line.patient).await.unwrap();
        prop_assume!(before.is_none());
        prop_assert_eq!(store.record_consents(std::slice::from_ref(&line)).await.unwrap(), 1);
        let consent = store.consent(&line.practice, &line.partner, &line.patient).await.unwrap().unwrap();
        prop_assert_eq!(&consent.line, &line);
        prop_assert_eq!(consent.number, store.last_consent().await.unwrap());
        let of_patient = store.consent_history(&line.practice, &line.patient).await.unwrap();
        prop_assert!(of_patient.contains(&consent));
        prop_assert!(store.consents(&line.practice, &line.partner).await.unwrap().contains(&consent));
        Ok(())
    });
}

#[test]
fn links_come_back_as_they_went_in() {
    check(link(), async |store, link| {
        store.save_links(std::slice::from_ref(&link), &[]).await.unwrap();
        prop_assert_eq!(store.link(&link.key).await.unwrap(), Some(link.clone()));
        prop_assert!(store.links(&link.key.practice, Some(&link.key.partner)).await.unwrap().contains(&link));
        Ok(())
    });
}

#[test]
fn the_audit_trail_comes_back_as_it_went_in_and_fits_together() {
    check(audit_line(), async |store, line| {
        store.audit(std::slice::from_ref(&line)).await.unwrap();
        let entries = store.audited(0, u32::MAX).await.unwrap();
        prop_assert_eq!(entries.last().map(|entry| &entry.line), Some(&line));
        prop_assert_eq!(store.audit_broken_at().await.unwrap(), None);
        Ok(())
    });
}

#[test]
fn times_are_kept_to_the_millisecond_and_sort_as_text() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let times = (any::<i32>(), 0..1_000_000_000_u32, any::<i32>(), 0..1_000_000_000_u32);
    runner
        .run(&times, |(a, a_nanos, b, b_nanos)| {
            let time = |seconds: i32, nanos| DateTime::from_timestamp(i64::from(seconds), nanos).unwrap();
            let (a, b) = (time(a, a_nanos), time(b, b_nanos));
            let text = crate::columns::time_text;
            let back = crate::columns::read_time(&text(a)).unwrap();
            prop_assert_eq!(back.timestamp_millis(), a.timestamp_millis());
            let by_time = a.timestamp_millis().cmp(&b.timestamp_millis());
            prop_assert_eq!(text(a).cmp(&text(b)), by_time);
            Ok(())
        })
        .unwrap();
    let edges = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC].map(crate::columns::time_text);
    assert_eq!(edges, ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"]);
}
