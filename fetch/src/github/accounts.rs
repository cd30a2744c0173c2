//! The budgets of a GitHub, one for each account under which it counts points, and the limits that it sets, which outlast
//! a run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::{failure::between, pace::Budget};
use crate::{Error, mongo::Mongo};

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(2);

/// The accounts of one GitHub.
pub(super) struct Accounts {
    host: String,
    /// Whether each owner has a token of its own, as with an App.
    by_owner: bool,
    budgets: Mutex<HashMap<String, Arc<Budget>>>,
    /// Where a limit is remembered.
    mongo: Mongo,
    remembers: bool,
}

impl Accounts {
    /// Only those that `remember` write down the limits that GitHub sets.
    pub(super) fn new(api: &Url, by_owner: bool, mongo: Mongo, remembers: bool) -> Self {
        Self { host: host(api), by_owner, budgets: Mutex::default(), mongo, remembers }
    }

    /// GitHub's name, for ids and for people.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// What the points of an owner's token are counted under. It is stored, and no token.
    pub(super) fn of(&self, owner: &str) -> String {
        if self.by_owner {
            format!("github:{}:{}", self.host, owner.to_lowercase())
        } else {
            format!("github:{}", self.host)
        }
    }

    /// Points left to all together, as the last answers say.
    pub(super) fn points_left(&self) -> Option<u64> {
        self.budgets().values().filter_map(|budget| budget.left()).reduce(u64::saturating_add)
    }

    /// How long GitHub has told the one to wait that waits longest.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.budgets().values().filter_map(|budget| budget.paused()).max()
    }

    /// The budget of an owner's token.
    pub(super) async fn budget(&self, owner: &str) -> Result<Arc<Budget>, Error> {
        let account = self.of(owner);
        if let Some(budget) = self.budgets().get(&account) {
            return Ok(Arc::clone(budget));
        }
        let paused = self.mongo.pause(&account).await?;
        let budget = Arc::clone(self.budgets().entry(account).or_insert_with(|| Arc::new(Budget::new())));
        if let Some(until) = paused {
            let wait = between(self.mongo.now(), until).min(LONGEST);
            tracing::info!(seconds = wait.as_secs(), "waiting, as GitHub told an earlier run to");
            budget.pause(wait);
        }
        Ok(budget)
    }

    /// GitHub told to wait.
    pub(super) async fn pause(&self, owner: &str, wait: Duration, says: &str) -> Result<(), Error> {
        let wait = wait.min(LONGEST);
        // GitHub counts in seconds, and not all shall come back in the same one.
        let pause = wait + Duration::from_secs(1).mul_f64(rand::random_range(0.1..2.0));
        self.budget(owner).await?.pause(pause);
        tracing::warn!(owner, seconds = wait.as_secs(), says, "GitHub told to wait");
        if self.remembers {
            // With the same slack, since no two clocks are alike.
            let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
            let until = self.mongo.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
            self.mongo.set_pause(&self.of(owner), until).await?;
        }
        Ok(())
    }

    fn budgets(&self) -> MutexGuard<'_, HashMap<String, Arc<Budget>>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a GitHub by the address of its API.
fn host(api: &Url) -> String {
    let host = api.host_str().unwrap_or_default();
    let host = host.strip_prefix("api.").unwrap_or(host);
    api.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_github_is_known_by_its_host() {
        for (api, name) in [
            ("https://api.github.com", "github.com"),
            ("https://git.example/api/v3", "git.example"),
            ("https://api.tenant.ghe.com", "tenant.ghe.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(host(&api.parse().unwrap()), name);
        }
    }
}
