//! The search box on Linux: a window of GTK's, which is loaded anyway.
//!
//! A web view takes at least 70 MB in processes of its own while it is hidden, and a second to be loaded; this takes 3 MB
//! and is there at once, so that it need not be kept ready. What it does is in `search.rs`, as in `QuickOpen.svelte`.

use super::search::{Line, Opening, Question, Search, broke_off, joined};
use super::{DOWN, beside};
use crate::desktop::Desk;
use crate::view::ValdPatientState;
use crate::{hub_page, patients, windows};
use deunicode::deunicode_char;
use domain::ports::store::SettingsBook;
use gtk::gdk::keys::constants as key;
use gtk::gdk::{self, ModifierType};
use gtk::glib::{self, ControlFlow, Propagation};
use gtk::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tauri::{AppHandle, Manager};

const WIDTH: i32 = 640;
/// The room that a full box needs; it begins where that fits.
const HEIGHT: i32 = 480;
/// Until it is looked again while the books' patients are still being read.
const READING: Duration = Duration::from_secs(1);

/// The colours are the desktop's, with our own for what is chosen and how it stands.
const STYLE: &[u8] = br"
#quick { background-color: @theme_base_color; color: @theme_text_color; border: 1px solid mix(@theme_base_color, @theme_text_color, 0.2); }
#quick entry { font-size: 125%; padding: 8px 12px; }
#quick list, #quick row { background-color: transparent; }
#quick row { padding: 8px 12px; border-radius: 6px; color: @theme_text_color; }
#quick row.chosen { background-color: mix(@theme_base_color, #0b6e72, 0.16); }
#quick .quiet { color: mix(@theme_text_color, @theme_base_color, 0.3); }
#quick .small { font-size: 88%; }
#quick .ok { color: mix(@theme_text_color, #1d9a56, 0.7); }
#quick .wait { color: mix(@theme_text_color, #c08a10, 0.7); }
#quick .stop { color: mix(@theme_text_color, #e0453a, 0.7); }
";

thread_local! {
    /// The box, once it was asked for. It lives on the main thread, like everything of GTK's.
    static BOX: RefCell<Option<Rc<SearchBox>>> = const { RefCell::new(None) };
}

struct SearchBox {
    app: AppHandle,
    desk: Arc<Desk>,
    window: gtk::Window,
    entry: gtk::Entry,
    said: gtk::Label,
    failure: gtk::Label,
    list: gtk::ListBox,
    search: RefCell<Search>,
    /// By id, to tell patients of several apart.
    practices: RefCell<BTreeMap<String, String>>,
    /// A letter is being put together, so that Enter ends it and opens nothing.
    is_composing: Cell<bool>,
    /// A key that is held down repeats itself; one page is enough.
    enter_is_down: Cell<bool>,
}

/// Brings the box up on the screen with the pointer.
pub fn show(app: &AppHandle) {
    let desk = app.state::<Arc<Desk>>().inner().clone();
    let (handle, asked_at) = (app.clone(), desk.now());
    let asked = app.run_on_main_thread(move || {
        let shown = BOX.with(|shown| {
            shown.borrow_mut().get_or_insert_with(|| SearchBox::build(handle, desk.clone())).clone()
        });
        shown.present();
        // When a second frame begins, the first is on the screen.
        let is_first = Cell::new(true);
        shown.window.add_tick_callback(move |_, _| {
            if is_first.replace(false) {
                return ControlFlow::Continue;
            }
            let took = (desk.now() - asked_at).num_milliseconds();
            tracing::debug!(took, "The search box is on the screen.");
            ControlFlow::Break
        });
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "The main loop has ended.");
    }
}

impl SearchBox {
    fn build(app: AppHandle, desk: Arc<Desk>) -> Rc<Self> {
        let window = gtk::Window::new(gtk::WindowType::Toplevel);
        window.set_widget_name("quick");
        window.set_title("Open in VALD Hub");
        window.set_decorated(false);
        window.set_resizable(false);
        window.set_keep_above(true);
        window.set_skip_taskbar_hint(true);
        window.set_skip_pager_hint(true);
        window.set_type_hint(gdk::WindowTypeHint::Dialog);
        window.stick();
        dress(&window);

        let entry = gtk::Entry::new();
        entry.set_placeholder_text(Some("Name, birth date or number"));
        name(&entry, "Find a patient and open VALD Hub");
        let said = text_label(&["quiet"]);
        let failure = text_label(&["stop"]);
        let list = gtk::ListBox::new();
        list.set_selection_mode(gtk::SelectionMode::None);
        name(&list, "Patients");

        let parts = gtk::Box::new(gtk::Orientation::Vertical, 8);
        parts.set_border_width(12);
        parts.set_size_request(WIDTH, -1);
        let widgets: [&gtk::Widget; 4] =
            [entry.upcast_ref(), said.upcast_ref(), failure.upcast_ref(), list.upcast_ref()];
        for widget in widgets {
            parts.add(widget);
        }
        window.add(&parts);
        parts.show();
        entry.show();

        let shown = Rc::new(Self {
            app,
            desk,
            window,
            entry,
            said,
            failure,
            list,
            search: RefCell::default(),
            practices: RefCell::default(),
            is_composing: Cell::default(),
            enter_is_down: Cell::default(),
        });
        shown.listen();
        shown
    }

    fn listen(self: &Rc<Self>) {
        let shown = self.clone();
        self.entry.connect_changed(move |entry| {
            let question = shown.search.borrow_mut().typed(&entry.text());
            shown.ask(question);
        });
        let shown = self.clone();
        self.entry.connect_preedit_changed(move |_, letter| shown.is_composing.set(!letter.is_empty()));
        let shown = self.clone();
        self.entry.connect_key_press_event(move |_, event| shown.key(event));
        let shown = self.clone();
        self.entry.connect_key_release_event(move |_, event| {
            if is_enter(event) {
                shown.enter_is_down.set(false);
            }
            Propagation::Proceed
        });
        let shown = self.clone();
        self.list.connect_button_release_event(move |_, event| {
            shown.pressed(event);
            Propagation::Stop
        });
        let shown = self.clone();
        self.window.connect_focus_out_event(move |_, _| {
            shown.close();
            Propagation::Proceed
        });
        let shown = self.clone();
        self.window.connect_delete_event(move |_, _| {
            shown.close();
            Propagation::Stop
        });
    }

    fn present(self: &Rc<Self>) {
        self.desk.quick_open().state().is_shown = true;
        self.place();
        self.draw();
        self.window.show();
        self.entry.grab_focus();
        self.window.present_with_time(pressed_at(&self.window));
        self.learn_practices();
    }

    /// Takes the box off the screen.
    fn close(&self) {
        if !self.window.is_visible() {
            return;
        }
        self.window.hide();
        self.search.borrow_mut().forget();
        self.is_composing.set(false);
        self.enter_is_down.set(false);
        self.entry.set_text("");
        self.draw();
        self.desk.quick_open().state().is_shown = false;
        windows::left(&self.app);
    }

    fn key(self: &Rc<Self>, event: &gdk::EventKey) -> Propagation {
        // Enter that ends the writing of a letter opens nothing.
        if self.is_composing.get() {
            return Propagation::Proceed;
        }
        let pressed = event.keyval();
        if pressed == key::Escape {
            self.close();
        } else if is_enter(event) {
            if !self.enter_is_down.replace(true) {
                self.enter(links_first(event.state()));
            }
        } else if pressed == key::Down || pressed == key::KP_Down {
            self.search.borrow_mut().choose_next();
            self.draw();
        } else if pressed == key::Up || pressed == key::KP_Up {
            self.search.borrow_mut().choose_former();
            self.draw();
        } else {
            return Propagation::Proceed;
        }
        Propagation::Stop
    }

    fn pressed(self: &Rc<Self>, event: &gdk::EventButton) {
        let (_, down) = event.position();
        #[expect(clippy::cast_possible_truncation, reason = "a list is some hundred points high")]
        let row = self.list.row_at_y(down as i32);
        let at = row.and_then(|row| usize::try_from(row.index()).ok());
        let is_one = at.is_some_and(|at| self.search.borrow_mut().choose(at));
        if is_one {
            self.enter(links_first(event.state()));
        }
    }

    fn enter(self: &Rc<Self>, link_first: bool) {
        let opening = self.search.borrow_mut().enter(link_first);
        self.draw();
        self.open(opening);
    }

    fn ask(self: &Rc<Self>, question: Option<Question>) {
        self.draw();
        let Some(question) = question else { return };
        let (shown, desk, query) = (self.clone(), self.desk.clone(), question.query());
        let asked = tauri::async_runtime::spawn(async move { patients::find(&desk, &query).await });
        glib::MainContext::default().spawn_local(async move {
            let answer = asked.await.unwrap_or_else(|_| Err(broke_off()));
            let opening = shown.search.borrow_mut().answer(&question, answer);
            shown.draw();
            shown.open(opening);
            shown.ask_again_soon();
        });
    }

    fn ask_again_soon(self: &Rc<Self>) {
        if !self.search.borrow().is_reading() {
            return;
        }
        let shown = self.clone();
        glib::timeout_add_local(READING, move || {
            let question = shown.search.borrow_mut().again();
            shown.ask(question);
            ControlFlow::Break
        });
    }

    fn open(self: &Rc<Self>, opening: Option<Opening>) {
        let Some(opening) = opening else { return };
        let (shown, desk, wanted) = (self.clone(), self.desk.clone(), opening.clone());
        let opened = tauri::async_runtime::spawn(async move {
            hub_page::open(&desk, &wanted.practice, &wanted.patient, wanted.link_first).await
        });
        glib::MainContext::default().spawn_local(async move {
            let outcome = opened.await.unwrap_or_else(|_| Err(broke_off()));
            let is_done = shown.search.borrow_mut().opened(&opening, outcome);
            shown.draw();
            if is_done {
                shown.close();
            }
        });
    }

    fn learn_practices(self: &Rc<Self>) {
        let Ok(running) = self.desk.running() else { return };
        let (shown, store) = (self.clone(), running.store());
        let asked = tauri::async_runtime::spawn(async move { store.practices().await });
        glib::MainContext::default().spawn_local(async move {
            if let Ok(Ok(practices)) = asked.await {
                let names = practices.into_iter().map(|each| (each.id.to_string(), each.name));
                *shown.practices.borrow_mut() = names.collect();
            }
        });
    }

    /// Shows what is known now.
    fn draw(&self) {
        let search = self.search.borrow();
        say(&self.said, search.said());
        say(&self.failure, search.failure().unwrap_or_default());
        for row in self.list.children() {
            self.list.remove(&row);
        }
        let lines = search.lines(&self.practices.borrow());
        for line in &lines {
            self.list.add(&row(line, search.found_by()));
        }
        self.list.set_visible(!lines.is_empty());
        // What has the focus is the entry; so the entry says whom the keys are about.
        let chosen = lines.iter().find(|line| line.is_chosen).map(Line::spoken);
        let spoken =
            [search.failure().unwrap_or_default(), search.said(), chosen.as_deref().unwrap_or_default()];
        if let Some(accessible) = self.entry.accessible() {
            accessible.set_description(&joined(&spoken, " "));
        }
    }

    /// In the middle of the screen with the pointer, a little above its half. A Wayland session places it itself.
    fn place(&self) {
        let Some(display) = gdk::Display::default() else { return };
        let pointer = display.default_seat().and_then(|seat| seat.pointer());
        let under = pointer.and_then(|pointer| {
            let (_, left, top) = pointer.position();
            display.monitor_at_point(left, top)
        });
        let Some(screen) = under.or_else(|| display.primary_monitor()).map(|monitor| monitor.geometry())
        else {
            return;
        };
        let left = screen.x() + beside(screen.width(), WIDTH, 0.5);
        let top = screen.y() + beside(screen.height(), HEIGHT, DOWN);
        self.window.move_(left, top);
    }
}

/// When the keys were pressed, for window managers that give the focus to nobody who does not say so.
fn pressed_at(window: &gtk::Window) -> u32 {
    let window = window.window().and_then(|window| window.downcast::<gdkx11::X11Window>().ok());
    window.map_or(gdk::ffi::GDK_CURRENT_TIME as u32, |window| gdkx11::functions::x11_get_server_time(&window))
}

fn is_enter(event: &gdk::EventKey) -> bool {
    [key::Return, key::KP_Enter, key::ISO_Enter].contains(&event.keyval())
}

fn links_first(held: ModifierType) -> bool {
    held.intersects(ModifierType::CONTROL_MASK | ModifierType::SUPER_MASK | ModifierType::META_MASK)
}

/// What a screen reader calls it.
fn name(widget: &impl IsA<gtk::Widget>, name: &str) {
    if let Some(accessible) = widget.accessible() {
        accessible.set_name(name);
    }
}

fn dress(window: &gtk::Window) {
    let style = gtk::CssProvider::new();
    if let Err(error) = style.load_from_data(STYLE) {
        tracing::warn!(%error, "The search box is shown without its colours.");
    }
    if let Some(screen) = gtk::prelude::WidgetExt::screen(window) {
        gtk::StyleContext::add_provider_for_screen(&screen, &style, gtk::STYLE_PROVIDER_PRIORITY_APPLICATION);
    }
}

fn text_label(classes: &[&str]) -> gtk::Label {
    let label = gtk::Label::new(None);
    label.set_xalign(0.0);
    label.set_line_wrap(true);
    label.set_max_width_chars(60);
    for class in classes {
        label.style_context().add_class(class);
    }
    label
}

fn say(label: &gtk::Label, words: &str) {
    label.set_text(words);
    label.set_visible(!words.is_empty());
}

fn row(line: &Line, typed: &str) -> gtk::ListBoxRow {
    let row = gtk::ListBoxRow::new();
    row.set_can_focus(false);
    if line.is_chosen {
        row.style_context().add_class("chosen");
    }
    name(&row, &line.spoken());
    let parts = gtk::Box::new(gtk::Orientation::Horizontal, 12);
    let (sign, colour) = sign(line.state);
    let icon = text_label(&[colour]);
    icon.set_text(sign);
    icon.set_width_chars(2);
    parts.add(&icon);
    let who = text_label(&[]);
    who.set_line_wrap(false);
    who.set_ellipsize(gtk::pango::EllipsizeMode::End);
    who.set_hexpand(true);
    who.set_markup(&markup(line, typed));
    parts.add(&who);
    let does = text_label(&["quiet", "small"]);
    does.set_xalign(1.0);
    does.set_max_width_chars(32);
    does.set_text(&line.does);
    parts.add(&does);
    row.add(&parts);
    row.show_all();
    row
}

fn sign(state: Option<ValdPatientState>) -> (&'static str, &'static str) {
    match state {
        Some(ValdPatientState::Linked) => ("✓", "ok"),
        Some(ValdPatientState::OnItsWay) => ("…", "wait"),
        Some(ValdPatientState::NotAsked) => ("?", "quiet"),
        Some(ValdPatientState::NeedsPerson) => ("!", "wait"),
        Some(ValdPatientState::Refused) => ("!", "stop"),
        Some(ValdPatientState::Withdrawn | ValdPatientState::Ended) | None => ("–", "quiet"),
    }
}

/// Each name is set apart by its own direction of writing, so that the numbers after it keep their order.
fn markup(line: &Line, typed: &str) -> String {
    let names: Vec<String> =
        line.names.iter().map(|name| format!("\u{2068}{}\u{2069}", marked(name, typed))).collect();
    let names = if names.is_empty() { "No name".to_owned() } else { names.join(", ") };
    format!("{names} <span alpha=\"70%\">{}</span>", glib::markup_escape_text(&line.details))
}

/// A name with those beginnings of its words in bold that were typed.
fn marked(name: &str, typed: &str) -> String {
    let typed: Vec<String> =
        bare(typed).split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let word = |word: &str| {
        let longest = typed.iter().filter(|typed| bare(word).starts_with(*typed)).map(String::len).max();
        let mut covered = 0;
        let (mut bold, mut rest) = (String::new(), String::new());
        for letter in word.chars() {
            let part = if covered < longest.unwrap_or_default() { &mut bold } else { &mut rest };
            part.push(letter);
            covered += bare(letter.encode_utf8(&mut [0; 4])).len();
        }
        let bold = glib::markup_escape_text(&bold);
        let rest = glib::markup_escape_text(&rest);
        if bold.is_empty() { rest.to_string() } else { format!("<b>{bold}</b>{rest}") }
    };
    name.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// As letters are compared: plain and small.
fn bare(text: &str) -> String {
    text.chars().filter_map(deunicode_char).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_bold_at_the_beginning_of_a_name_whatever_its_marks() {
        assert_eq!(marked("Nguyễn", "nguye"), "<b>Nguyễ</b>n");
        assert_eq!(marked("O'Brien & <Son>", "son obr"), "O&apos;Brien &amp; &lt;Son&gt;");
        assert_eq!(marked("Thị Lan", "lan, t"), "<b>T</b>hị <b>Lan</b>");
        assert_eq!(marked("Okafor", ""), "Okafor");
    }

    #[test]
    fn a_name_of_the_other_direction_keeps_the_numbers_in_their_order() {
        let line = Line {
            names: vec!["לוי".into(), "משה".into()],
            details: "9 Nov 1984 · no. 5521".into(),
            state: None,
            does: String::new(),
            is_chosen: false,
        };
        let text = markup(&line, "");
        assert!(text.starts_with("\u{2068}לוי\u{2069}, \u{2068}משה\u{2069} <span"), "{text}");
    }
}
