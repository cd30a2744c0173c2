//! The two ways between a collection and an export.

use bson::RawDocumentBuf;
use clap::Args as Group;
use prowl_platform::arguments::{share, within};

use super::{
    common::{CollectionArgs, Common, Parts, Waiting},
    values,
};
use crate::{export, extjson::Format, import};

/// Most readers of a collection at once.
const MOST_READERS: u64 = 64;

/// `prowl-fetch export`
#[derive(Debug, Group)]
pub(super) struct ExportArgs {
    /// Where to publish, a URL such as `file:///absolute/directory` or `s3://bucket/prefix`
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: String,
    /// Its parts.
    #[command(flatten)]
    pub parts: Parts,
    /// Extended JSON: relaxed, or canonical with the type of each number
    #[arg(long, value_name = "FORM", default_value = "relaxed")]
    pub format: Format,
    /// An increment: only what was fetched on or after this day or moment (2024-05-01, 2024-05-01T12:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = values::moment)]
    pub since: Option<jiff::Timestamp>,
    /// Only pull requests of these repositories, spelled as GitHub spells them
    #[arg(long, value_name = "OWNER/NAME", num_args = 1.., value_parser = values::repository)]
    pub repo: Vec<String>,
    /// Only documents that match, a query in extended JSON
    #[arg(long, value_name = "JSON", value_parser = export::query)]
    pub query: Option<RawDocumentBuf>,
    /// Readers of the collection at once [default: one a core, at most 4]
    #[arg(long, value_name = "N", value_parser = within(1, MOST_READERS))]
    pub parallel: Option<u64>,
    /// Publish nothing where an export of the store has all that is in the collection, for runs by a clock
    ///
    /// What programs of Prowl change is seen, and when the number of documents has changed. A collection that holds none yet is
    /// no failure.
    #[arg(long, conflicts_with = "since")]
    pub if_new: bool,
    /// The collection.
    #[command(flatten)]
    pub collection: CollectionArgs,
    /// What is told.
    #[command(flatten)]
    pub common: Common,
}

impl From<ExportArgs> for export::Config {
    fn from(args: ExportArgs) -> Self {
        Self {
            format: args.format,
            compression: args.parts.compression,
            part_size: args.parts.part_size,
            since: args.since,
            query: args.query,
            repositories: args.repo,
            parallel: args.parallel.map(|readers| readers as usize),
            if_new: args.if_new,
        }
    }
}

/// `prowl-fetch import`
#[derive(Debug, Group)]
pub(super) struct ImportArgs {
    /// Published exports by name, `latest`, files or folders of extended JSON, and `-` for standard input
    #[arg(value_name = "EXPORT|FILE|FOLDER", required = true)]
    pub exports: Vec<String>,
    /// Where exports that are given by name are published
    #[arg(long, value_name = "URL", env = "PROWL_STORE")]
    pub store: Option<String>,
    /// Fail when more than this share of the documents cannot be used, such as 0.05 or 5%
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    pub max_reject_share: f64,
    /// The collection.
    #[command(flatten)]
    pub collection: CollectionArgs,
    /// How long it is waited for.
    #[command(flatten)]
    pub waiting: Waiting,
    /// What is told.
    #[command(flatten)]
    pub common: Common,
}

impl From<ImportArgs> for import::Config {
    fn from(args: ImportArgs) -> Self {
        Self { sources: args.exports, max_reject_share: args.max_reject_share }
    }
}
