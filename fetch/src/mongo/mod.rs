//! The collection of pull requests, and beside it the state of who collects them.
//!
//! Nothing here needs more of a server than MongoDB 6 and `FerretDB` have: no transactions, no pipelines in updates, no
//! bulk writes of several kinds at once.

mod address;
mod changes;
mod failure;
mod load;
mod moment;
mod prepare;
mod rename;
mod settings;
mod state;
mod upsert;
mod version;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use bson::{RawDocumentBuf, doc};
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    Client, Collection, Database,
    options::{CollectionOptions, ReadPreference, SelectionCriteria},
};
use secrecy::SecretString;

use self::failure::Failure;
pub(crate) use self::{
    address::Uri,
    load::{FAREWELL, load, store_all},
    version::Identity,
};
pub use self::{
    load::LoadReport,
    settings::Settings,
    state::{Missed, Repository, Status, Walk},
    upsert::Written,
};
use crate::Error;

/// The secret that holds the URI of the database.
pub(crate) const SECRET: &str = "mongo_uri";
/// The database where neither the user nor the URI names one.
const DATABASE: &str = "prowl";
/// The collection where the user names none.
const COLLECTION: &str = "pull_requests";
/// The collection of the state, beside that of the pull requests; beside another one it bears that one's name, too,
/// since what is stored in the one is not stored in the other.
const STATE: &str = "fetch_state";

/// The longest wait for the first answer, and for the driver's end.
const CONNECT: Duration = Duration::from_secs(10);
const CLOSE: Duration = Duration::from_secs(5);

/// Where the pull requests are.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is, with user and password.
    pub uri: SecretString,
    /// Its name; else the one in the URI, else `prowl`.
    pub database: Option<String>,
    /// The collection; else `pull_requests`.
    pub collection: Option<String>,
    /// How long it may be away, once it was there, before that ends the run.
    pub patience: Duration,
}

/// A collection of pull requests that is within reach. Cheap to clone.
#[derive(Clone)]
pub struct Mongo {
    database: Database,
    /// As the URI says.
    pull_requests: Collection<RawDocumentBuf>,
    /// The same at the primary: a server that lags behind would say that something is not there.
    primary: Collection<RawDocumentBuf>,
    hosts: String,
    clock: Clock,
    patience: Duration,
    /// Whether the last answer to a question that is repeated was none.
    away: Arc<AtomicBool>,
}

/// The time of the server, which goes on as this machine's time does, whatever its clock is set to.
#[derive(Debug, Clone, Copy)]
struct Clock {
    read: Timestamp,
    at: Instant,
}

impl Mongo {
    /// Connects, and sees that the collection may be read.
    ///
    /// # Errors
    /// [`Error::MongoUri`], [`Error::StateCollection`], and [`Error::Mongo`] after ten seconds where the database is
    /// out of reach, or at once where it refuses.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        let collection = config.collection.as_deref().unwrap_or(COLLECTION);
        if collection.ends_with(STATE) {
            return Err(Error::StateCollection { collection: collection.to_owned() });
        }
        let options = address::options(&config.uri, CONNECT).await?;
        let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let database =
            config.database.as_deref().or(options.default_database.as_deref()).unwrap_or(DATABASE).to_owned();
        let place = || format!("MongoDB at {hosts}");

        let client = Client::with_options(options);
        let client = client.map_err(|error| Failure::from(error).into_error("connect to", place()))?;
        let database = client.database(&database);
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let primary = CollectionOptions::builder().selection_criteria(primary).build();
        let primary = database.collection_with_options(collection, primary);
        let pull_requests = database.collection(collection);
        let greeted = tokio::time::timeout(CONNECT + Duration::from_secs(1), greet(&pull_requests)).await;
        match greeted.unwrap_or_else(|_| Err(Failure::no_answer(CONNECT))) {
            Ok(clock) => Ok(Self {
                database,
                pull_requests,
                primary,
                hosts,
                clock,
                patience: config.patience,
                away: Arc::default(),
            }),
            Err(failure) => {
                shut_down(client).await;
                Err(failure.into_error("connect to", place()))
            }
        }
    }

    /// Lets go of the database. Without this call the driver would still be at work when the runtime ends, and panic.
    pub async fn close(self) {
        shut_down(self.database.client().clone()).await;
    }

    /// The time of the server: what several collectors agree on.
    pub fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.clock.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.clock.read.saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// The collection, to be read as the URI says.
    pub(crate) fn pull_requests(&self) -> &Collection<RawDocumentBuf> {
        &self.pull_requests
    }

    /// Names of the database and the collection, `prowl.pull_requests`.
    pub(crate) fn namespace(&self) -> String {
        self.pull_requests.namespace().to_string()
    }

    /// The flags that name the collection, each after a blank, where it is another than the usual one.
    pub(crate) fn flags(&self) -> String {
        let names =
            [("--database", self.database.name(), DATABASE), ("--collection", self.pull_requests.name(), COLLECTION)];
        let others = names.into_iter().filter(|(_, name, usual)| name != usual);
        others.map(|(flag, name, _)| format!(" {flag} {name}")).collect::<Vec<_>>().concat()
    }

    /// Where the database is: hosts and ports, nothing secret.
    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// Asks while an answer may come; see [`failure::retry`].
    async fn retry<T, F: Future<Output = Result<T, Failure>>>(&self, ask: impl Fn() -> F) -> Result<T, Failure> {
        failure::retry(self.patience, &self.away, ask).await
    }

    /// What went wrong with the collection.
    pub(crate) fn error(&self, what: &'static str, error: mongodb::error::Error) -> Error {
        self.failed(what, error.into())
    }

    fn failed(&self, what: &'static str, failure: Failure) -> Error {
        failure.into_error(what, self.place(self.pull_requests.name()))
    }

    /// Name of the collection of the state.
    fn state_name(&self) -> String {
        match self.pull_requests.name() {
            COLLECTION => STATE.to_owned(),
            other => format!("{other}_{STATE}"),
        }
    }

    fn place(&self, collection: &str) -> String {
        format!("{}.{collection} at {}", self.database.name(), self.hosts)
    }
}

/// Hosts and names; neither user nor password.
impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mongo({})", self.place(self.pull_requests.name()))
    }
}

/// The time of the server, once it answers and lets this user read.
async fn greet(collection: &Collection<RawDocumentBuf>) -> Result<Clock, Failure> {
    let asked = Instant::now();
    let hello = collection.client().database("admin").run_command(doc! { "hello": 1 }).await?;
    let way = asked.elapsed() / 2;
    let time = hello.get_datetime("localTime").ok().and_then(|time| moment::from_bson(*time));
    let clock = Clock { read: time.unwrap_or_else(Timestamp::now), at: asked + way };
    // What it says of itself, it says to everybody. What is found does not matter, and nothing is found in no time.
    collection.find_one(doc! { "_id": "" }).await?;
    Ok(clock)
}

async fn shut_down(client: Client) {
    if tokio::time::timeout(CLOSE, client.clone().shutdown()).await.is_err() {
        // A server that hangs does not tell that it let go of anything.
        let _ = tokio::time::timeout(CLOSE, client.shutdown().immediate(true)).await;
    }
}
