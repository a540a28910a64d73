//! What came in, in order, and how often: journals that stay small however long a demo runs.

use std::collections::{BTreeMap, VecDeque};

/// Journals keep this many entries, so that a demo that runs for weeks stays small.
const JOURNAL_LENGTH: usize = 10_000;

/// Adds an entry, and forgets the oldest one when there are ten thousand.
pub fn push_bounded<T>(journal: &mut VecDeque<T>, entry: T) {
    push_within(journal, entry, JOURNAL_LENGTH);
}

/// Adds an entry, and forgets the oldest one when there are `most`.
pub fn push_within<T>(journal: &mut VecDeque<T>, entry: T, most: usize) {
    if journal.len() >= most {
        journal.pop_front();
    }
    journal.push_back(entry);
}

/// How many requests of each kind every account has sent.
#[derive(Debug, Clone, Default)]
pub struct RequestCounts(BTreeMap<(String, String), u64>);

impl RequestCounts {
    /// Counts a request; `kind` is its method and its path, with `{id}` in place of what differs.
    pub fn count(&mut self, account: &str, kind: String) {
        *self.0.entry((account.to_owned(), kind)).or_default() += 1;
    }

    /// How many of a kind an account has sent.
    #[must_use]
    pub fn of(&self, account: &str, method: &str, path: &str) -> u64 {
        self.0.get(&(account.to_owned(), format!("{method} {path}"))).copied().unwrap_or_default()
    }

    /// How many of a kind there were of everybody.
    #[must_use]
    pub fn of_all(&self, method: &str, path: &str) -> u64 {
        let kind = format!("{method} {path}");
        self.0.iter().filter(|((_, counted), _)| *counted == kind).map(|(_, count)| count).sum()
    }
}

/// Method and path as they are counted: parts of the path that `differs` become `{id}`.
#[must_use]
pub fn counted_as(method: &str, path: &str, differs: impl Fn(&str) -> bool) -> String {
    let path: Vec<&str> = path.split('/').map(|part| if differs(part) { "{id}" } else { part }).collect();
    format!("{method} {}", path.join("/"))
}
