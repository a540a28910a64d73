//! Lights, headline, what needs somebody, freshness, and the tray beside the window.

use super::*;
use chrono::NaiveDate;
use domain::booking::{BookingKey, BookingRequest, Inserted};
use domain::ids::{AppointmentRef, AppointmentTypeRef, ForeignBookingId, PartnerId, PatientRef, ResourceRef};
use domain::link::LinkState;
use domain::matching::Decision;
use domain::people::PatientRecord;
use domain::private::Private;
use domain::settings::{
    DocumentRoutes, HealthengineSettings, LiveHours, PracticeSettings, SystemSettings, ValdSettings,
};
use domain::time::{PracticeTime, Seconds};
use sync::state::{ProfilesState, ResourceState, Shrinking};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

fn id() -> PracticeId {
    PracticeId::new("richmond")
}

/// A practice that is linked with both.
pub fn settings() -> PracticeSettings {
    PracticeSettings {
        id: id(),
        name: "Richmond Physiotherapy".into(),
        zone: PracticeZone::parse("Australia/Melbourne").unwrap(),
        enabled: true,
        system: SystemSettings {
            profile: "openemr".into(),
            url: "mysql://openemr@front-desk/openemr".into(),
            write: WriteMode::Sql,
            locations: None,
            poll_seconds: 5,
            documents: DocumentRoutes::default(),
            provet: None,
        },
        healthengine: Some(HealthengineSettings {
            base_url: "https://he.example.com".into(),
            practice_id: "1".into(),
            user_agent_email: "it@example.com".into(),
            environment: "DEV".into(),
            horizon_days: 60,
            poll_seconds: 5,
            features: Vec::new(),
            webhook_url: None,
            live_hours: LiveHours::default(),
        }),
        vald: None,
        accounts: BTreeMap::new(),
    }
}

/// A VALD account that the practice may be linked with.
pub fn vald_settings() -> ValdSettings {
    ValdSettings {
        tenant_id: "11111111-2222-4333-8444-55555555abcd".into(),
        region: "aue".into(),
        token_url: "https://auth.example.com/oauth/token".into(),
        audience: "vald-api-external".into(),
        profile_url: "https://profile.example.com".into(),
        tenants_url: "https://tenants.example.com".into(),
        hub_url: None,
        groups: Vec::new(),
        between_requests: TimeDelta::milliseconds(250),
        sync_prefix: "richmond".into(),
        staff_are_adults: true,
    }
}

/// A practice with one practitioner, each leg proven that many seconds ago.
pub fn practice(proven: i64) -> PracticeState {
    let legs = Leg::ALL.into_iter().map(|leg| (leg, health::proven(ago(proven)))).collect();
    let mut practice = PracticeState::new(settings(), legs, domain::ports::store::BookingCounts::default());
    practice.resources = vec![ResourceState {
        id: ResourceRef::new("7"),
        name: "Dr Lee".into(),
        specialty: None,
        free_today: 3,
        slots_today: 8,
        changing_since: None,
    }];
    practice.appointment_types = BTreeMap::from([(AppointmentTypeRef::new("2"), "Initial".to_owned())]);
    practice
}

fn failing(practice: &mut PracticeState, leg: Leg, kind: ProblemKind, since: i64) {
    let problem = Problem { kind, sentence: format!("{} does not work.", leg.name()) };
    practice.legs.insert(
        leg.clone(),
        LegNote {
            failing_since: Some(ago(since)),
            ..health::failed(practice.legs.get(&leg), problem, now())
        },
    );
}

/// Everything that a view is made of.
#[derive(Default)]
struct Scene {
    engine: EngineState,
    ended: Option<DateTime<Utc>>,
    set_up_at: BTreeMap<PracticeId, DateTime<Utc>>,
    open: Vec<Entry>,
    unseen: BTreeMap<PracticeId, Vec<ActivityLine>>,
    documents: crate::present::documents::DocumentsOfBookings,
    at_vald: ValdOfBookings,
    days: BTreeMap<PracticeId, LastDay>,
    setups: BTreeMap<PracticeId, PracticeSetupView>,
    problem: Option<ProblemView>,
}

impl Scene {
    /// One practice that was set up an hour ago.
    fn of(practice: PracticeState) -> Self {
        let mut scene = Scene::default();
        scene.set_up_at.insert(practice.settings.id.clone(), ago(3600));
        scene.engine.practices.insert(practice.settings.id.clone(), practice);
        scene
    }

    fn with(mut self, state: BookingState, decision: Option<Decision>) -> Self {
        self.open.push(entry(state, decision));
        self
    }

    fn view(&self) -> AppView {
        app_view(Inputs {
            revision: 1,
            now: now(),
            engine: &self.engine,
            engine_ended_at: self.ended,
            set_up_at: &self.set_up_at,
            open: &self.open,
            unseen: &self.unseen,
            documents: &self.documents,
            at_vald: &self.at_vald,
            days: &self.days,
            setups: &self.setups,
            registrations: Vec::new(),
            settings: SettingsView {
                autostart: None,
                retention_days: 30,
                minutes_to_decide: 8,
                log_level: crate::view::LogLevel::Info,
                logs_folder: String::new(),
                listener: None,
                offered_listener: settings::listener_view(&ListenerSettings::at(ListenerSettings::ADDRESS)),
                quick_open_keys: String::new(),
                quick_open_problem: None,
            },
            profiles: Vec::new(),
            about: AboutView { version: "1".into(), data_folder: "/data".into() },
            problem: self.problem.clone(),
            notices: Vec::new(),
            demo: false,
            own_zone: None,
        })
    }
}

fn person(first: &str, last: &str, phone: &str) -> PersonDetails {
    PersonDetails {
        first_name: Private::new(first.into()),
        last_name: Private::new(last.into()),
        phones: vec![Private::new(phone.into())],
        ..PersonDetails::default()
    }
}

/// A booking of that practice.
pub fn entry(state: BookingState, decision: Option<Decision>) -> Entry {
    let starts = NaiveDate::from_ymd_opt(2027, 1, 18).unwrap().and_hms_opt(9, 30, 0).unwrap();
    Entry {
        request: BookingRequest {
            key: BookingKey {
                practice: id(),
                partner: PartnerId::new("healthengine"),
                booking: ForeignBookingId::new("36127212"),
            },
            resource: Some(ResourceRef::new("7")),
            appointment_type: Some(AppointmentTypeRef::new("2")),
            starts: PracticeTime(starts),
            length: Seconds(1800),
            patient: person("Zoë", "O'Brien", "0412 345 678"),
            linked_patient: None,
            says_new_patient: false,
            note: Private::default(),
            booked_at: ago(20),
            cancelled: false,
        },
        state,
        decision,
        placement: None,
        tell_place: false,
        revision: 0,
        received_at: ago(15),
        answered_at: None,
        state_since: ago(15),
        not_before: ago(15),
    }
}

fn inserted() -> Inserted {
    Inserted { appointment: AppointmentRef::new("123"), patient: PatientRef::new("77") }
}

/// A decision for which one record was compared.
fn decision(plan: PatientPlan) -> Decision {
    let record = PatientRecord {
        id: PatientRef::new("12"),
        shown_number: Some("P-12".into()),
        details: person("Zoe", "Brown", "0412345678"),
        deceased: false,
        inactive: false,
        merged_into: None,
    };
    let fields = vec![
        (Field::FirstName, Agreement::Near),
        (Field::LastName, Agreement::Differs),
        (Field::Phone, Agreement::Same),
    ];
    let candidates = vec![Comparison { record, fields, score: 700 }];
    Decision { plan, score: Some(700), reason: "One record is near.".into(), candidates }
}

fn possible_duplicate() -> (BookingState, Option<Decision>) {
    let plan = PatientPlan::New { possible_duplicate_of: Some(PatientRef::new("12")) };
    (BookingState::Confirmed(inserted()), Some(decision(plan)))
}

/// The tray says what the window says, and green only where the window is green.
fn agree(scene: &Scene) -> AppView {
    let view = scene.view();
    let facts = tray_facts(&view);
    assert_eq!((facts.headline, facts.needs_you), (view.headline, view.attention.len()));
    let look = crate::tray::look(&facts);
    if look.lamp == crate::tray::Lamp::Ok {
        assert!(view.problem.is_none() && view.attention.is_empty());
        let lights = view.practices.iter().map(|practice| practice.light);
        assert!(lights.into_iter().all(|light| matches!(light, Light::Ok | Light::Working | Light::Paused)));
    }
    view
}

fn lights(scene: &Scene) -> (Headline, Light, Light, Light) {
    let view = agree(scene);
    let practice = &view.practices[0];
    (view.headline, practice.light, practice.system.light, practice.healthengine.as_ref().unwrap().light)
}

#[test]
fn green_is_proven() {
    assert_eq!(lights(&Scene::of(practice(4))), (Headline::InStep, Light::Ok, Light::Ok, Light::Ok));
}

#[test]
fn silence_is_unknown_for_a_minute_and_then_down_with_a_sentence() {
    // An hour ago it was heard last, or it never was.
    let mut never = practice(3600);
    never.legs.clear();
    for silent in [practice(3600), never] {
        let mut scene = Scene::of(silent);
        scene.set_up_at.insert(id(), ago(59));
        let unknown = (Headline::Starting, Light::Unknown, Light::Unknown, Light::Unknown);
        assert_eq!(lights(&scene), unknown);
        scene.set_up_at.insert(id(), ago(61));
        assert_eq!(lights(&scene), (Headline::Down, Light::Down, Light::Down, Light::Down));
        let view = scene.view();
        let problem = view.practices[0].system.problem.as_ref().unwrap();
        assert_eq!(problem.code, ErrorCode::EngineStopped);
        assert!(problem.message.starts_with("Nothing has been heard from the practice database since "));
        assert!(problem.message.ends_with(" Restart Clinic Companion."), "{}", problem.message);
        assert_eq!(tray_facts(&view).trouble.as_ref(), Some(&problem.message));
    }
    // 2027-01-15 07:00:00 UTC, in Melbourne.
    let view = Scene::of(practice(3600)).view();
    assert!(view.practices[0].system.problem.as_ref().unwrap().message.contains("since 18:00."));
}

#[test]
fn a_long_first_publishing_is_no_silence() {
    let mut practice = practice(4);
    practice.legs.remove(&Leg::Board);
    practice.legs.insert(Leg::System, health::proven(ago(200)));
    practice.sending = Some((120, 366));
    let scene = Scene::of(practice);
    assert_eq!(lights(&scene), (Headline::CatchingUp, Light::Working, Light::Working, Light::Working));
    assert!(!scene.view().switch_off.safe);
}

#[test]
fn a_problem_speaks_for_the_silent_ones() {
    let mut practice = practice(3600);
    practice.legs.clear();
    failing(&mut practice, Leg::Desk, ProblemKind::Credentials, 100);
    let view = agree(&Scene::of(practice));
    assert_eq!(view.headline, Headline::Down);
    assert_eq!((view.practices[0].system.light, &view.practices[0].system.problem), (Light::Down, &None));
    let problem = view.practices[0].healthengine.as_ref().unwrap().problem.clone().unwrap();
    assert_eq!(problem.code, ErrorCode::PartnerKeyRefused);
    assert_eq!(tray_facts(&view).trouble, Some(problem.message));
}

#[test]
fn each_kind_of_problem_has_its_light() {
    let check = |leg: Leg, kind, since, headline, light| {
        let mut practice = practice(4);
        failing(&mut practice, leg.clone(), kind, since);
        let (shown, worst, ..) = lights(&Scene::of(practice));
        assert_eq!((shown, worst), (headline, light), "{leg:?} {kind:?} {since}");
    };
    check(Leg::Desk, ProblemKind::Unreachable, 10, Headline::CatchingUp, Light::Working);
    check(Leg::Desk, ProblemKind::Credentials, 1, Headline::Down, Light::Down);
    check(Leg::System, ProblemKind::Misfit, 1, Headline::Down, Light::Down);
    check(Leg::Board, ProblemKind::Refused, 10, Headline::NeedsYou, Light::Attention);
}

#[test]
fn an_engine_that_has_ended_is_never_green() {
    let mut scene = Scene::of(practice(1));
    scene.ended = Some(ago(1));
    let view = agree(&scene);
    assert_eq!(view.problem.as_ref().unwrap().code, ErrorCode::EngineStopped);
    assert_eq!((view.headline, view.practices[0].light), (Headline::Down, Light::Down));
    assert!(tray_facts(&view).trouble.is_some());
}

#[test]
fn headlines_without_a_running_practice() {
    let mut scene = Scene::default();
    assert_eq!(agree(&scene).headline, Headline::NotLinked);
    assert_eq!(tray_facts(&scene.view()).paused, None);
    scene.setups.insert(id(), PracticeSetupView::default());
    assert_eq!(agree(&scene).headline, Headline::Starting);

    let mut paused = practice(3600);
    paused.settings.enabled = false;
    let scene = Scene::of(paused);
    assert_eq!(lights(&scene), (Headline::Paused, Light::Paused, Light::Paused, Light::Paused));
    assert_eq!(tray_facts(&scene.view()).paused, Some(true));
}

#[test]
fn what_is_open_in_a_paused_practice_still_counts() {
    let mut paused = practice(3600);
    paused.settings.enabled = false;
    let scene = Scene::of(paused).with(BookingState::Held(AppointmentRef::new("9")), None);
    let view = agree(&scene);
    assert_eq!((view.headline, view.attention.len()), (Headline::NeedsYou, 1));
    assert!(!view.switch_off.safe);
    assert_eq!(tray_facts(&view).paused, Some(true));
}

#[test]
fn each_state_of_a_booking_asks_for_its_own() {
    use BookingAction as A;
    let held = AppointmentRef::new("9");
    let refusal = || Refusal::SlotTaken;
    let (doubtful, compared) = possible_duplicate();
    type Case<'a> = (BookingState, Option<Decision>, PublicState, &'a [A], bool);
    let cases: Vec<Case<'_>> = vec![
        (BookingState::NEW, None, PublicState::Received, &[], false),
        (
            BookingState::Held(held.clone()),
            Some(decision(PatientPlan::Undecided)),
            PublicState::Attention,
            &[A::SamePerson, A::NewPatient, A::Decline],
            false,
        ),
        (BookingState::Entering, None, PublicState::Attention, &[A::EnteredByHand, A::Decline], false),
        (
            BookingState::Unplaced(refusal()),
            None,
            PublicState::Attention,
            &[A::PlaceBeside, A::PlaceElsewhere, A::Cancel, A::TryAgain, A::EnteredByHand],
            false,
        ),
        (
            BookingState::Stuck { why: "It answers nonsense.".into() },
            None,
            PublicState::Attention,
            &[A::TryAgain, A::Cancel, A::PatientPhoned],
            false,
        ),
        (BookingState::Inserted(inserted()), None, PublicState::Inserted, &[], false),
        (BookingState::Withdrawing(refusal()), None, PublicState::Received, &[], false),
        (
            BookingState::Cancelling { inserted: inserted(), by_hand: true },
            None,
            PublicState::Attention,
            &[A::CancelledByHand],
            false,
        ),
        (
            BookingState::Rejected { why: refusal(), tell_patient: true },
            None,
            PublicState::Attention,
            &[A::PatientPhoned],
            true,
        ),
        (doubtful, compared, PublicState::Confirmed, &[A::DuplicateHandled], true),
        (BookingState::Confirmed(inserted()), None, PublicState::Confirmed, &[], true),
        (BookingState::Closed, None, PublicState::Rejected, &[], true),
    ];
    for (state, decision, shown, actions, safe) in cases {
        let case = format!("{state:?}");
        let scene = Scene::of(practice(4)).with(state, decision);
        let view = agree(&scene);
        let booking = &view.open_bookings[0];
        assert_eq!(booking.state, shown, "{case}");
        let offered = booking.needs.as_ref().map(|need| need.actions.clone()).unwrap_or_default();
        assert_eq!(offered, actions, "{case}");
        assert_eq!(view.attention.len(), usize::from(!actions.is_empty()), "{case}");
        assert_eq!(view.switch_off.safe, safe, "{case}");
        assert_eq!(view.switch_off.waiting.is_empty(), safe, "{case}");
        let light = view.practices[0].light;
        assert_eq!(light == Light::Attention, !actions.is_empty(), "{case}: {light:?}");
        let is_shown_as_open = !actions.is_empty() || !safe;
        assert_eq!(is_open(&scene.open[0]), is_shown_as_open, "{case}");
    }
}

#[test]
fn a_booking_is_shown_with_names_and_the_practice_clock() {
    let scene = Scene::of(practice(4)).with(BookingState::Entering, None);
    let booking = &scene.view().open_bookings[0];
    assert_eq!(booking.patient_name.as_deref(), Some("Zoë O'Brien"));
    assert_eq!(
        (booking.practitioner.as_deref(), booking.appointment_type.as_deref()),
        (Some("Dr Lee"), Some("Initial"))
    );
    // Melbourne is eleven hours ahead in January.
    assert_eq!(booking.starts_at.as_deref(), Some("2027-01-17T22:30:00.000Z"));
    assert_eq!((booking.starts_written.as_str(), booking.minutes), ("2027-01-18 09:30", 30));
    let need = booking.needs.as_ref().unwrap();
    assert_eq!(need.answer_by.as_deref(), Some(instant(ago(15) + TimeDelta::minutes(8)).as_str()));
    let TaskView::EnterAppointment { fields } = &need.task else { panic!("{:?}", need.task) };
    let typed: Vec<(PersonField, &str)> = fields.iter().map(|f| (f.field, f.value.as_str())).collect();
    assert_eq!(
        typed,
        [
            (PersonField::Practitioner, "Dr Lee"),
            (PersonField::Start, "2027-01-18 09:30"),
            (PersonField::Minutes, "30"),
            (PersonField::AppointmentType, "Initial"),
            (PersonField::Name, "Zoë O'Brien"),
            (PersonField::Phone, "0412 345 678"),
        ]
    );
}

#[test]
fn a_record_stands_beside_the_booking_field_by_field() {
    let decision = decision(PatientPlan::Undecided);
    let fields = compared(&entry(BookingState::NEW, None).request.patient, &decision.candidates[0]);
    let verdict = |field: PersonField| fields.iter().find(|shown| shown.field == field).unwrap().verdict;
    // A name is as much alike as the less alike of its two halves.
    assert_eq!(verdict(PersonField::Name), Verdict::Differs);
    assert_eq!(verdict(PersonField::Phone), Verdict::Same);
    assert_eq!(verdict(PersonField::BirthDate), Verdict::Missing);
    assert_eq!(fields[0].on_booking.as_deref(), Some("Zoë O'Brien"));
    assert_eq!(fields[0].in_book.as_deref(), Some("Zoe Brown"));
}

#[test]
fn a_trouble_that_practices_share_is_one_line() {
    let lines = |troubles: &[ProblemKind]| {
        let mut scene = Scene::default();
        for (number, kind) in troubles.iter().enumerate() {
            let mut practice = practice(4);
            practice.settings.id = PracticeId::new(format!("p{number}"));
            failing(&mut practice, Leg::Desk, *kind, 300);
            scene.set_up_at.insert(practice.settings.id.clone(), ago(3600));
            scene.engine.practices.insert(practice.settings.id.clone(), practice);
        }
        let view = agree(&scene);
        assert_eq!(view.headline, Headline::Down);
        let line = |item: &AttentionView| {
            let AttentionView::Healthengine { practice_id, also } = item else { panic!("{item:?}") };
            format!("{practice_id} {}", also.join(" "))
        };
        view.attention.iter().map(line).collect::<Vec<_>>()
    };
    use ProblemKind::{Consent, Credentials, Unreachable};
    assert_eq!(lines(&[Credentials]), ["p0 "]);
    assert_eq!(lines(&[Credentials, Credentials, Credentials]), ["p0 p1 p2"]);
    assert_eq!(lines(&[Credentials, Unreachable, Credentials, Unreachable]), ["p0 p2", "p1 p3"]);
    // Consent is granted practice by practice.
    assert_eq!(lines(&[Consent, Consent]), ["p0 ", "p1 "]);
}

#[test]
fn notices_stay_until_somebody_has_seen_to_them() {
    let line = |text: &str| ActivityLine {
        at: ago(50),
        began_at: None,
        kind: "look/overlap".into(),
        text: text.into(),
    };
    let mut scene = Scene::of(practice(4));
    scene.unseen.insert(id(), vec![line("Two stand at 9:30."), line("Two stand at 10:00.")]);
    let view = agree(&scene);
    assert_eq!(view.headline, Headline::NeedsYou);
    let notice = AttentionView::Notice {
        practice_id: "richmond".into(),
        at: instant(ago(50)),
        sentence: "Two stand at 9:30. Two stand at 10:00.".into(),
    };
    assert_eq!(view.attention, [notice]);
}

#[test]
fn freshness_is_as_old_as_the_oldest_look() {
    let freshness =
        |practice: PracticeState| Scene::of(practice).view().practices[0].practitioners[0].freshness.clone();
    assert_eq!(freshness(practice(4)), Freshness::InStep { checked_at: instant(ago(4)) });
    let mut one_behind = practice(4);
    one_behind.legs.insert(Leg::Board, health::proven(ago(119)));
    assert_eq!(freshness(one_behind.clone()), Freshness::InStep { checked_at: instant(ago(119)) });
    one_behind.legs.insert(Leg::Board, health::proven(ago(121)));
    assert_eq!(freshness(one_behind.clone()), Freshness::Behind { since: instant(ago(121)) });
    one_behind.legs.remove(&Leg::Board);
    assert_eq!(freshness(one_behind), Freshness::NotYet);

    let mut changing = practice(4);
    changing.resources[0].changing_since = Some(ago(2));
    assert_eq!(freshness(changing.clone()), Freshness::OnItsWay { changed_at: instant(ago(2)) });
    failing(&mut changing, Leg::Board, ProblemKind::Unreachable, 30);
    assert_eq!(freshness(changing.clone()), Freshness::Behind { since: instant(ago(30)) });
    failing(&mut changing, Leg::Board, ProblemKind::Refused, 30);
    assert!(matches!(freshness(changing), Freshness::Refused { .. }));
}

#[test]
fn a_search_finds_numbers_names_and_phones() {
    let entry = entry(BookingState::Closed, None);
    for found in ["", " ", "36127", "zoe", "O'BRIEN", "zoë o", "0412345", "345 678"] {
        assert!(answers_to(&entry, found), "{found}");
    }
    for missed in ["smith", "99", "zoe x"] {
        assert!(!answers_to(&entry, missed), "{missed}");
    }
}

#[test]
fn the_strip_shows_round_trips_and_outages() {
    let mut scene = Scene::of(practice(4));
    let this_half = sync::flows::half_hour(now());
    let outage = ActivityLine {
        at: this_half - TimeDelta::minutes(40),
        began_at: Some(this_half - TimeDelta::minutes(50)),
        kind: format!("outage/{}", Leg::Desk.name()),
        text: String::new(),
    };
    scene.days.insert(
        id(),
        LastDay {
            round_trips: vec![
                (this_half - TimeDelta::minutes(35), 900_000),
                (this_half, 800),
                (this_half, 1_200),
            ],
            proven: BTreeSet::from([this_half, this_half - TimeDelta::minutes(60)]),
            activity: vec![outage],
        },
    );
    let trips = agree(&scene).round_trips;
    assert_eq!((trips.bookings, trips.median_ms, trips.slowest_ms), (3, Some(1_200), Some(900_000)));
    let half_hours: Vec<(Light, u32)> =
        trips.half_hours.iter().map(|h| (h.light, h.bookings)).rev().take(3).collect();
    assert_eq!(half_hours, [(Light::Ok, 2), (Light::Unknown, 0), (Light::Down, 1)]);
    assert_eq!(trips.half_hours.len(), 48);
    let outages: Vec<(ErrorCode, u32)> = trips.outages.iter().map(|o| (o.code, o.bookings_waited)).collect();
    assert_eq!(outages, [(ErrorCode::PartnerUnreachable, 1)]);
}

#[test]
fn a_wrong_patient_can_be_corrected_for_thirty_days() {
    let stands = |plan| entry(BookingState::Confirmed(inserted()), Some(decision(plan)));
    let existing = stands(PatientPlan::Existing(PatientRef::new("77")));
    let practice = settings();
    let Some(CorrectionView::Offered { until, candidates }) = correction(&existing, &practice, ago(0)) else {
        panic!("it can be corrected")
    };
    assert_eq!(until, "2027-02-14T07:59:45.000Z", "thirty days after it came in");
    assert_eq!(candidates.iter().map(|c| c.number.as_str()).collect::<Vec<_>>(), ["P-12"]);
    // Whose it is already is no other choice, and is what the timeline compares with.
    let twelve = BookingState::Confirmed(Inserted { patient: PatientRef::new("12"), ..inserted() });
    let twelve = entry(twelve, Some(decision(PatientPlan::Existing(PatientRef::new("12")))));
    let offered = correction(&twelve, &practice, ago(0));
    assert!(matches!(offered, Some(CorrectionView::Offered { candidates, .. }) if candidates.is_empty()));
    assert_eq!(compared_with_chosen(&twelve)[0].in_book.as_deref(), Some("Zoe Brown"));
    assert_eq!(compared_with_chosen(&existing), []);
    assert_eq!(compared_with_chosen(&stands(PatientPlan::New { possible_duplicate_of: None })), []);

    let over = |why| Some(CorrectionView::Over { why });
    let later = |days| ago(0) + TimeDelta::days(days);
    assert!(matches!(correction(&existing, &practice, later(5)), Some(CorrectionView::Offered { .. })));
    assert_eq!(correction(&existing, &practice, later(31)), over(CorrectionOver::TooOld));
    let mut read_only = practice.clone();
    read_only.system.write = WriteMode::None;
    assert_eq!(correction(&existing, &read_only, ago(0)), over(CorrectionOver::ReadOnly));
    let waits = entry(BookingState::Held(AppointmentRef::new("9")), None);
    assert_eq!(correction(&waits, &practice, ago(0)), None);
}

/// A practice that is linked with VALD too, with these links.
fn with_vald(links: &[(LinkState, u32)]) -> PracticeState {
    let mut practice = practice(2);
    practice.settings.vald = Some(vald_settings());
    let links = links.iter().copied().collect();
    practice.profiles = Some(ProfilesState { links, ..ProfilesState::default() });
    practice
}

#[test]
fn profiles_that_wait_for_a_person_colour_their_card_and_nothing_else() {
    let links = [(LinkState::Linked, 310), (LinkState::Conflict, 1), (LinkState::NeedsPerson, 2)];
    let view = Scene::of(with_vald(&links)).view();
    let vald = view.practices[0].vald.clone().expect("an account");
    assert_eq!((vald.light, vald.linked, vald.failed, vald.needs_person), (Light::Attention, 310, 1, 2));
    assert_eq!((view.practices[0].light, view.headline), (Light::Ok, Headline::InStep));
    assert_eq!(view.attention, []);
    let fine = Scene::of(with_vald(&[(LinkState::Linked, 310)])).view();
    assert_eq!(fine.practices[0].vald.as_ref().map(|vald| vald.light), Some(Light::Ok));
}

#[test]
fn consents_that_are_gone_in_a_crowd_ask_somebody_and_turn_no_light() {
    let mut doubtful = with_vald(&[(LinkState::Linked, 310)]);
    doubtful.shrinking.push(Shrinking {
        list: sync::flows::people::CONSENTS,
        digest: "a digest".into(),
        from: 310,
        to: 4,
        missing: vec!["record 7".into()],
        noticed_at: now(),
    });
    let view = Scene::of(doubtful.clone()).view();
    let practice = &view.practices[0];
    assert_eq!(practice.light, Light::Ok);
    assert_eq!(practice.vald.as_ref().map(|vald| vald.light), Some(Light::Attention));
    assert_eq!(practice.shrunk_lists.iter().map(|list| list.list).collect::<Vec<_>>(), [ListKind::Consents]);
    let asked = AttentionView::ShrunkList { practice_id: "richmond".into(), list: ListKind::Consents };
    assert_eq!(view.attention, std::slice::from_ref(&asked));
    // It hides nothing of Healthengine's.
    failing(&mut doubtful, Leg::Board, ProblemKind::Credentials, 300);
    let view = Scene::of(doubtful).view();
    assert!(
        matches!(view.attention.as_slice(), [AttentionView::Healthengine { .. }, list] if *list == asked)
    );
    assert_eq!(list_kind(list_name(ListKind::Consents)), ListKind::Consents);
}

#[test]
fn a_vald_account_that_does_not_work_turns_the_light_red_with_its_sentence() {
    let mut broken = with_vald(&[]);
    failing(&mut broken, Leg::Profiles, ProblemKind::Credentials, 300);
    let view = Scene::of(broken).view();
    assert_eq!((view.practices[0].light, view.headline), (Light::Down, Headline::Down));
    let problem = view.practices[0].vald.as_ref().and_then(|vald| vald.problem.as_ref());
    assert_eq!(problem.map(|problem| problem.code), Some(ErrorCode::ValdKeyRefused));
    assert_eq!(view.attention, [AttentionView::Vald { practice_id: "richmond".into() }]);
    assert_eq!(tray_facts(&view).trouble.as_deref(), Some("profiles does not work."));
    // Healthengine's own silence is still told with its own words.
    let healthengine = view.practices[0].healthengine.as_ref().expect("linked");
    assert_eq!((healthengine.light, healthengine.problem.as_ref()), (Light::Ok, None));
}

#[test]
fn free_times_do_not_rest_on_vald() {
    let practitioner =
        |practice: PracticeState| Scene::of(practice).view().practices[0].practitioners[0].light;
    let mut broken = with_vald(&[]);
    failing(&mut broken, Leg::Profiles, ProblemKind::Credentials, 300);
    assert_eq!(practitioner(broken.clone()), Light::Ok);
    failing(&mut broken, Leg::Desk, ProblemKind::Credentials, 300);
    assert_eq!(practitioner(broken), Light::Down);
}

#[test]
fn an_open_booking_says_how_it_stands_at_vald() {
    use crate::view::{ValdPatientState, ValdPatientView};
    let mut scene = Scene::of(with_vald(&[])).with(BookingState::Held(AppointmentRef::new("9")), None);
    assert_eq!(scene.view().open_bookings[0].vald, None);
    let known =
        ValdPatientView { state: ValdPatientState::Linked, reason: None, can_open: true, can_link: false };
    scene.at_vald.insert(scene.open[0].request.key.clone(), known.clone());
    assert_eq!(scene.view().open_bookings[0].vald, Some(known));
}

#[test]
fn vald_need_not_be_heard_of_as_often_as_healthengine() {
    let mut quiet = with_vald(&[]);
    quiet.legs.insert(Leg::Profiles, health::proven(ago(3000)));
    assert_eq!(Scene::of(quiet.clone()).view().practices[0].light, Light::Ok);
    quiet.legs.insert(Leg::Profiles, health::proven(ago(4000)));
    let view = Scene::of(quiet.clone()).view();
    let said = view.practices[0].vald.as_ref().and_then(|vald| vald.problem.clone()).expect("a problem");
    assert!(said.message.contains("VALD"), "{}", said.message);
    // While many are on their way, that is proof enough.
    quiet.profiles = Some(ProfilesState { sending: Some((3, 9)), ..ProfilesState::default() });
    assert_eq!(Scene::of(quiet).view().practices[0].light, Light::Working);
}
