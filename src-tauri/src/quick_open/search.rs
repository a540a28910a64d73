//! What somebody types into the search box, who is found, and whose page is opened. It draws nothing and asks nobody.

use crate::ui_error::bad_input;
use crate::view::{PatientHits, PatientQuery, PatientView, UiError, ValdPatientState, ValdPatientView};
use chrono::NaiveDate;
use domain::ids::{PatientRef, PracticeId};
use std::collections::BTreeMap;

/// More than these do not fit into the box.
pub const SHOWN: u32 = 7;

/// What is asked of the books' patients.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    number: u64,
    typed: String,
}

impl Question {
    /// As the app's own search takes it.
    pub fn query(&self) -> PatientQuery {
        PatientQuery { practice_id: None, text: self.typed.clone(), limit: SHOWN }
    }
}

/// Whose page is to be opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// The practice.
    pub practice: PracticeId,
    /// The patient.
    pub patient: PatientRef,
    /// Whether the profile is to be linked before that.
    pub link_first: bool,
    times_left: u64,
}

/// One who was found.
pub struct Line {
    /// The names, the family name first.
    pub names: Vec<String>,
    /// Birth date, number, and what else tells people apart.
    pub details: String,
    /// How far the profile is; none where the practice has no VALD account.
    pub state: Option<ValdPatientState>,
    /// What the keys do, or why they do nothing.
    pub does: String,
    /// Whether the keys are about this one.
    pub is_chosen: bool,
}

impl Line {
    /// All of it, for a screen reader.
    pub fn spoken(&self) -> String {
        let names = self.names.join(", ");
        joined(&[&names, &self.details, &self.does], ", ")
    }
}

/// The search box's state.
#[derive(Default)]
pub struct Search {
    typed: String,
    hits: Vec<PatientView>,
    /// What the hits are to; none until there was an answer.
    answered: Option<String>,
    is_reading: bool,
    at: usize,
    failure: Option<String>,
    opening: Option<String>,
    /// The number of the newest question; answers may overtake each other.
    newest: u64,
    /// Enter was pressed before the answer came; whether it was to link first.
    pressed: Option<bool>,
    /// How often the box has left the screen.
    times_left: u64,
}

impl Search {
    /// Somebody typed.
    pub fn typed(&mut self, text: &str) -> Option<Question> {
        text.trim().clone_into(&mut self.typed);
        self.failure = None;
        self.pressed = None;
        self.ask()
    }

    /// While the books' patients are being read, it is asked again from time to time.
    pub fn again(&mut self) -> Option<Question> {
        if self.is_reading { self.ask() } else { None }
    }

    fn ask(&mut self) -> Option<Question> {
        self.newest += 1;
        if self.is_enough() {
            return Some(Question { number: self.newest, typed: self.typed.clone() });
        }
        self.know_nobody();
        None
    }

    fn know_nobody(&mut self) {
        self.hits.clear();
        self.answered = None;
        self.is_reading = false;
        self.at = 0;
    }

    /// One letter finds half of a book.
    fn is_enough(&self) -> bool {
        self.typed.chars().nth(1).is_some() || self.typed.contains(|letter: char| letter.is_numeric())
    }

    /// Whether the hits are to what stands in the box now. Those of what was typed before are not opened.
    fn is_current(&self) -> bool {
        self.is_enough() && self.answered.as_ref() == Some(&self.typed)
    }

    /// Takes an answer in. Where Enter was pressed before it came and one alone was found, that one is opened; among
    /// several nobody has chosen yet.
    pub fn answer(&mut self, question: &Question, answer: Result<PatientHits, UiError>) -> Option<Opening> {
        if question.number != self.newest {
            return None;
        }
        let pressed = self.pressed.take();
        let hits = match answer {
            Ok(hits) => hits,
            Err(error) => {
                self.know_nobody();
                self.failure = Some(error.message);
                return None;
            }
        };
        // While the books are being read, the chosen patient stays it as more are found.
        let was = self.chosen().map(|patient| (patient.practice_id.clone(), patient.patient_id.clone()));
        let is_it = |patient: &PatientView| {
            was.as_ref().is_some_and(|was| (&was.0, &was.1) == (&patient.practice_id, &patient.patient_id))
        };
        self.at = hits.hits.iter().position(is_it).unwrap_or_default();
        self.hits = hits.hits;
        self.is_reading = hits.reading;
        self.answered = Some(question.typed.clone());
        pressed.filter(|_| self.hits.len() == 1).and_then(|link_first| self.enter(link_first))
    }

    fn chosen(&self) -> Option<&PatientView> {
        if self.is_current() { self.hits.get(self.at) } else { None }
    }

    /// The arrows.
    pub fn choose_next(&mut self) {
        self.at = (self.at + 1).min(self.hits.len().saturating_sub(1));
    }

    /// The arrows.
    pub fn choose_former(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// The pointer.
    pub fn choose(&mut self, at: usize) -> bool {
        let is_one = self.is_current() && at < self.hits.len();
        if is_one {
            self.at = at;
        }
        is_one
    }

    /// Enter was pressed, with Ctrl to link first.
    pub fn enter(&mut self, link_first: bool) -> Option<Opening> {
        if self.opening.is_some() {
            return None;
        }
        let Some(patient) = self.chosen() else {
            self.pressed = (self.is_enough() && !self.is_current()).then_some(link_first);
            return None;
        };
        let name = full_name(patient);
        let opening = Opening {
            practice: PracticeId::new(patient.practice_id.as_str()),
            patient: PatientRef::new(patient.patient_id.as_str()),
            link_first,
            times_left: self.times_left,
        };
        self.failure = None;
        self.opening =
            Some(if link_first { format!("Linking {name} first…") } else { format!("Opening {name}…") });
        Some(opening)
    }

    /// What came of it. Answers whether the box has done its work: whoever has brought it up again meanwhile is looking
    /// for somebody else, and still hears what failed.
    pub fn opened(&mut self, opening: &Opening, outcome: Result<(), UiError>) -> bool {
        let is_same = opening.times_left == self.times_left;
        if is_same {
            self.opening = None;
        }
        match outcome {
            Ok(()) => is_same,
            Err(error) => {
                self.failure = Some(error.message);
                false
            }
        }
    }

    /// The box leaves the screen: the next time it begins anew, and meanwhile it holds nobody's name.
    pub fn forget(&mut self) {
        *self = Self { newest: self.newest + 1, times_left: self.times_left + 1, ..Self::default() };
    }

    /// Whether it is to be asked again by itself.
    pub fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// What is going on, in words; empty where the lines say it.
    pub fn said(&self) -> &str {
        match &self.opening {
            Some(opening) => opening,
            None if self.is_reading => "Your book’s patients are being read; more may be found in a moment.",
            None if self.is_current() && self.hits.is_empty() => "Nobody fits that.",
            None => "",
        }
    }

    /// What failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What the lines were found by.
    pub fn found_by(&self) -> &str {
        self.answered.as_deref().unwrap_or_default()
    }

    /// Who was found. `practices` are named where there are several.
    pub fn lines(&self, practices: &BTreeMap<String, String>) -> Vec<Line> {
        let chosen = self.is_current().then_some(self.at);
        let first = self.hits.first().map(|patient| &patient.practice_id);
        let is_several = self.hits.iter().any(|patient| Some(&patient.practice_id) != first);
        let line = |(at, patient): (usize, &PatientView)| {
            let practice = practices.get(&patient.practice_id).filter(|_| is_several);
            line(patient, practice.map(String::as_str), Some(at) == chosen)
        };
        self.hits.iter().enumerate().map(line).collect()
    }
}

fn line(patient: &PatientView, practice: Option<&str>, is_chosen: bool) -> Line {
    let names = [&patient.family_name, &patient.given_name].into_iter().filter(|name| !name.is_empty());
    let born = patient.birth_date.as_deref().map_or_else(|| "no birth date".to_owned(), plain_date);
    let number = format!("no. {}", patient.number);
    let inactive = patient.inactive.then_some("inactive");
    let details: Vec<&str> =
        [Some(born.as_str()), Some(&number), practice, inactive].into_iter().flatten().collect();
    let does = if is_chosen { does(patient) } else { String::new() };
    let stands = stands(patient, is_chosen);
    Line {
        names: names.cloned().collect(),
        details: details.join(" · "),
        state: patient.vald.as_ref().map(|vald| vald.state),
        does: joined(&[stands, &does], " · "),
        is_chosen,
    }
}

/// What the keys do for the chosen patient.
fn does(patient: &PatientView) -> String {
    match &patient.vald {
        None => "VALD Hub is not linked".to_owned(),
        Some(vald) if vald.can_open => "Enter opens VALD Hub".to_owned(),
        Some(vald) if vald.can_link => "Ctrl Enter links first".to_owned(),
        Some(vald) if vald.state == ValdPatientState::NotAsked => not_asked(patient).to_owned(),
        Some(vald) => vald.reason.clone().unwrap_or_default(),
    }
}

/// How it stands, where the keys do not say it already.
fn stands(patient: &PatientView, is_chosen: bool) -> &'static str {
    match &patient.vald {
        None => "",
        Some(ValdPatientView { state: ValdPatientState::NotAsked, .. }) if is_chosen => "",
        Some(vald) => match vald.state {
            ValdPatientState::NotAsked => not_asked(patient),
            ValdPatientState::Linked => "linked",
            ValdPatientState::OnItsWay => "on its way",
            ValdPatientState::Withdrawn => "consent refused or withdrawn",
            ValdPatientState::NeedsPerson => "something is missing",
            ValdPatientState::Refused => "refused by VALD",
            ValdPatientState::Ended => "not kept in step any more",
        },
    }
}

fn not_asked(patient: &PatientView) -> &'static str {
    if patient.minor { "guardian not asked" } else { "not asked" }
}

fn full_name(patient: &PatientView) -> String {
    let name = joined(&[&patient.given_name, &patient.family_name], " ");
    if name.is_empty() { "this patient".to_owned() } else { name }
}

/// `9 Nov 1984` from `1984-11-09`; anything else is left as it is.
fn plain_date(date: &str) -> String {
    date.parse::<NaiveDate>().map_or_else(|_| date.to_owned(), |date| date.format("%-d %b %Y").to_string())
}

/// Those parts that say something, in one.
pub fn joined(parts: &[&str], between: &str) -> String {
    let parts = parts.iter().copied().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(between)
}

/// What is said where the search itself broke off.
pub fn broke_off() -> UiError {
    bad_input("That broke off. Try again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui_error::failure;
    use crate::view::ErrorCode;

    fn patient(id: &str, family: &str, state: ValdPatientState) -> PatientView {
        PatientView {
            practice_id: "richmond".into(),
            patient_id: id.into(),
            given_name: "Sam".into(),
            family_name: family.into(),
            birth_date: Some("1984-11-09".into()),
            number: id.into(),
            inactive: false,
            minor: false,
            vald: Some(ValdPatientView {
                state,
                reason: None,
                can_open: state == ValdPatientState::Linked,
                can_link: state == ValdPatientState::OnItsWay,
            }),
        }
    }

    fn linked(id: &str) -> PatientView {
        patient(id, "Nguyen", ValdPatientState::Linked)
    }

    fn found(hits: Vec<PatientView>) -> Result<PatientHits, UiError> {
        Ok(PatientHits { hits, reading: false, patients: 400 })
    }

    fn typed(search: &mut Search, text: &str) -> Question {
        search.typed(text).expect("enough to ask")
    }

    fn shown(search: &Search) -> Vec<(String, bool)> {
        let lines = search.lines(&BTreeMap::new());
        lines.into_iter().map(|line| (line.does, line.is_chosen)).collect()
    }

    #[test]
    fn three_letters_and_enter_open_the_page_of_the_first_who_is_found() {
        let mut search = Search::default();
        assert!(search.typed("n").is_none(), "one letter is not enough");
        let asked = typed(&mut search, " ngu ");
        assert_eq!((asked.query().text.as_str(), asked.query().limit), ("ngu", SHOWN));
        assert!(search.answer(&asked, found(vec![linked("1"), linked("2")])).is_none());
        let opening = search.enter(false).expect("somebody is chosen");
        assert_eq!((opening.patient.as_str(), opening.link_first), ("1", false));
        assert_eq!(search.said(), "Opening Sam Nguyen…");
        assert!(search.enter(false).is_none(), "one page at a time");
        assert!(search.opened(&opening, Ok(())), "the box has done its work");
        assert!(search.typed("5").is_some(), "a number may be one digit");
    }

    #[test]
    fn the_arrows_stay_within_the_list_and_ctrl_links_first() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        search.answer(&asked, found(vec![linked("1"), linked("2")]));
        search.choose_former();
        for _ in 0..3 {
            search.choose_next();
        }
        let opening = search.enter(true).expect("somebody is chosen");
        assert_eq!((opening.patient.as_str(), opening.link_first), ("2", true));
        assert_eq!(search.said(), "Linking Sam Nguyen first…");
    }

    #[test]
    fn nobody_is_opened_whom_what_was_typed_before_found() {
        let mut search = Search::default();
        let first = typed(&mut search, "ngu");
        search.answer(&first, found(vec![linked("1")]));
        let second = typed(&mut search, "nguy");
        assert!(!search.choose(0) && search.enter(false).is_none());
        assert!(search.answer(&first, found(vec![linked("1")])).is_none(), "an answer that was overtaken");
        assert_eq!(
            search.answer(&second, found(vec![linked("2")])).expect("Enter was pressed").patient.as_str(),
            "2"
        );
    }

    #[test]
    fn enter_before_the_answer_opens_one_alone_and_never_one_of_several() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        assert!(search.enter(false).is_none());
        assert!(search.answer(&asked, found(vec![linked("1"), linked("2")])).is_none());
        let asked = typed(&mut search, "nguy");
        search.enter(true);
        let asked_anew = typed(&mut search, "nguye");
        assert!(search.answer(&asked, found(vec![linked("1")])).is_none());
        assert!(
            search.answer(&asked_anew, found(vec![linked("1")])).is_none(),
            "what is typed on takes Enter back"
        );
        let asked = typed(&mut search, "nguyen");
        search.enter(true);
        assert!(search.answer(&asked, found(vec![linked("1")])).is_some_and(|opening| opening.link_first));
    }

    #[test]
    fn once_it_left_the_screen_it_holds_nobodys_name_and_begins_anew() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        search.answer(&asked, found(vec![linked("1")]));
        let opening = search.enter(true).expect("somebody is chosen");
        search.forget();
        assert_eq!((search.said(), search.found_by(), search.failure()), ("", "", None));
        assert!(shown(&search).is_empty());
        assert!(search.answer(&asked, found(vec![linked("1")])).is_none() && shown(&search).is_empty());
        let asked = typed(&mut search, "oka");
        search.answer(&asked, found(vec![linked("3")]));
        assert!(search.enter(false).is_some(), "a page that is still on its way holds nobody up");
        assert!(!search.opened(&opening, Ok(())), "the box is about somebody else by now");
        assert_eq!(search.said(), "Opening Sam Nguyen…");
        search.opened(&opening, Err(failure(ErrorCode::NotLinkedYet, "It is not linked.")));
        assert_eq!(search.failure(), Some("It is not linked."));
    }

    #[test]
    fn what_failed_is_said_until_something_else_is_typed() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        search.answer(&asked, found(vec![linked("1")]));
        let opening = search.enter(false).expect("somebody is chosen");
        assert!(!search.opened(&opening, Err(failure(ErrorCode::NotLinkedYet, "It is not linked."))));
        assert_eq!((search.failure(), search.said()), (Some("It is not linked."), ""));
        let asked = typed(&mut search, "nguy");
        assert_eq!(search.failure(), None);
        search.answer(&asked, Err(broke_off()));
        assert!(search.failure().is_some() && shown(&search).is_empty());
        let asked = typed(&mut search, "nobody");
        search.answer(&asked, found(Vec::new()));
        assert_eq!(search.said(), "Nobody fits that.");
    }

    #[test]
    fn while_the_book_is_read_it_asks_again_and_the_chosen_patient_stays_it() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        let reading = |hits| Ok(PatientHits { hits, reading: true, patients: 4 });
        search.answer(&asked, reading(vec![linked("1"), linked("2")]));
        search.choose_next();
        assert!(search.said().contains("are being read"));
        let again = search.again().expect("it asks again");
        search.answer(&again, found(vec![linked("9"), linked("1"), linked("2")]));
        assert_eq!(search.enter(false).expect("somebody is chosen").patient.as_str(), "2");
        assert!(search.again().is_none(), "all of it was read");
    }

    #[test]
    fn the_chosen_line_says_what_the_keys_do_and_the_others_how_they_stand() {
        let mut search = Search::default();
        let asked = typed(&mut search, "ngu");
        let mut child = patient("4", "Ngangu", ValdPatientState::NotAsked);
        child.minor = true;
        let mut unlinked = patient("5", "Nguyen", ValdPatientState::Linked);
        (unlinked.vald, unlinked.birth_date, unlinked.practice_id) = (None, None, "burnley".into());
        let on_its_way = patient("2", "Nguyễn", ValdPatientState::OnItsWay);
        search.answer(&asked, found(vec![linked("1"), on_its_way, child, unlinked]));
        let says = |search: &Search| shown(search).into_iter().map(|(does, _)| does).collect::<Vec<_>>();
        assert_eq!(says(&search), ["linked · Enter opens VALD Hub", "on its way", "guardian not asked", ""]);
        search.choose_next();
        assert_eq!(says(&search)[..2], ["linked", "on its way · Ctrl Enter links first"]);
        search.choose(2);
        assert_eq!(says(&search)[2], "guardian not asked");
        search.choose(3);
        assert_eq!(says(&search)[3], "VALD Hub is not linked");
        let practices = BTreeMap::from([("burnley".to_owned(), "Burnley Hand Therapy".to_owned())]);
        let lines = search.lines(&practices);
        let last = lines.last().expect("four lines");
        assert_eq!(last.details, "no birth date · no. 5 · Burnley Hand Therapy");
        assert_eq!(
            last.spoken(),
            "Nguyen, Sam, no birth date · no. 5 · Burnley Hand Therapy, VALD Hub is not linked"
        );
        assert_eq!(lines[0].details, "9 Nov 1984 · no. 1");
    }
}
