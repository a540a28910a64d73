//! Cuts the program off, or kills it, at every touch of its ports, on the real store, the real practice database engine
//! and the real client, and counts what is left.

use chrono::TimeDelta;
use connectors::partners::healthengine::sim::{BookingAnswerKind, BookingStatus, PatientDetails};
use domain::booking::{BookingState, Step};
use domain::ids::PatientRef;
use sync::desk::Choice;
use sync::flows::availability::Availability;
use sync::flows::bookings::Bookings;
use sync::flows::{Flow, Ports};
use tests::reaper::{Fault, one_fault, two_faults};
use tests::{Make, System, Ward, World, account, start};

/// What happens in the life of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Known,
    New,
    Decided,
    Refused,
    Cancelled,
}

/// Bookings in a clinic whose program can be killed.
struct Trial {
    ward: Ward,
    /// Each new patient has a name of their own.
    strangers: u32,
    expected_patients: i64,
}

/// What a booking needs.
fn work(ports: Ports) -> Vec<Box<dyn Flow>> {
    vec![Box::new(Bookings::new(ports.clone()).unwrap()), Box::new(Availability::new(ports))]
}

impl Trial {
    async fn new(system: System) -> Self {
        let world = World::new(Make { horizon_days: 21, ..Make::on(system) }).await;
        let expected_patients = world.patients();
        let mut ward = Ward::new(world, work).await;
        ward.step().await;
        Self { ward, strangers: 0, expected_patients }
    }

    fn world(&self) -> &World {
        &self.ward.world
    }

    fn patient(&mut self, story: Story) -> PatientDetails {
        match story {
            Story::New => {
                self.strangers += 1;
                self.expected_patients += 1;
                let n = self.strangers;
                // Namesakes whose birth dates, phones and e-mails are a digit apart would be asked about.
                const SYLLABLES: [&str; 10] =
                    ["ba", "cor", "del", "fin", "gu", "ham", "jo", "kel", "mir", "tas"];
                let mixed = n as usize * 7_919 + 104_729;
                let name = [1, 10, 100, 1_000].map(|digit| SYLLABLES[mixed / digit % 10]).concat();
                PatientDetails {
                    address: format!("{mixed} {name} Road"),
                    lastname: name,
                    dob: start().date_naive() - TimeDelta::days(10_000 + 411 * i64::from(n)),
                    phone: format!("(03) 7010 {n:04}"),
                    email: format!("stranger{n}@example.com"),
                    ..PatientDetails::default()
                }
            }
            Story::Decided => self.world().unclear_patient().1,
            Story::Known | Story::Refused | Story::Cancelled => self.world().known_patient().1,
        }
    }

    /// Tells a story with faults at the given touches. Returns how many touches it had, and what is wrong.
    async fn tell(&mut self, story: Story, faults: &[(usize, Fault)]) -> (usize, Vec<String>) {
        let patient = self.patient(story);
        let place = self.world().next_free("p1");
        if story == Story::Refused {
            self.world().enter(&place, 1);
        }
        let booking = self.world().book_at("p1", &place, &patient);
        self.ward.reaper.plan(faults);
        let mut cancelled = false;
        for _ in 0..60 {
            self.ward.step().await;
            let state = self.world().entry(booking).await.map(|entry| entry.state);
            match (&state, story) {
                (Some(BookingState::Held(_)), Story::Decided) => {
                    let (number, _) = self.world().unclear_patient();
                    self.world()
                        .decide(booking, Choice::SamePerson(PatientRef::new(number.to_string())))
                        .await;
                }
                (Some(BookingState::Confirmed(_)), Story::Cancelled) if !cancelled => {
                    self.world().sim.cancel_by_patient(&account("p1"), booking).unwrap();
                    cancelled = true;
                }
                (Some(state), _)
                    if state.step() == Step::Nothing
                        && self.world().sim.inspect(|state| state.outstanding(&account("p1")).is_empty())
                        && self.world().is_published(&place) == (story == Story::Cancelled) =>
                {
                    break;
                }
                _ => {}
            }
        }
        let touches = self.ward.reaper.touches();
        self.ward.reaper.plan(&[]);
        (touches, self.what_is_wrong(story, booking, &place).await)
    }

    async fn what_is_wrong(
        &self,
        story: Story,
        booking: i64,
        place: &(String, chrono::NaiveDateTime),
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let there = self.world().in_book(booking);
        let active = there.iter().filter(|there| there.status != "cancelled").count();
        let stands = !matches!(story, Story::Refused | Story::Cancelled);
        if active != usize::from(stands) {
            wrong.push(format!("it is in the book as {there:?}"));
        }
        let state = self.world().entry(booking).await.map(|entry| entry.state);
        let ended_well = match (&state, story) {
            (Some(BookingState::Confirmed(_)), _) => stands,
            (Some(BookingState::Rejected { .. }), Story::Refused) => true,
            (Some(BookingState::Cancelled(_)), Story::Cancelled) => true,
            _ => false,
        };
        if !ended_well {
            wrong.push(format!("the ledger says {state:?}"));
        }
        let (status, kinds, told) = self.world().sim.inspect(|state| {
            let booking = state.booking(booking).unwrap();
            let kinds: Vec<_> = booking.answers.iter().map(|answer| answer.kind).collect();
            (booking.status, kinds, booking.pms_appointment_ids.clone())
        });
        let answer =
            if story == Story::Refused { BookingAnswerKind::Rejected } else { BookingAnswerKind::Confirmed };
        let expected = if stands { BookingStatus::Confirmed } else { BookingStatus::Cancelled };
        if status != expected || kinds.is_empty() || kinds.iter().any(|kind| *kind != answer) {
            wrong.push(format!("Healthengine has {status:?} by {kinds:?}"));
        }
        if stands && told != there.iter().map(|there| there.id.to_string()).collect::<Vec<_>>() {
            wrong.push(format!("Healthengine was told of {told:?}, and {there:?} stands"));
        }
        if self.world().is_published(place) != (story == Story::Cancelled) {
            wrong.push("the free times are not those of the book".into());
        }
        let patients = self.world().patients();
        if patients != self.expected_patients {
            wrong.push(format!("{patients} patients where {} should be", self.expected_patients));
        }
        wrong
    }
}

#[expect(clippy::print_stdout, reason = "the number of worlds belongs into the report of a run")]
async fn walk(system: System, story: Story, two: bool) {
    let mut trial = Trial::new(system).await;
    let (touches, wrong) = trial.tell(story, &[]).await;
    assert_eq!(wrong, [""; 0], "{story:?} goes wrong by itself");
    let worlds = if two { two_faults(touches, 60) } else { one_fault(touches) };
    let mut failed = Vec::new();
    for faults in &worlds {
        let (_, wrong) = trial.tell(story, faults).await;
        if !wrong.is_empty() {
            failed.push(format!("{faults:?}: {}", wrong.join("; ")));
            // One wrong world must not colour the next.
            trial.expected_patients = trial.world().patients();
        }
    }
    println!("{story:?}: {} worlds over {touches} touches", worlds.len());
    assert!(
        failed.is_empty(),
        "{story:?}: {} of {} went wrong:\n{}",
        failed.len(),
        worlds.len(),
        failed.join("\n")
    );
    trial.ward.world.finish().await;
}

#[tokio::test]
async fn one_fault_anywhere_with_a_known_patient() {
    walk(System::Demo, Story::Known, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_with_a_known_patient_on_openemr_mariadb() {
    walk(System::OpenEmr, Story::Known, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_with_a_known_patient_on_provet_cloud() {
    walk(System::Provet, Story::Known, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_with_a_new_patient_on_provet_cloud() {
    walk(System::Provet, Story::New, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_around_a_cancellation_on_provet_cloud() {
    walk(System::Provet, Story::Cancelled, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_with_a_new_patient() {
    walk(System::Demo, Story::New, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_while_somebody_decides() {
    walk(System::Demo, Story::Decided, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_when_the_time_is_taken() {
    walk(System::Demo, Story::Refused, false).await;
}

#[tokio::test]
async fn one_fault_anywhere_around_a_cancellation() {
    walk(System::Demo, Story::Cancelled, false).await;
}

#[tokio::test]
async fn two_faults_in_a_sample_of_worlds() {
    for story in [Story::Known, Story::New, Story::Decided] {
        walk(System::Demo, story, true).await;
    }
}
