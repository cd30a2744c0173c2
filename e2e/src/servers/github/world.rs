//! All that the local GitHub holds, and what may happen to it while it is served.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::pull_request::{PullRequest, State};

/// Owners, repositories and their pull requests.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(super) owners: Vec<Owner>,
    pub(super) repositories: Vec<Repository>,
    /// The last id that was given.
    pub(super) last_id: u64,
    /// Seconds by which its clock is ahead of ours.
    pub(super) ahead: i64,
    /// Part of each cursor, so that all of them can become invalid.
    pub(super) salt: u64,
    /// Pull requests that GitHub fails at, by id.
    pub(super) ailing: BTreeMap<u64, Ailment>,
}

/// How GitHub fails at a pull request whenever it is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// It is null in the answer to a query that asks for more than its number and times, with an error beside the data.
    Null,
    /// The answer to a query that asks for more than its number and times is a 502.
    Timeout,
    /// The answer to a query that asks for its files is a 502.
    Files,
}

/// Who owns repositories.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) login: String,
    pub(super) organization: bool,
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Its id, which no rename changes.
    pub id: u64,
    /// `owner/name`
    pub full_name: String,
    /// Names under which it was known.
    former: Vec<String>,
    /// Nothing changes in it any more.
    pub archived: bool,
    /// GitHub has closed it.
    pub disabled: bool,
    /// Only who may sees it.
    pub private: bool,
    /// A copy of another.
    pub fork: bool,
    pub(super) pull_requests: BTreeMap<u64, PullRequest>,
    /// (`updated_at`, id, number) of each.
    pub(super) order: BTreeSet<(i64, u64, u64)>,
}

impl Repository {
    /// Its global node id.
    pub fn node_id(&self) -> String {
        format!("R_{}", self.id)
    }

    /// Login of its owner.
    pub fn owner(&self) -> &str {
        self.full_name.split_once('/').unwrap().0
    }

    /// Its name without that of its owner.
    pub fn name(&self) -> &str {
        self.full_name.split_once('/').unwrap().1
    }

    /// Its pull requests by number.
    pub fn pull_requests(&self) -> impl Iterator<Item = &PullRequest> {
        self.pull_requests.values()
    }

    /// One of them.
    pub fn pull_request(&self, number: u64) -> &PullRequest {
        &self.pull_requests[&number]
    }

    /// What has to be stored of it, by number.
    pub fn documents(&self) -> BTreeMap<u64, Value> {
        self.pull_requests
            .iter()
            .map(|(number, pull_request)| (*number, pull_request.document(&self.full_name)))
            .collect()
    }

    /// Puts a pull request in, or another version of it.
    pub fn put(&mut self, pull_request: PullRequest) {
        let (number, place) = (pull_request.number, (pull_request.updated_at, pull_request.id, pull_request.number));
        if let Some(old) = self.pull_requests.insert(number, pull_request) {
            self.order.remove(&(old.updated_at, old.id, old.number));
        }
        self.order.insert(place);
    }
}

impl World {
    /// One that holds nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The moment by its clock, in seconds since 1970 UTC.
    pub fn now(&self) -> i64 {
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        ours.as_secs() as i64 + self.ahead
    }

    /// Lets its clock be ahead of ours by so many seconds.
    pub fn set_clock_ahead(&mut self, seconds: i64) {
        self.ahead = seconds;
    }

    /// A new id.
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        // Larger than 32 bits hold, as GitHub's are by now.
        3_000_000_000 + self.last_id
    }

    /// Adds an owner, if it is not there.
    pub fn add_owner(&mut self, login: &str, organization: bool) {
        if self.owner(login).is_none() {
            self.owners.push(Owner { login: login.to_owned(), organization });
        }
    }

    pub(super) fn owner(&self, login: &str) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.login.eq_ignore_ascii_case(login))
    }

    /// Adds a repository without pull requests; its owner becomes an organisation, where it is not there yet.
    pub fn add_repository(&mut self, full_name: &str) -> &mut Repository {
        self.add_owner(full_name.split_once('/').unwrap().0, true);
        let id = self.id();
        self.repositories.push(Repository {
            id,
            full_name: full_name.to_owned(),
            former: Vec::new(),
            archived: false,
            disabled: false,
            private: false,
            fork: false,
            pull_requests: BTreeMap::new(),
            order: BTreeSet::new(),
        });
        self.repositories.last_mut().unwrap()
    }

    /// All repositories.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.repositories.iter()
    }

    /// A repository by its name, or by one that it had.
    pub(super) fn find(&self, full_name: &str, follow: bool) -> Option<&Repository> {
        let has = |name: &String| name.eq_ignore_ascii_case(full_name);
        let named = self.repositories.iter().find(|repository| has(&repository.full_name));
        named.or_else(|| self.repositories.iter().find(|repository| follow && repository.former.iter().any(has)))
    }

    /// The repository of this name.
    pub fn repository(&self, full_name: &str) -> &Repository {
        self.find(full_name, false).unwrap()
    }

    /// The same, to change it.
    pub fn repository_mut(&mut self, full_name: &str) -> &mut Repository {
        self.repositories.iter_mut().find(|repository| repository.full_name == full_name).unwrap()
    }

    /// Someone comments a pull request.
    pub fn touch(&mut self, full_name: &str, number: u64) {
        let now = self.now();
        let repository = self.repository_mut(full_name);
        let mut pull_request = repository.pull_request(number).clone();
        pull_request.updated_at = now.max(pull_request.updated_at + 1);
        pull_request.comments += 1;
        pull_request.title += "!";
        repository.put(pull_request);
    }

    /// Someone opens a pull request with this change; tells its number.
    pub fn open(&mut self, full_name: &str, like: &PullRequest) -> u64 {
        let (now, id) = (self.now(), self.id());
        let repository = self.repository_mut(full_name);
        let number = repository.pull_requests.keys().last().map_or(1, |last| last + 1);
        let (state, closed_at, merged_at, merge_commit) = (State::Open, None, None, None);
        let times = PullRequest { created_at: now, updated_at: now, closed_at, merged_at, ..like.clone() };
        repository.put(PullRequest { id, number, state, merge_commit, ..times });
        number
    }

    /// The repository has another name, and perhaps another owner; the old name leads there.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.add_owner(to.split_once('/').unwrap().0, true);
        let repository = self.repository_mut(from);
        // Its own branches go with it.
        let heads = repository.pull_requests.values_mut().filter_map(|pull_request| pull_request.head.as_mut());
        heads.filter(|head| head.full_name == from).for_each(|head| to.clone_into(&mut head.full_name));
        let old = std::mem::replace(&mut repository.full_name, to.to_owned());
        repository.former.push(old);
    }

    /// The repository is gone.
    pub fn delete(&mut self, full_name: &str) {
        self.repositories.retain(|repository| repository.full_name != full_name);
    }

    /// GitHub fails at this pull request from now on.
    pub fn spoil(&mut self, full_name: &str, number: u64, ailment: Ailment) {
        let id = self.repository(full_name).pull_request(number).id;
        self.ailing.insert(id, ailment);
    }

    /// GitHub fails at no pull request any more.
    pub fn heal(&mut self) {
        self.ailing.clear();
    }

    /// All cursors that were given out are invalid.
    pub fn forget_cursors(&mut self) {
        self.salt += 1;
    }

    /// What has to be stored of all its repositories, by (`base.repo.full_name`, `number`).
    pub fn documents(&self) -> BTreeMap<(String, u64), Value> {
        let of = |repository: &Repository| {
            let name = repository.full_name.clone();
            repository.documents().into_iter().map(move |(number, document)| ((name.clone(), number), document))
        };
        self.repositories.iter().flat_map(of).collect()
    }
}
