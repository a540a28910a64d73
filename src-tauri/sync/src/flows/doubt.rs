//! What looks so much like a mistake that it waits until somebody says that it is right.

use super::Ports;
use crate::state::Shrinking;
use domain::ports::store::{Mark, StoreError};

/// How many of those that are gone are named.
pub(crate) const NAMED: usize = 20;

/// The mark that holds the digest of a short list that somebody has accepted.
pub fn accepted_mark(list: &str) -> String {
    format!("accepted/{list}")
}

/// The mark that stands while a list waits for somebody, for whoever does not see the engine's state.
pub fn doubtful_mark(list: &str) -> String {
    format!("doubtful/{list}")
}

impl Ports {
    /// Whether somebody said that this very list is right.
    pub(crate) async fn is_accepted(&self, list: &str, digest: &str) -> Result<bool, StoreError> {
        let accepted = self.store.marks(self.id(), &accepted_mark(list)).await?;
        Ok(accepted.iter().any(|mark| mark.digest == digest))
    }

    /// Shows what waits of a list, or that nothing does. It is known since it was first noticed.
    pub(crate) async fn show_doubt(
        &self,
        list: &'static str,
        doubt: Option<Shrinking>,
    ) -> Result<(), StoreError> {
        let known = self.state.shrinking(self.id(), list);
        let noticed_at = known.as_ref().map(|known| known.noticed_at);
        let doubt =
            doubt.map(|doubt| Shrinking { noticed_at: noticed_at.unwrap_or(doubt.noticed_at), ..doubt });
        let doubtful = doubt.is_some();
        if doubt != known {
            self.state.change_practice(self.id(), |practice| {
                practice.shrinking.retain(|other| other.list != list);
                practice.shrinking.extend(doubt);
            });
        }
        let thing = doubtful_mark(list);
        let noted = !self.store.marks(self.id(), &thing).await?.is_empty();
        match (doubtful, noted) {
            (true, false) => {
                tracing::warn!(practice.id = %self.id(), list, "Most of a list is gone from the book.");
                let mark = Mark { thing, digest: String::new(), at: self.clock.now() };
                self.store.set_marks(self.id(), &[mark]).await
            }
            (false, true) => self.store.forget_marks(self.id(), &thing).await.map(drop),
            (true, true) | (false, false) => Ok(()),
        }
    }
}
