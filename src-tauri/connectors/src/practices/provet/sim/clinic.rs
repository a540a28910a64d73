//! A made-up practice for animals: three who can be booked, their working time, and the people who come.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use serde_json::json;

use super::state::{SimState, Table};

/// For how many days working time is entered.
const DAYS: u64 = 80;

/// Made-up names; with the endings below, no two people share both of theirs.
const GIVEN: [&str; 8] = ["Imogen", "Tadhg", "Beatrix", "Callum", "Dilnoza", "Ewan", "Freya", "Gideon"];
const FAMILY: [&str; 8] = [
    "Harrowgate",
    "Quillfeather",
    "Marchetti",
    "Nakamori",
    "Oyelaran",
    "Pemberley",
    "Rasmussen",
    "Szymanska",
];

impl SimState {
    /// Fills an empty practice. `first` is the first day of working time.
    pub fn fill(&mut self, first: NaiveDate, now: DateTime<Utc>) {
        let main =
            self.add(Table::Department, json!({"name": "Harbour Vets", "active_item_list": null}), now);
        let branch =
            self.add(Table::Department, json!({"name": "Harbour Vets North", "active_item_list": null}), now);
        let desk = self.add_user(("Rita", "Reception"), now);
        let left = self.add_user(("Otto", "Former"), now);
        self.change(Table::User, left, &json!({"is_active": false}), now);
        self.add_user(("Integration", "Clinic Companion"), now);
        let online = self.add(
            Table::ShiftType,
            json!({"name": "Consultations", "in_appointments": true, "in_online_booking": true, "is_active": true}),
            now,
        );
        let surgery = self.add(
            Table::ShiftType,
            json!({"name": "Surgery", "in_appointments": true, "in_online_booking": false, "is_active": true}),
            now,
        );
        self.add_reason("Standard consultation", 30, &[], now);
        let vets: Vec<u64> = [("Ines", "Halla"), ("Marek", "Dubois"), ("Yuna", "Castellan")]
            .into_iter()
            .map(|name| self.add_user(name, now))
            .collect();
        self.add_reason("Vaccination", 15, &[], now);
        self.add_reason("Dental check", 30, vets.get(..1).unwrap_or_default(), now);
        let old = self.add_reason("Puppy class", 60, &[], now);
        self.change(Table::Reason, old, &json!({"archived": true}), now);
        let days = first
            .iter_days()
            .take_while(|day| *day <= first.checked_add_days(Days::new(DAYS)).unwrap_or(first));
        for day in days.filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)) {
            for (at, vet) in vets.iter().enumerate() {
                let department = if at == 2 { branch } else { main };
                self.add_shift((*vet, department, online), (day, 9), (day, 13), true, now);
                self.add_shift((*vet, department, online), (day, 14), (day, 17), true, now);
            }
            if let Some(vet) = vets.first() {
                self.add_shift((*vet, main, surgery), (day, 18), (day, 20), true, now);
            }
            self.add_shift((desk, main, online), (day, 8), (day, 18), false, now);
        }
        for at in 0..FAMILY.len() * GIVEN.len() {
            let (given, family) = (GIVEN.get(at % GIVEN.len()), FAMILY.get(at / GIVEN.len()));
            let (Some(given), Some(family)) = (given, family) else { continue };
            // Each a name of their own, which none of the others contains.
            let family = format!("{family}{}", ["", "son", "berg", "well"].get(at % 4).unwrap_or(&""));
            let email = format!("{}.{}{at}@example.com", given.to_lowercase(), family.to_lowercase());
            let details = json!({
                "firstname": given, "lastname": family, "email": email,
                "street_address": format!("{} Quay Street", at + 1), "city": "Richmond", "zip_code": "3121",
            });
            let phone = format!("+61491570{at:03}");
            let client = self.register(&details, &[&phone], now);
            for animal in 0..at % 3 {
                self.register_animal(client, ["Pixel", "Biscuit"].get(animal).unwrap_or(&"Pixel"), now);
            }
        }
    }

    /// Adds somebody who works there.
    pub fn add_user(&mut self, (first, last): (&str, &str), now: DateTime<Utc>) -> u64 {
        let email = format!("{}@example.com", first.to_lowercase());
        let fields = json!({
            "first_name": first, "last_name": last, "email": email, "is_active": true, "groups": [],
        });
        self.add(Table::User, fields, now)
    }

    /// Adds what an appointment can be for; nobody proficient means everybody.
    pub fn add_reason(&mut self, name: &str, minutes: u32, staff: &[u64], now: DateTime<Utc>) -> u64 {
        let staff: Vec<String> = staff.iter().map(|user| self.address(Table::User, *user)).collect();
        let fields = json!({
            "name": name, "duration": minutes, "proficient_staff": staff, "available_online": true, "archived": false,
        });
        self.add(Table::Reason, fields, now)
    }

    /// Adds working time, on the hour by the practice's clock.
    pub fn add_shift(
        &mut self,
        (user, department, kind): (u64, u64, u64),
        from: (NaiveDate, u32),
        to: (NaiveDate, u32),
        web: bool,
        now: DateTime<Utc>,
    ) -> u64 {
        let zone = self.config.time_zone;
        let written = |(day, hour): (NaiveDate, u32), id| {
            let at = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default());
            let at = zone.from_local_datetime(&at).latest().map(|at| at.with_timezone(&Utc));
            Self::written(at.unwrap_or(now), id)
        };
        let fields = json!({
            "start": written(from, u64::from(from.1)), "end": written(to, u64::from(to.1)),
            "user": self.address(Table::User, user), "department": self.address(Table::Department, department),
            "shift_type": self.address(Table::ShiftType, kind), "ward": null, "team": null, "web": web, "note": "",
            "is_slot": false,
        });
        self.add(Table::Shift, fields, now)
    }
}
