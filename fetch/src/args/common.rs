//! What several commands take: where documents go, what of them is kept, and what is told of a run.

use std::{path::PathBuf, time::Duration};

use clap::Args as Group;
use prowl_platform::{
    Secrets, StoreUrl,
    arguments::{variable, wrong_use},
};
use secrecy::SecretString;
use url::Url;

use super::values;
use crate::{
    Error, metrics, mongo,
    privacy::{self, LoginKey, Privacy},
    publish::{Compression, PartSize},
};

/// What every command takes.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "What is told of the run")]
pub(super) struct Common {
    /// Print the summary as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Write figures of the run there, also of one that fails, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "PATH")]
    pub metrics_file: Option<PathBuf>,
    /// Push the same figures to a Pushgateway
    #[arg(long, value_name = "URL", value_parser = values::push_url)]
    pub metrics_push: Option<Url>,
}

impl From<Common> for metrics::Target {
    fn from(args: Common) -> Self {
        Self { file: args.metrics_file, push: args.metrics_push }
    }
}

/// What of a pull request is kept.
#[derive(Debug, Clone, Copy, Default, Group)]
#[command(next_help_heading = "Privacy")]
pub struct Keep {
    /// Keep no descriptions of pull requests
    #[arg(long)]
    pub drop_bodies: bool,
    /// Keep a keyed hash in place of each login; the key is the secret `login_hash_key`
    #[arg(long)]
    pub hash_logins: bool,
}

impl Keep {
    /// The same with the key.
    ///
    /// # Errors
    /// There is no key, or it is too short.
    pub(crate) fn privacy(self, secrets: &Secrets) -> Result<Privacy, Error> {
        let key = |()| LoginKey::new(&secrets.need(privacy::SECRET)?);
        Ok(Privacy { drop_bodies: self.drop_bodies, hash_logins: self.hash_logins.then_some(()).map(key).transpose()? })
    }
}

/// How the parts of an export are written.
#[derive(Debug, Clone, Group)]
pub(super) struct Parts {
    /// Begin a new part file after this much JSON (64MiB) or this many documents (10000)
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = values::part_size)]
    pub part_size: PartSize,
    /// How the parts are compressed: gz, zst or none
    #[arg(long, value_name = "FORMAT", default_value = "gz")]
    pub compression: Compression,
}

/// Which collection.
#[derive(Debug, Clone, Group)]
pub(super) struct Names {
    /// Database [default: that of the URI, else prowl]
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// Collection [default: `pull_requests`]
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
}

/// How long a collection that is written to is waited for.
#[derive(Debug, Clone, Copy, Group)]
#[command(next_help_heading = "MongoDB")]
pub(super) struct Waiting {
    /// How long the database may be away, once it was there, before that ends the run
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = values::duration)]
    pub mongo_patience: Duration,
}

/// A collection that a command cannot do without.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "MongoDB")]
pub(super) struct CollectionArgs {
    /// The server, such as `mongodb://localhost` [default: the secret `mongo_uri`, which may hold a password]
    #[arg(long, value_name = "URI", value_parser = mongo::Uri)]
    pub mongo: Option<String>,
    /// Its names.
    #[command(flatten)]
    pub names: Names,
}

/// Where the documents of a source go: into an export, or into the collection.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "Where to")]
pub(super) struct DestinationArgs {
    /// Publish an export there, a URL such as `file:///absolute/directory` or `s3://bucket/prefix` [default: that of `PROWL_STORE`]
    // `clap` does not tell a variable from a flag, and beside `--mongo` only the flag contradicts.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Its parts.
    #[command(flatten)]
    pub parts: Parts,
    /// Bring the collection of this server forward instead; without a URI that of the secret `mongo_uri`
    #[arg(long, value_name = "URI", value_parser = mongo::Uri)]
    #[allow(clippy::option_option, reason = "whether it is typed, and whether with a URI")]
    pub mongo: Option<Option<String>>,
    /// Its names.
    #[command(flatten)]
    pub names: Names,
    /// How long it is waited for.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// A collection, before the secrets are known.
#[derive(Debug, Clone)]
pub struct Collection {
    uri: Option<String>,
    names: Names,
    patience: Duration,
}

impl Collection {
    /// The same with the secret, where the command line has no address.
    ///
    /// # Errors
    /// Neither has one.
    pub(crate) fn with(self, secrets: &Secrets) -> Result<mongo::Config, Error> {
        let uri = self.uri.map_or_else(|| secrets.need(mongo::SECRET), |uri| Ok(SecretString::from(uri)))?;
        let Names { database, collection } = self.names;
        Ok(mongo::Config { uri, database, collection, patience: self.patience })
    }
}

impl CollectionArgs {
    /// The collection, which is not waited for once it was there.
    pub(super) fn once(self) -> Collection {
        Collection { uri: self.mongo, names: self.names, patience: Duration::ZERO }
    }

    /// The collection, and how long it is waited for.
    pub(super) fn waiting(self, waiting: Waiting) -> Collection {
        Collection { patience: waiting.mongo_patience, ..self.once() }
    }
}

/// Where documents go.
#[derive(Debug)]
pub enum Destination {
    /// Into an export of their own.
    Store {
        /// Below which it is published.
        store: StoreUrl,
        /// When its next part begins.
        part_size: PartSize,
        /// How its parts are compressed.
        compression: Compression,
    },
    /// Into a collection.
    Mongo(Collection),
}

impl TryFrom<DestinationArgs> for Destination {
    type Error = clap::Error;

    fn try_from(args: DestinationArgs) -> Result<Self, clap::Error> {
        let DestinationArgs { store, parts: Parts { part_size, compression }, mongo, names, waiting } = args;
        match (mongo, store) {
            (Some(_), Some(_)) => Err(wrong_use(
                "--store and --mongo: the documents go to one of them; `prowl-fetch export` goes on from the collection",
            )),
            (Some(uri), None) => Ok(Self::Mongo(Collection { uri, names, patience: waiting.mongo_patience })),
            (None, store) => {
                let store = store.or_else(|| variable("PROWL_STORE"));
                let store = store.ok_or_else(|| wrong_use("say where to, by --store URL or --mongo"))?;
                Ok(Self::Store { store: StoreUrl::parse(&store).map_err(wrong_use)?, part_size, compression })
            }
        }
    }
}
