//! Whose turn it is: some services are asked by one request at a time, and no faster than was agreed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

/// The turns of everybody who asks one account.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Option<Instant>>>);

/// A turn. While it is held, nobody else has one.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<Option<Instant>>);

impl Turns {
    /// Waits for a turn that begins at least `apart` after the one before began. Measured from when that one really
    /// began: a timer that woke late must not bring the next turn too near, because whoever counts strictly would refuse
    /// it. Timers are late by a millisecond or so, which at four turns a second costs less than one in a hundred.
    pub async fn next(&self, apart: Duration) -> Turn {
        let mut begins = self.0.clone().lock_owned().await;
        let now = Instant::now();
        let at = begins.map_or(now, |last| (last + apart).max(now));
        #[expect(
            clippy::disallowed_methods,
            reason = "a pace towards a real service runs in real time, as deadlines do"
        )]
        tokio::time::sleep_until(at).await;
        *begins = Some(Instant::now());
        Turn(begins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_apart_whoever_takes_them_and_none_is_wasted() {
        let turns = Turns::default();
        let began = Instant::now();
        let takers = (0..4).map(|_| {
            let turns = turns.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..25 {
                    let turn = turns.next(Duration::from_millis(250)).await;
                    taken.push(Instant::now());
                    drop(turn);
                }
                taken
            })
        });
        let mut all = Vec::new();
        for taker in takers.collect::<Vec<_>>() {
            all.extend(taker.await.unwrap());
        }
        all.sort();
        assert!(all.windows(2).all(|two| two[1] - two[0] >= Duration::from_millis(250)));
        assert_eq!(*all.last().unwrap() - began, Duration::from_millis(250 * 99));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_wakes_late_brings_no_two_turns_nearer() {
        const APART: Duration = Duration::from_millis(250);
        let turns = Turns::default();
        drop(turns.next(APART).await);
        let began = Instant::now();
        let taker = tokio::spawn({
            let turns = turns.clone();
            async move {
                let mut taken = Vec::new();
                for _ in 0..3 {
                    drop(turns.next(APART).await);
                    taken.push(Instant::now() - began);
                }
                taken
            }
        });
        tokio::task::yield_now().await;
        // The computer was busy elsewhere.
        tokio::time::advance(Duration::from_millis(400)).await;
        let taken: Vec<u128> = taker.await.unwrap().into_iter().map(|taken| taken.as_millis()).collect();
        assert_eq!(taken, [400, 650, 900]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_waiting_takes_no_turn() {
        let turns = Turns::default();
        drop(turns.next(Duration::from_secs(1)).await);
        let gave_up =
            tokio::time::timeout(Duration::from_millis(10), turns.next(Duration::from_secs(1))).await;
        assert!(gave_up.is_err());
        let began = Instant::now();
        drop(turns.next(Duration::from_secs(1)).await);
        assert!(Instant::now() - began <= Duration::from_secs(1));
    }
}
