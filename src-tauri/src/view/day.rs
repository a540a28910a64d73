//! One day of the book beside what Healthengine shows, and the story behind one of its times.
//!
//! Times of day are practice-local, `09:15`; midnight at the day's end is `24:00`.

use super::{BookingState, VisitView};
use serde::Serialize;
use specta::Type;

/// One day of a practice: per practitioner the book, and what Healthengine last accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DayBookView {
    /// The practice.
    pub practice_id: String,
    /// Practice-local date.
    pub day: String,
    /// When the book was read whole; None if that has not happened since the program started. It is read again when
    /// anything in it changes.
    pub read_at: Option<String>,
    /// The grid on which bookings may start.
    pub slot_minutes: u32,
    /// Each practitioner, room or device that can be booked.
    pub practitioners: Vec<DayColumnsView>,
}

/// One practitioner's day.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DayColumnsView {
    /// The practice system's id.
    pub id: String,
    /// The name that patients see.
    pub name: String,
    /// The book: working time and what stands in it, in order. What lies between is no working time.
    pub book: Vec<StretchView>,
    /// What Healthengine last accepted, in order. None where that is not known: nothing was accepted yet, or everything
    /// is about to be sent again.
    pub offered: Option<Vec<StretchView>>,
    /// When that was accepted, or, if `in_doubt`, when something newer was sent.
    pub accepted_at: Option<String>,
    /// Whether something newer was sent whose answer is not known, or that was refused.
    pub in_doubt: bool,
    /// Where the two differ.
    pub differences: Vec<DayDifferenceView>,
    /// Since when a difference has been known; None where nothing has to be sent.
    pub differs_since: Option<String>,
    /// Bookings of Healthengine that begin on this day, whatever became of them.
    pub bookings: Vec<DayBookingView>,
}

/// A stretch of the day.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct StretchView {
    /// From.
    pub start: String,
    /// To.
    pub end: String,
    /// What it is.
    pub kind: StretchKind,
    /// The names of the appointment types that it is reserved for; empty for any.
    pub only_types: Vec<String>,
}

/// What a stretch of the day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum StretchKind {
    /// It can be booked.
    Free,
    /// Something stands there, or a booking is on its way to it.
    Taken,
    /// Free, and shorter than the shortest appointment: it is not offered.
    TooShort,
}

/// A stretch in which Healthengine does not show what the book shows.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DayDifferenceView {
    /// From.
    pub start: String,
    /// To.
    pub end: String,
    /// How.
    pub change: SlotChange,
}

/// How a time changed in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum SlotChange {
    /// It became free.
    Freed,
    /// It is not free any more.
    Taken,
    /// It is free for other appointment types.
    OtherTypes,
}

/// A booking on the day.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct DayBookingView {
    /// Healthengine's number.
    pub booking_id: String,
    /// None after the retention time, or if the booking has none.
    pub patient_name: Option<String>,
    /// How far it is.
    pub state: BookingState,
    /// From.
    pub start: String,
    /// To.
    pub end: String,
}

/// What happened to a time of the day, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct SlotStoryView {
    /// The lines; empty where nothing was noted.
    pub entries: Vec<StoryEntryView>,
    /// Whose appointments the book has there, as far as it was read: those of the next days, and of patients who are
    /// known.
    pub visits: Vec<VisitView>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct StoryEntryView {
    /// When.
    pub at: String,
    /// What.
    pub what: StoryLine,
}

/// What can happen to a time of the day.
#[derive(Clone, Debug, PartialEq, Serialize, Type)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StoryLine {
    /// A change was noticed in the book.
    Changed {
        /// From.
        start: String,
        /// To.
        end: String,
        /// How.
        change: SlotChange,
    },
    /// The day's free times were sent to Healthengine with that change.
    Sent,
    /// Healthengine accepted them.
    Accepted,
    /// Healthengine accepted the day as a whole, this time as it had been: for the first time, at the daily repetition,
    /// because somebody asked for it, or because another time of the day had changed.
    DayAccepted,
    /// Free times were sent, and Healthengine's answer is not known or was a refusal.
    Unanswered,
    /// Something happened to a booking for this time.
    Booking {
        /// Healthengine's number.
        booking_id: String,
        /// A sentence that names nobody.
        sentence: String,
    },
}
