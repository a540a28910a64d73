//! A booking's state as columns, and the names of plans, refusals and events in the store.

use crate::columns::{Columns, Fault, Unreadable, WALL_CLOCK};
use chrono::NaiveDateTime;
use domain::booking::{BookingEvent, BookingState, Held, Inserted, Undoing};
use domain::failure::Refusal;
use domain::ids::{AppointmentRef, PatientRef, ResourceRef};
use domain::people::PatientPlan;
use domain::time::PracticeTime;
use rusqlite::Row;

/// The columns that a state fills; what it does not carry is NULL.
#[derive(Default)]
pub(crate) struct StateColumns {
    pub state: &'static str,
    pub tries: Option<u32>,
    pub plan: Option<&'static str>,
    pub plan_patient: Option<String>,
    pub appointment: Option<String>,
    pub patient: Option<String>,
    pub refusal: Option<&'static str>,
    pub why: Option<String>,
    pub tell_patient: Option<bool>,
    pub by_hand: Option<bool>,
    pub undoing: Option<&'static str>,
    pub moved_resource: Option<String>,
    pub moved_starts: Option<String>,
}

impl StateColumns {
    pub(crate) fn of(state: &BookingState) -> Self {
        match state {
            BookingState::Received { tries } => {
                Self { state: "received", tries: Some(*tries), ..Self::default() }
            }
            BookingState::Inserting { tries, plan } => {
                Self { state: "inserting", tries: Some(*tries), ..Self::planned(plan) }
            }
            BookingState::Held(appointment) => {
                Self { state: "held", appointment: Some(appointment.to_string()), ..Self::default() }
            }
            BookingState::Naming { appointment, plan, instead_of } => Self {
                state: "naming",
                appointment: Some(appointment.to_string()),
                patient: instead_of.as_ref().map(ToString::to_string),
                ..Self::planned(plan)
            },
            BookingState::Entering => Self { state: "entering", ..Self::default() },
            BookingState::Inserted(inserted) => Self { state: "inserted", ..Self::standing(inserted) },
            BookingState::Withdrawing(why) => Self { state: "withdrawing", ..Self::refused(why) },
            BookingState::Unplaced(why) => Self { state: "unplaced", ..Self::refused(why) },
            BookingState::Refused { why, tell_patient } => {
                Self { state: "refused", tell_patient: Some(*tell_patient), ..Self::refused(why) }
            }
            BookingState::Stuck { why } => Self { state: "stuck", why: Some(why.clone()), ..Self::default() },
            BookingState::Confirmed(inserted) => Self { state: "confirmed", ..Self::standing(inserted) },
            BookingState::Rejected { why, tell_patient } => {
                Self { state: "rejected", tell_patient: Some(*tell_patient), ..Self::refused(why) }
            }
            BookingState::Cancelling { inserted, by_hand } => {
                Self { state: "cancelling", by_hand: Some(*by_hand), ..Self::standing(inserted) }
            }
            BookingState::Cancelled(inserted) => Self { state: "cancelled", ..Self::standing(inserted) },
            BookingState::Undone { inserted, how } => {
                Self { state: "undone", ..Self::standing(inserted) }.undone(how)
            }
            BookingState::Ended { inserted, how: Undoing::DidNotAttend } => {
                Self { state: "not_attended", ..Self::standing(inserted) }
            }
            BookingState::Ended { inserted, how } => {
                Self { state: "ended", ..Self::standing(inserted) }.undone(how)
            }
            BookingState::Closed => Self { state: "closed", ..Self::default() },
        }
    }

    fn undone(self, how: &Undoing) -> Self {
        let undoing = |name| Self { undoing: Some(name), ..self };
        match how {
            Undoing::Cancelled => undoing("cancelled"),
            Undoing::Deleted => undoing("deleted"),
            Undoing::DidNotAttend => undoing("did_not_attend"),
            Undoing::Moved { resource, starts } => Self {
                moved_resource: Some(resource.to_string()),
                moved_starts: Some(starts.0.format(WALL_CLOCK).to_string()),
                ..undoing("moved")
            },
        }
    }

    fn planned(plan: &PatientPlan) -> Self {
        let (plan, plan_patient) = plan_columns(plan);
        Self { plan: Some(plan), plan_patient, ..Self::default() }
    }

    fn standing(inserted: &Inserted) -> Self {
        Self {
            appointment: Some(inserted.appointment.to_string()),
            patient: Some(inserted.patient.to_string()),
            ..Self::default()
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let (name, words) = refusal_columns(refusal);
        Self { refusal: Some(name), why: words.map(str::to_owned), ..Self::default() }
    }
}

pub(crate) fn read_state(row: &Row<'_>) -> Result<BookingState, Fault> {
    let tries = || row.value::<u32>("tries");
    let plan = || Ok::<_, Fault>(read_plan(row, "plan", "plan_patient")?.ok_or(Unreadable("plan"))?);
    let appointment = || Ok::<_, Fault>(AppointmentRef::new(row.text("appointment")?));
    let inserted = || {
        Ok::<_, Fault>(Inserted {
            appointment: appointment()?,
            patient: PatientRef::new(row.text("patient")?),
        })
    };
    let tell_patient = || row.value::<bool>("tell_patient");
    Ok(match row.text("state")?.as_str() {
        "received" => BookingState::Received { tries: tries()? },
        "inserting" => BookingState::Inserting { tries: tries()?, plan: plan()? },
        "held" => BookingState::Held(appointment()?),
        "naming" => BookingState::Naming {
            appointment: appointment()?,
            plan: plan()?,
            instead_of: row.value::<Option<String>>("patient")?.map(PatientRef::new),
        },
        "entering" => BookingState::Entering,
        "inserted" => BookingState::Inserted(inserted()?),
        "withdrawing" => BookingState::Withdrawing(read_refusal(row)?),
        "unplaced" => BookingState::Unplaced(read_refusal(row)?),
        "refused" => BookingState::Refused { why: read_refusal(row)?, tell_patient: tell_patient()? },
        "stuck" => BookingState::Stuck { why: row.text("why")? },
        "confirmed" => BookingState::Confirmed(inserted()?),
        "rejected" => BookingState::Rejected { why: read_refusal(row)?, tell_patient: tell_patient()? },
        "cancelling" => BookingState::Cancelling { inserted: inserted()?, by_hand: row.value("by_hand")? },
        "cancelled" => BookingState::Cancelled(inserted()?),
        "undone" => BookingState::Undone { inserted: inserted()?, how: read_undoing(row)? },
        "ended" => BookingState::Ended { inserted: inserted()?, how: read_undoing(row)? },
        "not_attended" => BookingState::Ended { inserted: inserted()?, how: Undoing::DidNotAttend },
        "closed" => BookingState::Closed,
        _ => return Err(Unreadable("state").into()),
    })
}

fn read_undoing(row: &Row<'_>) -> Result<Undoing, Fault> {
    Ok(match row.text("undoing")?.as_str() {
        "cancelled" => Undoing::Cancelled,
        "deleted" => Undoing::Deleted,
        "did_not_attend" => Undoing::DidNotAttend,
        "moved" => Undoing::Moved {
            resource: ResourceRef::new(row.text("moved_resource")?),
            starts: PracticeTime(
                row.parsed("moved_starts", |text| NaiveDateTime::parse_from_str(text, WALL_CLOCK).ok())?,
            ),
        },
        _ => return Err(Unreadable("undoing").into()),
    })
}

pub(crate) fn plan_columns(plan: &PatientPlan) -> (&'static str, Option<String>) {
    match plan {
        PatientPlan::Existing(patient) => ("existing", Some(patient.to_string())),
        PatientPlan::New { possible_duplicate_of } => {
            ("new", possible_duplicate_of.as_ref().map(ToString::to_string))
        }
        PatientPlan::Undecided => ("undecided", None),
    }
}

pub(crate) fn read_plan(
    row: &Row<'_>,
    plan: &'static str,
    patient: &'static str,
) -> Result<Option<PatientPlan>, Fault> {
    let Some(name) = row.value::<Option<String>>(plan)? else { return Ok(None) };
    let record = row.value::<Option<String>>(patient)?.map(PatientRef::new);
    match (name.as_str(), record) {
        ("existing", Some(record)) => Ok(Some(PatientPlan::Existing(record))),
        ("new", possible_duplicate_of) => Ok(Some(PatientPlan::New { possible_duplicate_of })),
        ("undecided", None) => Ok(Some(PatientPlan::Undecided)),
        _ => Err(Unreadable(plan).into()),
    }
}

fn refusal_columns(refusal: &Refusal) -> (&'static str, Option<&str>) {
    match refusal {
        Refusal::SlotTaken => ("slot_taken", None),
        Refusal::OutsideHours => ("outside_hours", None),
        Refusal::ResourceMissing => ("resource_missing", None),
        Refusal::ResourceUnknown => ("resource_unknown", None),
        Refusal::TypeUnknown => ("type_unknown", None),
        Refusal::TimeDoesNotExist => ("time_does_not_exist", None),
        Refusal::TimeHasPassed => ("time_has_passed", None),
        Refusal::BadLength => ("bad_length", None),
        Refusal::NameMissing => ("name_missing", None),
        Refusal::Unreadable(what) => ("unreadable", Some(what)),
        Refusal::PatientCancelled => ("patient_cancelled", None),
        Refusal::DeclinedAtDesk => ("declined_at_desk", None),
        Refusal::NobodyDecided => ("nobody_decided", None),
        Refusal::BookingUnknown => ("booking_unknown", None),
        Refusal::UnknownToPartner => ("unknown_to_partner", None),
        Refusal::AlreadyBegun => ("already_begun", None),
        Refusal::Series => ("series", None),
        Refusal::ReadOnly => ("read_only", None),
        Refusal::Other(words) => ("other", Some(words)),
    }
}

fn read_refusal(row: &Row<'_>) -> Result<Refusal, Fault> {
    Ok(match row.text("refusal")?.as_str() {
        "slot_taken" => Refusal::SlotTaken,
        "outside_hours" => Refusal::OutsideHours,
        "resource_missing" => Refusal::ResourceMissing,
        "resource_unknown" => Refusal::ResourceUnknown,
        "type_unknown" => Refusal::TypeUnknown,
        "time_does_not_exist" => Refusal::TimeDoesNotExist,
        "time_has_passed" => Refusal::TimeHasPassed,
        "bad_length" => Refusal::BadLength,
        "name_missing" => Refusal::NameMissing,
        "unreadable" => Refusal::Unreadable(row.text("why")?),
        "patient_cancelled" => Refusal::PatientCancelled,
        "declined_at_desk" => Refusal::DeclinedAtDesk,
        "nobody_decided" => Refusal::NobodyDecided,
        "booking_unknown" => Refusal::BookingUnknown,
        "unknown_to_partner" => Refusal::UnknownToPartner,
        "already_begun" => Refusal::AlreadyBegun,
        "series" => Refusal::Series,
        "read_only" => Refusal::ReadOnly,
        "other" => Refusal::Other(row.text("why")?),
        _ => return Err(Unreadable("refusal").into()),
    })
}

/// The event's name in the history.
pub(crate) fn event_kind(event: &BookingEvent) -> &'static str {
    match event {
        BookingEvent::InsertBegan(_) => "insert_began",
        BookingEvent::FoundInPractice(Held { patient: Some(_), .. }) => "found",
        BookingEvent::FoundInPractice(Held { patient: None, .. }) => "held",
        BookingEvent::AbsentFromPractice => "absent",
        BookingEvent::Refused(_) => "refused",
        BookingEvent::RefusedLate(_) => "refused_late",
        BookingEvent::HandedToDesk => "handed_to_desk",
        BookingEvent::PatientDecided(_) => "patient_decided",
        BookingEvent::PatientStays(_) => "patient_stays",
        BookingEvent::CalledOff(_) => "called_off",
        BookingEvent::TimeRanOut => "time_ran_out",
        BookingEvent::PartnerKnows => "partner_knows",
        BookingEvent::GaveUp(_) => "gave_up",
        BookingEvent::TriedAgain => "tried_again",
        BookingEvent::PlacedByPerson(_) => "placed",
        BookingEvent::PatientTold => "patient_told",
        BookingEvent::SeenTo => "seen_to",
        BookingEvent::CancelAsked { .. } => "cancel_asked",
        BookingEvent::Cancelled => "cancelled",
        BookingEvent::CancelRefused(_) => "cancel_refused",
        BookingEvent::UndoneInPractice(_) => "undone_in_practice",
        BookingEvent::Relinked(_) => "relinked",
        BookingEvent::PatientCancelledToo => "patient_cancelled_too",
        BookingEvent::NotTaken(_) => "not_taken",
    }
}

/// Whether a person at the desk may have said this, perhaps while the engine slept.
pub(crate) fn may_come_from_a_person(event: &BookingEvent) -> bool {
    matches!(
        event,
        BookingEvent::PatientDecided(_)
            | BookingEvent::CalledOff(_)
            | BookingEvent::HandedToDesk
            | BookingEvent::TriedAgain
            | BookingEvent::PlacedByPerson(_)
            | BookingEvent::PatientTold
            | BookingEvent::SeenTo
    )
}
