//! A GitHub, a database that wants a password, and the collector between them.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use prowl_e2e::servers::github::{Asked, GitHub, Size, World};
use prowl_e2e::servers::{Mongo, PULL_REQUESTS};
use prowl_e2e::{Outcome, Running, Variable};
use serde_json::{Value, json};

/// Where the collector keeps how far it is.
pub(crate) const STATE: &str = "fetch_state";
/// Planted: nobody may ever say it.
pub(crate) const LOGIN_KEY: &str = "planted-key-of-the-logins";

/// Documents by repository and number.
pub(crate) type Stored = BTreeMap<(String, u64), Value>;

/// The servers. What the collector says is looked through for secrets.
pub(crate) struct Given {
    pub(crate) github: GitHub,
    pub(crate) mongo: Mongo,
    pub(crate) environment: Vec<Variable>,
}

/// A world that is small and has nothing large in it.
pub(crate) fn small(repositories: usize, pull_requests: usize) -> World {
    World::seeded(11, &Size { repositories, pull_requests, large: false, ..Size::default() })
}

impl Given {
    /// Servers with this world, and an empty database.
    pub(crate) fn of(world: World) -> Self {
        let (github, mongo) = (GitHub::start(world), Mongo::start_secured());
        let debug = [("PROWL_LOG", "debug".to_owned())];
        let environment = [mongo.environment(), github.environment(), debug.to_vec()].concat();
        Self { github, mongo, environment }
    }

    /// Gives the collector another variable, or another value of one.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
    }

    /// Starts it.
    pub(crate) fn start(&self, more: &[&str]) -> Running {
        self.start_at(&self.github.url(), more)
    }

    /// Starts it with another address of GitHub.
    pub(crate) fn start_at(&self, url: &str, more: &[&str]) -> Running {
        let arguments = [&["github", "--json", "--api-url", url], more].concat();
        Running::start_with(&self.environment, "prowl-fetch", &arguments)
    }

    /// Runs it to its end.
    pub(crate) fn collect(&self, more: &[&str]) -> Outcome {
        self.checked(self.start(more).wait())
    }

    /// Runs it to its end, which has to be a good one.
    pub(crate) fn succeed(&self, more: &[&str]) -> Outcome {
        self.succeeded(self.start(more))
    }

    /// Waits for its end, which has to be a good one.
    pub(crate) fn succeeded(&self, running: Running) -> Outcome {
        self.checked(running.wait()).expect_success()
    }

    /// Runs it to its end; then the collection has to hold what GitHub has.
    pub(crate) fn complete(&self, more: &[&str]) -> Outcome {
        let ended = self.succeed(more);
        self.assert_complete();
        ended
    }

    /// The same outcome, if it gives no secret away.
    pub(crate) fn checked(&self, ended: Outcome) -> Outcome {
        for text in [&ended.stderr, &ended.stdout] {
            assert!(!self.github.is_given_away_by(text) && !Mongo::is_given_away_by(text), "{ended:?}");
            assert!(!text.contains(LOGIN_KEY), "{ended:?}");
        }
        ended
    }

    /// Runs it, and it has to fail with one error; what it tells a person is given, without its log.
    pub(crate) fn refused(&self, more: &[&str]) -> String {
        told(&self.collect(more))
    }

    /// The documents of the collection as they are.
    pub(crate) fn documents(&self) -> Vec<Document> {
        self.mongo.find(PULL_REQUESTS, doc! {})
    }

    /// The documents of the collection, in relaxed extended JSON, without what is our own to choose.
    pub(crate) fn stored(&self) -> Stored {
        let mut stored = Stored::new();
        for mut document in self.documents() {
            for own in ["_id", "fetched_at"] {
                document.remove(own).unwrap_or_else(|| panic!("no {own}"));
            }
            let document = relaxed(Bson::Document(document));
            let repository = document["base"]["repo"]["full_name"].as_str().unwrap().to_owned();
            let identity = (repository, document["number"].as_u64().unwrap());
            assert_eq!(stored.insert(identity.clone(), document), None, "{identity:?} is twice");
        }
        stored
    }

    /// The collection has to hold what GitHub has, and nothing else.
    pub(crate) fn assert_complete(&self) {
        assert_same(&self.stored(), &self.github.documents());
    }

    /// What is remembered of a repository.
    pub(crate) fn state(&self, full_name: &str) -> Document {
        self.mongo.find_one(STATE, doc! { "full_name": full_name }).unwrap_or_else(|| panic!("no state of {full_name}"))
    }

    /// The queries for pages of pull requests that were asked.
    pub(crate) fn pages(&self) -> Vec<Asked> {
        self.github.asked().into_iter().filter(|asked| asked.query.as_deref() == Some("PullRequests")).collect()
    }

    /// Waits until GitHub was asked so often while the collector runs.
    pub(crate) fn wait_for_requests(&self, running: &mut Running, count: usize) {
        running.wait_for(&format!("{count} requests"), || (self.github.count() >= count).then_some(()));
    }
}

/// What a run that failed with one error tells a person, without its log.
pub(crate) fn told(ended: &Outcome) -> String {
    assert_eq!(ended.code, 1, "{ended:?}");
    let told: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(told.iter().filter(|line| line.starts_with("error: ")).count(), 1, "{told:#?}");
    told.join("\n")
}

/// Relaxed extended JSON, of the types that documents have.
fn relaxed(value: Bson) -> Value {
    match value {
        Bson::Document(document) => document.into_iter().map(|(key, value)| (key, relaxed(value))).collect(),
        Bson::Array(values) => values.into_iter().map(relaxed).collect(),
        Bson::String(text) => text.into(),
        Bson::Boolean(value) => value.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::DateTime(moment) => json!({ "$date": moment.try_to_rfc3339_string().unwrap() }),
        Bson::Null => Value::Null,
        other => panic!("documents have no {other:?}"),
    }
}

/// Both have to hold the same documents.
pub(crate) fn assert_same(stored: &Stored, expected: &Stored) {
    let lacking = |of: &Stored, these: &Stored| -> Vec<(String, u64)> {
        these.keys().filter(|identity| !of.contains_key(*identity)).cloned().collect()
    };
    let (missing, more) = (lacking(stored, expected), lacking(expected, stored));
    assert!(missing.is_empty(), "{} are missing, such as {:?}", missing.len(), &missing[..missing.len().min(9)]);
    assert!(more.is_empty(), "{} are too many, such as {:?}", more.len(), &more[..more.len().min(9)]);
    for (identity, expected) in expected {
        assert_eq!(&stored[identity], expected, "{identity:?}");
    }
}

/// A number of the summary, such as `pull_requests.inserted`.
pub(crate) fn figure(ended: &Outcome, path: &str) -> u64 {
    let report = ended.json();
    let found = path.split('.').fold(&report, |value, key| &value[key]);
    found.as_u64().unwrap_or_else(|| panic!("no number {path} in {report}"))
}
