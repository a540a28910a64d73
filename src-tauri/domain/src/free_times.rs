//! The free times that a person at the desk can choose among for a booking.

use crate::booking::BookingRequest;
use crate::diary::{AppointmentType, Book, OpenTime};
use crate::ids::{AppointmentTypeRef, ResourceRef};
use crate::time::{Horizon, Meaning, Minutes, PracticeTime, PracticeZone};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// How many of the nearest free times are named for the same practitioner and day, for their next days, and for others.
const NEAREST: [usize; 3] = [4, 2, 2];

/// The free times of a book, without what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeTimes {
    /// The days that were read.
    pub horizon: Horizon,
    slot: Minutes,
    types: Vec<AppointmentType>,
    resources: Vec<ResourceRef>,
    free: BTreeMap<(ResourceRef, NaiveDate), Vec<OpenTime>>,
}

/// A time that is free for a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeTime {
    /// With whom.
    pub resource: ResourceRef,
    /// When, on the practice's wall clock.
    pub starts: PracticeTime,
    /// For what: the type that the booking asks for, or what this resource has by the same name.
    pub appointment_type: Option<AppointmentTypeRef>,
}

impl FreeTimes {
    /// The free times of a book.
    pub fn of(book: &Book) -> Self {
        Self {
            horizon: book.horizon,
            slot: book.slot,
            types: book.appointment_types.clone(),
            resources: book.resources.iter().map(|resource| resource.id.clone()).collect(),
            free: book
                .days
                .iter()
                .map(|(place, day)| (place.clone(), day.free(book.slot)))
                .filter(|(_, free)| !free.is_empty())
                .collect(),
        }
    }

    /// The free times nearest to what was asked for, a short list: the same practitioner on the same day first, then
    /// their next days, then others on the same day. Times that have passed at `now` are left out.
    pub fn nearest(&self, asked: &BookingRequest, zone: PracticeZone, now: DateTime<Utc>) -> Vec<FreeTime> {
        let day = asked.starts.day().max(zone.today(now));
        let same = |resource: &ResourceRef| asked.resource.as_ref() == Some(resource);
        let distance = |free: &FreeTime| (free.starts.0 - asked.starts.0).num_seconds().unsigned_abs();
        let nearest = |mut found: Vec<FreeTime>, at_most: usize| {
            found.sort_by_key(distance);
            found.truncate(at_most);
            found
        };
        let (own, others): (Vec<_>, Vec<_>) =
            self.on(day, asked, zone, now).into_iter().partition(|free| same(&free.resource));
        let following = day.iter_days().skip(1).take_while(|day| self.horizon.contains(*day));
        let next_days: Vec<FreeTime> = following
            .filter_map(|next| {
                let free = self.on(next, asked, zone, now).into_iter().filter(|free| same(&free.resource));
                free.min_by_key(|free| {
                    (free.starts.0.time() - asked.starts.0.time()).num_seconds().unsigned_abs()
                })
            })
            .take(NEAREST[1])
            .collect();
        let mut chosen = nearest(own, NEAREST[0]);
        chosen.extend(next_days);
        let room = NEAREST.iter().sum::<usize>() - chosen.len();
        chosen.extend(nearest(others, NEAREST[2].max(room)));
        chosen
    }

    /// Every time of a day that is free for the booking, on the book's grid, by practitioner in the practice's own order
    /// with the one who was asked for first.
    pub fn on(
        &self,
        day: NaiveDate,
        asked: &BookingRequest,
        zone: PracticeZone,
        now: DateTime<Utc>,
    ) -> Vec<FreeTime> {
        let Some(length) = asked.length.sensible_minutes() else { return Vec::new() };
        let same = |resource: &&ResourceRef| asked.resource.as_ref() == Some(*resource);
        let (own, others): (Vec<_>, Vec<_>) = self.resources.iter().partition(same);
        let mut found = Vec::new();
        for resource in own.into_iter().chain(others) {
            let Some(appointment_type) = self.type_for(asked, resource) else { continue };
            let free = self.free.get(&(resource.clone(), day)).map(Vec::as_slice).unwrap_or_default();
            for starts in self.starts(day, free, length, appointment_type.as_ref()) {
                if zone.meaning(starts) != Meaning::Never && zone.instant(starts) > now {
                    let (resource, appointment_type) = (resource.clone(), appointment_type.clone());
                    found.push(FreeTime { resource, starts, appointment_type });
                }
            }
        }
        found
    }

    /// The time, if it is free for the booking.
    pub fn at(
        &self,
        resource: &ResourceRef,
        starts: PracticeTime,
        asked: &BookingRequest,
        zone: PracticeZone,
        now: DateTime<Utc>,
    ) -> Option<FreeTime> {
        let mut that_day = self.on(starts.day(), asked, zone, now).into_iter();
        that_day.find(|free| free.resource == *resource && free.starts == starts)
    }

    /// Starts on the grid, counted from midnight, at which an appointment of this length and type fits.
    fn starts(
        &self,
        day: NaiveDate,
        free: &[OpenTime],
        length: Minutes,
        appointment_type: Option<&AppointmentTypeRef>,
    ) -> BTreeSet<PracticeTime> {
        let slot = i64::from(self.slot.0.max(1));
        let fits = |open: &&OpenTime| {
            open.only_types.is_empty() || appointment_type.is_some_and(|t| open.only_types.contains(t))
        };
        let mut starts = BTreeSet::new();
        for range in free.iter().filter(fits).map(|open| open.range) {
            let first = (i64::from(range.start.minutes()) + slot - 1) / slot * slot;
            let last = i64::from(range.end.minutes()) - i64::from(length.0);
            let mut minute = first;
            while minute <= last {
                starts.insert(PracticeTime(day.and_time(NaiveTime::MIN) + TimeDelta::minutes(minute)));
                minute += slot;
            }
        }
        starts
    }

    /// What the booking asks for, as this resource has it. None where it is not offered there; `Some(None)` where the
    /// booking asks for no type.
    fn type_for(&self, asked: &BookingRequest, resource: &ResourceRef) -> Option<Option<AppointmentTypeRef>> {
        let Some(wanted) = &asked.appointment_type else { return Some(None) };
        let offered = |kind: &&AppointmentType| kind.resource.as_ref().is_none_or(|only| only == resource);
        if let Some(kind) = self.types.iter().filter(offered).find(|kind| kind.id == *wanted) {
            return Some(Some(kind.id.clone()));
        }
        let name = &self.types.iter().find(|kind| kind.id == *wanted)?.name;
        let twin = self.types.iter().filter(offered).find(|kind| kind.name == *name)?;
        Some(Some(twin.id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::BookingKey;
    use crate::diary::{BookDay, Resource};
    use crate::ids::{ForeignBookingId, PartnerId, PracticeId};
    use crate::people::PersonDetails;
    use crate::private::Private;
    use crate::time::{DayRange, MinuteOfDay, Seconds};

    fn melbourne() -> PracticeZone {
        PracticeZone::parse("Australia/Melbourne").expect("known")
    }

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, number).expect("a day")
    }

    fn at(day_number: u32, hour: u32, minute: u32) -> PracticeTime {
        PracticeTime(day(day_number).and_hms_opt(hour, minute, 0).expect("a time"))
    }

    fn range(start: i64, end: i64) -> DayRange {
        DayRange::new(MinuteOfDay::clamped(start), MinuteOfDay::clamped(end)).expect("a range")
    }

    fn kind(id: &str, name: &str, resource: Option<&str>) -> AppointmentType {
        AppointmentType {
            id: AppointmentTypeRef::new(id),
            name: name.into(),
            length: Minutes(30),
            resource: resource.map(ResourceRef::new),
        }
    }

    /// Two practitioners, open 9:00 to 12:00 on the 20th to the 22nd, the first one busy 10:00 to 11:00 on the 20th.
    fn book() -> Book {
        let open = vec![OpenTime { range: range(540, 720), only_types: Vec::new() }];
        let resource = |id: &str| Resource {
            id: ResourceRef::new(id),
            name: id.into(),
            title: None,
            first_name: None,
            last_name: None,
            specialty: None,
            practitioner: None,
            location: None,
        };
        let horizon = Horizon { first: day(20), last: day(22) };
        let mut days = BTreeMap::new();
        for (id, date) in ["lee", "okafor"].into_iter().flat_map(|id| horizon.days().map(move |d| (id, d))) {
            let busy = if (id, date) == ("lee", day(20)) { vec![range(600, 660)] } else { Vec::new() };
            days.insert((ResourceRef::new(id), date), BookDay { open: open.clone(), busy });
        }
        Book {
            horizon,
            slot: Minutes(15),
            locations: Vec::new(),
            resources: vec![resource("okafor"), resource("lee")],
            appointment_types: vec![
                kind("std:lee", "Standard", Some("lee")),
                kind("std:okafor", "Standard", Some("okafor")),
                kind("own:lee", "Dry needling", Some("lee")),
            ],
            days,
            appointments: Vec::new(),
        }
    }

    fn asked(kind: Option<&str>) -> BookingRequest {
        BookingRequest {
            key: BookingKey {
                practice: PracticeId::new("richmond"),
                partner: PartnerId::new("healthengine"),
                booking: ForeignBookingId::new("1"),
            },
            resource: Some(ResourceRef::new("lee")),
            appointment_type: kind.map(AppointmentTypeRef::new),
            starts: at(20, 10, 30),
            length: Seconds(1800),
            patient: PersonDetails::default(),
            linked_patient: None,
            says_new_patient: false,
            note: Private::default(),
            booked_at: DateTime::UNIX_EPOCH,
            cancelled: false,
        }
    }

    fn early() -> DateTime<Utc> {
        melbourne().instant(at(20, 7, 0))
    }

    fn told(found: &[FreeTime]) -> Vec<String> {
        found.iter().map(|free| format!("{} {}", free.resource, free.starts.0.format("%d %H:%M"))).collect()
    }

    #[test]
    fn the_nearest_come_from_the_same_day_then_the_next_days_then_others() {
        let found = FreeTimes::of(&book()).nearest(&asked(Some("std:lee")), melbourne(), early());
        assert_eq!(
            told(&found),
            [
                "lee 20 11:00",
                "lee 20 11:15",
                "lee 20 09:30",
                "lee 20 11:30",
                "lee 21 10:30",
                "lee 22 10:30",
                "okafor 20 10:30",
                "okafor 20 10:15"
            ]
        );
        let types: Vec<_> = found.iter().filter_map(|free| free.appointment_type.as_ref()).collect();
        assert_eq!(types.first().map(|t| t.as_str()), Some("std:lee"));
        assert_eq!(types.last().map(|t| t.as_str()), Some("std:okafor"));
    }

    #[test]
    fn a_type_that_only_one_practitioner_has_is_offered_with_them_alone() {
        let free = FreeTimes::of(&book());
        let with = |kind: Option<&str>| {
            let found = free.on(day(20), &asked(kind), melbourne(), early());
            found.iter().filter(|free| free.resource.as_str() == "okafor").count()
        };
        assert_eq!((with(Some("own:lee")), with(Some("gone")), with(None)), (0, 0, 11));
    }

    #[test]
    fn reserved_stretches_are_for_their_types() {
        let mut book = book();
        let lee = book.days.get_mut(&(ResourceRef::new("lee"), day(21))).expect("a day");
        lee.open = vec![
            OpenTime { range: range(540, 600), only_types: vec![AppointmentTypeRef::new("std:lee")] },
            OpenTime { range: range(600, 630), only_types: Vec::new() },
            OpenTime { range: range(630, 720), only_types: vec![AppointmentTypeRef::new("own:lee")] },
        ];
        let found = FreeTimes::of(&book).on(day(21), &asked(Some("std:lee")), melbourne(), early());
        let own: Vec<_> = found.into_iter().filter(|free| free.resource.as_str() == "lee").collect();
        // 9:45 would run over two stretches, which the book refuses.
        assert_eq!(told(&own), ["lee 21 09:00", "lee 21 09:15", "lee 21 09:30", "lee 21 10:00"]);
    }

    #[test]
    fn what_has_passed_is_not_offered_and_a_time_is_checked_once_more() {
        let free = FreeTimes::of(&book());
        let now = melbourne().instant(at(20, 11, 0));
        let own = |free: &FreeTime| free.resource.as_str() == "lee";
        let found = free.on(day(20), &asked(None), melbourne(), now);
        assert_eq!(
            told(&found.into_iter().filter(own).collect::<Vec<_>>()),
            ["lee 20 11:15", "lee 20 11:30"]
        );
        let lee = ResourceRef::new("lee");
        assert!(free.at(&lee, at(20, 11, 15), &asked(None), melbourne(), now).is_some());
        for gone in [at(20, 9, 0), at(20, 10, 30), at(20, 11, 5), at(23, 9, 0)] {
            assert_eq!(free.at(&lee, gone, &asked(None), melbourne(), now), None, "{gone:?}");
        }
        let mut endless = asked(None);
        endless.length = Seconds(0);
        assert_eq!(free.on(day(20), &endless, melbourne(), now), []);
    }
}
