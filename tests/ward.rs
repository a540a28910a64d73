//! A clinic whose program is run by hand, pass by pass, so that it can be cut off, or killed, at any touch of a port.

use crate::reaper::{Reaped, Reaper};
use crate::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ports::clock::Clock;
use domain::ports::partner::Partner;
use domain::ports::practice::PracticeSystem;
use domain::ports::store::{BookingCounts, Store};
use domain::settings::AppSettings;
use std::sync::Arc;
use sync::flows::{Flow, Ports};
use sync::state::{PracticeState, StateBoard};

/// The kinds of work that a program does, in their order.
pub type Work = fn(Ports) -> Vec<Box<dyn Flow>>;

/// A clinic whose program is run by hand.
pub struct Ward {
    /// The clinic. Its engine does not run.
    pub world: World,
    /// Whoever strikes.
    pub reaper: Arc<Reaper>,
    practice: Arc<dyn PracticeSystem>,
    partner: Arc<dyn Partner>,
    work: Work,
    program: Vec<Box<dyn Flow>>,
}

impl Ward {
    /// Starts a program that does this work at `p1`.
    pub async fn new(world: World, work: Work) -> Self {
        let settings = world.stored_settings("p1").await;
        let reaper = Arc::new(Reaper::default());
        let practice = world.wiring.practice(&settings).expect("a practice system");
        let partner = world.wiring.partner(&settings).await.expect("keys").expect("an account");
        let mut ward = Self {
            practice: Reaped::new(practice, &reaper),
            partner: Reaped::new(partner, &reaper),
            world,
            reaper,
            work,
            program: Vec::new(),
        };
        ward.start().await;
        ward
    }

    /// Goes on with other work, in a program that has just started.
    pub async fn turn_to(&mut self, work: Work) {
        self.work = work;
        self.start().await;
    }

    /// Starts the program with nothing but what is in the store.
    async fn start(&mut self) {
        let settings = self.world.stored_settings("p1").await;
        let state = StateBoard::default();
        let shown = PracticeState::new(settings.clone(), Default::default(), BookingCounts::default());
        state.change(|state| drop(state.practices.insert(settings.id.clone(), shown)));
        let store: Arc<dyn Store> = self.world.store.clone();
        self.program = (self.work)(Ports {
            settings,
            app: AppSettings::default(),
            practice: self.practice.clone(),
            partner: Some(self.partner.clone()),
            partners: Vec::new(),
            hurried: Default::default(),
            searching: Default::default(),
            store: Reaped::new(store, &self.reaper),
            clock: Arc::new(self.world.clock.clone()),
            state,
            look_closely: Arc::default(),
            webhooks: Default::default(),
            book_webhooks: Default::default(),
            noted: Arc::default(),
            half_hours: Arc::default(),
            writes_fail: Arc::default(),
        });
    }

    /// Does each kind of work once, and starts the program anew if it died of it.
    pub async fn step(&mut self) {
        let program = std::mem::take(&mut self.program);
        let lived = tokio::select! {
            biased;
            () = self.reaper.death() => None,
            again_at = pass(&program) => Some(again_at),
        };
        match lived {
            Some(again_at) => {
                let now = self.world.clock.now();
                self.world.clock.move_to(again_at.map_or(now, |again_at| again_at.max(now)));
                self.program = program;
            }
            None => {
                drop(program);
                self.reaper.revive();
                self.world.clock.move_by(TimeDelta::seconds(1));
                self.start().await;
            }
        }
    }
}

/// Returns when there is work again.
async fn pass(program: &[Box<dyn Flow>]) -> Option<DateTime<Utc>> {
    let mut again_at = None;
    for flow in program {
        let next = flow.pass().await.again_at;
        again_at = Some(again_at.map_or(next, |sooner: DateTime<Utc>| sooner.min(next)));
    }
    again_at
}
