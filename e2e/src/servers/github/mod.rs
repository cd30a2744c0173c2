//! GitHub as far as a collector sees it: GraphQL over its own published schema, the REST beside it, Apps, points and limits, over a
//! world that may change while it is served. A query that GitHub would not take fails the test that asks it.

mod access;
mod answer;
mod asked;
mod budget;
mod fault;
mod fields;
mod graphql;
mod line;
mod objects;
mod page;
mod points;
mod pull_request;
mod rest;
mod schema;
mod seed;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use access::{Grant, Private, TOKEN};
pub use asked::Asked;
pub use budget::Limit;
pub use fault::{Fault, Rule, at_random};
pub use pull_request::{Account, File, Head, Kind, PullRequest, State};
pub use seed::{Dice, Size};
pub use world::{Ailment, Repository, World};

use access::Access;
use budget::{Budget, Silence};
use line::{Lines, Scissors};
use schema::Queries;

use crate::programs::Variable;

/// A running GitHub, on threads of its own.
pub struct GitHub {
    address: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// What its requests share.
struct Shared {
    world: RwLock<World>,
    access: Mutex<Access>,
    queries: Queries,
    rule: RwLock<Arc<Rule>>,
    settings: Mutex<Settings>,
    record: Mutex<Record>,
}

#[derive(Clone, Copy, Default)]
struct Settings {
    graphql: Limit,
    rest: Limit,
    latency: Duration,
}

/// What was asked so far, and what it has cost.
#[derive(Default)]
struct Record {
    asked: Vec<Asked>,
    /// By account and resource.
    budgets: HashMap<(String, &'static str), Budget>,
    /// By account.
    silences: HashMap<String, Silence>,
    /// What GitHub would not have taken.
    complaints: Vec<String>,
}

impl GitHub {
    /// Serves a world.
    pub fn start(world: World) -> Self {
        // Before the first request, which would have to wait for it.
        std::sync::LazyLock::force(&schema::SCHEMA);
        let shared = Arc::new(Shared {
            world: RwLock::new(world),
            access: Mutex::new(Access::new()),
            queries: Queries::default(),
            rule: RwLock::new(Arc::new(|_: &Asked| None)),
            settings: Mutex::default(),
            record: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // Tests call this from within a runtime, too, hence nothing that blocks on this one.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer::answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move {
            let lines = Lines(TcpListener::from_std(listener).unwrap());
            axum::serve(lines, router.into_make_service_with_connect_info::<Scissors>()).await
        });
        Self { address, shared, _runtime: runtime }
    }

    /// What `--api-url` takes.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same of a GitHub Enterprise Server.
    pub fn enterprise_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Looks at the world, or changes it.
    pub fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.shared.world.write().unwrap())
    }

    /// What has to be stored of all repositories.
    pub fn documents(&self) -> BTreeMap<(String, u64), Value> {
        self.shared.world.read().unwrap().documents()
    }

    /// Where a cursor for pull requests points to: when one was last updated, and its id.
    pub fn place(&self, cursor: &str) -> Vec<i64> {
        page::place(&self.shared.world.read().unwrap(), cursor).unwrap()
    }

    /// From now on this decides what goes wrong.
    pub fn rule(&self, rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.rule.write().unwrap() = Arc::new(rule);
    }

    /// From now on nothing goes wrong.
    pub fn no_faults(&self) {
        self.rule(|_| None);
    }

    /// Each account may spend so many points of GraphQL in a window of so many seconds.
    pub fn limit(&self, points: u64, seconds: u64) {
        self.shared.settings.lock().unwrap().graphql = Limit { points, window: Duration::from_secs(seconds) };
        self.shared.record.lock().unwrap().budgets.clear();
    }

    /// Each answer takes so long.
    pub fn latency(&self, latency: Duration) {
        self.shared.settings.lock().unwrap().latency = latency;
    }

    /// Lets a token do this.
    pub fn grant(&self, token: &str, grant: Grant) {
        self.shared.access.lock().unwrap().put(token, grant);
    }

    /// Registers an App that is installed at these owners, whose tokens last so long. Gives the variables of a program that is
    /// this App.
    pub fn app(&self, owners: &[&str], lasts: Duration, may_read_pull_requests: bool) -> Vec<Variable> {
        let (id, key) = self.shared.access.lock().unwrap().register(owners, lasts, may_read_pull_requests);
        vec![("GITHUB_APP_ID", id), ("GITHUB_APP_KEY", key)]
    }

    /// The tokens of installations that were given out are worth nothing any more.
    pub fn revoke_tokens(&self) {
        self.shared.access.lock().unwrap().revoke();
    }

    /// How many tokens of installations were given out.
    pub fn tokens_given(&self) -> usize {
        self.shared.access.lock().unwrap().given()
    }

    /// Variables for a program that has the token of a person.
    pub fn environment(&self) -> Vec<Variable> {
        vec![("GITHUB_TOKEN", TOKEN.to_owned())]
    }

    /// All that was asked since the start, or since it was last forgotten.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.record.lock().unwrap().asked.clone()
    }

    /// How much that is.
    pub fn count(&self) -> usize {
        self.shared.record.lock().unwrap().asked.len()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.shared.record.lock().unwrap().asked.clear();
    }

    /// What GitHub would not have taken, or what is not modelled here.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner).complaints.clone()
    }

    /// Whether a text gives a token, or the key of the App, away.
    pub fn is_given_away_by(&self, text: &str) -> bool {
        self.shared.access.lock().unwrap().is_given_away_by(text)
    }
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHub").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for GitHub {
    /// Whatever else a test looks at: the queries were right.
    fn drop(&mut self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty() || std::thread::panicking(), "GitHub would not have taken this: {complaints:#?}");
    }
}
