//! What is known of every repository at one moment: how a service looks histories up.

use crate::hash::{KeyMap, repository_key};
use crate::ledger::Ledger;

/// The ledgers of all repositories that a run has seen.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    pub(crate) repositories: KeyMap<Ledger>,
}

impl Profiles {
    /// Keeps `ledger` as what is known of `repository`.
    pub fn insert(&mut self, repository: &str, ledger: Ledger) {
        self.repositories.insert(repository_key(repository), ledger);
    }

    /// What is known of `repository`; `None` for one never seen.
    pub fn ledger(&self, repository: &str) -> Option<&Ledger> {
        self.repositories.get(&repository_key(repository))
    }

    /// Time of the newest event known of any repository, in milliseconds since 1970 UTC.
    pub fn as_of(&self) -> Option<i64> {
        self.repositories.values().filter_map(|ledger| ledger.as_of).max()
    }

    /// Number of repositories known.
    pub fn len(&self) -> usize {
        self.repositories.len()
    }

    /// Whether no repository is known.
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty()
    }
}
